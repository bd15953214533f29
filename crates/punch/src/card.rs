//! The NAT card: the properties of a host's NAT that decide about hole punching, as one short line of text.
//!
//! Two users exchange their cards, and each of them computes the same [forecast](crate::forecast). A card has the
//! terms of RFC 4787 for IPv4, whether IPv6 is there, and how a firewall filters IPv6. Every field can be unknown.
//!
//! The text begins with its version, `nat1`. Fields follow after commas, an unknown field is left out, and the order of
//! the fields does not matter:
//!
//! | Field | Meaning | Values |
//! |---|---|---|
//! | `4` | IPv4 | `open`, `firewall`, `nat`, `blocked`, `absent` |
//! | `m` | mapping (RFC 4787 §4.1) | `eim`, `adm`, `apdm` |
//! | `f` | filtering (RFC 4787 §5) | `eif`, `adf`, `apdf` |
//! | `a` | port allocation (RFC 4787 §4.2.1) | `keep`, `seq+1`, `seq-2`, `random`, `block2048`, `block2048@34816` |
//! | `e` | public endpoints, at most six | `PORT@ADDRESS`, with `+` between two |
//! | `o` | pooling (RFC 4787 §4.1) | `paired`, `arbitrary` |
//! | `h` | hairpinning (RFC 4787 §6) | `none`, `internal`, `external` |
//! | `l` | shortest measured lifetime of a mapping | seconds |
//! | `6` | IPv6 | `absent`, `present`, or its filtering: `eif`, `adf`, `apdf` |
//! | `w` | probability that a field is wrong | thousandths, 0 to 1000 |
//!
//! A card shows public addresses. A user who does not want to publish them removes the field `e`.
//!
//! ```
//! use portolan_nat::behavior::Mapping;
//! use portolan_punch::card::Card;
//!
//! let card: Card = "nat1,4=nat,m=apdm,f=apdf,a=seq+1,e=40000@198.51.100.7".parse()?;
//! assert_eq!(card.mapping, Some(Mapping::AddressAndPortDependent));
//! assert_eq!(card.to_string(), "nat1,4=nat,m=apdm,f=apdf,a=seq+1,e=40000@198.51.100.7");
//!
//! let error = "nat1,m=cone".parse::<Card>().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "column 8: expected eim, adm or apdm; copy the whole line that `portolan nat --card` printed"
//! );
//! # Ok::<(), portolan_punch::card::CardError>(())
//! ```

mod text;

pub use text::{CardError, Remedy};

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Hairpin, Mapping, NatKind, Pooling, PortAllocation};
use portolan_nat::lifetime::LifetimeReport;
use portolan_nat::profile::{Conclusion, Evidence, Family, FamilyReport, Reachability, Report, Unknown};

/// The properties of a host's NAT. `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// What is between the host and the IPv4 Internet.
    pub ipv4: Option<Ipv4>,
    /// The mapping behaviour for IPv4. A mapping that depends on an unknown part of the destination is given as
    /// [`Mapping::AddressAndPortDependent`], the most restrictive value.
    pub mapping: Option<Mapping>,
    /// The filtering behaviour for IPv4.
    pub filtering: Option<Filtering>,
    /// The port allocation for IPv4.
    pub ports: Option<Ports>,
    /// The public endpoints, at most [`Self::MAX_ENDPOINTS`]; the text leaves out all later ones.
    pub public: Vec<SocketAddr>,
    /// Whether all mappings of the host have one public address.
    pub pooling: Option<Pooling>,
    /// Whether hosts inside reach each other by external endpoints.
    pub hairpin: Option<Hairpin>,
    /// The shortest measured lifetime of a mapping, in whole seconds.
    pub lifetime: Option<Duration>,
    /// IPv6.
    pub ipv6: Option<Ipv6>,
    /// The probability that a field is wrong, in thousandths, rounded up.
    pub p_wrong: Option<u16>,
}

/// What is between a host and the IPv4 Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ipv4 {
    /// No translation and no filter.
    Open,
    /// A filter without translation.
    Firewall,
    /// A translator.
    Nat,
    /// UDP is blocked.
    Blocked,
    /// The host has no IPv4.
    Absent,
}

/// IPv6 of a host. Addresses are not translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ipv6 {
    /// The host has no IPv6, or UDP over IPv6 is blocked.
    Absent,
    /// The host has IPv6, behind this filtering; `None` if the filtering is unknown.
    Present(Option<Filtering>),
}

/// The choice of external ports, with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ports {
    /// The internal port if it is free.
    Preserving,
    /// The port of the previous mapping plus the step, which is never 0.
    Sequential(i16),
    /// Any free port.
    Random,
    /// Any free port of a block of ports.
    Block {
        /// The number of ports, at least 1.
        size: u16,
        /// The lowest port, if it is known.
        first: Option<u16>,
    },
}

impl Card {
    /// The largest number of public endpoints in a text.
    pub const MAX_ENDPOINTS: usize = 6;
    /// The largest length of a text in bytes.
    pub const MAX_LENGTH: usize = 512;

