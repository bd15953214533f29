//! Data to and from peers.

use super::world::{PEER, RELAYED, Reply, SERVER, World, addr, config, data_indication, encode};
use portolan_machine::{Datagram, Protocol, SocketId};
use portolan_stun::attribute::Icmp;
use portolan_stun::demux::ChannelData;
use portolan_stun::{Attribute, Class, Method};
use portolan_turn::{ClientError, ClientEvent, Indication, IndicationKind, PermissionState};

#[test]
fn data_goes_by_indication_with_a_permission_and_by_channel_with_a_channel() {
    let mut world = World::allocated(config());
    let send = |world: &mut World| world.with(|client, cx| client.send(cx, addr(PEER), &b"hello"[..].into()));
    assert_eq!(send(&mut world), Err(ClientError::NoPermission(addr(PEER))));
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    assert_eq!(send(&mut world), Err(ClientError::NoPermission(addr(PEER))), "before the response");
    world.run(200);
    send(&mut world).unwrap();
    let sent = world.sent.last().unwrap();
    let expected = Indication::decode(&sent.payload).unwrap();
    assert_eq!((expected.kind, expected.peer, expected.data), (IndicationKind::Send, addr(PEER), &b"hello"[..]));
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.run(300);
    send(&mut world).unwrap();
    let sent = world.sent.last().unwrap();
    assert_eq!(sent.payload, [&[0x40, 0, 0, 5][..], b"hello"].concat(), "no padding over UDP");
    assert_eq!(ChannelData::decode(&sent.payload).unwrap().data, b"hello");
    // Another port of the same peer has the permission, but not the channel.
    world.with(|client, cx| client.send(cx, addr("203.0.113.9:5001"), &b"x"[..].into())).unwrap();
    assert!(Indication::decode(&world.sent.last().unwrap().payload).is_some());
}

#[test]
fn sealed_data_is_the_transmit_of_the_command() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.run(200);
    let payload = [7; 1200];
    let sealed = world.with(|client, cx| client.seal(cx, addr(PEER), &payload).unwrap());
    assert_eq!(sealed.body.as_ptr(), payload.as_ptr(), "the data is borrowed");
    assert_eq!((sealed.remote, sealed.head().len(), sealed.padding().len()), (addr(SERVER), 4, 0));
    let large = vec![0; 65_536];
    let refused = world.with(|client, cx| client.seal(cx, addr(PEER), &large).map(drop));
    assert_eq!(refused, Err(ClientError::TooLong { length: 65_536 }));
}

#[test]
fn data_of_a_peer_is_opened_without_a_copy() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.run(200);
    let packet = [&[0x40, 0, 0, 2][..], b"hi", &[0, 0]].concat();
    let socket = world.client.socket().unwrap();
    let datagram = Datagram::new(socket, addr("10.0.0.7:40000"), addr(SERVER), &packet);
    let (peer, data) = world.client.open(&datagram).unwrap();
    assert_eq!((peer, data), (addr(PEER), &b"hi"[..]), "padding is not payload");
    assert_eq!(data.as_ptr(), packet[4..].as_ptr());
    for (socket, remote) in [(SocketId(99), SERVER), (socket, PEER)] {
        let foreign = Datagram::new(socket, addr("10.0.0.7:40000"), addr(remote), &packet);
        assert_eq!(world.client.open(&foreign), None);
    }
    world.take_events();
    world.datagram(&packet);
    world.datagram(&data_indication(addr(PEER), b"indication"));
    let data = |payload: &'static [u8]| ClientEvent::Data { peer: addr(PEER), payload: payload.into() };
    assert_eq!(world.take_events(), [data(b"hi"), data(b"indication")]);
}

/// RFC 8656 §12: the server can use a channel before its response arrives.
#[test]
fn channel_data_is_accepted_before_the_response_to_channel_bind() {
    let mut world = World::allocated(config());
    world.take_events();
    world.is_dead = true;
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.datagram(&[&[0x40, 0, 0, 2][..], b"hi"].concat());
    assert_eq!(world.take_events(), [ClientEvent::Data { peer: addr(PEER), payload: b"hi"[..].into() }]);
}

#[test]
fn data_without_a_permission_or_of_another_sender_is_dropped() {
    let mut world = World::allocated(config());
    world.take_events();
    let socket = world.client.socket().unwrap();
    world.datagram(&data_indication(addr(PEER), b"spoofed"));
    assert!(world.has_note("client-dropped-no-permission"));
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    world.run(200);
    world.take_events();
    world.datagram_on(socket, addr("192.0.2.66:3478"), &data_indication(addr(PEER), b"spoofed"));
    assert!(world.has_note("client-dropped-not-server"));
    world.datagram(&[0x4f, 0xff, 0, 0]);
    assert!(world.has_note("client-dropped-unknown-channel"));
    world.datagram(b"noise");
    assert!(world.has_note("client-dropped-unexpected"));
    // A Send indication is for servers only.
    let attributes = [Attribute::XorPeerAddress(addr(PEER)), Attribute::Data(b"x")];
    world.datagram(&encode(Class::Indication, Method::SEND, [9; 12].into(), &attributes, None));
    assert_eq!(world.take_events(), []);
}

