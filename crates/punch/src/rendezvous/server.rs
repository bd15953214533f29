//! The server: the introducer of the peers.
//!
//! Rules of this file: the server answers only authenticated requests, and challenges others. It stores nothing of a
//! source without credentials but a table of rates with a fixed size. No response is longer than its request. It takes
//! only requests of its method, on open sockets of other machines or of its owner, and answers on the same socket. So it
//! can run before a [`Responder`](portolan_stun_agent::Responder) in a [`Pair`](portolan_machine::Pair), in which both
//! machines learn which sockets are open.

use super::config::ServerConfig;
use super::error::ServerConfigError;
use super::keys::REALM;
use super::message::{RESPONSE_MAX, Registered as Content, Registration, Route, UNDERSTOOD, encode_wake, is_request};
use super::note::{RequestRefusal, ServerDropped, ServerNote};
use super::room::{Due, Peer, Registered, Room};
use super::stats::ServerStats;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Never, Outbox, Output, SocketEvent, SocketId, TimerId, Timers,
    Transmit, Verdict,
};
use portolan_stun::{Attribute, EncodeError, ErrorCode, Message, ResponseClass, Verified, Writer};
use portolan_stun_agent::Authenticator;
use portolan_stun_agent::authenticator::{Admitted, Judgement, Rejection, Signature};
use portolan_stun_agent::rate::Limiter;
use portolan_stun_agent::source::{Source, can_receive_reply};

/// A rendezvous server. It orders no sockets.
#[derive(Clone, Debug)]
pub struct Server {
    authenticator: Authenticator,
    config: ServerConfig,
    /// The open sockets.
    sockets: BTreeSet<SocketId>,
    /// The rate of responses to sources without valid credentials.
    limiter: Option<Limiter>,
    rooms: BTreeMap<Arc<str>, Entry>,
    timers: Timers<Arc<str>>,
    quotas: Quotas,
    out: Outbox<Never>,
    stats: ServerStats,
}

/// A room with its timer.
#[derive(Clone, Debug)]
struct Entry {
    room: Room,
    timer: Option<(Instant, TimerId)>,
}

/// The numbers of registrations, in total and of each source.
#[derive(Clone, Debug, Default)]
struct Quotas {
    total: u32,
    sources: BTreeMap<Source, u32>,
}

/// The queue space that a request requires: the response, and wakes to both peers before and after it.
const REQUEST_SPACE: usize = 5;

impl Server {
    /// A server without peers, on the sockets whose `Opened` events it gets. In a [`Pair`](portolan_machine::Pair)
    /// these are the sockets that the other machine orders.
    ///
    /// # Errors
    /// * [`ServerConfigError::NoSecret`] when there is no secret, or one is empty.
    /// * [`ServerConfigError::Limit`] when a limit is 0, or the lifetime is below 1 s.
    pub fn new(config: &ServerConfig) -> Result<Self, ServerConfigError> {
        Self::over(config, &[])
    }

    /// A server without peers, on open UDP sockets of its owner.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn over(config: &ServerConfig, sockets: &[SocketId]) -> Result<Self, ServerConfigError> {
        config.check_limits()?;
        // The realm is a constant of a valid length.
        let authenticator = Authenticator::long_term(REALM, &config.nonces, config.keys()?);
        let authenticator = authenticator.map_err(|_| ServerConfigError::Limit)?;
        Ok(Self {
            // The name of a room cannot be found by its hash, and wakes have SHA-256 only.
            authenticator: authenticator.without_anonymity().without_md5(),
            config: config.clone(),
            sockets: sockets.iter().copied().collect(),
            limiter: config.rate.map(Limiter::new),
            rooms: BTreeMap::new(),
            timers: Timers::new(),
            quotas: Quotas::default(),
            out: Outbox::new(),
            stats: ServerStats::default(),
        })
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> ServerStats {
        self.stats
    }

    /// The number of rooms with a peer.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// The number of registered peers.
    #[must_use]
    pub const fn registrations(&self) -> u32 {
        self.quotas.total
    }

