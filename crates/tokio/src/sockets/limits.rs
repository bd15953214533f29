//! Limits on the number of accepted streams and TLS handshakes of one source.
//!
//! A source is an IPv4 address or an IPv6 /64 network. Every accepted stream holds a [`Permit`] until its descriptor is
//! closed, and every TLS handshake holds a second one while it is under way. The table has an entry for a source while
//! one of its permits lives. The number of entries is therefore bounded by the number of accepted streams.
//!
//! Listeners that find no room in the total wait here, and are woken when a permit is released.

use crate::config::DriverConfig;
use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::Waker;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The addresses that count as one source. One peer can choose freely among the addresses of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    /// An IPv4 address. An IPv4-mapped IPv6 address counts as its IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address: the network of one host or site.
    V6(u64),
}

impl Source {
    fn of(remote: SocketAddr) -> Self {
        match remote.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6((u128::from(ip) >> 64) as u64),
        }
    }
}

/// A resource whose use needs a [`Permit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// An accepted stream, its handshake and its linger included.
    Stream,
    /// A TLS handshake that is under way.
    Handshake,
}

/// The limits of one driver, and the number of resources that each source holds.
#[derive(Debug)]
pub(crate) struct Limits {
    streams_per_source: usize,
    handshakes: usize,
    handshakes_per_source: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    sources: HashMap<Source, Holding>,
    /// The handshakes under way of all sources.
    handshakes: usize,
    /// The wakers of the listeners that wait for a release, each once.
    waiting: Vec<Waker>,
}

/// The number of resources that one source holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holding {
    streams: usize,
    handshakes: usize,
}

impl Holding {
    const fn count(&mut self, resource: Resource) -> &mut usize {
        match resource {
            Resource::Stream => &mut self.streams,
            Resource::Handshake => &mut self.handshakes,
        }
    }
}

impl Limits {
    pub(crate) fn new(config: &DriverConfig) -> Arc<Self> {
        Arc::new(Self {
            streams_per_source: config.streams_per_source,
            handshakes: config.handshake_limit,
            handshakes_per_source: config.handshakes_per_source,
            table: Mutex::default(),
        })
    }

    /// Returns a permit for one more stream or handshake of this source; `None` when the source has reached its limit.
    pub(crate) fn admit(self: &Arc<Self>, resource: Resource, remote: SocketAddr) -> Option<Permit> {
        let limit = match resource {
            Resource::Stream => self.streams_per_source,
            Resource::Handshake => self.handshakes_per_source,
        };
        let source = Source::of(remote);
        let mut table = self.lock();
        let mut held = table.sources.get(&source).copied().unwrap_or_default();
        if *held.count(resource) >= limit {
            return None;
        }
        *held.count(resource) += 1;
        table.sources.insert(source, held);
        table.handshakes += usize::from(resource == Resource::Handshake);
        Some(Permit { limits: Arc::clone(self), resource, source })
    }

    /// The number of handshakes under way.
    pub(crate) fn handshakes(&self) -> usize {
        self.lock().handshakes
    }

    /// Whether the total allows another handshake.
    pub(crate) fn has_handshake_room(&self) -> bool {
        self.handshakes() < self.handshakes
    }

    /// Wakes this listener when a permit is released.
    pub(crate) fn wait(&self, listener: &Waker) {
        let mut table = self.lock();
        if !table.waiting.iter().any(|waiting| waiting.will_wake(listener)) {
            table.waiting.push(listener.clone());
        }
    }

