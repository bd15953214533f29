//! The server side of the credential mechanisms: returns the user of a message, or the reason of its rejection.
//!
//! Rules of this file: [`Authenticator::judge`] is pure, stores no state of a message, and checks in the order of the
//! RFC section. The first violated rule is returned. A request of an unknown user causes the same HMACs and the same
//! reply as a wrong password. So neither the reply nor its time reveals a user name. Rejections have no integrity,
//! because the two sides share no key. The owner receives only the [`Verified`] message, so it cannot read attributes
//! that the integrity does not cover.
//!
//! RFC 8489 §9.1.3 (short-term), §9.2.4 (long-term), §9.2.1 (bid-down attacks), §14.9 to §14.12.
//!
//! # Sizes
//!
//! A 401 of the long-term mechanism contains no address, so its length is the same for both address families. It has
//! 104 bytes and the realm, padded to 4. With the realm `example.org` it has 116 bytes, which is 5.8 times a bare
//! request of 20 bytes. With IP and UDP headers it is 3.0 times over IPv4 and 2.4 times over IPv6. The RFC requires
//! these attributes. A public server limits its [`Rate`](crate::Rate), which includes rejections. No rejection is
//! longer than [`Authenticator::REJECTION_LEN`].
//!
//! # The secret of the nonces
//!
//! The owner passes 32 random bytes that have no other use. It needs new bytes at each start, because its clock
//! starts again. Nonces are valid for [`Authenticator::NONCE_LIFETIME`] by default, and the secret need not be
//! changed at run time. If the secret can have leaked, [`Authenticator::renew`] makes all nonces stale. Each client
//! then receives one 438 with a new nonce and retries.
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
//! let Judgement::Rejected(rejection) = authenticator.judge(Instant::ORIGIN, source, &request) else { panic!() };
//! assert_eq!((rejection.code(), rejection.clause().to_string()), (401, "RFC 8489 §9.2.4".into()));
//!
//! let mut room = [0; Authenticator::REJECTION_LEN];
//! let reply = authenticator.write_rejection(&mut room, Instant::ORIGIN, source, &request, rejection)?;
//! assert_eq!(Message::decode(reply)?.realm().unwrap(), "example.org");
//! assert_eq!(reply.len(), 116);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod rejection;
mod timed;
mod users;

pub use rejection::{Rejection, RejectionKind};
pub use timed::{TimedKeys, TimedKeysError, TimedPassword};
pub use users::{KeyKind, KeyQuery, Keys, Name, UserKey, Users, UsersError};

use crate::credential::Mechanism;
use crate::nonce::{Features, NonceError, Nonces};
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

/// Authenticates the requests of the users of a server, by one of the two mechanisms.
#[derive(Clone, Debug)]
pub struct Authenticator {
    keys: Arc<dyn Keys>,
    /// The key of the HMAC for a request of an unknown user.
    dummy: IntegrityKey,
    /// The parameters of the long-term mechanism; `None` for the short-term mechanism.
    challenge: Option<Challenge>,
}

/// The contents of a challenge of the long-term mechanism.
#[derive(Clone, Debug)]
struct Challenge {
    realm: Box<str>,
    nonces: Nonces,
    /// PASSWORD-ALGORITHMS, in order of preference.
    algorithms: &'static [PasswordAlgorithm<'static>],
    features: Features,
}

/// The result of [`Authenticator::judge`].
#[allow(clippy::large_enum_variant, reason = "a box would allocate for each request")]
#[derive(Clone, Debug)]
pub enum Judgement<'a> {
    /// The message of a user is authenticated.
    Admitted(Admitted<'a>),
    /// The request is rejected. The only allowed reply is that of [`Authenticator::write_rejection`].
    Rejected(Rejection),
    /// The message is not a request, and is discarded without a reply.
    Discarded(Rejection),
}

/// An authenticated message, and the key of its response.
#[derive(Clone, Debug)]
pub struct Admitted<'a> {
    /// The message with only the attributes that the integrity covers.
    pub message: Verified<'a>,
    /// The name of the user, also if the request had USERHASH.
    pub username: Arc<str>,
    /// The account of the user, to which quotas apply, see [`UserKey::account`].
    pub account: Arc<str>,
    /// The end of the credential, later than the time of the request; `None` if it has no end.
    ///
    /// A server can limit the state of the request to this time, or keep the state as long as the client refreshes it.
    pub expires: Option<Instant>,
    /// The key and the integrity attribute of the response.
    pub signature: Signature,
}

