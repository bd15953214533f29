//! Groups of media sections (RFC 5888, RFC 9143), and the streams that sections belong to (RFC 8830).
//!
//! ```
//! use portolan_sdp::Value;
//! use portolan_sdp::attribute::{Group, Msid, MsidSemantic};
//!
//! let group = Group::parse(b"BUNDLE audio video")?;
//! assert!(group.is_bundle());
//! assert_eq!(group.mids().collect::<Vec<_>>(), ["audio", "video"]);
//! assert_eq!(Msid::parse(b"stream track")?.track, Some("track"));
//! assert_eq!(MsidSemantic::parse(b" WMS *")?.ids().next(), Some("*"));
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, fail, finish, items, list, space, token, whole_but_spaces};
use crate::value::{AttributeValue, Value};
use core::fmt;

/// `a=group`: media sections that belong together (RFC 5888 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group<'a> {
    /// The semantics: `BUNDLE` (RFC 9143), `LS` and `FID` (RFC 5888), or another.
    pub semantics: &'a str,
    /// The `mid`s of the sections as text, separated by single spaces; may be empty. See [`Group::mids`].
    pub mid_list: &'a str,
}

impl<'a> Group<'a> {
    /// Returns the `mid`s of the sections, in order.
    pub fn mids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        items(self.mid_list)
    }

    /// Returns whether the sections share one transport (RFC 9143 §5).
    #[must_use]
    pub fn is_bundle(&self) -> bool {
        self.semantics == "BUNDLE"
    }
}

impl<'a> Value<'a> for Group<'a> {
    const CLAUSE: Citation = Citation::new("RFC 5888", "5");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole_but_spaces(value, Self::CLAUSE, |input| {
            let (rest, semantics) = token(input, "the kind of a group such as BUNDLE")?;
            let (rest, mid_list) =
                optional(rest, |rest| list(rest, |item| token(item, "the name of a media section")))?;
            Ok((rest, Self { semantics, mid_list: mid_list.unwrap_or_default() }))
        })
    }
}

/// Parses the optional text after a space.
fn optional<'a, T>(input: &'a [u8], parser: impl FnOnce(&'a [u8]) -> Parsed<'a, T>) -> Parsed<'a, Option<T>> {
    match input {
        [b' ', rest @ ..] => parser(rest).map(|(rest, found)| (rest, Some(found))),
        _ => Ok((input, None)),
    }
}

impl<'a> AttributeValue<'a> for Group<'a> {
    const NAME: &'static str = "group";
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.semantics)?;
        self.mids().try_for_each(|mid| write!(f, " {mid}"))
    }
}

/// `a=msid`: the media stream and the track of a section (RFC 8830 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Msid<'a> {
    /// The stream, 1 to 64 token characters; `-` for none.
    pub id: &'a str,
    /// The track (`appdata`), 1 to 64 token characters, if given.
    pub track: Option<&'a str>,
}

impl<'a> Msid<'a> {
    /// Returns the stream; `None` for a track without a stream.
    #[must_use]
    pub fn stream(&self) -> Option<&'a str> {
        if self.id == "-" { None } else { Some(self.id) }
    }
}

impl<'a> Value<'a> for Msid<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8830", "2");

    #[inline(always)]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        finish(value, Self::CLAUSE, Self::read(value))
    }
}

impl<'a> Msid<'a> {
    #[inline(always)]
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, id) = msid_token(input)?;
        let (rest, track) = optional(rest, msid_token)?;
        Ok((rest, Self { id, track }))
    }
}

fn msid_token(input: &[u8]) -> Parsed<'_, &str> {
    const EXPECTED: &str = "an identifier of 1 to 64 token characters";
    match token(input, EXPECTED)? {
        (_, text) if text.len() > 64 => fail(input.get(64..).unwrap_or_default(), EXPECTED),
        found => Ok(found),
    }
}

