//! Pipelined requests over TCP: each is answered or its stream is paused, and no source blocks the other sources.

use crate::responses::{Server, config};
use crate::world::{World, addr, message};
use core::net::SocketAddr;
use core::num::NonZeroU32;
use core::ops::Range;
use portolan_machine::{
    Closure, Datagram, Input, Machine as _, Outbox, Output, SocketEvent, SocketId, SocketOrder, Verdict,
};
use portolan_stun::{Attribute, Class, Message, TransactionId};
use portolan_stun_agent::{Rate, Responder, ResponderConfig, ResponderEvent};

const SERVER: &str = "192.0.2.1:3478";
const CLIENT: &str = "198.51.100.7:40000";
const STREAM: u64 = 10;

/// A started server whose UDP socket is s1 and whose listener is s2.
fn server(config: &ResponderConfig) -> Server {
    let mut world = World::new(Responder::new(config).unwrap());
    world.with(|machine, cx| machine.start(cx)).unwrap();
    for socket in [1, 2] {
        let _verdict = world.socket_event(socket, SocketEvent::Opened { local: addr(SERVER) });
    }
    world.outputs();
    world
}

fn without_alternate() -> ResponderConfig {
    config(&[SERVER], &[])
}

fn accept(world: &mut Server, socket: u64, remote: SocketAddr) {
    let accepted = SocketEvent::Accepted { socket: SocketId(socket), local: addr(SERVER), remote };
    assert_eq!(world.socket_event(2, accepted), Verdict::Mine);
}

/// A server with one accepted stream.
fn connected(config: &ResponderConfig) -> Server {
    let mut world = server(config);
    accept(&mut world, STREAM, addr(CLIENT));
    world
}

fn id(number: usize) -> TransactionId {
    let mut id = [0; 12];
    id[4..].copy_from_slice(&(number as u64).to_be_bytes());
    id.into()
}

fn requests(numbers: Range<usize>) -> Vec<u8> {
    numbers.flat_map(|number| message(Class::Request, id(number), &[])).collect()
}

fn taken(world: &mut Server, socket: u64, bytes: &[u8]) -> usize {
    let chunk = Datagram::new(SocketId(socket), addr(SERVER), addr(CLIENT), bytes);
    world.with(|machine, cx| machine.stream(cx, chunk)).unwrap()
}

/// Passes a chunk to the machine like a driver: after a drain it passes the bytes that were not taken. Returns all
/// outputs. Panics if a drained machine takes no bytes.
fn feed(world: &mut Server, mut chunk: &[u8]) -> Vec<Output<ResponderEvent>> {
    let mut outputs = vec![];
    while !chunk.is_empty() {
        let taken = taken(world, STREAM, chunk);
        let drained = world.outputs();
        assert!(drained.len() <= Outbox::<ResponderEvent>::LIMIT, "{}", drained.len());
        assert!(taken > 0, "a drained machine takes at least one byte");
        chunk = &chunk[taken..];
        outputs.extend(drained);
    }
    outputs
}

/// The numbers of the responses, in order.
fn answered(outputs: &[Output<ResponderEvent>]) -> Vec<usize> {
    let number = |output: &Output<_>| {
        let Output::Transmit(sent) = output else { return None };
        let message = Message::decode(&sent.payload).unwrap();
        assert_eq!(message.class(), Class::SuccessResponse);
        Some(u64::from_be_bytes(message.transaction_id().as_bytes()[4..].try_into().unwrap()) as usize)
    };
    outputs.iter().filter_map(number).collect()
}

#[test]
fn all_pipelined_requests_are_answered_in_order() {
    for count in [1, 300, 3_000, 30_000] {
        let bytes = requests(0..count);
        for cut in [7, 20, 1000, 65_536, bytes.len()] {
            let mut world = connected(&without_alternate().rate(None));
            let outputs: Vec<_> = bytes.chunks(cut).flat_map(|chunk| feed(&mut world, chunk)).collect();
            assert_eq!(answered(&outputs), (0..count).collect::<Vec<_>>(), "{count} requests cut into {cut}");
            assert_eq!(world.machine.stats().successes, count as u64);
            assert_eq!(world.machine.stats().dropped, Default::default());
        }
    }
}

