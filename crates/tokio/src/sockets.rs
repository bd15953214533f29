//! The sockets of one driver, by name.
//!
//! Orders come in ([`Sockets::open`], [`Sockets::close`], [`Sockets::transmit`]), what happens goes out
//! ([`Sockets::look`], [`Sockets::next_news`]). Nothing here waits: a socket that is ready is looked at, once.

mod batch;
mod limits;
mod listener;
pub(crate) mod ready;
mod route;
pub(crate) mod stream;
mod streams;
pub(crate) mod udp;

use crate::config::DriverConfig;
use crate::data::SendError;
use crate::driver::World;
use crate::note::DriverNote;
use crate::tls::{TlsClient, TlsServer};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use batch::{Batch, Flow};
use bytes::BytesMut;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use limits::Limits;
use listener::{Brought, Listener};
use portolan_machine::{Closure, Forward, Open, Protocol, Refusal, SocketId, SocketNews, Transmit};
use ready::{ReadyQueue, SocketWaker};
use std::collections::HashMap;
use stream::Stream;
pub use streams::Backlog;
use udp::{Addressing, Inbox, Udp, UnsentReason};

/// What the driver has had to drop since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams dropped because a send buffer was full.
    pub full: u64,
    /// Transmits on sockets that were not open, or on streams that had failed.
    pub not_open: u64,
    /// Datagrams and chunks dropped because the machine called them not its own, and the owner does not ask for data.
    pub not_mine: u64,
    /// Transmits that may be dropped, dropped because more than 64 KiB waited on their stream.
    pub stream_full: u64,
    /// Datagrams for the owner, dropped because 1 MiB waited for it already.
    pub data: u64,
    /// Orders to open a socket under an id that was known already.
    pub known_ids: u64,
    /// Reports of unreachable remotes dropped because too many waited.
    pub news: u64,
    /// Accepted streams closed at once, because their source held as many streams as one source may.
    pub too_many_streams: u64,
    /// Accepted streams closed at once, because their source held as many TLS handshakes as one source may.
    pub too_many_handshakes: u64,
}

/// A stream that is being connected.
struct Opening {
    remote: Option<SocketAddr>,
    connecting: Pin<Box<dyn Future<Output = Result<Stream, Refusal>> + Send>>,
}

type Closing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What stands behind a name.
enum Endpoint {
    Udp(Box<Udp>),
    Opening(Opening),
    Stream(Stream),
    Listener(Box<Listener>),
    /// Closed by the machine; the name is dead and only the last bytes are still on their way.
    Closing(Closing),
}

impl Endpoint {
    /// Whether the machine still knows it.
    const fn is_alive(&self) -> bool {
        !matches!(self, Self::Closing(_))
    }

    const fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Opening(_) | Self::Closing(_))
    }
}

struct Entry {
    endpoint: Endpoint,
    /// The same waker in two forms.
    socket_waker: Arc<SocketWaker>,
    waker: Waker,
}

/// What was found when a socket was looked at.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing for the machine, or news that wait in the queue.
    Nothing,
    /// So many buffers of datagrams in the inbox.
    Datagrams(usize),
    /// So many bytes of a stream in the inbox.
    Chunk { length: usize, local: SocketAddr, remote: SocketAddr },
    /// Bytes of a stream that were read earlier and not taken.
    Unread { bytes: BytesMut, local: SocketAddr, remote: SocketAddr },
    /// A stream for a listener.
    Accepted(Stream),
}

/// All sockets of a driver.
pub(crate) struct Sockets {
    table: HashMap<SocketId, Entry>,
    ready: Arc<ReadyQueue>,
    batch: Batch,
    news: VecDeque<(SocketId, SocketNews)>,
    /// Streams whose small payloads wait for the end of a drain.
    corked: Vec<SocketId>,
    /// The addresses of the streams whose end waits among the news.
    ends: HashMap<SocketId, (SocketAddr, SocketAddr)>,
    config: DriverConfig,
    /// The number of streams in the table, lingering ones included.
    streams: usize,
    limits: Arc<Limits>,
    pub(crate) counters: Counters,
}

impl Sockets {
    /// How many news may wait before reports of unreachable remotes are dropped. Other news are as many as sockets.
    const NEWS: usize = 1_024;

