//! Why the command has nothing to report: one clear line that says what to do.

use crate::exit::Exit;
use crate::servers::ListError;
use crate::stun::StunError;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::Refusal;
use portolan_stun_agent::ChallengeError;
use std::io;

/// The way out of every offline message.
pub(crate) const TO_LAB: &str = "without a network, try: portolan lab nat --preset home --explain";

/// Why the command has nothing to report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Complaint {
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
    #[error("{0}")]
    Redacted(Box<str>),
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
    Discovery(#[from] portolan_nat::error::DiscoveryConfigError),
    #[error("{0}")]
    Lifetime(#[from] portolan_nat::lifetime::LifetimeConfigError),
    #[error("{0}")]
    Serve(#[from] portolan_stun_agent::ResponderConfigError),
    #[error(transparent)]
    Users(#[from] crate::serve::UsersFault),
    #[error("cannot listen on {local} ({protocol}): {why}; {}", advice(*.why))]
    Listen { local: SocketAddr, protocol: &'static str, why: Refusal },
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    #[error("cannot start: {0}; raise the limit of open files (ulimit -n)")]
    Descriptors(io::Error),
    #[error(transparent)]
    Source(#[from] crate::explain::SourceError),
    #[error(transparent)]
    Sdp(#[from] crate::sdp::SdpError),
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
    #[error(transparent)]
    Stun(#[from] StunError),
    #[error(transparent)]
    Trust(#[from] crate::stun::TrustError),
    #[error("the time allowed ran out before anything was known; allow more with --timeout")]
    TimedOut,
}

impl Complaint {
    /// How the command ends: it could not run, unless it ran and a server said no.
    pub(crate) const fn exit(&self) -> Exit {
        let is_refused = matches!(self, Self::Stun(StunError::Challenge { why: ChallengeError::WrongCredentials, .. }));
        if is_refused { Exit::Wrong } else { Exit::CouldNotRun }
    }
}

/// What to do about a listening address that was refused.
const fn advice(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::AddressInUse => "end the program that holds it, or choose another port with --listen",
        Refusal::AddressNotAvailable => "name one of this host's own addresses",
        Refusal::PermissionDenied => "ports below 1024 need a privilege; choose a higher port with --listen",
        Refusal::FamilyNotSupported => "name an address of a family that this host has",
        Refusal::TooManySockets => "raise the limit of open files, or listen on fewer addresses",
        Refusal::NoRoute
        | Refusal::ConnectionRefused
        | Refusal::TimedOut
        | Refusal::TlsHandshake(_)
        | Refusal::Unsupported
        | Refusal::Unspecified
        | _ => "choose another address with --listen",
    }
}
