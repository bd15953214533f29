//! The image sizes that an endpoint sends and prefers to receive (RFC 6236 §3.1).
//!
//! Rules of this file: the whole value is checked once; sizes and ratios are parsed on demand. Parameters that the RFC
//! does not define are kept as text.

use crate::error::{Citation, ValueError};
use crate::grammar;
use crate::grammar::{Parsed, blanks, fail, items_of, number_u32, refuse, separated, tag, taken, whole};
use crate::value::{AttributeValue, Value};
use crate::work::look;
use core::fmt;

/// `a=imageattr`: the images of a payload type, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageAttr<'a> {
    /// The payload type, 0 to 127; `None`: `*`, all payload types of the media description.
    pub payload_type: Option<u8>,
    /// The images that the endpoint sends. At least one of the two directions is present.
    pub send: Option<ImageList<'a>>,
    /// The images that the endpoint receives.
    pub recv: Option<ImageList<'a>>,
}

/// A list of image sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageList<'a> {
    /// `*`: no restriction.
    Any,
    /// These sets, at least one.
    Sets(ImageSets<'a>),
}

/// Image sets. They are already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageSets<'a>(&'a str);

/// An image set: `[x=800,y=640,sar=1.1,q=0.6]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageSet<'a> {
    /// The widths in pixels.
    pub x: Sizes<'a>,
    /// The heights in pixels.
    pub y: Sizes<'a>,
    /// The sample aspect ratio (width to height of a pixel); 1.0 by default.
    pub sar: Option<Ratios<'a>>,
    /// The lowest and the highest ratio of the width to the height of the image.
    pub par: Option<(Ratio, Ratio)>,
    /// The preference in hundredths, 0 to 100; 50 by default.
    pub q: Option<u8>,
    parameters: &'a str,
}

/// Sizes in pixels, each 1 to 999,999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sizes<'a> {
    /// One size.
    One(u32),
    /// A range of sizes.
    Between {
        /// The smallest size.
        low: u32,
        /// The step; 1 by default.
        step: Option<u32>,
        /// The largest size.
        high: u32,
    },
    /// A list of sizes.
    Among(SizeList<'a>),
}

/// A list of sizes. It is already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SizeList<'a>(&'a str);

/// Ratios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ratios<'a> {
    /// One ratio.
    One(Ratio),
    /// A range of ratios; the second one is larger.
    Between(Ratio, Ratio),
    /// A list of ratios, in increasing order.
    Among(RatioList<'a>),
}

/// A list of ratios. It is already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RatioList<'a>(&'a str);

/// A ratio in ten-thousandths: 1.2 is 12,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(pub u32);

impl<'a> ImageSets<'a> {
    /// Returns the sets, in the written order.
    pub fn iter(&self) -> impl Iterator<Item = ImageSet<'a>> + use<'a> {
        let mut rest = self.0.as_bytes();
        core::iter::from_fn(move || {
            let (after, set) = ImageSet::read(rest).ok()?;
            rest = blanks(after).map_or(&[][..], |(rest, ())| rest);
            Some(set)
        })
    }
}

impl<'a> ImageSet<'a> {
    /// Returns all parameters after `x` and `y` as text, including those that the RFC defines.
    #[must_use]
    pub const fn parameters(&self) -> &'a str {
        self.parameters
    }
}

impl Sizes<'_> {
    /// Returns whether the sizes contain a size.
    #[must_use]
    pub fn contains(&self, size: u32) -> bool {
        match self {
            Self::One(one) => *one == size,
            Self::Between { low, step, high } => {
                (*low..=*high).contains(&size) && (size - low).checked_rem(step.unwrap_or(1)) == Some(0)
            }
            Self::Among(list) => list.iter().any(|one| one == size),
        }
    }
}

impl<'a> SizeList<'a> {
    /// Returns the sizes, in the written order; at least two.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        items_of(self.0, b',', size)
    }
}

impl<'a> RatioList<'a> {
    /// Returns the ratios, in the written order; at least two.
    pub fn iter(&self) -> impl Iterator<Item = Ratio> + use<'a> {
        items_of(self.0, b',', Ratio::read)
    }
}

impl<'a> Value<'a> for ImageAttr<'a> {
    const CLAUSE: Citation = Citation::new("RFC 6236", "3.1.1");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (mut rest, payload_type) = payload_type(input)?;
            let mut read = Self { payload_type, send: None, recv: None };
            loop {
                let (at, ()) = blanks(rest)?;
                let (slot, after) = match at {
                    [b's', b'e', b'n', b'd', after @ ..] => (&mut read.send, after),
                    [b'r', b'e', b'c', b'v', after @ ..] => (&mut read.recv, after),
                    _ => return fail(at, "send or recv"),
                };
                if slot.is_some() {
                    return refuse(at, "send and recv once each");
                }
                let (after, ()) = blanks(after)?;
                let (after, images) = ImageList::read(after)?;
                (rest, *slot) = (after, Some(images));
                if rest.is_empty() {
                    return Ok((rest, read));
                }
            }
        })
    }
}

