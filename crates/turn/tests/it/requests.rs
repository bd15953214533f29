//! The error codes of the server, each with the request that causes it.

use crate::world::{
    Client, Host, LISTENER, OTHER_PEER, PEER, Reply, SERVER, World, addr, channel_data, config, seconds, unsigned,
};
use alloc::collections::BTreeSet;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Input, Machine, Protocol, Refusal, SocketEvent, SocketId, SocketOrder, Unreachability, Verdict,
};
use portolan_stun::{AddressFamily, Attribute, AttributeType, Class, Icmp, Message, Method};
use portolan_turn::{
    FreedReason, PeerPolicy, Server, ServerCommand, ServerConfig, ServerEvent, ServerLimits, ServerSocket,
};

const ALICE: &str = "192.0.2.77:40000";
const BOB: &str = "192.0.2.78:40000";
const UDP: Attribute<'_> = Attribute::RequestedTransport(17);

/// The code of an Allocate with these attributes, from a new client.
fn allocate(config: &ServerConfig, attributes: &[Attribute<'_>]) -> Option<u16> {
    let mut world = World::new(config);
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let code = alice.ask(&mut world, Method::ALLOCATE, attributes).code();
    let allocated = usize::from(code.is_none());
    assert_eq!(world.server.allocations().count(), allocated, "{attributes:?}");
    assert_eq!(world.relays.len(), allocated, "an error leaves no socket: {attributes:?}");
    code
}

/// An attribute with any bytes as its value.
fn raw(kind: AttributeType, value: &'static [u8]) -> Attribute<'static> {
    Attribute::Unknown { kind, value }
}

/// The address of the server is a part of the 5-tuple: that of another socket, and another one of a wildcard socket.
#[test]
fn rfc8656_3_2_a_client_address_has_an_allocation_at_each_address_of_the_server() {
    let (first, second) = (LISTENER, SocketId(2));
    let socket = |id, local| ServerSocket::new(id, Protocol::Udp, addr(local));
    let two = [socket(first, SERVER), socket(second, "192.0.2.1:3479")];
    let wildcard = [socket(first, "0.0.0.0:3478")];
    for (sockets, other) in [(&two[..], (second, "192.0.2.1:3479")), (&wildcard[..], (first, "192.0.2.9:3478"))] {
        let mut world = World::with(Server::over(&config(), sockets).unwrap());
        assert_eq!(world.ids.next_socket(), second);
        let mut alice = Client::allocated(&mut world, ALICE, "alice");
        assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
        let id = alice.id();
        let request = alice.signed(Method::ALLOCATE, id, &[UDP]);
        let mut at_other = |bytes: &[u8]| {
            let datagram = Datagram::new(other.0, addr(other.1), alice.address, bytes);
            world.input(Input::Datagram(datagram)).1
        };
        assert_eq!(Reply::only(at_other(&request)).code(), None);
        assert_eq!(at_other(&channel_data(0x4000, b"hi")), [], "the channel is of the other allocation");
        assert_eq!(world.server.allocations().count(), 2);
        assert_eq!(alice.channel(&mut world, 0x4000, b"hi").len(), 1);
    }
}

#[test]
fn data_of_peers_leaves_from_the_address_of_the_server_that_the_client_uses() {
    for (listen, local) in [("0.0.0.0:3478", Some(addr(SERVER).ip())), (SERVER, None)] {
        let sockets = [ServerSocket::new(LISTENER, Protocol::Udp, addr(listen))];
        let mut world = World::with(Server::over(&config(), &sockets).unwrap());
        world.ids.next_socket();
        let mut alice = Client::allocated(&mut world, ALICE, "alice");
        assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
        assert_eq!(alice.permit(&mut world, OTHER_PEER).code(), None);
        // ChannelData, and a Data indication.
        for peer in [PEER, OTHER_PEER] {
            let [sent] = &world.peer(addr(peer), alice.relayed, b"hi")[..] else { panic!("no data of {peer}") };
            assert_eq!((sent.socket, sent.local), (LISTENER, local), "{listen}, {peer}");
        }
    }
}

#[test]
fn data_that_is_too_long_for_a_data_indication_is_dropped_and_not_counted_as_relayed() {
    // The longest payload of UDP without the longest head, and without the longest padding.
    const LONGEST: usize = 65_507 - 48 - 3;
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    assert_eq!(alice.permit(&mut world, OTHER_PEER).code(), None);
    assert_eq!(world.peer(addr(OTHER_PEER), alice.relayed, &[7; LONGEST]).len(), 1);
    assert_eq!(world.peer(addr(OTHER_PEER), alice.relayed, &[7; LONGEST + 1]), []);
    let stats = world.server.stats();
    assert_eq!((stats.dropped.too_long, stats.relayed.to_client.datagrams), (1, 1));
}

#[test]
fn allocate_is_refused_by_the_rules_of_section_7_2() {
    let v6 = Attribute::RequestedAddressFamily(AddressFamily::Ipv6);
    let dual = Attribute::AdditionalAddressFamily(AddressFamily::Ipv6);
    let token = Attribute::ReservationToken([1; 8]);
    let cases: &[(&[Attribute<'_>], Option<u16>)] = &[
        (&[UDP], None),
        (&[UDP, v6], None),
        (&[UDP, dual], Some(0)),
        (&[UDP, Attribute::DontFragment], None),
        (&[UDP, Attribute::EvenPort(false)], None),
        (&[UDP, Attribute::Lifetime(0)], None),
        (&[], Some(400)),
        (&[raw(AttributeType::REQUESTED_TRANSPORT, b"\x11")], Some(400)),
        (&[Attribute::RequestedTransport(6)], Some(400)),
        (&[Attribute::RequestedTransport(132)], Some(442)),
        (&[Attribute::RequestedTransport(132)], Some(442)),
        (&[UDP, token], Some(508)),
        (&[UDP, token, Attribute::EvenPort(false)], Some(400)),
        (&[UDP, token, v6], Some(400)),
        (&[UDP, token, dual], Some(400)),
        (&[UDP, raw(AttributeType::RESERVATION_TOKEN, b"short")], Some(400)),
        (&[UDP, v6, dual], Some(400)),
        (&[UDP, Attribute::EvenPort(true), dual], Some(400)),
        (&[UDP, Attribute::AdditionalAddressFamily(AddressFamily::Ipv4)], Some(400)),
        (&[UDP, raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0])], Some(440)),
        (&[UDP, raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[1])], Some(400)),
        (&[UDP, raw(AttributeType::LIFETIME, &[1])], Some(400)),
        (&[UDP, raw(AttributeType::EVEN_PORT, &[])], Some(400)),
        (&[UDP, raw(AttributeType::new(0x7abc), &[1])], Some(420)),
        (&[UDP, Attribute::Priority(1)], Some(420)),
        (&[UDP, raw(AttributeType::new(0xfabc), &[1])], None),
    ];
    for (attributes, expected) in cases {
        if *expected == Some(0) {
            continue; // A dual allocation has two sockets; see `a_dual_allocation`.
        }
        assert_eq!(allocate(&config(), attributes), *expected, "{attributes:?}");
    }
}

#[test]
fn a_family_without_relay_address_gets_440() {
    let only_v6 = ServerConfig::new(crate::world::authenticator()).relay("2001:db8:1::1".parse().unwrap());
    assert_eq!(allocate(&only_v6, &[UDP]), Some(440));
    assert_eq!(allocate(&only_v6, &[UDP, Attribute::RequestedAddressFamily(AddressFamily::Ipv6)]), None);
    let only_v4 = ServerConfig::new(crate::world::authenticator()).relay("198.51.100.1".parse().unwrap());
    assert_eq!(allocate(&only_v4, &[UDP, Attribute::RequestedAddressFamily(AddressFamily::Ipv6)]), Some(440));
}

#[test]
fn a_420_names_the_unknown_attributes() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let unknown: Vec<_> = (0..40).map(|n| raw(AttributeType::new(0x7000 + n / 2), &[1])).collect();
    let reply = alice.ask(&mut world, Method::ALLOCATE, &unknown);
    assert_eq!(reply.code(), Some(420));
    let types: Vec<u16> = reply.message().unknown_attributes().unwrap().iter().map(AttributeType::number).collect();
    assert_eq!(types, (0x7000..0x7010).collect::<Vec<_>>(), "the first 16, each once");
    assert!(reply.message().verify(&alice.key()).is_ok());
}

