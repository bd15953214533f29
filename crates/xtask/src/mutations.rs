//! `cargo xtask mutations [NAME…]`: plants known faults, and checks that a named test finds each of them.
//!
//! A list of mutations is a file `crates/*/tests/mutations.txt`:
//!
//! ```text
//! mutation a-name
//! attack the fault, in a few words
//! test turn::it::attacks::a_test
//! file crates/turn/src/server/peers.rs
//! -the lines of the old text
//! +the lines of the new text
//! ```
//!
//! Lines that begin with `#` are comments. A mutation can have several changes, each with its `file`. An old text must
//! occur exactly once in its file. The command works in a
//! copy under `target/mutations/`. It first runs all named tests without a mutation. Then it applies one mutation after
//! the other, and runs the named test alone. A mutation is caught if its test fails or does not end in time.
//!
//! `cargo xtask mutations --check` builds nothing: it checks that the old texts and the tests exist.

use crate::no_std::write_if_changed;
use crate::output::print;
use crate::rfc::Tests;
use crate::{Findings, files, read};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The time limit of one test. The slowest named test takes a few seconds without optimization.
const LIMIT: Duration = Duration::from_secs(180);

/// A fault that is planted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mutation {
    /// The list and the line of its name.
    place: String,
    name: String,
    attack: String,
    test: String,
    changes: Vec<Change>,
}

/// A change of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Change {
    file: String,
    old: Vec<String>,
    new: Vec<String>,
}

/// What a test did with a mutation.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Failed,
    Endless,
    Passed,
}

pub(crate) fn run(root: &Path, arguments: &[&str]) -> Findings {
    let all = read_lists(root)?;
    check(root, &all)?;
    if arguments == ["--check"] {
        return Ok(format!("mutations: the texts and the tests of {} mutations exist", all.len()));
    }
    let unknown = arguments.iter().filter(|name| all.iter().all(|mutation| mutation.name != **name));
    let unknown: Vec<String> = unknown.map(|name| format!("there is no mutation `{name}`")).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let is_chosen = |mutation: &&Mutation| arguments.is_empty() || arguments.contains(&mutation.name.as_str());
    let chosen: Vec<&Mutation> = all.iter().filter(is_chosen).collect();
    let copy = WorkingCopy::create(root).map_err(|fault| vec![fault])?;
    copy.check_tests(&chosen)?;
    let mut faults = Vec::new();
    for mutation in &chosen {
        let started = Instant::now();
        let seconds = || started.elapsed().as_secs();
        match copy.apply(mutation) {
            Ok(Outcome::Failed) => print(format_args!("caught    {} ({} s)", mutation.name, seconds())),
            Ok(Outcome::Endless) => print(format_args!("caught    {} (endless, {} s)", mutation.name, seconds())),
            Ok(Outcome::Passed) => {
                print(format_args!("SURVIVED  {} ({} s)", mutation.name, seconds()));
                faults.push(format!("{}: `{}` passes with {}", mutation.place, mutation.test, mutation.attack));
            }
            Err(why) => {
                print(format_args!("ERROR     {}", mutation.name));
                faults.push(format!("{}: {why}", mutation.place));
            }
        }
    }
    if faults.is_empty() { Ok(format!("mutations: {} of {} caught", chosen.len(), chosen.len())) } else { Err(faults) }
}