    /// The card of a host without any NAT and filter.
    #[must_use]
    pub fn open() -> Self {
        Self {
            ipv4: Some(Ipv4::Open),
            mapping: Some(Mapping::EndpointIndependent),
            filtering: Some(Filtering::EndpointIndependent),
            ..Self::default()
        }
    }

    /// The card of a NAT with these properties.
    #[must_use]
    pub fn nat(mapping: Mapping, filtering: Filtering, ports: Ports) -> Self {
        Self {
            ipv4: Some(Ipv4::Nat),
            mapping: Some(mapping),
            filtering: Some(filtering),
            ports: Some(ports),
            ..Self::default()
        }
    }

    /// Returns the same card with the lifetime of a measurement, if the measurement found one.
    #[must_use]
    pub fn with_lifetime(mut self, report: &LifetimeReport) -> Self {
        let ranges = [&report.replied, &report.unreplied, &report.absolute];
        let shortest = ranges.into_iter().filter_map(|range| range.value()).map(|range| range.at_least).min();
        self.lifetime = shortest.map(|least| Duration::from_secs(least.as_secs()));
        self
    }

    fn add_ipv4(&mut self, report: &FamilyReport) {
        self.ipv4 = match (report.reach, report.nat) {
            (Reachability::Blocked, _) => Some(Ipv4::Blocked),
            (Reachability::Unavailable(_), _) => Some(Ipv4::Absent),
            (Reachability::Available | Reachability::Unknown, Some(NatKind::None)) => Some(Ipv4::Open),
            (Reachability::Available | Reachability::Unknown, Some(NatKind::Firewall)) => Some(Ipv4::Firewall),
            (Reachability::Available | Reachability::Unknown, Some(NatKind::Nat)) => Some(Ipv4::Nat),
            (Reachability::Available | Reachability::Unknown, None) => None,
        };
        self.mapping = match report.mapping.reason() {
            Some(Unknown::Dependent) => Some(Mapping::AddressAndPortDependent),
            Some(_) | None => report.mapping.value().copied(),
        };
        self.filtering = report.filtering.value().copied();
        self.ports =
            report.details.port_allocation.value().map(|ports| known_ports(*ports, &report.details.port_allocation));
        self.pooling = report.details.pooling.value().copied();
        self.hairpin = report.details.hairpin.value().copied();
    }
}

/// The allocation with the position of its block, which follows from the ports of the evidence.
fn known_ports(ports: PortAllocation, found: &Conclusion<PortAllocation>) -> Ports {
    let size = match ports {
        PortAllocation::Preserving => return Ports::Preserving,
        PortAllocation::Sequential { step } => return Ports::Sequential(step),
        PortAllocation::Random => return Ports::Random,
        PortAllocation::Block { size } => size.max(1),
    };
    let seen = found.evidence.iter().filter_map(|evidence| {
        let Evidence::Mapped { external, .. } = evidence else { return None };
        Some(external.port())
    });
    // The discovery finds blocks that begin at a multiple of their size.
    let block = seen.clone().min().map(|low| low / size * size);
    let first = block.filter(|first| seen.clone().all(|port| port - first < size));
    Ports::Block { size, first }
}

impl From<&Report> for Card {
    fn from(report: &Report) -> Self {
        let mut card = Self::default();
        let mut p_wrong: Option<f64> = None;
        for family in &report.families {
            card.public.extend(family.public.iter().copied());
            match family.family {
                Family::V4 => card.add_ipv4(family),
                Family::V6 => card.ipv6 = ipv6(family),
            }
            let each = [family.mapping.p_wrong(), family.filtering.p_wrong(), family.details.port_allocation.p_wrong()];
            for one in each.into_iter().flatten() {
                p_wrong = Some(p_wrong.unwrap_or(0.0) + one);
            }
        }
        card.public.truncate(Self::MAX_ENDPOINTS);
        card.p_wrong = p_wrong.map(thousandths);
        card
    }
}

/// A translated IPv6 address is unknown: its mapping would be needed too.
fn ipv6(report: &FamilyReport) -> Option<Ipv6> {
    match (report.reach, report.nat) {
        (Reachability::Blocked | Reachability::Unavailable(_), _) => Some(Ipv6::Absent),
        (Reachability::Available, Some(NatKind::None)) => Some(Ipv6::Present(Some(Filtering::EndpointIndependent))),
        (Reachability::Available, Some(NatKind::Firewall)) => Some(Ipv6::Present(report.filtering.value().copied())),
        (Reachability::Available, Some(NatKind::Nat) | None) | (Reachability::Unknown, _) => None,
    }
}

/// Rounds a probability up to thousandths.
fn thousandths(p: f64) -> u16 {
    let scaled = p * 1000.0;
    let whole = scaled as u16;
    if f64::from(whole) < scaled { whole.saturating_add(1).min(1000) } else { whole.min(1000) }
}

#[cfg(test)]
mod tests;
