//! A TURN server (RFC 8656).
//!
//! Rules of this file: the server replies only to requests, never to a response or an indication. It stores nothing of a
//! client without valid credentials but a fixed table of rates. Every request but Binding needs credentials, and only
//! attributes that the integrity covers are read. One policy decides for every method with a peer. The outputs and the
//! memory that a client can cause are bounded.
//!
//! It opens its sockets at [`start`](Server::start), or uses sockets of its owner with [`Server::over`]. It takes every
//! datagram of its own sockets. Of a socket of its owner it takes only requests and indications of TURN, Binding
//! requests, and ChannelData of clients with an allocation.

mod allocate;
mod allocation;
mod command;
mod config;
mod ids;
mod info;
mod kind;
mod listeners;
mod methods;
mod moment;
mod near;
mod peers;
pub mod policy;
mod pool;
mod ports;
mod quota;
mod relay;
mod reply;
mod request;
mod slots;
mod stats;
mod streams;
mod table;
mod tcp;

pub use command::ServerCommand;
pub use config::{ServerConfig, ServerLimits, ServerSocket};
pub use info::AllocationInfo;
pub use quota::Bandwidth;
pub use stats::{DroppedStats, RefusedStats, RejectedStats, ServerStats, ServerStreamStats};

use crate::event::{FreedReason, ServerEvent};
use crate::note::{RequestRefusal, ServerDropped, ServerNote};
use crate::{ServerConfigError, ServerError};
use allocation::Client;
use core::net::{IpAddr, SocketAddr};
use ids::TransactionIds;
use kind::{Kind, is_request};
use listeners::Listeners;
use policy::PeerPolicy;
use pool::Pool;
use portolan_machine::{
    Closure, Cx, Datagram, Deadline, Forward, Input, Instant, Machine, Outbox, Output, Refusal, SocketEvent, SocketId,
    SocketOrder, Unreachability, Verdict,
};
use portolan_stun::{Message, Method, is_stun};
use portolan_stun_agent::Authenticator;
use portolan_stun_agent::authenticator::{Admitted, Judgement};
use portolan_stun_agent::rate::Limiter;
use portolan_stun_agent::source::can_receive_reply;
use quota::Quotas;
use relay::ToPeer;
use reply::{Asked, Reply, Unknown};
use streams::Streams;
use table::{Slot, Table};
use tcp::Connections;

/// A TURN server.
#[derive(Clone, Debug)]
pub struct Server {
    config: ServerConfig,
    phase: Phase,
    listeners: Listeners,
    table: Table,
    pool: Pool,
    quotas: Quotas,
    /// The rate of replies to sources without valid credentials.
    limiter: Option<Limiter>,
    ids: TransactionIds,
    streams: Streams,
    connections: Connections,
    out: Outbox<ServerEvent>,
    stats: ServerStats,
}

/// The state of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not started yet.
    Idle,
    /// The sockets are ordered or open.
    Serving,
    /// New allocations are refused. `true`: the end of the last allocation is reported.
    Draining(bool),
    /// Ended.
    Stopped,
}

/// The queue space that a request requires: an expired allocation that is freed, the response, two orders, an event.
const REQUEST_SPACE: usize = 8;

impl Server {
    /// A server that orders its own sockets at the start.
    ///
    /// # Errors
    /// * [`ServerConfigError::NoListener`] when there is no address to listen on.
    /// * [`ServerConfigError::Protocol`] when a protocol is not UDP and not that of a listener.
    /// * [`ServerConfigError::Twice`] when two sockets would have the same address and port.
    /// * [`ServerConfigError::Mechanism`] when the credentials are short-term.
    /// * [`ServerConfigError::NoRelay`] when there is no relay address.
    /// * [`ServerConfigError::RelayTwice`] when a family has two relay addresses.
    /// * [`ServerConfigError::RelayInvalid`] when a relay address is not that of one host.
    /// * [`ServerConfigError::RelayFamily`] when a relay address is advertised as one of the other family.
    /// * [`ServerConfigError::Ports`] when the range of relay ports is empty, or begins with 0.
    /// * [`ServerConfigError::Lifetime`] when the default lifetime is below 1 s, or above the largest one.
    /// * [`ServerConfigError::Software`] when the text of SOFTWARE has more than 127 bytes.
    pub fn new(config: &ServerConfig) -> Result<Self, ServerConfigError> {
        config::check_listeners(config.listen.iter().copied())?;
        Self::with(config, Listeners::ordered(&config.listen, &config.relays), Phase::Idle)
    }

