//! One direction of a stream: unsent bytes, bytes in transit, and unread bytes.
//!
//! Rules of this file: a pipe keeps the order of bytes and loses none. The receive window is [`WINDOW`] bytes, bytes in
//! transit included. A reader that takes nothing therefore stops the sender. The thresholds of the sender are those of
//! the driving contract ([`portolan_machine::socket`]). A pipe uses no clock and no machine.

use crate::clock::Nanos;
use crate::map::Hop;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use portolan_machine::{Closure, SocketEvent, WhenFull};
use portolan_stun::HEADER_LEN;
use portolan_stun::framing::{self, FrameError};

/// The receive window: the most bytes in transit or unread.
pub(super) const WINDOW: usize = 64 * 1_024;
/// Above this number of unsent bytes a stream is full. The driver then hands the accepting end no bytes of this stream.
const FULL: usize = 64 * 1_024;
/// Below this number of unsent bytes a full stream becomes writable.
const WRITABLE: usize = 32 * 1_024;
/// The most unsent bytes; above this number the driver closes the stream.
const OVERFLOW: usize = 256 * 1_024;

/// One direction of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    /// The wires from the sender to the reader.
    pub(super) hops: Vec<Hop>,
    /// The arrival time of the last segment. No segment overtakes another.
    pub(super) last_arrival: Nanos,
    /// The pending retransmission over a broken path.
    pub(super) retry: Option<Retry>,
}

/// A segment of a stream in transit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The offset of this segment in the stream, in bytes.
    start: u64,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Bytes(Bytes),
    /// The end of the stream: FIN or RST.
    End(Closure),
}

impl Segment {
    /// The number of bytes.
    pub(super) fn len(&self) -> usize {
        match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::End(_) => 0,
        }
    }
}

/// The send queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    waiting: VecDeque<Bytes>,
    unsent: usize,
    /// Segments that were lost on a broken path, by their offset. They are retransmitted before all others.
    returned: BTreeMap<u64, Segment>,
    in_window: usize,
    /// The number of bytes sent; a retransmitted byte counts once.
    sent: u64,
    /// The end of the stream, sent after all bytes.
    end: Option<Closure>,
    /// Whether the machine was notified that the stream is full.
    is_full: bool,
    /// Whether the queue accepts no more bytes.
    is_ended: bool,
    /// Whether the sender sends nothing more.
    is_abandoned: bool,
}

impl Sender {
    /// Queues bytes at the end. Returns `false` if the bytes were dropped.
    pub(super) fn push(&mut self, payload: Bytes, when_full: WhenFull) -> bool {
        if when_full == WhenFull::Drop && self.is_blocked() {
            return false;
        }
        if !self.is_ended && !payload.is_empty() {
            self.unsent += payload.len();
            self.waiting.push_back(payload);
        }
        true
    }

    /// Takes the next segment of at most `limit` bytes that fits into the window.
    pub(super) fn next_segment(&mut self, limit: usize) -> Option<Segment> {
        if let Some((_, segment)) = self.returned.pop_first() {
            return Some(segment);
        }
        let start = self.sent;
        let Some(front) = self.waiting.front_mut() else {
            return self.end.take().map(|why| Segment { start, content: Content::End(why) });
        };
        let length = front.len().min(limit).min(WINDOW - self.in_window);
        if length == 0 {
            return None;
        }
        let bytes = front.split_to(length);
        if front.is_empty() {
            self.waiting.pop_front();
        }
        self.unsent -= length;
        self.in_window += length;
        self.sent += length as u64;
        Some(Segment { start, content: Content::Bytes(bytes) })
    }

    /// Whether the sender has something to send that fits into the window.
    pub(super) fn has_segment(&self) -> bool {
        let has_room = self.in_window < WINDOW;
        !self.returned.is_empty() || if self.waiting.is_empty() { self.end.is_some() } else { has_room }
    }

