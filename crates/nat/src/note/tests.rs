//! Tests that every note of this crate has a unique code, and that `docs/notes.md` lists the code.

mod notes;

use super::{DiscoveryNote, ExtraServerReason};
use crate::discovery::{Tag, Target, Test};
use crate::lifetime::LifetimeNote;
use crate::profile::{Family, Flaw, Unknown};
use crate::translator::DropReason;
use alloc::vec;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use notes::{Table, table};
use portolan_machine::{Refusal, TlsFailure};

const ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3478));

const REFUSALS: [Refusal; 11] = [
    Refusal::AddressInUse,
    Refusal::AddressNotAvailable,
    Refusal::PermissionDenied,
    Refusal::NoRoute,
    Refusal::ConnectionRefused,
    Refusal::TimedOut,
    Refusal::FamilyNotSupported,
    Refusal::TooManySockets,
    Refusal::TlsHandshake(TlsFailure::Unspecified),
    Refusal::Unsupported,
    Refusal::Unspecified,
];

const FLAWS: [Flaw; 14] = [
    Flaw::Silent,
    Flaw::NoOtherAddress,
    Flaw::OtherAddressInvalid,
    Flaw::OtherAddressSilent,
    Flaw::ChangeRequestIgnored,
    Flaw::ChangeRequestRefused(420),
    Flaw::ChangeRequestUnanswered,
    Flaw::AnswersFromElsewhere,
    Flaw::Unstable,
    Flaw::SameForAll,
    Flaw::Contradicted,
    Flaw::Error(400),
    Flaw::Garbage,
    Flaw::MappedAddressInvalid,
];

#[test]
fn every_note_has_a_unique_code_that_docs_notes_md_lists() {
    notes::assert_documented("nat", &[discovery(), lifetime(), translator()]);
}

fn discovery() -> Table {
    use DiscoveryNote as N;
    use ExtraServerReason as Why;
    let (server, to, other, from, port) = (ADDRESS, ADDRESS, ADDRESS, ADDRESS, 5000);
    let map = Tag { family: Family::V4, test: Test::Map { server: 0, target: Target::Primary } };
    let filter = Tag { family: Family::V4, test: Test::Control { attempt: 0 } };
    let mut samples = vec![
        N::Asked { tag: map, to },
        N::Asked { tag: filter, to },
        N::Seen { tag: map, by: server, mapped: ADDRESS },
        N::Joined { server, why: Why::Silence },
        N::Joined { server, why: Why::Contradiction },
        N::Joined { server, why: Why::Capability },
        N::Joined { server, why: Why::PreservedPort },
        N::AlternateFound { server, other },
    ];
    samples.extend(FLAWS.map(|flaw| N::Caught { server, flaw }));
    samples.extend([
        N::ProofAsked { server },
        N::FilteringMoved { to },
        N::TailSet { family: Family::V4, tail: Duration::from_millis(300) },
        N::TcpTried { to },
        N::TcpEnded { to, why: None },
    ]);
    samples.extend(REFUSALS.map(|why| N::TcpEnded { to, why: Some(why) }));
    samples.extend([N::PortTaken { port }, N::Dropped { from }]);
    table!(
        DiscoveryNote,
        samples,
        [
            N::Asked { .. },
            N::Seen { .. },
            N::Joined { why: Why::Silence, .. },
            N::Joined { why: Why::Contradiction, .. },
            N::Joined { why: Why::Capability, .. },
            N::Joined { why: Why::PreservedPort, .. },
            N::AlternateFound { .. },
            N::Caught { flaw: Flaw::Silent, .. },
            N::Caught { flaw: Flaw::NoOtherAddress, .. },
            N::Caught { flaw: Flaw::OtherAddressInvalid, .. },
            N::Caught { flaw: Flaw::OtherAddressSilent, .. },
            N::Caught { flaw: Flaw::ChangeRequestIgnored, .. },
            N::Caught { flaw: Flaw::ChangeRequestRefused(_), .. },
            N::Caught { flaw: Flaw::ChangeRequestUnanswered, .. },
            N::Caught { flaw: Flaw::AnswersFromElsewhere, .. },
            N::Caught { flaw: Flaw::Unstable, .. },
            N::Caught { flaw: Flaw::SameForAll, .. },
            N::Caught { flaw: Flaw::Contradicted, .. },
            N::Caught { flaw: Flaw::Error(_), .. },
            N::Caught { flaw: Flaw::Garbage, .. },
            N::Caught { flaw: Flaw::MappedAddressInvalid, .. },
            N::ProofAsked { .. },
            N::FilteringMoved { .. },
            N::TailSet { .. },
            N::TcpTried { .. },
            N::TcpEnded { why: None, .. },
            N::TcpEnded { why: Some(_), .. },
            N::PortTaken { .. },
            N::Dropped { .. },
        ]
    )
}

