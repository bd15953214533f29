//! The configuration of a lifetime measurement.

use crate::profile::Family;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// The configuration of a lifetime measurement.
///
/// ```
/// use core::time::Duration;
/// use portolan_nat::lifetime::LifetimeConfig;
///
/// let config = LifetimeConfig::new(vec!["192.0.2.1:3478".parse()?]);
/// assert_eq!((config.points(), config.sockets()), (37, 82));
/// assert_eq!(config.bound(), Duration::from_secs(200));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifetimeConfig {
    /// The servers, all of one family, best first. The first that honours RESPONSE-PORT is used.
    pub servers: Vec<SocketAddr>,
    /// The local address to bind. Without one the system chooses.
    pub local: Option<IpAddr>,
    /// The step between the idle times that are tried, 2 s to 10 min. It is the precision. 5 s.
    pub step: Duration,
    /// The longest idle time that is tried. A mapping that lives longer is reported as at least this. 185 s.
    pub max: Duration,
}

impl LifetimeConfig {
    /// Idle times of 5 to 185 s in steps of 5 s: 82 sockets, about 195 s.
    #[must_use]
    pub const fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, local: None, step: Duration::from_secs(5), max: Duration::from_secs(185) }
    }

    /// Returns the same configuration with another step.
    #[must_use]
    pub const fn step(mut self, step: Duration) -> Self {
        self.step = step;
        self
    }

    /// Returns the same configuration with another longest idle time.
    #[must_use]
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// The number of idle times that are tried.
    #[must_use]
    pub const fn points(&self) -> usize {
        match self.max.as_millis().checked_div(self.step.as_millis()) {
            Some(points) if points <= 10_000 => points as usize,
            Some(_) => 10_000,
            None => 0,
        }
    }

    /// The largest number of open sockets: two per idle time and eight; 88 at most.
    #[must_use]
    pub const fn sockets(&self) -> usize {
        2 * self.points() + Self::FIXED
    }

    /// The time from the start after which the run has ended.
    ///
    /// A server that cannot be used costs up to 8 s before the next one is tested.
    #[must_use]
    pub fn bound(&self) -> Duration {
        let others = u32::try_from(self.servers.len().saturating_sub(1)).unwrap_or(u32::MAX);
        self.max + Self::AFTER + Self::PER_SERVER.saturating_mul(others.min(100))
    }

    /// The family that is measured.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        self.servers.first().map(Family::of)
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// * [`LifetimeConfigError::NoServers`] when there is no server.
    /// * [`LifetimeConfigError::Families`] when a server is of another family than the first.
    /// * [`LifetimeConfigError::Unspecified`] when the address of a server is unspecified, or its port is 0.
    /// * [`LifetimeConfigError::SameAddress`] when two servers have the same address and port.
    /// * [`LifetimeConfigError::Local`] when the local address is of another family than the servers.
    /// * [`LifetimeConfigError::Step`] when the step is not between 2 s and 10 min.
    /// * [`LifetimeConfigError::TooFew`] when the longest idle time is shorter than the step.
    /// * [`LifetimeConfigError::TooMany`] when there are more than [`POINTS_MAX`](Self::POINTS_MAX) idle times.
    pub fn check(&self) -> Result<(), LifetimeConfigError> {
        let family = self.family().ok_or(LifetimeConfigError::NoServers)?;
        for (index, server) in self.servers.iter().enumerate() {
            let before = self.servers.iter().take(index);
            if Family::of(server) != family {
                return Err(LifetimeConfigError::Families { server: *server });
            }
            if server.ip().is_unspecified() || server.port() == 0 {
                return Err(LifetimeConfigError::Unspecified { server: *server });
            }
            if before.into_iter().any(|other| other == server) {
                return Err(LifetimeConfigError::SameAddress { server: *server });
            }
        }
        if let Some(local) = self.local.filter(|local| local.is_ipv4() != (family == Family::V4)) {
            return Err(LifetimeConfigError::Local { local });
        }
        if self.step < Self::STEP_MIN || self.step > Self::STEP_MAX {
            return Err(LifetimeConfigError::Step);
        }
        match self.points() {
            0 => Err(LifetimeConfigError::TooFew),
            1..=Self::POINTS_MAX => Ok(()),
            points => Err(LifetimeConfigError::TooMany { points }),
        }
    }

    /// The number of idle times that one run can try.
    pub const POINTS_MAX: usize = 40;
    /// The sockets without an idle time: the request socket, the control, two watchers, four of the refresh test.
    const FIXED: usize = 8;
    const STEP_MIN: Duration = Duration::from_secs(2);
    const STEP_MAX: Duration = Duration::from_secs(600);
    /// The time of a run in addition to its longest idle time.
    const AFTER: Duration = Duration::from_secs(15);
    /// The time that a server that cannot be used can cost.
    const PER_SERVER: Duration = Duration::from_secs(8);
}

/// The reason why a configuration is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifetimeConfigError {
    /// There is no server.
    #[error("no server: name at least one that honours RESPONSE-PORT (RFC 5780 §7.5)")]
    NoServers,
    /// A server is of another family than the first.
    #[error("{server} is of another family than the first server: measure one family at a time")]
    Families {
        /// The address.
        server: SocketAddr,
    },
    /// A server has no address or no port.
    #[error("{server} is not a valid destination: the address and the port must be specified")]
    Unspecified {
        /// The address.
        server: SocketAddr,
    },
    /// Two servers have one address.
    #[error("{server} is named twice")]
    SameAddress {
        /// The address.
        server: SocketAddr,
    },
    /// The local address is of another family than the servers.
    #[error("the local address {local} is of another family than the servers")]
    Local {
        /// The address.
        local: IpAddr,
    },
    /// The step is out of range.
    #[error("the step must be 2 s to 10 min")]
    Step,
    /// The longest idle time is shorter than the step.
    #[error("the longest idle time must be at least one step")]
    TooFew,
    /// There are more idle times than one run has sockets for.
    #[error("{points} idle times: at most 40 in one run, use a longer step or a shorter longest time")]
    TooMany {
        /// The number of idle times.
        points: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn server(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_invalid_configuration_is_refused() {
        let (one, two) = (server("192.0.2.1:3478"), server("192.0.2.1:3479"));
        let six = server("[2001:db8::1]:3478");
        let good = LifetimeConfig::new(vec![one, two]);
        assert_eq!(good.check(), Ok(()));
        assert_eq!(LifetimeConfig::new(vec![]).check(), Err(LifetimeConfigError::NoServers));
        assert_eq!(LifetimeConfig::new(vec![one, six]).check(), Err(LifetimeConfigError::Families { server: six }));
        assert_eq!(
            LifetimeConfig::new(vec![one, two, one]).check(),
            Err(LifetimeConfigError::SameAddress { server: one })
        );
        let unspecified = server("0.0.0.0:3478");
        assert_eq!(
            LifetimeConfig::new(vec![unspecified]).check(),
            Err(LifetimeConfigError::Unspecified { server: unspecified })
        );
        let mut bound = good.clone();
        bound.local = Some(six.ip());
        assert_eq!(bound.check(), Err(LifetimeConfigError::Local { local: six.ip() }));
        assert_eq!(good.clone().step(Duration::from_secs(1)).check(), Err(LifetimeConfigError::Step));
        assert_eq!(good.clone().max(Duration::from_secs(4)).check(), Err(LifetimeConfigError::TooFew));
        assert_eq!(good.clone().max(Duration::from_secs(200)).check(), Ok(()));
        assert_eq!(good.max(Duration::MAX).check(), Err(LifetimeConfigError::TooMany { points: 10_000 }));
    }
}
