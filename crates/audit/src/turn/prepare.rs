//! The message of each step, or the reason why the step is not possible.
//!
//! Rules of this file: a step is prepared from what earlier steps showed. Nothing is sent here.

use super::attack::Obstacle;
use super::plan::{self, Reflected, Seat, Step};
use super::request::{Account, Challenge, Flavor, channel_data, plain, signed};
use super::{TurnAttack, TurnAudit};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use portolan_machine::Cx;
use portolan_stun::{AddressFamily, Attribute, Class, ErrorCode, Method, TransactionId};

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// The response of this transaction.
    Response(TransactionId),
    /// A datagram with these bytes at this client, or none.
    Arrival { seat: Seat, marker: [u8; 12] },
    /// No datagram at the client of the step.
    Silence,
}

/// The first part of a step.
#[derive(Clone, Debug)]
pub(super) enum Prepared {
    Send { seat: Seat, bytes: Vec<u8>, aim: Aim },
    Skip(Obstacle),
}

/// The protocol number of UDP (RFC 8656 §18.8).
const UDP: Attribute<'static> = Attribute::RequestedTransport(17);
/// The lifetime of requests that must not end an allocation.
const LIFETIME: Attribute<'static> = Attribute::Lifetime(600);

impl Step {
    /// The attack of the step.
    pub(super) const fn attack(self) -> Option<TurnAttack> {
        Some(match self {
            Self::Challenge(Seat::Main) => TurnAttack::NoCredentials,
            Self::Binding => TurnAttack::BindingAmplification,
            Self::WrongPassword => TurnAttack::WrongPassword,
            Self::UnauthenticatedState => TurnAttack::UnauthenticatedState,
            Self::ForeignNonce => TurnAttack::ForeignNonce,
            Self::BidDownAlgorithms | Self::BidDownCookie => TurnAttack::BidDown,
            Self::OtherUserChallenge | Self::OtherUser(_) => TurnAttack::OtherUser,
            Self::AfterIntegrity => TurnAttack::AfterIntegrity,
            Self::DuplicateLifetime => TurnAttack::DuplicateAttribute,
            Self::StillThere(attack) | Self::ListenerSend(attack) => attack,
            Self::Send { of, .. } | Self::Peer { of, .. } => of,
            Self::ListenerChannel => TurnAttack::OwnListener,
            Self::ChannelRange(_) => TurnAttack::ChannelRange,
            Self::Bind | Self::RebindNumber | Self::RebindPeer => TurnAttack::ChannelRebinding,
            Self::ChannelData { .. } => TurnAttack::ChannelDataLength,
            Self::Connect => TurnAttack::ConnectPeer,
            Self::Reflection(_) => TurnAttack::ResponseReflection,
            Self::Challenge(_) | Self::Allocate(_) | Self::Permit(_) | Self::Release(_) => return None,
        })
    }

    /// Whether a stale nonce is no result of the step.
    pub(super) const fn accepts_new_nonce(self) -> bool {
        !matches!(
            self,
            Self::Challenge(_)
                | Self::Binding
                | Self::WrongPassword
                | Self::ForeignNonce
                | Self::BidDownAlgorithms
                | Self::BidDownCookie
                | Self::OtherUserChallenge
                | Self::OtherUser(_)
        )
    }
}

