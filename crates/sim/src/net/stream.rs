//! TCP as a pipe: connections that are accepted, refused or met with silence, and bytes that arrive in order.
//!
//! A connection finds its way through the gateways once, when it is opened, through their tables for TCP; after that
//! its bytes take the delay of that way, and neither loss nor jitter touches them: TCP would repair the one and hide
//! the other. TLS is taken for granted: bytes go over it as they are. What a driver bounds (256 KiB unsent) is not
//! modelled, for nothing here is ever unsent.

use super::{HostId, Net, Wake};
use crate::clock::{Nanos, instant, nanos};
use crate::gateway::Fall;
use crate::map::Owner;
use crate::server::Tcp;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Datagram, Machine, Refusal, SocketId, SocketNews};

/// How long a driver tries to connect to somebody who does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The connections of a net.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams {
    streams: Vec<Stream>,
}

/// A connection: who opened it, then who accepted it.
#[derive(Clone, Debug)]
struct Stream {
    ends: [End; 2],
    /// From one end to the other.
    delay: Nanos,
}

#[derive(Clone, Copy, Debug)]
struct End {
    owner: EndOwner,
    local: SocketAddr,
    remote: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndOwner {
    Socket(HostId, SocketId),
    Server(usize),
    /// Nobody any more.
    Gone,
}

/// Something on its way over a connection.
#[derive(Clone, Debug)]
pub(super) enum StreamNews {
    /// The first segment comes to whoever is to accept.
    Syn(usize),
    /// The answer to it comes back.
    Answer(usize, Result<(), Refusal>),
    /// Bytes for this end.
    Bytes(usize, usize, Bytes),
    /// The other end is done.
    Fin(usize, usize),
}

/// Where a connection leads.
struct Path {
    delay: Nanos,
    /// Source and destination as the accepting end sees them.
    source: SocketAddr,
    destination: SocketAddr,
    owner: Result<Owner, Refused>,
}

/// Why a path leads nowhere.
enum Refused {
    Silence,
    Unreachable,
}

impl Streams {
    pub(super) fn clear(&mut self) {
        self.streams.clear();
    }

    fn end(&self, stream: usize, end: usize) -> Option<&End> {
        self.streams.get(stream)?.ends.get(end)
    }

    fn set_owner(&mut self, stream: usize, end: usize, owner: EndOwner) {
        if let Some(end) = self.streams.get_mut(stream).and_then(|stream| stream.ends.get_mut(end)) {
            end.owner = owner;
        }
    }
}

impl<M: Machine> Net<M> {
    fn later(&mut self, after: Nanos, news: StreamNews) {
        self.clock.put(self.clock.now().saturating_add(after), Wake::Stream(Box::new(news)));
    }

    /// Begins to connect a stream that is bound to `local`.
    pub(super) fn connect(&mut self, number: usize, socket: SocketId, local: SocketAddr, remote: SocketAddr) {
        let path = self.trace(number, local, remote);
        let owner = EndOwner::Socket(HostId(number), socket);
        let near = End { owner, local, remote };
        let stream = self.streams.streams.len();
        let (far, then) = match path.owner {
            Ok(Owner::Server(server)) => (EndOwner::Server(server), Some(StreamNews::Syn(stream))),
            Ok(Owner::Host(host)) => {
                // Which of its sockets, the first segment finds out when it comes.
                (EndOwner::Socket(HostId(host), SocketId(0)), Some(StreamNews::Syn(stream)))
            }
            Ok(Owner::Gateway(_)) | Err(Refused::Silence) => (EndOwner::Gone, None),
            Err(Refused::Unreachable) => (EndOwner::Gone, Some(StreamNews::Answer(stream, Err(Refusal::NoRoute)))),
        };
        let far = End { owner: far, local: path.destination, remote: path.source };
        self.streams.streams.push(Stream { ends: [near, far], delay: path.delay });
        match then {
            Some(syn @ StreamNews::Syn(_)) => self.later(path.delay, syn),
            Some(answer) => self.later(path.delay.saturating_mul(2), answer),
            None => self.later(nanos(CONNECT_TIMEOUT), StreamNews::Answer(stream, Err(Refusal::TimedOut))),
        }
    }

