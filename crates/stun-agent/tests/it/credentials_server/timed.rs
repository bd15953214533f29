//! Time-limited credentials: known answers, their end, and the rotation of the secret.

use super::*;
use portolan_stun_agent::authenticator::{TimedKeys, TimedKeysError};

/// The Unix time of the origin of the virtual clock.
const ORIGIN: u64 = 1_800_000_000;
/// A credential that ends 60 s after the origin.
const NAME: &str = "1800000060:alice";
/// `printf %s "$NAME" | openssl dgst -sha1 -hmac 'north wind' -binary | base64`
const NORTH: &str = "QTZzqzXfRzheJ9NABzsLnzow78o=";
/// The same with `-hmac 'south wind'`.
const SOUTH: &str = "2foRtBSSje45T4TEQ2Xzjv+IZHI=";

fn keys() -> TimedKeys {
    TimedKeys::new(Duration::from_secs(ORIGIN), b"north wind").unwrap()
}

fn authenticator(keys: TimedKeys) -> Authenticator {
    Authenticator::long_term(REALM, &[7; 32], keys).unwrap().without_anonymity()
}

/// A request at `seconds` after the origin, with a key and MD5 or SHA-256.
fn bytes(authenticator: &Authenticator, seconds: u64, name: &str, key: IntegrityKey, sha256: bool) -> Vec<u8> {
    let nonce = nonce(authenticator, seconds, CLIENT);
    let attributes =
        [Attribute::Username(name.into()), Attribute::Realm(REALM.into()), Attribute::Nonce(nonce.as_str().into())];
    if sha256 {
        let draft = Draft::new(&attributes, key, Sign::Sha256);
        let draft = draft.with(Attribute::PasswordAlgorithm(PasswordAlgorithm::SHA256));
        Draft { algorithms: Some(&OFFER), ..draft }.bytes()
    } else {
        Draft::new(&attributes, key, Sign::Sha1).bytes()
    }
}

/// Judges a request with a password, both with MD5 and with SHA-256.
fn judged(authenticator: &Authenticator, seconds: u64, name: &str, password: &str) -> JudgeResult {
    let [md5, sha256] = [false, true].map(|sha256| {
        let key = if sha256 {
            IntegrityKey::long_term_sha256(name, REALM, password)
        } else {
            IntegrityKey::long_term_md5(name, REALM, password)
        };
        judge(authenticator, seconds, &bytes(authenticator, seconds, name, key, sha256))
    });
    let without_offset = |result: &JudgeResult| result.clone().map_err(|(code, _)| code);
    assert_eq!(without_offset(&md5), without_offset(&sha256));
    sha256
}

fn expired() -> JudgeResult {
    Err((Some(401), RejectionKind::Expired))
}

fn is_mismatch(result: &JudgeResult) -> bool {
    matches!(result, Err((Some(401), RejectionKind::Integrity(_))))
}

#[test]
fn the_password_is_base64_of_the_hmac_of_the_name() {
    assert_eq!(keys().password(NAME).as_str(), NORTH);
    assert_eq!(format!("{:?} {:?}", keys().password(NAME), keys()).matches(NORTH).count(), 0);
    assert!(!format!("{:?}", keys()).contains("north"));
}

/// The keys are those of openssl: `printf %s "$NAME:example.org:$NORTH" | openssl md5`, and with `openssl sha256`.
#[test]
fn a_request_with_a_known_key_is_admitted_with_its_account_and_its_end() {
    let authenticator = authenticator(keys());
    for (sha256, key) in [
        (false, "b34d91db0f64d37226f996b7c6dea53a"),
        (true, "0a695b8627952143d30a6f78eafa6dc1401d3875408bdb81cacc79ad6dad8e0c"),
    ] {
        let bytes = bytes(&authenticator, 59, NAME, IntegrityKey::from_bytes(&hex(key)), sha256);
        let message = Message::decode(&bytes).unwrap();
        let Judgement::Admitted(admitted) = authenticator.judge(at(59), addr(CLIENT), &message) else {
            panic!("not admitted")
        };
        assert_eq!((&*admitted.username, &*admitted.account, admitted.expires), (NAME, "alice", Some(at(60))));
    }
    let message = Draft::complete(&nonce(&long_term(), 1, CLIENT)).bytes();
    let message = Message::decode(&message).unwrap();
    let Judgement::Admitted(admitted) = long_term().judge(at(1), addr(CLIENT), &message) else {
        panic!("not admitted")
    };
    assert_eq!((&*admitted.account, admitted.expires), (USER, None), "a user of a table has no end");
}

