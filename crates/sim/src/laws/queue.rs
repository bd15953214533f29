//! Laws 1, 6 and 7: what waits to be drained.

use super::script::{Action, OwnedInput, Step};
use super::stage::{DrainEnd, Place, Stage, StepResult, live, play, shorten};
use super::{Context, Law, Violation};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use portolan_machine::{Instant, Machine, Outbox, Output, Script, SocketNews};

/// Law 1: `poll` reaches a wait after finitely many outputs, at most [`Context::drain_limit`].
///
/// # Errors
/// The first drain without end.
pub fn a_drain_ends<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M::Event>,
) -> Result<(), Violation> {
    live(&mut Stage::new(factory(), context), script, |place, played| {
        if played.rest != DrainEnd::Endless {
            return Ok(());
        }
        let last = shorten(&format!("{:?}", played.outputs.last()));
        let what = format!("{} outputs and still no wait; the last was {last}", played.outputs.len());
        Err(place.violation(Law::DrainEnds, what))
    })
}

/// Law 6: two inputs without a drain between them are legal.
///
/// The script is played with a drain after every step, and twice with a drain after every second one. Each drain of two
/// steps must give what the two drains gave, in whatever order, and end in the same wait. Past
/// [`Outbox::LIMIT`] waiting outputs, and from the step of the terminal event on, outputs may rightly be lost, and
/// nothing is compared.
///
/// # Errors
/// The first two steps whose outputs depend on a drain between them.
pub fn draining_is_the_owners_choice<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M::Event>,
) -> Result<(), Violation> {
    let drained: Vec<Step> = script.iter().map(|step| Step { drain: true, ..step.clone() }).collect();
    let plain = play(Stage::new(factory(), context), &drained);
    let is_last = |output: &Output<M::Event>| matches!(output, Output::Event(event) if (context.terminal)(event));
    let end = plain.iter().position(|played| played.outputs.iter().any(is_last)).unwrap_or(plain.len());
    let comparable = drained.get(..end.saturating_sub(1)).unwrap_or_default();
    for parity in [0, 1] {
        let mut stage = Stage::new(factory(), context);
        stage.drain();
        let mut waiting: Vec<&Output<M::Event>> = Vec::new();
        for (index, (step, alone)) in comparable.iter().zip(plain.iter().skip(1)).enumerate() {
            waiting.extend(&alone.outputs);
            let drain = index % 2 == parity || index + 1 == comparable.len();
            let together = stage.play_at(step.at, drain, &step.action);
            if waiting.len() >= Outbox::<M::Event>::LIMIT {
                break;
            }
            if !drain {
                continue;
            }
            if let Some(what) = lost_or_gained(&waiting, &together, alone) {
                return Err(Place::Step(index, step).violation(Law::DrainingIsFree, what));
            }
            waiting.clear();
        }
    }
    Ok(())
}

/// What an undrained pair of steps did differently from the two drained ones.
fn lost_or_gained<E: PartialEq + fmt::Debug>(
    expected: &[&Output<E>],
    together: &StepResult<E>,
    alone: &StepResult<E>,
) -> Option<String> {
    let mut expected: Vec<&Output<E>> = expected.to_vec();
    for output in &together.outputs {
        match expected.iter().position(|one| *one == output) {
            Some(at) => drop(expected.swap_remove(at)),
            None => {
                return Some(format!(
                    "without a drain before it, this came out in addition: {}",
                    shorten(&format!("{output:?}"))
                ));
            }
        }
    }
    if let Some(lost) = expected.first() {
        return Some(format!("without a drain before it, this was lost: {}", shorten(&format!("{lost:?}"))));
    }
    (together.rest != alone.rest)
        .then(|| format!("without a drain before it there was {}, with one {}", together.rest, alone.rest))
}

/// Law 7: what peers cause to be queued is bounded by [`Context::queue_limit`].
///
/// The script is played with a drain after every step. After each run of steps that peers can cause (datagrams, stream
/// chunks, accepted streams, unreachable news), and once more after the last step, those steps are repeated without a
/// drain until they are more than twice the limit; then everything that waits is counted.
///
/// # Errors
/// The first flood that left more behind than the limit.
pub fn peers_are_bounded<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M::Event>,
) -> Result<(), Violation> {
    let mut stage = Stage::new(factory(), context);
    stage.drain();
    let mut run: Vec<&Step> = Vec::new();
    for (index, step) in script.iter().enumerate() {
        stage.play_at(step.at, true, &step.action);
        if by_peer(step) {
            run.push(step);
        }
        if !script.get(index + 1).is_some_and(by_peer) {
            flood(&mut stage, &run, (index, step.at), context.queue_limit)?;
            run.clear();
        }
    }
    let all: Vec<&Step> = script.iter().filter(|step| by_peer(step)).collect();
    let Some(last) = script.last() else { return Ok(()) };
    flood(&mut stage, &all, (script.len() - 1, last.at), context.queue_limit)
}

const fn by_peer(step: &Step) -> bool {
    match &step.action {
        Action::Input(OwnedInput::Datagram(_)) | Action::Stream(_) => true,
        Action::Input(OwnedInput::Socket(_, news)) => {
            matches!(news, SocketNews::Accepted { .. } | SocketNews::Unreachable { .. })
        }
        Action::Input(OwnedInput::Timeout) | Action::Command(_) => false,
    }
}

/// Repeats the steps at one time, that of the step before.
fn flood<M: Machine<Command: Script>>(
    stage: &mut Stage<M>,
    run: &[&Step],
    (index, at): (usize, Instant),
    limit: usize,
) -> Result<(), Violation> {
    let rounds = if run.is_empty() { 0 } else { (2 * limit + 2).div_ceil(run.len()) };
    for step in (0..rounds).flat_map(|_| run) {
        if let Action::Stream(chunk) = &step.action {
            let _taken = stage.chunk(at, chunk.as_datagram());
            continue;
        }
        let Action::Input(input) = &step.action else { continue };
        // An accepted stream has a fresh name each time.
        let input = match input {
            OwnedInput::Socket(listener, SocketNews::Accepted { local, remote, .. }) => {
                let news = SocketNews::Accepted { socket: stage.ids.next_socket(), local: *local, remote: *remote };
                &OwnedInput::Socket(*listener, news)
            }
            OwnedInput::Datagram(_) | OwnedInput::Socket(..) | OwnedInput::Timeout => input,
        };
        let _verdict = stage.handle(at, input.as_input());
    }
    let left = stage.drain();
    if left.rest == DrainEnd::Endless || left.outputs.len() <= limit {
        return Ok(());
    }
    Err(Violation {
        law: Law::PeersAreBounded,
        step: Some(index),
        what: format!(
            "{} inputs from peers without a drain left {} outputs waiting, {limit} are allowed",
            rounds * run.len(),
            left.outputs.len()
        ),
    })
}
