//! Time-limited credentials: keys that are computed from the user name (draft-uberti-behave-turn-rest-00 §2.2).
//!
//! Rules of this file: no user is stored. A user name begins with the Unix time of its end. Its password is the base64
//! of HMAC-SHA1 of the name, with a secret that the server shares with the issuer of the credentials. So the issuer
//! makes credentials without a message to the server. The secrets are never printed.
//!
//! A machine has no wall clock. The owner gives the Unix time of the origin of its clock.
//!
//! USERHASH cannot be searched, because the name is not stored. So the authenticator must not announce it:
//! [`Authenticator::without_anonymity`](super::Authenticator::without_anonymity).
//!
//! # Time of a lookup
//!
//! A name without a valid time has no key, and its lookup takes less time. That reveals no user, because each name
//! with a valid time has a key. The number of HMACs of a message is the number of secrets for all names.
//!
//! ```
//! use core::time::Duration;
//! use portolan_stun_agent::authenticator::{Authenticator, TimedKeys, TimedKeysError};
//!
//! // The clock of the machine began at this Unix time. The credential is valid until 60 s later.
//! let start = Duration::from_secs(1_800_000_000);
//! let keys = TimedKeys::new(start, b"a secret of at least 20 random bytes")?;
//! let password = keys.password("1800000060:alice");
//! assert_eq!(password.as_str().len(), 28);
//!
//! let authenticator = Authenticator::long_term("example.org", &[7; 32], keys)?.without_anonymity();
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use super::users::{KeyKind, KeyQuery, Keys, Name, USERNAME_LEN, UserKey};
use crate::nonce::base64;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::IntegrityKey;

/// The keys of time-limited credentials, as [`Keys`] of the long-term mechanism.
///
/// A user name is `TIME` or `TIME:ID`. `TIME` is the Unix time in seconds from which the credential is not valid, in
/// decimal digits. `ID` is the account, which may be empty. The account of a name without `ID` is the whole name.
///
/// Several secrets are valid at once, so that a secret can be replaced while its credentials are in use. Each secret
/// costs one more HMAC for a request that is not signed with an earlier one.
#[derive(Clone)]
pub struct TimedKeys {
    /// The Unix time of [`Instant::ORIGIN`].
    origin: Duration,
    separator: char,
    secret: IntegrityKey,
    /// The secrets that are valid too.
    others: Vec<IntegrityKey>,
}

/// The reason why a secret is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimedKeysError {
    /// The secret is empty.
    #[error("the secret is empty")]
    Secret,
}

/// The password of a time-limited credential: 28 ASCII characters.
///
/// `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct TimedPassword([u8; Self::LEN]);

impl TimedKeys {
    /// Keys with one secret. `origin` is the Unix time of [`Instant::ORIGIN`]: the wall clock at the start of the
    /// driver's clock.
    ///
    /// The secret should have at least 20 random bytes, the length of the hash (RFC 2104 §3).
    ///
    /// # Errors
    /// [`TimedKeysError::Secret`] when the secret is empty.
    pub fn new(origin: Duration, secret: &[u8]) -> Result<Self, TimedKeysError> {
        Ok(Self { origin, separator: ':', secret: prepared(secret)?, others: Vec::new() })
    }

    /// Sets the character between the time and the account; `:` by default. With a digit no name has an account.
    #[must_use]
    pub const fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Adds a secret after the others, for example the previous one.
    ///
    /// # Errors
    /// [`TimedKeysError::Secret`] when the secret is empty.
    pub fn add_secret(&mut self, secret: &[u8]) -> Result<(), TimedKeysError> {
        self.others.push(prepared(secret)?);
        Ok(())
    }

    /// The password of a user name, by the first secret.
    #[must_use]
    pub fn password(&self, username: &str) -> TimedPassword {
        derive(&self.secret, username)
    }

    /// The end and the account of a user name; `None` if the name is no credential.
    fn parse<'a>(&self, username: &'a str) -> Option<(Instant, &'a str)> {
        let (time, account) = username.split_once(self.separator).unwrap_or((username, username));
        let is_valid = username.len() <= USERNAME_LEN && time.bytes().all(|digit| digit.is_ascii_digit());
        let end = Duration::from_secs(time.parse().ok().filter(|_: &u64| is_valid)?);
        // A time before the origin becomes the origin, at which the credential has expired too.
        Some((Instant::from_origin(end.saturating_sub(self.origin)), account))
    }
}

impl TimedPassword {
    /// The length in ASCII characters.
    pub const LEN: usize = 28;

    /// The password.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Keys for TimedKeys {
    fn find(&self, query: KeyQuery<'_>) -> Option<UserKey> {
        let Name::Username(username) = query.name else { return None };
        let (expires, account) = self.parse(username)?;
        let secret = match query.candidate.checked_sub(1) {
            None => &self.secret,
            Some(other) => self.others.get(other)?,
        };
        let password = derive(secret, username);
        let key = match query.kind {
            KeyKind::ShortTerm => IntegrityKey::short_term(password.as_str()),
            KeyKind::Md5 => IntegrityKey::long_term_md5(username, query.realm, password.as_str()),
            KeyKind::Sha256 => IntegrityKey::long_term_sha256(username, query.realm, password.as_str()),
        };
        Some(UserKey::new(username, key).with_account(account).with_expiry(expires))
    }

    fn candidates(&self) -> usize {
        1 + self.others.len()
    }
}

impl fmt::Debug for TimedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedKeys")
            .field("origin", &self.origin)
            .field("separator", &self.separator)
            .field("secrets", &self.candidates())
            .finish()
    }
}

impl fmt::Debug for TimedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimedPassword(..)")
    }
}

fn prepared(secret: &[u8]) -> Result<IntegrityKey, TimedKeysError> {
    if secret.is_empty() { Err(TimedKeysError::Secret) } else { Ok(IntegrityKey::from_bytes(secret)) }
}

/// Base64 of HMAC-SHA1 of the user name.
fn derive(secret: &IntegrityKey, username: &str) -> TimedPassword {
    let mac = secret.hmac_sha1(username.as_bytes());
    let mut password = [b'='; TimedPassword::LEN];
    password.iter_mut().zip(base64(&mac)).for_each(|(to, from)| *to = from);
    TimedPassword(password)
}
