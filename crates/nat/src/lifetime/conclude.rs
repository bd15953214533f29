//! The conclusions from the results of the probes, and the end of the run.
//!
//! Rules of this file: each conclusion is reported once, when no later result can change it. The end of a refreshed
//! mapping is an absolute end only if mappings live long enough for the refreshes to come in time. An end in spite of
//! a refresh shows an ineffective refresh only if no absolute end explains it.

use super::probe::{NEVER, Probe, Role, Side, State};
use super::report::recommended_keepalive;
use super::series::{Judgement, Outcome, bounds, judge, unusable_reason};
use super::{Lifetime, LifetimeEvent, LifetimeNote, LifetimeRange, LifetimeReport, RefreshReport, Stage};
use crate::profile::{Conclusion, Evidence, Family, Question, Unknown};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use portolan_machine::{Cx, Instant, Output, Slot, SocketOrder};
use portolan_stun_agent::Transactions;

/// The conclusions so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts {
    translated: Option<bool>,
    replied: Option<Conclusion<LifetimeRange>>,
    unreplied: Option<Conclusion<LifetimeRange>>,
    absolute: Option<Conclusion<LifetimeRange>>,
    refresh: Option<RefreshReport>,
}

impl Lifetime {
    /// Orders all sockets, first those with the longest measurements. The server honours RESPONSE-PORT.
    pub(super) fn measure(&mut self, cx: &mut Cx<'_>) {
        self.become_stage(Stage::Measuring);
        let server = self.server();
        cx.note(|| LifetimeNote::Honoured { server });
        let translated =
            self.probes.first().and_then(|requester| Some(requester.place.local? != requester.place.external?));
        self.verdicts.translated = translated;
        let points = u32::try_from(self.config.points()).unwrap_or(0);
        let step = self.config.step;
        let idles = || (1..=points).rev().map(|point| step * point);
        for lag in [Duration::ZERO, self.gap() / 2] {
            self.open(cx, Role::Watcher { lag });
        }
        // The longest idle times of both series come first, because they end the run. The sockets of the refresh test
        // come next.
        let first = |idle: Duration| idle + self.config.step * 4 > self.config.max;
        let (first, rest): (Vec<_>, Vec<_>) = idles().partition(|idle| first(*idle));
        for idle in idles() {
            self.open(cx, Role::Replied { idle });
            if first.contains(&idle) {
                self.open(cx, Role::Unreplied { idle });
            }
        }
        for late in [false, true] {
            self.open(cx, Role::Touched { side: Side::Outbound, late });
            self.open(cx, Role::Touched { side: Side::Inbound, late });
        }
        for idle in rest {
            self.open(cx, Role::Unreplied { idle });
        }
        let sockets = self.probes.len();
        let expected = self.config.max + Duration::from_secs(10);
        let translated = translated.unwrap_or(true);
        self.out.push(Output::Event(LifetimeEvent::Begun { server, translated, sockets, expected }));
    }

    /// Reports each new conclusion, and ends the run when all are known.
    pub(super) fn conclude(&mut self, cx: &mut Cx<'_>) {
        if self.stage != Stage::Measuring {
            return;
        }
        if self.verdicts.replied.is_none()
            && let Some(verdict) = judge(&self.points(is_replied)).verdict(self.evidence())
        {
            self.give_up(cx, is_replied);
            self.verdicts.replied = Some(verdict.clone());
            self.out.push(Output::Event(LifetimeEvent::Replied(verdict)));
        }
        if self.verdicts.unreplied.is_none()
            && let Some(verdict) = judge(&self.points(is_unreplied)).verdict(self.evidence())
        {
            self.give_up(cx, is_unreplied);
            self.verdicts.unreplied = Some(verdict.clone());
            self.out.push(Output::Event(LifetimeEvent::Unreplied(verdict)));
        }
        if self.verdicts.absolute.is_none()
            && let Some(verdict) = self.absolute()
        {
            self.give_up(cx, is_watcher);
            self.verdicts.absolute = Some(verdict.clone());
            self.out.push(Output::Event(LifetimeEvent::Absolute(verdict)));
        }
        self.release(cx);
        if self.verdicts.refresh.is_none()
            && let (Some(outbound), Some(inbound)) = (self.refresh(Side::Outbound), self.refresh(Side::Inbound))
        {
            let report = RefreshReport { outbound, inbound };
            self.verdicts.refresh = Some(report.clone());
            self.out.push(Output::Event(LifetimeEvent::Refresh(Box::new(report))));
        }
        let Verdicts { replied, unreplied, absolute, refresh, .. } = &self.verdicts;
        if replied.is_some() && unreplied.is_some() && absolute.is_some() && refresh.is_some() {
            self.finish(cx.now(), Unknown::TimedOut);
        }
    }

