//! Lifetimes to the second, in virtual time (RFC 8656 §8, §9, §12).

use crate::world::{
    Client, LISTENER, OTHER_PEER, PEER, SERVER, World, addr, channel_data, config, indication, seconds,
};
use core::time::Duration;
use portolan_machine::{Datagram, Input, Verdict};
use portolan_stun::{Attribute, AttributeType, Method};
use portolan_turn::{FreedReason, ServerEvent};

const ALICE: &str = "192.0.2.77:40000";

/// A client with a permission and a channel at time 0, whose allocation lives an hour.
fn world() -> (World, Client) {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    assert_eq!(alice.allocate(&mut world, &[Attribute::Lifetime(3600)]).lifetime(), 3600);
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    (world, alice)
}

#[test]
fn a_permission_relays_at_299_seconds_and_not_at_301() {
    for (at, relays) in [(299, true), (301, false)] {
        let (mut world, mut alice) = world();
        // Data never refreshes a permission.
        world.advance(seconds(200));
        assert_eq!(alice.send(&mut world, PEER, b"x").len(), 1);
        assert_eq!(world.peer(addr(PEER), alice.relayed, b"x").len(), 1);
        world.advance(seconds(at));
        assert_eq!(alice.send(&mut world, PEER, b"x").len(), usize::from(relays));
        assert_eq!(world.peer(addr(PEER), alice.relayed, b"x").len(), usize::from(relays));
        assert_eq!(world.server.allocations().next().unwrap().permissions, usize::from(relays));
    }
}

#[test]
fn a_permission_is_over_at_300_seconds_even_if_no_timeout_came() {
    for (millis, relays) in [(299_999, true), (300_000, false)] {
        let (mut world, mut alice) = world();
        // The first peer has a channel, the second one a permission alone.
        assert_eq!(alice.permit(&mut world, OTHER_PEER).code(), None);
        world.now = portolan_machine::Instant::from_millis(millis);
        for peer in [PEER, OTHER_PEER] {
            assert_eq!(alice.send(&mut world, peer, b"x").len(), usize::from(relays), "{peer}");
            assert_eq!(world.peer(addr(peer), alice.relayed, b"x").len(), usize::from(relays), "{peer}");
        }
    }
}

#[test]
fn a_refreshed_permission_lives_300_seconds_more() {
    let (mut world, mut alice) = world();
    world.advance(seconds(299));
    assert_eq!(alice.permit(&mut world, PEER).code(), None);
    world.advance(seconds(598));
    assert_eq!(alice.send(&mut world, PEER, b"x").len(), 1);
    world.advance(seconds(600));
    assert!(alice.send(&mut world, PEER, b"x").is_empty());
}

#[test]
fn a_channel_relays_at_599_seconds_and_not_at_601() {
    for (at, relays) in [(599, true), (601, false)] {
        let (mut world, mut alice) = world();
        for refresh in [290, 580] {
            world.advance(seconds(refresh));
            assert_eq!(alice.permit(&mut world, PEER).code(), None, "it does not refresh the channel");
        }
        world.advance(seconds(at));
        assert_eq!(alice.channel(&mut world, 0x4000, b"x").len(), usize::from(relays));
        let sent = world.peer(addr(PEER), alice.relayed, b"x");
        assert_eq!(sent[0].payload.starts_with(&[0x40, 0x00]), relays, "otherwise a Data indication");
    }
}

/// The server has copies of the first channel and of the other channels. Each of them ends with its lifetime, in any
/// order of the numbers.
#[test]
fn each_of_several_channels_relays_at_599_seconds_and_not_at_601() {
    for (at, relays) in [(599, true), (601, false)] {
        let (mut world, mut alice) = world();
        let mut same_address = addr(OTHER_PEER);
        same_address.set_port(same_address.port() + 1);
        let others = [(0x4fff, addr(OTHER_PEER)), (0x4002, same_address)];
        for (number, peer) in others {
            assert_eq!(alice.bind(&mut world, number, &peer.to_string()).code(), None);
        }
        for refresh in [290, 580] {
            world.advance(seconds(refresh));
            for peer in [PEER, OTHER_PEER] {
                assert_eq!(alice.permit(&mut world, peer).code(), None, "it does not refresh the channels");
            }
        }
        world.advance(seconds(at));
        for (number, peer) in others.into_iter().chain([(0x4000, addr(PEER))]) {
            assert_eq!(alice.channel(&mut world, number, b"x").len(), usize::from(relays), "{number:#x}");
            let sent = world.peer(peer, alice.relayed, b"x");
            assert_eq!(sent[0].payload.starts_with(&number.to_be_bytes()), relays, "otherwise a Data indication");
        }
    }
}

