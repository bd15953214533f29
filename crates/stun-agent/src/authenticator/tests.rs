//! Counts the operations of an authentication: its time does not reveal whether a user is known.

extern crate std;

use super::{Authenticator, Judgement, KeyQuery, Keys, Name, RejectionKind, TimedKeys, UserKey, Users};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, PasswordAlgorithm, Writer, userhash};

const REALM: &str = "example.org";
const SOURCE: &str = "198.51.100.7:40000";

std::thread_local! {
    /// The length of each message whose HMAC was computed in this test.
    static HMACS: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Records the HMAC of a message.
pub(super) fn count_hmac(message: &Message<'_>) {
    HMACS.with_borrow_mut(|hmacs| hmacs.push(message.as_bytes().len()));
}

/// Users that count their lookups.
#[derive(Clone, Debug)]
struct Counting {
    users: Users,
    lookups: Arc<AtomicUsize>,
}

impl Counting {
    fn of(users: Users) -> Self {
        Self { users, lookups: Arc::default() }
    }
}

impl Keys for Counting {
    fn find(&self, query: KeyQuery<'_>) -> Option<UserKey> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        self.users.find(query)
    }
}

/// The result of an authentication, the number of its lookups, and the number of bytes of each HMAC.
fn judged(
    authenticator: &Authenticator,
    keys: &Counting,
    bytes: &[u8],
) -> (Result<(), RejectionKind>, usize, Vec<usize>) {
    HMACS.take();
    let before = keys.lookups.load(Ordering::Relaxed);
    let message = Message::decode(bytes).unwrap();
    let result = match authenticator.judge(Instant::ORIGIN, SOURCE.parse().unwrap(), &message) {
        Judgement::Admitted(_) => Ok(()),
        Judgement::Rejected(why) | Judgement::Discarded(why) => Err(why.kind),
    };
    (result, keys.lookups.load(Ordering::Relaxed) - before, HMACS.take())
}

/// A request with this user name and one of the two integrity attributes.
fn request(name: Name<'_>, nonce: Option<&str>, key: &IntegrityKey, sha256: bool) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).unwrap();
    match name {
        Name::Username(name) => writer.add(&Attribute::Username(name.into())).unwrap(),
        Name::Userhash(hash) => writer.add(&Attribute::Userhash(hash)).unwrap(),
    };
    if let Some(nonce) = nonce {
        writer.add(&Attribute::Realm(REALM.into())).unwrap();
        writer.add(&Attribute::Nonce(nonce.into())).unwrap();
        if sha256 {
            writer.add(&Attribute::PasswordAlgorithm(PasswordAlgorithm::SHA256)).unwrap();
            writer.add_password_algorithms(&[PasswordAlgorithm::SHA256, PasswordAlgorithm::MD5]).unwrap();
        }
    }
    let bytes = if sha256 {
        writer.message_integrity_sha256(key).unwrap().finish()
    } else {
        writer.message_integrity(key).unwrap().finish()
    };
    bytes.to_vec()
}

/// RFC 8489 §9.2.4, §16.1.1: known and unknown names cost the same, and no key is derived from a password.
#[test]
fn an_unknown_user_costs_as_much_as_a_wrong_password() {
    let mut users = Users::long_term(REALM);
    users.add("alice", "TheMatrIX").unwrap();
    // The user has a key, but not of the kind of the request.
    users.add_keys("carol", Some(&[1; 16]), None).unwrap();
    let keys = Counting::of(users);
    let authenticator = Authenticator::long_term(REALM, &[7; 32], keys.clone()).unwrap();
    let challenge = authenticator.challenge.as_ref().unwrap();
    let nonce = challenge.nonces.issue(Instant::ORIGIN, SOURCE.parse().unwrap(), challenge.features);
    let (alice, unknown_hash) = (userhash("alice", REALM), userhash("bobby", REALM));
    let guess = IntegrityKey::from_bytes(&[9; 32]);
    for sha256 in [true, false] {
        let judge = |name| {
            let bytes = request(name, Some(nonce.as_str()), &guess, sha256);
            let length = bytes.len();
            let (result, lookups, hmacs) = judged(&authenticator, &keys, &bytes);
            (result, lookups, hmacs == [length])
        };
        for (known, unknown) in [
            (Name::Username("alice"), Name::Username("bobby")),
            (Name::Username("alice"), Name::Username("alicf")),
            (Name::Userhash(&alice), Name::Userhash(&unknown_hash)),
        ] {
            let (wrong, lookups, is_one) = judge(known);
            assert!(matches!(wrong, Err(RejectionKind::Integrity(_))), "{wrong:?}");
            assert_eq!((lookups, is_one), (1, true), "one lookup, one HMAC of the whole message");
            assert_eq!(judge(unknown), (Err(RejectionKind::UnknownUser), lookups, is_one));
        }
        if sha256 {
            assert_eq!(judge(Name::Username("carol")), (Err(RejectionKind::UnknownUser), 1, true));
        }
        assert_eq!(judge(Name::Username("")), (Err(RejectionKind::UnknownUser), 1, true));
    }
    // A valid request of a known user costs the same.
    let right = IntegrityKey::long_term_sha256("alice", REALM, "TheMatrIX");
    let bytes = request(Name::Username("alice"), Some(nonce.as_str()), &right, true);
    assert_eq!(judged(&authenticator, &keys, &bytes), (Ok(()), 1, vec![bytes.len()]));
}

/// With two secrets a request costs two HMACs, unless the first secret verifies it.
#[test]
fn each_candidate_costs_one_hmac_for_known_and_unknown_names() {
    let mut keys = TimedKeys::new(Duration::from_secs(100), b"first").unwrap();
    let name = "200:alice";
    let first = keys.password(name);
    let second = TimedKeys::new(Duration::ZERO, b"second").unwrap().password(name);
    keys.add_secret(b"second").unwrap();
    let authenticator = Authenticator::long_term(REALM, &[7; 32], keys).unwrap().without_anonymity();
    let challenge = authenticator.challenge.as_ref().unwrap();
    let nonce = challenge.nonces.issue(Instant::ORIGIN, SOURCE.parse().unwrap(), challenge.features);
    let source = SOURCE.parse().unwrap();
    for (name, password, hmacs) in [
        (name, first.as_str(), 1),
        (name, second.as_str(), 2),
        (name, "guess", 2),
        ("bob", "guess", 2),
        ("300:bob", "guess", 2),
        ("", "guess", 2),
    ] {
        let key = IntegrityKey::long_term_sha256(name, REALM, password);
        let bytes = request(Name::Username(name), Some(nonce.as_str()), &key, true);
        HMACS.take();
        let judgement = authenticator.judge(Instant::ORIGIN, source, &Message::decode(&bytes).unwrap());
        assert_eq!(HMACS.take(), vec![bytes.len(); hmacs], "{name} {password}");
        assert_eq!(matches!(judgement, Judgement::Admitted(_)), password != "guess");
    }
}

#[test]
fn an_unknown_user_of_short_term_credentials_costs_as_much_as_a_wrong_password() {
    let mut users = Users::short_term();
    users.add("alice", "secret").unwrap();
    let keys = Counting::of(users);
    let authenticator = Authenticator::short_term(keys.clone());
    let guess = IntegrityKey::short_term("guess");
    for sha256 in [true, false] {
        let of = |name| request(Name::Username(name), None, &guess, sha256);
        let (wrong, lookups, hmacs) = judged(&authenticator, &keys, &of("alice"));
        assert!(matches!(wrong, Err(RejectionKind::Integrity(_))), "{wrong:?}");
        assert_eq!((lookups, &hmacs), (1, &vec![of("alice").len()]));
        let unknown = judged(&authenticator, &keys, &of("bobby"));
        assert_eq!(unknown, (Err(RejectionKind::UnknownUser), lookups, hmacs));
    }
}
