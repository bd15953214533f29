//! The laws of machines, with random steps between requests and responses.

use crate::credentials_server::{Draft, long_term};
use crate::responses::config;
use crate::world::{addr, message};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Closure, Instant, Output, Refusal, Script, SocketEvent, SocketId, SocketOrder, Unreachability, Verdict,
};
use portolan_sim::laws::{self, Action, Context, OwnedDatagram, OwnedInput, Step};
use portolan_stun::{Attribute, ChangeRequest, Class, Message, TransactionId};
use portolan_stun_agent::{
    AnswerFrom, Authenticator, Credential, Request, Responder, ResponderCommand, ResponderEvent, Schedule,
    TransactionCommand, Transactions,
};
use proptest::prelude::*;

const CLIENT: &str = "198.51.100.7:40000";
const SERVER: &str = "192.0.2.1:3478";
const OTHER: &str = "192.0.2.2:3479";

/// Times up to 100 s, and a few at the origin or far in the future.
fn any_moment() -> impl Strategy<Value = Instant> {
    prop_oneof![
        20 => (0..100_000_u64).prop_map(Instant::from_millis),
        1 => Just(Instant::ORIGIN),
        1 => any::<u64>().prop_map(|secs| Instant::from_origin(Duration::from_secs(secs))),
    ]
}

fn any_place() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![4 => Just(SERVER), 2 => Just(OTHER), 2 => Just(CLIENT), 1 => Just("[2001:db8::1]:3478")].prop_map(addr)
}

/// Ids that the counting RNG of a run returns, and others.
fn any_id() -> impl Strategy<Value = TransactionId> {
    prop_oneof![(0..4_u8).prop_map(|n| [n; 12].into()), any::<[u8; 12]>().prop_map(TransactionId::from)]
}

/// Messages, damaged messages, and random bytes.
fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let class = prop_oneof![
        4 => Just(Class::Request),
        1 => Just(Class::Indication),
        2 => Just(Class::SuccessResponse),
        2 => Just(Class::ErrorResponse),
    ];
    let attribute = (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..40));
    let known = prop_oneof![Just(0x0003_u16), Just(0x0026), Just(0x0027), Just(0x0001), Just(0x0009), Just(0x8028)];
    let attribute = prop_oneof![attribute.clone(), (known, proptest::collection::vec(any::<u8>(), 0..9))];
    let written = (class, any_id(), proptest::collection::vec(attribute, 0..4)).prop_map(|(class, id, attributes)| {
        let mut bytes = message(class, id, &[]);
        for (kind, value) in attributes {
            bytes.extend(u16::to_be_bytes(kind).into_iter().chain(u16::to_be_bytes(value.len() as u16)).chain(value));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    });
    let broken = (written.boxed(), any::<prop::sample::Index>(), any::<u8>());
    prop_oneof![
        3 => broken.clone().prop_map(|(bytes, ..)| bytes),
        1 => broken.clone().prop_map(|(mut bytes, at, byte)| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        }),
        1 => broken.prop_map(|(mut bytes, at, _)| {
            bytes.truncate(at.index(bytes.len()));
            bytes
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..60),
    ]
}

fn any_socket_event() -> impl Strategy<Value = SocketEvent> {
    let accepted = (100..110_u64, any_place());
    prop_oneof![
        any_place().prop_map(|local| SocketEvent::Opened { local }),
        accepted.prop_map(|(id, remote)| SocketEvent::Accepted { socket: SocketId(id), local: addr(SERVER), remote }),
        any_place().prop_map(|remote| SocketEvent::Unreachable { remote, why: Unreachability::Port }),
        Just(SocketEvent::Refused(Refusal::AddressInUse)),
        Just(SocketEvent::Closed(Closure::Reset)),
    ]
}

