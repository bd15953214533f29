//! A batch of datagrams that are sent in one system call (generic segmentation offload, GSO).
//!
//! Consecutive datagrams of one flow and one size go to the kernel in one call. The kernel sends them as single
//! datagrams. Only the last datagram may be shorter. The bytes are joined in one buffer that is reused, so a datagram
//! costs no allocation.

use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Forward, SocketId, Transmit};

/// The properties that the datagrams of one batch have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) socket: SocketId,
    pub(crate) remote: SocketAddr,
    /// The source address that the machine chose.
    pub(crate) local: Option<IpAddr>,
}

impl From<&Transmit> for Flow {
    fn from(transmit: &Transmit) -> Self {
        Self { socket: transmit.socket, remote: transmit.remote, local: transmit.local }
    }
}

impl From<&Forward<'_>> for Flow {
    fn from(forward: &Forward<'_>) -> Self {
        Self { socket: forward.socket, remote: forward.remote, local: forward.local }
    }
}

/// Datagrams that wait to be sent in one call.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    flow: Option<Flow>,
    /// The length of every datagram but the last.
    size: usize,
    bytes: Vec<u8>,
}

impl Batch {
    /// The longest datagram of a batch, in bytes: it fits any IPv6 path (1,280 bytes less the IPv6 and UDP headers).
    /// Some kernels and devices refuse a whole batch of larger datagrams.
    pub(crate) const SEGMENT: usize = 1_232;
    /// The kernel's bound on the segments of one send.
    const SEGMENTS: usize = 64;
    /// The maximum number of bytes in a batch: less than the longest UDP payload over IPv4 and over IPv6.
    const BYTES: usize = 65_000;

    /// Whether a datagram of this length can share a batch with others.
    pub(crate) fn suits(length: usize) -> bool {
        (1..=Self::SEGMENT).contains(&length)
    }

    /// Whether a datagram of this flow and length can be added to the batch.
    pub(crate) fn accepts(&self, flow: Flow, length: usize) -> bool {
        let Some(own) = self.flow else {
            return true;
        };
        own == flow
            && length <= self.size
            && self.bytes.len().is_multiple_of(self.size)
            && self.bytes.len() / self.size < Self::SEGMENTS
            && self.bytes.len() + self.size <= Self::BYTES
    }

    /// Adds the datagram of this length that `write` appends. The batch must be empty or [`accept`](Self::accepts) the
    /// datagram.
    pub(crate) fn push(&mut self, flow: Flow, length: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.flow.is_none() {
            self.flow = Some(flow);
            self.size = length;
        }
        write(&mut self.bytes);
    }

    /// Whether the datagrams are sent from this socket.
    pub(crate) fn uses(&self, socket: SocketId) -> bool {
        self.flow.is_some_and(|own| own.socket == socket)
    }

    /// Ends the batch. Returns its flow, if datagrams wait.
    pub(crate) fn close(&mut self) -> Option<Flow> {
        self.flow.take()
    }

    /// The length of every datagram but the last.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// The bytes of all datagrams.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of datagrams in a closed batch.
    pub(crate) fn len(&self) -> usize {
        self.datagrams().count()
    }

    /// The datagrams of a closed batch. A batch without bytes holds one empty datagram.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let empty = self.bytes.is_empty().then_some(&[][..]);
        empty.into_iter().chain(self.bytes.chunks(self.size.max(1)))
    }

    /// Removes the datagrams and keeps the buffer for the next batch.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: Flow = Flow {
        socket: SocketId(1),
        remote: SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 7),
        local: None,
    };

    fn push(batch: &mut Batch, length: usize) {
        batch.push(FLOW, length, |out| out.resize(out.len() + length, 6));
    }

    #[test]
    fn only_the_last_datagram_is_shorter() {
        let mut batch = Batch::default();
        for _ in 0..2 {
            assert!(batch.accepts(FLOW, 100));
            push(&mut batch, 100);
        }
        assert!(!batch.accepts(FLOW, 101), "longer");
        assert!(batch.accepts(FLOW, 99));
        push(&mut batch, 99);
        assert!(!batch.accepts(FLOW, 99), "nothing after a shorter one");
        assert_eq!(batch.close(), Some(FLOW));
        assert_eq!((batch.size(), batch.len(), batch.bytes().len()), (100, 3, 299));
        batch.clear();
        assert!(batch.accepts(Flow { socket: SocketId(2), ..FLOW }, 1_000));
    }

    #[test]
    fn datagrams_that_differ_in_socket_remote_or_source_do_not_share_a_batch() {
        let mut batch = Batch::default();
        push(&mut batch, 100);
        let sources = ["127.0.0.1", "::1"].map(|local| Some(local.parse().unwrap()));
        for local in sources {
            assert!(!batch.accepts(Flow { local, ..FLOW }, 100), "another source");
        }
        assert!(!batch.accepts(Flow { remote: ([127, 0, 0, 1], 8).into(), ..FLOW }, 100), "another destination");
        assert!(!batch.accepts(Flow { socket: SocketId(2), ..FLOW }, 100), "another socket");
        assert!(batch.accepts(FLOW, 100));
    }

    #[test]
    fn a_batch_is_bounded() {
        for (length, most) in [(20, 64), (1_200, 54)] {
            let mut batch = Batch::default();
            while batch.accepts(FLOW, length) {
                push(&mut batch, length);
            }
            assert_eq!(batch.len(), most);
        }
    }

    #[test]
    fn a_batch_of_one_holds_any_length() {
        for length in [0, 1, Batch::SEGMENT, Batch::SEGMENT + 1, 65_507] {
            let mut batch = Batch::default();
            push(&mut batch, length);
            assert_eq!(batch.datagrams().map(<[u8]>::len).collect::<Vec<_>>(), [length]);
            assert_eq!(Batch::suits(length), (1..=Batch::SEGMENT).contains(&length));
        }
    }
}
