//! Binding over TCP (RFC 8489 §6.2.2), on both sides.

use crate::responses::{Server, config};
use crate::world::{World, addr, message, success};
use core::time::Duration;
use portolan_machine::{Closure, Datagram, Output, SocketEvent, SocketId, Verdict};
use portolan_stun::{Attribute, ChangeRequest, Class, Message};
use portolan_stun_agent::{Request, Responder, ResponderConfig, Schedule, Transactions};

const CLIENT: &str = "198.51.100.7:40000";
const SERVER: &str = "192.0.2.1:3478";
const ID: [u8; 12] = [7; 12];

/// A started server whose UDP socket is s1 and whose listener is s2.
fn server(config: ResponderConfig) -> Server {
    let mut world = World::new(Responder::new(&config).unwrap());
    world.with(|machine, cx| machine.start(cx)).unwrap();
    for socket in [1, 2] {
        let _verdict = world.socket_event(socket, SocketEvent::Opened { local: addr(SERVER) });
    }
    world.lines();
    world
}

fn without_alternate() -> ResponderConfig {
    config(&[SERVER], &[])
}

fn accept(world: &mut Server, socket: u64) {
    let accepted = SocketEvent::Accepted { socket: SocketId(socket), local: addr(SERVER), remote: addr(CLIENT) };
    assert_eq!(world.socket_event(2, accepted), Verdict::Mine);
}

fn request(attributes: &[Attribute<'_>]) -> Vec<u8> {
    message(Class::Request, ID.into(), attributes)
}

#[test]
fn a_binding_request_is_answered_on_its_stream() {
    let mut world = server(without_alternate());
    accept(&mut world, 10);
    let two = [request(&[]), request(&[Attribute::Padding(&[0; 8])])].concat();
    for chunk in two.chunks(7) {
        assert_eq!(world.stream(10, CLIENT, chunk), Verdict::Mine);
    }
    assert_eq!(
        world.lines(),
        [
            "     0 s10 > 198.51.100.7:40000 Binding success response, 32 bytes",
            "     0 s10 > 198.51.100.7:40000 Binding success response, 68 bytes",
        ]
    );
    assert_eq!(world.stream(11, CLIENT, &two), Verdict::NotMine, "this stream was not accepted");
}

#[test]
fn response_port_and_change_request_on_a_stream_are_420() {
    let mut world = server(without_alternate());
    accept(&mut world, 10);
    for attribute in [Attribute::ResponsePort(5000), Attribute::ChangeRequest(ChangeRequest::PORT)] {
        assert_eq!(world.stream(10, CLIENT, &request(&[attribute])), Verdict::Mine);
        let outputs = world.outputs();
        // RFC 8489 §6.2.2: no connection is opened to the client.
        let [Output::Transmit(reply)] = &outputs[..] else { panic!("one reply, not {outputs:?}") };
        assert_eq!((reply.socket, reply.remote), (SocketId(10), addr(CLIENT)));
        assert_eq!(Message::decode(&reply.payload).unwrap().error_code().unwrap().code(), 420);
    }
}

#[test]
fn with_an_alternate_other_address_is_sent_over_tcp_too() {
    let mut world = World::new(Responder::new(&config(&[SERVER], &["192.0.2.2:3479"])).unwrap());
    world.with(|machine, cx| machine.start(cx)).unwrap();
    for socket in 1..=8 {
        let _verdict = world.socket_event(socket, SocketEvent::Opened { local: addr(SERVER) });
    }
    world.lines();
    let accepted = SocketEvent::Accepted { socket: SocketId(10), local: addr(SERVER), remote: addr(CLIENT) };
    assert_eq!(world.socket_event(5, accepted), Verdict::Mine);
    for (attributes, code) in [
        (vec![], None),
        (vec![Attribute::ChangeRequest(ChangeRequest::NONE)], None),
        (vec![Attribute::ChangeRequest(ChangeRequest::IP)], Some(420)),
    ] {
        let _verdict = world.stream(10, CLIENT, &request(&attributes));
        let Output::Transmit(reply) = world.outputs().remove(0) else { panic!("a reply") };
        let message = Message::decode(&reply.payload).unwrap();
        assert_eq!(message.error_code().map(|error| error.code()), code);
        assert_eq!(message.other_address(), code.is_none().then_some(addr("192.0.2.2:3479")));
    }
}

#[test]
fn bad_framing_and_a_too_long_message_close_the_stream() {
    let mut long = request(&[]);
    long[2..4].copy_from_slice(&8000_u16.to_be_bytes());
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), long] {
        let mut world = server(without_alternate());
        accept(&mut world, 10);
        assert_eq!(world.stream(10, CLIENT, &bytes), Verdict::Mine);
        assert_eq!(world.lines(), ["     0 close s10"]);
        assert_eq!(world.stream(10, CLIENT, &request(&[])), Verdict::NotMine);
        assert_eq!((world.machine.streams(), world.machine.stats().streams.broken), (0, 1));
    }
}

