//! The credentials of a TURN server: users with passwords, time-limited credentials, or both.
//!
//! Rules of this file: no password and no secret is printed. A name is searched among the users first. Each worker has
//! its own clock, so each worker gets its own authenticator; the table of users exists once.

use super::ServeArgs;
use super::users::{self, UserError};
use crate::output;
use crate::secret::{self, Secret};
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use portolan_stun_agent::authenticator::{Authenticator, KeyQuery, Keys, TimedKeys, UserKey, Users};

/// The credentials of a TURN server, as they were read at the start or at the last reload.
#[derive(Clone)]
pub(super) struct Credentials {
    realm: Box<str>,
    users: Arc<Users>,
    secrets: Vec<Secret>,
    /// The secret of the nonces. A reload keeps the secret, so that nonces stay valid.
    nonces: [u8; 32],
}

impl Credentials {
    /// Reads the credentials of the arguments and of their files.
    ///
    /// # Errors
    /// [`UserError`], when there is no user and no secret, or when one of them is refused.
    pub(super) fn read(args: &ServeArgs, realm: &str, nonces: [u8; 32]) -> Result<Self, UserError> {
        let users = users::read(Some(realm), &args.user, args.users.as_deref())?;
        let mut secrets = Vec::new();
        for (nth, secret) in (1..).zip(&args.turn.auth_secret) {
            if secret.reveal().is_empty() {
                return Err(UserError::EmptySecret(nth));
            }
            secrets.push(secret.clone());
        }
        for file in &args.turn.auth_secret_file {
            let lines = secret::read(file)?.lines();
            if lines.is_empty() {
                return Err(UserError::NoSecret(file.clone()));
            }
            secrets.extend(lines);
        }
        if users.is_empty() && secrets.is_empty() {
            return Err(UserError::OpenRelay);
        }
        let credentials = Self { realm: realm.into(), users: Arc::new(users), secrets, nonces };
        // A faulty realm is found here, not in a worker.
        credentials.authenticator(Duration::ZERO)?;
        Ok(credentials)
    }

    /// Returns an authenticator for a worker whose clock began at this Unix time.
    pub(super) fn authenticator(&self, origin: Duration) -> Result<Authenticator, UserError> {
        let mut timed: Option<TimedKeys> = None;
        for (nth, secret) in (1..).zip(&self.secrets) {
            let bytes = secret.reveal().as_bytes();
            let added = match &mut timed {
                Some(timed) => timed.add_secret(bytes),
                None => TimedKeys::new(origin, bytes).map(|keys| timed = Some(keys)),
            };
            added.map_err(|_| UserError::EmptySecret(nth))?;
        }
        let has_timed = timed.is_some();
        let keys = AllKeys { users: self.users.clone(), timed };
        let authenticator = Authenticator::long_term(&self.realm, &self.nonces, keys)?;
        // The name of a time-limited credential cannot be found by its hash.
        Ok(if has_timed { authenticator.without_anonymity() } else { authenticator })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({self})")
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = output::count(self.users.len(), "user");
        match self.secrets.len() {
            0 => write!(f, "{users} of the realm {}", self.realm),
            secrets => write!(f, "{users} and {} of the realm {}", output::count(secrets, "secret"), self.realm),
        }
    }
}

/// The keys of users with passwords, then those of time-limited credentials.
#[derive(Debug)]
struct AllKeys {
    users: Arc<Users>,
    timed: Option<TimedKeys>,
}

impl Keys for AllKeys {
    fn find(&self, query: KeyQuery<'_>) -> Option<UserKey> {
        match query.candidate.checked_sub(self.users.candidates()) {
            None => self.users.find(query),
            Some(candidate) => self.timed.as_ref()?.find(KeyQuery { candidate, ..query }),
        }
    }

    fn candidates(&self) -> usize {
        self.users.candidates() + self.timed.as_ref().map_or(0, Keys::candidates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_stun_agent::authenticator::{KeyKind, Name};

    fn credentials(users: &[&str], secrets: &[&str]) -> Result<Credentials, UserError> {
        let parsed = |texts: &[&str]| texts.iter().map(|text| Secret::parse(text).unwrap()).collect();
        let mut args = ServeArgs { user: parsed(users), ..ServeArgs::default() };
        args.turn.auth_secret = parsed(secrets);
        Credentials::read(&args, "example.org", [7; 32])
    }

    #[test]
    fn without_users_and_secrets_there_is_no_relay() {
        assert!(matches!(credentials(&[], &[]), Err(UserError::OpenRelay)));
        assert!(matches!(credentials(&[], &["x", ""]), Err(UserError::EmptySecret(2))));
    }

    #[test]
    fn neither_form_of_output_shows_a_credential() {
        let credentials = credentials(&["alice:hunter2"], &["hunter3", "hunter4"]).unwrap();
        assert_eq!(credentials.to_string(), "1 user and 2 secrets of the realm example.org");
        let shown = format!("{credentials:?} {:?}", credentials.authenticator(Duration::ZERO).unwrap());
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn a_name_is_searched_among_the_users_and_then_among_the_credentials_of_each_secret() {
        let mut timed = TimedKeys::new(Duration::ZERO, b"one").unwrap();
        timed.add_secret(b"two").unwrap();
        let mut users = Users::long_term("example.org");
        users.add("alice", "password").unwrap();
        let keys = AllKeys { users: Arc::new(users), timed: Some(timed) };
        let found = |name, candidate| {
            let query = KeyQuery { name: Name::Username(name), realm: "example.org", kind: KeyKind::Sha256, candidate };
            keys.find(query).map(|found| found.account.to_string())
        };
        assert_eq!(keys.candidates(), 3);
        assert_eq!(found("alice", 0).as_deref(), Some("alice"));
        assert_eq!((found("alice", 1), found("alice", 3)), (None, None));
        let timed: Vec<_> = (0..4).map(|candidate| found("2000000000:bob", candidate)).collect();
        assert_eq!(timed, [None, Some("bob".into()), Some("bob".into()), None]);
    }
}
