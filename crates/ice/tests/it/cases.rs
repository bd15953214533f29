//! Cases that deployed agents have failed on. Each test names the clause that says what is right.

use crate::lab::{Lab, ONE, Side, ms};
use crate::shim::{Kind, kind};
use crate::system::{Agreement, POLICIES};
use core::time::Duration;
use portolan_ice::{AgentConfig, AgentEvent, AgentState, Policy, SessionFailure};
use portolan_machine::{Instant, SocketId};
use portolan_sim::Link;

const S: Duration = Duration::from_secs(1);

fn two_paths(seed: u64, policy: Policy, left_role: bool, right_role: bool) -> Lab {
    let config = || AgentConfig::new().policy(policy);
    let mut lab = Lab::direct(seed, config(), config());
    for (side, own) in [(Side::Left, "50.1.0.1"), (Side::Right, "50.1.0.2")] {
        lab.add_interface(side, &[own], &Link::delay(ms(30)));
    }
    for (side, role) in [(Side::Left, left_role), (Side::Right, right_role)] {
        lab.with(side, |agent, cx| agent.start(cx, role)).unwrap();
    }
    for (side, own) in [(Side::Left, ["50.0.0.1", "50.1.0.1"]), (Side::Right, ["50.0.0.2", "50.1.0.2"])] {
        lab.add_host(side, ONE, own[0]);
        lab.add_relayed(side, ONE, own[1]);
    }
    lab
}

/// Case 1: the controlling agent nominates the relayed pair first, because the direct path is late, then the direct one.
#[test]
fn rfc8445_7_3_1_5_a_renewed_nomination_is_followed_by_both_sides_or_refused() {
    for policy in POLICIES {
        for seed in 0..10 {
            let mut lab = two_paths(seed, policy, true, true);
            for side in Side::BOTH {
                // Nothing arrives on the direct path in the first two seconds.
                lab.with(side, |shim, _| {
                    shim.set_filter(|now, datagram| {
                        now < Instant::from_millis(2_000) && datagram.local.ip().to_string().starts_with("50.0.")
                    });
                });
            }
            lab.exchange();
            let mut agreement = Agreement::new();
            lab.watch(20 * S, |lab| agreement.check(lab));
            let context = format!("{policy:?} seed {seed}");
            assert!(lab.agrees(), "{context}");
            assert!(agreement.longest <= ms(120), "{context} {:?}", agreement.longest);
            let is_relayed = lab.selected(Side::Left).unwrap().is_relayed();
            // The policy of browsers goes over to the direct pair; by RFC 8445 a component is nominated once.
            assert_eq!(is_relayed, policy == Policy::Textbook, "{context}");
        }
    }
}

fn story_with_signal_at(step: usize, policy: Policy) -> (Lab, usize) {
    let config = || AgentConfig::new().policy(policy);
    let mut lab = Lab::direct(5, config(), config());
    lab.start();
    lab.add_host(Side::Left, ONE, "50.0.0.1");
    lab.add_host(Side::Right, ONE, "50.0.0.2");
    lab.end_local();
    // The right agent knows the candidate of the left one only later.
    let late = lab.pending[0].clone();
    let description = lab.description(Side::Left, 0).with_candidates(Vec::new());
    lab.with(Side::Right, |agent, cx| agent.set_remote(cx, 0, description)).unwrap();
    lab.signal(Side::Right, ms(0), true);
    let (mut steps, mut best) = (0, 0);
    let rank = |lab: &Lab| match lab.agent(Side::Right).state() {
        AgentState::New => 0,
        AgentState::Checking => 1,
        AgentState::Connected => 2,
        AgentState::Completed => 3,
        other @ (AgentState::Disconnected | AgentState::Failed | AgentState::Closed) => panic!("{other}"),
    };
    while lab.net.now() < Instant::from_millis(9_000) {
        if steps == step {
            for (stream, candidate) in &late {
                lab.with(Side::Right, |agent, cx| agent.add_remote(cx, *stream, candidate)).unwrap();
            }
            assert!(rank(&lab) >= best, "the state goes back at step {step}");
        }
        steps += 1;
        let end = lab.net.now() + S;
        if !lab.step(end) {
            break;
        }
        assert!(rank(&lab) >= best, "the state goes back after step {step}");
        best = rank(&lab);
    }
    (lab, steps)
}

