//! The checks of a session: which arrived, which a NAT dropped, and why a later one passed.
//!
//! Rules of this file: everything follows from the packets of the simulated network, not from what an agent assumes. A
//! check is a Binding request with a USERNAME (RFC 8445 §7.2.2). The requests to the STUN server have none.

use super::network::{self, SERVER_NAME};
use super::session::{Session, Side};
use core::fmt;
use core::net::SocketAddr;
use portolan_ice::CandidateKind;
use portolan_machine::{Clause, Instant};
use portolan_nat::behavior::{Filtering, NatKind};
use portolan_sim::{Barrier, EntryKind, PacketFate, PacketRecord, StrandedReason};
use portolan_stun::{Attribute, Class, Message, Method, TransactionId};

/// A check, or several with the same fate, that belong in the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) at: Instant,
    pub(super) side: Side,
    /// Whether the other peer's check to a private address had the same fate.
    pub(super) is_mutual: bool,
    /// Whether the check left from the relayed address of the side.
    pub(super) is_relayed: bool,
    pub(super) to: SocketAddr,
    /// The type of the destination, if the peer signalled it.
    pub(super) to_kind: Option<CandidateKind>,
    pub(super) sends: usize,
    pub(super) fate: Fate,
    rank: u8,
}

/// What happened to a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The response arrived.
    Answered(Passage),
    /// The check arrived, and no response came back.
    Arrived,
    Dropped {
        by: Box<str>,
        why: Box<str>,
        clause: Option<Clause>,
    },
    Stranded(StrandedReason),
    Lost,
    /// The session ended first, or the check was forwarded by the server.
    Unknown,
}

/// The reason why the gateway of the receiver let a check in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// The receiver had sent to the source before.
    Opened(Instant),
    /// The gateway lets in every source that sends to a mapping.
    AnySource,
    /// There is no NAT and no firewall.
    NoFilter,
    /// The destination is a relayed address.
    Server,
}

/// One transaction of a check.
struct Flight {
    id: TransactionId,
    at: Instant,
    side: Side,
    is_relayed: bool,
    to: SocketAddr,
    sends: usize,
    delivered: Option<(Instant, SocketAddr)>,
    end: Option<Fate>,
    is_answered: bool,
}

/// Returns the checks that explain the session, at most `limit`, in order.
pub(super) fn of(session: &Session, limit: usize) -> Vec<Check> {
    let mut rows: Vec<Check> = Vec::new();
    for flight in flights(session) {
        let fate = fate(session, &flight);
        let rank = rank(session, &flight, &fate);
        if rank == UNIMPORTANT {
            continue;
        }
        let (side, to) = (flight.side, flight.to);
        let is_same = |row: &&mut Check| {
            (row.side, row.is_relayed, row.to) == (side, flight.is_relayed, to) && is_alike(&row.fate, &fate)
        };
        let is_private = |row: &&mut Check| !row.is_relayed && row.fate == NO_ROUTE && fate == NO_ROUTE;
        if let Some(row) = rows.iter_mut().find(is_same) {
            row.sends += flight.sends;
        } else if let Some(row) = rows.iter_mut().find(is_private).filter(|_| !flight.is_relayed) {
            row.is_mutual |= row.side != side;
        } else {
            rows.push(Check {
                at: flight.at,
                side,
                is_mutual: false,
                is_relayed: flight.is_relayed,
                to,
                to_kind: kind_of(session, side.other(), to),
                sends: flight.sends,
                rank,
                fate,
            });
        }
    }
    rows.sort_by_key(|row| (row.rank, row.at));
    rows.truncate(limit);
    rows.sort_by_key(|row| row.at);
    rows
}

/// The rank of a check that is not reported.
const UNIMPORTANT: u8 = 5;

const NO_ROUTE: Fate = Fate::Stranded(StrandedReason::NoRoute);

/// Whether two fates belong in one row.
fn is_alike(one: &Fate, other: &Fate) -> bool {
    matches!((one, other), (Fate::Answered(_), Fate::Answered(_))) || one == other
}

