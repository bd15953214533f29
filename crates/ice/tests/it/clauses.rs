//! Single clauses of RFC 8445, RFC 7675 and RFC 8489 on the messages of one agent.

use crate::solo::{LOCAL, ONE, PASSWORD, PEER, Solo, UFRAG, addr, encode};
use core::time::Duration;
use portolan_ice::{
    AgentConfig, AgentEvent, AgentState, LocalCandidate, NominationReason, PairFailure, PairInfo, PairState, Policy,
    SessionFailure,
};
use portolan_machine::{Input, Machine as _, SocketEvent, SocketId, Unreachability, Verdict};
use portolan_stun::attribute::Text;
use portolan_stun::{Attribute, AttributeType, Class, Integrity, IntegrityKey, Message};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const OTHER: &str = "192.0.2.2:5000";

fn pair(solo: &Solo, remote: &str) -> Option<PairInfo> {
    solo.agent.pairs().find(|pair| pair.path.remote == addr(remote))
}

fn state(solo: &Solo, remote: &str) -> Option<PairState> {
    pair(solo, remote).map(|pair| pair.state)
}

/// An agent that has selected its only pair.
fn completed(controlling: bool, config: AgentConfig) -> Solo {
    let mut solo = Solo::checking(controlling, config);
    solo.respond(PEER, Ok(addr(LOCAL)));
    if controlling {
        solo.run(50 * MS);
        solo.respond(PEER, Ok(addr(LOCAL)));
    } else {
        let nomination = solo.valid_check(1, true);
        assert_eq!(solo.request(PEER, &nomination), Some((Class::SuccessResponse, 0)));
    }
    assert_eq!(solo.agent.state(), AgentState::Completed);
    solo.sent.clear();
    solo
}

#[test]
fn rfc8445_7_1_a_check_has_the_attributes_of_its_role() {
    for controlling in [true, false] {
        let mut solo = Solo::checking(controlling, AgentConfig::new());
        let bytes = solo.last_request();
        let check = Message::decode(&bytes).unwrap();
        let ufrag = solo.agent.credentials().unwrap().ufrag();
        assert_eq!(check.username().unwrap().as_str(), Some(format!("{UFRAG}:{ufrag}").as_str()));
        // A peer-reflexive candidate of the base: type preference 110, local preference 65535, component 1.
        assert_eq!(check.priority(), Some((110 << 24) + (65_535 << 8) + 255));
        let tie_breaker = Some(solo.agent.role().tie_breaker());
        assert_eq!(check.ice_controlling(), tie_breaker.filter(|_| controlling));
        assert_eq!(check.ice_controlled(), tie_breaker.filter(|_| !controlling));
        assert!(!check.has(AttributeType::USE_CANDIDATE));
        assert_eq!(check.check_fingerprint(), Ok(()));
        let key = IntegrityKey::short_term(PASSWORD);
        assert!(check.verify_with(&key, Integrity::Sha1).is_ok());
        solo.respond(PEER, Ok(addr(LOCAL)));
        solo.sent.clear();
        solo.run(50 * MS);
        // Only the controlling agent nominates.
        let nominations = solo
            .take()
            .iter()
            .filter(|sent| Message::decode(&sent.payload).unwrap().has(AttributeType::USE_CANDIDATE))
            .count();
        assert_eq!(nominations, usize::from(controlling));
    }
}

