//! The effect of a response, or of silence, on a probe.
//!
//! Rules of this file: a response on the probe's own socket proves that its mapping lives. A response on another
//! socket shows that the external port has a new owner (RFC 5780 §4.6). Silence counts after two rounds, the second
//! beside a control that got its response.

use super::conclude::is_replied;
use super::probe::{Between, NEVER, Role, Side, State};
use super::series::Outcome;
use super::tag::{Purpose, Tag};
use super::{CONTROL, GAP, Lifetime, LifetimeEvent, LifetimeNote, Proof, REQUESTER, Series, Stage};
use crate::profile::Unknown;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, Instant, Output, SocketId};
use portolan_stun::Message;
use portolan_stun_agent::{Answer, TransactionEvent};

/// The facts of a response.
#[derive(Clone, Copy, Debug)]
struct ResponseFacts {
    /// The socket that received it.
    socket: SocketId,
    /// The times of the first and the last send of the request.
    sent: Between,
    sends: u32,
    /// The mapped address, or the code of an error response.
    seen: Result<SocketAddr, u16>,
}

impl ResponseFacts {
    fn read(now: Instant, answer: &Answer<Tag>) -> Self {
        let message = Message::decode(&answer.message).ok();
        let error = message.as_ref().and_then(|message| message.error_code()).map_or(NO_ADDRESS, |error| error.code());
        let seen = message.and_then(|message| message.xor_mapped_address().or(message.mapped_address()));
        Self {
            socket: answer.socket,
            sent: Between { earliest: now - answer.since_first, latest: now - answer.since_last },
            sends: answer.sends,
            seen: seen.ok_or(error),
        }
    }
}

/// The code for a response that holds neither an address nor an error.
const NO_ADDRESS: u16 = 0;

impl Lifetime {
    pub(super) fn react(&mut self, cx: &mut Cx<'_>, event: TransactionEvent<Tag>) {
        let Tag { purpose, probe } = *event.tag();
        let index = usize::from(probe);
        match event {
            TransactionEvent::Answered(answer) => {
                let facts = ResponseFacts::read(cx.now(), &answer);
                match purpose {
                    Purpose::Map => self.mapped(cx, index, facts),
                    Purpose::Check => self.checked(cx, index, facts),
                    Purpose::Touch => self.touched(cx, index, facts),
                    Purpose::Prove => self.proved(cx, facts),
                }
            }
            TransactionEvent::Unusable { .. } => self.unanswered(cx, purpose, index, 0, Unknown::ServerError),
            TransactionEvent::Exhausted { sends, answers, .. } if purpose == Purpose::Prove => {
                self.proof_ended(cx, sends, answers)
            }
            TransactionEvent::Exhausted { sends, .. } => {
                self.unanswered(cx, purpose, index, sends, Unknown::ServerSilent)
            }
            TransactionEvent::SocketLost { .. } => self.unanswered(cx, purpose, index, 0, Unknown::TooFewSamples),
            TransactionEvent::Unreachable { .. } => self.run.unreachable = true,
            // A response from or to another address: the transactions have dropped it with a note.
            TransactionEvent::Elsewhere(_) | _ => {}
        }
    }

    /// Takes the response that reports the mapping of a probe.
    fn mapped(&mut self, cx: &mut Cx<'_>, index: usize, facts: ResponseFacts) {
        let requester = self.probes.get(REQUESTER).map(|requester| requester.place);
        let now = cx.now();
        if facts.sends == 1 {
            self.estimate.add_rtt(now - facts.sent.latest);
        }
        let Some(probe) = self.probes.get_mut(index).filter(|probe| probe.state() == State::Mapping) else { return };
        probe.transaction = None;
        let Ok(external) = facts.seen else {
            return self.spoil_or_reject(cx, index, Unknown::ServerError);
        };
        let unreplied = matches!(probe.role, Role::Unreplied { .. });
        if unreplied && requester.is_some_and(|requester| requester.socket != facts.socket) {
            return self.set_unusable(cx, index, Unknown::ResponsePortIgnored);
        }
        // A request that was sent more than once may get several responses. The last one comes about as late again.
        let again = if facts.sends > 1 { now - facts.sent.earliest } else { Duration::ZERO };
        let latest = if unreplied { facts.sent.latest } else { now + again };
        probe.life.made = Between { earliest: facts.sent.earliest, latest };
        probe.life.refreshed = facts.sent.earliest;
        probe.place.external = Some(external);
        probe.become_state(State::Resting);
        match index {
            REQUESTER => self.start_proof(cx),
            CONTROL => {
                self.proof.ready = true;
                self.start_proof(cx);
            }
            _ if requester
                .and_then(|requester| requester.external)
                .is_none_or(|requester| requester.ip() != external.ip()) =>
            {
                // The response would go to the external address of the request socket; the mapping has another.
                self.set_unusable(cx, index, Unknown::MultiPath);
            }
            _ => self.rest(cx, index, external),
        }
    }

