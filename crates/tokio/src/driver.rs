//! The driver: passes inputs to a machine and executes the machine's outputs.
//!
//! One turn of the driver has four steps:
//!
//! 1. Drain the machine.
//! 2. Pass the queued [`SocketEvent`] to the machine.
//! 3. Pass a timeout to the machine, if the deadline has come.
//! 4. Poll the sockets that are ready.
//!
//! The driver drains the machine again after **every** input. For each datagram the driver calls
//! [`Machine::forward`] first, provided that the machine is drained.
//!
//! Each step is bounded, so neither a machine with endless outputs nor a peer that floods a socket starves the other
//! sockets. All state is in the driver and none is in its futures, so dropping [`Driver::next`] loses nothing.

mod streams;

use crate::clock::{Clock, Schedule};
use crate::config::DriverConfig;
use crate::data::{OwnerQueue, SendError};
use crate::entropy::OsEntropy;
use crate::note::DriverNote;
use crate::sockets::stream::Stream;
use crate::sockets::udp::{Inbox, Udp};
use crate::sockets::{Backlog, Counters, SocketInput, Sockets};
use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Output, Protocol, SocketEvent, SocketId, SocketIds, SocketOrder, Trace,
    Transmit, Verdict,
};
use tokio::runtime::Handle;

/// A machine that runs on real sockets.
///
/// The driver makes progress only while [`next`](Self::next) or [`poll_next`](Self::poll_next) is polled. One
/// exception: the outputs of a command are executed within the call of the command. Dropping the driver closes its
/// sockets at once. [`shutdown`](Self::shutdown) sends queued stream bytes first.
pub struct Driver<M: Machine> {
    engine: Engine<M>,
    inbox: Inbox,
    runtime: Handle,
}

impl<M: Machine> Driver<M> {
    /// The maximum number of turns in one poll. After that the driver yields to other tasks.
    const TURNS: usize = 4;
    /// The maximum number of sockets that one turn polls.
    const SOCKETS: usize = 8;

    /// Creates a driver for `machine` with the default [`DriverConfig`].
    ///
    /// The tokio runtime must have its I/O and time drivers enabled.
    ///
    /// # Errors
    /// [`Other`](std::io::ErrorKind::Other) when no tokio runtime is running, or when the system has no random
    /// source.
    pub fn new(machine: M) -> std::io::Result<Self> {
        Self::with_config(machine, DriverConfig::default())
    }

