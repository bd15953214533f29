//! Two agents of ICE over a network that loses, repeats, reorders and changes datagrams, with NATs and restarts; time and
//! network come from the bytes.
//!
//! The signalling keeps the order of each direction and has any delay. After the bytes the network is calm: then both
//! agents agree about the selected pair, or both have failed. After that the network is dead: then both end, and no
//! deadline is left.

use crate::SEEDED;
use crate::byte_reader::ByteReader;
use portolan_ice::{
    Agent, AgentConfig, AgentEvent, AgentState, CandidateKind, ComponentId, LocalCandidate, Nomination, PairInfo,
    PairState, Path, Policy, RemoteDescription,
};
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Output, SocketEvent, SocketId, SocketIds, Unreachability, Verdict,
};
use portolan_sdp::candidate::CandidateAttribute;
use portolan_sim::entropy::SeededRng;
use portolan_stun::{Attribute, AttributeType, Class, Integrity, IntegrityKey, Message, TransactionId};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const ONE: ComponentId = ComponentId::new(0, 1);
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// The most messages of the signalling in one direction without an input from the network.
const SIGNALS: usize = 2_000;
/// The most datagrams that wait in the network.
const WAITING: usize = 64;
/// The time of the calm network: a session that is damaged completes or ends in this time.
const CALM: Duration = Duration::from_secs(300);
/// The time in which a dead network ends every session: the wait for a description (900 s), and 30 s of consent.
const DEAD: Duration = Duration::from_secs(930);
/// The delay of the calm network.
const DELAY: Duration = Duration::from_millis(10);

/// A message of the signalling.
#[derive(Clone, Debug)]
enum Signal {
    Description(Box<RemoteDescription>),
    Candidate(Box<CandidateAttribute>),
    End,
}

/// One agent with its sockets.
struct Side {
    agent: Agent,
    rng: SeededRng,
    ids: SocketIds,
    deadline: Option<Instant>,
    /// The open sockets: the address of the host, and the address behind its NAT.
    sockets: Vec<(SocketId, SocketAddr, SocketAddr)>,
    /// The messages to the peer that have not arrived.
    signals: VecDeque<Signal>,
    nominating: Option<Nominating>,
}

/// A datagram in the network, with the addresses that its receiver sees.
#[derive(Clone, Debug)]
struct Flight {
    to: usize,
    from: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
    /// The socket of the sender, and the destination as the sender sees it.
    sender: (SocketId, SocketAddr),
    at: Instant,
}

/// The last nomination of an agent: a pair that it checks with USE-CANDIDATE.
#[derive(Clone, Debug)]
struct Nominating {
    pair: (SocketId, SocketAddr),
    number: Option<u32>,
    /// The checks so far.
    checks: Vec<TransactionId>,
    /// Whether the agent has accepted a success response.
    is_answered: bool,
}

struct Pair {
    sides: [Side; 2],
    now: Instant,
    flights: VecDeque<Flight>,
    is_dead: bool,
    /// The restarts and repeated datagrams so far: the condition of the planted fault.
    restarts: u32,
    repeated: u32,
    /// Whether both agents have selected the same pair at one time.
    has_agreed: bool,
    /// Whether all sockets but the first one of each host are relays.
    has_relays: bool,
    manner: Manner,
}

/// How the agents nominate.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Whether an agent nominates aggressively.
    is_aggressive: bool,
    /// Whether a pair had a reflexive candidate at one time.
    has_reflexive: bool,
    /// Whether the checklist of an agent has room for a few pairs only.
    is_limited: bool,
}

impl Manner {
    /// With aggressive nomination each agent selects the nominated pair with the highest priority. A pair with a reflexive
    /// candidate can have another priority on each side, and a full checklist discards pairs whose nomination the peer has
    /// accepted. So the agents can select different pairs.
    const fn may_disagree(self) -> bool {
        self.is_aggressive && (self.has_reflexive || self.is_limited)
    }
}

