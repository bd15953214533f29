//! What the policy of browsers adds: repeated checks, the search for a better pair, and refilled places.
//!
//! Rules of this file: nothing here applies to the policy of RFC 8445. The departures are listed in
//! docs/rfc/departures.md.

use super::Agent;
use super::pairing::Origin;
use crate::candidate::ComponentId;
use crate::config::Policy;
use crate::pair::{Flags, Pair, PairId, PairState};
use alloc::vec::Vec;
use core::time::Duration;
use portolan_machine::{Cx, Instant};

impl Agent {
    /// Whether other pairs of the component are still checked, because data is relayed at the moment.
    pub(super) fn seeks_better(&self, component: ComponentId) -> bool {
        let nominated = self.track(component).and_then(|track| track.nominated);
        self.config.policy == Policy::Browserlike
            && nominated
                .and_then(|nominated| self.set.get(nominated.pair))
                .is_some_and(|pair| pair.flags.has(Flags::RELAYED))
    }

    /// The pair whose check is repeated now: the one of the best pending pairs that waits longest.
    pub(super) fn next_repeat(&self, now: Instant) -> Option<PairId> {
        self.repeats().filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at).map(|(_, id)| id)
    }

    pub(super) fn next_repeat_time(&self) -> Option<Instant> {
        self.repeats().map(|(at, _)| at).min()
    }

    /// The best pending pairs of each checklist, and the times of their next checks.
    fn repeats(&self) -> impl Iterator<Item = (Instant, PairId)> {
        let is_browserlike = self.config.policy == Policy::Browserlike;
        let streams = 0..if is_browserlike { self.config.streams.len() as u16 } else { 0 };
        streams.flat_map(|stream| {
            let is_tcp =
                |pair: &Pair| self.locals.get(pair.local).is_some_and(|local| local.candidate.transport.is_tcp());
            let is_pending = move |(_, pair): &(PairId, &Pair)| pair.state == PairState::InProgress && !is_tcp(pair);
            let pending = self.set.in_order(stream).filter(is_pending);
            pending.take(REPEATED).filter_map(|(id, pair)| {
                let record = self.set.record(id)?;
                let end =
                    record.first_check? + if pair.flags.has(Flags::USE_CANDIDATE) { NOMINATION } else { REPEAT_END };
                let at = record.last_check + REPEAT;
                let is_cancelled = self.checks.of_pair(id).all(|check| check.is_cancelled);
                (at < end && !is_cancelled).then_some((at, id))
            })
        })
    }

    /// The pairs that give up their places while discarded pairs wait, and the times.
    fn give_ups(&self) -> impl Iterator<Item = (Instant, PairId)> {
        let is_full = self.set.has_discarded() && self.set.len() >= self.set.limit();
        let is_wanted = self.config.policy == Policy::Browserlike && is_full;
        let pairs = is_wanted.then(|| self.set.iter()).into_iter().flatten();
        let pending =
            pairs.filter(|(_, pair)| pair.state == PairState::InProgress && !pair.flags.has(Flags::USE_CANDIDATE));
        pending.filter_map(|(id, pair)| {
            let record = self.set.record(id)?;
            let is_alive = pair.flags.has(Flags::VALID) || record.counters.requests_received > 0;
            // The last check has time for a response.
            let at = (record.first_check? + GIVE_UP).max(record.last_check + REPEAT);
            (!is_alive).then_some((at, id))
        })
    }

    pub(super) fn next_give_up(&self) -> Option<Instant> {
        self.give_ups().map(|(at, _)| at).min()
    }

    /// Fails the pairs that give up their places. A pair that takes such a place may discard another one, so the search
    /// starts again after each failure.
    pub(super) fn give_up(&mut self, cx: &mut Cx<'_>) {
        loop {
            let due = self.give_ups().find(|(at, _)| *at <= cx.now());
            let Some((_, id)) = due else { return };
            let why = self.no_response(id);
            self.checks.forget(id);
            self.fail(cx, id, why);
        }
    }

    /// Fills the free places of a full set with the best pairs that were discarded.
    pub(super) fn refill(&mut self, cx: &mut Cx<'_>) {
        if self.config.policy != Policy::Browserlike || self.set.len() < self.set.limit() {
            return;
        }
        let locals: Vec<_> = self.locals.iter().filter(|(_, local)| local.is_base()).map(|(id, _)| id).collect();
        let remotes: Vec<_> = self.remotes.iter().map(|(id, _)| id).collect();
        let mark = self.set.refill_mark();
        let candidates = locals.iter().flat_map(|local| remotes.iter().map(move |remote| (*local, *remote)));
        let best = candidates
            .filter_map(|(local, remote)| {
                let new = self.new_pair(local, remote, Origin::Candidates)?;
                let rank = (new.priority, local, remote);
                (rank < mark && self.set.find(local, remote).is_none()).then_some(rank)
            })
            .max();
        let Some((priority, local, remote)) = best else { return self.set.clear_discarded() };
        self.set.set_refill_mark((priority, local, remote));
        let _added = self.pair(cx, local, remote, Origin::Candidates);
    }
}

/// The interval of repeated checks.
const REPEAT: Duration = Duration::from_millis(500);
/// A pair is checked for this time before it fails.
const REPEAT_END: Duration = Duration::from_secs(15);
/// While discarded pairs wait, a pair without a sign of the peer gives up its place after this time.
const GIVE_UP: Duration = Duration::from_millis(1_500);
/// A nomination is repeated for this time before it fails.
const NOMINATION: Duration = Duration::from_secs(3);
/// The number of pending pairs of a checklist whose checks are repeated.
const REPEATED: usize = 10;
