//! Sessions: two hosts behind NATs, from the name of a room to an open path.

use super::rendezvous::laws::server_answers;
use super::world::{RTT, at, card, kind};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{
    Datagram, Either, EitherError, Input, Instant, Machine as _, Outbox, Output, SocketId, Verdict,
};
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_punch::forecast::{Budget, Conditions, Side, Strategy as PunchStrategy};
use portolan_punch::puncher::{Failure, Plan, PunchEvent};
use portolan_punch::rendezvous::{EndReason, Server, ServerConfig, room_password};
use portolan_punch::session::{Session, SessionCommand, SessionConfig, SessionEnd, SessionError, SessionEvent};
use portolan_sim::laws::{self, Footprint, StateLimit};
use portolan_sim::{Gateway, HostId, Link, Net, SegmentId};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Scripts, host};
use portolan_strategies::messages;
use proptest::prelude::{Just, prop_oneof};
use proptest::strategy::Strategy as _;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

const SERVER: &str = "50.0.0.1:3478";
const SECRET: &[u8] = b"a secret of the operator";
const ROOM: &str = "attic";

type Node = Either<Session, Server>;

struct Lab {
    net: Net<Node>,
    server: HostId,
    hosts: Vec<HostId>,
    events: Vec<(Instant, usize, SessionEvent)>,
}

fn home() -> TranslatorConfig {
    kind(Mapping::EndpointIndependent, Filtering::AddressAndPortDependent)
}

fn symmetric() -> TranslatorConfig {
    kind(Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent)
}

fn config(nat: &TranslatorConfig) -> SessionConfig {
    SessionConfig::new(at(SERVER), ROOM, &room_password(SECRET, ROOM)).card(card(nat))
}

impl Lab {
    fn new(seed: u64) -> Self {
        let mut net = Net::new(seed);
        let config = ServerConfig::new(&[7; 32]).secret(SECRET);
        let machine = Either::Second(Server::over(&config, &[SocketId(1)]).unwrap());
        let server = net.add_host(net.internet(), "server", &[at(SERVER).ip()], &Link::PERFECT, machine);
        assert!(net.open(server, at(SERVER)).is_ok());
        Self { net, server, hosts: Vec::new(), events: Vec::new() }
    }

    fn add(
        &mut self,
        nat: TranslatorConfig,
        loss: f64,
        config: impl FnOnce(SessionConfig) -> SessionConfig,
    ) -> SegmentId {
        let number = u8::try_from(self.hosts.len() + 1).unwrap();
        let gateway = Gateway::new(&format!("nat {number}"), [IpAddr::from([85, 0, 0, number])], nat);
        let inside = self.net.add_gateway(self.net.internet(), gateway, &Link::delay(RTT / 4).loss(loss));
        let own = IpAddr::from([10, 0, number, 2]);
        let machine = Either::First(Session::new(config(self::config(&nat).hosts(vec![own]))));
        let host = self.net.add_host(inside, &format!("host {number}"), &[own], &Link::PERFECT, machine);
        self.hosts.push(host);
        assert!(self.net.command(host, Either::First(SessionCommand::Start)).is_ok());
        inside
    }

    /// A host in the same network, which takes a port of the NAT for another room.
    fn add_neighbor(&mut self, inside: SegmentId, number: u8) {
        let own = IpAddr::from([10, 0, 1, 100 + number]);
        let config = SessionConfig::new(at(SERVER), "cellar", &room_password(SECRET, "cellar"));
        let machine = Either::First(Session::new(config));
        let host = self.net.add_host(inside, &format!("neighbor {number}"), &[own], &Link::PERFECT, machine);
        assert!(self.net.command(host, Either::First(SessionCommand::Start)).is_ok());
    }

    fn run(&mut self, millis: u64) {
        let _stop = self.net.run_for(Duration::from_millis(millis));
        for record in self.net.take_events() {
            let at = self.hosts.iter().position(|host| *host == record.host);
            if let (Some(at), Either::First(event)) = (at, record.event) {
                self.events.push((record.at, at, event));
            }
        }
    }

    fn session(&self, at: usize) -> &Session {
        self.net.machine(self.hosts[at]).unwrap().as_first().unwrap()
    }

