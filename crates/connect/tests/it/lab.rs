//! Hosts with a relay and a machine that uses its virtual sockets, a TURN server and peers in one simulated network.

use crate::server::Gate;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_connect::{Relay, RelayCommand, RelayError, RelayEvent};
use portolan_machine::{
    Cx, Datagram, Deadline, Either, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, Slot, SocketEvent,
    SocketId, SocketOrder, Transmit, Verdict,
};
use portolan_sim::{Barrier, Gateway, HostId, Link, Net, Preset, SegmentId, Topology};
use portolan_stun_agent::{Authenticator, Credential, Users};
use portolan_turn::{ClientConfig, ServerCommand, ServerConfig};

pub(crate) const SERVER: &str = "50.0.0.1:3478";
pub(crate) const TLS_SERVER: &str = "50.0.0.1:5349";
/// The round trip time between a relay and the server, in milliseconds. The peers are beside the server.
pub(crate) const RTT: u64 = 50;

/// A machine of the network.
pub(crate) type Node = Either<Party, Either<Gate, Echo>>;

/// A machine without TURN: records datagrams, and returns them. It serves as a peer on a real socket, and as the second
/// child of a [`Party`] on virtual sockets.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    pub(crate) received: Vec<Received>,
    pub(crate) echoes: bool,
    /// The last socket that was opened.
    pub(crate) socket: Option<SocketId>,
    out: Outbox<Never>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) at: u64,
    pub(crate) socket: SocketId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) payload: Vec<u8>,
}

fn millis(at: Instant) -> u64 {
    u64::try_from(at.since_origin().as_millis()).unwrap()
}

impl Echo {
    fn open(&mut self, cx: &mut Cx<'_>, local: SocketAddr) {
        let open = Open::new(cx.next_socket(), Protocol::Udp, local);
        self.out.push(Output::Socket(SocketOrder::Open(open)));
    }

    pub(crate) fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        let socket = self.socket.unwrap();
        self.send_from(socket, to, payload);
    }

    pub(crate) fn send_from(&mut self, socket: SocketId, to: SocketAddr, payload: &[u8]) {
        self.out.push(Output::Transmit(Transmit::new(socket, to, payload.to_vec().into())));
    }
}

impl Machine for Echo {
    type Command = Never;
    type Error = Never;
    type Event = Never;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(Datagram { socket, local, remote, payload, .. }) => {
                let (at, payload) = (millis(cx.now()), payload.to_vec());
                if self.echoes {
                    self.send_from(socket, remote, &payload);
                }
                self.received.push(Received { at, socket, local, remote, payload });
            }
            Input::Socket(socket, SocketEvent::Opened { .. }) => self.socket = Some(socket),
            Input::Socket(socket, SocketEvent::Closed(_)) => self.socket = self.socket.filter(|open| *open != socket),
            Input::Socket(..) => {}
            Input::Timeout => return Verdict::NotMine,
        }
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<Never> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

/// A parent machine: a relay, and a second child on its virtual sockets.
#[derive(Debug)]
pub(crate) struct Party {
    relay: Slot<Relay>,
    pub(crate) user: Slot<Echo>,
    /// Whether datagrams are taken by [`Relay::receive`]. Otherwise all of them go through the relay.
    borrows: bool,
    out: Outbox<RelayEvent>,
}

impl Party {
    fn new(borrows: bool) -> Self {
        let user = Slot::new("user", 0, Echo::default());
        Self { relay: Slot::new("relay", 0, Relay::new()), user, borrows, out: Outbox::new() }
    }

    pub(crate) const fn relay(&self) -> &Relay {
        self.relay.get()
    }

    /// Moves outputs between the children until both are drained.
    fn pump(&mut self, cx: &mut Cx<'_>) {
        loop {
            if let Some(output) = self.relay.take() {
                match output {
                    Output::Event(event) => self.relay_event(cx, event),
                    output => self.out.push(output),
                }
            } else if let Some(Output::Transmit(transmit)) = self.user.take() {
                let _closed = self.relay.with(cx, |relay, cx| relay.send(cx, &transmit));
            } else {
                break;
            }
        }
    }

    fn relay_event(&mut self, cx: &mut Cx<'_>, event: RelayEvent) {
        if let Some((socket, event)) = event.as_socket_event() {
            let _verdict = self.user.handle(cx, Input::Socket(socket, event));
        }
        if let RelayEvent::Data { socket, local, peer, payload } = &event {
            let _verdict = self.user.handle(cx, Input::Datagram(Datagram::new(*socket, *local, *peer, payload)));
        } else {
            self.out.push(Output::Event(event));
        }
    }
}

