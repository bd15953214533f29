use super::*;
use alloc::vec::Vec;
use core::time::Duration;
use portolan_stun::{ChangeRequest, IntegrityKey};

const CLIENT: &str = "203.0.113.7:5000";
const P: &str = "192.0.2.1:3478";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn pair() -> Server {
    Server::new("stun", at(P)).alternate(at("192.0.2.2:3479"))
}

fn request(attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).unwrap();
    for attribute in attributes {
        writer.add(attribute).unwrap();
    }
    writer.finish().to_vec()
}

/// All responses, with their delay, source, destination and bytes.
fn replies(server: &Server, to: &str, bytes: &[u8]) -> Vec<(Nanos, SocketAddr, SocketAddr, Vec<u8>)> {
    let (mut state, mut pool, mut replies) = (ServerState::new(server.clone(), 0, 1), Pool::default(), Vec::new());
    let mut packet = pool.packet(at(CLIENT), at(to), Place::AtOwner(0), 0);
    packet.copy(bytes);
    state.serve(&packet, 0, &mut pool, &mut |after, reply| {
        replies.push((after, reply.source, reply.destination, reply.bytes().to_vec()));
    });
    replies
}

#[track_caller]
fn reply(server: &Server, to: &str, attributes: &[Attribute<'_>]) -> (SocketAddr, SocketAddr, Vec<u8>) {
    let mut replies = replies(server, to, &request(attributes));
    let (after, from, to, bytes) = replies.pop().expect("an answer");
    assert!(after == 0 && replies.is_empty());
    (from, to, bytes)
}

#[test]
fn the_four_rows_of_rfc_5780_table_1_from_each_of_the_four_sockets() {
    let (ips, ports) = (["192.0.2.1", "192.0.2.2"], [3478, 3479]);
    for (ip, port) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let socket = |ip: usize, port: usize| alloc::format!("{}:{}", ips[ip], ports[port]);
        for (change, from) in [
            (ChangeRequest::NONE, socket(ip, port)),
            (ChangeRequest::IP, socket(1 - ip, port)),
            (ChangeRequest::PORT, socket(ip, 1 - port)),
            (ChangeRequest::IP_AND_PORT, socket(1 - ip, 1 - port)),
        ] {
            let (sent_from, to, bytes) = reply(&pair(), &socket(ip, port), &[Attribute::ChangeRequest(change)]);
            let message = Message::decode(&bytes).unwrap();
            assert_eq!((sent_from, to), (at(&from), at(CLIENT)));
            assert_eq!(message.class(), Class::SuccessResponse);
            assert_eq!(message.response_origin(), Some(at(&from)));
            assert_eq!(message.other_address(), Some(at(&socket(1 - ip, 1 - port))));
            assert_eq!((message.xor_mapped_address(), message.mapped_address()), (Some(at(CLIENT)), Some(at(CLIENT))));
        }
    }
}

#[test]
fn a_server_without_an_alternate_address_answers_briefly_and_refuses_change_request() {
    let plain = Server::new("stun", at(P));
    let (_, _, bytes) = reply(&plain, P, &[]);
    assert_eq!(bytes.len(), 32, "1.6 times a bare request");
    let (_, _, bytes) = reply(&plain, P, &[Attribute::ChangeRequest(ChangeRequest::PORT)]);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.error_code().map(|error| error.code()), Some(420));
    assert!(message.unknown_attributes().unwrap().iter().eq([AttributeType::CHANGE_REQUEST]));
}

#[test]
fn response_port_and_padding_work_but_not_together() {
    let (_, to, _) = reply(&pair(), P, &[Attribute::ResponsePort(9)]);
    assert_eq!(to, at("203.0.113.7:9"));
    let (_, _, bytes) = reply(&pair(), P, &[Attribute::Padding(&[0; 700])]);
    assert_eq!(Message::decode(&bytes).unwrap().padding_len(), Some(700));
    let (_, _, bytes) = reply(&pair(), P, &[Attribute::ResponsePort(9), Attribute::Padding(&[0; 8])]);
    assert_eq!(Message::decode(&bytes).unwrap().error_code().map(|error| error.code()), Some(400));
}

#[test]
fn nothing_but_binding_requests_is_answered() {
    for (class, method) in [
        (Class::Indication, Method::BINDING),
        (Class::SuccessResponse, Method::BINDING),
        (Class::ErrorResponse, Method::BINDING),
        (Class::Request, Method::ALLOCATE),
    ] {
        let mut buffer = [0; 64];
        let bytes = Writer::new(&mut buffer, class, method, [7; 12].into()).unwrap().finish();
        assert!(replies(&pair(), P, bytes).is_empty(), "{class:?}");
    }
    assert!(replies(&pair(), P, b"hello").is_empty());
    let unknown = Attribute::Unknown { kind: AttributeType::new(0x7abc), value: &[] };
    let (_, _, bytes) = reply(&pair(), P, &[unknown]);
    assert_eq!(Message::decode(&bytes).unwrap().error_code().map(|error| error.code()), Some(420));
}

