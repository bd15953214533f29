//! NATs of every kind, and chains of them.
//!
//! ```
//! use portolan_nat::translator::{Passage, Translator};
//! use portolan_machine::Instant;
//! use portolan_strategies::topologies;
//! use proptest::prelude::*;
//!
//! let host = "10.0.0.2:4000".parse().unwrap();
//! let server = "192.0.2.1:3478".parse().unwrap();
//! proptest!(|(config in topologies::translator(), seed: u64)| {
//!     let mut nat = Translator::new(config, &["198.51.100.1".parse().unwrap()], seed);
//!     for is_first in [true, false] {
//!         let Ok(Passage::Out { created, .. }) = nat.outbound(Instant::ORIGIN, host, server) else { panic!("it leaves") };
//!         prop_assert_eq!(created, is_first, "one flow has one mapping");
//!     }
//! });
//! ```

use core::time::Duration;
use portolan_nat::behavior::{Filtering, Hairpin, Mapping, Pooling, PortAllocation, Refresh, Timers};
use portolan_nat::translator::{PortRange, TranslatorConfig};
use proptest::prelude::*;
use proptest::sample::select;

/// Any NAT or firewall. The simplest is the common home router's kind.
pub fn translator() -> BoxedStrategy<TranslatorConfig> {
    prop_oneof![4 => nat(), 1 => filtering().prop_map(TranslatorConfig::firewall)].boxed()
}

/// Any NAT that translates: every mapping, filtering, allocation, pooling, hairpinning, timers and refresh.
pub fn nat() -> BoxedStrategy<TranslatorConfig> {
    let behavior = (mapping(), filtering(), allocation(), pooling(), hairpin());
    let life = (timers(), refresh(), range(), prop_oneof![4 => Just(65_536_u32), 1 => 1..64_u32]);
    let switches = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (behavior, life, switches)
        .prop_map(|(behavior, life, (overloading, alg))| {
            let (mapping, filtering, allocation, pooling, hairpin) = behavior;
            let (timers, refresh, range, table_size) = life;
            TranslatorConfig::new(mapping, filtering)
                .ports(allocation)
                .pooling(pooling)
                .hairpin(hairpin)
                .timers(timers)
                .refresh(refresh)
                .range(range)
                .table_size(table_size)
                .overloading(overloading)
                .alg(alg)
        })
        .boxed()
}

/// What stands between a host and the Internet, from the inside out: nothing, a home router, a carrier's NAT behind it.
pub fn chain() -> BoxedStrategy<Vec<TranslatorConfig>> {
    prop::collection::vec(translator(), 0..=2).boxed()
}

/// What a mapping depends on.
pub fn mapping() -> impl Strategy<Value = Mapping> {
    select(vec![Mapping::EndpointIndependent, Mapping::AddressDependent, Mapping::AddressAndPortDependent])
}

/// Who is let in.
pub fn filtering() -> impl Strategy<Value = Filtering> {
    select(vec![Filtering::AddressAndPortDependent, Filtering::AddressDependent, Filtering::EndpointIndependent])
}

/// How ports are chosen.
pub fn allocation() -> BoxedStrategy<PortAllocation> {
    let step = prop_oneof![(1..=8_i16), (-8..=-1_i16)];
    prop_oneof![
        Just(PortAllocation::Preserving),
        step.prop_map(|step| PortAllocation::Sequential { step }),
        Just(PortAllocation::Random),
        (1..=4096_u16).prop_map(|size| PortAllocation::Block { size }),
    ]
    .boxed()
}

/// How external addresses are chosen.
pub fn pooling() -> impl Strategy<Value = Pooling> {
    select(vec![Pooling::Paired, Pooling::Arbitrary])
}

/// What becomes of packets from inside to an own external endpoint.
pub fn hairpin() -> impl Strategy<Value = Hairpin> {
    select(vec![Hairpin::None, Hairpin::InternalSource, Hairpin::ExternalSource])
}

/// How long mappings live: seconds to minutes, seldom with an absolute end.
pub fn timers() -> BoxedStrategy<Timers> {
    let absolute = proptest::option::weighted(0.2, (60..7200_u64).prop_map(Duration::from_secs));
    (1..=300_u64, 0..=300_u64, absolute)
        .prop_map(|(unreplied, more, absolute)| Timers {
            unreplied: Duration::from_secs(unreplied),
            replied: Duration::from_secs(unreplied + more),
            absolute,
        })
        .boxed()
}

/// What keeps mappings alive; packets from inside always do (RFC 4787 REQ-6).
pub fn refresh() -> impl Strategy<Value = Refresh> {
    select(vec![Refresh::BOTH, Refresh::OUTBOUND])
}

/// Which ports there are: mostly many, sometimes a handful.
pub fn range() -> BoxedStrategy<PortRange> {
    prop_oneof![
        4 => select(vec![PortRange::UNPRIVILEGED, PortRange::DYNAMIC]),
        1 => (1024..=65_000_u16, 0..=500_u16).prop_map(|(first, more)| PortRange::new(first, first + more)),
    ]
    .boxed()
}