impl Machine for Party {
    type Command = RelayCommand;
    type Error = RelayError;
    type Event = RelayEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: RelayCommand) -> Result<(), RelayError> {
        let result = self.relay.command(cx, command);
        self.pump(cx);
        result
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let inner = match input {
            Input::Datagram(datagram) if self.borrows => self.relay.get().receive(&datagram),
            _ => None,
        };
        let verdict = match (inner, input) {
            (Some(inner), _) => self.user.handle(cx, Input::Datagram(inner)),
            (None, Input::Timeout) => {
                if self.relay.wake(cx) {
                    Verdict::Mine
                } else {
                    Verdict::NotMine
                }
            }
            (None, input) => self.relay.handle(cx, input),
        };
        self.pump(cx);
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let taken = self.relay.stream(cx, chunk);
        self.pump(cx);
        taken
    }

    fn poll(&mut self) -> Output<RelayEvent> {
        self.out.pop().unwrap_or_else(|| Output::Wait(Deadline::earliest(self.relay.wait(), self.user.wait())))
    }
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn authenticator(names: &[&str]) -> Authenticator {
    let mut users = Users::long_term("example.org");
    names.iter().for_each(|name| users.add(name, &format!("secret of {name}")).unwrap());
    let credentials = Authenticator::long_term("example.org", &[7; 32], users).unwrap();
    // Long enough for the whole run: a stale nonce costs one more round trip.
    credentials.nonce_lifetime(Duration::from_secs(1_000_000))
}

pub(crate) fn server_config() -> ServerConfig {
    ServerConfig::new(authenticator(&["ann", "bob"]))
        .listen_udp(addr(SERVER))
        .listen(Protocol::TcpListen, addr(SERVER))
        .listen(Protocol::TlsListen, addr(TLS_SERVER))
        .relay(ip("50.0.0.1"))
        .relay(ip("2a00:50::1"))
        .rate(None)
}

pub(crate) fn credential(name: &str) -> Credential {
    Credential::long_term(name, &format!("secret of {name}"))
}

pub(crate) fn client_config() -> ClientConfig {
    ClientConfig::new(addr(SERVER), credential("ann"))
}

/// A network with one server and one relay behind a NAT.
pub(crate) struct Lab {
    pub(crate) net: Net<Node>,
    pub(crate) server: HostId,
    pub(crate) host: HostId,
    pub(crate) inside: SegmentId,
    peers: u8,
}

