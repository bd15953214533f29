//! STUN and ChannelData among the packets of a capture.
//!
//! Rules of this file: STUN is known by its cookie, so that a malformed message is told rather than missed. ChannelData
//! has no mark: it is taken for such only between two that spoke STUN before, or on STUN's ports. A TCP stream is put
//! together as far as its segments follow each other; after a gap it is looked at afresh from the next segment that
//! begins with a message.

use super::capture::Packet;
use super::message::{Flow, Message, Origin, Place, Transport};
use super::stream::claims_stun;
use core::net::{IpAddr, SocketAddr};
use etherparse::{LaxNetSlice, TransportSlice};
use portolan_stun::demux::ChannelData;
use portolan_stun::framing;
use std::collections::{HashMap, HashSet};

/// The ports of STUN and TURN, without and with TLS (RFC 8489 §18.5).
const PORTS: [u16; 2] = [3478, 5349];

/// Looks at packets, one after the other, and keeps what it finds.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    messages: Vec<Message>,
    packets: u64,
    skipped: u64,
    /// Who spoke STUN to whom, both ways.
    stun_flows: HashSet<Flow>,
    streams: HashMap<Flow, Stream>,
}

/// One direction of a TCP connection.
#[derive(Debug, Default)]
struct Stream {
    /// The number of the byte that comes next.
    next: u32,
    /// What is not yet a whole frame.
    held: Vec<u8>,
    framing: Option<Framing>,
}

/// How messages follow each other on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// RFC 8489 §6.2.2, RFC 8656 §12.5.
    Bare,
    /// RFC 4571, as ICE over TCP has it (RFC 6544 §3).
    Counted,
}

impl Finder {
    /// Looks at the next packet.
    pub(crate) fn look(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        if self.find(packet).is_none() {
            self.skipped += 1;
        }
    }

    /// Looks at the next packet, of which somebody said this.
    pub(crate) fn look_with(&mut self, packet: &Packet<'_>, origin: &Origin) {
        let before = self.messages.len();
        self.look(packet);
        for message in self.messages.iter_mut().skip(before) {
            message.origin = Some(origin.clone());
        }
    }

    /// How many packets there were, and how many of them could not be looked into.
    pub(crate) const fn counts(&self) -> (u64, u64) {
        (self.packets, self.skipped)
    }

    /// What was found.
    pub(crate) fn into_messages(self) -> Vec<Message> {
        self.messages
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
                // A SYN has a number of its own.
                let first = tcp.sequence_number().wrapping_add(u32::from(tcp.syn()));
                self.segment(place, first, tcp.payload());
            }
            TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => return None,
        }
        Some(())
    }

    fn datagram(&mut self, place: Place, payload: &[u8]) {
        if claims_stun(payload) || self.is_channel(place.flow, payload) {
            self.keep(place, payload);
        }
    }

    fn is_channel(&self, flow: Flow, payload: &[u8]) -> bool {
        let speaks =
            self.stun_flows.contains(&flow) || PORTS.contains(&flow.from.port()) || PORTS.contains(&flow.to.port());
        // Over UDP there may be padding, up to a multiple of 4 (RFC 8656 §12.5).
        speaks
            && ChannelData::decode(payload)
                .is_ok_and(|channel| payload.len() - channel.data.len() - ChannelData::HEAD_LEN < 4)
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
        stream.take(first, payload);
        let speaks = self.stun_flows.contains(&place.flow) || self.is_channel_stream(place.flow);
        while let Some(frame) = stream.next_frame(speaks) {
            if claims_stun(&frame) || speaks && ChannelData::decode(&frame).is_ok() {
                self.keep(place, &frame);
            }
        }
        self.streams.insert(place.flow, stream);
    }

    fn is_channel_stream(&self, flow: Flow) -> bool {
        PORTS.contains(&flow.from.port()) || PORTS.contains(&flow.to.port())
    }
}

impl Stream {
    /// Adds a segment; what came before is not taken twice, and after a gap nothing is held any more.
    fn take(&mut self, first: u32, payload: &[u8]) {
        let known = self.next.wrapping_sub(first);
        let fresh = match usize::try_from(known) {
            Ok(known) if self.framing.is_some() && known <= payload.len() => payload.get(known..).unwrap_or_default(),
            // Sent again, all of it: numbers that lie behind by less than half the circle.
            Ok(_) if self.framing.is_some() && known < 1 << 31 => return,
            _ => {
                self.held.clear();
                self.framing = None;
                payload
            }
        };
        self.held.extend_from_slice(fresh);
        let end = u32::try_from(payload.len()).unwrap_or_default();
        self.next = first.wrapping_add(end);
    }

    /// The next whole frame; `None`: more is needed, or this is no such stream.
    fn next_frame(&mut self, speaks: bool) -> Option<Vec<u8>> {
        let framing = match self.framing {
            Some(framing) => framing,
            None => {
                let framing = Framing::of(&self.held, speaks)?;
                self.framing = Some(framing);
                framing
            }
        };
        let frame = match framing {
            Framing::Bare => framing::next(&self.held),
            Framing::Counted => Ok(framing::next_packet(&self.held)),
        };
        match frame {
            Ok(Some(frame)) => {
                let (bytes, taken) = (frame.bytes.to_vec(), frame.taken);
                self.held.drain(..taken);
                Some(bytes)
            }
            Ok(None) => None,
            Err(_) => {
                self.held.clear();
                self.framing = None;
                None
            }
        }
    }
}

impl Framing {
    /// How a stream that begins so goes on; the cookie tells.
    fn of(held: &[u8], speaks: bool) -> Option<Self> {
        let counted = held.get(2..).is_some_and(claims_stun);
        match held {
            bytes if claims_stun(bytes) => Some(Self::Bare),
            _ if counted => Some(Self::Counted),
            [0x40..=0x4f, ..] if speaks => Some(Self::Bare),
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
