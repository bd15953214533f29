//! The checklist set: pairs, their order and states, and the choice of the next check (RFC 8445 §6.1.2, §6.1.4).
//!
//! Rules of this file: everything that changes the state of a pair is here. The set knows no addresses, no time and no
//! messages. Pairs are in a slab; each checklist has an order of numbers beside it, by priority. Foundation groups have
//! an index. A new pair is *fresh* until the next choice of a check, which computes the initial states of all fresh pairs
//! together (§6.1.2.6). So a description with many candidates has the same result in any order.

mod groups;
mod refill;
#[cfg(test)]
mod tests;

use crate::candidate::ComponentId;
use crate::local::LocalId;
use crate::pair::{Flags, Pair, PairId, PairState, Record};
use crate::remote::RemoteId;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use groups::{Column, Groups};
use portolan_machine::Instant;

/// The state of a checklist (RFC 8445 §6.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecklistState {
    /// Neither completed nor failed.
    Running,
    /// Each component has a nominated pair.
    Completed,
    /// No pair can be nominated.
    Failed,
}

/// The checklist of one data stream.
#[derive(Clone, Debug)]
struct Checklist {
    state: ChecklistState,
    /// By priority, highest first.
    order: Vec<PairId>,
    triggered: VecDeque<PairId>,
    waiting: u16,
    frozen: u16,
    /// The number of triggered checks since the last ordinary one.
    streak: u8,
}

impl Checklist {
    /// The number of pairs in the triggered-check queue, which are Waiting.
    fn queued(&self) -> u16 {
        u16::try_from(self.triggered.len()).unwrap_or(u16::MAX)
    }
}

/// After this number of triggered checks, one ordinary check is sent.
const STREAK: u8 = 4;

#[derive(Clone, Debug)]
pub(crate) struct ChecklistSet {
    pairs: Vec<Pair>,
    /// One place for each pair. A record exists from its first change on: most pairs are never checked.
    records: Vec<Option<Box<Record>>>,
    lists: Vec<Checklist>,
    groups: Groups,
    /// The checklist that the next check is taken from first.
    turn: usize,
    limit: usize,
    /// The number of pairs that are In-Progress.
    pending: u16,
    /// The number of pairs that are Failed.
    failed: u16,
    has_fresh: bool,
    /// The last pair that filled a free place (policy of browsers).
    refill_mark: (u64, LocalId, RemoteId),
    /// Whether a discarded pair may wait for a free place.
    has_discarded: bool,
}

/// A pair to insert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewPair {
    pub(crate) priority: u64,
    pub(crate) local: LocalId,
    pub(crate) remote: RemoteId,
    pub(crate) list: u16,
    pub(crate) component: u16,
    pub(crate) foundations: (u16, u64),
    pub(crate) is_relayed: bool,
    /// Whether a check of the peer causes the pair: then it makes room for itself.
    pub(crate) is_triggered: bool,
}

/// The result of [`ChecklistSet::insert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Added(PairId),
    /// Added in the place of this pair, which was discarded.
    Replaced {
        added: PairId,
        discarded: (LocalId, RemoteId),
    },
    /// The set is full, and the new pair has the lowest priority.
    Discarded,
}

impl ChecklistSet {
    pub(crate) fn new(streams: usize, limit: usize) -> Self {
        let list = || Checklist {
            state: ChecklistState::Running,
            order: Vec::new(),
            triggered: VecDeque::new(),
            waiting: 0,
            frozen: 0,
            streak: 0,
        };
        Self {
            pairs: Vec::new(),
            records: Vec::new(),
            lists: core::iter::repeat_with(list).take(streams).collect(),
            groups: Groups::default(),
            turn: 0,
            limit: limit.clamp(1, usize::from(u16::MAX) / 2),
            pending: 0,
            failed: 0,
            has_fresh: false,
            refill_mark: (u64::MAX, LocalId(0), RemoteId(0)),
            has_discarded: false,
        }
    }

