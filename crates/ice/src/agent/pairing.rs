//! Candidates and the forming of pairs (RFC 8445 §6.1.2.2, RFC 8838 §10, §11).
//!
//! Rules of this file: pairs are formed from bases, so no pair has a reflexive local candidate (§6.1.2.4). Every candidate
//! that is not used has a note. A name waits for its address, in a bounded list.

use super::Agent;
use super::session::Stage;
use super::track::Track;
use crate::candidate::{CandidateKind, ComponentId, LocalCandidate, Transport};
use crate::checklist::{ChecklistState, Inserted, NewPair};
use crate::config::Policy;
use crate::error::AgentError;
use crate::event::AgentEvent;
use crate::local::{Local, LocalId, LocalTable, NotAdded};
use crate::note::AgentNote;
use crate::pair::{self, Flags, PairId};
use crate::reason::{PairFailure, SkipReason};
use crate::remote::{self, Added, Remote, RemoteId};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use portolan_machine::{Cx, Output, SocketId};
use portolan_sdp::candidate::{CandidateAttribute, CandidateType, ConnectionAddress, Extensions, TcpType};

/// The remote candidates that wait for the address of their name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    waiting: Vec<(u16, Box<CandidateAttribute>)>,
}

impl Names {
    /// The most candidates that wait.
    const LIMIT: usize = 16;

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn forget(&mut self, stream: u16) {
        self.waiting.retain(|(known, _)| *known != stream);
    }
}

impl Agent {
    pub(super) fn accept_local(&mut self, cx: &mut Cx<'_>, candidate: LocalCandidate) -> Result<(), AgentError> {
        if self.track(candidate.component).is_none() {
            return Err(AgentError::Component(candidate.component));
        }
        if !is_usable(candidate.address) {
            return Err(AgentError::Address(candidate.address));
        }
        match self.locals.add(candidate, candidate.priority()) {
            Ok(id) => {
                self.forget_pairs(id);
                self.signal(id);
                self.pair_local(cx, id);
            }
            Err(NotAdded::Redundant) => {
                let address = Some(candidate.address);
                cx.note(|| AgentNote::Skipped { is_remote: false, address, why: SkipReason::Redundant });
            }
            Err(NotAdded::Full) => return Err(AgentError::Full { limit: LocalTable::LIMIT }),
        }
        Ok(())
    }

    /// Removes the failed pairs of a removed candidate whose number is used again.
    fn forget_pairs(&mut self, id: LocalId) {
        let old: Vec<PairId> = self.set.iter().filter(|(_, pair)| pair.local == id).map(|(id, _)| id).collect();
        for pair in old {
            self.checks.forget(pair);
            self.set.remove(pair);
        }
    }

    /// Asks the owner to signal a candidate.
    pub(super) fn signal(&mut self, id: LocalId) {
        let Some(local) = self.locals.get(id) else { return };
        let stream = local.candidate.component.stream;
        let candidate = Box::new(attribute(local));
        self.out.push(Output::Event(AgentEvent::LocalCandidate { stream, candidate }));
    }

    pub(super) fn drop_local(&mut self, cx: &mut Cx<'_>, socket: SocketId) {
        let removed = self.locals.remove(socket);
        if removed.is_empty() {
            return;
        }
        cx.note(|| AgentNote::Removed { socket });
        let pairs: Vec<PairId> =
            self.set.iter().filter(|(_, pair)| removed.contains(&pair.local)).map(|(id, _)| id).collect();
        for id in pairs {
            self.checks.forget(id);
            self.fail(cx, id, PairFailure::LocalRemoved);
        }
        for track in &mut self.tracks {
            if track.previous.as_ref().is_some_and(|previous| previous.path.socket == socket) {
                track.previous = None;
            }
        }
        self.early.retain(|early| early.socket != socket);
        self.release_if_closed();
    }

    /// The pairs of a failed session stay for reports as long as a socket is open.
    pub(super) fn release_if_closed(&mut self) {
        if self.session.stage == Stage::Failed && self.locals.iter().next().is_none() {
            self.release();
        }
    }

