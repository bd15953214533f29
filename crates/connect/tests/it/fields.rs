//! Failures from the field: changed networks, lost allocations, short-lived mappings and credentials, and bad servers.

use crate::pair::{ONE, Pair, SERVERS, Setup, Side, credential};
use crate::server::{Allocates, Refusal};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_connect::{ConnectConfig, ConnectEvent, Connection};
use portolan_ice::{AgentConfig, AgentState, PairFailure, Policy, SessionFailure};
use portolan_machine::{Instant, Unreachability};
use portolan_nat::behavior::{PortAllocation, Timers};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Preset, Topology};
use portolan_turn::{ClientConfig, Outcome};

const RTT: Duration = Duration::from_millis(40);
const S: Duration = Duration::from_secs(1);
const POLICIES: [Policy; 2] = [Policy::Textbook, Policy::Browserlike];

fn topology(preset: Preset) -> Topology {
    Topology::preset(preset).rtt(RTT)
}

fn with_policy(policy: Policy) -> ConnectConfig {
    ConnectConfig::new().agent(AgentConfig::new().policy(policy))
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Data of both sides every 20 ms.
#[derive(Debug, Default)]
struct Flow {
    /// The number of packets of both sides.
    sent: usize,
    /// The number of packets that had no path.
    unsent: usize,
}

impl Flow {
    fn run(&mut self, pair: &mut Pair, time: Duration) {
        let end = pair.net.now() + time;
        while pair.net.now() < end {
            for side in Side::BOTH {
                match pair.with(side, |connection, cx| connection.send(cx, ONE, b"data"[..].into())) {
                    Ok(()) => self.sent += 1,
                    Err(_) => self.unsent += 1,
                }
            }
            pair.run_for(Duration::from_millis(20));
        }
    }
}

/// The time from `start` to the first data that a side receives, if it has been sent after `start` plus one round trip.
fn data_after(pair: &Pair, side: Side, start: Instant) -> Option<Duration> {
    let in_transit = start + 3 * RTT;
    let is_data = |event: &ConnectEvent| matches!(event, ConnectEvent::Data { .. });
    let mut events =
        pair.events.iter().filter(|(at, known, event)| *at >= in_transit && *known == side && is_data(event));
    events.next().map(|(at, ..)| at.since(start))
}

fn received(pair: &Pair) -> usize {
    Side::BOTH.into_iter().map(|side| pair.data(side).len()).sum()
}

fn connect(pair: &mut Pair) {
    pair.start();
    pair.run_until(10 * S, Pair::is_selected);
    assert!(pair.agrees());
}

/// One address family of a dual stack host goes away and comes back. The owner restarts ICE after each change.
#[test]
fn rfc8445_5_1_1_4_data_flows_again_by_two_seconds_when_a_family_goes_away_and_comes_back() {
    for policy in POLICIES {
        for relay_only in [false, true] {
            for is_v4_kept in [false, true] {
                let context = format!("{policy:?} relay only: {relay_only}, IPv4 is kept: {is_v4_kept}");
                // The first server of the relay is that of the family that goes away.
                let servers = if is_v4_kept { [SERVERS[1], SERVERS[0]] } else { SERVERS }.map(addr);
                let good = ClientConfig::new(servers[0], credential()).or_server(servers[1]);
                let signalling = Duration::from_millis(50);
                let config = with_policy(policy);
                let setup =
                    Setup { good: Some(good), is_dual: true, relay_only, signalling, config, ..Setup::default() };
                let open = topology(Preset::Open);
                let mut pair = Pair::new(1, &open, &open, &setup);
                pair.net.record_story();
                connect(&mut pair);
                let mut flow = Flow::default();
                flow.run(&mut pair, 10 * S);
                let keeps: [fn(bool, IpAddr) -> bool; 2] = [|kept, ip| ip.is_ipv4() == kept, |_, _| true];
                for is_kept in keeps {
                    let start = pair.net.now();
                    pair.readdress(Side::Left, |ip| is_kept(is_v4_kept, ip));
                    pair.restart(Side::Left);
                    flow.run(&mut pair, 10 * S);
                    for side in Side::BOTH {
                        let time = data_after(&pair, side, start);
                        assert!(time.is_some_and(|time| time <= 2 * S), "{context}: {side:?} {time:?}");
                    }
                    assert!(pair.agrees(), "{context}");
                }
                // The other host gets errors for the absent address, and checks it until the restart arrives.
                for absent in ["no such source address", "no route to", "which is not open"] {
                    let mut lines = pair.net.story().lines().filter(|line| line.contains(absent));
                    assert_eq!(lines.find(|line| line.contains("host 1")), None, "{context}");
                }
            }
        }
    }
}

/// All addresses go away, so the relay ends. It is started again with the next address.
#[test]
fn rfc8656_7_a_relay_that_has_ended_is_started_again_with_a_new_address() {
    let setup = Setup { relay_only: true, ..Setup::default() };
    let open = topology(Preset::Open);
    let mut pair = Pair::new(2, &open, &open, &setup);
    connect(&mut pair);
    pair.readdress(Side::Left, |_| false);
    pair.run_for(S);
    let failed =
        pair.events.iter().any(|(_, side, event)| *side == Side::Left && matches!(event, ConnectEvent::RelayFailed(_)));
    assert!(failed);
    pair.readdress(Side::Left, |_| true);
    pair.restart(Side::Left);
    let end = pair.net.now().since_origin() + 5 * S;
    pair.run_until(end, Pair::agrees);
    assert!(pair.agrees());
}

/// The NAT gives the client another port. The next keepalive to the server tells it, and Refresh gets 437.
#[test]
fn rfc8656_5_after_a_rebinding_437_ends_the_allocation_and_a_new_one_relays() {
    let setup = Setup { relay_only: true, ..Setup::default() };
    // Another mapping has another port.
    let nat = TranslatorConfig::home().ports(PortAllocation::Random);
    let mut pair = Pair::new(3, &Topology::behind(nat).rtt(RTT), &topology(Preset::Open), &setup);
    connect(&mut pair);
    let mut flow = Flow::default();
    flow.run(&mut pair, 5 * S);
    let before = pair.selected(Side::Left).unwrap().local;
    pair.net.flush_gateway(pair.inside[0]);
    let start = pair.net.now();
    let is_lost = |pair: &Pair| {
        let lost = ConnectEvent::Failed(SessionFailure::LocalRemoved(ONE));
        pair.events.iter().any(|(_, side, event)| *side == Side::Left && *event == lost)
    };
    while !is_lost(&pair) && pair.net.now() < start + 30 * S {
        flow.run(&mut pair, Duration::from_millis(20));
    }
    let noticed = pair.net.now().since(start);
    assert!(noticed <= 15 * S + 4 * RTT, "{noticed:?}");
    pair.restart(Side::Left);
    let restarted = pair.net.now();
    flow.run(&mut pair, 5 * S);
    assert!(pair.agrees());
    assert_ne!(pair.selected(Side::Left).unwrap().local, before);
    for side in Side::BOTH {
        let time = data_after(&pair, side, restarted);
        assert!(time.is_some_and(|time| time <= S), "{side:?} {time:?}");
    }
    assert!(pair.allocations() <= 3);
    // The allocation of the lost port expires.
    pair.run_for(601 * S);
    assert_eq!(pair.allocations(), 2);
}

/// The answer comes after three minutes. The mapping to the TURN server lives for a shorter time.
#[test]
fn rfc8656_3_1_a_late_answer_finds_the_mapping_to_the_server_alive() {
    for lifetime in [20, 30, 60] {
        let timers = Timers { unreplied: lifetime * S, replied: lifetime * S, absolute: None };
        let nat = Topology::behind(TranslatorConfig::home().timers(timers)).rtt(RTT);
        let setup = Setup { relay_only: true, ..Setup::default() };
        let mut pair = Pair::new(4, &nat, &topology(Preset::Open), &setup);
        pair.start_with_answer_after(180 * S);
        pair.run_until(200 * S, Pair::is_selected);
        assert!(pair.agrees(), "{lifetime}");
        assert!(pair.millis() <= 181_000, "{lifetime}: {} ms", pair.millis());
        assert_eq!(pair.allocations(), 2, "{lifetime}");
        let checks = pair.connection(Side::Left).agent().pairs().map(|pair| pair.counters.retransmissions_sent);
        assert_eq!(checks.sum::<u32>(), 0, "the first relayed check works");
    }
}

/// The credential ends before the call of 600 s. New ones come in time: a new allocation, then a restart.
#[test]
fn rfc8656_7_new_credentials_before_the_expiry_and_a_restart_lose_no_data() {
    for policy in POLICIES {
        let good = ClientConfig::new(addr(SERVERS[0]), credential()).expires(120 * S);
        let setup = Setup { relay_only: true, good: Some(good), config: with_policy(policy), ..Setup::default() };
        let mut pair = Pair::new(5, &topology(Preset::Home), &topology(Preset::Home), &setup);
        connect(&mut pair);
        let mut flow = Flow::default();
        for _ in 0..6 {
            flow.run(&mut pair, 98 * S);
            for side in Side::BOTH {
                let set = |connection: &mut Connection, cx: &mut portolan_machine::Cx<'_>| {
                    connection.set_credential(cx, 0, &credential(), Some(120 * S))
                };
                pair.with(side, set).unwrap();
            }
            flow.run(&mut pair, S);
            pair.restart(Side::Left);
            flow.run(&mut pair, 20 * S);
            assert!(pair.agrees(), "{policy:?}");
        }
        pair.run_for(S);
        assert_eq!((flow.unsent, received(&pair)), (0, flow.sent), "{policy:?}");
        assert_eq!(pair.allocations(), 2);
    }
}

