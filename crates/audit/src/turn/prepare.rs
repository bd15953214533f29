//! The message of each step, or the reason why the step is not possible.
//!
//! Rules of this file: a step is prepared from what earlier steps showed. Nothing is sent here. Each family of attacks
//! has a file of its own.

mod credentials;
mod peers;
mod relay;

use super::attack::Obstacle;
use super::plan::{self, Reflected, Seat, Step};
use super::request::{Account, Challenge, Flavor, plain, signed};
use super::{TurnAttack, TurnAudit};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::Cx;
use portolan_stun::{AddressFamily, Attribute, Class, ErrorCode, Method, TransactionId};

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// The stream of the client.
    Opened,
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
    Send {
        seat: Seat,
        bytes: Vec<u8>,
        aim: Aim,
    },
    /// The stream of the client is opened.
    Open(Seat),
    Skip(Obstacle),
}

/// The protocol number of UDP (RFC 8656 §18.8).
const UDP: Attribute<'static> = Attribute::RequestedTransport(17);
/// The protocol number of TCP (RFC 6062 §4.1).
const TCP: Attribute<'static> = Attribute::RequestedTransport(6);
/// The lifetime of requests that must not end an allocation.
const LIFETIME: Attribute<'static> = Attribute::Lifetime(600);

/// REQUESTED-TRANSPORT of the allocation of a client.
const fn transport(seat: Seat) -> Attribute<'static> {
    if seat.is_stream() { TCP } else { UDP }
}

impl TurnAudit {
    pub(super) fn prepare(&self, cx: &mut Cx<'_>, step: Step) -> Prepared {
        let result = match step {
            Step::OpenStream(seat) => self.open(seat),
            Step::Challenge(seat) => self.unsigned(cx, seat, Method::ALLOCATE, &[transport(seat)]),
            Step::Allocate(seat) => self.allocate(cx, seat),
            Step::Release(seat) if self.client(seat).relayed.is_none() => Err(Obstacle::Silent),
            Step::Release(seat) => self.ask(cx, seat, Method::REFRESH, &[Attribute::Lifetime(0)]),
            Step::Binding => self.unsigned(cx, Seat::Third, Method::BINDING, &[]),
            Step::Credentials(step) => self.credentials(cx, step),
            Step::Relay(step) => self.between_two(cx, step),
            Step::Peer { seat, peer, channel, .. } => self.denied_peer(cx, seat, peer, channel),
            Step::Connect { seat, peer } => self.denied_connect(cx, seat, peer),
            Step::Reflection(reflected) => Self::reflection(cx, reflected),
        };
        match result {
            // The server refused or closed the stream.
            Ok(Prepared::Send { seat, .. }) if seat.is_stream() && !self.client(seat).is_open => {
                Prepared::Skip(self.stream_obstacle(seat))
            }
            result => result.unwrap_or_else(Prepared::Skip),
        }
    }

    fn allocate(&self, cx: &mut Cx<'_>, seat: Seat) -> Result<Prepared, Obstacle> {
        // A server that accepts a request without credentials, or with a wrong password, has made the allocation.
        if self.client(seat).relayed.is_some() {
            return Err(Obstacle::NotOffered);
        }
        let family = Attribute::RequestedAddressFamily(AddressFamily::Ipv6);
        let attributes = [transport(seat), family];
        let (first, _) = attributes.split_at(if seat.is_six() { 2 } else { 1 });
        self.ask(cx, seat, Method::ALLOCATE, first)
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

    fn is_own_relay(&self, ip: IpAddr) -> bool {
        self.seats.iter().any(|client| client.relayed.is_some_and(|relayed| relayed.ip() == ip))
    }
}
