//! Plays scripts of the rendezvous: its `Server` with clients that have valid, wrong and no credentials, or its `Client`
//! with a real server behind a network that changes, repeats and loses datagrams. Checks the laws of machines, that no
//! response is longer than its request, that each introduction has the addresses of a registered peer, that the state
//! ends with time, and that no note has a secret.

use super::aftermath::Aftermath;
use super::peer::Peer;
use crate::byte_reader::ByteReader;
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_machine::{
    Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketEvent, SocketId, SocketIds, Transmit, Unreachability,
};
use portolan_punch::rendezvous::{
    Client, ClientCommand, ClientConfig, ClientEvent, METHOD, Server, ServerConfig, ServerLimits, room_password,
};
use portolan_sim::laws::{Action, Context, Step};
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, PasswordAlgorithm, Writer};
use portolan_stun_agent::nonce::{Features, Nonces};
use std::net::SocketAddr;
use std::time::Duration;

const SERVER: &str = "192.0.2.1:3478";
const CLIENTS: [&str; 3] = ["198.51.100.7:40000", "198.51.100.8:40000", "[2001:db8:7::1]:40000"];
const ROOMS: [&str; 2] = ["attic", "cellar"];
const SECRET: &[u8] = b"TheMatrIX";
const NONCES: [u8; 32] = [7; 32];
const SOCKET: SocketId = SocketId(1);
const CARD: AttributeType = AttributeType::new(0xc0f0);
const PEER_ID: AttributeType = AttributeType::new(0xc0f1);
const INTRODUCTION: AttributeType = AttributeType::new(0xc0f2);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn server() -> Server {
    let mut limits = ServerLimits::default();
    (limits.registrations, limits.registrations_per_source) = (4, 2);
    let config = ServerConfig::new(&NONCES).secret(SECRET).secret(b"another").rate(None).limits(limits);
    Server::over(&config, &[SOCKET]).expect("a configuration")
}

/// A request of a client, mostly valid.
fn request(at: Instant, client: usize, [kind, detail, fault]: [u8; 3]) -> Vec<u8> {
    let mut buffer = [0; 2400];
    let id = if fault & 0x30 == 0x30 { [7; 12] } else { [kind ^ detail.rotate_left(3); 12] };
    let room = ROOMS[usize::from(kind & 1)];
    let mut writer = Writer::new(&mut buffer, Class::Request, METHOD, id.into()).expect("room");
    let length = if kind & 0xe0 == 0xe0 { 15 } else { 16 };
    let name = [detail & 3; 16];
    writer.add(&Attribute::Unknown { kind: PEER_ID, value: &name[..length] }).expect("room");
    if detail & 4 == 0 {
        let card = vec![if detail & 0xf8 == 0xf8 { b'\n' } else { b'c' }; usize::from(detail) * 3];
        writer.add(&Attribute::Unknown { kind: CARD, value: &card }).expect("room");
    }
    for n in 0..kind >> 1 & 7 {
        let port = if fault == 0x20 { 0 } else { 4000 };
        writer.add(&Attribute::XorPeerAddress(SocketAddr::from(([10, 0, 0, n], port)))).expect("room");
    }
    if kind & 0x70 == 0x10 {
        writer.add(&Attribute::Lifetime(u32::from(detail & 1))).expect("room");
    }
    if fault & 0x40 == 0 {
        writer.add_padding(900).expect("room");
    }
    if fault & 0x0f == 0x0f {
        return writer.finish().to_vec();
    }
    let nonces = Nonces::new(&NONCES, Duration::from_secs(600));
    let nonce = nonces.issue(at, address(CLIENTS[client]), Features::PASSWORD_ALGORITHMS);
    for attribute in [
        Attribute::Username(room.into()),
        Attribute::Realm("rendezvous".into()),
        Attribute::Nonce(nonce.as_str().into()),
    ] {
        writer.add(&attribute).expect("room");
    }
    writer.add_password_algorithms(&[PasswordAlgorithm::SHA256]).expect("room");
    writer.add(&Attribute::PasswordAlgorithm(PasswordAlgorithm::SHA256)).expect("room");
    let password = room_password(if fault & 0x80 == 0 { SECRET } else { b"another" }, room);
    let key = IntegrityKey::long_term_sha256(room, "rendezvous", &password);
    let mut bytes = writer.message_integrity_sha256(&key).expect("room").finish().to_vec();
    if fault & 0x0f == 0x0e {
        let last = bytes.len() - 1 - usize::from(fault >> 4);
        bytes[last] ^= 1;
    }
    bytes
}

