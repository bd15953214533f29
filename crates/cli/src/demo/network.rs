//! The simulated network: two peers behind the gateways of their presets, and a STUN and TURN server.
//!
//! Rules of this file: the round trip between the peers is that of the plan, and so is the round trip of each peer to the
//! server. A relayed datagram takes both ways, so its round trip is twice as long. Loss is on the link of each peer. The
//! network has IPv4 only. A peer without UDP reaches the TURN server over TCP.

use super::DemoError;
use super::session::{Plan, Side};
use core::net::{IpAddr, SocketAddr};
use portolan_connect::{ConnectConfig, Connection};
use portolan_ice::gather::Interface;
use portolan_ice::{AgentConfig, ComponentId, GatherConfig};
use portolan_machine::{Either, Protocol};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Barrier, Gateway, HostId, Link, Net, Topology};
use portolan_stun_agent::{Authenticator, Credential, Users};
use portolan_turn::{ClientConfig, Server, ServerCommand, ServerConfig};

/// The only component of the session.
pub(super) const ONE: ComponentId = ComponentId::new(0, 1);

/// The address of the STUN and TURN server.
pub(super) const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::new(50, 0, 0, 1)), 3478);

/// The name of the server in the story.
pub(super) const SERVER_NAME: &str = "server";

/// A host: a peer or the server.
pub(super) type Node = Either<Connection, Server>;

/// A network that was not started.
pub(super) struct Network {
    pub(super) net: Net<Node>,
    pub(super) hosts: [HostId; 2],
    pub(super) interfaces: [Interface; 2],
    server: HostId,
}

impl Network {
    /// Opens the sockets of the server.
    pub(super) fn start_server(&mut self) {
        // A new server can be started.
        let _started = self.net.command(self.server, Either::Second(ServerCommand::Start));
    }
}

/// Builds the network of a plan.
pub(super) fn build(plan: &Plan) -> Result<Network, DemoError> {
    let mut net = Net::new(plan.seed);
    let internet = net.internet();
    let machine = Either::Second(server()?);
    let server = net.add_host(internet, SERVER_NAME, &[SERVER.ip()], &Link::delay(plan.rtt / 4), machine);
    let (left, left_interface) = place(&mut net, plan, Side::Left)?;
    let (right, right_interface) = place(&mut net, plan, Side::Right)?;
    Ok(Network { net, hosts: [left, right], interfaces: [left_interface, right_interface], server })
}

fn server() -> Result<Server, DemoError> {
    let mut users = Users::long_term(REALM);
    users.add(USER, PASSWORD).map_err(|_| DemoError::Setup)?;
    let credentials = Authenticator::long_term(REALM, &[7; 32], users).map_err(|_| DemoError::Setup)?;
    let config = ServerConfig::new(credentials).listen_udp(SERVER).relay(SERVER.ip());
    let config = config.listen(Protocol::TcpListen, SERVER);
    Server::new(&config).map_err(|_| DemoError::Setup)
}

const REALM: &str = "example.org";
const USER: &str = "ann";
const PASSWORD: &str = "secret";

/// Places a peer behind the gateways of its preset.
fn place(net: &mut Net<Node>, plan: &Plan, side: Side) -> Result<(HostId, Interface), DemoError> {
    let topology = topology(plan, side);
    let mut outside = net.internet();
    let count = topology.ipv4.len();
    for (depth, barrier) in topology.ipv4.iter().rev().enumerate() {
        let is_outermost = depth == 0;
        let link = if is_outermost { topology.access } else { Link::PERFECT };
        let name = gateway_name(side, barrier, depth + 1 < count);
        let gateway = Gateway::new(&name, [gateway_address(side, is_outermost)], *barrier);
        outside = net.add_gateway(outside, gateway, &link);
    }
    let address = host_address(&topology, side);
    let link = if count == 0 { topology.access } else { Link::PERFECT };
    let agent = AgentConfig::new().policy(plan.policy);
    let mut config = ConnectConfig::new().agent(agent).gather(GatherConfig::new().server(SERVER));
    if plan.has_relay {
        let client = ClientConfig::new(SERVER, Credential::long_term(USER, PASSWORD));
        config = config.turn(if is_blocked(plan, side) { client.protocol(Protocol::Tcp) } else { client });
    }
    let machine = Either::First(Connection::new(config)?);
    let host = net.add_host(outside, side.name(), &[address], &link, machine);
    Ok((host, Interface::new("eth0", address).default_route()))
}

/// Returns the gateways and the link of a peer.
pub(super) fn topology(plan: &Plan, side: Side) -> Topology {
    // The link has a quarter of the round trip in each direction, as the link of the other peer and that of the server.
    Topology::preset(*side.of(&plan.presets)).rtt(plan.rtt / 2).loss(plan.loss)
}

/// Whether the network of a peer lets no UDP through.
pub(super) fn is_blocked(plan: &Plan, side: Side) -> bool {
    topology(plan, side).truth(true).is_some_and(|truth| truth.blocked)
}

/// Returns the name of a gateway in the story: `left-NAT`.
fn gateway_name(side: Side, barrier: &Barrier, has_gateways_inside: bool) -> String {
    let what = match barrier {
        Barrier::Translator(TranslatorConfig { translate: true, .. }) if has_gateways_inside => "carrier-NAT",
        Barrier::Translator(TranslatorConfig { translate: true, .. }) => "NAT",
        Barrier::Open | Barrier::Translator(_) | Barrier::Blocked { .. } => "firewall",
    };
    format!("{}-{what}", side.name())
}

/// Returns the outside address of a gateway.
pub(super) fn gateway_address(side: Side, is_outermost: bool) -> IpAddr {
    let number = side.number();
    IpAddr::from(if is_outermost { [85, 0, 0, number] } else { [100, 64, number, 1] })
}

/// Returns the address of a peer.
pub(super) fn host_address(topology: &Topology, side: Side) -> IpAddr {
    let translates =
        |barrier: &Barrier| matches!(barrier, Barrier::Translator(TranslatorConfig { translate: true, .. }));
    let number = side.number();
    IpAddr::from(if topology.ipv4.iter().any(translates) { [10, 0, number, 2] } else { [60, 0, 0, number] })
}

impl Side {
    const fn number(self) -> u8 {
        match self {
            Self::Left => 1,
            Self::Right => 2,
        }
    }
}
