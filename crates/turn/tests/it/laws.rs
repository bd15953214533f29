//! The laws of every machine, under random steps between clients with credentials and their peers.

use crate::world::{Client, LISTENER, OTHER_PEER, PEER, SERVER, addr, channel_data, config, indication};
use core::time::Duration;
use portolan_machine::{Instant, Output, Protocol, SocketId, Transmit};
use portolan_sim::laws::{self, Footprint, StateLimit};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_stun::{AddressFamily, Attribute, Class, Message, Method};
use portolan_stun_agent::nonce::{Features, Nonces};
use portolan_turn::{Bandwidth, Server, ServerCommand, ServerConfig, ServerEvent, ServerLimits, ServerSocket};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const CLIENTS: [(&str, &str); 2] = [("192.0.2.77:40000", "alice"), ("192.0.2.78:40000", "bob")];

/// A configuration with a few ports and without the table of rates, so that the text of the state is short.
fn small() -> ServerConfig {
    let mut limits = ServerLimits::default();
    (limits.permissions, limits.channels) = (3, 3);
    (limits.streams, limits.streams_per_source, limits.connections) = (6, 4, 2);
    limits.bandwidth = Some(Bandwidth::per_second(core::num::NonZeroU32::new(1000).unwrap()));
    config().ports(50_000, 50_007).rate(None).limits(limits)
}

fn over() -> Server {
    Server::over(&small(), &[ServerSocket::new(LISTENER, Protocol::Udp, addr(SERVER))]).unwrap()
}

fn own_sockets() -> Server {
    Server::new(&small().listen_udp(addr(SERVER)).listen(Protocol::TcpListen, addr(SERVER))).unwrap()
}

/// A client with a nonce that the server would give it.
fn client((address, user): (&str, &str)) -> Client {
    let features = Features::PASSWORD_ALGORITHMS.with(Features::USERNAME_ANONYMITY);
    let nonces = Nonces::new(&[7; 32], Duration::from_secs(1_000_000_000));
    let nonce = nonces.issue(Instant::ORIGIN, addr(address), features);
    Client {
        address: addr(address),
        user: user.into(),
        password: format!("secret of {user}"),
        nonce: nonce.as_str().into(),
        next_id: 0,
        relayed: addr("0.0.0.0:0"),
    }
}