    /// Sets the time at which a probe with a mapping is due. The probe is silent until then.
    fn rest(&mut self, cx: &mut Cx<'_>, index: usize, external: SocketAddr) {
        let (gap, touch_after, step) = (self.gap(), self.touch_after(), self.config.step);
        let Some(probe) = self.probes.get_mut(index) else { return };
        let latest = probe.life.made.latest;
        probe.due = match probe.role {
            Role::Requester | Role::Control => NEVER,
            Role::Replied { idle } | Role::Unreplied { idle } => latest + idle,
            Role::Watcher { lag } => latest + gap + lag,
            Role::Touched { late: false, .. } => latest + touch_after,
            Role::Touched { late: true, .. } => latest + touch_after + step,
        };
        cx.note(|| LifetimeNote::Mapped { external });
    }

    /// Starts the proof once the request socket and the control have mappings.
    fn start_proof(&mut self, cx: &mut Cx<'_>) {
        if self.stage != Stage::Preparing {
            return;
        }
        let external = |index: usize| {
            let probe = self.probes.get(index).filter(|probe| probe.state() == State::Resting)?;
            probe.place.external
        };
        let (Some(requester), Some(control)) = (external(REQUESTER), external(CONTROL)) else { return };
        self.become_stage(Stage::Proving);
        if requester.ip() == control.ip() {
            return;
        }
        // With arbitrary pooling (RFC 4787 §4.1) another control may get the same external address.
        if self.run.controls >= CONTROLS_MAX {
            return self.reject(cx, Unknown::MultiPath);
        }
        self.run.controls += 1;
        self.become_stage(Stage::Preparing);
        if let Some(control) = self.probes.get_mut(CONTROL) {
            let socket = control.place.socket;
            control.become_state(State::Opening);
            control.place.external = None;
            self.out.push(Output::Socket(portolan_machine::SocketOrder::Close(socket)));
            self.reopen(cx, CONTROL);
        }
    }

    /// Takes a response to the request of the proof. It should have arrived on the control.
    fn proved(&mut self, cx: &mut Cx<'_>, facts: ResponseFacts) {
        let on_control = self.probes.get(CONTROL).is_some_and(|control| control.place.socket == facts.socket);
        let requester = self.probes.get(REQUESTER).and_then(|requester| requester.place.external);
        if self.stage == Stage::Measuring
            && facts.seen.is_ok_and(|seen| requester.is_none_or(|requester| requester.ip() != seen.ip()))
        {
            // The request socket has another external address now, so silence of a probe is no evidence.
            for index in self.in_state(State::Doubted).into_iter().chain(self.in_state(State::Checking)) {
                self.set_unusable(cx, index, Unknown::Rebinding);
            }
        } else if on_control && facts.seen.is_ok() {
            self.proof.answered = Some(cx.now());
            self.proof.failures = 0;
            if self.stage == Stage::Proving {
                self.measure(cx);
            }
        } else if self.stage == Stage::Proving {
            self.reject(
                cx,
                match facts.seen {
                    Ok(_) => Unknown::ResponsePortIgnored,
                    Err(UNKNOWN_ATTRIBUTE) => Unknown::ResponsePortRefused,
                    Err(_) => Unknown::ServerError,
                },
            );
        }
    }

