//! The filtering sockets: one fresh socket an attempt, the next capable server when one proves incapable.
//!
//! Rules of this file: it asks and moves on; what answers and silence mean is `filtering`'s. A filtering socket sends to
//! one address of one server and to nobody else, ever: a packet to the other address would open what the test wants to
//! find closed (RFC 5780 §4.4).

use crate::behavior::Filtering;
use crate::note::DiscoveryNote;
use crate::profile::{Conclusion, Evidence, Family, Flaw, Unknown};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, SocketId};
use portolan_stun::{ChangeRequest, TransactionId};
use portolan_stun_agent::AnswerFrom;

use super::desk::Desk;
use super::doubt::Tally;
use super::filtering::{self, Attempt, Judgement, Met, Other, Setting};
use super::plan::{CONTROL, EVIDENCE, SERVER_PATIENCE, SHORTEST_TAIL, Wish};
use super::servers::{Asking, Servers};
use super::tag::{Tag, Test};

/// All attempts of one family.
#[derive(Clone, Debug)]
pub(super) struct FilteringTest {
    pub(super) attempts: Vec<Attempt>,
    /// Why earlier attempts were given up.
    failures: Vec<Unknown>,
    pub(super) verdict: Option<Conclusion<Filtering>>,
    /// How long silence must last, once a round trip is known.
    tail: Duration,
}

impl FilteringTest {
    pub(super) const fn new() -> Self {
        Self { attempts: Vec::new(), failures: Vec::new(), verdict: None, tail: SHORTEST_TAIL }
    }

    /// Opens a fresh socket for a server.
    pub(super) fn attempt(&mut self, desk: &mut Desk<'_, '_>, server: u8, primary: SocketAddr) {
        let (socket, _) = desk.open_udp(primary);
        self.attempts.push(Attempt::new(server, primary, socket));
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
        // A given-up attempt is followed by a failure of its own.
        let under_way = self.failures.len() < self.attempts.len();
        Some((u8::try_from(last).ok()?, self.attempts.last().filter(|_| under_way)?))
    }

    /// The server of the attempt that is under way.
    pub(super) fn server(&self) -> Option<u8> {
        self.current().map(|(_, attempt)| attempt.server)
    }

    /// Whether the answer that would make silence needless to explain is still missing.
    pub(super) fn needs_proof(&self) -> bool {
        self.verdict.is_none()
            && self.current().is_some_and(|(_, attempt)| {
                attempt.asked_at.is_some() && matches!(attempt.both, Met::Waiting | Met::Silence(_))
            })
    }

    /// The socket is there: asks the three questions at once.
    pub(super) fn opened(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, local: SocketAddr) {
        let Some(number) = self.attempts.iter().position(|attempt| attempt.socket == socket) else { return };
        let (Ok(attempt), Some(this)) = (u8::try_from(number), self.attempts.get_mut(number)) else { return };
        this.local = Some(local);
        let family = Family::of(&this.primary);
        let not_before = desk.now();
        let to = this.primary;
        let mut ask = |test, change, schedule, from| {
            desk.wish(Wish { tag: Tag { family, test }, socket, to, change, schedule, from, not_before });
        };
        let (any, same) = (AnswerFrom::AnyReported, AnswerFrom::SameAsDestination);
        ask(Test::Control { attempt }, None, CONTROL, same);
        ask(Test::ChangeBoth { attempt }, Some(ChangeRequest::IP_AND_PORT), EVIDENCE, any);
        ask(Test::ChangePort { attempt }, Some(ChangeRequest::PORT), EVIDENCE, any);
    }

    /// A question of an attempt has been sent for the first time.
    pub(super) fn started(&mut self, now: Instant, test: Test, id: TransactionId) {
        let (attempt, which) = match test {
            Test::Control { attempt } => (attempt, 0),
            Test::ChangeBoth { attempt } => (attempt, 1),
            Test::ChangePort { attempt } => (attempt, 2),
            Test::Map { .. }
            | Test::Proof { .. }
            | Test::Port { .. }
            | Test::HairpinLearn
            | Test::HairpinOut
            | Test::HairpinBack => return,
        };
        if let Some(this) = self.get_mut(attempt) {
            this.asked_at.get_or_insert(now);
            if let Some(slot) = this.running.get_mut(which) {
                *slot = Some(id);
            }
        }
    }

