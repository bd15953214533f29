//! Law 12: `forward` has the effect of `handle`.

use super::script::{Action, OwnedDatagram, OwnedInput, Step};
use super::stage::{DrainEnd, Place, Snapshot, Stage, StepResult, unlike};
use super::{Context, Law, Violation};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use portolan_machine::{Machine, Output, Script, Verdict};

/// Law 12: [`Machine::forward`] returns `Some` only where [`Machine::handle`] would queue this one transmit and nothing
/// else, and with the same effects.
///
/// The script is played twice with a drain after every step. One run hands each datagram to `handle`. The other run
/// calls `forward` on the drained machine first, and `handle` only after a `None`. After each step the runs must agree
/// in outputs, wait, random bytes and socket ids, and in [`Context::state`] if the context has it.
///
/// # Errors
/// A [`Violation`]: the first datagram for which `forward` differs from `handle`, or the first step that it changed.
pub fn forward_is_only_a_short_way<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    let script: Vec<Step> = script.iter().map(|step| Step { drain: true, ..step.clone() }).collect();
    let short = forwarded(factory, script.iter(), context);
    if !short.contains(&true) {
        return Ok(());
    }
    let (mut plain, mut quick) = (Stage::new(factory(), context), Stage::new(factory(), context));
    let (mut last, _) = (plain.drain().rest, quick.drain());
    for (index, (step, short)) in script.iter().zip(&short).enumerate() {
        let datagram = datagram(step).filter(|_| *short && last != DrainEnd::Endless);
        let by_queue = plain.play(step);
        let transmit = datagram
            .and_then(|datagram| quick.forward(step.at, datagram.as_datagram()).map(|forward| forward.to_transmit()));
        let difference = match transmit {
            None => compare(&by_queue, &quick.play(step), (&plain, &quick), context)
                .map(|unlike| format!("gave another result after a forwarded datagram: {unlike}")),
            Some(transmit) => {
                let mut after = quick.drain();
                after.outputs.insert(0, Output::Transmit(transmit));
                let by_forward = StepResult { verdict: Some(Verdict::Mine), ..after };
                compare(&by_queue, &by_forward, (&plain, &quick), context)
                    .map(|unlike| format!("`handle` and `forward` differ: {unlike}"))
            }
        };
        if let Some(what) = difference {
            return Err(Place::Step(index, step).violation(Law::ShortWay, what));
        }
        last = by_queue.rest;
    }
    Ok(())
}

/// The part of law 10 that is about `forward`: a `None` changes nothing.
///
/// The drained steps are played twice. One run calls `forward` before each datagram for which the machine returns
/// `None`. The outputs, waits, random bytes, socket ids and states of both runs must be equal.
pub(super) fn none_of_forward_changes_nothing<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[(usize, Step)],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    let short = forwarded(factory, script.iter().map(|(_, step)| step), context);
    let (mut plain, mut asked) = (Stage::new(factory(), context), Stage::new(factory(), context));
    let (mut last, _) = (plain.drain().rest, asked.drain());
    for ((index, step), short) in script.iter().zip(&short) {
        if let Some(datagram) = datagram(step).filter(|_| !short && last != DrainEnd::Endless) {
            if asked.forward(step.at, datagram.as_datagram()).is_some() {
                // The machine decides differently than before: law 12 reports this.
                return Ok(());
            }
            let (before, after) = (StepResult { rest: last, ..StepResult::nothing() }, asked.drain());
            if let Some(unlike) = compare(&before, &after, (&plain, &asked), context) {
                let what = format!("`forward` returned None, but something changed: {unlike}");
                return Err(Place::Step(*index, step).violation(Law::NotMine, what));
            }
        }
        let (expected, played) = (plain.play(step), asked.play(step));
        if let Some(unlike) = compare(&expected, &played, (&plain, &asked), context) {
            let what = format!("gave another result after a `None` of `forward`: {unlike}");
            return Err(Place::Step(*index, step).violation(Law::NotMine, what));
        }
        last = expected.rest;
    }
    Ok(())
}

/// The steps with datagrams that the machine forwards, in a run that calls `forward` for each.
fn forwarded<'s, M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: impl Iterator<Item = &'s Step>,
    context: &Context<'_, M>,
) -> Vec<bool> {
    let mut stage = Stage::new(factory(), context);
    let mut last = stage.drain().rest;
    let forwarded = script.map(|step| {
        let datagram = datagram(step).filter(|_| last != DrainEnd::Endless);
        let short = datagram.is_some_and(|datagram| stage.forward(step.at, datagram.as_datagram()).is_some());
        last = if short { stage.drain().rest } else { stage.play(step).rest };
        short
    });
    forwarded.collect()
}

const fn datagram(step: &Step) -> Option<&OwnedDatagram> {
    match &step.action {
        Action::Input(OwnedInput::Datagram(datagram)) => Some(datagram),
        Action::Input(OwnedInput::Socket(..) | OwnedInput::Timeout) | Action::Stream(_) | Action::Command(_) => None,
    }
}

/// The first difference between two runs after the same step.
fn compare<M: Machine<Command: Script>>(
    one: &StepResult<M::Event>,
    other: &StepResult<M::Event>,
    (first, second): (&Stage<M>, &Stage<M>),
    context: &Context<'_, M>,
) -> Option<String> {
    if one != other {
        return Some(unlike(Some(one), Some(other)));
    }
    Snapshot::new(first, context).difference(&Snapshot::new(second, context))
}
