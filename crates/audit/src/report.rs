//! The report of an audit.
//!
//! ```
//! use portolan_audit::{Check, Finding, Outcome};
//!
//! let finding = Finding::new(Check::Tcp, Outcome::NotSupported);
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

/// The outcome of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The outcome.
    pub outcome: Outcome,
}

impl Finding {
    /// The outcome of a check.
    #[must_use]
    pub const fn new(check: Check, outcome: Outcome) -> Self {
        Self { check, outcome }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.check.meaning(), self.outcome, self.check.clause())
    }
}

/// The amplification of one kind of request.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Amplification {
    /// The request.
    pub probe: Probe,
    /// The length of the request in bytes, without UDP and IP headers.
    pub request_bytes: u32,
    /// The response bytes for each answered request.
    pub reply_bytes: u32,
    /// The responses for ten answered requests: 10 if each request got one response.
    pub replies_per_ten: u32,
}

impl Amplification {
    /// The response bytes for each byte of the request.
    #[must_use]
    pub fn factor(&self) -> f64 {
        f64::from(self.reply_bytes) / f64::from(self.request_bytes.max(1))
    }
}

/// The datagrams of an audit and their bytes, without UDP and IP headers. The stream is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Traffic {
    /// Datagrams sent.
    pub sent: u32,
    /// The bytes of the datagrams sent.
    pub sent_bytes: u64,
    /// Datagrams received.
    pub received: u32,
    /// The bytes of the datagrams received.
    pub received_bytes: u64,
}

/// The statistics of the control, a bare request that is repeated during the whole audit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ControlStats {
    /// The number of sends.
    pub sent: u32,
    /// The number of sends without a response.
    pub lost: u32,
    /// The shortest round trip of any request that was answered after its first send.
    // `serde`: a field of the whole report, in milliseconds.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub rtt: Option<Duration>,
}

/// The challenge of a server that requires long-term credentials (RFC 8489 §9.2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// REALM.
    pub realm: Option<Box<str>>,
    /// The security features in the nonce cookie; `None` if NONCE has no nonce cookie or is missing.
    pub features: Option<Features>,
    /// The numbers of PASSWORD-ALGORITHMS, in the server's order of preference; empty if the attribute is missing.
    pub algorithms: Vec<u16>,
}

/// The numbers of findings, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Summary {
    /// Clauses that the server honours.
    pub honoured: usize,
    /// Clauses that the server violates.
    pub violated: usize,
    /// Optional features that the server does not have.
    pub not_supported: usize,
    /// Clauses about which nothing is known.
    pub unknown: usize,
}

/// The result of an audit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The server.
    pub server: SocketAddr,
    /// The local address of the requests.
    pub local: SocketAddr,
    /// The mapped address of the requests.
    pub mapped: Option<SocketAddr>,
    /// The statistics of the control.
    pub control: ControlStats,
    /// The numbers of datagrams and bytes.
    pub traffic: Traffic,
    /// SOFTWARE of the server.
    pub software: Option<Box<str>>,
    /// The challenge, if the server requires credentials (401).
    pub credentials: Option<Credentials>,
    /// One finding for each [`Check`], in the order of [`Check::all`].
    pub findings: Vec<Finding>,
    /// The amplification of each kind of request, the largest factor first.
    pub amplification: Vec<Amplification>,
    /// The duration of the audit.
    pub elapsed: Duration,
}

impl Report {
    /// The outcome of a check.
    #[must_use]
    pub fn outcome(&self, check: Check) -> Option<Outcome> {
        self.findings.iter().find(|finding| finding.check == check).map(|finding| finding.outcome)
    }

    /// The numbers of findings, by outcome.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for finding in &self.findings {
            *match finding.outcome {
                Outcome::Honoured => &mut summary.honoured,
                Outcome::Violated(_) => &mut summary.violated,
                Outcome::NotSupported => &mut summary.not_supported,
                Outcome::Unknown(_) => &mut summary.unknown,
            } += 1;
        }
        summary
    }

    /// The findings that are violations.
    pub fn violations(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.outcome.is_violation())
    }

    /// Whether any datagram of the server was received, also one that is not STUN.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.traffic.received > 0
    }
}
