//! A responder that requires credentials: its responses, counters and notes, over UDP and over a stream.

use super::*;
use crate::responses::{Server, config};
use crate::world::World;
use core::num::NonZeroU32;
use portolan_machine::{Output, SocketEvent, SocketId, SocketOrder, Verdict};
use portolan_stun::{ChangeRequest, IntegrityError};
use portolan_stun_agent::{Rate, Responder, ResponderCommand};

const LOCAL: &str = "192.0.2.1:3478";

fn server() -> Server {
    over(long_term())
}

fn over(authenticator: Authenticator) -> Server {
    World::new(Responder::over(&config(&[LOCAL], &[]).credentials(authenticator), |_| SocketId(1)).unwrap())
}

fn replies(world: &mut Server) -> Vec<Vec<u8>> {
    let reply = |output| match output {
        Output::Transmit(transmit) => {
            assert_eq!((transmit.socket, transmit.remote), (SocketId(1), addr(CLIENT)));
            transmit.payload.to_vec()
        }
        output @ (Output::Socket(_) | Output::Event(_) | Output::Wait(_)) => panic!("only replies, not {output:?}"),
    };
    world.outputs().into_iter().map(reply).collect()
}

fn send_request(world: &mut Server, bytes: &[u8]) -> Vec<u8> {
    assert_eq!(world.datagram(1, CLIENT, bytes), Verdict::Mine);
    let mut replies = replies(world);
    assert_eq!(replies.len(), 1);
    replies.remove(0)
}

fn bare() -> Vec<u8> {
    Draft::new(&[], IntegrityKey::short_term(""), Sign::Nothing).bytes()
}

fn challenged(world: &mut Server) -> String {
    let reply = send_request(world, &bare());
    Message::decode(&reply).unwrap().nonce().unwrap().to_string()
}

#[test]
fn a_client_is_challenged_and_then_gets_a_signed_response() {
    let mut world = server();
    let reply = send_request(&mut world, &bare());
    assert_eq!((code(&reply), reply.len()), (Some(401), 116), "5.8 times the 20 bytes of the request");
    let nonce = Message::decode(&reply).unwrap().nonce().unwrap().to_string();

    world.now = 599_000;
    let reply = send_request(&mut world, &Draft { fingerprint: true, ..Draft::complete(&nonce) }.bytes());
    use AttributeType as A;
    assert_eq!(kinds(&reply), [A::XOR_MAPPED_ADDRESS, A::MESSAGE_INTEGRITY_SHA256, A::FINGERPRINT]);
    let message = Message::decode(&reply).unwrap();
    let verified = message.verify(&IntegrityKey::long_term_sha256(USER, REALM, PASSWORD)).unwrap();
    assert_eq!(verified.xor_mapped_address(), Some(addr(CLIENT)));
    assert_eq!(message.check_fingerprint(), Ok(()));

    let reply = send_request(&mut world, &Draft::rfc5389(&nonce).bytes());
    assert_eq!(kinds(&reply), [A::XOR_MAPPED_ADDRESS, A::MESSAGE_INTEGRITY]);
    assert!(Message::decode(&reply).unwrap().verify(&IntegrityKey::long_term_md5(USER, REALM, PASSWORD)).is_ok());

    world.now = 600_000;
    assert_eq!(code(&send_request(&mut world, &Draft::complete(&nonce).bytes())), Some(438));
}

