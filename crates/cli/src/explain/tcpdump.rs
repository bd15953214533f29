//! Parses the output of tcpdump with `-x`, `-xx`, `-X` and `-XX`: for each packet a heading and its bytes.
//!
//! A heading is recognized by its words, or by the bytes after it. With `-v` a heading has several lines, of which all
//! but the first are indented. Status lines of tcpdump are skipped. Every other line that is neither heading nor bytes
//! is an error with its place.

use super::text::{self, TextError};

/// A printed packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Printed {
    /// The heading, on one line: time, addresses, length.
    pub(crate) heading: String,
    /// The bytes; empty if tcpdump did not print them.
    pub(crate) bytes: Vec<u8>,
}

/// Returns the packets in the text; `None` if the text is not the output of tcpdump.
pub(crate) fn packets(text: &str) -> Option<Result<Vec<Printed>, TextError>> {
    let mut before = "";
    let is_printed = text.lines().filter(|line| !line.trim().is_empty()).any(|line| {
        let is_first = offset(line) == Some(0) && is_heading(before);
        before = line;
        is_first
    });
    is_printed.then(|| read(text))
}

fn read(text: &str) -> Result<Vec<Printed>, TextError> {
    let (mut packets, mut open) = (vec![], Open::default());
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || is_of_itself(line) {
            continue;
        }
        if let Some(offset) = offset(line) {
            if offset == 0 && !open.rows.is_empty() {
                packets.extend(core::mem::take(&mut open).close()?);
            }
            open.rows.push(line);
            open.numbers.push(number);
        } else if line.starts_with(char::is_whitespace) && open.rows.is_empty() && !open.heading.is_empty() {
            open.heading.push(' ');
            open.heading.push_str(line.trim());
        } else if is_heading(line) {
            packets.extend(core::mem::take(&mut open).close()?);
            open.heading.push_str(line.trim());
        } else {
            let indent = line.chars().take_while(|c| c.is_whitespace()).count();
            let found = line.trim_start().chars().next().unwrap_or_default();
            return Err(TextError::Digit { line: number, column: indent + 1, found });
        }
    }
    packets.extend(open.close()?);
    Ok(packets)
}

/// A packet that is being parsed.
#[derive(Default)]
struct Open<'a> {
    heading: String,
    rows: Vec<&'a str>,
    /// The line numbers of the rows.
    numbers: Vec<usize>,
}

impl Open<'_> {
    fn close(self) -> Result<Option<Printed>, TextError> {
        if self.heading.is_empty() && self.rows.is_empty() {
            return Ok(None);
        }
        let number = |line: usize| self.numbers.get(line.saturating_sub(1)).copied().unwrap_or(line);
        // A dump may begin at any offset, a packet only at 0.
        if let Some(found) = self.rows.first().and_then(|row| offset(row)).filter(|first| *first > 0) {
            return Err(TextError::Gap { line: number(1), due: 0, found });
        }
        let bytes = text::hex(&self.rows.join("\n")).map_err(|why| why.with_line(number))?.concat();
        Ok(Some(Printed { heading: self.heading, bytes }))
    }
}

/// Returns the offset before a row of bytes: `0x0010:`.
fn offset(line: &str) -> Option<usize> {
    let (first, _) = line.trim_start().split_once(char::is_whitespace)?;
    let digits = first.strip_prefix("0x")?.strip_suffix(':')?;
    (digits.len() >= 4).then(|| usize::from_str_radix(digits, 16).ok()).flatten()
}

/// Whether the line is the heading of a packet: it has an arrow, or the name of a protocol below UDP and TCP.
fn is_heading(line: &str) -> bool {
    offset(line).is_none()
        && (line.contains(" > ")
            || line.split_whitespace().any(|word| ["IP", "IP6", "ARP,", "ethertype"].contains(&word)))
}

