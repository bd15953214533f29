//! A STUN server for Binding and for NAT behaviour discovery (RFC 5780).
//!
//! Rules of this file: the responder replies only to Binding requests, never to a response or an indication, so that
//! two responders cannot exchange messages without end. It stores no state of a request over UDP. The outputs and the
//! memory that a source can cause are bounded. Requests without the magic cookie (RFC 3489) get no reply, for three
//! reasons. On a shared socket they cannot be distinguished from other traffic. They can request replies to any
//! address. RFC 8489 §11 does not require them.
//!
//! It opens its sockets at [`start`](Responder::start), or uses sockets of its owner with [`Responder::over`]. It takes
//! every datagram of its own sockets, and counts those that it drops. Of a socket of its owner it takes only Binding
//! requests with the magic cookie.
//!
//! ```
//! use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketId, SocketIds, Verdict};
//! use portolan_stun::{Class, Message, Method, Writer};
//! use portolan_stun_agent::{Responder, ResponderConfig};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let local = "192.0.2.1:3478".parse()?;
//! let mut responder = Responder::over(&ResponderConfig::new().listen(local), |_| SocketId(1))?;
//!
//! let mut buffer = [0; 20];
//! let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into())?.finish();
//! let datagram = Datagram::new(SocketId(1), local, "198.51.100.7:40000".parse()?, request);
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! assert_eq!(responder.handle(&mut cx, Input::Datagram(datagram)), Verdict::Mine);
//!
//! let Output::Transmit(reply) = responder.poll() else { panic!("expected a reply") };
//! let message = Message::decode(&reply.payload)?;
//! assert_eq!(message.xor_mapped_address(), Some(datagram.remote));
//! assert_eq!(reply.payload.len(), 32, "1.6 times the request");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod config;
mod endpoints;
mod reply;
mod stats;
mod tcp;

pub use config::ResponderConfig;
pub use stats::{DroppedStats, RejectedStats, Stats, StreamStats};

use crate::authenticator::{Authenticator, Judgement, Rejection, Signature};
use crate::note::{ResponderDropped, ResponderNote};
use crate::rate::Limiter;
use crate::source::can_receive_reply;
use crate::stream_table::StreamTable;
use crate::{ResponderConfigError, ResponderError, ResponderEvent};
use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use endpoints::Endpoints;
use portolan_machine::{
    Closure, Cx, Datagram, Deadline, Input, Machine, Open, Outbox, Output, Protocol, Refusal, Script, ScriptError,
    SocketEvent, SocketId, SocketOrder, Timers, Transmit, Verdict,
};
use portolan_stun::{Checked, ErrorCode, HEADER_LEN, MAGIC_COOKIE, Message, is_stun};
use reply::{Capabilities, Plan, ReportedAddresses};

/// A STUN server: Binding over UDP and TCP, NAT behaviour discovery (RFC 5780), and optional credentials.
#[derive(Clone, Debug)]
pub struct Responder {
    config: ResponderConfig,
    phase: Phase,
    /// Whether the sockets belong to the owner. The responder does not open or close such sockets.
    handed_in: bool,
    endpoints: Endpoints,
    streams: StreamTable<tcp::Stream>,
    limiter: Option<Limiter>,
    out: Outbox<ResponderEvent>,
    /// The time of the next attempt to close streams whose `Close` did not fit into the queue.
    close_retry: Option<Deadline>,
    /// The ends of stream pauses.
    pauses: Timers<SocketId>,
    stats: Stats,
}

/// The state of a responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not started yet.
    Idle,
    /// The sockets are ordered or open.
    Serving,
    /// Ended.
    Stopped,
}

/// The allowed changes of the phase.
const TRANSITIONS: &[(Phase, Phase)] = &[(Phase::Idle, Phase::Serving), (Phase::Serving, Phase::Stopped)];

/// A command to a [`Responder`]. Its text is `start` or `stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponderCommand {
    /// Orders the sockets.
    Start,
    /// Closes all sockets and ends the responder.
    Stop,
}