    /// Forgets candidates and pairs.
    fn release(&mut self) {
        self.set.clear();
        self.remotes.clear();
        self.locals.clear();
        for track in &mut self.tracks {
            *track = Track::new(track.id);
        }
        for stream in 0..self.config.streams.len() as u16 {
            self.set.set_list_state(stream, ChecklistState::Failed);
        }
    }

    pub(super) fn accept_remote(&mut self, cx: &mut Cx<'_>, stream: u16, candidate: &CandidateAttribute) {
        let skip = |cx: &mut Cx<'_>, address, why| cx.note(|| AgentNote::Skipped { is_remote: true, address, why });
        let address = match &candidate.address {
            ConnectionAddress::Ip4(ip) => IpAddr::V4(*ip),
            ConnectionAddress::Ip6(ip) => IpAddr::V6(*ip),
            ConnectionAddress::Zoned(_) => return skip(cx, None, SkipReason::Zone),
            ConnectionAddress::Name(name) => {
                if self.names.waiting.len() >= Names::LIMIT {
                    return skip(cx, None, SkipReason::Full);
                }
                let name = name.clone();
                self.names.waiting.push((stream, Box::new(candidate.clone())));
                self.out.push(Output::Event(AgentEvent::Resolve { name }));
                return;
            }
        };
        let address = SocketAddr::new(address.to_canonical(), candidate.port);
        match read_remote(stream, address, candidate) {
            Ok(remote) if remote.transport.is_tcp() && !self.config.has_tcp => {
                skip(cx, Some(address), SkipReason::Transport);
            }
            Ok(remote) if self.track(remote.component).is_none() => skip(cx, Some(address), SkipReason::Component),
            Ok(remote) => self.insert_remote(cx, remote),
            Err(why) => skip(cx, Some(address), why),
        }
    }

    fn insert_remote(&mut self, cx: &mut Cx<'_>, remote: Remote) {
        match self.remotes.add(remote, self.config.remote_candidates) {
            Added::New(id) => self.pair_remote(cx, id, true),
            Added::Replaced(id) => {
                cx.note(|| AgentNote::Signalled { address: remote.address });
                // The pairs keep their state with the signalled priority (RFC 8838 §11 item 4).
                self.update_priorities();
                self.update_relayed(id, remote.kind);
                self.pair_remote(cx, id, false);
            }
            Added::Known => {
                let address = Some(remote.address);
                cx.note(|| AgentNote::Skipped { is_remote: true, address, why: SkipReason::Redundant });
            }
            Added::Full => {
                let address = Some(remote.address);
                cx.note(|| AgentNote::Skipped { is_remote: true, address, why: SkipReason::Full });
            }
        }
    }

    fn update_relayed(&mut self, remote: RemoteId, kind: CandidateKind) {
        let pairs: Vec<PairId> = self.set.iter().filter(|(_, pair)| pair.remote == remote).map(|(id, _)| id).collect();
        for id in pairs.into_iter().filter(|_| kind == CandidateKind::Relayed) {
            self.set.flag(id, Flags::RELAYED, true);
        }
    }

    pub(super) fn accept_address(
        &mut self,
        cx: &mut Cx<'_>,
        name: &str,
        address: Option<IpAddr>,
    ) -> Result<(), AgentError> {
        let is_named = |(_, candidate): &(u16, Box<CandidateAttribute>)| matches!(&candidate.address, ConnectionAddress::Name(known) if known == name);
        let (found, others) = core::mem::take(&mut self.names.waiting).into_iter().partition(is_named);
        self.names.waiting = others;
        let found: Vec<_> = found;
        if found.is_empty() {
            return Err(AgentError::Name(name.into()));
        }
        for (stream, mut candidate) in found {
            candidate.address = match address {
                Some(IpAddr::V4(ip)) => ConnectionAddress::Ip4(ip),
                Some(IpAddr::V6(ip)) => ConnectionAddress::Ip6(ip),
                None => {
                    cx.note(|| AgentNote::Skipped { is_remote: true, address: None, why: SkipReason::Unresolved });
                    continue;
                }
            };
            self.accept_remote(cx, stream, &candidate);
        }
        Ok(())
    }

    // --- Pairs -------------------------------------------------------------------------------------------------