    /// Wakes the listeners that wait.
    pub(crate) fn wake(&self) {
        let waiting = core::mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn release(&self, resource: Resource, source: Source) {
        let mut table = self.lock();
        table.handshakes -= usize::from(resource == Resource::Handshake);
        if let Entry::Occupied(mut entry) = table.sources.entry(source) {
            let count = entry.get_mut().count(resource);
            *count = count.saturating_sub(1);
            if *entry.get() == Holding::default() {
                entry.remove();
            }
        }
        table.shrink();
        drop(table);
        self.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A poisoned lock means that a call of this driver panicked. The counts are still consistent.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Releases the memory that a flood of sources has used.
    fn shrink(&mut self) {
        const KEPT: usize = 64;
        if self.sources.capacity() > KEPT && self.sources.len() < self.sources.capacity() / 4 {
            self.sources.shrink_to(KEPT.max(self.sources.len() * 2));
        }
    }
}

/// A permit for one stream or handshake of a source. Dropping the permit releases it.
#[derive(Debug)]
pub(crate) struct Permit {
    limits: Arc<Limits>,
    resource: Resource,
    source: Source,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limits.release(self.resource, self.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Arc<Limits> {
        Limits::new(
            &DriverConfig::default().with_streams_per_source(3).with_handshake_limit(4).with_handshakes_per_source(2),
        )
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn is_empty(limits: &Limits) -> bool {
        let table = limits.lock();
        table.sources.is_empty() && table.handshakes == 0
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_64() {
        for (one, other, same) in [
            ("192.0.2.1:1", "192.0.2.1:2", true),
            ("192.0.2.1:1", "192.0.2.2:1", false),
            ("192.0.2.1:1", "[::ffff:192.0.2.1]:1", true),
            ("[2001:db8::1]:1", "[2001:db8::ffff:ffff:ffff:ffff]:9", true),
            ("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false),
        ] {
            assert_eq!(Source::of(address(one)) == Source::of(address(other)), same, "{one} and {other}");
        }
    }

    #[test]
    fn a_source_at_its_limit_does_not_block_other_sources() {
        let limits = limits();
        let (one, other) = (address("192.0.2.1:1"), address("192.0.2.2:1"));
        let mut held: Vec<_> = (0..3).map(|_| limits.admit(Resource::Stream, one).unwrap()).collect();
        assert!(limits.admit(Resource::Stream, one).is_none());
        held.push(limits.admit(Resource::Stream, other).unwrap());
        // Streams and handshakes have separate limits.
        held.extend((0..2).map(|_| limits.admit(Resource::Handshake, one).unwrap()));
        assert!(limits.admit(Resource::Handshake, one).is_none());
        assert_eq!((limits.handshakes(), limits.has_handshake_room()), (2, true));
        held.extend((0..2).map(|_| limits.admit(Resource::Handshake, other).unwrap()));
        assert!(!limits.has_handshake_room());
        drop(held.remove(0));
        assert!(limits.admit(Resource::Stream, one).is_some());
        drop(held);
        assert!(is_empty(&limits));
    }

    #[test]
    fn the_memory_of_a_flood_is_released() {
        let limits = limits();
        let flood = (0..50_000_u32).map(|number| SocketAddr::new(Ipv4Addr::from_bits(number).into(), 1));
        let held: Vec<_> = flood.map(|remote| limits.admit(Resource::Stream, remote).unwrap()).collect();
        assert_eq!(limits.lock().sources.len(), held.len());
        drop(held);
        assert!(is_empty(&limits));
        assert!(limits.lock().sources.capacity() <= 256, "{}", limits.lock().sources.capacity());
    }

    #[test]
    fn a_listener_that_waits_is_kept_once_and_woken_by_a_release() {
        struct Count(core::sync::atomic::AtomicUsize);
        impl alloc::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            }
        }
        let (limits, count) = (limits(), Arc::new(Count(0.into())));
        let waker = Waker::from(Arc::clone(&count));
        let held = limits.admit(Resource::Handshake, address("192.0.2.1:1"));
        limits.wait(&waker);
        limits.wait(&waker);
        assert_eq!(limits.lock().waiting.len(), 1);
        drop(held);
        assert_eq!(count.0.load(core::sync::atomic::Ordering::Relaxed), 1);
        assert_eq!(limits.lock().waiting.len(), 0);
    }
}
