//! TCP allocations (RFC 6062): connections between peers and the data streams of clients.
//!
//! Rules of this file: a connection has a stream of a peer and, after ConnectionBind, a stream of the client. Before
//! that the stream of the peer is paused, so the data of the peer waits in the peer's own buffers. Bytes are relayed
//! without framing. While one stream is full, or its allocation is above its bandwidth, the other one is paused. A
//! connection ends with either of its streams,
//! with its allocation, and after 30 seconds without its next step. The number of connections of an allocation is
//! bounded.

use super::Server;
use super::allocation::{Client, ClientPath, family_of};
use super::quota::Bandwidth;
use super::reply::{Asked, Reply};
use super::table::Slot;
use crate::note::{RequestRefusal, ServerDropped, ServerNote};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Instant, Open, Output, Protocol, Refusal, SocketId, SocketOrder, TimerId, Timers, Transmit, Verdict,
};
use portolan_stun::{AddressFamily, Attribute, Class, EncodeError, Method, Writer};
use portolan_stun_agent::authenticator::Admitted;

/// The time for a connection to a peer, and the time for ConnectionBind (RFC 6062 §5.2, §5.3).
const TIMEOUT: Duration = Duration::from_secs(30);

/// The number of random ids that are tried for a connection.
const TRIES: usize = 4;

/// The connections of all TCP allocations.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    connections: BTreeMap<u32, Connection>,
    /// The connection of each stream of a peer, and of each data stream of a client.
    sockets: BTreeMap<SocketId, u32>,
    /// The connections of each allocation.
    slots: BTreeSet<(Slot, u32)>,
    peers: BTreeMap<(Slot, SocketAddr), u32>,
    timers: Timers<(u32, Due)>,
}

/// A connection of an allocation with a peer.
#[derive(Clone, Debug)]
struct Connection {
    slot: Slot,
    peer: SocketAddr,
    peer_stream: SocketId,
    state: State,
    /// The timer of the next step; `None` when the connection is bound.
    timer: Option<TimerId>,
    to_peer: Flow,
    to_client: Flow,
}

/// One direction of a connection. Its source is paused while its target is full or its allocation is above its
/// bandwidth.
#[derive(Clone, Debug, Default)]
struct Flow {
    is_target_full: bool,
    /// The timer of the time at which the bandwidth is enough.
    bandwidth: Option<TimerId>,
}

impl Flow {
    const fn is_paused(&self) -> bool {
        self.is_target_full || self.bandwidth.is_some()
    }
}

/// The reason of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The next step of the connection took too long.
    Step,
    /// The bandwidth is enough for the next bytes to the peer.
    ToPeer,
    /// The bandwidth is enough for the next bytes to the client.
    ToClient,
}

#[derive(Clone, Debug)]
enum State {
    /// The stream to the peer is ordered. The response to Connect waits.
    Connecting(Box<Asked>),
    /// ConnectionBind is awaited.
    Unbound,
    /// The data stream of the client, with its address.
    Bound(SocketId, SocketAddr),
}

impl Connections {
    /// The end of the next wait.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn of_slot(&self, slot: Slot) -> impl Iterator<Item = u32> {
        self.slots.range((slot, 0)..=(slot, u32::MAX)).map(|&(_, id)| id)
    }

    fn by_socket(&self, socket: SocketId) -> Option<(u32, &Connection)> {
        let id = *self.sockets.get(&socket)?;
        Some((id, self.connections.get(&id)?))
    }

    /// Adds a connection with a random id; `None` if the tried ids are in use.
    fn insert(
        &mut self,
        cx: &mut Cx<'_>,
        (slot, peer): (Slot, SocketAddr),
        peer_stream: SocketId,
        state: State,
    ) -> Option<u32> {
        let mut ids = (0..TRIES).map(|_| u32::from_be_bytes(cx.random()));
        let id = ids.find(|id| !self.connections.contains_key(id))?;
        let timer = Some(self.timers.insert(cx.now() + TIMEOUT, (id, Due::Step)));
        let (to_peer, to_client) = (Flow::default(), Flow::default());
        self.connections.insert(id, Connection { slot, peer, peer_stream, state, timer, to_peer, to_client });
        self.sockets.insert(peer_stream, id);
        self.slots.insert((slot, id));
        self.peers.insert((slot, peer), id);
        Some(id)
    }

    fn remove(&mut self, id: u32) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        self.sockets.remove(&connection.peer_stream);
        if let State::Bound(client, _) = connection.state {
            self.sockets.remove(&client);
        }
        self.slots.remove(&(connection.slot, id));
        if self.peers.get(&(connection.slot, connection.peer)) == Some(&id) {
            self.peers.remove(&(connection.slot, connection.peer));
        }
        let timers = [connection.timer, connection.to_peer.bandwidth, connection.to_client.bandwidth];
        for timer in timers.into_iter().flatten() {
            self.timers.cancel(timer);
        }
        Some(connection)
    }
}

