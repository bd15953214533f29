//! What the owner of a discovery must hear.
//!
//! Each verdict is told once, as soon as it stands; the report comes last and holds them all.
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

/// What a [`Discovery`](crate::discovery::Discovery) tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DiscoveryEvent {
    /// The first public endpoint of a family is known.
    Public {
        /// Which family.
        family: Family,
        /// The endpoint that a server saw.
        endpoint: SocketAddr,
        /// The socket's own address.
        local: SocketAddr,
    },
    /// It is known what stands in the way.
    Nat {
        /// Which family.
        family: Family,
        /// What it is.
        nat: NatKind,
    },
    /// The verdict on mapping stands.
    Mapping {
        /// Which family.
        family: Family,
        /// The verdict.
        conclusion: Conclusion<Mapping>,
    },
    /// The verdict on filtering stands.
    Filtering {
        /// Which family.
        family: Family,
        /// The verdict.
        conclusion: Conclusion<Filtering>,
    },
    /// A server was caught.
    Flaw {
        /// Which family.
        family: Family,
        /// The server.
        server: SocketAddr,
        /// What it gets wrong.
        flaw: Flaw,
    },
    /// Everything is said; the last event.
    Report(Box<Report>),
}

impl fmt::Display for DiscoveryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public { family, endpoint, local } => write!(f, "{family}: {local} is seen as {endpoint}"),
            Self::Nat { family, nat } => write!(f, "{family}: {}", nat.as_str()),
            Self::Mapping { family, conclusion } => {
                write!(f, "{family}: mapping ")?;
                say(f, &conclusion.finding)
            }
            Self::Filtering { family, conclusion } => {
                write!(f, "{family}: filtering ")?;
                say(f, &conclusion.finding)
            }
            Self::Flaw { family, server, flaw } => write!(f, "{family}: {server} {flaw}"),
            Self::Report(report) => write!(f, "finished after {} ms", report.elapsed.as_millis()),
        }
    }
}

fn say<T: fmt::Display>(f: &mut fmt::Formatter<'_>, finding: &Finding<T>) -> fmt::Result {
    match finding {
        Finding::Value { value, .. } => value.fmt(f),
        Finding::Unknown(why) => write!(f, "unknown ({})", why.as_str()),
    }
}
