//! The addresses in lines and attributes (RFC 8866 §9, `unicast-address`).

use crate::grammar::{Parsed, ascii, ipv4, ipv6, refuse, space, token, visible};
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

/// An address of `o=` or `c=` (RFC 8866 §9): an IP address or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address<'a> {
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// A domain name; only its characters are checked.
    Name(&'a str),
    /// An address of another type (`extn-addr`), as bytes.
    Other(&'a [u8]),
}

impl<'a> Address<'a> {
    /// Parses `IN IP4 192.0.2.1`: network type, address type and address. The network type `IN` has two address types
    /// (RFC 8866 §8.2.7); other network types define their own.
    pub(crate) fn with_types(input: &'a [u8]) -> Parsed<'a, (&'a str, &'a str, Self)> {
        const KIND: &str = "an address type, IP4 or IP6";
        let (rest, network) = network(input)?;
        let (kind_at, ()) = space(rest)?;
        let (rest, kind) = token(kind_at, KIND)?;
        let is_known = matches!(kind, "IP4" | "IP6");
        // `ip4` is not an unknown type, but `IP4` in the wrong letter case.
        let is_meant = network == "IN" || kind.eq_ignore_ascii_case("IP4") || kind.eq_ignore_ascii_case("IP6");
        if is_meant && !is_known {
            return refuse(kind_at, KIND);
        }
        let (rest, ()) = space(rest)?;
        let (rest, address) = Self::of_type(kind, rest)?;
        Ok((rest, (network, kind, address)))
    }

    pub(crate) fn of_type(kind: &str, input: &'a [u8]) -> Parsed<'a, Self> {
        match kind {
            "IP4" => match ipv4(input, "an IPv4 address") {
                Ok((rest, address)) if !rest.first().is_some_and(|byte| is_name(*byte)) => {
                    Ok((rest, Self::Ip4(address)))
                }
                // 192.0.2.1.example.org is a name.
                _ => Self::name(input, "an IPv4 address or a domain name"),
            },
            "IP6" => match ipv6(input, "an IPv6 address") {
                Ok((rest, address)) => Ok((rest, Self::Ip6(address))),
                Err(_) => Self::name(input, "an IPv6 address or a domain name"),
            },
            _ => visible(input, "an address").map(|(rest, address)| (rest, Self::Other(address))),
        }
    }

    /// An address of either type, or a name.
    pub(crate) fn of_any_type(input: &'a [u8]) -> Parsed<'a, Self> {
        match ipv6(input, "an IPv6 address") {
            Ok((rest, address)) if !rest.first().is_some_and(|byte| is_name(*byte)) => Ok((rest, Self::Ip6(address))),
            _ => Self::of_type("IP4", input),
        }
    }

    /// A name that does not look like an invalid IPv4 address.
    pub(crate) fn name(input: &'a [u8], expected: &'static str) -> Parsed<'a, Self> {
        let (rest, name) = ascii(input, is_name, expected)?;
        if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return refuse(input, expected);
        }
        Ok((rest, Self::Name(name)))
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip4(address) => write!(f, "{address}"),
            Self::Ip6(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
            Self::Other(bytes) => write!(f, "{}", crate::line::Lossy(bytes)),
        }
    }
}

/// A network type. Unknown ones may be registered (RFC 8866 §8.2.6) and are kept as text. `IN` in another letter case
/// is rejected, because values are case-sensitive (RFC 8866 §5).
pub(crate) fn network(input: &[u8]) -> Parsed<'_, &str> {
    match token(input, "a network type such as IN")? {
        (_, network) if network != "IN" && network.eq_ignore_ascii_case("IN") => refuse(input, "IN in capitals"),
        found => Ok(found),
    }
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::value::tests::refused;
    use crate::value::{Connection, Origin};

    #[test]
    fn a_domain_name_can_begin_like_an_address() {
        let address = |text: &'static str| Connection::parse(text.as_bytes()).unwrap().address;
        assert_eq!(address("IN IP4 192.0.2.1"), Address::Ip4([192, 0, 2, 1].into()));
        assert_eq!(address("IN IP4 192.0.2.1.example.org"), Address::Name("192.0.2.1.example.org"));
        assert_eq!(address("IN IP6 beef.example.org"), Address::Name("beef.example.org"));
        assert_eq!(address("IN IP6 2001:db8::1"), Address::Ip6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()));
        assert_eq!(address("ATM NSAP 47.0091"), Address::Other(b"47.0091"));
    }

    #[test]
    fn an_invalid_address_is_not_parsed_as_a_domain_name() {
        for bad in [&b"IN IP4 192.0.2.256"[..], b"IN IP4 192.0.2", b"IN IP4 1.2.3.4.5", b"IN IP4 01.2.3.4", b"IN IP4 "]
        {
            refused::<Connection<'_>>(bad, 7, "an IPv4 address or a domain name");
        }
        refused::<Connection<'_>>(b"IN IP6 2001:db8", 7, "an IPv6 address or a domain name");
        refused::<Connection<'_>>(b"IN IP5 192.0.2.1", 3, "an address type, IP4 or IP6");
        refused::<Connection<'_>>(b"IN IP4 224.2.1.1", 16, "/ and a time to live: the address is multicast");
        refused::<Connection<'_>>(b"IN IP4 224.2.1.1/127/0", 21, "a number of addresses, 1 or more");
        refused::<Origin<'_>>(b"- 1 -1 IN IP4 192.0.2.1", 4, "a session version in digits");
    }
}
