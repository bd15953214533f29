//! Two connections behind gateways, a server of STUN and TURN, and signalling between the connections.

use crate::server::{Allocates, Gate};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_connect::{ConnectConfig, ConnectEvent, Connection};
use portolan_ice::gather::Interface;
use portolan_ice::{ComponentId, GatherConfig, Path};
use portolan_machine::{Either, Instant, Protocol};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Barrier, Gateway, HostId, Link, Net, SegmentId, Topology};
use portolan_stun_agent::{Authenticator, Credential, Users};
use portolan_turn::{ClientConfig, ServerCommand, ServerConfig};

pub(crate) const ONE: ComponentId = ComponentId::new(0, 1);
/// The address of the server, IPv4 and IPv6.
pub(crate) const SERVERS: [&str; 2] = ["50.0.0.1:3478", "[2600:50::1]:3478"];

pub(crate) type Node = Either<Connection, Gate>;

/// The left connection is controlling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// What a pair of connections uses.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) has_relay: bool,
    pub(crate) relay_protocol: Protocol,
    pub(crate) relay_only: bool,
    /// Whether all addresses are IPv6. The barriers are those of IPv4.
    pub(crate) is_ipv6: bool,
    pub(crate) signalling: Duration,
    pub(crate) config: ConnectConfig,
    /// The servers that are asked before the good one.
    pub(crate) stun: Vec<SocketAddr>,
    pub(crate) turn: Vec<ClientConfig>,
    /// The good TURN server, if it is not the IPv4 address alone.
    pub(crate) good: Option<ClientConfig>,
    /// Whether the hosts have IPv6 addresses too.
    pub(crate) is_dual: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            has_relay: true,
            relay_protocol: Protocol::Udp,
            relay_only: false,
            is_ipv6: false,
            signalling: Duration::ZERO,
            config: ConnectConfig::new(),
            stun: vec![],
            turn: vec![],
            good: None,
            is_dual: false,
        }
    }
}

pub(crate) struct Pair {
    pub(crate) net: Net<Node>,
    pub(crate) server: HostId,
    server_config: ServerConfig,
    hosts: [HostId; 2],
    pub(crate) interfaces: [Vec<Interface>; 2],
    /// The segments of the hosts.
    pub(crate) inside: [SegmentId; 2],
    pub(crate) events: Vec<(Instant, Side, ConnectEvent)>,
    signalling: Duration,
    /// The longest additional delay of a message, and a random number. With a delay messages overtake each other.
    pub(crate) jitter: Duration,
    random: u64,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Setup {
    fn server(&self) -> SocketAddr {
        SERVERS[usize::from(self.is_ipv6)].parse().unwrap()
    }
}

/// The configuration of the server: on this address, and on the IPv6 address too.
fn server(address: SocketAddr, is_dual: bool) -> ServerConfig {
    let mut users = Users::long_term("example.org");
    users.add("ann", "secret of ann").unwrap();
    let credentials = Authenticator::long_term("example.org", &[7; 32], users).unwrap();
    let config = ServerConfig::new(credentials.nonce_lifetime(Duration::from_secs(1_000_000)));
    let config = config.listen_udp(address).listen(Protocol::TcpListen, address).relay(address.ip()).rate(None);
    if is_dual { config.listen_udp(SERVERS[1].parse().unwrap()) } else { config }
}

impl Pair {
    pub(crate) fn new(seed: u64, left: &Topology, right: &Topology, setup: &Setup) -> Self {
        let mut net = Net::new(seed);
        let internet = net.internet();
        let server_config = server(setup.server(), setup.is_dual);
        let machine = Either::Second(Gate::new(&server_config));
        let mut addresses = vec![setup.server().ip()];
        addresses.extend(setup.is_dual.then(|| SERVERS[1].parse::<SocketAddr>().unwrap().ip()));
        let server = net.add_host(internet, "server", &addresses, &Link::PERFECT, machine);
        assert!(net.command(server, Either::Second(ServerCommand::Start)).is_ok());
        let sides = [(left, 1), (right, 2)].map(|(topology, number)| place(&mut net, topology, number, setup));
        let [(left, left_interfaces, left_inside), (right, right_interfaces, right_inside)] = sides;
        let (interfaces, inside) = ([left_interfaces, right_interfaces], [left_inside, right_inside]);
        let signalling = setup.signalling;
        Self {
            net,
            server,
            server_config,
            hosts: [left, right],
            interfaces,
            inside,
            events: Vec::new(),
            signalling,
            jitter: Duration::ZERO,
            random: seed,
        }
    }

    pub(crate) const fn host(&self, side: Side) -> HostId {
        match side {
            Side::Left => self.hosts[0],
            Side::Right => self.hosts[1],
        }
    }

    pub(crate) fn connection(&self, side: Side) -> &Connection {
        self.net.machine(self.host(side)).unwrap().as_first().unwrap()
    }

