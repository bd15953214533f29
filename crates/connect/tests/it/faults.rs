//! Injected faults: each session that fails gives a reason, and the reports of the two sides name the fault.

use crate::pair::{ONE, Side};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_connect::{ConnectConfig, ConnectEvent, Connection};
use portolan_ice::gather::Interface;
use portolan_ice::{AgentConfig, AgentState, Credentials, GatherConfig, Policy, RemoteDescription};
use portolan_machine::{Cx, Either, Instant};
use portolan_nat::translator::TranslatorConfig;
use portolan_sdp::candidate::CandidateAttribute;
use portolan_sim::server::Fault as ServerFault;
use portolan_sim::{Barrier, Gateway, HostId, Link, Net, SegmentId};
use portolan_stun_agent::{Authenticator, Credential, Users};
use portolan_turn::{ClientConfig, Server, ServerCommand, ServerConfig, ServerLimits};

type Node = Either<Connection, Server>;

const SERVER: &str = "50.0.0.1:3478";
/// A server with a mapped address that no host on a network has.
const LYING: &str = "50.0.0.2:3478";
/// An address without a host.
const DEAD: &str = "50.0.0.3:3478";
/// A host without a server.
const CLOSED: &str = "50.0.0.1:9";
const RTT: Duration = Duration::from_millis(40);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    UdpBlockedLeft,
    UdpBlockedRight,
    SymmetricWithoutRelay,
    TurnDead,
    TurnRefused,
    TurnPassword,
    TurnQuota,
    TurnForbidden,
    StunDead,
    StunMapped,
    NoDescription,
    NoRemoteCandidates,
    WrongPassword,
    NoInterface,
    NoCommonFamily,
    CutAfterSelection,
    InterfaceLostAfterSelection,
    PeerClosedAfterSelection,
    NothingArrivesLeft,
    CutWhileNominating,
    NeverNominated,
    PeerGone,
}

impl Fault {
    const ALL: [Self; 22] = [
        Self::UdpBlockedLeft,
        Self::UdpBlockedRight,
        Self::SymmetricWithoutRelay,
        Self::TurnDead,
        Self::TurnRefused,
        Self::TurnPassword,
        Self::TurnQuota,
        Self::TurnForbidden,
        Self::StunDead,
        Self::StunMapped,
        Self::NoDescription,
        Self::NoRemoteCandidates,
        Self::WrongPassword,
        Self::NoInterface,
        Self::NoCommonFamily,
        Self::CutAfterSelection,
        Self::InterfaceLostAfterSelection,
        Self::PeerClosedAfterSelection,
        Self::NothingArrivesLeft,
        Self::CutWhileNominating,
        Self::NeverNominated,
        Self::PeerGone,
    ];

    /// The parts of the left and right report that name the fault.
    const fn named_by(self) -> [&'static [&'static str]; 2] {
        match self {
            Self::UdpBlockedLeft => {
                [&["stun: no response", "failed-all-pairs", "no check of the peer arrived"], &["failed-all-pairs"]]
            }
            Self::UdpBlockedRight => {
                [&["failed-all-pairs"], &["stun: no response", "failed-all-pairs", "no check of the peer arrived"]]
            }
            Self::SymmetricWithoutRelay => [&["failed-all-pairs", "no pair used a relay"]; 2],
            Self::TurnDead => [&["to 50.0.0.3:3478: no response", "no pair used a relay"]; 2],
            Self::TurnRefused => [&["no socket listens on the port", "no pair used a relay"]; 2],
            Self::TurnPassword => [&["the server refuses this user name", "no pair used a relay"]; 2],
            Self::TurnQuota => [&["error 486", "no pair used a relay"]; 2],
            Self::TurnForbidden => [&["forbidden by a filter"], &[]],
            Self::StunDead => [&["stun: not reachable", "no pair used a relay"]; 2],
            Self::StunMapped => [&["is not that of a host", "no pair used a relay"]; 2],
            Self::NoDescription => [&["failed-no-remote-description"], &[]],
            Self::NoRemoteCandidates => [&["failed-no-remote-candidate"], &[]],
            Self::WrongPassword => [&["refuse the credentials (error 401)"], &[]],
            Self::NoInterface => [&["failed-no-local-candidate"], &["failed-no-remote-candidate"]],
            Self::NoCommonFamily => [&["failed-no-common-family"]; 2],
            Self::CutAfterSelection => [&["failed-consent-expired"]; 2],
            Self::InterfaceLostAfterSelection => [&["failed-local-removed"], &["failed-consent-expired"]],
            Self::PeerClosedAfterSelection => [&["failed-consent"], &[]],
            Self::NothingArrivesLeft => [&["no check of the peer arrived"], &["checks of the peer arrived"]],
            Self::CutWhileNominating => [&["nominating check"], &["nominated no pair"]],
            Self::NeverNominated => [&["failed-not-nominated"], &[]],
            Self::PeerGone => [&["failed-all-pairs", "no check of the peer arrived"], &[]],
        }
    }
}

