//! A machine on streams that takes as many bytes as a test allows, and logs its events like a packet trace.

use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketId, SocketOrder,
    Transmit, Verdict, WhenFull,
};
use portolan_sim::{EventRecord, HostId, Link, Net};

/// How much of a chunk the machine takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReadMode {
    #[default]
    All,
    AtMost(usize),
    Nothing,
    /// Nothing once, then everything.
    NothingOnce,
    /// Nothing, and the machine pauses the stream.
    Pause,
    /// The stream does not belong to this machine.
    NotMine,
}

/// Reads and writes streams.
#[derive(Debug, Default)]
pub(crate) struct Streamer {
    pub(crate) out: Outbox<String>,
    pub(crate) mode: ReadMode,
    /// Whether the machine sends taken bytes back.
    pub(crate) echoes: bool,
    /// The number of bytes that the machine sends back for each taken byte, in one transmit with this rule.
    pub(crate) answers: Option<(usize, WhenFull)>,
    /// The streams from and to which the machine forwards bytes. It pauses the first while the second is full.
    pub(crate) splice: Vec<(SocketId, SocketId)>,
    /// The bytes taken.
    pub(crate) taken: Vec<u8>,
    /// Whether the machine does not log taken bytes.
    pub(crate) is_quiet: bool,
    /// Whether the machine was drained since the last chunk.
    is_drained: bool,
}

impl Streamer {
    pub(crate) fn open(&mut self, cx: &mut Cx<'_>, protocol: Protocol, local: &str, remote: Option<&str>) -> SocketId {
        let id = cx.next_socket();
        let mut open = Open::new(id, protocol, local.parse().unwrap());
        if let Some(remote) = remote {
            open = open.towards(remote.parse().unwrap());
        }
        self.out.push(Output::Socket(SocketOrder::Open(open)));
        id
    }

    pub(crate) fn order(&mut self, order: SocketOrder) {
        self.out.push(Output::Socket(order));
    }

    pub(crate) fn send(&mut self, socket: SocketId, bytes: impl Into<Bytes>, when_full: WhenFull) {
        let anywhere = SocketAddr::from(([0, 0, 0, 0], 0));
        self.out.push(Output::Transmit(Transmit::new(socket, anywhere, bytes.into()).with_when_full(when_full)));
    }
}

impl Machine for Streamer {
    type Command = Never;
    type Error = Never;
    type Event = String;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let Input::Socket(socket, event) = input else { return Verdict::NotMine };
        self.out.push(Output::Event(format!("{socket} {event}")));
        let from = self.splice.iter().find(|(_, to)| *to == socket).map(|(from, _)| *from);
        match (from, event) {
            (Some(from), SocketEvent::Full) => self.order(SocketOrder::Pause(from)),
            (Some(from), SocketEvent::Writable) => self.order(SocketOrder::Resume(from)),
            _ => {}
        }
        Verdict::Mine
    }

    fn stream(&mut self, _: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        assert!(self.is_drained, "a machine is drained between two chunks");
        self.is_drained = false;
        let (socket, offered) = (chunk.socket, chunk.payload.len());
        let taken = match self.mode {
            ReadMode::NotMine => return None,
            ReadMode::All => offered,
            ReadMode::AtMost(most) => most.min(offered),
            ReadMode::Nothing => 0,
            ReadMode::Pause => {
                self.order(SocketOrder::Pause(socket));
                0
            }
            ReadMode::NothingOnce => {
                self.mode = ReadMode::All;
                0
            }
        };
        let bytes = &chunk.payload[..taken];
        self.taken.extend_from_slice(bytes);
        if self.echoes {
            self.send(socket, bytes.to_vec(), WhenFull::Close);
        }
        if let Some((length, when_full)) = self.answers {
            (0..taken).for_each(|_| self.send(socket, vec![7; length], when_full));
        }
        if let Some((_, to)) = self.splice.iter().find(|(from, _)| *from == socket).copied() {
            self.send(to, bytes.to_vec(), WhenFull::Close);
        }
        if !self.is_quiet {
            self.out.push(Output::Event(format!("{socket} takes {taken} of {offered}")));
        }
        Some(taken)
    }

    fn poll(&mut self) -> Output<String> {
        self.out.pop().unwrap_or_else(|| {
            self.is_drained = true;
            Output::Wait(None)
        })
    }
}

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const KIB: usize = 1_024;
/// The addresses of the two hosts of [`connected`], `a` and `b`; `b` listens on port 9.
pub(crate) const A: &str = "85.0.0.1";
pub(crate) const B: &str = "85.0.0.2";

/// Two hosts on the Internet with a stream between them: `a`, `b`, and the socket of each. No packet is in transit and
/// no event is pending.
pub(crate) fn connected(link: &Link) -> (Net<Streamer>, [HostId; 2], [SocketId; 2]) {
    let mut net = Net::new(1);
    let host = |net: &mut Net<Streamer>, name, address: &str, link: &Link| {
        net.add_host(net.internet(), name, &[address.parse().unwrap()], link, Streamer::default())
    };
    let a = host(&mut net, "a", A, link);
    let b = host(&mut net, "b", B, &Link::delay(MS * 25));
    net.with(b, |b, cx| b.open(cx, Protocol::TcpListen, "0.0.0.0:9", None));
    let near = net.with(a, |a, cx| a.open(cx, Protocol::Tcp, "0.0.0.0:0", Some("85.0.0.2:9"))).unwrap();
    let _end = net.run_for(MS * 50 + link.round_trip());
    let (opened, far) = (format!("{near} opened on {A}:"), SocketId(2));
    assert!(net.events().iter().any(|event| event.event.starts_with(&opened)), "{:?}", net.events());
    net.take_events();
    (net, [a, b], [near, far])
}

/// The events of the machines of [`connected`] since the last call, as lines: milliseconds after `since`, host, event.
pub(crate) fn event_lines(net: &mut Net<Streamer>, [a, _]: [HostId; 2], since: Instant) -> Vec<String> {
    let line = |EventRecord { at, host, event }| {
        format!("{} {} {event}", (at - since).as_millis(), if host == a { "a" } else { "b" })
    };
    net.take_events().into_iter().map(line).collect()
}

/// Bytes that encode their position: two positions within 64 KiB have different patterns.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length.div_ceil(2)).flat_map(|n| (n as u16).to_be_bytes()).take(length).collect()
}
