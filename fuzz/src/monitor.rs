//! Plays a script with a machine and checks laws during the run. A few executions also check one law completely.
//!
//! The checks during the run need no second run. They cover the part of laws 1, 2, 3, 7, 8, 10, 11, 12 and 13 of
//! `portolan_machine` that one run can show. The monitor calls `Machine::forward` for a datagram to a drained
//! machine, as the owner of the sockets does.
//!
//! A hash of all bytes selects the executions that check a law completely. If one byte selected them, the fuzzer
//! could learn to prefer these executions, which are up to a hundred times slower.

use crate::flawed::Flawed;
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Output, Script, SocketEvent, SocketId, SocketOrder, Transmit, Verdict,
};
use portolan_sim::laws::{Context, Law, Step, check, rehearse};
use std::time::Duration;

/// Plays `script` with a peer that answers, at most `most` steps, and checks the outputs. Then checks the law that
/// the hash of `bytes` selects, if any. Returns all steps of the run.
///
/// # Panics
/// When the machine breaks a law.
pub fn play<M: Machine<Command: Script>>(
    bytes: &[u8],
    factory: &impl Fn() -> Flawed<M>,
    script: &[Step],
    context: &Context<'_, Flawed<M>>,
    most: usize,
    peer: impl FnMut(Instant, &Output<M::Event>) -> Vec<Step>,
) -> Vec<Step> {
    let whole = rehearse(&|| Monitored::new(factory(), context), script, &context.for_wrapper(), most, peer);
    if let Some(Err(violation)) = selected_law(bytes).map(|law| check(law, factory, &whole, context)) {
        panic!("{violation}");
    }
    whole
}

/// Returns the law that the hash of the bytes selects. Of 256 inputs, one selects each of the two laws whose check
/// takes a hundred runs, and four select each other law. Law 14 is never selected: the tests of the crates check it.
fn selected_law(bytes: &[u8]) -> Option<Law> {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
    });
    let number = usize::try_from(hash >> 32 & 0xff).ok()?;
    match number {
        0 => Some(Law::NoInputPanics),
        1 => Some(Law::PeersAreBounded),
        number => {
            let excluded = [Law::NoInputPanics, Law::PeersAreBounded, Law::StateBounded];
            Law::ALL.into_iter().filter(|law| !excluded.contains(law)).nth((number - 2) / 4)
        }
    }
}

/// A machine whose outputs are checked.
#[derive(Debug)]
struct Monitored<M: Machine<Command: Script>> {
    machine: M,
    terminal: fn(&M::Event) -> bool,
    /// The maximum number of outputs of one drain.
    most: usize,
    outputs: usize,
    now: Instant,
    /// The wait that the last poll returned, if no input came after it.
    last_wait: Option<Output<M::Event>>,
    /// The output that the next poll must return, and the message for another output.
    expected: Option<(Output<M::Event>, &'static str)>,
    /// Whether the last input was a timeout.
    after_timeout: bool,
    ended: bool,
    open: Vec<SocketId>,
    /// Streams that listeners accepted.
    accepted: Vec<SocketId>,
    /// Streams that the machine has paused, and full accepted streams: they are not read.
    blocked: Vec<SocketId>,
    /// A stream of which the drained machine took no bytes. The next drain must pause or close the stream.
    untaken: Option<SocketId>,
    /// The transmit of `Machine::forward`, which the next poll returns.
    forwarded: Option<Transmit>,
}

impl<M: Machine<Command: Script>> Monitored<M> {
    fn new(machine: M, context: &Context<'_, M>) -> Self {
        Self {
            machine,
            terminal: context.terminal,
            most: context.queue_limit,
            outputs: 0,
            now: Instant::ORIGIN,
            last_wait: None,
            expected: None,
            after_timeout: false,
            ended: false,
            open: context.handed_in.to_vec(),
            accepted: Vec::new(),
            blocked: Vec::new(),
            untaken: None,
            forwarded: None,
        }
    }