fn any_input(sockets: impl Strategy<Value = u64> + Clone + 'static) -> impl Strategy<Value = Action> {
    let of = |(socket, local, remote, payload)| OwnedDatagram { socket: SocketId(socket), local, remote, payload };
    let datagram = (sockets.clone(), any_place(), any_place(), any_payload()).prop_map(of).boxed();
    prop_oneof![
        5 => datagram.clone().prop_map(|datagram| Action::Input(OwnedInput::Datagram(datagram))),
        2 => datagram.prop_map(Action::Stream),
        1 => (sockets, any_socket_event()).prop_map(|(socket, event)| Action::Input(OwnedInput::Socket(SocketId(socket), event))),
        1 => Just(Action::Input(OwnedInput::Timeout)),
    ]
}

fn steps(what: impl Strategy<Value = Action>) -> impl Strategy<Value = Vec<Step>> {
    let step = (any_moment(), any::<bool>(), what).prop_map(|(at, drain, action)| Step { at, drain, action });
    proptest::collection::vec(step, 1..24).prop_map(|mut steps| {
        // The first two thirds are sorted by time. The last third is not.
        let ordered = steps.len() * 2 / 3;
        steps[..ordered].sort_by_key(|step| step.at);
        steps
    })
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        Just(Schedule::rfc8489()),
        Just(Schedule::reliable(Duration::from_secs(1))),
        (any::<[u16; 3]>(), 0..1000_u64, any::<bool>()).prop_map(|(offsets, jitter, repeat)| {
            let schedule = Schedule::at_millis(offsets.map(u32::from)).jitter(Duration::from_millis(jitter));
            schedule.repeat(repeat).tail(Duration::from_millis(jitter))
        }),
        Just(Schedule::at_millis([0]).every(Duration::from_millis(250)).until(Duration::from_secs(5))),
    ]
}

fn any_request() -> impl Strategy<Value = Request<u8>> {
    let from = prop_oneof![
        Just(AnswerFrom::SameAsDestination),
        any_place().prop_map(AnswerFrom::Exactly),
        Just(AnswerFrom::AnyReported)
    ];
    let change = prop_oneof![Just(None), Just(Some(ChangeRequest::PORT))];
    (1..3_u64, any_place(), any::<u8>(), any_schedule(), from, change).prop_map(
        |(socket, remote, tag, schedule, from, change)| {
            let request = Request::binding(SocketId(socket), remote, tag).schedule(schedule).from(from);
            change.into_iter().fold(request, Request::change)
        },
    )
}

fn requester_steps() -> impl Strategy<Value = Vec<Step>> {
    requester_steps_with(Just(None))
}

/// Commands and inputs between requests and responses. The requests have one of these credentials or none.
pub(crate) fn requester_steps_with(
    credential: impl Strategy<Value = Option<Credential>> + Clone + 'static,
) -> impl Strategy<Value = Vec<Step>> {
    let request = (any_request(), credential.clone()).prop_map(|(request, credential)| match credential {
        Some(credential) => TransactionCommand::RequestWith(request, credential),
        None => TransactionCommand::Request(request),
    });
    let forget = (any_id(), credential).prop_map(|(id, credential)| match credential {
        Some(credential) => TransactionCommand::Forget(credential),
        None => TransactionCommand::Cancel(id),
    });
    let tail = |(id, tail)| TransactionCommand::SetTail(id, Duration::from_millis(tail));
    let command = prop_oneof![
        12 => request,
        1 => forget,
        1 => any_id().prop_map(TransactionCommand::Cancel),
        1 => any_id().prop_map(TransactionCommand::GiveUp),
        2 => (any_id(), 0..5000_u64).prop_map(tail),
    ];
    steps(prop_oneof![
        2 => command.prop_map(|command| Action::Command(command.to_text())),
        3 => any_input(1..4_u64),
    ])
}

fn server_steps() -> impl Strategy<Value = Vec<Step>> {
    let start = Just(Action::Command(ResponderCommand::Start.to_string()));
    let stop = Just(Action::Command(ResponderCommand::Stop.to_string()));
    // The eight sockets of the responder, and accepted streams.
    let sockets = prop_oneof![3 => 1..9_u64, 1 => 100..110_u64];
    steps(prop_oneof![2 => start, 1 => stop, 20 => any_input(sockets)])
}

