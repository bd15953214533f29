//! A stage: one machine with its RNG, its socket ids and its streams. It returns the outputs of each step.

use super::inbound::Inbound;
use super::recording::{CallContext, Recorder, Recording};
use super::script::{Action, OwnedDatagram, OwnedInput, Step};
use super::{Context, Law, Violation};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use portolan_machine::{
    Datagram, Deadline, Entropy, Explain, Forward, Input, Instant, Machine, Output, Scope, Script, SocketEvent,
    SocketId, SocketIds, Trace, Verdict,
};

/// The most timeouts that the stage adds between two steps, and after the last one. A script may jump by years, over
/// millions of keepalives; a few dozen are enough to test them.
pub(super) const WAKEUPS: usize = 64;

/// The limit up to which socket numbers are counted one by one: their type has no other constructor.
pub(super) const HIGHEST_SOCKET: u64 = 1 << 24;

/// An RNG with a seed (SplitMix64), the same on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for Rng {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            for (byte, random) in chunk.iter_mut().zip(self.next_u64().to_le_bytes()) {
                *byte = random;
            }
        }
    }
}

/// A trace that formats every note, so that the formatting code of notes runs too.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<String>);

impl Trace for Notes {
    fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain) {
        let clause = note.rfc().map(|clause| clause.to_string()).unwrap_or_default();
        self.0.push(format!("{at} {scope}: {note} {note:?} {clause}"));
        if self.0.len() > 4096 {
            self.0.clear();
        }
    }
}

/// The reaction of a machine to one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult<E> {
    /// The verdict on the input; `None` after a command.
    pub verdict: Option<Verdict>,
    /// The text of the error, if the command was refused.
    pub refused: Option<String>,
    /// The outputs of the drain, without [`Output::Wait`]; empty after a step without a drain.
    pub outputs: Vec<Output<E>>,
    /// How the drain ended.
    pub rest: DrainEnd,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainEnd {
    /// No drain: the outputs are still queued.
    Undrained,
    /// The drain was stopped at [`Context::drain_limit`].
    Endless,
    /// The machine waits for this deadline.
    Waiting(Option<Deadline>),
}

impl fmt::Display for DrainEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undrained => f.write_str("not drained"),
            Self::Endless => f.write_str("a drain without end"),
            Self::Waiting(None) => f.write_str("a wait without a deadline"),
            Self::Waiting(Some(deadline)) => write!(f, "a wait until {deadline}"),
        }
    }
}

impl<E> StepResult<E> {
    pub(super) const fn nothing() -> Self {
        Self { verdict: None, refused: None, outputs: Vec::new(), rest: DrainEnd::Undrained }
    }

    /// The known deadline of the machine.
    pub(super) const fn deadline(&self) -> Option<Deadline> {
        match self.rest {
            DrainEnd::Waiting(wait) => wait,
            DrainEnd::Undrained | DrainEnd::Endless => None,
        }
    }
}

/// How the bytes of streams are split before they are handed in.
#[derive(Clone, Debug)]
pub(super) enum Cut {
    /// Not split.
    Whole,
    /// Split into single bytes.
    Bytes,
    /// Split at random.
    Random(Rng),
}

impl Cut {
    /// The longest next piece.
    fn next(&mut self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Bytes => 1,
            Self::Random(rng) => {
                let random = rng.next_u64();
                let longest = if random & 1 == 0 { 4 } else { 100 };
                1 + usize::try_from((random >> 1) % longest).unwrap_or(0)
            }
        }
    }
}

/// A machine with everything that its run depends on.
#[derive(Debug)]
pub(super) struct Stage<M: Machine<Command: Script>> {
    pub(super) machine: M,
    pub(super) rng: Rng,
    pub(super) ids: SocketIds,
    notes: Option<Notes>,
    recorder: Option<Recorder>,
    inbound: Inbound,
    cut: Cut,
    /// The first violation in the machine's handling of stream bytes.
    pub(super) fault: Option<String>,
    limit: usize,
    /// Whether the machine was drained after the last call.
    is_drained: bool,
}

/// The context of one call.
fn cx<'c>(at: Instant, rng: &'c mut Rng, ids: &'c mut SocketIds, notes: &'c mut Option<Notes>) -> CallContext<'c> {
    let trace = notes.as_mut().map(|notes| notes as &mut dyn Trace);
    CallContext { now: at, entropy: rng, sockets: ids, trace }
}

impl<M: Machine<Command: Script>> Stage<M> {
    pub(super) fn new(machine: M, context: &Context<'_, M>) -> Self {
        Self {
            machine,
            rng: Rng(context.seed),
            ids: Self::first_sockets(context),
            notes: None,
            recorder: None,
            inbound: Inbound::default(),
            cut: Cut::Whole,
            fault: None,
            limit: context.drain_limit,
            is_drained: false,
        }
    }

