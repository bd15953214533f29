//! Plays scripts of `Server` of TURN with clients over UDP and streams, with valid, wrong and no credentials, and with
//! peers. Checks the laws of machines, that nothing is relayed without a request that names the peer, that the state
//! ends with time, and that no note has a password.

use super::aftermath::Aftermath;
use super::peer::Peer;
use crate::byte_reader::ByteReader;
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_machine::{
    Datagram, Input, Instant, Output, Protocol, SocketEvent, SocketId, SocketOrder, Unreachability,
};
use portolan_sim::laws::{Action, Context, Step};
use portolan_stun::{AddressFamily, Attribute, Class, IntegrityKey, Message, Method, Writer};
use portolan_stun_agent::nonce::{Features, Nonces};
use portolan_stun_agent::{Authenticator, Users};
use portolan_turn::{Indication, PeerPolicy, Server, ServerCommand, ServerConfig, ServerEvent, ServerLimits};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const REALM: &str = "example.org";
const LISTEN: &str = "192.0.2.1:3478";
const CLIENTS: [(&str, &str); 3] =
    [("198.51.100.7:40000", "alice"), ("198.51.100.8:40000", "bob"), ("[2001:db8:7::1]:40000", "alice")];
const PASSWORD: &str = "TheMatrIX";
/// Peers: two permitted ones, one of each other kind of denial, and a relayed address.
const PEERS: [&str; 8] = [
    "203.0.113.9:5000",
    "203.0.113.10:6000",
    "127.0.0.1:80",
    "192.0.2.1:3478",
    "[2001:db8:2::9]:5000",
    "[2002:7f00:1::1]:80",
    "203.0.113.9:0",
    "192.0.2.1:50001",
];
/// The peers that the policy permits, and the relay address.
const PERMITTED: [&str; 4] = ["203.0.113.9", "203.0.113.10", "2001:db8:2::9", "192.0.2.1"];
/// The first sockets that the server orders: its listeners.
const UDP: SocketId = SocketId(1);
const SECRET: [u8; 32] = [7; 32];

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn config(shape: u8) -> ServerConfig {
    let mut users = Users::long_term(REALM);
    users.add("alice", PASSWORD).expect("a user");
    users.add("bob", PASSWORD).expect("a user");
    let credentials = Authenticator::long_term(REALM, &SECRET, users).expect("a realm");
    let mut limits = ServerLimits::default();
    (limits.permissions, limits.channels, limits.connections) = (2, 2, 2);
    (limits.streams, limits.streams_per_source, limits.allocations_per_user) = (3, 2, 3);
    let policy =
        PERMITTED[..3].iter().fold(PeerPolicy::new(), |policy, ip| policy.allow(ip.parse().expect("an address")));
    let mut config = ServerConfig::new(credentials.nonce_lifetime(nonce_lifetime(shape)))
        .listen_udp(address(LISTEN))
        .listen(Protocol::TcpListen, address(LISTEN))
        .relay(address(LISTEN).ip())
        .ports(50_000, 50_005)
        .limits(limits)
        .policy(policy);
    if shape & 1 == 0 {
        config = config.relay("2001:db8:1::1".parse().expect("an address"));
    }
    if shape & 2 == 0 {
        config = config.rate(None);
    }
    config
}

const fn nonce_lifetime(shape: u8) -> Duration {
    Duration::from_secs(if shape & 4 == 0 { 1_000_000 } else { 2 })
}

/// The clients, and the peers and channels that they have requested so far.
struct Clients {
    nonces: Nonces,
    peers: RefCell<BTreeSet<IpAddr>>,
    channels: RefCell<BTreeSet<u16>>,
    next_id: RefCell<u8>,
}

