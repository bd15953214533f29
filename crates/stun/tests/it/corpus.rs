//! Messages that others made: captures, unit tests and fuzz seeds of the field.
//!
//! They are no part of this repository. `PORTOLAN_CORPUS` names the folder; without it the tests say so and pass.

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
        // Past the harness, which swallows what a test that passes prints.
        ONCE.call_once(|| {
            drop(writeln!(stderr(), "PORTOLAN_CORPUS is not set: messages of the field are not looked at"))
        });
    }
    folder
}

/// The rows of a table without its head line.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let table = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    table.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Every message of the field with at least a byte, or those of the RFCs.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    match folder() {
        Some(folder) => {
            let rows = rows(&folder.join("manifest.tsv"));
            rows.iter().map(|row| fs::read(folder.join(&row[0])).unwrap()).filter(|bytes| !bytes.is_empty()).collect()
        }
        None => vectors::all(),
    }
}

/// The word after `name=` in a row's notes.
fn note<'n>(notes: &'n str, name: &str) -> Option<&'n str> {
    notes.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn every_verdict_is_met() {
    let Some(folder) = folder() else { return };
    let mut met = 0;
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
                assert!(decoded.is_err(), "{file} is no STUN message");
            }
            other => panic!("{file}: {other:?}"),
        }
        met += 1;
    }
    assert!(met >= 80, "only {met} messages were there");
}

/// Class, method, attributes, fingerprint and integrity as the manifest says.
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

/// The table of single values: each is put into a message of its own.
#[test]
fn every_value_is_read_or_refused() {
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
