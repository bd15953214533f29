//! The credential mechanisms between a client and a server, without loss.

use crate::responses::{Server, config};
use crate::world::{World, addr};
use core::time::Duration;
use portolan_machine::{Output, SocketEvent, SocketId, Verdict};
use portolan_stun::{AttributeType, Integrity, Message};
use portolan_stun_agent::{
    Authenticator, ChallengeError, Credential, Request, Responder, Schedule, TransactionEvent, Transactions, Unusable,
    Users,
};
use proptest::prelude::*;

const SERVER: &str = "192.0.2.1:3478";
const CLIENT: &str = "198.51.100.7:40000";
const REALM: &str = "example.org";

fn users(mut users: Users) -> Users {
    users.add("user", "TheMatrIX").unwrap();
    users
}

fn long_term() -> Authenticator {
    Authenticator::long_term(REALM, &[7; 32], users(Users::long_term(REALM))).unwrap()
}

fn server(authenticator: Authenticator) -> Server {
    World::new(Responder::over(&config(&[SERVER], &[]).credentials(authenticator), |_| SocketId(1)).unwrap())
}

struct Both {
    client: World<Transactions<u32>>,
    server: Server,
}

impl Both {
    fn new(authenticator: Authenticator) -> Self {
        Self { client: World::new(Transactions::new()), server: server(authenticator) }
    }

    /// Runs one request at this time. Returns its final event, and the messages that were sent for it.
    fn exchange(&mut self, now: u64, credential: &Credential) -> (TransactionEvent<u32>, Vec<Vec<u8>>) {
        (self.client.now, self.server.now) = (now, now);
        let request = Request::binding(SocketId(1), addr(SERVER), 7);
        self.client.with(|machine, cx| machine.request_with(cx, request, credential.clone())).unwrap();
        let mut sent = vec![];
        loop {
            for output in self.client.outputs() {
                match output {
                    Output::Transmit(request) => {
                        assert_eq!(self.server.datagram(1, CLIENT, &request.payload), Verdict::Mine);
                        sent.push(request.payload.to_vec());
                    }
                    Output::Event(event) => return (event, sent),
                    Output::Socket(_) | Output::Wait(_) => unreachable!("requests have no such output"),
                }
            }
            let replies = self.server.outputs();
            assert!(!replies.is_empty(), "a server that answers: {:?}", self.server.notes);
            for output in replies {
                let Output::Transmit(reply) = output else { panic!("a reply, not {output:?}") };
                assert_eq!(self.client.datagram(1, SERVER, &reply.payload), Verdict::Mine);
            }
        }
    }
}

/// Returns the verified integrity of a response. Panics unless its mapped address is that of the client.
fn verified(event: &TransactionEvent<u32>) -> Option<Integrity> {
    let TransactionEvent::Answered(answer) = event else { panic!("an answer, not {event:?}") };
    assert_eq!(Message::decode(&answer.message).unwrap().xor_mapped_address(), Some(addr(CLIENT)));
    answer.integrity
}

#[test]
fn a_user_is_challenged_only_once_until_the_nonce_is_stale() {
    let mut both = Both::new(long_term());
    let user = Credential::long_term("user", "TheMatrIX");
    let (event, sent) = both.exchange(0, &user);
    assert_eq!((verified(&event), sent.len()), (Some(Integrity::SHA256), 2));
    assert!(Message::decode(&sent[1]).unwrap().has(AttributeType::USERHASH), "the server announces anonymity");
    let (event, sent) = both.exchange(599_000, &user);
    assert_eq!((verified(&event), sent.len()), (Some(Integrity::SHA256), 1));
    let (event, sent) = both.exchange(600_000, &user);
    assert_eq!((verified(&event), sent.len()), (Some(Integrity::SHA256), 2), "438, and a retry with the new nonce");
    let (event, sent) = both.exchange(601_000, &user);
    assert_eq!((verified(&event), sent.len()), (Some(Integrity::SHA256), 1));
}

