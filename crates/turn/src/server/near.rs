//! Small copies of channels, for the data path.
//!
//! Rules of this file: a copy is valid until a stated time, and not used later. Before this time no channel here
//! expires, and no permission of its peer. A channel that is not here is looked up among all channels. An entry of IPv4
//! takes eight bytes, so a hundred channels of a thousand allocations take about one MB, and stay in a near cache.

use super::peers::{Channel, hash_peer};
use crate::hash::KeyedHash;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use hashbrown::HashTable;
use portolan_machine::Instant;

/// Copies of channels whose peers have a permission.
#[derive(Clone, Debug)]
pub(super) struct Near {
    /// The copies are valid before this time.
    until: Instant,
    v4: Family<Ipv4Addr>,
    v6: Family<Ipv6Addr>,
}

/// The copies with peers of one family.
#[derive(Clone, Debug)]
struct Family<A> {
    peers: HashTable<Copied<A>>,
    /// In the order in which the channels were bound.
    numbers: Vec<Copied<A>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Copied<A> {
    ip: A,
    port: u16,
    number: u16,
}

impl Near {
    /// No copies.
    pub(super) const fn new() -> Self {
        Self { until: Instant::from_origin(Duration::MAX), v4: Family::new(), v6: Family::new() }
    }

    /// Adds a channel, if it is not here yet. Neither the channel nor the permission of its peer expires before `until`.
    pub(super) fn add(&mut self, hash: KeyedHash, channel: &Channel, until: Instant) {
        self.until = self.until.min(until);
        let (peer, number) = (channel.peer(), channel.number());
        match peer.ip() {
            IpAddr::V4(ip) => self.v4.add(hash, peer, Copied { ip, port: peer.port(), number }),
            IpAddr::V6(ip) => self.v6.add(hash, peer, Copied { ip, port: peer.port(), number }),
        }
    }

    /// Whether the copies are valid.
    #[inline]
    pub(super) fn is_valid(&self, now: Instant) -> bool {
        now < self.until
    }

    /// The number of the channel to a peer.
    #[inline]
    pub(super) fn by_peer(&self, hash: KeyedHash, peer: &SocketAddr) -> Option<u16> {
        match peer {
            SocketAddr::V4(v4) => self.v4.by_peer(hash_peer(hash, peer), *v4.ip(), v4.port()),
            SocketAddr::V6(v6) => self.v6.by_peer(hash_peer(hash, peer), *v6.ip(), v6.port()),
        }
    }

    /// The peer of a channel, if the client numbers its channels in order. Most clients do.
    #[inline]
    pub(super) fn by_number(&self, number: u16) -> Option<SocketAddr> {
        self.v4.by_number(number).or_else(|| self.v6.by_number(number))
    }
}

impl<A: Copy + Eq + Into<IpAddr>> Family<A> {
    const fn new() -> Self {
        Self { peers: HashTable::new(), numbers: Vec::new() }
    }

    fn add(&mut self, hash: KeyedHash, peer: SocketAddr, copied: Copied<A>) {
        let key = hash_peer(hash, &peer);
        if self.peers.find(key, |known| *known == copied).is_none() {
            self.peers.insert_unique(key, copied, |known| hash_peer(hash, &known.peer()));
            self.numbers.push(copied);
        }
    }

    #[inline]
    fn by_peer(&self, key: u64, ip: A, port: u16) -> Option<u16> {
        let copied = self.peers.find(key, |known| known.ip == ip && known.port == port)?;
        Some(copied.number)
    }

    #[inline]
    fn by_number(&self, number: u16) -> Option<SocketAddr> {
        let place = number.wrapping_sub(self.numbers.first()?.number);
        let copied = self.numbers.get(usize::from(place)).filter(|copied| copied.number == number)?;
        Some(copied.peer())
    }
}

impl<A: Copy + Into<IpAddr>> Copied<A> {
    #[inline]
    fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.ip.into(), self.port)
    }
}
