//! The driver: carries a machine's inputs in and its outputs out.
//!
//! In one turn the driver drains the machine, hands in the news that wait, hands in a timeout if the deadline has come,
//! and then looks at the sockets that are ready. After **every** input it drains the machine again. A drained machine is
//! asked first whether it forwards a datagram. Each part of a turn is bounded, so neither a machine with endless outputs
//! nor a peer that floods a socket starves the rest. All state is in the driver and none in its futures: dropping
//! [`Driver::next`] loses nothing.

mod streams;

use crate::clock::{Clock, Schedule};
use crate::config::DriverConfig;
use crate::data::{OwnerQueue, SendError};
use crate::entropy::OsEntropy;
use crate::note::DriverNote;
use crate::sockets::stream::Stream;
use crate::sockets::udp::{Inbox, Udp};
use crate::sockets::{Backlog, Counters, Found, Sockets};
use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Output, Protocol, SocketId, SocketIds, SocketNews, SocketOrder, Trace,
    Transmit, Verdict,
};
use tokio::runtime::Handle;

/// A machine on real sockets.
///
/// It does something only while [`next`](Self::next) (or [`poll_next`](Self::poll_next)) is polled; commands send at
/// once what they cause. Dropping the driver closes its sockets; [`shutdown`](Self::shutdown) sends queued stream
/// bytes first.
pub struct Driver<M: Machine> {
    helm: Helm<M>,
    inbox: Inbox,
    runtime: Handle,
}

impl<M: Machine> Driver<M> {
    /// How many turns one poll may take before other tasks get their chance.
    const TURNS: usize = 4;
    /// How many sockets are looked at in one turn.
    const SOCKETS: usize = 8;

    /// Drives `machine` with the default [`DriverConfig`].
    ///
    /// # Errors
    /// When the system has no random source, or no tokio runtime is running. Its I/O and time drivers must be enabled.
    pub fn new(machine: M) -> std::io::Result<Self> {
        Self::with_config(machine, DriverConfig::default())
    }

