//! The clauses of the responder by name: the request, and the source and the attributes of its reply.

use crate::world::{World, addr, message};
use core::net::SocketAddr;
use portolan_machine::{Closure, Input, Output, Refusal, SocketEvent, SocketId, Transmit, Verdict};
use portolan_stun::{Attribute, AttributeType, ChangeRequest, Class, Message, Method, TransactionId, Writer};
use portolan_stun_agent::{Responder, ResponderCommand, ResponderConfig, ResponderConfigError, ResponderError, Stats};

pub(crate) type Server = World<Responder>;

pub(crate) const CLIENT: &str = "198.51.100.7:40000";
const CLIENT6: &str = "[2001:db8:1::7]:40000";
pub(crate) const ID: [u8; 12] = [7; 12];
/// Two addresses × two ports in each family, and one IPv4 address and port without alternate.
const LOCALS: [&str; 9] = [
    "192.0.2.1:3478",
    "192.0.2.2:3478",
    "192.0.2.1:3479",
    "192.0.2.2:3479",
    "[2001:db8::1]:3478",
    "[2001:db8::2]:3478",
    "[2001:db8::1]:3479",
    "[2001:db8::2]:3479",
    "192.0.2.3:3478",
];
const NO_ALTERNATE: usize = 8;

pub(crate) fn config(listen: &[&str], alternate: &[&str]) -> ResponderConfig {
    let config = listen.iter().fold(ResponderConfig::new(), |config, local| config.listen(addr(local)));
    alternate.iter().fold(config, |config, local| config.alternate(addr(local)))
}

fn everything() -> ResponderConfig {
    config(&[LOCALS[0], LOCALS[4], LOCALS[NO_ALTERNATE]], &[LOCALS[3], LOCALS[7]])
}

fn socket_of(local: SocketAddr) -> SocketId {
    SocketId(LOCALS.iter().position(|other| addr(other) == local).unwrap() as u64)
}

fn server() -> Server {
    World::new(Responder::over(&everything(), socket_of).unwrap())
}

