//! Checks that every note of the crate has a unique code, and that `docs/notes.md` lists it.

use super::{ClientDropped, ClientNote, RequestRefusal, ServerDropped, ServerNote};
use crate::notes::{self, Table, table};
use crate::puncher::note::tests::puncher;
use crate::session::note::tests::session;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use portolan_stun::Message;
use portolan_stun_agent::Mechanism;
use portolan_stun_agent::authenticator::{Rejection, RejectionKind};
use portolan_stun_agent::nonce::NonceError;

const HERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3478));

#[test]
fn every_note_has_a_code_of_its_own_and_docs_notes_md_lists_it() {
    notes::assert_documented("punch", &[puncher(), server(), client(), session()]);
}

fn server() -> Table {
    use RequestRefusal as R;
    use ServerDropped as D;
    use ServerNote as N;
    let undecodable = Message::decode(&[]).unwrap_err();
    let (from, peer) = (HERE, HERE);
    let mut samples: Vec<ServerNote> = [
        N::Registered { peer },
        N::Introduced { first: peer, second: peer },
        N::Woken { peer },
        N::Left { peer },
        N::Expired { peer },
        N::Silent { peer },
    ]
    .into();
    let refusals = [R::UnknownAttributes, R::NoId, R::Card, R::Candidates, R::RoomFull, R::SourceQuota, R::ServerFull];
    samples.extend(refusals.map(|why| N::Refused { from, why }));
    let kinds = [RejectionKind::Unsigned, RejectionKind::Nonce(NonceError::Expired), RejectionKind::Incomplete];
    let rejected = |kind| N::Rejected { from, why: Rejection { mechanism: Mechanism::LongTerm, kind } };
    samples.extend(kinds.map(rejected));
    let dropped = [
        D::Undecodable(undecodable),
        D::Fingerprint(undecodable),
        D::Unaddressable,
        D::RateLimited,
        D::TooShort { request: 20, response: 120 },
        D::QueueFull,
        D::Unwritable,
    ];
    samples.extend(dropped.map(|why| N::Dropped { from, why }));
    table!(
        ServerNote,
        samples,
        [
            N::Registered { .. },
            N::Introduced { .. },
            N::Woken { .. },
            N::Left { .. },
            N::Expired { .. },
            N::Silent { .. },
            N::Refused { why: R::UnknownAttributes, .. },
            N::Refused { why: R::NoId, .. },
            N::Refused { why: R::Card, .. },
            N::Refused { why: R::Candidates, .. },
            N::Refused { why: R::RoomFull, .. },
            N::Refused { why: R::SourceQuota, .. },
            N::Refused { why: R::ServerFull, .. },
            N::Rejected { .. },
            N::Dropped { why: D::Undecodable(_), .. },
            N::Dropped { why: D::Fingerprint(_), .. },
            N::Dropped { why: D::Unaddressable, .. },
            N::Dropped { why: D::RateLimited, .. },
            N::Dropped { why: D::TooShort { .. }, .. },
            N::Dropped { why: D::QueueFull, .. },
            N::Dropped { why: D::Unwritable, .. },
        ]
    )
}

fn client() -> Table {
    use ClientDropped as D;
    use ClientNote as N;
    let from = HERE;
    let mut samples: Vec<ClientNote> =
        [N::Measured { rtt: Duration::from_millis(20) }, N::Woken, N::Repeated { peer: HERE }].into();
    samples.extend([D::Unverified, D::OldWake, D::Late, D::Invalid, D::QueueFull].map(|why| N::Dropped { from, why }));
    table!(
        ClientNote,
        samples,
        [
            N::Measured { .. },
            N::Woken,
            N::Repeated { .. },
            N::Dropped { why: D::Unverified, .. },
            N::Dropped { why: D::OldWake, .. },
            N::Dropped { why: D::Late, .. },
            N::Dropped { why: D::Invalid, .. },
            N::Dropped { why: D::QueueFull, .. },
        ]
    )
}
