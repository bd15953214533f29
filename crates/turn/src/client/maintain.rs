//! Keeping an allocation: Refresh requests, keepalives, changes of the mapped address, losses and replacements.
//!
//! RFC 8656 §5 (437), §8 (Refresh).

use super::allocation::{Allocation, Phase, Role};
use super::attempt::Attempt;
use super::requests::Job;
use super::{Client, Former, Stage, Timer, insert};
use crate::LossReason;
use crate::event::{ClientEvent, ClientFailure, Outcome, Step};
use crate::note::ClientNote;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Cx, Instant, Output};
use portolan_stun::attribute::Attribute;
use portolan_stun::header::Method;
use portolan_stun::message::Message;

/// An allocation that is lost within this time counts as lost early.
const EARLY: Duration = Duration::from_secs(30);
/// The largest number of Refresh requests in a row that fail.
const REFRESHES: u32 = 8;
/// The number of early losses in a row after which the client ends.
const EARLY_LOSSES: u32 = 3;

impl Client {
    /// Handles the end of a phase: an attempt times out, a lifetime or an overlap ends, or a release times out.
    pub(super) fn phase_ended(&mut self, cx: &mut Cx<'_>, number: u32) {
        let Some(allocation) = self.allocation_mut(number) else { return };
        allocation.clocks.end = None;
        let (server, phase, role) = (allocation.server, allocation.phase, allocation.role);
        let timed_out = allocation.step(cx.now(), Method::ALLOCATE, 0, Outcome::TimedOut);
        match (phase, role) {
            (Phase::Active, Role::Current) => self.lost(cx, number, LossReason::Expired),
            (Phase::Active, Role::Old) => self.release(cx, number),
            // The transactions know the reason, such as a response that is not verified.
            (Phase::Allocating, _) if self.give_up(cx, number) => {}
            (Phase::Opening | Phase::Allocating | Phase::Active, _) => {
                self.attempt_failed(cx, number, timed_out);
            }
            (Phase::Releasing, _) => {
                cx.note(|| ClientNote::NotReleased { server });
                self.released(number);
            }
        }
    }

    /// Sends a Refresh request.
    pub(super) fn refresh(&mut self, cx: &mut Cx<'_>, number: u32) {
        let lifetime = self.config.as_ref().and_then(|config| config.options.lifetime);
        let Some(allocation) = self.allocation_mut(number) else { return };
        if let Some(timer) = allocation.clocks.refresh.take() {
            self.timers.cancel(timer);
        }
        let requested = lifetime.map(Attribute::Lifetime);
        if let Err(why) = self.request(cx, number, Job::Refresh, requested.as_slice())
            && let Some(allocation) = self.allocation(number)
        {
            let step = allocation.step(cx.now(), Method::REFRESH, 0, Outcome::NotSent(why));
            self.refresh_failed(cx, number, step);
        }
    }

    pub(super) fn refreshed(&mut self, cx: &mut Cx<'_>, number: u32, message: &Message<'_>) {
        let Some(allocation) = self.allocation_mut(number) else { return };
        let (server, seconds) = (allocation.server, message.lifetime().filter(|seconds| *seconds > 0));
        let Some(seconds) = seconds else {
            let step = allocation.step(cx.now(), Method::REFRESH, 1, Outcome::Malformed);
            return self.refresh_failed(cx, number, step);
        };
        allocation.grant.lifetime = Duration::from_secs(seconds.into());
        let (mapped, role, expires) = (allocation.grant.mapped, allocation.role, allocation.clocks.expires);
        let was = Former { mapped: allocation.grant.tuple, relayed: Vec::new(), expires };
        (allocation.grant.tuple, allocation.clocks.failures) = (mapped, 0);
        cx.note(|| ClientNote::Refreshed { server, seconds: seconds.into() });
        self.set_lifetime(cx.now(), number);
        if role == Role::Current && core::mem::take(&mut self.plan.reports_refresh) {
            let lifetime = Duration::from_secs(seconds.into());
            self.out.push(Output::Event(ClientEvent::Refreshed { lifetime }));
        }
        if role == Role::Current
            && let Some(former) = self.plan.former.take_if(|former| former.mapped == mapped)
        {
            self.reclaim(cx, number, former, was);
        }
    }