impl Responder {
    /// A responder that orders its own sockets at the start.
    ///
    /// # Errors
    /// * [`ResponderConfigError::NoAddress`] when there is no address to listen on.
    /// * [`ResponderConfigError::Unpaired`] when an alternate has no listening address of its family left.
    /// * [`ResponderConfigError::NotUnicast`] when an address is a multicast or the broadcast address.
    /// * [`ResponderConfigError::NoZone`] when a link-local IPv6 address has no zone.
    /// * [`ResponderConfigError::Wildcard`] when an address of a pair is unspecified.
    /// * [`ResponderConfigError::NoPort`] when a port of a pair is 0.
    /// * [`ResponderConfigError::SamePort`] when the two ports of a pair are equal.
    /// * [`ResponderConfigError::SameAddress`] when the two IP addresses of a pair are equal, or are advertised as
    ///   one.
    /// * [`ResponderConfigError::Twice`] when two sockets would have the same address and port.
    /// * [`ResponderConfigError::AdvertisedFamily`] when an address is advertised as one of the other family.
    /// * [`ResponderConfigError::AdvertisedUnknown`] when no socket has an advertised address.
    /// * [`ResponderConfigError::AdvertisedInvalid`] when an advertised address is not that of one host.
    /// * [`ResponderConfigError::AdvertisedTwice`] when one address is advertised as two.
    /// * [`ResponderConfigError::AdvertisedHalf`] when only one address of a pair is advertised.
    pub fn new(config: &ResponderConfig) -> Result<Self, ResponderConfigError> {
        let mut endpoints = Endpoints::new();
        for (listen, alternate) in config.endpoints()? {
            let group = config::locals((listen, alternate)).map(|local| (local, config.public(local)));
            endpoints.add(group, alternate.is_some());
        }
        Ok(Self {
            config: config.clone(),
            phase: Phase::Idle,
            handed_in: false,
            endpoints,
            streams: StreamTable::new(config.streams),
            limiter: config.rate.map(Limiter::new),
            out: Outbox::new(),
            close_retry: None,
            pauses: Timers::new(),
            stats: Stats::default(),
        })
    }

