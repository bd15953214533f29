//! Peers, NATs and a server, in virtual time.

use super::lab::{Lab, ROOM, SECRET, SERVER, SOCKET, addr, client_config, ms, server_config};
use portolan_machine::Instant;
use portolan_punch::rendezvous::{ClientConfig, ClientEvent, EndReason, ServerConfig, ServerLimits, room_password};
use portolan_sim::Link;

/// A link with this round trip time.
fn rtt(millis: u64) -> Link {
    Link::delay(ms(millis) / 2)
}

/// Two peers in one room, started 1 s apart, and run for 10 s.
fn introduced(seed: u64, left: &Link, right: &Link) -> Lab {
    let mut lab = Lab::new(seed, &server_config());
    let candidates = [vec![addr("10.0.0.1:4000"), addr("[2001:db8::1]:4000")], vec![addr("10.0.0.2:4000")]];
    let [one, two] = candidates;
    lab.add(left, client_config().card("card of the first").candidates(one));
    lab.add(right, client_config().card("card of the second").candidates(two));
    lab.start(0);
    lab.run(ms(1000));
    lab.start(1);
    lab.run(ms(10_000));
    lab
}

/// The times of the common start.
fn starts(lab: &Lab) -> [Instant; 2] {
    [0, 1].map(|client| {
        let introductions = lab.introductions(client);
        assert_eq!(introductions.len(), 1, "client {client}: {:?}", lab.events);
        introductions[0].0 + introductions[0].1.start
    })
}

#[test]
fn two_peers_behind_nats_get_each_others_addresses_cards_and_one_session() {
    let lab = introduced(1, &rtt(50), &rtt(50));
    let (one, two) = (lab.introductions(0)[0].1, lab.introductions(1)[0].1);
    assert_eq!(one.reflexive.ip(), "85.0.0.1".parse::<core::net::IpAddr>().unwrap());
    assert_eq!((one.reflexive, two.reflexive), (two.peer_reflexive, one.peer_reflexive));
    assert_eq!(one.card.as_deref(), Some("card of the second"));
    assert_eq!(two.card.as_deref(), Some("card of the first"));
    assert_eq!(one.candidates, [addr("10.0.0.2:4000")]);
    assert_eq!(two.candidates, [addr("10.0.0.1:4000"), addr("[2001:db8::1]:4000")]);
    assert_eq!(one.session, two.session);
    assert!(one.first && !two.first);
    assert!(!format!("{one:?}").contains("session"), "the key of the session is not printed");
    let stats = lab.server().stats();
    assert_eq!((stats.registered, stats.introduced, stats.rejected.unauthenticated), (2, 1, 2));
}

#[test]
fn the_common_start_is_the_same_moment_for_round_trips_of_20_and_200_ms() {
    for (left, right) in [(20, 200), (200, 20), (50, 50), (0, 0), (300, 4)] {
        let lab = introduced(3, &rtt(left), &rtt(right));
        let [one, two] = starts(&lab);
        let apart = if one > two { one - two } else { two - one };
        assert!(apart <= ms(2), "{left} and {right} ms: {apart:?} apart");
        let starts_of = [0, 1].map(|client| lab.introductions(client)[0].1.start);
        assert!(starts_of.iter().all(|start| *start > ms(0)), "no start is late: {starts_of:?}");
    }
}

/// The first request is retransmitted before its response arrives, so it does not measure the round trip.
#[test]
fn a_round_trip_above_the_interval_of_retransmissions_is_measured_by_the_next_request() {
    let mut lab = Lab::new(4, &server_config());
    lab.add(&rtt(700), client_config());
    lab.start(0);
    lab.run(ms(1_500));
    let measured = |lab: &Lab| lab.net.machine(lab.hosts[0]).unwrap().as_first().unwrap().round_trip();
    assert_eq!(measured(&lab), Some(ms(200)), "the time since the last send");
    lab.run(ms(2_500));
    assert_eq!(measured(&lab), Some(ms(700)));
}

