//! The laws of every machine over random runs, with shrinking.
//!
//! A test calls [`assert_laws`]; [`find_violation`] returns the failure instead. Each random run is checked for each law of
//! [`portolan_sim::laws`], panics included. The smallest script that breaks a law is reported up to its broken step, as a
//! value for a regression test.
//!
//! ```
//! use portolan_machine::{Cx, Deadline, Input, Instant, Machine, Never, Output, Verdict};
//! use portolan_sim::laws::Law;
//! use portolan_strategies::{laws, machines::Scripts};
//! use proptest::prelude::*;
//!
//! /// Falls over the third datagram that begins with `!`.
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
//! assert!(found.steps.len() <= 3, "no step too many; often one is left, which the check repeats");
//! assert!(found.to_string().contains("one too many"));
//! ```

use crate::machines::{Choices, Peer, RandomScript, Scripts, nobody};
use core::any::Any;
use core::cell::RefCell;
use core::fmt;
use core::panic::AssertUnwindSafe;
use portolan_machine::{Machine, Script, SocketId};
use portolan_sim::laws::{self, Context, Law, Step, Steps};
use proptest::prelude::ProptestConfig;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use std::panic::catch_unwind;

/// How the laws are checked.
pub struct LawsConfig<M: Machine> {
    /// What the laws must know about the machine.
    pub context: Context<'static, M>,
    /// The number of random runs; the environment variable `PROPTEST_CASES` replaces it.
    pub cases: u32,
    /// The number of steps at which a rehearsed run ends.
    pub longest: usize,
    /// The peer that answers what the machine sends.
    pub peer: Peer<M::Event>,
}

impl<M: Machine<Event: 'static>> Default for LawsConfig<M> {
    /// 128 runs of at most 160 steps, no peer that answers, and the default context.
    fn default() -> Self {
        Self { context: Context::default(), cases: 128, longest: 160, peer: nobody() }
    }
}

impl<M: Machine<Event: 'static>> LawsConfig<M> {
    /// The default, with these sockets handed in.
    #[must_use]
    pub fn handed(sockets: &'static [SocketId]) -> Self {
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
    /// The law; a panic breaks law 4 where the times were changed, and law 5 elsewhere.
    pub law: Law,
    /// What happened, in plain English.
    pub what: String,
    /// The steps up to the broken one. They break the law when [`portolan_sim::laws::check`] plays them. After a panic:
    /// all steps of the run.
    pub steps: Vec<Step>,
}

impl fmt::Display for Failure {
    /// The sentence, and the steps as a value for a regression test.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nthe steps, for `laws::check(Law::{:?}, …)` in a regression test:\n", self.what, self.law)?;
        write!(f, "{}", Steps(&self.steps))
    }
}

impl core::error::Error for Failure {}

/// Checks all laws over random runs of fresh machines.
///
/// # Panics
/// With the smallest run found that breaks a law.
pub fn assert_laws<M: Machine<Command: Script>>(factory: &impl Fn() -> M, scripts: &Scripts, config: &LawsConfig<M>) {
    if let Some(failure) = find_violation(factory, scripts, config) {
        panic!("{failure}");
    }
}

/// Looks for a run that breaks a law, and shrinks it.
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
        // Played once more, the smallest script tells its own failure; a machine that is not the same each time may
        // not, and then the last one seen has to do.
        Err(TestError::Fail(_, smallest)) => check_script(factory, &smallest, config).err().or_else(|| last.take()),
        Err(TestError::Abort(reason)) => {
            panic!("no runs could be made: {reason}")
        }
    }
}

/// Checks all laws over one script: as it is, or as a conversation with the peer.
///
/// # Errors
/// The first law broken.
pub fn check_script<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &RandomScript,
    config: &LawsConfig<M>,
) -> Result<(), Failure> {
    let steps = caught(|| conversation(factory, script, config)).map_err(|panic| Failure {
        law: Law::NoInputPanics,
        what: format!("{} broken while the run was rehearsed: {panic}", Law::NoInputPanics),
        steps: script.steps.clone(),
    })?;
    for law in Law::ALL {
        let what = match caught(|| laws::check(law, factory, &steps, &config.context)) {
            Ok(Ok(())) => continue,
            Ok(Err(mut violation)) => {
                let steps = core::mem::take(&mut violation.steps);
                return Err(Failure { law, what: violation.to_string(), steps });
            }
            // A panic breaks one of two laws, and not the law under check.
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

/// Everything that happens in a script's run: its own steps, without what no driver would tell, and what the peer and the
/// deadlines add to them.
///
/// With [`portolan_sim::laws::record`] it tells how far into a protocol the runs get.
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

/// The result, or the words of the panic.
fn caught<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| format!("the machine panicked: {}", words(&*payload)))
}

fn words(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}
