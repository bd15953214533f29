//! The facts that the laws need about a machine.

use alloc::string::String;
use core::fmt;
use portolan_machine::{Machine, Outbox, SocketId};

/// Facts that the owner of a machine knows and the laws cannot derive.
pub struct Context<'a, M: Machine> {
    /// Whether an event is the terminal event of the machine.
    pub terminal: fn(&M::Event) -> bool,
    /// Sockets that the owner opened and handed in: open from the start. The ids that the machine draws come after
    /// them.
    pub handed_in: &'a [SocketId],
    /// The seed of the machine's RNG.
    pub seed: u64,
    /// The most outputs that peers may cause without a drain: [`Outbox::LIMIT`]; for a [`Pair`](portolan_machine::Pair)
    /// the sum of its two limits.
    pub queue_limit: usize,
    /// The most outputs of one drain before the drain counts as endless; far above the number for a correct machine.
    pub drain_limit: usize,
    /// Renders the state of the machine, statistics included; for most machines this is their `Debug` text. The laws 10
    /// and 12 compare the state, so that they find a difference that no output shows. `None`: these laws compare only
    /// outputs, waits, random bytes and socket ids.
    pub state: Option<fn(&M) -> String>,
    /// The limit of the state's size. `None`: [`check`](super::check) skips law 14.
    pub footprint: Option<Footprint<M>>,
}

impl<M: Machine> Default for Context<'_, M> {
    /// The default: no terminal event, no handed-in socket, the limits of a machine with one queue, and no inspection.
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
    /// Returns the same context for a machine that wraps this one and has the same events. The wrapper is not
    /// inspected.
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

/// How to measure the size of a machine's state, and its limit.
pub struct Footprint<M> {
    /// Returns the size of the state, in any unit that grows with the state: entries, bytes, or the length of the
    /// `Debug` text.
    pub measure: fn(&M) -> usize,
    /// The limit of the size.
    pub limit: StateLimit,
}

impl<M> Footprint<M> {
    /// Measures the size of the state as the length of its `Debug` text.
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

/// The limits of a machine's state, in the unit of its footprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimit {
    /// The largest footprint at any time, with any number of peers.
    pub flooded: usize,
    /// The largest rest, above the footprint of a new machine, after all sockets are closed and all deadlines have
    /// passed: tables of a fixed size and counters.
    pub tables: usize,
}

/// The length of the `Debug` text in bytes, without the text: a footprint for
/// [`state_is_bounded`](super::state_is_bounded).
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
    // Writing to a counter never fails. If `Debug` itself fails, the length so far counts.
    let _written = fmt::write(&mut counter, format_args!("{state:?}"));
    counter.0
}
