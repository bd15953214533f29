//! The types of attribute values with several fields.
//!
//! Rules of this file: a value borrows from the message and is `Copy`. [`crate::Message::attributes`] has validated
//! it.

use core::fmt;

use ascii::AsciiStr;

use super::AttributeType;

/// A text as on the wire. It should be UTF-8, but can be any bytes.
///
/// `Display` replaces invalid UTF-8. It escapes characters that end a line or change the direction of text, so that a
/// log line stays one line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// A text to send. [`Writer::add`](crate::Writer::add) checks its length.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Bytes from a peer, which are sent back unchanged.
    #[must_use]
    pub const fn from_wire(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text; `None` if the bytes are not UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        // Most texts are short and ASCII, and a check for ASCII costs less than a check for UTF-8.
        match AsciiStr::from_ascii(self.0) {
            Ok(text) => Some(text.as_str()),
            Err(_) => core::str::from_utf8(self.0).ok(),
        }
    }

    /// The length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text)
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if needs_escape(character) {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    f.write_char(character)?;
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// Whether this is a control character, a line or paragraph separator, or a character that changes the text
/// direction.
fn needs_escape(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The reason why a request failed: a code from 300 to 699 and a reason phrase (RFC 8489 §14.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode<'a> {
    code: u16,
    reason: Text<'a>,
}

impl<'a> ErrorCode<'a> {
    /// 300: use the server in ALTERNATE-SERVER (RFC 8489 §14.8).
    pub const TRY_ALTERNATE: u16 = 300;
    /// 400: the request is malformed (RFC 8489 §14.8).
    pub const BAD_REQUEST: u16 = 400;
    /// 401: credentials are missing or wrong (RFC 8489 §14.8).
    pub const UNAUTHENTICATED: u16 = 401;
    /// 403: the server refuses (RFC 8656 §19).
    pub const FORBIDDEN: u16 = 403;
    /// 405: the mobility ticket is not valid, or mobility is not allowed (RFC 8016 §3.4).
    pub const MOBILITY_FORBIDDEN: u16 = 405;
    /// 420: a comprehension-required attribute is unknown (RFC 8489 §14.8).
    pub const UNKNOWN_ATTRIBUTE: u16 = 420;
    /// 437: the allocation does not exist, or exists already (RFC 8656 §19).
    pub const ALLOCATION_MISMATCH: u16 = 437;
    /// 438: the nonce is too old (RFC 8489 §14.8).
    pub const STALE_NONCE: u16 = 438;
    /// 440: no relayed addresses of this family (RFC 8656 §19).
    pub const ADDRESS_FAMILY_NOT_SUPPORTED: u16 = 440;
    /// 441: the allocation belongs to other credentials (RFC 8656 §19).
    pub const WRONG_CREDENTIALS: u16 = 441;
    /// 442: this transport protocol is not relayed (RFC 8656 §19).
    pub const UNSUPPORTED_TRANSPORT_PROTOCOL: u16 = 442;
    /// 443: the address of the peer is of another family (RFC 8656 §19).
    pub const PEER_ADDRESS_FAMILY_MISMATCH: u16 = 443;
    /// 446: a connection to this peer exists already (RFC 6062 §6.3).
    pub const CONNECTION_ALREADY_EXISTS: u16 = 446;
    /// 447: the connection to the peer failed (RFC 6062 §6.3).
    pub const CONNECTION_TIMEOUT_OR_FAILURE: u16 = 447;
    /// 486: the user has too many allocations (RFC 8656 §19).
    pub const ALLOCATION_QUOTA_REACHED: u16 = 486;
    /// 487: both agents claim the same role (RFC 8445 §16.2).
    pub const ROLE_CONFLICT: u16 = 487;
    /// 500: a temporary error of the server (RFC 8489 §14.8).
    pub const SERVER_ERROR: u16 = 500;
    /// 508: the server has no capacity (RFC 8656 §19).
    pub const INSUFFICIENT_CAPACITY: u16 = 508;

    /// A code with a reason phrase; `None` unless the code is 300 to 699.
    #[must_use]
    pub const fn new(code: u16, reason: Text<'a>) -> Option<Self> {
        if 300 <= code && code <= 699 { Some(Self { code, reason }) } else { None }
    }

    /// A code with its recommended reason phrase, which is empty for other codes; `None` unless the code is 300 to
    /// 699.
    #[must_use]
    pub const fn recommended(code: u16) -> Option<ErrorCode<'static>> {
        ErrorCode::new(code, Text::new(recommended_reason(code)))
    }

    /// The code, 300 to 699.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The reason phrase.
    #[must_use]
    pub const fn reason(&self) -> Text<'a> {
        self.reason
    }

    /// The two bytes of class and number in the value.
    #[expect(clippy::cast_possible_truncation, reason = "3 to 6 and 0 to 99 fit")]
    pub(super) const fn class_and_number(&self) -> [u8; 2] {
        [(self.code / 100) as u8, (self.code % 100) as u8]
    }
}

impl fmt::Display for ErrorCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, " {}", self.reason) }
    }
}