    /// Socket ids that start after the handed-in ones.
    fn first_sockets(context: &Context<'_, M>) -> SocketIds {
        let mut ids = SocketIds::new();
        let taken = context.handed_in.iter().map(|id| id.0).filter(|id| *id <= HIGHEST_SOCKET).max();
        for _ in 0..taken.unwrap_or(0) {
            ids.next_socket();
        }
        ids
    }

    pub(super) fn traced(mut self) -> Self {
        self.notes = Some(Notes::default());
        self
    }

    pub(super) fn recorded(mut self) -> Self {
        self.recorder = Some(Recorder::new());
        self
    }

    pub(super) fn cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// The number of recorded calls.
    pub(super) fn recorded_calls(&self) -> usize {
        self.recorder.as_ref().map_or(0, Recorder::len)
    }

    pub(super) fn into_recording(self) -> Recording {
        self.recorder.map(Recorder::into_recording).unwrap_or_default()
    }

    /// Whether stream bytes wait that the machine has not taken.
    pub(super) fn has_bytes_waiting(&self) -> bool {
        self.inbound.is_waiting()
    }

    /// Whether the machine has paused or closed the stream, or it is accepted and full.
    pub(super) fn is_blocked(&self, id: SocketId) -> bool {
        self.inbound.is_blocked(id)
    }

    /// Plays the step, and drains if the step requires it.
    pub(super) fn play(&mut self, step: &Step) -> StepResult<M::Event> {
        self.play_at(step.at, step.drain, &step.action)
    }

    pub(super) fn play_at(&mut self, at: Instant, drain: bool, what: &Action) -> StepResult<M::Event> {
        let mut outputs = Vec::new();
        let (verdict, refused) = match what {
            Action::Input(OwnedInput::Socket(id, event @ SocketEvent::Accepted { .. })) => {
                let verdict = self.handle(at, Input::Socket(*id, *event));
                // The driver closes an accepted stream that no machine takes.
                if verdict == Verdict::Mine {
                    let _is_delivered = self.inbound.apply(*id, *event);
                }
                (Some(verdict), None)
            }
            Action::Input(OwnedInput::Socket(id, event)) => {
                // The end of a stream with unread bytes is reported later. Until then it counts as an input of the
                // machine.
                let is_delivered = self.inbound.apply(*id, *event);
                (Some(if is_delivered { self.handle(at, Input::Socket(*id, *event)) } else { Verdict::Mine }), None)
            }
            Action::Input(input) => (Some(self.handle(at, input.as_input())), None),
            Action::Stream(chunk) => (Some(self.stream(at, chunk, &mut outputs)), None),
            Action::Command(text) => (None, self.command(at, text)),
        };
        // Bytes that waited until the stream is writable follow at once. The machine is drained before them.
        if !drain && self.inbound.ready().is_none() {
            return StepResult { verdict, refused, outputs, rest: DrainEnd::Undrained };
        }
        let mut played = self.drain();
        outputs.append(&mut played.outputs);
        // Bytes of a stream that is resumed or writable again.
        while let Some(id) = self.inbound.ready() {
            let _verdict = self.deliver(at, id, &mut outputs);
            played = self.drain();
            outputs.append(&mut played.outputs);
        }
        StepResult { verdict, refused, outputs, ..played }
    }

    /// Adds bytes of a stream. The verdict says whether the machine took any; waiting bytes count as the machine's.
    fn stream(&mut self, at: Instant, chunk: &OwnedDatagram, outputs: &mut Vec<Output<M::Event>>) -> Verdict {
        self.inbound.arrive(chunk);
        if self.inbound.is_blocked(chunk.socket) {
            return if self.inbound.has_bytes(chunk.socket) { Verdict::Mine } else { Verdict::NotMine };
        }
        self.deliver(at, chunk.socket, outputs)
    }

    /// Hands bytes in until the machine has taken all of them, or nothing twice in a row. The machine is drained
    /// between two calls, as by its owner.
    fn deliver(&mut self, at: Instant, id: SocketId, outputs: &mut Vec<Output<M::Event>>) -> Verdict {
        let mut verdict = Verdict::NotMine;
        let most = self.cut.next();
        let mut next = self.inbound.next(id, most);
        while let Some(chunk) = next.take() {
            let (length, was_drained) = (chunk.payload.len(), self.is_drained);
            let Some(taken) = self.chunk(at, chunk.as_datagram()) else {
                self.inbound.give_away(id);
                break;
            };
            verdict = Verdict::Mine;
            if taken > length {
                self.fault.get_or_insert_with(|| format!("took {taken} bytes of a chunk of {length} on {id}"));
            }
            self.inbound.take(id, taken);
            if !self.inbound.has_bytes(id) && (taken > 0 || length == 0) {
                break;
            }
            outputs.append(&mut self.drain().outputs);
            if taken == 0 && length > 0 && was_drained && !self.inbound.is_blocked(id) {
                self.fault.get_or_insert_with(|| {
                    format!("after a drain, the machine took none of {length} bytes on {id}, which it may read")
                });
            }
            let most = self.cut.next();
            next = self.inbound.next(id, most);
        }
        if let Some(end) = self.inbound.take_end(id) {
            if !self.is_drained {
                outputs.append(&mut self.drain().outputs);
            }
            let _verdict = self.handle(at, Input::Socket(id, end));
        }
        verdict
    }

