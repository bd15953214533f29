//! The credentials of clients and servers: one user with one password, in every mechanism.

use crate::byte_reader::ADDRESSES;
use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, PasswordAlgorithm, Writer};
use portolan_stun_agent::{Authenticator, Credential, Users};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

const REALM: &str = "example.org";
pub(super) const USER: &str = "alice";
pub(super) const PASSWORD: &str = "TheMatrIX";

/// Returns one of five credentials of a client. The last one has a wrong password.
pub(super) fn credential(kind: u8) -> Credential {
    static ALL: LazyLock<[Credential; 5]> = LazyLock::new(|| {
        [
            Credential::long_term(USER, PASSWORD),
            Credential::short_term(USER, PASSWORD),
            Credential::long_term_anonymous(USER, PASSWORD),
            Credential::short_term_with(USER, PASSWORD, portolan_stun::Integrity::Sha1),
            Credential::long_term(USER, "another"),
        ]
    });
    ALL[usize::from(kind) % ALL.len()].clone()
}

/// Returns the authenticator of the server at an address: long-term, short-term, long-term with short-lived nonces
/// and without MD5, or none.
pub(super) fn authenticator(place: SocketAddr) -> Option<Authenticator> {
    static ALL: LazyLock<[Authenticator; 3]> = LazyLock::new(|| {
        let mut users = Users::long_term(REALM);
        users.add(USER, PASSWORD).expect("a user");
        let mut short = Users::short_term();
        short.add(USER, PASSWORD).expect("a user");
        let long = Authenticator::long_term(REALM, &[7; 32], users).expect("a realm");
        let strict = long.clone().nonce_lifetime(Duration::from_secs(1)).without_md5();
        [long, Authenticator::short_term(short), strict]
    });
    let nth = ADDRESSES.iter().position(|known| known.parse() == Ok(place))?;
    ALL.get(nth).cloned()
}

/// Returns a request that answers the challenge in `reply`, by RFC 8489 or by RFC 5389. Without a nonce in `reply`
/// the request has a short-term credential.
pub(super) fn signed_request(reply: &Message<'_>, choice: u8) -> Option<Vec<u8>> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [choice & 7; 12].into()).ok()?;
    writer.add(&Attribute::Username(USER.into())).ok()?;
    let Some(nonce) = reply.nonce() else {
        let writer = writer.message_integrity(&IntegrityKey::short_term(PASSWORD)).ok()?;
        return Some(writer.finish().to_vec());
    };
    writer.add(&Attribute::Realm(REALM.into())).ok()?;
    writer.add(&Attribute::Nonce(nonce)).ok()?;
    if choice & 8 == 0 {
        writer.add_password_algorithms(&[PasswordAlgorithm::SHA256, PasswordAlgorithm::MD5]).ok()?;
        writer.add(&Attribute::PasswordAlgorithm(PasswordAlgorithm::SHA256)).ok()?;
        let key = IntegrityKey::long_term_sha256(USER, REALM, PASSWORD);
        return Some(writer.message_integrity_sha256(&key).ok()?.fingerprint().ok()?.finish().to_vec());
    }
    let key = IntegrityKey::long_term_md5(USER, REALM, PASSWORD);
    Some(writer.message_integrity(&key).ok()?.finish().to_vec())
}
