//! A machine that does what the test says and tells everything that it hears.

use bytes::Bytes;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, SocketId, SocketNews,
    SocketOrder, Transmit, Verdict,
};
use portolan_tokio::{Driver, DriverConfig};

/// What the puppet heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    News(SocketId, SocketNews),
    Datagram { socket: SocketId, local: SocketAddr, remote: SocketAddr, payload: Vec<u8> },
    Chunk { socket: SocketId, payload: Vec<u8> },
    Timeout(Instant),
}

/// How the puppet answers by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It only tells.
    #[default]
    Tells,
    /// It sends everything back, and tells news only.
    Echoes,
    /// It tells of a datagram, and closes the socket over it.
    ClosesAfterOne,
    /// It says of everything but its own sockets' news that it is not its own.
    Disowns,
}

#[derive(Debug, Default)]
pub(crate) struct Puppet {
    pub(crate) out: Outbox<Heard>,
    pub(crate) habit: Habit,
    pub(crate) wait: Option<Deadline>,
}

impl Machine for Puppet {
    type Command = Never;
    type Error = Never;
    type Event = Heard;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let heard = match input {
            Input::Datagram(d) if self.habit == Habit::Echoes => {
                Output::Transmit(Transmit::new(d.socket, d.remote, Bytes::copy_from_slice(d.payload)))
            }
            Input::Datagram(_) | Input::Socket(_, SocketNews::Accepted { .. }) if self.habit == Habit::Disowns => {
                return Verdict::NotMine;
            }
            Input::Datagram(d) => Output::Event(Heard::Datagram {
                socket: d.socket,
                local: d.local,
                remote: d.remote,
                payload: d.payload.to_vec(),
            }),
            Input::Socket(id, news) => Output::Event(Heard::News(id, news)),
            Input::Timeout => {
                if self.wait.is_none_or(|wait| !wait.is_due(cx.now())) {
                    return Verdict::NotMine;
                }
                self.wait = None;
                Output::Event(Heard::Timeout(cx.now()))
            }
        };
        self.out.push(heard);
        if let (Habit::ClosesAfterOne, Input::Datagram(d)) = (self.habit, input) {
            self.out.push(Output::Socket(SocketOrder::Close(d.socket)));
        }
        Verdict::Mine
    }

    fn stream(&mut self, _: &mut Cx<'_>, d: Datagram<'_>) -> Option<usize> {
        self.out.push(match self.habit {
            Habit::Disowns => return None,
            Habit::Echoes => Output::Transmit(Transmit::new(d.socket, d.remote, Bytes::copy_from_slice(d.payload))),
            _ => Output::Event(Heard::Chunk { socket: d.socket, payload: d.payload.to_vec() }),
        });
        Some(d.payload.len())
    }

    fn poll(&mut self) -> Output<Heard> {
        self.out.pop().unwrap_or(Output::Wait(self.wait))
    }
}

/// The strings of the puppet.
pub(crate) trait Strings {
    fn order(&mut self, protocol: Protocol, local: &str, change: impl FnOnce(Open) -> Open) -> SocketId;
    fn transmit(&mut self, socket: SocketId, remote: SocketAddr, payload: &[u8]);
    fn send_limited(&mut self, socket: SocketId, remote: SocketAddr, payload: &[u8], hop_limit: u8);
    fn close(&mut self, socket: SocketId);
    async fn news(&mut self) -> SocketNews;
    async fn opened(&mut self, protocol: Protocol, local: &str) -> (SocketId, SocketAddr);
    async fn opened_towards(&mut self, protocol: Protocol, remote: SocketAddr) -> (SocketId, SocketAddr);
    /// Reads `count` bytes of a stream.
    async fn read(&mut self, socket: SocketId, count: usize) -> Vec<u8>;
    /// Runs the driver while `other` runs; every event is put into the returned list.
    async fn beside<T>(&mut self, other: impl Future<Output = T>) -> (T, Vec<Heard>);
}

impl Strings for Driver<Puppet> {
    fn order(&mut self, protocol: Protocol, local: &str, change: impl FnOnce(Open) -> Open) -> SocketId {
        self.with(|puppet, cx| {
            let open = change(Open::new(cx.next_socket(), protocol, local.parse().unwrap()));
            let id = open.id;
            puppet.out.push(Output::Socket(SocketOrder::Open(open)));
            id
        })
    }

    fn transmit(&mut self, socket: SocketId, remote: SocketAddr, payload: &[u8]) {
        let transmit = Transmit::new(socket, remote, Bytes::copy_from_slice(payload));
        self.with(|puppet, _| puppet.out.push(Output::Transmit(transmit)));
    }

    fn send_limited(&mut self, socket: SocketId, remote: SocketAddr, payload: &[u8], hop_limit: u8) {
        let mut transmit = Transmit::new(socket, remote, Bytes::copy_from_slice(payload));
        transmit.hop_limit = Some(hop_limit);
        self.with(|puppet, _| puppet.out.push(Output::Transmit(transmit)));
    }

    fn close(&mut self, socket: SocketId) {
        self.with(|puppet, _| puppet.out.push(Output::Socket(SocketOrder::Close(socket))));
    }

    async fn news(&mut self) -> SocketNews {
        match in_time(self.next()).await {
            Heard::News(_, news) => news,
            other => panic!("expected news of a socket, heard {other:?}"),
        }
    }

    async fn opened(&mut self, protocol: Protocol, local: &str) -> (SocketId, SocketAddr) {
        let id = self.order(protocol, local, |open| open);
        (id, opened(self.news().await))
    }

    async fn opened_towards(&mut self, protocol: Protocol, remote: SocketAddr) -> (SocketId, SocketAddr) {
        let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let id = self.order(protocol, any, |open| open.towards(remote));
        (id, opened(self.news().await))
    }

    async fn read(&mut self, socket: SocketId, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            match in_time(self.next()).await {
                Heard::Chunk { socket: from, payload } if from == socket => bytes.extend(payload),
                other => panic!("expected a chunk of {socket}, heard {other:?}"),
            }
        }
        bytes
    }

    async fn beside<T>(&mut self, other: impl Future<Output = T>) -> (T, Vec<Heard>) {
        let mut other = pin!(other);
        let mut heard = Vec::new();
        let done = in_time(async {
            loop {
                tokio::select! {
                    biased;
                    event = self.next() => heard.push(event),
                    done = &mut other => return done,
                }
            }
        });
        (done.await, heard)
    }
}

pub(crate) fn opened(news: SocketNews) -> SocketAddr {
    match news {
        SocketNews::Opened { local } => local,
        other => panic!("expected an open socket, heard that it is {other}"),
    }
}

/// A puppet on sockets.
pub(crate) fn puppet(habit: Habit) -> Driver<Puppet> {
    puppet_with(habit, DriverConfig::default())
}

pub(crate) fn puppet_with(habit: Habit, config: DriverConfig) -> Driver<Puppet> {
    Driver::with_config(Puppet { habit, ..Puppet::default() }, config).unwrap()
}

/// A bound for tests that would otherwise hang; nothing waits for it to pass.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("this should not take so long")
}
