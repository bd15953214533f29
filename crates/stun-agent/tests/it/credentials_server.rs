//! The server side of the credential mechanisms: the checks of a request, their order, and the responses.

mod hostile;
mod long_term;
mod serving;
mod short_term;
mod timed;

use crate::world::addr;
use alloc::sync::Arc;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, Method, PasswordAlgorithm, Writer};
use portolan_stun_agent::authenticator::{Authenticator, Judgement, RejectionKind, Users};

pub(crate) const CLIENT: &str = "198.51.100.7:40000";
pub(crate) const REALM: &str = "example.org";
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "TheMatrIX";
const ID: [u8; 12] = [7; 12];
/// The default of the offered algorithms, in their order.
pub(crate) const OFFER: [PasswordAlgorithm<'static>; 2] = [PasswordAlgorithm::SHA256, PasswordAlgorithm::MD5];

/// The integrity attributes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Nothing,
    Sha1,
    Sha256,
    Both,
}

/// A message with attributes, optionally with PASSWORD-ALGORITHMS, and its signature.
pub(crate) struct Draft<'a> {
    pub(crate) class: Class,
    pub(crate) attributes: Vec<Attribute<'a>>,
    pub(crate) algorithms: Option<&'a [PasswordAlgorithm<'a>]>,
    pub(crate) key: IntegrityKey,
    pub(crate) sign: Sign,
    pub(crate) fingerprint: bool,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(attributes: &[Attribute<'a>], key: IntegrityKey, sign: Sign) -> Self {
        let attributes = attributes.to_vec();
        Self { class: Class::Request, attributes, algorithms: None, key, sign, fingerprint: false }
    }

    /// The request of an RFC 8489 client with all attributes and a SHA-256 key.
    pub(crate) fn complete(nonce: &'a str) -> Self {
        let mut attributes = credentials(nonce);
        attributes.push(Attribute::PasswordAlgorithm(PasswordAlgorithm::SHA256));
        let key = IntegrityKey::long_term_sha256(USER, REALM, PASSWORD);
        Self { algorithms: Some(&OFFER), ..Self::new(&attributes, key, Sign::Sha256) }
    }

    /// The request of an RFC 5389 client with an MD5 key.
    pub(crate) fn rfc5389(nonce: &'a str) -> Self {
        Self::new(&credentials(nonce), IntegrityKey::long_term_md5(USER, REALM, PASSWORD), Sign::Sha1)
    }

    pub(crate) fn with(mut self, attribute: Attribute<'a>) -> Self {
        self.attributes.push(attribute);
        self
    }

    pub(crate) fn without(mut self, kind: AttributeType) -> Self {
        self.attributes.retain(|attribute| attribute.kind() != kind);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        let mut writer = Writer::new(&mut buffer, self.class, Method::BINDING, ID.into()).unwrap();
        for attribute in &self.attributes {
            writer.add(attribute).unwrap();
        }
        if let Some(algorithms) = self.algorithms {
            writer.add_password_algorithms(algorithms).unwrap();
        }
        macro_rules! end {
            ($writer:expr) => {
                if self.fingerprint {
                    $writer.fingerprint().unwrap().finish().to_vec()
                } else {
                    $writer.finish().to_vec()
                }
            };
        }
        match self.sign {
            Sign::Nothing => end!(writer),
            Sign::Sha1 => end!(writer.message_integrity(&self.key).unwrap()),
            Sign::Sha256 => end!(writer.message_integrity_sha256(&self.key).unwrap()),
            Sign::Both => {
                end!(writer.message_integrity(&self.key).unwrap().message_integrity_sha256(&self.key).unwrap())
            }
        }
    }
}

fn credentials(nonce: &str) -> Vec<Attribute<'_>> {
    vec![Attribute::Username(USER.into()), Attribute::Realm(REALM.into()), Attribute::Nonce(nonce.into())]
}

pub(crate) fn users() -> Users {
    let mut users = Users::long_term(REALM);
    users.add(USER, PASSWORD).unwrap();
    users
}

pub(crate) fn long_term() -> Authenticator {
    Authenticator::long_term(REALM, &[7; 32], users()).unwrap()
}

pub(crate) fn at(seconds: u64) -> Instant {
    Instant::from_origin(Duration::from_secs(seconds))
}

/// The user of an admitted message; or the error code, if there is a reply, and the reason of the rejection.
pub(crate) type JudgeResult = Result<Arc<str>, (Option<u16>, RejectionKind)>;

/// Judges a message from `CLIENT`. A discarded message has no error code.
pub(crate) fn judge(authenticator: &Authenticator, seconds: u64, bytes: &[u8]) -> JudgeResult {
    match authenticator.judge(at(seconds), addr(CLIENT), &Message::decode(bytes).unwrap()) {
        Judgement::Admitted(admitted) => Ok(admitted.username),
        Judgement::Rejected(why) => Err((Some(why.code()), why.kind)),
        Judgement::Discarded(why) => Err((None, why.kind)),
    }
}

/// The reply to a request that is rejected.
pub(crate) fn rejection(authenticator: &Authenticator, seconds: u64, source: &str, bytes: &[u8]) -> Vec<u8> {
    let (request, source) = (Message::decode(bytes).unwrap(), addr(source));
    let Judgement::Rejected(why) = authenticator.judge(at(seconds), source, &request) else {
        panic!("the request is not rejected")
    };
    let mut room = [0; Authenticator::REJECTION_LEN];
    authenticator.write_rejection(&mut room, at(seconds), source, &request, why).unwrap().to_vec()
}

/// The nonce in a 401 to `source`.
pub(crate) fn nonce(authenticator: &Authenticator, seconds: u64, source: &str) -> String {
    let bare = Draft::new(&[], IntegrityKey::short_term(""), Sign::Nothing).bytes();
    let reply = rejection(authenticator, seconds, source, &bare);
    Message::decode(&reply).unwrap().nonce().unwrap().to_string()
}

/// The types of the attributes of a message, in their order.
pub(crate) fn kinds(bytes: &[u8]) -> Vec<AttributeType> {
    Message::decode(bytes).unwrap().fields().map(|field| field.kind).collect()
}

pub(crate) fn code(bytes: &[u8]) -> Option<u16> {
    Message::decode(bytes).unwrap().error_code().map(|error| error.code())
}

/// The bytes of a sample in the notation of an RFC.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