#[test]
fn rfc8445_7_3_a_request_gets_the_error_of_its_fault() {
    let mut solo = Solo::checking(false, AgentConfig::new());
    let key = solo.key();
    let own = solo.agent.credentials().unwrap().ufrag().to_string();
    let name = format!("{own}:{UFRAG}");
    let username = Attribute::Username(Text::new(&name));
    let (priority, role) = (Attribute::Priority(1_862_270_975), Attribute::IceControlling(1));
    let wrong = IntegrityKey::short_term("bsd88fgpdd777uzjYhagZg");
    let all = [username, priority, role];
    let other_name = format!("{own}x:{UFRAG}");
    let other_user = [Attribute::Username(Text::new(&other_name)), priority, role];
    let no_colon = [Attribute::Username(Text::new(&own)), priority, role];
    let unknown = [username, priority, role, Attribute::RequestedTransport(17)];
    let error = |code| Some((Class::ErrorResponse, code));
    let cases = [
        ("valid", encode(1, &all, Some(&key), true), Some((Class::SuccessResponse, 0))),
        ("no fingerprint", encode(2, &all, Some(&key), false), None),
        ("no username", encode(3, &all[1..], Some(&key), true), error(400)),
        ("no integrity", encode(4, &all, None, true), error(400)),
        ("another user", encode(5, &other_user, Some(&key), true), error(401)),
        ("no colon", encode(6, &no_colon, Some(&key), true), error(401)),
        ("wrong integrity", encode(7, &all, Some(&wrong), true), error(401)),
        ("unknown attribute", encode(8, &unknown, Some(&key), true), error(420)),
        ("no priority", encode(9, &[username, role], Some(&key), true), error(400)),
    ];
    for (name, request, expected) in cases {
        assert_eq!(solo.request(PEER, &request), expected, "{name}");
    }
}

/// A success response would tell the peer that this agent follows, and the two agents would select different pairs.
#[test]
fn rfc8445_7_3_1_5_a_nomination_without_room_for_its_pair_is_refused() {
    for (pairs, expected) in [(1, (Class::ErrorResponse, 500)), (2, (Class::SuccessResponse, 0))] {
        // The check of the only pair is pending, so its pair gives up no room.
        let mut solo = Solo::checking(false, AgentConfig::new().pairs(pairs));
        let check = solo.valid_check(1, false);
        assert_eq!(solo.request(OTHER, &check), Some((Class::SuccessResponse, 0)), "an ordinary check is answered");
        let nomination = solo.valid_check(2, true);
        assert_eq!(solo.request(OTHER, &nomination), Some(expected), "at most {pairs} pairs");
    }
}

/// The response has the mapped address, and the integrity of the receiver's password.
#[test]
fn rfc8445_7_3_1_2_a_success_response_has_the_source_address_of_the_request() {
    let mut solo = Solo::checking(false, AgentConfig::new());
    let check = solo.valid_check(1, false);
    assert_eq!(solo.receive(OTHER, &check), Verdict::Mine);
    let response = solo.take().into_iter().find(|sent| sent.remote == addr(OTHER)).unwrap();
    let message = Message::decode(&response.payload).unwrap();
    assert_eq!(message.check_fingerprint(), Ok(()));
    let message = message.verify_with(&solo.key(), Integrity::Sha1).unwrap();
    assert_eq!(message.xor_mapped_address(), Some(addr(OTHER)));
    assert_eq!(response.local, Some(addr(LOCAL).ip()));
}

#[test]
fn rfc8445_7_3_1_1_the_larger_tie_breaker_keeps_its_role() {
    for controlling in [true, false] {
        for (difference, is_own_larger) in [(-1_i64, true), (0, true), (1, false)] {
            let mut solo = Solo::checking(controlling, AgentConfig::new());
            let peer = solo.agent.role().tie_breaker().wrapping_add_signed(difference);
            let role = if controlling { Attribute::IceControlling(peer) } else { Attribute::IceControlled(peer) };
            let check = solo.check(1, &[Attribute::Priority(1_862_270_975), role]);
            let context = format!("{controlling} {difference}");
            // The agent with the larger or equal tie-breaker becomes or stays controlling.
            let keeps = controlling == is_own_larger;
            let expected = if keeps { (Class::ErrorResponse, 487) } else { (Class::SuccessResponse, 0) };
            assert_eq!(solo.request(PEER, &check), Some(expected), "{context}");
            assert_eq!(solo.agent.role().is_controlling(), is_own_larger, "{context}");
        }
    }
}

