//! Several nominations of one component: their order, their failures, and aggressive nomination (RFC 8445 §8.1.1).

use crate::lab::{Lab, ONE, Side, ms};
use crate::shim::{Kind, kind};
use crate::solo::{LOCAL, PASSWORD, PEER, Solo, addr};
use crate::system::POLICIES;
use core::net::SocketAddr;
use portolan_ice::{AgentConfig, AgentState, LocalCandidate, Nomination, PairState, Policy};
use portolan_machine::{Input, Instant, Machine as _, SocketEvent, SocketId, Unreachability};
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, ResponseClass, Writer};

const OTHER: &str = "192.0.2.2:5000";
const HOSTS: [&str; 2] = ["1 1 UDP 2130706431 192.0.2.1 5000 typ host", "2 1 UDP 2130706175 192.0.2.2 5000 typ host"];

fn selected(solo: &Solo) -> Option<SocketAddr> {
    solo.agent.selected(ONE).map(|path| path.remote)
}

/// A nomination of the peer with this number. The first nomination of an agent has no number.
fn nomination(solo: &Solo, id: u8, number: u32) -> Vec<u8> {
    let mut attributes =
        vec![Attribute::Priority(1_862_270_975), Attribute::IceControlling(1), Attribute::UseCandidate];
    attributes.extend((number > 1).then_some(Attribute::Nomination(number)));
    solo.check(id, &attributes)
}

/// The number in the last check of the agent. `None`: the check is not a nomination, or it has no number.
fn last_number(solo: &Solo) -> Option<u32> {
    let bytes = solo.last_request();
    let check = Message::decode(&bytes).unwrap();
    match check.exempt().attribute(AttributeType::NOMINATION) {
        Some(Ok(Attribute::Nomination(number))) if check.has(AttributeType::USE_CANDIDATE) => Some(number),
        _ => None,
    }
}

/// Responds to a check that the agent sent before.
fn respond_to(solo: &mut Solo, from: &str, check: &[u8]) {
    let request = Message::decode(check).unwrap();
    let mut buffer = [0; 200];
    let mut writer = Writer::response(&mut buffer, &request.exempt(), ResponseClass::Success).unwrap();
    writer.add(&Attribute::XorMappedAddress(addr(LOCAL))).unwrap();
    let key = IntegrityKey::short_term(PASSWORD);
    let bytes = writer.message_integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec();
    let _verdict = solo.receive(from, &bytes);
}

/// A controlled agent with two valid pairs. The peer has sent a check of each pair that is not a nomination.
fn two_valid_pairs(policy: Policy) -> Solo {
    let mut solo = Solo::new(false, AgentConfig::new().policy(policy));
    solo.describe(&HOSTS);
    solo.respond(PEER, Ok(addr(LOCAL)));
    solo.run(ms(50));
    solo.respond(OTHER, Ok(addr(LOCAL)));
    for (id, from) in [(1, PEER), (2, OTHER)] {
        let check = solo.valid_check(id, false);
        assert_eq!(solo.request(from, &check), Some((Class::SuccessResponse, 0)));
    }
    solo
}

/// The network delays the first nomination behind the second one. The peer has given the first one up.
#[test]
fn rfc8445_7_3_1_5_an_earlier_nomination_that_arrives_late_is_refused() {
    for policy in POLICIES {
        for (first, second) in [(PEER, OTHER), (OTHER, PEER)] {
            let mut solo = two_valid_pairs(policy);
            let check = nomination(&solo, 3, 2);
            assert_eq!(solo.request(second, &check), Some((Class::SuccessResponse, 0)));
            for id in [4, 5] {
                let check = nomination(&solo, id, 1);
                assert_eq!(solo.request(first, &check), Some((Class::ErrorResponse, 400)), "{policy:?} {first}");
            }
            assert_eq!(selected(&solo), Some(addr(second)), "{policy:?} {first}");
        }
    }
}

/// A newer nomination is followed, also one of a pair with a lower priority.
#[test]
fn rfc8445_7_3_1_5_a_newer_nomination_is_followed_for_each_order_of_priorities() {
    for policy in POLICIES {
        for (first, second) in [(PEER, OTHER), (OTHER, PEER)] {
            let mut solo = two_valid_pairs(policy);
            for (id, number, from) in [(3, 1, first), (4, 2, second), (5, 3, first)] {
                let check = nomination(&solo, id, number);
                assert_eq!(solo.request(from, &check), Some((Class::SuccessResponse, 0)), "{policy:?} {number}");
                assert_eq!(selected(&solo), Some(addr(from)), "{policy:?} {number}");
            }
        }
    }
}

