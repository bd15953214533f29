//! The permissions and channels of an allocation (RFC 8656 §9, §12).
//!
//! Rules of this file: expiry is checked by time at each use, so a late timer changes nothing; timers only release. A
//! permission is found by the address of the peer. A channel is found by its number, or by the address and port of its
//! peer. Each search is one lookup in a table. IPv6 zones and flow labels are no part of a key.
//!
//! Copies save lookups on the data path. The first channel is also in the allocation itself, so that a client with one
//! channel needs no table. With more channels there are small copies of all ([`Near`]). A copy is used only before the
//! channel or the permission of its peer expires; later the tables decide.
//!
//! A channel that has expired keeps its number and its peer for five more minutes. During this time neither is bound
//! otherwise (RFC 8656 §12), so that a late datagram does not reach another peer.

use super::moment::Moment;
use super::near::Near;
use crate::hash::KeyedHash;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use hashbrown::HashTable;
use portolan_machine::Instant;

/// The lifetime of a permission (RFC 8656 §9).
pub(super) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// The lifetime of a channel (RFC 8656 §12).
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// The time after its expiry during which a channel keeps its number and its peer (RFC 8656 §12).
pub(super) const CHANNEL_HOLD: Duration = Duration::from_secs(300);

/// The permissions and channels of one allocation.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(super) struct Peers {
    /// Copies of the channels, if there are at least two.
    near: Option<Box<Near>>,
    /// A copy of the first channel. Each change of permissions or channels renews it.
    first: Option<First>,
    /// `None` before the first permission.
    all: Option<Box<All>>,
}

/// All permissions and channels.
#[derive(Clone, Debug, Default)]
struct All {
    channels: Vec<Channel>,
    permissions: HashTable<Permission>,
    /// Indexes in `channels`, by number and by peer; empty if there is only one channel.
    numbers: HashTable<u16>,
    bound: HashTable<u16>,
}

#[derive(Clone, Copy, Debug)]
struct Permission {
    ip: IpAddr,
    expires: Instant,
}

/// The result for a peer with a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permitted {
    /// The number of the channel to the peer, if there is one.
    pub(super) channel: Option<u16>,
}

/// The first channel, with the whole address of its peer: the data path copies the address without a conversion.
#[derive(Clone, Copy, Debug)]
struct First {
    /// Earlier, neither the channel nor the permission of its peer expires.
    until: Moment,
    peer: SocketAddr,
    number: u16,
}

/// A channel with its peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    number: u16,
    port: u16,
    ip: IpAddr,
    expires: Instant,
}

/// The reason why a channel cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// The number is bound to another peer.
    Number,
    /// The peer is bound to another number.
    Peer,
}

impl Peers {
    /// The bytes that the data path reads for a channel that is copied.
    #[cfg(all(test, target_pointer_width = "64"))]
    pub(super) const READ_FIRST: usize = core::mem::offset_of!(Self, all);

    /// Whether the peers with this address may send to the client.
    #[inline]
    pub(super) fn permits(&self, hash: KeyedHash, now: Instant, ip: IpAddr) -> bool {
        if self.first(now).is_some_and(|first| first.peer.ip() == ip) {
            return true;
        }
        self.all.as_deref().is_some_and(|all| all.permitted_until(hash, ip) > now)
    }

    /// The peer of the first channel, if it has this number and there is a permission.
    #[inline]
    pub(super) fn first_by_number(&self, now: Instant, number: u16) -> Option<&SocketAddr> {
        self.first(now).filter(|first| first.number == number).map(|first| &first.peer)
    }

    /// The peer of the channel of this number, if it has not expired.
    pub(super) fn by_number(&self, hash: KeyedHash, now: Instant, number: u16) -> Option<SocketAddr> {
        if let Some(peer) = self.near(now).and_then(|near| near.by_number(number)) {
            return Some(peer);
        }
        let channel = self.all.as_deref()?.numbered(hash, number).filter(|channel| channel.expires > now)?;
        Some(channel.peer())
    }

