//! The ids of finished requests, so that a late duplicate is known for what it is.

use crate::note::TransactionEnd;
use alloc::vec::Vec;
use portolan_stun::TransactionId;

/// A ring of the last finished requests.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    ring: Vec<(TransactionId, TransactionEnd)>,
    oldest: usize,
    limit: usize,
}

impl Recent {
    pub(super) const fn new(limit: usize) -> Self {
        Self { ring: Vec::new(), oldest: 0, limit }
    }

    pub(super) fn remember(&mut self, id: TransactionId, ending: TransactionEnd) {
        if self.ring.len() < self.limit {
            self.ring.push((id, ending));
        } else if let Some(slot) = self.ring.get_mut(self.oldest) {
            *slot = (id, ending);
            self.oldest = (self.oldest + 1) % self.limit;
        }
    }

    pub(super) fn find(&self, id: TransactionId) -> Option<TransactionEnd> {
        self.ring.iter().find(|(other, _)| *other == id).map(|(_, ending)| *ending)
    }
}
