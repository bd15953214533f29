//! Finds STUN and ChannelData in the packets of a capture.
//!
//! STUN is recognized by its magic cookie, so a malformed message is found too. ChannelData has no cookie: it is
//! recognized only on the ports of STUN, or between two endpoints that exchanged STUN before. A TCP stream is
//! reassembled while its segments are contiguous. After a gap, reassembly starts again with the next segment that
//! begins with a message.

use super::capture::Packet;
use super::message::{Flow, Message, Origin, Place, Transport};
use crate::dissect::claims_stun;
use core::net::{IpAddr, SocketAddr};
use etherparse::{LaxNetSlice, TransportSlice};
use portolan_stun::demux::{ChannelData, ChannelDataError, Protocol};
use portolan_stun::framing;
use std::collections::{HashMap, HashSet};

/// The ports of STUN and TURN, without and with TLS (RFC 8489 §18.5).
const PORTS: [u16; 2] = [3478, 5349];

/// Receives packets in order and collects the messages in them.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    messages: Vec<Message>,
    packets: u64,
    skipped: u64,
    /// The flows with STUN, in both directions.
    stun_flows: HashSet<Flow>,
    streams: HashMap<Flow, Stream>,
}

/// One direction of a TCP connection.
#[derive(Debug, Default)]
struct Stream {
    /// The next sequence number.
    next: u32,
    /// Bytes that are not yet a whole frame.
    pending: Vec<u8>,
    framing: Option<Framing>,
}

/// The framing of messages on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// RFC 8489 §6.2.2, RFC 8656 §12.5.
    Bare,
    /// RFC 4571, used by ICE over TCP (RFC 6544 §3).
    LengthPrefixed,
}

impl Finder {
    /// Reads the next packet.
    pub(crate) fn add_packet(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        if self.find(packet).is_none() {
            self.skipped += 1;
        }
    }

    /// Reads the next packet, and attaches `origin` to its messages.
    pub(crate) fn add_packet_from(&mut self, packet: &Packet<'_>, origin: &Origin) {
        let before = self.messages.len();
        self.add_packet(packet);
        for message in self.messages.iter_mut().skip(before) {
            message.origin = Some(origin.clone());
        }
    }

    /// Returns the number of packets, and the number of packets that could not be read.
    pub(crate) const fn counts(&self) -> (u64, u64) {
        (self.packets, self.skipped)
    }

    /// Returns the messages since the last call.
    pub(crate) fn take_messages(&mut self) -> Vec<Message> {
        core::mem::take(&mut self.messages)
    }

    fn find(&mut self, packet: &Packet<'_>) -> Option<()> {
        let inside = packet.inside.as_ref()?;
        let (source, destination) = addresses(inside.net.as_ref()?)?;
        let place = |transport, from, to| Place {
            packet: packet.number,
            time: packet.time,
            flow: Flow { transport, from: SocketAddr::new(source, from), to: SocketAddr::new(destination, to) },
            is_cut: packet.is_cut,
        };
        match inside.transport.as_ref()? {
            TransportSlice::Udp(udp) => {
                self.datagram(place(Transport::Udp, udp.source_port(), udp.destination_port()), udp.payload());
            }
            TransportSlice::Tcp(tcp) => {
                let place = place(Transport::Tcp, tcp.source_port(), tcp.destination_port());
                // A SYN occupies one sequence number.
                let first = tcp.sequence_number().wrapping_add(u32::from(tcp.syn()));
                self.segment(place, first, tcp.payload());
            }
            TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => return None,
        }
        Some(())
    }

    fn datagram(&mut self, place: Place, payload: &[u8]) {
        if claims_stun(payload) || self.has_stun(place.flow) && is_channel(payload, place.is_cut) {
            self.keep(place, payload);
        }
    }

