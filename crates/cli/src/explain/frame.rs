//! Packets without a capture: given as bytes, or printed by tcpdump.
//!
//! Bytes are taken as a packet only if every length in the packet matches exactly, and if the bytes are neither STUN
//! nor ChannelData. After the packet, an Ethernet frame may have padding and a frame check sequence, which the report
//! names. Bytes that tcpdump printed are always a packet, whose end may be missing.

use super::capture::inside;
use super::stream::split;
use crate::dissect::claims_stun;
use etherparse::{LaxSlicedPacket, LenSource, TransportSlice};
use pcap_parser::Linktype;
use portolan_stun::demux::ChannelData;

/// The outermost header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Ip,
    Ethernet(Trailer),
}

/// The bytes of an Ethernet frame after its packet (IEEE 802.3 §3.2.8, §3.2.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// The number of padding bytes.
    padding: usize,
    /// Whether the frame check sequence is right; `None` if there is none.
    check: Option<bool>,
}

impl Frame {
    /// Returns the packet if the bytes are exactly one packet.
    pub(crate) fn of(bytes: &[u8]) -> Option<(Self, LaxSlicedPacket<'_>)> {
        if claims_stun(bytes) || is_whole_channel(bytes) || split(bytes).len() > 1 {
            return None;
        }
        let ip = inside(Linktype::RAW, bytes).filter(|packet| fits(packet, bytes));
        ip.map(|packet| (Self::Ip, packet)).or_else(|| {
            let packet = inside(Linktype::ETHERNET, bytes)?;
            let trailer = Trailer::of(bytes, end(&packet, bytes)?)?;
            Some((Self::Ethernet(trailer), packet))
        })
    }

    /// Describes the frame in a sentence.
    pub(crate) fn sentence(self) -> String {
        let what = match self {
            Self::Ip => "IP packet",
            Self::Ethernet(_) => "Ethernet frame",
        };
        let trailer = match self {
            Self::Ip => String::new(),
            Self::Ethernet(trailer) => trailer.words(),
        };
        format!("the bytes are a whole {what}; its payload follows{trailer}")
    }

    /// Returns the name in JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ethernet(_) => "ethernet",
        }
    }

    /// Returns the number of padding bytes, if there are any.
    pub(crate) fn padding(self) -> Option<usize> {
        let Self::Ethernet(Trailer { padding, .. }) = self else { return None };
        (padding > 0).then_some(padding)
    }

    /// Returns the state of the frame check sequence, if there is one.
    pub(crate) fn check(self) -> Option<&'static str> {
        let Self::Ethernet(Trailer { check, .. }) = self else { return None };
        check.map(|is_right| if is_right { "right" } else { "wrong" })
    }
}

/// The shortest frame without its check sequence, and the length of that sequence, in bytes (IEEE 802.3 §4.2.3.3).
const SHORTEST: usize = 60;
const CHECK: usize = 4;

impl Trailer {
    /// Reads the bytes after the end of the packet; `None` if no frame can have so many.
    fn of(bytes: &[u8], end: usize) -> Option<Self> {
        let trailer = bytes.len().checked_sub(end)?;
        let (front, check) = bytes.split_last_chunk::<CHECK>()?;
        let is_right = front.len() >= end && check_sequence(front) == u32::from_le_bytes(*check);
        let is_filled = |length: usize| length == SHORTEST || length == end;
        if is_right && is_filled(front.len()) {
            return Some(Self { padding: front.len() - end, check: Some(true) });
        }
        if is_filled(bytes.len()) {
            return Some(Self { padding: trailer, check: None });
        }
        // Four bytes that are not the check sequence, but can only be meant as one.
        (front.len() >= end && is_filled(front.len())).then(|| Self { padding: front.len() - end, check: Some(false) })
    }

    fn words(self) -> String {
        let padding = (self.padding > 0).then(|| format!("{} bytes of padding", self.padding));
        let check = self.check.map(|is_right| match is_right {
            true => "a frame check sequence that is right".to_owned(),
            false => "four bytes that are not its frame check sequence".to_owned(),
        });
        let both: Vec<String> = padding.into_iter().chain(check).collect();
        if both.is_empty() { String::new() } else { format!("; after the packet {}", both.join(" and ")) }
    }
}

/// The CRC-32 of Ethernet.
fn check_sequence(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), shift))
}

/// Returns the packet that tcpdump printed, and whether its end is missing; `None` if it is neither UDP nor TCP over
/// IP.
///
/// With `-X` the bytes begin with the IP header, with `-XX` with the link header of the interface.
pub(crate) fn printed(bytes: &[u8]) -> Option<(LaxSlicedPacket<'_>, bool)> {
    // Some hardware addresses begin like an IP header. An IP header with an Ethernet type in that place is rarer.
    let links = [Linktype::ETHERNET, Linktype::RAW, Linktype::LINUX_SLL2, Linktype::LINUX_SLL, Linktype::NULL];
    let packets = || links.iter().filter_map(|link| inside(*link, bytes));
    let whole = packets().find(|packet| fits(packet, bytes)).map(|packet| (packet, false));
    whole.or_else(|| {
        let mut lax = packets().filter(|packet| packet.transport.is_some());
        lax.find_map(|packet| Some((packet.net.as_ref()?.ip_payload_ref()?.incomplete, packet)))
            .map(|(is_cut, packet)| (packet, is_cut))
    })
}

/// Whether the packet ends with the last byte.
fn fits(packet: &LaxSlicedPacket<'_>, bytes: &[u8]) -> bool {
    end(packet, bytes) == Some(bytes.len())
}

/// Returns the end of the packet by the lengths of IP and UDP; `None` if the lengths contradict each other.
fn end(packet: &LaxSlicedPacket<'_>, bytes: &[u8]) -> Option<usize> {
    let payload = packet.net.as_ref()?.ip_payload_ref()?;
    // A length of 0 means that the length is unknown.
    let is_known = !payload.incomplete && payload.len_source != LenSource::Slice;
    let is_one = match &packet.transport {
        Some(TransportSlice::Udp(udp)) => usize::from(udp.length()) == payload.payload.len(),
        Some(TransportSlice::Tcp(_)) => true,
        Some(TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_)) | None => false,
    };
    let end = payload.payload.as_ptr_range().end.addr().checked_sub(bytes.as_ptr().addr())?;
    (is_known && is_one && end <= bytes.len()).then_some(end)
}

/// Whether the bytes are ChannelData and its padding, and nothing else (RFC 8656 §12.5).
fn is_whole_channel(bytes: &[u8]) -> bool {
    ChannelData::decode(bytes)
        .is_ok_and(|channel| bytes.len() <= (ChannelData::HEAD_LEN + channel.data.len()).next_multiple_of(4))
}