    fn request(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) {
        let from = datagram.remote;
        let message = match Message::decode(datagram.payload) {
            Ok(message) => message,
            Err(error) => return self.drop_request(cx, from, ServerDropped::Undecodable(error)),
        };
        if message.has_fingerprint()
            && let Err(error) = message.check_fingerprint()
        {
            return self.drop_request(cx, from, ServerDropped::Fingerprint(error));
        }
        self.stats.requests += 1;
        if !can_receive_reply(from) {
            return self.drop_request(cx, from, ServerDropped::Unaddressable);
        }
        if self.out.room() < REQUEST_SPACE {
            return self.drop_request(cx, from, ServerDropped::QueueFull);
        }
        match self.authenticator.judge(cx.now(), from, &message) {
            Judgement::Admitted(admitted) => self.admitted(cx, datagram, &admitted),
            Judgement::Rejected(why) | Judgement::Discarded(why) => self.reject(cx, datagram, &message, why),
        }
    }

    /// Sends the rejection of a request because of its credentials (RFC 8489 §9.2.4).
    fn reject(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>, request: &Message<'_>, why: Rejection) {
        let from = datagram.remote;
        if self.limiter.as_mut().is_some_and(|limiter| !limiter.admit(cx, from.ip().into())) {
            return self.drop_request(cx, from, ServerDropped::RateLimited);
        }
        let mut buffer = [0; Authenticator::REJECTION_LEN];
        let written = self.authenticator.write_rejection(&mut buffer, cx.now(), from, request, why);
        let payload = written.map(Bytes::copy_from_slice);
        if self.respond(cx, datagram, payload) {
            self.stats.count_rejection(why);
            cx.note(|| ServerNote::Rejected { from, why });
        }
    }

    /// An authenticated request.
    fn admitted(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>, admitted: &Admitted<'_>) {
        let (request, signature, from) = (&admitted.message, &admitted.signature, datagram.remote);
        let route = Route { socket: datagram.socket, local: datagram.local, remote: from };
        match self.apply(cx, admitted, route) {
            Ok(content) => {
                let payload = encode_success(request, &content, signature);
                self.respond(cx, datagram, payload);
            }
            Err(why) => {
                let payload = encode_refusal(request, why, signature);
                if self.respond(cx, datagram, payload) {
                    self.stats.count_refusal(why);
                    cx.note(|| ServerNote::Refused { from, why });
                }
            }
        }
        self.advance(cx, &admitted.username);
    }

    /// Performs an authenticated request, and returns the content of its response.
    fn apply(&mut self, cx: &mut Cx<'_>, admitted: &Admitted<'_>, route: Route) -> Result<Content, RequestRefusal> {
        let request = &admitted.message;
        if request.not_understood(UNDERSTOOD).next().is_some() {
            return Err(RequestRefusal::UnknownAttributes);
        }
        let registration = Registration::read(request)?;
        // A registration whose timer is late has no place.
        self.advance(cx, &admitted.username);
        if registration.leaves {
            self.leave(cx, &admitted.username, &registration);
            return Ok(Content { reflexive: route.remote, lifetime: Duration::ZERO, peer: None });
        }
        self.register(cx, admitted, registration, route)
    }

