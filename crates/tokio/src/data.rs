//! Application data: bytes that the machine does not take, and the queue in which they wait for the owner of the
//! driver.
//!
//! Events and data are returned in order of arrival. Each part of the queue is bounded:
//!
//! * Events: at a limit the driver stops draining the machine.
//! * Datagrams: the number of their bytes is limited.
//! * Streams: one chunk for each stream, because the driver does not read a stream while a chunk waits.

use alloc::collections::VecDeque;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use portolan_machine::SocketId;

/// Bytes that no machine took: a UDP datagram, or the next bytes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The socket that received the bytes.
    pub socket: SocketId,
    /// The address that the bytes were sent to; never unspecified.
    pub local: SocketAddr,
    /// The address that the bytes came from.
    pub remote: SocketAddr,
    /// The bytes; on a stream at most 64 KiB. An empty payload of a stream means that the stream has ended and its id
    /// is no longer valid.
    pub payload: Bytes,
}

/// The next item for the owner, from [`Driver::next_or_data`](crate::Driver::next_or_data).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventOrData<E> {
    /// An event of the machine.
    Event(E),
    /// Bytes that the machine did not take.
    Data(Received),
}

/// The reason for which [`Driver::send`](crate::Driver::send) sent nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError {
    /// The socket is not open: its id is unknown or no longer valid, it is not open yet, or it is a listener.
    NotOpen,
    /// On a UDP socket: the system's send buffer is full. On a stream: more than 64 KiB wait to be sent, or more than
    /// 256 KiB would wait.
    Full,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the socket is not open",
            Self::Full => "too many bytes wait to be sent",
        })
    }
}

impl core::error::Error for SendError {}

/// The queue for the owner: events, and data once the owner has requested data.
#[derive(Debug)]
pub(crate) struct OwnerQueue<E> {
    events: VecDeque<(u64, E)>,
    data: VecDeque<(u64, Data)>,
    /// The number of items that have arrived. It numbers the items in order of arrival.
    arrived: u64,
    /// The bytes of the datagrams that wait.
    bytes: usize,
    keeps_data: bool,
}

#[derive(Debug)]
struct Data {
    received: Received,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A datagram, or the end of a stream.
    Datagram,
    /// Bytes of a stream. The stream is not read until the owner has taken them.
    Chunk,
}

impl<E> OwnerQueue<E> {
    /// The maximum number of bytes of queued datagrams.
    pub(crate) const BYTES: usize = 1_024 * 1_024;
    /// The minimum number of bytes that a datagram counts for, so that the number of empty datagrams is bounded too.
    const LEAST: usize = 64;
    /// The capacity, in items, that is kept when the queue is empty.
    const KEPT: usize = 64;

    pub(crate) const fn new() -> Self {
        Self { events: VecDeque::new(), data: VecDeque::new(), arrived: 0, bytes: 0, keeps_data: false }
    }

    /// Keeps data from now on.
    pub(crate) const fn keep_data(&mut self) {
        self.keeps_data = true;
    }

    pub(crate) const fn keeps_data(&self) -> bool {
        self.keeps_data
    }