    /// Creates a driver for `machine` with these settings.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn with_config(machine: M, mut config: DriverConfig) -> std::io::Result<Self> {
        let runtime = Handle::try_current().map_err(std::io::Error::other)?;
        let env = Environment {
            clock: Clock::start(),
            entropy: OsEntropy::probe()?,
            ids: SocketIds::new(),
            trace: config.trace.take(),
        };
        let (sockets, schedule, queue) = (Sockets::new(config), Schedule::new(), OwnerQueue::new());
        let engine = Engine { machine, env, sockets, schedule, queue, drained: false };
        Ok(Self { engine, inbox: Inbox::new(), runtime })
    }

    /// Returns the machine's next event. If the machine never emits an event, the future never completes.
    ///
    /// Cancellation safe: all state is in the driver, none is in the future.
    pub async fn next(&mut self) -> M::Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Drives the machine until `wanted` returns `Some` for an event, and returns that value. Events for which `wanted`
    /// returns `None` are dropped. Cancellation safe.
    pub async fn run_until<T>(&mut self, mut wanted: impl FnMut(M::Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// Polls for the machine's next event, as [`next`](Self::next) does. Must be called within the tokio runtime.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<M::Event> {
        self.poll_with(cx, |engine| engine.queue.pop_event())
    }

    /// Runs turns until `take` returns an item for the owner, at most [`TURNS`](Self::TURNS).
    fn poll_with<T>(&mut self, cx: &mut Context<'_>, take: impl Fn(&mut Engine<M>) -> Option<T>) -> Poll<T> {
        // The cooperative budget makes an owner that loops over ready events yield to other tasks and to the I/O
        // driver.
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        self.engine.sockets.set_driver(cx.waker());
        for _ in 0..Self::TURNS {
            if let Some(found) = take(&mut self.engine) {
                budget.made_progress();
                return Poll::Ready(found);
            }
            let busy = self.turn();
            if let Some(found) = take(&mut self.engine) {
                budget.made_progress();
                return Poll::Ready(found);
            }
            let Engine { schedule, env, .. } = &mut self.engine;
            if !busy && schedule.poll(&env.clock, cx).is_pending() {
                return Poll::Pending;
            }
        }
        budget.made_progress();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Passes a command to the machine, and executes the machine's outputs at once.
    ///
    /// # Errors
    /// [`Machine::Error`] when the machine refuses the command.
    pub fn command(&mut self, command: M::Command) -> Result<(), M::Error> {
        self.with(|machine, cx| machine.command(cx, command))
    }

    /// Calls `call` with the machine, and executes the machine's outputs at once. Use it for inherent methods of the
    /// machine.
    pub fn with<R>(&mut self, call: impl FnOnce(&mut M, &mut Cx<'_>) -> R) -> R {
        let _within = self.runtime.enter();
        let result = call(&mut self.engine.machine, &mut self.engine.env.cx());
        self.engine.drain();
        self.engine.flush();
        result
    }

    /// The machine.
    pub const fn machine(&self) -> &M {
        &self.engine.machine
    }

    /// The machine's current time: the time since the driver was created.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.engine.env.clock.now()
    }

    /// The numbers of datagrams, streams and orders that the driver has dropped since it was created.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.engine.sockets.counters
    }

    /// Takes over a bound UDP socket of the caller. Returns the id and the local address of the socket.
    ///
    /// The caller must pass the id to the machine: the machine gets no [`Opened`](SocketEvent::Opened) for this socket.
    ///
    /// # Errors
    /// The [`std::io::Error`] of the system, when the system cannot make the socket nonblocking, refuses a socket
    /// option, or cannot register the socket with the runtime.
    pub fn adopt_udp(&mut self, socket: std::net::UdpSocket) -> std::io::Result<(SocketId, SocketAddr)> {
        let _within = self.runtime.enter();
        let udp = Udp::adopt(socket)?;
        let (id, local) = (self.engine.env.ids.next_socket(), udp.bound());
        self.engine.sockets.adopt(id, udp);
        Ok((id, local))
    }

    /// Takes over a listening TCP socket of the caller. Returns the id and the local address of the socket.
    ///
    /// The caller must pass the id to the machine: the machine gets no [`Opened`](SocketEvent::Opened) for this socket.
    /// `protocol` is [`Protocol::TcpListen`] or [`Protocol::TlsListen`].
    ///
    /// # Errors
    /// * [`InvalidInput`](std::io::ErrorKind::InvalidInput) when `protocol` is not that of a listener.
    /// * [`Unsupported`](std::io::ErrorKind::Unsupported) when `protocol` is [`Protocol::TlsListen`] and the driver
    ///   has no certificate.
    /// * Another [`std::io::Error`] when the system cannot make the socket nonblocking, or cannot register the socket
    ///   with the runtime.
    pub fn adopt_listener(
        &mut self,
        socket: std::net::TcpListener,
        protocol: Protocol,
    ) -> std::io::Result<(SocketId, SocketAddr)> {
        let _within = self.runtime.enter();
        let id = self.engine.env.ids.next_socket();
        Ok((id, self.engine.sockets.adopt_listener(id, socket, protocol)?))
    }

    /// Takes over a connected TCP socket of the caller. Returns the id and the local address of the socket.
    ///
    /// The caller must pass the id to the machine: the machine gets no [`Opened`](SocketEvent::Opened) for this socket.
    ///
    /// The stream counts as opened, also if the caller accepted it. The driver therefore reads the stream while it is
    /// full. For streams that should stop reading then, the driver accepts them itself: use
    /// [`adopt_listener`](Self::adopt_listener).
    ///
    /// # Errors
    /// The [`std::io::Error`] of the system: the socket is not connected, cannot be made nonblocking, does not support
    /// a required option, or cannot be registered with the runtime.
    pub fn adopt_stream(&mut self, socket: std::net::TcpStream) -> std::io::Result<(SocketId, SocketAddr)> {
        let _within = self.runtime.enter();
        let stream = Stream::adopt(socket)?;
        let (id, local) = (self.engine.env.ids.next_socket(), stream.local());
        self.engine.sockets.insert_stream(id, stream);
        Ok((id, local))
    }

    /// Sends bytes of the application on one of the machine's sockets, at once and whole. [`Transmit::when_full`] is
    /// ignored.
    ///
    /// If a datagram cannot reach its destination, the machine gets [`Unreachable`](SocketEvent::Unreachable).
    ///
    /// # Errors
    /// After an error no byte of the payload was sent or kept.
    ///
    /// * [`SendError::NotOpen`] when the socket is not open, or is a listener.
    /// * [`SendError::Full`] when the system's send buffer of a UDP socket is full. On a stream: when more than 64
    ///   KiB wait to be sent, or more than 256 KiB would wait. The socket stays open.
    pub fn send(&mut self, transmit: Transmit) -> Result<(), SendError> {
        let _within = self.runtime.enter();
        self.engine.sockets.send(&transmit, &mut self.engine.env)
    }

    /// The number of bytes that the driver holds for an open stream. `None` if `stream` is not an open stream.
    #[must_use]
    pub fn backlog(&self, stream: SocketId) -> Option<Backlog> {
        self.engine.sockets.backlog(stream)
    }

    /// Removes a UDP socket from the driver and returns it. The socket was adopted, or the machine ordered it. `None`
    /// if no open UDP socket has this id.
    ///
    /// For the machine the effect is the same as that of [`SocketOrder::Close`]: the machine gets no more inputs for
    /// the socket.
    ///
    /// * Datagrams that the machine has queued are sent first.
    /// * Datagrams that arrived and were not read stay in the socket. The driver keeps no datagrams for the machine: it
    ///   passes all received datagrams to the machine before [`next`](Self::next) returns.
    /// * Exception: on a busy socket the system merges datagrams of one flow (GRO). The caller could not separate
    ///   merged datagrams. So if the socket has ever filled a whole receive batch, the machine first gets the datagrams
    ///   that wait.
    /// * The socket is nonblocking. On Linux and Android all other options are as they were before the driver had the
    ///   socket. On other systems the options that `quinn-udp` sets remain (packet information, no fragmentation).
    pub fn release_udp(&mut self, id: SocketId) -> Option<std::net::UdpSocket> {
        /// More batches than a receive buffer of the usual size holds. The bound lets the loop end during a flood.
        const BATCHES: usize = 256;
        let _within = self.runtime.enter();
        let Self { engine, inbox, .. } = self;
        engine.drain();
        for _ in 0..BATCHES {
            let Some(count) = engine.sockets.receive_merged(id, inbox) else {
                break;
            };
            for index in 0..count {
                engine.take_datagrams(id, inbox, index);
            }
        }
        let socket = engine.sockets.release_udp(id, &mut engine.env);
        engine.flush();
        socket
    }

    /// Ends the driver and returns the machine.
    ///
    /// The driver sends the bytes that streams have queued, within the linger time of [`DriverConfig`]. It closes all
    /// sockets. For every stream and listener that the machine had not closed, the machine gets a
    /// [`Closed`](SocketEvent::Closed) or a [`Refused`](SocketEvent::Refused).
    ///
    /// The outputs that the machine makes of these inputs stay in the machine, for [`Machine::poll`]. Events that were
    /// not taken before are lost.
    pub async fn shutdown(mut self) -> M {
        for _ in 0..Self::TURNS {
            if self.engine.drain() {
                break;
            }
            self.engine.queue.clear_events();
        }
        let events = self.engine.sockets.close_all(&mut self.engine.env);
        poll_fn(|cx| {
            let Engine { sockets, env, .. } = &mut self.engine;
            sockets.set_driver(cx.waker());
            while let Some(id) = sockets.next_ready() {
                let _input = sockets.poll_socket(id, &mut self.inbox, env);
            }
            if sockets.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        for (id, event) in events {
            let _verdict = self.engine.machine.handle(&mut self.engine.env.cx(), Input::Socket(id, event));
        }
        self.engine.machine
    }

    /// Runs one turn. Returns whether there may be more to do at once.
    fn turn(&mut self) -> bool {
        let mut busy = !self.engine.drain();
        busy |= self.engine.deliver_socket_events();
        if self.engine.schedule.take_due(self.engine.env.clock.now()) {
            let _for_all = self.engine.handle(Input::Timeout);
            busy = true;
        }
        for _ in 0..Self::SOCKETS {
            let Some(id) = self.engine.sockets.next_ready() else {
                break;
            };
            self.handle_ready_socket(id);
            self.engine.flush();
            busy = true;
        }
        self.engine.flush();
        busy || self.engine.sockets.has_socket_events()
    }

    /// Polls one socket and passes its inputs to the machine.
    fn handle_ready_socket(&mut self, id: SocketId) {
        let Self { engine, inbox, .. } = self;
        let input = engine.sockets.poll_socket(id, inbox, &mut engine.env);
        // The queued `SocketEvent` are older than `input`, so the machine gets them first.
        engine.deliver_socket_events();
        match input {
            SocketInput::Nothing => {}
            SocketInput::Datagrams(count) => {
                for index in 0..count {
                    engine.take_datagrams(id, inbox, index);
                }
            }
            SocketInput::Chunk { length, local, remote } => engine.take_chunk(id, local, remote, inbox.chunk(length)),
            SocketInput::Unread { bytes, local, remote } => engine.take_unread(id, local, remote, bytes),
            SocketInput::Accepted(stream) => {
                let (socket, local, remote) = (engine.env.ids.next_socket(), stream.local(), stream.remote());
                engine.sockets.insert_stream(socket, stream);
                let event = SocketEvent::Accepted { socket, local, remote };
                if engine.handle(Input::Socket(id, event)) == Verdict::NotMine {
                    engine.env.note(|| DriverNote::Unclaimed { socket: id, remote });
                    engine.sockets.close(socket, &mut engine.env);
                }
            }
        }
    }
}

impl<M: Machine + fmt::Debug> fmt::Debug for Driver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("machine", &self.engine.machine).finish_non_exhaustive()
    }
}