    /// The permission of this peer with its channel; `None` if the peer may not send to the client.
    #[inline]
    pub(super) fn by_peer(&self, hash: KeyedHash, now: Instant, peer: &SocketAddr) -> Option<Permitted> {
        if let Some(first) = self.first(now)
            && first.peer.ip() == peer.ip()
            && first.peer.port() == peer.port()
        {
            return Some(Permitted { channel: Some(first.number) });
        }
        let peer = plain(*peer);
        if let Some(number) = self.near(now).and_then(|near| near.by_peer(hash, &peer)) {
            return Some(Permitted { channel: Some(number) });
        }
        let all = self.all.as_deref().filter(|all| all.permitted_until(hash, peer.ip()) > now)?;
        let channel = all.bound_to(hash, peer).filter(|channel| channel.expires > now);
        Some(Permitted { channel: channel.map(|channel| channel.number) })
    }

    /// The number of permissions, those included that have expired and are not released yet.
    pub(super) fn permissions(&self) -> usize {
        self.all.as_deref().map_or(0, |all| all.permissions.len())
    }

    /// The number of channels, those included that have expired and are not released yet.
    pub(super) fn channels(&self) -> usize {
        self.all.as_deref().map_or(0, |all| all.channels.len())
    }

    /// Whether there is a permission for this address, expired or not.
    pub(super) fn has_permission(&self, hash: KeyedHash, ip: IpAddr) -> bool {
        self.all.as_deref().is_some_and(|all| all.permission(hash, ip).is_some())
    }

    /// Whether there is a channel of this number to this peer, expired or not.
    pub(super) fn has_channel(&self, hash: KeyedHash, number: u16) -> bool {
        self.all.as_deref().is_some_and(|all| all.numbered(hash, number).is_some())
    }

    /// Adds or refreshes a permission. Returns the time of its expiry.
    pub(super) fn permit(&mut self, hash: KeyedHash, now: Instant, ip: IpAddr) -> Instant {
        let expires = now + PERMISSION_LIFETIME;
        self.all.get_or_insert_default().permit(hash, ip, expires);
        self.copy_first(hash);
        expires
    }

    /// Whether the number can be bound to the peer: neither is bound otherwise, nor was within the last five minutes.
    pub(super) fn check_binding(
        &self,
        hash: KeyedHash,
        now: Instant,
        number: u16,
        peer: SocketAddr,
    ) -> Result<(), Conflict> {
        let Some(all) = self.all.as_deref() else { return Ok(()) };
        let held = |channel: &&Channel| channel.released_at() > now;
        if all.numbered(hash, number).filter(held).is_some_and(|channel| channel.peer() != plain(peer)) {
            return Err(Conflict::Number);
        }
        if all.bound_to(hash, peer).filter(held).is_some_and(|channel| channel.number != number) {
            return Err(Conflict::Peer);
        }
        Ok(())
    }

    /// Binds a channel, or refreshes it. The caller has checked the binding. Returns the time of its release.
    pub(super) fn bind(&mut self, hash: KeyedHash, now: Instant, number: u16, peer: SocketAddr) -> Instant {
        let peer = plain(peer);
        let channel = Channel { number, port: peer.port(), ip: peer.ip(), expires: now + CHANNEL_LIFETIME };
        let all = self.all.get_or_insert_default();
        let has_released = all.release_in_the_way(hash, number, peer);
        let is_second = all.bind(hash, channel) && all.channels.len() == 2;
        let until = all.valid_until(hash, &channel);
        if has_released || is_second {
            self.copy_near(hash, now);
        } else if let Some(near) = &mut self.near
            && until > now
        {
            near.add(hash, &channel, until);
        }
        self.copy_first(hash);
        channel.released_at()
    }

