//! One simulated session: two peers behind gateways, a STUN and TURN server, signalling and the first data.
//!
//! Rules of this file: the left peer sends the offer and is controlling. The right peer starts when the offer arrives, so
//! the checks of the two peers do not start at the same time. Each candidate is signalled when it is found. Data is sent
//! after the nomination, and is repeated until an answer arrives.

use super::DemoError;
use super::network::{self, Network, Node, ONE};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_connect::{ConnectEvent, Connection};
use portolan_ice::{AgentState, CandidateKind, Path, Policy, RemoteDescription, Selection, SessionFailure};
use portolan_machine::{Either, Instant};
use portolan_sdp::candidate::{CandidateAttribute, CandidateType, ConnectionAddress};
use portolan_sim::{Preset, StoryEntry};

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) presets: [Preset; 2],
    pub(super) has_relay: bool,
    /// The share of packets that a link loses, 0 to 1.
    pub(super) loss: f64,
    pub(super) rtt: Duration,
    pub(super) seed: u64,
    pub(super) policy: Policy,
}

impl Plan {
    /// The time of one message over the signalling channel, whose server has more to do than to forward a packet. So a
    /// check can arrive before the message that announces its sender, as on a real network.
    pub(super) fn signalling(&self) -> Duration {
        self.rtt * 2
    }
}

/// A peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    /// Returns the part of a pair that belongs to this side.
    pub(super) const fn of<T>(self, [left, right]: &[T; 2]) -> &T {
        match self {
            Self::Left => left,
            Self::Right => right,
        }
    }

    const fn of_mut<T>(self, [left, right]: &mut [T; 2]) -> &mut T {
        match self {
            Self::Left => left,
            Self::Right => right,
        }
    }
}

/// The result for the two peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Data goes from peer to peer.
    Direct,
    /// Data goes through the TURN server.
    Relayed,
    NotConnected,
}

impl Verdict {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
            Self::NotConnected => "not connected",
        }
    }
}

/// A candidate that a peer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: Instant,
    pub(super) kind: CandidateKind,
    pub(super) address: SocketAddr,
}

/// What happened to one peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    pub(super) found: Vec<Found>,
    pub(super) selection: Option<(Instant, Selection)>,
    /// The selected path at the end.
    pub(super) path: Option<Path>,
    pub(super) failure: Option<(Instant, SessionFailure)>,
}

/// The first data and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) round_trip: Duration,
    /// The number of datagrams of the left peer before the answered one.
    pub(super) unanswered: usize,
}

/// A session that has ended.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) plan: Plan,
    pub(super) peers: [Peer; 2],
    pub(super) exchange: Option<Exchange>,
    /// The virtual time at the end.
    pub(super) end: Instant,
    #[cfg(test)]
    pub(super) ledger: portolan_sim::Ledger,
    /// Empty unless they were recorded.
    pub(super) entries: Vec<StoryEntry>,
}

impl Session {
    pub(super) fn verdict(&self) -> Verdict {
        let is_relayed = |peer: &Peer| peer.path.is_some_and(|path| path.local_kind == CandidateKind::Relayed);
        match self.exchange {
            None => Verdict::NotConnected,
            Some(_) if self.peers.iter().any(is_relayed) => Verdict::Relayed,
            Some(_) => Verdict::Direct,
        }
    }

    /// The time at which both peers had a selected pair.
    pub(super) fn selected_at(&self) -> Option<Instant> {
        let [left, right] = &self.peers;
        Some(left.selection?.0.max(right.selection?.0))
    }
}

/// Runs a session. The story is recorded if `with_story` is set.
pub(super) fn run(plan: &Plan, with_story: bool) -> Result<Session, DemoError> {
    let mut run = Run::start(plan, with_story)?;
    while !run.is_done() {
        run.carry()?;
        if run.network.net.step().is_none_or(|at| at > Instant::ORIGIN + TIME_LIMIT) {
            break;
        }
    }
    run.carry()?;
    Ok(run.end(plan))
}