/// One session with a fault.
struct Session {
    fault: Fault,
    net: Net<Node>,
    hosts: [HostId; 2],
    inside: [SegmentId; 2],
    /// The report of each side, for a reader.
    reports: [Vec<String>; 2],
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn server(fault: Fault) -> Server {
    let mut users = Users::long_term("example.org");
    users.add("ann", "secret").unwrap();
    let credentials = Authenticator::long_term("example.org", &[7; 32], users).unwrap();
    let mut config = ServerConfig::new(credentials).listen_udp(address(SERVER)).relay(address(SERVER).ip()).rate(None);
    if fault == Fault::TurnQuota {
        let mut limits = ServerLimits::default();
        limits.allocations_per_user = 0;
        config = config.limits(limits);
    }
    Server::new(&config).unwrap()
}

fn config(fault: Fault, side: Side, policy: Policy) -> ConnectConfig {
    let stun = match fault {
        Fault::StunDead => DEAD,
        Fault::StunMapped => LYING,
        _ => SERVER,
    };
    let mut config = ConnectConfig::new()
        .agent(AgentConfig::new().policy(policy).description_timeout(Duration::from_secs(60)))
        .gather(GatherConfig::new().server(address(stun)));
    let (turn, password) = match fault {
        Fault::TurnDead => (DEAD, "secret"),
        Fault::TurnRefused => (CLOSED, "secret"),
        Fault::TurnPassword => (SERVER, "false"),
        Fault::TurnQuota | Fault::TurnForbidden => (SERVER, "secret"),
        _ => return config,
    };
    config = config.turn(ClientConfig::new(address(turn), Credential::long_term("ann", password)));
    if fault == Fault::TurnForbidden && side == Side::Left { config.relay_only() } else { config }
}

impl Session {
    fn new(fault: Fault, seed: u64, policy: Policy, loss: f64) -> Self {
        let mut net = Net::new(seed);
        let internet = net.internet();
        let own =
            net.add_host(internet, "server", &[address(SERVER).ip()], &Link::PERFECT, Either::Second(server(fault)));
        net.set_rejects(own, true);
        assert!(net.command(own, Either::Second(ServerCommand::Start)).is_ok());
        let lying = portolan_sim::Server::new("lying", address(LYING))
            .fault(ServerFault::WrongMappedAddress(address("127.0.0.1:5000")));
        net.add_server(internet, lying, &Link::PERFECT);
        let mut inside = [internet; 2];
        let hosts = Side::BOTH.map(|side| {
            let number = side as u8 + 1;
            let barrier = match fault {
                Fault::UdpBlockedLeft if side == Side::Left => Barrier::UDP_BLOCKED,
                Fault::UdpBlockedRight if side == Side::Right => Barrier::UDP_BLOCKED,
                Fault::SymmetricWithoutRelay
                | Fault::TurnDead
                | Fault::TurnRefused
                | Fault::TurnPassword
                | Fault::TurnQuota => TranslatorConfig::symmetric().into(),
                _ => TranslatorConfig::home().into(),
            };
            let outside = IpAddr::from([85, 0, 0, number]);
            let gateway = Gateway::new(&format!("nat {number}"), [outside], barrier);
            inside[side as usize] = net.add_gateway(internet, gateway, &Link::delay(RTT / 2).loss(loss));
            let machine = Either::First(Connection::new(config(fault, side, policy)).unwrap());
            let own = IpAddr::from([10, 0, number, 2]);
            net.add_host(inside[side as usize], &format!("host {number}"), &[own], &Link::PERFECT, machine)
        });
        Self { fault, net, hosts, inside, reports: [Vec::new(), Vec::new()] }
    }

