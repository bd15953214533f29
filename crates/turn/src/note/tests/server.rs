//! Samples of the notes of the server: one for each code, and one for each clause.

use super::notes::{self, Table, table};
use crate::note::{RequestRefusal, ServerDropped, ServerNote};
use crate::{OwnAddresses, PeerPolicy};
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::{Instant, Refusal};
use portolan_stun::{AttributeType, Message, Method};
use portolan_stun_agent::Mechanism;
use portolan_stun_agent::authenticator::{Rejection, RejectionKind};
use portolan_stun_agent::framing::FramingError;
use portolan_stun_agent::nonce::NonceError;

fn refusals() -> [RequestRefusal; 39] {
    use RequestRefusal as R;
    let denial = PeerPolicy::new().judge(&OwnAddresses::new(), [127, 0, 0, 1].into()).unwrap_err();
    [
        R::UnknownMethod,
        R::UnknownAttributes,
        R::Malformed(AttributeType::LIFETIME),
        R::NoAllocation,
        R::AllocationExists,
        R::OtherUser,
        R::NoTransport,
        R::TransportUnsupported(6),
        R::TokenWithOthers,
        R::TokenInvalid,
        R::TwoFamilies,
        R::FamilyUnsupported,
        R::ReserveDual,
        R::AdditionalIpv4,
        R::UserQuota,
        R::SourceQuota,
        R::Full,
        R::NoPort,
        R::RelayRefused(Refusal::AddressInUse),
        R::Draining,
        R::NoPeer,
        R::OtherFamily,
        R::Forbidden(denial),
        R::PeerPort,
        R::PermissionsFull,
        R::NoChannelNumber,
        R::ChannelNumber(0x5000),
        R::ChannelTaken,
        R::PeerBound,
        R::ChannelsFull,
        R::NotStream,
        R::TcpWithOthers,
        R::NotTcp,
        R::NotUdp,
        R::ConnectionExists,
        R::ConnectFailed(Refusal::AddressInUse),
        R::ConnectionsFull,
        R::NoConnection,
        R::ControlStream,
    ]
}

fn drops() -> [ServerDropped; 21] {
    use ServerDropped as D;
    let error = Message::decode(b"").unwrap_err();
    [
        D::Undecodable(error),
        D::Fingerprint(error),
        D::Unknown,
        D::NotARequest,
        D::Unaddressable,
        D::RateLimited,
        D::QueueFull,
        D::Unwritable,
        D::Pending,
        D::NoAllocation,
        D::SendInvalid,
        D::OtherFamily,
        D::NoPermission,
        D::ChannelDataInvalid,
        D::NoChannel,
        D::Forbidden,
        D::Bandwidth,
        D::TooLong,
        D::Icmp,
        D::TcpAllocation,
        D::ConnectionsFull,
    ]
}

fn rejections() -> [Rejection; 7] {
    use RejectionKind as K;
    let integrity = portolan_stun::IntegrityError::Missing;
    [
        K::Unsigned,
        K::Incomplete,
        K::Algorithms,
        K::UnknownUser,
        K::Integrity(integrity),
        K::Expired,
        K::Nonce(NonceError::Expired),
    ]
    .map(|kind| Rejection { mechanism: Mechanism::LongTerm, kind })
}

fn samples() -> Vec<ServerNote> {
    use ServerNote as N;
    let client: SocketAddr = ([192, 0, 2, 7], 40_000).into();
    let methods = [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND, Method::CONNECT];
    let mut all: Vec<_> = methods.into_iter().map(|method| N::Answered { client, method }).collect();
    all.push(N::Bound { client, code: None });
    all.extend(refusals().map(|why| N::Refused { client, method: Method::ALLOCATE, why }));
    all.extend(rejections().map(|why| N::Rejected { client, why }));
    let why = FramingError::ChannelData;
    all.extend([
        N::RelayRefused { local: client, why: Refusal::AddressInUse },
        N::StreamsFull { closed: client, newcomer: client },
        N::StreamBroken { client, why },
        N::StreamIdle { client },
        N::StreamPaused { client, until: Instant::ORIGIN },
        N::BytesRelayed { from: client, to: client, length: 1 },
    ]);
    all.extend(drops().map(|why| N::Dropped { from: client, why }));
    all
}

