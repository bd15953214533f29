//! The notes of a session. The notes of its children have their names in front.

use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain};

/// The notes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionNote {
    /// A datagram was dropped, because the queue of outputs is full.
    QueueFull {
        /// The source.
        from: SocketAddr,
    },
}

impl Explain for SessionNote {
    fn code(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "session-queue-full",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::QueueFull { .. } => None,
        }
    }
}

impl fmt::Display for SessionNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { from } => write!(f, "a datagram from {from} is dropped: the queue of outputs is full"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::notes::{self, Table, table};

    pub(crate) fn session() -> Table {
        let from = SocketAddr::from(([192, 0, 2, 1], 1));
        table!(SessionNote, [SessionNote::QueueFull { from }], [SessionNote::QueueFull { .. }])
    }
}
