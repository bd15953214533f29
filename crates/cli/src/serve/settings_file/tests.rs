//! Tests of the settings file.

use super::*;
use portolan_turn::Cidr;

/// A file of this test process, removed at the end of the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("portolan-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(unix)]
fn make_private(file: &Temporary) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&file.0, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn make_private(_: &Temporary) {}

fn merged(name: &str, text: &str, words: &[&str]) -> Result<ServeArgs, String> {
    let file = Temporary::new(name, text);
    make_private(&file);
    let words: Vec<OsString> = ["portolan", "serve"].iter().chain(words).map(Into::into).collect();
    let shown = file.0.display().to_string();
    merge(&file.0, &words).map_err(|error| error.to_string().replace(&shown, "FILE"))
}

#[test]
fn every_option_has_a_key_and_the_command_line_wins() {
    let text = r#"
turn = true
listen = ["127.0.0.1:5000", "[::1]:5000"]
realm = "example.org"
user = ["alice:a", "bob:b"]
users = "users.txt"
rate = "off"
streams = 1_000
max-allocations = 500
allow-peer = ["10.0.0.0/8"]
relay-ports = "50000-50999"
drain = 0x10
"#;
    let args = merged("keys", text, &["--realm", "other.org", "--listen=127.0.0.9", "--max-allocations", "7"]).unwrap();
    assert!(args.turn.turn);
    assert_eq!(args.listen, ["127.0.0.9:3478".parse().unwrap()], "the list of the file is replaced, not extended");
    assert_eq!(args.realm.as_deref(), Some("other.org"));
    assert_eq!(args.user.len(), 2);
    assert_eq!(args.users, Some(std::env::temp_dir().join("users.txt")), "relative to the file");
    assert_eq!(args.rate, super::super::RateLimit::Off);
    assert_eq!((args.streams, args.turn.max_allocations, args.turn.drain), (1_000, Some(7), Some(16)));
    assert_eq!(args.turn.allow_peer, ["10.0.0.0/8".parse::<Cidr>().unwrap()]);
    assert_eq!(args.turn.relay_ports, Some((50_000, 50_999)));
}

#[test]
fn an_empty_file_and_a_false_flag_set_nothing() {
    for text in ["", "# nothing\n", "turn = false\n"] {
        let args = merged("empty", text, &[]).unwrap();
        assert!(!args.turn.turn && args.listen.is_empty(), "{text:?}");
    }
}

#[test]
fn a_fault_has_its_line_and_column_and_the_remedy() {
    for (text, expected) in [
        ("turn = true\nrealn = \"x\"\n", "FILE, line 2, column 1: unknown key \"realn\"; the nearest key is realm"),
        (
            "max_allocations = 5\n",
            "FILE, line 1, column 1: unknown key \"max_allocations\"; the nearest key is max-allocations",
        ),
        ("config = \"x\"\n", "FILE, line 1, column 1: unknown key \"config\""),
        ("turn = \"yes\"\n", "FILE, line 1, column 8: the key turn needs true or false, not a text"),
        ("turn = 1\n", "FILE, line 1, column 8: the key turn needs true or false, not a number"),
        ("[turn]\nrealm = \"x\"\n", "the key turn needs true or false, not a table"),
        ("listen = \"127.0.0.1\"\n", "FILE, line 1, column 10: the key listen needs a list"),
        (
            "listen = [\"127.0.0.1\", 5]\n",
            "FILE, line 1, column 24: the key listen needs a text in quotes, not a number",
        ),
        ("drain = 1.5\n", "FILE, line 1, column 9: the key drain needs a whole number, not a number with a fraction"),
        ("drain = \"5\"\n", "FILE, line 1, column 9: the key drain needs a whole number, not a text"),
        ("realm = 5\n", "FILE, line 1, column 9: the key realm needs a text in quotes, not a number"),
        ("\nrealm = \"é\" x\n", "FILE, line 2, column 13: "),
        ("realm = \"a\"\nrealm = \"b\"\n", "FILE, line 2, column 1: duplicate key"),
        (
            "allow-peer = [\"10.0.0.0/8\", \"10.0.0.1/8\"]\n",
            "FILE, line 1, column 29: invalid value '10.0.0.1/8' for '--allow-peer <CIDR>': bits after the prefix",
        ),
        ("deny-peer = [\"\"]\n", "FILE, line 1, column 14: "),
        ("relay-ports = \"2-1\"\n", "the range is empty"),
        ("workers = -1\n", "FILE, line 1, column 11: invalid value '-1' for '--workers <N>'"),
    ] {
        let error = merged("fault", text, &[]).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error:?}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    for text in [
        "user = [\"alice:hunter2\"]\nrealm = 5",
        "user = [\"alice:hunter2\" \"x\"]",
        "user = \"alice:hunter2\"",
        "auth-secret = [\"hunter2\", 5]",
        "auth-secret = [\"hunter2]",
        "auth-secret = hunter2",
        "user = [\"hunter2\"]\nmax-allocations = 0",
    ] {
        let error = merged("secret", text, &[]).unwrap_err();
        assert!(!error.contains("hunter2"), "{text:?}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_with_secrets_must_be_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let words = ["portolan".into(), "serve".into()];
    for (text, is_secret) in [("user = [\"a:b\"]", true), ("auth-secret = [\"x\"]", true), ("realm = \"x\"", false)] {
        let file = Temporary::new("exposed", text);
        std::fs::set_permissions(&file.0, std::fs::Permissions::from_mode(0o644)).unwrap();
        let merged = merge(&file.0, &words);
        match merged {
            Err(SettingsFileError::Exposed { mode: 0o644, .. }) => assert!(is_secret, "{text}"),
            other => assert!(!is_secret && other.is_ok(), "{text}: {other:?}"),
        }
    }
}

#[test]
fn the_distance_counts_edits() {
    for (one, other, edits) in [
        ("", "", 0),
        ("realm", "realm", 0),
        ("realm", "realn", 1),
        ("user", "users", 1),
        ("", "abc", 3),
        ("listen", "silent", 4),
    ] {
        assert_eq!(distance(one, other), edits, "{one} {other}");
        assert_eq!(distance(other, one), edits, "{other} {one}");
    }
}