/// The copies of several channels have one time until which they are valid. Each channel and each permission ends at its
/// own time, also if no timeout came.
#[test]
fn each_of_several_channels_and_permissions_ends_at_its_own_time() {
    let (first, second) = ((0x4000, PEER), (0x4001, OTHER_PEER));
    let third = (0x4002, "203.0.113.77:5000");
    // The time in milliseconds, the channels that take data of peers, and those that take data of the client.
    let stages = [
        (299_999, vec![first, second, third], vec![first, second, third]),
        (300_000, vec![third], vec![first, second, third]),
        (399_999, vec![third], vec![first, second, third]),
        (400_000, vec![], vec![first, second, third]),
        (599_999, vec![], vec![first, second, third]),
        (600_000, vec![], vec![third]),
        (700_000, vec![], vec![]),
    ];
    for has_timeouts in [false, true] {
        let (mut world, mut alice) = world();
        assert_eq!(alice.bind(&mut world, second.0, second.1).code(), None);
        world.advance(seconds(100));
        assert_eq!(alice.bind(&mut world, third.0, third.1).code(), None);
        for (millis, from_peers, to_peers) in &stages {
            let at = portolan_machine::Instant::from_millis(*millis);
            if has_timeouts {
                world.advance(at);
            } else {
                world.now = at;
            }
            for channel @ (number, peer) in [first, second, third] {
                let sent = world.peer(addr(peer), alice.relayed, b"x");
                assert_eq!(sent.len(), usize::from(from_peers.contains(&channel)), "{number:#x} at {at}");
                let sent = alice.channel(&mut world, number, b"x");
                assert_eq!(sent.len(), usize::from(to_peers.contains(&channel)), "{number:#x} at {at}");
            }
        }
    }
}

/// RFC 8656 §12.6: only requests refresh.
#[test]
fn channel_data_refreshes_neither_the_channel_nor_the_permission() {
    let (mut world, mut alice) = world();
    for at in [100, 299] {
        world.advance(seconds(at));
        assert_eq!(alice.channel(&mut world, 0x4000, b"x").len(), 1);
    }
    world.advance(seconds(301));
    assert!(world.peer(addr(PEER), alice.relayed, b"x").is_empty(), "the permission is over");
    world.advance(seconds(599));
    assert_eq!(alice.channel(&mut world, 0x4000, b"x").len(), 1, "a channel needs no permission");
    world.advance(seconds(601));
    assert!(alice.channel(&mut world, 0x4000, b"x").is_empty());
}

#[test]
fn an_expired_channel_keeps_its_number_and_its_peer_for_300_seconds() {
    for (at, code) in [(601, Some(400)), (899, Some(400)), (901, None)] {
        let (mut world, mut alice) = world();
        world.advance(seconds(at));
        assert_eq!(alice.bind(&mut world, 0x4000, OTHER_PEER).code(), code);
        let (mut world, mut alice) = self::world();
        world.advance(seconds(at));
        assert_eq!(alice.bind(&mut world, 0x4001, PEER).code(), code);
        let (mut world, mut alice) = self::world();
        world.advance(seconds(at));
        assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None, "the same binding is always possible");
        assert_eq!(alice.channel(&mut world, 0x4000, b"x").len(), 1);
    }
}

