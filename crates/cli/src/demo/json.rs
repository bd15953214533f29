//! The session as JSON, schema `portolan.demo/1`; `docs/json.md` describes every field.

use super::changes::{Change, name_of};
use super::checks::kind_name;
use super::session::{Session, Side, Verdict};
use super::{policy_name, reason};
use crate::output::milliseconds;
use portolan_ice::Path;
use portolan_machine::Instant;
use serde_json::{Value, json};

/// Formats the session as one line of JSON.
pub(super) fn document(session: &Session, changes: &[(Change, Verdict)]) -> String {
    let plan = &session.plan;
    let [left, right] = Side::BOTH.map(|side| peer(session, side));
    let selection = session.peers.first().and_then(|peer| peer.selection);
    let path = session.peers.first().and_then(|peer| peer.path);
    let changes: Vec<Value> = changes
        .iter()
        .map(|(change, verdict)| json!({ "options": name_of(*change), "verdict": code(*verdict) }))
        .collect();
    json!({
        "schema": "portolan.demo/1",
        "simulated": true,
        "rtt_ms": milliseconds(plan.rtt),
        "loss": plan.loss,
        "seed": plan.seed,
        "policy": policy_name(plan.policy),
        "relay": plan.has_relay,
        "left": left,
        "right": right,
        "verdict": code(session.verdict()),
        "reason": reason::of(session),
        "selected_ms": session.selected_at().map(at),
        "pair": path.as_ref().map(pair),
        "nomination": selection.map(|(_, selection)| selection.why.code()),
        "next_best": selection.and_then(|(_, selection)| selection.next_best).map(|(path, _)| pair(&path)),
        "data_round_trip_ms": session.exchange.map(|exchange| milliseconds(exchange.round_trip)),
        "changes": changes,
    })
    .to_string()
        + "\n"
}

fn peer(session: &Session, side: Side) -> Value {
    let peer = side.of(&session.peers);
    let candidates: Vec<Value> = peer
        .found
        .iter()
        .map(|found| json!({ "at_ms": at(found.at), "type": kind_name(found.kind), "address": found.address }))
        .collect();
    json!({
        "preset": side.of(&session.plan.presets).as_str(),
        "candidates": candidates,
        "failure": peer.failure.map(|(_, why)| why.code()),
    })
}

fn pair(path: &Path) -> Value {
    json!({
        "left": { "type": kind_name(path.local_kind), "address": path.local },
        "right": { "type": kind_name(path.remote_kind), "address": path.remote },
    })
}

fn at(at: Instant) -> f64 {
    milliseconds(at.since_origin())
}

const fn code(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Direct => "direct",
        Verdict::Relayed => "relayed",
        Verdict::NotConnected => "not-connected",
    }
}
