//! The project's own checks.
//!
//! * `cargo xtask layers` compares the dependencies of the crates with the table in `docs/architecture.md`.
//! * `cargo xtask no-std` builds, links and runs the proofs in `proofs/`, and checks that seeded faults break the
//!   build.
//! * `cargo xtask rfc` checks that the tests named in `docs/rfc/*.md` exist, and that each sentence of a swept RFC has
//!   a row.
//! * `cargo xtask language` counts words that the style rule replaces, and measures sentences.
//! * `cargo xtask notes` checks that each enum of notes has a table in `docs/notes.md`.
//! * `cargo xtask sweep` lists the requirement sentences of an RFC's text, and compares them with the RFC's table.
//! * `cargo xtask package` packs the crates, and builds and tests what was packed.
//! * `cargo xtask mutations` plants known faults, and checks that a named test finds each of them.
//! * `cargo xtask fuzz` runs the fuzz targets, and checks that they find seeded bugs.

#![expect(clippy::std_instead_of_alloc, reason = "a program with std has no second name for its collections")]

use crate::output::{print, print_error};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod dependencies;
mod fuzz;
mod language;
mod mutations;
mod no_std;
mod notes;
mod output;
mod package;
mod rfc;
mod sweep;

const USAGE: &str = "\
usage: cargo xtask CHECK

checks:
  layers   each crate has only the dependencies that docs/architecture.md allows
  no-std   the core and alloc crates build, link and run without the standard library
  notes    each enum of notes has a table in docs/notes.md
  rfc      the tests named in docs/rfc/*.md exist, and each sentence of a swept RFC has a row
  language few words are left that the style rule replaces; prints the length of the sentences in doc comments

package [--minimal]
  packs each crate, lists its contents, and builds and tests the unpacked libraries outside the workspace
  --minimal  checks them with the lowest versions that their manifests allow, with default and with all features
             (needs a nightly toolchain)

mutations [NAME… | --check]
  plants each known fault of crates/*/tests/mutations.txt in a copy, and runs the test that must find it
  --check  only checks that the texts and the tests of all mutations exist

sweep RFC.txt…
  lists each sentence with a requirement (MUST, SHOULD, …), and compares the sentences with docs/rfc/*.md

fuzz [TARGET…] [--runs N] [--bulk | --prove]
  runs each fuzz target, 20,000 executions by default
  --bulk   without AddressSanitizer, which is several times faster
  --prove  builds each target with a seeded bug, which the fuzzer must find; 1,000,000 executions by default";

/// The result of a check: a summary line, or one line for each fault.
type Findings = Result<String, Vec<String>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = root();
    let findings = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["layers"] => dependencies::run(&root),
        ["no-std"] => no_std::run(&root),
        ["notes"] => notes::run(&root),
        ["package"] => package::run(&root, false),
        ["package", "--minimal"] => package::run(&root, true),
        ["rfc"] => rfc::run(&root),
        ["language"] => language::run(&root),
        ["sweep", texts @ ..] if !texts.is_empty() => sweep::run(&root, texts),
        ["mutations", arguments @ ..] => mutations::run(&root, arguments),
        ["fuzz", arguments @ ..] => fuzz::run(&root, arguments),
        ["help" | "--help" | "-h"] => {
            print(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => {
            print_error(USAGE);
            return ExitCode::from(2);
        }
    };
    match findings {
        Ok(summary) => {
            print(summary);
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in &faults {
                print_error(format_args!("error: {fault}"));
            }
            let count = faults.len();
            print_error(format_args!("{count} fault{} found", if count == 1 { "" } else { "s" }));
            ExitCode::FAILURE
        }
    }
}

/// The root folder of the workspace, two folders above this crate.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Returns the text of a file, or the fault that the file cannot be read.
fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("{} cannot be read: {why}", path.display()))
}

/// Returns all files with the extension (empty: all files) below `directory`, except in `target` folders, sorted by path.
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
            } else if extension.is_empty() || path.extension().is_some_and(|its| its == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
