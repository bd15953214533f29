//! Checks that every note of this crate has a unique code, and that `docs/notes.md` lists it.

mod notes;

use super::{Dropped, ResponderDropped, ResponderNote, TransactionEnd, TransactionNote};
use crate::alternate::RedirectError;
use crate::authenticator::{Rejection, RejectionKind};
use crate::credential::{ChallengeError, Mechanism};
use crate::event::Unusable;
use crate::nonce::NonceError;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use notes::{Table, table};
use portolan_machine::{Instant, SocketId};
use portolan_stun::{AttributeType, Integrity, IntegrityError, Message, Method, TransactionId};

const HERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3478));

#[test]
fn every_note_has_a_code_of_its_own_and_docs_notes_md_lists_it() {
    notes::assert_documented("stun-agent", &[transactions(), responder()]);
}

fn transactions() -> Table {
    use Dropped as D;
    use TransactionNote as N;
    let samples = transaction_notes();
    table!(
        TransactionNote,
        samples,
        [
            N::Sent { .. },
            N::Accepted { .. },
            N::GivenUp { .. },
            N::Challenged { code: 438, .. },
            N::Challenged { .. },
            N::Chosen { .. },
            N::Declined { why: ChallengeError::WrongCredentials, .. },
            N::Declined { why: ChallengeError::Lacks(_), .. },
            N::Declined { why: ChallengeError::TooLong(_), .. },
            N::Declined { why: ChallengeError::BidDown, .. },
            N::Declined { why: ChallengeError::Weaker, .. },
            N::Declined { why: ChallengeError::NoAlgorithm, .. },
            N::Declined { why: ChallengeError::NoAnonymity, .. },
            N::Declined { why: ChallengeError::OtherRealm, .. },
            N::Declined { why: ChallengeError::NothingStale, .. },
            N::Declined { why: ChallengeError::SameNonce, .. },
            N::Declined { why: ChallengeError::TooMany, .. },
            N::Declined { why: ChallengeError::Unwritable, .. },
            N::Redirected { .. },
            N::Stayed { why: RedirectError::NoRedirection, .. },
            N::Stayed { why: RedirectError::Unauthenticated, .. },
            N::Stayed { why: RedirectError::NoServer, .. },
            N::Stayed { why: RedirectError::Unaddressable, .. },
            N::Stayed { why: RedirectError::Port, .. },
            N::Stayed { why: RedirectError::Circle, .. },
            N::Stayed { why: RedirectError::TooMany, .. },
            N::Stayed { why: RedirectError::Stream, .. },
            N::Stayed { why: RedirectError::Pinned, .. },
            N::Cancelled { .. },
            N::Dropped { why: D::Late { .. }, .. },
            N::Dropped { why: D::Undecodable(_), .. },
            N::Dropped { why: D::Method(_), .. },
            N::Dropped { why: D::Elsewhere { .. }, .. },
            N::Dropped { why: D::OtherSocket { .. }, .. },
            N::Dropped { why: D::Unusable(Unusable::UnknownAttribute(_)), .. },
            N::Dropped { why: D::Unusable(Unusable::NoErrorCode), .. },
            N::Dropped { why: D::Unusable(Unusable::Integrity(_)), .. },
            N::Dropped { why: D::Unusable(Unusable::Challenge(_)), .. },
            N::Dropped { why: D::Unusable(Unusable::Alternate(_)), .. },
            N::Dropped { why: D::Unverified { why: IntegrityError::Missing, .. }, .. },
            N::Dropped { why: D::Unverified { .. }, .. },
            N::Dropped { why: D::BadRequest, .. },
            N::Dropped { why: D::Stripped, .. },
            N::Dropped { why: D::NotAsked, .. },
            N::Dropped { why: D::QueueFull, .. },
            N::Dropped { why: D::NotStun, .. },
        ]
    )
}

fn transaction_notes() -> Vec<TransactionNote> {
    use Dropped as D;
    use TransactionNote as N;
    let (id, was, from, to, asked) =
        (TransactionId::from([1; 12]), TransactionId::from([2; 12]), HERE, HERE, SocketId(1));
    let mut samples: Vec<TransactionNote> = [
        N::Sent { id, remote: to, send: 1 },
        N::Accepted { id, from },
        N::GivenUp { id, sends: 7 },
        N::Challenged { was, id, from, code: 438 },
        N::Challenged { was, id, from, code: 401 },
        N::Chosen { id, algorithm: None, anonymous: false, integrity: Integrity::Sha1 },
    ]
    .into();
    samples.extend(challenge_errors().map(|why| N::Declined { id, from, why }));
    samples.push(N::Redirected { was, id, from, to });
    samples.extend(redirect_errors().map(|why| N::Stayed { id, from, why }));
    samples.push(N::Cancelled { id });
    let (long, short) = (Mechanism::LongTerm, Mechanism::ShortTerm);
    let (missing, invalid) = (IntegrityError::Missing, IntegrityError::Mismatch { at: 20 });
    let undecodable = Message::decode(&[]).unwrap_err();
    let dropped = [
        D::Late { id, ending: TransactionEnd::Answered },
        D::Undecodable(undecodable),
        D::Method(Method::BINDING),
        D::Elsewhere { asked: HERE },
        D::OtherSocket { asked },
        D::Unusable(Unusable::UnknownAttribute(AttributeType::NONCE)),
        D::Unusable(Unusable::NoErrorCode),
        D::Unusable(Unusable::Integrity(missing)),
        D::Unusable(Unusable::Challenge(ChallengeError::Weaker)),
        D::Unusable(Unusable::Challenge(ChallengeError::TooMany)),
        D::Unusable(Unusable::Challenge(ChallengeError::OtherRealm)),
        D::Unusable(Unusable::Alternate(RedirectError::Circle)),
        D::Unverified { mechanism: short, why: missing },
        D::Unverified { mechanism: long, why: missing },
        D::Unverified { mechanism: short, why: invalid },
        D::Unverified { mechanism: long, why: invalid },
        D::BadRequest,
        D::Stripped,
        D::NotAsked,
        D::QueueFull,
        D::NotStun,
    ];
    samples.extend(dropped.map(|why| N::Dropped { from, why }));
    samples
}

