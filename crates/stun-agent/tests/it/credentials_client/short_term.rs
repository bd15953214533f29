//! RFC 8489 §9.1 for a client.

use super::{
    PASSWORD, SERVER, USER, binding, error, event, integrity_of, kinds, last_note, receive, requester, send_request,
    sent, sent_request, success, unusable,
};
use crate::world::addr;
use core::time::Duration;
use portolan_machine::{SocketId, Verdict};
use portolan_stun::{
    Attribute, AttributeType, Class, Integrity, IntegrityError, IntegrityKey, Message, Method, Writer,
};
use portolan_stun_agent::{Credential, Request, RequestError, Schedule, TransactionEvent, Unusable};

const SHA1: AttributeType = AttributeType::MESSAGE_INTEGRITY;
const SHA256: AttributeType = AttributeType::MESSAGE_INTEGRITY_SHA256;

fn short_term() -> Credential {
    Credential::short_term(USER, PASSWORD)
}

fn key() -> IntegrityKey {
    IntegrityKey::short_term(PASSWORD)
}

#[test]
fn rfc8489_9_1_2_a_request_has_the_username_and_both_integrity_attributes() {
    let request = sent_request(&mut requester(), &short_term());
    assert_eq!(kinds(&request), [AttributeType::USERNAME, SHA1, SHA256]);
    let message = Message::decode(&request).unwrap();
    for integrity in [Integrity::Sha1, Integrity::SHA256] {
        assert_eq!(message.verify_with(&key(), integrity).unwrap().username().unwrap(), USER);
    }
}

#[test]
fn rfc8489_9_1_2_a_request_has_only_the_integrity_attribute_that_both_sides_support() {
    for (only, kind) in [(Integrity::Sha1, SHA1), (Integrity::SHA256, SHA256)] {
        let mut world = requester();
        send_request(&mut world, binding(7).fingerprint(), &Credential::short_term_with(USER, PASSWORD, only));
        let request = sent(&mut world);
        assert_eq!(kinds(&request), [AttributeType::USERNAME, kind, AttributeType::FINGERPRINT]);
        let message = Message::decode(&request).unwrap();
        assert!(message.verify_with(&key(), only).is_ok());
        assert_eq!(message.check_fingerprint(), Ok(()));
    }
}

#[test]
fn rfc8489_9_1_4_after_both_integrity_attributes_a_response_may_have_either() {
    for integrity in [Integrity::Sha1, Integrity::SHA256] {
        let mut world = requester();
        let request = sent_request(&mut world, &short_term());
        receive(&mut world, &success(&request, Some((&key(), integrity))));
        assert_eq!(integrity_of(&event(&mut world)), Some(integrity));
    }
}

#[test]
fn rfc8489_9_1_4_after_one_integrity_attribute_a_response_must_have_the_same() {
    for (only, other) in [(Integrity::Sha1, Integrity::SHA256), (Integrity::SHA256, Integrity::Sha1)] {
        let mut world = requester();
        let request = sent_request(&mut world, &Credential::short_term_with(USER, PASSWORD, only));
        receive(&mut world, &success(&request, Some((&key(), other))));
        assert_eq!(world.lines(), [""; 0]);
        assert_eq!(
            last_note(&world),
            "message from 192.0.2.1:3478 dropped: short-term credentials are in use and the message has no integrity \
             attribute of the requested kind [RFC 8489 §9.1.4]"
        );
        receive(&mut world, &success(&request, Some((&key(), only))));
        assert_eq!(integrity_of(&event(&mut world)), Some(only));
    }
}

#[test]
fn rfc8489_9_1_4_over_udp_an_unverified_response_is_ignored() {
    let wrong = IntegrityKey::short_term("guess");
    let mismatch = IntegrityError::Mismatch { at: 32 };
    let cases = [(None, IntegrityError::Missing), (Some((&wrong, Integrity::SHA256)), mismatch)];
    for (signed, why) in cases {
        let mut world = requester();
        let request = sent_request(&mut world, &short_term());
        receive(&mut world, &success(&request, signed));
        let lines = world.run(60_000);
        assert_eq!(lines.len(), 7, "six retransmissions, then the end: {lines:?}");
        assert!(lines[6].starts_with(" 39500 Unusable"), "{}", lines[6]);
        assert!(lines[6].contains(&format!("{:?}", Unusable::Integrity(why))), "{}", lines[6]);
    }
}

#[test]
fn rfc8489_9_1_4_after_a_forged_response_the_valid_one_is_accepted() {
    let mut world = requester();
    let request = sent_request(&mut world, &short_term());
    for _ in 0..3 {
        receive(&mut world, &success(&request, None));
        receive(&mut world, &error(&request, 401, None));
        receive(&mut world, &super::response(&request, Class::ErrorResponse, &[], None));
    }
    let unknown = Attribute::Unknown { kind: AttributeType::new(0x7fff), value: &[] };
    receive(&mut world, &super::response(&request, Class::SuccessResponse, &[unknown], None));
    assert_eq!(world.lines(), [""; 0], "an unauthenticated response does not end the request");
    receive(
        &mut world,
        &super::response(&request, Class::SuccessResponse, &[unknown], Some((&key(), Integrity::Sha1))),
    );
    assert_eq!(unusable(&mut world), Unusable::UnknownAttribute(AttributeType::new(0x7fff)));
}

#[test]
fn rfc8489_9_1_4_without_any_response_the_request_times_out() {
    let mut world = requester();
    sent_request(&mut world, &short_term());
    assert_eq!(world.run(60_000).last().unwrap(), " 39500 7 exhausted: 7 sends, 0 answers");
}

