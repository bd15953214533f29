//! `cargo xtask notes`: checks that each enum of notes has a table in `docs/notes.md`.
//!
//! The unit tests of a crate compare the rows with the code. This check finds a crate without such a test, and a table
//! without an enum. It finds the enums by the text `impl Explain for NAME` in `crates/*/src`.

use crate::{Findings, files, read};
use std::collections::BTreeSet;
use std::path::Path;

/// A crate's folder and the name of an enum of notes.
type Enum = (String, String);

pub(crate) fn run(root: &Path) -> Findings {
    let page = read(&root.join("docs/notes.md")).map_err(|fault| vec![fault])?;
    let crates = root.join("crates");
    let mut implemented = BTreeSet::new();
    for path in files(&crates, "rs") {
        let mut inside = path.strip_prefix(&crates).unwrap_or(&path).components().map(|part| part.as_os_str());
        let (folder, top) = (inside.next().unwrap_or_default(), inside.next().unwrap_or_default());
        if top == "src" {
            let text = read(&path).map_err(|fault| vec![fault])?;
            implemented.extend(implementors(&text).map(|name| (folder.to_string_lossy().into_owned(), name)));
        }
    }
    let faults = check(&implemented, &documented(&page));
    if faults.is_empty() {
        Ok(format!("notes: docs/notes.md has a table for each of {} enums of notes", implemented.len()))
    } else {
        Err(faults)
    }
}

/// Returns the types in a source text that implement `Explain`, without examples in comments.
fn implementors(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().filter_map(|line| {
        let name = line.strip_prefix("impl Explain for ")?;
        Some(name.split(|c: char| !c.is_alphanumeric()).next()?.to_string())
    })
}

/// Returns the enums in the headings of the page: `## crate`, and below it `### enum`.
fn documented(page: &str) -> BTreeSet<Enum> {
    let mut folder = "";
    let mut found = BTreeSet::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            folder = heading.trim_matches('`');
        } else if let Some(heading) = line.strip_prefix("### ") {
            found.insert((folder.to_string(), heading.trim_matches('`').to_string()));
        }
    }
    found
}

fn check(implemented: &BTreeSet<Enum>, documented: &BTreeSet<Enum>) -> Vec<String> {
    let missing = implemented.difference(documented).map(|(folder, name)| {
        format!("docs/notes.md has no table `{name}` in a section `{folder}`; the unit tests of the crate compare it")
    });
    let outdated = documented
        .difference(implemented)
        .map(|(folder, name)| format!("docs/notes.md has a table `{name}`, and crates/{folder}/src has no such notes"));
    missing.chain(outdated).collect()
}

#[cfg(test)]
mod tests {
    use super::{check, documented, implementors};

    const SOURCE: &str = "//! impl Explain for Example {\nimpl Explain for DropNote {\nimpl fmt::Display for Other {\n";
    const PAGE: &str = "# Notes\n\n## `nat`\n\n### `DropNote`\n";

    #[test]
    fn an_enum_without_a_table_and_a_table_without_an_enum_are_found() {
        let implemented: Vec<_> = implementors(SOURCE).collect();
        assert_eq!(implemented, ["DropNote"]);
        let in_crate = |folder: &str| implemented.iter().map(|name| (folder.to_string(), name.clone())).collect::<_>();
        assert_eq!(check(&in_crate("nat"), &documented(PAGE)), Vec::<String>::new());
        assert_eq!(
            check(&in_crate("turn"), &documented(PAGE)),
            [
                "docs/notes.md has no table `DropNote` in a section `turn`; the unit tests of the crate compare it",
                "docs/notes.md has a table `DropNote`, and crates/nat/src has no such notes",
            ]
        );
    }
}
