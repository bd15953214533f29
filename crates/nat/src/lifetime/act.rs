//! The choice of the next request, within the limit of ten transactions a second.
//!
//! Rules of this file: measurements go before preparations. A transaction starts only when fewer than ten have
//! started within a second (RFC 5780 §5). The second round of requests for a probe starts beside a proof.

use super::pace::Urgency;
use super::probe::{NEVER, Role, Side, State};
use super::tag::{Purpose, Tag};
use super::{CONTROL, Lifetime, Proof, REQUESTER, Stage};
use crate::profile::Unknown;
use core::time::Duration;
use portolan_machine::{Cx, Deadline, Instant};
use portolan_stun_agent::{Request, Schedule};

/// A request to start, for the probe of this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Map(usize),
    Check(usize),
    Touch(usize),
    Prove,
}

impl Lifetime {
    /// Starts all requests that are due and allowed. Returns whether one was started.
    pub(super) fn act(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut acted = false;
        while self.stage != Stage::Ended {
            let Some((act, urgency)) = self.choose(cx.now()) else { break };
            if self.pace.opens(urgency) > cx.now() {
                break;
            }
            self.begin(cx, act);
            acted = true;
        }
        acted
    }

    /// The time of the next start, after [`Self::act`] at `now`.
    pub(super) fn next_act(&self, now: Instant) -> Option<Deadline> {
        let rest = self.probes.iter().filter(|probe| matches!(probe.state(), State::Resting | State::Held));
        let due = rest.map(|probe| probe.due).filter(|due| *due > now && *due < NEVER).min();
        let paced = self.choose(now).map(|(_, urgency)| self.pace.opens(urgency));
        Deadline::earliest(
            due.map(|at| Deadline::new(at, "next check")),
            paced.map(|at| Deadline::new(at, "ten transactions a second")),
        )
    }

    /// The most urgent start at `now`.
    fn choose(&self, now: Instant) -> Option<(Act, Urgency)> {
        self.measurement(now)
            .or_else(|| self.doubted(now))
            .map(|act| (act, Urgency::Now))
            .or_else(|| self.preparation())
    }

    /// The earliest due request of a measurement.
    fn measurement(&self, now: Instant) -> Option<Act> {
        let due = self.probes.iter().enumerate().filter_map(|(index, probe)| {
            let act = match (probe.state(), probe.role) {
                (State::Stale, _) => return Some((Instant::ORIGIN, Act::Touch(index))),
                (State::Resting, Role::Touched { side: Side::Outbound, .. }) => Act::Touch(index),
                (State::Resting | State::Held, _) => Act::Check(index),
                (
                    State::Opening
                    | State::Unmapped
                    | State::Mapping
                    | State::Checking
                    | State::Doubted
                    | State::Touching
                    | State::Over,
                    _,
                ) => return None,
            };
            (probe.due <= now && probe.due < NEVER).then_some((probe.due, act))
        });
        due.min_by_key(|(due, _)| *due).map(|(_, act)| act)
    }

    /// The next request after silence: a fresh mapping of the control, the proof, and the second round during the
    /// proof.
    fn doubted(&self, now: Instant) -> Option<Act> {
        let control = self.probes.get(CONTROL)?;
        if self.stage == Stage::Proving {
            return (self.proof.transaction.is_none()).then_some(Act::Prove);
        }
        let doubted = self.probes.iter().position(|probe| probe.state() == State::Doubted)?;
        match control.state() {
            State::Resting if self.proof.transaction.is_some() => {
                (now < self.proof.requested_at + PROOF_VALID).then_some(Act::Check(doubted))
            }
            State::Resting if self.proof.ready => Some(Act::Prove),
            State::Resting => Some(Act::Map(CONTROL)),
            State::Opening
            | State::Unmapped
            | State::Mapping
            | State::Checking
            | State::Doubted
            | State::Stale
            | State::Touching
            | State::Held
            | State::Over => None,
        }
    }

    /// The first request of the first socket without a mapping.
    fn preparation(&self) -> Option<(Act, Urgency)> {
        let index = self.probes.iter().position(|probe| probe.state() == State::Unmapped)?;
        Some((Act::Map(index), if index > CONTROL { Urgency::Whenever } else { Urgency::Now }))
    }

