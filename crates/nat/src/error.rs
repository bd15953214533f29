//! The errors of a discovery's configuration.
//!
//! ```
//! use portolan_nat::error::DiscoveryConfigError;
//!
//! let error = DiscoveryConfigError::SameAddress { first: 0, second: 2, address: "192.0.2.1:3478".parse()? };
//! assert_eq!(
//!     error.to_string(),
//!     "servers 1 and 3 have the same address 192.0.2.1:3478: name each server once"
//! );
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use core::net::SocketAddr;

/// The reason why a configuration is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryConfigError {
    /// No server has an address in the families.
    #[error("no server has an address in the requested families: name at least one")]
    NoServers,
    /// Two servers have an address in common, and would count as two independent servers.
    #[error("servers {} and {} have the same address {address}: name each server once", first + 1, second + 1)]
    SameAddress {
        /// The place of the first in the list.
        first: usize,
        /// The place of the second.
        second: usize,
        /// The common address.
        address: SocketAddr,
    },
}
