//! Compares the notes of a crate with the tables in `docs/notes.md`.
//!
//! The unit tests of each crate with notes have this file as a module, because only the crate itself can match its
//! `#[non_exhaustive]` enums exhaustively. `notes.rs` is there a symbolic link to this file, so that a packed crate
//! contains the text:
//!
//! ```ignore
//! mod notes;
//! use notes::table;
//!
//! let samples = [Remark::Sent { send: 1 }, Remark::Lost];
//! notes::assert_documented("crate", &[table!(Remark, samples, [Remark::Sent { .. }, Remark::Lost])]);
//! ```

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use portolan_machine::Explain;
use std::fs;

/// Builds the [`Table`] of an enum of notes from samples and from patterns that match all its variants.
///
/// It does not compile while a variant has no pattern, and panics while a pattern has no sample.
macro_rules! table {
    ($notes:ident, $samples:expr, [$($pattern:pat),+ $(,)?]) => {{
        let kind = |note: &$notes| match note { $($pattern => stringify!($pattern)),+ };
        notes::Table::new(stringify!($notes), &[$(stringify!($pattern)),+], &$samples, kind)
    }};
}
pub(crate) use table;

/// The codes of one enum of notes, in the order of the samples.
pub(crate) struct Table {
    name: &'static str,
    rows: Vec<Row>,
}

/// One code.
struct Row {
    code: &'static str,
    kind: &'static str,
    clauses: Vec<String>,
}

impl Table {
    /// The table of these samples. `kinds` are all patterns, `kind` returns the pattern of a sample.
    ///
    /// Samples of one pattern may share a code when they differ in their clause.
    pub(crate) fn new<N: Explain>(
        name: &'static str,
        kinds: &[&'static str],
        samples: &[N],
        kind: impl Fn(&N) -> &'static str,
    ) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for sample in samples {
            let (code, kind) = (sample.code(), kind(sample));
            let clause = sample.rfc().map(|clause| clause.to_string()).unwrap_or_default();
            match rows.iter_mut().find(|row| row.code == code) {
                Some(row) => {
                    assert_eq!(row.kind, kind, "`{code}` is used twice");
                    assert!(!row.clauses.contains(&clause), "`{code}` is used twice: {sample:?}");
                    row.clauses.push(clause);
                }
                None => rows.push(Row { code, kind, clauses: [clause].into() }),
            }
        }
        for kind in kinds {
            assert!(rows.iter().any(|row| row.kind == *kind), "no sample of `{kind}`");
        }
        Self { name, rows }
    }
}

/// Panics unless the codes are unique and in kebab-case, and the section of the crate in `docs/notes.md` has these tables
/// with these codes and clauses.
pub(crate) fn assert_documented(name: &str, tables: &[Table]) {
    let mut owners = BTreeMap::new();
    let mut expected = Vec::new();
    for table in tables {
        for row in &table.rows {
            let kebab = !row.code.is_empty()
                && row
                    .code
                    .split('-')
                    .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
            assert!(kebab, "`{}` is not in kebab-case", row.code);
            let other = owners.insert(row.code, table.name);
            assert!(other.is_none(), "`{}` is used twice: {other:?} and {}", row.code, table.name);
            expected.push(format!("{}: `{}` {}", table.name, row.code, row.clauses.join(", ")));
        }
    }
    // A packed crate, in which cargo writes this file, has no page.
    if fs::exists(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml.orig")).is_ok_and(|is| is) {
        return;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/notes.md");
    let page = fs::read_to_string(path).unwrap_or_else(|why| panic!("{path}: {why}"));
    let listed = listed(&page, name);
    let missing: Vec<_> = expected.iter().filter(|line| !listed.contains(line)).collect();
    let outdated: Vec<_> = listed.iter().filter(|line| !expected.contains(line)).collect();
    assert!(missing.is_empty(), "docs/notes.md lacks {missing:#?}, and lists {outdated:#?}");
    assert_eq!(listed, expected, "docs/notes.md lists codes that the crate does not have, or has another order");
}

/// The rows of the section `## crate` of the page: the enum of the heading `### enum`, the code and the clauses.
fn listed(page: &str, name: &str) -> Vec<String> {
    let section = page.lines().skip_while(|line| *line != format!("## `{name}`")).skip(1);
    let mut notes = "";
    let mut rows = Vec::new();
    for line in section.take_while(|line| !line.starts_with("## ")) {
        if let Some(heading) = line.strip_prefix("### ") {
            notes = heading.trim_matches('`');
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", code, meaning, clauses, ""] = cells[..]
            && code.starts_with('`')
        {
            assert!(!meaning.is_empty(), "docs/notes.md: {code} has no meaning");
            rows.push(format!("{notes}: {code} {clauses}"));
        }
    }
    rows
}
