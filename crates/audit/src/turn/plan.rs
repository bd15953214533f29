//! The steps of an audit, in their order, and the peers that a server must deny.
//!
//! Rules of this file: data only. A step that needs an earlier step comes after it. Peers that must be denied are named
//! in requests only. TCP allocations are last, so that a user needs at most three allocations at once.

use super::attack::TurnAttack;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use portolan_stun::Method;

/// A client of the audit: a socket, and perhaps an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// The client with the allocation that is attacked.
    Main,
    /// The client with a second allocation, which is the peer of the first one.
    Second,
    /// The client without an allocation.
    Third,
    /// The client with an IPv6 allocation.
    Six,
    /// The client with a TCP allocation (RFC 6062), on a stream.
    Tcp,
    /// The client with an IPv6 TCP allocation, on a stream.
    TcpSix,
}

impl Seat {
    pub(super) const ALL: [Self; 6] = [Self::Main, Self::Second, Self::Third, Self::Six, Self::Tcp, Self::TcpSix];

    /// Whether the client is on a stream.
    pub(super) const fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::TcpSix)
    }

    /// Whether the allocation of the client is one of IPv6.
    pub(super) const fn is_six(self) -> bool {
        matches!(self, Self::Six | Self::TcpSix)
    }
}

/// One step: one message, and the wait for its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Opens the stream of a client.
    OpenStream(Seat),
    /// An Allocate request without credentials.
    Challenge(Seat),
    Allocate(Seat),
    /// Ends the allocation.
    Release(Seat),
    Binding,
    Credentials(CredentialStep),
    Relay(RelayStep),
    /// A CreatePermission or ChannelBind request for a denied peer.
    Peer {
        of: TurnAttack,
        seat: Seat,
        peer: IpAddr,
        channel: Option<u16>,
    },
    /// A Connect request for a denied peer.
    Connect {
        seat: Seat,
        peer: IpAddr,
    },
    Reflection(Reflected),
}

/// A step that attacks the authentication or the integrity of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialStep {
    WrongPassword,
    /// A Refresh request of a client whose only Allocate request had no credentials.
    UnauthenticatedState,
    /// A request with the nonce of the main client.
    ForeignNonce,
    BidDownAlgorithms,
    BidDownCookie,
    OtherUserChallenge,
    OtherUser(Method),
    AfterIntegrity,
    DuplicateLifetime,
    /// A Refresh request that shows whether the attack ended the allocation.
    StillThere(TurnAttack),
}

/// A step with data or a channel. It needs two allocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelayStep {
    /// A permission for the relay addresses.
    Permit(Seat),
    /// A Send indication to the relayed address of the other client.
    Send {
        from: Seat,
        to: Seat,
        of: TurnAttack,
        is_control: bool,
    },
    ListenerChannel,
    /// A Binding request as the data of a Send indication to the server.
    ListenerSend(TurnAttack),
    ChannelRange(u16),
    /// Binds the first channel to the relayed address of the second client.
    Bind,
    RebindNumber,
    RebindPeer,
    /// ChannelData, with a wrong length or as the control.
    ChannelData {
        is_control: bool,
    },
}

impl Step {
    /// The attack of the step.
    pub(super) const fn attack(self) -> Option<TurnAttack> {
        Some(match self {
            Self::Challenge(Seat::Main) => TurnAttack::NoCredentials,
            Self::Binding => TurnAttack::BindingAmplification,
            Self::Credentials(step) => step.attack(),
            Self::Relay(step) => return step.attack(),
            Self::Peer { of, .. } => of,
            Self::Connect { .. } => TurnAttack::ConnectPeer,
            Self::Reflection(_) => TurnAttack::ResponseReflection,
            Self::OpenStream(_) | Self::Challenge(_) | Self::Allocate(_) | Self::Release(_) => return None,
        })
    }

    /// Whether a stale nonce is no result of the step.
    pub(super) const fn accepts_new_nonce(self) -> bool {
        match self {
            Self::OpenStream(_) | Self::Challenge(_) | Self::Binding => false,
            Self::Credentials(step) => matches!(
                step,
                CredentialStep::UnauthenticatedState
                    | CredentialStep::AfterIntegrity
                    | CredentialStep::DuplicateLifetime
                    | CredentialStep::StillThere(_)
            ),
            Self::Allocate(_)
            | Self::Release(_)
            | Self::Relay(_)
            | Self::Peer { .. }
            | Self::Connect { .. }
            | Self::Reflection(_) => true,
        }
    }
}