/// The server refuses the permissions of five candidates. Only their pairs fail.
#[test]
fn rfc8656_9_refused_permissions_fail_only_their_own_pairs() {
    for policy in POLICIES {
        let setup = Setup { relay_only: true, config: with_policy(policy), ..Setup::default() };
        let mut pair = Pair::new(6, &topology(Preset::Home), &topology(Preset::Open), &setup);
        let refused: Vec<IpAddr> = (1..=5).map(|host| IpAddr::from([60, 0, 1, host])).collect();
        let codes = [Refusal::Code(403), Refusal::Code(403), Refusal::Code(400), Refusal::Code(403), Refusal::Silence];
        pair.with_gate(|gate| gate.refused = refused.iter().copied().zip(codes).collect());
        pair.start();
        pair.run_for(Duration::from_millis(1));
        for (number, ip) in refused.iter().enumerate() {
            let text = format!("{number} 1 UDP {} {ip} 5000 typ host", 2_130_706_431 - number);
            pair.with(Side::Left, |connection, cx| connection.add_remote(cx, 0, &text.parse().unwrap())).unwrap();
        }
        pair.run_until(3 * S, Pair::is_selected);
        assert!(pair.agrees(), "{policy:?}");
        assert!(pair.millis() <= 1_500, "{policy:?} {} ms", pair.millis());
        let prohibited = Some(PairFailure::Unreachable(Unreachability::Prohibited));
        let pairs = pair.connection(Side::Left).agent().pairs().filter(|pair| pair.failure == prohibited);
        let mut failed: Vec<IpAddr> = pairs.map(|pair| pair.path.remote.ip()).collect();
        failed.sort_unstable();
        assert_eq!(failed, refused[..4], "{policy:?}");
        assert_eq!(pair.allocations(), 2);
    }
}

