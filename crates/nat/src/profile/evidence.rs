//! What was met, and a verdict rests on: one line each, in words as data.

use super::{Flaw, renew};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Refusal, Unreachability};

/// A test whose answer, or silence, is evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// A plain Binding request from the filtering socket.
    Control,
    /// Answer from the other address and port (RFC 5780 §4.4, test II).
    ChangeBoth,
    /// Answer from the other port (RFC 5780 §4.4, test III).
    ChangePort,
    /// Answer from the other address and port, to a socket that nothing filters it from.
    Proof,
    /// A CHANGE-REQUEST that asks for no change, to a socket whose mapping nothing else could be let in by.
    PlainProof,
    /// Answer to another port, whose mapping is known to live (RFC 5780 §4.6).
    ResponsePort,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "a plain request",
            Self::ChangeBoth => "\"answer from your other address and port\"",
            Self::ChangePort => "\"answer from your other port\"",
            Self::Proof => "\"answer from your other address and port\", asked where nothing filters,",
            Self::PlainProof => "a CHANGE-REQUEST that changes nothing",
            Self::ResponsePort => "\"answer to another port\", whose mapping lives,",
        })
    }
}

/// One thing that was met, and that a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// Asked at `to`, a server saw the socket as `mapped`.
    Seen {
        /// Whom the socket asked.
        to: SocketAddr,
        /// What it was told.
        mapped: SocketAddr,
    },
    /// MAPPED-ADDRESS and XOR-MAPPED-ADDRESS of one answer.
    Twice {
        /// MAPPED-ADDRESS, which an ALG can find and rewrite.
        plain: SocketAddr,
        /// XOR-MAPPED-ADDRESS, which it cannot.
        xored: SocketAddr,
    },
    /// The question was answered.
    Answered {
        /// Which question.
        question: Question,
        /// Where the answer came from.
        from: SocketAddr,
    },
    /// The question was not answered.
    Silence {
        /// Which question.
        question: Question,
        /// How often it was sent.
        sends: u32,
    },
    /// Of `sent` packets that must be answered, `answered` were.
    Loss {
        /// Packets sent.
        sent: u32,
        /// Packets answered.
        answered: u32,
    },
    /// The socket's own address.
    Local {
        /// The address.
        address: SocketAddr,
    },
    /// A mapping that a socket of the test was given.
    Mapped {
        /// The socket's own port.
        local: u16,
        /// The external endpoint it got.
        external: SocketAddr,
    },
    /// What is held against a server.
    Server {
        /// The server.
        address: SocketAddr,
        /// What it gets wrong.
        flaw: Flaw,
    },
    /// A datagram was turned back.
    Unreachable {
        /// Where it was meant to go.
        to: SocketAddr,
        /// Why it did not.
        why: Unreachability,
    },
    /// A TCP connection to `to` was made.
    TcpConnected {
        /// The address and port.
        to: SocketAddr,
    },
    /// A TCP connection to `to` failed.
    TcpFailed {
        /// The address and port.
        to: SocketAddr,
        /// How.
        why: Refusal,
    },
    /// A hairpinned packet came back in.
    Hairpinned {
        /// Its source as the receiving socket saw it.
        from: SocketAddr,
    },
    /// A mapping let an answer in after this long.
    Lived {
        /// Since what last refreshed it, or, for an absolute end, since its first packet; at least.
        after: Duration,
    },
    /// A mapping let no answer in any more after this long.
    Died {
        /// Since what last refreshed it, or, for an absolute end, since its first packet; at most.
        after: Duration,
        /// How often the answer was asked for while others got theirs.
        sends: u32,
    },
}

impl Evidence {
    pub(crate) fn replace_addresses(&mut self, replace: &mut dyn FnMut(IpAddr) -> IpAddr) {
        match self {
            Self::Seen { to, mapped } => {
                renew(to, replace);
                renew(mapped, replace);
            }
            Self::Twice { plain, xored } => {
                renew(plain, replace);
                renew(xored, replace);
            }
            Self::Answered { from: address, .. }
            | Self::Local { address }
            | Self::Mapped { external: address, .. }
            | Self::Server { address, .. }
            | Self::Unreachable { to: address, .. }
            | Self::TcpConnected { to: address }
            | Self::TcpFailed { to: address, .. }
            | Self::Hairpinned { from: address } => renew(address, replace),
            Self::Silence { .. } | Self::Loss { .. } | Self::Lived { .. } | Self::Died { .. } => {}
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen { to, mapped } => write!(f, "{to} saw {mapped}"),
            Self::Twice { plain, xored } => write!(f, "told {plain} in the clear and {xored} in disguise"),
            Self::Answered { question, from } => write!(f, "{question} was answered from {from}"),
            Self::Silence { question, sends } => write!(f, "{question} stayed unanswered, sent {sends} times"),
            Self::Loss { sent, answered } => write!(f, "{answered} of {sent} packets that must be answered were"),
            Self::Local { address } => write!(f, "the socket's own address is {address}"),
            Self::Mapped { local, external } => write!(f, "local port {local} became {external}"),
            Self::Server { address, flaw } => write!(f, "{address}: {flaw}"),
            Self::Unreachable { to, why } => write!(f, "{to}: {why}"),
            Self::TcpConnected { to } => write!(f, "TCP to {to} connects"),
            Self::TcpFailed { to, why } => write!(f, "TCP to {to}: {why}"),
            Self::Hairpinned { from } => write!(f, "a packet to the own public endpoint came back from {from}"),
            Self::Lived { after } => write!(f, "a mapping still let an answer in after {:.1} s", after.as_secs_f64()),
            Self::Died { after, sends } => {
                write!(f, "a mapping let none of {sends} answers in after {:.1} s", after.as_secs_f64())
            }
        }
    }
}