    fn proof_ended(&mut self, cx: &mut Cx<'_>, sends: u32, answers: u32) {
        // If most responses went to another socket, the request does not measure loss.
        self.proof.transaction = None;
        if answers > 0 || self.stage == Stage::Measuring {
            self.estimate.add_loss(sends, answers);
        }
        if answers > 0 {
            return;
        }
        self.proof_failed(cx, Unknown::ResponsePortUnanswered);
    }

    /// Takes a failed proof: the control got no mapping or no response.
    fn proof_failed(&mut self, cx: &mut Cx<'_>, why: Unknown) {
        self.proof.failures = self.proof.failures.saturating_add(1);
        if self.proof.failures < FAILURES_MAX {
            return;
        }
        if self.stage != Stage::Measuring {
            return self.reject(cx, why);
        }
        self.proof.failures = 0;
        let (now, idle_max) = (cx.now(), self.longest(is_replied).max(self.gap() * 2));
        for index in self.in_state(State::Doubted) {
            let Some(probe) = self.probes.get_mut(index) else { continue };
            let idle = now.since(probe.life.refreshed);
            if matches!(probe.role, Role::Watcher { .. }) && idle <= idle_max {
                // The server was silent for a shorter time than a mapping lives: the watcher can go on.
                probe.forget_doubt();
                probe.become_state(State::Stale);
            } else {
                self.set_unusable(cx, index, Unknown::HighLoss);
            }
        }
    }

    /// Takes the requested response, on the probe's socket or on another.
    fn checked(&mut self, cx: &mut Cx<'_>, index: usize, facts: ResponseFacts) {
        let now = cx.now();
        let Some(probe) = self.probes.get_mut(index).filter(|probe| probe.state() == State::Checking) else { return };
        if facts.seen.is_err() {
            return self.unanswered(cx, Purpose::Check, index, 0, Unknown::ServerError);
        }
        if facts.socket == probe.place.socket {
            return self.alive(cx, index, facts);
        }
        let (after, sends) = (probe.at_most(now), facts.sends);
        let external = probe.place.external;
        if let Some(external) = external {
            cx.note(|| LifetimeNote::NewOwner { external });
        }
        self.dead(cx, index, Outcome::Dead { after, sends, p: 0.0 });
        // The response that came in through the new owner's mapping may have refreshed that mapping.
        let owner = self.probes.iter().position(|probe| probe.place.socket == facts.socket && probe.is_open());
        if let Some(owner) = owner.filter(|owner| *owner > CONTROL) {
            self.set_unusable(cx, owner, Unknown::Rebinding);
        }
    }

    fn alive(&mut self, cx: &mut Cx<'_>, index: usize, facts: ResponseFacts) {
        let (max, needed) = (self.config.max, self.needs_watchers());
        let Some(probe) = self.probes.get_mut(index) else { return };
        let after = probe.lives(facts.sent.earliest);
        if let Some(external) = probe.place.external {
            cx.note(|| LifetimeNote::Alive { external, after });
        }
        let between = Between { earliest: facts.sent.earliest, latest: cx.now() };
        match probe.role {
            Role::Requester | Role::Control => {}
            Role::Watcher { .. } if after < max || needed => probe.become_state(State::Stale),
            Role::Touched { side: Side::Inbound, .. } if probe.life.touched.is_none() => {
                probe.life.touched = Some(between);
                probe.due = NEVER;
                probe.become_state(State::Held);
            }
            Role::Replied { .. } | Role::Unreplied { .. } | Role::Watcher { .. } | Role::Touched { .. } => {
                self.over(cx, index, Outcome::Alive { after });
            }
        }
    }

