//! The laws of two agents together: agreement, no eternity, order does not matter, one bad neighbour.

use crate::lab::{Lab, ONE, Side, ms};
use core::time::Duration;
use portolan_ice::{AgentConfig, AgentEvent, AgentState, Policy};
use portolan_machine::Instant;
use portolan_sim::Link;

pub(crate) const POLICIES: [Policy; 2] = [Policy::Textbook, Policy::Browserlike];

fn lossy(seed: u64, policy: Policy, loss: f64, delay: u64) -> Lab {
    let config = || AgentConfig::new().policy(policy);
    let mut lab = Lab::linked(seed, &Link::delay(ms(delay)).loss(loss), config(), config());
    lab.start();
    for (side, address) in [(Side::Left, "50.0.0.1"), (Side::Right, "50.0.0.2")] {
        lab.add_host(side, ONE, address);
    }
    lab.exchange();
    lab
}

/// At every instant: if both agents have selected a pair, it is the same pair, or the time in which both change is short.
pub(crate) struct Agreement {
    differs_since: Option<Instant>,
    pub(crate) longest: Duration,
}

impl Agreement {
    pub(crate) const fn new() -> Self {
        Self { differs_since: None, longest: Duration::ZERO }
    }

    pub(crate) fn check(&mut self, lab: &Lab) {
        let both = lab.selected(Side::Left).is_some() && lab.selected(Side::Right).is_some();
        if both && !lab.agrees() {
            let since = *self.differs_since.get_or_insert(lab.net.now());
            self.longest = self.longest.max(lab.net.now().since(since));
        } else {
            self.differs_since = None;
        }
    }
}

#[test]
fn rfc8445_8_1_1_both_agents_agree_at_every_step_with_loss() {
    for policy in POLICIES {
        for loss in [0.0, 0.05, 0.2] {
            for seed in 0..40 {
                let config = || AgentConfig::new().policy(policy);
                let mut lab = Lab::linked(seed, &Link::delay(ms(20)).loss(loss), config(), config());
                for (side, own) in [(Side::Left, "50.1.0.1"), (Side::Right, "50.1.0.2")] {
                    lab.add_interface(side, &[own], &Link::delay(ms(35)).loss(loss));
                }
                lab.start();
                for (side, own) in [(Side::Left, ["50.0.0.1", "50.1.0.1"]), (Side::Right, ["50.0.0.2", "50.1.0.2"])] {
                    lab.add_host(side, ONE, own[0]);
                    lab.add_relayed(side, ONE, own[1]);
                }
                lab.exchange();
                let mut agreement = Agreement::new();
                lab.watch(Duration::from_secs(30), |lab| agreement.check(lab));
                let context = format!("{policy:?} {loss} seed {seed}");
                let ends = Side::BOTH.map(|side| lab.agent(side).state());
                if ends.iter().all(|state| matches!(state, AgentState::Completed | AgentState::Disconnected)) {
                    assert!(lab.agrees(), "{context} {ends:?}");
                }
                if loss == 0.0 {
                    assert_eq!(ends, [AgentState::Completed; 2], "{context}");
                    assert!(agreement.longest <= ms(80), "{context} {:?}", agreement.longest);
                }
            }
        }
    }
}

