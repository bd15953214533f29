//! One run of a machine, watched while it is played, and now and then one law in full.
//!
//! Rules of this file: the watch needs no second run, so that most executions cost one. It sees what a single run can show of
//! the laws (1, 2, 3, 7, 8, 10, 11, 12 and 13 of `portolan_machine`, and every panic). It takes the short way
//! (`Machine::forward`) for datagrams to a drained machine, as the owner of the sockets does. A hash of the bytes, not one of
//! the bytes, chooses the executions that check a law in full: the fuzzer would come to prefer those that cost a hundred
//! times as much.

use crate::flawed::Flawed;
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Output, Script, SocketEvent, SocketId, SocketOrder, Transmit, Verdict,
};
use portolan_sim::laws::{Context, Law, Step, check, rehearse};
use std::time::Duration;

/// Plays `script` with a peer that answers, at most `most` steps, under the watch; then checks the law that the lot of
/// `bytes` falls on, if it does. Returns all that happened.
///
/// # Panics
/// On a finding.
pub fn play<M: Machine<Command: Script>>(
    bytes: &[u8],
    factory: &impl Fn() -> Flawed<M>,
    script: &[Step],
    context: &Context<'_, Flawed<M>>,
    most: usize,
    peer: impl FnMut(Instant, &Output<M::Event>) -> Vec<Step>,
) -> Vec<Step> {
    let whole = rehearse(&|| Watched::new(factory(), context), script, &context.for_wrapper(), most, peer);
    if let Some(Err(violation)) = lot(bytes).map(|law| check(law, factory, &whole, context)) {
        panic!("{violation}");
    }
    whole
}

/// The law of some bytes: of 256 runs one for each of the two that take a hundred runs to check, four for each other. Law 14
/// is left out: no target has a footprint, and the crates' tests check it.
fn lot(bytes: &[u8]) -> Option<Law> {
    let mixed = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
    });
    let lot = usize::try_from(mixed >> 32 & 0xff).ok()?;
    match lot {
        0 => Some(Law::NoInputPanics),
        1 => Some(Law::PeersAreBounded),
        lot => {
            let excluded = [Law::NoInputPanics, Law::PeersAreBounded, Law::StateBounded];
            Law::ALL.into_iter().filter(|law| !excluded.contains(law)).nth((lot - 2) / 4)
        }
    }
}

/// A machine under watch.
#[derive(Debug)]
struct Watched<M: Machine<Command: Script>> {
    machine: M,
    terminal: fn(&M::Event) -> bool,
    /// Outputs that one drain may give.
    most: usize,
    given: usize,
    now: Instant,
    /// What the last poll gave; the machine has rested since then.
    rest: Option<Output<M::Event>>,
    /// What the next poll must give, and why.
    due: Option<(Output<M::Event>, &'static str)>,
    /// The last input was a timeout.
    woken: bool,
    ended: bool,
    open: Vec<SocketId>,
    /// Streams that the machine has paused, or that are full.
    blocked: Vec<SocketId>,
    /// The drained machine took nothing of this stream: the next drain must pause or close it.
    untaken: Option<SocketId>,
    /// A datagram that took the short way.
    forwarded: Option<Transmit>,
}

impl<M: Machine<Command: Script>> Watched<M> {
    fn new(machine: M, context: &Context<'_, M>) -> Self {
        Self {
            machine,
            terminal: context.terminal,
            most: context.queue_limit,
            given: 0,
            now: Instant::ORIGIN,
            rest: None,
            due: None,
            woken: false,
            ended: false,
            open: context.handed_in.to_vec(),
            blocked: Vec::new(),
            untaken: None,
            forwarded: None,
        }
    }