    /// Takes the response to a refresh.
    fn touched(&mut self, cx: &mut Cx<'_>, index: usize, facts: ResponseFacts) {
        let (gap, now) = (self.gap(), cx.now());
        let Some(probe) = self.probes.get_mut(index).filter(|probe| probe.state() == State::Touching) else { return };
        probe.transaction = None;
        let Ok(external) = facts.seen else {
            return self.unanswered(cx, Purpose::Touch, index, 0, Unknown::ServerError);
        };
        let before = probe.place.external.unwrap_or(external);
        if before != external {
            let (after, sends) = (probe.at_most(now), facts.sends);
            cx.note(|| LifetimeNote::Remade { before, after: external });
            if before.ip() != external.ip() {
                // The network path has changed, not only the mapping.
                return self.set_unusable(cx, index, Unknown::Rebinding);
            }
            return self.dead(cx, index, Outcome::Dead { after, sends, p: 0.0 });
        }
        if matches!(probe.role, Role::Touched { .. }) {
            if facts.socket == probe.place.socket {
                // The response came in through the mapping, so the refresh was not only outbound.
                return self.set_unusable(cx, index, Unknown::ResponsePortIgnored);
            }
            probe.life.touched = Some(facts.sent);
            probe.due = NEVER;
            probe.become_state(State::Held);
        } else {
            probe.life.refreshed = facts.sent.earliest;
            probe.due = now + gap;
            probe.become_state(State::Resting);
        }
    }

    /// Takes the end of a request without a usable response.
    fn unanswered(&mut self, cx: &mut Cx<'_>, purpose: Purpose, index: usize, sends: u32, why: Unknown) {
        let now = cx.now();
        let Some(probe) = self.probes.get_mut(index) else { return };
        match (purpose, probe.state()) {
            (Purpose::Map, State::Mapping) => {
                probe.transaction = None;
                if self.stage == Stage::Measuring && index == CONTROL {
                    probe.become_state(State::Resting);
                    self.proof_failed(cx, why);
                } else {
                    let turned_back = self.run.unreachable && why == Unknown::ServerSilent;
                    self.spoil_or_reject(cx, index, if turned_back { Unknown::Offline } else { why });
                }
            }
            (Purpose::Check, State::Checking) => self.silent(cx, index, sends),
            (Purpose::Touch, State::Touching) => {
                probe.transaction = None;
                if matches!(probe.role, Role::Watcher { .. }) {
                    // The refresh may have arrived. A check before the next refresh shows whether the mapping lives.
                    probe.due = now;
                    probe.become_state(State::Resting);
                } else {
                    self.set_unusable(cx, index, why);
                }
            }
            (Purpose::Prove, _) => self.proof_ended(cx, sends, 0),
            (Purpose::Map | Purpose::Check | Purpose::Touch, _) => {}
        }
    }

    /// Takes the end of a round of requests without a response.
    fn silent(&mut self, cx: &mut Cx<'_>, index: usize, sends: u32) {
        let (by_loss, tail_excess) =
            (self.estimate.all_lost(sends), self.estimate.tail().saturating_sub(self.estimate.rtt()));
        let proved_at = self.proof.answered;
        let now = cx.now();
        let Some(probe) = self.probes.get_mut(index) else { return };
        probe.doubt.sends = probe.doubt.sends.saturating_add(sends);
        if probe.doubt.rounds > 1 && proved_at.is_some_and(|at| at >= probe.doubt.since) {
            probe.doubt.p *= by_loss;
            if probe.doubt.p <= P_MAX {
                // Responses to the last send would have arrived by now.
                let after = probe.at_most(now - tail_excess);
                let outcome = Outcome::Dead { after, sends: probe.doubt.sends, p: probe.doubt.p };
                return self.dead(cx, index, outcome);
            }
        }
        if probe.doubt.rounds >= ROUNDS_MAX {
            return self.set_unusable(cx, index, Unknown::HighLoss);
        }
        probe.become_state(State::Doubted);
        if let Some(external) = probe.place.external {
            let sends = probe.doubt.sends;
            cx.note(|| LifetimeNote::Silent { external, sends });
        }
    }

    fn dead(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        let Some(probe) = self.probes.get(index) else { return };
        if let (Some(external), Outcome::Dead { after, p, .. }) = (probe.place.external, outcome) {
            cx.note(|| LifetimeNote::Dead { external, after, p });
        }
        let first_touch = matches!(probe.role, Role::Touched { .. }) && probe.life.touched.is_none();
        // The mapping was dead before the test touched it: the test is impossible.
        self.over(cx, index, if first_touch { Outcome::Unusable(Unknown::TooShort) } else { outcome });
    }

