//! The commands of a gatherer, and their text.

use super::Interface;
use alloc::vec::Vec;
use core::fmt;
use portolan_machine::{Script, ScriptError};

/// A command to a [`Gatherer`](crate::Gatherer).
///
/// ```
/// use portolan_ice::GatherCommand;
/// use portolan_ice::gather::Interface;
/// use portolan_machine::Script;
///
/// let lan = Interface::new("eth0", "192.0.2.7".parse()?).default_route();
/// let command = GatherCommand::SetInterfaces(vec![lan, Interface::new("wg0", "10.8.0.2".parse()?)]);
/// let text = "set-interfaces eth0 192.0.2.7 ordinary default-route, wg0 10.8.0.2 tunnel";
/// assert_eq!(command.to_text(), text);
/// assert_eq!(GatherCommand::read(text), Ok(command));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatherCommand {
    /// Gathers candidates on these addresses, and removes the candidates of all other addresses.
    SetInterfaces(Vec<Interface>),
    /// Reports all host candidates again, and asks all servers again.
    Restart,
    /// Stops the keepalives of reflexive candidates.
    StopKeepalives,
    /// Closes all sockets and ends the gatherer.
    Close,
}

impl Script for GatherCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::SetInterfaces(interfaces) => {
                out.write_str("set-interfaces")?;
                interfaces.iter().enumerate().try_for_each(|(n, interface)| {
                    out.write_str(if n == 0 { " " } else { ", " })?;
                    interface.write(out)
                })
            }
            Self::Restart => out.write_str("restart"),
            Self::StopKeepalives => out.write_str("stop-keepalives"),
            Self::Close => out.write_str("close"),
        }
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        match name {
            "set-interfaces" if rest.is_empty() => Ok(Self::SetInterfaces(Vec::new())),
            "set-interfaces" => {
                rest.split(", ").map(Interface::read).collect::<Result<_, _>>().map(Self::SetInterfaces)
            }
            "restart" if rest.is_empty() => Ok(Self::Restart),
            "stop-keepalives" if rest.is_empty() => Ok(Self::StopKeepalives),
            "close" if rest.is_empty() => Ok(Self::Close),
            _ => Err(ScriptError::new("`set-interfaces`, `restart`, `stop-keepalives` or `close`")),
        }
    }
}
