//! The evidence of a conclusion: one item each, as data.

use super::{Flaw, replace_ip};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Refusal, Unreachability};

/// A test whose response, or silence, is evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// A plain Binding request from the filtering socket.
    Control,
    /// A request for a response from the other address and port (RFC 5780 §4.4, test II).
    ChangeBoth,
    /// A request for a response from the other port (RFC 5780 §4.4, test III).
    ChangePort,
    /// A request for a response from the other address and port, on a socket where no filter drops the response.
    Proof,
    /// A CHANGE-REQUEST for no change, on a socket whose mapping lets in no other response.
    PlainProof,
    /// A request for a response to another port, whose mapping is known to live (RFC 5780 §4.6).
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

/// One item of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// A server at `to` reported the mapped address `mapped`.
    Seen {
        /// The destination of the request.
        to: SocketAddr,
        /// The mapped address in the response.
        mapped: SocketAddr,
    },
    /// MAPPED-ADDRESS and XOR-MAPPED-ADDRESS of one response.
    Twice {
        /// MAPPED-ADDRESS, which an ALG can find and rewrite.
        plain: SocketAddr,
        /// XOR-MAPPED-ADDRESS, which an ALG cannot find.
        xored: SocketAddr,
    },
    /// A request was answered.
    Answered {
        /// The test.
        question: Question,
        /// The source of the response.
        from: SocketAddr,
    },
    /// A request was not answered.
    Silence {
        /// The test.
        question: Question,
        /// The number of sends.
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
    /// The mapping of a socket of the test.
    Mapped {
        /// The socket's own port.
        local: u16,
        /// Its external endpoint.
        external: SocketAddr,
    },
    /// The external port is the local port, and this number of destination addresses got one external endpoint. With a
    /// preserved port this shows endpoint independence only if the NAT has one public address.
    PreservedPort {
        /// The number of destination addresses.
        destinations: u8,
    },
    /// A flaw of a server.
    Server {
        /// The server.
        address: SocketAddr,
        /// The flaw.
        flaw: Flaw,
    },
    /// A datagram was returned as unreachable.
    Unreachable {
        /// Its destination.
        to: SocketAddr,
        /// The reason.
        why: Unreachability,
    },
    /// A TCP connection was made.
    TcpConnected {
        /// The address and port.
        to: SocketAddr,
    },
    /// A TCP connection to `to` failed.
    TcpFailed {
        /// The address and port.
        to: SocketAddr,
        /// The reason.
        why: Refusal,
    },
    /// A hairpinned packet came back in.
    Hairpinned {
        /// Its source address at the receiving socket.
        from: SocketAddr,
    },
    /// A mapping let a response in after this time.
    Lived {
        /// The time since the last refresh; for an absolute end, since the first packet; at least.
        after: Duration,
    },
    /// A mapping let no response in after this time.
    Died {
        /// The time since the last refresh; for an absolute end, since the first packet; at most.
        after: Duration,
        /// The number of requests for a response, while a living mapping got its response.
        sends: u32,
    },
}

impl Evidence {
    pub(crate) fn replace_addresses(&mut self, replace: &mut dyn FnMut(IpAddr) -> IpAddr) {
        match self {
            Self::Seen { to, mapped } => {
                replace_ip(to, replace);
                replace_ip(mapped, replace);
            }
            Self::Twice { plain, xored } => {
                replace_ip(plain, replace);
                replace_ip(xored, replace);
            }
            Self::Answered { from: address, .. }
            | Self::Local { address }
            | Self::Mapped { external: address, .. }
            | Self::Server { address, .. }
            | Self::Unreachable { to: address, .. }
            | Self::TcpConnected { to: address }
            | Self::TcpFailed { to: address, .. }
            | Self::Hairpinned { from: address } => replace_ip(address, replace),
            Self::Silence { .. }
            | Self::Loss { .. }
            | Self::PreservedPort { .. }
            | Self::Lived { .. }
            | Self::Died { .. } => {}
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen { to, mapped } => write!(f, "{to} saw {mapped}"),
            Self::Twice { plain, xored } => write!(f, "got {plain} as plain and {xored} as XOR address"),
            Self::Answered { question, from } => write!(f, "{question} was answered from {from}"),
            Self::Silence { question, sends } => write!(f, "{question} stayed unanswered, sent {sends} times"),
            Self::Loss { sent, answered } => write!(f, "{answered} of {sent} packets that must be answered were"),
            Self::Local { address } => write!(f, "the socket's own address is {address}"),
            Self::Mapped { local, external } => write!(f, "local port {local} became {external}"),
            Self::PreservedPort { destinations } => write!(
                f,
                "{destinations} destination addresses agreed; with a preserved port this assumes a NAT with one public address"
            ),
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
