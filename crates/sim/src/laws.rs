//! The laws of every machine, as plain functions.
//!
//! The driving contract has [eleven laws](portolan_machine). Each is a function here: it takes a factory of fresh
//! machines, a script of [`Step`]s and a [`Context`], plays the script as often and in as many ways as the law needs,
//! and returns a [`Violation`] that says which law broke, at which step, and how. They need no test framework, so they
//! serve unit tests, property tests (`portolan-strategies` wraps them with shrinking) and fuzz targets alike.
//!
//! * [`check_all`] checks them all, [`check`] one, [`Law::ALL`] lists them.
//! * A panic is not caught here, for there is no unwinding without the standard library: it reaches the test. The laws
//!   that are about panics are checked first, so that a panic of the others is rare.
//! * [`rehearse`] turns a script into a conversation: something answers what the machine sends, so that random steps
//!   fall into the middle of a protocol rather than on its doorstep.
//! * Machines trust their driver. A random script may hold news that no driver would tell, after which a sound machine
//!   may well break law 8; [`driver_legal`] takes them out, and [`rehearse`] does too.
//! * A [`Recording`] is a run as text, to be replayed byte for byte.
//!
//! ```
//! use portolan_machine::{Cx, Input, Instant, Machine, Never, Output, SocketId, Verdict};
//! use portolan_sim::laws::{self, Context, Law, Step};
//!
//! /// Says "boo" whenever it is woken, early or not.
//! #[derive(Default)]
//! struct Jumpy(bool);
//!
//! impl Machine for Jumpy {
//!     type Command = Never;
//!     type Error = Never;
//!     type Event = &'static str;
//!     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
//!         match command {}
//!     }
//!     fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
//!         self.0 = input == Input::Timeout;
//!         Verdict::NotMine
//!     }
//!     fn poll(&mut self) -> Output<&'static str> {
//!         if core::mem::take(&mut self.0) { Output::Event("boo") } else { Output::Wait(None) }
//!     }
//! }
//!
//! let here = "192.0.2.1:3478".parse()?;
//! let script = [Step::datagram(Instant::from_millis(20), SocketId(1), here, here, b"hello")];
//! let violation = laws::check_all(&Jumpy::default, &script, &Context::default()).unwrap_err();
//! assert_eq!(violation.law, Law::EarlyTimeout);
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

mod driver;
mod foreign;
mod inputs;
mod queue;
mod recording;
mod rehearsal;
mod sameness;
mod script;
mod sockets;
mod stage;
mod time;

pub use driver::driver_legal;
pub use foreign::not_mine_changes_nothing;
pub use inputs::no_input_panics;
pub use queue::{a_drain_ends, draining_is_the_owners_choice, peers_are_bounded};
pub use recording::{CallContext, Recorded, Recorder, Recording, ReplayError, ReplayErrorKind, record, replay};
pub use rehearsal::rehearse;
pub use sameness::determinism;
pub use script::{Action, OwnedDatagram, OwnedInput, ReadError, Step};
pub use sockets::{no_transmit_before_opened, the_end_is_the_end};
pub use stage::{DrainEnd, StepResult};
pub use time::{an_early_timeout_changes_nothing, time_may_misbehave, waits_lie_ahead};

use alloc::string::String;
use core::fmt;
use portolan_machine::{Machine, Outbox, Script, SocketId};

/// What a machine's owner knows and the laws cannot guess.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a, E> {
    /// Whether an event is the machine's last.
    pub terminal: fn(&E) -> bool,
    /// Sockets that the machine did not order itself: open from the beginning. The machine's own numbers come after.
    pub handed_in: &'a [SocketId],
    /// The seed of the machine's dice.
    pub seed: u64,
    /// How many outputs peers may cause without a drain: [`Outbox::LIMIT`], for a
    /// [`Pair`](portolan_machine::Pair) the sum of its two.
    pub queue_limit: usize,
    /// How many outputs one drain may give before it counts as endless; far above anything honest.
    pub drain_limit: usize,
}

impl<E> Default for Context<'_, E> {
    /// No event is the last, no socket is handed in, and the limits are those of a simple machine.
    fn default() -> Self {
        Self { terminal: |_| false, handed_in: &[], seed: 0, queue_limit: Outbox::<E>::LIMIT, drain_limit: 16 * 1024 }
    }
}

