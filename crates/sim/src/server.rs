//! Servers: a STUN server as RFC 5780 wants it, and what others are like.
//!
//! A [`Server`] is plain data: where it listens and what is wrong with it ([`Fault`]). It is one function without
//! sockets or timers, so that a virtual internet can ask it a million times a second: it decides
//! what an honest server would say, a [`Fault`] bends that, and only then it becomes bytes.
//!
//! RFC 5780 §6.1 (what to answer, and from where), §7; RFC 8489 §6.3.
//!
//! ```
//! use portolan_sim::server::{Fault, Server};
//!
//! let honest = Server::new("stun", "192.0.2.1:3478".parse()?).alternate("192.0.2.2:3479".parse()?);
//! let liar = honest.clone().fault(Fault::IgnoresChangeRequest);
//! assert_ne!(honest, liar);
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

pub mod credentials;
pub mod fault;
mod responder;

pub use credentials::Credentials;
pub use fault::{Bogus, Fault};

use crate::clock::{Nanos, nanos};
use crate::entropy::SeededRng;
use crate::packet::{Packet, Place, Pool};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use portolan_stun::{Attribute, AttributeType, Class, EncodeError, ErrorCode, Message, Method, TransactionId, Writer};
use responder::Hosted;

/// A STUN server, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// How the story calls it.
    pub name: Box<str>,
    /// The address and port it is known by.
    pub primary: SocketAddr,
    /// Its other address and other port (RFC 5780 §2.3); it then listens on all four pairs.
    pub alternate: Option<SocketAddr>,
    /// What is wrong with it.
    pub fault: Fault,
    /// What it does with TCP.
    pub tcp: Tcp,
    /// Whether the responder of `stun-agent` answers UDP, in place of the short honest server of this crate, which says
    /// the same for a fraction of the time. Only where nothing is wrong with it.
    pub responder: bool,
    /// Whom it answers; `None`: everybody. Only the responder asks for credentials, so there is one wherever these are. A
    /// server with a fault answers whoever asks.
    pub credentials: Option<Credentials>,
}

/// What a server does with TCP connections, on all its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tcp {
    /// It accepts them and answers Binding requests.
    Accepts,
    /// It refuses them (RST).
    Refuses,
    /// It does not answer.
    Silent,
}

impl Server {
    /// An honest server with one address and port: it answers Binding requests, and CHANGE-REQUEST with 420.
    #[must_use]
    pub fn new(name: &str, primary: SocketAddr) -> Self {
        Self {
            name: name.into(),
            primary,
            alternate: None,
            fault: Fault::None,
            tcp: Tcp::Accepts,
            responder: false,
            credentials: None,
        }
    }

    /// The same with another address and port, so that it can do what RFC 5780 asks for.
    #[must_use]
    pub fn alternate(mut self, alternate: SocketAddr) -> Self {
        self.alternate = Some(alternate);
        self
    }

    /// The same with something wrong.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// The same with other manners about TCP.
    #[must_use]
    pub fn tcp(mut self, tcp: Tcp) -> Self {
        self.tcp = tcp;
        self
    }

    /// The same with the responder of `stun-agent` behind it.
    #[must_use]
    pub const fn with_responder(mut self) -> Self {
        self.responder = true;
        self
    }

    /// The same with the responder of `stun-agent` behind it, which answers only those with these credentials.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self.with_responder()
    }

    /// The addresses it has.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let alternate = self.alternate.map(|alternate| alternate.ip()).filter(|ip| *ip != self.primary.ip());
        core::iter::once(self.primary.ip()).chain(alternate)
    }

    /// The other address and port, seen from where a request came to (RFC 5780 §6.1, Table 1).
    fn opposite(&self, local: SocketAddr) -> Option<SocketAddr> {
        let alternate = self.alternate?;
        let other = |here: bool, primary, alternate| if here { alternate } else { primary };
        let (mut ip, mut port) = (self.primary.ip(), self.primary.port());
        ip = if local.ip() == ip { alternate.ip() } else { ip };
        port = other(local.port() == port, port, alternate.port());
        Some(SocketAddr::new(ip, port))
    }

    fn listens_on(&self, local: SocketAddr) -> bool {
        let is = |address: SocketAddr| address.ip() == local.ip();
        let on = |address: SocketAddr| address.port() == local.port();
        match self.alternate {
            None => is(self.primary) && on(self.primary),
            Some(alternate) => (is(self.primary) || is(alternate)) && (on(self.primary) || on(alternate)),
        }
    }
}

