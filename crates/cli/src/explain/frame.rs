//! Packets that stand alone, without a capture around them: written down as bytes, or printed by tcpdump.
//!
//! Rules of this file: bytes that nobody calls a packet are one only where every length in it fits to the byte, and where
//! they are neither STUN nor ChannelData by themselves; behind the packet an Ethernet frame may have what every Ethernet frame
//! may have there, which is told; what tcpdump printed is a packet, of which the end may be missing.

use super::capture::inside;
use super::stream::{claims_stun, split};
use etherparse::{LaxSlicedPacket, LenSource, TransportSlice};
use pcap_parser::Linktype;
use portolan_stun::demux::ChannelData;

/// What a packet that stands alone begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Ip,
    Ethernet(Behind),
}

/// What stands in an Ethernet frame behind its packet (IEEE 802.3 §3.2.8, §3.2.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Bytes that fill a short frame.
    padding: usize,
    /// Whether the check sequence behind them is right, if there is one.
    check: Option<bool>,
}

impl Frame {
    /// What these bytes are, if they are a whole packet and nothing else.
    pub(crate) fn of(bytes: &[u8]) -> Option<(Self, LaxSlicedPacket<'_>)> {
        if claims_stun(bytes) || is_whole_channel(bytes) || split(bytes).len() > 1 {
            return None;
        }
        let ip = inside(Linktype::RAW, bytes).filter(|packet| fits(packet, bytes));
        ip.map(|packet| (Self::Ip, packet)).or_else(|| {
            let packet = inside(Linktype::ETHERNET, bytes)?;
            let behind = Behind::of(bytes, end(&packet, bytes)?)?;
            Some((Self::Ethernet(behind), packet))
        })
    }

    /// As a person says it.
    pub(crate) fn sentence(self) -> String {
        let what = match self {
            Self::Ip => "IP packet",
            Self::Ethernet(_) => "Ethernet frame",
        };
        let behind = match self {
            Self::Ip => String::new(),
            Self::Ethernet(behind) => behind.words(),
        };
        format!("the bytes are a whole {what}, and this is what it carries{behind}")
    }

    /// As JSON has it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ethernet(_) => "ethernet",
        }
    }

    /// How many bytes of padding there are, if any.
    pub(crate) fn padding(self) -> Option<usize> {
        let Self::Ethernet(Behind { padding, .. }) = self else { return None };
        (padding > 0).then_some(padding)
    }

    /// How its check sequence is, if it has one.
    pub(crate) fn check(self) -> Option<&'static str> {
        let Self::Ethernet(Behind { check, .. }) = self else { return None };
        check.map(|is_right| if is_right { "right" } else { "wrong" })
    }
}

/// The shortest frame without its check sequence, and that sequence, in bytes (IEEE 802.3 §4.2.3.3).
const SHORTEST: usize = 60;
const CHECK: usize = 4;

impl Behind {
    /// What follows the packet that ends here; `None` where no frame has so much.
    fn of(bytes: &[u8], end: usize) -> Option<Self> {
        let behind = bytes.len().checked_sub(end)?;
        let (front, check) = bytes.split_last_chunk::<CHECK>()?;
        let is_right = front.len() >= end && check_sequence(front) == u32::from_le_bytes(*check);
        let is_filled = |length: usize| length == SHORTEST || length == end;
        if is_right && is_filled(front.len()) {
            return Some(Self { padding: front.len() - end, check: Some(true) });
        }
        if is_filled(bytes.len()) {
            return Some(Self { padding: behind, check: None });
        }
        // A check sequence that is not that of these bytes, which nobody would take for anything else.
        (front.len() >= end && is_filled(front.len())).then(|| Self { padding: front.len() - end, check: Some(false) })
    }

    fn words(self) -> String {
        let padding = (self.padding > 0).then(|| format!("{} bytes of padding", self.padding));
        let check = self.check.map(|is_right| match is_right {
            true => "a frame check sequence that is right".to_owned(),
            false => "four bytes that are not its frame check sequence".to_owned(),
        });
        let both: Vec<String> = padding.into_iter().chain(check).collect();
        if both.is_empty() { String::new() } else { format!("; behind it {}", both.join(" and ")) }
    }
}

/// CRC-32 as Ethernet has it.
fn check_sequence(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), shift))
}

/// The packet that tcpdump printed, and whether its end is missing; `None`: neither UDP nor TCP over IP.
///
/// With `-X` it begins with the IP header, with `-XX` with whatever the interface has in front of it.
pub(crate) fn printed(bytes: &[u8]) -> Option<(LaxSlicedPacket<'_>, bool)> {
    // Some hardware addresses begin as IP does; that IP has an Ethernet type in its place is rarer.
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

/// Where the packet among these bytes ends, by the lengths of IP and UDP; `None` where they contradict each other.
fn end(packet: &LaxSlicedPacket<'_>, bytes: &[u8]) -> Option<usize> {
    let payload = packet.net.as_ref()?.ip_payload_ref()?;
    // A length of 0 stands for one that is not known.
    let is_told = !payload.incomplete && payload.len_source != LenSource::Slice;
    let is_one = match &packet.transport {
        Some(TransportSlice::Udp(udp)) => usize::from(udp.length()) == payload.payload.len(),
        Some(TransportSlice::Tcp(_)) => true,
        Some(TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_)) | None => false,
    };
    let end = payload.payload.as_ptr_range().end.addr().checked_sub(bytes.as_ptr().addr())?;
    (is_told && is_one && end <= bytes.len()).then_some(end)
}

/// ChannelData with nothing behind it but its padding (RFC 8656 §12.5).
fn is_whole_channel(bytes: &[u8]) -> bool {
    ChannelData::decode(bytes)
        .is_ok_and(|channel| bytes.len() <= (ChannelData::HEAD_LEN + channel.data.len()).next_multiple_of(4))
}
