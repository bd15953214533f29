//! Message framing in a byte stream: STUN and ChannelData on one stream, or RFC 4571 packets.
//!
//! Rules of this file: the functions read the bytes that the caller has buffered. They copy and store nothing. `None`
//! means that more bytes are needed. An error means that the stream has lost its framing and must be closed, because
//! the start of the next message is unknown. The caller limits its buffer; `portolan-stun-agent` buffers its own
//! streams.
//!
//! RFC 8489 §6.2.2 and RFC 8656 §12.5 (STUN and ChannelData over TCP and TLS), RFC 4571 §2, RFC 6544 §3 (ICE over TCP).
//!
//! ```
//! use portolan_stun::framing::{Frame, next};
//!
//! // ChannelData of 2 bytes, padded to 4, and the first bytes of the next frame.
//! let buffered = [0x40, 0x01, 0x00, 0x02, b'h', b'i', 0, 0, 0x00, 0x01];
//! let frame = next(&buffered)?.unwrap();
//! assert_eq!(frame.bytes, [0x40, 0x01, 0x00, 0x02, b'h', b'i']);
//! assert_eq!(next(&buffered[frame.taken..])?, None);
//! # Ok::<(), portolan_stun::framing::FrameError>(())
//! ```

use crate::{
    HEADER_LEN, MAGIC_COOKIE,
    demux::{ChannelData, is_channel_number},
};

/// The first message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message, without its padding and without the length field of the framing.
    pub bytes: &'a [u8],
    /// The number of bytes of the frame in the stream. The next frame begins after them.
    pub taken: usize,
}

/// The reason why a stream cannot be split into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FrameError {
    /// The first two bits are neither 00 (STUN) nor 01 (ChannelData).
    #[error("a frame begins with STUN or a channel number, found {found:#04x} (RFC 8656 §12)")]
    FirstByte {
        /// The first byte.
        found: u8,
    },
    /// The channel number is reserved.
    #[error("channel numbers are 0x4000 to 0x4fff, found {found:#06x} (RFC 8656 §12)")]
    ChannelNumber {
        /// The number.
        found: u16,
    },
    /// A STUN length that is not a multiple of 4.
    #[error("the message length is a multiple of 4, found {found} (RFC 8489 §5)")]
    LengthUnaligned {
        /// The length field, bytes after the header.
        found: u16,
    },
    /// A STUN message without its cookie.
    #[error("the magic cookie is 0x2112a442, found {found:#010x} (RFC 8489 §5)")]
    Cookie {
        /// The four bytes at the position of the cookie.
        found: u32,
    },
}

/// Returns the next STUN message or ChannelData of a TCP or TLS stream; `None` if it is not complete.
///
/// A frame is at most 65,552 bytes long. The cookie is checked as soon as it is received, so that the receiver does
/// not wait for 64 KiB of invalid bytes.
///
/// # Errors
/// * [`FrameError::FirstByte`] when the first two bits are neither 00 (STUN) nor 01 (ChannelData).
/// * [`FrameError::ChannelNumber`] when the channel number is reserved.
/// * [`FrameError::LengthUnaligned`] when the length of a STUN message is not a multiple of 4.
/// * [`FrameError::Cookie`] when a STUN message does not have the magic cookie.
pub fn next(stream: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    let Some(length) = length(stream)? else { return Ok(None) };
    let taken = length.next_multiple_of(4);
    // RFC 8656 §12.5: over a stream ChannelData is padded. Its length field excludes the padding.
    let bytes = stream.get(..taken).and_then(|frame| frame.get(..length));
    Ok(bytes.map(|bytes| Frame { bytes, taken }))
}

/// The length of the message at the start of the stream, without padding; `None` if its length field is not complete.
///
/// A caller computes from it how many more bytes to read. The length is 4 to 65,552. In STUN it precedes the cookie,
/// so it can be returned before the cookie is checked.
///
/// ```
/// use portolan_stun::framing::length;
///
/// assert_eq!(length(&[0x00, 0x01, 0x00]), Ok(None));
/// assert_eq!(length(&[0x00, 0x01, 0x00, 0x08]), Ok(Some(28)));
/// assert_eq!(length(&[0x40, 0x01, 0x00, 0x02, b'h']), Ok(Some(6)));
/// ```
///
/// # Errors
/// The same as for [`next`]. [`FrameError::Cookie`] needs the first 8 bytes, the other variants need at most 4.
pub fn length(stream: &[u8]) -> Result<Option<usize>, FrameError> {
    let (Some(&first), head) = (stream.first(), stream.first_chunk::<4>()) else { return Ok(None) };
    match (first >> 6, head) {
        (0, Some(&[_, _, l0, l1])) => stun_length(stream, u16::from_be_bytes([l0, l1])).map(Some),
        (1, Some(&[n0, n1, l0, l1])) => {
            let (number, length) = (u16::from_be_bytes([n0, n1]), u16::from_be_bytes([l0, l1]));
            if !is_channel_number(number) {
                return Err(FrameError::ChannelNumber { found: number });
            }
            Ok(Some(ChannelData::HEAD_LEN + usize::from(length)))
        }
        (0 | 1, None) => Ok(None),
        _ => Err(FrameError::FirstByte { found: first }),
    }
}

fn stun_length(stream: &[u8], length: u16) -> Result<usize, FrameError> {
    if length & 3 != 0 {
        return Err(FrameError::LengthUnaligned { found: length });
    }
    if let Some(&[_, _, _, _, a, b, c, d]) = stream.first_chunk::<8>() {
        let found = u32::from_be_bytes([a, b, c, d]);
        if found != MAGIC_COOKIE {
            return Err(FrameError::Cookie { found });
        }
    }
    Ok(HEADER_LEN + usize::from(length))
}

/// Returns the next packet of an RFC 4571 stream; `None` if it is not complete.
///
/// A packet is 0 to 65,535 bytes long; an empty one is the null packet (RFC 4571 §2). Such a stream is never invalid.
#[must_use]
pub fn next_packet(stream: &[u8]) -> Option<Frame<'_>> {
    let (&length, after) = stream.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(length));
    let bytes = after.get(..length)?;
    Some(Frame { bytes, taken: 2 + length })
}

/// The two bytes before a packet of `length` bytes in an RFC 4571 stream; `None` above 65,535.
#[must_use]
pub fn packet_head(length: usize) -> Option<[u8; 2]> {
    u16::try_from(length).ok().map(u16::to_be_bytes)
}
