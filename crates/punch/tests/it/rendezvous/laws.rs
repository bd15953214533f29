//! The laws of every machine, under random steps, with flooding peers.

use super::lab::{SECRET, SERVER, SOCKET, addr, client_config, ms};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, Output, Transmit};
use portolan_punch::rendezvous::{
    Client, ClientConfig, ClientEvent, METHOD, Server, ServerConfig, ServerLimits, room_password,
};
use portolan_sim::laws::{self, Footprint, StateLimit};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, Method, PasswordAlgorithm, Writer};
use portolan_stun_agent::nonce::{Features, Nonces};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const REALM: &str = "rendezvous";
const CARD: AttributeType = AttributeType::new(0xc0f0);
const PEER_ID: AttributeType = AttributeType::new(0xc0f1);
const INTRODUCTION: AttributeType = AttributeType::new(0xc0f2);
const CLIENTS: [&str; 3] = ["85.0.0.1:4000", "85.0.0.2:4000", "85.0.0.3:4000"];
const ROOMS: [&str; 2] = ["attic", "cellar"];
const LOCAL: &str = "10.0.0.1:4000";

fn key(room: &str) -> IntegrityKey {
    IntegrityKey::long_term_sha256(room, REALM, &room_password(SECRET, room))
}

/// The content of a request.
#[derive(Clone, Copy)]
struct Asked<'a> {
    room: &'a str,
    peer: u8,
    candidates: u8,
    leaves: bool,
    is_unknown: bool,
}

const PLAIN: Asked<'_> = Asked { room: "attic", peer: 1, candidates: 2, leaves: false, is_unknown: false };

/// A padded request, with credentials if there is a nonce.
fn request(id: u8, asked: Asked<'_>, nonce: Option<&str>) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let mut writer = Writer::new(&mut buffer, Class::Request, METHOD, [id; 12].into()).unwrap();
    writer.add(&Attribute::Unknown { kind: PEER_ID, value: &[asked.peer; 16] }).unwrap();
    writer.add(&Attribute::Unknown { kind: CARD, value: b"a card" }).unwrap();
    for n in 0..asked.candidates {
        writer.add(&Attribute::XorPeerAddress(SocketAddr::from(([10, 0, 0, n], 4000)))).unwrap();
    }
    if asked.leaves {
        writer.add(&Attribute::Lifetime(0)).unwrap();
    }
    if asked.is_unknown {
        writer.add(&Attribute::EvenPort(true)).unwrap();
    }
    writer.add_padding(800).unwrap();
    let Some(nonce) = nonce else { return writer.finish().to_vec() };
    writer.add(&Attribute::Username(asked.room.into())).unwrap();
    writer.add(&Attribute::Realm(REALM.into())).unwrap();
    writer.add(&Attribute::Nonce(nonce.into())).unwrap();
    writer.add_password_algorithms(&[PasswordAlgorithm::SHA256]).unwrap();
    writer.add(&Attribute::PasswordAlgorithm(PasswordAlgorithm::SHA256)).unwrap();
    writer.message_integrity_sha256(&key(asked.room)).unwrap().finish().to_vec()
}

/// Messages of one client: valid, refused and rejected ones.
fn requests(nonce: Option<&str>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for (n, room) in ROOMS.into_iter().enumerate() {
        for peer in 1..=3 {
            let id = u8::try_from(n).unwrap() * 16 + peer;
            messages.push(request(id, Asked { room, peer, ..PLAIN }, nonce));
            messages.push(request(id + 64, Asked { room, peer, leaves: peer == 1, ..PLAIN }, nonce));
        }
    }
    messages.push(request(90, Asked { is_unknown: true, ..PLAIN }, nonce));
    messages.push(request(91, Asked { candidates: 17, ..PLAIN }, nonce));
    messages.push(request(92, Asked { room: "", ..PLAIN }, nonce));
    messages
}

fn server() -> Server {
    let mut limits = ServerLimits::default();
    (limits.registrations, limits.registrations_per_source) = (5, 3);
    Server::over(&ServerConfig::new(&[7; 32]).secret(SECRET).limits(limits), &[SOCKET]).unwrap()
}