#[test]
fn each_fault_has_a_distinct_effect() {
    let requests: [&[Attribute<'_>]; 3] = [
        &[],
        &[Attribute::ChangeRequest(ChangeRequest::PORT)],
        &[Attribute::ChangeRequest(ChangeRequest::IP_AND_PORT)],
    ];
    let behaviour = |fault| -> Vec<_> {
        let server = pair().fault(fault);
        let mut seen: Vec<_> = [P, "192.0.2.2:3479"]
            .into_iter()
            .flat_map(|to| requests.map(|attributes| replies(&server, to, &request(attributes))))
            .collect();
        // The last of three requests in a row.
        let (mut state, mut pool, mut third) = (ServerState::new(server, 0, 1), Pool::default(), 0);
        for _ in 0..3 {
            let mut packet = pool.packet(at(CLIENT), at(P), Place::AtOwner(0), 0);
            packet.copy(&request(&[]));
            third = 0;
            state.serve(&packet, 0, &mut pool, &mut |_, _| third += 1);
        }
        seen.push(alloc::vec![(third, at(P), at(P), Vec::new())]);
        seen
    };
    let all: Vec<_> = Fault::EACH.map(|fault| (fault, behaviour(fault))).into();
    for (n, (fault, seen)) in all.iter().enumerate() {
        for (other, same) in &all[..n] {
            assert_ne!(seen, same, "{fault} has the same effect as {other}");
        }
    }
}

#[track_caller]
fn response_of(fault: Fault, attributes: &[Attribute<'_>]) -> (SocketAddr, Vec<u8>) {
    let (from, _, bytes) = reply(&pair().fault(fault), P, attributes);
    (from, bytes)
}

#[test]
fn faults_match_their_names() {
    let both = [Attribute::ChangeRequest(ChangeRequest::IP_AND_PORT)];
    assert_eq!(response_of(Fault::IgnoresChangeRequest, &both).0, at(P));
    assert_eq!(response_of(Fault::ChangesPortOnly, &both).0, at("192.0.2.1:3479"));
    assert!(replies(&pair().fault(Fault::DeadAlternate), P, &request(&both)).is_empty());
    assert!(replies(&pair().fault(Fault::DeadAlternate), "192.0.2.2:3478", &request(&[])).is_empty());
    let (_, refused) = response_of(Fault::RefusesChangeRequest, &both);
    let refused = Message::decode(&refused).unwrap();
    assert_eq!(refused.error_code().map(|error| error.code()), Some(420));

    for (bogus, other) in [
        (Bogus::Itself, P),
        (Bogus::SameAddress, "192.0.2.1:3479"),
        (Bogus::Private, "172.16.0.53:3479"),
        (Bogus::OtherFamily, "[2001:db8::2]:3479"),
        (Bogus::Unspecified, "0.0.0.0:3479"),
    ] {
        let (_, bytes) = response_of(Fault::OtherAddress(bogus), &[]);
        assert_eq!(Message::decode(&bytes).unwrap().other_address(), Some(at(other)), "{bogus:?}");
    }
    let (_, bytes) = response_of(Fault::OtherAddress(Bogus::SamePort), &[]);
    let other = Message::decode(&bytes).unwrap().other_address().unwrap();
    assert!(other.port() == 3478 && other.ip() != at(P).ip());

    let (_, bytes) = response_of(Fault::OnlyMapped, &[]);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!((message.xor_mapped_address(), message.mapped_address()), (None, Some(at(CLIENT))));
    let (_, bytes) = response_of(Fault::WrongTransactionId, &[]);
    assert_ne!(*Message::decode(&bytes).unwrap().transaction_id().as_bytes(), [7; 12]);
    let (_, bytes) = response_of(Fault::Truncated, &[]);
    assert!(Message::decode(&bytes).is_err());
    assert_eq!(response_of(Fault::Echo, &[]).1, request(&[]));
    let late = replies(&pair().fault(Fault::LateDuplicates(Duration::from_millis(1))), P, &request(&[]));
    assert!(matches!(&late[..], [(0, ..), (1_000_000, ..)]));
}

#[test]
fn the_responder_gives_the_same_responses_as_the_simple_server() {
    let unknown = Attribute::Unknown { kind: AttributeType::new(0x7abc), value: &[1, 2, 3] };
    let all: [&[Attribute<'_>]; 11] = [
        &[],
        &[Attribute::ChangeRequest(ChangeRequest::NONE)],
        &[Attribute::ChangeRequest(ChangeRequest::IP)],
        &[Attribute::ChangeRequest(ChangeRequest::PORT)],
        &[Attribute::ChangeRequest(ChangeRequest::IP_AND_PORT)],
        &[Attribute::ResponsePort(9)],
        &[Attribute::Padding(&[0; 256])],
        &[Attribute::Padding(&[0; 8]), Attribute::ResponsePort(9)],
        &[unknown],
        &[unknown, Attribute::ChangeRequest(ChangeRequest::PORT)],
        &[Attribute::Software("client".into())],
    ];
    for (server, sockets) in [
        (pair(), &[P, "192.0.2.1:3479", "192.0.2.2:3478", "192.0.2.2:3479"][..]),
        (Server::new("plain", at(P)), &[P][..]),
    ] {
        for to in sockets {
            for attributes in all {
                let bytes = request(attributes);
                let short = replies(&server, to, &bytes);
                let real = replies(&server.clone().with_responder(), to, &bytes);
                assert_eq!(parsed(&short), parsed(&real), "{to} {attributes:?}");
            }
        }
    }
    for bytes in [&b"hello"[..], &request(&[])[..19], &[0; 20]] {
        assert_eq!(replies(&pair(), P, bytes), replies(&pair().with_responder(), P, bytes));
    }
}

/// Parses responses without implementation details: the order of attributes, names and checksums.
fn parsed(replies: &[(Nanos, SocketAddr, SocketAddr, Vec<u8>)]) -> Vec<alloc::string::String> {
    let text = |(after, from, to, bytes): &(Nanos, SocketAddr, SocketAddr, Vec<u8>)| {
        let message = Message::decode(bytes).unwrap();
        let attributes = message.attributes().map(|attribute| alloc::format!("{:?}", attribute.unwrap()));
        let mut attributes: Vec<_> =
            attributes.filter(|text| !text.starts_with("Software") && !text.starts_with("Fingerprint")).collect();
        attributes.sort();
        alloc::format!("{after} {from} {to} {:?} {attributes:?}", message.class())
    };
    replies.iter().map(text).collect()
}

/// An authenticated request with this nonce.
fn signed(nonce: &str, password: &str) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).unwrap();
    for attribute in [Attribute::Username("alice".into()), Attribute::Realm("r".into()), Attribute::Nonce(nonce.into())]
    {
        writer.add(&attribute).unwrap();
    }
    writer.message_integrity(&IntegrityKey::long_term_md5("alice", "r", password)).unwrap().finish().to_vec()
}

#[test]
fn with_credentials_only_users_are_answered_and_others_are_challenged() {
    let server = pair().credentials(Credentials::long_term("r").user("alice", "secret"));
    let over_udp = |bytes: &[u8]| replies(&server, P, bytes).pop().unwrap().3;
    let over_tcp = |bytes: &[u8]| {
        let mut state = ServerState::new(server.clone(), 0, 1);
        state.serve_stream(0, at(P), at(CLIENT), bytes).unwrap().to_vec()
    };
    for tcp in [false, true] {
        let respond = |bytes: &[u8]| if tcp { over_tcp(bytes) } else { over_udp(bytes) };
        let challenge = respond(&request(&[]));
        let challenge = Message::decode(&challenge).unwrap();
        assert_eq!(challenge.error_code().unwrap().code(), ErrorCode::UNAUTHENTICATED);
        let nonce = alloc::format!("{}", challenge.nonce().unwrap());
        let answer = respond(&signed(&nonce, "secret"));
        let key = IntegrityKey::long_term_md5("alice", "r", "secret");
        assert_eq!(Message::decode(&answer).unwrap().verify(&key).unwrap().xor_mapped_address(), Some(at(CLIENT)));
        let refused = respond(&signed(&nonce, "guess"));
        assert_eq!(Message::decode(&refused).unwrap().error_code().unwrap().code(), ErrorCode::UNAUTHENTICATED);
    }
}

#[test]
fn invalid_credentials_reject_all_requests_and_a_fault_skips_them() {
    let unusable = pair().credentials(Credentials::long_term("").user("alice", "secret"));
    let nameless = pair().credentials(Credentials::short_term().user("", "secret"));
    for server in [unusable, nameless] {
        assert!(replies(&server, P, &request(&[])).is_empty());
        let mut state = ServerState::new(server, 0, 1);
        assert_eq!(state.serve_stream(0, at(P), at(CLIENT), &request(&[])), None);
    }
    let careless = pair().credentials(Credentials::short_term().user("alice", "secret")).fault(Fault::OnlyXorMapped);
    let (.., answer) = reply(&careless, P, &[]);
    assert!(Message::decode(&answer).unwrap().xor_mapped_address().is_some());
}