impl<'a> AttributeValue<'a> for ImageAttr<'a> {
    const NAME: &'static str = "imageattr";
}

/// An RTP payload type, or `*`.
fn payload_type(input: &[u8]) -> Parsed<'_, Option<u8>> {
    const EXPECTED: &str = "a payload type, 0 to 127, or *";
    if let Some(rest) = input.strip_prefix(b"*") {
        return Ok((rest, None));
    }
    match grammar::payload_type(input) {
        Ok((rest, payload_type)) => Ok((rest, Some(payload_type))),
        Err(_) => fail(input, EXPECTED),
    }
}

impl<'a> ImageList<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        if let Some(rest) = input.strip_prefix(b"*") {
            return Ok((rest, Self::Any));
        }
        let (mut rest, _) = ImageSet::read(input)?;
        // Another set or the other direction follows.
        while let Ok((next @ [b'[', ..], ())) = blanks(rest) {
            (rest, _) = ImageSet::read(next)?;
        }
        let (rest, text) = taken(input, rest)?;
        Ok((rest, Self::Sets(ImageSets(text))))
    }
}

impl<'a> ImageSet<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, ()) = tag(input, b"[", "* or a set in brackets")?;
        let (rest, ()) = tag(rest, b"x=", "x=")?;
        let (rest, x) = Sizes::read(rest)?;
        let (rest, ()) = tag(rest, b",y=", ",y=")?;
        let (parameters, y) = Sizes::read(rest)?;
        let mut set = Self { x, y, sar: None, par: None, q: None, parameters: "" };
        let mut rest = parameters;
        while let Some(after) = rest.strip_prefix(b",") {
            rest = set.parameter(after)?.0;
        }
        let (end, ()) = tag(rest, b"]", "a comma or a closing bracket")?;
        (_, set.parameters) = taken(parameters.strip_prefix(b",").unwrap_or(parameters), rest)?;
        Ok((end, set))
    }

    fn parameter(&mut self, input: &'a [u8]) -> Parsed<'a, ()> {
        const TWICE: &str = "a parameter that the set does not have yet";
        let is_again = if let Some(rest) = input.strip_prefix(b"sar=") {
            let (rest, ratios) = Ratios::read(rest)?;
            (rest, self.sar.replace(ratios).is_some())
        } else if let Some(rest) = input.strip_prefix(b"par=") {
            let (rest, ratios) = between(rest)?;
            (rest, self.par.replace(ratios).is_some())
        } else if let Some(rest) = input.strip_prefix(b"q=") {
            let (rest, preference) = preference(rest)?;
            (rest, self.q.replace(preference).is_some())
        } else {
            (extension(input)?.0, false)
        };
        match is_again {
            (_, true) => refuse(input, TWICE),
            (rest, false) => Ok((rest, ())),
        }
    }
}

/// A parameter that the RFC does not define: a name, `=`, and a value up to the next comma or bracket. A value in
/// brackets may contain commas.
fn extension(input: &[u8]) -> Parsed<'_, ()> {
    const EXPECTED: &str = "a parameter such as q=0.5";
    let length = input.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-').unwrap_or(input.len());
    look(length + 1);
    let Some((name, [b'=', value @ ..])) = input.split_at_checked(length) else { return fail(input, EXPECTED) };
    let is_value = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'[' | b']');
    let take = |value: &[u8], is_end: fn(u8) -> bool| {
        let length = value.iter().position(|byte| !is_value(*byte) || is_end(*byte)).unwrap_or(value.len());
        look(length + 1);
        length
    };
    let rest = match value {
        [b'[', inner @ ..] => {
            let after = inner.get(take(inner, |_| false)..).unwrap_or_default();
            tag(after, b"]", "a closing bracket")?.0
        }
        _ => value.get(take(value, |byte| byte == b',')..).unwrap_or_default(),
    };
    if name.is_empty() || rest.len() == value.len() { fail(input, EXPECTED) } else { Ok((rest, ())) }
}

/// A size in pixels (`xyvalue`).
fn size(input: &[u8]) -> Parsed<'_, u32> {
    const EXPECTED: &str = "a size in pixels, 1 to 999999";
    match number_u32(input, EXPECTED)? {
        (rest, size @ 1..=999_999) if !input.starts_with(b"0") => Ok((rest, size)),
        _ => fail(input, EXPECTED),
    }
}

