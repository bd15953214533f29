//! The reactions of the client to error codes, one test for each row of the table.

use super::world::{PEER, RELAYED, Reply, SERVER, World, addr, config};
use portolan_machine::{Instant, SocketOrder};
use portolan_stun::attribute::AttributeType;
use portolan_stun::{Attribute, Method};
use portolan_turn::{ClientEvent, ClientFailure, ClientState, LossReason, Outcome, Reason, Step};

const OTHER: &str = "192.0.2.2:3478";

/// A client of two servers, the first of which answers Allocate requests by `code`.
fn first_server_refuses(code: u16) -> World {
    let mut world = World::new().script(move |message, seen| match message.method() {
        Method::ALLOCATE if seen.remote == addr(SERVER) => Reply::Error(code),
        _ => Reply::Success,
    });
    world.with(|client, cx| client.start(cx, config().or_server(addr(OTHER)))).unwrap();
    world.run(1000);
    world
}

fn error(code: u16) -> Outcome {
    let reason = match code {
        403 => "Forbidden",
        437 => "Allocation Mismatch",
        441 => "Wrong Credentials",
        443 => "Peer Address Family Mismatch",
        508 => "Insufficient Capacity",
        _ => "",
    };
    Outcome::Error { code, reason: Reason::new(portolan_stun::attribute::Text::new(reason)) }
}

fn opens(world: &World) -> usize {
    world.orders.iter().filter(|(_, order)| matches!(order, SocketOrder::Open(_))).count()
}

fn allocates_to(world: &World, server: &str) -> usize {
    world.signed(Method::ALLOCATE).iter().filter(|seen| seen.remote == addr(server)).count()
}

#[test]
fn allocate_437_is_retried_from_at_most_three_sockets_then_the_server_is_blocked_for_two_minutes() {
    let mut world = first_server_refuses(437);
    assert_eq!(allocates_to(&world, SERVER), 3);
    let mut sockets: Vec<_> =
        world.sent.iter().filter(|seen| seen.remote == addr(SERVER)).map(|seen| seen.socket).collect();
    sockets.dedup();
    assert_eq!(sockets.len(), 3);
    assert_eq!((opens(&world), world.client.server()), (4, Some(addr(OTHER))));

    // A new round within two minutes does not send to the first server.
    world.script = Box::new(|message, seen| match message.method() {
        Method::REFRESH => Reply::Error(437),
        Method::ALLOCATE if seen.remote == addr(OTHER) => Reply::Error(403),
        _ => Reply::Success,
    });
    let before = world.sent.iter().filter(|seen| seen.remote == addr(SERVER)).count();
    world.mapped = addr("198.51.100.7:40001");
    world.run(20_000);
    let Some(ClientEvent::Failed { why: ClientFailure::NoServer, steps, blocked }) = world.take_events().pop() else {
        panic!()
    };
    assert_eq!(world.sent.iter().filter(|seen| seen.remote == addr(SERVER)).count(), before);
    let [(server, until)] = blocked[..] else { panic!("{blocked:?}") };
    assert_eq!(server, addr(SERVER));
    assert!(until > Instant::from_millis(120_000) && until < Instant::from_millis(121_000), "{until}");
    assert_eq!(steps.last().unwrap().outcome, Outcome::Blocked(until));
}

#[test]
fn a_blocked_server_is_tried_again_after_its_time() {
    let mut world = first_server_refuses(486);
    assert_eq!(allocates_to(&world, SERVER), 1);
    world.run(61_500);
    world.script = Box::new(|message, seen| match message.method() {
        Method::REFRESH => Reply::Error(437),
        Method::ALLOCATE if seen.remote == addr(OTHER) => Reply::Error(403),
        _ => Reply::Success,
    });
    world.mapped = addr("198.51.100.7:40001");
    world.run(80_000);
    assert_eq!(world.client.server(), Some(addr(SERVER)));
}

