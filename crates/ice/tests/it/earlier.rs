//! Checks with the credentials before a restart (RFC 8445 §9, RFC 7675 §5.1).

use crate::lab::{Lab, ONE, Side, ms};
use core::net::SocketAddr;
use portolan_ice::{AgentConfig, Credentials};
use portolan_machine::{Datagram, Input, Machine as _, Output};
use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, Text, TransactionId, Writer};

/// A check of a controlled peer for these credentials.
fn check(credentials: &Credentials) -> Vec<u8> {
    let mut buffer = [0; 400];
    let id = TransactionId::from([7; 12]);
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id).unwrap();
    writer.add(&Attribute::Username(Text::new(&format!("{}:peer", credentials.ufrag())))).unwrap();
    writer.add(&Attribute::Priority(1_862_270_975)).unwrap();
    writer.add(&Attribute::IceControlled(7)).unwrap();
    let key = IntegrityKey::short_term(credentials.password());
    writer.message_integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec()
}

/// A peer that has restarted first pairs its new candidates with the old ones of this agent. If such a pair became valid, the
/// peer could select it, and would not check the pairs of the new session.
#[test]
fn rfc7675_5_1_old_credentials_are_accepted_on_the_previous_path_only() {
    let mut lab = Lab::direct(1, AgentConfig::new(), AgentConfig::new());
    lab.start();
    let (socket, local) = lab.add_host(Side::Left, ONE, "50.0.0.1");
    let (_, previous) = lab.add_host(Side::Right, ONE, "50.0.0.2");
    lab.exchange();
    lab.run(ms(2_000));
    assert!(lab.agrees());
    let request = check(lab.agent(Side::Left).credentials().unwrap());
    let left = lab.host(Side::Left);
    lab.net.with(left, |agent, cx| agent.restart(cx)).unwrap().unwrap();
    let new = SocketAddr::new(previous.ip(), previous.port() ^ 1);
    for (remote, class) in [(previous, Class::SuccessResponse), (new, Class::ErrorResponse)] {
        let answer = lab.net.with(left, |agent, cx| {
            let _verdict = agent.handle(cx, Input::Datagram(Datagram::new(socket, local, remote, &request)));
            match agent.poll() {
                Output::Transmit(transmit) => Some(transmit),
                _ => None,
            }
        });
        let answer = answer.flatten().unwrap();
        let message = Message::decode(&answer.payload).unwrap();
        assert_eq!((answer.remote, message.class()), (remote, class));
    }
}
