//! The forms of a value that are accepted, although the grammar does not allow them.
//!
//! Rules of this file: a deviation is found in a value that was parsed, so that parsing spends no time on it.
//!
//! ```
//! use portolan_sdp::Session;
//! use portolan_sdp::attribute::Deviation;
//!
//! let session = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=fmtp:111\r\n")?;
//! let line = session.line(4).ok_or("five lines")?;
//! let (deviation, error) = line.deviations().next().ok_or("one deviation")?;
//! assert_eq!(deviation, Deviation::NoParameters);
//! assert_eq!(error.to_string(), "line 5, column 11: expected a space and parameters, found the end (RFC 8866 §6.15)");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use super::Attribute;
use crate::candidate;
use crate::error::{Citation, TypedError, ValueError};
use crate::line::{Kind, Line};
use alloc::string::ToString;
use alloc::vec::Vec;

/// A form that is accepted, although the grammar of the value does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deviation {
    /// Spaces follow the value.
    TrailingSpace,
    /// `a=ice-ufrag`, `a=ice-pwd` or `a=ice-options` has a character other than letters, digits, `+` and `/`.
    IceCharacter,
    /// `a=fingerprint` has lower-case digits.
    LowerCaseDigest,
    /// `a=fmtp` has a format and no parameters.
    NoParameters,
    /// `a=ssrc` has a source and no attribute.
    NoSourceAttribute,
    /// `a=rid` has a space after `;` or `,`.
    RidSpace,
    /// `a=simulcast` begins with a space.
    SimulcastSpace,
    /// `a=simulcast` has `rid=` before the names, as in a draft.
    SimulcastPrefix,
    /// A number has leading zeros, or zeros at the end of its fraction.
    NumberForm,
    /// `a=source-filter` has no space before the mode.
    FilterSpace,
    /// A number in `a=imageattr` is not 0.1 to 9.9999, with a decimal point.
    ImageNumber,
    /// `a=ts-refclk` has a domain without `domain-nmbr=` or `domain-name=`.
    DomainPrefix,
    /// The rate in `a=mediaclk` is one number.
    SingleRate,
    /// `a=range` has a space.
    RangeSpace,
    /// `e=NONE` has no address.
    NoEmailAddress,
    /// A candidate deviates from RFC 8839 or RFC 6544.
    Candidate(candidate::Deviation),
}

impl Deviation {
    /// Returns the section that has the grammar, and the text that it requires.
    const fn requirement(self) -> (Citation, &'static str) {
        let (document, section, expected) = match self {
            Self::TrailingSpace => ("RFC 8866", "9", "the end of the value"),
            Self::IceCharacter => ("RFC 8839", "5.4", "letters, digits, + or /"),
            Self::LowerCaseDigest => ("RFC 8122", "5", "digits and the capitals A to F"),
            Self::NoParameters => ("RFC 8866", "6.15", "a space and parameters"),
            Self::NoSourceAttribute => ("RFC 5576", "4.1", "a space and an attribute of the source"),
            Self::RidSpace => ("RFC 8851", "10", "no space"),
            Self::SimulcastSpace => ("RFC 8853", "5.1", "send or recv without a space before it"),
            Self::SimulcastPrefix => ("RFC 8853", "5.1", "the name of an encoding without rid= before it"),
            Self::NumberForm => ("RFC 8866", "9", "a number without needless zeros"),
            Self::FilterSpace => ("RFC 4570", "3", "a space before incl or excl"),
            Self::ImageNumber => ("RFC 6236", "3.1.1", "a number from 0.1 to 9.9999, with a decimal point"),
            Self::DomainPrefix => ("RFC 7273", "4.8", "domain-nmbr= or domain-name="),
            Self::SingleRate => ("RFC 7273", "5.4", "a slash and a second integer"),
            Self::RangeSpace => ("RFC 7826", "4.4", "no space"),
            Self::NoEmailAddress => ("RFC 8866", "5.6", "an address with @"),
            Self::Candidate(deviation) => return (deviation.clause(), deviation.expected()),
        };
        (Citation::new(document, section), expected)
    }
}

impl<'s> Line<'s> {
    /// Returns the forms of the line that are accepted although the grammar does not allow them, each with its place.
    /// A line that cannot be parsed has none.
    pub fn deviations(&self) -> impl Iterator<Item = (Deviation, TypedError)> + use<'s> {
        let value = self.attribute().map_or(self.value(), |(_, value)| value.unwrap_or_default());
        let before = self.text().len() - value.len();
        let line = self.index() + 1;
        find(self, value).into_iter().map(move |(deviation, at)| {
            let (clause, expected) = deviation.requirement();
            let error = ValueError::new(value, at, expected, clause);
            (deviation, TypedError { line, column: before + at + 1, error })
        })
    }
}

/// Returns the deviations of a line with their offsets in its value.
fn find(line: &Line<'_>, value: &[u8]) -> Vec<(Deviation, usize)> {
    if line.kind() == Kind::Email && value == b"NONE" {
        return [(Deviation::NoEmailAddress, 0)].into();
    }
    let Some(Ok(attribute)) = line.typed() else { return Vec::new() };
    if let Attribute::Candidate(candidate) = attribute {
        return candidate.deviations().map(|found| (Deviation::Candidate(found), found.place(value))).collect();
    }
    let mut found: Vec<(Deviation, usize)> = of(&attribute, value).into_iter().collect();
    // A value that may hold any byte keeps its spaces.
    let end = value.trim_ascii_end().len();
    let is_reported = matches!(attribute, Attribute::Fmtp(_));
    if value.ends_with(b" ") && !is_reported && !attribute.to_string().ends_with(' ') {
        found.push((Deviation::TrailingSpace, end));
    }
    found
}

