//! A small simulation for lifetime measurements: one host, one NAT and one server, in virtual time.

use alloc::collections::{BTreeMap, BTreeSet};
use bytes::Bytes;
use core::cell::RefCell;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Entropy, Explain, Input, Instant, Machine, Output, Refusal, Scope, SocketEvent, SocketId, SocketIds,
    SocketOrder, Trace, Transmit,
};
use portolan_nat::lifetime::{Lifetime, LifetimeConfig, LifetimeEvent, LifetimeReport, MeasurementCommand};
use portolan_nat::translator::{Translation, Translator, TranslatorConfig};
use portolan_stun::{Attribute, Class, ErrorCode, Message, Method, Writer};

pub(super) const SERVER: &str = "192.0.2.1:3478";
pub(super) const HOST: &str = "10.0.0.2";

/// SplitMix64.
#[derive(Clone)]
pub(super) struct TestRng(u64);

impl TestRng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, p: f64) -> bool {
        ((self.next() >> 11) as f64 / (1_u64 << 53) as f64) < p
    }
}

impl Entropy for TestRng {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.next() as u8);
    }
}

/// How the server handles a request, in particular RESPONSE-PORT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Correct,
    Refuses,
    Ignores,
    DropsResponsePort,
    Silent,
    Unreachable,
    /// Correct, but silent between these seconds.
    Away(u64, u64),
    Error(u16),
    NoAddress,
}

#[derive(Clone)]
pub(super) struct Lab {
    pub(super) nat: Option<TranslatorConfig>,
    pub(super) externals: Vec<IpAddr>,
    pub(super) servers: BTreeMap<SocketAddr, Server>,
    pub(super) loss: f64,
    pub(super) rtt: Duration,
    pub(super) seed: u64,
    /// Refuses every n-th socket, with this reason.
    pub(super) refuse_every: Option<(u64, Refusal)>,
    pub(super) stop_at: Option<Instant>,
    pub(super) config: LifetimeConfig,
}

/// The outputs and the statistics of a run.
pub(super) struct Run {
    pub(super) report: LifetimeReport,
    pub(super) events: Vec<(Instant, LifetimeEvent)>,
    pub(super) ended: Instant,
    /// The first send of each transaction.
    pub(super) begun: Vec<Instant>,
    pub(super) sent: usize,
    pub(super) most_sockets: usize,
    pub(super) ports: BTreeSet<u16>,
    pub(super) notes: Vec<String>,
}

enum LabEvent {
    Order(SocketOrder),
    AtServer { server: SocketAddr, source: SocketAddr, payload: Bytes },
    AtNat { server: SocketAddr, external: SocketAddr, payload: Bytes },
    AtHost { server: SocketAddr, internal: SocketAddr, payload: Bytes },
    Unreachable { socket: SocketId, remote: SocketAddr },
}

#[derive(Default)]
struct Notes(RefCell<Vec<String>>);

impl Trace for &Notes {
    fn note(&mut self, at: Instant, _: &Scope<'_>, note: &dyn Explain) {
        let clause = note.rfc().map_or(String::new(), |clause| format!(" [{clause}]"));
        self.0.borrow_mut().push(format!("{at} {note}{clause}"));
    }
}

impl Lab {
    pub(super) fn new(nat: TranslatorConfig) -> Self {
        let server: SocketAddr = SERVER.parse().unwrap();
        Self {
            nat: Some(nat),
            externals: vec!["203.0.113.9".parse().unwrap()],
            servers: BTreeMap::from([(server, Server::Correct)]),
            loss: 0.0,
            rtt: Duration::from_millis(50),
            seed: 0,
            refuse_every: None,
            stop_at: None,
            config: LifetimeConfig::new(vec![server]),
        }
    }

    pub(super) fn server(mut self, kind: Server) -> Self {
        self.servers.insert(SERVER.parse().unwrap(), kind);
        self
    }

    pub(super) fn loss(mut self, loss: f64) -> Self {
        self.loss = loss;
        self
    }

    pub(super) fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(super) fn run(&self) -> Run {
        Simulation::new(self).run()
    }
}

struct Simulation<'a> {
    lab: &'a Lab,
    nat: Option<Translator>,
    rng: TestRng,
    now: Instant,
    queue: BTreeMap<(Instant, u64), LabEvent>,
    serial: u64,
    orders: u64,
    sockets: BTreeMap<SocketId, SocketAddr>,
    transactions: BTreeSet<[u8; 12]>,
    run: Run,
}

