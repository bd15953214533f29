//! The framing of a TCP candidate: packets with a length of two bytes (RFC 4571 §2, RFC 6544 §3).
//!
//! Rules of this file: the functions are pure, and the memory is bounded by the longest packet. The first packet of a
//! stream must be STUN, and is short: other streams are not those of an ICE agent (RFC 6544 §7.1).

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use portolan_stun::framing::packet_head;
use portolan_stun::is_stun;

/// The reader of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frames {
    /// The begin of the next packet, with its length field.
    buffer: Vec<u8>,
    has_stun: bool,
}

/// Why a stream is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFault {
    /// The first packet is not STUN.
    NotStun,
    /// The first packet is longer than 2,048 bytes.
    TooLong(u16),
}

impl fmt::Display for StreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStun => f.write_str("its first packet is not STUN"),
            Self::TooLong(length) => write!(f, "its first packet has {length} bytes, expected at most {FIRST}"),
        }
    }
}

impl Frames {
    /// Reads bytes up to the end of one packet. Returns the number of bytes that were taken, and the packet if it is
    /// complete. Empty packets are left out.
    ///
    /// # Errors
    /// * [`StreamFault::NotStun`] when the first packet is not STUN.
    /// * [`StreamFault::TooLong`] when the first packet is too long.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(usize, Option<Bytes>), StreamFault> {
        let mut taken = 0;
        loop {
            let length = self.buffer.first_chunk().map(|length| u16::from_be_bytes(*length));
            if let Some(length) = length.filter(|length| !self.has_stun && *length > FIRST) {
                return Err(StreamFault::TooLong(length));
            }
            let end = length.map_or(HEAD, |length| HEAD + usize::from(length));
            if length.is_some() && self.buffer.len() == end {
                let packet = Bytes::from(core::mem::take(&mut self.buffer)).split_off(HEAD);
                if packet.is_empty() {
                    continue;
                }
                if !self.has_stun && !is_stun(&packet) {
                    return Err(StreamFault::NotStun);
                }
                self.has_stun = true;
                return Ok((taken, Some(packet)));
            }
            let rest = bytes.get(taken..).unwrap_or_default();
            let part = rest.get(..(end - self.buffer.len()).min(rest.len())).unwrap_or_default();
            if part.is_empty() {
                return Ok((taken, None));
            }
            self.buffer.extend_from_slice(part);
            taken += part.len();
        }
    }

    /// Whether a packet has arrived.
    pub(crate) const fn has_stun(&self) -> bool {
        self.has_stun
    }
}

/// Returns a packet with its length field. `None`: the packet is longer than 65,535 bytes.
pub(crate) fn write(packet: &[u8]) -> Option<Bytes> {
    let head = packet_head(packet.len())?;
    Some([&head[..], packet].concat().into())
}

/// The length field in bytes.
const HEAD: usize = 2;
/// The longest first packet.
const FIRST: u16 = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest STUN message: a Binding indication.
    const STUN: [u8; 20] = [0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    /// Reads all packets of a stream in parts of this length.
    fn read_all(stream: &[u8], part: usize) -> Result<Vec<Bytes>, StreamFault> {
        let (mut frames, mut packets) = (Frames::default(), Vec::new());
        for mut bytes in stream.chunks(part) {
            loop {
                let (taken, packet) = frames.read(bytes)?;
                bytes = &bytes[taken..];
                match packet {
                    Some(packet) => packets.push(packet),
                    None => break,
                }
            }
            assert!(bytes.is_empty());
        }
        Ok(packets)
    }

    #[test]
    fn packets_of_each_length_survive_each_split() {
        let long: Vec<u8> = (0..=u16::MAX).map(|byte| byte as u8).take(65_535).collect();
        for lengths in [&[0, 1, 2][..], &[20, 0, 0, 300], &[65_535, 1]] {
            let packets: Vec<&[u8]> = lengths.iter().map(|length| &long[..*length]).collect();
            let all: Vec<&[u8]> = core::iter::once(&STUN[..]).chain(packets).collect();
            let stream: Vec<u8> = all.iter().flat_map(|packet| write(packet).unwrap()).collect();
            for part in [1, 2, 3, 7, 1_000, stream.len()] {
                let expected: Vec<&[u8]> = all.iter().copied().filter(|packet| !packet.is_empty()).collect();
                assert_eq!(read_all(&stream, part).unwrap(), expected, "{lengths:?} in parts of {part}");
            }
        }
        assert_eq!(write(&[0; 65_536]), None);
    }

    #[test]
    fn a_first_packet_that_is_not_stun_or_too_long_is_a_fault() {
        let http = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(read_all(http, 1), Err(StreamFault::TooLong(u16::from_be_bytes(*b"GE"))));
        let short = write(b"hello").unwrap();
        assert_eq!(read_all(&short, 3), Err(StreamFault::NotStun));
        let (mut frames, long) = (Frames::default(), [0x08, 0x01]);
        assert_eq!(frames.read(&long), Err(StreamFault::TooLong(2_049)));
        // After the first packet each length is valid.
        let stream = [write(&STUN).unwrap(), write(&[0; 5_000]).unwrap()].concat();
        assert_eq!(read_all(&stream, 100).unwrap().len(), 2);
    }

    /// Each prefix of random bytes is read without a panic, and the buffer never holds more than one packet.
    #[test]
    fn random_bytes_never_panic_and_stay_bounded() {
        let mut state = 7_u64;
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..64)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 60) as u8 & if state & 1 << 40 == 0 { 3 } else { 15 }
                })
                .collect();
            let mut frames = Frames::default();
            let mut rest = &bytes[..];
            while let Ok((taken, packet)) = frames.read(rest) {
                rest = &rest[taken..];
                assert!(frames.buffer.len() <= HEAD + usize::from(FIRST));
                if packet.is_none() {
                    break;
                }
            }
        }
    }
}
