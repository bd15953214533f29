//! Law 9: the same run gives the same outputs.

use super::recording::{record, replay};
use super::script::{Action, Step};
use super::stage::{Stage, StepResult, difference, play, shorten};
use super::{Context, Law, Recording, Violation};
use alloc::format;
use alloc::string::{String, ToString};
use portolan_machine::{Machine, Script};

/// Law 9: the same inputs and commands at the same times, with the same entropy and socket numbers, give the same
/// outputs, with or without a trace.
///
/// The script is played twice, a third time with a listener that writes every note out, and a fourth time from its own
/// recording after that went through its text. Each command must survive its text, since a recording holds nothing
/// else of it.
///
/// # Errors
/// The first step that came out in two ways, or the first command that its text does not hold.
pub fn determinism<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M::Event>,
) -> Result<(), Violation> {
    commands_are_text::<M>(script)?;
    let first = play(Stage::new(factory(), context), script);
    let second = play(Stage::new(factory(), context), script);
    same(script, &first, &second, "twice the same run")?;
    let traced = play(Stage::new(factory(), context).traced(), script);
    same(script, &first, &traced, "without a trace and with one")?;

    let broken = |why: String| Violation { law: Law::Determinism, step: None, what: why };
    let (recording, recorded) = record(factory(), script, context);
    same(script, &first, &recorded, "played and recorded")?;
    let text = recording.to_string();
    let read: Recording = text.parse().map_err(|why| broken(format!("its recording cannot be read: {why}")))?;
    let replayed =
        replay(factory(), &read, context).map_err(|why| broken(format!("its recording cannot be replayed: {why}")))?;
    same(script, &first, &replayed, "played and replayed from text")
}

fn commands_are_text<M: Machine<Command: Script>>(script: &[Step]) -> Result<(), Violation> {
    for (index, step) in script.iter().enumerate() {
        let Action::Command(text) = &step.action else { continue };
        let broken = |what| Err(Violation { law: Law::Determinism, step: Some(index), what });
        let Ok(command) = M::Command::read(text) else {
            return broken(format!("the command `{}` cannot be read from its text", shorten(text)));
        };
        let written = command.to_text();
        match M::Command::read(&written).map(|command| command.to_text()) {
            Ok(again) if again == written => {}
            Ok(again) => {
                return broken(format!("a command is `{}`, read back it is `{}`", shorten(&written), shorten(&again)));
            }
            Err(_) => return broken(format!("the command `{}` cannot be read back", shorten(&written))),
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
    Err(Violation { law: Law::Determinism, step, what: format!("`{text}` came out in two ways ({how}): {unlike}") })
}
