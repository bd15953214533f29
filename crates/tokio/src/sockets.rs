//! The sockets of one driver, by [`SocketId`].
//!
//! The driver passes the machine's orders to [`Sockets::open`], [`Sockets::close`] and [`Sockets::transmit`]. It takes
//! the machine's inputs from [`Sockets::poll_socket`] and [`Sockets::next_socket_event`]. No call blocks: a socket that is
//! ready is polled once.

mod batch;
mod hash;
mod limits;
mod listener;
pub(crate) mod ready;
mod route;
pub(crate) mod stream;
mod streams;
pub(crate) mod udp;

use crate::config::DriverConfig;
use crate::data::SendError;
use crate::driver::Environment;
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
use hash::SocketMap;
use limits::Limits;
use listener::{Listener, ListenerOutput};
use portolan_machine::{Closure, Forward, Open, Protocol, Refusal, SocketEvent, SocketId, Transmit};
use ready::{ReadyQueue, SocketWaker};
use stream::Stream;
pub use streams::Backlog;
use udp::{Addressing, Inbox, Udp, UnsentReason};

/// The numbers of datagrams, streams and orders that the driver has dropped since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams dropped because a send buffer was full.
    pub full: u64,
    /// Transmits dropped because their socket was not open, or because their stream had failed.
    pub not_open: u64,
    /// Datagrams and chunks of streams dropped because the machine did not take them, and the owner does not request
    /// data.
    pub not_mine: u64,
    /// Droppable transmits dropped because more than 64 KiB waited on their stream.
    pub stream_full: u64,
    /// Datagrams and stream ends for the owner, dropped because 1 MiB waited for the owner already.
    pub data: u64,
    /// Orders to open a socket, ignored because a socket with the same id exists.
    pub known_ids: u64,
    /// Reports of unreachable remotes dropped because 1,024 reports waited already.
    pub socket_events: u64,
    /// Accepted streams closed at once because their source had reached its limit of streams.
    pub too_many_streams: u64,
    /// Accepted streams closed at once because their source had reached its limit of TLS handshakes.
    pub too_many_handshakes: u64,
    /// Attempts to accept a stream that failed because no file descriptor or memory was left. The stream stays in the
    /// system's accept queue, and the listener tries again after 200 ms.
    pub no_descriptors: u64,
    /// Attempts to accept a stream that failed for another reason of the system.
    pub accept_failed: u64,
}

/// A stream that is being connected.
struct Opening {
    remote: Option<SocketAddr>,
    connecting: Pin<Box<dyn Future<Output = Result<Stream, Refusal>> + Send>>,
}

type Closing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The socket with one [`SocketId`].
enum Endpoint {
    Udp(Box<Udp>),
    Opening(Opening),
    Stream(Stream),
    Listener(Box<Listener>),
    /// A stream that lingers: its last bytes are being sent. Its id is no longer valid for the machine.
    Closing(Closing),
}

impl Endpoint {
    /// Whether the socket is still valid for the machine.
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

/// An input for the machine, from the poll of one socket.
#[derive(Debug)]
pub(crate) enum SocketInput {
    /// No input, or socket events that wait in the queue.
    Nothing,
    /// The number of buffers in the inbox that are filled with datagrams.
    Datagrams(usize),
    /// The first `length` bytes of the inbox are bytes of a stream.
    Chunk { length: usize, local: SocketAddr, remote: SocketAddr },
    /// Bytes of a stream that were read earlier and that the machine did not take.
    Unread { bytes: BytesMut, local: SocketAddr, remote: SocketAddr },
    /// A stream that a listener accepted.
    Accepted(Stream),
}

/// All sockets of a driver.
pub(crate) struct Sockets {
    table: SocketMap<Entry>,
    ready: Arc<ReadyQueue>,
    batch: Batch,
    socket_events: VecDeque<(SocketId, SocketEvent)>,
    /// Streams whose small payloads wait for the end of a drain.
    corked: Vec<SocketId>,
    /// The local and remote addresses of the streams whose `Closed` waits in `socket_events`.
    ends: SocketMap<(SocketAddr, SocketAddr)>,
    config: DriverConfig,
    /// The number of streams in the table, lingering ones included.
    streams: usize,
    limits: Arc<Limits>,
    pub(crate) counters: Counters,
}

impl Sockets {
    /// The number of queued socket events at which reports of unreachable remotes are dropped. The number of other events is
    /// bounded by the number of sockets.
    const SOCKET_EVENTS: usize = 1_024;

