//! Every note of this crate has a unique code, and `docs/notes.md` lists the code.

mod notes;

use super::DriverNote;
use core::net::{Ipv4Addr, SocketAddr};
use notes::table;
use portolan_machine::{Refusal, SocketId, TlsFailure};

#[test]
fn every_note_has_a_unique_code_and_docs_notes_md_lists_it() {
    use DriverNote as N;
    let (socket, remote) = (SocketId(1), SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
    let mut samples = vec![N::Full { socket, remote }, N::NotOpen { socket }];
    let refusals = [
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
    samples.extend(refusals.map(|why| N::AcceptFailed { socket, why }));
    let failures = [
        TlsFailure::Certificate,
        TlsFailure::Name,
        TlsFailure::Protocol,
        TlsFailure::Alert,
        TlsFailure::Closed,
        TlsFailure::Unspecified,
    ];
    samples.extend(failures.map(|why| N::HandshakeFailed { socket, remote, why }));
    samples.extend([
        N::KnownId { socket },
        N::NotAStream { socket },
        N::NotRead { socket, remote },
        N::HandshakeTimedOut { socket, remote },
        N::TooManyStreams { socket, remote },
        N::TooManyHandshakes { socket, remote },
        N::Unclaimed { socket, remote },
        N::Stuck { why: "retransmission" },
    ]);
    let patterns = table!(
        DriverNote,
        samples,
        [
            N::Full { .. },
            N::NotOpen { .. },
            N::AcceptFailed { .. },
            N::KnownId { .. },
            N::NotAStream { .. },
            N::NotRead { .. },
            N::HandshakeFailed { .. },
            N::HandshakeTimedOut { .. },
            N::TooManyStreams { .. },
            N::TooManyHandshakes { .. },
            N::Unclaimed { .. },
            N::Stuck { .. },
        ]
    );
    notes::assert_documented("tokio", &[patterns]);
}
