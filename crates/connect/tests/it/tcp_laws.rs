//! The laws of every machine for a connection with TCP candidates (RFC 6544): streams that open, are refused, break, and
//! carry garbage and partial frames, and a listener with many strangers.

use crate::connection_laws::{LOCAL, PASSWORD, answers, any_command, any_payload, config, interfaces, peer_answer};
use crate::lab::addr;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_connect::{ConnectCommand, ConnectConfig, ConnectEvent, Connection};
use portolan_ice::{AgentCommand, AgentConfig, Credentials, Policy, RemoteDescription};
use portolan_machine::{
    Closure, Cx, Entropy, Instant, Open, Output, Protocol, Refusal, Script, SocketEvent, SocketId, SocketIds,
    SocketOrder, Transmit,
};
use portolan_sim::laws::{self, Footprint, StateLimit, Step};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Choices, Peer, Scripts, host};
use portolan_stun::attribute::Text;
use portolan_stun::framing::{next_packet, packet_head};
use portolan_stun::{Attribute, Class, IntegrityKey, Method, Writer};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// The local address of the streams that the connection opens, and that of its listener.
const STREAM: &str = "10.0.0.7:50000";
const LISTENER: &str = "10.0.0.7:40001";
/// The addresses of the peer's passive candidates. Other streams come from the network 203.0.113.128/25.
const PEERS: [&str; 3] = ["203.0.113.20:7000", "203.0.113.21:7001", "203.0.113.22:7002"];

const CANDIDATES: [&str; 5] = [
    "1 1 UDP 2130706431 203.0.113.9 5000 typ host",
    "2 1 TCP 1518280447 203.0.113.20 7000 typ host tcptype passive",
    "3 1 TCP 1518280446 203.0.113.21 7001 typ host tcptype passive",
    "4 1 TCP 1518280445 203.0.113.22 7002 typ host tcptype passive",
    "5 1 TCP 1518214911 203.0.113.130 9 typ host tcptype active",
];

fn is_stream(remote: SocketAddr) -> bool {
    PEERS.iter().any(|peer| addr(peer) == remote)
        || matches!(remote, SocketAddr::V4(v4) if v4.ip().octets() > [203, 0, 113, 127])
}

fn later(choices: &mut Choices, now: Instant) -> Instant {
    now + Duration::from_millis(choices.below(400))
}

fn framed(packet: &[u8]) -> Vec<u8> {
    [&packet_head(packet.len()).unwrap()[..], packet].concat()
}

/// The RNG of the laws with the seed 0.
struct Seed(Choices);

impl Entropy for Seed {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            // `below` scales a number of 64 bits, and rounds down.
            let number = (self.0.below(u64::MAX) + 1).to_le_bytes();
            chunk.iter_mut().zip(number).for_each(|(byte, random)| *byte = random);
        }
    }
}

/// The first credentials of a connection in a run of the laws.
fn credentials(new: &impl Fn() -> Connection, controlling: bool) -> Credentials {
    let (mut rng, mut ids) = (Seed(Choices::new(0)), SocketIds::new());
    let mut connection = new();
    connection.start(&mut Cx::new(Instant::ORIGIN, &mut rng, &mut ids), controlling).unwrap();
    connection.agent().credentials().unwrap().clone()
}

/// A check of the peer: mostly a valid one, sometimes with another password.
fn check(choices: &mut Choices, own: &Credentials, controlling: bool) -> Vec<u8> {
    let password = if choices.below(8) == 0 { PASSWORD } else { own.password() };
    let id = [choices.below(256) as u8; 12];
    let mut buffer = [0; 400];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id.into()).unwrap();
    writer.add(&Attribute::Username(Text::new(&format!("{}:peer", own.ufrag())))).unwrap();
    writer.add(&Attribute::Priority(1_510_000_000)).unwrap();
    let role = if controlling { Attribute::IceControlled(7) } else { Attribute::IceControlling(7) };
    writer.add(&role).unwrap();
    if !controlling && choices.below(2) == 0 {
        writer.add(&Attribute::UseCandidate).unwrap();
    }
    writer.message_integrity(&IntegrityKey::short_term(password)).unwrap().fingerprint().unwrap().finish().to_vec()
}

/// Bytes that are no frames of an agent, or the begin of one.
fn garbage(choices: &mut Choices) -> Vec<u8> {
    match choices.below(5) {
        0 => b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        1 => framed(b"hello"),
        2 => vec![0],
        3 => vec![0xff; 300],
        _ => framed(&[]),
    }
}

/// The bytes of a stream in one to three chunks.
fn chunks(choices: &mut Choices, at: Instant, (socket, local, remote): Ends, bytes: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut at, mut rest) = (at, bytes);
    for _ in 0..choices.below(3) {
        let (chunk, after) = rest.split_at(usize::try_from(choices.below(rest.len() as u64)).unwrap());
        if !chunk.is_empty() {
            steps.push(Step::stream(at, socket, local, remote, chunk));
        }
        rest = after;
        at += Duration::from_millis(choices.below(30));
    }
    steps.push(Step::stream(at, socket, local, remote, rest));
    steps
}

