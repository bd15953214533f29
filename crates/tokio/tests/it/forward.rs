//! `Machine::forward`: a forwarded datagram is sent like a datagram that `handle` has queued.

use crate::recorder::{Mode, RecorderExt as _, in_time, recorder};
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Forward, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent,
    SocketId, SocketOrder, Transmit, Verdict,
};
use portolan_tokio::Driver;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UdpSocket};

#[derive(Debug, PartialEq)]
pub(crate) enum RelayEvent {
    Opened(SocketAddr),
    Accepted(SocketId),
    Timeout,
}

/// A machine that relays each datagram. The first byte of the datagram selects how:
///
/// * `f`: by `forward`.
/// * `h`: by `forward`, with a head and padding.
/// * `q`: through the output queue.
/// * `w`: by `forward`, and sets a deadline of 10 ms.
/// * `x`: by `forward` and also through the output queue, which breaks the law of `forward`.
#[derive(Default)]
pub(crate) struct Relay {
    out: Outbox<RelayEvent>,
    target: Option<(SocketId, SocketAddr)>,
    wait: Option<Instant>,
    forwarded: usize,
}

impl Machine for Relay {
    type Command = Never;
    type Error = Never;
    type Event = RelayEvent;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        self.out.push(match input {
            Input::Datagram(d) => {
                let (socket, remote) = self.target.unwrap();
                Output::Transmit(Transmit::new(socket, remote, Bytes::copy_from_slice(d.payload)))
            }
            Input::Socket(_, SocketEvent::Opened { local }) => Output::Event(RelayEvent::Opened(local)),
            Input::Socket(_, SocketEvent::Accepted { socket, .. }) => Output::Event(RelayEvent::Accepted(socket)),
            Input::Socket(..) => return Verdict::NotMine,
            Input::Timeout => {
                if self.wait.is_none_or(|wait| wait > cx.now()) {
                    return Verdict::NotMine;
                }
                self.wait = None;
                Output::Event(RelayEvent::Timeout)
            }
        });
        Verdict::Mine
    }

    fn forward<'a>(&mut self, cx: &mut Cx<'_>, d: Datagram<'a>) -> Option<Forward<'a>> {
        assert!(self.out.is_empty(), "the machine is drained");
        let (socket, remote) = self.target?;
        let forward = Forward::new(socket, remote, d.payload);
        self.forwarded += 1;
        match d.payload.first() {
            Some(b'h') => forward.with_head(b"head").map(Forward::padded),
            Some(b'w') => {
                self.wait = Some(cx.now() + Duration::from_millis(10));
                Some(forward)
            }
            Some(b'x') => {
                self.out.push(Output::Transmit(forward.to_transmit()));
                Some(forward)
            }
            Some(b'q') => {
                self.forwarded -= 1;
                None
            }
            _ => Some(forward),
        }
    }

    fn poll(&mut self) -> Output<RelayEvent> {
        self.out.pop().unwrap_or(Output::Wait(self.wait.map(|at| Deadline::new(at, "test"))))
    }
}

async fn open(driver: &mut Driver<Relay>, protocol: Protocol, local: &str) -> (SocketId, SocketAddr) {
    let local = local.parse().unwrap();
    let id = driver.with(|relay, cx| {
        let id = cx.next_socket();
        relay.out.push(Output::Socket(SocketOrder::Open(Open::new(id, protocol, local))));
        id
    });
    match in_time(driver.next()).await {
        RelayEvent::Opened(local) => (id, local),
        other => panic!("{other:?}"),
    }
}

/// A driver with a relay, the address of its socket, and the socket to which it relays.
pub(crate) async fn relay() -> (Driver<Relay>, SocketAddr, UdpSocket) {
    let mut driver = Driver::new(Relay::default()).unwrap();
    let (id, local) = open(&mut driver, Protocol::Udp, "127.0.0.1:0").await;
    let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = sink.local_addr().unwrap();
    driver.with(|relay, _| relay.target = Some((id, target)));
    (driver, local, sink)
}

/// Sends datagrams to the relay in one batch.
pub(crate) async fn send(to: SocketAddr, datagrams: &[Vec<u8>]) {
    let mut sender = recorder(Mode::Record);
    let (socket, _) = sender.opened_towards(Protocol::Udp, to).await;
    sender.with(|machine, _| {
        for datagram in datagrams {
            machine.out.push(Output::Transmit(Transmit::new(socket, to, Bytes::from(datagram.clone()))));
        }
    });
}

/// Runs the relay until the sink has received these datagrams.
pub(crate) async fn expect_datagrams(driver: &mut Driver<Relay>, sink: &UdpSocket, expected: &[Vec<u8>]) {
    let mut buffer = vec![0; 65_536];
    for (number, expected) in expected.iter().enumerate() {
        let count = in_time(async {
            tokio::select! {
                event = driver.next() => panic!("{event:?}"),
                received = sink.recv(&mut buffer) => received.unwrap(),
            }
        });
        let count = count.await;
        assert_eq!(buffer[..count], expected[..], "number {number}");
    }
}

pub(crate) fn datagram(kind: u8, length: usize, number: u8) -> Vec<u8> {
    let mut bytes = vec![number; length];
    bytes.iter_mut().take(1).for_each(|first| *first = kind);
    bytes
}

