//! Why `portolan nat` has no report.

use crate::error::CommandError;
use crate::servers::ListError;
use core::net::IpAddr;
use portolan_nat::error::DiscoveryConfigError;
use portolan_nat::lifetime::LifetimeConfigError;

/// The last part of each offline message.
const TO_LAB: &str = "without a network, try: portolan lab nat";

/// Why `portolan nat` has no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NatError {
    #[error("no server: PORTOLAN_SERVERS is set but empty; name one with --server HOST[:PORT] ({TO_LAB})")]
    NoServers,
    #[error(
        "offline: no route to the Internet, and no server: PORTOLAN_SERVERS is set but empty; name one with \
         --server HOST[:PORT] ({TO_LAB})"
    )]
    Nothing,
    #[error(transparent)]
    List(#[from] ListError),
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error("none of the {0} servers has a usable address; name another with --server, if necessary by its address")]
    NoneResolved(usize),
    #[error("offline: no route to the Internet and no server name resolves (tried {tried}); {TO_LAB}")]
    NoNetwork { tried: Box<str> },
    #[error("offline: {0}; {TO_LAB}")]
    Offline(Box<str>),
    #[error("no server sent a usable response ({0}); name others with --server")]
    Useless(Box<str>),
    #[error("--local {0} is the second address of its family; name at most one IPv4 and one IPv6 address")]
    LocalTwice(IpAddr),
    #[error("--local {local} is not of the family of {flag}")]
    LocalFamily { local: IpAddr, flag: &'static str },
    #[error("--local {0} cannot be a source address; name an address of this host")]
    LocalUnspecified(IpAddr),
    #[error("the address of --local does not belong to this host; name one that does, or leave --local out")]
    LocalElsewhere,
    #[error("--watch reports changes line by line: use --format human or jsonl")]
    WatchJson,
    #[error("{0}")]
    Discovery(#[from] DiscoveryConfigError),
    #[error("{0}")]
    Lifetime(#[from] LifetimeConfigError),
    #[error("the time limit ended without a report; allow more time with --timeout")]
    TimedOut,
}

impl CommandError for NatError {}
