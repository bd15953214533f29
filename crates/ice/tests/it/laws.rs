//! The laws of every machine, under random steps in the middle of a session.

use core::net::SocketAddr;
use core::time::Duration;
use portolan_ice::{
    Agent, AgentCommand, AgentConfig, AgentEvent, ComponentId, Credentials, LocalCandidate, Nomination, Policy,
    RemoteDescription,
};
use portolan_machine::{Output, Script, SocketId};
use portolan_sim::laws::{self, Footprint, StateLimit};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_strategies::messages;
use portolan_stun::attribute::Text;
use portolan_stun::{Attribute, Class, ErrorCode, IntegrityKey, Message, Method, ResponseClass, TransactionId, Writer};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

const LOCALS: [&str; 2] = ["10.0.0.7:40000", "[2001:db8::7]:40000"];
const REMOTES: [&str; 4] = ["192.0.2.1:5000", "192.0.2.2:5000", "[2001:db8::1]:5000", "192.0.2.9:9"];
const SOCKETS: [SocketId; 2] = [SocketId(1), SocketId(2)];
const PASSWORD: &str = "asd88fgpdd777uzjYhagZg";
const OTHER_PASSWORD: &str = "bbd88fgpdd777uzjYhagZg";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The answers of a peer to one message: mostly a success response, sometimes an error or a wrong mapped address.
/// Sometimes a check of its own follows, with the credentials of the request turned around.
fn peer_answers(choices: &mut Choices, own: &str, sent: &portolan_machine::Transmit) -> Vec<(SocketAddr, Vec<u8>)> {
    let Ok(message) = Message::decode(&sent.payload) else { return vec![] };
    if message.class() != Class::Request {
        return vec![];
    }
    let key = IntegrityKey::short_term(if choices.below(12) == 0 { OTHER_PASSWORD } else { PASSWORD });
    let request = message.exempt();
    let mut buffer = [0; 400];
    const CODES: [u16; 6] = [400, 401, 403, 487, 487, 500];
    let response = match choices.below(10) {
        0 => {
            let mut writer = Writer::response(&mut buffer, &request, ResponseClass::Error).unwrap();
            let code = CODES[usize::try_from(choices.below(6)).unwrap()];
            writer.add(&Attribute::ErrorCode(ErrorCode::new(code, Text::new("")).unwrap())).unwrap();
            writer.message_integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec()
        }
        choice => {
            let mapped = match choice {
                1 => addr("203.0.113.7:61000"),
                2 => SocketAddr::from(([203, 0, 113, 8], 1 + u16::try_from(choices.below(9)).unwrap())),
                _ => sent.local.map_or(addr(own), |ip| SocketAddr::new(ip, 40_000)),
            };
            let mut writer = Writer::response(&mut buffer, &request, ResponseClass::Success).unwrap();
            writer.add(&Attribute::XorMappedAddress(mapped)).unwrap();
            writer.message_integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec()
        }
    };
    let mut answers = vec![(sent.remote, response)];
    if choices.below(24) == 0 {
        answers.push((sent.remote, vec![0x80, 1, 2, 3]));
    }
    answers
}

fn description(ufrag: &str, password: &str, candidates: &[&str]) -> RemoteDescription {
    let candidates = candidates.iter().map(|candidate| candidate.parse().unwrap()).collect();
    RemoteDescription::new(Credentials::new(ufrag, password).unwrap()).with_candidates(candidates)
}

fn set_remote(ufrag: &str, candidates: &[&str]) -> String {
    let description = Box::new(description(ufrag, PASSWORD, candidates).ended());
    AgentCommand::SetRemote { stream: 0, description }.to_text()
}

const CANDIDATES: [&str; 3] = [
    "1 1 UDP 2130706431 192.0.2.1 5000 typ host",
    "2 1 UDP 1694498815 192.0.2.2 5000 typ srflx raddr 10.0.0.1 rport 1",
    "3 1 UDP 2130706175 2001:db8::1 5000 typ host",
];

fn any_command() -> impl Strategy<Value = String> {
    let remote = |text: &str| AgentCommand::AddRemote { stream: 0, candidate: Box::new(text.parse().unwrap()) };
    let local = |at: usize| LocalCandidate::host(ComponentId::new(0, 1), SOCKETS[at], addr(LOCALS[at]));
    let answer = description("peer", PASSWORD, &CANDIDATES).answering("AAAA");
    let options = vec![
        AgentCommand::Start { controlling: true },
        AgentCommand::AddLocal(local(0)),
        AgentCommand::AddLocal(local(0).server_reflexive(addr("203.0.113.7:61000"), "192.0.2.99".parse().unwrap())),
        AgentCommand::AddLocal(LocalCandidate::relayed(
            ComponentId::new(0, 1),
            SOCKETS[1],
            addr("198.51.100.1:50000"),
            addr("203.0.113.7:61000"),
            "198.51.100.1".parse().unwrap(),
        )),
        AgentCommand::RemoveLocal(SOCKETS[1]),
        AgentCommand::EndLocal,
        AgentCommand::EndRemote { stream: 0 },
        AgentCommand::EndRemote { stream: 9 },
        AgentCommand::Restart,
        AgentCommand::Restart,
        remote("9 1 UDP 1000000 192.0.2.9 9 typ relay raddr 192.0.2.1 rport 5000"),
        remote("8 1 UDP 1000 a1b2.local 9 typ host"),
        remote("8 2 UDP 1000 192.0.2.8 9 typ host"),
        AgentCommand::Resolve { name: "a1b2.local".into(), address: Some("192.0.2.2".parse().unwrap()) },
        AgentCommand::Resolve { name: "a1b2.local".into(), address: None },
        AgentCommand::SetRemote { stream: 0, description: Box::new(description("next", PASSWORD, &CANDIDATES[..1])) },
        AgentCommand::SetRemote { stream: 0, description: Box::new(answer) },
        AgentCommand::SetRemote {
            stream: 0,
            description: Box::new(description("lite", OTHER_PASSWORD, &CANDIDATES[1..]).lite()),
        },
    ];
    let text: Vec<String> = options.iter().map(Script::to_text).collect();
    prop_oneof![12 => proptest::sample::select(text), 1 => Just(AgentCommand::Close.to_text())]
}

