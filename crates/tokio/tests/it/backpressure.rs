//! Streams of which the machine takes only a part, and streams whose peers read slowly.

use crate::driving::Lines;
use crate::machines::{Amplifier, PartialReader, REQUEST, Server, Splice};
use crate::recorder::{Mode, Recorded, Recorder, RecorderExt as _, in_time, recorder, recorder_with};
use alloc::collections::BTreeMap;
use bytes::Bytes;
use core::pin::Pin;
use core::task::Poll;
use portolan_machine::{
    Closure, Machine, Outbox, Output, Protocol, SocketEvent, SocketId, SocketOrder, Transmit, WhenFull,
};
use portolan_tokio::{Driver, DriverConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

const KIB: usize = 1_024;

/// Returns a server, the id of a stream, and the client that is connected to it.
async fn server(response: usize) -> (Driver<Server>, SocketId, TcpStream) {
    let mut driver = Driver::new(Server { out: Outbox::new(), response, partial: BTreeMap::new() }).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (_, local) = driver.adopt_listener(listener, Protocol::TcpListen).unwrap();
    let client = TcpStream::connect(local).await.unwrap();
    let (_, SocketEvent::Accepted { socket, .. }) = in_time(driver.next()).await else { panic!("no stream") };
    (driver, socket, client)
}

fn request(number: u64) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    request[..8].copy_from_slice(&number.to_be_bytes());
    request
}

fn requests(count: u64) -> Vec<u8> {
    (0..count).flat_map(request).collect()
}

/// Reads `count` responses and checks that each response comes once and in order.
async fn read_responses(client: &mut (impl tokio::io::AsyncRead + Unpin), count: u64, length: usize) {
    let mut reader = tokio::io::BufReader::with_capacity(64 * KIB, client);
    let mut response = vec![0; length];
    for number in 0..count {
        reader.read_exact(&mut response).await.unwrap();
        assert_eq!(response[..8], number.to_be_bytes(), "response {number}");
    }
}

/// Measurements of a running driver.
struct Measurements<E> {
    events: Vec<E>,
    /// The largest numbers of unsent and unread bytes that the driver held for all streams together.
    most: (usize, usize),
}

impl<E> Measurements<E> {
    const fn new() -> Self {
        Self { events: Vec::new(), most: (0, 0) }
    }

    fn measure(&mut self, driver: &Driver<impl Machine>, streams: &[SocketId]) -> (usize, usize) {
        let held = streams.iter().filter_map(|id| driver.backlog(*id));
        let held = held.fold((0, 0), |sum, held| (sum.0 + held.unsent, sum.1 + held.unread));
        self.most = (self.most.0.max(held.0), self.most.1.max(held.1));
        held
    }

    /// Polls the driver once, and yields to the other tasks.
    async fn step<M: Machine<Event = E>>(&mut self, driver: &mut Driver<M>, streams: &[SocketId]) -> (usize, usize) {
        tokio::select! {
            biased;
            event = driver.next() => self.events.push(event),
            () = core::future::ready(()) => {}
        }
        tokio::task::yield_now().await;
        self.measure(driver, streams)
    }

    /// Drives until `task` is done. The driver is polled only after a wake-up by the driver or by `task`, so a lost
    /// wake-up fails the test.
    async fn drive<M: Machine<Event = E>, T>(
        &mut self,
        driver: &mut Driver<M>,
        streams: &[SocketId],
        mut task: tokio::task::JoinHandle<T>,
    ) -> T {
        let done = core::future::poll_fn(|cx| {
            while let Poll::Ready(event) = driver.poll_next(cx) {
                self.events.push(event);
            }
            self.measure(driver, streams);
            Pin::new(&mut task).poll(cx)
        });
        in_time(done).await.unwrap()
    }

