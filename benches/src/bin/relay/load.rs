//! The traffic: a fixed number of datagrams in flight, in one direction.
//!
//! The load never sleeps while it waits for a datagram. A sleeping receiver must be woken, and the server would pay
//! for that in its send call. Datagrams that do not arrive within [`PATIENCE`] count as lost.

use crate::Outcome;
use crate::client::Clients;
use crate::server::Server;
use alloc::collections::VecDeque;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use nix::sys::socket::{setsockopt, sockopt};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Instant;

/// The time after which a datagram is lost.
const PATIENCE: Duration = Duration::from_millis(300);
/// The bursts in flight, each of another flow.
const BURSTS: usize = 16;
/// The datagrams in flight when every datagram goes to another flow.
const SINGLES: usize = 64;

/// The order of the datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Each datagram goes to another flow.
    Single,
    /// Eight datagrams of one flow, then eight of the next. Each is sent by its own system call, so the server can
    /// receive a burst before its end.
    Bursts,
    /// Bursts that one system call sends (segmentation offload): a burst arrives as a whole.
    Whole,
    /// The same, and the load also receives merged datagrams (receive offload), as an interface with offloads does.
    Offload,
}

impl Pattern {
    pub(crate) const ALL: [Self; 4] = [Self::Single, Self::Bursts, Self::Whole, Self::Offload];

    /// The name in the tables and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Bursts => "bursts",
            Self::Whole => "whole",
            Self::Offload => "offload",
        }
    }

    /// The datagrams of one flow in succession.
    pub(crate) const fn burst(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Bursts | Self::Whole | Self::Offload => 8,
        }
    }

    const fn window(self) -> usize {
        match self {
            Self::Single => SINGLES,
            Self::Bursts | Self::Whole | Self::Offload => BURSTS * self.burst(),
        }
    }

    /// Whether one system call sends a burst.
    const fn segments(self) -> bool {
        matches!(self, Self::Whole | Self::Offload)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The direction of the datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToPeer,
    ToClient,
}

impl Direction {
    pub(crate) const ALL: [Self; 2] = [Self::ToPeer, Self::ToClient];
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ToPeer => "to peer",
            Self::ToClient => "to client",
        })
    }
}

/// One kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) pattern: Pattern,
    pub(crate) direction: Direction,
    /// The payload of a datagram in bytes.
    pub(crate) length: usize,
}

impl Traffic {
    /// A pattern with both lengths in both directions.
    pub(crate) fn of(pattern: Pattern) -> impl Iterator<Item = Self> {
        let with = move |length| Direction::ALL.map(|direction| Self { pattern, direction, length });
        [160, 1_000].into_iter().flat_map(with)
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8}{:>5} B  {:<9}", self.pattern, self.length, self.direction)
    }
}

/// The result of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    pub(crate) datagrams: u64,
    /// The same with the warm-up.
    pub(crate) in_all: u64,
    pub(crate) lost: u64,
    /// The processor time of the server.
    pub(crate) spent: Duration,
    /// The time of the run.
    pub(crate) elapsed: Duration,
}

impl Delivered {
    /// The delivered datagrams for each second of processor time of the server.
    pub(crate) fn per_second(&self) -> f64 {
        self.datagrams as f64 / self.spent.as_secs_f64()
    }

    /// The share of the run in which the server used its core.
    pub(crate) fn load(&self) -> f64 {
        self.spent.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// Sends for `time` and returns the number of delivered datagrams and the server's processor time.
pub(crate) fn run(
    server: &Server,
    clients: &Clients,
    peer: &UdpSocket,
    traffic: Traffic,
    time: Duration,
) -> Outcome<Delivered> {
    let mut run = Run::new(clients, peer, traffic)?;
    run.set_offload(true)?;
    run.drain();
    run.exchange(time / 10)?;
    let warm_up = run.delivered;
    (run.delivered, run.lost) = (0, 0);
    let (before, begin) = (server.processor_time()?, Instant::now());
    run.exchange(time)?;
    let (spent, elapsed) = (server.processor_time()? - before, begin.elapsed());
    let (datagrams, lost) = (run.delivered, run.lost);
    run.set_offload(false)?;
    Ok(Delivered { datagrams, in_all: datagrams + warm_up, lost, spent, elapsed })
}

/// A path of one flow: the datagram goes out on one socket and comes in on another.
struct Path<'a> {
    sender: &'a UdpSocket,
    /// `None` if the socket is connected.
    to: Option<SocketAddr>,
    receiver: &'a UdpSocket,
}

struct Run<'a> {
    paths: Vec<Path<'a>>,
    traffic: Traffic,
    /// The datagram with its header, as often as one call sends it.
    bytes: Vec<u8>,
    /// The length of a sent datagram.
    segment: usize,
    /// The length of a received datagram.
    expected: usize,
    next: usize,
    /// The flows of the bursts in flight, in the order in which they were sent.
    order: VecDeque<usize>,
    /// The datagrams of the first of these bursts that have not arrived.
    left: usize,
    in_flight: usize,
    delivered: u64,
    lost: u64,
}