fn from_client(at: Instant, client: usize, choice: [u8; 3]) -> Step {
    let payload = request(at, client, choice);
    Step::datagram(at, SOCKET, address(SERVER), address(CLIENTS[client]), &payload)
}

/// Checks a datagram of the server. Returns whether it has an introduction.
fn check_sent(sent: &Transmit) -> bool {
    let message = Message::decode(&sent.payload).expect("STUN");
    assert_eq!(message.method(), METHOD);
    assert!(sent.payload.len() <= 1048, "{} bytes", sent.payload.len());
    if message.class() == Class::Indication {
        assert!(sent.payload.len() <= 76, "a wake of {} bytes", sent.payload.len());
    }
    let has_introduction = message.has(INTRODUCTION);
    if has_introduction {
        let reflexive = message.attributes().flatten().find_map(|attribute| match attribute {
            Attribute::XorPeerAddress(address) => Some(address),
            _ => None,
        });
        assert!(reflexive.is_some(), "an introduction without the address of the peer");
    }
    has_introduction
}

/// Plays the server with clients.
fn run_server(bytes: &[u8], reader: &mut ByteReader<'_>, seed: u64) -> bool {
    let handed_in = &[SOCKET];
    let context = Context { seed, handed_in, ..Context::default() };
    let factory = || Flawed::new(server(), Flaw::RepeatsTransmit);
    let mut now = Instant::from_millis(200);
    let mut script = Vec::new();
    for _ in 0..4 + reader.below(12) {
        now += Duration::from_millis(u64::from(reader.byte()) * [1, 20, 300][reader.below(3)]);
        let kind = reader.byte();
        let client = usize::from(kind >> 4) % CLIENTS.len();
        let choice = [reader.byte(), reader.byte(), reader.byte()];
        script.push(match kind & 7 {
            0 => Step::timeout(now),
            1 => {
                let event = SocketEvent::Unreachable { remote: address(CLIENTS[client]), why: Unreachability::Port };
                Step::socket_event(now, SOCKET, event)
            }
            _ => from_client(now, client, choice),
        });
    }
    // The server has no commands.
    let more = reader.script(6, 1, |_| String::new());
    let more = more.into_iter().filter(|step| !matches!(step.action, Action::Command(_)));
    script.extend(more.map(|step| Step { at: now.max(step.at), ..step }));
    let mut peer = Peer::new(bytes);
    let mut is_introduced = false;
    let whole = play(bytes, &factory, &script, &context, 60, |at, output| {
        let Output::Transmit(sent) = output else { return Vec::new() };
        is_introduced |= check_sent(sent);
        let Some(client) = CLIENTS.iter().position(|known| address(known) == sent.remote) else { return Vec::new() };
        let later = at + Duration::from_millis(u64::from(peer.choice()));
        if peer.choice() & 3 == 0 {
            return Vec::new();
        }
        vec![from_client(later, client, [peer.choice(), peer.choice(), peer.choice() & 0xf1])]
    });
    let Some(mut after) = Aftermath::of(server(), &whole) else { return is_introduced };
    assert!(after.machine.registrations() <= 4, "{} registrations", after.machine.registrations());
    after.pass_time(after.now + Duration::from_secs(61));
    assert_eq!((after.machine.registrations(), after.machine.rooms()), (0, 0), "left after a minute");
    assert!(!after.waits(), "a deadline is left after a minute");
    let texts = format!("{} {:?}", after.notes, after.machine);
    assert!(!texts.contains("TheMatrIX"), "a secret in a note");
    is_introduced
}

struct Ones(u64);

