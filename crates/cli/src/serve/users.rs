//! Whom `portolan serve` answers: users from the command line and from a file.
//!
//! Rules of this file: no password is ever printed, not in a complaint and not by `Debug`; a complaint names a place, never
//! what stands there. A file that others can read or change is refused.

use core::fmt;
use portolan_machine::Entropy;
use portolan_stun_agent::authenticator::{Authenticator, AuthenticatorError, Users, UsersError};
use portolan_tokio::OsEntropy;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// `NAME:PASSWORD` as it was given; it prints as nothing.
#[derive(Clone)]
pub(crate) struct Secret(Box<str>);

impl Secret {
    /// Takes whatever there is: what is wrong with it is told later, without showing it.
    #[expect(clippy::unnecessary_wraps, reason = "the parser of an argument can fail")]
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is wrong with the users.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsersFault {
    #[error("--realm asks for users: name them with --users FILE, or with --user NAME:PASSWORD")]
    NoUsers,
    #[error("{0}: NAME:PASSWORD is wanted, a name, a colon and a password")]
    Shape(Place),
    #[error("{0}: {1}")]
    User(Place, UsersError),
    #[error("{0}: this user was named before; name each one once")]
    Twice(Place),
    #[error("the users in {} cannot be read: {why}", .file.display())]
    Unreadable { file: PathBuf, why: io::Error },
    #[error("{} holds passwords, and others can read or change it (mode {mode:o}); run: chmod 600 {}", .file.display(), .file.display())]
    Exposed { file: PathBuf, mode: u32 },
    #[error("{} is longer than {} bytes; is it a file of users?", .0.display(), LONGEST)]
    TooLong(PathBuf),
    #[error("{} names nobody; it has one NAME:PASSWORD a line", .0.display())]
    Nobody(PathBuf),
    #[error("--realm: {0}")]
    Realm(#[from] AuthenticatorError),
}

/// Where a user was named.
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

/// The longest file of users, in bytes: far more than the table holds.
const LONGEST: u64 = 64 << 20;

/// What judges requests, and how many users it knows; `None` where nobody asks for credentials.
pub(super) fn authenticator(
    realm: Option<&str>,
    arguments: &[Secret],
    file: Option<&Path>,
) -> Result<Option<(Authenticator, usize)>, UsersFault> {
    if arguments.is_empty() && file.is_none() {
        return if realm.is_some() { Err(UsersFault::NoUsers) } else { Ok(None) };
    }
    let mut users = realm.map_or_else(Users::short_term, Users::long_term);
    for (nth, Secret(text)) in (1..).zip(arguments) {
        add(&mut users, text, Place::Argument(nth))?;
    }
    if let Some(file) = file {
        let before = users.len();
        let text = read(file)?;
        for (line, text) in (1..).zip(text.lines()) {
            if !text.is_empty() && !text.starts_with('#') {
                add(&mut users, text, Place::Line(file.into(), line))?;
            }
        }
        if users.len() == before {
            return Err(UsersFault::Nobody(file.into()));
        }
    }
    let known = users.len();
    let authenticator = match realm {
        None => Authenticator::short_term(users),
        Some(realm) => {
            let mut secret = [0; 32];
            OsEntropy.fill(&mut secret);
            Authenticator::long_term(realm, &secret, users)?
        }
    };
    Ok(Some((authenticator, known)))
}

fn add(users: &mut Users, text: &str, place: Place) -> Result<(), UsersFault> {
    let Some((name, password)) = text.split_once(':') else { return Err(UsersFault::Shape(place)) };
    let before = users.len();
    match users.add(name, password) {
        Ok(()) if users.len() == before => Err(UsersFault::Twice(place)),
        Ok(()) => Ok(()),
        Err(why) => Err(UsersFault::User(place, why)),
    }
}

fn read(path: &Path) -> Result<String, UsersFault> {
    let unreadable = |why| UsersFault::Unreadable { file: path.into(), why };
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the file that was opened, not of the name: that may be another one by now.
    let metadata = file.metadata().map_err(unreadable)?;
    if let Some(mode) = exposed(&metadata) {
        return Err(UsersFault::Exposed { file: path.into(), mode });
    }
    let mut text = String::new();
    let read = file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(read).is_ok_and(|read| read > LONGEST) {
        return Err(UsersFault::TooLong(path.into()));
    }
    Ok(text)
}

/// The permissions of a file that others than its owner and group can read, or others than its owner can change.
///
/// A pipe has no others: it is there for this process.
#[cfg(unix)]
fn exposed(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    (metadata.is_file() && mode & 0o027 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn exposed(_: &Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(realm: Option<&str>, arguments: &[&str]) -> String {
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
        assert_eq!(told(None, &[]), "open");
        assert_eq!(told(None, &["alice:hunter2", "bob:a:b"]), "ShortTerm, 2");
        assert_eq!(told(Some("example.org"), &["alice:hunter2"]), "LongTerm, 1");
        assert!(told(Some("example.org"), &[]).starts_with("--realm asks for users"));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_never_shown() {
        for (realm, arguments, expected) in [
            (None, &["hunter2"][..], "--user number 1: NAME:PASSWORD is wanted, a name, a colon and a password"),
            (None, &["a:b", ":hunter2"], "--user number 2: a user name has 1 to 508 bytes, not 0"),
            (None, &["hunter2:"], "--user number 1: the password is empty"),
            (Some("r"), &["a:b", "a:hunter2"], "--user number 2: this user was named before; name each one once"),
            (Some(""), &["a:hunter2"], "--realm: a realm has 1 to 127 bytes, not 0"),
        ] {
            assert_eq!(told(realm, arguments), expected);
        }
    }
}
