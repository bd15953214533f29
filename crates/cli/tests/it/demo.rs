//! `portolan demo` needs no network.

use crate::{assert_refused, run};
use serde_json::Value;

#[test]
fn the_exit_code_is_the_verdict() {
    for (arguments, code) in [
        (&["demo"][..], 0),
        (&["demo", "--left", "symmetric", "--right", "symmetric"], 0),
        (&["demo", "--left", "symmetric", "--right", "symmetric", "--no-relay"], 1),
        (&["demo", "--left", "blocked", "--explain=packets"], 0),
        (&["demo", "--left", "blocked", "--right", "blocked"], 0),
        (&["demo", "--left", "blocked", "--no-relay"], 1),
    ] {
        let finished = run(arguments);
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(code), ""), "{arguments:?} {finished:?}");
    }
}

#[test]
fn the_first_screen_is_one_screen() {
    let finished = run(&["demo"]);
    assert!(finished.stdout.starts_with("Simulated: no packet is sent."), "{finished:?}");
    assert!(finished.stdout.lines().count() <= 30, "{finished:?}");
    assert!(finished.stdout.contains("directly from peer to peer"), "{finished:?}");
}

#[test]
fn the_session_is_available_as_json() {
    let finished = run(&["demo", "--left", "symmetric", "--format", "json"]);
    let session: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((&session["schema"], &session["verdict"]), (&"portolan.demo/1".into(), &"relayed".into()));
    assert_eq!(session["changes"].as_array().map(Vec::len), Some(15), "{session}");
    assert_eq!(session["left"]["candidates"].as_array().map(Vec::len), Some(3), "{session}");
}

#[test]
fn invalid_values_give_one_line() {
    assert_refused(&run(&["demo", "--left", "offline"]), &["--left", "without a network"]);
    assert_refused(&run(&["demo", "--right", "office"]), &["--right", "home"]);
    assert_refused(&run(&["demo", "--loss", "51"]), &["--loss", "50"]);
}
