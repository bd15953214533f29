//! Making an allocation.

use super::world::{RELAYED, Reply, SERVER, World, addr, config};
use core::time::Duration;
use portolan_machine::{Closure, Instant, Protocol, Refusal, SocketEvent, SocketId, SocketOrder};
use portolan_stun::attribute::{AddressErrorCode, AddressFamily, AttributeType, ErrorCode};
use portolan_stun::{Attribute, Class, Method};
use portolan_stun_agent::Credential;
use portolan_turn::{ClientConfig, ClientError, ClientEvent, ClientFailure, ClientState, Outcome};

#[test]
fn an_allocation_takes_two_round_trips() {
    let mut world = World::new();
    assert_eq!(world.client.state(), ClientState::Idle);
    world.with(|client, cx| client.start(cx, config())).unwrap();
    assert_eq!(world.client.state(), ClientState::Allocating);
    world.run(1000);
    assert_eq!(world.client.state(), ClientState::Allocated);
    let expected = ClientEvent::Allocated {
        relayed: vec![addr(RELAYED)],
        mapped: addr("198.51.100.7:40000"),
        server: addr(SERVER),
        lifetime: Duration::from_secs(600),
        token: None,
        missing: None,
    };
    assert_eq!(world.events, [(40, expected)]);
    assert_eq!(world.sent.len(), 2, "a request without and one with credentials");
    assert_eq!(world.client.mapped(), Some(addr("198.51.100.7:40000")));
    assert_eq!(world.client.server(), Some(addr(SERVER)));
}

#[test]
fn the_options_are_attributes_of_the_request() {
    let config = config().lifetime(Duration::from_secs(1200)).even_port(true).dont_fragment();
    let world = World::allocated(config);
    let request = world.signed(Method::ALLOCATE)[0].message();
    assert_eq!(request.lifetime(), Some(1200));
    assert_eq!(request.attribute(AttributeType::REQUESTED_TRANSPORT), Some(Ok(Attribute::RequestedTransport(17))));
    assert_eq!(request.attribute(AttributeType::EVEN_PORT), Some(Ok(Attribute::EvenPort(true))));
    assert!(request.has(AttributeType::DONT_FRAGMENT));
    assert!(!request.has(AttributeType::REQUESTED_ADDRESS_FAMILY));

    let token = World::allocated(super::world::config().reservation_token([7; 8]));
    let request = token.signed(Method::ALLOCATE)[0].message();
    assert_eq!(request.attribute(AttributeType::RESERVATION_TOKEN), Some(Ok(Attribute::ReservationToken([7; 8]))));
    let family = World::allocated(super::world::config().family(AddressFamily::Ipv6));
    let request = family.signed(Method::ALLOCATE)[0].message();
    let requested = Attribute::RequestedAddressFamily(AddressFamily::Ipv6);
    assert_eq!(request.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY), Some(Ok(requested)));
}

#[test]
fn a_dual_allocation_has_two_addresses_or_a_reason() {
    let grant = |second: Attribute<'static>| {
        let mut world = World::new().script(move |_, _| {
            Reply::With(vec![
                Attribute::XorRelayedAddress(addr(RELAYED)),
                second,
                Attribute::XorMappedAddress(addr("198.51.100.7:40000")),
                Attribute::Lifetime(600),
                Attribute::ReservationToken([5; 8]),
            ])
        });
        world.with(|client, cx| client.start(cx, config().dual())).unwrap();
        world.run(100);
        assert!(world.signed(Method::ALLOCATE)[0].message().has(AttributeType::ADDITIONAL_ADDRESS_FAMILY));
        let Some(ClientEvent::Allocated { relayed, missing, token, .. }) = world.take_events().pop() else { panic!() };
        assert_eq!(token, Some([5; 8]));
        (relayed, missing)
    };
    let v6 = addr("[2001:db8::1]:50002");
    assert_eq!(grant(Attribute::XorRelayedAddress(v6)), (vec![addr(RELAYED), v6], None));
    let error = ErrorCode::recommended(440).unwrap();
    let missing = AddressErrorCode { family: AddressFamily::Ipv6, error };
    assert_eq!(grant(Attribute::AddressErrorCode(missing)), (vec![addr(RELAYED)], Some((AddressFamily::Ipv6, 440))));
    // The first address of a family counts.
    assert_eq!(grant(Attribute::XorRelayedAddress(addr("192.0.2.66:6"))), (vec![addr(RELAYED)], None));
}

