//! What a client does about 401 (Unauthenticated) and 438 (Stale Nonce).
//!
//! Rules of this file: takes a challenge and the session before it, returns the session that answers it, or why it is not
//! answered. A challenge is not authenticated, so no challenge may lower the security of the one before. What a request can be
//! made to do in all is bounded here.
//!
//! RFC 8489 §9.2.5 (the retry), §9.2.1 (bid-down attacks), §18.1 (features).

use super::session::{Algorithm, Offer, Session};
use super::{Credential, Proves};
use crate::nonce::Features;
use alloc::boxed::Box;
use portolan_stun::{AttributeType, ErrorCode, Message, PasswordAlgorithm};

/// How many 401 of one server are answered for one request.
pub(super) const CHALLENGES: u32 = 3;
/// How many 438 of one server are answered for one request.
pub(super) const STALE: u32 = 1;
/// The longest PASSWORD-ALGORITHMS that is sent back, in bytes: 64 algorithms without parameters.
const OFFER_LIMIT: usize = 256;

/// Why a challenge is not answered; the request is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// The server refuses the name and the password in the realm where they were proved (RFC 8489 §9.2.5).
    #[error("the server refuses this user name and password")]
    WrongCredentials,
    /// The attribute is missing in the challenge, or cannot be read.
    #[error("the challenge has no {0} that can be read")]
    Lacks(AttributeType),
    /// The attribute is longer than what is sent back: 256 bytes of PASSWORD-ALGORITHMS.
    #[error("the challenge has a {0} too long to be sent back")]
    TooLong(AttributeType),
    /// The nonce announces PASSWORD-ALGORITHMS and there is none, or the other way round (RFC 8489 §9.2.1).
    #[error("the nonce and PASSWORD-ALGORITHMS contradict each other: somebody may have changed the challenge")]
    BidDown,
    /// It asks for less than the challenge before it did: a name in the clear, or a weaker algorithm (RFC 8489 §9.2.1).
    #[error("the challenge asks for less security than the one before: somebody may have changed it")]
    Weaker,
    /// None of its algorithms is known (RFC 8489 §9.2.5).
    #[error("none of the password algorithms is supported")]
    NoAlgorithm,
    /// It wants the name in the clear, see [`Credential::long_term_anonymous`].
    #[error("the server does not take anonymous user names")]
    NoAnonymity,
    /// The request was redirected and the new server has another realm, where the credential is not the same (RFC 8489 §10).
    #[error("the server redirected to has another realm")]
    OtherRealm,
    /// 438 in answer to a request without a nonce.
    #[error("the nonce is called stale where none was sent")]
    NothingStale,
    /// 438 with the very nonce that it calls stale.
    #[error("the nonce that is called stale is to be sent again")]
    SameNonce,
    /// As many challenges as are answered for one request were answered.
    #[error("too many challenges")]
    TooMany,
    /// With the credential the request would be too long for a message.
    #[error("the request with its credential is too long")]
    Unwritable,
}

/// What went before a challenge, in this request or in an earlier one to the same server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'a> {
    /// By what the refused request was proved.
    pub(super) session: Option<&'a Session>,
    /// The realm that a redirection binds the request to.
    pub(super) realm: Option<&'a [u8]>,
    /// How many 401 of this server were answered for this request.
    pub(super) challenges: u32,
    /// How many 438.
    pub(super) stale: u32,
}

/// Returns the session that answers a challenge.
///
/// # Errors
/// The [`ChallengeError`] of the first rule that the challenge breaks.
pub(super) fn answer(
    credential: &Credential,
    code: u16,
    message: &Message<'_>,
    before: Before<'_>,
) -> Result<Session, ChallengeError> {
    let realm = realm(code, message, before)?;
    let nonce = message.nonce().filter(|nonce| !nonce.is_empty());
    let nonce = nonce.ok_or(ChallengeError::Lacks(AttributeType::NONCE))?.as_bytes();
    if before.session.is_some_and(|session| code == ErrorCode::STALE_NONCE && session.nonce() == nonce) {
        return Err(ChallengeError::SameNonce);
    }
    let features = Features::of(nonce).unwrap_or_default();
    let offer = offer(message, features)?;
    let anonymous = features.contains(Features::USERNAME_ANONYMITY);
    if !anonymous && matches!(credential.0.proves, Proves::LongTerm { anonymous: true }) {
        return Err(ChallengeError::NoAnonymity);
    }
    if before.session.is_some_and(|session| session.is_stronger_than(anonymous, offer.as_ref())) {
        return Err(ChallengeError::Weaker);
    }
    let (limit, so_far) =
        if code == ErrorCode::STALE_NONCE { (STALE, before.stale) } else { (CHALLENGES, before.challenges) };
    if so_far >= limit {
        return Err(ChallengeError::TooMany);
    }
    Session::new(credential, realm, nonce, anonymous, offer).ok_or(ChallengeError::Lacks(AttributeType::REALM))
}

/// The realm that the retry names: of a 401 its own, of a 438 the one of before.
fn realm<'a>(code: u16, message: &Message<'a>, before: Before<'a>) -> Result<&'a [u8], ChallengeError> {
    if code == ErrorCode::STALE_NONCE {
        return before.session.map(Session::realm).ok_or(ChallengeError::NothingStale);
    }
    let realm = message.realm().ok_or(ChallengeError::Lacks(AttributeType::REALM))?.as_bytes();
    // RFC 8489 §9.2.5: no retry that changes neither name nor realm nor password.
    if before.session.is_some_and(|session| session.realm() == realm) {
        return Err(ChallengeError::WrongCredentials);
    }
    // RFC 8489 §10: the same credentials, and those are of one realm.
    if before.realm.is_some_and(|bound| bound != realm) {
        return Err(ChallengeError::OtherRealm);
    }
    Ok(realm)
}

/// PASSWORD-ALGORITHMS as it came, and the first algorithm in it that is known; `None` where the server has none.
fn offer(message: &Message<'_>, features: Features) -> Result<Option<Offer>, ChallengeError> {
    const KIND: AttributeType = AttributeType::PASSWORD_ALGORITHMS;
    // RFC 8489 §9.2.4: the bit and the attribute come together. If one is missing, an attacker may have removed it.
    if message.has(KIND) != features.contains(Features::PASSWORD_ALGORITHMS) {
        return Err(ChallengeError::BidDown);
    }
    if !message.has(KIND) {
        return Ok(None);
    }
    let list = message.password_algorithms().ok_or(ChallengeError::Lacks(KIND))?;
    if list.as_bytes().len() > OFFER_LIMIT {
        return Err(ChallengeError::TooLong(KIND));
    }
    let chosen = list.iter().find_map(|algorithm| match algorithm {
        PasswordAlgorithm::MD5 => Some(Algorithm::Md5),
        PasswordAlgorithm::SHA256 => Some(Algorithm::Sha256),
        _ => None,
    });
    let chosen = chosen.ok_or(ChallengeError::NoAlgorithm)?;
    Ok(Some(Offer { list: Box::from(list.as_bytes()), chosen }))
}

/// Whether PASSWORD-ALGORITHMS is announced by the nonce of a response and is not there (RFC 8489 §9.2.5).
pub(super) fn is_stripped(message: &Message<'_>) -> bool {
    let features = message.nonce().and_then(|nonce| Features::of(nonce.as_bytes())).unwrap_or_default();
    features.contains(Features::PASSWORD_ALGORITHMS) && !message.has(AttributeType::PASSWORD_ALGORITHMS)
}
