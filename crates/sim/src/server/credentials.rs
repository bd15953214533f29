//! The users that a server answers.
//!
//! Rules of this file: plain data, as in the whole topology. Passwords of a simulation are not secret, but `Debug` does
//! not print them. The server creates the authenticator of `stun-agent` from this data at the start of a run.
//!
//! RFC 8489 §9.1, §9.2.
//!
//! ```
//! use portolan_sim::server::{Credentials, Server};
//!
//! let users = Credentials::long_term("example.org").user("alice", "TheMatrIX");
//! assert_eq!(format!("{users:?}"), r#"Credentials { realm: Some("example.org"), users: 1, .. }"#);
//! let server = Server::new("stun", "192.0.2.1:3478".parse()?).credentials(users);
//! assert!(server.responder);
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::entropy::SeededRng;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use portolan_machine::Entropy;
use portolan_stun_agent::authenticator::{Authenticator, Users};

/// The users of a server and the STUN authentication mechanism.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The realm of the long-term mechanism; `None`: the short-term mechanism.
    realm: Option<Box<str>>,
    /// Names and passwords.
    users: Vec<(Box<str>, Box<str>)>,
}

/// The credentials are unusable: the realm, a name or a password is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unusable;

impl Credentials {
    /// The short-term mechanism, without users (RFC 8489 §9.1).
    #[must_use]
    pub const fn short_term() -> Self {
        Self { realm: None, users: Vec::new() }
    }

    /// The long-term mechanism in a realm, without users (RFC 8489 §9.2).
    #[must_use]
    pub fn long_term(realm: &str) -> Self {
        Self { realm: Some(realm.into()), users: Vec::new() }
    }

    /// Adds a user. A server with an invalid realm, name or password answers no request.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// Creates the authenticator. The RNG draws the secret of its nonces.
    pub(super) fn authenticator(&self, rng: &mut SeededRng) -> Result<Authenticator, Unusable> {
        let mut users = self.realm.as_deref().map_or_else(Users::short_term, Users::long_term);
        for (name, password) in &self.users {
            users.add(name, password).map_err(|_| Unusable)?;
        }
        let Some(realm) = &self.realm else { return Ok(Authenticator::short_term(users)) };
        let mut secret = [0; 32];
        rng.fill(&mut secret);
        Authenticator::long_term(realm, &secret, users).map_err(|_| Unusable)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("realm", &self.realm)
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}
