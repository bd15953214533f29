//! The certificate and the private key for TLS listeners, from PEM files.

use crate::secret;
use portolan_tokio::{DriverConfig, rustls};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

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
pub(super) struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

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
        let certificate = Self { chain, key: PrivateKeyDer::from_pem_slice(&bytes).map_err(pem)? };
        match certificate.add_to(DriverConfig::default()) {
            Ok(_) => Ok(certificate),
            Err(why) => Err(CertificateError::Refused { cert: cert.into(), key: key.into(), why }),
        }
    }

    /// Returns the settings of a driver with this certificate.
    pub(super) fn add_to(&self, config: DriverConfig) -> Result<DriverConfig, rustls::Error> {
        config.with_tls_certificate(self.chain.clone(), self.key.clone_key())
    }
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