    fn with<R>(&mut self, side: Side, call: impl FnOnce(&mut Connection, &mut Cx<'_>) -> R) -> R {
        self.net.with(self.hosts[side as usize], |node, cx| call(node.as_first_mut().unwrap(), cx)).unwrap()
    }

    fn connection(&self, side: Side) -> &Connection {
        self.net.machine(self.hosts[side as usize]).unwrap().as_first().unwrap()
    }

    fn start(&mut self) {
        let controlling = if self.fault == Fault::NeverNominated { Side::Right } else { Side::Left };
        for side in Side::BOTH {
            self.with(side, |connection, cx| connection.start(cx, side == controlling)).unwrap();
        }
        for from in Side::BOTH {
            let own = self.connection(from).agent().credentials().unwrap().clone();
            let to = from.other();
            let description = match self.fault {
                Fault::NoDescription if to == Side::Left => continue,
                Fault::WrongPassword if to == Side::Left => {
                    RemoteDescription::new(Credentials::new(own.ufrag(), "anotherPasswordOf22Chr").unwrap())
                }
                _ => RemoteDescription::new(own),
            };
            self.with(to, |connection, cx| connection.set_remote(cx, 0, description)).unwrap();
        }
        for side in Side::BOTH {
            let own = IpAddr::from([10, 0, side as u8 + 1, 2]);
            let interfaces = if self.fault == Fault::NoInterface && side == Side::Left {
                vec![]
            } else {
                vec![Interface::new("eth0", own).default_route()]
            };
            self.with(side, |connection, cx| connection.set_interfaces(cx, interfaces)).unwrap();
        }
    }

    /// What the signalling path delivers of a candidate.
    fn signalled(&self, to: Side, candidate: &CandidateAttribute) -> Option<CandidateAttribute> {
        match self.fault {
            Fault::NoRemoteCandidates if to == Side::Left => None,
            Fault::NoCommonFamily => {
                Some(format!("1 1 UDP 2130706431 2600:1::{} 5000 typ host", to as u8 + 1).parse().unwrap())
            }
            // Only the host candidate, whose address the policy of the relay forbids.
            Fault::TurnForbidden if to == Side::Left && !candidate.to_string().contains("typ host") => None,
            _ => Some(candidate.clone()),
        }
    }

    fn carry(&mut self) {
        for record in self.net.take_events() {
            let Either::First(event) = record.event else { continue };
            let side = if record.host == self.hosts[0] { Side::Left } else { Side::Right };
            let other = side.other();
            let line = match &event {
                ConnectEvent::LocalCandidate { stream, candidate } => {
                    if let Some(candidate) = self.signalled(other, candidate) {
                        let _added = self.with(other, |connection, cx| connection.add_remote(cx, *stream, &candidate));
                    }
                    continue;
                }
                ConnectEvent::EndOfCandidates(_) => {
                    let _ended = self.with(other, |connection, cx| connection.end_remote(cx, 0));
                    continue;
                }
                ConnectEvent::ServerFailed(failed) => format!("stun: {}", failed.why),
                ConnectEvent::RelayFailed(failure) => {
                    failure.steps.iter().map(|step| format!("turn: {step}\n")).collect()
                }
                ConnectEvent::Failed(why) => {
                    format!("{}: {why}", why.code())
                }
                _ => continue,
            };
            self.reports[side as usize].push(line);
        }
    }

    fn run_until(&mut self, end: Duration, mut is_done: impl FnMut(&Self) -> bool) {
        let end = Instant::from_origin(end);
        loop {
            self.carry();
            if is_done(self) || self.net.step().is_none_or(|at| at > end) {
                return self.carry();
            }
        }
    }

    fn is_selected(&self) -> bool {
        Side::BOTH.into_iter().all(|side| self.connection(side).agent().selected(ONE).is_some())
    }

    fn cut(&mut self) {
        for inside in self.inside {
            self.net.set_uplink(inside, &Link::PERFECT.loss(1.0));
        }
    }

    /// Runs the session, injects the fault, and waits for the end of the sides that have to fail.
    fn play(&mut self) {
        self.start();
        let soon = Duration::from_secs(10);
        match self.fault {
            Fault::CutAfterSelection => {
                self.run_until(soon, Self::is_selected);
                self.cut();
            }
            Fault::InterfaceLostAfterSelection => {
                self.run_until(soon, Self::is_selected);
                self.with(Side::Left, |connection, cx| connection.set_interfaces(cx, vec![])).unwrap();
            }
            Fault::PeerClosedAfterSelection => {
                self.run_until(soon, Self::is_selected);
                self.with(Side::Right, Connection::close).unwrap();
            }
            Fault::NothingArrivesLeft => {
                // After the answer of the STUN server.
                self.run_until(Duration::from_millis(45), |_| false);
                let mut link = Link::delay(RTT / 2);
                link.down.loss = 1.0;
                self.net.set_uplink(self.inside[0], &link);
            }
            Fault::CutWhileNominating => {
                self.run_until(soon, |session| {
                    session.connection(Side::Left).agent().pairs().any(|pair| pair.is_valid)
                });
                self.cut();
            }
            Fault::NeverNominated => {
                self.run_until(soon, |session| {
                    session.connection(Side::Left).agent().pairs().any(|pair| pair.is_valid)
                });
                self.with(Side::Right, Connection::close).unwrap();
            }
            Fault::PeerGone => {
                // The peer has signalled its candidates, and has not checked yet.
                self.run_until(Duration::from_millis(42), |_| false);
                self.with(Side::Right, Connection::close).unwrap();
            }
            _ => {}
        }
        let awaited: Vec<Side> =
            Side::BOTH.into_iter().filter(|side| !self.fault.named_by()[*side as usize].is_empty()).collect();
        self.run_until(Duration::from_secs(200), |session| {
            awaited.iter().all(|side| session.connection(*side).agent().state() == AgentState::Failed)
        });
    }
}

#[test]
fn each_of_220_failed_sessions_has_a_reason_and_nearly_all_name_the_fault() {
    let (mut sessions, mut misses) = (0, Vec::new());
    for fault in Fault::ALL {
        for (policy, seeds) in [(Policy::Textbook, 0..5), (Policy::Browserlike, 5..10)] {
            for seed in seeds {
                sessions += 1;
                let loss = if seed % 5 < 3 { 0.0 } else { 0.02 };
                let mut session = Session::new(fault, seed, policy, loss);
                session.play();
                for side in Side::BOTH {
                    let (names, report) = (fault.named_by()[side as usize], session.reports[side as usize].join("\n"));
                    let name = format!("{fault:?} {policy:?} seed {seed} {side:?}: {report}");
                    assert!(names.is_empty() || report.contains("failed-"), "no reason: {name}");
                    if !names.iter().all(|part| report.contains(part)) {
                        misses.push(name);
                    }
                }
            }
        }
    }
    assert_eq!(sessions, 220);
    assert!(misses.len() * 100 <= sessions * 5, "{} of {sessions}: {}", misses.len(), misses.join("\n\n"));
}
