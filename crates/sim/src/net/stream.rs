//! TCP connections: how they open, accept, close and break.
//!
//! The path of a connection through the gateways and their TCP tables is computed once, at the opening. After that the
//! bytes take the delay and the bandwidth of the wires on that path ([`segment`](super::segment)). Loss and jitter have
//! no effect, because TCP repairs loss and hides jitter. TLS handshakes and records are not simulated: a TLS stream
//! carries its plaintext.
//!
//! A stream breaks in two ways:
//!
//! * An interface on its path is down, or a wire is cut. The bytes are retransmitted until the path is repaired. After
//!   fifteen minutes the stream ends ([`Closure::TimedOut`]).
//! * The host loses the address of an end. The system ends the stream at once ([`Closure::Reset`], which a driver
//!   reports for ECONNABORTED), or lets it time out ([`Net::set_aborts_streams`]). The peer is not notified.

use super::neighbor::Neighbor;
use super::pipe::{Pipe, Retry, Segment};
use super::{HostId, Net, Wake};
use crate::clock::{Nanos, nanos};
use crate::gateway::DropCause;
use crate::host::{StreamId, StreamStats};
use crate::map::{Hop, Owner};
use crate::server::Tcp;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Machine, Refusal, SocketEvent, SocketId};

/// The time after which a driver gives up a connection to a peer that does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The bytes that wait on a stream, seen from one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamBacklog {
    /// Bytes that the machine has sent and that wait for space in the receive window.
    pub unsent: usize,
    /// Bytes in transit to the other end, or unread there; at most 64 KiB.
    pub in_window: usize,
    /// Bytes that have arrived here and that the machine has not taken; at most 64 KiB.
    pub unread: usize,
}

/// The connections of a net.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams {
    /// A stream is removed when both ends are gone.
    streams: BTreeMap<StreamId, Stream>,
    opened: StreamId,
}

/// The number of the end that accepted a connection.
pub(super) const ACCEPTING: usize = 1;

/// A connection. End 0 opened it, end [`ACCEPTING`] accepted it. Pipe 0 leads from end 0 to end 1, pipe 1 back.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) ends: [End; 2],
    pub(super) pipes: [Pipe; 2],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) owner: EndOwner,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndOwner {
    Socket(HostId, SocketId),
    Server(usize),
    /// The owner has closed the stream, or has received the event that the peer closed it.
    Closed,
    /// The stream broke at this end; the peer may not have noticed.
    Lost,
}

/// An event of a connection.
#[derive(Clone, Debug)]
pub(super) enum StreamEvent {
    /// The SYN reaches the accepting end.
    Syn(StreamId),
    /// The answer to the SYN comes back.
    Answer(StreamId, Result<(), Refusal>),
    /// A segment of this pipe reaches the wire with this number on its path, or the reader.
    Segment(StreamId, usize, usize, Segment),
    /// A window update reaches the sender of this pipe: the reader took this number of bytes.
    Taken(StreamId, usize, usize),
    /// The sender of this pipe retransmits over a broken path.
    Retry(StreamId, usize),
}

/// The path of a connection.
struct Path {
    hops: Vec<Hop>,
    /// The time that the SYN waits for neighbors on the path.
    wait: Nanos,
    /// Source and destination at the accepting end.
    source: SocketAddr,
    destination: SocketAddr,
    owner: Result<Owner, Refused>,
}

/// The reason why a path does not exist.
#[derive(Clone, Copy)]
enum Refused {
    Silence,
    Unreachable,
}

impl Streams {
    pub(super) fn clear(&mut self) {
        self.streams.clear();
        self.opened = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(&id)
    }

    pub(super) fn end(&self, id: StreamId, end: usize) -> Option<End> {
        self.get(id)?.ends.get(end).copied()
    }

    pub(super) fn pipe(&self, id: StreamId, pipe: usize) -> Option<&Pipe> {
        self.get(id)?.pipes.get(pipe)
    }

