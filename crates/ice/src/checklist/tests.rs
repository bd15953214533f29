//! The tables of RFC 8445 §6.1.2.6 and RFC 8838 §12, and a naive model of the checklist set.

use super::{ChecklistSet, Inserted, NewPair};
use crate::local::LocalId;
use crate::pair::{Flags, PairId, PairState};
use crate::remote::RemoteId;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The rows of the tables: two streams with two components each.
const ROWS: [(u16, u16); 4] = [(0, 1), (0, 2), (1, 1), (1, 2)];

struct Table {
    set: ChecklistSet,
    cells: Vec<((usize, u64), PairId)>,
}

impl Table {
    fn new() -> Self {
        Self { set: ChecklistSet::new(2, 100), cells: Vec::new() }
    }

    fn put(&mut self, row: usize, column: u64) {
        let (list, component) = ROWS[row];
        let number = self.cells.len() as u16;
        let new = NewPair {
            priority: 1_000 - u64::from(component),
            local: LocalId(number),
            remote: RemoteId(number),
            list,
            component,
            foundations: (0, column),
            is_relayed: false,
            is_triggered: false,
        };
        let Inserted::Added(id) = self.set.insert(new, false) else { panic!("the set has room") };
        self.cells.push(((row, column), id));
    }

    /// The states as the letters of the tables, row by row, without a change of the set.
    fn text(&self) -> String {
        let mut set = self.set.clone();
        set.settle_fresh();
        let letter = |row, column| {
            let cell = self.cells.iter().find(|(place, _)| *place == (row, column));
            match cell.and_then(|(_, id)| set.state(*id)) {
                None => '-',
                Some(PairState::Frozen) => 'F',
                Some(PairState::Waiting) => 'W',
                Some(PairState::InProgress) => 'P',
                Some(PairState::Succeeded) => 'S',
                Some(PairState::Failed) => 'X',
            }
        };
        let rows = (0..4).map(|row| (1..=5).map(|column| letter(row, column)).collect::<String>());
        rows.collect::<Vec<_>>().join(" ")
    }

    fn succeed(&mut self, row: usize, column: u64) {
        self.set.settle_fresh();
        let id = self.cells.iter().find(|(place, _)| *place == (row, column)).map(|(_, id)| *id);
        self.set.set_state(id.unwrap(), PairState::Succeeded);
    }
}

/// Table 1 of RFC 8838 §12, in the order of `order`.
fn table_1(order: impl Iterator<Item = usize>) -> Table {
    let cells = [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (3, 1)];
    let mut table = Table::new();
    order.for_each(|at| table.put(cells[at].0, cells[at].1));
    table
}

#[test]
fn rfc8445_6_1_2_6_initial_states_do_not_depend_on_the_order_of_pairs() {
    for start in 0..9 {
        for step in [1, 2, 4, 5, 7, 8] {
            let table = table_1((0..9).map(|nth| (start + nth * step) % 9));
            assert_eq!(table.text(), "WWW-- FFFW- F---- F----", "{start} {step}");
        }
    }
}

#[test]
fn rfc8838_12_the_rules_for_new_pairs_give_the_tables() {
    let mut table = table_1(0..9);
    table.succeed(0, 1);
    assert_eq!(table.text(), "SWW-- WFFW- W---- W----", "table 3");
    table.put(0, 5);
    assert_eq!(table.text(), "SWW-W WFFW- W---- W----", "rule 1");
    table.succeed(0, 5);
    table.put(1, 5);
    assert_eq!(table.text(), "SWW-S WFFWW W---- W----", "rule 2");
    table.put(2, 3);
    assert_eq!(table.text(), "SWW-S WFFWW W-F-- W----", "rule 3");
}

#[test]
fn rfc8445_6_1_4_2_checklists_take_turns_and_triggered_checks_go_first() {
    let mut set = ChecklistSet::new(2, 100);
    let mut ids = Vec::new();
    for (number, (list, priority)) in [(0, 50), (0, 40), (1, 30), (1, 20)].into_iter().enumerate() {
        let number = number as u16;
        let new = NewPair {
            priority,
            local: LocalId(number),
            remote: RemoteId(number),
            list,
            component: 1,
            foundations: (number, 0),
            is_relayed: false,
            is_triggered: false,
        };
        let Inserted::Added(id) = set.insert(new, false) else { panic!("the set has room") };
        ids.push(id);
    }
    assert_eq!(set.next_check(), Some((ids[0], false)));
    set.trigger(ids[3]);
    assert_eq!(set.next_check(), Some((ids[3], true)));
    assert_eq!(set.next_check(), Some((ids[1], false)));
    assert_eq!(set.next_check(), Some((ids[2], false)));
    assert_eq!(set.next_check(), None);
    assert!(!set.has_next());
}

/// A small generator, so that the unit tests need no dependency.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A pair of the naive model: everything is computed from a plain list.
#[derive(Clone, Debug)]
struct Plain {
    id: PairId,
    new: NewPair,
    state: PairState,
    is_fresh: bool,
}