/// One of the eleven laws; its number is that of the list on the front page of `portolan-machine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// 1: a drain ends.
    DrainEnds,
    /// 2: waits lie ahead.
    WaitsLieAhead,
    /// 3: an early timeout changes nothing.
    EarlyTimeout,
    /// 4: time may misbehave.
    TimeMayMisbehave,
    /// 5: no input panics.
    NoInputPanics,
    /// 6: draining is the owner's choice.
    DrainingIsFree,
    /// 7: peers are bounded.
    PeersAreBounded,
    /// 8: no transmit before `Opened`.
    OpenedFirst,
    /// 9: determinism.
    Determinism,
    /// 10: `NotMine` changes nothing.
    NotMine,
    /// 11: the end is the end.
    EndIsEnd,
}

impl Law {
    /// All of them, in the order in which [`check_all`] checks: the laws about panics first, because they name what
    /// would otherwise end the check of another; determinism before the laws that compare two runs.
    pub const ALL: [Self; 11] = [
        Self::NoInputPanics,
        Self::TimeMayMisbehave,
        Self::DrainEnds,
        Self::Determinism,
        Self::WaitsLieAhead,
        Self::EarlyTimeout,
        Self::DrainingIsFree,
        Self::PeersAreBounded,
        Self::OpenedFirst,
        Self::NotMine,
        Self::EndIsEnd,
    ];

    /// Its number in the list, 1 to 11.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::DrainEnds => 1,
            Self::WaitsLieAhead => 2,
            Self::EarlyTimeout => 3,
            Self::TimeMayMisbehave => 4,
            Self::NoInputPanics => 5,
            Self::DrainingIsFree => 6,
            Self::PeersAreBounded => 7,
            Self::OpenedFirst => 8,
            Self::Determinism => 9,
            Self::NotMine => 10,
            Self::EndIsEnd => 11,
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::DrainEnds => "a drain ends",
            Self::WaitsLieAhead => "waits lie ahead",
            Self::EarlyTimeout => "an early timeout changes nothing",
            Self::TimeMayMisbehave => "time may misbehave",
            Self::NoInputPanics => "no input panics",
            Self::DrainingIsFree => "draining is the owner's choice",
            Self::PeersAreBounded => "peers are bounded",
            Self::OpenedFirst => "no transmit before Opened",
            Self::Determinism => "determinism",
            Self::NotMine => "NotMine changes nothing",
            Self::EndIsEnd => "the end is the end",
        };
        write!(f, "law {} ({name})", self.number())
    }
}

/// A law was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// At or after which step of the script, counted from 0; `None` before the first.
    pub step: Option<usize>,
    /// What happened, in plain words.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken ", self.law)?;
        match self.step {
            Some(step) => write!(f, "at step {step}: ")?,
            None => f.write_str("before the first step: ")?,
        }
        f.write_str(&self.what)
    }
}

impl core::error::Error for Violation {}

/// Checks all eleven laws, in the order of [`Law::ALL`].
///
/// # Errors
/// The first violation found.
///
/// # Panics
/// When the machine does: that breaks law 4 or 5, and the panic reaches the test.
pub fn check_all<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M::Event>,
) -> Result<(), Violation> {
    Law::ALL.into_iter().try_for_each(|law| check(law, factory, script, context))
}

/// Checks one law.
///
/// # Errors
/// Its violation.
///
/// # Panics
/// When the machine does.
pub fn check<M: Machine<Command: Script>>(
    law: Law,
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M::Event>,
) -> Result<(), Violation> {
    match law {
        Law::DrainEnds => a_drain_ends(factory, script, context),
        Law::WaitsLieAhead => waits_lie_ahead(factory, script, context),
        Law::EarlyTimeout => an_early_timeout_changes_nothing(factory, script, context),
        Law::TimeMayMisbehave => {
            time_may_misbehave(factory, script, context);
            Ok(())
        }
        Law::NoInputPanics => {
            no_input_panics(factory, script, context);
            Ok(())
        }
        Law::DrainingIsFree => draining_is_the_owners_choice(factory, script, context),
        Law::PeersAreBounded => peers_are_bounded(factory, script, context),
        Law::OpenedFirst => no_transmit_before_opened(factory, script, context),
        Law::Determinism => determinism(factory, script, context),
        Law::NotMine => not_mine_changes_nothing(factory, script, context),
        Law::EndIsEnd => the_end_is_the_end(factory, script, context),
    }
}