    /// Hands bytes of a stream in once.
    pub(super) fn chunk(&mut self, at: Instant, chunk: Datagram<'_>) -> Option<usize> {
        self.is_drained = false;
        let call = cx(at, &mut self.rng, &mut self.ids, &mut self.notes);
        match &mut self.recorder {
            Some(recorder) => recorder.stream(&mut self.machine, call, chunk),
            None => self.machine.stream(&mut call.into_cx(), chunk),
        }
    }

    /// Calls `forward`. The machine must be drained.
    pub(super) fn forward<'a>(&mut self, at: Instant, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        let call = cx(at, &mut self.rng, &mut self.ids, &mut self.notes);
        self.machine.forward(&mut call.into_cx(), datagram)
    }

    pub(super) fn timeout(&mut self, at: Instant) -> StepResult<M::Event> {
        self.play_at(at, true, &Action::Input(OwnedInput::Timeout))
    }

    pub(super) fn handle(&mut self, at: Instant, input: Input<'_>) -> Verdict {
        self.is_drained = false;
        let call = cx(at, &mut self.rng, &mut self.ids, &mut self.notes);
        match &mut self.recorder {
            Some(recorder) => recorder.handle(&mut self.machine, call, input),
            None => self.machine.handle(&mut call.into_cx(), input),
        }
    }

    /// The reason why the command was refused. A text that is not a command is refused by the parser.
    fn command(&mut self, at: Instant, text: &str) -> Option<String> {
        let Ok(command) = M::Command::read(text) else {
            return Some("not a command of this machine".to_string());
        };
        self.is_drained = false;
        let call = cx(at, &mut self.rng, &mut self.ids, &mut self.notes);
        let result = match &mut self.recorder {
            Some(recorder) => recorder.command(&mut self.machine, call, command),
            None => self.machine.command(&mut call.into_cx(), command),
        };
        result.err().map(|why| why.to_string())
    }

    pub(super) fn drain(&mut self) -> StepResult<M::Event> {
        let drained = drain(&mut self.machine, self.limit);
        self.inbound.learn(&drained.outputs);
        self.is_drained = drained.rest != DrainEnd::Endless;
        if let Some(recorder) = &mut self.recorder {
            recorder.drained();
        }
        drained
    }
}

/// The hidden part of a stage: the drawn values, and the state if the context renders it.
pub(super) struct Snapshot {
    rng: Rng,
    ids: SocketIds,
    state: Option<String>,
}

impl Snapshot {
    pub(super) fn new<M: Machine<Command: Script>>(stage: &Stage<M>, context: &Context<'_, M>) -> Self {
        let state = context.state.map(|state| state(&stage.machine));
        Self { rng: stage.rng.clone(), ids: stage.ids.clone(), state }
    }

    /// Describes the first difference.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        if self.rng != other.rng {
            return Some("other random bytes were drawn".to_string());
        }
        if self.ids != other.ids {
            return Some("other socket ids were drawn".to_string());
        }
        let (one, other) = (self.state.as_ref()?, other.state.as_ref()?);
        if one == other {
            return None;
        }
        let at = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
        Some(format!("the state was `{}`, then `{}`", excerpt(one, at), excerpt(other, at)))
    }
}

/// The part of a text around a byte.
fn excerpt(text: &str, at: usize) -> String {
    const BEFORE: usize = 40;
    let start = (0..=at.saturating_sub(BEFORE)).rev().find(|start| text.is_char_boundary(*start)).unwrap_or(0);
    text.get(start..).unwrap_or(text).chars().take(3 * BEFORE).collect()
}

/// Polls until the machine waits, at most `limit` times.
pub(super) fn drain<M: Machine<Command: Script>>(machine: &mut M, limit: usize) -> StepResult<M::Event> {
    let mut played = StepResult::nothing();
    for _ in 0..limit {
        match machine.poll() {
            Output::Wait(wait) => {
                played.rest = DrainEnd::Waiting(wait);
                return played;
            }
            output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => played.outputs.push(output),
        }
    }
    played.rest = DrainEnd::Endless;
    played
}