#[test]
fn the_client_authenticates_to_each_kind_of_server() {
    for (authenticator, hashed) in
        [(long_term(), true), (long_term().without_md5(), true), (long_term().without_anonymity(), false)]
    {
        let mut both = Both::new(authenticator);
        let (event, sent) = both.exchange(0, &Credential::long_term("user", "TheMatrIX"));
        assert_eq!((verified(&event), sent.len()), (Some(Integrity::SHA256), 2));
        assert_eq!(Message::decode(&sent[1]).unwrap().has(AttributeType::USERHASH), hashed);
    }
    let mut both = Both::new(Authenticator::short_term(users(Users::short_term())));
    let user = Credential::short_term("user", "TheMatrIX");
    for kinds in [3, 2] {
        let (event, sent) = both.exchange(0, &user);
        assert_eq!((verified(&event), sent.len()), (Some(Integrity::SHA256), 1));
        assert_eq!(
            Message::decode(&sent[0]).unwrap().fields().count(),
            kinds,
            "both integrity attributes, then that of the response"
        );
    }
    let sha1_only = Credential::short_term_with("user", "TheMatrIX", Integrity::Sha1);
    assert_eq!(verified(&both.exchange(0, &sha1_only).0), Some(Integrity::Sha1));
}

#[test]
fn over_a_stream_a_user_is_challenged_and_gets_a_verified_response() {
    let responder = Responder::new(&config(&[SERVER], &[]).streams(3).credentials(long_term())).unwrap();
    let mut server = World::new(responder);
    server.with(|machine, cx| machine.start(cx)).unwrap();
    for socket in [1, 2] {
        let _verdict = server.socket_event(socket, SocketEvent::Opened { local: addr(SERVER) });
    }
    let accepted = SocketEvent::Accepted { socket: SocketId(100), local: addr(SERVER), remote: addr(CLIENT) };
    assert_eq!(server.socket_event(2, accepted), Verdict::Mine);
    server.outputs();
    let mut client = World::new(Transactions::<u32>::new());
    let request = Request::binding(SocketId(1), addr(SERVER), 7);
    let request = request.schedule(Schedule::reliable(Duration::from_secs(39)));
    client.with(|machine, cx| machine.request_with(cx, request, Credential::long_term("user", "TheMatrIX"))).unwrap();
    for _ in 0..2 {
        let Output::Transmit(sent) = client.outputs().remove(0) else { panic!("a request") };
        for part in sent.payload.chunks(13) {
            assert_eq!(server.stream(100, CLIENT, part), Verdict::Mine);
        }
        let Output::Transmit(reply) = server.outputs().remove(0) else { panic!("a reply") };
        for part in reply.payload.chunks(17) {
            assert_eq!(client.stream(1, SERVER, part), Verdict::Mine);
        }
    }
    let Output::Event(event) = client.outputs().remove(0) else { panic!("answered") };
    assert_eq!(verified(&event), Some(Integrity::SHA256));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn only_the_right_password_gets_a_response_within_two_transactions(
        requests in proptest::collection::vec((0..700_u64, any::<bool>(), any::<bool>()), 1..12),
    ) {
        let mut both = Both::new(long_term());
        let mut now = 0;
        for (after, is_user, is_right) in requests {
            now += after * 1000;
            let (name, password) = (if is_user { "user" } else { "mallory" }, if is_right { "TheMatrIX" } else { "guess" });
            let (event, sent) = both.exchange(now, &Credential::long_term(name, password));
            if is_user && is_right {
                prop_assert_eq!(verified(&event), Some(Integrity::SHA256));
            } else {
                let refused =
                    matches!(event, TransactionEvent::Unusable { why: Unusable::Challenge(ChallengeError::WrongCredentials), .. });
                prop_assert!(refused, "{event:?}");
            }
            prop_assert!(sent.len() <= 2, "{}", sent.len());
        }
    }
}
