//! Servers: a STUN server as RFC 5780 requires it, and servers with faults.
//!
//! A [`Server`] is plain data: the addresses on which it listens, and its [`Fault`]. The implementation is one function
//! without sockets or timers, so a simulated network can query it a million times a second. It computes the correct
//! response, lets the [`Fault`] change that response, and then encodes it.
//!
//! RFC 5780 §6.1 (the content and the source address of responses), §7; RFC 8489 §6.3.
//!
//! ```
//! use portolan_sim::server::{Fault, Server};
//!
//! let correct = Server::new("stun", "192.0.2.1:3478".parse()?).alternate("192.0.2.2:3479".parse()?);
//! let faulty = correct.clone().fault(Fault::IgnoresChangeRequest);
//! assert_ne!(correct, faulty);
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
    /// The name in the story.
    pub name: Box<str>,
    /// The primary address and port.
    pub primary: SocketAddr,
    /// The alternate address and port (RFC 5780 §2.3). With them the server listens on all four combinations.
    pub alternate: Option<SocketAddr>,
    /// The fault of the server.
    pub fault: Fault,
    /// How the server handles TCP connections.
    pub tcp: Tcp,
    /// Whether the responder of `stun-agent` answers UDP, in place of the simple server of this crate. Both give the
    /// same responses; the simple server takes a fraction of the time. Used only without a fault.
    pub responder: bool,
    /// The users that the server answers; `None`: every client. Only the responder checks credentials, so a server with
    /// credentials always has a responder. A server with a fault ignores the credentials.
    pub credentials: Option<Credentials>,
}

/// How a server handles TCP connections, on all its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tcp {
    /// The server accepts connections and answers Binding requests.
    Accepts,
    /// The server refuses connections (RST).
    Refuses,
    /// The server does not answer.
    Silent,
}

impl Server {
    /// A correct server with one address and port: it answers Binding requests, and CHANGE-REQUEST with 420.
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

    /// Returns the same server with an alternate address and port, as the tests of RFC 5780 require.
    #[must_use]
    pub fn alternate(mut self, alternate: SocketAddr) -> Self {
        self.alternate = Some(alternate);
        self
    }

    /// Returns the same server with a fault.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// Returns the same server with another handling of TCP connections.
    #[must_use]
    pub fn tcp(mut self, tcp: Tcp) -> Self {
        self.tcp = tcp;
        self
    }

    /// Returns the same server with the responder of `stun-agent`.
    #[must_use]
    pub const fn with_responder(mut self) -> Self {
        self.responder = true;
        self
    }

    /// Returns the same server with the responder of `stun-agent`, which answers only requests with these credentials.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self.with_responder()
    }

    /// The addresses of the server.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let alternate = self.alternate.map(|alternate| alternate.ip()).filter(|ip| *ip != self.primary.ip());
        core::iter::once(self.primary.ip()).chain(alternate)
    }

    /// The other address and port, relative to the address that received the request (RFC 5780 §6.1, Table 1).
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

/// A response before it is encoded. Faults change it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The source and the destination of the response.
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) id: TransactionId,
    pub(crate) body: Body,
}

/// The attributes of a response, in this order.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Success {
        xor_mapped: Option<SocketAddr>,
        mapped: Option<SocketAddr>,
        origin: Option<SocketAddr>,
        other: Option<SocketAddr>,
        /// The length of PADDING in bytes.
        padding: Option<usize>,
    },
    Error {
        code: u16,
        /// The attribute types that the server does not understand.
        unknown: Vec<AttributeType>,
        other: Option<SocketAddr>,
    },
}

/// The state of a server during a run.
#[derive(Clone, Debug)]
pub(crate) struct ServerState {
    pub(crate) config: Server,
    pub(crate) interface: usize,
    rng: SeededRng,
    /// The number of requests so far.
    requests: u32,
    hosted: Option<Box<Hosted>>,
}

impl ServerState {
    pub(crate) fn new(config: Server, interface: usize, seed: u64) -> Self {
        let hosted = Self::host(&config, seed);
        Self { config, interface, rng: SeededRng::new(seed), requests: 0, hosted }
    }

    pub(crate) fn reset(&mut self, seed: u64) {
        self.rng = SeededRng::new(seed);
        self.requests = 0;
        self.hosted = Self::host(&self.config, seed);
    }

