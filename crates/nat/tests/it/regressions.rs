//! Regression tests for defects that fuzzing found, with the smallest run that shows each one.

use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Output, SocketEvent, SocketId, SocketIds, SocketOrder, Transmit,
};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_sim::entropy::CountingRng;
use portolan_stun::{Attribute, Class, Message, Writer};

const SERVER: &str = "192.0.2.1:3478";
const LAST: Instant = Instant::from_origin(Duration::MAX);

/// A machine, its RNG, its socket numbers and its last outputs.
struct Run {
    machine: Discovery,
    rng: CountingRng,
    ids: SocketIds,
    opened: Vec<(SocketId, SocketAddr)>,
    sent: Vec<Transmit>,
}

impl Run {
    fn new(machine: Discovery) -> Self {
        Self { machine, rng: CountingRng::default(), ids: SocketIds::new(), opened: Vec::new(), sent: Vec::new() }
    }

    fn start(&mut self) {
        let mut cx = Cx::new(Instant::ORIGIN, &mut self.rng, &mut self.ids);
        self.machine.command(&mut cx, MeasurementCommand::Start).unwrap();
        self.drain();
    }

    fn input(&mut self, at: Instant, input: Input<'_>) {
        let _verdict = self.machine.handle(&mut Cx::new(at, &mut self.rng, &mut self.ids), input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.machine.poll() {
                Output::Wait(_) => break,
                Output::Socket(SocketOrder::Open(open)) => self.opened.push((open.id, open.local)),
                Output::Transmit(sent) => self.sent.push(sent),
                Output::Socket(_) | Output::Event(_) => {}
            }
        }
    }

    /// Opens every socket at the origin and responds to every request at `at`. Returns the number of requests.
    fn respond_to_all(&mut self, at: Instant) -> usize {
        for (socket, local) in core::mem::take(&mut self.opened) {
            let local = SocketAddr::new([10, 0, 0, 2].into(), local.port().max(50_000));
            self.input(Instant::ORIGIN, Input::Socket(socket, SocketEvent::Opened { local }));
        }
        let sent = core::mem::take(&mut self.sent);
        for Transmit { socket, remote, payload, .. } in &sent {
            let request = Message::decode(payload).unwrap();
            let mut buffer = [0; 64];
            let (method, id) = (request.method(), request.transaction_id());
            let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, method, id).unwrap();
            writer.add(&Attribute::XorMappedAddress("203.0.113.9:40000".parse().unwrap())).unwrap();
            let local = "10.0.0.2:50000".parse().unwrap();
            let payload = writer.finish();
            self.input(at, Input::Datagram(Datagram::new(*socket, local, *remote, payload)));
        }
        sent.len()
    }
}

/// The clock jumped between a request and its response. Three such round trips overflowed a `Duration`.
#[test]
fn a_discovery_handles_a_round_trip_of_the_maximum_duration() {
    let server = StunServer { name: SERVER.into(), addresses: vec![SERVER.parse().unwrap()] };
    let mut run = Run::new(Discovery::new(DiscoveryConfig::new(vec![server])).unwrap());
    run.start();
    assert!(run.respond_to_all(LAST) > 0);
}

/// A TCP connection opened before the mapping socket. The requests that follow a connection need the mapping socket.
#[test]
fn a_discovery_sends_nothing_on_a_mapping_socket_that_is_not_open() {
    let servers = ["192.0.2.1:3478", "192.0.2.2:3478"];
    let server = |name: &&str| StunServer { name: (*name).into(), addresses: vec![name.parse().unwrap()] };
    let mut run = Run::new(Discovery::new(DiscoveryConfig::new(servers.iter().map(server).collect())).unwrap());
    run.start();
    let udp: Vec<SocketId> = run.opened.drain(..).map(|(socket, _)| socket).collect();
    run.input(Instant::from_millis(1_000), Input::Timeout);
    assert!(!run.opened.is_empty(), "the TCP connections");
    for (socket, _) in core::mem::take(&mut run.opened) {
        let local = "10.0.0.2:40000".parse().unwrap();
        run.input(Instant::from_millis(1_100), Input::Socket(socket, SocketEvent::Opened { local }));
    }
    run.input(Instant::from_millis(2_000), Input::Timeout);
    assert!(run.sent.iter().all(|sent| !udp.contains(&sent.socket)), "{:?}", run.sent);
}