    /// Follows the way of a connection through links and gateways.
    fn trace(&mut self, number: usize, local: SocketAddr, remote: SocketAddr) -> Path {
        let now = self.now();
        let (mut source, mut destination, mut delay) = (local, remote, 0);
        let nowhere = |delay, why| Path { delay, source: local, destination: remote, owner: Err(why) };
        let first = self.hosts.get(number).and_then(|host| {
            let has = |n: &&usize| self.map.interfaces.get(**n).is_some_and(|i| i.addresses.contains(&local.ip()));
            host.interfaces.iter().find(has).copied()
        });
        let Some(mut interface) = first else { return nowhere(0, Refused::Unreachable) };
        let mut outwards = true;
        // Up at most through every gateway and down through every gateway: a way that is longer goes in circles.
        for _ in 0..=2 * self.map.interfaces.len() {
            let Some(at) = self.map.interfaces.get(interface) else { break };
            if !outwards {
                delay += at.down.delay();
                let Owner::Gateway(gateway) = at.owner else {
                    return Path { delay, source, destination, owner: Ok(at.owner) };
                };
                let Some(gateway) = self.map.gateways.get_mut(gateway) else { break };
                match gateway.accept(now, source, destination) {
                    Ok(inside) => destination = inside,
                    Err(_) => return nowhere(delay, Refused::Silence),
                }
                let inside = self.map.segments.get(gateway.inside);
                match inside.and_then(|inside| inside.route(destination.ip())) {
                    Some(next) => interface = next,
                    None => return nowhere(delay, Refused::Silence),
                }
                continue;
            }
            delay += at.up.delay();
            let Some(segment) = self.map.segments.get(at.segment) else { break };
            if let Some(next) = segment.route(destination.ip()) {
                (interface, outwards) = (next, false);
                continue;
            }
            let Some(gateway) = segment.gateway.and_then(|gateway| self.map.gateways.get_mut(gateway)) else {
                return nowhere(delay, Refused::Unreachable);
            };
            match gateway.connect(now, source, destination) {
                Ok(seen) => (source, interface) = (seen, gateway.interface),
                Err(Fall::Blocked { tells: true }) => return nowhere(delay, Refused::Unreachable),
                Err(Fall::Blocked { tells: false } | Fall::Translator(_)) => return nowhere(delay, Refused::Silence),
            }
        }
        nowhere(delay, Refused::Silence)
    }

    /// Something has come over a connection.
    pub(super) fn stream_news(&mut self, news: StreamNews) {
        match news {
            StreamNews::Syn(stream) => self.accept(stream),
            StreamNews::Answer(stream, answer) => self.connected(stream, answer),
            StreamNews::Bytes(stream, end, payload) => self.stream_bytes(stream, end, &payload),
            StreamNews::Fin(stream, end) => self.finished(stream, end),
        }
    }

