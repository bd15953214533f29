//! Compares the translator with a simple, slow model of RFC 4787.
//!
//! The model stores every mapping in one list, computes everything from that list, and shares no code with the
//! translator. Where the translator has a choice (random ports, blocks, addresses of a pool), the model checks that the
//! choice is allowed and then stores it.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Hairpin, Mapping, Pooling, PortAllocation, Refresh, Timers};
use portolan_nat::translator::{DropReason, PortRange, Translation, Translator, TranslatorConfig};
use proptest::prelude::*;
use std::collections::HashMap;

/// One mapping, active or expired.
#[derive(Clone, Debug)]
struct Entry {
    internal: SocketAddr,
    /// The destination of the packet that made the mapping.
    made_for: SocketAddr,
    external: SocketAddr,
    created: Instant,
    refreshed: Instant,
    replied: bool,
    sent_to: Vec<SocketAddr>,
}

struct Model {
    config: TranslatorConfig,
    pool: Vec<IpAddr>,
    entries: Vec<Entry>,
    last_port: HashMap<IpAddr, u16>,
}

impl Model {
    fn is_active(&self, entry: &Entry, now: Instant) -> bool {
        let timers = self.config.timers;
        let idle = if entry.replied { timers.replied } else { timers.unreplied };
        now < entry.refreshed + idle && timers.absolute.is_none_or(|cap| now < entry.created + cap)
    }

