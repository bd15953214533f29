//! Law 13: the result of a stream does not depend on its chunks.

use super::script::{Action, OwnedDatagram, Step};
use super::stage::{Cut, Place, Rng, Stage, shorten};
use super::{Context, Law, Violation};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use portolan_machine::{Machine, Output, Script, SocketId, SocketOrder, Verdict};

/// The number of repetitions of a chunk: enough to cause more outputs than a queue holds.
const COPIES: usize = 300;
/// The longest chunk of a driver, in bytes.
const CHUNK: usize = 64 * 1024;
/// The number of chunks of a script that are repeated.
const REPEATED: usize = 3;

/// Law 13: no byte of a stream is dropped.
///
/// The script is played with a drain after every step, and with a timeout before bytes that arrive at a due deadline.
/// Then it is played again with other chunks: byte by byte, split at random, and with chunks of the same time joined.
/// At last the bytes of some streams are repeated 300 times, in one chunk and one after another.
///
/// Each time these outputs must be the same, in the same order: the transmits and the `Close` of each socket, the
/// events, and the orders for new sockets. Pause and resume orders may differ. A machine that takes less than the chunk
/// gets the rest after a drain.
///
/// The law also checks the number of taken bytes. It is never more than the chunk holds. A drained machine takes at
/// least one byte, unless it has paused or closed the stream or the stream is full.
///
/// # Errors
/// A [`Violation`]: the first output that depends on the chunks, or the first call that took no bytes or too many.
pub fn no_byte_of_a_stream_is_dropped<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Result<(), Violation> {
    if !script.iter().any(|step| matches!(step.action, Action::Stream(_))) {
        return Ok(());
    }
    let run = |steps: &[(usize, Step)], cut: Cut| Run::new(Stage::new(factory(), context).cut(cut), steps);
    let drained = |(index, step): (usize, &Step)| (index, Step { drain: true, ..step.clone() });
    let plain: Vec<(usize, Step)> = script.iter().enumerate().map(drained).collect();
    let whole = run(&plain, Cut::Whole)?;
    whole.compare(&run(&plain, Cut::Bytes)?, script, "in one chunk and byte by byte")?;
    whole.compare(&run(&plain, Cut::Random(Rng(context.seed ^ 13)))?, script, "in one chunk and cut at random")?;
    let joined = joined(&plain);
    let as_joined = run(&joined, Cut::Whole)?;
    whole.compare(&as_joined, script, "in several chunks and in one")?;

    let chosen = as_joined.chosen();
    if chosen.is_empty() {
        return Ok(());
    }
    let in_one = run(&repeated(&joined, &chosen, true), Cut::Whole)?;
    let one_by_one = run(&repeated(&joined, &chosen, false), Cut::Whole)?;
    one_by_one.compare(&in_one, script, "repeated, in many chunks and in one")
}

/// Joins each chunk with the chunk before it, if both received on one stream at one time.
fn joined(steps: &[(usize, Step)]) -> Vec<(usize, Step)> {
    let mut all: Vec<(usize, Step)> = Vec::new();
    for (index, step) in steps {
        if let (Some((_, Step { at, action: Action::Stream(before), .. })), Action::Stream(chunk)) =
            (all.last_mut(), &step.action)
            && *at == step.at
            && (before.socket, before.local, before.remote) == (chunk.socket, chunk.local, chunk.remote)
        {
            before.payload.extend_from_slice(&chunk.payload);
        } else {
            all.push((*index, step.clone()));
        }
    }
    all
}

/// Repeats the bytes of a stream up to each chosen chunk: in one chunk, or one after another. The bytes of a stream
/// must be whole messages, although the last chunk alone may be the end of one.
fn repeated(steps: &[(usize, Step)], chosen: &BTreeSet<usize>, in_one: bool) -> Vec<(usize, Step)> {
    let mut all = Vec::new();
    let mut received: BTreeMap<SocketId, Vec<u8>> = BTreeMap::new();
    for (index, step) in steps {
        all.push((*index, step.clone()));
        let Action::Stream(chunk) = &step.action else { continue };
        let received = received.entry(chunk.socket).or_default();
        received.extend_from_slice(&chunk.payload);
        let copies = COPIES.min(CHUNK / received.len().max(1));
        if !chosen.contains(index) || copies == 0 {
            continue;
        }
        let (payload, times) = if in_one { (received.repeat(copies), 1) } else { (received.clone(), copies) };
        let again = Step::new(step.at, Action::Stream(OwnedDatagram { payload, ..*chunk }));
        all.extend((0..times).map(|_| (*index, again.clone())));
    }
    all
}

/// Outputs whose order counts, in groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    /// The transmits on a socket, and its `Close`.
    Socket(SocketId),
    /// Orders for new sockets.
    Opens,
    /// Events.
    Events,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(id) => write!(f, "output on {id}"),
            Self::Opens => f.write_str("order for a new socket"),
            Self::Events => f.write_str("event"),
        }
    }
}

