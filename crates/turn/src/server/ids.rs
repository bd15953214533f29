//! Transaction ids of Data indications, drawn in blocks.
//!
//! Rules of this file: each id is used once. A block saves a call of the RNG for each datagram. `Debug` does not show
//! the ids to come.

use core::fmt;
use portolan_machine::Cx;
use portolan_stun::TransactionId;

/// The number of ids in a block.
const BLOCK: usize = 64;

/// A block of random ids.
#[derive(Clone)]
pub(super) struct TransactionIds {
    block: [u8; 12 * BLOCK],
    /// The number of ids that are left, at the start of the block.
    left: usize,
}

impl TransactionIds {
    pub(super) const fn new() -> Self {
        Self { block: [0; 12 * BLOCK], left: 0 }
    }

    /// The next id. Draws a block if none is left.
    #[inline]
    pub(super) fn next(&mut self, cx: &mut Cx<'_>) -> TransactionId {
        if self.left == 0 {
            self.block = cx.random();
            self.left = BLOCK;
        }
        self.left -= 1;
        let (ids, _) = self.block.as_chunks::<12>();
        TransactionId::from(ids.get(self.left).copied().unwrap_or_default())
    }
}

impl fmt::Debug for TransactionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionIds").field("left", &self.left).finish_non_exhaustive()
    }
}