    /// The results of a series, shortest idle time first.
    fn points(&self, of: fn(&Probe) -> bool) -> Vec<Outcome> {
        self.probes.iter().rev().filter(|probe| of(probe)).map(|probe| probe.outcome).collect()
    }

    /// Whether the watchers go on after the requested time.
    pub(super) const fn needs_watchers(&self) -> bool {
        self.verdicts.refresh.is_none()
    }

    /// The evidence of every conclusion of the run.
    fn evidence(&self) -> Vec<Evidence> {
        let (sent, answered) = (self.estimate.path.sent, self.estimate.path.answered);
        let proof = Evidence::Answered { question: Question::ResponsePort, from: self.server() };
        Vec::from([proof, Evidence::Loss { sent, answered }])
    }

    /// Closes the sockets that a conclusion no longer needs.
    fn give_up(&mut self, cx: &mut Cx<'_>, of: fn(&Probe) -> bool) {
        for index in 0..self.probes.len() {
            if self.probes.get(index).is_some_and(of) {
                self.close(cx, index);
            }
        }
    }

    /// The result of the replied sockets so far: bounds, once no result is missing below the first dead one.
    fn so_far(&self) -> Option<(LifetimeRange, f64)> {
        let points = self.points(is_replied);
        let dead = points.iter().position(|point| matches!(point, Outcome::Dead { .. }));
        let known = points.get(..=dead?)?;
        if known.contains(&Outcome::Pending) {
            return None;
        }
        match bounds(known) {
            Judgement::Settled { range, p, .. } => Some((range, p)),
            Judgement::Open | Judgement::Unknown(_) => None,
        }
    }

    fn absolute(&self) -> Option<Conclusion<LifetimeRange>> {
        let silent_lived = self.longest(is_replied);
        if self.verdicts.replied.is_some() && silent_lived.is_zero() {
            return Some(Conclusion::unknown(Unknown::TooShort, self.evidence()));
        }
        let watchers = || self.probes.iter().filter(|probe| is_watcher(probe));
        // The mapping of a watcher may have expired because no refresh came within the idle lifetime.
        let refreshed =
            |probe: &&Probe, after| (probe.life.made.earliest + after).since(probe.life.refreshed) < silent_lived;
        let deaths = watchers().filter_map(|probe| match probe.outcome {
            Outcome::Dead { after, sends, p } if refreshed(&probe, after) => Some((after, probe.life.lived, sends, p)),
            Outcome::Pending | Outcome::Alive { .. } | Outcome::Dead { .. } | Outcome::Unusable(_) => None,
        });
        if let Some((after, lived, sends, p)) = deaths.min_by_key(|(after, ..)| *after) {
            // A silent mapping that outlives the refreshed one is a contradiction.
            if silent_lived > after {
                return Some(Conclusion::unknown(Unknown::Contradictory, self.evidence()));
            }
            self.verdicts.replied.as_ref()?;
            let range = LifetimeRange { at_least: lived.min(after), at_most: Some(after) };
            return Judgement::Settled { range, p, sends }.verdict(self.evidence());
        }
        if watchers().any(|probe| probe.outcome == Outcome::Pending) {
            return None;
        }
        let at_least = self.longest(is_watcher);
        if at_least.is_zero() {
            let why = watchers().find_map(|probe| unusable_reason(&probe.outcome)).unwrap_or(Unknown::HighLoss);
            return Some(Conclusion::unknown(why, self.evidence()));
        }
        // An end between a check and the refresh a round trip later is not detected if the port is preserved.
        let unseen = self.estimate.rtt().as_secs_f64() / self.gap().as_secs_f64();
        let alive = watchers().filter(|probe| matches!(probe.outcome, Outcome::Alive { .. })).count();
        let p = (0..alive).fold(1.0, |p, _| p * unseen.min(1.0));
        Judgement::Settled { range: LifetimeRange { at_least, at_most: None }, p, sends: 0 }.verdict(self.evidence())
    }

