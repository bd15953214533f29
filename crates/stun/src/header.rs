//! The header: class, method, transaction ID, and the distinction from other protocols (RFC 8489 §5).
//!
//! Rules of this file: only this file packs and unpacks the 14 bits of the message type.
//!
//! ```
//! use portolan_stun::{Class, Message, Method, is_stun};
//!
//! let bytes = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
//! assert!(is_stun(&bytes));
//! let message = Message::decode(&bytes)?;
//! assert_eq!((message.method(), message.class()), (Method::BINDING, Class::Request));
//! assert_eq!(message.transaction_id().to_string(), "0102030405060708090a0b0c");
//! # Ok::<(), portolan_stun::DecodeError>(())
//! ```

use core::fmt;

/// The magic cookie, which distinguishes STUN from other protocols (RFC 8489 §5).
pub const MAGIC_COOKIE: u32 = 0x2112_a442;

/// The length of a header in bytes (RFC 8489 §5).
pub const HEADER_LEN: usize = 20;

/// The class of a message (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A request, to which the receiver sends a response.
    Request,
    /// An indication, which has no response.
    Indication,
    /// A success response.
    SuccessResponse,
    /// An error response; ERROR-CODE gives the reason.
    ErrorResponse,
}

impl Class {
    /// Whether this is a success or an error response.
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self, Self::SuccessResponse | Self::ErrorResponse)
    }

    /// The class of a message type.
    pub(crate) const fn from_message_type(message_type: u16) -> Self {
        match message_type & 0x0110 {
            0x0000 => Self::Request,
            0x0010 => Self::Indication,
            0x0100 => Self::SuccessResponse,
            _ => Self::ErrorResponse,
        }
    }

    /// The two class bits in their place in the message type.
    const fn bits(self) -> u16 {
        match self {
            Self::Request => 0x0000,
            Self::Indication => 0x0010,
            Self::SuccessResponse => 0x0100,
            Self::ErrorResponse => 0x0110,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Indication => "indication",
            Self::SuccessResponse => "success response",
            Self::ErrorResponse => "error response",
        })
    }
}

/// A method: a number of 12 bits. Methods of the IANA registry have a name (RFC 8489 §18.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(u16);

impl Method {
    /// Binding (RFC 8489).
    pub const BINDING: Self = Self(0x001);
    /// SharedSecret, of RFC 3489 only; reserved now.
    pub const SHARED_SECRET: Self = Self(0x002);
    /// Allocate (RFC 8656 §17).
    pub const ALLOCATE: Self = Self(0x003);
    /// Refresh (RFC 8656 §17).
    pub const REFRESH: Self = Self(0x004);
    /// Send (RFC 8656 §17).
    pub const SEND: Self = Self(0x006);
    /// Data (RFC 8656 §17).
    pub const DATA: Self = Self(0x007);
    /// CreatePermission (RFC 8656 §17).
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// ChannelBind (RFC 8656 §17).
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// Connect (RFC 6062 §6.1).
    pub const CONNECT: Self = Self(0x00a);
    /// ConnectionBind (RFC 6062 §6.1).
    pub const CONNECTION_BIND: Self = Self(0x00b);
    /// ConnectionAttempt (RFC 6062 §6.1).
    pub const CONNECTION_ATTEMPT: Self = Self(0x00c);

    /// A method by its number; `None` above 0xfff.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number <= 0xfff { Some(Self(number)) } else { None }
    }

    /// The number, 0 to 0xfff.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The name in the registry, if it has one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::BINDING => "Binding",
            Self::SHARED_SECRET => "SharedSecret",
            Self::ALLOCATE => "Allocate",
            Self::REFRESH => "Refresh",
            Self::SEND => "Send",
            Self::DATA => "Data",
            Self::CREATE_PERMISSION => "CreatePermission",
            Self::CHANNEL_BIND => "ChannelBind",
            Self::CONNECT => "Connect",
            Self::CONNECTION_BIND => "ConnectionBind",
            Self::CONNECTION_ATTEMPT => "ConnectionAttempt",
            _ => return None,
        })
    }

    /// The method of a message type.
    pub(crate) const fn from_message_type(message_type: u16) -> Self {
        Self(message_type & 0x000f | (message_type & 0x00e0) >> 1 | (message_type & 0x3e00) >> 2)
    }

    /// The message type: method and class bits interleaved (RFC 8489 §5, figure 3).
    pub(crate) const fn message_type(self, class: Class) -> u16 {
        self.0 & 0x00f | (self.0 & 0x070) << 1 | (self.0 & 0xf80) << 2 | class.bits()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "method {:#05x}", self.0),
        }
    }
}

/// A transaction ID: the 96 bits that match a response to its request (RFC 8489 §5). `Display` prints 24 hexadecimal
/// digits.
///
/// It must be unpredictable: use a cryptographic RNG, never a counter (RFC 8489 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TransactionId([u8; 12]);

impl TransactionId {
    /// The 12 bytes in message order.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

impl From<[u8; 12]> for TransactionId {
    fn from(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }
}

impl From<TransactionId> for [u8; 12] {
    fn from(id: TransactionId) -> Self {
        id.0
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransactionId({self})")
    }
}

/// Whether these bytes can be a STUN message: checks the top bits, the cookie and the length (RFC 8489 §5, §7).
///
/// It distinguishes STUN from other protocols on a shared socket. It reads the header only.
#[must_use]
#[inline]
pub fn is_stun(bytes: &[u8]) -> bool {
    let Some(&[t0, _, l0, l1, c0, c1, c2, c3]) = bytes.first_chunk::<8>() else { return false };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    t0 & 0xc0 == 0
        && u32::from_be_bytes([c0, c1, c2, c3]) == MAGIC_COOKIE
        && length & 3 == 0
        && length + HEADER_LEN == bytes.len()
}
