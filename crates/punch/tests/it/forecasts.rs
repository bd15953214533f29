//! The probability of a forecast is the share of simulated runs that connect, for each strategy, without and with loss.
//!
//! Each case has 200 runs, or 1,000 if its probability is not near 0 or 1; `PUNCH_RUNS=all` gives 1,000 runs to each.

use super::world::{Node, NodeEvent, RTT, Setup, World, card, kind};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_punch::card::Card;
use portolan_punch::forecast::{Budget, Conditions, forecast};
use portolan_punch::puncher::{Peer, PunchConfig, PunchEvent, SessionKey, Sockets};
use portolan_sim::{Gateway, HostId, Link, Net};

const EIM: Mapping = Mapping::EndpointIndependent;
const APDM: Mapping = Mapping::AddressAndPortDependent;
const EIF: Filtering = Filtering::EndpointIndependent;
const ADF: Filtering = Filtering::AddressDependent;
const APDF: Filtering = Filtering::AddressAndPortDependent;

/// The loss on each access link, and the loss of a path over two of them in thousandths.
const LOSSES: [(f64, u16); 4] = [(0.0, 0), (0.05, 98), (0.1, 190), (0.2, 360)];

fn runs() -> u64 {
    if std::env::var_os("PUNCH_RUNS").is_some() { 1000 } else { 200 }
}

fn conditions(loss: u16) -> Conditions {
    Conditions { loss, ..Conditions::default() }
}

fn small(loss: u16) -> Conditions {
    Conditions { budget: Budget { mappings: 80, sessions: 500, rate: 100 }, ..conditions(loss) }
}

/// A fault of the model is visible if the probability is neither near 0 nor near 1.
fn tiny(loss: u16) -> Conditions {
    Conditions { budget: Budget { mappings: 60, sessions: 60, rate: 100 }, ..conditions(loss) }
}

fn change<const LOSS: usize, const BUDGET: usize>(config: PunchConfig) -> PunchConfig {
    let (_, loss) = LOSSES[LOSS];
    let conditions = [conditions, small, tiny][BUDGET](loss);
    config.may_guess(true).conditions(conditions)
}

type Change = fn(PunchConfig) -> PunchConfig;

const CHANGES: [[Change; 3]; 4] = [
    [change::<0, 0>, change::<0, 1>, change::<0, 2>],
    [change::<1, 0>, change::<1, 1>, change::<1, 2>],
    [change::<2, 0>, change::<2, 1>, change::<2, 2>],
    [change::<3, 0>, change::<3, 1>, change::<3, 2>],
];

/// A pair of NATs, its budget, the flows of cross traffic in a second, and the time of its first strategy.
struct Case {
    nats: [TranslatorConfig; 2],
    budget: usize,
    flows: u32,
    lasts: Duration,
    strategy: &'static str,
}

fn cases() -> Vec<Case> {
    let cone = kind(EIM, APDF);
    let hard = |ports| kind(APDM, APDF).ports(ports);
    let case = |nats, strategy| Case { nats, budget: 0, flows: 0, lasts: Duration::from_secs(10), strategy };
    let guess = |ports, lasts, budget, strategy| Case {
        budget,
        lasts: Duration::from_millis(lasts),
        ..case([cone, hard(ports)], strategy)
    };
    vec![
        case([cone, cone], "simultaneous"),
        case([kind(EIM, EIF), kind(APDM, APDF)], "reversal"),
        case([kind(EIM, ADF), kind(APDM, APDF)], "answer-source"),
        case([kind(APDM, EIF), kind(APDM, ADF)], "answer-source"),
        case([kind(APDM, APDF), kind(APDM, APDF)], "simultaneous"),
        Case { flows: 10, ..guess(PortAllocation::Sequential { step: 1 }, 3000, 0, "predict") },
        guess(PortAllocation::Preserving, 3000, 0, "predict"),
        guess(PortAllocation::Random, 16_000, 0, "birthday"),
        guess(PortAllocation::Random, 7000, 1, "birthday"),
        guess(PortAllocation::Block { size: 2048 }, 3000, 0, "birthday"),
        guess(PortAllocation::Block { size: 2048 }, 2000, 2, "birthday"),
    ]
}

#[test]
fn each_probability_is_the_share_of_simulated_runs() {
    for case in cases() {
        for (place, (loss, path)) in LOSSES.into_iter().enumerate() {
            let delay = if case.flows > 0 { Duration::from_millis(300) } else { Duration::ZERO };
            let setup = Setup { loss, change: CHANGES[place][case.budget], knows_block: true, delay };
            let mut world = World::new(case.nats);
            if case.flows > 0 {
                world = world.cross_traffic(case.flows);
            }
            let mut world = world.setup(setup);
            let runs = if case.budget > 0 { 1000 } else { runs() };
            let (mut connected, mut planned) = (0.0, None);
            for seed in 0..runs {
                let run = world.run(seed, case.lasts + delay);
                connected += f64::from(u8::from(run.is_connected()));
                planned = planned.or_else(|| {
                    run.events.iter().find_map(|(_, event)| {
                        let PunchEvent::Planned(plan) = event else { return None };
                        Some(plan.forecast)
                    })
                });
            }
            let (share, planned) = (connected / runs as f64, planned.unwrap());
            let probability = planned.probability.unwrap();
            let pair = format!("{} {}, loss {loss}", case.strategy, case.nats[1].allocation);
            println!("{pair} (path {path}/1000): forecast {probability:.3}, {share:.3} of {runs} runs");
            assert_eq!(planned.strategy.as_str(), case.strategy);
            assert!((probability - share).abs() <= 0.05, "{pair}: forecast {probability}, {share} of {runs} runs");
        }
    }
}

