//! Attacks on TURN servers, each as a test by its name. The peer policy, streams and the state without credentials have
//! tests in other files.

use crate::world::{
    Client, Host, LISTENER, OTHER_PEER, PEER, Reply, SERVER, World, addr, authenticator, channel_data, config,
    indication, message, relayed, seconds, unsigned,
};
use core::fmt::Write;
use core::time::Duration;
use portolan_machine::{Cx, Datagram, Explain, Input, Instant, Machine, Scope, Trace};
use portolan_stun::{AddressFamily, Attribute, AttributeType, Class, Method};
use portolan_stun_agent::Authenticator;
use portolan_stun_agent::authenticator::TimedKeys;
use portolan_turn::{FreedReason, PeerPolicy, ServerConfig, ServerEvent, ServerLimits};

const ALICE: &str = "192.0.2.77:40000";
const BOB: &str = "192.0.2.78:40000";
const UDP: Attribute<'_> = Attribute::RequestedTransport(17);

/// The default policy, and a relay address of each family.
fn default_policy() -> ServerConfig {
    config().policy(PeerPolicy::new())
}

#[test]
fn an_admin_port_on_loopback_is_no_peer_in_any_method() {
    let peers = [
        "127.0.0.1:80",
        "127.255.255.254:80",
        "0.0.0.0:80",
        "0.1.2.3:80",
        "169.254.169.254:80",
        "10.0.0.1:80",
        "192.168.1.1:80",
        "172.16.0.1:80",
        "100.64.0.1:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "[::1]:80",
        "[::]:80",
        "[::ffff:127.0.0.1]:80",
        "[::ffff:10.0.0.1]:80",
        "[::127.0.0.1]:80",
        "[2002:7f00:1::]:80",
        "[64:ff9b::7f00:1]:80",
        "[fe80::1]:80",
        "[fec0::1]:80",
        "[fc00::1]:80",
        "[ff02::1]:80",
    ];
    let mut world = World::new(&default_policy());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    alice.allocate(&mut world, &[Attribute::AdditionalAddressFamily(AddressFamily::Ipv6)]);
    for (n, peer) in peers.into_iter().enumerate() {
        let number = 0x4000 + u16::try_from(n).unwrap();
        assert_eq!(alice.permit(&mut world, peer).code(), Some(403), "{peer}");
        assert_eq!(alice.bind(&mut world, number, peer).code(), Some(403), "{peer}");
        assert!(alice.send(&mut world, peer, b"GET /").is_empty(), "{peer}");
        assert!(alice.channel(&mut world, number, b"GET /").is_empty(), "{peer}");
        let connect = alice.ask(&mut world, Method::CONNECT, &[Attribute::XorPeerAddress(addr(peer))]);
        assert!(connect.code().is_some(), "{peer}");
    }
    let allocation = world.server.allocations().next().unwrap();
    assert_eq!((allocation.permissions, allocation.channels), (0, 0));
    assert_eq!(alice.permit(&mut world, "8.8.8.8:53").code(), None);
}

#[test]
fn a_listener_of_the_server_is_no_peer_in_any_method_with_a_port() {
    // The relay address is the address of the listener, as on most servers.
    let config = ServerConfig::new(authenticator()).relay(addr(SERVER).ip());
    let mut world = World::new(&config);
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    assert_eq!(alice.permit(&mut world, SERVER).code(), None, "a permission has no port");
    assert_eq!(alice.bind(&mut world, 0x4000, SERVER).code(), Some(403));
    assert!(alice.send(&mut world, SERVER, b"x").is_empty());
    assert_eq!(world.server.stats().dropped.forbidden, 1);
    assert_eq!(alice.bind(&mut world, 0x4000, "192.0.2.1:50000").code(), None, "a relayed address is a peer");
    assert_eq!(alice.send(&mut world, "192.0.2.1:50000", b"x").len(), 1);
}