#[test]
fn every_cut_of_a_long_chunk_gives_the_same_responses() {
    let bytes = requests(0..300);
    for cut in 1..=200 {
        let mut world = connected(&without_alternate().rate(None));
        let outputs: Vec<_> = bytes.chunks(cut).flat_map(|chunk| feed(&mut world, chunk)).collect();
        assert_eq!(answered(&outputs), (0..300).collect::<Vec<_>>(), "cut into {cut}");
    }
}

#[test]
fn a_full_queue_stops_a_stream_at_a_message_boundary_and_has_room_for_a_close() {
    let limit = Outbox::<ResponderEvent>::LIMIT;
    let mut world = connected(&without_alternate().rate(None));
    let bytes = requests(0..300);
    assert_eq!(taken(&mut world, STREAM, &bytes), (limit - 1) * 20);
    assert_eq!(taken(&mut world, STREAM, &bytes), 0, "not drained");
    accept(&mut world, 11, addr(CLIENT));
    assert_eq!(taken(&mut world, 11, b"GET / HTTP/1.1\r\n\r\n"), 0, "no stream is read");
    let outputs = world.outputs();
    assert_eq!(answered(&outputs).len(), limit - 1);
    let after = &bytes[(limit - 1) * 20..];
    assert_eq!(taken(&mut world, STREAM, &[after, b"GET / HTTP/1.1"].concat()), after.len() + 14);
    let outputs = world.outputs();
    assert_eq!(answered(&outputs), (limit - 1..300).collect::<Vec<_>>());
    assert_eq!(outputs.last(), Some(&Output::Socket(SocketOrder::Close(SocketId(STREAM)))));
}

#[test]
fn a_queue_full_of_datagram_responses_loses_no_stream_response() {
    let mut world = connected(&without_alternate().rate(None));
    let request = requests(0..1);
    for _ in 0..300 {
        let _verdict = world.input(Input::Datagram(Datagram::new(SocketId(1), addr(SERVER), addr(CLIENT), &request)));
    }
    assert_eq!(taken(&mut world, STREAM, &requests(5..6)), 0);
    world.outputs();
    assert_eq!(taken(&mut world, STREAM, &requests(5..6)), 20);
    assert_eq!(answered(&world.outputs()), [5]);
}

#[test]
fn no_bytes_are_taken_from_a_full_stream() {
    let mut world = connected(&without_alternate());
    accept(&mut world, 11, addr(CLIENT));
    assert_eq!(world.socket_event(STREAM, SocketEvent::Full), Verdict::Mine);
    for _ in 0..3 {
        assert_eq!(taken(&mut world, STREAM, &requests(0..2)), 0);
        assert_eq!(world.outputs(), []);
    }
    assert_eq!(taken(&mut world, 11, &requests(0..2)), 40, "the other stream is not full");
    assert_eq!(answered(&world.outputs()), [0, 1]);
    assert_eq!(world.socket_event(STREAM, SocketEvent::Writable), Verdict::Mine);
    assert_eq!(taken(&mut world, STREAM, &requests(0..2)), 40);
    assert_eq!(answered(&world.outputs()), [0, 1]);
    assert_eq!(world.socket_event(99, SocketEvent::Full), Verdict::NotMine);
    assert_eq!(world.socket_event(99, SocketEvent::Writable), Verdict::NotMine);
}

