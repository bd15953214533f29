//! The bounds of the server's state, and its release.

use crate::world::{Client, LISTENER, PEER, SERVER, Seeded, World, addr, config, seconds, unsigned};
use core::net::{Ipv4Addr, SocketAddr};
use portolan_machine::{Cx, Datagram, Input, Machine, Output, SocketEvent, SocketIds, SocketOrder};
use portolan_sim::laws::debug_length;
use portolan_stun::{Attribute, Class, Message, Method};
use portolan_stun_agent::Rate;
use portolan_turn::ServerLimits;

/// 10⁵ allocations that are freed leave no state: the size of the debug text is that after the first one.
#[test]
fn a_hundred_thousand_allocations_that_are_freed_leave_no_state() {
    let mut world = World::new(&config().ports(50_000, 50_063));
    let mut alice = Client::new(&mut world, "192.0.2.77:40000", "alice");
    let mut size = 0;
    for n in 0..100_000_u32 {
        let attributes: &[_] = match n % 4 {
            0 => &[Attribute::EvenPort(false)],
            1 => &[Attribute::AdditionalAddressFamily(portolan_stun::AddressFamily::Ipv6)],
            _ => &[],
        };
        assert_eq!(alice.allocate(&mut world, attributes).code(), None, "{n}");
        if n % 1000 == 0 {
            assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
            assert_eq!(alice.channel(&mut world, 0x4000, b"x").len(), 1);
        }
        assert_eq!(alice.refresh(&mut world, 0).code(), None);
        world.events.clear();
        world.orders.clear();
        world.sent.clear();
        if n == 0 {
            size = debug_length(&world.server);
        }
    }
    // The counters have more digits.
    let after = debug_length(&world.server);
    assert!(after < size + 200, "{size} bytes of text after the first, {after} after the last");
    assert_eq!((world.wait, world.relays.len()), (None, 0));
    // All 64 ports of both families are free.
    let dual = [Attribute::AdditionalAddressFamily(portolan_stun::AddressFamily::Ipv6)];
    for n in 0..64 {
        let mut client = Client::new(&mut world, &format!("192.0.2.{}:1000", n + 1), "bob");
        let reply = client.allocate(&mut world, &dual);
        assert!(reply.code().is_none() && !reply.message().has(portolan_stun::AttributeType::ADDRESS_ERROR_CODE));
    }
}

/// A million Allocate requests with forged sources, each without integrity or with a forged one.
#[test]
fn a_million_spoofed_sources_leave_only_the_table_of_rates() {
    let mut world = World::new(&config().ports(50_000, 50_063));
    let mut alice = Client::new(&mut world, "192.0.2.77:40000", "alice");
    let (id, udp) = (alice.id(), Attribute::RequestedTransport(17));
    let bare = unsigned(Method::ALLOCATE, id, &[udp]);
    let mut forged = alice.signed(Method::ALLOCATE, id, &[udp]);
    let end = forged.len();
    forged[end - 1] ^= 1;
    let foreign = alice.signed(Method::ALLOCATE, id, &[udp]);
    let before = debug_length(&world.server);
    for n in 0..1_000_000_u32 {
        let source = SocketAddr::from((Ipv4Addr::from_bits(0x6440_0000 + n), 1024 + (n % 60_000) as u16));
        let payload = match n % 3 {
            0 => &bare,
            1 => &forged,
            // A captured request: the nonce belongs to another address.
            _ => &foreign,
        };
        let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids);
        let datagram = Datagram::new(LISTENER, addr(SERVER), source, payload);
        let _mine = world.server.handle(&mut cx, Input::Datagram(datagram));
        while !matches!(world.server.poll(), Output::Wait(_)) {}
    }
    // The table of rates has 2 × 4,096 numbers, which are 0 before the first request of a source. The counters grow.
    let after = debug_length(&world.server);
    assert!(after < before + 2 * 4096 * 20 + 200, "{before} bytes of text before, {after} after");
    assert_eq!(world.server.allocations().count(), 0);
    let stats = world.server.stats();
    assert_eq!(stats.requests, 1_000_001);
    assert_eq!(stats.rejected.total() + stats.dropped.rate_limited, 1_000_001);
    assert!(stats.rejected.unauthenticated > 300_000 && stats.rejected.stale_nonce > 300_000, "{stats:?}");
}

#[test]
fn replies_without_credentials_are_limited_for_each_source_and_authenticated_requests_are_not() {
    let rate = Rate::per_second(core::num::NonZeroU32::new(10).unwrap());
    let mut world = World::new(&config().rate(Some(rate)));
    let mut alice = Client::allocated(&mut world, "192.0.2.77:40000", "alice");
    world.advance(seconds(100));
    let from = addr("192.0.2.77:50000");
    let binding = unsigned(Method::BINDING, [1; 12].into(), &[]);
    let allocate = unsigned(Method::ALLOCATE, [1; 12].into(), &[]);
    let replies: usize = (0..50).map(|n| world.client(from, if n % 2 == 0 { &binding } else { &allocate }).len()).sum();
    assert_eq!(replies, 20, "the burst");
    assert_eq!(world.server.stats().dropped.rate_limited, 30);
    for _ in 0..50 {
        assert_eq!(alice.permit(&mut world, PEER).code(), None, "the same source, with credentials");
    }
    assert_eq!(world.client(addr("192.0.2.78:1"), &binding).len(), 1, "another source");
    world.advance(seconds(101));
    assert_eq!((0..50).map(|_| world.client(from, &binding).len()).sum::<usize>(), 10);
}

