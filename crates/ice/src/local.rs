//! The local candidates of an agent, with their foundations (RFC 8445 §5.1.1.3, §5.1.3).
//!
//! Rules of this file: a candidate keeps its number until the agent restarts or the candidate is removed. Checks are
//! sent from the base of a candidate, so only host and relayed candidates are paired. A peer-reflexive candidate is
//! known only as the mapped address of a valid pair.

use crate::candidate::{CandidateKind, ComponentId, LocalCandidate, Transport};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::SocketId;

/// The number of a local candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LocalId(pub(crate) u16);

#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) candidate: LocalCandidate,
    pub(crate) foundation: u16,
    pub(crate) priority: u32,
    pub(crate) is_removed: bool,
}

impl Local {
    /// Whether checks are sent from this candidate itself.
    pub(crate) fn is_base(&self) -> bool {
        !self.is_removed && matches!(self.candidate.kind, CandidateKind::Host | CandidateKind::Relayed)
    }
}

/// What decides the foundation of a candidate (RFC 8445 §5.1.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FoundationKey {
    kind: CandidateKind,
    base: IpAddr,
    server: Option<IpAddr>,
    transport: Transport,
}

impl FoundationKey {
    const fn of(candidate: &LocalCandidate) -> Self {
        let LocalCandidate { kind, base, server, transport, .. } = *candidate;
        Self { kind, base: base.ip(), server, transport }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct LocalTable {
    all: Vec<Local>,
    /// The number of foundations that were given.
    foundations: u16,
}

/// Why a local candidate was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// A candidate with this address and base exists (RFC 8445 §5.1.3).
    Redundant,
    Full,
}

impl LocalTable {
    /// The largest number of local candidates, peer-reflexive ones included.
    pub(crate) const LIMIT: usize = 256;

    pub(crate) fn add(&mut self, candidate: LocalCandidate, priority: u32) -> Result<LocalId, NotAdded> {
        let same = |known: &&Local| {
            let known = &known.candidate;
            (known.address, known.base, known.component) == (candidate.address, candidate.base, candidate.component)
                && known.transport == candidate.transport
                && known.socket == candidate.socket
        };
        let foundation = self.foundation(&candidate);
        let local = Local { candidate, foundation, priority, is_removed: false };
        if let Some(at) = self.all.iter().position(|known| !known.is_removed && same(&known)) {
            let Some(known) = self.all.get_mut(at) else { return Err(NotAdded::Redundant) };
            let is_learned = known.candidate.kind == CandidateKind::PeerReflexive;
            if !is_learned || candidate.kind == CandidateKind::PeerReflexive {
                return Err(NotAdded::Redundant);
            }
            // The owner adds a candidate that a check has found before: the peer gets its real type.
            *known = local;
            return Ok(LocalId(at as u16));
        }
        // Peer-reflexive candidates leave room for those of the owner.
        if candidate.kind == CandidateKind::PeerReflexive
            && self.iter().filter(|(_, known)| known.candidate.kind == CandidateKind::PeerReflexive).count() >= LEARNED
        {
            return Err(NotAdded::Full);
        }
        if let Some(at) = self.all.iter().position(|known| known.is_removed)
            && self.all.len() >= Self::LIMIT
        {
            if let Some(place) = self.all.get_mut(at) {
                *place = local;
            }
            return Ok(LocalId(at as u16));
        }
        if self.all.len() >= Self::LIMIT {
            return Err(NotAdded::Full);
        }
        self.all.push(local);
        Ok(LocalId((self.all.len() - 1) as u16))
    }

    fn foundation(&mut self, candidate: &LocalCandidate) -> u16 {
        let key = FoundationKey::of(candidate);
        let known = self.all.iter().find(|known| FoundationKey::of(&known.candidate) == key);
        known.map_or_else(
            || {
                self.foundations = self.foundations.wrapping_add(1);
                self.foundations.wrapping_sub(1)
            },
            |known| known.foundation,
        )
    }

    pub(crate) fn get(&self, id: LocalId) -> Option<&Local> {
        self.all.get(usize::from(id.0))
    }

    /// The number of places, those of removed candidates included.
    pub(crate) const fn places(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LocalId, &Local)> {
        self.all
            .iter()
            .enumerate()
            .map(|(at, local)| (LocalId(at as u16), local))
            .filter(|(_, local)| !local.is_removed)
    }

    /// The candidate that receives on a socket.
    pub(crate) fn base_of(&self, socket: SocketId) -> Option<(LocalId, &Local)> {
        self.iter().find(|(_, local)| local.candidate.socket == socket && local.is_base())
    }

    /// The candidate with this address and base socket, reflexive ones included. A host candidate is preferred.
    pub(crate) fn find_mapped(&self, component: ComponentId, socket: SocketId, address: SocketAddr) -> Option<LocalId> {
        let is_match = |local: &Local| {
            local.candidate.component == component
                && local.candidate.socket == socket
                && local.candidate.address == address
        };
        self.iter().find(|(_, local)| is_match(local)).map(|(id, _)| id)
    }

    /// Removes the candidates of a socket, and returns them.
    pub(crate) fn remove(&mut self, socket: SocketId) -> Vec<LocalId> {
        let mut removed = Vec::new();
        for (at, local) in self.all.iter_mut().enumerate() {
            if local.candidate.socket == socket && !local.is_removed {
                local.is_removed = true;
                removed.push(LocalId(at as u16));
            }
        }
        removed
    }

    /// Forgets all candidates. Their foundations are not used again.
    pub(crate) fn clear(&mut self) {
        self.all = Vec::new();
    }

    /// Forgets the peer-reflexive candidates: a restart flushes the state of checks (§9).
    pub(crate) fn forget_reflexive(&mut self) {
        for local in &mut self.all {
            local.is_removed |= local.candidate.kind == CandidateKind::PeerReflexive;
        }
    }
}

/// The most peer-reflexive candidates.
const LEARNED: usize = 64;
