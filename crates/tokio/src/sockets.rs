//! The sockets of one driver, by name.
//!
//! Orders come in ([`Sockets::open`], [`Sockets::close`], [`Sockets::transmit`]), what happens goes out
//! ([`Sockets::look`], [`Sockets::next_news`]). Nothing here waits: a socket that rings is looked at, once.

mod batch;
mod beside;
mod listener;
pub(crate) mod ready;
mod route;
pub(crate) mod stream;
mod streams;
pub(crate) mod udp;

use crate::config::{self, DriverConfig};
use crate::data::SendError;
use crate::driver::World;
use crate::note::DriverNote;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use batch::Batch;
use bytes::BytesMut;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use listener::{Brought, Listener};
use portolan_machine::{Closure, Open, Protocol, Refusal, SocketId, SocketNews, Transmit};
use ready::{Bell, ReadyList};
use std::collections::HashMap;
use stream::Stream;
pub use streams::Backlog;
use udp::{Inbox, Udp, Unsent};

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

    /// The number of streams that it counts for.
    const fn streams(&self) -> usize {
        match self {
            Self::Stream(_) | Self::Opening(_) | Self::Closing(_) => 1,
            Self::Listener(listener) => listener.under_way(),
            Self::Udp(_) => 0,
        }
    }
}