#[test]
fn without_an_allocation_every_request_but_allocate_gets_437_and_data_gets_silence() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    assert_eq!(alice.refresh(&mut world, 600).code(), Some(437));
    assert_eq!(alice.refresh(&mut world, 0).code(), Some(437));
    assert_eq!(alice.permit(&mut world, PEER).code(), Some(437));
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), Some(437));
    assert!(alice.send(&mut world, PEER, b"x").is_empty());
    assert!(alice.channel(&mut world, 0x4000, b"x").is_empty());
    assert_eq!(world.server.stats().refused.allocation_mismatch, 4);
    // ChannelData of a client without an allocation is foreign on sockets of the owner.
    assert_eq!(world.server.stats().dropped.no_allocation, 1);
}

#[test]
fn a_second_allocate_gets_437_and_another_user_gets_441() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    assert_eq!(alice.allocate(&mut world, &[]).code(), Some(437));
    let mut bob = Client { user: "bob".into(), password: "secret of bob".into(), next_id: 99, ..alice.clone() };
    assert_eq!(bob.refresh(&mut world, 0).code(), Some(441));
    assert_eq!(bob.permit(&mut world, PEER).code(), Some(441));
    assert_eq!(bob.bind(&mut world, 0x4000, PEER).code(), Some(441));
    assert_eq!(bob.allocate(&mut world, &[]).code(), Some(437));
    let allocation = world.server.allocations().next().unwrap();
    assert_eq!((allocation.permissions, allocation.channels), (0, 0));
}