    fn is_connected(&self) -> bool {
        (0..2).all(|at| self.session(at).path().is_some())
    }

    fn end(&self, at: usize) -> Option<&SessionEnd> {
        self.events.iter().find_map(|(_, known, event)| {
            let SessionEvent::Ended(why) = event else { return None };
            (*known == at).then_some(why)
        })
    }

    fn command(&mut self, at: usize, command: SessionCommand) -> Result<(), SessionError> {
        match self.net.command(self.hosts[at], Either::First(command)) {
            Ok(()) => Ok(()),
            Err(EitherError::First(why)) => Err(why),
            Err(other) => panic!("{other}"),
        }
    }

    /// Whether a socket of a host is bound to this port. NATs of the lab preserve ports.
    fn is_open(&mut self, at: usize, port: u16) -> bool {
        let own = IpAddr::from([10, 0, u8::try_from(at + 1).unwrap(), 2]);
        self.net.open(self.hosts[at], SocketAddr::new(own, port)).is_err()
    }

    /// The plans, in the order of the hosts.
    fn plans(&self) -> impl Iterator<Item = Plan> {
        let of = |event: &SessionEvent| {
            let SessionEvent::Punch(PunchEvent::Planned(plan)) = event else { return None };
            Some(**plan)
        };
        let hosts = 0..self.hosts.len();
        hosts.flat_map(move |host| {
            self.events.iter().filter(move |(_, at, _)| *at == host).filter_map(move |(.., event)| of(event))
        })
    }

    fn registrations(&self) -> u32 {
        self.net.machine(self.server).unwrap().as_second().unwrap().registrations()
    }
}

#[test]
fn two_hosts_of_a_room_connect_and_leave_the_room() {
    let mut lab = Lab::new(1);
    lab.add(home(), 0.0, |config| config);
    lab.run(2_000);
    lab.add(home(), 0.0, |config| config);
    lab.run(1_500);
    assert!(lab.is_connected(), "{:#?}", lab.events);
    assert_eq!(lab.registrations(), 0, "both have left");
    // The path outlives the registration.
    lab.run(300_000);
    assert!(lab.is_connected() && lab.end(0).is_none() && lab.end(1).is_none());
}

#[test]
fn with_loss_of_one_fifth_every_session_connects() {
    for seed in 0..100 {
        let mut lab = Lab::new(seed);
        lab.add(home(), 0.2, |config| config);
        lab.add(kind(Mapping::EndpointIndependent, Filtering::AddressDependent), 0.2, |config| config);
        for _ in 0..40 {
            lab.run(500);
            if lab.is_connected() {
                break;
            }
        }
        assert!(lab.is_connected(), "seed {seed}: {:#?}", lab.events);
    }
}

#[test]
fn after_a_release_the_session_sends_nothing() {
    let mut lab = Lab::new(1);
    lab.add(home(), 0.0, |config| config);
    lab.add(home(), 0.0, |config| config);
    lab.run(2_000);
    assert!(lab.is_connected());
    assert_eq!(lab.command(0, SessionCommand::Release), Ok(()));
    lab.run(10);
    assert_eq!(lab.end(0), Some(&SessionEnd::Released));
    assert_eq!(lab.command(0, SessionCommand::Release), Err(SessionError::Ended));
    let before = lab.net.host_stats(lab.hosts[0]).0;
    let port = lab.session(1).path().unwrap().remote.port();
    lab.run(60_000);
    assert_eq!(lab.net.host_stats(lab.hosts[0]).0, before, "nothing is sent");
    assert!(lab.is_open(0, port), "the owner has the socket");
}