/// A complete request is answered before its stream is closed because of invalid bytes or of the limit of streams.
#[test]
fn rfc8489_6_2_2_a_request_is_answered_before_its_stream_is_closed() {
    let mut world = server(without_alternate().streams(1));
    accept(&mut world, 10);
    let _verdict = world.stream(10, CLIENT, &[&request(&[])[..], b"GET / HTTP/1.1\r\n\r\n"].concat());
    let lines = world.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("success response") && lines[1].ends_with("close s10"), "{lines:?}");
    accept(&mut world, 11);
    let _verdict = world.stream(11, CLIENT, &request(&[]));
    world.now = 39_500;
    // Also for two inputs without a drain between them the response is first.
    accept(&mut world, 12);
    let lines = world.lines();
    assert!(lines[0].contains("success response") && lines[1].ends_with("close s11"), "{lines:?}");
}

#[test]
fn other_messages_on_a_stream_are_skipped() {
    let mut world = server(without_alternate());
    accept(&mut world, 10);
    let bytes = [message(Class::Indication, ID.into(), &[]), success(ID.into()), request(&[])].concat();
    assert_eq!(world.stream(10, CLIENT, &bytes), Verdict::Mine);
    assert_eq!(world.lines().len(), 1);
    assert_eq!(world.machine.stats().dropped.not_requests, 2);
}

#[test]
fn streams_are_bounded_and_the_longest_silent_one_is_displaced() {
    let mut world = server(without_alternate().streams(2));
    accept(&mut world, 10);
    world.now = 1000;
    accept(&mut world, 11);
    accept(&mut world, 12);
    assert_eq!(world.lines(), ["  1000 close s12"], "no stream has been silent for 39.5 s");
    world.now = 39_500;
    accept(&mut world, 13);
    assert_eq!(world.lines(), [" 39500 close s10"]);
    assert_eq!((world.machine.streams(), world.machine.stats().streams.refused), (2, 1));
    assert_eq!(world.socket_event(11, SocketEvent::Closed(Closure::ByPeer)), Verdict::Mine);
    assert_eq!(world.machine.streams(), 1);
}

#[test]
fn without_tcp_there_is_no_listener() {
    let mut world = World::new(Responder::new(&without_alternate().streams(0)).unwrap());
    world.with(|machine, cx| machine.start(cx)).unwrap();
    let _verdict = world.socket_event(1, SocketEvent::Opened { local: addr(SERVER) });
    assert_eq!(world.lines(), ["     0 open s1 udp 192.0.2.1:3478", "     0 s1 listening udp 192.0.2.1:3478"]);
}

/// A machine with one request over the stream s1, and the id of the request.
fn requester() -> (World<Transactions<u32>>, portolan_stun::TransactionId) {
    requester_for(Schedule::rfc8489_reliable())
}

fn requester_for(schedule: Schedule) -> (World<Transactions<u32>>, portolan_stun::TransactionId) {
    let mut world = World::new(Transactions::new());
    let once = Request::binding(SocketId(1), addr(SERVER), 7).schedule(schedule);
    let id = world.with(|machine, cx| machine.request(cx, once)).unwrap();
    world.lines();
    (world, id)
}

#[test]
fn rfc8489_6_2_2_over_a_stream_a_request_is_sent_once() {
    let (mut world, _) = requester();
    assert_eq!(world.run(100_000), [" 39500 7 exhausted: 1 sends, 0 answers"], "Ti by default");
    let (mut world, _) = requester_for(Schedule::reliable(Duration::from_millis(1250)));
    assert_eq!(world.run(100_000), ["  1250 7 exhausted: 1 sends, 0 answers"]);
}

