//! TCP candidates: virtual sockets whose peers are streams (RFC 6544).
//!
//! Rules of this file: an active socket opens a stream with the first packet to a peer. A passive socket is a listener, and
//! its peers are the streams that it accepted. The agent has no code for streams. The functions return actions, which the
//! connection applies. A fault of a stream closes this stream alone.

use crate::frames::{Frames, StreamFault, write};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_ice::{CandidateKind, LocalCandidate, Transport};
use portolan_machine::{
    Cx, Datagram, Deadline, Instant, Open, Protocol, SocketEvent, SocketId, SocketOrder, Transmit, Verdict, WhenFull,
};
use portolan_sdp::candidate::TcpType;

/// The virtual sockets and their streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tcp {
    sockets: Vec<TcpSocket>,
    streams: Vec<TcpStream>,
    /// Accepted streams above the limit, which are closed when the queue of outputs has room.
    excess: Vec<SocketId>,
    /// The time of the next attempt to close them.
    close_retry: Option<Deadline>,
}

/// A virtual socket. The id of a passive one is that of its listener.
#[derive(Clone, Copy, Debug)]
struct TcpSocket {
    id: SocketId,
    /// The host candidate of UDP with the same address.
    host: LocalCandidate,
    kind: TcpType,
    /// Whether the agent has the candidate.
    is_open: bool,
}

#[derive(Clone, Debug)]
struct TcpStream {
    id: SocketId,
    /// The virtual socket.
    socket: SocketId,
    local: SocketAddr,
    remote: SocketAddr,
    state: StreamState,
    frames: Frames,
}

#[derive(Clone, Debug)]
enum StreamState {
    /// The packets that wait for the stream.
    Opening(Vec<Bytes>),
    Open,
    /// The stream was refused or closed. Until this time no new one is opened to the peer.
    Ended(Instant),
}

/// What the connection does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TcpAction {
    Transmit(Transmit),
    Order(SocketOrder),
    AddLocal(LocalCandidate),
    RemoveLocal(SocketId),
    /// The pairs of this socket and peer fail.
    Lost {
        socket: SocketId,
        remote: SocketAddr,
    },
    /// A stream was closed, because its bytes are not those of an agent.
    Fault {
        remote: SocketAddr,
        why: StreamFault,
    },
}

/// What came out of the bytes of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrival {
    /// The number of bytes that were taken.
    pub(crate) taken: usize,
    /// A packet for the agent: the virtual socket, its address, and the peer.
    pub(crate) packet: Option<(SocketId, SocketAddr, SocketAddr, Bytes)>,
    pub(crate) actions: Vec<TcpAction>,
}

impl Tcp {
    /// The most streams of active sockets, and of passive ones.
    const STREAMS: usize = 32;
    /// The most packets that wait for a stream.
    const HELD: usize = 8;
    /// The least time between two attempts to open a stream to a peer.
    const PAUSE: Duration = Duration::from_secs(1);
    /// The time until the next attempt to close streams when the queue of outputs is full.
    const CLOSE_RETRY: Duration = Duration::from_millis(100);

    /// Adds the TCP candidates of a host candidate of UDP: an active one at once, and a passive one after its listener is
    /// open.
    pub(crate) fn add(&mut self, cx: &mut Cx<'_>, host: LocalCandidate) -> Vec<TcpAction> {
        let is_known = self.sockets.iter().any(|known| known.host.socket == host.socket);
        if host.kind != CandidateKind::Host || host.transport != Transport::Udp || is_known {
            return Vec::new();
        }
        let (active, listener) = (cx.next_socket(), cx.next_socket());
        self.sockets.push(TcpSocket { id: active, host, kind: TcpType::Active, is_open: true });
        self.sockets.push(TcpSocket { id: listener, host, kind: TcpType::Passive, is_open: false });
        let open = Open::new(listener, Protocol::TcpListen, SocketAddr::new(host.address.ip(), 0));
        let candidate = LocalCandidate::tcp_active(host.component, active, host.address.ip());
        Vec::from([
            TcpAction::AddLocal(candidate.with_preference(host.preference)),
            TcpAction::Order(SocketOrder::Open(open)),
        ])
    }

    /// Removes the TCP candidates of a host candidate of UDP, and closes their streams.
    pub(crate) fn remove(&mut self, host: SocketId) -> Vec<TcpAction> {
        let mut actions = Vec::new();
        for socket in self.sockets.extract_if(.., |known| known.host.socket == host) {
            for stream in self.streams.extract_if(.., |stream| stream.socket == socket.id) {
                actions.extend(stream.close());
            }
            if socket.kind == TcpType::Passive {
                actions.push(TcpAction::Order(SocketOrder::Close(socket.id)));
            }
            if socket.is_open {
                actions.push(TcpAction::RemoveLocal(socket.id));
            }
        }
        actions
    }

