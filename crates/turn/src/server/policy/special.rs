//! The special-purpose addresses that are no peers by default.
//!
//! The table has the prefixes of the IANA special-purpose address registries (RFC 6890) that are not globally
//! reachable. It also has the multicast addresses, the IPv6 addresses outside of 2000::/3 that IANA has not allocated,
//! the metadata services of clouds, and Teredo and 6to4 (RFC 8656 §21.4). The longest prefix that contains an address decides. One entry is a permitted part of a
//! denied prefix: NAT64 addresses have an IPv4 address inside that is judged.
//!
//! The anycast addresses of services inside 192.0.0.0/24 and 2001::/23 are globally reachable, but they are denied. A
//! PCP server, for example, opens ports of a NAT for its clients (RFC 7723).
//!
//! ```
//! use portolan_turn::policy::special;
//!
//! let entry = special::lookup("100.64.0.1".parse()?).unwrap();
//! assert_eq!((entry.prefix.to_string().as_str(), entry.name), ("100.64.0.0/10", "carrier-grade NAT"));
//! assert_eq!(entry.rfc, Some(6598));
//! assert_eq!(special::lookup("8.8.8.8".parse()?), None);
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use super::Cidr;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A prefix of special-purpose addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Special {
    /// The prefix.
    pub prefix: Cidr,
    /// Its purpose, in a few words.
    pub name: &'static str,
    /// The RFC that defines it; `None` for the metadata services of clouds.
    pub rfc: Option<u16>,
    /// Whether its addresses are no peers. `false` for the permitted parts of a denied prefix.
    pub is_denied: bool,
}

/// Returns the entry with the longest prefix that contains this address.
#[must_use]
pub fn lookup(ip: IpAddr) -> Option<&'static Special> {
    let table: &'static [Special] = if ip.is_ipv4() { &IPV4 } else { &IPV6 };
    table.iter().filter(|special| special.prefix.contains(ip)).max_by_key(|special| special.prefix.len())
}

/// All entries.
pub fn entries() -> impl Iterator<Item = &'static Special> {
    IPV4.iter().chain(&IPV6)
}

const fn v4(ip: [u8; 4], len: u8, name: &'static str, rfc: u16) -> Special {
    let [a, b, c, d] = ip;
    Special { prefix: Cidr::v4(Ipv4Addr::new(a, b, c, d), len), name, rfc: Some(rfc), is_denied: true }
}

const fn v6(ip: [u16; 8], len: u8, name: &'static str, rfc: u16) -> Special {
    let [a, b, c, d, e, f, g, h] = ip;
    Special { prefix: Cidr::v6(Ipv6Addr::new(a, b, c, d, e, f, g, h), len), name, rfc: Some(rfc), is_denied: true }
}

const fn metadata(mut special: Special) -> Special {
    special.rfc = None;
    special
}

const fn permitted(mut special: Special) -> Special {
    special.is_denied = false;
    special
}

const METADATA: &str = "metadata service of a cloud";

static IPV4: [Special; 19] = [
    v4([0, 0, 0, 0], 8, "this network", 791),
    v4([10, 0, 0, 0], 8, "private use", 1918),
    v4([100, 64, 0, 0], 10, "carrier-grade NAT", 6598),
    metadata(v4([100, 100, 100, 200], 32, METADATA, 0)),
    v4([127, 0, 0, 0], 8, "loopback", 1122),
    metadata(v4([168, 63, 129, 16], 32, METADATA, 0)),
    v4([169, 254, 0, 0], 16, "link-local", 3927),
    metadata(v4([169, 254, 169, 254], 32, METADATA, 0)),
    v4([172, 16, 0, 0], 12, "private use", 1918),
    v4([192, 0, 0, 0], 24, "IETF protocol assignments", 6890),
    v4([192, 0, 2, 0], 24, "documentation (TEST-NET-1)", 5737),
    v4([192, 88, 99, 0], 24, "6to4 relay anycast", 7526),
    v4([192, 168, 0, 0], 16, "private use", 1918),
    v4([198, 18, 0, 0], 15, "benchmarking", 2544),
    v4([198, 51, 100, 0], 24, "documentation (TEST-NET-2)", 5737),
    v4([203, 0, 113, 0], 24, "documentation (TEST-NET-3)", 5737),
    v4([224, 0, 0, 0], 4, "multicast", 5771),
    v4([240, 0, 0, 0], 4, "reserved", 1112),
    v4([255, 255, 255, 255], 32, "limited broadcast", 919),
];

static IPV6: [Special; 27] = [
    v6([0; 8], 3, "not allocated", 4291),
    v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 2, "not allocated", 4291),
    v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 1, "not allocated", 4291),
    v6([0; 8], 128, "unspecified", 4291),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback", 4291),
    v6([0; 8], 96, "IPv4-compatible", 4291),
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "IPv4-mapped", 4291),
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "IPv4-translated", 2765),
    permitted(v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "NAT64", 6052)),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local-use NAT64", 8215),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard-only", 6666),
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "dummy prefix", 9780),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "IETF protocol assignments", 2928),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo", 4380),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking", 5180),
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, "ORCHID", 4843),
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, "ORCHIDv2", 7343),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation", 3849),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4", 3056),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation", 9637),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "segment routing", 9602),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local", 4193),
    metadata(v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, METADATA, 0)),
    metadata(v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, METADATA, 0)),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local", 4291),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local", 3879),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast", 4291),
];