#[test]
fn an_icmp_error_of_a_permitted_peer_is_an_event() {
    let mut world = World::allocated(config());
    let icmp = Icmp { kind: 3, code: 3, data: 0 };
    let attributes = [Attribute::XorPeerAddress(addr(PEER)), Attribute::Icmp(icmp)];
    let indication = encode(Class::Indication, Method::DATA, [9; 12].into(), &attributes, None);
    world.take_events();
    world.datagram(&indication);
    assert_eq!(world.take_events(), []);
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    world.run(200);
    world.take_events();
    world.datagram(&indication);
    assert_eq!(world.take_events(), [ClientEvent::PeerUnreachable { peer: addr(PEER), icmp }]);
}

#[test]
fn each_allocation_has_the_permissions_of_its_own() {
    let mut world = World::allocated(config());
    let peer = addr(PEER);
    let state = |world: &World| world.client.allocations().next().unwrap().permission(peer.ip());
    let denied = |world: &World| world.client.allocations().next().unwrap().denied().collect::<Vec<_>>();
    let current = world.client.allocations().next().unwrap();
    assert_eq!((current.relayed(), current.server(), current.is_current()), (&[addr(RELAYED)][..], addr(SERVER), true));
    assert_eq!((Some(current.socket()), Some(current.mapped())), (world.client.socket(), world.client.mapped()));
    assert!(world.client.has_socket(current.socket()) && !world.client.has_socket(SocketId(99)));
    assert_eq!(state(&world), PermissionState::Absent);

    world.script = Box::new(|_, _| Reply::Error(403));
    world.with(|client, cx| client.add_channel(cx, peer)).unwrap();
    assert_eq!(state(&world), PermissionState::Pending);
    world.run(200);
    assert_eq!(state(&world), PermissionState::Absent, "a refused channel says nothing about the permission");
    world.with(|client, cx| client.add_permission(cx, peer.ip())).unwrap();
    world.run(300);
    assert_eq!((state(&world), denied(&world)), (PermissionState::Denied, vec![peer.ip()]));

    world.script = Box::new(|_, _| Reply::Success);
    world.with(|client, cx| client.add_channel(cx, peer)).unwrap();
    world.run(400);
    assert_eq!((state(&world), denied(&world)), (PermissionState::Granted, vec![]), "a channel is a permission");
    world.with(|client, cx| client.remove_permission(cx, peer.ip())).unwrap();
    assert_eq!(state(&world), PermissionState::Absent);
}

#[test]
fn a_replaced_allocation_relays_until_the_end_of_the_overlap() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    world.run(200);
    let old = world.client.socket().unwrap();
    let credential = portolan_stun_agent::Credential::long_term("ann", "secret");
    world.with(|client, cx| client.set_credential(cx, credential, None)).unwrap();
    assert_eq!(world.client.allocations().count(), 1, "the next allocation does not relay yet");
    world.run(400);
    let new = world.client.socket().unwrap();
    let listed: Vec<_> = world.client.allocations().map(|one| (one.socket(), one.is_current())).collect();
    assert_eq!(listed, [(old, false), (new, true)]);
    let seal = |world: &mut World, socket| {
        world.with(|client, cx| client.seal_on(cx, socket, addr(PEER), b"data").map(|sealed| sealed.socket))
    };
    assert_eq!((seal(&mut world, old), seal(&mut world, new)), (Ok(old), Ok(new)));
    world.run(11_000);
    assert_eq!((seal(&mut world, old), seal(&mut world, new)), (Err(ClientError::NotAllocated), Ok(new)));
    assert_eq!(world.client.allocations().count(), 1);
}

#[test]
fn an_owner_can_take_a_stream_frame_by_frame() {
    let mut world = World::allocated(config().protocol(Protocol::Tcp));
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.run(200);
    world.take_events();
    let (socket, local, server) = (world.client.socket().unwrap(), addr("10.0.0.7:40000"), addr(SERVER));
    let frame = [&[0x40, 0, 0, 2][..], b"hi", &[0, 0]].concat();
    let two = [&frame[..], &frame].concat();
    let take = |world: &mut World, payload: &[u8]| {
        let chunk = Datagram::new(socket, local, server, payload);
        let taken = world.with(|client, cx| client.stream_frame(cx, chunk));
        (taken, world.take_events().len())
    };
    assert_eq!(take(&mut world, &two), (Some(8), 1));
    assert_eq!(take(&mut world, &two[8..13]), (Some(5), 0), "the beginning of a frame");
    assert_eq!(take(&mut world, &[&two[13..], &two[..3]].concat()), (Some(6), 1), "and the beginning of the next one");
    assert_eq!(take(&mut world, &[&two[3..8], &two[..]].concat()), (Some(5), 1));
    let foreign = Datagram::new(SocketId(99), local, server, &two);
    assert_eq!(world.with(|client, cx| client.stream_frame(cx, foreign)), None);
}
