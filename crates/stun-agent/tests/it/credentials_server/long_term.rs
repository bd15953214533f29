//! RFC 8489 §9.2.4 in its order, §9.2.1, and the rules of §14 for the attributes of a server.

use super::*;
use portolan_stun::{IntegrityError, ResponseClass, Text, userhash};
use portolan_stun_agent::authenticator::{AuthenticatorError, UsersError};
use portolan_stun_agent::nonce::{Features, NonceError};

const CHALLENGE: [AttributeType; 4] =
    [AttributeType::ERROR_CODE, AttributeType::REALM, AttributeType::NONCE, AttributeType::PASSWORD_ALGORITHMS];

fn fresh() -> String {
    nonce(&long_term(), 0, CLIENT)
}

fn judged(draft: &Draft<'_>) -> JudgeResult {
    judge(&long_term(), 1, &draft.bytes())
}

fn is_challenge(reply: &[u8], expected: u16) {
    let message = Message::decode(reply).unwrap();
    assert_eq!((message.class(), message.transaction_id()), (Class::ErrorResponse, ID.into()));
    assert_eq!((code(reply), kinds(reply)), (Some(expected), CHALLENGE.to_vec()));
    assert_eq!(message.realm().unwrap(), REALM);
    assert!(message.password_algorithms().unwrap().iter().eq(OFFER));
}

#[test]
fn rfc8489_9_2_4_without_integrity_the_response_is_401_with_realm_nonce_and_algorithms() {
    let nonce = fresh();
    for draft in [
        Draft::new(&[], IntegrityKey::short_term(""), Sign::Nothing),
        Draft { sign: Sign::Nothing, ..Draft::complete(&nonce) },
    ] {
        assert_eq!(judged(&draft), Err((Some(401), RejectionKind::Unsigned)));
        let reply = rejection(&long_term(), 0, CLIENT, &draft.bytes());
        is_challenge(&reply, 401);
        let features = Features::of(Message::decode(&reply).unwrap().nonce().unwrap().as_bytes()).unwrap();
        assert_eq!(features, Features::PASSWORD_ALGORITHMS.with(Features::USERNAME_ANONYMITY), "§18.1");
    }
}

#[test]
fn rfc8489_9_2_4_no_two_sources_get_the_same_nonce() {
    let sources = [CLIENT, "198.51.100.7:40001", "198.51.100.8:40000", "[2001:db8::7]:40000"];
    let given: Vec<_> = sources.iter().map(|source| nonce(&long_term(), 0, source)).collect();
    for (n, nonce) in given.iter().enumerate() {
        assert!(!given[..n].contains(nonce), "{given:?}");
        assert!(nonce.chars().count() < 128, "§14.10");
    }
}

#[test]
fn rfc8489_9_2_4_without_username_realm_or_nonce_the_response_is_a_bare_400() {
    let nonce = fresh();
    for missing in [AttributeType::USERNAME, AttributeType::REALM, AttributeType::NONCE] {
        for draft in [Draft::complete(&nonce), Draft::rfc5389(&nonce)] {
            let draft = draft.without(missing);
            assert_eq!(judged(&draft), Err((Some(400), RejectionKind::Incomplete)), "{missing}");
            let reply = rejection(&long_term(), 1, CLIENT, &draft.bytes());
            assert_eq!((code(&reply), kinds(&reply)), (Some(400), vec![AttributeType::ERROR_CODE]));
        }
    }
    // §14.4: a USERHASH has 32 bytes.
    let short = Attribute::Unknown { kind: AttributeType::USERHASH, value: &[7; 28] };
    let draft = Draft::complete(&nonce).without(AttributeType::USERNAME).with(short);
    assert_eq!(judged(&draft), Err((Some(400), RejectionKind::Incomplete)));
}