    /// A responder on open UDP sockets of its owner, one for each address, without TCP.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn over(
        config: &ResponderConfig,
        mut socket: impl FnMut(SocketAddr) -> SocketId,
    ) -> Result<Self, ResponderConfigError> {
        let mut responder = Self::new(config)?;
        responder.handed_in = true;
        for index in 0..responder.endpoints.len() {
            let Some(local) = responder.endpoints.get(index).map(|endpoint| endpoint.local) else { continue };
            responder.endpoints.ordered(index, Protocol::Udp, socket(local));
            let _known = responder.endpoints.opened(index, Protocol::Udp, local);
        }
        responder.become_phase(Phase::Serving);
        Ok(responder)
    }

    /// Orders the UDP sockets. Each TCP listener is ordered when the UDP socket of the same address and port is open.
    ///
    /// # Errors
    /// [`ResponderError::NotIdle`] when the responder was started before.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), ResponderError> {
        if self.phase != Phase::Idle {
            return Err(ResponderError::NotIdle);
        }
        self.become_phase(Phase::Serving);
        for index in 0..self.endpoints.len() {
            self.order(cx, index, Protocol::Udp);
        }
        Ok(())
    }

    /// Closes the sockets that the responder opened, and ends with [`ResponderEvent::Stopped`].
    ///
    /// # Errors
    /// [`ResponderError::NotServing`] when the responder was not started, or has ended.
    pub fn stop(&mut self) -> Result<(), ResponderError> {
        if self.phase != Phase::Serving {
            return Err(ResponderError::NotServing);
        }
        self.become_phase(Phase::Stopped);
        self.stop_streams();
        if !self.handed_in {
            for id in self.endpoints.active() {
                self.out.push(Output::Socket(SocketOrder::Close(id)));
            }
        }
        self.out.push(Output::Event(ResponderEvent::Stopped));
        Ok(())
    }

    /// The counters of requests and replies.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// The number of open TCP streams.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    fn become_phase(&mut self, next: Phase) {
        let allowed = TRANSITIONS.contains(&(self.phase, next));
        debug_assert!(allowed, "{:?} to {next:?}", self.phase);
        if allowed {
            self.phase = next;
        }
    }

    fn order(&mut self, cx: &mut Cx<'_>, index: usize, protocol: Protocol) {
        let Some(local) = self.endpoints.get(index).map(|endpoint| endpoint.local) else { return };
        let id = cx.next_socket();
        self.endpoints.ordered(index, protocol, id);
        self.out.push(Output::Socket(SocketOrder::Open(Open::new(id, protocol, local))));
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        let is_request = is_binding_request(datagram.payload);
        if self.handed_in && !is_request {
            return Verdict::NotMine;
        }
        let Some(endpoint) = self.endpoints.open(Protocol::Udp, datagram.socket) else {
            return Verdict::NotMine;
        };
        if is_request {
            self.respond(cx, endpoint, Protocol::Udp, datagram);
        } else {
            self.drop_datagram(cx, datagram);
        }
        Verdict::Mine
    }

    /// Counts a datagram that is not a whole Binding request with the magic cookie.
    #[inline(never)]
    fn drop_datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) {
        let why = dropped_kind(datagram.payload);
        if matches!(why, ResponderDropped::NoCookie | ResponderDropped::Undecodable(_)) {
            self.stats.requests += 1;
        }
        self.drop_request(cx, datagram.remote, why);
    }

    /// Responds to a Binding request, if it is valid and its source is below its rate.
    fn respond(&mut self, cx: &mut Cx<'_>, endpoint: usize, protocol: Protocol, datagram: Datagram<'_>) {
        let remote = datagram.remote;
        self.stats.requests += 1;
        let request = match Message::decode(datagram.payload) {
            Ok(request) => request,
            Err(error) => return self.drop_request(cx, remote, ResponderDropped::Undecodable(error)),
        };
        if request.has_fingerprint()
            && let Err(error) = request.check_fingerprint()
        {
            return self.drop_request(cx, remote, ResponderDropped::Fingerprint(error));
        }
        if !can_receive_reply(remote) {
            return self.drop_request(cx, remote, ResponderDropped::Unaddressable);
        }
        if self.limiter.as_mut().is_some_and(|limiter| !limiter.admit(cx, remote.ip().into())) {
            return self.drop_request(cx, remote, ResponderDropped::RateLimited);
        }
        let received = Received { endpoint, protocol, datagram };
        match &self.config.credentials {
            None => self.reply(cx, received, &request.exempt(), None),
            Some(_) => self.respond_with_credentials(cx, received, &request),
        }
    }

    /// Responds to a request that needs credentials. It is not inlined, so that a server without credentials does not
    /// have its cost.
    #[inline(never)]
    fn respond_with_credentials(&mut self, cx: &mut Cx<'_>, received: Received<'_>, request: &Message<'_>) {
        let Some(credentials) = &self.config.credentials else { return };
        match credentials.judge(cx.now(), received.datagram.remote, request) {
            Judgement::Admitted(admitted) => self.reply(cx, received, &admitted.message, Some(&admitted.signature)),
            Judgement::Rejected(why) | Judgement::Discarded(why) => self.reject(cx, received, request, why),
        }
    }

    /// Sends the response to the source of the request, or to its RESPONSE-PORT.
    #[inline(always)]
    fn reply<T: Checked>(
        &mut self,
        cx: &mut Cx<'_>,
        Received { endpoint, protocol, datagram }: Received<'_>,
        request: &Message<'_, T>,
        signature: Option<&Signature>,
    ) {
        let remote = datagram.remote;
        let other = self.endpoints.other(endpoint, protocol);
        let capabilities = Capabilities { alternate: other.is_some(), datagram: protocol == Protocol::Udp };
        let plan = reply::plan(request, capabilities);
        let (from, to) = match &plan {
            Plan::Success { change, response_port, .. } => (self.endpoints.changed(endpoint, *change), *response_port),
            Plan::Unknown(_) | Plan::BadRequest => (endpoint, None),
        };
        let Some(from) = self.endpoints.get(from) else { return };
        let socket = if capabilities.datagram { from.udp() } else { Some(datagram.socket) };
        let Some(socket) = socket else { return self.drop_request(cx, remote, ResponderDropped::Unaddressable) };
        let source = from.source_for(datagram);
        let origin = source.map_or(from.public, |_| self.config.public(datagram.local));
        let addresses = ReportedAddresses { mapped: remote, origin, other };
        let Ok(payload) = reply::write_reply(request, &plan, addresses, signature) else {
            return self.drop_request(cx, remote, ResponderDropped::Unwritable);
        };
        // RFC 5780 §7.5: the port can differ from that of the request, the address cannot.
        let mut destination = remote;
        destination.set_port(to.unwrap_or(remote.port()));
        let transmit =
            from_source(Transmit::new(socket, destination, payload), source.filter(|_| capabilities.datagram));
        if !self.out.offer(Output::Transmit(transmit)) {
            return self.drop_request(cx, remote, ResponderDropped::QueueFull);
        }
        let code = match plan {
            Plan::Success { .. } => None,
            Plan::Unknown(_) => Some(ErrorCode::UNKNOWN_ATTRIBUTE),
            Plan::BadRequest => Some(ErrorCode::BAD_REQUEST),
        };
        self.stats.count_reply(code);
        cx.note(|| ResponderNote::Replied { asked_by: remote, to: destination, code });
    }

    /// Sends the rejection of a request because of its credentials (RFC 8489 §9.1.3, §9.2.4).
    fn reject(&mut self, cx: &mut Cx<'_>, received: Received<'_>, request: &Message<'_>, why: Rejection) {
        let remote = received.datagram.remote;
        let mut buffer = [0; Authenticator::REJECTION_LEN];
        let written = self.config.credentials.as_ref().and_then(|credentials| {
            credentials.write_rejection(&mut buffer, cx.now(), remote, request, why).ok().map(Bytes::copy_from_slice)
        });
        let Some(payload) = written else { return self.drop_request(cx, remote, ResponderDropped::Unwritable) };
        let endpoint = self.endpoints.get(received.endpoint).filter(|_| received.protocol == Protocol::Udp);
        let source = endpoint.and_then(|endpoint| endpoint.source_for(received.datagram));
        if !self
            .out
            .offer(Output::Transmit(from_source(Transmit::new(received.datagram.socket, remote, payload), source)))
        {
            return self.drop_request(cx, remote, ResponderDropped::QueueFull);
        }
        self.stats.count_rejection(why);
        cx.note(|| ResponderNote::Rejected { asked_by: remote, why });
    }

    fn drop_request(&mut self, cx: &mut Cx<'_>, from: SocketAddr, why: ResponderDropped) {
        self.stats.count_drop(why);
        cx.note(|| ResponderNote::Dropped { from, why });
    }

    fn opened(&mut self, cx: &mut Cx<'_>, socket: SocketId, local: SocketAddr) -> Verdict {
        let Some((endpoint, protocol)) = self.endpoints.find(socket) else { return Verdict::NotMine };
        if self.endpoints.opened(endpoint, protocol, local) {
            self.out.push(Output::Event(ResponderEvent::Listening { socket, protocol, local }));
            if protocol == Protocol::Udp && self.config.streams.total > 0 && !self.handed_in {
                self.order(cx, endpoint, Protocol::TcpListen);
            }
        }
        Verdict::Mine
    }

    fn ended(&mut self, socket: SocketId, event: impl FnOnce(Protocol, SocketAddr) -> ResponderEvent) -> Verdict {
        let Some((endpoint, protocol)) = self.endpoints.find(socket) else { return Verdict::NotMine };
        if self.endpoints.closed(endpoint, protocol)
            && let Some(endpoint) = self.endpoints.get(endpoint)
        {
            self.out.push(Output::Event(event(protocol, endpoint.local)));
        }
        Verdict::Mine
    }

    fn refused(&mut self, socket: SocketId, why: Refusal) -> Verdict {
        self.ended(socket, |protocol, local| ResponderEvent::Refused { protocol, local, why })
    }

    fn closed(&mut self, socket: SocketId, why: Closure) -> Verdict {
        if self.lost_stream(socket) {
            return Verdict::Mine;
        }
        self.ended(socket, |protocol, local| ResponderEvent::Lost { protocol, local, why })
    }
}

