//! The messages of an audit.
//!
//! Rules of this file: pure functions from values to bytes. No message is sent by a correct client unless its name says
//! so.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use portolan_stun::{
    Attribute, AttributeType, Class, EncodeError, IntegrityKey, Message, Method, PasswordAlgorithm, TransactionId,
    Writer,
};

/// A user and its password. `Debug` prints neither.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: Box<str>,
    pub(super) password: Box<str>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(..)")
    }
}

/// The challenge of the server to one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    /// PASSWORD-ALGORITHMS has more than one entry, and MD5 is one of them.
    pub(super) has_choice: bool,
}

impl Challenge {
    /// Reads the challenge of a 401 or 438; `None` if REALM or NONCE is missing.
    pub(super) fn of(message: &Message<'_>, previous: Option<&Self>) -> Option<Self> {
        let realm = message.realm().map(|realm| realm.to_string()).or(previous.map(|known| known.realm.clone()))?;
        let nonce = message.nonce()?.to_string();
        let has_choice = match message.attribute(AttributeType::PASSWORD_ALGORITHMS) {
            Some(Ok(Attribute::PasswordAlgorithms(all))) => {
                all.iter().count() > 1 && all.iter().any(|one| one == PasswordAlgorithm::MD5)
            }
            _ => false,
        };
        Some(Self { realm, nonce, has_choice: has_choice || previous.is_some_and(|known| known.has_choice) })
    }

    /// Returns the same challenge with a nonce whose security features are cleared; `None` without such features.
    pub(super) fn without_features(&self) -> Option<Self> {
        const COOKIE: &str = "obMatJos2";
        let rest = self.nonce.strip_prefix(COOKIE)?;
        let body = rest.get(4..)?;
        (!rest.starts_with("AAAA")).then(|| Self { nonce: [COOKIE, "AAAA", body].concat(), ..self.clone() })
    }
}

/// The variants of a signed request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flavor {
    /// Adds a list of password algorithms that lacks those of the server.
    pub(super) fewer_algorithms: bool,
    /// Adds LIFETIME 0 after the integrity.
    pub(super) zero_after: bool,
}

/// Encodes a message without credentials.
pub(super) fn plain(class: Class, method: Method, id: TransactionId, attributes: &[Attribute<'_>]) -> Option<Vec<u8>> {
    let mut buffer = vec![0; ROOM];
    let encode = |buffer: &mut [u8]| -> Result<usize, EncodeError> {
        let mut writer = Writer::new(buffer, class, method, id)?;
        attributes.iter().try_for_each(|attribute| writer.add(attribute))?;
        Ok(writer.finish().len())
    };
    let length = encode(&mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// Encodes a request with the credentials of a user. The key is that of MD5, which each server supports.
pub(super) fn signed(
    method: Method,
    id: TransactionId,
    attributes: &[Attribute<'_>],
    (account, challenge): (&Account, &Challenge),
    flavor: Flavor,
) -> Option<Vec<u8>> {
    let mut buffer = vec![0; ROOM];
    let key = IntegrityKey::long_term_md5(&account.name, &challenge.realm, &account.password);
    let encode = |buffer: &mut [u8]| -> Result<usize, EncodeError> {
        let mut writer = Writer::new(buffer, Class::Request, method, id)?;
        attributes.iter().try_for_each(|attribute| writer.add(attribute))?;
        writer.add(&Attribute::Username((&*account.name).into()))?;
        writer.add(&Attribute::Realm(challenge.realm.as_str().into()))?;
        writer.add(&Attribute::Nonce(challenge.nonce.as_str().into()))?;
        if flavor.fewer_algorithms {
            writer.add_password_algorithms(&[PasswordAlgorithm::MD5])?;
            writer.add(&Attribute::PasswordAlgorithm(PasswordAlgorithm::MD5))?;
        }
        Ok(writer.message_integrity(&key)?.finish().len())
    };
    let length = encode(&mut buffer).ok()?;
    buffer.truncate(length);
    if flavor.zero_after {
        append_zero_lifetime(&mut buffer);
    }
    Some(buffer)
}

/// Appends LIFETIME 0, and corrects the length in the header.
fn append_zero_lifetime(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&[0x00, 0x0d, 0, 4, 0, 0, 0, 0]);
    let length = bytes.len().saturating_sub(20);
    if let (Ok(length), Some(field)) = (u16::try_from(length), bytes.get_mut(2..4)) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Encodes ChannelData whose length field is `length`.
pub(super) fn channel_data(number: u16, length: usize, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    [&number.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
}

/// Returns the first padding byte of a message that is not zero.
pub(super) fn padding_of(bytes: &[u8]) -> Option<u8> {
    let mut rest = bytes.get(20..)?;
    while let Some((&[_, _, high, low], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let padded = length.next_multiple_of(4).min(after.len());
        if let Some(byte) = after.get(length..padded).unwrap_or_default().iter().find(|byte| **byte != 0) {
            return Some(*byte);
        }
        rest = after.get(padded..).unwrap_or_default();
    }
    None
}

/// The largest message of an audit, in bytes.
const ROOM: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn padding_is_found_in_each_attribute() {
        let header = [&[1, 1, 0, 16][..], &[0x21, 0x12, 0xa4, 0x42], &[7; 12]].concat();
        let clean = [&header[..], &[0x80, 0x22, 0, 3, 1, 2, 3, 0], &[0, 0x14, 0, 1, 9, 0, 0, 0]].concat();
        assert_eq!(padding_of(&clean), None);
        let mut dirty = clean.clone();
        dirty[34] = 0xaa;
        assert_eq!(padding_of(&dirty), Some(0xaa));
        for length in 0..dirty.len() {
            let _no_panic = padding_of(&dirty[..length]);
        }
    }

    #[test]
    fn a_nonce_without_features_has_no_variant() {
        let challenge = |nonce: &str| Challenge { realm: "r".into(), nonce: nonce.into(), has_choice: false };
        assert_eq!(challenge("0123456789abcdef").without_features(), None);
        assert_eq!(challenge("obMatJos2AAAAbody").without_features(), None);
        assert_eq!(challenge("obMatJos2gAAAbody").without_features().unwrap().nonce, "obMatJos2AAAAbody");
    }

    #[test]
    fn an_account_hides_its_password() {
        let account = Account { name: "alice".into(), password: "hidden".into() };
        assert_eq!(format!("{account:?}"), "Account(..)");
    }
}