/// The machine, and the sockets, timers and queues that its outputs need.
struct Engine<M: Machine> {
    machine: M,
    env: Environment,
    sockets: Sockets,
    schedule: Schedule,
    queue: OwnerQueue<M::Event>,
    /// Whether the last drain ended with a wait.
    drained: bool,
}

impl<M: Machine> Engine<M> {
    /// The maximum number of outputs that one drain executes. A machine that keeps the laws is drained long before.
    const OUTPUTS: usize = 1_024;
    /// The maximum number of socket events that one call delivers. The bound is needed because a machine may react to
    /// an event with a send that causes more events.
    const SOCKET_EVENTS: usize = 64;
    /// The maximum number of events that wait for the owner. At this number the driver stops polling the machine.
    const EVENTS: usize = 4_096;

    /// Passes an input to the machine and executes the outputs.
    fn handle(&mut self, input: Input<'_>) -> Verdict {
        let verdict = self.machine.handle(&mut self.env.cx(), input);
        self.drain();
        verdict
    }

    /// Passes the queued socket events to the machine, at most [`SOCKET_EVENTS`](Self::SOCKET_EVENTS). Returns whether
    /// there were any.
    fn deliver_socket_events(&mut self) -> bool {
        for delivered in 0..Self::SOCKET_EVENTS {
            let Some((id, event)) = self.sockets.next_socket_event() else {
                return delivered > 0;
            };
            let verdict = self.handle(Input::Socket(id, event));
            if let SocketEvent::Closed(why) = event {
                self.report_end_to_owner(id, why, verdict == Verdict::Mine);
            }
        }
        true
    }