impl Entropy for Ones {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// A server and the other peers of its rooms.
struct Remote {
    server: Server,
    rng: Ones,
    ids: SocketIds,
}

impl Remote {
    /// Passes a datagram to the server, and returns what it sends to the first client.
    fn handle(&mut self, at: Instant, from: &str, payload: &[u8]) -> Vec<Vec<u8>> {
        let mut cx = Cx::new(at, &mut self.rng, &mut self.ids);
        let _verdict = self.server.handle(&mut cx, Input::Timeout);
        let datagram = Datagram::new(SOCKET, address(SERVER), address(from), payload);
        let _verdict = self.server.handle(&mut cx, Input::Datagram(datagram));
        let mut sent = Vec::new();
        while let Output::Transmit(transmit) = self.server.poll() {
            if transmit.remote == address(CLIENTS[0]) {
                sent.push(transmit.payload.to_vec());
            }
        }
        sent
    }
}

fn client(shape: u8) -> Client {
    let password = room_password(SECRET, ROOMS[0]);
    let config = ClientConfig::new(SOCKET, address(SERVER), ROOMS[0], &password).wait(Duration::from_secs(20));
    let config = if shape & 2 == 0 { config.card("a card") } else { config };
    Client::new(config.candidates(vec![address("10.0.0.1:4000")])).expect("a configuration")
}

/// Plays a client with a server.
fn run_client(bytes: &[u8], reader: &mut ByteReader<'_>, shape: u8) -> bool {
    let handed_in = &[SOCKET];
    let terminal = |event: &ClientEvent| matches!(event, ClientEvent::Ended(_));
    let context = Context { seed: u64::from(shape), handed_in, terminal, ..Context::default() };
    let factory = || Flawed::new(client(shape), Flaw::RepeatsTransmit);
    let mut script = vec![Step::command(Instant::ORIGIN, &ClientCommand::Start)];
    script.extend(reader.script(10, 1, |reader| {
        if reader.byte() & 7 == 0 { ClientCommand::Leave.to_string() } else { ClientCommand::Start.to_string() }
    }));
    let mut remote = Remote { server: server(), rng: Ones(1), ids: SocketIds::new() };
    let mut peer = Peer::new(bytes);
    let (mut is_introduced, mut old): (bool, Vec<Vec<u8>>) = (false, Vec::new());
    let whole = play(bytes, &factory, &script, &context, 60, |at, output| {
        let sent = match output {
            Output::Transmit(sent) => sent,
            Output::Event(ClientEvent::Introduced(introduction)) => {
                is_introduced = true;
                let other = introduction.peer_reflexive;
                assert!(CLIENTS.iter().any(|known| address(known) == other), "introduced to {other}");
                assert!(introduction.start <= Duration::from_millis(500));
                return Vec::new();
            }
            Output::Event(_) | Output::Socket(_) | Output::Wait(_) => return Vec::new(),
        };
        assert_eq!((sent.remote, sent.socket), (address(SERVER), SOCKET));
        assert!(sent.payload.len() <= 1232, "{} bytes", sent.payload.len());
        let mut payloads = remote.handle(at, CLIENTS[0], &sent.payload);
        if peer.choice() & 1 == 0 {
            let other = request(at, 1, [peer.choice() & 0xee & 0x1f, peer.choice(), 0]);
            payloads.extend(remote.handle(at, CLIENTS[1], &other));
        }
        if peer.choice() & 3 == 0 {
            payloads.extend(old.iter().rev().take(2).cloned());
        }
        old.extend(payloads.iter().cloned());
        let mut steps = Vec::new();
        for mut payload in payloads {
            let place = peer.choice();
            if place & 0x1f == 0x1f {
                let at = usize::from(peer.choice()) * 4 % payload.len();
                payload[at] ^= 1 << (place >> 5);
            }
            if place & 0x0f != 0x0e {
                let later = at + Duration::from_millis(u64::from(peer.choice() & 0x7f));
                steps.push(Step::datagram(later, SOCKET, address("10.0.0.1:4000"), address(SERVER), &payload));
            }
        }
        steps
    });
    check_end(shape, &whole);
    is_introduced
}

/// Checks that a dead network ends the client in the stated time, with one event.
fn check_end(shape: u8, whole: &[Step]) {
    let Some(mut after) = Aftermath::of(client(shape), whole) else { return };
    if whole.is_empty() {
        return;
    }
    after.pass_time(after.now + Duration::from_secs(61));
    let ends = after.events.iter().filter(|event| matches!(event, ClientEvent::Ended(_))).count();
    assert_eq!(ends, 1, "{:?}", after.events);
    assert!(!after.waits(), "a deadline is left after the end");
    let texts = format!("{} {:?} {:?}", after.notes, after.machine, after.events);
    let password = room_password(SECRET, ROOMS[0]);
    assert!(!texts.contains("TheMatrIX") && !texts.contains(&password), "a secret in a note");
}

/// Plays the script of the bytes. Returns whether peers were introduced.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    if shape & 1 == 0 {
        run_server(bytes, &mut reader, u64::from(shape))
    } else {
        run_client(bytes, &mut reader, shape)
    }
}
