//! Law 10: input for another machine has no effect on this one.

use super::inputs::UNKNOWN;
use super::script::{Action, OwnedInput, Step};
use super::short_way::none_of_forward_changes_nothing;
use super::stage::{DrainEnd, Place, Snapshot, Stage, play, shorten, unlike};
use super::{Context, Law, Violation};
use alloc::format;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use portolan_machine::{Machine, Script, SocketEvent, SocketId, Verdict};

/// Law 10: an input that the machine calls [`Verdict::NotMine`] changes nothing, and neither does a `None` of
/// [`Machine::stream`] or [`Machine::forward`].
///
/// Foreign datagrams are added after every step, on handed-in sockets and on an unknown one. Foreign bytes of a stream
/// are added on the unknown socket. An input with the verdict `NotMine` must give no output and leave the wait
/// unchanged. Then the run is repeated without those inputs, and all other steps must have the same outputs.
///
/// Timeouts and the socket events that [`Pair`](portolan_machine::Pair) shares are excepted: their verdict has no meaning. At
/// last the run is repeated with a call of `forward` before each datagram that the machine does not forward.
///
/// # Errors
/// A [`Violation`]: the first foreign input or `None` that had an effect, or the first step that they changed.
pub fn not_mine_changes_nothing<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    let salted = salt(script, context.handed_in);
    let mut stage = Stage::new(factory(), context);
    let fresh = stage.drain();
    let mut rest = fresh.rest;
    let mut own = Vec::new();
    let mut outcome = Vec::from([fresh]);
    for (index, step) in &salted {
        let before = Snapshot::new(&stage, context);
        let played = stage.play(step);
        if played.verdict == Some(Verdict::NotMine) && has_one_owner(step) {
            // A drain without end is reported by law 1; more of it proves nothing here.
            if let Some(output) = played.outputs.first().filter(|_| rest != DrainEnd::Endless) {
                let what =
                    format!("the verdict is NotMine, but there is an output: {}", shorten(&format!("{output:?}")));
                return Err(Place::Step(*index, step).violation(Law::NotMine, what));
            }
            if played.rest != rest {
                let what = format!("the verdict is NotMine, but the wait changed from {rest} to {}", played.rest);
                return Err(Place::Step(*index, step).violation(Law::NotMine, what));
            }
            if let Some(unlike) = before.difference(&Snapshot::new(&stage, context)) {
                return Err(
                    Place::Step(*index, step).violation(Law::NotMine, format!("the verdict is NotMine, but {unlike}"))
                );
            }
        } else {
            rest = played.rest;
            own.push((*index, step.clone()));
            outcome.push(played);
        }
    }
    let steps: Vec<Step> = own.iter().map(|(_, step)| step.clone()).collect();
    let alone = play(Stage::new(factory(), context), &steps);
    let changed = outcome.iter().zip(&alone).skip(1).zip(&own).find(|((one, other), _)| one != other);
    match changed {
        None => none_of_forward_changes_nothing(factory, &salted, context),
        Some(((one, other), (index, step))) => {
            let what = format!(
                "gave another result than without the NotMine inputs before it: {}",
                unlike(Some(other), Some(one))
            );
            Err(Place::Step(*index, step).violation(Law::NotMine, what))
        }
    }
}

/// Returns the script with a drain after each step, and with foreign datagrams and bytes added.
fn salt(script: &[Step], handed_in: &[SocketId]) -> Vec<(usize, Step)> {
    let local = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1));
    let remote = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 66), 6666));
    let mut salted = Vec::new();
    for (index, step) in script.iter().enumerate() {
        salted.push((index, Step { drain: true, ..step.clone() }));
        for id in core::iter::once(UNKNOWN).chain(handed_in.iter().copied().take(2)) {
            salted.push((index, Step::datagram(step.at, id, local, remote, &[0xff; 32])));
        }
        salted.push((index, Step::stream(step.at, UNKNOWN, local, remote, &[0xff; 32])));
    }
    salted
}

/// Whether the verdict of the input decides which machine gets it.
const fn has_one_owner(step: &Step) -> bool {
    match &step.action {
        Action::Input(OwnedInput::Datagram(_)) | Action::Stream(_) => true,
        Action::Input(OwnedInput::Socket(_, event)) => matches!(event, SocketEvent::Accepted { .. }),
        Action::Input(OwnedInput::Timeout) | Action::Command(_) => false,
    }
}
