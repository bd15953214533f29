//! The options for a user and its password, which several subcommands have in common.

use crate::error::CommandError;
use crate::secret::{self, Secret, SecretError};
use clap::Args;
use core::fmt;
use portolan_stun_agent::Credential;
use std::path::PathBuf;

/// The user and the password of a client.
#[derive(Args, Debug)]
pub(crate) struct CredentialArgs {
    /// The user name, for servers that require credentials (RFC 8489 §9.2); NAME:PASSWORD has the password too
    ///
    /// Other programs can see a password here, so prefer --password-file. With --password or --password-file the whole
    /// text is the name, so the name can contain a colon.
    #[arg(long, value_name = "NAME[:PASSWORD]", value_parser = Secret::parse)]
    user: Option<Secret>,
    /// The password of the user; other programs can see it, so prefer --password-file
    #[arg(long, value_name = "PASSWORD", value_parser = Secret::parse, requires = "user")]
    password: Option<Secret>,
    /// A file with the password of the user in its first line; keep it private (chmod 600)
    #[arg(long, value_name = "FILE", requires = "user", conflicts_with = "password")]
    password_file: Option<PathBuf>,
}

/// A user name and its password. `Debug` prints neither.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) name: Box<str>,
    pub(crate) password: Box<str>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

/// Why there is no user with a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("--user needs a password: add --password-file FILE, or --password")]
    NoPassword,
    #[error("TURN requires a user (RFC 8656 §5): add --user NAME with --password-file FILE, or --user NAME:PASSWORD")]
    NoUser,
    #[error(transparent)]
    PasswordFile(#[from] SecretError),
}

impl CommandError for CredentialError {}

impl CredentialArgs {
    /// Whether the command line names a user.
    pub(crate) const fn has_user(&self) -> bool {
        self.user.is_some()
    }

    /// Returns the user and the password, if the command line names a user.
    pub(crate) fn login(&self) -> Result<Option<Login>, CredentialError> {
        let Some(user) = &self.user else { return Ok(None) };
        let file = self.password_file.as_deref().map(secret::read).transpose()?;
        let given = match (&file, &self.password) {
            (Some(file), _) => Some(file.reveal().lines().next().unwrap_or_default()),
            (None, password) => password.as_ref().map(Secret::reveal),
        };
        login(user.reveal(), given).map(Some)
    }

    /// Returns the user and the password of a command that needs them.
    pub(crate) fn required(&self) -> Result<Login, CredentialError> {
        self.login()?.ok_or(CredentialError::NoUser)
    }
}

/// Returns the user of a text, with the given password or with that of the text.
pub(crate) fn login(user: &str, password: Option<&str>) -> Result<Login, CredentialError> {
    let (name, password) = match password {
        Some(password) => (user, password),
        None => user.split_once(':').ok_or(CredentialError::NoPassword)?,
    };
    if password.is_empty() {
        return Err(CredentialError::NoPassword);
    }
    Ok(Login { name: name.into(), password: password.into() })
}

impl Login {
    /// Returns the long-term credential.
    pub(crate) fn long_term(&self) -> Credential {
        Credential::long_term(&self.name, &self.password)
    }

    /// Returns the short-term credential.
    pub(crate) fn short_term(&self) -> Credential {
        Credential::short_term(&self.name, &self.password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_colon_is_whole_if_the_password_is_given_elsewhere() {
        let parts = |user, password| login(user, password).map(|login| (login.name, login.password)).ok();
        assert_eq!(parts("alice:x:y", None), Some(("alice".into(), "x:y".into())));
        assert_eq!(parts("1700000000:alice", Some("x")), Some(("1700000000:alice".into(), "x".into())));
        for (user, password) in [("alice", None), ("alice:", None), ("alice", Some(""))] {
            assert!(matches!(login(user, password), Err(CredentialError::NoPassword)), "{user}");
        }
        assert_eq!(format!("{:?}", login("alice", Some("hidden"))), "Ok(Login(..))");
    }
}
