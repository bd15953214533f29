//! The laws of every machine, under random steps in the middle of the life of a client.

use crate::client::world::{PEER, Reply, SERVER, addr, answer, config, data_indication};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Output, Protocol, Script, SocketEvent, SocketId, SocketOrder};
use portolan_sim::laws::{self, Action, Footprint, OwnedDatagram, StateLimit, Step};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_strategies::messages;
use portolan_stun_agent::Credential;
use portolan_turn::{Client, ClientCommand, ClientConfig, ClientEvent};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

const CLIENT: &str = "198.51.100.7:40000";
const OTHER: &str = "192.0.2.2:3478";

/// What a server decides: mostly success, sometimes each error code, sometimes nothing.
fn decision(choices: &mut Choices) -> Reply {
    const CODES: [u16; 12] = [300, 400, 403, 420, 437, 437, 440, 441, 442, 443, 486, 508];
    match choices.below(12) {
        0 | 1 => Reply::Error(CODES[usize::try_from(choices.below(12)).unwrap()]),
        2 => Reply::Silence,
        _ => Reply::Success,
    }
}

/// The answers of a server to one message: a response, or data of the peer.
fn server_answers(choices: &mut Choices, payload: &[u8]) -> Vec<Vec<u8>> {
    let mapped = ([198, 51, 100, 7], 40_000 + u16::try_from(choices.below(8) / 7).unwrap());
    let reply = decision(choices);
    let nonce = if choices.below(16) == 0 { "another nonce" } else { "nonce" };
    let mut answers: Vec<_> = answer(payload, ("secret", nonce), mapped.into(), |_| reply).into_iter().collect();
    match choices.below(8) {
        0 => answers.push([&[0x40, 0, 0, 5][..], b"hello", &[0, 0, 0]].concat()),
        1 => answers.push(data_indication(addr(PEER), b"data")),
        _ => {}
    }
    answers
}

fn start(config: &ClientConfig) -> String {
    ClientCommand::Start(config.clone()).to_text()
}

fn any_command() -> impl Strategy<Value = String> {
    let credential = |name: &str, password| ClientCommand::SetCredential {
        credential: Credential::long_term(name, password),
        expires: Some(Duration::from_secs(100)),
    };
    let peer =
        prop_oneof![Just(PEER), Just("203.0.113.10:1"), Just("[2001:db8::9]:9"), Just("0.0.0.0:1")].prop_map(addr);
    prop_oneof![
        3 => peer.clone().prop_map(|peer| ClientCommand::AddPermission { peer: peer.ip() }),
        3 => peer.clone().prop_map(|peer| ClientCommand::AddChannel { peer }),
        1 => peer.clone().prop_map(|peer| ClientCommand::RemovePermission { peer: peer.ip() }),
        4 => (peer, 0..2000_usize).prop_map(|(peer, length)| ClientCommand::Send { peer, data: vec![7; length].into() }),
        1 => Just(credential("ann", "secret")),
        1 => Just(credential("ann", "wrong")),
        1 => Just(ClientCommand::Close),
        1 => Just(ClientCommand::Start(config())),
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
        .sockets(&[1, 2, 3].map(SocketId))
        .remotes(&[addr(SERVER), addr(OTHER)])
        .locals(&[addr(CLIENT)])
        .beginning_with(&start(config))
        .beginning_with(&ClientCommand::AddChannel { peer: addr(PEER) }.to_text())
        .commands(any_command())
}

fn laws_config() -> LawsConfig<Client> {
    let peer = host(addr(CLIENT), |choices, sent| {
        server_answers(choices, &sent.payload).into_iter().map(|bytes| (sent.remote, bytes)).collect()
    });
    let mut config = LawsConfig { cases: 96, longest: 160, peer, ..LawsConfig::default() };
    config.context.terminal = ClientEvent::is_terminal;
    config.context.state = Some(|client| format!("{client:?}"));
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 120_000, tables: 100 }));
    config
}

