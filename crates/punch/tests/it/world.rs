//! Two peers behind NATs, a server that reports mapped addresses, and cross traffic.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{
    Cx, Deadline, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketId, SocketOrder,
    Transmit, Verdict,
};
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_punch::card::{Card, Ports};
use portolan_punch::puncher::{Path, Peer, PunchCommand, PunchConfig, PunchEvent, Puncher, SessionKey, Sockets};
use portolan_sim::{Gateway, HostId, Link, Net, SegmentId, Server};
use portolan_stun::{Class, Message, Method, Writer};

/// The server that reports mapped addresses, in the place of the introducer.
pub(crate) const SERVER: &str = "50.0.0.1:3478";
/// The round trip between the peers.
pub(crate) const RTT: Duration = Duration::from_millis(50);

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The nine kinds of NAT.
pub(crate) fn kinds() -> Vec<TranslatorConfig> {
    let filters = |mapping| Filtering::ALL.map(|filtering| kind(mapping, filtering));
    Mapping::ALL.into_iter().flat_map(filters).collect()
}

/// A NAT that preserves ports if its mapping is endpoint-independent, and has random ports otherwise.
pub(crate) fn kind(mapping: Mapping, filtering: Filtering) -> TranslatorConfig {
    let ports = if mapping.is_destination_dependent() { PortAllocation::Random } else { PortAllocation::Preserving };
    TranslatorConfig::new(mapping, filtering).ports(ports)
}

pub(crate) fn name(nat: &TranslatorConfig) -> String {
    format!("{}/{}", nat.mapping.abbreviation(), nat.filtering.abbreviation())
}

/// The card of a NAT.
pub(crate) fn card(nat: &TranslatorConfig) -> Card {
    let ports = match nat.allocation {
        PortAllocation::Preserving => Ports::Preserving,
        PortAllocation::Sequential { step } => Ports::Sequential(step),
        PortAllocation::Random => Ports::Random,
        PortAllocation::Block { size } => Ports::Block { size, first: None },
    };
    Card::nat(nat.mapping, nat.filtering, ports)
}

/// A host: it asks the server on a socket, and gives the socket to a puncher. Or it makes cross traffic.
#[derive(Default)]
pub(crate) struct Node {
    pub(crate) socket: Option<SocketId>,
    pub(crate) puncher: Option<Puncher>,
    /// The time of the first authentic packet of the peer.
    pub(crate) heard: Option<Instant>,
    /// The mean time between two flows.
    flows: Option<Duration>,
    next_flow: Option<Instant>,
    out: Outbox<NodeEvent>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeEvent {
    Mapped(SocketAddr),
    Punch(PunchEvent),
}

impl Node {
    pub(crate) fn ask(&mut self, cx: &mut Cx<'_>) {
        let socket = cx.next_socket();
        self.socket = Some(socket);
        let order = Open::new(socket, Protocol::Udp, at("0.0.0.0:0")).towards(at(SERVER));
        self.out.push(Output::Socket(SocketOrder::Open(order)));
    }

    pub(crate) fn punch(&mut self, cx: &mut Cx<'_>, config: PunchConfig) {
        let mut puncher = Puncher::new(config);
        puncher.command(cx, PunchCommand::Start).unwrap();
        self.puncher = Some(puncher);
    }

    /// Sends as the owner of a released socket.
    pub(crate) fn send(&mut self, transmit: Transmit) {
        self.out.push(Output::Transmit(transmit));
    }

