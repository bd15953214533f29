//! Reads the packets of a capture in pcap or pcapng format, and the IP packet in each of them.
//!
//! The file is in memory and is read once, from front to back. A block that cannot be read ends the reading with an
//! error that has its offset; the packets before it are kept. This file computes the times itself, because the
//! resolutions of pcapng (also powers of 2) must not overflow.

use etherparse::{EtherType, LaxSlicedPacket};
use pcap_parser::pcapng::{Block, parse_block_be, parse_block_le};
use pcap_parser::{
    Linktype, PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

/// A captured packet.
#[derive(Clone, Debug)]
pub(crate) struct Packet<'a> {
    /// The number, from 1.
    pub(crate) number: u64,
    /// The time in nanoseconds since 1970.
    pub(crate) time: Option<u64>,
    /// The packet from its IP header on; `None` for another link type or protocol.
    pub(crate) inside: Option<LaxSlicedPacket<'a>>,
    /// Whether the capture has fewer bytes than the packet.
    pub(crate) is_cut: bool,
}

/// Why the reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CaptureError {
    #[error("byte {at}: the header of a capture is expected, it is cut off or malformed")]
    Header { at: usize },
    #[error("byte {at}: a whole block is expected, it is cut off or malformed")]
    Block { at: usize },
}

/// The magic numbers: pcapng, and pcap in both byte orders with microseconds, nanoseconds, and longer record headers.
const MAGIC: [[u8; 4]; 7] = [
    [0x0a, 0x0d, 0x0d, 0x0a],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xcd, 0x34],
    [0x34, 0xcd, 0xb2, 0xa1],
];

/// Whether the file begins with the magic number of a capture.
pub(crate) fn is_capture(file: &[u8]) -> bool {
    file.first_chunk().is_some_and(|magic| MAGIC.contains(magic))
}

/// Calls `look` with each packet, in the order of the file.
pub(crate) fn packets<'a>(file: &'a [u8], look: impl FnMut(Packet<'a>)) -> Result<(), CaptureError> {
    let [ng, ..] = MAGIC;
    if file.starts_with(&ng) { read_ng(file, look) } else { read_legacy(file, look) }
}

fn read_legacy<'a>(file: &'a [u8], mut look: impl FnMut(Packet<'a>)) -> Result<(), CaptureError> {
    let (mut rest, header) = parse_pcap_header(file).map_err(|_| CaptureError::Header { at: 0 })?;
    let parse = match &header {
        header if header.is_modified_format() => parse_pcap_frame_modified,
        header if header.is_bigendian() => parse_pcap_frame_be,
        _ => parse_pcap_frame,
    };
    let link = link_of(&header);
    let fraction = if header.is_nanosecond_precision() { 1 } else { 1_000 };
    let mut number = 0;
    while !rest.is_empty() {
        let (after, frame) = parse(rest).map_err(|_| CaptureError::Block { at: file.len() - rest.len() })?;
        number += 1;
        let time = u64::from(frame.ts_sec) * 1_000_000_000 + u64::from(frame.ts_usec) * fraction;
        let data = usize::try_from(frame.caplen).ok().and_then(|length| frame.data.get(..length));
        let data = data.unwrap_or(frame.data);
        let is_cut = frame.caplen < frame.origlen;
        look(Packet { number, time: Some(time), inside: inside(link, data), is_cut });
        if after.len() >= rest.len() {
            return Err(CaptureError::Block { at: file.len() - rest.len() });
        }
        rest = after;
    }
    Ok(())
}

/// The upper bits of the field describe frame check sequences.
fn link_of(header: &PcapHeader) -> Linktype {
    Linktype(header.network.0 & 0xffff)
}

/// An interface of the section.
#[derive(Clone, Copy)]
struct Interface {
    link: Linktype,
    /// The option if_tsresol: a power of 10, or of 2 if the first bit is set.
    resolution: u8,
    /// Seconds to add to each time.
    offset: i64,
}

