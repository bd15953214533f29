//! The fields inside a line: of the message type, and of an attribute.
//!
//! Rules of this file: the parts of an attribute contain each byte once and in order. A malformed value is split as far
//! as it goes. The layouts below are the only description of the fields.
//!
//! RFC 8489 §5, §9.2, §14; RFC 8656 §18; RFC 5780 §7; RFC 8445 §5.1.2, §16.1.

use core::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::{Item, Line};
use crate::{AttributeType, Class, MAGIC_COOKIE, Method, Text, attribute::Attribute};

/// A field inside a line. `Display` prints it like a line, with its name indented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Offset of the first byte from the start of the packet.
    pub at: usize,
    /// The bytes. The class and the method of a message type share two bytes.
    pub bytes: &'a [u8],
    /// The name in the RFC.
    pub name: &'static str,
    role: Role,
    /// The address of an attribute with an IPv6 address.
    address: Option<Ipv6Addr>,
}

/// The meaning of the bytes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Class,
    Method,
    AttributeType,
    Length,
    Padding,
    Reserved,
    Family,
    Number,
    XorPort,
    Address,
    XorAddress,
    ErrorClass,
    ErrorNumber,
    ChangeFlags,
    EvenPort,
    Protocol,
    Algorithm,
    Component,
    IcmpTypeAndCode,
    Seconds,
    Crc,
    SecurityFeatures,
    Text,
    Bytes,
}

/// The number of bytes of a field.
#[derive(Clone, Copy, Debug)]
enum Size {
    Bytes(usize),
    /// The bytes that the field before counts, padded to a multiple of 4.
    Counted,
    Rest,
}

type Layout = &'static [(Size, &'static str, Role)];

const RESERVED: (Size, &str, Role) = (Size::Bytes(1), "reserved", Role::Reserved);
const RESERVED_2: (Size, &str, Role) = (Size::Bytes(2), "reserved", Role::Reserved);
const RESERVED_3: (Size, &str, Role) = (Size::Bytes(3), "reserved", Role::Reserved);
const FAMILY: (Size, &str, Role) = (Size::Bytes(1), "family", Role::Family);
const ADDRESS: Layout =
    &[RESERVED, FAMILY, (Size::Bytes(2), "port", Role::Number), (Size::Rest, "address", Role::Address)];
const XOR_ADDRESS: Layout =
    &[RESERVED, FAMILY, (Size::Bytes(2), "X-Port", Role::XorPort), (Size::Rest, "X-Address", Role::XorAddress)];
const ERROR_CLASS: (Size, &str, Role) = (Size::Bytes(1), "class", Role::ErrorClass);
const ERROR_NUMBER: (Size, &str, Role) = (Size::Bytes(1), "number", Role::ErrorNumber);
const REASON: (Size, &str, Role) = (Size::Rest, "reason phrase", Role::Text);
const ONLY_FAMILY: Layout = &[FAMILY, RESERVED_3];
const ALGORITHM: Layout = &[
    (Size::Bytes(2), "algorithm", Role::Algorithm),
    (Size::Bytes(2), "parameters length", Role::Length),
    (Size::Counted, "parameters", Role::Bytes),
];
const TEXT: Layout = &[(Size::Rest, "text", Role::Text)];
const BYTES: Layout = &[(Size::Rest, "value", Role::Bytes)];
const SECONDS: Layout = &[(Size::Bytes(4), "seconds", Role::Seconds)];
const NUMBER: Layout = &[(Size::Bytes(4), "number", Role::Number)];
const TIE_BREAKER: Layout = &[(Size::Bytes(8), "tie-breaker", Role::Bytes)];
const PRIORITY: Layout = &[
    (Size::Bytes(1), "type preference", Role::Number),
    (Size::Bytes(2), "local preference", Role::Number),
    (Size::Bytes(1), "component", Role::Component),
];
/// The start of a nonce that carries security features (RFC 8489 §9.2).
const NONCE_COOKIE: &[u8] = b"obMatJos2";
const NONCE: Layout = &[
    (Size::Bytes(NONCE_COOKIE.len()), "nonce cookie", Role::Text),
    (Size::Bytes(4), "security features", Role::SecurityFeatures),
    (Size::Rest, "text", Role::Text),
];

