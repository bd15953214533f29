//! Clients, the real server and peers in one simulated network.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{
    Cx, Either, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketId, SocketOrder,
    Transmit, Verdict,
};
use portolan_sim::{Barrier, Gateway, HostId, Link, Net, Preset, SegmentId, Topology};
use portolan_stun_agent::{Authenticator, Credential, Users};
use portolan_turn::{Client, ClientCommand, ClientConfig, ClientEvent, Server, ServerCommand, ServerConfig};

pub(crate) const SERVER: &str = "50.0.0.1:3478";
/// The round trip time of every client, in milliseconds.
pub(crate) const RTT: u64 = 50;

/// A machine of the network.
pub(crate) type Node = Either<Client, Either<Server, Peer>>;

/// A peer without TURN: returns every datagram, and records it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) received: Vec<(Instant, SocketAddr, Vec<u8>)>,
    pub(crate) echoes: bool,
    /// Whether the class of a returned request is changed to success.
    lies: bool,
    socket: Option<SocketId>,
    local: SocketAddr,
    out: Outbox<Never>,
}

impl Peer {
    fn new(local: SocketAddr) -> Self {
        Self { received: vec![], echoes: true, lies: false, socket: None, local, out: Outbox::new() }
    }

    fn open(&mut self, cx: &mut Cx<'_>) {
        let id = cx.next_socket();
        self.socket = Some(id);
        self.out.push(Output::Socket(SocketOrder::Open(Open::new(id, Protocol::Udp, self.local))));
    }

    pub(crate) fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        let transmit = Transmit::new(self.socket.unwrap(), to, payload.to_vec().into());
        self.out.push(Output::Transmit(transmit));
    }
}

impl Machine for Peer {
    type Command = Never;
    type Error = Never;
    type Event = Never;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(datagram) => {
                self.received.push((cx.now(), datagram.remote, datagram.payload.to_vec()));
                if self.echoes {
                    let mut payload = datagram.payload.to_vec();
                    if self.lies {
                        payload[0] |= 1;
                    }
                    self.send(datagram.remote, &payload);
                }
                Verdict::Mine
            }
            Input::Socket(_, SocketEvent::Opened { .. }) => Verdict::Mine,
            Input::Socket(..) | Input::Timeout => Verdict::NotMine,
        }
    }

    fn poll(&mut self) -> Output<Never> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn authenticator() -> Authenticator {
    let mut users = Users::long_term("example.org");
    for name in ["ann", "bob", "eve"] {
        users.add(name, &format!("secret of {name}")).unwrap();
    }
    let credentials = Authenticator::long_term("example.org", &[7; 32], users).unwrap();
    // Long enough for the whole run: a stale nonce costs one more round trip.
    credentials.nonce_lifetime(Duration::from_secs(1_000_000))
}

/// The server over UDP and TCP.
pub(crate) fn stream_server() -> ServerConfig {
    udp_server().listen(Protocol::TcpListen, addr(SERVER))
}

pub(crate) fn udp_server() -> ServerConfig {
    ServerConfig::new(authenticator()).listen_udp(addr(SERVER)).relay(ip("50.0.0.1")).rate(None)
}

pub(crate) fn credential(name: &str) -> Credential {
    Credential::long_term(name, &format!("secret of {name}"))
}

pub(crate) fn client_config() -> ClientConfig {
    ClientConfig::new(addr(SERVER), credential("ann"))
}

/// A network with one server.
pub(crate) struct Lab {
    pub(crate) net: Net<Node>,
    pub(crate) server: HostId,
    clients: u8,
    peers: u8,
}

/// A client behind a gateway of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) host: HostId,
    pub(crate) inside: SegmentId,
}

impl Lab {
    pub(crate) fn new(seed: u64, config: &ServerConfig) -> Self {
        let mut net = Net::new(seed);
        let internet = net.internet();
        let machine = Either::Second(Either::First(Server::new(config).unwrap()));
        let server = net.add_host(internet, "server", &[ip("50.0.0.1")], &Link::PERFECT, machine);
        let mut lab = Self { net, server, clients: 0, peers: 0 };
        lab.start_server();
        lab
    }

    pub(crate) fn start_server(&mut self) {
        let started = self.net.command(self.server, Either::Second(Either::First(ServerCommand::Start)));
        assert!(started.is_ok());
    }

    /// Replaces the server by a new one, which has no allocation. The sockets of the old one are closed.
    pub(crate) fn restart_server(&mut self, config: &ServerConfig) {
        let _stopped = self.net.command(self.server, Either::Second(Either::First(ServerCommand::Stop)));
        let machine = Either::Second(Either::First(Server::new(config).unwrap()));
        let _old = self.net.replace(self.server, machine);
        self.start_server();
    }

    pub(crate) fn set_credentials(&mut self, credentials: Authenticator) {
        self.net.with(self.server, |node, _| match node {
            Either::Second(Either::First(server)) => server.set_credentials(credentials),
            _ => panic!("not the server"),
        });
    }

    /// A client behind a NAT, with half of the round trip on each way.
    pub(crate) fn add_client(&mut self, nat: Barrier, loss: f64) -> Place {
        self.clients += 1;
        let n = self.clients;
        let gateway = Gateway::new(&format!("nat {n}"), [IpAddr::from([85, 0, 0, n])], nat);
        let link = Link::delay(Duration::from_millis(RTT / 2)).loss(loss);
        let inside = self.net.add_gateway(self.net.internet(), gateway, &link);
        let host = self.net.add_host(inside, &format!("client {n}"), &[ip("10.0.0.2")], &Link::PERFECT, idle());
        Place { host, inside }
    }