    /// Pairs a new local candidate with all remote candidates.
    fn pair_local(&mut self, cx: &mut Cx<'_>, local: LocalId) {
        let count = self.remotes.iter().count();
        self.set.reserve(count);
        for remote in (0..count).map(|at| RemoteId(at as u16)) {
            self.form(cx, local, remote, Origin::Candidates);
        }
    }

    /// Pairs a new remote candidate with all local candidates. The pairs of a candidate that was replaced may exist.
    fn pair_remote(&mut self, cx: &mut Cx<'_>, remote: RemoteId, is_new: bool) {
        for local in (0..self.locals.places()).map(|at| LocalId(at as u16)) {
            if self.locals.get(local).is_some_and(Local::is_base) && (is_new || self.set.find(local, remote).is_none())
            {
                self.form(cx, local, remote, Origin::Candidates);
            }
        }
    }

    /// Forms a pair, if the candidates fit and the pair does not exist (§6.1.2.2, §6.1.2.4).
    pub(super) fn pair(&mut self, cx: &mut Cx<'_>, local: LocalId, remote: RemoteId, origin: Origin) -> Option<PairId> {
        if let Some(known) = self.set.find(local, remote) {
            return Some(known);
        }
        self.form(cx, local, remote, origin)
    }

    /// Forms a pair that does not exist, if the candidates fit.
    fn form(&mut self, cx: &mut Cx<'_>, local: LocalId, remote: RemoteId, origin: Origin) -> Option<PairId> {
        let new = self.new_pair(local, remote, origin)?;
        let keeps_relayed = self.config.policy == Policy::Browserlike;
        let component = ComponentId::new(new.list, new.component);
        if origin == Origin::Candidates && self.seeks_better(component) {
            self.set.set_list_state(new.list, ChecklistState::Running);
        }
        let address = self.remotes.get(remote)?.address;
        let limit = self.set.limit();
        match self.set.insert(new, keeps_relayed) {
            Inserted::Added(id) => {
                self.checks.forget(id);
                Some(id)
            }
            Inserted::Replaced { added, discarded } => {
                self.checks.forget(added);
                if let Some(remote) = self.remotes.get(discarded.1) {
                    let remote = remote.address;
                    cx.note(|| AgentNote::Discarded { remote, limit });
                }
                Some(added)
            }
            Inserted::Discarded => {
                cx.note(|| AgentNote::Discarded { remote: address, limit });
                None
            }
        }
    }

    pub(super) fn new_pair(&self, local_id: LocalId, remote_id: RemoteId, origin: Origin) -> Option<NewPair> {
        let (local, remote) = (self.locals.get(local_id)?, self.remotes.get(remote_id)?);
        let component = remote.component;
        let is_learned = remote.kind == CandidateKind::PeerReflexive && origin == Origin::Candidates;
        // A passive candidate of TCP starts no checks: its pairs are pruned (RFC 6544 §6.2).
        let is_passive = local.candidate.transport == Transport::Tcp(TcpType::Passive) && origin == Origin::Candidates;
        let is_compatible = local.candidate.transport.opposite() == remote.transport;
        if !is_compatible || is_passive || !local.is_base() || local.candidate.component != component || is_learned {
            return None;
        }
        if self.config.is_lite && origin == Origin::Candidates
            || !has_same_scope(local.candidate.address, remote.address)
        {
            return None;
        }
        if origin == Origin::Candidates && self.is_concluded(component) {
            return None;
        }
        self.session.remote(component.stream)?;
        Some(NewPair {
            priority: self.pair_priority(local.priority, remote.priority),
            local: local_id,
            remote: remote_id,
            list: component.stream,
            component: component.number,
            foundations: (local.foundation, remote.foundation),
            is_relayed: CandidateKind::Relayed == local.candidate.kind || CandidateKind::Relayed == remote.kind,
            is_triggered: origin == Origin::Check,
        })
    }

    /// Whether the component needs no further pairs: a pair is nominated, or the checklist has failed.
    pub(super) fn is_concluded(&self, component: ComponentId) -> bool {
        let is_failed = self.set.list_state(component.stream) == Some(ChecklistState::Failed);
        let has_nominated = self.track(component).is_some_and(|track| track.nominated.is_some());
        is_failed || has_nominated && !self.seeks_better(component)
    }