impl TurnAudit {
    pub(super) fn prepare(&self, cx: &mut Cx<'_>, step: Step) -> Prepared {
        let result = match step {
            Step::Challenge(seat) => self.unsigned(cx, seat, Method::ALLOCATE, &[UDP]),
            Step::OtherUserChallenge if self.config.other.is_none() => Err(Obstacle::NoOtherUser),
            Step::OtherUserChallenge => self.unsigned(cx, Seat::Main, Method::REFRESH, &[]),
            Step::Binding => self.unsigned(cx, Seat::Third, Method::BINDING, &[]),
            Step::WrongPassword => self.wrong_password(cx),
            Step::UnauthenticatedState if self.client(Seat::Third).challenge.is_none() => Err(Obstacle::NotOffered),
            Step::UnauthenticatedState => self.ask(cx, Seat::Third, Method::REFRESH, &[LIFETIME]),
            Step::ForeignNonce => self.with_challenge(cx, Seat::Third, self.client(Seat::Main).challenge.as_ref()),
            Step::Allocate(seat) => self.allocate(cx, seat),
            Step::BidDownAlgorithms | Step::BidDownCookie => self.bid_down(cx, step == Step::BidDownCookie),
            Step::OtherUser(method) => self.other_user(cx, method),
            Step::AfterIntegrity => {
                self.ask_with(cx, Method::REFRESH, &[LIFETIME], Flavor { zero_after: true, ..Flavor::default() })
            }
            Step::DuplicateLifetime => self.ask(cx, Seat::Main, Method::REFRESH, &[LIFETIME, Attribute::Lifetime(0)]),
            Step::StillThere(attack) if self.facts.attacked != Some(attack) => Err(Obstacle::NotOffered),
            Step::StillThere(_) => self.ask(cx, Seat::Main, Method::REFRESH, &[LIFETIME]),
            Step::Release(seat) if self.client(seat).relayed.is_none() => Err(Obstacle::Silent),
            Step::Release(seat) => self.ask(cx, seat, Method::REFRESH, &[Attribute::Lifetime(0)]),
            Step::Peer { .. } | Step::Connect => self.denied_peer(cx, step),
            Step::Reflection(reflected) => Self::reflection(cx, reflected),
            Step::Permit(_)
            | Step::Send { .. }
            | Step::ListenerChannel
            | Step::ListenerSend(_)
            | Step::ChannelRange(_)
            | Step::Bind
            | Step::RebindNumber
            | Step::RebindPeer
            | Step::ChannelData { .. } => self.between_two(cx, step),
        };
        result.unwrap_or_else(Prepared::Skip)
    }

