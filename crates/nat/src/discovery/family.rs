//! The run of one family: the order of its parts, and the end of the run.
//!
//! Rules of this file: it connects the parts and decides nothing that a part can decide. `react` functions take
//! events. [`FamilyRun::advance`] then advances each part, in a fixed order.

mod report;
mod steps;

use crate::behavior::NatKind;
use crate::event::DiscoveryEvent;
use crate::note::DiscoveryNote;
use crate::profile::{Family, Flaw, Reachability, Unavailable};
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::{Cx, Datagram, Deadline, Instant, Refusal, SocketEvent, SocketId, Unreachability};
use portolan_stun::{Class, Message, TransactionId};
use portolan_stun_agent::{Answer, TransactionEvent};

use super::action::{Action, Actions};
use super::config::DiscoveryConfig;
use super::filtering::Outcome;
use super::filtering_run::FilteringRun;
use super::hairpin::HairpinRun;
use super::mapping_run::MappingRun;
use super::plan::SECOND_FAMILY;
use super::ports::PortSockets;
use super::reach::TcpCheck;
use super::response::ResponseFields;
use super::servers::Servers;
use super::source_port::PortRange;
use super::tag::{Tag, Target, Test};

/// The number of ports that are tried when ports are taken.
const PORT_TRIES: u8 = 8;

/// The run of one family.
#[derive(Clone, Debug)]
pub(super) struct FamilyRun {
    pub(super) family: Family,
    started_at: Instant,
    servers: Servers,
    mapping: MappingRun,
    filtering: FilteringRun,
    tcp: TcpCheck,
    ports: PortSockets,
    hairpin: HairpinRun,
    state: State,
}

/// The state of the run.
#[derive(Clone, Copy, Debug)]
struct State {
    /// A UDP datagram came from a server.
    responded: bool,
    /// Something happened that a part may act on, and no part has acted yet.
    dirty: bool,
    /// The number of ports that were taken.
    port_tries: u8,
    public_reported: bool,
    nat_reported: Option<NatKind>,
    /// The number of servers in use when a contradiction last added another one.
    contradiction_at: usize,
    /// The next deadline of a part.
    wake: Option<Deadline>,
    /// The result of the run.
    end: Option<Reachability>,
    timed_out: bool,
}

impl FamilyRun {
    /// Opens the mapping socket and the first filtering socket; `None` without a server in this family.
    ///
    /// `second`: another family goes first.
    pub(super) fn start(
        cx: &mut Cx<'_>,
        config: &DiscoveryConfig,
        family: Family,
        second: bool,
    ) -> Option<(Self, Actions)> {
        let mut servers = Servers::new(&config.servers, family);
        let first = servers.first()?;
        servers.join_first();
        let (now, socket) = (cx.now(), cx.next_socket());
        let mut actions = Actions::from([Action::open_udp(socket, first, PortRange::Other)]);
        let from = if second { now + SECOND_FAMILY } else { now };
        let mut filtering = FilteringRun::new();
        actions.push(filtering.attempt(cx.next_socket(), 0, first));
        let state = State {
            responded: false,
            dirty: true,
            port_tries: 0,
            public_reported: false,
            nat_reported: None,
            contradiction_at: 0,
            wake: None,
            end: None,
            timed_out: false,
        };
        let run = Self {
            family,
            started_at: now,
            servers,
            mapping: MappingRun::new(socket, from),
            filtering,
            tcp: TcpCheck::default(),
            ports: PortSockets::default(),
            hairpin: HairpinRun::default(),
            state,
        };
        Some((run, actions))
    }

    /// Whether the run has ended.
    pub(super) const fn is_over(&self) -> bool {
        self.state.end.is_some()
    }

    /// Whether this family is unavailable, so that the other one need not wait.
    pub(super) const fn is_unavailable(&self) -> bool {
        matches!(self.state.end, Some(Reachability::Unavailable(_)))
    }

    /// Stops waiting for the other family, which is over.
    pub(super) fn start_now(&mut self, now: Instant) {
        self.mapping.from = self.mapping.from.min(now);
    }

    /// Whether the socket is a TCP connection of this run.
    pub(super) fn has_stream(&self, socket: SocketId) -> bool {
        self.tcp.holds(socket)
    }