/// The server restarts under data and has no allocations. Consent tells it, and a request gets 437.
#[test]
fn rfc8656_5_after_a_restart_of_the_server_all_data_is_relayed_again() {
    for policy in POLICIES {
        let setup = Setup { relay_only: true, config: with_policy(policy), ..Setup::default() };
        let mut pair = Pair::new(7, &topology(Preset::Home), &topology(Preset::Symmetric), &setup);
        connect(&mut pair);
        let mut flow = Flow::default();
        flow.run(&mut pair, 5 * S);
        pair.restart_server();
        let start = pair.net.now();
        let is_lost = |pair: &Pair| {
            let lost = ConnectEvent::Failed(SessionFailure::LocalRemoved(ONE));
            Side::BOTH
                .into_iter()
                .all(|side| pair.events.iter().any(|(_, known, event)| *known == side && *event == lost))
        };
        while !is_lost(&pair) && pair.net.now() < start + 60 * S {
            flow.run(&mut pair, Duration::from_millis(20));
        }
        let noticed = pair.net.now().since(start);
        assert!(noticed <= 20 * S, "{policy:?} {noticed:?}");
        pair.restart(Side::Left);
        let restarted = pair.net.now();
        flow.run(&mut pair, 5 * S);
        assert!(pair.agrees(), "{policy:?}");
        for side in Side::BOTH {
            let time = data_after(&pair, side, restarted);
            assert!(time.is_some_and(|time| time <= S), "{policy:?} {side:?} {time:?}");
        }
        assert_eq!(pair.allocations(), 2);
    }
}

/// A stop with a dead network ends within two seconds.
#[test]
fn rfc8656_8_a_close_with_a_dead_network_ends_in_two_seconds() {
    let mut pair = Pair::new(8, &topology(Preset::Home), &topology(Preset::Open), &Setup::default());
    connect(&mut pair);
    pair.net.set_interface(pair.host(Side::Left), 0, false);
    pair.with(Side::Left, Connection::close).unwrap();
    let start = pair.net.now();
    pair.run_for(3 * S);
    let closed = pair.events.iter().find(|(_, side, event)| *side == Side::Left && *event == ConnectEvent::Closed);
    let time = closed.map(|(at, ..)| at.since(start));
    assert!(time.is_some_and(|time| time <= 2 * S), "{time:?}");
}