#[test]
fn allocate_486_and_508_block_the_server_for_one_minute() {
    for code in [486, 508] {
        let mut world = World::new().script(move |_, _| Reply::Error(code));
        world.with(|client, cx| client.start(cx, config())).unwrap();
        world.run(1000);
        let Some(ClientEvent::Failed { blocked, steps, .. }) = world.take_events().pop() else { panic!() };
        assert_eq!(blocked, [(addr(SERVER), Instant::from_millis(60_040))], "40 ms, and one minute");
        assert_eq!(steps[0].outcome.code(), Some(code));
        assert_eq!(world.signed(Method::ALLOCATE).len(), 1);
    }
}

#[test]
fn allocate_508_with_even_port_or_a_token_is_retried_once_without_it() {
    for config in [config().even_port(true), config().reservation_token([1; 8])] {
        let mut world = World::new().script(|message, _| {
            let has_option = message.has(AttributeType::EVEN_PORT) || message.has(AttributeType::RESERVATION_TOKEN);
            if has_option { Reply::Error(508) } else { Reply::Success }
        });
        world.with(|client, cx| client.start(cx, config.clone())).unwrap();
        world.run(1000);
        assert_eq!(world.client.state(), ClientState::Allocated);
        assert_eq!((world.signed(Method::ALLOCATE).len(), opens(&world)), (2, 1));

        let mut full = World::new().script(|_, _| Reply::Error(508));
        full.with(|client, cx| client.start(cx, config)).unwrap();
        full.run(1000);
        assert_eq!(full.signed(Method::ALLOCATE).len(), 2, "one retry");
        let Some(ClientEvent::Failed { blocked, .. }) = full.take_events().pop() else { panic!() };
        assert_eq!(blocked.len(), 1);
    }
}

#[test]
fn allocate_420_with_dont_fragment_is_retried_once_without_it() {
    let mut world =
        World::new().script(
            |message, _| {
                if message.has(AttributeType::DONT_FRAGMENT) { Reply::Error(420) } else { Reply::Success }
            },
        );
    world.with(|client, cx| client.start(cx, config().dont_fragment())).unwrap();
    world.run(1000);
    assert_eq!((world.client.state(), world.signed(Method::ALLOCATE).len()), (ClientState::Allocated, 2));
    assert_eq!(first_server_refuses(420).signed(Method::ALLOCATE).len(), 2, "one to each server");
}

#[test]
fn allocate_403_440_441_442_are_not_retried_at_this_server() {
    for code in [403, 440, 441, 442] {
        let world = first_server_refuses(code);
        assert_eq!(allocates_to(&world, SERVER), 1, "{code}");
        assert_eq!(world.client.server(), Some(addr(OTHER)));
        assert!(world.has_note("client-allocate-failed"));
    }
}

#[test]
fn refresh_437_is_a_loss_and_a_new_allocation_replaces_the_old_one() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.run(1000);
    world.take_events();
    let mut is_lost = false;
    world.script = Box::new(move |message, _| match message.method() {
        Method::REFRESH if !is_lost => {
            is_lost = true;
            Reply::Error(437)
        }
        Method::ALLOCATE => Reply::With(vec![
            Attribute::XorRelayedAddress(addr("192.0.2.1:50007")),
            Attribute::XorMappedAddress(addr("198.51.100.7:40000")),
            Attribute::Lifetime(600),
        ]),
        _ => Reply::Success,
    });
    world.run(600_000);
    let new = addr("192.0.2.1:50007");
    let at = |event: &ClientEvent| world.events.iter().find(|(_, other)| other == event).map(|(at, _)| *at);
    let lost = at(&ClientEvent::Lost { relayed: vec![addr(RELAYED)], why: LossReason::Mismatch });
    let replaced = at(&ClientEvent::Replaced { old: vec![addr(RELAYED)], new: vec![new] });
    let bound = at(&ClientEvent::ChannelAdded { peer: addr(PEER), number: 0x4000 });
    assert_eq!((lost, replaced, bound), (Some(540_060), Some(540_080), Some(540_100)), "{:?}", world.events);
    assert_eq!((opens(&world), world.client.relayed()), (1, &[new][..]), "from the same socket");
}

