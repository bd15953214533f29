//! What every codec is asked to do, and what it must have understood.
//!
//! Rules of this file: a codec gets a datagram and gives plain values, so that no codec is paid for borrowing and none for
//! being lazy; what it writes it is given as [`Values`] that lie in memory since long ago, so that no codec waits for the
//! harness; where it cannot do the work it says `None`, and is not timed.

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
/// The transaction of both messages.
pub(crate) const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
pub(crate) const SOFTWARE: &str = "test vector";
pub(crate) const USERNAME: &str = "evtj:h6vY";
pub(crate) const PRIORITY: u32 = 0x6e00_01ff;
pub(crate) const TIE_BREAKER: u64 = 0x932f_f9b1_5126_3b36;

/// The reflexive address of the Binding response.
pub(crate) fn mapped() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 32853))
}

/// What both messages say.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) transaction: [u8; 12],
    pub(crate) mapped: SocketAddr,
    pub(crate) software: &'static str,
    pub(crate) username: &'static str,
    pub(crate) priority: u32,
    pub(crate) tie_breaker: u64,
}

/// The values of every run.
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

/// A text without its owner: its length and its last byte. Each codec has to read the text as `&str`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Glimpse(usize, u8);

impl From<&str> for Glimpse {
    #[inline(always)]
    fn from(text: &str) -> Self {
        Self(text.len(), text.as_bytes().last().copied().unwrap_or_default())
    }
}

/// An address as numbers, so that no codec is paid for moving it about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u128, u16);

impl From<SocketAddr> for Place {
    #[inline(always)]
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self(address.ip().to_bits().into(), address.port()),
            SocketAddr::V6(address) => Self(address.ip().to_bits(), address.port()),
        }
    }
}

/// What a Binding response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) mapped: Place,
    pub(crate) software: Glimpse,
}

/// What an ICE check says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) username: Glimpse,
    pub(crate) priority: u32,
    pub(crate) tie_breaker: u64,
    pub(crate) use_candidate: bool,
}

/// A codec under the clock.
pub(crate) trait Codec {
    /// The name of its package.
    const NAME: &'static str;
    /// Whether decoding checks cookie, length and the bounds of each attribute.
    const CAREFUL: bool;

    fn new() -> Self;
    /// Reads a Binding response, all values typed.
    fn walk_response(&mut self, bytes: &[u8]) -> Option<Response>;
    /// Reads an ICE check, all values typed; nothing needs to be verified.
    fn walk_check(&mut self, bytes: &[u8]) -> Option<Check>;
    /// From the datagram to the verdict on FINGERPRINT.
    fn verify_fingerprint(&mut self, bytes: &[u8]) -> Option<bool>;
    /// From the datagram to the verdict on MESSAGE-INTEGRITY, and on FINGERPRINT unless [`Codec::INTEGRITY_ONLY`].
    fn verify_both(&mut self, bytes: &[u8]) -> Option<bool>;
    /// Whether it has no FINGERPRINT to verify, and did less work.
    const INTEGRITY_ONLY: bool = false;
    /// Writes the response and shows it. A transaction ID of a type of its own may be kept from [`Codec::new`].
    fn encode_response(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()>;
    /// Writes the check and shows it, the key kept from [`Codec::new`] in whatever form the codec has for it.
    fn encode_check(&mut self, values: &Values, show: impl FnOnce(&[u8])) -> Option<()>;
    /// Whether a packet on a shared socket looks like STUN, in the cheapest way that the codec offers.
    fn looks_like_stun(&self, packet: &[u8]) -> bool;
}
