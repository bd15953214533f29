//! Situations of the field: NATs that forget or change ports, refused peers, short nonces, restarted servers.

use crate::lab::{
    Lab, Place, RTT, addr, authenticator, client_config, credential, home, random_ports, short_lived, stream_server,
    udp_server,
};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_stun_agent::{Authenticator, Users};
use portolan_turn::{
    ClientCommand, ClientConfig, ClientEvent, ClientFailure, ClientState, LossReason, Outcome, ServerLimits,
};

/// A lab with a client that has an allocation and a channel, and a peer.
fn relaying(nat: portolan_sim::Barrier, loss: f64) -> (Lab, Place, portolan_sim::HostId, SocketAddr) {
    let mut lab = Lab::new(1, &udp_server());
    let place = lab.add_client(nat, loss);
    let (peer, address) = lab.add_peer();
    lab.start(place, client_config());
    lab.command(place, ClientCommand::AddChannel { peer: address });
    lab.run(if loss > 0.0 { 60_000 } else { 1_000 });
    assert!(lab.client(place).channel(address).is_some(), "{:?}", lab.events(place));
    (lab, place, peer, address)
}

fn losses(lab: &Lab, place: Place) -> usize {
    lab.events(place).iter().filter(|(_, event)| matches!(event, ClientEvent::Lost { .. })).count()
}

/// Sends a datagram to the peer, which returns it. Returns whether it came back.
fn echoes(lab: &mut Lab, place: Place, peer: SocketAddr, data: &[u8]) -> bool {
    let before = lab.data(place).len();
    let is_sent = lab.send(place, peer, data);
    lab.run(2 * RTT);
    is_sent && lab.data(place)[before..].iter().any(|(_, from, payload)| (*from, &payload[..]) == (peer, data))
}

#[test]
fn an_idle_client_behind_a_nat_of_two_minutes_keeps_its_allocation_for_half_an_hour() {
    let (mut lab, place, peer, _) = relaying(home(), 0.0);
    lab.run(1_800_000);
    assert_eq!((losses(&lab, place), lab.allocations()), (0, 1));
    let relayed = lab.relayed(place);
    lab.peer_sends(peer, relayed, b"after half an hour");
    lab.run(RTT);
    assert_eq!(lab.data(place).last().unwrap().2, b"after half an hour");
}

#[test]
fn a_check_after_an_answer_of_three_minutes_is_relayed_behind_a_nat_that_forgets() {
    for lifetime in [20, 30, 60] {
        let mut lab = Lab::new(lifetime, &udp_server());
        let place = lab.add_client(short_lived(lifetime), 0.0);
        let (_, peer) = lab.add_peer();
        lab.start(place, client_config());
        // The answer arrives after three minutes, and the first check follows.
        lab.run(180_000);
        lab.command(place, ClientCommand::AddPermission { peer: peer.ip() });
        lab.run(2 * RTT);
        assert!(echoes(&mut lab, place, peer, b"check"), "a NAT of {lifetime} s");
        assert_eq!(losses(&lab, place), 0);
    }
}