/// A received request with its endpoint and protocol.
#[derive(Clone, Copy, Debug)]
struct Received<'a> {
    endpoint: usize,
    protocol: Protocol,
    datagram: Datagram<'a>,
}

/// Sets the source address of a transmit, if there is one.
#[inline]
fn from_source(transmit: Transmit, source: Option<IpAddr>) -> Transmit {
    match source {
        Some(local) => transmit.with_local(local),
        None => transmit,
    }
}

/// Whether the bytes have the header of a Binding request: type 0x0001 (RFC 8489 §5, §18.2).
#[inline]
fn is_binding_request(bytes: &[u8]) -> bool {
    matches!(bytes, [0x00, 0x01, ..]) && is_stun(bytes)
}

/// The reason why a datagram that is not a whole Binding request with the magic cookie gets no reply.
fn dropped_kind(bytes: &[u8]) -> ResponderDropped {
    let Some((header, values)) = bytes.split_at_checked(HEADER_LEN) else { return ResponderDropped::NotStun };
    let &[t0, t1, l0, l1, c0, c1, c2, c3, ..] = header else { return ResponderDropped::NotStun };
    let is_request = [t0, t1] == [0x00, 0x01];
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if is_stun(bytes) {
        ResponderDropped::NotARequest
    } else if is_request && u32::from_be_bytes([c0, c1, c2, c3]) == MAGIC_COOKIE {
        // The length in the header is not that of the datagram.
        Message::decode(bytes).err().map_or(ResponderDropped::NotStun, ResponderDropped::Undecodable)
    } else if is_request && length == values.len() && length & 3 == 0 {
        ResponderDropped::NoCookie
    } else {
        ResponderDropped::NotStun
    }
}

