//! The allocations of a client, as its owner sees them.
//!
//! An owner that presents each allocation as a socket needs to know which allocation a datagram belongs to, and which
//! peers this allocation permits.

use super::Client;
use super::allocation::{Allocation, Phase, Role};
use core::net::{IpAddr, SocketAddr};
use portolan_machine::SocketId;

/// An allocation that relays data, as [`Client::allocations`] returns it.
#[derive(Clone, Copy, Debug)]
pub struct ClientAllocation<'a> {
    allocation: &'a Allocation,
    socket: SocketId,
}

/// The state of a permission at one allocation (RFC 8656 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PermissionState {
    /// No permission was requested.
    Absent,
    /// A request is pending, or waits to be sent.
    Pending,
    /// The server has confirmed a permission, or a channel.
    Granted,
    /// The server has denied the permission, or has not responded.
    Denied,
}

impl<'a> ClientAllocation<'a> {
    /// The socket to the server. No two allocations have the same socket at one time.
    #[must_use]
    pub const fn socket(&self) -> SocketId {
        self.socket
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> SocketAddr {
        self.allocation.server
    }

    /// The relayed addresses: one, or two of a dual allocation.
    #[must_use]
    pub fn relayed(&self) -> &'a [SocketAddr] {
        &self.allocation.grant.relayed
    }

    /// The client's address as the server sees it.
    #[must_use]
    pub const fn mapped(&self) -> SocketAddr {
        self.allocation.grant.mapped
    }

    /// Whether the client uses this allocation. Otherwise another one has replaced it, and it exists until the end of
    /// the overlap.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.allocation.role == Role::Current
    }

    /// The state of the permission of a peer.
    #[must_use]
    pub fn permission(&self, peer: IpAddr) -> PermissionState {
        self.allocation.peers.permission(peer)
    }

    /// The peers whose permission was denied, in the order of their addresses.
    pub fn denied(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let allocation = self.allocation;
        allocation.peers.permissions().filter(|peer| allocation.peers.permission(*peer) == PermissionState::Denied)
    }
}

impl Client {
    /// The allocations that relay data: the current one, and those that were replaced, until the end of the overlap.
    pub fn allocations(&self) -> impl Iterator<Item = ClientAllocation<'_>> {
        let relaying = self.allocations.iter().filter(|allocation| allocation.relays());
        relaying.filter_map(|allocation| Some(ClientAllocation { allocation, socket: allocation.socket? }))
    }

    /// Whether the client has ordered this socket, and has not closed it.
    #[must_use]
    pub fn has_socket(&self, socket: SocketId) -> bool {
        self.on_socket(socket).is_some()
    }
}

impl Allocation {
    /// Whether the owner can send on the allocation.
    pub(super) fn relays(&self) -> bool {
        self.phase == Phase::Active && self.role != Role::Next
    }
}
