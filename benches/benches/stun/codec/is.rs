//! `is`: a fixed set of ICE attributes. It does not check FINGERPRINT and refuses a response without integrity.

use super::{Check, Codec, PASSWORD, Response, Values};
use hmac::{Hmac, KeyInit as _, Mac as _};
use is::stun::{StunMessage, TransId};
use sha1::Sha1;

pub(crate) struct Is {
    /// The caller computes the HMAC and may keep the key schedule, which is the fastest way.
    keyed: Hmac<Sha1>,
    /// A random transaction ID: the crate accepts no other.
    transaction: TransId,
    buffer: [u8; 256],
}

impl Is {
    fn hmac(keyed: &Hmac<Sha1>, parts: &[&[u8]]) -> [u8; 20] {
        let mut hmac = keyed.clone();
        for part in parts {
            hmac.update(part);
        }
        hmac.finalize().into_bytes().into()
    }
}

impl Codec for Is {
    const NAME: &'static str = "is";
    const CHECKS_BOUNDS: bool = true;
    const INTEGRITY_ONLY: bool = true;

    fn new() -> Self {
        let keyed = Hmac::new_from_slice(PASSWORD.as_bytes()).expect("HMAC accepts keys of any length");
        Self { keyed, transaction: TransId::new(), buffer: [0; 256] }
    }

    fn walk_response(&mut self, _: &[u8]) -> Option<Response> {
        None
    }

    fn walk_check(&mut self, bytes: &[u8]) -> Option<Check> {
        let message = StunMessage::parse(bytes).ok()?;
        Some(Check {
            username: message.username()?.into(),
            priority: message.prio()?,
            tie_breaker: message.ice_controlling()?,
            use_candidate: message.use_candidate(),
        })
    }

    fn verify_fingerprint(&mut self, _: &[u8]) -> Option<bool> {
        None
    }

    fn verify_both(&mut self, bytes: &[u8]) -> Option<bool> {
        let message = StunMessage::parse(bytes).ok()?;
        Some(message.verify(PASSWORD.as_bytes(), |_, parts| Self::hmac(&self.keyed, parts)))
    }

    fn encode_response(&mut self, _: &Values, _: impl FnOnce(&[u8])) -> Option<()> {
        None
    }

    fn encode_check(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()> {
        let (username, priority) = (values.username, values.priority);
        let message =
            StunMessage::binding_request(username, self.transaction, true, values.tie_breaker, priority, true);
        let keyed = &self.keyed;
        let password = Some(PASSWORD.as_bytes());
        let length = message.to_bytes(password, &mut self.buffer, |_, parts| Self::hmac(keyed, parts)).ok()?;
        show(&self.buffer[..length]);
        Some(())
    }

    fn looks_like_stun(&self, packet: &[u8]) -> bool {
        StunMessage::parse(packet).is_ok()
    }
}
