//! The datagrams that wait for the permission of their peer.
//!
//! Rules of this file: the queue is bounded for each peer and in all. The oldest datagram is dropped, because the newest
//! one is the most useful for the protocols above: they retransmit. The order of the datagrams of a peer is kept.

use crate::note::RelayDropped;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::SocketId;

/// The queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    queue: VecDeque<HeldDatagram>,
}

/// A datagram that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeldDatagram {
    /// The virtual socket.
    pub(super) socket: SocketId,
    pub(super) peer: SocketAddr,
    pub(super) payload: Bytes,
}

/// The largest number of datagrams for one peer.
pub(super) const OF_PEER: usize = 8;
/// The largest number of datagrams.
pub(super) const LIMIT: usize = 64;

impl Held {
    /// Adds a datagram. Returns the datagram that is dropped for it, with the limit.
    pub(super) fn push(&mut self, datagram: HeldDatagram) -> Option<(HeldDatagram, RelayDropped)> {
        let of_peer = |held: &HeldDatagram| held.is_for(datagram.socket, datagram.peer.ip());
        let dropped = if self.queue.iter().filter(|held| of_peer(held)).count() >= OF_PEER {
            let oldest = self.queue.iter().position(of_peer);
            oldest.and_then(|oldest| self.queue.remove(oldest)).map(|held| (held, RelayDropped::PeerLimit))
        } else if self.queue.len() >= LIMIT {
            self.queue.pop_front().map(|held| (held, RelayDropped::Limit))
        } else {
            None
        };
        self.queue.push_back(datagram);
        dropped
    }

    /// Removes the datagrams for which `is_it` returns true, and returns them in their order.
    pub(super) fn take(&mut self, is_it: impl Fn(&HeldDatagram) -> bool) -> Vec<HeldDatagram> {
        let (taken, kept): (Vec<_>, Vec<_>) = core::mem::take(&mut self.queue).into_iter().partition(is_it);
        self.queue = kept.into();
        taken
    }

    /// Whether a datagram waits for this peer.
    pub(super) fn has(&self, peer: IpAddr) -> bool {
        self.queue.iter().any(|held| held.peer.ip() == peer)
    }
}

impl HeldDatagram {
    /// Whether the datagram is from this socket to this address.
    pub(super) fn is_for(&self, socket: SocketId, peer: IpAddr) -> bool {
        self.socket == socket && self.peer.ip() == peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(host: u8, number: u8) -> HeldDatagram {
        let payload = Bytes::copy_from_slice(&[number]);
        HeldDatagram { socket: SocketId(2), peer: ([203, 0, 113, host], 5000).into(), payload }
    }

    #[test]
    fn the_ninth_datagram_of_a_peer_drops_the_first() {
        let mut held = Held::default();
        for number in 0..8 {
            assert_eq!(held.push(datagram(1, number)), None);
        }
        assert_eq!(held.push(datagram(2, 0)), None, "each peer has a limit of its own");
        assert_eq!(held.push(datagram(1, 8)), Some((datagram(1, 0), RelayDropped::PeerLimit)));
        let peer = datagram(1, 0).peer.ip();
        let numbers: Vec<u8> = held.take(|held| held.peer.ip() == peer).iter().map(|held| held.payload[0]).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(!held.has(peer) && held.has(datagram(2, 0).peer.ip()));
    }

    #[test]
    fn the_sixty_fifth_datagram_drops_the_oldest() {
        let mut held = Held::default();
        for host in 0..64 {
            assert_eq!(held.push(datagram(host, 0)), None);
        }
        assert_eq!(held.push(datagram(64, 0)), Some((datagram(0, 0), RelayDropped::Limit)));
        assert_eq!(held.take(|_| true).len(), LIMIT);
    }
}