    /// Uses an earlier allocation again: the mapped address has changed back to that of the earlier allocation, and the
    /// server has refreshed it. `was` is the allocation that the client used until now.
    fn reclaim(&mut self, cx: &mut Cx<'_>, number: u32, former: Former, was: Former) {
        if former.expires <= cx.now() {
            return;
        }
        self.cancel_requests(cx, number);
        let Some(allocation) = self.allocations.iter_mut().find(|allocation| allocation.number == number) else {
            return;
        };
        for timer in allocation.peers.take_timers() {
            self.timers.cancel(timer);
        }
        allocation.peers = allocation.peers.renewed(false);
        allocation.clocks.asked = None;
        let old = core::mem::replace(&mut allocation.grant.relayed, former.relayed);
        self.plan.former = Some(Former { relayed: old.clone(), ..was });
        let new = allocation.grant.relayed.clone();
        if let Some(&relayed) = new.first() {
            cx.note(|| ClientNote::Reclaimed { relayed });
        }
        self.out.push(Output::Event(ClientEvent::Replaced { old, new }));
    }

    /// Repeats a Refresh request after a transient failure, while the lifetime lasts, and reports another failure.
    pub(super) fn refresh_failed(&mut self, cx: &mut Cx<'_>, number: u32, step: Step) {
        let Some(allocation) = self.allocation_mut(number) else { return };
        allocation.clocks.failures = allocation.clocks.failures.saturating_add(1);
        let (failures, expires) = (allocation.clocks.failures, allocation.clocks.expires);
        if step.outcome.is_transient() && failures < REFRESHES && cx.now() < expires {
            cx.note(|| ClientNote::Repeated { method: Method::REFRESH, server: step.server });
            return self.refresh(cx, number);
        }
        cx.note(|| ClientNote::RefreshFailed { step: step.clone() });
        self.plan.reports_refresh = false;
        self.out.push(Output::Event(ClientEvent::RefreshFailed { step }));
    }

    pub(super) fn set_keepalive(&mut self, now: Instant, number: u32) {
        let interval = self.config.as_ref().map(|config| config.times.keepalive).unwrap_or_default();
        if let Some(allocation) = self.allocations.iter_mut().find(|allocation| allocation.number == number) {
            allocation.clocks.keepalive = insert(&mut self.timers, now + interval, Timer::Keepalive(number));
        }
    }

    /// Sends a Binding request, unless one is pending. It keeps the NAT binding to the server, and its response has the
    /// mapped address.
    pub(super) fn send_keepalive(&mut self, cx: &mut Cx<'_>, number: u32) {
        self.set_keepalive(cx.now(), number);
        let Some(allocation) = self.allocation_mut(number) else { return };
        if allocation.clocks.asked.is_none() {
            allocation.clocks.asked = Some(cx.now());
            if self.request(cx, number, Job::Keepalive, &[]).is_err()
                && let Some(allocation) = self.allocation_mut(number)
            {
                allocation.clocks.asked = None;
            }
        }
    }

    pub(super) fn keepalive_answered(&mut self, cx: &mut Cx<'_>, number: u32, mapped: Option<SocketAddr>) {
        let is_stream = self.is_stream();
        let Some(allocation) = self.allocation_mut(number) else { return };
        allocation.clocks.asked = None;
        let (old, role) = (allocation.grant.mapped, allocation.role);
        let Some(new) = mapped.filter(|mapped| *mapped != old && !is_stream) else { return };
        allocation.grant.mapped = new;
        cx.note(|| ClientNote::MappedChanged { old, new });
        if role == Role::Current {
            self.out.push(Output::Event(ClientEvent::MappedChanged { old, new }));
        }
        self.refresh(cx, number);
    }

    pub(super) fn keepalive_failed(&mut self, cx: &mut Cx<'_>, number: u32, outcome: &Outcome) {
        let Some(allocation) = self.allocation_mut(number) else { return };
        let asked = allocation.clocks.asked.take();
        let is_silent = asked.is_some_and(|asked| allocation.clocks.heard <= asked);
        let timer = allocation.clocks.keepalive;
        if *outcome != Outcome::TimedOut {
            return;
        }
        if is_silent {
            return self.lost(cx, number, LossReason::Silent);
        }
        // A packet arrived after the request was sent. The next request follows at once, so that silence from then on is
        // noticed in time.
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
        self.send_keepalive(cx, number);
    }