/// Case 2: the signalled candidate replaces the peer-reflexive one at every single step of the run.
#[test]
fn rfc8838_11_a_signalled_candidate_keeps_the_pair_of_a_peer_reflexive_one_at_every_step() {
    for policy in POLICIES {
        let (_, steps) = story_with_signal_at(usize::MAX, policy);
        for step in 0..steps {
            let (lab, _) = story_with_signal_at(step, policy);
            assert!(lab.agrees(), "{policy:?} step {step}");
            assert_eq!(lab.agent(Side::Right).pairs().count(), 1, "{policy:?} step {step}");
            let completed = lab.time_of(Side::Right, |event| *event == AgentEvent::State(AgentState::Completed));
            assert!(completed.unwrap() <= Instant::from_millis(400), "{policy:?} step {step} {completed:?}");
        }
    }
}

fn direct(seed: u64, policy: Policy) -> Lab {
    let config = || AgentConfig::new().policy(policy);
    let mut lab = Lab::direct(seed, config(), config());
    lab.start();
    lab.add_host(Side::Left, ONE, "50.0.0.1");
    lab.add_host(Side::Right, ONE, "50.0.0.2");
    lab.exchange();
    lab
}

/// Case 3: consent has its own clock, and data does not renew it.
#[test]
fn rfc7675_5_1_consent_requests_keep_their_cadence_under_data_and_data_gives_no_consent() {
    for policy in POLICIES {
        let mut lab = direct(3, policy);
        lab.run(S);
        for side in Side::BOTH {
            lab.with(side, |shim, cx| {
                shim.send_data(cx, ms(20));
                shim.sent.clear();
            });
        }
        lab.run(120 * S);
        for side in Side::BOTH {
            let requests: Vec<_> =
                lab.shim(side).sent.iter().filter(|sent| matches!(sent.kind, Kind::Request { .. })).collect();
            assert!((19..=30).contains(&requests.len()), "{policy:?} {side:?} {}", requests.len());
            for pair in requests.windows(2) {
                let gap = pair[1].at.since(pair[0].at);
                assert!((4 * S..=6 * S).contains(&gap), "{policy:?} {side:?} {gap:?}");
                assert_ne!(pair[0].id, pair[1].id, "a consent request is not retransmitted");
            }
        }
        // Now only STUN responses are lost. Data still arrives.
        for side in Side::BOTH {
            lab.with(side, |shim, _| shim.set_filter(|_, datagram| kind(datagram.payload) == Kind::Success));
        }
        let cut = lab.net.now();
        lab.run(60 * S);
        for side in Side::BOTH {
            let last = lab.shim(side).last_data.unwrap();
            assert!(last <= cut + 30 * S, "{policy:?} {side:?} {last:?}");
            assert!(last >= cut + 23 * S, "{policy:?} {side:?} {last:?}");
            let ended = |event: &AgentEvent| matches!(event, AgentEvent::Failed(SessionFailure::ConsentExpired(_)));
            assert!(lab.time_of(side, ended).is_some(), "{policy:?} {side:?}");
        }
    }
}

fn switches(lab: &Lab) -> usize {
    lab.events.iter().filter(|(_, _, event)| matches!(event, AgentEvent::Role(_))).count()
}