/// A host whose sockets are streams: the answers arrive in two chunks.
fn stream_config() -> LawsConfig<Client> {
    let peer = |choices: &mut Choices, now, output: &Output<ClientEvent>| match output {
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
    let mut config = LawsConfig { cases: 48, peer: Arc::new(peer), ..laws_config() };
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 120_000 + 5 * 65_600, tables: 100 }));
    config
}

#[test]
fn a_client_keeps_the_laws() {
    let config = config().or_server(addr(OTHER)).dont_fragment().even_port(true).expires(Duration::from_secs(60));
    assert_laws(&Client::new, &scripts(&config), &laws_config());
}

#[test]
fn a_client_over_streams_keeps_the_laws() {
    for protocol in [Protocol::Tcp, Protocol::Tls] {
        let config = config().protocol(protocol).or_server(addr(OTHER)).server_name("turn.example.org".into());
        assert_laws(&Client::new, &scripts(&config), &stream_config());
    }
}

/// The number of events of each kind in random runs.
fn reached(config: &ClientConfig, laws_config: &LawsConfig<Client>) -> [usize; 8] {
    let scripts = scripts(config);
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
    let mut reached = [0; 8];
    for _ in 0..200 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let steps = conversation(&Client::new, &script, laws_config);
        let (_, played) = laws::record(Client::new(), &steps, &laws_config.context);
        for output in played.iter().flat_map(|played| &played.outputs) {
            let Output::Event(event) = output else { continue };
            let kind = match event {
                ClientEvent::Allocated { .. } => 0,
                ClientEvent::ChannelAdded { .. } => 1,
                ClientEvent::PermissionAdded { .. } => 2,
                ClientEvent::Data { .. } => 3,
                ClientEvent::Lost { .. } => 4,
                ClientEvent::Replaced { .. } => 5,
                ClientEvent::Closed => 6,
                ClientEvent::Failed { .. } => 7,
                _ => continue,
            };
            reached[kind] += 1;
        }
    }
    reached
}

#[test]
fn random_runs_reach_all_parts_of_the_life_of_a_client() {
    let udp = reached(&config().or_server(addr(OTHER)), &laws_config());
    assert!(udp.iter().all(|count| *count > 5), "{udp:?}");
    let tcp = reached(&config().protocol(Protocol::Tcp), &stream_config());
    assert!(tcp.iter().all(|count| *count > 5), "{tcp:?}");
}

proptest! {
    #[test]
    fn a_command_survives_its_text(command in any_command()) {
        prop_assert_eq!(ClientCommand::read(&command).unwrap().to_text(), command);
    }

    #[test]
    fn a_configuration_survives_its_text(
        lifetime in proptest::option::of(0..100_000_u64),
        family in 0..4_u8,
        flags in any::<[bool; 5]>(),
        times in any::<[u32; 4]>(),
    ) {
        let [even, reserve, token, fragment, named] = flags;
        let nanos = |n: usize| Duration::from_nanos(u64::from(times[n]) * 1_000);
        let mut config = config().timeout(nanos(0)).close_timeout(nanos(1)).overlap(nanos(2)).keepalive(nanos(3));
        if let Some(seconds) = lifetime {
            config = config.lifetime(Duration::from_secs(seconds)).expires(nanos(0));
        }
        config = match family {
            0 => config,
            1 => config.family(portolan_stun::AddressFamily::Ipv4),
            2 => config.family(portolan_stun::AddressFamily::Ipv6),
            _ => config.dual(),
        };
        if even { config = config.even_port(reserve) }
        if token { config = config.reservation_token([9; 8]) }
        if fragment { config = config.dont_fragment() }
        if named {
            let local: SocketAddr = "10.0.0.7:0".parse().unwrap();
            config = config.server_name("turn.example".into()).protocol(Protocol::Tls).from_local(local);
        }
        prop_assert_eq!(ClientConfig::read(&config.to_text()), Ok(config));
    }
}
