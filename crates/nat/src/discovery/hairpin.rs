//! Hairpinning: whether a packet to the own public endpoint comes back in. Measured only on request.
//!
//! Rules of this file: the packets go between two sockets of this host, each to the public endpoint of the other
//! socket. So each socket has contacted the other's endpoint, and the filter lets the packets in (RFC 4787 §6, RFC
//! 5780 §3.4). Some firewalls treat such packets as an attack; therefore the packets are sent only on request.

use crate::behavior::Hairpin;
use crate::profile::{Conclusion, Evidence, Family, Unknown};
use alloc::vec;
use core::net::SocketAddr;
use portolan_machine::{Instant, SocketId};
use portolan_stun::TransactionId;
use portolan_stun_agent::AnswerFrom;

use super::action::{Action, Actions};
use super::doubt::{self, Tally};
use super::plan::{EVIDENCE, MAPPING, PlannedRequest};
use super::source_port::PortRange;
use super::tag::{Tag, Test};

/// The hairpin socket and its results.
#[derive(Clone, Debug, Default)]
pub(super) struct HairpinRun {
    socket: Option<SocketId>,
    server: Option<SocketAddr>,
    local: Option<SocketAddr>,
    public: Option<SocketAddr>,
    /// The mapping socket, its public endpoint and its own address.
    peer: Option<(SocketId, SocketAddr, Option<SocketAddr>)>,
    ids: [Option<TransactionId>; 2],
    silent: u8,
    pub(super) verdict: Option<Conclusion<Hairpin>>,
}

impl HairpinRun {
    /// Opens the socket, once; `peer` is the mapping socket with its public endpoint and its own address.
    pub(super) fn start(
        &mut self,
        next_socket: &mut impl FnMut() -> SocketId,
        server: SocketAddr,
        peer: (SocketId, SocketAddr, Option<SocketAddr>),
    ) -> Option<Action> {
        if self.socket.is_some() || self.verdict.is_some() {
            return None;
        }
        let socket = next_socket();
        (self.socket, self.server, self.peer) = (Some(socket), Some(server), Some(peer));
        Some(Action::open_udp(socket, server, PortRange::Other))
    }

    pub(super) fn holds(&self, socket: SocketId) -> bool {
        self.socket == Some(socket)
    }

    /// Takes the end of the open order: `None` is a refusal.
    pub(super) fn opened(&mut self, now: Instant, local: Option<SocketAddr>) -> Option<Action> {
        self.local = local;
        let (Some(socket), Some(to), Some(_)) = (self.socket, self.server, local) else {
            self.verdict = Some(Conclusion::unknown(Unknown::NoEvidence, vec![]));
            return None;
        };
        Some(Self::request(now, Test::HairpinLearn, socket, to))
    }

    fn request(now: Instant, test: Test, socket: SocketId, to: SocketAddr) -> Action {
        let learn = test == Test::HairpinLearn;
        Action::Request(PlannedRequest {
            tag: Tag { family: Family::of(&to), test },
            socket,
            to,
            change: None,
            schedule: if learn { MAPPING } else { EVIDENCE },
            from: AnswerFrom::SameAsDestination,
            not_before: now,
        })
    }

    /// Takes the public endpoint of the hairpin socket. Returns the requests of both sockets.
    pub(super) fn set_public(&mut self, now: Instant, public: SocketAddr) -> Actions {
        self.public = Some(public);
        let (Some(socket), Some((peer, peer_public, _))) = (self.socket, self.peer) else { return Actions::new() };
        let back = Self::request(now, Test::HairpinBack, peer, public);
        Actions::from([back, Self::request(now, Test::HairpinOut, socket, peer_public)])
    }

    /// Takes the id of a request that has been sent for the first time.
    pub(super) fn started(&mut self, test: Test, id: TransactionId) {
        let [out, back] = &mut self.ids;
        match test {
            Test::HairpinOut => *out = Some(id),
            Test::HairpinBack => *back = Some(id),
            Test::Map { .. }
            | Test::Control { .. }
            | Test::ChangeBoth { .. }
            | Test::ChangePort { .. }
            | Test::Proof { .. }
            | Test::Again { .. }
            | Test::Stream { .. }
            | Test::Port { .. }
            | Test::HairpinLearn => {}
        }
    }

    /// Takes a request that arrived at one of this host's sockets. Returns whether it is a request of this test.
    pub(super) fn arrived(&mut self, id: TransactionId, from: SocketAddr) -> bool {
        let Some(which) = self.ids.iter().position(|ours| *ours == Some(id)) else { return false };
        let (own, public) = match (which, self.peer) {
            (0, _) | (_, None) => (self.local, self.public),
            (_, Some((_, public, local))) => (local, Some(public)),
        };
        // A packet that came back with its private source has no external source, for any port (RFC 4787 REQ-9).
        let value =
            if Some(from) == own && Some(from) != public { Hairpin::InternalSource } else { Hairpin::ExternalSource };
        let evidence = vec![Evidence::Hairpinned { from }];
        self.verdict.get_or_insert_with(|| Conclusion::value_with(value, doubt::MIN_P_WRONG, evidence));
        true
    }

    /// Takes the end of a request of this test. No socket answers a hairpinned request, so the end is a timeout.
    pub(super) fn exhausted(&mut self, test: Test, sends: u32, tally: Tally) {
        if test == Test::HairpinLearn {
            self.verdict.get_or_insert_with(|| Conclusion::unknown(Unknown::ServerSilent, vec![]));
            return;
        }
        self.silent += 1;
        if self.silent >= 2 {
            let p_wrong = tally.all_fail(sends).max(doubt::MIN_P_WRONG);
            self.verdict.get_or_insert_with(|| Conclusion::value_with(Hairpin::None, p_wrong, vec![]));
        }
    }

    pub(super) fn close(&self) -> Option<Action> {
        self.local?;
        self.socket.map(Action::Close)
    }
}