    /// Handles the end of the stream of an allocation.
    pub(super) fn socket_closed(&mut self, cx: &mut Cx<'_>, number: u32, why: LossReason) {
        let Some(allocation) = self.allocation_mut(number) else { return };
        if matches!(why, LossReason::Closed(_)) {
            allocation.socket = None;
        }
        let outcome = match why {
            LossReason::Closed(why) => Outcome::Closed(why),
            LossReason::NotFramed => Outcome::NotFramed,
            LossReason::Mismatch | LossReason::Expired | LossReason::Silent => Outcome::Closed(Closure::Unspecified),
        };
        let step = allocation.step(cx.now(), Method::ALLOCATE, 0, outcome);
        match (allocation.phase, allocation.role) {
            (Phase::Active, Role::Current) => self.lost(cx, number, why),
            (Phase::Opening | Phase::Allocating | Phase::Active, _) => self.attempt_failed(cx, number, step),
            (Phase::Releasing, _) => self.released(number),
        }
    }

    /// Handles the loss of an allocation: the current one is replaced by a new one, another one is dropped.
    pub(super) fn lost(&mut self, cx: &mut Cx<'_>, number: u32, why: LossReason) {
        let is_stream = self.is_stream();
        let Some(allocation) = self.allocation(number) else { return };
        let &Allocation { server, socket, role, .. } = allocation;
        cx.note(|| ClientNote::Lost { server, why });
        if role != Role::Current || self.stage != Stage::Running {
            let step = allocation.step(cx.now(), Method::REFRESH, 1, Outcome::TimedOut);
            return self.attempt_failed(cx, number, step);
        }
        let (grant, clocks, attempt) = (allocation.grant.clone(), allocation.clocks, allocation.attempt.clone());
        let peers = allocation.peers.renewed(false);
        self.plan.reports_refresh = false;
        self.out.push(Output::Event(ClientEvent::Lost { relayed: grant.relayed.clone(), why }));
        self.plan.early_losses = match cx.now() - clocks.since < EARLY {
            true => self.plan.early_losses.saturating_add(1),
            false => 0,
        };
        self.plan.steps.clear();
        if self.plan.early_losses > EARLY_LOSSES {
            return self.fail(ClientFailure::Unstable);
        }
        let keeps_socket = why == LossReason::Mismatch && !is_stream && socket.is_some() && self.next().is_none();
        self.plan.previous = Some(grant.relayed.clone());
        if !keeps_socket {
            self.drop_allocation(cx, number);
            self.plan.former = None;
            if self.next().is_none() {
                self.begin_round(cx, attempt.server_index(), peers);
            }
            return;
        }
        let former = Former { mapped: grant.tuple, relayed: grant.relayed, expires: clocks.expires };
        self.plan.former = Some(former);
        self.forget_allocation(cx, number);
        let options = self.config.as_ref().map(|config| config.options).unwrap_or_default();
        let attempt = Attempt::new(attempt.server_index(), options);
        let next = socket.and_then(|socket| self.insert_next(cx, attempt, (socket, server), Phase::Allocating, peers));
        if let Some(next) = next {
            self.send_allocate(cx, next);
        }
    }

    /// Replaces the current allocation when the peers of the next one are requested and answered.
    pub(super) fn replace_when_settled(&mut self, cx: &mut Cx<'_>) {
        let is_ready = |next: &Allocation| next.phase == Phase::Active && next.peers.is_settled();
        let Some(next) = self.next().filter(|next| is_ready(next)).map(|next| next.number) else { return };
        let overlap = self.config.as_ref().map(|config| config.times.overlap).unwrap_or_default();
        let mut old = self.plan.previous.take();
        if let Some(current) = self.current().map(|current| current.number) {
            let end = insert(&mut self.timers, cx.now() + overlap, Timer::End(current));
            self.cancel_requests(cx, current);
            self.cancel_timers(current);
            if let Some(current) = self.allocation_mut(current) {
                (current.role, current.clocks.end) = (Role::Old, end);
                old = Some(current.grant.relayed.clone());
            }
        }
        self.plan.former = None;
        let Some(allocation) = self.allocation_mut(next) else { return };
        allocation.role = Role::Current;
        let new = allocation.grant.relayed.clone();
        self.out.push(Output::Event(ClientEvent::Replaced { old: old.unwrap_or_default(), new }));
    }
}