/// By the first byte of the id: a duplicated response, a response from another address before the right one, an error
/// response, a response in chunks, or no response.
fn answers(at: Instant, output: &Output<portolan_stun_agent::TransactionEvent<u8>>) -> Vec<Step> {
    let Output::Transmit(sent) = output else { return vec![] };
    let id = Message::decode(&sent.payload).unwrap().transaction_id();
    let later = |millis| at + Duration::from_millis(millis);
    let mapped = [Attribute::XorMappedAddress(addr(CLIENT))];
    let answer = |millis, from: SocketAddr, class| {
        Step::datagram(later(millis), sent.socket, addr(CLIENT), from, &message(class, id, &mapped))
    };
    let (right, other) = (sent.remote, addr("203.0.113.66:6666"));
    match id.as_bytes()[0] % 5 {
        0 => vec![answer(20, right, Class::SuccessResponse), answer(25, right, Class::SuccessResponse)],
        1 => vec![answer(30, other, Class::SuccessResponse), answer(40, right, Class::SuccessResponse)],
        2 => vec![answer(20, right, Class::ErrorResponse)],
        3 => {
            let bytes = message(Class::SuccessResponse, id, &mapped);
            let chunk = |payload: &[u8]| {
                Action::Stream(OwnedDatagram {
                    socket: sent.socket,
                    local: addr(CLIENT),
                    remote: right,
                    payload: payload.to_vec(),
                })
            };
            vec![Step::new(later(10), chunk(&bytes[..9])), Step::new(later(20), chunk(&bytes[9..]))]
        }
        _ => vec![],
    }
}

/// A host that opens each socket, and sends two requests over UDP or one request in chunks over a stream.
fn clients(at: Instant, output: &Output<ResponderEvent>) -> Vec<Step> {
    let Output::Socket(SocketOrder::Open(open)) = output else { return vec![] };
    let later = |millis| at + Duration::from_millis(millis);
    let change = [Attribute::ChangeRequest(ChangeRequest::IP_AND_PORT)];
    let mut steps = vec![Step::socket_event(later(1), open.id, SocketEvent::Opened { local: open.local })];
    if open.protocol.is_stream() {
        let stream = SocketId(100 + open.id.0);
        steps.push(Step::socket_event(
            later(2),
            open.id,
            SocketEvent::Accepted { socket: stream, local: open.local, remote: addr(CLIENT) },
        ));
        for (n, payload) in message(Class::Request, [9; 12].into(), &change).chunks(11).enumerate() {
            let chunk =
                OwnedDatagram { socket: stream, local: open.local, remote: addr(CLIENT), payload: payload.into() };
            steps.push(Step::new(later(3 + n as u64), Action::Stream(chunk)));
        }
    } else {
        for (n, attributes) in [&[][..], &change].into_iter().enumerate() {
            let bytes = message(Class::Request, [9; 12].into(), attributes);
            steps.push(Step::datagram(later(5 + n as u64), open.id, open.local, addr(CLIENT), &bytes));
        }
    }
    steps
}

fn responder() -> Responder {
    Responder::new(&config(&[SERVER], &[OTHER]).streams(3)).unwrap()
}

fn with_credentials(authenticator: &Authenticator) -> Responder {
    Responder::new(&config(&[SERVER], &[OTHER]).streams(3).credentials(authenticator.clone())).unwrap()
}

