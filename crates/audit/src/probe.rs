//! The probes of an audit, their schedules, and the bytes of irregular probes.
//!
//! Rules of this file: pure. [`Transactions`](portolan_stun_agent::Transactions) writes the regular requests. This
//! file writes the messages that a [`Writer`] refuses, and the messages that must not become a transaction.

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use portolan_stun::{Attribute, AttributeType, Class, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId, Writer};
use portolan_stun_agent::Schedule;

/// A kind of message that an audit sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Probe {
    /// A bare Binding request that is repeated during the whole audit, to measure the loss.
    Control,
    /// A bare Binding request from a second socket.
    Second,
    /// A Binding request over TCP.
    Tcp,
    /// A Binding request without the magic cookie, as in RFC 3489.
    Classic,
    /// A Binding request with FINGERPRINT.
    Fingerprint,
    /// A Binding request with a wrong FINGERPRINT.
    WrongFingerprint,
    /// A Binding request with an attribute after FINGERPRINT.
    AfterFingerprint,
    /// A Binding request with an unknown comprehension-required attribute.
    UnknownRequired,
    /// A Binding request with an unknown comprehension-optional attribute.
    UnknownOptional,
    /// A request of an unassigned method.
    UnknownMethod,
    /// A Binding indication.
    Indication,
    /// A Binding success response.
    Response,
    /// A request whose last attribute is truncated.
    Truncated,
    /// A request whose length is not a multiple of 4.
    OddLength,
    /// A datagram that is not a STUN message.
    Garbage,
    /// A bare request to the other address.
    AlternateAddress,
    /// A bare request to the other port.
    AlternatePort,
    /// A bare request to the other address and port.
    AlternateBoth,
    /// CHANGE-REQUEST for the port.
    ChangePort,
    /// CHANGE-REQUEST for the address.
    ChangeAddress,
    /// CHANGE-REQUEST for the address and the port.
    ChangeBoth,
    /// RESPONSE-PORT with the port of the second socket.
    ResponsePort,
    /// PADDING.
    Padding,
    /// PADDING with RESPONSE-PORT.
    PaddingAndResponsePort,
}

/// The requests, in the order of their first sends.
///
/// Requests that must not be answered have the longest timeout, so they are among the first. Requests that depend on
/// the responses to others are the last.
pub(crate) const REQUESTS: [Probe; 18] = [
    Probe::Control,
    Probe::Second,
    Probe::UnknownRequired,
    Probe::UnknownMethod,
    Probe::WrongFingerprint,
    Probe::Fingerprint,
    Probe::UnknownOptional,
    Probe::Classic,
    Probe::AfterFingerprint,
    Probe::Padding,
    Probe::PaddingAndResponsePort,
    Probe::ResponsePort,
    Probe::AlternateAddress,
    Probe::AlternatePort,
    Probe::AlternateBoth,
    Probe::ChangePort,
    Probe::ChangeAddress,
    Probe::ChangeBoth,
];

/// Malformed messages and messages that are not requests. One is sent together with each of the first requests.
pub(crate) const MALFORMED: [Probe; 5] =
    [Probe::Indication, Probe::Response, Probe::Truncated, Probe::OddLength, Probe::Garbage];

/// The interval of new requests. With the request over TCP there are at most ten in any second (RFC 5780 §5).
pub(crate) const PACE: Duration = Duration::from_millis(112);
/// After this time without any response the other probes are not sent.
pub(crate) const NO_RESPONSE_TIMEOUT: Duration = Duration::from_millis(1200);
/// A comprehension-required attribute that no server understands: unassigned in the registry.
pub(crate) const UNKNOWN_REQUIRED: AttributeType = AttributeType::new(0x7ead);
/// A comprehension-optional attribute that no server understands.
const UNKNOWN_OPTIONAL: AttributeType = AttributeType::new(0xfead);
/// The length of PADDING in bytes: enough to be recognized, too short for an amplification attack.
pub(crate) const PADDING: u16 = 256;

/// The schedule of the control. It goes on after a response.
pub(crate) const CONTROL: Schedule = Schedule::at_millis([0])
    .every(Duration::from_millis(200))
    .until(Duration::from_secs(2))
    .jitter(Duration::from_millis(10))
    .repeat(true);
/// The schedule of a probe that a correct server answers. It ends with the response.
pub(crate) const ANSWERED: Schedule = Schedule::at_millis([0, 90, 190, 300, 400, 510, 600]);
/// The schedule of a probe that a correct server does not answer.
pub(crate) const UNANSWERED: Schedule = Schedule::at_millis([0, 150, 300, 450]);

impl Probe {
    /// Whether a correct server sends no response.
    pub(crate) const fn expects_no_response(self) -> bool {
        matches!(
            self,
            Self::WrongFingerprint
                | Self::UnknownMethod
                | Self::Indication
                | Self::Response
                | Self::Truncated
                | Self::OddLength
                | Self::Garbage
        )
    }

    /// Whether the audit sends the probe itself, because it is not a regular request.
    pub(crate) const fn is_irregular(self) -> bool {
        self.expects_no_response() || matches!(self, Self::Classic | Self::Fingerprint | Self::AfterFingerprint)
    }

    pub(crate) const fn schedule(self) -> Schedule {
        match self {
            Self::Control => CONTROL,
            _ if self.expects_no_response() => UNANSWERED,
            _ => ANSWERED,
        }
    }