#[test]
fn peers_are_introduced_at_a_loss_of_20_percent_on_each_link_and_direction() {
    const PAIRS: u64 = 200;
    let (mut late, mut times) = (0, Vec::new());
    for seed in 0..PAIRS {
        let link = rtt(50).loss(0.2);
        let lab = introduced(seed, &link, &link);
        let [one, two] = [0, 1].map(|client| {
            let introductions = lab.introductions(client);
            assert_eq!(introductions.len(), 1, "seed {seed}, client {client}: {:?}", lab.events);
            (introductions[0].0, introductions[0].0 + introductions[0].1.start)
        });
        assert_eq!(lab.introductions(0)[0].1.session, lab.introductions(1)[0].1.session);
        late += usize::from((if one.1 > two.1 { one.1 - two.1 } else { two.1 - one.1 }) > ms(30));
        // The second peer was started after 1 s.
        times.push(one.0.max(two.0).since_origin().as_millis() - 1_000);
    }
    times.sort_unstable();
    let (median, p95, last) = (times[100], times[190], times[199]);
    println!("loss 20 %: {late} of {PAIRS} starts apart; introduced after {median} ms, p95 {p95} ms, last {last} ms");
    // A peer that gets the introduction after the start begins at once, so the starts are apart.
    assert!(late <= 30, "{late} of {PAIRS} pairs start more than 30 ms apart");
    assert!(median <= 1_000 && p95 <= 3_000 && last <= 9_000, "{median}, {p95}, {last} ms");
}

#[test]
fn a_restart_of_the_server_is_repaired_by_the_next_keepalive() {
    let mut lab = Lab::new(5, &server_config());
    lab.add(&rtt(50), client_config());
    lab.add(&rtt(50), client_config());
    lab.start(0);
    lab.run(ms(5_000));
    lab.restart_server();
    assert_eq!(lab.server().registrations(), 0);
    lab.run(ms(15_000));
    assert_eq!((lab.server().registrations(), lab.server().stats().rejected.stale_nonce), (1, 1));
    lab.start(1);
    lab.run(ms(2_000));
    assert_eq!((lab.introductions(0).len(), lab.introductions(1).len()), (1, 1));
}

#[test]
fn a_third_peer_is_refused_with_its_own_reason_and_changes_nothing() {
    let mut lab = introduced(7, &rtt(50), &rtt(50));
    let third = lab.add(&rtt(50), client_config());
    lab.start(third);
    lab.run(ms(2_000));
    assert_eq!(lab.end(third).unwrap().1, EndReason::RoomFull);
    assert_eq!(lab.server().stats().refused.room_full, 1);
    assert_eq!([0, 1].map(|client| (lab.introductions(client).len(), lab.end(client))), [(1, None), (1, None)]);
    // Another room has a place.
    let fourth = lab.add(&rtt(50), ClientConfig::new(SOCKET, addr(SERVER), "cellar", &room_password(SECRET, "cellar")));
    lab.start(fourth);
    lab.run(ms(2_000));
    assert_eq!((lab.end(fourth), lab.server().rooms()), (None, 2));
}

#[test]
fn a_peer_that_leaves_makes_room_at_once_and_the_other_one_is_introduced_again() {
    let mut lab = introduced(9, &rtt(50), &rtt(50));
    lab.leave(0);
    lab.run(ms(200));
    assert_eq!(lab.end(0).unwrap().1, EndReason::Left);
    let third = lab.add(&rtt(50), client_config());
    lab.start(third);
    lab.run(ms(2_000));
    let again = lab.introductions(1);
    assert_eq!((again.len(), lab.introductions(third).len()), (2, 1));
    assert_ne!(again[0].1.session, again[1].1.session);
    assert_eq!(again[1].1.session, lab.introductions(third)[0].1.session);
    assert!(again[1].1.first, "it is the older peer now");
}