/// The longest session in virtual time. The agents report a failure earlier.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// The time after which data without an answer is sent again.
const REPEAT: Duration = Duration::from_millis(500);

const GREETING: &[u8] = b"hello, right ";

const ANSWER: &[u8] = b"hello, left  ";

struct Run {
    network: Network,
    signalling: Duration,
    peers: [Peer; 2],
    /// The times at which the left peer sent data.
    sent: Vec<Instant>,
    exchange: Option<Exchange>,
    has_answered_offer: bool,
}

impl Run {
    fn start(plan: &Plan, with_story: bool) -> Result<Self, DemoError> {
        let mut network = network::build(plan)?;
        if with_story {
            network.net.record_story_with(|event| format!("{event:?}"));
        }
        network.start_server();
        let mut run = Self {
            network,
            signalling: plan.signalling(),
            peers: [Peer::default(), Peer::default()],
            sent: Vec::new(),
            exchange: None,
            has_answered_offer: false,
        };
        let interfaces = [Side::Left.of(&run.network.interfaces).clone()];
        run.with(Side::Left, |left, cx| {
            left.start(cx, true)?;
            left.set_interfaces(cx, interfaces.into())
        })?;
        let offer = run.description(Side::Left).ok_or(DemoError::Setup)?;
        let interfaces = [Side::Right.of(&run.network.interfaces).clone()];
        run.later(Side::Right, move |right, cx| {
            // A new connection can be started, and takes one description.
            let _started = right.start(cx, false);
            let _set = right.set_remote(cx, 0, offer);
            let _gathers = right.set_interfaces(cx, interfaces.into());
        });
        Ok(run)
    }

    fn is_done(&self) -> bool {
        let have_failed = self.peers.iter().all(|peer| peer.failure.is_some());
        have_failed || (self.exchange.is_some() && self.peers.iter().all(|peer| peer.selection.is_some()))
    }

    fn connection(&self, side: Side) -> Option<&Connection> {
        self.network.net.machine(*side.of(&self.network.hosts))?.as_first()
    }

    fn description(&self, side: Side) -> Option<RemoteDescription> {
        self.connection(side)?.agent().credentials().cloned().map(RemoteDescription::new)
    }

