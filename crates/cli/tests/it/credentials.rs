//! `portolan stun --user` against `portolan serve` with users.

use crate::process::Finished;
use crate::serve::served;
use crate::{PATIENCE, assert_refused, run};
use serde_json::Value;

/// Runs `portolan stun` against a server with the user alice, with long-term credentials if there is a realm.
fn ask(realm: Option<&str>, arguments: &[&str]) -> Finished {
    let realm = realm.map_or_else(Vec::new, |realm| vec!["--realm", realm]);
    let (server, local) = served(&[&["--user", "alice:correct horse"][..], &realm].concat());
    let finished = run(&[&["stun", &local], arguments].concat());
    server.terminate().expect("it runs");
    server.finish(PATIENCE).expect("it ends");
    assert!(!format!("{finished:?}").contains("correct horse"), "{finished:?}");
    finished
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|why| panic!("{why}: {finished:?}"))
}

#[test]
fn a_challenge_is_answered_over_udp_and_tcp() {
    for transport in [&[][..], &["--tcp"]] {
        let user = ["--user", "alice", "--password", "correct horse", "--format", "json"];
        let finished = ask(Some("example.org"), &[&user[..], transport].concat());
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        let report = json(&finished);
        assert_eq!((&report["outcome"], &report["verified"]), (&"answered".into(), &"sha256".into()), "{report}");
    }
}

#[test]
fn a_password_comes_from_a_file_and_the_report_says_what_is_proved() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = std::env::temp_dir().join(format!("portolan-password-{}", std::process::id()));
    std::fs::write(&file, "correct horse\r\nand more\n").expect("a file");
    let set = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("our own file");
    let path = file.display().to_string();
    let arguments = ["--user", "alice", "--password-file", &path, "--short-term"];
    set(0o644);
    let exposed = run(&[&["stun", "127.0.0.1:9"][..], &arguments].concat());
    set(0o600);
    let finished = ask(None, &arguments);
    std::fs::remove_file(&file).expect("our own file");
    assert_refused(&exposed, &[&path, "chmod 600"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert!(finished.stdout.contains("  verified         the server has the password of the user"), "{finished:?}");
}

#[test]
fn a_wrong_password_is_one_line_and_a_server_that_asks_is_told() {
    let wrong = ask(Some("example.org"), &["--user", "alice", "--password", "wrong horse"]);
    // The server responded: this is a rejection (1), not a command that could not run (2), and still one line.
    assert_eq!((wrong.code, wrong.stdout.as_str(), wrong.stderr.lines().count()), (Some(1), "", 1), "{wrong:?}");
    assert!(wrong.stderr.contains("refuses this user name and password"), "{wrong:?}");
    let tcp = ask(Some("example.org"), &["--tcp", "--user", "alice", "--password", "wrong horse"]);
    assert_eq!((tcp.code, &tcp.stdout), (Some(1), &wrong.stdout), "{tcp:?}");
    // No server can authenticate the rejection of a short-term password, so it is ignored. Still, the server responded.
    let user = ["--user", "alice", "--password", "wrong horse", "--short-term", "--timeout", "0.5"];
    for arguments in [&user[..], &[&user[..], &["--tcp"]].concat()] {
        assert_refused(&ask(None, arguments), &["no response is authenticated with this password", "§9.1.4"]);
    }
    let nobody = ask(Some("example.org"), &[]);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stdout.contains("refuses: 401") && nobody.stdout.contains("see --user"), "{nobody:?}");
    assert_refused(&run(&["stun", "127.0.0.1:9", "--user", "alice"]), &["--user needs a password", "--password-file"]);
    assert_refused(&run(&["stun", "127.0.0.1:9", "--password", "x"]), &["--user"]);
}