    /// Takes the short way for a datagram, if the machine is drained and knows one.
    fn takes_short_way(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> bool {
        let (Input::Datagram(datagram), Some(rest)) = (input, &self.rest) else { return false };
        let rest = copy(rest);
        let Some(forward) = self.machine.forward(cx, datagram) else {
            let after = self.machine.poll();
            assert!(after == rest, "a `None` of `forward` changed something (law 10): {after:?} instead of {rest:?}");
            return false;
        };
        self.forwarded = Some(forward.to_transmit());
        let after = self.machine.poll();
        assert!(matches!(after, Output::Wait(_)), "`forward` queued something beside its datagram (law 12): {after:?}");
        (self.rest, self.due, self.woken, self.now) = (None, None, false, cx.now());
        true
    }

    /// What an input may not change, if it is one of those.
    fn unchanged(&mut self, cx: &Cx<'_>, input: Input<'_>, verdict: Verdict) {
        let Some(rest) = self.rest.take() else { return };
        let early = match &rest {
            Output::Wait(wait) => wait.is_none_or(|wait| !wait.is_due(cx.now())),
            _ => false,
        };
        let foreign = match input {
            Input::Datagram(_) | Input::Socket(_, SocketEvent::Accepted { .. }) => verdict == Verdict::NotMine,
            Input::Socket(..) | Input::Timeout => false,
        };
        if input == Input::Timeout && early && cx.now() >= self.now {
            self.due = Some((rest, "a timeout before its time changed something (law 3)"));
        } else if foreign {
            self.due = Some((rest, "what was NotMine changed something (law 10)"));
        }
    }

    fn look(&mut self, output: &Output<M::Event>) {
        assert!(!self.ended || *output == Output::Wait(None), "after the end there was {output:?} (law 11)");
        match output {
            Output::Wait(wait) => {
                let stuck = wait.filter(|wait| self.woken && wait.is_due(self.now) && self.now != LAST);
                assert!(stuck.is_none(), "woken at {}, it waits until {stuck:?} (law 2)", self.now);
                let untaken = self.untaken.take();
                assert!(untaken.is_none(), "drained, it took nothing of {untaken:?}, and did not pause it (law 13)");
                self.given = 0;
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
        self.given += 1;
        assert!(self.given <= self.most, "more than {} outputs in one drain (laws 1 and 7)", self.most);
    }
}

/// Nothing lies after it.
const LAST: Instant = Instant::from_origin(Duration::MAX);

impl<M: Machine<Command: Script>> Machine for Watched<M> {
    type Command = M::Command;
    type Error = M::Error;
    type Event = M::Event;

    fn command(&mut self, cx: &mut Cx<'_>, command: M::Command) -> Result<(), M::Error> {
        (self.woken, self.rest, self.due, self.now) = (false, None, None, cx.now());
        self.machine.command(cx, command)
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if self.takes_short_way(cx, input) {
            return Verdict::Mine;
        }
        let verdict = self.machine.handle(cx, input);
        self.due = None;
        self.unchanged(cx, input, verdict);
        (self.woken, self.now) = (input == Input::Timeout, cx.now());
        if let Input::Socket(id, event) = input {
            match event {
                SocketEvent::Opened { .. } => self.open.push(id),
                SocketEvent::Accepted { socket, .. } => self.open.push(socket),
                SocketEvent::Full => self.blocked.push(id),
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
                Some(chunk.socket).filter(|_| taken == 0 && length > 0 && self.rest.is_some() && !is_blocked);
        }
        self.due = match self.rest.take() {
            Some(rest) if taken.is_none() => Some((rest, "bytes that were NotMine changed something (law 10)")),
            _ => None,
        };
        (self.woken, self.now) = (false, cx.now());
        taken
    }

    fn poll(&mut self) -> Output<M::Event> {
        let output = match self.forwarded.take() {
            Some(transmit) => Output::Transmit(transmit),
            None => self.machine.poll(),
        };
        if let Some((due, why)) = self.due.take() {
            assert!(output == due, "{why}: {output:?} instead of {due:?}");
        }
        self.look(&output);
        self.rest = matches!(output, Output::Wait(_)).then(|| copy(&output));
        output
    }
}

/// A wait again; events cannot be copied.
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

    /// A machine of one answer a packet, with one thing wrong.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fault {
        None,
        SendsOnNoSocket,
        AnswersForeign,
        WakesEarly,
        StaysBehind,
        GoesOn,
        TellsOfForward,
        TellsOfNone,
        TakesTooMuch,
        TakesNothing,
        Pauses,
    }

    #[derive(Debug)]
    struct Puppet {
        fault: Fault,
        out: Vec<Output<&'static str>>,
        now: Instant,
    }

    impl Machine for Puppet {
        type Command = Never;
        type Error = Never;
        type Event = &'static str;

        fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
            match command {}
        }

        fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
            self.now = cx.now();
            match (self.fault, input) {
                (Fault::SendsOnNoSocket, Input::Datagram(_)) => {
                    let remote = "192.0.2.1:1".parse().expect("an address");
                    let sent = Transmit::new(SocketId(7), remote, Bytes::new());
                    self.out.push(Output::Transmit(sent));
                    return Verdict::Mine;
                }
                (Fault::AnswersForeign, Input::Datagram(_)) | (Fault::WakesEarly, Input::Timeout) => {
                    self.out.push(Output::Event("noise"));
                }
                (Fault::GoesOn, Input::Datagram(_)) => {
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
                Fault::TellsOfForward => self.out.push(Output::Event("noise")),
                Fault::TellsOfNone => {
                    self.out.push(Output::Event("noise"));
                    return None;
                }
                Fault::None => {}
                _ => return None,
            }
            Some(Forward::new(datagram.socket, datagram.remote, datagram.payload))
        }

        fn poll(&mut self) -> Output<&'static str> {
            let late = Some(Deadline::new(Instant::ORIGIN, "behind")).filter(|_| self.fault == Fault::StaysBehind);
            self.out.pop().unwrap_or(Output::Wait(late))
        }
    }

