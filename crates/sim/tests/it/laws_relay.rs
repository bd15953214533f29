//! A small correct relay with one switch for each way to break the laws about `forward`, streams and state.
//!
//! The relay has two UDP sockets, one for clients and one for peers, and a listener; all are handed in. A client binds
//! itself for ten seconds, and the relay forwards its data to the peer. A message on a stream has a length byte in
//! front; the relay echoes it, and closes the stream on a bad length. The message `wait` pauses the stream for a
//! second.

extern crate alloc;

use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Forward, Input, Instant, Machine, Never, Outbox, Output, Slot, SocketEvent, SocketId,
    SocketOrder, Transmit, Verdict,
};

/// One way to break a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Law 10: counts a datagram that it does not forward.
    CountsNoneOfForward,
    /// Law 10: draws a random byte before it says that it does not forward.
    DrawsForNoneOfForward,
    /// Law 10: keeps bytes of a stream that is not its own.
    KeepsForeignBytes,
    /// Law 12: counts a forwarded datagram twice.
    CountsForwardTwice,
    /// Law 12: queues an event for a forwarded datagram.
    ReportsForward,
    /// Law 12: draws a random byte for each forwarded datagram.
    DrawsForForward,
    /// Law 12: pads a datagram that `handle` does not pad.
    PadsForward,
    /// Law 12: renews a binding only in `handle`.
    RenewsInHandle,
    /// Law 12: forwards a datagram that `handle` refuses to send.
    ForwardsEmpty,
    /// Law 13: drops the responses that do not fit into the queue.
    DropsResponses,
    /// Law 13: handles each chunk as one message.
    ChunkIsMessage,
    /// Law 13: drops the rest of a chunk after a whole message.
    ForgetsRest,
    /// Law 13: reports one taken byte too many.
    TakesTooMuch,
    /// Law 13: takes nothing from a stream that it has not paused.
    TakesNothing,
    /// Law 13: drops the rest of the chunk in which it pauses the stream.
    DropsAtPause,
    /// Law 14: stores every client forever.
    UnboundedBindings,
    /// Law 14: keeps an expired binding, so that there is no space for a new client.
    KeepsExpired,
    /// Law 14: keeps the bytes of a closed stream.
    KeepsClosed,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    Bound(SocketAddr),
    Relayed,
}

pub(crate) const CLIENTS: SocketId = SocketId(1);
pub(crate) const PEERS: SocketId = SocketId(2);
pub(crate) const LISTENER: SocketId = SocketId(3);
pub(crate) const PEER: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 9)), 9);
/// The most bindings of a relay.
pub(crate) const BINDINGS: usize = 8;
const STREAMS: usize = 4;
const LIFE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Relay {
    fault: Option<Fault>,
    out: Outbox<Event>,
    /// The clients and their expiry times.
    pub(crate) bindings: BTreeMap<SocketAddr, Instant>,
    /// The accepted streams, and the bytes of their incomplete messages.
    pub(crate) streams: BTreeMap<SocketId, Vec<u8>>,
    /// The paused streams, and the times of their resumption.
    paused: BTreeMap<SocketId, Instant>,
    /// The number of relayed datagrams.
    relayed: u64,
    /// The count of a fault.
    counted: u64,
}

impl Relay {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self { fault, ..Self::default() }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The data of a bound client.
    fn data<'a>(&self, now: Instant, datagram: Datagram<'a>) -> Option<&'a [u8]> {
        let data = datagram.payload.strip_prefix(b"data ")?;
        let bound = self.bindings.get(&datagram.remote).is_some_and(|expires| *expires > now);
        (datagram.socket == CLIENTS && bound && !self.is_due(now)).then_some(data)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.bindings.values().chain(self.paused.values()).any(|at| *at <= now)
    }

    fn expire(&mut self, now: Instant) {
        let out = &mut self.out;
        self.paused.retain(|id, resumed| {
            let is_paused = *resumed > now;
            if !is_paused {
                out.push(Output::Socket(SocketOrder::Resume(*id)));
            }
            is_paused
        });
        if !self.has(Fault::KeepsExpired) {
            self.bindings.retain(|_, expires| *expires > now);
        }
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        if let Some(data) = self.data(cx.now(), datagram) {
            if data.is_empty() {
                return Verdict::Mine;
            }
            self.bindings.insert(datagram.remote, cx.now() + LIFE);
            self.relayed += 1;
            let payload = [b"from client: ", data].concat();
            let _room = self.out.offer(Output::Transmit(Transmit::new(PEERS, PEER, payload.into())));
            return Verdict::Mine;
        }
        if datagram.socket != CLIENTS || datagram.payload != b"bind" {
            return Verdict::NotMine;
        }
        self.expire(cx.now());
        let room = self.bindings.len() < BINDINGS || self.has(Fault::UnboundedBindings);
        if (room || self.bindings.contains_key(&datagram.remote))
            && self.out.offer(Output::Event(Event::Bound(datagram.remote)))
        {
            self.bindings.insert(datagram.remote, cx.now() + LIFE);
        }
        Verdict::Mine
    }

    /// Takes whole messages, and the start of the next one, while the queue has room.
    fn take(&mut self, now: Instant, from: Datagram<'_>, mut held: Vec<u8>) -> usize {
        let Datagram { socket, remote, payload: chunk, .. } = from;
        if self.has(Fault::ChunkIsMessage) {
            self.send_back(socket, remote, &chunk[1.min(chunk.len())..]);
            return chunk.len();
        }
        for (nth, byte) in chunk.iter().enumerate() {
            // One slot stays free for a `Close`.
            if self.out.room() < 2 && !self.has(Fault::DropsResponses) {
                self.streams.insert(socket, held);
                return nth;
            }
            held.push(*byte);
            if held[0] > 100 {
                let _room = self.out.offer(Output::Socket(SocketOrder::Close(socket)));
                self.streams.remove(&socket);
                return chunk.len();
            }
            if held.len() == usize::from(held[0]) + 1 {
                self.send_back(socket, remote, &held[1..]);
                let pauses = held == b"\x04wait";
                held.clear();
                if pauses {
                    self.paused.insert(socket, now + Duration::from_secs(1));
                    let _room = self.out.offer(Output::Socket(SocketOrder::Pause(socket)));
                    self.streams.insert(socket, held);
                    return if self.has(Fault::DropsAtPause) { chunk.len() } else { nth + 1 };
                }
                if self.has(Fault::ForgetsRest) {
                    break;
                }
            }
        }
        self.streams.insert(socket, held);
        chunk.len()
    }

    fn send_back(&mut self, socket: SocketId, remote: SocketAddr, message: &[u8]) {
        let _room = self.out.offer(Output::Transmit(Transmit::new(socket, remote, message.to_vec().into())));
    }
}