#[test]
fn a_retransmitted_allocate_gets_the_same_answer() {
    let mut world = World::new(&config());
    world.host = Host::Waits;
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let id = alice.id();
    let request = alice.signed(Method::ALLOCATE, id, &[UDP, Attribute::EvenPort(true)]);
    assert!(world.client(alice.address, &request).is_empty(), "the relay socket is not open");
    assert!(world.client(alice.address, &request).is_empty(), "a retransmission meanwhile is ignored");
    assert_eq!(world.relays.len(), 1);
    assert!(world.client(alice.address, &alice.signed(Method::REFRESH, [1; 12].into(), &[])).is_empty());
    let (&socket, &local) = world.relays.iter().next().unwrap();
    let first = Reply::only(world.answer_order(socket, SocketEvent::Opened { local }));
    let relayed = first.message().xor_relayed_address().unwrap();
    assert_eq!((first.code(), relayed, local.port() % 2), (None, local, 0));
    let second = Reply::only(world.client(alice.address, &request));
    assert_eq!(second.0, first.0, "the same bytes at the same time");
    world.advance(seconds(10));
    let third = Reply::only(world.client(alice.address, &request));
    assert_eq!(third.lifetime(), 590, "the time that is left");
    assert_eq!((third.message().xor_relayed_address(), third.token()), (Some(relayed), first.token()));
    assert_eq!(world.server.allocations().count(), 1);
    assert_eq!(world.server.stats().allocations, 1);
    // The same transaction id of another user is no retransmission.
    let bob = Client { user: "bob".into(), password: "secret of bob".into(), ..alice.clone() };
    let request = bob.signed(Method::ALLOCATE, id, &[UDP, Attribute::EvenPort(true)]);
    assert_eq!(Reply::only(world.client(alice.address, &request)).code(), Some(437));
}

#[test]
fn a_refused_port_is_followed_by_another_port_with_a_new_socket_id() {
    let mut world = World::new(&config());
    world.host = Host::Waits;
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let (id, mut seen) = (alice.id(), BTreeSet::new());
    let request = alice.signed(Method::ALLOCATE, id, &[UDP]);
    assert!(world.client(alice.address, &request).is_empty());
    for _ in 0..3 {
        let (&socket, &local) = world.relays.iter().next().unwrap();
        assert!(seen.insert((socket, local.port())));
        assert!(world.answer_order(socket, SocketEvent::Refused(Refusal::AddressInUse)).is_empty());
        assert_eq!(world.relays.len(), 1);
    }
    let (&socket, &local) = world.relays.iter().next().unwrap();
    let reply = Reply::only(world.answer_order(socket, SocketEvent::Opened { local }));
    assert_eq!(reply.message().xor_relayed_address(), Some(local));
    assert!(!seen.contains(&(socket, local.port())));
}

