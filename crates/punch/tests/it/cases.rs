//! Faults from the field, each as a story in virtual time.

use super::world::{NodeEvent, RTT, Setup, World, at, kind};
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, Unreachability};
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation, Timers};
use portolan_nat::translator::TranslatorConfig;
use portolan_punch::card::Card;
use portolan_punch::puncher::{Failure, Peer, PunchCommand, PunchEvent, Puncher};
use portolan_sim::{EntryKind, Link, PacketFate};

fn cone() -> TranslatorConfig {
    kind(Mapping::EndpointIndependent, Filtering::AddressAndPortDependent)
}

fn symmetric() -> TranslatorConfig {
    kind(Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent)
}

fn restricted() -> TranslatorConfig {
    kind(Mapping::EndpointIndependent, Filtering::AddressDependent)
}

fn command(world: &mut World, side: usize, command: PunchCommand) {
    world.net.with(world.hosts[side], |node, cx| {
        portolan_machine::Machine::command(node.puncher.as_mut().unwrap(), cx, command).unwrap();
    });
}

/// The events of the punchers since the last call.
fn events(world: &mut World) -> Vec<(usize, Instant, PunchEvent)> {
    let hosts = world.hosts;
    let side = |host| hosts.iter().position(|other| *other == host);
    let taken = world.net.take_events().into_iter().filter_map(|record| match record.event {
        NodeEvent::Punch(event) => Some((side(record.host)?, record.at, event)),
        NodeEvent::Mapped(_) => None,
    });
    taken.collect()
}

/// On a short path the first packet of the peer came a few milliseconds after the probe to its guessed port. No other probe
/// followed, so the prediction failed although both sides had each other's packets.
#[test]
fn a_guessed_port_that_is_heard_at_once_is_probed_again() {
    let sequential = symmetric().ports(PortAllocation::Sequential { step: 1 });
    for millis in [1, 5, 9, 15, 30] {
        let mut world = World::new([cone(), sequential]);
        let mapped = world.introduce(1);
        for inside in world.insides {
            world.net.set_uplink(inside, &Link::delay(Duration::from_micros(200)));
        }
        for (side, delay) in [(0, Duration::ZERO), (1, Duration::from_millis(millis))] {
            let config = world.config(side, mapped).may_guess(true).start(delay);
            world.net.with(world.hosts[side], |node, cx| node.punch(cx, config));
        }
        let _stop = world.net.run_for(Duration::from_millis(300));
        let connected =
            events(&mut world).into_iter().filter(|(.., event)| matches!(event, PunchEvent::Connected { .. }));
        assert_eq!(connected.count(), 2, "the other side starts {millis} ms later");
    }
}

/// A driver whose timers are late by milliseconds made each packet of a guess later than the one before, so that the strategy
/// ended before its last packets.
#[test]
fn late_timers_do_not_delay_a_guess() {
    use portolan_machine::{Input, Machine as _, Output, SocketEvent};
    let mut world = World::new([symmetric().ports(PortAllocation::Random), cone()]);
    let mapped = world.introduce(1);
    let (mut sent, began) = (0, world.net.now());
    let mut puncher = Puncher::new(world.config(0, mapped).may_guess(true));
    let mut late = Duration::ZERO;
    world.net.with(world.hosts[0], |_, cx| {
        puncher.command(cx, PunchCommand::Start).unwrap();
    });
    // 256 sockets at 100 packets/s are 2.56 s.
    while late < Duration::from_millis(2570) {
        let mut wait = None;
        world.net.with(world.hosts[0], |_, cx| {
            loop {
                match puncher.poll() {
                    Output::Wait(deadline) => {
                        wait = deadline;
                        break;
                    }
                    Output::Transmit(_) => sent += 1,
                    Output::Socket(portolan_machine::SocketOrder::Open(open)) => {
                        let event = SocketEvent::Opened { local: at("10.0.0.2:5001") };
                        let _mine = puncher.handle(cx, Input::Socket(open.id, event));
                    }
                    Output::Socket(_) | Output::Event(_) => {}
                }
            }
        });
        let _stop = world.net.run_until(wait.unwrap().at + Duration::from_millis(4));
        world.net.with(world.hosts[0], |_, cx| puncher.handle(cx, Input::Timeout));
        late = world.net.now() - began;
    }
    assert!(sent >= 250, "{sent} packets of 256");
}