#[test]
fn permission_and_channel_437_are_a_loss_too() {
    for is_channel in [false, true] {
        let mut world = World::allocated(config());
        let mut is_lost = false;
        world.script = Box::new(move |message, _| match message.method() {
            Method::CREATE_PERMISSION | Method::CHANNEL_BIND if !is_lost => {
                is_lost = true;
                Reply::Error(437)
            }
            _ => Reply::Success,
        });
        world.take_events();
        world
            .with(|client, cx| match is_channel {
                true => client.add_channel(cx, addr(PEER)),
                false => client.add_permission(cx, addr(PEER).ip()),
            })
            .unwrap();
        world.run(1000);
        let [first, second, third] = &world.take_events()[..] else { panic!() };
        assert!(matches!(first, ClientEvent::Lost { why: LossReason::Mismatch, .. }));
        assert!(matches!(second, ClientEvent::Replaced { .. }));
        assert!(matches!(third, ClientEvent::ChannelAdded { .. } | ClientEvent::PermissionAdded { .. }));
    }
}

#[test]
fn refresh_0_with_437_is_success() {
    let mut world = World::allocated(config());
    world.script = Box::new(|_, _| Reply::Error(437));
    world.with(|client, cx| client.close(cx)).unwrap();
    world.run(1000);
    assert_eq!(world.events.last(), Some(&(120, ClientEvent::Closed)));
    assert!(!world.has_note("client-not-released"));
}

#[test]
fn refresh_441_is_an_event_and_not_retried() {
    let mut world = World::allocated(config());
    world.script = Box::new(|message, _| match message.method() {
        Method::REFRESH => Reply::Error(441),
        _ => Reply::Success,
    });
    world.take_events();
    world.run(599_000);
    let at = Instant::from_millis(540_060);
    let step = Step { at, server: addr(SERVER), method: Method::REFRESH, sends: 1, outcome: error(441), icmp: None };
    assert_eq!(world.take_events(), [ClientEvent::RefreshFailed { step }]);
    assert_eq!(world.signed(Method::REFRESH).len(), 1);
    // The lifetime ends, and a new allocation follows.
    world.run(601_000);
    let [ClientEvent::Lost { why: LossReason::Expired, .. }, ClientEvent::Replaced { .. }] = &world.take_events()[..]
    else {
        panic!()
    };
}

#[test]
fn permission_441_is_an_event_and_not_retried() {
    let mut world = World::allocated(config());
    world.script = Box::new(|_, _| Reply::Error(441));
    world.take_events();
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    world.run(10_000);
    let [ClientEvent::PermissionFailed { steps, .. }] = &world.take_events()[..] else { panic!() };
    assert_eq!(steps[0].outcome, error(441));
    assert_eq!(world.signed(Method::CREATE_PERMISSION).len(), 1);
}

#[test]
fn peer_403_443_486_508_400_fail_for_this_peer_only() {
    for code in [400, 403, 443, 486, 508] {
        let good = addr("203.0.113.77:7000");
        let mut world = World::allocated(config());
        world.script = Box::new(move |message, _| match message.xor_peer_address() {
            Some(peer) if peer.ip() == addr(PEER).ip() => Reply::Error(code),
            _ => Reply::Success,
        });
        world.take_events();
        world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
        world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
        world.with(|client, cx| client.add_channel(cx, good)).unwrap();
        world.run(300_000);
        let events = world.take_events();
        let [
            ClientEvent::PermissionFailed { peer, steps },
            ClientEvent::ChannelFailed { peer: channel, steps: others },
            ClientEvent::ChannelAdded { peer: added, number },
        ] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((*peer, *channel, *added, *number), (addr(PEER).ip(), addr(PEER), good, 0x4001));
        assert_eq!((steps[0].outcome.code(), others[0].outcome.code()), (Some(code), Some(code)));
        assert_eq!(world.client.state(), ClientState::Allocated);
    }
}

#[test]
fn a_server_that_grants_and_forgets_again_and_again_ends_the_client() {
    let mut world = World::new().script(|message, _| match message.method() {
        Method::ALLOCATE => Reply::Success,
        _ => Reply::Error(437),
    });
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    world.run(600_000);
    let losses = world.events.iter().filter(|(_, event)| matches!(event, ClientEvent::Lost { .. })).count();
    assert_eq!(losses, 4);
    let Some((_, ClientEvent::Failed { why: ClientFailure::Unstable, .. })) = world.events.last() else { panic!() };
    assert!(world.sent.len() < 20, "{}", world.sent.len());
}