    /// Drives `machine` as `config` says.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_config(machine: M, mut config: DriverConfig) -> std::io::Result<Self> {
        let runtime = Handle::try_current().map_err(std::io::Error::other)?;
        let world = World {
            clock: Clock::start(),
            entropy: OsEntropy::probe()?,
            ids: SocketIds::new(),
            trace: config.trace.take(),
        };
        let (sockets, schedule, queue) = (Sockets::new(config), Schedule::new(), OwnerQueue::new());
        let helm = Helm { machine, world, sockets, schedule, queue, drained: false };
        Ok(Self { helm, inbox: Inbox::new(), runtime })
    }

    /// The machine's next event. Waits for ever where the machine waits for ever.
    ///
    /// Cancellation safe: the future holds nothing that the driver does not keep.
    pub async fn next(&mut self) -> M::Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Drives until `wanted` finds what it looks for among the events; the others are dropped. Cancellation safe.
    pub async fn run_until<T>(&mut self, mut wanted: impl FnMut(M::Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// Polls for [`next`](Self::next). Must be called within the runtime.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<M::Event> {
        self.poll_with(cx, |helm| helm.queue.pop_event())
    }

    /// Takes turns until `take` finds something for the owner.
    fn poll_with<T>(&mut self, cx: &mut Context<'_>, take: impl Fn(&mut Helm<M>) -> Option<T>) -> Poll<T> {
        // An owner that only takes events gives other tasks and the system's news their chance, too.
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        self.helm.sockets.set_driver(cx.waker());
        for _ in 0..Self::TURNS {
            if let Some(found) = take(&mut self.helm) {
                budget.made_progress();
                return Poll::Ready(found);
            }
            let busy = self.turn();
            if let Some(found) = take(&mut self.helm) {
                budget.made_progress();
                return Poll::Ready(found);
            }
            let Helm { schedule, world, .. } = &mut self.helm;
            if !busy && schedule.poll(&world.clock, cx).is_pending() {
                return Poll::Pending;
            }
        }
        budget.made_progress();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Asks the machine for something, and does at once what it wants done.
    ///
    /// # Errors
    /// The machine's own, when the caller asked for something impossible.
    pub fn command(&mut self, command: M::Command) -> Result<(), M::Error> {
        self.with(|machine, cx| machine.command(cx, command))
    }

    /// Calls the machine's inherent commands, and does at once what it wants done.
    pub fn with<R>(&mut self, call: impl FnOnce(&mut M, &mut Cx<'_>) -> R) -> R {
        let _within = self.runtime.enter();
        let result = call(&mut self.helm.machine, &mut self.helm.world.cx());
        self.helm.drain();
        self.helm.flush();
        result
    }

    /// The machine, to look at.
    pub const fn machine(&self) -> &M {
        &self.helm.machine
    }

    /// The time as the machine knows it: since the driver began.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.helm.world.clock.now()
    }

    /// What the driver has had to drop so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.helm.sockets.counters
    }

    /// Takes over a bound UDP socket of the caller's. Returns its name, which the machine must be told, and its
    /// address. The machine hears no `Opened` for it.
    ///
    /// # Errors
    /// The system's, when the socket cannot be used without blocking.
    pub fn adopt_udp(&mut self, socket: std::net::UdpSocket) -> std::io::Result<(SocketId, SocketAddr)> {
        let _within = self.runtime.enter();
        let udp = Udp::adopt(socket)?;
        let (id, local) = (self.helm.world.ids.next_socket(), udp.bound());
        self.helm.sockets.adopt(id, udp);
        Ok((id, local))
    }

    /// Takes over a listening TCP socket of the caller's. Returns its id, which the machine must be told, and its address.
    /// The machine gets no `Opened` for it. `protocol` is [`Protocol::TcpListen`] or [`Protocol::TlsListen`].
    ///
    /// # Errors
    /// When the system cannot use the socket without blocking, when `protocol` is no listener
    /// ([`InvalidInput`](std::io::ErrorKind::InvalidInput)), or when it asks for TLS and the driver has no certificate
    /// ([`Unsupported`](std::io::ErrorKind::Unsupported)).
    pub fn adopt_listener(
        &mut self,
        socket: std::net::TcpListener,
        protocol: Protocol,
    ) -> std::io::Result<(SocketId, SocketAddr)> {
        let _within = self.runtime.enter();
        let id = self.helm.world.ids.next_socket();
        Ok((id, self.helm.sockets.adopt_listener(id, socket, protocol)?))
    }

    /// Takes over a connected TCP socket of the caller's. Returns its id, which the machine must be told, and its local
    /// address. The machine gets no `Opened` for it.
    ///
    /// # Errors
    /// When the system cannot use the socket without blocking, or when the socket is not connected.
    pub fn adopt_stream(&mut self, socket: std::net::TcpStream) -> std::io::Result<(SocketId, SocketAddr)> {
        let _within = self.runtime.enter();
        let stream = Stream::adopt(socket)?;
        let (id, local) = (self.helm.world.ids.next_socket(), stream.local());
        self.helm.sockets.name(id, stream);
        Ok((id, local))
    }

    /// Sends bytes of the application on a machine's socket, at once and whole. [`Transmit::when_full`] is ignored.
    ///
    /// A datagram that cannot reach its destination is reported to the machine, as
    /// [`Unreachable`](SocketNews::Unreachable).
    ///
    /// # Errors
    /// * [`SendError::NotOpen`]: the socket is not open.
    /// * [`SendError::Full`]: the system's send buffer is full; on a stream: more than 64 KiB wait to be sent, or more
    ///   than 256 KiB would wait. The socket lives on, and nothing of the payload was sent or kept.
    pub fn send(&mut self, transmit: Transmit) -> Result<(), SendError> {
        let _within = self.runtime.enter();
        self.helm.sockets.send(&transmit, &mut self.helm.world)
    }

    /// The number of bytes that the driver holds for an open stream; `None` for other sockets.
    #[must_use]
    pub fn backlog(&self, stream: SocketId) -> Option<Backlog> {
        self.helm.sockets.backlog(stream)
    }

    /// Takes a UDP socket back: one that was adopted, or one that the machine ordered. To the machine this is like its own
    /// [`SocketOrder::Close`]: it hears nothing more of the socket. `None` if no open UDP socket has this id.
    ///
    /// * Datagrams that the machine has sent leave first.
    /// * Datagrams that arrived and were not read stay in the socket. The driver itself holds none: it hands in all that
    ///   it has received before [`next`](Self::next) returns. There is one exception. On a busy socket the system merges
    ///   datagrams of one flow (GRO), and they could not be told apart in the released socket. So on a socket that has
    ///   once filled a whole receive batch, the machine is handed what waits there first.
    /// * The socket is nonblocking. On Linux and Android all other options are as they were before the driver had the
    ///   socket. Elsewhere the options that `quinn-udp` sets remain (packet information, no fragments).
    pub fn release_udp(&mut self, id: SocketId) -> Option<std::net::UdpSocket> {
        /// More batches than a receive buffer of the usual size holds: a flood must not hold the driver here.
        const BATCHES: usize = 256;
        let _within = self.runtime.enter();
        let Self { helm, inbox, .. } = self;
        helm.drain();
        for _ in 0..BATCHES {
            let Some(count) = helm.sockets.receive_merged(id, inbox) else {
                break;
            };
            for index in 0..count {
                helm.take_datagrams(id, inbox, index);
            }
        }
        let socket = helm.sockets.release_udp(id, &mut helm.world);
        helm.flush();
        socket
    }

    /// Ends the driver: sends what streams have queued (within the linger time of [`DriverConfig`]), closes all sockets, and
    /// tells the machine of every stream and listener that it had not closed itself.
    ///
    /// What the machine makes of that waits in its `poll`; events that had not been taken are lost.
    pub async fn shutdown(mut self) -> M {
        for _ in 0..Self::TURNS {
            if self.helm.drain() {
                break;
            }
            self.helm.queue.clear_events();
        }
        let news = self.helm.sockets.close_all(&mut self.helm.world);
        poll_fn(|cx| {
            let Helm { sockets, world, .. } = &mut self.helm;
            sockets.set_driver(cx.waker());
            while let Some(id) = sockets.next_ready() {
                let _found = sockets.look(id, &mut self.inbox, world);
            }
            if sockets.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        for (id, news) in news {
            let _verdict = self.helm.machine.handle(&mut self.helm.world.cx(), Input::Socket(id, news));
        }
        self.helm.machine
    }

    /// One turn. Says whether there may be more to do at once.
    fn turn(&mut self) -> bool {
        let mut busy = !self.helm.drain();
        busy |= self.helm.tell_news();
        if self.helm.schedule.take_due(self.helm.world.clock.now()) {
            let _for_all = self.helm.handle(Input::Timeout);
            busy = true;
        }
        for _ in 0..Self::SOCKETS {
            let Some(id) = self.helm.sockets.next_ready() else {
                break;
            };
            self.look(id);
            self.helm.flush();
            busy = true;
        }
        self.helm.flush();
        busy || self.helm.sockets.has_news()
    }

    /// Carries in what one socket has.
    fn look(&mut self, id: SocketId) {
        let Self { helm, inbox, .. } = self;
        let found = helm.sockets.look(id, inbox, &mut helm.world);
        // What happened first is told first.
        helm.tell_news();
        match found {
            Found::Nothing => {}
            Found::Datagrams(count) => {
                for index in 0..count {
                    helm.take_datagrams(id, inbox, index);
                }
            }
            Found::Chunk { length, local, remote } => helm.take_chunk(id, local, remote, inbox.chunk(length)),
            Found::Unread { bytes, local, remote } => helm.take_unread(id, local, remote, bytes),
            Found::Accepted(stream) => {
                let (socket, local, remote) = (helm.world.ids.next_socket(), stream.local(), stream.remote());
                helm.sockets.name(socket, stream);
                let news = SocketNews::Accepted { socket, local, remote };
                if helm.handle(Input::Socket(id, news)) == Verdict::NotMine {
                    helm.world.note(|| DriverNote::Unclaimed { socket: id, remote });
                    helm.sockets.close(socket, &mut helm.world);
                }
            }
        }
    }
}

impl<M: Machine + fmt::Debug> fmt::Debug for Driver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("machine", &self.helm.machine).finish_non_exhaustive()
    }
}