    /// The number of events that wait.
    pub(crate) fn events(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn push_event(&mut self, event: E) {
        let number = self.number();
        self.events.push_back((number, event));
    }

    /// Queues a datagram. Returns `false` if the datagram was dropped because too many bytes wait.
    pub(crate) fn push_datagram(&mut self, received: Received) -> bool {
        let bytes = self.bytes + received.payload.len().max(Self::LEAST);
        if bytes > Self::BYTES {
            return false;
        }
        self.bytes = bytes;
        self.push_data(received, Kind::Datagram);
        true
    }

    /// Queues bytes of a stream. The caller must not read the stream until they are taken.
    pub(crate) fn push_chunk(&mut self, received: Received) {
        self.push_data(received, Kind::Chunk);
    }

    /// Queues the end of a stream. Returns `false` if the end was dropped because too many bytes wait.
    pub(crate) fn push_end(&mut self, socket: SocketId, local: SocketAddr, remote: SocketAddr) -> bool {
        self.push_datagram(Received { socket, local, remote, payload: Bytes::new() })
    }

    /// Drops the bytes of a stream that the machine has closed. Otherwise each new stream of a peer could leave a
    /// chunk, and the queue would not be bounded.
    pub(crate) fn drop_chunk(&mut self, socket: SocketId) {
        self.data.retain(|(_, data)| data.kind != Kind::Chunk || data.received.socket != socket);
    }

    /// Returns the oldest event.
    pub(crate) fn pop_event(&mut self) -> Option<E> {
        self.events.pop_front().map(|(_, event)| event)
    }

    /// Drops all events.
    pub(crate) fn clear_events(&mut self) {
        self.events.clear();
    }

    /// Returns the oldest event or data. For a chunk also returns its stream, which may be read again.
    pub(crate) fn pop(&mut self) -> Option<(EventOrData<E>, Option<SocketId>)> {
        let event = self.events.front().map(|(number, _)| *number);
        let data = self.data.front().map(|(number, _)| *number);
        if data.is_none_or(|data| event.is_some_and(|event| event < data)) {
            return self.pop_event().map(|event| (EventOrData::Event(event), None));
        }
        let (_, Data { received, kind }) = self.data.pop_front()?;
        let read_on = match kind {
            Kind::Datagram => {
                self.bytes = self.bytes.saturating_sub(received.payload.len().max(Self::LEAST));
                None
            }
            Kind::Chunk => Some(received.socket),
        };
        if self.data.is_empty() {
            self.data.shrink_to(Self::KEPT);
        }
        Some((EventOrData::Data(received), read_on))
    }

    fn push_data(&mut self, received: Received, kind: Kind) {
        let number = self.number();
        self.data.push_back((number, Data { received, kind }));
    }

    fn number(&mut self) -> u64 {
        self.arrived += 1;
        self.arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(length: usize) -> Received {
        let (local, remote) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        Received { socket: SocketId(1), local, remote, payload: vec![0; length].into() }
    }

    #[test]
    fn events_and_data_are_returned_in_order_of_arrival() {
        let mut queue = OwnerQueue::new();
        queue.push_event('a');
        assert!(queue.push_datagram(datagram(1)));
        queue.push_event('b');
        queue.push_chunk(datagram(2));
        queue.push_event('c');
        assert_eq!(queue.pop_event(), Some('a'));
        assert_eq!(queue.pop(), Some((EventOrData::Data(datagram(1)), None)));
        assert_eq!(queue.pop(), Some((EventOrData::Event('b'), None)));
        assert_eq!(queue.pop_event(), Some('c'), "data does not delay events");
        assert_eq!(queue.pop(), Some((EventOrData::Data(datagram(2)), Some(SocketId(1)))));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_chunk_of_a_closed_stream_is_dropped() {
        let mut queue = OwnerQueue::<()>::new();
        queue.push_chunk(datagram(65_536));
        assert!(queue.push_datagram(datagram(3)));
        queue.drop_chunk(SocketId(1));
        assert_eq!(queue.pop(), Some((EventOrData::Data(datagram(3)), None)));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn datagrams_are_bounded_by_their_bytes_and_by_their_number() {
        for (length, most) in [(1_024, 1_024), (65_507, 16), (0, 16_384), (64, 16_384)] {
            let mut queue = OwnerQueue::<()>::new();
            let kept = (0..20_000).filter(|_| queue.push_datagram(datagram(length))).count();
            assert_eq!(kept, most, "datagrams of {length} bytes");
            assert!(queue.pop().is_some());
            assert!(queue.push_datagram(datagram(length)), "there is room again");
            assert!(!queue.push_datagram(datagram(length)), "for one");
            while queue.pop().is_some() {}
            assert_eq!(queue.bytes, 0);
            assert!(queue.data.capacity() <= 64, "the memory is released");
        }
    }
}