    /// A server on open sockets of its owner. It does not close these sockets.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn over(config: &ServerConfig, sockets: &[ServerSocket]) -> Result<Self, ServerConfigError> {
        config::check_listeners(sockets.iter().map(|socket| (socket.protocol, socket.local)))?;
        Self::with(config, Listeners::handed_in(sockets, &config.relays), Phase::Serving)
    }

    fn with(config: &ServerConfig, listeners: Listeners, phase: Phase) -> Result<Self, ServerConfigError> {
        config.check()?;
        Ok(Self {
            config: config.clone(),
            phase,
            listeners,
            table: Table::default(),
            pool: Pool::new(config),
            quotas: Quotas::default(),
            limiter: config.rate.map(Limiter::new),
            ids: TransactionIds::new(),
            streams: Streams::new(&config.limits),
            connections: Connections::default(),
            out: Outbox::new(),
            stats: ServerStats::default(),
        })
    }

    /// Orders the listening sockets.
    ///
    /// # Errors
    /// [`ServerError::NotIdle`] when the server was started before, or runs on sockets of its owner.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), ServerError> {
        if self.phase != Phase::Idle {
            return Err(ServerError::NotIdle);
        }
        self.phase = Phase::Serving;
        for open in self.listeners.order(cx) {
            self.out.push(Output::Socket(SocketOrder::Open(open)));
        }
        Ok(())
    }

    /// Refuses new allocations from now on, and reports [`ServerEvent::Drained`] when the last one has ended. A second
    /// call changes nothing.
    ///
    /// # Errors
    /// [`ServerError::NotServing`] when the server was not started, or has ended.
    pub fn drain(&mut self) -> Result<(), ServerError> {
        match self.phase {
            Phase::Idle | Phase::Stopped => Err(ServerError::NotServing),
            Phase::Draining(_) => Ok(()),
            Phase::Serving => {
                self.phase = Phase::Draining(false);
                self.report_drained();
                Ok(())
            }
        }
    }

    /// Frees all allocations, closes all sockets that the server opened, and ends with [`ServerEvent::Stopped`].
    ///
    /// # Errors
    /// [`ServerError::NotServing`] when the server was not started, or has ended.
    pub fn stop(&mut self) -> Result<(), ServerError> {
        if matches!(self.phase, Phase::Idle | Phase::Stopped) {
            return Err(ServerError::NotServing);
        }
        self.phase = Phase::Stopped;
        let slots: alloc::vec::Vec<Slot> = self.table.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.free(slot, FreedReason::Stopped);
        }
        self.stop_streams();
        for id in self.listeners.to_close() {
            self.out.push(Output::Socket(SocketOrder::Close(id)));
        }
        (self.pool, self.quotas) = (Pool::new(&self.config), Quotas::default());
        self.out.push(Output::Event(ServerEvent::Stopped));
        Ok(())
    }

    /// Replaces the credentials. Existing allocations stay, and their users need the new credentials for requests.
    pub fn set_credentials(&mut self, credentials: Authenticator) {
        self.config.credentials = credentials;
    }

    /// Replaces the policy. Permissions and channels of peers that the new policy denies are removed.
    pub fn set_policy(&mut self, policy: PeerPolicy) {
        self.config.policy = policy;
        self.end_denied_connections();
        let Some(hash) = self.table.hash() else { return };
        let slots: alloc::vec::Vec<Slot> = self.table.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(allocation) = self.table.get_mut(slot) else { continue };
            let denied = |ip: IpAddr| self.config.policy.judge(self.listeners.own(), ip).is_err();
            allocation.peers.release(hash, Instant::ORIGIN, denied);
        }
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> ServerStats {
        self.stats
    }

    const fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining(_))
    }

    const fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving | Phase::Draining(_))
    }

    /// Reports the end of the last allocation while the server drains.
    fn report_drained(&mut self) {
        if self.phase == Phase::Draining(false) && self.table.len() == 0 {
            self.phase = Phase::Draining(true);
            self.out.push(Output::Event(ServerEvent::Drained));
        }
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        if let Some(client) = self.listeners.client(&datagram) {
            return self.client_datagram(cx, client.to_client(), datagram.payload);
        }
        let Some(relay) = self.table.by_relay(datagram.socket) else { return Verdict::NotMine };
        let decided = if self.out.room() == 0 {
            Err(ServerDropped::QueueFull)
        } else {
            relay::from_peer(&self.table, (cx.now(), self.config.limits.bandwidth), relay, &datagram)
        };
        match decided {
            Ok(decided) => {
                let forward = self.count_to_client(cx, decided, &datagram);
                forward.iter().for_each(|forward| self.transmit(forward));
            }
            Err(why) => self.drop_message(cx, datagram.remote, why),
        }
        Verdict::Mine
    }

    /// A datagram of a client.
    fn client_datagram(&mut self, cx: &mut Cx<'_>, client: Client, payload: &[u8]) -> Verdict {
        match Kind::of(payload) {
            Kind::ChannelData => {
                let decided = self.decide_data(cx.now(), &client, payload);
                let is_foreign = matches!(decided, Err(ServerDropped::NoAllocation));
                if is_foreign && self.listeners.are_handed_in() {
                    return Verdict::NotMine;
                }
                self.relay_to_peer(cx, client, decided);
            }
            Kind::Send => self.client_data(cx, client, payload),
            Kind::Binding if !self.config.binding && self.listeners.are_handed_in() => return Verdict::NotMine,
            Kind::Binding | Kind::Request => self.request(cx, client, payload),
            Kind::Foreign if self.listeners.are_handed_in() => return Verdict::NotMine,
            Kind::Foreign if is_stun(payload) && is_request(payload) => self.request(cx, client, payload),
            Kind::Foreign => {
                let why = if is_stun(payload) { ServerDropped::NotARequest } else { ServerDropped::Unknown };
                self.drop_message(cx, client.remote, why);
            }
        }
        Verdict::Mine
    }

    /// ChannelData or a Send indication of a client.
    fn client_data(&mut self, cx: &mut Cx<'_>, client: Client, payload: &[u8]) {
        let decided = self.decide_data(cx.now(), &client, payload);
        self.relay_to_peer(cx, client, decided);
    }

    fn decide_data<'a>(&self, now: Instant, client: &Client, payload: &'a [u8]) -> Result<ToPeer<'a>, ServerDropped> {
        let now = (now, self.config.limits.bandwidth);
        if Kind::of(payload) == Kind::Send {
            return relay::send(&self.table, now, client.key(), payload, (&self.config.policy, &self.listeners));
        }
        relay::channel_data(&self.table, now, client.key(), payload)
    }

    fn relay_to_peer(&mut self, cx: &mut Cx<'_>, client: Client, decided: Result<ToPeer<'_>, ServerDropped>) {
        match decided {
            Ok(_) if self.out.room() == 0 => self.drop_message(cx, client.remote, ServerDropped::QueueFull),
            Ok(decided) => {
                let forward = self.count_to_peer(decided);
                self.transmit(&forward);
            }
            Err(why) => self.drop_message(cx, client.remote, why),
        }
    }

    /// A request of a client.
    fn request(&mut self, cx: &mut Cx<'_>, client: Client, payload: &[u8]) {
        let message = match Message::decode(payload) {
            Ok(message) => message,
            Err(error) => return self.drop_message(cx, client.remote, ServerDropped::Undecodable(error)),
        };
        if message.has_fingerprint()
            && let Err(error) = message.check_fingerprint()
        {
            return self.drop_message(cx, client.remote, ServerDropped::Fingerprint(error));
        }
        self.stats.requests += 1;
        if !can_receive_reply(client.remote) {
            return self.drop_message(cx, client.remote, ServerDropped::Unaddressable);
        }
        if self.out.room() < REQUEST_SPACE {
            return self.drop_message(cx, client.remote, ServerDropped::QueueFull);
        }
        if message.method() == Method::BINDING {
            return self.binding(cx, &client, &message);
        }
        let control = |admitted: &Admitted<'_>| self.control_address(&client, admitted);
        match self.config.credentials.judge_related(cx.now(), client.remote, &message, control) {
            Judgement::Admitted(admitted) => self.admitted(cx, client, admitted),
            Judgement::Rejected(why) => self.reject(cx, &client, &message, why),
            Judgement::Discarded(_) => self.drop_message(cx, client.remote, ServerDropped::NotARequest),
        }
    }

    /// An authenticated request.
    fn admitted(&mut self, cx: &mut Cx<'_>, client: Client, admitted: Admitted<'_>) {
        let request = &admitted.message;
        if let Some(unknown) = Unknown::of(request) {
            let asked = Asked::new(request, admitted.signature);
            self.note_refusal(cx, &client, &asked, RequestRefusal::UnknownAttributes);
            return self.answer(cx, &client, &asked, Reply::Unknown(&unknown));
        }
        let slot = self.live_slot(cx.now(), &client);
        let method = request.method();
        if method == Method::CONNECTION_BIND {
            let asked = Asked::new(request, admitted.signature.clone());
            if let Err(why) = self.connection_bind(cx, &client, &admitted, &asked) {
                self.refuse(cx, &client, &asked, why);
            }
            return;
        }
        if method == Method::ALLOCATE {
            return self.allocate(cx, client, admitted, slot);
        }
        let asked = Asked::new(request, admitted.signature.clone());
        let is_known =
            matches!(method, Method::REFRESH | Method::CREATE_PERMISSION | Method::CHANNEL_BIND | Method::CONNECT);
        let found = slot.and_then(|slot| Some((slot, self.table.get(slot)?)));
        let (slot, allocation) = match found {
            _ if !is_known => return self.refuse(cx, &client, &asked, RequestRefusal::UnknownMethod),
            None => return self.refuse(cx, &client, &asked, RequestRefusal::NoAllocation),
            Some(found) => found,
        };
        if *allocation.user != *admitted.username {
            return self.refuse(cx, &client, &asked, RequestRefusal::OtherUser);
        }
        if allocation.pending.is_some() {
            return self.drop_message(cx, client.remote, ServerDropped::Pending);
        }
        let done = match method {
            Method::REFRESH => return self.refresh(cx, slot, &asked, &admitted),
            Method::CONNECT => match self.connect(cx, slot, &admitted, &asked) {
                Ok(()) => return,
                Err(why) => Err(why),
            },
            Method::CREATE_PERMISSION => self.create_permission(cx, slot, &admitted),
            _ => self.channel_bind(cx, slot, &admitted),
        };
        match done {
            Ok(()) => self.answer(cx, &client, &asked, Reply::Success(&[])),
            Err(why) => self.refuse(cx, &client, &asked, why),
        }
    }

    /// The allocation of a client. One whose time is over is freed here, if its timer is late.
    fn live_slot(&mut self, now: Instant, client: &Client) -> Option<Slot> {
        let (slot, allocation) = self.table.by_client(client.key())?;
        if allocation.has_expired(now) {
            self.free(slot, FreedReason::Expired);
            return None;
        }
        Some(slot)
    }

    fn drop_message(&mut self, cx: &mut Cx<'_>, from: SocketAddr, why: ServerDropped) {
        self.stats.count_drop(why);
        cx.note(|| ServerNote::Dropped { from, why });
    }

    fn opened(&mut self, cx: &mut Cx<'_>, socket: SocketId, local: SocketAddr) -> Verdict {
        if let Some(listener) = self.listeners.opened(socket, local) {
            let (protocol, local) = (listener.protocol, listener.local);
            self.out.push(Output::Event(ServerEvent::Listening { socket, protocol, local }));
            return Verdict::Mine;
        }
        if self.peer_connected(cx, socket) == Verdict::Mine {
            return Verdict::Mine;
        }
        let Some((slot, family)) = self.relay_of(socket) else { return self.contains(socket) };
        self.relay_opened(cx, slot, family);
        Verdict::Mine
    }

    fn refused(&mut self, cx: &mut Cx<'_>, socket: SocketId, why: Refusal) -> Verdict {
        if let Some(listener) = self.listeners.closed(socket) {
            let (protocol, local) = (listener.protocol, listener.local);
            self.out.push(Output::Event(ServerEvent::Refused { protocol, local, why }));
            return Verdict::Mine;
        }
        if self.peer_refused(cx, socket, why) == Verdict::Mine {
            return Verdict::Mine;
        }
        let Some((slot, family)) = self.relay_of(socket) else { return self.contains(socket) };
        self.relay_refused(cx, slot, family, why);
        Verdict::Mine
    }

    fn closed(&mut self, cx: &mut Cx<'_>, socket: SocketId, why: Closure) -> Verdict {
        if let Some(listener) = self.listeners.closed(socket) {
            let (protocol, local) = (listener.protocol, listener.local);
            self.out.push(Output::Event(ServerEvent::Lost { protocol, local, why }));
            self.free_clients_of(socket);
            return Verdict::Mine;
        }
        if self.lost_stream(socket) || self.connection_closed(cx, socket) {
            return Verdict::Mine;
        }
        let Some((slot, _)) = self.relay_of(socket) else { return self.contains(socket) };
        self.free(slot, FreedReason::RelayLost);
        Verdict::Mine
    }

    /// Frees the allocations whose clients used a socket.
    fn free_clients_of(&mut self, socket: SocketId) {
        let of_socket = self.table.iter().filter(|(_, allocation)| allocation.client.socket == socket);
        let slots: alloc::vec::Vec<Slot> = of_socket.map(|(slot, _)| slot).collect();
        for slot in slots {
            self.free(slot, FreedReason::ClientLost);
        }
    }

    fn contains(&self, socket: SocketId) -> Verdict {
        if self.listeners.contains(socket) { Verdict::Mine } else { Verdict::NotMine }
    }

    /// ICMP reported that a datagram did not reach its peer (RFC 8656 §11.5).
    fn unreachable(&mut self, cx: &mut Cx<'_>, socket: SocketId, remote: SocketAddr, why: Unreachability) -> Verdict {
        let Some(relay) = self.relay_of(socket) else { return Verdict::NotMine };
        let decided = if self.out.room() == 0 {
            Err(ServerDropped::QueueFull)
        } else {
            relay::unreachable(&self.table, cx.now(), relay, (remote, why), || self.ids.next(cx))
        };
        match decided {
            Ok((client, payload)) => {
                self.stats.icmp += 1;
                self.out.push(Output::Transmit(client.transmit(payload)));
            }
            Err(why) => self.drop_message(cx, remote, why),
        }
        Verdict::Mine
    }

    /// Performs the due steps.
    fn wake(&mut self, cx: &mut Cx<'_>) -> Verdict {
        let now = cx.now();
        let mut verdict = Verdict::NotMine;
        // At the largest time a timer that is set again is due at once, so the loop is bounded.
        for _ in 0..self.table.len() {
            let Some(slot) = self.table.pop_due(now) else { break };
            self.expire(now, slot);
            verdict = Verdict::Mine;
        }
        while let Some(reservation) = self.pool.expire(now) {
            self.quotas.release(&reservation.owner);
            verdict = Verdict::Mine;
        }
        let streams = self.wake_streams(cx);
        if self.wake_connections(cx) || streams { Verdict::Mine } else { verdict }
    }

    fn wait(&self) -> Option<Deadline> {
        let allocations = self.table.next_timer().map(|at| Deadline::new(at, "expiry of an allocation or permission"));
        let reservations = self.pool.next_timer().map(|at| Deadline::new(at, "expiry of a reserved port"));
        let connections = self.connections.next_timer().map(|at| Deadline::new(at, "timeout of a connection"));
        let streams = Deadline::earliest(self.streams.wait(), connections);
        Deadline::earliest(Deadline::earliest(allocations, reservations), streams)
    }
}

