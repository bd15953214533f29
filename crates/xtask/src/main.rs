//! The project's own checks: floors, no_std proofs, RFC ledgers.
//!
//! * `cargo xtask floors` compares the crates' manifests with the table in `docs/architecture.md`.
//! * `cargo xtask no-std` builds, links and runs the proofs in `proofs/`, and shows that planted faults are refused.
//! * `cargo xtask rfc` looks for the tests that `docs/rfc/*.md` name, and for a row for each sentence of a swept RFC.
//! * `cargo xtask language` counts words that the style rule replaces, and measures sentences.
//! * `cargo xtask notes` looks for a table in `docs/notes.md` for each enum of notes.
//! * `cargo xtask sweep` lists the sentences of an RFC's text, and holds them against its ledger.
//! * `cargo xtask fuzz` runs the fuzz targets, and shows that seeded bugs are found.

#![expect(clippy::std_instead_of_alloc, reason = "a program with std has no second name for its collections")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod floors;
mod fuzz;
mod language;
mod no_std;
mod notes;
mod rfc;
mod sweep;

const USAGE: &str = "\
usage: cargo xtask CHECK

checks:
  floors   no crate imports what docs/architecture.md forbids
  no-std   the crates below the line build, link and run without the standard library
  notes    every enum of notes has a table in docs/notes.md
  rfc      the tests that docs/rfc/*.md name exist, and each sentence of a swept RFC has a row
  language words that the style rule replaces are few; prints the length of the sentences in doc comments

sweep RFC.txt…
  lists each sentence that demands something (MUST, SHOULD, …), and holds them against docs/rfc/*.md

fuzz [TARGET…] [--runs N] [--bulk | --prove]
  runs the fuzz targets, 20,000 executions each unless told otherwise; with --bulk, without AddressSanitizer and several
  times as quick; with --prove, builds with a fault in each target and expects the fuzzer to find it within 1,000,000";

/// What a check has to say: one line for each fault, or one line when there is none.
type Findings = Result<String, Vec<String>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = root();
    let findings = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["floors"] => floors::run(&root),
        ["no-std"] => no_std::run(&root),
        ["notes"] => notes::run(&root),
        ["rfc"] => rfc::run(&root),
        ["language"] => language::run(&root),
        ["sweep", texts @ ..] if !texts.is_empty() => sweep::run(&root, texts),
        ["fuzz", wishes @ ..] => fuzz::run(&root, wishes),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match findings {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in &faults {
                eprintln!("error: {fault}");
            }
            eprintln!(
                "{} found",
                if faults.len() == 1 { "1 fault".into() } else { format!("{} faults", faults.len()) }
            );
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root, two floors above this crate.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The text of a file, or the fault that it cannot be read.
fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("{} cannot be read: {why}", path.display()))
}

/// All files with the extension below `directory`, in the order of their names.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if entry.file_name() != "target" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|its| its == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
