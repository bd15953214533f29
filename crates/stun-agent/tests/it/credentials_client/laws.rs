//! The laws of machines, with credentials and a server that challenges.

use super::{ALGORITHMS, BEST_FIRST, BOTH, PASSWORD, PLAIN, USER, challenge, md5, response, sha256, stale};
use crate::laws::requester_steps_with;
use crate::world::addr;
use core::time::Duration;
use portolan_machine::{Instant, Output, SocketId};
use portolan_sim::laws::{self, Action, Context, OwnedDatagram, OwnedInput, Step};
use portolan_stun::{Attribute, Class, ErrorCode, Integrity, IntegrityKey, Message};
use portolan_stun_agent::{Credential, Request, TransactionCommand, TransactionEvent, Transactions};
use proptest::prelude::*;

/// Credentials that are valid for the server, one that is invalid, and none.
fn any_credential() -> impl Strategy<Value = Option<Credential>> + Clone {
    prop_oneof![
        2 => Just(Some(Credential::long_term(USER, PASSWORD))),
        1 => Just(Some(Credential::long_term_anonymous(USER, PASSWORD))),
        1 => Just(Some(Credential::short_term(USER, PASSWORD))),
        1 => Just(Some(Credential::short_term_with(USER, PASSWORD, Integrity::Sha1))),
        1 => Just(Some(Credential::long_term(USER, "another"))),
        1 => Just(None),
    ]
}

/// A server that, by the first byte of the id, challenges, sends a 438, redirects, or sends a success response.
fn server(at: Instant, output: &Output<TransactionEvent<u8>>) -> Vec<Step> {
    let Output::Transmit(sent) = output else { return vec![] };
    let request = Message::decode(&sent.payload).unwrap();
    let turn = request.transaction_id().as_bytes()[0];
    let mapped = [Attribute::XorMappedAddress(addr("203.0.113.5:50000"))];
    let redirection = [
        Attribute::ErrorCode(ErrorCode::recommended(300).unwrap()),
        Attribute::AlternateServer(addr("192.0.2.2:3479")),
    ];
    let short = IntegrityKey::short_term(PASSWORD);
    let keys = [(&short, Integrity::SHA256), (&short, Integrity::Sha1)];
    let keys = keys.into_iter().map(|(key, integrity)| (key.clone(), integrity));
    let signed = keys
        .chain([(sha256(), Integrity::SHA256), (md5(), Integrity::Sha1)])
        .find(|(key, integrity)| request.verify_with(key, *integrity).is_ok());
    let signed = signed.as_ref().map(|(key, integrity)| (key, *integrity));
    let payload = match (request.nonce(), signed, turn % 6) {
        (None, None, 0 | 1) => challenge(PLAIN, None).to(&sent.payload),
        (None, None, 2 | 3) => challenge(BOTH, Some(BEST_FIRST)).to(&sent.payload),
        (None, None, 4) => challenge(ALGORITHMS, None).to(&sent.payload),
        (Some(nonce), _, 0) if nonce == PLAIN => stale("obMatJos2AAAAn2", None).to(&sent.payload),
        (Some(_), _, 3) => stale("obMatJos2wAAAn2", Some(BEST_FIRST)).to(&sent.payload),
        (_, signed, 2 | 5) => response(&sent.payload, Class::ErrorResponse, &redirection, signed),
        (_, signed, _) => response(&sent.payload, Class::SuccessResponse, &mapped, signed),
    };
    let datagram =
        OwnedDatagram { socket: sent.socket, local: addr("198.51.100.7:40000"), remote: sent.remote, payload };
    let later = at + Duration::from_millis(20);
    let what = if turn % 7 == 6 { Action::Stream(datagram) } else { Action::Input(OwnedInput::Datagram(datagram)) };
    vec![Step::new(later, what)]
}

const SOCKETS: [SocketId; 3] = [SocketId(1), SocketId(2), SocketId(3)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn requests_with_credentials_keep_the_laws(script in requester_steps_with(any_credential()), seed in any::<u64>()) {
        let context = Context { seed, handed_in: &SOCKETS, ..Context::default() };
        let whole = laws::rehearse(&Transactions::<u8>::new, &script, &context, 120, server);
        let kept = laws::check_all(&Transactions::<u8>::new, &whole, &context);
        prop_assert!(kept.is_ok(), "{}", kept.unwrap_err());
    }
}

#[test]
fn the_runs_of_the_laws_reach_verified_responses() {
    let mut verified = 0;
    let mut transactions = 0;
    for seed in 0..20 {
        let context = Context { seed, handed_in: &SOCKETS, ..Context::default() };
        let request = |n: u8| {
            let request = Request::binding(SocketId(1), addr("192.0.2.1:3478"), n);
            let credential = match n {
                1 => Credential::short_term(USER, PASSWORD),
                2 => Credential::short_term_with(USER, PASSWORD, Integrity::Sha1),
                _ => Credential::long_term(USER, PASSWORD),
            };
            let command = TransactionCommand::RequestWith(request, credential);
            Step::command(Instant::from_millis(u64::from(n) * 1000), &command)
        };
        let script: Vec<_> = (0..4).map(request).collect();
        let whole = laws::rehearse(&Transactions::<u8>::new, &script, &context, 120, server);
        for played in laws::record(Transactions::<u8>::new(), &whole, &context).1 {
            for output in &played.outputs {
                match output {
                    Output::Event(TransactionEvent::Answered(answer)) if answer.integrity.is_some() => verified += 1,
                    Output::Transmit(_) => transactions += 1,
                    Output::Event(_) | Output::Socket(_) | Output::Wait(_) => {}
                }
            }
        }
    }
    assert!(verified > 20, "{verified} verified answers");
    assert!(transactions > 100, "{transactions} sends");
}