impl Lab {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, true)
    }

    /// A network whose party takes datagrams by [`Relay::receive`], or not.
    pub(crate) fn with(seed: u64, borrows: bool) -> Self {
        let mut net = Net::new(seed);
        let internet = net.internet();
        let machine = Either::Second(Either::First(Gate::new(&server_config())));
        let server = net.add_host(internet, "server", &[ip("50.0.0.1"), ip("2a00:50::1")], &Link::PERFECT, machine);
        let gateway = Gateway::new("nat", [ip("85.0.0.1")], home());
        let link = Link::delay(Duration::from_millis(RTT / 2));
        let inside = net.add_gateway(internet, gateway, &link);
        let party = Either::First(Party::new(borrows));
        let host = net.add_host(inside, "party", &[ip("10.0.0.2")], &Link::PERFECT, party);
        let mut lab = Self { net, server, host, inside, peers: 0 };
        lab.start_server();
        lab
    }

    /// A lab whose relay has an allocation.
    pub(crate) fn allocated(seed: u64, config: ClientConfig) -> Self {
        let mut lab = Self::new(seed);
        lab.command(RelayCommand::Start(config));
        lab.run(1_000);
        assert!(lab.net_socket().is_some(), "{:?}", lab.events());
        lab
    }

    fn start_server(&mut self) {
        let started = self.net.command(self.server, Either::Second(Either::First(ServerCommand::Start)));
        assert!(started.is_ok());
    }

    /// Replaces the server by a new one, which has no allocation. The sockets of the old one are closed.
    pub(crate) fn restart_server(&mut self) {
        self.replace_server(&server_config());
    }

    pub(crate) fn replace_server(&mut self, config: &ServerConfig) {
        let _stopped = self.net.command(self.server, Either::Second(Either::First(ServerCommand::Stop)));
        let machine = Either::Second(Either::First(Gate::new(config)));
        let _old = self.net.replace(self.server, machine);
        self.start_server();
    }

    pub(crate) fn with_gate<R>(&mut self, call: impl FnOnce(&mut Gate) -> R) -> R {
        let result = self.net.with(self.server, |node, _| match node {
            Either::Second(Either::First(gate)) => call(gate),
            _ => panic!("not the server"),
        });
        result.unwrap()
    }

    /// A host with an echo of its own.
    pub(crate) fn add_echo(&mut self, segment: SegmentId, local: SocketAddr, link: &Link) -> HostId {
        let machine = Either::Second(Either::Second(Echo { echoes: true, ..Echo::default() }));
        let host = self.net.add_host(segment, &format!("echo {local}"), &[local.ip()], link, machine);
        self.with_echo(host, |echo, cx| echo.open(cx, local));
        host
    }

    /// A peer with a public address beside the server, which returns every datagram.
    pub(crate) fn add_peer(&mut self) -> (HostId, SocketAddr) {
        self.peers += 1;
        let local = SocketAddr::from(([60, 0, 0, self.peers], 5000));
        (self.add_echo(self.net.internet(), local, &Link::PERFECT), local)
    }

    pub(crate) fn with_echo<R>(&mut self, host: HostId, call: impl FnOnce(&mut Echo, &mut Cx<'_>) -> R) -> R {
        let result = self.net.with(host, |node, cx| match node {
            Either::Second(Either::Second(echo)) => call(echo, cx),
            _ => panic!("not an echo"),
        });
        result.unwrap()
    }

    pub(crate) fn echo(&self, host: HostId) -> &Echo {
        self.net.machine(host).unwrap().as_second().unwrap().as_second().unwrap()
    }

    pub(crate) fn party(&self) -> &Party {
        self.net.machine(self.host).unwrap().as_first().unwrap()
    }

    pub(crate) fn gate(&self) -> &Gate {
        self.net.machine(self.server).unwrap().as_second().unwrap().as_first().unwrap()
    }

    pub(crate) fn command(&mut self, command: RelayCommand) {
        let result = self.net.command(self.host, Either::First(command));
        assert!(result.is_ok(), "{result:?}");
    }

    /// The user of the virtual sockets sends on this socket.
    pub(crate) fn send_from(&mut self, socket: SocketId, peer: SocketAddr, data: &[u8]) {
        self.net.with(self.host, |node, cx| match node {
            Either::First(party) => {
                party.user.get_mut().send_from(socket, peer, data);
                party.pump(cx);
            }
            Either::Second(_) => panic!("not the party"),
        });
    }

    /// The user of the virtual sockets sends on the last one.
    pub(crate) fn send(&mut self, peer: SocketAddr, data: &[u8]) {
        self.send_from(self.net_socket().unwrap(), peer, data);
    }

    /// The last open virtual socket of the user.
    pub(crate) fn net_socket(&self) -> Option<SocketId> {
        self.party().user.get().socket
    }

    /// What the user of the virtual sockets received.
    pub(crate) fn received(&self) -> &[Received] {
        &self.party().user.get().received
    }

    pub(crate) fn payloads(&self) -> Vec<Vec<u8>> {
        self.received().iter().map(|received| received.payload.clone()).collect()
    }

    /// The relayed address of the last open virtual socket.
    pub(crate) fn relayed(&self) -> SocketAddr {
        let socket = self.net_socket().unwrap();
        self.party().relay().sockets().find(|(id, _)| *id == socket).unwrap().1
    }

    /// The events of the relay, without data, with their times in milliseconds.
    pub(crate) fn events(&self) -> Vec<(u64, RelayEvent)> {
        let of_party = self.net.events().iter().filter(|record| record.host == self.host);
        of_party.filter_map(|record| Some((millis(record.at), record.event.as_first()?.clone()))).collect()
    }

    pub(crate) fn run(&mut self, millis: u64) {
        let _stop = self.net.run_for(Duration::from_millis(millis));
    }

    pub(crate) fn run_until(&mut self, millis: u64) {
        let _stop = self.net.run_until(Instant::from_millis(millis));
    }

    pub(crate) fn now(&self) -> u64 {
        millis(self.net.now())
    }

    /// The number of allocations at the server.
    pub(crate) fn allocations(&self) -> usize {
        self.gate().server.allocations().count()
    }

    /// Sends a datagram to the peer, which returns it. Returns whether it came back to the same virtual socket.
    pub(crate) fn echoes(&mut self, peer: SocketAddr, data: &[u8]) -> bool {
        let (before, socket) = (self.received().len(), self.net_socket().unwrap());
        self.send(peer, data);
        self.run(3 * RTT);
        self.received()[before..].iter().any(|one| (one.socket, one.remote, &one.payload[..]) == (socket, peer, data))
    }
}

/// The NAT of a home router: mappings live 30 s without and 120 s with a reply.
pub(crate) fn home() -> Barrier {
    Topology::preset(Preset::Home).ipv4[0]
}