#[test]
fn refused_relay_sockets_end_in_508_and_leave_nothing() {
    for (why, tries) in [(Refusal::AddressInUse, 8), (Refusal::TooManySockets, 1), (Refusal::AddressNotAvailable, 1)] {
        let mut world = World::new(&config());
        world.host = Host::Refuses(why);
        let mut alice = Client::new(&mut world, ALICE, "alice");
        for attributes in [&[][..], &[Attribute::EvenPort(true)], &[Attribute::EvenPort(false)]] {
            let before = world.orders.len();
            assert_eq!(alice.allocate(&mut world, attributes).code(), Some(508));
            assert_eq!(world.orders.len() - before, tries, "{why}");
        }
        world.host = Host::Opens;
        assert_eq!(alice.allocate(&mut world, &[]).code(), None);
        assert_eq!(world.events.len(), 1, "no event of an allocation that never was");
    }
}

#[test]
fn quotas_get_486_for_users_and_sources_and_508_in_total() {
    let mut limits = ServerLimits::default();
    (limits.allocations, limits.allocations_per_user, limits.allocations_per_source) = (4, 2, 3);
    let mut world = World::new(&config().limits(limits));
    let mut clients: Vec<_> = (0..8)
        .map(|n| {
            let ip = if n < 5 { "192.0.2.77" } else { "192.0.2.78" };
            let user = if n < 3 || n == 7 { "alice" } else { "bob" };
            Client::new(&mut world, &format!("{ip}:{}", 40_000 + n), user)
        })
        .collect();
    let mut code = |n: usize| clients[n].allocate(&mut world, &[]).code();
    // Two of one user, the third is refused; the third of one source is another user's, the fourth is refused.
    assert_eq!([code(0), code(1), code(2)], [None, None, Some(486)]);
    assert_eq!([code(3), code(4)], [None, Some(486)]);
    assert_eq!([code(5), code(6)], [None, Some(508)], "four in total");
    assert_eq!(clients[0].refresh(&mut world, 0).code(), None);
    assert_eq!(clients[7].allocate(&mut world, &[]).code(), None, "a place was released");
    assert_eq!(world.server.stats().refused.quota, 2);
}

#[test]
fn permissions_are_installed_for_all_peers_of_a_request_or_for_none() {
    let mut limits = ServerLimits::default();
    limits.permissions = 3;
    let mut world = World::new(&config().limits(limits));
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    let peers = |texts: &[&str]| texts.iter().map(|text| Attribute::XorPeerAddress(addr(text))).collect::<Vec<_>>();
    let count = |world: &World| world.server.allocations().next().unwrap().permissions;
    let malformed = raw(AttributeType::XOR_PEER_ADDRESS, &[0, 9, 1, 1, 1, 1, 1, 1]);
    for (mut attributes, code) in [
        (vec![], 400),
        (peers(&[PEER, "[2001:db8:2::1]:1"]), 443),
        (peers(&[PEER, "127.0.0.1:1"]), 403),
        (peers(&["10.0.0.1:1", PEER]), 403),
        (peers(&["203.0.113.1:1", "203.0.113.2:1", "203.0.113.3:1", "203.0.113.4:1"]), 508),
        (vec![Attribute::XorPeerAddress(addr(PEER)), malformed], 400),
    ] {
        assert_eq!(alice.ask(&mut world, Method::CREATE_PERMISSION, &attributes).code(), Some(code), "{attributes:?}");
        assert_eq!(count(&world), 0, "{attributes:?}");
        attributes.reverse();
        assert_eq!(alice.ask(&mut world, Method::CREATE_PERMISSION, &attributes).code(), Some(code), "{attributes:?}");
        assert_eq!(count(&world), 0, "{attributes:?}");
    }
    let three = peers(&[PEER, OTHER_PEER, "203.0.113.9:1", "203.0.113.3:1"]);
    assert_eq!(alice.ask(&mut world, Method::CREATE_PERMISSION, &three).code(), None);
    assert_eq!(count(&world), 3, "one address twice is one permission");
    assert_eq!(alice.permit(&mut world, "203.0.113.3:9").code(), None, "a refresh is possible at the limit");
    assert_eq!(alice.permit(&mut world, "203.0.113.4:9").code(), Some(508));
    assert_eq!(alice.bind(&mut world, 0x4000, "203.0.113.4:9").code(), Some(508));
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
}

