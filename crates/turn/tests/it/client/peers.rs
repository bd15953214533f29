//! Permissions and channels: one state for each peer.

use super::world::{PEER, RTT, Reply, World, addr, config};
use core::net::{IpAddr, SocketAddr};
use portolan_stun::Method;
use portolan_turn::{Client, ClientError, ClientEvent, Outcome};

fn peer(n: u8) -> SocketAddr {
    ([203, 0, 113, n], 5000).into()
}

#[test]
fn a_permission_is_refreshed_every_four_minutes() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    assert!(!world.client.is_permitted(addr(PEER).ip()), "only after success");
    world.run(1_000_000);
    let times: Vec<_> = world.signed(Method::CREATE_PERMISSION).iter().map(|seen| seen.at).collect();
    assert_eq!(times, [100, 240_120, 480_140, 720_160, 960_180]);
    let added = ClientEvent::PermissionAdded { peer: addr(PEER).ip() };
    assert_eq!(world.events.iter().filter(|(_, event)| *event == added).count(), 1, "reported once");
}

#[test]
fn a_channel_refreshes_its_permission_and_keeps_its_number() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.run(1_000_000);
    let binds = world.signed(Method::CHANNEL_BIND);
    assert_eq!(binds.iter().map(|seen| seen.at).collect::<Vec<_>>(), [100, 240_120, 480_140, 720_160, 960_180]);
    assert!(binds.iter().all(|seen| seen.message().channel_number() == Some(0x4000)));
    assert_eq!(world.signed(Method::CREATE_PERMISSION).len(), 0);
    assert!(world.client.is_permitted(addr(PEER).ip()));
    assert_eq!(world.client.channel(addr(PEER)), Some(0x4000));
}

#[test]
fn peers_that_were_added_before_the_allocation_are_requested_after_it() {
    let mut world = World::new();
    assert_eq!(world.with(|client, cx| client.add_permission(cx, peer(1).ip())), Err(ClientError::NotRunning));
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.with(|client, cx| client.add_permission(cx, peer(1).ip())).unwrap();
    world.with(|client, cx| client.add_channel(cx, peer(2))).unwrap();
    world.run(1_000);
    assert!(world.client.is_permitted(peer(1).ip()));
    assert_eq!(world.client.channel(peer(2)), Some(0x4000));
}

#[test]
fn a_refused_peer_is_requested_again_only_by_command_and_keeps_its_number() {
    let mut world = World::allocated(config()).script(|_, _| Reply::Error(403));
    world.with(|client, cx| client.add_channel(cx, peer(1))).unwrap();
    world.run(1_000);
    world.with(|client, cx| client.add_channel(cx, peer(2))).unwrap();
    world.run(2_000);
    world.script = Box::new(|_, _| Reply::Success);
    world.run(500_000);
    assert_eq!(world.signed(Method::CHANNEL_BIND).len(), 2);
    world.with(|client, cx| client.add_channel(cx, peer(1))).unwrap();
    world.run(501_000);
    assert_eq!(world.client.channel(peer(1)), Some(0x4000));
    let numbers: Vec<_> =
        world.signed(Method::CHANNEL_BIND).iter().map(|seen| seen.message().channel_number().unwrap()).collect();
    assert_eq!(numbers, [0x4000, 0x4001, 0x4000], "a number is not used for another peer");
}

#[test]
fn a_new_peer_without_a_response_fails_after_two_schedules() {
    let mut world = World::allocated(config());
    world.script = Box::new(|message, _| match message.method() {
        Method::CREATE_PERMISSION => Reply::Silence,
        _ => Reply::Success,
    });
    world.take_events();
    world.with(|client, cx| client.add_permission(cx, peer(1).ip())).unwrap();
    world.run(200_000);
    let [(at, ClientEvent::PermissionFailed { steps, .. })] = &world.events[..] else { panic!("{:?}", world.events) };
    assert_eq!(*at, 100 + 2 * 39_500);
    assert!(steps.iter().all(|step| step.outcome == Outcome::TimedOut && step.sends == 7), "{steps:?}");
    assert_eq!(steps.len(), 2);
}