#[test]
fn new_credentials_before_the_expiry_lose_no_datagram() {
    let users = |names: &[&str]| {
        let mut users = Users::long_term("example.org");
        names.iter().for_each(|name| users.add(name, &format!("secret of {name}")).unwrap());
        Authenticator::long_term("example.org", &[7; 32], users).unwrap()
    };
    let mut lab = Lab::new(5, &udp_server());
    let place = lab.add_client(home(), 0.0);
    let (peer, address) = lab.add_peer();
    lab.net.with(peer, |_, _| ());
    lab.start(place, client_config().expires(Duration::from_secs(120)));
    lab.command(place, ClientCommand::AddChannel { peer: address });
    lab.run_until(1_000);
    let mut sent = 0_u32;
    while lab.now() < 600_000 {
        if lab.now() == 100_000 {
            let (credential, expires) = (credential("bob"), Some(Duration::from_secs(3600)));
            lab.command(place, ClientCommand::SetCredential { credential, expires });
        }
        if lab.now() == 120_000 {
            // The first credential is not valid any more.
            lab.set_credentials(users(&["bob"]));
        }
        assert!(lab.send(place, address, &sent.to_be_bytes()), "at {} ms", lab.now());
        sent += 1;
        lab.run(20);
    }
    lab.run(1_000);
    let returned = lab.data(place).len();
    assert_eq!((returned, lab.peer(peer).received.len()), (sent as usize, sent as usize), "nothing is lost");
    let events = lab.events(place);
    assert!(events.iter().any(|(at, event)| *at == 60_000 && matches!(event, ClientEvent::CredentialExpires { .. })));
    assert_eq!(events.iter().filter(|(_, event)| matches!(event, ClientEvent::Replaced { .. })).count(), 1);
    assert_eq!((losses(&lab, place), lab.allocations()), (0, 1));
}

/// A NAT gives another host the port of the client at 100 s, and takes it back at 120 s.
#[test]
fn a_rebinding_and_back_needs_two_allocations_and_the_second_leaves_at_its_expiry() {
    let mut lab = Lab::new(11, &udp_server());
    let place = lab.add_client(home(), 0.0);
    let (peer, address) = lab.add_peer();
    lab.start(place, client_config());
    lab.command(place, ClientCommand::AddChannel { peer: address });
    lab.run(1_000);
    let mapped = lab.client(place).mapped().unwrap();
    let first = lab.relayed(place);
    let neighbor = lab.add_neighbor(place, mapped.port());

    lab.run_until(100_000);
    lab.net.flush_gateway(place.inside);
    lab.peer_sends(neighbor, address, b"takes the port");
    let mut relayed_again = None;
    while lab.now() < 120_000 {
        if relayed_again.is_none() && lab.client(place).channel(address).is_some() && lab.relayed(place) != first {
            relayed_again = Some(lab.now());
        }
        lab.run(10);
    }
    // The keepalive at 105 s shows the change. Then: its response, the challenge of the new address, 437, Allocate,
    // ChannelBind.
    let keepalive = 105_000 + 2 * RTT;
    let limit = keepalive + 5 * RTT + 10;
    assert!(relayed_again.is_some_and(|at| at <= limit), "{relayed_again:?}, {limit}");
    assert_ne!(lab.client(place).mapped(), Some(mapped));
    assert_eq!(lab.allocations(), 2);
    assert!(echoes(&mut lab, place, address, b"second"));

    lab.run_until(120_200);
    lab.net.flush_gateway(place.inside);
    lab.run_until(120_200 + 15_000 + 5 * RTT + 10);
    assert_eq!((lab.client(place).mapped(), lab.relayed(place)), (Some(mapped), first), "the first is used again");
    assert_eq!(lab.allocations(), 2, "never a third allocation");
    assert!(echoes(&mut lab, place, address, b"first"));
    // What arrives for the other allocation does not reach the client.
    lab.run(700_000);
    assert_eq!((lab.allocations(), lab.relayed(place)), (1, first));
    assert!(lab.server().stats().allocations == 2, "{:?}", lab.server().stats());
    let changes = lab.events(place).iter().filter(|(_, e)| matches!(e, ClientEvent::MappedChanged { .. })).count();
    assert_eq!(changes, 2);
    assert_eq!(lab.peer(peer).received.iter().filter(|(.., data)| data == b"first").count(), 1);
}