    const ALL: [(Self, &'static str); 24] = [
        (Self::Control, "control"),
        (Self::Second, "second-socket"),
        (Self::Tcp, "tcp"),
        (Self::Classic, "classic"),
        (Self::Fingerprint, "fingerprint"),
        (Self::WrongFingerprint, "wrong-fingerprint"),
        (Self::AfterFingerprint, "after-fingerprint"),
        (Self::UnknownRequired, "unknown-required"),
        (Self::UnknownOptional, "unknown-optional"),
        (Self::UnknownMethod, "unknown-method"),
        (Self::Indication, "indication"),
        (Self::Response, "response"),
        (Self::Truncated, "truncated"),
        (Self::OddLength, "odd-length"),
        (Self::Garbage, "garbage"),
        (Self::AlternateAddress, "alternate-address"),
        (Self::AlternatePort, "alternate-port"),
        (Self::AlternateBoth, "alternate-both"),
        (Self::ChangePort, "change-port"),
        (Self::ChangeAddress, "change-address"),
        (Self::ChangeBoth, "change-both"),
        (Self::ResponsePort, "response-port"),
        (Self::Padding, "padding"),
        (Self::PaddingAndResponsePort, "padding-and-response-port"),
    ];
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(probe, _)| probe == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for Probe {
    type Err = UnknownProbe;

    fn from_str(text: &str) -> Result<Self, UnknownProbe> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(probe, _)| *probe).ok_or(UnknownProbe)
    }
}

/// The error of a text that is not the name of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no probe has this name")]
pub struct UnknownProbe;

/// Returns the unknown attribute of a regular request.
pub(crate) const fn unknown(probe: Probe) -> Option<Attribute<'static>> {
    match probe {
        Probe::UnknownRequired => Some(Attribute::Unknown { kind: UNKNOWN_REQUIRED, value: b"what" }),
        Probe::UnknownOptional => Some(Attribute::Unknown { kind: UNKNOWN_OPTIONAL, value: b"what" }),
        _ => None,
    }
}

/// Returns the bytes of an irregular probe; `None` for a regular one.
pub(crate) fn irregular(probe: Probe, id: TransactionId) -> Option<Bytes> {
    let mut bytes = plain(probe, id)?;
    match probe {
        Probe::Classic => set(&mut bytes, 4, &CLASSIC_COOKIE),
        Probe::WrongFingerprint => bytes.last_mut().into_iter().for_each(|byte| *byte ^= 0x5a),
        Probe::AfterFingerprint => {
            let [high, low] = UNKNOWN_REQUIRED.number().to_be_bytes();
            bytes.extend_from_slice(&[high, low, 0, 4, b'w', b'h', b'a', b't']);
            set_length(&mut bytes);
        }
        Probe::Truncated => {
            // SOFTWARE with a length field of 8 and a value of 4 bytes.
            bytes.extend_from_slice(&[0x80, 0x22, 0, 8, b'w', b'h', b'a', b't']);
            set_length(&mut bytes);
        }
        Probe::OddLength => {
            bytes.extend_from_slice(&[0, 0]);
            set_length(&mut bytes);
        }
        Probe::Garbage => {
            bytes.extend_from_slice(id.as_bytes());
            // RFC 7983 assigns the first byte 0xff to no protocol.
            set(&mut bytes, 0, &[0xff; 8]);
        }
        _ => {}
    }
    Some(bytes.into())
}

/// The bytes in place of the cookie in a request of RFC 3489. They are part of its transaction id.
pub(crate) const CLASSIC_COOKIE: [u8; 4] = *b"3489";

/// Returns the valid message from which an irregular probe is made.
fn plain(probe: Probe, id: TransactionId) -> Option<Vec<u8>> {
    let (class, method) = match probe {
        Probe::Indication => (Class::Indication, Method::BINDING),
        Probe::Response => (Class::SuccessResponse, Method::BINDING),
        // Not assigned in the registry of methods.
        Probe::UnknownMethod => (Class::Request, Method::new(0xead)?),
        _ => (Class::Request, Method::BINDING),
    };
    let mut buffer = [0; HEADER_LEN + 8];
    let writer = Writer::new(&mut buffer, class, method, id).ok()?;
    let written = match probe {
        Probe::Fingerprint | Probe::WrongFingerprint | Probe::AfterFingerprint => writer.fingerprint().ok()?.finish(),
        _ if probe.is_irregular() => writer.finish(),
        _ => return None,
    };
    Some(written.to_vec())
}

fn set(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = *new);
}

fn set_length(bytes: &mut [u8]) {
    let length = u16::try_from(bytes.len().saturating_sub(HEADER_LEN)).unwrap_or(u16::MAX);
    set(bytes, 2, &length.to_be_bytes());
}

/// Returns whether a success response of RFC 3489 has a well-formed MAPPED-ADDRESS.
///
/// `None` if the bytes are not such a response, or if its 16-byte transaction id is another one.
pub(crate) fn classic_answer(bytes: &[u8], id: TransactionId) -> Option<bool> {
    let (header, mut rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    let (front, tail) = header.split_first_chunk::<8>()?;
    let [0x01, 0x01, _, _, cookie @ ..] = *front else { return None };
    if cookie != CLASSIC_COOKIE || tail != id.as_bytes() {
        return None;
    }
    while let Some((&[k0, k1, l0, l1], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some(value) = after.get(..length) else { return Some(false) };
        if [k0, k1] == [0, 1] {
            return Some(matches!((value, length), ([_, 1, ..], 8) | ([_, 2, ..], 20)));
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(false)
}

/// Whether the bytes have the magic cookie of RFC 8489.
pub(crate) fn has_cookie(bytes: &[u8]) -> bool {
    bytes.iter().skip(4).take(4).eq(MAGIC_COOKIE.to_be_bytes().iter())
}
