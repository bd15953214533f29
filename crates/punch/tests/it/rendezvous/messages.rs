//! The messages: their lengths, their integrity, and what happens to forged and replayed ones.

use super::lab::{ROOM, SECRET, SERVER, SOCKET, addr, client_config, ms, server_config};
use core::net::SocketAddr;
use portolan_machine::{
    Cx, Datagram, Entropy, Explain, Input, Instant, Machine, Output, Scope, SocketIds, Trace, Verdict,
};
use portolan_punch::rendezvous::{
    CANDIDATES, CARD_LEN, Client, ClientCommand, ClientConfig, ClientEvent, EndReason, METHOD, ROOM_LEN, Server,
    ServerConfig, room_password,
};
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, Method, Writer};

/// An RNG for tests.
#[derive(Clone, Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Codes(pub(crate) Vec<&'static str>);

impl Trace for Codes {
    fn note(&mut self, _: Instant, _: &Scope<'_>, note: &dyn Explain) {
        self.0.push(note.code());
    }
}

/// A server and clients without a network: each datagram arrives at once, and is kept.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) clients: Vec<(SocketAddr, Client)>,
    pub(crate) now: Instant,
    /// The datagrams: from a client to the server (`true`), or back; the client; the bytes.
    pub(crate) sent: Vec<(bool, usize, Vec<u8>)>,
    pub(crate) events: Vec<(usize, ClientEvent)>,
    pub(crate) codes: Codes,
    pub(crate) rng: Seeded,
    pub(crate) ids: SocketIds,
}

impl World {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            server: Server::over(config, &[SOCKET]).unwrap(),
            clients: Vec::new(),
            now: Instant::from_millis(1_000),
            sent: Vec::new(),
            events: Vec::new(),
            codes: Codes::default(),
            rng: Seeded(1),
            ids: SocketIds::new(),
        }
    }

    /// Adds a client and starts it.
    pub(crate) fn start(&mut self, address: &str, config: ClientConfig) -> usize {
        self.clients.push((addr(address), Client::new(config).unwrap()));
        let client = self.clients.len() - 1;
        let mut cx = Cx::new(self.now, &mut self.rng, &mut self.ids).with_trace(&mut self.codes);
        self.clients[client].1.command(&mut cx, ClientCommand::Start).unwrap();
        self.settle();
        client
    }

    pub(crate) fn pass_to_server(&mut self, from: SocketAddr, payload: &[u8]) -> Verdict {
        let mut cx = Cx::new(self.now, &mut self.rng, &mut self.ids).with_trace(&mut self.codes);
        self.server.handle(&mut cx, Input::Datagram(Datagram::new(SOCKET, addr(SERVER), from, payload)))
    }

    pub(crate) fn pass_to_client(&mut self, client: usize, from: SocketAddr, payload: &[u8]) -> Verdict {
        let mut cx = Cx::new(self.now, &mut self.rng, &mut self.ids).with_trace(&mut self.codes);
        let (address, machine) = &mut self.clients[client];
        machine.handle(&mut cx, Input::Datagram(Datagram::new(SOCKET, *address, from, payload)))
    }

    /// The responses and wakes that wait at the server.
    pub(crate) fn responses(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Output::Transmit(transmit) = self.server.poll() {
            sent.push((transmit.remote, transmit.payload.to_vec()));
        }
        sent
    }

    /// Carries datagrams until no machine sends one.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            for client in 0..self.clients.len() {
                loop {
                    match self.clients[client].1.poll() {
                        Output::Transmit(transmit) => {
                            is_quiet = false;
                            self.sent.push((true, client, transmit.payload.to_vec()));
                            let from = self.clients[client].0;
                            let _mine = self.pass_to_server(from, &transmit.payload);
                        }
                        Output::Event(event) => self.events.push((client, event)),
                        Output::Socket(order) => panic!("{order:?}"),
                        Output::Wait(_) => break,
                    }
                }
            }
            for (to, payload) in self.responses() {
                let Some(client) = self.clients.iter().position(|(address, _)| *address == to) else { continue };
                is_quiet = false;
                self.sent.push((false, client, payload.clone()));
                let _mine = self.pass_to_client(client, addr(SERVER), &payload);
            }
            if is_quiet {
                return;
            }
        }
    }

    /// Advances the time in steps of 10 ms.
    pub(crate) fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.now += ms(10);
            let mut cx = Cx::new(self.now, &mut self.rng, &mut self.ids).with_trace(&mut self.codes);
            let _mine = self.server.handle(&mut cx, Input::Timeout);
            for (_, client) in &mut self.clients {
                let _mine = client.handle(&mut cx, Input::Timeout);
            }
            self.settle();
        }
    }

    pub(crate) fn introductions(&self, client: usize) -> usize {
        let is_one =
            |(known, event): &&(usize, ClientEvent)| *known == client && matches!(event, ClientEvent::Introduced(_));
        self.events.iter().filter(is_one).count()
    }

    fn count(&self, code: &str) -> usize {
        self.codes.0.iter().filter(|known| **known == code).count()
    }
}

