//! The remote candidates of an agent.
//!
//! Rules of this file: the table is bounded. A signalled candidate replaces a peer-reflexive candidate of the same
//! address and keeps its number, so the pairs of the candidate keep their state (RFC 8838 §11).

use crate::candidate::{CandidateKind, ComponentId, Transport};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The number of a remote candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RemoteId(pub(crate) u16);

/// A remote candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    pub(crate) component: ComponentId,
    pub(crate) kind: CandidateKind,
    pub(crate) transport: Transport,
    pub(crate) priority: u32,
    /// A hash of the foundation's text. Equal hashes of different foundations only unfreeze pairs early.
    pub(crate) foundation: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RemoteTable {
    all: Vec<Remote>,
    /// Peer-reflexive candidates that were learned, for their foundations.
    learned: u64,
}

/// The result of adding a remote candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    New(RemoteId),
    /// A peer-reflexive candidate has its signalled values now.
    Replaced(RemoteId),
    Known,
    Full,
}

impl RemoteTable {
    pub(crate) fn add(&mut self, candidate: Remote, limit: usize) -> Added {
        match self.find(candidate.component, candidate.address, candidate.transport) {
            Some(id) => {
                let Some(known) = self.all.get_mut(usize::from(id.0)) else { return Added::Full };
                if known.kind != CandidateKind::PeerReflexive || candidate.kind == CandidateKind::PeerReflexive {
                    return Added::Known;
                }
                *known = candidate;
                Added::Replaced(id)
            }
            None => self.push(candidate, limit).map_or(Added::Full, Added::New),
        }
    }

    /// Adds a peer-reflexive candidate (RFC 8445 §7.3.1.3). Its foundation differs from all others.
    pub(crate) fn learn(
        &mut self,
        component: ComponentId,
        (address, transport): (SocketAddr, Transport),
        priority: u32,
        limit: usize,
    ) -> Option<RemoteId> {
        let learned = self.new_learned(component, (address, transport), priority);
        self.push(learned, limit)
    }

    /// Puts a peer-reflexive candidate into the place of another one, which has no pair any more.
    pub(crate) fn learn_in_place(
        &mut self,
        id: RemoteId,
        component: ComponentId,
        from: (SocketAddr, Transport),
        priority: u32,
    ) {
        let learned = self.new_learned(component, from, priority);
        if let Some(place) = self.all.get_mut(usize::from(id.0)) {
            *place = learned;
        }
    }

    const fn new_learned(
        &mut self,
        component: ComponentId,
        (address, transport): (SocketAddr, Transport),
        priority: u32,
    ) -> Remote {
        self.learned += 1;
        let foundation = u64::MAX - self.learned;
        Remote { address, component, kind: CandidateKind::PeerReflexive, transport, priority, foundation }
    }

    fn push(&mut self, candidate: Remote, limit: usize) -> Option<RemoteId> {
        if self.all.len() >= limit.min(usize::from(u16::MAX)) {
            return None;
        }
        self.all.push(candidate);
        Some(RemoteId((self.all.len() - 1) as u16))
    }

    pub(crate) fn find(&self, component: ComponentId, address: SocketAddr, transport: Transport) -> Option<RemoteId> {
        let is_it =
            |known: &Remote| known.address == address && known.component == component && known.transport == transport;
        let at = self.all.iter().position(is_it)?;
        Some(RemoteId(at as u16))
    }

    pub(crate) fn get(&self, id: RemoteId) -> Option<&Remote> {
        self.all.get(usize::from(id.0))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (RemoteId, &Remote)> {
        self.all.iter().enumerate().map(|(at, remote)| (RemoteId(at as u16), remote))
    }

    /// Forgets the candidates of a stream. The others keep their numbers.
    pub(crate) fn forget(&mut self, stream: u16) {
        for remote in self.all.iter_mut().filter(|remote| remote.component.stream == stream) {
            remote.component = ComponentId::new(u16::MAX, 0);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Returns the hash of a foundation (FNV-1a).
pub(crate) fn hash(foundation: &str) -> u64 {
    foundation.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
