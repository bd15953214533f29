//! Queries: one socket, one request, one final event; and the laws of machines.

use crate::credentials_server::long_term;
use crate::responses::config;
use crate::world::{Line, World, addr, message, success};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Closure, Datagram, Input, Machine as _, Outbox, Output, Protocol, Refusal, Script, SocketEvent, SocketId,
    SocketOrder, Unreachability, Verdict,
};
use portolan_sim::laws;
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Scripts, host};
use portolan_strategies::messages;
use portolan_stun::{Attribute, Class, ErrorCode, Integrity, IntegrityKey, Message, Method, TransactionId, Writer};
use portolan_stun_agent::{
    ChallengeError, Credential, Query, QueryCommand, QueryConfig, QueryError, QueryEvent, QueryFailure, QueryResponse,
    Responder, Unusable,
};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

const SERVER: &str = "192.0.2.1:3478";
const OTHER: &str = "192.0.2.2:3479";
const LOCAL: &str = "198.51.100.7:40000";

type Requester = World<Query>;

impl Line for QueryEvent {
    fn line(&self) -> String {
        match self {
            Self::Opened { socket, local } => format!("{socket} opened on {local}"),
            Self::Sent { send, .. } => format!("send {send}"),
            Self::Response(response) => format!("response: {:?}", response.facts.mapped),
            Self::Failed(why) => format!("failed: {why}"),
            Self::Elsewhere { .. } | Self::Unreachable { .. } | _ => format!("{self:?}"),
        }
    }
}

fn started(config: QueryConfig) -> Requester {
    let mut world = World::new(Query::new());
    world.with(|machine, cx| machine.start(cx, config)).unwrap();
    world
}

/// A query whose socket s1 is open, and the id of its request.
fn opened_query(config: QueryConfig) -> (Requester, TransactionId) {
    let mut world = started(config);
    assert_eq!(world.socket_event(1, SocketEvent::Opened { local: addr(LOCAL) }), Verdict::Mine);
    let id = last_id(&mut world);
    (world, id)
}

/// The id of the last request that was sent.
fn last_id(world: &mut Requester) -> TransactionId {
    let sent = world.outputs().into_iter().rev().find_map(|output| match output {
        Output::Transmit(sent) => Some(sent),
        Output::Socket(_) | Output::Event(_) | Output::Wait(_) => None,
    });
    Message::decode(&sent.unwrap().payload).unwrap().transaction_id()
}

fn plain() -> QueryConfig {
    QueryConfig::new(addr(SERVER))
}

/// Returns the final event. Panics if the machine is not ended, or if `closed` does not match the close of the
/// socket.
fn end(world: &mut Requester, closed: bool) -> QueryEvent {
    let mut outputs = world.outputs();
    let Some(Output::Event(event)) = outputs.pop() else { panic!("no final event after {outputs:?}") };
    assert_eq!(outputs.contains(&Output::Socket(SocketOrder::Close(SocketId(1)))), closed, "{outputs:?}");
    assert_eq!(world.machine.poll(), Output::Wait(None));
    assert_eq!(world.datagram(1, SERVER, &success([9; 12].into())), Verdict::NotMine);
    assert_eq!(world.socket_event(1, SocketEvent::Closed(Closure::Reset)), Verdict::NotMine);
    assert_eq!(world.with(|machine, _| machine.cancel()), Err(QueryError::NotRunning));
    event
}

fn response(world: &mut Requester) -> QueryResponse {
    let QueryEvent::Response(response) = end(world, true) else { panic!("a response") };
    *response
}