/// Case 4: both controlling, or both controlled, also with equal tie-breakers.
#[test]
fn rfc8445_7_3_1_1_role_conflicts_end_with_one_agent_of_each_role() {
    for policy in POLICIES {
        for role in [true, false] {
            for equal in [false, true] {
                for seed in 0..10 {
                    let config = || AgentConfig::new().policy(policy);
                    let mut lab = Lab::direct(seed, config(), config());
                    if equal {
                        for side in Side::BOTH {
                            let host = lab.host(side);
                            lab.net.set_counting_rng(host);
                        }
                    }
                    for side in Side::BOTH {
                        lab.with(side, |agent, cx| agent.start(cx, role)).unwrap();
                    }
                    if equal {
                        let [left, right] = Side::BOTH.map(|side| lab.agent(side).role().tie_breaker());
                        assert_eq!(left, right);
                        // The random numbers differ from now on.
                        lab.with(Side::Left, |_, cx| cx.random::<3>());
                    }
                    lab.add_host(Side::Left, ONE, "50.0.0.1");
                    lab.add_host(Side::Right, ONE, "50.0.0.2");
                    lab.exchange();
                    lab.run(10 * S);
                    let context = format!("{policy:?} {role} {equal} seed {seed}");
                    let [left, right] = Side::BOTH.map(|side| lab.agent(side).role().is_controlling());
                    assert_ne!(left, right, "{context}");
                    assert!(lab.agrees(), "{context}");
                    if !equal {
                        assert!(switches(&lab) <= 2, "{context} {}", switches(&lab));
                    }
                }
            }
        }
    }
}

/// Case 4: the conflict begins with a restart.
#[test]
fn rfc8445_9_a_restart_keeps_the_roles() {
    let mut lab = two_paths(1, Policy::Textbook, true, true);
    lab.exchange();
    lab.run(5 * S);
    let before = switches(&lab);
    lab.with(Side::Left, |agent, cx| agent.restart(cx)).unwrap();
    lab.signal(Side::Left, ms(0), true);
    lab.run(ms(1));
    lab.signal(Side::Right, ms(10), true);
    lab.run(10 * S);
    assert!(lab.agrees());
    assert_eq!(switches(&lab), before);
}

/// Case 5: the path dies between success and nomination: both directions, or the responses only.
#[test]
fn rfc8445_7_2_5_3_4_a_failed_nomination_has_the_outcome_of_its_policy() {
    for only_responses in [false, true] {
        for policy in POLICIES {
            let mut lab = two_paths(2, policy, true, false);
            lab.exchange();
            let is_direct = |pair: &portolan_ice::PairInfo| pair.is_valid && !pair.path.is_relayed();
            let valid = |lab: &Lab| lab.agent(Side::Left).pairs().any(|pair| is_direct(&pair));
            while !valid(&lab) {
                assert!(lab.step(Instant::from_millis(3_000)));
            }
            for side in Side::BOTH {
                lab.with(side, |shim, _| {
                    shim.set_filter(if only_responses {
                        |_, datagram| {
                            let is_direct = |ip: core::net::IpAddr| ip.to_string().starts_with("50.0.");
                            let is_on_it = is_direct(datagram.local.ip()) && is_direct(datagram.remote.ip());
                            is_on_it && kind(datagram.payload) == Kind::Success
                        }
                    } else {
                        |_, datagram| {
                            let is_direct = |ip: core::net::IpAddr| ip.to_string().starts_with("50.0.");
                            is_direct(datagram.local.ip()) && is_direct(datagram.remote.ip())
                        }
                    });
                });
            }
            lab.run(90 * S);
            let context = format!("{policy:?} only responses: {only_responses}");
            let failure = |event: &AgentEvent| matches!(event, AgentEvent::Failed(SessionFailure::NominationFailed { alive, .. }) if *alive > 0);
            match policy {
                Policy::Textbook => assert!(lab.time_of(Side::Left, failure).is_some(), "{context}"),
                Policy::Browserlike => {
                    assert!(lab.selected(Side::Left).is_some_and(|path| path.is_relayed()), "{context}");
                    assert!(lab.agrees(), "{context}");
                }
            }
        }
    }
}