#[test]
fn a_channel_is_refused_by_the_rules_of_section_12_2() {
    let mut limits = ServerLimits::default();
    limits.channels = 2;
    let mut world = World::new(&config().limits(limits));
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    let peer = Attribute::XorPeerAddress(addr(PEER));
    let number = Attribute::ChannelNumber(0x4000);
    for (attributes, code) in [
        (vec![], 400),
        (vec![peer], 400),
        (vec![number], 400),
        (vec![Attribute::ChannelNumber(0x3fff), peer], 400),
        (vec![Attribute::ChannelNumber(0x5000), peer], 400),
        (vec![Attribute::ChannelNumber(0xffff), peer], 400),
        (vec![number, raw(AttributeType::XOR_PEER_ADDRESS, &[0, 1, 2])], 400),
        (vec![number, Attribute::XorPeerAddress(addr("[2001:db8:2::1]:1"))], 443),
        (vec![number, Attribute::XorPeerAddress(addr("127.0.0.1:1"))], 403),
        (vec![number, Attribute::XorPeerAddress(addr("203.0.113.9:0"))], 403),
    ] {
        assert_eq!(alice.ask(&mut world, Method::CHANNEL_BIND, &attributes).code(), Some(code), "{attributes:?}");
    }
    let allocation = world.server.allocations().next().unwrap();
    assert_eq!((allocation.permissions, allocation.channels), (0, 0));
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None, "a refresh");
    assert_eq!(alice.bind(&mut world, 0x4000, OTHER_PEER).code(), Some(400), "the number is bound otherwise");
    assert_eq!(alice.bind(&mut world, 0x4001, PEER).code(), Some(400), "the peer is bound otherwise");
    assert_eq!(alice.bind(&mut world, 0x4fff, "203.0.113.9:5001").code(), None, "another port is another peer");
    assert_eq!(alice.bind(&mut world, 0x4002, OTHER_PEER).code(), Some(508), "two channels are the limit");
}

#[test]
fn even_port_with_r_reserves_the_next_port_for_the_same_account() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let reply = alice.allocate(&mut world, &[Attribute::EvenPort(true)]);
    let token = reply.token().unwrap();
    assert_eq!(alice.relayed.port() % 2, 0);
    let mut bob = Client::new(&mut world, BOB, "bob");
    assert_eq!(bob.allocate(&mut world, &[token]).code(), Some(508), "the token of another account");
    let mut second = Client::new(&mut world, "192.0.2.79:1", "alice");
    world.advance(seconds(29));
    let reply = second.allocate(&mut world, &[token]);
    assert_eq!((reply.code(), second.relayed.port()), (None, alice.relayed.port() + 1));
    assert!(!reply.message().has(AttributeType::RESERVATION_TOKEN));
    let mut third = Client::new(&mut world, "192.0.2.80:1", "alice");
    assert_eq!(third.allocate(&mut world, &[token]).code(), Some(508), "a token is valid once");
}

#[test]
fn a_reservation_ends_after_30_seconds() {
    for (at, code) in [(30, None), (31, Some(508))] {
        let mut world = World::new(&config());
        let mut alice = Client::new(&mut world, ALICE, "alice");
        let reply = alice.allocate(&mut world, &[Attribute::EvenPort(true)]);
        let token = reply.token().unwrap();
        let mut second = Client::new(&mut world, BOB, "alice");
        world.advance(seconds(at) - Duration::from_millis(1));
        assert_eq!(second.allocate(&mut world, &[token]).code(), code);
    }
}