const ONE: &str = "85.0.0.1:4000";
const TWO: &str = "85.0.0.2:4000";

fn candidates() -> Vec<SocketAddr> {
    (0..CANDIDATES).map(|n| addr(&format!("[2001:db8:ffff:ffff:ffff:ffff:ffff:{n:x}]:65535"))).collect()
}

/// The longest introduction to the shortest client, and the longest request.
#[test]
fn no_response_is_longer_than_its_request_and_no_request_is_longer_than_1232_bytes() {
    let long_room = "r".repeat(ROOM_LEN);
    for room in ["r", &long_room] {
        let config = || ClientConfig::new(SOCKET, addr(SERVER), room, &room_password(SECRET, room));
        let full = || config().card(&"c".repeat(CARD_LEN)).candidates(candidates());
        for second in [full(), config()] {
            let mut world = World::new(&server_config());
            world.start("[2001:db8::1]:65535", full());
            world.pass(100);
            world.start("[2001:db8::2]:65535", second);
            world.pass(1_000);
            assert_eq!((world.introductions(0), world.introductions(1)), (1, 1));
            let mut largest = 0;
            for (to_server, client, bytes) in &world.sent {
                if *to_server {
                    assert!(bytes.len() <= 1232, "a request of {} bytes", bytes.len());
                    continue;
                }
                let response = Message::decode(bytes).unwrap();
                if response.class() == Class::Indication {
                    assert_eq!(bytes.len(), 76, "a wake");
                    continue;
                }
                let id = response.transaction_id();
                let asked = world.sent.iter().find(|(to_server, known, asked)| {
                    *to_server && known == client && Message::decode(asked).unwrap().transaction_id() == id
                });
                let asked = asked.unwrap().2.len();
                assert!(bytes.len() <= asked, "{} bytes for {asked}", bytes.len());
                largest = largest.max(bytes.len());
            }
            assert!(largest > 1_000, "the longest response has {largest} bytes");
        }
    }
}

#[test]
fn a_short_request_gets_no_response_and_leaves_no_state() {
    let mut world = World::new(&server_config());
    let mut buffer = [0; 240];
    let mut writer = Writer::new(&mut buffer, Class::Request, METHOD, [1; 12].into()).unwrap();
    assert_eq!(world.pass_to_server(addr(ONE), &writer_bytes(&mut writer, 0)), Verdict::Mine);
    assert_eq!(world.responses(), []);
    assert_eq!(world.server.stats().dropped.too_short, 1);
    // A challenge has 108 bytes.
    let mut writer = Writer::new(&mut buffer, Class::Request, METHOD, [1; 12].into()).unwrap();
    let padded = writer_bytes(&mut writer, 100);
    let _mine = world.pass_to_server(addr(ONE), &padded);
    let responses = world.responses();
    assert_eq!(responses.len(), 1);
    assert!(responses[0].1.len() <= padded.len(), "{} for {}", responses[0].1.len(), padded.len());
    assert_eq!(world.server.rooms(), 0);
}

fn writer_bytes(writer: &mut Writer<'_>, padding: usize) -> Vec<u8> {
    let mut copy = vec![0; 20 + 4 + padding];
    let mut own = Writer::new(&mut copy, Class::Request, METHOD, [1; 12].into()).unwrap();
    if padding > 0 {
        own.add_padding(padding).unwrap();
    }
    let _unused = writer.len();
    own.finish().to_vec()
}

#[test]
fn other_methods_and_classes_are_not_of_the_server_or_of_a_client() {
    let mut world = World::new(&server_config());
    world.start(ONE, client_config());
    for class in [Class::Request, Class::Indication, Class::SuccessResponse, Class::ErrorResponse] {
        for number in 0..=0xfff {
            let method = Method::new(number).unwrap();
            let mut buffer = [0; 20];
            let bytes = Writer::new(&mut buffer, class, method, [9; 12].into()).unwrap().finish().to_vec();
            let of_server = class == Class::Request && method == METHOD;
            assert_eq!(world.pass_to_server(addr(TWO), &bytes) == Verdict::Mine, of_server, "{class} {method}");
            let of_client = class != Class::Request && method == METHOD;
            assert_eq!(world.pass_to_client(0, addr(SERVER), &bytes) == Verdict::Mine, of_client, "{class} {method}");
            assert_eq!(world.pass_to_client(0, addr(TWO), &bytes), Verdict::NotMine, "{class} {method} of a peer");
        }
    }
    assert_eq!(world.pass_to_client(0, addr(TWO), b"\x16 a peer"), Verdict::NotMine);
}

