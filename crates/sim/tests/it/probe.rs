//! A machine that a test controls, and that reports everything it receives.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketId,
    SocketOrder, Transmit, Verdict,
};
use portolan_stun::{Attribute, ChangeRequest, Class, Message, Method, Writer};

/// Sends on request, echoes datagrams that begin with `?`, and reports everything that it receives.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    out: Outbox<ProbeEvent>,
    /// The repetition of the last bytes: the next time, and the remaining number.
    repeat: Option<(Instant, u32, Transmit)>,
}

/// An event of a probe.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ProbeEvent {
    Datagram { local: SocketAddr, remote: SocketAddr, bytes: Vec<u8> },
    Stream { socket: SocketId, remote: SocketAddr, bytes: Vec<u8> },
    Socket(SocketId, SocketEvent),
}

impl Probe {
    pub(crate) fn open(&mut self, cx: &mut Cx<'_>, protocol: Protocol, local: &str, remote: Option<&str>) -> SocketId {
        let id = cx.next_socket();
        self.open_as(id, protocol, local, remote);
        id
    }

    pub(crate) fn open_as(&mut self, id: SocketId, protocol: Protocol, local: &str, remote: Option<&str>) {
        let mut open = Open::new(id, protocol, local.parse().unwrap());
        if let Some(remote) = remote {
            open = open.towards(remote.parse().unwrap());
        }
        self.out.push(Output::Socket(SocketOrder::Open(open)));
    }

    pub(crate) fn close(&mut self, socket: SocketId) {
        self.out.push(Output::Socket(SocketOrder::Close(socket)));
    }

    pub(crate) fn send(&mut self, socket: SocketId, to: &str, bytes: impl Into<Vec<u8>>) {
        self.out.push(Output::Transmit(transmit(socket, to, bytes.into())));
    }

    pub(crate) fn send_from(&mut self, socket: SocketId, to: &str, source: &str, bytes: &str) {
        let transmit = transmit(socket, to, bytes.into()).with_local(source.parse().unwrap());
        self.out.push(Output::Transmit(transmit));
    }

    pub(crate) fn send_hops(&mut self, socket: SocketId, to: &str, hops: u8) {
        let mut transmit = transmit(socket, to, b"ttl".to_vec());
        transmit.hop_limit = Some(hops);
        self.out.push(Output::Transmit(transmit));
    }

    /// Sends a Binding request, with an optional CHANGE-REQUEST.
    pub(crate) fn send_request(&mut self, cx: &mut Cx<'_>, socket: SocketId, to: &str, change: Option<ChangeRequest>) {
        let bytes = request(cx.random(), change.map(Attribute::ChangeRequest).as_slice());
        self.send(socket, to, bytes);
    }

    /// Sends the same bytes `count` times, 10 ms apart, the first at once.
    pub(crate) fn repeat(&mut self, cx: &mut Cx<'_>, socket: SocketId, to: &str, count: u32) {
        self.repeat = Some((cx.now(), count, transmit(socket, to, b"tick".to_vec())));
        self.tick(cx.now());
    }

    fn tick(&mut self, now: Instant) {
        if let Some((at, left, transmit)) = &mut self.repeat
            && *at <= now
        {
            self.out.push(Output::Transmit(transmit.clone()));
            *at += Duration::from_millis(10);
            *left -= 1;
            if *left == 0 {
                self.repeat = None;
            }
        }
    }
}

pub(crate) fn request(id: [u8; 12], attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id.into()).unwrap();
    for attribute in attributes {
        writer.add(attribute).unwrap();
    }
    writer.finish().to_vec()
}

fn transmit(socket: SocketId, to: &str, bytes: Vec<u8>) -> Transmit {
    Transmit::new(socket, to.parse().unwrap(), bytes.into())
}

impl ProbeEvent {
    /// The source of a Binding response and the mapped address in it, if the datagram is one.
    pub(crate) fn mapped(&self) -> Option<(SocketAddr, SocketAddr)> {
        let Self::Datagram { remote, bytes, .. } = self else { return None };
        let message = Message::decode(bytes).ok()?;
        message.xor_mapped_address().or(message.mapped_address()).map(|mapped| (*remote, mapped))
    }
}

impl fmt::Debug for ProbeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datagram { remote, bytes, .. } => write!(f, "{} bytes from {remote}", bytes.len()),
            Self::Stream { remote, bytes, .. } => write!(f, "{} bytes on a stream from {remote}", bytes.len()),
            Self::Socket(socket, event) => write!(f, "{socket} {event}"),
        }
    }
}

impl Machine for Probe {
    type Command = Never;
    type Error = Never;
    type Event = ProbeEvent;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let received = match input {
            Input::Datagram(d) => {
                if d.payload.first() == Some(&b'?') {
                    self.out.push(Output::Transmit(Transmit::new(d.socket, d.remote, d.payload[1..].to_vec().into())));
                }
                ProbeEvent::Datagram { local: d.local, remote: d.remote, bytes: d.payload.to_vec() }
            }
            Input::Socket(socket, event) => ProbeEvent::Socket(socket, event),
            Input::Timeout => {
                self.tick(cx.now());
                return Verdict::Mine;
            }
        };
        self.out.push(Output::Event(received));
        Verdict::Mine
    }

    fn stream(&mut self, _: &mut Cx<'_>, d: Datagram<'_>) -> Option<usize> {
        if d.payload.first() == Some(&b'?') {
            self.out.push(Output::Transmit(Transmit::new(d.socket, d.remote, d.payload[1..].to_vec().into())));
        }
        let received = ProbeEvent::Stream { socket: d.socket, remote: d.remote, bytes: d.payload.to_vec() };
        self.out.push(Output::Event(received));
        Some(d.payload.len())
    }

    fn poll(&mut self) -> Output<ProbeEvent> {
        let wait = self.repeat.as_ref().map(|(at, ..)| Deadline::new(*at, "next repeat"));
        self.out.pop().unwrap_or(Output::Wait(wait))
    }
}
