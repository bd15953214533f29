//! The operations of the table, with a check of each.

use crate::clock::ThreadTime;
use crate::codec::Ours;
use crate::codec::{Check, Codec, PRIORITY, Response, SOFTWARE, TIE_BREAKER, USERNAME, mapped};
use crate::messages::{Messages, OTHERS};
use crate::table::Goal;
use core::hint::black_box;
use criterion::Bencher;

/// The input of all operations.
pub(crate) type Inputs = Messages;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    WalkResponse,
    WalkCheck,
    VerifyFingerprint,
    VerifyBoth,
    EncodeResponse,
    EncodeCheck,
    Refuse,
}

impl Operation {
    pub(crate) const ALL: [Self; 7] = [
        Self::WalkResponse,
        Self::WalkCheck,
        Self::VerifyFingerprint,
        Self::VerifyBoth,
        Self::EncodeResponse,
        Self::EncodeCheck,
        Self::Refuse,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WalkResponse => "walk-response",
            Self::WalkCheck => "walk-check",
            Self::VerifyFingerprint => "verify-fingerprint",
            Self::VerifyBoth => "verify-both",
            Self::EncodeResponse => "encode-response",
            Self::EncodeCheck => "encode-check",
            Self::Refuse => "refuse",
        }
    }

    pub(crate) const fn goal(self) -> Goal {
        let factor = match self {
            Self::WalkResponse => 0.25,
            Self::WalkCheck => 0.6,
            Self::VerifyFingerprint => 0.22,
            Self::VerifyBoth => 0.7,
            Self::EncodeResponse => 0.4,
            Self::EncodeCheck => 0.5,
            Self::Refuse => 1.1,
        };
        let extra = if matches!(self, Self::Refuse) { 0.5 } else { 0.0 };
        Goal { factor, extra, allocations: 0.0 }
    }

    /// Returns how many times one measured call does the work.
    pub(crate) const fn repeats(self) -> f64 {
        if matches!(self, Self::Refuse) { OTHERS as f64 } else { 1.0 }
    }

    /// Whether the ratio may compare with this codec: it makes the same checks and does the same work. A walk is compared with
    /// every peer.
    pub(crate) const fn counts<C: Codec>(self) -> bool {
        match self {
            Self::WalkResponse | Self::WalkCheck => true,
            Self::VerifyBoth => C::CHECKS_BOUNDS && !C::INTEGRITY_ONLY,
            Self::VerifyFingerprint | Self::EncodeResponse | Self::EncodeCheck | Self::Refuse => C::CHECKS_BOUNDS,
        }
    }

    /// Returns the number of allocations of the work.
    pub(crate) fn allocations<C: Codec>(self, messages: &Messages) -> f64 {
        let mut codec = C::new();
        crate::allocations::of(|| self.run(&mut codec, messages))
    }

    /// Does the work once.
    fn run<C: Codec>(self, codec: &mut C, messages: &Messages) {
        match self {
            Self::WalkResponse => drop(black_box(codec.walk_response(&messages.response))),
            Self::WalkCheck => drop(black_box(codec.walk_check(&messages.check))),
            Self::VerifyFingerprint => drop(black_box(codec.verify_fingerprint(&messages.check))),
            Self::VerifyBoth => drop(black_box(codec.verify_both(&messages.check))),
            Self::EncodeResponse => drop(black_box(codec.encode_response(&messages.values, show))),
            Self::EncodeCheck => drop(black_box(codec.encode_check(&messages.values, show))),
            Self::Refuse => drop(black_box(accepted(codec, &messages.others))),
        }
    }

    /// Measures the work.
    pub(crate) fn time<C: Codec>(self, bencher: &mut Bencher<'_, ThreadTime>, messages: &Messages) {
        let codec = &mut C::new();
        let Messages { values, response, check, others } = messages;
        match self {
            Self::WalkResponse => bencher.iter(|| codec.walk_response(black_box(response))),
            Self::WalkCheck => bencher.iter(|| codec.walk_check(black_box(check))),
            Self::VerifyFingerprint => bencher.iter(|| codec.verify_fingerprint(black_box(check))),
            Self::VerifyBoth => bencher.iter(|| codec.verify_both(black_box(check))),
            Self::EncodeResponse => bencher.iter(|| codec.encode_response(black_box(values), show)),
            Self::EncodeCheck => bencher.iter(|| codec.encode_check(black_box(values), show)),
            Self::Refuse => bencher.iter(|| accepted(codec, black_box(others))),
        }
    }

    /// Whether the codec supports the operation.
    ///
    /// # Panics
    /// If the result of the codec is wrong.
    pub(crate) fn check<C: Codec>(self, messages: &Messages) -> bool {
        let mut codec = C::new();
        let name = C::NAME;
        match self {
            Self::WalkResponse => codec.walk_response(&messages.response).is_some_and(|seen| {
                assert_eq!(seen, expected_response(), "{name}");
                true
            }),
            Self::WalkCheck => codec.walk_check(&messages.check).is_some_and(|seen| {
                assert_eq!(seen, expected_check(), "{name}");
                true
            }),
            Self::VerifyFingerprint => codec.verify_fingerprint(&messages.check).is_some_and(|right| {
                assert!(right, "{name} accepts a right FINGERPRINT");
                let verdict = codec.verify_fingerprint(&forged(messages, messages.check.len() - 1));
                assert_eq!(verdict, Some(false), "{name} refuses a wrong FINGERPRINT");
                true
            }),
            Self::VerifyBoth => codec.verify_both(&messages.check).is_some_and(|right| {
                assert!(right, "{name} accepts a right MESSAGE-INTEGRITY");
                // Integrity and FINGERPRINT both cover this byte of the priority.
                assert_ne!(codec.verify_both(&forged(messages, 40)), Some(true), "{name} refuses a forgery");
                true
            }),
            Self::EncodeResponse => {
                let mut bytes: Vec<u8> = Vec::new();
                let able = codec.encode_response(&messages.values, |written| bytes.extend(written)).is_some();
                assert!(!able || bytes == messages.response, "{name} writes another response: {bytes:02x?}");
                able
            }
            Self::EncodeCheck => {
                let mut bytes: Vec<u8> = Vec::new();
                let able = codec.encode_check(&messages.values, |written| bytes.extend(written)).is_some();
                assert!(!able || is_equivalent_check(&bytes, messages), "{name} writes another check: {bytes:02x?}");
                able
            }
            Self::Refuse => {
                assert_eq!(accepted(&codec, &messages.others), 0, "{name} accepts another packet as STUN");
                assert!(codec.looks_like_stun(&messages.check), "{name} does not accept STUN");
                true
            }
        }
    }
}

/// Prevents the compiler from removing the encoding.
#[inline(always)]
fn show(bytes: &[u8]) {
    black_box(bytes);
}

#[inline(always)]
fn accepted<C: Codec>(codec: &C, packets: &[Vec<u8>]) -> usize {
    packets.iter().map(|packet| usize::from(codec.looks_like_stun(packet))).sum()
}

fn expected_response() -> Response {
    Response { mapped: mapped().into(), software: SOFTWARE.into() }
}

fn expected_check() -> Check {
    Check { username: USERNAME.into(), priority: PRIORITY, tie_breaker: TIE_BREAKER, use_candidate: true }
}

/// Returns the check with one bit changed.
fn forged(messages: &Messages, at: usize) -> Vec<u8> {
    let mut bytes = messages.check.clone();
    bytes[at] ^= 1;
    bytes
}

/// Whether a message has the length, the values and the key of the check. The order of the attributes and the
/// transaction ID may differ.
fn is_equivalent_check(bytes: &[u8], messages: &Messages) -> bool {
    let mut ours = Ours::new();
    bytes.len() == messages.check.len()
        && ours.walk_check(bytes) == Some(expected_check())
        && ours.verify_both(bytes) == Some(true)
}
