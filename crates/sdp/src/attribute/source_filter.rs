//! The sources that may or may not send (RFC 4570 §3).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, fail, items_of, refuse, separated, space, token, whole};
use crate::value::{Address, AttributeValue, Value, network};
use core::fmt;

/// `a=source-filter`: packets to an address are accepted only from the listed sources, or from all sources but those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceFilter<'a> {
    /// Whether the sources are included or excluded.
    pub mode: FilterMode,
    /// The network type, `IN` for the Internet.
    pub network: &'a str,
    /// The type of the addresses, `IP4`, `IP6`, or `*` for names of either.
    pub address_type: &'a str,
    /// The destination address; `None`: any address of the session.
    pub destination: Option<Address<'a>>,
    sources: &'a str,
}

/// The mode of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterMode {
    /// `incl`: accepts packets only from these sources.
    Include,
    /// `excl`: accepts packets from all other sources.
    Exclude,
}

impl<'a> SourceFilter<'a> {
    /// Returns the sources; at least one.
    pub fn sources(&self) -> impl Iterator<Item = Address<'a>> + use<'a> {
        let address_type = self.address_type;
        items_of(self.sources, b' ', move |input| address(address_type, input))
    }
}

fn address<'a>(address_type: &str, input: &'a [u8]) -> Parsed<'a, Address<'a>> {
    // With `*` a source may have another address type than the destination (RFC 4570 §3.2.6).
    if address_type == "*" { Address::of_any_type(input) } else { Address::of_type(address_type, input) }
}

fn destination<'a>(address_type: &str, input: &'a [u8]) -> Parsed<'a, Option<Address<'a>>> {
    if let Some(rest @ ([] | [b' ', ..])) = input.strip_prefix(b"*") {
        return Ok((rest, None));
    }
    // An address has a type (RFC 4570 §3.1).
    let found = if address_type == "*" {
        Address::name(input, "a domain name or *")
    } else {
        Address::of_type(address_type, input)
    };
    found.map(|(rest, address)| (rest, Some(address)))
}

impl<'a> Value<'a> for SourceFilter<'a> {
    const CLAUSE: Citation = Citation::new("RFC 4570", "3");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        const TYPE: &str = "an address type, IP4, IP6 or *";
        whole(value, Self::CLAUSE, |input| {
            // The RFC has a space before the mode; some endpoints write none.
            let input = input.strip_prefix(b" ").unwrap_or(input);
            let (rest, mode) = match input {
                [b'i', b'n', b'c', b'l', rest @ ..] => (rest, FilterMode::Include),
                [b'e', b'x', b'c', b'l', rest @ ..] => (rest, FilterMode::Exclude),
                _ => fail(input, "incl or excl")?,
            };
            let (rest, ()) = space(rest)?;
            let (rest, network) = network(rest)?;
            let (type_at, ()) = space(rest)?;
            let (rest, address_type) = token(type_at, TYPE)?;
            let is_known = matches!(address_type, "IP4" | "IP6" | "*");
            let is_meant =
                network == "IN" || ["IP4", "IP6"].iter().any(|known| address_type.eq_ignore_ascii_case(known));
            if is_meant && !is_known {
                return refuse(type_at, TYPE);
            }
            let (rest, ()) = space(rest)?;
            let (rest, destination) = destination(address_type, rest)?;
            let (rest, ()) = space(rest)?;
            let (rest, sources) = separated(rest, b' ', |input| address(address_type, input))?;
            Ok((rest, Self { mode, network, address_type, destination, sources }))
        })
    }
}

impl<'a> AttributeValue<'a> for SourceFilter<'a> {
    const NAME: &'static str = "source-filter";
}

impl fmt::Display for SourceFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            FilterMode::Include => "incl",
            FilterMode::Exclude => "excl",
        };
        write!(f, " {mode} {} {} ", self.network, self.address_type)?;
        match &self.destination {
            Some(destination) => write!(f, "{destination}")?,
            None => f.write_str("*")?,
        }
        write!(f, " {}", self.sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn a_filter_has_a_destination_and_sources() {
        let filter = SourceFilter::parse(b" incl IN IP4 232.3.4.5 192.0.2.10 192.0.2.11").unwrap();
        assert_eq!((filter.mode, filter.network, filter.address_type), (FilterMode::Include, "IN", "IP4"));
        assert_eq!(filter.destination, Some(Address::Ip4([232, 3, 4, 5].into())));
        let sources: Vec<_> = filter.sources().collect();
        assert_eq!(sources, [Address::Ip4([192, 0, 2, 10].into()), Address::Ip4([192, 0, 2, 11].into())]);
        let same = SourceFilter::parse(b"incl IN IP4 232.3.4.5 192.0.2.10 192.0.2.11").unwrap();
        assert_eq!((same, same.to_string().as_bytes()), (filter, &b" incl IN IP4 232.3.4.5 192.0.2.10 192.0.2.11"[..]));
    }

    #[test]
    fn a_filter_accepts_any_destination_and_domain_names() {
        let any = SourceFilter::parse(b" excl IN IP6 * 2001:db8::1").unwrap();
        assert_eq!((any.mode, any.destination), (FilterMode::Exclude, None));
        let names = SourceFilter::parse(b" incl IN * ch.example.com src.example.com 192.0.2.1 2001:db8::1").unwrap();
        assert_eq!(names.destination, Some(Address::Name("ch.example.com")));
        assert_eq!(names.sources().count(), 3);
    }

    #[test]
    fn an_invalid_filter_is_refused_at_its_offset() {
        refused::<SourceFilter<'_>>(b" include IN IP4 * 192.0.2.1", 5, "a space");
        refused::<SourceFilter<'_>>(b" only IN IP4 * 192.0.2.1", 1, "incl or excl");
        refused::<SourceFilter<'_>>(b" incl IN IP5 * 192.0.2.1", 9, "an address type, IP4, IP6 or *");
        refused::<SourceFilter<'_>>(b" incl IN * 192.0.2.1 192.0.2.2", 11, "a domain name or *");
        refused::<SourceFilter<'_>>(b" incl IN IP4 232.0.0.1", 22, "a space");
        refused::<SourceFilter<'_>>(b" incl IN IP4 232.0.0.1/4 192.0.2.1", 22, "a space");
        refused::<SourceFilter<'_>>(b" incl IN IP4 * ", 15, "an IPv4 address or a domain name");
        refused::<SourceFilter<'_>>(b" incl IN IP4 {{ dst_ip }}", 13, "an IPv4 address or a domain name");
    }
}