type Ends = (SocketId, SocketAddr, SocketAddr);

/// What the peer does with a stream that the connection opens.
fn opens(choices: &mut Choices, now: Instant, open: &Open) -> Vec<Step> {
    let at = later(choices, now);
    let local = addr(STREAM);
    let event = match choices.below(10) {
        0 => SocketEvent::Refused(Refusal::ConnectionRefused),
        1 => return vec![],
        _ => SocketEvent::Opened { local },
    };
    let mut steps = vec![Step::socket_event(at, open.id, event)];
    if choices.below(6) == 0
        && let Some(remote) = open.remote
    {
        let bytes = garbage(choices);
        steps.extend(chunks(choices, at, (open.id, local, remote), &bytes));
    }
    steps.extend(breaks(choices, at, open.id));
    steps
}

/// Sometimes the stream is full or ends.
fn breaks(choices: &mut Choices, at: Instant, id: SocketId) -> Vec<Step> {
    let mut steps = Vec::new();
    if choices.below(8) == 0 {
        steps.push(Step::socket_event(later(choices, at), id, SocketEvent::Full));
        steps.push(Step::socket_event(later(choices, at), id, SocketEvent::Writable));
    }
    if choices.below(8) == 0 {
        let why = if choices.below(2) == 0 { Closure::Reset } else { Closure::ByPeer };
        steps.push(Step::socket_event(later(choices, at + Duration::from_millis(300)), id, SocketEvent::Closed(why)));
    }
    steps
}

/// The streams that a listener accepts: of the peer, and of strangers.
fn listens(choices: &mut Choices, now: Instant, open: &Open, own: &Credentials, controlling: bool) -> Vec<Step> {
    let at = later(choices, now);
    let local = addr(LISTENER);
    if choices.below(12) == 0 {
        return vec![Step::socket_event(at, open.id, SocketEvent::Refused(Refusal::AddressInUse))];
    }
    let mut steps = vec![Step::socket_event(at, open.id, SocketEvent::Opened { local })];
    let count = [0, 1, 2, 4, 40][usize::try_from(choices.below(5)).unwrap()];
    for nth in 0..count {
        let socket = SocketId(1_000_000 + open.id.0 * 64 + nth);
        let remote = SocketAddr::from(([203, 0, 113, 128 + (nth % 4) as u8], 6_000 + nth as u16));
        let at = later(choices, at);
        steps.push(Step::socket_event(at, open.id, SocketEvent::Accepted { socket, local, remote }));
        let bytes = match choices.below(5) {
            0 => garbage(choices),
            _ => framed(&check(choices, own, controlling)),
        };
        steps.extend(chunks(choices, at, (socket, local, remote), &bytes));
        steps.extend(breaks(choices, at, socket));
    }
    if choices.below(8) == 0 {
        let at = later(choices, at + Duration::from_millis(300));
        steps.push(Step::socket_event(at, open.id, SocketEvent::Closed(Closure::Unspecified)));
    }
    steps
}

/// The answers of the peer to a packet on a stream, with data and garbage between them.
fn reads(choices: &mut Choices, now: Instant, sent: &Transmit) -> Vec<Step> {
    let Some(packet) = next_packet(&sent.payload) else { return vec![] };
    let at = later(choices, now);
    let mut bytes = Vec::new();
    if choices.below(8) == 0 {
        bytes.extend(framed(b"\x80data"));
    }
    if let Some(answer) = peer_answer(choices, packet.bytes, addr(STREAM)) {
        bytes.extend(framed(&answer));
    }
    match choices.below(12) {
        0 => bytes.extend(garbage(choices)),
        1 => bytes.extend(framed(b"\x80data").repeat(20)),
        _ => {}
    }
    if bytes.is_empty() {
        return vec![];
    }
    let local = addr(if PEERS.iter().any(|peer| addr(peer) == sent.remote) { STREAM } else { LISTENER });
    let mut steps = chunks(choices, at, (sent.socket, local, sent.remote), &bytes);
    steps.extend(breaks(choices, at, sent.socket));
    steps
}

fn peer(own: Credentials, controlling: bool) -> Peer<ConnectEvent> {
    let udp = host(addr(LOCAL), answers);
    Arc::new(move |choices: &mut Choices, now: Instant, output: &Output<ConnectEvent>| match output {
        Output::Socket(SocketOrder::Open(open)) if open.protocol == Protocol::Tcp => opens(choices, now, open),
        Output::Socket(SocketOrder::Open(open)) if open.protocol == Protocol::TcpListen => {
            listens(choices, now, open, &own, controlling)
        }
        Output::Transmit(sent) if is_stream(sent.remote) => reads(choices, now, sent),
        output => udp(choices, now, output),
    })
}

