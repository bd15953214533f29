//! The contact of a session: an email address or a telephone number, with an optional name (RFC 8866 §5.6).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, fail, tag, whole};
use crate::line::Lossy;
use crate::value::Value;
use crate::work::look;
use core::fmt;
use core::str;

/// `e=`: an email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Email<'a> {
    /// The address (RFC 5322 §3.4.1); `NONE` if a camera says that there is none.
    pub address: &'a str,
    /// The name of the person.
    pub name: Option<DisplayName<'a>>,
}

/// `p=`: a telephone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Phone<'a> {
    /// The number: digits, spaces and hyphens; an international number begins with `+`.
    pub number: &'a str,
    /// The name of the person.
    pub name: Option<DisplayName<'a>>,
}

/// A name and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisplayName<'a> {
    /// Before the address or number: `Jane Doe <…>`.
    Before(&'a [u8]),
    /// After the address or number, in parentheses.
    After(&'a [u8]),
}

impl<'a> Value<'a> for Email<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.6");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            // Not an address by the RFC, but many cameras send it.
            if input == b"NONE" {
                return Ok((&[], Self { address: "NONE", name: None }));
            }
            let (rest, (address, name)) = named(input, 1, address)?;
            Ok((rest, Self { address, name }))
        })
    }
}

impl fmt::Display for Email<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.address, self.name)
    }
}

impl<'a> Value<'a> for Phone<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.6");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, (number, name)) = named(input, 0, number)?;
            Ok((rest, Self { number, name }))
        })
    }
}

impl fmt::Display for Phone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.number, self.name)
    }
}

fn write(f: &mut fmt::Formatter<'_>, contact: &str, name: Option<DisplayName<'_>>) -> fmt::Result {
    match name {
        None => f.write_str(contact),
        Some(DisplayName::Before(name)) => write!(f, "{} <{contact}>", Lossy(name)),
        Some(DisplayName::After(name)) => write!(f, "{contact} ({})", Lossy(name)),
    }
}

/// A contact alone, before a name in parentheses, or in angle brackets after a name.
fn named<'a>(
    input: &'a [u8],
    spaces: usize,
    contact: fn(&'a [u8]) -> Parsed<'a, &'a str>,
) -> Parsed<'a, (&'a str, Option<DisplayName<'a>>)> {
    const CLOSE: &str = "a closing angle bracket";
    match contact(input) {
        Ok(([], found)) => Ok((&[], (found, None))),
        Ok((rest, found)) if follows(rest).is_some_and(|before| before >= spaces) => {
            let open = rest.trim_ascii_start();
            let (rest, name) = safe(open.get(1..).unwrap_or_default())?;
            let (rest, ()) = tag(rest, b")", "a closing parenthesis")?;
            Ok((rest, (found, Some(DisplayName::After(name)))))
        }
        alone => match safe(input) {
            Ok((rest @ [b'<', ..], name)) if !name.trim_ascii().is_empty() => {
                let name = name.trim_ascii_end();
                let (rest, found) = contact(rest.get(1..).unwrap_or_default())?;
                let (rest, ()) = tag(rest, b">", CLOSE)?;
                Ok((rest, (found, Some(DisplayName::Before(name)))))
            }
            _ => alone.map(|(rest, found)| (rest, (found, None))),
        },
    }
}

/// Returns the number of spaces before an opening parenthesis; `None` without a parenthesis.
fn follows(rest: &[u8]) -> Option<usize> {
    let spaces = rest.iter().position(|byte| *byte != b' ')?;
    look(spaces + 1);
    (rest.get(spaces) == Some(&b'(')).then_some(spaces)
}

/// The characters that are allowed in a name (`email-safe`).
fn safe(input: &[u8]) -> Parsed<'_, &[u8]> {
    let is_safe = |byte: u8| !matches!(byte, 0 | b'\n' | b'\r' | b'(' | b')' | b'<' | b'>');
    let length = input.iter().position(|byte| !is_safe(*byte)).unwrap_or(input.len());
    look(length + 1);
    match input.split_at_checked(length) {
        Some((name @ [_, ..], rest)) => Ok((rest, name)),
        _ => fail(input, "a name without brackets"),
    }
}

/// An address without comments and folding (RFC 5322 §3.4.1), with letters of all scripts (RFC 6532 §3.2).
fn address(input: &[u8]) -> Parsed<'_, &str> {
    const EXPECTED: &str = "an email address";
    let rest = match input {
        [b'"', rest @ ..] => quoted(rest, b'"'),
        _ => atoms(input),
    };
    let Some(rest) = rest else { return fail(input, EXPECTED) };
    let (domain, ()) = tag(rest, b"@", "@")?;
    let rest = match domain {
        [b'[', rest @ ..] => quoted(rest, b']'),
        _ => atoms(domain),
    };
    let Some(rest) = rest else { return fail(domain, "a domain") };
    match input.get(..input.len() - rest.len()).map(str::from_utf8) {
        Some(Ok(address)) => Ok((rest, address)),
        _ => fail(input, EXPECTED),
    }
}

