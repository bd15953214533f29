//! What the parts of a discovery work with: the world, the queue, the requests on their way, the plan.
//!
//! Rules of this file: nothing here decides anything. A part that wants something asks for it here and nowhere else.

use crate::event::DiscoveryEvent;
use crate::note::DiscoveryNote;
use crate::profile::{Family, Flaw};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Cx, Instant, Open, Outbox, Output, Protocol, Slot, SocketId, SocketOrder};
use portolan_stun::{Message, TransactionId};
use portolan_stun_agent::Transactions;

use super::DiscoveryConfig;
use super::plan::{Plan, Wish};
use super::tag::Tag;

/// The first of the dynamic ports (RFC 5780 §4.1 asks for a random one of them).
const DYNAMIC_PORTS: u16 = 49_152;

/// The desk that a part sits at for one call.
pub(super) struct Desk<'d, 'c> {
    pub(super) cx: &'d mut Cx<'c>,
    pub(super) out: &'d mut Outbox<DiscoveryEvent>,
    pub(super) agent: &'d mut Slot<Transactions<Tag>>,
    pub(super) plan: &'d mut Plan,
    pub(super) config: &'d DiscoveryConfig,
}

impl Desk<'_, '_> {
    pub(super) fn now(&self) -> Instant {
        self.cx.now()
    }

    /// Orders a UDP socket on a random dynamic port.
    pub(super) fn open_udp(&mut self, towards: SocketAddr) -> (SocketId, u16) {
        let offset = self.cx.random_below(u32::from(u16::MAX - DYNAMIC_PORTS) + 1);
        let port = DYNAMIC_PORTS + u16::try_from(offset).unwrap_or(0);
        (self.open(Protocol::Udp, port, towards), port)
    }

    /// Orders a socket.
    pub(super) fn open(&mut self, protocol: Protocol, port: u16, towards: SocketAddr) -> SocketId {
        let id = self.cx.next_socket();
        let local = SocketAddr::new(self.local_address(Family::of(&towards)), port);
        self.out.push(Output::Socket(SocketOrder::Open(Open::new(id, protocol, local).towards(towards))));
        id
    }

    fn local_address(&self, family: Family) -> IpAddr {
        let chosen = self.config.local.iter().copied().find(|address| Family::of(&(*address, 0).into()) == family);
        chosen.unwrap_or(match family {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        })
    }

    pub(super) fn close(&mut self, socket: SocketId) {
        self.out.push(Output::Socket(SocketOrder::Close(socket)));
    }

    pub(super) fn tell(&mut self, event: DiscoveryEvent) {
        self.out.push(Output::Event(event));
    }

    pub(super) fn wish(&mut self, wish: Wish) {
        self.plan.wish(wish);
    }

    /// Starts a request outside the budget: the exception that `--ports` is.
    pub(super) fn ask_now(&mut self, wish: &Wish) {
        self.start(wish);
    }

    /// Starts a request; `None` where the agent holds too many, which the budget keeps from happening.
    pub(super) fn start(&mut self, wish: &Wish) -> Option<TransactionId> {
        self.cx.note(|| DiscoveryNote::Asked { tag: wish.tag, to: wish.to });
        self.agent.with(self.cx, |agent, cx| agent.request(cx, wish.request())).ok()
    }

    /// Ends a request whose answer has lost its point.
    pub(super) fn cancel(&mut self, id: TransactionId) {
        // A request that ended by itself is as good as cancelled.
        let _ended = self.agent.with(self.cx, |agent, cx| agent.cancel(cx, id));
    }

    /// How often a request that is under way has been sent.
    pub(super) fn sends_of(&self, id: TransactionId) -> Option<u32> {
        self.agent.get().pending().find(|(other, ..)| *other == id).map(|(_, _, sends)| sends)
    }

    pub(super) fn set_tail(&mut self, id: TransactionId, tail: Duration) {
        let _ended = self.agent.with(self.cx, |agent, cx| agent.set_tail(cx, id, tail));
    }

    /// Tells of a flaw that has just been found.
    pub(super) fn caught(&mut self, family: Family, server: SocketAddr, flaw: Flaw) {
        self.cx.note(|| DiscoveryNote::Caught { server, flaw });
        self.tell(DiscoveryEvent::Flaw { family, server, flaw });
    }
}

/// What matters in an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// XOR-MAPPED-ADDRESS.
    pub(super) xored: Option<SocketAddr>,
    /// MAPPED-ADDRESS.
    pub(super) plain: Option<SocketAddr>,
    /// OTHER-ADDRESS, or what RFC 3489 called it.
    pub(super) other: Option<SocketAddr>,
    /// The code of an error response.
    pub(super) error: Option<u16>,
}

impl Reading {
    /// Reads a message that the agent has found to be an answer.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let Ok(message) = Message::decode(bytes) else { return Self::default() };
        Self {
            xored: message.xor_mapped_address(),
            plain: message.mapped_address(),
            other: message.other_address().or_else(|| message.changed_address()),
            error: message.error_code().map(|error| error.code()),
        }
    }

    /// Where the server saw the socket; the form that an ALG cannot find is believed first.
    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.xored.or(self.plain)
    }
}