/// Like [`clients`]. The host answers each challenge with a request that is signed with the nonce of the challenge.
fn users(at: Instant, output: &Output<ResponderEvent>) -> Vec<Step> {
    let Output::Transmit(sent) = output else { return clients(at, output) };
    let reply = Message::decode(&sent.payload).unwrap();
    let Some(nonce) = reply.nonce().map(|nonce| nonce.to_string()) else { return vec![] };
    let bytes = Draft::complete(&nonce).with(Attribute::ChangeRequest(ChangeRequest::PORT)).bytes();
    let later = at + Duration::from_millis(20);
    if sent.socket.0 > 100 {
        let chunk = |payload: &[u8]| {
            Action::Stream(OwnedDatagram {
                socket: sent.socket,
                local: addr(SERVER),
                remote: sent.remote,
                payload: payload.into(),
            })
        };
        return bytes.chunks(60).map(|piece| Step::new(later, chunk(piece))).collect();
    }
    vec![Step::datagram(later, sent.socket, addr(SERVER), sent.remote, &bytes)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn transactions_keep_the_laws(script in requester_steps(), seed in any::<u64>()) {
        let sockets = [SocketId(1), SocketId(2), SocketId(3)];
        let context = Context { seed, handed_in: &sockets, ..Context::default() };
        let whole = laws::rehearse(&Transactions::<u8>::new, &script, &context, 120, answers);
        let kept = laws::check_all(&Transactions::<u8>::new, &whole, &context);
        prop_assert!(kept.is_ok(), "{}", kept.unwrap_err());
    }

    #[test]
    fn a_responder_keeps_the_laws(script in server_steps(), seed in any::<u64>()) {
        let terminal = |event: &ResponderEvent| *event == ResponderEvent::Stopped;
        let context = Context { seed, terminal, ..Context::default() };
        let whole = laws::rehearse(&responder, &script, &context, 120, clients);
        let kept = laws::check_all(&responder, &whole, &context);
        prop_assert!(kept.is_ok(), "{}", kept.unwrap_err());
    }

    #[test]
    fn a_responder_that_requires_credentials_keeps_the_laws(script in server_steps(), seed in any::<u64>()) {
        let terminal = |event: &ResponderEvent| *event == ResponderEvent::Stopped;
        let context = Context { seed, terminal, ..Context::default() };
        let (authenticator, factory) = (long_term(), || with_credentials(&long_term()));
        let whole = laws::rehearse(&|| with_credentials(&authenticator), &script, &context, 120, users);
        let kept = laws::check_all(&factory, &whole, &context);
        prop_assert!(kept.is_ok(), "{}", kept.unwrap_err());
    }

    #[test]
    fn no_payload_makes_a_responder_send_to_another_host(payload in any_payload(), remote in any_place()) {
        let mut world = crate::world::World::new(Responder::over(&config(&[SERVER], &[]), |_| SocketId(1)).unwrap());
        let verdict = world.datagram(1, &remote.to_string(), &payload);
        for output in world.outputs() {
            let Output::Transmit(reply) = output else { panic!("only replies") };
            prop_assert_eq!(verdict, Verdict::Mine);
            prop_assert_eq!(reply.remote.ip(), remote.ip());
            let reply = Message::decode(&reply.payload).unwrap();
            prop_assert!(reply.class().is_response());
            prop_assert_eq!(Message::decode(&payload).unwrap().class(), Class::Request);
        }
    }
}

#[test]
fn the_runs_of_the_laws_are_not_empty() {
    let script = [Step::command(Instant::ORIGIN, &ResponderCommand::Start)];
    let context = Context::default();
    let whole = laws::rehearse(&responder, &script, &context, 120, clients);
    let played = laws::record(responder(), &whole, &context).1;
    let sent = |played: &laws::StepResult<ResponderEvent>| {
        played.outputs.iter().filter(|output| matches!(output, Output::Transmit(_))).count()
    };
    assert_eq!(
        played.iter().map(sent).sum::<usize>(),
        4 * 2 + 3,
        "two over UDP at each address, and one on each of three streams"
    );

    let whole = laws::rehearse(&|| with_credentials(&long_term()), &script, &context, 120, users);
    let played = laws::record(with_credentials(&long_term()), &whole, &context).1;
    let succeeded = played.iter().flat_map(|played| &played.outputs).filter(|output| match output {
        Output::Transmit(sent) => Message::decode(&sent.payload).unwrap().class() == Class::SuccessResponse,
        Output::Socket(_) | Output::Event(_) | Output::Wait(_) => false,
    });
    assert!(succeeded.count() >= 8, "each challenge over UDP is answered");

    let request = |tag| Request::binding(SocketId(1), addr(SERVER), tag);
    let script = [0, 1].map(|tag| Step::command(Instant::ORIGIN, &TransactionCommand::Request(request(tag))));
    let context = Context { handed_in: &[SocketId(1)], ..Context::default() };
    let whole = laws::rehearse(&Transactions::<u8>::new, &script, &context, 120, answers);
    assert!(whole.len() > 3, "{whole:?}");
}