/// The machine and what its outputs need.
struct Helm<M: Machine> {
    machine: M,
    world: World,
    sockets: Sockets,
    schedule: Schedule,
    queue: OwnerQueue<M::Event>,
    /// Whether the last drain ended with a wait.
    drained: bool,
}

impl<M: Machine> Helm<M> {
    /// How many outputs are done before inputs get their chance again. A machine that keeps the laws is drained long
    /// before.
    const OUTPUTS: usize = 1_024;
    /// How many news are told in one go: sending on bad news may cause more of them.
    const NEWS: usize = 64;
    /// How many events may wait for the owner before the machine keeps the rest of its outputs.
    const EVENTS: usize = 4_096;

    /// Hands an input in and does what comes out.
    fn handle(&mut self, input: Input<'_>) -> Verdict {
        let verdict = self.machine.handle(&mut self.world.cx(), input);
        self.drain();
        verdict
    }

    /// Hands in the news that wait, up to a bound. Says whether there were any.
    fn tell_news(&mut self) -> bool {
        for told in 0..Self::NEWS {
            let Some((id, news)) = self.sockets.next_news() else {
                return told > 0;
            };
            let verdict = self.handle(Input::Socket(id, news));
            if let SocketNews::Closed(why) = news {
                self.end_for_owner(id, why, verdict == Verdict::Mine);
            }
        }
        true
    }

