//! The configuration of a NAT: one field for each axis of RFC 4787.
//!
//! ```
//! use portolan_nat::behavior::{Mapping, PortAllocation};
//! use portolan_nat::translator::TranslatorConfig;
//!
//! let nat = TranslatorConfig::home().mapping(Mapping::AddressDependent).ports(PortAllocation::Random);
//! assert_eq!(nat.mapping, Mapping::AddressDependent);
//! ```

use crate::behavior::{Filtering, Hairpin, Mapping, NatKind, Pooling, PortAllocation, Refresh, Timers};

/// The external ports of a NAT, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest, not below `first`.
    pub last: u16,
}

impl PortRange {
    /// 1024 to 65535: all but the well-known ports (RFC 4787 §4.2.1, REQ-3a).
    pub const UNPRIVILEGED: Self = Self { first: 1024, last: u16::MAX };
    /// 49152 to 65535: the dynamic ports.
    pub const DYNAMIC: Self = Self { first: 49_152, last: u16::MAX };

    /// The ports from `first` to `last`. The ends are swapped if they come in the wrong order.
    #[must_use]
    pub const fn new(first: u16, last: u16) -> Self {
        if first <= last { Self { first, last } } else { Self { first: last, last: first } }
    }

    /// The number of ports, at least 1.
    #[must_use]
    pub const fn count(self) -> u32 {
        (self.last as u32).saturating_sub(self.first as u32) + 1
    }

    /// Whether `port` is one of them.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// The port `offset` places after the first, with wrap-around.
    pub(super) const fn at(self, offset: u32) -> u16 {
        let port = self.first as u32 + offset % self.count();
        if port > self.last as u32 { self.last } else { port as u16 }
    }

    /// The offset of `port` from the first, with wrap-around for a port outside.
    pub(super) const fn offset(self, port: u16) -> u32 {
        (port as i32 - self.first as i32).rem_euclid(self.count() as i32) as u32
    }
}

/// A NAT as plain data.
///
/// # Indistinguishable configurations
///
/// With [`overloading`](Self::overloading) and [`PortAllocation::Preserving`] every mapping of an internal endpoint
/// has the same external endpoint, for each value of `mapping`. So a host behind the NAT cannot distinguish the
/// following (with a single external address, or paired pooling):
///
/// * address-dependent mapping and endpoint-independent mapping, under each filtering;
/// * address-and-port-dependent mapping and endpoint-independent mapping, under each filtering;
/// * overloading and not overloading under endpoint-independent mapping, until a second internal host uses the port.
///
/// A second internal host with the same port shows overloading: its packets leave from the same external endpoint,
/// and responses go to the wrong host.
///
/// Without translation ([`translate`](Self::translate) off), mapping, allocation, pooling and hairpinning are
/// ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TranslatorConfig {
    /// `false` makes it a firewall: it filters and keeps timers, and does not translate.
    pub translate: bool,
    /// The mapping behaviour (RFC 4787 §4.1).
    pub mapping: Mapping,
    /// The filtering behaviour (RFC 4787 §5). The contacted endpoints belong to the mapping.
    pub filtering: Filtering,
    /// The choice of external ports (RFC 4787 §4.2.1).
    pub allocation: PortAllocation,
    /// Port preservation even if the port is taken: several mappings then share one external endpoint (RFC 4787 §4.2.1,
    /// against REQ-3). Only with [`PortAllocation::Preserving`].
    pub overloading: bool,
    /// The external ports.
    pub range: PortRange,
    /// The choice of external addresses (RFC 4787 §4.1).
    pub pooling: Pooling,
    /// With [`Pooling::Arbitrary`], whether the external address follows from a hash of the internal address and the
    /// destination address, so that it is the same for each mapping of this pair. Otherwise it is random.
    pub address_hash: bool,
    /// The handling of packets from inside to the NAT's own external endpoints (RFC 4787 §6).
    pub hairpin: Hairpin,
    /// The lifetimes of mappings (RFC 4787 §4.3).
    pub timers: Timers,
    /// The packets that refresh mappings (RFC 4787 §4.3).
    pub refresh: Refresh,
    /// The largest number of mappings. The table of contacted endpoints has sixteen times as many places.
    pub table_size: u32,
    /// A generic ALG rewrites IPv4 addresses that it finds in payloads (RFC 4787 §7, against REQ-10).
    pub alg: bool,
}