    /// Takes back a segment that did not arrive.
    pub(super) fn give_back(&mut self, segment: Segment) {
        if !self.is_abandoned {
            self.returned.insert(segment.start, segment);
        }
    }

    /// Opens the window by the bytes that the reader has taken.
    pub(super) const fn acknowledge(&mut self, taken: usize) {
        self.in_window = self.in_window.saturating_sub(taken);
    }

    /// The socket event for the machine; each change is reported once.
    pub(super) const fn socket_event(&mut self) -> Option<SocketEvent> {
        if !self.is_full && self.unsent > FULL {
            self.is_full = true;
            Some(SocketEvent::Full)
        } else if self.is_full && self.unsent < WRITABLE {
            self.is_full = false;
            Some(SocketEvent::Writable)
        } else {
            None
        }
    }

    /// Whether the queue is so long that the driver drops droppable transmits, and hands an accepting end no bytes.
    pub(super) const fn is_blocked(&self) -> bool {
        self.unsent > FULL
    }

    /// Whether the queue is so long that the driver closes the stream.
    pub(super) const fn overflows(&self) -> bool {
        self.unsent > OVERFLOW
    }

    /// Sends the end after the queued bytes, and accepts no more.
    pub(super) fn finish(&mut self) {
        if !self.is_ended {
            (self.end, self.is_ended) = (Some(Closure::ByPeer), true);
        }
    }

    /// Drops the queued bytes, and sends a reset after the bytes already sent.
    pub(super) fn reset(&mut self) {
        self.waiting.clear();
        (self.unsent, self.end, self.is_ended) = (0, Some(Closure::Reset), true);
    }

    /// Drops the queued bytes, and sends nothing more.
    pub(super) fn abandon(&mut self) {
        let Self { in_window, sent, is_full, .. } = *self;
        *self = Self { in_window, sent, is_full, is_ended: true, is_abandoned: true, ..Self::default() };
    }

    pub(super) const fn unsent(&self) -> usize {
        self.unsent
    }

    pub(super) const fn in_window(&self) -> usize {
        self.in_window
    }
}

/// The receive queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Receiver {
    chunks: VecDeque<Bytes>,
    unread: usize,
    /// The number of bytes that have arrived: the offset of the next segment.
    arrived: u64,
    /// The end of the stream, reported after the last bytes.
    end: Option<Closure>,
    /// The number of consecutive calls in which the machine took nothing.
    refused: u8,
    /// For a server: the start of an incomplete message.
    held: Vec<u8>,
}

impl Receiver {
    /// Whether a segment is the next one. It is not if an earlier segment was lost.
    pub(super) const fn expects(&self, segment: &Segment) -> bool {
        segment.start == self.arrived
    }

    /// Adds the next segment.
    pub(super) fn push(&mut self, segment: Segment) {
        self.arrived += segment.len() as u64;
        match segment.content {
            Content::Bytes(bytes) => {
                self.unread += bytes.len();
                self.chunks.push_back(bytes);
            }
            Content::End(why) => self.break_off(why),
        }
    }

    /// Ends the stream after the bytes that have arrived.
    pub(super) fn break_off(&mut self, why: Closure) {
        self.end = self.end.or(Some(why));
    }

    /// The next bytes to hand in; a clone is cheap.
    pub(super) fn front(&self) -> Option<&Bytes> {
        self.chunks.front()
    }

    /// Removes `taken` bytes from the front. Returns `false` if the machine took nothing twice in a row.
    pub(super) fn take(&mut self, taken: usize) -> bool {
        self.refused = if taken == 0 { self.refused.saturating_add(1) } else { 0 };
        if let Some(front) = self.chunks.front_mut() {
            let taken = taken.min(front.len());
            let _taken = front.split_to(taken);
            self.unread -= taken;
            if front.is_empty() {
                self.chunks.pop_front();
            }
        }
        self.refused < 2
    }

    /// Resets the count of calls without progress, because the stream was not read meanwhile.
    pub(super) const fn forgive(&mut self) {
        self.refused = 0;
    }

