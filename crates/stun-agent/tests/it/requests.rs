//! Requests as stories: one line per segment at its time, in milliseconds.

use crate::world::{World, addr, message, success};
use core::time::Duration;
use portolan_machine::{Closure, SocketEvent, SocketId, Unreachability, Verdict};
use portolan_stun::{
    Attribute, AttributeType, ChangeRequest, Class, ErrorCode, Message, Method, TransactionId, Writer,
};
use portolan_stun_agent::{AnswerFrom, AnswerOn, Request, RequestError, Schedule, TransactionEvent, Transactions};

type Asker = World<Transactions<u32>>;

const SERVER: &str = "192.0.2.1:3478";
const ALTERNATE: &str = "192.0.2.2:3479";
const MS: fn(u64) -> Duration = Duration::from_millis;

fn asker() -> Asker {
    World::new(Transactions::new())
}

fn binding(tag: u32) -> Request<u32> {
    Request::binding(SocketId(1), addr(SERVER), tag)
}

fn ask(world: &mut Asker, request: Request<u32>) -> TransactionId {
    world.with(|machine, cx| machine.request(cx, request)).unwrap()
}

#[test]
fn the_ladder_of_rfc8489_6_2_1() {
    let mut world = asker();
    ask(&mut world, binding(7));
    assert_eq!(
        world.run(60_000),
        [
            "     0 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "   500 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "  1500 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "  3500 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "  7500 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            " 15500 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            " 31500 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            " 39500 7 exhausted: 7 sends, 0 answers",
        ]
    );
    assert!(world.machine.is_empty());
}

#[test]
fn rfc8489_6_2_1_rto_rc_and_rm_are_the_owners() {
    let mut world = asker();
    ask(&mut world, binding(7).schedule(Schedule::doubling(MS(750), 3, 4)));
    assert_eq!(
        world.run(60_000),
        [
            "     0 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "   750 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "  2250 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "  5250 7 exhausted: 3 sends, 0 answers",
        ]
    );
}

#[test]
fn retransmissions_are_the_same_bytes() {
    let mut world = asker();
    ask(&mut world, binding(1).change(ChangeRequest::PORT));
    let first = world.outputs();
    world.now = 500;
    assert_eq!(world.input(portolan_machine::Input::Timeout), Verdict::Mine);
    assert_eq!(world.outputs(), first);
}

#[test]
fn an_answer_ends_the_request_and_its_duplicate_is_known_for_what_it_is() {
    let mut world = asker();
    let id = ask(&mut world, binding(7));
    world.run(530);
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    assert_eq!(
        world.run(60_000),
        [
            "   530 7 answered by 192.0.2.1:3478 on s1: answer 1 after 2 sends, 530 ms since the first, 30 since the last"
        ]
    );
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    assert_eq!(world.run(100_000), [""; 0]);
    assert_eq!(
        world.notes.0.last().unwrap(),
        "message from 192.0.2.1:3478 dropped: request 010101010101010101010101 was answered already [RFC 8489 §6.3]"
    );
}

#[test]
fn an_answer_from_elsewhere_is_told_and_never_taken() {
    for from in [AnswerFrom::SameAsDestination, AnswerFrom::Exactly(addr(SERVER))] {
        let mut world = asker();
        let id = ask(&mut world, binding(7).from(from));
        world.run(40);
        for liar in [ALTERNATE, "192.0.2.1:3479", "192.0.2.2:3478"] {
            assert_eq!(world.datagram(1, liar, &success(id)), Verdict::Mine);
            assert_eq!(world.lines(), [format!("    40 7 answered from elsewhere: {liar} on s1")]);
        }
        assert!(world.notes.0.last().unwrap().contains("accepts no other sender"));
        assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
        assert_eq!(world.lines().len(), 1, "the request had gone on");
        assert!(world.machine.is_empty());
    }
}

