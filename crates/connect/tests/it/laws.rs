//! The laws of every machine, under random steps in the middle of the life of a relay.

use crate::lab::{addr, ip};
use crate::server::{Reply, answer, data_indication};
use alloc::sync::Arc;
use core::time::Duration;
use portolan_connect::{Relay, RelayCommand, RelayEvent};
use portolan_machine::{Output, Protocol, Script, SocketEvent, SocketId, SocketOrder};
use portolan_sim::laws::{self, Action, Footprint, OwnedDatagram, StateLimit, Step};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_strategies::messages;
use portolan_stun_agent::Credential;
use portolan_turn::ClientConfig;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

const CLIENT: &str = "198.51.100.7:40000";
const SERVER: &str = "192.0.2.1:3478";
const OTHER: &str = "192.0.2.2:3478";
const PEER: &str = "203.0.113.9:5000";

fn config() -> ClientConfig {
    ClientConfig::new(addr(SERVER), Credential::long_term("ann", "secret")).or_server(addr(OTHER))
}

/// What a server decides: mostly success, sometimes each error code, sometimes nothing.
fn decision(choices: &mut Choices) -> Reply {
    const CODES: [u16; 8] = [300, 400, 403, 403, 437, 437, 486, 508];
    match choices.below(12) {
        0 | 1 => Reply::Error(CODES[usize::try_from(choices.below(8)).unwrap()]),
        2 => Reply::Silence,
        _ => Reply::Success,
    }
}

/// The answers of a server to one message: a response, or data of the peer.
fn server_answers(choices: &mut Choices, payload: &[u8]) -> Vec<Vec<u8>> {
    let mapped = ([198, 51, 100, 7], 40_000 + u16::try_from(choices.below(8) / 7).unwrap());
    // Sometimes another allocation has the same relayed address.
    let port = 50_000 + u16::try_from(choices.below(3)).unwrap();
    let relayed = [([192, 0, 2, 1], port).into(), "[2001:db8::1]:50000".parse().unwrap()];
    let relayed = &relayed[..1 + usize::try_from(choices.below(2)).unwrap()];
    let reply = decision(choices);
    let nonce = if choices.below(16) == 0 { "another nonce" } else { "nonce" };
    let response = answer(payload, ("secret", nonce), (mapped.into(), relayed), |_| reply);
    let mut answers: Vec<_> = response.into_iter().collect();
    match choices.below(8) {
        0 => answers.push([&[0x40, 0, 0, 5][..], b"hello", &[0, 0, 0]].concat()),
        1 => answers.push(data_indication(addr(PEER), b"data")),
        _ => {}
    }
    answers
}

fn any_command() -> impl Strategy<Value = String> {
    let credential = |name: &str, password| RelayCommand::SetCredential {
        credential: Credential::long_term(name, password),
        expires: Some(Duration::from_secs(100)),
    };
    let peer = prop_oneof![
        4 => Just(PEER), 2 => Just("203.0.113.9:5001"), 2 => Just("203.0.113.10:1"), 1 => Just("[2001:db8::9]:9"),
        1 => Just("0.0.0.0:1"), 1 => Just("203.0.113.9:0")
    ];
    let peer = peer.prop_map(addr);
    let send = (1..8_u64, peer.clone(), 0..2000_usize).prop_map(|(socket, peer, length)| RelayCommand::Send {
        socket: SocketId(socket),
        peer,
        data: vec![7; length].into(),
    });
    prop_oneof![
        2 => peer.clone().prop_map(|peer| RelayCommand::AddPeer { peer: peer.ip() }),
        2 => peer.clone().prop_map(|peer| RelayCommand::AddChannel { peer }),
        1 => peer.clone().prop_map(|peer| RelayCommand::RemovePeer { peer: peer.ip() }),
        12 => send,
        1 => Just(credential("ann", "secret")),
        1 => Just(credential("ann", "wrong")),
        1 => Just(RelayCommand::Close),
        1 => Just(RelayCommand::Start(config())),
    ]
    .prop_map(|command| command.to_text())
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let channel_data = (0x3fff..0x5001_u16, 0..9_u16, 0..9_usize).prop_map(|(number, length, bytes)| {
        [&number.to_be_bytes()[..], &length.to_be_bytes(), &[7; 9][..bytes]].concat()
    });
    prop_oneof![
        4 => messages::nearly_valid(messages::message()),
        2 => channel_data,
        1 => Just(data_indication(addr(PEER), b"data")),
    ]
}

fn scripts(config: &ClientConfig) -> Scripts {
    Scripts::new(any_payload())
        .sockets(&[1, 2, 3, 4].map(SocketId))
        .remotes(&[addr(SERVER), addr(OTHER)])
        .locals(&[addr(CLIENT)])
        .beginning_with(&RelayCommand::Start(config.clone()).to_text())
        .beginning_with(&RelayCommand::AddPeer { peer: ip("203.0.113.10") }.to_text())
        .commands(any_command())
        .length(0..=32)
}