fn config(shape: u8) -> AgentConfig {
    let config = AgentConfig::new().pairs(if shape & 8 == 0 { 100 } else { 3 });
    let config = if shape & 1 == 0 { config } else { config.policy(Policy::Browserlike) };
    if is_aggressive(shape) { config.nomination(Nomination::Aggressive) } else { config }
}

const fn is_aggressive(shape: u8) -> bool {
    shape & 6 == 6
}

/// What a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Host,
    /// A socket of a host behind a NAT.
    Translated,
    /// A relay.
    Relay,
}

/// The addresses of a socket: of the host, and behind the NAT of the host if there is one.
fn addresses(side: usize, number: u8, kind: Kind) -> (SocketAddr, SocketAddr) {
    let side = side as u8;
    let relay = SocketAddr::from(([198, 51, 100, 100 * side + number], 7_000));
    let host = SocketAddr::from(([10, 7, side, number], 5_000));
    match kind {
        Kind::Host => (host, host),
        Kind::Translated => (host, SocketAddr::from(([203, 0, 113, 100 * side + number], 6_000))),
        Kind::Relay => (relay, relay),
    }
}

impl Side {
    fn call<T>(&mut self, now: Instant, call: impl FnOnce(&mut Agent, &mut Cx<'_>) -> T) -> T {
        let mut cx = Cx::new(now, &mut self.rng, &mut self.ids);
        call(&mut self.agent, &mut cx)
    }

    fn describe(&mut self) {
        let Some(credentials) = self.agent.credentials().cloned() else { return };
        let mut description = RemoteDescription::new(credentials);
        if let Some(remote) = self.agent.remote_credentials(0) {
            description = description.answering(remote.ufrag());
        }
        self.signals.push_back(Signal::Description(Box::new(description)));
    }

    /// Remembers a nomination that the agent sends.
    fn note_check(&mut self, pair: (SocketId, SocketAddr), payload: &[u8]) {
        let Ok(message) = Message::decode(payload) else { return };
        if message.class() != Class::Request || !message.has(AttributeType::USE_CANDIDATE) {
            return;
        }
        let number = match message.exempt().attribute(AttributeType::NOMINATION) {
            Some(Ok(Attribute::Nomination(number))) => Some(number),
            _ => None,
        };
        let known = self.nominating.take().filter(|known| (known.pair, known.number) == (pair, number));
        let new = Nominating { pair, number, checks: Vec::new(), is_answered: false };
        let nominating = self.nominating.insert(known.unwrap_or(new));
        nominating.checks.push(message.transaction_id());
    }

    /// Remembers whether the agent accepts a success response to its nomination.
    fn note_response(&mut self, payload: &[u8]) {
        let (Some(nominating), Some(peer)) = (&mut self.nominating, self.agent.remote_credentials(0)) else { return };
        let Ok(message) = Message::decode(payload) else { return };
        let is_success = message.class() == Class::SuccessResponse
            && message.verify_with(&IntegrityKey::short_term(peer.password()), Integrity::Sha1).is_ok();
        nominating.is_answered |= is_success && nominating.checks.contains(&message.transaction_id());
    }

    fn has_reflexive(&self) -> bool {
        let is_it = |kind| matches!(kind, CandidateKind::ServerReflexive | CandidateKind::PeerReflexive);
        self.agent.pairs().any(|pair| is_it(pair.path.local_kind) || is_it(pair.path.remote_kind))
    }

    /// The selected pair, by the numbers of the sockets of this side and of the peer.
    fn selected(&self) -> Option<(u64, u64)> {
        let path = self.agent.selected(ONE)?;
        Some((path.socket.0, number_of(path.remote)))
    }
}

/// The number of the socket behind an address.
fn number_of(address: SocketAddr) -> u64 {
    let IpAddr::V4(ip) = address.ip() else { panic!("a host has IPv4 addresses") };
    u64::from(ip.octets()[3] % 100)
}

impl Pair {
    fn new(reader: &mut ByteReader<'_>) -> Self {
        let roles = reader.byte();
        let side = |seed: u64, shape: u8| Side {
            agent: Agent::new(config(shape)),
            rng: SeededRng::new(seed),
            ids: SocketIds::new(),
            deadline: None,
            sockets: Vec::new(),
            signals: VecDeque::new(),
            nominating: None,
        };
        let shapes = [reader.byte(), reader.byte()];
        let [left, right] = shapes;
        let sides = [side(1 + 2 * u64::from(roles), left), side(2 + 2 * u64::from(roles), right)];
        let mut pair = Self {
            sides,
            now: Instant::ORIGIN,
            flights: VecDeque::new(),
            is_dead: false,
            restarts: 0,
            repeated: 0,
            has_agreed: false,
            has_relays: roles & 128 != 0,
            manner: Manner {
                is_aggressive: shapes.into_iter().any(is_aggressive),
                has_reflexive: false,
                is_limited: shapes.into_iter().any(|shape| shape & 8 != 0),
            },
        };
        // Mostly one controlling and one controlled agent, sometimes two of a kind.
        let controlling = match roles & 7 {
            0 => [true, true],
            1 => [false, false],
            2 | 3 => [false, true],
            _ => [true, false],
        };
        for (at, is_controlling) in controlling.into_iter().enumerate() {
            pair.sides[at].call(Instant::ORIGIN, |agent, cx| agent.start(cx, is_controlling)).expect("a new agent");
            pair.sides[at].describe();
            for number in 1..=1 + (roles >> (3 + at) & 1) {
                pair.open(at, number, roles >> (5 + at) & 1 == 1);
            }
            pair.end_local(at);
        }
        pair
    }