/// What a server says, before it becomes bytes; faults bend it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Where it is sent from, and to.
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) id: TransactionId,
    pub(crate) body: Body,
}

/// What stands in an answer, in this order.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Success {
        xor_mapped: Option<SocketAddr>,
        mapped: Option<SocketAddr>,
        origin: Option<SocketAddr>,
        other: Option<SocketAddr>,
        /// Bytes of PADDING.
        padding: Option<usize>,
    },
    Error {
        code: u16,
        /// The types that were not understood.
        unknown: Vec<AttributeType>,
        other: Option<SocketAddr>,
    },
}

/// A server at work.
#[derive(Clone, Debug)]
pub(crate) struct ServerState {
    pub(crate) config: Server,
    pub(crate) interface: usize,
    dice: SeededRng,
    /// Requests so far.
    heard: u32,
    hosted: Option<Box<Hosted>>,
}

impl ServerState {
    pub(crate) fn new(config: Server, interface: usize, seed: u64) -> Self {
        let hosted = Self::host(&config, seed);
        Self { config, interface, dice: SeededRng::new(seed), heard: 0, hosted }
    }

    pub(crate) fn reset(&mut self, seed: u64) {
        self.dice = SeededRng::new(seed);
        self.heard = 0;
        self.hosted = Self::host(&self.config, seed);
    }

    /// A responder where one is wanted; addresses that it refuses leave the short server in its place, or nobody where
    /// credentials are asked for.
    fn host(config: &Server, seed: u64) -> Option<Box<Hosted>> {
        let wanted = config.responder || config.credentials.is_some();
        if wanted { Hosted::new(config, seed).map(Box::new) } else { None }
    }

    /// Whether anything listens where the packet went; if not, the host there may say so.
    pub(crate) fn listens_on(&self, local: SocketAddr) -> bool {
        self.config.listens_on(local)
    }

    /// Whether it speaks to users only.
    fn is_guarded(&self) -> bool {
        self.config.credentials.is_some() && self.config.fault == Fault::None
    }

    /// What comes back for a packet, and how long after it.
    pub(crate) fn serve(
        &mut self,
        packet: &Packet,
        now: Nanos,
        pool: &mut Pool,
        send: &mut impl FnMut(Nanos, Box<Packet>),
    ) {
        if let (Fault::None, Some(hosted)) = (self.config.fault, &mut self.hosted) {
            return hosted.serve(packet, now, self.interface, pool, send);
        }
        if self.is_guarded() {
            return;
        }
        let Ok(request) = Message::decode(packet.bytes()) else { return };
        // RFC 5780 §6.1, RFC 8489 §6.3: neither responses nor indications are answered.
        if request.class() != Class::Request || request.method() != Method::BINDING {
            return;
        }
        self.heard = self.heard.wrapping_add(1);
        let answer = honest(&self.config, &request, packet.source, packet.destination);
        let fault = self.config.fault;
        let Some(answer) = fault::bend(fault, &self.config, answer, &request, &mut self.dice, self.heard) else {
            return;
        };
        let mut scratch = core::mem::take(&mut pool.scratch);
        scratch.resize(LONGEST, 0);
        let written = encode(&answer, &mut scratch).ok().and_then(|written| scratch.get_mut(..written));
        let bytes = written.and_then(|bytes| fault::spoil(fault, bytes, packet.bytes(), &mut self.dice));
        if let Some(bytes) = bytes {
            let mut reply = pool.packet(answer.from, answer.to, Place::Up(self.interface), now);
            reply.copy(bytes);
            let again = if let Fault::LateDuplicates(after) = fault { Some(nanos(after)) } else { None };
            let again = if fault == Fault::AnswersTwice { Some(0) } else { again };
            let twin = again.map(|after| (after, pool.twin(&reply)));
            send(0, reply);
            if let Some((after, twin)) = twin {
                send(after, twin);
            }
        }
        pool.scratch = scratch;
    }