/// Case 1: the own check of a nominated pair gets no response, although the checks of the peer arrive. The success response to
/// the nomination was wrong. So the consent of the peer is revoked, and both sides use another pair, or one has failed.
#[test]
fn rfc8445_7_3_1_5_a_nomination_whose_own_check_fails_is_revoked() {
    for is_renewed in [false, true] {
        for policy in POLICIES {
            let mut lab = two_paths(3, policy, true, false);
            if is_renewed {
                // The relayed pair is nominated first.
                lab.with(Side::Left, |shim, _| {
                    shim.set_filter(|now, datagram| {
                        now < Instant::from_millis(2_000) && datagram.local.ip().to_string().starts_with("50.0.")
                    });
                });
            }
            lab.with(Side::Right, |shim, _| {
                shim.set_filter(|_, datagram| {
                    let is_direct = |ip: core::net::IpAddr| ip.to_string().starts_with("50.0.");
                    let is_on_it = is_direct(datagram.local.ip()) && is_direct(datagram.remote.ip());
                    is_on_it && kind(datagram.payload) == Kind::Success
                });
            });
            lab.exchange();
            lab.run(100 * S);
            let context = format!("{policy:?} renewed: {is_renewed}");
            let is_direct =
                |event: &AgentEvent| matches!(event, AgentEvent::Selected(selection) if !selection.path.is_relayed());
            let failure = |event: &AgentEvent| matches!(event, AgentEvent::Failed(SessionFailure::NominationFailed { alive, .. }) if *alive > 0);
            let revocations = lab.shim(Side::Right).sent.iter().filter(|sent| sent.kind == Kind::Error(403)).count();
            match policy {
                Policy::Textbook if is_renewed => assert_eq!(lab.time_of(Side::Left, is_direct), None, "{context}"),
                Policy::Textbook => assert!(lab.time_of(Side::Right, failure).is_some(), "{context}"),
                Policy::Browserlike => {
                    assert!(lab.time_of(Side::Left, is_direct).is_some(), "{context}");
                    assert!((1..=3).contains(&revocations), "{context} {revocations}");
                    let revoked =
                        |event: &AgentEvent| *event == AgentEvent::Failed(SessionFailure::ConsentRevoked(ONE));
                    // The nomination of a direct pair has removed the relayed one.
                    assert_eq!(lab.time_of(Side::Left, revoked).is_some(), !is_renewed, "{context}");
                    if is_renewed {
                        assert!(lab.agrees(), "{context}");
                        assert!(lab.selected(Side::Left).unwrap().is_relayed(), "{context}");
                    }
                }
            }
        }
    }
}

/// A relayed pair is valid early, and the good direct pair comes behind these dead pairs.
fn late_direct(policy: Policy, dead: u16, is_reachable: bool) -> Lab {
    let mut lab = two_paths(6, policy, true, false);
    let relayed = |(_, candidate): &(u16, portolan_sdp::candidate::CandidateAttribute)| {
        candidate.candidate_type == portolan_sdp::candidate::CandidateType::Relayed
    };
    let all = lab.pending.clone();
    for side in Side::BOTH {
        let first = all[side as usize].iter().filter(|one| relayed(one)).map(|(_, candidate)| candidate.clone());
        let description = lab.description(side, 0).with_candidates(first.collect());
        lab.with(side.other(), |agent, cx| agent.set_remote(cx, 0, description)).unwrap();
    }
    lab.run(ms(100));
    for nth in 0..dead {
        let text = format!("dead{nth} 1 UDP {} 60.0.1.{} 5000 typ host", 2_130_706_431 - u32::from(nth), nth + 1);
        lab.with(Side::Left, |agent, cx| agent.add_remote(cx, 0, &text.parse().unwrap())).unwrap();
    }
    for (side, (_, candidate)) in Side::BOTH
        .into_iter()
        .flat_map(|side| all[side as usize].iter().filter(|one| !relayed(one)).map(move |one| (side, one)))
    {
        let candidate = portolan_sdp::candidate::CandidateAttribute { priority: 2_000_000_000, ..candidate.clone() };
        // The right agent does not know the direct candidate of the left one, so its checks do not help.
        if side == Side::Right && is_reachable {
            lab.with(Side::Left, |agent, cx| agent.add_remote(cx, 0, &candidate)).unwrap();
        }
    }
    for side in Side::BOTH {
        lab.with(side, |agent, cx| agent.end_local(cx)).unwrap();
        lab.with(side, |agent, cx| agent.end_remote(cx, 0)).unwrap();
    }
    lab
}

