//! Uses the STUN codec without the standard library and without an allocator. `cargo xtask no-std` links and runs it.

#![no_std]
#![no_builtins]

use core::net::{Ipv4Addr, SocketAddr};
use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, Writer};

#[path = "../../bare.rs"]
mod bare;

/// Returns 0, or the number of the first check that failed.
fn prove() -> u8 {
    let mut buffer = [0; 128];
    let key = IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 32853));
    let Some(bytes) = encode(&mut buffer, &key, address) else { return 1 };
    let Ok(message) = Message::decode(bytes) else { return 2 };
    if message.xor_mapped_address() != Some(address) {
        return 3;
    }
    if message.check_fingerprint().is_err() {
        return 4;
    }
    if message.verify(&key).is_err() {
        return 5;
    }
    if message.verify(&IntegrityKey::short_term("another")).is_ok() {
        return 6;
    }
    let cut = bytes.len().saturating_sub(1);
    if Message::decode(bytes.get(..cut).unwrap_or_default()).is_ok() {
        return 7;
    }
    0
}

fn encode<'b>(buffer: &'b mut [u8], key: &IntegrityKey, address: SocketAddr) -> Option<&'b [u8]> {
    let mut writer = Writer::new(buffer, Class::SuccessResponse, Method::BINDING, [7; 12].into()).ok()?;
    writer.add(&Attribute::XorMappedAddress(address)).ok()?;
    Some(writer.message_integrity(key).ok()?.fingerprint().ok()?.finish())
}
