//! The text form of commands, so that a recorded run is a list of lines.

use crate::{Credential, Request};
use core::fmt::{self, Write};
use core::str::FromStr;
use core::time::Duration;
use portolan_machine::hex::read_hex;
use portolan_machine::{Script, ScriptError};
use portolan_stun::TransactionId;

/// A command to [`Transactions`](crate::Transactions).
///
/// Its [`Script`] text is one line, and contains the secrets of a credential. `Display` and `Debug` print only the
/// mechanism of the credential. The text of a tag must be one line.
///
/// ```
/// use portolan_machine::{Script, SocketId};
/// use portolan_stun_agent::{Credential, Request, TransactionCommand};
///
/// let request = Request::binding(SocketId(1), "192.0.2.1:3478".parse()?, 7);
/// let command = TransactionCommand::RequestWith(request, Credential::long_term("ann", "secret"));
/// assert_eq!(command.to_string(), "request-with long-term s1 192.0.2.1:3478 binding tag=7");
/// let text = command.to_text();
/// assert_eq!(text, "request-with long-term:616e6e:736563726574 s1 192.0.2.1:3478 binding tag=7");
/// assert_eq!(TransactionCommand::read(&text), Ok(command));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionCommand<T> {
    /// Adds a request: `request s1 192.0.2.1:3478 binding tag=…`.
    Request(Request<T>),
    /// Adds a request with a credential: `request-with long-term:616e6e:736563726574 s1 … tag=…`.
    RequestWith(Request<T>, Credential),
    /// Cancels a request: `cancel 010101010101010101010101`.
    Cancel(TransactionId),
    /// Times a request out now, as at the end of its schedule: `give-up 010101010101010101010101`.
    GiveUp(TransactionId),
    /// Sets the time between the last send and the timeout, in nanoseconds as text: `tail 0101…01 250000000`.
    SetTail(TransactionId, Duration),
    /// Removes a credential and its authentication state of all servers: `forget long-term:616e6e:736563726574`.
    Forget(Credential),
}

impl<T: fmt::Display> fmt::Display for TransactionCommand<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => write!(f, "request {request}"),
            Self::RequestWith(request, credential) => write!(f, "request-with {credential} {request}"),
            Self::Cancel(id) => write!(f, "cancel {id}"),
            Self::GiveUp(id) => write!(f, "give-up {id}"),
            Self::SetTail(id, tail) => write!(f, "tail {id} {}", tail.as_nanos()),
            Self::Forget(credential) => write!(f, "forget {credential}"),
        }
    }
}

impl<T: fmt::Display + FromStr> Script for TransactionCommand<T> {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        match self {
            Self::RequestWith(request, credential) => {
                out.write_str("request-with ")?;
                credential.write(out)?;
                write!(out, " {request}")
            }
            Self::Forget(credential) => {
                out.write_str("forget ")?;
                credential.write(out)
            }
            Self::Request(_) | Self::Cancel(_) | Self::GiveUp(_) | Self::SetTail(..) => write!(out, "{self}"),
        }
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "request" => Request::read(rest).map(Self::Request),
            "request-with" => {
                let (credential, request) = rest.split_once(' ').ok_or(ScriptError::new("a request"))?;
                Ok(Self::RequestWith(Request::read(request)?, Credential::read(credential)?))
            }
            "cancel" => transaction_id(rest).map(Self::Cancel),
            "give-up" => transaction_id(rest).map(Self::GiveUp),
            "tail" => {
                let (id, tail) = rest.split_once(' ').ok_or(NANOSECONDS)?;
                let nanos: u128 = tail.parse().map_err(|_| NANOSECONDS)?;
                let secs = u64::try_from(nanos / 1_000_000_000).map_err(|_| NANOSECONDS)?;
                let subsec = u32::try_from(nanos % 1_000_000_000).map_err(|_| NANOSECONDS)?;
                Ok(Self::SetTail(transaction_id(id)?, Duration::new(secs, subsec)))
            }
            "forget" => Credential::read(rest).map(Self::Forget),
            _ => Err(ScriptError::new("`request`, `request-with`, `cancel`, `give-up`, `tail` or `forget`")),
        }
    }
}

const NANOSECONDS: ScriptError = ScriptError::new("a transaction id and a number of nanoseconds");

fn transaction_id(hex: &str) -> Result<TransactionId, ScriptError> {
    let bytes = read_hex(hex).ok().and_then(|bytes| <[u8; 12]>::try_from(bytes).ok());
    bytes.map(TransactionId::from).ok_or(ScriptError::new("a transaction id of 24 hexadecimal digits"))
}