impl<'a> Simulation<'a> {
    fn new(lab: &'a Lab) -> Self {
        let run = Run {
            report: Lifetime::new(lab.config.clone()).map(placeholder_report).unwrap(),
            events: Vec::new(),
            ended: Instant::ORIGIN,
            begun: Vec::new(),
            sent: 0,
            most_sockets: 0,
            ports: BTreeSet::new(),
            notes: Vec::new(),
        };
        Self {
            lab,
            nat: lab.nat.map(|config| Translator::new(config, &lab.externals, lab.seed)),
            rng: TestRng(lab.seed.wrapping_mul(2).wrapping_add(1)),
            now: Instant::from_millis(1000),
            queue: BTreeMap::new(),
            serial: 0,
            orders: 0,
            sockets: BTreeMap::new(),
            transactions: BTreeSet::new(),
            run,
        }
    }

    fn run(mut self) -> Run {
        let (mut machine, mut ids) = (Lifetime::new(self.lab.config.clone()).unwrap(), SocketIds::new());
        let (notes, mut rng) = (Notes::default(), TestRng(self.lab.seed));
        let mut trace = &notes;
        machine
            .command(&mut Cx::new(self.now, &mut rng, &mut ids).with_trace(&mut trace), MeasurementCommand::Start)
            .unwrap();
        let started = self.now;
        let mut timeout_handled = false;
        loop {
            let wait = self.drain(&mut machine);
            if let Some((_, LifetimeEvent::Report(report))) = self.run.events.last() {
                self.run.report = (**report).clone();
                break;
            }
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let due =
                [wait, next, self.lab.stop_at].into_iter().flatten().min().expect("a deadline or a packet is pending");
            assert!(
                !timeout_handled || wait.is_none_or(|wait| wait > self.now),
                "the next deadline is in the future: {wait:?}"
            );
            self.now = due.max(self.now);
            assert!(self.now - started < Duration::from_secs(3600), "the measurement ends within an hour");
            let mut cx = Cx::new(self.now, &mut rng, &mut ids).with_trace(&mut trace);
            timeout_handled = false;
            if self.lab.stop_at == Some(due) {
                machine.stop(&mut cx).unwrap();
            } else if next == Some(due) {
                let (_, lab_event) = self.queue.pop_first().unwrap();
                self.handle_event(&mut machine, &mut cx, lab_event);
            } else {
                let _verdict = machine.handle(&mut cx, Input::Timeout);
                timeout_handled = true;
            }
        }
        assert_eq!(machine.poll(), Output::Wait(None), "nothing follows the report");
        assert!(self.sockets.is_empty(), "every socket is closed at the end: {:?}", self.sockets);
        self.run.ended = self.now - (started - Instant::ORIGIN);
        self.run.notes = notes.0.into_inner();
        self.run
    }

    fn drain(&mut self, machine: &mut Lifetime) -> Option<Instant> {
        loop {
            match machine.poll() {
                Output::Transmit(transmit) => self.transmit(transmit),
                Output::Socket(SocketOrder::Close(id)) => {
                    let is_open = |lab_event: &LabEvent| matches!(lab_event, LabEvent::Order(SocketOrder::Open(open)) if open.id == id);
                    let ordered = self.queue.iter().find(|(_, lab_event)| is_open(lab_event)).map(|(at, _)| *at);
                    let ordered = ordered.and_then(|at| self.queue.remove(&at)).is_some();
                    let open = self.sockets.remove(&id).is_some();
                    assert!(open || ordered, "{id} is closed once, and was open or ordered");
                }
                Output::Socket(SocketOrder::Pause(_) | SocketOrder::Resume(_)) => unreachable!("there are no streams"),
                Output::Socket(order @ SocketOrder::Open(_)) => self.after(Duration::ZERO, LabEvent::Order(order)),
                Output::Event(event) => self.run.events.push((self.now, event)),
                Output::Wait(wait) => return wait.map(|wait| wait.at),
            }
        }
    }

    fn after(&mut self, delay: Duration, lab_event: LabEvent) {
        self.serial += 1;
        self.queue.insert((self.now + delay, self.serial), lab_event);
    }

    fn transmit(&mut self, transmit: Transmit) {
        let Transmit { socket, remote, payload, .. } = transmit;
        let local = self.sockets[&socket];
        self.run.sent += 1;
        if self.transactions.insert(payload[8..20].try_into().unwrap()) {
            self.run.begun.push(self.now);
        }
        if self.lab.servers.get(&remote) == Some(&Server::Unreachable) {
            return self.after(Duration::ZERO, LabEvent::Unreachable { socket, remote });
        }
        let source = match &mut self.nat {
            None => local,
            Some(nat) => match nat.outbound(self.now, local, remote) {
                Ok(Translation::Out { source, .. }) => source,
                Ok(Translation::Hairpin { .. }) => unreachable!("servers are outside"),
                Err(_) => return,
            },
        };
        if !self.rng.chance(self.lab.loss) {
            self.after(self.lab.rtt / 2, LabEvent::AtServer { server: remote, source, payload });
        }
    }

