//! The server half of the credential mechanisms: the user of a message, or the rejection.
//!
//! Rules of this file: [`Authenticator::judge`] is pure, keeps no state of a message, and checks in the order of the
//! section; the first broken rule decides. An unknown user costs the same HMAC as a wrong password
//! and gets the same reply, so neither the reply nor the time reveals a user name. Rejections are never signed: there is no key
//! that both sides know. What is not covered by the integrity is never seen by the owner, because all that it gets is the
//! [`Verified`] view.
//!
//! RFC 8489 §9.1.3 (short-term), §9.2.4 (long-term), §9.2.1 (bid-down attacks), §14.9 to §14.12.
//!
//! # Sizes
//!
//! A 401 of the long-term mechanism holds no address and is equally long in both families: 104 bytes and the realm, padded
//! to 4; 116 with the realm `example.org`, which is 5.8 times a bare request of 20 bytes (3.0 times over IPv4 and 2.4 times
//! over IPv6, headers included). The RFC prescribes this length. A server for any client keeps its
//! [`Rate`](crate::Rate), which counts rejections too. No rejection is longer than [`Authenticator::REJECTION_LEN`].
//!
//! # The secret of the nonces
//!
//! The owner gives 32 random bytes that serve no other purpose, new ones at each start (its clock starts again then,
//! too). Nonces are valid for [`Authenticator::NONCE_LIFETIME`] by default; there is no need to change the secret
//! while running. Where it may have become known, [`Authenticator::renew`] makes all nonces stale: each client gets one 438
//! with a fresh nonce and goes on.
//!
//! ```
//! use portolan_machine::Instant;
//! use portolan_stun::{Class, Message, Method, Writer};
//! use portolan_stun_agent::authenticator::{Authenticator, Judgement, Users};
//!
//! let mut users = Users::long_term("example.org");
//! users.add("user", "TheMatrIX")?;
//! let authenticator = Authenticator::long_term("example.org", &[7; 32], users)?;
//!
//! let mut buffer = [0; 20];
//! let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into())?.finish();
//! let (request, source) = (Message::decode(request)?, "198.51.100.7:40000".parse()?);
//! let Judgement::Rejected(rejection) = authenticator.judge(Instant::ORIGIN, source, &request) else { panic!("unsigned") };
//! assert_eq!((rejection.code(), rejection.clause().to_string()), (401, "RFC 8489 §9.2.4".into()));
//!
//! let mut room = [0; Authenticator::REJECTION_LEN];
//! let reply = authenticator.write_rejection(&mut room, Instant::ORIGIN, source, &request, rejection)?;
//! assert_eq!(Message::decode(reply)?.realm().unwrap(), "example.org");
//! assert_eq!(reply.len(), 116);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod rejection;
mod users;

pub use rejection::{Rejection, RejectionKind};
pub use users::{KeyKind, KeyQuery, Keys, Name, UserKey, Users, UsersError};

use crate::credential::Mechanism;
use crate::nonce::{Features, Nonces};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{
    Attribute, AttributeType, Class, EncodeError, ErrorCode, Integrity, IntegrityError, IntegrityKey, Message,
    PasswordAlgorithm, ResponseClass, Verified, Writer,
};

/// Checks requests against the credentials of a server's users, by one of the two mechanisms.
#[derive(Clone, Debug)]
pub struct Authenticator {
    keys: Arc<dyn Keys>,
    /// The key that the HMAC of an unknown user is compared with.
    dummy: IntegrityKey,
    /// The part of the long-term mechanism; `None`: short-term.
    challenge: Option<Challenge>,
}

/// What a challenge of the long-term mechanism says.
#[derive(Clone, Debug)]
struct Challenge {
    realm: Box<str>,
    nonces: Nonces,
    /// PASSWORD-ALGORITHMS, best first.
    algorithms: &'static [PasswordAlgorithm<'static>],
    features: Features,
}

/// What an [`Authenticator`] thinks of a message.
#[derive(Clone, Debug)]
pub enum Judgement<'a> {
    /// A user wrote it.
    Admitted(Admitted<'a>),
    /// A request to be answered with [`Authenticator::write_rejection`], and with nothing else.
    Rejected(Rejection),
    /// No request: to be discarded in silence.
    Discarded(Rejection),
}