#[test]
fn each_end_has_its_reason_in_time() {
    // No peer comes.
    let mut lab = Lab::new(1);
    lab.add(home(), 0.0, |config| config.wait(Duration::from_secs(5)));
    lab.run(6_500);
    assert_eq!(lab.end(0), Some(&SessionEnd::Rendezvous(EndReason::NoPeer)));
    // A third host.
    let mut lab = Lab::new(2);
    for _ in 0..3 {
        lab.add(symmetric(), 0.0, |config| config);
    }
    lab.run(600);
    let full = Some(&SessionEnd::Rendezvous(EndReason::RoomFull));
    assert_eq!((0..3).filter(|at| lab.end(*at) == full).count(), 1, "{:#?}", lab.events);
    // Two symmetric NATs without a path.
    lab.run(30_000);
    let ended = (0..3).filter_map(|at| lab.end(at));
    let failed: Vec<_> = ended.filter(|end| matches!(end, SessionEnd::NotConnected { .. })).collect();
    assert_eq!(failed.len(), 2, "{:#?}", lab.events);
    assert!(failed.iter().all(|end| matches!(end, SessionEnd::NotConnected { why: Failure::NoAnswer, .. })));
    assert_eq!(lab.registrations(), 0);
    // A dead rendezvous.
    let mut lab = Lab::new(3);
    lab.add(home(), 1.0, |config| config);
    lab.run(12_000);
    assert!(matches!(lab.end(0), Some(SessionEnd::Rendezvous(EndReason::NoAnswer { .. }))), "{:#?}", lab.events);
    // A false password.
    let mut lab = Lab::new(4);
    lab.add(home(), 0.0, |_| SessionConfig::new(at(SERVER), ROOM, "false"));
    lab.run(2_000);
    assert_eq!(lab.end(0), Some(&SessionEnd::Rendezvous(EndReason::WrongSecret)));
}

/// The public endpoint was old when the peer came: the NAT had assigned forty ports since, more than any window.
#[test]
fn a_session_that_waited_behind_a_sequential_nat_is_predicted_from_a_fresh_port() {
    let sequential = symmetric().ports(PortAllocation::Sequential { step: 1 });
    for (seed, loss) in [(1, 0.0), (2, 0.0), (3, 0.1), (4, 0.1), (5, 0.1)] {
        let mut lab = Lab::new(seed);
        let inside = lab.add(sequential, loss, |config| config.may_guess(true));
        lab.run(20_000);
        (1..=40).for_each(|number| lab.add_neighbor(inside, number));
        lab.run(2_000);
        lab.add(home(), loss, |config| config.may_guess(true));
        lab.run(6_000);
        assert!(lab.is_connected(), "seed {seed}: {:#?}", lab.events);
        let tried = lab.events.iter().filter_map(|(.., event)| {
            let SessionEvent::Punch(PunchEvent::Trying(strategy)) = event else { return None };
            Some(strategy)
        });
        let tried: Vec<_> = tried.collect();
        assert!(tried.iter().all(|strategy| matches!(strategy, PunchStrategy::Predict { .. })), "{tried:?}");
        // The old socket is closed, and the path is on the new one.
        let registered: Vec<SocketAddr> = lab
            .events
            .iter()
            .filter_map(|(_, at, event)| {
                let SessionEvent::Registered { reflexive } = event else { return None };
                (*at == 0).then_some(*reflexive)
            })
            .collect();
        assert!(registered.len() == 2 && registered[1].port() >= registered[0].port() + 40, "{registered:?}");
    }
}

/// A peer leaves before a path is open, and another one takes its place.
#[test]
fn a_session_punches_to_the_peer_that_was_introduced_last() {
    let mut lab = Lab::new(1);
    lab.add(home(), 0.0, |config| config);
    lab.run(2_000);
    lab.add(symmetric(), 0.0, |config| config);
    lab.run(400);
    let introduced = |event: &SessionEvent| matches!(event, SessionEvent::Introduced { card: Some(_), .. });
    assert!(lab.events.iter().any(|(_, at, event)| *at == 0 && introduced(event)), "{:#?}", lab.events);
    assert_eq!(lab.command(1, SessionCommand::Close), Ok(()));
    lab.run(100);
    lab.add(home(), 0.0, |config| config);
    lab.run(2_000);
    assert!(lab.session(0).path().is_some() && lab.session(2).path().is_some(), "{:#?}", lab.events);
}