    pub(crate) fn with<R>(
        &mut self,
        side: Side,
        call: impl FnOnce(&mut Connection, &mut portolan_machine::Cx<'_>) -> R,
    ) -> R {
        self.net.with(self.host(side), |node, cx| call(node.as_first_mut().unwrap(), cx)).unwrap()
    }

    /// Starts both connections, exchanges the credentials, and gathers. Candidates are trickled.
    pub(crate) fn start(&mut self) {
        Side::BOTH.into_iter().for_each(|side| self.start_side(side));
        Side::BOTH.into_iter().for_each(|side| self.describe(side));
        Side::BOTH.into_iter().for_each(|side| self.gather(side));
    }

    /// Starts the left connection, and after this time the right one: the user answers late.
    pub(crate) fn start_with_answer_after(&mut self, delay: Duration) {
        self.start_side(Side::Left);
        self.gather(Side::Left);
        self.run_for(delay);
        self.start_side(Side::Right);
        Side::BOTH.into_iter().for_each(|side| self.describe(side));
        self.gather(Side::Right);
    }

    fn start_side(&mut self, side: Side) {
        self.with(side, |connection, cx| connection.start(cx, side == Side::Left)).unwrap();
    }

    fn gather(&mut self, side: Side) {
        let interfaces = self.interfaces[side as usize].clone();
        self.with(side, |connection, cx| connection.set_interfaces(cx, interfaces)).unwrap();
    }

    /// Restarts a side, and signals its description.
    pub(crate) fn restart(&mut self, side: Side) {
        self.with(side, Connection::restart).unwrap();
        self.describe(side);
    }

    /// The number of allocations at the server.
    pub(crate) fn allocations(&self) -> usize {
        self.net.machine(self.server).unwrap().as_second().unwrap().server.allocations().count()
    }

    /// Signals the current description of a side.
    fn describe(&mut self, from: Side) {
        let description = self.connection(from).agent().description(0).unwrap();
        let delay = self.delay();
        self.net.after(self.host(from.other()), delay, move |node, cx| {
            node.as_first_mut().unwrap().set_remote(cx, 0, description).unwrap();
        });
    }

    /// The delay of the next message.
    fn delay(&mut self) -> Duration {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.signalling + self.jitter.mul_f64((self.random >> 33) as f64 / f64::from(1_u32 << 31))
    }

    /// Adds a server of TURN and STUN that behaves badly.
    pub(crate) fn add_server(&mut self, address: SocketAddr, allocates: Allocates) {
        let mut users = Users::long_term("example.org");
        users.add("ann", "secret of ann").unwrap();
        let credentials = Authenticator::long_term("example.org", &[7; 32], users).unwrap();
        let mut gate = Gate::new(&ServerConfig::new(credentials).listen_udp(address).relay(address.ip()).rate(None));
        gate.allocates = allocates;
        let internet = self.net.internet();
        let name = format!("server {address}");
        let host = self.net.add_host(internet, &name, &[address.ip()], &Link::PERFECT, Either::Second(gate));
        assert!(self.net.command(host, Either::Second(ServerCommand::Start)).is_ok());
    }

    pub(crate) fn with_gate<R>(&mut self, call: impl FnOnce(&mut Gate) -> R) -> R {
        self.net.with(self.server, |node, _| call(node.as_second_mut().unwrap())).unwrap()
    }

    /// Replaces the server by a new one, which has no allocation.
    pub(crate) fn restart_server(&mut self) {
        let _stopped = self.net.command(self.server, Either::Second(ServerCommand::Stop));
        let _old = self.net.replace(self.server, Either::Second(Gate::new(&self.server_config)));
        assert!(self.net.command(self.server, Either::Second(ServerCommand::Start)).is_ok());
    }

    /// Changes the addresses of a host, and tells its connection.
    pub(crate) fn readdress(&mut self, side: Side, is_kept: impl Fn(IpAddr) -> bool) {
        let kept: Vec<Interface> =
            self.interfaces[side as usize].iter().filter(|interface| is_kept(interface.address)).cloned().collect();
        let addresses: Vec<IpAddr> = kept.iter().map(|interface| interface.address).collect();
        self.net.set_addresses(self.host(side), 0, &addresses);
        self.with(side, |connection, cx| connection.set_interfaces(cx, kept)).unwrap();
    }

    /// Runs for this time, and no longer.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.net.now().since_origin() + time;
        self.net.after(self.host(Side::Left), time, |_, _| {});
        self.run_until(end, |pair| pair.net.now().since_origin() >= end);
    }

    /// Runs until `end`, and carries the signalling.
    pub(crate) fn run_until(&mut self, end: Duration, mut is_done: impl FnMut(&Self) -> bool) {
        let end = Instant::from_origin(end);
        loop {
            self.carry();
            if is_done(self) || self.net.step().is_none_or(|at| at > end) {
                return self.carry();
            }
        }
    }

