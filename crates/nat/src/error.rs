//! What the caller did wrong.
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

/// A configuration that no discovery can run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryConfigError {
    /// There is no server address at all in the families asked for.
    #[error("no server has an address in the families asked for: name at least one")]
    NoServers,
    /// Two servers have an address in common, and would be taken for two witnesses.
    #[error("servers {} and {} have the same address {address}: name each server once", first + 1, second + 1)]
    SameAddress {
        /// Place of the one in the list.
        first: usize,
        /// Place of the other.
        second: usize,
        /// What they share.
        address: SocketAddr,
    },
}