#[test]
fn rfc8489_9_1_4_over_a_stream_an_unverified_response_ends_the_request() {
    let mut world = requester();
    let reliable = binding(7).schedule(Schedule::reliable(Duration::from_millis(39_500)));
    send_request(&mut world, reliable, &short_term());
    let request = sent(&mut world);
    assert_eq!(world.stream(1, SERVER, &success(&request, None)), Verdict::Mine);
    assert_eq!(unusable(&mut world), Unusable::Integrity(IntegrityError::Missing));
    assert!(world.machine.is_empty());
}

#[test]
fn rfc8489_9_1_4_a_verified_error_response_is_accepted() {
    let mut world = requester();
    let request = sent_request(&mut world, &short_term());
    receive(&mut world, &error(&request, 487, Some((&key(), Integrity::SHA256))));
    assert_eq!(integrity_of(&event(&mut world)), Some(Integrity::SHA256));
}

#[test]
fn rfc8489_9_1_5_later_requests_have_the_integrity_attribute_of_the_response() {
    for (integrity, kind) in [(Integrity::Sha1, SHA1), (Integrity::SHA256, SHA256)] {
        let mut world = requester();
        let request = sent_request(&mut world, &short_term());
        receive(&mut world, &success(&request, Some((&key(), integrity))));
        event(&mut world);
        let later = sent_request(&mut world, &short_term());
        assert_eq!(kinds(&later), [AttributeType::USERNAME, kind]);

        // "Same server" means same address and port.
        for other in ["192.0.2.1:3479", "192.0.2.2:3478"] {
            send_request(&mut world, Request::binding(SocketId(1), addr(other), 8), &short_term());
            assert_eq!(kinds(&sent(&mut world)), [AttributeType::USERNAME, SHA1, SHA256]);
        }
        let other = sent_request(&mut world, &Credential::short_term(USER, "another"));
        assert_eq!(kinds(&other), [AttributeType::USERNAME, SHA1, SHA256], "another credential");
    }
}

#[test]
fn a_repeating_request_accepts_each_verified_response() {
    let mut world = requester();
    let schedule = Schedule::at_millis([0, 90]).tail(Duration::from_millis(100)).repeat(true);
    send_request(&mut world, binding(7).schedule(schedule), &short_term());
    let request = sent(&mut world);
    receive(&mut world, &success(&request, Some((&key(), Integrity::SHA256))));
    receive(&mut world, &success(&request, Some((&key(), Integrity::Sha1))));
    receive(&mut world, &success(&request, Some((&key(), Integrity::SHA256))));
    let lines = world.run(1000);
    assert_eq!(
        lines.iter().filter(|line| line.contains("7 answered by")).count(),
        2,
        "with one integrity attribute: {lines:?}"
    );
    assert_eq!(lines.last().unwrap(), "   190 7 exhausted: 2 sends, 2 answers");
}

#[test]
fn a_request_that_cannot_be_signed_is_refused() {
    let mut world = requester();
    let long = Credential::short_term(&"u".repeat(509), PASSWORD);
    let refused = world.with(|machine, cx| machine.request_with(cx, binding(7), long));
    assert!(matches!(refused, Err(RequestError::Encode(_))), "{refused:?}");
    let fits = Credential::short_term(&"u".repeat(508), PASSWORD);
    assert!(world.with(|machine, cx| machine.request_with(cx, binding(7), fits)).is_ok());
    let with_username = binding(7).attribute(&Attribute::Username("me".into())).unwrap();
    let refused = world.with(|machine, cx| machine.request_with(cx, with_username, short_term()));
    assert_eq!(refused, Err(RequestError::Reserved(AttributeType::USERNAME)));
    for tag in 1..255 {
        send_request(&mut world, binding(tag), &short_term());
    }
    let refused = world.with(|machine, cx| machine.request_with(cx, binding(7), short_term()));
    assert_eq!(refused, Err(RequestError::Full { limit: 255 }));
}

#[test]
fn an_accepted_response_shows_only_attributes_that_the_integrity_covers() {
    let mut world = requester();
    let request = sent_request(&mut world, &short_term());
    let valid = success(&request, Some((&key(), Integrity::Sha1)));
    let mut extended = valid;
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, super::id(&request)).unwrap();
    writer.add(&Attribute::XorRelayedAddress(addr("203.0.113.66:6666"))).unwrap();
    extended.extend(&writer.finish()[20..]);
    let length = (extended.len() - 20) as u16;
    extended[2..4].copy_from_slice(&length.to_be_bytes());
    receive(&mut world, &extended);
    let TransactionEvent::Answered(answer) = event(&mut world) else {
        panic!("the response is verified, because the integrity does not cover the added attribute")
    };
    let message = Message::decode(&answer.message).unwrap();
    assert_eq!(message.xor_relayed_address(), None);
    assert_eq!(message.xor_mapped_address(), Some(addr(super::MAPPED)));
}

#[test]
fn debug_shows_no_secret_of_a_credential() {
    for credential in [short_term(), super::long_term(), Credential::long_term_anonymous(USER, PASSWORD)] {
        let mut world = requester();
        sent_request(&mut world, &credential);
        let printed = format!("{credential:?} {:?}", world.machine);
        assert!(printed.contains("Credential("));
        assert!(!printed.contains(PASSWORD), "{printed}");
        assert!(!format!("{credential:?}").contains(USER));
    }
}
