//! The replacement of `trust` in a build without TLS: every use of TLS is refused.

use portolan_tokio::DriverConfig;
use std::path::Path;

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("this portolan was built without TLS; build it with the default features")]
    NotBuilt,
    #[error("--ca-file has no effect without TLS; add --tls, or leave --ca-file out")]
    Plain,
}

/// Returns the error of a build without TLS.
pub(crate) fn config(_: Option<&Path>) -> Result<DriverConfig, TrustError> {
    Err(TrustError::NotBuilt)
}