/// A NAT that answers a packet from the endpoint to which it came, unless its host has sent to the peer before. The peer
/// filters by port. So the peer must send first.
#[test]
fn a_host_behind_an_open_and_dependent_nat_lets_the_peer_send_first() {
    let mut world = World::new([kind(Mapping::AddressAndPortDependent, Filtering::EndpointIndependent), cone()]);
    let mapped = world.introduce(1);
    world.net.record_story();
    let from = world.net.story_entries().len();
    world.start(mapped);
    let _stop = world.net.run_for(Duration::from_millis(900));
    let first = world.net.story_entries()[from..].iter().find_map(|entry| match &entry.what {
        EntryKind::Packet(packet) if packet.fate == PacketFate::Sent => Some(entry.actor.to_string()),
        EntryKind::Packet(_) | EntryKind::Mapping { .. } | EntryKind::Note(_) | _ => None,
    });
    assert_eq!(first.as_deref(), Some("b"));
    // After a second without a packet, it sends too: the card may be wrong.
    let mut world = World::new([kind(Mapping::AddressAndPortDependent, Filtering::EndpointIndependent), cone()]);
    let mapped = world.introduce(1);
    let before = world.counts()[0].0;
    let config = world.config(0, mapped);
    world.net.with(world.hosts[0], |node, cx| node.punch(cx, config));
    let _stop = world.net.run_for(Duration::from_millis(990));
    assert_eq!(world.counts()[0].0, before);
    let _stop = world.net.run_for(Duration::from_millis(100));
    assert!(world.counts()[0].0 > before);
}

/// A router that takes early packets as its own answers them by ICMP. The other side then lets the peer send first.
#[test]
fn a_router_that_refuses_a_packet_by_icmp_makes_the_other_side_wait() {
    let guess: fn(portolan_punch::puncher::PunchConfig) -> portolan_punch::puncher::PunchConfig =
        |config| config.may_guess(true);
    let sent_at = |own: TranslatorConfig, refuses: bool| {
        let mut world = World::new([own, cone()]).setup(Setup {
            delay: Duration::from_millis(500),
            change: guess,
            ..Setup::default()
        });
        let mapped = world.introduce(1);
        world.net.record_story();
        let (from, began) = (world.net.story_entries().len(), world.net.now());
        let config = world.config(0, mapped);
        let socket = config.sockets.ipv4.unwrap();
        world.net.with(world.hosts[0], |node, cx| node.punch(cx, config));
        let _stop = world.net.run_for(Duration::from_millis(50));
        let sent = |world: &World| -> Vec<(Duration, SocketAddr)> {
            let packets = world.net.story_entries()[from..].iter().filter_map(|entry| match &entry.what {
                EntryKind::Packet(packet) if packet.fate == PacketFate::Sent => {
                    Some((entry.at - began, packet.destination))
                }
                EntryKind::Packet(_) | EntryKind::Mapping { .. } | EntryKind::Note(_) | _ => None,
            });
            packets.collect()
        };
        let test = sent(&world);
        assert_eq!(test.len(), 1, "one packet before the start: {test:?}");
        let (_, remote) = test[0];
        assert!(remote.ip() == mapped[1].ip() && remote.port() != mapped[1].port(), "{remote}");
        if refuses {
            world.net.with(world.hosts[0], |node, cx| {
                let event = portolan_machine::SocketEvent::Unreachable { remote, why: Unreachability::Port };
                portolan_machine::Machine::handle(node, cx, portolan_machine::Input::Socket(socket, event))
            });
        }
        let _stop = world.net.run_for(Duration::from_secs(15));
        sent(&world)[1].0
    };
    // With a prediction the host waits for 14 probes of the peer, with a random guess for nearly all of 1,200.
    let sequential = symmetric().ports(PortAllocation::Sequential { step: 1 });
    for (own, hold) in [(cone(), 200), (sequential, 340), (symmetric(), 12_800)] {
        assert!(sent_at(own, false) <= Duration::from_millis(502));
        let waited = sent_at(own, true);
        let expected = Duration::from_millis(500 + hold);
        assert!(waited >= expected && waited <= expected + Duration::from_millis(2), "{waited:?}, not {expected:?}");
    }
}

