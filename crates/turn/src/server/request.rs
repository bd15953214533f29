//! The decisions about requests: what a client asks for, or why the server refuses it.
//!
//! Rules of this file: the functions are pure. They read only attributes that the integrity of the request covers, and
//! of each type the first. They check in the order of the RFC section: RFC 8656 §7.2 (Allocate), §8.2 (Refresh), §10.2
//! (CreatePermission), §12.2 (ChannelBind).

use super::allocation::{Allocation, PortRequest, family_of};
use super::config::{Lifetimes, ServerLimits};
use super::peers::Conflict;
use super::policy::{OwnAddresses, PeerPolicy};
use crate::hash::KeyedHash;
use crate::note::RequestRefusal;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{AddressFamily, Attribute, AttributeType, Verified};

/// The protocol number of UDP in REQUESTED-TRANSPORT.
const UDP: u8 = 17;
/// The protocol number of TCP.
const TCP: u8 = 6;

/// A valid Allocate request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AllocateRequest {
    /// The families to allocate: the first, and for a dual allocation the second.
    pub(super) families: Families,
    pub(super) ports: PortRequest,
    pub(super) lifetime: Duration,
    /// Whether a TCP allocation is requested (RFC 6062 §5.1).
    pub(super) is_tcp: bool,
}

/// The requested families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Families {
    One(AddressFamily),
    Dual,
    /// That of a reserved port.
    Reserved,
}

/// Reads the first attribute of a type: `Ok(None)` if it is absent, an error if it is malformed.
macro_rules! read {
    ($request:expr, $kind:ident, $variant:ident) => {
        match $request.attribute(AttributeType::$kind) {
            None => Ok(None),
            Some(Ok(Attribute::$variant(value))) => Ok(Some(value)),
            Some(_) => Err(RequestRefusal::Malformed(AttributeType::$kind)),
        }
    };
}

/// A number of no family is a family that the server does not support (§7.2 item 7). A value of another length is
/// malformed.
fn check_family<T>(
    request: &Verified<'_>,
    kind: AttributeType,
    family: Result<T, RequestRefusal>,
) -> Result<T, RequestRefusal> {
    let length = request.fields().find(|field| field.kind == kind).map(|field| field.value.len());
    match family {
        Err(_) if length == Some(4) => Err(RequestRefusal::FamilyUnsupported),
        family => family,
    }
}

fn requested_family(request: &Verified<'_>) -> Result<Option<AddressFamily>, RequestRefusal> {
    let family = read!(request, REQUESTED_ADDRESS_FAMILY, RequestedAddressFamily);
    check_family(request, AttributeType::REQUESTED_ADDRESS_FAMILY, family)
}

fn additional_family(request: &Verified<'_>) -> Result<Option<AddressFamily>, RequestRefusal> {
    let family = read!(request, ADDITIONAL_ADDRESS_FAMILY, AdditionalAddressFamily);
    check_family(request, AttributeType::ADDITIONAL_ADDRESS_FAMILY, family)
}

/// LIFETIME of an Allocate or Refresh request (§7.2, §8.2): `None` if the client requests zero.
fn read_lifetime(request: &Verified<'_>, lifetimes: Lifetimes) -> Result<Option<Duration>, RequestRefusal> {
    let seconds = read!(request, LIFETIME, Lifetime)?;
    Ok(match seconds {
        Some(0) => None,
        Some(seconds) => Some(Duration::from_secs(seconds.into()).min(lifetimes.max).max(lifetimes.default)),
        None => Some(lifetimes.default),
    })
}

/// Whether a client can have a TCP allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TcpSupport {
    /// The server has none.
    Disabled,
    /// The client is on a stream.
    OverStream,
    /// The client is on UDP.
    OverUdp,
}

/// The checks of an Allocate request for TCP (RFC 6062 §5.1).
fn check_tcp(request: &Verified<'_>, tcp: TcpSupport) -> Result<(), RequestRefusal> {
    let excluded = [AttributeType::DONT_FRAGMENT, AttributeType::EVEN_PORT, AttributeType::RESERVATION_TOKEN];
    match excluded.into_iter().find(|kind| request.has(*kind)) {
        _ if tcp == TcpSupport::OverUdp => Err(RequestRefusal::NotStream),
        Some(_) => Err(RequestRefusal::TcpWithOthers),
        None => Ok(()),
    }
}

/// Decides about an Allocate request, without quotas and ports. `supports`: whether the server has a relay address of
/// a family.
pub(super) fn allocate(
    request: &Verified<'_>,
    lifetimes: Lifetimes,
    tcp: TcpSupport,
    supports: impl Fn(AddressFamily) -> bool,
) -> Result<AllocateRequest, RequestRefusal> {
    let transport = read!(request, REQUESTED_TRANSPORT, RequestedTransport)?;
    let is_tcp = transport == Some(TCP);
    match transport {
        None => return Err(RequestRefusal::NoTransport),
        Some(UDP) => {}
        Some(TCP) if tcp != TcpSupport::Disabled => check_tcp(request, tcp)?,
        Some(protocol) => return Err(RequestRefusal::TransportUnsupported(protocol)),
    }
    let token = read!(request, RESERVATION_TOKEN, ReservationToken)?;
    let even = read!(request, EVEN_PORT, EvenPort)?;
    let requested = requested_family(request);
    let additional = additional_family(request);
    let (has_requested, has_additional) = (requested != Ok(None), additional != Ok(None));
    let lifetime = read_lifetime(request, lifetimes)?.unwrap_or(lifetimes.default);
    if let Some(token) = token {
        if even.is_some() || has_requested || has_additional {
            return Err(RequestRefusal::TokenWithOthers);
        }
        return Ok(AllocateRequest {
            families: Families::Reserved,
            ports: PortRequest::Reserved(token),
            lifetime,
            is_tcp,
        });
    }
    if has_requested && has_additional {
        return Err(RequestRefusal::TwoFamilies);
    }
    let ports = match even {
        None => PortRequest::Any,
        Some(false) => PortRequest::Even,
        Some(true) if has_additional => return Err(RequestRefusal::ReserveDual),
        Some(true) => PortRequest::Pair,
    };
    let families = match additional? {
        Some(AddressFamily::Ipv4) => return Err(RequestRefusal::AdditionalIpv4),
        Some(AddressFamily::Ipv6) => Families::Dual,
        None => {
            let family = requested?.unwrap_or(AddressFamily::Ipv4);
            if !supports(family) {
                return Err(RequestRefusal::FamilyUnsupported);
            }
            Families::One(family)
        }
    };
    Ok(AllocateRequest { families, ports, lifetime, is_tcp })
}

