//! What an audit found.
//!
//! ```
//! use portolan_audit::{Check, Finding, Outcome};
//!
//! let finding = Finding { check: Check::Tcp, outcome: Outcome::NotSupported };
//! assert_eq!(finding.to_string(), "a Binding request over TCP is answered: not supported (RFC 8489 §6.2.2)");
//! ```

use crate::probe::Probe;
use crate::{Check, Outcome};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_stun_agent::nonce::Features;

/// What became of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub check: Check,
    /// How the server did.
    pub outcome: Outcome,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.check.meaning(), self.outcome, self.check.clause())
    }
}

/// What came back for one kind of request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amplification {
    /// The request.
    pub probe: Probe,
    /// Its length in bytes, without UDP and IP headers.
    pub request_bytes: u32,
    /// Bytes that came back for each request that was answered.
    pub reply_bytes: u32,
    /// Datagrams that came back for each ten requests that were answered: 10 for one each.
    pub replies_per_ten: u32,
}

impl Amplification {
    /// Bytes back for each byte sent.
    #[must_use]
    pub fn factor(&self) -> f64 {
        f64::from(self.reply_bytes) / f64::from(self.request_bytes.max(1))
    }
}

/// Datagrams and their bytes, without UDP and IP headers; the stream's are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams sent.
    pub sent: u32,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams that came back.
    pub received: u32,
    /// Their bytes.
    pub received_bytes: u64,
}

/// What became of the bare request that is repeated all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlStats {
    /// How often it was sent.
    pub sent: u32,
    /// How many of these stayed unanswered.
    pub lost: u32,
    /// The shortest round trip of any request that was answered after its first send.
    pub rtt: Option<Duration>,
}

/// What a server that asks for long-term credentials says of them (RFC 8489 §9.2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// REALM.
    pub realm: Option<Box<str>>,
    /// What the front of NONCE announces; `None`: it has no nonce cookie, or there is no NONCE.
    pub features: Option<Features>,
    /// PASSWORD-ALGORITHMS by their numbers in the registry, the server's favourite first; empty: not offered.
    pub algorithms: Vec<u16>,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The server.
    pub server: SocketAddr,
    /// Where the requests left from.
    pub local: SocketAddr,
    /// Where the server says that is.
    pub mapped: Option<SocketAddr>,
    /// What became of the bare request that is repeated all the time.
    pub control: ControlStats,
    /// What was sent and what came back.
    pub traffic: Traffic,
    /// What the server calls itself.
    pub software: Option<Box<str>>,
    /// What it asks clients for, if it does (401).
    pub credentials: Option<Credentials>,
    /// One finding for each [`Check`], in its order.
    pub findings: Vec<Finding>,
    /// What each kind of request brought back, the worst first.
    pub amplification: Vec<Amplification>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// What became of a check.
    #[must_use]
    pub fn outcome(&self, check: Check) -> Option<Outcome> {
        self.findings.iter().find(|finding| finding.check == check).map(|finding| finding.outcome)
    }

    /// What the server did against a clause.
    pub fn violations(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.outcome.is_violation())
    }

    /// Whether anything came back over UDP, be it rubbish.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.traffic.received > 0
    }
}
