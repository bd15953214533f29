//! Messages out of a byte stream (RFC 8489 §6.2.2): their own headers say where they end.
//!
//! Rules of this file: where a message ends is `portolan_stun::framing`'s to say, which keeps nothing; here the bytes are
//! kept that it needs, of each stream. No channel is bound on these streams, so ChannelData is refused like any bytes that do
//! not begin like STUN. It ends the stream, because the start of the next message is unknown; so does a message longer than
//! the bound. Whole messages are handed on in place, only incomplete ones are stored.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use portolan_machine::SocketId;
use portolan_stun::{HEADER_LEN, framing};

/// Cuts one stream into messages.
#[derive(Clone, Debug)]
pub(crate) struct Framer {
    held: Vec<u8>,
    limit: usize,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It does not begin like STUN.
    NotStun,
    /// A message longer than the bound is announced.
    TooLong,
}

impl Framer {
    /// Whatever the length field can say.
    pub(crate) const LONGEST: usize = HEADER_LEN + 65_532;

    pub(crate) const fn new(limit: usize) -> Self {
        Self { held: Vec::new(), limit }
    }

    /// Whether no message is half read.
    pub(crate) const fn is_between(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes the next bytes, and hands on every message that they complete, until `each` returns `false`. That message is
    /// not taken: the bytes that complete it are handed in again. Returns the number of bytes taken.
    pub(crate) fn feed_while(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8]) -> bool) -> Result<usize, Broken> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.held.is_empty()
                && let Some(length) = message_length(rest, self.limit)?
                && let Some((message, after)) = rest.split_at_checked(length)
            {
                if !each(message) {
                    break;
                }
                rest = after;
                continue;
            }
            let wanted = match message_length(&self.held, self.limit)? {
                Some(length) => length,
                None => HEADER_LEN,
            };
            let held = self.held.len();
            let (part, after) = rest.split_at_checked(wanted - held).unwrap_or((rest, &[]));
            self.held.extend_from_slice(part);
            if message_length(&self.held, self.limit)?.is_some_and(|length| length == self.held.len()) {
                if !each(&self.held) {
                    self.held.truncate(held);
                    break;
                }
                self.held.clear();
            }
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }
}

/// The length of the message that begins here, `None` while that cannot be known.
fn message_length(bytes: &[u8], limit: usize) -> Result<Option<usize>, Broken> {
    if bytes.first().is_some_and(|first| first & 0xc0 != 0) {
        return Err(Broken::NotStun);
    }
    match framing::length(bytes) {
        Err(_) => Err(Broken::NotStun),
        Ok(Some(length)) if length > limit => Err(Broken::TooLong),
        Ok(length) => Ok(length),
    }
}

/// The streams on which a message is half read.
///
/// A stream on which a request is pending is kept as long as its message is half read: there are at most as many as
/// requests. Of the streams without a request at most [`RESTING`](Self::RESTING) are kept.
#[derive(Clone, Debug)]
pub(crate) struct Framers {
    reading: BTreeMap<SocketId, Framer>,
    /// Streams without a pending request; the most recent one is last.
    resting: VecDeque<(SocketId, Framer)>,
}

impl Framers {
    /// The number of streams without a request of which the rest of a message is still awaited.
    pub(crate) const RESTING: usize = 32;

    pub(crate) const fn new() -> Self {
        Self { reading: BTreeMap::new(), resting: VecDeque::new() }
    }

    /// Whether a message of this stream is half read.
    pub(crate) fn is_reading(&self, socket: SocketId) -> bool {
        self.reading.contains_key(&socket) || self.resting.iter().any(|(id, _)| *id == socket)
    }

    /// Takes the stream's framer out; a new one where no message is half read.
    pub(crate) fn take(&mut self, socket: SocketId) -> Framer {
        let framer = self.reading.remove(&socket).or_else(|| self.take_resting(socket));
        framer.unwrap_or(const { Framer::new(Framer::LONGEST) })
    }

    /// Keeps a stream's framer if a message is half read. `asked`: a request is pending on the stream.
    pub(crate) fn put(&mut self, socket: SocketId, framer: Framer, asked: bool) {
        if framer.is_between() {
            return;
        }
        if asked {
            self.reading.insert(socket, framer);
            return;
        }
        if self.resting.len() >= Self::RESTING {
            self.resting.pop_front();
        }
        self.resting.push_back((socket, framer));
    }

    /// A request is made on the stream.
    pub(crate) fn wake(&mut self, socket: SocketId) {
        if let Some(framer) = self.take_resting(socket) {
            self.reading.insert(socket, framer);
        }
    }

    /// No request is pending on the stream any more.
    pub(crate) fn rest(&mut self, socket: SocketId) {
        if let Some(framer) = self.reading.remove(&socket) {
            self.put(socket, framer, false);
        }
    }

    /// The stream is gone. Returns whether a message was half read.
    pub(crate) fn forget(&mut self, socket: SocketId) -> bool {
        self.reading.remove(&socket).is_some() || self.take_resting(socket).is_some()
    }

    fn take_resting(&mut self, socket: SocketId) -> Option<Framer> {
        let index = self.resting.iter().position(|(id, _)| *id == socket)?;
        self.resting.remove(index).map(|(_, framer)| framer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const MESSAGE: [u8; 24] = *b"\x01\x01\x00\x04\x21\x12\xa4\x42transaction_\x00\x00\x00\x00";

    #[test]
    fn messages_come_out_whole_however_the_stream_is_cut() {
        let stream = [MESSAGE, MESSAGE, MESSAGE].concat();
        for cut in 1..stream.len() {
            let mut framer = Framer::new(100);
            let mut out = vec![];
            for chunk in stream.chunks(cut) {
                framer
                    .feed_while(chunk, |message| {
                        out.push(message.to_vec());
                        true
                    })
                    .unwrap();
            }
            assert_eq!(out, vec![MESSAGE.to_vec(); 3], "cut into {cut}");
            assert!(framer.is_between());
        }
    }

    #[test]
    fn a_stream_that_is_not_stun_is_known_at_its_first_wrong_field() {
        for (at, byte, known) in [(0, 0x41, 0), (3, 5, 3), (4, 0, 7), (7, 0, 7)] {
            let mut broken = MESSAGE;
            broken[at] = byte;
            let mut framer = Framer::new(100);
            for (n, chunk) in broken.chunks(1).take(known + 1).enumerate() {
                let fed = framer.feed_while(chunk, |_| panic!("no message"));
                assert_eq!(fed, if n == known { Err(Broken::NotStun) } else { Ok(1) }, "byte {at}");
            }
        }
    }

    #[test]
    fn a_long_message_is_refused_before_it_is_held() {
        let mut framer = Framer::new(23);
        assert_eq!(framer.feed_while(&MESSAGE[..4], |_| true), Err(Broken::TooLong));
    }
}
