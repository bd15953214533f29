//! Checks the laws of every machine over random runs, with shrinking.
//!
//! A test calls [`assert_laws`], or [`find_violation`], which returns the failure. Each random run is checked for each
//! law of [`portolan_sim::laws`]. A panic of the machine also breaks a law. The failure contains the smallest script
//! that breaks a law, up to the broken step, as a value for a regression test.
//!
//! ```
//! use portolan_machine::{Cx, Deadline, Input, Instant, Machine, Never, Output, Verdict};
//! use portolan_sim::laws::Law;
//! use portolan_strategies::{laws, machines::Scripts};
//! use proptest::prelude::*;
//!
//! /// Panics at the third datagram that begins with `!`.
//! #[derive(Default)]
//! struct Frail(u8);
//!
//! impl Machine for Frail {
//!     type Command = Never;
//!     type Error = Never;
//!     type Event = ();
//!     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
//!         match command {}
//!     }
//!     fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
//!         if let Input::Datagram(datagram) = input && datagram.payload.starts_with(b"!") {
//!             self.0 += 1;
//!             assert!(self.0 < 3, "one too many");
//!             return Verdict::Mine;
//!         }
//!         Verdict::NotMine
//!     }
//!     fn poll(&mut self) -> Output<()> {
//!         Output::Wait(None)
//!     }
//! }
//!
//! let scripts = Scripts::new(prop::sample::select(vec![b"!".to_vec(), b"?".to_vec()]));
//! let found = laws::find_violation(&Frail::default, &scripts, &laws::LawsConfig::default()).unwrap();
//! assert_eq!(found.law, Law::NoInputPanics);
//! assert!(found.steps.len() <= 3, "often one step is left, because the check repeats the step");
//! assert!(found.to_string().contains("one too many"));
//! ```

use crate::machines::{Choices, Peer, RandomScript, Scripts, silent_peer};
use core::any::Any;
use core::cell::RefCell;
use core::fmt;
use core::panic::AssertUnwindSafe;
use portolan_machine::{Machine, Script, SocketId};
use portolan_sim::laws::{self, Context, Law, Step, Steps};
use proptest::prelude::ProptestConfig;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use std::panic::catch_unwind;

/// The settings of a check of the laws.
pub struct LawsConfig<M: Machine> {
    /// The facts that the laws must know about the machine.
    pub context: Context<'static, M>,
    /// The number of random runs; the environment variable `PROPTEST_CASES` replaces it.
    pub cases: u32,
    /// The maximum number of steps of a run with a peer.
    pub longest: usize,
    /// The peer that answers the machine's outputs.
    pub peer: Peer<M::Event>,
}

impl<M: Machine<Event: 'static>> Default for LawsConfig<M> {
    /// 128 runs of at most 160 steps, a peer without answers, and the default context.
    fn default() -> Self {
        Self { context: Context::default(), cases: 128, longest: 160, peer: silent_peer() }
    }
}

impl<M: Machine<Event: 'static>> LawsConfig<M> {
    /// The default settings for a machine to which the owner passes these open sockets.
    #[must_use]
    pub fn for_sockets(sockets: &'static [SocketId]) -> Self {
        Self { context: Context { handed_in: sockets, ..Context::default() }, ..Self::default() }
    }
}

impl<M: Machine> Clone for LawsConfig<M> {
    fn clone(&self) -> Self {
        let Self { context, cases, longest, ref peer } = *self;
        Self { context, cases, longest, peer: Peer::clone(peer) }
    }
}

impl<M: Machine> fmt::Debug for LawsConfig<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LawsConfig")
            .field("cases", &self.cases)
            .field("longest", &self.longest)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// A law that a random run broke, after shrinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The law. A panic breaks [`Law::TimeMayMisbehave`] if the check had changed the times, else
    /// [`Law::NoInputPanics`].
    pub law: Law,
    /// A description of the failure.
    pub what: String,
    /// The steps up to the broken step; after a panic all steps of the run. They break the law again when
    /// [`portolan_sim::laws::check`] plays them.
    pub steps: Vec<Step>,
}