#[test]
fn each_rejection_is_counted_and_noted_with_its_clause() {
    let mut world = server();
    let nonce = challenged(&mut world);
    let wrong = Draft { key: IntegrityKey::short_term("guess"), ..Draft::complete(&nonce) };
    let mallory = || Draft::complete(&nonce).without(AttributeType::USERNAME);
    for draft in [
        mallory(),
        Draft { algorithms: None, ..Draft::complete(&nonce) },
        mallory().with(Attribute::Username("mallory".into())),
        wrong,
        Draft::complete("f//499k954d6OL34oL9FSTvy64sA"),
        Draft::complete(&nonce),
    ] {
        let _reply = send_request(&mut world, &draft.bytes());
    }
    assert_eq!(
        world.notes.0,
        [
            "request from 198.51.100.7:40000 rejected with error 401: it is not signed [RFC 8489 §9.2.4]",
            "request from 198.51.100.7:40000 rejected with error 400: its credentials are not complete [RFC 8489 §9.2.4]",
            "request from 198.51.100.7:40000 rejected with error 400: its password algorithms are not those that were \
             offered [RFC 8489 §9.2.4]",
            "request from 198.51.100.7:40000 rejected with error 401: its user is unknown [RFC 8489 §9.2.4]",
            "request from 198.51.100.7:40000 rejected with error 401: byte 112: the message integrity does not match the \
             key and the bytes [RFC 8489 §9.2.4]",
            "request from 198.51.100.7:40000 rejected with error 438: the nonce was not issued to this client [RFC 8489 \
             §9.2.4]",
            "request from 198.51.100.7:40000 answered [RFC 8489 §6.3.1.1]",
        ]
    );
    let stats = world.machine.stats();
    assert_eq!((stats.requests, stats.replies(), stats.successes, stats.rejected.total()), (7, 7, 1, 6));
    let rejected = stats.rejected;
    let each = [
        rejected.unsigned,
        rejected.incomplete,
        rejected.algorithms,
        rejected.unknown_users,
        rejected.wrong_integrity,
        rejected.stale_nonces,
    ];
    assert_eq!(each, [1; 6]);
    let line = stats.to_string();
    assert!(
        line.contains(
            "; rejected: 1 unsigned, 1 of unknown users, 1 with a wrong integrity, 0 expired (401), 1 with stale"
        ),
        "{line}"
    );
}

#[test]
fn rfc8489_6_3_1_unknown_attributes_are_listed_only_for_users_and_signed() {
    let mut world = server();
    let nonce = challenged(&mut world);
    let odd = Attribute::Unknown { kind: AttributeType::new(0x7777), value: &[] };
    let unsigned = Draft { sign: Sign::Nothing, ..Draft::complete(&nonce).with(odd) };
    assert_eq!(code(&send_request(&mut world, &unsigned.bytes())), Some(401));
    let reply = send_request(&mut world, &Draft::complete(&nonce).with(odd).bytes());
    use AttributeType as A;
    assert_eq!(code(&reply), Some(420));
    assert_eq!(kinds(&reply), [A::ERROR_CODE, A::UNKNOWN_ATTRIBUTES, A::MESSAGE_INTEGRITY_SHA256]);
    assert!(Message::decode(&reply).unwrap().verify(&IntegrityKey::long_term_sha256(USER, REALM, PASSWORD)).is_ok());
    let malformed = Attribute::Unknown { kind: AttributeType::RESPONSE_PORT, value: &[] };
    let reply = send_request(&mut world, &Draft::complete(&nonce).with(malformed).bytes());
    assert_eq!((code(&reply), kinds(&reply).len()), (Some(400), 2), "a 400 to an authenticated request is signed too");
}

