//! The ICE attributes other than candidates (RFC 8839 §5.2–5.6).
//!
//! ```
//! use portolan_sdp::Value;
//! use portolan_sdp::attribute::{IceOptions, RemoteCandidates};
//!
//! assert!(IceOptions::parse(b"trickle ice2")?.has("ice2"));
//! let remote = RemoteCandidates::parse(b"1 192.0.2.3 45664 2 192.0.2.3 45665")?;
//! assert_eq!(remote.iter().map(|candidate| candidate.port).collect::<Vec<_>>(), [45664, 45665]);
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

use crate::candidate::{ConnectionAddress, address, component, is_ice};
use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, ascii, fail, items, list, number, number_u16, space, token, whole, whole_but_spaces};
use crate::value::{AttributeValue, Value};
use core::fmt;

/// `a=ice-ufrag`: the user name fragment of ICE: 4 to 256 letters, digits, `+` or `/`. A writer uses at most 32
/// (RFC 8839 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IceUfrag<'a>(pub &'a str);

/// `a=ice-pwd`: the password of ICE: 22 to 256 letters, digits, `+` or `/`. Shorter ones are rejected: they have less
/// than the 128 bits that RFC 8839 §5.4 requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IcePwd<'a>(pub &'a str);

impl<'a> Value<'a> for IceUfrag<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8839", "5.4");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| ice_chars(input, 4, "4 to 256 letters, digits, + or /")).map(Self)
    }
}

impl<'a> Value<'a> for IcePwd<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8839", "5.4");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| ice_chars(input, 22, "22 to 256 letters, digits, + or /")).map(Self)
    }
}

/// From `least` to 256 characters. Four characters outside the grammar are accepted, because deployed endpoints write
/// them and browsers accept them.
fn ice_chars<'a>(input: &'a [u8], least: usize, expected: &'static str) -> Parsed<'a, &'a str> {
    let accepts = |byte: u8| is_ice(byte) || matches!(byte, b'-' | b'=' | b'#' | b'_');
    match ascii(input, accepts, expected)? {
        (rest @ [_, ..], _) => fail(rest, expected),
        (rest, text) if text.len() < least => fail(rest, expected),
        (_, text) if text.len() > 256 => fail(input.get(256..).unwrap_or_default(), expected),
        found => Ok(found),
    }
}

/// `a=ice-options`: the ICE extensions that an endpoint supports (RFC 8839 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IceOptions<'a> {
    /// The options as text, separated by single spaces; see [`IceOptions::iter`].
    pub list: &'a str,
}

impl<'a> IceOptions<'a> {
    /// Returns the options in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        items(self.list)
    }

    /// Returns whether an option is listed, such as `trickle`, `ice2` or `renomination`.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.iter().any(|known| known == option)
    }
}

impl<'a> Value<'a> for IceOptions<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8839", "5.6");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        // A token, where the RFC allows `ice-char` only: older endpoints write `google-ice`.
        whole_but_spaces(value, Self::CLAUSE, |input| list(input, |item| token(item, "an option such as trickle")))
            .map(|list| Self { list })
    }
}

/// `a=ice-pacing`: the interval that an endpoint requests between two checks, in milliseconds; 50 by default (RFC
/// 8839 §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IcePacing(pub u64);

impl<'a> Value<'a> for IcePacing {
    const CLAUSE: Citation = Citation::new("RFC 8839", "5.5");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        const EXPECTED: &str = "milliseconds, at most ten digits";
        whole(value, Self::CLAUSE, |input| match number(input, 9_999_999_999, EXPECTED)? {
            (rest, _) if input.len() - rest.len() > 10 => fail(input, EXPECTED),
            found => Ok(found),
        })
        .map(Self)
    }
}

/// `a=remote-candidates`: the peer's candidates that the offerer has selected, one for each component (RFC 8839 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemoteCandidates<'a> {
    text: &'a str,
}

/// One entry of [`RemoteCandidates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemoteCandidate<'a> {
    /// The component, 1 to 256.
    pub component: u16,
    /// The address.
    pub address: ConnectionAddress<&'a str>,
    /// The port.
    pub port: u16,
}

impl<'a> RemoteCandidates<'a> {
    /// Returns the entries in order.
    pub fn iter(&self) -> impl Iterator<Item = RemoteCandidate<'a>> + use<'a> {
        let mut rest = self.text.as_bytes();
        core::iter::from_fn(move || {
            let (after, found) = remote_candidate(rest).ok()?;
            rest = after.get(1..).unwrap_or_default();
            Some(found)
        })
    }
}

impl<'a> Value<'a> for RemoteCandidates<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8839", "5.2");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| list(input, remote_candidate)).map(|text| Self { text })
    }
}

