//! What would change the verdict: the session again, each time with one change.
//!
//! Rules of this file: every statement is the verdict of a simulated session. The changes are another preset at one side,
//! and the relay on or off. The seed stays the same.

use super::DemoError;
use super::session::{self, Plan, Session, Side, Verdict};
use portolan_sim::Preset;

/// The presets of the demonstration: a peer without a network cannot exchange descriptions.
pub(super) fn presets() -> impl Iterator<Item = Preset> {
    Preset::ALL.into_iter().filter(|preset| *preset != Preset::Offline)
}

/// One change of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Preset(Side, Preset),
    Relay(bool),
}

impl Change {
    fn apply(self, plan: &Plan) -> Plan {
        let mut plan = *plan;
        match self {
            Self::Preset(Side::Left, preset) => plan.presets[0] = preset,
            Self::Preset(Side::Right, preset) => plan.presets[1] = preset,
            Self::Relay(has_relay) => plan.has_relay = has_relay,
        }
        plan
    }
}

/// Runs the session with each change. Returns the changes with their verdicts.
pub(super) fn compute(session: &Session) -> Result<Vec<(Change, Verdict)>, DemoError> {
    let plan = &session.plan;
    let of_side = |side: Side| {
        let current = *side.of(&plan.presets);
        presets().filter(move |preset| *preset != current).map(move |preset| Change::Preset(side, preset))
    };
    let changes = of_side(Side::Left).chain(of_side(Side::Right)).chain([Change::Relay(!plan.has_relay)]);
    changes.map(|change| Ok((change, session::run(&change.apply(plan), false)?.verdict()))).collect()
}

/// Describes the changes that lead to a verdict, as options: `--left or --right symmetric`. Empty if there is none.
pub(super) fn leading_to(verdict: Verdict, changes: &[(Change, Verdict)]) -> String {
    let has = |change: Change| changes.contains(&(change, verdict));
    let of = |left: bool, right: bool| {
        let is_one = |preset: &Preset| {
            has(Change::Preset(Side::Left, *preset)) == left && has(Change::Preset(Side::Right, *preset)) == right
        };
        presets().filter(is_one).map(Preset::as_str).collect::<Vec<_>>()
    };
    let groups = [("--left or --right", of(true, true)), ("--left", of(true, false)), ("--right", of(false, true))];
    let mut parts: Vec<String> = groups
        .into_iter()
        .filter(|(_, presets)| !presets.is_empty())
        .map(|(option, presets)| format!("{option} {}", list(&presets)))
        .collect();
    if has(Change::Relay(false)) {
        parts.push("--no-relay".to_owned());
    }
    if has(Change::Relay(true)) {
        parts.push("a TURN server (leave out --no-relay)".to_owned());
    }
    parts.join("; ")
}

/// Joins words: `a, b or c`.
fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [front @ .., last] => format!("{} or {last}", front.join(", ")),
    }
}

/// Returns a change as options.
pub(super) fn name_of(change: Change) -> String {
    match change {
        Change::Preset(side, preset) => format!("--{} {preset}", side.name()),
        Change::Relay(false) => "--no-relay".to_owned(),
        Change::Relay(true) => "without --no-relay".to_owned(),
    }
}