#[test]
fn a_server_that_ignores_change_request_is_not_believed() {
    let mut world = asker();
    let change = binding(7).change(ChangeRequest::IP_AND_PORT).from(AnswerFrom::Exactly(addr(ALTERNATE)));
    let id = ask(&mut world, change);
    world.run(40);
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    assert_eq!(world.lines(), ["    40 7 answered from elsewhere: 192.0.2.1:3478 on s1"]);
    assert_eq!(world.datagram(1, ALTERNATE, &success(id)), Verdict::Mine);
    assert!(world.lines()[0].contains("7 answered by 192.0.2.2:3479"));
}

#[test]
fn any_reported_takes_all_and_says_who() {
    let mut world = asker();
    let id = ask(&mut world, binding(7).from(AnswerFrom::AnyReported));
    world.lines();
    assert_eq!(world.datagram(1, "203.0.113.99:1", &success(id)), Verdict::Mine);
    assert!(world.lines()[0].starts_with("     0 7 answered by 203.0.113.99:1 on s1"));
}

#[test]
fn the_answer_to_a_response_port_may_come_to_another_socket() {
    let mut world = asker();
    let plain = ask(&mut world, binding(1));
    let lifetime = ask(&mut world, binding(2).response_port(40_001));
    world.lines();
    assert_eq!(world.datagram(2, SERVER, &success(plain)), Verdict::Mine);
    assert_eq!(world.datagram(2, SERVER, &success(lifetime)), Verdict::Mine);
    assert_eq!(
        world.lines(),
        [
            "     0 1 answered from elsewhere: 192.0.2.1:3478 on s2",
            "     0 2 answered by 192.0.2.1:3478 on s2: answer 1 after 1 sends, 0 ms since the first, 0 since the last",
        ]
    );
    assert_eq!(binding(1).on(AnswerOn::AnySocket).on, AnswerOn::AnySocket);
}

/// RFC 8489 §6.3.4, §14.8: whatever the code is, the request has its answer, and is not sent again.
#[test]
fn error_responses_are_answers() {
    for code in [300, 399, 400, 420, 438, 500, 599, 699] {
        let mut world = asker();
        let id = ask(&mut world, binding(7));
        world.lines();
        let error = Attribute::ErrorCode(ErrorCode::new(code, "why not".into()).unwrap());
        assert_eq!(world.datagram(1, SERVER, &message(Class::ErrorResponse, id, &[error])), Verdict::Mine);
        let lines = world.lines();
        assert!(lines.len() == 1 && lines[0].contains("7 answered by"), "{code}: {lines:?}");
        assert!(world.machine.is_empty(), "{code}");
        assert_eq!(world.run(60_000), [""; 0], "{code}");
    }
}

#[test]
fn what_is_no_response_of_ours_is_not_ours() {
    let mut world = asker();
    let id = ask(&mut world, binding(7));
    world.lines();
    let request = message(Class::Request, id, &[]);
    let indication = message(Class::Indication, id, &[]);
    let other = success([9; 12].into());
    let old = [&success(id)[..4], &[0; 4], &success(id)[8..]].concat();
    for bytes in [&request, &indication, &other, &old, &success(id)[..19].to_vec(), &vec![], &vec![0x80; 40]] {
        assert_eq!(world.datagram(1, SERVER, bytes), Verdict::NotMine, "{bytes:02x?}");
        assert_eq!(world.lines(), [""; 0]);
    }
    assert_eq!(world.machine.len(), 1);
}

#[test]
fn what_has_our_id_and_cannot_be_read_is_dropped() {
    let mut world = asker();
    let id = ask(&mut world, binding(7));
    world.lines();
    let mut truncated = success(id);
    truncated[23] = 200;
    let mut other_method = [0; 20];
    let other_method = Writer::new(&mut other_method, Class::SuccessResponse, Method::ALLOCATE, id).unwrap().finish();
    for (bytes, why) in [(&truncated[..], "cannot be decoded"), (other_method, "another method, Allocate")] {
        assert_eq!(world.datagram(1, SERVER, bytes), Verdict::Mine);
        assert_eq!(world.lines(), [""; 0]);
        assert!(world.notes.0.last().unwrap().contains(why), "{:?}", world.notes.0.last());
    }
    assert_eq!(world.machine.len(), 1);
}

