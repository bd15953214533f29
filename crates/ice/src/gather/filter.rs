//! The choice of addresses: each address of the host is used, or skipped with a reason (RFC 8445 §5.1.1.1, RFC 8828).
//!
//! Rules of this file: [`choose`] is pure. An address is skipped for the first reason that applies, in the order of
//! [`ExclusionReason`].

use super::config::is_host;
use super::interface::is_link_local;
use super::{AddressMode, ExclusionReason, GatherConfig, Interface, InterfaceKind, Skipped};
use crate::preference::{self, Address};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

/// The addresses to use, best first, and the other addresses with the reasons.
pub(super) fn choose(interfaces: &[Interface], config: &GatherConfig) -> (Vec<Interface>, Vec<Skipped>) {
    let mut skipped = Vec::new();
    let mut usable: Vec<&Interface> = Vec::new();
    for interface in interfaces {
        let is_duplicate = usable.iter().any(|other| is_same(other, interface));
        let why = if is_duplicate { Some(ExclusionReason::Duplicate) } else { reason(interface, config) };
        match why {
            Some(why) => skipped.push(Skipped::new(interface, why)),
            None => usable.push(interface),
        }
    }
    let is_tracked = |interface: &&Interface| usable.iter().any(|other| prevents(other, interface));
    let (tracked, mut usable): (Vec<_>, Vec<_>) = usable.iter().copied().partition(is_tracked);
    skipped.extend(tracked.into_iter().map(|interface| Skipped::new(interface, ExclusionReason::Trackable)));
    // The source address of the default route first; the sort is stable.
    usable.sort_by_key(|interface| (rank(interface.kind), !interface.is_default_route));
    let addresses: Vec<Address> = usable.iter().map(|interface| address(interface)).collect();
    let mut chosen = Vec::new();
    let (mut ipv4, mut ipv6) = (0, 0);
    for interface in preference::preferred_order(&addresses).into_iter().filter_map(|index| usable.get(index)) {
        let (count, limit) = match interface.address {
            IpAddr::V4(_) => (&mut ipv4, config.filter.ipv4_limit),
            IpAddr::V6(_) => (&mut ipv6, config.filter.ipv6_limit),
        };
        if *count < limit {
            *count += 1;
            chosen.push((*interface).clone());
        } else {
            skipped.push(Skipped::new(interface, ExclusionReason::Limit));
        }
    }
    (chosen, skipped)
}

/// The address for the computation of preferences.
pub(super) const fn address(interface: &Interface) -> Address {
    Address { ip: interface.address, is_reliable: interface.is_reliable() }
}

/// Whether both entries are the same address.
pub(super) fn is_same(one: &Interface, other: &Interface) -> bool {
    one.with_port(0) == other.with_port(0)
}

/// Bridges come last: if a limit skips addresses, it skips theirs.
const fn rank(kind: InterfaceKind) -> u8 {
    match kind {
        InterfaceKind::Ordinary => 0,
        InterfaceKind::Tunnel => 1,
        InterfaceKind::Loopback => 2,
        InterfaceKind::VirtualBridge => 3,
    }
}

/// The reason why this address is skipped, without regard to other addresses.
fn reason(interface: &Interface, config: &GatherConfig) -> Option<ExclusionReason> {
    let filter = &config.filter;
    if config.is_relay_only {
        return Some(ExclusionReason::RelayOnly);
    }
    if config.mode == AddressMode::ForceProxy {
        return Some(ExclusionReason::ForceProxy);
    }
    if !is_host(interface.address) {
        return Some(ExclusionReason::NotUnicast);
    }
    let is_loopback = interface.address.is_loopback() || interface.kind == InterfaceKind::Loopback;
    if is_loopback && !filter.uses_loopback {
        return Some(ExclusionReason::Loopback);
    }
    let kind = match interface.address {
        IpAddr::V4(ip) => (ip.is_link_local() && !filter.uses_link_local).then_some(ExclusionReason::LinkLocal),
        IpAddr::V6(ip) if is_link_local(ip) => (!filter.uses_link_local).then_some(ExclusionReason::LinkLocal),
        IpAddr::V6(ip) => ipv6_reason(ip),
    };
    let is_bridge = interface.kind == InterfaceKind::VirtualBridge && filter.skips_virtual_bridges;
    let follows_route = match config.mode {
        AddressMode::DefaultRouteAndLocal | AddressMode::DefaultRoute => true,
        AddressMode::EnumerateAll | AddressMode::ForceProxy => false,
    };
    let is_off_route = follows_route && !interface.is_default_route;
    kind.or(is_bridge.then_some(ExclusionReason::VirtualBridge))
        .or(is_off_route.then_some(ExclusionReason::NotDefaultRoute))
}

/// The reason why an IPv6 address of this form is skipped.
fn ipv6_reason(ip: Ipv6Addr) -> Option<ExclusionReason> {
    let segments = ip.segments();
    if segments[0] & 0xffc0 == 0xfec0 {
        return Some(ExclusionReason::SiteLocal);
    }
    if ip.to_ipv4_mapped().is_some() {
        return Some(ExclusionReason::Ipv4Mapped);
    }
    // `::1` has this form too.
    (segments[..6] == [0; 6] && !ip.is_loopback()).then_some(ExclusionReason::Ipv4Compatible)
}

/// Whether the use of `private` forbids the use of `other` (RFC 8445 §5.1.1.1): `private` prevents location tracking,
/// and `other` has the same interface and /64 prefix and allows tracking, or is link-local.
fn prevents(private: &Interface, other: &Interface) -> bool {
    let (IpAddr::V6(private_ip), IpAddr::V6(ip)) = (private.address, other.address) else { return false };
    let has_same_prefix = private_ip.segments()[..4] == ip.segments()[..4] && private.name == other.name;
    private.is_temporary && !other.is_temporary && (has_same_prefix || is_link_local(ip))
}