/// Returns the fields of a value. A list repeats them.
fn layout(kind: AttributeType, value: &[u8]) -> Layout {
    use AttributeType as T;
    match kind {
        T::MAPPED_ADDRESS | T::ALTERNATE_SERVER | T::RESPONSE_ORIGIN | T::OTHER_ADDRESS => ADDRESS,
        T::RESPONSE_ADDRESS | T::SOURCE_ADDRESS | T::CHANGED_ADDRESS | T::REFLECTED_FROM => ADDRESS,
        T::XOR_MAPPED_ADDRESS | T::XOR_MAPPED_ADDRESS_DRAFT => XOR_ADDRESS,
        T::XOR_PEER_ADDRESS | T::XOR_RELAYED_ADDRESS => XOR_ADDRESS,
        T::NONCE if value.starts_with(NONCE_COOKIE) => NONCE,
        T::USERNAME | T::REALM | T::NONCE | T::SOFTWARE | T::ALTERNATE_DOMAIN | T::THIRD_PARTY_AUTHORIZATION => TEXT,
        T::ERROR_CODE => &[RESERVED_2, ERROR_CLASS, ERROR_NUMBER, REASON],
        T::ADDRESS_ERROR_CODE => &[FAMILY, RESERVED, ERROR_CLASS, ERROR_NUMBER, REASON],
        T::CHANGE_REQUEST => &[RESERVED_3, (Size::Bytes(1), "flags", Role::ChangeFlags)],
        T::UNKNOWN_ATTRIBUTES => &[(Size::Bytes(2), "type", Role::AttributeType)],
        T::PASSWORD_ALGORITHM | T::PASSWORD_ALGORITHMS => ALGORITHM,
        T::CHANNEL_NUMBER => &[(Size::Bytes(2), "channel number", Role::Bytes), RESERVED_2],
        T::REQUESTED_ADDRESS_FAMILY | T::ADDITIONAL_ADDRESS_FAMILY => ONLY_FAMILY,
        T::REQUESTED_TRANSPORT => &[(Size::Bytes(1), "protocol", Role::Protocol), RESERVED_3],
        T::EVEN_PORT => &[(Size::Bytes(1), "R bit", Role::EvenPort)],
        T::RESPONSE_PORT => &[(Size::Bytes(2), "port", Role::Number), RESERVED_2],
        T::ICMP => &[
            RESERVED_2,
            (Size::Bytes(2), "type and code", Role::IcmpTypeAndCode),
            (Size::Bytes(4), "data", Role::Number),
        ],
        T::TRANSACTION_TRANSMIT_COUNTER => {
            &[RESERVED_2, (Size::Bytes(1), "Req", Role::Number), (Size::Bytes(1), "Resp", Role::Number)]
        }
        T::NETWORK_COST => &[(Size::Bytes(2), "network", Role::Number), (Size::Bytes(2), "cost", Role::Number)],
        T::LIFETIME | T::CACHE_TIMEOUT => SECONDS,
        T::PRIORITY => PRIORITY,
        T::NOMINATION => NUMBER,
        T::ICE_CONTROLLED | T::ICE_CONTROLLING => TIE_BREAKER,
        T::FINGERPRINT => &[(Size::Bytes(4), "CRC-32", Role::Crc)],
        _ => BYTES,
    }
}

impl<'a> Line<'a> {
    /// Returns the fields inside the line: of a message type its class and method; of an attribute its type, its
    /// length, the fields of its value and its padding. Other lines have none.
    ///
    /// ```
    /// use portolan_stun::explain::explain;
    ///
    /// let bytes = [
    ///     0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ///     0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
    /// ];
    /// let line = explain(&bytes).last().unwrap();
    /// let port = line.parts().nth(4).unwrap();
    /// assert_eq!((port.at, port.name), (26, "X-Port"));
    /// assert_eq!(port.meaning().to_string(), "0xa147 XOR 0x2112 = 32853");
    /// ```
    #[must_use]
    pub fn parts(&self) -> Parts<'a> {
        let (mut next, mut address) = (Next::End, None);
        if let Item::MessageType { .. } = self.item {
            next = Next::Class;
        } else if let Item::Attribute { kind, value } = self.item {
            (next, address) = (Next::Type(kind), value.and_then(ipv6));
        }
        Parts { at: self.at, rest: self.bytes, next, value_end: 0, counted: 0, address }
    }
}

