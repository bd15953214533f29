//! Tests that every note of the crate has a unique code, and that `docs/notes.md` lists the code.

pub(crate) mod notes;

use super::{AgentDropped, AgentNote};
use crate::candidate::{CandidateKind, ComponentId};
use crate::event::Path;
use crate::gather;
use crate::reason::{NominationReason, PairFailure, SkipReason};
use crate::role::Role;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use notes::{Table, table};
use portolan_machine::{SocketId, Unreachability};

const ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 5000));
const COMPONENT: ComponentId = ComponentId::new(0, 1);
const PATH: Path = Path {
    component: COMPONENT,
    socket: SocketId(1),
    base: ADDRESS,
    local: ADDRESS,
    local_kind: CandidateKind::Host,
    remote: ADDRESS,
    remote_kind: CandidateKind::Host,
    rtt: None,
};

const SKIPPED: [SkipReason; 9] = [
    SkipReason::Redundant,
    SkipReason::UnknownType,
    SkipReason::Transport,
    SkipReason::Component,
    SkipReason::Address,
    SkipReason::Full,
    SkipReason::Unresolved,
    SkipReason::Zone,
    SkipReason::Generation,
];

const FAILURES: [PairFailure; 7] = [
    PairFailure::Timeout { sends: 7 },
    PairFailure::Refused { code: 401, sends: 7 },
    PairFailure::Unreachable(Unreachability::Network),
    PairFailure::NotSymmetric,
    PairFailure::Error(400),
    PairFailure::LocalRemoved,
    PairFailure::Nomination,
];

const NOMINATIONS: [NominationReason; 7] = [
    NominationReason::Direct,
    NominationReason::NoDirectPairLeft,
    NominationReason::DirectPairsLate { waited: Duration::from_millis(100) },
    NominationReason::Peer,
    NominationReason::Replacement,
    NominationReason::Better,
    NominationReason::Lite,
];

const DROPPED: [AgentDropped; 7] = [
    AgentDropped::Fingerprint,
    AgentDropped::Integrity,
    AgentDropped::NoTransaction,
    AgentDropped::QueueFull,
    AgentDropped::EarlyFull,
    AgentDropped::CandidatesFull,
    AgentDropped::Generation,
];

#[test]
fn every_note_has_a_unique_code_that_docs_notes_md_lists() {
    notes::assert_documented("ice", &[agent(), gather::note_table()]);
}

fn agent() -> Table {
    use AgentNote as N;
    let (path, component, address, is_remote) = (PATH, COMPONENT, ADDRESS, true);
    let mut samples: Vec<N> =
        SKIPPED.into_iter().map(|why| N::Skipped { is_remote, address: Some(address), why }).collect();
    samples.extend([false, true].map(|is_triggered| N::Check { path, is_triggered, nominates: false }));
    samples.push(N::Repeated { remote: ADDRESS, sends: 2 });
    samples.push(N::Valid { path, rtt: Duration::from_millis(40) });
    samples.extend(FAILURES.map(|why| N::Failed { path, why }));
    samples.extend([N::Discarded { remote: ADDRESS, limit: 100 }, N::Early { from: ADDRESS }]);
    samples.extend([false, true].map(|is_remote| N::PeerReflexive { is_remote, address }));
    samples.push(N::Signalled { address });
    samples.extend(NOMINATIONS.map(|why| N::Nominating { path, why }));
    samples.extend([N::Role { role: Role::Controlled { tie_breaker: 7 } }, N::Refused { from: ADDRESS, code: 487 }]);
    samples.extend(DROPPED.map(|why| N::Dropped { from: ADDRESS, why }));
    samples.extend([
        N::Consent { component, unanswered: 1 },
        N::Keepalive { component },
        N::Restarting { by_peer: false },
        N::OldDescription,
        N::Removed { socket: SocketId(1) },
    ]);
    table!(
        AgentNote,
        samples,
        [
            N::Skipped { .. },
            N::Check { is_triggered: false, .. },
            N::Check { is_triggered: true, .. },
            N::Repeated { .. },
            N::Valid { .. },
            N::Failed { .. },
            N::Discarded { .. },
            N::Early { .. },
            N::PeerReflexive { is_remote: false, .. },
            N::PeerReflexive { is_remote: true, .. },
            N::Signalled { .. },
            N::Nominating { .. },
            N::Role { .. },
            N::Refused { .. },
            N::Dropped { .. },
            N::Consent { .. },
            N::Keepalive { .. },
            N::Restarting { .. },
            N::OldDescription,
            N::Removed { .. },
        ]
    )
}