    /// Calls `Machine::forward` for a datagram to a drained machine. Returns whether the machine forwarded it.
    fn try_forward(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> bool {
        let (Input::Datagram(datagram), Some(before)) = (input, &self.last_wait) else { return false };
        let before = copy(before);
        let Some(forward) = self.machine.forward(cx, datagram) else {
            let after = self.machine.poll();
            assert!(
                after == before,
                "a `None` of `forward` changed something (law 10): {after:?} instead of {before:?}"
            );
            return false;
        };
        self.forwarded = Some(forward.to_transmit());
        let after = self.machine.poll();
        assert!(matches!(after, Output::Wait(_)), "`forward` queued something beside its datagram (law 12): {after:?}");
        (self.last_wait, self.expected, self.after_timeout, self.now) = (None, None, false, cx.now());
        true
    }

    /// Expects the same wait as before after an early timeout, and after an input with the verdict `NotMine`.
    fn expect_no_change(&mut self, cx: &Cx<'_>, input: Input<'_>, verdict: Verdict) {
        let Some(before) = self.last_wait.take() else { return };
        let early = match &before {
            Output::Wait(wait) => wait.is_none_or(|wait| !wait.is_due(cx.now())),
            _ => false,
        };
        let foreign = match input {
            Input::Datagram(_) | Input::Socket(_, SocketEvent::Accepted { .. }) => verdict == Verdict::NotMine,
            Input::Socket(..) | Input::Timeout => false,
        };
        if input == Input::Timeout && early && cx.now() >= self.now {
            self.expected = Some((before, "a timeout before the deadline changed something (law 3)"));
        } else if foreign {
            self.expected = Some((before, "an input with the verdict NotMine changed something (law 10)"));
        }
    }

    fn check_output(&mut self, output: &Output<M::Event>) {
        assert!(!self.ended || *output == Output::Wait(None), "{output:?} after the last event (law 11)");
        match output {
            Output::Wait(wait) => {
                let stuck = wait.filter(|wait| self.after_timeout && wait.is_due(self.now) && self.now != LAST);
                assert!(stuck.is_none(), "after the timeout at {} it waits until {stuck:?} (law 2)", self.now);
                let untaken = self.untaken.take();
                assert!(untaken.is_none(), "it took no bytes of {untaken:?} and did not pause the stream (law 13)");
                self.outputs = 0;
                return;
            }
            Output::Transmit(sent) => {
                assert!(self.open.contains(&sent.socket), "sent on {}, which is not open (law 8)", sent.socket);
            }
            Output::Socket(SocketOrder::Close(id)) => {
                self.open.retain(|open| open != id);
                self.untaken = self.untaken.filter(|untaken| untaken != id);
            }
            Output::Socket(SocketOrder::Pause(id)) => {
                self.blocked.push(*id);
                self.untaken = self.untaken.filter(|untaken| untaken != id);
            }
            Output::Socket(SocketOrder::Resume(id)) => self.blocked.retain(|blocked| blocked != id),
            Output::Socket(SocketOrder::Open(_)) => {}
            Output::Event(event) => self.ended = (self.terminal)(event),
        }
        self.outputs += 1;
        assert!(self.outputs <= self.most, "more than {} outputs in one drain (laws 1 and 7)", self.most);
    }
}

/// The last instant of the clock. A deadline then cannot move to a later time.
const LAST: Instant = Instant::from_origin(Duration::MAX);

impl<M: Machine<Command: Script>> Machine for Monitored<M> {
    type Command = M::Command;
    type Error = M::Error;
    type Event = M::Event;

