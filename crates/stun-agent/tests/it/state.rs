//! State is bounded and released (law 14): tables, framers, sessions and pauses under a flood from many peers.

use crate::world::{addr, message};
use core::time::Duration;
use portolan_machine::{Cx, Datagram, Input, Instant, Machine, Output, SocketEvent, SocketId, SocketOrder, Verdict};
use portolan_sim::laws::{self, Context, StateLimit, Step, debug_length};
use portolan_stun::{Attribute, Class, ErrorCode, Integrity, IntegrityKey, Message, Method, TransactionId, Writer};
use portolan_stun_agent::{
    Credential, Rate, Request, RequestError, Responder, ResponderCommand, ResponderConfig, ResponderEvent, Schedule,
    TransactionCommand, TransactionEvent, Transactions,
};

const CLIENT: &str = "198.51.100.7:40000";
const SERVER: &str = "192.0.2.1:3478";
const USER: &str = "user";
const PASSWORD: &str = "correct-horse-battery";
const REALM: &str = "example.org";

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// The first `length` bytes of a Binding message whose length field is 1,000.
fn half(class: Class, id: TransactionId, length: usize) -> Vec<u8> {
    let mut bytes = message(class, id, &[]);
    bytes[2..4].copy_from_slice(&1000_u16.to_be_bytes());
    bytes.resize(length, 7);
    bytes
}

/// At most four pending requests, each with a credential: a short-term one for even tags, a long-term one for odd
/// tags.
#[derive(Debug)]
struct Requester {
    inner: Transactions<u8>,
    credentials: [Credential; 2],
}

impl Requester {
    fn new() -> Self {
        let short = Credential::short_term_with(USER, PASSWORD, Integrity::Sha1);
        Self { inner: Transactions::with_limit(4), credentials: [short, Credential::long_term(USER, PASSWORD)] }
    }
}

impl Machine for Requester {
    type Command = TransactionCommand<u8>;
    type Error = RequestError;
    type Event = TransactionEvent<u8>;

    fn command(&mut self, cx: &mut Cx<'_>, command: TransactionCommand<u8>) -> Result<(), RequestError> {
        if let TransactionCommand::Request(request) = &command
            && request.socket == SocketId(1)
        {
            let credential = self.credentials[usize::from(request.tag % 2)].clone();
            return self.inner.request_with(cx, request.clone(), credential).map(drop);
        }
        self.inner.command(cx, command)
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        self.inner.handle(cx, input)
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        self.inner.stream(cx, chunk)
    }

    fn poll(&mut self) -> Output<TransactionEvent<u8>> {
        self.inner.poll()
    }
}

/// A server that challenges requests without integrity over UDP, and sends half a response over streams.
fn server(now: Instant, output: &Output<TransactionEvent<u8>>) -> Vec<Step> {
    let Output::Transmit(sent) = output else { return vec![] };
    let request = Message::decode(&sent.payload).unwrap();
    let (id, later, local) = (request.transaction_id(), now + Duration::from_millis(20), addr(CLIENT));
    if sent.socket != SocketId(1) {
        return vec![Step::stream(later, sent.socket, local, sent.remote, &half(Class::SuccessResponse, id, 600))];
    }
    let keys = [IntegrityKey::short_term(PASSWORD), IntegrityKey::long_term_md5(USER, REALM, PASSWORD)];
    let payload = match keys.iter().find(|key| request.verify_with(key, Integrity::Sha1).is_ok()) {
        None => {
            let code = Attribute::ErrorCode(ErrorCode::recommended(401).unwrap());
            let challenge = [code, Attribute::Realm(REALM.into()), Attribute::Nonce("nonce".into())];
            message(Class::ErrorResponse, id, &challenge)
        }
        Some(key) => {
            let mut buffer = [0; 100];
            let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id).unwrap();
            writer.add(&Attribute::XorMappedAddress(local)).unwrap();
            writer.message_integrity(key).unwrap().finish().to_vec()
        }
    };
    vec![Step::datagram(later, sent.socket, local, sent.remote, &payload)]
}