#[test]
fn a_registration_without_keepalives_expires_and_leaves_no_state() {
    let mut lab = Lab::new(11, &server_config());
    lab.add(&rtt(50), client_config());
    lab.start(0);
    lab.run(ms(1_000));
    assert_eq!((lab.server().rooms(), lab.server().registrations()), (1, 1));
    lab.net.set_interface(lab.hosts[0], 0, false);
    lab.run(ms(58_000));
    assert_eq!(lab.server().rooms(), 1);
    lab.run(ms(2_000));
    assert_eq!((lab.server().rooms(), lab.server().registrations(), lab.server().stats().ended), (0, 0, 1));
}

#[test]
fn keepalives_keep_a_registration_and_the_mapping_for_an_hour() {
    let mut lab = Lab::new(13, &server_config());
    lab.add(&rtt(50), client_config().wait(ms(4_000_000)));
    lab.start(0);
    lab.run(ms(3_600_000));
    let registered: Vec<_> =
        lab.events.iter().filter(|(.., event)| matches!(event, ClientEvent::Registered { .. })).collect();
    assert_eq!(registered.len(), 1, "one reflexive address: {registered:?}");
    assert_eq!((lab.end(0), lab.server().stats().registered), (None, 1));
    let requests = lab.server().stats().requests;
    assert!((230..=260).contains(&requests), "{requests} requests in an hour");
}

#[test]
fn a_first_peer_that_is_dead_is_removed_and_the_second_one_meets_the_next() {
    let mut lab = Lab::new(15, &server_config());
    for _ in 0..3 {
        lab.add(&rtt(50), client_config());
    }
    lab.start(0);
    lab.run(ms(1_000));
    lab.net.set_interface(lab.hosts[0], 0, false);
    lab.start(1);
    lab.run(ms(4_000));
    assert_eq!(
        (lab.server().registrations(), lab.introductions(1).len()),
        (1, 0),
        "no peer is introduced to the dead one"
    );
    lab.start(2);
    lab.run(ms(2_000));
    assert_eq!((lab.introductions(1).len(), lab.introductions(2).len()), (1, 1));
    assert_eq!(lab.introductions(1)[0].1.session, lab.introductions(2)[0].1.session);
}

#[test]
fn a_source_has_a_quota_and_another_source_is_not_affected() {
    let mut limits = ServerLimits::default();
    limits.registrations_per_source = 2;
    let mut lab = Lab::new(17, &ServerConfig::new(&[7; 32]).secret(SECRET).limits(limits));
    let in_room = |room: &str| ClientConfig::new(SOCKET, addr(SERVER), room, &room_password(SECRET, room));
    lab.add(&rtt(50), in_room("a"));
    let inside = lab.segments[0];
    lab.add_to(inside, in_room("b"));
    lab.add_to(inside, in_room("c"));
    lab.add(&rtt(50), in_room("d"));
    for client in 0..4 {
        lab.start(client);
        lab.run(ms(500));
    }
    let ends = [0, 1, 2, 3].map(|client| lab.end(client).map(|(_, why)| why));
    assert_eq!(ends, [None, None, Some(EndReason::SourceQuota), None]);
    // A peer that leaves gives its place back.
    lab.leave(0);
    let again = lab.add_to(inside, in_room("c"));
    lab.run(ms(500));
    lab.start(again);
    lab.run(ms(500));
    assert_eq!((lab.end(again), lab.server().stats().refused.quota), (None, 1));
}