fn kind_of(session: &Session, side: Side, address: SocketAddr) -> Option<CandidateKind> {
    side.of(&session.peers).found.iter().find(|found| found.address == address).map(|found| found.kind)
}

/// The importance of a row; 0 is the most important.
fn rank(session: &Session, flight: &Flight, fate: &Fate) -> u8 {
    let path = flight.side.of(&session.peers).path;
    let is_selected = path.is_some_and(|path| {
        path.remote == flight.to && (path.local_kind == CandidateKind::Relayed) == flight.is_relayed
    });
    match fate {
        Fate::Answered(_) if is_selected => 0,
        Fate::Dropped { .. } if is_selected || !flight.is_relayed => 1,
        Fate::Stranded(_) if !flight.is_relayed => 2,
        Fate::Dropped { .. } | Fate::Arrived | Fate::Lost => 3,
        Fate::Answered(_) => 4,
        Fate::Stranded(_) | Fate::Unknown => UNIMPORTANT,
    }
}

/// Collects the transactions of checks from the packets.
fn flights(session: &Session) -> Vec<Flight> {
    let mut flights: Vec<Flight> = Vec::new();
    for entry in &session.entries {
        let EntryKind::Packet(packet) = &entry.what else { continue };
        let Ok(message) = Message::decode(&packet.payload) else { continue };
        if message.method() != Method::BINDING {
            continue;
        }
        let id = message.transaction_id();
        let known = flights.iter_mut().find(|flight| flight.id == id);
        match (message.class(), &packet.fate, known) {
            (Class::Request, PacketFate::Sent, None) if is_check(&message) => {
                if let Some((side, is_relayed)) = origin(session, &entry.actor, packet) {
                    flights.push(Flight {
                        id,
                        at: entry.at,
                        side,
                        is_relayed,
                        to: packet.destination,
                        sends: 1,
                        delivered: None,
                        end: None,
                        is_answered: false,
                    });
                }
            }
            (Class::Request, PacketFate::Sent, Some(flight)) => flight.sends += 1,
            (Class::Request, PacketFate::Delivered, Some(flight)) => {
                flight.delivered.get_or_insert((entry.at, packet.source));
            }
            (Class::Request, fate, Some(flight)) => {
                if let Some(end) = end(fate, &entry.actor) {
                    flight.end.get_or_insert(end);
                }
            }
            (Class::SuccessResponse, PacketFate::Delivered, Some(flight)) => {
                let origin = if flight.is_relayed { SERVER_NAME } else { flight.side.name() };
                flight.is_answered |= *entry.actor == *origin;
            }
            _ => {}
        }
    }
    flights
}

fn is_check(message: &Message<'_>) -> bool {
    message.attributes().any(|attribute| matches!(attribute, Ok(Attribute::Username(_))))
}

/// The side that sent a check, and whether the check left from its relayed address.
fn origin(session: &Session, actor: &str, packet: &PacketRecord) -> Option<(Side, bool)> {
    if let Some(side) = Side::BOTH.into_iter().find(|side| side.name() == actor) {
        return Some((side, false));
    }
    let is_relay = |side: &Side| kind_of(session, *side, packet.source) == Some(CandidateKind::Relayed);
    Side::BOTH.into_iter().find(is_relay).map(|side| (side, true))
}

fn end(fate: &PacketFate, actor: &str) -> Option<Fate> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a datagram does not end with another fate")]
    Some(match fate {
        PacketFate::Dropped { why, clause, .. } => {
            Fate::Dropped { by: actor.into(), why: why.clone(), clause: *clause }
        }
        PacketFate::Stranded(why) => Fate::Stranded(*why),
        PacketFate::Lost => Fate::Lost,
        _ => return None,
    })
}

fn fate(session: &Session, flight: &Flight) -> Fate {
    match (&flight.delivered, &flight.end) {
        (Some((at, source)), _) if flight.is_answered => Fate::Answered(passage(session, flight, *at, *source)),
        (_, Some(end)) => end.clone(),
        (Some(_), None) if flight.is_relayed || session.exchange.is_some() => Fate::Unknown,
        (Some(_), None) => Fate::Arrived,
        (None, None) => Fate::Unknown,
    }
}