#[test]
fn a_credential_is_valid_until_the_second_of_its_end() {
    let authenticator = authenticator(keys());
    assert_eq!(judged(&authenticator, 59, NAME, NORTH), Ok(NAME.into()));
    assert_eq!(judged(&authenticator, 60, NAME, NORTH), expired());
    assert_eq!(judged(&authenticator, 61, NAME, NORTH), expired());
    // Only a client with the password learns that the credential has expired.
    assert!(is_mismatch(&judged(&authenticator, 61, NAME, SOUTH)));
}

#[test]
fn an_expired_credential_gets_a_challenge_and_no_stale_nonce() {
    let authenticator = authenticator(keys());
    let key = || IntegrityKey::long_term_md5(NAME, REALM, NORTH);
    // The nonce is stale too.
    let request = bytes(&authenticator, 1, NAME, key(), false);
    let reply = rejection(&authenticator, 5000, CLIENT, &request);
    assert_eq!(code(&reply), Some(401));
    assert!(kinds(&reply).contains(&AttributeType::NONCE));
}

#[test]
fn the_end_is_exact_at_the_bounds_of_the_time() {
    let authenticator = authenticator(keys());
    let password = |name: &str| keys().password(name).as_str().to_owned();
    for name in ["0:alice", "1799999999:alice", "1800000000:alice"] {
        assert_eq!(judged(&authenticator, 0, name, &password(name)), expired(), "{name}");
    }
    for name in ["1800000001", "1800000001:", "1800000001:alice:bob", "18446744073709551615:alice"] {
        assert_eq!(judged(&authenticator, 0, name, &password(name)), Ok(name.into()), "{name}");
    }
    let long = format!("1800000001:{}", "x".repeat(600));
    for name in
        ["", ":", ":alice", "alice", "alice:1800000001", "+1800000001:alice", "18446744073709551616:alice", &long]
    {
        let key = || IntegrityKey::long_term_md5(name, REALM, &password(name));
        // The writer refuses longer names, so their prefix is sent.
        let sent = &name[..name.len().min(508)];
        let result = judge(&authenticator, 0, &bytes(&authenticator, 0, sent, key(), false));
        let is_prefix = sent.len() < name.len();
        assert_eq!(result == Err((Some(401), RejectionKind::UnknownUser)), !is_prefix, "{name}: {result:?}");
        assert!(result.is_err());
    }
}

#[test]
fn each_secret_is_valid_during_a_rotation_and_no_other() {
    let mut both = keys();
    both.add_secret(b"south wind").unwrap();
    assert_eq!(both.password(NAME).as_str(), NORTH, "new passwords are made with the first secret");
    let (both, one) = (authenticator(both), authenticator(keys()));
    for password in [NORTH, SOUTH] {
        assert_eq!(judged(&both, 1, NAME, password), Ok(NAME.into()));
        assert_eq!(judged(&both, 60, NAME, password), expired());
    }
    assert_eq!(judged(&one, 1, NAME, NORTH), Ok(NAME.into()));
    assert!(is_mismatch(&judged(&one, 1, NAME, SOUTH)));
    assert!(is_mismatch(&judged(&both, 1, NAME, "2foRtBSSje45T4TEQ2Xzjv+IZHJ=")));
    assert_eq!(judged(&both, 1, "alice", SOUTH), Err((Some(401), RejectionKind::UnknownUser)));
    assert_eq!(TimedKeys::new(Duration::ZERO, b"").unwrap_err(), TimedKeysError::Secret);
    assert_eq!(keys().add_secret(b""), Err(TimedKeysError::Secret));
}

#[test]
fn another_separator_divides_the_time_from_the_account() {
    let keys = keys().separator('+');
    let name = "1800000060+alice:bob";
    let password = keys.password(name);
    let authenticator = authenticator(keys);
    assert_eq!(judged(&authenticator, 1, name, password.as_str()), Ok(name.into()));
    assert_eq!(judged(&authenticator, 1, NAME, NORTH), Err((Some(401), RejectionKind::UnknownUser)));
}

/// The challenge does not offer USERHASH, and a request with it is one of an unknown user.
#[test]
fn userhash_is_not_offered() {
    let authenticator = authenticator(keys());
    let nonce = nonce(&authenticator, 1, CLIENT);
    let hash = portolan_stun::userhash(NAME, REALM);
    let attributes = [
        Attribute::Userhash(&hash),
        Attribute::Realm(REALM.into()),
        Attribute::Nonce(nonce.as_str().into()),
        Attribute::PasswordAlgorithm(PasswordAlgorithm::SHA256),
    ];
    let draft = Draft::new(&attributes, IntegrityKey::long_term_sha256(NAME, REALM, NORTH), Sign::Sha256);
    let bytes = Draft { algorithms: Some(&OFFER), ..draft }.bytes();
    assert_eq!(judge(&authenticator, 1, &bytes), Err((Some(401), RejectionKind::UnknownUser)));
}