    pub(super) fn pipe_mut(&mut self, id: StreamId, pipe: usize) -> Option<&mut Pipe> {
        self.get_mut(id)?.pipes.get_mut(pipe)
    }

    fn add(&mut self, stream: Stream) -> StreamId {
        self.opened += 1;
        self.streams.insert(self.opened, stream);
        self.opened
    }

    fn remove(&mut self, id: StreamId) {
        self.streams.remove(&id);
    }

    /// Marks an end as having no reader, and removes the stream if the other end has none either.
    pub(super) fn set_owner(&mut self, id: StreamId, end: usize, owner: EndOwner) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Some(end) = stream.ends.get_mut(end) {
            end.owner = owner;
        }
        if stream.ends.iter().all(|end| matches!(end.owner, EndOwner::Closed | EndOwner::Lost)) {
            self.remove(id);
        }
    }
}

impl Stream {
    /// The end that belongs to this socket.
    pub(super) fn end_of(&self, host: HostId, socket: SocketId) -> Option<usize> {
        self.ends.iter().position(|end| end.owner == EndOwner::Socket(host, socket))
    }
}

impl<M: Machine> Net<M> {
    /// The bytes of a host's streams that did not reach a machine or a peer.
    #[must_use]
    pub fn stream_stats(&self, host: HostId) -> StreamStats {
        self.hosts.get(host.0).map(|host| host.stream_stats).unwrap_or_default()
    }

    /// The bytes that wait on a stream, seen from this socket; `None` if the socket is not a stream.
    #[must_use]
    pub fn stream_backlog(&self, host: HostId, socket: SocketId) -> Option<StreamBacklog> {
        let (id, end) = self.stream_of(host.0, socket)?;
        let (out, back) = (self.streams.pipe(id, end)?, self.streams.pipe(id, 1 - end)?);
        let (unsent, in_window) = (out.sender.unsent(), out.sender.in_window());
        Some(StreamBacklog { unsent, in_window, unread: back.receiver.unread() })
    }

    /// The number of streams with at least one open end. A stream to a server counts once.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// The stream of a socket, and its end.
    pub(super) fn stream_of(&self, number: usize, socket: SocketId) -> Option<(StreamId, usize)> {
        let id = self.hosts.get(number)?.sockets.get(socket)?.stream?;
        Some((id, self.streams.get(id)?.end_of(HostId(number), socket)?))
    }

    pub(super) fn later(&mut self, after: Nanos, event: StreamEvent) {
        self.clock.schedule(self.clock.now().saturating_add(after), Wake::Stream(Box::new(event)));
    }

    /// The least time that a segment of this pipe takes.
    pub(super) fn stream_delay(&self, id: StreamId, pipe: usize) -> Nanos {
        self.streams.pipe(id, pipe).map_or(0, |pipe| self.map.delay(&pipe.hops, self.clock.now()))
    }

    /// Starts to connect a stream that is bound to `local`.
    pub(super) fn connect(&mut self, number: usize, socket: SocketId, local: SocketAddr, remote: SocketAddr) {
        let path = self.trace(number, local, remote);
        let near = End { owner: EndOwner::Socket(HostId(number), socket), local, remote };
        let owner = match path.owner {
            Ok(Owner::Server(server)) => EndOwner::Server(server),
            // The listener is found when the SYN arrives.
            Ok(Owner::Host(host)) => EndOwner::Socket(HostId(host), SocketId(0)),
            Ok(Owner::Gateway(_)) | Err(_) => EndOwner::Closed,
        };
        let far = End { owner, local: path.destination, remote: path.source };
        let delay = self.map.delay(&path.hops, self.clock.now());
        let back = path.hops.iter().rev().map(|hop| Hop { up: !hop.up, ..*hop }).collect();
        let pipes = [path.hops, back].map(|hops| Pipe { hops, ..Pipe::default() });
        let id = self.streams.add(Stream { ends: [near, far], pipes });
        if let Some(socket) = self.hosts.get_mut(number).and_then(|host| host.sockets.get_mut(socket)) {
            socket.stream = Some(id);
        }
        match path.owner {
            Ok(Owner::Host(_) | Owner::Server(_)) => self.later(delay.saturating_add(path.wait), StreamEvent::Syn(id)),
            Err(Refused::Unreachable) => {
                self.later(delay.saturating_mul(2), StreamEvent::Answer(id, Err(Refusal::NoRoute)));
            }
            Ok(Owner::Gateway(_)) | Err(Refused::Silence) => self.refuse_in_silence(id),
        }
    }

