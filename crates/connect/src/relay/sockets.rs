//! The virtual sockets of a relay.
//!
//! Rules of this file: a virtual socket is one relayed address of one allocation. Its carrier is the socket to the
//! server. A socket is *replaced* while another allocation is the current one.

use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::SocketId;

/// The open virtual sockets: at most two for each allocation of the client.
#[derive(Clone, Debug, Default)]
pub(super) struct Sockets {
    open: Vec<VirtualSocket>,
}

/// An open virtual socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VirtualSocket {
    pub(super) id: SocketId,
    /// The socket to the server.
    pub(super) carrier: SocketId,
    /// The relayed address.
    pub(super) local: SocketAddr,
    pub(super) is_replaced: bool,
}

impl Sockets {
    pub(super) fn open(&mut self, id: SocketId, carrier: SocketId, local: SocketAddr) {
        self.open.push(VirtualSocket { id, carrier, local, is_replaced: false });
    }

    pub(super) fn get(&self, id: SocketId) -> Option<VirtualSocket> {
        self.iter().find(|socket| socket.id == id)
    }

    /// The socket on this carrier whose relayed address has the family of the peer.
    pub(super) fn on(&self, carrier: SocketId, peer: SocketAddr) -> Option<VirtualSocket> {
        let mut of_carrier = self.iter().filter(|socket| socket.carrier == carrier);
        of_carrier.find(|socket| socket.local.is_ipv4() == peer.is_ipv4())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = VirtualSocket> {
        self.open.iter().copied()
    }

    /// Marks all sockets as replaced, and returns those that were not.
    pub(super) fn replace_all(&mut self) -> Vec<VirtualSocket> {
        let current = self.open.iter_mut().filter(|socket| !socket.is_replaced);
        current.map(|socket| core::mem::replace(socket, VirtualSocket { is_replaced: true, ..*socket })).collect()
    }

    /// Removes the sockets for which `is_it` returns true, and returns them.
    pub(super) fn take(&mut self, is_it: impl Fn(&VirtualSocket) -> bool) -> Vec<VirtualSocket> {
        let (taken, kept) = core::mem::take(&mut self.open).into_iter().partition(is_it);
        self.open = kept;
        taken
    }
}
