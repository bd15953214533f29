//! Attributes of single RTP sources (RFC 5576).
//!
//! ```
//! use portolan_sdp::Value;
//! use portolan_sdp::attribute::{Ssrc, SsrcGroup};
//!
//! let ssrc = Ssrc::parse(b"2655508255 cname:{735484ea}")?;
//! assert_eq!((ssrc.id, ssrc.name, ssrc.value), (2655508255, Some("cname"), Some(&b"{735484ea}"[..])));
//! let group = SsrcGroup::parse(b"FID 3156517279 2673335628")?;
//! assert_eq!(group.ids().collect::<Vec<_>>(), [3156517279, 2673335628]);
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

use crate::error::{Citation, ValueError};
use crate::grammar::{
    Parsed, but_spaces, bytes, finish, items, known, list, space, token, whole_but_spaces, zero_or_positive,
};
use crate::line::Lossy;
use crate::value::{AttributeValue, Value};
use core::fmt;

/// `a=ssrc`: an attribute of one source (RFC 5576 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ssrc<'a> {
    /// The SSRC.
    pub id: u32,
    /// The name of the attribute, such as `cname`. `None` if the line has only the source, as some endpoints write.
    pub name: Option<&'a str>,
    /// Its value.
    pub value: Option<&'a [u8]>,
}

impl<'a> Value<'a> for Ssrc<'a> {
    const CLAUSE: Citation = Citation::new("RFC 5576", "4.1");

    #[inline(always)]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        finish(value, Self::CLAUSE, Self::read(value))
    }
}

impl<'a> Ssrc<'a> {
    #[inline(always)]
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, id) = zero_or_positive(input, "a source, 0 to 4294967295")?;
        if but_spaces(rest).is_empty() {
            return Ok((&[], Self { id, name: None, value: None }));
        }
        let (rest, ()) = space(rest)?;
        let (rest, name) = match name(rest) {
            Some(found) => found,
            None => token(rest, "an attribute such as cname")?,
        };
        let (rest, value) = match rest {
            [b':', rest @ ..] => bytes(rest, "the value of the attribute").map(|(rest, value)| (rest, Some(value)))?,
            _ => (but_spaces(rest), None),
        };
        Ok((rest, Self { id, name: Some(name), value }))
    }
}

/// The attributes that browsers write.
#[inline(always)]
fn name(input: &[u8]) -> Option<(&[u8], &'static str)> {
    known!(input, b':',
        b"cname" => "cname",
        b"msid" => "msid",
    )
}

impl<'a> AttributeValue<'a> for Ssrc<'a> {
    const NAME: &'static str = "ssrc";
}

/// Bytes that are not UTF-8 are replaced by U+FFFD.
impl fmt::Display for Ssrc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        self.name.iter().try_for_each(|name| write!(f, " {name}"))?;
        self.value.iter().try_for_each(|value| write!(f, ":{}", Lossy(value)))
    }
}

/// `a=ssrc-group`: sources that belong together (RFC 5576 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SsrcGroup<'a> {
    /// The semantics: `FID` (a source and its retransmission), `FEC-FR`, `SIM`, or another.
    pub semantics: &'a str,
    /// The sources as text, separated by single spaces; may be empty. See [`SsrcGroup::ids`].
    pub id_list: &'a str,
}

impl<'a> SsrcGroup<'a> {
    /// Returns the sources in order.
    pub fn ids(&self) -> impl Iterator<Item = u32> + use<'a> {
        items(self.id_list).filter_map(|id| id.parse().ok())
    }
}

impl<'a> Value<'a> for SsrcGroup<'a> {
    const CLAUSE: Citation = Citation::new("RFC 5576", "4.2");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole_but_spaces(value, Self::CLAUSE, |input| {
            let (rest, semantics) = token(input, "the kind of a group such as FID")?;
            let (rest, id_list) = match rest {
                [b' ', rest @ ..] => list(rest, |item| zero_or_positive(item, "a source, 0 to 4294967295"))?,
                _ => (rest, ""),
            };
            Ok((rest, Self { semantics, id_list }))
        })
    }
}

impl<'a> AttributeValue<'a> for SsrcGroup<'a> {
    const NAME: &'static str = "ssrc-group";
}

impl fmt::Display for SsrcGroup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.semantics)?;
        items(self.id_list).try_for_each(|id| write!(f, " {id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::refusal;

    #[test]
    fn a_source_is_parsed_or_refused_at_an_offset() {
        assert_eq!(Ssrc::parse(b"4294967295"), Ok(Ssrc { id: u32::MAX, name: None, value: None }));
        assert_eq!(Ssrc::parse(b"1 foo"), Ok(Ssrc { id: 1, name: Some("foo"), value: None }));
        assert_eq!(Ssrc::parse(b"1 msid:a b").map(|ssrc| ssrc.value), Ok(Some(&b"a b"[..])));
        for (value, at, expected) in [
            ("", 0, "a source, 0 to 4294967295"),
            ("4294967296 cname:x", 0, "a source, 0 to 4294967295"),
            ("1.5 cname:x", 1, "a space"),
            ("1 :x", 2, "an attribute such as cname"),
            ("1 cname:", 8, "the value of the attribute"),
            ("1 a b", 3, "the end of the value"),
        ] {
            assert_eq!(refusal::<Ssrc<'_>>(value), (at, expected), "{value}");
        }
    }

    #[test]
    fn a_group_of_sources_is_parsed_or_refused_at_an_offset() {
        assert_eq!(SsrcGroup::parse(b"FID").map(|group| group.ids().count()), Ok(0));
        assert_eq!(refusal::<SsrcGroup<'_>>(""), (0, "the kind of a group such as FID"));
        assert_eq!(refusal::<SsrcGroup<'_>>("FID 1  2"), (6, "a source, 0 to 4294967295"));
        assert_eq!(refusal::<SsrcGroup<'_>>("FID 1 x"), (6, "a source, 0 to 4294967295"));
    }
}