impl CredentialStep {
    const fn attack(self) -> TurnAttack {
        match self {
            Self::WrongPassword => TurnAttack::WrongPassword,
            Self::UnauthenticatedState => TurnAttack::UnauthenticatedState,
            Self::ForeignNonce => TurnAttack::ForeignNonce,
            Self::BidDownAlgorithms | Self::BidDownCookie => TurnAttack::BidDown,
            Self::OtherUserChallenge | Self::OtherUser(_) => TurnAttack::OtherUser,
            Self::AfterIntegrity => TurnAttack::AfterIntegrity,
            Self::DuplicateLifetime => TurnAttack::DuplicateAttribute,
            Self::StillThere(attack) => attack,
        }
    }
}

impl RelayStep {
    pub(super) const fn attack(self) -> Option<TurnAttack> {
        Some(match self {
            Self::Permit(_) => return None,
            Self::Send { of, .. } | Self::ListenerSend(of) => of,
            Self::ListenerChannel => TurnAttack::OwnListener,
            Self::ChannelRange(_) => TurnAttack::ChannelRange,
            Self::Bind | Self::RebindNumber | Self::RebindPeer => TurnAttack::ChannelRebinding,
            Self::ChannelData { .. } => TurnAttack::ChannelDataLength,
        })
    }

    /// Whether the step is the control of an attack.
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Send { is_control: true, .. } | Self::ChannelData { is_control: true })
    }
}

/// A message that a server must not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reflected {
    Success,
    Error,
    Data,
}

/// The number of the channel between the first two clients.
pub(super) const CHANNEL: u16 = 0x4001;
/// The first channel number for denied peers.
const FIRST: u16 = 0x4100;
/// The denied IPv4 address that is inside the IPv6 addresses. It is no relay address of a server on loopback.
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 88, 99, 1);
/// A peer that a server must deny.
pub(super) const LOOPBACK: IpAddr = IpAddr::V4(INSIDE);

/// Returns all steps.
pub(super) fn steps() -> Vec<Step> {
    use Seat::{Main, Second, Six, Third};
    let mut steps = Vec::from([
        Step::Challenge(Main),
        Step::Binding,
        Step::Credentials(CredentialStep::WrongPassword),
        Step::Challenge(Third),
        Step::Credentials(CredentialStep::UnauthenticatedState),
        Step::Credentials(CredentialStep::ForeignNonce),
        Step::Allocate(Main),
        Step::Challenge(Second),
        Step::Allocate(Second),
        Step::Challenge(Six),
        Step::Allocate(Six),
    ]);
    steps.extend(integrity_steps());
    steps.extend(relay_steps().map(Step::Relay));
    steps.extend(peer_steps());
    steps.push(Step::Relay(RelayStep::ListenerSend(TurnAttack::LoopbackSend)));
    // A server must not accept Connect on a UDP allocation either.
    steps.push(Step::Connect { seat: Main, peer: LOOPBACK });
    steps.extend([Reflected::Success, Reflected::Error, Reflected::Data].map(Step::Reflection));
    steps.extend([Main, Second, Six].map(Step::Release));
    steps.extend([Seat::Tcp, Seat::TcpSix].into_iter().flat_map(connect_steps));
    steps
}

/// The steps that attack the integrity of requests, and the requests of another user.
fn integrity_steps() -> Vec<Step> {
    use CredentialStep as C;
    let methods = [Method::CREATE_PERMISSION, Method::CHANNEL_BIND, Method::REFRESH];
    let mut steps = Vec::from([C::BidDownAlgorithms, C::BidDownCookie, C::OtherUserChallenge].map(Step::Credentials));
    steps.extend(methods.map(|method| Step::Credentials(C::OtherUser(method))));
    for step in [None, Some(C::AfterIntegrity), Some(C::DuplicateLifetime)] {
        let attack = step.map_or(TurnAttack::OtherUser, C::attack);
        steps.extend(step.map(Step::Credentials));
        // An allocation that an attack ended is made again.
        steps.extend([Step::Credentials(C::StillThere(attack)), Step::Allocate(Seat::Main)]);
    }
    steps
}

/// The steps of a TCP allocation: a Connect request for each denied peer of its family.
fn connect_steps(seat: Seat) -> impl Iterator<Item = Step> {
    let denied = peers().into_iter().map(|(_, peer)| peer).filter(move |peer| peer.is_ipv6() == seat.is_six());
    let first = [Step::OpenStream(seat), Step::Challenge(seat), Step::Allocate(seat)];
    first.into_iter().chain(denied.map(move |peer| Step::Connect { seat, peer })).chain([Step::Release(seat)])
}

