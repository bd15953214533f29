//! The users of a server and their keys, found by name or by USERHASH.
//!
//! Rules of this file: the table stores keys, never passwords, and no function prints a key or a name. The table is
//! searched by a hash of the name, so that the time of a search reveals no name. The number of users is bounded.
//!
//! ```
//! use portolan_stun_agent::authenticator::{Users, UsersError};
//!
//! let mut users = Users::long_term("example.org");
//! users.add("alice", "correct horse battery staple")?;
//! assert_eq!(users.add("", "secret"), Err(UsersError::Username { length: 0 }));
//! assert_eq!(format!("{users:?}"), r#"Users { realm: "example.org", users: 1, .. }"#);
//! # Ok::<(), UsersError>(())
//! ```

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use portolan_machine::Instant;
use portolan_stun::{IntegrityKey, PasswordAlgorithm, userhash};

/// A source of user keys: a table, a copy of a database, or keys that are computed from the name.
///
/// The result for one query must not change while a run is recorded, otherwise the recording cannot be replayed.
pub trait Keys: fmt::Debug + Send + Sync {
    /// Returns the user and its key of the requested kind; `None` if there is no such user or key.
    ///
    /// A lookup should take the same time for known and unknown users.
    fn find(&self, query: KeyQuery<'_>) -> Option<UserKey>;

    /// The number of keys that a user can have, for example during the rotation of a secret; 1 by default.
    ///
    /// The authenticator asks for each of them by [`KeyQuery::candidate`], until one verifies the message. Each costs
    /// one HMAC, also if [`find`](Self::find) returns `None`. 0 counts as 1.
    fn candidates(&self) -> usize {
        1
    }
}

/// The query of a lookup in [`Keys`].
#[derive(Clone, Copy, Debug)]
pub struct KeyQuery<'a> {
    /// The user name of the message.
    pub name: Name<'a>,
    /// The realm of the server; empty for the short-term mechanism.
    pub realm: &'a str,
    /// The kind of the key.
    pub kind: KeyKind,
    /// The number of the key, below [`Keys::candidates`]. It is 0 if a user has one key.
    pub candidate: usize,
}

/// The user name of a message, as USERNAME or USERHASH.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// USERNAME (RFC 8489 §14.3); empty if it is not UTF-8.
    Username(&'a str),
    /// USERHASH: SHA-256 of `username:realm` (RFC 8489 §14.4).
    Userhash(&'a [u8; 32]),
}

/// The derivation of a key from a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The key is the password (RFC 8489 §9.1.1).
    ShortTerm,
    /// MD5 of `username:realm:password` (§18.5.1.1).
    Md5,
    /// SHA-256 of `username:realm:password` (§18.5.1.2).
    Sha256,
}

/// The result of a lookup in [`Keys`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserKey {
    /// The name.
    pub username: Arc<str>,
    /// The account of the user, to which the quotas of a server apply. It differs from the name if one account has
    /// many names, see [`TimedKeys`](super::TimedKeys).
    pub account: Arc<str>,
    /// The key of the requested kind.
    pub key: IntegrityKey,
    /// The time from which the credential is not valid; `None` if it has no end.
    pub expires: Option<Instant>,
}

impl UserKey {
    /// A key without end, of an account with the name of the user.
    #[must_use]
    pub fn new(username: impl Into<Arc<str>>, key: IntegrityKey) -> Self {
        let username = username.into();
        Self { account: username.clone(), username, key, expires: None }
    }

    /// Sets the account.
    #[must_use]
    pub fn with_account(mut self, account: impl Into<Arc<str>>) -> Self {
        self.account = account.into();
        self
    }

    /// Sets the time from which the credential is not valid.
    #[must_use]
    pub const fn with_expiry(mut self, expires: Instant) -> Self {
        self.expires = Some(expires);
        self
    }
}

/// The longest user name in bytes (RFC 8489 §14.3).
pub(super) const USERNAME_LEN: usize = 508;

/// A bounded table of users in memory, for one mechanism and realm.
#[derive(Clone)]
pub struct Users {
    /// Empty for the short-term mechanism.
    realm: Box<str>,
    /// The users by USERHASH; for the short-term mechanism by the same hash with an empty realm.
    table: BTreeMap<[u8; 32], Entry>,
    limit: usize,
}

#[derive(Clone)]
struct Entry {
    username: Arc<str>,
    keys: Vec<(KeyKind, IntegrityKey)>,
}

/// The reason why a user was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsersError {
    /// The number of users is at its limit.
    #[error("there are {limit} users already")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The name is empty or longer than 508 bytes (RFC 8489 §14.3).
    #[error("a user name has 1 to 508 bytes, not {length}")]
    Username {
        /// Its length in bytes.
        length: usize,
    },
    /// The password is empty, or no key is given.
    #[error("the password is empty")]
    Password,
    /// Keys of long-term credentials were added to a table for the short-term mechanism.
    #[error("stored keys are for long-term credentials")]
    Mechanism,
}

