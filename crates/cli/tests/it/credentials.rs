//! `portolan stun --user` against `portolan serve` with users.

use crate::process::Finished;
use crate::serve::start_server;
use crate::{TIMEOUT, assert_refused, run};
use serde_json::Value;

/// Runs `portolan stun` against a server with the user alice, with long-term credentials if there is a realm.
fn run_stun(realm: Option<&str>, arguments: &[&str]) -> Finished {
    let realm = realm.map_or_else(Vec::new, |realm| vec!["--realm", realm]);
    let (server, local) = start_server(&[&["--user", "alice:correct horse"][..], &realm].concat());
    let finished = run(&[&["stun", &local], arguments].concat());
    server.terminate().expect("the process runs");
    server.finish(TIMEOUT).expect("the process ends");
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
        let finished = run_stun(Some("example.org"), &[&user[..], transport].concat());
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        let report = json(&finished);
        assert_eq!((&report["outcome"], &report["verified"]), (&"answered".into(), &"sha256".into()), "{report}");
    }
}

#[test]
fn a_password_is_read_from_a_file_and_the_report_shows_the_verification() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = std::env::temp_dir().join(format!("portolan-password-{}", std::process::id()));
    std::fs::write(&file, "correct horse\r\nand more\n").expect("a file");
    let set = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("the file exists");
    let path = file.display().to_string();
    let arguments = ["--user", "alice", "--password-file", &path, "--short-term"];
    set(0o644);
    let exposed = run(&[&["stun", "127.0.0.1:9"][..], &arguments].concat());
    set(0o600);
    let finished = run_stun(None, &arguments);
    std::fs::remove_file(&file).expect("the file exists");
    assert_refused(&exposed, &[&path, "chmod 600"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert!(finished.stdout.contains("  verified         the server has the password of the user"), "{finished:?}");
}

#[test]
fn a_wrong_password_gives_one_line_and_a_missing_user_is_reported() {
    let wrong = run_stun(Some("example.org"), &["--user", "alice", "--password", "wrong horse"]);
    // The server responded: this is a rejection (1), not a command that could not run (2), and still one line.
    assert_eq!((wrong.code, wrong.stdout.as_str(), wrong.stderr.lines().count()), (Some(1), "", 1), "{wrong:?}");
    assert!(wrong.stderr.contains("refuses this user name and password"), "{wrong:?}");
    let tcp = run_stun(Some("example.org"), &["--tcp", "--user", "alice", "--password", "wrong horse"]);
    assert_eq!((tcp.code, &tcp.stdout), (Some(1), &wrong.stdout), "{tcp:?}");
    // No server can authenticate the rejection of a short-term password, so it is ignored. Still, the server responded.
    let user = ["--user", "alice", "--password", "wrong horse", "--short-term", "--timeout", "0.5"];
    for arguments in [&user[..], &[&user[..], &["--tcp"]].concat()] {
        assert_refused(&run_stun(None, arguments), &["no response is authenticated with this password", "§9.1.4"]);
    }
    let without_user = run_stun(Some("example.org"), &[]);
    assert_eq!(without_user.code, Some(1), "{without_user:?}");
    assert!(
        without_user.stdout.contains("refuses: 401") && without_user.stdout.contains("see --user"),
        "{without_user:?}"
    );
    assert_refused(&run(&["stun", "127.0.0.1:9", "--user", "alice"]), &["--user needs a password", "--password-file"]);
    assert_refused(&run(&["stun", "127.0.0.1:9", "--password", "x"]), &["--user"]);
}