    fn open(&mut self, side: usize, number: u8, has_nat: bool) {
        let id = SocketId(u64::from(number));
        let kind = match (has_nat, self.has_relays && number > 1) {
            (_, true) => Kind::Relay,
            (true, false) => Kind::Translated,
            (false, false) => Kind::Host,
        };
        let (host, outside) = addresses(side, number, kind);
        self.sides[side].sockets.retain(|(known, ..)| *known != id);
        self.sides[side].sockets.push((id, host, outside));
        let now = self.now;
        // The local preferences of a host differ (RFC 8445 §5.1.2.1).
        let candidate = match kind {
            Kind::Host | Kind::Translated => LocalCandidate::host(ONE, id, host),
            Kind::Relay => LocalCandidate::relayed(ONE, id, host, host, SERVER),
        };
        let candidate = candidate.with_preference(u16::MAX - u16::from(number));
        // Without a server-reflexive candidate, the peer finds the address behind the NAT as a peer-reflexive one.
        let reflexive = (kind == Kind::Translated && number == 1).then(|| candidate.server_reflexive(outside, SERVER));
        for candidate in [Some(candidate), reflexive].into_iter().flatten() {
            // A closed agent refuses the candidate.
            let _refused = self.sides[side].call(now, |agent, cx| agent.add_local(cx, candidate));
        }
        self.drain(side);
    }

    fn end_local(&mut self, side: usize) {
        let now = self.now;
        let _refused = self.sides[side].call(now, |agent, cx| agent.end_local(cx));
        self.drain(side);
        self.sides[side].signals.push_back(Signal::End);
    }