/// Returns the IPv6 address of a XOR-encoded attribute. The XOR of IPv6 needs the transaction ID.
const fn ipv6(value: Attribute<'_>) -> Option<Ipv6Addr> {
    let (Attribute::XorMappedAddress(SocketAddr::V6(address))
    | Attribute::XorMappedAddressDraft(SocketAddr::V6(address))
    | Attribute::XorPeerAddress(SocketAddr::V6(address))
    | Attribute::XorRelayedAddress(SocketAddr::V6(address))) = value
    else {
        return None;
    };
    Some(*address.ip())
}

/// An iterator over the fields inside a line; returned by [`Line::parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    at: usize,
    rest: &'a [u8],
    next: Next,
    /// The offset of the end of the value.
    value_end: usize,
    /// The number in the field before.
    counted: usize,
    address: Option<Ipv6Addr>,
}

/// The next field.
#[derive(Clone, Copy, Debug)]
enum Next {
    Class,
    Method,
    Type(AttributeType),
    Length(AttributeType),
    /// The field of the layout with this index.
    Value(Layout, usize),
    End,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        match self.next {
            Next::Class => {
                self.next = Next::Method;
                Some(self.part(2, "class", Role::Class))
            }
            Next::Method => {
                self.next = Next::End;
                Some(self.part(2, "method", Role::Method))
            }
            Next::Type(kind) => {
                self.next = Next::Length(kind);
                self.take(2, "type", Role::AttributeType)
            }
            Next::Length(kind) => {
                let length = self.rest.first_chunk().map_or(0, |word| usize::from(u16::from_be_bytes(*word)));
                let part = self.take(2, "length", Role::Length);
                let value = self.rest.get(..length).unwrap_or(self.rest);
                self.value_end = self.at + value.len();
                self.next = Next::Value(layout(kind, value), 0);
                part
            }
            Next::Value(fields, index) => self.value(fields, index),
            Next::End => None,
        }
    }
}

impl<'a> Parts<'a> {
    fn value(&mut self, fields: Layout, index: usize) -> Option<Part<'a>> {
        let left = self.value_end.saturating_sub(self.at);
        if left == 0 {
            self.next = Next::End;
            return self.take(self.rest.len(), "padding", Role::Padding);
        }
        let Some(&(size, name, role)) = fields.get(index) else {
            // A list, or a value that is too long.
            let is_list = matches!(fields, [(Size::Bytes(2), ..)] | [_, _, (Size::Counted, ..)]);
            self.next = Next::Value(if is_list { fields } else { BYTES }, 0);
            return self.next();
        };
        self.next = Next::Value(fields, index + 1);
        let length = match size {
            Size::Bytes(length) => length,
            Size::Counted => self.counted.next_multiple_of(4),
            Size::Rest => left,
        };
        if length == 0 {
            return self.next();
        }
        let number = |word: &[u8; 2]| usize::from(u16::from_be_bytes(*word));
        self.counted = self.rest.first_chunk().map_or(0, number);
        self.take(length.min(left), name, role)
    }

    /// Returns the next bytes as a part, if there are any.
    fn take(&mut self, length: usize, name: &'static str, role: Role) -> Option<Part<'a>> {
        let part = self.part(length, name, role);
        self.at += part.bytes.len();
        self.rest = self.rest.get(part.bytes.len()..).unwrap_or_default();
        (!part.bytes.is_empty()).then_some(part)
    }

    fn part(&self, length: usize, name: &'static str, role: Role) -> Part<'a> {
        let bytes = self.rest.get(..length).unwrap_or(self.rest);
        Part { at: self.at, bytes, name, role, address: self.address }
    }
}

impl<'a> Part<'a> {
    /// Returns the meaning of the bytes, as text without control characters.
    #[must_use]
    pub const fn meaning(&self) -> PartMeaning<'a> {
        PartMeaning(*self)
    }

    /// The bytes as a number; bytes beyond the eighth are ignored.
    fn number(&self) -> u64 {
        self.bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn word(&self) -> u16 {
        self.bytes.first_chunk().map_or(0, |word| u16::from_be_bytes(*word))
    }
}

/// Prints the meaning of a part; returned by [`Part::meaning`].
#[derive(Clone, Copy, Debug)]
pub struct PartMeaning<'a>(Part<'a>);

