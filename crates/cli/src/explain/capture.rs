//! Reads the packets of a capture in pcap or pcapng format, and the IP packet in each of them.
//!
//! The capture is read once, from front to back, in parts of any length: a capture of packets that still arrive is read
//! as far as it goes. A block that cannot be read ends the reading with an error that has its offset; the packets before
//! it are kept. This file computes the times itself, because the resolutions of pcapng (also powers of 2) must not
//! overflow.

use etherparse::{EtherType, LaxSlicedPacket};
use pcap_parser::nom;
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
    #[error("after byte {at}: the gzip stream is cut off or malformed")]
    Gzip { at: usize },
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

/// A capture that is being read.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    format: Format,
    /// The number of bytes before the next block.
    at: usize,
    /// The number of packets so far.
    packets: u64,
}

/// The format, and the state that later blocks depend on.
#[derive(Debug, Default)]
enum Format {
    /// The first bytes are not read yet.
    #[default]
    Unknown,
    Legacy(PcapHeader),
    Ng {
        is_big: bool,
        interfaces: Vec<Interface>,
    },
}

/// The longest block, in bytes. Packets are shorter than 256 KiB; blocks of pcapng can also have names and keys.
const LONGEST: usize = 1 << 28;

impl Capture {
    /// Returns the number of bytes before the next block.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Calls `look` with each whole packet at the start of `bytes`, in the order of the capture. Returns the number of
    /// bytes that were read; the next call begins with the byte after them.
    pub(crate) fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        mut look: impl FnMut(Packet<'a>),
    ) -> Result<usize, CaptureError> {
        let start = self.at;
        while let Some(rest) = bytes.get(self.at - start..).filter(|rest| !rest.is_empty()) {
            let at = self.at;
            let Some(after) = self.read_block(rest, &mut look)? else {
                return if rest.len() > LONGEST { Err(CaptureError::Block { at }) } else { Ok(at - start) };
            };
            if after.len() >= rest.len() {
                return Err(CaptureError::Block { at });
            }
            self.at += rest.len() - after.len();
        }
        Ok(self.at - start)
    }

    /// Checks that a capture may end with these bytes, of which none was read.
    pub(crate) const fn end(&self, rest: &[u8]) -> Result<(), CaptureError> {
        match self.format {
            Format::Unknown => Err(CaptureError::Header { at: self.at }),
            Format::Legacy(_) | Format::Ng { .. } if rest.is_empty() => Ok(()),
            Format::Legacy(_) | Format::Ng { .. } => Err(CaptureError::Block { at: self.at }),
        }
    }

    /// Reads the header or the next block. Returns the bytes after it; `None` if the end of the block is missing.
    fn read_block<'a>(
        &mut self,
        rest: &'a [u8],
        look: impl FnMut(Packet<'a>),
    ) -> Result<Option<&'a [u8]>, CaptureError> {
        let [ng, ..] = MAGIC;
        match &mut self.format {
            Format::Unknown if rest.starts_with(&ng) => {
                self.format = Format::Ng { is_big: false, interfaces: vec![] };
                self.read_block(rest, look)
            }
            Format::Unknown => {
                let header = whole(parse_pcap_header(rest), CaptureError::Header { at: self.at })?;
                Ok(header.map(|(after, header)| {
                    self.format = Format::Legacy(header);
                    after
                }))
            }
            Format::Legacy(header) => read_legacy(rest, header, self.at, &mut self.packets, look),
            Format::Ng { is_big, interfaces } => read_ng(rest, (is_big, interfaces), self.at, &mut self.packets, look),
        }
    }
}

/// Returns the result of a parser; `None` if bytes are missing at the end.
fn whole<T, E>(read: Result<(&[u8], T), nom::Err<E>>, error: CaptureError) -> Result<Option<(&[u8], T)>, CaptureError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(nom::Err::Incomplete(_)) => Ok(None),
        Err(nom::Err::Error(_) | nom::Err::Failure(_)) => Err(error),
    }
}

fn read_legacy<'a>(
    rest: &'a [u8],
    header: &PcapHeader,
    at: usize,
    packets: &mut u64,
    mut look: impl FnMut(Packet<'a>),
) -> Result<Option<&'a [u8]>, CaptureError> {
    let parse = match header {
        header if header.is_modified_format() => parse_pcap_frame_modified,
        header if header.is_bigendian() => parse_pcap_frame_be,
        _ => parse_pcap_frame,
    };
    let Some((after, frame)) = whole(parse(rest), CaptureError::Block { at })? else { return Ok(None) };
    let fraction = if header.is_nanosecond_precision() { 1 } else { 1_000 };
    *packets += 1;
    let time = u64::from(frame.ts_sec) * 1_000_000_000 + u64::from(frame.ts_usec) * fraction;
    let inside = inside(link_of(header), front(frame.data, frame.caplen));
    look(Packet { number: *packets, time: Some(time), inside, is_cut: frame.caplen < frame.origlen });
    Ok(Some(after))
}

/// The upper bits of the field describe frame check sequences.
fn link_of(header: &PcapHeader) -> Linktype {
    Linktype(header.network.0 & 0xffff)
}

/// An interface of the section.
#[derive(Clone, Copy, Debug)]
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

fn read_ng<'a>(
    rest: &'a [u8],
    (is_big, interfaces): (&mut bool, &mut Vec<Interface>),
    at: usize,
    packets: &mut u64,
    mut look: impl FnMut(Packet<'a>),
) -> Result<Option<&'a [u8]>, CaptureError> {
    let parse = if *is_big { parse_block_be } else { parse_block_le };
    let Some((after, block)) = whole(parse(rest), CaptureError::Block { at })? else { return Ok(None) };
    let mut emit = |interface: Option<&Interface>, time, data, is_cut| {
        *packets += 1;
        let inside = interface.and_then(|interface| inside(interface.link, data));
        look(Packet { number: *packets, time, inside, is_cut });
    };
    match block {
        Block::SectionHeader(section) => {
            *is_big = section.big_endian();
            interfaces.clear();
        }
        Block::InterfaceDescription(is) => {
            interfaces.push(Interface { link: is.linktype, resolution: is.if_tsresol, offset: is.if_tsoffset });
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
    Ok(Some(after))
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