fn set_remote(ufrag: &str) -> String {
    let candidates = CANDIDATES.iter().map(|candidate| candidate.parse().unwrap()).collect();
    let credentials = Credentials::new(ufrag, PASSWORD).unwrap();
    let description = Box::new(RemoteDescription::new(credentials).with_candidates(candidates).ended());
    ConnectCommand::Peer(Box::new(AgentCommand::SetRemote { stream: 0, description })).to_text()
}

fn any_tcp_command() -> impl Strategy<Value = String> {
    let remote = |text: &str| {
        let candidate = Box::new(text.parse().unwrap());
        ConnectCommand::Peer(Box::new(AgentCommand::AddRemote { stream: 0, candidate })).to_text()
    };
    let options = [
        set_remote("next"),
        remote("6 1 TCP 1518280444 203.0.113.23 7000 typ host tcptype passive"),
        remote("7 1 TCP 1518280443 203.0.113.24 7000 typ host tcptype so"),
    ];
    prop_oneof![3 => any_command(), 1 => proptest::sample::select(options.to_vec())]
}

fn scripts(controlling: bool) -> Scripts {
    let payload = prop_oneof![1 => any_payload(), 2 => any_payload().prop_map(|payload| framed(&payload))];
    let remotes: Vec<SocketAddr> =
        PEERS.iter().chain(&["203.0.113.9:5000", "203.0.113.130:6000"]).map(|text| addr(text)).collect();
    Scripts::new(payload)
        .sockets(&[1, 2, 3, 4, 5, 6, 7, 8].map(SocketId))
        .remotes(&remotes)
        .locals(&[addr(LOCAL)])
        .beginning_with(&ConnectCommand::Start { controlling }.to_text())
        .beginning_with(&interfaces(&["10.0.0.7"]).to_text())
        .beginning_with(&set_remote("peer"))
        .commands(any_tcp_command())
        .length(0..=32)
}

fn laws_config(new: &impl Fn() -> Connection, controlling: bool) -> LawsConfig<Connection> {
    let peer = peer(credentials(new, controlling), controlling);
    let mut config = LawsConfig { cases: 24, longest: 160, peer, ..LawsConfig::default() };
    config.context.terminal = |event| matches!(event, ConnectEvent::Closed);
    config.context.state = Some(|connection| format!("{connection:?}"));
    // Beside the tables of the gatherer, up to 32 streams that have ended are remembered.
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 1_000_000, tables: 70_000 }));
    config
}

fn assert_tcp_laws(config: &ConnectConfig) {
    let new = || Connection::new(config.clone()).unwrap();
    for controlling in [true, false] {
        assert_laws(&new, &scripts(controlling), &laws_config(&new, controlling));
    }
}

/// TCP alone has fewer other sockets, so that more steps are about streams.
fn tcp_alone(policy: Policy) -> ConnectConfig {
    ConnectConfig::new().agent(AgentConfig::new().policy(policy)).tcp()
}

#[test]
fn a_connection_with_tcp_candidates_keeps_the_laws() {
    assert_tcp_laws(&tcp_alone(Policy::Textbook));
}

#[test]
fn a_browserlike_connection_with_tcp_candidates_keeps_the_laws() {
    assert_tcp_laws(&tcp_alone(Policy::Browserlike));
}

#[test]
fn a_connection_with_tcp_candidates_and_servers_keeps_the_laws() {
    assert_tcp_laws(&config(Policy::Textbook).tcp());
}

#[test]
fn random_runs_reach_all_parts_of_the_life_of_a_stream() {
    let mut reached = [0; 6];
    for controlling in [true, false] {
        let new = || Connection::new(tcp_alone(Policy::Textbook)).unwrap();
        let config = laws_config(&new, controlling);
        let (mut runner, strategy) = (TestRunner::deterministic(), scripts(controlling).strategy());
        for _ in 0..100 {
            let script = strategy.new_tree(&mut runner).unwrap().current();
            let steps = conversation(&new, &script, &config);
            let (_, played) = laws::record(new(), &steps, &config.context);
            for output in played.iter().flat_map(|played| &played.outputs) {
                reached[match output {
                    Output::Socket(SocketOrder::Open(open)) if open.protocol == Protocol::Tcp => 0,
                    Output::Socket(SocketOrder::Close(_)) => 1,
                    Output::Transmit(sent) if PEERS.iter().any(|peer| addr(peer) == sent.remote) => 2,
                    Output::Transmit(sent) if is_stream(sent.remote) => 3,
                    Output::Event(ConnectEvent::Selected(selection)) if is_stream(selection.path.remote) => 4,
                    Output::Event(ConnectEvent::Data { .. }) => 5,
                    _ => continue,
                }] += 1;
            }
        }
    }
    assert!(reached.iter().all(|count| *count > 10), "{reached:?}");
}
