//! Hostile requests: flipped bits in signed requests, nonces of other clients, and random attributes.

use super::*;
use crate::responses::{Server, config};
use crate::world::World;
use portolan_machine::{Output, SocketId};
use portolan_stun_agent::{Rate, Responder, nonce::NonceError};
use proptest::prelude::*;

/// Offset of the first integrity attribute, and the end of the last.
fn integrity(bytes: &[u8]) -> (usize, usize) {
    let of = |kind| matches!(kind, AttributeType::MESSAGE_INTEGRITY | AttributeType::MESSAGE_INTEGRITY_SHA256);
    let fields = || Message::decode(bytes).unwrap().fields().filter(move |field| of(field.kind));
    let last = fields().last().unwrap();
    (fields().next().unwrap().at, last.at + 4 + last.value.len())
}

fn short_term() -> Authenticator {
    let mut users = Users::short_term();
    users.add(USER, PASSWORD).unwrap();
    Authenticator::short_term(users)
}

#[test]
fn a_signed_request_with_any_bit_flipped_is_not_admitted() {
    let nonce = nonce(&long_term(), 0, CLIENT);
    let named = [Attribute::Username(USER.into()), Attribute::Software("portolan".into())];
    let key = IntegrityKey::short_term(PASSWORD);
    for sign in [Sign::Sha1, Sign::Sha256, Sign::Both] {
        for (authenticator, draft) in [
            (long_term(), Draft { sign, ..Draft::complete(&nonce) }),
            (long_term(), Draft { sign, ..Draft::rfc5389(&nonce) }),
            (short_term(), Draft::new(&named, key.clone(), sign)),
        ] {
            let original = Draft { fingerprint: true, ..draft }.bytes();
            let (first, end) = integrity(&original);
            let (mut flipped, mut refused) = (0, 0);
            for bit in 0..original.len() * 8 {
                let mut bytes = original.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let Ok(request) = Message::decode(&bytes) else { continue };
                flipped += 1;
                let Judgement::Admitted(admitted) = authenticator.judge(at(1), addr(CLIENT), &request) else {
                    refused += 1;
                    continue;
                };
                // An admitted message has the signed attributes. Only bytes that no integrity covers differ.
                let read: Vec<_> = admitted.message.fields().take_while(|field| field.at < first).collect();
                let written = Message::decode(&original).unwrap();
                assert_eq!(read, written.fields().take_while(|field| field.at < first).collect::<Vec<_>>());
                assert_eq!(bytes[..first], original[..first], "bit {bit}");
                // MESSAGE-INTEGRITY does not cover MESSAGE-INTEGRITY-SHA256. If that is hidden, the weaker one is
                // verified.
                let hides_sha256 = sign == Sign::Both && (first + 24..first + 28).contains(&(bit / 8));
                assert!(bit / 8 >= end || hides_sha256, "bit {bit} of {sign:?}");
            }
            assert!(refused >= (end - 20) * 8 - 64 && flipped > refused, "{refused} of {flipped}");
        }
    }
}

#[test]
fn a_responder_rejects_a_request_with_any_bit_flipped() {
    let mut world = serving(long_term());
    let nonce = nonce(&long_term(), 0, CLIENT);
    let original = Draft { fingerprint: true, ..Draft::complete(&nonce) }.bytes();
    for bit in 0..original.len() * 8 {
        let mut bytes = original.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _verdict = world.datagram(1, CLIENT, &bytes);
        for output in world.outputs() {
            let Output::Transmit(reply) = output else { panic!("only replies") };
            // With a flipped type, FINGERPRINT is an attribute after the integrity, which is ignored.
            let hidden = (original.len() - 8..original.len() - 6).contains(&(bit / 8));
            assert!(code(&reply.payload).is_some() || hidden, "bit {bit}");
        }
    }
}

fn serving(authenticator: Authenticator) -> Server {
    let rate: Option<Rate> = None;
    let config = config(&["192.0.2.1:3478"], &[]).credentials(authenticator).rate(rate);
    World::new(Responder::over(&config, |_| SocketId(1)).unwrap())
}

