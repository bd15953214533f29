//! Plays scripts of `Client` of TURN with servers that answer, challenge, refuse, lie, or are silent. Checks the laws
//! of machines, that data comes only from peers that were added, that a dead network ends the client in the stated
//! time, and that no note has a password.

use super::aftermath::Aftermath;
use super::credentials::{authenticator, credential};
use super::peer::Peer;
use crate::byte_reader::{ADDRESSES, ByteReader};
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_machine::{Datagram, Input, Instant, Output, Protocol, Script, SocketOrder, Transmit};
use portolan_sim::laws::{Action, Context, Step};
use portolan_stun::demux::ChannelData;
use portolan_stun::{AddressFamily, Attribute, Class, ErrorCode, Message, Method, ResponseClass, Writer};
use portolan_stun_agent::Authenticator;
use portolan_stun_agent::authenticator::Judgement;
use portolan_turn::{Client, ClientCommand, ClientConfig, ClientEvent};
use std::net::SocketAddr;
use std::time::Duration;

const HERE: &str = "198.51.100.7:40000";
const RELAYED: &str = "203.0.113.1:50000";
const PEERS: [&str; 4] = ["203.0.113.9:5000", "203.0.113.9:6000", "203.0.113.10:5000", "[2001:db8:2::9]:5000"];

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn config(shape: u8) -> ClientConfig {
    let server = address(ADDRESSES[0]);
    let mut config = ClientConfig::new(server, credential(if shape & 1 == 0 { 0 } else { 2 }));
    config = match shape >> 1 & 3 {
        0 => config.or_server(address(ADDRESSES[2])),
        1 => config.protocol(Protocol::Tcp),
        _ => config,
    };
    match shape >> 3 & 7 {
        0 => config.even_port(true),
        1 => config.dont_fragment(),
        2 => config.dual(),
        3 => config.family(AddressFamily::Ipv6),
        4 => config.lifetime(Duration::from_secs(30)),
        5 => config.expires(Duration::from_secs(20)),
        6 => config.reservation_token([1; 8]),
        _ => config,
    }
}

fn command(reader: &mut ByteReader<'_>) -> ClientCommand {
    let peer = address(PEERS[reader.below(PEERS.len())]);
    match reader.byte() & 15 {
        0 => ClientCommand::Close,
        1 => ClientCommand::RemovePermission { peer: peer.ip() },
        2 => ClientCommand::SetCredential { credential: credential(0), expires: Some(Duration::from_secs(9)) },
        3..=5 => ClientCommand::Send { peer, data: vec![7; reader.below(9)].into() },
        6..=9 => ClientCommand::AddPermission { peer: peer.ip() },
        _ => ClientCommand::AddChannel { peer },
    }
}

/// Returns the response of the server, and data of peers.
fn replies(at: Instant, sent: &Transmit, peer: &mut Peer<'_>) -> Vec<Step> {
    let mut payloads = Vec::new();
    let shape = peer.choice();
    let request = Message::decode(&sent.payload).ok().filter(|message| message.class() == Class::Request);
    if let Some(request) = request
        && shape & 0x0f != 0x0f
    {
        payloads.extend(response(at, &request, peer));
    }
    if shape & 0x30 == 0x30 {
        payloads.push(data(peer.choice()));
    }
    let mut steps = Vec::new();
    for mut payload in payloads {
        if peer.choice() & 0x1f == 0x1f {
            let place = usize::from(peer.choice()) % payload.len();
            payload[place] ^= 1 << (shape & 7);
        }
        let from = if peer.choice() & 0x1f == 0x1f { address(ADDRESSES[1]) } else { sent.remote };
        let datagram = Datagram::new(sent.socket, address(HERE), from, &payload);
        steps.push(Step::input(at, Input::Datagram(datagram)));
        steps.push(Step::new(at, Action::Stream(datagram.into())));
    }
    steps
}

/// Returns a response: a challenge, or a success or an error with integrity.
fn response(at: Instant, request: &Message<'_>, peer: &mut Peer<'_>) -> Option<Vec<u8>> {
    const CODES: [u16; 12] = [300, 400, 403, 420, 437, 438, 440, 441, 442, 443, 486, 508];
    let (shape, mapped) = (peer.choice(), address(HERE));
    let mut buffer = [0; 600];
    if request.method() == Method::BINDING {
        let mut writer = Writer::response(&mut buffer, &request.exempt(), ResponseClass::Success).ok()?;
        let port = if shape & 0x3f == 0x3f { 40_001 } else { 40_000 };
        writer.add(&Attribute::XorMappedAddress(SocketAddr::new(mapped.ip(), port))).ok()?;
        return Some(writer.finish().to_vec());
    }
    let authenticator = authenticator(address(ADDRESSES[if shape & 0x40 == 0 { 0 } else { 2 }]))?;
    let admitted = match authenticator.judge(at, mapped, request) {
        Judgement::Admitted(admitted) => admitted,
        Judgement::Rejected(why) => {
            let mut buffer = [0; Authenticator::REJECTION_LEN];
            return Some(authenticator.write_rejection(&mut buffer, at, mapped, request, why).ok()?.to_vec());
        }
        Judgement::Discarded(_) => return None,
    };
    let is_error = shape & 0x07 == 0x07;
    let outcome = if is_error { ResponseClass::Error } else { ResponseClass::Success };
    let mut writer = Writer::response(&mut buffer, &admitted.message, outcome).ok()?;
    if is_error {
        let code = CODES[usize::from(peer.choice()) % CODES.len()];
        writer.add(&Attribute::ErrorCode(ErrorCode::recommended(code)?)).ok()?;
        if code == 300 {
            writer.add(&Attribute::AlternateServer(address(ADDRESSES[usize::from(shape >> 3 & 3)]))).ok()?;
        }
    } else if request.method() == Method::ALLOCATE {
        writer.add(&Attribute::XorRelayedAddress(address(RELAYED))).ok()?;
        writer.add(&Attribute::XorMappedAddress(mapped)).ok()?;
        let lifetime = [600, 600, 1, 0, u32::MAX, 20][usize::from(peer.choice()) % 6];
        writer.add(&Attribute::Lifetime(lifetime)).ok()?;
    } else if request.method() == Method::REFRESH {
        let asked = request.lifetime().unwrap_or(600);
        writer.add(&Attribute::Lifetime(asked)).ok()?;
    }
    Some(admitted.signature.finish(writer, request.has_fingerprint()).ok()?.to_vec())
}