    fn handle_event(&mut self, machine: &mut Lifetime, cx: &mut Cx<'_>, lab_event: LabEvent) {
        let input = match lab_event {
            LabEvent::Order(SocketOrder::Close(_) | SocketOrder::Pause(_) | SocketOrder::Resume(_)) => return,
            LabEvent::Order(SocketOrder::Open(open)) => {
                self.orders += 1;
                let local = SocketAddr::new(HOST.parse().unwrap(), open.local.port());
                let event = match self.lab.refuse_every {
                    Some((every, why)) if self.orders.is_multiple_of(every) => SocketEvent::Refused(why),
                    _ => {
                        assert!(self.run.ports.insert(local.port()), "no port is used twice");
                        self.sockets.insert(open.id, local);
                        self.run.most_sockets = self.run.most_sockets.max(self.sockets.len());
                        SocketEvent::Opened { local }
                    }
                };
                let _verdict = machine.handle(cx, Input::Socket(open.id, event));
                return;
            }
            LabEvent::AtServer { server, source, payload } => {
                if let Some((external, payload)) = self.respond(server, source, &payload)
                    && !self.rng.chance(self.lab.loss)
                {
                    self.after(self.lab.rtt / 2, LabEvent::AtNat { server, external, payload });
                }
                return;
            }
            LabEvent::AtNat { server, external, payload } => {
                let internal = match &mut self.nat {
                    None => Some(external),
                    Some(nat) => nat.inbound(self.now, server, external).ok(),
                };
                if let Some(internal) = internal {
                    self.after(Duration::ZERO, LabEvent::AtHost { server, internal, payload });
                }
                return;
            }
            LabEvent::AtHost { server, internal, payload } => (server, internal, payload),
            LabEvent::Unreachable { socket, remote } => {
                let why = portolan_machine::Unreachability::Network;
                let _verdict = machine.handle(cx, Input::Socket(socket, SocketEvent::Unreachable { remote, why }));
                return;
            }
        };
        let (remote, local, payload) = input;
        let Some((&socket, _)) = self.sockets.iter().find(|(_, other)| **other == local) else { return };
        let _verdict = machine.handle(cx, Input::Datagram(Datagram::new(socket, local, remote, &payload)));
    }

    fn respond(&self, server: SocketAddr, source: SocketAddr, request: &[u8]) -> Option<(SocketAddr, Bytes)> {
        let request = Message::decode(request).unwrap();
        let port = request.response_port();
        let kind = self.lab.servers.get(&server).copied()?;
        let second = self.now.since_origin().as_secs();
        let error = match kind {
            Server::Silent | Server::Unreachable => return None,
            Server::Away(from, to) if (from..to).contains(&second) => return None,
            Server::DropsResponsePort if port.is_some() => return None,
            Server::Refuses if port.is_some() => Some(420),
            Server::Error(code) => Some(code),
            Server::Correct
            | Server::Refuses
            | Server::Ignores
            | Server::DropsResponsePort
            | Server::Away(..)
            | Server::NoAddress => None,
        };
        let to = match port.filter(|_| kind != Server::Ignores && error.is_none()) {
            Some(port) => SocketAddr::new(source.ip(), port),
            None => source,
        };
        let mut buffer = [0; 128];
        let class = if error.is_some() { Class::ErrorResponse } else { Class::SuccessResponse };
        let mut writer = Writer::new(&mut buffer, class, Method::BINDING, request.transaction_id()).unwrap();
        match error {
            Some(code) => writer.add(&Attribute::ErrorCode(ErrorCode::new(code, "no".into()).unwrap())).unwrap(),
            None if kind == Server::NoAddress => {}
            None => writer.add(&Attribute::XorMappedAddress(source)).unwrap(),
        }
        Some((to, Bytes::copy_from_slice(writer.finish())))
    }
}

/// Returns the report of a measurement that was stopped at its start, as a placeholder.
fn placeholder_report(mut machine: Lifetime) -> LifetimeReport {
    let (mut rng, mut ids) = (TestRng(0), SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    machine.start(&mut cx).unwrap();
    machine.stop(&mut cx).unwrap();
    loop {
        if let Output::Event(LifetimeEvent::Report(report)) = machine.poll() {
            return *report;
        }
    }
}
