//! Candidates: their kinds, transports and priorities (RFC 8445 §5.1, RFC 6544 §4).
//!
//! Rules of this file: a [`LocalCandidate`] is what a gatherer finds or an owner adds. It has no foundation and no
//! priority, because both follow from its other fields. A candidate that is signalled has the form of
//! [`CandidateAttribute`](portolan_sdp::candidate::CandidateAttribute).
//!
//! ```
//! use portolan_ice::{CandidateKind, ComponentId, LocalCandidate, Transport};
//! use portolan_machine::SocketId;
//!
//! let component = ComponentId::new(0, 1);
//! let host = LocalCandidate::host(component, SocketId(1), "10.0.0.7:40000".parse()?);
//! let reflexive = host.server_reflexive("192.0.2.7:61000".parse()?, "192.0.2.1".parse()?);
//! assert_eq!((host.priority(), reflexive.priority()), (2130706431, 1694498815));
//! assert_eq!(reflexive.related, Some(host.address));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::SocketId;
use portolan_sdp::candidate::TcpType;

/// A component of a data stream (RFC 8445 §4). Component 1 carries the data, component 2 is RTCP if it has its own
/// port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    /// The number of the data stream, counted from 0 in the order of the session.
    pub stream: u16,
    /// The number of the component, 1 to 256.
    pub number: u16,
}

impl ComponentId {
    /// A component of a data stream.
    #[must_use]
    pub const fn new(stream: u16, number: u16) -> Self {
        Self { stream, number }
    }
}

impl fmt::Display for ComponentId {
    /// For example `0.1`: component 1 of stream 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stream, self.number)
    }
}

/// The type of a candidate (RFC 8445 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CandidateKind {
    /// An address of the host.
    Host,
    /// The source address of the agent's requests, as a peer received them.
    PeerReflexive,
    /// The source address of the agent's requests, as a STUN server received them.
    ServerReflexive,
    /// An address of a TURN server.
    Relayed,
}

impl CandidateKind {
    /// Returns the name of RFC 8839 §5.1: `host`, `srflx`, `prflx` or `relay`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::PeerReflexive => "prflx",
            Self::ServerReflexive => "srflx",
            Self::Relayed => "relay",
        }
    }

    /// Returns the recommended type preference of a UDP candidate (RFC 8445 §5.1.2.2).
    #[must_use]
    pub const fn preference(self) -> u8 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }

    /// Returns the type preference of a TCP candidate: below each UDP candidate that is not relayed (RFC 6544 §4.2).
    #[must_use]
    pub const fn tcp_preference(self) -> u8 {
        match self {
            Self::Host => 90,
            Self::PeerReflexive => 80,
            Self::ServerReflexive => 70,
            Self::Relayed => 0,
        }
    }
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The transport of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP (RFC 6544).
    Tcp(TcpType),
}

impl Transport {
    /// The transport of the peer's candidate in a pair (RFC 6544 §6.2).
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Udp => Self::Udp,
            Self::Tcp(TcpType::Active) => Self::Tcp(TcpType::Passive),
            Self::Tcp(TcpType::Passive) => Self::Tcp(TcpType::Active),
            Self::Tcp(TcpType::SimultaneousOpen) => Self::Tcp(TcpType::SimultaneousOpen),
        }
    }

    /// Whether the transport is TCP.
    #[must_use]
    pub const fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp(_))
    }
}

/// The direction preference of a TCP candidate, 0 to 7 (RFC 6544 §4.2).
const fn direction_preference(kind: CandidateKind, tcp: TcpType) -> u16 {
    match (kind, tcp) {
        (CandidateKind::Host | CandidateKind::Relayed, TcpType::Active) => 6,
        (CandidateKind::Host | CandidateKind::Relayed, TcpType::Passive) => 4,
        (CandidateKind::Host | CandidateKind::Relayed, TcpType::SimultaneousOpen) => 2,
        (CandidateKind::PeerReflexive | CandidateKind::ServerReflexive, TcpType::SimultaneousOpen) => 6,
        (CandidateKind::PeerReflexive | CandidateKind::ServerReflexive, TcpType::Active) => 4,
        (CandidateKind::PeerReflexive | CandidateKind::ServerReflexive, TcpType::Passive) => 2,
    }
}