impl Connection {
    /// The other stream of a bound connection, with its remote address, and whether the data goes to the peer.
    const fn other(&self, socket: SocketId) -> Option<(SocketId, SocketAddr, bool)> {
        match self.state {
            State::Bound(client, remote) if socket.0 == self.peer_stream.0 => Some((client, remote, false)),
            State::Bound(..) => Some((self.peer_stream, self.peer, true)),
            State::Connecting(_) | State::Unbound => None,
        }
    }
}

impl Server {
    /// A Connect request (§5.2). The response follows when the stream to the peer is open.
    pub(super) fn connect(
        &mut self,
        cx: &mut Cx<'_>,
        slot: Slot,
        admitted: &Admitted<'_>,
        asked: &Asked,
    ) -> Result<(), RequestRefusal> {
        let allocation = self.table.get(slot).ok_or(RequestRefusal::NoAllocation)?;
        if !allocation.is_tcp {
            return Err(RequestRefusal::NotTcp);
        }
        let peer = admitted.message.xor_peer_address().ok_or(RequestRefusal::NoPeer)?;
        if self.connections.peers.contains_key(&(slot, peer)) {
            return Err(RequestRefusal::ConnectionExists);
        }
        let relay = allocation.live_relay(cx.now(), family_of(peer.ip())).ok_or(RequestRefusal::OtherFamily)?;
        self.config.policy.judge_port(self.listeners.own(), peer).map_err(RequestRefusal::Forbidden)?;
        if peer.port() == 0 {
            return Err(RequestRefusal::PeerPort);
        }
        if self.connections.of_slot(slot).count() >= self.config.limits.connections.into() {
            return Err(RequestRefusal::ConnectionsFull);
        }
        let local = self.pool.local(family_of(peer.ip()), relay.port).ok_or(RequestRefusal::OtherFamily)?;
        let socket = cx.next_socket();
        let state = State::Connecting(Box::new(asked.clone()));
        self.connections.insert(cx, (slot, peer), socket, state).ok_or(RequestRefusal::ConnectionsFull)?;
        let open = Open::new(socket, Protocol::Tcp, local).towards(peer).sharing_port();
        self.out.push(Output::Socket(SocketOrder::Open(open)));
        Ok(())
    }