impl KeyKind {
    /// The kind of key of a password algorithm; `None` if the algorithm is unknown.
    #[must_use]
    pub fn of(algorithm: PasswordAlgorithm<'_>) -> Option<Self> {
        match algorithm {
            PasswordAlgorithm::MD5 => Some(Self::Md5),
            PasswordAlgorithm::SHA256 => Some(Self::Sha256),
            PasswordAlgorithm { .. } => None,
        }
    }
}

impl Users {
    /// The default for the largest number of users.
    pub const LIMIT: usize = 65_536;

    /// An empty table for the short-term mechanism.
    #[must_use]
    pub fn short_term() -> Self {
        Self::long_term("")
    }

    /// An empty table for the long-term mechanism. `realm` must be the realm of the authenticator.
    #[must_use]
    pub fn long_term(realm: &str) -> Self {
        Self { realm: realm.into(), table: BTreeMap::new(), limit: Self::LIMIT }
    }

    /// Sets the largest number of users.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Adds a user, or replaces the password of a known user. Only the keys are stored, not the password.
    ///
    /// The caller does the OpaqueString preparation (RFC 8265) of names and passwords beyond ASCII.
    ///
    /// # Errors
    /// * [`UsersError::Password`] when the password is empty.
    /// * [`UsersError::Username`] when the name does not have 1 to 508 bytes.
    /// * [`UsersError::Full`] when the user is new and the table is full.
    pub fn add(&mut self, username: &str, password: &str) -> Result<(), UsersError> {
        if password.is_empty() {
            return Err(UsersError::Password);
        }
        let keys = if self.realm.is_empty() {
            vec![(KeyKind::ShortTerm, IntegrityKey::short_term(password))]
        } else {
            vec![
                (KeyKind::Sha256, IntegrityKey::long_term_sha256(username, &self.realm, password)),
                (KeyKind::Md5, IntegrityKey::long_term_md5(username, &self.realm, password)),
            ]
        };
        self.insert(username, keys)
    }

    /// Adds a user by stored keys: one or both hashes of RFC 8489 §18.5.1.
    ///
    /// # Errors
    /// * [`UsersError::Mechanism`] when the table is for the short-term mechanism.
    /// * [`UsersError::Password`] when neither key is given.
    /// * [`UsersError::Username`] when the name does not have 1 to 508 bytes.
    /// * [`UsersError::Full`] when the user is new and the table is full.
    pub fn add_keys(
        &mut self,
        username: &str,
        md5: Option<&[u8; 16]>,
        sha256: Option<&[u8; 32]>,
    ) -> Result<(), UsersError> {
        if self.realm.is_empty() {
            return Err(UsersError::Mechanism);
        }
        let sha256 = sha256.map(|key| (KeyKind::Sha256, IntegrityKey::from_bytes(key)));
        let md5 = md5.map(|key| (KeyKind::Md5, IntegrityKey::from_bytes(key)));
        let keys: Vec<_> = sha256.into_iter().chain(md5).collect();
        if keys.is_empty() {
            return Err(UsersError::Password);
        }
        self.insert(username, keys)
    }

    fn insert(&mut self, username: &str, keys: Vec<(KeyKind, IntegrityKey)>) -> Result<(), UsersError> {
        if !(1..=USERNAME_LEN).contains(&username.len()) {
            return Err(UsersError::Username { length: username.len() });
        }
        let hash = userhash(username, &self.realm);
        if self.table.len() >= self.limit && !self.table.contains_key(&hash) {
            return Err(UsersError::Full { limit: self.limit });
        }
        self.table.insert(hash, Entry { username: username.into(), keys });
        Ok(())
    }

    /// Removes a user. Returns `false` if there is no user of this name.
    pub fn remove(&mut self, username: &str) -> bool {
        self.table.remove(&userhash(username, &self.realm)).is_some()
    }

    /// The number of users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no users.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

impl Keys for Users {
    fn find(&self, query: KeyQuery<'_>) -> Option<UserKey> {
        let hash = match query.name {
            Name::Username(username) => userhash(username, query.realm),
            Name::Userhash(hash) => *hash,
        };
        let entry = self.table.get(&hash).filter(|_| *self.realm == *query.realm)?;
        let (_, key) = entry.keys.iter().find(|(kind, _)| *kind == query.kind)?;
        Some(UserKey::new(entry.username.clone(), key.clone()))
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("realm", &self.realm).field("users", &self.table.len()).finish_non_exhaustive()
    }
}