const UNKNOWN: [Unknown; 29] = [
    Unknown::Blocked,
    Unknown::Offline,
    Unknown::SingleServer,
    Unknown::Dependent,
    Unknown::NoOtherAddress,
    Unknown::OtherAddressInvalid,
    Unknown::ChangeRequestIgnored,
    Unknown::ChangeRequestRefused,
    Unknown::ChangeRequestUnanswered,
    Unknown::AlternateUnreachable,
    Unknown::AnswersFromElsewhere,
    Unknown::HighLoss,
    Unknown::Rebinding,
    Unknown::MultiPath,
    Unknown::ServersDisagree,
    Unknown::ServerSilent,
    Unknown::ServerError,
    Unknown::TooFewSamples,
    Unknown::TimedOut,
    Unknown::NotTested,
    Unknown::NoNat,
    Unknown::NoEvidence,
    Unknown::ResponsePortRefused,
    Unknown::ResponsePortIgnored,
    Unknown::ResponsePortUnanswered,
    Unknown::TooLong,
    Unknown::TooShort,
    Unknown::AbsoluteEnd,
    Unknown::Contradictory,
];

fn lifetime() -> Table {
    use LifetimeNote as N;
    let (server, external, after, port) = (ADDRESS, ADDRESS, Duration::from_secs(30), 5000);
    let mut samples = REFUSALS.map(|why| N::PortRefused { port, why }).to_vec();
    samples.extend([N::Asked { server }, N::Honoured { server }]);
    samples.extend(UNKNOWN.map(|why| N::Rejected { server, why }));
    samples.extend([
        N::Mapped { external },
        N::Alive { external, after },
        N::Silent { external, sends: 3 },
        N::Dead { external, after, p: 1e-6 },
        N::NewOwner { external },
        N::Remade { before: ADDRESS, after: ADDRESS },
    ]);
    samples.extend(UNKNOWN.map(|why| N::Unusable { port, why }));
    table!(
        LifetimeNote,
        samples,
        [
            N::PortRefused { .. },
            N::Asked { .. },
            N::Honoured { .. },
            N::Rejected { why: Unknown::Blocked, .. },
            N::Rejected { why: Unknown::Offline, .. },
            N::Rejected { why: Unknown::SingleServer, .. },
            N::Rejected { why: Unknown::Dependent, .. },
            N::Rejected { why: Unknown::NoOtherAddress, .. },
            N::Rejected { why: Unknown::OtherAddressInvalid, .. },
            N::Rejected { why: Unknown::ChangeRequestIgnored, .. },
            N::Rejected { why: Unknown::ChangeRequestRefused, .. },
            N::Rejected { why: Unknown::ChangeRequestUnanswered, .. },
            N::Rejected { why: Unknown::AlternateUnreachable, .. },
            N::Rejected { why: Unknown::AnswersFromElsewhere, .. },
            N::Rejected { why: Unknown::HighLoss, .. },
            N::Rejected { why: Unknown::Rebinding, .. },
            N::Rejected { why: Unknown::MultiPath, .. },
            N::Rejected { why: Unknown::ServersDisagree, .. },
            N::Rejected { why: Unknown::ServerSilent, .. },
            N::Rejected { why: Unknown::ServerError, .. },
            N::Rejected { why: Unknown::TooFewSamples, .. },
            N::Rejected { why: Unknown::TimedOut, .. },
            N::Rejected { why: Unknown::NotTested, .. },
            N::Rejected { why: Unknown::NoNat, .. },
            N::Rejected { why: Unknown::NoEvidence, .. },
            N::Rejected { why: Unknown::ResponsePortRefused, .. },
            N::Rejected { why: Unknown::ResponsePortIgnored, .. },
            N::Rejected { why: Unknown::ResponsePortUnanswered, .. },
            N::Rejected { why: Unknown::TooLong, .. },
            N::Rejected { why: Unknown::TooShort, .. },
            N::Rejected { why: Unknown::AbsoluteEnd, .. },
            N::Rejected { why: Unknown::Contradictory, .. },
            N::Mapped { .. },
            N::Alive { .. },
            N::Silent { .. },
            N::Dead { .. },
            N::NewOwner { .. },
            N::Remade { .. },
            N::Unusable { .. },
        ]
    )
}

fn translator() -> Table {
    let samples = [
        DropReason::NoMapping,
        DropReason::Filtered,
        DropReason::TableFull,
        DropReason::NoFreePort,
        DropReason::NoExternalAddress,
        DropReason::NoHairpin,
        DropReason::FamilyMismatch,
    ];
    table!(
        DropReason,
        samples,
        [
            DropReason::NoMapping,
            DropReason::Filtered,
            DropReason::TableFull,
            DropReason::NoFreePort,
            DropReason::NoExternalAddress,
            DropReason::NoHairpin,
            DropReason::FamilyMismatch,
        ]
    )
}