#[test]
fn rfc8489_6_3_3_an_unknown_comprehension_required_attribute_fails_the_request() {
    let mut world = asker();
    let id = ask(&mut world, binding(7));
    world.lines();
    let unknown = Attribute::Unknown { kind: AttributeType::new(0x7fff), value: &[] };
    let bytes = message(Class::SuccessResponse, id, &[unknown]);
    assert_eq!(world.datagram(1, ALTERNATE, &bytes), Verdict::Mine);
    assert!(world.lines()[0].contains("elsewhere"), "a stranger's does not");
    assert_eq!(world.datagram(1, SERVER, &bytes), Verdict::Mine);
    assert!(world.lines()[0].contains("Unusable"));
    assert!(world.machine.is_empty());
}

#[test]
fn rfc8489_6_3_4_an_error_response_without_error_code_fails_the_request() {
    let mut world = asker();
    let id = ask(&mut world, binding(7));
    world.lines();
    assert_eq!(world.datagram(1, SERVER, &message(Class::ErrorResponse, id, &[])), Verdict::Mine);
    assert!(world.lines()[0].contains("NoErrorCode"));
}

#[test]
fn rfc8489_7_a_fingerprint_that_was_asked_for_must_come_back_and_be_right() {
    let mut world = asker();
    let id = ask(&mut world, binding(7).fingerprint());
    assert_eq!(world.lines(), ["     0 s1 > 192.0.2.1:3478 Binding request, 28 bytes"]);
    let mut buffer = [0; 64];
    let writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id).unwrap();
    let good = writer.fingerprint().unwrap().finish().to_vec();
    let mut wrong = good.clone();
    wrong[27] ^= 1;
    for bytes in [success(id), wrong] {
        assert_eq!(world.datagram(1, SERVER, &bytes), Verdict::Mine);
        assert_eq!(world.lines(), [""; 0]);
    }
    assert_eq!(world.datagram(1, SERVER, &good), Verdict::Mine);
    assert!(world.lines()[0].contains("7 answered"));
}

#[test]
fn a_repeating_schedule_goes_on_after_its_answers() {
    let mut world = asker();
    let control = Schedule::at_millis([0, 90, 190]).tail(MS(250)).repeat(true);
    let id = ask(&mut world, binding(7).schedule(control));
    let mut lines = world.run(50);
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    lines.extend(world.run(140));
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    lines.extend(world.run(10_000));
    assert_eq!(
        lines,
        [
            "     0 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "    50 7 answered by 192.0.2.1:3478 on s1: answer 1 after 1 sends, 50 ms since the first, 50 since the last",
            "    90 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "   140 7 answered by 192.0.2.1:3478 on s1: answer 2 after 2 sends, 140 ms since the first, 50 since the last",
            "   190 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "   440 7 exhausted: 3 sends, 2 answers",
        ]
    );
}

#[test]
fn probes_are_sent_until_two_seconds_have_passed() {
    let mut world = asker();
    let probe = Schedule::at_millis([0, 100, 250, 450]).every(MS(250)).until(MS(2000)).tail(MS(50));
    ask(&mut world, binding(7).schedule(probe).hop_limit(4));
    let lines = world.run(10_000);
    let at: Vec<u64> = lines.iter().map(|line| line[..6].trim().parse().unwrap()).collect();
    assert_eq!(at, [0, 100, 250, 450, 700, 950, 1200, 1450, 1700, 1950, 2000]);
    assert!(lines[0].ends_with("hops 4"));
    assert_eq!(lines[10], "  2000 7 exhausted: 10 sends, 0 answers");
}

#[test]
fn jitter_moves_each_send_but_the_first_and_never_past_the_next() {
    let mut world = asker();
    let schedule = Schedule::at_millis([0, 90, 190, 192]).jitter(MS(10));
    ask(&mut world, binding(7).schedule(schedule));
    let at: Vec<u64> = world.run(10_000).iter().map(|line| line[..6].trim().parse().unwrap()).collect();
    assert_eq!(at[0], 0);
    assert!((91..=100).contains(&at[1]) && (191..=200).contains(&at[2]) && (192..=200).contains(&at[3]), "{at:?}");
}