#[test]
fn another_user_can_neither_read_nor_change_an_allocation() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    assert_eq!(alice.permit(&mut world, PEER).code(), None);
    let mut bob = Client { user: "bob".into(), password: "secret of bob".into(), next_id: 500, ..alice.clone() };
    for (method, attributes) in [
        (Method::REFRESH, vec![Attribute::Lifetime(0)]),
        (Method::REFRESH, vec![Attribute::Lifetime(3600)]),
        (Method::CREATE_PERMISSION, vec![Attribute::XorPeerAddress(addr(OTHER_PEER))]),
        (Method::CHANNEL_BIND, vec![Attribute::ChannelNumber(0x4000), Attribute::XorPeerAddress(addr(PEER))]),
    ] {
        let before = world.server.allocations().next();
        let reply = bob.ask(&mut world, method, &attributes);
        assert_eq!(reply.code(), Some(441), "{method}");
        assert_eq!(reply.message().attributes().flatten().filter(|a| !is_framing(a)).count(), 0, "nothing is revealed");
        assert_eq!(world.server.allocations().next(), before, "{method}");
    }
}

/// Whether the attribute is in every error response.
fn is_framing(attribute: &Attribute<'_>) -> bool {
    matches!(attribute, Attribute::ErrorCode(_) | Attribute::MessageIntegrity(_))
}

/// A retransmitted Allocate request gets the relayed address again, but only if its user is that of the allocation.
#[test]
fn another_user_reads_no_relayed_address_by_the_transaction_id() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let id = alice.id();
    let reply = Reply::only(world.client(alice.address, &alice.signed(Method::ALLOCATE, id, &[UDP])));
    assert!(reply.message().xor_relayed_address().is_some());
    let bob = Client { user: "bob".into(), password: "secret of bob".into(), ..alice.clone() };
    let reply = Reply::only(world.client(bob.address, &bob.signed(Method::ALLOCATE, id, &[UDP])));
    assert_eq!((reply.code(), reply.message().xor_relayed_address()), (Some(437), None));
}

/// A reply to a broadcast or multicast address would reach many hosts.
#[test]
fn a_source_that_is_not_one_host_gets_no_reply() {
    let mut world = World::new(&config());
    let sources =
        ["255.255.255.255:40000", "224.0.0.1:40000", "0.0.0.0:40000", "192.0.2.77:0", "[ff02::1]:40000", "[::]:1"];
    for source in sources {
        for method in [Method::BINDING, Method::ALLOCATE] {
            assert!(world.client(addr(source), &unsigned(method, [1; 12].into(), &[])).is_empty(), "{source}");
        }
    }
    assert_eq!(world.server.stats().dropped.unaddressable, 12);
}

