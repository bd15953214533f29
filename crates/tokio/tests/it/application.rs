//! Application data on the machine's sockets, and sockets that the application passes to the driver.

use crate::recorder::in_time;
use alloc::collections::VecDeque;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{
    Closure, Cx, Datagram, Input, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketId, SocketOrder,
    Transmit, Verdict,
};
use portolan_tokio::{Driver, EventOrData, Received, SendError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// A machine that takes socket events and bytes that begin with `m`. All other bytes are for the application.
#[derive(Default)]
struct Selective {
    out: Outbox<SelectiveEvent>,
    /// Whether the machine does not take the ends of streams.
    declines_ends: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SelectiveEvent {
    Socket(SocketId, SocketEvent),
    Bytes(Vec<u8>),
}

impl Machine for Selective {
    type Command = Never;
    type Error = Never;
    type Event = SelectiveEvent;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Socket(_, SocketEvent::Closed(_)) if self.declines_ends => return Verdict::NotMine,
            Input::Socket(id, event) => self.out.push(Output::Event(SelectiveEvent::Socket(id, event))),
            Input::Datagram(d) if d.payload.starts_with(b"m") => {
                self.out.push(Output::Event(SelectiveEvent::Bytes(d.payload.to_vec())));
            }
            Input::Datagram(_) | Input::Timeout => return Verdict::NotMine,
        }
        Verdict::Mine
    }

    /// Takes the bytes up to the first that is not `m`.
    fn stream(&mut self, _: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let count = chunk.payload.iter().take_while(|byte| **byte == b'm').count();
        if count == 0 {
            return None;
        }
        self.out.push(Output::Event(SelectiveEvent::Bytes(chunk.payload[..count].to_vec())));
        Some(count)
    }

    fn poll(&mut self) -> Output<SelectiveEvent> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

fn selective_driver() -> Driver<Selective> {
    Driver::new(Selective::default()).unwrap()
}

fn open(driver: &mut Driver<Selective>, protocol: Protocol) -> SocketId {
    driver.with(|machine, cx| {
        let open = Open::new(cx.next_socket(), protocol, ([127, 0, 0, 1], 0).into());
        let id = open.id;
        machine.out.push(Output::Socket(SocketOrder::Open(open)));
        id
    })
}

async fn opened(driver: &mut Driver<Selective>, protocol: Protocol) -> (SocketId, SocketAddr) {
    let id = open(driver, protocol);
    match in_time(driver.next()).await {
        SelectiveEvent::Socket(socket, SocketEvent::Opened { local }) if socket == id => (id, local),
        event => panic!("{event:?}"),
    }
}

/// Returns the id of an accepted stream, and the peer's socket.
async fn accepted(driver: &mut Driver<Selective>) -> (SocketId, TcpStream) {
    let (_, local) = opened(driver, Protocol::TcpListen).await;
    let peer = TcpStream::connect(local).await.unwrap();
    match in_time(driver.next()).await {
        SelectiveEvent::Socket(_, SocketEvent::Accepted { socket, .. }) => (socket, peer),
        event => panic!("{event:?}"),
    }
}

async fn data(driver: &mut Driver<Selective>) -> Received {
    match in_time(driver.next_or_data()).await {
        EventOrData::Data(received) => received,
        EventOrData::Event(event) => panic!("{event:?}"),
    }
}

/// Polls for events only, so that data stays in the driver's queue.
async fn drive_until_idle(driver: &mut Driver<Selective>) {
    for _ in 0..2_000 {
        tokio::select! {
            biased;
            event = driver.next() => panic!("{event:?}"),
            () = core::future::ready(()) => tokio::task::yield_now().await,
        }
    }
}

/// Random numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// An application that sends all data back on the machine's sockets. It drops the driver's future at random points.
struct EchoApplication {
    driver: Driver<Selective>,
    random: Random,
    /// Transmits for which `send` returned `Full`.
    waiting: VecDeque<Transmit>,
    dropped: usize,
}

impl EchoApplication {
    async fn step(&mut self) -> Option<SelectiveEvent> {
        let polls = self.random.below(4);
        let item = tokio::select! {
            biased;
            item = self.driver.next_or_data() => Some(item),
            () = async { for _ in 0..polls { tokio::task::yield_now().await; } } => None,
        };
        let event = match item {
            Some(EventOrData::Data(received)) => {
                let Received { socket, remote, payload, .. } = received;
                self.waiting.push_back(Transmit::new(socket, remote, payload));
                None
            }
            Some(EventOrData::Event(event)) => Some(event),
            None => {
                self.dropped += 1;
                None
            }
        };
        while let Some(transmit) = self.waiting.pop_front() {
            match self.driver.send(transmit.clone()) {
                Ok(()) => {}
                Err(SendError::Full) => {
                    self.waiting.push_front(transmit);
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        tokio::task::yield_now().await;
        event
    }
}

#[tokio::test]
async fn datagrams_and_stream_bytes_are_received_and_answered_while_futures_are_dropped() {
    const DATAGRAMS: u32 = 1_000;
    const BYTES: usize = 3_000_000;
    let mut driver = selective_driver();
    let (_, udp) = opened(&mut driver, Protocol::Udp).await;
    let (_, peer) = accepted(&mut driver).await;
    let (mut read, mut write) = peer.into_split();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut application = EchoApplication { driver, random: Random(7), waiting: VecDeque::new(), dropped: 0 };
    let datagrams = tokio::spawn(async move {
        let mut buffer = [0; 16];
        for number in 0..DATAGRAMS {
            let sent = [b"a", &number.to_be_bytes()[..]].concat();
            client.send_to(&sent, udp).await.unwrap();
            let (count, from) = client.recv_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..count], from), (&*sent, udp));
        }
    });
    let writer = tokio::spawn(async move {
        let mut random = Random(8);
        let mut sent = 0;
        while sent < BYTES {
            let count = (1 + random.below(100_000) as usize).min(BYTES - sent);
            let bytes: Vec<u8> = (sent..sent + count).map(|at| (at % 101) as u8).collect();
            write.write_all(&bytes).await.unwrap();
            sent += count;
        }
        write
    });
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; BYTES];
        read.read_exact(&mut buffer).await.unwrap();
        assert!(buffer.iter().enumerate().all(|(at, byte)| *byte == (at % 101) as u8));
        read
    });
    in_time(async {
        while !(datagrams.is_finished() && reader.is_finished()) {
            if let Some(event) = application.step().await {
                let backpressure =
                    matches!(event, SelectiveEvent::Socket(_, SocketEvent::Full | SocketEvent::Writable));
                assert!(backpressure, "the machine must take none of the bytes: {event:?}");
            }
        }
    })
    .await;
    datagrams.await.unwrap();
    drop((reader.await.unwrap(), writer.await.unwrap()));
    assert!(application.dropped > 100, "{} futures were dropped", application.dropped);
    assert_eq!(application.driver.counters(), portolan_tokio::Counters::default());
}

