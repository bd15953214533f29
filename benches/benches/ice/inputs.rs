//! The cost of one input to a connected agent, bare and in a `Connection` with one TURN client.

use crate::agent::Ours;
use crate::allocations;
use crate::report::{Spread, now};
use crate::session::{Case, Session};
use core::hint::black_box;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_connect::{ConnectConfig, ConnectEvent, Connection};
use portolan_ice::gather::Interface;
use portolan_ice::{ComponentId, Credentials, GatherConfig, Path, RemoteDescription};
use portolan_machine::{Cx, Datagram, Either, Input, Instant, Machine, Output, SocketId};
use portolan_sim::{HostId, Link, Net};
use portolan_stun::attribute::Text;
use portolan_stun::{Attribute, Class, IntegrityKey, Method, Writer};
use portolan_stun_agent::{Authenticator, Credential, Users};
use portolan_turn::{ClientConfig, Server, ServerCommand, ServerConfig};

const COMPONENT: ComponentId = ComponentId::new(0, 1);
const SERVER: &str = "50.0.0.1:3478";
const CALLS: u32 = 2_000;
const ROUNDS: usize = 31;

type Node = Either<Connection, Server>;

/// A datagram for a connected agent.
struct Arriving {
    socket: SocketId,
    local: SocketAddr,
    remote: SocketAddr,
    payload: Vec<u8>,
}

impl Arriving {
    fn new(path: Path, payload: Vec<u8>) -> Self {
        Self { socket: path.socket, local: path.base, remote: path.remote, payload }
    }

    /// A check of the controlled peer on the selected path.
    fn check(path: Path, own: &Credentials, peer: &Credentials) -> Self {
        let mut buffer = [0; 300];
        let id = [7; 12].into();
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id).expect("room");
        let username = format!("{}:{}", own.ufrag(), peer.ufrag());
        writer.add(&Attribute::Username(Text::new(&username))).expect("room");
        writer.add(&Attribute::Priority(1_862_270_975)).expect("room");
        writer.add(&Attribute::IceControlled(7)).expect("room");
        let key = IntegrityKey::short_term(own.password());
        Self::new(path, writer.message_integrity(&key).expect("room").fingerprint().expect("room").finish().to_vec())
    }

    /// A response to a request that the agent did not send.
    fn foreign_response(path: Path) -> Self {
        let mut buffer = [0; 100];
        let id = [9; 12].into();
        let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id).expect("room");
        writer.add(&Attribute::XorMappedAddress(path.base)).expect("room");
        Self::new(path, writer.finish().to_vec())
    }

    fn as_datagram(&self) -> Datagram<'_> {
        Datagram::new(self.socket, self.local, self.remote, &self.payload)
    }
}

/// Hands in a datagram and drains the machine. Returns the number of outputs.
fn feed<M: Machine>(machine: &mut M, cx: &mut Cx<'_>, arriving: &Arriving) -> usize {
    let _verdict = black_box(machine.handle(cx, Input::Datagram(arriving.as_datagram())));
    let mut outputs = 0;
    while !matches!(black_box(machine.poll()), Output::Wait(_)) {
        outputs += 1;
    }
    outputs
}

/// The nanoseconds of one input, and its allocations.
fn time<M: Machine>(machine: &mut M, cx: &mut Cx<'_>, arriving: &Arriving) -> f64 {
    let start = now();
    for _ in 0..CALLS {
        feed(machine, cx, arriving);
    }
    (now() - start) / f64::from(CALLS)
}

/// A connection with one TURN client that has selected a direct pair.
struct Connected {
    net: Net<Node>,
    host: HostId,
}

impl Connected {
    fn new() -> (Self, Credentials) {
        let mut net: Net<Node> = Net::new(1);
        let internet = net.internet();
        let mut users = Users::long_term("example.org");
        users.add("ann", "secret").expect("a user");
        let credentials = Authenticator::long_term("example.org", &[7; 32], users).expect("a realm");
        let address: SocketAddr = SERVER.parse().expect("an address");
        let config = ServerConfig::new(credentials).listen_udp(address).relay(address.ip()).rate(None);
        let server = Either::Second(Server::new(&config).expect("a configuration"));
        let server = net.add_host(internet, "server", &[address.ip()], &Link::PERFECT, server);
        assert!(net.command(server, Either::Second(ServerCommand::Start)).is_ok(), "a server that starts");
        let hosts = [1, 2].map(|number| {
            let client = ClientConfig::new(address, Credential::long_term("ann", "secret"));
            let config = ConnectConfig::new().gather(GatherConfig::new().server(address)).turn(client);
            let connection = Either::First(Connection::new(config).expect("a configuration"));
            let own = [60, 0, 0, number].into();
            net.add_host(internet, &format!("host {number}"), &[own], &Link::PERFECT, connection)
        });
        let mut this = Self { net, host: hosts[0] };
        let [left, right] = hosts.map(|host| {
            this.call(host, |connection, cx| connection.start(cx, host == hosts[0]).expect("a new connection"));
            this.connection(host).agent().credentials().expect("a running agent").clone()
        });
        for (number, (host, peer)) in [(1, (hosts[0], &right)), (2, (hosts[1], &left))] {
            let description = RemoteDescription::new(peer.clone());
            let interface = Interface::new("eth0", [60, 0, 0, number].into()).default_route();
            this.call(host, |connection, cx| {
                connection.set_remote(cx, 0, description).expect("a running agent");
                connection.set_interfaces(cx, vec![interface]).expect("a running agent");
            });
        }
        this.run(hosts);
        (this, right)
    }

