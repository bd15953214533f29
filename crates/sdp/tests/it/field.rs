//! The corpus: descriptions, candidates and attributes of other implementations, from captures and from their tests.
//!
//! The corpus is not part of this repository. `PORTOLAN_CORPUS` is its folder. Without the variable, the tests print
//! one line and pass.

use std::{
    fs,
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    sync::Once,
};

/// Returns the folder of the corpus.
pub(crate) fn folder() -> Option<PathBuf> {
    static ONCE: Once = Once::new();
    let folder = std::env::var_os("PORTOLAN_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        // Writes directly to standard error: the test harness hides the output of a test that passes.
        ONCE.call_once(|| drop(writeln!(stderr(), "PORTOLAN_CORPUS is not set: the tests with its texts are skipped")));
    }
    folder
}

/// Returns every description of the corpus, with its path.
pub(crate) fn descriptions() -> Vec<(PathBuf, Vec<u8>)> {
    let Some(folder) = folder() else { return Vec::new() };
    let mut folders = vec![folder.join("sdp"), folder.join("browser")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sdp") {
                let bytes = fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
    }
    assert!(found.len() > 500, "only {} descriptions", found.len());
    found
}

/// Returns the rows of a table without its header.
pub(crate) fn rows(path: &Path) -> Vec<Vec<String>> {
    let table = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    table.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Decodes a JSON string. The tables use only these escapes.
pub(crate) fn unquoted(json: &str) -> String {
    let text = json
        .strip_prefix('"')
        .and_then(|json| json.strip_suffix('"'))
        .unwrap_or_else(|| panic!("{json}: no JSON string"));
    let text = text.replace("\\u0000", "\0").replace("\\r", "\r").replace("\\n", "\n").replace("\\\"", "\"");
    assert!(!text.contains('\\'), "an unknown escape: {json}");
    text
}

/// Decodes the output of `escape_ascii`.
pub(crate) fn escaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, (byte == b'\\').then(|| rest.next()).flatten()) {
            (b'\\', Some(b'x')) => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(core::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            (b'\\', Some(b't')) => b'\t',
            (b'\\', Some(kept)) => kept,
            (byte, _) => byte,
        });
    }
    bytes
}
