//! `stun-types`: it verifies FINGERPRINT while decoding, and has no types for the ICE attributes.

use super::{Check, Codec, PASSWORD, Response, TRANSACTION, TextSummary, Values};
use core::hint::black_box;
use stun_types::attribute::{
    Attribute as _, AttributeFromRaw as _, AttributeStaticType as _, AttributeType, Fingerprint, MessageIntegrity,
    RawAttribute, Software, Username, XorMappedAddress,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageHeader, MessageType, MessageWrite as _,
    MessageWriteExt as _, MessageWriteMutSlice, ShortTermCredentials, TransactionId,
};

const PRIORITY_TYPE: AttributeType = AttributeType::new(0x0024);
const USE_CANDIDATE_TYPE: AttributeType = AttributeType::new(0x0025);
const CONTROLLING_TYPE: AttributeType = AttributeType::new(0x802a);

pub(crate) struct StunTypes {
    key: IntegrityKey,
    /// Made once: the conversion of twelve bytes to a number is not measured.
    transaction: TransactionId,
    buffer: [u8; 256],
}

impl Codec for StunTypes {
    const NAME: &'static str = "stun-types";
    const CHECKS_BOUNDS: bool = true;

    fn new() -> Self {
        let mut transaction = [0; 16];
        transaction[4..].copy_from_slice(&TRANSACTION);
        Self {
            key: ShortTermCredentials::new(PASSWORD.to_owned()).make_key(),
            transaction: u128::from_be_bytes(transaction).into(),
            buffer: [0; 256],
        }
    }

    fn walk_response(&mut self, bytes: &[u8]) -> Option<Response> {
        let message = Message::from_bytes(bytes).ok()?;
        let (mut address, mut software) = (None, TextSummary::default());
        for (_, attribute) in message.iter_attributes() {
            match attribute.get_type() {
                XorMappedAddress::TYPE => {
                    let value = XorMappedAddress::from_raw_ref(&attribute).ok()?;
                    address = Some(value.addr(message.transaction_id()).into());
                }
                Software::TYPE => software = Software::from_raw_ref(&attribute).ok()?.software().into(),
                _ => {}
            }
        }
        Some(Response { mapped: address?, software })
    }

    fn walk_check(&mut self, bytes: &[u8]) -> Option<Check> {
        let message = Message::from_bytes(bytes).ok()?;
        let mut check = Check::default();
        for (_, attribute) in message.iter_attributes() {
            let value = &attribute.value;
            match attribute.get_type() {
                Username::TYPE => check.username = Username::from_raw_ref(&attribute).ok()?.username().into(),
                PRIORITY_TYPE => check.priority = u32::from_be_bytes((**value).try_into().ok()?),
                CONTROLLING_TYPE => check.tie_breaker = u64::from_be_bytes((**value).try_into().ok()?),
                USE_CANDIDATE_TYPE => check.use_candidate = value.is_empty(),
                MessageIntegrity::TYPE => drop(black_box(MessageIntegrity::from_raw_ref(&attribute).ok()?)),
                Fingerprint::TYPE => drop(black_box(Fingerprint::from_raw_ref(&attribute).ok()?)),
                _ => {}
            }
        }
        Some(check)
    }

    fn verify_fingerprint(&mut self, bytes: &[u8]) -> Option<bool> {
        Some(Message::from_bytes(bytes).is_ok())
    }

    fn verify_both(&mut self, bytes: &[u8]) -> Option<bool> {
        let message = Message::from_bytes(bytes).ok()?;
        Some(message.validate_integrity_with_key(&self.key).is_ok())
    }

    fn encode_response(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()> {
        let kind = MessageType::from_class_method(MessageClass::Success, BINDING);
        let id = self.transaction;
        let mut writer = Message::builder(kind, id, MessageWriteMutSlice::new(&mut self.buffer));
        writer.add_attribute(&XorMappedAddress::new(values.mapped, id)).ok()?;
        writer.add_attribute(&Software::new(values.software).ok()?).ok()?;
        let length = writer.finish();
        show(&self.buffer[..length]);
        Some(())
    }

    fn encode_check(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()> {
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut writer = Message::builder(kind, self.transaction, MessageWriteMutSlice::new(&mut self.buffer));
        writer.add_attribute(&Username::new(values.username).ok()?).ok()?;
        writer.add_attribute(&RawAttribute::new(PRIORITY_TYPE, &values.priority.to_be_bytes())).ok()?;
        writer.add_attribute(&RawAttribute::new(CONTROLLING_TYPE, &values.tie_breaker.to_be_bytes())).ok()?;
        writer.add_attribute(&RawAttribute::new(USE_CANDIDATE_TYPE, &[])).ok()?;
        writer.add_message_integrity_with_key(&self.key, IntegrityAlgorithm::Sha1).ok()?;
        writer.add_fingerprint().ok()?;
        let length = writer.finish();
        show(&self.buffer[..length]);
        Some(())
    }

    fn looks_like_stun(&self, packet: &[u8]) -> bool {
        MessageHeader::from_bytes(packet).is_ok()
    }
}