#[test]
fn a_response_in_chunks_is_reassembled() {
    let (mut world, id) = requester();
    let bytes = [success([9; 12].into()), success(id), success(id)].concat();
    for chunk in bytes.chunks(5) {
        let verdict = world.stream(1, SERVER, chunk);
        assert_eq!(verdict, Verdict::Mine);
    }
    let lines = world.lines();
    assert!(lines.len() == 1 && lines[0].contains("7 answered"), "{lines:?}");
    assert!(world.notes.0.iter().any(|note| note.contains("no pending request")));
    assert!(world.notes.0.iter().any(|note| note.contains("was answered already")));
    assert_eq!(world.stream(1, SERVER, &success(id)), Verdict::NotMine, "no request is pending on the stream");
    assert_eq!(world.stream(2, SERVER, &success(id)), Verdict::NotMine, "no request was sent on this stream");
}

#[test]
fn rfc8489_6_2_2_a_stream_that_fails_fails_its_requests() {
    let (mut world, _) = requester();
    assert_eq!(world.stream(1, SERVER, b"HTTP/1.1 400 Bad Request\r\n"), Verdict::Mine);
    assert!(world.lines()[0].contains("NotStun"));
    let (mut world, _) = requester();
    assert_eq!(world.socket_event(1, SocketEvent::Closed(Closure::Reset)), Verdict::Mine);
    assert!(world.lines()[0].contains("Closed(Reset)"));
}

#[test]
fn a_stream_without_requests_is_not_mine_unless_a_message_is_partly_read() {
    for (chunk, then) in [(20, Verdict::NotMine), (25, Verdict::Mine)] {
        let (mut world, id) = requester();
        let bytes = [message(Class::Indication, ID.into(), &[]), success(id)].concat();
        assert_eq!(world.stream(1, SERVER, &bytes[..chunk]), Verdict::Mine);
        world.with(|machine, cx| machine.cancel(cx, id)).unwrap();
        assert_eq!(world.stream(1, SERVER, &bytes[chunk..]), then, "after {chunk} bytes");
        assert_eq!(world.stream(1, SERVER, &bytes), Verdict::NotMine);
        assert_eq!(world.lines(), [""; 0]);
    }
}

/// Passes a whole message of a stream whose framing the owner does.
fn whole(world: &mut World<Transactions<u32>>, remote: &str, bytes: &[u8]) -> Option<Verdict> {
    let datagram = Datagram::new(SocketId(1), addr(CLIENT), addr(remote), bytes);
    world.with(|machine, cx| machine.message(cx, datagram))
}

#[test]
fn a_whole_message_of_a_stream_is_checked_like_a_datagram() {
    let (mut world, id) = requester();
    for other in [message(Class::Indication, id, &[]), success([9; 12].into()), b"GET".to_vec()] {
        assert_eq!(whole(&mut world, SERVER, &other), Some(Verdict::NotMine));
    }
    assert_eq!(whole(&mut world, "192.0.2.66:3478", &success(id)), Some(Verdict::Mine));
    let lines = world.lines();
    assert!(lines.len() == 1 && lines[0].contains("answered from another address"), "{lines:?}");
    assert_eq!(whole(&mut world, SERVER, &success(id)), Some(Verdict::Mine));
    assert!(world.lines()[0].contains("7 answered"));
    assert_eq!(whole(&mut world, SERVER, &success(id)), Some(Verdict::Mine), "a late response");
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn a_whole_message_after_the_deadline_is_late() {
    let (mut world, id) = requester();
    world.now = 39_500;
    assert_eq!(whole(&mut world, SERVER, &success([9; 12].into())), Some(Verdict::NotMine));
    assert_eq!(world.lines(), [""; 0], "a message of another machine changes nothing");
    assert_eq!(whole(&mut world, SERVER, &success(id)), Some(Verdict::Mine));
    assert_eq!(world.lines(), [" 39500 7 exhausted: 1 sends, 0 answers"]);
}

/// The outputs are those of `stream` for the same messages.
#[test]
fn a_whole_message_waits_for_space_in_the_queue() {
    let repeating = Schedule::at_millis([0]).tail(Duration::from_secs(20)).repeat(true);
    let (mut world, id) = requester_for(repeating);
    let (mut other, other_id) = requester_for(repeating);
    assert_eq!(id, other_id);
    let (mut outputs, mut waits) = (vec![], 0);
    for _ in 0..1000 {
        while whole(&mut world, SERVER, &success(id)).is_none() {
            waits += 1;
            outputs.extend(world.lines());
        }
    }
    outputs.extend(world.lines());
    assert!((3..=4).contains(&waits), "the queue was full {waits} times");
    let mut expected = vec![];
    for _ in 0..1000 {
        assert_eq!(other.stream(1, SERVER, &success(id)), Verdict::Mine);
        expected.extend(other.lines());
    }
    assert_eq!(outputs, expected);
}