    /// The end of the stream, once all bytes are read.
    pub(super) fn ended(&self) -> Option<Closure> {
        self.end.filter(|_| self.chunks.is_empty())
    }

    /// Whether the end has arrived.
    pub(super) const fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Drops unread bytes. Returns their number.
    pub(super) fn discard(&mut self) -> usize {
        self.chunks.clear();
        core::mem::take(&mut self.unread)
    }

    /// Whether bytes, or the end, can be read.
    pub(super) fn is_readable(&self) -> bool {
        !self.chunks.is_empty() || self.end.is_some()
    }

    pub(super) const fn unread(&self) -> usize {
        self.unread
    }

    /// For a server: takes the held message if it is complete.
    pub(super) fn next_message(&mut self) -> Option<Vec<u8>> {
        let length = stun_length(&self.held).ok().flatten()?;
        (self.held.len() >= length).then(|| core::mem::take(&mut self.held))
    }

    /// For a server: takes bytes up to the end of a message. Returns their number. A chunk that is not STUN is dropped.
    pub(super) fn hold(&mut self) -> usize {
        let Some(front) = self.chunks.front() else { return 0 };
        let wanted = stun_length(&self.held).ok().flatten().unwrap_or(HEADER_LEN);
        let mut taken = front.len().min(wanted.saturating_sub(self.held.len()));
        self.held.extend_from_slice(front.get(..taken).unwrap_or_default());
        if stun_length(&self.held).is_err() {
            self.held.clear();
            taken = front.len();
        }
        self.take(taken);
        taken
    }
}

/// The length of the STUN message at the front; `None`: still unknown. ChannelData is not supported.
fn stun_length(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    match bytes.first() {
        Some(&found) if found & 0xc0 != 0 => Err(FrameError::FirstByte { found }),
        _ => framing::length(bytes),
    }
}

/// Retransmissions over a broken path, at the intervals of Linux: 200 ms, doubled up to 120 s. After the fifteenth, at
/// 924.6 s, the stream ends (`tcp_retries2`; RFC 9293 §3.8.3 asks for at least 100 s).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Retry {
    count: u32,
}

impl Retry {
    const FIRST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(120);
    const LIMIT: u32 = 15;

    /// The time until the next retransmission.
    pub(super) fn delay(self) -> Duration {
        (Self::FIRST * 2_u32.pow(self.count)).min(Self::LONGEST)
    }