#[test]
fn a_granted_peer_whose_refresh_times_out_stays_usable_and_is_repeated() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, peer(1))).unwrap();
    world.run(1_000);
    let mut lost = 0;
    world.script = Box::new(move |message, _| match message.method() {
        Method::CHANNEL_BIND if lost < 7 => {
            lost += 1;
            Reply::Silence
        }
        _ => Reply::Success,
    });
    for second in 1..=600 {
        world.run(second * 1_000);
        assert_eq!(world.client.channel(peer(1)), Some(0x4000), "at {second} s");
    }
}

#[test]
fn a_granted_peer_without_any_response_fails_at_the_end_of_its_lifetime() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_permission(cx, peer(1).ip())).unwrap();
    world.run(1_000);
    world.script = Box::new(|message, _| match message.method() {
        Method::CREATE_PERMISSION => Reply::Silence,
        _ => Reply::Success,
    });
    world.take_events();
    world.run(500_000);
    let [(at, ClientEvent::PermissionFailed { .. })] = &world.events[..] else { panic!("{:?}", world.events) };
    assert_eq!(*at, 240_120 + 2 * 39_500, "the first schedule that ends after 300 s");
    assert!(!world.client.is_permitted(peer(1).ip()));
}

#[test]
fn a_removed_channel_keeps_its_number_for_940_s() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, peer(1))).unwrap();
    world.run(1_000);
    world.with(|client, cx| client.remove_permission(cx, peer(1).ip())).unwrap();
    assert_eq!(world.client.channel(peer(1)), None);
    assert!(!world.client.is_permitted(peer(1).ip()));
    let data = [0x40, 0, 0, 1, b'x'];
    world.take_events();
    world.datagram(&data);
    assert_eq!(world.take_events(), [], "data of a removed peer is dropped");
    assert!(world.has_note("client-dropped-unknown-channel"));
    world.run(500_000);
    assert_eq!(world.signed(Method::CHANNEL_BIND).len(), 1, "it is not refreshed");
    world.with(|client, cx| client.add_channel(cx, peer(1))).unwrap();
    world.run(501_000);
    assert_eq!(world.client.channel(peer(1)), Some(0x4000));
    assert_eq!(
        world.with(|client, cx| client.remove_permission(cx, peer(9).ip())),
        Err(ClientError::UnknownPeer(peer(9).ip()))
    );
}

#[test]
fn a_response_to_a_removed_peer_has_no_effect() {
    let mut world = World::allocated(config());
    world.take_events();
    world.with(|client, cx| client.add_permission(cx, peer(1).ip())).unwrap();
    world.with(|client, cx| client.remove_permission(cx, peer(1).ip())).unwrap();
    world.run(500_000);
    assert_eq!(world.take_events(), []);
    assert!(!world.client.is_permitted(peer(1).ip()));
}

#[test]
fn the_number_of_peers_is_bounded_and_each_is_requested() {
    let mut world = World::allocated(config());
    let address = |n: usize| IpAddr::from([203, 0, u8::try_from(n / 256).unwrap(), u8::try_from(n % 256).unwrap()]);
    for n in 0..Client::PEERS {
        world.with(|client, cx| client.add_permission(cx, address(n))).unwrap();
    }
    let full = Err(ClientError::Full { limit: Client::PEERS });
    assert_eq!(world.with(|client, cx| client.add_permission(cx, address(Client::PEERS))), full);
    let at_once = world.signed(Method::CREATE_PERMISSION).len();
    assert_eq!(at_once, 32, "a window of requests");
    let windows = u64::try_from(Client::PEERS.div_ceil(32)).unwrap();
    world.run(100 + windows * RTT);
    assert!((0..Client::PEERS).all(|n| world.client.is_permitted(address(n))));
    // The bound is released: a removed permission leaves nothing.
    world.with(|client, cx| client.remove_permission(cx, address(0))).unwrap();
    world.with(|client, cx| client.add_permission(cx, address(Client::PEERS))).unwrap();
}

#[test]
fn an_impossible_peer_is_refused() {
    let mut world = World::allocated(config());
    for peer in ["0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[::]:1", "[ff02::1]:1", "203.0.113.9:0"] {
        let refused = world.with(|client, cx| client.add_channel(cx, addr(peer)));
        assert_eq!(refused, Err(ClientError::Peer(addr(peer).ip())));
    }
}