impl Interface {
    /// Returns a time stamp in nanoseconds since 1970.
    fn time(self, high: u32, low: u32) -> Option<u64> {
        let ticks = u128::from(high) << 32 | u128::from(low);
        let power = u32::from(self.resolution & 0x7f);
        let per_second =
            if self.resolution & 0x80 == 0 { 10_u128.checked_pow(power) } else { 1_u128.checked_shl(power) };
        let nanos = ticks.checked_mul(1_000_000_000)?.checked_div(per_second?)?;
        let nanos = i128::try_from(nanos).ok()?.checked_add(i128::from(self.offset) * 1_000_000_000)?;
        u64::try_from(nanos).ok()
    }
}

fn read_ng<'a>(file: &'a [u8], mut look: impl FnMut(Packet<'a>)) -> Result<(), CaptureError> {
    let (mut rest, mut interfaces, mut number) = (file, Vec::<Interface>::new(), 0);
    let mut is_big = false;
    while !rest.is_empty() {
        let at = file.len() - rest.len();
        let parse = if is_big { parse_block_be } else { parse_block_le };
        let (after, block) = parse(rest).map_err(|_| CaptureError::Block { at })?;
        if after.len() >= rest.len() {
            return Err(CaptureError::Block { at });
        }
        let mut emit = |interface: Option<&Interface>, time, data, is_cut| {
            number += 1;
            let inside = interface.and_then(|interface| inside(interface.link, data));
            look(Packet { number, time, inside, is_cut });
        };
        match block {
            Block::SectionHeader(section) => {
                is_big = section.big_endian();
                interfaces.clear();
            }
            Block::InterfaceDescription(is) => {
                interfaces.push(Interface { link: is.linktype, resolution: is.if_tsresol, offset: is.if_tsoffset })
            }
            Block::EnhancedPacket(packet) => {
                let interface = usize::try_from(packet.if_id).ok().and_then(|index| interfaces.get(index));
                let time = interface.and_then(|interface| interface.time(packet.ts_high, packet.ts_low));
                emit(interface, time, front(packet.data, packet.caplen), packet.caplen < packet.origlen);
            }
            Block::SimplePacket(packet) => {
                let data = front(packet.data, packet.origlen);
                let is_cut = usize::try_from(packet.origlen).is_ok_and(|length| data.len() < length);
                emit(interfaces.first(), None, data, is_cut);
            }
            // Names, statistics, secrets and journals contain no packet.
            Block::NameResolution(_)
            | Block::InterfaceStatistics(_)
            | Block::SystemdJournalExport(_)
            | Block::DecryptionSecrets(_)
            | Block::ProcessInformation(_)
            | Block::Custom(_)
            | Block::Unknown(_) => {}
        }
        rest = after;
    }
    Ok(())
}

/// Returns the data of a block without its padding.
fn front(data: &[u8], length: u32) -> &[u8] {
    usize::try_from(length).ok().and_then(|length| data.get(..length)).unwrap_or(data)
}

/// Returns the IP packet in a frame.
pub(crate) fn inside(link: Linktype, data: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    match link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(data).ok(),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | RAW_OF_BSD | RAW_OF_OPENBSD => {
            LaxSlicedPacket::from_ip(data).ok()
        }
        // Four bytes of address family, in either byte order. The IP version has the same information.
        Linktype::NULL | Linktype::LOOP => LaxSlicedPacket::from_ip(data.get(4..)?).ok(),
        // The protocol is the end of 16 bytes, or the start of 20.
        Linktype::LINUX_SLL => after_ether_type(data.get(14..)?, 0),
        Linktype::LINUX_SLL2 => after_ether_type(data, 18),
        _ => None,
    }
}

/// The link type of raw IP packets in libpcap on the BSDs.
const RAW_OF_BSD: Linktype = Linktype(12);
const RAW_OF_OPENBSD: Linktype = Linktype(14);

/// Returns the packet after an Ethernet type and `gap` other bytes.
fn after_ether_type(data: &[u8], gap: usize) -> Option<LaxSlicedPacket<'_>> {
    let (number, rest) = data.split_first_chunk()?;
    Some(LaxSlicedPacket::from_ether_type(EtherType(u16::from_be_bytes(*number)), rest.get(gap..)?))
}
