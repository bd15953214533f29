//! An annotated dump of a packet: the name, the meaning, the RFC section and the errors of each byte range.
//!
//! Rules of this file: any bytes are explained to their end. The lines contain every byte exactly once and in order.
//! The errors are those of [`Message::decode`](crate::Message::decode), of
//! [`Message::attributes`](crate::Message::attributes) and of [`ChannelData::decode`]. The first bytes determine the
//! protocol of a packet. Only STUN and ChannelData are validated; other protocols are named. `explain/print.rs`
//! prints a line.
//!
//! RFC 8489 §5, §6.3, §14 (STUN), RFC 8656 §12.4, §12.5 (ChannelData), RFC 7983 §7 (first bytes).
//!
//! ```
//! use portolan_stun::explain::explain;
//!
//! let bytes = [
//!     0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
//!     0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
//! ];
//! let lines: Vec<String> = explain(&bytes).map(|line| line.to_string()).collect();
//! assert_eq!(
//!     lines[4],
//!     "  20  00200008 0001a147 e112a643            XOR-MAPPED-ADDRESS: 192.0.2.1:32853 (RFC 8489 §14.2)"
//! );
//! assert_eq!(
//!     explain(&bytes).last().unwrap().json().to_string(),
//!     r#"{"at":20,"bytes":"002000080001a147e112a643","name":"XOR-MAPPED-ADDRESS","meaning":"192.0.2.1:32853","rfc":"RFC 8489 §14.2"}"#
//! );
//!
//! // ChannelData of TURN, with its padding.
//! let lines: Vec<String> = explain(b"\x40\x01\0\x02hi\0\0").map(|line| line.to_string()).collect();
//! assert_eq!(lines[0], "   0  4001                                  channel number: 0x4001 (RFC 8656 §12)");
//! ```

use crate::{
    Attribute, AttributeType, Class, DecodeError, DecodeErrorKind as Kind, Field, HEADER_LEN, MAGIC_COOKIE, Method,
    RfcSection, TransactionId,
    attribute::{self, XorMask},
    demux::{ChannelData, ChannelDataError, Protocol},
    fingerprint,
    message::{length_mismatch, padded},
};

mod part;
mod print;

pub use part::{Part, PartMeaning, Parts};
pub use print::Json;

/// Returns the explanation of a packet, one line for each field.
#[must_use]
pub const fn explain(bytes: &[u8]) -> Explanation<'_> {
    let next = match claimed_protocol(bytes) {
        Some(Protocol::Stun) => Next::MessageType,
        Some(Protocol::TurnChannel) => Next::ChannelNumber,
        _ => Next::Other,
    };
    Explanation { bytes, at: 0, next, previous: Previous::NONE }
}

/// The protocol of a packet by its first bytes. The STUN cookie has precedence over the first byte, because methods
/// above 0xff begin with a byte that RFC 7983 assigns to another protocol (RFC 8489 §5).
const fn claimed_protocol(bytes: &[u8]) -> Option<Protocol> {
    match *bytes {
        [0..=0x3f, _, _, _, a, b, c, d, ..] if u32::from_be_bytes([a, b, c, d]) == MAGIC_COOKIE => Some(Protocol::Stun),
        _ => Protocol::of(bytes),
    }
}

/// An iterator over the lines of an explanation, in byte order; returned by [`explain`].
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    bytes: &'a [u8],
    at: usize,
    next: Next,
    previous: Previous,
}

/// The state of the parser: the next item.
#[derive(Clone, Copy, Debug)]
enum Next {
    MessageType,
    Length,
    Cookie,
    TransactionId,
    Attribute,
    ChannelNumber,
    DataLength,
    /// This number of data bytes.
    Data(u16),
    Padding,
    AfterData,
    Other,
    End,
}

/// The facts about earlier items that later items depend on.
#[derive(Clone, Copy, Debug)]
struct Previous {
    transaction_id: [u8; 12],
    /// One bit for each known type that occurred, in the order of the registry.
    kinds: u64,
}

impl Previous {
    const NONE: Self = Self { transaction_id: [0; 12], kinds: 0 };

    fn has(self, kind: AttributeType) -> bool {
        self.kinds & Self::bit(kind) != 0
    }

    /// The bit of a known type; 0 for other types, whose repetition is not reported.
    fn bit(kind: AttributeType) -> u64 {
        const { assert!(AttributeType::KNOWN.len() <= 64, "one bit for each type") };
        AttributeType::KNOWN.iter().position(|&known| known == kind).map_or(0, |index| 1 << index)
    }
}

/// One line of an explanation: a byte range and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Offset of the first byte from the start of the packet.
    pub at: usize,
    /// The bytes of this line.
    pub bytes: &'a [u8],
    /// The meaning of the bytes.
    pub item: Item<'a>,
    /// An error or an informative remark.
    pub remark: Option<Remark>,
}

