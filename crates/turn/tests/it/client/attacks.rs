//! Attacks of a server, or of a third party, on the client.

use super::world::{PEER, Reply, SERVER, World, addr, config, encode};
use core::net::SocketAddr;
use portolan_machine::{Protocol, SocketId, SocketOrder};
use portolan_stun::attribute::{ErrorCode, Text};
use portolan_stun::{Attribute, Class, IntegrityKey, Method};
use portolan_stun_agent::alternate::RedirectError;
use portolan_stun_agent::{ChallengeError, Unusable};
use portolan_turn::{ClientEvent, ClientState, Outcome};

const ALTERNATE: &str = "192.0.2.2:3478";

/// A client whose server redirects Allocate requests to the next address of the list, and to the last one for ever.
fn redirected(protocol: Protocol, servers: &'static [&'static str]) -> World {
    let mut n = 0;
    let mut world = World::new().script(move |message, _| match servers.get(n) {
        Some(server) if message.method() == Method::ALLOCATE => {
            n += 1;
            Reply::Redirect(vec![addr(server)])
        }
        _ => Reply::Success,
    });
    world.is_stream = protocol.is_stream();
    world.with(|client, cx| client.start(cx, config().protocol(protocol))).unwrap();
    world.run(2_000);
    world
}

fn last_outcome(world: &World) -> Outcome {
    match world.events.last() {
        Some((_, ClientEvent::Failed { steps, .. })) => steps.last().unwrap().outcome.clone(),
        other => panic!("{other:?}"),
    }
}

fn destinations(world: &World) -> Vec<SocketAddr> {
    let mut all: Vec<_> = world.sent.iter().map(|seen| seen.remote).collect();
    all.dedup();
    all
}

#[test]
fn a_verified_redirection_is_followed_over_udp_and_over_streams() {
    for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Tls] {
        let mut world = redirected(protocol, &[ALTERNATE]);
        assert_eq!(world.client.state(), ClientState::Allocated, "{protocol}: {:?}", world.events);
        assert_eq!(
            (world.client.server(), destinations(&world)),
            (Some(addr(ALTERNATE)), vec![addr(SERVER), addr(ALTERNATE)])
        );
        // All later requests go to the new server.
        world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
        world.run(600_000);
        assert!(world.client.is_permitted(addr(PEER).ip()));
        assert_eq!(destinations(&world).len(), 2);
    }
}

#[test]
fn a_malicious_alternate_server_is_not_followed() {
    use RedirectError::{Circle, NoServer, Port, TooMany, Unaddressable};
    let cases: [(&'static [&'static str], RedirectError); 16] = [
        (&["127.0.0.1:3478"], Unaddressable),
        (&["127.8.9.1:3478"], Unaddressable),
        (&["0.0.0.0:3478"], Unaddressable),
        (&["224.0.0.5:3478"], Unaddressable),
        (&["255.255.255.255:3478"], Unaddressable),
        (&["192.0.2.2:0"], Unaddressable),
        (&["192.0.2.2:22"], Port),
        (&["192.0.2.2:25"], Port),
        (&["192.0.2.2:110"], Port),
        (&["192.0.2.2:1023"], Port),
        (&["[2001:db8::2]:3478"], NoServer),
        (&[SERVER], Circle),
        (&[ALTERNATE, SERVER], Circle),
        (&[ALTERNATE, ALTERNATE], Circle),
        (&[ALTERNATE, "192.0.2.3:3478", ALTERNATE], Circle),
        (
            &[
                "192.0.2.11:3478",
                "192.0.2.12:3478",
                "192.0.2.13:3478",
                "192.0.2.14:3478",
                "192.0.2.15:3478",
                "192.0.2.16:3478",
            ],
            TooMany,
        ),
    ];
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        for (servers, why) in cases {
            let world = redirected(protocol, servers);
            assert_eq!(last_outcome(&world), Outcome::Unusable(Unusable::Alternate(why)), "{protocol}: {servers:?}");
            let last = addr(servers.last().unwrap());
            let is_first_visit = why == Circle;
            assert!(is_first_visit || !destinations(&world).contains(&last), "{servers:?}");
            let opened = world.orders.iter().filter(|(_, order)| matches!(order, SocketOrder::Open(_))).count();
            assert!(opened <= 6);
            assert_eq!(world.open_sockets(), 0);
        }
    }
    for port in ["53", "80", "443", "1024", "5349"] {
        let server: &'static str = Box::leak(format!("192.0.2.2:{port}").into_boxed_str());
        let world = redirected(Protocol::Udp, Box::leak(Box::new([server])));
        assert_eq!(world.client.server(), Some(addr(server)));
    }
}

