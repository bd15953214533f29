//! placeholder

use crate::error::ConfigError;
use crate::profile::Family;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// A server to ask; the addresses of one name count as one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What people call it.
    pub name: Arc<str>,
    /// Where it answers; at most one address a family is asked at a time.
    pub addresses: Vec<SocketAddr>,
}

/// What to find out, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The servers, best first; two a family are asked at first.
    pub servers: Vec<Server>,
    /// The families to measure; those without a server address are left out.
    pub families: Vec<Family>,
    /// Local addresses to bind, at most one a family; without one the system chooses.
    pub local: Vec<IpAddr>,
    /// When to stop and report what is known, counted from the start. 5 s.
    pub timeout: Duration,
    /// Whether to send packets to the own public endpoint (RFC 4787 §6). Some firewalls take them for an attack.
    pub hairpin: bool,
    /// Whether to open 16 more sockets back to back to learn how ports are chosen.
    pub ports: bool,
}

impl Config {
    /// Everything that is measured unless asked otherwise, with `servers`.
    #[must_use]
    pub fn new(servers: Vec<Server>) -> Self {
        Self {
            servers,
            families: alloc::vec![Family::V4, Family::V6],
            local: Vec::new(),
            timeout: Duration::from_secs(5),
            hairpin: false,
            ports: false,
        }
    }

    /// Checks what can be checked before anything is sent.
    ///
    /// # Errors
    /// No server in the families asked for, or one address twice.
    pub fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}
