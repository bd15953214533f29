//! Numbers, addresses and whole runs out of a fuzzer's bytes.
//!
//! Rules of this file: bytes are taken from the front, an empty feed gives zeros, so that every input means something and a
//! shorter one means less.

use portolan_machine::{Closure, Instant, Refusal, SocketEvent, SocketId, Unreachability};
use portolan_sim::laws::{Action, OwnedDatagram, OwnedInput, Step};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes that are used up from the front.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a>(&'a [u8]);

/// The addresses of both sides in a run: few, so that they meet.
pub const PLACES: [&str; 5] =
    ["192.0.2.1:3478", "192.0.2.2:3479", "192.0.2.1:3479", "[2001:db8::1]:3478", "198.51.100.7:40000"];

impl<'a> Feed<'a> {
    /// A feed of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`, at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Two bytes as a number.
    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Eight bytes as a number.
    pub fn long(&mut self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// Up to `count` bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// One of [`PLACES`].
    pub fn place(&mut self) -> SocketAddr {
        PLACES[self.below(PLACES.len())].parse().expect("an address")
    }

    /// Any address.
    pub fn address(&mut self) -> SocketAddr {
        if self.flag() {
            let mut ip = [0; 16];
            ip.iter_mut().for_each(|byte| *byte = self.byte());
            SocketAddr::from((ip, self.word()))
        } else {
            SocketAddr::from(([self.byte(), self.byte(), self.byte(), self.byte()], self.word()))
        }
    }

    /// A moment: mostly a little after `now`, seldom back at the origin or far ahead.
    pub fn moment(&mut self, now: Instant) -> Instant {
        match self.byte() {
            0 => Instant::ORIGIN,
            1 => Instant::from_origin(Duration::from_secs(self.long())),
            step @ 2..=127 => now + Duration::from_millis(u64::from(step)),
            step => now + Duration::from_millis(u64::from(step) * 37),
        }
    }

    /// A run of at most `most` steps on `sockets` sockets; `command` makes the owner's part of it.
    pub fn script(&mut self, most: usize, sockets: usize, mut command: impl FnMut(&mut Self) -> String) -> Vec<Step> {
        let (mut now, mut steps) = (Instant::ORIGIN, Vec::new());
        while !self.is_empty() && steps.len() < most {
            let at = self.moment(now);
            now = at.max(now);
            let kind = self.byte();
            let action = match kind & 7 {
                0 | 1 => Action::Command(command(self)),
                2 => Action::Input(OwnedInput::Timeout),
                3 => {
                    let socket = self.socket(sockets);
                    Action::Input(OwnedInput::Socket(socket, self.socket_event()))
                }
                4 => Action::Stream(self.datagram(sockets)),
                _ => Action::Input(OwnedInput::Datagram(self.datagram(sockets))),
            };
            steps.push(Step { at, drain: kind & 0x80 == 0, action });
        }
        steps
    }

    fn socket(&mut self, sockets: usize) -> SocketId {
        SocketId(1 + self.below(sockets + 1) as u64)
    }

    fn datagram(&mut self, sockets: usize) -> OwnedDatagram {
        let (socket, local, remote) = (self.socket(sockets), self.place(), self.place());
        OwnedDatagram { socket, local, remote, payload: self.payload() }
    }

    /// Bytes with a header that fits, or whatever lies there.
    fn payload(&mut self) -> Vec<u8> {
        let shape = self.byte();
        let length = self.below(64);
        if shape & 3 == 3 {
            return self.bytes(length).to_vec();
        }
        let kind = [0x0001_u16, 0x0101, 0x0111, 0x0011][usize::from(shape >> 2 & 3)];
        let id = if shape & 0x40 == 0 { [self.byte() & 7; 12] } else { std::array::from_fn(|_| self.byte()) };
        let mut body = self.bytes(length).to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let announced = u16::try_from(body.len()).unwrap_or(u16::MAX);
        let mut message: Vec<u8> = kind.to_be_bytes().into_iter().chain(announced.to_be_bytes()).collect();
        message.extend(portolan_stun::MAGIC_COOKIE.to_be_bytes());
        message.extend(id);
        message.extend(body);
        message
    }

    fn socket_event(&mut self) -> SocketEvent {
        match self.byte() % 6 {
            0 | 1 => SocketEvent::Opened { local: self.place() },
            2 => SocketEvent::Accepted {
                socket: SocketId(100 + u64::from(self.byte() & 7)),
                local: self.place(),
                remote: self.place(),
            },
            3 => SocketEvent::Unreachable { remote: self.place(), why: Unreachability::Port },
            4 => SocketEvent::Refused(Refusal::AddressInUse),
            _ => SocketEvent::Closed(Closure::Reset),
        }
    }
}