/// The place in a column: stream, component and priority.
type Key = (u16, u16, core::cmp::Reverse<u64>);

#[derive(Default)]
struct Model {
    pairs: Vec<Plain>,
    succeeded: Vec<(u16, u64)>,
    tops: Vec<((u16, u64), Key)>,
}

impl Model {
    fn key(new: &NewPair) -> Key {
        (new.list, new.component, core::cmp::Reverse(new.priority))
    }

    fn set(&mut self, id: PairId, state: PairState) {
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.id == id) else { return };
        let was = pair.state;
        (pair.state, pair.is_fresh) = (state, pair.is_fresh && was == state);
        let foundations = pair.new.foundations;
        if state == PairState::Succeeded && was != state && !self.succeeded.contains(&foundations) {
            self.succeeded.push(foundations);
            let same = self.pairs.iter_mut().filter(|pair| pair.new.foundations == foundations);
            for pair in same.filter(|pair| pair.state == PairState::Frozen) {
                (pair.state, pair.is_fresh) = (PairState::Waiting, false);
            }
        }
    }

    fn settle(&mut self) {
        for pair in self.pairs.iter_mut().filter(|pair| pair.is_fresh) {
            pair.is_fresh = false;
            let foundations = pair.new.foundations;
            let top = self.tops.iter().find(|(known, _)| *known == foundations).map(|(_, top)| *top);
            if pair.state == PairState::Frozen
                && (self.succeeded.contains(&foundations) || top == Some(Self::key(&pair.new)))
            {
                pair.state = PairState::Waiting;
            }
        }
    }

    /// Whether a pair of these foundations is Waiting or In-Progress.
    fn is_active(&self, foundations: (u16, u64)) -> bool {
        let is_open = |pair: &&Plain| matches!(pair.state, PairState::Waiting | PairState::InProgress);
        self.pairs.iter().filter(is_open).any(|pair| pair.new.foundations == foundations)
    }

    /// Checks the set after a choice of the next check.
    fn choose(&mut self, chosen: Option<(PairId, bool)>, queued: &[PairId]) {
        self.settle();
        let Some((id, is_triggered)) = chosen else {
            // Nothing is left: no pair waits, and no frozen pair has an idle foundation.
            assert!(self.pairs.iter().all(|pair| pair.state != PairState::Waiting));
            let frozen = self.pairs.iter().filter(|pair| pair.state == PairState::Frozen);
            assert!(frozen.into_iter().all(|pair| self.is_active(pair.new.foundations)));
            return;
        };
        let list = self.pairs.iter().find(|pair| pair.id == id).unwrap().new.list;
        if !is_triggered && !self.pairs.iter().any(|pair| pair.new.list == list && pair.state == PairState::Waiting) {
            let mut order: Vec<Plain> = self.pairs.iter().filter(|pair| pair.new.list == list).cloned().collect();
            order.sort_by_key(|pair| (core::cmp::Reverse(pair.new.priority), pair.new.component));
            for pair in order.iter().filter(|pair| pair.state == PairState::Frozen) {
                if !self.is_active(pair.new.foundations) {
                    self.set(pair.id, PairState::Waiting);
                }
            }
        }
        if !is_triggered {
            let waiting = self.pairs.iter().filter(|pair| pair.new.list == list && pair.state == PairState::Waiting);
            // An ordinary check between triggered ones is not that of a triggered pair.
            let best = waiting.filter(|pair| !queued.contains(&pair.id)).map(|pair| pair.new.priority).max();
            let chosen = self.pairs.iter().find(|pair| pair.id == id).unwrap();
            assert_eq!((chosen.state, Some(chosen.new.priority)), (PairState::Waiting, best));
        }
        self.set(id, PairState::InProgress);
    }

    fn insert(&mut self, id: PairId, new: NewPair) {
        let key = Self::key(&new);
        match self.tops.iter_mut().find(|(known, _)| *known == new.foundations) {
            Some((_, top)) => *top = (*top).min(key),
            None => self.tops.push((new.foundations, key)),
        }
        self.pairs.push(Plain { id, new, state: PairState::Frozen, is_fresh: true });
    }
}

/// A peer whose checks come from ever new addresses triggers a check each Ta. Ordinary checks are still sent.
#[test]
fn triggered_checks_do_not_stop_ordinary_ones() {
    let new = |number: u16, is_triggered| NewPair {
        priority: 1_000 - u64::from(number),
        local: LocalId(number),
        remote: RemoteId(number),
        list: 0,
        component: 1,
        foundations: (number, u64::from(number)),
        is_relayed: false,
        is_triggered,
    };
    let mut set = ChecklistSet::new(1, 100);
    let Inserted::Added(ordinary) = set.insert(new(0, false), false) else { panic!("there is room") };
    let mut kinds = Vec::new();
    for number in 1..=6 {
        let Inserted::Added(id) = set.insert(new(number, true), false) else { panic!("there is room") };
        set.trigger(id);
        let (chosen, is_triggered) = set.next_check().unwrap();
        kinds.push(is_triggered);
        assert_eq!(chosen == ordinary, !is_triggered);
    }
    assert_eq!(kinds, [true, true, true, true, false, true]);
}