/// A valid Refresh request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefreshRequest {
    /// The family; `None` for all of the allocation.
    pub(super) family: Option<AddressFamily>,
    /// The new time to expiry; `None` deletes the allocation.
    pub(super) lifetime: Option<Duration>,
}

/// Decides about a Refresh request.
pub(super) fn refresh(
    request: &Verified<'_>,
    allocation: &Allocation,
    lifetimes: Lifetimes,
) -> Result<RefreshRequest, RequestRefusal> {
    let family = match requested_family(request) {
        Ok(Some(family)) if allocation.relay(family).is_none() => return Err(RequestRefusal::OtherFamily),
        // §8.2: a value that is not the family of the allocation.
        Err(RequestRefusal::FamilyUnsupported) => return Err(RequestRefusal::OtherFamily),
        family => family?,
    };
    Ok(RefreshRequest { family, lifetime: read_lifetime(request, lifetimes)? })
}

/// What the decisions about peers depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerRules<'a> {
    pub(super) policy: &'a PeerPolicy,
    pub(super) own: &'a OwnAddresses,
    pub(super) limits: ServerLimits,
    pub(super) hash: KeyedHash,
}

/// Decides about a CreatePermission request: returns all its peers, each once.
pub(super) fn create_permission(
    now: Instant,
    request: &Verified<'_>,
    allocation: &Allocation,
    rules: PeerRules<'_>,
) -> Result<Vec<IpAddr>, RequestRefusal> {
    let addresses = request.attributes().flatten().filter_map(|attribute| {
        let Attribute::XorPeerAddress(peer) = attribute else { return None };
        Some(peer.ip())
    });
    let mut peers: Vec<IpAddr> = addresses.collect();
    let present = request.fields().filter(|field| field.kind == AttributeType::XOR_PEER_ADDRESS).count();
    if present != peers.len() {
        return Err(RequestRefusal::Malformed(AttributeType::XOR_PEER_ADDRESS));
    }
    if peers.is_empty() {
        return Err(RequestRefusal::NoPeer);
    }
    peers.sort_unstable();
    peers.dedup();
    for ip in &peers {
        if allocation.live_relay(now, family_of(*ip)).is_none() {
            return Err(RequestRefusal::OtherFamily);
        }
    }
    for ip in &peers {
        rules.policy.judge(rules.own, *ip).map_err(RequestRefusal::Forbidden)?;
    }
    let new = peers.iter().filter(|ip| !allocation.peers.has_permission(rules.hash, **ip)).count();
    if new > 0 && allocation.peers.permissions() + new > rules.limits.permissions.into() {
        return Err(RequestRefusal::PermissionsFull);
    }
    Ok(peers)
}

/// Decides about a ChannelBind request: returns the number and the peer.
pub(super) fn channel_bind(
    now: Instant,
    request: &Verified<'_>,
    allocation: &Allocation,
    rules: PeerRules<'_>,
) -> Result<(u16, SocketAddr), RequestRefusal> {
    if allocation.is_tcp {
        return Err(RequestRefusal::NotUdp);
    }
    let number = read!(request, CHANNEL_NUMBER, ChannelNumber)?;
    let peer = read!(request, XOR_PEER_ADDRESS, XorPeerAddress)?;
    let number = number.ok_or(RequestRefusal::NoChannelNumber)?;
    let peer = peer.ok_or(RequestRefusal::NoPeer)?;
    if !(0x4000..=0x4fff).contains(&number) {
        return Err(RequestRefusal::ChannelNumber(number));
    }
    allocation.peers.check_binding(rules.hash, now, number, peer).map_err(|conflict| match conflict {
        Conflict::Number => RequestRefusal::ChannelTaken,
        Conflict::Peer => RequestRefusal::PeerBound,
    })?;
    if allocation.live_relay(now, family_of(peer.ip())).is_none() {
        return Err(RequestRefusal::OtherFamily);
    }
    rules.policy.judge_port(rules.own, peer).map_err(RequestRefusal::Forbidden)?;
    if peer.port() == 0 {
        return Err(RequestRefusal::PeerPort);
    }
    let peers = &allocation.peers;
    if !peers.has_permission(rules.hash, peer.ip()) && peers.permissions() >= rules.limits.permissions.into() {
        return Err(RequestRefusal::PermissionsFull);
    }
    if !peers.has_channel(rules.hash, number) && peers.channels() >= rules.limits.channels.into() {
        return Err(RequestRefusal::ChannelsFull);
    }
    Ok((number, peer))
}