impl Clients {
    /// A message of a client: a request with credentials, mostly valid, or data.
    fn message(&self, at: Instant, client: usize, choice: [u8; 3]) -> Vec<u8> {
        let [kind, detail, fault] = choice;
        let peer = address(PEERS[usize::from(detail & 7)]);
        let number = 0x4000 + u16::from(detail >> 3 & 3) + if detail >= 0xf0 { 0x1000 } else { 0 };
        let to = Attribute::XorPeerAddress(peer);
        let udp = Attribute::RequestedTransport(17);
        let data = [detail; 5];
        let one = |attribute| vec![udp, attribute];
        let (method, attributes) = match kind & 0x1f {
            0..=3 => (Method::ALLOCATE, vec![udp]),
            4 => (Method::ALLOCATE, one(Attribute::EvenPort(detail & 1 == 1))),
            5 => (Method::ALLOCATE, one(Attribute::AdditionalAddressFamily(AddressFamily::Ipv6))),
            6 => (Method::ALLOCATE, one(Attribute::RequestedAddressFamily(AddressFamily::Ipv6))),
            7 => (Method::ALLOCATE, one(Attribute::ReservationToken([detail; 8]))),
            8 => (Method::ALLOCATE, vec![Attribute::RequestedTransport(6)]),
            9 => (Method::REFRESH, vec![Attribute::Lifetime(u32::from(detail) * 20)]),
            10 => (Method::REFRESH, vec![Attribute::Lifetime(0)]),
            11 | 12 => (Method::CREATE_PERMISSION, vec![to]),
            13 => (Method::CREATE_PERMISSION, vec![to, Attribute::XorPeerAddress(address(PEERS[0]))]),
            14..=17 => (Method::CHANNEL_BIND, vec![Attribute::ChannelNumber(number), to]),
            18 => (Method::CONNECT, vec![to]),
            19 => (Method::CONNECTION_BIND, vec![Attribute::ConnectionId(u32::from(detail))]),
            20 => (Method::BINDING, vec![]),
            21..=24 => {
                let mut bytes = number.to_be_bytes().to_vec();
                bytes.extend([0, 5]);
                bytes.extend(data);
                bytes.resize(bytes.len() + usize::from(fault & 3), 0xee);
                return bytes;
            }
            _ => return encode(Class::Indication, Method::SEND, [detail; 12], &[to, Attribute::Data(&data)]),
        };
        for attribute in &attributes {
            if let Attribute::XorPeerAddress(peer) = attribute {
                self.peers.borrow_mut().insert(peer.ip());
            }
            if let Attribute::ChannelNumber(number) = attribute {
                self.channels.borrow_mut().insert(*number);
            }
        }
        self.signed(at, client, (method, &attributes), fault)
    }

