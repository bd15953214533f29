//! Law 6 and the bytes of a full stream.

use core::net::SocketAddr;
use portolan_machine::{Cx, Datagram, Input, Instant, Machine, Never, Outbox, Output, SocketEvent, SocketId, Verdict};
use portolan_sim::laws::{self, Context, Law, Step};

/// Reports the number of bytes that have arrived, at each timeout.
#[derive(Default)]
struct Meter {
    bytes: usize,
    out: Outbox<usize>,
}

impl Machine for Meter {
    type Command = Never;
    type Error = Never;
    type Event = usize;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if input == Input::Timeout {
            self.out.push(Output::Event(self.bytes));
        }
        Verdict::Mine
    }

    fn stream(&mut self, _: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        self.bytes += chunk.payload.len();
        Some(chunk.payload.len())
    }

    fn poll(&mut self) -> Output<usize> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

const LISTENER: SocketId = SocketId(1);

/// A driver hands in the bytes that waited before it hands in the next input, whether the owner drains or not.
#[test]
fn bytes_of_a_full_stream_arrive_before_the_next_step_also_without_a_drain() {
    let (local, remote): (SocketAddr, SocketAddr) = (([192, 0, 2, 1], 80).into(), ([192, 0, 2, 9], 5000).into());
    let (socket, at) = (SocketId(1_000_000), Instant::from_millis);
    let script = [
        Step::socket_event(at(0), LISTENER, SocketEvent::Accepted { socket, local, remote }),
        Step::socket_event(at(1), socket, SocketEvent::Full),
        Step::stream(at(2), socket, local, remote, b"three"),
        Step::socket_event(at(3), socket, SocketEvent::Writable),
        Step::timeout(at(4)),
        Step::timeout(at(5)),
        Step::timeout(at(6)),
    ];
    let context = Context { handed_in: &[LISTENER], ..Context::default() };
    laws::check(Law::DrainingIsFree, &Meter::default, &script, &context).unwrap();
}