#[test]
fn closing_leaves_the_room_and_closes_the_sockets() {
    let mut lab = Lab::new(1);
    lab.add(home(), 0.0, |config| config);
    lab.run(500);
    assert_eq!((lab.registrations(), lab.command(0, SessionCommand::Close)), (1, Ok(())));
    lab.run(500);
    assert_eq!((lab.registrations(), lab.end(0)), (0, Some(&SessionEnd::Closed)));
    let registered = lab.events.iter().find_map(|(.., event)| {
        let SessionEvent::Registered { reflexive } = event else { return None };
        Some(*reflexive)
    });
    assert!(!lab.is_open(0, registered.unwrap().port()), "the socket is closed");
    assert_eq!(lab.command(0, SessionCommand::Start), Err(SessionError::Ended));
}

#[test]
fn a_session_keeps_the_laws() {
    let remotes: [SocketAddr; 3] = [at(SERVER), at("203.0.113.9:5000"), at("203.0.113.10:5000")];
    let commands = ["start", "release", "close", "start"].map(String::from);
    let payloads = prop_oneof![messages::nearly_valid(messages::message()), Just(vec![0x80, 1, 2, 3])];
    let scripts = Scripts::new(payloads)
        .sockets(&[1, 2, 3].map(SocketId))
        .remotes(&remotes)
        .locals(&[at("10.0.0.7:40000")])
        .beginning_with(&"start".to_owned())
        .commands(proptest::sample::select(commands.to_vec()));
    let peer = host(at("10.0.0.7:40000"), |choices, sent| match sent.remote {
        remote if remote == at(SERVER) => server_answers(choices, sent),
        _ => vec![],
    });
    let mut laws = LawsConfig { cases: 64, longest: 120, peer, ..LawsConfig::default() };
    laws.context.terminal = |event| matches!(event, SessionEvent::Ended(_));
    laws.context.state = Some(|session| format!("{session:?}"));
    laws.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 120_000, tables: 8_000 }));
    let hosts = vec!["10.0.0.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
    let new = || Session::new(config(&home()).hosts(hosts.clone()));
    assert_laws(&new, &scripts, &laws);
    // Runs reach the puncher, so that the laws are about more than errors.
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
    let mut planned = 0;
    for _ in 0..100 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let steps = conversation(&new, &script, &laws);
        let (_, played) = laws::record(new(), &steps, &laws.context);
        let mut outputs = played.iter().flat_map(|played| &played.outputs);
        planned += usize::from(outputs.any(|output| matches!(output, Output::Event(SessionEvent::Punch(_)))));
    }
    assert!(planned >= 10, "{planned}");
}

/// The budget holds for the pair: both hosts plan with the smaller number of each limit.
#[test]
fn hosts_with_different_budgets_have_one_plan() {
    let random = kind(Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent);
    let with = |mappings, sessions, rate| {
        let budget = Budget { mappings, sessions, rate };
        move |config: SessionConfig| config.may_guess(true).conditions(Conditions { budget, ..Conditions::default() })
    };
    let mut lab = Lab::new(1);
    lab.add(random, 0.0, with(100, 2048, 60));
    lab.add(home(), 0.0, with(512, 900, 80));
    lab.run(2_000);
    let plans: Vec<Plan> = lab.plans().collect();
    let [one, other] = plans.as_slice() else { panic!("{:#?}", lab.events) };
    let agreed = Budget { mappings: 100, sessions: 900, rate: 60 };
    assert_eq!((one.budget, other.budget), (agreed, agreed));
    let PunchStrategy::Birthday { hard: Side::Own, sockets, probes, .. } = one.forecast.strategy else {
        panic!("{one:?}")
    };
    assert!(sockets < 100 && probes < 900, "{one:?}");
    let same = PunchStrategy::Birthday { hard: Side::Peer, sockets, probes, first: 1024, last: u16::MAX };
    assert_eq!((other.forecast.strategy, one.lasts), (same, other.lasts));
    assert_eq!((one.forecast.own, one.forecast.peer), (other.forecast.peer, other.forecast.own));
    // Nothing exceeds the plan.
    lab.run(60_000);
    for (at, plan) in plans.iter().enumerate() {
        let used = lab.session(at).usage();
        assert!(used.mappings <= plan.limit.mappings && used.sessions <= plan.limit.sessions, "{used:?} {plan:?}");
        assert!(used.packets > 0);
    }
}