/// Eighty servers get a request with a credential over UDP. Then sixty servers get a request over a stream, and send
/// half a response each. At most four requests are pending.
#[test]
fn the_state_of_transactions_is_bounded_and_released() {
    let sockets: Vec<SocketId> = (1..=61).map(SocketId).collect();
    let request = |nth: u64, socket, schedule| {
        let server = format!("192.0.2.{}:3478", nth + 1);
        let request = Request::binding(SocketId(socket), addr(&server), nth as u8).schedule(schedule);
        Step::command(at(nth * 300), &TransactionCommand::Request(request))
    };
    let over_udp = (0..80).map(|nth| request(nth, 1, Schedule::rfc8489()));
    let over_streams = (0..60).map(|nth| request(80 + nth, 2 + nth, Schedule::reliable(Duration::from_millis(100))));
    let script: Vec<Step> = over_udp.chain(over_streams).chain([Step::timeout(at(60_000))]).collect();
    let context = Context { handed_in: &sockets, ..Context::default() };
    let whole = laws::rehearse(&Requester::new, &script, &context, 2000, server);

    let verified = laws::record(Requester::new(), &whole, &context).1.into_iter().flat_map(|played| played.outputs);
    let verified = verified.filter(|output| matches!(output, Output::Event(TransactionEvent::Answered(_))));
    assert_eq!(verified.count(), 80, "each server over UDP responded, with or without a challenge");
    let limit = StateLimit { flooded: FLOODED_REQUESTER, tables: TABLES_REQUESTER };
    laws::state_is_bounded(&Requester::new, &whole, &context, debug_length, limit).unwrap();
}

/// 32 sessions, four finished ids, and 32 framers with half a message of 600 bytes.
const FLOODED_REQUESTER: usize = 75_000;
/// The sessions and the finished ids are not released.
const TABLES_REQUESTER: usize = 8_000;

fn responder(rate: Option<Rate>) -> Responder {
    Responder::new(&ResponderConfig::new().listen(addr(SERVER)).streams(8).rate(rate)).unwrap()
}

/// A client over UDP, and three streams that are accepted when the listener is open. The streams send whole messages,
/// half a message, and a message that is too long.
fn client(now: Instant, output: &Output<ResponderEvent>) -> Vec<Step> {
    let Output::Socket(SocketOrder::Open(open)) = output else { return vec![] };
    let later = |millis| now + Duration::from_millis(millis);
    let (client, request) = (addr(CLIENT), message(Class::Request, [9; 12].into(), &[]));
    let mut steps = vec![Step::socket_event(later(1), open.id, SocketEvent::Opened { local: open.local })];
    if !open.protocol.is_stream() {
        steps.push(Step::datagram(later(5), open.id, open.local, client, &request));
        return steps;
    }
    let mut too_long = half(Class::Request, [9; 12].into(), 3000);
    too_long[2..4].copy_from_slice(&60_000_u16.to_be_bytes());
    for (nth, last) in [half(Class::Request, [9; 12].into(), 900), too_long, request.clone()].iter().enumerate() {
        let stream = SocketId(100 + nth as u64);
        let accepted = SocketEvent::Accepted { socket: stream, local: open.local, remote: client };
        steps.push(Step::socket_event(later(10), open.id, accepted));
        steps.push(Step::stream(later(20), stream, open.local, client, &[&request[..], last].concat()));
    }
    steps
}

/// The length of the text of the state, without the two fixed tables of the limiter.
fn without_limiter(responder: &Responder) -> usize {
    let text = format!("{responder:?}");
    let tables = ["hashes: [", "full_at: ["].map(|table| {
        text.split_once(table).and_then(|(_, rest)| rest.split_once(']')).map_or(0, |(digits, _)| digits.len())
    });
    text.len() - tables.iter().sum::<usize>()
}

#[test]
fn the_state_of_a_responder_is_bounded_and_released() {
    for rate in [None, Some(Rate { per_second: 1.try_into().unwrap(), burst: 2.try_into().unwrap() })] {
        let factory = || responder(rate);
        let context = Context::default();
        let script = [Step::command(Instant::ORIGIN, &ResponderCommand::Start)];
        let whole = laws::rehearse(&factory, &script, &context, 100, client);
        let accepted = whole.iter().filter(|step| step.to_string().contains(" accepted ")).count();
        assert_eq!(accepted, 3, "{whole:?}");
        let limit = StateLimit { flooded: FLOODED_RESPONDER, tables: TABLES_RESPONDER };
        laws::state_is_bounded(&factory, &whole, &context, without_limiter, limit).unwrap();
    }
}

/// Eight streams with half a message of 900 bytes.
const FLOODED_RESPONDER: usize = 20_000;
/// The ids of the open sockets, and the counters.
const TABLES_RESPONDER: usize = 100;
