//! Checks that every note of this crate has a unique code, and that `docs/notes.md` lists it.

mod notes;

use super::{RelayDropped, RelayNote};
use crate::{ConnectNote, RelayClosure, StreamFault};
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use notes::table;
use portolan_machine::SocketId;
use portolan_turn::{ClientError, LossReason};

const HERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3478));

#[test]
fn every_note_has_a_code_of_its_own_and_docs_notes_md_lists_it() {
    use RelayDropped as D;
    use RelayNote as N;
    let socket = SocketId(2);
    let closed = |why| N::Closed { socket, why };
    let dropped = |why| N::Dropped { peer: HERE, why };
    let samples = [
        N::Opened { socket, local: HERE, server: HERE },
        closed(RelayClosure::Lost(LossReason::Mismatch)),
        closed(RelayClosure::Replaced),
        N::Replaced { socket },
        N::Held { peer: HERE },
        N::Denied { socket, peer: HERE.ip() },
        dropped(D::PeerLimit),
        dropped(D::Limit),
        dropped(D::Denied),
        dropped(D::Removed),
        dropped(D::Closed),
        dropped(D::Replaced),
        dropped(D::Family),
        dropped(D::NotSent(ClientError::NotRunning)),
        dropped(D::NoSocket),
        dropped(D::QueueFull),
    ];
    let table = table!(
        RelayNote,
        samples,
        [
            N::Opened { .. },
            N::Closed { .. },
            N::Replaced { .. },
            N::Held { .. },
            N::Denied { .. },
            N::Dropped { why: D::PeerLimit, .. },
            N::Dropped { why: D::Limit, .. },
            N::Dropped { why: D::Denied, .. },
            N::Dropped { why: D::Removed, .. },
            N::Dropped { why: D::Closed, .. },
            N::Dropped { why: D::Replaced, .. },
            N::Dropped { why: D::Family, .. },
            N::Dropped { why: D::NotSent(_), .. },
            N::Dropped { why: D::NoSocket, .. },
            N::Dropped { why: D::QueueFull, .. },
        ]
    );
    let peer = HERE;
    let connection = [
        ConnectNote::QueueFull { from: HERE },
        ConnectNote::NoPermission { peer, why: ClientError::NotRunning },
        ConnectNote::StreamClosed { peer, why: StreamFault::NotStun },
    ];
    let connection = table!(
        ConnectNote,
        connection,
        [ConnectNote::QueueFull { .. }, ConnectNote::NoPermission { .. }, ConnectNote::StreamClosed { .. }]
    );
    notes::assert_documented("connect", &[connection, table]);
}
