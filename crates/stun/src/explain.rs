//! An annotated dump: what each byte of a packet is, what it says, who says so, and what is wrong.
//!
//! Rules of this file: any bytes whatever are explained to their end; the lines together hold every byte exactly once and in
//! order; the verdicts are those of [`Message::decode`](crate::Message::decode) and of reading the attributes, not second
//! opinions. How a line is printed stands in `explain/print.rs`.
//!
//! RFC 8489 §5, §6.3, §14.
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
//! ```

use crate::{
    Attribute, AttributeType, Class, Clause, DecodeError, DecodeErrorKind as Kind, Field, HEADER_LEN, MAGIC_COOKIE,
    Method, TransactionId,
    attribute::{self, Veil},
    demux::Protocol,
    fingerprint,
    message::{length_mismatch, padded},
};

mod print;

pub use print::Json;

/// Explains a packet line by line.
#[must_use]
pub const fn explain(bytes: &[u8]) -> Explanation<'_> {
    Explanation { bytes, at: 0, next: Next::MessageType, seen: Seen::NOTHING }
}

/// The lines of an explanation, in the order of their bytes; made by [`explain`].
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    bytes: &'a [u8],
    at: usize,
    next: Next,
    seen: Seen,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Next {
    MessageType,
    Length,
    Cookie,
    TransactionId,
    Attribute,
    Nothing,
}

/// What stood before, as far as it changes what comes after.
#[derive(Clone, Copy, Debug)]
struct Seen {
    transaction_id: [u8; 12],
    /// One bit for each known type, in the order of the registry.
    kinds: u64,
}

impl Seen {
    const NOTHING: Self = Self { transaction_id: [0; 12], kinds: 0 };

    fn has(self, kind: AttributeType) -> bool {
        self.kinds & Self::bit(kind) != 0
    }

    /// The bit of a known type; 0 for the others, whose repetition is nobody's business.
    fn bit(kind: AttributeType) -> u64 {
        const { assert!(AttributeType::KNOWN.len() <= 64, "one bit for each") };
        AttributeType::KNOWN.iter().position(|&known| known == kind).map_or(0, |index| 1 << index)
    }
}

/// One line: some bytes, and what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Offset of the first byte from the start of the packet.
    pub at: usize,
    /// The bytes that this line is about.
    pub bytes: &'a [u8],
    /// What they are.
    pub item: Item<'a>,
    /// What is wrong with them, or of note.
    pub remark: Option<Remark>,
}

/// What the bytes of a line are.
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
    /// A whole attribute with its padding; `None` where the value is malformed.
    Attribute {
        /// Its type.
        kind: AttributeType,
        /// Its value.
        value: Option<Attribute<'a>>,
    },
    /// The front of something that is longer than what is left.
    Truncated,
    /// Bytes of something else.
    Other(Option<Protocol>),
}

/// What is wrong with a line, or of note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// A rule is broken.
    Wrong(DecodeError),
    /// It stands behind MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 and is to be ignored.
    AfterIntegrity,
    /// It stands behind FINGERPRINT and is to be ignored.
    AfterFingerprint,
    /// Its type came before; the first one counts.
    Repeated,
    /// A receiver that does not know it must refuse the message.
    MustBeUnderstood,
    /// The padding is not zero, which a receiver ignores.
    PaddingNotZero,
}

impl Item<'_> {
    /// The section that defines it.
    #[must_use]
    pub const fn clause(&self) -> Option<Clause> {
        match self {
            Self::MessageType { .. } | Self::Length(_) | Self::Cookie(_) | Self::TransactionId(_) | Self::Truncated => {
                Some(Clause::new(8489, "5"))
            }
            Self::Attribute { kind, .. } => kind.clause(),
            Self::Other(_) => Some(Clause::new(7983, "7")),
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
            Next::Nothing => return None,
        }
        .unwrap_or_else(|| self.cut_short(rest));
        let bytes = rest.get(..length).unwrap_or(rest);
        self.at += bytes.len();
        Some(Line { at, bytes, item, remark })
    }
}

/// How many bytes a line takes, what they are, and what is to be said about them.
type Finding<'a> = (usize, Item<'a>, Option<Remark>);