    fn connection(&self, host: HostId) -> &Connection {
        self.net.machine(host).and_then(Either::as_first).expect("a connection")
    }

    fn call<T>(&mut self, host: HostId, call: impl FnOnce(&mut Connection, &mut Cx<'_>) -> T) -> T {
        self.net.with(host, |node, cx| call(node.as_first_mut().expect("a connection"), cx)).expect("a host")
    }

    /// Runs for ten seconds, and carries the candidates.
    fn run(&mut self, hosts: [HostId; 2]) {
        loop {
            for record in self.net.take_events() {
                let other = if record.host == hosts[0] { hosts[1] } else { hosts[0] };
                match record.event {
                    Either::First(ConnectEvent::LocalCandidate { stream, candidate }) => {
                        self.call(other, |connection, cx| connection.add_remote(cx, stream, &candidate))
                            .expect("a peer");
                    }
                    Either::First(ConnectEvent::EndOfCandidates(_)) => {
                        self.call(other, |connection, cx| connection.end_remote(cx, 0)).expect("a peer");
                    }
                    _ => {}
                }
            }
            if self.net.step().is_none_or(|at| at > Instant::from_millis(10_000)) {
                return;
            }
        }
    }
}

/// Measures each input with the bare agent and with the connection, in turn.
pub(crate) fn run() {
    let case = Case { addresses: 1, limit: 100, silence: Duration::ZERO };
    let mut session = Session::<Ours>::new(case);
    assert!(session.connect(), "two agents");
    let (mut connected, peer) = Connected::new();
    let host = connected.host;
    let [bare_path, path] = [&session.left.agent, connected.connection(host).agent()]
        .map(|agent| agent.selected(COMPONENT).expect("a selected path"));
    assert!(!path.is_relayed() && connected.connection(host).relays().count() == 1, "a direct path and a relay");
    let bare_own = session.left.agent.credentials().expect("a running agent").clone();
    let bare_peer = session.right.agent.credentials().expect("a running agent").clone();
    let own = connected.connection(host).agent().credentials().expect("a running agent").clone();
    let data = |path| Arriving::new(path, vec![0x80; 172]);
    let inputs = [
        ("a check, answered", Arriving::check(bare_path, &bare_own, &bare_peer), Arriving::check(path, &own, &peer), 1),
        ("172 bytes of data", data(bare_path), data(path), 0),
        ("a response to no request", Arriving::foreign_response(bare_path), Arriving::foreign_response(path), 0),
    ];
    println!("\nOne input of a connected agent, in nanoseconds of processor time, [allocations]\n");
    println!("| input | bare agent | connection with one TURN client | ratio |\n|---|---|---|---|");
    let now = session.now;
    for (name, bare, through, expected) in inputs {
        let (mut alone, mut joined) = (Vec::new(), Vec::new());
        let outputs = session.left.call(now, |agent, cx| feed(agent, cx, &bare));
        assert_eq!(outputs, expected, "{name}: outputs");
        for _ in 0..ROUNDS {
            alone.push(session.left.call(now, |agent, cx| time(agent, cx, &bare)));
            joined.push(connected.call(host, |connection, cx| time(connection, cx, &through)));
        }
        let count = session.left.call(now, |agent, cx| allocations::of(|| _ = feed(agent, cx, &bare)));
        let joined_count =
            connected.call(host, |connection, cx| allocations::of(|| _ = feed(connection, cx, &through)));
        let ratio = Spread::of(alone.iter().zip(&joined).map(|(alone, joined)| joined / alone));
        let (alone, joined) = (Spread::of(alone), Spread::of(joined));
        println!("| {name} | {alone} [{count:.0}] | {joined} [{joined_count:.0}] | {ratio} |");
    }
}
