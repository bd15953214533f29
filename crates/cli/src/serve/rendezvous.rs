//! `portolan serve --rendezvous`: the arguments and the secrets of the rendezvous.
//!
//! Rules of this file: no secret is printed. The rendezvous runs before the STUN server on the same UDP sockets. It is
//! not combined with `--turn`, because the workers of a TURN server share no state, and both peers of a room must reach
//! the same state.

use super::users::nonce_secret;
use crate::secret::{self, Secret, SecretError};
use clap::Args;
use portolan_punch::rendezvous::{Server, ServerConfig, ServerConfigError};
use portolan_stun_agent::Rate;
use std::path::PathBuf;

/// Arguments of `portolan serve` that concern the rendezvous.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Options for the rendezvous")]
pub(crate) struct RendezvousArgs {
    /// Introduce the two peers of a room to each other, for hole punching; needs --rendezvous-secret-file
    ///
    /// The rendezvous shares the UDP addresses of the STUN server. It relays addresses and NAT cards, never data.
    #[arg(long)]
    pub(crate) rendezvous: bool,
    /// A secret of the rendezvous; may be given several times (other programs can see it)
    ///
    /// The password of a room is HMAC-SHA1 of `rendezvous:` and its name with the secret, in hexadecimal digits. To
    /// replace a secret, give the new one and the old one for some time.
    #[arg(long, value_name = "SECRET", value_parser = Secret::parse)]
    pub(crate) rendezvous_secret: Vec<Secret>,
    /// A file of such secrets, one per line; # begins a comment; keep it private (chmod 600)
    #[arg(long, value_name = "FILE")]
    pub(crate) rendezvous_secret_file: Vec<PathBuf>,
}

/// Why the rendezvous is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RendezvousError {
    #[error("{0} has no effect without --rendezvous; add --rendezvous, or leave {0} out")]
    NeedsRendezvous(&'static str),
    #[error(
        "--rendezvous and --turn cannot be combined: both peers of a room need one server, and --turn divides clients \
         among workers; run a second portolan serve on another port"
    )]
    Turn,
    #[error(
        "--rendezvous needs a secret, because an open rendezvous introduces everybody: give one with \
         --rendezvous-secret-file FILE"
    )]
    NoSecret,
    #[error("--rendezvous-secret number {0} is empty; give a secret of at least 20 random characters")]
    EmptySecret(usize),
    #[error("{} has no secret; write one secret per line", .0.display())]
    EmptyFile(PathBuf),
    #[error(transparent)]
    File(#[from] SecretError),
    #[error(transparent)]
    Config(#[from] ServerConfigError),
}

impl RendezvousArgs {
    /// Checks that each argument has an effect.
    pub(super) fn check(&self, is_turn: bool) -> Result<(), RendezvousError> {
        let given = [
            ("--rendezvous-secret", !self.rendezvous_secret.is_empty()),
            ("--rendezvous-secret-file", !self.rendezvous_secret_file.is_empty()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            _ if self.rendezvous && is_turn => Err(RendezvousError::Turn),
            Some((name, _)) if !self.rendezvous => Err(RendezvousError::NeedsRendezvous(name)),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the server; `None` without `--rendezvous`.
    pub(super) fn server(&self, rate: Option<Rate>) -> Result<Option<Server>, RendezvousError> {
        if !self.rendezvous {
            return Ok(None);
        }
        let mut secrets = Vec::new();
        for (nth, secret) in (1..).zip(&self.rendezvous_secret) {
            if secret.reveal().is_empty() {
                return Err(RendezvousError::EmptySecret(nth));
            }
            secrets.push(secret.clone());
        }
        for file in &self.rendezvous_secret_file {
            let lines = secret::read(file)?.lines();
            if lines.is_empty() {
                return Err(RendezvousError::EmptyFile(file.clone()));
            }
            secrets.extend(lines);
        }
        if secrets.is_empty() {
            return Err(RendezvousError::NoSecret);
        }
        let config = ServerConfig::new(&nonce_secret()).rate(rate);
        let config = secrets.iter().fold(config, |config, secret| config.secret(secret.reveal().as_bytes()));
        Ok(Some(Server::new(&config)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(secrets: &[&str]) -> Result<Option<Server>, RendezvousError> {
        let secrets = secrets.iter().map(|text| Secret::parse(text).unwrap()).collect();
        RendezvousArgs { rendezvous: true, rendezvous_secret: secrets, ..RendezvousArgs::default() }.server(None)
    }

    #[test]
    fn a_rendezvous_needs_secrets_and_never_shows_them() {
        assert!(matches!(server(&[]), Err(RendezvousError::NoSecret)));
        assert!(matches!(server(&["x", ""]), Err(RendezvousError::EmptySecret(2))));
        assert!(matches!(RendezvousArgs::default().server(None), Ok(None)));
        let shown = format!("{:?}", server(&["hunter2", "hunter3"]).unwrap());
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
