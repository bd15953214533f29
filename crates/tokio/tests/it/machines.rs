//! Small test machines that use streams.

use alloc::collections::BTreeMap;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{
    Closure, Cx, Datagram, Input, Machine, Never, Outbox, Output, SocketEvent, SocketId, SocketOrder, Transmit,
    Verdict, WhenFull,
};

/// The length of a request to [`Server`].
pub(crate) const REQUEST: usize = 20;

/// Answers requests of 20 bytes, and stops taking bytes while its output queue is full.
pub(crate) struct Server {
    pub(crate) out: Outbox<(SocketId, SocketEvent)>,
    pub(crate) response: usize,
    /// The first bytes of requests that have not arrived whole.
    pub(crate) partial: BTreeMap<SocketId, Vec<u8>>,
}

impl Machine for Server {
    type Command = Never;
    type Error = Never;
    type Event = (SocketId, SocketEvent);

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let Input::Socket(id, event) = input else { return Verdict::NotMine };
        self.out.push(Output::Event((id, event)));
        Verdict::Mine
    }

    fn stream(&mut self, _: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let partial = self.partial.entry(chunk.socket).or_default();
        let mut taken = 0;
        while taken < chunk.payload.len() && self.out.room() > 0 {
            let part = (REQUEST - partial.len()).min(chunk.payload.len() - taken);
            partial.extend_from_slice(&chunk.payload[taken..taken + part]);
            taken += part;
            if partial.len() == REQUEST {
                let mut response = vec![0; self.response];
                response[..8].copy_from_slice(&partial[..8]);
                partial.clear();
                let response = Transmit::new(chunk.socket, chunk.remote, response.into());
                assert!(self.out.offer(Output::Transmit(response)));
            }
        }
        Some(taken)
    }

    fn poll(&mut self) -> Output<Self::Event> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

/// Sends 70,000 bytes on a stream for every datagram until the stream is full.
#[derive(Default)]
pub(crate) struct Amplifier {
    pub(crate) out: Outbox<&'static str>,
    pub(crate) stream: Option<(SocketId, SocketAddr)>,
    pub(crate) full: bool,
}

impl Machine for Amplifier {
    type Command = Never;
    type Error = Never;
    type Event = &'static str;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match (input, self.stream) {
            (Input::Datagram(_), Some((stream, remote))) if !self.full => {
                self.out.push(Output::Event("sends"));
                self.out.push(Output::Transmit(Transmit::new(stream, remote, vec![0; 70_000].into())));
            }
            (Input::Datagram(_), _) => self.out.push(Output::Event("is full")),
            (Input::Socket(_, SocketEvent::Full), _) => self.full = true,
            (input, _) => panic!("{input:?}"),
        }
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<&'static str> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

/// Passes the bytes of each of two streams on to the other. Pauses a stream while the other is full.
#[derive(Default)]
pub(crate) struct Splice {
    pub(crate) out: Outbox<(SocketId, SocketEvent)>,
    pub(crate) streams: Vec<(SocketId, SocketAddr)>,
}

impl Splice {
    fn other(&self, id: SocketId) -> (SocketId, SocketAddr) {
        self.streams[usize::from(self.streams[0].0 == id)]
    }
}

impl Machine for Splice {
    type Command = Never;
    type Error = Never;
    type Event = (SocketId, SocketEvent);

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let Input::Socket(id, event) = input else { return Verdict::NotMine };
        match event {
            SocketEvent::Full => self.out.push(Output::Socket(SocketOrder::Pause(self.other(id).0))),
            SocketEvent::Writable => self.out.push(Output::Socket(SocketOrder::Resume(self.other(id).0))),
            SocketEvent::Closed(_) => self.out.push(Output::Socket(SocketOrder::Close(self.other(id).0))),
            _ => {}
        }
        self.out.push(Output::Event((id, event)));
        Verdict::Mine
    }

    fn stream(&mut self, _: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let (socket, remote) = self.other(chunk.socket);
        let payload = Bytes::copy_from_slice(chunk.payload);
        self.out.offer(Output::Transmit(Transmit::new(socket, remote, payload))).then_some(chunk.payload.len())
    }

    fn poll(&mut self) -> Output<Self::Event> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

/// Takes at most `takes` bytes in each call. If `pauses`, pauses the stream after each call.
#[derive(Default)]
pub(crate) struct PartialReader {
    pub(crate) out: Outbox<Vec<u8>>,
    pub(crate) takes: usize,
    pub(crate) pauses: bool,
    pub(crate) closed: Option<Closure>,
}

impl Machine for PartialReader {
    type Command = Never;
    type Error = Never;
    type Event = Vec<u8>;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if let Input::Socket(_, SocketEvent::Closed(why)) = input {
            self.closed = Some(why);
            self.out.push(Output::Event(Vec::new()));
        }
        Verdict::Mine
    }

    fn stream(&mut self, _: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let count = self.takes.min(chunk.payload.len());
        self.out.push(Output::Event(chunk.payload[..count].to_vec()));
        if self.pauses {
            self.out.push(Output::Socket(SocketOrder::Pause(chunk.socket)));
        }
        Some(count)
    }

    fn poll(&mut self) -> Output<Vec<u8>> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

/// Takes one byte of a stream in each call, and answers it with `length` bytes. The event is a socket event, or `None` for
/// a byte.
#[derive(Default)]
pub(crate) struct Multiplier {
    pub(crate) out: Outbox<Option<SocketEvent>>,
    pub(crate) length: usize,
    pub(crate) when_full: WhenFull,
    /// The number of bytes taken.
    pub(crate) taken: usize,
}

impl Machine for Multiplier {
    type Command = Never;
    type Error = Never;
    type Event = Option<SocketEvent>;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let Input::Socket(_, event) = input else { return Verdict::NotMine };
        self.out.push(Output::Event(Some(event)));
        Verdict::Mine
    }

    fn stream(&mut self, _: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let answer = Transmit::new(chunk.socket, chunk.remote, vec![7; self.length].into());
        self.out.push(Output::Transmit(answer.with_when_full(self.when_full)));
        self.out.push(Output::Event(None));
        self.taken += 1;
        Some(1)
    }

    fn poll(&mut self) -> Output<Self::Event> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}