/// If both routers track early packets, the first packets must cross on their way. So both hosts wait, and both equally long.
#[test]
fn two_hosts_whose_peers_routers_refuse_a_packet_by_icmp_send_at_the_same_moment() {
    let mut world = World::new([cone(), cone()]).setup(Setup { delay: Duration::from_millis(500), ..Setup::default() });
    let mapped = world.introduce(1);
    world.net.record_story();
    let (from, began) = (world.net.story_entries().len(), world.net.now());
    world.start(mapped);
    // The two hosts learn of the refusals at different times before the start.
    for side in [0, 1] {
        let _stop = world.net.run_for(Duration::from_millis(40));
        let sent = sent_by(&world, from, side);
        let [(_, remote)] = sent[..] else { panic!("one packet before the start: {sent:?}") };
        refuse(&mut world, side, mapped, remote);
    }
    let _stop = world.net.run_for(Duration::from_secs(1));
    let first = [0, 1].map(|side| sent_by(&world, from, side)[1]);
    assert_eq!(first.map(|(_, remote)| remote), [mapped[1], mapped[0]]);
    let [one, other] = first.map(|(at, _)| at - began);
    assert_eq!(one, other, "the two packets cross");
    assert!(one >= Duration::from_millis(700), "{one:?}");
}

/// A host far from the rendezvous learns late of the peer, and has no time for the test. The peer has tested and waits, so
/// this host must wait too.
#[test]
fn a_host_without_the_time_for_the_test_waits_as_long_as_one_that_has_tested() {
    let mut world = World::new([cone(), cone()]);
    let mapped = world.introduce(1);
    world.net.record_story();
    let (from, began) = (world.net.story_entries().len(), world.net.now());
    for (side, start) in [(0, 500), (1, 200)] {
        let _stop = world.net.run_until(began + Duration::from_millis(500 - start));
        let config = world.config(side, mapped).start(Duration::from_millis(start));
        world.net.with(world.hosts[side], |node, cx| node.punch(cx, config));
        let _stop = world.net.run_for(Duration::from_millis(1));
        if side == 0 {
            let [(_, remote)] = sent_by(&world, from, 0)[..] else { panic!("the test") };
            refuse(&mut world, 0, mapped, remote);
        }
    }
    let _stop = world.net.run_for(Duration::from_secs(1));
    let (near, far) = (sent_by(&world, from, 0)[1], sent_by(&world, from, 1)[0]);
    assert_eq!((near.1, far.1), (mapped[1], mapped[0]));
    let [near, far] = [near, far].map(|(at, _)| at - began);
    let apart = near.max(far) - near.min(far);
    assert!(apart <= Duration::from_millis(2) && near >= Duration::from_millis(700), "{near:?} and {far:?}");
}

/// Tells a host that ICMP reports an address as unreachable.
fn refuse(world: &mut World, side: usize, mapped: [SocketAddr; 2], remote: SocketAddr) {
    let socket = world.config(side, mapped).sockets.ipv4.unwrap();
    world.net.with(world.hosts[side], |node, cx| {
        let event = portolan_machine::SocketEvent::Unreachable { remote, why: Unreachability::Port };
        portolan_machine::Machine::handle(node, cx, portolan_machine::Input::Socket(socket, event))
    });
}

/// The times and destinations of the packets that a host sent.
fn sent_by(world: &World, from: usize, side: usize) -> Vec<(Instant, SocketAddr)> {
    let packets = world.net.story_entries()[from..].iter().filter_map(|entry| match &entry.what {
        EntryKind::Packet(packet) if packet.fate == PacketFate::Sent && entry.actor.to_string() == ["a", "b"][side] => {
            Some((entry.at, packet.destination))
        }
        EntryKind::Packet(_) | EntryKind::Mapping { .. } | EntryKind::Note(_) | _ => None,
    });
    packets.collect()
}

