//! The sockets of one driver, by name.
//!
//! Orders come in ([`Sockets::open`], [`Sockets::close`], [`Sockets::transmit`]), what happens goes out
//! ([`Sockets::look`], [`Sockets::next_news`]). Nothing here waits: a socket that is ready is looked at, once.

mod batch;
mod listener;
pub(crate) mod ready;
mod route;
pub(crate) mod stream;
pub(crate) mod udp;

use crate::config::{self, DriverConfig};
use crate::driver::World;
use crate::note::DriverNote;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use batch::{Batch, Flow};
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use listener::{Brought, Listener};
use portolan_machine::{Closure, Forward, Open, Protocol, Refusal, SocketId, SocketNews, Transmit};
use ready::{ReadyQueue, SocketWaker};
use std::collections::HashMap;
use stream::{Read, Stream};
use udp::{Addressing, Inbox, Udp, UnsentReason};

/// What the driver has had to drop since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams dropped because a send buffer was full.
    pub full: u64,
    /// Transmits on sockets that were not open.
    pub not_open: u64,
    /// Datagrams and chunks that the machine called not its own.
    pub not_mine: u64,
    /// Reports of unreachable remotes dropped because too many waited.
    pub news: u64,
}

type Opening = Pin<Box<dyn Future<Output = Result<Stream, Refusal>> + Send>>;
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
    /// A stream for a listener.
    Accepted(Stream),
}

/// All sockets of a driver.
pub(crate) struct Sockets {
    table: HashMap<SocketId, Entry>,
    ready: Arc<ReadyQueue>,
    batch: Batch,
    news: VecDeque<(SocketId, SocketNews)>,
    config: DriverConfig,
    /// Whether a listener has been told that there is no room.
    crowded: bool,
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
            config,
            crowded: false,
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
    pub(crate) fn open(&mut self, open: Open) {
        let id = open.id;
        if self.table.contains_key(&id) {
            // An id is given once; the socket that has it lives on.
            return;
        }
        let limit = self.config.connect_timeout;
        let opened = match open.protocol {
            Protocol::Udp => self.open_udp(&open),
            Protocol::Tcp => Ok((Endpoint::Opening(Box::pin(stream::connect(open, None, limit))), None)),
            Protocol::Tls => self.tls_client().map(|tls| {
                let connect = stream::connect(open, Some(tls), limit);
                (Endpoint::Opening(Box::pin(connect)), None)
            }),
            Protocol::TcpListen => listen_on(Listener::bind(open.local, None, limit)),
            Protocol::TlsListen => match &self.config.tls_server {
                Some(tls) => listen_on(Listener::bind(open.local, Some(Arc::clone(tls)), limit)),
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

    fn tls_client(&mut self) -> Result<Arc<rustls::ClientConfig>, Refusal> {
        if self.config.tls_client.is_none() {
            self.config.tls_client = config::web_client().ok();
        }
        self.config.tls_client.clone().ok_or(Refusal::Unsupported)
    }

    /// Takes over a socket of the caller's.
    pub(crate) fn adopt(&mut self, id: SocketId, udp: Udp) {
        self.insert(id, Endpoint::Udp(Box::new(udp)));
    }

    /// Gives an accepted stream its name.
    pub(crate) fn name(&mut self, id: SocketId, stream: Stream) {
        self.insert(id, Endpoint::Stream(stream));
    }

    fn insert(&mut self, id: SocketId, endpoint: Endpoint) {
        let socket_waker = SocketWaker::new(id, &self.ready);
        let waker = Waker::from(Arc::clone(&socket_waker));
        socket_waker.queue();
        self.table.insert(id, Entry { endpoint, socket_waker, waker });
    }

    /// Lets a socket go, after what was sent on it before. The machine hears nothing more of it.
    pub(crate) fn close(&mut self, id: SocketId, world: &mut World) {
        if self.batch.uses(id) {
            self.flush(world);
        }
        self.news.retain(|(socket, _)| *socket != id);
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
        if self.crowded && entry.endpoint.is_stream() {
            self.crowded = false;
            let listeners = self.table.values().filter(|entry| matches!(entry.endpoint, Endpoint::Listener(_)));
            listeners.for_each(|listener| listener.socket_waker.queue());
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
            Some((Endpoint::Stream(stream), waker)) => {
                if let Err(why) = stream.send(&mut Context::from_waker(waker), &transmit.payload) {
                    self.remove(id);
                    self.news.push_back((id, SocketNews::Closed(why)));
                }
            }
            Some((Endpoint::Opening(_) | Endpoint::Listener(_) | Endpoint::Closing(_), _)) | None => {
                self.counters.not_open += 1;
                world.note(|| DriverNote::NotOpen { socket: id });
            }
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
            Endpoint::Stream(stream) => match stream.poll(&mut cx, inbox.plain()) {
                Poll::Pending => return Found::Nothing,
                Poll::Ready(Read::Chunk(length)) => {
                    Found::Chunk { length, local: stream.local(), remote: stream.remote() }
                }
                Poll::Ready(Read::Ended(why)) => {
                    self.end(id, why);
                    return Found::Nothing;
                }
            },
            Endpoint::Listener(listener) => match listener.poll(&mut cx, room) {
                Poll::Pending => {
                    self.crowded |= !room;
                    return Found::Nothing;
                }
                Poll::Ready(Brought::Stream(stream)) => Found::Accepted(stream),
                Poll::Ready(Brought::Failed(remote)) => {
                    world.note(|| DriverNote::HandshakeFailed { socket: id, remote });
                    Found::Nothing
                }
                Poll::Ready(Brought::Refused(why)) => {
                    world.note(|| DriverNote::AcceptFailed { socket: id, why });
                    Found::Nothing
                }
            },
            Endpoint::Opening(opening) => {
                let Poll::Ready(opened) = opening.as_mut().poll(&mut cx) else {
                    return Found::Nothing;
                };
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

    /// A stream has ended by itself; what was queued for a peer that only finished sending still goes out.
    fn end(&mut self, id: SocketId, why: Closure) {
        if let Some(Entry { endpoint: Endpoint::Stream(stream), .. }) = self.remove(id)
            && why == Closure::ByPeer
        {
            self.linger(id, stream);
        }
        self.news.push_back((id, SocketNews::Closed(why)));
    }

    /// Whether listeners may accept more streams.
    fn has_room(&self) -> bool {
        let streams: usize = self
            .table
            .values()
            .map(|entry| match &entry.endpoint {
                Endpoint::Stream(_) | Endpoint::Opening(_) | Endpoint::Closing(_) => 1,
                Endpoint::Listener(listener) => listener.under_way(),
                Endpoint::Udp(_) => 0,
            })
            .sum();
        streams < self.config.stream_limit
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

fn listen_on(bound: Result<Listener, Refusal>) -> Result<(Endpoint, Option<SocketAddr>), Refusal> {
    let listener = bound?;
    let local = listener.local();
    Ok((Endpoint::Listener(Box::new(listener)), Some(local)))
}
