//! Tests of the credential mechanisms with the sample requests of the RFCs, and with a table of challenges.

use super::attempt::Attempt;
use super::challenge::{self, ChallengeError, Previous};
use super::session::{Offer, RequestAuth, Session, Sessions};
use super::{Credential, Mechanism, session::Algorithm};
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::Instant;
use portolan_stun::{
    Attribute, AttributeType, Class, ErrorCode, Integrity, IntegrityKey, Message, Method, PasswordAlgorithm,
    TransactionId, Writer,
};

/// "Matrix" in katakana, and the password after the OpaqueString preparation: the inputs of RFC 5769 §2.4 and RFC
/// 8489 B.1.
const USER: &str = "\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}";
const PASSWORD: &str = "TheMatrIX";
const REALM: &[u8] = b"example.org";
const ID: [u8; 12] = [0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e];

/// RFC 5769 §2.4.
const RFC5769: &str = "
    00010060 2112a442 78ad3433c6ad72c029da412e
    00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
    0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
    0014000b 6578616d 706c652e 6f726700
    00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

/// RFC 8489 B.1 up to its integrity. Its length field excludes the header, and its attributes end at the realm.
const RFC8489: &str = "
    00010088 2112a442 78ad3433c6ad72c029da412e
    001e0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704
    00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39 46535476 79363473 41000000
    0014000b 6578616d 706c652e 6f726700
    001c0020 fd8c2738 60d2e18e bca4c89b 6973befa 7ee8ecc6 9e9642db 326fab65 a0b955ba";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|character| character.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// The bytes of a Binding request with the authentication of a session.
fn written(session: Session) -> Vec<u8> {
    let mut buffer = [0xff; 512];
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
    let auth = RequestAuth::LongTerm(session.into());
    auth.finish(&Credential::long_term(USER, PASSWORD), writer, false).unwrap().to_vec()
}

fn session(nonce: &[u8], anonymous: bool, offer: Option<Offer>) -> Session {
    Session::new(&Credential::long_term(USER, PASSWORD), REALM, nonce, anonymous, offer).unwrap()
}

#[test]
fn rfc5769_2_4_is_the_request_of_a_client_with_its_inputs() {
    assert_eq!(written(session(b"f//499k954d6OL34oL9FSTvy64sA", false, None)), hex(RFC5769));
}