    pub(super) fn longest(&self, of: fn(&Probe) -> bool) -> Duration {
        let all = self.probes.iter().filter(|probe| of(probe));
        all.map(|probe| probe.life.lived).max().unwrap_or_default()
    }

    /// Checks the refreshed sockets, once the lifetime without a refresh is known.
    fn release(&mut self, cx: &mut Cx<'_>) {
        if self.probes.iter().all(|probe| !is_touched(probe) || probe.outcome != Outcome::Pending) {
            return;
        }
        let standing = self.verdicts.replied.as_ref().map(|verdict| verdict.value().copied());
        let (range, why) = match (self.so_far(), standing) {
            (Some((range, _)), _) => (range, Unknown::TooShort),
            (None, Some(Some(_))) => return self.spoil_touched(cx, Unknown::TooLong),
            (None, Some(None)) => return self.spoil_touched(cx, Unknown::NoEvidence),
            (None, None) => return,
        };
        let Some(most) = range.at_most else { return };
        let (rounds, now) = (self.estimate.round().saturating_add(self.estimate.rtt()).saturating_mul(2), cx.now());
        let touch_after = self.touch_after();
        for index in 0..self.probes.len() {
            let Some(probe) = self.probes.get_mut(index).filter(|probe| is_touched(probe)) else { continue };
            match (probe.state(), probe.life.touched) {
                (State::Held, Some(touched)) if probe.due == NEVER => {
                    let due = now.max(probe.life.made.latest + most + MARGIN);
                    // The refresh came within the lifetime. The check comes while a refreshed mapping must live.
                    let alive = touched.latest.since(probe.life.made.earliest) <= range.at_least;
                    if alive && (due + rounds).since(touched.earliest) < range.at_least {
                        probe.due = due;
                    } else {
                        self.set_unusable(cx, index, why);
                    }
                }
                (State::Unmapped | State::Opening | State::Mapping | State::Resting, _) if most < touch_after => {
                    self.set_unusable(cx, index, why);
                }
                _ => {}
            }
        }
    }

    fn spoil_touched(&mut self, cx: &mut Cx<'_>, why: Unknown) {
        for index in 0..self.probes.len() {
            if self.probes.get(index).is_some_and(|probe| is_touched(probe) && probe.state() != State::Over) {
                self.set_unusable(cx, index, why);
            }
        }
    }

    /// Whether packets from this side refresh; `None` while a later result can change the conclusion.
    fn refresh(&self, side: Side) -> Option<Conclusion<bool>> {
        let of_side = |probe: &&Probe| matches!(probe.role, Role::Touched { side: of, .. } if of == side);
        let outcomes = || self.probes.iter().filter(of_side).map(|probe| probe.outcome);
        if outcomes().any(|outcome| outcome == Outcome::Pending) {
            return None;
        }
        let mut evidence = self.evidence();
        let p_range = self.so_far().map_or(0.0, |(_, p)| p);
        let lived = outcomes().find_map(|outcome| match outcome {
            Outcome::Alive { after } => Some(after),
            Outcome::Pending | Outcome::Dead { .. } | Outcome::Unusable(_) => None,
        });
        let died = outcomes().find_map(|outcome| match outcome {
            Outcome::Dead { after, sends, p } => Some((after, sends, p)),
            Outcome::Pending | Outcome::Alive { .. } | Outcome::Unusable(_) => None,
        });
        evidence.extend(lived.map(|after| Evidence::Lived { after }));
        evidence.extend(died.map(|(after, sends, _)| Evidence::Died { after, sends }));
        Some(match (lived, died) {
            (Some(_), Some(_)) => Conclusion::unknown(Unknown::Contradictory, evidence),
            (Some(_), None) => Conclusion::value_with(true, p_range, evidence),
            (None, Some((after, _, p))) => {
                // The mapping may have reached its absolute end, or the refresh had no effect. The refresh had no
                // effect only if the mappings of all watchers lived longer: a single watcher may have a new mapping.
                let watchers = self.probes.iter().filter(|probe| is_watcher(probe));
                let mut sound = watchers.filter(|probe| !matches!(probe.outcome, Outcome::Unusable(_)));
                if sound.clone().next().is_none() {
                    return Some(Conclusion::unknown(Unknown::NoEvidence, evidence));
                }
                if sound.any(|probe| probe.life.lived < after) {
                    self.verdicts.absolute.as_ref()?;
                    return Some(Conclusion::unknown(Unknown::AbsoluteEnd, evidence));
                }
                Conclusion::value_with(false, p + p_range, evidence)
            }
            (None, None) => {
                let why = outcomes().find_map(|outcome| unusable_reason(&outcome));
                Conclusion::unknown(why.unwrap_or(Unknown::NoEvidence), evidence)
            }
        })
    }