#[tokio::test]
async fn events_and_data_come_in_order_of_arrival() {
    let mut driver = selective_driver();
    let (udp, local) = opened(&mut driver, Protocol::Udp).await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for payload in [&b"a"[..], b"m1", b"b", b"", b"m2"] {
        client.send_to(payload, local).await.unwrap();
    }
    let remote = client.local_addr().unwrap();
    for payload in [&b"a"[..], b"m1", b"b", b"", b"m2"] {
        match in_time(driver.next_or_data()).await {
            EventOrData::Event(event) => assert_eq!(event, SelectiveEvent::Bytes(payload.to_vec())),
            EventOrData::Data(received) => {
                assert!(!payload.starts_with(b"m"));
                assert_eq!((received.socket, received.local, received.remote), (udp, local, remote));
                assert_eq!(received.payload, payload);
            }
        }
    }
}

#[tokio::test]
async fn the_rest_of_a_chunk_that_the_machine_takes_in_part_is_data() {
    let mut driver = selective_driver();
    let (stream, mut peer) = accepted(&mut driver).await;
    peer.write_all(b"mmmrest").await.unwrap();
    assert_eq!(in_time(driver.next_or_data()).await, EventOrData::Event(SelectiveEvent::Bytes(b"mmm".to_vec())));
    let received = data(&mut driver).await;
    assert_eq!((received.socket, received.remote), (stream, peer.local_addr().unwrap()));
    assert_eq!((received.local, &*received.payload), (peer.peer_addr().unwrap(), &b"rest"[..]));
}

#[tokio::test]
async fn data_is_dropped_and_counted_until_the_owner_asks_for_data() {
    let mut driver = selective_driver();
    let (_, local) = opened(&mut driver, Protocol::Udp).await;
    let (_, mut peer) = accepted(&mut driver).await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"dropped", local).await.unwrap();
    peer.write_all(b"dropped").await.unwrap();
    drive_until_idle(&mut driver).await;
    assert_eq!(driver.counters().not_mine, 2);
    client.send_to(b"kept", local).await.unwrap();
    assert_eq!(data(&mut driver).await.payload, "kept");
    assert_eq!(driver.counters().not_mine, 2);
}