    pub(crate) fn new(config: DriverConfig) -> Self {
        Self {
            table: HashMap::new(),
            ready: Arc::new(ReadyQueue::default()),
            batch: Batch::default(),
            news: VecDeque::new(),
            corked: Vec::new(),
            ends: HashMap::new(),
            limits: Limits::new(&config),
            config,
            streams: 0,
            counters: Counters::default(),
        }
    }

    /// Sets the waker that is called when a socket becomes ready.
    pub(crate) fn set_driver(&self, driver: &Waker) {
        self.ready.set_driver(driver);
    }

    /// The next socket that is ready.
    pub(crate) fn next_ready(&self) -> Option<SocketId> {
        self.ready.pop()
    }

    /// The next news for the machine.
    pub(crate) fn next_news(&mut self) -> Option<(SocketId, SocketNews)> {
        self.news.pop_front()
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Whether the machine still knows this socket.
    pub(crate) fn is_alive(&self, id: SocketId) -> bool {
        self.table.get(&id).is_some_and(|entry| entry.endpoint.is_alive())
    }

    /// Does what the machine ordered; its answer waits among the news.
    pub(crate) fn open(&mut self, open: Open, world: &mut World) {
        let id = open.id;
        if self.table.contains_key(&id) {
            // `Refused` would mean that the id is dead, but the socket that has it lives on.
            self.counters.known_ids += 1;
            world.note(|| DriverNote::KnownId { socket: id });
            return;
        }
        let opened = match open.protocol {
            Protocol::Udp => self.open_udp(&open),
            Protocol::Tcp => Ok((self.connect(open, None), None)),
            Protocol::Tls => match self.config.tls.client() {
                Some(tls) => Ok((self.connect(open, Some(tls)), None)),
                None => Err(Refusal::Unsupported),
            },
            Protocol::TcpListen => self.listen_on(open.local, None),
            Protocol::TlsListen => match self.config.tls.server() {
                Some(tls) => self.listen_on(open.local, Some(tls)),
                None => Err(Refusal::Unsupported),
            },
        };
        match opened {
            Ok((endpoint, local)) => {
                self.insert(id, endpoint);
                self.news.extend(local.map(|local| (id, SocketNews::Opened { local })));
            }
            Err(why) => self.news.push_back((id, SocketNews::Refused(why))),
        }
    }

    fn open_udp(&self, open: &Open) -> Result<(Endpoint, Option<SocketAddr>), Refusal> {
        // Without a route no port is taken.
        if let Some(remote) = open.remote {
            route::local_towards(open.local, remote)?;
        }
        let udp = Udp::bind(open.local, self.config.socket_buffers)?;
        let local = match open.remote {
            Some(remote) => route::local_towards(udp.bound(), remote)?,
            None => udp.bound(),
        };
        Ok((Endpoint::Udp(Box::new(udp)), Some(local)))
    }

    fn connect(&self, open: Open, tls: Option<TlsClient>) -> Endpoint {
        let remote = open.remote;
        let connecting = Box::pin(stream::connect(open, tls, self.config.connect_timeout));
        Endpoint::Opening(Opening { remote, connecting })
    }

    fn listen_on(&self, local: SocketAddr, tls: Option<TlsServer>) -> Result<(Endpoint, Option<SocketAddr>), Refusal> {
        let listener = Listener::bind(local, tls, self.config.connect_timeout, &self.limits)?;
        let local = listener.local();
        Ok((Endpoint::Listener(Box::new(listener)), Some(local)))
    }

    /// Takes over a socket of the caller's.
    pub(crate) fn adopt(&mut self, id: SocketId, udp: Udp) {
        self.insert(id, Endpoint::Udp(Box::new(udp)));
    }

    /// Takes over a listener of the caller's, and returns its address.
    pub(crate) fn adopt_listener(
        &mut self,
        id: SocketId,
        socket: std::net::TcpListener,
        protocol: Protocol,
    ) -> std::io::Result<SocketAddr> {
        let tls = match protocol {
            Protocol::TcpListen => None,
            Protocol::TlsListen => match self.config.tls.server() {
                Some(tls) => Some(tls),
                None => return Err(std::io::ErrorKind::Unsupported.into()),
            },
            Protocol::Udp | Protocol::Tcp | Protocol::Tls => return Err(std::io::ErrorKind::InvalidInput.into()),
        };
        let listener = Listener::adopt(socket, tls, self.config.connect_timeout, &self.limits)?;
        let local = listener.local();
        self.insert(id, Endpoint::Listener(Box::new(listener)));
        Ok(local)
    }

    /// Puts an open stream under its id: an accepted one, or one of the caller's.
    pub(crate) fn name(&mut self, id: SocketId, stream: Stream) {
        self.insert(id, Endpoint::Stream(stream));
    }

    fn insert(&mut self, id: SocketId, endpoint: Endpoint) {
        let socket_waker = SocketWaker::new(id, &self.ready);
        let waker = Waker::from(Arc::clone(&socket_waker));
        socket_waker.queue();
        self.streams += usize::from(endpoint.is_stream());
        let replaced = self.table.insert(id, Entry { endpoint, socket_waker, waker });
        self.streams -= usize::from(replaced.is_some_and(|entry| entry.endpoint.is_stream()));
    }

    /// Lets a socket go, after what was sent on it before. The machine hears nothing more of it.
    pub(crate) fn close(&mut self, id: SocketId, world: &mut World) {
        if self.batch.uses(id) {
            self.flush(world);
        }
        self.news.retain(|(socket, _)| *socket != id);
        self.ends.remove(&id);
        let Some(entry) = self.remove(id) else {
            return;
        };
        match entry.endpoint {
            Endpoint::Stream(stream) => self.linger(id, stream),
            Endpoint::Closing(closing) => self.insert(id, Endpoint::Closing(closing)),
            Endpoint::Udp(_) | Endpoint::Opening(_) | Endpoint::Listener(_) => {}
        }
    }

    fn linger(&mut self, id: SocketId, stream: Stream) {
        let limit = self.config.linger;
        let closing = async move {
            let _in_time = tokio::time::timeout(limit, stream.finish()).await;
        };
        self.insert(id, Endpoint::Closing(Box::pin(closing)));
    }

    fn remove(&mut self, id: SocketId) -> Option<Entry> {
        let entry = self.table.remove(&id)?;
        if entry.endpoint.is_stream() {
            self.streams -= 1;
            self.limits.wake();
        }
        Some(entry)
    }

    /// Receives one batch of a UDP socket that is about to be released, if its queue may hold merged datagrams. Returns the
    /// number of filled buffers.
    pub(crate) fn receive_merged(&mut self, id: SocketId, inbox: &mut Inbox) -> Option<usize> {
        match &mut self.table.get_mut(&id)?.endpoint {
            Endpoint::Udp(udp) => udp.receive_merged(inbox),
            Endpoint::Opening(_) | Endpoint::Stream(_) | Endpoint::Listener(_) | Endpoint::Closing(_) => None,
        }
    }

    /// Takes a UDP socket out. The datagrams that wait for it leave first. To the machine this is like its own `Close`.
    pub(crate) fn release_udp(&mut self, id: SocketId, world: &mut World) -> Option<std::net::UdpSocket> {
        if !self.is_udp(id) {
            return None;
        }
        self.flush(world);
        self.news.retain(|(socket, _)| *socket != id);
        match self.remove(id)?.endpoint {
            Endpoint::Udp(udp) => udp.release(),
            Endpoint::Opening(_) | Endpoint::Stream(_) | Endpoint::Listener(_) | Endpoint::Closing(_) => None,
        }
    }

    /// Sends a transmit, or keeps it for others that can leave with it.
    pub(crate) fn transmit(&mut self, transmit: Transmit, world: &mut World) {
        let length = transmit.payload.len();
        if Batch::suits(length) && transmit.hop_limit.is_none() && self.is_udp(transmit.socket) {
            self.join_batch(Flow::from(&transmit), length, |out| out.extend_from_slice(&transmit.payload), world);
            return;
        }
        self.flush(world);
        let id = transmit.socket;
        match self.table.get_mut(&id).map(|entry| (&mut entry.endpoint, &entry.waker)) {
            Some((Endpoint::Udp(udp), _)) => {
                let Transmit { remote, local, hop_limit, .. } = transmit;
                let sent = udp.send(Addressing { remote, local, hop_limit }, &transmit.payload);
                self.after_send(id, remote, sent, world);
            }
            Some((Endpoint::Stream(_), _)) => self.transmit_stream(&transmit, world),
            Some((Endpoint::Opening(_) | Endpoint::Listener(_) | Endpoint::Closing(_), _)) | None => {
                self.counters.not_open += 1;
                world.note(|| DriverNote::NotOpen { socket: id });
            }
        }
    }

    /// Sends at once for the owner.
    pub(crate) fn send(&mut self, transmit: &Transmit, world: &mut World) -> Result<(), SendError> {
        // What was queued before leaves first.
        self.flush(world);
        let id = transmit.socket;
        match self.table.get_mut(&id).map(|entry| &mut entry.endpoint) {
            Some(Endpoint::Udp(udp)) => {
                let Transmit { remote, local, hop_limit, ref payload, .. } = *transmit;
                match udp.send(Addressing { remote, local, hop_limit }, payload) {
                    Err(UnsentReason::Full) => Err(SendError::Full),
                    sent @ (Ok(()) | Err(UnsentReason::Unreachable(_))) => {
                        self.after_send(id, remote, sent, world);
                        Ok(())
                    }
                }
            }
            Some(Endpoint::Stream(_)) => {
                let sent = self.offer_stream(transmit);
                self.flush_streams();
                sent
            }
            Some(Endpoint::Opening(_) | Endpoint::Listener(_) | Endpoint::Closing(_)) | None => Err(SendError::NotOpen),
        }
    }

    /// Sends the result of [`Machine::forward`](portolan_machine::Machine::forward), or keeps it for others that can
    /// leave with it. On a UDP socket that allocates nothing.
    pub(crate) fn forward(&mut self, forward: &Forward<'_>, world: &mut World) {
        if !self.is_udp(forward.socket) {
            self.transmit(forward.to_transmit(), world);
            return;
        }
        let length = forward.len();
        if Batch::suits(length) {
            self.join_batch(Flow::from(forward), length, |out| forward.write_to(out), world);
        } else {
            self.flush(world);
            self.batch.push(Flow::from(forward), length, |out| forward.write_to(out));
            self.flush(world);
        }
    }

    /// Adds a datagram to the batch, after the batch has left if it cannot take the datagram.
    fn join_batch(&mut self, flow: Flow, length: usize, write: impl FnOnce(&mut Vec<u8>), world: &mut World) {
        if !self.batch.accepts(flow, length) {
            self.flush(world);
        }
        self.batch.push(flow, length, write);
    }

    fn is_udp(&self, id: SocketId) -> bool {
        self.table.get(&id).is_some_and(|entry| matches!(entry.endpoint, Endpoint::Udp(_)))
    }

    fn is_listener(&self, id: SocketId) -> bool {
        self.table.get(&id).is_some_and(|entry| matches!(entry.endpoint, Endpoint::Listener(_)))
    }

    /// Sends the datagrams that wait to leave together.
    pub(crate) fn flush(&mut self, world: &mut World) {
        let Some(flow) = self.batch.close() else {
            return;
        };
        let batch = core::mem::take(&mut self.batch);
        self.send_batch(flow, &batch, world);
        self.batch = batch;
        self.batch.clear();
    }

    fn send_batch(&mut self, flow: Flow, batch: &Batch, world: &mut World) {
        let to = Addressing { remote: flow.remote, local: flow.local, hop_limit: None };
        let Some(Entry { endpoint: Endpoint::Udp(udp), .. }) = self.table.get_mut(&flow.socket) else {
            return;
        };
        let count = batch.len();
        if count > 1 && count <= udp.max_segments() && udp.send_segments(to, batch.bytes(), batch.size()) {
            self.report_undelivered(flow.socket);
            return;
        }
        for datagram in batch.datagrams() {
            let Some(Entry { endpoint: Endpoint::Udp(udp), .. }) = self.table.get_mut(&flow.socket) else {
                return;
            };
            let sent = udp.send(to, datagram);
            self.after_send(flow.socket, flow.remote, sent, world);
        }
    }

    fn after_send(&mut self, id: SocketId, remote: SocketAddr, sent: Result<(), UnsentReason>, world: &mut World) {
        match sent {
            Ok(()) => {}
            Err(UnsentReason::Full) => {
                self.counters.full += 1;
                world.note(|| DriverNote::Full { socket: id, remote });
            }
            Err(UnsentReason::Unreachable(why)) => self.tell_unreachable(id, SocketNews::Unreachable { remote, why }),
        }
        self.report_undelivered(id);
    }

    /// Tells the machine of datagrams that did not arrive, as ICMP says.
    fn report_undelivered(&mut self, id: SocketId) {
        while let Some(Entry { endpoint: Endpoint::Udp(udp), .. }) = self.table.get_mut(&id)
            && let Some(udp::Undelivered { remote, why }) = udp.take_undelivered()
        {
            self.tell_unreachable(id, SocketNews::Unreachable { remote, why });
        }
    }

    fn tell_unreachable(&mut self, id: SocketId, news: SocketNews) {
        if self.news.len() < Self::NEWS {
            self.news.push_back((id, news));
        } else {
            self.counters.news += 1;
        }
    }

    /// Looks at a socket that is ready.
    pub(crate) fn look(&mut self, id: SocketId, inbox: &mut Inbox, world: &mut World) -> Found {
        let room = self.is_listener(id) && self.has_room();
        let Some(entry) = self.table.get_mut(&id) else {
            return Found::Nothing;
        };
        entry.socket_waker.rearm();
        let mut cx = Context::from_waker(&entry.waker);
        let found = match &mut entry.endpoint {
            Endpoint::Udp(udp) => match udp.poll_receive(&mut cx, inbox) {
                Poll::Pending => return Found::Nothing,
                Poll::Ready(count) => Found::Datagrams(count),
            },
            Endpoint::Stream(_) => return self.look_at_stream(id, inbox),
            Endpoint::Listener(listener) => match listener.poll(&mut cx, room) {
                Poll::Pending => return Found::Nothing,
                Poll::Ready(Brought::Stream(stream)) => Found::Accepted(stream),
                Poll::Ready(Brought::NoStream(why)) => {
                    why.count(&mut self.counters);
                    world.note(|| why.note(id));
                    Found::Nothing
                }
            },
            Endpoint::Opening(opening) => {
                let Poll::Ready(opened) = opening.connecting.as_mut().poll(&mut cx) else {
                    return Found::Nothing;
                };
                if let (Err(Refusal::TlsHandshake(why)), Some(remote)) = (&opened, opening.remote) {
                    world.note(|| DriverNote::HandshakeFailed { socket: id, remote, why: *why });
                }
                self.opened(id, opened);
                return Found::Nothing;
            }
            Endpoint::Closing(closing) => {
                if closing.as_mut().poll(&mut cx).is_ready() {
                    self.remove(id);
                }
                return Found::Nothing;
            }
        };
        // There may be more. The socket is queued again, behind the others.
        entry.socket_waker.queue();
        self.report_undelivered(id);
        found
    }

    fn opened(&mut self, id: SocketId, opened: Result<Stream, Refusal>) {
        self.remove(id);
        let news = match opened {
            Ok(stream) => {
                let local = stream.local();
                self.insert(id, Endpoint::Stream(stream));
                SocketNews::Opened { local }
            }
            Err(why) => SocketNews::Refused(why),
        };
        self.news.push_back((id, news));
    }

    /// Whether listeners may accept more streams.
    fn has_room(&self) -> bool {
        self.streams + self.limits.handshakes() < self.config.stream_limit
    }

    /// Closes everything. Returns, in order, what the machine must hear of what it has not closed itself.
    pub(crate) fn close_all(&mut self, world: &mut World) -> Vec<(SocketId, SocketNews)> {
        self.flush(world);
        let mut news = Vec::new();
        for (id, entry) in &self.table {
            match entry.endpoint {
                Endpoint::Stream(_) | Endpoint::Listener(_) => {
                    news.push((*id, SocketNews::Closed(Closure::DriverEnded)));
                }
                Endpoint::Opening(_) => news.push((*id, SocketNews::Refused(Refusal::Unspecified))),
                Endpoint::Udp(_) | Endpoint::Closing(_) => {}
            }
        }
        news.sort_unstable_by_key(|(id, _)| *id);
        let ids: Vec<SocketId> = self.table.keys().copied().collect();
        for id in ids {
            self.close(id, world);
        }
        news
    }

    /// Whether no socket is left, lingering ones included.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The address that a received buffer came to.
    pub(crate) fn local_of(&self, id: SocketId, meta: &quinn_udp::RecvMeta) -> Option<SocketAddr> {
        match &self.table.get(&id)?.endpoint {
            Endpoint::Udp(udp) => udp.local_of(meta),
            Endpoint::Opening(_) | Endpoint::Stream(_) | Endpoint::Listener(_) | Endpoint::Closing(_) => None,
        }
    }
}
