//! Sessions of two agents, in virtual time.

use crate::lab::{Lab, ONE, Side, ms};
use portolan_ice::{AgentConfig, AgentEvent, AgentState, Policy};

fn is_state(state: AgentState) -> impl Fn(&AgentEvent) -> bool {
    move |event| *event == AgentEvent::State(state)
}

/// RTT r = 80 ms, Ta = 50 ms: the first valid pair by r + Ta, nominated by 2 r + 2 Ta.
#[test]
fn rfc8445_8_1_1_a_direct_pair_is_valid_after_one_round_trip_and_nominated_after_two() {
    for policy in [Policy::Textbook, Policy::Browserlike] {
        let config = || AgentConfig::new().policy(policy);
        let mut lab = Lab::direct(1, config(), config());
        lab.net.record_story();
        lab.start();
        lab.add_host(Side::Left, ONE, "50.0.0.1");
        lab.add_host(Side::Right, ONE, "50.0.0.2");
        lab.exchange();
        lab.run(ms(2_000));
        assert!(lab.agrees(), "{}", lab.net.story());
        for side in Side::BOTH {
            let connected = lab.time_of(side, is_state(AgentState::Connected)).unwrap().since_origin();
            let completed = lab.time_of(side, is_state(AgentState::Completed)).unwrap().since_origin();
            assert!(connected <= ms(80 + 50), "{side:?} {connected:?}");
            assert!(completed <= ms(2 * 80 + 2 * 50), "{side:?} {completed:?}\n{}", lab.net.story());
        }
    }
}