#[test]
fn refused_peers_have_no_effect_on_a_good_one() {
    let mut lab = Lab::new(13, &udp_server());
    let place = lab.add_client(home(), 0.0);
    let (_, good) = lab.add_peer();
    lab.start(place, client_config());
    // Forbidden: private, loopback, link-local. A wrong family: no IPv6 relayed address.
    for peer in ["10.0.0.9:1", "127.0.0.1:1", "169.254.169.254:1", "192.168.7.7:1", "[2a00:60::9]:1"] {
        lab.command(place, ClientCommand::AddChannel { peer: addr(peer) });
        lab.command(place, ClientCommand::AddPermission { peer: addr(peer).ip() });
    }
    lab.command(place, ClientCommand::AddChannel { peer: good });
    lab.run(1_000);
    let codes: Vec<_> = lab
        .events(place)
        .into_iter()
        .filter_map(|(_, event)| match event {
            ClientEvent::ChannelFailed { steps, .. } | ClientEvent::PermissionFailed { steps, .. } => {
                steps.last().and_then(|step| step.outcome.code())
            }
            _ => None,
        })
        .collect();
    assert_eq!(codes.iter().filter(|code| **code == 403).count(), 8, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 443).count(), 2, "{codes:?}");
    assert!(echoes(&mut lab, place, good, b"good"));
    lab.run(600_000);
    assert!(echoes(&mut lab, place, good, b"still good"));
}

#[test]
fn nonces_that_live_one_second_never_end_a_channel() {
    for loss in [0.0, 0.1] {
        let credentials = authenticator().nonce_lifetime(Duration::from_secs(1));
        let config = portolan_turn::ServerConfig::new(credentials)
            .listen_udp(addr("50.0.0.1:3478"))
            .relay("50.0.0.1".parse().unwrap())
            .rate(None);
        let mut lab = Lab::new(14, &config);
        let place = lab.add_client(home(), loss);
        let (peer, address) = lab.add_peer();
        lab.start(place, client_config());
        lab.command(place, ClientCommand::AddChannel { peer: address });
        lab.run(80_000);
        let start = lab.now();
        let mut sent = 0;
        while lab.now() < start + 1_800_000 {
            assert_eq!(
                lab.client(place).channel(address),
                Some(0x4000),
                "at {} ms: {:?}",
                lab.now(),
                lab.events(place)
            );
            assert!(lab.send(place, address, b"data"));
            sent += 1;
            lab.run(1_000);
        }
        let received = lab.peer(peer).received.len();
        assert!(loss > 0.0 || received == sent, "{received} of {sent}");
        let is_failure = |event: &ClientEvent| {
            matches!(
                event,
                ClientEvent::ChannelFailed { .. } | ClientEvent::Lost { .. } | ClientEvent::RefreshFailed { .. }
            )
        };
        assert_eq!(lab.events(place).iter().filter(|(_, event)| is_failure(event)).count(), 0);
    }
}

#[test]
fn after_a_restart_of_the_server_all_clients_relay_again_within_three_round_trips_of_the_first_437() {
    let mut lab = Lab::new(15, &udp_server());
    let places: Vec<_> = (0..10).map(|_| lab.add_client(home(), 0.0)).collect();
    let (_, peer) = lab.add_peer();
    for place in &places {
        lab.start(*place, client_config());
        lab.command(*place, ClientCommand::AddChannel { peer });
        lab.run(7);
    }
    lab.run_until(200_000);
    assert_eq!(lab.allocations(), 10);
    lab.restart_server(&udp_server());
    assert_eq!(lab.allocations(), 0);
    lab.run_until(260_000);
    for place in &places {
        let events = lab.events(*place);
        let time =
            |is_it: &dyn Fn(&ClientEvent) -> bool| events.iter().rev().find(|(_, event)| is_it(event)).map(|e| e.0);
        let lost = time(&|event| matches!(event, ClientEvent::Lost { why: LossReason::Mismatch, .. })).unwrap();
        let again = time(&|event| matches!(event, ClientEvent::ChannelAdded { .. })).unwrap();
        assert!(again > lost && again <= lost + 3 * RTT, "lost at {lost} ms, again at {again} ms");
    }
    assert_eq!(lab.allocations(), 10);
    for place in places {
        assert!(echoes(&mut lab, place, peer, b"again"));
    }
}