    /// Opens the socket of the next flow, and draws the time of the flow after it.
    fn flow(&mut self, cx: &mut Cx<'_>) {
        let Some(mean) = self.flows else { return };
        if self.next_flow.is_some() {
            let order = Open::new(cx.next_socket(), Protocol::Udp, at("0.0.0.0:0")).towards(at(SERVER));
            self.out.push(Output::Socket(SocketOrder::Open(order)));
        }
        let uniform = (f64::from(cx.random_below(u32::MAX)) + 1.0) / f64::from(u32::MAX);
        self.next_flow = Some(cx.now() + mean.mul_f64(-uniform.ln()) + Duration::from_nanos(1));
    }
}

impl Machine for Node {
    type Command = Never;
    type Error = Never;
    type Event = NodeEvent;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if let Some(puncher) = &mut self.puncher {
            let verdict = puncher.handle(cx, input);
            if puncher.is_heard() {
                self.heard.get_or_insert(cx.now());
            }
            return verdict;
        }
        match input {
            Input::Socket(socket, SocketEvent::Opened { .. }) => {
                let mut buffer = [0; 20];
                let id = cx.random::<12>().into();
                let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, id).unwrap().finish();
                self.out.push(Output::Transmit(Transmit::new(socket, at(SERVER), request.to_vec().into())));
            }
            Input::Datagram(datagram) if self.flows.is_none() => {
                let mapped = Message::decode(datagram.payload).unwrap().xor_mapped_address().unwrap();
                self.out.push(Output::Event(NodeEvent::Mapped(mapped)));
            }
            Input::Timeout if self.next_flow.is_some_and(|at| at <= cx.now()) => self.flow(cx),
            Input::Datagram(_) | Input::Timeout | Input::Socket(..) => return Verdict::NotMine,
        }
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<NodeEvent> {
        if let Some(output) = self.out.pop() {
            return output;
        }
        match &mut self.puncher {
            Some(puncher) => puncher.poll().map(NodeEvent::Punch),
            None => Output::Wait(self.next_flow.map(|at| Deadline::new(at, "the next flow"))),
        }
    }
}

/// Two peers behind NATs. It is built once and reset for each run.
pub(crate) struct World {
    pub(crate) net: Net<Node>,
    pub(crate) hosts: [HostId; 2],
    pub(crate) insides: [SegmentId; 2],
    pub(crate) nats: [TranslatorConfig; 2],
    traffic: Option<(HostId, Duration)>,
    pub(crate) setup: Setup,
}

/// The variable parts of a run.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// The loss on each access link and in each direction.
    pub(crate) loss: f64,
    pub(crate) change: fn(PunchConfig) -> PunchConfig,
    /// Whether the cards hold the block of each NAT.
    pub(crate) knows_block: bool,
    /// The delay from the introduction to the first probe.
    pub(crate) delay: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self { loss: 0.0, change: |config| config, knows_block: false, delay: Duration::ZERO }
    }
}

/// The result of a run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The time from the introduction to the connection of each side.
    pub(crate) connected: [Option<Duration>; 2],
    /// The time from the introduction to the first authentic packet of the peer, each side.
    pub(crate) heard: [Option<Duration>; 2],
    pub(crate) paths: [Option<Path>; 2],
    /// The packets that each side sent since the introduction.
    pub(crate) packets: [u64; 2],
    /// The mappings that each NAT made since the introduction.
    pub(crate) mappings: [usize; 2],
    pub(crate) events: Vec<(usize, PunchEvent)>,
}

impl Run {
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.iter().all(Option::is_some)
    }

    /// The time at which each side had a packet of the other.
    pub(crate) fn punched(&self) -> Option<Duration> {
        Some(self.heard[0]?.max(self.heard[1]?))
    }

    /// The time at which both sides were connected.
    pub(crate) fn time(&self) -> Option<Duration> {
        Some(self.connected[0]?.max(self.connected[1]?))
    }
}

pub(crate) fn link() -> Link {
    Link::delay(RTT / 4)
}

impl World {
    pub(crate) fn new(nats: [TranslatorConfig; 2]) -> Self {
        let mut net = Net::new(1);
        let inside = |net: &mut Net<Node>, n: usize| {
            let outside: IpAddr = [85, 0, 0, 1 + n as u8].into();
            net.add_gateway(net.internet(), Gateway::new(["home a", "home b"][n], [outside], nats[n]), &link())
        };
        let insides = [inside(&mut net, 0), inside(&mut net, 1)];
        let hosts = [0, 1].map(|n| {
            net.add_host(insides[n], ["a", "b"][n], &[[10, n as u8, 0, 2].into()], &Link::PERFECT, Node::default())
        });
        net.add_server(net.internet(), Server::new("server", at(SERVER)), &Link::PERFECT);
        Self { net, hosts, insides, nats, traffic: None, setup: Setup::default() }
    }

    /// The same world with flows of another host behind the second NAT.
    pub(crate) fn cross_traffic(mut self, flows: u32) -> Self {
        let node = Node::default();
        let host = self.net.add_host(self.insides[1], "c", &["10.1.0.3".parse().unwrap()], &Link::PERFECT, node);
        self.traffic = Some((host, Duration::from_secs(1) / flows));
        self
    }

    /// The second peer and the host of the cross traffic, which share a network.
    pub(crate) fn housemates(&self) -> [HostId; 2] {
        [self.hosts[1], self.traffic.expect("cross traffic").0]
    }