/// Messages of a client: requests with valid credentials, data, and a request without credentials.
fn messages(client: &Client) -> Vec<Vec<u8>> {
    let udp = Attribute::RequestedTransport(17);
    let peer = |text: &str| Attribute::XorPeerAddress(addr(text));
    let requests: &[(Method, &[Attribute<'_>])] = &[
        (Method::ALLOCATE, &[udp]),
        (Method::ALLOCATE, &[udp, Attribute::EvenPort(true)]),
        (Method::ALLOCATE, &[udp, Attribute::AdditionalAddressFamily(AddressFamily::Ipv6)]),
        (Method::REFRESH, &[Attribute::Lifetime(1000)]),
        (Method::REFRESH, &[Attribute::Lifetime(0)]),
        (Method::REFRESH, &[Attribute::Lifetime(0), Attribute::RequestedAddressFamily(AddressFamily::Ipv6)]),
        (Method::CREATE_PERMISSION, &[peer(PEER)]),
        (Method::CREATE_PERMISSION, &[peer(PEER), peer(OTHER_PEER), peer("203.0.113.11:1")]),
        (Method::CREATE_PERMISSION, &[peer("127.0.0.1:1")]),
        (Method::CHANNEL_BIND, &[Attribute::ChannelNumber(0x4000), peer(PEER)]),
        (Method::CHANNEL_BIND, &[Attribute::ChannelNumber(0x4001), peer(OTHER_PEER)]),
        (Method::CHANNEL_BIND, &[Attribute::ChannelNumber(0x4000), peer(OTHER_PEER)]),
        (Method::CONNECT, &[peer(PEER)]),
    ];
    let signed = requests.iter().enumerate().map(|(n, (method, attributes))| {
        let id = [u8::try_from(n).unwrap(); 12];
        client.signed(*method, id.into(), attributes)
    });
    let unsigned = [
        crate::world::unsigned(Method::ALLOCATE, [99; 12].into(), &[udp]),
        crate::world::unsigned(Method::BINDING, [99; 12].into(), &[]),
        channel_data(0x4000, b"channel data"),
        channel_data(0x4001, &[1; 700]),
        indication([98; 12].into(), &[peer(PEER), Attribute::Data(b"a Send indication")]),
        indication([98; 12].into(), &[peer("203.0.113.11:7"), Attribute::Data(b"")]),
        b"\x40\x00\xff".to_vec(),
        b"something else".to_vec(),
    ];
    let tcp: [(Method, &[Attribute<'_>]); 4] = [
        (Method::ALLOCATE, &[Attribute::RequestedTransport(6)]),
        (Method::CONNECT, &[peer(PEER)]),
        (Method::CONNECT, &[peer(OTHER_PEER)]),
        (Method::CONNECTION_BIND, &[Attribute::ConnectionId(7)]),
    ];
    let tcp = tcp.map(|(method, attributes)| client.signed(method, [97; 12].into(), attributes));
    signed.chain(unsigned).chain(tcp).collect()
}

/// The places of some messages in [`messages`].
const BIND: usize = 9;
const CHANNEL_DATA: usize = 15;
const SEND: usize = 17;

/// Clients that go on after each response, and peers that send each datagram back.
fn answers(choices: &mut Choices, sent: &Transmit) -> Vec<(core::net::SocketAddr, Vec<u8>)> {
    let Some(known) = CLIENTS.into_iter().find(|(address, _)| addr(address) == sent.remote) else {
        return vec![(sent.remote, sent.payload.to_vec()); 2];
    };
    let is_response = Message::decode(&sent.payload).is_ok_and(|message| message.class().is_response());
    if !is_response {
        return vec![];
    }
    let messages = messages(&client(known));
    let count = u64::try_from(messages.len()).unwrap();
    let any = (0..2).map(|_| usize::try_from(choices.below(count)).unwrap());
    let chosen = [BIND, CHANNEL_DATA, CHANNEL_DATA, SEND].into_iter().chain(any.collect::<Vec<_>>());
    chosen.map(|n| (sent.remote, messages[n].clone())).collect()
}

fn scripts(sockets: core::ops::RangeInclusive<u64>) -> Scripts {
    let payloads: Vec<_> = CLIENTS.into_iter().flat_map(|known| messages(&client(known))).collect();
    let sockets: Vec<_> = sockets.map(SocketId).collect();
    Scripts::new(prop::sample::select(payloads))
        .sockets(&sockets)
        .locals(&[addr(SERVER)])
        .remotes(&[addr(CLIENTS[0].0), addr(CLIENTS[1].0), addr(PEER), addr(OTHER_PEER)])
        .commands(prop_oneof![20 => Just("start"), 2 => Just("drain"), 1 => Just("stop")])
}

fn laws_config(cases: u32) -> LawsConfig<Server> {
    let mut config = LawsConfig { cases, longest: 200, peer: host(addr(SERVER), answers), ..LawsConfig::default() };
    config.context.terminal = |event| matches!(event, ServerEvent::Stopped);
    config.context.state = Some(|server| format!("{server:?}"));
    // A new server has about 4 KB of text. Eight relay ports are eight allocations at most; each has at most three
    // permissions and three channels.
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 40_000, tables: 600 }));
    config
}

#[test]
fn a_server_on_sockets_of_its_owner_keeps_the_laws() {
    let mut config = laws_config(96);
    config.context.handed_in = &[LISTENER];
    assert_laws(&over, &scripts(1..=5), &config);
}

#[test]
fn a_server_of_streams_keeps_the_laws() {
    let over_streams =
        || Server::over(&small(), &[ServerSocket::new(LISTENER, Protocol::TcpListen, addr(SERVER))]).unwrap();
    let mut config = laws_config(96);
    config.context.handed_in = &[LISTENER];
    assert_laws(&over_streams, &scripts(1..=6), &config);
}

#[test]
fn a_server_with_its_own_sockets_keeps_the_laws() {
    assert_laws(&own_sockets, &scripts(1..=6).beginning_with(&ServerCommand::Start), &laws_config(96));
}

/// Runs reach relayed data, so that the laws are about more than errors.
#[test]
fn random_runs_reach_allocations_that_relay_in_both_directions() {
    let mut config = laws_config(1);
    config.context.handed_in = &[LISTENER];
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts(1..=5).strategy());
    let (mut to_peers, mut to_clients, mut events) = (0, 0, 0);
    for _ in 0..100 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let steps = conversation(&over, &script, &config);
        let (_, played) = laws::record(over(), &steps, &config.context);
        let outputs = || played.iter().flat_map(|played| &played.outputs);
        let sent =
            || outputs().filter_map(|output| if let Output::Transmit(sent) = output { Some(sent) } else { None });
        to_peers += sent().filter(|sent| sent.socket != LISTENER).count();
        let is_data = |sent: &&Transmit| matches!(sent.payload[..], [0x40..=0x4f, ..] | [0x00, 0x17, ..]);
        to_clients += sent().filter(|sent| sent.socket == LISTENER).filter(is_data).count();
        events += outputs().filter(|output| matches!(output, Output::Event(_))).count();
    }
    assert!(to_peers > 200 && to_clients > 100 && events > 40, "{to_peers}, {to_clients}, {events} events");
}

#[test]
fn the_table_of_rates_is_all_that_a_flood_without_credentials_leaves() {
    let server = || {
        Server::over(&config().ports(50_000, 50_007), &[ServerSocket::new(LISTENER, Protocol::Udp, addr(SERVER))])
            .unwrap()
    };
    let mut config = laws_config(4);
    config.context.handed_in = &[LISTENER];
    config.context.state = None;
    // The table has 2 × 4,096 numbers of at most 20 digits.
    let table = 2 * 4096 * 22;
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 40_000 + table, tables: 600 + table }));
    assert_laws(&server, &scripts(1..=5), &config);
}

#[test]
fn a_response_never_elicits_a_reply() {
    let mut world = crate::world::World::new(&config());
    for class in [Class::SuccessResponse, Class::ErrorResponse, Class::Indication] {
        for number in 0..=0xfff {
            let method = Method::new(number).unwrap();
            let bytes = crate::world::message(class, method, [1; 12].into(), &[]);
            assert!(world.client(addr("192.0.2.77:40000"), &bytes).is_empty(), "{class} {method}");
        }
    }
}
