//! RFC 8489 §10 for a client with credentials.

use super::{
    ALGORITHMS, BEST_FIRST, Challenge, PLAIN, REALM, Requester, SERVER, authenticated, binding, challenge, error,
    event, id, integrity_of, kinds, last_note, long_term, md5, receive, requester, response, retried, send_request,
    sent, sent_request, sha256, success, unusable,
};
use crate::world::addr;
use core::time::Duration;
use portolan_machine::{Output, SocketId, Verdict};
use portolan_stun::{Attribute, AttributeType, Class, ErrorCode, Integrity, IntegrityError, IntegrityKey, Message};
use portolan_stun_agent::alternate::RedirectError;
use portolan_stun_agent::{AnswerFrom, ChallengeError, Request, Schedule, TransactionEvent, Transactions, Unusable};

const OTHER: &str = "192.0.2.2:3478";

fn redirection(request: &[u8], to: &str, signed: Option<(&IntegrityKey, Integrity)>) -> Vec<u8> {
    let error = Attribute::ErrorCode(ErrorCode::recommended(300).unwrap());
    response(request, Class::ErrorResponse, &[error, Attribute::AlternateServer(addr(to))], signed)
}

/// The request that was sent, and its destination.
fn sent_to(world: &mut Requester) -> (String, Vec<u8>) {
    match &world.outputs()[..] {
        [Output::Transmit(sent)] => (sent.remote.to_string(), sent.payload.to_vec()),
        other => panic!("one request, not {other:?}"),
    }
}

/// A request that was redirected to [`OTHER`], as it arrives there.
fn redirected() -> (Requester, Vec<u8>) {
    let mut world = authenticated(challenge(PLAIN, None));
    let request = sent_request(&mut world, &long_term());
    receive(&mut world, &redirection(&request, OTHER, Some((&md5(), Integrity::Sha1))));
    let (to, there) = sent_to(&mut world);
    assert_eq!(to, OTHER);
    assert_ne!(id(&there), id(&request));
    (world, there)
}

#[test]
fn rfc8489_10_a_verified_redirection_is_followed_with_the_same_credential() {
    let (mut world, there) = redirected();
    assert!(last_note(&world).contains("to 192.0.2.2:3478, send 1"));
    let note = &world.notes.0[world.notes.0.len() - 2];
    assert!(note.contains("redirected by 192.0.2.1:3478 to 192.0.2.2:3478"), "{note}");
    assert!(note.ends_with("[RFC 8489 §10]"));
    assert_eq!(kinds(&there), [], "the first request to that server (§9.2.3.1)");

    let refusal = challenge("another nonce", None).to(&there);
    assert_eq!(world.datagram(1, OTHER, &refusal), Verdict::Mine);
    let (to, retry) = sent_to(&mut world);
    assert_eq!(to, OTHER);
    assert!(Message::decode(&retry).unwrap().verify_with(&md5(), Integrity::Sha1).is_ok());
    assert_eq!(world.datagram(1, OTHER, &success(&retry, Some((&md5(), Integrity::Sha1)))), Verdict::Mine);
    let TransactionEvent::Answered(answer) = event(&mut world) else { panic!("answered") };
    assert_eq!((answer.tag, answer.from, answer.integrity), (7, addr(OTHER), Some(Integrity::Sha1)));

    // Now the client has a session with each server.
    for server in [SERVER, OTHER] {
        send_request(&mut world, Request::binding(SocketId(1), addr(server), 8), &long_term());
        assert!(Message::decode(&sent(&mut world)).unwrap().verify(&md5()).is_ok());
    }
}

#[test]
fn rfc8489_10_after_a_redirection_the_old_server_is_not_accepted() {
    let (mut world, there) = redirected();
    receive(&mut world, &success(&there, Some((&md5(), Integrity::Sha1))));
    assert!(matches!(event(&mut world), TransactionEvent::Elsewhere(_)));
}

#[test]
fn rfc8489_10_a_challenge_of_another_realm_after_a_redirection_is_not_answered() {
    let (mut world, there) = redirected();
    let refusal = challenge("another nonce", None).realm(Some("evil.example")).to(&there);
    assert_eq!(world.datagram(1, OTHER, &refusal), Verdict::Mine);
    assert_eq!(unusable(&mut world), Unusable::Challenge(ChallengeError::OtherRealm));
    assert!(last_note(&world).ends_with("[RFC 8489 §10]"));
}