#[test]
fn rfc8489_9_2_4_with_neither_algorithm_attribute_the_password_is_md5() {
    let nonce = fresh();
    for sign in [Sign::Sha1, Sign::Sha256, Sign::Both] {
        assert_eq!(judged(&Draft { sign, ..Draft::rfc5389(&nonce) }), Ok(USER.into()), "{sign:?}");
        let sha256 = IntegrityKey::long_term_sha256(USER, REALM, PASSWORD);
        let other = judged(&Draft { sign, key: sha256, ..Draft::rfc5389(&nonce) });
        assert!(matches!(other, Err((Some(401), RejectionKind::Integrity(_)))), "{other:?}");
    }
}

#[test]
fn rfc8489_9_2_4_both_algorithm_attributes_must_be_present_and_match() {
    let nonce = fresh();
    let (md5, sha256) = (PasswordAlgorithm::MD5, PasswordAlgorithm::SHA256);
    let odd = PasswordAlgorithm { number: 1, parameters: &[1] };
    let third = PasswordAlgorithm { number: 3, parameters: &[] };
    let cases: [(Option<PasswordAlgorithm<'_>>, Option<&[PasswordAlgorithm<'_>]>); 11] = [
        (Some(sha256), None),
        (None, Some(&OFFER)),
        // An attacker on the path removed the stronger algorithm, or changed the order (§9.2.1).
        (Some(md5), Some(&[md5])),
        (Some(md5), Some(&[md5, sha256])),
        (Some(sha256), Some(&[sha256])),
        (Some(sha256), Some(&[sha256, md5, third])),
        (Some(sha256), Some(&[sha256, md5, md5])),
        (Some(sha256), Some(&[])),
        (Some(sha256), Some(&[sha256, odd])),
        (Some(third), Some(&OFFER)),
        (Some(odd), Some(&OFFER)),
    ];
    for (chosen, algorithms) in cases {
        let mut draft = Draft { algorithms, ..Draft::complete(&nonce).without(AttributeType::PASSWORD_ALGORITHM) };
        draft.attributes.extend(chosen.map(Attribute::PasswordAlgorithm));
        assert_eq!(judged(&draft), Err((Some(400), RejectionKind::Algorithms)), "{chosen:?} of {algorithms:?}");
        let reply = rejection(&long_term(), 1, CLIENT, &draft.bytes());
        assert_eq!((code(&reply), kinds(&reply)), (Some(400), vec![AttributeType::ERROR_CODE]));
    }
    assert_eq!(judged(&Draft::complete(&nonce)), Ok(USER.into()));
    let md5_chosen = Draft { key: IntegrityKey::long_term_md5(USER, REALM, PASSWORD), ..Draft::complete(&nonce) };
    let md5_chosen = md5_chosen.without(AttributeType::PASSWORD_ALGORITHM).with(Attribute::PasswordAlgorithm(md5));
    assert_eq!(judged(&md5_chosen), Ok(USER.into()), "the client's choice among those offered");
}

#[test]
fn rfc8489_9_2_1_a_removed_feature_bit_makes_the_nonce_invalid() {
    // The attacker removes the feature bits and PASSWORD-ALGORITHMS, so that the client uses MD5.
    let bid_down = fresh().replacen("obMatJos2wAAA", "obMatJos2AAAA", 1);
    for nonce in [bid_down.as_str(), "f//499k954d6OL34oL9FSTvy64sA"] {
        let draft = Draft::rfc5389(nonce);
        assert_eq!(judged(&draft), Err((Some(438), RejectionKind::Nonce(NonceError::NotOurs))));
        is_challenge(&rejection(&long_term(), 1, CLIENT, &draft.bytes()), 438);
        // Without the bit the lists are not compared (§9.2.4). The nonce is invalid all the same.
        let without_list = Draft { algorithms: None, ..Draft::complete(nonce) };
        assert_eq!(judged(&without_list), Err((Some(438), RejectionKind::Nonce(NonceError::NotOurs))));
    }
}

