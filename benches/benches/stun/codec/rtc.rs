//! `rtc-stun`: its messages own their bytes and a copy of each value.

use super::{Check, Codec, PASSWORD, Response, Values};
use core::net::SocketAddr;
use rtc_stun::attributes::{ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_SOFTWARE, ATTR_USE_CANDIDATE, ATTR_USERNAME};
use rtc_stun::crypto::{RTCCrypto, default_provider};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{
    BINDING_REQUEST, BINDING_SUCCESS, Getter as _, Message, Setter as _, TransactionId, is_stun_message,
};
use rtc_stun::xoraddr::XorMappedAddress;

pub(crate) struct Rtc {
    crypto: &'static dyn RTCCrypto,
    /// The key, copied once. The crate computes the key schedule of the HMAC for each message.
    integrity: MessageIntegrity<'static>,
    /// Kept, so that its buffers are used again, as the documentation of the crate advises.
    message: Message,
}

impl Codec for Rtc {
    const NAME: &'static str = "rtc-stun";
    const CHECKS_BOUNDS: bool = true;

    fn new() -> Self {
        // Leaked, because `integrity` borrows it for the static lifetime.
        let crypto = Box::leak(Box::new(default_provider().expect("a provider is built in"))).crypto();
        let integrity = MessageIntegrity::new_raw_integrity_with_provider(PASSWORD, crypto);
        Self { crypto, integrity, message: Message::new() }
    }

    fn walk_response(&mut self, bytes: &[u8]) -> Option<Response> {
        self.message.unmarshal_binary(bytes).ok()?;
        let mut address = XorMappedAddress::default();
        address.get_from(&self.message).ok()?;
        // Its getters copy every value; what `decode` has filled can be read without.
        let mut attributes = self.message.attributes.0.iter();
        let software = &attributes.find(|attribute| attribute.typ == ATTR_SOFTWARE)?.value;
        Some(Response {
            mapped: SocketAddr::new(address.ip, address.port).into(),
            software: core::str::from_utf8(software).ok()?.into(),
        })
    }

    fn walk_check(&mut self, bytes: &[u8]) -> Option<Check> {
        self.message.unmarshal_binary(bytes).ok()?;
        let mut check = Check::default();
        // The getters copy every value. The list that `decode` fills can be read without copies.
        for attribute in &self.message.attributes.0 {
            match attribute.typ {
                ATTR_USERNAME => check.username = core::str::from_utf8(&attribute.value).ok()?.into(),
                ATTR_PRIORITY => check.priority = u32::from_be_bytes(attribute.value.as_slice().try_into().ok()?),
                ATTR_ICE_CONTROLLING => {
                    check.tie_breaker = u64::from_be_bytes(attribute.value.as_slice().try_into().ok()?);
                }
                ATTR_USE_CANDIDATE => check.use_candidate = attribute.value.is_empty(),
                _ => {}
            }
        }
        Some(check)
    }

    fn verify_fingerprint(&mut self, bytes: &[u8]) -> Option<bool> {
        self.message.unmarshal_binary(bytes).ok()?;
        Some(FINGERPRINT.check(&self.message).is_ok())
    }

    fn verify_both(&mut self, bytes: &[u8]) -> Option<bool> {
        self.message.unmarshal_binary(bytes).ok()?;
        Some(
            FINGERPRINT.check(&self.message).is_ok()
                && MessageIntegrity::check(&mut self.message, PASSWORD.as_bytes(), self.crypto).is_ok(),
        )
    }

    fn encode_response(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()> {
        self.message.reset();
        self.message.typ = BINDING_SUCCESS;
        self.message.transaction_id = TransactionId(values.transaction);
        self.message.write_header();
        XorMappedAddress { ip: values.mapped.ip(), port: values.mapped.port() }.add_to(&mut self.message).ok()?;
        self.message.add(ATTR_SOFTWARE, values.software.as_bytes());
        show(&self.message.raw);
        Some(())
    }

    fn encode_check(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()> {
        self.message.reset();
        self.message.typ = BINDING_REQUEST;
        self.message.transaction_id = TransactionId(values.transaction);
        self.message.write_header();
        self.message.add(ATTR_USERNAME, values.username.as_bytes());
        self.message.add(ATTR_PRIORITY, &values.priority.to_be_bytes());
        self.message.add(ATTR_ICE_CONTROLLING, &values.tie_breaker.to_be_bytes());
        self.message.add(ATTR_USE_CANDIDATE, &[]);
        self.integrity.add_to(&mut self.message).ok()?;
        FINGERPRINT.add_to(&mut self.message).ok()?;
        show(&self.message.raw);
        Some(())
    }

    fn looks_like_stun(&self, packet: &[u8]) -> bool {
        is_stun_message(packet)
    }
}