/// The outputs of a run, each with the number of its step in the script.
struct Run<E> {
    lanes: BTreeMap<Lane, Vec<(usize, Output<E>)>>,
    /// The steps whose bytes belonged to the machine, and whether they caused outputs.
    taken: BTreeMap<usize, bool>,
    /// Whether bytes wait at the end, because the machine has paused a stream or a stream is full.
    is_waiting: bool,
}

impl<E: fmt::Debug + PartialEq> Run<E> {
    fn new<M: Machine<Command: Script, Event = E>>(
        mut stage: Stage<M>,
        steps: &[(usize, Step)],
    ) -> Result<Self, Violation> {
        let mut run = Self { lanes: BTreeMap::new(), taken: BTreeMap::new(), is_waiting: false };
        let mut last = stage.drain();
        for (index, step) in steps {
            // A due deadline passes before the bytes, so that the chunks do not decide the order of the two.
            let is_due = last.deadline().is_some_and(|wait| wait.is_due(step.at));
            if is_due && matches!(step.action, Action::Stream(_)) {
                run.keep(*index, stage.timeout(step.at).outputs);
            }
            let mut played = stage.play(step);
            if let Some(fault) = stage.fault.take() {
                return Err(Place::Step(*index, step).violation(Law::StreamBytes, fault));
            }
            if let (Action::Stream(_), Some(Verdict::Mine)) = (&step.action, played.verdict) {
                *run.taken.entry(*index).or_default() |= !played.outputs.is_empty();
            }
            run.keep(*index, core::mem::take(&mut played.outputs));
            last = played;
        }
        run.is_waiting = stage.has_bytes_waiting();
        Ok(run)
    }

    fn keep(&mut self, index: usize, outputs: Vec<Output<E>>) {
        for output in outputs {
            if let Some(lane) = lane(&output) {
                self.lanes.entry(lane).or_default().push((index, output));
            }
        }
    }

    /// The chunks to repeat. Chunks that caused outputs come first.
    fn chosen(&self) -> BTreeSet<usize> {
        let of = |wanted| self.taken.iter().filter(move |(_, outputs)| **outputs == wanted).map(|(index, _)| *index);
        of(true).chain(of(false)).take(REPEATED).collect()
    }

    fn lane(&self, lane: Lane) -> &[(usize, Output<E>)] {
        self.lanes.get(&lane).map_or(&[], Vec::as_slice)
    }

    fn compare(&self, other: &Self, script: &[Step], how: &str) -> Result<(), Violation> {
        let lanes: BTreeSet<Lane> = self.lanes.keys().chain(other.lanes.keys()).copied().collect();
        let mut first: Option<(usize, String)> = None;
        for lane in lanes {
            let difference = self.difference(other, self.lane(lane), other.lane(lane));
            if let Some((index, what)) = difference.filter(|(index, _)| first.as_ref().is_none_or(|(at, _)| index < at))
            {
                first = Some((index, format!("{how}, an {lane} differs: {what}")));
            }
        }
        match first {
            None => Ok(()),
            Some((index, what)) => Err(match script.get(index) {
                Some(step) => Place::Step(index, step).violation(Law::StreamBytes, what),
                None => Violation::new(Law::StreamBytes, Some(index), what),
            }),
        }
    }

    /// The first difference in one lane, and its step. A run with waiting bytes may have fewer outputs.
    fn difference(
        &self,
        other: &Self,
        one_lane: &[(usize, Output<E>)],
        other_lane: &[(usize, Output<E>)],
    ) -> Option<(usize, String)> {
        let text = |output: &Output<E>| shorten(&format!("{output:?}"));
        let unequal = one_lane.iter().zip(other_lane).find(|((_, one), (_, other))| one != other);
        if let Some(((at, one), (other_at, other))) = unequal {
            return Some((*at.min(other_at), format!("{}, then {}", text(one), text(other))));
        }
        let (longer, shorter, shorter_waits) = if one_lane.len() > other_lane.len() {
            (one_lane, other_lane, other.is_waiting)
        } else {
            (other_lane, one_lane, self.is_waiting)
        };
        let (at, extra) = longer.get(shorter.len()).filter(|_| !shorter_waits)?;
        let counts = format!("there were {}, then {}", one_lane.len(), other_lane.len());
        Some((*at, format!("{counts}; one run lacks {}", text(extra))))
    }
}

/// The lane of an output; `None` for outputs that may depend on the chunks.
const fn lane<E>(output: &Output<E>) -> Option<Lane> {
    match output {
        Output::Transmit(transmit) => Some(Lane::Socket(transmit.socket)),
        Output::Socket(SocketOrder::Close(id)) => Some(Lane::Socket(*id)),
        Output::Socket(SocketOrder::Open(_)) => Some(Lane::Opens),
        Output::Event(_) => Some(Lane::Events),
        Output::Socket(SocketOrder::Pause(_) | SocketOrder::Resume(_)) | Output::Wait(_) => None,
    }
}