    fn register(
        &mut self,
        cx: &mut Cx<'_>,
        admitted: &Admitted<'_>,
        registration: Registration,
        route: Route,
    ) -> Result<Content, RequestRefusal> {
        let (now, id, limits) = (cx.now(), registration.id, self.config.limits);
        let known = self.rooms.get(&admitted.username).map(|entry| &entry.room);
        let old = known.and_then(|room| room.get(id)).map(|peer| source_of(peer.route.remote));
        if old.is_none() && known.is_some_and(Room::is_full) {
            return Err(RequestRefusal::RoomFull);
        }
        self.quotas.take(source_of(route.remote), old, (limits.registrations, limits.registrations_per_source))?;
        let entry = self.rooms.entry(admitted.username.clone());
        let room = &mut entry.or_insert_with(|| Entry { room: Room::new(), timer: None }).room;
        let peer = Peer::new(registration, route, now + limits.lifetime, admitted.signature.clone());
        match room.register(now, peer, limits.start) {
            Registered::New => {
                self.stats.registered += 1;
                cx.note(|| ServerNote::Registered { peer: route.remote });
            }
            Registered::Introduced => {
                self.stats.introduced += 1;
                if let Some((first, second)) = room.remotes() {
                    cx.note(|| ServerNote::Introduced { first: first.remote, second: second.remote });
                }
            }
            Registered::Refreshed => {}
        }
        Ok(Content { reflexive: route.remote, lifetime: limits.lifetime, peer: room.introduction(now, id) })
    }

    fn leave(&mut self, cx: &mut Cx<'_>, name: &Arc<str>, registration: &Registration) {
        let Some(entry) = self.rooms.get_mut(name) else { return };
        if let Some(peer) = entry.room.remove(registration.id) {
            self.release(&peer);
            cx.note(|| ServerNote::Left { peer: peer.route.remote });
        }
    }

    fn release(&mut self, peer: &Peer) {
        self.stats.ended += 1;
        self.quotas.release(source_of(peer.route.remote));
    }

    /// Performs the due steps of a room, and sets its timer. An empty room is removed.
    fn advance(&mut self, cx: &mut Cx<'_>, name: &Arc<str>) {
        let Some(entry) = self.rooms.get_mut(name) else { return };
        let due = entry.room.advance(cx.now());
        let (next, timer) = (entry.room.next(), entry.timer);
        if timer.map(|(at, _)| at) != next {
            entry.timer = next.map(|at| (at, self.timers.insert(at, name.clone())));
            if let Some((_, id)) = timer {
                self.timers.cancel(id);
            }
        }
        if entry.room.is_empty() {
            self.rooms.remove(name);
        }
        due.into_iter().for_each(|due| self.perform(cx, due));
    }

    fn perform(&mut self, cx: &mut Cx<'_>, due: Due) {
        match due {
            Due::Expired(peer) => {
                self.release(&peer);
                cx.note(|| ServerNote::Expired { peer: peer.route.remote });
            }
            Due::Silent(peer) => {
                self.release(&peer);
                cx.note(|| ServerNote::Silent { peer: peer.route.remote });
            }
            Due::Wake { route, .. } if !self.sockets.contains(&route.socket) => {}
            Due::Wake { route, signature, other } => {
                let Ok(payload) = encode_wake(cx.random::<12>().into(), other, &signature) else { return };
                self.stats.wakes += 1;
                self.out.push(Output::Transmit(transmit(route, payload.into())));
                cx.note(|| ServerNote::Woken { peer: route.remote });
            }
        }
    }

    /// Sends a response, unless it is longer than the request. Returns whether it is queued.
    fn respond(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>, payload: Result<Bytes, EncodeError>) -> bool {
        let (from, request) = (datagram.remote, datagram.payload.len());
        let Ok(payload) = payload else {
            self.drop_request(cx, from, ServerDropped::Unwritable);
            return false;
        };
        if payload.len() > request {
            self.drop_request(cx, from, ServerDropped::TooShort { request, response: payload.len() });
            return false;
        }
        let route = Route { socket: datagram.socket, local: datagram.local, remote: from };
        let is_queued = self.out.offer(Output::Transmit(transmit(route, payload)));
        if !is_queued {
            self.drop_request(cx, from, ServerDropped::QueueFull);
        }
        is_queued
    }

    fn drop_request(&mut self, cx: &mut Cx<'_>, from: SocketAddr, why: ServerDropped) {
        self.stats.count_drop(why);
        cx.note(|| ServerNote::Dropped { from, why });
    }

