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

pub(crate) const LOCAL: &str = "10.0.0.7:40000";
const MAPPED: &str = "198.51.100.7:40000";
const SERVER: &str = "192.0.2.1:3478";
const RELAYED: &str = "192.0.2.1:50000";
const PEER: &str = "203.0.113.9:5000";
pub(crate) const PASSWORD: &str = "asd88fgpdd777uzjYhagZg";

pub(crate) fn config(policy: Policy) -> ConnectConfig {
    let credential = Credential::long_term("ann", "secret");
    ConnectConfig::new()
        .agent(AgentConfig::new().policy(policy))
        .gather(GatherConfig::new().server(addr(SERVER)))
        .turn(ClientConfig::new(addr(SERVER), credential).expires(Duration::from_secs(60)))
}

/// The response of the peer to a check: mostly success, sometimes with another mapped address, sometimes nothing.
pub(crate) fn peer_answer(choices: &mut Choices, payload: &[u8], mapped: SocketAddr) -> Option<Vec<u8>> {
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

pub(crate) fn answers(choices: &mut Choices, sent: &Transmit) -> Vec<(SocketAddr, Vec<u8>)> {
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

pub(crate) fn interfaces(addresses: &[&str]) -> ConnectCommand {
    let interfaces = addresses.iter().map(|address| Interface::new("eth0", address.parse().unwrap()));
    ConnectCommand::SetInterfaces(interfaces.collect())
}

pub(crate) fn any_command() -> impl Strategy<Value = String> {
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

pub(crate) fn any_payload() -> impl Strategy<Value = Vec<u8>> {
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
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 600_000, tables: 60_000 }));
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

/// A queued check of the agent on a virtual socket does not leave when the relay is lost: no driver knows that socket.
#[test]
fn a_check_on_a_virtual_socket_does_not_outlive_its_relay() {
    let steps = laws::read_steps(
        r"
0.000000000 command start controlling
0.000000000 command set-interfaces eth0 10.0.0.7 ordinary
0.000000000 command set-remote 0 peer asd88fgpdd777uzjYhagZg ended | 1 1 UDP 2130706431 203.0.113.9 5000 typ host | 2 1 UDP 1694498815 203.0.113.10 5000 typ srflx raddr 10.0.0.1 rport 1 | 3 1 UDP 1000000 203.0.113.11 5000 typ relay raddr 203.0.113.9 rport 5000
0.345000000 socket s2 opened 10.0.0.7:40000
0.390000000 socket s1 opened 10.0.0.7:40000
0.395000000 timeout
0.401000000 datagram s1 10.0.0.7:40000 192.0.2.1:3478 011300342112a4423cab16c93a1384c5c38ac9410009001300000401556e61757468656e74696361746564000014000b6578616d706c652e6f726700001500056e6f6e6365000000
0.402000000 datagram s2 10.0.0.7:40000 203.0.113.9:5000 0101002c2112a442a6b08c368c48b8f3093db13c002000080001bd52e721c045000800144e80e8ed0f36e0b6aead7e270c74deb91183c1b180280004cfd95e8d
0.445000000 timeout
0.446000000 datagram s1 10.0.0.7:40000 192.0.2.1:3478 010300382112a442f6de5b05e026d3c27bdbbbe0001600080001e242e112a643002000080001bd52e721c045000d00040000025800080014c39c0b8b2f611927f0169190d5996c57ed040118
0.495000000 timeout
0.534000000 datagram s1 10.0.0.7:40000 192.0.2.1:3479 010800182112a442ab801d97973fbb845512527500080014e17c6369931c7637592a351b63646269ee4fa246
0.545000000 timeout
0.581000000 undrained stream s1000001 10.0.0.7:40000 192.0.2.1:3478 000100442112a4420001421d784ed47e6252062e0001001400024802037cb4eba0fb45fac85163eacb007142001600
0.630000000 datagram s1 10.0.0.7:40000 192.0.2.1:3478 010800182112a442867f7f2b1017cfc3644f918300080014dd11fb93f3a592cbd3a8bff407ba949d38911a6f
0.630000000 timeout
0.633000000 datagram s1 10.0.0.7:40000 192.0.2.1:3478 010800182112a442ac85445a2b8d1ad8d79e0b1000080014c5c70dc0f01466014e68c9d349f9b386573f10ad
0.680000000 timeout
0.730000000 timeout
0.760000000 datagram s1 10.0.0.7:40000 192.0.2.1:3478 001700502112a442090909090909090909090909001200080001329aea12d549001300400101002c2112a4422502e4a8de357d37b0ba6349002000080001cf5ae721c04a000800146d134c47a2123fd70bc3941357a4368d33e4bcda8028000433562aae
0.769000000 datagram s1 10.0.0.7:40000 192.0.2.1:3478 001700502112a442090909090909090909090909001200080001329aea12d548001300400101002c2112a4427b4f4cdbf1825e9300332392002000080001e242e112a64300080014f64bef1c0f46cfd23b6036f4bebce257aaad6dce80280004d9de890b
0.814000000 datagram s2 10.0.0.7:40000 203.0.113.10:5000 0101002c2112a4420df12518928a03a96a2fca0d002000080001bd52e721c04500080014a56f88dc58de685db0b2283cb905048ed674cdce802800040e3f7904
0.845000000 timeout
0.945000000 timeout
0.946000000 timeout
0.995000000 command set-interfaces eth0 2001:db8::7 ordinary
",
    )
    .unwrap();
    let new = || Connection::new(config(Policy::Browserlike)).unwrap();
    laws::check(laws::Law::OpenedFirst, &new, &steps, &laws_config().context).unwrap();
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
