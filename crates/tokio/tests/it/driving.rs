//! Turns, fairness, cancellation, shutdown and notes.

use crate::recorder::{Mode, Recorded, Recorder, RecorderExt as _, in_time, recorder, recorder_with};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Clause, Closure, Cx, Explain, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, Scope, SocketEvent,
    SocketOrder, Trace, Transmit, Verdict,
};
use portolan_tokio::{Driver, DriverConfig};
use std::sync::Mutex;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

#[test]
fn a_driver_is_send() {
    fn is_send<T: Send>() {}
    is_send::<Driver<Recorder>>();
}

#[test]
fn a_driver_cannot_be_created_without_a_runtime() {
    assert!(Driver::new(Recorder::default()).is_err());
}

/// The test drops the future after each poll. Each event is returned once and in order.
#[tokio::test]
async fn a_dropped_next_future_loses_no_event() {
    let mut driver = recorder(Mode::Record);
    let (_, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut events = Vec::new();
    in_time(async {
        for number in 0..200_u8 {
            peer.send_to(&[number], local).await.unwrap();
            while events.len() + 20 < usize::from(number) {
                tokio::select! {
                    biased;
                    event = driver.next() => events.push(event),
                    () = core::future::ready(()) => tokio::task::yield_now().await,
                }
            }
        }
        while events.len() < 200 {
            tokio::select! {
                biased;
                event = driver.next() => events.push(event),
                () = core::future::ready(()) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    for (number, events) in events.iter().enumerate() {
        assert!(matches!(events, Recorded::Datagram { payload, .. } if usize::from(payload[0]) == number));
    }
}

/// A machine that never waits: its outputs have no end.
#[derive(Default)]
struct Flood {
    orders: Outbox<SocketAddr>,
    target: Option<(portolan_machine::SocketId, SocketAddr)>,
    sent: u64,
}

impl Machine for Flood {
    type Command = Never;
    type Error = Never;
    type Event = SocketAddr;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(d) => {
                self.target = None;
                self.orders.push(Output::Event(d.remote));
            }
            Input::Socket(_, SocketEvent::Opened { local }) => self.orders.push(Output::Event(local)),
            Input::Socket(..) | Input::Timeout => return Verdict::NotMine,
        }
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<SocketAddr> {
        if let Some(order) = self.orders.pop() {
            return order;
        }
        let Some((socket, remote)) = self.target else {
            return Output::Wait(None);
        };
        self.sent += 1;
        Output::Transmit(Transmit::new(socket, remote, b"flood"[..].into()))
    }
}

#[tokio::test]
async fn a_machine_that_never_waits_still_gets_inputs() {
    let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut driver = Driver::new(Flood::default()).unwrap();
    let id = driver.with(|flood, cx| {
        let open = Open::new(cx.next_socket(), Protocol::Udp, ([127, 0, 0, 1], 0).into());
        let id = open.id;
        flood.orders.push(Output::Socket(SocketOrder::Open(open)));
        id
    });
    let local = in_time(driver.next()).await;
    let remote = sink.local_addr().unwrap();
    driver.with(|flood, _| flood.target = Some((id, remote)));
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // The task of the peer runs, and the machine gets its datagram.
    let sender = in_time(async {
        tokio::select! {
            event = driver.next() => event,
            never = async {
                for _ in 0..50 { tokio::task::yield_now().await; }
                peer.send_to(b"stop", local).await.unwrap();
                core::future::pending().await
            } => never,
        }
    })
    .await;
    assert_eq!(sender, peer.local_addr().unwrap());
    assert!(driver.machine().sent > 1_024, "the machine did not wait");
}

/// A machine that always has another event.
struct EndlessEvents(u64);

impl Machine for EndlessEvents {
    type Command = Never;
    type Error = Never;
    type Event = u64;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, _: Input<'_>) -> Verdict {
        Verdict::NotMine
    }

    fn poll(&mut self) -> Output<u64> {
        self.0 += 1;
        Output::Event(self.0)
    }
}

#[tokio::test]
async fn an_owner_that_only_takes_events_lets_other_tasks_run() {
    let mut driver = Driver::new(EndlessEvents(0)).unwrap();
    let other = tokio::spawn(async {});
    for expected in 1..=10_000 {
        assert_eq!(driver.next().await, expected, "none is lost");
    }
    assert!(other.is_finished());
}

#[tokio::test]
async fn a_flooded_socket_does_not_starve_another_one() {
    let mut driver = recorder(Mode::Record);
    let (busy, busy_local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let (idle, idle_local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut before = 0;
    for _ in 0..100 {
        peer.send_to(b"noise", busy_local).await.unwrap();
    }
    peer.send_to(b"word", idle_local).await.unwrap();
    in_time(async {
        loop {
            // For each received datagram another one is sent.
            peer.send_to(b"noise", busy_local).await.unwrap();
            match driver.next().await {
                Recorded::Datagram { socket, .. } if socket == idle => break,
                Recorded::Datagram { socket, .. } => {
                    assert_eq!(socket, busy);
                    before += 1;
                }
                other => panic!("got {other:?}"),
            }
        }
    })
    .await;
    assert!(before <= 300, "{before} datagrams of the busy socket came first");
}

#[tokio::test]
async fn shutdown_frees_every_port_and_reports_closed_sockets_to_the_machine() {
    let mut driver = recorder(Mode::Record);
    let (_, udp) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let (listener, tcp) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let peer_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = peer_listener.local_addr().unwrap();
    let (stream, _) = driver.opened_towards(Protocol::Tcp, remote).await;
    driver.transmit(stream, remote, b"last bytes");
    let (mut peer, _) = peer_listener.accept().await.unwrap();
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (mut machine, read) = in_time(async {
        tokio::join!(driver.shutdown(), async {
            let mut read = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut peer, &mut read).await.unwrap();
            drop(peer);
            read
        })
    })
    .await;
    assert_eq!(read, b"last bytes");
    let ended = |id| Output::Event(Recorded::Socket(id, SocketEvent::Closed(Closure::DriverEnded)));
    assert_eq!([machine.poll(), machine.poll(), machine.poll()], [ended(listener), ended(stream), Output::Wait(None)]);
    assert!(std::net::UdpSocket::bind(udp).is_ok());
    assert!(std::net::TcpListener::bind(tcp).is_ok());
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), alive, "no task is left");
}

#[tokio::test]
async fn a_dropped_driver_frees_its_ports_and_tasks() {
    let mut driver = recorder(Mode::Record);
    let (_, udp) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let (_, tcp) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    // This stream is still being connected when the driver is dropped.
    driver.order(Protocol::Tcp, "127.0.0.1:0", |open| open.towards(tcp));
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0, "nothing is spawned");
    drop(driver);
    assert!(std::net::UdpSocket::bind(udp).is_ok());
    assert!(TcpStream::connect(tcp).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded_by_the_linger_time() {
    let mut driver = recorder_with(Mode::Record, DriverConfig::default().with_linger(Duration::from_secs(3)));
    let peer_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = peer_listener.local_addr().unwrap();
    let (_, _) = driver.opened_towards(Protocol::Tcp, remote).await;
    let (_silent, _) = peer_listener.accept().await.unwrap();
    let start = tokio::time::Instant::now();
    driver.shutdown().await;
    assert!(start.elapsed() <= Duration::from_millis(3_010), "the peer never sends a FIN");
}

#[tokio::test]
async fn run_until_drops_other_events() {
    let mut driver = recorder(Mode::Record);
    let first = driver.order(Protocol::Udp, "127.0.0.1:0", |open| open);
    let second = driver.order(Protocol::Udp, "127.0.0.1:0", |open| open);
    let found = driver.run_until(|event| match event {
        Recorded::Socket(id, SocketEvent::Opened { local }) if id != first => Some((id, local)),
        _ => None,
    });
    assert_eq!(in_time(found).await.0, second);
}

/// A `tracing` subscriber that records each event as one line: its target, its level and its fields.
#[derive(Default)]
struct RecordingSubscriber(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for RecordingSubscriber {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn core::fmt::Debug) {
                self.0 += &format!(" {}={value:?}", field.name());
            }
        }
        let mut fields = Fields(format!("{} {}", event.metadata().target(), event.metadata().level()));
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[derive(Debug)]
struct Stale;

impl core::fmt::Display for Stale {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the nonce is stale")
    }
}

impl Explain for Stale {
    fn code(&self) -> &'static str {
        "stale-nonce"
    }

    fn rfc(&self) -> Option<Clause> {
        Some(Clause::new(8489, "9.2.5"))
    }
}

#[tokio::test(start_paused = true)]
async fn notes_become_tracing_events() {
    let subscriber = RecordingSubscriber::default();
    let lines = Arc::clone(&subscriber.0);
    let mut driver = recorder(Mode::Record);
    tokio::time::advance(Duration::from_millis(1_250)).await;
    tracing::subscriber::with_default(subscriber, || {
        driver.with(|_, cx| {
            cx.note(|| Stale);
            cx.within("turn", 2, |cx| cx.note(|| Stale));
        });
    });
    let lines = lines.lock().unwrap();
    assert_eq!(
        *lines,
        [
            "portolan DEBUG message=the nonce is stale at=1.250s code=\"stale-nonce\" rfc=RFC 8489 §9.2.5",
            "portolan DEBUG message=the nonce is stale at=1.250s scope=turn 2 code=\"stale-nonce\" rfc=RFC 8489 §9.2.5",
        ]
    );
}

/// Records each note as one line.
#[derive(Clone, Default)]
pub(crate) struct Lines(pub(crate) Arc<Mutex<Vec<String>>>);

impl Trace for Lines {
    fn note(&mut self, _: Instant, scope: &Scope<'_>, note: &dyn Explain) {
        self.0.lock().unwrap().push(format!("{scope}: {note}"));
    }
}

#[tokio::test]
async fn the_driver_makes_a_note_when_it_cannot_send() {
    let lines = Lines::default();
    let mut driver = recorder_with(Mode::Record, DriverConfig::default().with_trace(lines.clone()));
    driver.transmit(portolan_machine::SocketId(77), "127.0.0.1:9".parse().unwrap(), b"nowhere");
    assert_eq!(*lines.0.lock().unwrap(), ["driver 0: cannot send on s77: the socket is not open"]);
}
