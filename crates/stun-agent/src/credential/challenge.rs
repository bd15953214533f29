//! The client side of challenges: 401 (Unauthenticated) and 438 (Stale Nonce).
//!
//! Rules of this file: the functions take a challenge and the previous session, and return the session of the retry,
//! or the reason why there is no retry. A challenge is not authenticated, so no challenge may lower the security of
//! the previous one. The number of retries of a request is bounded here.
//!
//! RFC 8489 §9.2.5 (the retry), §9.2.1 (bid-down attacks), §18.1 (features).

use super::session::{Algorithm, Offer, Session};
use super::{Credential, MechanismParams};
use crate::nonce::Features;
use alloc::boxed::Box;
use portolan_stun::{AttributeType, ErrorCode, Message, PasswordAlgorithm};

/// The largest number of retries of one request after a 401 of one server.
pub(super) const CHALLENGES: u32 = 3;
/// The largest number of retries of one request after a 438 of one server.
pub(super) const STALE: u32 = 1;
/// The longest PASSWORD-ALGORITHMS that is sent back, in bytes: 64 algorithms without parameters.
const OFFER_LIMIT: usize = 256;

/// The reason why a request is not retried after a challenge. The request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// The server refuses the user name and the password in the realm of the request (RFC 8489 §9.2.5).
    #[error("the server refuses this user name and password")]
    WrongCredentials,
    /// The attribute is missing in the challenge, or malformed.
    #[error("the challenge has no valid {0}")]
    Lacks(AttributeType),
    /// The attribute is longer than the limit for sending it back: 256 bytes of PASSWORD-ALGORITHMS.
    #[error("the challenge has a {0} too long to be sent back")]
    TooLong(AttributeType),
    /// The nonce announces PASSWORD-ALGORITHMS and the attribute is missing, or the reverse (RFC 8489 §9.2.1).
    #[error("the nonce and PASSWORD-ALGORITHMS contradict each other: a third party can have changed the challenge")]
    BidDown,
    /// The challenge has less security than the previous one: a user name as plain text, or a weaker algorithm (RFC
    /// 8489 §9.2.1).
    #[error("the challenge has less security than the previous one: a third party can have changed it")]
    Weaker,
    /// No algorithm of the challenge is supported (RFC 8489 §9.2.5).
    #[error("no password algorithm of the challenge is supported")]
    NoAlgorithm,
    /// The server requires the user name as plain text, see [`Credential::long_term_anonymous`].
    #[error("the server does not support anonymous user names")]
    NoAnonymity,
    /// The request was redirected, and the new server has another realm, in which the credential is not valid (RFC
    /// 8489 §10).
    #[error("the server of the redirection has another realm")]
    OtherRealm,
    /// The error is 438, but the request had no nonce.
    #[error("stale nonce (438), but the request had no nonce")]
    NothingStale,
    /// The error is 438, and the challenge has the same nonce as the request.
    #[error("stale nonce (438), but the challenge has the same nonce as the request")]
    SameNonce,
    /// The number of retries of the request has reached its limit.
    #[error("too many challenges")]
    TooMany,
    /// The request with the credential is too long for a message.
    #[error("the request with its credential is too long")]
    Unwritable,
}

/// The state before a challenge, from this request or from an earlier request to the same server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Previous<'a> {
    /// The session of the refused request.
    pub(super) session: Option<&'a Session>,
    /// The only allowed realm, if the request was redirected.
    pub(super) realm: Option<&'a [u8]>,
    /// The number of retries of this request after a 401 of this server.
    pub(super) challenges: u32,
    /// The number of retries of this request after a 438 of this server.
    pub(super) stale: u32,
}

/// Returns the session of the retry after a challenge.
///
/// # Errors
/// The [`ChallengeError`] of the first rule that the challenge violates.
pub(super) fn build_session(
    credential: &Credential,
    code: u16,
    message: &Message<'_>,
    previous: Previous<'_>,
) -> Result<Session, ChallengeError> {
    let realm = realm(code, message, previous)?;
    let nonce = message.nonce().filter(|nonce| !nonce.is_empty());
    let nonce = nonce.ok_or(ChallengeError::Lacks(AttributeType::NONCE))?.as_bytes();
    if previous.session.is_some_and(|session| code == ErrorCode::STALE_NONCE && session.nonce() == nonce) {
        return Err(ChallengeError::SameNonce);
    }
    let features = Features::of(nonce).unwrap_or_default();
    let offer = offer(message, features)?;
    let anonymous = features.contains(Features::USERNAME_ANONYMITY);
    if !anonymous && matches!(credential.0.params, MechanismParams::LongTerm { anonymous: true }) {
        return Err(ChallengeError::NoAnonymity);
    }
    if previous.session.is_some_and(|session| session.is_stronger_than(anonymous, offer.as_ref())) {
        return Err(ChallengeError::Weaker);
    }
    let (limit, so_far) =
        if code == ErrorCode::STALE_NONCE { (STALE, previous.stale) } else { (CHALLENGES, previous.challenges) };
    if so_far >= limit {
        return Err(ChallengeError::TooMany);
    }
    Session::new(credential, realm, nonce, anonymous, offer).ok_or(ChallengeError::Lacks(AttributeType::REALM))
}

/// The realm of the retry: after a 401 the realm of the challenge, after a 438 the previous realm.
fn realm<'a>(code: u16, message: &Message<'a>, previous: Previous<'a>) -> Result<&'a [u8], ChallengeError> {
    if code == ErrorCode::STALE_NONCE {
        return previous.session.map(Session::realm).ok_or(ChallengeError::NothingStale);
    }
    let realm = message.realm().ok_or(ChallengeError::Lacks(AttributeType::REALM))?.as_bytes();
    // RFC 8489 §9.2.5: no retry with the same user name, realm and password.
    if previous.session.is_some_and(|session| session.realm() == realm) {
        return Err(ChallengeError::WrongCredentials);
    }
    // RFC 8489 §10: the retry uses the same credentials, which are valid in one realm.
    if previous.realm.is_some_and(|bound| bound != realm) {
        return Err(ChallengeError::OtherRealm);
    }
    Ok(realm)
}

/// PASSWORD-ALGORITHMS of the challenge, and its first supported algorithm; `None` if the server sent no list.
fn offer(message: &Message<'_>, features: Features) -> Result<Option<Offer>, ChallengeError> {
    const KIND: AttributeType = AttributeType::PASSWORD_ALGORITHMS;
    // RFC 8489 §9.2.4: a server sends the bit and the attribute together. If one is missing, a third party has
    // removed it.
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

/// Whether the nonce of a response announces PASSWORD-ALGORITHMS, and the attribute is missing (RFC 8489 §9.2.5).
pub(super) fn is_stripped(message: &Message<'_>) -> bool {
    let features = message.nonce().and_then(|nonce| Features::of(nonce.as_bytes())).unwrap_or_default();
    features.contains(Features::PASSWORD_ALGORITHMS) && !message.has(AttributeType::PASSWORD_ALGORITHMS)
}
