//! The authentication state of one request with a credential, and the check of its responses.
//!
//! Rules of this file: `check_response` changes nothing. The caller checks the sender before it, and the other
//! content after it. Only 401 and 438 are accepted without verification, because their sender has no key (RFC 8489
//! §9.2.4). They can cause only another request to the same server. [`Attempt::TRANSACTIONS`] bounds the number of
//! transactions of one request.
//!
//! RFC 8489 §9.1.4, §9.2.5 (receiving a response), §10 and §14.8 (300).

use super::challenge::{self, CHALLENGES, Previous, STALE};
use super::session::{RequestAuth, Session, Sessions, Signed};
use super::{ChallengeError, Credential, Mechanism, MechanismParams};
use crate::alternate::{Alternates, RedirectError, ResponseAuthentication};
use crate::note::Dropped;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use portolan_machine::Instant;
use portolan_stun::{
    AttributeType, Class, EncodeError, ErrorCode, Integrity, IntegrityError, IntegrityKey, Message, Verified, Writer,
};

/// The authentication state of a pending request.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    credential: Credential,
    auth: RequestAuth,
    /// The realm of the server that redirected the request. The credential is valid in this realm only.
    realm: Option<Box<[u8]>>,
    alternates: Alternates,
    challenges: u32,
    stale: u32,
    /// The sender and the error of the last response of this transaction that was not verified.
    pub(crate) integrity_failure: Option<(SocketAddr, IntegrityError)>,
}

/// The outcome of the authentication check of a response.
#[derive(Clone, Debug)]
pub(crate) enum AuthOutcome {
    /// The response is accepted. The value is the verified attribute, if one was required.
    Accept(Option<Integrity>),
    /// The request is retried with this session after a challenge of this code, 401 or 438.
    Retry { code: u16, session: Arc<Session> },
    /// The request is not retried after a challenge.
    Decline(ChallengeError),
    /// A verified 300, and its server or the reason why it is not followed.
    Redirect(Integrity, Result<SocketAddr, RedirectError>),
    /// The response is not verified.
    Unverified(IntegrityError),
    /// The response is dropped.
    Drop(Dropped),
}

impl Attempt {
    /// The largest number of transactions of one request: one for each server, and one for each challenge that is
    /// answered.
    pub(crate) const TRANSACTIONS: u32 = (Alternates::HOPS + 1) * (1 + CHALLENGES + STALE);

    pub(crate) fn new(credential: Credential, server: SocketAddr, now: Instant, sessions: &Sessions) -> Self {
        let (auth, alternates) = (sessions.request_auth(server, &credential), Alternates::new(now, server));
        Self { credential, auth, realm: None, alternates, challenges: 0, stale: 0, integrity_failure: None }
    }

    pub(crate) const fn server(&self) -> SocketAddr {
        self.alternates.server()
    }

    pub(crate) fn mechanism(&self) -> Mechanism {
        self.credential.mechanism()
    }

    /// The largest number of bytes that the authentication adds to a message.
    pub(crate) fn reserved_len(&self) -> usize {
        self.auth.reserved_len(&self.credential)
    }