/// Case 7: after success the same path was kept alive twice, dead paths were probed for ever, and two paths alternated.
#[test]
fn idle_traffic_is_bounded_and_the_path_stays_the_same() {
    let mut world = World::new([cone(), restricted()]);
    let run = world.run(3, Duration::from_secs(12));
    assert!(run.is_connected());
    // The first side's choice becomes known; then there are only keepalives.
    let _stop = world.net.run_for(Duration::from_secs(1));
    let before = world.counts();
    world.net.record_story();
    let _stop = world.net.run_for(Duration::from_secs(600));
    let after = world.counts();
    let sent: BTreeSet<(String, SocketAddr)> = world
        .net
        .story_entries()
        .iter()
        .filter_map(|entry| {
            let EntryKind::Packet(packet) = &entry.what else { return None };
            (packet.fate == PacketFate::Sent).then(|| (entry.actor.to_string(), packet.destination))
        })
        .collect();
    assert_eq!(sent.len(), 2, "one path for each side: {sent:?}");
    for side in [0, 1] {
        let packets = after[side].0 - before[side].0;
        // A keepalive every 25 s, and the answer to the peer's.
        assert!((40..=50).contains(&packets), "{packets} packets in ten minutes");
    }
    assert!(events(&mut world).is_empty(), "nothing was lost");
}

/// Keepalives follow the shortest lifetime of the two cards.
#[test]
fn a_short_lifetime_makes_keepalives_more_frequent_and_keeps_the_path() {
    let timers = Timers { unreplied: Duration::from_secs(8), replied: Duration::from_secs(8), absolute: None };
    let change = |config: portolan_punch::puncher::PunchConfig| {
        let card = Card { lifetime: Some(Duration::from_secs(8)), ..config.own.clone() };
        config.own_card(card)
    };
    let nats = [cone().ports(PortAllocation::Random).timers(timers), cone()];
    let mut world = World::new(nats).setup(Setup { change, ..Setup::default() });
    assert!(world.run(3, Duration::from_secs(12)).is_connected());
    let _stop = world.net.run_for(Duration::from_secs(300));
    assert!(events(&mut world).is_empty(), "the path lives");
    let mut world = World::new(nats);
    assert!(world.run(3, Duration::from_secs(12)).is_connected());
    let _stop = world.net.run_for(Duration::from_secs(300));
    let lost = events(&mut world).iter().filter(|(.., event)| *event == PunchEvent::Lost).count();
    assert!(lost > 0, "without the lifetime in a card, the path is lost");
}

/// Case 9: a state that nothing could leave.
#[test]
fn with_a_dead_network_a_terminal_event_comes_from_every_state_in_the_stated_time() {
    let guess: fn(portolan_punch::puncher::PunchConfig) -> portolan_punch::puncher::PunchConfig =
        |config| config.may_guess(true);
    let pairs = [
        ([cone(), cone()], Setup::default()),
        ([restricted(), symmetric()], Setup { delay: Duration::from_secs(2), ..Setup::default() }),
        ([cone(), symmetric()], Setup { change: guess, ..Setup::default() }),
        (
            [cone(), symmetric().ports(PortAllocation::Sequential { step: 1 })],
            Setup { change: guess, ..Setup::default() },
        ),
    ];
    for (nats, setup) in pairs {
        let mut world = World::new(nats).setup(setup);
        for dies in [0, 1, 20, 30, 60, 80, 110, 500, 1900, 2030, 2100, 9000, 26_000, 31_000, 60_000, 120_000] {
            let mapped = world.introduce(dies);
            let began = world.net.now();
            world.start(mapped);
            let _stop = world.net.run_for(Duration::from_millis(dies));
            for inside in world.insides {
                world.net.set_uplink(inside, &Link::delay(RTT / 4).loss(1.0));
            }
            let died = world.net.now();
            let lasts = world.net.machine(world.hosts[0]).unwrap().puncher.as_ref().unwrap().plan().lasts;
            let stated = (began + setup.delay + lasts).max(died + Puncher::LOST_AFTER) + RTT;
            let _stop = world.net.run_until(stated);
            for side in [0, 1] {
                let ended = events_of(&world, side).filter(|event| matches!(event, PunchEvent::Failed { .. })).count();
                assert_eq!(ended, 1, "died after {dies} ms, side {side}: {:?}", world.net.events());
                let wait = world.net.with(world.hosts[side], |node, _| portolan_machine::Machine::poll(node));
                assert_eq!(wait, Some(portolan_machine::Output::Wait(None)));
            }
        }
    }
}

fn events_of(world: &World, side: usize) -> impl Iterator<Item = &PunchEvent> {
    let host = world.hosts[side];
    world.net.events().iter().filter(move |record| record.host == host).filter_map(|record| match &record.event {
        NodeEvent::Punch(event) => Some(event),
        NodeEvent::Mapped(_) => None,
    })
}

