//! Wraps reports at the width of the terminal.
//!
//! The width is `COLUMNS` if it is set, otherwise the width of the terminal. Without both it is 100 for a report that is
//! read as a whole, as for the help. Findings and diagnostics are then not wrapped, so that `grep` gets whole messages.

use std::env;
use std::io::{stderr, stdout};
use terminal_size::{Width, terminal_size_of};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// The width without a terminal.
const DEFAULT: usize = 100;

/// The smallest width. On a narrower terminal the text is wrapped at this width.
const LEAST: usize = 20;

/// Returns the width of standard output in columns, for a report that is read as a whole.
pub(crate) fn width() -> usize {
    known_width(|| terminal_size_of(stdout()).map(|(width, _)| width)).unwrap_or(DEFAULT)
}

/// Returns the width of standard output in columns, for findings. Without a terminal it is unlimited.
pub(crate) fn width_for_findings() -> usize {
    known_width(|| terminal_size_of(stdout()).map(|(width, _)| width)).unwrap_or(usize::MAX)
}

/// Returns the width of standard error in columns. Standard output may be a file. Without a terminal it is unlimited.
pub(crate) fn width_of_stderr() -> usize {
    known_width(|| terminal_size_of(stderr()).map(|(width, _)| width)).unwrap_or(usize::MAX)
}

fn known_width(terminal: impl FnOnce() -> Option<Width>) -> Option<usize> {
    let set = env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
    set.or_else(|| terminal().map(|width| usize::from(width.0))).map(|columns| columns.max(LEAST))
}

/// Wraps each line of a text at the width of the output.
pub(crate) fn to_terminal(text: &str) -> String {
    to_width(text, width())
}

/// Wraps each line of a text. A clause such as `RFC 5780 §4.4` is not split, nor is a word that is longer than the
/// width.
pub(crate) fn to_width(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if textwrap::core::display_width(line) <= width {
            out.push_str(line);
        } else {
            let joined = line.replace("RFC ", "RFC\u{a0}").replace(" §", "\u{a0}§");
            let continued = " ".repeat(hanging_indent(line, width));
            let options = Options::new(width)
                .word_separator(WordSeparator::AsciiSpace)
                .word_splitter(WordSplitter::NoHyphenation)
                .wrap_algorithm(WrapAlgorithm::FirstFit)
                .break_words(false)
                .subsequent_indent(&continued);
            out.push_str(&textwrap::fill(&joined, options).replace('\u{a0}', " "));
        }
        out.push('\n');
    }
    out
}

/// Returns the indent of a continued line. In a table the second column begins there; in a table with bytes, the last
/// column, if there is room. Otherwise the indent is two more than that of the first line.
fn hanging_indent(line: &str, width: usize) -> usize {
    let text = line.trim_start_matches(' ');
    let indent = line.len() - text.len();
    let Some((name, rest)) = text.split_once("  ").filter(|(name, _)| name.len() < NAME) else {
        return (indent + 2).min(width / 2);
    };
    if name.bytes().all(|byte| byte.is_ascii_digit())
        && let Some(column) = meaning_column(line).filter(|column| column + MEANING <= width)
    {
        return column;
    }
    (line.len() - rest.trim_start_matches(' ').len()).min(width / 2)
}

/// Returns the column after the last gap before the first colon: in `  4  2112a442    magic cookie: this is STUN` the
/// column of the name.
fn meaning_column(line: &str) -> Option<usize> {
    let (head, _) = line.split_once(": ")?;
    let before = head.get(..head.rfind("  ")? + 2)?;
    Some(before.chars().count())
}

/// The first column of a table is shorter than this.
const NAME: usize = 16;

/// The last column of a table with bytes is at least as wide as this. With less room, its text is continued below the
/// bytes.
const MEANING: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_wrapped_with_an_indent_and_a_short_line_is_not_changed() {
        assert_eq!(to_width("    short  line\n\n", 20), "    short  line\n\n");
        assert_eq!(to_width("  one two three four five\n", 20), "  one two three four\n    five\n");
        assert_eq!(to_width("  name  one two three four\n", 20), "  name  one two\n        three four\n");
        assert_eq!(
            to_width("a request to a server [RFC 5780 §4.4]\n", 30),
            "a request to a server\n  [RFC 5780 §4.4]\n"
        );
    }

    #[test]
    fn a_meaning_is_continued_below_the_meaning_or_on_a_narrow_terminal_below_the_bytes() {
        let line = "   4  2112a442                              magic cookie: this is STUN (RFC 8489 §5)\n";
        let (gap, column) = (" ".repeat(30), " ".repeat(44));
        for (width, expected) in [
            (100, line.to_owned()),
            (80, format!("   4  2112a442{gap}magic cookie: this is STUN\n{column}(RFC 8489 §5)\n")),
            (40, "   4  2112a442\n      magic cookie: this is STUN\n      (RFC 8489 §5)\n".to_owned()),
        ] {
            assert_eq!(to_width(line, width), expected);
        }
    }

    #[test]
    fn colours_have_no_width() {
        assert_eq!(to_width("\u{1b}[1m12345 12345 12345\u{1b}[0m\n", 20), "\u{1b}[1m12345 12345 12345\u{1b}[0m\n");
    }

    #[test]
    fn no_line_is_longer_than_the_width_unless_a_word_is() {
        let text = "    mapping     practically certain (wrong once in 65,000) and more words to be wrapped\n";
        for width in LEAST..120 {
            let wrapped = to_width(text, width);
            let has_one_word = |line: &str| line.split_whitespace().count() == 1;
            let fits = |line: &str| line.chars().count() <= width || has_one_word(line);
            assert!(wrapped.lines().all(fits), "{width}: {wrapped}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&wrapped), words(text));
        }
    }
}
