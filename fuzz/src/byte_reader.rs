//! Converts the bytes of a fuzzer to numbers, addresses and scripts.
//!
//! Bytes are consumed from the front. After the last byte the reader returns zeros, so every input is valid.

use portolan_machine::{Closure, Instant, Refusal, SocketEvent, SocketId, Unreachability};
use portolan_sim::laws::{Action, OwnedDatagram, OwnedInput, Step};
use std::net::SocketAddr;
use std::time::Duration;

/// A reader that consumes bytes from the front.
#[derive(Clone, Copy, Debug)]
pub struct ByteReader<'a>(&'a [u8]);

/// The addresses of both sides in a run. The list is short, so that packets often match a socket or a request.
pub const ADDRESSES: [&str; 5] =
    ["192.0.2.1:3478", "192.0.2.2:3479", "192.0.2.1:3479", "[2001:db8::1]:3478", "198.51.100.7:40000"];

impl<'a> ByteReader<'a> {
    /// Returns a reader of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all bytes are consumed.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the remaining bytes.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Returns the next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Returns a number below `bound`, and below 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// Returns the lowest bit of the next byte.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Returns the next two bytes as a number.
    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Returns the next eight bytes as a number.
    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// Returns the next `count` bytes, or fewer at the end.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Returns one of [`ADDRESSES`].
    pub fn known_address(&mut self) -> SocketAddr {
        ADDRESSES[self.below(ADDRESSES.len())].parse().expect("an address")
    }

    /// Returns any address.
    pub fn address(&mut self) -> SocketAddr {
        if self.flag() {
            let mut ip = [0; 16];
            ip.iter_mut().for_each(|byte| *byte = self.byte());
            SocketAddr::from((ip, self.word()))
        } else {
            SocketAddr::from(([self.byte(), self.byte(), self.byte(), self.byte()], self.word()))
        }
    }

    /// Returns a time: mostly a few seconds after `now`, rarely the origin or a time far in the future.
    pub fn time(&mut self, now: Instant) -> Instant {
        match self.byte() {
            0 => Instant::ORIGIN,
            1 => Instant::from_origin(Duration::from_secs(self.u64())),
            step @ 2..=127 => now + Duration::from_millis(u64::from(step)),
            step => now + Duration::from_millis(u64::from(step) * 37),
        }
    }

    /// Returns a script of at most `most` steps on `sockets` sockets; `command` returns the text of a command.
    pub fn script(&mut self, most: usize, sockets: usize, mut command: impl FnMut(&mut Self) -> String) -> Vec<Step> {
        let (mut now, mut steps) = (Instant::ORIGIN, Vec::new());
        while !self.is_empty() && steps.len() < most {
            let at = self.time(now);
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
        let (socket, local, remote) = (self.socket(sockets), self.known_address(), self.known_address());
        OwnedDatagram { socket, local, remote, payload: self.payload() }
    }

    /// Returns a payload: mostly a message with a valid header, else the next bytes.
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
            0 | 1 => SocketEvent::Opened { local: self.known_address() },
            2 => SocketEvent::Accepted {
                socket: SocketId(100 + u64::from(self.byte() & 7)),
                local: self.known_address(),
                remote: self.known_address(),
            },
            3 => SocketEvent::Unreachable { remote: self.known_address(), why: Unreachability::Port },
            4 => SocketEvent::Refused(Refusal::AddressInUse),
            _ => SocketEvent::Closed(Closure::Reset),
        }
    }
}