/// Case 18: punching left from another socket than the one whose mapping was told to the peer.
#[test]
fn every_packet_leaves_from_the_advertised_mapping() {
    for (nats, loss) in [([cone(), cone()], 0.2), ([cone(), restricted()], 0.1), ([restricted(), cone()], 0.0)] {
        let mut world = World::new(nats).setup(Setup { loss, ..Setup::default() });
        for seed in 0..20 {
            world.net.record_story();
            let mapped = world.introduce(seed);
            let from = world.net.story_entries().len();
            world.start(mapped);
            let _stop = world.net.run_for(Duration::from_secs(30));
            let (mut sent, mut made) = (0, 0);
            for entry in &world.net.story_entries()[from..] {
                if matches!(entry.what, EntryKind::Mapping { .. }) {
                    made += 1;
                }
                let EntryKind::Packet(packet) = &entry.what else { continue };
                if packet.fate == PacketFate::Sent {
                    let side = usize::from(&*entry.actor == "b");
                    assert_eq!(packet.source.port(), mapped[side].port(), "the port is preserved: {packet}");
                    sent += 1;
                } else if packet.fate == PacketFate::Delivered {
                    assert!(mapped.contains(&packet.source), "{packet}");
                }
            }
            assert!(sent >= 4 && made == 0, "{sent} packets, {made} new mappings");
        }
    }
}

/// A lying introducer names addresses of third hosts. Each address gets a bounded number of packets, and all together no
/// more than the rate.
#[test]
fn a_lying_introducer_cannot_aim_more_than_the_budget_at_any_address() {
    let mut world = World::new([cone(), cone()]);
    let mapped = world.introduce(1);
    let victims: Vec<SocketAddr> = (1..=200).map(|n| SocketAddr::from(([203, 0, 113, n], 53))).collect();
    let mut config = world.config(0, mapped);
    config.peer = Peer::new(at("203.0.113.250:53")).candidates(victims);
    world.net.record_story();
    let (before, began) = (world.counts()[0].0, world.net.now());
    world.net.with(world.hosts[0], |node, cx| node.punch(cx, config));
    let _stop = world.net.run_for(Duration::from_secs(60));
    let mut per_address = BTreeMap::<SocketAddr, u32>::new();
    for entry in world.net.story_entries() {
        if let EntryKind::Packet(packet) = &entry.what
            && packet.fate == PacketFate::Sent
            && entry.at >= began
        {
            *per_address.entry(packet.destination).or_default() += 1;
        }
    }
    assert_eq!(per_address.len(), 17, "sixteen candidates and the public endpoint");
    assert!(per_address.values().all(|count| *count <= 100), "{per_address:?}");
    assert!(world.counts()[0].0 - before <= 1000, "100 packets/s for ten seconds");
    let last = events(&mut world).pop().unwrap().2;
    assert!(matches!(last, PunchEvent::Failed { why: Failure::NoAnswer, .. }), "{last:?}");
}

/// The key of another session, or two sides with one role, never connect.
#[test]
fn a_replayed_introduction_connects_nothing() {
    let mut world = World::new([cone(), cone()]);
    let mapped = world.introduce(1);
    for side in [0, 1] {
        let mut config = world.config(side, mapped);
        config.key = portolan_punch::puncher::SessionKey::new(b"secret", &[side as u8; 16]);
        world.net.with(world.hosts[side], |node, cx| node.punch(cx, config));
    }
    let _stop = world.net.run_for(Duration::from_secs(20));
    let failed = |world: &mut World, why| {
        let ends = events(world)
            .into_iter()
            .filter(|(.., event)| matches!(event, PunchEvent::Failed { why: found, .. } if *found == why));
        assert_eq!(ends.count(), 2);
    };
    failed(&mut world, Failure::NoAnswer);
    let mapped = world.introduce(2);
    for side in [0, 1] {
        let mut config = world.config(side, mapped);
        config.is_first = true;
        world.net.with(world.hosts[side], |node, cx| node.punch(cx, config));
    }
    let _stop = world.net.run_for(Duration::from_secs(20));
    failed(&mut world, Failure::NoAnswer);
}

