//! Compares `Translator` with a simple model of RFC 4787: a list of mappings that is searched for each packet.
//!
//! The model accepts any external address of the pool and any port of the range, if no other mapping has them.

use crate::SEEDED;
use crate::byte_reader::ByteReader;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation, Timers};
use portolan_nat::translator::{DropReason, PortRange, Translation, Translator, TranslatorConfig};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

struct Entry {
    internal: SocketAddr,
    destination: SocketAddr,
    external: SocketAddr,
    refreshed: Instant,
    replied: bool,
    sent_to: Vec<SocketAddr>,
}

struct Model {
    config: TranslatorConfig,
    entries: Vec<Entry>,
}

impl Model {
    fn active(&mut self, now: Instant) -> impl Iterator<Item = &mut Entry> {
        let Timers { unreplied, replied, .. } = self.config.timers;
        self.entries
            .iter_mut()
            .filter(move |entry| now < entry.refreshed + if entry.replied { replied } else { unreplied })
    }

    fn mapping_of(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) -> Option<&mut Entry> {
        let mapping = self.config.mapping;
        self.active(now).find(|entry| {
            entry.internal == from
                && match mapping {
                    Mapping::EndpointIndependent => true,
                    Mapping::AddressDependent => entry.destination.ip() == to.ip(),
                    Mapping::AddressAndPortDependent => entry.destination == to,
                }
        })
    }
}

const POOL: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1)), IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 2))];

/// Sends packets through both. Returns whether a packet from outside was delivered.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let config = config(&mut reader);
    let pool = &POOL[..1 + reader.below(2)];
    let mut nat = Translator::new(config, pool, u64::from(reader.byte()));
    let mut model = Model { config, entries: Vec::new() };
    let (mut now, mut delivered) = (Instant::ORIGIN, false);
    while !reader.is_empty() {
        now += Duration::from_millis(u64::from(reader.byte()) * 100);
        let inside = SocketAddr::from(([10, 0, 0, 1 + reader.byte() % 3], 40_000 + u16::from(reader.byte() % 4)));
        let remote = SocketAddr::from(([192, 0, 2, 1 + reader.byte() % 3], 3478 + u16::from(reader.byte() % 3)));
        if reader.flag() {
            outbound(&mut nat, &mut model, now, inside, remote, pool);
        } else {
            let nth = reader.below(model.entries.len().max(1));
            let to = model.entries.get(nth).map_or(SocketAddr::new(POOL[0], 40_000), |entry| entry.external);
            delivered |= inbound(&mut nat, &mut model, now, remote, to);
        }
        let alive = model.active(now).count();
        assert_eq!(nat.mappings(now).count(), alive, "the number of active mappings");
    }
    delivered
}

fn config(reader: &mut ByteReader<'_>) -> TranslatorConfig {
    let mapping = Mapping::ALL[reader.below(3)];
    let filtering = Filtering::ALL[reader.below(3)];
    let allocation = match reader.below(4) {
        0 => PortAllocation::Preserving,
        1 => PortAllocation::Sequential { step: if reader.flag() { 1 } else { -2 } },
        2 => PortAllocation::Random,
        _ => PortAllocation::Block { size: 4 },
    };
    let secs = Duration::from_secs;
    TranslatorConfig::new(mapping, filtering)
        .ports(allocation)
        .range(PortRange::new(39_990, 39_990 + u16::from(reader.byte() % 24)))
        .timers(Timers { unreplied: secs(30), replied: secs(100), absolute: None })
        .table_size(1 + u32::from(reader.byte() % 20))
}

fn outbound(nat: &mut Translator, model: &mut Model, now: Instant, from: SocketAddr, to: SocketAddr, pool: &[IpAddr]) {
    let alive = model.active(now).count();
    let full = u32::try_from(alive).is_ok_and(|alive| alive >= model.config.table_size);
    let refreshes = model.config.refresh.outbound;
    let range = model.config.range;
    let translation = nat.outbound(now, from, to);
    match (model.mapping_of(now, from, to), translation) {
        (Some(entry), Ok(Translation::Out { source, created: false })) => {
            assert_eq!(source, entry.external, "{from} → {to}");
            entry.sent_to.push(to);
            if refreshes {
                entry.refreshed = now;
            }
        }
        (None, Ok(Translation::Out { source, created: true })) => {
            assert!(!full, "a new mapping in a full table");
            assert!(
                pool.contains(&source.ip()) && range.contains(source.port()),
                "{source} is not in the pool and the range"
            );
            assert!(model.active(now).all(|entry| entry.external != source), "{source} belongs to another mapping");
            model.entries.push(Entry {
                internal: from,
                destination: to,
                external: source,
                refreshed: now,
                replied: false,
                sent_to: vec![to],
            });
        }
        (None, Err(DropReason::TableFull)) => assert!(full, "the table is not full"),
        (None, Err(DropReason::NoFreePort)) => {}
        (known, translation) => panic!("{from} → {to}: {translation:?}, known: {}", known.is_some()),
    }
}

/// Sends a packet from outside. Returns whether it was delivered.
fn inbound(nat: &mut Translator, model: &mut Model, now: Instant, from: SocketAddr, to: SocketAddr) -> bool {
    // The seeded bug: the clock is 100 ms late while the table is full.
    let full = u32::try_from(model.active(now).count()) == Ok(model.config.table_size);
    let slow = Duration::from_millis(if SEEDED && full { 100 } else { 0 });
    let at = Instant::from_origin(now.since_origin().saturating_sub(slow));
    let filtering = model.config.filtering;
    let refreshes = model.config.refresh.inbound;
    let verdict = nat.inbound(at, from, to);
    let Some(entry) = model.active(now).find(|entry| entry.external == to) else {
        assert_eq!(verdict, Err(DropReason::NoMapping), "{from} → {to}");
        return false;
    };
    let open = match filtering {
        Filtering::EndpointIndependent => true,
        Filtering::AddressDependent => entry.sent_to.iter().any(|sent| sent.ip() == from.ip()),
        Filtering::AddressAndPortDependent => entry.sent_to.contains(&from),
    };
    assert_eq!(verdict, if open { Ok(entry.internal) } else { Err(DropReason::Filtered) }, "{from} → {to}");
    entry.replied |= open;
    if open && refreshes {
        entry.refreshed = now;
    }
    open
}
