//! Data in both directions, as packet traces.

use crate::world::{Client, PEER, Reply, World, addr, config, relayed, seconds};
use core::net::SocketAddr;
use portolan_machine::SocketOrder;
use portolan_stun::{AddressFamily, Attribute, Message, Method};
use portolan_turn::{FreedReason, ServerEvent, ServerLimits};

#[test]
fn a_client_allocates_permits_sends_and_receives() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, "192.0.2.77:40000", "alice");
    let reply = alice.allocate(&mut world, &[]);
    let message = reply.message();
    assert_eq!((reply.code(), reply.lifetime()), (None, 600));
    assert_eq!(message.xor_mapped_address(), Some(alice.address));
    assert!(message.verify(&alice.key()).is_ok(), "the response is signed");
    let relayed_address = message.xor_relayed_address().unwrap();
    assert_eq!(relayed_address.ip(), addr("198.51.100.1:0").ip());
    assert!((49_152..=65_535).contains(&relayed_address.port()));
    let [ServerEvent::Allocated { client, relayed: addresses, .. }] = &world.events[..] else { panic!() };
    assert_eq!((client.address, &*client.user), (alice.address, "alice"));
    assert_eq!(addresses.v4, Some(relayed_address));

    assert!(alice.send(&mut world, PEER, b"early").is_empty(), "no permission yet");
    assert!(world.peer(addr(PEER), relayed_address, b"early").is_empty(), "no permission yet");
    assert_eq!(alice.permit(&mut world, PEER).code(), None);
    let sent = alice.send(&mut world, PEER, b"hello");
    assert_eq!(relayed(&sent), (addr(PEER), b"hello".to_vec()));
    assert_eq!(sent[0].socket, world.relay_socket(relayed_address));

    // From any port of the permitted address.
    let sent = world.peer(addr("203.0.113.9:7"), relayed_address, b"reply");
    let (to, bytes) = relayed(&sent);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!((to, message.method()), (alice.address, Method::DATA));
    assert_eq!((message.xor_peer_address(), message.data()), (Some(addr("203.0.113.9:7")), Some(&b"reply"[..])));

    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    assert_eq!(relayed(&alice.channel(&mut world, 0x4000, b"hi!")), (addr(PEER), b"hi!".to_vec()));
    let sent = world.peer(addr(PEER), relayed_address, b"ho");
    assert_eq!(relayed(&sent), (alice.address, b"\x40\x00\x00\x02ho".to_vec()), "not padded over UDP");

    let socket = world.relay_socket(relayed_address);
    let reply = alice.refresh(&mut world, 0);
    assert_eq!((reply.code(), reply.lifetime()), (None, 0));
    assert_eq!(world.orders.last(), Some(&SocketOrder::Close(socket)));
    let Some(ServerEvent::Freed { why, totals, .. }) = world.events.last() else { panic!() };
    assert_eq!((*why, totals.to_peers.datagrams, totals.to_client.bytes), (FreedReason::Deleted, 2, 7));
    assert_eq!(alice.refresh(&mut world, 0).code(), Some(437));
    assert_eq!(alice.permit(&mut world, PEER).code(), Some(437));
    assert!(alice.channel(&mut world, 0x4000, b"late").is_empty());
}

/// The tables of the server contain no addresses and sockets, so each lookup reads the allocation that it finds.
#[test]
fn the_data_of_each_of_many_allocations_reaches_its_own_client_and_peer() {
    const COUNT: u16 = 1_500;
    let mut limits = ServerLimits::default();
    (limits.allocations_per_user, limits.allocations_per_source) = (u32::from(COUNT), u32::from(COUNT));
    let mut world = World::new(&config().limits(limits));
    let mut clients: Vec<Client> = (0..COUNT)
        .map(|n| Client::allocated(&mut world, &format!("192.0.2.{}:{}", n % 8, 40_000 + n), "alice"))
        .collect();
    for client in &mut clients {
        assert_eq!(client.bind(&mut world, 0x4000, PEER).code(), None);
    }
    for round in 0..2 {
        for (n, client) in clients.iter_mut().enumerate() {
            let is_freed = round == 1 && n % 3 == 0;
            let to_peer = client.channel(&mut world, 0x4000, b"x");
            let to_client = world.peer(addr(PEER), client.relayed, b"x");
            if is_freed {
                assert!(to_peer.is_empty() && to_client.is_empty(), "{n}");
                continue;
            }
            assert_eq!((to_peer[0].socket, to_peer[0].remote), (world.relay_socket(client.relayed), addr(PEER)), "{n}");
            assert_eq!(to_client[0].remote, client.address, "{n}");
        }
        for client in clients.iter_mut().step_by(3).filter(|_| round == 0) {
            assert_eq!(client.refresh(&mut world, 0).code(), None);
        }
    }
}