    /// Creates the responder if one is configured. If the responder rejects the addresses, the simple server answers;
    /// with credentials, no server answers.
    fn host(config: &Server, seed: u64) -> Option<Box<Hosted>> {
        let credentials = config.credentials.as_ref();
        let wanted = config.responder || credentials.is_some();
        if wanted { Hosted::new(config.primary, config.alternate, credentials, seed).map(Box::new) } else { None }
    }

    /// Whether the server listens on `local`. If not, its host may answer with ICMP.
    pub(crate) fn listens_on(&self, local: SocketAddr) -> bool {
        self.config.listens_on(local)
    }

    /// Whether the server answers only authenticated users.
    fn requires_credentials(&self) -> bool {
        self.config.credentials.is_some() && self.config.fault == Fault::None
    }

    /// Passes each response to `send`, with its delay.
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
        if self.requires_credentials() {
            return;
        }
        let Ok(request) = Message::decode(packet.bytes()) else { return };
        // RFC 5780 §6.1, RFC 8489 §6.3: neither responses nor indications are answered.
        if request.class() != Class::Request || request.method() != Method::BINDING {
            return;
        }
        self.requests = self.requests.wrapping_add(1);
        let answer = correct_answer(&self.config, &request, packet.source, packet.destination);
        let fault = self.config.fault;
        let Some(answer) = fault::change(fault, &self.config, answer, &request, &mut self.rng, self.requests) else {
            return;
        };
        let mut scratch = core::mem::take(&mut pool.scratch);
        scratch.resize(LONGEST, 0);
        let mut written = encode(&answer, &mut scratch).ok();
        if fault == Fault::WrongFingerprint {
            written = written.and_then(|written| fault::append_wrong_fingerprint(&mut scratch, written));
        }
        let written = written.and_then(|written| scratch.get_mut(..written));
        let bytes = written.and_then(|bytes| fault::corrupt(fault, bytes, packet.bytes(), &mut self.rng));
        if let Some(bytes) = bytes {
            let mut reply = pool.packet(answer.from, answer.to, Place::Up(self.interface), now);
            reply.copy(bytes);
            let again = if let Fault::LateDuplicates(after) = fault { Some(nanos(after)) } else { None };
            let again = if fault == Fault::AnswersTwice { Some(0) } else { again };
            let copy = again.map(|after| (after, pool.duplicate(&reply)));
            send(0, reply);
            if let Some((after, copy)) = copy {
                send(after, copy);
            }
        }
        pool.scratch = scratch;
    }

    /// Returns the response to a message on a stream from `remote`; `None` unless the message is one whole Binding
    /// request.
    pub(crate) fn serve_stream(
        &mut self,
        now: Nanos,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> Option<Bytes> {
        if self.requires_credentials() {
            return self.hosted.as_mut()?.reply(now, local, remote, bytes);
        }
        let request = Message::decode(bytes).ok()?;
        if request.class() != Class::Request || request.method() != Method::BINDING {
            return None;
        }
        let mut answer = correct_answer(&self.config, &request, remote, local);
        (answer.from, answer.to) = (local, remote);
        let mut buffer = [0; LONGEST];
        let written = encode(&answer, &mut buffer).ok()?;
        Some(Bytes::copy_from_slice(buffer.get(..written)?))
    }
}

/// The most bytes of PADDING in a response: the MTU of the server's interface (RFC 5780 §7.6).
const MTU: usize = 1500;
/// The length of a response with all attributes and the most PADDING.
const LONGEST: usize = MTU + 256;

/// The response that RFC 5780 §6.1 requires.
fn correct_answer(server: &Server, request: &Message<'_>, remote: SocketAddr, local: SocketAddr) -> Answer {
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
    // RFC 5780 §6.1: a request with both PADDING and RESPONSE-PORT is an error.
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
        // A server without an alternate address answers a bare request with the minimum, so it is no amplifier.
        mapped: full.then_some(remote),
        origin: full.then_some(from),
        other,
        padding: padding.map(|length: usize| length.min(MTU)),
    };
    Answer { from, to, id, body }
}

/// The ALTERNATE-SERVER of a 300 response. No host has this address.
const ELSEWHERE: (SocketAddr, SocketAddr) = (
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 99)), 3478),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99)), 3478),
);

/// Encodes a response into `buffer`. Returns its length.
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