#[test]
fn attributes_after_the_integrity_change_nothing() {
    let appended = [
        Attribute::Lifetime(0),
        Attribute::Lifetime(3600),
        Attribute::XorPeerAddress(addr(OTHER_PEER)),
        Attribute::XorPeerAddress(addr("127.0.0.1:1")),
        Attribute::ChannelNumber(0x4001),
        Attribute::RequestedTransport(6),
        Attribute::RequestedAddressFamily(AddressFamily::Ipv6),
        Attribute::EvenPort(true),
        Attribute::ReservationToken([1; 8]),
        Attribute::DontFragment,
        Attribute::Username("bob".into()),
        Attribute::Unknown { kind: AttributeType::new(0x7abc), value: &[1] },
    ];
    let requests: [(Method, &[Attribute<'_>]); 4] = [
        (Method::ALLOCATE, &[UDP]),
        (Method::REFRESH, &[Attribute::Lifetime(1000)]),
        (Method::CREATE_PERMISSION, &[Attribute::XorPeerAddress(addr(PEER))]),
        (Method::CHANNEL_BIND, &[Attribute::ChannelNumber(0x4000), Attribute::XorPeerAddress(addr(PEER))]),
    ];
    for extra in appended {
        let (mut plain, mut attacked) = (World::new(&config()), World::new(&config()));
        let (mut one, mut other) =
            (Client::new(&mut plain, ALICE, "alice"), Client::new(&mut attacked, ALICE, "alice"));
        let after = message(Class::Request, Method::BINDING, [0; 12].into(), &[extra])[20..].to_vec();
        for (method, attributes) in requests {
            let (id, _) = (one.id(), other.id());
            let expected = plain.client(one.address, &one.signed(method, id, attributes));
            let sent = attacked.client(other.address, &other.signed_and(method, id, attributes, &after));
            assert_eq!(sent, expected, "{method} with {extra:?}");
        }
        assert!(plain.server.allocations().eq(attacked.server.allocations()), "{extra:?}");
    }
}

#[test]
fn of_several_attributes_of_a_type_the_first_counts() {
    let mut world = World::new(&config());
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let family = Attribute::RequestedAddressFamily;
    let twice =
        [Attribute::Lifetime(700), Attribute::Lifetime(900), family(AddressFamily::Ipv4), family(AddressFamily::Ipv6)];
    let reply = alice.allocate(&mut world, &[&twice[..], &[Attribute::RequestedTransport(6)]].concat());
    assert_eq!((reply.lifetime(), alice.relayed.is_ipv4()), (700, true));
    let twice = [Attribute::Lifetime(800), Attribute::Lifetime(0)];
    assert_eq!(alice.ask(&mut world, Method::REFRESH, &twice).lifetime(), 800);
    let peer = |text| Attribute::XorPeerAddress(addr(text));
    let number = Attribute::ChannelNumber;
    let bind = [number(0x4000), peer(PEER), number(0x4001), peer(OTHER_PEER)];
    assert_eq!(alice.ask(&mut world, Method::CHANNEL_BIND, &bind).code(), None);
    assert_eq!(relayed(&alice.channel(&mut world, 0x4000, b"x")).0, addr(PEER));
    assert!(alice.channel(&mut world, 0x4001, b"x").is_empty());
    assert!(alice.send(&mut world, OTHER_PEER, b"x").is_empty(), "no permission for the second peer");
    // A denied second peer of a Send indication.
    let bytes =
        indication([1; 12].into(), &[peer(PEER), Attribute::Data(b"1"), peer("127.0.0.1:1"), Attribute::Data(b"2")]);
    assert_eq!(relayed(&world.client(alice.address, &bytes)), (addr(PEER), b"1".to_vec()));
}

#[test]
fn a_nonce_of_another_address_is_stale() {
    let mut world = World::new(&config());
    let alice = Client::new(&mut world, ALICE, "alice");
    let mut thief = Client { address: addr("192.0.2.99:1"), ..alice };
    let reply = thief.allocate(&mut world, &[]);
    assert_eq!(reply.code(), Some(438));
    assert!(reply.message().nonce().is_some(), "with a new nonce");
    assert_eq!(world.server.allocations().count(), 0);
    // The same address with another port.
    thief.address = addr("192.0.2.77:40001");
    assert_eq!(thief.allocate(&mut world, &[]).code(), Some(438));
}

#[test]
fn an_old_nonce_is_stale_and_the_allocation_survives() {
    let world_config = |lifetime| {
        let mut users = portolan_stun_agent::Users::long_term("example.org");
        users.add("alice", "secret of alice").unwrap();
        let credentials = Authenticator::long_term("example.org", &[7; 32], users).unwrap();
        ServerConfig::new(credentials.nonce_lifetime(lifetime)).relay("198.51.100.1".parse().unwrap())
    };
    let mut world = World::new(&world_config(Duration::from_secs(60)));
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    world.advance(seconds(61));
    let reply = alice.refresh(&mut world, 0);
    assert_eq!((reply.code(), world.server.allocations().count()), (Some(438), 1));
    alice.nonce = reply.message().nonce().unwrap().to_string();
    assert_eq!(alice.refresh(&mut world, 600).code(), None);
}

#[test]
fn a_forged_integrity_or_an_unknown_user_gets_401_and_no_state() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    let before = world.server.allocations().next();
    for (user, password) in [("alice", "wrong"), ("mallory", "secret of mallory"), ("", "")] {
        let mut forger = Client { user: user.into(), password: password.into(), next_id: 900, ..alice.clone() };
        assert_eq!(forger.refresh(&mut world, 0).code(), Some(401), "{user}");
        assert_eq!(forger.allocate(&mut world, &[]).code(), Some(401));
        assert_eq!(world.server.allocations().next(), before);
    }
    assert_eq!(alice.refresh(&mut world, 600).code(), None);
}

#[test]
fn replies_without_credentials_are_short() {
    let mut world = World::new(&config().software(Some("portolan with a long name")));
    let (from, from6) = (addr(ALICE), addr("[2001:db8:7::1]:40000"));
    for (source, limit) in [(from, 32), (from6, 44)] {
        let binding = unsigned(Method::BINDING, [1; 12].into(), &[]);
        let reply = Reply::only(world.client(source, &binding));
        assert_eq!((binding.len(), reply.0.payload.len()), (20, limit), "1.6 times the request over IPv4");
        let allocate = unsigned(Method::ALLOCATE, [1; 12].into(), &[]);
        let reply = Reply::only(world.client(source, &allocate));
        assert_eq!((reply.code(), reply.0.payload.len()), (Some(401), 116));
    }
    // Whatever is requested, a reply without credentials does not get longer than a rejection.
    let long: Vec<_> =
        (0..200).map(|n| Attribute::Unknown { kind: AttributeType::new(0x7000 + n), value: &[0; 4] }).collect();
    for method in [Method::BINDING, Method::ALLOCATE, Method::REFRESH, Method::CONNECT] {
        let request = unsigned(method, [1; 12].into(), &long);
        for sent in world.client(from, &request) {
            assert!(sent.payload.len() <= Authenticator::REJECTION_LEN, "{method}: {}", sent.payload.len());
        }
    }
}

#[test]
fn a_loop_of_two_allocations_ends_after_one_hop() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    let mut bob = Client::allocated(&mut world, BOB, "bob");
    assert_eq!(alice.bind(&mut world, 0x4000, &bob.relayed.to_string()).code(), None);
    assert_eq!(bob.bind(&mut world, 0x4000, &alice.relayed.to_string()).code(), None);
    let (to, data) = relayed(&alice.channel(&mut world, 0x4000, b"loop"));
    assert_eq!(to, bob.relayed);
    let (to, _) = relayed(&world.peer(alice.relayed, bob.relayed, &data));
    assert_eq!(to, bob.address, "to the client, not to a peer");
    // An allocation that is its own peer.
    assert_eq!(alice.bind(&mut world, 0x4001, &alice.relayed.to_string()).code(), None);
    let (to, data) = relayed(&alice.channel(&mut world, 0x4001, b"loop"));
    assert_eq!(to, alice.relayed);
    let (to, bytes) = relayed(&world.peer(alice.relayed, alice.relayed, &data));
    assert_eq!((to, bytes), (alice.address, channel_data(0x4001, b"loop")));
}

