//! `Translator` beside a model that is as plain as the words of RFC 4787: a list of mappings that is searched every time.
//!
//! Which port the device chooses is its own affair here, but for the rules of every NAT: of the pool, of the range, and
//! nobody else's.

use crate::SEEDED;
use crate::feed::Feed;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation, Timers};
use portolan_nat::translator::{DropReason, PortRange, Translation, Translator, TranslatorConfig};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

struct Entry {
    internal: SocketAddr,
    made_for: SocketAddr,
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
    fn living(&mut self, now: Instant) -> impl Iterator<Item = &mut Entry> {
        let Timers { unreplied, replied, .. } = self.config.timers;
        self.entries
            .iter_mut()
            .filter(move |entry| now < entry.refreshed + if entry.replied { replied } else { unreplied })
    }

    fn own(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) -> Option<&mut Entry> {
        let mapping = self.config.mapping;
        self.living(now).find(|entry| {
            entry.internal == from
                && match mapping {
                    Mapping::EndpointIndependent => true,
                    Mapping::AddressDependent => entry.made_for.ip() == to.ip(),
                    Mapping::AddressAndPortDependent => entry.made_for == to,
                }
        })
    }
}

const POOL: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1)), IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 2))];

/// Sends packets through both; says whether one got in from outside.
pub fn run(bytes: &[u8]) -> bool {
    let mut feed = Feed::new(bytes);
    let config = config(&mut feed);
    let pool = &POOL[..1 + feed.below(2)];
    let mut nat = Translator::new(config, pool, u64::from(feed.byte()));
    let mut model = Model { config, entries: Vec::new() };
    let (mut now, mut heard) = (Instant::ORIGIN, false);
    while !feed.is_empty() {
        now += Duration::from_millis(u64::from(feed.byte()) * 100);
        let inside = SocketAddr::from(([10, 0, 0, 1 + feed.byte() % 3], 40_000 + u16::from(feed.byte() % 4)));
        let remote = SocketAddr::from(([192, 0, 2, 1 + feed.byte() % 3], 3478 + u16::from(feed.byte() % 3)));
        if feed.flag() {
            out(&mut nat, &mut model, now, inside, remote, pool);
        } else {
            let nth = feed.below(model.entries.len().max(1));
            let to = model.entries.get(nth).map_or(SocketAddr::new(POOL[0], 40_000), |entry| entry.external);
            heard |= back(&mut nat, &mut model, now, remote, to);
        }
        let alive = model.living(now).count();
        assert_eq!(nat.mappings(now).count(), alive, "mappings that are alive");
    }
    heard
}

fn config(feed: &mut Feed<'_>) -> TranslatorConfig {
    let mapping = Mapping::ALL[feed.below(3)];
    let filtering = Filtering::ALL[feed.below(3)];
    let allocation = match feed.below(4) {
        0 => PortAllocation::Preserving,
        1 => PortAllocation::Sequential { step: if feed.flag() { 1 } else { -2 } },
        2 => PortAllocation::Random,
        _ => PortAllocation::Block { size: 4 },
    };
    let secs = Duration::from_secs;
    TranslatorConfig::new(mapping, filtering)
        .ports(allocation)
        .range(PortRange::new(39_990, 39_990 + u16::from(feed.byte() % 24)))
        .timers(Timers { unreplied: secs(30), replied: secs(100), absolute: None })
        .table_size(1 + u32::from(feed.byte() % 20))
}

fn out(nat: &mut Translator, model: &mut Model, now: Instant, from: SocketAddr, to: SocketAddr, pool: &[IpAddr]) {
    let alive = model.living(now).count();
    let full = u32::try_from(alive).is_ok_and(|alive| alive >= model.config.table_size);
    let refreshes = model.config.refresh.outbound;
    let range = model.config.range;
    let passage = nat.outbound(now, from, to);
    match (model.own(now, from, to), passage) {
        (Some(entry), Ok(Translation::Out { source, created: false })) => {
            assert_eq!(source, entry.external, "{from} → {to}");
            entry.sent_to.push(to);
            if refreshes {
                entry.refreshed = now;
            }
        }
        (None, Ok(Translation::Out { source, created: true })) => {
            assert!(!full, "a mapping more than the table holds");
            assert!(pool.contains(&source.ip()) && range.contains(source.port()), "{source} is not its to give");
            assert!(model.living(now).all(|entry| entry.external != source), "{source} is somebody's");
            model.entries.push(Entry {
                internal: from,
                made_for: to,
                external: source,
                refreshed: now,
                replied: false,
                sent_to: vec![to],
            });
        }
        (None, Err(DropReason::TableFull)) => assert!(full, "the table is not full"),
        (None, Err(DropReason::NoFreePort)) => {}
        (known, passage) => panic!("{from} → {to}: {passage:?}, known: {}", known.is_some()),
    }
}

/// A packet from outside; says whether it got in.
fn back(nat: &mut Translator, model: &mut Model, now: Instant, from: SocketAddr, to: SocketAddr) -> bool {
    // The seeded bug: a clock that is a moment slow while the table is full, seen when a mapping has just expired.
    let full = u32::try_from(model.living(now).count()) == Ok(model.config.table_size);
    let slow = Duration::from_millis(if SEEDED && full { 100 } else { 0 });
    let at = Instant::from_origin(now.since_origin().saturating_sub(slow));
    let filtering = model.config.filtering;
    let refreshes = model.config.refresh.inbound;
    let verdict = nat.inbound(at, from, to);
    let Some(entry) = model.living(now).find(|entry| entry.external == to) else {
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
