//! Splits a byte stream into messages by the length in their headers (RFC 8489 §6.2.2).
//!
//! Rules of this file: `portolan_stun::framing` computes the length of a message, and this file buffers the bytes of
//! each stream. ChannelData is refused, because no channel is bound on these streams. Bytes that are not STUN, or a
//! message longer than the limit, end the stream, because the start of the next message is unknown. Only incomplete
//! messages are copied.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use portolan_machine::SocketId;
use portolan_stun::{HEADER_LEN, framing};

/// Splits one stream into messages.
#[derive(Clone, Debug)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    limit: usize,
}

/// The reason why a stream cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramingError {
    /// The next bytes are not a STUN header.
    NotStun,
    /// The next message is longer than the limit.
    TooLong,
}

impl Framer {
    /// The longest message that the length field can express.
    pub(crate) const LONGEST: usize = HEADER_LEN + 65_532;

    pub(crate) const fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), limit }
    }

    /// Whether no incomplete message is buffered.
    pub(crate) const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Reads the next bytes, and calls `each` with every complete message until `each` returns `false`. A message
    /// with `false` is not taken, and the caller must pass its bytes again. Returns the number of bytes taken.
    pub(crate) fn feed_while(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<usize, FramingError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.buffer.is_empty()
                && let Some(length) = message_length(rest, self.limit)?
                && let Some((message, after)) = rest.split_at_checked(length)
            {
                if !each(message) {
                    break;
                }
                rest = after;
                continue;
            }
            let needed = match message_length(&self.buffer, self.limit)? {
                Some(length) => length,
                None => HEADER_LEN,
            };
            let held = self.buffer.len();
            let (part, after) = rest.split_at_checked(needed - held).unwrap_or((rest, &[]));
            self.buffer.extend_from_slice(part);
            if message_length(&self.buffer, self.limit)?.is_some_and(|length| length == self.buffer.len()) {
                if !each(&self.buffer) {
                    self.buffer.truncate(held);
                    break;
                }
                self.buffer.clear();
            }
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }
}

/// The length of the message at the start of the bytes; `None` if its header is not complete.
fn message_length(bytes: &[u8], limit: usize) -> Result<Option<usize>, FramingError> {
    if bytes.first().is_some_and(|first| first & 0xc0 != 0) {
        return Err(FramingError::NotStun);
    }
    match framing::length(bytes) {
        Err(_) => Err(FramingError::NotStun),
        Ok(Some(length)) if length > limit => Err(FramingError::TooLong),
        Ok(length) => Ok(length),
    }
}

/// The framers of all streams with an incomplete message.
///
/// Streams with a pending request are at most as many as pending requests. At most [`IDLE_LIMIT`](Self::IDLE_LIMIT)
/// streams without a pending request are kept.
#[derive(Clone, Debug)]
pub(crate) struct Framers {
    active: BTreeMap<SocketId, Framer>,
    /// Streams without a pending request; the most recent one is last.
    idle: VecDeque<(SocketId, Framer)>,
}

impl Framers {
    /// The largest number of streams without a pending request.
    pub(crate) const IDLE_LIMIT: usize = 32;

    pub(crate) const fn new() -> Self {
        Self { active: BTreeMap::new(), idle: VecDeque::new() }
    }

    /// Whether this stream has an incomplete message.
    pub(crate) fn has_partial_message(&self, socket: SocketId) -> bool {
        self.active.contains_key(&socket) || self.idle.iter().any(|(id, _)| *id == socket)
    }

    /// Removes and returns the framer of a stream; a new one if the stream has no incomplete message.
    pub(crate) fn take(&mut self, socket: SocketId) -> Framer {
        let framer = self.active.remove(&socket).or_else(|| self.take_idle(socket));
        framer.unwrap_or(const { Framer::new(Framer::LONGEST) })
    }

    /// Stores the framer of a stream if it has an incomplete message. `has_request`: a request is pending on the
    /// stream.
    pub(crate) fn put(&mut self, socket: SocketId, framer: Framer, has_request: bool) {
        if framer.is_empty() {
            return;
        }
        if has_request {
            self.active.insert(socket, framer);
            return;
        }
        if self.idle.len() >= Self::IDLE_LIMIT {
            self.idle.pop_front();
        }
        self.idle.push_back((socket, framer));
    }

    /// Marks a stream as active when a request is made on it.
    pub(crate) fn activate(&mut self, socket: SocketId) {
        if let Some(framer) = self.take_idle(socket) {
            self.active.insert(socket, framer);
        }
    }

    /// Marks a stream as idle when its last request has ended.
    pub(crate) fn deactivate(&mut self, socket: SocketId) {
        if let Some(framer) = self.active.remove(&socket) {
            self.put(socket, framer, false);
        }
    }

    /// Removes a closed stream. Returns whether it had an incomplete message.
    pub(crate) fn forget(&mut self, socket: SocketId) -> bool {
        self.active.remove(&socket).is_some() || self.take_idle(socket).is_some()
    }

    fn take_idle(&mut self, socket: SocketId) -> Option<Framer> {
        let index = self.idle.iter().position(|(id, _)| *id == socket)?;
        self.idle.remove(index).map(|(_, framer)| framer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const MESSAGE: [u8; 24] = *b"\x01\x01\x00\x04\x21\x12\xa4\x42transaction_\x00\x00\x00\x00";

    #[test]
    fn messages_do_not_depend_on_the_chunks_of_the_stream() {
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
            assert!(framer.is_empty());
        }
    }

    #[test]
    fn a_stream_that_is_not_stun_is_refused_at_its_first_invalid_field() {
        for (at, byte, refused) in [(0, 0x41, 0), (3, 5, 3), (4, 0, 7), (7, 0, 7)] {
            let mut invalid = MESSAGE;
            invalid[at] = byte;
            let mut framer = Framer::new(100);
            for (n, chunk) in invalid.chunks(1).take(refused + 1).enumerate() {
                let fed = framer.feed_while(chunk, |_| panic!("no message"));
                assert_eq!(fed, if n == refused { Err(FramingError::NotStun) } else { Ok(1) }, "byte {at}");
            }
        }
    }

    #[test]
    fn a_long_message_is_refused_before_it_is_buffered() {
        let mut framer = Framer::new(23);
        assert_eq!(framer.feed_while(&MESSAGE[..4], |_| true), Err(FramingError::TooLong));
    }
}