/// Attributes of credentials with values near the right ones, and others.
fn any_attribute() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let credentials = prop_oneof![
        Just((0x0006, USER.as_bytes().to_vec())),
        Just((0x0014, REALM.as_bytes().to_vec())),
        Just((0x0015, nonce(&long_term(), 0, CLIENT).into_bytes())),
        Just((0x001d, vec![0, 2, 0, 0])),
        Just((0x8002, vec![0, 2, 0, 0, 0, 1, 0, 0])),
        Just((0x0008, vec![1; 20])),
        Just((0x001c, vec![1; 32])),
        Just((0x001e, portolan_stun::userhash(USER, REALM).to_vec())),
    ];
    let kinds = prop_oneof![
        Just(0x0006_u16),
        Just(0x0014),
        Just(0x0015),
        Just(0x001d),
        Just(0x8002),
        Just(0x0008),
        Just(0x001c),
        Just(0x001e),
        Just(0x0003),
        Just(0x0027),
        Just(0x8028),
        any::<u16>(),
    ];
    prop_oneof![3 => credentials, 2 => (kinds, proptest::collection::vec(any::<u8>(), 0..50))]
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any_attribute(), 0..9).prop_map(|attributes| {
        let mut bytes = Draft::new(&[], IntegrityKey::short_term(""), Sign::Nothing).bytes();
        for (kind, value) in attributes {
            bytes.extend(u16::to_be_bytes(kind).into_iter().chain(u16::to_be_bytes(value.len() as u16)).chain(value));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A request without the key gets a rejection of bounded length, and leaves no state.
    #[test]
    fn requests_without_the_key_get_only_short_rejections(requests in proptest::collection::vec(any_request(), 1..6), short in any::<bool>()) {
        let authenticator = if short { short_term() } else { long_term() };
        let mut world = serving(authenticator.clone());
        for bytes in &requests {
            let _verdict = world.datagram(1, CLIENT, bytes);
            for output in world.outputs() {
                let Output::Transmit(reply) = output else { panic!("only replies") };
                prop_assert!(matches!(code(&reply.payload), Some(400 | 401)), "{:?}", code(&reply.payload));
                let longest = match (code(&reply.payload), short) { (Some(401), false) => 116, (Some(401), true) => 44, _ => 40 };
                prop_assert!(reply.payload.len() <= longest + 8, "{} bytes", reply.payload.len());
                let integrities = [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256];
                prop_assert!(!kinds(&reply.payload).iter().any(|kind| integrities.contains(kind)));
            }
        }
        // A later request gets the same response as from a new responder.
        let last = requests.last().unwrap();
        let _verdict = world.datagram(1, CLIENT, last);
        let mut fresh = serving(authenticator);
        let _verdict = fresh.datagram(1, CLIENT, last);
        prop_assert_eq!(world.outputs(), fresh.outputs());
    }

    /// No bytes cause a panic, or a response to a message that is not a request.
    #[test]
    fn only_requests_are_rejected_and_no_bytes_panic(bytes in prop_oneof![any_request(), proptest::collection::vec(any::<u8>(), 0..100)], seconds: u64) {
        if let Ok(message) = Message::decode(&bytes) {
            for authenticator in [short_term(), long_term()] {
                let judged = authenticator.judge(at(seconds), addr(CLIENT), &message);
                prop_assert!(!matches!(judged, Judgement::Admitted(_)));
                prop_assert_eq!(matches!(judged, Judgement::Rejected(_)), message.class() == Class::Request);
            }
        }
    }

    /// A valid signature over a nonce of another address is 438, for all addresses and times.
    #[test]
    fn the_nonce_of_another_address_is_438(own: ([u8; 4], u16), other: ([u8; 4], u16), given in 0..100_000_u64, later in 0..100_000_u64) {
        prop_assume!(own != other);
        let (own, other) = (core::net::SocketAddr::from(own), core::net::SocketAddr::from(other));
        let nonce = nonce(&long_term(), given, &other.to_string());
        for draft in [Draft::complete(&nonce), Draft::rfc5389(&nonce)] {
            let bytes = draft.bytes();
            let judged = long_term().judge(at(given + later), own, &Message::decode(&bytes).unwrap());
            let Judgement::Rejected(why) = judged else { panic!("{judged:?}") };
            prop_assert_eq!((why.code(), why.kind), (438, RejectionKind::Nonce(NonceError::NotOurs)));
            let taken = long_term().judge(at(given + later), other, &Message::decode(&bytes).unwrap());
            prop_assert_eq!(matches!(taken, Judgement::Admitted(_)), later < 600);
        }
    }
}

#[test]
fn the_nonce_of_a_related_address_is_valid_only_for_a_message_with_a_correct_integrity() {
    const OTHER: &str = "192.0.2.1:40001";
    let authenticator = long_term();
    let nonce = nonce(&authenticator, 0, OTHER);
    let judge = |seconds, bytes: &[u8], related: Option<&str>| {
        let mut calls = 0;
        let message = Message::decode(bytes).unwrap();
        let judged = authenticator.judge_related(at(seconds), addr(CLIENT), &message, |admitted| {
            assert_eq!(&*admitted.username, USER);
            calls += 1;
            related.map(addr)
        });
        let kind = match judged {
            Judgement::Admitted(_) => None,
            Judgement::Rejected(why) | Judgement::Discarded(why) => Some(why.kind),
        };
        (kind, calls)
    };
    for draft in [Draft::complete(&nonce), Draft::rfc5389(&nonce)] {
        let mut bytes = draft.bytes();
        assert_eq!(judge(599, &bytes, Some(OTHER)), (None, 1));
        assert_eq!(judge(600, &bytes, Some(OTHER)), (Some(RejectionKind::Nonce(NonceError::Expired)), 1));
        for related in [None, Some(CLIENT), Some("192.0.2.1:40002"), Some("192.0.2.2:40001")] {
            assert_eq!(judge(1, &bytes, related), (Some(RejectionKind::Nonce(NonceError::NotOurs)), 1), "{related:?}");
        }
        *bytes.last_mut().unwrap() ^= 1;
        let (kind, calls) = judge(1, &bytes, Some(OTHER));
        assert!(matches!(kind, Some(RejectionKind::Integrity(_))) && calls == 0, "{kind:?} {calls}");
    }
    // The owner is not asked about a nonce of the source, nor about one of the source that has expired.
    let own = self::nonce(&authenticator, 0, CLIENT);
    let bytes = Draft::complete(&own).bytes();
    assert_eq!(judge(1, &bytes, None), (None, 0));
    assert_eq!(judge(600, &bytes, Some(OTHER)), (Some(RejectionKind::Nonce(NonceError::Expired)), 0));
}