/// The set and the model agree under random transitions: states, order, counts and choices.
#[test]
fn rfc8445_6_1_4_2_a_naive_model_agrees_under_random_transitions() {
    for seed in 0..400 {
        let mut numbers = Numbers(seed);
        let (mut set, mut model) = (ChecklistSet::new(2, 12), Model::default());
        for step in 0..150 {
            let pick = |numbers: &mut Numbers, model: &Model| {
                let at = numbers.below(model.pairs.len().max(1) as u64) as usize;
                model.pairs.get(at).map(|pair| pair.id)
            };
            match numbers.below(8) {
                0 | 1 => {
                    let new = NewPair {
                        priority: numbers.below(1 << 40),
                        local: LocalId(step),
                        remote: RemoteId(step),
                        list: numbers.below(2) as u16,
                        component: 1 + numbers.below(2) as u16,
                        foundations: (numbers.below(2) as u16, numbers.below(2)),
                        is_relayed: numbers.below(4) == 0,
                        is_triggered: numbers.below(4) == 0,
                    };
                    let before = set.clone();
                    match set.insert(new, numbers.below(2) == 0) {
                        Inserted::Added(id) => model.insert(id, new),
                        Inserted::Replaced { added, discarded } => {
                            let old = before.find(discarded.0, discarded.1).unwrap();
                            let state = before.state(old).unwrap();
                            let has_failed = before.iter().any(|(_, pair)| pair.state == PairState::Failed);
                            assert_eq!(state == PairState::Failed, has_failed, "a failed pair makes room first");
                            assert!(!matches!(state, PairState::InProgress | PairState::Succeeded));
                            model.pairs.retain(|pair| pair.id != old);
                            model.insert(added, new);
                        }
                        Inserted::Discarded => {}
                    }
                }
                2..=4 => {
                    let queued = set.iter().filter(|(_, pair)| pair.flags.has(Flags::TRIGGERED)).map(|(id, _)| id);
                    let queued: Vec<PairId> = queued.collect();
                    model.choose(set.next_check(), &queued);
                }
                5 => {
                    let Some(id) = pick(&mut numbers, &model) else { continue };
                    set.trigger(id);
                    model.set(id, PairState::Waiting);
                }
                6 => {
                    let Some(id) = pick(&mut numbers, &model) else { continue };
                    let state = [PairState::Succeeded, PairState::Failed][numbers.below(2) as usize];
                    set.set_state(id, state);
                    model.set(id, state);
                }
                _ => {
                    let Some(id) = pick(&mut numbers, &model).filter(|_| numbers.below(4) == 0) else { continue };
                    set.remove(id);
                    model.pairs.retain(|pair| pair.id != id);
                }
            }
            assert_same(&set, &model, &format!("seed {seed} step {step}"));
        }
    }
}

/// States, order, counts and the announcement of the next check.
fn assert_same(set: &ChecklistSet, model: &Model, context: &str) {
    for plain in &model.pairs {
        assert_eq!(set.state(plain.id), Some(plain.state), "{context} {plain:?}");
    }
    assert_eq!(set.len(), model.pairs.len());
    assert!(set.len() <= 12);
    let open = model.pairs.iter().filter(|p| matches!(p.state, PairState::Waiting | PairState::InProgress));
    assert_eq!(set.open_checks(), open.count(), "{context}");
    for list in 0..2 {
        let order: Vec<u64> = set.in_order(list).map(|(_, pair)| pair.priority).collect();
        assert!(order.is_sorted_by(|a, b| a >= b));
        assert!(set.in_order(list).all(|(_, pair)| !pair.flags.has(Flags::FREE)));
    }
    let mut copy = set.clone();
    let can = set.has_next();
    let has = copy.next_check().is_some();
    assert!(can || !has, "{context}: a check that `has_next` does not announce");
}

/// Most of 100 pairs are never checked. Their records would take a third of the heap of an agent.
#[test]
fn a_pair_has_a_record_from_its_first_change_on() {
    let mut table = Table::new();
    (0..100).for_each(|column| table.put(0, column));
    let ids: Vec<PairId> = table.cells.iter().map(|(_, id)| *id).collect();
    let records = |set: &ChecklistSet| set.records.iter().flatten().count();
    assert!(ids.iter().all(|id| table.set.record(*id).is_some_and(|record| record.first_check.is_none())));
    assert_eq!(records(&table.set), 0, "reading makes no record");
    table.set.record_mut(ids[7]).unwrap().counters.requests_sent = 3;
    assert_eq!(table.set.record(ids[7]).unwrap().counters.requests_sent, 3);
    assert_eq!(records(&table.set), 1);
    table.set.end_consents(crate::candidate::ComponentId::new(0, 1));
    assert_eq!(records(&table.set), 1, "the end of all consents makes no record");
}
