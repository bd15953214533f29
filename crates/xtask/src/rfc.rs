//! `cargo xtask rfc`: checks that the tests named in the requirement tables in `docs/rfc/` exist.
//!
//! A requirement table is a Markdown table with a column whose heading contains the word "test". In this column:
//!
//! * A name in code type is a test: `a_test`, or `folder::module::a_test` of the crate in that folder.
//! * `folder::module` means the examples in the documentation of that module.
//! * A cell without a name gives the reason why no test exists. An empty cell is a fault.
//!
//! A test is a function with a test attribute, or a `Trial::test` with this name. The page of a swept RFC has a row for
//! each sentence ([`sweep`]).

use crate::dependencies::{cells, code};
use crate::{Findings, files, read, sweep};
use std::collections::BTreeSet;
use std::path::Path;

pub(crate) fn run(root: &Path) -> Findings {
    let tests = Tests::of(root).map_err(|fault| vec![fault])?;
    let (mut pages, mut rows, mut faults) = (0, 0, Vec::new());
    for path in files(&root.join("docs/rfc"), "md") {
        let page = read(&path).map_err(|fault| vec![fault])?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        pages += 1;
        rows += check(&name, &page, &tests, &mut faults);
        sweep::check(&name, &page, &mut faults);
    }
    if faults.is_empty() {
        Ok(format!("rfc: {rows} rows on {pages} pages name tests that exist, or give a reason for having no test"))
    } else {
        Err(faults)
    }
}

/// Checks one page. Returns the number of its rows.
fn check(name: &str, page: &str, tests: &Tests, faults: &mut Vec<String>) -> usize {
    let (mut column, mut rows) = (None, 0);
    let mut before: &[&str] = &[];
    let lines: Vec<Vec<&str>> = page.lines().map(cells).collect();
    for (index, cells) in lines.iter().enumerate() {
        let is_rule =
            !cells.is_empty() && cells.iter().all(|cell| !cell.is_empty() && cell.trim_matches(['-', ':']).is_empty());
        if cells.is_empty() {
            column = None;
        } else if is_rule {
            column = before.iter().position(|head| head.to_lowercase().split(' ').any(|word| word.starts_with("test")));
        } else if let Some(column) = column {
            rows += 1;
            let cell = cells.get(column).copied().unwrap_or_default();
            if cell.is_empty() {
                faults.push(format!("{name}:{}: the row has neither a test nor a reason", index + 1));
            }
            for test in code(cell) {
                if !tests.has(&test) {
                    faults.push(format!("{name}:{}: there is no test `{test}`", index + 1));
                }
            }
        }
        before = cells;
    }
    rows
}

/// The tests and examples of all crates.
#[derive(Default)]
pub(crate) struct Tests {
    /// The folder of the crate, and the name of the function or trial.
    tests: BTreeSet<(String, String)>,
    /// `folder::module` of each file with an example.
    examples: BTreeSet<String>,
}

impl Tests {
    /// The tests and examples in the folder `crates/`.
    pub(crate) fn of(root: &Path) -> Result<Self, String> {
        let (mut tests, crates) = (Self::default(), root.join("crates"));
        for path in files(&crates, "rs") {
            let inside = path.strip_prefix(&crates).unwrap_or(&path);
            tests.add_file(&inside.display().to_string(), &read(&path)?);
        }
        Ok(tests)
    }

    /// Whether this name in a table is a test or a module with examples.
    pub(crate) fn has(&self, name: &str) -> bool {
        let (folder, _) = name.split_once("::").unwrap_or(("", name));
        let last = name.rsplit("::").next().unwrap_or(name);
        let is_folder = self.tests.iter().any(|(its, _)| its == folder);
        let found = self.tests.iter().any(|(its, test)| test == last && (its == folder || !is_folder));
        found || self.examples.contains(name)
    }

    /// Adds the tests and examples of a source file. `path` is relative to `crates/`.
    fn add_file(&mut self, path: &str, source: &str) {
        let Some((folder, inside)) = path.split_once('/') else { return };
        let shows = source.lines().map(str::trim).any(|line| line.starts_with("//") && line.contains("```"));
        let module = inside.strip_prefix("src/").and_then(|file| file.strip_suffix(".rs"));
        self.examples.extend(module.filter(|_| shows).map(|module| format!("{folder}::{}", module.replace('/', "::"))));
        let mut marked = false;
        for line in source.lines().map(str::trim) {
            let trial = line.split_once("Trial::test(\"").and_then(|(_, after)| after.split('"').next());
            self.tests.extend(trial.map(|trial| (folder.to_string(), trial.to_string())));
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                marked = true;
            } else if line.starts_with("#[") || line.starts_with("//") {
                // Other attributes and comments may stand between the test attribute and its function.
            } else {
                if let Some((_, after)) = line.split_once("fn ").filter(|_| marked) {
                    let name = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    self.tests.insert((folder.to_string(), name));
                }
                marked = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Tests, check};

    const SOURCE: &str = "
        #[test]
        // Why.
        #[should_panic(expected = \"x\")]
        fn a_test() {}
        fn not_a_test() {}
        Trial::test(\"a_trial\", || Ok(()))
    ";

    const PAGE: &str = "\
# A page

| Clause | Word | Test |
|---|---|---|
| 5 | MUST \\| MAY | `a_test`, `kinds::a_trial` |
| 6 | SHOULD | the task of the caller |

| Another | table |
|---|---|
| `nothing` | |
";

    fn faults(page: &str) -> Vec<String> {
        let (mut tests, mut faults) = (Tests::default(), Vec::new());
        tests.add_file("nat/tests/it/kinds.rs", SOURCE);
        tests.add_file("stun/src/writer.rs", "//! ```compile_fail\n");
        tests.add_file("stun/src/message.rs", "//! No example.\n#[test]\nfn another() {}\n");
        assert_eq!(check("page.md", page, &tests, &mut faults), 2);
        faults
    }

    #[test]
    fn tests_that_exist_are_found() {
        assert_eq!(faults(PAGE), Vec::<String>::new());
    }

    #[test]
    fn a_test_that_does_not_exist_is_a_fault() {
        let with = |name: &str| faults(&PAGE.replace("`a_test`", name));
        assert_eq!(with("`not_a_test`"), ["page.md:5: there is no test `not_a_test`"]);
        assert_eq!(with("`stun::it::a_test`"), ["page.md:5: there is no test `stun::it::a_test`"]);
        assert_eq!(with("`stun::message`"), ["page.md:5: there is no test `stun::message`"]);
        assert_eq!(with("`nat::it::kinds::a_test`, `stun::writer`"), Vec::<String>::new());
    }

    #[test]
    fn an_empty_cell_is_a_fault() {
        let page = PAGE.replace("the task of the caller", "");
        assert_eq!(faults(&page), ["page.md:6: the row has neither a test nor a reason"]);
    }
}