/// A path that is lost is found again: a NAT loses its mappings and assigns other ports.
#[test]
fn a_lost_path_is_punched_again() {
    let mut world = World::new([cone().ports(PortAllocation::Random), restricted()]);
    assert!(world.run(3, Duration::from_secs(12)).is_connected());
    world.net.flush_gateway(world.insides[0]);
    let began = world.net.now();
    let _stop = world.net.run_for(Duration::from_secs(80));
    let seen = events(&mut world);
    for side in [0, 1] {
        let again = seen.iter().find(|(at, _, event)| *at == side && matches!(event, PunchEvent::Connected { .. }));
        let (_, at, _) = again.unwrap_or_else(|| panic!("side {side}: {seen:?}"));
        assert!(*at - began <= Duration::from_secs(60), "side {side} after {:?}", *at - began);
        assert!(!seen.iter().any(|(_, _, event)| matches!(event, PunchEvent::Failed { .. })), "{seen:?}");
    }
}

/// The owner takes the socket. The other side's data confirms the path and is an event.
#[test]
fn released_data_reaches_the_owner_of_the_other_side() {
    let mut world = World::new([cone(), cone()]);
    let run = world.run(3, Duration::from_secs(12));
    let path = run.paths[0].unwrap();
    command(&mut world, 0, PunchCommand::Release);
    assert_eq!(events(&mut world).pop().unwrap().2, PunchEvent::Released);
    world.net.with(world.hosts[0], |node, _| {
        let payload = bytes::Bytes::from_static(b"\x80application");
        node.send(portolan_machine::Transmit::new(path.socket, path.remote, payload));
    });
    let _stop = world.net.run_for(RTT);
    let (side, _, event) = events(&mut world).pop().unwrap();
    assert!(
        side == 1 && matches!(&event, PunchEvent::Data { payload, .. } if payload.ends_with(b"application")),
        "{event:?}"
    );
}

/// An address that ICMP reports as unreachable is given up at once, if another one is left.
#[test]
fn an_unreachable_address_is_given_up_if_another_is_left() {
    let mut world = World::new([cone(), cone()]);
    let mapped = world.introduce(1);
    let dead = at("85.0.0.77:9");
    let mut config = world.config(0, mapped);
    config.peer.candidates = vec![dead];
    let socket = config.sockets.ipv4.unwrap();
    world.net.with(world.hosts[0], |node, cx| node.punch(cx, config));
    world.net.record_story();
    let unreachable = |world: &mut World, remote| {
        world.net.with(world.hosts[0], |node, cx| {
            let event = portolan_machine::SocketEvent::Unreachable { remote, why: Unreachability::Host };
            let _verdict = portolan_machine::Machine::handle(node, cx, portolan_machine::Input::Socket(socket, event));
        });
    };
    let _stop = world.net.run_for(Duration::from_millis(50));
    unreachable(&mut world, dead);
    unreachable(&mut world, mapped[1]);
    let from = world.net.story_entries().len();
    let _stop = world.net.run_for(Duration::from_secs(2));
    let to: Vec<SocketAddr> = world.net.story_entries()[from..]
        .iter()
        .filter_map(|entry| {
            let EntryKind::Packet(packet) = &entry.what else { return None };
            (packet.fate == PacketFate::Sent).then_some(packet.destination)
        })
        .collect();
    assert!(to.len() >= 18 && to.iter().all(|to| *to == mapped[1]), "the last address is kept: {to:?}");
}