/// The own check of the first nominated pair is pending when the second nomination arrives, and succeeds later.
#[test]
fn rfc8445_7_3_1_5_a_pending_check_of_an_earlier_nomination_selects_nothing() {
    for policy in POLICIES {
        let mut solo = Solo::new(false, AgentConfig::new().policy(policy));
        solo.describe(&HOSTS);
        solo.run(ms(50));
        solo.respond(OTHER, Ok(addr(LOCAL)));
        let first = nomination(&solo, 1, 1);
        assert_eq!(solo.request(PEER, &first), Some((Class::SuccessResponse, 0)));
        solo.run(ms(50));
        assert_eq!(solo.sent.last().map(|(_, sent)| sent.remote), Some(addr(PEER)), "the triggered check");
        let triggered = solo.last_request();
        let second = nomination(&solo, 2, 2);
        assert_eq!(solo.request(OTHER, &second), Some((Class::SuccessResponse, 0)));
        respond_to(&mut solo, PEER, &triggered);
        assert_eq!(selected(&solo), Some(addr(OTHER)), "{policy:?}");
    }
}

/// The first nomination has no number, so a peer without the attribute understands it. Each further one has the next number.
#[test]
fn rfc8445_8_1_1_each_further_nomination_has_the_next_number() {
    let mut solo = Solo::new(true, AgentConfig::new().policy(Policy::Browserlike));
    solo.describe(&HOSTS);
    solo.respond(PEER, Ok(addr(LOCAL)));
    solo.run(ms(50));
    let nominates = |solo: &Solo| Message::decode(&solo.last_request()).unwrap().has(AttributeType::USE_CANDIDATE);
    assert!(nominates(&solo));
    assert_eq!(last_number(&solo), None);
    solo.respond(PEER, Err(400));
    solo.run(ms(50));
    solo.respond(OTHER, Ok(addr(LOCAL)));
    solo.run(ms(50));
    assert_eq!(last_number(&solo), Some(2));
    // A repeated check belongs to the same nomination.
    solo.run(ms(500));
    assert_eq!(last_number(&solo), Some(2));
    solo.respond(OTHER, Ok(addr(LOCAL)));
    assert_eq!(selected(&solo), Some(addr(OTHER)));
}

/// The agent has selected a relayed pair, and nominates a better pair. The peer follows, and its response is lost. So the
/// agent nominates the relayed pair again, and the peer comes back.
#[test]
fn rfc8445_8_1_1_a_better_nomination_without_a_response_is_taken_back() {
    let config = || AgentConfig::new().policy(Policy::Browserlike);
    let mut lab = Lab::direct(3, config(), config());
    for (side, own) in [(Side::Left, "50.1.0.1"), (Side::Right, "50.1.0.2")] {
        lab.add_interface(side, &[own], &portolan_sim::Link::delay(ms(30)));
    }
    lab.start();
    for (side, own) in [(Side::Left, ["50.0.0.1", "50.1.0.1"]), (Side::Right, ["50.0.0.2", "50.1.0.2"])] {
        lab.add_host(side, ONE, own[0]);
        lab.add_relayed(side, ONE, own[1]);
        // Nothing arrives on the direct path in the first two seconds.
        lab.with(side, |shim, _| {
            shim.set_filter(|now, datagram| {
                now < Instant::from_millis(2_000) && datagram.local.ip().to_string().starts_with("50.0.")
            });
        });
    }
    lab.exchange();
    let is_valid = |lab: &Lab| lab.agent(Side::Left).pairs().any(|pair| pair.is_valid && !pair.path.is_relayed());
    while !is_valid(&lab) {
        assert!(lab.step(Instant::from_millis(20_000)), "the direct pair becomes valid");
    }
    assert!(lab.agrees() && lab.selected(Side::Left).unwrap().is_relayed());
    // From now on all responses on the direct path to the left agent are lost.
    lab.with(Side::Left, |shim, _| {
        shim.set_filter(|_, datagram| {
            datagram.local.ip().to_string().starts_with("50.0.") && kind(datagram.payload) == Kind::Success
        });
    });
    let mut followed = false;
    lab.watch(ms(20_000), |lab| followed |= lab.selected(Side::Right).is_some_and(|path| !path.is_relayed()));
    assert!(followed, "the right agent follows the better nomination");
    assert!(lab.agrees(), "{:?}", Side::BOTH.map(|side| lab.selected(side)));
    assert!(lab.selected(Side::Left).unwrap().is_relayed());
    assert_eq!(Side::BOTH.map(|side| lab.agent(side).state()), [AgentState::Completed; 2]);
}