    fn watch(fault: Fault) {
        let here = "192.0.2.1:1".parse().expect("an address");
        let script = [
            Step::timeout(Instant::from_millis(5)),
            Step::datagram(Instant::from_millis(10), SocketId(1), here, here, b"a packet"),
            Step::stream(Instant::from_millis(20), SocketId(1), here, here, b"bytes"),
        ];
        let context = Context { handed_in: &[SocketId(1)], terminal: |event| *event == "end", ..Context::default() };
        let factory = || Watched::new(Puppet { fault, out: Vec::new(), now: Instant::ORIGIN }, &context);
        let mut sent = 0;
        let whole = rehearse(&factory, &script, &context.for_wrapper(), 9, |_, output| {
            sent += usize::from(matches!(output, Output::Transmit(_)));
            Vec::new()
        });
        assert_eq!((whole.len(), sent), (3, usize::from(fault == Fault::None)));
    }

    #[test]
    fn a_sound_machine_passes() {
        watch(Fault::None);
    }

    #[test]
    fn a_stream_may_be_paused_instead_of_taken() {
        watch(Fault::Pauses);
    }

    #[test]
    #[should_panic(expected = "law 12")]
    fn an_output_beside_the_forwarded_datagram_is_seen() {
        watch(Fault::TellsOfForward);
    }

    #[test]
    #[should_panic(expected = "law 10")]
    fn a_none_of_forward_that_changes_something_is_seen() {
        watch(Fault::TellsOfNone);
    }

    #[test]
    #[should_panic(expected = "law 13")]
    fn more_bytes_than_came_are_seen() {
        watch(Fault::TakesTooMuch);
    }

    #[test]
    #[should_panic(expected = "law 13")]
    fn a_stream_that_is_neither_taken_nor_paused_is_seen() {
        watch(Fault::TakesNothing);
    }

    #[test]
    #[should_panic(expected = "law 8")]
    fn a_transmit_on_no_socket_is_seen() {
        watch(Fault::SendsOnNoSocket);
    }

    #[test]
    #[should_panic(expected = "law 10")]
    fn an_answer_to_what_was_not_its_own_is_seen() {
        watch(Fault::AnswersForeign);
    }

    #[test]
    #[should_panic(expected = "law 3")]
    fn an_early_awakening_is_seen() {
        watch(Fault::WakesEarly);
    }

    #[test]
    #[should_panic(expected = "law 2")]
    fn a_wait_that_stays_behind_is_seen() {
        watch(Fault::StaysBehind);
    }

    #[test]
    #[should_panic(expected = "law 11")]
    fn life_after_the_end_is_seen() {
        watch(Fault::GoesOn);
    }

    #[test]
    fn lots_fall_on_every_law_and_seldom() {
        let mut dice = crate::mutate::Dice::new(1);
        let inputs = (0..20_000).map(|_| std::array::from_fn::<u8, 40, _>(|_| dice.byte()));
        let laws: Vec<Law> = inputs.filter_map(|bytes| lot(&bytes)).collect();
        assert!((3000..4500).contains(&laws.len()), "{} of 20000 instead of 46 of 256", laws.len());
        let checked = Law::ALL.iter().filter(|law| **law != Law::StateBounded);
        assert!(checked.into_iter().all(|law| laws.contains(law)));
    }
}