    /// Passes the datagrams of one received buffer to the machine.
    fn take_datagrams(&mut self, id: SocketId, inbox: &Inbox, index: usize) {
        let Some((meta, bytes)) = inbox.buffer(index) else {
            return;
        };
        let Some(local) = self.sockets.local_of(id, meta) else {
            return;
        };
        let mut rest = bytes;
        // `Machine::forward` may only be called on a drained machine.
        let mut drained = self.drain();
        loop {
            // The machine may have filled a stream in response to an earlier datagram.
            self.deliver_socket_events();
            // The machine may have closed the socket in response to an earlier datagram.
            if !self.sockets.is_alive(id) {
                return;
            }
            let length = if meta.stride == 0 { rest.len() } else { meta.stride.min(rest.len()) };
            let (payload, later) = rest.split_at(length);
            let datagram = Datagram::new(id, local, meta.addr, payload);
            let forward = if drained { self.machine.forward(&mut self.env.cx(), datagram) } else { None };
            if let Some(forward) = forward {
                self.sockets.forward(&forward, &mut self.env);
            } else if self.machine.handle(&mut self.env.cx(), Input::Datagram(datagram)) == Verdict::NotMine {
                self.keep_datagram(datagram);
            }
            // The drain after `forward` is needed too: the machine's deadline may have changed.
            drained = self.drain();
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Executes the machine's outputs until the machine waits. Returns `false` if a bound ended the drain before.
    fn drain(&mut self) -> bool {
        self.drained = false;
        for _ in 0..Self::OUTPUTS {
            if self.queue.events() >= Self::EVENTS {
                break;
            }
            match self.machine.poll() {
                Output::Transmit(transmit) => self.sockets.transmit(transmit, &mut self.env),
                Output::Socket(order) => self.execute_order(order),
                Output::Event(event) => self.queue.push_event(event),
                Output::Wait(wait) => {
                    if let Some(why) = self.schedule.set(wait) {
                        self.env.note(|| DriverNote::Stuck { why });
                    }
                    self.drained = true;
                    break;
                }
            }
        }
        self.drained
    }

    fn execute_order(&mut self, order: SocketOrder) {
        match order {
            SocketOrder::Open(open) => self.sockets.open(open, &mut self.env),
            SocketOrder::Pause(id) => self.sockets.pause(id, &mut self.env),
            SocketOrder::Resume(id) => self.sockets.resume(id, &mut self.env),
            SocketOrder::Close(id) => {
                if self.sockets.owner_has_bytes(id) {
                    self.queue.drop_chunk(id);
                }
                self.sockets.close(id, &mut self.env);
            }
        }
    }

    fn flush(&mut self) {
        self.sockets.flush(&mut self.env);
        self.sockets.flush_streams();
    }
}

/// The clock, RNG, socket ids and trace from which each [`Cx`] is built.
pub(crate) struct Environment {
    clock: Clock,
    entropy: OsEntropy,
    ids: SocketIds,
    trace: Option<Box<dyn Trace + Send>>,
}

impl Environment {
    fn cx(&mut self) -> Cx<'_> {
        let cx = Cx::new(self.clock.now(), &mut self.entropy, &mut self.ids);
        match &mut self.trace {
            Some(trace) => cx.with_trace(&mut **trace),
            None => cx,
        }
    }

    /// Records a note of the driver itself, in the scope `driver 0`.
    pub(crate) fn note(&mut self, make: impl FnOnce() -> DriverNote) {
        self.cx().within("driver", 0, |cx| cx.note(make));
    }
}
