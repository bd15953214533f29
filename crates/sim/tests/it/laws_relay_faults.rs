//! A faulty relay for each of the laws about parents, `forward`, streams and state.

use crate::laws_relay::{BINDINGS, CLIENTS, Fault, LISTENER, PEERS, Parent, Relay};
use core::net::SocketAddr;
use portolan_machine::{Closure, Instant, Machine, Output, Script, SocketEvent, SocketId, SocketOrder};
use portolan_sim::laws::{self, Context, Footprint, Law, StateLimit, Step};

const HANDED: [SocketId; 3] = [CLIENTS, PEERS, LISTENER];
const STREAM: SocketId = SocketId(7);

fn address(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 5000).into()
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// The footprint is the length of the state's text. Its limit: eight bindings and four streams with half a message.
const LIMIT: StateLimit = StateLimit { flooded: 2000, tables: 200 };

fn context() -> Context<'static, Relay> {
    Context {
        handed_in: &HANDED,
        state: Some(|relay| format!("{relay:?}")),
        footprint: Some(Footprint::debug_text(LIMIT)),
        ..Context::default()
    }
}

/// A client binds, sends data, and sends more after its binding has expired. Two streams carry messages whole, in
/// pieces and several at once. The first stream is full for a moment, and ends by a bad length. The relay pauses the
/// second stream, which ends before it is resumed.
fn script() -> Vec<Step> {
    let client = |millis, payload: &[u8]| Step::datagram(at(millis), CLIENTS, address(1), address(7), payload);
    let accepted = |id| SocketEvent::Accepted { socket: SocketId(id), local: address(1), remote: address(8) };
    let chunk = |millis, id, bytes: &[u8]| Step::stream(at(millis), SocketId(id), address(1), address(8), bytes);
    vec![
        client(0, b"data too early"),
        client(10, b"bind"),
        client(20, b"data one"),
        client(30, b"data "),
        client(40, b"noise"),
        client(9_000, b"data three"),
        Step::timeout(at(10_500)),
        client(11_000, b"data four"),
        Step::timeout(at(22_000)),
        client(22_100, b"data five"),
        Step::socket_event(at(23_000), LISTENER, accepted(7)),
        Step::socket_event(at(23_000), LISTENER, accepted(8)),
        chunk(23_010, 7, b"\x03one\x03two"),
        chunk(23_010, 7, b"\x05th"),
        chunk(23_010, 7, b"ree"),
        Step::socket_event(at(23_012), SocketId(7), SocketEvent::Full),
        chunk(23_013, 7, b"\x04late"),
        Step::socket_event(at(23_014), SocketId(7), SocketEvent::Writable),
        chunk(23_020, 8, b"\x02hi"),
        chunk(23_025, 8, b"\x04wait\x03one"),
        chunk(23_030, 8, b"\x04half"),
        chunk(23_035, 8, b"\x0enot whole"),
        chunk(23_040, 7, b"\xff bad"),
        chunk(23_050, 7, b"\x01x"),
        Step::socket_event(at(23_060), SocketId(8), SocketEvent::Closed(Closure::ByPeer)),
        Step::timeout(at(24_025)),
        Step::timeout(at(60_000)),
    ]
}

/// The laws that a machine breaks.
fn broken<M: Machine<Command: Script>>(factory: impl Fn() -> M, script: &[Step], context: &Context<'_, M>) -> Vec<Law> {
    let broken = |law: &Law| match laws::check(*law, &factory, script, context) {
        Ok(()) => false,
        Err(violation) => {
            assert_eq!(violation.law, *law, "{violation}");
            assert!(
                laws::check(*law, &factory, &violation.steps, context).is_err(),
                "its steps reproduce the violation: {violation}"
            );
            println!("{violation}");
            true
        }
    };
    Law::ALL.iter().copied().filter(broken).collect()
}

fn broken_by(fault: Fault) -> Vec<Law> {
    broken(|| Relay::new(Some(fault)), &script(), &context())
}

#[test]
fn the_correct_relay_breaks_no_law() {
    assert_eq!(broken(|| Relay::new(None), &script(), &context()), []);
}

#[test]
fn the_script_exercises_every_fault() {
    let (_, played) = laws::record(Relay::new(None), &script(), &context());
    let outputs: Vec<usize> = played.iter().map(|played| played.outputs.len()).collect();
    assert_eq!(
        outputs,
        [0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 2, 0, 1, 0, 0, 1, 1, 2, 0, 0, 1, 0, 0, 3, 0],
        "{played:?}"
    );
}

#[test]
fn an_effect_of_a_none_is_detected() {
    assert_eq!(broken_by(Fault::CountsNoneOfForward), [Law::NotMine]);
    assert_eq!(broken_by(Fault::DrawsForNoneOfForward), [Law::NotMine]);
    assert_eq!(broken_by(Fault::KeepsForeignBytes), [Law::NotMine]);
}

#[test]
fn a_difference_between_forward_and_handle_is_detected() {
    for fault in [
        Fault::CountsForwardTwice,
        Fault::ReportsForward,
        Fault::DrawsForForward,
        Fault::PadsForward,
        Fault::RenewsInHandle,
        Fault::ForwardsEmpty,
    ] {
        assert_eq!(broken_by(fault), [Law::ShortWay], "{fault:?}");
    }
}