    /// What comes back for a message on a stream from `remote`; nothing unless it is one whole Binding request.
    pub(crate) fn serve_stream(
        &mut self,
        now: Nanos,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> Option<Bytes> {
        if self.is_guarded() {
            return self.hosted.as_mut()?.reply(now, local, remote, bytes);
        }
        let request = Message::decode(bytes).ok()?;
        if request.class() != Class::Request || request.method() != Method::BINDING {
            return None;
        }
        let mut answer = honest(&self.config, &request, remote, local);
        (answer.from, answer.to) = (local, remote);
        let mut buffer = [0; LONGEST];
        let written = encode(&answer, &mut buffer).ok()?;
        Some(Bytes::copy_from_slice(buffer.get(..written)?))
    }
}

/// PADDING sent back is never longer than this: a server's interface MTU (RFC 5780 §7.6).
const MTU: usize = 1500;
/// An answer with everything in it and the most PADDING.
const LONGEST: usize = MTU + 256;

/// What RFC 5780 §6.1 asks for.
fn honest(server: &Server, request: &Message<'_>, remote: SocketAddr, local: SocketAddr) -> Answer {
    let id = request.transaction_id();
    let other = server.opposite(local);
    let refuse =
        |code, unknown| Answer { from: local, to: remote, id, body: Body::Error { code, unknown, other: None } };
    let (mut change, mut response_port, mut padding, mut unknown) = (None, None, None, Vec::new());
    for attribute in request.attributes() {
        match attribute {
            Ok(Attribute::ChangeRequest(flags)) => change = change.or(Some(flags)),
            Ok(Attribute::ResponsePort(port)) => response_port = response_port.or(Some(port)),
            Ok(Attribute::Padding(bytes)) => padding = padding.or(Some(bytes.len())),
            Ok(Attribute::Unknown { kind, .. }) if kind.is_comprehension_required() => unknown.push(kind),
            Ok(_) => {}
            Err(_) => return refuse(ErrorCode::BAD_REQUEST, Vec::new()),
        }
    }
    if change.is_some() && other.is_none() {
        unknown.push(AttributeType::CHANGE_REQUEST);
    }
    if !unknown.is_empty() {
        return refuse(ErrorCode::UNKNOWN_ATTRIBUTE, unknown);
    }
    let mut from = local;
    if let (Some(change), Some(other)) = (change, other) {
        if change.ip {
            from.set_ip(other.ip());
        }
        if change.port {
            from.set_port(other.port());
        }
    }
    // RFC 5780 §6.1: PADDING and RESPONSE-PORT do not go together.
    if padding.is_some() && response_port.is_some() {
        return refuse(ErrorCode::BAD_REQUEST, Vec::new());
    }
    let mut to = remote;
    if let Some(port) = response_port {
        to.set_port(port);
    }
    let bare = change.is_none() && response_port.is_none() && padding.is_none();
    let full = other.is_some() || !bare;
    let body = Body::Success {
        xor_mapped: Some(remote),
        // To a bare request a server without an alternate address says no more than it must: no good as an amplifier.
        mapped: full.then_some(remote),
        origin: full.then_some(from),
        other,
        padding: padding.map(|length: usize| length.min(MTU)),
    };
    Answer { from, to, id, body }
}

/// Where a server that answers with 300 sends its clients: nobody is there.
const ELSEWHERE: (SocketAddr, SocketAddr) = (
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 99)), 3478),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99)), 3478),
);

/// Writes an answer to the front of `buffer`; gives its length.
fn encode(answer: &Answer, buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let written = match &answer.body {
        Body::Success { xor_mapped, mapped, origin, other, padding } => {
            let mut writer = Writer::new(buffer, Class::SuccessResponse, Method::BINDING, answer.id)?;
            if let Some(address) = xor_mapped {
                writer.add(&Attribute::XorMappedAddress(*address))?;
            }
            if let Some(address) = mapped {
                writer.add(&Attribute::MappedAddress(*address))?;
            }
            if let Some(address) = origin {
                writer.add(&Attribute::ResponseOrigin(*address))?;
            }
            if let Some(address) = other {
                writer.add(&Attribute::OtherAddress(*address))?;
            }
            if let Some(length) = padding {
                writer.add_padding(*length)?;
            }
            writer.finish().len()
        }
        Body::Error { code, unknown, other } => {
            let mut writer = Writer::new(buffer, Class::ErrorResponse, Method::BINDING, answer.id)?;
            if let Some(error) = ErrorCode::recommended(*code) {
                writer.add(&Attribute::ErrorCode(error))?;
            }
            if *code == ErrorCode::TRY_ALTERNATE {
                let elsewhere = if answer.to.is_ipv4() { ELSEWHERE.0 } else { ELSEWHERE.1 };
                writer.add(&Attribute::AlternateServer(elsewhere))?;
            }
            if !unknown.is_empty() {
                writer.add_unknown_attributes(unknown.iter().copied())?;
            }
            if let Some(address) = other {
                writer.add(&Attribute::OtherAddress(*address))?;
            }
            writer.finish().len()
        }
    };
    Ok(written)
}

#[cfg(test)]
mod tests;
