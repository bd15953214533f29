//! The TCP candidates of a connection (RFC 6544).
//!
//! Rules of this file: `tcp` decides, and the connection applies the actions. The packets of a stream are datagrams of its
//! virtual socket.

use super::{ConnectNote, Connection};
use crate::tcp::{Arrival, Tcp, TcpAction};
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_ice::{ComponentId, LocalCandidate};
use portolan_machine::{Cx, Datagram, Input, Output, SocketEvent, SocketId, Transmit, Unreachability, Verdict};

impl Connection {
    /// Adds the TCP candidates beside a host candidate.
    pub(super) fn add_streams(&mut self, cx: &mut Cx<'_>, host: LocalCandidate) {
        let actions = self.tcp.as_mut().map(|tcp| tcp.add(cx, host));
        self.apply(cx, actions);
    }

    /// Removes the TCP candidates beside a host candidate.
    pub(super) fn remove_streams(&mut self, cx: &mut Cx<'_>, host: SocketId) {
        let actions = self.tcp.as_mut().map(|tcp| tcp.remove(host));
        self.apply(cx, actions);
    }

    /// Closes all streams and listeners.
    pub(super) fn close_streams(&mut self, cx: &mut Cx<'_>) {
        let actions = self.tcp.as_mut().map(Tcp::close);
        self.apply(cx, actions);
    }

    /// Closes the streams that no path uses, when the checks have ended (RFC 6544 §8).
    pub(super) fn close_unused_streams(&mut self, cx: &mut Cx<'_>) {
        let components: Vec<ComponentId> = self.agent.get().config().components().collect();
        let paths: Vec<(SocketId, SocketAddr)> = components
            .into_iter()
            .filter_map(|component| self.path(component))
            .map(|path| (path.socket, path.remote))
            .collect();
        let is_used = |socket, remote| paths.contains(&(socket, remote));
        let actions = self.tcp.as_mut().map(|tcp| tcp.keep(is_used));
        self.apply(cx, actions);
    }

    /// Whether each listener is open or was refused.
    pub(super) fn are_streams_settled(&self) -> bool {
        self.tcp.as_ref().is_none_or(Tcp::is_settled)
    }

    pub(super) fn has_stream(&self, socket: SocketId) -> bool {
        self.tcp.as_ref().is_some_and(|tcp| tcp.has_stream(socket))
    }

    /// Sends on a virtual socket of TCP. Returns whether the socket is one.
    pub(super) fn send_on_stream(&mut self, cx: &mut Cx<'_>, transmit: &Transmit) -> bool {
        let Some(tcp) = self.tcp.as_mut().filter(|tcp| tcp.has_socket(transmit.socket)) else { return false };
        let action = tcp.send(cx, transmit);
        self.apply(cx, action.map(|action| Vec::from([action])));
        true
    }

    /// Handles an event of a listener or of a stream.
    pub(super) fn stream_socket(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        let Some(tcp) = &mut self.tcp else { return Verdict::NotMine };
        let (verdict, actions) = tcp.socket(cx, socket, event);
        self.apply(cx, Some(actions));
        if matches!(event, SocketEvent::Accepted { .. }) {
            self.close_excess_streams(cx);
        }
        verdict
    }

    /// Closes accepted streams above the limit, if their time has come.
    pub(super) fn wake_streams(&mut self, cx: &mut Cx<'_>) {
        if self.tcp.as_ref().and_then(Tcp::deadline).is_some_and(|retry| retry.is_due(cx.now())) {
            self.close_excess_streams(cx);
        }
    }

    fn close_excess_streams(&mut self, cx: &mut Cx<'_>) {
        let room = self.out.room();
        let actions = self.tcp.as_mut().map(|tcp| tcp.close_excess(cx.now(), room));
        self.apply(cx, actions);
    }

    /// Reads one packet of a stream. Returns the number of bytes that were taken.
    pub(super) fn read_stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> usize {
        // Bytes are taken only while the queue is empty, so there is room for what a packet causes.
        let (true, Some(tcp)) = (self.out.is_empty(), &mut self.tcp) else { return 0 };
        let Arrival { taken, packet, actions } = tcp.read(cx, &chunk);
        self.apply(cx, Some(actions));
        if let Some((socket, local, remote, packet)) = packet {
            let _mine = self.deliver(cx, Datagram::new(socket, local, remote, &packet));
        }
        self.settle(cx);
        taken
    }

    fn apply(&mut self, cx: &mut Cx<'_>, actions: Option<Vec<TcpAction>>) {
        for action in actions.into_iter().flatten() {
            match action {
                TcpAction::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                TcpAction::Order(order) => self.out.push(Output::Socket(order)),
                TcpAction::AddLocal(candidate) => {
                    let _added = self.agent.with(cx, |agent, cx| agent.add_local(cx, candidate));
                }
                TcpAction::RemoveLocal(socket) => {
                    let _removed = self.agent.with(cx, |agent, cx| agent.remove_local(cx, socket));
                }
                TcpAction::Lost { socket, remote } => {
                    let lost = SocketEvent::Unreachable { remote, why: Unreachability::Port };
                    let _mine = self.agent.handle(cx, Input::Socket(socket, lost));
                }
                TcpAction::Fault { remote, why } => cx.note(|| ConnectNote::StreamClosed { peer: remote, why }),
            }
        }
    }
}
