//! Parses bytes in text: hexadecimal in the forms that people and programs write, and base64.
//!
//! Nothing is guessed: text that cannot be parsed is an error with its line and column.

/// Why a text is neither hexadecimal nor base64, with the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextError {
    #[error("not hexadecimal: line {line}, column {column}: {found:?} is not a hexadecimal digit")]
    Digit { line: usize, column: usize, found: char },
    #[error("not hexadecimal: line {line}, column {column}: an odd number of digits; a byte has two")]
    Odd { line: usize, column: usize },
    #[error("line {line}, column {column}: {found:?} is not in the alphabet")]
    Alphabet { line: usize, column: usize, found: char },
    #[error("{digits} characters end in the middle of a byte")]
    Torn { digits: usize },
    #[error("line {line}: expected the offset {due:#06x}, found {found:#06x}")]
    Gap { line: usize, due: usize, found: usize },
}

impl TextError {
    /// Returns the same error with another line number.
    pub(crate) fn with_line(self, number: impl FnOnce(usize) -> usize) -> Self {
        match self {
            Self::Digit { line, column, found } => Self::Digit { line: number(line), column, found },
            Self::Odd { line, column } => Self::Odd { line: number(line), column },
            Self::Alphabet { line, column, found } => Self::Alphabet { line: number(line), column, found },
            Self::Torn { digits } => Self::Torn { digits },
            Self::Gap { line, due, found } => Self::Gap { line: number(line), due, found },
        }
    }
}

/// Returns the bytes as text, if all of them are printable.
pub(crate) fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(bytes).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.chars().all(|c| !c.is_control() || c.is_whitespace()).then_some(text)
}

/// Separators between bytes, and the brackets and quotes of source code.
const BETWEEN: &[char] = &[':', ',', ';', '-', '[', ']', '{', '}', '(', ')', '"', '\'', '\\'];

/// Parses hexadecimal. An empty line, or an offset of 0, begins another message.
///
/// A line with only a star repeats the line before it, as hexdump, od and xxd -a print it. Every other line of a dump
/// begins at the end of the line before it. Only the first line may have any offset, as in a dump of a part of a file.
pub(crate) fn hex(text: &str) -> Result<Vec<Vec<u8>>, TextError> {
    let mut messages = vec![vec![]];
    let mut dump = Dump::default();
    for (line, number) in text.lines().zip(1..) {
        let so_far = messages.last().map_or(0, Vec::len);
        if line.trim().is_empty() {
            dump.starless()?;
            if so_far > 0 {
                messages.push(vec![]);
                dump = Dump::default();
            }
            continue;
        }
        if line.trim() == "*" && dump.star.is_none() && !dump.row.is_empty() {
            dump.star = Some(number);
            continue;
        }
        let found = offset(line, so_far, &dump);
        let (indent, bytes) = match found {
            Some(Offset { number: found, indent, bytes }) => {
                let due = dump.base + so_far;
                if so_far == 0 {
                    dump.base = found;
                } else if found == 0 {
                    messages.push(vec![]);
                    dump.base = 0;
                } else if !dump.reaches(found, so_far) {
                    return Err(TextError::Gap { line: number, due, found });
                } else if let Some(message) = messages.last_mut() {
                    message.extend(dump.row.iter().cycle().take(found.saturating_sub(due)));
                }
                (indent, bytes)
            }
            None => {
                dump.starless()?;
                (0, line)
            }
        };
        if let Some(message) = messages.last_mut() {
            let start = message.len();
            hex_line(bytes, number, indent, message)?;
            let row = if found.is_some() { message.get(start..).unwrap_or_default().to_vec() } else { vec![] };
            dump = Dump { row, star: None, base: dump.base };
        }
    }
    dump.starless()?;
    messages.retain(|message| !message.is_empty());
    Ok(messages)
}

/// The state after the line before.
#[derive(Default)]
struct Dump {
    /// The bytes of the line before, if the line had an offset.
    row: Vec<u8>,
    /// The number of the line with a star after that line.
    star: Option<usize>,
    /// The offset of the first byte of the message.
    base: usize,
}