/// Returns the text after atoms that are separated by single points; `None` without an atom.
fn atoms(input: &[u8]) -> Option<&[u8]> {
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let mut before = b'.';
    for (at, byte) in input.iter().enumerate() {
        look(1);
        if !(is_atom(*byte) || *byte == b'.' && before != b'.') {
            return if before == b'.' { None } else { input.get(at..) };
        }
        before = *byte;
    }
    (before != b'.').then_some(&[])
}

/// Returns the text after a quoted string, in which a backslash quotes the next byte.
fn quoted(input: &[u8], end: u8) -> Option<&[u8]> {
    let mut rest = input;
    loop {
        look(1);
        match rest {
            [byte, after @ ..] if *byte == end => return Some(after),
            [b'\\', kept, after @ ..] if !kept.is_ascii_control() => rest = after,
            [byte, after @ ..] if !byte.is_ascii_control() && *byte != b'\\' => rest = after,
            _ => return None,
        }
    }
}

/// A telephone number, without trailing spaces.
fn number(input: &[u8]) -> Parsed<'_, &str> {
    const EXPECTED: &str = "a telephone number, such as +1 617 555-6011";
    let digits = input.strip_prefix(b"+").unwrap_or(input);
    let is_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b' ' | b'-');
    let length = digits.iter().position(|byte| !is_number(*byte)).unwrap_or(digits.len());
    look(length + 1);
    let digits = digits.get(..length).unwrap_or_default().trim_ascii_end();
    if !digits.first().is_some_and(u8::is_ascii_digit) || digits.len() < 2 {
        return fail(input, EXPECTED);
    }
    let plus = usize::from(input.starts_with(b"+"));
    match input.split_at_checked(plus + digits.len()) {
        Some((number, rest)) => match str::from_utf8(number) {
            Ok(number) => Ok((rest, number)),
            Err(_) => fail(input, EXPECTED),
        },
        None => fail(input, EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;

    fn email(text: &str) -> Email<'_> {
        Email::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_email_address_has_an_optional_name_on_either_side() {
        let doe = "j.doe@example.com";
        assert_eq!(email(doe), Email { address: doe, name: None });
        assert_eq!(
            email("j.doe@example.com (Jane Doe)"),
            Email { address: doe, name: Some(DisplayName::After(b"Jane Doe")) }
        );
        assert_eq!(
            email("Jane Doe <j.doe@example.com>"),
            Email { address: doe, name: Some(DisplayName::Before(b"Jane Doe")) }
        );
        assert_eq!(email("\"a<b\\\" c\"@[192.0.2.1]").address, "\"a<b\\\" c\"@[192.0.2.1]");
        assert_eq!(email("dörte@example.org").address, "dörte@example.org");
        assert_eq!(email("NONE").address, "NONE");
    }

    #[test]
    fn an_invalid_email_address_is_refused_at_its_offset() {
        refused::<Email<'_>>(b"", 0, "an email address");
        refused::<Email<'_>>(b"NONE ", 4, "@");
        refused::<Email<'_>>(b"jane", 4, "@");
        refused::<Email<'_>>(b"j..doe@example.com", 0, "an email address");
        refused::<Email<'_>>(b"jane@", 5, "a domain");
        refused::<Email<'_>>(b"jane@example.com(Jane)", 16, "the end of the value");
        refused::<Email<'_>>(b"jane@example.com (Jane", 22, "a closing parenthesis");
        refused::<Email<'_>>(b"jane@example.com ()", 18, "a name without brackets");
        refused::<Email<'_>>(b"Jane <jane@example.com", 22, "a closing angle bracket");
        refused::<Email<'_>>(b"Jane <jane>", 10, "@");
        refused::<Email<'_>>(b" <jane@example.com>", 0, "an email address");
    }

    #[test]
    fn a_telephone_number_has_an_optional_name_on_either_side() {
        let number = "+1 617 555-6011";
        let phone = |text: &'static str| Phone::parse(text.as_bytes());
        assert_eq!(phone(number), Ok(Phone { number, name: None }));
        assert_eq!(
            phone("+1 617 555-6011 (Jane Doe)"),
            Ok(Phone { number, name: Some(DisplayName::After(b"Jane Doe")) })
        );
        assert_eq!(
            phone("Jane Doe <+1 617 555-6011>"),
            Ok(Phone { number, name: Some(DisplayName::Before(b"Jane Doe")) })
        );
        refused::<Phone<'_>>(b"+", 0, "a telephone number, such as +1 617 555-6011");
        refused::<Phone<'_>>(b"5", 0, "a telephone number, such as +1 617 555-6011");
        refused::<Phone<'_>>(b"555 12a", 6, "the end of the value");
        refused::<Phone<'_>>(b"555 12 (Jane", 12, "a closing parenthesis");
    }
}
