//! Deadlines: each lies ahead, and with a dead network each session ends in the stated time, with a reason.

use crate::lab::{Lab, ONE, Side, ms};
use crate::shim::{Kind, kind};
use crate::solo::Solo;
use core::time::Duration;
use portolan_ice::{AgentConfig, AgentEvent, AgentState, Nomination, Policy, SessionFailure};
use portolan_machine::{Input, Instant, Machine as _, Output};
use portolan_sim::Link;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// A full set of pairs with discarded pairs. A pair gets a role conflict just before it gives up its place, and the pacing
/// moves its next check behind this time. The deadline of the pair is then that of the new check.
#[test]
fn rfc8838_11_a_pair_that_is_checked_after_its_time_has_a_deadline_ahead() {
    let mut solo = Solo::new(true, AgentConfig::new().policy(Policy::Browserlike).pairs(2));
    let candidates: Vec<String> =
        (1..=5).map(|nth| format!("{nth} 1 UDP {} 192.0.2.{nth} 5000 typ host", 2_130_706_431 - nth)).collect();
    solo.describe(&candidates.iter().map(String::as_str).collect::<Vec<_>>());
    // The checks of the second pair are sent at 50, 550 and 1,050 ms. It gives up its place at 1,550 ms.
    solo.run(ms(1_549));
    let newest = solo.sent.last().map(|(at, sent)| (*at, sent.remote.to_string()));
    assert_eq!(newest, Some((Instant::from_millis(1_500), "192.0.2.3:5000".into())), "the third pair has a place");
    solo.sent.retain(|(at, _)| *at < Instant::from_millis(1_500));
    solo.respond("192.0.2.2:5000", Err(487));
    assert!(!solo.agent.role().is_controlling());
    solo.sent.clear();
    for _ in 0..40 {
        let Some(at) = solo.drain() else { panic!("the session has deadlines") };
        assert!(at > solo.now, "at {} it waits until {at} (law 2)", solo.now);
        solo.now = at;
        let _verdict = solo.with(|agent, cx| agent.handle(cx, Input::Timeout));
    }
    let again = solo.sent.iter().find(|(_, sent)| sent.remote.to_string() == "192.0.2.2:5000");
    assert_eq!(again.map(|(at, _)| *at), Some(Instant::from_millis(1_550)), "the pair is checked after its time");
}

