//! The time that a datagram needs from sender to receiver, at a fixed rate.
//!
//! The load sends at equal intervals and polls the receiver without sleeping. When the system gives the core of the
//! load to another process, the datagrams in flight at that time are not counted.

use crate::Outcome;
use crate::client::Clients;
use crate::load::Direction;
use alloc::collections::VecDeque;
use core::time::Duration;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Instant;

/// The payload of a datagram in bytes.
const LENGTH: usize = 160;
/// A pause of the load longer than this is a disturbance.
const DISTURBANCE: Duration = Duration::from_micros(50);
/// A datagram that has not arrived after this time is lost.
const PATIENCE: Duration = Duration::from_millis(20);

/// The median and the 99th percentile in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Latency {
    /// Returns `None` if no datagram was timed: the run was short, or disturbed all the time.
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).map(|time| time.as_secs_f64() * 1e6);
        Some(Self { median: at(50)?, p99: at(99)? })
    }
}

/// Measures through a server: each datagram goes to another flow.
pub(crate) fn through(
    clients: &Clients,
    peer: &UdpSocket,
    direction: Direction,
    interval: Duration,
    time: Duration,
) -> Outcome<Option<Latency>> {
    let mut datagram = match direction {
        Direction::ToPeer => clients.head(LENGTH),
        Direction::ToClient => Vec::new(),
    };
    datagram.resize(datagram.len() + LENGTH, 7);
    let flows = &clients.all;
    let client = |flow: usize| flows.get(flow % flows.len()).ok_or(ErrorKind::NotFound);
    let send = |flow| match direction {
        Direction::ToPeer => client(flow)?.socket.send(&datagram),
        Direction::ToClient => peer.send_to(&datagram, client(flow)?.relayed),
    };
    let receive = |flow, buffer: &mut [u8]| match direction {
        Direction::ToPeer => peer.recv(buffer),
        Direction::ToClient => client(flow)?.socket.recv(buffer),
    };
    measure(send, receive, interval, time)
}

/// Measures without a server: the client sends to the peer.
pub(crate) fn direct(peer: &UdpSocket, interval: Duration, time: Duration) -> Outcome<Option<Latency>> {
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.connect(peer.local_addr()?)?;
    measure(|_| client.send(&[7; LENGTH]), |_, buffer| peer.recv(buffer), interval, time)
}

/// Sends with `send` and receives with `receive`, which get the number of the datagram.
fn measure(
    send: impl Fn(usize) -> std::io::Result<usize>,
    receive: impl Fn(usize, &mut [u8]) -> std::io::Result<usize>,
    interval: Duration,
    time: Duration,
) -> Outcome<Option<Latency>> {
    let (mut times, mut in_flight) = (Vec::new(), VecDeque::new());
    let mut buffer = [0; 2_048];
    let begin = Instant::now();
    let (mut next, mut last, mut disturbed, mut number) = (begin, begin, begin, 0);
    while last < begin + time {
        let now = Instant::now();
        if now.duration_since(last) > DISTURBANCE {
            disturbed = now;
            next = next.max(now);
        }
        last = now;
        if now >= next {
            send(number)?;
            in_flight.push_back((number, now));
            number += 1;
            next += interval;
        }
        let Some(&(oldest, sent)) = in_flight.front() else { continue };
        match receive(oldest, &mut buffer) {
            Ok(_) => {
                in_flight.pop_front();
                if sent > disturbed {
                    times.push(sent.elapsed());
                }
            }
            Err(why) if why.kind() != ErrorKind::WouldBlock => return Err(why.into()),
            Err(_) if sent.elapsed() > PATIENCE => {
                in_flight.pop_front();
            }
            Err(_) => {}
        }
    }
    // What is still in flight must not reach the next measurement.
    let end = Instant::now() + PATIENCE;
    while let Some(&(oldest, _)) = in_flight.front() {
        if receive(oldest, &mut buffer).is_ok() || Instant::now() > end {
            in_flight.pop_front();
        }
    }
    Ok(Latency::of(times))
}
