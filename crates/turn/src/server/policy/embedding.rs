//! The IPv4 addresses inside an IPv6 address.
//!
//! A translator or a tunnel near the server can deliver packets for such an IPv6 address to the IPv4 address inside it.
//! So a policy for IPv4 must hold for both.
//!
//! ```
//! use portolan_turn::policy::{Embedding, embedding};
//!
//! let inside: Vec<_> = embedding::embedded("2002:a00:1::1".parse()?, &[]).collect();
//! assert_eq!(inside, [(Embedding::SixToFour, "10.0.0.1".parse()?)]);
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use super::Cidr;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The rule by which an IPv6 address has an IPv4 address inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Embedding {
    /// `::a.b.c.d`: IPv4-compatible (RFC 4291 §2.5.5.1).
    Compatible,
    /// `::ffff:a.b.c.d`: IPv4-mapped (RFC 4291 §2.5.5.2).
    Mapped,
    /// `::ffff:0:a.b.c.d`: IPv4-translated (RFC 2765 §2.1).
    Translated,
    /// `2002:AABB:CCDD::/48`: 6to4 (RFC 3056 §2).
    SixToFour,
    /// `64:ff9b::/96`, `64:ff9b:1::/48` (RFC 8215) or a configured prefix: NAT64 (RFC 6052 §2.2).
    Nat64,
    /// `2001:0:AABB:CCDD::`: the server of a Teredo address (RFC 4380 §4).
    TeredoServer,
    /// The inverted last 32 bits of a Teredo address: the client (RFC 4380 §4).
    TeredoClient,
    /// An interface identifier `0:5efe:a.b.c.d` or `200:5efe:a.b.c.d`: ISATAP (RFC 5214 §6.1).
    Isatap,
}

impl fmt::Display for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compatible => "IPv4-compatible",
            Self::Mapped => "IPv4-mapped",
            Self::Translated => "IPv4-translated",
            Self::SixToFour => "6to4",
            Self::Nat64 => "NAT64",
            Self::TeredoServer => "Teredo server",
            Self::TeredoClient => "Teredo client",
            Self::Isatap => "ISATAP",
        })
    }
}

/// Returns all IPv4 addresses inside an IPv6 address. `nat64` has the NAT64 prefixes of the network.
///
/// Inside `64:ff9b:1::/48` the length of the prefix is not known, unless a prefix of `nat64` contains the address. All
/// lengths are then possible: 48, 56, 64 and 96 bits. Lengths that give an address of 0.0.0.0/8 are left out, because
/// such an address is no destination. If all lengths give such an address, the last one is returned.
pub fn embedded(ip: Ipv6Addr, nat64: &[Cidr]) -> impl Iterator<Item = (Embedding, Ipv4Addr)> {
    let bits = ip.to_bits();
    let is_configured = nat64.iter().any(|prefix| prefix.contains(IpAddr::V6(ip)));
    let configured = nat64.iter().filter(move |prefix| prefix.contains(IpAddr::V6(ip)));
    let configured = configured.filter_map(move |prefix| Some((Embedding::Nat64, rfc6052(bits, prefix.len())?)));
    fixed(bits).into_iter().flatten().chain(configured).chain(local_use_nat64(bits, is_configured))
}

/// The IPv4 addresses at fixed positions.
fn fixed(bits: u128) -> [Option<(Embedding, Ipv4Addr)>; 7] {
    let last = |embedding| Some((embedding, part(bits, 96)));
    let (first_32, first_96, interface) = (bits >> 96, bits >> 32, (bits >> 32) & 0xffff_ffff);
    [
        if first_96 == 0 { last(Embedding::Compatible) } else { None },
        if first_96 == 0xffff { last(Embedding::Mapped) } else { None },
        if first_96 == 0xffff_0000 { last(Embedding::Translated) } else { None },
        if first_96 == 0x0064_ff9b << 64 { last(Embedding::Nat64) } else { None },
        // The universal bit and the group bit of the identifier have no meaning for the position.
        if interface & !0x0300_0000 == 0x5efe { last(Embedding::Isatap) } else { None },
        match first_32 {
            0x2001_0000 => Some((Embedding::TeredoServer, part(bits, 32))),
            prefix if prefix >> 16 == 0x2002 => Some((Embedding::SixToFour, part(bits, 16))),
            _ => None,
        },
        if first_32 == 0x2001_0000 { Some((Embedding::TeredoClient, part(!bits, 96))) } else { None },
    ]
}

/// The possible IPv4 addresses of `64:ff9b:1::/48`.
fn local_use_nat64(bits: u128, is_configured: bool) -> impl Iterator<Item = (Embedding, Ipv4Addr)> {
    const LENGTHS: [u8; 4] = [48, 56, 64, 96];
    let is_local_use = bits >> 80 == 0x0064_ff9b_0001 && !is_configured;
    let possible = LENGTHS.map(|len| rfc6052(bits, len).filter(|_| is_local_use));
    let is_destination = |ip: &Ipv4Addr| ip.to_bits() >> 24 != 0;
    let has_destination = possible.iter().flatten().any(is_destination);
    let [.., last] = possible;
    let none = last.filter(|_| !has_destination);
    possible.into_iter().flatten().filter(move |ip| is_destination(ip)).chain(none).map(|ip| (Embedding::Nat64, ip))
}

/// The IPv4 address after a prefix of `len` bits (RFC 6052 §2.2); `None` if no prefix has this length. Bits 64 to 71 of
/// the address are not a part of the IPv4 address.
fn rfc6052(bits: u128, len: u8) -> Option<Ipv4Addr> {
    let without_64_to_71 = (bits >> 64) << 64 | (bits << 72) >> 64;
    match len {
        32 | 40 | 48 | 56 | 64 => Some(part(without_64_to_71, len.into())),
        96 => Some(part(bits, 96)),
        _ => None,
    }
}

/// The 32 bits from bit `at` on; `at` is at most 96.
fn part(bits: u128, at: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits((bits >> (96 - at)) as u32)
}
