//! Requests in virtual time: each output is a line with its time in milliseconds.

use crate::world::{World, addr, message, success};
use core::time::Duration;
use portolan_machine::{Closure, SocketEvent, SocketId, Unreachability, Verdict};
use portolan_stun::{
    Attribute, AttributeType, ChangeRequest, Class, ErrorCode, Message, Method, TransactionId, Writer,
};
use portolan_stun_agent::{AnswerFrom, AnswerOn, Request, RequestError, Schedule, TransactionEvent, Transactions};

type Requester = World<Transactions<u32>>;

const SERVER: &str = "192.0.2.1:3478";
const ALTERNATE: &str = "192.0.2.2:3479";
const MS: fn(u64) -> Duration = Duration::from_millis;

fn requester() -> Requester {
    World::new(Transactions::new())
}

fn binding(tag: u32) -> Request<u32> {
    Request::binding(SocketId(1), addr(SERVER), tag)
}

fn send_request(world: &mut Requester, request: Request<u32>) -> TransactionId {
    world.with(|machine, cx| machine.request(cx, request)).unwrap()
}

#[test]
fn rfc8489_6_2_1_retransmissions_follow_the_example() {
    let mut world = requester();
    send_request(&mut world, binding(7));
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
fn rfc8489_6_2_1_rto_rc_and_rm_are_configurable() {
    let mut world = requester();
    send_request(&mut world, binding(7).schedule(Schedule::doubling(MS(750), 3, 4)));
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
    let mut world = requester();
    send_request(&mut world, binding(1).change(ChangeRequest::PORT));
    let first = world.outputs();
    world.now = 500;
    assert_eq!(world.input(portolan_machine::Input::Timeout), Verdict::Mine);
    assert_eq!(world.outputs(), first);
}

#[test]
fn a_response_ends_the_request_and_its_duplicate_is_recognized() {
    let mut world = requester();
    let id = send_request(&mut world, binding(7));
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
fn a_response_from_another_address_is_reported_and_not_accepted() {
    for from in [AnswerFrom::SameAsDestination, AnswerFrom::Exactly(addr(SERVER))] {
        let mut world = requester();
        let id = send_request(&mut world, binding(7).from(from));
        world.run(40);
        for other in [ALTERNATE, "192.0.2.1:3479", "192.0.2.2:3478"] {
            assert_eq!(world.datagram(1, other, &success(id)), Verdict::Mine);
            assert_eq!(world.lines(), [format!("    40 7 answered from another address or socket: {other} on s1")]);
        }
        assert!(world.notes.0.last().unwrap().contains("accepts no other sender"));
        assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
        assert_eq!(world.lines().len(), 1, "the request was still pending");
        assert!(world.machine.is_empty());
    }
}

#[test]
fn a_response_of_a_server_that_ignores_change_request_is_not_accepted() {
    let mut world = requester();
    let change = binding(7).change(ChangeRequest::IP_AND_PORT).from(AnswerFrom::Exactly(addr(ALTERNATE)));
    let id = send_request(&mut world, change);
    world.run(40);
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    assert_eq!(world.lines(), ["    40 7 answered from another address or socket: 192.0.2.1:3478 on s1"]);
    assert_eq!(world.datagram(1, ALTERNATE, &success(id)), Verdict::Mine);
    assert!(world.lines()[0].contains("7 answered by 192.0.2.2:3479"));
}

#[test]
fn any_reported_accepts_a_response_from_any_address() {
    let mut world = requester();
    let id = send_request(&mut world, binding(7).from(AnswerFrom::AnyReported));
    world.lines();
    assert_eq!(world.datagram(1, "203.0.113.99:1", &success(id)), Verdict::Mine);
    assert!(world.lines()[0].starts_with("     0 7 answered by 203.0.113.99:1 on s1"));
}

#[test]
fn a_response_to_response_port_is_accepted_on_another_socket() {
    let mut world = requester();
    let plain = send_request(&mut world, binding(1));
    let lifetime = send_request(&mut world, binding(2).response_port(40_001));
    world.lines();
    assert_eq!(world.datagram(2, SERVER, &success(plain)), Verdict::Mine);
    assert_eq!(world.datagram(2, SERVER, &success(lifetime)), Verdict::Mine);
    assert_eq!(
        world.lines(),
        [
            "     0 1 answered from another address or socket: 192.0.2.1:3478 on s2",
            "     0 2 answered by 192.0.2.1:3478 on s2: answer 1 after 1 sends, 0 ms since the first, 0 since the last",
        ]
    );
    assert_eq!(binding(1).on(AnswerOn::AnySocket).on, AnswerOn::AnySocket);
}

/// RFC 8489 §6.3.4, §14.8: an error response with any code ends the request.
#[test]
fn an_error_response_ends_the_request() {
    for code in [300, 399, 400, 420, 438, 500, 599, 699] {
        let mut world = requester();
        let id = send_request(&mut world, binding(7));
        world.lines();
        let error = Attribute::ErrorCode(ErrorCode::new(code, "reason".into()).unwrap());
        assert_eq!(world.datagram(1, SERVER, &message(Class::ErrorResponse, id, &[error])), Verdict::Mine);
        let lines = world.lines();
        assert!(lines.len() == 1 && lines[0].contains("7 answered by"), "{code}: {lines:?}");
        assert!(world.machine.is_empty(), "{code}");
        assert_eq!(world.run(60_000), [""; 0], "{code}");
    }
}

#[test]
fn a_datagram_that_is_not_a_response_to_a_request_is_not_mine() {
    let mut world = requester();
    let id = send_request(&mut world, binding(7));
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
fn a_malformed_response_with_the_id_of_a_request_is_dropped() {
    let mut world = requester();
    let id = send_request(&mut world, binding(7));
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
    let mut world = requester();
    let id = send_request(&mut world, binding(7));
    world.lines();
    let unknown = Attribute::Unknown { kind: AttributeType::new(0x7fff), value: &[] };
    let bytes = message(Class::SuccessResponse, id, &[unknown]);
    assert_eq!(world.datagram(1, ALTERNATE, &bytes), Verdict::Mine);
    assert!(world.lines()[0].contains("another address"), "a response from another address does not end the request");
    assert_eq!(world.datagram(1, SERVER, &bytes), Verdict::Mine);
    assert!(world.lines()[0].contains("Unusable"));
    assert!(world.machine.is_empty());
}

#[test]
fn rfc8489_6_3_4_an_error_response_without_error_code_fails_the_request() {
    let mut world = requester();
    let id = send_request(&mut world, binding(7));
    world.lines();
    assert_eq!(world.datagram(1, SERVER, &message(Class::ErrorResponse, id, &[])), Verdict::Mine);
    assert!(world.lines()[0].contains("NoErrorCode"));
}

#[test]
fn rfc8489_7_a_response_to_a_request_with_fingerprint_must_have_a_correct_fingerprint() {
    let mut world = requester();
    let id = send_request(&mut world, binding(7).fingerprint());
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
fn a_repeating_schedule_continues_after_a_response() {
    let mut world = requester();
    let repeating = Schedule::at_millis([0, 90, 190]).tail(MS(250)).repeat(true);
    let id = send_request(&mut world, binding(7).schedule(repeating));
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
    let mut world = requester();
    let probe = Schedule::at_millis([0, 100, 250, 450]).every(MS(250)).until(MS(2000)).tail(MS(50));
    send_request(&mut world, binding(7).schedule(probe).hop_limit(4));
    let lines = world.run(10_000);
    let at: Vec<u64> = lines.iter().map(|line| line[..6].trim().parse().unwrap()).collect();
    assert_eq!(at, [0, 100, 250, 450, 700, 950, 1200, 1450, 1700, 1950, 2000]);
    assert!(lines[0].ends_with("hops 4"));
    assert_eq!(lines[10], "  2000 7 exhausted: 10 sends, 0 answers");
}

#[test]
fn jitter_moves_all_sends_except_the_first_and_keeps_their_order() {
    let mut world = requester();
    let schedule = Schedule::at_millis([0, 90, 190, 192]).jitter(MS(10));
    send_request(&mut world, binding(7).schedule(schedule));
    let at: Vec<u64> = world.run(10_000).iter().map(|line| line[..6].trim().parse().unwrap()).collect();
    assert_eq!(at[0], 0);
    assert!((91..=100).contains(&at[1]) && (191..=200).contains(&at[2]) && (192..=200).contains(&at[3]), "{at:?}");
}

#[test]
fn jitter_is_at_most_the_interval() {
    let mut world = requester();
    let schedule = Schedule::at_millis([0]).every(MS(100)).until(MS(2000)).jitter(MS(60_000));
    send_request(&mut world, binding(7).schedule(schedule));
    let at: Vec<u64> = world.run(10_000).iter().map(|line| line[..6].trim().parse().unwrap()).collect();
    assert_eq!(at.len(), 22);
    for (n, at) in at[..21].iter().enumerate() {
        let offset = 100 * n as u64;
        assert!((offset..=offset + 100).contains(at), "send {n} at {at}");
    }
}

#[test]
fn a_late_timeout_sends_once_and_keeps_the_intervals() {
    let mut world = requester();
    send_request(&mut world, binding(7));
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
fn a_new_tail_that_has_expired_ends_the_request_at_once() {
    let mut world = requester();
    let probe = Schedule::at_millis([0]).tail(MS(1000));
    let (early, late) =
        (send_request(&mut world, binding(1).schedule(probe)), send_request(&mut world, binding(2).schedule(probe)));
    world.run(300);
    world.with(|machine, cx| machine.set_tail(cx, early, MS(250))).unwrap();
    world.with(|machine, cx| machine.set_tail(cx, late, MS(350))).unwrap();
    assert_eq!(world.run(5000), ["   300 1 exhausted: 1 sends, 0 answers", "   350 2 exhausted: 1 sends, 0 answers"]);
    let gone = world.with(|machine, cx| machine.set_tail(cx, early, MS(1)));
    assert_eq!(gone, Err(RequestError::NotPending(early)));
}

#[test]
fn a_cancelled_request_has_no_outputs_and_its_response_is_recognized() {
    let mut world = requester();
    let id = send_request(&mut world, binding(7));
    world.lines();
    world.with(|machine, cx| machine.cancel(cx, id)).unwrap();
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    assert_eq!(world.run(60_000), [""; 0]);
    assert!(world.notes.0.last().unwrap().contains("was cancelled already"));
    assert_eq!(world.with(|machine, cx| machine.cancel(cx, id)), Err(RequestError::NotPending(id)));
}

#[test]
fn a_response_at_the_deadline_is_accepted() {
    let mut world = requester();
    let id = send_request(&mut world, binding(7).schedule(Schedule::at_millis([0]).tail(MS(100))));
    world.lines();
    world.now = 100;
    assert_eq!(world.datagram(1, SERVER, &success(id)), Verdict::Mine);
    assert!(world.lines()[0].contains("7 answered"));
}

#[test]
fn unreachable_is_reported_and_the_request_continues() {
    let mut world = requester();
    send_request(&mut world, binding(7));
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
    let mut world = requester();
    send_request(&mut world, binding(7));
    send_request(&mut world, Request::binding(SocketId(2), addr(SERVER), 8));
    world.lines();
    assert_eq!(world.socket_event(1, SocketEvent::Closed(Closure::Reset)), Verdict::Mine);
    assert!(world.lines()[0].contains("SocketLost { tag: 7"));
    assert_eq!(world.machine.pending().map(|(_, tag, sends)| (*tag, sends)).collect::<Vec<_>>(), [(8, 1)]);
}

#[test]
fn pending_requests_are_bounded_and_their_ids_differ_with_a_repeating_rng() {
    let mut world = World::new(Transactions::with_limit(300));
    let mut ids: Vec<_> = (0..300).map(|tag| send_request(&mut world, binding(tag))).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300, "the RNG of this world repeats after 256 calls");
    let refused = world.with(|machine, cx| machine.request(cx, binding(300)));
    assert_eq!(refused, Err(RequestError::Full { limit: 300 }));
}

#[test]
fn an_invalid_request_is_refused() {
    let mut world = requester();
    let mut refused = |request| world.with(|machine, cx| machine.request(cx, request));
    let binding_to = |remote: &str| Request::binding(SocketId(1), addr(remote), 1);
    assert_eq!(refused(binding_to("0.0.0.0:3478")), Err(RequestError::Destination));
    assert_eq!(refused(binding_to("192.0.2.1:0")), Err(RequestError::Destination));
    let mut truncated = binding(1).change(ChangeRequest::PORT);
    truncated.attributes = [&truncated.attributes[..], &[0, 3, 0, 4]].concat().into();
    assert_eq!(refused(truncated), Err(RequestError::Attributes { at: 8 }));
    assert!(world.machine.is_empty());
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn attributes_are_written_in_the_order_in_which_they_were_added() {
    let mut world = requester();
    let software = Attribute::Software("portolan".into());
    let request = binding(7).change(ChangeRequest::IP).padding(1001).attribute(&software).unwrap().response_port(9);
    send_request(&mut world, request);
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
    send_request(&mut world, most);
    let portolan_machine::Output::Transmit(sent) = world.outputs().remove(0) else { panic!("a request") };
    assert!((65_400..65_535 - 48).contains(&sent.payload.len()), "RFC 5780 §7.6");
    assert!(binding(7).attribute(&Attribute::Fingerprint(0)).is_err(), "computed, not added");
}

#[test]
fn the_queue_has_room_for_the_end_of_each_request() {
    let mut world = requester();
    let ids: Vec<_> = (0..100).map(|tag| send_request(&mut world, binding(tag))).collect();
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
fn xor_addresses_are_written_with_the_transaction_id_of_the_request() {
    for peer in ["[2001:db8::7]:5000", "203.0.113.7:5000"].map(addr) {
        let mut world = requester();
        send_request(&mut world, binding(7).attribute(&Attribute::XorPeerAddress(peer)).unwrap());
        let portolan_machine::Output::Transmit(sent) = world.outputs().remove(0) else { panic!("a request") };
        let message = Message::decode(&sent.payload).unwrap();
        assert_eq!(message.attributes().next().unwrap(), Ok(Attribute::XorPeerAddress(peer)));
    }
}