    /// Closes everything.
    pub(crate) fn close(&mut self) -> Vec<TcpAction> {
        let mut actions: Vec<TcpAction> = self.streams.drain(..).filter_map(|stream| stream.close()).collect();
        actions.extend(self.excess.drain(..).map(|id| TcpAction::Order(SocketOrder::Close(id))));
        self.close_retry = None;
        let listeners = self.sockets.drain(..).filter(|socket| socket.kind == TcpType::Passive);
        actions.extend(listeners.map(|socket| TcpAction::Order(SocketOrder::Close(socket.id))));
        actions
    }

    /// Closes the streams that no path uses (RFC 6544 §8).
    pub(crate) fn keep(&mut self, is_used: impl Fn(SocketId, SocketAddr) -> bool) -> Vec<TcpAction> {
        let unused = self.streams.extract_if(.., |stream| !is_used(stream.socket, stream.remote));
        unused.filter_map(|stream| stream.close()).collect()
    }

    /// Closes accepted streams above the limit, as many as the queue of outputs has room for. A peer causes them, so they
    /// must not fill the queue. The others are closed later, otherwise they would stay open without end.
    pub(crate) fn close_excess(&mut self, now: Instant, room: usize) -> Vec<TcpAction> {
        let closed = self.excess.drain(..room.min(self.excess.len()));
        let actions = closed.map(|id| TcpAction::Order(SocketOrder::Close(id))).collect();
        let retry = Deadline::new(now + Self::CLOSE_RETRY, "streams to close");
        self.close_retry = (!self.excess.is_empty()).then_some(retry);
        actions
    }

    /// The time of the next call of [`close_excess`](Self::close_excess).
    pub(crate) const fn deadline(&self) -> Option<Deadline> {
        self.close_retry
    }

    /// Whether each listener is open or was refused.
    pub(crate) fn is_settled(&self) -> bool {
        self.sockets.iter().all(|socket| socket.is_open)
    }

    /// Whether this is a virtual socket.
    pub(crate) fn has_socket(&self, id: SocketId) -> bool {
        self.sockets.iter().any(|socket| socket.id == id)
    }

    /// Whether this is a stream.
    pub(crate) fn has_stream(&self, id: SocketId) -> bool {
        self.streams.iter().any(|stream| stream.id == id) || self.excess.contains(&id)
    }

    /// Sends a packet from a virtual socket. An active socket opens the stream of the peer first.
    pub(crate) fn send(&mut self, cx: &mut Cx<'_>, transmit: &Transmit) -> Option<TcpAction> {
        let (socket, remote) = (transmit.socket, transmit.remote);
        let framed = write(&transmit.payload)?;
        let lost = TcpAction::Lost { socket, remote };
        let known = self.streams.iter_mut().find(|stream| stream.socket == socket && stream.remote == remote);
        if let Some(stream) = known {
            match &mut stream.state {
                StreamState::Open => return Some(TcpAction::Transmit(packet(stream.id, remote, framed))),
                StreamState::Opening(held) => {
                    if held.len() < Self::HELD {
                        held.push(framed);
                    }
                    return None;
                }
                StreamState::Ended(until) if *until > cx.now() => return Some(lost),
                StreamState::Ended(_) => {}
            }
        }
        let from = self.sockets.iter().find(|known| known.id == socket && known.kind == TcpType::Active);
        let Some(from) = from.copied() else { return Some(lost) };
        self.streams.retain(|stream| !stream.has_ended(cx.now()));
        if self.of_kind(TcpType::Active).count() >= Self::STREAMS {
            return Some(lost);
        }
        let (id, local) = (cx.next_socket(), SocketAddr::new(from.host.address.ip(), 0));
        let state = StreamState::Opening(Vec::from([framed]));
        self.streams.push(TcpStream { id, socket, local, remote, state, frames: Frames::default() });
        Some(TcpAction::Order(SocketOrder::Open(Open::new(id, Protocol::Tcp, local).towards(remote))))
    }

    /// Handles an event of a listener or of a stream.
    pub(crate) fn socket(&mut self, cx: &Cx<'_>, id: SocketId, event: SocketEvent) -> (Verdict, Vec<TcpAction>) {
        if let Some(at) = self.streams.iter().position(|stream| stream.id == id) {
            return (Verdict::Mine, self.stream_event(cx, at, event));
        }
        if let Some(at) = self.excess.iter().position(|known| *known == id) {
            if matches!(event, SocketEvent::Closed(_)) {
                self.excess.remove(at);
            }
            return (Verdict::Mine, Vec::new());
        }
        let is_listener = |socket: &TcpSocket| socket.id == id && socket.kind == TcpType::Passive;
        let Some(at) = self.sockets.iter().position(is_listener) else { return (Verdict::NotMine, Vec::new()) };
        let actions = match event {
            SocketEvent::Opened { local } => self.sockets.get_mut(at).map(|socket| {
                socket.is_open = true;
                let candidate = LocalCandidate::tcp_passive(socket.host.component, id, local);
                Vec::from([TcpAction::AddLocal(candidate.with_preference(socket.host.preference))])
            }),
            SocketEvent::Accepted { socket, local, remote } => {
                self.accept(id, socket, local, remote);
                None
            }
            SocketEvent::Refused(_) | SocketEvent::Closed(_) => {
                let socket = self.sockets.remove(at);
                // The agent loses the candidate, so no pair uses the accepted streams.
                let streams = self.streams.extract_if(.., |stream| stream.socket == id);
                let mut actions: Vec<TcpAction> = streams.filter_map(|stream| stream.close()).collect();
                actions.extend(socket.is_open.then_some(TcpAction::RemoveLocal(id)));
                Some(actions)
            }
            SocketEvent::Unreachable { .. } | SocketEvent::Full | SocketEvent::Writable => None,
        };
        (Verdict::Mine, actions.unwrap_or_default())
    }