    /// Removes the permissions and channels whose time is over, and those of the denied addresses.
    pub(super) fn release(&mut self, hash: KeyedHash, now: Instant, denied: impl Fn(IpAddr) -> bool) {
        if let Some(all) = &mut self.all {
            all.permissions.retain(|permission| permission.expires > now && !denied(permission.ip));
            let permissions = all.permissions.len();
            if permissions * 4 < all.permissions.capacity() {
                all.permissions.shrink_to(permissions, |permission| hash_ip(hash, permission.ip));
            }
            all.release_channels(hash, |channel| channel.released_at() <= now || denied(channel.ip));
            if permissions == 0 && all.channels.is_empty() {
                self.all = None;
            }
        }
        self.copy_near(hash, now);
        self.copy_first(hash);
    }

    /// The earliest time at which [`release`](Self::release) removes an entry.
    pub(super) fn next_release(&self) -> Option<Instant> {
        let all = self.all.as_deref()?;
        let permissions = all.permissions.iter().map(|permission| permission.expires);
        permissions.chain(all.channels.iter().map(Channel::released_at)).min()
    }

    /// Copies the channels that have not expired and whose peers have a permission.
    fn copy_near(&mut self, hash: KeyedHash, now: Instant) {
        self.near = self.all.as_deref().filter(|all| all.channels.len() > 1).map(|all| {
            let mut near = Near::new();
            for channel in &all.channels {
                let until = all.valid_until(hash, channel);
                if until > now {
                    near.add(hash, channel, until);
                }
            }
            Box::new(near)
        });
    }

    fn copy_first(&mut self, hash: KeyedHash) {
        self.first = self.all.as_deref().and_then(|all| {
            let first = all.channels.first()?;
            Some(First { until: all.valid_until(hash, first).into(), peer: first.peer(), number: first.number })
        });
    }

    #[inline]
    fn first(&self, now: Instant) -> Option<&First> {
        self.first.as_ref().filter(|first| first.until > now.into())
    }

    #[inline]
    fn near(&self, now: Instant) -> Option<&Near> {
        self.near.as_deref().filter(|near| near.is_valid(now))
    }
}

impl All {
    #[inline]
    fn permission(&self, hash: KeyedHash, ip: IpAddr) -> Option<&Permission> {
        self.permissions.find(hash_ip(hash, ip), |permission| permission.ip == ip)
    }

    /// The expiry of the permission of an address; the origin if there is none.
    #[inline]
    fn permitted_until(&self, hash: KeyedHash, ip: IpAddr) -> Instant {
        self.permission(hash, ip).map_or(Instant::ORIGIN, |permission| permission.expires)
    }

    /// The time at which the channel or the permission of its peer expires.
    fn valid_until(&self, hash: KeyedHash, channel: &Channel) -> Instant {
        channel.expires.min(self.permitted_until(hash, channel.ip))
    }

    fn permit(&mut self, hash: KeyedHash, ip: IpAddr, expires: Instant) {
        let key = hash_ip(hash, ip);
        match self.permissions.find_mut(key, |permission| permission.ip == ip) {
            Some(permission) => permission.expires = expires,
            None => {
                let rehash = |permission: &Permission| hash_ip(hash, permission.ip);
                self.permissions.insert_unique(key, Permission { ip, expires }, rehash);
            }
        }
    }

    /// Removes the channels that have the number or the peer of a new one. They are due for release, and their timer is
    /// late. Returns whether there were any.
    fn release_in_the_way(&mut self, hash: KeyedHash, number: u16, peer: SocketAddr) -> bool {
        let is_in_the_way = self.numbered(hash, number).is_some_and(|channel| channel.peer() != peer)
            || self.bound_to(hash, peer).is_some_and(|channel| channel.number != number);
        if is_in_the_way {
            self.release_channels(hash, |channel| (channel.number == number) != (channel.peer() == peer));
        }
        is_in_the_way
    }