#[test]
fn attributes_after_the_integrity_have_no_effect() {
    let mut world = server();
    let nonce = challenged(&mut world);
    // Added after the integrity. CHANGE-REQUEST would cause a 420, RESPONSE-PORT would change the destination.
    let mut bytes = Draft { sign: Sign::Both, ..Draft::complete(&nonce) }.bytes();
    let plain = send_request(&mut world, &bytes);
    bytes.extend([0, 3, 0, 4, 0, 0, 0, 6, 0, 0x27, 0, 4, 0x15, 0xb3, 0, 0, 0x77, 0x77, 0, 0]);
    let length = u16::try_from(bytes.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(send_request(&mut world, &bytes), plain);
    let request = Message::decode(&bytes).unwrap();
    let judged = long_term().judge(at(0), addr(CLIENT), &request);
    let Judgement::Admitted(admitted) = judged else { panic!("{judged:?}") };
    assert_eq!(admitted.message.fields().count(), 5);
    assert!(!admitted.message.has(AttributeType::CHANGE_REQUEST));
    // A USERNAME after the integrity is ignored too.
    let unnamed = Draft { class: Class::Request, ..Draft::complete(&nonce).without(AttributeType::USERNAME) };
    let mut bytes = unnamed.bytes();
    bytes.extend([0, 6, 0, 5]);
    bytes.extend(b"alice\0\0\0");
    let length = u16::try_from(bytes.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(code(&send_request(&mut world, &bytes)), Some(400));
}

#[test]
fn rfc8489_6_3_2_signed_indications_and_responses_are_never_answered() {
    let mut users = Users::short_term();
    users.add(USER, PASSWORD).unwrap();
    for mut world in [server(), over(Authenticator::short_term(users))] {
        for class in [Class::Indication, Class::SuccessResponse, Class::ErrorResponse] {
            let key = IntegrityKey::short_term(PASSWORD);
            let draft = Draft { class, ..Draft::new(&[Attribute::Username(USER.into())], key, Sign::Sha256) };
            assert_eq!(world.datagram(1, CLIENT, &draft.bytes()), Verdict::NotMine);
            assert!(replies(&mut world).is_empty());
        }
        assert_eq!(world.machine.stats().requests, 0);
    }
}

#[test]
fn short_term_requests_get_the_same_integrity_attribute_and_padding() {
    let mut users = Users::short_term();
    users.add(USER, PASSWORD).unwrap();
    let mut world = over(Authenticator::short_term(users));
    let padding = vec![0; 1000];
    let draft = |sign| {
        let named = [Attribute::Username(USER.into()), Attribute::Padding(&padding)];
        Draft::new(&named, IntegrityKey::short_term(PASSWORD), sign).bytes()
    };
    let reply = send_request(&mut world, &draft(Sign::Sha1));
    let verified = Message::decode(&reply).unwrap();
    let verified = verified.verify_with(&IntegrityKey::short_term(PASSWORD), portolan_stun::Integrity::Sha1).unwrap();
    assert_eq!(verified.padding_len(), Some(1000));
    assert_eq!(code(&send_request(&mut world, &draft(Sign::Nothing))), Some(400));
    assert_eq!(
        world.notes.0[1],
        "request from 198.51.100.7:40000 rejected with error 400: its credentials are not complete [RFC 8489 §9.1.3]"
    );
}

#[test]
fn a_stream_client_is_challenged_and_then_gets_a_signed_response() {
    let mut world = World::new(Responder::new(&config(&[LOCAL], &[]).credentials(long_term())).unwrap());
    world.with(|machine, cx| machine.start(cx)).unwrap();
    let mut opened = 0;
    while let Some(Output::Socket(SocketOrder::Open(open))) = world.outputs().pop() {
        assert_eq!(world.socket_event(open.id.0, SocketEvent::Opened { local: open.local }), Verdict::Mine);
        opened = open.id.0;
        if open.protocol.is_stream() {
            break;
        }
    }
    let accepted = SocketEvent::Accepted { socket: SocketId(100), local: addr(LOCAL), remote: addr(CLIENT) };
    assert_eq!(world.socket_event(opened, accepted), Verdict::Mine);
    let mut exchange = |bytes: &[u8]| {
        for piece in bytes.chunks(33) {
            assert_eq!(world.stream(100, CLIENT, piece), Verdict::Mine);
        }
        let sent = world.outputs().into_iter().find_map(|output| match output {
            Output::Transmit(transmit) => Some(transmit),
            Output::Socket(_) | Output::Event(_) | Output::Wait(_) => None,
        });
        let sent = sent.unwrap();
        assert_eq!((sent.socket, sent.remote), (SocketId(100), addr(CLIENT)));
        sent.payload.to_vec()
    };
    let challenge = exchange(&bare());
    assert_eq!(code(&challenge), Some(401));
    let nonce = Message::decode(&challenge).unwrap().nonce().unwrap().to_string();
    let reply = exchange(&Draft::complete(&nonce).bytes());
    assert!(Message::decode(&reply).unwrap().verify(&IntegrityKey::long_term_sha256(USER, REALM, PASSWORD)).is_ok());
}

#[test]
fn change_request_applies_to_authenticated_requests_only() {
    let locals = [LOCAL, "192.0.2.2:3478", "192.0.2.1:3479", "192.0.2.2:3479"].map(addr);
    let config = config(&[LOCAL], &["192.0.2.2:3479"]).credentials(long_term());
    let socket = |local| SocketId(locals.iter().position(|other| *other == local).unwrap() as u64 + 1);
    let mut world: Server = World::new(Responder::over(&config, socket).unwrap());
    let change = Attribute::ChangeRequest(ChangeRequest::IP_AND_PORT);
    let sent = |world: &mut Server, bytes: &[u8]| {
        assert_eq!(world.datagram(1, CLIENT, bytes), Verdict::Mine);
        let Some(Output::Transmit(transmit)) = world.outputs().pop() else { panic!("a reply") };
        transmit
    };
    let bare = Draft::new(&[change, Attribute::ResponsePort(9)], IntegrityKey::short_term(""), Sign::Nothing).bytes();
    let challenge = sent(&mut world, &bare);
    assert_eq!((challenge.socket, challenge.remote), (SocketId(1), addr(CLIENT)));
    let nonce = Message::decode(&challenge.payload).unwrap().nonce().unwrap().to_string();
    let reply = sent(&mut world, &Draft::complete(&nonce).with(change).bytes());
    assert_eq!((reply.socket, code(&reply.payload)), (SocketId(4), None));
}

#[test]
fn rejections_count_against_the_rate_and_the_output_queue_is_bounded() {
    let rate = Rate::per_second(NonZeroU32::new(5).unwrap());
    let config = config(&[LOCAL], &[]).credentials(long_term());
    let mut world: Server = World::new(Responder::over(&config.clone().rate(Some(rate)), |_| SocketId(1)).unwrap());
    for _ in 0..100 {
        assert_eq!(world.datagram(1, CLIENT, &bare()), Verdict::Mine);
    }
    assert_eq!(replies(&mut world).len(), 10);
    let stats = world.machine.stats();
    assert_eq!((stats.rejected.unsigned, stats.dropped.rate_limited), (10, 90));

    let mut world: Server = World::new(Responder::over(&config.rate(None), |_| SocketId(1)).unwrap());
    for _ in 0..1000 {
        assert_eq!(world.datagram(1, CLIENT, &bare()), Verdict::Mine);
    }
    assert_eq!(replies(&mut world).len(), 256);
    assert_eq!(world.machine.stats().dropped.overload, 744);
}

#[test]
fn without_an_authenticator_credentials_change_nothing() {
    let mut world: Server = World::new(Responder::over(&config(&[LOCAL], &[]), |_| SocketId(1)).unwrap());
    let reply = send_request(&mut world, &bare());
    for draft in [Draft::complete("x"), Draft::rfc5389("y"), Draft { sign: Sign::Both, ..Draft::complete("z") }] {
        assert_eq!(send_request(&mut world, &draft.bytes()), reply);
    }
    assert!(!world.machine.stats().to_string().contains("rejected"));
}

#[test]
fn debug_and_notes_show_no_secret() {
    let mut world = server();
    let nonce = challenged(&mut world);
    let bytes = Draft::complete(&nonce).bytes();
    let request = Message::decode(&bytes).unwrap();
    let judged = long_term().judge(at(0), addr(CLIENT), &request);
    let _reply = send_request(&mut world, &bytes);
    let shown = format!("{:?} {judged:?} {:?} {:?}", long_term(), world.machine, world.notes);
    let all = format!("{shown} {} {}", world.machine.stats(), ResponderCommand::Start);
    assert!(all.contains("IntegrityKey(..)") && all.contains("users: 1"), "{all}");
    // The password, its hashes and the secret of the nonces appear neither as text nor as a list of bytes.
    let bytes_of = |text: &[u8]| format!("{text:?}").trim_matches(['[', ']']).to_owned();
    let md5 = hex("0f0a3885abb01c43142966068e3462d3");
    let sha256 = hex("5fe9239f4e6ef6b2ba16716e21c8898eb1c0b3055d474daff456a2d9a6ebb6ae");
    for secret in
        [PASSWORD.to_owned(), bytes_of(PASSWORD.as_bytes()), bytes_of(&[7; 32]), bytes_of(&md5), bytes_of(&sha256)]
    {
        assert!(!all.contains(&secret), "{secret} in {all}");
    }
    let mismatch = RejectionKind::Integrity(IntegrityError::Mismatch { at: 20 });
    assert!(!mismatch.to_string().contains(USER));
}
