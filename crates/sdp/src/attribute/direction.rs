//! The direction of media (RFC 8866 §6.7, RFC 3264 §6.1).

use crate::error::Citation;
use core::fmt;

/// The direction of media, from the view of the endpoint that wrote the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Sends and receives; the default.
    #[default]
    SendRecv,
    /// Sends only.
    SendOnly,
    /// Receives only.
    RecvOnly,
    /// Neither sends nor receives.
    Inactive,
}

impl Direction {
    pub(crate) const CLAUSE: Citation = Citation::new("RFC 8866", "6.7");

    /// Returns the direction with this attribute name.
    #[must_use]
    pub const fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"sendrecv" => Self::SendRecv,
            b"sendonly" => Self::SendOnly,
            b"recvonly" => Self::RecvOnly,
            b"inactive" => Self::Inactive,
            _ => return None,
        })
    }

    /// Returns whether the endpoint sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Returns whether the endpoint receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// Returns the direction from two flags.
    #[must_use]
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Returns the direction from the view of the other endpoint.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }
}

/// Returns the name of the attribute.
impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        })
    }
}