impl<'a> Sizes<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let Some(inner) = input.strip_prefix(b"[") else {
            return size(input).map(|(rest, size)| (rest, Self::One(size)));
        };
        let (after, first) = size(inner)?;
        let (rest, found) = match after {
            [b':', second @ ..] => Self::between(first, second)?,
            [b',', ..] => separated(inner, b',', size).map(|(rest, text)| (rest, Self::Among(SizeList(text))))?,
            _ => return fail(after, "a colon or a comma"),
        };
        tag(rest, b"]", "a closing bracket").map(|(rest, ())| (rest, found))
    }

    fn between(low: u32, input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, second) = size(input)?;
        let (high_at, rest, step, high) = match rest.strip_prefix(b":") {
            Some(third) => {
                let (rest, high) = size(third)?;
                (third, rest, Some(second), high)
            }
            None => (input, rest, None, second),
        };
        if high <= low {
            refuse(high_at, "a size above the first")
        } else {
            Ok((rest, Self::Between { low, step, high }))
        }
    }
}

impl Ratio {
    /// RFC 6236 has 0.1 to 9.9999, always with a point. Endpoints also send integers and larger numbers.
    fn read(input: &[u8]) -> Parsed<'_, Self> {
        const EXPECTED: &str = "a ratio such as 1.1, at most 9999.9999";
        let (rest, whole) = number_u32(input, EXPECTED)?;
        let Some(point) = rest.strip_prefix(b".") else { return Self::of(whole, 0, input, rest) };
        let digits = point.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (rest, fraction) = match digits {
            1..=4 => number_u32(point, EXPECTED)?,
            _ => return fail(point, "one to four digits after the point"),
        };
        let scale = [1_000, 100, 10, 1].get(digits - 1).copied().unwrap_or(1);
        Self::of(whole, fraction * scale, input, rest)
    }

    fn of<'a>(whole: u32, fraction: u32, input: &'a [u8], rest: &'a [u8]) -> Parsed<'a, Self> {
        match whole {
            0..=9_999 if whole + fraction > 0 => Ok((rest, Self(whole * 10_000 + fraction))),
            _ => fail(input, "a ratio above 0, at most 9999.9999"),
        }
    }
}

impl<'a> Ratios<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let Some(inner) = input.strip_prefix(b"[") else {
            return Ratio::read(input).map(|(rest, ratio)| (rest, Self::One(ratio)));
        };
        let (after, mut before) = Ratio::read(inner)?;
        if after.starts_with(b"-") {
            return between(input).map(|(rest, (low, high))| (rest, Self::Between(low, high)));
        }
        let mut rest = after;
        while let Some(next) = rest.strip_prefix(b",") {
            let ratio;
            (rest, ratio) = Ratio::read(next)?;
            if ratio <= before {
                return refuse(next, "a ratio above the one before");
            }
            before = ratio;
        }
        if rest.len() == after.len() {
            return fail(rest, "a hyphen or a comma");
        }
        let (rest, text) = taken(inner, rest)?;
        tag(rest, b"]", "a closing bracket").map(|(rest, ())| (rest, Self::Among(RatioList(text))))
    }
}

/// `[1.2-1.3]`.
fn between(input: &[u8]) -> Parsed<'_, (Ratio, Ratio)> {
    let (rest, ()) = tag(input, b"[", "an opening bracket")?;
    let (rest, low) = Ratio::read(rest)?;
    let (high_at, ()) = tag(rest, b"-", "a hyphen")?;
    let (rest, high) = Ratio::read(high_at)?;
    let (rest, ()) = tag(rest, b"]", "a closing bracket")?;
    if high <= low { refuse(high_at, "a ratio above the first") } else { Ok((rest, (low, high))) }
}

/// 0.0 to 1.0, with one or two digits after the point, in hundredths.
fn preference(input: &[u8]) -> Parsed<'_, u8> {
    match input {
        [b'1', b'.', b'0', b'0', rest @ ..] | [b'1', b'.', b'0', rest @ ..] => Ok((rest, 100)),
        [b'0', b'.', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
            Ok((rest, (tens - b'0') * 10 + (ones - b'0')))
        }
        [b'0', b'.', tens @ b'0'..=b'9', rest @ ..] => Ok((rest, (tens - b'0') * 10)),
        _ => fail(input, "a preference, 0.0 to 1.0"),
    }
}

impl fmt::Display for ImageAttr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload_type {
            Some(payload_type) => write!(f, "{payload_type}")?,
            None => f.write_str("*")?,
        }
        self.send.iter().try_for_each(|images| write!(f, " send {images}"))?;
        self.recv.iter().try_for_each(|images| write!(f, " recv {images}"))
    }
}

impl fmt::Display for ImageList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "*",
            Self::Sets(ImageSets(sets)) => sets,
        })
    }
}

/// Written with one digit after the point, or as many as the ratio needs.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut fraction, mut digits) = (self.0 / 10_000, self.0 % 10_000, 4);
        while digits > 1 && fraction.is_multiple_of(10) {
            (fraction, digits) = (fraction / 10, digits - 1);
        }
        write!(f, "{whole}.{fraction:0digits$}")
    }
}

#[cfg(test)]
mod tests;
