//! Many pending requests: order, bounds, and the release of memory.

use crate::world::{World, addr, success};
use alloc::collections::BTreeSet;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Closure, Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketEvent, SocketId, SocketIds, Unreachability,
    Verdict,
};
use portolan_stun::TransactionId;
use portolan_stun_agent::{Request, RequestError, Schedule, TransactionEvent, Transactions};

type Requester = World<Transactions<u32>>;

const SERVER: &str = "192.0.2.1:3478";
const MS: fn(u64) -> Duration = Duration::from_millis;

fn send_request(world: &mut Requester, request: Request<u32>) -> TransactionId {
    world.with(|machine, cx| machine.request(cx, request)).unwrap()
}

/// A request whose destination port is its tag.
fn numbered(tag: u32) -> Request<u32> {
    let server = SocketAddr::new(addr(SERVER).ip(), u16::try_from(tag).unwrap());
    Request::binding(SocketId(1), server, tag)
}

/// The outputs up to the wait: `Ok` with the port of a transmit, `Err` with the tag of an event.
fn ports_and_tags(world: &mut Requester) -> Vec<Result<u16, u32>> {
    let outputs = world.outputs();
    let one = |output: &Output<TransactionEvent<u32>>| match output {
        Output::Transmit(sent) => Ok(sent.remote.port()),
        Output::Event(event) => Err(*event.tag()),
        Output::Socket(_) | Output::Wait(_) => panic!("requests have no such output: {output:?}"),
    };
    outputs.iter().map(one).collect()
}

fn wake(world: &mut Requester, now: u64) -> Verdict {
    world.now = now;
    world.input(Input::Timeout)
}

fn wait(world: &mut Requester) -> Option<u64> {
    match world.machine.poll() {
        Output::Wait(wait) => wait.map(|wait| wait.at.since_origin().as_millis() as u64),
        output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => panic!("not drained: {output:?}"),
    }
}

#[test]
fn equal_deadlines_are_served_in_order_of_insertion() {
    let mut world = World::new(Transactions::new());
    let twice = Schedule::at_millis([0, 500]).tail(MS(500));
    let ids: Vec<_> = (1..=60).map(|tag| send_request(&mut world, numbered(tag).schedule(twice))).collect();
    assert_eq!(ports_and_tags(&mut world), (1..=60).map(Ok).collect::<Vec<_>>());
    // Later requests use the table slots of these requests. The order does not change.
    for tag in [1_u32, 17, 40, 2] {
        world.with(|machine, cx| machine.cancel(cx, ids[tag as usize - 1])).unwrap();
    }
    let left = || (1..=60_u32).filter(|tag| ![1, 17, 40, 2].contains(tag));
    assert_eq!(world.machine.pending().map(|(_, tag, _)| *tag).collect::<Vec<_>>(), left().collect::<Vec<_>>());
    assert_eq!(wake(&mut world, 500), Verdict::Mine);
    assert_eq!(ports_and_tags(&mut world), left().map(|tag| Ok(tag as u16)).collect::<Vec<_>>());
    assert_eq!(wake(&mut world, 1000), Verdict::Mine);
    assert_eq!(ports_and_tags(&mut world), left().map(Err).collect::<Vec<_>>());
    assert_eq!(wait(&mut world), None);
}

/// The order is that of the requests, not of their last timers, also after a late timeout.
#[test]
fn of_two_due_requests_the_older_one_is_first() {
    for late in [0, 700] {
        let mut world = World::new(Transactions::new());
        send_request(&mut world, numbered(1).schedule(Schedule::at_millis([0, 500, 1500])));
        world.run(100);
        send_request(&mut world, numbered(2).schedule(Schedule::at_millis([0, 1400])));
        world.run(1400);
        assert_eq!(wait(&mut world), Some(1500));
        assert_eq!(wake(&mut world, 1500 + late), Verdict::Mine);
        assert_eq!(ports_and_tags(&mut world), [Ok(1), Ok(2)]);
    }
}

