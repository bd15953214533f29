//! The users of `portolan serve`, from the command line and from a file.
//!
//! Rules: no password is printed, neither in an error nor by `Debug`. An error names the place of the faulty text,
//! never the text. A file that others can read or change is rejected.

use crate::secret::{self, Secret, SecretError};
use core::fmt;
use portolan_machine::Entropy;
use portolan_stun_agent::authenticator::{Authenticator, AuthenticatorError, Users, UsersError};
use portolan_tokio::OsEntropy;
use std::path::{Path, PathBuf};

/// Why the users are rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    #[error("--realm needs users: name them with --users FILE, or with --user NAME:PASSWORD")]
    NoUsers,
    #[error("{0}: expected NAME:PASSWORD, a name, a colon and a password")]
    Shape(Place),
    #[error("{0}: {1}")]
    User(Place, UsersError),
    #[error("{0}: this user occurs twice; name each user once")]
    Duplicate(Place),
    #[error(transparent)]
    File(#[from] SecretError),
    #[error("{} has no user; write one NAME:PASSWORD per line", .0.display())]
    Empty(PathBuf),
    #[error(
        "--turn needs users, because an open relay is a tool for attacks: name them with --users FILE, or give a secret \
         with --auth-secret-file FILE"
    )]
    OpenRelay,
    #[error("{} has no secret; write one secret per line", .0.display())]
    NoSecret(PathBuf),
    #[error("--auth-secret number {0} is empty; give a secret of at least 20 random characters")]
    EmptySecret(usize),
    #[error("--realm: {0}")]
    Realm(#[from] AuthenticatorError),
}

/// The place of a user.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The n-th `--user`.
    Argument(usize),
    /// A line of a file.
    Line(PathBuf, usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(nth) => write!(f, "--user number {nth}"),
            Self::Line(file, line) => write!(f, "{}, line {line}", file.display()),
        }
    }
}

/// Returns the authenticator and the number of users; `None` if the server requires no credentials.
pub(super) fn authenticator(
    realm: Option<&str>,
    arguments: &[Secret],
    file: Option<&Path>,
) -> Result<Option<(Authenticator, usize)>, UserError> {
    if arguments.is_empty() && file.is_none() {
        return if realm.is_some() { Err(UserError::NoUsers) } else { Ok(None) };
    }
    let users = read(realm, arguments, file)?;
    let known = users.len();
    let authenticator = match realm {
        None => Authenticator::short_term(users),
        Some(realm) => Authenticator::long_term(realm, &nonce_secret(), users)?,
    };
    Ok(Some((authenticator, known)))
}

/// Returns the users of the arguments and of the file.
pub(super) fn read(realm: Option<&str>, arguments: &[Secret], file: Option<&Path>) -> Result<Users, UserError> {
    let mut users = realm.map_or_else(Users::short_term, Users::long_term);
    for (nth, secret) in (1..).zip(arguments) {
        add(&mut users, secret.reveal(), Place::Argument(nth))?;
    }
    if let Some(file) = file {
        let before = users.len();
        let text = secret::read(file)?;
        for (line, text) in (1..).zip(text.reveal().lines()) {
            if !text.is_empty() && !text.starts_with('#') {
                add(&mut users, text, Place::Line(file.into(), line))?;
            }
        }
        if users.len() == before {
            return Err(UserError::Empty(file.into()));
        }
    }
    Ok(users)
}

/// Returns a new secret for nonces.
pub(super) fn nonce_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    OsEntropy::default().fill(&mut secret);
    secret
}

fn add(users: &mut Users, text: &str, place: Place) -> Result<(), UserError> {
    let Some((name, password)) = text.split_once(':') else { return Err(UserError::Shape(place)) };
    let before = users.len();
    match users.add(name, password) {
        Ok(()) if users.len() == before => Err(UserError::Duplicate(place)),
        Ok(()) => Ok(()),
        Err(why) => Err(UserError::User(place, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(realm: Option<&str>, arguments: &[&str]) -> String {
        let arguments: Vec<_> = arguments.iter().map(|text| Secret::parse(text).unwrap()).collect();
        assert_eq!(format!("{arguments:?}").matches("Secret(..)").count(), arguments.len());
        match authenticator(realm, &arguments, None) {
            Ok(Some((authenticator, users))) => format!("{:?}, {users}", authenticator.mechanism()),
            Ok(None) => "open".into(),
            Err(fault) => {
                assert!(!format!("{fault} {fault:?}").contains("hunter2"), "{fault}");
                fault.to_string()
            }
        }
    }

    #[test]
    fn a_realm_makes_the_mechanism_long_term() {
        assert_eq!(outcome(None, &[]), "open");
        assert_eq!(outcome(None, &["alice:hunter2", "bob:a:b"]), "ShortTerm, 2");
        assert_eq!(outcome(Some("example.org"), &["alice:hunter2"]), "LongTerm, 1");
        assert!(outcome(Some("example.org"), &[]).starts_with("--realm needs users"));
    }

    #[test]
    fn an_error_in_a_users_file_names_its_place_and_never_shows_its_text() {
        for (realm, arguments, expected) in [
            (None, &["hunter2"][..], "--user number 1: expected NAME:PASSWORD, a name, a colon and a password"),
            (None, &["a:b", ":hunter2"], "--user number 2: a user name has 1 to 508 bytes, not 0"),
            (None, &["hunter2:"], "--user number 1: the password is empty"),
            (Some("r"), &["a:b", "a:hunter2"], "--user number 2: this user occurs twice; name each user once"),
            (Some(""), &["a:hunter2"], "--realm: a realm has 1 to 127 bytes, not 0"),
        ] {
            assert_eq!(outcome(realm, arguments), expected);
        }
    }
}
