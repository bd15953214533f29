//! Machines that consist of other machines: pairs, alternatives, slots and output queues.

use bytes::Bytes;
use core::fmt::{self, Write};
use core::net::SocketAddr;
use portolan_machine::{
    Cx, Datagram, Deadline, Either, EitherError, Entropy, Forward, Input, Instant, Machine, Outbox, Output, Pair,
    Script, ScriptError, Slot, SocketEvent, SocketId, SocketIds, Transmit, Verdict,
};

/// A machine that accepts datagrams and stream bytes that begin with its letter. It counts socket events and
/// timeouts.
#[derive(Debug)]
struct Letter {
    letter: u8,
    wake: Option<Instant>,
    events: u32,
    timeouts: u32,
    out: Outbox<u8>,
}

#[derive(Debug, PartialEq)]
struct Emit(u8);

impl Script for Emit {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "emit {}", self.0)
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        let count = text.strip_prefix("emit ").and_then(|n| n.parse().ok());
        count.map(Self).ok_or(ScriptError::new("`emit NUMBER`"))
    }
}

fn letter(letter: u8, wake: Option<u64>) -> Letter {
    Letter { letter, wake: wake.map(Instant::from_millis), events: 0, timeouts: 0, out: Outbox::new() }
}

impl Machine for Letter {
    type Command = Emit;
    type Error = ScriptError;
    type Event = u8;

    fn command(&mut self, _: &mut Cx<'_>, Emit(event): Emit) -> Result<(), ScriptError> {
        if event == 0 {
            return Err(ScriptError::new("a number above 0"));
        }
        self.out.push(Output::Event(event));
        Ok(())
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(d) if d.payload.first() == Some(&self.letter) => {
                let _accepted = self.out.offer(Output::Event(self.letter));
                Verdict::Mine
            }
            Input::Socket(SocketId(id), SocketEvent::Accepted { .. }) if id == u64::from(self.letter) => Verdict::Mine,
            Input::Socket(_, SocketEvent::Accepted { .. }) | Input::Datagram(_) => Verdict::NotMine,
            Input::Socket(..) => {
                self.events += 1;
                Verdict::Mine
            }
            Input::Timeout => {
                self.timeouts += 1;
                Verdict::Mine
            }
        }
    }

    fn stream(&mut self, _: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let own = chunk.payload.iter().take_while(|byte| **byte == self.letter).count();
        (own > 0).then_some(own)
    }

    fn forward<'a>(&mut self, _: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        let (first, body) = datagram.payload.split_first()?;
        (*first == self.letter.to_ascii_uppercase()).then(|| Forward::new(datagram.socket, datagram.remote, body))
    }

    fn poll(&mut self) -> Output<u8> {
        self.out.pop().unwrap_or(Output::Wait(self.wake.map(|at| Deadline::new(at, "test"))))
    }
}

struct Zero;
impl Entropy for Zero {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

fn here() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 9))
}

fn at<R>(millis: u64, call: impl FnOnce(&mut Cx<'_>) -> R) -> R {
    call(&mut Cx::new(Instant::from_millis(millis), &mut Zero, &mut SocketIds::new()))
}

fn with<R>(call: impl FnOnce(&mut Cx<'_>) -> R) -> R {
    at(0, call)
}

fn bytes(payload: &[u8]) -> Datagram<'_> {
    Datagram::new(SocketId(1), here(), here(), payload)
}

fn datagram(payload: &[u8]) -> Input<'_> {
    Input::Datagram(bytes(payload))
}

#[test]
fn a_datagram_goes_to_the_second_machine_only_if_the_first_declines() {
    let mut pair = Pair::new(letter(b'a', None), letter(b'b', None));
    let verdicts: Vec<_> =
        [b"a", b"b", b"c"].into_iter().map(|payload| with(|cx| pair.handle(cx, datagram(payload)))).collect();
    assert_eq!(verdicts, [Verdict::Mine, Verdict::Mine, Verdict::NotMine]);
    assert_eq!(pair.poll(), Output::Event(Either::First(b'a')));
    assert_eq!(pair.poll(), Output::Event(Either::Second(b'b')));
    assert_eq!(pair.poll(), Output::Wait(None));
}

#[test]
fn stream_bytes_go_to_the_second_machine_only_if_the_first_declines() {
    let mut pair = Pair::new(letter(b'a', None), letter(b'b', None));
    let taken: Vec<_> =
        [b"aab", b"bba", b"cab"].into_iter().map(|payload| with(|cx| pair.stream(cx, bytes(payload)))).collect();
    assert_eq!(taken, [Some(2), Some(2), None]);
}

#[test]
fn forward_calls_both_machines() {
    let mut pair = Pair::new(letter(b'a', None), letter(b'b', None));
    for (payload, body) in [(b"Ax", Some(b"x")), (b"By", Some(b"y")), (b"ab", None)] {
        let forward = with(|cx| pair.forward(cx, bytes(payload)));
        assert_eq!(forward.map(|forward| forward.body), body.map(|body| &body[..]));
    }
}

#[test]
fn a_datagram_that_both_machines_accept_goes_to_the_first() {
    let mut pair = Pair::new(letter(b'a', None), letter(b'a', None));
    assert_eq!(with(|cx| pair.handle(cx, datagram(b"a"))), Verdict::Mine);
    assert_eq!(pair.poll(), Output::Event(Either::First(b'a')));
    assert_eq!(pair.poll(), Output::Wait(None));
}

