//! An address prefix in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3), parsed strictly.
//!
//! A wrong entry in a list of denied addresses must not be ignored or repaired, because the server would then relay to
//! more addresses than its owner expects. So each text has one meaning or is an error. An address alone is one
//! address. Bits after the prefix must be zero. An IPv4-mapped prefix must be written as its IPv4 prefix.
//!
//! ```
//! use portolan_turn::Cidr;
//!
//! let prefix: Cidr = "192.0.2.0/24".parse()?;
//! assert!(prefix.contains("192.0.2.77".parse()?) && !prefix.contains("192.0.3.0".parse()?));
//! assert_eq!("2001:db8::7".parse::<Cidr>()?.to_string(), "2001:db8::7/128");
//!
//! let error = "10.0.0.1/8".parse::<Cidr>().unwrap_err();
//! assert_eq!(error.to_string(), "bits after the prefix are set: expected 10.0.0.0/8 or 10.0.0.1/32");
//! let error = "10.0.0.0/33".parse::<Cidr>().unwrap_err();
//! assert_eq!(error.to_string(), "column 10: expected a prefix length from 0 to 32");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An address prefix: the first bits of IPv4 or IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The first address. Its bits after the prefix are zero.
    first: IpAddr,
    len: u8,
}

impl Cidr {
    /// The prefix of `len` bits that `ip` starts with; `None` if the address has fewer bits.
    #[must_use]
    pub const fn new(ip: IpAddr, len: u8) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) if len <= 32 => Some(Self::v4(ip, len)),
            IpAddr::V6(ip) if len <= 128 => Some(Self::v6(ip, len)),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }

    /// `len` is at most 32.
    pub(super) const fn v4(ip: Ipv4Addr, len: u8) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask(len as u32 + 96) as u32)), len }
    }

    /// `len` is at most 128.
    pub(super) const fn v6(ip: Ipv6Addr, len: u8) -> Self {
        Self { first: IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask(len as u32))), len }
    }

    /// The first address of the prefix.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The number of bits of the prefix: at most 32 for IPv4, at most 128 for IPv6.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a prefix of 0 bits contains all addresses, so it is not empty")]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// Whether the prefix is one address.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        match self.first {
            IpAddr::V4(_) => self.len == 32,
            IpAddr::V6(_) => self.len == 128,
        }
    }

    /// Whether `ip` has this prefix. An IPv4-mapped IPv6 address has no IPv4 prefix.
    #[must_use]
    pub const fn contains(&self, ip: IpAddr) -> bool {
        match (self.first, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                (first.to_bits() ^ ip.to_bits()) & mask(self.len as u32 + 96) as u32 == 0
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => (first.to_bits() ^ ip.to_bits()) & mask(self.len as u32) == 0,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// A number whose first `len` bits are 1; `len` is at most 128.
const fn mask(len: u32) -> u128 {
    match u128::MAX.checked_shl(128 - len) {
        Some(mask) => mask,
        None => 0,
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.len)
    }
}

/// The reason why a text is not a prefix. Columns count characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrError {
    /// The text before the slash is not an address.
    #[error("column 1: expected an IPv4 or IPv6 address, such as 10.0.0.0/8 or 2001:db8::/32")]
    Address,
    /// The text after the slash is not a prefix length in decimal digits, or the length is too large.
    #[error("column {column}: expected a prefix length from 0 to {longest}")]
    Length {
        /// The column of the first character after the slash.
        column: usize,
        /// The largest length of this address family.
        longest: u8,
    },
    /// Bits after the prefix are not zero.
    #[error("bits after the prefix are set: expected {prefix} or {host}")]
    HostBits {
        /// The prefix with these bits set to zero.
        prefix: Cidr,
        /// The prefix that is the address alone.
        host: Cidr,
    },
    /// The prefix has IPv4-mapped IPv6 addresses.
    #[error("an IPv4-mapped prefix: expected its IPv4 prefix {ipv4}")]
    Mapped {
        /// The same prefix for IPv4.
        ipv4: Cidr,
    },
    /// The prefix cannot be the prefix of a NAT64.
    #[error("{prefix} is no NAT64 prefix: expected an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits")]
    Nat64 {
        /// The prefix.
        prefix: Cidr,
    },
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let ip: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        let host = Self { first: ip, len: longest };
        let wrong_length = CidrError::Length { column: address.len() + 2, longest };
        let len = length.map_or(Ok(longest), |length| parse_length(length).ok_or(wrong_length))?;
        let prefix = Self::new(ip, len).ok_or(wrong_length)?;
        if prefix.first != ip {
            return Err(CidrError::HostBits { prefix, host });
        }
        if let IpAddr::V6(ip) = ip
            && let (Some(ipv4), Some(len)) = (ip.to_ipv4_mapped(), len.checked_sub(96))
        {
            return Err(CidrError::Mapped { ipv4: Self::v4(ipv4, len) });
        }
        Ok(prefix)
    }
}

/// A number of one to three digits without a sign and without a zero before it.
fn parse_length(text: &str) -> Option<u8> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_decimal.then(|| text.parse().ok()).flatten()
}