    pub(super) fn owns(&self, socket: SocketId) -> bool {
        self.mapping.socket == socket
            || self.filtering.attempts.iter().any(|attempt| attempt.socket == socket)
            || self.hairpin.holds(socket)
            || self.ports.holds(socket)
    }

    /// Takes a socket event; `None` if the socket belongs to another family.
    pub(super) fn react_to_socket_event(
        &mut self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        event: SocketEvent,
    ) -> Option<Actions> {
        let mut actions = Actions::new();
        if !self.owns(socket) {
            let (ended, reached) = self.tcp.socket_event(cx.now(), socket, event)?;
            actions = ended;
            // Without an open mapping socket no request can show whether UDP passes.
            let reached = reached.filter(|_| self.mapping.local.is_some());
            actions.extend(reached.map(|(server, to)| self.mapping.plan_again(server, to)));
        }
        if self.is_over() {
            return Some(actions);
        }
        self.state.dirty = true;
        match event {
            SocketEvent::Opened { local } => actions.extend(self.opened(cx.now(), socket, local)),
            SocketEvent::Refused(why) => actions.extend(self.refused(cx, socket, why)),
            SocketEvent::Unreachable { .. }
            | SocketEvent::Accepted { .. }
            | SocketEvent::Full
            | SocketEvent::Writable
            | SocketEvent::Closed(_) => {}
        }
        Some(actions)
    }

    fn opened(&mut self, now: Instant, socket: SocketId, local: SocketAddr) -> Actions {
        if socket == self.mapping.socket {
            self.mapping.local = Some(local);
            let in_use: Vec<u8> = self.servers.in_use().map(|(number, _)| number).collect();
            let request = |server| self.mapping.plan_request(&mut self.servers, server, Target::Primary);
            in_use.into_iter().filter_map(request).collect()
        } else if self.hairpin.holds(socket) {
            self.hairpin.opened(now, Some(local)).into_iter().collect()
        } else if self.ports.holds(socket) {
            self.ports.opened(socket, Some(local)).into_iter().collect()
        } else {
            self.filtering.opened(now, socket, local)
        }
    }

    fn refused(&mut self, cx: &mut Cx<'_>, socket: SocketId, why: Refusal) -> Option<Action> {
        if self.tcp.is_started() && !self.owns(socket) {
            return None;
        }
        if self.hairpin.holds(socket) {
            return self.hairpin.opened(cx.now(), None);
        }
        if self.ports.holds(socket) {
            return self.ports.opened(socket, None);
        }
        let again = why == Refusal::AddressInUse && self.state.port_tries < PORT_TRIES;
        if !again {
            self.state.end = Some(Reachability::Unavailable(Unavailable::Refused(why)));
            return None;
        }
        self.state.port_tries += 1;
        let fresh = cx.next_socket();
        let (towards, ports) = if socket == self.mapping.socket
            && let Some(first) = self.servers.first()
        {
            self.mapping.socket = fresh;
            (first, PortRange::Other)
        } else {
            let attempt = self.filtering.by_socket(socket)?;
            attempt.socket = fresh;
            (attempt.primary, PortRange::Filtering)
        };
        Some(Action::OpenUdp { socket: fresh, towards, ports, replaces: true })
    }

    /// Takes the id of a request that has been sent for the first time.
    pub(super) fn react_to_start(&mut self, now: Instant, tag: Tag, id: TransactionId) -> Option<Action> {
        self.filtering.started(now, tag.test, id);
        self.hairpin.started(tag.test, id);
        match tag.test {
            Test::Map { server, target } => {
                if let Some(state) = self.servers.get_mut(server) {
                    state.sent_at.get_or_insert(now);
                    state.target(target).sent_at = Some(now);
                }
            }
            Test::Control { attempt } | Test::ChangeBoth { attempt } | Test::ChangePort { attempt } => {
                let server = self.filtering.get_mut(attempt).map(|attempt| attempt.server);
                if let Some(state) = server.and_then(|server| self.servers.get_mut(server)) {
                    state.sent_at.get_or_insert(now);
                }
                return Some(Action::SetTail(id, self.filtering.tail()));
            }
            Test::Proof { server } => {
                if let Some(state) = self.servers.get_mut(server) {
                    state.proof.request.sent_at = Some(now);
                }
            }
            Test::Again { .. }
            | Test::Stream { .. }
            | Test::Port { .. }
            | Test::HairpinLearn
            | Test::HairpinOut
            | Test::HairpinBack => {}
        }
        None
    }