/// A message that a user wrote, and what its reply is signed with.
#[derive(Clone, Debug)]
pub struct Admitted<'a> {
    /// The attributes that the integrity covers, and no others.
    pub message: Verified<'a>,
    /// The user, by name also where the request had USERHASH.
    pub username: Arc<str>,
    /// The key that signs the reply.
    pub signature: Signature,
}

/// The key that a request was verified with, and the one integrity attribute that belongs into its response.
#[derive(Clone)]
pub struct Signature {
    key: IntegrityKey,
    integrity: Integrity,
}

/// Why there can be no such [`Authenticator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticatorError {
    /// The realm is empty, or longer than a challenge should be: 1 to 127 bytes.
    #[error("a realm has 1 to {} bytes, not {length}", Authenticator::REALM_LEN)]
    Realm {
        /// Its length in bytes.
        length: usize,
    },
}

impl Authenticator {
    /// The longest realm in bytes; the RFC's limit is 127 characters (§14.9), and a challenge must be short.
    pub const REALM_LEN: usize = 127;
    /// Room for every rejection, in bytes: header, ERROR-CODE, REALM, NONCE, PASSWORD-ALGORITHMS, FINGERPRINT.
    pub const REJECTION_LEN: usize = 20 + 24 + (4 + 128) + 44 + 12 + 8;
    /// How long a nonce is valid unless the owner says otherwise: ten minutes.
    pub const NONCE_LIFETIME: Duration = Duration::from_secs(600);

    /// The short-term mechanism (RFC 8489 §9.1.3): user names and passwords that both sides learnt otherwise.
    #[must_use]
    pub fn short_term(keys: impl Keys + 'static) -> Self {
        Self { keys: Arc::new(keys), dummy: IntegrityKey::from_bytes(&[]), challenge: None }
    }

    /// The long-term mechanism (RFC 8489 §9.2.4), its nonces under a secret of 32 random bytes that serves nothing else.
    ///
    /// Both password algorithms are offered, SHA-256 first, and user names may be sent as USERHASH. The realm should be the
    /// provider's domain name.
    ///
    /// # Errors
    /// [`AuthenticatorError::Realm`] when the realm does not have 1 to [`REALM_LEN`](Self::REALM_LEN) bytes.
    pub fn long_term(realm: &str, secret: &[u8; 32], keys: impl Keys + 'static) -> Result<Self, AuthenticatorError> {
        if !(1..=Self::REALM_LEN).contains(&realm.len()) {
            return Err(AuthenticatorError::Realm { length: realm.len() });
        }
        let challenge = Challenge {
            realm: realm.into(),
            nonces: Nonces::new(secret, Self::NONCE_LIFETIME),
            algorithms: &[PasswordAlgorithm::SHA256, PasswordAlgorithm::MD5],
            features: Features::PASSWORD_ALGORITHMS.with(Features::USERNAME_ANONYMITY),
        };
        Ok(Self { challenge: Some(challenge), ..Self::short_term(keys) })
    }

    /// Lets nonces live this long, in whole seconds. Short-term: no effect.
    #[must_use]
    pub fn nonce_lifetime(mut self, lifetime: Duration) -> Self {
        if let Some(challenge) = &mut self.challenge {
            challenge.nonces.set_lifetime(lifetime);
        }
        self
    }

    /// Takes SHA-256 passwords only: shuts out clients of RFC 5389, which know MD5 alone. Short-term: no effect.
    #[must_use]
    pub fn without_md5(mut self) -> Self {
        if let Some(challenge) = &mut self.challenge {
            challenge.algorithms = &[PasswordAlgorithm::SHA256];
        }
        self
    }

    /// Does not announce that user names may be sent as USERHASH: for keys that cannot be found by it. Short-term: no
    /// effect.
    #[must_use]
    pub fn without_anonymity(mut self) -> Self {
        if let Some(challenge) = &mut self.challenge {
            challenge.features = Features::PASSWORD_ALGORITHMS;
        }
        self
    }

    /// Puts the nonces under another secret: all that were given before are stale (RFC 8489 §9.2.4). Short-term: no effect.
    pub fn renew(&mut self, secret: &[u8; 32]) {
        if let Some(challenge) = &mut self.challenge {
            challenge.nonces = Nonces::new(secret, challenge.nonces.lifetime());
        }
    }