    /// Closes all sockets and reports. A missing conclusion is reported with the bounds so far, or as unknown for
    /// this reason.
    pub(super) fn finish(&mut self, now: Instant, why: Unknown) {
        if self.stage == Stage::Ended {
            return;
        }
        let report = self.report(now, why);
        for probe in &mut self.probes {
            // An ordered socket is closed too, even if it is not open yet.
            if probe.state() != State::Over {
                probe.become_state(State::Over);
                if !probe.place.gone {
                    self.out.push(Output::Socket(SocketOrder::Close(probe.place.socket)));
                }
            }
        }
        self.transactions = Slot::new("transactions", 0, Transactions::new());
        self.become_stage(Stage::Ended);
        self.out.push(Output::Event(LifetimeEvent::Report(Box::new(report))));
    }

    fn report(&mut self, now: Instant, why: Unknown) -> LifetimeReport {
        let series = |points: &[Outcome]| match bounds(points) {
            Judgement::Unknown(Unknown::TooFewSamples) | Judgement::Open => Conclusion::unknown(why, self.evidence()),
            Judgement::Unknown(other) => Conclusion::unknown(other, self.evidence()),
            known @ Judgement::Settled { .. } => {
                known.verdict(self.evidence()).unwrap_or_else(|| Conclusion::unknown(why, Vec::new()))
            }
        };
        let measured = !self.probes.iter().all(|probe| matches!(probe.role, Role::Requester | Role::Control));
        let nothing = || Conclusion::unknown(why, Vec::new());
        let watched = || match self.longest(is_watcher) {
            Duration::ZERO => nothing(),
            at_least => Conclusion::value_with(LifetimeRange { at_least, at_most: None }, 0.0, self.evidence()),
        };
        let Verdicts { translated, replied, unreplied, absolute, refresh } = self.verdicts.clone();
        let known = |verdict: Option<Conclusion<LifetimeRange>>, of| {
            verdict.unwrap_or_else(|| if measured { series(&self.points(of)) } else { nothing() })
        };
        let (replied, unreplied) = (known(replied, is_replied), known(unreplied, is_unreplied));
        let absolute = absolute.unwrap_or_else(watched);
        let side = |side| self.refresh(side).unwrap_or_else(|| Conclusion::unknown(why, Vec::new()));
        let refresh = refresh.unwrap_or_else(|| match measured {
            true => RefreshReport { outbound: side(Side::Outbound), inbound: side(Side::Inbound) },
            false => RefreshReport {
                outbound: Conclusion::unknown(why, Vec::new()),
                inbound: Conclusion::unknown(why, Vec::new()),
            },
        });
        let server = self.server();
        LifetimeReport {
            family: Family::of(&server),
            server,
            translated,
            recommended_keepalive: recommended_keepalive(&replied, &unreplied, &refresh.outbound),
            replied,
            unreplied,
            absolute,
            refresh,
            path: self.estimate.path,
            elapsed: now - self.run.started,
        }
    }
}

pub(super) const fn is_replied(probe: &Probe) -> bool {
    matches!(probe.role, Role::Replied { .. })
}

const fn is_unreplied(probe: &Probe) -> bool {
    matches!(probe.role, Role::Unreplied { .. })
}

const fn is_watcher(probe: &Probe) -> bool {
    matches!(probe.role, Role::Watcher { .. })
}

const fn is_touched(probe: &Probe) -> bool {
    matches!(probe.role, Role::Touched { .. })
}

/// The time after the end of a mapping.
const MARGIN: Duration = Duration::from_millis(200);
