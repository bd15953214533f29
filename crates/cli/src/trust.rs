//! The authorities for TLS from the PEM file of `--ca-file`.

use portolan_tokio::{DriverConfig, rustls};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use std::path::Path;

/// Why a PEM file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("{file}: {why}; --ca-file needs certificates in PEM format, between BEGIN CERTIFICATE and END CERTIFICATE")]
    Unreadable { file: Box<str>, why: pem::Error },
    #[error("{file}: certificate {number} cannot be used as an authority: {why}")]
    NotAnAuthority { file: Box<str>, number: usize, why: rustls::Error },
    #[error(
        "{0}: the file has no certificate; --ca-file needs PEM format, between BEGIN CERTIFICATE and END CERTIFICATE"
    )]
    Empty(Box<str>),
    #[error("--ca-file has no effect without TLS; add --tls, or leave --ca-file out")]
    Plain,
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Returns a driver's configuration that trusts the certificates of a PEM file and no others, or without a file the
/// authorities of the public web.
pub(crate) fn config(file: Option<&Path>) -> Result<DriverConfig, TrustError> {
    match file {
        Some(file) => Ok(DriverConfig::default().with_tls_roots(roots(file)?)?),
        None => Ok(DriverConfig::default()),
    }
}

/// Reads the certificates of a file, each as an authority.
fn roots(file: &Path) -> Result<RootCertStore, TrustError> {
    let name = || file.display().to_string().into_boxed_str();
    let unreadable = |why| TrustError::Unreadable { file: name(), why };
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(CertificateDer::pem_file_iter(file).map_err(unreadable)?) {
        let certificate = certificate.map_err(unreadable)?;
        roots.add(certificate).map_err(|why| TrustError::NotAnAuthority { file: name(), number, why })?;
    }
    if roots.is_empty() { Err(TrustError::Empty(name())) } else { Ok(roots) }
}