    /// Which of the two mechanisms.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        if self.challenge.is_some() { Mechanism::LongTerm } else { Mechanism::ShortTerm }
    }

    /// Judges a message from `source`, in the order of RFC 8489 §9.1.3 or §9.2.4.
    ///
    /// The basic checks of §6.3, FINGERPRINT among them, come before; unknown attributes (§6.3.1) and the method after, on
    /// the view that [`Judgement::Admitted`] holds.
    #[must_use]
    pub fn judge<'a>(&self, now: Instant, source: SocketAddr, message: &Message<'a>) -> Judgement<'a> {
        let judged = match &self.challenge {
            None => self.judge_short_term(message),
            Some(challenge) => self.judge_long_term(challenge, now, source, message),
        };
        match judged {
            Ok(admitted) => Judgement::Admitted(admitted),
            Err(kind) => {
                let rejection = Rejection { mechanism: self.mechanism(), kind };
                if message.class() == Class::Request {
                    Judgement::Rejected(rejection)
                } else {
                    Judgement::Discarded(rejection)
                }
            }
        }
    }

    fn judge_short_term<'a>(&self, message: &Message<'a>) -> Result<Admitted<'a>, RejectionKind> {
        if message.class().is_response() {
            return Err(RejectionKind::NotARequest);
        }
        let username = message.username().filter(|_| is_signed(message)).ok_or(RejectionKind::Incomplete)?;
        // Text that is no UTF-8 is no user's name; the empty one neither.
        let name = Name::Username(username.as_str().unwrap_or_default());
        let sought = KeyQuery { name, realm: "", kind: KeyKind::ShortTerm };
        let integrity =
            if message.has(AttributeType::MESSAGE_INTEGRITY_SHA256) { Integrity::SHA256 } else { Integrity::Sha1 };
        self.verify(message, sought, integrity)
    }

    fn judge_long_term<'a>(
        &self,
        challenge: &Challenge,
        now: Instant,
        source: SocketAddr,
        message: &Message<'a>,
    ) -> Result<Admitted<'a>, RejectionKind> {
        // RFC 8489 §9.2: indications cannot be challenged.
        if message.class() != Class::Request {
            return Err(RejectionKind::NotARequest);
        }
        if !is_signed(message) {
            return Err(RejectionKind::Unsigned);
        }
        let name = match (message.username(), message.userhash()) {
            (Some(username), _) => Some(Name::Username(username.as_str().unwrap_or_default())),
            (None, userhash) => userhash.map(Name::Userhash),
        };
        let (Some(name), Some(realm), Some(nonce)) = (name, message.realm(), message.nonce()) else {
            return Err(RejectionKind::Incomplete);
        };
        let has_any = message.has(AttributeType::PASSWORD_ALGORITHM) || message.has(AttributeType::PASSWORD_ALGORITHMS);
        let chosen = message.password_algorithm();
        let cookie = Features::of(nonce.as_bytes()).unwrap_or_default();
        if has_any && cookie.contains(Features::PASSWORD_ALGORITHMS) {
            let sent_back =
                message.password_algorithms().is_some_and(|sent| sent.iter().eq(challenge.algorithms.iter().copied()));
            if !sent_back || !chosen.is_some_and(|chosen| challenge.algorithms.contains(&chosen)) {
                return Err(RejectionKind::Algorithms);
            }
        }
        let algorithm = if has_any { chosen } else { Some(PasswordAlgorithm::MD5) };
        let kind = algorithm.filter(|algorithm| challenge.algorithms.contains(algorithm)).and_then(KeyKind::of);
        let ours = challenge.takes(name) && realm == *challenge.realm;
        // Without a key the user is unknown; the HMAC is computed with the dummy key all the same.
        let name = if ours && kind.is_some() { name } else { Name::Username("") };
        let sought = KeyQuery { name, realm: &challenge.realm, kind: kind.unwrap_or(KeyKind::Sha256) };
        let reply = if has_any { Integrity::SHA256 } else { Integrity::Sha1 };
        let admitted = self.verify(message, sought, reply)?;
        challenge.nonces.check(now, source, nonce.as_bytes()).map_err(RejectionKind::Nonce)?;
        Ok(admitted)
    }

    /// Verifies the stronger integrity attribute; the message of an unknown user is verified with the dummy key.
    fn verify<'a>(
        &self,
        message: &Message<'a>,
        sought: KeyQuery<'_>,
        integrity: Integrity,
    ) -> Result<Admitted<'a>, RejectionKind> {
        let known = self.keys.find(sought);
        let key = known.as_ref().map_or(&self.dummy, |known| &known.key);
        let verified = check(message, key);
        let UserKey { username, key } = known.ok_or(RejectionKind::UnknownUser)?;
        Ok(Admitted { message: verified?, username, signature: Signature { key, integrity } })
    }

    /// Writes the reply to a rejected request: 400 bare, 401 and 438 of the long-term mechanism with their challenge.
    ///
    /// It is not signed. It ends with FINGERPRINT where the request has one (RFC 8489 §7).
    ///
    /// # Errors
    /// * [`EncodeError::NotARequest`] when `request` is not a request.
    /// * [`EncodeError::BufferTooShort`] when the reply does not fit into the buffer. Every reply fits into
    ///   [`REJECTION_LEN`](Self::REJECTION_LEN) bytes.
    pub fn write_rejection<'b>(
        &self,
        buffer: &'b mut [u8],
        now: Instant,
        source: SocketAddr,
        request: &Message<'_>,
        rejection: Rejection,
    ) -> Result<&'b [u8], EncodeError> {
        // The sections require a reply although the request is not authenticated.
        let mut writer = Writer::response(buffer, &request.exempt(), ResponseClass::Error)?;
        if let Some(error) = ErrorCode::recommended(rejection.code()) {
            writer.add(&Attribute::ErrorCode(error))?;
        }
        if let Some(challenge) = self.challenge.as_ref().filter(|_| rejection.code() != ErrorCode::BAD_REQUEST) {
            let nonce = challenge.nonces.issue(now, source, challenge.features);
            writer.add(&Attribute::Realm((&*challenge.realm).into()))?;
            writer.add(&Attribute::Nonce(nonce.as_str().into()))?;
            writer.add_password_algorithms(challenge.algorithms)?;
        }
        Ok(if request.has_fingerprint() { writer.fingerprint()?.finish() } else { writer.finish() })
    }
}