/// Passes the bytes of a stream to the machine, and advances the time to the end of each pause. Returns the numbers
/// of the answered requests, the number of pauses and the duration in milliseconds.
fn feed_over_time(world: &mut Server, mut bytes: &[u8]) -> (Vec<usize>, u64, u64) {
    let (mut numbers, mut pauses) = (vec![], 0);
    let mut is_paused = false;
    loop {
        if is_paused || bytes.is_empty() {
            let Output::Wait(Some(wait)) = world.machine.poll() else { break };
            world.now = u64::try_from(wait.at.since_origin().as_millis()).unwrap();
            assert_eq!(wait.why, "replies for a paused stream");
            assert_eq!(world.input(Input::Timeout), Verdict::Mine);
        } else {
            let taken = taken(world, STREAM, bytes);
            bytes = &bytes[taken..];
        }
        let outputs = world.outputs();
        numbers.extend(answered(&outputs));
        for output in outputs {
            match output {
                Output::Socket(SocketOrder::Pause(SocketId(STREAM))) => (is_paused, pauses) = (true, pauses + 1),
                Output::Socket(SocketOrder::Resume(SocketId(STREAM))) => is_paused = false,
                Output::Transmit(_) => {}
                output @ (Output::Socket(_) | Output::Event(_) | Output::Wait(_)) => panic!("{output:?}"),
            }
        }
    }
    (numbers, pauses, world.now)
}

#[test]
fn a_stream_beyond_the_rate_of_its_source_is_paused_without_loss() {
    let mut world = connected(&without_alternate());
    let (numbers, pauses, millis) = feed_over_time(&mut world, &requests(0..1000));
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    assert_eq!((pauses, millis), (30, 3000), "400 at once, then 20 each 100 ms");
    assert_eq!((world.machine.stats().streams.paused, world.machine.stats().dropped.rate_limited), (30, 0));

    let rate = Rate { per_second: NonZeroU32::new(1).unwrap(), burst: NonZeroU32::new(2).unwrap() };
    let mut world = connected(&without_alternate().rate(Some(rate)));
    let (numbers, pauses, millis) = feed_over_time(&mut world, &requests(0..5));
    assert_eq!((numbers, pauses, millis), (vec![0, 1, 2, 3, 4], 3, 3000));
}

#[test]
fn a_paused_stream_takes_no_bytes_and_other_streams_are_not_affected() {
    let rate = Rate { per_second: NonZeroU32::new(1).unwrap(), burst: NonZeroU32::new(1).unwrap() };
    let mut world = connected(&without_alternate().rate(Some(rate)));
    accept(&mut world, 11, addr("198.51.100.8:40000"));
    assert_eq!(taken(&mut world, STREAM, &requests(0..3)), 40, "one request is answered, the second is pending");
    assert_eq!(
        world.lines(),
        ["     0 s10 > 198.51.100.7:40000 Binding success response, 32 bytes", "     0 pause s10"]
    );
    assert_eq!(taken(&mut world, STREAM, &requests(2..3)), 0);
    assert_eq!(taken(&mut world, 11, &requests(7..8)), 20);
    assert_eq!(answered(&world.outputs()), [7]);
    // A datagram of the same source uses the reply of the stream, so the pause is extended.
    world.now = 1000;
    let request = requests(3..4);
    let _verdict = world.input(Input::Datagram(Datagram::new(SocketId(1), addr(SERVER), addr(CLIENT), &request)));
    assert_eq!(answered(&world.outputs()), [3]);
    assert_eq!(world.input(Input::Timeout), Verdict::Mine);
    assert_eq!(world.outputs(), []);
    world.now = 2000;
    assert_eq!(world.input(Input::Timeout), Verdict::Mine);
    assert_eq!(
        world.lines(),
        ["  2000 s10 > 198.51.100.7:40000 Binding success response, 32 bytes", "  2000 resume s10"]
    );
    // The end of a paused stream ends its pause.
    assert_eq!(taken(&mut world, STREAM, &requests(2..3)), 20);
    assert_eq!(world.lines(), ["  2000 pause s10"]);
    assert_eq!(world.socket_event(STREAM, SocketEvent::Closed(Closure::ByPeer)), Verdict::Mine);
    assert_eq!(world.machine.poll(), Output::Wait(None));
}