#[tokio::test]
async fn forwarded_and_queued_datagrams_keep_their_order() {
    let (mut driver, local, sink) = relay().await;
    let kinds = b"ffffqqqqfqfqfqfqffffffffqf";
    // Some lengths differ, so that batches end in the middle.
    let datagrams: Vec<_> =
        (0_u8..100).map(|n| datagram(kinds[usize::from(n) % kinds.len()], 100 + usize::from(n / 9), n)).collect();
    send(local, &datagrams).await;
    expect_datagrams(&mut driver, &sink, &datagrams).await;
    let by_forward = datagrams.iter().filter(|datagram| datagram[0] == b'f').count();
    assert_eq!(
        driver.machine().forwarded,
        by_forward,
        "`forward` is called once for each datagram, and the other datagrams are queued"
    );
}

#[tokio::test]
async fn a_forwarded_datagram_has_its_head_and_its_padding() {
    let (mut driver, local, sink) = relay().await;
    for length in [1, 2, 3, 4, 172, 1_225, 1_232, 1_300, 9_000, 65_000] {
        let sent = datagram(b'h', length, 7);
        send(local, core::slice::from_ref(&sent)).await;
        let mut expected = b"head".to_vec();
        expected.extend_from_slice(&sent);
        expected.resize(4 + length.next_multiple_of(4), 0);
        expect_datagrams(&mut driver, &sink, &[expected]).await;
    }
    send(local, &[Vec::new()]).await;
    expect_datagrams(&mut driver, &sink, &[Vec::new()]).await;
}

#[tokio::test]
async fn the_deadline_of_the_machine_is_read_after_a_forward() {
    let (mut driver, local, sink) = relay().await;
    send(local, &[datagram(b'w', 20, 0)]).await;
    assert_eq!(in_time(driver.next()).await, RelayEvent::Timeout);
    assert_eq!(in_time(sink.recv(&mut [0; 32])).await.unwrap(), 20);
}

/// The driver also executes the outputs of a machine that breaks the law of `forward`, in order.
#[tokio::test]
async fn outputs_that_a_faulty_machine_queues_during_a_forward_are_sent() {
    let (mut driver, local, sink) = relay().await;
    send(local, &[datagram(b'x', 20, 1), datagram(b'f', 20, 2)]).await;
    let expected = [datagram(b'x', 20, 1), datagram(b'x', 20, 1), datagram(b'f', 20, 2)];
    expect_datagrams(&mut driver, &sink, &expected).await;
}

#[tokio::test]
async fn a_forward_to_a_stream_or_to_a_closed_socket_is_handled_as_a_transmit() {
    let (mut driver, local, _sink) = relay().await;
    let (_, server) = open(&mut driver, Protocol::TcpListen, "127.0.0.1:0").await;
    let mut stream = TcpStream::connect(server).await.unwrap();
    let RelayEvent::Accepted(id) = in_time(driver.next()).await else { panic!("no stream") };
    let remote = stream.local_addr().unwrap();
    driver.with(|relay, _| relay.target = Some((id, remote)));
    send(local, &[datagram(b'h', 21, 1), datagram(b'q', 10, 2), datagram(b'f', 10, 3)]).await;
    let mut read = vec![0; 28 + 10 + 10];
    in_time(async {
        tokio::select! {
            event = driver.next() => panic!("{event:?}"),
            done = stream.read_exact(&mut read) => done.unwrap(),
        }
    })
    .await;
    let mut expected = b"head".to_vec();
    expected.extend(datagram(b'h', 21, 1));
    expected.extend([0; 3]);
    expected.extend(datagram(b'q', 10, 2));
    expected.extend(datagram(b'f', 10, 3));
    assert_eq!(read, expected);
    driver.with(|relay, _| relay.target = Some((SocketId(99), remote)));
    send(local, &[datagram(b'f', 10, 3)]).await;
    while driver.counters().not_open == 0 {
        tokio::select! {
            biased;
            event = driver.next() => panic!("{event:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(driver.counters().not_open, 1);
}

/// A machine with endless outputs, so it is never drained.
#[derive(Default)]
struct Endless {
    orders: Outbox<SocketAddr>,
    handled: usize,
}

impl Machine for Endless {
    type Command = Never;
    type Error = Never;
    type Event = SocketAddr;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Socket(_, SocketEvent::Opened { local }) => self.orders.push(Output::Event(local)),
            _ => self.handled += 1,
        }
        Verdict::Mine
    }

    fn forward<'a>(&mut self, _: &mut Cx<'_>, _: Datagram<'a>) -> Option<Forward<'a>> {
        panic!("`forward` is not called on a machine that is not drained");
    }

    fn poll(&mut self) -> Output<SocketAddr> {
        let endless = Transmit::new(SocketId(99), ([127, 0, 0, 1], 9).into(), Bytes::new());
        self.orders.pop().unwrap_or(Output::Transmit(endless))
    }
}

#[tokio::test]
async fn forward_is_not_called_on_a_machine_that_is_not_drained() {
    let mut driver = Driver::new(Endless::default()).unwrap();
    driver.with(|endless, cx| {
        let open = Open::new(cx.next_socket(), Protocol::Udp, ([127, 0, 0, 1], 0).into());
        endless.orders.push(Output::Socket(SocketOrder::Open(open)));
    });
    let local = in_time(driver.next()).await;
    send(local, &[vec![1; 10]]).await;
    in_time(async {
        while driver.machine().handled == 0 {
            tokio::select! {
                biased;
                event = driver.next() => panic!("{event:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
}