#[test]
fn rfc8489_9_2_4_an_unknown_user_and_a_wrong_password_get_the_same_401() {
    let (nonce, hash) = (fresh(), userhash("mallory", REALM));
    let guess = IntegrityKey::long_term_sha256(USER, REALM, "guess");
    let wrong = Draft { key: guess.clone(), ..Draft::complete(&nonce) };
    let at = wrong.bytes().len() - 36;
    assert_eq!(judged(&wrong), Err((Some(401), RejectionKind::Integrity(IntegrityError::Mismatch { at }))));
    let expected = rejection(&long_term(), 1, CLIENT, &wrong.bytes());
    is_challenge(&expected, 401);

    let anonymous = || Draft::complete(&nonce).without(AttributeType::USERNAME);
    let other_realm =
        Draft::complete(&nonce).without(AttributeType::REALM).with(Attribute::Realm("example.com".into()));
    for unknown in [
        anonymous().with(Attribute::Username("mallory".into())),
        anonymous().with(Attribute::Username("".into())),
        anonymous().with(Attribute::Username(Text::from_wire(b"\xff\xfe"))),
        anonymous().with(Attribute::Username("Alice".into())),
        anonymous().with(Attribute::Userhash(&hash)),
        other_realm,
    ] {
        assert_eq!(judged(&unknown), Err((Some(401), RejectionKind::UnknownUser)));
        assert_eq!(rejection(&long_term(), 1, CLIENT, &unknown.bytes()), expected);
    }
    // A request that is signed with the dummy key of unknown users is rejected too.
    let empty = Draft { key: IntegrityKey::from_bytes(&[]), ..anonymous().with(Attribute::Username("mallory".into())) };
    assert_eq!(judged(&empty), Err((Some(401), RejectionKind::UnknownUser)));
}

#[test]
fn rfc8489_9_2_4_of_both_integrity_attributes_sha256_counts() {
    let nonce = fresh();
    let (right, wrong) = (IntegrityKey::long_term_sha256(USER, REALM, PASSWORD), IntegrityKey::short_term("guess"));
    for (sha1, sha256, taken) in [(&wrong, &right, true), (&right, &wrong, false)] {
        let unsigned = Draft { sign: Sign::Nothing, ..Draft::complete(&nonce) };
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
        unsigned.attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
        writer.add_password_algorithms(&OFFER).unwrap();
        let signed = writer.message_integrity(sha1).unwrap().message_integrity_sha256(sha256).unwrap();
        assert_eq!(judge(&long_term(), 1, signed.finish()).is_ok(), taken);
    }
}

#[test]
fn rfc8489_9_2_4_an_invalid_nonce_is_438_with_a_valid_one() {
    let draft = |nonce: &str| Draft::complete(nonce).bytes();
    let (own, other) = (fresh(), nonce(&long_term(), 0, "198.51.100.8:40000"));
    let foreign = nonce(&Authenticator::long_term(REALM, &[8; 32], users()).unwrap(), 0, CLIENT);
    for (nonce, seconds, why) in
        [(&own, 600, NonceError::Expired), (&other, 1, NonceError::NotOurs), (&foreign, 1, NonceError::NotOurs)]
    {
        let bytes = draft(nonce);
        assert_eq!(judge(&long_term(), seconds, &bytes), Err((Some(438), RejectionKind::Nonce(why))));
        let reply = rejection(&long_term(), seconds, CLIENT, &bytes);
        is_challenge(&reply, 438);
        let again = Message::decode(&reply).unwrap().nonce().unwrap().to_string();
        assert_eq!(judge(&long_term(), seconds, &draft(&again)), Ok(USER.into()), "the NONCE value MUST be valid");
    }
    assert_eq!(judge(&long_term(), 599, &draft(&own)), Ok(USER.into()), "the nonce is valid in its last second");
}

#[test]
fn the_owner_sets_the_lifetime_and_can_make_all_nonces_stale() {
    let mut short = long_term().nonce_lifetime(Duration::from_secs(5));
    let bytes = Draft::complete(&nonce(&short, 0, CLIENT)).bytes();
    assert_eq!(judge(&short, 4, &bytes), Ok(USER.into()));
    assert_eq!(judge(&short, 5, &bytes), Err((Some(438), RejectionKind::Nonce(NonceError::Expired))));
    short.renew(&[9; 32]);
    assert_eq!(judge(&short, 4, &bytes), Err((Some(438), RejectionKind::Nonce(NonceError::NotOurs))));
    let renewed = Draft::complete(&nonce(&short, 4, CLIENT)).bytes();
    assert_eq!(judge(&short, 8, &renewed), Ok(USER.into()));
    assert_eq!(
        judge(&short, 9, &renewed),
        Err((Some(438), RejectionKind::Nonce(NonceError::Expired))),
        "the lifetime is still five seconds"
    );
}

