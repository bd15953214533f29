//! One request with a credential: what its responses mean to it, and how far it has been led.
//!
//! Rules of this file: `judge` changes nothing. The sender of the response has been checked before, the rest of its content
//! is checked afterwards. Only 401 and 438 are accepted unverified, because their sender has no key (RFC 8489 §9.2.4), and
//! they lead at most to another request to the same server. A bound for all that follows from one request is
//! [`Attempt::TRANSACTIONS`].
//!
//! RFC 8489 §9.1.4, §9.2.5 (receiving a response), §10 and §14.8 (300).

use super::challenge::{self, Before, CHALLENGES, STALE};
use super::session::{Proof, Session, Sessions, Signed};
use super::{ChallengeError, Credential, Mechanism, Proves};
use crate::alternate::{Alternates, RedirectError, ResponseAuthentication};
use crate::note::Dropped;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use portolan_machine::Instant;
use portolan_stun::{
    AttributeType, Class, EncodeError, ErrorCode, Integrity, IntegrityError, IntegrityKey, Message, Verified, Writer,
};

/// A request with a credential on its way.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    credential: Credential,
    proof: Proof,
    /// The realm of the server that redirected the request, the only one in which the credential is the same.
    realm: Option<Box<[u8]>>,
    alternates: Alternates,
    challenges: u32,
    stale: u32,
    /// The last response of this transaction that was not verified, and its sender.
    pub(crate) violated: Option<(SocketAddr, IntegrityError)>,
}

/// What a response means to a request with a credential.
#[derive(Clone, Debug)]
pub(crate) enum Ruling {
    /// It is accepted; with the attribute that was verified, if one was required.
    Believe(Option<Integrity>),
    /// A challenge of this code, 401 or 438, that the session answers.
    Answer { code: u16, session: Arc<Session> },
    /// A challenge that is not answered.
    Decline(ChallengeError),
    /// A verified 300, and where it leads.
    Alternate(Integrity, Result<SocketAddr, RedirectError>),
    /// It is not verified.
    Doubt(IntegrityError),
    /// As if it had not come.
    Ignore(Dropped),
}

impl Attempt {
    /// How many transactions one request may become: with each of its servers one, and one for each challenge answered.
    pub(crate) const TRANSACTIONS: u32 = (Alternates::HOPS + 1) * (1 + CHALLENGES + STALE);

    pub(crate) fn new(credential: Credential, server: SocketAddr, now: Instant, sessions: &Sessions) -> Self {
        let (proof, alternates) = (sessions.proof(server, &credential), Alternates::new(now, server));
        Self { credential, proof, realm: None, alternates, challenges: 0, stale: 0, violated: None }
    }

    pub(crate) const fn server(&self) -> SocketAddr {
        self.alternates.server()
    }

    pub(crate) fn mechanism(&self) -> Mechanism {
        self.credential.mechanism()
    }

    /// What a message needs for its proof, in bytes, at most.
    pub(crate) fn room(&self) -> usize {
        self.proof.room(&self.credential)
    }