#[test]
fn an_impossible_configuration_is_refused() {
    let refused = |config: ClientConfig| {
        let mut world = World::new();
        let result = world.with(|client, cx| client.start(cx, config));
        assert_eq!(world.client.state(), ClientState::Idle, "nothing changed");
        result.unwrap_err()
    };
    assert_eq!(refused(config().or_server(addr("0.0.0.0:1"))), ClientError::Destination(addr("0.0.0.0:1")));
    assert_eq!(refused(config().protocol(Protocol::TcpListen)), ClientError::Protocol);
    let v6 = addr("[2001:db8::7]:0");
    assert_eq!(refused(config().from_local(v6)), ClientError::LocalFamily(addr(SERVER)));
    assert_eq!(refused(config().even_port(false).dual()), ClientError::Options);
    assert_eq!(refused(config().reservation_token([0; 8]).even_port(true)), ClientError::Options);
    let many = (0..8).fold(config(), |config, _| config.or_server(addr(SERVER)));
    assert_eq!(refused(many), ClientError::Servers { limit: 8 });
    let short = ClientConfig::new(addr(SERVER), Credential::short_term("a", "b"));
    assert_eq!(refused(short), ClientError::Mechanism);
    let mut world = World::allocated(config());
    assert_eq!(world.with(|client, cx| client.start(cx, config())), Err(ClientError::NotIdle));
}

#[test]
fn a_dead_server_is_followed_by_the_next_one() {
    let other = addr("192.0.2.2:3478");
    let mut world = World::new().script(move |_, _| Reply::Success);
    world.is_dead = true;
    world.with(|client, cx| client.start(cx, config().or_server(other))).unwrap();
    world.run(39_400);
    assert_eq!(world.events, []);
    world.is_dead = false;
    world.run(39_600);
    let [(39_540, ClientEvent::Allocated { server, .. })] = &world.events[..] else { panic!("{:?}", world.events) };
    assert_eq!(*server, other);
}

#[test]
fn the_last_event_of_a_client_without_a_server_has_all_reasons() {
    let mut world = World::new();
    world.opens = false;
    let config = config().or_server(addr("192.0.2.2:3478")).or_server(addr("192.0.2.3:3478"));
    world.with(|client, cx| client.start(cx, config)).unwrap();
    let refused = SocketEvent::Refused(Refusal::NoRoute);
    world.socket_event(1, refused);
    world.run(39_500);
    world.opens = true;
    world.is_dead = true;
    let opened = SocketEvent::Opened { local: addr("10.0.0.7:40000") };
    world.socket_event(3, opened);
    world.run(200_000);
    let [(79_000, ClientEvent::Failed { why: ClientFailure::NoServer, steps, blocked })] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert_eq!(*blocked, []);
    let outcomes: Vec<_> = steps.iter().map(|step| (step.server.to_string(), step.outcome.clone())).collect();
    assert_eq!(
        outcomes,
        [
            (SERVER.into(), Outcome::Refused(Refusal::NoRoute)),
            ("192.0.2.2:3478".into(), Outcome::TimedOut),
            ("192.0.2.3:3478".into(), Outcome::TimedOut)
        ]
    );
    assert_eq!(world.client.state(), ClientState::Ended);
    assert_eq!(world.wait, None);
    let closed: Vec<_> = world.orders.iter().filter(|(_, order)| matches!(order, SocketOrder::Close(_))).collect();
    assert_eq!(closed.len(), 2, "a refused socket is not closed again, {closed:?}");
}