fn first_selection(lab: &Lab) -> (Instant, bool) {
    let is_selected = |event: &AgentEvent| matches!(event, AgentEvent::Selected(_));
    let is_direct = |event: &AgentEvent| matches!(event, AgentEvent::Selected(one) if !one.path.is_relayed());
    let at = lab.time_of(Side::Left, is_selected).unwrap();
    (at, lab.time_of(Side::Left, is_direct) != Some(at))
}

/// The wait for a direct pair does not end before the direct pair was checked.
#[test]
fn rfc8445_8_1_1_a_direct_pair_whose_check_was_not_sent_is_awaited() {
    for policy in POLICIES {
        let mut lab = late_direct(policy, 12, true);
        lab.run(5 * S);
        let (at, is_relayed) = first_selection(&lab);
        assert!(!is_relayed, "{policy:?} {at:?}");
        assert!(lab.agrees(), "{policy:?}");
    }
}

/// The wait for direct pairs ends one second after the first valid pair, also when pairs were not checked yet.
#[test]
fn rfc8445_8_1_1_the_wait_for_unchecked_direct_pairs_is_bounded() {
    for policy in POLICIES {
        let mut lab = late_direct(policy, 60, false);
        lab.run(5 * S);
        let connected = lab.time_of(Side::Left, |event| *event == AgentEvent::State(AgentState::Connected)).unwrap();
        let (at, is_relayed) = first_selection(&lab);
        assert!(is_relayed, "{policy:?}");
        let waited = at.since(connected);
        assert!((S..=S + ms(120 + 50)).contains(&waited), "{policy:?} {waited:?}");
    }
}

/// Case 7: ten minutes without data, with good, dead and duplicate pairs.
#[test]
fn rfc8445_11_idle_traffic_is_bounded_and_the_pair_does_not_change() {
    for policy in POLICIES {
        let mut lab = two_paths(4, policy, true, false);
        for dead in ["60.0.0.1", "60.0.0.2", "60.0.0.3"] {
            lab.add_interface(Side::Right, &[dead], &Link::delay(ms(20)).loss(1.0));
            lab.add_host(Side::Right, ONE, dead);
        }
        lab.exchange();
        lab.run(60 * S);
        for side in Side::BOTH {
            lab.with(side, |shim, _| shim.sent.clear());
        }
        lab.run(600 * S);
        for side in Side::BOTH {
            let sent = lab.shim(side).sent.len();
            assert!(sent <= 10 * 30 + 2, "{policy:?} {side:?} {sent} messages in ten minutes");
            let selections = lab
                .events
                .iter()
                .filter(|(_, known, event)| *known == side && matches!(event, AgentEvent::Selected(_)));
            assert!(selections.count() <= 2, "{policy:?} {side:?}");
        }
    }
}

/// Case 8: forty dead host candidates of a higher priority, one good host candidate, and a relayed one.
fn many_dead(policy: Policy, limit: usize) -> Lab {
    let config = || AgentConfig::new().policy(policy).pairs(limit);
    let mut lab = Lab::direct(8, config(), config());
    lab.add_interface(Side::Right, &["50.1.0.2"], &Link::delay(ms(20)));
    lab.start();
    lab.add_host(Side::Left, ONE, "50.0.0.1");
    for nth in 0..40_u16 {
        let address = format!("60.0.1.{}:5000", nth + 1).parse().unwrap();
        let candidate = portolan_ice::LocalCandidate::host(ONE, SocketId(900 + u64::from(nth)), address);
        lab.with(Side::Right, |agent, cx| agent.add_local(cx, candidate.with_preference(60_000 - nth))).unwrap();
    }
    let host = lab.host(Side::Right);
    let (socket, local) = lab.net.open(host, "50.0.0.2:0".parse().unwrap()).unwrap();
    let good = portolan_ice::LocalCandidate::host(ONE, socket, local).with_preference(1);
    lab.with(Side::Right, |agent, cx| agent.add_local(cx, good)).unwrap();
    lab.add_relayed(Side::Right, ONE, "50.1.0.2");
    lab.exchange();
    lab
}

fn time_of_direct(lab: &Lab, side: Side) -> Option<Instant> {
    lab.time_of(side, |event| matches!(event, AgentEvent::Selected(selection) if !selection.path.is_relayed()))
}