    /// Writes the proof and ends the message.
    pub(crate) fn close<'b>(&self, writer: Writer<'b>, fingerprint: bool) -> Result<&'b [u8], EncodeError> {
        self.proof.close(&self.credential, writer, fingerprint)
    }

    /// What a response means; its sender and method are those expected.
    pub(crate) fn judge(&self, now: Instant, message: &Message<'_>) -> Ruling {
        let error = message.error_code().filter(|_| message.class() == Class::ErrorResponse);
        let code = error.map(|error| error.code());
        if self.mechanism() == Mechanism::LongTerm {
            match code {
                Some(code @ (ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE)) => {
                    return match challenge::answer(&self.credential, code, message, self.before()) {
                        Ok(session) => Ruling::Answer { code, session: Arc::new(session) },
                        Err(why) => Ruling::Decline(why),
                    };
                }
                // RFC 8489 §9.2.5: for all other responses.
                Some(_) | None if challenge::is_stripped(message) => return Ruling::Ignore(Dropped::Stripped),
                Some(ErrorCode::BAD_REQUEST) if !is_signed(message) => return Ruling::Ignore(Dropped::BadRequest),
                Some(_) | None => {}
            }
        }
        let is_alternate = code == Some(ErrorCode::TRY_ALTERNATE);
        let (key, integrity) = match self.expected(message) {
            Some(expected) => expected,
            // RFC 8489 §14.8: a 300 is verified, and there is nothing yet to verify it with.
            None if is_alternate => return Ruling::Doubt(IntegrityError::Missing),
            None => return Ruling::Believe(None),
        };
        match message.verify_with(key, integrity) {
            Err(why) => Ruling::Doubt(why),
            Ok(verified) if is_alternate => Ruling::Alternate(integrity, self.alternate(now, &verified)),
            Ok(_) => Ruling::Believe(Some(integrity)),
        }
    }

    /// The key and the attribute that a response to this proof has; `None` where nothing was proved.
    fn expected(&self, message: &Message<'_>) -> Option<(&IntegrityKey, Integrity)> {
        match (&self.proof, &self.credential.0.proves) {
            (Proof::LongTerm(session), _) => Some((&session.key, session.integrity)),
            (Proof::ShortTerm(Some(only)), Proves::ShortTerm { key, .. }) => Some((key, *only)),
            (Proof::ShortTerm(None), Proves::ShortTerm { key, .. }) => {
                // RFC 8489 §9.1.4: both were sent, either may come; the stronger one where both came.
                let is_stronger = message.has(AttributeType::MESSAGE_INTEGRITY_SHA256);
                Some((key, if is_stronger { Integrity::SHA256 } else { Integrity::Sha1 }))
            }
            (Proof::None, _) | (Proof::ShortTerm(_), Proves::LongTerm { .. }) => None,
        }
    }

    fn alternate(&self, now: Instant, message: &Verified<'_>) -> Result<SocketAddr, RedirectError> {
        self.alternates.judge(now, message, ResponseAuthentication::ByIntegrity)
    }

    fn before(&self) -> Before<'_> {
        let session = match &self.proof {
            Proof::LongTerm(session) => Some(session.as_ref()),
            Proof::None | Proof::ShortTerm(_) => None,
        };
        Before { session, realm: self.realm.as_deref(), challenges: self.challenges, stale: self.stale }
    }

    /// Proves the next transaction by the session that answers a challenge of this code.
    pub(crate) fn answer(&mut self, code: u16, session: Arc<Session>) -> Signed {
        let count = if code == ErrorCode::STALE_NONCE { &mut self.stale } else { &mut self.challenges };
        *count = count.saturating_add(1);
        let signed = session.signed();
        (self.proof, self.violated) = (Proof::LongTerm(session), None);
        signed
    }

    /// Goes to the server that a verified 300 leads to, with the same credential in the same realm (RFC 8489 §10).
    pub(crate) fn follow(&mut self, now: Instant, server: SocketAddr, sessions: &Sessions) {
        if let Proof::LongTerm(session) = &self.proof {
            self.realm = Some(session.realm().into());
        }
        self.alternates.go(now, server);
        (self.challenges, self.stale, self.violated) = (0, 0, None);
        self.proof = match sessions.proof(server, &self.credential) {
            Proof::LongTerm(session) if self.realm.as_deref().is_some_and(|realm| realm != session.realm()) => {
                Proof::None
            }
            proof @ (Proof::None | Proof::ShortTerm(_) | Proof::LongTerm(_)) => proof,
        };
    }

    /// Keeps for later requests what a verified answer has proved right, and what it asks of them.
    pub(crate) fn learn(&mut self, integrity: Integrity, message: &Message<'_>, sessions: &mut Sessions) {
        let server = self.server();
        match &mut self.proof {
            // There was nothing to learn, and what others have learnt need not give way.
            Proof::ShortTerm(Some(_)) | Proof::None => return,
            // RFC 8489 §9.1.5: from now on only what was answered with.
            Proof::ShortTerm(only) => *only = Some(integrity),
            // RFC 8489 §9.2.5: from now on SHA-256 only, which a new challenge brings about.
            Proof::LongTerm(session) if !session.has_offer() && message.has(AttributeType::PASSWORD_ALGORITHMS) => {
                sessions.forget(server, &self.credential);
                return;
            }
            Proof::LongTerm(_) => {}
        }
        sessions.learn(server, &self.credential, &self.proof);
    }

    /// Where the server refuses a credential, what was learnt of it with that is worth nothing.
    pub(crate) fn unlearn(&self, sessions: &mut Sessions) {
        sessions.forget(self.server(), &self.credential);
    }
}

/// Whether a message has one of the integrity attributes, right or not.
fn is_signed(message: &Message<'_>) -> bool {
    message.has(AttributeType::MESSAGE_INTEGRITY) || message.has(AttributeType::MESSAGE_INTEGRITY_SHA256)
}