    fn active(&self, now: Instant) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| self.is_active(entry, now))
    }

    fn same_mapping(&self, a: SocketAddr, b: SocketAddr) -> bool {
        match self.config.mapping {
            _ if !self.config.translate => true,
            Mapping::EndpointIndependent => true,
            Mapping::AddressDependent => a.ip() == b.ip(),
            Mapping::AddressAndPortDependent => a == b,
        }
    }

    fn accepts(&self, entry: &Entry, from: SocketAddr) -> bool {
        match self.config.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => entry.sent_to.iter().any(|to| to.ip() == from.ip()),
            Filtering::AddressAndPortDependent => entry.sent_to.contains(&from),
        }
    }

    fn is_taken(&self, now: Instant, external: SocketAddr) -> bool {
        self.active(now).any(|entry| entry.external == external)
    }

    /// Checks that a new mapping of `internal` may have the external endpoint `external`.
    fn may_get(&self, now: Instant, internal: SocketAddr, external: SocketAddr) -> Result<(), String> {
        let PortRange { first, last } = self.config.range;
        let count = i32::from(last) - i32::from(first) + 1;
        let port = external.port();
        let around = |port: i32| first + u16::try_from((port - i32::from(first)).rem_euclid(count)).unwrap();
        let free_from = |start: i32, step: i32| {
            (0..count).map(|n| around(start + n * step)).find(|port| !self.is_taken(now, (external.ip(), *port).into()))
        };
        let check =
            |holds: bool, rule: &str| if holds { Ok(()) } else { Err(format!("{rule}: {internal} {external}")) };
        check(self.pool.contains(&external.ip()), "an address of the pool")?;
        check((first..=last).contains(&port), "a port of the range")?;
        let of_host = || self.active(now).filter(|entry| entry.internal.ip() == internal.ip());
        if self.config.pooling == Pooling::Paired {
            check(of_host().all(|entry| entry.external.ip() == external.ip()), "paired")?;
        }
        if self.config.overloading && self.config.allocation == PortAllocation::Preserving {
            return check(port == around(i32::from(internal.port())), "the port is overloaded");
        }
        check(!self.is_taken(now, external), "one mapping at a time")?;
        match self.config.allocation {
            PortAllocation::Preserving => {
                check(Some(port) == free_from(i32::from(internal.port()), 1), "the same port or the next free one")
            }
            PortAllocation::Sequential { step } => match self.last_port.get(&external.ip()) {
                Some(last) => {
                    let next = i32::from(*last) + i32::from(step);
                    check(Some(port) == free_from(next, i32::from(step.signum())), "one step on, or the next free one")
                }
                None => Ok(()),
            },
            PortAllocation::Random => Ok(()),
            PortAllocation::Block { size } => {
                let block = |port: u16| (port - first) / size;
                let other_host = self.active(now).find(|entry| {
                    entry.external.ip() == external.ip()
                        && block(entry.external.port()) == block(port)
                        && entry.internal.ip() != internal.ip()
                });
                check(other_host.is_none(), "a block of its own")
            }
        }
    }

    /// Returns whether no external endpoint is free for a new mapping of `internal`.
    fn is_exhausted_for(&self, now: Instant, internal: SocketAddr) -> bool {
        let PortRange { first, last } = self.config.range;
        let may = |ip: &IpAddr| (first..=last).any(|port| self.may_get_some(now, internal, (*ip, port).into()));
        // The translator tries one address only: the paired one, or a random one.
        self.pool.iter().any(|ip| !may(ip))
    }

    fn may_get_some(&self, now: Instant, internal: SocketAddr, external: SocketAddr) -> bool {
        match self.config.allocation {
            PortAllocation::Block { .. } => self.may_get(now, internal, external).is_ok(),
            PortAllocation::Preserving | PortAllocation::Sequential { .. } | PortAllocation::Random => {
                !self.is_taken(now, external)
            }
        }
    }

    /// Records an outbound packet and checks its external source. Returns whether the packet made a new mapping.
    fn sent(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, external: SocketAddr) -> Result<bool, String> {
        let known = self.entries.iter().position(|entry| {
            self.is_active(entry, now) && entry.internal == from && self.same_mapping(entry.made_for, to)
        });
        let Some(known) = known else {
            if self.config.translate {
                self.may_get(now, from, external)?;
                self.last_port.insert(external.ip(), external.port());
            } else if external != from {
                return Err(format!("a firewall changed {from} to {external}"));
            }
            let (created, refreshed) = (now, now);
            let sent_to = vec![to];
            self.entries.push(Entry {
                internal: from,
                made_for: to,
                external,
                created,
                refreshed,
                replied: false,
                sent_to,
            });
            return Ok(true);
        };
        let entry = &mut self.entries[known];
        if entry.external != external {
            return Err(format!("{from} → {to} left from {external}, its mapping is {}", entry.external));
        }
        entry.sent_to.push(to);
        if self.config.refresh.outbound {
            entry.refreshed = now;
        }
        Ok(false)
    }

    /// Returns the mappings that accept a packet from outside. There can be several with port overloading.
    ///
    /// # Errors
    ///
    /// * [`DropReason::NoMapping`]: no active mapping has this external endpoint.
    /// * [`DropReason::Filtered`]: every such mapping filters the packet.
    fn receivers(&self, now: Instant, from: SocketAddr, to: SocketAddr) -> Result<Vec<usize>, DropReason> {
        let all = self.entries.iter().enumerate();
        let mapped: Vec<_> = all.filter(|(_, entry)| self.is_active(entry, now) && entry.external == to).collect();
        if mapped.is_empty() {
            return Err(DropReason::NoMapping);
        }
        let open: Vec<_> = mapped.iter().filter(|(_, entry)| self.accepts(entry, from)).map(|(n, _)| *n).collect();
        if open.is_empty() { Err(DropReason::Filtered) } else { Ok(open) }
    }

    /// Returns the part of the destination on which a mapping depends.
    fn scope(&self, destination: SocketAddr) -> Option<SocketAddr> {
        match self.config.mapping {
            _ if !self.config.translate => None,
            Mapping::EndpointIndependent => None,
            Mapping::AddressDependent => Some(SocketAddr::new(destination.ip(), 0)),
            Mapping::AddressAndPortDependent => Some(destination),
        }
    }

    /// Checks the result for an inbound packet and updates the mapping.
    fn received(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        result: Result<SocketAddr, DropReason>,
    ) -> Result<(), String> {
        match (self.receivers(now, from, to), result) {
            (Err(expected), Err(found)) if expected == found => Ok(()),
            (Ok(open), Ok(internal)) => {
                // The mapping that was refreshed last receives the packet. The newest one wins a tie.
                let known = open.into_iter().max_by_key(|n| (self.entries[*n].refreshed, *n)).unwrap();
                if self.entries[known].internal != internal {
                    return Err(format!("{from} → {to} went to {internal}"));
                }
                self.entries[known].replied = true;
                if self.config.refresh.inbound {
                    self.entries[known].refreshed = now;
                }
                Ok(())
            }
            (expected, found) => Err(format!("{from} → {to}: {found:?}, expected {expected:?}")),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Outbound(SocketAddr, SocketAddr),
    /// An inbound packet from this remote to the n-th mapping of the run.
    Inbound(SocketAddr, usize),
    /// A packet from this host to the n-th mapping of the run.
    Hairpin(SocketAddr, usize),
    Wait(u64),
}

fn hosts() -> impl Strategy<Value = SocketAddr> {
    (1..4_u8, 0..4_u16).prop_map(|(host, port)| SocketAddr::from(([10, 0, 0, host], 40_000 + port)))
}

fn remotes() -> impl Strategy<Value = SocketAddr> {
    (1..4_u8, 0..3_u16).prop_map(|(host, port)| SocketAddr::from(([192, 0, 2, host], 3478 + port)))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (hosts(), remotes()).prop_map(|(from, to)| Step::Outbound(from, to)),
        4 => (remotes(), 0..64_usize).prop_map(|(from, nth)| Step::Inbound(from, nth)),
        1 => (hosts(), 0..64_usize).prop_map(|(from, nth)| Step::Hairpin(from, nth)),
        2 => (0..50_u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..120)
}

fn configs() -> impl Strategy<Value = TranslatorConfig> {
    let allocations = prop_oneof![
        Just(PortAllocation::Preserving),
        prop_oneof![-3_i16..=-1, 1_i16..=3].prop_map(|step| PortAllocation::Sequential { step }),
        Just(PortAllocation::Random),
        (1_u16..12).prop_map(|size| PortAllocation::Block { size }),
    ];
    let hairpins = prop_oneof![Just(Hairpin::None), Just(Hairpin::InternalSource), Just(Hairpin::ExternalSource)];
    let caps = proptest::option::of(60_u64..200);
    let axes = (0..3_usize, 0..3_usize, allocations, hairpins, caps);
    let shape = (0..24_u16, 1..40_u32, any::<[bool; 5]>());
    (axes, shape).prop_map(|((mapping, filtering, allocation, hairpin, cap), (ports, size, flags))| {
        let [translate, overloading, paired, outbound, inbound] = flags;
        let secs = Duration::from_secs;
        let mut config = TranslatorConfig::new(Mapping::ALL[mapping], Filtering::ALL[filtering])
            .ports(allocation)
            .overloading(overloading)
            .range(PortRange::new(39_990, 39_990 + ports))
            .pooling(if paired { Pooling::Paired } else { Pooling::Arbitrary })
            .hairpin(hairpin)
            .timers(Timers { unreplied: secs(30), replied: secs(100), absolute: cap.map(secs) })
            .refresh(Refresh { outbound, inbound })
            .table_size(size);
        config.translate = translate || overloading;
        config
    })
}

/// Sends the same packet from inside through the translator and the model, and compares the results.
fn check_outbound(
    nat: &mut Translator,
    model: &mut Model,
    now: Instant,
    from: SocketAddr,
    to: SocketAddr,
) -> Result<(), String> {
    let full = model.active(now).count() >= model.config.table_size as usize;
    let known = model.active(now).any(|entry| entry.internal == from && model.same_mapping(entry.made_for, to));
    let own = model.config.translate && model.pool.contains(&to.ip());
    let hairpins = own && model.config.hairpin != Hairpin::None;
    let result = nat.outbound(now, from, to);
    // The external endpoint of the sender, also when the packet was hairpinned.
    let scope = model.scope(to);
    let external = nat.mappings(now).find(|m| m.internal == from && m.destination == scope).map(|m| m.external);
    match result {
        Ok(Translation::Out { source, created }) if !own && Some(source) == external => {
            let made = model.sent(now, from, to, source)?;
            if made == created && (known || !full) { Ok(()) } else { Err(format!("created {created}, full {full}")) }
        }
        Ok(Translation::Hairpin { source, destination }) if hairpins => {
            let external = external.ok_or("hairpinned without a mapping")?;
            model.sent(now, from, to, external)?;
            model.received(now, external, to, Ok(destination))?;
            let expected = if model.config.hairpin == Hairpin::InternalSource { from } else { external };
            if source == expected { Ok(()) } else { Err(format!("{from} → {to} came back from {source}")) }
        }
        // The packet refreshes the mapping of its sender although it is dropped.
        Err(why @ (DropReason::NoMapping | DropReason::Filtered)) if hairpins => {
            let external = external.ok_or("dropped after hairpinning without a mapping")?;
            model.sent(now, from, to, external)?;
            model.received(now, external, to, Err(why))
        }
        Err(DropReason::NoHairpin) if own && !hairpins => Ok(()),
        Err(DropReason::TableFull) if full && !known => Ok(()),
        Err(DropReason::NoFreePort) if !known && model.is_exhausted_for(now, from) => Ok(()),
        other => Err(format!("{from} → {to}: {other:?}, own {own}, full {full}, known {known}")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_translator_agrees_with_the_model(
        config in configs(),
        pool in 1..4_u8,
        seed in any::<u64>(),
        steps in steps(),
    ) {
        let pool: Vec<IpAddr> = (0..pool).map(|n| IpAddr::from([203, 0, 113, n])).collect();
        let mut nat = Translator::new(config, &pool, seed);
        let mut model = Model { config, pool, entries: Vec::new(), last_port: HashMap::new() };
        let mut now = Instant::ORIGIN;
        for step in steps {
            let nth = |model: &Model, nth: usize| {
                let count = model.entries.len().max(1);
                model.entries.get(nth % count).map_or(SocketAddr::from(([203, 0, 113, 0], 39_990)), |entry| entry.external)
            };
            let verdict = match step {
                Step::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    Ok(())
                }
                Step::Outbound(from, to) => check_outbound(&mut nat, &mut model, now, from, to),
                Step::Hairpin(from, n) => {
                    let to = nth(&model, n);
                    check_outbound(&mut nat, &mut model, now, from, to)
                }
                Step::Inbound(from, n) => {
                    let to = nth(&model, n);
                    let result = nat.inbound(now, from, to);
                    model.received(now, from, to, result)
                }
            };
            prop_assert!(verdict.is_ok(), "{verdict:?}");
            let mut actual: Vec<_> = nat.mappings(now).map(|m| (m.internal, m.external, m.destination, m.replied)).collect();
            let mut expected: Vec<_> = model.active(now).map(|e| (e.internal, e.external, model.scope(e.made_for), e.replied)).collect();
            actual.sort();
            expected.sort();
            prop_assert_eq!(actual, expected);
        }
    }
}
