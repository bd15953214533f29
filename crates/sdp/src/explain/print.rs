//! Prints an item for a terminal.
//!
//! Rules of this file: one line stays one line, and no control character of a peer reaches the terminal.

use super::{Item, LineValue, Meaning};
use core::fmt::{self, Write as _};

/// The maximum number of bytes of a line that are shown; an ellipsis follows.
const SHOWN: usize = 160;

/// Writes `  12  a=mid:0`, below it the meaning with its section, and an error below a caret.
impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.line.text();
        writeln!(f, "{:4}  {}", self.line.index() + 1, Text(text))?;
        if let Err(error) = self.value {
            // An error after the shown part is given by its column, without a caret.
            if let Some(before) = text.get(..error.column - 1).filter(|before| before.len() < SHOWN) {
                let mut width = Width(0);
                write!(width, "{}", Text(before))?;
                // The number of the line has at least four columns, and two spaces follow.
                let margin = (self.line.index() + 1).ilog10().max(3) as usize + 3;
                writeln!(f, "{:1$}^", "", margin + width.0)?;
            }
        }
        write!(f, "      {} ({})", self.meaning(), self.clause())
    }
}

impl fmt::Display for Meaning<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Plain(f), "{}", Words(self.0))
    }
}

/// The text before it passes [`Plain`].
struct Words<'i, 's>(&'i Item<'s>);

impl fmt::Display for Words<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = self.0;
        match item.value {
            Err(error) => {
                let found = crate::error::Found(error.error.found);
                write!(f, "cannot be read at column {}: expected {}, found {found}", error.column, error.error.expected)
            }
            Ok(LineValue::Attribute(attribute)) => super::attribute::words(&attribute, item.codec, f),
            Ok(value) => super::line::words(item, &value, f),
        }
    }
}

/// Replaces each character that a terminal would interpret by a dot.
pub(crate) struct Plain<'f, 'b>(pub(crate) &'f mut fmt::Formatter<'b>);

impl fmt::Write for Plain<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.split_inclusive(|c| !is_plain(c)).try_for_each(|part| match part.strip_suffix(|c| !is_plain(c)) {
            Some(before) => {
                self.0.write_str(before)?;
                self.0.write_char('\u{b7}')
            }
            None => self.0.write_str(part),
        })
    }
}

/// Text of a peer. Each control character and each byte sequence that is not UTF-8 becomes one character. After
/// [`SHOWN`] bytes an ellipsis follows.
#[derive(Clone, Copy)]
pub(crate) struct Text<'s>(pub(crate) &'s [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN).unwrap_or(self.0);
        for chunk in shown.utf8_chunks() {
            for c in chunk.valid().chars() {
                f.write_char(if is_plain(c) { c } else { '\u{b7}' })?;
            }
            if !chunk.invalid().is_empty() {
                f.write_char('\u{fffd}')?;
            }
        }
        if self.0.len() > SHOWN { f.write_char('…') } else { Ok(()) }
    }
}

/// Returns whether a character is neither a control character nor one that changes the text direction (Unicode TR 36
/// §2.3).
fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Counts characters.
struct Width(usize);

impl fmt::Write for Width {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.chars().count();
        Ok(())
    }
}

/// `1 layer`, `2 layers`.
pub(super) struct Count(pub(super) usize, pub(super) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

/// A list with a maximum number of entries, then the number of the rest: `a, b and 7 more`.
pub(super) fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
    const MOST: usize = 24;
    let mut more = 0;
    for (index, item) in items.enumerate() {
        match index {
            0 => write!(f, "{item}")?,
            1..MOST => write!(f, ", {item}")?,
            _ => more += 1,
        }
    }
    if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
}

/// A rate in hertz: `48 kHz`, `22.05 kHz`, `50 Hz`.
pub(super) struct Hertz(pub(super) u32);

impl fmt::Display for Hertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kilo, rest) = (self.0 / 1000, self.0 % 1000);
        match (kilo, rest) {
            (0, _) => write!(f, "{rest} Hz"),
            (_, 0) => write!(f, "{kilo} kHz"),
            (_, _) if rest.is_multiple_of(100) => write!(f, "{kilo}.{} kHz", rest / 100),
            (_, _) if rest.is_multiple_of(10) => write!(f, "{kilo}.{:02} kHz", rest / 10),
            (_, _) => write!(f, "{kilo}.{rest:03} kHz"),
        }
    }
}