#[test]
fn a_client_at_a_relayed_address_cannot_make_a_loop_through_the_listener() {
    // The peer of a channel is a client of the same server: the listener is denied, so no data reaches it.
    let config = ServerConfig::new(authenticator()).relay(addr(SERVER).ip());
    let mut world = World::new(&config);
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    assert_eq!(alice.permit(&mut world, SERVER).code(), None);
    let request = unsigned(Method::BINDING, [1; 12].into(), &[]);
    assert!(alice.send(&mut world, SERVER, &request).is_empty());
}

#[test]
fn even_ports_without_reservation_do_not_leak_the_next_port() {
    let mut world = World::new(&config().ports(50_000, 50_003));
    let mut alice = Client::new(&mut world, ALICE, "alice");
    for _ in 0..1000 {
        assert_eq!(alice.allocate(&mut world, &[Attribute::EvenPort(false)]).code(), None);
        assert_eq!(alice.refresh(&mut world, 0).code(), None);
    }
    let mut ports: Vec<_> = (0..4)
        .map(|n| {
            let mut client = Client::allocated(&mut world, &format!("192.0.2.80:{}", 1000 + n), "bob");
            client.next_id += 1;
            client.relayed.port()
        })
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, [50_000, 50_001, 50_002, 50_003]);
}

#[test]
fn reservations_cannot_take_more_ports_than_the_quota_of_their_user() {
    let mut limits = ServerLimits::default();
    limits.allocations_per_user = 4;
    let mut world = World::new(&config().limits(limits));
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let mut reserved = 0;
    for _ in 0..100 {
        let reply = alice.allocate(&mut world, &[Attribute::EvenPort(true)]);
        reserved += usize::from(reply.code().is_none());
        if reply.code().is_none() {
            assert_eq!(alice.refresh(&mut world, 0).code(), None);
        } else {
            assert_eq!(reply.code(), Some(486));
        }
    }
    assert_eq!(reserved, 3, "the fourth request would be the fourth reservation and an allocation");
    world.advance(seconds(31));
    assert_eq!(alice.allocate(&mut world, &[Attribute::EvenPort(true)]).code(), None);
}