    fn with<E: Into<DemoError>>(
        &mut self,
        side: Side,
        call: impl FnOnce(&mut Connection, &mut portolan_machine::Cx<'_>) -> Result<(), E>,
    ) -> Result<(), DemoError> {
        let host = *side.of(&self.network.hosts);
        let result = self.network.net.with(host, |node, cx| node.as_first_mut().map(|machine| call(machine, cx)));
        result.flatten().map_or(Err(DemoError::Setup), |result| result.map_err(Into::into))
    }

    /// Calls the connection of a side after the time of a message over the signalling channel.
    fn later(
        &mut self,
        side: Side,
        call: impl FnOnce(&mut Connection, &mut portolan_machine::Cx<'_>) + Send + 'static,
    ) {
        let host = *side.of(&self.network.hosts);
        self.network.net.after(host, self.signalling, move |node: &mut Node, cx| {
            if let Some(connection) = node.as_first_mut() {
                call(connection, cx);
            }
        });
    }

    /// Carries the signalling, and sends data when it is due.
    fn carry(&mut self) -> Result<(), DemoError> {
        if !self.has_answered_offer
            && let Some(answer) = self.description(Side::Right)
        {
            self.has_answered_offer = true;
            self.later(Side::Left, move |left, cx| {
                let _set = left.set_remote(cx, 0, answer);
            });
        }
        for record in self.network.net.take_events() {
            let Either::First(event) = record.event else { continue };
            let side = if record.host == *Side::Left.of(&self.network.hosts) { Side::Left } else { Side::Right };
            self.event(record.at, side, event);
        }
        self.send_data();
        Ok(())
    }

    fn event(&mut self, at: Instant, side: Side, event: ConnectEvent) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "a session needs no other event")]
        match event {
            ConnectEvent::LocalCandidate { stream, candidate } => {
                side.of_mut(&mut self.peers).found.extend(found(at, &candidate));
                self.later(side.other(), move |peer, cx| {
                    let _added = peer.add_remote(cx, stream, &candidate);
                });
            }
            ConnectEvent::EndOfCandidates(_) => self.later(side.other(), |peer, cx| {
                let _ended = peer.end_remote(cx, 0);
            }),
            ConnectEvent::Selected(selection) => {
                side.of_mut(&mut self.peers).selection.get_or_insert((at, *selection));
            }
            ConnectEvent::Failed(why) => side.of_mut(&mut self.peers).failure = Some((at, why)),
            ConnectEvent::Data { payload, .. } => self.data(at, side, &payload),
            _ => {}
        }
    }

    fn data(&mut self, at: Instant, side: Side, payload: &[u8]) {
        match side {
            Side::Right => {
                let number = payload.get(GREETING.len()..).unwrap_or_default();
                let answer = [ANSWER, number].concat();
                // Without a path the left peer repeats its data.
                let _sent = self.with(Side::Right, |right, cx| right.send(cx, ONE, answer.into()));
            }
            Side::Left => {
                let number = payload.get(ANSWER.len()..).and_then(|number| core::str::from_utf8(number).ok());
                let number = number.and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
                if let Some(sent) = self.sent.get(number) {
                    let round_trip = at.since(*sent);
                    self.exchange.get_or_insert(Exchange { round_trip, unanswered: number });
                }
            }
        }
    }

    /// Sends data of the left peer after the nomination, and again while no answer arrives.
    fn send_data(&mut self) {
        let now = self.network.net.now();
        let is_due = self.sent.last().is_none_or(|last| now >= *last + REPEAT);
        let is_selected = Side::Left.of(&self.peers).selection.is_some();
        if self.exchange.is_some() || !is_due || !is_selected || self.has_failed() {
            return;
        }
        let greeting = [GREETING, self.sent.len().to_string().as_bytes()].concat();
        self.sent.push(now);
        let _sent = self.with(Side::Left, |left, cx| left.send(cx, ONE, greeting.into()));
        // The call does nothing: it makes the next step end at the time of the repetition.
        self.network.net.after(*Side::Left.of(&self.network.hosts), REPEAT, |_, _| ());
    }

    fn has_failed(&self) -> bool {
        self.connection(Side::Left).is_none_or(|left| left.agent().state() == AgentState::Failed)
    }

    fn end(mut self, plan: &Plan) -> Session {
        for side in Side::BOTH {
            side.of_mut(&mut self.peers).path = self.connection(side).and_then(|peer| peer.agent().selected(ONE));
        }
        let net = &self.network.net;
        Session {
            plan: *plan,
            peers: self.peers,
            exchange: self.exchange,
            end: net.now(),
            #[cfg(test)]
            ledger: net.ledger(),
            entries: net.story_entries().to_vec(),
        }
    }
}

fn found(at: Instant, candidate: &CandidateAttribute) -> Option<Found> {
    let kind = match candidate.candidate_type {
        CandidateType::Host => CandidateKind::Host,
        CandidateType::ServerReflexive => CandidateKind::ServerReflexive,
        CandidateType::PeerReflexive => CandidateKind::PeerReflexive,
        CandidateType::Relayed => CandidateKind::Relayed,
        CandidateType::Other(_) => return None,
    };
    let ip = match candidate.address {
        ConnectionAddress::Ip4(ip) => IpAddr::V4(ip),
        ConnectionAddress::Ip6(ip) => IpAddr::V6(ip),
        ConnectionAddress::Name(_) | ConnectionAddress::Zoned(_) => return None,
    };
    Some(Found { at, kind, address: SocketAddr::new(ip, candidate.port) })
}
