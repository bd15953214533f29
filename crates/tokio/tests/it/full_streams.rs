//! Streams that are full at both ends, full streams that are read, and relays between full streams.

use crate::machines::{Multiplier, Splice};
use crate::recorder::{Mode, Recorded, Recorder, RecorderExt as _, in_time, recorder};
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use portolan_machine::{Closure, Open, Output, Protocol, SocketEvent, SocketId, SocketOrder, WhenFull};
use portolan_tokio::Driver;
use std::io::Write as _;

const KIB: usize = 1_024;

/// The origin of a stream that no listener of its driver accepted.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Opened,
    Adopted,
}

/// The bytes of a stream from this position on.
fn pattern(start: usize, length: usize) -> Vec<u8> {
    (start..start + length).map(|n| (n as u32 / 3).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

/// A driver with one end of a stream. It sends the bytes of [`pattern`], and compares the bytes that it reads.
struct End {
    driver: Driver<Recorder>,
    stream: SocketId,
    remote: SocketAddr,
    sent: usize,
    read: usize,
    events: Vec<SocketEvent>,
}

impl End {
    const fn new(driver: Driver<Recorder>, stream: SocketId, remote: SocketAddr) -> Self {
        Self { driver, stream, remote, sent: 0, read: 0, events: Vec::new() }
    }

    fn unsent(&self) -> usize {
        self.driver.backlog(self.stream).expect("the stream is open").unsent
    }

    fn order(&mut self, order: SocketOrder) {
        self.driver.with(|machine, _| machine.out.push(Output::Socket(order)));
    }

    /// Sends until the stream is full, or until `total` bytes are sent.
    fn fill(&mut self, total: usize) {
        while self.sent < total && self.unsent() <= 64 * KIB {
            let bytes = pattern(self.sent, 10_000.min(total - self.sent));
            self.driver.transmit(self.stream, self.remote, &bytes);
            self.sent += bytes.len();
        }
    }

    /// Polls the driver until it waits.
    fn poll(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(event) = self.driver.poll_next(cx) {
            match event {
                Recorded::Chunk { socket, payload } => {
                    assert_eq!(socket, self.stream);
                    assert!(payload == pattern(self.read, payload.len()), "after {} bytes", self.read);
                    self.read += payload.len();
                }
                Recorded::Socket(_, event) => self.events.push(event),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Polls until `step` returns `true`. It is called only after a wake-up, so a lost wake-up fails the test.
async fn run(mut step: impl FnMut(&mut Context<'_>) -> bool) {
    in_time(poll_fn(|cx| if step(cx) { Poll::Ready(()) } else { Poll::Pending })).await;
}

/// Two ends of one stream. The first end was opened or adopted, and the second one was accepted.
async fn two_ends(origin: Origin) -> [End; 2] {
    let (mut opening, mut accepting) = (recorder(Mode::Record), recorder(Mode::Record));
    let (_, server) = accepting.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let (near, local) = match origin {
        Origin::Opened => opening.opened_towards(Protocol::Tcp, server).await,
        Origin::Adopted => opening.adopt_stream(std::net::TcpStream::connect(server).unwrap()).unwrap(),
    };
    let SocketEvent::Accepted { socket: far, .. } = accepting.socket_event().await else { panic!("no stream") };
    [End::new(opening, near, server), End::new(accepting, far, local)]
}

#[tokio::test]
async fn two_ends_that_are_both_full_continue() {
    for origin in [Origin::Opened, Origin::Adopted] {
        let [mut near, mut far] = two_ends(origin).await;
        near.fill(usize::MAX);
        far.fill(usize::MAX);
        run(|cx| {
            near.poll(cx);
            far.poll(cx);
            (near.read, far.read) == (far.sent, near.sent)
        })
        .await;
        println!("{origin:?}: {} and {} bytes", near.sent, far.sent);
        for end in [near, far] {
            assert_eq!((end.events.as_slice(), end.unsent()), (&[SocketEvent::Full, SocketEvent::Writable][..], 0));
        }
    }
}

/// The number of bytes that the peer of [`multiplier`] sends.
const BYTES: usize = 100_000;
/// The length of the answer to one byte. In one poll the driver reads up to 1,024 bytes, one at a time, so that a test
/// can see the number of unsent bytes grow.
const ANSWER: usize = 100;

/// A driver that answers each byte of a stream with [`ANSWER`] bytes, and a peer that has sent [`BYTES`] and does not read.
async fn multiplier(origin: Origin, when_full: WhenFull) -> (Driver<Multiplier>, SocketId, std::net::TcpStream) {
    let machine = Multiplier { length: ANSWER, when_full, ..Multiplier::default() };
    let mut driver = Driver::new(machine).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let stream = match origin {
        Origin::Opened => {
            let id = driver.with(|machine, cx| {
                let open = Open::new(cx.next_socket(), Protocol::Tcp, "0.0.0.0:0".parse().unwrap()).towards(remote);
                let id = open.id;
                machine.out.push(Output::Socket(SocketOrder::Open(open)));
                id
            });
            assert!(matches!(in_time(driver.next()).await, Some(SocketEvent::Opened { .. })));
            id
        }
        Origin::Adopted => driver.adopt_stream(std::net::TcpStream::connect(remote).unwrap()).unwrap().0,
    };
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(&[1; BYTES]).unwrap();
    (driver, stream, peer)
}

#[tokio::test]
async fn a_stream_that_is_read_while_it_is_full_is_closed_above_256_kib() {
    for origin in [Origin::Opened, Origin::Adopted] {
        let (mut driver, stream, _peer) = multiplier(origin, WhenFull::Close).await;
        let (mut most, mut events) = (0, Vec::new());
        in_time(async {
            while !matches!(events.last(), Some(SocketEvent::Closed(_))) {
                events.extend(driver.next().await);
                most = most.max(driver.backlog(stream).map_or(0, |held| held.unsent));
            }
        })
        .await;
        assert_eq!(events, [SocketEvent::Full, SocketEvent::Closed(Closure::Overflow)], "{origin:?}");
        println!("{origin:?}: held at most {most} bytes, {} answers", driver.machine().taken);
        assert!(most > 64 * KIB && most <= 256 * KIB, "{most} bytes held");
        assert_eq!(driver.backlog(stream), None);
    }
}

#[tokio::test]
async fn a_stream_that_is_read_while_it_is_full_holds_64_kib_of_droppable_bytes() {
    for origin in [Origin::Opened, Origin::Adopted] {
        let (mut driver, stream, _peer) = multiplier(origin, WhenFull::Drop).await;
        let (mut most, mut events) = (0, Vec::new());
        in_time(async {
            while driver.machine().taken < BYTES {
                events.extend(driver.next().await);
                most = most.max(driver.backlog(stream).expect("the stream is open").unsent);
            }
        })
        .await;
        assert_eq!(events, [SocketEvent::Full], "{origin:?}");
        assert!(most > 64 * KIB && most <= 64 * KIB + ANSWER, "{most} bytes held");
        let dropped = driver.counters().stream_full;
        assert!((1..BYTES as u64).contains(&dropped), "{dropped} of {BYTES} answers dropped");
    }
}

/// The end of a stream that opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opener {
    Peer,
    Relay,
}

/// A relay between two peers, and the relay's end of each stream.
struct Relayed {
    relay: Driver<Splice>,
    at_relay: [SocketId; 2],
    peers: [End; 2],
    /// The number of times that a stream of the relay was full.
    full: usize,
    /// The largest number of bytes that the relay held for one peer.
    most: usize,
}

impl Relayed {
    async fn new(openers: [Opener; 2]) -> Self {
        let mut relay = Driver::new(Splice::default()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (_, address) = relay.adopt_listener(listener, Protocol::TcpListen).unwrap();
        let (mut peers, mut streams) = (Vec::new(), Vec::new());
        for opener in openers {
            let mut peer = recorder(Mode::Record);
            let (stream, local, id) = match opener {
                Opener::Peer => {
                    let (stream, local) = peer.opened_towards(Protocol::Tcp, address).await;
                    let (_, SocketEvent::Accepted { socket, remote, .. }) = in_time(relay.next()).await else {
                        panic!("no stream")
                    };
                    assert_eq!(remote, local);
                    (stream, local, socket)
                }
                Opener::Relay => {
                    let (_, server) = peer.opened(Protocol::TcpListen, "127.0.0.1:0").await;
                    relay.with(|splice, cx| {
                        let open = Open::new(cx.next_socket(), Protocol::Tcp, "0.0.0.0:0".parse().unwrap());
                        splice.out.push(Output::Socket(SocketOrder::Open(open.towards(server))));
                    });
                    let (id, SocketEvent::Opened { .. }) = in_time(relay.next()).await else { panic!("not open") };
                    let SocketEvent::Accepted { socket, .. } = peer.socket_event().await else { panic!("no stream") };
                    (socket, server, id)
                }
            };
            peers.push(End::new(peer, stream, address));
            streams.push((id, local));
        }
        relay.with(|splice, _| splice.streams.clone_from(&streams));
        let peers = peers.try_into().unwrap_or_else(|_| panic!("two peers"));
        Self { relay, at_relay: [streams[0].0, streams[1].0], peers, full: 0, most: 0 }
    }

    /// Polls all drivers. A peer sends from `Writable` to `Full`.
    fn poll(&mut self, cx: &mut Context<'_>, total: usize) {
        for peer in &mut self.peers {
            peer.poll(cx);
            if peer.unsent() < 32 * KIB {
                peer.fill(total);
            }
        }
        while let Poll::Ready((_, event)) = self.relay.poll_next(cx) {
            self.full += usize::from(event == SocketEvent::Full);
            for id in self.at_relay {
                self.most = self.most.max(self.relay.backlog(id).expect("the stream is open").unsent);
            }
        }
    }
}

/// First no peer reads, until nothing moves. Then both peers read and send.
#[tokio::test]
async fn a_relay_moves_10_mb_in_both_directions_at_once() {
    const TOTAL: usize = 10_000_000;
    for openers in [[Opener::Peer, Opener::Relay], [Opener::Peer, Opener::Peer]] {
        let mut relayed = Relayed::new(openers).await;
        for peer in &mut relayed.peers {
            peer.order(SocketOrder::Pause(peer.stream));
        }
        let (mut last, mut unchanged) = ([0; 2], 0);
        while unchanged < 2_000 {
            poll_fn(|cx| {
                relayed.poll(cx, TOTAL);
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
            let sent = [0, 1].map(|nth| relayed.peers[nth].sent);
            unchanged = if sent == last { unchanged + 1 } else { 0 };
            last = sent;
        }
        println!("{openers:?}: {last:?} bytes until nothing moves, {} times full", relayed.full);
        assert!(relayed.full > 0, "{openers:?}");
        assert!(last.into_iter().all(|sent| (1..TOTAL).contains(&sent)), "{openers:?}: {last:?} bytes");
        for peer in &mut relayed.peers {
            assert!(peer.unsent() > 64 * KIB, "{openers:?}: a peer waits");
            peer.order(SocketOrder::Resume(peer.stream));
        }
        run(|cx| {
            relayed.poll(cx, TOTAL);
            relayed.peers.iter().all(|peer| peer.read == TOTAL)
        })
        .await;
        println!("{openers:?}: {} times full, at most {} bytes for a peer", relayed.full, relayed.most);
        assert!(relayed.most <= 128 * KIB, "{openers:?}: the relay held {} bytes", relayed.most);
    }
}