    /// Hands in the datagrams of one received buffer.
    fn take_datagrams(&mut self, id: SocketId, inbox: &Inbox, index: usize) {
        let Some((meta, bytes)) = inbox.buffer(index) else {
            return;
        };
        let Some(local) = self.sockets.local_of(id, meta) else {
            return;
        };
        let mut rest = bytes;
        // Only a drained machine is asked for the short way.
        let mut drained = self.drain();
        loop {
            // An earlier datagram may have filled a stream.
            self.tell_news();
            // The machine may have closed the socket over an earlier datagram.
            if !self.sockets.is_alive(id) {
                return;
            }
            let length = if meta.stride == 0 { rest.len() } else { meta.stride.min(rest.len()) };
            let (payload, later) = rest.split_at(length);
            let datagram = Datagram::new(id, local, meta.addr, payload);
            let forward = if drained { self.machine.forward(&mut self.world.cx(), datagram) } else { None };
            if let Some(forward) = forward {
                self.sockets.forward(&forward, &mut self.world);
            } else if self.machine.handle(&mut self.world.cx(), Input::Datagram(datagram)) == Verdict::NotMine {
                self.keep_datagram(datagram);
            }
            // After `forward` too: the wait of the machine may be another one.
            drained = self.drain();
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Does what the machine wants done, until it waits. `false`: it has more than one turn may take.
    fn drain(&mut self) -> bool {
        self.drained = false;
        for _ in 0..Self::OUTPUTS {
            if self.queue.events() >= Self::EVENTS {
                break;
            }
            match self.machine.poll() {
                Output::Transmit(transmit) => self.sockets.transmit(transmit, &mut self.world),
                Output::Socket(order) => self.obey(order),
                Output::Event(event) => self.queue.push_event(event),
                Output::Wait(wait) => {
                    if let Some(why) = self.schedule.set(wait) {
                        self.world.note(|| DriverNote::Stuck { why });
                    }
                    self.drained = true;
                    break;
                }
            }
        }
        self.drained
    }

    fn obey(&mut self, order: SocketOrder) {
        match order {
            SocketOrder::Open(open) => self.sockets.open(open, &mut self.world),
            SocketOrder::Pause(id) => self.sockets.pause(id, &mut self.world),
            SocketOrder::Resume(id) => self.sockets.resume(id, &mut self.world),
            SocketOrder::Close(id) => {
                if self.sockets.owner_has_bytes(id) {
                    self.queue.forget_chunk(id);
                }
                self.sockets.close(id, &mut self.world);
            }
        }
    }

    fn flush(&mut self) {
        self.sockets.flush(&mut self.world);
        self.sockets.flush_streams();
    }
}

/// Where a machine's [`Cx`] comes from.
pub(crate) struct World {
    clock: Clock,
    entropy: OsEntropy,
    ids: SocketIds,
    trace: Option<Box<dyn Trace + Send>>,
}

impl World {
    fn cx(&mut self) -> Cx<'_> {
        let cx = Cx::new(self.clock.now(), &mut self.entropy, &mut self.ids);
        match &mut self.trace {
            Some(trace) => cx.with_trace(&mut **trace),
            None => cx,
        }
    }

    /// Says something in the driver's own name.
    pub(crate) fn note(&mut self, make: impl FnOnce() -> DriverNote) {
        self.cx().within("driver", 0, |cx| cx.note(make));
    }
}