#[test]
fn a_dual_allocation_has_two_addresses_with_permissions_of_their_own() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let dual = [Attribute::AdditionalAddressFamily(AddressFamily::Ipv6)];
    let reply = alice.allocate(&mut world, &dual);
    let addresses: Vec<_> = reply
        .message()
        .attributes()
        .filter_map(|attribute| match attribute {
            Ok(Attribute::XorRelayedAddress(address)) => Some(address),
            _ => None,
        })
        .collect();
    assert!(matches!(addresses[..], [v4, v6] if v4.is_ipv4() && v6.is_ipv6()), "{addresses:?}");
    assert!(!reply.message().has(AttributeType::ADDRESS_ERROR_CODE));
    assert_eq!(alice.permit(&mut world, PEER).code(), None);
    assert_eq!(alice.bind(&mut world, 0x4000, "[2001:db8:2::1]:7").code(), None);
    assert_eq!(alice.send(&mut world, PEER, b"4")[0].socket, world.relay_socket(addresses[0]));
    assert_eq!(alice.channel(&mut world, 0x4000, b"6")[0].socket, world.relay_socket(addresses[1]));
    // RFC 8656 §8.1: one family is deleted, the other stays.
    let v4 = Attribute::RequestedAddressFamily(AddressFamily::Ipv4);
    let reply = alice.ask(&mut world, Method::REFRESH, &[Attribute::Lifetime(0), v4]);
    assert_eq!((reply.code(), reply.lifetime()), (None, 0));
    assert!(alice.send(&mut world, PEER, b"4").is_empty());
    assert_eq!(alice.channel(&mut world, 0x4000, b"6").len(), 1);
    assert_eq!(alice.permit(&mut world, PEER).code(), Some(443));
    assert_eq!(alice.ask(&mut world, Method::REFRESH, &[v4]).code(), Some(443));
    assert_eq!((world.server.allocations().count(), world.relays.len()), (1, 1));
    assert_eq!(alice.refresh(&mut world, 0).code(), None);
    assert_eq!((world.server.allocations().count(), world.relays.len()), (0, 0));
}

#[test]
fn each_family_of_a_dual_allocation_expires_on_its_own() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    alice.allocate(&mut world, &[Attribute::AdditionalAddressFamily(AddressFamily::Ipv6)]);
    world.advance(seconds(500));
    let v6 = Attribute::RequestedAddressFamily(AddressFamily::Ipv6);
    assert_eq!(alice.ask(&mut world, Method::REFRESH, &[v6]).code(), None);
    assert_eq!(world.relays.len(), 2);
    world.advance(seconds(601));
    assert_eq!(world.relays.len(), 1);
    assert_eq!(alice.permit(&mut world, PEER).code(), Some(443));
    assert_eq!(alice.permit(&mut world, "[2001:db8:2::1]:7").code(), None);
    world.advance(seconds(1101));
    assert!(world.relays.is_empty());
    assert!(matches!(world.events.last(), Some(ServerEvent::Freed { why: FreedReason::Expired, .. })));
}

#[test]
fn a_dual_allocation_without_one_family_reports_the_reason() {
    let mut only_v4 =
        World::new(&ServerConfig::new(crate::world::authenticator()).relay("198.51.100.1".parse().unwrap()));
    let mut one_port = World::new(&config().ports(50_000, 50_001));
    let dual = [Attribute::AdditionalAddressFamily(AddressFamily::Ipv6)];
    let missing = |reply: &Reply| match reply.message().attribute(AttributeType::ADDRESS_ERROR_CODE) {
        Some(Ok(Attribute::AddressErrorCode(missing))) => Some((missing.family, missing.error.code())),
        _ => None,
    };
    let mut alice = Client::new(&mut only_v4, ALICE, "alice");
    let reply = alice.allocate(&mut only_v4, &dual);
    assert_eq!((reply.code(), missing(&reply)), (None, Some((AddressFamily::Ipv6, 440))));
    // Two IPv6 allocations take the two IPv6 ports.
    let v6 = Attribute::RequestedAddressFamily(AddressFamily::Ipv6);
    for n in 0..2 {
        let mut other = Client::new(&mut one_port, &format!("192.0.2.90:{}", 1000 + n), "bob");
        assert_eq!(other.allocate(&mut one_port, &[v6]).code(), None);
    }
    let mut alice = Client::new(&mut one_port, ALICE, "alice");
    let reply = alice.allocate(&mut one_port, &dual);
    assert_eq!((reply.code(), missing(&reply)), (None, Some((AddressFamily::Ipv6, 508))));
    let mut bob = Client::new(&mut one_port, BOB, "bob");
    assert_eq!(bob.allocate(&mut one_port, &[v6]).code(), Some(508), "no port is left");
}

#[test]
fn a_refresh_of_another_family_gets_443() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    let v6 = Attribute::RequestedAddressFamily(AddressFamily::Ipv6);
    let v4 = Attribute::RequestedAddressFamily(AddressFamily::Ipv4);
    assert_eq!(alice.ask(&mut world, Method::REFRESH, &[v6]).code(), Some(443));
    assert_eq!(alice.ask(&mut world, Method::REFRESH, &[v6, Attribute::Lifetime(0)]).code(), Some(443));
    let other = raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[9, 0, 0, 0]);
    assert_eq!(alice.ask(&mut world, Method::REFRESH, &[other]).code(), Some(443));
    assert_eq!(alice.ask(&mut world, Method::REFRESH, &[v4]).code(), None);
}