    /// Moves the outputs of an agent into the network and the signalling.
    fn drain(&mut self, side: usize) {
        for _ in 0..10_000 {
            match self.sides[side].agent.poll() {
                Output::Wait(wait) => {
                    self.sides[side].deadline = wait.map(|wait| wait.at);
                    self.has_agreed |= self.agree();
                    self.manner.has_reflexive |= self.sides[side].has_reflexive();
                    self.check_law();
                    return;
                }
                Output::Transmit(sent) => self.send(side, sent.socket, sent.remote, &sent.payload),
                Output::Event(AgentEvent::LocalCandidate { candidate, .. }) => {
                    self.sides[side].signals.push_back(Signal::Candidate(candidate));
                }
                Output::Event(AgentEvent::Restarted(_)) => self.sides[side].describe(),
                Output::Event(_) => {}
                Output::Socket(order) => panic!("an agent orders no sockets: {order:?}"),
            }
        }
        panic!("10,000 outputs in one drain");
    }

    fn send(&mut self, side: usize, socket: SocketId, remote: SocketAddr, payload: &[u8]) {
        self.sides[side].note_check((socket, remote), payload);
        let own = self.sides[side].sockets.iter().find(|(known, ..)| *known == socket);
        let Some((_, _, from)) = own else { panic!("sent on {socket}, which is not open") };
        let to = 1 - side;
        let is_reached = self.sides[to].sockets.iter().any(|(_, host, outside)| {
            // Hosts without a NAT reach each other by the address of the host.
            *outside == remote || *host == remote && host == outside
        });
        if is_reached && !self.is_dead && self.flights.len() < WAITING {
            let (from, payload, sender) = (*from, payload.to_vec(), (socket, remote));
            let at = self.now + DELAY;
            self.flights.push_back(Flight { to, from, destination: remote, payload, sender, at });
        }
    }

    fn deliver(&mut self, flight: &Flight) {
        let Flight { to, from, destination, payload, .. } = flight;
        let found = self.sides[*to].sockets.iter().find(|(_, _, outside)| outside == destination);
        let Some((socket, host, _)) = found.copied() else { return };
        let (now, datagram) = (self.now, Datagram::new(socket, host, *from, payload));
        let verdict = self.sides[*to].call(now, |agent, cx| agent.handle(cx, Input::Datagram(datagram)));
        if verdict == Verdict::Mine {
            self.sides[*to].note_response(payload);
        }
        self.drain(*to);
    }

    /// Delivers the next message of the signalling to a side.
    fn signal(&mut self, to: usize) {
        let Some(signal) = self.sides[1 - to].signals.pop_front() else { return };
        let now = self.now;
        let _refused = self.sides[to].call(now, |agent, cx| match signal {
            Signal::Description(description) => agent.set_remote(cx, 0, *description),
            Signal::Candidate(candidate) => agent.add_remote(cx, 0, &candidate),
            Signal::End => agent.end_remote(cx, 0),
        });
        self.drain(to);
    }

    /// The next deadline of an agent.
    fn next(&self) -> Option<(Instant, usize)> {
        let deadlines = (0..2).filter_map(|side| Some((self.sides[side].deadline?, side)));
        // The planted fault: the right agent sleeps for ever.
        let sleeps = SEEDED && self.restarts > 0 && self.repeated > 1;
        deadlines.filter(|(_, side)| *side == 0 || !sleeps).min()
    }

    fn wake(&mut self, at: Instant, side: usize) {
        self.now = self.now.max(at);
        let now = self.now;
        let _verdict: Verdict = self.sides[side].call(now, |agent, cx| agent.handle(cx, Input::Timeout));
        self.drain(side);
        let next = self.sides[side].deadline;
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
            for round in 0.. {
                if self.sides.iter().all(|side| side.signals.is_empty()) {
                    break;
                }
                assert!(round < SIGNALS, "the agents restart each other without end");
                (0..2).for_each(|to| self.signal(to));
            }
            let flight = self.flights.front().map(|flight| flight.at);
            match (flight, self.next()) {
                (Some(at), next) if next.is_none_or(|(next, _)| at <= next) => {
                    self.now = self.now.max(at);
                    let Some(flight) = self.flights.pop_front() else { return };
                    self.deliver(&flight);
                }
                (_, Some((at, side))) if at <= end => self.wake(at, side),
                _ => return,
            }
        }
    }

