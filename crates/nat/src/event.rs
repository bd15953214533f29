//! The events of a discovery, on which its owner must act.
//!
//! Each conclusion is reported as soon as it is known. If a later response disproves a conclusion on mapping, then the
//! new one is reported too. The report comes last and holds all of them.
//!
//! ```
//! use portolan_nat::event::DiscoveryEvent;
//! use portolan_nat::profile::Family;
//!
//! let local = "192.168.1.7:50000".parse()?;
//! let event = DiscoveryEvent::Public { family: Family::V4, endpoint: "203.0.113.9:50000".parse()?, local };
//! assert_eq!(event.to_string(), "IPv4: 192.168.1.7:50000 is seen as 203.0.113.9:50000");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::behavior::{Filtering, Mapping, NatKind};
use crate::profile::{Conclusion, Family, Finding, Flaw, Report};
use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;

/// The events of a [`Discovery`](crate::discovery::Discovery).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DiscoveryEvent {
    /// The first public endpoint of a family was reported by a server.
    Public {
        /// The family.
        family: Family,
        /// The mapped address in the response.
        endpoint: SocketAddr,
        /// The socket's own address.
        local: SocketAddr,
    },
    /// The kind of NAT is known.
    Nat {
        /// The family.
        family: Family,
        /// The kind.
        nat: NatKind,
    },
    /// The conclusion on mapping is known.
    Mapping {
        /// The family.
        family: Family,
        /// The conclusion.
        conclusion: Conclusion<Mapping>,
    },
    /// The conclusion on filtering is known.
    Filtering {
        /// The family.
        family: Family,
        /// The conclusion.
        conclusion: Conclusion<Filtering>,
    },
    /// A flaw of a server was found.
    Flaw {
        /// The family.
        family: Family,
        /// The server.
        server: SocketAddr,
        /// The flaw.
        flaw: Flaw,
    },
    /// The report; the last event.
    Report(Box<Report>),
}

impl fmt::Display for DiscoveryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public { family, endpoint, local } => write!(f, "{family}: {local} is seen as {endpoint}"),
            Self::Nat { family, nat } => write!(f, "{family}: {}", nat.as_str()),
            Self::Mapping { family, conclusion } => {
                write!(f, "{family}: mapping ")?;
                write_finding(f, &conclusion.finding)
            }
            Self::Filtering { family, conclusion } => {
                write!(f, "{family}: filtering ")?;
                write_finding(f, &conclusion.finding)
            }
            Self::Flaw { family, server, flaw } => write!(f, "{family}: {server} {flaw}"),
            Self::Report(report) => write!(f, "finished after {} ms", report.elapsed.as_millis()),
        }
    }
}

fn write_finding<T: fmt::Display>(f: &mut fmt::Formatter<'_>, finding: &Finding<T>) -> fmt::Result {
    match finding {
        Finding::Value { value, .. } => value.fmt(f),
        Finding::Unknown(why) => write!(f, "unknown ({})", why.as_str()),
    }
}