#[test]
fn a_query_opens_a_socket_sends_a_request_and_closes_the_socket() {
    let mut world = started(plain());
    assert_eq!(world.lines(), ["     0 open s1 udp 0.0.0.0:0 towards 192.0.2.1:3478"]);
    assert_eq!(world.socket_event(1, SocketEvent::Opened { local: addr(LOCAL) }), Verdict::Mine);
    assert_eq!(
        world.lines(),
        [
            "     0 s1 opened on 198.51.100.7:40000",
            "     0 s1 > 192.0.2.1:3478 Binding request, 20 bytes",
            "     0 send 1",
        ]
    );
    world.now = 40;
    assert_eq!(world.datagram(1, SERVER, &success([1; 12].into())), Verdict::Mine);
    assert_eq!(world.lines(), ["    40 close s1", "    40 response: Some(203.0.113.5:50000)"]);
    assert_eq!(world.run(100_000), [""; 0]);
}

#[test]
fn the_response_is_decoded() {
    let (mut world, id) = opened_query(plain());
    world.now = 40;
    let attributes = [
        Attribute::XorMappedAddress(addr("203.0.113.5:50000")),
        Attribute::Software("a server".into()),
        Attribute::OtherAddress(addr(OTHER)),
        Attribute::ResponseOrigin(addr(SERVER)),
    ];
    let bytes = message(Class::SuccessResponse, id, &attributes);
    let _verdict = world.datagram(1, SERVER, &bytes);
    let response = response(&mut world);
    assert_eq!((response.from, response.local, response.sends), (addr(SERVER), addr(LOCAL), 1));
    assert_eq!(response.round_trip, Some(Duration::from_millis(40)));
    assert_eq!((response.integrity, &response.message[..]), (None, &bytes[..]));
    let facts = response.facts;
    assert_eq!((facts.mapped, facts.error), (Some(addr("203.0.113.5:50000")), None));
    assert_eq!(facts.software.as_deref(), Some("a server"));
    assert_eq!((facts.other_address, facts.response_origin), (Some(addr(OTHER)), Some(addr(SERVER))));
}

#[test]
fn mapped_address_is_used_without_xor_mapped_address_and_not_in_an_error() {
    let (mut world, id) = opened_query(plain());
    let attributes = [Attribute::MappedAddress(addr("203.0.113.5:50000"))];
    let _verdict = world.datagram(1, SERVER, &message(Class::SuccessResponse, id, &attributes));
    assert_eq!(response(&mut world).facts.mapped, Some(addr("203.0.113.5:50000")));

    let (mut world, id) = opened_query(plain());
    let refused = Attribute::ErrorCode(ErrorCode::new(403, "Forbidden".into()).unwrap());
    let error = [refused, Attribute::XorMappedAddress(addr(LOCAL)), Attribute::AlternateServer(addr(OTHER))];
    let _verdict = world.datagram(1, SERVER, &message(Class::ErrorResponse, id, &error));
    let facts = response(&mut world).facts;
    assert_eq!((facts.mapped, facts.alternate_server), (None, Some(addr(OTHER))));
    assert_eq!(facts.error.unwrap().to_string(), "403 Forbidden");
}

#[test]
fn rfc8489_6_2_1_a_round_trip_is_unknown_after_a_retransmission() {
    let (mut world, id) = opened_query(plain());
    assert_eq!(world.run(700), ["   500 s1 > 192.0.2.1:3478 Binding request, 20 bytes", "   500 send 2"]);
    let _verdict = world.datagram(1, SERVER, &success(id));
    let response = response(&mut world);
    assert_eq!((response.sends, response.round_trip), (2, None));
}

#[test]
fn without_a_response_a_query_ends_with_the_schedule_or_at_the_deadline() {
    let failed = |config| {
        let (mut world, _) = opened_query(config);
        world.run(100_000).pop().unwrap()
    };
    assert_eq!(failed(plain()), " 39500 failed: no response came in time, after 7 sends");
    let short = plain().timeout(Duration::from_millis(1400));
    assert_eq!(failed(short.clone()), "  1400 failed: no response came in time, after 2 sends");
    let long = plain().timeout(Duration::from_secs(90));
    assert_eq!(failed(long), " 39500 failed: no response came in time, after 7 sends");
    assert_eq!(failed(short.protocol(Protocol::Tcp)), "  1400 failed: no response came in time, after 1 sends");
}