    /// There is no answer: the opening end times out.
    fn refuse_in_silence(&mut self, id: StreamId) {
        self.later(nanos(CONNECT_TIMEOUT), StreamEvent::Answer(id, Err(Refusal::TimedOut)));
    }

    /// Computes the path of a connection through links and gateways.
    fn trace(&mut self, number: usize, local: SocketAddr, remote: SocketAddr) -> Path {
        let now = self.now();
        let mut path =
            Path { hops: Vec::new(), wait: 0, source: local, destination: remote, owner: Err(Refused::Silence) };
        let refused = |path: Path, why| Path { source: local, destination: remote, owner: Err(why), ..path };
        let Some(mut interface) = self.interface_of(number, local.ip()) else {
            return refused(path, Refused::Unreachable);
        };
        let mut up = true;
        // A path goes at most up through every gateway and down through every gateway; a longer path is a loop.
        for _ in 0..=2 * self.map.interfaces.len() {
            let hop = Hop { interface, up };
            path.hops.push(hop);
            let Some(at) = self.map.interfaces.get(interface).filter(|_| self.map.is_passable(hop)) else { break };
            let (owner, segment) = (at.owner, at.segment);
            if !up {
                let Owner::Gateway(gateway) = owner else { return Path { owner: Ok(owner), ..path } };
                let Some(gateway) = self.map.gateways.get_mut(gateway) else { break };
                let Ok(destination) = gateway.accept(now, path.source, path.destination) else { break };
                path.destination = destination;
                let inside = gateway.inside;
                let Some(next) = self.map.segments.get(inside).and_then(|inside| inside.route(destination.ip())) else {
                    break;
                };
                path.wait += self.neighbor_wait(inside, Neighbor::Gateway, Neighbor::Interface(next), path.wait);
                interface = next;
                continue;
            }
            if let Some(neighbor) = self.next_hop(segment, path.destination.ip()) {
                path.wait += self.neighbor_wait(segment, Neighbor::Interface(interface), neighbor, path.wait);
            }
            let Some(place) = self.map.segments.get(segment) else { break };
            if let Some(next) = place.route(path.destination.ip()) {
                (interface, up) = (next, false);
                continue;
            }
            let Some(gateway) = place.gateway.and_then(|gateway| self.map.gateways.get_mut(gateway)) else {
                return refused(path, Refused::Unreachable);
            };
            match gateway.connect(now, path.source, path.destination) {
                Ok(seen) => (path.source, interface) = (seen, gateway.interface),
                Err(DropCause::Blocked { sends_icmp: true }) => return refused(path, Refused::Unreachable),
                Err(DropCause::Blocked { sends_icmp: false } | DropCause::Translator(_)) => break,
            }
        }
        refused(path, Refused::Silence)
    }

