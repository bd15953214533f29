//! Where the media goes (RFC 8866 §5.7).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, fail, number_u8, positive, tag, whole};
use crate::value::{Address, Value};
use core::fmt;

/// `c=`: where the media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection<'a> {
    /// The network type, `IN` for the Internet.
    pub network: &'a str,
    /// The type of the address, `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address, the first of them where there are several.
    pub address: Address<'a>,
    /// How far packets to an IPv4 multicast address go, 0 to 255; such an address must have it.
    pub ttl: Option<u8>,
    /// How many multicast addresses there are, this one included; none: one.
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

/// RFC 8866 §9, `ttl`: no zero before other digits.
fn ttl(input: &[u8]) -> Parsed<'_, u8> {
    const EXPECTED: &str = "a time to live, 0 to 255";
    match number_u8(input, EXPECTED)? {
        (rest, _) if input.starts_with(b"0") && input.len() - rest.len() > 1 => fail(input, EXPECTED),
        found => Ok(found),
    }
}

/// `/` and how many addresses, where there is one.
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
