//! The client side of RFC 8489 §9 and §10: its requests, the responses that it accepts, and the end of retries.

mod alternates;
mod hostile;
mod laws;
mod long_term;
mod short_term;

use crate::world::{World, addr};
use portolan_machine::{Output, SocketId, Verdict};
use portolan_stun::{
    Attribute, AttributeType, Class, ErrorCode, Integrity, IntegrityKey, Message, Method, PasswordAlgorithm,
    TransactionId, Writer,
};
use portolan_stun_agent::{Credential, Request, TransactionEvent, Transactions};

pub(crate) type Requester = World<Transactions<u32>>;

const SERVER: &str = "192.0.2.1:3478";
const MAPPED: &str = "203.0.113.5:50000";
pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "correct-horse-battery";
const REALM: &str = "example.org";
/// Nonces with the cookie of RFC 8489 §9.2: without a feature bit, with one of the two bits, and with both.
const PLAIN: &str = "obMatJos2AAAAn1";
const ALGORITHMS: &str = "obMatJos2gAAAn1";
const ANONYMITY: &str = "obMatJos2QAAAn1";
pub(crate) const BOTH: &str = "obMatJos2wAAAn1";
pub(crate) const BEST_FIRST: &[PasswordAlgorithm<'_>] = &[PasswordAlgorithm::SHA256, PasswordAlgorithm::MD5];
const MD5_ONLY: &[PasswordAlgorithm<'_>] = &[PasswordAlgorithm::MD5];

fn requester() -> Requester {
    World::new(Transactions::new())
}

fn long_term() -> Credential {
    Credential::long_term(USER, PASSWORD)
}

/// The MD5 key of [`long_term`] in [`REALM`].
fn md5() -> IntegrityKey {
    IntegrityKey::long_term_md5(USER, REALM, PASSWORD)
}

pub(crate) fn sha256() -> IntegrityKey {
    IntegrityKey::long_term_sha256(USER, REALM, PASSWORD)
}

fn send_request(world: &mut Requester, request: Request<u32>, credential: &Credential) -> TransactionId {
    world.with(|machine, cx| machine.request_with(cx, request, credential.clone())).unwrap()
}

fn binding(tag: u32) -> Request<u32> {
    Request::binding(SocketId(1), addr(SERVER), tag)
}

/// Sends a request to [`SERVER`], and returns its bytes.
fn sent_request(world: &mut Requester, credential: &Credential) -> Vec<u8> {
    send_request(world, binding(7), credential);
    sent(world)
}

/// Returns the request that was sent. Panics if there is another output.
fn sent(world: &mut Requester) -> Vec<u8> {
    match &world.outputs()[..] {
        [Output::Transmit(sent)] => sent.payload.to_vec(),
        other => panic!("one request, not {other:?}"),
    }
}

/// Returns the event. Panics if there is another output.
fn event(world: &mut Requester) -> TransactionEvent<u32> {
    match &world.outputs()[..] {
        [Output::Event(event)] => event.clone(),
        other => panic!("one event, not {other:?}"),
    }
}

fn id(request: &[u8]) -> TransactionId {
    Message::decode(request).unwrap().transaction_id()
}

fn kinds(request: &[u8]) -> Vec<AttributeType> {
    Message::decode(request).unwrap().fields().map(|field| field.kind).collect()
}

/// The challenge of a server; `None` for missing attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Challenge<'a> {
    code: u16,
    realm: Option<&'a str>,
    nonce: Option<&'a str>,
    algorithms: Option<&'a [PasswordAlgorithm<'a>]>,
}

pub(crate) const fn challenge<'a>(nonce: &'a str, algorithms: Option<&'a [PasswordAlgorithm<'a>]>) -> Challenge<'a> {
    Challenge { code: 401, realm: Some(REALM), nonce: Some(nonce), algorithms }
}

const fn stale<'a>(nonce: &'a str, algorithms: Option<&'a [PasswordAlgorithm<'a>]>) -> Challenge<'a> {
    Challenge { code: 438, ..challenge(nonce, algorithms) }
}

impl<'a> Challenge<'a> {
    const fn realm(mut self, realm: Option<&'a str>) -> Self {
        self.realm = realm;
        self
    }

    pub(crate) fn to(&self, request: &[u8]) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, Method::BINDING, id(request)).unwrap();
        writer.add(&Attribute::ErrorCode(ErrorCode::recommended(self.code).unwrap())).unwrap();
        self.realm.iter().for_each(|realm| writer.add(&Attribute::Realm((*realm).into())).unwrap());
        self.nonce.iter().for_each(|nonce| writer.add(&Attribute::Nonce((*nonce).into())).unwrap());
        self.algorithms.iter().for_each(|algorithms| writer.add_password_algorithms(algorithms).unwrap());
        writer.finish().to_vec()
    }
}

/// A response to a request with these attributes, with one integrity attribute or none.
fn response(
    request: &[u8],
    class: Class,
    attributes: &[Attribute<'_>],
    signed: Option<(&IntegrityKey, Integrity)>,
) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let mut writer = Writer::new(&mut buffer, class, Method::BINDING, id(request)).unwrap();
    attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
    match signed {
        None => writer.finish().to_vec(),
        Some((key, Integrity::Sha1)) => writer.message_integrity(key).unwrap().finish().to_vec(),
        Some((key, Integrity::Sha256 { .. })) => writer.message_integrity_sha256(key).unwrap().finish().to_vec(),
    }
}

fn success(request: &[u8], signed: Option<(&IntegrityKey, Integrity)>) -> Vec<u8> {
    response(request, Class::SuccessResponse, &[Attribute::XorMappedAddress(addr(MAPPED))], signed)
}

fn error(request: &[u8], code: u16, signed: Option<(&IntegrityKey, Integrity)>) -> Vec<u8> {
    let error = Attribute::ErrorCode(ErrorCode::recommended(code).unwrap());
    response(request, Class::ErrorResponse, &[error], signed)
}

/// Passes a message of [`SERVER`] to the machine.
fn receive(world: &mut Requester, bytes: &[u8]) {
    assert_eq!(world.datagram(1, SERVER, bytes), Verdict::Mine);
}

/// Passes a challenge to the machine, and returns the retry.
fn retried(world: &mut Requester, request: &[u8], challenge: Challenge<'_>) -> Vec<u8> {
    receive(world, &challenge.to(request));
    sent(world)
}

/// A world in which the long-term credential was authenticated to [`SERVER`] after this challenge.
fn authenticated(challenge: Challenge<'_>) -> Requester {
    let mut world = requester();
    let first = sent_request(&mut world, &long_term());
    let second = retried(&mut world, &first, challenge);
    let (key, integrity) =
        if challenge.algorithms.is_some() { (sha256(), Integrity::SHA256) } else { (md5(), Integrity::Sha1) };
    receive(&mut world, &success(&second, Some((&key, integrity))));
    assert_eq!(integrity_of(&event(&mut world)), Some(integrity));
    world
}

fn integrity_of(event: &TransactionEvent<u32>) -> Option<Integrity> {
    let TransactionEvent::Answered(answer) = event else { panic!("an answer, not {event:?}") };
    answer.integrity
}

/// The reason for which a request ended.
fn unusable(world: &mut Requester) -> portolan_stun_agent::Unusable {
    let TransactionEvent::Unusable { tag: 7, why, .. } = event(world) else { panic!("an end") };
    why
}

fn last_note(world: &Requester) -> &str {
    world.notes.0.last().unwrap()
}