/// The agent nominates the same pair again. A late response to its earlier nomination does not end the newest one.
#[test]
fn rfc8445_8_1_1_a_late_response_to_an_earlier_nomination_does_not_end_the_newest_one() {
    let mut solo = Solo::new(true, AgentConfig::new().policy(Policy::Browserlike));
    solo.describe(&[
        "1 1 UDP 2130706431 192.0.2.1 5000 typ host",
        "2 1 UDP 16777215 192.0.2.2 5000 typ relay raddr 192.0.2.2 rport 5000",
    ]);
    solo.run(ms(50));
    solo.respond(OTHER, Ok(addr(LOCAL)));
    solo.sent.clear();
    // The relayed pair is nominated first, with two checks.
    solo.run(ms(1_600));
    let of_other = |solo: &Solo| -> Vec<Vec<u8>> {
        let to_other = solo.sent.iter().filter(|(_, sent)| sent.remote == addr(OTHER));
        to_other.map(|(_, sent)| sent.payload.to_vec()).collect()
    };
    let nominations = of_other(&solo);
    assert!(nominations.len() >= 2, "{}", nominations.len());
    respond_to(&mut solo, OTHER, nominations.last().unwrap());
    assert_eq!(selected(&solo), Some(addr(OTHER)));
    // The direct pair becomes valid. Its nomination fails, and the relayed pair is nominated again.
    solo.run(ms(500));
    let to_peer = solo.sent.iter().rev().find(|(_, sent)| sent.remote == addr(PEER)).unwrap().1.payload.to_vec();
    respond_to(&mut solo, PEER, &to_peer);
    solo.run(ms(50));
    assert_eq!(last_number(&solo), Some(2));
    let event = SocketEvent::Unreachable { remote: addr(PEER), why: Unreachability::Host };
    let _verdict = solo.with(|agent, cx| agent.handle(cx, Input::Socket(SocketId(1), event)));
    solo.run(ms(50));
    assert_eq!(last_number(&solo), Some(3));
    respond_to(&mut solo, OTHER, &nominations[0]);
    // The newest nomination is still pending, so its check is repeated.
    solo.sent.clear();
    solo.run(ms(600));
    assert_eq!(last_number(&solo), Some(3));
    assert_eq!(solo.sent.last().map(|(_, sent)| sent.remote), Some(addr(OTHER)));
}

/// A peer that nominates with its first checks nominates aggressively. Of its nominations the one with the highest priority
/// is used. Other peers nominate again without a number, and the policy of browsers follows.
#[test]
fn rfc8445_8_1_1_the_highest_priority_is_selected_if_the_peer_nominates_aggressively() {
    for policy in POLICIES {
        let mut solo = Solo::new(false, AgentConfig::new().policy(policy));
        solo.describe(&HOSTS);
        solo.respond(PEER, Ok(addr(LOCAL)));
        solo.run(ms(50));
        solo.respond(OTHER, Ok(addr(LOCAL)));
        for (id, from) in [(1, OTHER), (2, PEER), (3, OTHER)] {
            let check = nomination(&solo, id, 1);
            let _response = solo.request(from, &check);
        }
        assert_eq!(selected(&solo), Some(addr(PEER)), "{policy:?}");
    }
    let mut solo = two_valid_pairs(Policy::Browserlike);
    for (id, from) in [(3, PEER), (4, OTHER)] {
        let check = nomination(&solo, id, 1);
        assert_eq!(solo.request(from, &check), Some((Class::SuccessResponse, 0)));
        assert_eq!(selected(&solo), Some(addr(from)));
    }
}

/// The agent has accepted two nominations of an aggressive peer. The check of the better pair waits when the other check
/// succeeds.
#[test]
fn rfc8445_8_1_1_the_check_of_a_nominated_pair_goes_on_after_another_nomination() {
    for policy in POLICIES {
        let mut solo = Solo::new(false, AgentConfig::new().policy(policy));
        solo.describe(&HOSTS);
        for (id, from) in [(1, PEER), (2, OTHER)] {
            let check = nomination(&solo, id, 1);
            assert_eq!(solo.request(from, &check), Some((Class::SuccessResponse, 0)));
        }
        solo.run(ms(100));
        assert_eq!(solo.sent.last().map(|(_, sent)| sent.remote), Some(addr(OTHER)));
        let to_other = solo.last_request();
        let check = nomination(&solo, 3, 1);
        assert_eq!(solo.request(PEER, &check), Some((Class::SuccessResponse, 0)));
        respond_to(&mut solo, OTHER, &to_other);
        assert_eq!(selected(&solo), Some(addr(OTHER)), "{policy:?}");
        solo.run(ms(50));
        solo.respond(PEER, Ok(addr(LOCAL)));
        assert_eq!(selected(&solo), Some(addr(PEER)), "{policy:?}");
    }
}