/// The queue of outputs is bounded when the owner does not drain.
#[test]
fn a_server_that_is_not_drained_drops_requests_and_data() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, "192.0.2.77:40000", "alice");
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    let (mut rng, mut ids) = (Seeded(2), SocketIds::new());
    let relay = world.relay_socket(alice.relayed);
    let refresh = alice.signed(Method::REFRESH, [7; 12].into(), &[]);
    let data = crate::world::channel_data(0x4000, b"x");
    for _ in 0..1000 {
        let mut cx = Cx::new(world.now, &mut rng, &mut ids);
        for payload in [&data, &refresh] {
            let datagram = Datagram::new(LISTENER, addr(SERVER), alice.address, payload);
            let _mine = world.server.handle(&mut cx, Input::Datagram(datagram));
        }
        let _mine =
            world.server.handle(&mut cx, Input::Datagram(Datagram::new(relay, alice.relayed, addr(PEER), b"x")));
        let event = SocketEvent::Unreachable { remote: addr(PEER), why: portolan_machine::Unreachability::Port };
        let _mine = world.server.handle(&mut cx, Input::Socket(relay, event));
    }
    let mut outputs = 0;
    while !matches!(world.server.poll(), Output::Wait(_)) {
        outputs += 1;
    }
    assert_eq!(outputs, 256);
    assert_eq!(world.server.stats().dropped.overload, 4000 - 256);
}

#[test]
fn the_bandwidth_of_an_allocation_is_limited_in_both_directions_together() {
    let mut limits = ServerLimits::default();
    limits.bandwidth = Some(portolan_turn::Bandwidth::per_second(core::num::NonZeroU32::new(1000).unwrap()));
    let mut world = World::new(&config().limits(limits));
    let mut alice = Client::allocated(&mut world, "192.0.2.77:40000", "alice");
    let mut bob = Client::allocated(&mut world, "192.0.2.78:40000", "bob");
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    assert_eq!(bob.bind(&mut world, 0x4000, PEER).code(), None);
    world.advance(seconds(100));
    let mut relayed = 0;
    for n in 0..200 {
        let sent = match n % 3 {
            0 => alice.channel(&mut world, 0x4000, &[1; 1000]),
            1 => alice.send(&mut world, PEER, &[1; 1000]),
            _ => world.peer(addr(PEER), alice.relayed, &[1; 1000]),
        };
        relayed += sent.len();
    }
    assert_eq!(relayed, 65, "the least burst is 65,536 bytes");
    assert_eq!(world.server.stats().dropped.bandwidth, 135);
    assert_eq!(bob.channel(&mut world, 0x4000, &[1; 1000]).len(), 1, "another allocation");
    world.advance(seconds(110));
    assert_eq!((0..50).map(|_| alice.channel(&mut world, 0x4000, &[1; 1000]).len()).sum::<usize>(), 10);
    assert_eq!(alice.refresh(&mut world, 600).code(), None, "requests are no data");
}

#[test]
fn the_ids_of_data_indications_are_random_and_never_repeat() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, "192.0.2.77:40000", "alice");
    assert_eq!(alice.permit(&mut world, PEER).code(), None);
    let mut seen = alloc::collections::BTreeSet::new();
    for _ in 0..1000 {
        let sent = world.peer(addr(PEER), alice.relayed, b"x");
        let message = Message::decode(&sent[0].payload).unwrap();
        assert_eq!(message.class(), Class::Indication);
        assert!(seen.insert(message.transaction_id()));
    }
    let ones: u32 = seen.iter().flat_map(|id| id.as_bytes()).map(|byte| byte.count_ones()).sum();
    assert!((47_000..49_000).contains(&ones), "{ones} of 96,000 bits are set");
}

#[test]
fn relay_ports_cannot_be_predicted() {
    let ports = |seed| {
        let mut world = World::new(&config());
        world.rng = Seeded(seed);
        let ports = (0..50).map(|n| {
            let mut client = Client::new(&mut world, &format!("192.0.2.77:{}", 1000 + n), "alice");
            assert_eq!(client.allocate(&mut world, &[]).code(), None);
            client.relayed.port()
        });
        ports.collect::<Vec<_>>()
    };
    let (one, other) = (ports(1), ports(2));
    assert_eq!(one, ports(1));
    assert!(one.iter().zip(&other).filter(|(one, other)| one == other).count() < 3);
    let steps = one.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 16).count();
    assert!(steps < 5, "{one:?}");
    let order = |world: &World| world.orders.iter().filter(|order| matches!(order, SocketOrder::Open(_))).count();
    let world = World::new(&config());
    assert_eq!(order(&world), 0, "no port is opened before a client asks");
}
