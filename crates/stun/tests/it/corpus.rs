//! Tests with messages of other implementations: captures, unit tests and fuzz seeds.
//!
//! The messages are not part of this repository. `PORTOLAN_CORPUS` is the folder of the messages. Without the variable,
//! the tests print one line and pass.

use std::{
    fs,
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    sync::Once,
};

use portolan_stun::{
    Attribute, AttributeType, Class, Integrity, IntegrityKey, Message, Method, TransactionId, Writer, is_stun,
};

use crate::{hex, vectors};

fn folder() -> Option<PathBuf> {
    static ONCE: Once = Once::new();
    let folder = std::env::var_os("PORTOLAN_CORPUS").map(|corpus| Path::new(&corpus).join("stun"));
    if folder.is_none() {
        // The test harness hides the output of `print!` when a test passes. A direct write to stderr is visible.
        ONCE.call_once(|| {
            drop(writeln!(stderr(), "PORTOLAN_CORPUS is not set: the tests with its messages are skipped"))
        });
    }
    folder
}

/// Returns the rows of a table without its header line.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let table = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    table.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Returns every corpus message that is not empty, or the messages of the RFCs if there is no corpus.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    match folder() {
        Some(folder) => {
            let rows = rows(&folder.join("manifest.tsv"));
            rows.iter().map(|row| fs::read(folder.join(&row[0])).unwrap()).filter(|bytes| !bytes.is_empty()).collect()
        }
        None => vectors::all(),
    }
}

/// Returns the word after `name=` in the notes of a row.
fn note<'n>(notes: &'n str, name: &str) -> Option<&'n str> {
    notes.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn every_corpus_message_gives_the_expected_result() {
    let Some(folder) = folder() else { return };
    let mut count = 0;
    for row in rows(&folder.join("manifest.tsv")) {
        let [file, kind, expect, _, _, _, _, notes] = row.as_slice() else { panic!("8 columns: {row:?}") };
        let bytes = fs::read(folder.join(file)).unwrap();
        let decoded = Message::decode(&bytes);
        match (kind.as_str(), expect.as_str()) {
            ("stun", "accept") => {
                let message = decoded.unwrap_or_else(|error| panic!("{file}: {error}"));
                assert!(is_stun(&bytes), "{file}");
                check_notes(file, &message, notes);
            }
            ("stun", "any") => {}
            (_, "accept" | "reject") => {
                assert!(decoded.is_err(), "{file} is not a STUN message");
            }
            other => panic!("{file}: {other:?}"),
        }
        count += 1;
    }
    assert!(count >= 80, "the corpus has only {count} messages");
}

/// Compares class, method, attributes, fingerprint and integrity with the manifest.
fn check_notes(file: &str, message: &Message<'_>, notes: &str) {
    let class = match note(notes, "class").unwrap() {
        "request" => Class::Request,
        "indication" => Class::Indication,
        "success" => Class::SuccessResponse,
        "error" => Class::ErrorResponse,
        other => panic!("{file}: {other}"),
    };
    let method = u16::from_str_radix(note(notes, "method").unwrap().trim_start_matches("0x"), 16).unwrap();
    assert_eq!((message.class(), message.method()), (class, Method::new(method).unwrap()), "{file}");
    let fields: Vec<String> =
        message.fields().map(|field| format!("{:04x}:{}", field.kind.number(), field.value.len())).collect();
    assert_eq!(fields.join("/"), note(notes, "attrs").unwrap(), "{file}");
    for attribute in message.attributes() {
        attribute.unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    match note(notes, "fp") {
        Some("ok") => assert_eq!(message.check_fingerprint(), Ok(()), "{file}"),
        Some("BAD") => assert!(message.check_fingerprint().is_err(), "{file}"),
        Some(other) => panic!("{file}: {other}"),
        None => assert!(!message.has_fingerprint(), "{file}"),
    }
    let key = if notes.contains("short-term VOkJxbRl1RmTxUk/WvJxBt") {
        IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt")
    } else if notes.contains("long-term MD5") {
        IntegrityKey::long_term_md5("\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}", "example.org", "TheMatrIX")
    } else {
        IntegrityKey::long_term_sha256("\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}", "example.org", "TheMatrIX")
    };
    for (name, kind) in [("mi-sha1", Integrity::Sha1), ("mi-sha256", Integrity::SHA256)] {
        let verdict = message.verify_with(&key, kind).map(|_| ());
        match note(notes, name) {
            Some(note) if note.starts_with("ok") => assert_eq!(verdict, Ok(()), "{file}"),
            _ => assert!(verdict.is_err(), "{file}"),
        }
    }
}

/// Each value of the table is put into a separate message.
#[test]
fn every_attribute_value_is_decoded_or_refused_as_expected() {
    let Some(folder) = folder() else { return };
    for row in rows(&folder.join("attr_values.tsv")) {
        let [name, value, id, expect, decoded, _] = row.as_slice() else { panic!("6 columns: {row:?}") };
        let kind = AttributeType::KNOWN.iter().copied().find(|kind| kind.name() == Some(name)).unwrap();
        let id: [u8; 12] = hex(id.trim_matches('-')).try_into().unwrap_or_default();
        let mut buffer = [0; 128];
        let mut writer =
            Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, TransactionId::from(id)).unwrap();
        writer.add(&Attribute::Unknown { kind, value: &hex(value) }).unwrap();
        let message = Message::decode(writer.finish()).unwrap();
        let attribute = message.attribute(kind).unwrap();
        assert_eq!(attribute.is_ok(), expect == "accept", "{row:?}: {attribute:?}");
        match attribute {
            Ok(Attribute::ErrorCode(error)) => assert_eq!(&error.to_string(), decoded),
            Ok(Attribute::XorMappedAddress(address)) => assert_eq!(&address.to_string(), decoded),
            Ok(other) => panic!("{other:?} is not in the table"),
            Err(error) => assert!((20..20 + 4 + value.len() / 2 + 1).contains(&error.at), "{error}"),
        }
    }
}