#[test]
fn a_query_whose_stream_is_not_connected_ends_at_the_deadline() {
    let mut world = started(plain().protocol(Protocol::Tcp).timeout(Duration::from_secs(2)));
    assert_eq!(
        world.run(10_000),
        [
            "     0 open s1 tcp 0.0.0.0:0 towards 192.0.2.1:3478",
            "  2000 close s1",
            "  2000 failed: no response came in time, after 0 sends",
        ]
    );
}

#[test]
fn a_tls_query_has_a_server_name_and_accepts_a_response_in_chunks() {
    let config = plain().protocol(Protocol::Tls).server_name("stun.example.org".into());
    let mut world = started(config);
    assert_eq!(world.lines(), ["     0 open s1 tls 0.0.0.0:0 towards 192.0.2.1:3478 as stun.example.org"]);
    let _verdict = world.socket_event(1, SocketEvent::Opened { local: addr(LOCAL) });
    assert_eq!(world.stream(1, SERVER, &[1]), Verdict::Mine);
    let chunk = Datagram::new(SocketId(1), addr(LOCAL), addr(SERVER), &[1]);
    assert_eq!(world.with(|machine, cx| machine.stream(cx, chunk)), Some(0), "not drained");
    let id = last_id(&mut world);
    let bytes = success(id);
    for piece in bytes.chunks(7) {
        assert_eq!(world.stream(1, SERVER, piece), Verdict::Mine);
    }
    assert!(response(&mut world).facts.mapped.is_some());
}

#[test]
fn the_end_of_the_socket_ends_the_query_with_its_reason() {
    let mut world = started(plain());
    world.outputs();
    let _verdict = world.socket_event(1, SocketEvent::Refused(Refusal::NoRoute));
    assert_eq!(end(&mut world, false), QueryEvent::Failed(QueryFailure::Refused(Refusal::NoRoute)));

    let tcp = || plain().protocol(Protocol::Tcp);
    for opened in [false, true] {
        let mut world = if opened { opened_query(tcp()).0 } else { started(tcp()) };
        world.outputs();
        let _verdict = world.socket_event(1, SocketEvent::Closed(Closure::ByPeer));
        assert_eq!(end(&mut world, false), QueryEvent::Failed(QueryFailure::Closed(Closure::ByPeer)));
    }
    let (mut world, _) = opened_query(tcp());
    assert_eq!(world.stream(1, SERVER, b"HTTP/1.1 400 Bad Request\r\n"), Verdict::Mine);
    assert_eq!(end(&mut world, true), QueryEvent::Failed(QueryFailure::NotStun));
}

#[test]
fn a_query_can_be_cancelled_at_any_time_and_started_once() {
    let mut world = World::new(Query::new());
    assert_eq!(world.with(|machine, _| machine.cancel()), Err(QueryError::NotRunning));
    for opened in [false, true] {
        let mut world = if opened { opened_query(plain()).0 } else { started(plain()) };
        world.with(|machine, _| machine.cancel()).unwrap();
        assert_eq!(end(&mut world, true), QueryEvent::Failed(QueryFailure::Cancelled));
        assert_eq!(world.with(|machine, cx| machine.start(cx, plain())), Err(QueryError::NotIdle));
    }
}

