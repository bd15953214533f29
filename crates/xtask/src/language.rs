//! `cargo xtask language`: measures the style rule of `docs/architecture.md`.
//!
//! It counts words that the rule replaces, and measures the sentences in doc comments. The figures show which text is
//! hard to read. The check fails when there are too many such words, so that they do not come back.

use crate::output::print;
use crate::{Findings, files, read};
use std::path::{Path, PathBuf};

/// Words and phrases that the style rule replaces. Each is matched as a whole word, in any case.
const WORDS: &[&str] = &[
    "dice", "whoever", "nobody", "hears", "is told", "are told", "who asks", "speaks", "farewell", "veiled", "woven",
    "writ", "hasten", "greet", "news", "house", "floors", "roof", "cellar", "garden",
];

/// Names that the style rule replaces. Each is matched as a whole word, with this case.
const NAMES: &[&str] = &[
    "Desk",
    "Wish",
    "Works",
    "Helm",
    "Bell",
    "Beside",
    "Told",
    "Teller",
    "Met",
    "Door",
    "Arm",
    "Sites",
    "Sought",
    "Known",
    "Stay",
    "Vouched",
    "Complaint",
    "Happening",
];

/// The maximum number of such words.
const MOST: usize = 40;

/// The maximum length of a sentence in words. The rule recommends 25.
const LONGEST: usize = 30;

pub(crate) fn run(root: &Path) -> Findings {
    let texts = texts(root).map_err(|fault| vec![fault])?;
    let mut total = 0;
    let words = WORDS.iter().map(|word| (word, texts.iter().map(|(_, text)| in_any_case(text, word)).sum()));
    let names = NAMES.iter().map(|name| (name, texts.iter().map(|(_, text)| occurrences(text, name)).sum()));
    for (term, count) in words.chain(names) {
        let count: usize = count;
        total += count;
        if count > 0 {
            print(format_args!("{count:6}  {term}"));
        }
    }
    print(format_args!("{total:6}  in all"));
    let mut findings = Vec::new();
    if total > MOST {
        findings.push(format!("{total} replaced words, at most {MOST} are allowed"));
    }
    for (name, sentences) in sentences_by_crate(root).map_err(|fault| vec![fault])? {
        let words: usize = sentences.iter().map(|sentence| length(sentence)).sum();
        let longest = sentences.iter().max_by_key(|sentence| length(sentence)).map_or("", String::as_str);
        let average = words as f64 / sentences.len().max(1) as f64;
        print(format_args!(
            "{name}: {} sentences, {average:.1} words on average, the longest has {}:\n    {longest}",
            sentences.len(),
            length(longest)
        ));
        let too_long = sentences.iter().filter(|sentence| length(sentence) > LONGEST);
        findings.extend(too_long.map(|sentence| format!("crates/{name}: more than {LONGEST} words: {sentence}")));
    }
    if findings.is_empty() {
        Ok(format!("language: {total} replaced words, at most {MOST}; no sentence has more than {LONGEST} words"))
    } else {
        Err(findings)
    }
}

/// Returns the text to which the rule applies: sources, pages and manifests.
fn texts(root: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let mut paths = vec![root.join("README.md")];
    for folder in ["crates", "docs", "fuzz", "benches"] {
        for extension in ["rs", "md", "toml"] {
            paths.extend(files(&root.join(folder), extension));
        }
    }
    // This file contains the list of the words.
    paths.retain(|path| !path.ends_with("xtask/src/language.rs"));
    paths.into_iter().map(|path| read(&path).map(|text| (path, text))).collect()
}

/// Counts a word in a text, in any case.
fn in_any_case(text: &str, word: &str) -> usize {
    occurrences(&text.to_lowercase(), word)
}

/// Counts a term in a text, as whole words.
fn occurrences(text: &str, term: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric();
    let free = |at: usize, end: usize| {
        !text.get(..at).is_some_and(|before| before.ends_with(is_word))
            && !text.get(end..).is_some_and(|after| after.starts_with(is_word))
    };
    text.match_indices(term).filter(|(at, found)| free(*at, at + found.len())).count()
}

/// Returns the sentences of the doc comments, by crate.
fn sentences_by_crate(root: &Path) -> Result<Vec<(String, Vec<String>)>, String> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root.join("crates")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let mut all = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for path in files(&folder.join("src"), "rs") {
            found.extend(sentences(&read(&path)?));
        }
        all.push((name, found));
    }
    Ok(all)
}

/// Returns the sentences of the doc comments of a source text, without code blocks, tables and headings.
fn sentences(source: &str) -> Vec<String> {
    let (mut found, mut paragraph, mut in_code) = (Vec::new(), String::new(), false);
    for line in source.lines().chain([""]) {
        let line = line.trim_start();
        let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let text = doc.unwrap_or_default().trim();
        if text.starts_with("```") {
            in_code = !in_code;
        }
        let starts_new = text.is_empty() || text.starts_with(['#', '|', '*', '-', '`']) || text.starts_with("1.");
        if starts_new || in_code {
            found.extend(split(&paragraph));
            paragraph.clear();
        }
        if !in_code && !text.starts_with(['#', '|']) && !text.starts_with("```") && !text.is_empty() {
            paragraph.push_str(text.trim_start_matches(['*', '-', ' ']));
            paragraph.push(' ');
        }
    }
    found
}

/// Splits a paragraph into sentences. A sentence ends with a full stop, an exclamation mark or a question mark before a
/// space.
fn split(paragraph: &str) -> Vec<String> {
    let (mut all, mut sentence) = (Vec::new(), String::new());
    for word in paragraph.split_whitespace() {
        sentence.push_str(word);
        sentence.push(' ');
        let bare = word.trim_end_matches([')', '"', '*', '`']);
        let abbreviation = matches!(bare, "e.g." | "i.e." | "vs.");
        if bare.ends_with(['.', '!', '?']) && !abbreviation {
            all.push(core::mem::take(&mut sentence).trim().to_owned());
        }
    }
    if length(&sentence) > 0 {
        all.push(sentence.trim().to_owned());
    }
    all
}

fn length(sentence: &str) -> usize {
    sentence.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_found_as_a_whole_word_in_any_case() {
        assert_eq!(in_any_case("Dice, dice; diced, `dice`", "dice"), 3);
        assert_eq!(in_any_case("it is told", "is told"), 1);
        assert_eq!(occurrences("Works, works", "Works"), 1);
    }

    #[test]
    fn sentences_are_those_of_doc_comments_without_code() {
        let source =
            "/// One sentence. And\n/// another!\n///\n/// ```\n/// code. here.\n/// ```\nfn a() {} // no. doc.\n";
        assert_eq!(sentences(source), ["One sentence.", "And another!"]);
    }
}