/// The position of a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'s> {
    /// Before the first step: the machine was only drained.
    Start,
    /// A step of the script.
    Step(usize, &'s Step),
    /// A timeout added by the driver, after the step with this number (`None`: before the first).
    Timeout(Option<usize>, Instant),
}

impl Place<'_> {
    pub(super) fn violation(self, law: Law, what: String) -> Violation {
        match self {
            Place::Start => Violation::new(law, None, format!("on the fresh machine: {what}")),
            Place::Step(index, step) => {
                Violation::new(law, Some(index), format!("`{}`: {what}", shorten(&step.to_string())))
            }
            Place::Timeout(step, at) => Violation::new(law, step, format!("at the timeout due at {at}: {what}")),
        }
    }
}

/// The maximum length of a text in a violation.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 600;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_string(),
    }
}

/// Plays the script without added timeouts.
pub(super) fn play<M: Machine<Command: Script>>(mut stage: Stage<M>, script: &[Step]) -> Vec<StepResult<M::Event>> {
    let mut all = Vec::with_capacity(script.len() + 1);
    all.push(stage.drain());
    all.extend(script.iter().map(|step| stage.play(step)));
    all
}

/// Plays the script as a driver does: with a timeout at each deadline before the next step, and with a few more after
/// the last step. `see` gets every drain, and ends the run with an error.
pub(super) fn live<M: Machine<Command: Script>>(
    stage: &mut Stage<M>,
    script: &[Step],
    mut see: impl FnMut(Place<'_>, &StepResult<M::Event>) -> Result<(), Violation>,
) -> Result<(), Violation> {
    let mut last = stage.drain();
    see(Place::Start, &last)?;
    let mut now = Instant::ORIGIN;
    for (index, step) in script.iter().enumerate() {
        wake(stage, &mut last, now, step.at, index.checked_sub(1), &mut see)?;
        last = stage.play(step);
        now = step.at;
        see(Place::Step(index, step), &last)?;
        if last.deadline().is_some_and(|wait| wait.is_due(now)) {
            last = stage.timeout(now);
            see(Place::Timeout(Some(index), now), &last)?;
        }
    }
    let forever = Instant::from_origin(Duration::MAX);
    wake(stage, &mut last, now, forever, script.len().checked_sub(1), &mut see)
}

/// Delivers the timeouts that are due from `now` until `until`.
fn wake<M: Machine<Command: Script>>(
    stage: &mut Stage<M>,
    last: &mut StepResult<M::Event>,
    mut now: Instant,
    until: Instant,
    step: Option<usize>,
    see: &mut impl FnMut(Place<'_>, &StepResult<M::Event>) -> Result<(), Violation>,
) -> Result<(), Violation> {
    for _ in 0..WAKEUPS {
        let Some(wait) = last.deadline() else { break };
        if wait.at > until {
            break;
        }
        now = now.max(wait.at);
        *last = stage.timeout(now);
        see(Place::Timeout(step, now), last)?;
    }
    Ok(())
}

/// Describes the first difference between two runs of the same steps.
pub(super) fn difference<E: fmt::Debug + PartialEq>(
    one: &[StepResult<E>],
    other: &[StepResult<E>],
) -> Option<(usize, String)> {
    let at = one.iter().zip(other).position(|(one, other)| one != other);
    let at = at.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len())))?;
    Some((at, unlike(one.get(at), other.get(at))))
}

/// Describes the difference between two runs of one step.
pub(super) fn unlike<E: fmt::Debug + PartialEq>(one: Option<&StepResult<E>>, other: Option<&StepResult<E>>) -> String {
    let (Some(one), Some(other)) = (one, other) else {
        return "one run is longer than the other".to_string();
    };
    if one.verdict != other.verdict {
        return format!("the verdict was {:?}, then {:?}", one.verdict, other.verdict);
    }
    if one.refused != other.refused {
        return format!("the command's refusal was {:?}, then {:?}", one.refused, other.refused);
    }
    let at = one.outputs.iter().zip(&other.outputs).position(|(one, other)| one != other);
    if let Some(at) = at {
        let (one, other) = (format!("{:?}", one.outputs.get(at)), format!("{:?}", other.outputs.get(at)));
        return format!("output {at} was {}, then {}", shorten(&one), shorten(&other));
    }
    if one.outputs.len() != other.outputs.len() {
        let extra = one.outputs.len().min(other.outputs.len());
        let longer = if one.outputs.len() > other.outputs.len() { one } else { other };
        return format!(
            "there were {} outputs, then {}; one has no {}",
            one.outputs.len(),
            other.outputs.len(),
            shorten(&format!("{:?}", longer.outputs.get(extra)))
        );
    }
    format!("there was {}, then {}", one.rest, other.rest)
}