#[test]
fn a_close_empties_the_table_of_the_server_within_one_round_trip() {
    let mut lab = Lab::new(16, &udp_server());
    let places: Vec<_> = (0..5).map(|_| lab.add_client(home(), 0.0)).collect();
    for place in &places {
        lab.start(*place, client_config());
    }
    lab.run(1_000);
    assert_eq!(lab.allocations(), 5);
    for place in &places {
        lab.command(*place, ClientCommand::Close);
    }
    lab.run(RTT);
    assert_eq!(lab.allocations(), 0);
    for place in places {
        assert_eq!(lab.events(place).last().unwrap(), &(1_000 + RTT, ClientEvent::Closed));
    }
}

#[test]
fn a_close_on_a_dead_network_ends_in_two_seconds_and_the_server_frees_at_expiry() {
    let (mut lab, place, ..) = relaying(home(), 0.0);
    lab.net.set_uplink(place.inside, &portolan_sim::Link::PERFECT.loss(1.0));
    lab.command(place, ClientCommand::Close);
    lab.run(2_000);
    assert_eq!(lab.events(place).last().unwrap(), &(3_000, ClientEvent::Closed));
    assert_eq!(lab.allocations(), 1);
    lab.run_until(600_000);
    assert_eq!(lab.allocations(), 1);
    lab.run_until(601_000);
    assert_eq!(lab.allocations(), 0);
}

#[test]
fn each_server_fails_alone_with_its_reason() {
    let limits = {
        let mut limits = ServerLimits::default();
        limits.allocations_per_user = 1;
        limits
    };
    let mut lab = Lab::new(17, &udp_server().limits(limits));
    lab.add_liar(addr("50.0.0.7:3478"));
    let started = |lab: &mut Lab, config: ClientConfig| {
        let place = lab.add_client(home(), 0.0);
        lab.start(place, config);
        place
    };
    let at = |server: &str| ClientConfig::new(addr(server), credential("ann"));
    let good = started(&mut lab, at("50.0.0.1:3478"));
    let dead = started(&mut lab, at("50.0.0.99:3478"));
    let unanswered = started(&mut lab, at("50.0.0.1:9"));
    let lying = started(&mut lab, at("50.0.0.7:3478"));
    let wrong = portolan_stun_agent::Credential::long_term("ann", "wrong");
    let wrong = started(&mut lab, ClientConfig::new(addr("50.0.0.1:3478"), wrong));
    lab.run(1_000);
    let over_quota = started(&mut lab, at("50.0.0.1:3478"));
    let several =
        started(&mut lab, at("50.0.0.7:3478").or_server(addr("50.0.0.1:3478")).or_server(addr("50.0.0.99:1")));
    lab.run(90_000);

    let allocated = lab.events(good)[0].clone();
    assert!(matches!(allocated, (100, ClientEvent::Allocated { .. })), "{allocated:?}");
    let failure = |place: Place| match lab.events(place).pop() {
        Some((at, ClientEvent::Failed { why: ClientFailure::NoServer, steps, blocked })) => (at, steps, blocked),
        other => panic!("{other:?}"),
    };
    for place in [dead, unanswered] {
        let (at, steps, _) = failure(place);
        assert_eq!((at, &steps[0].outcome, steps.len()), (39_500, &Outcome::TimedOut, 1));
    }
    let (_, steps, _) = failure(lying);
    assert_eq!(steps[0].outcome, Outcome::Unauthenticated);
    let (at, steps, _) = failure(wrong);
    assert!(at < 200 && matches!(steps[0].outcome, Outcome::Unusable(_)), "{steps:?}");
    let (_, steps, blocked) = failure(over_quota);
    assert_eq!((steps[0].outcome.code(), blocked.len()), (Some(486), 1));
    let (_, steps, _) = failure(several);
    assert_eq!(steps.len(), 3, "the event has all reasons: {steps:?}");
    assert_eq!(lab.client(good).state(), ClientState::Allocated);
}

