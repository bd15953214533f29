//! The port allocation test: sixteen more sockets, opened back to back. Measured only on request.
//!
//! Rules of this file: its requests start at once, outside the budget of ten a second. Samples that are taken one by
//! one would measure the traffic of other hosts, not the allocator (RFC 4787 §4.2.1).

use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::{Instant, SocketId};
use portolan_stun_agent::AnswerFrom;

use super::action::{Action, Actions};
use super::allocation::Sample;
use super::plan::{MAPPING, PlannedRequest};
use super::source_port::PortRange;
use super::tag::{Tag, Test};
use crate::profile::Family;

/// The number of sockets: sixteen samples cover 92 % of a block of 2,048 ports in nine runs of ten.
const SOCKETS: u8 = 16;

/// The order of these samples: after all other tests.
const ORDER: u16 = 1_000;

/// The sockets.
#[derive(Clone, Debug, Default)]
pub(super) struct PortSockets {
    sockets: Vec<PortSocket>,
    server: u8,
}

#[derive(Clone, Copy, Debug)]
struct PortSocket {
    id: SocketId,
    to: SocketAddr,
    local: Option<SocketAddr>,
    mapped: Option<SocketAddr>,
    over: bool,
}

impl PortSockets {
    /// Opens the sockets, once.
    pub(super) fn start(&mut self, next_socket: &mut impl FnMut() -> SocketId, server: u8, to: SocketAddr) -> Actions {
        let mut actions = Actions::new();
        if !self.sockets.is_empty() {
            return actions;
        }
        self.server = server;
        for _ in 0..SOCKETS {
            let id = next_socket();
            actions.push(Action::open_udp(id, to, PortRange::Other));
            self.sockets.push(PortSocket { id, to, local: None, mapped: None, over: false });
        }
        actions
    }

    pub(super) fn is_over(&self) -> bool {
        !self.sockets.is_empty() && self.sockets.iter().all(|socket| socket.mapped.is_some() || socket.over)
    }

    pub(super) fn holds(&self, id: SocketId) -> bool {
        self.sockets.iter().any(|socket| socket.id == id)
    }

    /// Takes the end of the open order of a socket: `None` is a refusal.
    pub(super) fn opened(&mut self, id: SocketId, local: Option<SocketAddr>) -> Option<Action> {
        let (number, socket) = (0_u8..).zip(&mut self.sockets).find(|(_, socket)| socket.id == id)?;
        socket.local = local;
        socket.over = local.is_none();
        let to = socket.to;
        local?;
        let tag = Tag { family: Family::of(&to), test: Test::Port { socket: number } };
        let (from, not_before) = (AnswerFrom::SameAsDestination, Instant::ORIGIN);
        let request = PlannedRequest { tag, socket: id, to, change: None, schedule: MAPPING, from, not_before };
        Some(Action::RequestNow(request))
    }

    pub(super) fn answered(&mut self, number: u8, mapped: Option<SocketAddr>) {
        if let Some(socket) = self.sockets.get_mut(usize::from(number)) {
            socket.mapped = mapped;
            socket.over |= mapped.is_none();
        }
    }

    pub(super) fn exhausted(&mut self, number: u8) {
        if let Some(socket) = self.sockets.get_mut(usize::from(number)) {
            socket.over = true;
        }
    }

    /// The local address and the mapping of each socket.
    pub(super) fn samples(&self) -> impl Iterator<Item = (SocketAddr, Sample)> {
        (ORDER..).zip(&self.sockets).filter_map(|(order, socket)| {
            let (local, external) = (socket.local?, socket.mapped?);
            Some((local, Sample { server: self.server, local: local.port(), external, order }))
        })
    }

    pub(super) fn close(&self) -> impl Iterator<Item = Action> {
        let open = self.sockets.iter().filter(|socket| socket.local.is_some() || !socket.over);
        open.map(|socket| Action::Close(socket.id))
    }
}