impl Dump {
    /// Whether a line with this offset may follow `so_far` bytes: at their end, or after the repetitions of a star.
    fn reaches(&self, number: usize, so_far: usize) -> bool {
        let Some(gap) = number.checked_sub(self.base + so_far) else { return false };
        let fills = self.star.is_some() && gap <= STARRED_LIMIT && gap.checked_rem(self.row.len()) == Some(0);
        gap == 0 || fills
    }

    /// A star must be followed by an offset, because the number of repetitions is unknown otherwise.
    const fn starless(&self) -> Result<(), TextError> {
        match self.star {
            Some(line) => Err(TextError::Digit { line, column: 1, found: '*' }),
            None => Ok(()),
        }
    }
}

/// The maximum number of bytes that a star stands for. Messages are shorter.
const STARRED_LIMIT: usize = 1 << 20;

/// A line of a dump.
#[derive(Clone, Copy)]
struct Offset<'a> {
    /// The offset.
    number: usize,
    /// The number of characters before the bytes.
    indent: usize,
    /// The bytes.
    bytes: &'a str,
}

/// Parses the offset at the start of a line of a dump, and removes the text column after the bytes.
///
/// xxd and tcpdump write a colon, and two spaces before the text column. hexdump -C writes bars around the text column,
/// and Wireshark three spaces before it. Without a colon, a number is an offset in three cases: the number is the
/// offset due, or 0 again, or the line before had an offset.
fn offset<'a>(line: &'a str, so_far: usize, dump: &Dump) -> Option<Offset<'a>> {
    let trimmed = line.trim();
    let (first, rest) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
    let digits = first.strip_suffix(':').unwrap_or(first);
    let has_colon = digits.len() < first.len();
    let bare = digits.strip_prefix("0x").unwrap_or(digits);
    if !(4..=8).contains(&bare.len()) {
        return None;
    }
    let number = usize::from_str_radix(bare, 16).ok()?;
    let reaches = dump.reaches(number, so_far);
    // The last line of hexdump is the length alone, after lines with offsets. Two zero bytes on their own line are no
    // offset. od has one space after the offset, and bytes of two digits.
    let is_end = rest.is_empty() && !dump.row.is_empty() && number > 0;
    let is_od = !rest.is_empty() && rest.split_whitespace().all(|word| word.len() == 2);
    let is_dump = has_colon || is_od || rest.starts_with(char::is_whitespace) || is_end;
    let is_offset = has_colon || !dump.row.is_empty();
    if !is_dump || !(is_offset && dump.star.is_none() || reaches || number == 0 && so_far > 0) {
        return None;
    }
    let bytes = rest.trim_start();
    let indent = line.trim_end().len() - bytes.len();
    let bytes = bytes.split('|').next().unwrap_or(bytes);
    let end = bytes.find(if has_colon { "  " } else { "   " }).unwrap_or(bytes.len());
    Some(Offset { number, indent, bytes: bytes.get(..end).unwrap_or(bytes) })
}

fn hex_line(bytes: &str, line: usize, indent: usize, message: &mut Vec<u8>) -> Result<(), TextError> {
    let is_between = |c: char| c.is_whitespace() || BETWEEN.contains(&c);
    let mut next = indent;
    for word in bytes.split_inclusive(is_between) {
        let at = next;
        next += word.len();
        let word = word.trim_end_matches(is_between);
        let digits = ["0x", "0X", "x"].iter().find_map(|prefix| word.strip_prefix(prefix)).unwrap_or(word);
        let at = at + (word.len() - digits.len());
        let mut high = None;
        // One digit after 0x is a byte, as programs print it.
        if digits.len() == 1 && digits.len() < word.len() {
            high = Some(0);
        }
        for (offset, found) in digits.char_indices() {
            let column = at + offset + 1;
            let Some(digit) = found.to_digit(16).and_then(|digit| u8::try_from(digit).ok()) else {
                return Err(TextError::Digit { line, column, found });
            };
            high = match high {
                None => Some(digit),
                Some(high) => {
                    message.push(high << 4 | digit);
                    None
                }
            };
        }
        if high.is_some() {
            return Err(TextError::Odd { line, column: at + digits.len() });
        }
    }
    Ok(())
}