#[test]
fn rfc8489_9_2_4_the_first_violated_rule_decides() {
    let stale = nonce(&long_term(), 0, "198.51.100.8:40000");
    let mallory = || Attribute::Username("mallory".into());
    let odd = |draft: Draft<'static>| Draft { algorithms: Some(&OFFER[..1]), ..draft };
    let stale: &'static str = stale.leak();
    let named = |draft: Draft<'static>| draft.without(AttributeType::USERNAME).with(mallory());
    let wrong = |draft: Draft<'static>| Draft { key: IntegrityKey::short_term("guess"), ..draft };
    // Each request violates one rule less than the request before.
    let kinds = [
        judged(&Draft {
            sign: Sign::Nothing,
            ..wrong(named(odd(Draft::complete(stale)))).without(AttributeType::REALM)
        }),
        judged(&wrong(named(odd(Draft::complete(stale)))).without(AttributeType::REALM)),
        judged(&wrong(named(odd(Draft::complete(stale))))),
        judged(&wrong(named(Draft::complete(stale)))),
        judged(&wrong(Draft::complete(stale))),
        judged(&Draft::complete(stale)),
    ]
    .map(|judged| judged.unwrap_err());
    let mismatch = RejectionKind::Integrity(IntegrityError::Mismatch { at: Draft::complete(stale).bytes().len() - 36 });
    assert_eq!(
        kinds,
        [
            (Some(401), RejectionKind::Unsigned),
            (Some(400), RejectionKind::Incomplete),
            (Some(400), RejectionKind::Algorithms),
            (Some(401), RejectionKind::UnknownUser),
            (Some(401), mismatch),
            (Some(438), RejectionKind::Nonce(NonceError::NotOurs)),
        ]
    );
}

#[test]
fn rfc8489_9_2_4_a_response_is_signed_with_sha256_unless_the_request_named_no_algorithm() {
    let nonce = fresh();
    let (md5, sha256) =
        (IntegrityKey::long_term_md5(USER, REALM, PASSWORD), IntegrityKey::long_term_sha256(USER, REALM, PASSWORD));
    let chose_md5 = Draft { key: md5.clone(), ..Draft::complete(&nonce) }
        .without(AttributeType::PASSWORD_ALGORITHM)
        .with(Attribute::PasswordAlgorithm(PasswordAlgorithm::MD5));
    let by_sha1 = Draft { sign: Sign::Sha1, ..Draft::complete(&nonce) };
    let rfc5389_by_sha256 = Draft { sign: Sign::Sha256, ..Draft::rfc5389(&nonce) };
    for (draft, key, expected) in [
        (Draft::complete(&nonce), &sha256, AttributeType::MESSAGE_INTEGRITY_SHA256),
        (by_sha1, &sha256, AttributeType::MESSAGE_INTEGRITY_SHA256),
        (chose_md5, &md5, AttributeType::MESSAGE_INTEGRITY_SHA256),
        (Draft::rfc5389(&nonce), &md5, AttributeType::MESSAGE_INTEGRITY),
        (rfc5389_by_sha256, &md5, AttributeType::MESSAGE_INTEGRITY),
    ] {
        let bytes = draft.bytes();
        let request = Message::decode(&bytes).unwrap();
        let judged = long_term().judge(at(1), addr(CLIENT), &request);
        let Judgement::Admitted(admitted) = judged else { panic!("{judged:?}") };
        let mut buffer = [0; 128];
        let writer = Writer::response(&mut buffer, &admitted.message, ResponseClass::Success).unwrap();
        let reply = admitted.signature.finish(writer, false).unwrap();
        assert_eq!(kinds(reply), [expected]);
        assert!(Message::decode(reply).unwrap().verify(key).is_ok());
    }
}

