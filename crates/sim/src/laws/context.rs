//! What the laws must know about a machine.

use alloc::string::String;
use core::fmt;
use portolan_machine::{Machine, Outbox, SocketId};

/// What the owner of a machine knows and the laws cannot guess.
pub struct Context<'a, M: Machine> {
    /// Whether an event is the machine's last.
    pub terminal: fn(&M::Event) -> bool,
    /// Sockets that the machine did not order itself: open from the beginning. The ids that the machine draws come after.
    pub handed_in: &'a [SocketId],
    /// The seed of the machine's RNG.
    pub seed: u64,
    /// How many outputs peers may cause without a drain: [`Outbox::LIMIT`], for a [`Pair`](portolan_machine::Pair) the sum
    /// of its two.
    pub queue_limit: usize,
    /// How many outputs one drain may give before it counts as endless; far above what a correct machine gives.
    pub drain_limit: usize,
    /// Renders the state of the machine, statistics included; for most machines their `Debug` text. The laws 10 and 12
    /// compare it, so that they find a difference that no output shows. `None`: they compare outputs, waits, random bytes
    /// and socket ids.
    pub state: Option<fn(&M) -> String>,
    /// How large the state may be. `None`: law 14 is not checked by [`check`](super::check).
    pub footprint: Option<Footprint<M>>,
}

impl<M: Machine> Default for Context<'_, M> {
    /// No event is the last, no socket is handed in, the limits are those of a machine with one queue, and nothing looks
    /// into the machine.
    fn default() -> Self {
        Self {
            terminal: |_| false,
            handed_in: &[],
            seed: 0,
            queue_limit: Outbox::<M::Event>::LIMIT,
            drain_limit: 16 * 1024,
            state: None,
            footprint: None,
        }
    }
}

impl<'a, M: Machine> Context<'a, M> {
    /// Returns the same context for a machine that wraps this one and has its events. Nothing looks into the wrapper.
    #[must_use]
    pub fn for_wrapper<W: Machine<Event = M::Event>>(&self) -> Context<'a, W> {
        let Self { terminal, handed_in, seed, queue_limit, drain_limit, .. } = *self;
        Context { terminal, handed_in, seed, queue_limit, drain_limit, ..Context::default() }
    }
}

impl<M: Machine> Clone for Context<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine> Copy for Context<'_, M> {}

impl<M: Machine> fmt::Debug for Context<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("handed_in", &self.handed_in)
            .field("seed", &self.seed)
            .field("queue_limit", &self.queue_limit)
            .field("drain_limit", &self.drain_limit)
            .field("state", &self.state.is_some())
            .field("footprint", &self.footprint)
            .finish_non_exhaustive()
    }
}

/// How the size of a machine's state is measured, and how large it may be.
pub struct Footprint<M> {
    /// Returns the size of the state. Any unit serves that grows with the state: a number of entries, bytes, or the length
    /// of the `Debug` text.
    pub measure: fn(&M) -> usize,
    /// How large the state may be.
    pub limit: StateLimit,
}

impl<M> Footprint<M> {
    /// The size of the state is the length of its `Debug` text.
    #[must_use]
    pub fn debug_text(limit: StateLimit) -> Self
    where
        M: fmt::Debug,
    {
        Self { measure: |machine| debug_length(machine), limit }
    }
}

impl<M> Clone for Footprint<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Footprint<M> {}

impl<M> fmt::Debug for Footprint<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footprint").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// How large the state of a machine may be, in the unit of its footprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimit {
    /// The footprint at any time, however many peers there are.
    pub flooded: usize,
    /// What may be left, beyond the footprint of a new machine, after all sockets are closed and all deadlines have
    /// passed: tables of a fixed size and counters.
    pub tables: usize,
}

/// The length of the `Debug` text in bytes, without the text: a footprint for [`state_is_bounded`](super::state_is_bounded).
///
/// ```
/// assert_eq!(portolan_sim::laws::debug_length(&[1, 2, 30]), "[1, 2, 30]".len());
/// ```
#[must_use]
pub fn debug_length(state: &impl fmt::Debug) -> usize {
    struct Counter(usize);
    impl fmt::Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // A counter takes every text; a `Debug` that fails by itself has no more to show.
    let _written = fmt::write(&mut counter, format_args!("{state:?}"));
    counter.0
}