#[tokio::test]
async fn at_most_1_mib_of_datagrams_waits_for_the_owner() {
    const LENGTH: usize = 1_000;
    const KEPT: u64 = 1_024 * 1_024 / LENGTH as u64;
    let mut driver = selective_driver();
    let (_, local) = opened(&mut driver, Protocol::Udp).await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"first", local).await.unwrap();
    assert_eq!(data(&mut driver).await.payload, "first");
    for _ in 0..30 {
        // Fewer datagrams than the system's receive buffer holds.
        for _ in 0..50 {
            client.send_to(&[5; LENGTH], local).await.unwrap();
        }
        drive_until_idle(&mut driver).await;
    }
    assert_eq!(driver.counters().data, 1_500 - KEPT);
    for _ in 0..KEPT {
        assert_eq!(data(&mut driver).await.payload.len(), LENGTH);
    }
    client.send_to(b"last", local).await.unwrap();
    assert_eq!(data(&mut driver).await.payload, "last", "there is room again");
    assert_eq!(driver.counters().data, 1_500 - KEPT);
}

#[tokio::test]
async fn a_stream_is_not_read_until_the_owner_takes_its_bytes() {
    const TOTAL: usize = 20_000_000;
    let mut driver = selective_driver();
    let (stream, mut peer) = accepted(&mut driver).await;
    peer.write_all(b"first").await.unwrap();
    assert_eq!(data(&mut driver).await.payload, "first");
    let writer = tokio::spawn(async move { peer.write_all(&vec![1; TOTAL]).await.map(|()| peer) });
    drive_until_idle(&mut driver).await;
    assert!(!writer.is_finished(), "the peer waits");
    assert_eq!(driver.backlog(stream).unwrap().unread, 0, "the one chunk waits in the owner's queue");
    let mut taken = 0;
    while taken < TOTAL {
        let count = data(&mut driver).await.payload.len();
        assert!(count <= 64 * 1_024);
        taken += count;
        tokio::task::yield_now().await;
    }
    drop(writer.await.unwrap().unwrap());
    assert_eq!(in_time(driver.next()).await, SelectiveEvent::Socket(stream, SocketEvent::Closed(Closure::ByPeer)));
}

#[tokio::test]
async fn the_end_of_a_stream_that_the_machine_does_not_take_is_an_empty_payload() {
    let mut driver = selective_driver();
    driver.with(|machine, _| machine.declines_ends = true);
    let (stream, mut peer) = accepted(&mut driver).await;
    peer.write_all(b"last words").await.unwrap();
    let remote = peer.local_addr().unwrap();
    drop(peer);
    assert_eq!(data(&mut driver).await.payload, "last words");
    let end = data(&mut driver).await;
    assert_eq!((end.socket, end.remote, end.payload), (stream, remote, Bytes::new()));
    let late = Transmit::new(stream, remote, Bytes::from_static(b"late"));
    assert_eq!(driver.send(late), Err(SendError::NotOpen));
}

/// Peers that open many streams cannot fill the owner's queue.
#[tokio::test]
async fn bytes_of_a_stream_that_the_machine_closes_are_dropped() {
    let mut driver = selective_driver();
    let (stream, mut peer) = accepted(&mut driver).await;
    peer.write_all(b"first").await.unwrap();
    assert_eq!(data(&mut driver).await.payload, "first");
    peer.write_all(b"second").await.unwrap();
    drive_until_idle(&mut driver).await;
    driver.with(|machine, _| machine.out.push(Output::Socket(SocketOrder::Close(stream))));
    let (_, local) = opened(&mut driver, Protocol::Udp).await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"third", local).await.unwrap();
    assert_eq!(data(&mut driver).await.payload, "third");
}