    /// Whether each agent has selected the address of the other agent's selected socket. A changed NAT changes this address.
    fn agree(&self) -> bool {
        let [left, right] = [0, 1].map(|side: usize| self.sides[side].agent.selected(ONE));
        let is_at = |side: usize, socket: SocketId, remote: SocketAddr| {
            self.sides[side].sockets.iter().any(|(id, _, outside)| *id == socket && *outside == remote)
        };
        left.zip(right)
            .is_some_and(|(left, right)| is_at(1, right.socket, left.remote) && is_at(0, left.socket, right.remote))
    }

    /// From the response to the last nomination on, the selected pairs of both agents are the same pair. The check of the
    /// controlled agent may be pending, or it has failed: then the next request of the controlling agent gets an error.
    fn check_law(&self) {
        let is_controlling = [0, 1].map(|side: usize| self.sides[side].agent.role().is_controlling());
        let [controlling, controlled] = match is_controlling {
            [true, false] => [&self.sides[0], &self.sides[1]],
            [false, true] => [&self.sides[1], &self.sides[0]],
            _ => return,
        };
        let is_peer = |one: &Side, other: &Side| one.agent.remote_credentials(0) == other.agent.credentials();
        let is_answered = controlling.nominating.as_ref().is_some_and(|nominating| nominating.is_answered);
        if self.manner.is_aggressive
            || !is_answered
            || !is_peer(controlling, controlled)
            || !is_peer(controlled, controlling)
        {
            return;
        }
        let (Some((own, peer)), Some(other)) = (controlling.selected(), controlled.selected()) else { return };
        // A host whose NAT changes has several addresses, and so several pairs.
        let is_it = |path: &Path| (path.socket.0, number_of(path.remote)) == (peer, own);
        let mut pairs = controlled.agent.pairs().filter(|pair| is_it(&pair.path));
        let is_agreement = other == (peer, own) || pairs.any(|pair| pair.state != PairState::Succeeded);
        assert!(is_agreement, "at {} two selected pairs: {:?} and {other:?}", self.now, (peer, own));
    }

