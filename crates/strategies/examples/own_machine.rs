//! A property test of a machine of one's own: the laws of `portolan_machine` over random runs, with shrinking.
//!
//! Run it with `cargo run -p portolan-strategies --example own_machine`. It checks a correct machine and a faulty one, and
//! prints the smallest run in which the faulty machine breaks a law. In a project, the call of [`assert_laws`] stands in
//! a `#[test]`.

use core::time::Duration;
use portolan_machine::{
    Cx, Deadline, Input, Instant, Machine, Never, Outbox, Output, SocketEvent, SocketId, Transmit, Verdict,
};
use portolan_sim::laws::Law;
use portolan_strategies::laws::{LawsConfig, assert_laws, find_violation};
use portolan_strategies::machines::Scripts;
use proptest::prelude::*;

const SOCKETS: [SocketId; 1] = [SocketId(1)];

/// Answers `ping` by `pong`, and reports the number of pings of each second.
#[derive(Debug)]
struct Pong<const FAULTY: bool> {
    /// The socket that the owner handed in, until it is closed.
    socket: Option<SocketId>,
    out: Outbox<u32>,
    pings: u32,
    report: Option<Instant>,
}

impl<const FAULTY: bool> Pong<FAULTY> {
    fn new() -> Self {
        Self { socket: SOCKETS.first().copied(), out: Outbox::new(), pings: 0, report: None }
    }
}

impl<const FAULTY: bool> Machine for Pong<FAULTY> {
    type Command = Never;
    type Error = Never;
    type Event = u32;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(datagram) if self.socket == Some(datagram.socket) && datagram.payload == b"ping" => {
                let pong = Transmit::new(datagram.socket, datagram.remote, b"pong".as_slice().into());
                if FAULTY {
                    // The fault: a flood of pings fills the queue without a bound.
                    self.out.push(Output::Transmit(pong));
                } else if !self.out.offer(Output::Transmit(pong)) {
                    return Verdict::Mine;
                }
                self.pings = self.pings.saturating_add(1);
                self.report.get_or_insert(cx.now() + Duration::from_secs(1));
                Verdict::Mine
            }
            Input::Socket(socket, SocketEvent::Closed(_) | SocketEvent::Refused(_)) if self.socket == Some(socket) => {
                self.socket = None;
                Verdict::Mine
            }
            Input::Timeout if self.report.is_some_and(|at| at <= cx.now()) => {
                self.report = None;
                self.out.push(Output::Event(core::mem::take(&mut self.pings)));
                Verdict::Mine
            }
            Input::Timeout => Verdict::Mine,
            Input::Socket(..) | Input::Datagram(_) => Verdict::NotMine,
        }
    }

    fn poll(&mut self) -> Output<u32> {
        let wait = self.report.map(|at| Deadline::new(at, "report"));
        self.out.pop().unwrap_or(Output::Wait(wait))
    }
}

fn main() {
    let payloads = prop_oneof![Just(b"ping".to_vec()), prop::collection::vec(any::<u8>(), 0..8)];
    // The owner hands an open socket to the machine: the machine opens none itself.
    let scripts = Scripts::new(payloads).sockets(&SOCKETS);
    let (correct, faulty) = (LawsConfig::for_sockets(&SOCKETS), LawsConfig::for_sockets(&SOCKETS));

    assert_laws(&Pong::<false>::new, &scripts, &correct);
    println!("the correct machine keeps all {} laws", Law::ALL.len());

    match find_violation(&Pong::<true>::new, &scripts, &faulty) {
        Some(failure) => println!("the faulty machine breaks a law: {failure}"),
        None => panic!("the fault was not found"),
    }
}