#[test]
fn a_captured_registration_is_worthless_at_another_address() {
    let mut world = World::new(&server_config());
    world.start(ONE, client_config());
    let captured = world.sent.iter().rev().find(|(to_server, ..)| *to_server).unwrap().2.clone();
    assert_eq!((world.server.registrations(), world.server.stats().refused.total()), (1, 0));
    let _mine = world.pass_to_server(addr(TWO), &captured);
    let response = world.responses().remove(0).1;
    assert_eq!(Message::decode(&response).unwrap().error_code().unwrap().code(), 438);
    assert_eq!((world.server.registrations(), world.server.rooms()), (1, 1));
    // From the same address it is the same registration.
    let _mine = world.pass_to_server(addr(ONE), &captured);
    assert_eq!(world.server.registrations(), 1);
}

#[test]
fn a_changed_registration_is_rejected() {
    let mut world = World::new(&server_config());
    world.start(ONE, client_config().card("a card"));
    let captured = world.sent.iter().rev().find(|(to_server, ..)| *to_server).unwrap().2.clone();
    for at in (20..captured.len()).step_by(7) {
        let mut changed = captured.clone();
        changed[at] ^= 1;
        let before = world.server.stats();
        let _mine = world.pass_to_server(addr(ONE), &changed);
        world.responses();
        let after = world.server.stats();
        let refused = after.rejected.total() + after.dropped.total() - before.rejected.total() - before.dropped.total();
        assert_eq!(refused, 1, "byte {at}");
    }
}

#[test]
fn a_replayed_introduction_is_ignored_with_a_note() {
    let mut world = World::new(&server_config());
    world.start(ONE, client_config());
    world.pass(100);
    world.start(TWO, client_config());
    world.pass(1_000);
    assert_eq!((world.introductions(0), world.introductions(1)), (1, 1));
    let to_first: Vec<_> = world.sent.iter().filter(|(to_server, client, _)| !to_server && *client == 0).collect();
    let replayed: Vec<_> = to_first.into_iter().map(|(.., bytes)| bytes.clone()).collect();
    let before = world.sent.len();
    for bytes in replayed {
        assert_eq!(world.pass_to_client(0, addr(SERVER), &bytes), Verdict::Mine);
        world.settle();
    }
    assert_eq!((world.introductions(0), world.sent.len()), (1, before), "no event, and nothing is sent");
    assert!(world.count("dropped-late") + world.count("rendezvous-response-late") >= 3, "{:?}", world.codes.0);
    assert!(world.count("wake-repeated") >= 1);
    // The keepalive gets the same introduction again.
    world.pass(16_000);
    assert_eq!(world.introductions(0), 1);
    assert!(world.count("introduction-repeated") >= 1);
}

#[test]
fn an_introduction_that_was_changed_on_the_path_is_not_accepted() {
    let mut world = World::new(&server_config());
    world.start(ONE, client_config());
    world.pass(100);
    // The response with the introduction of the first peer is changed on the path, as is each retransmission.
    world.clients.push((addr(TWO), Client::new(client_config()).unwrap()));
    let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids);
    world.clients[1].1.command(&mut cx, ClientCommand::Start).unwrap();
    let mut changed = 0;
    for _ in 0..200 {
        for client in 0..2 {
            while let output @ (Output::Transmit(_) | Output::Event(_)) = world.clients[client].1.poll() {
                match output {
                    Output::Transmit(sent) => drop(world.pass_to_server(world.clients[client].0, &sent.payload)),
                    Output::Event(event) => world.events.push((client, event)),
                    Output::Socket(_) | Output::Wait(_) => {}
                }
            }
        }
        for (to, mut payload) in world.responses() {
            let client = usize::from(to == addr(TWO));
            let is_introduction = payload.len() > 100 && Message::decode(&payload).unwrap().has(CANDIDATE);
            if is_introduction {
                // One bit of the port of the other peer.
                let at = payload.windows(4).position(|head| head == [0x00, 0x12, 0x00, 0x08]).unwrap();
                payload[at + 6] ^= 1;
                changed += 1;
            }
            let _mine = world.pass_to_client(client, addr(SERVER), &payload);
        }
        world.now += ms(50);
        let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids).with_trace(&mut world.codes);
        let _mine = world.server.handle(&mut cx, Input::Timeout);
        for (_, client) in &mut world.clients {
            let _mine = client.handle(&mut cx, Input::Timeout);
        }
    }
    assert!(changed > 3, "{changed}");
    assert_eq!((world.introductions(0), world.introductions(1)), (0, 0));
}

const CANDIDATE: AttributeType = AttributeType::XOR_PEER_ADDRESS;