/// A local candidate (RFC 8445 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalCandidate {
    /// The component.
    pub component: ComponentId,
    /// The type.
    pub kind: CandidateKind,
    /// The transport.
    pub transport: Transport,
    /// The address that a peer uses.
    pub address: SocketAddr,
    /// The address that the agent sends from: of a host or relayed candidate the candidate's own address.
    pub base: SocketAddr,
    /// The socket of the base.
    pub socket: SocketId,
    /// The local preference, which is unique among the addresses of a host (RFC 8445 §5.1.2.1, RFC 8421).
    pub preference: u16,
    /// The STUN or TURN server that reported the address.
    pub server: Option<IpAddr>,
    /// The related address: the base of a reflexive candidate, the mapped address of a relayed one (RFC 8839 §5.1).
    pub related: Option<SocketAddr>,
}

impl LocalCandidate {
    /// A UDP host candidate with the highest local preference.
    #[must_use]
    pub const fn host(component: ComponentId, socket: SocketId, address: SocketAddr) -> Self {
        Self {
            component,
            kind: CandidateKind::Host,
            transport: Transport::Udp,
            address,
            base: address,
            socket,
            preference: u16::MAX,
            server: None,
            related: None,
        }
    }

    /// An active TCP host candidate: the agent opens streams from this address. The port of the candidate is 9, and each
    /// stream has another one (RFC 6544 §4.5). `socket` is a virtual socket: the owner opens the stream of each peer.
    #[must_use]
    pub const fn tcp_active(component: ComponentId, socket: SocketId, address: IpAddr) -> Self {
        let host = Self::host(component, socket, SocketAddr::new(address, DISCARD));
        Self { transport: Transport::Tcp(TcpType::Active), ..host }
    }

    /// A passive TCP host candidate: the owner listens on this address. `socket` is a virtual socket for all streams that
    /// arrive (RFC 6544 §4.1).
    #[must_use]
    pub const fn tcp_passive(component: ComponentId, socket: SocketId, address: SocketAddr) -> Self {
        Self { transport: Transport::Tcp(TcpType::Passive), ..Self::host(component, socket, address) }
    }

    /// A UDP relayed candidate. `socket` is the socket of the relay: data that is sent on it leaves from `relayed`.
    #[must_use]
    pub const fn relayed(
        component: ComponentId,
        socket: SocketId,
        relayed: SocketAddr,
        mapped: SocketAddr,
        server: IpAddr,
    ) -> Self {
        let host = Self::host(component, socket, relayed);
        Self { kind: CandidateKind::Relayed, server: Some(server), related: Some(mapped), ..host }
    }

    /// Returns the server-reflexive candidate with this base.
    #[must_use]
    pub const fn server_reflexive(self, address: SocketAddr, server: IpAddr) -> Self {
        Self { kind: CandidateKind::ServerReflexive, address, server: Some(server), related: Some(self.base), ..self }
    }

    /// Returns the same candidate with this local preference.
    #[must_use]
    pub const fn with_preference(mut self, preference: u16) -> Self {
        self.preference = preference;
        self
    }

    /// Returns the priority of a peer-reflexive candidate with this base: the PRIORITY of checks (RFC 8445 §7.1.1).
    #[must_use]
    pub const fn reflexive_priority(&self) -> u32 {
        self.priority_of(CandidateKind::PeerReflexive)
    }

    /// Returns the priority (RFC 8445 §5.1.2.1).
    #[must_use]
    pub const fn priority(&self) -> u32 {
        self.priority_of(self.kind)
    }

    const fn priority_of(&self, kind: CandidateKind) -> u32 {
        match self.transport {
            Transport::Udp => priority(kind.preference(), self.preference, self.component.number),
            // 2¹³ × direction preference + other preference (RFC 6544 §4.2). Preferences of addresses differ by 8 or more.
            Transport::Tcp(tcp) => {
                let local = (direction_preference(kind, tcp) << 13) + (self.preference >> 3);
                priority(kind.tcp_preference(), local, self.component.number)
            }
        }
    }
}

/// The port of an active TCP candidate (RFC 6544 §4.5).
const DISCARD: u16 = 9;

/// Returns the priority of a candidate: 2²⁴ × type preference + 2⁸ × local preference + 256 − component (RFC 8445
/// §5.1.2.1).
#[must_use]
pub const fn priority(type_preference: u8, local_preference: u16, component: u16) -> u32 {
    let component = if component > 256 { 256 } else { component };
    ((type_preference as u32) << 24) + ((local_preference as u32) << 8) + (256 - component as u32)
}