/// Servers that are dead, refuse, or send garbage, before one good server.
#[test]
fn rfc8445_5_1_1_2_bad_servers_do_not_delay_the_candidates_of_a_good_one() {
    let turn = |server: &str, name: &str| {
        let password = if name == "ann" { "secret of ann" } else { "wrong" };
        ClientConfig::new(addr(server), portolan_stun_agent::Credential::long_term(name, password))
    };
    let bad = [
        ("50.0.1.1:3478", None, "ann"),
        ("50.0.1.2:3478", Some(Allocates::Serves), "bob"),
        ("50.0.1.3:3478", Some(Allocates::Code(403)), "ann"),
        ("50.0.1.4:3478", Some(Allocates::Code(486)), "ann"),
        ("50.0.1.5:3478", Some(Allocates::Garbage), "ann"),
        (SERVERS[1], None, "ann"),
    ];
    let setup = Setup {
        stun: bad.iter().filter(|(_, server, _)| *server != Some(Allocates::Serves)).map(|(at, ..)| addr(at)).collect(),
        turn: bad.iter().map(|(at, _, name)| turn(at, name)).collect(),
        ..Setup::default()
    };
    let symmetric = topology(Preset::Symmetric);
    let mut pair = Pair::new(9, &symmetric, &symmetric, &setup);
    for (address, allocates, _) in bad {
        if let Some(allocates) = allocates {
            pair.add_server(addr(address), allocates);
        }
    }
    pair.start();
    pair.run_until(5 * S, Pair::is_selected);
    assert!(pair.agrees() && pair.selected(Side::Left).unwrap().is_relayed());
    assert!(pair.millis() <= 1_500, "{} ms", pair.millis());
    // The good STUN server is the sixth of the list, so its request is paced after five others.
    for (kind, limit) in [("typ relay", 3 * RTT), ("typ srflx", RTT + Duration::from_millis(6 * 50))] {
        let first = pair.events.iter().find(|(_, side, event)| {
            *side == Side::Left
                && matches!(event, ConnectEvent::LocalCandidate { candidate, .. } if candidate.to_string().contains(kind))
        });
        let time = first.map(|(at, ..)| at.since_origin());
        assert!(time.is_some_and(|time| time <= limit), "{kind} {time:?}");
    }
    pair.run_for(60 * S);
    let mut reasons: Vec<(usize, Outcome)> = pair
        .events
        .iter()
        .filter_map(|(_, side, event)| match event {
            ConnectEvent::RelayFailed(failure) if *side == Side::Left => {
                Some((failure.server, failure.steps.last().unwrap().outcome.clone()))
            }
            _ => None,
        })
        .collect();
    reasons.sort_by_key(|(server, _)| *server);
    let [(0, dead), (1, wrong), (2, forbidden), (3, full), (4, garbage), (5, family)] = &reasons[..] else {
        panic!("{reasons:?}");
    };
    assert_eq!((dead, garbage), (&Outcome::TimedOut, &Outcome::TimedOut));
    assert!(matches!(wrong, Outcome::Unusable(_)), "{wrong}");
    assert_eq!((forbidden.code(), full.code()), (Some(403), Some(486)));
    assert!(matches!(family, Outcome::Refused(_)), "{family}");
    let failed = |event: &ConnectEvent| matches!(event, ConnectEvent::ServerFailed(_));
    let stun = pair.events.iter().filter(|(_, side, event)| *side == Side::Left && failed(event)).count();
    assert_eq!(stun, 3, "dead, garbage, and another family");
    let ended = pair
        .events
        .iter()
        .any(|(_, side, event)| *side == Side::Left && matches!(event, ConnectEvent::EndOfCandidates(_)));
    assert!(ended);
    for side in Side::BOTH {
        assert_eq!(pair.connection(side).agent().state(), AgentState::Completed);
    }
}

/// A channel is made for the selected pair alone (RFC 8445 §7.2.1).
#[test]
fn rfc8445_12_1_a_selected_relayed_pair_gets_a_channel_and_no_other_pair_does() {
    let setup = Setup { relay_only: true, ..Setup::default() };
    let mut pair = Pair::new(10, &topology(Preset::Home), &topology(Preset::Home), &setup);
    pair.start();
    let has_channel = |pair: &Pair| {
        let selected = pair.selected(Side::Left).map(|path| path.remote);
        let (_, _, relay) = pair.connection(Side::Left).relays().next().unwrap();
        selected.is_some_and(|remote| relay.client().channel(remote).is_some())
    };
    pair.run_until(5 * S, has_channel);
    assert!(has_channel(&pair));
    let requests = pair.with_gate(|gate| gate.requests.clone());
    let channels: Vec<SocketAddr> = requests
        .iter()
        .filter(|(_, method, _)| *method == portolan_stun::Method::CHANNEL_BIND)
        .map(|(.., peer)| *peer)
        .collect();
    let selected = Side::BOTH.map(|side| pair.selected(side).unwrap().remote);
    assert!(!channels.is_empty() && channels.iter().all(|peer| selected.contains(peer)), "{channels:?} {selected:?}");
}
