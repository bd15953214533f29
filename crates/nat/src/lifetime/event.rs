//! The events of a measurement, on which its owner must act.

use super::{LifetimeRange, LifetimeReport, RefreshReport};
use crate::profile::{Conclusion, Finding, Unknown};
use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

/// The events of a [`Lifetime`](super::Lifetime). Each conclusion is reported once. The report comes last.
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
    /// A server cannot be used; the next one is tested, if there is one.
    Rejected {
        /// The server.
        server: SocketAddr,
        /// The reason.
        why: Unknown,
    },
    /// A server honours RESPONSE-PORT, and the measurement begins.
    Begun {
        /// The server.
        server: SocketAddr,
        /// Whether addresses are translated on the path. If not, the lifetimes are those of a firewall.
        translated: bool,
        /// The number of sockets that are opened.
        sockets: usize,
        /// The time that the rest of the run takes, about.
        expected: Duration,
    },
    /// The result of one socket is known.
    Point {
        /// Its series.
        series: Series,
        /// The time that it was silent.
        idle: Duration,
        /// Whether a response still came in.
        alive: bool,
    },
    /// The lifetime of a mapping that was answered.
    Replied(Conclusion<LifetimeRange>),
    /// The lifetime of a mapping through which no packet ever came in.
    Unreplied(Conclusion<LifetimeRange>),
    /// The time at which a mapping ends in spite of refreshes.
    Absolute(Conclusion<LifetimeRange>),
    /// The packets that refresh a mapping.
    Refresh(Box<RefreshReport>),
    /// The report; the last event.
    Report(Box<LifetimeReport>),
}

/// The common property of the sockets of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Series {
    /// Their mappings were answered once.
    Replied,
    /// No packet ever came in through their mappings.
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
            Self::Replied(verdict) => write_finding(f, "replied", verdict),
            Self::Unreplied(verdict) => write_finding(f, "unreplied", verdict),
            Self::Absolute(verdict) => match verdict.value() {
                Some(LifetimeRange { at_least, at_most: None }) => {
                    write!(f, "absolute: no end in {} s", at_least.as_secs())
                }
                Some(_) | None => write_finding(f, "absolute", verdict),
            },
            Self::Refresh(refresh) => write!(f, "{refresh}"),
            Self::Report(report) => write!(f, "finished after {} s", report.elapsed.as_secs()),
        }
    }
}

/// One axis and its value, or the reason why there is none.
pub(super) fn write_finding<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    axis: &str,
    verdict: &Conclusion<T>,
) -> fmt::Result {
    match &verdict.finding {
        Finding::Value { value, .. } => write!(f, "{axis}: {value}"),
        Finding::Unknown(why) => write!(f, "{axis}: unknown, {why}"),
    }
}