    pub(crate) fn setup(mut self, setup: Setup) -> Self {
        self.setup = setup;
        self
    }

    /// Begins a run: both sides know their mapped addresses.
    pub(crate) fn introduce(&mut self, seed: u64) -> [SocketAddr; 2] {
        for host in self.hosts {
            self.net.replace(host, Node::default());
        }
        if let Some((host, mean)) = self.traffic {
            self.net.replace(host, Node { flows: Some(mean), ..Node::default() });
        }
        self.net.reset(seed);
        for inside in self.insides {
            self.net.set_uplink(inside, &link());
        }
        if let Some((host, _)) = self.traffic {
            self.net.with(host, Node::flow);
        }
        for host in self.hosts {
            self.net.with(host, Node::ask);
        }
        let _stop = self.net.run_for(Duration::from_millis(60));
        let mapped = self.hosts.map(|host| {
            let found = self.net.events().iter().find_map(|record| match record.event {
                NodeEvent::Mapped(mapped) if record.host == host => Some(mapped),
                NodeEvent::Mapped(_) | NodeEvent::Punch(_) => None,
            });
            found.expect("a mapped address")
        });
        self.net.take_events();
        for inside in self.insides {
            self.net.set_uplink(inside, &link().loss(self.setup.loss));
        }
        mapped
    }

    /// The configuration of one side.
    pub(crate) fn config(&self, side: usize, mapped: [SocketAddr; 2]) -> PunchConfig {
        let other = 1 - side;
        let cards = [0, 1].map(|n| {
            let mut card = card(&self.nats[n]);
            if let (Some(Ports::Block { size, .. }), true) = (card.ports, self.setup.knows_block) {
                let first = 1024 + (mapped[n].port() - 1024) / size * size;
                card.ports = Some(Ports::Block { size, first: Some(first) });
            }
            card
        });
        let peer = Peer::new(mapped[other])
            .card(cards[other].clone())
            .candidates(vec![SocketAddr::from(([10, other as u8, 0, 2], 5000))]);
        let key = SessionKey::new(b"secret", &[9; 16]);
        let socket = self.net.machine(self.hosts[side]).unwrap().socket.unwrap();
        let config = PunchConfig::new(Sockets::ipv4(socket), mapped[side], peer, key, side == 0);
        (self.setup.change)(config.own_card(cards[side].clone()).start(self.setup.delay))
    }

    pub(crate) fn start(&mut self, mapped: [SocketAddr; 2]) {
        for side in [0, 1] {
            let config = self.config(side, mapped);
            self.net.with(self.hosts[side], |node, cx| node.punch(cx, config));
        }
    }

    /// Runs an attempt until both sides are connected, one side has failed, or the time is over.
    pub(crate) fn run(&mut self, seed: u64, most: Duration) -> Run {
        let mapped = self.introduce(seed);
        let before = self.counts();
        let began = self.net.now();
        self.start(mapped);
        let mut ends = 0;
        let _stop = self.net.run_until_event(began + most, |_, event| {
            ends += usize::from(matches!(
                event,
                NodeEvent::Punch(PunchEvent::Connected { .. } | PunchEvent::Failed { .. })
            ));
            ends >= 2
        });
        // Packets in flight, and the answers to them.
        let _stop = self.net.run_for(RTT * 2);
        let after = self.counts();
        let mut run = Run {
            connected: [None; 2],
            heard: self.hosts.map(|host| self.net.machine(host).unwrap().heard.map(|at| at - began)),
            paths: [None; 2],
            packets: [0, 1].map(|n| after[n].0 - before[n].0),
            mappings: [0, 1].map(|n| after[n].1 - before[n].1),
            events: Vec::new(),
        };
        for record in self.net.take_events() {
            let Some(side) = self.hosts.iter().position(|host| *host == record.host) else { continue };
            let NodeEvent::Punch(event) = record.event else { continue };
            if let PunchEvent::Connected { path, .. } = event {
                run.connected[side].get_or_insert(record.at - began);
                run.paths[side].get_or_insert(path);
            }
            run.events.push((side, event));
        }
        run
    }

    /// The packets of each host, and the mappings of each NAT.
    pub(crate) fn counts(&self) -> [(u64, usize); 2] {
        [0, 1].map(|n| {
            let (up, _) = self.net.host_stats(self.hosts[n]);
            (up.sent, self.net.translator(self.insides[n], true).unwrap().len())
        })
    }
}