struct Entry {
    endpoint: Endpoint,
    bell: Arc<Bell>,
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
    ready: Arc<ReadyList>,
    batch: Batch,
    /// The bytes of a batch in one piece.
    joined: Vec<u8>,
    news: VecDeque<(SocketId, SocketNews)>,
    /// Streams whose small payloads wait for the end of a drain.
    corked: Vec<SocketId>,
    /// The addresses of the streams whose end waits among the news.
    ends: HashMap<SocketId, (SocketAddr, SocketAddr)>,
    /// The number of streams: opening, open and closing ones, and TLS handshakes of listeners.
    streams: usize,
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
            ready: Arc::new(ReadyList::default()),
            batch: Batch::default(),
            joined: Vec::new(),
            news: VecDeque::new(),
            corked: Vec::new(),
            ends: HashMap::new(),
            streams: 0,
            config,
            crowded: false,
            counters: Counters::default(),
        }
    }

    /// Whom to wake when a socket rings.
    pub(crate) fn listen(&self, driver: &Waker) {
        self.ready.listen(driver);
    }

    /// The next socket that has rung.
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

    /// Takes over a listener of the caller's, and returns its address.
    pub(crate) fn adopt_listener(
        &mut self,
        id: SocketId,
        socket: std::net::TcpListener,
        protocol: Protocol,
    ) -> std::io::Result<SocketAddr> {
        let tls = match protocol {
            Protocol::TcpListen => None,
            Protocol::TlsListen => match &self.config.tls_server {
                Some(tls) => Some(Arc::clone(tls)),
                None => return Err(std::io::ErrorKind::Unsupported.into()),
            },
            Protocol::Udp | Protocol::Tcp | Protocol::Tls => return Err(std::io::ErrorKind::InvalidInput.into()),
        };
        let listener = Listener::adopt(socket, tls, self.config.connect_timeout)?;
        let local = listener.local();
        self.insert(id, Endpoint::Listener(Box::new(listener)));
        Ok(local)
    }

    /// Puts an open stream under its id: an accepted one, or one of the caller's.
    pub(crate) fn name(&mut self, id: SocketId, stream: Stream) {
        self.insert(id, Endpoint::Stream(stream));
    }

    fn insert(&mut self, id: SocketId, endpoint: Endpoint) {
        let bell = Bell::new(id, &self.ready);
        let waker = Waker::from(Arc::clone(&bell));
        bell.ring();
        self.streams += endpoint.streams();
        self.table.insert(id, Entry { endpoint, bell, waker });
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
        self.streams = self.streams.saturating_sub(entry.endpoint.streams());
        if self.crowded && entry.endpoint.is_stream() {
            self.crowded = false;
            let listeners = self.table.values().filter(|entry| matches!(entry.endpoint, Endpoint::Listener(_)));
            listeners.for_each(|listener| listener.bell.ring());
        }
        Some(entry)
    }

    /// Sends, or lets it wait for those that can leave with it.
    pub(crate) fn transmit(&mut self, transmit: Transmit, world: &mut World) {
        if Batch::suits(&transmit) {
            if !self.batch.accepts(&transmit) {
                self.flush(world);
            }
            // Whether the socket is there is seen when the batch leaves; streams do not wait.
            if self.is_udp(transmit.socket) {
                self.batch.push(transmit);
                return;
            }
        } else {
            self.flush(world);
        }
        let id = transmit.socket;
        match self.table.get_mut(&id).map(|entry| (&mut entry.endpoint, &entry.waker)) {
            Some((Endpoint::Udp(udp), _)) => {
                let sent = udp.send(transmit.remote, &transmit.payload, transmit.hop_limit);
                self.after_send(id, transmit.remote, sent, world);
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
            Some(Endpoint::Udp(udp)) => match udp.send(transmit.remote, &transmit.payload, transmit.hop_limit) {
                Err(Unsent::Full) => Err(SendError::Full),
                sent @ (Ok(()) | Err(Unsent::Unreachable(_))) => {
                    self.after_send(id, transmit.remote, sent, world);
                    Ok(())
                }
            },
            Some(Endpoint::Stream(_)) => {
                let sent = self.offer_stream(transmit);
                self.flush_streams();
                sent
            }
            Some(Endpoint::Opening(_) | Endpoint::Listener(_) | Endpoint::Closing(_)) | None => Err(SendError::NotOpen),
        }
    }

    fn is_udp(&self, id: SocketId) -> bool {
        self.table.get(&id).is_some_and(|entry| matches!(entry.endpoint, Endpoint::Udp(_)))
    }

    fn is_listener(&self, id: SocketId) -> bool {
        self.table.get(&id).is_some_and(|entry| matches!(entry.endpoint, Endpoint::Listener(_)))
    }

    /// Sends what waits to leave together.
    pub(crate) fn flush(&mut self, world: &mut World) {
        let Some((id, remote)) = self.batch.close() else {
            return;
        };
        let batch = core::mem::take(&mut self.batch);
        self.send_batch(id, remote, &batch, world);
        self.batch = batch;
        self.batch.clear();
    }

    fn send_batch(&mut self, id: SocketId, remote: SocketAddr, batch: &Batch, world: &mut World) {
        let Some(Entry { endpoint: Endpoint::Udp(udp), .. }) = self.table.get_mut(&id) else {
            return;
        };
        let pieces = batch.pieces();
        if pieces.len() > 1 && pieces.len() <= udp.max_pieces() {
            self.joined.clear();
            pieces.iter().for_each(|piece| self.joined.extend_from_slice(piece));
            if udp.send_pieces(remote, &self.joined, batch.size()) {
                return;
            }
        }
        for piece in pieces {
            let Some(Entry { endpoint: Endpoint::Udp(udp), .. }) = self.table.get_mut(&id) else {
                return;
            };
            let sent = udp.send(remote, piece, None);
            self.after_send(id, remote, sent, world);
        }
    }

    fn after_send(&mut self, id: SocketId, remote: SocketAddr, sent: Result<(), Unsent>, world: &mut World) {
        match sent {
            Ok(()) => {}
            Err(Unsent::Full) => {
                self.counters.full += 1;
                world.note(|| DriverNote::Full { socket: id, remote });
            }
            Err(Unsent::Unreachable(why)) => self.tell_unreachable(id, SocketNews::Unreachable { remote, why }),
        }
        self.tell_unreached(id);
    }

    /// Passes on what ICMP said of earlier datagrams.
    fn tell_unreached(&mut self, id: SocketId) {
        let Some(Entry { endpoint: Endpoint::Udp(udp), .. }) = self.table.get_mut(&id) else {
            return;
        };
        let news: Vec<_> = udp.take_unreached().map(|(remote, why)| SocketNews::Unreachable { remote, why }).collect();
        for news in news {
            self.tell_unreachable(id, news);
        }
    }

    fn tell_unreachable(&mut self, id: SocketId, news: SocketNews) {
        if self.news.len() < Self::NEWS {
            self.news.push_back((id, news));
        } else {
            self.counters.news += 1;
        }
    }

    /// Looks at a socket that has rung.
    pub(crate) fn look(&mut self, id: SocketId, inbox: &mut Inbox, world: &mut World) -> Found {
        let room = self.is_listener(id) && self.has_room();
        let Some(entry) = self.table.get_mut(&id) else {
            return Found::Nothing;
        };
        entry.bell.answer();
        let mut cx = Context::from_waker(&entry.waker);
        let found = match &mut entry.endpoint {
            Endpoint::Udp(udp) => match udp.poll_receive(&mut cx, inbox) {
                Poll::Pending => return Found::Nothing,
                Poll::Ready(count) => Found::Datagrams(count),
            },
            Endpoint::Stream(_) => return self.look_at_stream(id, inbox),
            Endpoint::Listener(listener) => {
                let before = listener.under_way();
                let brought = listener.poll(&mut cx, room);
                self.streams = (self.streams + listener.under_way()).saturating_sub(before);
                match brought {
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
                }
            }
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
        // There may be more: it stands in line again, behind the others.
        entry.bell.ring();
        self.tell_unreached(id);
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
    const fn has_room(&self) -> bool {
        self.streams < self.config.stream_limit
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
