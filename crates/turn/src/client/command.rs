//! The commands of a client, and their text.

use super::ClientConfig;
use super::config::read_nanos;
use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::hex::{read_hex, write_hex};
use portolan_machine::{Script, ScriptError};
use portolan_stun_agent::Credential;

/// A command to a [`Client`](crate::Client).
///
/// Its [`Script`] text is one line, and contains the secrets of a credential. `Debug` prints only the mechanism.
///
/// ```
/// use portolan_machine::Script;
/// use portolan_turn::ClientCommand;
///
/// let send = ClientCommand::Send { peer: "192.0.2.9:5000".parse()?, data: b"hi"[..].into() };
/// assert_eq!(send.to_text(), "send 192.0.2.9:5000 6869");
/// assert_eq!(ClientCommand::read("send 192.0.2.9:5000 6869"), Ok(send));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCommand {
    /// Orders the socket of the first allocation.
    Start(ClientConfig),
    /// Requests a permission for the address of a peer, or requests it again after a failure.
    AddPermission {
        /// The peer.
        peer: IpAddr,
    },
    /// Forgets the permission and the channels of a peer. The server drops them when their lifetime ends.
    RemovePermission {
        /// The peer.
        peer: IpAddr,
    },
    /// Requests a channel for a peer, or requests it again after a failure. A channel includes the permission.
    AddChannel {
        /// The peer.
        peer: SocketAddr,
    },
    /// Sends data to a peer.
    Send {
        /// The peer.
        peer: SocketAddr,
        /// The data.
        data: Bytes,
    },
    /// Makes a new allocation with a new credential, which replaces the current allocation.
    SetCredential {
        /// The credential.
        credential: Credential,
        /// The time after which it is no longer valid.
        expires: Option<Duration>,
    },
    /// Refreshes the current allocation now, and reports the result.
    Refresh,
    /// Releases all allocations and ends the client.
    Close,
}

impl Script for ClientCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Start(config) => {
                out.write_str("start ")?;
                config.write(out)
            }
            Self::AddPermission { peer } => write!(out, "add-permission {peer}"),
            Self::RemovePermission { peer } => write!(out, "remove-permission {peer}"),
            Self::AddChannel { peer } => write!(out, "add-channel {peer}"),
            Self::Send { peer, data } => {
                write!(out, "send {peer} ")?;
                write_hex(out, data)
            }
            Self::SetCredential { credential, expires } => {
                out.write_str("set-credential ")?;
                credential.write(out)?;
                expires.map_or(Ok(()), |expires| write!(out, " {}", expires.as_nanos()))
            }
            Self::Refresh => out.write_str("refresh"),
            Self::Close => out.write_str("close"),
        }
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        const ADDRESS: ScriptError = ScriptError::new("an address like `192.0.2.9:5000` or `[2001:db8::1]:5000`");
        const IP: ScriptError = ScriptError::new("an address like `192.0.2.9` or `2001:db8::1`");
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        match name {
            "start" => ClientConfig::read(rest).map(Self::Start),
            "add-permission" => Ok(Self::AddPermission { peer: rest.parse().map_err(|_| IP)? }),
            "remove-permission" => Ok(Self::RemovePermission { peer: rest.parse().map_err(|_| IP)? }),
            "add-channel" => Ok(Self::AddChannel { peer: rest.parse().map_err(|_| ADDRESS)? }),
            "send" => {
                let (peer, hex) = rest.split_once(' ').ok_or(ADDRESS)?;
                Ok(Self::Send { peer: peer.parse().map_err(|_| ADDRESS)?, data: read_hex(hex)?.into() })
            }
            "set-credential" => {
                let (credential, expires) = match rest.split_once(' ') {
                    Some((credential, nanos)) => (credential, Some(read_nanos(nanos)?)),
                    None => (rest, None),
                };
                Ok(Self::SetCredential { credential: Credential::read(credential)?, expires })
            }
            "refresh" if rest.is_empty() => Ok(Self::Refresh),
            "close" if rest.is_empty() => Ok(Self::Close),
            _ => Err(ScriptError::new("a command of the client")),
        }
    }
}
