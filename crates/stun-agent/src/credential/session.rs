//! The sessions of the credential mechanisms: the stored state of servers, and the authentication of requests with
//! it.
//!
//! Rules of this file: the number and the size of sessions are bounded. A session is used for its own server only.
//! The key is computed once for each challenge.
//!
//! RFC 8489 §9.1.5, §9.2.3.2 (subsequent requests), §9.2.2 (key), §14.3 to §14.6, §14.9 to §14.12.

use super::{Credential, MechanismParams};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_stun::writer::BeforeFingerprint;
use portolan_stun::{
    Attribute, AttributeType, EncodeError, Integrity, IntegrityKey, PasswordAlgorithm, Text, Writer, userhash,
};

/// The state after a challenge: the attributes and the key of requests to one server (RFC 8489 §9.2.3.2).
#[derive(Clone, Debug)]
pub(crate) struct Session {
    realm: Box<[u8]>,
    nonce: Box<[u8]>,
    /// USERHASH; `None` if the user name is sent as USERNAME.
    userhash: Option<[u8; 32]>,
    offer: Option<Offer>,
    pub(super) integrity: Integrity,
    pub(super) key: IntegrityKey,
}

/// The algorithms that a server offered, and the selected one.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// The value of PASSWORD-ALGORITHMS, unchanged.
    pub(super) list: Box<[u8]>,
    pub(super) chosen: Algorithm,
}

/// A password algorithm, in order of strength (RFC 8489 §18.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    Md5,
    Sha256,
}

/// The authentication of a request to one server.
#[derive(Clone, Debug)]
pub(crate) enum RequestAuth {
    /// No authentication: the first request of a long-term credential (RFC 8489 §9.2.3.1).
    None,
    /// By a short-term credential with this attribute; `None`: with both attributes (RFC 8489 §9.1.2).
    ShortTerm(Option<Integrity>),
    /// By a long-term credential and the session of a challenge.
    LongTerm(Arc<Session>),
}

impl Session {
    /// A session; `None` if the realm is not UTF-8, which RFC 8489 §14.9 requires.
    pub(super) fn new(
        credential: &Credential,
        realm: &[u8],
        nonce: &[u8],
        anonymous: bool,
        offer: Option<Offer>,
    ) -> Option<Self> {
        let text = core::str::from_utf8(realm).ok()?;
        let (user, name, password) = (credential.username(), strip(credential.username()), credential.password());
        let (stripped_realm, password) = (strip(text), password.trim_end_matches('\0'));
        let key = match offer.as_ref().map(|offer| offer.chosen) {
            None | Some(Algorithm::Md5) => IntegrityKey::long_term_md5(name, stripped_realm, password),
            Some(Algorithm::Sha256) => IntegrityKey::long_term_sha256(name, stripped_realm, password),
        };
        Some(Self {
            realm: realm.into(),
            nonce: nonce.into(),
            userhash: anonymous.then(|| userhash(user, text)),
            // RFC 8489 §9.2.5: with PASSWORD-ALGORITHMS only MESSAGE-INTEGRITY-SHA256 is used. A server without
            // PASSWORD-ALGORITHMS responds with MESSAGE-INTEGRITY (§9.2.4).
            integrity: if offer.is_some() { Integrity::SHA256 } else { Integrity::Sha1 },
            offer,
            key,
        })
    }

    pub(super) const fn realm(&self) -> &[u8] {
        &self.realm
    }

    pub(super) const fn nonce(&self) -> &[u8] {
        &self.nonce
    }

    pub(super) const fn has_offer(&self) -> bool {
        self.offer.is_some()
    }

    /// Whether a challenge with these parameters would have less security than this session.
    pub(super) fn is_stronger_than(&self, anonymous: bool, offer: Option<&Offer>) -> bool {
        let (chosen, hashed) = self.strength();
        hashed && !anonymous || chosen > offer.map(|offer| offer.chosen)
    }

    /// The selected algorithm, if the server offered a list, and whether the user name is hashed.
    pub(super) fn strength(&self) -> (Option<Algorithm>, bool) {
        (self.offer.as_ref().map(|offer| offer.chosen), self.userhash.is_some())
    }

    pub(crate) const fn signed(&self) -> Signed {
        let algorithm = match &self.offer {
            Some(Offer { chosen: Algorithm::Md5, .. }) => Some(PasswordAlgorithm::MD5.number),
            Some(Offer { chosen: Algorithm::Sha256, .. }) => Some(PasswordAlgorithm::SHA256.number),
            None => None,
        };
        Signed { algorithm, anonymous: self.userhash.is_some(), integrity: self.integrity }
    }