    /// Writes the authentication attributes and ends the message.
    pub(crate) fn finish<'b>(&self, writer: Writer<'b>, fingerprint: bool) -> Result<&'b [u8], EncodeError> {
        self.auth.finish(&self.credential, writer, fingerprint)
    }

    /// Checks a response whose sender and method are as expected.
    pub(crate) fn check_response(&self, now: Instant, message: &Message<'_>) -> AuthOutcome {
        let error = message.error_code().filter(|_| message.class() == Class::ErrorResponse);
        let code = error.map(|error| error.code());
        if self.mechanism() == Mechanism::LongTerm {
            match code {
                Some(code @ (ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE)) => {
                    return match challenge::build_session(&self.credential, code, message, self.previous()) {
                        Ok(session) => AuthOutcome::Retry { code, session: Arc::new(session) },
                        Err(why) => AuthOutcome::Decline(why),
                    };
                }
                // RFC 8489 §9.2.5, for all other responses.
                Some(_) | None if challenge::is_stripped(message) => return AuthOutcome::Drop(Dropped::Stripped),
                Some(ErrorCode::BAD_REQUEST) if !is_signed(message) => return AuthOutcome::Drop(Dropped::BadRequest),
                Some(_) | None => {}
            }
        }
        let is_alternate = code == Some(ErrorCode::TRY_ALTERNATE);
        let (key, integrity) = match self.expected(message) {
            Some(expected) => expected,
            // RFC 8489 §14.8: a 300 must be verified, but there is no key yet.
            None if is_alternate => return AuthOutcome::Unverified(IntegrityError::Missing),
            None => return AuthOutcome::Accept(None),
        };
        match message.verify_with(key, integrity) {
            Err(why) => AuthOutcome::Unverified(why),
            Ok(verified) if is_alternate => AuthOutcome::Redirect(integrity, self.next_server(now, &verified)),
            Ok(_) => AuthOutcome::Accept(Some(integrity)),
        }
    }

    /// The expected key and integrity attribute of a response; `None` if the request was not authenticated.
    fn expected(&self, message: &Message<'_>) -> Option<(&IntegrityKey, Integrity)> {
        match (&self.auth, &self.credential.0.params) {
            (RequestAuth::LongTerm(session), _) => Some((&session.key, session.integrity)),
            (RequestAuth::ShortTerm(Some(only)), MechanismParams::ShortTerm { key, .. }) => Some((key, *only)),
            (RequestAuth::ShortTerm(None), MechanismParams::ShortTerm { key, .. }) => {
                // RFC 8489 §9.1.4: the request had both attributes, and the response can have either. If it has both,
                // the stronger one is verified.
                let is_stronger = message.has(AttributeType::MESSAGE_INTEGRITY_SHA256);
                Some((key, if is_stronger { Integrity::SHA256 } else { Integrity::Sha1 }))
            }
            (RequestAuth::None, _) | (RequestAuth::ShortTerm(_), MechanismParams::LongTerm { .. }) => None,
        }
    }

    fn next_server(&self, now: Instant, message: &Verified<'_>) -> Result<SocketAddr, RedirectError> {
        self.alternates.check(now, message, ResponseAuthentication::ByIntegrity)
    }

    fn previous(&self) -> Previous<'_> {
        let session = match &self.auth {
            RequestAuth::LongTerm(session) => Some(session.as_ref()),
            RequestAuth::None | RequestAuth::ShortTerm(_) => None,
        };
        Previous { session, realm: self.realm.as_deref(), challenges: self.challenges, stale: self.stale }
    }

    /// Authenticates the next transaction with this session, after a challenge of this code.
    pub(crate) fn use_session(&mut self, code: u16, session: Arc<Session>) -> Signed {
        let count = if code == ErrorCode::STALE_NONCE { &mut self.stale } else { &mut self.challenges };
        *count = count.saturating_add(1);
        let signed = session.signed();
        (self.auth, self.integrity_failure) = (RequestAuth::LongTerm(session), None);
        signed
    }

    /// Follows a verified 300 to its server, with the same credential in the same realm (RFC 8489 §10).
    pub(crate) fn follow(&mut self, now: Instant, server: SocketAddr, sessions: &Sessions) {
        if let RequestAuth::LongTerm(session) = &self.auth {
            self.realm = Some(session.realm().into());
        }
        self.alternates.record(now, server);
        (self.challenges, self.stale, self.integrity_failure) = (0, 0, None);
        self.auth = match sessions.request_auth(server, &self.credential) {
            RequestAuth::LongTerm(session) if self.realm.as_deref().is_some_and(|realm| realm != session.realm()) => {
                RequestAuth::None
            }
            auth @ (RequestAuth::None | RequestAuth::ShortTerm(_) | RequestAuth::LongTerm(_)) => auth,
        };
    }

    /// Stores the session of a verified response for later requests.
    pub(crate) fn store_session(&mut self, integrity: Integrity, message: &Message<'_>, sessions: &mut Sessions) {
        let server = self.server();
        match &mut self.auth {
            // There is no session to store, and no stored session is evicted.
            RequestAuth::ShortTerm(Some(_)) | RequestAuth::None => return,
            // RFC 8489 §9.1.5: later requests use only the attribute of the response.
            RequestAuth::ShortTerm(only) => *only = Some(integrity),
            // RFC 8489 §9.2.5: later requests use only SHA-256, so the next request must be challenged again.
            RequestAuth::LongTerm(session)
                if !session.has_offer() && message.has(AttributeType::PASSWORD_ALGORITHMS) =>
            {
                sessions.forget(server, &self.credential);
                return;
            }
            RequestAuth::LongTerm(_) => {}
        }
        sessions.store(server, &self.credential, &self.auth);
    }

    /// Removes the stored session after the server has refused the credential.
    pub(crate) fn forget_session(&self, sessions: &mut Sessions) {
        sessions.forget(self.server(), &self.credential);
    }
}

/// Whether a message has an integrity attribute, valid or not.
fn is_signed(message: &Message<'_>) -> bool {
    message.has(AttributeType::MESSAGE_INTEGRITY) || message.has(AttributeType::MESSAGE_INTEGRITY_SHA256)
}