impl<'a> AttributeValue<'a> for Msid<'a> {
    const NAME: &'static str = "msid";
}

impl fmt::Display for Msid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)?;
        self.track.iter().try_for_each(|track| write!(f, " {track}"))
    }
}

/// `a=msid-semantic`: the meaning of `msid` in a session. Drafts of RFC 8830 define it. Every browser still writes it,
/// most of them with a space in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MsidSemantic<'a> {
    /// `WMS`, the streams of WebRTC.
    pub semantic: &'a str,
    /// The streams as text, separated by single spaces; `*` for all, empty for none. See [`MsidSemantic::ids`].
    pub id_list: &'a str,
}

impl<'a> MsidSemantic<'a> {
    /// Returns the streams in order.
    pub fn ids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        items(self.id_list)
    }
}

impl<'a> Value<'a> for MsidSemantic<'a> {
    const CLAUSE: Citation = Citation::new("draft-ietf-mmusic-msid", "");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole_but_spaces(value, Self::CLAUSE, |input| {
            let mut rest = input;
            while let Ok((after, ())) = space(rest) {
                rest = after;
            }
            let (rest, semantic) = token(rest, "WMS")?;
            let (rest, id_list) = optional(rest, |rest| list(rest, |item| token(item, "the name of a stream")))?;
            Ok((rest, Self { semantic, id_list: id_list.unwrap_or_default() }))
        })
    }
}

impl<'a> AttributeValue<'a> for MsidSemantic<'a> {
    const NAME: &'static str = "msid-semantic";
}

impl fmt::Display for MsidSemantic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.semantic)?;
        self.ids().try_for_each(|id| write!(f, " {id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::refusal;

    #[test]
    fn a_group_is_parsed_or_refused_at_an_offset() {
        assert_eq!(Group::parse(b"LS"), Ok(Group { semantics: "LS", mid_list: "" }));
        assert_eq!(Group::parse(b"LS").map(|group| group.mids().count()), Ok(0));
        assert!(!Group::parse(b"bundle 0").unwrap().is_bundle());
        assert_eq!(refusal::<Group<'_>>(""), (0, "the kind of a group such as BUNDLE"));
        assert_eq!(refusal::<Group<'_>>("BUNDLE 0  1"), (9, "the name of a media section"));
        assert_eq!(refusal::<Group<'_>>("BUNDLE 0,1"), (8, "the end of the value"));
    }

    #[test]
    fn an_msid_has_a_stream_and_an_optional_track() {
        const EXPECTED: &str = "an identifier of 1 to 64 token characters";
        assert_eq!(Msid::parse(b"- track").map(|msid| (msid.stream(), msid.track)), Ok((None, Some("track"))));
        // A space must be followed by a track (RFC 8830 §2).
        assert_eq!(refusal::<Msid<'_>>("{5a99} "), (7, EXPECTED));
        assert_eq!(refusal::<Msid<'_>>("stream track "), (12, "the end of the value"));
        assert_eq!(refusal::<Msid<'_>>(""), (0, EXPECTED));
        assert_eq!(refusal::<Msid<'_>>(" track"), (0, EXPECTED));
        assert_eq!(refusal::<Msid<'_>>("stream track more"), (12, "the end of the value"));
        assert_eq!(refusal::<Msid<'_>>(&"x".repeat(65)), (64, EXPECTED));
    }

    #[test]
    fn msid_semantics_have_a_list_of_streams() {
        for (value, ids) in [("WMS", 0), (" WMS ", 0), ("  WMS a b", 2), ("WMS *", 1)] {
            assert_eq!(
                MsidSemantic::parse(value.as_bytes()).map(|semantic| semantic.ids().count()),
                Ok(ids),
                "{value}"
            );
        }
        assert_eq!(refusal::<MsidSemantic<'_>>("  "), (2, "WMS"));
        assert_eq!(refusal::<MsidSemantic<'_>>("WMS a  b"), (6, "the name of a stream"));
    }
}
