//! A description in base64 (RFC 4648), or in percent-encoding (RFC 3986 §2.1), perhaps in the form of a web form.
//!
//! Each part of the text is decoded once. The decoded part is searched like any other text, so that it can be JSON. The
//! depth of this search has a bound. Both alphabets of base64 are read, with padding and without, also in several lines.

use super::{Candidates, Extracted, Step, WrappingError, extract_inside, is_typed, lines::Lines, string, version};

/// The reason why base64 cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("{0:?} is no character of base64")]
    Character(char),
    #[error("the last group of four characters has only one, so the text is cut off or has lost characters")]
    Group,
    #[error("the number of = does not fit the length, so the text has lost characters")]
    Padding,
}

/// Text with fewer characters is not taken for base64. A description is longer.
const SHORTEST: usize = 16;

/// The longest line of base64 that another line may continue.
const LONGEST_LINE: usize = 256;

/// Returns the description in the encoded parts of a text. `depth` is the number of encodings that may follow.
pub(super) fn find(text: &[u8], lines: &Lines<'_>, depth: u32) -> Result<Option<Extracted>, WrappingError> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(None) };
    let (mut found, mut damaged) = (Candidates::default(), None);
    let mut add = |at: usize, step: Step, decoded: Vec<u8>| -> Result<bool, WrappingError> {
        let inside = extract_inside(decoded, depth).map_err(|why| WrappingError::Decoded { step, why: why.into() })?;
        let Some(mut inside) = inside else { return Ok(false) };
        inside.steps.insert(0, step);
        found.add(lines.position(at), inside);
        Ok(true)
    };
    let mut from = 0;
    while let Some(words) = next_word(text, from, is_never_percent) {
        from = words.end;
        for (at, decoded) in percent_decoded(text.get(words.clone()).unwrap_or_default()) {
            add(words.start + at, Step::Percent, decoded)?;
        }
    }
    from = 0;
    while let Some(word) = next_word(text, from, |byte| digit(byte).is_none()) {
        from = word.end;
        if word.len() < SHORTEST {
            continue;
        }
        let run = Run::at(text, word.start);
        from = from.max(run.end);
        let is_meant = run.decoded.starts_with(b"{") || version(&run.decoded).is_some();
        match run.damage {
            Some((at, why)) if is_meant => {
                damaged.get_or_insert(WrappingError::Base64 { at: lines.position(at), why });
            }
            Some(_) => {}
            None => {
                add(word.start, Step::Base64, run.decoded)?;
            }
        }
    }
    match (found.finish()?, damaged) {
        (None, Some(why)) => Err(why),
        (found, _) => Ok(found),
    }
}

/// Returns the next longest part of the text without a separator.
fn next_word(text: &[u8], from: usize, is_between: impl Fn(u8) -> bool) -> Option<core::ops::Range<usize>> {
    let rest = text.get(from..)?;
    let start = from + rest.iter().position(|byte| !is_between(*byte))?;
    let length = text.get(start..)?.iter().position(|byte| is_between(*byte)).unwrap_or(text.len() - start);
    Some(start..start + length)
}

/// Whether a byte is before or after percent-encoded text.
const fn is_between(byte: u8) -> bool {
    byte.is_ascii_whitespace() || string::is_quote(byte) || matches!(byte, b'<' | b'>')
}

/// Whether percent-encoding in each of its forms encodes a byte. JavaScript keeps the single quote.
const fn is_never_percent(byte: u8) -> bool {
    is_between(byte) && byte != b'\''
}

/// Returns the percent-encoded parts of a word, decoded, each with its offset. Of `a=1&sdp=v%3D0%0D%0A` the key and the
/// other parts are left out.
fn percent_decoded(word: &[u8]) -> Vec<(usize, Vec<u8>)> {
    if !word.contains(&b'%') {
        return vec![];
    }
    // `encodeURI` of JavaScript keeps `=`, `&` and `+`.
    let literal = (0..word.len()).find(|at| {
        let rest = word.get(*at..).unwrap_or_default();
        rest.starts_with(b"v=") && version(rest).and_then(|length| rest.get(length..)).is_some_and(starts_with_line_end)
    });
    if let Some(at) = literal {
        return vec![(at, percent(unquoted(word, at), false))];
    }
    let (mut parts, mut at) = (vec![], 0);
    for part in word.split(|byte| matches!(byte, b'&' | b'?' | b'#')) {
        if let Some(first) = part.iter().position(|byte| *byte == b'%') {
            let head = part.get(..first).unwrap_or_default();
            let is_kept = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
            let key = head.iter().rposition(|byte| !is_kept(byte)).map_or(0, |last| last + 1);
            let value = unquoted(part, key);
            // A web form writes a space as `+`. A description has spaces, so another encoding of them shows that `+` is
            // a plus sign.
            let has_spaces =
                value.windows(3).any(|three| three == b"%20") || value.windows(5).any(|five| five == b"%2520");
            parts.push((at + key, percent(value, !has_spaces)));
        }
        at += part.len() + 1;
    }
    parts
}