#[test]
fn a_flood_of_permissions_and_channels_ends_at_the_limits() {
    let mut limits = ServerLimits::default();
    (limits.permissions, limits.channels) = (100, 50);
    let mut world = World::new(&config().limits(limits));
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    for n in 0..200_u16 {
        let peer = format!("203.0.113.{n}:1000");
        assert_eq!(alice.permit(&mut world, &peer).code(), (n >= 100).then_some(508), "{n}");
    }
    for n in 0..100_u16 {
        let peer = format!("203.0.113.7:{}", 1000 + n);
        assert_eq!(alice.bind(&mut world, 0x4000 + n, &peer).code(), (n >= 50).then_some(508), "{n}");
    }
    let allocation = world.server.allocations().next().unwrap();
    assert_eq!((allocation.permissions, allocation.channels), (100, 50));
    // One request with more peers than the limit.
    let peers: Vec<_> = (0..250).map(|n| Attribute::XorPeerAddress(addr(&format!("198.51.100.{n}:1")))).collect();
    assert_eq!(alice.ask(&mut world, Method::CREATE_PERMISSION, &peers).code(), Some(508));
    assert_eq!(world.server.allocations().next().unwrap().permissions, 100);
}

#[test]
fn a_peer_without_permission_reaches_no_client() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    for spoofed in [OTHER_PEER, "203.0.113.8:5000", "192.0.2.1:3478"] {
        assert!(world.peer(addr(spoofed), alice.relayed, b"x").is_empty(), "{spoofed}");
    }
    assert_eq!(world.server.stats().dropped.no_permission, 3);
    // STUN and TURN messages on a relayed address are data.
    let request = alice.signed(Method::REFRESH, [1; 12].into(), &[Attribute::Lifetime(0)]);
    let (to, bytes) = relayed(&world.peer(addr(PEER), alice.relayed, &request));
    assert_eq!((to, bytes), (alice.address, channel_data(0x4000, &request)));
    assert_eq!(world.server.allocations().count(), 1);
}

#[test]
fn channel_data_that_lies_about_its_length_is_dropped() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    for length in [3_u16, 4, 1000, 65_532, 65_533, 65_534, 65_535] {
        let bytes = [&[0x40, 0][..], &length.to_be_bytes(), b"xy"].concat();
        assert!(world.client(alice.address, &bytes).is_empty(), "{length}");
    }
    for short in [&[0x40][..], &[0x40, 0], &[0x40, 0, 0]] {
        assert!(world.client(alice.address, short).is_empty());
    }
    assert_eq!(world.server.stats().dropped.invalid, 10);
    // Padding is never data, however long it is.
    let bytes = [&channel_data(0x4000, b"xyz")[..], &[0xaa; 50]].concat();
    assert_eq!(relayed(&world.client(alice.address, &bytes)), (addr(PEER), b"xyz".to_vec()));
    assert_eq!(relayed(&world.client(alice.address, &channel_data(0x4000, b""))), (addr(PEER), vec![]));
    for number in [0x4001_u16, 0x4fff, 0x5000, 0x7fff] {
        let bytes = [&number.to_be_bytes()[..], &[0, 1], b"x"].concat();
        assert!(world.client(alice.address, &bytes).is_empty());
    }
}

#[test]
fn the_padding_of_every_message_is_zero() {
    let mut world = World::new(&config().software(Some("12345")));
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let check = |bytes: &[u8]| {
        let mut rest = &bytes[20..];
        while let [_, _, l0, l1, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            let padded = length.next_multiple_of(4);
            assert!(after[length..padded].iter().all(|byte| *byte == 0), "{bytes:?}");
            rest = &after[padded..];
        }
    };
    check(&alice.allocate(&mut world, &[]).0.payload);
    check(&alice.allocate(&mut world, &[]).0.payload);
    alice.permit(&mut world, PEER);
    for length in 0..9 {
        let sent = world.peer(addr(PEER), alice.relayed, &vec![0xff; length]);
        check(&sent[0].payload);
    }
}