#[test]
fn rfc8489_b_1_is_the_request_of_a_client_with_its_inputs() {
    // The nonce of B.1 sets bit 22, which announces no registered feature, so no client would use USERHASH. The
    // request has no PASSWORD-ALGORITHM, so no client would use MESSAGE-INTEGRITY-SHA256. This test sets both.
    let mut session = session(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA", true, None);
    session.integrity = Integrity::SHA256;
    assert_eq!(written(session), hex(RFC8489));
}

#[test]
fn rfc8489_b_1_with_password_algorithm_is_sent_with_password_algorithms() {
    let offer = Offer { list: [0, 2, 0, 0].into(), chosen: Algorithm::Sha256 };
    let bytes = written(session(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA", true, Some(offer)));
    let sample = hex(RFC8489);
    let attributes = sample.len() - 36;
    assert_eq!(bytes[20..attributes], sample[20..attributes], "equal to B.1 up to the realm");
    let message = Message::decode(&bytes).unwrap();
    let verified =
        message.verify_with(&IntegrityKey::long_term_sha256(USER, "example.org", PASSWORD), Integrity::SHA256);
    assert_eq!(verified.unwrap().password_algorithm(), Some(PasswordAlgorithm::SHA256));
}

#[test]
fn the_reserved_length_is_sufficient_for_every_authentication() {
    let credentials = [
        Credential::short_term(&"u".repeat(508), PASSWORD),
        Credential::long_term("u", PASSWORD),
        Credential::long_term(&"u".repeat(508), PASSWORD),
    ];
    for credential in credentials {
        let offer = || Some(Offer { list: (0..64_u8).flat_map(|_| [0, 2, 0, 0]).collect(), chosen: Algorithm::Sha256 });
        let sessions = [false, true].map(|anonymous| {
            Session::new(&credential, &[b'r'; 763], &[b'n'; 763], anonymous, offer()).map(|session| session.into())
        });
        let auths = match credential.mechanism() {
            Mechanism::ShortTerm => [RequestAuth::ShortTerm(None), RequestAuth::ShortTerm(Some(Integrity::SHA256))],
            Mechanism::LongTerm => sessions.map(|session| RequestAuth::LongTerm(session.unwrap())),
        };
        for auth in auths {
            let mut buffer = [0; 4096];
            let exact = buffer.get_mut(..20 + auth.reserved_len(&credential) + 8).unwrap();
            let writer = Writer::new(exact, Class::Request, Method::BINDING, TransactionId::default()).unwrap();
            assert!(auth.finish(&credential, writer, true).is_ok(), "{auth:?}");
        }
    }
}

/// The result of a challenge with these attributes after the state `previous`.
fn session_after(
    code: u16,
    nonce: &str,
    algorithms: &[PasswordAlgorithm<'_>],
    previous: Previous<'_>,
) -> Result<Session, ChallengeError> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, Method::BINDING, ID.into()).unwrap();
    writer.add(&Attribute::ErrorCode(ErrorCode::recommended(code).unwrap())).unwrap();
    writer.add(&Attribute::Realm("example.org".into())).unwrap();
    writer.add(&Attribute::Nonce(nonce.into())).unwrap();
    if !algorithms.is_empty() {
        writer.add_password_algorithms(algorithms).unwrap();
    }
    challenge::build_session(
        &Credential::long_term(USER, PASSWORD),
        code,
        &Message::decode(writer.finish()).unwrap(),
        previous,
    )
}

#[test]
fn each_challenge_has_the_expected_session_or_error() {
    use Algorithm::{Md5, Sha256};
    const BEST: &[PasswordAlgorithm<'_>] = &[PasswordAlgorithm::SHA256, PasswordAlgorithm::MD5];
    const WORST: &[PasswordAlgorithm<'_>] = &[PasswordAlgorithm::MD5];
    let offered = |chosen| session(b"old", true, Some(Offer { list: [0, 2, 0, 0].into(), chosen }));
    let (strong, weaker, plain) = (offered(Sha256), offered(Md5), session(b"old", false, None));
    let previous = |session| Previous { session, realm: None, challenges: 0, stale: 0 };
    let weaker_error = ChallengeError::Weaker;
    let rows = [
        // The code, the nonce, the algorithms, the previous session, and the expected algorithm and anonymity.
        (401, "n", &[][..], None, Ok((None, false))),
        (401, "obMatJos2AAAAn", &[], None, Ok((None, false))),
        (401, "obMatJos2QAAAn", &[], None, Ok((None, true))),
        (401, "obMatJos2wAAAn", BEST, None, Ok((Some(Sha256), true))),
        (401, "obMatJos2gAAAn", WORST, None, Ok((Some(Md5), false))),
        (401, "obMatJos2gAAAn", &[], None, Err(ChallengeError::BidDown)),
        (401, "obMatJos2QAAAn", BEST, None, Err(ChallengeError::BidDown)),
        (401, "n", BEST, None, Err(ChallengeError::BidDown)),
        (401, "obMatJos2wAAAn", BEST, Some(&strong), Err(ChallengeError::WrongCredentials)),
        (438, "obMatJos2wAAAn", BEST, Some(&strong), Ok((Some(Sha256), true))),
        (438, "obMatJos2wAAAn", BEST, Some(&weaker), Ok((Some(Sha256), true))),
        (438, "obMatJos2wAAAn", WORST, Some(&strong), Err(weaker_error)),
        (438, "obMatJos2wAAAn", WORST, Some(&weaker), Ok((Some(Md5), true))),
        (438, "obMatJos2gAAAn", BEST, Some(&strong), Err(weaker_error)),
        (438, "obMatJos2QAAAn", &[], Some(&weaker), Err(weaker_error)),
        (438, "n", &[], Some(&plain), Ok((None, false))),
        (438, "old", &[], Some(&plain), Err(ChallengeError::SameNonce)),
        (438, "n", &[], None, Err(ChallengeError::NothingStale)),
    ];
    for (code, nonce, algorithms, session, expected) in rows {
        let found = session_after(code, nonce, algorithms, previous(session)).map(|session| session.strength());
        assert_eq!(found, expected, "{code} {nonce} {algorithms:?} after {session:?}");
    }
}

#[test]
fn counts_and_realms_bound_the_retries() {
    let plain = session(b"old", false, None);
    let stale = Previous { session: Some(&plain), realm: None, challenges: 3, stale: 0 };
    assert!(session_after(438, "n", &[], stale).is_ok(), "each code has its own count");
    assert_eq!(session_after(438, "n", &[], Previous { stale: 1, ..stale }).unwrap_err(), ChallengeError::TooMany);
    let first = Previous { session: None, realm: None, challenges: 2, stale: 9 };
    assert!(session_after(401, "n", &[], first).is_ok());
    assert_eq!(session_after(401, "n", &[], Previous { challenges: 3, ..first }).unwrap_err(), ChallengeError::TooMany);
    assert!(session_after(401, "n", &[], Previous { realm: Some(REALM), ..first }).is_ok());
    let other_realm = Previous { realm: Some(b"elsewhere"), ..first };
    assert_eq!(session_after(401, "n", &[], other_realm).unwrap_err(), ChallengeError::OtherRealm);
}

#[test]
fn equality_of_credentials_compares_contents() {
    let server: SocketAddr = "192.0.2.1:3478".parse().unwrap();
    let all = [
        Credential::short_term("u", "p"),
        Credential::short_term_with("u", "p", Integrity::Sha1),
        Credential::short_term_with("u", "p", Integrity::SHA256),
        Credential::long_term("u", "p"),
        Credential::long_term("u", "q"),
        Credential::long_term("v", "p"),
        Credential::long_term_anonymous("u", "p"),
    ];
    for (n, one) in all.iter().enumerate() {
        for (m, other) in all.iter().enumerate() {
            assert_eq!(one == other, n == m);
        }
    }
    assert_eq!(Credential::long_term("u", "p"), all[3]);

    let mut sessions = Sessions::new();
    sessions.store(server, &all[3], &RequestAuth::LongTerm(session(b"n", false, None).into()));
    let attempt = Attempt::new(Credential::long_term("u", "p"), server, Instant::ORIGIN, &sessions);
    let mut buffer = [0; 256];
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
    assert!(Message::decode(attempt.finish(writer, false).unwrap()).unwrap().has(AttributeType::NONCE));
}
