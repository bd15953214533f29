//! The commands of a connection, and their text.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;
use portolan_ice::gather::Interface;
use portolan_ice::{AgentCommand, ComponentId, GatherCommand};
use portolan_machine::hex::{read_hex, write_hex};
use portolan_machine::{Script, ScriptError};
use portolan_stun_agent::Credential;

/// A command to a [`Connection`](crate::Connection).
///
/// Its [`Script`] text is one line, and contains the secrets of a credential.
///
/// ```
/// use portolan_connect::ConnectCommand;
/// use portolan_machine::Script;
///
/// for text in ["start controlling", "set-interfaces eth0 192.0.2.7 ordinary", "end-remote 0", "send 0.1 6869"] {
///     assert_eq!(ConnectCommand::read(text)?.to_text(), text);
/// }
/// # Ok::<(), portolan_machine::ScriptError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectCommand {
    /// Starts the agent and the TURN clients.
    Start {
        /// Whether the agent is controlling.
        controlling: bool,
    },
    /// Sets the addresses of the host, at the start and after each change of the network.
    SetInterfaces(Vec<Interface>),
    /// A command about the peer: `set-remote`, `add-remote`, `end-remote` or `resolve`.
    Peer(Box<AgentCommand>),
    /// Restarts ICE.
    Restart,
    /// Sends data to the peer.
    Send {
        /// The component.
        component: ComponentId,
        /// The data.
        data: Bytes,
    },
    /// Sets a new credential of a TURN server.
    SetCredential {
        /// The number of the server in the configuration.
        server: usize,
        /// The credential.
        credential: Credential,
        /// The time after which the credential is no longer valid.
        expires: Option<Duration>,
    },
    /// Closes the connection.
    Close,
}

impl Script for ConnectCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Start { controlling } => AgentCommand::Start { controlling: *controlling }.write(out),
            Self::SetInterfaces(interfaces) => GatherCommand::SetInterfaces(interfaces.clone()).write(out),
            Self::Peer(command) => command.write(out),
            Self::Restart => out.write_str("restart"),
            Self::Send { component, data } => {
                write!(out, "send {component} ")?;
                write_hex(out, data)
            }
            Self::SetCredential { server, credential, expires } => {
                write!(out, "set-credential {server} ")?;
                match expires {
                    Some(expires) => write!(out, "{} ", expires.as_nanos())?,
                    None => out.write_str("- ")?,
                }
                credential.write(out)
            }
            Self::Close => out.write_str("close"),
        }
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        match name {
            "start" => {
                let AgentCommand::Start { controlling } = AgentCommand::read(text)? else { return Err(NAME) };
                Ok(Self::Start { controlling })
            }
            "set-interfaces" => {
                let GatherCommand::SetInterfaces(interfaces) = GatherCommand::read(text)? else { return Err(NAME) };
                Ok(Self::SetInterfaces(interfaces))
            }
            "set-remote" | "add-remote" | "end-remote" | "resolve" => {
                AgentCommand::read(text).map(|command| Self::Peer(Box::new(command)))
            }
            "restart" if rest.is_empty() => Ok(Self::Restart),
            "send" => {
                let (component, data) = rest.split_once(' ').unwrap_or((rest, ""));
                let (stream, number) = component.split_once('.').ok_or(COMPONENT)?;
                let read = |text: &str| text.parse().map_err(|_| COMPONENT);
                let component = ComponentId::new(read(stream)?, read(number)?);
                Ok(Self::Send { component, data: read_hex(data)?.into() })
            }
            "set-credential" => {
                let (server, rest) = rest.split_once(' ').ok_or(CREDENTIAL)?;
                let (expires, credential) = rest.split_once(' ').ok_or(CREDENTIAL)?;
                let expires = match expires {
                    "-" => None,
                    nanos => Some(Duration::from_nanos(nanos.parse().map_err(|_| CREDENTIAL)?)),
                };
                let server = server.parse().map_err(|_| CREDENTIAL)?;
                Ok(Self::SetCredential { server, credential: Credential::read(credential)?, expires })
            }
            "close" if rest.is_empty() => Ok(Self::Close),
            _ => Err(NAME),
        }
    }
}

const NAME: ScriptError =
    ScriptError::new("a command of a connection: start, set-interfaces, set-remote, send, close …");
const COMPONENT: ScriptError = ScriptError::new("a component such as `0.1`, and data in hexadecimal digits");
const CREDENTIAL: ScriptError = ScriptError::new("the number of a server, nanoseconds or `-`, and a credential");