#[test]
fn an_unauthenticated_redirection_is_not_followed() {
    let mut world = World::new();
    world.is_dead = true;
    world.with(|client, cx| client.start(cx, config())).unwrap();
    let id = world.sent[0].message().transaction_id();
    let attributes =
        [Attribute::ErrorCode(ErrorCode::recommended(300).unwrap()), Attribute::AlternateServer(addr(ALTERNATE))];
    let response = encode(Class::ErrorResponse, Method::ALLOCATE, id, &attributes, None);
    world.inject(&response);
    world.run(100_000);
    assert_eq!(destinations(&world), [addr(SERVER)]);
    assert!(matches!(last_outcome(&world), Outcome::Unusable(Unusable::Integrity(_))));
}

/// RFC 8489 §9.2.1: the nonce announces password algorithms, and the list was removed on the way.
#[test]
fn a_challenge_without_the_announced_algorithms_is_refused() {
    let mut world = World::new();
    world.is_dead = true;
    world.with(|client, cx| client.start(cx, config())).unwrap();
    let id = world.sent[0].message().transaction_id();
    let attributes = [
        Attribute::ErrorCode(ErrorCode::recommended(401).unwrap()),
        Attribute::Realm(Text::new("example.org")),
        Attribute::Nonce(Text::new("obMatJos2gAAAnonce")),
    ];
    world.inject(&encode(Class::ErrorResponse, Method::ALLOCATE, id, &attributes, None));
    assert_eq!(last_outcome(&world), Outcome::Unusable(Unusable::Challenge(ChallengeError::BidDown)));
    assert_eq!(world.sent.len(), 1, "no request is signed with the weaker algorithm");
}

#[test]
fn a_hostile_reason_phrase_is_escaped_in_events_and_notes() {
    let mut world = World::new().script(|_, _| Reply::Because(403, "no\r\n\u{1b}[2Jroot: \u{202e}%s%n"));
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.run(1_000);
    let outcome = last_outcome(&world);
    assert_eq!(outcome.to_string(), "error 403 \"no\\r\\n\\u{1b}[2Jroot: \\u{202e}%s%n\"");
    assert!(world.notes.0.iter().any(|note| note.contains("no\\r\\n")));
    let is_printable = |text: &String| text.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
    assert!(world.notes.0.iter().all(is_printable), "{:?}", world.notes.0);
}

#[test]
fn neither_a_note_nor_debug_text_contains_the_password() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.nonce = "nonce-2";
    world.run(600_000);
    let texts = world.notes.0.iter().cloned().chain([format!("{:?}", world.client), format!("{:?}", world.events)]);
    for text in texts {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn an_attribute_after_the_integrity_of_a_refresh_response_has_no_effect() {
    let key = IntegrityKey::long_term_md5("ann", "example.org", "secret");
    let refreshed = |appended: &[Attribute<'_>]| {
        let mut world = World::allocated(config());
        world.run(539_000);
        world.is_dead = true;
        world.run(540_100);
        let id = world.signed(Method::REFRESH)[0].message().transaction_id();
        let mut response = encode(Class::SuccessResponse, Method::REFRESH, id, &[Attribute::Lifetime(600)], Some(&key));
        response.extend_from_slice(&encode(Class::SuccessResponse, Method::REFRESH, id, appended, None)[20..]);
        let length = u16::try_from(response.len() - 20).unwrap();
        response[2..4].copy_from_slice(&length.to_be_bytes());
        world.inject(&response);
        world.is_dead = false;
        world.run(2_000_000);
        world.signed(Method::REFRESH).iter().map(|seen| seen.at).collect::<Vec<_>>()
    };
    let plain = refreshed(&[]);
    assert!(plain.len() >= 3, "{plain:?}");
    assert_eq!(refreshed(&[Attribute::Lifetime(7)]), plain);
    assert_eq!(refreshed(&[Attribute::ErrorCode(ErrorCode::recommended(437).unwrap())]), plain);
}

#[test]
fn a_response_of_a_third_party_has_no_effect() {
    let mut world = World::new();
    world.is_dead = true;
    world.with(|client, cx| client.start(cx, config())).unwrap();
    let id = world.sent[0].message().transaction_id();
    let error = [Attribute::ErrorCode(ErrorCode::recommended(403).unwrap())];
    let response = encode(Class::ErrorResponse, Method::ALLOCATE, id, &error, None);
    world.datagram_on(SocketId(1), addr("192.0.2.66:3478"), &response);
    assert_eq!(world.events, []);
    let other = encode(Class::ErrorResponse, Method::ALLOCATE, [0xee; 12].into(), &error, None);
    world.inject(&other);
    assert_eq!(world.events, []);
    assert_eq!(world.client.state(), ClientState::Allocating);
}
