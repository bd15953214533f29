//! Responses on streams, in chunks of any size: no output is lost, and the outputs do not depend on the chunk size.

use crate::credentials_client::{BEST_FIRST, BOTH, PASSWORD, USER, challenge, sha256};
use crate::world::{World, addr, success};
use core::time::Duration;
use portolan_machine::{Closure, Datagram, Machine, Output, SocketEvent, SocketId, Verdict};
use portolan_stun::{Integrity, Message, TransactionId};
use portolan_stun_agent::{Credential, Request, Schedule, TransactionEvent, Transactions};

type Requester = World<Transactions<u32>>;
type Outputs = Vec<Output<TransactionEvent<u32>>>;

const SERVER: &str = "192.0.2.1:3478";
const CLIENT: &str = "198.51.100.7:40000";

fn binding(tag: u32) -> Request<u32> {
    Request::binding(SocketId(1), addr(SERVER), tag).schedule(Schedule::reliable(Duration::from_secs(20)))
}

/// A request that stays pending after its responses.
fn repeating(tag: u32) -> Request<u32> {
    binding(tag).schedule(Schedule::at_millis([0]).tail(Duration::from_secs(20)).repeat(true))
}

fn send_request(world: &mut Requester, request: Request<u32>) -> TransactionId {
    world.with(|machine, cx| machine.request(cx, request)).unwrap()
}

fn take(world: &mut Requester, socket: u64, bytes: &[u8]) -> Option<usize> {
    let chunk = Datagram::new(SocketId(socket), addr(CLIENT), addr(SERVER), bytes);
    world.with(|machine, cx| machine.stream(cx, chunk))
}

/// Passes a stream to the machine in chunks of `cut` bytes, like a driver: it drains the machine, and then passes the
/// bytes that were not taken. Returns the outputs, and how often the machine stopped before the end of a chunk.
fn feed(world: &mut Requester, bytes: &[u8], cut: usize) -> (Outputs, usize) {
    let (mut outputs, mut stops) = (vec![], 0);
    for chunk in bytes.chunks(cut) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = take(world, 1, rest).unwrap();
            assert!(taken > 0, "a drained machine takes at least one byte");
            rest = &rest[taken..];
            stops += usize::from(!rest.is_empty());
            let drained = world.outputs();
            assert!(drained.len() <= 256, "{} outputs", drained.len());
            outputs.extend(drained);
        }
    }
    (outputs, stops)
}

#[test]
fn a_chunk_with_thousands_of_responses_is_taken_whole() {
    const COUNT: u32 = 3000;
    let mut world = World::new(Transactions::with_limit(COUNT as usize));
    let responses: Vec<u8> = (0..COUNT).flat_map(|tag| success(send_request(&mut world, binding(tag)))).collect();
    assert_eq!(world.outputs().len(), COUNT as usize);
    assert_eq!(take(&mut world, 1, &responses), Some(responses.len()));
    let outputs = world.outputs();
    let tags: Vec<_> = outputs.iter().map(answered).collect();
    assert_eq!(tags, (0..COUNT).map(Some).collect::<Vec<_>>());
    assert!(world.machine.is_empty());
}

fn answered(output: &Output<TransactionEvent<u32>>) -> Option<u32> {
    match output {
        Output::Event(TransactionEvent::Answered(answer)) => Some(answer.tag),
        Output::Event(_) | Output::Transmit(_) | Output::Socket(_) | Output::Wait(_) => None,
    }
}

/// A stream with the challenge of one request between many responses to a repeating request.
fn busy_stream() -> (Requester, Vec<u8>) {
    let mut world = World::new(Transactions::new());
    let many = send_request(&mut world, repeating(1));
    let credential = Credential::long_term(USER, PASSWORD);
    let challenged = world.with(|machine, cx| machine.request_with(cx, binding(2), credential)).unwrap();
    let last = send_request(&mut world, binding(3));
    let outputs = world.outputs();
    let Output::Transmit(sent) = &outputs[1] else { panic!("a request") };
    assert_eq!(Message::decode(&sent.payload).unwrap().transaction_id(), challenged);
    let mut stream: Vec<u8> = (0..1000).flat_map(|_| success(many)).collect();
    stream.extend(challenge(BOTH, Some(BEST_FIRST)).to(&sent.payload));
    stream.extend((0..1000).flat_map(|_| success(many)));
    stream.extend(success(last));
    (world, stream)
}

#[test]
fn outputs_of_a_stream_are_complete_and_independent_of_the_chunk_size() {
    let mut first: Option<Outputs> = None;
    for cut in [usize::MAX, 65_536, 8193, 64, 32, 31, 7, 1] {
        let (mut world, stream) = busy_stream();
        let (outputs, stops) = feed(&mut world, &stream, cut.min(stream.len()));
        assert_eq!(stops > 0, cut > 8000, "{stops} stops with chunks of {cut} bytes");
        assert_eq!(outputs.iter().filter(|output| answered(output) == Some(1)).count(), 2000);
        assert_eq!(outputs.iter().filter(|output| answered(output) == Some(3)).count(), 1);
        let signed = outputs.iter().find_map(|output| match output {
            Output::Transmit(sent) => Some(sent.payload.clone()),
            Output::Event(_) | Output::Socket(_) | Output::Wait(_) => None,
        });
        let signed = signed.unwrap();
        assert!(Message::decode(&signed).unwrap().verify_with(&sha256(), Integrity::SHA256).is_ok());
        assert!(!world.notes.0.iter().any(|note| note.contains("output queue is full")), "no message was dropped");
        assert_eq!(*first.get_or_insert_with(|| outputs.clone()), outputs, "chunks of {cut} bytes");
    }
}