fn remote_candidate(input: &[u8]) -> Parsed<'_, RemoteCandidate<'_>> {
    let (rest, component) = match component(input)? {
        (_, 0) => return fail(input, "a component, 1 to 256"),
        found => found,
    };
    let (rest, ()) = space(rest)?;
    let (rest, address) = address(rest, false)?;
    let (rest, ()) = space(rest)?;
    let (rest, port) = number_u16(rest, "a port, 0 to 65535")?;
    Ok((rest, RemoteCandidate { component, address, port }))
}

impl<'a> AttributeValue<'a> for IceUfrag<'a> {
    const NAME: &'static str = "ice-ufrag";
}

impl<'a> AttributeValue<'a> for IcePwd<'a> {
    const NAME: &'static str = "ice-pwd";
}

impl<'a> AttributeValue<'a> for IceOptions<'a> {
    const NAME: &'static str = "ice-options";
}

impl<'a> AttributeValue<'a> for IcePacing {
    const NAME: &'static str = "ice-pacing";
}

impl<'a> AttributeValue<'a> for RemoteCandidates<'a> {
    const NAME: &'static str = "remote-candidates";
}

impl fmt::Display for IceUfrag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for IcePwd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for IceOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.list)
    }
}

impl fmt::Display for IcePacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for RemoteCandidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Display for RemoteCandidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.component, self.address, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::refusal;

    #[test]
    fn the_length_of_credentials_is_checked() {
        const UFRAG: &str = "4 to 256 letters, digits, + or /";
        const PWD: &str = "22 to 256 letters, digits, + or /";
        assert_eq!(IceUfrag::parse(b"8hhY"), Ok(IceUfrag("8hhY")));
        assert_eq!(IcePwd::parse(b"asd88fgpdd777uzjYhagZg"), Ok(IcePwd("asd88fgpdd777uzjYhagZg")));
        let long = "x".repeat(257);
        assert!(IceUfrag::parse(&long.as_bytes()[..256]).is_ok());
        assert_eq!(refusal::<IceUfrag<'_>>(&long), (256, UFRAG));
        assert_eq!(refusal::<IceUfrag<'_>>("8hh"), (3, UFRAG));
        assert_eq!(refusal::<IceUfrag<'_>>("8h:hY"), (2, UFRAG));
        assert_eq!(refusal::<IcePwd<'_>>("asd88fgpdd777uzjYhagZ"), (21, PWD));
        assert_eq!(refusal::<IcePwd<'_>>("asd88fgpdd777 uzjYhagZg"), (13, PWD));
        assert_eq!(refusal::<IcePwd<'_>>(""), (0, PWD));
    }

    #[test]
    fn credentials_of_old_endpoints_are_accepted() {
        assert_eq!(IceUfrag::parse(b"a_b-c=d#"), Ok(IceUfrag("a_b-c=d#")));
    }

    #[test]
    fn ice_options_are_parsed_or_refused_at_an_offset() {
        let options = IceOptions::parse(b"trickle ice2 google-ice ").unwrap();
        assert_eq!(options.iter().collect::<alloc::vec::Vec<_>>(), ["trickle", "ice2", "google-ice"]);
        assert!(options.has("ice2") && !options.has("ice"));
        assert_eq!(refusal::<IceOptions<'_>>(""), (0, "an option such as trickle"));
        assert_eq!(refusal::<IceOptions<'_>>("trickle  ice2"), (8, "an option such as trickle"));
    }

    #[test]
    fn pacing_has_at_most_ten_digits() {
        assert_eq!(IcePacing::parse(b"9999999999"), Ok(IcePacing(9_999_999_999)));
        for (value, at) in [("10000000000", 0), ("00000000050", 0), ("", 0), ("x", 0)] {
            assert_eq!(refusal::<IcePacing>(value), (at, "milliseconds, at most ten digits"), "{value}");
        }
        assert_eq!(refusal::<IcePacing>("50 100"), (2, "the end of the value"));
    }

    #[test]
    fn remote_candidates_are_parsed_or_refused_at_an_offset() {
        let remote = RemoteCandidates::parse(b"1 192.0.2.3 45664 256 peer.local 9").unwrap();
        let last = remote.iter().last().unwrap();
        assert_eq!(last, RemoteCandidate { component: 256, address: ConnectionAddress::Name("peer.local"), port: 9 });
        for (value, at, expected) in [
            ("", 0, "a component, 1 to 256"),
            ("0 192.0.2.3 1", 0, "a component, 1 to 256"),
            ("257 192.0.2.3 1", 0, "a component, 1 to 256"),
            ("1 192.0.2.3", 11, "a space"),
            ("1 192.0.2.300 1", 2, "an IP address or a domain name"),
            ("1 192.0.2.3 65536", 12, "a port, 0 to 65535"),
            ("1 192.0.2.3 1 2", 15, "a space"),
        ] {
            assert_eq!(refusal::<RemoteCandidates<'_>>(value), (at, expected), "{value}");
        }
    }
}