#[test]
fn a_request_that_is_cancelled_while_it_is_due_is_not_sent() {
    let mut world = World::new(Transactions::new());
    let ids: Vec<_> = (1..=3).map(|tag| send_request(&mut world, numbered(tag))).collect();
    world.outputs();
    world.now = 500;
    world.with(|machine, cx| machine.cancel(cx, ids[1])).unwrap();
    assert_eq!(ports_and_tags(&mut world), [Ok(1), Ok(3)], "the other two were due as well");
    assert_eq!(wait(&mut world), Some(1500));
    assert_eq!(wake(&mut world, 1499), Verdict::NotMine);
}

#[test]
fn the_deadline_is_always_that_of_the_earliest_request() {
    let mut world = World::new(Transactions::new());
    let late = send_request(&mut world, numbered(1).schedule(Schedule::reliable(MS(9000))));
    let early = send_request(&mut world, numbered(2).schedule(Schedule::reliable(MS(3000))));
    world.outputs();
    assert_eq!(wait(&mut world), Some(3000));
    world.with(|machine, cx| machine.set_tail(cx, late, MS(1000))).unwrap();
    assert_eq!(wait(&mut world), Some(1000));
    world.with(|machine, cx| machine.cancel(cx, late)).unwrap();
    assert_eq!(wait(&mut world), Some(3000));
    let server = numbered(2).remote.to_string();
    assert_eq!(world.datagram(1, &server, &success(early)), Verdict::Mine);
    assert_eq!(world.outputs().len(), 1);
    assert_eq!(wait(&mut world), None);
}

#[test]
fn ten_thousand_responses_are_matched_in_any_order() {
    const COUNT: u32 = 10_000;
    let mut world = World::new(Transactions::with_limit(COUNT as usize));
    let ids: Vec<_> = (1..=COUNT).map(|tag| send_request(&mut world, numbered(tag))).collect();
    let refused = world.with(|machine, cx| machine.request(cx, numbered(1)));
    assert_eq!(refused, Err(RequestError::Full { limit: COUNT as usize }));
    assert_eq!(ports_and_tags(&mut world), (1..=COUNT).map(|tag| Ok(tag as u16)).collect::<Vec<_>>());
    // 7 and 10,000 have no common divisor, so each request is answered once.
    for step in 0..COUNT {
        let tag = step * 7 % COUNT + 1;
        let server = numbered(tag).remote.to_string();
        assert_eq!(world.datagram(1, &server, &success(ids[tag as usize - 1])), Verdict::Mine);
        assert_eq!(ports_and_tags(&mut world), [Err(tag)]);
    }
    assert!(world.machine.is_empty());
    assert_eq!(wait(&mut world), None);
}

/// An RNG that always returns the same bytes.
struct ConstantRng;

impl Entropy for ConstantRng {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0xff);
    }
}

#[test]
fn with_a_broken_rng_the_ids_of_pending_and_finished_requests_differ() {
    let (mut rng, mut sockets) = (ConstantRng, SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut sockets);
    let mut machine = Transactions::<u32>::new();
    let mut seen = BTreeSet::new();
    for round in 0..2 {
        // After the first round half of the ids belong to finished requests.
        for tag in 0..120 {
            let id = machine.request(&mut cx, Request::binding(SocketId(1), addr(SERVER), tag)).unwrap();
            assert!(seen.insert(id), "{id} is used twice");
            while !matches!(machine.poll(), Output::Wait(_)) {}
            if tag % 2 == round {
                let bytes = success(id);
                let response = Datagram::new(SocketId(1), addr("198.51.100.7:40000"), addr(SERVER), &bytes);
                assert_eq!(machine.handle(&mut cx, Input::Datagram(response)), Verdict::Mine);
                let Output::Event(TransactionEvent::Answered(answer)) = machine.poll() else { panic!("an answer") };
                assert_eq!((answer.tag, answer.id), (tag, id));
            }
        }
    }
    assert_eq!((machine.len(), seen.len()), (120, 240));
}

/// The length of the text of the whole state of a machine.
fn footprint(machine: &Transactions<u32>) -> usize {
    format!("{machine:?}").len()
}

