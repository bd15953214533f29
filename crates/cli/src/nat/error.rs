//! Why `portolan nat` has no report.

use crate::error::CommandError;
use crate::servers::ListError;
use core::net::IpAddr;
use portolan_nat::error::DiscoveryConfigError;
use portolan_nat::lifetime::LifetimeConfigError;

/// The advice of every offline message.
const TO_LAB: &str = "without a network, try: portolan lab nat --preset home --explain";

/// Why the command has nothing to report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NatError {
    #[error("no server to ask: PORTOLAN_SERVERS is set but empty; name one with --server HOST[:PORT] ({TO_LAB})")]
    NoServers,
    #[error(
        "offline: no route to the Internet, and no server to ask: PORTOLAN_SERVERS is set but empty; name one with \
         --server HOST[:PORT] ({TO_LAB})"
    )]
    Nothing,
    #[error(transparent)]
    List(#[from] ListError),
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error("none of the {0} servers has an address to ask; name another with --server, by its address if need be")]
    NoneResolved(usize),
    #[error("offline: no route to the Internet and no server name resolves (tried {tried}); {TO_LAB}")]
    NoNetwork { tried: Box<str> },
    #[error("offline: {0}; {TO_LAB}")]
    Offline(Box<str>),
    #[error("no server gave an answer that can be used ({0}); name others with --server")]
    Useless(Box<str>),
    #[error("--local {0} is named twice for one family; name at most one IPv4 and one IPv6 address")]
    LocalTwice(IpAddr),
    #[error("--local {local} is not of the family that {flag} asks for")]
    LocalFamily { local: IpAddr, flag: &'static str },
    #[error("--local {0} is no address to send from; name one of this host's addresses")]
    LocalUnspecified(IpAddr),
    #[error("the address given with --local is not one of this host's; name one that is, or leave --local out")]
    LocalElsewhere,
    #[error("--watch reports changes line by line: use --format human or jsonl")]
    WatchJson,
    #[error("{0}")]
    Discovery(#[from] DiscoveryConfigError),
    #[error("{0}")]
    Lifetime(#[from] LifetimeConfigError),
    #[error("the time allowed ran out before anything was known; allow more with --timeout")]
    TimedOut,
}

impl CommandError for NatError {}
