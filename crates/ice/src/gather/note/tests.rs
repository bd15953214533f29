//! Tests that every note of the gatherer has a unique code, and that `docs/notes.md` lists the code.

mod notes;

use super::super::{ExclusionReason, FailedServer, ServerFailure, Skipped};
use super::GatherNote;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use notes::{Table, table};
use portolan_machine::{Refusal, Unreachability};
use portolan_stun_agent::Unusable;

const ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3478));

const SKIPPED: [ExclusionReason; 13] = [
    ExclusionReason::Duplicate,
    ExclusionReason::RelayOnly,
    ExclusionReason::ForceProxy,
    ExclusionReason::NotUnicast,
    ExclusionReason::Loopback,
    ExclusionReason::LinkLocal,
    ExclusionReason::SiteLocal,
    ExclusionReason::Ipv4Mapped,
    ExclusionReason::Ipv4Compatible,
    ExclusionReason::VirtualBridge,
    ExclusionReason::NotDefaultRoute,
    ExclusionReason::Trackable,
    ExclusionReason::Limit,
];

const FAILURES: [ServerFailure; 11] = [
    ServerFailure::Timeout { sends: 7 },
    ServerFailure::Undecodable { sends: 7 },
    ServerFailure::Elsewhere { from: ADDRESS },
    ServerFailure::Unreachable(Unreachability::Port),
    ServerFailure::Code(400),
    ServerFailure::Unusable(Unusable::NoErrorCode),
    ServerFailure::NoMappedAddress,
    ServerFailure::MappedFamily(ADDRESS),
    ServerFailure::MappedInvalid(ADDRESS),
    ServerFailure::NoAddressOfFamily,
    ServerFailure::TooMany,
];

#[test]
fn every_note_has_a_unique_code_that_docs_notes_md_lists() {
    notes::assert_documented("ice", &[gatherer()]);
}

fn gatherer() -> Table {
    use GatherNote as N;
    let (base, mapped, server, local, why) = (ADDRESS, ADDRESS, ADDRESS, ADDRESS, Refusal::AddressInUse);
    let failed = |why| FailedServer { server, base: Some(base), why };
    let skipped = |why| N::Skipped(Skipped { name: "eth0".into(), address: base.ip(), why });
    let mut samples: Vec<_> = SKIPPED.into_iter().map(skipped).collect();
    samples.extend([
        N::Refused { local, why, next: Some(5000) },
        N::Refused { local, why, next: None },
        N::Asked { base, server, rto: Duration::from_millis(500) },
        N::Redundant { base, mapped, server },
        N::AlreadyKnown { base, mapped, server },
    ]);
    samples.extend(FAILURES.map(|why| N::ServerFailed(failed(why))));
    samples.push(N::KeepaliveFailed(failed(ServerFailure::Timeout { sends: 4 })));
    samples.push(N::MappingChanged { base, from: mapped, to: mapped });
    table!(
        GatherNote,
        samples,
        [
            N::Skipped(_),
            N::Refused { next: Some(_), .. },
            N::Refused { next: None, .. },
            N::Asked { .. },
            N::Redundant { .. },
            N::AlreadyKnown { .. },
            N::ServerFailed(_),
            N::KeepaliveFailed(_),
            N::MappingChanged { .. },
        ]
    )
}