/// Returns the deviation of an attribute other than a candidate.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parsers of the other attributes follow their grammars")]
fn of(attribute: &Attribute<'_>, value: &[u8]) -> Option<(Deviation, usize)> {
    let position = |is_odd: fn(&u8) -> bool| value.trim_ascii_end().iter().position(is_odd);
    let (deviation, place) = match attribute {
        Attribute::IceUfrag(_) | Attribute::IcePwd(_) => (Deviation::IceCharacter, position(is_no_ice_character)),
        Attribute::IceOptions(_) => {
            (Deviation::IceCharacter, position(|byte| *byte != b' ' && is_no_ice_character(byte)))
        }
        Attribute::Fingerprint(_) => {
            let digest = after(value, b" ")?;
            let place = value.get(digest..)?.iter().position(u8::is_ascii_lowercase);
            (Deviation::LowerCaseDigest, place.map(|place| digest + place))
        }
        Attribute::Fmtp(fmtp) => (Deviation::NoParameters, fmtp.text.is_empty().then_some(value.len())),
        Attribute::Ssrc(ssrc) => (Deviation::NoSourceAttribute, ssrc.name.is_none().then_some(value.len())),
        Attribute::Rid(_) => (Deviation::RidSpace, after(value, b"; ").or_else(|| after(value, b", "))),
        Attribute::Simulcast(_) if value.starts_with(b" ") => (Deviation::SimulcastSpace, Some(0)),
        Attribute::Simulcast(_) => (Deviation::SimulcastPrefix, after(value, b"rid=").map(|end| end - b"rid=".len())),
        Attribute::PTime(_) | Attribute::MaxPTime(_) | Attribute::FrameRate(_) => {
            (Deviation::NumberForm, needless_zero(value))
        }
        Attribute::SourceFilter(_) => (Deviation::FilterSpace, (!value.starts_with(b" ")).then_some(0)),
        Attribute::ImageAttr(_) => (Deviation::ImageNumber, image_number(value)),
        Attribute::TsRefClk(_) => (Deviation::DomainPrefix, domain(value)),
        Attribute::MediaClk(_) => (Deviation::SingleRate, single_rate(value)),
        Attribute::Range(_) => (Deviation::RangeSpace, position(|byte| *byte == b' ')),
        _ => return None,
    };
    place.map(|place| (deviation, place))
}

const fn is_no_ice_character(byte: &u8) -> bool {
    !byte.is_ascii_alphanumeric() && !matches!(*byte, b'+' | b'/')
}

/// Returns the offset after the first occurrence of a text.
fn after(value: &[u8], text: &[u8]) -> Option<usize> {
    value.windows(text.len()).position(|window| window == text).map(|at| at + text.len())
}

/// Returns the offset of a leading zero, or of the zeros at the end of a fraction (RFC 8866 §9,
/// `non-zero-int-or-real`).
fn needless_zero(value: &[u8]) -> Option<usize> {
    let point = value.iter().position(|byte| *byte == b'.').unwrap_or(value.len());
    if value.starts_with(b"0") && point > 1 {
        return Some(0);
    }
    let end = value.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
    (point < value.len() && end < value.len() || end == point + 1).then_some(end)
}

/// Returns the offset of the first ratio in another form than RFC 6236 §3.1.1 `spvalue`.
fn image_number(value: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut is_ratio = false;
    let is_delimiter = |byte: &u8| matches!(byte, b'[' | b']' | b',' | b'-' | b'=' | b' ');
    for word in value.split_inclusive(is_delimiter) {
        let number =
            word.strip_suffix(word.last().filter(|last| is_delimiter(last)).map_or(&b""[..], core::slice::from_ref));
        let number = number.unwrap_or(word);
        if word.ends_with(b"=") {
            is_ratio = matches!(number, b"sar" | b"par");
        } else if is_ratio && number.first().is_some_and(u8::is_ascii_digit) && !is_ratio_value(number) {
            return Some(at);
        }
        at += word.len();
    }
    None
}

fn is_ratio_value(number: &[u8]) -> bool {
    match number {
        [b'0', b'.', b'1'..=b'9', rest @ ..] => rest.len() <= 3,
        [b'1'..=b'9', b'.', rest @ ..] => (1..=4).contains(&rest.len()),
        _ => false,
    }
}

/// Returns the offset of the domain of a PTP clock without its prefix.
fn domain(value: &[u8]) -> Option<usize> {
    let clock = value.strip_prefix(b"ptp=")?;
    let domain = clock.splitn(3, |byte| *byte == b':').nth(2)?;
    let is_named = domain.starts_with(b"domain-name=") || domain.starts_with(b"domain-nmbr=");
    (!is_named).then(|| value.len() - domain.len())
}

/// Returns the offset after a rate that is one number.
fn single_rate(value: &[u8]) -> Option<usize> {
    let start = after(value, b" rate=")?;
    let rate = value.get(start..)?;
    let length = rate.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rate.len());
    (rate.get(length) != Some(&b'/')).then_some(start + length)
}