/// Whether each host is connected.
fn are_connected(net: &Net<Node>, hosts: [HostId; 2]) -> bool {
    let is_connected = |event: &NodeEvent| matches!(event, NodeEvent::Punch(PunchEvent::Connected { .. }));
    let has_one = |host| net.events().iter().any(|record| record.host == host && is_connected(&record.event));
    hosts.into_iter().all(has_one)
}

/// Two firewalls without translation.
#[test]
fn the_probability_over_ipv6_is_the_share_of_simulated_runs() {
    let firewall = TranslatorConfig::firewall(APDF);
    let own: Card = "nat1,4=absent,6=apdf".parse().unwrap();
    let local = |n: u16| SocketAddr::from(([0x2001, 0xdb8, n + 1, 0, 0, 0, 0, 2], 5000));
    for (loss, path) in LOSSES {
        let mut connected = 0.0;
        for seed in 0..runs() {
            let mut net = Net::new(seed);
            let hosts = [0, 1].map(|n: u16| {
                let link = Link::delay(RTT / 4).loss(loss);
                let inside = net.add_gateway(net.internet(), Gateway::new("home", [], firewall), &link);
                let address: IpAddr = local(n).ip();
                net.add_host(inside, "peer", &[address], &Link::PERFECT, Node::default())
            });
            for (n, host) in (0..).zip(hosts) {
                let (socket, _) = net.open(host, local(n)).unwrap();
                let sockets = Sockets { ipv4: None, ipv6: Some(socket) };
                let (key, peer) = (SessionKey::new(b"", &[1; 16]), Peer::new(local(1 - n)).card(own.clone()));
                let config = PunchConfig::new(sockets, local(n), peer, key, n == 0).own_card(own.clone());
                net.with(host, |node, cx| node.punch(cx, config));
            }
            let _stop = net.run_for(Duration::from_secs(10));
            connected += f64::from(u8::from(are_connected(&net, hosts)));
        }
        let (share, probability) =
            (connected / runs() as f64, forecast(&own, &own, &conditions(path)).probability.unwrap());
        println!("ipv6, loss {loss}: forecast {probability:.3}, {share:.3} of {} runs", runs());
        assert!((probability - share).abs() <= 0.05, "loss {loss}: forecast {probability}, {share}");
    }
}

/// Two hosts behind one NAT: over their private addresses, and without those over the public address, which the NAT turns
/// back.
#[test]
fn the_probability_in_a_local_network_is_the_share_of_simulated_runs() {
    let nat = kind(EIM, APDF);
    let local = |n: u8| SocketAddr::from(([10, 0, 0, 2 + n], 5000 + u16::from(n)));
    // The NAT preserves the port.
    let public = |n: u8| SocketAddr::from(([85, 0, 0, 1], 5000 + u16::from(n)));
    let card = |n: u8| -> Card {
        let text = format!("nat1,4=nat,m=eim,f=apdf,a=keep,h=external,e={}@85.0.0.1", public(n).port());
        text.parse().unwrap()
    };
    for (has_candidates, (loss, path)) in [true, false].into_iter().flat_map(|has| LOSSES.map(|loss| (has, loss))) {
        let mut connected = 0.0;
        for seed in 0..runs() {
            let mut net = Net::new(seed);
            let gateway = Gateway::new("home", [[85, 0, 0, 1].into()], nat);
            let inside = net.add_gateway(net.internet(), gateway, &Link::delay(RTT / 4));
            let hosts = [0, 1].map(|n| {
                let link = Link::delay(RTT / 4).loss(loss);
                net.add_host(inside, "peer", &[local(n).ip()], &link, Node::default())
            });
            for (n, host) in (0..).zip(hosts) {
                let (socket, _) = net.open(host, local(n)).unwrap();
                let candidates = if has_candidates { vec![local(1 - n)] } else { Vec::new() };
                let peer = Peer::new(public(1 - n)).card(card(1 - n)).candidates(candidates);
                let key = SessionKey::new(b"", &[1; 16]);
                let config = PunchConfig::new(Sockets::ipv4(socket), public(n), peer, key, n == 0).own_card(card(n));
                net.with(host, |node, cx| node.punch(cx, config));
            }
            let _stop = net.run_for(Duration::from_secs(10));
            connected += f64::from(u8::from(are_connected(&net, hosts)));
        }
        let (share, found) = (connected / runs() as f64, forecast(&card(0), &card(1), &conditions(path)));
        let probability = found.probability.unwrap();
        println!("local network, private {has_candidates}, loss {loss}: forecast {probability:.3}, {share:.3}");
        assert_eq!(found.strategy.as_str(), "local-network");
        assert!((probability - share).abs() <= 0.05, "loss {loss}: forecast {probability}, {share}");
    }
}

/// Loss lowers the probability of a random guess, and of nothing else.
#[test]
fn loss_is_a_condition_of_a_random_guess() {
    let easy = card(&kind(EIM, APDF));
    let at = |ports, loss| forecast(&easy, &card(&kind(APDM, APDF).ports(ports)), &tiny(loss)).probability.unwrap();
    assert!(at(PortAllocation::Random, 200) < at(PortAllocation::Random, 0));
    assert_eq!(at(PortAllocation::Random, 1000), 0.0);
    for ports in [PortAllocation::Preserving, PortAllocation::Sequential { step: 1 }] {
        assert_eq!(at(ports, 200), at(ports, 0));
    }
}
