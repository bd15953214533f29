//! The source of requests, as a server counts it: an IPv4 address or an IPv6 /64.
//!
//! A host with one address of an IPv6 /64 can usually use the whole /64 (RFC 6177), so the /64 counts as one source.
//! An IPv4-mapped IPv6 address counts as its IPv4 address.
//!
//! ```
//! use core::net::IpAddr;
//! use portolan_stun_agent::source::Source;
//!
//! let one = Source::from("2001:db8::1".parse::<IpAddr>()?);
//! assert_eq!(one, Source::from("2001:db8::ffff:2".parse::<IpAddr>()?));
//! assert_eq!(one.to_string(), "2001:db8::/64");
//! assert_eq!(Source::from("::ffff:192.0.2.1".parse::<IpAddr>()?).to_string(), "192.0.2.1");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A source of requests or of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
}

/// Whether a reply can be sent to this source: it is not an unspecified, broadcast or multicast address, and not port
/// 0.
#[must_use]
pub fn can_receive_reply(remote: SocketAddr) -> bool {
    let ip = remote.ip();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    remote.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

impl From<IpAddr> for Source {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(u64::try_from(ip.to_bits() >> 64).unwrap_or_default()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip) => ip.fmt(f),
            Self::V6(prefix) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*prefix) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_slash_64_is_one_source_and_so_is_a_mapped_address() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