#[test]
fn an_invalid_configuration_is_refused_and_changes_nothing() {
    for (config, why) in [
        (QueryConfig::new(addr("0.0.0.0:3478")), QueryError::Destination),
        (QueryConfig::new(addr("192.0.2.1:0")), QueryError::Destination),
        (plain().protocol(Protocol::TcpListen), QueryError::Protocol),
        (plain().from_local(addr("[2001:db8::7]:0")), QueryError::LocalFamily),
    ] {
        let mut world = World::new(Query::new());
        assert_eq!(world.with(|machine, cx| machine.start(cx, config)), Err(why));
        assert_eq!(world.outputs(), []);
        assert_eq!(world.with(|machine, cx| machine.start(cx, plain())), Ok(()));
    }
    let mut world = started(plain().from_local(addr("198.51.100.7:5000")));
    assert_eq!(world.lines(), ["     0 open s1 udp 198.51.100.7:5000 towards 192.0.2.1:3478"]);
    let too_long = plain().credential(Credential::long_term(&"u".repeat(600), "secret"));
    let mut world = started(too_long);
    let _verdict = world.socket_event(1, SocketEvent::Opened { local: addr(LOCAL) });
    assert!(matches!(end(&mut world, true), QueryEvent::Failed(QueryFailure::Request(_))));
}

#[test]
fn responses_of_other_hosts_and_icmp_errors_are_reported_bounded_and_not_accepted() {
    let (mut world, id) = opened_query(plain());
    assert_eq!(world.datagram(1, OTHER, &success(id)), Verdict::Mine);
    assert_eq!(world.outputs(), [Output::Event(QueryEvent::Elsewhere { from: addr(OTHER) })]);
    let event = SocketEvent::Unreachable { remote: addr(SERVER), why: Unreachability::Port };
    assert_eq!(world.socket_event(1, event), Verdict::Mine);
    let reported = QueryEvent::Unreachable { remote: addr(SERVER), why: Unreachability::Port };
    assert_eq!(world.outputs(), [Output::Event(reported)]);
    for _ in 0..1000 {
        let _verdict = world.datagram(1, OTHER, &success(id));
        let _verdict = world.socket_event(1, event);
    }
    assert!(world.notes.0.iter().any(|note| note.contains("output queue is full")));
    assert_eq!(world.outputs().len(), Outbox::<QueryEvent>::LIMIT);
    assert_eq!(world.datagram(1, SERVER, b"not STUN"), Verdict::NotMine);
    assert_eq!(world.datagram(2, SERVER, &success(id)), Verdict::NotMine);
    let last = world.run(100_000).pop().unwrap();
    assert_eq!(last, " 39500 failed: no response came in time, after 7 sends");
}

/// A response with MESSAGE-INTEGRITY under this password.
fn signed(id: TransactionId, password: &str) -> Vec<u8> {
    let mut buffer = [0; 128];
    let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id).unwrap();
    writer.add(&Attribute::XorMappedAddress(addr(LOCAL))).unwrap();
    writer.message_integrity(&IntegrityKey::short_term(password)).unwrap().finish().to_vec()
}

#[test]
fn a_short_term_credential_is_verified_and_its_violation_is_the_reason_at_the_deadline() {
    let config = plain().credential(Credential::short_term("ann", "secret")).timeout(Duration::from_secs(2));
    let (mut world, id) = opened_query(config.clone());
    let _verdict = world.datagram(1, SERVER, &signed(id, "secret"));
    assert_eq!(response(&mut world).integrity, Some(Integrity::Sha1));

    let (mut world, id) = opened_query(config);
    let _verdict = world.datagram(1, SERVER, &signed(id, "another"));
    assert_eq!(world.outputs(), []);
    world.run(1999);
    world.now = 2000;
    assert_eq!(world.input(Input::Timeout), Verdict::Mine);
    let QueryEvent::Failed(QueryFailure::Unusable { from, why }) = end(&mut world, true) else { panic!("unusable") };
    assert!(from == addr(SERVER) && matches!(why, Unusable::Integrity(_)), "{why}");
}