/// Returns the text from an offset, without the single quote around it.
fn unquoted(text: &[u8], from: usize) -> &[u8] {
    let rest = text.get(from..).unwrap_or_default();
    let is_quoted = from.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'\'');
    let end = rest.iter().rposition(|byte| *byte == b'\'').filter(|_| is_quoted);
    rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
}

/// Whether the text begins with a percent-encoded CR or LF.
pub(super) fn starts_with_line_end(text: &[u8]) -> bool {
    text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"%0d") || start.eq_ignore_ascii_case(b"%0a"))
}

/// Replaces each `%` with two hexadecimal digits by its byte. What follows the last line is left out, unless it has the
/// form of a line.
fn percent(text: &[u8], is_form: bool) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let decoded = if first == b'%' { string::digits(after, 2) } else { None };
        match decoded {
            Some((byte, after)) => {
                out.extend(u8::try_from(byte));
                rest = after;
            }
            None => out.push(if first == b'+' && is_form { b' ' } else { first }),
        }
    }
    if let Some(last) = out.iter().rposition(|byte| matches!(byte, b'\r' | b'\n'))
        && version(&out).is_some()
        && !out.get(last + 1..).is_some_and(is_typed)
    {
        out.truncate(last + 1);
    }
    out
}

/// Returns the value of a character of base64, of one of its two alphabets (RFC 4648 §4 and §5).
const fn digit(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value as u32)
}

/// Base64 in a text.
struct Run {
    /// The bytes before the damage.
    decoded: Vec<u8>,
    end: usize,
    /// The first damage, with its offset in the text.
    damage: Option<(usize, Damage)>,
}

impl Run {
    /// Decodes the base64 that begins at this offset.
    fn at(text: &[u8], start: usize) -> Self {
        let (mut decoded, mut group, mut count) = (vec![], 0_u32, 0_usize);
        let (mut at, mut line, mut longest) = (start, start, LONGEST_LINE);
        loop {
            if let Some(value) = text.get(at).and_then(|byte| digit(*byte)) {
                (group, count, at) = (group << 6 | value, count + 1, at + 1);
                if count % 4 == 0 {
                    decoded.extend(group.to_be_bytes().into_iter().skip(1));
                    group = 0;
                }
            } else if let Some(next) = next_line(text, at, (at - line).min(longest)).filter(|_| at - line <= longest) {
                longest = longest.min(at - line);
                (at, line) = (next, next);
            } else {
                break;
            }
        }
        let padding = text.get(at..).unwrap_or_default().iter().take_while(|byte| **byte == b'=').count();
        let left = count % 4;
        decoded.extend((group << (6 * (4 - left))).to_be_bytes().into_iter().skip(1).take(left.saturating_sub(1)));
        let end = at + padding;
        let damage = if let Some(found) = foreign(text.get(end..).unwrap_or_default()) {
            Some((end, Damage::Character(found)))
        } else if left == 1 {
            Some((at, Damage::Group))
        } else if padding > 0 && padding != (4 - left) % 4 {
            Some((at, Damage::Padding))
        } else {
            None
        };
        Self { decoded, end, damage }
    }
}

/// Returns the start of the next line, if it may continue a line of base64 of this length: it is a single word that is
/// not longer. Indentation and quotation marks of mail are skipped.
fn next_line(text: &[u8], at: usize, length: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let after = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"))?;
    let skipped = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'>')).count();
    let line = after.get(skipped..)?;
    // A longer line is not searched for its end.
    let word = line.iter().take(length + 3).position(u8::is_ascii_whitespace);
    let word = word.or_else(|| (line.len() <= length + 2).then_some(line.len())).filter(|word| *word <= length)?;
    let ends = line.get(word..).unwrap_or_default().first().is_none_or(|byte| matches!(byte, b'\r' | b'\n'));
    (length >= SHORTEST && word > 0 && ends).then_some(text.len() - line.len())
}

/// Returns the character after base64, if it is damage. White space, quotes and punctuation are none.
fn foreign(after: &[u8]) -> Option<char> {
    let first = *after.first()?;
    let is_end = is_between(first)
        || b",;:)]}&#?|\\".contains(&first)
        || first == b'.' && after.get(1).is_none_or(u8::is_ascii_whitespace);
    if is_end {
        return None;
    }
    String::from_utf8_lossy(after.get(..after.len().min(4)).unwrap_or_default()).chars().next()
}
