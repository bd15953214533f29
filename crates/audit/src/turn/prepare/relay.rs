//! The requests and the data between two allocations.
//!
//! Rules of this file: data has a random marker, so that it is recognized at its arrival.

use super::super::plan::RelayStep;
use super::super::request::channel_data;
use super::{Aim, Attribute, Class, Cx, Method, Obstacle, Prepared, Seat, TurnAttack, TurnAudit, plain, plan};
use core::net::{Ipv4Addr, SocketAddr};

impl TurnAudit {
    /// The steps that need two allocations.
    pub(super) fn between_two(&self, cx: &mut Cx<'_>, step: RelayStep) -> Result<Prepared, Obstacle> {
        let relayed = |seat| self.client(seat).relayed.ok_or(Obstacle::NoControl);
        let (main, second) = (relayed(Seat::Main)?, relayed(Seat::Second)?);
        let other_port = SocketAddr::new(second.ip(), second.port() ^ 2);
        match step {
            RelayStep::Permit(seat) => {
                let peer = if seat == Seat::Main { second } else { main };
                self.ask(cx, seat, Method::CREATE_PERMISSION, &[Attribute::XorPeerAddress(peer)])
            }
            RelayStep::Send { from, to, .. } => {
                let marker = cx.random::<12>();
                let peer = if to == Seat::Main { main } else { second };
                Self::indication(cx, from, peer, &marker, Aim::Arrival { seat: to, marker })
            }
            RelayStep::ListenerChannel => self.bind(cx, plan::CHANNEL + 1, self.config.server),
            RelayStep::ListenerSend(attack) => self.send_to_listener(cx, attack),
            RelayStep::ChannelRange(number) => {
                // Each number has a peer of its own, so that no request conflicts with another.
                let bit = 2 << (1 + number % 4 + (number >> 14) % 2 * 4);
                self.bind(cx, number, SocketAddr::new(second.ip(), second.port() ^ bit))
            }
            RelayStep::Bind => self.bind(cx, plan::CHANNEL, second),
            RelayStep::RebindNumber => self.bind(cx, plan::CHANNEL, other_port),
            RelayStep::RebindPeer => self.bind(cx, plan::CHANNEL + 2, second),
            RelayStep::ChannelData { is_control } => {
                let marker = cx.random::<12>();
                let length = if is_control { marker.len() } else { 200 };
                let bytes = channel_data(plan::CHANNEL, length, &marker);
                Ok(Prepared::Send { seat: Seat::Main, bytes, aim: Aim::Arrival { seat: Seat::Second, marker } })
            }
        }
    }

    fn bind(&self, cx: &mut Cx<'_>, number: u16, peer: SocketAddr) -> Result<Prepared, Obstacle> {
        let attributes = [Attribute::ChannelNumber(number), Attribute::XorPeerAddress(peer)];
        self.ask(cx, Seat::Main, Method::CHANNEL_BIND, &attributes)
    }

    /// A Binding request as data for the listener of the server, at its address or at the loopback address.
    fn send_to_listener(&self, cx: &mut Cx<'_>, attack: TurnAttack) -> Result<Prepared, Obstacle> {
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

    fn indication(cx: &mut Cx<'_>, seat: Seat, peer: SocketAddr, data: &[u8], aim: Aim) -> Result<Prepared, Obstacle> {
        let attributes = [Attribute::XorPeerAddress(peer), Attribute::Data(data)];
        let bytes = plain(Class::Indication, Method::SEND, Self::id(cx), &attributes).ok_or(Obstacle::NotOffered)?;
        Ok(Prepared::Send { seat, bytes, aim })
    }
}