    /// Refreshes a channel, or adds it. Returns whether it is new.
    fn bind(&mut self, hash: KeyedHash, channel: Channel) -> bool {
        let index = self.index_of_number(hash, channel.number);
        if let Some(known) = index.and_then(|index| self.channels.get_mut(usize::from(index))) {
            *known = channel;
            return false;
        }
        if self.channels.is_empty() {
            self.channels.reserve_exact(1);
        }
        self.channels.push(channel);
        match self.channels.len() {
            1 => {}
            2 => (0..2).for_each(|index| self.index(hash, index)),
            count => self.index(hash, count - 1),
        }
        true
    }

    fn release_channels(&mut self, hash: KeyedHash, is_over: impl Fn(&Channel) -> bool) {
        let before = self.channels.len();
        self.channels.retain(|channel| !is_over(channel));
        if self.channels.len() == before {
            return;
        }
        if self.channels.len() * 4 < self.channels.capacity() {
            self.channels.shrink_to_fit();
        }
        (self.numbers, self.bound) = (HashTable::new(), HashTable::new());
        if self.channels.len() > 1 {
            (0..self.channels.len()).for_each(|index| self.index(hash, index));
        }
    }

    /// Adds a channel to the two indexes.
    fn index(&mut self, hash: KeyedHash, index: usize) {
        let Self { channels, numbers, bound, .. } = self;
        let (Some(channel), Ok(index)) = (channels.get(index), u16::try_from(index)) else { return };
        let at = |index: u16| channels.get(usize::from(index));
        numbers.insert_unique(hash_number(hash, channel.number), index, |&index| {
            at(index).map_or(0, |channel| hash_number(hash, channel.number))
        });
        bound.insert_unique(hash_peer(hash, &channel.peer()), index, |&index| {
            at(index).map_or(0, |channel| hash_peer(hash, &channel.peer()))
        });
    }

    #[inline]
    fn index_of_number(&self, hash: KeyedHash, number: u16) -> Option<u16> {
        if self.channels.first()?.number == number {
            return Some(0);
        }
        let is_number = |&index: &u16| self.channels.get(usize::from(index)).is_some_and(|c| c.number == number);
        self.numbers.find(hash_number(hash, number), is_number).copied()
    }

    #[inline]
    fn numbered(&self, hash: KeyedHash, number: u16) -> Option<&Channel> {
        self.channels.get(usize::from(self.index_of_number(hash, number)?))
    }

    #[inline]
    fn bound_to(&self, hash: KeyedHash, peer: SocketAddr) -> Option<&Channel> {
        let peer = plain(peer);
        let first = self.channels.first()?;
        if first.peer() == peer {
            return Some(first);
        }
        let is_peer = |&index: &u16| self.channels.get(usize::from(index)).is_some_and(|c| c.peer() == peer);
        let index = self.bound.find(hash_peer(hash, &peer), is_peer)?;
        self.channels.get(usize::from(*index))
    }
}

impl Channel {
    pub(super) const fn number(&self) -> u16 {
        self.number
    }

    /// The address and port of the peer.
    #[inline]
    pub(super) fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }

    /// The time at which its number and its peer can be bound otherwise.
    fn released_at(&self) -> Instant {
        self.expires + CHANNEL_HOLD
    }
}

/// The address and port without the zone and the flow label of IPv6.
#[inline]
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

// An IPv4 address is hashed as one word with its port, so the hash has fewer steps.

#[inline]
fn hash_ip(hash: KeyedHash, ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => hash.hash_one(ip.to_bits()),
        IpAddr::V6(ip) => hash.hash_one(ip.to_bits()),
    }
}

/// The hash of an address with its port.
#[inline]
pub(super) fn hash_peer(hash: KeyedHash, peer: &SocketAddr) -> u64 {
    match peer {
        SocketAddr::V4(peer) => hash.hash_one((peer.ip().to_bits(), peer.port())),
        SocketAddr::V6(peer) => hash.hash_one((peer.ip().to_bits(), peer.port())),
    }
}

#[inline]
fn hash_number(hash: KeyedHash, number: u16) -> u64 {
    hash.hash_one(number)
}
