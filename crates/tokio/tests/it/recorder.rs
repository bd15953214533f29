//! A test machine that sends the outputs that the test queues, and records every input as an event.

use bytes::Bytes;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketId,
    SocketOrder, Transmit, Verdict,
};
use portolan_tokio::{Driver, DriverConfig};

/// An input that the recorder got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Socket(SocketId, SocketEvent),
    Datagram { socket: SocketId, local: SocketAddr, remote: SocketAddr, payload: Vec<u8> },
    Chunk { socket: SocketId, payload: Vec<u8> },
    Timeout(Instant),
}

/// The reaction of the recorder to an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It only records the input.
    #[default]
    Record,
    /// It sends datagrams and stream bytes back, and records all other inputs.
    Echo,
    /// It records the input. After a datagram it closes the socket.
    CloseAfterOne,
    /// It takes no datagrams, stream bytes or accepted streams, and records all other inputs.
    Decline,
}

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) out: Outbox<Recorded>,
    pub(crate) mode: Mode,
    pub(crate) wait: Option<Deadline>,
}

impl Machine for Recorder {
    type Command = Never;
    type Error = Never;
    type Event = Recorded;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let output = match input {
            Input::Datagram(d) if self.mode == Mode::Echo => {
                Output::Transmit(Transmit::new(d.socket, d.remote, Bytes::copy_from_slice(d.payload)))
            }
            Input::Datagram(_) | Input::Socket(_, SocketEvent::Accepted { .. }) if self.mode == Mode::Decline => {
                return Verdict::NotMine;
            }
            Input::Datagram(d) => Output::Event(Recorded::Datagram {
                socket: d.socket,
                local: d.local,
                remote: d.remote,
                payload: d.payload.to_vec(),
            }),
            Input::Socket(id, event) => Output::Event(Recorded::Socket(id, event)),
            Input::Timeout => {
                if self.wait.is_none_or(|wait| !wait.is_due(cx.now())) {
                    return Verdict::NotMine;
                }
                self.wait = None;
                Output::Event(Recorded::Timeout(cx.now()))
            }
        };
        self.out.push(output);
        if let (Mode::CloseAfterOne, Input::Datagram(d)) = (self.mode, input) {
            self.out.push(Output::Socket(SocketOrder::Close(d.socket)));
        }
        Verdict::Mine
    }

    fn stream(&mut self, _: &mut Cx<'_>, d: Datagram<'_>) -> Option<usize> {
        self.out.push(match self.mode {
            Mode::Decline => return None,
            Mode::Echo => Output::Transmit(Transmit::new(d.socket, d.remote, Bytes::copy_from_slice(d.payload))),
            _ => Output::Event(Recorded::Chunk { socket: d.socket, payload: d.payload.to_vec() }),
        });
        Some(d.payload.len())
    }

    fn poll(&mut self) -> Output<Recorded> {
        self.out.pop().unwrap_or(Output::Wait(self.wait))
    }
}

/// Methods of a driver whose machine is a recorder.
pub(crate) trait RecorderExt {
    fn order(&mut self, protocol: Protocol, local: &str, change: impl FnOnce(Open) -> Open) -> SocketId;
    fn transmit(&mut self, socket: SocketId, remote: SocketAddr, payload: &[u8]);
    fn send_limited(&mut self, socket: SocketId, remote: SocketAddr, payload: &[u8], hop_limit: u8);
    fn close(&mut self, socket: SocketId);
    async fn socket_event(&mut self) -> SocketEvent;
    async fn opened(&mut self, protocol: Protocol, local: &str) -> (SocketId, SocketAddr);
    async fn opened_towards(&mut self, protocol: Protocol, remote: SocketAddr) -> (SocketId, SocketAddr);
    /// Reads `count` bytes of a stream.
    async fn read(&mut self, socket: SocketId, count: usize) -> Vec<u8>;
    /// Runs the driver until `other` is done. Returns the result of `other` and all events.
    async fn run_while<T>(&mut self, other: impl Future<Output = T>) -> (T, Vec<Recorded>);
}

impl RecorderExt for Driver<Recorder> {
    fn order(&mut self, protocol: Protocol, local: &str, change: impl FnOnce(Open) -> Open) -> SocketId {
        self.with(|machine, cx| {
            let open = change(Open::new(cx.next_socket(), protocol, local.parse().unwrap()));
            let id = open.id;
            machine.out.push(Output::Socket(SocketOrder::Open(open)));
            id
        })
    }

    fn transmit(&mut self, socket: SocketId, remote: SocketAddr, payload: &[u8]) {
        let transmit = Transmit::new(socket, remote, Bytes::copy_from_slice(payload));
        self.with(|machine, _| machine.out.push(Output::Transmit(transmit)));
    }

    fn send_limited(&mut self, socket: SocketId, remote: SocketAddr, payload: &[u8], hop_limit: u8) {
        let mut transmit = Transmit::new(socket, remote, Bytes::copy_from_slice(payload));
        transmit.hop_limit = Some(hop_limit);
        self.with(|machine, _| machine.out.push(Output::Transmit(transmit)));
    }

    fn close(&mut self, socket: SocketId) {
        self.with(|machine, _| machine.out.push(Output::Socket(SocketOrder::Close(socket))));
    }

    async fn socket_event(&mut self) -> SocketEvent {
        match in_time(self.next()).await {
            Recorded::Socket(_, event) => event,
            other => panic!("expected socket event, got {other:?}"),
        }
    }

    async fn opened(&mut self, protocol: Protocol, local: &str) -> (SocketId, SocketAddr) {
        let id = self.order(protocol, local, |open| open);
        (id, opened(self.socket_event().await))
    }

    async fn opened_towards(&mut self, protocol: Protocol, remote: SocketAddr) -> (SocketId, SocketAddr) {
        let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let id = self.order(protocol, any, |open| open.towards(remote));
        (id, opened(self.socket_event().await))
    }

    async fn read(&mut self, socket: SocketId, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            match in_time(self.next()).await {
                Recorded::Chunk { socket: from, payload } if from == socket => bytes.extend(payload),
                other => panic!("expected a chunk of {socket}, got {other:?}"),
            }
        }
        bytes
    }

    async fn run_while<T>(&mut self, other: impl Future<Output = T>) -> (T, Vec<Recorded>) {
        let mut other = pin!(other);
        let mut events = Vec::new();
        let done = in_time(async {
            loop {
                tokio::select! {
                    biased;
                    event = self.next() => events.push(event),
                    done = &mut other => return done,
                }
            }
        });
        (done.await, events)
    }
}

pub(crate) fn opened(event: SocketEvent) -> SocketAddr {
    match event {
        SocketEvent::Opened { local } => local,
        other => panic!("expected an open socket, got: {other}"),
    }
}

/// A driver with a recorder.
pub(crate) fn recorder(mode: Mode) -> Driver<Recorder> {
    recorder_with(mode, DriverConfig::default())
}

pub(crate) fn recorder_with(mode: Mode, config: DriverConfig) -> Driver<Recorder> {
    Driver::with_config(Recorder { mode, ..Recorder::default() }, config).unwrap()
}

/// Awaits a future for at most 20 s, so that a failing test does not hang.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("done within 20 s")
}
