//! The laws of every machine, under random steps in the middle of the life of a connection.

use crate::lab::addr;
use crate::server::{Reply, answer, data_indication};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_connect::{ConnectCommand, ConnectConfig, ConnectEvent, Connection};
use portolan_ice::gather::Interface;
use portolan_ice::{
    AgentCommand, AgentConfig, ComponentId, Credentials, GatherConfig, Policy, RemoteDescription, SessionFailure,
};
use portolan_machine::{Output, Script, SocketId, Transmit};
use portolan_sim::laws::{self, Footprint, StateLimit};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_strategies::messages;
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, Method, ResponseClass, Writer};
use portolan_stun_agent::Credential;
use portolan_turn::ClientConfig;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

const LOCAL: &str = "10.0.0.7:40000";
const MAPPED: &str = "198.51.100.7:40000";
const SERVER: &str = "192.0.2.1:3478";
const RELAYED: &str = "192.0.2.1:50000";
const PEER: &str = "203.0.113.9:5000";
const PASSWORD: &str = "asd88fgpdd777uzjYhagZg";

fn config(policy: Policy) -> ConnectConfig {
    let credential = Credential::long_term("ann", "secret");
    ConnectConfig::new()
        .agent(AgentConfig::new().policy(policy))
        .gather(GatherConfig::new().server(addr(SERVER)))
        .turn(ClientConfig::new(addr(SERVER), credential).expires(Duration::from_secs(60)))
}

/// The response of the peer to a check: mostly success, sometimes with another mapped address, sometimes nothing.
fn peer_answer(choices: &mut Choices, payload: &[u8], mapped: SocketAddr) -> Option<Vec<u8>> {
    let message = Message::decode(payload).ok().filter(|message| message.class() == Class::Request)?;
    let mapped = match choices.below(8) {
        0 => return None,
        1 => addr("198.51.100.8:61000"),
        _ => mapped,
    };
    let mut buffer = [0; 400];
    let mut writer = Writer::response(&mut buffer, &message.exempt(), ResponseClass::Success).unwrap();
    writer.add(&Attribute::XorMappedAddress(mapped)).unwrap();
    let key = IntegrityKey::short_term(PASSWORD);
    Some(writer.message_integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec())
}

/// The answers of the server: to its own requests, and of the peer behind the relayed address.
fn server_answers(choices: &mut Choices, payload: &[u8]) -> Vec<Vec<u8>> {
    const CODES: [u16; 6] = [400, 403, 437, 437, 486, 508];
    if let Ok(message) = Message::decode(payload)
        && message.method() == Method::SEND
    {
        let (Some(peer), Some(Ok(Attribute::Data(data)))) =
            (message.xor_peer_address(), message.exempt().attribute(AttributeType::DATA))
        else {
            return vec![];
        };
        return peer_answer(choices, data, addr(RELAYED))
            .map(|inner| data_indication(peer, &inner))
            .into_iter()
            .collect();
    }
    let reply = match choices.below(16) {
        0 => Reply::Error(CODES[usize::try_from(choices.below(6)).unwrap()]),
        1 => Reply::Silence,
        _ => Reply::Success,
    };
    let mut answers: Vec<_> =
        answer(payload, ("secret", "nonce"), (addr(MAPPED), &[addr(RELAYED)]), |_| reply).into_iter().collect();
    if choices.below(8) == 0 {
        answers.push(data_indication(addr(PEER), b"data"));
    }
    answers
}

fn answers(choices: &mut Choices, sent: &Transmit) -> Vec<(SocketAddr, Vec<u8>)> {
    if sent.remote == addr(SERVER) {
        return server_answers(choices, &sent.payload).into_iter().map(|bytes| (sent.remote, bytes)).collect();
    }
    let mut answers: Vec<_> = peer_answer(choices, &sent.payload, addr(MAPPED)).into_iter().collect();
    if choices.below(8) == 0 {
        answers.push(vec![0x80, 1, 2, 3]);
    }
    answers.into_iter().map(|bytes| (sent.remote, bytes)).collect()
}

const CANDIDATES: [&str; 3] = [
    "1 1 UDP 2130706431 203.0.113.9 5000 typ host",
    "2 1 UDP 1694498815 203.0.113.10 5000 typ srflx raddr 10.0.0.1 rport 1",
    "3 1 UDP 1000000 203.0.113.11 5000 typ relay raddr 203.0.113.9 rport 5000",
];

fn set_remote(ufrag: &str) -> ConnectCommand {
    let candidates = CANDIDATES.iter().map(|candidate| candidate.parse().unwrap()).collect();
    let credentials = Credentials::new(ufrag, PASSWORD).unwrap();
    let description = Box::new(RemoteDescription::new(credentials).with_candidates(candidates).ended());
    ConnectCommand::Peer(Box::new(AgentCommand::SetRemote { stream: 0, description }))
}

fn interfaces(addresses: &[&str]) -> ConnectCommand {
    let interfaces = addresses.iter().map(|address| Interface::new("eth0", address.parse().unwrap()));
    ConnectCommand::SetInterfaces(interfaces.collect())
}

