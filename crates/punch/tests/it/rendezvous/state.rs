//! The bounds of the server's state, and its release.

use super::lab::{ROOM, SECRET, SERVER, SOCKET, addr, client_config, ms, server_config};
use super::messages::World;
use core::net::{Ipv4Addr, SocketAddr};
use portolan_machine::{Cx, Datagram, Input, Machine, Output, Verdict};
use portolan_punch::rendezvous::{
    ClientConfig, ClientEvent, EndReason, METHOD, ServerConfig, ServerLimits, room_password,
};
use portolan_sim::laws::debug_length;
use portolan_stun::{Class, Writer};

/// A million registrations with forged sources: without integrity, with a forged one, or captured elsewhere.
#[test]
fn a_million_garbage_registrations_leave_only_the_table_of_rates() {
    let mut world = World::new(&server_config());
    world.start("85.0.0.1:4000", client_config());
    let requests: Vec<_> = world.sent.iter().filter(|(to_server, ..)| *to_server).map(|(.., bytes)| bytes).collect();
    let (bare, captured) = (requests[0].clone(), requests[1].clone());
    let mut forged = captured.clone();
    let end = forged.len();
    forged[end - 1] ^= 1;
    let mut buffer = [0; 20];
    let short = Writer::new(&mut buffer, Class::Request, METHOD, [1; 12].into()).unwrap().finish().to_vec();
    let payloads = [bare, forged, captured, short];
    let before = debug_length(&world.server);
    for n in 0..1_000_000_u32 {
        let port = u16::try_from(1024 + n % 60_000).unwrap();
        let source = SocketAddr::from((Ipv4Addr::from_bits(0x6440_0000 + n), port));
        let payload = &payloads[(n % 4) as usize];
        let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids);
        let datagram = Datagram::new(SOCKET, addr(SERVER), source, payload);
        assert_eq!(world.server.handle(&mut cx, Input::Datagram(datagram)), Verdict::Mine);
        while !matches!(world.server.poll(), Output::Wait(_)) {}
    }
    // The limiter prints only its rate. The counters have more digits.
    let after = debug_length(&world.server);
    assert!(after < before + 100, "{before} bytes of text before, {after} after");
    assert_eq!((world.server.rooms(), world.server.registrations()), (1, 1));
    let stats = world.server.stats();
    assert_eq!(stats.rejected.total() + stats.dropped.total(), 1_000_000 + 1, "with the challenge of the client");
    assert!(stats.rejected.stale_nonce > 100_000 && stats.rejected.unauthenticated > 200_000, "{stats:?}");
}

#[test]
fn responses_without_credentials_are_limited_for_each_source() {
    let rate = portolan_stun_agent::Rate::per_second(core::num::NonZeroU32::new(10).unwrap());
    let mut world = World::new(&server_config().rate(Some(rate)));
    world.start("85.0.0.1:4000", client_config());
    let bare = world.sent[0].2.clone();
    let mut answered = 0;
    for _ in 0..100 {
        let _mine = world.pass_to_server(addr("85.0.0.9:1000"), &bare);
        answered += world.responses().len();
    }
    assert_eq!((answered, world.server.stats().dropped.rate_limited), (20, 80));
    let _mine = world.pass_to_server(addr("85.0.0.10:1000"), &bare);
    assert_eq!(world.responses().len(), 1, "another source");
}

#[test]
fn registrations_are_limited_in_total_and_released() {
    let mut limits = ServerLimits::default();
    limits.registrations = 8;
    let mut world = World::new(&ServerConfig::new(&[7; 32]).secret(SECRET).limits(limits));
    let empty = debug_length(&world.server);
    for n in 0..10 {
        let room = format!("room {n}");
        let config = ClientConfig::new(SOCKET, addr(SERVER), &room, &room_password(SECRET, &room));
        world.start(&format!("85.0.0.{n}:4000"), config.card(&"c".repeat(512)));
    }
    let full = |(_, event): &&(usize, ClientEvent)| *event == ClientEvent::Ended(EndReason::ServerFull);
    assert_eq!(world.events.iter().filter(full).count(), 2);
    assert_eq!((world.server.registrations(), world.server.stats().refused.capacity), (8, 2));
    world.clients.clear();
    world.now += ms(61_000);
    let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids);
    assert_eq!(world.server.handle(&mut cx, Input::Timeout), Verdict::Mine);
    assert_eq!((world.server.rooms(), world.server.registrations()), (0, 0));
    assert_eq!(world.server.poll(), Output::Wait(None));
    let after = debug_length(&world.server);
    assert!(after < empty + 60, "{empty} bytes of text of a new server, {after} after");
}

/// The queue of outputs is bounded when the owner does not drain.
#[test]
fn a_server_that_is_not_drained_drops_requests() {
    let mut world = World::new(&server_config());
    world.start("85.0.0.1:4000", client_config());
    let captured = world.sent.iter().rev().find(|(to_server, ..)| *to_server).unwrap().2.clone();
    for _ in 0..1000 {
        let _mine = world.pass_to_server(addr("85.0.0.1:4000"), &captured);
    }
    let queued = world.responses().len();
    assert!(queued <= 256, "{queued}");
    assert_eq!(world.server.stats().dropped.overload, 1000 - queued as u64);
}

/// A peer that is not there gets at most five wakes, and then nothing.
#[test]
fn a_dead_peer_gets_at_most_five_wakes() {
    let mut world = World::new(&server_config());
    world.start("85.0.0.1:4000", client_config());
    world.pass(1_000);
    world.clients[0].0 = addr("85.0.0.99:1");
    let second = world.start("85.0.0.2:4000", client_config());
    // A request of the second peer is no proof that the first one is there.
    let of_second = |(to_server, client, _): &&(bool, usize, Vec<u8>)| *to_server && *client == second;
    let repeated = world.sent.iter().rev().find(of_second).unwrap().2.clone();
    assert_eq!(world.pass_to_server(addr("85.0.0.2:4000"), &repeated), Verdict::Mine);
    world.settle();
    assert_eq!((world.server.registrations(), world.server.stats().introduced), (2, 0));
    world.pass(10_000);
    assert_eq!((world.server.stats().wakes, world.server.registrations()), (5, 1));
    let config = ClientConfig::new(SOCKET, addr(SERVER), ROOM, &room_password(SECRET, ROOM));
    world.start("85.0.0.3:4000", config);
    world.pass(1_000);
    assert_eq!((world.introductions(1), world.introductions(2)), (1, 1));
}