/// Data of a peer: ChannelData or a Data indication.
fn data(choice: u8) -> Vec<u8> {
    if choice & 1 == 0 {
        let head = ChannelData::head(0x4000 + u16::from(choice >> 1 & 7), 4).expect("a channel number");
        return [&head[..], &[choice; 4]].concat();
    }
    let mut buffer = [0; 100];
    let mut writer = Writer::new(&mut buffer, Class::Indication, Method::DATA, [choice; 12].into()).expect("room");
    let peer = address(PEERS[usize::from(choice >> 1 & 3)]);
    writer.add(&Attribute::XorPeerAddress(peer)).expect("room");
    writer.add(&Attribute::Data(&[choice; 4])).expect("room");
    writer.finish().to_vec()
}

/// Plays the script of the bytes. Returns whether an allocation was made.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    let config = config(shape);
    let context = Context { seed: u64::from(shape), terminal: ClientEvent::is_terminal, ..Context::default() };
    let factory = || Flawed::new(Client::new(), Flaw::PastDeadline);
    let mut script = vec![Step::command(Instant::ORIGIN, &ClientCommand::Start(config.clone()))];
    let mut added = Vec::new();
    script.extend(reader.script(14, 4, |reader| {
        let command = command(reader);
        match &command {
            ClientCommand::AddPermission { peer } => added.push(*peer),
            ClientCommand::AddChannel { peer } => added.push(peer.ip()),
            _ => {}
        }
        command.to_text()
    }));
    let mut peer = Peer::new(bytes);
    let mut is_allocated = false;
    let whole = play(bytes, &factory, &script, &context, 60, |at, output| {
        match output {
            Output::Event(ClientEvent::Allocated { .. }) => is_allocated = true,
            Output::Event(ClientEvent::Data { peer, .. }) => {
                assert!(added.contains(&peer.ip()), "data of {peer}, which was not added");
            }
            Output::Transmit(sent) => {
                let later = at + Duration::from_millis(u64::from(peer.choice() & 0x7f));
                return replies(later, sent, &mut peer);
            }
            Output::Socket(SocketOrder::Open(_)) => return peer.answer(at, output),
            Output::Socket(_) | Output::Event(_) | Output::Wait(_) => {}
        }
        Vec::new()
    });
    check_end(&config, &whole);
    is_allocated
}

/// Checks that a dead network ends the client in the stated time, with one last event.
fn check_end(config: &ClientConfig, whole: &[Step]) {
    let Some(mut after) = Aftermath::of(Client::new(), whole) else { return };
    if whole.is_empty() {
        return;
    }
    after.pass_time(after.now + config.silence_limit());
    let ends = after.events.iter().filter(|event| event.is_terminal()).count();
    assert_eq!(ends, 1, "no end in {:?}: {:?}", config.silence_limit(), after.events);
    assert!(after.events.last().is_some_and(ClientEvent::is_terminal), "an event after the end");
    assert!(!after.waits(), "a deadline is left after the end");
    let texts = format!("{} {:?} {:?}", after.notes, after.machine, after.events);
    assert!(!texts.contains("TheMatrIX"), "a password in a note");
}

#[cfg(test)]
mod tests {
    use portolan_machine::hex::read_hex;

    /// Input of the fuzzer: after a leap of the clock, the cancellation of one request times out the next one.
    const LEAP: &[&str] = &[
        "990da3ed338da661556865c106e81463bbe728c4732d0c302eb387e9c7789fbccb3d37cf4d8fb424ab44a3e8b645edf4",
        "cbb01464891069a6e9c8e2565b771f11fa000000007c97a28d11f2faf1bf6dfb770796c34348939285f0ec954f305c12",
        "6ecba2cbc60796c34348939285f0ec956f624d61744a6f73327741414141414141414a74387751385644537a6a567862",
        "43396a476a583334635031d61b37d7297038dbf982ea9301001e0c39b41326884ad88feac7c610d5a597df7f635031d6",
        "1b21af1597cbe0c67b3f04b776dcd9",
    ];

    #[test]
    fn a_leap_of_the_clock_while_requests_are_cancelled_breaks_no_law() {
        let bytes = read_hex(&LEAP.concat()).expect("hexadecimal digits");
        let _accepted = super::run(&bytes);
    }
}