impl Challenge {
    /// Whether a user can have such a name.
    const fn takes(&self, name: Name<'_>) -> bool {
        matches!(name, Name::Username(_)) || self.features.contains(Features::USERNAME_ANONYMITY)
    }
}

impl Signature {
    /// Which integrity attribute the reply gets, the only one of the two.
    #[must_use]
    pub const fn integrity(&self) -> Integrity {
        self.integrity
    }

    /// Ends a reply: signs it, and closes it with FINGERPRINT where the request had one.
    ///
    /// # Errors
    /// * [`EncodeError::BufferTooShort`] when the integrity attribute or FINGERPRINT does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when the reply would have more than 65,532 bytes after its header.
    pub fn finish<'b>(&self, writer: Writer<'b>, fingerprint: bool) -> Result<&'b [u8], EncodeError> {
        Ok(match (self.integrity, fingerprint) {
            (Integrity::Sha1, false) => writer.message_integrity(&self.key)?.finish(),
            (Integrity::Sha1, true) => writer.message_integrity(&self.key)?.fingerprint()?.finish(),
            (Integrity::Sha256 { .. }, false) => writer.message_integrity_sha256(&self.key)?.finish(),
            (Integrity::Sha256 { .. }, true) => writer.message_integrity_sha256(&self.key)?.fingerprint()?.finish(),
        })
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:?})", self.integrity)
    }
}

impl From<IntegrityError> for RejectionKind {
    fn from(error: IntegrityError) -> Self {
        Self::Integrity(error)
    }
}

/// The one HMAC that each message costs, for known and unknown users.
fn check<'a>(message: &Message<'a>, key: &IntegrityKey) -> Result<Verified<'a>, IntegrityError> {
    #[cfg(test)]
    tests::count_hmac(message);
    message.verify(key)
}

/// Whether the message has an integrity attribute.
fn is_signed(message: &Message<'_>) -> bool {
    message.has(AttributeType::MESSAGE_INTEGRITY) || message.has(AttributeType::MESSAGE_INTEGRITY_SHA256)
}

#[cfg(test)]
mod tests;