#[tokio::test]
async fn send_returns_not_open_and_full() {
    let mut driver = selective_driver();
    let remote: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let transmit = |socket, length| Transmit::new(socket, remote, vec![0; length].into());
    assert_eq!(driver.send(transmit(SocketId(77), 1)), Err(SendError::NotOpen));
    let (listener, _) = opened(&mut driver, Protocol::TcpListen).await;
    assert_eq!(driver.send(transmit(listener, 1)), Err(SendError::NotOpen));
    let (udp, _) = opened(&mut driver, Protocol::Udp).await;
    assert_eq!(driver.send(transmit(udp, 1)), Ok(()));
    driver.with(|machine, _| machine.out.push(Output::Socket(SocketOrder::Close(udp))));
    assert_eq!(driver.send(transmit(udp, 1)), Err(SendError::NotOpen));
    // More than 256 KiB can never wait: no part of the payload is sent.
    let (stream, mut peer) = accepted(&mut driver).await;
    assert_eq!(driver.send(transmit(stream, 256 * 1_024 + 1)), Err(SendError::Full));
    let mut sent = 0;
    while driver.send(transmit(stream, 10_000)) == Ok(()) {
        sent += 10_000;
        let unsent = driver.backlog(stream).unwrap().unsent;
        assert!(unsent <= 74 * 1_024, "{unsent} bytes held");
    }
    assert!(driver.backlog(stream).unwrap().unsent > 64 * 1_024, "full");
    let reader = tokio::spawn(async move {
        let mut bytes = vec![0; sent];
        peer.read_exact(&mut bytes).await.unwrap();
        peer
    });
    let mut events = Vec::new();
    in_time(async {
        while !reader.is_finished() {
            tokio::select! {
                biased;
                event = driver.next() => events.push(event),
                () = core::future::ready(()) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let expected = [SocketEvent::Full, SocketEvent::Writable];
    assert_eq!(events, expected.map(|event| SelectiveEvent::Socket(stream, event)), "the machine gets the event");
    assert_eq!(driver.send(transmit(stream, 1)), Ok(()), "the stream is still open");
    drop(reader.await.unwrap());
    assert_eq!(driver.counters(), portolan_tokio::Counters::default(), "the owner got `Full`, so no drop is counted");
}

#[tokio::test]
async fn datagrams_that_were_queued_before_are_sent_first() {
    let mut driver = selective_driver();
    let (udp, _) = opened(&mut driver, Protocol::Udp).await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    for number in 0..50_u8 {
        let transmit = |payload| Transmit::new(udp, remote, Bytes::copy_from_slice(&[number, payload]));
        driver.with(|machine, _| machine.out.push(Output::Transmit(transmit(0))));
        driver.send(transmit(1)).unwrap();
        let mut buffer = [0; 2];
        for expected in 0..2 {
            in_time(peer.recv(&mut buffer)).await.unwrap();
            assert_eq!(buffer, [number, expected]);
        }
    }
}

#[tokio::test]
async fn an_adopted_listener_accepts_without_opened() {
    let mut driver = selective_driver();
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (listener, local) = driver.adopt_listener(own, Protocol::TcpListen).unwrap();
    let mut peer = TcpStream::connect(local).await.unwrap();
    let event = in_time(driver.next()).await;
    let SelectiveEvent::Socket(from, SocketEvent::Accepted { socket, local: own, remote }) = event else {
        panic!("{event:?}")
    };
    assert_eq!((from, own, remote), (listener, local, peer.local_addr().unwrap()));
    peer.write_all(b"mm").await.unwrap();
    assert_eq!(in_time(driver.next()).await, SelectiveEvent::Bytes(b"mm".to_vec()));
    driver.send(Transmit::new(socket, remote, Bytes::from_static(b"answer"))).unwrap();
    let mut answer = [0; 6];
    in_time(peer.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"answer");
}

#[tokio::test]
async fn an_adopted_stream_is_used_without_opened() {
    let mut driver = selective_driver();
    let peer_listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = peer_listener.local_addr().unwrap();
    let own = std::net::TcpStream::connect(remote).unwrap();
    let (stream, local) = driver.adopt_stream(own).unwrap();
    let (mut peer, from) = peer_listener.accept().await.unwrap();
    assert_eq!(from, local);
    peer.write_all(b"m").await.unwrap();
    assert_eq!(in_time(driver.next()).await, SelectiveEvent::Bytes(b"m".to_vec()), "no `Opened` before");
    driver.with(|machine, _| {
        machine.out.push(Output::Transmit(Transmit::new(stream, remote, Bytes::from_static(b"answer"))));
        machine.out.push(Output::Socket(SocketOrder::Close(stream)));
    });
    let mut answer = Vec::new();
    let read = tokio::spawn(async move {
        peer.read_to_end(&mut answer).await.unwrap();
        answer
    });
    drive_until_idle(&mut driver).await;
    assert_eq!(in_time(read).await.unwrap(), b"answer");
}

#[tokio::test]
async fn sockets_that_cannot_be_adopted_are_errors() {
    let mut driver = selective_driver();
    let listener = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Tls] {
        let error = driver.adopt_listener(listener(), protocol).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{protocol}");
    }
    let error = driver.adopt_listener(listener(), Protocol::TlsListen).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported, "no certificate");
    let unconnected = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    assert!(driver.adopt_stream(unconnected.into()).is_err());
}
