//! The address to which media is sent (RFC 8866 §5.7).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, fail, number_u8, positive, tag, whole};
use crate::value::{Address, Value};
use core::fmt;

/// `c=`: the address to which media is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection<'a> {
    /// The network type, `IN` for the Internet.
    pub network: &'a str,
    /// The address type, `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address; the first one if there are several.
    pub address: Address<'a>,
    /// The TTL of packets to an IPv4 multicast address, 0 to 255; required for such an address.
    pub ttl: Option<u8>,
    /// The number of consecutive multicast addresses, including the first; `None`: one.
    pub count: Option<u32>,
}

impl<'a> Value<'a> for Connection<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.7");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, (network, address_type, address)) = Address::with_types(input)?;
            let (rest, ttl, count) = match address {
                Address::Ip4(ip) if ip.is_multicast() => {
                    let (rest, ()) = tag(rest, b"/", "/ and a time to live: the address is multicast")?;
                    let (rest, ttl) = ttl(rest)?;
                    let (rest, count) = addresses(rest)?;
                    (rest, Some(ttl), count)
                }
                Address::Ip6(ip) if ip.is_multicast() => {
                    let (rest, count) = addresses(rest)?;
                    (rest, None, count)
                }
                Address::Ip4(_) | Address::Ip6(_) | Address::Name(_) | Address::Other(_) => (rest, None, None),
            };
            Ok((rest, Self { network, address_type, address, ttl, count }))
        })
    }
}

/// A number without leading zeros (RFC 8866 §9, `ttl`).
fn ttl(input: &[u8]) -> Parsed<'_, u8> {
    const EXPECTED: &str = "a time to live, 0 to 255";
    match number_u8(input, EXPECTED)? {
        (rest, _) if input.starts_with(b"0") && input.len() - rest.len() > 1 => fail(input, EXPECTED),
        found => Ok(found),
    }
}

/// An optional `/` and the number of addresses.
fn addresses(input: &[u8]) -> Parsed<'_, Option<u32>> {
    let Some(rest) = input.strip_prefix(b"/") else { return Ok((input, None)) };
    positive(rest, "a number of addresses, 1 or more").map(|(rest, count)| (rest, Some(count)))
}

impl fmt::Display for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, address_type, address, ttl, count } = self;
        write!(f, "{network} {address_type} {address}")?;
        ttl.iter().try_for_each(|ttl| write!(f, "/{ttl}"))?;
        count.iter().try_for_each(|count| write!(f, "/{count}"))
    }
}