/// Two hosts behind one NAT connect over their private addresses; without those, by hairpinning.
#[test]
fn two_hosts_of_one_network_use_private_addresses_or_hairpin() {
    use portolan_punch::puncher::{PunchConfig, SessionKey, Sockets};
    for with_candidates in [true, false] {
        let mut world = World::new([cone(), cone()]).cross_traffic(1);
        // The host of the cross traffic and the second peer share a network.
        let mapped = world.introduce(1);
        let hosts = world.housemates();
        let mut own = Vec::new();
        for host in hosts {
            world.net.replace(host, super::world::Node::default());
            world.net.with(host, super::world::Node::ask);
        }
        let _stop = world.net.run_for(Duration::from_millis(60));
        for host in hosts {
            let found = world.net.events().iter().rev().find_map(|record| match record.event {
                NodeEvent::Mapped(mapped) if record.host == host => Some(mapped),
                NodeEvent::Mapped(_) | NodeEvent::Punch(_) => None,
            });
            own.push(found.unwrap());
        }
        assert_eq!(own[0].ip(), mapped[1].ip());
        world.net.take_events();
        for (side, host) in hosts.into_iter().enumerate() {
            let local = SocketAddr::from(([10, 1, 0, [3, 2][side]], own[1 - side].port()));
            let candidates = if with_candidates { vec![local] } else { Vec::new() };
            let peer = Peer::new(own[1 - side]).candidates(candidates);
            let socket = world.net.machine(host).unwrap().socket.unwrap();
            let key = SessionKey::new(b"", &[1; 16]);
            let config = PunchConfig::new(Sockets::ipv4(socket), own[side], peer, key, side == 0);
            world.net.with(host, |node, cx| node.punch(cx, config));
        }
        let _stop = world.net.run_for(Duration::from_secs(1));
        let connected: Vec<SocketAddr> = world
            .net
            .take_events()
            .into_iter()
            .filter_map(|record| match record.event {
                NodeEvent::Punch(PunchEvent::Connected { path, .. }) => Some(path.remote),
                NodeEvent::Mapped(_) | NodeEvent::Punch(_) => None,
            })
            .collect();
        assert_eq!(connected.len(), 2);
        let is_private = |remote: &SocketAddr| remote.ip().to_string().starts_with("10.");
        assert!(connected.iter().all(|remote| is_private(remote) == with_candidates), "{connected:?}");
    }
}

/// Openers with a small hop limit open the own NAT and do not reach the peer's. ICMP reports them; no address is given up.
#[test]
fn openers_with_a_small_hop_limit_delay_the_connection_by_one_probe() {
    let change = |config: portolan_punch::puncher::PunchConfig| config.opener_hop_limit(2);
    let mut world = World::new([cone(), cone()]).setup(Setup { change, ..Setup::default() });
    world.net.record_story();
    let run = world.run(1, Duration::from_secs(12));
    let time = run.time().unwrap();
    assert!(time > Duration::from_millis(100) && time <= Duration::from_millis(200), "{time:?}");
    let died = world.net.story_entries().iter().filter(
        |entry| matches!(&entry.what, EntryKind::Packet(packet) if matches!(packet.fate, PacketFate::Stranded(_))),
    );
    assert_eq!(died.count(), 2, "the first packet of each side");
}

/// Two hosts with IPv6 alone, each behind a firewall: both send, so any filter lets the packets in.
#[test]
fn two_firewalls_for_ipv6_are_punched() {
    use portolan_punch::forecast::Strategy;
    use portolan_punch::puncher::{PunchConfig, SessionKey, Sockets};
    use portolan_sim::{Gateway, Net};
    let mut net = Net::new(1);
    let firewall = TranslatorConfig::firewall(Filtering::AddressAndPortDependent);
    let hosts = [1, 2].map(|n: u16| {
        let inside = net.add_gateway(net.internet(), Gateway::new("home", [], firewall), &Link::delay(RTT / 4));
        let address = core::net::IpAddr::from([0x2001, 0xdb8, n, 0, 0, 0, 0, 2]);
        net.add_host(inside, "peer", &[address], &Link::PERFECT, super::world::Node::default())
    });
    let local = |n: u16| SocketAddr::from(([0x2001, 0xdb8, n + 1, 0, 0, 0, 0, 2], 5000));
    let card: Card = "nat1,4=absent,6=apdf".parse().unwrap();
    for (n, host) in (0..).zip(hosts) {
        let (socket, _) = net.open(host, local(n)).unwrap();
        let sockets = Sockets { ipv4: None, ipv6: Some(socket) };
        let key = SessionKey::new(b"", &[1; 16]);
        let config = PunchConfig::new(sockets, local(n), Peer::new(local(1 - n)).card(card.clone()), key, n == 0);
        net.with(host, |node, cx| node.punch(cx, config.own_card(card.clone())));
    }
    let _stop = net.run_for(RTT * 3);
    let count = |wanted: fn(&PunchEvent) -> bool| {
        net.events().iter().filter(|record| matches!(&record.event, NodeEvent::Punch(event) if wanted(event))).count()
    };
    assert_eq!(count(|event| *event == PunchEvent::Trying(Strategy::Ipv6)), 2);
    assert_eq!(count(|event| matches!(event, PunchEvent::Connected { .. })), 2);
}