/// Parses base64 (RFC 4648 §4) and base64url (§5). White space and missing padding are accepted.
pub(crate) fn base64(text: &str) -> Result<Vec<u8>, TextError> {
    let (mut bytes, mut bits, mut held, mut digits) = (vec![], 0_u32, 0_u32, 0_usize);
    let mut has_ended = false;
    for (words, line) in text.lines().zip(1..) {
        for (found, column) in words.chars().zip(1..) {
            let value = match found {
                'A'..='Z' => u32::from(found) - u32::from('A'),
                'a'..='z' => u32::from(found) - u32::from('a') + 26,
                '0'..='9' => u32::from(found) - u32::from('0') + 52,
                '+' | '-' => 62,
                '/' | '_' => 63,
                '=' => {
                    has_ended = true;
                    continue;
                }
                space if space.is_whitespace() => continue,
                found => return Err(TextError::Alphabet { line, column, found }),
            };
            if has_ended {
                return Err(TextError::Alphabet { line, column, found });
            }
            digits += 1;
            bits = bits << 6 | value;
            held += 6;
            if held >= 8 {
                held -= 8;
                bytes.push(u8::try_from(bits >> held & 0xff).unwrap_or_default());
            }
            bits &= (1 << held) - 1;
        }
    }
    // One character alone has six bits, which is less than a byte.
    if held >= 6 { Err(TextError::Torn { digits }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Vec<u8> {
        let messages = hex(text).unwrap_or_else(|why| panic!("{text:?}: {why}"));
        assert_eq!(messages.len(), 1, "{text:?}");
        messages.concat()
    }

    #[test]
    fn every_notation_of_the_same_bytes_is_parsed_to_the_same_bytes() {
        let expected: Vec<u8> = (0..20).collect();
        for text in [
            "000102030405060708090a0b0c0d0e0f10111213",
            "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13\n",
            "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13",
            "{0x0, 0x1, 0x2, 0x3, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,\n 0x0b,0x0c,0xd,0xe,0xf,0x10,0x11,0x12,0x13}",
            "\"\\x00\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\x09\\x0a\\x0b\\x0c\\x0d\\x0e\\x0f\\x10\\x11\\x12\\x13\"",
            "0x000102030405060708090a0b0c0d0e0f10111213",
            "00000000: 0001 0203 0405 0607 0809 0a0b 0c0d 0e0f  ......: dead ..\n00000010: 1011 1213                                beef",
            "00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |.....dead.......|\n00000010  10 11 12 13                                       |beef|\n00000014\n",
            "000000 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n000010 10 11 12 13\n000014\n",
            "0000   00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f   ......dead ..\n0010   10 11 12 13                                       ....",
            "\t0x0000:  0001 0203 0405 0607 0809 0a0b 0c0d 0e0f  ......dead......\n\t0x0010:  1011 1213                                ....\n",
        ] {
            assert_eq!(one(text), expected, "{text}");
        }
    }

    #[test]
    fn an_empty_line_or_an_offset_of_zero_begins_another_message() {
        let two = vec![vec![1, 2], vec![3]];
        assert_eq!(hex("01 02\n\n\n03\n"), Ok(two.clone()));
        assert_eq!(hex("0000: 01 02\n0000: 03\n"), Ok(two));
        assert_eq!(hex(" \n"), Ok(vec![]));
    }

    #[test]
    fn a_star_repeats_the_preceding_line() {
        let mut expected: Vec<u8> = (0..16).collect();
        expected.extend([0; 64]);
        expected.extend([1, 2]);
        for text in [
            "00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|\n00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n00000050  01 02                                             |..|\n00000052\n",
            "000000 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n000010 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n*\n000050 01 02\n000052\n",
            "00000000: 0001 0203 0405 0607 0809 0a0b 0c0d 0e0f  ................\n00000010: 0000 0000 0000 0000 0000 0000 0000 0000  ................\n*\n00000050: 0102                                     ..\n",
        ] {
            assert_eq!(one(text), expected, "{text}");
        }
        // The end may follow the star directly.
        assert_eq!(one("00000000  07 07\n*\n00000006\n"), [7; 6]);
        // A star is valid only between offsets that match the length of the line, and within the limit.
        for (text, line) in [
            ("*\n0000  00 01", 1),
            ("00 01\n*\n02 03", 2),
            ("0000: 07 07\n*\n0007: 01", 2),
            ("0000: 07 07\n*\n", 2),
            ("0000: 07 07\n*\n*\n0006: 01", 2),
            ("0000: 07 07\n*\n\n0000: 01", 2),
            ("00000000: 07 07\n*\nfffffff0: 01", 2),
        ] {
            assert_eq!(hex(text), Err(TextError::Digit { line, column: 1, found: '*' }), "{text}");
        }
    }

    #[test]
    fn a_missing_or_repeated_line_is_named() {
        let gap = |line, due, found| Err(TextError::Gap { line, due, found });
        for (first, second, third) in [
            ("00000000: 0001 0203", "00000004: 0405 0607", "00000008: 0809"),
            ("\t0x0000:  0001 0203  ....", "\t0x0004:  0405 0607  ....", "\t0x0008:  0809  .."),
            ("00000000  00 01 02 03  |....|", "00000004  04 05 06 07  |....|", "00000008  08 09  |..|"),
            ("000000 00 01 02 03", "000004 04 05 06 07", "000008 08 09"),
            ("0000   00 01 02 03", "0004   04 05 06 07", "0008   08 09"),
        ] {
            let whole: Vec<u8> = (0..10).collect();
            assert_eq!(hex(&[first, second, third].join("\n")), Ok(vec![whole]));
            assert_eq!(hex(&[first, third].join("\n")), gap(2, 4, 8), "{first}");
            assert_eq!(hex(&[first, second, second, third].join("\n")), gap(3, 8, 4), "{first}");
            // The gap is in the second of two dumps.
            assert_eq!(hex(&[first, "", first, third].join("\n")), gap(4, 4, 8), "{first}");
        }
        // The length at the end of hexdump and od reveals missing lines.
        assert_eq!(hex("00000000  00 01\n00000010\n"), gap(2, 2, 16));
        // A part of a file, printed by xxd -s.
        assert_eq!(one("00000010: 0001\n00000012: 0203\n"), [0, 1, 2, 3]);
        assert_eq!(one("00000010: 0707\n*\n00000016: 01\n"), [7, 7, 7, 7, 7, 7, 1]);
        assert_eq!(hex("00000010: 0001\n00000022: 0203\n"), gap(2, 0x12, 0x22));
    }

    #[test]
    fn bytes_on_a_separate_line_are_no_offset() {
        assert_eq!(one("01020304\n0000\n"), [1, 2, 3, 4, 0, 0]);
        assert_eq!(one("00010000\n0004\n00000006\n"), [0, 1, 0, 0, 0, 4, 0, 0, 0, 6]);
    }

    #[test]
    fn a_character_that_is_not_hexadecimal_is_named_with_its_place() {
        assert_eq!(hex("00\n01 0g 02"), Err(TextError::Digit { line: 2, column: 5, found: 'g' }));
        assert_eq!(hex("00 012"), Err(TextError::Odd { line: 1, column: 6 }));
        assert_eq!(hex("0000:  00 0g"), Err(TextError::Digit { line: 1, column: 12, found: 'g' }));
        assert_eq!(hex("ä"), Err(TextError::Digit { line: 1, column: 1, found: 'ä' }));
    }

    #[test]
    fn base64_has_the_vectors_of_rfc_4648() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"), ("Zm9v\nYmFy\n", "foobar")]
        {
            assert_eq!(base64(text).as_deref(), Ok(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64("-_-_"), base64("+/+/"));
        assert_eq!(base64("Zm9vY"), Err(TextError::Torn { digits: 5 }));
        assert_eq!(base64("Zg==Zg=="), Err(TextError::Alphabet { line: 1, column: 5, found: 'Z' }));
        assert_eq!(base64("Zm9v\n?"), Err(TextError::Alphabet { line: 2, column: 1, found: '?' }));
    }

    #[test]
    fn printable_bytes_are_text() {
        assert_eq!(as_text(b"00 01\r\n\tz"), Some("00 01\r\n\tz"));
        assert_eq!(as_text(&[0, 1]), None);
        assert_eq!(as_text(&[0xff]), None);
    }
}