impl<'a> Explanation<'a> {
    fn message_type(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let found = *rest.first()?;
        if found & 0xc0 != 0 {
            self.next = Next::Nothing;
            let remark = Remark::Wrong(DecodeError::new(self.at, Kind::TopBits { found }));
            return Some((rest.len(), Item::Other(Protocol::of(rest)), Some(remark)));
        }
        let word = u16::from_be_bytes(*rest.first_chunk()?);
        self.next = Next::Length;
        Some((2, Item::MessageType { class: Class::unwoven(word), method: Method::unwoven(word) }, None))
    }

    fn length(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let length = u16::from_be_bytes(*rest.first_chunk()?);
        self.next = Next::Cookie;
        let found = self.bytes.len().saturating_sub(HEADER_LEN);
        let wrong = if self.bytes.len() < HEADER_LEN {
            // The header's end is missing: that is what is wrong, and it is said there.
            None
        } else if length & 3 != 0 {
            self.wrong(0, Some(Kind::LengthUnaligned { found: length }))
        } else {
            (usize::from(length) != found).then(|| Remark::Wrong(length_mismatch(length, found)))
        };
        Some((2, Item::Length(length), wrong))
    }

    fn cookie(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let found = u32::from_be_bytes(*rest.first_chunk()?);
        self.next = Next::TransactionId;
        let wrong = (found != MAGIC_COOKIE).then_some(Kind::Cookie { found });
        Some((4, Item::Cookie(found), self.wrong(0, wrong)))
    }

    fn transaction_id(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        self.seen.transaction_id = *rest.first_chunk()?;
        self.next = Next::Attribute;
        Some((12, Item::TransactionId(self.seen.transaction_id.into()), None))
    }

    fn attribute(&mut self, rest: &'a [u8]) -> Option<Finding<'a>> {
        let (&[k0, k1, l0, l1], after) = rest.split_first_chunk::<4>()?;
        let (kind, announced) = (AttributeType::new(u16::from_be_bytes([k0, k1])), u16::from_be_bytes([l0, l1]));
        let Some((value, padding)) =
            after.get(..padded(announced)).and_then(|whole| whole.split_at_checked(usize::from(announced)))
        else {
            self.next = Next::Nothing;
            let wrong = Kind::AttributeTruncated { attribute: kind, announced, found: after.len() };
            return Some((rest.len(), Item::Attribute { kind, value: None }, self.wrong(0, Some(wrong))));
        };
        let field = Field { at: self.at, kind, value };
        let read = attribute::decode(field, Veil::new(self.seen.transaction_id.into()));
        let remark = match read {
            Err(error) => Some(Remark::Wrong(error)),
            Ok(_) => self.remark(kind, padding),
        };
        self.seen.kinds |= Seen::bit(kind);
        Some((4 + padded(announced), Item::Attribute { kind, value: read.ok() }, remark))
    }

    /// What is to be said about an attribute whose value is well-formed; the gravest alone.
    fn remark(&self, kind: AttributeType, padding: &[u8]) -> Option<Remark> {
        use AttributeType as T;
        if self.seen.has(T::FINGERPRINT) {
            return Some(Remark::AfterFingerprint);
        }
        if kind == T::FINGERPRINT {
            return fingerprint::check(self.bytes, self.at).err().map(Remark::Wrong);
        }
        let (sha1, sha256) = (self.seen.has(T::MESSAGE_INTEGRITY), self.seen.has(T::MESSAGE_INTEGRITY_SHA256));
        if sha256 || sha1 && kind != T::MESSAGE_INTEGRITY_SHA256 {
            Some(Remark::AfterIntegrity)
        } else if self.seen.has(kind) && kind != T::XOR_PEER_ADDRESS {
            // Of XOR-PEER-ADDRESS there may be several (RFC 8656 §10.1).
            Some(Remark::Repeated)
        } else if kind.is_comprehension_required() && !kind.is_known() {
            Some(Remark::MustBeUnderstood)
        } else if padding.iter().any(|&byte| byte != 0) {
            Some(Remark::PaddingNotZero)
        } else {
            None
        }
    }

    /// The packet ends inside of what comes next.
    fn cut_short(&mut self, rest: &'a [u8]) -> Finding<'a> {
        let found = self.bytes.len();
        let kind = (found < HEADER_LEN).then_some(Kind::HeaderTruncated { found });
        self.next = Next::Nothing;
        (rest.len(), Item::Truncated, self.wrong(rest.len(), kind))
    }

    fn wrong(&self, offset: usize, kind: Option<Kind>) -> Option<Remark> {
        kind.map(|kind| Remark::Wrong(DecodeError::new(self.at + offset, kind)))
    }
}