fn server_scripts() -> Scripts {
    let nonces = Nonces::new(&[7; 32], Duration::from_secs(600));
    let mut payloads = requests(None);
    for client in CLIENTS {
        let nonce = nonces.issue(Instant::ORIGIN, addr(client), Features::PASSWORD_ALGORITHMS);
        payloads.extend(requests(Some(nonce.as_str())));
    }
    let mut changed = payloads.last().unwrap().clone();
    *changed.last_mut().unwrap() ^= 1;
    payloads.extend([changed, b"something else".to_vec(), vec![0x02, 0xe0, 0, 0], vec![0x02, 0xe0, 0, 4, 0x21, 0x12]]);
    let mut buffer = [0; 20];
    for (class, method) in
        [(Class::Indication, METHOD), (Class::SuccessResponse, METHOD), (Class::Request, Method::BINDING)]
    {
        payloads.push(Writer::new(&mut buffer, class, method, [1; 12].into()).unwrap().finish().to_vec());
    }
    Scripts::new(prop::sample::select(payloads)).sockets(&[SOCKET]).locals(&[addr(SERVER)]).remotes(&CLIENTS.map(addr))
}

/// Clients that go on after each response: they use the nonce of a challenge.
fn client_answers(choices: &mut Choices, sent: &Transmit) -> Vec<(SocketAddr, Vec<u8>)> {
    let nonces = Nonces::new(&[7; 32], Duration::from_secs(600));
    let nonce = Message::decode(&sent.payload).ok().and_then(|message| message.nonce()?.as_str().map(String::from));
    let nonce = nonce.unwrap_or_else(|| {
        nonces.issue(Instant::ORIGIN, sent.remote, Features::PASSWORD_ALGORITHMS).as_str().to_owned()
    });
    let messages = requests(Some(&nonce));
    let count = u64::try_from(messages.len()).unwrap();
    (0..2).map(|_| (sent.remote, messages[usize::try_from(choices.below(count)).unwrap()].clone())).collect()
}

fn server_laws(cases: u32) -> LawsConfig<Server> {
    let mut config =
        LawsConfig { cases, longest: 200, peer: host(addr(SERVER), client_answers), ..LawsConfig::default() };
    config.context.handed_in = &[SOCKET];
    config.context.state = Some(|server| format!("{server:?}"));
    // A new server has about 1 KB of text, and a registration about 700 bytes with its timer.
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 16_000, tables: 300 }));
    config
}

#[test]
fn a_server_keeps_the_laws_with_clients_that_flood_it() {
    assert_laws(&server, &server_scripts(), &server_laws(96));
}

/// The responses of a rendezvous to a client, right and wrong ones.
pub(crate) fn server_answers(choices: &mut Choices, sent: &Transmit) -> Vec<(SocketAddr, Vec<u8>)> {
    let Ok(asked) = Message::decode(&sent.payload) else { return vec![] };
    let id = asked.transaction_id();
    let mut buffer = [0; 2000];
    let from = addr(SERVER);
    let key = key("attic");
    if !asked.has(AttributeType::NONCE) || choices.below(16) == 0 {
        let nonces = Nonces::new(&[7; 32], Duration::from_secs(600));
        let at = Instant::from_millis(choices.below(100_000));
        let nonce = nonces.issue(at, addr(LOCAL), Features::PASSWORD_ALGORITHMS);
        let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, METHOD, id).unwrap();
        let code = if choices.below(2) == 0 { 401 } else { 438 };
        let code = if asked.has(AttributeType::NONCE) { code } else { 401 };
        writer.add(&Attribute::ErrorCode(portolan_stun::ErrorCode::recommended(code).unwrap())).unwrap();
        writer.add(&Attribute::Realm(REALM.into())).unwrap();
        writer.add(&Attribute::Nonce(nonce.as_str().into())).unwrap();
        writer.add_password_algorithms(&[PasswordAlgorithm::SHA256]).unwrap();
        return vec![(from, writer.finish().to_vec())];
    }
    let peer = u8::try_from(choices.below(3)).unwrap() + 1;
    let wake = {
        let mut buffer = [0; 100];
        let mut writer = Writer::new(&mut buffer, Class::Indication, METHOD, [peer; 12].into()).unwrap();
        writer.add(&Attribute::Unknown { kind: PEER_ID, value: &[peer; 16] }).unwrap();
        writer.message_integrity_sha256(&key).unwrap().finish().to_vec()
    };
    let is_error = choices.below(24) == 0;
    let class = if is_error { Class::ErrorResponse } else { Class::SuccessResponse };
    let mut writer = Writer::new(&mut buffer, class, METHOD, id).unwrap();
    if is_error {
        writer.add(&Attribute::ErrorCode(portolan_stun::ErrorCode::new(480, "Room Full".into()).unwrap())).unwrap();
    } else {
        writer.add(&Attribute::XorMappedAddress(addr(CLIENTS[usize::from(peer) - 1]))).unwrap();
        writer.add(&Attribute::Lifetime(u32::try_from(choices.below(90)).unwrap())).unwrap();
        if choices.below(2) == 0 {
            let mut value = vec![0, 7, 0xa1, 0x20, peer & 1, 0, 0, 0];
            value.extend([peer; 16]);
            writer.add(&Attribute::Unknown { kind: INTRODUCTION, value: &value }).unwrap();
            // Sometimes the reflexive address of the peer is missing.
            for n in 0..choices.below(4) {
                let ip = [85, 0, 0, u8::try_from(n).unwrap()];
                writer.add(&Attribute::XorPeerAddress(SocketAddr::from((ip, 4000)))).unwrap();
            }
        }
    }
    let response = writer.message_integrity_sha256(&key).unwrap().finish().to_vec();
    vec![(from, wake.clone()), (from, response), (from, wake)]
}