#[test]
fn jitter_longer_than_the_interval_bunches_no_sends() {
    let mut world = asker();
    let schedule = Schedule::at_millis([0]).every(MS(100)).until(MS(2000)).jitter(MS(60_000));
    ask(&mut world, binding(7).schedule(schedule));
    let at: Vec<u64> = world.run(10_000).iter().map(|line| line[..6].trim().parse().unwrap()).collect();
    assert_eq!(at.len(), 22);
    for (n, at) in at[..21].iter().enumerate() {
        let offset = 100 * n as u64;
        assert!((offset..=offset + 100).contains(at), "send {n} at {at}");
    }
}

#[test]
fn a_late_wake_up_sends_once_and_keeps_the_intervals() {
    let mut world = asker();
    ask(&mut world, binding(7));
    world.lines();
    world.now = 5000;
    assert_eq!(world.input(portolan_machine::Input::Timeout), Verdict::Mine);
    let lines = world.run(7000);
    assert_eq!(
        lines,
        [
            "  5000 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "  6000 s1 > 192.0.2.1:3478 Binding request, 20 bytes"
        ]
    );
}

#[test]
fn a_tail_learnt_meanwhile_may_have_run_out_already() {
    let mut world = asker();
    let probe = Schedule::at_millis([0]).tail(MS(1000));
    let (early, late) = (ask(&mut world, binding(1).schedule(probe)), ask(&mut world, binding(2).schedule(probe)));
    world.run(300);
    world.with(|machine, cx| machine.set_tail(cx, early, MS(250))).unwrap();
    world.with(|machine, cx| machine.set_tail(cx, late, MS(350))).unwrap();
    assert_eq!(world.run(5000), ["   300 1 exhausted: 1 sends, 0 answers", "   350 2 exhausted: 1 sends, 0 answers"]);
    let gone = world.with(|machine, cx| machine.set_tail(cx, early, MS(1)));
    assert_eq!(gone, Err(RequestError::NotPending(early)));
}

#[test]
fn a_cancelled_request_is_silent_and_its_answer_known() {
    let mut world = asker();
    let id = ask(&mut world, binding(7));
    world.lines();
    world.with(|machine, cx| machine.cancel(cx, id)).unwrap();
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    assert_eq!(world.run(60_000), [""; 0]);
    assert!(world.notes.0.last().unwrap().contains("was cancelled already"));
    assert_eq!(world.with(|machine, cx| machine.cancel(cx, id)), Err(RequestError::NotPending(id)));
}

#[test]
fn an_answer_that_comes_with_the_deadline_counts() {
    let mut world = asker();
    let id = ask(&mut world, binding(7).schedule(Schedule::at_millis([0]).tail(MS(100))));
    world.lines();
    world.now = 100;
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    assert!(world.lines()[0].contains("7 answered"));
}

#[test]
fn unreachable_is_told_and_the_request_goes_on() {
    let mut world = asker();
    ask(&mut world, binding(7));
    world.lines();
    let why = Unreachability::Port;
    assert_eq!(world.socket_event(1, SocketEvent::Unreachable { remote: addr(ALTERNATE), why }), Verdict::NotMine);
    assert_eq!(world.socket_event(2, SocketEvent::Unreachable { remote: addr(SERVER), why }), Verdict::NotMine);
    assert_eq!(world.socket_event(1, SocketEvent::Unreachable { remote: addr(SERVER), why }), Verdict::Mine);
    assert!(matches!(
        world.outputs()[..],
        [portolan_machine::Output::Event(TransactionEvent::Unreachable { tag: 7, why: Unreachability::Port, .. })]
    ));
    assert_eq!(world.run(600).len(), 1, "the next send");
}

#[test]
fn a_lost_socket_ends_its_requests() {
    let mut world = asker();
    ask(&mut world, binding(7));
    ask(&mut world, Request::binding(SocketId(2), addr(SERVER), 8));
    world.lines();
    assert_eq!(world.socket_event(1, SocketEvent::Closed(Closure::Reset)), Verdict::Mine);
    assert!(world.lines()[0].contains("SocketLost { tag: 7"));
    assert_eq!(world.machine.pending().map(|(_, tag, sends)| (*tag, sends)).collect::<Vec<_>>(), [(8, 1)]);
}