    fn carry(&mut self) {
        for record in self.net.take_events() {
            let Either::First(event) = record.event else { continue };
            let side = if record.host == self.hosts[0] { Side::Left } else { Side::Right };
            let other = self.host(side.other());
            match &event {
                ConnectEvent::LocalCandidate { stream, candidate } => {
                    let (stream, candidate) = (*stream, candidate.clone());
                    let delay = self.delay();
                    self.net.after(other, delay, move |node, cx| {
                        // A candidate may overtake the description after a restart.
                        let _added = node.as_first_mut().unwrap().add_remote(cx, stream, &candidate);
                    });
                }
                ConnectEvent::EndOfCandidates(_) => {
                    let delay = self.delay();
                    self.net.after(other, delay, move |node, cx| {
                        let _ended = node.as_first_mut().unwrap().end_remote(cx, 0);
                    });
                }
                ConnectEvent::Restarted(_) => self.describe(side),
                _ => {}
            }
            self.events.push((record.at, side, event));
        }
    }

    pub(crate) fn selected(&self, side: Side) -> Option<Path> {
        self.connection(side).agent().selected(ONE)
    }

    pub(crate) fn is_selected(&self) -> bool {
        Side::BOTH.into_iter().all(|side| self.selected(side).is_some())
    }

    /// Whether both sides have selected mirrored pairs.
    pub(crate) fn agrees(&self) -> bool {
        let (Some(left), Some(right)) = (self.selected(Side::Left), self.selected(Side::Right)) else { return false };
        left.local == right.remote && right.local == left.remote
    }

    pub(crate) fn millis(&self) -> u128 {
        self.net.now().since_origin().as_millis()
    }

    pub(crate) fn send(&mut self, side: Side, data: &'static [u8]) {
        self.with(side, |connection, cx| connection.send(cx, ONE, data.into())).unwrap();
    }

    /// The data that a side has received.
    pub(crate) fn data(&self, side: Side) -> Vec<Vec<u8>> {
        let events = self.events.iter().filter(|(_, known, _)| *known == side);
        events
            .filter_map(|(.., event)| match event {
                ConnectEvent::Data { payload, .. } => Some(payload.to_vec()),
                _ => None,
            })
            .collect()
    }
}

/// Places a connection behind the barriers of a topology.
fn place(net: &mut Net<Node>, topology: &Topology, number: u8, setup: &Setup) -> (HostId, Vec<Interface>, SegmentId) {
    let address = |ipv4: [u8; 4], ipv6: [u16; 4]| {
        let [network, site, a, b] = ipv6;
        if setup.is_ipv6 { IpAddr::from([network, site, 0, 0, 0, 0, a, b]) } else { IpAddr::from(ipv4) }
    };
    let side = u16::from(number);
    let mut outside: SegmentId = net.internet();
    for (depth, barrier) in (0_u8..).zip(topology.ipv4.iter().rev()) {
        let own = if depth == 0 {
            address([85, 0, 0, number], [0x2600, 0x85, 0, side])
        } else {
            address([100, 64, number, depth], [0xfd00, 64, side, depth.into()])
        };
        // The link to the Internet is that of the outermost gateway.
        let link = if depth == 0 { topology.access } else { Link::PERFECT };
        let gateway = Gateway::new(&format!("nat {number}.{depth}"), [own], *barrier).ipv6(*barrier);
        outside = net.add_gateway(outside, gateway, &link);
    }
    let own = if topology.ipv4.iter().any(translates) {
        address([10, 0, number, 2], [0xfd00, 10, side, 2])
    } else {
        address([60, 0, 0, number], [0x2600, 0x60, 0, side])
    };
    let link = if topology.ipv4.is_empty() { topology.access } else { Link::PERFECT };
    let mut config = setup.config.clone();
    let stun = setup.server();
    let gather = setup.stun.iter().fold(GatherConfig::new(), |gather, server| gather.server(*server));
    config = config.gather(gather.server(stun));
    config = setup.turn.iter().cloned().fold(config, ConnectConfig::turn);
    if setup.has_relay {
        let good = || ClientConfig::new(stun, credential()).protocol(setup.relay_protocol).dual();
        config = config.turn(setup.good.clone().unwrap_or_else(good));
    }
    if setup.relay_only {
        config = config.relay_only();
    }
    let machine = Either::First(Connection::new(config).unwrap());
    let mut addresses = vec![own];
    addresses.extend(setup.is_dual.then(|| ip(&format!("2600:60::{number}"))));
    let host = net.add_host(outside, &format!("host {number}"), &addresses, &link, machine);
    let interfaces = addresses.into_iter().map(|address| Interface::new("eth0", address).default_route());
    (host, interfaces.collect(), outside)
}

pub(crate) fn credential() -> Credential {
    Credential::long_term("ann", "secret of ann")
}

const fn translates(barrier: &Barrier) -> bool {
    matches!(barrier, Barrier::Translator(TranslatorConfig { translate: true, .. }))
}