fn read_lists(root: &Path) -> Result<Vec<Mutation>, Vec<String>> {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for path in files(&root.join("crates"), "txt") {
        if path.file_name() == Some(OsStr::new("mutations.txt")) {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let text = read(&path).map_err(|fault| vec![fault])?;
            parse(&name, &text, &mut all, &mut faults);
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(faults) }
}

/// Parses a list.
fn parse(list: &str, text: &str, all: &mut Vec<Mutation>, faults: &mut Vec<String>) {
    let mut current: Option<Mutation> = None;
    for (line, number) in text.lines().zip(1..) {
        if let Some(name) = line.strip_prefix("mutation ") {
            all.extend(current.take());
            let place = format!("{list}:{number}");
            current = Some(Mutation { place, name: name.to_owned(), ..Mutation::default() });
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(mutation) = &mut current else {
            faults.push(format!("{list}:{number}: expected `mutation NAME`"));
            continue;
        };
        match (line.split_once(' '), line.split_at_checked(1), mutation.changes.last_mut()) {
            (_, Some(("-", rest)), Some(change)) => change.old.push(rest.to_owned()),
            (_, Some(("+", rest)), Some(change)) => change.new.push(rest.to_owned()),
            (Some(("attack", rest)), ..) => rest.clone_into(&mut mutation.attack),
            (Some(("test", rest)), ..) => rest.clone_into(&mut mutation.test),
            (Some(("file", rest)), ..) => {
                mutation.changes.push(Change { file: rest.to_owned(), ..Change::default() });
            }
            _ => faults.push(format!("{list}:{number}: expected `attack`, `test`, `file`, `-` or `+`")),
        }
    }
    all.extend(current);
}

/// Checks that each mutation can be applied, and that its test exists.
fn check(root: &Path, all: &[Mutation]) -> Result<(), Vec<String>> {
    let tests = Tests::of(root).map_err(|fault| vec![fault])?;
    let (mut faults, mut names) = (Vec::new(), BTreeSet::new());
    for mutation in all {
        let Mutation { place, name, .. } = mutation;
        if !names.insert(name) {
            faults.push(format!("{place}: a second mutation `{name}`"));
        }
        if mutation.attack.is_empty() {
            faults.push(format!("{place}: `{name}` does not name its attack"));
        }
        if !tests.has(&mutation.test) || mutation.target().is_none() {
            faults.push(format!("{place}: there is no test `{}`", mutation.test));
        }
        if mutation.changes.is_empty() {
            faults.push(format!("{place}: `{name}` changes nothing"));
        }
        faults.extend(
            mutation.changes.iter().filter_map(|change| Some(format!("{place}: {}", change.apply(root).err()?))),
        );
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

impl Change {
    /// Returns the text of the file with the change.
    fn apply(&self, root: &Path) -> Result<String, String> {
        let (text, old, new) = (read(&root.join(&self.file))?, self.old.join("\n"), self.new.join("\n"));
        if old.is_empty() || old == new {
            return Err(format!("a change of {} changes nothing", self.file));
        }
        match text.matches(&old).count() {
            1 => Ok(text.replacen(&old, &new, 1)),
            count => Err(format!("the old text occurs {count} times in {}: {old}", self.file)),
        }
    }
}

impl Mutation {
    /// The folder of the crate, its test binary (`it` or `lib`) and the name of the test in it.
    fn target(&self) -> Option<(&str, &str, &str)> {
        let (folder, rest) = self.test.split_once("::")?;
        let (binary, name) = rest.split_once("::")?;
        matches!(binary, "it" | "lib").then_some((folder, binary, name))
    }
}

/// A copy of the workspace, to which faults can be added.
struct WorkingCopy {
    root: PathBuf,
}

impl WorkingCopy {
    fn create(root: &Path) -> Result<Self, String> {
        let copy = Self { root: root.join("target/mutations") };
        let folders = ["crates", "docs"].map(|folder| root.join(folder));
        let mut wanted: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder, "")).collect();
        wanted.extend(["Cargo.toml", "Cargo.lock", "README.md"].map(|file| root.join(file)));
        for file in &wanted {
            let to = copy.root.join(file.strip_prefix(root).unwrap_or(file));
            let bytes = std::fs::read(file).map_err(|why| format!("{}: {why}", file.display()))?;
            // A file keeps its modification time if it has not changed.
            if std::fs::read(&to).is_ok_and(|its| its == bytes) {
                continue;
            }
            let folder = to.parent().map_or(Ok(()), std::fs::create_dir_all);
            folder.and_then(|()| std::fs::write(&to, bytes)).map_err(|why| format!("{}: {why}", to.display()))?;
        }
        for folder in ["crates", "docs"] {
            for file in files(&copy.root.join(folder), "") {
                if !root.join(file.strip_prefix(&copy.root).unwrap_or(&file)).exists() {
                    std::fs::remove_file(&file).map_err(|why| format!("{}: {why}", file.display()))?;
                }
            }
        }
        Ok(copy)
    }

    /// Checks that all named tests pass without a mutation.
    fn check_tests(&self, mutations: &[&Mutation]) -> Result<(), Vec<String>> {
        let mut binaries: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for (folder, binary, name) in mutations.iter().filter_map(|mutation| mutation.target()) {
            binaries.entry((folder, binary)).or_default().insert(name);
        }
        let mut faults = Vec::new();
        for ((folder, binary), names) in binaries {
            let program = self.build(folder, binary).map_err(|fault| vec![fault])?;
            for name in names {
                match self.test(&program, folder, name) {
                    Ok(Outcome::Passed) => {}
                    Ok(outcome) => faults.push(format!("{folder}::{binary}::{name}: {outcome:?} without a mutation")),
                    Err(fault) => faults.push(fault),
                }
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Applies a mutation, runs its test, and restores the file.
    fn apply(&self, mutation: &Mutation) -> Result<Outcome, String> {
        let mut originals = Vec::new();
        for change in &mutation.changes {
            let file = self.root.join(&change.file);
            originals.push((file.clone(), read(&file)?));
            write_if_changed(&file, &change.apply(&self.root)?)?;
        }
        let (folder, binary, name) = mutation.target().unwrap_or_default();
        let outcome = self.build(folder, binary).and_then(|program| self.test(&program, folder, name));
        for (file, original) in originals.iter().rev() {
            write_if_changed(file, original)?;
        }
        outcome
    }

    /// Builds the tests of a crate without optimization, and returns the program.
    fn build(&self, folder: &str, binary: &str) -> Result<PathBuf, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsStr::new("cargo").into());
        let kind: &[&str] = if binary == "it" { &["--test", "it"] } else { &["--lib"] };
        let output = Command::new(cargo)
            .args(["test", "--locked", "--no-run", "--package", &format!("portolan-{folder}")])
            .args(kind)
            .arg("--manifest-path")
            .arg(self.root.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.root.join("target"))
            .current_dir(&self.root)
            .envs([("CARGO_PROFILE_DEV_OPT_LEVEL", "0"), ("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_INCREMENTAL", "1")])
            .output()
            .map_err(|why| format!("cargo cannot be run: {why}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let program = text.lines().filter_map(|line| line.trim().strip_prefix("Executable ")).next_back();
        let program = program.and_then(|line| line.rsplit_once('(')?.1.strip_suffix(')'));
        match program.filter(|_| output.status.success()) {
            Some(program) => Ok(self.root.join(program)),
            None => Err(format!("the tests of `{folder}` do not build:\n{text}")),
        }
    }

    /// Runs one test.
    fn test(&self, program: &Path, folder: &str, name: &str) -> Result<Outcome, String> {
        let output = self.root.join("target/output.txt");
        let file = std::fs::File::create(&output).map_err(|why| format!("{}: {why}", output.display()))?;
        let mut test = Command::new(program)
            .args(["--exact", name])
            .current_dir(self.root.join("crates").join(folder))
            .stdout(file)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| format!("{} cannot be run: {why}", program.display()))?;
        let started = Instant::now();
        let status = loop {
            match test.try_wait().map_err(|why| format!("{name}: {why}"))? {
                Some(status) => break status,
                None if started.elapsed() > LIMIT => {
                    let killed = test.kill().and_then(|()| test.wait());
                    return killed.map(|_| Outcome::Endless).map_err(|why| format!("{name}: {why}"));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        if !read(&output)?.contains("running 1 test") {
            return Err(format!("`{name}` is not one test of `{folder}`"));
        }
        Ok(if status.success() { Outcome::Passed } else { Outcome::Failed })
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Mutation, parse};

    const LIST: &str = "\
# A comment.
mutation one
attack a fault
test turn::it::attacks::a_test
file crates/turn/src/lib.rs
-    old
-  text
+new

mutation two
";

    fn parsed(list: &str) -> (Vec<Mutation>, Vec<String>) {
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        parse("list.txt", list, &mut all, &mut faults);
        (all, faults)
    }

    #[test]
    fn a_list_has_the_texts_with_their_indentation() {
        let (all, faults) = parsed(LIST);
        assert_eq!(faults, Vec::<String>::new());
        let [one, two] = all.as_slice() else { panic!("two mutations") };
        assert_eq!((one.place.as_str(), one.attack.as_str()), ("list.txt:2", "a fault"));
        let [change] = one.changes.as_slice() else { panic!("one change") };
        assert_eq!((change.old.join("\n").as_str(), change.new.join("\n").as_str()), ("    old\n  text", "new"));
        assert_eq!(one.target(), Some(("turn", "it", "attacks::a_test")));
        assert_eq!((two.name.as_str(), two.target()), ("two", None));
    }

    #[test]
    fn a_line_outside_of_a_mutation_and_an_unknown_line_are_faults() {
        assert_eq!(parsed("file x\n").1, ["list.txt:1: expected `mutation NAME`"]);
        let unknown = parsed("mutation x\nname y\n").1;
        assert_eq!(unknown, ["list.txt:2: expected `attack`, `test`, `file`, `-` or `+`"]);
    }

    #[test]
    fn an_old_text_that_does_not_occur_once_is_a_fault() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mutate = |old: &str| {
            let (old, new) = (old.lines().map(str::to_owned).collect(), vec!["x".to_owned()]);
            Change { file: "Cargo.toml".into(), old, new }.apply(root)
        };
        assert!(mutate("name = \"xtask\"").is_ok_and(|text| text.contains("\nx\n")));
        assert!(mutate("a text that is nowhere").is_err_and(|why| why.contains("occurs 0 times")));
        assert!(mutate("e").is_err_and(|why| why.contains("times in Cargo.toml")));
        assert!(mutate("x").is_err_and(|why| why.contains("changes nothing")));
        assert!(mutate("").is_err_and(|why| why.contains("changes nothing")));
    }
}
