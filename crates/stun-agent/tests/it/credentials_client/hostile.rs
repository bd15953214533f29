//! Hostile servers: no response causes a loop, is accepted without authentication, or reveals the password.

use super::{
    ALGORITHMS, ANONYMITY, BEST_FIRST, BOTH, Challenge, MD5_ONLY, PASSWORD, PLAIN, REALM, USER, challenge, long_term,
    md5, requester, response, sent_request, sha256, success,
};
use crate::world::{World, addr};
use alloc::collections::BTreeSet;
use core::net::SocketAddr;
use portolan_machine::{Output, SocketId};
use portolan_stun::{Attribute, Class, ErrorCode, Integrity, IntegrityKey, Message, PasswordAlgorithm, Verified};
use portolan_stun_agent::{Credential, Request, TransactionEvent, Transactions};
use proptest::prelude::*;

/// The response of a server to a request.
#[derive(Clone, Debug)]
struct Reply {
    code: Option<u16>,
    realm: Option<&'static str>,
    nonce: Option<&'static str>,
    algorithms: Option<&'static [PasswordAlgorithm<'static>]>,
    alternate: Option<SocketAddr>,
    signed: Signed,
}

/// The integrity of a response.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Signed {
    No,
    Wrongly(Integrity),
    /// With the key and the integrity attribute of its request.
    Rightly,
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let code = prop_oneof![
        4 => Just(Some(401)),
        3 => Just(Some(438)),
        2 => Just(Some(300)),
        2 => Just(None),
        1 => Just(Some(400)),
        1 => Just(Some(420)),
    ];
    let realm = prop_oneof![4 => Just(Some(REALM)), 1 => Just(Some("one")), 1 => Just(Some("two")), 1 => Just(None)];
    let nonces = [PLAIN, ALGORITHMS, ANONYMITY, BOTH, "obMatJos2AAAAn2", "obMatJos2gAAAn2", "obMatJos2wAAAn3", "n"];
    let nonce = prop_oneof![12 => prop::sample::select(nonces.to_vec()).prop_map(Some), 1 => Just(None)];
    let algorithms = prop_oneof![3 => Just(None), 3 => Just(Some(BEST_FIRST)), 1 => Just(Some(MD5_ONLY))];
    let alternate = prop_oneof![
        1 => Just(None),
        4 => (1..6_u8).prop_map(|n| Some(SocketAddr::from(([192, 0, 2, n], 3478)))),
    ];
    let signed = prop_oneof![
        3 => Just(Signed::Rightly),
        2 => Just(Signed::No),
        1 => Just(Signed::Wrongly(Integrity::Sha1)),
        1 => Just(Signed::Wrongly(Integrity::SHA256)),
    ];
    (code, realm, nonce, algorithms, alternate, signed).prop_map(
        |(code, realm, nonce, algorithms, alternate, signed)| Reply {
            code,
            realm,
            nonce,
            algorithms,
            alternate,
            signed,
        },
    )
}

/// The key of a request, and the integrity attribute of its response.
fn keys(request: &Message<'_>) -> Option<(IntegrityKey, Integrity)> {
    let realm = request.realm().and_then(|realm| realm.as_str().map(String::from)).unwrap_or_default();
    let keys = [
        (IntegrityKey::short_term(PASSWORD), Integrity::SHA256),
        (IntegrityKey::short_term(PASSWORD), Integrity::Sha1),
        (IntegrityKey::long_term_sha256(USER, &realm, PASSWORD), Integrity::SHA256),
        (IntegrityKey::long_term_md5(USER, &realm, PASSWORD), Integrity::SHA256),
        (IntegrityKey::long_term_md5(USER, &realm, PASSWORD), Integrity::Sha1),
    ];
    keys.into_iter().find(|(key, integrity)| request.verify_with(key, *integrity).is_ok())
}

fn write(request: &[u8], reply: &Reply) -> Vec<u8> {
    let message = Message::decode(request).unwrap();
    let listed: Vec<u8> = reply.algorithms.unwrap_or_default().iter().flat_map(|a| [0, a.number as u8, 0, 0]).collect();
    let kind = portolan_stun::AttributeType::PASSWORD_ALGORITHMS;
    let attributes: Vec<_> = [
        reply.code.map(|code| Attribute::ErrorCode(ErrorCode::recommended(code).unwrap())),
        reply.realm.filter(|_| reply.code.is_some()).map(|realm| Attribute::Realm(realm.into())),
        reply.nonce.filter(|_| reply.code.is_some()).map(|nonce| Attribute::Nonce(nonce.into())),
        reply.algorithms.filter(|_| reply.code.is_some()).map(|_| Attribute::Unknown { kind, value: &listed }),
        reply.alternate.map(Attribute::AlternateServer),
    ]
    .into_iter()
    .flatten()
    .collect();
    let class = if reply.code.is_some() { Class::ErrorResponse } else { Class::SuccessResponse };
    let (wrong, right) = (IntegrityKey::short_term("guess"), keys(&message));
    let signed = match reply.signed {
        Signed::No => None,
        Signed::Wrongly(integrity) => Some((&wrong, integrity)),
        Signed::Rightly => right.as_ref().map(|(key, integrity)| (key, *integrity)),
    };
    response(request, class, &attributes, signed)
}

fn any_credential() -> impl Strategy<Value = Credential> {
    prop_oneof![
        4 => Just(long_term()),
        1 => Just(Credential::long_term_anonymous(USER, PASSWORD)),
        1 => Just(Credential::short_term(USER, PASSWORD)),
        1 => Just(Credential::short_term_with(USER, PASSWORD, Integrity::Sha1)),
    ]
}