/// The key of a verified request, and the integrity attribute of its response.
#[derive(Clone)]
pub struct Signature {
    key: IntegrityKey,
    integrity: Integrity,
}

/// The reason why an [`Authenticator`] cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticatorError {
    /// The realm is empty or longer than 127 bytes.
    #[error("a realm has 1 to {} bytes, not {length}", Authenticator::REALM_LEN)]
    Realm {
        /// Its length in bytes.
        length: usize,
    },
}

impl Authenticator {
    /// The longest realm in bytes. The limit of the RFC is 127 characters (§14.9), and a short realm limits the size
    /// of a challenge.
    pub const REALM_LEN: usize = 127;
    /// The largest length of a rejection in bytes: header, ERROR-CODE, REALM, NONCE, PASSWORD-ALGORITHMS,
    /// FINGERPRINT.
    pub const REJECTION_LEN: usize = 20 + 24 + (4 + 128) + 44 + 12 + 8;
    /// The default lifetime of a nonce: ten minutes.
    pub const NONCE_LIFETIME: Duration = Duration::from_secs(600);

    /// An authenticator for the short-term mechanism (RFC 8489 §9.1.3).
    #[must_use]
    pub fn short_term(keys: impl Keys + 'static) -> Self {
        Self { keys: Arc::new(keys), dummy: IntegrityKey::from_bytes(&[]), challenge: None }
    }

    /// An authenticator for the long-term mechanism (RFC 8489 §9.2.4). `secret` is 32 random bytes for the nonces,
    /// without another use.
    ///
    /// Both password algorithms are offered, SHA-256 first, and user names can be sent as USERHASH. The realm should
    /// be the domain name of the provider.
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

    /// Sets the lifetime of nonces, in whole seconds. No effect for the short-term mechanism.
    #[must_use]
    pub fn nonce_lifetime(mut self, lifetime: Duration) -> Self {
        if let Some(challenge) = &mut self.challenge {
            challenge.nonces.set_lifetime(lifetime);
        }
        self
    }

    /// Accepts SHA-256 only. This refuses clients of RFC 5389, which support MD5 only. No effect for the short-term
    /// mechanism.
    #[must_use]
    pub fn without_md5(mut self) -> Self {
        if let Some(challenge) = &mut self.challenge {
            challenge.algorithms = &[PasswordAlgorithm::SHA256];
        }
        self
    }

    /// Disables USERHASH, for [`Keys`] that cannot be searched by it. No effect for the short-term mechanism.
    #[must_use]
    pub fn without_anonymity(mut self) -> Self {
        if let Some(challenge) = &mut self.challenge {
            challenge.features = Features::PASSWORD_ALGORITHMS;
        }
        self
    }

    /// Sets another secret, which makes all issued nonces stale (RFC 8489 §9.2.4). No effect for the short-term
    /// mechanism.
    pub fn renew(&mut self, secret: &[u8; 32]) {
        if let Some(challenge) = &mut self.challenge {
            challenge.nonces = Nonces::new(secret, challenge.nonces.lifetime());
        }
    }