#[test]
fn a_forged_wake_causes_no_request() {
    let mut world = World::new(&server_config());
    world.start(ONE, client_config());
    world.pass(500);
    let before = world.sent.len();
    for password in ["", "password", &room_password(SECRET, "cellar")] {
        let mut buffer = [0; 100];
        let mut writer = Writer::new(&mut buffer, Class::Indication, METHOD, [1; 12].into()).unwrap();
        writer.add(&Attribute::Unknown { kind: AttributeType::new(0xc0f1), value: &[9; 16] }).unwrap();
        let key = IntegrityKey::long_term_sha256(ROOM, "rendezvous", password);
        let wake = writer.message_integrity_sha256(&key).unwrap().finish().to_vec();
        assert_eq!(world.pass_to_client(0, addr(SERVER), &wake), Verdict::Mine);
        world.pass(300);
    }
    assert_eq!(world.sent.len(), before);
    assert_eq!(world.count("wake-unverified"), 3);
}

#[test]
fn replayed_wakes_cause_at_most_one_request_in_100_ms() {
    let mut world = World::new(&server_config());
    world.start(ONE, client_config());
    world.pass(500);
    let key = IntegrityKey::long_term_sha256(ROOM, "rendezvous", &room_password(SECRET, ROOM));
    let mut buffer = [0; 100];
    let mut writer = Writer::new(&mut buffer, Class::Indication, METHOD, [1; 12].into()).unwrap();
    writer.add(&Attribute::Unknown { kind: AttributeType::new(0xc0f1), value: &[9; 16] }).unwrap();
    let wake = writer.message_integrity_sha256(&key).unwrap().finish().to_vec();
    let before = world.sent.len();
    for _ in 0..100 {
        assert_eq!(world.pass_to_client(0, addr(SERVER), &wake), Verdict::Mine);
        world.pass(10);
    }
    let requests = world.sent[before..].iter().filter(|(to_server, ..)| *to_server).count();
    assert!((9..=11).contains(&requests), "{requests} requests in a second");
}

#[test]
fn a_server_without_authentication_is_no_rendezvous() {
    let mut client = Client::new(client_config()).unwrap();
    let (mut rng, mut ids) = (Seeded(1), SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    client.command(&mut cx, ClientCommand::Start).unwrap();
    let Output::Transmit(sent) = client.poll() else { panic!("a request") };
    let id = Message::decode(&sent.payload).unwrap().transaction_id();
    let mut buffer = [0; 100];
    let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, METHOD, id).unwrap();
    writer.add(&Attribute::XorMappedAddress(addr(ONE))).unwrap();
    writer.add(&Attribute::Lifetime(60)).unwrap();
    let response = writer.finish().to_vec();
    let _mine = client.handle(&mut cx, Input::Datagram(Datagram::new(SOCKET, addr(ONE), addr(SERVER), &response)));
    assert_eq!(client.poll(), Output::Event(ClientEvent::Ended(EndReason::Unauthenticated)));
    assert_eq!(client.poll(), Output::Wait(None));
}

#[test]
fn each_secret_of_the_server_is_valid_and_faulty_configurations_are_refused() {
    use portolan_punch::rendezvous::{ClientConfigError, ServerConfigError, ServerLimits};
    for secret in [b"old".as_slice(), b"new"] {
        let mut world = World::new(&ServerConfig::new(&[7; 32]).secret(b"new").secret(b"old"));
        world.start(ONE, ClientConfig::new(SOCKET, addr(SERVER), ROOM, &room_password(secret, ROOM)));
        assert_eq!(world.server.registrations(), 1);
    }
    assert_eq!(Server::new(&server_config().secret(b"")).unwrap_err(), ServerConfigError::NoSecret);
    let mut limits = ServerLimits::default();
    limits.registrations = 0;
    assert_eq!(Server::new(&server_config().limits(limits)).unwrap_err(), ServerConfigError::Limit);
    let faulty = |config: ClientConfig| Client::new(config).unwrap_err();
    assert_eq!(faulty(client_config().card("a\nb")), ClientConfigError::Card);
    assert_eq!(faulty(client_config().card(&"c".repeat(513))), ClientConfigError::Card);
    let many = vec![addr(ONE); 17];
    assert_eq!(faulty(client_config().candidates(many)), ClientConfigError::Candidates { count: 17 });
    assert_eq!(
        faulty(client_config().candidates(vec![addr("0.0.0.0:1")])),
        ClientConfigError::Address(addr("0.0.0.0:1"))
    );
    assert_eq!(faulty(client_config().peer_secret(b"")), ClientConfigError::Empty);
    assert_eq!(faulty(client_config().wait(ms(0))), ClientConfigError::Time);
    let room = "r".repeat(65);
    assert_eq!(faulty(ClientConfig::new(SOCKET, addr(SERVER), &room, "p")), ClientConfigError::Room { length: 65 });
}