    /// Whether the endpoints exchanged STUN before, or one of them has a port of STUN.
    fn has_stun(&self, flow: Flow) -> bool {
        self.stun_flows.contains(&flow) || PORTS.contains(&flow.from.port()) || PORTS.contains(&flow.to.port())
    }

    fn keep(&mut self, place: Place, bytes: &[u8]) {
        let Flow { transport, from, to } = place.flow;
        self.stun_flows.insert(place.flow);
        self.stun_flows.insert(Flow { transport, from: to, to: from });
        self.messages.push(Message { bytes: bytes.to_vec(), place: Some(place), origin: None });
    }

    fn segment(&mut self, place: Place, first: u32, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        let mut stream = self.streams.remove(&place.flow).unwrap_or_default();
        stream.add_segment(first, payload);
        let has_stun = self.has_stun(place.flow);
        while let Some(frame) = stream.next_frame(has_stun) {
            if claims_stun(&frame) || has_stun && ChannelData::decode(&frame).is_ok() {
                self.keep(place, &frame);
            }
        }
        self.streams.insert(place.flow, stream);
    }
}

/// Whether a datagram is ChannelData. More bytes may follow it: padding (RFC 8656 §12.5), or bytes that the explanation
/// reports. The data may be missing where the capture has cut off the packet.
fn is_channel(payload: &[u8], is_cut: bool) -> bool {
    match ChannelData::decode(payload) {
        Ok(_) => true,
        Err(ChannelDataError::Truncated { .. }) => {
            is_cut && payload.len() >= ChannelData::HEAD_LEN && Protocol::of(payload) == Some(Protocol::TurnChannel)
        }
        Err(ChannelDataError::Number { .. }) => false,
    }
}

impl Stream {
    /// Adds a segment. Bytes that were received before are skipped; a gap discards the pending bytes.
    fn add_segment(&mut self, first: u32, payload: &[u8]) {
        let known = self.next.wrapping_sub(first);
        let fresh = match usize::try_from(known) {
            Ok(known) if self.framing.is_some() && known <= payload.len() => payload.get(known..).unwrap_or_default(),
            // A retransmission: sequence numbers that are behind by less than 2^31.
            Ok(_) if self.framing.is_some() && known < 1 << 31 => return,
            _ => {
                self.pending.clear();
                self.framing = None;
                payload
            }
        };
        self.pending.extend_from_slice(fresh);
        let end = u32::try_from(payload.len()).unwrap_or_default();
        self.next = first.wrapping_add(end);
    }

    /// Returns the next whole frame; `None` if bytes are missing, or if the framing is unknown.
    fn next_frame(&mut self, has_stun: bool) -> Option<Vec<u8>> {
        let framing = match self.framing {
            Some(framing) => framing,
            None => {
                let framing = Framing::of(&self.pending, has_stun)?;
                self.framing = Some(framing);
                framing
            }
        };
        let frame = match framing {
            Framing::Bare => framing::next(&self.pending),
            Framing::LengthPrefixed => Ok(framing::next_packet(&self.pending)),
        };
        match frame {
            Ok(Some(frame)) => {
                let (bytes, taken) = (frame.bytes.to_vec(), frame.taken);
                self.pending.drain(..taken);
                Some(bytes)
            }
            Ok(None) => None,
            Err(_) => {
                self.pending.clear();
                self.framing = None;
                None
            }
        }
    }
}

impl Framing {
    /// Detects the framing of a stream by the magic cookie at its start.
    fn of(pending: &[u8], has_stun: bool) -> Option<Self> {
        let counted = pending.get(2..).is_some_and(claims_stun);
        match pending {
            bytes if claims_stun(bytes) => Some(Self::Bare),
            _ if counted => Some(Self::LengthPrefixed),
            [0x40..=0x4f, ..] if has_stun => Some(Self::Bare),
            _ => None,
        }
    }
}

fn addresses(net: &LaxNetSlice<'_>) -> Option<(IpAddr, IpAddr)> {
    match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Arp(_) => None,
    }
}