    /// Drives until nothing has changed for 2,000 polls.
    async fn drive_until_idle<M: Machine<Event = E>>(&mut self, driver: &mut Driver<M>, streams: &[SocketId]) {
        in_time(async {
            let (mut last, mut unchanged) = ((0, 0, 0), 0);
            while unchanged < 2_000 {
                let held = self.step(driver, streams).await;
                let now = (held.0, held.1, self.events.len());
                unchanged = if now == last { unchanged + 1 } else { 0 };
                last = now;
            }
        })
        .await;
    }
}

/// The client writes and reads at the same time. The driver holds at most 64 KiB and the responses of one call.
#[tokio::test]
async fn every_pipelined_request_is_answered() {
    for count in [1, 300, 3_000, 30_000] {
        let (mut driver, stream, client) = server(32).await;
        let (mut read, mut write) = client.into_split();
        let writer = tokio::spawn(async move { write.write_all(&requests(count)).await.map(|()| write) });
        let reader = tokio::spawn(async move { read_responses(&mut read, count, 32).await });
        let mut measurements = Measurements::new();
        measurements.drive(&mut driver, &[stream], reader).await;
        assert!(measurements.most.0 <= 64 * KIB + Outbox::<()>::LIMIT * 32, "{} unsent bytes", measurements.most.0);
        assert!(measurements.most.1 <= 64 * KIB, "{} unread bytes", measurements.most.1);
        drop(in_time(writer).await.unwrap().unwrap());
    }
}

