//! One family's run: who asks what when, and when it is over.
//!
//! Rules of this file: it brings the parts together and decides nothing that a part can decide. `react` functions take
//! what happened; [`FamilyRun::advance`] then lets each part go on, in a fixed order, and says whether anything is new.

mod report;
mod steps;

use crate::behavior::NatKind;
use crate::event::DiscoveryEvent;
use crate::note::DiscoveryNote;
use crate::profile::{Family, Flaw, Reachability, Unavailable};
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::{Datagram, Deadline, Instant, Refusal, SocketId, SocketNews, Unreachability};
use portolan_stun::{Class, Message, TransactionId};
use portolan_stun_agent::{Answer, TransactionEvent};

use super::desk::{Desk, Reading};
use super::filtering::Met;
use super::filtering_test::FilteringTest;
use super::hairpin::HairpinTest;
use super::mapping_test::MappingTest;
use super::plan::SECOND_FAMILY;
use super::ports::PortSockets;
use super::reach::TcpCheck;
use super::servers::Servers;
use super::tag::{Tag, Target, Test};

/// How often another port is drawn when one is taken.
const PORT_TRIES: u8 = 8;

/// One family's run.
#[derive(Clone, Debug)]
pub(super) struct FamilyRun {
    pub(super) family: Family,
    started_at: Instant,
    servers: Servers,
    mapping: MappingTest,
    filtering: FilteringTest,
    tcp: TcpCheck,
    ports: PortSockets,
    hairpin: HairpinTest,
    state: State,
}

/// Where the run stands.
#[derive(Clone, Copy, Debug)]
struct State {
    /// A UDP datagram came from a server.
    heard: bool,
    /// Something happened that a part may act on.
    dirty: bool,
    /// How many ports were taken.
    port_tries: u8,
    told_public: bool,
    told_nat: Option<NatKind>,
    /// How many servers were asked when their contradiction last brought another one.
    contradiction_at: usize,
    /// When a patience ends.
    wake: Option<Deadline>,
    /// How it ended.
    end: Option<Reachability>,
    timed_out: bool,
}

impl FamilyRun {
    /// Opens the mapping socket and the first filtering socket; `None` without a server in this family.
    pub(super) fn start(desk: &mut Desk<'_, '_>, family: Family, second: bool) -> Option<Self> {
        let mut servers = Servers::new(&desk.config.servers, family);
        let first = servers.first()?;
        servers.join_first();
        let now = desk.now();
        let (socket, _) = desk.open_udp(first);
        let from = if second { now + SECOND_FAMILY } else { now };
        let mut filtering = FilteringTest::new();
        filtering.attempt(desk, 0, first);
        let state = State {
            heard: false,
            dirty: true,
            port_tries: 0,
            told_public: false,
            told_nat: None,
            contradiction_at: 0,
            wake: None,
            end: None,
            timed_out: false,
        };
        Some(Self {
            family,
            started_at: now,
            servers,
            mapping: MappingTest::new(socket, from),
            filtering,
            tcp: TcpCheck::default(),
            ports: PortSockets::default(),
            hairpin: HairpinTest::default(),
            state,
        })
    }

    /// Whether everything is said.
    pub(super) const fn is_over(&self) -> bool {
        self.state.end.is_some()
    }

    /// Whether there is no way out for this family, so that the other one need not wait.
    pub(super) const fn is_unavailable(&self) -> bool {
        matches!(self.state.end, Some(Reachability::Unavailable(_)))
    }

    /// The other family is out of the way.
    pub(super) fn hasten(&mut self, desk: &mut Desk<'_, '_>) {
        let (now, family) = (desk.now(), self.family);
        self.mapping.from = self.mapping.from.min(now);
        desk.plan.hasten(now, |tag| tag.family == family);
    }

    pub(super) fn owns(&self, socket: SocketId) -> bool {
        self.mapping.socket == socket
            || self.filtering.attempts.iter().any(|attempt| attempt.socket == socket)
            || self.hairpin.holds(socket)
            || self.ports.holds(socket)
    }