    /// The stream to a peer is open: the client gets the id of the connection.
    pub(super) fn peer_connected(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Verdict {
        let Some((id, connection)) = self.connections.by_socket(socket) else { return Verdict::NotMine };
        let slot = connection.slot;
        let Some(connection) = self.connections.connections.get_mut(&id) else { return Verdict::NotMine };
        let State::Connecting(asked) = core::mem::replace(&mut connection.state, State::Unbound) else {
            return Verdict::Mine;
        };
        if let Some(timer) = connection.timer.take() {
            self.connections.timers.cancel(timer);
        }
        connection.timer = Some(self.connections.timers.insert(cx.now() + TIMEOUT, (id, Due::Step)));
        self.out.push(Output::Socket(SocketOrder::Pause(socket)));
        if let Some(client) = self.table.get(slot).map(|allocation| allocation.client) {
            self.answer(cx, &client, &asked, Reply::Success(&[Attribute::ConnectionId(id)]));
        }
        Verdict::Mine
    }

    /// The stream to a peer was refused, or took too long: 447.
    pub(super) fn peer_refused(&mut self, cx: &mut Cx<'_>, socket: SocketId, why: Refusal) -> Verdict {
        let Some((id, _)) = self.connections.by_socket(socket) else { return Verdict::NotMine };
        self.refuse_connect(cx, id, why);
        Verdict::Mine
    }

    fn refuse_connect(&mut self, cx: &mut Cx<'_>, id: u32, why: Refusal) {
        let Some(connection) = self.connections.remove(id) else { return };
        let client = self.table.get(connection.slot).map(|allocation| allocation.client);
        if let (State::Connecting(asked), Some(client)) = (connection.state, client) {
            self.refuse(cx, &client, &asked, RequestRefusal::ConnectFailed(why));
        }
    }

    /// A peer connected to a relay socket (§5.3). Without a permission its stream is closed at once.
    pub(super) fn peer_accepted(
        &mut self,
        cx: &mut Cx<'_>,
        (slot, family): (Slot, AddressFamily),
        socket: SocketId,
        peer: SocketAddr,
    ) -> Verdict {
        if self.connections.sockets.contains_key(&socket) {
            return Verdict::NotMine;
        }
        if let Err(why) = self.begin_attempt(cx, (slot, family), socket, peer) {
            self.drop_message(cx, peer, why);
            self.close_later(cx.now(), socket);
        }
        Verdict::Mine
    }

    fn begin_attempt(
        &mut self,
        cx: &mut Cx<'_>,
        (slot, family): (Slot, AddressFamily),
        socket: SocketId,
        peer: SocketAddr,
    ) -> Result<(), ServerDropped> {
        let allocation = self.table.get(slot).ok_or(ServerDropped::NoAllocation)?;
        allocation.live_relay(cx.now(), family).ok_or(ServerDropped::NoAllocation)?;
        let hash = self.table.hash().ok_or(ServerDropped::NoAllocation)?;
        if !allocation.peers.permits(hash, cx.now(), peer.ip()) {
            return Err(ServerDropped::NoPermission);
        }
        let client = allocation.client;
        let is_full = self.connections.of_slot(slot).count() >= self.config.limits.connections.into();
        if is_full || self.connections.peers.contains_key(&(slot, peer)) {
            return Err(ServerDropped::ConnectionsFull);
        }
        if self.out.room() < 2 {
            return Err(ServerDropped::QueueFull);
        }
        let id = self.connections.insert(cx, (slot, peer), socket, State::Unbound);
        let id = id.ok_or(ServerDropped::ConnectionsFull)?;
        let transaction = self.ids.next(cx);
        let mut buffer = [0; 20 + 24 + 8];
        let mut write = || {
            let mut writer = Writer::new(&mut buffer, Class::Indication, Method::CONNECTION_ATTEMPT, transaction)?;
            writer.add(&Attribute::XorPeerAddress(peer))?;
            writer.add(&Attribute::ConnectionId(id))?;
            Ok::<_, EncodeError>(Bytes::copy_from_slice(writer.finish()))
        };
        let Ok(payload) = write() else {
            self.connections.remove(id);
            return Err(ServerDropped::Unwritable);
        };
        self.out.push(Output::Socket(SocketOrder::Pause(socket)));
        self.out.push(Output::Transmit(client.transmit(payload)));
        Ok(())
    }

    /// The address of the control connection that a ConnectionBind request belongs to. A nonce of this address is valid
    /// for the request too.
    ///
    /// The client has one user and one IP address for both connections. A connection is bound once, so a recorded
    /// request cannot be repeated with success.
    pub(super) fn control_address(&self, client: &Client, admitted: &Admitted<'_>) -> Option<SocketAddr> {
        let message = &admitted.message;
        if message.method() != Method::CONNECTION_BIND {
            return None;
        }
        let connection = self.connections.connections.get(&message.connection_id()?)?;
        let allocation = self.table.get(connection.slot)?;
        let is_of_client = matches!(connection.state, State::Unbound)
            && *allocation.user == *admitted.username
            && allocation.client.remote.ip() == client.remote.ip();
        is_of_client.then_some(allocation.client.remote)
    }

    /// A ConnectionBind request (§5.4): the stream of its client becomes the data stream of a connection.
    pub(super) fn connection_bind(
        &mut self,
        cx: &mut Cx<'_>,
        client: &Client,
        admitted: &Admitted<'_>,
        asked: &Asked,
    ) -> Result<(), RequestRefusal> {
        if client.path != ClientPath::Stream {
            return Err(RequestRefusal::NotStream);
        }
        let id = admitted.message.connection_id().ok_or(RequestRefusal::NoConnection)?;
        let connection = self.connections.connections.get_mut(&id).ok_or(RequestRefusal::NoConnection)?;
        if !matches!(connection.state, State::Unbound) {
            return Err(RequestRefusal::NoConnection);
        }
        let allocation = self.table.get(connection.slot).ok_or(RequestRefusal::NoConnection)?;
        if *allocation.user != *admitted.username {
            return Err(RequestRefusal::OtherUser);
        }
        if self.table.by_client(client.key()).is_some() {
            return Err(RequestRefusal::ControlStream);
        }
        connection.state = State::Bound(client.socket, client.remote);
        if let Some(timer) = connection.timer.take() {
            self.connections.timers.cancel(timer);
        }
        self.connections.sockets.insert(client.socket, id);
        let peer_stream = connection.peer_stream;
        self.answer(cx, client, asked, Reply::Success(&[Attribute::ConnectionId(id)]));
        self.out.push(Output::Socket(SocketOrder::Resume(peer_stream)));
        Ok(())
    }

    /// Whether this stream of a client is a data stream.
    pub(super) fn is_data_stream(&self, socket: SocketId) -> bool {
        self.connections.sockets.contains_key(&socket)
    }

    /// Relays bytes of a connection. Takes none while the connection is not bound, while the queue is full, and while
    /// the source is paused.
    pub(super) fn connection_chunk(&mut self, cx: &mut Cx<'_>, chunk: &Datagram<'_>) -> Option<usize> {
        let now = cx.now();
        let id = *self.connections.sockets.get(&chunk.socket)?;
        let connection = self.connections.connections.get_mut(&id)?;
        let Some((socket, remote, is_to_peer)) = connection.other(chunk.socket) else { return Some(0) };
        let flow = if is_to_peer { &mut connection.to_peer } else { &mut connection.to_client };
        if flow.is_paused() || self.out.room() == 0 {
            return Some(0);
        }
        // More than the smallest burst would never have enough bandwidth.
        let bytes = chunk.payload.get(..Bandwidth::LEAST_BURST as usize).unwrap_or(chunk.payload);
        let length = bytes.len();
        let allocation = self.table.get_mut(connection.slot)?;
        if let Some(limit) = self.config.limits.bandwidth {
            let Some(bucket) = allocation.bucket.take(now, limit, length) else {
                let at = allocation.bucket.ready_at(now, limit, length);
                let due = if is_to_peer { Due::ToPeer } else { Due::ToClient };
                flow.bandwidth = Some(self.connections.timers.insert(at, (id, due)));
                self.out.push(Output::Socket(SocketOrder::Pause(chunk.socket)));
                return Some(0);
            };
            allocation.bucket = bucket;
        }
        for totals in [&mut allocation.totals, &mut self.stats.relayed] {
            if is_to_peer { totals.to_peers.add(length) } else { totals.to_client.add(length) }
        }
        let transmit = Transmit::new(socket, remote, Bytes::copy_from_slice(bytes));
        self.out.push(Output::Transmit(transmit));
        cx.note(|| ServerNote::BytesRelayed { from: chunk.remote, to: remote, length });
        Some(length)
    }

    /// A stream of a connection is full, or writable again.
    pub(super) fn set_connection_full(&mut self, socket: SocketId, full: bool) -> Verdict {
        let Some(&id) = self.connections.sockets.get(&socket) else { return Verdict::NotMine };
        let Some(connection) = self.connections.connections.get(&id) else { return Verdict::NotMine };
        let is_to_peer = socket == connection.peer_stream;
        self.change_flow(id, is_to_peer, |flow| flow.is_target_full = full);
        Verdict::Mine
    }

    /// Changes one direction of a connection, and pauses or resumes its source.
    fn change_flow(&mut self, id: u32, is_to_peer: bool, change: impl FnOnce(&mut Flow)) {
        let Some(connection) = self.connections.connections.get_mut(&id) else { return };
        let State::Bound(client, _) = connection.state else { return };
        let (source, flow) = match is_to_peer {
            true => (client, &mut connection.to_peer),
            false => (connection.peer_stream, &mut connection.to_client),
        };
        let was_paused = flow.is_paused();
        change(flow);
        match (was_paused, flow.is_paused()) {
            (false, true) => self.out.push(Output::Socket(SocketOrder::Pause(source))),
            (true, false) => self.out.push(Output::Socket(SocketOrder::Resume(source))),
            (true, true) | (false, false) => {}
        }
    }

    /// A stream of a connection was closed: the other one is closed too (§5.5).
    pub(super) fn connection_closed(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> bool {
        let Some((id, connection)) = self.connections.by_socket(socket) else { return false };
        if matches!(connection.state, State::Connecting(_)) {
            self.refuse_connect(cx, id, Refusal::Unspecified);
            return true;
        }
        let other = connection.other(socket).map(|(other, ..)| other);
        self.connections.remove(id);
        if let Some(other) = other {
            self.close_later(cx.now(), other);
        }
        true
    }

    /// Closes the streams of a connection.
    fn end_connection(&mut self, id: u32) {
        let Some(connection) = self.connections.remove(id) else { return };
        self.out.push(Output::Socket(SocketOrder::Close(connection.peer_stream)));
        if let State::Bound(client, _) = connection.state {
            self.out.push(Output::Socket(SocketOrder::Close(client)));
        }
    }

    /// Closes the connections of an allocation, or those of one family.
    pub(super) fn end_connections(&mut self, slot: Slot, family: Option<AddressFamily>) {
        let ids: Vec<u32> = self.connections.of_slot(slot).collect();
        for id in ids {
            let peer = self.connections.connections.get(&id).map(|connection| connection.peer.ip());
            if peer.is_some_and(|ip| family.is_none_or(|family| family == family_of(ip))) {
                self.end_connection(id);
            }
        }
    }

    /// Closes the connections with peers that the policy denies.
    pub(super) fn end_denied_connections(&mut self) {
        let denied =
            self.connections.connections.iter().filter(|(_, connection)| {
                self.config.policy.judge_port(self.listeners.own(), connection.peer).is_err()
            });
        let denied: Vec<u32> = denied.map(|(id, _)| *id).collect();
        for id in denied {
            self.end_connection(id);
        }
    }

    /// Ends the connections whose next step took too long, and resumes those that have bandwidth again. Returns
    /// whether there was one.
    pub(super) fn wake_connections(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut was_due = false;
        while let Some((id, due)) = self.connections.timers.pop_due(cx.now()) {
            was_due = true;
            match due {
                Due::Step => self.end_late(cx, id),
                Due::ToPeer => self.change_flow(id, true, |flow| flow.bandwidth = None),
                Due::ToClient => self.change_flow(id, false, |flow| flow.bandwidth = None),
            }
        }
        was_due
    }

    fn end_late(&mut self, cx: &mut Cx<'_>, id: u32) {
        let Some(connection) = self.connections.connections.get_mut(&id) else { return };
        connection.timer = None;
        if !matches!(connection.state, State::Connecting(_)) {
            return self.end_connection(id);
        }
        let peer_stream = connection.peer_stream;
        self.refuse_connect(cx, id, Refusal::TimedOut);
        self.out.push(Output::Socket(SocketOrder::Close(peer_stream)));
    }
}