#[test]
fn socket_events_and_timeouts_go_to_both_machines_and_accepted_streams_to_one() {
    let mut pair = Pair::new(letter(1, None), letter(2, None));
    for event in [SocketEvent::Opened { local: here() }, SocketEvent::Full, SocketEvent::Writable] {
        assert_eq!(with(|cx| pair.handle(cx, Input::Socket(SocketId(7), event))), Verdict::Mine);
    }
    let _both = with(|cx| pair.handle(cx, Input::Timeout));
    assert_eq!([pair.first.events, pair.second.events, pair.first.timeouts, pair.second.timeouts], [3, 3, 1, 1]);

    let accepted = SocketEvent::Accepted { socket: SocketId(8), local: here(), remote: here() };
    for (listener, verdict) in [(1, Verdict::Mine), (2, Verdict::Mine), (3, Verdict::NotMine)] {
        assert_eq!(with(|cx| pair.handle(cx, Input::Socket(SocketId(listener), accepted))), verdict);
    }
}

#[test]
fn a_pair_waits_for_the_earlier_deadline() {
    let wait = |a, b| Pair::new(letter(1, a), letter(2, b)).poll();
    let at = |millis| Output::Wait(Some(Deadline::new(Instant::from_millis(millis), "test")));
    assert_eq!(wait(Some(30), Some(20)), at(20));
    assert_eq!(wait(Some(10), Some(20)), at(10));
    assert_eq!(wait(None, Some(20)), at(20));
    assert_eq!(wait(None, None), Output::Wait(None));
}

#[test]
fn commands_and_errors_name_their_machine() {
    let mut pair = Pair::new(letter(1, None), letter(2, None));
    with(|cx| pair.command(cx, Either::read("second emit 9").unwrap())).unwrap();
    assert_eq!(pair.poll(), Output::Event(Either::Second(9)));
    let refused = with(|cx| pair.command(cx, Either::First(Emit(0)))).unwrap_err();
    assert_eq!(refused.to_string(), "first machine: expected a number above 0");
    for text in ["", "emit 1", "third emit 1", "first", "first emit x"] {
        assert!(Either::<Emit, Emit>::read(text).is_err(), "{text}");
    }
}

#[test]
fn either_refuses_commands_for_the_absent_machine() {
    let mut either = Either::<Letter, Letter>::Second(letter(b'b', None));
    assert_eq!(with(|cx| either.command(cx, Either::Second(Emit(3)))), Ok(()));
    assert_eq!(either.poll(), Output::Event(Either::Second(3)));
    assert_eq!(with(|cx| either.command(cx, Either::First(Emit(3)))), Err(EitherError::Absent));
    assert_eq!(with(|cx| either.handle(cx, datagram(b"b"))), Verdict::Mine);
    assert_eq!(with(|cx| either.stream(cx, bytes(b"bbb"))), Some(3));
    assert!(with(|cx| either.forward(cx, bytes(b"B-"))).is_some());
    assert!(either.as_first_mut().is_none() && either.as_second_mut().is_some());
}

#[test]
fn a_slot_skips_an_unchanged_child() {
    let mut slot = Slot::new("letter", 0, letter(b'a', Some(40)));
    assert_eq!(slot.take(), None, "a new child is drained once, for its deadline");
    slot.get_mut().out.push(Output::Event(1));
    assert_eq!(slot.take(), Some(Output::Event(1)), "a change by `get_mut` is detected");
    assert_eq!(with(|cx| slot.handle(cx, datagram(b"x"))), Verdict::NotMine);
    assert_eq!(slot.take(), None);
    assert_eq!(with(|cx| slot.handle(cx, datagram(b"a"))), Verdict::Mine);
    assert_eq!([slot.take(), slot.take()], [Some(Output::Event(b'a')), None]);
    assert_eq!(with(|cx| slot.command(cx, Emit(7))), Ok(()));
    assert_eq!([slot.take(), slot.take()], [Some(Output::Event(7)), None]);
}

#[test]
fn the_deadline_of_a_slot_is_never_stale() {
    let mut slot = Slot::new("letter", 0, letter(b'a', Some(40)));
    assert_eq!(slot.wait().map(|wait| wait.at), Some(Instant::from_millis(40)), "before the first drain");
    slot.get_mut().wake = None;
    assert_eq!(slot.wait(), None);
    assert_eq!(with(|cx| slot.command(cx, Emit(7))), Ok(()));
    assert_eq!(
        slot.wait().map(|wait| wait.at),
        Some(Instant::ORIGIN),
        "a parent that did not drain the child is woken"
    );
    assert_eq!([slot.take(), slot.take()], [Some(Output::Event(7)), None], "no output is lost");
    assert!(with(|cx| slot.forward(cx, bytes(b"A-"))).is_some());
    assert_eq!(slot.wait(), None);
}

#[test]
fn a_slot_wakes_its_child_only_when_the_deadline_is_due() {
    let mut slot = Slot::new("letter", 0, letter(b'a', Some(40)));
    assert!(!at(39, |cx| slot.wake(cx)));
    assert_eq!(slot.get().timeouts, 0);
    assert!(at(40, |cx| slot.wake(cx)));
    assert_eq!(slot.get().timeouts, 1);
}

#[test]
fn outputs_caused_by_peers_are_bounded_and_outputs_caused_by_the_owner_are_not() {
    let mut out = Outbox::<u8>::new();
    let send = || Output::Transmit(Transmit::new(SocketId(1), here(), Bytes::from_static(b"x")));
    let taken = (0..300).filter(|_| out.offer(send())).count();
    assert_eq!((taken, out.room()), (Outbox::<u8>::LIMIT, 0));
    out.push(Output::Event(1));
    assert_eq!(out.len(), Outbox::<u8>::LIMIT + 1);
    assert!(!out.offer(send()), "the queue is full");
    while out.pop().is_some() {}
    assert!(out.is_empty() && out.offer(send()));
    assert_eq!(out.room(), Outbox::<u8>::LIMIT - 1);
}