/// Finds the reason why a check passed.
fn passage(session: &Session, flight: &Flight, delivered: Instant, source: SocketAddr) -> Passage {
    let receiver = flight.side.other();
    if kind_of(session, receiver, flight.to) == Some(CandidateKind::Relayed) {
        return Passage::Server;
    }
    let Some(truth) = network::topology(&session.plan, receiver).truth(true) else { return Passage::NoFilter };
    let is_contacted = |packet: &PacketRecord| match truth.filtering {
        Filtering::EndpointIndependent => false,
        Filtering::AddressDependent => packet.destination.ip() == source.ip(),
        Filtering::AddressAndPortDependent => packet.destination == source,
    };
    let opened = session.entries.iter().take_while(|entry| entry.at < delivered).find(|entry| {
        *entry.actor == *receiver.name()
            && matches!(&entry.what, EntryKind::Packet(packet) if packet.fate == PacketFate::Sent && is_contacted(packet))
    });
    match opened {
        Some(entry) => Passage::Opened(entry.at),
        None if truth.kind == NatKind::None => Passage::NoFilter,
        None => Passage::AnySource,
    }
}

/// The gateways of a side in words: `the left NAT`.
pub(super) fn gateways(session: &Session, side: Side) -> String {
    let topology = network::topology(&session.plan, side);
    let what = match topology.ipv4.as_slice() {
        [] => "host",
        [Barrier::Translator(nat)] if nat.translate => "NAT",
        [_] => "firewall",
        [..] => "NATs",
    };
    format!("the {} {what}", side.name())
}

/// A check with its fate, as one line.
pub(super) struct Line<'a> {
    pub(super) session: &'a Session,
    pub(super) check: &'a Check,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Check { side, is_relayed, to, to_kind, sends, fate, .. } = self.check;
        if self.check.is_mutual {
            return f.write_str("each peer → host address of the other: no route to a private address");
        }
        let relay = if *is_relayed { "'s relay" } else { "" };
        let kind = to_kind.map_or("peer-reflexive", kind_name);
        let other = side.other();
        write!(f, "{}{relay} → {} {kind} {to}", side.name(), other.name())?;
        if *sends > 1 && !matches!(fate, Fate::Answered(_)) {
            write!(f, " ({sends} times)")?;
        }
        match fate {
            Fate::Answered(why) => self.answered(f, *why),
            Fate::Arrived => f.write_str(": arrives, but no response comes back"),
            Fate::Dropped { by, why, clause } => {
                write!(f, ": dropped by the {}: {why}", by.replace('-', " "))?;
                clause.map_or(Ok(()), |clause| write!(f, " ({clause})"))
            }
            Fate::Stranded(StrandedReason::NoRoute) => f.write_str(": no route to a private address"),
            Fate::Stranded(why) => write!(f, ": {why}"),
            Fate::Lost => f.write_str(": lost on a link"),
            Fate::Unknown => f.write_str(": no response before the end"),
        }
    }
}

impl Line<'_> {
    fn answered(&self, f: &mut fmt::Formatter<'_>, why: Passage) -> fmt::Result {
        let other = self.check.side.other();
        let gateways = gateways(self.session, other);
        match why {
            Passage::Opened(at) => {
                write!(f, ": passes {gateways}, because {} sent to its source at {at}", other.name())
            }
            Passage::AnySource => write!(f, ": passes {gateways}, which lets every source in"),
            Passage::NoFilter => f.write_str(": arrives, nothing filters it"),
            Passage::Server => f.write_str(": arrives at the TURN server, which forwards it"),
        }
    }
}

/// The name of a type of candidates, in words.
pub(super) const fn kind_name(kind: CandidateKind) -> &'static str {
    match kind {
        CandidateKind::Host => "host",
        CandidateKind::PeerReflexive => "peer-reflexive",
        CandidateKind::ServerReflexive => "server-reflexive",
        CandidateKind::Relayed => "relayed",
    }
}
