//! The release of allocations and the end of the client.

use super::world::{PEER, Reply, World, addr, config};
use portolan_machine::SocketOrder;
use portolan_stun::Method;
use portolan_turn::{ClientError, ClientEvent, ClientState};

#[test]
fn refresh_0_is_the_last_transmit_before_the_close_of_the_socket() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    let sent = world.sent.len();
    world.with(|client, cx| client.close(cx)).unwrap();
    assert_eq!(world.client.state(), ClientState::Closing);
    assert_eq!(world.sent.len(), sent + 1);
    world.run(10_000);
    let last = world.sent.last().unwrap();
    assert_eq!((last.method(), last.message().lifetime()), (Some(Method::REFRESH), Some(0)));
    assert_eq!(world.sent.len(), sent + 1, "the pending ChannelBind is not sent again");
    assert_eq!(world.events.last(), Some(&(120, ClientEvent::Closed)));
    assert!(matches!(world.orders.last(), Some((120, SocketOrder::Close(_)))));
    assert_eq!(world.with(|client, cx| client.close(cx)), Err(ClientError::NotRunning));
    assert_eq!(world.wait, None);
}

#[test]
fn a_close_with_a_dead_network_ends_within_two_seconds() {
    let mut world = World::allocated(config());
    world.is_dead = true;
    world.with(|client, cx| client.close(cx)).unwrap();
    world.run(10_000);
    assert_eq!(world.events.last(), Some(&(2_100, ClientEvent::Closed)));
    assert!(world.has_note("client-not-released"));
    assert_eq!(world.signed(Method::REFRESH).len(), 3, "at 0, 0.5 and 1.5 s");
}

#[test]
fn a_close_during_the_allocate_request_releases_what_the_server_has_allocated() {
    let mut world = World::new();
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.run(30);
    assert_eq!(world.signed(Method::ALLOCATE).len(), 1);
    world.with(|client, cx| client.close(cx)).unwrap();
    world.run(10_000);
    let methods: Vec<_> = world.sent.iter().filter_map(|seen| seen.method()).collect();
    assert_eq!(methods, [Method::ALLOCATE, Method::ALLOCATE, Method::REFRESH]);
    assert_eq!(world.events, [(60, ClientEvent::Closed)]);
}

#[test]
fn a_close_before_the_socket_is_open_ends_at_once() {
    let mut world = World::new();
    world.opens = false;
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.with(|client, cx| client.close(cx)).unwrap();
    assert_eq!(world.events, [(0, ClientEvent::Closed)]);
    assert!(matches!(world.orders.last(), Some((0, SocketOrder::Close(_)))));
}

#[test]
fn a_refused_allocate_during_the_close_is_the_end() {
    let mut world = World::new().script(|_, _| Reply::Error(508));
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.run(30);
    world.with(|client, cx| client.close(cx)).unwrap();
    world.run(10_000);
    assert_eq!(world.events, [(40, ClientEvent::Closed)]);
}
