//! Trials with aioice: both roles, both policies, and relayed candidates of each side.

use crate::Outcome;
use crate::relay::Relay;
use crate::script::{self, Named, Ours, Trip};
use serde_json::json;

pub(crate) fn missing() -> Option<String> {
    script::missing_package("aioice")
}

/// The side whose candidates are relayed by the server of this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relayed {
    Neither,
    Ours,
    Theirs,
}

pub(crate) fn trials() -> Vec<Named> {
    let mut trials: Vec<Named> = vec![];
    for ours in Ours::BOTH {
        for policy in ["textbook", "browser"] {
            let mut add = |name: &str, relayed| {
                let name = format!("aioice::{name}_{policy}_{}", ours.word());
                trials.push((name, Box::new(move || connects(ours, policy, relayed))));
            };
            add("direct", Relayed::Neither);
            add("relayed", Relayed::Ours);
            add("relayed_by_aioice", Relayed::Theirs);
        }
    }
    trials
}

fn connects(ours: Ours, policy: &str, relayed: Relayed) -> Outcome<String> {
    let relay = if relayed == Relayed::Neither { None } else { Some(Relay::start()?) };
    let mut starts = [json!({"type": "start", "role": ours.word()}), json!({"type": "start", "role": ours.other()})];
    if let Some(relay) = &relay {
        let [first, second] = starts;
        starts = if relayed == Relayed::Ours { [relay.only(first), second] } else { [first, relay.only(second)] };
    }
    let mut trip = Trip::start(script::start("aioice_peer.py", &[])?, &["--policy", policy], starts)?;
    trip.connect(|peer| peer.is("completed"))?;
    match relayed {
        Relayed::Neither => trip.expect_type("localType", "host")?,
        Relayed::Ours => trip.expect_type("localType", "relay")?,
        Relayed::Theirs => trip.expect_type("remoteType", "relay")?,
    }
    trip.exchange()?;
    trip.end()
}
