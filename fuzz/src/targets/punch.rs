//! Punchers. One puncher with a peer that answers, is silent, or sends wrong data: the laws of machines. Two punchers
//! behind NATs, over a network that loses, repeats, reorders and changes datagrams: time and network come from the bytes.
//!
//! In each run no puncher exceeds its budget: sessions, mappings, and packets in any second. In a calm network two
//! punchers are both connected, or both have ended. In a dead network each ends in its stated time, with one event.

use super::peer::Peer as Answers;
use crate::SEEDED;
use crate::byte_reader::ByteReader;
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Output, Refusal, SocketEvent, SocketId, SocketIds, SocketOrder, Transmit,
    Unreachability,
};
use portolan_punch::card::Card;
use portolan_punch::forecast::{Budget, Conditions};
use portolan_punch::puncher::{Peer, PunchCommand, PunchConfig, PunchEvent, Puncher, SessionKey, Sockets};
use portolan_sim::entropy::SeededRng;
use portolan_sim::laws::{Context, Step};
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, Method, Writer};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

const SECRET: &[u8] = b"TheMatrIX";
const SESSION: [u8; 16] = [9; 16];
const MAIN: SocketId = SocketId(1);
/// The most datagrams that wait in the network.
const WAITING: usize = 64;
/// The delay of the calm network.
const DELAY: Duration = Duration::from_millis(10);
/// The time of the calm network: an attempt, a lost path, and the attempt after it.
const CALM: Duration = Duration::from_secs(200);
/// The longest text of a puncher, with the small budgets of this file.
const STATE: usize = 120_000;

/// The cards: endpoint-independent and destination-dependent mappings, with each filter and allocation.
const CARDS: [&str; 8] = [
    "nat1",
    "nat1,4=open",
    "nat1,4=nat,m=eim,f=apdf,a=keep",
    "nat1,4=nat,m=eim,f=adf,a=keep,l=20",
    "nat1,4=nat,m=apdm,f=apdf,a=seq+1",
    "nat1,4=nat,m=apdm,f=apdf,a=block64@20000",
    "nat1,4=nat,m=apdm,f=eif,a=random",
    "nat1,4=nat,m=adm,f=adf,a=random",
];

