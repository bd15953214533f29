//! The signalling states (RFC 9429 §3.2, §5.5 to §5.7).

use portolan_sdp::offer_answer::state::{Description, Diagram, Side, Signaling, State, StateError, Step, TRANSITIONS};

const STEPS: [Step; 9] = [
    Step::Set(Side::Local, Description::Offer),
    Step::Set(Side::Local, Description::Pranswer),
    Step::Set(Side::Local, Description::Answer),
    Step::Set(Side::Local, Description::Rollback),
    Step::Set(Side::Remote, Description::Offer),
    Step::Set(Side::Remote, Description::Pranswer),
    Step::Set(Side::Remote, Description::Answer),
    Step::Set(Side::Remote, Description::Rollback),
    Step::Close,
];

/// Returns the steps to each state.
fn steps_to(state: State) -> &'static [Step] {
    match state {
        State::Stable => &[],
        State::HaveLocalOffer => &[STEPS[0]],
        State::HaveRemoteOffer => &[STEPS[4]],
        State::HaveLocalPranswer => &[STEPS[4], STEPS[1]],
        State::HaveRemotePranswer => &[STEPS[0], STEPS[5]],
        State::Closed => &[STEPS[8]],
    }
}

/// Applies the rules of RFC 9429 §5.5, §5.6 and §5.7, independently of the table.
fn expected_state(state: State, step: Step) -> Option<State> {
    use State::{Closed, HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, HaveRemotePranswer, Stable};
    let (begun, offered, answering) = match step {
        _ if state == Closed => return None,
        Step::Close => return Some(Closed),
        Step::Set(_, Description::Rollback) => return if state == Stable { None } else { Some(Stable) },
        Step::Set(Side::Local, _) => (HaveLocalOffer, HaveRemoteOffer, HaveLocalPranswer),
        Step::Set(Side::Remote, _) => (HaveRemoteOffer, HaveLocalOffer, HaveRemotePranswer),
    };
    match step {
        Step::Set(_, Description::Offer) if [Stable, begun].contains(&state) => Some(begun),
        Step::Set(_, Description::Pranswer) if [offered, answering].contains(&state) => Some(answering),
        Step::Set(_, Description::Answer) if [offered, answering].contains(&state) => Some(Stable),
        Step::Set(..) | Step::Close => None,
    }
}

#[test]
fn rfc9429_5_5_5_6_5_7_every_step_from_every_state_follows_the_rfc() {
    let mut accepted = 0;
    for state in State::ALL {
        for step in STEPS {
            let mut signaling = Signaling::new();
            for step in steps_to(state) {
                signaling.step(*step).unwrap();
            }
            assert_eq!(signaling.state(), state);
            let after = signaling.step(step);
            assert_eq!(after, expected_state(state, step).ok_or(StateError { state, step }), "{step} in {state}");
            assert_eq!(signaling.state(), after.unwrap_or(state), "a refused step changes nothing");
            accepted += usize::from(after.is_ok());
        }
    }
    assert_eq!(accepted, TRANSITIONS.len(), "the table has no duplicate and no unreachable transition");
}

#[test]
fn rfc9429_5_7_a_rollback_has_the_same_effect_from_both_sides() {
    for state in State::ALL {
        let after = |side| {
            let mut signaling = Signaling::new();
            for step in steps_to(state) {
                signaling.step(*step).unwrap();
            }
            signaling.set(side, Description::Rollback).ok()
        };
        assert_eq!(after(Side::Local), after(Side::Remote), "{state}");
    }
}

#[test]
fn rfc3264_4_an_offer_is_refused_until_the_previous_one_is_answered() {
    let mut signaling = Signaling::new();
    signaling.set(Side::Remote, Description::Offer).unwrap();
    let refused = signaling.set(Side::Local, Description::Offer).unwrap_err();
    assert_eq!(refused.to_string(), "setLocal(offer) is refused in have-remote-offer (RFC 9429 §5.5)");
    signaling.set(Side::Local, Description::Answer).unwrap();
    assert_eq!(signaling.set(Side::Local, Description::Offer), Ok(State::HaveLocalOffer));
    let glare = signaling.set(Side::Remote, Description::Offer).unwrap_err();
    assert_eq!(glare.step.clause().to_string(), "RFC 9429 §5.6");
}

/// The failure message contains the expected diagram.
#[test]
fn the_diagram_of_the_documentation_is_the_table() {
    let page = include_str!("../../../../../docs/signalling.md");
    let diagram = format!("```mermaid\n{Diagram}```\n");
    assert!(page.contains(&diagram), "docs/signalling.md differs from this table:\n{diagram}");
}