impl fmt::Display for PartMeaning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = &self.0;
        let number = part.number();
        match part.role {
            Role::Class => write!(f, "bits {:#06x}, {}", part.word() & 0x0110, Class::from_message_type(part.word())),
            Role::Method => write!(f, "bits {:#06x}, {}", part.word() & 0x3eef, Method::from_message_type(part.word())),
            Role::AttributeType => {
                let kind = AttributeType::new(part.word());
                let comprehension = if kind.is_comprehension_required() { "required" } else { "optional" };
                write!(f, "{kind}, comprehension-{comprehension}")
            }
            Role::Length => write!(f, "{number} bytes"),
            Role::Padding => f.write_str("up to a multiple of four bytes"),
            Role::Reserved => f.write_str("ignored"),
            Role::Family => match number {
                1 => f.write_str("IPv4"),
                2 => f.write_str("IPv6"),
                _ => f.write_str("unknown"),
            },
            Role::Number => write!(f, "{number}"),
            Role::XorPort => {
                let mask = MAGIC_COOKIE >> 16;
                write!(f, "{number:#06x} XOR {mask:#06x} = {}", number ^ u64::from(mask))
            }
            Role::Address | Role::XorAddress => write_address(f, part),
            Role::ErrorClass => write!(f, "{}, the hundreds of the code", number & 7),
            Role::ErrorNumber => write!(f, "{number}, the code modulo 100"),
            Role::ChangeFlags => {
                let is_set = |bit| u8::from(number & bit != 0);
                write!(f, "A (change IP) {}, B (change port) {}", is_set(4), is_set(2))
            }
            Role::EvenPort => write!(f, "{}, reserve the next port", number >> 7),
            Role::Protocol => match number {
                6 => f.write_str("TCP"),
                17 => f.write_str("UDP"),
                _ => write!(f, "IP protocol {number}"),
            },
            Role::Algorithm => match number {
                1 => f.write_str("MD5"),
                2 => f.write_str("SHA-256"),
                _ => write!(f, "{number}, unknown"),
            },
            Role::Component => write!(f, "256 - {number} = {}", 256_u64.saturating_sub(number)),
            Role::IcmpTypeAndCode => write!(f, "type {}, code {}", number >> 9, number & 0x1ff),
            Role::Seconds => write!(f, "{number} s"),
            Role::Crc => write!(f, "{number:#010x} XOR 0x5354554e = {:#010x}", number ^ 0x5354_554e),
            Role::SecurityFeatures => write_features(f, part.bytes),
            Role::Text => write!(f, "{:?}", Text::from_wire(part.bytes)),
            Role::Bytes if part.bytes.len() <= 8 => write!(f, "{number:#0width$x}", width = 2 + 2 * part.bytes.len()),
            Role::Bytes => write!(f, "{} bytes", part.bytes.len()),
        }
    }
}

fn write_address(f: &mut fmt::Formatter<'_>, part: &Part<'_>) -> fmt::Result {
    let is_xor = part.role == Role::XorAddress;
    match (<[u8; 4]>::try_from(part.bytes), <[u8; 16]>::try_from(part.bytes)) {
        (Ok(v4), _) if is_xor => {
            let number = u32::from_be_bytes(v4);
            let address = Ipv4Addr::from_bits(number ^ MAGIC_COOKIE);
            write!(f, "{number:#010x} XOR {MAGIC_COOKIE:#010x} = {address}")
        }
        (Ok(v4), _) => write!(f, "{}", Ipv4Addr::from(v4)),
        (_, Ok(v6)) if !is_xor => write!(f, "{}", Ipv6Addr::from(v6)),
        (_, Ok(_)) => match part.address {
            Some(address) => write!(f, "XOR of the cookie and the transaction ID = {address}"),
            None => f.write_str("XOR of the cookie and the transaction ID"),
        },
        _ => write!(f, "{} bytes, which no family has", part.bytes.len()),
    }
}

/// Prints the 24 bits of the security features, which are four characters of base64 (RFC 8489 §9.2, §18.1).
fn write_features(f: &mut fmt::Formatter<'_>, text: &[u8]) -> fmt::Result {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let bits = text.iter().try_fold(0_u32, |bits, byte| Some(bits << 6 | value(*byte)?));
    let Some(bits) = bits.filter(|_| text.len() == 4) else { return f.write_str("not base64") };
    // Bit 0 is the most significant of 24 bits.
    let is_set = |bit: u32| bits >> (23 - bit) & 1;
    write!(f, "{bits:#08x}: password algorithms {}, username anonymity {}", is_set(0), is_set(1))
}