    /// Another host behind the gateway of a client, with a UDP socket on this port.
    pub(crate) fn add_neighbor(&mut self, place: Place, port: u16) -> HostId {
        let local = SocketAddr::new(ip("10.0.0.3"), port);
        let host = self.net.add_host(place.inside, "neighbor", &[local.ip()], &Link::PERFECT, peer_at(local));
        self.open_peer(host);
        host
    }

    /// A peer with a public address, which returns every datagram.
    pub(crate) fn add_peer(&mut self) -> (HostId, SocketAddr) {
        self.peers += 1;
        let n = self.peers;
        let local = SocketAddr::from(([60, 0, 0, n], 5000));
        let internet = self.net.internet();
        let host = self.net.add_host(internet, &format!("peer {n}"), &[local.ip()], &Link::PERFECT, peer_at(local));
        self.open_peer(host);
        (host, local)
    }

    /// A host at the address of a server that answers each request with an unauthenticated success response.
    pub(crate) fn add_liar(&mut self, local: SocketAddr) {
        let internet = self.net.internet();
        let host = self.net.add_host(internet, "liar", &[local.ip()], &Link::PERFECT, peer_at(local));
        self.open_peer(host);
        self.net.with(host, |node, _| match node {
            Either::Second(Either::Second(peer)) => peer.lies = true,
            _ => panic!("not a peer"),
        });
    }

    fn open_peer(&mut self, host: HostId) {
        let opened = self.net.with(host, |node, cx| match node {
            Either::Second(Either::Second(peer)) => peer.open(cx),
            _ => panic!("not a peer"),
        });
        assert!(opened.is_some());
    }

    pub(crate) fn command(&mut self, place: Place, command: ClientCommand) {
        let result = self.net.command(place.host, Either::First(command));
        assert!(result.is_ok(), "{result:?}");
    }

    pub(crate) fn start(&mut self, place: Place, config: ClientConfig) {
        self.command(place, ClientCommand::Start(config));
    }

    /// Sends to a peer, and returns whether the client accepted the data.
    pub(crate) fn send(&mut self, place: Place, peer: SocketAddr, data: &[u8]) -> bool {
        let send = ClientCommand::Send { peer, data: data.to_vec().into() };
        self.net.command(place.host, Either::First(send)).is_ok()
    }

    pub(crate) fn peer_sends(&mut self, peer: HostId, to: SocketAddr, data: &[u8]) {
        self.net.with(peer, |node, _| match node {
            Either::Second(Either::Second(peer)) => peer.send(to, data),
            _ => panic!("not a peer"),
        });
    }

    pub(crate) fn run(&mut self, millis: u64) {
        let _stop = self.net.run_for(Duration::from_millis(millis));
    }

    pub(crate) fn run_until(&mut self, millis: u64) {
        let _stop = self.net.run_until(Instant::from_millis(millis));
    }

    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.net.now().since_origin().as_millis()).unwrap()
    }

    pub(crate) fn client(&self, place: Place) -> &Client {
        self.net.machine(place.host).unwrap().as_first().unwrap()
    }

    pub(crate) fn server(&self) -> &Server {
        self.net.machine(self.server).unwrap().as_second().unwrap().as_first().unwrap()
    }

    pub(crate) fn peer(&self, host: HostId) -> &Peer {
        self.net.machine(host).unwrap().as_second().unwrap().as_second().unwrap()
    }

    /// The number of allocations at the server.
    pub(crate) fn allocations(&self) -> usize {
        self.server().allocations().count()
    }

    /// The events of a client with their times in milliseconds.
    pub(crate) fn events(&self, place: Place) -> Vec<(u64, ClientEvent)> {
        let of_client = self.net.events().iter().filter(|record| record.host == place.host);
        let event = of_client.filter_map(|record| {
            let at = u64::try_from(record.at.since_origin().as_millis()).unwrap();
            Some((at, record.event.as_first()?.clone()))
        });
        event.collect()
    }

    /// The data events of a client: the time, the peer and the payload.
    pub(crate) fn data(&self, place: Place) -> Vec<(u64, SocketAddr, Vec<u8>)> {
        let events = self.events(place).into_iter();
        events
            .filter_map(|(at, event)| match event {
                ClientEvent::Data { peer, payload } => Some((at, peer, payload.to_vec())),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn relayed(&self, place: Place) -> SocketAddr {
        self.client(place).relayed()[0]
    }
}

/// The NAT of a home router: mappings live 30 s without and 120 s with a reply.
pub(crate) fn home() -> Barrier {
    Topology::preset(Preset::Home).ipv4[0]
}

/// The NAT of a home router whose mappings live this number of seconds.
pub(crate) fn short_lived(seconds: u64) -> Barrier {
    let Barrier::Translator(mut config) = home() else { panic!("a home router translates") };
    config.timers.unreplied = Duration::from_secs(seconds);
    config.timers.replied = Duration::from_secs(seconds);
    Barrier::Translator(config)
}

/// A NAT with another random port after each restart.
pub(crate) fn random_ports() -> Barrier {
    let Barrier::Translator(symmetric) = Topology::preset(Preset::Symmetric).ipv4[0] else { panic!() };
    let Barrier::Translator(mut config) = home() else { panic!("a home router translates") };
    config.allocation = symmetric.allocation;
    Barrier::Translator(config)
}

fn idle() -> Node {
    Either::First(Client::new())
}

fn peer_at(local: SocketAddr) -> Node {
    Either::Second(Either::Second(Peer::new(local)))
}
