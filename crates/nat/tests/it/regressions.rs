//! Faults that fuzzing found, each by the smallest run that showed it.

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

/// A machine, its rng and socket numbers, and what it asked for last.
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

    /// Every socket is opened at the origin; every question is answered at `at`.
    fn answer_all(&mut self, at: Instant) -> usize {
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

/// Time leapt between a question and its answer: three such round trips were more than a duration holds.
#[test]
fn discovery_takes_a_round_trip_of_ages() {
    let server = StunServer { name: SERVER.into(), addresses: vec![SERVER.parse().unwrap()] };
    let mut run = Run::new(Discovery::new(DiscoveryConfig::new(vec![server])).unwrap());
    run.start();
    assert!(run.answer_all(LAST) > 0);
}