/// The times to "both completed" and to "both connected", sorted. A session that fails counts as one hour.
fn times(policy: Policy, delay: u64) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for seed in 0..400 {
        let mut lab = lossy(seed, policy, 0.1, delay);
        lab.run(Duration::from_secs(90));
        for (at, states) in
            [&[AgentState::Completed][..], &[AgentState::Connected, AgentState::Completed]].into_iter().enumerate()
        {
            let time = |side| {
                let reached = |event: &AgentEvent| matches!(event, AgentEvent::State(state) if states.contains(state));
                lab.time_of(side, reached).map_or(Duration::from_secs(3600), Instant::since_origin)
            };
            times[at].push(time(Side::Left).max(time(Side::Right)));
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    times
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

#[test]
fn rfc8445_14_3_with_loss_of_one_tenth_sessions_complete_in_the_stated_times() {
    for policy in POLICIES {
        for delay in [20, 10] {
            let [completed, connected] = times(policy, delay);
            for (name, times) in [("completed", &completed), ("connected", &connected)] {
                let all = [50, 90, 95, 99].map(|percent| percentile(times, percent).as_millis());
                eprintln!("{policy:?} RTT {} ms, both {name}: p50 p90 p95 p99 {all:?} ms", 4 * delay);
            }
            assert!(percentile(&completed, 50) <= ms(800), "{policy:?}");
            match policy {
                Policy::Textbook => assert!(percentile(&completed, 90) <= ms(2_500)),
                Policy::Browserlike => {
                    assert!(percentile(&completed, 95) <= ms(2_500));
                    assert!(percentile(&completed, 99) <= ms(4_000));
                }
            }
        }
    }
}

/// Two hosts with two interfaces. Only one pair of addresses is reachable.
fn one_reachable(seed: u64, policy: Policy, order: u64) -> Lab {
    let config = || AgentConfig::new().policy(policy);
    let mut lab = Lab::linked(seed, &Link::delay(ms(20)).loss(1.0), config(), config());
    for (side, own) in [(Side::Left, "50.1.0.1"), (Side::Right, "50.1.0.2")] {
        lab.add_interface(side, &[own], &Link::delay(ms(20)));
    }
    lab.start();
    let delay = |place: u64| ms((order >> (4 * place) & 15) * 37);
    for (at, (side, dead, good)) in
        [(Side::Left, "50.0.0.1", "50.1.0.1"), (Side::Right, "50.0.0.2", "50.1.0.2")].into_iter().enumerate()
    {
        lab.add_host(side, ONE, dead);
        lab.add_host(side, ONE, good);
        lab.collect();
        let candidates = lab.pending[side as usize].clone();
        let description = lab.description(side, 0).with_candidates(Vec::new());
        let to = lab.host(side.other());
        let first = delay(at as u64 * 6);
        lab.net.after(to, first, move |agent, cx| agent.set_remote(cx, 0, description).unwrap());
        for (nth, (stream, candidate)) in candidates.into_iter().enumerate() {
            let late = first + delay(at as u64 * 6 + 1 + nth as u64);
            lab.net.after(to, late, move |agent, cx| agent.add_remote(cx, stream, &candidate).unwrap());
        }
        let late = first + delay(at as u64 * 6 + 4);
        lab.net.after(to, late, |agent, cx| agent.end_remote(cx, 0).unwrap());
        let host = lab.host(side);
        lab.net.after(host, delay(at as u64 * 6 + 5), |agent, cx| agent.end_local(cx).unwrap());
    }
    lab
}

#[test]
fn rfc8838_11_the_order_of_credentials_candidates_and_their_end_does_not_matter() {
    for policy in POLICIES {
        for seed in 0..60_u64 {
            let order = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut lab = one_reachable(seed, policy, order);
            lab.run(Duration::from_secs(20));
            let [left, right] = Side::BOTH.map(|side| lab.selected(side));
            let context = format!("{policy:?} seed {seed}");
            assert!(lab.agrees(), "{context}");
            assert_eq!(left.unwrap().base.ip(), "50.1.0.1".parse::<core::net::IpAddr>().unwrap(), "{context}");
            assert_eq!(right.unwrap().base.ip(), "50.1.0.2".parse::<core::net::IpAddr>().unwrap(), "{context}");
        }
    }
}

/// The dead interface refuses, is silent, or closes: the independent pair is selected in the same time.
#[test]
fn rfc8445_7_2_5_2_2_one_dead_interface_never_stops_another_pair() {
    for policy in POLICIES {
        for seed in 0..20_u64 {
            let mut lab = one_reachable(seed, policy, 0);
            if seed % 2 == 1 {
                // The socket of the dead interface is closed in the middle of the checks.
                let dead = lab.agent(Side::Left).pairs().next().map(|pair| pair.path.socket);
                let host = lab.host(Side::Left);
                lab.net.after(host, ms(seed * 9), move |agent, cx| {
                    let socket = dead.unwrap_or(portolan_machine::SocketId(1));
                    let _removed = agent.remove_local(cx, socket);
                });
            }
            lab.run(Duration::from_secs(5));
            assert!(lab.agrees(), "{policy:?} seed {seed}");
        }
    }
}

#[test]
fn rfc8863_4_every_session_ends_when_the_network_is_dead() {
    for policy in POLICIES {
        for cut in [0, 30, 45, 90, 125, 170, 250, 400, 3_000] {
            let config = || AgentConfig::new().policy(policy);
            let mut lab = Lab::direct(cut, config(), config());
            lab.start();
            lab.add_host(Side::Left, ONE, "50.0.0.1");
            lab.add_host(Side::Right, ONE, "50.0.0.2");
            lab.exchange();
            lab.run(ms(cut));
            for side in Side::BOTH {
                lab.with(side, |shim, _| shim.set_filter(|_, _| true));
            }
            lab.run(Duration::from_secs(120));
            for side in Side::BOTH {
                let end = lab.time_of(side, |event| matches!(event, AgentEvent::Failed(_)));
                let end =
                    end.unwrap_or_else(|| panic!("{policy:?} {side:?} cut at {cut} ms: {:?}", lab.agent(side).state()));
                assert!(end.since_origin() <= Duration::from_secs(80) + ms(cut), "{policy:?} {side:?} {cut} {end:?}");
            }
            lab.run(Duration::from_secs(1_000));
            let sent = Side::BOTH.map(|side| lab.shim(side).sent.len());
            lab.run(Duration::from_secs(1_000));
            assert_eq!(sent, Side::BOTH.map(|side| lab.shim(side).sent.len()), "a failed session is silent");
        }
    }
}

/// Requests arrive, and all responses are lost: the checks of both agents trigger each other, and the session still ends.
#[test]
fn rfc8445_7_3_1_4_triggered_checks_do_not_keep_a_session_alive_when_all_responses_are_lost() {
    for policy in POLICIES {
        let config = || AgentConfig::new().policy(policy);
        let mut lab = Lab::direct(1, config(), config());
        lab.start();
        lab.add_host(Side::Left, ONE, "50.0.0.1");
        lab.add_host(Side::Right, ONE, "50.0.0.2");
        for side in Side::BOTH {
            lab.with(side, |shim, _| {
                shim.set_filter(|_, datagram| crate::shim::kind(datagram.payload) == crate::shim::Kind::Success);
            });
        }
        lab.exchange();
        lab.run(Duration::from_secs(120));
        for side in Side::BOTH {
            let end = lab.time_of(side, |event| matches!(event, AgentEvent::Failed(_)));
            assert!(
                end.is_some_and(|end| end.since_origin() <= Duration::from_secs(119)),
                "{policy:?} {side:?} {end:?}"
            );
        }
    }
}