    /// Writes the attributes in the order of RFC 8489 B.1.
    fn write(&self, credential: &Credential, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.add(&match &self.userhash {
            Some(userhash) => Attribute::Userhash(userhash),
            None => Attribute::Username(credential.username().into()),
        })?;
        writer.add(&Attribute::Nonce(Text::from_wire(&self.nonce)))?;
        writer.add(&Attribute::Realm(Text::from_wire(&self.realm)))?;
        if let Some(Offer { list, chosen }) = &self.offer {
            writer.add(&Attribute::Unknown { kind: AttributeType::PASSWORD_ALGORITHMS, value: list })?;
            writer.add(&Attribute::PasswordAlgorithm(match chosen {
                Algorithm::Md5 => PasswordAlgorithm::MD5,
                Algorithm::Sha256 => PasswordAlgorithm::SHA256,
            }))?;
        }
        Ok(())
    }
}

/// The authentication of a retry, for notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) algorithm: Option<u16>,
    pub(crate) anonymous: bool,
    pub(crate) integrity: Integrity,
}

impl RequestAuth {
    /// The largest number of bytes that the authentication adds to a message.
    pub(crate) fn reserved_len(&self, credential: &Credential) -> usize {
        /// The headers and padding of all attributes, USERHASH, PASSWORD-ALGORITHM and both integrity attributes.
        const FIXED: usize = 7 * 8 + 32 + 4 + 20 + 32;
        match self {
            Self::None => 0,
            Self::ShortTerm(_) => FIXED + credential.username().len(),
            Self::LongTerm(session) => {
                let offer = session.offer.as_ref().map_or(0, |offer| offer.list.len());
                FIXED + credential.username().len() + session.realm.len() + session.nonce.len() + offer
            }
        }
    }

    /// Writes the authentication attributes after the attributes of the request, and ends the message.
    pub(crate) fn finish<'b>(
        &self,
        credential: &Credential,
        mut writer: Writer<'b>,
        fingerprint: bool,
    ) -> Result<&'b [u8], EncodeError> {
        let (key, integrity) = match (self, &credential.0.params) {
            (Self::ShortTerm(integrity), MechanismParams::ShortTerm { key, .. }) => {
                writer.add(&Attribute::Username(credential.username().into()))?;
                (key.as_ref(), *integrity)
            }
            (Self::LongTerm(session), MechanismParams::LongTerm { .. }) => {
                session.write(credential, &mut writer)?;
                (&session.key, Some(session.integrity))
            }
            (Self::None, _) | (Self::ShortTerm(_), _) | (Self::LongTerm(_), _) => return finish(writer, fingerprint),
        };
        match integrity {
            None => finish(writer.message_integrity(key)?.message_integrity_sha256(key)?, fingerprint),
            Some(Integrity::Sha1) => finish(writer.message_integrity(key)?, fingerprint),
            Some(Integrity::Sha256 { .. }) => finish(writer.message_integrity_sha256(key)?, fingerprint),
        }
    }
}

/// Ends a message, with FINGERPRINT if `fingerprint` is set.
pub(crate) fn finish<S: BeforeFingerprint>(writer: Writer<'_, S>, fingerprint: bool) -> Result<&[u8], EncodeError> {
    Ok(if fingerprint { writer.fingerprint()?.finish() } else { writer.finish() })
}

/// Removes quotes and trailing nulls from a user name or realm for the key (RFC 8489 §9.2.2).
fn strip(text: &str) -> &str {
    text.trim_end_matches('\0').trim_matches('"')
}

/// The stored authentication of recent servers and credentials (RFC 8489 §9.1.5, §9.2.3.2).
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    /// The most recent entry is last.
    entries: Vec<(SocketAddr, Credential, RequestAuth)>,
}

impl Sessions {
    /// The largest number of entries.
    pub(crate) const LIMIT: usize = 32;

    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// The authentication of a request to this server: that of the stored entry, or otherwise that of a first
    /// request.
    pub(crate) fn request_auth(&self, server: SocketAddr, credential: &Credential) -> RequestAuth {
        let entry = self.entries.iter().find(|(at, of, _)| *at == server && of == credential);
        match (entry, &credential.0.params) {
            (Some((_, _, auth)), _) => auth.clone(),
            (None, MechanismParams::ShortTerm { only, .. }) => RequestAuth::ShortTerm(*only),
            (None, MechanismParams::LongTerm { .. }) => RequestAuth::None,
        }
    }

    /// Stores the authentication of a request with a verified response, and removes the oldest entry at the limit.
    pub(crate) fn store(&mut self, server: SocketAddr, credential: &Credential, auth: &RequestAuth) {
        self.forget(server, credential);
        if self.entries.len() >= Self::LIMIT {
            self.entries.remove(0);
        }
        self.entries.push((server, credential.clone(), auth.clone()));
    }

    pub(crate) fn forget(&mut self, server: SocketAddr, credential: &Credential) {
        self.entries.retain(|(at, of, _)| *at != server || of != credential);
    }

    /// Removes all entries of a credential.
    pub(crate) fn forget_all(&mut self, credential: &Credential) {
        self.entries.retain(|(_, of, _)| of != credential);
    }
}