/// The steps with data. Each attack precedes the permission that would allow its data.
fn relay_steps() -> [RelayStep; 17] {
    use Seat::{Main, Second};
    use TurnAttack::{DataWithoutPermission, SendWithoutPermission};
    let send = |of, is_control| RelayStep::Send { from: Main, to: Second, of, is_control };
    let data = |of, is_control| RelayStep::Send { from: Second, to: Main, of, is_control };
    [
        RelayStep::Permit(Second),
        send(SendWithoutPermission, false),
        data(DataWithoutPermission, false),
        RelayStep::Permit(Main),
        send(SendWithoutPermission, true),
        data(DataWithoutPermission, true),
        RelayStep::ListenerChannel,
        RelayStep::ListenerSend(TurnAttack::OwnListener),
        RelayStep::ChannelRange(0),
        RelayStep::ChannelRange(0x3fff),
        RelayStep::ChannelRange(0x5000),
        RelayStep::ChannelRange(0xffff),
        RelayStep::Bind,
        RelayStep::RebindNumber,
        RelayStep::RebindPeer,
        RelayStep::ChannelData { is_control: false },
        RelayStep::ChannelData { is_control: true },
    ]
}

/// A request for each denied peer by each method that names a peer and has a response.
fn peer_steps() -> impl Iterator<Item = Step> {
    let numbered = peers().into_iter().zip(FIRST..);
    numbered.flat_map(|((of, peer), number)| {
        let seat = if peer.is_ipv4() { Seat::Main } else { Seat::Six };
        [None, Some(number)].map(|channel| Step::Peer { of, seat, peer, channel })
    })
}

/// The denied peers.
fn peers() -> Vec<(TurnAttack, IpAddr)> {
    use TurnAttack as A;
    let v4 = |a, b, c, d| IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    let [a, b, c, d] = INSIDE.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let v6 = |segments: [u16; 8]| IpAddr::V6(Ipv6Addr::from(segments));
    Vec::from([
        (A::LoopbackPeer, v4(127, 0, 0, 1)),
        (A::LoopbackPeer, LOOPBACK),
        (A::LoopbackPeer, v6([0, 0, 0, 0, 0, 0, 0, 1])),
        (A::UnspecifiedPeer, v4(0, 0, 0, 0)),
        (A::UnspecifiedPeer, v4(0, 88, 99, 1)),
        (A::UnspecifiedPeer, v6([0; 8])),
        (A::PrivatePeer, v4(10, 88, 99, 1)),
        (A::PrivatePeer, v4(172, 16, 88, 1)),
        (A::PrivatePeer, v4(192, 168, 88, 1)),
        (A::PrivatePeer, v6([0xfd00, 0x88, 0, 0, 0, 0, 0, 1])),
        (A::SharedPeer, v4(100, 64, 88, 1)),
        (A::LinkLocalPeer, v4(169, 254, 88, 1)),
        (A::LinkLocalPeer, v6([0xfe80, 0, 0, 0, 0, 0, 0, 1])),
        (A::MetadataPeer, v4(169, 254, 169, 254)),
        (A::MetadataPeer, v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254])),
        (A::MulticastPeer, v4(224, 0, 0, 1)),
        (A::MulticastPeer, v4(239, 255, 255, 250)),
        (A::MulticastPeer, v6([0xff02, 0, 0, 0, 0, 0, 0, 1])),
        (A::BroadcastPeer, v4(255, 255, 255, 255)),
        (A::MappedPeer, v6([0, 0, 0, 0, 0, 0xffff, high, low])),
        (A::CompatiblePeer, v6([0, 0, 0, 0, 0, 0, high, low])),
        (A::SixToFourPeer, v6([0x2002, high, low, 0, 0, 0, 0, 1])),
        (A::Nat64Peer, v6([0x64, 0xff9b, 0, 0, 0, 0, high, low])),
        (A::Nat64Peer, v6([0x64, 0xff9b, 1, 0, 0, 0, high, low])),
        // The client address of a Teredo address is inverted (RFC 4380 §4).
        (A::TeredoPeer, v6([0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !high, !low])),
        (A::IsatapPeer, v6([0x2a00, 0x88, 0, 0, 0, 0x5efe, high, low])),
    ])
}
