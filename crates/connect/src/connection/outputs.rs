//! The outputs of the children, translated.
//!
//! Rules of this file: the children are drained in a fixed order, again while the translation causes new work. What a
//! child learns from another one, it learns here: candidates, closed sockets, denied permissions, channels.

use super::{ConnectEvent, Connection, RelayFailure};
use crate::event::RelayEvent;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use portolan_ice::{AgentEvent, AgentState, CandidateKind, GatherEvent, LocalCandidate, Selection};
use portolan_machine::{Cx, Datagram, Input, Output, SocketEvent, SocketId, SocketOrder, Unreachability};

impl Connection {
    /// Drains the children.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..ROUNDS {
            self.share_pacer();
            let mut has_worked = false;
            while let Some(output) = self.gatherer.take() {
                has_worked = true;
                match output {
                    Output::Event(event) => self.gathered(cx, event),
                    Output::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                    Output::Socket(order) => self.out.push(Output::Socket(order)),
                    Output::Wait(_) => {}
                }
            }
            for at in 0..self.relays.len() {
                while let Some(output) = self.relays.get_mut(at).and_then(|slot| slot.relay.take()) {
                    has_worked = true;
                    match output {
                        Output::Event(event) => self.relayed(cx, at, event),
                        Output::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                        Output::Socket(order) => {
                            if let (SocketOrder::Close(socket), Some(slot)) = (&order, self.relays.get_mut(at)) {
                                slot.carriers.retain(|(known, _)| known != socket);
                            }
                            self.out.push(Output::Socket(order));
                        }
                        Output::Wait(_) => {}
                    }
                }
            }
            while let Some(output) = self.agent.take() {
                has_worked = true;
                match output {
                    Output::Event(event) => self.agreed(cx, event),
                    Output::Transmit(transmit) => self.transmit(cx, transmit),
                    Output::Socket(order) => self.out.push(Output::Socket(order)),
                    Output::Wait(_) => {}
                }
            }
            if !has_worked && !self.end_candidates(cx) {
                break;
            }
        }
        self.end();
    }

    fn gathered(&mut self, cx: &mut Cx<'_>, event: GatherEvent) {
        match event {
            GatherEvent::Candidate(candidate) => {
                self.add_local(cx, candidate);
                self.add_streams(cx, candidate);
            }
            GatherEvent::Changed { candidate: Some(candidate), .. } => self.add_local(cx, candidate),
            GatherEvent::Removed { socket, .. } => {
                self.remove_local(cx, socket);
                self.remove_streams(cx, socket);
            }
            GatherEvent::ServerFailed(failed) => self.push(ConnectEvent::ServerFailed(failed)),
            GatherEvent::Complete(report) => self.progress.report = Some(Box::new(report)),
            GatherEvent::Changed { candidate: None, .. } | GatherEvent::Closed | _ => {}
        }
    }

    fn add_local(&mut self, cx: &mut Cx<'_>, candidate: LocalCandidate) {
        // The agent refuses only candidates that are useless or too many, and makes a note of each.
        let _added = self.agent.with(cx, |agent, cx| agent.add_local(cx, candidate));
    }

    fn remove_local(&mut self, cx: &mut Cx<'_>, socket: SocketId) {
        let _removed = self.agent.with(cx, |agent, cx| agent.remove_local(cx, socket));
    }

    fn relayed(&mut self, cx: &mut Cx<'_>, at: usize, event: RelayEvent) {
        let Some(slot) = self.relays.get_mut(at) else { return };
        let (component, server) = (slot.component, slot.server);
        match event {
            RelayEvent::Opened { socket, local, mapped, server: address } => {
                slot.is_settled = true;
                let preference = preference(server, slot.allocations);
                slot.allocations = slot.allocations.saturating_add(1);
                let candidate = LocalCandidate::relayed(component, socket, local, mapped, address.ip());
                self.add_local(cx, candidate.with_preference(preference));
                self.permit_known(cx, at);
            }
            RelayEvent::Closed { socket, .. } => self.remove_local(cx, socket),
            RelayEvent::Data { socket, local, peer, payload } => {
                let _mine = self.deliver(cx, Datagram::new(socket, local, peer, &payload));
            }
            RelayEvent::Unreachable { socket, peer, port, why, .. } => self.unreachable(cx, socket, peer, port, why),
            RelayEvent::CredentialExpires { at } => self.push(ConnectEvent::CredentialExpires { server, at }),
            RelayEvent::Refused { why, steps, .. } => {
                slot.is_settled = true;
                slot.has_ended = true;
                let failure = RelayFailure { server, component, why, steps };
                self.push(ConnectEvent::RelayFailed(Box::new(failure)));
            }
            RelayEvent::Ended => {
                slot.is_settled = true;
                slot.has_ended = true;
            }
            // The relay makes a note of each, and no other child changes.
            RelayEvent::FamilyRefused { .. } | RelayEvent::ReplacementFailed { .. } => {}
        }
    }

    /// Requests the permissions of all known remote candidates at a new allocation.
    fn permit_known(&mut self, cx: &mut Cx<'_>, at: usize) {
        let peers: Vec<IpAddr> = self.agent.get().remote_addresses().map(|address| address.ip()).collect();
        let Some(slot) = self.relays.get_mut(at) else { return };
        for peer in peers {
            let _requested = slot.relay.with(cx, |relay, cx| relay.add_peer(cx, peer));
        }
    }

    /// A peer that a relay does not reach: only its pairs fail.
    fn unreachable(&mut self, cx: &mut Cx<'_>, socket: SocketId, peer: IpAddr, port: Option<u16>, why: Unreachability) {
        let remotes: Vec<SocketAddr> = match port {
            Some(port) => Vec::from([SocketAddr::new(peer, port)]),
            None => self.agent.get().remote_addresses().filter(|address| address.ip() == peer).collect(),
        };
        for remote in remotes {
            let _mine = self.agent.handle(cx, Input::Socket(socket, SocketEvent::Unreachable { remote, why }));
        }
    }

    fn agreed(&mut self, cx: &mut Cx<'_>, event: AgentEvent) {
        match event {
            AgentEvent::LocalCandidate { stream, candidate } => {
                self.push(ConnectEvent::LocalCandidate { stream, candidate });
            }
            AgentEvent::Resolve { name } => self.push(ConnectEvent::Resolve { name }),
            AgentEvent::State(state) => {
                self.push(ConnectEvent::State(state));
                if self.is_completed() {
                    let _stopped = self.gatherer.with(cx, |gatherer, cx| gatherer.stop_keepalives(cx));
                    self.close_unused_streams(cx);
                }
                if state == AgentState::Disconnected {
                    self.refresh_selected(cx);
                }
            }
            AgentEvent::Role(role) => self.push(ConnectEvent::Role(role)),
            AgentEvent::Restarted(credentials) => {
                self.push(ConnectEvent::Restarted(credentials));
                self.gather_again(cx);
            }
            AgentEvent::Selected(selection) => self.selected(cx, selection),
            AgentEvent::Failed(why) => self.push(ConnectEvent::Failed(why)),
            AgentEvent::Closed | _ => {}
        }
    }

    /// A selected relayed path gets a channel (RFC 8445 §12.1).
    fn selected(&mut self, cx: &mut Cx<'_>, selection: Box<Selection>) {
        let path = selection.path;
        self.push(ConnectEvent::Selected(selection));
        if path.local_kind != CandidateKind::Relayed {
            return;
        }
        let is_of = |slot: &&mut super::RelaySlot| slot.relay.get().sockets().any(|(socket, _)| socket == path.socket);
        if let Some(slot) = self.relays.iter_mut().find(is_of) {
            let _requested = slot.relay.with(cx, |relay, cx| relay.add_channel(cx, path.remote));
        }
    }

    /// The peer is silent on a relayed path: the server may have lost the allocation, and drops all data then.
    fn refresh_selected(&mut self, cx: &mut Cx<'_>) {
        for slot in &mut self.relays {
            let selected = self.agent.get().selected(slot.component).map(|path| path.socket);
            if slot.relay.get().sockets().any(|(socket, _)| Some(socket) == selected) {
                // Without an allocation at the moment, the client makes one already.
                let _refreshed = slot.relay.with(cx, |relay, cx| relay.refresh(cx));
            }
        }
    }

    fn push(&mut self, event: ConnectEvent) {
        self.out.push(Output::Event(event));
    }

    /// Reports the end of the local candidates when the gatherer and all relays have settled (RFC 8838 §13). Returns
    /// whether it did so now.
    fn end_candidates(&mut self, cx: &mut Cx<'_>) -> bool {
        if !self.progress.is_started || !self.relays.iter().all(|slot| slot.is_settled) || !self.are_streams_settled() {
            return false;
        }
        let Some(report) = self.progress.report.take() else { return false };
        let _ended = self.agent.with(cx, |agent, cx| agent.end_local(cx));
        self.push(ConnectEvent::EndOfCandidates(report));
        true
    }

    /// Ends the connection when all children have ended.
    fn end(&mut self) {
        let is_ended = self.progress.is_closing && self.relays.iter().all(|slot| slot.has_ended);
        if is_ended && !self.progress.has_ended {
            self.progress.has_ended = true;
            self.push(ConnectEvent::Closed);
        }
    }
}

/// The local preference of a relayed candidate: the first server and its newest allocation come first. An allocation that
/// is replaced still has its candidate, and local preferences are unique (RFC 8445 §5.1.2.1).
fn preference(server: usize, allocations: u8) -> u16 {
    let server = u16::try_from(server).unwrap_or(u16::MAX).saturating_mul(256);
    u16::MAX.saturating_sub(server).saturating_sub(u16::from(u8::MAX - allocations))
}

/// The most rounds of draining after one input.
const ROUNDS: usize = 8;
