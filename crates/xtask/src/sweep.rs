//! `cargo xtask sweep RFC.txt…`: numbers the requirement sentences of an RFC, and compares them with the RFC's page in
//! `docs/rfc/`.
//!
//! A requirement sentence contains a word of RFC 2119 in capitals: MUST, SHALL, SHOULD, REQUIRED or RECOMMENDED, with
//! or without NOT. The page of a swept RFC states the number of such sentences (`Sentences: 33.`). Its tables have a
//! column `n` with the numbers of the sentences that each row covers.
//!
//! * `cargo xtask rfc` checks without the RFC's text that every number has a row.
//! * This command checks with the RFC's text that the number of sentences is right, and that each row names the section
//!   of its sentences.

use crate::dependencies::cells;
use crate::output::print;
use crate::{Findings, read};
use std::collections::BTreeSet;
use std::path::Path;

/// A requirement sentence.
#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    /// The section of the sentence, such as `6.1`.
    section: String,
    text: String,
}

pub(crate) fn run(root: &Path, texts: &[&str]) -> Findings {
    let (mut faults, mut swept) = (Vec::new(), Vec::new());
    for path in texts {
        let text = read(Path::new(path)).map_err(|fault| vec![fault])?;
        let requirements = requirements(&text);
        for (requirement, number) in requirements.iter().zip(1..) {
            print(format_args!("{number}. §{}: {}", requirement.section, requirement.text));
        }
        let number: String = Path::new(path)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let name = format!("docs/rfc/{number}.md");
        let page = read(&root.join(&name)).map_err(|fault| vec![fault])?;
        compare(&name, &page, &requirements, &mut faults);
        swept.push(format!("{} sentences in RFC {number}", requirements.len()));
    }
    if faults.is_empty() { Ok(format!("sweep: {}", swept.join(", "))) } else { Err(faults) }
}

/// Returns the number of sentences that a page states; `None` if the RFC was not swept.
pub(crate) fn stated_count(page: &str) -> Option<usize> {
    page.lines().find_map(|line| line.strip_prefix("Sentences: ")?.strip_suffix('.')?.parse().ok())
}

/// Checks the page of a swept RFC: each sentence has a row, and no row has a number above the stated number.
pub(crate) fn check(name: &str, page: &str, faults: &mut Vec<String>) {
    let Some(count) = stated_count(page) else { return };
    let mut answered = BTreeSet::new();
    for Row { line, numbers, .. } in rows(page) {
        match numbers {
            Ok(numbers) => {
                let beyond = numbers.iter().filter(|number| !(1..=count).contains(*number));
                faults.extend(beyond.map(|number| format!("{name}:{line}: there is no sentence {number} of {count}")));
                answered.extend(numbers);
            }
            Err(cell) => faults.push(format!("{name}:{line}: {cell:?} is not a list of sentence numbers")),
        }
    }
    let missing = (1..=count).filter(|number| !answered.contains(number));
    faults.extend(missing.map(|number| format!("{name}: sentence {number} of {count} has no row")));
}

/// Compares a page with the sentences of the RFC's text.
fn compare(name: &str, page: &str, requirements: &[Requirement], faults: &mut Vec<String>) {
    match stated_count(page) {
        None => {
            return faults
                .push(format!("{name}: does not state the number of sentences (Sentences: {}.)", requirements.len()));
        }
        Some(count) if count != requirements.len() => {
            faults.push(format!("{name}: states {count} sentences, but the text has {}", requirements.len()));
        }
        Some(_) => check(name, page, faults),
    }
    for Row { line, clauses, numbers } in rows(page) {
        for number in numbers.unwrap_or_default() {
            let Some(requirement) = number.checked_sub(1).and_then(|index| requirements.get(index)) else { continue };
            if !clauses.contains(&requirement.section) {
                faults.push(format!("{name}:{line}: sentence {number} is in §{}", requirement.section));
            }
        }
    }
}

/// A row of a swept table.
struct Row<'a> {
    line: usize,
    clauses: Vec<String>,
    /// The numbers of the sentences that the row covers, or the text of a cell that cannot be parsed.
    numbers: Result<Vec<usize>, &'a str>,
}

fn rows(page: &str) -> Vec<Row<'_>> {
    let (mut column, mut rows) = (None, Vec::new());
    for (line, number) in page.lines().zip(1..) {
        let cells = cells(line);
        if cells.is_empty() {
            column = None;
        } else if let Some(found) = cells.iter().position(|cell| *cell == "n") {
            column = Some(found);
        } else if let Some(cell) = column.and_then(|column: usize| cells.get(column)).filter(|cell| !is_rule(cell)) {
            let clauses = cells.first().copied().unwrap_or_default().split([',', ' ', '§']);
            rows.push(Row {
                line: number,
                clauses: clauses.filter(|clause| !clause.is_empty()).map(str::to_owned).collect(),
                numbers: numbers(cell).ok_or(cell),
            });
        }
    }
    rows
}

fn is_rule(cell: &str) -> bool {
    !cell.is_empty() && cell.trim_matches(['-', ':']).is_empty()
}