#[test]
fn rfc8489_9_2_4_userhash_is_accepted_only_with_its_feature_bit() {
    let hash = userhash(USER, REALM);
    let anonymous = |nonce: &str| {
        let draft = Draft::complete(nonce).without(AttributeType::USERNAME);
        draft.with(Attribute::Userhash(&hash)).bytes()
    };
    assert_eq!(judge(&long_term(), 1, &anonymous(&fresh())), Ok(USER.into()), "the user is reported by name");
    let plain = long_term().without_anonymity();
    let given = nonce(&plain, 0, CLIENT);
    assert_eq!(Features::of(given.as_bytes()), Some(Features::PASSWORD_ALGORITHMS));
    assert_eq!(judge(&plain, 1, &anonymous(&given)), Err((Some(401), RejectionKind::UnknownUser)));
    assert_eq!(judge(&plain, 1, &Draft::complete(&given).bytes()), Ok(USER.into()));
}

#[test]
fn a_stored_key_is_used_for_its_algorithm_only() {
    // `user:realm:pass` is the example of the RFC (§9.2.2).
    let md5: [u8; 16] = hex("8493fbc53ba582fb4c044c456bdc40eb").try_into().unwrap();
    let mut users = Users::long_term("realm");
    users.add_keys("user", Some(&md5), None).unwrap();
    let stored = Authenticator::long_term("realm", &[7; 32], users).unwrap();
    let nonce = nonce(&stored, 0, CLIENT);
    let named =
        [Attribute::Username("user".into()), Attribute::Realm("realm".into()), Attribute::Nonce((&*nonce).into())];
    let rfc5389 = Draft::new(&named, IntegrityKey::long_term_md5("user", "realm", "pass"), Sign::Sha1);
    assert_eq!(judge(&stored, 1, &rfc5389.bytes()), Ok("user".into()));
    let rfc8489 = Draft::new(&named, IntegrityKey::long_term_sha256("user", "realm", "pass"), Sign::Sha256)
        .with(Attribute::PasswordAlgorithm(PasswordAlgorithm::SHA256));
    let rfc8489 = Draft { algorithms: Some(&OFFER), ..rfc8489 };
    assert_eq!(judge(&stored, 1, &rfc8489.bytes()), Err((Some(401), RejectionKind::UnknownUser)));
}

#[test]
fn without_md5_only_sha256_is_offered_and_accepted() {
    let strict = long_term().without_md5();
    let nonce = nonce(&strict, 0, CLIENT);
    let reply = rejection(&strict, 0, CLIENT, &Draft::rfc5389(&nonce).bytes());
    assert!(Message::decode(&reply).unwrap().password_algorithms().unwrap().iter().eq([PasswordAlgorithm::SHA256]));
    assert_eq!(reply.len(), 112);
    assert_eq!(judge(&strict, 1, &Draft::rfc5389(&nonce).bytes()), Err((Some(401), RejectionKind::UnknownUser)));
    let rfc8489 = Draft { algorithms: Some(&OFFER[..1]), ..Draft::complete(&nonce) };
    assert_eq!(judge(&strict, 1, &rfc8489.bytes()), Ok(USER.into()));
}

#[test]
fn rfc8489_9_2_indications_and_responses_are_discarded() {
    let nonce = fresh();
    for class in [Class::Indication, Class::SuccessResponse, Class::ErrorResponse] {
        let draft = Draft { class, ..Draft::complete(&nonce) };
        assert_eq!(judged(&draft), Err((None, RejectionKind::NotARequest)));
    }
}

#[test]
fn rfc8489_14_6_a_truncated_integrity_is_rejected() {
    let (nonce, key) = (fresh(), IntegrityKey::long_term_md5(USER, REALM, PASSWORD));
    for length in [16, 20, 24, 28] {
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
        Draft::rfc5389(&nonce).attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
        let bytes = writer.message_integrity_sha256_truncated(&key, length).unwrap().finish();
        let judged = judge(&long_term(), 1, bytes);
        assert!(
            matches!(judged, Err((Some(401), RejectionKind::Integrity(IntegrityError::Length { .. })))),
            "{judged:?}"
        );
    }
}