#[test]
fn lifetimes_are_between_the_default_and_the_largest() {
    for (requested, granted) in
        [(0, 600), (1, 600), (600, 600), (601, 601), (3600, 3600), (3601, 3600), (u32::MAX, 3600)]
    {
        let mut world = World::new(&config());
        let mut alice = Client::new(&mut world, ALICE, "alice");
        assert_eq!(alice.allocate(&mut world, &[Attribute::Lifetime(requested)]).lifetime(), granted);
        if requested > 0 {
            assert_eq!(alice.refresh(&mut world, requested).lifetime(), granted);
        }
    }
}

#[test]
fn an_icmp_error_is_reported_for_permitted_peers_alone() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    let socket = world.relay_socket(alice.relayed);
    let report = |world: &mut World, remote: &str, why| {
        world.input(Input::Socket(socket, SocketEvent::Unreachable { remote: addr(remote), why })).1
    };
    assert!(report(&mut world, PEER, Unreachability::Port).is_empty(), "no permission");
    // A channel is not used for ICMP.
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    let cases = [
        (Unreachability::Network, 3, 0),
        (Unreachability::Host, 3, 1),
        (Unreachability::Port, 3, 3),
        (Unreachability::TooLarge, 3, 4),
        (Unreachability::Prohibited, 3, 13),
        (Unreachability::HopLimit, 11, 0),
    ];
    for (why, kind, code) in cases {
        let sent = report(&mut world, PEER, why);
        assert_eq!((sent.len(), sent[0].remote), (1, alice.address));
        let message = Message::decode(&sent[0].payload).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        assert_eq!(message.xor_peer_address(), Some(addr(PEER)));
        let icmp = message.attribute(AttributeType::ICMP).unwrap().unwrap();
        assert_eq!(icmp, Attribute::Icmp(Icmp { kind, code, data: 0 }));
        assert!(message.data().is_none());
    }
    assert!(report(&mut world, PEER, Unreachability::SourceAddress).is_empty(), "no ICMP error");
    assert!(report(&mut world, OTHER_PEER, Unreachability::Port).is_empty());
    assert_eq!(world.server.stats().icmp, 6);
}

#[test]
fn a_draining_server_refuses_allocations_and_reports_the_end_of_the_last_one() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    let mut bob = Client::new(&mut world, BOB, "bob");
    let command = |world: &mut World, command| {
        let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids);
        world.server.command(&mut cx, command).unwrap();
        world.drain();
    };
    command(&mut world, ServerCommand::Drain);
    assert_eq!(bob.allocate(&mut world, &[]).code(), Some(508));
    assert_eq!(alice.permit(&mut world, PEER).code(), None);
    assert_eq!(alice.send(&mut world, PEER, b"x").len(), 1);
    assert_eq!(alice.refresh(&mut world, 600).code(), None);
    assert!(!world.events.contains(&ServerEvent::Drained));
    assert_eq!(alice.refresh(&mut world, 0).code(), None);
    assert_eq!(world.events.last(), Some(&ServerEvent::Drained));
    command(&mut world, ServerCommand::Drain);
    command(&mut world, ServerCommand::Stop);
    assert_eq!(world.events.iter().filter(|event| **event == ServerEvent::Drained).count(), 1);
    assert_eq!(world.events.last(), Some(&ServerEvent::Stopped));
}

#[test]
fn a_stopped_server_closes_its_relay_sockets_and_not_those_of_its_owner() {
    let mut world = World::new(&config());
    let alice = Client::allocated(&mut world, ALICE, "alice");
    let socket = world.relay_socket(alice.relayed);
    let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids);
    world.server.command(&mut cx, ServerCommand::Stop).unwrap();
    world.orders.clear();
    world.drain();
    assert_eq!(world.orders, [SocketOrder::Close(socket)]);
    let last: Vec<_> = world.events.iter().rev().take(2).collect();
    assert!(matches!(last[..], [ServerEvent::Stopped, ServerEvent::Freed { why: FreedReason::Stopped, .. }]));
    assert!(world.client(alice.address, &unsigned(Method::BINDING, [1; 12].into(), &[])).is_empty());
}

