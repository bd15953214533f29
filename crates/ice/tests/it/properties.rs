//! Properties of sessions: one pair per component, consent, pacing, determinism, bounds, several components, lite agents.

use crate::lab::{Lab, ONE, Side, ms};
use crate::shim::Kind;
use crate::system::POLICIES;
use alloc::collections::BTreeSet;
use core::time::Duration;
use portolan_ice::{AgentConfig, AgentEvent, AgentState, ComponentId, Nomination, Policy};
use portolan_machine::Instant;
use portolan_sim::Link;

const S: Duration = Duration::from_secs(1);

fn full(lab: &mut Lab) {
    lab.start();
    for (side, address) in [(Side::Left, "50.0.0.1"), (Side::Right, "50.0.0.2")] {
        let components: Vec<ComponentId> = lab.agent(side).config().components().collect();
        for component in components {
            lab.add_host(side, component, address);
        }
    }
    lab.exchange();
}

#[test]
fn rfc8445_14_2_no_two_new_checks_are_sent_within_ta_over_all_streams() {
    for policy in POLICIES {
        for loss in [0.0, 0.2] {
            let config = || AgentConfig::new().policy(policy).streams(&[2, 2]);
            let mut lab = Lab::linked(7, &Link::delay(ms(20)).loss(loss), config(), config());
            full(&mut lab);
            lab.run(4 * S);
            for side in Side::BOTH {
                let mut seen = BTreeSet::new();
                let new: Vec<Instant> = lab
                    .shim(side)
                    .sent
                    .iter()
                    .filter(|sent| matches!(sent.kind, Kind::Request { .. }) && seen.insert(sent.id))
                    .map(|sent| sent.at)
                    .take_while(|at| *at < Instant::from_millis(3_900))
                    .collect();
                assert!(new.len() >= 5, "{policy:?} {}", new.len());
                for pair in new.windows(2) {
                    assert!(pair[1].since(pair[0]) >= ms(50), "{policy:?} {loss} {side:?} {pair:?}");
                }
            }
        }
    }
}

#[test]
fn rfc8445_6_1_3_two_streams_of_two_components_and_one_complete() {
    for policy in POLICIES {
        for nomination in [Nomination::Regular, Nomination::Aggressive] {
            let config = || AgentConfig::new().policy(policy).streams(&[2, 1]).nomination(nomination);
            let mut lab = Lab::direct(1, config(), config());
            full(&mut lab);
            lab.run(10 * S);
            for side in Side::BOTH {
                assert_eq!(lab.agent(side).state(), AgentState::Completed, "{policy:?} {nomination:?} {side:?}");
            }
            for component in AgentConfig::new().streams(&[2, 1]).components() {
                let [left, right] = Side::BOTH.map(|side| lab.agent(side).selected(component).unwrap());
                assert_eq!((left.base, left.remote), (right.remote, right.base), "{component}");
            }
        }
    }
}