/// Passes packets between a query and a responder that requires credentials, until the query ends.
fn run_with_responder(credential: Credential) -> (Vec<u32>, QueryEvent) {
    let responder = Responder::over(&config(&[SERVER], &[]).credentials(long_term()), |_| SocketId(1)).unwrap();
    let mut server = World::new(responder);
    let mut client = started(plain().credential(credential));
    let _verdict = client.socket_event(1, SocketEvent::Opened { local: addr(LOCAL) });
    let mut sends = vec![];
    loop {
        for output in client.outputs() {
            match output {
                Output::Transmit(sent) => {
                    let there = Datagram::new(SocketId(1), addr(SERVER), addr(LOCAL), &sent.payload);
                    assert_eq!(server.input(Input::Datagram(there)), Verdict::Mine);
                }
                Output::Event(QueryEvent::Sent { send, .. }) => sends.push(send),
                Output::Event(event @ (QueryEvent::Response(_) | QueryEvent::Failed(_))) => return (sends, event),
                Output::Socket(_) | Output::Event(_) | Output::Wait(_) => {}
            }
        }
        for output in server.outputs() {
            let Output::Transmit(reply) = output else { continue };
            assert_eq!(client.datagram(1, SERVER, &reply.payload), Verdict::Mine);
        }
    }
}

#[test]
fn a_long_term_credential_answers_the_challenge() {
    let (user, password) = (crate::credentials_server::USER, crate::credentials_server::PASSWORD);
    let (sends, event) = run_with_responder(Credential::long_term(user, password));
    let QueryEvent::Response(response) = event else { panic!("{event:?}") };
    assert_eq!((sends, response.sends), (vec![1, 2], 1), "two transactions, each sent once");
    assert_eq!(response.facts.mapped, Some(addr(LOCAL)));
    assert!(response.integrity.is_some());

    let (_, event) = run_with_responder(Credential::long_term(user, "wrong"));
    let wrong = Unusable::Challenge(ChallengeError::WrongCredentials);
    assert_eq!(event, QueryEvent::Failed(QueryFailure::Unusable { from: addr(SERVER), why: wrong }));
}

#[test]
fn a_command_shows_no_secret_and_its_script_is_complete() {
    let credentials = [
        None,
        Some(Credential::short_term("ann=b ", "hunter2\n")),
        Some(Credential::short_term_with("ann", "hunter2", Integrity::Sha1)),
        Some(Credential::long_term("ann", "hunter2")),
        Some(Credential::long_term_anonymous("ann", "hunter2")),
    ];
    let mut commands = vec![QueryCommand::Cancel];
    for credential in credentials {
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Tls] {
            let config = plain().protocol(protocol).timeout(Duration::new(3, 7)).from_local(addr(LOCAL));
            let config = config.server_name("a name\nin two lines".into());
            commands.push(QueryCommand::Start(credential.iter().cloned().fold(config, QueryConfig::credential)));
            commands.push(QueryCommand::Start(QueryConfig::new(addr("[2001:db8::1]:9"))));
        }
    }
    for command in commands {
        assert_eq!(QueryCommand::read(&command.to_text()).as_ref(), Ok(&command), "{}", command.to_text());
        assert!(!command.to_text().contains('\n'));
        for shown in [command.to_string(), format!("{command:?}"), format!("{command:#?}")] {
            assert!(!shown.contains("hunter2") && !shown.contains("ann"), "{shown}");
        }
    }
    for (text, why) in [
        ("", "expected `start` with a server, or `cancel`"),
        ("cancel now", "expected `start` with a server, or `cancel`"),
        ("start x", "expected a server's address"),
        ("start 192.0.2.1:3478", "expected `udp`, `tcp` or `tls`"),
        ("start 192.0.2.1:3478 udp timeout=-1", "expected a number of nanoseconds"),
        ("start 192.0.2.1:3478 udp name=f0", "expected a server name in hexadecimal"),
        ("start 192.0.2.1:3478 udp nonsense", "expected `timeout=`, `local=`, `name=` or `credential=` with its value"),
    ] {
        assert_eq!(QueryCommand::read(text).unwrap_err().to_string(), why, "{text}");
    }
}