    fn stream_event(&mut self, cx: &Cx<'_>, at: usize, event: SocketEvent) -> Vec<TcpAction> {
        let Some(stream) = self.streams.get_mut(at) else { return Vec::new() };
        let (socket, remote) = (stream.socket, stream.remote);
        match event {
            SocketEvent::Opened { local } => {
                stream.local = local;
                match core::mem::replace(&mut stream.state, StreamState::Open) {
                    StreamState::Opening(held) => {
                        held.into_iter().map(|framed| TcpAction::Transmit(packet(stream.id, remote, framed))).collect()
                    }
                    StreamState::Open | StreamState::Ended(_) => Vec::new(),
                }
            }
            SocketEvent::Refused(_) | SocketEvent::Closed(_) => {
                stream.end(cx.now());
                Vec::from([TcpAction::Lost { socket, remote }])
            }
            SocketEvent::Accepted { .. }
            | SocketEvent::Unreachable { .. }
            | SocketEvent::Full
            | SocketEvent::Writable => Vec::new(),
        }
    }

    /// The streams of the active or of the passive sockets, with their places.
    fn of_kind(&self, kind: TcpType) -> impl Iterator<Item = (usize, &TcpStream)> {
        let is_of = move |id| self.sockets.iter().any(|socket| socket.id == id && socket.kind == kind);
        self.streams.iter().enumerate().filter(move |(_, stream)| is_of(stream.socket))
    }

    /// Keeps an accepted stream. At the limit it replaces the oldest stream without a packet.
    fn accept(&mut self, socket: SocketId, id: SocketId, local: SocketAddr, remote: SocketAddr) {
        // A passive socket opens no streams again, so its ended ones are forgotten.
        self.streams.retain(|stream| !(stream.socket == socket && matches!(stream.state, StreamState::Ended(_))));
        if self.of_kind(TcpType::Passive).count() >= Self::STREAMS {
            let oldest = self.of_kind(TcpType::Passive).find(|(_, stream)| !stream.frames.has_stun());
            let Some(at) = oldest.map(|(at, _)| at) else { return self.excess.push(id) };
            self.excess.push(self.streams.remove(at).id);
        }
        let (state, frames) = (StreamState::Open, Frames::default());
        self.streams.push(TcpStream { id, socket, local, remote, state, frames });
    }

    /// Reads bytes of a stream, up to the end of one packet. The bytes of a stream that is closed are dropped.
    pub(crate) fn read(&mut self, cx: &Cx<'_>, chunk: &Datagram<'_>) -> Arrival {
        let is_open = |stream: &&mut TcpStream| stream.id == chunk.socket && matches!(stream.state, StreamState::Open);
        let Some(stream) = self.streams.iter_mut().find(is_open) else {
            return Arrival { taken: chunk.payload.len(), ..Arrival::default() };
        };
        match stream.frames.read(chunk.payload) {
            Ok((taken, packet)) => {
                let packet = packet.map(|packet| (stream.socket, stream.local, stream.remote, packet));
                Arrival { taken, packet, actions: Vec::new() }
            }
            Err(why) => {
                let (socket, remote) = (stream.socket, stream.remote);
                let closed = TcpAction::Order(SocketOrder::Close(stream.id));
                stream.end(cx.now());
                let actions = Vec::from([closed, TcpAction::Fault { remote, why }, TcpAction::Lost { socket, remote }]);
                Arrival { taken: chunk.payload.len(), packet: None, actions }
            }
        }
    }
}

impl TcpStream {
    /// The order that closes the stream, if it is open.
    const fn close(&self) -> Option<TcpAction> {
        match self.state {
            StreamState::Ended(_) => None,
            StreamState::Opening(_) | StreamState::Open => Some(TcpAction::Order(SocketOrder::Close(self.id))),
        }
    }

    fn end(&mut self, now: Instant) {
        self.state = StreamState::Ended(now + Tcp::PAUSE);
        self.frames = Frames::default();
    }

    fn has_ended(&self, now: Instant) -> bool {
        matches!(self.state, StreamState::Ended(until) if until <= now)
    }
}

/// A packet on a stream. A peer that does not read loses packets, as on a full path of UDP.
const fn packet(stream: SocketId, remote: SocketAddr, framed: Bytes) -> Transmit {
    Transmit::new(stream, remote, framed).with_when_full(WhenFull::Drop)
}
