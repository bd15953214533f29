//! What the owner of a measurement must hear.

use super::{LifetimeRange, LifetimeReport, RefreshReport};
use crate::profile::{Conclusion, Finding, Unknown};
use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

/// What a [`Lifetime`](super::Lifetime) tells. Each verdict is told once, as soon as it stands; the report comes last.
///
/// ```
/// use core::time::Duration;
/// use portolan_nat::lifetime::{LifetimeEvent, Series};
///
/// let event = LifetimeEvent::Point { series: Series::Replied, idle: Duration::from_secs(30), alive: false };
/// assert_eq!(event.to_string(), "replied: dead after 30.0 s");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LifetimeEvent {
    /// A server cannot be used; the next one is asked, if there is one.
    Rejected {
        /// The server.
        server: SocketAddr,
        /// Why.
        why: Unknown,
    },
    /// A server honours RESPONSE-PORT, and the measurement begins.
    Begun {
        /// The server.
        server: SocketAddr,
        /// Whether addresses are translated on the way; if not, it is a firewall's lifetimes that are measured.
        translated: bool,
        /// How many sockets are opened.
        sockets: usize,
        /// About how long it takes from now.
        expected: Duration,
    },
    /// One socket has shown what it could.
    Point {
        /// Of which series.
        series: Series,
        /// How long it was silent.
        idle: Duration,
        /// Whether an answer still came in.
        alive: bool,
    },
    /// How long a mapping lives that was answered.
    Replied(Conclusion<LifetimeRange>),
    /// How long a mapping lives that nothing ever came in through.
    Unreplied(Conclusion<LifetimeRange>),
    /// When a mapping ends whatever refreshes it.
    Absolute(Conclusion<LifetimeRange>),
    /// What refreshes a mapping.
    Refresh(Box<RefreshReport>),
    /// Everything is said; the last event.
    Report(Box<LifetimeReport>),
}

/// What the sockets of a series have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Series {
    /// Their mappings were answered once.
    Replied,
    /// Nothing ever came in through their mappings.
    Unreplied,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replied => "replied",
            Self::Unreplied => "unreplied",
        })
    }
}

impl fmt::Display for LifetimeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { server, why } => write!(f, "{server}: {why}"),
            Self::Begun { server, sockets, expected, .. } => {
                write!(f, "measuring with {server} and {sockets} sockets, about {} s", expected.as_secs())
            }
            Self::Point { series, idle, alive } => {
                let state = if *alive { "alive" } else { "dead" };
                write!(f, "{series}: {state} after {:.1} s", idle.as_secs_f64())
            }
            Self::Replied(verdict) => say(f, "replied", verdict),
            Self::Unreplied(verdict) => say(f, "unreplied", verdict),
            Self::Absolute(verdict) => match verdict.value() {
                Some(LifetimeRange { at_least, at_most: None }) => {
                    write!(f, "absolute: no end met in {} s", at_least.as_secs())
                }
                Some(_) | None => say(f, "absolute", verdict),
            },
            Self::Refresh(refresh) => write!(f, "{refresh}"),
            Self::Report(report) => write!(f, "finished after {} s", report.elapsed.as_secs()),
        }
    }
}

/// One axis and its value, or why there is none.
pub(super) fn say<T: fmt::Display>(f: &mut fmt::Formatter<'_>, axis: &str, verdict: &Conclusion<T>) -> fmt::Result {
    match &verdict.finding {
        Finding::Value { value, .. } => write!(f, "{axis}: {value}"),
        Finding::Unknown(why) => write!(f, "{axis}: unknown, {why}"),
    }
}
