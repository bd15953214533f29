//! Two connections behind gateways, a server of STUN and TURN, and signalling between the connections.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_connect::{ConnectConfig, ConnectEvent, Connection};
use portolan_ice::gather::Interface;
use portolan_ice::{ComponentId, GatherConfig, Path, RemoteDescription};
use portolan_machine::{Either, Instant, Protocol};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Barrier, Gateway, HostId, Link, Net, SegmentId, Topology};
use portolan_stun_agent::{Authenticator, Credential, Users};
use portolan_turn::{ClientConfig, Server, ServerCommand, ServerConfig};

pub(crate) const ONE: ComponentId = ComponentId::new(0, 1);
/// The address of the server, IPv4 and IPv6.
const SERVERS: [&str; 2] = ["50.0.0.1", "2600:50::1"];

pub(crate) type Node = Either<Connection, Server>;

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
        }
    }
}

pub(crate) struct Pair {
    pub(crate) net: Net<Node>,
    pub(crate) server: HostId,
    hosts: [HostId; 2],
    interfaces: [Vec<Interface>; 2],
    pub(crate) events: Vec<(Instant, Side, ConnectEvent)>,
    signalling: Duration,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Setup {
    fn server(&self) -> SocketAddr {
        SocketAddr::new(ip(SERVERS[usize::from(self.is_ipv6)]), 3478)
    }
}

fn server(address: SocketAddr) -> ServerConfig {
    let mut users = Users::long_term("example.org");
    users.add("ann", "secret").unwrap();
    let credentials = Authenticator::long_term("example.org", &[7; 32], users).unwrap();
    let config = ServerConfig::new(credentials.nonce_lifetime(Duration::from_secs(1_000_000)));
    config.listen_udp(address).listen(Protocol::TcpListen, address).relay(address.ip()).rate(None)
}

impl Pair {
    pub(crate) fn new(seed: u64, left: &Topology, right: &Topology, setup: &Setup) -> Self {
        let mut net = Net::new(seed);
        let internet = net.internet();
        let address = setup.server();
        let machine = Either::Second(Server::new(&server(address)).unwrap());
        let server = net.add_host(internet, "server", &[address.ip()], &Link::PERFECT, machine);
        assert!(net.command(server, Either::Second(ServerCommand::Start)).is_ok());
        let sides = [(left, 1), (right, 2)].map(|(topology, number)| place(&mut net, topology, number, setup));
        let [(left, left_interface), (right, right_interface)] = sides;
        let interfaces = [vec![left_interface], vec![right_interface]];
        let signalling = setup.signalling;
        Self { net, server, hosts: [left, right], interfaces, events: Vec::new(), signalling }
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
        for side in Side::BOTH {
            self.with(side, |connection, cx| connection.start(cx, side == Side::Left)).unwrap();
        }
        for side in Side::BOTH {
            let credentials = self.connection(side).agent().credentials().unwrap().clone();
            self.describe(side.other(), RemoteDescription::new(credentials));
        }
        for side in Side::BOTH {
            let interfaces = self.interfaces[side as usize].clone();
            self.with(side, |connection, cx| connection.set_interfaces(cx, interfaces)).unwrap();
        }
    }

    /// Signals the current credentials of a side, which has restarted.
    pub(crate) fn describe_again(&mut self, from: Side) {
        let credentials = self.connection(from).agent().credentials().unwrap().clone();
        self.describe(from.other(), RemoteDescription::new(credentials));
    }

    /// The number of allocations at the server.
    pub(crate) fn allocations(&self) -> usize {
        self.net.machine(self.server).unwrap().as_second().unwrap().allocations().count()
    }

    fn describe(&mut self, to: Side, description: RemoteDescription) {
        self.net.after(self.host(to), self.signalling, move |node, cx| {
            node.as_first_mut().unwrap().set_remote(cx, 0, description).unwrap();
        });
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
                    self.net.after(other, self.signalling, move |node, cx| {
                        // A candidate may overtake the description after a restart.
                        let _added = node.as_first_mut().unwrap().add_remote(cx, stream, &candidate);
                    });
                }
                ConnectEvent::EndOfCandidates(_) => {
                    self.net.after(other, self.signalling, move |node, cx| {
                        let _ended = node.as_first_mut().unwrap().end_remote(cx, 0);
                    });
                }
                ConnectEvent::Restarted(credentials) => {
                    self.describe(side.other(), RemoteDescription::new(credentials.clone()));
                }
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
fn place(net: &mut Net<Node>, topology: &Topology, number: u8, setup: &Setup) -> (HostId, Interface) {
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
    config = config.gather(GatherConfig::new().server(stun));
    if setup.has_relay {
        let credential = Credential::long_term("ann", "secret");
        config = config.turn(ClientConfig::new(stun, credential).protocol(setup.relay_protocol).dual());
    }
    if setup.relay_only {
        config = config.relay_only();
    }
    let machine = Either::First(Connection::new(config).unwrap());
    let host = net.add_host(outside, &format!("host {number}"), &[own], &link, machine);
    (host, Interface::new("eth0", own).default_route())
}

const fn translates(barrier: &Barrier) -> bool {
    matches!(barrier, Barrier::Translator(TranslatorConfig { translate: true, .. }))
}