    /// Makes space for `count` more pairs.
    pub(crate) fn reserve(&mut self, count: usize) {
        let count = count.min(self.limit);
        self.pairs.reserve_exact(count);
        self.records.reserve_exact(count);
    }

    /// Inserts a pair by its priority. In a full set a failed pair makes room, else the pair with the lowest priority
    /// (RFC 8838 §11). `keeps_relayed`: the last relayed pair of a component is not discarded.
    pub(crate) fn insert(&mut self, new: NewPair, keeps_relayed: bool) -> Inserted {
        let mut discarded = None;
        if self.len() >= self.limit {
            self.has_discarded = true;
            let Some(victim) = self.victim(new, keeps_relayed) else { return Inserted::Discarded };
            discarded = self.get(victim).map(|pair| (pair.local, pair.remote));
            self.remove(victim);
        }
        let group = self.groups.join(new.foundations, Column::new(new.list, new.component, new.priority));
        let mut flags = Flags::default();
        flags.set(Flags::FRESH, true);
        flags.set(Flags::RELAYED, new.is_relayed);
        let pair = Pair {
            priority: new.priority,
            rtt: 0,
            local: new.local,
            remote: new.remote,
            group,
            list: new.list,
            component: new.component,
            mapped: None,
            state: PairState::Frozen,
            flags,
        };
        self.has_fresh = true;
        let id = self.place(pair);
        if let Some(list) = self.lists.get_mut(usize::from(new.list)) {
            list.frozen += 1;
        }
        self.put_in_order(id);
        match discarded {
            Some(discarded) => Inserted::Replaced { added: id, discarded },
            None => Inserted::Added(id),
        }
    }

    fn place(&mut self, pair: Pair) -> PairId {
        let free = if self.pairs.len() < self.limit { None } else { self.free_place() };
        match free {
            Some(at) => {
                if let (Some(place), Some(record)) = (self.pairs.get_mut(at), self.records.get_mut(at)) {
                    (*place, *record) = (pair, None);
                }
                PairId(at as u16)
            }
            None => {
                self.pairs.push(pair);
                self.records.push(None);
                PairId((self.pairs.len() - 1) as u16)
            }
        }
    }