#[test]
fn rfc8489_14_8_an_unverified_redirection_is_not_followed() {
    let wrong = IntegrityKey::short_term("guess");
    let cases =
        [(None, IntegrityError::Missing), (Some((&wrong, Integrity::Sha1)), IntegrityError::Mismatch { at: 56 })];
    for (signed, why) in cases {
        let mut world = authenticated(challenge(PLAIN, None));
        let request = sent_request(&mut world, &long_term());
        receive(&mut world, &redirection(&request, OTHER, signed));
        let lines = world.run(60_000);
        assert!(lines.iter().all(|line| !line.contains(OTHER)), "{lines:?}");
        assert!(lines[6].contains(&format!("{:?}", Unusable::Integrity(why))), "{}", lines[6]);
    }
}

#[test]
fn rfc8489_14_8_a_redirection_of_an_unauthenticated_request_is_not_followed() {
    let mut world = requester();
    let request = sent_request(&mut world, &long_term());
    receive(&mut world, &redirection(&request, OTHER, None));
    receive(&mut world, &redirection(&request, OTHER, Some((&md5(), Integrity::Sha1))));
    assert_eq!(world.lines(), [""; 0]);
    let retry = retried(&mut world, &request, challenge(PLAIN, None));
    receive(&mut world, &success(&retry, Some((&md5(), Integrity::Sha1))));
    assert_eq!(integrity_of(&event(&mut world)), Some(Integrity::Sha1), "the response of the right server is accepted");
}

#[test]
fn rfc8489_10_no_server_gets_a_request_twice_within_five_minutes() {
    let (mut world, there) = redirected();
    let refusal = challenge("another nonce", None).to(&there);
    assert_eq!(world.datagram(1, OTHER, &refusal), Verdict::Mine);
    let retry = sent(&mut world);
    let back = redirection(&retry, SERVER, Some((&md5(), Integrity::Sha1)));
    assert_eq!(world.datagram(1, OTHER, &back), Verdict::Mine);
    assert_eq!(unusable(&mut world), Unusable::Alternate(RedirectError::Circle));
    assert!(world.machine.is_empty());
}

#[test]
fn a_redirection_without_a_usable_server_ends_the_request() {
    for (to, why) in [("224.0.0.1:3478", RedirectError::Unaddressable), ("[2001:db8::9]:3478", RedirectError::NoServer)]
    {
        let mut world = authenticated(challenge(PLAIN, None));
        let request = sent_request(&mut world, &long_term());
        receive(&mut world, &redirection(&request, to, Some((&md5(), Integrity::Sha1))));
        assert_eq!(unusable(&mut world), Unusable::Alternate(why));
    }
    let mut world = authenticated(challenge(PLAIN, None));
    let request = sent_request(&mut world, &long_term());
    receive(&mut world, &error(&request, 300, Some((&md5(), Integrity::Sha1))));
    assert_eq!(unusable(&mut world), Unusable::Alternate(RedirectError::NoServer));
}

#[test]
fn the_number_of_transactions_of_one_request_is_bounded() {
    // Each server sends 401 with three realms, 438 once, and then a redirection. The realm of the first server is
    // kept.
    let mut world = requester();
    let (mut requests, mut at) = (0, addr(SERVER));
    send_request(&mut world, binding(7), &long_term());
    for hop in 0..6_u8 {
        let next = format!("192.0.2.{}:3478", 10 + hop);
        let realms: &[&str] = if hop == 0 { &["one", "two", "three"] } else { &["three"] };
        let mut request = sent(&mut world);
        requests += 1;
        for (n, realm) in realms.iter().enumerate() {
            let refusal = challenge(&format!("nonce {n}"), None).realm(Some(realm)).to(&request);
            assert_eq!(world.datagram(1, &at.to_string(), &refusal), Verdict::Mine);
            request = sent(&mut world);
            requests += 1;
        }
        let stale = Challenge { code: 438, ..challenge("fresh", None) }.to(&request);
        assert_eq!(world.datagram(1, &at.to_string(), &stale), Verdict::Mine);
        request = sent(&mut world);
        requests += 1;
        let key = IntegrityKey::long_term_md5(super::USER, "three", super::PASSWORD);
        let on = redirection(&request, &next, Some((&key, Integrity::Sha1)));
        assert_eq!(world.datagram(1, &at.to_string(), &on), Verdict::Mine);
        at = addr(&next);
    }
    assert_eq!(unusable(&mut world), Unusable::Alternate(RedirectError::TooMany));
    assert!(requests <= Transactions::<u32>::TRANSACTIONS, "{requests}");
    assert_eq!(Transactions::<u32>::TRANSACTIONS, 30);
}