pub(crate) fn request(attributes: &[Attribute<'_>]) -> Vec<u8> {
    message(Class::Request, ID.into(), attributes)
}

/// Returns the replies to a datagram to `LOCALS[to]`.
fn send_request(world: &mut Server, to: usize, client: &str, bytes: &[u8]) -> Vec<Transmit> {
    let datagram = portolan_machine::Datagram::new(SocketId(to as u64), addr(LOCALS[to]), addr(client), bytes);
    let _verdict = world.input(Input::Datagram(datagram));
    let transmit = |output| {
        let Output::Transmit(transmit) = output else { panic!("only replies, not {output:?}") };
        transmit
    };
    world.outputs().into_iter().map(transmit).collect()
}

/// Returns the only reply to a request.
fn reply(world: &mut Server, to: usize, client: &str, attributes: &[Attribute<'_>]) -> Transmit {
    let mut replies = send_request(world, to, client, &request(attributes));
    assert_eq!(replies.len(), 1);
    replies.remove(0)
}

fn local(transmit: &Transmit) -> SocketAddr {
    addr(LOCALS[usize::try_from(transmit.socket.0).unwrap()])
}

fn kinds(transmit: &Transmit) -> Vec<AttributeType> {
    let mut kinds: Vec<_> = Message::decode(&transmit.payload).unwrap().fields().map(|field| field.kind).collect();
    kinds.sort();
    kinds
}

/// Returns the error code and the listed unknown attributes of a reply.
fn refusal(transmit: &Transmit) -> (u16, Vec<AttributeType>) {
    let message = Message::decode(&transmit.payload).unwrap();
    assert_eq!((message.class(), message.transaction_id()), (Class::ErrorResponse, ID.into()));
    let unknown = message.attributes().find_map(|attribute| {
        let Attribute::UnknownAttributes(unknown) = attribute.unwrap() else { return None };
        Some(unknown.iter().collect())
    });
    (message.error_code().unwrap().code(), unknown.unwrap_or_default())
}

#[test]
fn rfc8489_6_3_1_1_a_binding_is_answered_with_the_source_of_the_request() {
    let mut world = server();
    for (to, client) in [(NO_ALTERNATE, CLIENT), (0, CLIENT), (4, CLIENT6)] {
        let reply = reply(&mut world, to, client, &[]);
        let message = Message::decode(&reply.payload).unwrap();
        assert_eq!((message.class(), message.method()), (Class::SuccessResponse, Method::BINDING));
        assert_eq!(message.transaction_id(), TransactionId::from(ID));
        assert_eq!(message.xor_mapped_address(), Some(addr(client)));
        assert_eq!((reply.remote, local(&reply)), (addr(client), addr(LOCALS[to])), "§6.3.1.2");
    }
}

#[test]
fn a_bare_request_without_alternate_is_answered_in_32_bytes_and_44_over_ipv6() {
    let mut world = server();
    let v4 = reply(&mut world, NO_ALTERNATE, CLIENT, &[]);
    assert_eq!((request(&[]).len(), v4.payload.len()), (20, 32), "1.6 times");
    assert_eq!(kinds(&v4), [AttributeType::XOR_MAPPED_ADDRESS]);
    let responder = Responder::over(&config(&["[2001:db8::3]:3478"], &[]), |_| SocketId(4)).unwrap();
    let v6 = reply(&mut World::new(responder), 4, CLIENT6, &[]);
    assert_eq!(v6.payload.len(), 44, "2.2 times");
}

#[test]
fn rfc5780_6_1_a_bare_request_with_alternate_gets_exactly_the_required_attributes() {
    let mut world = server();
    for (to, client, length) in [(0, CLIENT, 20 + 4 * 12), (4, CLIENT6, 20 + 4 * 24)] {
        let reply = reply(&mut world, to, client, &[]);
        assert_eq!(
            kinds(&reply),
            [
                AttributeType::MAPPED_ADDRESS,
                AttributeType::XOR_MAPPED_ADDRESS,
                AttributeType::RESPONSE_ORIGIN,
                AttributeType::OTHER_ADDRESS
            ]
        );
        assert_eq!(reply.payload.len(), length);
        assert_eq!(Message::decode(&reply.payload).unwrap().mapped_address(), Some(addr(client)));
    }
}

#[test]
fn rfc5780_6_1_table_1_each_flag_at_each_socket() {
    let mut world = server();
    for (to, client) in (0..4).map(|to| (to, CLIENT)).chain((4..8).map(|to| (to, CLIENT6))) {
        let there = addr(LOCALS[to]);
        let first = to / 4 * 4;
        let (p1, p2) = (addr(LOCALS[first]), addr(LOCALS[first + 3]));
        let other_ip = if there.ip() == p1.ip() { p2.ip() } else { p1.ip() };
        let other_port = if there.port() == p1.port() { p2.port() } else { p1.port() };
        for (change, from) in [
            (None, there),
            (Some(ChangeRequest::NONE), there),
            (Some(ChangeRequest::IP), SocketAddr::new(other_ip, there.port())),
            (Some(ChangeRequest::PORT), SocketAddr::new(there.ip(), other_port)),
            (Some(ChangeRequest::IP_AND_PORT), SocketAddr::new(other_ip, other_port)),
        ] {
            let attributes: Vec<_> = change.map(Attribute::ChangeRequest).into_iter().collect();
            let reply = reply(&mut world, to, client, &attributes);
            let message = Message::decode(&reply.payload).unwrap();
            assert_eq!(local(&reply), from, "{change:?} at {there}");
            assert_eq!(message.response_origin(), Some(from));
            assert_eq!(message.other_address(), Some(SocketAddr::new(other_ip, other_port)));
            assert_eq!(reply.remote, addr(client));
        }
    }
}

#[test]
fn rfc5780_6_1_change_request_without_alternate_is_420() {
    let mut world = server();
    for change in [ChangeRequest::NONE, ChangeRequest::IP, ChangeRequest::PORT, ChangeRequest::IP_AND_PORT] {
        let reply = reply(&mut world, NO_ALTERNATE, CLIENT, &[Attribute::ChangeRequest(change)]);
        assert_eq!(refusal(&reply), (420, vec![AttributeType::CHANGE_REQUEST]));
        assert_eq!((reply.remote, local(&reply)), (addr(CLIENT), addr(LOCALS[NO_ALTERNATE])));
    }
}

#[test]
fn rfc5780_7_4_no_other_address_without_a_second_address() {
    let mut world = server();
    for attributes in [vec![], vec![Attribute::Padding(&[0; 8])], vec![Attribute::ResponsePort(9)]] {
        let reply = reply(&mut world, NO_ALTERNATE, CLIENT, &attributes);
        assert_eq!(Message::decode(&reply.payload).unwrap().other_address(), None);
    }
}

#[test]
fn rfc5780_7_5_response_port_goes_to_the_source_address_only() {
    let mut world = server();
    for (to, client, answered) in [
        (0, CLIENT, "198.51.100.7:5000"),
        (NO_ALTERNATE, CLIENT, "198.51.100.7:5000"),
        (4, CLIENT6, "[2001:db8:1::7]:5000"),
    ] {
        let reply = reply(&mut world, to, client, &[Attribute::ResponsePort(5000)]);
        assert_eq!(reply.remote, addr(answered));
        let message = Message::decode(&reply.payload).unwrap();
        assert_eq!(message.xor_mapped_address(), Some(addr(client)), "the mapped address is the source of the request");
        assert_eq!(message.response_origin(), Some(addr(LOCALS[to])));
    }
}

#[test]
fn response_port_and_change_request_can_be_combined() {
    let mut world = server();
    let both = [Attribute::ChangeRequest(ChangeRequest::IP_AND_PORT), Attribute::ResponsePort(5000)];
    let reply = reply(&mut world, 0, CLIENT, &both);
    assert_eq!((local(&reply), reply.remote), (addr(LOCALS[3]), addr("198.51.100.7:5000")));
}

#[test]
fn response_port_of_two_bytes_is_accepted() {
    let mut world = server();
    let short = Attribute::Unknown { kind: AttributeType::RESPONSE_PORT, value: &5000_u16.to_be_bytes() };
    assert_eq!(reply(&mut world, 0, CLIENT, &[short]).remote, addr("198.51.100.7:5000"));
}

#[test]
fn response_port_0_is_400_to_the_source() {
    let mut world = server();
    let reply = reply(&mut world, 0, CLIENT, &[Attribute::ResponsePort(0)]);
    assert_eq!((refusal(&reply).0, reply.remote), (400, addr(CLIENT)));
}

#[test]
fn rfc5780_6_1_padding_is_returned_and_never_longer() {
    let mut world = server();
    for (to, overhead) in [(NO_ALTERNATE, 20 + 3 * 12 + 4), (0, 20 + 4 * 12 + 4)] {
        for length in [0_usize, 1, 3, 4, 1499, 1500, 9000, 65_000] {
            let padded = request(&[Attribute::Padding(&vec![0xaa; length])]);
            let replies = send_request(&mut world, to, CLIENT, &padded);
            let returned = Message::decode(&replies[0].payload).unwrap().padding_len().unwrap();
            assert!(returned <= length, "{returned} for {length}");
            assert!(returned == length || length == 65_000, "the whole length if it fits into a datagram");
            assert_eq!(replies[0].payload.len(), overhead + returned.next_multiple_of(4));
            assert!(replies[0].payload.len() + 48 <= 65_535, "§7.6");
            assert_eq!(local(&replies[0]), addr(LOCALS[to]));
        }
    }
}

#[test]
fn rfc5780_6_1_padding_with_response_port_is_400_to_the_source() {
    let mut world = server();
    for to in [0, NO_ALTERNATE] {
        let both = [Attribute::Padding(&[0; 8]), Attribute::ResponsePort(5000)];
        let reply = reply(&mut world, to, CLIENT, &both);
        assert_eq!((refusal(&reply).0, reply.remote), (400, addr(CLIENT)));
        assert!(!kinds(&reply).contains(&AttributeType::PADDING));
    }
}

#[test]
fn malformed_values_are_400() {
    let mut world = server();
    for (kind, value) in [(AttributeType::CHANGE_REQUEST, &[0; 3][..]), (AttributeType::RESPONSE_PORT, &[0; 8][..])] {
        let reply = reply(&mut world, 0, CLIENT, &[Attribute::Unknown { kind, value }]);
        assert_eq!(refusal(&reply).0, 400);
    }
}

#[test]
fn rfc8489_6_3_1_unknown_comprehension_required_attributes_are_listed_once_each() {
    let mut world = server();
    let unknown = |kind| Attribute::Unknown { kind: AttributeType::new(kind), value: &[] };
    let attributes = [unknown(0x7ffe), unknown(0x7fff), unknown(0x7ffe), unknown(0xfffe)];
    let listed = refusal(&reply(&mut world, 0, CLIENT, &attributes));
    assert_eq!(listed, (420, vec![AttributeType::new(0x7ffe), AttributeType::new(0x7fff)]));
    let others = [Attribute::Priority(1), unknown(0x0002), Attribute::ChangeRequest(ChangeRequest::IP)];
    let listed = refusal(&reply(&mut world, NO_ALTERNATE, CLIENT, &others));
    let expected = [AttributeType::PRIORITY, AttributeType::new(2), AttributeType::CHANGE_REQUEST];
    assert_eq!(
        listed,
        (420, expected.to_vec()),
        "attributes of ICE and RFC 3489 too, and CHANGE-REQUEST without alternate"
    );
}

#[test]
fn a_request_full_of_unknown_attributes_gets_a_reply_shorter_than_itself() {
    let mut world = server();
    let kinds: Vec<_> = (0x7000..0x7800).map(AttributeType::new).collect();
    let attributes: Vec<_> = kinds.iter().map(|&kind| Attribute::Unknown { kind, value: &[] }).collect();
    let reply = reply(&mut world, 0, CLIENT, &attributes);
    assert_eq!(refusal(&reply).1, kinds[..16]);
    assert!(reply.payload.len() <= 92);
}

#[test]
fn rfc8489_6_3_known_but_unexpected_attributes_are_ignored() {
    let mut world = server();
    let mut buffer = [0; 256];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
    writer.add(&Attribute::Username("user".into())).unwrap();
    writer.add(&Attribute::Software("software".into())).unwrap();
    let signed = writer.message_integrity(&portolan_stun::IntegrityKey::short_term("secret")).unwrap().finish();
    let replies = send_request(&mut world, NO_ALTERNATE, CLIENT, signed);
    assert_eq!(Message::decode(&replies[0].payload).unwrap().class(), Class::SuccessResponse);
}

#[test]
fn rfc8489_7_a_fingerprint_is_checked_and_returned() {
    let mut world = server();
    let mut buffer = [0; 64];
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
    let mut bytes = writer.fingerprint().unwrap().finish().to_vec();
    let replies = send_request(&mut world, NO_ALTERNATE, CLIENT, &bytes);
    Message::decode(&replies[0].payload).unwrap().check_fingerprint().unwrap();
    assert_eq!(replies[0].payload.len(), 40, "1.43 times");
    bytes[27] ^= 1;
    assert_eq!(send_request(&mut world, NO_ALTERNATE, CLIENT, &bytes), []);
    assert_eq!(world.machine.stats().dropped.fingerprint, 1);
}

#[test]
fn responses_indications_and_other_methods_are_never_answered() {
    let mut world = server();
    let mut buffer = [0; 20];
    let allocate = Writer::new(&mut buffer, Class::Request, Method::ALLOCATE, ID.into()).unwrap().finish().to_vec();
    let own = reply(&mut world, 0, CLIENT, &[]).payload.to_vec();
    let no_requests = [
        message(Class::Indication, ID.into(), &[]),
        message(Class::SuccessResponse, ID.into(), &[]),
        message(Class::ErrorResponse, ID.into(), &[]),
        own,
        allocate,
        b"GET / HTTP/1.1\r\n\r\n    ".to_vec(),
        vec![],
    ];
    for bytes in no_requests {
        assert_eq!(world.datagram(0, CLIENT, &bytes), Verdict::NotMine, "{bytes:02x?}");
        assert_eq!(world.outputs(), []);
    }
}

#[test]
fn requests_without_magic_cookie_on_a_socket_of_the_owner_are_not_mine() {
    let mut world = server();
    let mut old = request(&[]);
    old[4..8].copy_from_slice(&[1, 2, 3, 4]);
    assert_eq!(world.datagram(0, CLIENT, &old), Verdict::NotMine);
    assert_eq!(world.machine.stats(), Stats::default());
}

#[test]
fn unspecified_broadcast_and_multicast_sources_get_no_reply() {
    let mut world = server();
    for client in ["198.51.100.7:0", "0.0.0.0:5000", "255.255.255.255:5000", "224.0.0.1:5000"] {
        assert_eq!(send_request(&mut world, 0, client, &request(&[])), []);
    }
    assert_eq!(send_request(&mut world, 4, "[ff02::1]:5000", &request(&[])), []);
    assert_eq!(world.machine.stats().dropped.unaddressable, 5);
}

#[test]
fn a_source_gets_400_replies_at_once_and_200_per_second() {
    let mut world = server();
    let burst = (0..1000).map(|_| send_request(&mut world, 0, CLIENT, &request(&[])).len()).sum::<usize>();
    let other = send_request(&mut world, 0, "198.51.100.8:40000", &request(&[])).len();
    world.now = 1000;
    let second = (0..1000).map(|_| send_request(&mut world, 0, "198.51.100.7:2", &request(&[])).len()).sum::<usize>();
    assert_eq!((burst, other, second), (400, 1, 200));
    assert_eq!(world.machine.stats().dropped.rate_limited, 1400);

    let free = Responder::over(&everything().rate(None), socket_of).unwrap();
    let mut world = World::new(free);
    assert_eq!((0..1000).map(|_| send_request(&mut world, 0, CLIENT, &request(&[])).len()).sum::<usize>(), 1000);
}

#[test]
fn the_output_queue_is_bounded() {
    let mut world = World::new(Responder::over(&everything().rate(None), socket_of).unwrap());
    for _ in 0..1000 {
        assert_eq!(world.datagram(0, CLIENT, &request(&[])), Verdict::Mine);
    }
    assert_eq!(world.outputs().len(), 256);
    assert_eq!(world.machine.stats().dropped.overload, 744);
}

#[test]
fn behind_a_1_to_1_nat_the_public_addresses_are_advertised() {
    let nat = everything()
        .advertise("192.0.2.1".parse().unwrap(), "203.0.113.1".parse().unwrap())
        .advertise("192.0.2.2".parse().unwrap(), "203.0.113.2".parse().unwrap());
    let mut world = World::new(Responder::over(&nat, socket_of).unwrap());
    let reply = reply(&mut world, 0, CLIENT, &[Attribute::ChangeRequest(ChangeRequest::PORT)]);
    let message = Message::decode(&reply.payload).unwrap();
    assert_eq!(message.response_origin(), Some(addr("203.0.113.1:3479")));
    assert_eq!(message.other_address(), Some(addr("203.0.113.2:3479")));
    assert_eq!(local(&reply), addr("192.0.2.1:3479"));
}

#[test]
fn a_wildcard_socket_reports_the_destination_address_of_the_request() {
    let wildcard =
        config(&["0.0.0.0:3478"], &[]).advertise("192.0.2.3".parse().unwrap(), "203.0.113.3".parse().unwrap());
    let mut world = World::new(Responder::over(&wildcard, |_| SocketId(NO_ALTERNATE as u64)).unwrap());
    let reply = reply(&mut world, NO_ALTERNATE, CLIENT, &[Attribute::ResponsePort(9)]);
    assert_eq!(Message::decode(&reply.payload).unwrap().response_origin(), Some(addr("203.0.113.3:3478")));
}

#[test]
fn invalid_addresses_are_refused() {
    let refused = |listen: &[&str], alternate: &[&str]| Responder::new(&config(listen, alternate)).unwrap_err();
    let (one, two) = (addr("192.0.2.1:1"), addr("192.0.2.2:2"));
    assert_eq!(refused(&[], &[]), ResponderConfigError::NoAddress);
    assert_eq!(refused(&["[2001:db8::1]:1"], &["192.0.2.2:2"]), ResponderConfigError::Unpaired { alternate: two });
    assert_eq!(
        refused(&["192.0.2.1:1"], &["192.0.2.2:2", "192.0.2.2:2"]),
        ResponderConfigError::Unpaired { alternate: two }
    );
    let same_port = ResponderConfigError::SamePort { listen: one, alternate: addr("192.0.2.2:1") };
    assert_eq!(refused(&["192.0.2.1:1"], &["192.0.2.2:1"]), same_port);
    let same_address = ResponderConfigError::SameAddress { listen: one, alternate: addr("192.0.2.1:2") };
    assert_eq!(refused(&["192.0.2.1:1"], &["192.0.2.1:2"]), same_address);
    assert!(matches!(refused(&["0.0.0.0:1"], &["192.0.2.2:2"]), ResponderConfigError::Wildcard { .. }));
    assert!(matches!(refused(&["192.0.2.1:1"], &["0.0.0.0:2"]), ResponderConfigError::Wildcard { .. }));
    assert!(matches!(refused(&["192.0.2.1:0"], &["192.0.2.2:2"]), ResponderConfigError::NoPort { .. }));
    assert_eq!(refused(&["192.0.2.1:1", "192.0.2.1:1"], &[]), ResponderConfigError::Twice { local: one });
    assert_eq!(
        refused(&["192.0.2.1:1", "192.0.2.2:1"], &["192.0.2.2:2"]),
        ResponderConfigError::Twice { local: addr("192.0.2.2:1") }
    );
    assert!(Responder::new(&config(&["192.0.2.1:0", "192.0.2.1:0"], &[])).is_ok(), "the system chooses two ports");
    let advertised = |local: &str, public: &str| {
        let config = config(&["192.0.2.1:1"], &["192.0.2.2:2"]);
        Responder::new(&config.advertise(local.parse().unwrap(), public.parse().unwrap())).map(drop)
    };
    assert!(matches!(advertised("192.0.2.1", "2001:db8::1"), Err(ResponderConfigError::AdvertisedFamily { .. })));
    assert!(matches!(advertised("192.0.2.9", "203.0.113.1"), Err(ResponderConfigError::AdvertisedUnknown { .. })));
    assert!(matches!(advertised("192.0.2.1", "192.0.2.2"), Err(ResponderConfigError::SameAddress { .. })));
}

#[test]
fn a_responder_serves_without_alternate_until_all_four_sockets_are_open() {
    let mut world = World::new(Responder::new(&config(&["192.0.2.1:3478"], &["192.0.2.2:3479"])).unwrap());
    assert_eq!(world.datagram(1, CLIENT, &request(&[])), Verdict::NotMine, "not started");
    world.with(|machine, cx| machine.start(cx)).unwrap();
    assert_eq!(
        world.lines(),
        [
            "     0 open s1 udp 192.0.2.1:3478",
            "     0 open s2 udp 192.0.2.2:3478",
            "     0 open s3 udp 192.0.2.1:3479",
            "     0 open s4 udp 192.0.2.2:3479",
        ]
    );
    assert_eq!(world.datagram(1, CLIENT, &request(&[])), Verdict::NotMine, "not open");
    for (socket, local) in [(1, "192.0.2.1:3478"), (2, "192.0.2.2:3478"), (3, "192.0.2.1:3479")] {
        assert_eq!(world.socket_event(socket, SocketEvent::Opened { local: addr(local) }), Verdict::Mine);
    }
    assert_eq!(
        world.lines(),
        [
            "     0 s1 listening udp 192.0.2.1:3478",
            "     0 open s5 tcp-listen 192.0.2.1:3478",
            "     0 s2 listening udp 192.0.2.2:3478",
            "     0 open s6 tcp-listen 192.0.2.2:3478",
            "     0 s3 listening udp 192.0.2.1:3479",
            "     0 open s7 tcp-listen 192.0.2.1:3479",
        ]
    );
    let change = request(&[Attribute::ChangeRequest(ChangeRequest::PORT)]);
    let _verdict = world.datagram(1, CLIENT, &change);
    assert!(world.lines()[0].contains("error response"), "RFC 5780 §6: not all four sockets are open");
    for bytes in [request(&[]), request(&[Attribute::ResponsePort(9)])] {
        let _verdict = world.datagram(1, CLIENT, &bytes);
        let Output::Transmit(sent) = world.outputs().remove(0) else { panic!("a reply") };
        assert_eq!(
            Message::decode(&sent.payload).unwrap().other_address(),
            None,
            "RFC 5780 §6: no response has OTHER-ADDRESS"
        );
    }
    assert_eq!(world.socket_event(4, SocketEvent::Opened { local: addr("192.0.2.2:3479") }), Verdict::Mine);
    world.lines();
    let _verdict = world.datagram(1, CLIENT, &change);
    assert_eq!(world.lines(), ["     0 s3 > 198.51.100.7:40000 Binding success response, 68 bytes"]);
    assert_eq!(world.socket_event(4, SocketEvent::Opened { local: addr("192.0.2.2:3479") }), Verdict::Mine);
    assert_eq!(world.lines(), [""; 0], "a repeated event is ignored");
    assert_eq!(world.socket_event(4, SocketEvent::Closed(Closure::Unspecified)), Verdict::Mine);
    assert!(world.lines()[0].contains("lost udp 192.0.2.2:3479"));
    let _verdict = world.datagram(1, CLIENT, &change);
    assert!(world.lines()[0].contains("error response"), "one of the four sockets is closed");
}

#[test]
fn a_port_in_use_is_reported_and_the_other_sockets_serve() {
    let mut world = World::new(Responder::new(&config(&["192.0.2.1:3478", "192.0.2.3:0"], &[])).unwrap());
    world.with(|machine, cx| machine.start(cx)).unwrap();
    world.lines();
    assert_eq!(world.socket_event(1, SocketEvent::Refused(Refusal::AddressInUse)), Verdict::Mine);
    assert_eq!(world.socket_event(2, SocketEvent::Opened { local: addr("192.0.2.3:51000") }), Verdict::Mine);
    assert_eq!(
        world.lines(),
        [
            "     0 refused udp 192.0.2.1:3478: address in use",
            "     0 s2 listening udp 192.0.2.3:51000",
            "     0 open s3 tcp-listen 192.0.2.3:51000",
        ]
    );
}

#[test]
fn stop_closes_all_sockets_and_is_final() {
    let mut world = World::new(Responder::new(&config(&["192.0.2.1:3478"], &[])).unwrap());
    assert_eq!(world.with(|machine, _| machine.stop()), Err(ResponderError::NotServing));
    world.with(|machine, cx| machine.start(cx)).unwrap();
    let _verdict = world.socket_event(1, SocketEvent::Opened { local: addr("192.0.2.1:3478") });
    world.lines();
    assert_eq!(world.with(|machine, cx| machine.start(cx)), Err(ResponderError::NotIdle));
    world.with(|machine, _| machine.stop()).unwrap();
    assert_eq!(world.lines(), ["     0 close s1", "     0 close s2", "     0 Stopped"]);
    assert_eq!(world.datagram(1, CLIENT, &request(&[])), Verdict::NotMine);
    assert_eq!(world.socket_event(2, SocketEvent::Opened { local: addr("192.0.2.1:3478") }), Verdict::NotMine);
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn commands_are_parsed_from_their_text() {
    for command in [ResponderCommand::Start, ResponderCommand::Stop] {
        assert_eq!(command.to_string().parse(), Ok(command));
    }
    assert_eq!("go".parse::<ResponderCommand>(), Err(ResponderError::UnknownCommand));
}

#[test]
fn each_request_is_counted_by_its_result() {
    let mut world = server();
    for bytes in [request(&[]), request(&[Attribute::Priority(1)]), request(&[Attribute::ResponsePort(0)])] {
        send_request(&mut world, 0, CLIENT, &bytes);
    }
    let mut truncated = request(&[Attribute::ResponsePort(5)]);
    truncated[23] = 200;
    send_request(&mut world, 0, CLIENT, &truncated);
    let stats = world.machine.stats();
    assert_eq!((stats.requests, stats.replies()), (4, 3));
    assert_eq!((stats.successes, stats.unknown_attributes, stats.bad_requests), (1, 1, 1));
    assert_eq!(stats.dropped.undecodable, 1);
    assert!(stats.to_string().starts_with("4 requests: 1 answered, 1 bad (400), 1 not understood (420)"));
}

#[test]
fn addresses_that_are_not_those_of_one_host_are_refused() {
    use ResponderConfigError as E;
    let refused = |listen: &[&str], alternate: &[&str]| Responder::new(&config(listen, alternate)).unwrap_err();
    for address in ["224.0.0.1:1", "239.255.255.255:1", "255.255.255.255:1", "[ff02::1]:1"] {
        let local = addr(address);
        assert_eq!(refused(&[address], &[]), E::NotUnicast { local });
        let listen = if local.is_ipv4() { "192.0.2.1:2" } else { "[2001:db8::1]:2" };
        assert_eq!(refused(&[listen], &[address]), E::NotUnicast { local });
    }
    let local = addr("[fe80::1]:3478");
    assert_eq!(refused(&["[fe80::1]:3478"], &[]), E::NoZone { local });
    assert_eq!(
        E::NoZone { local }.to_string(),
        "[fe80::1]:3478 is link-local and has no zone; add the interface, such as [fe80::1%eth0]:3478"
    );
    assert!(Responder::new(&config(&["[fe80::1%2]:3478"], &[])).is_ok());
    let pair = |advertised: &[(&str, &str)]| {
        let config = config(&["10.0.0.5:1"], &["10.0.0.6:2"]);
        let config = advertised
            .iter()
            .fold(config, |config, (local, public)| config.advertise(local.parse().unwrap(), public.parse().unwrap()));
        Responder::new(&config).map(drop)
    };
    let [one, two] = ["10.0.0.5", "10.0.0.6"];
    let ip = |text: &str| text.parse().unwrap();
    assert_eq!(pair(&[(one, "203.0.113.5"), (two, "203.0.113.6")]), Ok(()));
    assert_eq!(pair(&[(one, "203.0.113.5"), (two, two)]), Ok(()), "the second address is public already");
    assert_eq!(pair(&[(one, "203.0.113.5")]), Err(E::AdvertisedHalf { advertised: ip(one), missing: ip(two) }));
    assert_eq!(pair(&[(two, "203.0.113.5")]), Err(E::AdvertisedHalf { advertised: ip(two), missing: ip(one) }));
    assert_eq!(
        pair(&[(one, "203.0.113.5"), (one, "203.0.113.7"), (two, two)]),
        Err(E::AdvertisedTwice { local: ip(one) })
    );
    for public in ["0.0.0.0", "255.255.255.255", "224.0.0.1"] {
        assert_eq!(pair(&[(one, public)]), Err(E::AdvertisedInvalid { local: ip(one), public: ip(public) }));
    }
}

#[test]
fn rfc8489_6_3_1_a_retransmission_gets_the_same_reply() {
    let mut world = server();
    for attributes in [vec![], vec![Attribute::ChangeRequest(ChangeRequest::PORT)], vec![Attribute::Priority(1)]] {
        let first = reply(&mut world, 0, CLIENT, &attributes);
        world.now += 500;
        assert_eq!(reply(&mut world, 0, CLIENT, &attributes), first);
    }
}

#[test]
fn rfc5780_6_1_responses_have_no_alternate_server() {
    let mut world = server();
    for to in [0, NO_ALTERNATE] {
        for attributes in [vec![], vec![Attribute::ResponsePort(9)], vec![Attribute::Padding(&[0; 8])]] {
            assert!(!kinds(&reply(&mut world, to, CLIENT, &attributes)).contains(&AttributeType::ALTERNATE_SERVER));
        }
    }
}