    fn command(&mut self, cx: &mut Cx<'_>, command: M::Command) -> Result<(), M::Error> {
        (self.after_timeout, self.last_wait, self.expected, self.now) = (false, None, None, cx.now());
        self.machine.command(cx, command)
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if self.try_forward(cx, input) {
            return Verdict::Mine;
        }
        let verdict = self.machine.handle(cx, input);
        self.expected = None;
        self.expect_no_change(cx, input, verdict);
        (self.after_timeout, self.now) = (input == Input::Timeout, cx.now());
        if let Input::Socket(id, event) = input {
            match event {
                SocketEvent::Opened { .. } => self.open.push(id),
                SocketEvent::Accepted { socket, .. } => {
                    self.open.push(socket);
                    self.accepted.push(socket);
                }
                SocketEvent::Full if self.accepted.contains(&id) => self.blocked.push(id),
                SocketEvent::Full => {}
                SocketEvent::Writable => self.blocked.retain(|blocked| *blocked != id),
                SocketEvent::Refused(_) | SocketEvent::Unreachable { .. } | SocketEvent::Closed(_) => {}
            }
        }
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let taken = self.machine.stream(cx, chunk);
        if let Some(taken) = taken {
            let length = chunk.payload.len();
            assert!(taken <= length, "{taken} bytes taken of a chunk of {length} (law 13)");
            let is_blocked = self.blocked.contains(&chunk.socket);
            self.untaken =
                Some(chunk.socket).filter(|_| taken == 0 && length > 0 && self.last_wait.is_some() && !is_blocked);
        }
        self.expected = match self.last_wait.take() {
            Some(before) if taken.is_none() => {
                Some((before, "bytes with the verdict NotMine changed something (law 10)"))
            }
            _ => None,
        };
        (self.after_timeout, self.now) = (false, cx.now());
        taken
    }

    fn poll(&mut self) -> Output<M::Event> {
        let output = match self.forwarded.take() {
            Some(transmit) => Output::Transmit(transmit),
            None => self.machine.poll(),
        };
        if let Some((expected, why)) = self.expected.take() {
            assert!(output == expected, "{why}: {output:?} instead of {expected:?}");
        }
        self.check_output(&output);
        self.last_wait = matches!(output, Output::Wait(_)).then(|| copy(&output));
        output
    }
}

/// Returns a copy of a wait. An event cannot be copied.
fn copy<E>(output: &Output<E>) -> Output<E> {
    match output {
        Output::Wait(wait) => Output::Wait(*wait),
        _ => Output::Wait(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use portolan_machine::{Deadline, Forward, Never};
    use portolan_sim::laws::Step;

    /// The fault of a [`FaultyMachine`].
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fault {
        None,
        SendsOnUnopenedSocket,
        AnswersForeign,
        AnswersEarlyTimeout,
        KeepsPastDeadline,
        OutputAfterEnd,
        OutputBesideForward,
        OutputWithoutForward,
        TakesTooMuch,
        TakesNothing,
        Pauses,
    }

    #[derive(Debug)]
    struct FaultyMachine {
        fault: Fault,
        out: Vec<Output<&'static str>>,
        now: Instant,
    }

    impl Machine for FaultyMachine {
        type Command = Never;
        type Error = Never;
        type Event = &'static str;

        fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
            match command {}
        }

        fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
            self.now = cx.now();
            match (self.fault, input) {
                (Fault::SendsOnUnopenedSocket, Input::Datagram(_)) => {
                    let remote = "192.0.2.1:1".parse().expect("an address");
                    let sent = Transmit::new(SocketId(7), remote, Bytes::new());
                    self.out.push(Output::Transmit(sent));
                    return Verdict::Mine;
                }
                (Fault::AnswersForeign, Input::Datagram(_)) | (Fault::AnswersEarlyTimeout, Input::Timeout) => {
                    self.out.push(Output::Event("noise"));
                }
                (Fault::OutputAfterEnd, Input::Datagram(_)) => {
                    self.out.extend([Output::Event("noise"), Output::Event("end")]);
                    return Verdict::Mine;
                }
                _ => {}
            }
            Verdict::NotMine
        }

        fn stream(&mut self, _: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
            match self.fault {
                Fault::TakesTooMuch => Some(chunk.payload.len() + 1),
                Fault::TakesNothing => Some(0),
                Fault::Pauses => {
                    self.out.push(Output::Socket(SocketOrder::Pause(chunk.socket)));
                    Some(0)
                }
                _ => None,
            }
        }

        fn forward<'a>(&mut self, _: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
            match self.fault {
                Fault::OutputBesideForward => self.out.push(Output::Event("noise")),
                Fault::OutputWithoutForward => {
                    self.out.push(Output::Event("noise"));
                    return None;
                }
                Fault::None => {}
                _ => return None,
            }
            Some(Forward::new(datagram.socket, datagram.remote, datagram.payload))
        }

        fn poll(&mut self) -> Output<&'static str> {
            let late = Some(Deadline::new(Instant::ORIGIN, "past")).filter(|_| self.fault == Fault::KeepsPastDeadline);
            self.out.pop().unwrap_or(Output::Wait(late))
        }
    }

