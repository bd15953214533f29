//! Laws 1, 6 and 7: the output queue.

use super::script::{Action, OwnedDatagram, OwnedInput, Step};
use super::stage::{DrainEnd, Place, Stage, live, play, shorten};
use super::{Context, Law, Violation};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use portolan_machine::{Datagram, Input, Instant, Machine, Outbox, Output, Script, SocketEvent, SocketId};

/// Law 1: `poll` returns a wait after a finite number of outputs, at most [`Context::drain_limit`].
///
/// # Errors
/// A [`Violation`]: the first drain without end.
pub fn a_drain_ends<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
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
/// The script is played with a drain after every step, and twice with a drain after every second step. Each drain of
/// two steps must give the outputs of the two separate drains, in any order, and end in the same wait. Nothing is
/// compared above [`Outbox::LIMIT`] waiting outputs and from the step of the terminal event on, because outputs may be
/// lost there.
///
/// # Errors
/// A [`Violation`]: the first two steps whose outputs depend on the drain between them.
pub fn draining_is_the_owners_choice<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    let drained: Vec<Step> = script.iter().map(|step| Step { drain: true, ..step.clone() }).collect();
    let plain = play(Stage::new(factory(), context), &drained);
    let is_last = |output: &Output<M::Event>| matches!(output, Output::Event(event) if (context.terminal)(event));
    let end = plain.iter().position(|played| played.outputs.iter().any(is_last)).unwrap_or(plain.len());
    let comparable = drained.get(..end.saturating_sub(1)).unwrap_or_default();
    for parity in [0, 1] {
        let mut stage = Stage::new(factory(), context);
        stage.drain();
        let (mut waiting, mut given) = (Vec::<&Output<M::Event>>::new(), Vec::new());
        for (index, (step, alone)) in comparable.iter().zip(plain.iter().skip(1)).enumerate() {
            waiting.extend(&alone.outputs);
            let drain = index % 2 == parity || index + 1 == comparable.len();
            let together = stage.play_at(step.at, drain, &step.action);
            // Bytes of a stream that need several calls are drained between the calls.
            given.extend(together.outputs);
            if waiting.len() >= Outbox::<M::Event>::LIMIT {
                break;
            }
            if !drain {
                continue;
            }
            if let Some(what) = lost_or_gained(&waiting, &given, (together.rest, alone.rest)) {
                return Err(Place::Step(index, step).violation(Law::DrainingIsFree, what));
            }
            waiting.clear();
            given.clear();
        }
    }
    Ok(())
}

/// The difference between an undrained pair of steps and the two drained ones.
fn lost_or_gained<E: PartialEq + fmt::Debug>(
    expected: &[&Output<E>],
    given: &[Output<E>],
    (together, alone): (DrainEnd, DrainEnd),
) -> Option<String> {
    let mut expected: Vec<&Output<E>> = expected.to_vec();
    for output in given {
        match expected.iter().position(|one| *one == output) {
            Some(at) => drop(expected.swap_remove(at)),
            None => {
                return Some(format!(
                    "without a drain before the step, there was an additional output: {}",
                    shorten(&format!("{output:?}"))
                ));
            }
        }
    }
    if let Some(lost) = expected.first() {
        return Some(format!("without a drain before the step, an output was lost: {}", shorten(&format!("{lost:?}"))));
    }
    (together != alone).then(|| format!("without a drain before the step there was {together}, with a drain {alone}"))
}

/// Law 7: the number of outputs that peers can queue is bounded by [`Context::queue_limit`].
///
/// The script is played with a drain after every step. Peers can cause datagrams, bytes of streams, accepted streams
/// and `Unreachable` events. After each run of such steps, and after the last step, these steps are repeated without a
/// drain until they are more than twice the limit. Then the waiting outputs are counted. This also floods a parent
/// machine whose queue holds the outputs of its children.
///
/// The flood keeps the driving contract: if a machine took less than the whole chunk, the stream hands in nothing more
/// before the next drain. Bytes of a stream that is accepted in the flood arrive on the new stream.
///
/// # Errors
/// A [`Violation`]: the first flood that queued more outputs than the limit.
pub fn peers_are_bounded<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
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

/// Whether a peer can cause the step.
pub(super) const fn by_peer(step: &Step) -> bool {
    match &step.action {
        Action::Input(OwnedInput::Datagram(_)) | Action::Stream(_) => true,
        Action::Input(OwnedInput::Socket(_, event)) => {
            matches!(event, SocketEvent::Accepted { .. } | SocketEvent::Unreachable { .. })
        }
        Action::Input(OwnedInput::Timeout) | Action::Command(_) => false,
    }
}

/// Repeats the steps, all at the time of the step before.
fn flood<M: Machine<Command: Script>>(
    stage: &mut Stage<M>,
    run: &[&Step],
    (index, at): (usize, Instant),
    limit: usize,
) -> Result<(), Violation> {
    let rounds = if run.is_empty() { 0 } else { (2 * limit + 2).div_ceil(run.len()) };
    let mut streams = FloodStreams::default();
    for step in (0..rounds).flat_map(|_| run) {
        match &step.action {
            Action::Stream(chunk) => streams.hand_in(stage, at, chunk),
            Action::Input(OwnedInput::Socket(listener, SocketEvent::Accepted { socket, local, remote })) => {
                let event =
                    SocketEvent::Accepted { socket: streams.renamed(stage, *socket), local: *local, remote: *remote };
                let _verdict = stage.handle(at, Input::Socket(*listener, event));
            }
            Action::Input(input) => {
                let _verdict = stage.handle(at, input.as_input());
            }
            Action::Command(_) => {}
        }
    }
    let left = stage.drain();
    for rest in streams.rests.into_values() {
        stage.play_at(at, true, &Action::Stream(rest));
    }
    if left.rest == DrainEnd::Endless || left.outputs.len() <= limit {
        return Ok(());
    }
    let what = format!(
        "{} inputs from peers without a drain left {} outputs waiting, {limit} are allowed",
        rounds * run.len(),
        left.outputs.len()
    );
    Err(Violation::new(Law::PeersAreBounded, Some(index), what))
}

/// The streams of one flood.
#[derive(Default)]
struct FloodStreams {
    /// Maps an accepted stream of the script to the last stream that was accepted in its place.
    names: BTreeMap<SocketId, SocketId>,
    /// Bytes that the machine did not take. The stream hands in no more before the next drain.
    rests: BTreeMap<SocketId, OwnedDatagram>,
}

impl FloodStreams {
    /// A new id for an accepted stream; no id is used twice.
    fn renamed<M: Machine<Command: Script>>(&mut self, stage: &mut Stage<M>, socket: SocketId) -> SocketId {
        let new = stage.ids.next_socket();
        self.names.insert(socket, new);
        new
    }

    fn hand_in<M: Machine<Command: Script>>(&mut self, stage: &mut Stage<M>, at: Instant, chunk: &OwnedDatagram) {
        let socket = self.names.get(&chunk.socket).copied().unwrap_or(chunk.socket);
        if self.rests.contains_key(&socket) || stage.is_blocked(socket) {
            return;
        }
        let datagram = Datagram::new(socket, chunk.local, chunk.remote, &chunk.payload);
        let rest = stage.chunk(at, datagram).and_then(|taken| chunk.payload.get(taken..));
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            self.rests.insert(socket, datagram.with_payload(rest).into());
        }
    }
}
