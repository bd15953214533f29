//! `ezk-stun-types`: it copies the datagram, and does not compare the length field with the length of the datagram.

use super::{Check, Codec, PASSWORD, Response, Values};
use ezk_stun_types::attributes::{
    Fingerprint, IceControlling, MessageIntegrity, MessageIntegrityKey, Priority, Software, UseCandidate, Username,
    XorMappedAddress,
};
use ezk_stun_types::{Class, IsStunMessageInfo, Message, MessageBuilder, Method, TransactionId, is_stun_message};

pub(crate) struct Ezk;

impl Codec for Ezk {
    const NAME: &'static str = "ezk-stun-types";
    const CHECKS_BOUNDS: bool = false;

    fn new() -> Self {
        Self
    }

    fn walk_response(&mut self, bytes: &[u8]) -> Option<Response> {
        let mut message = Message::parse(bytes).ok()?;
        let address = message.attribute::<XorMappedAddress>()?.ok()?.0.into();
        let software = message.attribute::<Software<'_>>()?.ok()?.0.into();
        Some(Response { mapped: address, software })
    }

    fn walk_check(&mut self, bytes: &[u8]) -> Option<Check> {
        let mut message = Message::parse(bytes).ok()?;
        Some(Check {
            username: message.attribute::<Username<'_>>()?.ok()?.0.into(),
            priority: message.attribute::<Priority>()?.ok()?.0,
            tie_breaker: message.attribute::<IceControlling>()?.ok()?.0,
            use_candidate: message.attribute::<UseCandidate>()?.is_ok(),
        })
    }

    fn verify_fingerprint(&mut self, bytes: &[u8]) -> Option<bool> {
        let mut message = Message::parse(bytes).ok()?;
        Some(message.attribute::<Fingerprint>()?.is_ok())
    }

    fn verify_both(&mut self, bytes: &[u8]) -> Option<bool> {
        let mut message = Message::parse(bytes).ok()?;
        // Each verification consumes the key, and the key cannot be cloned.
        let key = MessageIntegrityKey::new(PASSWORD);
        Some(message.attribute::<Fingerprint>()?.is_ok() && message.attribute_with::<MessageIntegrity>(key)?.is_ok())
    }

    fn encode_response(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()> {
        let id = TransactionId::new(values.transaction);
        let mut builder = MessageBuilder::new(Class::Success, Method::Binding, id);
        builder.add_attr(XorMappedAddress(values.mapped));
        builder.add_attr(Software::new(values.software));
        show(&builder.finish());
        Some(())
    }

    fn encode_check(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()> {
        let id = TransactionId::new(values.transaction);
        let mut builder = MessageBuilder::new(Class::Request, Method::Binding, id);
        builder.add_attr(Username::new(values.username));
        builder.add_attr(Priority(values.priority));
        builder.add_attr(IceControlling(values.tie_breaker));
        builder.add_attr(UseCandidate);
        builder.add_attr_with(MessageIntegrity, MessageIntegrityKey::new(PASSWORD));
        builder.add_attr(Fingerprint);
        show(&builder.finish());
        Some(())
    }

    fn looks_like_stun(&self, packet: &[u8]) -> bool {
        matches!(is_stun_message(packet), IsStunMessageInfo::Yes { .. } | IsStunMessageInfo::YesIncomplete { .. })
    }
}
