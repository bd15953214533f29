//! `portolan-stun`.

use super::{Check, Codec, PASSWORD, Response, TextSummary, Values};
use core::hint::black_box;
use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, Writer, is_stun};

pub(crate) struct Ours {
    key: IntegrityKey,
    buffer: [u8; 256],
}

impl Codec for Ours {
    const NAME: &'static str = "portolan-stun";
    const CHECKS_BOUNDS: bool = true;

    fn new() -> Self {
        Self { key: IntegrityKey::short_term(PASSWORD), buffer: [0; 256] }
    }

    fn walk_response(&mut self, bytes: &[u8]) -> Option<Response> {
        let (mut address, mut software) = (None, TextSummary::default());
        for attribute in Message::decode(bytes).ok()?.attributes() {
            match attribute.ok()? {
                Attribute::XorMappedAddress(value) => address = Some(value.into()),
                Attribute::Software(text) => software = text.as_str()?.into(),
                _ => {}
            }
        }
        Some(Response { mapped: address?, software })
    }

    fn walk_check(&mut self, bytes: &[u8]) -> Option<Check> {
        let mut check = Check::default();
        for attribute in Message::decode(bytes).ok()?.attributes() {
            match attribute.ok()? {
                Attribute::Username(text) => check.username = text.as_str()?.into(),
                Attribute::Priority(priority) => check.priority = priority,
                Attribute::IceControlling(tie_breaker) => check.tie_breaker = tie_breaker,
                Attribute::UseCandidate => check.use_candidate = true,
                Attribute::MessageIntegrity(hmac) => _ = black_box(hmac),
                Attribute::Fingerprint(crc) => _ = black_box(crc),
                _ => {}
            }
        }
        Some(check)
    }

    fn verify_fingerprint(&mut self, bytes: &[u8]) -> Option<bool> {
        Some(Message::decode(bytes).ok()?.check_fingerprint().is_ok())
    }

    fn verify_both(&mut self, bytes: &[u8]) -> Option<bool> {
        let message = Message::decode(bytes).ok()?;
        Some(message.check_fingerprint().is_ok() && message.verify(&self.key).is_ok())
    }

    fn encode_response(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()> {
        let id = values.transaction.into();
        let mut writer = Writer::new(&mut self.buffer, Class::SuccessResponse, Method::BINDING, id).ok()?;
        writer.add(&Attribute::XorMappedAddress(values.mapped)).ok()?;
        writer.add(&Attribute::Software(values.software.into())).ok()?;
        show(writer.finish());
        Some(())
    }

    fn encode_check(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()> {
        let id = values.transaction.into();
        let mut writer = Writer::new(&mut self.buffer, Class::Request, Method::BINDING, id).ok()?;
        writer.add(&Attribute::Username(values.username.into())).ok()?;
        writer.add(&Attribute::Priority(values.priority)).ok()?;
        writer.add(&Attribute::IceControlling(values.tie_breaker)).ok()?;
        writer.add(&Attribute::UseCandidate).ok()?;
        show(writer.message_integrity(&self.key).ok()?.fingerprint().ok()?.finish());
        Some(())
    }

    fn looks_like_stun(&self, packet: &[u8]) -> bool {
        is_stun(packet)
    }
}
