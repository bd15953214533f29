//! The allocations of a server, as its owner sees them.

use super::Server;
use crate::event::{ClientId, RelayedAddresses};
use portolan_machine::Instant;

/// An allocation, as [`Server::allocations`] returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocationInfo {
    /// The client and its user.
    pub client: ClientId,
    /// The relayed addresses.
    pub relayed: RelayedAddresses,
    /// The end of its lifetime, if it is not refreshed.
    pub expires: Instant,
    /// The number of permissions, those included that have expired and are not released yet.
    pub permissions: usize,
    /// The number of channels, those included that have expired and are not released yet.
    pub channels: usize,
}

impl Server {
    /// The allocations whose relay sockets are open.
    pub fn allocations(&self) -> impl Iterator<Item = AllocationInfo> {
        let open = self.table.iter().filter(|(_, allocation)| allocation.pending.is_none());
        open.filter_map(|(_, allocation)| {
            Some(AllocationInfo {
                client: allocation.client_id(),
                relayed: self.relayed(allocation),
                expires: allocation.expires()?,
                permissions: allocation.peers.permissions(),
                channels: allocation.peers.channels(),
            })
        })
    }

    /// The number of open streams of clients.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }
}
