//! The filtering sockets: one fresh socket per attempt, and the next capable server after an incapable one.
//!
//! Rules of this file: it sends requests and changes the server; `filtering` judges responses and silence. A
//! filtering socket sends to one address of one server only. A packet to the other address would open the filter that
//! the test measures (RFC 5780 §4.4).

use crate::behavior::Filtering;
use crate::note::DiscoveryNote;
use crate::profile::{Conclusion, Evidence, Family, Flaw, Unknown};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, SocketId};
use portolan_stun::{ChangeRequest, TransactionId};
use portolan_stun_agent::AnswerFrom;

use super::action::{Action, Actions};
use super::doubt::{self, Tally};
use super::filtering::{self, Attempt, Control, Earlier, Judgement, Other, Outcome, Setting};
use super::plan::{CONTROL, EVIDENCE, PlannedRequest, SERVER_TIMEOUT, SHORTEST_TAIL};
use super::servers::{RequestState, Servers};
use super::source_port::PortRange;
use super::tag::{Tag, Test};

/// The sends of a mapping test before its timeout.
const SENDS_BEFORE_TIMEOUT: u32 = 4;

/// All attempts of one family.
#[derive(Clone, Debug)]
pub(super) struct FilteringRun {
    pub(super) attempts: Vec<Attempt>,
    /// The reasons of the failures of earlier attempts.
    failures: Vec<Unknown>,
    pub(super) verdict: Option<Conclusion<Filtering>>,
    /// The timeout after the last send.
    tail: Duration,
}

impl FilteringRun {
    pub(super) const fn new() -> Self {
        Self { attempts: Vec::new(), failures: Vec::new(), verdict: None, tail: SHORTEST_TAIL }
    }

    /// Opens a fresh socket for a server.
    pub(super) fn attempt(&mut self, socket: SocketId, server: u8, primary: SocketAddr) -> Action {
        self.attempts.push(Attempt::new(server, primary, socket));
        Action::open_udp(socket, primary, PortRange::Filtering)
    }