#[test]
fn a_redirection_on_a_stream_is_reported_to_the_owner() {
    let mut world = authenticated(challenge(ALGORITHMS, Some(BEST_FIRST)));
    send_request(&mut world, binding(7).schedule(Schedule::reliable(Duration::from_secs(39))), &long_term());
    let request = sent(&mut world);
    let bytes = redirection(&request, OTHER, Some((&sha256(), Integrity::SHA256)));
    assert_eq!(world.stream(1, SERVER, &bytes), Verdict::Mine);
    let TransactionEvent::Answered(answer) = event(&mut world) else { panic!("no response") };
    assert_eq!(answer.integrity, Some(Integrity::SHA256));
    assert_eq!(Message::decode(&answer.message).unwrap().alternate_server(), Some(addr(OTHER)));
    let why = "not redirected by 192.0.2.1:3478: the stream of the request is not connected to the server of the \
               redirection";
    assert!(world.notes.0.iter().any(|note| note.contains(why)), "{:?}", world.notes.0);
}

#[test]
fn a_redirection_on_a_stream_to_the_same_server_ends_the_request() {
    let mut world = authenticated(challenge(PLAIN, None));
    send_request(&mut world, binding(7).schedule(Schedule::reliable(Duration::from_secs(39))), &long_term());
    let request = sent(&mut world);
    let bytes = redirection(&request, SERVER, Some((&md5(), Integrity::Sha1)));
    assert_eq!(world.stream(1, SERVER, &bytes), Verdict::Mine);
    assert_eq!(unusable(&mut world), Unusable::Alternate(RedirectError::Circle));
}

#[test]
fn a_request_with_a_fixed_response_address_is_not_redirected() {
    let mut world = authenticated(challenge(PLAIN, None));
    send_request(&mut world, binding(7).from(AnswerFrom::Exactly(addr(SERVER))), &long_term());
    let request = sent(&mut world);
    receive(&mut world, &redirection(&request, OTHER, Some((&md5(), Integrity::Sha1))));
    assert_eq!(integrity_of(&event(&mut world)), Some(Integrity::Sha1));
    assert!(world.notes.0.iter().any(|note| note.contains("accepts no response from the server of the redirection")));
}

#[test]
fn a_session_of_another_realm_is_not_used_after_a_redirection() {
    let mut world = authenticated(challenge(PLAIN, None));
    // The client has a session with the other server, in another realm.
    let key = IntegrityKey::long_term_md5(super::USER, "other.example", super::PASSWORD);
    send_request(&mut world, Request::binding(SocketId(1), addr(OTHER), 8), &long_term());
    let first = sent(&mut world);
    let refusal = challenge("there", None).realm(Some("other.example")).to(&first);
    assert_eq!(world.datagram(1, OTHER, &refusal), Verdict::Mine);
    let second = sent(&mut world);
    assert_eq!(world.datagram(1, OTHER, &success(&second, Some((&key, Integrity::Sha1)))), Verdict::Mine);
    event(&mut world);

    let request = sent_request(&mut world, &long_term());
    assert_eq!(Message::decode(&request).unwrap().realm().unwrap(), REALM);
    receive(&mut world, &redirection(&request, OTHER, Some((&md5(), Integrity::Sha1))));
    let there = sent(&mut world);
    assert!(!kinds(&there).contains(&AttributeType::REALM), "the request has no credentials before the challenge");
}