impl Machine for Server {
    type Command = ServerCommand;
    type Error = ServerError;
    type Event = ServerEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: ServerCommand) -> Result<(), ServerError> {
        match command {
            ServerCommand::Start => self.start(cx),
            ServerCommand::Drain => self.drain(),
            ServerCommand::Stop => self.stop(),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if !self.is_serving() {
            return Verdict::NotMine;
        }
        match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, SocketEvent::Opened { local }) => self.opened(cx, socket, local),
            Input::Socket(socket, SocketEvent::Refused(why)) => self.refused(cx, socket, why),
            Input::Socket(socket, SocketEvent::Closed(why)) => self.closed(cx, socket, why),
            Input::Socket(socket, SocketEvent::Unreachable { remote, why }) => {
                self.unreachable(cx, socket, remote, why)
            }
            Input::Socket(listener, SocketEvent::Accepted { socket, remote, .. }) => {
                self.accepted(cx, listener, socket, remote)
            }
            Input::Socket(socket, SocketEvent::Full) => self.set_full(socket, true),
            Input::Socket(socket, SocketEvent::Writable) => self.set_full(socket, false),
            Input::Timeout => self.wake(cx),
        }
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        if self.is_serving() { self.take_chunk(cx, chunk) } else { None }
    }

    fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        if !self.is_serving() || !self.out.is_empty() {
            return None;
        }
        if let Some(client) = self.listeners.client(&datagram) {
            let now = (cx.now(), self.config.limits.bandwidth);
            return match Kind::of(datagram.payload) {
                Kind::ChannelData => {
                    let decided = relay::channel_data(&self.table, now, client, datagram.payload).ok()?;
                    Some(self.count_to_peer(decided))
                }
                Kind::Send => {
                    let rules = (&self.config.policy, &self.listeners);
                    let decided = relay::send(&self.table, now, client, datagram.payload, rules).ok()?;
                    Some(self.count_to_peer(decided))
                }
                Kind::Binding | Kind::Request | Kind::Foreign => None,
            };
        }
        let relay = self.table.by_relay(datagram.socket)?;
        let now = (cx.now(), self.config.limits.bandwidth);
        let decided = relay::from_peer(&self.table, now, relay, &datagram).ok()?;
        self.count_to_client(cx, decided, &datagram)
    }

    fn poll(&mut self) -> Output<ServerEvent> {
        self.out.pop().unwrap_or_else(|| Output::Wait(if self.is_serving() { self.wait() } else { None }))
    }
}