fn client() -> Client {
    let config: ClientConfig = client_config().card("a card").candidates(vec![addr("10.0.0.1:4000")]);
    Client::new(config.wait(ms(40_000))).unwrap()
}

fn client_scripts() -> Scripts {
    let mut buffer = [0; 100];
    let mut writer = Writer::new(&mut buffer, Class::Indication, METHOD, [1; 12].into()).unwrap();
    writer.add(&Attribute::Unknown { kind: PEER_ID, value: &[1; 16] }).unwrap();
    let wake = writer.message_integrity_sha256(&key("attic")).unwrap().finish().to_vec();
    let mut forged = wake.clone();
    *forged.last_mut().unwrap() ^= 1;
    let mut buffer = [0; 20];
    let response = Writer::new(&mut buffer, Class::SuccessResponse, METHOD, [1; 12].into()).unwrap().finish().to_vec();
    let payloads = vec![wake, forged, response, b"data of a peer".to_vec(), request(1, PLAIN, None)];
    Scripts::new(prop::sample::select(payloads))
        .sockets(&[SOCKET])
        .locals(&[addr(LOCAL)])
        .remotes(&[addr(SERVER), addr("85.0.0.2:4000")])
        .commands(prop_oneof![4 => Just("start"), 1 => Just("leave")])
}

fn client_laws(cases: u32) -> LawsConfig<Client> {
    let mut config =
        LawsConfig { cases, longest: 200, peer: host(addr(LOCAL), server_answers), ..LawsConfig::default() };
    config.context.handed_in = &[SOCKET];
    config.context.terminal = |event| matches!(event, ClientEvent::Ended(_));
    config.context.state = Some(|client| format!("{client:?}"));
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 40_000, tables: 300 }));
    config
}

#[test]
fn a_client_keeps_the_laws_with_servers_and_peers_that_flood_it() {
    let command = portolan_punch::rendezvous::ClientCommand::Start;
    assert_laws(&client, &client_scripts().beginning_with(&command), &client_laws(96));
    assert_laws(&client, &client_scripts(), &client_laws(32));
}

/// Runs reach introductions, so that the laws are about more than errors.
#[test]
fn random_runs_reach_introductions() {
    let (mut runner, strategy) = (TestRunner::deterministic(), server_scripts().strategy());
    let mut introduced = 0;
    for _ in 0..100 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let config = server_laws(1);
        let steps = conversation(&server, &script, &config);
        let (_, played) = laws::record(server(), &steps, &config.context);
        let outputs = played.iter().flat_map(|played| &played.outputs);
        let is_one = |output: &&Output<_>| {
            let Output::Transmit(sent) = output else { return false };
            Message::decode(&sent.payload).is_ok_and(|message| message.has(INTRODUCTION))
        };
        introduced += outputs.filter(is_one).count();
    }
    let command = portolan_punch::rendezvous::ClientCommand::Start;
    let strategy = client_scripts().beginning_with(&command).strategy();
    let mut reported = 0;
    for _ in 0..100 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let config = client_laws(1);
        let steps = conversation(&client, &script, &config);
        let (_, played) = laws::record(client(), &steps, &config.context);
        let outputs = played.iter().flat_map(|played| &played.outputs);
        let is_one = |output: &&Output<ClientEvent>| matches!(output, Output::Event(ClientEvent::Introduced(_)));
        reported += outputs.filter(is_one).count();
    }
    assert!(introduced > 40 && reported > 40, "{introduced} by the server, {reported} reported by the client");
}