    /// A round trip is known: silence must last three of them, and 250 ms at least.
    pub(super) fn set_rtt(&mut self, desk: &mut Desk<'_, '_>, family: Family, rtt: Duration) {
        // Time may have leapt between a question and its answer.
        let tail = rtt.saturating_mul(3).max(SHORTEST_TAIL);
        if self.verdict.is_some() || tail == self.tail {
            return;
        }
        let Some((_, attempt)) = self.current() else { return };
        let ids = attempt.running;
        self.tail = tail;
        desk.cx.note(|| DiscoveryNote::TailSet { family, tail });
        for id in ids.into_iter().flatten() {
            desk.set_tail(id, tail);
        }
    }

    /// How long silence must last, for a question that starts now.
    pub(super) const fn tail(&self) -> Duration {
        self.tail
    }

    /// When a silent server, or one whose other address is silent, is given up for another one.
    pub(super) fn deadline(&self, now: Instant, servers: &Servers) -> Option<Instant> {
        let (_, attempt) = self.current().filter(|_| self.verdict.is_none())?;
        let server = servers.get(attempt.server)?;
        let patience = [
            attempt.asked_at.map(|at| at + SERVER_PATIENCE),
            server.alternate().patience_ends(),
            server.proof.patience_ends(),
        ];
        patience.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Judges the attempt under way; moves to the next capable server where it failed.
    pub(super) fn judge(&mut self, desk: &mut Desk<'_, '_>, servers: &mut Servers, may_hear_more: bool) {
        if self.verdict.is_some() {
            return;
        }
        self.count_control(desk);
        let judgement = match self.current() {
            Some((_, attempt)) => self.judge_current(attempt, servers, desk.now()),
            None => Judgement::Wait,
        };
        match judgement {
            Judgement::Wait => {}
            Judgement::Value(value, p_wrong) => {
                self.verdict = Some(Conclusion::value_with(value, p_wrong, self.evidence(servers)));
            }
            Judgement::TooLossy => {
                self.verdict = Some(Conclusion::unknown(Unknown::HighLoss, self.evidence(servers)));
            }
            Judgement::Incapable(why, flaw) => {
                self.give_up(desk, why);
                if let Some(server) = self.attempts.last().map(|attempt| attempt.server) {
                    hold(desk, servers, server, flaw);
                }
            }
        }
        if self.verdict.is_none() && self.current().is_none() {
            self.move_on(desk, servers, may_hear_more);
        }
    }

    /// The control may still be under way: what it has sent by now counts, answered or not.
    fn count_control(&mut self, desk: &Desk<'_, '_>) {
        if let Some(attempt) = self.attempts.last_mut()
            && let [Some(id), ..] = attempt.running
            && let Some(sends) = desk.sends_of(id)
        {
            attempt.control.sends = attempt.control.sends.max(sends);
        }
    }

    fn judge_current(&self, attempt: &Attempt, servers: &Servers, now: Instant) -> Judgement {
        let Some(server) = servers.get(attempt.server) else { return Judgement::Wait };
        let mut tally = Tally::default();
        attempt.tally(&mut tally);
        let setting = Setting { other: server.other, alternate: server.alternate().met, proof: server.proof(), tally };
        let judgement = filtering::judge(attempt, &setting);
        let silent = attempt.control.answers == 0
            && server.other == Other::Unknown
            && attempt.asked_at.is_some_and(|at| at + SERVER_PATIENCE <= now);
        if judgement != Judgement::Wait || servers.next_capable(|number| self.was_tried(number)).is_none() {
            return judgement;
        }
        // Another server may well answer sooner than this one will have been given up.
        let overdue = |asking: &Asking| asking.is_waiting() && asking.patience_ends().is_some_and(|end| end <= now);
        let filtered = matches!(attempt.both, Met::Silence(_));
        if silent {
            Judgement::Incapable(Unknown::ServerSilent, Flaw::Silent)
        } else if filtered && overdue(server.alternate()) {
            Judgement::Incapable(Unknown::AlternateUnreachable, Flaw::OtherAddressSilent)
        } else if filtered && overdue(&server.proof) {
            Judgement::Incapable(Unknown::ChangeRequestUnanswered, Flaw::ChangeRequestUnanswered)
        } else {
            Judgement::Wait
        }
    }

    fn was_tried(&self, server: u8) -> bool {
        self.attempts.iter().any(|attempt| attempt.server == server)
    }

    /// Ends the requests of the attempt under way.
    pub(super) fn cancel(&mut self, desk: &mut Desk<'_, '_>) {
        let Some(number) = self.attempts.len().checked_sub(1).and_then(|last| u8::try_from(last).ok()) else { return };
        if let Some(attempt) = self.get_mut(number) {
            for id in core::mem::take(&mut attempt.running).into_iter().flatten() {
                desk.cancel(id);
            }
        }
        desk.plan.forget(|tag| match tag.test {
            Test::Control { attempt } | Test::ChangeBoth { attempt } | Test::ChangePort { attempt } => {
                attempt == number
            }
            Test::Map { .. }
            | Test::Proof { .. }
            | Test::Port { .. }
            | Test::HairpinLearn
            | Test::HairpinOut
            | Test::HairpinBack => false,
        });
    }

    /// Whether no attempt is under way, and no server is known that a fresh one could use.
    pub(super) fn is_stranded(&self, servers: &Servers) -> bool {
        self.current().is_none() && servers.next_capable(|number| self.was_tried(number)).is_none()
    }

    /// Lets go of the sockets; those of attempts that were given up are closed already.
    pub(super) fn close(&mut self, desk: &mut Desk<'_, '_>) {
        if let Some(attempt) = self.current().map(|(_, attempt)| attempt).filter(|attempt| attempt.local.is_some()) {
            let socket = attempt.socket;
            desk.close(socket);
        }
    }

    fn give_up(&mut self, desk: &mut Desk<'_, '_>, why: Unknown) {
        self.cancel(desk);
        if let Some(attempt) = self.attempts.last() {
            desk.close(attempt.socket);
        }
        self.failures.push(why);
    }

    /// A fresh socket for the next capable server; the end where there is none and none can come.
    fn move_on(&mut self, desk: &mut Desk<'_, '_>, servers: &Servers, may_hear_more: bool) {
        let next = servers.next_capable(|number| self.was_tried(number));
        if let Some((number, server)) = next.and_then(|number| Some((number, servers.get(number)?))) {
            let to = server.address;
            desk.cx.note(|| DiscoveryNote::FilteringMoved { to });
            self.attempt(desk, number, to);
        } else if !may_hear_more {
            let why = self.reason();
            self.verdict = Some(Conclusion::unknown(why, self.evidence(servers)));
        }
    }

    /// The most telling reason of all that were met: a server that could not do its part says more than a plain one.
    fn reason(&self) -> Unknown {
        let telling = |why: &&Unknown| !matches!(why, Unknown::NoOtherAddress | Unknown::ServerSilent);
        let plain = |why: &&Unknown| **why == Unknown::NoOtherAddress;
        let found = self.failures.iter().find(telling).or_else(|| self.failures.iter().find(plain));
        found.copied().unwrap_or(Unknown::ServerSilent)
    }

    pub(super) fn evidence(&self, servers: &Servers) -> Vec<Evidence> {
        let mut all = Vec::with_capacity(4);
        for (number, attempt) in self.attempts.iter().enumerate() {
            let server = servers.get(attempt.server);
            let proof = server.map(super::servers::Asked::proof);
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

/// Holds what is no plain lack of a second address against a server.
fn hold(desk: &mut Desk<'_, '_>, servers: &mut Servers, server: u8, flaw: Flaw) {
    if flaw != Flaw::Silent {
        servers.hold(desk, server, flaw);
    }
}