/// A guess needs both hosts: one host alone opens no sockets and sends to no guessed port.
#[test]
fn ports_are_guessed_only_if_both_hosts_allow_it() {
    for (allowed, expected) in [([true, true], true), ([true, false], false), ([false, true], false)] {
        let mut lab = Lab::new(1);
        lab.add(symmetric(), 0.0, |config| config.may_guess(allowed[0]));
        lab.add(home(), 0.0, |config| config.may_guess(allowed[1]));
        lab.run(2_000);
        assert!(lab.plans().all(|plan| plan.may_guess == expected), "{:#?}", lab.events);
        let tries = |event: &SessionEvent| {
            let SessionEvent::Punch(PunchEvent::Trying(strategy)) = event else { return None };
            Some(strategy.is_guess())
        };
        let first: Vec<bool> = lab.events.iter().filter_map(|(.., event)| tries(event)).take(2).collect();
        assert_eq!(first, [expected; 2], "{:#?}", lab.events);
    }
}

/// The reserve of the queue: a peer that floods a session whose owner does not poll cannot fill the memory.
#[test]
fn a_flood_without_a_drain_leaves_no_more_outputs_than_the_queue_takes() {
    let mut lab = Lab::new(1);
    lab.add(home(), 0.0, |config| config);
    lab.add(home(), 0.0, |config| config);
    lab.run(3_000);
    let path = lab.session(0).path().unwrap();
    let local = lab.session(0).local(path.socket).unwrap();
    let outputs = lab.net.with(lab.hosts[0], |node, cx| {
        for _ in 0..2_000 {
            let datagram = Datagram::new(path.socket, local, path.remote, b"\x80data");
            assert_eq!(node.handle(cx, Input::Datagram(datagram)), Verdict::Mine);
        }
        core::iter::from_fn(|| match node.poll() {
            Output::Wait(_) => None,
            output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => Some(output),
        })
        .count()
    });
    let outputs = outputs.unwrap();
    assert!((100..=Outbox::<SessionEvent>::LIMIT).contains(&outputs), "{outputs} outputs");
}

/// A second introduction replaces the puncher. The sockets of its guess are closed.
#[test]
fn a_second_introduction_closes_the_sockets_of_the_first_guess() {
    let mut lab = Lab::new(1);
    lab.add(symmetric(), 0.0, |config| config.may_guess(true));
    lab.run(2_000);
    lab.add(home(), 0.0, |config| config.may_guess(true));
    lab.run(450);
    let guess = |session: &Session| {
        let sockets: Vec<SocketId> = (1..2_000).map(SocketId).filter(|id| session.local(*id).is_some()).collect();
        sockets.iter().map(|id| session.local(*id).unwrap().port()).collect::<Vec<_>>()
    };
    let opened = guess(lab.session(0));
    assert!(opened.len() > 100, "{} sockets", opened.len());
    assert_eq!(lab.command(1, SessionCommand::Close), Ok(()));
    lab.run(100);
    // The new peer is open, so nothing is guessed.
    lab.add(kind(Mapping::EndpointIndependent, Filtering::EndpointIndependent), 0.0, |config| config);
    lab.run(3_000);
    assert!(lab.session(0).path().is_some() && lab.session(2).path().is_some(), "{:#?}", lab.events);
    let kept = guess(lab.session(0));
    assert_eq!(kept.len(), 1, "{kept:?}");
    let closed: Vec<u16> = opened.into_iter().filter(|port| !kept.contains(port)).collect();
    let open = closed.iter().filter(|port| lab.is_open(0, **port)).count();
    assert_eq!(open, 0, "of {} sockets", closed.len());
}

/// A silent rendezvous cannot tell whether a peer is there, so its silence is the reason, also after a short wait.
#[test]
fn a_silent_rendezvous_is_the_reason_even_if_the_wait_ends_first() {
    let mut lab = Lab::new(1);
    lab.add(home(), 1.0, |config| config.wait(Duration::from_secs(2)));
    lab.run(2_500);
    assert!(matches!(lab.end(0), Some(SessionEnd::Rendezvous(EndReason::NoAnswer { .. }))), "{:#?}", lab.events);
}