#[test]
fn a_lossy_path_delays_and_does_not_end_a_client() {
    for (seed, loss) in [(1, 0.05), (2, 0.1), (3, 0.2)] {
        let mut lab = Lab::new(seed, &udp_server());
        let place = lab.add_client(home(), loss);
        let (_, peer) = lab.add_peer();
        lab.start(place, client_config());
        lab.command(place, ClientCommand::AddChannel { peer });
        lab.run(1_800_000);
        assert_eq!(lab.client(place).state(), ClientState::Allocated, "loss {loss}: {:?}", lab.events(place));
        assert!((0..50).any(|_| echoes(&mut lab, place, peer, b"data")));
    }
}

#[test]
fn two_clients_of_one_server_reach_each_other_by_their_relayed_addresses() {
    let mut lab = Lab::new(4, &udp_server());
    let (one, two) = (lab.add_client(home(), 0.0), lab.add_client(random_ports(), 0.0));
    lab.start(one, client_config());
    lab.start(two, ClientConfig::new(addr("50.0.0.1:3478"), credential("bob")));
    lab.run(1_000);
    let (first, second) = (lab.relayed(one), lab.relayed(two));
    lab.command(one, ClientCommand::AddChannel { peer: second });
    lab.command(two, ClientCommand::AddPermission { peer: first.ip() });
    lab.run(1_000);
    assert!(lab.send(one, second, b"ping") && lab.send(two, first, b"pong"));
    lab.run(1_000);
    assert_eq!(lab.data(two).last().map(|(_, from, data)| (*from, &data[..])), Some((first, &b"ping"[..])));
    assert_eq!(lab.data(one).last().map(|(_, from, data)| (*from, &data[..])), Some((second, &b"pong"[..])));
}

#[test]
fn a_client_over_tcp_relays_data_of_every_size_unchanged() {
    let mut lab = Lab::new(6, &stream_server());
    let place = lab.add_client(home(), 0.0);
    let (peer, address) = lab.add_peer();
    lab.start(place, client_config().protocol(portolan_machine::Protocol::Tcp));
    lab.command(place, ClientCommand::AddChannel { peer: address });
    lab.run(2_000);
    assert_eq!(lab.client(place).channel(address), Some(0x4000), "{:?}", lab.events(place));
    let payload = |length: usize| (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>();
    let sizes: Vec<usize> = (0..=64).chain([159, 160, 161, 1_000, 1_399, 1_400]).collect();
    for size in &sizes {
        assert!(lab.send(place, address, &payload(*size)));
        lab.run(10);
    }
    lab.run(2_000);
    let expected: Vec<_> = sizes.iter().map(|size| payload(*size)).collect();
    let at_peer: Vec<_> = lab.peer(peer).received.iter().map(|(.., data)| data.clone()).collect();
    assert_eq!(at_peer, expected);
    let returned: Vec<_> = lab.data(place).into_iter().map(|(.., data)| data).collect();
    assert_eq!(returned, expected);
    lab.run(1_800_000);
    assert_eq!((losses(&lab, place), lab.allocations()), (0, 1), "{:?}", lab.events(place).last());
    lab.command(place, ClientCommand::Close);
    lab.run(2 * RTT);
    assert_eq!((lab.allocations(), lab.client(place).state()), (0, ClientState::Ended));
}

#[test]
fn a_client_over_tcp_allocates_again_after_a_restart_of_the_server() {
    let mut lab = Lab::new(7, &stream_server());
    let place = lab.add_client(home(), 0.0);
    let (_, peer) = lab.add_peer();
    lab.start(place, client_config().protocol(portolan_machine::Protocol::Tcp));
    lab.command(place, ClientCommand::AddChannel { peer });
    lab.run(40_000);
    lab.restart_server(&stream_server());
    lab.run(5_000);
    assert_eq!(losses(&lab, place), 1, "{:?}", lab.events(place));
    assert_eq!((lab.allocations(), lab.client(place).state()), (1, ClientState::Allocated));
    assert!(echoes(&mut lab, place, peer, b"again"));
}
