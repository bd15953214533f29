//! The operations of every codec, and the results that they must have.
//!
//! A codec gets a datagram and returns plain values, so that borrowing or lazy codecs do the same work. The values to
//! write were stored long before the clock starts ([`Values`]), so that no load waits for a recent store. An
//! operation that a codec does not support returns `None` and is not timed.

mod ezk;
mod is;
mod ours;
mod rtc;
mod stun_types;

pub(crate) use ezk::Ezk;
pub(crate) use is::Is;
pub(crate) use ours::Ours;
pub(crate) use rtc::Rtc;
pub(crate) use stun_types::StunTypes;

use core::net::SocketAddr;

/// The password of the ICE check, the key of its integrity.
pub(crate) const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
/// The transaction ID of both messages.
pub(crate) const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
pub(crate) const SOFTWARE: &str = "test vector";
pub(crate) const USERNAME: &str = "evtj:h6vY";
pub(crate) const PRIORITY: u32 = 0x6e00_01ff;
pub(crate) const TIE_BREAKER: u64 = 0x932f_f9b1_5126_3b36;

/// The reflexive address of the Binding response.
pub(crate) fn mapped() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 32853))
}

/// The values of both messages.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) transaction: [u8; 12],
    pub(crate) mapped: SocketAddr,
    pub(crate) software: &'static str,
    pub(crate) username: &'static str,
    pub(crate) priority: u32,
    pub(crate) tie_breaker: u64,
}

/// Returns the values, which are the same in every run.
pub(crate) fn values() -> Values {
    Values {
        transaction: TRANSACTION,
        mapped: mapped(),
        software: SOFTWARE,
        username: USERNAME,
        priority: PRIORITY,
        tie_breaker: TIE_BREAKER,
    }
}

/// The length and the last byte of a text. Each codec must read the text as `&str`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextSummary(usize, u8);

impl From<&str> for TextSummary {
    #[inline(always)]
    fn from(text: &str) -> Self {
        Self(text.len(), text.as_bytes().last().copied().unwrap_or_default())
    }
}

/// An address and a port as numbers, so that the type of the codec is not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressBits(u128, u16);

impl From<SocketAddr> for AddressBits {
    #[inline(always)]
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self(address.ip().to_bits().into(), address.port()),
            SocketAddr::V6(address) => Self(address.ip().to_bits(), address.port()),
        }
    }
}

/// The values of a Binding response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) mapped: AddressBits,
    pub(crate) software: TextSummary,
}

/// The values of an ICE connectivity check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) username: TextSummary,
    pub(crate) priority: u32,
    pub(crate) tie_breaker: u64,
    pub(crate) use_candidate: bool,
}

/// A measured codec.
pub(crate) trait Codec {
    /// The name of its package.
    const NAME: &'static str;
    /// Whether decoding checks the cookie, the length and the bounds of each attribute. A ratio compares only with
    /// such codecs.
    const CHECKS_BOUNDS: bool;

    fn new() -> Self;
    /// Decodes all values of a Binding response.
    fn walk_response(&mut self, bytes: &[u8]) -> Option<Response>;
    /// Decodes all values of an ICE check, without verification.
    fn walk_check(&mut self, bytes: &[u8]) -> Option<Check>;
    /// Decodes the datagram and verifies FINGERPRINT.
    fn verify_fingerprint(&mut self, bytes: &[u8]) -> Option<bool>;
    /// Decodes the datagram and verifies MESSAGE-INTEGRITY, and FINGERPRINT unless [`Codec::INTEGRITY_ONLY`].
    fn verify_both(&mut self, bytes: &[u8]) -> Option<bool>;
    /// Whether `verify_both` does not verify FINGERPRINT, which is less work.
    const INTEGRITY_ONLY: bool = false;
    /// Encodes the response and calls `show` with it. [`Codec::new`] may store the transaction ID in the type of the
    /// codec.
    fn encode_response(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()>;
    /// Encodes the check and calls `show` with it. [`Codec::new`] may store the key in the type of the codec.
    fn encode_check(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()>;
    /// Whether a packet on a shared socket looks like STUN, by the fastest test of the codec.
    fn looks_like_stun(&self, packet: &[u8]) -> bool;
}
