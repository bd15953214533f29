//! The requests that name a denied peer: CreatePermission, ChannelBind, and Connect (RFC 6062 §5.2).
//!
//! Rules of this file: an address of the server's own relay is no denied peer.

use super::{Attribute, Cx, IpAddr, Method, Obstacle, Prepared, Seat, SocketAddr, TurnAudit};

/// The port of each denied peer. It is the discard port.
const PORT: u16 = 9;

impl TurnAudit {
    pub(super) fn denied_peer(
        &self,
        cx: &mut Cx<'_>,
        seat: Seat,
        peer: IpAddr,
        channel: Option<u16>,
    ) -> Result<Prepared, Obstacle> {
        if self.is_own_relay(peer) {
            return Err(Obstacle::OwnRelay);
        }
        if self.client(seat).relayed.is_none() {
            return Err(if seat == Seat::Six { Obstacle::NoIpv6 } else { Obstacle::NoControl });
        }
        let peer = Attribute::XorPeerAddress(SocketAddr::new(peer, PORT));
        match channel {
            None => self.ask(cx, seat, Method::CREATE_PERMISSION, &[peer]),
            Some(number) => self.ask(cx, seat, Method::CHANNEL_BIND, &[Attribute::ChannelNumber(number), peer]),
        }
    }

    pub(super) fn denied_connect(&self, cx: &mut Cx<'_>, seat: Seat, peer: IpAddr) -> Result<Prepared, Obstacle> {
        if self.is_own_relay(peer) {
            return Err(Obstacle::OwnRelay);
        }
        if seat.is_stream() && self.client(seat).relayed.is_none() {
            return Err(self.stream_obstacle(seat));
        }
        self.ask(cx, seat, Method::CONNECT, &[Attribute::XorPeerAddress(SocketAddr::new(peer, PORT))])
    }

    /// Opens a stream, unless an earlier step showed that the allocation is not possible.
    pub(super) fn open(&self, seat: Seat) -> Result<Prepared, Obstacle> {
        match seat {
            Seat::TcpSix if self.lacks_ipv6() => Err(Obstacle::NoIpv6),
            Seat::TcpSix if self.client(Seat::Tcp).relayed.is_none() => Err(Obstacle::NoTcpAllocation),
            Seat::Main | Seat::Second | Seat::Third | Seat::Six | Seat::Tcp | Seat::TcpSix => Ok(Prepared::Open(seat)),
        }
    }
}