fn any_command() -> impl Strategy<Value = String> {
    let peer = |command| ConnectCommand::Peer(Box::new(command));
    let remote = |text: &str| peer(AgentCommand::AddRemote { stream: 0, candidate: Box::new(text.parse().unwrap()) });
    let send = |length| ConnectCommand::Send { component: ComponentId::new(0, 1), data: vec![0x80; length].into() };
    let set_credential = |password| ConnectCommand::SetCredential {
        server: 0,
        credential: Credential::long_term("ann", password),
        expires: Some(Duration::from_secs(100)),
    };
    let options = [
        send(1),
        send(100),
        send(1_400),
        interfaces(&["10.0.0.7"]),
        interfaces(&["10.0.0.7", "10.1.0.7"]),
        interfaces(&["2001:db8::7"]),
        interfaces(&[]),
        set_remote("next"),
        ConnectCommand::Restart,
        set_credential("secret"),
        set_credential("wrong"),
        remote("9 1 UDP 1000000 203.0.113.12 9 typ host"),
        remote("8 1 UDP 1000 a1b2.local 9 typ host"),
        peer(AgentCommand::Resolve { name: "a1b2.local".into(), address: Some("203.0.113.13".parse().unwrap()) }),
        peer(AgentCommand::EndRemote { stream: 0 }),
        ConnectCommand::Start { controlling: true },
    ];
    let text: Vec<String> = options.iter().map(Script::to_text).collect();
    prop_oneof![20 => proptest::sample::select(text), 1 => Just(ConnectCommand::Close.to_text())]
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => messages::nearly_valid(messages::message()),
        2 => Just(data_indication(addr(PEER), b"data")),
        2 => Just(vec![0x80, 0, 0, 0, 1]),
    ]
}

fn scripts() -> Scripts {
    Scripts::new(any_payload())
        .sockets(&[1, 2, 3, 4, 5].map(SocketId))
        .remotes(&[addr(SERVER), addr(PEER), addr("203.0.113.10:5000")])
        .locals(&[addr(LOCAL)])
        .beginning_with(&ConnectCommand::Start { controlling: true }.to_text())
        .beginning_with(&interfaces(&["10.0.0.7"]).to_text())
        .beginning_with(&set_remote("peer").to_text())
        .commands(any_command())
        .length(0..=32)
}

fn laws_config() -> LawsConfig<Connection> {
    let peer = host(addr(LOCAL), answers);
    let mut config = LawsConfig { cases: 24, longest: 120, peer, ..LawsConfig::default() };
    config.context.terminal = |event| matches!(event, ConnectEvent::Closed);
    config.context.state = Some(|connection| format!("{connection:?}"));
    // The gatherer remembers the ids of its last transactions, in a table of fixed size.
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 600_000, tables: 30_000 }));
    config
}

#[test]
fn a_connection_keeps_the_laws() {
    for policy in [Policy::Textbook, Policy::Browserlike] {
        assert_laws(&|| Connection::new(config(policy)).unwrap(), &scripts(), &laws_config());
    }
}

#[test]
fn a_connection_with_relayed_candidates_alone_keeps_the_laws() {
    assert_laws(&|| Connection::new(config(Policy::Textbook).relay_only()).unwrap(), &scripts(), &laws_config());
}

#[test]
fn random_runs_reach_all_parts_of_the_life_of_a_connection() {
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts().strategy());
    let mut reached = [0; 11];
    let mut relayed = 0;
    for _ in 0..200 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let new = || Connection::new(config(Policy::Textbook)).unwrap();
        let steps = conversation(&new, &script, &laws_config());
        let (_, played) = laws::record(new(), &steps, &laws_config().context);
        for output in played.iter().flat_map(|played| &played.outputs) {
            let Output::Event(event) = output else { continue };
            reached[match event {
                ConnectEvent::LocalCandidate { candidate, .. } => {
                    relayed += usize::from(candidate.to_string().contains("typ relay"));
                    0
                }
                ConnectEvent::EndOfCandidates(_) => 1,
                ConnectEvent::Resolve { .. } => 2,
                ConnectEvent::RelayFailed(_) => 3,
                ConnectEvent::State(_) => 4,
                ConnectEvent::Restarted(_) => 5,
                ConnectEvent::Selected(_) => 6,
                ConnectEvent::Data { .. } => 7,
                ConnectEvent::Failed(SessionFailure::ConsentExpired(_)) => 8,
                ConnectEvent::Failed(_) => 9,
                ConnectEvent::Closed => 10,
                _ => continue,
            }] += 1;
        }
    }
    assert!(relayed > 100 && reached.iter().all(|count| *count > 3), "{reached:?} {relayed}");
}

proptest! {
    #[test]
    fn a_command_of_a_connection_survives_its_text(command in any_command()) {
        prop_assert_eq!(ConnectCommand::read(&command).unwrap().to_text(), command);
    }
}