/// The client reads nothing until backpressure stops its requests.
#[tokio::test]
async fn every_pipelined_request_of_a_late_reader_is_answered() {
    const COUNT: u64 = 300_000;
    let (mut driver, stream, client) = server(32).await;
    let (mut read, mut write) = client.into_split();
    let writer = tokio::spawn(async move { write.write_all(&requests(COUNT)).await.map(|()| write) });
    let mut measurements = Measurements::new();
    measurements.drive_until_idle(&mut driver, &[stream]).await;
    assert!(!writer.is_finished(), "the client waits");
    assert_eq!(measurements.events, [(stream, SocketEvent::Full)]);
    assert!(driver.backlog(stream).unwrap().unsent > 64 * KIB);
    let reader = tokio::spawn(async move { read_responses(&mut read, COUNT, 32).await });
    measurements.drive(&mut driver, &[stream], reader).await;
    assert!(measurements.most.0 <= 64 * KIB + Outbox::<()>::LIMIT * 32, "{} unsent bytes", measurements.most.0);
    assert!(measurements.most.1 <= 64 * KIB, "{} unread bytes", measurements.most.1);
    assert_eq!(measurements.events[1], (stream, SocketEvent::Writable));
    println!("300,000 requests: held at most {:?} bytes (unsent, unread)", measurements.most);
    drop(in_time(writer).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_half_closed_peer_that_reads_late_gets_every_response() {
    const COUNT: u64 = 3_000;
    let (mut driver, stream, mut client) = server(400).await;
    client.write_all(&requests(COUNT)).await.unwrap();
    client.shutdown().await.unwrap();
    let mut measurements = Measurements::new();
    measurements.drive_until_idle(&mut driver, &[stream]).await;
    assert_eq!(measurements.events, [(stream, SocketEvent::Full)], "the FIN is behind unread bytes");
    let reader = tokio::spawn(async move {
        read_responses(&mut client, COUNT, 400).await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "then the end of the stream");
    });
    measurements.drive(&mut driver, &[stream], reader).await;
    assert_eq!(measurements.events.last(), Some(&(stream, SocketEvent::Closed(Closure::ByPeer))));
    assert!(measurements.most.0 <= 64 * KIB + Outbox::<()>::LIMIT * 400, "{} unsent bytes", measurements.most.0);
}

/// Returns a driver with a recorder, the id of an accepted stream, and the stream's client.
async fn connected(mode: Mode, config: DriverConfig) -> (Driver<Recorder>, SocketId, TcpStream) {
    let mut driver = recorder_with(mode, config);
    let (_, local) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let client = TcpStream::connect(local).await.unwrap();
    let SocketEvent::Accepted { socket, .. } = driver.socket_event().await else { panic!("no stream") };
    (driver, socket, client)
}

#[tokio::test]
async fn datagrams_for_a_reader_that_stops_are_dropped_and_the_stream_stays_open() {
    const LENGTH: usize = 1_200;
    const COUNT: u64 = 10_000; // 12 MB
    let (mut driver, stream, mut client) = connected(Mode::Record, DriverConfig::default()).await;
    let remote = client.local_addr().unwrap();
    let mut measurements = Measurements::new();
    let send = |driver: &mut Driver<Recorder>, number: u64| {
        let mut payload = vec![0; LENGTH];
        payload[..8].copy_from_slice(&number.to_be_bytes());
        let transmit = Transmit::new(stream, remote, payload.into()).with_when_full(WhenFull::Drop);
        driver.with(|machine, _| machine.out.push(Output::Transmit(transmit)));
    };
    for number in 0..COUNT {
        send(&mut driver, number);
        measurements.step(&mut driver, &[stream]).await;
    }
    let dropped = driver.counters().stream_full;
    println!("{dropped} of {COUNT} datagrams dropped, held at most {} bytes", measurements.most.0);
    assert!((1..COUNT).contains(&dropped), "{dropped} of {COUNT} dropped");
    assert!(
        measurements.most.0 > 64 * KIB && measurements.most.0 <= 64 * KIB + LENGTH,
        "{} bytes held",
        measurements.most.0
    );
    assert_eq!(measurements.events, [Recorded::Socket(stream, SocketEvent::Full)]);
    // The reader continues. It gets whole datagrams, in order, without the dropped ones.
    let reader = tokio::spawn(async move {
        let (mut payload, mut numbers) = ([0; LENGTH], Vec::new());
        while numbers.len() as u64 + dropped < COUNT {
            client.read_exact(&mut payload).await.unwrap();
            numbers.push(u64::from_be_bytes(payload[..8].try_into().unwrap()));
        }
        (numbers, client)
    });
    let (numbers, mut client) = measurements.drive(&mut driver, &[stream], reader).await;
    assert!(numbers.is_sorted_by(|one, next| one < next));
    assert_eq!(measurements.events[1..], [Recorded::Socket(stream, SocketEvent::Writable)]);
    send(&mut driver, COUNT);
    let mut payload = [0; LENGTH];
    driver.run_while(client.read_exact(&mut payload)).await.0.unwrap();
    assert_eq!(payload[..8], COUNT.to_be_bytes());
    assert_eq!(driver.counters().stream_full, dropped);
}

/// This also holds when the system delivers several datagrams in one batch.
#[tokio::test]
async fn full_is_delivered_before_the_next_datagram() {
    let mut driver = Driver::new(Amplifier::default()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (_idle, _) = listener.accept().unwrap();
    let remote = own.peer_addr().unwrap();
    let (stream, _) = driver.adopt_stream(own).unwrap();
    driver.with(|amplifier, _| amplifier.stream = Some((stream, remote)));
    let (_, local) = driver.adopt_udp(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut events = Vec::new();
    // The system accepts some megabytes before the driver has to keep bytes.
    while !events.contains(&"is full") {
        for _ in 0..8 {
            peer.send_to(b"!", local).unwrap();
        }
        for _ in 0..8 {
            events.push(in_time(driver.next()).await);
        }
    }
    let unsent = driver.backlog(stream).expect("the stream is open").unsent;
    assert!(unsent > 64 * KIB && unsent <= 64 * KIB + 70_000, "{unsent} bytes, {} events", events.len());
}

/// A hash of a byte stream, and the number of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digest(u64, usize);

impl Digest {
    fn update(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte));
        self.1 += bytes.len();
    }
}

/// Writes `total` pseudo-random bytes, `step` bytes in each write, and closes the stream.
async fn write_all(mut stream: impl tokio::io::AsyncWrite + Unpin, total: usize, step: usize) -> Digest {
    let (mut digest, mut random, mut bytes) = (Digest(0, 0), 1_u64, vec![0; step]);
    while digest.1 < total {
        let step = step.min(total - digest.1);
        for eight in bytes.chunks_mut(8) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            eight.copy_from_slice(&random.to_be_bytes()[..eight.len()]);
        }
        stream.write_all(&bytes[..step]).await.unwrap();
        digest.update(&bytes[..step]);
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    digest
}

/// Reads to the end, at most `step` bytes in each read.
async fn read_all(mut stream: impl tokio::io::AsyncRead + Unpin, step: usize) -> Digest {
    let (mut digest, mut bytes) = (Digest(0, 0), vec![0; step]);
    loop {
        match stream.read(&mut bytes).await.unwrap() {
            0 => return digest,
            count => digest.update(&bytes[..count]),
        }
        tokio::task::yield_now().await;
    }
}

/// One peer writes ten times as many bytes in a step as the other peer reads.
#[tokio::test]
async fn two_spliced_streams_of_different_speeds_lose_nothing() {
    const TOTAL: usize = 100_000_000;
    const FAST: usize = 60_000;
    const SLOW: usize = 6_000;
    let mut driver = Driver::new(Splice::default()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut pair = || {
        let own = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, remote) = listener.accept().unwrap();
        peer.set_nonblocking(true).unwrap();
        let (id, local) = driver.adopt_stream(own).unwrap();
        assert_eq!(local, remote);
        (id, peer.local_addr().unwrap(), TcpStream::from_std(peer).unwrap())
    };
    let ((fast, fast_remote, fast_peer), (slow, slow_remote, slow_peer)) = (pair(), pair());
    driver.with(|splice, _| splice.streams = vec![(fast, fast_remote), (slow, slow_remote)]);
    let mut measurements = Measurements::new();
    let writer = tokio::spawn(write_all(fast_peer, TOTAL, FAST));
    let reader = tokio::spawn(read_all(slow_peer, SLOW));
    let read = measurements.drive(&mut driver, &[fast, slow], reader).await;
    let written = in_time(writer).await.unwrap();
    assert_eq!((read, read.1), (written, TOTAL));
    assert!(measurements.most.0 + measurements.most.1 <= 512 * KIB, "held {:?}", measurements.most);
    let count = |kind| measurements.events.iter().filter(|event| **event == (slow, kind)).count();
    let (full, writable) = (count(SocketEvent::Full), count(SocketEvent::Writable));
    assert!(full > 10 && full - writable <= 1, "{full} times full, {writable} times writable again");
    println!("held at most {:?} bytes (unsent, unread), {full} times full", measurements.most);
}

fn order(driver: &mut Driver<Recorder>, order: SocketOrder) {
    driver.with(|machine, _| machine.out.push(Output::Socket(order)));
}

#[tokio::test]
async fn a_paused_stream_is_not_read_and_its_end_comes_after_its_last_bytes() {
    let (mut driver, stream, mut client) = connected(Mode::Record, DriverConfig::default()).await;
    order(&mut driver, SocketOrder::Pause(stream));
    client.write_all(b"last words").await.unwrap();
    drop(client);
    let mut measurements = Measurements::new();
    measurements.drive_until_idle(&mut driver, &[stream]).await;
    assert_eq!(measurements.events, []);
    order(&mut driver, SocketOrder::Resume(stream));
    assert_eq!(driver.read(stream, 10).await, b"last words");
    assert_eq!(in_time(driver.next()).await, Recorded::Socket(stream, SocketEvent::Closed(Closure::ByPeer)));
}

async fn partial_reader(
    takes: usize,
    pauses: bool,
    config: DriverConfig,
) -> (Driver<PartialReader>, SocketId, TcpStream) {
    let mut driver = Driver::with_config(PartialReader { takes, pauses, ..PartialReader::default() }, config).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = driver.adopt_stream(own).unwrap();
    (driver, stream, listener.accept().await.unwrap().0)
}

#[tokio::test]
async fn bytes_that_were_read_wait_for_resume_too() {
    let (mut driver, stream, mut client) = partial_reader(4, true, DriverConfig::default()).await;
    client.write_all(b"abcdefghij").await.unwrap();
    client.shutdown().await.unwrap();
    for part in [&b"abcd"[..], b"efgh", b"ij"] {
        assert_eq!(in_time(driver.next()).await, part);
        let mut measurements = Measurements::new();
        measurements.drive_until_idle(&mut driver, &[stream]).await;
        assert_eq!(measurements.events, Vec::<Vec<u8>>::new(), "paused");
        assert!(driver.backlog(stream).is_some(), "the end comes after the bytes");
        driver.with(|reader, _| reader.out.push(Output::Socket(SocketOrder::Resume(stream))));
    }
    assert_eq!(in_time(driver.next()).await, b"");
    assert_eq!(driver.machine().closed, Some(Closure::ByPeer));
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_closed() {
    let lines = Lines::default();
    let (mut driver, stream, mut client) =
        partial_reader(0, false, DriverConfig::default().with_trace(lines.clone())).await;
    let remote = client.local_addr().unwrap();
    driver.with(|reader, _| {
        reader.out.push(Output::Transmit(Transmit::new(stream, remote, Bytes::from_static(b"before"))));
    });
    client.write_all(b"unread").await.unwrap();
    for _ in 0..2 {
        assert_eq!(in_time(driver.next()).await, b"", "the machine takes no byte");
    }
    assert_eq!((in_time(driver.next()).await, driver.machine().closed), (Vec::new(), Some(Closure::NotRead)));
    assert_eq!(driver.backlog(stream), None);
    let line = format!("driver 0: the machine does not take the bytes of {remote} on {stream}, the stream is closed");
    assert_eq!(*lines.0.lock().unwrap(), [line]);
    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.map(|_| read)
    });
    assert_eq!(
        Measurements::new().drive(&mut driver, &[], reader).await.unwrap(),
        b"before",
        "queued bytes are still sent"
    );
}

