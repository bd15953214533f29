//! What others wrote: descriptions, candidates and attributes from captures and from tests of the field.
//!
//! They are no part of this repository. `PORTOLAN_CORPUS` names the folder; without it the tests say so and pass.

use std::{
    fs,
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    sync::Once,
};

/// The folder of the collection.
pub(crate) fn folder() -> Option<PathBuf> {
    static ONCE: Once = Once::new();
    let folder = std::env::var_os("PORTOLAN_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        // Past the harness, which swallows what a test that passes prints.
        ONCE.call_once(|| drop(writeln!(stderr(), "PORTOLAN_CORPUS is not set: texts of the field are not looked at")));
    }
    folder
}

/// The rows of a table without its head line.
pub(crate) fn rows(path: &Path) -> Vec<Vec<String>> {
    let table = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    table.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// The text that a JSON string of the tables stands for; they know these escapes only.
pub(crate) fn unquoted(json: &str) -> String {
    let text = json
        .strip_prefix('"')
        .and_then(|json| json.strip_suffix('"'))
        .unwrap_or_else(|| panic!("{json}: no JSON string"));
    let text = text.replace("\\u0000", "\0").replace("\\r", "\r").replace("\\n", "\n").replace("\\\"", "\"");
    assert!(!text.contains('\\'), "an escape that this function does not know: {json}");
    text
}
