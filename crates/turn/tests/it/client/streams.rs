//! The client over TCP and TLS: framing, padding, and the end of a stream.

use super::world::{PEER, World, addr, config, data_indication};
use portolan_machine::{Closure, Protocol, SocketEvent, SocketOrder, WhenFull};
use portolan_stun::Method;
use portolan_turn::{ClientEvent, ClientState, LossReason};

fn over_tcp() -> World {
    let mut world = World::allocated(config().protocol(Protocol::Tcp));
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.run(1_000);
    world.take_events();
    world
}

fn channel_data(length: usize) -> (Vec<u8>, Vec<u8>) {
    let data: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let [l0, l1] = u16::try_from(length).unwrap().to_be_bytes();
    let mut frame = [&[0x40, 0, l0, l1][..], &data].concat();
    // Padding that is not zero is never payload.
    frame.resize(frame.len().next_multiple_of(4), 0xee);
    (frame, data)
}

#[test]
fn one_stream_carries_requests_keepalives_and_padded_channel_data() {
    let mut world = over_tcp();
    let SocketOrder::Open(open) = &world.orders[0].1 else { panic!() };
    assert_eq!((open.protocol, open.remote), (Protocol::Tcp, Some(addr(super::world::SERVER))));
    for length in 0..9_usize {
        let data = vec![7; length];
        let sealed = world.with(|client, cx| client.seal(cx, addr(PEER), &data).unwrap());
        assert_eq!((sealed.len() % 4, sealed.when_full), (0, WhenFull::Drop), "relayed data may be dropped");
        assert_eq!(sealed.padding().len(), length.next_multiple_of(4) - length);
        world.with(|client, cx| client.send(cx, addr(PEER), &data.clone().into())).unwrap();
    }
    world.run(1_800_000);
    assert_eq!(world.client.state(), ClientState::Allocated);
    let keepalives = world.sent.iter().filter(|seen| seen.method() == Some(Method::BINDING)).count();
    assert_eq!(keepalives, 119);
}

#[test]
fn data_of_every_size_arrives_unchanged_for_every_split() {
    let mut world = over_tcp();
    for length in (0..=20).chain([159, 160, 1_499, 1_500]) {
        let (frame, data) = channel_data(length);
        let stream =
            [&data_indication(addr(PEER), b"before")[..], &frame, &data_indication(addr(PEER), b"after")].concat();
        let event = |payload: &[u8]| ClientEvent::Data { peer: addr(PEER), payload: payload.to_vec().into() };
        let expected = [event(b"before"), event(&data), event(b"after")];
        for at in 0..=stream.len() {
            let (first, second) = stream.split_at(at);
            world.datagram(first);
            world.datagram(second);
            assert_eq!(world.take_events(), expected, "{length} bytes, split at {at}");
        }
    }
}

#[test]
fn more_frames_than_the_queue_holds_wait_and_none_is_lost() {
    let mut world = over_tcp();
    let frames: Vec<u8> = (0..1_000).flat_map(|_| channel_data(3).0).collect();
    world.datagram(&frames);
    assert_eq!(world.take_events().len(), 1_000);
}

#[test]
fn the_end_of_the_stream_is_a_loss_and_a_new_stream_replaces_it() {
    let mut world = over_tcp();
    let socket = world.client.socket().unwrap();
    world.socket_event(socket.0, SocketEvent::Closed(Closure::ByPeer));
    world.run(2_000);
    let events = world.take_events();
    let [
        ClientEvent::Lost { why: LossReason::Closed(Closure::ByPeer), .. },
        ClientEvent::Replaced { .. },
        ClientEvent::ChannelAdded { number: 0x4000, .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_ne!(world.client.socket(), Some(socket));
    let closes = world.orders.iter().filter(|(_, order)| *order == SocketOrder::Close(socket)).count();
    assert_eq!(closes, 0, "the driver has closed it");
}

#[test]
fn bytes_that_are_no_frame_end_the_stream() {
    let mut world = over_tcp();
    let socket = world.client.socket().unwrap();
    world.datagram(&[0xff; 40]);
    world.run(2_000);
    assert!(matches!(world.take_events()[0], ClientEvent::Lost { why: LossReason::NotFramed, .. }));
    assert!(world.orders.iter().any(|(_, order)| *order == SocketOrder::Close(socket)));
    assert_eq!(world.client.state(), ClientState::Allocated, "over a new stream");
}

#[test]
fn a_close_over_a_stream_releases_before_the_stream_is_closed() {
    let mut world = over_tcp();
    world.with(|client, cx| client.close(cx)).unwrap();
    world.run(5_000);
    assert_eq!(world.take_events(), [ClientEvent::Closed]);
    assert_eq!(world.sent.last().unwrap().method(), Some(Method::REFRESH));
}

#[test]
fn the_name_of_the_server_is_that_of_its_certificate() {
    let config = config().protocol(Protocol::Tls).server_name("turn.example.org".into());
    let world = World::allocated(config);
    let SocketOrder::Open(open) = &world.orders[0].1 else { panic!() };
    assert_eq!((open.protocol, open.server_name.as_deref()), (Protocol::Tls, Some("turn.example.org")));
}