    /// Takes news of a socket; `false`: not one of this family.
    pub(super) fn react_to_news(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, news: SocketNews) -> bool {
        let mine = self.owns(socket) || self.tcp.news(desk, socket, news);
        if !mine || self.is_over() {
            return mine;
        }
        self.state.dirty = true;
        match news {
            SocketNews::Opened { local } => self.opened(desk, socket, local),
            SocketNews::Refused(why) => self.refused(desk, socket, why),
            SocketNews::Unreachable { .. }
            | SocketNews::Accepted { .. }
            | SocketNews::Full
            | SocketNews::Writable
            | SocketNews::Closed(_) => {}
        }
        true
    }

    fn opened(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, local: SocketAddr) {
        if socket == self.mapping.socket {
            self.mapping.local = Some(local);
            let asked: Vec<u8> = self.servers.asked().map(|(number, _)| number).collect();
            for server in asked {
                self.mapping.ask(desk, &mut self.servers, server, Target::Primary);
            }
        } else if self.hairpin.holds(socket) {
            self.hairpin.opened(desk, Some(local));
        } else if self.ports.holds(socket) {
            self.ports.opened(desk, socket, Some(local));
        } else {
            self.filtering.opened(desk, socket, local);
        }
    }

    fn refused(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, why: Refusal) {
        if self.tcp.is_started() && !self.owns(socket) {
            return;
        }
        if self.hairpin.holds(socket) {
            return self.hairpin.opened(desk, None);
        }
        if self.ports.holds(socket) {
            return self.ports.opened(desk, socket, None);
        }
        let again = why == Refusal::AddressInUse && self.state.port_tries < PORT_TRIES;
        if !again {
            self.state.end = Some(Reachability::Unavailable(Unavailable::Refused(why)));
            return;
        }
        self.state.port_tries += 1;
        let to = self.servers.first();
        if socket == self.mapping.socket
            && let Some(to) = to
        {
            let (fresh, port) = desk.open_udp(to);
            desk.cx.note(|| DiscoveryNote::PortTaken { port });
            self.mapping.socket = fresh;
        } else if let Some(attempt) = self.filtering.by_socket(socket) {
            let (fresh, port) = desk.open_udp(attempt.primary);
            desk.cx.note(|| DiscoveryNote::PortTaken { port });
            attempt.socket = fresh;
        }
    }

    /// A question has been sent for the first time.
    pub(super) fn react_to_start(&mut self, desk: &mut Desk<'_, '_>, tag: Tag, id: TransactionId) {
        let now = desk.now();
        self.filtering.started(now, tag.test, id);
        self.hairpin.started(tag.test, id);
        match tag.test {
            Test::Map { server, target } => {
                if let Some(asked) = self.servers.get_mut(server) {
                    asked.asked_at.get_or_insert(now);
                    asked.target(target).asked_at = Some(now);
                }
            }
            Test::Control { attempt } | Test::ChangeBoth { attempt } | Test::ChangePort { attempt } => {
                desk.set_tail(id, self.filtering.tail());
                let server = self.filtering.get_mut(attempt).map(|attempt| attempt.server);
                if let Some(asked) = server.and_then(|server| self.servers.get_mut(server)) {
                    asked.asked_at.get_or_insert(now);
                }
            }
            Test::Proof { server } => {
                if let Some(asked) = self.servers.get_mut(server) {
                    asked.proof.asked_at = Some(now);
                }
            }
            Test::Port { .. } | Test::HairpinLearn | Test::HairpinOut | Test::HairpinBack => {}
        }
    }

    /// Takes what became of a request.
    pub(super) fn react_to_agent(&mut self, desk: &mut Desk<'_, '_>, event: &TransactionEvent<Tag>) {
        if self.is_over() {
            return;
        }
        self.state.dirty = true;
        match event {
            TransactionEvent::Answered(answer) => {
                self.state.heard = true;
                self.answered(desk, answer);
            }
            TransactionEvent::Elsewhere(answer) => {
                self.state.heard = true;
                if let Some(server) = self.server_of(answer.tag.test) {
                    self.servers.hold(desk, server, Flaw::AnswersFromElsewhere);
                }
            }
            TransactionEvent::Unusable { tag, .. } => {
                self.state.heard = true;
                if let Some(server) = self.server_of(tag.test) {
                    self.servers.hold(desk, server, Flaw::Garbage);
                }
                self.exhausted(tag.test, 1);
            }
            TransactionEvent::Exhausted { tag, sends, .. } => self.exhausted(tag.test, *sends),
            TransactionEvent::SocketLost { tag, .. } => self.exhausted(tag.test, 0),
            TransactionEvent::Unreachable { tag, why, .. } => self.unreachable(tag.test, *why),
            _ => {}
        }
    }