/// The phrases that RFC 8489 §14.8, 8656 §19, 8445 §16.2, 8016 §3.4 and 6062 §6.3 recommend.
const fn recommended_reason(code: u16) -> &'static str {
    match code {
        300 => "Try Alternate",
        400 => "Bad Request",
        401 => "Unauthenticated",
        403 => "Forbidden",
        405 => "Mobility Forbidden",
        420 => "Unknown Attribute",
        437 => "Allocation Mismatch",
        438 => "Stale Nonce",
        440 => "Address Family not Supported",
        441 => "Wrong Credentials",
        442 => "Unsupported Transport Protocol",
        443 => "Peer Address Family Mismatch",
        446 => "Connection Already Exists",
        447 => "Connection Timeout or Failure",
        486 => "Allocation Quota Reached",
        487 => "Role Conflict",
        500 => "Server Error",
        508 => "Insufficient Capacity",
        _ => "",
    }
}

/// The reason why there is no relayed address of one family (RFC 8656 §18.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressErrorCode<'a> {
    /// The family.
    pub family: AddressFamily,
    /// The reason: 440 or 508.
    pub error: ErrorCode<'a>,
}

/// An address family by its number in STUN (RFC 8489 §14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressFamily {
    /// 1 on the wire.
    Ipv4,
    /// 2 on the wire.
    Ipv6,
}

impl AddressFamily {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
        }
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// The requested source address and port of a response (RFC 5780 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ChangeRequest {
    /// Whether the response is sent from the other address of the server.
    pub ip: bool,
    /// Whether the response is sent from the other port of the server.
    pub port: bool,
}

impl ChangeRequest {
    /// Other address, other port.
    pub const IP_AND_PORT: Self = Self { ip: true, port: true };
    /// Other address, same port.
    pub const IP: Self = Self { ip: true, port: false };
    /// Same address, other port.
    pub const PORT: Self = Self { ip: false, port: true };
    /// Same address, same port.
    pub const NONE: Self = Self { ip: false, port: false };

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self { ip: bits & 4 != 0, port: bits & 2 != 0 }
    }

    pub(super) const fn bits(self) -> u32 {
        (self.ip as u32) << 2 | (self.port as u32) << 1
    }
}

/// An ICMP error that a relay reports (RFC 8656 §18.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Icmp {
    /// The ICMP type, 0 to 127. The attribute has 7 bits for it, and the writer refuses a larger number.
    pub kind: u8,
    /// The ICMP code, 0 to 511. The attribute has 9 bits for it.
    pub code: u16,
    /// The MTU of the next hop in bytes, if the type and code have one; otherwise 0.
    pub data: u32,
}

/// The network interface of a check, and its cost (attribute 0xc057, without an RFC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkCost {
    /// The number of the interface, assigned by the sender.
    pub network: u16,
    /// The cost, 0 (wired) to 999 (unknown or highest).
    pub cost: u16,
}

/// An algorithm that derives a key from a password, with its parameters (RFC 8489 §14.12, §18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PasswordAlgorithm<'a> {
    /// The number in the registry: [`PasswordAlgorithm::MD5`], [`PasswordAlgorithm::SHA256`], or another.
    pub number: u16,
    /// The parameters, empty for both known algorithms.
    pub parameters: &'a [u8],
}

impl PasswordAlgorithm<'static> {
    /// MD5 of `username:realm:password`, without parameters (RFC 8489 §18.5.1.1).
    pub const MD5: Self = Self { number: 1, parameters: &[] };
    /// SHA-256 of `username:realm:password`, without parameters (RFC 8489 §18.5.1.2).
    pub const SHA256: Self = Self { number: 2, parameters: &[] };
}

/// The list in PASSWORD-ALGORITHMS, in the server's order of preference (RFC 8489 §14.11).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PasswordAlgorithms<'a>(pub(super) &'a [u8]);

impl<'a> PasswordAlgorithms<'a> {
    /// The algorithms in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = PasswordAlgorithm<'a>> + Clone + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (algorithm, next) = split_algorithm(rest)?;
            rest = next;
            Some(algorithm)
        })
    }

    /// The value as on the wire. A client sends it back unchanged (RFC 8489 §9.2.5).
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for PasswordAlgorithms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Returns the first algorithm and the rest of the value; `None` if the algorithm is truncated. The padding of the
/// last algorithm is optional.
pub(super) fn split_algorithm(value: &[u8]) -> Option<(PasswordAlgorithm<'_>, &[u8])> {
    let (&[n0, n1, l0, l1], after) = value.split_first_chunk::<4>()?;
    let length = u16::from_be_bytes([l0, l1]);
    let parameters = after.get(..usize::from(length))?;
    let rest = after.get(crate::message::padded(length)..).unwrap_or_default();
    Some((PasswordAlgorithm { number: u16::from_be_bytes([n0, n1]), parameters }, rest))
}

/// The list in UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnknownAttributes<'a>(pub(super) &'a [[u8; 2]]);

impl<'a> UnknownAttributes<'a> {
    /// The types in message order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = AttributeType> + Clone + use<'a> {
        self.0.iter().map(|&number| AttributeType::new(u16::from_be_bytes(number)))
    }
}

impl fmt::Debug for UnknownAttributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
