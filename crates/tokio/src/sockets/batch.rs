//! Datagrams that leave together.
//!
//! What a machine sends in one go to one remote address in pieces of one size goes to the kernel in one call (generic
//! segmentation offload) and leaves as so many datagrams. Only the last piece may be shorter.

use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{SocketId, Transmit};

/// Pieces that wait to leave together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    to: Option<(SocketId, SocketAddr)>,
    /// The length of every piece but the last.
    size: usize,
    pieces: Vec<Bytes>,
}

impl Batch {
    /// What fits any IPv6 path (1,280 bytes less the IPv6 and UDP headers): offloading larger pieces is refused by
    /// some kernels and devices as a whole.
    pub(crate) const PIECE: usize = 1_232;
    /// The kernel's own bound on segments of one send.
    const PIECES: usize = 64;
    /// Below the longest UDP payload over either family.
    const BYTES: usize = 65_000;

    /// Whether this datagram can leave together with others at all.
    pub(crate) fn suits(transmit: &Transmit) -> bool {
        transmit.hop_limit.is_none() && (1..=Self::PIECE).contains(&transmit.payload.len())
    }

    /// Whether it can join those that wait.
    pub(crate) fn accepts(&self, transmit: &Transmit) -> bool {
        let Some(to) = self.to else {
            return true;
        };
        let length = transmit.payload.len();
        to == (transmit.socket, transmit.remote)
            && length <= self.size
            && self.pieces.last().is_some_and(|last| last.len() == self.size)
            && self.pieces.len() < Self::PIECES
            && (self.pieces.len() + 1) * self.size <= Self::BYTES
    }

    /// Adds it.
    pub(crate) fn push(&mut self, transmit: Transmit) {
        if self.to.is_none() {
            self.to = Some((transmit.socket, transmit.remote));
            self.size = transmit.payload.len();
        }
        self.pieces.push(transmit.payload);
    }

    /// Whether the pieces go out of this socket.
    pub(crate) fn uses(&self, socket: SocketId) -> bool {
        self.to.is_some_and(|(own, _)| own == socket)
    }

    /// Where the pieces go, if any wait; they are then no longer waiting for others.
    pub(crate) fn close(&mut self) -> Option<(SocketId, SocketAddr)> {
        self.to.take()
    }

    /// The length of every piece but the last.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// The pieces themselves.
    pub(crate) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// Forgets the pieces and keeps the room for the next ones.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(socket: u64, port: u16, length: usize) -> Transmit {
        Transmit::new(SocketId(socket), ([127, 0, 0, 1], port).into(), Bytes::from(vec![0; length]))
    }

    #[test]
    fn only_the_last_piece_is_shorter() {
        let mut batch = Batch::default();
        for _ in 0..2 {
            assert!(batch.accepts(&datagram(1, 7, 100)));
            batch.push(datagram(1, 7, 100));
        }
        assert!(!batch.accepts(&datagram(1, 7, 101)), "longer");
        assert!(!batch.accepts(&datagram(1, 8, 100)), "elsewhere");
        assert!(!batch.accepts(&datagram(2, 7, 100)), "from elsewhere");
        assert!(batch.accepts(&datagram(1, 7, 99)));
        batch.push(datagram(1, 7, 99));
        assert!(!batch.accepts(&datagram(1, 7, 99)), "nothing after a shorter one");
        assert_eq!(batch.close(), Some((SocketId(1), ([127, 0, 0, 1], 7).into())));
        assert_eq!((batch.size(), batch.pieces().len()), (100, 3));
        batch.clear();
        assert!(batch.accepts(&datagram(2, 8, 1_000)));
    }

    #[test]
    fn a_batch_is_bounded() {
        for (length, most) in [(20, 64), (1_200, 54)] {
            let mut batch = Batch::default();
            while batch.accepts(&datagram(1, 7, length)) {
                batch.push(datagram(1, 7, length));
            }
            assert_eq!(batch.pieces().len(), most);
        }
    }

    #[test]
    fn long_empty_and_hop_limited_datagrams_leave_alone() {
        assert!(Batch::suits(&datagram(1, 7, Batch::PIECE)));
        assert!(!Batch::suits(&datagram(1, 7, Batch::PIECE + 1)));
        assert!(!Batch::suits(&datagram(1, 7, 0)));
        assert!(!Batch::suits(&datagram(1, 7, 20).with_hop_limit(3)));
    }
}
