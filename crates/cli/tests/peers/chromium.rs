//! Trials with Chromium: both roles, restarts from each side, relayed candidates, and an offer with audio.
//!
//! The command has no DTLS, so the data channel of the page never opens: the ICE state of the page counts. After a restart
//! the selected pair of the page must have the new credentials of both sides.

use crate::Outcome;
use crate::relay::Relay;
use crate::script::{self, Named, Ours, Trip};
use crate::signalling::Peer;
use serde_json::{Value, json};
use std::env;
use std::path::PathBuf;

pub(crate) fn missing() -> Option<String> {
    match browser() {
        None => Some("Chromium is not installed (Debian package chromium)".to_owned()),
        Some(_) => script::missing_package("playwright"),
    }
}

/// Returns the path of the browser.
fn browser() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut programs = env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)));
    programs.find(|path| path.is_file())
}

pub(crate) fn trials() -> Vec<Named> {
    let mut trials: Vec<Named> = vec![];
    for ours in Ours::BOTH {
        let mut add = |name: &str, work: fn(Ours) -> Outcome<String>| {
            trials.push((format!("chromium::{name}_{}", ours.word()), Box::new(move || work(ours))));
        };
        add("restarts", restarts);
        add("relayed", relayed);
    }
    trials.push(("chromium::audio_is_rejected".to_owned(), Box::new(audio_is_rejected)));
    trials
}

fn start(starts: [Value; 2]) -> Outcome<Trip> {
    let browser = browser().ok_or("no browser")?;
    Trip::start(script::start("chromium_peer.py", &[browser.into()])?, &[], starts)
}

fn starts(ours: Ours) -> [Value; 2] {
    [ours.word(), ours.other()].map(|role| json!({"type": "start", "role": role}))
}

/// Connects, then restarts ICE from the command, and from the page.
fn restarts(ours: Ours) -> Outcome<String> {
    let mut trip = start(starts(ours))?;
    connect(&mut trip)?;
    for side in 0..trip.peers.len() {
        trip.peers.iter_mut().for_each(Peer::forget);
        if let Some(peer) = trip.peers.get_mut(side) {
            peer.tell(&json!({"type": "restart"}))?;
        }
        connect(&mut trip)?;
    }
    trip.expect_type("localType", "host")?;
    trip.end()
}

/// Both sides use relayed candidates of one server only.
fn relayed(ours: Ours) -> Outcome<String> {
    let relay = Relay::start()?;
    let mut trip = start(starts(ours).map(|start| relay.only(start)))?;
    connect(&mut trip)?;
    trip.expect_type("localType", "relay")?;
    trip.expect_type("remoteType", "relay")?;
    trip.end()
}

/// The page offers audio and a data channel. The command rejects the audio, and connects the data channel.
fn audio_is_rejected() -> Outcome<String> {
    let [first, mut second] = starts(Ours::Answers);
    second["audio"] = true.into();
    let mut trip = start([first, second])?;
    connect(&mut trip)?;
    let [ours, page] = &trip.peers;
    let (offer, answer) = (description(page), description(ours));
    if !offer.contains("\r\nm=audio 9 ") || !answer.contains("\r\nm=audio 0 ") {
        return Err(format!("the audio is not rejected: {offer:?} {answer:?}").into());
    }
    trip.end()
}

/// Waits until both are connected, with the credentials of the newest descriptions.
fn connect(trip: &mut Trip) -> Outcome {
    trip.connect(|page| page.is("connected") || page.is("completed"))?;
    let ufrags = trip.peers.each_ref().map(|peer| attribute(description(peer), "ice-ufrag"));
    crate::signalling::signal(&mut trip.peers, crate::TIMEOUT, |[_, page]| {
        let state = page.last_state();
        let [ours, theirs] = &ufrags;
        let is = |side: &str, ufrag: &str| state.is_some_and(|state| state[side]["ufrag"] == ufrag);
        (page.is("connected") || page.is("completed")) && is("local", theirs) && is("remote", ours)
    })?;
    Ok(())
}

/// Returns the newest description of a peer.
fn description(peer: &Peer) -> &str {
    peer.messages.iter().rev().find_map(|message| message["sdp"].as_str()).unwrap_or_default()
}

/// Returns the value of an attribute, which is the same in all sections.
fn attribute(sdp: &str, name: &str) -> String {
    let prefix = format!("a={name}:");
    sdp.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
}