#[test]
fn rfc8445_7_2_5_1_after_487_the_check_is_repeated_in_the_other_role_with_a_new_tie_breaker() {
    for controlling in [true, false] {
        let mut solo = Solo::checking(controlling, AgentConfig::new());
        let before = solo.agent.role().tie_breaker();
        solo.respond(PEER, Err(487));
        assert_eq!(state(&solo, PEER), Some(PairState::Waiting));
        assert_eq!(solo.agent.role().is_controlling(), !controlling);
        assert_ne!(solo.agent.role().tie_breaker(), before);
        solo.sent.clear();
        solo.run(50 * MS);
        let bytes = solo.last_request();
        let check = Message::decode(&bytes).unwrap();
        assert_eq!(check.ice_controlling().is_some(), !controlling);
        assert_eq!(check.ice_controlled().is_some(), controlling);
    }
}

#[test]
fn rfc8445_7_2_5_2_1_a_response_from_another_address_fails_the_pair() {
    let mut solo = Solo::checking(true, AgentConfig::new());
    solo.respond(OTHER, Ok(addr(LOCAL)));
    assert_eq!(pair(&solo, PEER).unwrap().failure, Some(PairFailure::NotSymmetric));
    assert_eq!(state(&solo, PEER), Some(PairState::Failed));
}

#[test]
fn rfc8445_7_2_5_2_2_a_hard_icmp_error_fails_the_pair_and_a_soft_one_does_not() {
    for (why, is_hard) in [
        (Unreachability::Host, true),
        (Unreachability::Network, true),
        (Unreachability::Prohibited, true),
        (Unreachability::TooLarge, false),
        (Unreachability::HopLimit, false),
    ] {
        let mut solo = Solo::checking(true, AgentConfig::new());
        let event = SocketEvent::Unreachable { remote: addr(PEER), why };
        let _verdict = solo.with(|agent, cx| agent.handle(cx, Input::Socket(SocketId(1), event)));
        let expected = if is_hard { PairState::Failed } else { PairState::InProgress };
        assert_eq!(state(&solo, PEER), Some(expected), "{why:?}");
    }
}

