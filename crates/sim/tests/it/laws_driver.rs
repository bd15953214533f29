//! `driver_legal` removes exactly the steps that no driver delivers.

use crate::laws_pinger::{Command, Pinger, terminal};
use core::net::SocketAddr;
use portolan_machine::{Closure, Instant, Refusal, SocketEvent, SocketId};
use portolan_sim::laws::{self, Context, Step};

const ID: SocketId = SocketId(1);

fn here() -> SocketAddr {
    ([192, 0, 2, 1], 5000).into()
}

/// The indices of the steps that are kept.
fn kept(script: &[Step]) -> Vec<usize> {
    let context = Context { terminal, ..Context::default() };
    let kept = laws::driver_legal(&|| Pinger::new(None), script, &context);
    let mut rest = kept.iter().peekable();
    let numbers =
        script.iter().enumerate().filter(|(_, step)| rest.next_if_eq(step).is_some()).map(|(n, _)| n).collect();
    assert_eq!(rest.next(), None, "the kept steps are in order");
    numbers
}

#[test]
fn an_order_is_answered_once_and_only_after_it_was_given() {
    let at = Instant::from_millis;
    let opened = SocketEvent::Opened { local: here() };
    let ping = Command::Ping { peer: here(), lossy: false };
    let script = [
        Step::socket_event(at(0), ID, opened),
        Step::command(at(1), &ping).undrained(),
        Step::socket_event(at(2), ID, opened),
        Step::timeout(at(3)),
        Step::socket_event(at(4), ID, opened),
        Step::socket_event(at(5), ID, SocketEvent::Refused(Refusal::NoRoute)),
        Step::socket_event(at(6), ID, opened),
    ];
    assert_eq!(kept(&script), [1, 3, 4], "the order is seen once it is drained");
}

#[test]
fn a_socket_is_silent_before_it_opens_and_after_it_closes() {
    let at = Instant::from_millis;
    let datagram = |millis, id| Step::datagram(at(millis), id, here(), here(), b"?");
    let script = [
        Step::command(at(0), &Command::Ping { peer: here(), lossy: false }),
        datagram(1, ID),
        Step::socket_event(at(2), ID, SocketEvent::Opened { local: here() }),
        datagram(3, ID),
        Step::socket_event(at(4), ID, SocketEvent::Closed(Closure::ByPeer)),
        datagram(5, SocketId(9)),
        Step::command(at(6), &Command::Stop),
        datagram(7, ID),
    ];
    assert_eq!(kept(&script), [0, 2, 3, 5, 6], "a peer cannot close a UDP socket, and sockets of others are received");
}

#[test]
fn a_stream_is_full_once_and_then_writable_once() {
    let at = Instant::from_millis;
    let event = |millis, event| Step::socket_event(at(millis), SocketId(40), event);
    let script = [
        event(0, SocketEvent::Writable),
        event(1, SocketEvent::Full),
        event(2, SocketEvent::Full),
        Step::stream(at(3), SocketId(40), here(), here(), b"bytes that wait"),
        event(4, SocketEvent::Writable),
        event(5, SocketEvent::Writable),
        event(6, SocketEvent::Full),
        event(7, SocketEvent::Closed(Closure::Reset)),
        event(8, SocketEvent::Writable),
    ];
    let context = Context { terminal, handed_in: &[SocketId(40)], ..Context::default() };
    let legal = laws::driver_legal(&|| Pinger::new(None), &script, &context);
    let kept: Vec<Step> = [1, 3, 4, 6, 7].map(|nth: usize| script[nth].clone()).to_vec();
    assert_eq!(legal, kept);
}
