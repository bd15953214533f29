//! Wraps reports at the width of the terminal.
//!
//! The width is `COLUMNS` if it is set, otherwise the width of the terminal. Without both it is 100, as for the help.

use std::env;
use std::io::stdout;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// The width without a terminal.
const DEFAULT: usize = 100;

/// The smallest width. On a narrower terminal the text is wrapped at this width.
const LEAST: usize = 20;

/// Returns the width of the output in columns.
pub(crate) fn width() -> usize {
    let set = env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
    let terminal = || terminal_size::terminal_size_of(stdout()).map(|(width, _)| usize::from(width.0));
    set.or_else(terminal).unwrap_or(DEFAULT).max(LEAST)
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
            let continued = " ".repeat(hanging_indent(line).min(width / 2));
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

/// Returns the indent of a continued line: the second column of a table, otherwise two more than the first line.
fn hanging_indent(line: &str) -> usize {
    let text = line.trim_start_matches(' ');
    let indent = line.len() - text.len();
    match text.split_once("  ") {
        Some((name, rest)) if name.len() < NAME => line.len() - rest.trim_start_matches(' ').len(),
        Some(_) | None => indent + 2,
    }
}

/// The first column of a table is shorter than this.
const NAME: usize = 16;

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