    fn play_with(fault: Fault) {
        let here = "192.0.2.1:1".parse().expect("an address");
        let script = [
            Step::timeout(Instant::from_millis(5)),
            Step::datagram(Instant::from_millis(10), SocketId(1), here, here, b"a packet"),
            Step::stream(Instant::from_millis(20), SocketId(1), here, here, b"bytes"),
        ];
        let context = Context { handed_in: &[SocketId(1)], terminal: |event| *event == "end", ..Context::default() };
        let factory = || Monitored::new(FaultyMachine { fault, out: Vec::new(), now: Instant::ORIGIN }, &context);
        let mut sent = 0;
        let whole = rehearse(&factory, &script, &context.for_wrapper(), 9, |_, output| {
            sent += usize::from(matches!(output, Output::Transmit(_)));
            Vec::new()
        });
        assert_eq!((whole.len(), sent), (3, usize::from(fault == Fault::None)));
    }

    #[test]
    fn a_correct_machine_passes() {
        play_with(Fault::None);
    }

    #[test]
    fn a_machine_may_pause_a_stream_instead_of_taking_bytes() {
        play_with(Fault::Pauses);
    }

    #[test]
    #[should_panic(expected = "law 12")]
    fn an_output_beside_the_forwarded_datagram_is_found() {
        play_with(Fault::OutputBesideForward);
    }

    #[test]
    #[should_panic(expected = "law 10")]
    fn a_change_by_forward_without_a_datagram_is_found() {
        play_with(Fault::OutputWithoutForward);
    }

    #[test]
    #[should_panic(expected = "law 13")]
    fn taking_more_bytes_than_the_chunk_has_is_found() {
        play_with(Fault::TakesTooMuch);
    }

    #[test]
    #[should_panic(expected = "law 13")]
    fn a_stream_that_is_neither_taken_nor_paused_is_found() {
        play_with(Fault::TakesNothing);
    }

    #[test]
    #[should_panic(expected = "law 8")]
    fn a_transmit_on_an_unopened_socket_is_found() {
        play_with(Fault::SendsOnUnopenedSocket);
    }

    #[test]
    #[should_panic(expected = "law 10")]
    fn an_output_for_a_foreign_datagram_is_found() {
        play_with(Fault::AnswersForeign);
    }

    #[test]
    #[should_panic(expected = "law 3")]
    fn an_output_for_an_early_timeout_is_found() {
        play_with(Fault::AnswersEarlyTimeout);
    }

    #[test]
    #[should_panic(expected = "law 2")]
    fn a_deadline_that_stays_in_the_past_is_found() {
        play_with(Fault::KeepsPastDeadline);
    }

    #[test]
    #[should_panic(expected = "law 11")]
    fn an_output_after_the_last_event_is_found() {
        play_with(Fault::OutputAfterEnd);
    }

    #[test]
    fn every_law_is_selected_but_rarely() {
        let mut rng = crate::mutate::Rng::new(1);
        let inputs = (0..20_000).map(|_| std::array::from_fn::<u8, 40, _>(|_| rng.byte()));
        let laws: Vec<Law> = inputs.filter_map(|bytes| selected_law(&bytes)).collect();
        assert!((3000..4500).contains(&laws.len()), "{} of 20000 instead of 46 of 256", laws.len());
        let checked = Law::ALL.iter().filter(|law| **law != Law::StateBounded);
        assert!(checked.into_iter().all(|law| laws.contains(law)));
    }
}