    fn signed(&self, at: Instant, client: usize, (method, list): (Method, &[Attribute<'_>]), fault: u8) -> Vec<u8> {
        let id = if fault & 0x30 == 0x30 { 7 } else { self.next_id.replace_with(|id| id.wrapping_add(1)) };
        if fault & 0x0f == 0x0f {
            return encode(Class::Request, method, [id; 12], list);
        }
        let (source, user) = CLIENTS[client];
        let user = if fault & 0x0f == 0x0e { "bob" } else { user };
        let features = Features::PASSWORD_ALGORITHMS.with(Features::USERNAME_ANONYMITY);
        let nonce = self.nonces.issue(at, address(source), features);
        let mut buffer = [0; 600];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, [id; 12].into()).expect("room");
        list.iter().for_each(|attribute| writer.add(attribute).expect("room"));
        writer.add(&Attribute::Username(user.into())).expect("room");
        writer.add(&Attribute::Realm(REALM.into())).expect("room");
        writer.add(&Attribute::Nonce(nonce.as_str().into())).expect("room");
        let key = IntegrityKey::long_term_md5(user, REALM, PASSWORD);
        let mut bytes = writer.message_integrity(&key).expect("room").finish().to_vec();
        if fault & 0x0f == 0x0d {
            let last = bytes.len() - 1 - usize::from(fault >> 4);
            bytes[last] ^= 1;
        }
        bytes
    }

    /// Checks that a datagram of the server is a response, or is for or from a peer that a request named.
    fn check(&self, sent: &portolan_machine::Transmit) {
        let is_named = |ip: IpAddr| {
            let is_permitted = PERMITTED.iter().any(|known| known.parse() == Ok(ip));
            is_permitted && self.peers.borrow().contains(&ip)
        };
        let is_client = CLIENTS.iter().any(|(known, _)| address(known) == sent.remote);
        // The script has requests from other addresses too, which get responses. Accepted streams have ids from 100 on.
        let is_relay = sent.socket.0 > UDP.0 && sent.socket.0 < 100;
        if !is_client && !is_relay {
            return;
        }
        if !is_client {
            assert!(
                is_named(sent.remote.ip()),
                "data for {}, which no client requested or which is denied",
                sent.remote
            );
            assert!(sent.remote.port() != 0 && sent.remote != address(LISTEN), "data for {}", sent.remote);
            return;
        }
        let payload = &sent.payload[..];
        if let [high @ 0x40..=0x4f, low, ..] = payload {
            let number = u16::from_be_bytes([*high, *low]);
            assert!(self.channels.borrow().contains(&number), "data on channel {number:#x}, which no client requested");
        } else if let Some(Indication { peer, .. }) = Indication::decode(payload) {
            assert!(is_named(peer.ip()), "data from {peer}, which no client requested or which is denied");
        }
    }
}

fn encode(class: Class, method: Method, id: [u8; 12], attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut buffer = [0; 300];
    let mut writer = Writer::new(&mut buffer, class, method, id.into()).expect("room");
    attributes.iter().for_each(|attribute| writer.add(attribute).expect("room"));
    writer.finish().to_vec()
}

/// A datagram or a chunk of a client.
fn from_client(at: Instant, socket: SocketId, client: usize, payload: &[u8]) -> Step {
    let datagram = Datagram::new(socket, address(LISTEN), address(CLIENTS[client].0), payload);
    // Accepted streams have ids from 100 on.
    if socket.0 >= 100 {
        Step::new(at, Action::Stream(datagram.into()))
    } else {
        Step::input(at, Input::Datagram(datagram))
    }
}

/// The steps of the clients and peers after an output.
fn answers(clients: &Clients, at: Instant, output: &Output<ServerEvent>, peer: &mut Peer<'_>) -> Vec<Step> {
    let later = at + Duration::from_millis(u64::from(peer.choice()));
    match output {
        Output::Event(ServerEvent::Listening { protocol: Protocol::TcpListen, socket, .. }) => {
            let remote = address(CLIENTS[0].0);
            let accepted = SocketEvent::Accepted { socket: SocketId(100), local: address(LISTEN), remote };
            let first = clients.message(later, 0, [0, 0, 0]);
            vec![
                Step::socket_event(later, *socket, accepted),
                from_client(later + Duration::from_millis(1), SocketId(100), 0, &first),
            ]
        }
        Output::Transmit(sent) => {
            clients.check(sent);
            let client = CLIENTS.iter().position(|(known, _)| address(known) == sent.remote);
            let Some(client) = client else {
                // The peer sends the data back, or its host reports that the port is closed.
                let local = SocketAddr::new(address(LISTEN).ip(), 50_000);
                let step = match peer.choice() & 7 {
                    0 => return Vec::new(),
                    1 => {
                        let event = SocketEvent::Unreachable { remote: sent.remote, why: Unreachability::Port };
                        Step::socket_event(later, sent.socket, event)
                    }
                    2 => Step::datagram(later, sent.socket, local, address(PEERS[1]), &sent.payload),
                    _ => Step::datagram(later, sent.socket, local, sent.remote, &sent.payload),
                };
                return vec![step];
            };
            if !Message::decode(&sent.payload).is_ok_and(|message| message.class().is_response()) {
                return Vec::new();
            }
            let steps = (0..1 + peer.choice() % 3).map(|_| {
                let choice = [peer.choice(), peer.choice(), peer.choice()];
                from_client(later, sent.socket, client, &clients.message(later, client, choice))
            });
            steps.collect()
        }
        Output::Socket(SocketOrder::Open(_)) => peer.answer(at, output),
        Output::Socket(_) | Output::Event(_) | Output::Wait(_) => Vec::new(),
    }
}

/// The script: messages of clients, datagrams of peers, time, and what [`ByteReader::script`] adds.
fn script(reader: &mut ByteReader<'_>, clients: &Clients) -> Vec<Step> {
    let mut steps = vec![Step::command(Instant::ORIGIN, &ServerCommand::Start)];
    let mut now = Instant::from_millis(200);
    for _ in 0..reader.below(12) {
        now += Duration::from_millis(u64::from(reader.byte()) * [1, 20, 1000, 2500][reader.below(4)]);
        let kind = reader.byte();
        let client = usize::from(kind >> 4) % CLIENTS.len();
        let choice = [reader.byte(), reader.byte(), reader.byte()];
        steps.push(match kind & 7 {
            0 => Step::timeout(now),
            1 => {
                let relay = SocketId(3 + u64::from(choice[0] & 7));
                let from = address(PEERS[usize::from(choice[1] & 7)]);
                Step::datagram(now, relay, SocketAddr::new(address(LISTEN).ip(), 50_000), from, &choice)
            }
            2 => from_client(now, SocketId(100), 0, &clients.message(now, 0, choice)),
            _ => from_client(now, UDP, client, &clients.message(now, client, choice)),
        });
    }
    let command = |reader: &mut ByteReader<'_>| {
        let commands = [ServerCommand::Start, ServerCommand::Drain, ServerCommand::Drain, ServerCommand::Stop];
        commands[reader.below(4)].to_string()
    };
    let more = reader.script(8, 10, command);
    steps.extend(more.into_iter().map(|step| Step { at: now.max(step.at), ..step }));
    steps
}