#[expect(clippy::too_many_lines, reason = "one line for each note")]
pub(super) fn server() -> Table {
    use RequestRefusal as R;
    use ServerDropped as D;
    use ServerNote as N;
    let samples = samples();
    table!(
        ServerNote,
        samples,
        [
            N::Answered { .. },
            N::Bound { .. },
            N::Refused { why: R::UnknownMethod, .. },
            N::Refused { why: R::UnknownAttributes, .. },
            N::Refused { why: R::Malformed(_), .. },
            N::Refused { why: R::NoAllocation, .. },
            N::Refused { why: R::AllocationExists, .. },
            N::Refused { why: R::OtherUser, .. },
            N::Refused { why: R::NoTransport, .. },
            N::Refused { why: R::TransportUnsupported(_), .. },
            N::Refused { why: R::TokenWithOthers, .. },
            N::Refused { why: R::TokenInvalid, .. },
            N::Refused { why: R::TwoFamilies, .. },
            N::Refused { why: R::FamilyUnsupported, .. },
            N::Refused { why: R::ReserveDual, .. },
            N::Refused { why: R::AdditionalIpv4, .. },
            N::Refused { why: R::UserQuota, .. },
            N::Refused { why: R::SourceQuota, .. },
            N::Refused { why: R::Full, .. },
            N::Refused { why: R::NoPort, .. },
            N::Refused { why: R::RelayRefused(_), .. },
            N::Refused { why: R::Draining, .. },
            N::Refused { why: R::NoPeer, .. },
            N::Refused { why: R::OtherFamily, .. },
            N::Refused { why: R::Forbidden(_), .. },
            N::Refused { why: R::PeerPort, .. },
            N::Refused { why: R::PermissionsFull, .. },
            N::Refused { why: R::NoChannelNumber, .. },
            N::Refused { why: R::ChannelNumber(_), .. },
            N::Refused { why: R::ChannelTaken, .. },
            N::Refused { why: R::PeerBound, .. },
            N::Refused { why: R::ChannelsFull, .. },
            N::Refused { why: R::NotStream, .. },
            N::Refused { why: R::TcpWithOthers, .. },
            N::Refused { why: R::NotTcp, .. },
            N::Refused { why: R::NotUdp, .. },
            N::Refused { why: R::ConnectionExists, .. },
            N::Refused { why: R::ConnectFailed(_), .. },
            N::Refused { why: R::ConnectionsFull, .. },
            N::Refused { why: R::NoConnection, .. },
            N::Refused { why: R::ControlStream, .. },
            N::Rejected { .. },
            N::RelayRefused { .. },
            N::StreamsFull { .. },
            N::StreamBroken { .. },
            N::StreamIdle { .. },
            N::StreamPaused { .. },
            N::BytesRelayed { .. },
            N::Dropped { why: D::Undecodable(_), .. },
            N::Dropped { why: D::Fingerprint(_), .. },
            N::Dropped { why: D::Unknown, .. },
            N::Dropped { why: D::NotARequest, .. },
            N::Dropped { why: D::Unaddressable, .. },
            N::Dropped { why: D::RateLimited, .. },
            N::Dropped { why: D::QueueFull, .. },
            N::Dropped { why: D::Unwritable, .. },
            N::Dropped { why: D::Pending, .. },
            N::Dropped { why: D::NoAllocation, .. },
            N::Dropped { why: D::SendInvalid, .. },
            N::Dropped { why: D::OtherFamily, .. },
            N::Dropped { why: D::NoPermission, .. },
            N::Dropped { why: D::ChannelDataInvalid, .. },
            N::Dropped { why: D::NoChannel, .. },
            N::Dropped { why: D::Forbidden, .. },
            N::Dropped { why: D::Bandwidth, .. },
            N::Dropped { why: D::TooLong, .. },
            N::Dropped { why: D::Icmp, .. },
            N::Dropped { why: D::TcpAllocation, .. },
            N::Dropped { why: D::ConnectionsFull, .. },
        ]
    )
}