/// Whether the line is a status line of tcpdump: the interface or file, and the counts at the end.
fn is_of_itself(line: &str) -> bool {
    let line = line.trim_start_matches("^C");
    let is_count = line.split_once(' ').is_some_and(|(count, rest)| {
        count.bytes().all(|byte| byte.is_ascii_digit()) && (rest.starts_with("packet ") || rest.starts_with("packets "))
    });
    is_count
        || ["tcpdump: ", "Warning: ", "listening on ", "reading from file ", "dropped privs"]
            .iter()
            .any(|it| line.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "\t0x0000:  0001 0203 0405 0607 0809 0a0b 0c0d 0e0f  ....||..........\n\t0x0010:  1011  ..\n";

    fn read_all(text: &str) -> Vec<(String, usize)> {
        let packets = packets(text).unwrap_or_else(|| panic!("{text}")).unwrap_or_else(|why| panic!("{text}: {why}"));
        packets.into_iter().map(|packet| (packet.heading, packet.bytes.len())).collect()
    }

    #[test]
    fn each_packet_has_its_heading() {
        let one = "12:00:00.000000 IP 10.0.0.1.3478 > 10.0.0.2.5000: UDP, length 20";
        let two = "IP6 ::1.5000 > ::1.3478: UDP, length 20";
        let arp = "12:00:00.000001 ARP, Request who-has 10.0.0.1 tell 10.0.0.2, length 28";
        let text = format!(
            "listening on lo, link-type EN10MB (Ethernet), snapshot length 262144 bytes\nWarning: interface names might be \
             incorrect\n{one}\n{ROWS}{arp}\n{two}\n{ROWS}\
             ^C2 packets captured\n4 packets received by filter\n"
        );
        assert_eq!(read_all(&text), [(one.to_owned(), 18), (arp.to_owned(), 0), (two.to_owned(), 18)]);
        assert_eq!(read_all(&text.replace('\n', "\r\n")).len(), 3);
    }

    #[test]
    fn a_heading_of_several_lines_becomes_one_line() {
        let text = format!("12:00:00.0 IP (tos 0x0, ttl 64)\n    127.0.0.1.1 > 127.0.0.1.2: UDP, length 20\n{ROWS}");
        let heading = "12:00:00.0 IP (tos 0x0, ttl 64) 127.0.0.1.1 > 127.0.0.1.2: UDP, length 20";
        assert_eq!(read_all(&text), [(heading.to_owned(), 18)]);
    }

    #[test]
    fn a_dump_without_a_heading_is_no_tcpdump_output() {
        for text in [ROWS, "", "00 01 02\n", "12:00:00.000000 IP 10.0.0.1.3478 > 10.0.0.2.5000: UDP, length 20\n"] {
            assert_eq!(packets(text), None, "{text}");
        }
    }

    #[test]
    fn a_line_without_heading_or_bytes_is_named_with_its_place() {
        let digit = |line, column, found| Some(Err(TextError::Digit { line, column, found }));
        let heading = "IP 10.0.0.1.3478 > 10.0.0.2.5000: UDP, length 20";
        assert_eq!(packets(&format!("{heading}\n{ROWS}  hello\n")), digit(4, 3, 'h'));
        assert_eq!(packets(&format!("{heading}\n\n{}", ROWS.replace("0405", "04g5"))), digit(3, 23, 'g'));
    }

    #[test]
    fn a_missing_row_is_named_with_its_place() {
        let heading = "IP 10.0.0.1.3478 > 10.0.0.2.5000: UDP, length 20";
        let rows: Vec<String> = (0..3).map(|row| format!("\t0x00{row}0:  {}\n", "0001 ".repeat(8))).collect();
        let text = |rows: [&str; 3]| format!("{heading}\n{}{heading}\n{}", ROWS, rows.concat());
        let gap = |line, due, found| Some(Err(TextError::Gap { line, due, found }));
        let [first, second, third] = [0, 1, 2].map(|row: usize| rows.get(row).map_or("", String::as_str));
        assert_eq!(packets(&text([first, second, third])).map(|read| read.map(|all| all.len())), Some(Ok(2)));
        assert_eq!(packets(&text([first, third, ""])), gap(6, 0x10, 0x20));
        assert_eq!(packets(&text([first, second, second])), gap(7, 0x20, 0x10));
        assert_eq!(packets(&text([second, third, ""])), gap(5, 0, 0x10));
    }
}