    pub(super) const fn pair_priority(&self, local: u32, remote: u32) -> u64 {
        if self.session.role.is_controlling() { pair::priority(local, remote) } else { pair::priority(remote, local) }
    }

    /// Recomputes the priorities of all pairs (§6.1.2.3).
    pub(super) fn update_priorities(&mut self) {
        let Self { set, locals, remotes, session, .. } = self;
        let is_controlling = session.role.is_controlling();
        set.set_priorities(|pair| {
            let local = locals.get(pair.local).map_or(0, |local| local.priority);
            let remote = remotes.get(pair.remote).map_or(0, |remote| remote.priority);
            if is_controlling { pair::priority(local, remote) } else { pair::priority(remote, local) }
        });
    }
}

/// Why a pair is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From the candidates of both sides.
    Candidates,
    /// From a check of the peer (§7.3.1.4).
    Check,
}

fn read_remote(stream: u16, address: SocketAddr, candidate: &CandidateAttribute) -> Result<Remote, SkipReason> {
    let kind = match &candidate.candidate_type {
        CandidateType::Host => CandidateKind::Host,
        CandidateType::ServerReflexive => CandidateKind::ServerReflexive,
        CandidateType::PeerReflexive => CandidateKind::PeerReflexive,
        CandidateType::Relayed => CandidateKind::Relayed,
        CandidateType::Other(_) => return Err(SkipReason::UnknownType),
    };
    let transport = match (&candidate.transport, candidate.tcp_type) {
        (portolan_sdp::candidate::Transport::Udp, _) => Transport::Udp,
        // An active candidate opens streams itself, from another port (RFC 6544 §4.5).
        (portolan_sdp::candidate::Transport::Tcp, Some(TcpType::Passive)) => Transport::Tcp(TcpType::Passive),
        (portolan_sdp::candidate::Transport::Tcp | portolan_sdp::candidate::Transport::Other(_), _) => {
            return Err(SkipReason::Transport);
        }
    };
    if !is_usable(address) {
        return Err(SkipReason::Address);
    }
    Ok(Remote {
        address,
        component: ComponentId::new(stream, candidate.component),
        kind,
        transport,
        priority: candidate.priority,
        foundation: remote::hash(&candidate.foundation),
    })
}

/// Whether a peer can have this address.
pub(super) fn is_usable(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

/// Whether the addresses have the same family, and both or neither are link-local IPv6 addresses (§6.1.2.2).
fn has_same_scope(one: SocketAddr, other: SocketAddr) -> bool {
    let is_link_local = |address: SocketAddr| matches!(address.ip(), IpAddr::V6(ip) if is_link_local_v6(ip));
    one.is_ipv4() == other.is_ipv4() && is_link_local(one) == is_link_local(other)
}

const fn is_link_local_v6(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

/// The candidate as it is signalled (RFC 8839 §5.1).
pub(super) fn attribute(local: &Local) -> CandidateAttribute {
    let candidate = &local.candidate;
    let (transport, tcp_type) = match candidate.transport {
        Transport::Udp => (portolan_sdp::candidate::Transport::Udp, None),
        Transport::Tcp(kind) => (portolan_sdp::candidate::Transport::Tcp, Some(kind)),
    };
    CandidateAttribute {
        foundation: (u32::from(local.foundation) + 1).to_string(),
        component: candidate.component.number,
        transport,
        priority: local.priority,
        address: connection_address(candidate.address.ip()),
        port: candidate.address.port(),
        candidate_type: match candidate.kind {
            CandidateKind::Host => CandidateType::Host,
            CandidateKind::ServerReflexive => CandidateType::ServerReflexive,
            CandidateKind::PeerReflexive => CandidateType::PeerReflexive,
            CandidateKind::Relayed => CandidateType::Relayed,
        },
        related: candidate.related.map(|related| (connection_address(related.ip()), related.port())),
        tcp_type,
        extensions: Extensions::default(),
    }
}

const fn connection_address(ip: IpAddr) -> ConnectionAddress<String> {
    match ip {
        IpAddr::V4(ip) => ConnectionAddress::Ip4(ip),
        IpAddr::V6(ip) => ConnectionAddress::Ip6(ip),
    }
}