impl Machine for Responder {
    type Command = ResponderCommand;
    type Error = ResponderError;
    type Event = ResponderEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: ResponderCommand) -> Result<(), ResponderError> {
        match command {
            ResponderCommand::Start => self.start(cx),
            ResponderCommand::Stop => self.stop(),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if self.phase != Phase::Serving {
            return Verdict::NotMine;
        }
        match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, SocketEvent::Opened { local }) => self.opened(cx, socket, local),
            Input::Socket(listener, SocketEvent::Accepted { socket, remote, .. }) => {
                self.accepted(cx, listener, socket, remote)
            }
            Input::Socket(socket, SocketEvent::Refused(why)) => self.refused(socket, why),
            Input::Socket(socket, SocketEvent::Closed(why)) => self.closed(socket, why),
            Input::Socket(socket, SocketEvent::Full) => self.set_full(socket, true),
            Input::Socket(socket, SocketEvent::Writable) => self.set_full(socket, false),
            Input::Timeout => self.wake(cx),
            // A response is sent once (RFC 8489 §6.3.1). If it is lost, the client retransmits the request.
            Input::Socket(_, SocketEvent::Unreachable { .. }) => Verdict::NotMine,
        }
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        if self.phase == Phase::Serving { self.take_chunk(cx, chunk) } else { None }
    }

    fn poll(&mut self) -> Output<ResponderEvent> {
        self.out.pop().unwrap_or_else(|| Output::Wait(self.wait()))
    }
}

impl fmt::Display for ResponderCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Stop => "stop",
        })
    }
}

impl FromStr for ResponderCommand {
    type Err = ResponderError;

    fn from_str(text: &str) -> Result<Self, ResponderError> {
        match text {
            "start" => Ok(Self::Start),
            "stop" => Ok(Self::Stop),
            _ => Err(ResponderError::UnknownCommand),
        }
    }
}

impl Script for ResponderCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{self}")
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        text.parse().map_err(|_| ScriptError::new("`start` or `stop`"))
    }
}
