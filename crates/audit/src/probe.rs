//! The questions: which there are, when each is sent again, and their bytes where no honest client would write them.
//!
//! Rules of this file: pure. Regular requests are left to [`Transactions`](portolan_stun_agent::Transactions); what a
//! [`Writer`] refuses to write, or what must not be taken for a transaction, is built here byte by byte.

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use portolan_stun::{Attribute, AttributeType, Class, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId, Writer};
use portolan_stun_agent::Schedule;

/// One kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Probe {
    /// A bare Binding request, repeated through the whole audit: what loss looks like.
    Control,
    /// A bare Binding request from a second socket.
    Second,
    /// A Binding request over TCP.
    Tcp,
    /// A Binding request without cookie, as in RFC 3489.
    Classic,
    /// A Binding request with FINGERPRINT.
    Fingerprint,
    /// The same with a wrong one.
    WrongFingerprint,
    /// An attribute after FINGERPRINT.
    AfterFingerprint,
    /// An unknown comprehension-required attribute.
    UnknownRequired,
    /// An unknown comprehension-optional attribute.
    UnknownOptional,
    /// A method that nobody has.
    UnknownMethod,
    /// A Binding indication.
    Indication,
    /// A Binding success response.
    Response,
    /// A request whose last attribute ends after it.
    Truncated,
    /// A request whose length is no multiple of 4.
    OddLength,
    /// Bytes that begin like no STUN message.
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
    /// CHANGE-REQUEST for both.
    ChangeBoth,
    /// RESPONSE-PORT with the second socket's port.
    ResponsePort,
    /// PADDING.
    Padding,
    /// PADDING with RESPONSE-PORT.
    PaddingAndResponsePort,
}

/// Requests in the order that they are made: silence is waited for longest, so what needs it goes first; what needs the
/// answers of others goes last.
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

/// What is no request and makes no transaction; one goes out beside each of the first requests.
pub(crate) const ODDITIES: [Probe; 5] =
    [Probe::Indication, Probe::Response, Probe::Truncated, Probe::OddLength, Probe::Garbage];

/// Between two new requests: at most ten in any second with the one over TCP (RFC 5780 §5).
pub(crate) const PACE: Duration = Duration::from_millis(112);
/// When nothing was heard by then the rest is not asked.
pub(crate) const DEAF_AFTER: Duration = Duration::from_millis(1200);
/// The attribute that no server knows and must: from the range for experiments, without a name.
pub(crate) const UNKNOWN_REQUIRED: AttributeType = AttributeType::new(0x7ead);
/// The attribute that no server knows and need not.
const UNKNOWN_OPTIONAL: AttributeType = AttributeType::new(0xfead);
/// How much PADDING: enough to be seen, too little to be of use to anybody.
pub(crate) const PADDING: u16 = 256;

/// The control goes on through the whole audit, answered or not.
pub(crate) const CONTROL: Schedule = Schedule::at_millis([0])
    .every(Duration::from_millis(200))
    .until(Duration::from_secs(2))
    .jitter(Duration::from_millis(10))
    .repeat(true);
/// A question whose answer is due: sent until answered.
pub(crate) const ASKED: Schedule = Schedule::at_millis([0, 90, 190, 300, 400, 510, 600]);
/// A question to which silence is due.
pub(crate) const QUIET: Schedule = Schedule::at_millis([0, 150, 300, 450]);

impl Probe {
    /// Whether silence is what an honest server answers.
    pub(crate) const fn wants_silence(self) -> bool {
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

    /// Sent by the audit itself, because it is no regular request.
    pub(crate) const fn is_irregular(self) -> bool {
        self.wants_silence() || matches!(self, Self::Classic | Self::Fingerprint | Self::AfterFingerprint)
    }

    pub(crate) const fn schedule(self) -> Schedule {
        match self {
            Self::Control => CONTROL,
            _ if self.wants_silence() => QUIET,
            _ => ASKED,
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

/// The text names no probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no probe has this name")]
pub struct UnknownProbe;

/// The attribute of a regular request that is unknown to everybody.
pub(crate) const fn unknown(probe: Probe) -> Option<Attribute<'static>> {
    match probe {
        Probe::UnknownRequired => Some(Attribute::Unknown { kind: UNKNOWN_REQUIRED, value: b"what" }),
        Probe::UnknownOptional => Some(Attribute::Unknown { kind: UNKNOWN_OPTIONAL, value: b"what" }),
        _ => None,
    }
}

/// The bytes of an irregular question; `None` for a regular one.
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
            // SOFTWARE that announces eight bytes and has four.
            bytes.extend_from_slice(&[0x80, 0x22, 0, 8, b'w', b'h', b'a', b't']);
            set_length(&mut bytes);
        }
        Probe::OddLength => {
            bytes.extend_from_slice(&[0, 0]);
            set_length(&mut bytes);
        }
        Probe::Garbage => {
            bytes.extend_from_slice(id.as_bytes());
            // Top bits that no STUN message has, and no cookie; RFC 7983 gives 0xff to nobody.
            set(&mut bytes, 0, &[0xff; 8]);
        }
        _ => {}
    }
    Some(bytes.into())
}

/// What stands in place of the cookie in a request of RFC 3489, where it is part of the transaction id.
pub(crate) const CLASSIC_COOKIE: [u8; 4] = *b"3489";

/// The message before it is bent.
fn plain(probe: Probe, id: TransactionId) -> Option<Vec<u8>> {
    let (class, method) = match probe {
        Probe::Indication => (Class::Indication, Method::BINDING),
        Probe::Response => (Class::SuccessResponse, Method::BINDING),
        // Nobody's number, far from those that are given out.
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

/// The value of MAPPED-ADDRESS in a success response of RFC 3489, whose 16-byte id is the cookie's place and the rest:
/// present and well-formed. `None`: no such response, or another's id.
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

/// Whether the bytes claim to be STUN of today.
pub(crate) fn has_cookie(bytes: &[u8]) -> bool {
    bytes.iter().skip(4).take(4).eq(MAGIC_COOKIE.to_be_bytes().iter())
}