/// Only the state that the context renders shows a count that no output shows.
#[test]
fn a_double_count_needs_the_state() {
    let blind = Context { state: None, ..context() };
    assert_eq!(broken(|| Relay::new(Some(Fault::CountsForwardTwice)), &script(), &blind), []);
    let violation =
        laws::check_all(&|| Relay::new(Some(Fault::CountsForwardTwice)), &script(), &context()).unwrap_err();
    assert!(violation.what.contains("relayed: 1, ") && violation.what.contains("relayed: 2, "), "{violation}");
}

#[test]
fn dropped_stream_bytes_are_detected() {
    for fault in [
        Fault::DropsResponses,
        Fault::ChunkIsMessage,
        Fault::ForgetsRest,
        Fault::TakesTooMuch,
        Fault::TakesNothing,
        Fault::DropsAtPause,
    ] {
        assert_eq!(broken_by(fault), [Law::StreamBytes], "{fault:?}");
    }
}

/// Bytes wait while the stream is full or paused. The end of the stream comes after them.
#[test]
fn bytes_wait_while_a_stream_is_full_or_paused() {
    let script = script();
    let (recording, played) = laws::record(Relay::new(None), &script, &context());
    let sent = |step: usize| -> Vec<String> {
        let outputs = played[step + 1].outputs.iter();
        let sent = outputs.filter_map(|output| match output {
            Output::Transmit(sent) => Some(String::from_utf8_lossy(&sent.payload).into_owned()),
            Output::Socket(SocketOrder::Close(_)) => Some("close".into()),
            Output::Socket(order) => Some(order.to_string()),
            Output::Event(_) | Output::Wait(_) => None,
        });
        sent.collect()
    };
    let step = |text: &str| script.iter().position(|step| step.to_string().ends_with(text)).unwrap();
    assert_eq!(sent(step("s7 full") + 1), [""; 0]);
    assert_eq!(sent(step("s7 writable")), ["late"]);
    let paused = step("0477616974036f6e65");
    assert_eq!(sent(paused), ["wait", "pause s8"]);
    assert_eq!(sent(paused + 1), [""; 0]);
    assert_eq!(sent(step("s8 closed by-peer")), [""; 0]);
    assert_eq!(sent(script.len() - 2), ["resume s8", "one", "half"]);
    let text = recording.to_string();
    let (bytes, end) = (text.find("stream s8 192.0.2.1:5000 192.0.2.8:5000 036f6e65"), text.find("s8 closed by-peer"));
    assert!(bytes.is_some() && bytes < end, "the end comes after the last bytes: {text}");
}

/// 300 requests in one chunk give 300 responses: the machine stops when its queue is full, and gets the rest later.
#[test]
fn a_chunk_of_300_requests_gives_300_responses() {
    let accepted = SocketEvent::Accepted { socket: STREAM, local: address(1), remote: address(8) };
    let script = [
        Step::socket_event(at(0), LISTENER, accepted),
        Step::stream(at(1), STREAM, address(1), address(8), &b"\x03one".repeat(300)),
    ];
    let (recording, played) = laws::record(Relay::new(None), &script, &context());
    assert_eq!(played[2].outputs.len(), 300);
    assert_eq!(recording.steps.len(), 3, "the chunk was taken in two parts");
    let replayed = laws::replay(Relay::new(None), &recording.to_string().parse().unwrap(), &context()).unwrap();
    assert_eq!(replayed.iter().map(|played| played.outputs.len()).collect::<Vec<_>>(), [0, 0, 255, 45]);
    assert_eq!(broken(|| Relay::new(None), &script, &context()), []);

    let violation = laws::check_all(&|| Relay::new(Some(Fault::DropsResponses)), &script, &context()).unwrap_err();
    assert_eq!(violation.law, Law::StreamBytes);
    assert!(violation.what.contains("there were 256, then 300"), "{violation}");
}

#[test]
fn unbounded_and_unreleased_state_is_detected() {
    assert_eq!(broken_by(Fault::UnboundedBindings), [Law::StateBounded]);
    assert_eq!(broken_by(Fault::KeepsClosed), [Law::StateBounded]);
    assert_eq!(broken_by(Fault::KeepsExpired), [Law::StateBounded]);
}

/// The footprint can be any measure: here the number of bindings and streams, without a table of fixed size.
#[test]
fn the_footprint_is_any_measure() {
    let check = |fault, flooded| {
        let factory = || Relay::new(fault);
        let measure = |relay: &Relay| relay.bindings.len() + relay.streams.len();
        laws::state_is_bounded(&factory, &script(), &context(), measure, StateLimit { flooded, tables: 0 })
    };
    assert_eq!(check(None, BINDINGS + 4), Ok(()));
    assert!(check(None, BINDINGS).is_err(), "a limit that is too small is exceeded");
    let expired = check(Some(Fault::KeepsExpired), BINDINGS + 4).unwrap_err();
    assert!(expired.what.contains("the footprint is 8; a new machine has 0, and 0 is allowed"), "{expired}");
}

/// A parent that drains its child after every input needs `offer` for its limit; without it the parent's queue grows.
#[test]
fn an_unbounded_queue_of_a_parent_is_detected() {
    let context = Context { handed_in: &HANDED, ..Context::default() };
    assert_eq!(broken(|| Parent::new(true), &script(), &context), []);
    assert_eq!(broken(|| Parent::new(false), &script(), &context), [Law::PeersAreBounded]);
}