/// Whether the holder of the password signed a message as an answer to this request.
fn is_signed_for<'a>(answer: &Message<'a>, request: &[u8]) -> Option<Verified<'a>> {
    let (key, _) = keys(&Message::decode(request).unwrap())?;
    answer.verify(&key).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn with_any_responses_requests_end_and_accept_only_authenticated_responses(
        credential in any_credential(),
        replies in proptest::collection::vec(any_reply(), 1..80),
        count in 1..4_u32,
    ) {
        let mut world = World::new(Transactions::<u32>::new());
        let mut replies = replies.iter();
        for tag in 0..count {
            let request = Request::binding(SocketId(1), addr("192.0.2.1:3478"), tag);
            world.with(|machine, cx| machine.request_with(cx, request, credential.clone())).unwrap();
            let (mut sent, mut seen) = (vec![], BTreeSet::new());
            'request: loop {
                for output in world.outputs() {
                    match output {
                        Output::Transmit(transmit) => {
                            let bytes = transmit.payload.to_vec();
                            prop_assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()));
                            let message = Message::decode(&bytes).unwrap();
                            let has_nonce = message.nonce().is_some();
                            prop_assert!(!has_nonce || keys(&message).is_some(), "a request with a nonce is signed");
                            seen.insert(message.transaction_id());
                            sent.push((transmit.remote, bytes));
                        }
                        Output::Event(TransactionEvent::Answered(answer)) => {
                            prop_assert_eq!(answer.tag, tag);
                            let (_, request) = sent.iter().find(|(_, bytes)| super::id(bytes) == answer.id).unwrap();
                            let is_authenticated = keys(&Message::decode(request).unwrap()).is_some();
                            let message = Message::decode(&answer.message).unwrap();
                            prop_assert_eq!(answer.integrity.is_some(), is_authenticated);
                            prop_assert_eq!(is_signed_for(&message, request).is_some(), is_authenticated);
                            break 'request;
                        }
                        Output::Event(_) => break 'request,
                        Output::Socket(_) | Output::Wait(_) => unreachable!("requests have no such output"),
                    }
                }
                let (remote, request) = sent.last().cloned().unwrap();
                match replies.next() {
                    Some(reply) => {
                        let _verdict = world.datagram(1, &remote.to_string(), &write(&request, reply));
                    }
                    // Without a response the pending request is retransmitted, and ends.
                    None => {
                        let until = world.now + 60_000;
                        let lines = world.run(until);
                        prop_assert!(lines.last().is_some_and(|line| line.contains("xhausted") || line.contains("Unusable")));
                        break 'request;
                    }
                }
            }
            prop_assert!(seen.len() as u32 <= Transactions::<u32>::TRANSACTIONS, "{} transactions", seen.len());
            prop_assert!(world.machine.is_empty());
        }
    }
}

#[test]
fn valid_responses_reach_all_stages_of_the_property() {
    // This test shows that the responses of the property above can reach a challenge, a redirection and a success.
    let valid = |code, nonce, signed| Reply {
        code,
        realm: Some(REALM),
        nonce: Some(nonce),
        algorithms: Some(BEST_FIRST),
        alternate: Some(addr("192.0.2.2:3478")),
        signed,
    };
    let mut world = requester();
    let mut request = sent_request(&mut world, &long_term());
    for reply in [
        valid(Some(401), ALGORITHMS, Signed::No),
        valid(Some(438), "obMatJos2gAAAn2", Signed::No),
        valid(Some(300), "obMatJos2gAAAn2", Signed::Rightly),
    ] {
        assert_eq!(world.datagram(1, "192.0.2.1:3478", &write(&request, &reply)), portolan_machine::Verdict::Mine);
        request = super::sent(&mut world);
    }
    let challenge: Challenge<'_> = challenge(ALGORITHMS, Some(BEST_FIRST));
    let _verdict = world.datagram(1, "192.0.2.2:3478", &challenge.to(&request));
    request = super::sent(&mut world);
    let bytes = write(&request, &valid(None, ALGORITHMS, Signed::Rightly));
    let _verdict = world.datagram(1, "192.0.2.2:3478", &bytes);
    assert_eq!(super::integrity_of(&super::event(&mut world)), Some(Integrity::SHA256));
}

#[test]
fn a_response_with_any_bit_flipped_is_not_accepted() {
    let short = |only| Credential::short_term_with(USER, PASSWORD, only);
    let password = IntegrityKey::short_term(PASSWORD);
    let cases = [
        (short(Integrity::Sha1), None, password.clone(), Integrity::Sha1),
        (short(Integrity::SHA256), None, password, Integrity::SHA256),
        (long_term(), Some(challenge(PLAIN, None)), md5(), Integrity::Sha1),
        (long_term(), Some(challenge(BOTH, Some(BEST_FIRST))), sha256(), Integrity::SHA256),
    ];
    for (credential, challenge, key, integrity) in cases {
        let mut world = requester();
        let mut request = sent_request(&mut world, &credential);
        if let Some(challenge) = challenge {
            request = super::retried(&mut world, &request, challenge);
        }
        let valid = success(&request, Some((&key, integrity)));
        for bit in 0..valid.len() * 8 {
            let mut flipped = valid.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _verdict = world.datagram(1, "192.0.2.1:3478", &flipped);
            assert_eq!(world.lines(), [""; 0], "bit {bit} of {flipped:02x?}");
        }
        let _verdict = world.datagram(1, "192.0.2.1:3478", &valid);
        assert_eq!(
            super::integrity_of(&super::event(&mut world)),
            Some(integrity),
            "the unchanged response is accepted"
        );
    }
}