fn card(choice: u8) -> Card {
    CARDS[usize::from(choice) % CARDS.len()].parse().expect("a card")
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn config(is_first: bool, cards: [u8; 2], own: SocketAddr, peer: Peer, shape: u8) -> PunchConfig {
    let budget = match shape & 3 {
        0 => Budget { mappings: 60, sessions: 60, rate: 100 },
        1 => Budget { mappings: 40, sessions: 80, rate: 50 },
        2 => Budget { mappings: 3, sessions: 5, rate: 7 },
        _ => Budget { mappings: 20, sessions: 20, rate: 20 },
    };
    let key = SessionKey::new(SECRET, &SESSION);
    let conditions = Conditions { budget, ..Conditions::default() };
    let start = Duration::from_millis(if shape & 4 == 0 { 0 } else { 500 });
    let config = PunchConfig::new(Sockets::ipv4(MAIN), own, peer.card(card(cards[1])), key, is_first);
    let config = config.own_card(card(cards[0])).conditions(conditions).start(start).may_guess(shape & 8 == 0);
    if shape & 16 == 0 { config } else { config.opener_hop_limit(2) }
}

/// What a puncher has spent.
#[derive(Debug, Default)]
struct Spent {
    /// The destinations of each socket in this attempt.
    flows: BTreeSet<(SocketId, SocketAddr)>,
    sockets: BTreeSet<SocketId>,
    /// The times of the packets of the last second.
    sent: VecDeque<Instant>,
    ends: u32,
}

impl Spent {
    /// Counts an output, and checks it against the plan and the budget.
    fn count(&mut self, now: Instant, puncher: &Puncher, rate: u16, is_hard: bool, output: &Output<PunchEvent>) {
        match output {
            Output::Transmit(sent) => {
                assert!(self.ends == 0, "sent after the end");
                self.flows.insert((sent.socket, sent.remote));
                self.sockets.insert(sent.socket);
                let limit = puncher.plan().limit;
                assert!(self.flows.len() <= usize::from(limit.sessions), "{} of {limit:?}", self.flows.len());
                let mappings = if is_hard { self.flows.len() } else { self.sockets.len() };
                assert!(mappings <= usize::from(limit.mappings), "{mappings} mappings of {limit:?}");
                self.sent.push_back(now);
                if self.sent.len() > usize::from(rate) {
                    let oldest = self.sent.pop_front().unwrap_or(now);
                    assert!(now - oldest >= Duration::from_secs(1), "more than {rate} packets in a second");
                }
            }
            // The attempt after a loss has a budget of its own.
            Output::Event(PunchEvent::Lost) => {
                self.flows.clear();
                self.sockets.clear();
            }
            Output::Event(PunchEvent::Failed { .. } | PunchEvent::Released | PunchEvent::Closed) => self.ends += 1,
            Output::Event(_) | Output::Socket(_) | Output::Wait(_) => {}
        }
    }
}

/// A NAT with few properties, or none.
#[derive(Debug)]
struct Nat {
    host: u8,
    shape: u8,
    mappings: BTreeMap<(SocketId, Option<SocketAddr>), SocketAddr>,
    /// The external endpoints, and the destinations that each has sent to.
    filter: BTreeSet<(SocketAddr, SocketAddr)>,
    next: u16,
}

impl Nat {
    fn new(host: u8, shape: u8) -> Self {
        let (mappings, filter) = (BTreeMap::new(), BTreeSet::new());
        Self { host, shape, mappings, filter, next: 20_000 }
    }

    const fn is_hard(&self) -> bool {
        self.shape & 3 == 3
    }

    /// The external endpoint of a packet.
    fn outside(&mut self, socket: SocketId, remote: SocketAddr) -> SocketAddr {
        let key = (socket, self.is_hard().then_some(remote));
        let (next, host) = (&mut self.next, self.host);
        let outside = *self.mappings.entry(key).or_insert_with(|| {
            *next += 1;
            SocketAddr::from(([203, 0, 113, host], *next))
        });
        self.filter.insert((outside, remote));
        outside
    }

    /// The socket that gets a packet.
    fn inside(&self, destination: SocketAddr, source: SocketAddr) -> Option<SocketId> {
        let passes = |(outside, to): &(SocketAddr, SocketAddr)| match self.shape & 3 {
            0 => *outside == destination,
            1 => *outside == destination && to.ip() == source.ip(),
            _ => *outside == destination && *to == source,
        };
        let is_allowed = self.filter.iter().any(passes);
        let found = self.mappings.iter().find(|(_, outside)| **outside == destination);
        found.filter(|_| is_allowed).map(|((socket, _), _)| *socket)
    }
}

/// One puncher with its sockets and its NAT.
struct Side {
    puncher: Puncher,
    config: PunchConfig,
    rng: SeededRng,
    ids: SocketIds,
    deadline: Option<Instant>,
    nat: Nat,
    open: BTreeSet<SocketId>,
    ordered: VecDeque<SocketId>,
    spent: Spent,
}

/// A datagram in the network.
#[derive(Clone, Debug)]
struct Flight {
    to: usize,
    from: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
    sender: (SocketId, SocketAddr),
    at: Instant,
}

struct Pair {
    sides: [Side; 2],
    now: Instant,
    flights: VecDeque<Flight>,
    is_dead: bool,
    repeated: u32,
    has_connected: bool,
}

impl Pair {
    fn new(reader: &mut ByteReader<'_>) -> Self {
        let server = address("192.0.2.1:3478");
        let cards = [reader.byte(), reader.byte()];
        let shapes = [reader.byte(), reader.byte()];
        let nats = reader.byte();
        let mut nats = [Nat::new(1, nats), Nat::new(2, nats >> 2)];
        let known = nats.each_mut().map(|nat| nat.outside(MAIN, server));
        let mut nats = nats.into_iter();
        let side = |at: usize, nat: Nat| {
            // The introducer names other hosts too.
            let others = (0..shapes[at] >> 5).map(|n| SocketAddr::from(([203, 0, 113, 50 + n], 5000)));
            let peer = Peer::new(known[1 - at]).candidates(others.collect());
            let mut ids = SocketIds::new();
            assert_eq!(ids.next_socket(), MAIN);
            let config = config(at == 0, [cards[at], cards[1 - at]], known[at], peer, shapes[at]);
            Side {
                puncher: Puncher::new(config.clone()),
                config,
                rng: SeededRng::new(at as u64),
                ids,
                deadline: None,
                nat,
                open: [MAIN].into(),
                ordered: VecDeque::new(),
                spent: Spent::default(),
            }
        };
        let sides = [0, 1].map(|at| side(at, nats.next().unwrap_or_else(|| Nat::new(9, 0))));
        let (now, flights) = (Instant::ORIGIN, VecDeque::new());
        let mut pair = Self { sides, now, flights, is_dead: false, repeated: 0, has_connected: false };
        (0..2).for_each(|side| pair.command(side, PunchCommand::Start));
        pair
    }

    fn command(&mut self, side: usize, command: PunchCommand) {
        let now = self.now;
        let Side { puncher, rng, ids, .. } = &mut self.sides[side];
        // A puncher without a path refuses to release it.
        let _refused = puncher.command(&mut Cx::new(now, rng, ids), command);
        self.drain(side);
    }

    fn input(&mut self, side: usize, input: Input<'_>) {
        let now = self.now;
        let Side { puncher, rng, ids, .. } = &mut self.sides[side];
        let _verdict = puncher.handle(&mut Cx::new(now, rng, ids), input);
        self.drain(side);
    }

    /// Moves the outputs of a puncher into the network.
    fn drain(&mut self, side: usize) {
        for _ in 0..10_000 {
            let now = self.now;
            let Side { puncher, config, spent, .. } = &mut self.sides[side];
            let output = puncher.poll();
            let rate = config.conditions.budget.rate;
            let is_hard = config.own.mapping.is_some_and(|mapping| mapping.is_destination_dependent());
            spent.count(now, puncher, rate, is_hard, &output);
            match output {
                Output::Wait(wait) => {
                    self.sides[side].deadline = wait.map(|wait| wait.at);
                    self.has_connected |= self.sides.iter().all(|side| side.puncher.path().is_some());
                    return;
                }
                Output::Transmit(sent) => self.send(side, &sent),
                Output::Socket(SocketOrder::Open(open)) => self.sides[side].ordered.push_back(open.id),
                Output::Socket(SocketOrder::Close(socket)) => {
                    let Side { open, ordered, .. } = &mut self.sides[side];
                    let is_known = open.remove(&socket) || ordered.contains(&socket);
                    assert!(is_known && socket != MAIN, "closed {socket}");
                    ordered.retain(|known| *known != socket);
                }
                Output::Socket(order) => panic!("a puncher pauses no sockets: {order:?}"),
                Output::Event(_) => {}
            }
        }
        panic!("10,000 outputs in one drain");
    }

    fn send(&mut self, side: usize, sent: &Transmit) {
        let own = &mut self.sides[side];
        assert!(own.open.contains(&sent.socket), "sent on {}, which is not open", sent.socket);
        let from = own.nat.outside(sent.socket, sent.remote);
        if !self.is_dead && self.flights.len() < WAITING {
            let (to, at, payload) = (1 - side, self.now + DELAY, sent.payload.to_vec());
            let (destination, sender) = (sent.remote, (sent.socket, sent.remote));
            self.flights.push_back(Flight { to, from, destination, payload, sender, at });
        }
    }

    fn deliver(&mut self, flight: &Flight) {
        let Flight { to, from, destination, payload, .. } = flight;
        let side = &self.sides[*to];
        let found = side.nat.inside(*destination, *from).filter(|socket| side.open.contains(socket));
        let Some(socket) = found else { return };
        let local = address("10.0.0.2:5000");
        self.input(*to, Input::Datagram(Datagram::new(socket, local, *from, payload)));
    }

    /// Opens the oldest socket that was ordered, or refuses it.
    fn opened(&mut self, side: usize, is_refused: bool) {
        let Some(socket) = self.sides[side].ordered.pop_front() else { return };
        let event = if is_refused {
            SocketEvent::Refused(Refusal::TooManySockets)
        } else {
            self.sides[side].open.insert(socket);
            SocketEvent::Opened { local: address("10.0.0.2:5001") }
        };
        self.input(side, Input::Socket(socket, event));
    }

    /// The next deadline.
    fn next(&self) -> Option<(Instant, usize)> {
        let deadlines = (0..2).filter_map(|side| Some((self.sides[side].deadline?, side)));
        // The planted fault: the second puncher sleeps for ever.
        let sleeps = SEEDED && self.has_connected && self.repeated > 1;
        deadlines.filter(|(_, side)| *side == 0 || !sleeps).min()
    }

    fn wake(&mut self, at: Instant, side: usize) {
        self.now = self.now.max(at);
        self.input(side, Input::Timeout);
        let (now, next) = (self.now, self.sides[side].deadline);
        assert!(next.is_none_or(|next| next > now), "after the timeout at {now} it waits until {next:?} (law 2)");
    }

    /// Passes the deadlines until `end`.
    fn pass(&mut self, end: Instant) {
        while let Some((at, side)) = self.next().filter(|(at, _)| *at <= end) {
            self.wake(at, side);
        }
        self.now = self.now.max(end);
    }

    /// Passes time in a network that delivers everything in order.
    fn calm(&mut self, end: Instant) {
        loop {
            for side in 0..2 {
                while !self.sides[side].ordered.is_empty() {
                    self.opened(side, false);
                }
            }
            let flight = self.flights.front().map(|flight| flight.at);
            match (flight, self.next()) {
                (Some(at), next) if next.is_none_or(|(next, _)| at <= next) => {
                    self.now = self.now.max(at);
                    let Some(flight) = self.flights.pop_front() else { return };
                    self.deliver(&flight);
                }
                (_, Some((at, side))) if at <= end => self.wake(at, side),
                _ => break,
            }
        }
        self.now = self.now.max(end);
    }

    /// One step of the network, the time, or an owner.
    fn step(&mut self, reader: &mut ByteReader<'_>) {
        let kind = reader.byte();
        let side = usize::from(kind >> 4 & 1);
        let nth = reader.below(self.flights.len());
        match kind & 15 {
            // In any order.
            0..=4 => {
                if let Some(flight) = self.flights.remove(nth) {
                    self.deliver(&flight);
                }
            }
            5 => drop(self.flights.remove(nth)),
            6 => {
                if let Some(flight) = self.flights.get(nth).cloned() {
                    self.repeated += 1;
                    self.deliver(&flight);
                }
            }
            7 => self.change(nth, kind, reader.byte()),
            8 | 9 => self.opened(side, kind & 0xe0 == 0xe0),
            10 => {
                if let Some((at, side)) = self.next() {
                    self.wake(at, side);
                }
            }
            11 => self.pass(self.now + Duration::from_millis(37 * u64::from(reader.byte()))),
            12 => self.calm(self.now + Duration::from_millis(17 * u64::from(reader.byte()))),
            13 => self.unreachable(nth, kind),
            14 => self.own(side, kind >> 5),
            _ => self.pass(self.now + Duration::from_millis(u64::from(reader.byte()))),
        }
    }

    /// Changes one bit of a datagram, or its source.
    fn change(&mut self, nth: usize, kind: u8, detail: u8) {
        let Some(flight) = self.flights.get_mut(nth) else { return };
        if detail & 0x80 == 0 {
            let byte = flight.payload.get_mut(usize::from(detail));
            byte.into_iter().for_each(|byte| *byte ^= 1 << (kind >> 5));
        } else {
            flight.from.set_port(30_000 + u16::from(detail));
            self.sides[flight.to].nat.filter.insert((flight.destination, flight.from));
        }
    }

    /// A datagram is lost, and ICMP reports it.
    fn unreachable(&mut self, nth: usize, kind: u8) {
        let Some(flight) = self.flights.remove(nth) else { return };
        let all = [Unreachability::Port, Unreachability::Host, Unreachability::HopLimit, Unreachability::Port];
        let (side, (socket, remote)) = (1 - flight.to, flight.sender);
        if self.sides[side].open.contains(&socket) {
            let why = all[usize::from(kind >> 5 & 3)];
            self.input(side, Input::Socket(socket, SocketEvent::Unreachable { remote, why }));
        }
    }

    /// The owner of a puncher, or its NAT.
    fn own(&mut self, side: usize, kind: u8) {
        match kind {
            0 => self.command(side, PunchCommand::Release),
            1 => self.command(side, PunchCommand::Close),
            // A NAT that has lost its state.
            2 | 3 => {
                let nat = &mut self.sides[side].nat;
                nat.mappings.clear();
                nat.filter.clear();
            }
            _ => {
                // Data of the application of the peer.
                let (puncher, peer) = (&self.sides[side].puncher, &self.sides[side].config.peer);
                let source = puncher.path().map_or(peer.reflexive, |path| path.remote);
                let data = Datagram::new(MAIN, address("10.0.0.2:5000"), source, &[0x80, 1, 2, 3]);
                self.input(side, Input::Datagram(data));
            }
        }
    }

    /// The calm network: both are connected, or both have ended.
    fn check_agreement(&mut self) {
        self.calm(self.now + CALM);
        let has_path = self.sides.each_ref().map(|side| side.puncher.path().is_some());
        let has_ended = self.sides.each_ref().map(|side| side.spent.ends > 0);
        assert!(
            has_path == [true, true] || has_ended == [true, true],
            "after {CALM:?} of a calm network: paths {has_path:?}, ends {has_ended:?}"
        );
    }

    /// The dead network: both end in the stated time, with one event, and nothing is left.
    fn check_end(&mut self) {
        self.is_dead = true;
        self.flights.clear();
        let stated = self.sides.each_ref().map(|side| side.config.start + side.puncher.plan().lasts);
        let longest = stated.into_iter().max().unwrap_or_default().max(Puncher::LOST_AFTER);
        self.pass(self.now + longest + Duration::from_millis(50));
        for side in &self.sides {
            assert_eq!(side.spent.ends, 1, "after {longest:?} of a dead network");
            assert!(side.deadline.is_none(), "a deadline is left after the end");
            let text = format!("{:?}", side.puncher);
            assert!(!text.contains("TheMatrIX"), "a secret in a text");
        }
    }
}

/// Plays two punchers.
fn run_pair(reader: &mut ByteReader<'_>) -> bool {
    let mut pair = Pair::new(reader);
    let is_calm = reader.byte() & 3 != 0;
    for _ in 0..160 {
        if reader.is_empty() {
            break;
        }
        pair.step(reader);
    }
    for side in &pair.sides {
        let text = format!("{:?}", side.puncher);
        assert!(text.len() <= STATE, "a state of {} bytes", text.len());
    }
    if is_calm {
        pair.check_agreement();
    }
    pair.check_end();
    pair.has_connected
}

/// The bytes of a probe of the peer, built from the description of the message alone.
fn probe(class: Class, id: [u8; 12], value: [u8; 4]) -> Vec<u8> {
    let text = [&b"portolan punch 1"[..], &SESSION].concat();
    let key = IntegrityKey::from_bytes(&IntegrityKey::from_bytes(SECRET).hmac_sha1(&text));
    let mut buffer = [0; 64];
    let method = Method::new(0x0f1).expect("a method");
    let mut writer = Writer::new(&mut buffer, class, method, id.into()).expect("room");
    writer.add(&Attribute::Unknown { kind: AttributeType::new(0x7f10), value: &value }).expect("room");
    writer.message_integrity(&key).expect("room").finish().to_vec()
}

/// What the peer sends after a datagram of the puncher.
fn answer(peer: &mut Answers<'_>, at: Instant, sent: &Transmit, is_first: bool) -> Vec<Step> {
    let Ok(message) = Message::decode(&sent.payload) else { return Vec::new() };
    let side = u8::from(!is_first);
    let mut payloads = Vec::new();
    if message.class() == Class::Request && peer.choice() & 3 != 0 {
        payloads.push(probe(Class::SuccessResponse, message.transaction_id().into(), [side, 0, 0, 0]));
    }
    if peer.choice() & 1 == 0 {
        let (flags, round) = (peer.choice() & 3, peer.choice() & 0x81);
        payloads.push(probe(Class::Request, [peer.choice(); 12], [side, flags, 0, round & 1]));
    }
    if peer.choice() & 7 == 0 {
        payloads.push(b"\x80data".to_vec());
    }
    let mut steps = Vec::new();
    for mut payload in payloads {
        let place = peer.choice();
        if place & 0x1f == 0x1f {
            let byte = usize::from(peer.choice()) % payload.len();
            payload[byte] ^= 1 << (place >> 5);
        }
        let mut remote = sent.remote;
        if place & 0x60 == 0x60 {
            remote.set_port(u16::from(peer.choice()) + 40_000);
        }
        let later = at + Duration::from_millis(u64::from(peer.choice() & 0x7f));
        steps.push(Step::datagram(later, sent.socket, address("10.0.0.2:5000"), remote, &payload));
    }
    steps
}

/// Plays one puncher.
fn run_one(bytes: &[u8], reader: &mut ByteReader<'_>, shape: u8) -> bool {
    let is_first = shape & 2 == 0;
    let (cards, size) = ([reader.byte(), reader.byte()], reader.byte());
    let others = (0..size >> 5).map(|n| SocketAddr::from(([192, 0, 2, 2 + n], 3479)));
    let peer = Peer::new(address("192.0.2.1:3478")).candidates(others.collect());
    let config = config(is_first, cards, address("198.51.100.7:40000"), peer, size);
    let terminal =
        |event: &PunchEvent| matches!(event, PunchEvent::Failed { .. } | PunchEvent::Released | PunchEvent::Closed);
    let context = Context { seed: u64::from(shape), handed_in: &[MAIN], terminal, ..Context::default() };
    let factory = || Flawed::new(Puncher::new(config.clone()), Flaw::RepeatsTransmit);
    let mut script = vec![Step::command(Instant::ORIGIN, &PunchCommand::Start)];
    script.extend(reader.script(10, 2, |reader| match reader.byte() & 15 {
        0 => "release".to_owned(),
        1 => "close".to_owned(),
        _ => "start".to_owned(),
    }));
    let mut answers = Answers::new(bytes);
    let mut is_connected = false;
    let _whole = play(bytes, &factory, &script, &context, 120, |at, output| match output {
        Output::Transmit(sent) => answer(&mut answers, at, sent, is_first),
        Output::Event(PunchEvent::Connected { .. }) => {
            is_connected = true;
            Vec::new()
        }
        Output::Socket(_) => answers.answer(at, output),
        Output::Event(_) | Output::Wait(_) => Vec::new(),
    });
    is_connected
}

/// Plays the conversation of the bytes. Returns whether a path was open at one time.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    if shape & 1 == 0 { run_pair(&mut reader) } else { run_one(bytes, &mut reader, shape) }
}

#[cfg(test)]
mod tests {
    /// A pair, two cards, two shapes, NATs, and the end: the calm network follows.
    #[test]
    fn two_punchers_without_faults_connect_for_each_pair_of_cards() {
        for (left, right) in (0..8).flat_map(|left| (0..8).map(move |right| (left, right))) {
            assert!(super::run(&[0, left, right, 0, 0, 0, 1]), "{left} {right}");
        }
    }

    #[test]
    fn every_seed_keeps_the_laws() {
        assert!(crate::seeds::of("punch").len() >= 48);
    }
}
