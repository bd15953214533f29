//! Encodes, decodes and verifies a message with `stun`.

use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, Writer};

pub fn prove() -> bool {
    round_trip().is_some()
}

fn round_trip() -> Option<()> {
    let key = IntegrityKey::long_term_sha256("user", "example.org", "secret");
    let address = "[2001:db8::1]:3478".parse().ok()?;
    let mut buffer = [0; 128];
    let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, [1; 12].into()).ok()?;
    writer.add(&Attribute::XorMappedAddress(address)).ok()?;
    let bytes = writer.message_integrity_sha256(&key).ok()?.fingerprint().ok()?.finish();
    let message = Message::decode(bytes).ok()?;
    message.check_fingerprint().ok()?;
    message.verify(&key).ok()?;
    (message.xor_mapped_address() == Some(address)).then_some(())
}