/// The peer may have accepted the nomination in an earlier check of a better pair, which waits for a triggered check.
#[test]
fn rfc8445_8_1_1_an_aggressive_agent_goes_on_with_the_check_of_a_better_pair() {
    for policy in POLICIES {
        let config = AgentConfig::new().policy(policy).nomination(Nomination::Aggressive);
        let mut solo = Solo::new(true, config);
        solo.describe(&HOSTS);
        solo.run(ms(50));
        let check = solo.valid_check(1, false);
        assert_eq!(solo.request(PEER, &check), Some((Class::SuccessResponse, 0)));
        solo.respond(OTHER, Ok(addr(LOCAL)));
        assert_eq!(selected(&solo), Some(addr(OTHER)), "{policy:?}");
        solo.run(ms(50));
        solo.respond(PEER, Ok(addr(LOCAL)));
        assert_eq!(selected(&solo), Some(addr(PEER)), "{policy:?}");
    }
}

/// The check of a better pair has failed, and the peer has accepted its nomination. A request of the peer on this pair
/// repeats the check.
#[test]
fn rfc8445_8_1_1_an_aggressive_agent_repeats_the_nomination_of_a_better_pair_that_the_peer_uses() {
    for policy in POLICIES {
        let config = AgentConfig::new().policy(policy).nomination(Nomination::Aggressive);
        let mut solo = Solo::new(true, config);
        solo.describe(&HOSTS);
        let event = SocketEvent::Unreachable { remote: addr(PEER), why: Unreachability::Host };
        let _verdict = solo.with(|agent, cx| agent.handle(cx, Input::Socket(SocketId(1), event)));
        solo.run(ms(50));
        solo.respond(OTHER, Ok(addr(LOCAL)));
        assert_eq!(selected(&solo), Some(addr(OTHER)), "{policy:?}");
        let failed = solo.agent.pairs().find(|pair| pair.path.remote == addr(PEER)).map(|pair| pair.state);
        assert_eq!(failed, Some(PairState::Failed));
        let check = solo.valid_check(1, false);
        assert_eq!(solo.request(PEER, &check), Some((Class::SuccessResponse, 0)));
        solo.run(ms(50));
        solo.respond(PEER, Ok(addr(LOCAL)));
        assert_eq!(selected(&solo), Some(addr(PEER)), "{policy:?}");
    }
}

/// The left agent has two sockets behind a NAT, and nominates aggressively. It gives the pair of the first socket the highest
/// priority, because it computes with the bases. The right agent knows the address of the first socket as a server-reflexive
/// candidate, and learns that of the second one from a check, with a higher priority. Each agent follows its own checklist.
#[test]
fn rfc8445_8_1_1_with_aggressive_nomination_a_reflexive_candidate_has_another_priority_on_each_side() {
    let signalled = "1 1 UDP 1694498815 192.0.2.1 5000 typ srflx raddr 10.0.0.1 rport 5000";
    let mut right = Solo::new(false, AgentConfig::new());
    right.describe(&[signalled]);
    right.respond(PEER, Ok(addr(LOCAL)));
    for (id, from) in [(1, PEER), (2, OTHER)] {
        let check = nomination(&right, id, 1);
        assert_eq!(right.request(from, &check), Some((Class::SuccessResponse, 0)));
    }
    right.run(ms(50));
    right.respond(OTHER, Ok(addr(LOCAL)));
    // The PRIORITY of a check has the type preference 110 of a peer-reflexive candidate, and the signalled one has 100.
    assert_eq!(selected(&right), Some(addr(OTHER)));
    let mut left = Solo::new(true, AgentConfig::new().nomination(Nomination::Aggressive));
    let second = LocalCandidate::host(ONE, SocketId(2), addr("10.0.0.8:4000")).with_preference(9);
    left.with(|agent, cx| agent.add_local(cx, second)).unwrap();
    left.describe(&HOSTS[..1]);
    let mut pairs: Vec<_> = left.agent.pairs().map(|pair| (pair.priority, pair.path.socket)).collect();
    pairs.sort_unstable();
    assert_eq!(pairs.last().map(|(_, socket)| *socket), Some(SocketId(1)));
}
