//! The results of the requests that name a denied peer.
//!
//! Rules of this file: only a success response, or 447 of a Connect request, shows that the peer was accepted.

use super::{Answer, Breach, Obstacle, Seat, SocketAddr, TurnAttack, TurnAudit};
use core::net::IpAddr;

impl TurnAudit {
    pub(super) fn peer_judged(&mut self, of: TurnAttack, seat: Seat, peer: IpAddr, answer: Answer<'_>) {
        match answer.code {
            None => self.tally.not_held(of, Breach::Peer(answer.method, SocketAddr::new(peer, 9))),
            // A server can treat an address with an IPv4 address inside as one of the other family, and refuse it.
            Some(443) if seat.is_six() => self.tally.held(of),
            Some(403 | 400) => self.tally.held(of),
            Some(code) => self.tally.not_testable(of, Obstacle::Code(answer.method, code)),
        }
    }

    pub(super) fn connect_judged(&mut self, seat: Seat, peer: IpAddr, answer: Answer<'_>) {
        const ATTACK: TurnAttack = TurnAttack::ConnectPeer;
        match answer.code {
            // 447: the connection was tried, and failed (RFC 6062 §5.2).
            None | Some(447) => self.tally.not_held(ATTACK, Breach::Connected(SocketAddr::new(peer, 9))),
            Some(403) => self.tally.held(ATTACK),
            // A server that refuses the method for a UDP allocation did not judge the peer. The TCP allocation decides.
            Some(_) if !seat.is_stream() => {}
            Some(443) if seat.is_six() => self.tally.held(ATTACK),
            Some(400) => self.tally.held(ATTACK),
            Some(code) => self.tally.not_testable(ATTACK, Obstacle::Code(answer.method, code)),
        }
    }
}