    fn server_of(&mut self, test: Test) -> Option<u8> {
        match test {
            Test::Map { server, .. } | Test::Proof { server } => Some(server),
            Test::Control { attempt } | Test::ChangeBoth { attempt } | Test::ChangePort { attempt } => {
                self.filtering.get_mut(attempt).map(|attempt| attempt.server)
            }
            Test::Port { .. } | Test::HairpinLearn | Test::HairpinOut | Test::HairpinBack => None,
        }
    }

    fn unreachable(&mut self, test: Test, why: Unreachability) {
        if let Some(asked) = self.server_of(test).and_then(|server| self.servers.get_mut(server)) {
            asked.unreachable = Some(why);
        }
    }

    fn answered(&mut self, desk: &mut Desk<'_, '_>, answer: &Answer<Tag>) {
        let reading = Reading::of(&answer.message);
        let server = self.server_of(answer.tag.test);
        if let Some(server) = server {
            self.learn(desk, server, answer, &reading);
        }
        let met = match reading.error {
            Some(code) => Met::Refused(code),
            None => Met::Answered(answer.from),
        };
        match answer.tag.test {
            Test::Map { server, target } => self.map_answered(desk, answer, &reading, server, target),
            Test::Control { attempt } => self.control_answered(desk, answer, &reading, attempt),
            Test::ChangeBoth { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.both = met;
                }
            }
            Test::ChangePort { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.port = met;
                }
            }
            Test::Proof { server } => {
                if let Some(asked) = self.servers.get_mut(server) {
                    asked.proof.met = met;
                }
            }
            Test::Port { socket } => self.ports.answered(socket, reading.mapped()),
            Test::HairpinLearn => {
                if let Some(public) = reading.mapped() {
                    self.hairpin.learnt(desk, public);
                }
            }
            // Nobody answers these; that they arrive is the answer.
            Test::HairpinOut | Test::HairpinBack => {}
        }
    }

    /// What any answer of a server tells about it.
    fn learn(&mut self, desk: &mut Desk<'_, '_>, server: u8, answer: &Answer<Tag>, reading: &Reading) {
        let Some(asked) = self.servers.get_mut(server) else { return };
        let is_plain = matches!(answer.tag.test, Test::Map { .. } | Test::Control { .. });
        if is_plain && answer.nth == 1 {
            let rtt = asked.rtt.map_or(answer.since_first, |rtt| rtt.min(answer.since_first));
            asked.rtt = Some(rtt);
            if self.filtering.server() == Some(server) {
                self.filtering.set_rtt(desk, self.family, rtt);
            }
        }
        let primary = matches!(answer.tag.test, Test::Map { target: Target::Primary, .. } | Test::Control { .. });
        match reading.error {
            None if primary => self.servers.set_other(server, reading.other),
            Some(code) if primary => self.servers.hold(desk, server, Flaw::Error(code)),
            None | Some(_) => {}
        }
    }

    fn map_answered(
        &mut self,
        desk: &mut Desk<'_, '_>,
        answer: &Answer<Tag>,
        reading: &Reading,
        server: u8,
        target: Target,
    ) {
        let mapped = reading.mapped().filter(|_| reading.error.is_none());
        if let Some(asked) = self.servers.get_mut(server) {
            asked.target(target).met = reading.error.map_or(Met::Answered(answer.from), Met::Refused);
        }
        let Some(mapped) = mapped else {
            if reading.error.is_none() {
                self.servers.hold(desk, server, Flaw::Garbage);
            }
            return;
        };
        let tag = answer.tag;
        desk.cx.note(|| DiscoveryNote::Seen { tag, by: answer.from, mapped });
        self.mapping.answered(answer, server, mapped, reading);
        self.compare_sockets(desk, server);
        if !core::mem::replace(&mut self.state.told_public, true) {
            desk.tell(DiscoveryEvent::Public { family: self.family, endpoint: mapped, local: answer.local });
        }
    }

    fn control_answered(&mut self, desk: &mut Desk<'_, '_>, answer: &Answer<Tag>, reading: &Reading, attempt: u8) {
        let Some(this) = self.filtering.get_mut(attempt) else { return };
        this.control.answers = answer.nth;
        this.control.sends = this.control.sends.max(answer.sends);
        let before = this.control.mapped;
        let (server, mapped) = (this.server, reading.mapped().filter(|_| reading.error.is_none()));
        this.control.mapped = before.or(mapped);
        if mapped.is_some() && before.is_some() && before != mapped {
            self.servers.hold(desk, server, Flaw::Unstable);
        }
        self.compare_sockets(desk, server);
    }

    /// A server that sees both sockets at one endpoint makes it up: a NAT could not tell their answers apart.
    fn compare_sockets(&mut self, desk: &mut Desk<'_, '_>, server: u8) {
        let filtering = self.filtering.attempts.iter().find(|attempt| attempt.server == server);
        let Some(seen) = filtering.and_then(|attempt| attempt.control.mapped) else { return };
        if self.mapping.observations.iter().any(|other| other.server == server && other.mapped == seen) {
            self.servers.hold(desk, server, Flaw::SameForAll);
        }
    }

    fn exhausted(&mut self, test: Test, sends: u32) {
        let silence = Met::Silence(sends);
        match test {
            Test::Map { server, target } => {
                if let Some(asked) = self.servers.get_mut(server) {
                    asked.target(target).met = silence;
                }
            }
            Test::Control { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.control.sends = sends;
                    attempt.control.over = true;
                }
            }
            Test::ChangeBoth { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.both = silence;
                }
            }
            Test::ChangePort { attempt } => {
                if let Some(attempt) = self.filtering.get_mut(attempt) {
                    attempt.port = silence;
                }
            }
            Test::Proof { server } => {
                if let Some(asked) = self.servers.get_mut(server) {
                    asked.proof.met = silence;
                }
            }
            Test::Port { socket } => self.ports.exhausted(socket),
            Test::HairpinLearn | Test::HairpinOut | Test::HairpinBack => {
                let tally = self.tally();
                self.hairpin.exhausted(test, sends, tally);
            }
        }
    }

    /// A datagram that answers nothing came to one of this family's sockets.
    pub(super) fn react_to_stray(&mut self, desk: &mut Desk<'_, '_>, datagram: &Datagram<'_>) {
        let request = Message::decode(datagram.payload).ok().filter(|message| message.class() == Class::Request);
        if let Some(message) = request
            && self.hairpin.came_back(message.transaction_id(), datagram.remote)
        {
            self.state.dirty = true;
            return;
        }
        let known = self.servers.asked().find(|(_, server)| server.address == datagram.remote).map(|(n, _)| n);
        if let Some(server) = known {
            self.state.heard = true;
            self.state.dirty = true;
            if self.servers.get(server).is_some_and(|server| server.rtt.is_none()) {
                self.servers.hold(desk, server, Flaw::Garbage);
            }
        }
        let from = datagram.remote;
        desk.cx.note(|| DiscoveryNote::Dropped { from });
    }

    /// Lets the parts go on; `true`: something is new.
    pub(super) fn advance(&mut self, desk: &mut Desk<'_, '_>) -> bool {
        let due = self.state.wake.is_some_and(|wake| wake.is_due(desk.now()));
        if self.is_over() || !(core::mem::take(&mut self.state.dirty) || due) {
            return false;
        }
        self.look_for_a_way_out(desk);
        if self.is_over() {
            return true;
        }
        let contradiction = self.judge_mapping(desk);
        self.join_more(desk, contradiction);
        self.mapping.choose_server(desk, &mut self.servers);
        self.prove(desk);
        self.judge_filtering(desk);
        self.tell_nat(desk);
        self.extras(desk);
        self.conclude(desk);
        self.state.wake = self.next_wake(desk.now());
        true
    }

    /// When a part wants to go on although nothing has happened.
    pub(super) fn wake(&self) -> Option<Deadline> {
        self.state.wake.filter(|_| !self.is_over())
    }
}