    pub(super) fn by_socket(&mut self, socket: SocketId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.socket == socket)
    }

    pub(super) fn get_mut(&mut self, attempt: u8) -> Option<&mut Attempt> {
        self.attempts.get_mut(usize::from(attempt))
    }

    /// The attempt that is under way, with its number.
    fn current(&self) -> Option<(u8, &Attempt)> {
        let last = self.attempts.len().checked_sub(1)?;
        // An attempt that failed has a reason in `failures`.
        let under_way = self.failures.len() < self.attempts.len();
        Some((u8::try_from(last).ok()?, self.attempts.last().filter(|_| under_way)?))
    }

    /// The server of the attempt that is under way.
    pub(super) fn server(&self) -> Option<u8> {
        self.current().map(|(_, attempt)| attempt.server)
    }

    /// Whether silence so far must be proved to be a filter.
    pub(super) fn needs_proof(&self) -> bool {
        self.verdict.is_none()
            && self.current().is_some_and(|(_, attempt)| {
                attempt.sent_at.is_some() && matches!(attempt.both, Outcome::Waiting | Outcome::Silence(_))
            })
    }

    /// Takes the local address of an open socket. Returns the three requests.
    pub(super) fn opened(&mut self, not_before: Instant, socket: SocketId, local: SocketAddr) -> Actions {
        let actions = Actions::new();
        let Some(number) = self.attempts.iter().position(|attempt| attempt.socket == socket) else { return actions };
        let (Ok(attempt), Some(this)) = (u8::try_from(number), self.attempts.get_mut(number)) else { return actions };
        this.local = Some(local);
        Self::requests(this, attempt, not_before)
    }

    /// Returns the three requests of an attempt, without one that has been answered.
    fn requests(this: &Attempt, attempt: u8, not_before: Instant) -> Actions {
        let (mut actions, socket) = (Actions::new(), this.socket);
        let (family, to) = (Family::of(&this.primary), this.primary);
        let mut add = |test, change, schedule, from| {
            let tag = Tag { family, test };
            actions.push(Action::Request(PlannedRequest { tag, socket, to, change, schedule, from, not_before }));
        };
        let (any, same) = (AnswerFrom::AnyReported, AnswerFrom::SameAsDestination);
        add(Test::Control { attempt }, None, CONTROL, same);
        add(Test::ChangeBoth { attempt }, Some(ChangeRequest::IP_AND_PORT), EVIDENCE, any);
        if this.port == Outcome::Waiting {
            add(Test::ChangePort { attempt }, Some(ChangeRequest::PORT), EVIDENCE, any);
        }
        actions
    }

    /// Repeats the requests of the attempt under way. The requests before have ended.
    fn repeat(&mut self, now: Instant) -> Actions {
        let number = self.attempts.len().saturating_sub(1);
        let (Ok(number), Some(this)) = (u8::try_from(number), self.attempts.last_mut()) else { return Actions::new() };
        let sends = |outcome| if let Outcome::Silence(sends) = outcome { sends } else { 0 };
        let Control { sends: control, answers, .. } = this.control;
        let (both, port) = (sends(this.both), sends(this.port));
        let repeats = this.earlier.repeats + 1;
        this.earlier = Earlier { repeats, sends: control, answers, both, port };
        (this.both, this.control.over, this.running) = (Outcome::Waiting, false, [None; 3]);
        if matches!(this.port, Outcome::Silence(_)) {
            this.port = Outcome::Waiting;
        }
        Self::requests(this, number, now)
    }

    /// Takes the id of a request that has been sent for the first time.
    pub(super) fn started(&mut self, now: Instant, test: Test, id: TransactionId) {
        let (attempt, which) = match test {
            Test::Control { attempt } => (attempt, 0),
            Test::ChangeBoth { attempt } => (attempt, 1),
            Test::ChangePort { attempt } => (attempt, 2),
            Test::Map { .. }
            | Test::Proof { .. }
            | Test::Again { .. }
            | Test::Stream { .. }
            | Test::Port { .. }
            | Test::HairpinLearn
            | Test::HairpinOut
            | Test::HairpinBack => return,
        };
        if let Some(this) = self.get_mut(attempt) {
            this.sent_at.get_or_insert(now);
            if let Some(slot) = this.running.get_mut(which) {
                *slot = Some(id);
            }
        }
    }

    /// Sets the timeout after the last send: three round trips, and at least 250 ms.
    pub(super) fn set_rtt(&mut self, family: Family, rtt: Duration) -> Actions {
        // The clock may have leapt between a request and its response.
        let tail = rtt.saturating_mul(3).max(SHORTEST_TAIL);
        if self.verdict.is_some() || tail == self.tail {
            return Actions::new();
        }
        let Some((_, attempt)) = self.current() else { return Actions::new() };
        let ids = attempt.running;
        self.tail = tail;
        let note = Action::Note(DiscoveryNote::TailSet { family, tail });
        core::iter::once(note).chain(ids.into_iter().flatten().map(|id| Action::SetTail(id, tail))).collect()
    }

    /// The timeout after the last send, for a request that starts now.
    pub(super) const fn tail(&self) -> Duration {
        self.tail
    }

    /// The time at which another server replaces the current one, if it or its other address is silent.
    pub(super) fn deadline(&self, now: Instant, servers: &Servers) -> Option<Instant> {
        let (_, attempt) = self.current().filter(|_| self.verdict.is_none())?;
        let server = servers.get(attempt.server)?;
        let timeout = [
            attempt.sent_at.map(|at| at + SERVER_TIMEOUT),
            server.alternate().timeout_at(),
            server.proof.request.timeout_at(),
        ];
        timeout.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Judges the attempt under way. Starts an attempt with the next capable server if this attempt failed.
    ///
    /// `may_add_server`: another server may still be capable.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        next_socket: &mut impl FnMut() -> SocketId,
        servers: &mut Servers,
        may_add_server: bool,
    ) -> Actions {
        let mut actions = Actions::new();
        if self.verdict.is_some() {
            return actions;
        }
        let judgement = match self.current() {
            Some((_, attempt)) => self.judge_current(attempt, servers, now),
            None => Judgement::Wait,
        };
        match judgement {
            Judgement::Wait => {}
            Judgement::Repeat => actions.extend(self.repeat(now)),
            Judgement::Value(value, p_wrong) => {
                self.verdict = Some(Conclusion::value_with(value, p_wrong, self.evidence(servers)));
            }
            Judgement::TooLossy => {
                self.verdict = Some(Conclusion::unknown(Unknown::HighLoss, self.evidence(servers)));
            }
            Judgement::Incapable(why, flaw) => {
                actions.extend(self.give_up(why));
                if let (Some(server), Some(flaw)) = (self.attempts.last().map(|attempt| attempt.server), flaw) {
                    actions.extend(servers.hold(server, flaw));
                }
            }
        }
        if self.verdict.is_none() && self.current().is_none() {
            actions.extend(self.move_on(next_socket, servers, may_add_server));
        }
        actions
    }

    /// Counts the sends of the control so far; it may still be under way.
    pub(super) fn count_control(&mut self, sends_of: impl Fn(TransactionId) -> Option<u32>) {
        if self.verdict.is_none()
            && let Some(attempt) = self.attempts.last_mut()
            && let [Some(id), ..] = attempt.running
            && let Some(sends) = sends_of(id)
        {
            attempt.control.sends = attempt.control.sends.max(attempt.earlier.sends + sends);
        }
    }

    fn judge_current(&self, attempt: &Attempt, servers: &Servers, now: Instant) -> Judgement {
        let Some(server) = servers.get(attempt.server) else { return Judgement::Wait };
        let mut tally = Tally::default();
        attempt.tally(&mut tally);
        let alternate = server.alternate();
        let (outcome, alternate_is_heard) = (alternate.outcome, alternate.is_heard);
        let (other, proof, is_fresh) = (server.other, server.proof(), servers.is_fresh(now));
        let setting = Setting { other, is_fresh, alternate: outcome, alternate_is_heard, proof, tally };
        let judgement = filtering::judge(attempt, &setting);
        let silent = attempt.control.answers == 0
            && server.other == Other::Unknown
            && attempt.sent_at.is_some_and(|at| at + SERVER_TIMEOUT <= now);
        if judgement != Judgement::Wait || servers.next_capable(|number| self.was_tried(number)).is_none() {
            return judgement;
        }
        // Another capable server is known, so this server is given up at its timeout.
        let overdue = |request: &RequestState| {
            request.is_waiting()
                && !request.is_heard
                && servers.path_worked(request)
                && request.timeout_at().is_some_and(|end| end <= now)
        };
        let filtered = matches!(attempt.both, Outcome::Silence(_));
        // Where packets are lost, the server may still answer.
        let blame = |flaw| Some(flaw).filter(|_| tally.all_fail(SENDS_BEFORE_TIMEOUT) <= doubt::MAX_BLAME);
        if silent {
            Judgement::Incapable(Unknown::ServerSilent, None)
        } else if filtered && overdue(alternate) {
            Judgement::Incapable(Unknown::AlternateUnreachable, blame(Flaw::OtherAddressSilent))
        } else if filtered && overdue(&server.proof.request) {
            Judgement::Incapable(Unknown::ChangeRequestUnanswered, blame(Flaw::ChangeRequestUnanswered))
        } else {
            Judgement::Wait
        }
    }

    fn was_tried(&self, server: u8) -> bool {
        self.attempts.iter().any(|attempt| attempt.server == server)
    }

    /// Whether no attempt is under way, and no capable server is left.
    pub(super) fn is_stranded(&self, servers: &Servers) -> bool {
        self.current().is_none() && servers.next_capable(|number| self.was_tried(number)).is_none()
    }

    /// Closes the socket of the attempt under way; those of earlier attempts are closed already.
    pub(super) fn close(&self) -> Option<Action> {
        let (_, attempt) = self.current().filter(|(_, attempt)| attempt.local.is_some())?;
        Some(Action::Close(attempt.socket))
    }

    /// Ends the requests of the attempt under way and closes its socket.
    fn give_up(&mut self, why: Unknown) -> Actions {
        self.failures.push(why);
        let number = self.attempts.len().saturating_sub(1);
        let (Ok(number), Some(attempt)) = (u8::try_from(number), self.attempts.last_mut()) else {
            return Actions::new();
        };
        // The response to the last send may still be under way, so this send shows no loss.
        let control = &mut attempt.control;
        if !control.over && control.answers < control.sends {
            control.sends -= 1;
        }
        let running = core::mem::take(&mut attempt.running).into_iter().flatten();
        let mut actions: Actions = running.map(Action::Cancel).collect();
        actions.push(Action::Withdraw { family: Family::of(&attempt.primary), attempt: number });
        actions.push(Action::Close(attempt.socket));
        actions
    }

    /// Opens a fresh socket for the next capable server. Concludes if no server is left.
    fn move_on(
        &mut self,
        next_socket: &mut impl FnMut() -> SocketId,
        servers: &Servers,
        may_add_server: bool,
    ) -> Actions {
        let next = servers.next_capable(|number| self.was_tried(number));
        if let Some((number, server)) = next.and_then(|number| Some((number, servers.get(number)?))) {
            let to = server.address;
            let moved = Action::Note(DiscoveryNote::FilteringMoved { to });
            return Actions::from([moved, self.attempt(next_socket(), number, to)]);
        }
        if !may_add_server {
            let why = self.reason(servers);
            self.verdict = Some(Conclusion::unknown(why, self.evidence(servers)));
        }
        Actions::new()
    }

    /// The most specific reason: a fault of a capable server goes before a server without a second address.
    fn reason(&self, servers: &Servers) -> Unknown {
        let answered = |attempt: &Attempt| servers.get(attempt.server).is_some_and(|s| s.alternate().is_heard);
        // The address has answered after its timeout.
        let failures = self.failures.iter().zip(&self.attempts).map(|(why, attempt)| {
            let is_late = *why == Unknown::AlternateUnreachable && answered(attempt);
            if is_late { Unknown::HighLoss } else { *why }
        });
        let is_specific = |why: &Unknown| !matches!(why, Unknown::NoOtherAddress | Unknown::ServerSilent);
        let plain = |why: &Unknown| *why == Unknown::NoOtherAddress;
        let found = failures.clone().find(is_specific).or_else(|| failures.clone().find(plain));
        found.unwrap_or(Unknown::ServerSilent)
    }

    pub(super) fn evidence(&self, servers: &Servers) -> Vec<Evidence> {
        let mut all = Vec::with_capacity(4);
        for (number, attempt) in self.attempts.iter().enumerate() {
            let server = servers.get(attempt.server);
            let proof = server.map(super::servers::ServerState::proof);
            all.extend(filtering::evidence(attempt, proof));
            if number < self.failures.len()
                && let Some(server) = server
            {
                let flaws = server.flaws.iter().copied();
                all.extend(flaws.map(|flaw| Evidence::Server { address: server.address, flaw }));
            }
        }
        all
    }
}