fn challenge_errors() -> impl Iterator<Item = ChallengeError> {
    [
        ChallengeError::WrongCredentials,
        ChallengeError::Lacks(AttributeType::NONCE),
        ChallengeError::TooLong(AttributeType::NONCE),
        ChallengeError::BidDown,
        ChallengeError::Weaker,
        ChallengeError::NoAlgorithm,
        ChallengeError::NoAnonymity,
        ChallengeError::OtherRealm,
        ChallengeError::NothingStale,
        ChallengeError::SameNonce,
        ChallengeError::TooMany,
        ChallengeError::Unwritable,
    ]
    .into_iter()
}

fn redirect_errors() -> impl Iterator<Item = RedirectError> {
    [
        RedirectError::NoRedirection,
        RedirectError::Unauthenticated,
        RedirectError::NoServer,
        RedirectError::Unaddressable,
        RedirectError::Port,
        RedirectError::Circle,
        RedirectError::TooMany,
        RedirectError::Stream,
        RedirectError::Pinned,
    ]
    .into_iter()
}

fn rejection_kinds() -> impl Iterator<Item = RejectionKind> {
    [
        RejectionKind::Unsigned,
        RejectionKind::Incomplete,
        RejectionKind::Algorithms,
        RejectionKind::UnknownUser,
        RejectionKind::Integrity(IntegrityError::Missing),
        RejectionKind::Expired,
        RejectionKind::Nonce(NonceError::NotOurs),
        RejectionKind::Nonce(NonceError::Expired),
        RejectionKind::NotARequest,
    ]
    .into_iter()
}

fn responder() -> Table {
    use RejectionKind as K;
    use ResponderDropped as D;
    use ResponderNote as N;
    let (asked_by, to, from, other) = (HERE, HERE, HERE, SocketAddr::new(HERE.ip(), 9));
    let undecodable = Message::decode(&[]).unwrap_err();
    let mut samples: Vec<ResponderNote> = [
        N::Replied { asked_by, to, code: None },
        N::Replied { asked_by, to: other, code: None },
        N::Replied { asked_by, to, code: Some(420) },
        N::Replied { asked_by, to: other, code: Some(420) },
    ]
    .into();
    for kind in rejection_kinds() {
        for mechanism in [Mechanism::ShortTerm, Mechanism::LongTerm] {
            samples.push(N::Rejected { asked_by, why: Rejection { mechanism, kind } });
        }
    }
    let dropped = [
        D::Undecodable(undecodable),
        D::Fingerprint(undecodable),
        D::NoCookie,
        D::Unaddressable,
        D::RateLimited,
        D::QueueFull,
        D::Unwritable,
        D::NotARequest,
        D::NotStun,
        D::Framing,
    ];
    samples.extend(dropped.map(|why| N::Dropped { from, why }));
    samples.push(N::StreamsFull { closed: SocketId(1), newcomer: HERE });
    samples.push(N::Paused { socket: SocketId(1), remote: HERE, until: Instant::ORIGIN });
    table!(
        ResponderNote,
        samples,
        [
            N::Replied { code: None, .. },
            N::Replied { code: Some(_), .. },
            N::Rejected { why: Rejection { kind: K::Unsigned, .. }, .. },
            N::Rejected { why: Rejection { kind: K::Incomplete, .. }, .. },
            N::Rejected { why: Rejection { kind: K::Algorithms, .. }, .. },
            N::Rejected { why: Rejection { kind: K::UnknownUser, .. }, .. },
            N::Rejected { why: Rejection { kind: K::Integrity(_), .. }, .. },
            N::Rejected { why: Rejection { kind: K::Expired, .. }, .. },
            N::Rejected { why: Rejection { kind: K::Nonce(NonceError::NotOurs), .. }, .. },
            N::Rejected { why: Rejection { kind: K::Nonce(NonceError::Expired), .. }, .. },
            N::Rejected { why: Rejection { kind: K::NotARequest, .. }, .. },
            N::Dropped { why: D::Undecodable(_), .. },
            N::Dropped { why: D::Fingerprint(_), .. },
            N::Dropped { why: D::NoCookie, .. },
            N::Dropped { why: D::Unaddressable, .. },
            N::Dropped { why: D::RateLimited, .. },
            N::Dropped { why: D::QueueFull, .. },
            N::Dropped { why: D::Unwritable, .. },
            N::Dropped { why: D::NotARequest, .. },
            N::Dropped { why: D::NotStun, .. },
            N::Dropped { why: D::Framing, .. },
            N::StreamsFull { .. },
            N::Paused { .. },
        ]
    )
}
