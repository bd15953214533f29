//! The laws of every machine, as functions.
//!
//! The driving contract has [fourteen laws](portolan_machine); each is a function here. A law takes a factory of new
//! machines, a script of [`Step`]s and a [`Context`]. It plays the script in as many runs as it needs, and returns a
//! [`Violation`]: the law, the step and the reason. The functions need no test framework, so they serve unit tests,
//! property tests (`portolan-strategies` adds shrinking) and fuzz targets.
//!
//! * [`check_all`] checks all laws, [`check`] one, [`Law::ALL`] lists them.
//! * A panic is not caught here, because there is no unwinding without the standard library. The panic reaches the
//!   test, so the laws about panics are checked first.
//! * Two laws can inspect a machine, if the context provides the function: [`Context::state`] for the laws 10 and 12,
//!   [`Context::footprint`] for law 14.
//! * [`rehearse`] turns a script into a conversation: a peer answers the machine, so that random steps reach later
//!   states of a protocol.
//! * Machines trust their driver. A random script may hold socket events that no driver reports; after that, a correct
//!   machine may break law 8. [`driver_legal`] removes such events, and so does [`rehearse`].
//! * A [`Recording`] is a run as text that can be replayed byte for byte.
//!
//! ```
//! use portolan_machine::{Cx, Input, Instant, Machine, Never, Output, SocketId, Verdict};
//! use portolan_sim::laws::{self, Context, Law, Step};
//!
//! /// Reports "boo" at every timeout, even an early one.
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

mod context;
mod driver;
mod footprint;
mod foreign;
mod inbound;
mod inputs;
mod law;
mod queue;
mod recording;
mod rehearsal;
mod sameness;
mod script;
mod short_way;
mod sockets;
mod stage;
mod streams;
mod time;
mod violation;

pub use context::{Context, Footprint, StateLimit, debug_length};
pub use driver::driver_legal;
pub use footprint::state_is_bounded;
pub use foreign::not_mine_changes_nothing;
pub use inputs::no_input_panics;
pub use law::Law;
pub use queue::{a_drain_ends, draining_is_the_owners_choice, peers_are_bounded};
pub use recording::{CallContext, Recorded, Recorder, Recording, ReplayError, ReplayErrorKind, record, replay};
pub use rehearsal::rehearse;
pub use sameness::{a_command_survives_its_text, determinism};
pub use script::{Action, OwnedDatagram, OwnedInput, ReadError, Step};
pub use short_way::forward_is_only_a_short_way;
pub use sockets::{no_transmit_before_opened, the_end_is_the_end};
pub use stage::{DrainEnd, StepResult};
pub use streams::no_byte_of_a_stream_is_dropped;
pub use time::{an_early_timeout_changes_nothing, time_may_misbehave, waits_lie_ahead};
pub use violation::{Steps, Violation, read_steps};

use portolan_machine::{Machine, Script};

/// Checks all laws, in the order of [`Law::ALL`].
///
/// Law 14 is checked only if the context has a [footprint](Context::footprint).
///
/// # Errors
/// The first [`Violation`], with the steps that show it.
///
/// # Panics
/// If the machine panics: this breaks law 4 or 5, and the panic reaches the test.
pub fn check_all<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    Law::ALL.into_iter().try_for_each(|law| check(law, factory, script, context))
}

/// Checks one law. Law 14 is checked only if the context has a [footprint](Context::footprint).
///
/// # Errors
/// The [`Violation`], with the steps that show it.
///
/// # Panics
/// If the machine panics.
pub fn check<M: Machine<Command: Script>>(
    law: Law,
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    check_whole(law, factory, script, context).map_err(|violation| shortened(violation, factory, script, context))
}

/// Returns the same violation with the steps up to the broken one.
///
/// Some laws need a later step to show the damage. So the start of the script is checked again, with more and more
/// steps, until it breaks the law by itself.
fn shortened<M: Machine<Command: Script>>(
    mut violation: Violation,
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Violation {
    let broken = violation.step.map_or(0, |step| step + 1);
    for end in broken..(broken + 2).min(script.len()) {
        let Some(steps) = script.get(..end) else { break };
        if check_whole(violation.law, factory, steps, context).is_err() {
            violation.steps = steps.to_vec();
            return violation;
        }
    }
    violation.steps = script.to_vec();
    violation
}

/// Checks one law, and leaves the steps of a violation empty.
fn check_whole<M: Machine<Command: Script>>(
    law: Law,
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
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
        Law::ShortWay => forward_is_only_a_short_way(factory, script, context),
        Law::StreamBytes => no_byte_of_a_stream_is_dropped(factory, script, context),
        Law::StateBounded => match context.footprint {
            Some(footprint) => state_is_bounded(factory, script, context, footprint.measure, footprint.limit),
            None => Ok(()),
        },
    }
}