#[test]
fn pending_is_bounded_and_ids_differ_even_with_broken_dice() {
    let mut world = World::new(Transactions::with_limit(300));
    let mut ids: Vec<_> = (0..300).map(|tag| ask(&mut world, binding(tag))).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300, "the rng of this world begin anew after 256");
    let refused = world.with(|machine, cx| machine.request(cx, binding(300)));
    assert_eq!(refused, Err(RequestError::Full { limit: 300 }));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut world = asker();
    let mut refused = |request| world.with(|machine, cx| machine.request(cx, request));
    let nowhere = |remote: &str| Request::binding(SocketId(1), addr(remote), 1);
    assert_eq!(refused(nowhere("0.0.0.0:3478")), Err(RequestError::Destination));
    assert_eq!(refused(nowhere("192.0.2.1:0")), Err(RequestError::Destination));
    let mut cut = binding(1).change(ChangeRequest::PORT);
    cut.attributes = [&cut.attributes[..], &[0, 3, 0, 4]].concat().into();
    assert_eq!(refused(cut), Err(RequestError::Attributes { at: 8 }));
    assert!(world.machine.is_empty());
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn attributes_stand_in_the_order_in_which_they_were_added() {
    let mut world = asker();
    let software = Attribute::Software("portolan".into());
    let request = binding(7).change(ChangeRequest::IP).padding(1001).attribute(&software).unwrap().response_port(9);
    ask(&mut world, request);
    let portolan_machine::Output::Transmit(sent) = world.outputs().remove(0) else { panic!("a request") };
    let message = Message::decode(&sent.payload).unwrap();
    let kinds: Vec<_> = message.fields().map(|field| (field.kind, field.value.len())).collect();
    assert_eq!(
        kinds,
        [
            (AttributeType::CHANGE_REQUEST, 4),
            (AttributeType::PADDING, 1001),
            (AttributeType::SOFTWARE, 8),
            (AttributeType::RESPONSE_PORT, 4)
        ]
    );
    assert_eq!((message.change_request(), message.response_port()), (Some(ChangeRequest::IP), Some(9)));
    let most = binding(7).padding(u16::MAX).change(ChangeRequest::IP).fingerprint();
    ask(&mut world, most);
    let portolan_machine::Output::Transmit(sent) = world.outputs().remove(0) else { panic!("a request") };
    assert!((65_400..65_535 - 48).contains(&sent.payload.len()), "RFC 5780 §7.6");
    assert!(binding(7).attribute(&Attribute::Fingerprint(0)).is_err(), "computed, not added");
}

#[test]
fn however_much_peers_cause_the_end_of_each_request_finds_room() {
    let mut world = asker();
    let ids: Vec<_> = (0..100).map(|tag| ask(&mut world, binding(tag))).collect();
    world.lines();
    for _ in 0..10 {
        for id in &ids {
            assert_eq!(world.datagram(1, ALTERNATE, &success(*id)), Verdict::Mine);
        }
    }
    assert!(world.notes.0.last().unwrap().contains("output queue is full"));
    for id in &ids {
        assert_eq!(world.datagram(1, SERVER, &success(*id)), Verdict::Mine);
    }
    let lines = world.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("answered by")).count(), 100);
    assert_eq!(lines.len(), 256);
}

#[test]
fn addresses_that_hold_the_transaction_id_are_written_with_the_one_of_the_request() {
    for peer in ["[2001:db8::7]:5000", "203.0.113.7:5000"].map(addr) {
        let mut world = asker();
        ask(&mut world, binding(7).attribute(&Attribute::XorPeerAddress(peer)).unwrap());
        let portolan_machine::Output::Transmit(sent) = world.outputs().remove(0) else { panic!("a request") };
        let message = Message::decode(&sent.payload).unwrap();
        assert_eq!(message.attributes().next().unwrap(), Ok(Attribute::XorPeerAddress(peer)));
    }
}