#[test]
fn an_allocation_relays_at_599_seconds_and_is_freed_at_600() {
    for (at, relays) in [(599, true), (601, false)] {
        let mut world = World::new(&config());
        let mut alice = Client::allocated(&mut world, ALICE, "alice");
        world.advance(seconds(400));
        assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
        world.advance(seconds(at));
        assert_eq!(alice.channel(&mut world, 0x4000, b"x").len(), usize::from(relays));
        assert_eq!(world.peer(addr(PEER), alice.relayed, b"x").len(), usize::from(relays));
        assert_eq!(alice.permit(&mut world, PEER).code(), if relays { None } else { Some(437) });
        assert_eq!(world.relays.len(), usize::from(relays));
        if !relays {
            assert!(matches!(world.events.last(), Some(ServerEvent::Freed { why: FreedReason::Expired, .. })));
            assert_eq!(alice.allocate(&mut world, &[]).code(), None, "the client can allocate again");
        }
    }
}

#[test]
fn an_allocation_is_over_at_600_seconds_even_if_no_timeout_came() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    world.advance(seconds(400));
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    world.now = seconds(600);
    assert!(alice.channel(&mut world, 0x4000, b"x").is_empty());
    assert!(alice.send(&mut world, PEER, b"x").is_empty());
    assert!(world.peer(addr(PEER), alice.relayed, b"x").is_empty());
    assert_eq!(world.relays.len(), 1, "no timeout yet");
    assert_eq!(alice.allocate(&mut world, &[]).code(), None);
    assert_eq!((world.relays.len(), world.server.allocations().count()), (1, 1));
    assert!(world.events.iter().any(|event| matches!(event, ServerEvent::Freed { .. })));
}

#[test]
fn the_data_of_an_expired_allocation_is_dropped_for_this_reason() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    world.now = seconds(600);
    // Each of these would be refused for another reason too. ChannelData of no allocation is for the other machines of
    // the owner's socket.
    for (bytes, verdict) in [
        (channel_data(0x4001, b"x"), Verdict::NotMine),
        (vec![0x40, 0, 0, 9], Verdict::NotMine),
        (
            indication([1; 12].into(), &[Attribute::XorPeerAddress(addr(OTHER_PEER)), Attribute::Data(b"x")]),
            Verdict::Mine,
        ),
        (indication([2; 12].into(), &[]), Verdict::Mine),
    ] {
        let datagram = Datagram::new(LISTENER, addr(SERVER), alice.address, &bytes);
        assert_eq!(world.input(Input::Datagram(datagram)), (verdict, vec![]), "{bytes:?}");
    }
    assert_eq!(world.server.stats().dropped.no_allocation, 2);
}

#[test]
fn a_shorter_refresh_brings_the_expiry_forward() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    assert_eq!(alice.allocate(&mut world, &[Attribute::Lifetime(3600)]).lifetime(), 3600);
    assert_eq!(alice.refresh(&mut world, 600).lifetime(), 600);
    world.advance(seconds(599));
    assert_eq!(world.relays.len(), 1);
    assert_eq!(alice.ask(&mut world, Method::REFRESH, &[]).lifetime(), 600, "without LIFETIME the default");
    world.advance(seconds(1198));
    assert_eq!(world.relays.len(), 1);
    world.advance(seconds(1200));
    assert!(world.relays.is_empty());
}

#[test]
fn an_unused_reservation_returns_its_port_and_its_quota() {
    let mut limits = portolan_turn::ServerLimits::default();
    limits.allocations_per_user = 2;
    let mut world = World::new(&config().ports(50_000, 50_001).limits(limits));
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let reply = alice.allocate(&mut world, &[Attribute::EvenPort(true)]);
    assert!(reply.message().has(AttributeType::RESERVATION_TOKEN));
    let mut second = Client::new(&mut world, "192.0.2.78:1", "alice");
    assert_eq!(second.allocate(&mut world, &[]).code(), Some(486), "the reservation counts");
    let mut bob = Client::new(&mut world, "192.0.2.79:1", "bob");
    assert_eq!(bob.allocate(&mut world, &[]).code(), Some(508), "the port is reserved");
    world.advance(seconds(30) + Duration::from_millis(1));
    assert_eq!(second.allocate(&mut world, &[]).code(), None);
    assert_eq!(second.relayed.port(), 50_001);
}