/// 256 streams of one source that send one byte each 15 s. A request has 20 bytes.
#[test]
fn slow_streams_of_one_source_do_not_block_other_sources() {
    for (per_source, held) in [(256, 256), (ResponderConfig::STREAMS_PER_SOURCE, 64)] {
        let mut world = server(&without_alternate().streams_per_source(per_source));
        for stream in 0..256 {
            accept(&mut world, 1000 + stream, addr("127.0.0.2:40000"));
        }
        assert_eq!(world.machine.streams(), held);
        let open: Vec<u64> = (1000..1000 + held as u64).collect();
        world.outputs();
        let request = requests(0..1);
        for second in [0, 15, 30, 45, 60] {
            world.now = second * 1000;
            for &stream in &open {
                let byte = &request[usize::try_from(second / 15).unwrap()..][..1];
                assert_eq!(taken(&mut world, stream, byte), 1);
            }
            assert_eq!(world.outputs(), []);
        }
        world.now = 60_000;
        accept(&mut world, STREAM, addr("127.0.0.3:40000"));
        assert_eq!(taken(&mut world, STREAM, &request), 20);
        let lines = world.lines();
        let response = "60000 s10 > 127.0.0.3:40000 Binding success response, 32 bytes";
        assert!(lines.last().unwrap().ends_with(response), "{lines:?}");
        assert_eq!(world.machine.streams(), held.min(255) + 1);
        let displaced = world.machine.stats().streams.displaced;
        assert_eq!((displaced, lines.len() - 1), if held == 256 { (1, 1) } else { (0, 0) }, "{lines:?}");
    }
}

#[test]
fn only_a_whole_message_renews_a_stream() {
    let mut world = server(&without_alternate().streams(2));
    accept(&mut world, 10, addr(CLIENT));
    accept(&mut world, 11, addr(CLIENT));
    world.now = 39_000;
    assert_eq!(taken(&mut world, 10, &requests(0..1)[..19]), 19);
    assert_eq!(taken(&mut world, 11, &requests(0..1)), 20);
    world.outputs();
    world.now = 39_500;
    accept(&mut world, 12, addr(CLIENT));
    assert_eq!(world.lines(), [" 39500 close s10"], "a partial message does not renew a stream");
    accept(&mut world, 13, addr(CLIENT));
    assert_eq!(world.lines(), [" 39500 close s13"], "the other stream was renewed");
}

#[test]
fn the_table_of_streams_is_bounded_and_released() {
    let footprint = |world: &Server| format!("{:?}", world.machine).len();
    let config = without_alternate().rate(None);
    let mut world = server(&config);
    let fresh = footprint(&world);
    for stream in 0..2000_u64 {
        let ip = [198, 51, 100, u8::try_from(stream % 50).unwrap()];
        accept(&mut world, 1000 + stream, (ip, 40000).into());
        let half = message(Class::Request, id(0), &[Attribute::Padding(&[0; 4000])]);
        let chunk = Datagram::new(SocketId(1000 + stream), addr(SERVER), addr(CLIENT), &half[..4000]);
        let _taken = world.with(|machine, cx| machine.stream(cx, chunk));
        world.outputs();
    }
    assert_eq!(world.machine.streams(), ResponderConfig::STREAMS);
    let (full, each) = (footprint(&world), 4000 * "00, ".len() + 800);
    assert!(full <= fresh + ResponderConfig::STREAMS * each, "{full}");
    for stream in 0..2000_u64 {
        let _verdict = world.socket_event(1000 + stream, SocketEvent::Closed(Closure::ByPeer));
    }
    assert_eq!(world.machine.streams(), 0);
    // The text of the counters has more digits than before.
    assert!(footprint(&world) <= fresh + 16, "{} after {fresh}", footprint(&world));
}
