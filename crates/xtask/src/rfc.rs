//! `cargo xtask rfc`: the tests that the ledgers in `docs/rfc/` name exist.
//!
//! A ledger is a Markdown table with a column whose head holds the word "test". Names in code type in that column are
//! tests: `a_test` or `module::a_test`. A cell without any says in words why no test can show it; an empty cell is a
//! fault. A test is a function marked as one, or a trial by its name.

use crate::floors::{cells, code};
use crate::{Findings, files, read};
use std::collections::BTreeSet;
use std::path::Path;

pub(crate) fn run(root: &Path) -> Findings {
    let mut known = BTreeSet::new();
    for path in files(&root.join("crates"), "rs") {
        tests_in(&read(&path).map_err(|fault| vec![fault])?, &mut known);
    }
    let (mut ledgers, mut rows, mut faults) = (0, 0, Vec::new());
    for path in files(&root.join("docs/rfc"), "md") {
        let page = read(&path).map_err(|fault| vec![fault])?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        ledgers += 1;
        rows += check(&name, &page, &known, &mut faults);
    }
    if faults.is_empty() {
        Ok(format!("rfc: {rows} rows in {ledgers} ledgers name tests that exist, or say why there is none"))
    } else {
        Err(faults)
    }
}

/// Checks one page, and counts its rows.
fn check(name: &str, page: &str, known: &BTreeSet<String>, faults: &mut Vec<String>) -> usize {
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
                faults.push(format!("{name}:{}: names no test, and does not say why", index + 1));
            }
            for test in code(cell) {
                let last = test.rsplit("::").next().unwrap_or(&test);
                if !known.contains(last) {
                    faults.push(format!("{name}:{}: there is no test `{test}`", index + 1));
                }
            }
        }
        before = cells;
    }
    rows
}

/// Adds the names of the tests in a source file.
fn tests_in(source: &str, known: &mut BTreeSet<String>) {
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if let Some((_, trial)) = line.split_once("Trial::test(\"") {
            known.extend(trial.split('"').next().map(str::to_string));
        }
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if line.starts_with("#[") || line.starts_with("//") {
            // Other attributes and comments stand between the mark and its function.
        } else {
            if let Some((_, after)) = line.split_once("fn ").filter(|_| marked) {
                let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                known.insert(name);
            }
            marked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{check, tests_in};
    use std::collections::BTreeSet;

    const SOURCE: &str = "
        #[test]
        // Why.
        #[should_panic(expected = \"x\")]
        fn a_test() {}
        fn not_a_test() {}
        Trial::test(\"a_trial\", || Ok(()))
    ";

    const PAGE: &str = "\
# A ledger

| Clause | Word | Test |
|---|---|---|
| 5 | MUST \\| MAY | `a_test`, `kinds::a_trial` |
| 6 | SHOULD | the caller's, who knows the key |

| Another | table |
|---|---|
| `nothing` | |
";

    fn faults(page: &str) -> Vec<String> {
        let (mut known, mut faults) = (BTreeSet::new(), Vec::new());
        tests_in(SOURCE, &mut known);
        assert_eq!(check("page.md", page, &known, &mut faults), 2);
        faults
    }

    #[test]
    fn tests_that_exist_are_found() {
        assert_eq!(faults(PAGE), Vec::<String>::new());
    }

    #[test]
    fn a_test_that_does_not_exist_is_a_fault() {
        let page = PAGE.replace("`a_test`", "`not_a_test`");
        assert_eq!(faults(&page), ["page.md:5: there is no test `not_a_test`"]);
    }

    #[test]
    fn an_empty_cell_is_a_fault() {
        let page = PAGE.replace("the caller's, who knows the key", "");
        assert_eq!(faults(&page), ["page.md:6: names no test, and does not say why"]);
    }
}
