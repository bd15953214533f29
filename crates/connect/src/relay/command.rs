//! The commands of a relay, and their text.

use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::hex::{read_hex, write_hex};
use portolan_machine::{Script, ScriptError, SocketId};
use portolan_stun_agent::Credential;
use portolan_turn::{ClientCommand, ClientConfig};

/// A command to a [`Relay`](crate::Relay).
///
/// Its [`Script`] text is one line, and contains the secrets of a credential. `Debug` prints only the mechanism.
///
/// ```
/// use portolan_connect::RelayCommand;
/// use portolan_machine::{Script, SocketId};
///
/// let send = RelayCommand::Send { socket: SocketId(2), peer: "192.0.2.9:5000".parse()?, data: b"hi"[..].into() };
/// assert_eq!(send.to_text(), "send s2 192.0.2.9:5000 6869");
/// assert_eq!(RelayCommand::read("send s2 192.0.2.9:5000 6869"), Ok(send));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayCommand {
    /// Makes the first allocation.
    Start(ClientConfig),
    /// Requests a permission for a peer.
    AddPeer {
        /// The peer.
        peer: IpAddr,
    },
    /// Forgets a peer and its channels.
    RemovePeer {
        /// The peer.
        peer: IpAddr,
    },
    /// Requests a channel for a peer.
    AddChannel {
        /// The peer.
        peer: SocketAddr,
    },
    /// Sends a datagram from a virtual socket.
    Send {
        /// The virtual socket.
        socket: SocketId,
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
    /// Releases all allocations and ends the relay.
    Close,
}

impl Script for RelayCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Start(config) => ClientCommand::Start(config.clone()).write(out),
            Self::AddPeer { peer } => write!(out, "add-peer {peer}"),
            Self::RemovePeer { peer } => write!(out, "remove-peer {peer}"),
            Self::AddChannel { peer } => write!(out, "add-channel {peer}"),
            Self::Send { socket, peer, data } => {
                write!(out, "send {socket} {peer} ")?;
                write_hex(out, data)
            }
            Self::SetCredential { credential, expires } => {
                ClientCommand::SetCredential { credential: credential.clone(), expires: *expires }.write(out)
            }
            Self::Close => out.write_str("close"),
        }
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        const COMMAND: ScriptError = ScriptError::new("a command of the relay");
        const ADDRESS: ScriptError = ScriptError::new("an address like `192.0.2.9:5000` or `[2001:db8::1]:5000`");
        const IP: ScriptError = ScriptError::new("an address like `192.0.2.9` or `2001:db8::1`");
        const SEND: ScriptError = ScriptError::new("`send s2 192.0.2.9:5000 HEX`");
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        match name {
            "start" | "set-credential" => {
                let command = ClientCommand::read(text)?;
                if let ClientCommand::Start(config) = command {
                    Ok(Self::Start(config))
                } else if let ClientCommand::SetCredential { credential, expires } = command {
                    Ok(Self::SetCredential { credential, expires })
                } else {
                    Err(COMMAND)
                }
            }
            "add-peer" => Ok(Self::AddPeer { peer: rest.parse().map_err(|_| IP)? }),
            "remove-peer" => Ok(Self::RemovePeer { peer: rest.parse().map_err(|_| IP)? }),
            "add-channel" => Ok(Self::AddChannel { peer: rest.parse().map_err(|_| ADDRESS)? }),
            "send" => {
                let (socket, rest) = rest.strip_prefix('s').and_then(|rest| rest.split_once(' ')).ok_or(SEND)?;
                let (peer, hex) = rest.split_once(' ').ok_or(SEND)?;
                let socket = SocketId(socket.parse().map_err(|_| SEND)?);
                Ok(Self::Send { socket, peer: peer.parse().map_err(|_| ADDRESS)?, data: read_hex(hex)?.into() })
            }
            "close" if rest.is_empty() => Ok(Self::Close),
            _ => Err(COMMAND),
        }
    }
}