#[test]
fn a_success_response_without_a_required_attribute_is_malformed() {
    let all = [
        Attribute::XorRelayedAddress(addr(RELAYED)),
        Attribute::XorMappedAddress(addr("198.51.100.7:40000")),
        Attribute::Lifetime(600),
    ];
    for missing in 0..3 {
        let mut attributes = all.to_vec();
        attributes.remove(missing);
        let mut world = World::new().script(move |_, _| Reply::With(attributes.clone()));
        world.with(|client, cx| client.start(cx, config())).unwrap();
        world.run(100);
        let Some(ClientEvent::Failed { steps, .. }) = world.take_events().pop() else { panic!() };
        assert_eq!(steps.last().unwrap().outcome, Outcome::Malformed);
    }
}

#[test]
fn a_server_without_a_challenge_is_refused() {
    let mut world = World::new();
    world.is_dead = true;
    world.with(|client, cx| client.start(cx, config())).unwrap();
    let id = world.sent[0].message().transaction_id();
    let attributes = [
        Attribute::XorRelayedAddress(addr(RELAYED)),
        Attribute::XorMappedAddress(addr("198.51.100.7:40000")),
        Attribute::Lifetime(600),
    ];
    let response = super::world::encode(Class::SuccessResponse, Method::ALLOCATE, id, &attributes, None);
    world.datagram_on(SocketId(1), addr(SERVER), &response);
    let Some(ClientEvent::Failed { steps, .. }) = world.take_events().pop() else { panic!() };
    assert_eq!(steps[0].outcome, Outcome::Unauthenticated);
}

#[test]
fn attributes_after_the_integrity_have_no_effect() {
    let mut world = World::new();
    world.is_dead = true;
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.is_dead = false;
    // The 401, then a response to the authenticated request with more attributes after MESSAGE-INTEGRITY.
    world.run(500 + 20);
    world.is_dead = true;
    let signed = world.signed(Method::ALLOCATE)[0].message().transaction_id();
    let key = portolan_stun::IntegrityKey::long_term_md5("ann", "example.org", "secret");
    let attributes = [
        Attribute::XorMappedAddress(addr("198.51.100.7:40000")),
        Attribute::XorRelayedAddress(addr(RELAYED)),
        Attribute::Lifetime(600),
    ];
    let mut response = super::world::encode(Class::SuccessResponse, Method::ALLOCATE, signed, &attributes, Some(&key));
    let late = [
        Attribute::ReservationToken([6; 8]),
        Attribute::XorRelayedAddress(addr("[2001:db8::66]:666")),
        Attribute::Lifetime(1),
    ];
    let appended = super::world::encode(Class::SuccessResponse, Method::ALLOCATE, signed, &late, None);
    response.extend_from_slice(&appended[20..]);
    let length = u16::try_from(response.len() - 20).unwrap();
    response[2..4].copy_from_slice(&length.to_be_bytes());
    world.events.clear();
    world.inject(&response);
    let Some(ClientEvent::Allocated { relayed, lifetime, token, .. }) = world.take_events().pop() else { panic!() };
    assert_eq!((relayed, lifetime, token), (vec![addr(RELAYED)], Duration::from_secs(600), None));
}

#[test]
fn a_stream_that_is_closed_while_connecting_fails_alone() {
    let mut world = World::new();
    world.opens = false;
    let config = config().protocol(Protocol::Tcp).or_server(addr("192.0.2.2:3478"));
    world.with(|client, cx| client.start(cx, config)).unwrap();
    let opened = SocketEvent::Opened { local: addr("10.0.0.7:40000") };
    world.socket_event(1, opened);
    world.socket_event(1, SocketEvent::Closed(Closure::Reset));
    let opens = world.orders.iter().filter(|(_, order)| matches!(order, SocketOrder::Open(_))).count();
    assert_eq!((opens, world.client.state()), (2, ClientState::Allocating));
    assert!(world.wait.is_some_and(|at| at <= Instant::from_millis(39_500)));
}
