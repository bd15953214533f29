//! The RFCs' own requests, as a client with their inputs sends them, and the table of challenges.

use super::attempt::Attempt;
use super::challenge::{self, Before, ChallengeError};
use super::session::{Offer, Proof, Session, Sessions};
use super::{Credential, Mechanism, session::Algorithm};
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::Instant;
use portolan_stun::{
    Attribute, AttributeType, Class, ErrorCode, Integrity, IntegrityKey, Message, Method, PasswordAlgorithm,
    TransactionId, Writer,
};

/// "Matrix" in katakana, and the password as OpaqueString leaves it: the inputs of RFC 5769 §2.4 and RFC 8489 B.1.
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

/// RFC 8489 B.1 as far as its integrity, with a length field that counts no header; the attributes end at the realm.
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

/// The Binding request, proved by what a challenge taught.
fn written(session: Session) -> Vec<u8> {
    let mut buffer = [0xff; 512];
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
    let proof = Proof::LongTerm(session.into());
    proof.close(&Credential::long_term(USER, PASSWORD), writer, false).unwrap().to_vec()
}

fn session(nonce: &[u8], anonymous: bool, offer: Option<Offer>) -> Session {
    Session::new(&Credential::long_term(USER, PASSWORD), REALM, nonce, anonymous, offer).unwrap()
}

#[test]
fn rfc5769_2_4_is_what_a_client_with_its_inputs_sends() {
    assert_eq!(written(session(b"f//499k954d6OL34oL9FSTvy64sA", false, None)), hex(RFC5769));
}

#[test]
fn rfc8489_b_1_is_what_a_client_with_its_inputs_sends() {
    // Its nonce sets bit 22 and announces nothing that is registered, so that no client comes to USERHASH by it, and
    // without PASSWORD-ALGORITHM none to MESSAGE-INTEGRITY-SHA256: both are given here.
    let mut session = session(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA", true, None);
    session.integrity = Integrity::SHA256;
    assert_eq!(written(session), hex(RFC8489));
}

#[test]
fn rfc8489_b_1_with_password_algorithm_is_sent_with_the_list_that_it_leaves_out() {
    let offer = Offer { list: [0, 2, 0, 0].into(), chosen: Algorithm::Sha256 };
    let bytes = written(session(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA", true, Some(offer)));
    let front = hex(RFC8489);
    let attributes = front.len() - 36;
    assert_eq!(bytes[20..attributes], front[20..attributes], "up to the realm it is B.1");
    let message = Message::decode(&bytes).unwrap();
    let verified =
        message.verify_with(&IntegrityKey::long_term_sha256(USER, "example.org", PASSWORD), Integrity::SHA256);
    assert_eq!(verified.unwrap().password_algorithm(), Some(PasswordAlgorithm::SHA256));
}

#[test]
fn there_is_room_for_every_proof() {
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
        let proofs = match credential.mechanism() {
            Mechanism::ShortTerm => [Proof::ShortTerm(None), Proof::ShortTerm(Some(Integrity::SHA256))],
            Mechanism::LongTerm => sessions.map(|session| Proof::LongTerm(session.unwrap())),
        };
        for proof in proofs {
            let mut buffer = [0; 4096];
            let room = buffer.get_mut(..20 + proof.room(&credential) + 8).unwrap();
            let writer = Writer::new(room, Class::Request, Method::BINDING, TransactionId::default()).unwrap();
            assert!(proof.close(&credential, writer, true).is_ok(), "{proof:?}");
        }
    }
}

/// What a challenge with these leads to after that.
fn judged(
    code: u16,
    nonce: &str,
    algorithms: &[PasswordAlgorithm<'_>],
    before: Before<'_>,
) -> Result<Session, ChallengeError> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, Method::BINDING, ID.into()).unwrap();
    writer.add(&Attribute::ErrorCode(ErrorCode::recommended(code).unwrap())).unwrap();
    writer.add(&Attribute::Realm("example.org".into())).unwrap();
    writer.add(&Attribute::Nonce(nonce.into())).unwrap();
    if !algorithms.is_empty() {
        writer.add_password_algorithms(algorithms).unwrap();
    }
    challenge::answer(&Credential::long_term(USER, PASSWORD), code, &Message::decode(writer.finish()).unwrap(), before)
}

#[test]
fn the_table_of_challenges() {
    use Algorithm::{Md5, Sha256};
    const BEST: &[PasswordAlgorithm<'_>] = &[PasswordAlgorithm::SHA256, PasswordAlgorithm::MD5];
    const WORST: &[PasswordAlgorithm<'_>] = &[PasswordAlgorithm::MD5];
    let offered = |chosen| session(b"old", true, Some(Offer { list: [0, 2, 0, 0].into(), chosen }));
    let (strong, weaker, plain) = (offered(Sha256), offered(Md5), session(b"old", false, None));
    let before = |session| Before { session, realm: None, challenges: 0, stale: 0 };
    let no = ChallengeError::Weaker;
    let rows = [
        // code, nonce, algorithms, before, the algorithm and the anonymity that follow
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
        (438, "obMatJos2wAAAn", WORST, Some(&strong), Err(no)),
        (438, "obMatJos2wAAAn", WORST, Some(&weaker), Ok((Some(Md5), true))),
        (438, "obMatJos2gAAAn", BEST, Some(&strong), Err(no)),
        (438, "obMatJos2QAAAn", &[], Some(&weaker), Err(no)),
        (438, "n", &[], Some(&plain), Ok((None, false))),
        (438, "old", &[], Some(&plain), Err(ChallengeError::SameNonce)),
        (438, "n", &[], None, Err(ChallengeError::NothingStale)),
    ];
    for (code, nonce, algorithms, session, expected) in rows {
        let found = judged(code, nonce, algorithms, before(session)).map(|session| session.strength());
        assert_eq!(found, expected, "{code} {nonce} {algorithms:?} after {session:?}");
    }
}

#[test]
fn counts_and_realms_bound_what_is_answered() {
    let plain = session(b"old", false, None);
    let stale = Before { session: Some(&plain), realm: None, challenges: 3, stale: 0 };
    assert!(judged(438, "n", &[], stale).is_ok(), "each has its own count");
    assert_eq!(judged(438, "n", &[], Before { stale: 1, ..stale }).unwrap_err(), ChallengeError::TooMany);
    let bare = Before { session: None, realm: None, challenges: 2, stale: 9 };
    assert!(judged(401, "n", &[], bare).is_ok());
    assert_eq!(judged(401, "n", &[], Before { challenges: 3, ..bare }).unwrap_err(), ChallengeError::TooMany);
    assert!(judged(401, "n", &[], Before { realm: Some(REALM), ..bare }).is_ok());
    let foreign = Before { realm: Some(b"elsewhere"), ..bare };
    assert_eq!(judged(401, "n", &[], foreign).unwrap_err(), ChallengeError::OtherRealm);
}

#[test]
fn a_credential_is_equal_to_one_that_holds_the_same() {
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
    sessions.learn(server, &all[3], &Proof::LongTerm(session(b"n", false, None).into()));
    let attempt = Attempt::new(Credential::long_term("u", "p"), server, Instant::ORIGIN, &sessions);
    let mut buffer = [0; 256];
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
    assert!(Message::decode(attempt.close(writer, false).unwrap()).unwrap().has(AttributeType::NONCE));
}