    /// Performs the steps of all rooms that are due.
    fn wake(&mut self, cx: &mut Cx<'_>) -> Verdict {
        let mut due: Vec<Arc<str>> = Vec::new();
        while let Some(name) = self.timers.pop_due(cx.now()) {
            if let Some(entry) = self.rooms.get_mut(&name) {
                entry.timer = None;
            }
            due.push(name);
        }
        due.iter().for_each(|name| self.advance(cx, name));
        if due.is_empty() { Verdict::NotMine } else { Verdict::Mine }
    }
}

impl Quotas {
    /// Counts a registration of a source, if no quota is exceeded. `old` is the source of the registration that it
    /// replaces.
    fn take(
        &mut self,
        source: Source,
        old: Option<Source>,
        (total, of_source): (u32, u32),
    ) -> Result<(), RequestRefusal> {
        if old == Some(source) {
            return Ok(());
        }
        if self.sources.get(&source).copied().unwrap_or_default() >= of_source {
            return Err(RequestRefusal::SourceQuota);
        }
        if old.is_none() && self.total >= total {
            return Err(RequestRefusal::ServerFull);
        }
        if let Some(old) = old {
            self.release(old);
        }
        self.total += 1;
        *self.sources.entry(source).or_default() += 1;
        Ok(())
    }

    fn release(&mut self, source: Source) {
        self.total = self.total.saturating_sub(1);
        let was_last = |count: &mut u32| {
            *count = count.saturating_sub(1);
            *count == 0
        };
        if self.sources.get_mut(&source).is_some_and(was_last) {
            self.sources.remove(&source);
        }
    }
}

fn source_of(remote: SocketAddr) -> Source {
    remote.ip().into()
}

fn transmit(route: Route, payload: Bytes) -> Transmit {
    Transmit::new(route.socket, route.remote, payload).with_local(route.local.ip())
}

fn encode_success(request: &Verified<'_>, content: &Content, signature: &Signature) -> Result<Bytes, EncodeError> {
    let mut buffer = [0; RESPONSE_MAX];
    let mut writer = Writer::response(&mut buffer, request, ResponseClass::Success)?;
    content.add_to(&mut writer)?;
    signature.finish(writer, request.has_fingerprint()).map(Bytes::copy_from_slice)
}

fn encode_refusal(request: &Verified<'_>, why: RequestRefusal, signature: &Signature) -> Result<Bytes, EncodeError> {
    let mut buffer = [0; RESPONSE_MAX];
    let (code, reason) = why.error_code();
    let writer = if why == RequestRefusal::UnknownAttributes {
        let mut first: Vec<_> = request.not_understood(UNDERSTOOD).take(16).collect();
        first.dedup();
        Writer::unknown_attribute_response(&mut buffer, request, first.iter().copied())?
    } else {
        let mut writer = Writer::response(&mut buffer, request, ResponseClass::Error)?;
        if let Some(error) = ErrorCode::new(code, reason.into()) {
            writer.add(&Attribute::ErrorCode(error))?;
        }
        writer
    };
    signature.finish(writer, request.has_fingerprint()).map(Bytes::copy_from_slice)
}

impl Machine for Server {
    type Command = Never;
    type Error = Never;
    type Event = Never;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(datagram) if is_request(datagram.payload) && self.sockets.contains(&datagram.socket) => {
                self.request(cx, datagram);
                Verdict::Mine
            }
            Input::Socket(socket, SocketEvent::Opened { .. }) => {
                self.sockets.insert(socket);
                Verdict::Mine
            }
            // Registrations of a closed socket expire.
            Input::Socket(socket, SocketEvent::Closed(_)) if self.sockets.remove(&socket) => Verdict::Mine,
            Input::Datagram(_) | Input::Socket(..) => Verdict::NotMine,
            Input::Timeout => self.wake(cx),
        }
    }

    fn poll(&mut self) -> Output<Never> {
        let wait = self.timers.next().map(|at| Deadline::new(at, "a wake, or the expiry of a registration"));
        self.out.pop().unwrap_or(Output::Wait(wait))
    }
}