#[tokio::test]
async fn a_machine_that_pauses_a_stream_may_take_nothing_repeatedly() {
    let (mut driver, stream, mut client) = partial_reader(0, true, DriverConfig::default()).await;
    client.write_all(b"later").await.unwrap();
    for _ in 0..5 {
        assert_eq!(in_time(driver.next()).await, b"");
        driver.with(|reader, _| reader.out.push(Output::Socket(SocketOrder::Resume(stream))));
    }
    driver.with(|reader, _| reader.takes = 10);
    while in_time(driver.next()).await != b"later" {}
    assert_eq!(driver.machine().closed, None);
}

/// The busy stream has many unread bytes, of which the machine takes one byte in each call.
#[tokio::test]
async fn a_stream_that_is_taken_slowly_does_not_starve_another() {
    let (mut driver, _, mut busy) = partial_reader(1, false, DriverConfig::default()).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    driver.adopt_stream(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
    let (mut idle, _) = listener.accept().unwrap();
    busy.write_all(&[1; 60_000]).await.unwrap();
    for _ in 0..1_000 {
        assert_eq!(in_time(driver.next()).await, [1]);
    }
    std::io::Write::write_all(&mut idle, b"\x02").unwrap();
    let mut before = 0;
    while in_time(driver.next()).await != [2] {
        before += 1;
    }
    assert!(before <= 100, "{before} bytes of the busy stream came first");
}

#[tokio::test]
async fn a_flooded_stream_does_not_starve_another() {
    let (mut driver, busy, mut peer) = connected(Mode::Record, DriverConfig::default()).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (idle, _) = driver.adopt_stream(own).unwrap();
    let (mut idle_peer, _) = listener.accept().unwrap();
    let flood = tokio::spawn(async move { while peer.write_all(&[1; 64 * KIB]).await.is_ok() {} });
    let mut before = 0;
    in_time(async {
        loop {
            match driver.next().await {
                Recorded::Chunk { socket, payload } if socket == busy => {
                    if before == 0 {
                        std::io::Write::write_all(&mut idle_peer, b"word").unwrap();
                    }
                    before += payload.len();
                }
                other => break assert_eq!(other, Recorded::Chunk { socket: idle, payload: b"word".to_vec() }),
            }
        }
    })
    .await;
    assert!(before <= 64 * 64 * KIB, "{before} bytes of the busy stream came first");
    flood.abort();
}

#[tokio::test]
async fn small_payloads_that_were_queued_before_a_close_are_sent() {
    let (mut driver, stream, mut client) = connected(Mode::Record, DriverConfig::default()).await;
    let remote = client.local_addr().unwrap();
    driver.with(|machine, _| {
        machine.out.push(Output::Socket(SocketOrder::Pause(stream)));
        for part in [&b"a"[..], b"bc", b"def"] {
            machine.out.push(Output::Transmit(Transmit::new(stream, remote, Bytes::from_static(part))));
        }
        machine.out.push(Output::Socket(SocketOrder::Close(stream)));
    });
    let mut read = Vec::new();
    let (result, events) = driver.run_while(client.read_to_end(&mut read)).await;
    result.unwrap();
    assert_eq!((&*read, events), (&b"abcdef"[..], Vec::new()));
}

#[tokio::test]
async fn orders_for_the_wrong_socket_are_noted_and_ignored() {
    let lines = Lines::default();
    let mut driver = recorder_with(Mode::Record, DriverConfig::default().with_trace(lines.clone()));
    let (udp, _) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    order(&mut driver, SocketOrder::Pause(udp));
    order(&mut driver, SocketOrder::Resume(SocketId(77)));
    let note = |id| format!("driver 0: cannot pause or resume {id}: it is not an open stream");
    assert_eq!(*lines.0.lock().unwrap(), [note("s1"), note("s77")]);
}

#[tokio::test]
async fn an_order_with_a_known_id_is_counted_and_ignored() {
    let lines = Lines::default();
    let mut driver = recorder_with(Mode::Echo, DriverConfig::default().with_trace(lines.clone()));
    let (udp, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        order(
            &mut driver,
            SocketOrder::Open(portolan_machine::Open::new(udp, protocol, "127.0.0.1:0".parse().unwrap())),
        );
    }
    assert_eq!(driver.counters().known_ids, 2);
    assert_eq!(*lines.0.lock().unwrap(), ["driver 0: s1 exists already, the order to open it is ignored"; 2]);
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"alive", local).await.unwrap();
    let (received, events) = driver.run_while(client.recv(&mut [0; 8])).await;
    assert_eq!((received.unwrap(), events), (5, Vec::new()));
}

#[tokio::test]
async fn memory_for_unsent_bytes_is_bounded_when_the_stream_closes() {
    let (mut driver, stream, client) = connected(Mode::Record, DriverConfig::default()).await;
    let remote = client.local_addr().unwrap();
    let mut most = 0;
    while let Some(held) = driver.backlog(stream) {
        most = most.max(held.unsent);
        driver.transmit(stream, remote, &[0; 10_000]);
    }
    assert!(most > 200 * KIB && most <= 256 * KIB, "{most} bytes held");
    let events = [in_time(driver.next()).await, in_time(driver.next()).await];
    let expected = [SocketEvent::Full, SocketEvent::Closed(Closure::Overflow)];
    assert_eq!(events, expected.map(|event| Recorded::Socket(stream, event)));
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[tokio::test]
async fn the_system_keeps_at_most_128_kib_unsent() {
    let mut driver = recorder(Mode::Record);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let same = own.try_clone().unwrap();
    driver.adopt_stream(own).unwrap();
    let same = socket2::SockRef::from(&same);
    assert_eq!((same.tcp_notsent_lowat().unwrap(), same.tcp_nodelay().unwrap()), (128 * 1_024, true));
}
