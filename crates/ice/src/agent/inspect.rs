//! What an owner reads from an agent: paths, pairs and counters.

use super::pairing::attribute;
use super::session::Stage;
use super::{Agent, RemoteDescription};
use crate::candidate::{CandidateKind, ComponentId, LocalCandidate};
use crate::config::AgentConfig;
use crate::credentials::Credentials;
use crate::event::{AgentState, Path};
use crate::pacing::Pacer;
use crate::pair::{Flags, PairCounters, PairId, PairState};
use crate::reason::PairFailure;
use crate::role::Role;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::SocketId;

/// A pair, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairInfo {
    /// The number of the pair.
    pub id: PairId,
    /// The candidates.
    pub path: Path,
    /// The priority (RFC 8445 §6.1.2.3).
    pub priority: u64,
    /// The state.
    pub state: PairState,
    /// Whether the pair is in the valid list.
    pub is_valid: bool,
    /// Whether the pair is nominated.
    pub is_nominated: bool,
    /// The counters.
    pub counters: PairCounters,
    /// The reason why the pair failed.
    pub failure: Option<PairFailure>,
}

impl Agent {
    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &AgentConfig {
        &self.config
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> AgentState {
        self.session.state
    }

    /// The pacer of checks, for other machines on the same path (RFC 8445 §14.2).
    #[must_use]
    pub const fn pacer(&self) -> Pacer {
        self.session.clock.pacer
    }

    /// Takes over the pacer of another machine, so that both together start at most one transaction each Ta.
    pub fn merge_pacer(&mut self, other: Pacer) {
        self.session.clock.pacer.merge(other);
    }

    /// The addresses of the remote candidates, peer-reflexive ones included.
    pub fn remote_addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.remotes.iter().map(|(_, remote)| remote.address)
    }

    /// The role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.session.role
    }

    /// The local credentials. `None` before the start.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.session.local.as_ref().map(|keys| &keys.credentials)
    }

    /// The description of this agent for a stream, which the owner signals to the peer: with the candidates so far, and with
    /// the session of the peer that it answers. `None`: the agent was not started, or the session has no such stream.
    #[must_use]
    pub fn description(&self, stream: u16) -> Option<RemoteDescription> {
        let credentials = self.credentials().filter(|_| self.check_stream(stream).is_ok())?.clone();
        let answers = self.remote_credentials(stream).map(|peer| peer.ufrag().into());
        let is_signalled = |candidate: &LocalCandidate| {
            candidate.component.stream == stream && candidate.kind != CandidateKind::PeerReflexive
        };
        let candidates = self.locals.iter().filter(|(_, local)| is_signalled(&local.candidate));
        Some(RemoteDescription {
            credentials,
            is_lite: self.config.is_lite,
            has_ended: self.session.has_ended,
            candidates: candidates.map(|(_, local)| attribute(local)).collect(),
            answers,
            generation: Some(self.session.generation),
        })
    }

    /// The credentials of the peer for a stream. `None`: the agent waits for the description of the peer.
    #[must_use]
    pub fn remote_credentials(&self, stream: u16) -> Option<&Credentials> {
        self.session.remote(stream).map(|side| &side.keys.credentials)
    }

    /// The path for data of a component. It is the selected path, or during a restart the previous one. Before the
    /// selection it is any valid pair, for 30 s from its last response (RFC 8445 §12.1, RFC 7675 §5.1). `None`: no data may
    /// be sent.
    #[must_use]
    pub fn path(&self, component: ComponentId) -> Option<Path> {
        if self.session.stage != Stage::Running {
            return None;
        }
        let track = self.track(component)?;
        let selected = track.selected.as_ref().map(|selected| selected.path);
        selected
            .or_else(|| track.previous.as_ref().map(|previous| previous.path))
            .or_else(|| self.valid_path(component))
    }

    /// The selected path of a component.
    #[must_use]
    pub fn selected(&self, component: ComponentId) -> Option<Path> {
        self.track(component)?.selected.as_ref().map(|selected| selected.path)
    }

    fn valid_path(&self, component: ComponentId) -> Option<Path> {
        let has_consent = |id| self.set.record(id).is_some_and(|record| record.consent_until.is_some());
        let (valid, _) =
            self.pairs_of(component).find(|(id, pair)| pair.flags.has(Flags::VALID) && has_consent(*id))?;
        self.path_of(valid)
    }

    /// The component of data that arrived from this address on this socket. `None`: the data is not the peer's.
    #[must_use]
    pub fn component_of(&self, socket: SocketId, remote: SocketAddr) -> Option<ComponentId> {
        let (_, local) = self.locals.base_of(socket)?;
        let component = local.candidate.component;
        let is_known = self.remotes.find(component, remote, local.candidate.transport.opposite()).is_some()
            || self.track(component)?.previous.as_ref().is_some_and(|previous| previous.path.remote == remote);
        is_known.then_some(component)
    }

    /// All pairs, by checklist and priority.
    pub fn pairs(&self) -> impl Iterator<Item = PairInfo> + '_ {
        self.set.iter().filter_map(|(id, pair)| {
            let record = self.set.record(id)?;
            Some(PairInfo {
                id,
                path: self.path_of(id)?,
                priority: pair.priority,
                state: pair.state,
                is_valid: pair.flags.has(Flags::VALID),
                is_nominated: pair.flags.has(Flags::NOMINATED),
                counters: record.counters,
                failure: record.failure,
            })
        })
    }

    /// The path of a pair.
    pub(super) fn path_of(&self, id: PairId) -> Option<Path> {
        let pair = self.set.get(id)?;
        let base = self.locals.get(pair.local)?.candidate;
        let remote = self.remotes.get(pair.remote)?;
        let local = pair.mapped.and_then(|mapped| self.locals.get(mapped)).map_or(base, |local| local.candidate);
        Some(Path {
            component: base.component,
            socket: base.socket,
            base: base.base,
            local: local.address,
            local_kind: local.kind,
            remote: remote.address,
            remote_kind: remote.kind,
            rtt: (pair.rtt > 0).then(|| Duration::from_micros(u64::from(pair.rtt))),
        })
    }
}