    fn begin(&mut self, cx: &mut Cx<'_>, act: Act) {
        self.pace.begin(cx.now());
        let begun = match act {
            Act::Map(index) => self.map(cx, index),
            Act::Check(index) => self.check(cx, index),
            Act::Touch(index) => self.touch(cx, index),
            Act::Prove => self.prove(cx),
        };
        if begun.is_none() {
            // No request here has port 0, and the table does not fill up. If the request fails in spite of that, the
            // probe is lost.
            let (Act::Map(index) | Act::Check(index) | Act::Touch(index)) = act else {
                return self.finish(cx.now(), Unknown::ServerError);
            };
            self.spoil_or_finish(cx, index, Unknown::ServerError);
        }
    }

    fn map(&mut self, cx: &mut Cx<'_>, index: usize) -> Option<()> {
        let (server, requester) = (self.server(), self.requester_port());
        let probe = self.probes.get_mut(index)?;
        let schedule = if self.stage == Stage::Measuring { PREPARE } else { REQUEST };
        let tag = Tag { purpose: Purpose::Map, probe: u8::try_from(index).ok()? };
        let mut request = Request::binding(probe.place.socket, server, tag).schedule(schedule);
        if let Role::Unreplied { .. } = probe.role {
            // The response goes to the request socket, so that no packet comes in through the new mapping.
            request = request.response_port(requester?);
        }
        probe.become_state(State::Mapping);
        probe.transaction =
            Some(self.transactions.with(cx, |transactions, cx| transactions.request(cx, request)).ok()?);
        Some(())
    }

    fn check(&mut self, cx: &mut Cx<'_>, index: usize) -> Option<()> {
        let (server, schedule) = (self.server(), self.estimate.check());
        let requester = self.probes.get(REQUESTER)?.place.socket;
        let probe = self.probes.get_mut(index)?;
        let tag = Tag { purpose: Purpose::Check, probe: u8::try_from(index).ok()? };
        let port = probe.place.external?.port();
        probe.become_state(State::Checking);
        probe.start_round(cx.now());
        let request = Request::binding(requester, server, tag).schedule(schedule).response_port(port);
        self.transactions.with(cx, |transactions, cx| transactions.request(cx, request)).ok().map(drop)
    }

    fn touch(&mut self, cx: &mut Cx<'_>, index: usize) -> Option<()> {
        let (server, requester) = (self.server(), self.requester_port());
        // A retransmission could make a new mapping after the old one has expired, and so hide the end.
        let once = Schedule::at_millis([0]).tail(self.estimate.tail());
        let probe = self.probes.get_mut(index)?;
        let tag = Tag { purpose: Purpose::Touch, probe: u8::try_from(index).ok()? };
        let request = Request::binding(probe.place.socket, server, tag);
        let request = match probe.role {
            Role::Touched { .. } => request.schedule(PREPARE).response_port(requester?),
            Role::Requester | Role::Control | Role::Replied { .. } | Role::Unreplied { .. } | Role::Watcher { .. } => {
                request.schedule(once)
            }
        };
        probe.become_state(State::Touching);
        probe.transaction =
            Some(self.transactions.with(cx, |transactions, cx| transactions.request(cx, request)).ok()?);
        Some(())
    }

    /// Requests responses to the control. All sends are made, because they measure the loss.
    fn prove(&mut self, cx: &mut Cx<'_>) -> Option<()> {
        let (server, schedule) = (self.server(), self.estimate.check().repeat(true));
        let requester = self.probes.get(REQUESTER)?.place.socket;
        let port = self.probes.get(CONTROL)?.place.external?.port();
        let tag = Tag { purpose: Purpose::Prove, probe: u8::try_from(CONTROL).ok()? };
        let request = Request::binding(requester, server, tag).schedule(schedule).response_port(port);
        let transaction = self.transactions.with(cx, |transactions, cx| transactions.request(cx, request)).ok()?;
        self.proof = Proof { transaction: Some(transaction), requested_at: cx.now(), ready: false, ..self.proof };
        Some(())
    }

    fn requester_port(&self) -> Option<u16> {
        Some(self.probes.get(REQUESTER)?.place.external?.port())
    }
}

/// The sends of the first requests to a server, for at most two seconds.
const REQUEST: Schedule = Schedule::at_millis([0, 100, 250, 450])
    .every(Duration::from_millis(250))
    .until(Duration::from_secs(2))
    .jitter(Duration::from_millis(10))
    .tail(Duration::from_millis(500));
/// The sends of a request that makes a mapping. Each send may refresh the mapping, so few sends give a tighter bound.
const PREPARE: Schedule =
    Schedule::at_millis([0, 500, 1200, 2200]).jitter(Duration::from_millis(20)).tail(Duration::from_secs(1));
/// The time after the start of a proof in which a round of requests may start beside it.
const PROOF_VALID: Duration = Duration::from_millis(300);
