//! Splits a byte stream into messages by the length in their headers (RFC 8489 §6.2.2, RFC 8656 §12.5).
//!
//! Rules of this file: [`portolan_stun::framing`] computes the length of a frame, and this file buffers the bytes of
//! one stream. A [`ChannelDataPolicy`] decides whether the stream can have ChannelData. The padding of ChannelData is
//! taken from the stream and is not part of the frame. A frame longer than the limit, or bytes that are no frame, end
//! the stream, because the start of the next frame is unknown. Only incomplete frames are copied.
//!
//! ```
//! use portolan_stun_agent::framing::{ChannelDataPolicy, Framer, FramingError};
//!
//! let mut framer = Framer::new(1500, ChannelDataPolicy::Accept);
//! let mut frames = Vec::new();
//! // ChannelData of 2 bytes with 2 bytes of padding, in two chunks.
//! for chunk in [&[0x40, 0x01, 0x00, 0x02, b'h'][..], &[b'i', 0, 0]] {
//!     let taken = framer.feed_while(chunk, |frame| {
//!         frames.push(frame.to_vec());
//!         true
//!     })?;
//!     assert_eq!(taken, chunk.len());
//! }
//! assert_eq!(frames, [[0x40, 0x01, 0x00, 0x02, b'h', b'i']]);
//!
//! let mut framer = Framer::new(1500, ChannelDataPolicy::Refuse);
//! assert_eq!(framer.feed_while(&[0x40], |_| true), Err(FramingError::ChannelData));
//! # Ok::<(), FramingError>(())
//! ```

use alloc::vec::Vec;
use portolan_stun::HEADER_LEN;
use portolan_stun::demux::ChannelData;
use portolan_stun::framing::{FrameError, length};

/// Splits one stream into frames: STUN messages and, if the policy accepts it, ChannelData.
///
/// # Memory
///
/// It buffers at most one incomplete frame: at most the limit and 3 bytes of padding. The capacity of the buffer is at
/// most twice the number of the bytes that were received. After a frame, at most [`KEPT`](Self::KEPT) bytes of
/// capacity are kept.
#[derive(Clone, Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    limit: usize,
    channel_data: ChannelDataPolicy,
}

/// Whether a stream can have ChannelData.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelDataPolicy {
    /// ChannelData ends the stream, because no channel is bound on it.
    Refuse,
    /// ChannelData is a frame (RFC 8656 §12.5).
    Accept,
}

