//! The results of one run.

use super::LifetimeRange;
use super::event::write_finding;
use crate::profile::{Conclusion, Family, Path, Unknown};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// The results of one run.
///
/// Lifetimes are those of mappings without other traffic. RFC 5780 §4.6 warns that a device under load may drop
/// mappings earlier. If the absolute end comes before the idle lifetime, the mappings of idle sockets expire at the
/// absolute end. Then `replied` has this time too: no silent mapping lives longer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LifetimeReport {
    /// The family.
    pub family: Family,
    /// The server that was used; the last one tested if none could be used.
    pub server: SocketAddr,
    /// Whether addresses are translated on the path, if that is known. If not, the lifetimes are those of a firewall.
    pub translated: Option<bool>,
    /// The lifetime of a silent mapping that was answered ("stream").
    pub replied: Conclusion<LifetimeRange>,
    /// The lifetime of a silent mapping through which no packet ever came in.
    pub unreplied: Conclusion<LifetimeRange>,
    /// The lifetime of a mapping that is refreshed regularly; without an upper bound if no end was seen.
    pub absolute: Conclusion<LifetimeRange>,
    /// The packets that refresh a mapping.
    pub refresh: RefreshReport,
    /// The keepalive interval: half the shortest lifetime, so that one lost packet does no harm.
    ///
    /// `None` if no lifetime is known, or if packets from inside do not refresh.
    pub recommended_keepalive: Option<Duration>,
    /// Round-trip time and loss, if they were measured.
    pub path: Path,
    /// The time from the start to the last conclusion.
    pub elapsed: Duration,
}

impl LifetimeReport {
    /// A report in which everything is unknown, for one reason.
    #[must_use]
    pub const fn new(family: Family, server: SocketAddr, why: Unknown) -> Self {
        Self {
            family,
            server,
            translated: None,
            replied: Conclusion::unknown(why, Vec::new()),
            unreplied: Conclusion::unknown(why, Vec::new()),
            absolute: Conclusion::unknown(why, Vec::new()),
            refresh: RefreshReport {
                outbound: Conclusion::unknown(why, Vec::new()),
                inbound: Conclusion::unknown(why, Vec::new()),
            },
            recommended_keepalive: None,
            path: Path { rtt: None, sent: 0, answered: 0 },
            elapsed: Duration::ZERO,
        }
    }

    /// Replaces every address by the result of `replace`, for reports that leave the host.
    #[must_use]
    pub fn with_addresses(mut self, replace: &mut dyn FnMut(IpAddr) -> IpAddr) -> Self {
        self.server.set_ip(replace(self.server.ip()));
        for verdict in [&mut self.replied, &mut self.unreplied, &mut self.absolute] {
            verdict.replace_addresses(replace);
        }
        for verdict in [&mut self.refresh.outbound, &mut self.refresh.inbound] {
            verdict.replace_addresses(replace);
        }
        self
    }
}

/// The packets that refresh a mapping (RFC 4787 §4.3).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RefreshReport {
    /// Whether packets from inside refresh; RFC 4787 REQ-6 requires it.
    pub outbound: Conclusion<bool>,
    /// Whether packets from outside refresh; RFC 4787 REQ-6a allows it.
    pub inbound: Conclusion<bool>,
}

impl fmt::Display for RefreshReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |f: &mut fmt::Formatter<'_>, direction, verdict: &Conclusion<bool>| match (
            verdict.value(),
            verdict.reason(),
        ) {
            (Some(true), _) => write!(f, "{direction} packets refresh"),
            (Some(false), _) => write!(f, "{direction} packets do not refresh"),
            (None, why) => {
                write!(f, "whether {direction} packets refresh is unknown")?;
                why.map_or(Ok(()), |why| write!(f, ", {why}"))
            }
        };
        word(f, "outbound", &self.outbound)?;
        f.write_str("; ")?;
        word(f, "inbound", &self.inbound)
    }
}

impl fmt::Display for LifetimeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} measured with {}", self.family, self.server)?;
        write_finding(f, "a mapping with a reply lives", &self.replied)?;
        f.write_str("\n")?;
        write_finding(f, "a mapping without a reply lives", &self.unreplied)?;
        f.write_str("\n")?;
        match self.absolute.value().map(|range| (range.at_most, range.at_least)) {
            Some((None, least)) => write!(f, "no absolute end in {} s", least.as_secs())?,
            Some((Some(_), _)) | None => write_finding(f, "a mapping with refreshes ends after", &self.absolute)?,
        }
        write!(f, "\n{}\n", self.refresh)?;
        match self.recommended_keepalive {
            Some(every) => write!(f, "send something every {} s", every.as_secs()),
            None => f.write_str("no keepalive can be recommended"),
        }
    }
}

/// The keepalive interval at which one lost packet does no harm: half the lifetime of an answered mapping.
///
/// If that is not known, the lifetime of an unanswered mapping is used. A time below two seconds gives `None`. The
/// absolute end is ignored, because no keepalive prevents it.
pub(super) fn recommended_keepalive(
    replied: &Conclusion<LifetimeRange>,
    unreplied: &Conclusion<LifetimeRange>,
    outbound: &Conclusion<bool>,
) -> Option<Duration> {
    if outbound.value() == Some(&false) {
        return None;
    }
    let lived = replied.value().or(unreplied.value())?.at_least;
    let half = Duration::from_secs(lived.as_secs() / 2);
    (!half.is_zero()).then_some(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(least: u64) -> Conclusion<LifetimeRange> {
        let range = LifetimeRange { at_least: Duration::from_secs(least), at_most: None };
        Conclusion::value_with(range, 0.0, Vec::new())
    }

    #[test]
    fn the_keepalive_interval_is_half_of_the_lifetime() {
        let (yes, no) = (Conclusion::value_with(true, 0.0, Vec::new()), Conclusion::value_with(false, 0.0, Vec::new()));
        let unknown = || Conclusion::unknown(Unknown::HighLoss, Vec::new());
        let seconds = |every: Option<Duration>| every.map(|every| every.as_secs());
        assert_eq!(seconds(recommended_keepalive(&range(115), &range(25), &yes)), Some(57));
        assert_eq!(seconds(recommended_keepalive(&unknown(), &range(25), &yes)), Some(12));
        assert_eq!(
            seconds(recommended_keepalive(&range(115), &range(25), &no)),
            None,
            "outbound traffic does not refresh the mapping"
        );
        assert_eq!(seconds(recommended_keepalive(&range(1), &range(25), &yes)), None);
        let nothing: Conclusion<LifetimeRange> = unknown();
        assert_eq!(recommended_keepalive(&nothing, &nothing, &yes), None);
    }
}