#[test]
fn a_time_limited_credential_ends_its_allocation_by_policy() {
    let keys = TimedKeys::new(Duration::from_secs(1_000_000), b"a secret that is shared").unwrap();
    let user = "1001000:alice";
    let password = keys.password(user).as_str().to_owned();
    let credentials = Authenticator::long_term("example.org", &[7; 32], keys).unwrap().without_anonymity();
    let credentials = credentials.nonce_lifetime(Duration::from_secs(1_000_000));
    for strict in [true, false] {
        let config =
            ServerConfig::new(credentials.clone()).relay("198.51.100.1".parse().unwrap()).strict_expiry(strict);
        let mut world = World::new(&config);
        let mut alice = Client::new(&mut world, ALICE, user);
        alice.password.clone_from(&password);
        world.advance(seconds(700));
        assert_eq!(alice.allocate(&mut world, &[]).lifetime(), if strict { 300 } else { 600 });
        world.advance(seconds(900));
        let lifetime = [Attribute::Lifetime(3600)];
        assert_eq!(alice.ask(&mut world, Method::REFRESH, &lifetime).lifetime(), if strict { 100 } else { 3600 });
        world.advance(seconds(1001));
        assert_eq!(alice.refresh(&mut world, 600).code(), Some(401), "an expired credential is never accepted");
        assert_eq!(world.server.allocations().count(), usize::from(!strict));
        let freed = |event: &ServerEvent| matches!(event, ServerEvent::Freed { why: FreedReason::Expired, .. });
        assert_eq!(world.events.iter().any(freed), strict);
        world.advance(seconds(4501));
        assert_eq!(world.server.allocations().count(), 0, "no allocation lives without end");
    }
}

/// Collects the notes as text.
#[derive(Default)]
struct Notes(String);

impl Trace for Notes {
    fn note(&mut self, at: Instant, _: &Scope<'_>, note: &dyn Explain) {
        let rfc = note.rfc().map(|clause| clause.to_string()).unwrap_or_default();
        writeln!(self.0, "{at} {note} {note:?} {} {rfc}", note.code()).unwrap();
    }
}

#[test]
fn no_note_and_no_state_shows_a_credential() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, ALICE, "alice");
    let wrong = Client { password: "a wrong secret".into(), ..alice.clone() };
    let line_break = Client { user: "x\r\nfake log line\u{1b}[31m%s".into(), ..alice.clone() };
    let mut notes = Notes::default();
    let requests = [
        alice.signed(Method::REFRESH, [1; 12].into(), &[]),
        wrong.signed(Method::REFRESH, [2; 12].into(), &[]),
        line_break.signed(Method::REFRESH, [3; 12].into(), &[]),
        unsigned(Method::REFRESH, [4; 12].into(), &[]),
        alice.signed(Method::CHANNEL_BIND, [5; 12].into(), &[]),
    ];
    for request in &requests {
        let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids).with_trace(&mut notes);
        let datagram = Datagram::new(LISTENER, addr(SERVER), alice.address, request);
        let _mine = world.server.handle(&mut cx, Input::Datagram(datagram));
        world.drain();
    }
    assert_eq!(notes.0.lines().count(), requests.len(), "one line each: {}", notes.0);
    let state = format!("{:?} {:?}", world.server, world.events);
    for secret in ["secret of", "a wrong secret", "fake log line"] {
        assert!(!notes.0.contains(secret) && !state.contains(secret), "{secret}");
    }
    assert!(!alice.refresh(&mut world, 0).0.payload.is_empty());
}

#[test]
fn a_driver_that_never_answers_an_order_keeps_an_allocation_only_for_its_lifetime() {
    let mut world = World::new(&config());
    world.host = Host::Waits;
    let mut alice = Client::new(&mut world, ALICE, "alice");
    let id = alice.id();
    assert!(world.client(alice.address, &alice.signed(Method::ALLOCATE, id, &[UDP])).is_empty());
    assert!(alice.channel(&mut world, 0x4000, b"x").is_empty());
    assert_eq!(world.relays.len(), 1);
    world.advance(seconds(601));
    assert!(world.relays.is_empty() && world.events.is_empty());
    world.host = Host::Opens;
    assert_eq!(alice.allocate(&mut world, &[]).code(), None);
}