    /// The steps that need two allocations.
    fn between_two(&self, cx: &mut Cx<'_>, step: Step) -> Result<Prepared, Obstacle> {
        let relayed = |seat| self.client(seat).relayed.ok_or(Obstacle::NoControl);
        let (main, second) = (relayed(Seat::Main)?, relayed(Seat::Second)?);
        let other_port = SocketAddr::new(second.ip(), second.port() ^ 2);
        let bind = |cx: &mut Cx<'_>, number, peer| {
            let attributes = [Attribute::ChannelNumber(number), Attribute::XorPeerAddress(peer)];
            self.ask(cx, Seat::Main, Method::CHANNEL_BIND, &attributes)
        };
        match step {
            Step::Permit(seat) => {
                let peer = if seat == Seat::Main { second } else { main };
                self.ask(cx, seat, Method::CREATE_PERMISSION, &[Attribute::XorPeerAddress(peer)])
            }
            Step::Send { from, to, .. } => {
                let marker = cx.random::<12>();
                let peer = if to == Seat::Main { main } else { second };
                Self::indication(cx, from, peer, &marker, Aim::Arrival { seat: to, marker })
            }
            Step::ListenerChannel => bind(cx, plan::CHANNEL + 1, self.config.server),
            Step::ListenerSend(attack) => {
                let server = self.config.server;
                let ip = if attack == TurnAttack::OwnListener { server.ip() } else { Ipv4Addr::LOCALHOST.into() };
                if attack != TurnAttack::OwnListener && (self.is_own_relay(ip) || server.is_ipv6()) {
                    return Err(Obstacle::OwnRelay);
                }
                // The response of the listener has the transaction id.
                let marker = cx.random::<12>();
                let data = plain(Class::Request, Method::BINDING, marker.into(), &[]).ok_or(Obstacle::NotOffered)?;
                let aim = Aim::Arrival { seat: Seat::Main, marker };
                Self::indication(cx, Seat::Main, SocketAddr::new(ip, server.port()), &data, aim)
            }
            Step::ChannelRange(number) => {
                // Each number has a peer of its own, so that no request conflicts with another.
                let bit = 2 << (1 + number % 4 + (number >> 14) % 2 * 4);
                bind(cx, number, SocketAddr::new(second.ip(), second.port() ^ bit))
            }
            Step::Bind => bind(cx, plan::CHANNEL, second),
            Step::RebindNumber => bind(cx, plan::CHANNEL, other_port),
            Step::RebindPeer => bind(cx, plan::CHANNEL + 2, second),
            Step::ChannelData { is_control } => {
                let marker = cx.random::<12>();
                let length = if is_control { marker.len() } else { 200 };
                let bytes = channel_data(plan::CHANNEL, length, &marker);
                Ok(Prepared::Send { seat: Seat::Main, bytes, aim: Aim::Arrival { seat: Seat::Second, marker } })
            }
            Step::Challenge(_)
            | Step::Binding
            | Step::WrongPassword
            | Step::UnauthenticatedState
            | Step::ForeignNonce
            | Step::Allocate(_)
            | Step::BidDownAlgorithms
            | Step::BidDownCookie
            | Step::OtherUserChallenge
            | Step::OtherUser(_)
            | Step::AfterIntegrity
            | Step::DuplicateLifetime
            | Step::StillThere(_)
            | Step::Peer { .. }
            | Step::Connect
            | Step::Reflection(_)
            | Step::Release(_) => Err(Obstacle::NotOffered),
        }
    }

    fn denied_peer(&self, cx: &mut Cx<'_>, step: Step) -> Result<Prepared, Obstacle> {
        let Step::Peer { seat, peer, channel, .. } = step else {
            let peer = SocketAddr::new(plan::LOOPBACK, 9);
            return self.ask(cx, Seat::Main, Method::CONNECT, &[Attribute::XorPeerAddress(peer)]);
        };
        if self.is_own_relay(peer) {
            return Err(Obstacle::OwnRelay);
        }
        if self.client(seat).relayed.is_none() {
            return Err(if seat == Seat::Six { Obstacle::NoIpv6 } else { Obstacle::NoControl });
        }
        let peer = Attribute::XorPeerAddress(SocketAddr::new(peer, 9));
        match channel {
            None => self.ask(cx, seat, Method::CREATE_PERMISSION, &[peer]),
            Some(number) => self.ask(cx, seat, Method::CHANNEL_BIND, &[Attribute::ChannelNumber(number), peer]),
        }
    }

    fn allocate(&self, cx: &mut Cx<'_>, seat: Seat) -> Result<Prepared, Obstacle> {
        let family = Attribute::RequestedAddressFamily(AddressFamily::Ipv6);
        // A server that accepts a request without credentials, or with a wrong password, has made the allocation.
        if self.client(seat).relayed.is_some() {
            return Err(Obstacle::NotOffered);
        }
        match seat {
            Seat::Six => self.ask(cx, seat, Method::ALLOCATE, &[UDP, family]),
            Seat::Main | Seat::Second | Seat::Third => self.ask(cx, seat, Method::ALLOCATE, &[UDP]),
        }
    }

    fn wrong_password(&self, cx: &mut Cx<'_>) -> Result<Prepared, Obstacle> {
        let challenge = self.client(Seat::Main).challenge.as_ref().ok_or(Obstacle::NotOffered)?;
        let wrong = Account { name: self.config.user.name.clone(), password: "not the password".into() };
        Self::signed_by(cx, Seat::Main, (Method::ALLOCATE, &[UDP]), (&wrong, challenge), Flavor::default())
    }

    fn bid_down(&self, cx: &mut Cx<'_>, cookie: bool) -> Result<Prepared, Obstacle> {
        let challenge = self.client(Seat::Main).challenge.as_ref().ok_or(Obstacle::NotOffered)?;
        if cookie {
            let changed = challenge.without_features().ok_or(Obstacle::NotOffered)?;
            return self.with_challenge(cx, Seat::Main, Some(&changed));
        }
        if !challenge.has_choice {
            return Err(Obstacle::NotOffered);
        }
        self.ask_with(cx, Method::REFRESH, &[LIFETIME], Flavor { fewer_algorithms: true, ..Flavor::default() })
    }

    fn other_user(&self, cx: &mut Cx<'_>, method: Method) -> Result<Prepared, Obstacle> {
        let other = self.config.other.as_ref().ok_or(Obstacle::NoOtherUser)?;
        let challenge = self.facts.other.as_ref().ok_or(Obstacle::NotOffered)?;
        let second = self.client(Seat::Second).relayed.or(self.client(Seat::Main).relayed);
        let peer = Attribute::XorPeerAddress(second.ok_or(Obstacle::NoControl)?);
        let bind = [Attribute::ChannelNumber(plan::CHANNEL + 3), peer];
        let attributes: &[Attribute<'_>] = match method {
            Method::CREATE_PERMISSION => &[peer],
            Method::CHANNEL_BIND => &bind,
            _ => &[Attribute::Lifetime(0)],
        };
        Self::signed_by(cx, Seat::Main, (method, attributes), (other, challenge), Flavor::default())
    }

    fn reflection(cx: &mut Cx<'_>, reflected: Reflected) -> Result<Prepared, Obstacle> {
        let id = Self::id(cx);
        let address = SocketAddr::new(plan::LOOPBACK, 9);
        let error = ErrorCode::new(401, "".into()).map(Attribute::ErrorCode).ok_or(Obstacle::NotOffered)?;
        let bytes = match reflected {
            Reflected::Success => {
                plain(Class::SuccessResponse, Method::BINDING, id, &[Attribute::XorMappedAddress(address)])
            }
            Reflected::Error => plain(Class::ErrorResponse, Method::ALLOCATE, id, &[error]),
            Reflected::Data => {
                let attributes = [Attribute::XorPeerAddress(address), Attribute::Data(b"data")];
                plain(Class::Indication, Method::DATA, id, &attributes)
            }
        };
        Ok(Prepared::Send { seat: Seat::Third, bytes: bytes.ok_or(Obstacle::NotOffered)?, aim: Aim::Silence })
    }

    /// A Refresh request with this challenge.
    fn with_challenge(&self, cx: &mut Cx<'_>, seat: Seat, challenge: Option<&Challenge>) -> Result<Prepared, Obstacle> {
        let challenge = challenge.ok_or(Obstacle::NotOffered)?;
        Self::signed_by(cx, seat, (Method::REFRESH, &[LIFETIME]), (&self.config.user, challenge), Flavor::default())
    }

    fn unsigned(
        &self,
        cx: &mut Cx<'_>,
        seat: Seat,
        method: Method,
        attributes: &[Attribute<'_>],
    ) -> Result<Prepared, Obstacle> {
        let id = Self::id(cx);
        let bytes = plain(Class::Request, method, id, attributes).ok_or(Obstacle::NotOffered)?;
        Ok(Prepared::Send { seat, bytes, aim: Aim::Response(id) })
    }

    /// A correct request of the user; without credentials if the server requires none.
    fn ask(
        &self,
        cx: &mut Cx<'_>,
        seat: Seat,
        method: Method,
        attributes: &[Attribute<'_>],
    ) -> Result<Prepared, Obstacle> {
        match &self.client(seat).challenge {
            None => self.unsigned(cx, seat, method, attributes),
            Some(challenge) => {
                let by = (&self.config.user, challenge);
                Self::signed_by(cx, seat, (method, attributes), by, Flavor::default())
            }
        }
    }

    /// A request of the main client in a variant.
    fn ask_with(
        &self,
        cx: &mut Cx<'_>,
        method: Method,
        attributes: &[Attribute<'_>],
        flavor: Flavor,
    ) -> Result<Prepared, Obstacle> {
        let challenge = self.client(Seat::Main).challenge.as_ref().ok_or(Obstacle::NotOffered)?;
        Self::signed_by(cx, Seat::Main, (method, attributes), (&self.config.user, challenge), flavor)
    }

    fn signed_by(
        cx: &mut Cx<'_>,
        seat: Seat,
        (method, attributes): (Method, &[Attribute<'_>]),
        by: (&Account, &Challenge),
        flavor: Flavor,
    ) -> Result<Prepared, Obstacle> {
        let id = Self::id(cx);
        let bytes = signed(method, id, attributes, by, flavor).ok_or(Obstacle::NotOffered)?;
        Ok(Prepared::Send { seat, bytes, aim: Aim::Response(id) })
    }

    fn indication(cx: &mut Cx<'_>, seat: Seat, peer: SocketAddr, data: &[u8], aim: Aim) -> Result<Prepared, Obstacle> {
        let attributes = [Attribute::XorPeerAddress(peer), Attribute::Data(data)];
        let bytes = plain(Class::Indication, Method::SEND, Self::id(cx), &attributes).ok_or(Obstacle::NotOffered)?;
        Ok(Prepared::Send { seat, bytes, aim })
    }

    fn is_own_relay(&self, ip: IpAddr) -> bool {
        self.seats.iter().any(|client| client.relayed.is_some_and(|relayed| relayed.ip() == ip))
    }
}