/// The hashes of many peers are similar, so each lookup compares the whole peer and the whole number.
#[test]
fn each_of_many_channels_has_its_own_peer_in_both_directions() {
    const COUNT: u16 = 1_500;
    let mut limits = ServerLimits::default();
    (limits.permissions, limits.channels) = (COUNT, COUNT);
    let mut world = World::new(&config().limits(limits));
    let mut alice = Client::new(&mut world, "192.0.2.77:40000", "alice");
    let both = Attribute::AdditionalAddressFamily(AddressFamily::Ipv6);
    assert_eq!(alice.allocate(&mut world, &[both]).code(), None);
    let [ServerEvent::Allocated { relayed: addresses, .. }] = &world.events[..] else { panic!() };
    let (v4, v6) = (addresses.v4.unwrap(), addresses.v6.unwrap());
    // Many ports of few addresses, and many addresses with few ports.
    let channels: Vec<(u16, SocketAddr)> = (0..COUNT)
        .map(|n| {
            let peer = match n % 4 {
                0 => format!("203.0.113.9:{}", 5_000 + n),
                1 => format!("203.0.113.{}:{}", 10 + n % 200, 5_000 + n / 200),
                2 => format!("[2001:db8:2::9]:{}", 5_000 + n),
                _ => format!("[2001:db8:2::{n:x}]:5000"),
            };
            (0x4000 + n, addr(&peer))
        })
        .collect();
    for (number, peer) in &channels {
        assert_eq!(alice.bind(&mut world, *number, &peer.to_string()).code(), None, "{number:#x}");
    }
    // At first the server has copies of the channels. They are not valid any more at the later time, and no timeout came.
    for at in [0, 301] {
        world.now = world.now.max(seconds(at));
        for (number, peer) in channels.iter().copied() {
            assert_eq!(alice.permit(&mut world, &peer.to_string()).code(), None);
            let to_peer = alice.channel(&mut world, number, b"x");
            assert_eq!(to_peer.iter().map(|sent| sent.remote).collect::<Vec<_>>(), [peer], "{number:#x}");
            let of_family = if peer.is_ipv4() { v4 } else { v6 };
            let to_client = world.peer(peer, of_family, b"x");
            assert_eq!(relayed(&to_client), (alice.address, crate::world::channel_data(number, b"x")), "{peer}");
            // Another port of the same address has a permission and no channel.
            let other = SocketAddr::new(peer.ip(), 9);
            let (_, bytes) = relayed(&world.peer(other, of_family, b"x"));
            assert_eq!(Message::decode(&bytes).unwrap().xor_peer_address(), Some(other));
        }
    }
}

#[test]
fn two_clients_of_one_server_reach_each_other() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, "192.0.2.77:40000", "alice");
    let mut bob = Client::allocated(&mut world, "192.0.2.78:40000", "bob");
    let (of_alice, of_bob) = (alice.relayed.to_string(), bob.relayed.to_string());
    assert_eq!(alice.bind(&mut world, 0x4000, &of_bob).code(), None);
    assert_eq!(bob.permit(&mut world, &of_alice).code(), None);
    let (to, data) = relayed(&alice.channel(&mut world, 0x4000, b"hello"));
    assert_eq!(to, bob.relayed);
    // The kernel takes the datagram to the relay socket of the other client.
    let (to, bytes) = relayed(&world.peer(alice.relayed, bob.relayed, &data));
    assert_eq!((to, Message::decode(&bytes).unwrap().data()), (bob.address, Some(&b"hello"[..])));
}

#[test]
fn a_binding_request_is_answered_with_the_mapped_address_alone() {
    let mut world = World::new(&config());
    let request = crate::world::unsigned(Method::BINDING, [9; 12].into(), &[]);
    let reply = Reply::only(world.client(addr("192.0.2.77:40000"), &request));
    assert_eq!(reply.message().xor_mapped_address(), Some(addr("192.0.2.77:40000")));
    assert_eq!((request.len(), reply.0.payload.len()), (20, 32));
    let attributes: Vec<_> = reply.message().attributes().flatten().collect();
    assert_eq!(attributes, [Attribute::XorMappedAddress(addr("192.0.2.77:40000"))]);
}
