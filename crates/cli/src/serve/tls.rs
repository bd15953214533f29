//! The certificate and the private key for TLS listeners, from PEM files.
//!
//! Rules of this file: all workers share one certificate, which a reload replaces. The next handshake of each worker has
//! the new certificate, and open streams go on. The key is never printed.

use crate::secret;
use alloc::sync::Arc;
use core::fmt;
use portolan_tokio::{DriverConfig, rustls};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// Why a certificate or a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("{option} {} cannot be read: {why}", .file.display())]
    Unreadable { option: &'static str, file: PathBuf, why: io::Error },
    #[error("{option} {}: {why}; the file must be in PEM format, between BEGIN and END lines", .file.display())]
    Pem { option: &'static str, file: PathBuf, why: pem::Error },
    #[error("--tls-cert {} has no certificate; the file must be in PEM format, the certificate of the server first", .0.display())]
    Empty(PathBuf),
    #[error("--tls-key {} holds a private key, and other users can read or change it (mode {mode:o}); run: chmod 600 {}", .file.display(), .file.display())]
    Exposed { file: PathBuf, mode: u32 },
    #[error("--tls-cert {} and --tls-key {}: {why}; give the key of the first certificate", .cert.display(), .key.display())]
    Refused { cert: PathBuf, key: PathBuf, why: rustls::Error },
}

/// A certificate chain and its key.
pub(super) struct Certificate(Arc<CertifiedKey>);

/// The longest file, in bytes.
const LONGEST: u64 = 1 << 20;

impl Certificate {
    /// Reads the files, and checks that the key belongs to the certificate.
    pub(super) fn read(cert: &Path, key: &Path) -> Result<Self, CertificateError> {
        const CERT: &str = "--tls-cert";
        const KEY: &str = "--tls-key";
        let (bytes, _) = read(CERT, cert)?;
        let pem = |why| CertificateError::Pem { option: CERT, file: cert.into(), why };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(pem)?;
        if chain.is_empty() {
            return Err(CertificateError::Empty(cert.into()));
        }
        let (bytes, mode) = read(KEY, key)?;
        if let Some(mode) = mode {
            return Err(CertificateError::Exposed { file: key.into(), mode });
        }
        let pem = |why| CertificateError::Pem { option: KEY, file: key.into(), why };
        let certified = CertifiedKey::from_der(chain, PrivateKeyDer::from_pem_slice(&bytes).map_err(pem)?, &provider());
        let refused = |why| CertificateError::Refused { cert: cert.into(), key: key.into(), why };
        certified.map(|certified| Self(Arc::new(certified))).map_err(refused)
    }
}

/// The TLS settings of the listeners of all workers.
pub(super) struct TlsSettings {
    server: Arc<ServerConfig>,
    current: Arc<CurrentCertificate>,
}

impl TlsSettings {
    /// Returns settings with this certificate and without client certificates.
    pub(super) fn new(certificate: Certificate) -> Result<Self, rustls::Error> {
        let current = Arc::new(CurrentCertificate(RwLock::new(certificate.0)));
        let server = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        Ok(Self { server: Arc::new(server), current })
    }

    /// Returns the settings of a driver with the certificate.
    pub(super) fn add_to(&self, config: DriverConfig) -> DriverConfig {
        config.with_tls_server(self.server.clone())
    }

    /// Replaces the certificate for all later handshakes.
    pub(super) fn replace(&self, certificate: Certificate) {
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = certificate.0;
    }
}

/// The certificate of the next handshake.
struct CurrentCertificate(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCertificate(..)")
    }
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// Returns the bytes of a file, and its permissions if others can read or change it.
fn read(option: &'static str, path: &Path) -> Result<(Vec<u8>, Option<u32>), CertificateError> {
    let unreadable = |why| CertificateError::Unreadable { option, file: path.into(), why };
    let file = File::open(path).map_err(unreadable)?;
    let mode = secret::exposed(&file.metadata().map_err(unreadable)?);
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok((bytes, mode))
}