    /// Takes the event of a request.
    pub(super) fn react_to_transaction(&mut self, now: Instant, event: &TransactionEvent<Tag>) -> Actions {
        if self.is_over() {
            return Actions::new();
        }
        self.state.dirty = true;
        if let Test::Stream { server } = event.tag().test {
            // A response over TCP shows nothing about UDP, but it shows that this is a STUN server.
            if matches!(event, TransactionEvent::Answered(_)) {
                self.tcp.answered(server);
            }
            return Actions::new();
        }
        match event {
            TransactionEvent::Answered(answer) => {
                self.state.responded = true;
                return self.answered(now, answer);
            }
            TransactionEvent::Elsewhere(answer) => {
                self.state.responded = true;
                self.servers.set_heard(now);
                return self.hold(answer.tag.test, Flaw::AnswersFromElsewhere).into_iter().collect();
            }
            TransactionEvent::Unusable { tag, .. } => {
                self.state.responded = true;
                let flaw = self.hold(tag.test, Flaw::Garbage);
                let again = self.exhausted(tag.test, 1);
                return flaw.into_iter().chain(again).collect();
            }
            TransactionEvent::Exhausted { tag, sends, .. } => {
                return self.exhausted(tag.test, *sends).into_iter().collect();
            }
            TransactionEvent::SocketLost { tag, .. } => {
                return self.exhausted(tag.test, 0).into_iter().collect();
            }
            TransactionEvent::Unreachable { tag, why, .. } => self.unreachable(tag.test, *why),
            _ => {}
        }
        Actions::new()
    }

    /// Records a flaw of the server of this test.
    fn hold(&mut self, test: Test, flaw: Flaw) -> Option<Action> {
        let server = self.server_of(test)?;
        self.servers.hold(server, flaw)
    }

    fn server_of(&mut self, test: Test) -> Option<u8> {
        match test {
            Test::Map { server, .. } | Test::Proof { server } | Test::Again { server } => Some(server),
            Test::Control { attempt } | Test::ChangeBoth { attempt } | Test::ChangePort { attempt } => {
                self.filtering.get_mut(attempt).map(|attempt| attempt.server)
            }
            Test::Stream { .. } | Test::Port { .. } | Test::HairpinLearn | Test::HairpinOut | Test::HairpinBack => None,
        }
    }

    fn unreachable(&mut self, test: Test, why: Unreachability) {
        if let Some(state) = self.server_of(test).and_then(|server| self.servers.get_mut(server)) {
            state.unreachable = Some(why);
        }
    }