fn laws_config() -> LawsConfig<Relay> {
    let peer = host(addr(CLIENT), |choices, sent| {
        server_answers(choices, &sent.payload).into_iter().map(|bytes| (sent.remote, bytes)).collect()
    });
    let mut config = LawsConfig { cases: 32, longest: 100, peer, ..LawsConfig::default() };
    config.context.terminal = RelayEvent::is_terminal;
    config.context.state = Some(|relay| format!("{relay:?}"));
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 240_000, tables: 100 }));
    config
}

/// A host whose sockets are streams: the answers arrive in two chunks.
fn stream_config() -> LawsConfig<Relay> {
    let peer = |choices: &mut Choices, now, output: &Output<RelayEvent>| match output {
        Output::Socket(SocketOrder::Open(open)) => {
            let opened = SocketEvent::Opened { local: addr(CLIENT) };
            vec![Step::socket_event(now + Duration::from_millis(1), open.id, opened)]
        }
        Output::Transmit(sent) => {
            let bytes = server_answers(choices, &sent.payload).into_iter().flat_map(|mut bytes| {
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                bytes
            });
            let bytes: Vec<u8> = bytes.collect();
            let middle = usize::try_from(choices.below(1 + bytes.len() as u64)).unwrap();
            let (first, second) = bytes.split_at(middle);
            let at = now + Duration::from_millis(20);
            let chunk = |payload: &[u8]| OwnedDatagram {
                socket: sent.socket,
                local: addr(CLIENT),
                remote: sent.remote,
                payload: payload.to_vec(),
            };
            [first, second].map(|piece| Step::new(at, Action::Stream(chunk(piece)))).to_vec()
        }
        _ => vec![],
    };
    // The text of an incomplete frame has up to five characters a byte.
    let mut config = LawsConfig { cases: 12, peer: Arc::new(peer), ..laws_config() };
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 240_000 + 5 * 65_600, tables: 100 }));
    config
}

#[test]
fn a_relay_keeps_the_laws() {
    for config in [config().expires(Duration::from_secs(60)), config().dual()] {
        assert_laws(&Relay::new, &scripts(&config), &laws_config());
    }
}

#[test]
fn a_relay_over_streams_keeps_the_laws() {
    for protocol in [Protocol::Tcp, Protocol::Tls] {
        let config = config().protocol(protocol).server_name("turn.example.org".into());
        assert_laws(&Relay::new, &scripts(&config), &stream_config());
    }
}

/// The number of events of each kind in random runs.
fn reached(config: &ClientConfig, laws_config: &LawsConfig<Relay>) -> [usize; 9] {
    let scripts = scripts(config);
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
    let mut reached = [0; 9];
    for _ in 0..200 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let steps = conversation(&Relay::new, &script, laws_config);
        let (_, played) = laws::record(Relay::new(), &steps, &laws_config.context);
        for output in played.iter().flat_map(|played| &played.outputs) {
            use portolan_connect::RelayClosure as Why;
            let Output::Event(event) = output else { continue };
            let kind = match event {
                RelayEvent::Opened { .. } => 0,
                RelayEvent::Closed { why: Why::Lost(_), .. } => 1,
                RelayEvent::Closed { why: Why::Replaced, .. } => 2,
                RelayEvent::Closed { why: Why::ByOwner, .. } => 3,
                RelayEvent::Data { .. } => 4,
                RelayEvent::Unreachable { port: None, .. } => 5,
                RelayEvent::Unreachable { .. } => 6,
                RelayEvent::Refused { .. } => 7,
                RelayEvent::Ended => 8,
                _ => continue,
            };
            reached[kind] += 1;
        }
    }
    reached
}

#[test]
fn random_runs_reach_all_parts_of_the_life_of_a_relay() {
    let udp = reached(&config().dual(), &laws_config());
    assert!(udp.iter().all(|count| *count > 5), "{udp:?}");
    let tcp = reached(&config().protocol(Protocol::Tcp), &stream_config());
    assert!(tcp.iter().all(|count| *count > 5), "{tcp:?}");
}

proptest! {
    #[test]
    fn a_command_survives_its_text(command in any_command()) {
        prop_assert_eq!(RelayCommand::read(&command).unwrap().to_text(), command);
    }

    #[test]
    fn no_text_of_a_command_panics(text in "(send|start|close|add-peer|add-channel|remove-peer|set-credential) [s0-9a-f.: ]{0,40}") {
        let _checked = RelayCommand::read(&text);
    }
}
