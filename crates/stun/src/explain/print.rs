//! Formats a line of an explanation as text and as a JSON object.
//!
//! Rules of this file: each line is printed as one line, because control characters are escaped. Nothing is
//! allocated; all output is written to a `fmt::Write`.

use core::fmt::{self, Write as _};

use super::{Item, Line, Part, Remark};
use crate::is_stun;

/// The number of bytes that a line of text shows before an ellipsis.
const SHOWN: usize = 16;

/// Prints `  20  00200008 0001a147 …  XOR-MAPPED-ADDRESS: 192.0.2.1:32853 (RFC 8489 §14.2)`, `!` and the remark.
impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(f, self.at, self.bytes)?;
        write!(f, "  {}: {}", Name(&self.item), Meaning(&self.item))?;
        if let Some(clause) = self.item.clause() {
            write!(f, " ({clause})")?;
        }
        match self.remark {
            Some(remark) => write!(f, "  ! {remark}"),
            None => Ok(()),
        }
    }
}

/// Prints `  26  a147` and spaces up to the name, `  X-Port: 0xa147 XOR 0x2112 = 32853`.
impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(f, self.at, self.bytes)?;
        write!(f, "    {}: {}", self.name, self.meaning())
    }
}

/// Writes the offset and the first bytes, in columns.
fn write_bytes(f: &mut fmt::Formatter<'_>, at: usize, bytes: &[u8]) -> fmt::Result {
    write!(f, "{at:4}  ")?;
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let mut width = 0;
    for (index, word) in shown.chunks(4).enumerate() {
        if index > 0 {
            f.write_char(' ')?;
            width += 1;
        }
        word.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        width += word.len() * 2;
    }
    if bytes.len() > SHOWN {
        f.write_char('…')?;
        width += 1;
    }
    write!(f, "{:1$}", "", 36_usize.saturating_sub(width))
}

impl<'a> Line<'a> {
    /// Returns the line as one JSON object with `at`, `bytes` (hexadecimal), `name` and `meaning`. `rfc` and `remark`
    /// are optional.
    #[must_use]
    pub const fn json(&self) -> Json<'_, 'a> {
        Json(self)
    }
}

/// Prints a line as a JSON object; returned by [`Line::json`].
#[derive(Clone, Copy, Debug)]
pub struct Json<'l, 'a>(&'l Line<'a>);

impl fmt::Display for Json<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0;
        write!(f, r#"{{"at":{},"bytes":""#, line.at)?;
        line.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, r#"","name":{},"meaning":{}"#, Quoted(Name(&line.item)), Quoted(Meaning(&line.item)))?;
        if let Some(clause) = line.item.clause() {
            write!(f, r#","rfc":{}"#, Quoted(clause))?;
        }
        if let Some(remark) = line.remark {
            write!(f, r#","remark":{}"#, Quoted(remark))?;
        }
        f.write_char('}')
    }
}

/// Prints the name of an item.
struct Name<'l, 'a>(&'l Item<'a>);

impl fmt::Display for Name<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Item::MessageType { .. } => f.write_str("message type"),
            Item::Length(_) => f.write_str("message length"),
            Item::Cookie(_) => f.write_str("magic cookie"),
            Item::TransactionId(_) => f.write_str("transaction ID"),
            Item::Attribute { kind, .. } => write!(f, "{kind}"),
            Item::ChannelNumber(_) => f.write_str("channel number"),
            Item::DataLength(_) => f.write_str("data length"),
            Item::ApplicationData(_) => f.write_str("application data"),
            Item::Padding => f.write_str("padding"),
            Item::Behind => f.write_str("after the data"),
            Item::Truncated(_) => f.write_str("truncated"),
            Item::Other(Some(protocol)) => write!(f, "{protocol}"),
            Item::Other(None) => f.write_str("unknown"),
            Item::Empty => f.write_str("empty"),
        }
    }
}

/// Prints the meaning of an item.
struct Meaning<'l, 'a>(&'l Item<'a>);

impl fmt::Display for Meaning<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Item::MessageType { class, method } => write!(f, "{method} {class}"),
            Item::Length(length) => write!(f, "{length} bytes after the header"),
            Item::Cookie(crate::MAGIC_COOKIE) => f.write_str("this is STUN"),
            Item::Cookie(_) => f.write_str("not the cookie"),
            Item::TransactionId(id) => write!(f, "{id}"),
            Item::Attribute { value: Some(value), .. } => write!(f, "{value}"),
            Item::Attribute { value: None, .. } => f.write_str("malformed"),
            Item::ChannelNumber(number) => write!(f, "{number:#06x}"),
            Item::DataLength(length) => write!(f, "{length} bytes after the head"),
            Item::ApplicationData(data) if is_stun(data) => write!(f, "{} bytes, a STUN message", data.len()),
            Item::ApplicationData(data) => write!(f, "{} bytes", data.len()),
            Item::Padding => f.write_str("up to a multiple of four bytes"),
            Item::Behind => f.write_str("more bytes than the length field states"),
            Item::Truncated(_) => f.write_str("the packet ends here"),
            Item::Other(Some(_)) => f.write_str("identified by its first bytes, not decoded"),
            Item::Other(None) => f.write_str("no protocol has this first byte"),
            Item::Empty => f.write_str("the packet has no bytes"),
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(error) => write!(f, "{error}"),
            Self::WrongChannelData(error) => write!(f, "{error}"),
            Self::AfterIntegrity => f.write_str("after the message integrity: ignored (RFC 8489 §14.5)"),
            Self::AfterFingerprint => {
                f.write_str("after FINGERPRINT, which must be the last: ignored (RFC 8489 §14.7)")
            }
            Self::Repeated => f.write_str("repeated: only the first one is used (RFC 8489 §14)"),
            Self::MustBeUnderstood => {
                f.write_str("unknown and comprehension-required: the response is 420 (RFC 8489 §6.3.1)")
            }
            Self::PaddingNotZero => f.write_str("padding is not zero: ignored (RFC 8489 §14)"),
            Self::AfterData => f.write_str("longer than padding: ignored (RFC 8656 §12.5)"),
        }
    }
}

/// A JSON string (RFC 8259 §7).
struct Quoted<T>(T);

impl<T: fmt::Display> fmt::Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaped(f), "{}", self.0)?;
        f.write_char('"')
    }
}

/// Escapes the characters that a JSON string cannot contain.
struct Escaped<'f, 'g>(&'f mut fmt::Formatter<'g>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| match character {
            '"' => self.0.write_str("\\\""),
            '\\' => self.0.write_str("\\\\"),
            '\u{0}'..='\u{1f}' => write!(self.0, "\\u{:04x}", u32::from(character)),
            other => self.0.write_char(other),
        })
    }
}
