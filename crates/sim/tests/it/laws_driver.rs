//! `driver_legal` removes the steps that no driver delivers, and no others.

use crate::laws_pinger::{Command, Pinger, terminal};
use core::net::SocketAddr;
use portolan_machine::{Closure, Instant, Refusal, SocketId, SocketNews};
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
    let opened = SocketNews::Opened { local: here() };
    let ping = Command::Ping { peer: here(), lossy: false };
    let script = [
        Step::news(at(0), ID, opened),
        Step::command(at(1), &ping).undrained(),
        Step::news(at(2), ID, opened),
        Step::timeout(at(3)),
        Step::news(at(4), ID, opened),
        Step::news(at(5), ID, SocketNews::Refused(Refusal::NoRoute)),
        Step::news(at(6), ID, opened),
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
        Step::news(at(2), ID, SocketNews::Opened { local: here() }),
        datagram(3, ID),
        Step::news(at(4), ID, SocketNews::Closed(Closure::ByPeer)),
        datagram(5, SocketId(9)),
        Step::command(at(6), &Command::Stop),
        datagram(7, ID),
    ];
    assert_eq!(kept(&script), [0, 2, 3, 5, 6], "UDP is not closed by peers; another's socket is received");
}

#[test]
fn a_stream_is_full_once_and_then_writable_once() {
    let at = Instant::from_millis;
    let news = |millis, news| Step::news(at(millis), SocketId(40), news);
    let script = [
        news(0, SocketNews::Writable),
        news(1, SocketNews::Full),
        news(2, SocketNews::Full),
        Step::stream(at(3), SocketId(40), here(), here(), b"bytes come, and wait"),
        news(4, SocketNews::Writable),
        news(5, SocketNews::Writable),
        news(6, SocketNews::Full),
        news(7, SocketNews::Closed(Closure::Reset)),
        news(8, SocketNews::Writable),
    ];
    let context = Context { terminal, handed_in: &[SocketId(40)], ..Context::default() };
    let legal = laws::driver_legal(&|| Pinger::new(None), &script, &context);
    let kept: Vec<Step> = [1, 3, 4, 6, 7].map(|nth: usize| script[nth].clone()).to_vec();
    assert_eq!(legal, kept);
}