    fn answered(&mut self, now: Instant, answer: &Answer<Tag>) -> Actions {
        let fields = ResponseFields::of(&answer.message);
        let mut actions = Actions::new();
        if let Some(server) = self.server_of(answer.tag.test) {
            actions.extend(self.learn(server, answer, &fields));
        }
        let outcome = match fields.error {
            Some(code) => Outcome::Refused(code),
            None => Outcome::Answered(answer.from),
        };
        match answer.tag.test {
            Test::Map { server, target } => actions.extend(self.map_answered(now, answer, &fields, (server, target))),
            Test::Again { server } => {
                actions.extend(self.map_answered(now, answer, &fields, (server, Target::Primary)));
            }
            Test::Control { attempt } => actions.extend(self.control_answered(answer, &fields, attempt)),
            Test::ChangeBoth { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.both = outcome;
                }
            }
            Test::ChangePort { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.port = outcome;
                }
            }
            Test::Proof { server } => {
                if let Some(state) = self.servers.get_mut(server) {
                    state.proof.request.outcome = outcome;
                }
            }
            Test::Port { socket } => self.ports.answered(socket, fields.mapped(answer.from).ok().flatten()),
            Test::HairpinLearn => {
                if let Ok(Some(public)) = fields.mapped(answer.from) {
                    actions.extend(self.hairpin.set_public(now, public));
                }
            }
            // No server answers these requests. Their arrival at this host is the result.
            Test::Stream { .. } | Test::HairpinOut | Test::HairpinBack => {}
        }
        actions
    }

    /// Records the RTT, the other address and the error response of a server.
    fn learn(&mut self, server: u8, answer: &Answer<Tag>, fields: &ResponseFields) -> Actions {
        let mut actions = Actions::new();
        let Some(state) = self.servers.get_mut(server) else { return actions };
        let is_plain = matches!(answer.tag.test, Test::Map { .. } | Test::Control { .. } | Test::Again { .. });
        if is_plain && answer.nth == 1 {
            let rtt = state.rtt.map_or(answer.since_first, |rtt| rtt.min(answer.since_first));
            state.rtt = Some(rtt);
            if self.filtering.server() == Some(server) {
                actions.extend(self.filtering.set_rtt(self.family, rtt));
            }
        }
        let primary = is_plain && !matches!(answer.tag.test, Test::Map { target, .. } if target != Target::Primary);
        match fields.error {
            None if primary => self.servers.set_other(server, fields.other),
            Some(code) if primary => actions.extend(self.servers.hold(server, Flaw::Error(code))),
            None | Some(_) => {}
        }
        actions
    }

    fn map_answered(
        &mut self,
        now: Instant,
        answer: &Answer<Tag>,
        fields: &ResponseFields,
        (server, target): (u8, Target),
    ) -> Actions {
        let rtt = self.servers.get(server).and_then(|state| state.rtt).unwrap_or(answer.since_first);
        if let Some(state) = self.servers.get_mut(server) {
            state.target(target).outcome = fields.error.map_or(Outcome::Answered(answer.from), Outcome::Refused);
        }
        let mapped = match fields.mapped(answer.from) {
            Ok(Some(mapped)) => mapped,
            Ok(None) => return Actions::new(),
            Err(flaw) => return self.servers.hold(server, flaw).into_iter().collect(),
        };
        let seen = DiscoveryNote::Seen { tag: answer.tag, by: answer.from, mapped };
        let mut actions = Actions::from([Action::Note(seen)]);
        self.mapping.answered(now, answer, (server, rtt), mapped, fields);
        if let Some(state) = self.servers.get_mut(server).filter(|_| target == Target::Primary) {
            state.seen.add(mapped);
            if state.seen.is_unstable() {
                actions.extend(self.servers.hold(server, Flaw::Unstable));
            }
        }
        actions.extend(self.compare_sockets(server));
        if !core::mem::replace(&mut self.state.public_reported, true) {
            let public = DiscoveryEvent::Public { family: self.family, endpoint: mapped, local: answer.local };
            actions.push(Action::Event(public));
        }
        actions
    }

    fn control_answered(&mut self, answer: &Answer<Tag>, fields: &ResponseFields, attempt: u8) -> Actions {
        let Some(this) = self.filtering.get_mut(attempt) else { return Actions::new() };
        this.control.answers = this.earlier.answers + answer.nth;
        this.control.sends = this.control.sends.max(this.earlier.sends + answer.sends);
        let server = this.server;
        let flaw = match fields.mapped(answer.from) {
            Ok(Some(mapped)) if this.local.is_some_and(|local| local.ip() == answer.local.ip()) => {
                this.control.seen.add(mapped);
                this.control.seen.is_unstable().then_some(Flaw::Unstable)
            }
            Ok(_) => None,
            Err(flaw) => Some(flaw),
        };
        let held = flaw.and_then(|flaw| self.servers.hold(server, flaw));
        held.into_iter().chain(self.compare_sockets(server)).collect()
    }

    /// Records a flaw of a server that reports one endpoint for both sockets. No NAT gives two sockets one endpoint.
    fn compare_sockets(&mut self, server: u8) -> Option<Action> {
        let filtering = self.filtering.attempts.iter().find(|attempt| attempt.server == server);
        let seen = filtering.and_then(|attempt| attempt.control.seen.first())?;
        let same = self.mapping.observations.iter().any(|other| other.server == server && other.mapped == seen);
        if same { self.servers.hold(server, Flaw::SameForAll) } else { None }
    }

    /// Takes the end of a request without a further response. Returns a second request if the path was interrupted.
    fn exhausted(&mut self, test: Test, sends: u32) -> Option<Action> {
        match test {
            Test::Map { server, target } => return self.map_exhausted(server, target, sends),
            Test::Again { server } => self.tcp.silent(server),
            Test::Stream { .. } => {}
            Test::Control { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.control.sends = attempt.earlier.sends + sends;
                    attempt.control.over = true;
                }
            }
            Test::ChangeBoth { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.both = Outcome::Silence(attempt.earlier.both + sends);
                }
            }
            Test::ChangePort { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.port = Outcome::Silence(attempt.earlier.port + sends);
                }
            }
            Test::Proof { server } => {
                let second = self.servers.get(server).is_some_and(|s| self.servers.is_interrupted(&s.proof.request));
                if let Some(state) = self.servers.get_mut(server) {
                    state.proof.request.end(second, sends);
                }
            }
            Test::Port { socket } => self.ports.exhausted(socket),
            Test::HairpinLearn | Test::HairpinOut | Test::HairpinBack => {
                let tally = self.tally();
                self.hairpin.exhausted(test, sends, tally);
            }
        }
        None
    }

    fn map_exhausted(&mut self, server: u8, target: Target, sends: u32) -> Option<Action> {
        let request = *self.servers.get_mut(server)?.target(target);
        let unconfirmed = target == Target::Primary && !request.is_second && self.mapping.awaits_confirmation();
        let second = unconfirmed || self.servers.is_interrupted(&request);
        self.servers.get_mut(server)?.target(target).end(second, sends);
        if second { self.mapping.plan_request(&mut self.servers, server, target) } else { None }
    }

    /// Takes a datagram before any part reads it: each datagram of a server shows that UDP passes.
    pub(super) fn hear(&mut self, now: Instant, datagram: &Datagram<'_>) -> Option<Action> {
        let server = self.servers.hear(now, datagram.remote)?;
        (self.state.responded, self.state.dirty) = (true, true);
        let is_damaged = Message::decode(datagram.payload)
            .map_or(true, |message| message.has_fingerprint() && message.check_fingerprint().is_err());
        let is_answered = self.servers.get(server).is_some_and(|server| server.rtt.is_some());
        if is_damaged && !is_answered { self.servers.hold(server, Flaw::Garbage) } else { None }
    }

    /// Takes a datagram that is no response to a request.
    pub(super) fn react_to_stray(&mut self, datagram: &Datagram<'_>) -> Actions {
        let request = Message::decode(datagram.payload).ok().filter(|message| message.class() == Class::Request);
        if let Some(message) = request
            && self.hairpin.arrived(message.transaction_id(), datagram.remote)
        {
            self.state.dirty = true;
            return Actions::new();
        }
        let mut actions = Actions::new();
        let known = self.servers.in_use().find(|(_, server)| server.address == datagram.remote).map(|(n, _)| n);
        if let Some(server) = known {
            self.state.responded = true;
            self.state.dirty = true;
            if self.servers.get(server).is_some_and(|server| server.rtt.is_none()) {
                actions.extend(self.servers.hold(server, Flaw::Garbage));
            }
        }
        actions.push(Action::Note(DiscoveryNote::Dropped { from: datagram.remote }));
        actions
    }

    /// Advances the parts; `None` without a new event or a due deadline.
    ///
    /// `sends_of` returns the number of sends of a pending request.
    pub(super) fn advance(
        &mut self,
        cx: &mut Cx<'_>,
        config: &DiscoveryConfig,
        sends_of: impl Fn(TransactionId) -> Option<u32>,
    ) -> Option<Actions> {
        let now = cx.now();
        let due = self.state.wake.is_some_and(|wake| wake.is_due(now));
        if self.is_over() || !(core::mem::take(&mut self.state.dirty) || due) {
            return None;
        }
        let next_socket = &mut || cx.next_socket();
        let mut actions = self.check_reachability(now, next_socket);
        if self.is_over() {
            return Some(actions);
        }
        let (contradiction, judged) = self.judge_mapping(now);
        actions.extend(judged);
        actions.extend(self.join_more(now, contradiction));
        actions.extend(self.mapping.choose_server(now, &mut self.servers));
        actions.extend(self.prove());
        actions.extend(self.judge_filtering(now, next_socket, sends_of));
        actions.extend(self.report_nat());
        actions.extend(self.extras(next_socket, config));
        self.conclude(config);
        self.state.wake = self.next_wake(now);
        Some(actions)
    }

    /// The time at which a part acts without a new event.
    pub(super) fn wake(&self) -> Option<Deadline> {
        self.state.wake.filter(|_| !self.is_over())
    }
}