    /// The mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        if self.challenge.is_some() { Mechanism::LongTerm } else { Mechanism::ShortTerm }
    }

    /// Authenticates a message from `source`, in the order of RFC 8489 §9.1.3 or §9.2.4.
    ///
    /// The caller does the basic checks of §6.3 before, including FINGERPRINT. It checks unknown attributes (§6.3.1)
    /// and the method after, on the message in [`Judgement::Admitted`].
    #[must_use]
    pub fn judge<'a>(&self, now: Instant, source: SocketAddr, message: &Message<'a>) -> Judgement<'a> {
        self.judge_related(now, source, message, |_| None)
    }

    /// Authenticates a message as [`judge`](Self::judge) does, and also accepts a nonce of a second address of the
    /// client, which `related` returns.
    ///
    /// `related` is called only for a message with a correct integrity whose nonce was not issued to `source`. A
    /// message that was recorded at the second address can be repeated from `source`. So `related` must return an
    /// address only if the message names state of that address, and has its effect only once. An example is
    /// ConnectionBind (RFC 6062 §5.4), which a client sends on a second connection.
    #[must_use]
    pub fn judge_related<'a>(
        &self,
        now: Instant,
        source: SocketAddr,
        message: &Message<'a>,
        related: impl FnOnce(&Admitted<'a>) -> Option<SocketAddr>,
    ) -> Judgement<'a> {
        let judged = match &self.challenge {
            None => self.judge_short_term(now, message),
            Some(challenge) => self.judge_long_term(challenge, now, source, message, related),
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

    fn judge_short_term<'a>(&self, now: Instant, message: &Message<'a>) -> Result<Admitted<'a>, RejectionKind> {
        if message.class().is_response() {
            return Err(RejectionKind::NotARequest);
        }
        let username = message.username().filter(|_| is_signed(message)).ok_or(RejectionKind::Incomplete)?;
        // No user has an empty name, so a name that is not UTF-8 is looked up as the empty name.
        let name = Name::Username(username.as_str().unwrap_or_default());
        let query = KeyQuery { name, realm: "", kind: KeyKind::ShortTerm, candidate: 0 };
        let integrity =
            if message.has(AttributeType::MESSAGE_INTEGRITY_SHA256) { Integrity::SHA256 } else { Integrity::Sha1 };
        self.verify(now, message, query, integrity)
    }

    fn judge_long_term<'a>(
        &self,
        challenge: &Challenge,
        now: Instant,
        source: SocketAddr,
        message: &Message<'a>,
        related: impl FnOnce(&Admitted<'a>) -> Option<SocketAddr>,
    ) -> Result<Admitted<'a>, RejectionKind> {
        // RFC 8489 §9.2: an indication cannot be challenged.
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
            let is_list_returned =
                message.password_algorithms().is_some_and(|sent| sent.iter().eq(challenge.algorithms.iter().copied()));
            if !is_list_returned || !chosen.is_some_and(|chosen| challenge.algorithms.contains(&chosen)) {
                return Err(RejectionKind::Algorithms);
            }
        }
        let algorithm = if has_any { chosen } else { Some(PasswordAlgorithm::MD5) };
        let kind = algorithm.filter(|algorithm| challenge.algorithms.contains(algorithm)).and_then(KeyKind::of);
        let is_valid_name = challenge.supports(name) && realm == *challenge.realm;
        // Without a key the user is unknown, and the HMAC is computed with the dummy key.
        let name = if is_valid_name && kind.is_some() { name } else { Name::Username("") };
        let query = KeyQuery { name, realm: &challenge.realm, kind: kind.unwrap_or(KeyKind::Sha256), candidate: 0 };
        let reply_integrity = if has_any { Integrity::SHA256 } else { Integrity::Sha1 };
        let admitted = self.verify(now, message, query, reply_integrity)?;
        let check = |source| challenge.nonces.check(now, source, nonce.as_bytes());
        let checked = match check(source) {
            Err(NonceError::NotOurs) => related(&admitted).map_or(Err(NonceError::NotOurs), check),
            checked => checked,
        };
        checked.map_err(RejectionKind::Nonce)?;
        Ok(admitted)
    }

    /// Verifies the stronger integrity attribute by the first key that matches, and checks the end of the credential.
    /// In place of a key that does not exist, the message is verified with the dummy key.
    fn verify<'a>(
        &self,
        now: Instant,
        message: &Message<'a>,
        query: KeyQuery<'_>,
        integrity: Integrity,
    ) -> Result<Admitted<'a>, RejectionKind> {
        let mut failure = RejectionKind::UnknownUser;
        for candidate in 0..self.keys.candidates().max(1) {
            let known = self.keys.find(KeyQuery { candidate, ..query });
            let key = known.as_ref().map_or(&self.dummy, |known| &known.key);
            let verified = check(message, key);
            let Some(UserKey { username, account, key, expires }) = known else { continue };
            match verified {
                Ok(_) if expires.is_some_and(|expires| expires <= now) => return Err(RejectionKind::Expired),
                Ok(message) => {
                    let signature = Signature { key, integrity };
                    return Ok(Admitted { message, username, account, expires, signature });
                }
                Err(why) => failure = why.into(),
            }
        }
        Err(failure)
    }

    /// Writes the reply to a rejected request: a bare 400, or a 401 or 438, which contain a challenge in the
    /// long-term mechanism.
    ///
    /// The reply has no integrity. It ends with FINGERPRINT if the request has one (RFC 8489 §7).
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
        // RFC 8489 §9.1.3 and §9.2.4 require a reply although the request is not authenticated.
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
    /// Whether the challenge announces this form of a user name.
    const fn supports(&self, name: Name<'_>) -> bool {
        matches!(name, Name::Username(_)) || self.features.contains(Features::USERNAME_ANONYMITY)
    }
}

impl Signature {
    /// The integrity attribute of the response.
    #[must_use]
    pub const fn integrity(&self) -> Integrity {
        self.integrity
    }

    /// Ends a response with the integrity attribute, and with FINGERPRINT if `fingerprint` is set.
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

/// Computes the HMAC of a message for one candidate key, for known and unknown users.
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