    /// Handles an event of a connection.
    pub(super) fn handle_stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Syn(id) => self.accept(id),
            StreamEvent::Answer(id, answer) => self.connected(id, answer),
            StreamEvent::Segment(id, pipe, hop, segment) => self.move_segment(id, pipe, hop, segment),
            StreamEvent::Taken(id, pipe, bytes) => self.window_opens(id, pipe, bytes),
            StreamEvent::Retry(id, pipe) => self.retry(id, pipe),
        }
    }

    /// The accepting end accepts or refuses.
    fn accept(&mut self, id: StreamId) {
        let (Some(far), Some(near)) = (self.streams.end(id, 1), self.streams.end(id, 0)) else { return };
        if near.owner == EndOwner::Closed {
            return self.streams.remove(id);
        }
        let answer = match far.owner {
            _ if !self.is_whole(id, 0) => None,
            EndOwner::Closed | EndOwner::Lost => None,
            EndOwner::Server(server) => match self.servers.get(server).map(|server| server.config.tcp) {
                Some(Tcp::Accepts) => Some(Ok(())),
                Some(Tcp::Refuses) => Some(Err(Refusal::ConnectionRefused)),
                Some(Tcp::Silent) | None => None,
            },
            EndOwner::Socket(host, _) => {
                let Some(at) = self.hosts.get_mut(host.0) else { return };
                match at.sockets.receiver(far.local, true) {
                    Some(listener) => {
                        let socket = at.ids.next_socket();
                        at.sockets.accept(socket, far.local, id);
                        let event = SocketEvent::Accepted { socket, local: far.local, remote: far.remote };
                        at.inbox.socket_events.push_back((listener, event));
                        self.streams.set_owner(id, 1, EndOwner::Socket(host, socket));
                        self.later(self.stream_delay(id, 1), StreamEvent::Answer(id, Ok(())));
                        return self.drive(host.0);
                    }
                    None if at.system.rejects => Some(Err(Refusal::ConnectionRefused)),
                    None => None,
                }
            }
        };
        match answer {
            Some(answer) => self.later(self.stream_delay(id, 1), StreamEvent::Answer(id, answer)),
            None => self.refuse_in_silence(id),
        }
    }

    /// The opening end gets the result.
    fn connected(&mut self, id: StreamId, answer: Result<(), Refusal>) {
        let Some(End { owner, local, .. }) = self.streams.end(id, 0) else { return };
        let EndOwner::Socket(host, socket) = owner else {
            // The opening end has closed the stream in the meantime.
            return self.end_refused(id);
        };
        if answer.is_ok() && !self.is_whole(id, 1) {
            return self.refuse_in_silence(id);
        }
        let Some(at) = self.hosts.get_mut(host.0) else { return };
        match answer {
            Ok(()) => {
                let Some(opened) = at.sockets.get_mut(socket) else { return };
                opened.is_connected = true;
                at.inbox.socket_events.push_back((socket, SocketEvent::Opened { local }));
                // Bytes of the accepting end may have arrived before.
                at.inbox.mark_readable(socket);
            }
            Err(why) => {
                at.sockets.remove(socket);
                at.inbox.socket_events.push_back((socket, SocketEvent::Refused(why)));
                self.end_refused(id);
            }
        }
        self.drive(host.0);
    }

    /// Ends a stream that failed to open, at the opening end. An end that has accepted is reset.
    fn end_refused(&mut self, id: StreamId) {
        let accepted = |end: End| match end.owner {
            EndOwner::Socket(_, socket) => socket != SocketId(0),
            EndOwner::Server(_) => true,
            EndOwner::Closed | EndOwner::Lost => false,
        };
        let is_accepted = self.streams.end(id, 1).is_some_and(accepted);
        self.streams.set_owner(id, 0, EndOwner::Closed);
        if is_accepted {
            self.reset_peer(id, 0);
        } else {
            self.streams.remove(id);
        }
    }

    /// Sends a reset from this end to the other.
    pub(super) fn reset_peer(&mut self, id: StreamId, end: usize) {
        if let Some(pipe) = self.streams.pipe_mut(id, end) {
            pipe.sender.reset();
            self.pump(id, end);
        }
    }

    /// Closes a socket by order of its machine. Queued bytes are still sent, then the end.
    pub(super) fn close(&mut self, number: usize, socket: SocketId) {
        let stream = self.stream_of(number, socket);
        let closed = self.hosts.get_mut(number).and_then(|host| {
            host.inbox.forget(socket);
            host.sockets.remove(socket)
        });
        let (Some(closed), Some((id, end))) = (closed, stream) else { return };
        self.leave(id, end, EndOwner::Closed);
        if let (true, Some(pipe)) = (closed.is_connected, self.streams.pipe_mut(id, end)) {
            pipe.sender.finish();
            self.pump(id, end);
        }
    }

    /// Closes a stream for a reason of the driver. Notifies the machine and the peer.
    pub(super) fn close_for(&mut self, number: usize, socket: SocketId, why: Closure) {
        let Some((id, end)) = self.stream_of(number, socket) else { return };
        let Some(host) = self.hosts.get_mut(number) else { return };
        host.sockets.remove(socket);
        host.inbox.socket_events.push_back((socket, SocketEvent::Closed(why)));
        if matches!(why, Closure::Overflow | Closure::NotRead) {
            self.leave(id, end, EndOwner::Closed);
            return self.reset_peer(id, end);
        }
        if let Some(pipe) = self.streams.pipe_mut(id, end) {
            pipe.sender.abandon();
        }
        let owner = if why == Closure::ByPeer { EndOwner::Closed } else { EndOwner::Lost };
        self.leave(id, end, owner);
    }

    /// Removes the owner of an end. Its unread bytes are dropped and no longer use the window.
    fn leave(&mut self, id: StreamId, end: usize, owner: EndOwner) {
        let unread = self.streams.pipe_mut(id, 1 - end).map_or(0, |pipe| pipe.receiver.discard());
        self.taken(id, 1 - end, unread);
        self.streams.set_owner(id, end, owner);
    }

    /// Ends a stream at one end, after the bytes that have arrived there. This end sends nothing more.
    pub(super) fn break_end(&mut self, id: StreamId, end: usize, why: Closure) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if let Some(pipe) = stream.pipes.get_mut(end) {
            pipe.sender.abandon();
        }
        if let Some(pipe) = stream.pipes.get_mut(1 - end) {
            pipe.receiver.break_off(why);
        }
        self.read(id, end);
    }

    /// Ends the streams of a host on a local address that the host has lost.
    pub(super) fn abort_streams(&mut self, number: usize) {
        let Some(host) = self.hosts.get(number) else { return };
        let lost: Vec<(StreamId, usize)> = host
            .sockets
            .connected()
            .filter_map(|socket| {
                let (id, end) = self.stream_of(number, socket.id)?;
                let local = self.streams.end(id, end)?.local;
                self.interface_of(number, local.ip()).is_none().then_some((id, end))
            })
            .collect();
        for (id, end) in lost {
            self.break_end(id, end, Closure::Reset);
        }
    }

    /// Whether segments of a pipe reach the reader: all wires are passable, and both ends have their addresses.
    pub(super) fn is_whole(&self, id: StreamId, pipe: usize) -> bool {
        let Some(stream) = self.streams.get(id) else { return false };
        let Some(hops) = stream.pipes.get(pipe).map(|pipe| &pipe.hops) else { return false };
        let [near, far] = [pipe, 1 - pipe].map(|end| stream.ends.get(end).map(|end| end.local));
        let has = |hop: Option<&Hop>, local: Option<SocketAddr>| {
            hop.zip(local).is_some_and(|(hop, local)| self.map.has_address(hop.interface, local.ip()))
        };
        hops.iter().all(|hop| self.map.is_passable(*hop)) && has(hops.first(), near) && has(hops.last(), far)
    }

    /// Schedules the next retransmission of a pipe.
    pub(super) fn put_retry(&mut self, id: StreamId, pipe: usize, retry: Retry) {
        if let Some(at) = self.streams.pipe_mut(id, pipe) {
            at.retry = Some(retry);
            self.later(nanos(retry.delay()), StreamEvent::Retry(id, pipe));
        }
    }
}