#[test]
fn each_failure_ends_in_a_stated_time_with_its_own_reason() {
    // A silent server.
    let mut lab = Lab::new(19, &server_config());
    let silent = ClientConfig::new(SOCKET, addr("50.0.0.9:3478"), ROOM, "password");
    lab.add(&rtt(50), silent);
    lab.start(0);
    lab.run(ms(60_000));
    let (at, why) = lab.end(0).unwrap();
    assert!(at == 10_000 && matches!(why, EndReason::NoAnswer { .. }), "{at} {why}");

    // A false secret.
    let mut lab = Lab::new(19, &server_config());
    lab.add(&rtt(50), ClientConfig::new(SOCKET, addr(SERVER), ROOM, &room_password(b"another", ROOM)));
    lab.start(0);
    lab.run(ms(60_000));
    assert_eq!(lab.end(0), Some((100, EndReason::WrongSecret)));
    assert_eq!(lab.server().registrations(), 0);

    // The password of another room.
    let mut lab = Lab::new(19, &server_config());
    lab.add(&rtt(50), ClientConfig::new(SOCKET, addr(SERVER), ROOM, &room_password(SECRET, "cellar")));
    lab.start(0);
    lab.run(ms(60_000));
    assert_eq!(lab.end(0), Some((100, EndReason::WrongSecret)));

    // No peer comes.
    let mut lab = Lab::new(19, &server_config());
    lab.add(&rtt(50), client_config().wait(ms(30_000)));
    lab.start(0);
    lab.run(ms(60_000));
    assert_eq!(lab.end(0), Some((30_000, EndReason::NoPeer)));

    // The network is dead after the registration, and after the introduction.
    for second in [false, true] {
        let mut lab = Lab::new(19, &server_config());
        lab.add(&rtt(50), client_config().wait(ms(1_000_000)));
        lab.add(&rtt(50), client_config());
        lab.start(0);
        if second {
            lab.start(1);
        }
        lab.run(ms(2_000));
        assert_eq!(lab.introductions(0).len(), usize::from(second));
        lab.net.set_interface(lab.hosts[0], 0, false);
        lab.run(ms(200_000));
        let (at, why) = lab.end(0).unwrap();
        assert!(at <= 62_000 && matches!(why, EndReason::NoAnswer { .. }), "{at} {why}");
    }

    // The server does not confirm the end.
    let mut lab = Lab::new(19, &server_config());
    lab.add(&rtt(50), client_config());
    lab.start(0);
    lab.run(ms(1_000));
    lab.net.set_interface(lab.hosts[0], 0, false);
    lab.leave(0);
    lab.run(ms(5_000));
    assert_eq!(lab.end(0), Some((2_000, EndReason::Left)));
}

#[test]
fn a_secret_of_the_peers_makes_another_session_than_the_password() {
    let session = |secrets: [&[u8]; 2]| {
        let mut lab = Lab::new(21, &server_config());
        for secret in secrets {
            let config = if secret.is_empty() { client_config() } else { client_config().peer_secret(secret) };
            let client = lab.add(&rtt(50), config);
            lab.start(client);
            lab.run(ms(500));
        }
        lab.run(ms(2_000));
        [0, 1].map(|client| lab.introductions(client)[0].1.session)
    };
    let [one, two] = session([b"sixteen bytes...", b"sixteen bytes..."]);
    assert_eq!(one, two);
    assert_ne!(one, session([b"", b""])[0], "the ids are the same, the keys are not");
    let [one, two] = session([b"sixteen bytes...", b"another secret.."]);
    assert_ne!(one, two, "peers without a common secret have no common session");
}

#[test]
fn a_peer_whose_nat_forgets_its_mapping_stays_registered_under_the_new_address() {
    let mut lab = Lab::new(23, &server_config());
    lab.add(&rtt(50), client_config());
    lab.add(&rtt(50), client_config());
    lab.start(0);
    lab.run(ms(1_000));
    lab.net.flush_gateway(lab.segments[0]);
    lab.run(ms(20_000));
    assert_eq!(lab.server().registrations(), 1);
    lab.start(1);
    lab.run(ms(2_000));
    let (one, two) = (lab.introductions(0)[0].1, lab.introductions(1)[0].1);
    assert_eq!((one.reflexive, two.reflexive), (two.peer_reflexive, one.peer_reflexive));
}