/// Checks of the peer. The local credentials are not known to a script, so most are refused.
fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let check = any::<([u8; 12], bool)>().prop_map(|(id, nominates)| {
        let mut buffer = [0; 400];
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, TransactionId::from(id)).unwrap();
        writer.add(&Attribute::Username(Text::new("AAAAAAAA:peer"))).unwrap();
        writer.add(&Attribute::Priority(1_862_270_975)).unwrap();
        writer.add(&Attribute::IceControlling(7)).unwrap();
        if nominates {
            writer.add(&Attribute::UseCandidate).unwrap();
        }
        let key = IntegrityKey::short_term(PASSWORD);
        writer.message_integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec()
    });
    prop_oneof![3 => messages::nearly_valid(messages::message()), 2 => check, 1 => Just(vec![0x80, 0, 0, 0, 1])]
}

fn scripts(controlling: bool) -> Scripts {
    let mut scripts = Scripts::new(any_payload())
        .sockets(&SOCKETS)
        .remotes(&REMOTES.map(addr))
        .locals(&LOCALS.map(addr))
        .beginning_with(&AgentCommand::Start { controlling }.to_text());
    for at in 0..2 {
        let local = LocalCandidate::host(ComponentId::new(0, 1), SOCKETS[at], addr(LOCALS[at]));
        scripts = scripts.beginning_with(&AgentCommand::AddLocal(local).to_text());
    }
    scripts.beginning_with(&set_remote("peer", &CANDIDATES)).commands(any_command())
}

fn laws_config() -> LawsConfig<Agent> {
    let peer = host(addr(LOCALS[0]), |choices, sent| peer_answers(choices, LOCALS[0], sent));
    let mut config = LawsConfig { cases: 32, longest: 120, peer, ..LawsConfig::for_sockets(&SOCKETS) };
    config.context.terminal = |event| matches!(event, AgentEvent::Closed);
    config.context.state = Some(|agent| format!("{agent:?}"));
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 200_000, tables: 12_000 }));
    config
}

#[test]
fn an_agent_of_rfc_8445_keeps_the_laws() {
    for controlling in [true, false] {
        assert_laws(&|| Agent::new(AgentConfig::new()), &scripts(controlling), &laws_config());
    }
}

#[test]
fn an_agent_with_the_policy_of_browsers_keeps_the_laws() {
    let new = || Agent::new(AgentConfig::new().policy(Policy::Browserlike));
    for controlling in [true, false] {
        assert_laws(&new, &scripts(controlling), &laws_config());
    }
}

#[test]
fn an_agent_with_aggressive_nomination_keeps_the_laws() {
    let new = || Agent::new(AgentConfig::new().nomination(Nomination::Aggressive).ta(Duration::from_millis(5)));
    assert_laws(&new, &scripts(true), &laws_config());
}

#[test]
fn a_lite_agent_keeps_the_laws() {
    assert_laws(&|| Agent::new(AgentConfig::new().lite()), &scripts(false), &laws_config());
}

#[test]
fn random_runs_reach_all_parts_of_a_session() {
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts(true).strategy());
    let mut reached = [0; 7];
    for _ in 0..200 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let new = || Agent::new(AgentConfig::new());
        let steps = conversation(&new, &script, &laws_config());
        let (_, played) = laws::record(new(), &steps, &laws_config().context);
        for output in played.iter().flat_map(|played| &played.outputs) {
            let Output::Event(event) = output else { continue };
            reached[match event {
                AgentEvent::LocalCandidate { .. } => 0,
                AgentEvent::Resolve { .. } => 1,
                AgentEvent::Role(_) => 2,
                AgentEvent::Restarted(_) => 3,
                AgentEvent::Selected(_) => 4,
                AgentEvent::Failed(_) => 5,
                AgentEvent::Closed => 6,
                AgentEvent::State(_) => continue,
                _ => panic!("a new event: {event:?}"),
            }] += 1;
        }
    }
    assert!(reached.iter().all(|count| *count > 3), "{reached:?}");
}

proptest! {
    #[test]
    fn a_command_survives_its_text(command in any_command()) {
        prop_assert_eq!(AgentCommand::read(&command).unwrap().to_text(), command);
    }
}
