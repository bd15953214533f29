//! What was learnt from one server about one credential, and how a request proves it.
//!
//! Rules of this file: what is kept of a server is bounded in number and size; a proof is made for one server and sent to
//! no other; the key is made once for each challenge.
//!
//! RFC 8489 §9.1.5, §9.2.3.2 (subsequent requests), §9.2.2 (key), §14.3 to §14.6, §14.9 to §14.12.

use super::{Credential, Proves};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_stun::writer::BeforeFingerprint;
use portolan_stun::{
    Attribute, AttributeType, EncodeError, Integrity, IntegrityKey, PasswordAlgorithm, Text, Writer, userhash,
};

/// An answered challenge: all that requests to one server prove themselves with (RFC 8489 §9.2.3.2).
#[derive(Clone, Debug)]
pub(crate) struct Session {
    realm: Box<[u8]>,
    nonce: Box<[u8]>,
    /// The name as it is sent where it is not sent in the clear.
    userhash: Option<[u8; 32]>,
    offer: Option<Offer>,
    pub(super) integrity: Integrity,
    pub(super) key: IntegrityKey,
}

/// What a server offered, and what is taken of it.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// The value of PASSWORD-ALGORITHMS as it came.
    pub(super) list: Box<[u8]>,
    pub(super) chosen: Algorithm,
}

/// How a key is made of a password, the weaker one first (RFC 8489 §18.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    Md5,
    Sha256,
}

/// How a request to one server is proved.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// Not at all: the first request of a long-term credential (RFC 8489 §9.2.3.1).
    None,
    /// By the password; `None`: by both attributes (RFC 8489 §9.1.2).
    ShortTerm(Option<Integrity>),
    /// By an answered challenge.
    LongTerm(Arc<Session>),
}

impl Session {
    /// `None` where the realm is not UTF-8, which every realm is (RFC 8489 §14.9).
    pub(super) fn new(
        credential: &Credential,
        realm: &[u8],
        nonce: &[u8],
        anonymous: bool,
        offer: Option<Offer>,
    ) -> Option<Self> {
        let text = core::str::from_utf8(realm).ok()?;
        let (user, name, password) = (credential.username(), bare(credential.username()), credential.password());
        let (bare_realm, password) = (bare(text), password.trim_end_matches('\0'));
        let key = match offer.as_ref().map(|offer| offer.chosen) {
            None | Some(Algorithm::Md5) => IntegrityKey::long_term_md5(name, bare_realm, password),
            Some(Algorithm::Sha256) => IntegrityKey::long_term_sha256(name, bare_realm, password),
        };
        Some(Self {
            realm: realm.into(),
            nonce: nonce.into(),
            userhash: anonymous.then(|| userhash(user, text)),
            // RFC 8489 §9.2.5: with PASSWORD-ALGORITHMS it is MESSAGE-INTEGRITY-SHA256 only; a server without it answers
            // with MESSAGE-INTEGRITY (§9.2.4).
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

    /// Whether a challenge with these would lead to less than this one did.
    pub(super) fn is_stronger_than(&self, anonymous: bool, offer: Option<&Offer>) -> bool {
        let (chosen, hashed) = self.strength();
        hashed && !anonymous || chosen > offer.map(|offer| offer.chosen)
    }

    /// The algorithm chosen, if there was a choice, and whether the name is hashed.
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

    /// In the order of RFC 8489 B.1.
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

/// How a retry authenticates, for notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) algorithm: Option<u16>,
    pub(crate) anonymous: bool,
    pub(crate) integrity: Integrity,
}

impl Proof {
    /// How many bytes it adds to a message, at most.
    pub(crate) fn room(&self, credential: &Credential) -> usize {
        /// Headers and padding of all attributes, USERHASH, PASSWORD-ALGORITHM and both integrity attributes.
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

    /// Writes what proves the request, after its attributes, and ends the message.
    pub(crate) fn close<'b>(
        &self,
        credential: &Credential,
        mut writer: Writer<'b>,
        fingerprint: bool,
    ) -> Result<&'b [u8], EncodeError> {
        let (key, integrity) = match (self, &credential.0.proves) {
            (Self::ShortTerm(integrity), Proves::ShortTerm { key, .. }) => {
                writer.add(&Attribute::Username(credential.username().into()))?;
                (key.as_ref(), *integrity)
            }
            (Self::LongTerm(session), Proves::LongTerm { .. }) => {
                session.write(credential, &mut writer)?;
                (&session.key, Some(session.integrity))
            }
            (Self::None, _) | (Self::ShortTerm(_), _) | (Self::LongTerm(_), _) => return end(writer, fingerprint),
        };
        match integrity {
            None => end(writer.message_integrity(key)?.message_integrity_sha256(key)?, fingerprint),
            Some(Integrity::Sha1) => end(writer.message_integrity(key)?, fingerprint),
            Some(Integrity::Sha256 { .. }) => end(writer.message_integrity_sha256(key)?, fingerprint),
        }
    }
}

/// Ends a message, with FINGERPRINT if it is to have one.
pub(crate) fn end<S: BeforeFingerprint>(writer: Writer<'_, S>, fingerprint: bool) -> Result<&[u8], EncodeError> {
    Ok(if fingerprint { writer.fingerprint()?.finish() } else { writer.finish() })
}

/// RFC 8489 §9.2.2: in the key names and realms have no quotes and no trailing nulls.
fn bare(text: &str) -> &str {
    text.trim_end_matches('\0').trim_matches('"')
}

/// The session of each recent server, for each credential (RFC 8489 §9.1.5, §9.2.3.2).
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    /// The latest one is last.
    known: Vec<(SocketAddr, Credential, Proof)>,
}

impl Sessions {
    /// How many are kept.
    pub(crate) const LIMIT: usize = 32;

    pub(crate) const fn new() -> Self {
        Self { known: Vec::new() }
    }

    /// How a request to this server is proved: as the last one was, else as a first one is.
    pub(crate) fn proof(&self, server: SocketAddr, credential: &Credential) -> Proof {
        let known = self.known.iter().find(|(at, of, _)| *at == server && of == credential);
        match (known, &credential.0.proves) {
            (Some((_, _, proof)), _) => proof.clone(),
            (None, Proves::ShortTerm { only, .. }) => Proof::ShortTerm(*only),
            (None, Proves::LongTerm { .. }) => Proof::None,
        }
    }

    /// Keeps how a request was proved that got a verified answer; the one learnt of longest ago gives way.
    pub(crate) fn learn(&mut self, server: SocketAddr, credential: &Credential, proof: &Proof) {
        self.forget(server, credential);
        if self.known.len() >= Self::LIMIT {
            self.known.remove(0);
        }
        self.known.push((server, credential.clone(), proof.clone()));
    }

    pub(crate) fn forget(&mut self, server: SocketAddr, credential: &Credential) {
        self.known.retain(|(at, of, _)| *at != server || of != credential);
    }

    /// Forgets a credential, and all that was learnt with it.
    pub(crate) fn forget_all(&mut self, credential: &Credential) {
        self.known.retain(|(_, of, _)| of != credential);
    }
}