#[test]
fn after_a_flood_only_the_ids_of_finished_requests_are_left() {
    const LIMIT: usize = 500;
    /// The text length of a finished id and its end, in the table of ids and in the list of finished requests.
    const FINISHED: usize = 160;
    let fresh = footprint(&Transactions::with_limit(LIMIT));
    let mut world = World::new(Transactions::with_limit(LIMIT));
    let mut after = vec![];
    for round in 0..6 {
        let socket = SocketId(round + 1);
        let ids: Vec<_> = (1..=LIMIT as u32)
            .map(|tag| {
                let mut request = numbered(tag).schedule(Schedule::reliable(MS(1000)));
                request.socket = socket;
                send_request(&mut world, request)
            })
            .collect();
        world.outputs();
        assert!(footprint(&world.machine) > fresh + LIMIT * 500, "the requests are pending");
        match round % 3 {
            0 => ids.iter().for_each(|id| world.with(|machine, cx| machine.cancel(cx, *id)).unwrap()),
            1 => assert_eq!(world.socket_event(round + 1, SocketEvent::Closed(Closure::Reset)), Verdict::Mine),
            _ => {
                let now = world.now;
                assert_eq!(wake(&mut world, now + 1000), Verdict::Mine);
            }
        }
        world.outputs();
        assert!(world.machine.is_empty());
        after.push(footprint(&world.machine));
    }
    let most = after.iter().max().unwrap();
    assert!(*most <= fresh + LIMIT * FINISHED, "{after:?}, fresh {fresh}");
    assert!(*most <= after[0] + LIMIT * 10, "later floods leave no more than the first: {after:?}");
}

#[test]
fn unreachable_is_reported_for_the_requests_to_that_destination_oldest_first() {
    let mut world = World::new(Transactions::new());
    let six = Request::binding(SocketId(1), addr("[2001:db8::1]:3478"), 9);
    let to = |tag, socket| Request::binding(SocketId(socket), addr(SERVER), tag);
    for request in [to(1, 1), numbered(3479), to(2, 2), six.clone(), to(3, 1), numbered(3477), to(4, 1)] {
        send_request(&mut world, request);
    }
    world.outputs();
    let why = Unreachability::Port;
    assert_eq!(world.socket_event(1, SocketEvent::Unreachable { remote: addr(SERVER), why }), Verdict::Mine);
    assert_eq!(ports_and_tags(&mut world), [Err(1), Err(3), Err(4)]);
    assert_eq!(world.socket_event(1, SocketEvent::Unreachable { remote: six.remote, why }), Verdict::Mine);
    assert_eq!(ports_and_tags(&mut world), [Err(9)]);
    assert_eq!(world.socket_event(3, SocketEvent::Unreachable { remote: addr(SERVER), why }), Verdict::NotMine);
    assert_eq!(world.socket_event(2, SocketEvent::Closed(Closure::Reset)), Verdict::Mine);
    assert_eq!(ports_and_tags(&mut world), [Err(2)]);
}

/// Law 7: many ICMP errors of a destination with many requests, without a drain.
#[test]
fn outputs_caused_by_peers_are_bounded_and_leave_room_for_the_end_of_each_request() {
    for (limit, pending, most) in [(255, 255, 256), (255, 10, 256), (1000, 1000, 1001), (1000, 10, 1001)] {
        let mut world = World::new(Transactions::with_limit(limit));
        let ids: Vec<_> = (0..pending)
            .map(|tag| send_request(&mut world, Request::binding(SocketId(1), addr(SERVER), tag)))
            .collect();
        world.outputs();
        let why = Unreachability::Port;
        for _ in 0..200 {
            assert_eq!(world.socket_event(1, SocketEvent::Unreachable { remote: addr(SERVER), why }), Verdict::Mine);
        }
        assert!(world.notes.0.last().unwrap().contains("output queue is full"));
        for id in &ids {
            assert_eq!(world.datagram(1, SERVER, &success(*id)), Verdict::Mine);
        }
        let outputs = world.outputs();
        assert_eq!(outputs.len(), most, "limit {limit}, {pending} pending");
        let answered = |output: &&_| matches!(output, Output::Event(TransactionEvent::Answered(_)));
        assert_eq!(outputs.iter().filter(answered).count(), pending as usize);
    }
}