impl Machine for Relay {
    type Command = Never;
    type Error = Never;
    type Event = Event;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(datagram) => return self.datagram(cx, datagram),
            Input::Socket(LISTENER, SocketEvent::Accepted { socket, .. }) => {
                if self.streams.len() < STREAMS || self.has(Fault::KeepsClosed) {
                    self.streams.insert(socket, Vec::new());
                } else {
                    let _room = self.out.offer(Output::Socket(SocketOrder::Close(socket)));
                }
            }
            Input::Socket(id, SocketEvent::Closed(_)) if self.streams.contains_key(&id) => {
                self.paused.remove(&id);
                if !self.has(Fault::KeepsClosed) {
                    self.streams.remove(&id);
                }
            }
            Input::Timeout => self.expire(cx.now()),
            Input::Socket(..) => return Verdict::NotMine,
        }
        Verdict::Mine
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        if self.paused.contains_key(&chunk.socket) {
            return Some(0);
        }
        let Some(held) = self.streams.remove(&chunk.socket) else {
            if self.has(Fault::KeepsForeignBytes) && chunk.payload.len() == 32 {
                self.streams.insert(SocketId(1000), vec![0]);
            }
            return None;
        };
        if self.has(Fault::TakesNothing) && held.len() == 2 {
            self.streams.insert(chunk.socket, held);
            return Some(0);
        }
        let taken = self.take(cx.now(), chunk, held);
        Some(if self.has(Fault::TakesTooMuch) { taken + 1 } else { taken })
    }

    fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        let forwards_empty = self.has(Fault::ForwardsEmpty);
        let data = self.data(cx.now(), datagram).filter(|data| forwards_empty || !data.is_empty());
        let Some(data) = data else {
            if self.has(Fault::CountsNoneOfForward) {
                self.counted += 1;
            }
            if self.has(Fault::DrawsForNoneOfForward) {
                let [_byte] = cx.random();
            }
            return None;
        };
        if !self.has(Fault::RenewsInHandle) {
            self.bindings.insert(datagram.remote, cx.now() + LIFE);
        }
        self.relayed += if self.has(Fault::CountsForwardTwice) { 2 } else { 1 };
        if self.has(Fault::ReportsForward) {
            let _room = self.out.offer(Output::Event(Event::Relayed));
        }
        if self.has(Fault::DrawsForForward) {
            let [_byte] = cx.random();
        }
        let forward = Forward::new(PEERS, PEER, data).with_head(b"from client: ").unwrap();
        Some(if self.has(Fault::PadsForward) { forward.padded() } else { forward })
    }

    fn poll(&mut self) -> Output<Event> {
        let bindings = self.bindings.values().min().filter(|_| !self.has(Fault::KeepsExpired));
        let expires = bindings.map(|at| Deadline::new(*at, "a binding expires"));
        let resumes = self.paused.values().min().map(|at| Deadline::new(*at, "a stream is resumed"));
        self.out.pop().unwrap_or(Output::Wait(Deadline::earliest(expires, resumes)))
    }
}

/// A parent that drains its child after every input, so that the child's limit has no effect.
pub(crate) struct Parent {
    child: Slot<Relay>,
    out: Outbox<Event>,
    /// Whether the parent limits the outputs that peers cause.
    bounds: bool,
}

impl Parent {
    pub(crate) fn new(bounds: bool) -> Self {
        Self { child: Slot::new("relay", 0, Relay::new(None)), out: Outbox::new(), bounds }
    }

    fn drain_child(&mut self) {
        while let Some(output) = self.child.take() {
            if self.bounds {
                let _room = self.out.offer(output);
            } else {
                self.out.push(output);
            }
        }
    }
}

impl Machine for Parent {
    type Command = Never;
    type Error = Never;
    type Event = Event;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let verdict = match input {
            Input::Timeout => {
                if self.child.wake(cx) {
                    Verdict::Mine
                } else {
                    Verdict::NotMine
                }
            }
            Input::Datagram(_) | Input::Socket(..) => self.child.handle(cx, input),
        };
        self.drain_child();
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        if self.bounds && !self.out.is_empty() {
            return self.child.get().streams.contains_key(&chunk.socket).then_some(0);
        }
        let taken = self.child.stream(cx, chunk);
        self.drain_child();
        taken
    }

    fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        self.child.forward(cx, datagram)
    }

    fn poll(&mut self) -> Output<Event> {
        self.out.pop().unwrap_or_else(|| Output::Wait(self.child.wait()))
    }
}
