//! The users of a server: their keys, found by name or by USERHASH.
//!
//! Rules of this file: keys are kept, never passwords; nothing prints a key or a name. The table is searched by a hash of
//! the name, so that the time that a search takes says nothing about the names in it; what is added is bounded.
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
use portolan_stun::{IntegrityKey, PasswordAlgorithm, userhash};

/// Finds the key of a user: a table, a database's copy, or credentials that can be computed from the name.
///
/// The same question has the same answer while a run is recorded; else the recording cannot be played.
pub trait Keys: fmt::Debug + Send + Sync {
    /// The user and its key of the kind asked for; `None` where there is no such user, or none with such a key.
    ///
    /// It should take the same time whether or not there is one.
    fn find(&self, sought: KeyQuery<'_>) -> Option<UserKey>;
}

/// The lookup of [`Keys`].
#[derive(Clone, Copy, Debug)]
pub struct KeyQuery<'a> {
    /// The user name of the message, as sent.
    pub name: Name<'a>,
    /// The server's own realm; empty for the short-term mechanism.
    pub realm: &'a str,
    /// Which key.
    pub kind: KeyKind,
}

/// How a message names its user.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// USERNAME (RFC 8489 §14.3); empty where the peer's is no text.
    Username(&'a str),
    /// USERHASH: SHA-256 of `username:realm` (RFC 8489 §14.4).
    Userhash(&'a [u8; 32]),
}

/// How a key is made from a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// It is the password (RFC 8489 §9.1.1).
    ShortTerm,
    /// MD5 of `username:realm:password` (§18.5.1.1).
    Md5,
    /// SHA-256 of `username:realm:password` (§18.5.1.2).
    Sha256,
}

/// A user that was found.
#[derive(Clone, Debug)]
pub struct UserKey {
    /// The name.
    pub username: Arc<str>,
    /// The key of the kind that was asked for.
    pub key: IntegrityKey,
}

/// A bounded table of users in memory, for one mechanism and realm.
#[derive(Clone)]
pub struct Users {
    /// Empty: short-term.
    realm: Box<str>,
    /// By USERHASH; short-term by the same hash with an empty realm.
    table: BTreeMap<[u8; 32], Entry>,
    limit: usize,
}

#[derive(Clone)]
struct Entry {
    username: Arc<str>,
    keys: Vec<(KeyKind, IntegrityKey)>,
}

/// Why a user was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsersError {
    /// There are as many as are allowed.
    #[error("there are {limit} users already")]
    Full {
        /// How many are allowed.
        limit: usize,
    },
    /// The name is empty or longer than USERNAME can be: 1 to 508 bytes (RFC 8489 §14.3).
    #[error("a user name has 1 to 508 bytes, not {length}")]
    Username {
        /// Its length in bytes.
        length: usize,
    },
    /// An empty password is none.
    #[error("the password is empty")]
    Password,
    /// Keys of long-term credentials do not belong into a table of short-term ones.
    #[error("stored keys are for long-term credentials")]
    Mechanism,
}

impl KeyKind {
    /// The kind that an algorithm of the registry makes; `None` for those that are not known.
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

    /// No users yet, for the short-term mechanism.
    #[must_use]
    pub fn short_term() -> Self {
        Self::long_term("")
    }

    /// No users yet, for the long-term mechanism in this realm, which is the realm of the authenticator.
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

    /// Adds a user, or gives a known one another password; the password is not kept, only its keys.
    ///
    /// Name and password beyond ASCII are to be prepared with OpaqueString before (RFC 8265).
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

    /// Adds a user by stored keys: the hashes of RFC 8489 §18.5.1, each one where it is known.
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
        if !(1..=508).contains(&username.len()) {
            return Err(UsersError::Username { length: username.len() });
        }
        let hash = userhash(username, &self.realm);
        if self.table.len() >= self.limit && !self.table.contains_key(&hash) {
            return Err(UsersError::Full { limit: self.limit });
        }
        self.table.insert(hash, Entry { username: username.into(), keys });
        Ok(())
    }

    /// Takes a user out; `false` where there was none of that name.
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
    fn find(&self, sought: KeyQuery<'_>) -> Option<UserKey> {
        let hash = match sought.name {
            Name::Username(username) => userhash(username, sought.realm),
            Name::Userhash(hash) => *hash,
        };
        let entry = self.table.get(&hash).filter(|_| *self.realm == *sought.realm)?;
        let (_, key) = entry.keys.iter().find(|(kind, _)| *kind == sought.kind)?;
        Some(UserKey { username: entry.username.clone(), key: key.clone() })
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("realm", &self.realm).field("users", &self.table.len()).finish_non_exhaustive()
    }
}
