//! The keys of rooms, and the key of a session.
//!
//! Rules of this file: the server stores no room and no password. It computes the password of a room from its secrets.
//! No function prints a secret.

use super::message::{PeerId, ROOM_LEN};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use portolan_stun::IntegrityKey;
use portolan_stun_agent::authenticator::{KeyKind, KeyQuery, Keys, Name, UserKey};

/// The realm of every rendezvous. A client needs it to verify a wake.
pub const REALM: &str = "rendezvous";

/// Returns the password of a room: HMAC-SHA1 of `rendezvous:` and the name, with the secret of the server, as 40
/// hexadecimal digits.
///
/// `printf rendezvous:NAME | openssl dgst -sha1 -hmac SECRET` prints the same digits. The secret should have at least
/// 20 random bytes.
///
/// ```
/// use portolan_punch::rendezvous::room_password;
///
/// assert_eq!(room_password(b"secret", "attic"), "cbb7b5827f591f47f3019eeb34c26b371ba0f2bd");
/// ```
#[must_use]
pub fn room_password(secret: &[u8], room: &str) -> String {
    derive(&IntegrityKey::from_bytes(secret), room)
}

fn derive(secret: &IntegrityKey, room: &str) -> String {
    let mut text = String::from("rendezvous:");
    text.push_str(room);
    let mac = secret.hmac_sha1(text.as_bytes());
    text.clear();
    for byte in mac {
        // A string takes every text.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

/// The key by which a client and the server authenticate messages about a room (RFC 8489 §9.2.2).
pub(super) fn room_key(room: &str, password: &str) -> IntegrityKey {
    IntegrityKey::long_term_sha256(room, REALM, password)
}

/// The key of a session: the same for both peers, whatever their order.
pub(super) fn session(secret: &IntegrityKey, one: PeerId, other: PeerId) -> [u8; 16] {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    let mac = secret.hmac_sha1(&[b"punch-session:".as_slice(), &low.0, &high.0].concat());
    let mut session = [0; 16];
    session.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
    session
}

/// The keys of all rooms, computed from the secrets of the server.
#[derive(Clone)]
pub(super) struct RoomKeys(pub(super) Vec<IntegrityKey>);

impl Keys for RoomKeys {
    fn find(&self, query: KeyQuery<'_>) -> Option<UserKey> {
        let Name::Username(room) = query.name else { return None };
        if !(1..=ROOM_LEN).contains(&room.len()) || query.kind != KeyKind::Sha256 {
            return None;
        }
        let password = derive(self.0.get(query.candidate)?, room);
        Some(UserKey::new(room, room_key(room, &password)))
    }

    fn candidates(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for RoomKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomKeys({} secrets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_does_not_depend_on_the_order_of_the_peers_and_depends_on_each_part() {
        let key = |text: &str| IntegrityKey::from_bytes(text.as_bytes());
        let (a, b, c) = (PeerId([1; 16]), PeerId([2; 16]), PeerId([3; 16]));
        let one = session(&key("x"), a, b);
        assert_eq!(one, session(&key("x"), b, a));
        assert_ne!(one, session(&key("x"), a, c));
        assert_ne!(one, session(&key("y"), a, b));
    }
}