    /// The delay of the next retransmission; `None` after the last one.
    pub(super) fn next(self) -> Option<Self> {
        (self.count < Self::LIMIT).then(|| Self { count: self.count + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1_024;

    fn bytes(length: usize) -> Bytes {
        Bytes::from(alloc::vec![7; length])
    }

    fn sent(sender: &mut Sender) -> usize {
        core::iter::from_fn(|| sender.next_segment(10 * KIB)).map(|segment| segment.len()).sum()
    }

    #[test]
    fn a_sender_fills_the_window_and_continues_when_the_reader_takes_bytes() {
        let mut sender = Sender::default();
        assert!(sender.push(bytes(100 * KIB), WhenFull::Close));
        assert_eq!((sent(&mut sender), sender.unsent(), sender.in_window()), (64 * KIB, 36 * KIB, 64 * KIB));
        assert!(!sender.has_segment());
        sender.acknowledge(5 * KIB);
        assert_eq!((sent(&mut sender), sender.unsent()), (5 * KIB, 31 * KIB));
        sender.finish();
        sender.acknowledge(64 * KIB);
        assert_eq!(sent(&mut sender), 31 * KIB, "and the end after the last bytes");
        assert!(!sender.has_segment());
    }

    #[test]
    fn full_and_writable_are_reported_once_and_droppable_bytes_are_dropped_whole() {
        let mut sender = Sender::default();
        sender.push(bytes(128 * KIB), WhenFull::Close);
        sent(&mut sender);
        assert_eq!((sender.unsent(), sender.socket_event(), sender.is_blocked()), (64 * KIB, None, false));
        assert!(sender.push(bytes(1), WhenFull::Drop), "64 KiB wait, not more");
        assert_eq!((sender.socket_event(), sender.socket_event()), (Some(SocketEvent::Full), None));
        assert!(!sender.push(bytes(1), WhenFull::Drop));
        assert!(sender.push(bytes(192 * KIB - 1), WhenFull::Close) && !sender.overflows());
        assert!(sender.push(bytes(1), WhenFull::Close) && sender.overflows());
        for _ in 0..4 {
            sender.acknowledge(56 * KIB);
            sent(&mut sender);
        }
        assert_eq!((sender.unsent(), sender.socket_event()), (32 * KIB + 1, None));
        sender.acknowledge(2);
        sent(&mut sender);
        assert_eq!(
            (sender.unsent(), sender.socket_event(), sender.socket_event()),
            (32 * KIB - 1, Some(SocketEvent::Writable), None)
        );
    }

    #[test]
    fn lost_segments_are_retransmitted_first_and_in_order() {
        let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
        sender.push(bytes(3), WhenFull::Close);
        sender.push(bytes(2), WhenFull::Close);
        sender.finish();
        let [first, second, end] = [9; 3].map(|limit| sender.next_segment(limit).unwrap());
        assert!(!sender.has_segment());
        // The first segment is lost; the segments behind it arrive after the path is repaired.
        sender.give_back(first.clone());
        assert_eq!(sender.next_segment(9), Some(first.clone()));
        assert!(receiver.expects(&first) && !receiver.expects(&second) && !receiver.expects(&end));
        sender.give_back(end.clone());
        sender.give_back(second.clone());
        assert_eq!([9; 2].map(|limit| sender.next_segment(limit)), [Some(second.clone()), Some(end.clone())]);
        for segment in [first, second, end] {
            assert!(receiver.expects(&segment));
            receiver.push(segment);
        }
        assert_eq!((receiver.unread(), receiver.end), (5, Some(Closure::ByPeer)));
        assert_eq!((sender.next_segment(9), sender.in_window()), (None, 5));
    }

    #[test]
    fn a_reset_follows_the_bytes_that_were_sent_and_an_abandoned_sender_sends_nothing() {
        let mut sender = Sender::default();
        sender.push(bytes(3), WhenFull::Close);
        let first = sender.next_segment(9).unwrap();
        sender.push(bytes(2), WhenFull::Close);
        sender.give_back(first.clone());
        sender.reset();
        assert_eq!((sender.unsent(), sender.next_segment(9)), (0, Some(first.clone())));
        assert_eq!(sender.next_segment(9), Some(Segment { start: 3, content: Content::End(Closure::Reset) }));
        sender.abandon();
        sender.give_back(first);
        sender.push(bytes(2), WhenFull::Close);
        assert!(!sender.has_segment());
    }

    #[test]
    fn the_end_is_reported_after_the_last_bytes() {
        let mut receiver = Receiver::default();
        receiver.push(Segment { start: 0, content: Content::Bytes(bytes(10)) });
        receiver.push(Segment { start: 10, content: Content::End(Closure::ByPeer) });
        receiver.break_off(Closure::Reset);
        assert!(receiver.take(4) && receiver.take(0) && receiver.take(5));
        assert_eq!((receiver.unread(), receiver.ended()), (1, None));
        assert!(receiver.take(0) && !receiver.take(0), "nothing twice in a row");
        receiver.forgive();
        assert!(receiver.take(0) && receiver.take(1));
        assert_eq!((receiver.unread(), receiver.ended()), (0, Some(Closure::ByPeer)));
    }

    #[test]
    fn retransmissions_end_after_fifteen_minutes() {
        let mut total = Duration::ZERO;
        let mut retry = Some(Retry::default());
        while let Some(now) = retry {
            total += now.delay();
            retry = now.next();
        }
        assert_eq!(total, Duration::from_millis(924_600));
    }
}
