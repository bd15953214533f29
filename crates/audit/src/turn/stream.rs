//! The streams of the clients with TCP allocations (RFC 6062).
//!
//! Rules of this file: a stream is opened when its steps begin, and a refused stream is no failure of the audit. A
//! request on a stream is sent once. Every byte is taken; a stream that loses its framing is closed.

use super::attack::Obstacle;
use super::plan::Seat;
use super::prepare::Aim;
use super::{Pending, Phase, Step, TurnAudit};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Cx, Open, Output, Protocol, SocketOrder};
use portolan_stun::Method;
use portolan_stun_agent::framing::{ChannelDataPolicy, Framer};

/// The time in which a stream must open.
const OPEN_TIME: Duration = Duration::from_secs(3);
/// The longest message that is read from a stream, in bytes.
const LONGEST: usize = Framer::KEPT;

/// Returns a framer at the start of a stream.
pub(super) const fn framer() -> Framer {
    Framer::new(LONGEST, ChannelDataPolicy::Refuse)
}

impl TurnAudit {
    /// Orders the socket of a client.
    pub(super) fn order_socket(&mut self, cx: &mut Cx<'_>, seat: Seat) {
        let server = self.config.server;
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let protocol = if seat.is_stream() { Protocol::Tcp } else { Protocol::Udp };
        let id = cx.next_socket();
        self.client_mut(seat).socket = Some(id);
        let open = Open::new(id, protocol, SocketAddr::new(any, 0)).towards(server);
        self.out.push(Output::Socket(SocketOrder::Open(open)));
    }

    /// Opens the stream of a client, and waits for it.
    pub(super) fn open_stream(&mut self, cx: &mut Cx<'_>, step: Step, seat: Seat) {
        self.order_socket(cx, seat);
        let now = cx.now();
        self.pending = Some(Pending {
            step,
            seat,
            bytes: Bytes::new(),
            aim: Aim::Opened,
            sent_at: now,
            sends: 0,
            due: now + OPEN_TIME,
            is_repeated: false,
        });
    }

    pub(super) fn stream_opened(&mut self, cx: &mut Cx<'_>, seat: Seat) {
        if self.pending.take_if(|pending| pending.aim == Aim::Opened && pending.seat == seat).is_some() {
            self.proceed(cx);
        }
    }

    /// Handles the end of a stream: the pending request on it has no response.
    pub(super) fn stream_ended(&mut self, cx: &mut Cx<'_>, seat: Seat) {
        let client = self.client_mut(seat);
        client.socket = None;
        client.is_open = false;
        if let Some(pending) = self.pending.take_if(|pending| pending.seat == seat) {
            self.untested(pending.step, self.stream_obstacle(seat));
            self.proceed(cx);
        }
    }

    /// Closes the stream of a client.
    pub(super) fn close_stream(&mut self, seat: Seat) {
        let client = self.client_mut(seat);
        client.is_open = false;
        if let Some(socket) = client.socket.take() {
            self.out.push(Output::Socket(SocketOrder::Close(socket)));
        }
    }

    /// Handles bytes of a stream.
    pub(super) fn read(&mut self, cx: &mut Cx<'_>, seat: Seat, bytes: &[u8]) {
        let mut frames: Vec<Vec<u8>> = Vec::new();
        let result = self.client_mut(seat).framer.feed_while(bytes, |frame| {
            frames.push(frame.to_vec());
            true
        });
        for frame in frames {
            if self.phase == Phase::Running {
                self.receive(cx, seat, &frame);
            }
        }
        if result.is_err() && self.phase == Phase::Running {
            self.close_stream(seat);
            self.stream_ended(cx, seat);
        }
    }

    /// The reason why the client of a stream cannot send Connect requests.
    pub(super) fn stream_obstacle(&self, seat: Seat) -> Obstacle {
        let client = self.client(seat);
        match client.refused {
            _ if client.relayed.is_some() => Obstacle::Silent,
            _ if seat == Seat::TcpSix && self.lacks_ipv6() => Obstacle::NoIpv6,
            Some(code) if code != 442 => Obstacle::Code(Method::ALLOCATE, code),
            Some(_) | None => Obstacle::NoTcpAllocation,
        }
    }

    /// Whether the server gave no IPv6 allocation.
    pub(super) fn lacks_ipv6(&self) -> bool {
        self.client(Seat::Six).relayed.is_none()
    }
}