    fn free_place(&self) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.flags.has(Flags::FREE))
    }

    fn put_in_order(&mut self, id: PairId) {
        let Self { pairs, lists, .. } = self;
        let Some(pair) = pairs.get(usize::from(id.0)) else { return };
        let Some(list) = lists.get_mut(usize::from(pair.list)) else { return };
        let rank = |id: &PairId| pairs.get(usize::from(id.0)).map_or(0, |pair| pair.priority);
        // Among equal priorities the lowest component is first (§6.1.4.2).
        let component = |id: &PairId| pairs.get(usize::from(id.0)).map_or(0, |pair| pair.component);
        let at = list.order.partition_point(|known| {
            rank(known) > pair.priority || rank(known) == pair.priority && component(known) <= pair.component
        });
        list.order.insert(at, id);
    }

    /// Removes a pair: it is not in a checklist any more, and its number can be reused.
    pub(crate) fn remove(&mut self, id: PairId) {
        self.untrigger(id);
        let Some(pair) = self.get(id).copied() else { return };
        self.leave_state(pair);
        if let Some(list) = self.lists.get_mut(usize::from(pair.list))
            && let Some(at) = list.order.iter().position(|known| *known == id)
        {
            list.order.remove(at);
        }
        if let Some(pair) = self.pairs.get_mut(usize::from(id.0)) {
            pair.flags = Flags::FREE;
        }
    }

    /// Removes all pairs. The states of the checklists are Running.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.lists.len(), self.limit);
    }

    // --- Choice of checks --------------------------------------------------------------------------------------

    /// The pair of the next check, which is In-Progress then, and whether the check is triggered (§6.1.4.2). `None`: there
    /// is nothing to check.
    pub(crate) fn next_check(&mut self) -> Option<(PairId, bool)> {
        self.settle_fresh();
        for _ in 0..self.lists.len() {
            let turn = self.turn % self.lists.len();
            self.turn = turn + 1;
            if let Some((id, is_triggered)) = self.next_of(turn) {
                self.set_state(id, PairState::InProgress);
                return Some((id, is_triggered));
            }
        }
        None
    }

    fn next_of(&mut self, turn: usize) -> Option<(PairId, bool)> {
        // A triggered check of a checklist that is not Running is a renewed nomination. A peer whose checks come from ever
        // new addresses triggers a check each Ta, so an ordinary check follows after some triggered ones.
        let list = self.lists.get_mut(turn)?;
        let is_ordinary_due =
            list.streak >= STREAK && list.state == ChecklistState::Running && list.waiting > list.queued();
        list.streak = if is_ordinary_due || list.triggered.is_empty() { 0 } else { list.streak.saturating_add(1) };
        if let Some(id) = if is_ordinary_due { None } else { list.triggered.pop_front() } {
            self.flag(id, Flags::TRIGGERED, false);
            return Some((id, true));
        }
        let list = self.lists.get(turn)?;
        if list.state != ChecklistState::Running {
            return None;
        }
        if list.waiting == 0 {
            self.unfreeze_idle(turn);
        }
        let list = self.lists.get(turn).filter(|list| list.waiting > 0)?;
        let is_ordinary = |pair: &Pair| pair.state == PairState::Waiting && !pair.flags.has(Flags::TRIGGERED);
        let id = list.order.iter().copied().find(|id| self.get(*id).is_some_and(is_ordinary))?;
        Some((id, false))
    }

    /// Whether [`next_check`](Self::next_check) would return a pair.
    pub(crate) fn has_next(&self) -> bool {
        let is_running = |list: &Checklist| list.state == ChecklistState::Running;
        self.lists.iter().any(|list| {
            !list.triggered.is_empty()
                || is_running(list) && (list.waiting > 0 || list.frozen > 0 && self.can_unfreeze(list))
        })
    }

    fn can_unfreeze(&self, list: &Checklist) -> bool {
        self.has_fresh || list.order.iter().any(|id| self.is_idle(*id))
    }

    /// Whether the pair is Frozen, and no pair of its foundation is Waiting or In-Progress.
    fn is_idle(&self, id: PairId) -> bool {
        self.get(id).is_some_and(|pair| pair.state == PairState::Frozen && !self.groups.is_active(pair.group))
    }

    /// Unfreezes one pair of each foundation that has no Waiting or In-Progress pair (§6.1.4.2 step 2).
    fn unfreeze_idle(&mut self, turn: usize) {
        let Some(list) = self.lists.get(turn).filter(|list| list.frozen > 0) else { return };
        for at in 0..list.order.len() {
            let id = self.lists.get(turn).and_then(|list| list.order.get(at)).copied();
            if let Some(id) = id.filter(|id| self.is_idle(*id)) {
                self.set_state(id, PairState::Waiting);
            }
        }
    }

    /// Computes the initial states of the new pairs (§6.1.2.6, RFC 8838 §12).
    fn settle_fresh(&mut self) {
        if !core::mem::take(&mut self.has_fresh) {
            return;
        }
        for at in 0..self.pairs.len() {
            let id = PairId(at as u16);
            let Some(pair) = self.pairs.get_mut(at).filter(|pair| pair.flags.has(Flags::FRESH)) else { continue };
            pair.flags.set(Flags::FRESH, false);
            let pair = *pair;
            if pair.flags.has(Flags::FREE) || pair.state != PairState::Frozen {
                continue;
            }
            let column = Column::new(pair.list, pair.component, pair.priority);
            if self.groups.has_succeeded(pair.group) || self.groups.is_top(pair.group, column) {
                self.set_state(id, PairState::Waiting);
            }
        }
    }

    /// Puts a pair into the triggered-check queue, with the state Waiting (§7.3.1.4).
    pub(crate) fn trigger(&mut self, id: PairId) {
        self.set_state(id, PairState::Waiting);
        let Some(pair) = self.pairs.get_mut(usize::from(id.0)) else { return };
        if pair.flags.has(Flags::TRIGGERED) || pair.flags.has(Flags::FREE) {
            return;
        }
        pair.flags.set(Flags::TRIGGERED, true);
        if let Some(list) = self.lists.get_mut(usize::from(pair.list)) {
            list.triggered.push_back(id);
        }
    }

    fn untrigger(&mut self, id: PairId) {
        let Some(pair) = self.pairs.get_mut(usize::from(id.0)).filter(|pair| pair.flags.has(Flags::TRIGGERED)) else {
            return;
        };
        pair.flags.set(Flags::TRIGGERED, false);
        if let Some(list) = self.lists.get_mut(usize::from(pair.list)) {
            list.triggered.retain(|queued| *queued != id);
        }
    }

    // --- States ------------------------------------------------------------------------------------------------

    /// Sets the state of a pair. A pair that succeeds unfreezes all pairs of its foundation (§7.2.5.3.3).
    pub(crate) fn set_state(&mut self, id: PairId, state: PairState) {
        let Some(pair) = self.get(id).copied() else { return };
        if state != PairState::Waiting {
            self.untrigger(id);
        }
        if pair.state == state {
            return;
        }
        self.leave_state(pair);
        let is_first_success = state == PairState::Succeeded && !self.groups.has_succeeded(pair.group);
        self.enter_state(pair, state);
        if let Some(pair) = self.pairs.get_mut(usize::from(id.0)) {
            pair.state = state;
            pair.flags.set(Flags::FRESH, false);
        }
        if is_first_success {
            self.unfreeze_group(pair.group);
        }
    }

    fn leave_state(&mut self, pair: Pair) {
        let Some(list) = self.lists.get_mut(usize::from(pair.list)) else { return };
        match pair.state {
            PairState::Frozen => list.frozen = list.frozen.saturating_sub(1),
            PairState::Waiting => {
                list.waiting = list.waiting.saturating_sub(1);
                self.groups.add_active(pair.group, -1);
            }
            PairState::InProgress => {
                self.pending = self.pending.saturating_sub(1);
                self.groups.add_active(pair.group, -1);
            }
            PairState::Failed => self.failed = self.failed.saturating_sub(1),
            PairState::Succeeded => {}
        }
    }

    fn enter_state(&mut self, pair: Pair, state: PairState) {
        let Some(list) = self.lists.get_mut(usize::from(pair.list)) else { return };
        match state {
            PairState::Frozen => list.frozen += 1,
            PairState::Waiting => {
                list.waiting += 1;
                self.groups.add_active(pair.group, 1);
            }
            PairState::InProgress => {
                self.pending += 1;
                self.groups.add_active(pair.group, 1);
            }
            PairState::Succeeded => self.groups.set_succeeded(pair.group),
            PairState::Failed => self.failed += 1,
        }
    }

    fn unfreeze_group(&mut self, group: u16) {
        for at in 0..self.pairs.len() {
            let is_member =
                |pair: &&Pair| pair.group == group && pair.state == PairState::Frozen && !pair.flags.has(Flags::FREE);
            if self.pairs.get(at).filter(is_member).is_some() {
                self.set_state(PairId(at as u16), PairState::Waiting);
            }
        }
    }

    /// The number of pairs that are Waiting or In-Progress (§14.3).
    pub(crate) fn open_checks(&self) -> usize {
        self.lists.iter().map(|list| usize::from(list.waiting)).sum::<usize>() + usize::from(self.pending)
    }

    pub(crate) fn list_state(&self, list: u16) -> Option<ChecklistState> {
        Some(self.lists.get(usize::from(list))?.state)
    }

    pub(crate) fn set_list_state(&mut self, list: u16, state: ChecklistState) {
        if let Some(list) = self.lists.get_mut(usize::from(list)) {
            list.state = state;
        }
    }

    /// Recomputes all priorities after a change of the role or of a candidate (§6.1.2.3).
    pub(crate) fn set_priorities(&mut self, priority: impl Fn(&Pair) -> u64) {
        for pair in &mut self.pairs {
            pair.priority = priority(pair);
        }
        let Self { pairs, lists, groups, .. } = self;
        for list in lists {
            list.order.sort_by_key(|id| {
                let pair = pairs.get(usize::from(id.0));
                pair.map_or((core::cmp::Reverse(0), 0), |pair| (core::cmp::Reverse(pair.priority), pair.component))
            });
        }
        groups.reset_tops();
        for pair in pairs.iter().filter(|pair| !pair.flags.has(Flags::FREE)) {
            groups.raise_top(pair.group, Column::new(pair.list, pair.component, pair.priority));
        }
    }

    // --- Access ------------------------------------------------------------------------------------------------

    pub(crate) fn get(&self, id: PairId) -> Option<&Pair> {
        self.pairs.get(usize::from(id.0)).filter(|pair| !pair.flags.has(Flags::FREE))
    }

    pub(crate) fn get_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.get_mut(usize::from(id.0)).filter(|pair| !pair.flags.has(Flags::FREE))
    }

    pub(crate) fn record(&self, id: PairId) -> Option<&Record> {
        Some(self.records.get(usize::from(id.0))?.as_deref().unwrap_or(&Record::NEW))
    }

    /// The pairs that data may use before the selection, and the ends of their consent.
    pub(crate) fn consents(&self) -> impl Iterator<Item = (PairId, Instant)> {
        self.iter().filter_map(|(id, _)| Some((id, self.record(id)?.consent_until?)))
    }

    /// Ends the consent of the pairs of a component: its selected pair has a consent of its own.
    pub(crate) fn end_consents(&mut self, component: ComponentId) {
        for (pair, record) in self.pairs.iter().zip(&mut self.records) {
            if let Some(record) = record
                && (pair.list, pair.component) == (component.stream, component.number)
            {
                record.consent_until = None;
            }
        }
    }

    pub(crate) fn record_mut(&mut self, id: PairId) -> Option<&mut Record> {
        Some(self.records.get_mut(usize::from(id.0))?.get_or_insert_with(|| Box::new(Record::NEW)))
    }

    pub(crate) fn state(&self, id: PairId) -> Option<PairState> {
        Some(self.get(id)?.state)
    }

    pub(crate) fn flag(&mut self, id: PairId, flag: Flags, value: bool) {
        if let Some(pair) = self.get_mut(id) {
            pair.flags.set(flag, value);
        }
    }

    pub(crate) fn find(&self, local: LocalId, remote: RemoteId) -> Option<PairId> {
        let is_match = |pair: &Pair| pair.local == local && pair.remote == remote && !pair.flags.has(Flags::FREE);
        self.pairs.iter().position(is_match).map(|at| PairId(at as u16))
    }

    /// The pairs of a checklist by priority, highest first.
    pub(crate) fn in_order(&self, list: u16) -> impl Iterator<Item = (PairId, &Pair)> + Clone {
        let order = self.lists.get(usize::from(list)).map(|list| list.order.as_slice()).unwrap_or_default();
        order.iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// All pairs, checklist by checklist.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PairId, &Pair)> {
        (0..self.lists.len()).flat_map(|list| self.in_order(list as u16))
    }

    pub(crate) fn len(&self) -> usize {
        self.lists.iter().map(|list| list.order.len()).sum()
    }

    /// The rank below which discarded pairs may fill a free place.
    pub(crate) const fn refill_mark(&self) -> (u64, LocalId, RemoteId) {
        self.refill_mark
    }

    pub(crate) const fn set_refill_mark(&mut self, mark: (u64, LocalId, RemoteId)) {
        self.refill_mark = mark;
    }

    /// Whether a discarded pair may wait for a free place.
    pub(crate) const fn has_discarded(&self) -> bool {
        self.has_discarded
    }

    pub(crate) const fn clear_discarded(&mut self) {
        self.has_discarded = false;
    }

    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }
}
