//! Law 9: determinism.

use super::recording::{record_calls, replay};
use super::script::{Action, Step};
use super::stage::{Stage, StepResult, difference, play, shorten, unlike};
use super::{Context, Law, Recording, Violation};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use portolan_machine::{Machine, Script};

/// Law 9: two runs with the same inputs, commands and times, and the same random bytes and socket ids, give the same
/// outputs, with or without a trace.
///
/// The script is played twice, a third time with a trace that formats every note, and a fourth time from its own
/// recording. The recording is written as text and parsed. Each command must survive the conversion to text, because a
/// recording holds nothing else of it. [`a_command_survives_its_text`] also checks that the text holds all of a
/// command.
///
/// # Errors
/// A [`Violation`]: the first step with two different results, or the first command that its text does not hold.
pub fn determinism<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    commands_are_text::<M>(script)?;
    let first = play(Stage::new(factory(), context), script);
    let second = play(Stage::new(factory(), context), script);
    same(script, &first, &second, "twice the same run")?;
    let traced = play(Stage::new(factory(), context).traced(), script);
    same(script, &first, &traced, "without a trace and with one")?;

    let broken = |why: String| Violation::new(Law::Determinism, None, why);
    let (recording, recorded, calls) = record_calls(factory(), script, context);
    same(script, &first, &recorded, "played and recorded")?;
    let text = recording.to_string();
    let read: Recording = text.parse().map_err(|why| broken(format!("its recording cannot be parsed: {why}")))?;
    let replayed =
        replay(factory(), &read, context).map_err(|why| broken(format!("its recording cannot be replayed: {why}")))?;
    let replayed = joined(replayed, &calls);
    let is_whole = calls.iter().all(|calls| *calls > 0);
    if is_whole {
        return same(script, &first, &replayed, "played and replayed from text");
    }
    // A step whose bytes had to wait makes no call. Outputs of an undrained step before it may come in either step.
    let outputs = |played: Vec<StepResult<M::Event>>| StepResult {
        outputs: played.into_iter().flat_map(|played| played.outputs).collect(),
        ..StepResult::nothing()
    };
    let (first, replayed) = (outputs(first), outputs(replayed));
    if first == replayed {
        return Ok(());
    }
    Err(broken(format!("played and replayed from text, {}", unlike(Some(&first), Some(&replayed)))))
}

/// Merges the results of the calls into one result for each step.
fn joined<E>(results: Vec<StepResult<E>>, calls: &[usize]) -> Vec<StepResult<E>> {
    let mut results = results.into_iter();
    let mut all: Vec<StepResult<E>> = results.by_ref().take(1).collect();
    for calls in calls {
        let mut step = StepResult::nothing();
        for (nth, mut call) in results.by_ref().take(*calls).enumerate() {
            if nth == 0 {
                (step.verdict, step.refused) = (call.verdict, call.refused);
            }
            step.outputs.append(&mut call.outputs);
            step.rest = call.rest;
        }
        all.push(step);
    }
    all
}

/// Law 9 for one command: the text holds all of it, secrets included, and the `Debug` text shows no secret.
///
/// ```
/// use core::fmt::{self, Write};
/// use portolan_machine::{Script, ScriptError};
/// use portolan_sim::laws;
///
/// /// Logs in. The password is in the text of a recording, and nowhere else.
/// #[derive(PartialEq)]
/// struct Login { password: String }
///
/// impl fmt::Debug for Login {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str("Login")
///     }
/// }
///
/// impl Script for Login {
///     fn write(&self, out: &mut dyn Write) -> fmt::Result {
///         write!(out, "login {}", self.password)
///     }
///     fn read(text: &str) -> Result<Self, ScriptError> {
///         let password = text.strip_prefix("login ").ok_or(ScriptError::new("`login PASSWORD`"))?;
///         Ok(Self { password: password.into() })
///     }
/// }
///
/// let login = Login { password: "TheMatrIX".into() };
/// assert_eq!(laws::a_command_survives_its_text(&login, &["TheMatrIX"]), Ok(()));
/// ```
///
/// # Errors
/// The part that the text does not hold, or that the `Debug` text shows. The message never holds a secret.
pub fn a_command_survives_its_text<C: Script + PartialEq + fmt::Debug>(
    command: &C,
    secrets: &[&str],
) -> Result<(), Violation> {
    let broken = |what: String| Err(Violation::new(Law::Determinism, None, what));
    let debug = [format!("{command:?}"), format!("{command:#?}")];
    if let Some(nth) = secrets.iter().position(|secret| debug.iter().any(|text| text.contains(secret))) {
        return broken(format!("the Debug text of a command shows its secret number {nth}"));
    }
    let [debug, _] = debug;
    let text = command.to_text();
    if text.contains(['\n', '\r']) {
        return broken(format!("the text of the command {} is more than one line", shorten(&debug)));
    }
    match C::read(&text) {
        Err(why) => broken(format!("the text of the command {} cannot be parsed: {why}", shorten(&debug))),
        Ok(again) if again != *command => {
            broken(format!("the command {} differs after a round trip through text", shorten(&debug)))
        }
        Ok(again) if again.to_text() != text => {
            broken(format!("the command {} has another text after a round trip", shorten(&debug)))
        }
        Ok(_) => Ok(()),
    }
}

fn commands_are_text<M: Machine<Command: Script>>(script: &[Step]) -> Result<(), Violation> {
    for (index, step) in script.iter().enumerate() {
        let Action::Command(text) = &step.action else { continue };
        let broken = |what| Err(Violation::new(Law::Determinism, Some(index), what));
        let Ok(command) = M::Command::read(text) else {
            return broken(format!("the text `{}` cannot be parsed as a command", shorten(text)));
        };
        let written = command.to_text();
        match M::Command::read(&written).map(|command| command.to_text()) {
            Ok(again) if again == written => {}
            Ok(again) => {
                return broken(format!(
                    "the command `{}` becomes `{}` after a round trip through text",
                    shorten(&written),
                    shorten(&again)
                ));
            }
            Err(_) => return broken(format!("the text `{}` cannot be parsed as a command", shorten(&written))),
        }
    }
    Ok(())
}

fn same<E: core::fmt::Debug + PartialEq>(
    script: &[Step],
    one: &[StepResult<E>],
    other: &[StepResult<E>],
    how: &str,
) -> Result<(), Violation> {
    let Some((at, unlike)) = difference(one, other) else { return Ok(()) };
    let step = at.checked_sub(1);
    let text = step.and_then(|step| script.get(step)).map(|step| shorten(&step.to_string()));
    let text = text.unwrap_or_else(|| "the fresh machine".to_string());
    Err(Violation::new(Law::Determinism, step, format!("`{text}` gave different results ({how}): {unlike}")))
}