impl TranslatorConfig {
    /// A NAT with this mapping and filtering; otherwise like [`home`](Self::home).
    #[must_use]
    pub const fn new(mapping: Mapping, filtering: Filtering) -> Self {
        Self {
            translate: true,
            mapping,
            filtering,
            allocation: PortAllocation::Preserving,
            overloading: false,
            range: PortRange::UNPRIVILEGED,
            pooling: Pooling::Paired,
            address_hash: false,
            hairpin: Hairpin::ExternalSource,
            timers: Timers::COMMON,
            refresh: Refresh::BOTH,
            table_size: 65_536,
            alg: false,
        }
    }

    /// The common home router: endpoint-independent mapping, address-and-port-dependent filtering, preserved ports.
    #[must_use]
    pub const fn home() -> Self {
        Self::new(Mapping::EndpointIndependent, Filtering::AddressAndPortDependent)
    }

    /// A carrier's NAT as in RFC 6888: endpoint-independent in both, paired pooling, blocks of 2,048 ports.
    #[must_use]
    pub const fn cgnat() -> Self {
        let mut config = Self::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
        config.allocation = PortAllocation::Block { size: 2048 };
        config.timers = Timers::RECOMMENDED;
        config
    }

    /// Another random port for each destination: "symmetric" in RFC 3489.
    #[must_use]
    pub const fn symmetric() -> Self {
        let mut config = Self::new(Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent);
        config.allocation = PortAllocation::Random;
        config
    }

    /// "Full cone" in RFC 3489.
    #[must_use]
    pub const fn full_cone() -> Self {
        Self::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
    }

    /// "Restricted cone" in RFC 3489.
    #[must_use]
    pub const fn restricted_cone() -> Self {
        Self::new(Mapping::EndpointIndependent, Filtering::AddressDependent)
    }

    /// A firewall that does not translate: the usual IPv6 home router.
    #[must_use]
    pub const fn firewall(filtering: Filtering) -> Self {
        let mut config = Self::new(Mapping::EndpointIndependent, filtering);
        config.translate = false;
        config
    }

    /// Whether it translates or only filters.
    #[must_use]
    pub const fn kind(&self) -> NatKind {
        if self.translate { NatKind::Nat } else { NatKind::Firewall }
    }

    /// Returns the same configuration with another mapping.
    #[must_use]
    pub const fn mapping(mut self, mapping: Mapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Returns the same configuration with another filtering.
    #[must_use]
    pub const fn filtering(mut self, filtering: Filtering) -> Self {
        self.filtering = filtering;
        self
    }

    /// Returns the same configuration with another port allocation.
    #[must_use]
    pub const fn ports(mut self, allocation: PortAllocation) -> Self {
        self.allocation = allocation;
        self
    }

    /// Returns the same configuration with other external ports.
    #[must_use]
    pub const fn range(mut self, range: PortRange) -> Self {
        self.range = range;
        self
    }

    /// Returns the same configuration with or without port overloading.
    #[must_use]
    pub const fn overloading(mut self, overloading: bool) -> Self {
        self.overloading = overloading;
        self
    }

    /// Returns the same configuration with another pooling.
    #[must_use]
    pub const fn pooling(mut self, pooling: Pooling) -> Self {
        self.pooling = pooling;
        self
    }

    /// A NAT that balances over its external addresses, as a connection tracker does: each mapping has one destination and
    /// keeps the internal port. `hash`: the address follows from a hash of both addresses, otherwise it is random.
    #[must_use]
    pub const fn balanced(hash: bool) -> Self {
        let mut config = Self::new(Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent);
        (config.pooling, config.address_hash, config.overloading) = (Pooling::Arbitrary, hash, true);
        config
    }

    /// Returns the same configuration with another hairpinning.
    #[must_use]
    pub const fn hairpin(mut self, hairpin: Hairpin) -> Self {
        self.hairpin = hairpin;
        self
    }

    /// Returns the same configuration with other timers.
    #[must_use]
    pub const fn timers(mut self, timers: Timers) -> Self {
        self.timers = timers;
        self
    }

    /// Returns the same configuration with another refresh.
    #[must_use]
    pub const fn refresh(mut self, refresh: Refresh) -> Self {
        self.refresh = refresh;
        self
    }

    /// Returns the same configuration with room for this many mappings.
    #[must_use]
    pub const fn table_size(mut self, mappings: u32) -> Self {
        self.table_size = mappings;
        self
    }

    /// Returns the same configuration with or without a generic ALG.
    #[must_use]
    pub const fn alg(mut self, alg: bool) -> Self {
        self.alg = alg;
        self
    }
}