#[test]
fn after_its_end_a_query_is_as_small_as_a_new_one_and_holds_no_secret() {
    let mut fresh = World::new(Query::new());
    fresh.outputs();
    let fresh = format!("{:?}", fresh.machine).len();
    let (mut world, id) = opened_query(plain().credential(Credential::short_term("ann", "secret")));
    for _ in 0..100 {
        let _verdict = world.datagram(1, OTHER, &success(id));
    }
    let _verdict = world.datagram(1, SERVER, &signed(id, "secret"));
    world.outputs();
    let ended = format!("{:?}", world.machine);
    assert!(ended.len() <= fresh, "{ended}");
    assert!(!ended.contains("Credential"), "{ended}");
}

/// Queries to a server that responds, challenges, or is silent.
fn queries(command: QueryCommand) -> (Scripts, LawsConfig<Query>) {
    let scripts = Scripts::new(messages::nearly_valid(messages::binding()))
        .sockets(&[1, 2].map(SocketId))
        .remotes(&[addr(SERVER), addr(OTHER)])
        .locals(&[addr(LOCAL)])
        .beginning_with(&command.to_text())
        .commands(proptest::sample::select(vec!["cancel", "start 192.0.2.1:3478 udp"]));
    let peer = host(addr(LOCAL), |choices, sent| {
        let Ok(request) = Message::decode(&sent.payload) else { return vec![] };
        let id = request.transaction_id();
        match choices.below(4) {
            0 => vec![(sent.remote, success(id))],
            1 => vec![(sent.remote, signed(id, "secret"))],
            2 => vec![(sent.remote, challenge(id))],
            _ => vec![],
        }
    });
    let mut config = LawsConfig { cases: 96, peer, ..LawsConfig::default() };
    config.context.terminal = |event| matches!(event, QueryEvent::Response(_) | QueryEvent::Failed(_));
    (scripts, config)
}

fn challenge(id: TransactionId) -> Vec<u8> {
    let error = Attribute::ErrorCode(ErrorCode::recommended(ErrorCode::UNAUTHENTICATED).unwrap());
    message(Class::ErrorResponse, id, &[error, Attribute::Realm("example.org".into()), Attribute::Nonce("abc".into())])
}

fn commands() -> [QueryCommand; 4] {
    let tcp = plain().protocol(Protocol::Tcp);
    [
        plain(),
        plain().credential(Credential::short_term("ann", "secret")).timeout(Duration::from_secs(3)),
        plain().credential(Credential::long_term("ann", "secret")),
        tcp.credential(Credential::long_term("ann", "secret")),
    ]
    .map(QueryCommand::Start)
}

#[test]
fn a_query_keeps_the_laws() {
    for command in commands() {
        let (scripts, config) = queries(command);
        assert_laws(&Query::new, &scripts, &config);
    }
}

#[test]
fn random_runs_reach_responses_and_failures() {
    let (mut responses, mut failures) = (0, 0);
    for command in commands() {
        let (scripts, config) = queries(command);
        let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
        for _ in 0..50 {
            let script = strategy.new_tree(&mut runner).unwrap().current();
            let steps = conversation(&Query::new, &script, &config);
            let (_, played) = laws::record(Query::new(), &steps, &config.context);
            let outputs = || played.iter().flat_map(|played| &played.outputs);
            responses += outputs().filter(|output| matches!(output, Output::Event(QueryEvent::Response(_)))).count();
            failures += outputs().filter(|output| matches!(output, Output::Event(QueryEvent::Failed(_)))).count();
        }
    }
    assert!(responses > 5 && failures > 20, "{responses} responses, {failures} failures");
}

#[test]
fn the_local_address_has_the_family_of_the_server() {
    let server: SocketAddr = addr("[2001:db8::1]:3478");
    let mut world = started(QueryConfig::new(server));
    assert_eq!(world.lines(), ["     0 open s1 udp [::]:0 towards [2001:db8::1]:3478"]);
}