/// What owners and the network do before the network is dead.
#[derive(Clone, Debug)]
enum Act {
    AddHost(Side),
    RemoveHost(Side),
    EndLocal(Side),
    Restart(Side),
    /// The side signals its current description.
    Signal {
        from: Side,
        has_ended: bool,
    },
    /// The side receives nothing, no responses, no nominations, or everything.
    Filter(Side, u8),
    Run(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let side = || prop_oneof![Just(Side::Left), Just(Side::Right)];
    prop_oneof![
        2 => side().prop_map(Act::AddHost),
        1 => side().prop_map(Act::RemoveHost),
        2 => side().prop_map(Act::EndLocal),
        1 => side().prop_map(Act::Restart),
        6 => (side(), any::<bool>()).prop_map(|(from, has_ended)| Act::Signal { from, has_ended }),
        2 => (side(), 0..4_u8).prop_map(|(side, filter)| Act::Filter(side, filter)),
        5 => prop_oneof![0..200_u64, 0..60_000_u64].prop_map(Act::Run),
    ]
}

#[derive(Clone, Debug)]
struct Play {
    roles: [bool; 2],
    is_browserlike: [bool; 2],
    is_aggressive: bool,
    acts: Vec<Act>,
}

fn play() -> impl Strategy<Value = Play> {
    // Most plays begin with a candidate and a description of each side.
    let start = Side::BOTH.map(Act::AddHost).into_iter();
    let start = start.chain(Side::BOTH.map(|from| Act::Signal { from, has_ended: true })).collect::<Vec<_>>();
    let start = prop_oneof![1 => Just(Vec::new()), 4 => Just(start)];
    let acts = (start, prop::collection::vec(act(), 0..24)).prop_map(|(start, acts)| [start, acts].concat());
    (any::<[bool; 2]>(), any::<[bool; 2]>(), any::<bool>(), acts)
        .prop_map(|(roles, is_browserlike, is_aggressive, acts)| Play { roles, is_browserlike, is_aggressive, acts })
}

/// Plays the acts. The network loses a tenth of the packets.
fn played(play: &Play) -> Lab {
    let [left, right] = play.is_browserlike.map(|is_browserlike| {
        let config = AgentConfig::new().policy(if is_browserlike { Policy::Browserlike } else { Policy::Textbook });
        if play.is_aggressive { config.nomination(Nomination::Aggressive) } else { config }
    });
    let mut lab = Lab::linked(7, &Link::delay(ms(20)).loss(0.1), left, right);
    let mut sockets = [Vec::new(), Vec::new()];
    for (side, role) in Side::BOTH.into_iter().zip(play.roles) {
        lab.with(side, |agent, cx| agent.start(cx, role)).unwrap();
    }
    for act in &play.acts {
        match *act {
            Act::AddHost(side) => {
                let address = if side == Side::Left { "50.0.0.1" } else { "50.0.0.2" };
                // A few candidates, so that the stated times are those of few pairs.
                if sockets[side as usize].len() < 3 {
                    sockets[side as usize].push(lab.add_host(side, ONE, address).0);
                }
            }
            Act::RemoveHost(side) => {
                if let Some(socket) = sockets[side as usize].pop() {
                    lab.with(side, |agent, cx| agent.remove_local(cx, socket)).unwrap();
                }
            }
            Act::EndLocal(side) => lab.with(side, |agent, cx| agent.end_local(cx)).unwrap(),
            Act::Restart(side) => lab.with(side, |agent, cx| agent.restart(cx)).unwrap(),
            Act::Signal { from, has_ended } => {
                let mut description = lab.agent(from).description(0).unwrap();
                description.has_ended = has_ended;
                lab.with(from.other(), |agent, cx| agent.set_remote(cx, 0, description)).unwrap();
            }
            Act::Filter(side, filter) => lab.with(side, |shim, _| {
                shim.set_filter(match filter {
                    0 => |_, _| true,
                    1 => |_, datagram| kind(datagram.payload) == Kind::Success,
                    2 => |_, datagram| kind(datagram.payload) == Kind::Request { nominates: true },
                    _ => |_, _| false,
                });
            }),
            Act::Run(millis) => lab.run(ms(millis)),
        }
    }
    lab
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    /// The stated times of the agent: 30 s of consent, 79 s for a pair that is pending, as long for a nomination, and 15
    /// minutes without a description.
    #[test]
    fn rfc8445_6_1_4_from_any_state_a_dead_network_ends_the_session_in_the_stated_time(play in play()) {
        let mut lab = played(&play);
        for side in Side::BOTH {
            lab.with(side, |shim, _| shim.set_filter(|_, _| true));
        }
        let has_remote = Side::BOTH.map(|side| lab.agent(side).remote_credentials(0).is_some());
        lab.run(WITH_DESCRIPTION);
        for side in Side::BOTH {
            if has_remote[side as usize] {
                prop_assert_eq!(lab.agent(side).state(), AgentState::Failed, "{:?} with a description", side);
            }
        }
        lab.run(WITHOUT_DESCRIPTION.saturating_sub(WITH_DESCRIPTION));
        for side in Side::BOTH {
            prop_assert_eq!(lab.agent(side).state(), AgentState::Failed, "{:?}", side);
            let why = lab.events.iter().rev().find_map(|(_, known, event)| {
                if let AgentEvent::Failed(why) = event { (*known == side).then_some(*why) } else { None }
            });
            let is_awaiting = matches!(why, Some(SessionFailure::NoRemoteDescription));
            prop_assert!(why.is_some(), "{:?} failed without a reason", side);
            prop_assert!(has_remote[side as usize] || is_awaiting, "{:?} {:?}", side, why);
            let left = lab.with(side, |shim, _| shim.poll());
            prop_assert!(matches!(left, Output::Wait(None)), "{:?} has a deadline after the end: {:?}", side, left);
        }
    }
}

/// The random plays leave the agents in each state, so the property is about each.
#[test]
fn random_plays_reach_each_state() {
    let (mut runner, strategy) = (TestRunner::deterministic(), play());
    let mut reached = [0; 6];
    for _ in 0..CASES {
        let lab = played(&strategy.new_tree(&mut runner).unwrap().current());
        for side in Side::BOTH {
            reached[match lab.agent(side).state() {
                AgentState::New => 0,
                AgentState::Checking => 1,
                AgentState::Connected => 2,
                AgentState::Completed => 3,
                AgentState::Disconnected => 4,
                AgentState::Failed => 5,
                state => panic!("an agent that was not closed is {state}"),
            }] += 1;
        }
    }
    assert!(reached.iter().all(|count| *count > 3), "{reached:?}");
}

/// The number of random plays.
const CASES: u32 = 1_000;
/// The longest time with a description: two times of a pending pair (79 s), and the time of the policy of browsers for a
/// replacement after the loss of consent.
const WITH_DESCRIPTION: Duration = Duration::from_secs(200);
const WITHOUT_DESCRIPTION: Duration = Duration::from_secs(901);
