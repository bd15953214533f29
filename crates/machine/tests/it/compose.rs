//! Machines made of machines.

use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{
    Cx, Datagram, Deadline, Either, Entropy, Input, Instant, Machine, NoCommands, Outbox, Output, Pair, Slot, SocketId,
    SocketIds, SocketNews, Transmit, Verdict,
};

/// Takes datagrams that begin with its letter, counts everything else it hears, wakes when it is told to.
#[derive(Debug)]
struct Letter {
    letter: u8,
    wake: Option<Instant>,
    news: u32,
    timeouts: u32,
    out: Outbox<u8>,
}

#[derive(Debug, PartialEq)]
struct Say(u8);

impl fmt::Display for Say {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "say {}", self.0)
    }
}

impl core::str::FromStr for Say {
    type Err = NoCommands;

    fn from_str(text: &str) -> Result<Self, NoCommands> {
        text.strip_prefix("say ").and_then(|n| n.parse().ok()).map(Self).ok_or(NoCommands)
    }
}

fn letter(letter: u8, wake: Option<u64>) -> Letter {
    Letter { letter, wake: wake.map(Instant::from_millis), news: 0, timeouts: 0, out: Outbox::new() }
}

impl Machine for Letter {
    type Command = Say;
    type Error = NoCommands;
    type Event = u8;

    fn command(&mut self, _: &mut Cx<'_>, Say(what): Say) -> Result<(), NoCommands> {
        if what == 0 {
            return Err(NoCommands);
        }
        self.out.push(Output::Event(what));
        Ok(())
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(d) | Input::Stream(d) if d.payload.first() == Some(&self.letter) => {
                let _room = self.out.offer(Output::Event(self.letter));
                Verdict::Mine
            }
            Input::Socket(SocketId(id), SocketNews::Accepted { .. }) if id == u64::from(self.letter) => Verdict::Mine,
            Input::Socket(_, SocketNews::Accepted { .. }) | Input::Datagram(_) | Input::Stream(_) => Verdict::NotMine,
            Input::Socket(..) => {
                self.news += 1;
                Verdict::Mine
            }
            Input::Timeout => {
                self.timeouts += 1;
                Verdict::Mine
            }
        }
    }

    fn poll(&mut self) -> Output<u8> {
        self.out.pop().unwrap_or(Output::Wait(self.wake.map(|at| Deadline::new(at, "its hour"))))
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

fn with<R>(call: impl FnOnce(&mut Cx<'_>) -> R) -> R {
    call(&mut Cx::new(Instant::ORIGIN, &mut Zero, &mut SocketIds::new()))
}

fn datagram(payload: &[u8]) -> Input<'_> {
    Input::Datagram(Datagram { socket: SocketId(1), local: here(), remote: here(), payload })
}

#[test]
fn a_datagram_goes_to_the_second_only_when_the_first_declines() {
    let mut pair = Pair::new(letter(b'a', None), letter(b'b', None));
    let verdicts: Vec<_> =
        [b"a", b"b", b"c"].into_iter().map(|payload| with(|cx| pair.handle(cx, datagram(payload)))).collect();
    assert_eq!(verdicts, [Verdict::Mine, Verdict::Mine, Verdict::NotMine]);
    assert_eq!(pair.poll(), Output::Event(Either::First(b'a')));
    assert_eq!(pair.poll(), Output::Event(Either::Second(b'b')));
    assert_eq!(pair.poll(), Output::Wait(None));
}

#[test]
fn both_may_want_the_same_letter_and_the_first_gets_it() {
    let mut pair = Pair::new(letter(b'a', None), letter(b'a', None));
    assert_eq!(with(|cx| pair.handle(cx, datagram(b"a"))), Verdict::Mine);
    assert_eq!(pair.poll(), Output::Event(Either::First(b'a')));
    assert_eq!(pair.poll(), Output::Wait(None));
}

#[test]
fn news_and_timeouts_go_to_both_and_accepted_streams_to_one() {
    let mut pair = Pair::new(letter(1, None), letter(2, None));
    let opened = Input::Socket(SocketId(7), SocketNews::Opened { local: here() });
    assert_eq!(with(|cx| pair.handle(cx, opened)), Verdict::Mine);
    let _both = with(|cx| pair.handle(cx, Input::Timeout));
    assert_eq!([pair.first.news, pair.second.news, pair.first.timeouts, pair.second.timeouts], [1; 4]);

    let accepted = SocketNews::Accepted { socket: SocketId(8), local: here(), remote: here() };
    for (listener, verdict) in [(1, Verdict::Mine), (2, Verdict::Mine), (3, Verdict::NotMine)] {
        assert_eq!(with(|cx| pair.handle(cx, Input::Socket(SocketId(listener), accepted))), verdict);
    }
}

#[test]
fn a_pair_waits_for_the_earlier_of_its_two() {
    let wait = |a, b| Pair::new(letter(1, a), letter(2, b)).poll();
    let at = |millis| Output::Wait(Some(Deadline::new(Instant::from_millis(millis), "its hour")));
    assert_eq!(wait(Some(30), Some(20)), at(20));
    assert_eq!(wait(Some(10), Some(20)), at(10));
    assert_eq!(wait(None, Some(20)), at(20));
    assert_eq!(wait(None, None), Output::Wait(None));
}

#[test]
fn commands_and_their_refusals_keep_their_side() {
    let mut pair = Pair::new(letter(1, None), letter(2, None));
    with(|cx| pair.command(cx, "second say 9".parse().unwrap())).unwrap();
    assert_eq!(pair.poll(), Output::Event(Either::Second(9)));
    let refused = with(|cx| pair.command(cx, Either::First(Say(0)))).unwrap_err();
    assert_eq!(refused.to_string(), "first this machine takes no commands");
    for text in ["", "say 1", "third say 1", "first", "first say x"] {
        assert!(text.parse::<Either<Say, Say>>().is_err(), "{text}");
    }
}

#[test]
fn a_slot_keeps_the_wait_of_its_last_drain() {
    let mut slot = Slot::new(letter(b'a', Some(40)));
    assert_eq!(slot.wait(), None, "not drained yet");
    assert_eq!(with(|cx| slot.handle(cx, datagram(b"a"))), Verdict::Mine);
    assert_eq!(slot.take(), Some(Output::Event(b'a')));
    assert_eq!(slot.take(), None);
    assert_eq!(slot.wait().map(|wait| wait.at), Some(Instant::from_millis(40)));
    assert!(slot.is_due(Instant::from_millis(40)) && !slot.is_due(Instant::from_millis(39)));
    slot.get_mut().wake = None;
    assert!(slot.is_due(Instant::from_millis(50)), "kept until the next drain");
    assert_eq!(slot.take(), None);
    assert_eq!(slot.wait(), None);
}

#[test]
fn what_peers_cause_is_bounded_and_what_the_owner_causes_is_not() {
    let mut out = Outbox::<u8>::new();
    let send = || Output::Transmit(Transmit::new(SocketId(1), here(), Bytes::from_static(b"x")));
    let taken = (0..300).filter(|_| out.offer(send())).count();
    assert_eq!(taken, Outbox::<u8>::LIMIT);
    out.push(Output::Event(1));
    assert_eq!(out.len(), Outbox::<u8>::LIMIT + 1);
    assert!(!out.offer(send()), "full is full");
    while out.pop().is_some() {}
    assert!(out.is_empty() && out.offer(send()));
}