#[test]
fn a_new_policy_ends_the_permissions_and_channels_of_denied_peers() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    alice.bind(&mut world, 0x4000, PEER);
    alice.bind(&mut world, 0x4001, OTHER_PEER);
    let third = "203.0.113.77:5000";
    alice.bind(&mut world, 0x4002, third);
    let policy = PeerPolicy::new().allow("203.0.113.9/32".parse().unwrap()).allow("203.0.113.77/32".parse().unwrap());
    world.server.set_policy(policy);
    for (number, peer, is_permitted) in [(0x4000, PEER, true), (0x4001, OTHER_PEER, false), (0x4002, third, true)] {
        let expected = usize::from(is_permitted);
        assert_eq!(alice.channel(&mut world, number, b"x").len(), expected, "{peer}");
        assert_eq!(alice.send(&mut world, peer, b"x").len(), expected, "{peer}");
        assert_eq!(world.peer(addr(peer), alice.relayed, b"x").len(), expected, "{peer}");
    }
}

#[test]
fn what_is_not_turn_is_not_the_servers_on_sockets_of_its_owner() {
    let mut world = World::new(&config().binding(false));
    let binding = unsigned(Method::BINDING, [1; 12].into(), &[]);
    let data = crate::world::message(Class::Indication, Method::DATA, [1; 12].into(), &[Attribute::Data(b"x")]);
    let response = crate::world::message(Class::SuccessResponse, Method::ALLOCATE, [1; 12].into(), &[]);
    let channel = crate::world::channel_data(0x4000, b"x");
    for payload in [&b"hello"[..], &[], &[0x16; 40], &binding, &data, &response, &channel] {
        let datagram = Datagram::new(crate::world::LISTENER, addr(SERVER), addr(ALICE), payload);
        assert_eq!(world.input(Input::Datagram(datagram)), (Verdict::NotMine, vec![]), "{payload:?}");
    }
    let foreign = Datagram::new(SocketId(99), addr(SERVER), addr(ALICE), &binding);
    assert_eq!(world.input(Input::Datagram(foreign)), (Verdict::NotMine, vec![]));
    assert_eq!(world.server.stats(), Default::default());
}

#[test]
fn a_lost_listener_frees_the_allocations_of_its_clients() {
    let mut world = World::new(&config());
    let alice = Client::allocated(&mut world, ALICE, "alice");
    let socket = world.relay_socket(alice.relayed);
    let closed = SocketEvent::Closed(portolan_machine::Closure::Unspecified);
    let _mine = world.input(Input::Socket(crate::world::LISTENER, closed));
    assert_eq!(world.orders.last(), Some(&SocketOrder::Close(socket)));
    assert!(matches!(world.events.last(), Some(ServerEvent::Freed { why: FreedReason::ClientLost, .. })));
}

/// RFC 8489 §14.4: the user is named by a hash, and requests with the name are of the same user.
#[test]
fn a_userhash_names_the_user_of_the_allocation() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, "192.0.2.77:40000", "alice");
    let hash = portolan_stun::userhash("alice", "example.org");
    let mut anonymous = |world: &mut World, method, list: &[Attribute<'_>]| {
        let mut buffer = [0; 500];
        let id = alice.id();
        let mut writer = portolan_stun::Writer::new(&mut buffer, portolan_stun::Class::Request, method, id).unwrap();
        list.iter().for_each(|attribute| writer.add(attribute).unwrap());
        writer.add(&Attribute::Userhash(&hash)).unwrap();
        writer.add(&Attribute::Realm("example.org".into())).unwrap();
        writer.add(&Attribute::Nonce(alice.nonce.as_str().into())).unwrap();
        let bytes = writer.message_integrity(&alice.key()).unwrap().finish().to_vec();
        Reply::only(world.client(alice.address, &bytes)).code()
    };
    assert_eq!(anonymous(&mut world, Method::ALLOCATE, &[Attribute::RequestedTransport(17)]), None);
    assert_eq!(anonymous(&mut world, Method::REFRESH, &[Attribute::Lifetime(700)]), None);
    assert_eq!(&*world.server.allocations().next().unwrap().client.user, "alice");
    assert_eq!(alice.refresh(&mut world, 600).code(), None, "the same user by name");
}