/// Parses a list of numbers and ranges, such as `5, 7–9`. The list may be empty.
fn numbers(cell: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in cell.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('–').unwrap_or((part, part));
        numbers.extend(first.parse().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(numbers)
}

/// Returns the requirement sentences of an RFC's text, in order.
fn requirements(text: &str) -> Vec<Requirement> {
    let mut reader = Reader { section: "0".into(), words: Vec::new(), found: Vec::new(), is_title: false };
    for line in text.lines().map(|line| line.trim_matches('\u{c}').trim_end()) {
        reader.line(line);
    }
    reader.flush();
    reader.found
}

struct Reader {
    section: String,
    /// The words of the current sentence.
    words: Vec<String>,
    found: Vec<Requirement>,
    /// Whether the previous line was part of a title. A title may have a second line.
    is_title: bool,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let is_foot = line.ends_with(']') && line.contains("[Page ");
        let is_head = line.starts_with("RFC ") && line.chars().rev().take(4).all(|c| c.is_ascii_digit());
        if is_foot || is_head {
            return;
        }
        if let Some(section) = section(line) {
            self.flush();
            (self.section, self.is_title) = (section, true);
        } else if line.is_empty() {
            self.is_title = false;
            // A sentence may continue on the next page.
            if self.words.last().is_some_and(|word| ends(word)) {
                self.flush();
            }
        } else if !self.is_title {
            for word in line.split_whitespace() {
                let begins = word.starts_with(|c: char| c.is_uppercase() || "(*\"".contains(c)) || word == "o";
                if begins && self.words.last().is_some_and(|last| ends(last)) {
                    self.flush();
                }
                self.words.push(word.to_owned());
            }
        }
    }

    fn flush(&mut self) {
        let text = self.words.join(" ");
        let is_level = |word: &String| LEVELS.contains(&word.trim_matches(|c: char| !c.is_alphanumeric()));
        // The sentence that defines these words is not a requirement.
        if self.words.iter().any(is_level) && !text.contains("key words") {
            self.found.push(Requirement { section: self.section.clone(), text });
        }
        self.words.clear();
    }
}

/// The words of RFC 2119. Only words in capitals count (RFC 8174).
const LEVELS: [&str; 5] = ["MUST", "SHALL", "SHOULD", "REQUIRED", "RECOMMENDED"];

fn ends(word: &str) -> bool {
    word.trim_end_matches([')', '"']).ends_with(['.', ':'])
}

/// Returns the number of the section that begins with this line, such as `6.1.  Preparing the Response`.
fn section(line: &str) -> Option<String> {
    let (first, title) = line.split_once(' ')?;
    let is_number = first.ends_with('.')
        && first.starts_with(|c: char| c.is_ascii_digit())
        && first.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_number && !title.trim().is_empty() {
        return Some(first.trim_end_matches('.').to_owned());
    }
    let letter = title.split_once('.')?.0;
    (first == "Appendix" && letter.len() == 1).then(|| letter.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
1.  Requirements

   The key words \"MUST\" and \"SHOULD\" are to be interpreted as ever.

6.1.  Preparing the
      Response, which MUST be no sentence

   The server MUST answer (in time.)  A client, e.g. one in a hurry,
   may wait.  It SHOULD

Author                       Standards Track                   [Page 9]
\u{c}
RFC 9999                     Something                         May 2010

   NOT ask twice:

   o  one who MUST
   o  and must not
";

    fn found() -> Vec<(String, String)> {
        requirements(TEXT).into_iter().map(|requirement| (requirement.section, requirement.text)).collect()
    }

    #[test]
    fn sentences_may_continue_over_the_ends_of_lines_and_pages() {
        let expected = [
            ("6.1", "The server MUST answer (in time.)"),
            ("6.1", "It SHOULD NOT ask twice:"),
            ("6.1", "o one who MUST o and must not"),
        ];
        assert_eq!(found(), expected.map(|(section, text)| (section.to_owned(), text.to_owned())));
    }

    fn faults(page: &str) -> Vec<String> {
        let mut faults = Vec::new();
        compare("page.md", page, &requirements(TEXT), &mut faults);
        faults
    }

    const PAGE: &str = "\
Sentences: 3.

| clause | n | test |
|---|---|---|
| §5, §6.1 | 1–2 | `a` |
| §6.1 | 2, 3 | |
| §7 | | lower case |

| clause | test |
|---|---|
| §8 | `b` |
";

    #[test]
    fn a_page_with_a_row_for_each_sentence_has_no_fault() {
        assert_eq!(faults(PAGE), Vec::<String>::new());
        assert_eq!(faults("no number"), ["page.md: does not state the number of sentences (Sentences: 3.)"]);
    }

    #[test]
    fn missing_extra_and_wrong_numbers_are_faults() {
        assert_eq!(faults(&PAGE.replace("2, 3", "2")), ["page.md: sentence 3 of 3 has no row"]);
        assert_eq!(faults(&PAGE.replace("2, 3", "3, 4")), ["page.md:6: there is no sentence 4 of 3"]);
        assert_eq!(
            faults(&PAGE.replace("2, 3", "2, three"))[0],
            "page.md:6: \"2, three\" is not a list of sentence numbers"
        );
        assert_eq!(faults(&PAGE.replace("§5, §6.1", "§6"))[0], "page.md:5: sentence 1 is in §6.1");
        assert_eq!(
            faults(&PAGE.replace("Sentences: 3", "Sentences: 4")),
            ["page.md: states 4 sentences, but the text has 3"]
        );
    }
}