/// Plays the script of the bytes. Returns whether an allocation was made.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    let config = config(shape);
    let terminal = |event: &ServerEvent| *event == ServerEvent::Stopped;
    let context = Context { seed: u64::from(shape), terminal, ..Context::default() };
    let server = || Server::new(&config).expect("a configuration");
    let factory = || Flawed::new(server(), Flaw::RepeatsTransmit);
    let clients = Clients {
        nonces: Nonces::new(&SECRET, nonce_lifetime(shape)),
        peers: RefCell::default(),
        channels: RefCell::default(),
        next_id: RefCell::default(),
    };
    let script = script(&mut reader, &clients);
    let mut peer = Peer::new(bytes);
    let mut is_allocated = false;
    let whole = play(bytes, &factory, &script, &context, 60, |at, output| {
        is_allocated |= matches!(output, Output::Event(ServerEvent::Allocated { .. }));
        answers(&clients, at, output, &mut peer)
    });
    check_end(server(), &whole);
    is_allocated
}

/// Checks the state during and after the run: it is bounded, and it ends with time.
fn check_end(server: Server, whole: &[Step]) {
    let Some(mut after) = Aftermath::of(server, whole) else { return };
    for allocation in after.machine.allocations() {
        assert!(allocation.permissions <= 2 * 2 && allocation.channels <= 2, "{allocation:?}");
    }
    assert!(after.machine.allocations().count() <= 6, "more allocations than ports");
    // The largest lifetime, the hold of a channel, and the idle time of a stream.
    after.pass_time(after.now + Duration::from_secs(3600 + 900 + 120));
    assert_eq!((after.machine.allocations().count(), after.machine.streams()), (0, 0), "left after an hour");
    assert!(!after.waits(), "a deadline is left after an hour");
    let allocated = after.events.iter().filter(|event| matches!(event, ServerEvent::Allocated { .. })).count();
    let freed = after.events.iter().filter(|event| matches!(event, ServerEvent::Freed { .. })).count();
    assert_eq!(allocated, freed, "each allocation is freed once");
    let texts = format!("{} {:?} {:?}", after.notes, after.machine, after.events);
    assert!(!texts.contains(PASSWORD), "a password in a note");
}
