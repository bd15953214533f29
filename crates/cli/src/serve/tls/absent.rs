//! TLS listeners in a build without the feature `tls`.

use core::convert::Infallible;
use portolan_tokio::DriverConfig;
use std::path::Path;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("this build of portolan has no TLS; leave out --tls-listen, or build with the feature `tls`")]
pub(crate) struct CertificateError;

/// A certificate, which this build never has.
pub(super) struct Certificate(Infallible);

impl Certificate {
    pub(super) fn read(_: &Path, _: &Path) -> Result<Self, CertificateError> {
        Err(CertificateError)
    }
}

/// The TLS settings, which this build never has.
pub(super) struct TlsSettings(Infallible);

impl TlsSettings {
    pub(super) fn new(certificate: Certificate) -> Result<Self, CertificateError> {
        match certificate.0 {}
    }

    pub(super) fn add_to(&self, _: DriverConfig) -> DriverConfig {
        match self.0 {}
    }

    pub(super) fn replace(&self, _: Certificate) {
        match self.0 {}
    }
}
