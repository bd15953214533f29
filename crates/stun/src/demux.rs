//! The protocols on a shared socket: the ranges of the first byte (RFC 7983 §7, RFC 5761 §4).
//!
//! Rules of this file: the protocol of a packet is determined by its first byte, and nothing is validated.
//! [`is_stun`](crate::is_stun) checks packets that begin like STUN, and [`ChannelData::decode`] those that begin like
//! ChannelData.
//!
//! ```
//! use portolan_stun::demux::{ChannelData, Protocol};
//!
//! assert_eq!(Protocol::of(&[0x00, 0x01, 0x00, 0x00]), Some(Protocol::Stun));
//! assert_eq!(Protocol::of(&[22, 254, 253]), Some(Protocol::Dtls));
//! assert_eq!(Protocol::of(&[200]), None);
//!
//! let packet = [0x40, 0x01, 0x00, 0x02, b'h', b'i'];
//! let channel_data = ChannelData::decode(&packet)?;
//! assert_eq!((channel_data.number, channel_data.data), (0x4001, &b"hi"[..]));
//! # Ok::<(), portolan_stun::demux::ChannelDataError>(())
//! ```

use core::fmt;

/// The protocol of a packet by its first byte (RFC 7983 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// First byte 0 to 3.
    Stun,
    /// First byte 16 to 19.
    Zrtp,
    /// First byte 20 to 63.
    Dtls,
    /// First byte 64 to 79: ChannelData of TURN.
    TurnChannel,
    /// First byte 128 to 191, second byte not an RTCP packet type.
    Rtp,
    /// First byte 128 to 191, second byte 192 to 223 (RFC 5761 §4).
    Rtcp,
}

impl Protocol {
    /// The protocol; `None` for an empty packet and for first bytes without a protocol.
    #[must_use]
    #[inline]
    pub const fn of(packet: &[u8]) -> Option<Self> {
        match *packet {
            [0..=3, ..] => Some(Self::Stun),
            [16..=19, ..] => Some(Self::Zrtp),
            [20..=63, ..] => Some(Self::Dtls),
            [64..=79, ..] => Some(Self::TurnChannel),
            [128..=191, 192..=223, ..] => Some(Self::Rtcp),
            [128..=191, ..] => Some(Self::Rtp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stun => "STUN",
            Self::Zrtp => "ZRTP",
            Self::Dtls => "DTLS",
            Self::TurnChannel => "TURN channel data",
            Self::Rtp => "RTP",
            Self::Rtcp => "RTCP",
        })
    }
}

/// ChannelData: application data with a header of 4 bytes, between a TURN client and its relay (RFC 8656 §12.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelData<'a> {
    /// The channel's number, 0x4000 to 0x4fff.
    pub number: u16,
    /// The application data.
    pub data: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// The length of the header in bytes.
    pub const HEAD_LEN: usize = 4;

    /// Decodes one datagram.
    ///
    /// Bytes after the length are padding and ignored (RFC 8656 §12.5).
    ///
    /// # Errors
    /// * [`ChannelDataError::Truncated`] when the packet is shorter than 4 bytes, or than its length field announces.
    /// * [`ChannelDataError::Number`] when the number is not that of a channel.
    #[inline]
    pub fn decode(packet: &'a [u8]) -> Result<Self, ChannelDataError> {
        let Some((&[n0, n1, l0, l1], after)) = packet.split_first_chunk::<4>() else {
            return Err(ChannelDataError::Truncated { expected: Self::HEAD_LEN, found: packet.len() });
        };
        let number = u16::from_be_bytes([n0, n1]);
        if !is_channel_number(number) {
            return Err(ChannelDataError::Number { found: number });
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        match after.get(..length) {
            Some(data) => Ok(Self { number, data }),
            None => Err(ChannelDataError::Truncated { expected: Self::HEAD_LEN + length, found: packet.len() }),
        }
    }

    /// Returns the header for `length` bytes of data; `None` if the number or the length is out of range.
    ///
    /// Over UDP the data needs no padding. Over a stream it is padded to a multiple of 4 bytes (RFC 8656 §12.5).
    #[must_use]
    #[inline]
    pub fn head(number: u16, length: usize) -> Option<[u8; 4]> {
        let [l0, l1] = u16::try_from(length).ok()?.to_be_bytes();
        let [n0, n1] = number.to_be_bytes();
        is_channel_number(number).then_some([n0, n1, l0, l1])
    }
}

/// The reason why a packet is not ChannelData.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ChannelDataError {
    /// The packet is shorter than its header, or than its length field states.
    #[error("channel data of {expected} bytes, found {found} (RFC 8656 §12.4)")]
    Truncated {
        /// The length that the packet needs at least, in bytes.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// The number is not a channel number.
    #[error("channel numbers are 0x4000 to 0x4fff, found {found:#06x} (RFC 8656 §12)")]
    Number {
        /// The number.
        found: u16,
    },
}

/// RFC 8656 §12, table 3.
pub(crate) const fn is_channel_number(number: u16) -> bool {
    matches!(number, 0x4000..=0x4fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_has_the_protocol_of_rfc_7983() {
        for first in 0..=u8::MAX {
            let expected = match first {
                0..=3 => Some(Protocol::Stun),
                16..=19 => Some(Protocol::Zrtp),
                20..=63 => Some(Protocol::Dtls),
                64..=79 => Some(Protocol::TurnChannel),
                128..=191 => Some(Protocol::Rtp),
                4..=15 | 80..=127 | 192..=255 => None,
            };
            assert_eq!(Protocol::of(&[first]), expected);
            assert_eq!(Protocol::of(&[first, 0]), expected);
        }
        assert_eq!(Protocol::of(&[]), None);
        for second in 0..=u8::MAX {
            let rtcp = Protocol::of(&[0x80, second]) == Some(Protocol::Rtcp);
            assert_eq!(rtcp, (192..=223).contains(&second));
        }
    }

    #[test]
    fn channel_data_ends_at_its_length_field() {
        let packet = [0x4f, 0xff, 0, 3, 1, 2, 3, 0];
        assert_eq!(ChannelData::decode(&packet), Ok(ChannelData { number: 0x4fff, data: &[1, 2, 3] }));
        assert_eq!(ChannelData::decode(&packet[..7]).unwrap().data, [1, 2, 3]);
        for length in 0..7 {
            let expected = if length < 4 { 4 } else { 7 };
            let refused = ChannelData::decode(&packet[..length]);
            assert_eq!(refused, Err(ChannelDataError::Truncated { expected, found: length }));
        }
    }

    #[test]
    fn channel_numbers_outside_the_range_are_refused() {
        for number in [0, 0x3fff, 0x5000, 0x7fff, 0xffff_u16] {
            let [a, b] = number.to_be_bytes();
            assert_eq!(ChannelData::decode(&[a, b, 0, 0]), Err(ChannelDataError::Number { found: number }));
            assert_eq!(ChannelData::head(number, 0), None);
        }
        assert_eq!(ChannelData::head(0x4000, 65_535), Some([0x40, 0, 0xff, 0xff]));
        assert_eq!(ChannelData::head(0x4000, 65_536), None);
    }
}