#[test]
fn rfc8445_6_1_2_5_the_limit_of_pairs_discards_by_priority_and_a_good_pair_is_found() {
    for policy in POLICIES {
        let mut lab = many_dead(policy, 100);
        lab.run(20 * S);
        let direct = time_of_direct(&lab, Side::Left).unwrap_or_else(|| panic!("{policy:?}"));
        assert!(direct <= Instant::from_millis(41 * 50 + 2 * 80 + 100), "{policy:?} {direct:?}");
        assert!(lab.agrees(), "{policy:?}");
    }
    let mut lab = many_dead(Policy::Browserlike, 12);
    lab.run(30 * S);
    let first = lab.time_of(Side::Left, |event| matches!(event, AgentEvent::Selected(_))).unwrap();
    assert!(first <= Instant::from_millis(2_000), "{first:?}");
    let direct = time_of_direct(&lab, Side::Left);
    assert!(direct.is_some_and(|direct| direct <= Instant::from_millis(10_000)), "{direct:?}");
    assert!(lab.agent(Side::Left).pairs().count() <= 12);
}

/// Case 4: an error response without integrity, or with the integrity of another key, changes nothing.
#[test]
fn rfc8445_7_2_5_1_a_forged_role_conflict_is_ignored() {
    use portolan_machine::{Cx, Datagram, Input, Instant, Machine, Output, SocketIds, Verdict};
    use portolan_stun::attribute::Text;
    use portolan_stun::{Attribute, ErrorCode, IntegrityKey, Message, ResponseClass, Writer};

    struct Counter(u8);
    impl portolan_machine::Entropy for Counter {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
        }
    }

    const PASSWORD: &str = "asd88fgpdd777uzjYhagZg";
    for (key, is_genuine) in [(None, false), (Some("bsd88fgpdd777uzjYhagZg"), false), (Some(PASSWORD), true)] {
        let (mut rng, mut ids) = (Counter(0), SocketIds::new());
        let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
        let mut agent = portolan_ice::Agent::new(AgentConfig::new());
        agent.start(&mut cx, true).unwrap();
        let local: core::net::SocketAddr = "10.0.0.7:4000".parse().unwrap();
        agent.add_local(&mut cx, portolan_ice::LocalCandidate::host(ONE, SocketId(1), local)).unwrap();
        let credentials = portolan_ice::Credentials::new("peer", PASSWORD).unwrap();
        let candidate = "1 1 UDP 2130706431 192.0.2.1 5000 typ host".parse().unwrap();
        let description = portolan_ice::RemoteDescription::new(credentials).with_candidates(vec![candidate]);
        agent.set_remote(&mut cx, 0, description).unwrap();
        let sent = core::iter::from_fn(|| match agent.poll() {
            Output::Wait(_) => None,
            output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => Some(output),
        });
        let check = sent.filter_map(|output| match output {
            Output::Transmit(transmit) => Some(transmit),
            Output::Socket(_) | Output::Event(_) | Output::Wait(_) => None,
        });
        let check = check.last().unwrap();
        let request = Message::decode(&check.payload).unwrap();
        let mut buffer = [0; 200];
        let mut writer = Writer::response(&mut buffer, &request.exempt(), ResponseClass::Error).unwrap();
        writer.add(&Attribute::ErrorCode(ErrorCode::new(487, Text::new("")).unwrap())).unwrap();
        let payload = match key {
            Some(key) => writer
                .message_integrity(&IntegrityKey::short_term(key))
                .unwrap()
                .fingerprint()
                .unwrap()
                .finish()
                .to_vec(),
            None => writer.fingerprint().unwrap().finish().to_vec(),
        };
        let datagram = Datagram::new(SocketId(1), local, check.remote, &payload);
        let before = agent.role();
        assert_eq!(agent.handle(&mut cx, Input::Datagram(datagram)), Verdict::Mine);
        assert_eq!(agent.role() != before, is_genuine);
        assert_eq!(agent.role().tie_breaker() != before.tie_breaker(), is_genuine, "the tie-breaker is new");
    }
}
