//! TCP allocations (RFC 6062): connections between peers and the data streams of clients.
//!
//! Rules of this file: a connection has a stream of a peer and, after ConnectionBind, a stream of the client. Before
//! that the stream of the peer is paused, so the data of the peer waits in the peer's own buffers. Bytes are relayed
//! without framing. While one stream is full, the other one is paused. A connection ends with either of its streams,
//! with its allocation, and after 30 seconds without its next step. The number of connections of an allocation is
//! bounded.

use super::Server;
use super::allocation::{Client, ClientPath, family_of};
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
    timers: Timers<u32>,
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
        let timer = Some(self.timers.insert(cx.now() + TIMEOUT, id));
        self.connections.insert(id, Connection { slot, peer, peer_stream, state, timer });
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
        if let Some(timer) = connection.timer {
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
        self.out.push(Output::Socket(SocketOrder::Open(Open::new(socket, Protocol::Tcp, local).towards(peer))));
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
        connection.timer = Some(self.connections.timers.insert(cx.now() + TIMEOUT, id));
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
        if self.table.by_client(client).is_some() {
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

    /// Relays bytes of a connection. Takes none while the connection is not bound, and while the queue is full.
    pub(super) fn connection_chunk(&mut self, cx: &mut Cx<'_>, chunk: &Datagram<'_>) -> Option<usize> {
        let (_, connection) = self.connections.by_socket(chunk.socket)?;
        let slot = connection.slot;
        let Some((socket, remote, is_to_peer)) = connection.other(chunk.socket) else { return Some(0) };
        let transmit = Transmit::new(socket, remote, Bytes::copy_from_slice(chunk.payload));
        if !self.out.offer(Output::Transmit(transmit)) {
            return Some(0);
        }
        let length = chunk.payload.len();
        if let Some(allocation) = self.table.get_mut(slot) {
            let totals = [&mut allocation.totals, &mut self.stats.relayed];
            for totals in totals {
                if is_to_peer { totals.to_peers.add(length) } else { totals.to_client.add(length) }
            }
        }
        cx.note(|| ServerNote::BytesRelayed { from: chunk.remote, to: remote, length });
        Some(length)
    }

    /// Pauses or resumes the other stream of a connection, when one is full or writable again.
    pub(super) fn set_connection_full(&mut self, socket: SocketId, full: bool) -> Verdict {
        let Some((_, connection)) = self.connections.by_socket(socket) else { return Verdict::NotMine };
        if let Some((other, ..)) = connection.other(socket) {
            let order = if full { SocketOrder::Pause(other) } else { SocketOrder::Resume(other) };
            self.out.push(Output::Socket(order));
        }
        Verdict::Mine
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

    /// Ends the connections whose next step took too long. Returns whether there was one.
    pub(super) fn wake_connections(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut was_due = false;
        while let Some(id) = self.connections.timers.pop_due(cx.now()) {
            was_due = true;
            let Some(connection) = self.connections.connections.get_mut(&id) else { continue };
            connection.timer = None;
            if matches!(connection.state, State::Connecting(_)) {
                let peer_stream = connection.peer_stream;
                self.refuse_connect(cx, id, Refusal::TimedOut);
                self.out.push(Output::Socket(SocketOrder::Close(peer_stream)));
            } else {
                self.end_connection(id);
            }
        }
        was_due
    }
}