    /// Takes the result of a probe, and closes its socket.
    pub(super) fn over(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        let Some(probe) = self.probes.get_mut(index).filter(|probe| probe.state() != State::Over) else { return };
        probe.outcome = outcome;
        let series = match probe.role {
            Role::Replied { .. } => Some(Series::Replied),
            Role::Unreplied { .. } => Some(Series::Unreplied),
            Role::Requester | Role::Control | Role::Watcher { .. } | Role::Touched { .. } => None,
        };
        let point = match outcome {
            Outcome::Alive { after } => Some((after, true)),
            Outcome::Dead { after, .. } => Some((after, false)),
            Outcome::Pending | Outcome::Unusable(_) => None,
        };
        self.close(cx, index);
        if let (Some(series), Some((idle, alive))) = (series, point) {
            self.out.push(Output::Event(LifetimeEvent::Point { series, idle, alive }));
        }
    }

    pub(super) fn set_unusable(&mut self, cx: &mut Cx<'_>, index: usize, why: Unknown) {
        if let Some(port) = self.probes.get(index).map(|probe| probe.place.port) {
            cx.note(|| LifetimeNote::Unusable { port, why });
        }
        self.over(cx, index, Outcome::Unusable(why));
    }

    fn spoil_or_reject(&mut self, cx: &mut Cx<'_>, index: usize, why: Unknown) {
        if index > CONTROL { self.set_unusable(cx, index, why) } else { self.reject(cx, why) }
    }

    pub(super) fn spoil_or_finish(&mut self, cx: &mut Cx<'_>, index: usize, why: Unknown) {
        if index > CONTROL { self.set_unusable(cx, index, why) } else { self.finish(cx.now(), why) }
    }

    /// Rejects the server. Tests the next one, or ends the run.
    fn reject(&mut self, cx: &mut Cx<'_>, why: Unknown) {
        let server = self.server();
        cx.note(|| LifetimeNote::Rejected { server, why });
        self.out.push(Output::Event(LifetimeEvent::Rejected { server, why }));
        if self.stage == Stage::Measuring || self.run.server + 1 >= self.config.servers.len() {
            return self.finish(cx.now(), why);
        }
        self.run.server += 1;
        self.run.unreachable = false;
        if self.stage == Stage::Proving {
            self.become_stage(Stage::Preparing);
        }
        let ids = [REQUESTER, CONTROL].into_iter().filter_map(|index| self.probes.get_mut(index)?.transaction.take());
        let ids: Vec<_> = ids.chain(self.proof.transaction.take()).collect();
        for id in ids {
            let _answered = self.transactions.with(cx, |transactions, cx| transactions.cancel(cx, id));
        }
        self.proof = Proof::default();
        for probe in self.probes.iter_mut().take(CONTROL + 1) {
            probe.place.external = None;
            if matches!(probe.state(), State::Mapping | State::Resting) {
                probe.become_state(State::Unmapped);
            }
        }
        self.note_tested(cx);
    }

    pub(super) fn note_tested(&self, cx: &mut Cx<'_>) {
        let server = self.server();
        cx.note(|| LifetimeNote::Asked { server });
    }

    pub(super) fn in_state(&self, state: State) -> Vec<usize> {
        let all = self.probes.iter().enumerate().filter(|(_, probe)| probe.state() == state);
        all.map(|(index, _)| index).collect()
    }

    /// The time between a watcher's refresh and its next check.
    pub(super) fn gap(&self) -> Duration {
        GAP.min(self.config.step * 3 / 5)
    }

    /// The age at which a mapping is touched in the test of refreshes.
    ///
    /// It is late enough that a mapping is checked within its lifetime: in two rounds, after a whole step of
    /// uncertainty about the lifetime.
    pub(super) fn touch_after(&self) -> Duration {
        self.config.step + self.estimate.round() * 4 + Duration::from_millis(1500)
    }
}

/// The number of tries to find a control with the request socket's external address.
const CONTROLS_MAX: u8 = 4;
/// The number of failed proofs in a row after which no more are tried.
const FAILURES_MAX: u8 = 2;
/// The rounds of requests to one probe.
const ROUNDS_MAX: u8 = 5;
/// Silence counts as the end of a mapping if the probability of chance is below this.
const P_MAX: f64 = 0.001;
/// RFC 8489 §14.8.
const UNKNOWN_ATTRIBUTE: u16 = 420;