#[test]
fn a_full_machine_stops_before_a_message_but_takes_final_responses() {
    let mut world = World::new(Transactions::new());
    let (many, one) = (send_request(&mut world, repeating(1)), send_request(&mut world, binding(2)));
    world.outputs();
    let message = success(many);
    while take(&mut world, 1, &message) == Some(message.len()) {}
    // The first part of a message is taken. Its last byte is not taken while the queue is full.
    assert_eq!(take(&mut world, 1, &message[..31]), Some(31));
    assert_eq!(take(&mut world, 1, &message[31..]), Some(0));
    assert_eq!(take(&mut world, 1, &message[31..]), Some(0));
    assert_eq!(world.outputs().len(), 254, "one slot is reserved for the end of each request");
    assert_eq!(take(&mut world, 1, &message[31..]), Some(1));
    while take(&mut world, 1, &message) == Some(message.len()) {}
    // The final response of a request is taken, also in a chunk with a message that is not taken.
    let chunk = [success(one), message.clone()].concat();
    assert_eq!(take(&mut world, 1, &chunk), Some(32));
    assert_eq!(answered(world.outputs().last().unwrap()), Some(2));
}

#[test]
fn a_drained_machine_takes_bytes_at_the_limit_of_pending_requests() {
    for limit in [1, Transactions::<u32>::LIMIT, 1000] {
        let mut world = World::new(Transactions::with_limit(limit));
        let ids: Vec<_> = (0..limit as u32).map(|tag| send_request(&mut world, repeating(tag))).collect();
        world.outputs();
        for id in [ids[0], ids[limit - 1]] {
            assert_eq!(take(&mut world, 1, &success(id)), Some(32), "limit {limit}");
            assert_eq!(world.outputs().len(), 1);
        }
    }
}

/// An expired deadline is handled before the bytes, for each chunk size.
#[test]
fn at_a_deadline_the_outputs_are_independent_of_the_chunk_size() {
    for cut in [1, 31, 32, 33, 64] {
        let mut world = World::new(Transactions::new());
        let expired = send_request(&mut world, binding(1).schedule(Schedule::reliable(Duration::from_secs(1))));
        let other = send_request(&mut world, binding(2));
        world.outputs();
        world.now = 1000;
        let stream = [success(expired), success(other)].concat();
        let (outputs, _) = feed(&mut world, &stream, cut);
        assert!(matches!(&outputs[0], Output::Event(TransactionEvent::Exhausted { tag: 1, .. })), "{outputs:?}");
        assert_eq!(answered(&outputs[1]), Some(2));
        assert_eq!(outputs.len(), 2);
    }
}

#[test]
fn at_most_32_partial_messages_of_streams_without_a_request_are_kept() {
    let mut world = World::new(Transactions::new());
    let message = success([9; 12].into());
    for socket in 1..=40 {
        let mut request = binding(7);
        request.socket = SocketId(socket);
        let id = send_request(&mut world, request);
        assert_eq!(take(&mut world, socket, &message[..25]), Some(25));
        world.with(|machine, cx| machine.cancel(cx, id)).unwrap();
    }
    world.outputs();
    for socket in 1..=40 {
        let taken = if socket <= 8 { None } else { Some(7) };
        assert_eq!(take(&mut world, socket, &message[25..]), taken, "socket {socket}");
        assert_eq!(take(&mut world, socket, &message), None, "the message is complete");
    }
    assert_eq!(world.outputs().len(), 0);
}

#[test]
fn a_new_request_on_a_stream_continues_the_partial_message() {
    let mut world = World::new(Transactions::new());
    let first = send_request(&mut world, binding(1));
    let late = success(first);
    assert_eq!(take(&mut world, 1, &late[..25]), Some(25));
    world.with(|machine, cx| machine.cancel(cx, first)).unwrap();
    let second = send_request(&mut world, binding(2));
    world.outputs();
    let stream = [&late[25..], &success(second)].concat();
    let (outputs, _) = feed(&mut world, &stream, 3);
    assert_eq!(outputs.iter().map(answered).collect::<Vec<_>>(), [Some(2)]);
    // The end of the stream belongs to this machine while a partial message of the stream is kept.
    let third = send_request(&mut world, binding(3));
    world.outputs();
    assert_eq!(take(&mut world, 1, &late[..25]), Some(25));
    world.with(|machine, cx| machine.cancel(cx, third)).unwrap();
    assert_eq!(world.socket_event(1, SocketEvent::Closed(Closure::ByPeer)), Verdict::Mine);
    assert_eq!(world.socket_event(1, SocketEvent::Closed(Closure::ByPeer)), Verdict::NotMine);
    assert_eq!(take(&mut world, 1, &late[25..]), None);
}