/// The meaning of the bytes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// Class and method, two bytes.
    MessageType {
        /// The class.
        class: Class,
        /// The method.
        method: Method,
    },
    /// The message length, two bytes.
    Length(u16),
    /// The magic cookie, four bytes.
    Cookie(u32),
    /// The transaction ID, twelve bytes.
    TransactionId(TransactionId),
    /// A whole attribute with its padding; `value` is `None` if the value is malformed.
    Attribute {
        /// Its type.
        kind: AttributeType,
        /// Its value.
        value: Option<Attribute<'a>>,
    },
    /// The number of a TURN channel, two bytes.
    ChannelNumber(u16),
    /// The length of ChannelData without its head, two bytes.
    DataLength(u16),
    /// The data of a channel. It can be a STUN message, which is not explained here.
    ApplicationData(&'a [u8]),
    /// The padding of ChannelData to a multiple of four bytes.
    Padding,
    /// Bytes after ChannelData that are not its padding.
    Behind,
    /// The start of an item that is longer than the rest of the packet.
    Truncated(Protocol),
    /// A whole packet of another protocol; `None` if no protocol has this first byte.
    Other(Option<Protocol>),
    /// A packet without bytes.
    Empty,
}

/// An error in a line, or an informative remark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// A rule of STUN is broken.
    Wrong(DecodeError),
    /// A rule of ChannelData is broken.
    WrongChannelData(ChannelDataError),
    /// The attribute follows MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 and is ignored.
    AfterIntegrity,
    /// The attribute follows FINGERPRINT and is ignored.
    AfterFingerprint,
    /// An earlier attribute has the same type; only the first one is used.
    Repeated,
    /// The type is comprehension-required and unknown: a receiver must refuse the message.
    MustBeUnderstood,
    /// The padding is not zero, which a receiver ignores.
    PaddingNotZero,
    /// The bytes follow ChannelData and are ignored.
    AfterData,
}

impl Remark {
    /// Whether the remark is an error, by which a decoder refuses the packet or the value.
    #[must_use]
    pub const fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong(_) | Self::WrongChannelData(_))
    }
}

impl Item<'_> {
    /// The RFC section that defines the item.
    #[must_use]
    pub const fn clause(&self) -> Option<RfcSection> {
        match self {
            Self::ChannelNumber(_) => Some(RfcSection::new(8656, "12")),
            Self::DataLength(_) | Self::ApplicationData(_) | Self::Truncated(Protocol::TurnChannel) => {
                Some(RfcSection::new(8656, "12.4"))
            }
            Self::Padding | Self::Behind => Some(RfcSection::new(8656, "12.5")),
            Self::MessageType { .. }
            | Self::Length(_)
            | Self::Cookie(_)
            | Self::TransactionId(_)
            | Self::Truncated(_) => Some(RfcSection::new(8489, "5")),
            Self::Attribute { kind, .. } => kind.clause(),
            Self::Other(_) => Some(RfcSection::new(7983, "7")),
            Self::Empty => None,
        }
    }
}

impl<'a> Iterator for Explanation<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let at = self.at;
        let (length, item, remark) = match self.next {
            Next::MessageType => self.message_type(rest),
            Next::Length => self.length(rest),
            Next::Cookie => self.cookie(rest),
            Next::TransactionId => self.transaction_id(rest),
            Next::Attribute if rest.is_empty() => return None,
            Next::Attribute => self.attribute(rest),
            Next::ChannelNumber => self.channel_number(rest),
            Next::DataLength => self.data_length(rest),
            Next::Data(_) | Next::Padding | Next::AfterData if rest.is_empty() => return None,
            Next::Data(length) => self.data(rest, length),
            Next::Padding => self.padding(rest),
            Next::AfterData => Some(self.last(rest, Item::Behind, Some(Remark::AfterData))),
            Next::Other if rest.is_empty() => Some(self.last(rest, Item::Empty, None)),
            Next::Other => Some(self.last(rest, Item::Other(self.protocol()), None)),
            Next::End => return None,
        }
        .unwrap_or_else(|| self.truncated(rest));
        let bytes = rest.get(..length).unwrap_or(rest);
        self.at += bytes.len();
        Some(Line { at, bytes, item, remark })
    }
}

/// The number of bytes of a line, their meaning, and the remark.
type Finding<'a> = (usize, Item<'a>, Option<Remark>);

impl<'a> Explanation<'a> {
    /// The protocol of the packet, by its first byte (RFC 7983 §7) or by the STUN cookie; `None` if no protocol has
    /// this first byte.
    #[must_use]
    pub const fn protocol(&self) -> Option<Protocol> {
        claimed_protocol(self.bytes)
    }

    fn message_type(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let word = u16::from_be_bytes(*rest.first_chunk()?);
        self.next = Next::Length;
        Some((
            2,
            Item::MessageType { class: Class::from_message_type(word), method: Method::from_message_type(word) },
            None,
        ))
    }

    fn length(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let length = u16::from_be_bytes(*rest.first_chunk()?);
        self.next = Next::Cookie;
        let found = self.bytes.len().saturating_sub(HEADER_LEN);
        let wrong = if self.bytes.len() < HEADER_LEN {
            // The header is truncated, and the line of its end has the error.
            None
        } else if length & 3 != 0 {
            self.error_remark(0, Some(Kind::LengthUnaligned { found: length }))
        } else {
            (usize::from(length) != found).then(|| Remark::Wrong(length_mismatch(length, found)))
        };
        Some((2, Item::Length(length), wrong))
    }