#[test]
fn rfc8489_b_1_the_sample_request_authenticates_its_user_and_its_nonce_is_invalid() {
    const B1: &str = "
        2112a442 78ad3433c6ad72c029da412e
        001e0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704
        00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39 46535476 79363473 41000000
        0014000b 6578616d 706c652e 6f726700";
    let md5 = format!("00010088 {B1} 001c0020 fd8c2738 60d2e18e bca4c89b 6973befa 7ee8ecc6 9e9642db 326fab65 a0b955ba");
    let sha256 = format!(
        "00010090 {B1} 001d0004 00020000
         001c0020 b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65"
    );
    let server = |password: &str| {
        let mut users = Users::long_term(REALM);
        users.add("\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}", password).unwrap();
        Authenticator::long_term(REALM, &[7; 32], users).unwrap()
    };
    // The integrity is checked before the nonce. So a 438 shows that the USERHASH was found and the key is right.
    for sample in [md5, sha256] {
        let stale = Err((Some(438), RejectionKind::Nonce(NonceError::NotOurs)));
        assert_eq!(judge(&server("TheMatrIX"), 0, &hex(&sample)), stale);
        let other = judge(&server("TheMatrix"), 0, &hex(&sample));
        assert!(matches!(other, Err((Some(401), RejectionKind::Integrity(_)))), "{other:?}");
        assert_eq!(judge(&long_term(), 0, &hex(&sample)), Err((Some(401), RejectionKind::UnknownUser)));
    }
}

#[test]
fn rfc8489_14_9_the_length_of_the_realm_and_of_challenges_is_bounded() {
    let server = |realm: &str| Authenticator::long_term(realm, &[7; 32], Users::long_term(realm));
    for length in [0, 128, 1000] {
        assert_eq!(server(&"r".repeat(length)).unwrap_err(), AuthenticatorError::Realm { length });
    }
    for (length, expected) in [(1, 108), (11, 116), (127, 232)] {
        let server = server(&"r".repeat(length)).unwrap();
        for (source, fingerprint) in [(CLIENT, false), ("[2001:db8::7]:40000", true)] {
            let bare = Draft { fingerprint, ..Draft::new(&[], IntegrityKey::short_term(""), Sign::Nothing) }.bytes();
            let reply = rejection(&server, 0, source, &bare);
            assert_eq!(reply.len(), expected + if fingerprint { 8 } else { 0 });
            assert!(reply.len() <= Authenticator::REJECTION_LEN);
        }
    }
}

#[test]
fn users_are_bounded_and_checked() {
    let mut users = Users::long_term(REALM).limit(2);
    assert_eq!(users.add("", "x"), Err(UsersError::Username { length: 0 }));
    assert_eq!(users.add(&"u".repeat(509), "x"), Err(UsersError::Username { length: 509 }));
    assert_eq!(users.add("one", ""), Err(UsersError::Password));
    assert_eq!(users.add_keys("one", None, None), Err(UsersError::Password));
    assert_eq!(Users::short_term().add_keys("one", Some(&[0; 16]), None), Err(UsersError::Mechanism));
    assert_eq!((users.add("one", "1"), users.add(&"u".repeat(508), "2")), (Ok(()), Ok(())));
    assert_eq!(users.add("three", "3"), Err(UsersError::Full { limit: 2 }));
    assert_eq!((users.add("one", "another"), users.len()), (Ok(()), 2), "an existing user can get a new password");
    assert_eq!((users.remove("one"), users.remove("one"), users.len()), (true, false, 1));
    assert_eq!((users.add("three", "3"), users.is_empty()), (Ok(()), false));
}

#[test]
fn users_of_another_realm_are_unknown() {
    let mut users = Users::long_term("example.com");
    users.add(USER, PASSWORD).unwrap();
    let server = Authenticator::long_term(REALM, &[7; 32], users).unwrap();
    let bytes = Draft::complete(&nonce(&server, 0, CLIENT)).bytes();
    assert_eq!(judge(&server, 1, &bytes), Err((Some(401), RejectionKind::UnknownUser)));
}
