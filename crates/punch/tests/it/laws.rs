//! The laws of every machine, for the puncher, with a peer that answers and with floods.

use super::world::at;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{SocketId, Transmit};
use portolan_punch::forecast::{Budget, Conditions};
use portolan_punch::puncher::{Peer, PunchCommand, PunchConfig, PunchEvent, Puncher, SessionKey, Sockets};
use portolan_sim::laws::{Context, Footprint, StateLimit};
use portolan_strategies::laws::{LawsConfig, assert_laws};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, Method, Writer};
use proptest::prelude::*;

const SECRET: &[u8] = b"secret";
const SESSION: [u8; 16] = [9; 16];
const OWN: &str = "192.0.2.77:40000";
const PEER: &str = "192.0.2.1:3478";

fn machine(card: &str, is_first: bool) -> Puncher {
    let peer = Peer::new(at(PEER)).card("nat1,4=nat,m=eim,f=apdf".parse().unwrap());
    let budget = Budget { mappings: 60, sessions: 60, rate: 100 };
    let key = SessionKey::new(SECRET, &SESSION);
    let config = PunchConfig::new(Sockets::ipv4(SocketId(1)), at(OWN), peer, key, is_first);
    let conditions = Conditions { budget, ..Conditions::default() };
    Puncher::new(config.own_card(card.parse().unwrap()).may_guess(true).conditions(conditions))
}

/// The bytes of a probe of the other side, built from the description of the message alone.
fn probe(class: Class, id: [u8; 12], value: [u8; 4]) -> Vec<u8> {
    let text = [&b"portolan punch 1"[..], &SESSION].concat();
    let key = IntegrityKey::from_bytes(&IntegrityKey::from_bytes(SECRET).hmac_sha1(&text));
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, class, Method::new(0x0f1).unwrap(), id.into()).unwrap();
    writer.add(&Attribute::Unknown { kind: AttributeType::new(0x7f10), value: &value }).unwrap();
    writer.message_integrity(&key).unwrap().finish().to_vec()
}

/// An authentic probe of a side of a [`World`](super::world::World).
pub(crate) fn probe_of(is_first: bool, id: [u8; 12]) -> Vec<u8> {
    probe(Class::Request, id, [u8::from(is_first), 0, 0, 0])
}

/// A peer of the other side: it answers probes, sends its own, and sends data.
fn answer(choices: &mut Choices, sent: &Transmit, is_first: bool) -> Vec<(SocketAddr, Vec<u8>)> {
    let Ok(message) = Message::decode(&sent.payload) else { return Vec::new() };
    let side = u8::from(!is_first);
    let mut answers = Vec::new();
    if message.class() == Class::Request {
        answers.push(probe(Class::SuccessResponse, message.transaction_id().into(), [side, 0, 0, 0]));
    }
    if choices.below(2) == 0 {
        let flags = choices.below(4) as u8;
        let round = choices.below(3) as u8;
        let id = [choices.below(250) as u8; 12];
        answers.push(probe(Class::Request, id, [side, flags, 0, round]));
    }
    if choices.below(8) == 0 {
        answers.push(b"\x80data".to_vec());
    }
    answers.into_iter().map(|bytes| (sent.remote, bytes)).collect()
}

fn check(card: &'static str, is_first: bool) {
    let side = u8::from(!is_first);
    let payloads = prop_oneof![
        2 => (any::<[u8; 12]>(), 0_u8..4, 0_u8..3, any::<bool>()).prop_map(move |(id, flags, round, own)| {
            probe(Class::Request, id, [if own { side } else { 1 - side }, flags, 0, round])
        }),
        1 => any::<[u8; 12]>().prop_map(move |id| probe(Class::SuccessResponse, id, [side, 0, 0, 0])),
        1 => Just(b"\x80data".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ];
    let commands = prop_oneof![4 => Just("start"), 1 => Just("release"), 1 => Just("close")];
    let scripts = Scripts::new(payloads)
        .commands(commands)
        .beginning_with(&"start")
        .sockets(&[SocketId(1), SocketId(2), SocketId(3)])
        .locals(&[at(OWN)])
        .remotes(&[at(PEER), at("192.0.2.1:3479"), at("192.0.2.2:1")]);
    let context = Context {
        terminal: |event: &PunchEvent| {
            matches!(event, PunchEvent::Released | PunchEvent::Failed { .. } | PunchEvent::Closed)
        },
        handed_in: &[SocketId(1)],
        state: Some(|machine: &Puncher| format!("{machine:?}")),
        footprint: Some(Footprint::debug_text(StateLimit { flooded: 120_000, tables: 2_000 })),
        ..Context::default()
    };
    let config = LawsConfig {
        context,
        cases: 48,
        longest: 160,
        peer: host(at(OWN), move |choices, sent| answer(choices, sent, is_first)),
    };
    assert_laws(&|| machine(card, is_first), &scripts, &config);
}

#[test]
fn the_first_side_keeps_the_laws() {
    check("nat1,4=nat,m=eim,f=adf", true);
}

#[test]
fn the_other_side_keeps_the_laws() {
    check("nat1,4=nat,m=eim,f=apdf", false);
}

#[test]
fn a_guess_keeps_the_laws() {
    check("nat1,4=nat,m=apdm,f=apdf,a=block64@2048", true);
    check("nat1,4=nat,m=apdm,f=apdf,a=seq+1", false);
}

/// The runs get far: with the peer of these tests, a puncher connects.
#[test]
fn the_peer_of_the_laws_connects() {
    use portolan_machine::Output;
    use portolan_sim::laws::{self, Step};
    let context = Context { handed_in: &[SocketId(1)], ..Context::default() };
    let script = [Step::command(portolan_machine::Instant::ORIGIN, &PunchCommand::Start)];
    let mut choices = Choices::new(3);
    let factory = || machine("nat1,4=nat,m=eim,f=adf", true);
    let steps = laws::rehearse(&factory, &script, &context, 400, |now, output| match output {
        Output::Transmit(sent) => answer(&mut choices, sent, true)
            .into_iter()
            .map(|(remote, bytes)| {
                Step::datagram(now + Duration::from_millis(20), sent.socket, at(OWN), remote, &bytes)
            })
            .collect(),
        Output::Socket(_) | Output::Event(_) | Output::Wait(_) => Vec::new(),
    });
    let (_, played) = laws::record(factory(), &steps, &context);
    let connected = played
        .iter()
        .flat_map(|step| &step.outputs)
        .any(|output| matches!(output, Output::Event(PunchEvent::Connected { .. })));
    assert!(connected);
}
