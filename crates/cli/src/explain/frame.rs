//! Packets that stand alone, without a capture around them: written down as bytes, or printed by tcpdump.
//!
//! Rules of this file: bytes that nobody calls a packet are one only where every length in it fits to the byte, and where
//! they are neither STUN nor ChannelData by themselves; what tcpdump printed is a packet, of which the end may be missing.

use super::capture::inside;
use super::{claims_stun, cut};
use etherparse::{LaxSlicedPacket, LenSource, TransportSlice};
use pcap_parser::Linktype;
use portolan_stun::demux::ChannelData;

/// What a packet that stands alone begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Ip,
    Ethernet,
}

impl Frame {
    /// What these bytes are, if they are a whole packet and nothing else.
    pub(crate) fn of(bytes: &[u8]) -> Option<(Self, LaxSlicedPacket<'_>)> {
        if claims_stun(bytes) || is_whole_channel(bytes) || cut(bytes).len() > 1 {
            return None;
        }
        let fitting = |link| inside(link, bytes).filter(|packet| fits(packet, bytes));
        fitting(Linktype::RAW)
            .map(|packet| (Self::Ip, packet))
            .or_else(|| fitting(Linktype::ETHERNET).map(|packet| (Self::Ethernet, packet)))
    }

    /// As a person says it.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Ip => "the bytes are a whole IP packet, and this is what it carries",
            Self::Ethernet => "the bytes are a whole Ethernet frame, and this is what it carries",
        }
    }

    /// As JSON has it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ethernet => "ethernet",
        }
    }
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

/// Whether the lengths of IP and UDP end with the last byte.
fn fits(packet: &LaxSlicedPacket<'_>, bytes: &[u8]) -> bool {
    let Some(payload) = packet.net.as_ref().and_then(|net| net.ip_payload_ref()) else { return false };
    // A length of 0 stands for one that is not known.
    let is_told = !payload.incomplete && payload.len_source != LenSource::Slice;
    let is_last = payload.payload.as_ptr_range().end == bytes.as_ptr_range().end;
    is_told
        && is_last
        && match &packet.transport {
            Some(TransportSlice::Udp(udp)) => usize::from(udp.length()) == payload.payload.len(),
            Some(TransportSlice::Tcp(_)) => true,
            Some(TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_)) | None => false,
        }
}

/// ChannelData with nothing behind it but its padding (RFC 8656 §12.5).
fn is_whole_channel(bytes: &[u8]) -> bool {
    ChannelData::decode(bytes)
        .is_ok_and(|channel| bytes.len() <= (ChannelData::HEAD_LEN + channel.data.len()).next_multiple_of(4))
}