#[test]
fn rfc8445_8_2_a_lite_agent_completes_in_every_combination() {
    for policy in POLICIES {
        for lite in [[true, false], [false, true], [true, true]] {
            let config = |lite| {
                let config = AgentConfig::new().policy(policy);
                if lite { config.lite() } else { config }
            };
            let mut lab = Lab::direct(1, config(lite[0]), config(lite[1]));
            lab.start();
            lab.add_host(Side::Left, ONE, "50.0.0.1");
            lab.add_host(Side::Right, ONE, "50.0.0.2");
            lab.end_local();
            for side in Side::BOTH {
                let mut description = lab.description(side, 0).ended();
                description.is_lite = lite[side as usize];
                // The candidates of lite agents may come later.
                let late = core::mem::take(&mut description.candidates);
                let host = lab.host(side.other());
                lab.net.after(host, ms(1), move |agent, cx| agent.set_remote(cx, 0, description).unwrap());
                lab.net.after(host, ms(50), move |agent, cx| {
                    late.iter().for_each(|candidate| agent.add_remote(cx, 0, candidate).unwrap());
                });
            }
            lab.run(100 * S);
            for side in Side::BOTH {
                assert_eq!(lab.agent(side).state(), AgentState::Completed, "{policy:?} {lite:?} {side:?}");
            }
            assert!(lab.agrees(), "{lite:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let story = |seed| {
        let config = || AgentConfig::new().policy(Policy::Browserlike);
        let mut lab = Lab::linked(seed, &Link::delay(ms(20)).loss(0.1).jitter(ms(9)), config(), config());
        lab.net.record_story();
        full(&mut lab);
        lab.run(20 * S);
        lab.net.story().to_string()
    };
    assert_eq!(story(3), story(3));
    assert_ne!(story(3), story(4));
}

#[test]
fn rfc8445_19_5_1_ten_thousand_remote_candidates_stay_bounded() {
    for policy in POLICIES {
        let config = || AgentConfig::new().policy(policy);
        let mut lab = Lab::direct(1, config(), config());
        full(&mut lab);
        lab.run(ms(1));
        for nth in 0..10_000_u32 {
            let [_, _, high, low] = nth.to_be_bytes();
            let text = format!("{nth} 1 UDP {} 60.9.{high}.{low} 5000 typ host", 2_000_000_000 + nth);
            lab.with(Side::Left, |agent, cx| agent.add_remote(cx, 0, &text.parse().unwrap())).unwrap();
        }
        assert!(lab.agent(Side::Left).pairs().count() <= AgentConfig::PAIRS);
        let length = format!("{:?}", **lab.shim(Side::Left)).len();
        assert!(length < 400_000, "{length}");
        lab.run(20 * S);
        assert!(lab.agrees(), "{policy:?}");
    }
}

/// RFC 7675 §5.1: a valid pair that is not nominated carries data for 30 s only.
#[test]
fn rfc7675_5_1_a_valid_pair_without_nomination_carries_data_for_thirty_seconds() {
    for policy in POLICIES {
        let config = || AgentConfig::new().policy(policy);
        let mut lab = Lab::direct(1, config(), config());
        // Two controlled agents do not exist after a conflict, so nominations are dropped instead.
        lab.with(Side::Right, |shim, _| {
            shim.set_filter(|_, datagram| {
                matches!(crate::shim::kind(datagram.payload), Kind::Request { nominates: true })
            });
        });
        full(&mut lab);
        lab.run(S);
        assert!(lab.agent(Side::Right).path(ONE).is_some(), "{policy:?}");
        assert!(lab.selected(Side::Right).is_none());
        lab.with(Side::Right, |shim, cx| shim.send_data(cx, ms(20)));
        lab.run(60 * S);
        let last = lab.shim(Side::Right).last_data.unwrap();
        assert!(last <= Instant::from_millis(31_000), "{policy:?} {last:?}");
        assert!(lab.agent(Side::Right).path(ONE).is_none(), "{policy:?}");
    }
}

#[test]
fn rfc8445_8_1_1_a_component_has_one_selected_pair_and_only_selections_change_it() {
    for policy in POLICIES {
        for seed in 0..20 {
            let config = || AgentConfig::new().policy(policy);
            let mut lab = Lab::linked(seed, &Link::delay(ms(20)).loss(0.2), config(), config());
            full(&mut lab);
            lab.run(20 * S);
            for side in Side::BOTH {
                let last = lab.events.iter().rev().find_map(|(_, known, event)| {
                    let AgentEvent::Selected(selection) = event else { return None };
                    (*known == side).then_some(selection.path)
                });
                let Some(selected) = lab.selected(side) else { continue };
                let last = last.unwrap();
                assert_eq!((selected.socket, selected.remote), (last.socket, last.remote), "{policy:?} {seed}");
                let nominated = lab.agent(side).pairs().filter(|pair| pair.is_nominated && pair.is_valid).count();
                assert!(nominated >= 1, "{policy:?} {seed}");
            }
        }
    }
}

#[test]
fn rfc8839_5_1_a_name_waits_for_its_address() {
    let mut lab = Lab::direct(1, AgentConfig::new(), AgentConfig::new());
    lab.start();
    lab.add_host(Side::Left, ONE, "50.0.0.1");
    let (_, right) = lab.add_host(Side::Right, ONE, "50.0.0.2");
    lab.end_local();
    lab.signal(Side::Left, ms(0), true);
    let named = format!("1 1 UDP 2130706431 7b0a.local {} typ host", right.port()).parse().unwrap();
    let description = lab.description(Side::Right, 0).with_candidates(vec![named]).ended();
    lab.with(Side::Left, |agent, cx| agent.set_remote(cx, 0, description)).unwrap();
    let asked = lab.time_of(Side::Left, |event| matches!(event, AgentEvent::Resolve { name } if name == "7b0a.local"));
    assert!(asked.is_some());
    lab.with(Side::Left, |agent, cx| agent.resolve(cx, "7b0a.local", Some(right.ip()))).unwrap();
    lab.run(2 * S);
    assert!(lab.agrees());
    assert!(lab.with(Side::Left, |agent, cx| agent.resolve(cx, "7b0a.local", None)).is_err());
}

/// An agent behind a NAT whose only signalled candidate is a private address: its pair is found by peer-reflexive candidates
/// on both sides, for each role and policy, with two components and two streams.
#[test]
fn rfc8445_7_2_5_3_1_an_agent_behind_a_nat_is_found_by_peer_reflexive_candidates() {
    use crate::shim::Shim;
    use portolan_ice::CandidateKind;
    use portolan_sim::topology::{Preset, Topology};
    for preset in [Preset::Home, Preset::Symmetric, Preset::Cgnat, Preset::Firewall] {
        for policy in POLICIES {
            for nomination in [Nomination::Regular, Nomination::Aggressive] {
                for nat_is_controlling in [true, false] {
                    let config = || AgentConfig::new().policy(policy).nomination(nomination).streams(&[2, 1]);
                    let topology = Topology::preset(preset).rtt(ms(40));
                    let mut built = topology.build(1, Shim::new(config()));
                    let internet = built.net.internet();
                    let address = crate::lab::ip("85.0.0.9");
                    let right =
                        built.net.add_host(internet, "right", &[address], &Link::delay(ms(20)), Shim::new(config()));
                    let mut lab = Lab::over(built.net, built.client, right);
                    for side in Side::BOTH {
                        let role = nat_is_controlling == (side == Side::Left);
                        lab.with(side, |agent, cx| agent.start(cx, role)).unwrap();
                    }
                    for component in config().components() {
                        let host = lab.host(Side::Left);
                        let own = if preset == Preset::Firewall { "85.0.0.2" } else { "192.168.1.2" };
                        let opened = lab.net.open(host, core::net::SocketAddr::new(crate::lab::ip(own), 0));
                        let Ok((socket, local)) = opened else { panic!("{preset:?} has another address than {own}") };
                        let candidate = portolan_ice::LocalCandidate::host(component, socket, local);
                        lab.with(Side::Left, |agent, cx| agent.add_local(cx, candidate)).unwrap();
                        lab.add_host(Side::Right, component, "85.0.0.9");
                    }
                    lab.exchange();
                    lab.run(10 * S);
                    let context = format!("{preset:?} {policy:?} {nomination:?} {nat_is_controlling}");
                    for component in config().components() {
                        let [left, right] = Side::BOTH.map(|side| lab.agent(side).selected(component));
                        let (Some(left), Some(right)) = (left, right) else { panic!("{context} {component}") };
                        assert_eq!((left.local, left.remote), (right.remote, right.local), "{context}");
                        if preset != Preset::Firewall {
                            assert_ne!(left.local, left.base, "{context}");
                            assert_eq!(left.local_kind, CandidateKind::PeerReflexive, "{context}");
                            assert_eq!(right.remote_kind, CandidateKind::PeerReflexive, "{context}");
                        }
                    }
                }
            }
        }
    }
}