impl fmt::Display for Failure {
    /// The description, and the steps as a value for a regression test.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nthe steps, for `laws::check(Law::{:?}, …)` in a regression test:\n", self.what, self.law)?;
        write!(f, "{}", Steps(&self.steps))
    }
}

impl core::error::Error for Failure {}

/// Checks all laws over random runs of new machines.
///
/// # Panics
/// When a run breaks a law. The message contains the smallest such run that was found.
pub fn assert_laws<M: Machine<Command: Script>>(factory: &impl Fn() -> M, scripts: &Scripts, config: &LawsConfig<M>) {
    if let Some(failure) = find_violation(factory, scripts, config) {
        panic!("{failure}");
    }
}

/// Searches for a run that breaks a law, and shrinks the run. Returns `None` if all runs keep all laws.
pub fn find_violation<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    scripts: &Scripts,
    config: &LawsConfig<M>,
) -> Option<Failure> {
    let environment = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { environment.cases } else { config.cases };
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..environment });
    let last = RefCell::new(None);
    let outcome = runner.run(&scripts.strategy(), |script| {
        check_script(factory, &script, config).map_err(|failure| {
            let reason = failure.what.clone();
            *last.borrow_mut() = Some(failure);
            TestCaseError::fail(reason)
        })
    });
    match outcome {
        Ok(()) => None,
        // The smallest script is checked again to get its own failure. If the machine is not deterministic, the check
        // may pass. Then the last failure is returned.
        Err(TestError::Fail(_, smallest)) => check_script(factory, &smallest, config).err().or_else(|| last.take()),
        Err(TestError::Abort(reason)) => {
            panic!("proptest could not generate runs: {reason}")
        }
    }
}

/// Checks all laws over one script, with or without the peer ([`RandomScript::peer`]).
///
/// # Errors
/// [`Failure`] for the first law that the run breaks.
pub fn check_script<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &RandomScript,
    config: &LawsConfig<M>,
) -> Result<(), Failure> {
    let steps = catch_panic(|| conversation(factory, script, config)).map_err(|panic| Failure {
        law: Law::NoInputPanics,
        what: format!("{} broken while the run was generated: {panic}", Law::NoInputPanics),
        steps: script.steps.clone(),
    })?;
    for law in Law::ALL {
        let what = match catch_panic(|| laws::check(law, factory, &steps, &config.context)) {
            Ok(Ok(())) => continue,
            Ok(Err(mut violation)) => {
                let steps = core::mem::take(&mut violation.steps);
                return Err(Failure { law, what: violation.to_string(), steps });
            }
            // A panic breaks one of two laws, not the law that is being checked.
            Err(panic) if law == Law::TimeMayMisbehave => format!("{law} broken: {panic}"),
            Err(panic) => {
                let (broken, what) = (Law::NoInputPanics, format!("{panic}, at the check of {law}"));
                return Err(Failure { law: broken, what: format!("{broken} broken: {what}"), steps });
            }
        };
        return Err(Failure { law, what, steps });
    }
    Ok(())
}

/// Returns all steps of a script's run: the script's own steps without those that no driver would produce, the answers
/// of the peer, and the timeouts.
///
/// With [`portolan_sim::laws::record`] a test can check how far into a protocol the runs get.
pub fn conversation<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &RandomScript,
    config: &LawsConfig<M>,
) -> Vec<Step> {
    let Some(seed) = script.peer else { return laws::driver_legal(factory, &script.steps, &config.context) };
    let mut choices = Choices::new(seed);
    let peer = |now, output: &_| (config.peer)(&mut choices, now, output);
    laws::rehearse(factory, &script.steps, &config.context, config.longest, peer)
}

/// Returns the result of `call`, or the message of its panic.
fn catch_panic<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|payload| format!("the machine panicked: {}", panic_message(&*payload)))
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