    /// One step of the network, the time, the signalling or an owner.
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
            7 => {
                let place = reader.below(128);
                let byte = self.flights.get_mut(nth).and_then(|flight| flight.payload.get_mut(place));
                byte.into_iter().for_each(|byte| *byte ^= 1 << (kind >> 5));
            }
            8 | 9 => self.signal(side),
            10 => {
                if let Some((at, side)) = self.next() {
                    self.wake(at, side);
                }
            }
            11 => self.pass(self.now + Duration::from_millis(37 * u64::from(reader.byte()))),
            12 => self.calm(self.now + Duration::from_millis(u64::from(reader.byte()))),
            13 => self.unreachable(nth, kind),
            14 => self.own(side, kind >> 5, reader.byte()),
            _ => self.pass(self.now + Duration::from_millis(u64::from(reader.byte()))),
        }
    }

    /// A datagram is lost, and ICMP reports it.
    fn unreachable(&mut self, nth: usize, kind: u8) {
        let Some(flight) = self.flights.remove(nth) else { return };
        let why = [Unreachability::Port, Unreachability::Host][usize::from(kind >> 5 & 1)];
        let (side, (socket, remote)) = (1 - flight.to, flight.sender);
        if self.sides[side].sockets.iter().any(|(known, ..)| *known == socket) {
            let now = self.now;
            let event = Input::Socket(socket, SocketEvent::Unreachable { remote, why });
            let _verdict: Verdict = self.sides[side].call(now, |agent, cx| agent.handle(cx, event));
            self.drain(side);
        }
    }

    /// A command of the owner of an agent.
    fn own(&mut self, side: usize, kind: u8, detail: u8) {
        let now = self.now;
        match kind {
            0..=2 => {
                self.restarts += 1;
                if self.sides[side].call(now, |agent, cx| agent.restart(cx)).is_ok() {
                    self.sides[side].describe();
                }
                self.drain(side);
            }
            3 | 4 => self.open(side, 1 + detail % 3, detail & 0x40 != 0),
            5 | 6 => {
                let id = SocketId(u64::from(1 + detail % 3));
                let _refused = self.sides[side].call(now, |agent, cx| agent.remove_local(cx, id));
                self.drain(side);
                self.sides[side].sockets.retain(|(known, ..)| *known != id);
            }
            _ if detail & 7 == 7 => {
                let _refused = self.sides[side].call(now, |agent, cx| agent.close(cx));
                self.drain(side);
            }
            _ => self.end_local(side),
        }
    }

    fn states(&self) -> [AgentState; 2] {
        [self.sides[0].agent.state(), self.sides[1].agent.state()]
    }

    /// A selected pair is valid and nominated.
    fn check_selected(&self) {
        for side in &self.sides {
            let Some(path) = side.agent.selected(ONE) else { continue };
            let is_it = |pair: &PairInfo| (pair.path.socket, pair.path.remote) == (path.socket, path.remote);
            let is_nominated = side.agent.pairs().any(|pair| is_it(&pair) && pair.is_valid && pair.is_nominated);
            assert!(is_nominated, "the selected pair {path:?} is not valid and nominated");
        }
    }

    /// The calm network: both agents agree, or both have ended.
    fn check_agreement(&mut self) {
        self.calm(self.now + CALM);
        let states = self.states();
        match states {
            [AgentState::Completed, AgentState::Completed] => {
                let paths = [0, 1].map(|side: usize| self.sides[side].agent.selected(ONE));
                self.check_selected();
                assert!(self.manner.may_disagree() || self.agree(), "two selected pairs: {paths:?}");
            }
            [AgentState::Failed | AgentState::Closed, AgentState::Failed | AgentState::Closed] => {}
            // A restarted agent waits for the description of a closed peer.
            [AgentState::Closed, AgentState::New] | [AgentState::New, AgentState::Closed] => {}
            _ => panic!("after {CALM:?} of a calm network: {states:?}"),
        }
    }

    /// The dead network: both agents end, and nothing is left.
    fn check_end(&mut self) {
        self.is_dead = true;
        self.flights.clear();
        self.pass(self.now + DEAD);
        let states = self.states();
        let is_end = |state| matches!(state, AgentState::Failed | AgentState::Closed);
        assert!(states.into_iter().all(is_end), "after {DEAD:?} of a dead network: {states:?}");
        assert!(self.sides.iter().all(|side| side.deadline.is_none()), "a deadline is left after the end");
    }
}

/// Plays the conversation of the bytes. Returns whether both agents have selected the same pair at one time.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let mut pair = Pair::new(&mut reader);
    let is_calm = reader.byte() & 3 != 0;
    for _ in 0..160 {
        if reader.is_empty() {
            break;
        }
        pair.step(&mut reader);
    }
    for side in &pair.sides {
        assert!(side.agent.pairs().count() <= 100, "more pairs than the limit");
    }
    if is_calm {
        pair.check_agreement();
    }
    pair.check_end();
    pair.has_agreed
}

#[cfg(test)]
mod tests {
    /// Roles, two configurations, the end, and then a step that delivers everything for 255 ms.
    const PLAIN: [u8; 7] = [4, 0, 0, 1, 12, 0, 255];

    #[test]
    fn two_agents_without_faults_agree_for_each_configuration() {
        for (left, right) in (0..16).flat_map(|left| (0..16).map(move |right| (left, right))) {
            let mut bytes = PLAIN;
            (bytes[1], bytes[2]) = (left, right);
            assert!(super::run(&bytes), "{left} {right}");
        }
    }

    #[test]
    fn every_seed_keeps_the_laws() {
        assert!(crate::seeds::of("ice_pair").len() >= 48);
    }
}