    fn cookie(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let found = u32::from_be_bytes(*rest.first_chunk()?);
        self.next = Next::TransactionId;
        let wrong = (found != MAGIC_COOKIE).then_some(Kind::Cookie { found });
        Some((4, Item::Cookie(found), self.error_remark(0, wrong)))
    }

    fn transaction_id(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        self.previous.transaction_id = *rest.first_chunk()?;
        self.next = Next::Attribute;
        Some((12, Item::TransactionId(self.previous.transaction_id.into()), None))
    }

    fn attribute(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let (&[k0, k1, l0, l1], after) = rest.split_first_chunk::<4>()?;
        let (kind, announced) = (AttributeType::new(u16::from_be_bytes([k0, k1])), u16::from_be_bytes([l0, l1]));
        let Some((value, padding)) =
            after.get(..padded(announced)).and_then(|whole| whole.split_at_checked(usize::from(announced)))
        else {
            self.next = Next::End;
            let wrong = Kind::AttributeTruncated { attribute: kind, announced, found: after.len() };
            return Some((rest.len(), Item::Attribute { kind, value: None }, self.error_remark(0, Some(wrong))));
        };
        let field = Field { at: self.at, kind, value };
        let read = attribute::decode(field, XorMask::new(self.previous.transaction_id.into()));
        let remark = match read {
            Err(error) => Some(Remark::Wrong(error)),
            Ok(_) => self.remark(kind, padding),
        };
        self.previous.kinds |= Previous::bit(kind);
        Some((4 + padded(announced), Item::Attribute { kind, value: read.ok() }, remark))
    }

    /// The most serious remark about an attribute with a well-formed value.
    fn remark(&self, kind: AttributeType, padding: &[u8]) -> Option<Remark> {
        use AttributeType as T;
        if self.previous.has(T::FINGERPRINT) {
            return Some(Remark::AfterFingerprint);
        }
        if kind == T::FINGERPRINT {
            return fingerprint::check(self.bytes, self.at).err().map(Remark::Wrong);
        }
        let (sha1, sha256) = (self.previous.has(T::MESSAGE_INTEGRITY), self.previous.has(T::MESSAGE_INTEGRITY_SHA256));
        if sha256 || sha1 && kind != T::MESSAGE_INTEGRITY_SHA256 {
            Some(Remark::AfterIntegrity)
        } else if self.previous.has(kind) && kind != T::XOR_PEER_ADDRESS {
            // XOR-PEER-ADDRESS may occur several times (RFC 8656 §10.1).
            Some(Remark::Repeated)
        } else if kind.is_comprehension_required() && !kind.is_known() {
            Some(Remark::MustBeUnderstood)
        } else if padding.iter().any(|&byte| byte != 0) {
            Some(Remark::PaddingNotZero)
        } else {
            None
        }
    }

    fn channel_number(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let number = u16::from_be_bytes(*rest.first_chunk()?);
        self.next = Next::DataLength;
        Some((2, Item::ChannelNumber(number), None))
    }

    fn data_length(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let length = u16::from_be_bytes(*rest.first_chunk()?);
        self.next = if length > 0 { Next::Data(length) } else { Next::AfterData };
        Some((2, Item::DataLength(length), self.channel_data_error()))
    }

    fn data(&mut self, rest: &'a [u8], length: u16) -> Option<Finding<'a>> {
        let data = rest.get(..usize::from(length)).unwrap_or(rest);
        // RFC 8656 §12.5: padding is optional over UDP and required over a stream.
        self.next = if data.len().is_multiple_of(4) { Next::AfterData } else { Next::Padding };
        Some((data.len(), Item::ApplicationData(data), None))
    }

    fn padding(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        self.next = Next::AfterData;
        Some(((self.at.next_multiple_of(4) - self.at).min(rest.len()), Item::Padding, None))
    }

    fn channel_data_error(&self) -> Option<Remark> {
        ChannelData::decode(self.bytes).err().map(Remark::WrongChannelData)
    }

    /// Returns the rest of the packet as one line.
    const fn last(&mut self, rest: &'a [u8], item: Item<'a>, remark: Option<Remark>) -> Finding<'a> {
        self.next = Next::End;
        (rest.len(), item, remark)
    }

    /// Returns the last line of a packet that ends within the next item.
    fn truncated(&mut self, rest: &'a [u8]) -> Finding<'a> {
        if matches!(self.next, Next::ChannelNumber | Next::DataLength) {
            let wrong = self.channel_data_error();
            return self.last(rest, Item::Truncated(Protocol::TurnChannel), wrong);
        }
        let found = self.bytes.len();
        let kind = (found < HEADER_LEN).then_some(Kind::HeaderTruncated { found });
        let wrong = self.error_remark(rest.len(), kind);
        self.last(rest, Item::Truncated(Protocol::Stun), wrong)
    }

    fn error_remark(&self, offset: usize, kind: Option<Kind>) -> Option<Remark> {
        kind.map(|kind| Remark::Wrong(DecodeError::new(self.at + offset, kind)))
    }
}
