//! Room in a full set (RFC 8445 §6.1.2.5, RFC 8838 §11).

use super::{ChecklistSet, NewPair};
use crate::pair::{Flags, Pair, PairId, PairState};

impl ChecklistSet {
    /// The pair that makes room for a new one: a failed pair, else a pair of the longest checklist with a lower priority
    /// than the new pair. Pairs that were checked or are valid stay.
    pub(super) fn victim(&self, new: NewPair, keeps_relayed: bool) -> Option<PairId> {
        if self.failed > 0 {
            return self.iter().find(|(_, pair)| pair.state == PairState::Failed).map(|(id, _)| id);
        }
        // The discarding is even: the longest checklist loses a pair (§6.1.2.5).
        let longest = (0..self.lists.len()).max_by_key(|list| {
            (self.lists.get(*list).map_or(0, |list| list.order.len()), *list == usize::from(new.list))
        })?;
        let is_untouched = |pair: &Pair| {
            matches!(pair.state, PairState::Frozen | PairState::Waiting) && !pair.flags.has(Flags::TRIGGERED)
        };
        let is_last_relayed = |id: PairId, pair: &Pair| {
            keeps_relayed
                && pair.flags.has(Flags::RELAYED)
                && !(new.is_relayed && new.component == pair.component && new.list == pair.list)
                && !self.in_order(pair.list).any(|(other, known)| {
                    other != id && known.component == pair.component && known.flags.has(Flags::RELAYED)
                })
        };
        let order = self.lists.get(longest)?.order.as_slice();
        let mut candidates = order.iter().rev().filter_map(|id| Some((*id, self.get(*id)?)));
        let (id, pair) = candidates.find(|(id, pair)| is_untouched(pair) && !is_last_relayed(*id, pair))?;
        let is_first_relayed = keeps_relayed
            && new.is_relayed
            && !self
                .in_order(new.list)
                .any(|(_, known)| known.component == new.component && known.flags.has(Flags::RELAYED));
        let is_other_list = longest != usize::from(new.list);
        (new.is_triggered || is_first_relayed || is_other_list || pair.priority < new.priority).then_some(id)
    }
}
