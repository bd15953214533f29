//! The eleven laws of a machine over random runs, with shrinking.
//!
//! [`assert_laws`] is what a test calls; [`find_violation`] returns what it found. Each random run is checked for each
//! law of [`portolan_sim::laws`], panics included; the smallest script that breaks a law is told with the law's words.
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
use portolan_sim::laws::{self, Context, Law, Step};
use proptest::prelude::ProptestConfig;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use std::panic::catch_unwind;

/// How the laws are checked.
pub struct LawsConfig<E: 'static> {
    /// What the laws must know of the machine.
    pub context: Context<'static, E>,
    /// How many random runs; `PROPTEST_CASES` replaces it.
    pub cases: u32,
    /// At how many steps a rehearsed run ends.
    pub longest: usize,
    /// Who answers what the machine sends.
    pub peer: Peer<E>,
}

impl<E: 'static> Default for LawsConfig<E> {
    /// 128 runs of at most 160 steps, nobody who answers, and the default context.
    fn default() -> Self {
        Self { context: Context::default(), cases: 128, longest: 160, peer: nobody() }
    }
}

impl<E: 'static> LawsConfig<E> {
    /// The default, with these sockets handed in.
    #[must_use]
    pub fn handed(sockets: &'static [SocketId]) -> Self {
        Self { context: Context { handed_in: sockets, ..Context::default() }, ..Self::default() }
    }
}

impl<E> Clone for LawsConfig<E> {
    fn clone(&self) -> Self {
        let Context { terminal, handed_in, seed, queue_limit, drain_limit } = self.context;
        let context = Context { terminal, handed_in, seed, queue_limit, drain_limit };
        Self { context, cases: self.cases, longest: self.longest, peer: Peer::clone(&self.peer) }
    }
}

impl<E> fmt::Debug for LawsConfig<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LawsConfig")
            .field("cases", &self.cases)
            .field("longest", &self.longest)
            .field("handed_in", &self.context.handed_in)
            .finish_non_exhaustive()
    }
}

/// A law that a random run broke, after shrinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which law; a panic breaks law 4 where time was tampered with, else law 5.
    pub law: Law,
    /// What happened, in plain words.
    pub what: String,
    /// The whole run, to be played again by [`portolan_sim::laws::check`].
    pub steps: Vec<Step>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nthe whole run:", self.what)?;
        self.steps.iter().try_for_each(|step| write!(f, "\n{step}"))
    }
}

impl core::error::Error for Failure {}

/// Checks all laws over random runs of fresh machines.
///
/// # Panics
/// With the smallest run found that breaks a law.
pub fn assert_laws<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    scripts: &Scripts,
    config: &LawsConfig<M::Event>,
) {
    if let Some(failure) = find_violation(factory, scripts, config) {
        panic!("{failure}");
    }
}

/// Looks for a run that breaks a law, and shrinks it.
pub fn find_violation<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    scripts: &Scripts,
    config: &LawsConfig<M::Event>,
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

/// Checks all laws over one script: as it stands, or as a conversation with the peer.
///
/// # Errors
/// The first law broken.
pub fn check_script<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &RandomScript,
    config: &LawsConfig<M::Event>,
) -> Result<(), Failure> {
    let steps = caught(|| conversation(factory, script, config)).map_err(|panic| Failure {
        law: Law::NoInputPanics,
        what: format!("{} broken while the run was rehearsed: {panic}", Law::NoInputPanics),
        steps: script.steps.clone(),
    })?;
    for law in Law::ALL {
        let what = match caught(|| laws::check(law, factory, &steps, &config.context)) {
            Ok(Ok(())) => continue,
            Ok(Err(violation)) => violation.to_string(),
            // Whichever law was under check, a panic breaks one of two.
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
    config: &LawsConfig<M::Event>,
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