impl<'a> Run<'a> {
    fn new(clients: &'a Clients, peer: &'a UdpSocket, traffic: Traffic) -> Outcome<Self> {
        let Traffic { pattern, direction, length } = traffic;
        let paths = clients.all.iter().map(|client| match direction {
            Direction::ToPeer => Path { sender: &client.socket, to: None, receiver: peer },
            Direction::ToClient => Path { sender: peer, to: Some(client.relayed), receiver: &client.socket },
        });
        let mut datagram = match direction {
            Direction::ToPeer => clients.head(length),
            Direction::ToClient => Vec::new(),
        };
        let expected = match direction {
            Direction::ToPeer => length,
            Direction::ToClient => clients.head(length).len() + length,
        };
        datagram.resize(datagram.len() + length, 7);
        let times = if pattern.segments() { pattern.burst() } else { 1 };
        Ok(Self {
            paths: paths.collect(),
            traffic,
            bytes: datagram.repeat(times),
            segment: datagram.len(),
            expected,
            next: 0,
            order: VecDeque::new(),
            left: pattern.burst(),
            in_flight: 0,
            delivered: 0,
            lost: 0,
        })
    }

    /// Turns the offloads of the pattern on or off, at all sockets of the load.
    fn set_offload(&self, on: bool) -> Outcome<()> {
        let Traffic { pattern, .. } = self.traffic;
        let segment = if on { i32::try_from(self.segment)? } else { 0 };
        for path in &self.paths {
            if pattern.segments() {
                setsockopt(path.sender, sockopt::UdpGsoSegment, &segment)?;
            }
            if pattern == Pattern::Offload {
                setsockopt(path.receiver, sockopt::UdpGroSegment, &on)?;
            }
        }
        Ok(())
    }

    /// Receives what an earlier run has left.
    fn drain(&self) {
        std::thread::sleep(Duration::from_millis(2));
        let mut buffer = [0; 65_536];
        for path in &self.paths {
            while path.receiver.recv(&mut buffer).is_ok() {}
        }
    }

    /// Keeps the window full for `time`, and then receives what is in flight.
    fn exchange(&mut self, time: Duration) -> Outcome<()> {
        let (burst, window) = (self.traffic.pattern.burst(), self.traffic.pattern.window());
        let end = Instant::now() + time;
        let mut heard = Instant::now();
        let mut buffer = vec![0; 65_536];
        loop {
            let now = Instant::now();
            if now < end {
                while self.in_flight + burst <= window {
                    self.send(burst)?;
                }
            } else if self.in_flight == 0 {
                return Ok(());
            }
            if self.receive(&mut buffer)? {
                heard = now;
            } else if now.duration_since(heard) > PATIENCE {
                self.give_up();
                heard = now;
            } else {
                // A server on the same core runs now.
                std::thread::yield_now();
            }
        }
    }

    fn send(&mut self, burst: usize) -> Outcome<()> {
        let flow = self.next % self.paths.len();
        let Some(path) = self.paths.get(flow) else { return Err("no flow".into()) };
        let mut sent = 0;
        while sent < burst {
            let result = match path.to {
                None => path.sender.send(&self.bytes),
                Some(to) => path.sender.send_to(&self.bytes, to),
            };
            match result {
                Ok(length) => sent += length / self.segment,
                // The send buffer is full: the load waits.
                Err(why) if why.kind() == ErrorKind::WouldBlock => {}
                Err(why) => return Err(why.into()),
            }
        }
        self.in_flight += burst;
        self.order.push_back(flow);
        self.next += 1;
        Ok(())
    }

    /// Receives some datagrams. Returns whether any arrived.
    fn receive(&mut self, buffer: &mut [u8]) -> Outcome<bool> {
        /// The datagrams that are received before the window is filled again.
        const BATCH: usize = 16;
        let before = self.delivered;
        for _ in 0..BATCH {
            // Several flows have one receiver if the peer receives: then the order of the flows does not matter.
            let Some(flow) = self.order.front().copied() else { break };
            let Some(path) = self.paths.get(flow) else { return Err("no flow".into()) };
            let length = match path.receiver.recv(buffer) {
                Ok(length) => length,
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Err(why) => return Err(why.into()),
            };
            if length % self.expected != 0 {
                return Err(format!("a datagram of {length} bytes instead of {}", self.expected).into());
            }
            self.count(length / self.expected);
        }
        Ok(self.delivered > before)
    }

    /// Counts datagrams that arrived, of the flow that has waited longest.
    fn count(&mut self, datagrams: usize) {
        self.delivered += datagrams as u64;
        for _ in 0..datagrams {
            let Some(flow) = self.order.pop_front() else { return };
            self.left = self.left.saturating_sub(1);
            if self.left > 0 {
                self.order.push_front(flow);
            } else {
                self.left = self.traffic.pattern.burst();
            }
            self.in_flight = self.in_flight.saturating_sub(1);
        }
    }

    /// Counts all datagrams in flight as lost.
    fn give_up(&mut self) {
        self.lost += self.in_flight as u64;
        self.in_flight = 0;
        self.order.clear();
        self.left = self.traffic.pattern.burst();
    }
}
