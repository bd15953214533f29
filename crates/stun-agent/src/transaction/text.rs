//! Commands as text: a recorded run is a list of lines.

use crate::{Request, ScheduleParseError};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use portolan_machine::{Script, ScriptError, SocketId};
use portolan_stun::{Method, TransactionId};

/// What the owner of [`Transactions`](crate::Transactions) may ask; its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionCommand<T> {
    /// Make this request: `request s1 192.0.2.1:3478 binding tag=…`.
    Request(Request<T>),
    /// Want its answer no longer: `cancel 010101010101010101010101`.
    Cancel(TransactionId),
    /// Give it up this long after its last send, in nanoseconds as text: `tail 0101…01 250000000`.
    SetTail(TransactionId, Duration),
}

impl<T: fmt::Display> fmt::Display for TransactionCommand<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => write!(f, "request {request}"),
            Self::Cancel(id) => write!(f, "cancel {id}"),
            Self::SetTail(id, tail) => write!(f, "tail {id} {}", tail.as_nanos()),
        }
    }
}

impl<T: FromStr> FromStr for TransactionCommand<T> {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let (verb, rest) = text.split_once(' ').ok_or(TextError::Verb)?;
        match verb {
            "request" => rest.parse().map(Self::Request),
            "cancel" => transaction_id(rest).map(Self::Cancel),
            "tail" => {
                let (id, tail) = rest.split_once(' ').ok_or(TextError::Number)?;
                let nanos: u128 = tail.parse().map_err(|_| TextError::Number)?;
                let secs = u64::try_from(nanos / 1_000_000_000).map_err(|_| TextError::Number)?;
                let subsec = u32::try_from(nanos % 1_000_000_000).map_err(|_| TextError::Number)?;
                Ok(Self::SetTail(transaction_id(id)?, Duration::new(secs, subsec)))
            }
            _ => Err(TextError::Verb),
        }
    }
}

impl<T: fmt::Display + FromStr> Script for TransactionCommand<T> {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{self}")
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        text.parse().map_err(|_| ScriptError::new("`request …`, `cancel ID` or `tail ID NANOSECONDS`"))
    }
}

/// Why a text is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// It begins with none of the known verbs.
    #[error("a command begins with a known verb and a space")]
    Verb,
    /// A socket is `s` and a number.
    #[error("a socket is written `s1`")]
    Socket,
    /// An address is an IP address and a port.
    #[error("an address is written `192.0.2.1:3478` or `[2001:db8::1]:3478`")]
    Address,
    /// A method is `binding` or a number.
    #[error("a method is `binding` or a number from 0x0 to 0xfff")]
    Method,
    /// A transaction id is 24 hexadecimal digits.
    #[error("a transaction id is 24 hexadecimal digits")]
    TransactionId,
    /// Attributes are pairs of hexadecimal digits.
    #[error("attributes are pairs of hexadecimal digits")]
    Hex,
    /// A number is out of range or none.
    #[error("not a number in range")]
    Number,
    /// A word is none of `schedule=`, `from=`, `on=`, `hop-limit=`, `seal=`, `attributes=`, with a value of theirs.
    #[error("expected schedule=, from=, on=, hop-limit=, seal= or attributes= with its value")]
    Word,
    /// The tag is missing or cannot be read.
    #[error("a request ends with `tag=` and its tag")]
    Tag,
    /// The schedule cannot be read.
    #[error(transparent)]
    Schedule(#[from] ScheduleParseError),
}

pub(super) fn socket(word: &str) -> Result<SocketId, TextError> {
    word.strip_prefix('s').and_then(|number| number.parse().ok()).map(SocketId).ok_or(TextError::Socket)
}

pub(super) fn write_method(f: &mut fmt::Formatter<'_>, method: Method) -> fmt::Result {
    if method == Method::BINDING { f.write_str("binding") } else { write!(f, "{:#x}", method.number()) }
}

pub(super) fn method(word: &str) -> Result<Method, TextError> {
    if word == "binding" {
        return Ok(Method::BINDING);
    }
    let number = word.strip_prefix("0x").and_then(|hex| u16::from_str_radix(hex, 16).ok());
    number.and_then(Method::new).ok_or(TextError::Method)
}

pub(super) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(super) fn bytes(hex: &str) -> Result<Vec<u8>, TextError> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return Err(TextError::Hex) };
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect::<Option<_>>().ok_or(TextError::Hex)
}

fn transaction_id(hex: &str) -> Result<TransactionId, TextError> {
    let bytes = bytes(hex).ok().and_then(|bytes| <[u8; 12]>::try_from(bytes).ok());
    bytes.map(TransactionId::from).ok_or(TextError::TransactionId)
}

fn digit(ascii: u8) -> Option<u8> {
    char::from(ascii).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