    pub(crate) fn new(config: DriverConfig) -> Self {
        Self {
            table: SocketMap::default(),
            ready: Arc::new(ReadyQueue::default()),
            batch: Batch::default(),
            socket_events: VecDeque::new(),
            corked: Vec::new(),
            ends: SocketMap::default(),
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

    /// The next socket event for the machine.
    pub(crate) fn next_socket_event(&mut self) -> Option<(SocketId, SocketEvent)> {
        self.socket_events.pop_front()
    }

    pub(crate) fn has_socket_events(&self) -> bool {
        !self.socket_events.is_empty()
    }

    /// Whether this socket is still valid for the machine.
    pub(crate) fn is_alive(&self, id: SocketId) -> bool {
        self.table.get(&id).is_some_and(|entry| entry.endpoint.is_alive())
    }

    /// Opens a socket as the machine ordered. The result is queued as a socket event.
    pub(crate) fn open(&mut self, open: Open, env: &mut Environment) {
        let id = open.id;
        if self.table.contains_key(&id) {
            // The machine gets no `Refused`: that would mean that the id is invalid, but the first socket stays open.
            self.counters.known_ids += 1;
            env.note(|| DriverNote::KnownId { socket: id });
            return;
        }
        let opened = match open.protocol {
            Protocol::Udp => self.open_udp(&open),
            Protocol::Tcp => Ok((self.connect(open, None), None)),
            Protocol::Tls => match self.config.tls.client() {
                Some(tls) => Ok((self.connect(open, Some(tls)), None)),
                None => Err(Refusal::Unsupported),
            },
            Protocol::TcpListen => self.listen_on((open.local, open.shares_port), None),
            Protocol::TlsListen => match self.config.tls.server() {
                Some(tls) => self.listen_on((open.local, open.shares_port), Some(tls)),
                None => Err(Refusal::Unsupported),
            },
        };
        match opened {
            Ok((endpoint, local)) => {
                self.insert(id, endpoint);
                self.socket_events.extend(local.map(|local| (id, SocketEvent::Opened { local })));
            }
            Err(why) => self.socket_events.push_back((id, SocketEvent::Refused(why))),
        }
    }

    fn open_udp(&self, open: &Open) -> Result<(Endpoint, Option<SocketAddr>), Refusal> {
        // The route is checked first, so that a failure binds no port.
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

    fn listen_on(
        &self,
        local: (SocketAddr, bool),
        tls: Option<TlsServer>,
    ) -> Result<(Endpoint, Option<SocketAddr>), Refusal> {
        let listener = Listener::bind(local, tls, self.config.connect_timeout, &self.limits)?;
        let local = listener.local();
        Ok((Endpoint::Listener(Box::new(listener)), Some(local)))
    }

    /// Takes over a UDP socket of the caller.
    pub(crate) fn adopt(&mut self, id: SocketId, udp: Udp) {
        self.insert(id, Endpoint::Udp(Box::new(udp)));
    }

    /// Takes over a listener of the caller, and returns its address.
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

    /// Adds an open stream: an accepted stream, or a stream of the caller.
    pub(crate) fn insert_stream(&mut self, id: SocketId, stream: Stream) {
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

    /// Closes a socket after sending its queued bytes. The machine gets no more inputs for the socket.
    pub(crate) fn close(&mut self, id: SocketId, env: &mut Environment) {
        if self.batch.uses(id) {
            self.flush(env);
        }
        self.socket_events.retain(|(socket, _)| *socket != id);
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

    /// Receives one batch from a UDP socket that is about to be released. `None` if its receive buffer cannot hold
    /// merged datagrams. Returns the number of filled buffers.
    pub(crate) fn receive_merged(&mut self, id: SocketId, inbox: &mut Inbox) -> Option<usize> {
        match &mut self.table.get_mut(&id)?.endpoint {
            Endpoint::Udp(udp) => udp.receive_merged(inbox),
            Endpoint::Opening(_) | Endpoint::Stream(_) | Endpoint::Listener(_) | Endpoint::Closing(_) => None,
        }
    }

    /// Removes a UDP socket after sending the datagrams that wait for it. For the machine this is the same as `Close`.
    pub(crate) fn release_udp(&mut self, id: SocketId, env: &mut Environment) -> Option<std::net::UdpSocket> {
        if !self.is_udp(id) {
            return None;
        }
        self.flush(env);
        self.socket_events.retain(|(socket, _)| *socket != id);
        match self.remove(id)?.endpoint {
            Endpoint::Udp(udp) => udp.release(),
            Endpoint::Opening(_) | Endpoint::Stream(_) | Endpoint::Listener(_) | Endpoint::Closing(_) => None,
        }
    }

    /// Sends a transmit, or adds it to a batch of datagrams that are sent in one call.
    pub(crate) fn transmit(&mut self, transmit: Transmit, env: &mut Environment) {
        let length = transmit.payload.len();
        if Batch::suits(length) && transmit.hop_limit.is_none() && self.is_udp(transmit.socket) {
            self.add_to_batch(Flow::from(&transmit), length, |out| out.extend_from_slice(&transmit.payload), env);
            return;
        }
        self.flush(env);
        let id = transmit.socket;
        match self.table.get_mut(&id).map(|entry| (&mut entry.endpoint, &entry.waker)) {
            Some((Endpoint::Udp(udp), _)) => {
                let Transmit { remote, local, hop_limit, .. } = transmit;
                let sent = udp.send(Addressing { remote, local, hop_limit }, &transmit.payload);
                self.after_send(id, remote, sent, env);
            }
            Some((Endpoint::Stream(_), _)) => self.transmit_stream(&transmit, env),
            Some((Endpoint::Opening(_) | Endpoint::Listener(_) | Endpoint::Closing(_), _)) | None => {
                self.counters.not_open += 1;
                env.note(|| DriverNote::NotOpen { socket: id });
            }
        }
    }

    /// Sends a payload of the owner at once.
    pub(crate) fn send(&mut self, transmit: &Transmit, env: &mut Environment) -> Result<(), SendError> {
        // Datagrams that were queued before are sent first.
        self.flush(env);
        let id = transmit.socket;
        match self.table.get_mut(&id).map(|entry| &mut entry.endpoint) {
            Some(Endpoint::Udp(udp)) => {
                let Transmit { remote, local, hop_limit, ref payload, .. } = *transmit;
                match udp.send(Addressing { remote, local, hop_limit }, payload) {
                    Err(UnsentReason::Full) => Err(SendError::Full),
                    sent @ (Ok(()) | Err(UnsentReason::Unreachable(_))) => {
                        self.after_send(id, remote, sent, env);
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

    /// Sends the result of [`Machine::forward`](portolan_machine::Machine::forward), or adds it to a batch of datagrams
    /// that are sent in one call. On a UDP socket this allocates nothing.
    pub(crate) fn forward(&mut self, forward: &Forward<'_>, env: &mut Environment) {
        if !self.is_udp(forward.socket) {
            self.transmit(forward.to_transmit(), env);
            return;
        }
        let length = forward.len();
        if Batch::suits(length) {
            self.add_to_batch(Flow::from(forward), length, |out| forward.write_to(out), env);
        } else {
            self.flush(env);
            self.batch.push(Flow::from(forward), length, |out| forward.write_to(out));
            self.flush(env);
        }
    }

    /// Adds a datagram to the batch. Sends the batch first if the batch cannot take the datagram.
    fn add_to_batch(&mut self, flow: Flow, length: usize, write: impl FnOnce(&mut Vec<u8>), env: &mut Environment) {
        if !self.batch.accepts(flow, length) {
            self.flush(env);
        }
        self.batch.push(flow, length, write);
    }

    fn is_udp(&self, id: SocketId) -> bool {
        self.table.get(&id).is_some_and(|entry| matches!(entry.endpoint, Endpoint::Udp(_)))
    }

    fn is_listener(&self, id: SocketId) -> bool {
        self.table.get(&id).is_some_and(|entry| matches!(entry.endpoint, Endpoint::Listener(_)))
    }

    /// Sends the batch.
    pub(crate) fn flush(&mut self, env: &mut Environment) {
        let Some(flow) = self.batch.close() else {
            return;
        };
        let batch = core::mem::take(&mut self.batch);
        self.send_batch(flow, &batch, env);
        self.batch = batch;
        self.batch.clear();
    }

    fn send_batch(&mut self, flow: Flow, batch: &Batch, env: &mut Environment) {
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
            self.after_send(flow.socket, flow.remote, sent, env);
        }
    }

    fn after_send(&mut self, id: SocketId, remote: SocketAddr, sent: Result<(), UnsentReason>, env: &mut Environment) {
        match sent {
            Ok(()) => {}
            Err(UnsentReason::Full) => {
                self.counters.full += 1;
                env.note(|| DriverNote::Full { socket: id, remote });
            }
            Err(UnsentReason::Unreachable(why)) => {
                self.report_unreachable(id, SocketEvent::Unreachable { remote, why })
            }
        }
        self.report_undelivered(id);
    }

    /// Queues a report for each datagram that did not arrive, according to ICMP.
    fn report_undelivered(&mut self, id: SocketId) {
        while let Some(Entry { endpoint: Endpoint::Udp(udp), .. }) = self.table.get_mut(&id)
            && let Some(udp::Undelivered { remote, why }) = udp.take_undelivered()
        {
            self.report_unreachable(id, SocketEvent::Unreachable { remote, why });
        }
    }

    fn report_unreachable(&mut self, id: SocketId, event: SocketEvent) {
        if self.socket_events.len() < Self::SOCKET_EVENTS {
            self.socket_events.push_back((id, event));
        } else {
            self.counters.socket_events += 1;
        }
    }

    /// Polls a socket that is ready.
    pub(crate) fn poll_socket(&mut self, id: SocketId, inbox: &mut Inbox, env: &mut Environment) -> SocketInput {
        let room = self.is_listener(id) && self.has_room();
        let Some(entry) = self.table.get_mut(&id) else {
            return SocketInput::Nothing;
        };
        entry.socket_waker.rearm();
        let mut cx = Context::from_waker(&entry.waker);
        let found = match &mut entry.endpoint {
            Endpoint::Udp(udp) => match udp.poll_receive(&mut cx, inbox) {
                Poll::Pending => return SocketInput::Nothing,
                Poll::Ready(count) => SocketInput::Datagrams(count),
            },
            Endpoint::Stream(_) => return self.poll_stream(id, inbox),
            Endpoint::Listener(listener) => match listener.poll(&mut cx, room) {
                Poll::Pending => return SocketInput::Nothing,
                Poll::Ready(ListenerOutput::Stream(stream)) => SocketInput::Accepted(stream),
                Poll::Ready(ListenerOutput::NoStream(why)) => {
                    why.add_to(&mut self.counters);
                    env.note(|| why.note(id));
                    SocketInput::Nothing
                }
            },
            Endpoint::Opening(opening) => {
                let Poll::Ready(opened) = opening.connecting.as_mut().poll(&mut cx) else {
                    return SocketInput::Nothing;
                };
                if let (Err(Refusal::TlsHandshake(why)), Some(remote)) = (&opened, opening.remote) {
                    env.note(|| DriverNote::HandshakeFailed { socket: id, remote, why: *why });
                }
                self.opened(id, opened);
                return SocketInput::Nothing;
            }
            Endpoint::Closing(closing) => {
                if closing.as_mut().poll(&mut cx).is_ready() {
                    self.remove(id);
                }
                return SocketInput::Nothing;
            }
        };
        // There may be more. The socket is queued again, behind the others.
        entry.socket_waker.queue();
        self.report_undelivered(id);
        found
    }

    fn opened(&mut self, id: SocketId, opened: Result<Stream, Refusal>) {
        self.remove(id);
        let event = match opened {
            Ok(stream) => {
                let local = stream.local();
                self.insert(id, Endpoint::Stream(stream));
                SocketEvent::Opened { local }
            }
            Err(why) => SocketEvent::Refused(why),
        };
        self.socket_events.push_back((id, event));
    }

    /// Whether listeners may accept more streams.
    fn has_room(&self) -> bool {
        self.streams + self.limits.handshakes() < self.config.stream_limit
    }

    /// Closes all sockets. Returns the events of the streams and listeners that the machine has not closed, ordered by
    /// id.
    pub(crate) fn close_all(&mut self, env: &mut Environment) -> Vec<(SocketId, SocketEvent)> {
        self.flush(env);
        let mut events = Vec::new();
        for (id, entry) in &self.table {
            match entry.endpoint {
                Endpoint::Stream(_) | Endpoint::Listener(_) => {
                    events.push((*id, SocketEvent::Closed(Closure::DriverEnded)));
                }
                Endpoint::Opening(_) => events.push((*id, SocketEvent::Refused(Refusal::Unspecified))),
                Endpoint::Udp(_) | Endpoint::Closing(_) => {}
            }
        }
        events.sort_unstable_by_key(|(id, _)| *id);
        let ids: Vec<SocketId> = self.table.keys().copied().collect();
        for id in ids {
            self.close(id, env);
        }
        events
    }

    /// Whether no socket is left, lingering ones included.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The local address that a received buffer was sent to.
    pub(crate) fn local_of(&self, id: SocketId, meta: &quinn_udp::RecvMeta) -> Option<SocketAddr> {
        match &self.table.get(&id)?.endpoint {
            Endpoint::Udp(udp) => udp.local_of(meta),
            Endpoint::Opening(_) | Endpoint::Stream(_) | Endpoint::Listener(_) | Endpoint::Closing(_) => None,
        }
    }
}