#[test]
fn rfc8445_7_2_5_2_3_a_check_without_a_response_fails_after_seven_sends() {
    let mut solo = Solo::checking(true, AgentConfig::new());
    solo.run(39_400 * MS);
    assert_eq!((state(&solo, PEER), solo.requests()), (Some(PairState::InProgress), 7));
    let times: Vec<u128> = solo.sent.iter().map(|(at, _)| at.since_origin().as_millis()).collect();
    assert_eq!(times, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    solo.run(200 * MS);
    assert_eq!(pair(&solo, PEER).unwrap().failure, Some(PairFailure::Timeout { sends: 7 }));
}

#[test]
fn rfc8445_7_2_5_2_4_an_error_response_fails_the_pair() {
    let mut solo = Solo::checking(true, AgentConfig::new());
    solo.respond(PEER, Err(400));
    assert_eq!(pair(&solo, PEER).unwrap().failure, Some(PairFailure::Error(400)));
}

/// The mapped address is no local candidate: the valid pair has a new peer-reflexive candidate.
#[test]
fn rfc8445_7_2_5_3_1_another_mapped_address_is_a_peer_reflexive_candidate() {
    let mut solo = Solo::checking(true, AgentConfig::new());
    solo.respond(PEER, Ok(addr("203.0.113.7:61000")));
    let path = pair(&solo, PEER).unwrap().path;
    assert_eq!((path.local, path.base), (addr("203.0.113.7:61000"), addr(LOCAL)));
    assert_eq!(path.local_kind, portolan_ice::CandidateKind::PeerReflexive);
    assert!(solo.has_note("local-peer-reflexive"));
}

/// A response is accepted once: a second one belongs to no transaction.
#[test]
fn rfc8489_6_3_1_a_second_response_is_not_taken() {
    let mut solo = Solo::checking(false, AgentConfig::new());
    assert_eq!(solo.try_respond(PEER, Ok(addr(LOCAL))), Verdict::Mine);
    assert_eq!(solo.try_respond(PEER, Ok(addr(LOCAL))), Verdict::NotMine);
}

#[test]
fn rfc8445_7_3_an_early_check_is_answered_at_once_and_processed_with_the_description() {
    let mut solo = Solo::new(false, AgentConfig::new());
    let check = solo.valid_check(1, true);
    assert_eq!(solo.request(OTHER, &check), Some((Class::SuccessResponse, 0)));
    assert_eq!(solo.requests(), 0);
    solo.describe(&[]);
    let sent = solo.take();
    assert_eq!(sent.iter().map(|sent| sent.remote).collect::<Vec<_>>(), [addr(OTHER)], "the triggered check");
}

#[test]
fn rfc8445_7_3_1_3_a_check_from_an_unknown_address_is_a_candidate_with_the_priority_of_the_check() {
    let mut solo = Solo::checking(false, AgentConfig::new());
    let check = solo.check(1, &[Attribute::Priority(1_234_567), Attribute::IceControlling(1)]);
    solo.request(OTHER, &check);
    let learned = pair(&solo, OTHER).unwrap();
    assert_eq!(learned.path.remote_kind, portolan_ice::CandidateKind::PeerReflexive);
    let host = (126 << 24) + (65_535 << 8) + 255;
    assert_eq!(learned.priority, portolan_ice::pair::priority(1_234_567, host));
}

/// A check triggers a check of a pair that waits, failed, or is in progress, and not of a pair that has succeeded.
#[test]
fn rfc8445_7_3_1_4_a_check_triggers_a_check_unless_the_pair_has_succeeded() {
    let mut solo = Solo::checking(false, AgentConfig::new());
    solo.respond(PEER, Err(400));
    for (id, expected) in [(1, 1), (2, 1)] {
        solo.sent.clear();
        let check = solo.valid_check(id, false);
        solo.request(PEER, &check);
        solo.run(50 * MS);
        assert_eq!(solo.requests(), expected, "check {id}: the pair failed, or is in progress");
    }
    solo.respond(PEER, Ok(addr(LOCAL)));
    solo.sent.clear();
    let check = solo.valid_check(3, false);
    solo.request(PEER, &check);
    solo.run(50 * MS);
    assert_eq!(solo.requests(), 0);
}

/// The nominated flag is set at once if the pair has succeeded, else when the own check succeeds.
#[test]
fn rfc8445_7_3_1_5_a_nomination_counts_when_the_own_check_has_succeeded() {
    for is_before in [true, false] {
        let mut solo = Solo::checking(false, AgentConfig::new());
        if is_before {
            solo.respond(PEER, Ok(addr(LOCAL)));
        }
        let check = solo.valid_check(1, true);
        assert_eq!(solo.request(PEER, &check), Some((Class::SuccessResponse, 0)));
        assert_eq!(solo.agent.selected(ONE).is_some(), is_before);
        if !is_before {
            solo.run(50 * MS);
            solo.respond(PEER, Ok(addr(LOCAL)));
        }
        let why = |event: &AgentEvent| if let AgentEvent::Selected(one) = event { Some(one.why) } else { None };
        let selection = solo.events.iter().find_map(why);
        assert_eq!(selection, Some(NominationReason::Peer));
    }
}

/// The own check of a nominated pair fails: the checklist fails, with the reason.
#[test]
fn rfc8445_7_3_1_5_a_failed_check_of_a_nominated_pair_fails_the_checklist() {
    let mut solo = Solo::checking(false, AgentConfig::new());
    let check = solo.valid_check(1, true);
    solo.request(PEER, &check);
    solo.run(50 * MS);
    solo.respond(PEER, Err(400));
    let failed = solo.events.iter().any(|event| {
        matches!(event, AgentEvent::Failed(SessionFailure::NominationFailed { why: PairFailure::Error(400), .. }))
    });
    assert!(failed, "{:?}", solo.events);
}

/// With the policy of browsers the session goes on, and the peer learns that its nomination has no effect.
#[test]
fn rfc7675_5_2_requests_on_a_nominated_pair_that_failed_get_403() {
    let mut solo = Solo::checking(false, AgentConfig::new().policy(Policy::Browserlike));
    let check = solo.valid_check(1, true);
    assert_eq!(solo.request(PEER, &check), Some((Class::SuccessResponse, 0)));
    solo.run(50 * MS);
    solo.respond(PEER, Err(400));
    assert_eq!(pair(&solo, PEER).unwrap().failure, Some(PairFailure::NotFollowed));
    for nominates in [false, true] {
        let check = solo.valid_check(2, nominates);
        assert_eq!(solo.request(PEER, &check), Some((Class::ErrorResponse, 403)));
    }
}

#[test]
fn rfc8445_8_1_2_requests_on_other_pairs_are_answered_after_the_nomination() {
    for controlling in [true, false] {
        let mut solo = completed(controlling, AgentConfig::new());
        for (id, from) in [(11, PEER), (12, OTHER)] {
            let check = solo.valid_check(id, false);
            assert_eq!(solo.request(from, &check), Some((Class::SuccessResponse, 0)), "{from}");
        }
        solo.run(S);
        assert_eq!(solo.requests(), 0, "no check is triggered");
    }
}

/// The pairs of a component are removed after its nomination: no check of them is sent any more.
#[test]
fn rfc8445_8_1_2_pending_checks_end_with_the_nomination() {
    let mut solo = Solo::new(true, AgentConfig::new());
    solo.describe(&[
        "1 1 UDP 2130706431 192.0.2.1 5000 typ host",
        "2 1 UDP 2130706175 192.0.2.2 5000 typ host",
        "3 1 UDP 2130705919 192.0.2.3 5000 typ host",
    ]);
    // The checks of all pairs are pending.
    solo.run(100 * MS);
    assert_eq!(solo.requests(), 3);
    for _ in 0..2 {
        solo.respond("192.0.2.3:5000", Ok(addr(LOCAL)));
        solo.run(50 * MS);
    }
    assert_eq!(solo.agent.state(), AgentState::Completed);
    solo.sent.clear();
    solo.run(3 * S);
    assert_eq!(solo.requests(), 0);
}

/// Addresses of two families form no pair, and a link-local address pairs with link-local addresses only.
#[test]
fn rfc8445_6_1_2_2_link_local_addresses_are_paired_with_each_other_only() {
    let mut solo = Solo::new(true, AgentConfig::new());
    for (socket, local) in [(2, "[2001:db8::7]:4000"), (3, "[fe80::7]:4000")] {
        let candidate = LocalCandidate::host(ONE, SocketId(socket), addr(local));
        solo.with(|agent, cx| agent.add_local(cx, candidate)).unwrap();
    }
    solo.describe(&[
        "1 1 UDP 2130706431 192.0.2.1 5000 typ host",
        "2 1 UDP 2130706175 2001:db8::1 5000 typ host",
        "3 1 UDP 2130705919 fe80::1 5000 typ host",
    ]);
    let mut pairs: Vec<_> = solo.agent.pairs().map(|pair| (pair.path.local, pair.path.remote)).collect();
    pairs.sort_unstable();
    let expected = [(LOCAL, PEER), ("[2001:db8::7]:4000", "[2001:db8::1]:5000"), ("[fe80::7]:4000", "[fe80::1]:5000")];
    assert_eq!(pairs, expected.map(|(local, remote)| (addr(local), addr(remote))));
}

/// A reflexive candidate is replaced by its base, so the same pair is not formed twice.
#[test]
fn rfc8445_6_1_2_4_a_reflexive_candidate_forms_no_pair_of_its_own() {
    let mut solo = Solo::new(true, AgentConfig::new());
    let host = LocalCandidate::host(ONE, SocketId(1), addr(LOCAL));
    let reflexive = host.server_reflexive(addr("203.0.113.7:61000"), "192.0.2.99".parse().unwrap());
    solo.with(|agent, cx| agent.add_local(cx, reflexive)).unwrap();
    solo.describe(&["1 1 UDP 2130706431 192.0.2.1 5000 typ host"]);
    let pairs: Vec<_> = solo.agent.pairs().map(|pair| pair.path.local).collect();
    assert_eq!(pairs, [addr(LOCAL)]);
}

#[test]
fn rfc8445_9_a_restart_changes_both_credentials_and_keeps_role_and_tie_breaker() {
    for controlling in [true, false] {
        let mut solo = completed(controlling, AgentConfig::new());
        let (before, role) = (solo.agent.credentials().unwrap().clone(), solo.agent.role());
        solo.with(|agent, cx| agent.restart(cx)).unwrap();
        let after = solo.agent.credentials().unwrap();
        assert_ne!(after.ufrag(), before.ufrag());
        assert_ne!(after.password(), before.password());
        assert_eq!(solo.agent.role(), role);
        assert!(solo.agent.path(ONE).is_some(), "the previous path carries data");
        // The candidates are signalled again.
        let signalled = solo.events.iter().filter(|event| matches!(event, AgentEvent::LocalCandidate { .. })).count();
        assert_eq!(signalled, 2);
    }
}

/// After a restart the answer to the earlier description arrives, and then the answer to the current one.
#[test]
fn rfc8445_9_an_answer_to_an_earlier_description_is_not_used() {
    let mut solo = Solo::new(true, AgentConfig::new());
    let credentials = portolan_ice::Credentials::new(UFRAG, PASSWORD).unwrap();
    let answer = |solo: &Solo| {
        let ufrag = solo.agent.credentials().unwrap().ufrag().to_string();
        portolan_ice::RemoteDescription::new(credentials.clone()).answering(&ufrag)
    };
    let old = answer(&solo);
    solo.with(|agent, cx| agent.restart(cx)).unwrap();
    solo.with(|agent, cx| agent.set_remote(cx, 0, old)).unwrap();
    assert_eq!(solo.agent.remote_credentials(0), None);
    assert!(solo.has_note("description-old"));
    let current = answer(&solo);
    solo.with(|agent, cx| agent.set_remote(cx, 0, current)).unwrap();
    assert_eq!(solo.agent.remote_credentials(0), Some(&credentials));
}

/// The credentials have 8 and 24 random characters of 6 bits.
#[test]
fn rfc8445_5_3_the_credentials_have_enough_random_bits() {
    let solo = Solo::new(true, AgentConfig::new());
    let credentials = solo.agent.credentials().unwrap();
    assert!(6 * credentials.ufrag().len() >= 24 && 6 * credentials.password().len() >= 128);
}

/// A full agent is controlling if the peer is lite, also if it was not the initiator.
#[test]
fn rfc8445_6_1_1_the_peer_of_a_lite_agent_is_controlling() {
    let mut solo = Solo::new(false, AgentConfig::new());
    let credentials = portolan_ice::Credentials::new(UFRAG, PASSWORD).unwrap();
    let description = portolan_ice::RemoteDescription::new(credentials).lite();
    solo.with(|agent, cx| agent.set_remote(cx, 0, description)).unwrap();
    assert!(solo.agent.role().is_controlling());
    let mut lite = Solo::new(true, AgentConfig::new().lite());
    assert!(!lite.agent.role().is_controlling());
    // A lite agent stays controlled, whatever the tie-breaker is.
    lite.describe(&[]);
    let check = lite.check(1, &[Attribute::Priority(1), Attribute::IceControlled(0)]);
    assert_eq!(lite.request(PEER, &check), Some((Class::ErrorResponse, 487)));
}

/// A lite agent sends indications without authentication, and only when a pair is selected.
#[test]
fn rfc8445_11_a_lite_agent_keeps_its_pair_alive_by_indications() {
    let mut solo = Solo::new(false, AgentConfig::new().lite());
    solo.describe(&["1 1 UDP 2130706431 192.0.2.1 5000 typ host"]);
    assert_eq!(solo.agent.path(ONE), None);
    solo.run(S);
    assert_eq!(solo.take().len(), 0, "a lite agent sends no checks");
    let check = solo.valid_check(1, true);
    solo.request(PEER, &check);
    assert!(solo.agent.path(ONE).is_some());
    solo.run(46 * S);
    let sent = core::mem::take(&mut solo.sent);
    let times: Vec<u64> = sent.iter().map(|(at, _)| at.since_origin().as_secs()).collect();
    assert_eq!(times, [16, 31, 46]);
    for (_, transmit) in sent {
        let message = Message::decode(&transmit.payload).unwrap();
        assert_eq!((message.class(), message.check_fingerprint()), (Class::Indication, Ok(())));
        assert_eq!(transmit.payload.len(), 28, "FINGERPRINT is the only attribute");
    }
}

#[test]
fn rfc8445_11_a_binding_indication_of_the_peer_is_taken_and_not_answered() {
    let mut solo = completed(true, AgentConfig::new());
    let mut buffer = [0; 40];
    let id = portolan_stun::TransactionId::from([3; 12]);
    let writer =
        portolan_stun::Writer::new(&mut buffer, Class::Indication, portolan_stun::Method::BINDING, id).unwrap();
    let bytes = writer.fingerprint().unwrap().finish().to_vec();
    assert_eq!(solo.receive(PEER, &bytes), Verdict::Mine);
    assert_eq!(solo.take().len(), 0);
}

/// Each consent request has a new transaction id, and only an authenticated response from the path renews consent.
#[test]
fn rfc7675_5_1_consent_expires_thirty_seconds_after_the_last_response_from_the_path() {
    for (from, result, is_renewed) in
        [(PEER, Ok(addr(LOCAL)), true), (OTHER, Ok(addr(LOCAL)), false), (PEER, Err(500), false)]
    {
        let mut solo = completed(true, AgentConfig::new());
        solo.run(20 * S);
        let ids: Vec<_> =
            solo.sent.iter().map(|(_, sent)| Message::decode(&sent.payload).unwrap().transaction_id()).collect();
        assert!((3..=5).contains(&ids.len()), "{}", ids.len());
        assert!(ids.windows(2).all(|two| two[0] != two[1]));
        solo.respond(from, result);
        solo.run(15 * S);
        let expired = AgentEvent::Failed(SessionFailure::ConsentExpired(ONE));
        assert_eq!(solo.events.contains(&expired), !is_renewed, "{from} {result:?}");
        assert_eq!(solo.agent.path(ONE).is_some(), is_renewed);
        if is_renewed {
            solo.run(16 * S);
            assert!(solo.events.contains(&expired));
        }
        // Nothing is sent after the expiry, and a response that comes later has no effect.
        solo.run(60 * S);
        let count = solo.requests();
        solo.respond(PEER, Ok(addr(LOCAL)));
        solo.run(60 * S);
        assert_eq!((solo.requests(), solo.agent.path(ONE)), (count, None));
    }
}

#[test]
fn rfc7675_5_2_an_authenticated_403_revokes_consent_at_once() {
    let mut solo = completed(true, AgentConfig::new());
    solo.run(7 * S);
    solo.respond(PEER, Err(403));
    assert!(solo.events.contains(&AgentEvent::Failed(SessionFailure::ConsentRevoked(ONE))));
    assert_eq!(solo.agent.path(ONE), None);
}