/// The reason why a stream cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FramingError {
    /// The next bytes are no frame.
    #[error("{0}")]
    Frame(FrameError),
    /// The next frame is ChannelData, and the policy is [`ChannelDataPolicy::Refuse`].
    #[error("ChannelData is refused, because no channel is bound on this stream (RFC 8656 §12)")]
    ChannelData,
    /// The next frame is longer than the limit.
    #[error("a frame has at most {limit} bytes, found {length}")]
    TooLong {
        /// Its length in bytes, without padding.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Framer {
    /// The longest frame that a length field can express, in bytes: a STUN message with 65,532 bytes after its header.
    pub const LONGEST: usize = HEADER_LEN + 65_532;
    /// The capacity in bytes that the buffer keeps after a frame.
    pub const KEPT: usize = 4096;

    /// A framer at the start of a stream. A frame has at most `limit` bytes without its padding. Allocates nothing.
    #[must_use]
    pub const fn new(limit: usize, channel_data: ChannelDataPolicy) -> Self {
        Self { buffer: Vec::new(), limit, channel_data }
    }

    /// Changes the limit of the length of a frame, from the next call of [`feed_while`](Self::feed_while) on.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether no incomplete frame is buffered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The number of buffered bytes of an incomplete frame.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Reads the next bytes, and calls `each` with every complete frame until `each` returns `false`. Returns the
    /// number of bytes taken.
    ///
    /// A frame with `false` is not taken, and the caller must pass its bytes again. A frame is without its padding,
    /// and is complete when its padding was received.
    ///
    /// # Errors
    /// After an error the stream has to be closed. The frames before the error were passed to `each`.
    ///
    /// * [`FramingError::Frame`] when the next bytes are no frame.
    /// * [`FramingError::ChannelData`] when the next frame is ChannelData, and the policy refuses it.
    /// * [`FramingError::TooLong`] when the next frame is longer than the limit.
    pub fn feed_while(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8]) -> bool) -> Result<usize, FramingError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.buffer.is_empty()
                && let Some(length) = self.frame_length(rest)?
                && let Some((padded, after)) = rest.split_at_checked(length.next_multiple_of(4))
            {
                if !each(padded.get(..length).unwrap_or_default()) {
                    break;
                }
                rest = after;
                continue;
            }
            let needed = match self.frame_length(&self.buffer)? {
                Some(length) => length.next_multiple_of(4),
                // Both headers have their length field in the first four bytes.
                None => ChannelData::HEAD_LEN,
            };
            let held = self.buffer.len();
            let (part, after) = rest.split_at_checked(needed - held).unwrap_or((rest, &[]));
            self.buffer.extend_from_slice(part);
            if let Some(length) = self.frame_length(&self.buffer)?
                && length.next_multiple_of(4) == self.buffer.len()
            {
                if !each(self.buffer.get(..length).unwrap_or_default()) {
                    self.buffer.truncate(held);
                    break;
                }
                self.clear();
            }
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    fn clear(&mut self) {
        self.buffer.clear();
        if self.buffer.capacity() > Self::KEPT {
            self.buffer = Vec::new();
        }
    }

    /// The length of the frame at the start of the bytes, without padding; `None` if its length field is not complete.
    fn frame_length(&self, bytes: &[u8]) -> Result<Option<usize>, FramingError> {
        if self.channel_data == ChannelDataPolicy::Refuse && bytes.first().is_some_and(|first| first >> 6 == 1) {
            return Err(FramingError::ChannelData);
        }
        let length = length(bytes).map_err(FramingError::Frame)?;
        match length.filter(|&length| length > self.limit) {
            Some(length) => Err(FramingError::TooLong { length, limit: self.limit }),
            None => Ok(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const MESSAGE: [u8; 24] = *b"\x01\x01\x00\x04\x21\x12\xa4\x42transaction_\x00\x00\x00\x00";

    /// Feeds the chunks, and returns the frames.
    fn frames<'a>(framer: &mut Framer, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        let mut out = vec![];
        for chunk in chunks {
            let taken = framer.feed_while(chunk, |frame| {
                out.push(frame.to_vec());
                true
            });
            assert_eq!(taken, Ok(chunk.len()));
        }
        out
    }

    /// ChannelData with `length` bytes of data, without padding.
    fn channel_data(length: usize) -> Vec<u8> {
        let [l0, l1] = u16::try_from(length).unwrap().to_be_bytes();
        let data = (0..length).map(|n| u8::try_from(n % 251).unwrap());
        [0x40, 0x01, l0, l1].into_iter().chain(data).collect()
    }

    /// A STUN message, ChannelData with padding that is not zero, and a STUN message.
    fn mixed(length: usize) -> (Vec<u8>, [Vec<u8>; 3]) {
        let frames = [MESSAGE.to_vec(), channel_data(length), MESSAGE.to_vec()];
        let mut stream = frames[..2].concat();
        stream.resize(stream.len().next_multiple_of(4), 0xee);
        stream.extend_from_slice(&MESSAGE);
        (stream, frames)
    }

    #[test]
    fn messages_do_not_depend_on_the_chunks_of_the_stream() {
        let stream = [MESSAGE, MESSAGE, MESSAGE].concat();
        for policy in [ChannelDataPolicy::Refuse, ChannelDataPolicy::Accept] {
            for cut in 1..stream.len() {
                let mut framer = Framer::new(100, policy);
                let out = frames(&mut framer, stream.chunks(cut));
                assert_eq!(out, vec![MESSAGE.to_vec(); 3], "cut into {cut}");
                assert!(framer.is_empty());
            }
        }
    }

    /// RFC 8656 §12.5: the padding is not payload, and the next frame begins after it.
    #[test]
    fn channel_data_of_each_size_does_not_depend_on_a_split_at_any_byte() {
        for length in 0..=1500 {
            let (stream, expected) = mixed(length);
            let mut framer = Framer::new(1504, ChannelDataPolicy::Accept);
            for at in 0..=stream.len() {
                let (before, after) = stream.split_at(at);
                let mut number = 0;
                for chunk in [before, after] {
                    let taken = framer.feed_while(chunk, |frame| {
                        assert_eq!(frame, expected[number], "{length} bytes, split at {at}");
                        number += 1;
                        true
                    });
                    assert_eq!(taken, Ok(chunk.len()));
                }
                assert_eq!((number, framer.len()), (3, 0), "{length} bytes, split at {at}");
            }
            assert_eq!(frames(&mut framer, stream.chunks(1)), expected);
        }
    }

    #[test]
    fn a_frame_that_is_not_taken_is_passed_again() {
        for length in [0, 1, 4, 7] {
            let (stream, expected) = mixed(length);
            for cut in 1..=stream.len() {
                let mut framer = Framer::new(100, ChannelDataPolicy::Accept);
                let (mut out, mut refuse) = (vec![], true);
                for mut chunk in stream.chunks(cut) {
                    while !chunk.is_empty() {
                        let taken = framer.feed_while(chunk, |frame| {
                            refuse = !refuse;
                            if refuse {
                                return false;
                            }
                            out.push(frame.to_vec());
                            true
                        });
                        chunk = &chunk[taken.unwrap()..];
                    }
                }
                assert_eq!(out, expected, "cut into {cut}");
            }
        }
    }

    #[test]
    fn only_incomplete_frames_are_copied_and_a_large_buffer_is_released() {
        let (stream, _) = mixed(1500);
        let mut framer = Framer::new(Framer::LONGEST, ChannelDataPolicy::Accept);
        assert_eq!(frames(&mut framer, [&stream[..]]).len(), 3);
        assert_eq!(framer.buffer.capacity(), 0, "whole frames are not copied");
        let (stream, _) = mixed(65_535);
        for chunk in stream.chunks(1000) {
            let _frames = frames(&mut framer, [chunk]);
            assert!(framer.buffer.capacity() <= (2 * framer.len()).max(Framer::KEPT));
        }
        assert!(framer.is_empty() && framer.buffer.capacity() <= Framer::KEPT);
    }

    #[test]
    fn a_stream_that_is_not_stun_is_refused_at_its_first_invalid_field() {
        for (at, byte, refused) in [(0, 0x41, 0), (0, 0x80, 0), (3, 5, 3), (4, 0, 7), (7, 0, 7)] {
            let mut invalid = MESSAGE;
            invalid[at] = byte;
            let mut framer = Framer::new(100, ChannelDataPolicy::Refuse);
            for (n, chunk) in invalid.chunks(1).take(refused + 1).enumerate() {
                let fed = framer.feed_while(chunk, |_| panic!("no message"));
                assert_eq!(fed.is_err(), n == refused, "byte {at}: {fed:?}");
                assert_eq!(fed == Err(FramingError::ChannelData), n == refused && byte == 0x41);
            }
        }
    }

    #[test]
    fn a_reserved_channel_number_is_refused() {
        let mut framer = Framer::new(100, ChannelDataPolicy::Accept);
        let fed = framer.feed_while(&[0x50, 0, 0, 1, 0], |_| panic!("no frame"));
        assert_eq!(fed, Err(FramingError::Frame(FrameError::ChannelNumber { found: 0x5000 })));
    }

    #[test]
    fn a_long_frame_is_refused_before_it_is_buffered() {
        for (policy, frame) in
            [(ChannelDataPolicy::Refuse, MESSAGE.to_vec()), (ChannelDataPolicy::Accept, channel_data(20))]
        {
            let mut framer = Framer::new(23, policy);
            let error = FramingError::TooLong { length: 24, limit: 23 };
            assert_eq!(framer.feed_while(&frame[..4], |_| true), Err(error));
        }
    }
}