    /// The accepting end decides.
    fn accept(&mut self, stream: usize) {
        let Some((far, delay)) = self.streams.streams.get(stream).map(|s| (s.ends[1], s.delay)) else { return };
        let answer = match far.owner {
            EndOwner::Gone => None,
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
                        at.sockets.accept(socket, far.local, stream);
                        let news = SocketNews::Accepted { socket, local: far.local, remote: far.remote };
                        at.news.push_back((listener, news));
                        self.streams.set_owner(stream, 1, EndOwner::Socket(host, socket));
                        self.drive(host.0);
                        Some(Ok(()))
                    }
                    None if at.rejects => Some(Err(Refusal::ConnectionRefused)),
                    None => None,
                }
            }
        };
        match answer {
            Some(answer) => self.later(delay, StreamNews::Answer(stream, answer)),
            None => self.later(nanos(CONNECT_TIMEOUT), StreamNews::Answer(stream, Err(Refusal::TimedOut))),
        }
    }

    /// The end that opened hears what became of it.
    fn connected(&mut self, stream: usize, answer: Result<(), Refusal>) {
        let Some(End { owner: EndOwner::Socket(host, socket), local, .. }) = self.streams.end(stream, 0).copied()
        else {
            return;
        };
        let Some(at) = self.hosts.get_mut(host.0) else { return };
        match answer {
            Ok(()) => {
                let Some(opened) = at.sockets.get_mut(socket) else { return };
                opened.stream = Some(stream);
                at.news.push_back((socket, SocketNews::Opened { local }));
            }
            Err(why) => {
                if at.sockets.remove(socket).is_none() {
                    return;
                }
                self.streams.set_owner(stream, 0, EndOwner::Gone);
                at.news.push_back((socket, SocketNews::Refused(why)));
            }
        }
        self.drive(host.0);
    }

    /// Sends bytes over the connection that a socket is an end of.
    pub(super) fn send_on(&mut self, number: usize, socket: SocketId, stream: usize, payload: Bytes) {
        let Some((ends, delay)) = self.streams.streams.get(stream).map(|s| (s.ends, s.delay)) else { return };
        let [near, _] = ends;
        let to = usize::from(near.owner == EndOwner::Socket(HostId(number), socket));
        self.later(delay, StreamNews::Bytes(stream, to, payload));
    }

    fn stream_bytes(&mut self, stream: usize, end: usize, payload: &[u8]) {
        let now = instant(self.clock.now());
        let Some(End { owner, local, remote }) = self.streams.end(stream, end).copied() else { return };
        match owner {
            EndOwner::Gone => {}
            EndOwner::Server(server) => {
                let Some(server) = self.servers.get_mut(server) else { return };
                let reply = server.serve_stream(self.clock.now(), local, remote, payload);
                let delay = self.streams.streams.get(stream).map_or(0, |stream| stream.delay);
                if let Some(reply) = reply {
                    self.later(delay, StreamNews::Bytes(stream, 1 - end, reply));
                }
            }
            EndOwner::Socket(host, socket) => {
                self.say(host.0, format_args!("{socket} brings {} bytes from {remote}", payload.len()));
                let Some(at) = self.hosts.get_mut(host.0) else { return };
                let chunk = Datagram::new(socket, local, remote, payload);
                let _taken =
                    super::drive::with_cx(at, now, self.story.as_mut(), |machine, cx| machine.stream(cx, chunk));
                self.drive(host.0);
            }
        }
    }

    /// Lets a socket go.
    pub(super) fn close(&mut self, number: usize, id: SocketId) {
        let closed = self.hosts.get_mut(number).and_then(|host| {
            host.news.retain(|(socket, _)| *socket != id);
            host.sockets.remove(id)
        });
        let Some(stream) = closed.and_then(|socket| socket.stream) else { return };
        let Some((ends, delay)) = self.streams.streams.get(stream).map(|s| (s.ends, s.delay)) else { return };
        let [near, _] = ends;
        let own = usize::from(near.owner != EndOwner::Socket(HostId(number), id));
        self.streams.set_owner(stream, own, EndOwner::Gone);
        self.later(delay, StreamNews::Fin(stream, 1 - own));
    }

    fn finished(&mut self, stream: usize, end: usize) {
        let Some(End { owner: EndOwner::Socket(host, socket), .. }) = self.streams.end(stream, end).copied() else {
            return;
        };
        self.streams.set_owner(stream, end, EndOwner::Gone);
        let Some(at) = self.hosts.get_mut(host.0) else { return };
        if at.sockets.remove(socket).is_some() {
            at.news.push_back((socket, SocketNews::Closed(Closure::ByPeer)));
            self.drive(host.0);
        }
    }
}
