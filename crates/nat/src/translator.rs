//! A NAT device as plain data. It takes the addresses of packets and returns translated addresses, or the reason for
//! a drop.
//!
//! [`Translator`] holds the tables of one NAT for UDP. It reads no clock and has no RNG of the system: the time is an
//! argument, and the ports follow from a seed. It handles addresses only. The generic ALG ([`Translator::rewrite`])
//! is the only function that uses the bytes of a packet.
//!
//! The rules, with their clauses:
//!
//! * An external address and port belongs to one mapping at a time, except with port overloading (RFC 4787 §4.2.1,
//!   REQ-3).
//! * The set of contacted endpoints belongs to the mapping and ends with it. The filter compares the external
//!   endpoint of the sender, even for a packet from inside (RFC 4787 §5, §6).
//! * A dropped packet does not refresh (RFC 4787 §4.3). The first packet that is let in turns a mapping from
//!   unreplied to replied.
//! * Expired mappings are removed when they are looked up, so a translator needs no timer.
//!
//! ```
//! use core::net::{IpAddr, SocketAddr};
//! use portolan_machine::Instant;
//! use portolan_nat::translator::{DropReason, Translation, Translator, TranslatorConfig};
//!
//! let outside: IpAddr = "203.0.113.7".parse()?;
//! let mut nat = Translator::new(TranslatorConfig::home(), &[outside], 1);
//! let (host, server): (SocketAddr, SocketAddr) = ("10.0.0.2:5000".parse()?, "192.0.2.1:3478".parse()?);
//! let other: SocketAddr = "192.0.2.1:3479".parse()?;
//! let now = Instant::ORIGIN;
//!
//! let Ok(Translation::Out { source, created: true }) = nat.outbound(now, host, server) else { panic!() };
//! assert_eq!(source, SocketAddr::new(outside, 5000), "the port is preserved");
//! assert_eq!(nat.inbound(now, server, source), Ok(host));
//! assert_eq!(nat.inbound(now, other, source), Err(DropReason::Filtered));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

mod config;
mod ports;
mod table;

pub use config::{PortRange, TranslatorConfig};

use crate::behavior::{Filtering, Hairpin, Mapping, Pooling, Timers};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use portolan_machine::{Clause, Explain, Instant};
use ports::{Ports, SplitMix};
use table::{Endpoint, Id, Key, Table};

/// A NAT for UDP: a configuration, its external addresses and its tables.
#[derive(Clone, Debug)]
pub struct Translator {
    config: TranslatorConfig,
    externals: Vec<IpAddr>,
    state: State,
    ports: Ports,
    rng: SplitMix,
    /// A part of the hash of addresses that depends on the seed.
    hash_key: u64,
}

/// The result for a packet from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translation {
    /// The packet leaves.
    Out {
        /// The external source.
        source: SocketAddr,
        /// Whether the packet made a new mapping.
        created: bool,
    },
    /// The packet was sent to one of the NAT's own external endpoints and comes back in (RFC 4787 §6).
    Hairpin {
        /// The source at the receiver.
        source: SocketAddr,
        /// The internal endpoint that receives it.
        destination: SocketAddr,
    },
}

/// The reason why a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// No mapping leads from the external endpoint to the inside, or it has expired.
    NoMapping,
    /// There is a mapping, but the internal endpoint has not contacted the sender.
    Filtered,
    /// The table is full.
    TableFull,
    /// No external port is left.
    NoFreePort,
    /// The NAT has no external address of the packet's family.
    NoExternalAddress,
    /// The NAT does not hairpin.
    NoHairpin,
    /// Source and destination are of different families.
    FamilyMismatch,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMapping => "the destination has no mapping",
            Self::Filtered => "the host has not contacted the source",
            Self::TableFull => "the table of mappings is full",
            Self::NoFreePort => "no external port is free",
            Self::NoExternalAddress => "no external address of this family",
            Self::NoHairpin => "the NAT does not hairpin",
            Self::FamilyMismatch => "source and destination are of different families",
        })
    }
}

impl Explain for DropReason {
    fn code(&self) -> &'static str {
        match self {
            Self::NoMapping => "dropped-no-mapping",
            Self::Filtered => "dropped-filtered",
            Self::TableFull => "dropped-table-full",
            Self::NoFreePort => "dropped-no-free-port",
            Self::NoExternalAddress => "dropped-no-external-address",
            Self::NoHairpin => "dropped-no-hairpinning",
            Self::FamilyMismatch => "dropped-family-mismatch",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::NoMapping => Some(Clause::new(4787, "4.3")),
            Self::Filtered => Some(Clause::new(4787, "5")),
            Self::NoFreePort => Some(Clause::new(4787, "4.2.1")),
            Self::NoHairpin => Some(Clause::new(4787, "6")),
            Self::TableFull => Some(Clause::new(6888, "3")),
            Self::NoExternalAddress | Self::FamilyMismatch => None,
        }
    }
}

impl core::error::Error for DropReason {}

/// A mapping that has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingView {
    /// The internal endpoint.
    pub internal: SocketAddr,
    /// The external endpoint; the same as `internal` in a firewall.
    pub external: SocketAddr,
    /// The destination that the mapping is for: `None` for all, with port 0 for all ports of an address.
    pub destination: Option<SocketAddr>,
    /// Whether a packet has come in through the mapping.
    pub replied: bool,
    /// The time at which the mapping expires without a refresh.
    pub expires: Instant,
}

impl Translator {
    /// A NAT with empty tables and these external addresses, IPv4 and IPv6 in any order; a firewall needs none.
    #[must_use]
    pub fn new(config: TranslatorConfig, externals: &[IpAddr], seed: u64) -> Self {
        Self {
            config,
            externals: externals.to_vec(),
            state: State::new(),
            ports: Ports::new(),
            rng: SplitMix::new(seed),
            hash_key: SplitMix::new(!seed).next(),
        }
    }

    /// Removes all mappings and starts again with `seed`. Keeps its memory.
    pub fn reset(&mut self, seed: u64) {
        self.state.clear();
        self.ports.clear();
        (self.rng, self.hash_key) = (SplitMix::new(seed), SplitMix::new(!seed).next());
    }

    /// Removes all mappings, as a restarted connection tracker does. The choice of ports goes on.
    pub fn flush(&mut self) {
        let ids: Vec<Id> = self.state.mappings.iter().map(|(id, ..)| id).collect();
        ids.into_iter().for_each(|id| self.state.remove(id, &self.config, &mut self.ports));
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &TranslatorConfig {
        &self.config
    }

    /// The external addresses.
    #[must_use]
    pub fn externals(&self) -> &[IpAddr] {
        &self.externals
    }

    /// The number of mappings in the table, with expired ones that were not looked up since.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.state.mappings.len()
    }

    /// Whether the table is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The mappings that are alive at `now`, in no particular order.
    pub fn mappings(&self, now: Instant) -> impl Iterator<Item = MappingView> + '_ {
        let timers = self.config.timers;
        self.state.mappings.iter().filter(move |(_, _, life)| life.expires(timers) > now).map(
            move |(_, (internal, scope), life)| MappingView {
                internal: (*internal).into(),
                external: life.external.into(),
                destination: Some(*scope).filter(|scope| *scope != ANY_ENDPOINT).map(SocketAddr::from),
                replied: life.replied,
                expires: life.expires(timers),
            },
        )
    }

    /// Takes a packet from inside.
    ///
    /// # Errors
    /// * [`DropReason::FamilyMismatch`] when source and destination are of different families.
    /// * [`DropReason::NoHairpin`] when the destination is an external address and the NAT does not hairpin.
    /// * [`DropReason::TableFull`] when the packet needs a mapping, or a new contact of one, and the table is full.
    /// * [`DropReason::NoExternalAddress`] when the packet needs a mapping and no external address has its family.
    /// * [`DropReason::NoFreePort`] when the packet needs a mapping and no external port is free.
    /// * [`DropReason::NoMapping`] when a hairpinned packet is for an external endpoint without a mapping.
    /// * [`DropReason::Filtered`] when the filter drops a hairpinned packet.
    ///
    /// After the last two errors the sender's mapping is made or refreshed, because the sender has sent. After the
    /// other errors no mapping is made or refreshed.
    pub fn outbound(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Result<Translation, DropReason> {
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(DropReason::FamilyMismatch);
        }
        let turned = self.config.translate && self.externals.contains(&destination.ip());
        if turned && self.config.hairpin == Hairpin::None {
            return Err(DropReason::NoHairpin);
        }
        let (internal, remote) = (Endpoint::from(source), Endpoint::from(destination));
        let key = (internal, self.mapping_scope(remote));
        let (id, created) = match self.state.find_alive(now, key, &self.config, &mut self.ports) {
            Some(id) => (id, false),
            None => (self.create(now, key)?, true),
        };
        let scope = self.filter_scope(remote);
        if !self.has_room_for_contact(now, id, scope) {
            return Err(DropReason::TableFull);
        }
        let external = self.state.sent(now, id, scope, self.config.refresh.outbound);
        if !turned {
            return Ok(Translation::Out { source: external.into(), created });
        }
        let destination = self.inbound(now, external.into(), destination)?;
        let seen = match self.config.hairpin {
            Hairpin::InternalSource => internal,
            Hairpin::ExternalSource | Hairpin::None => external,
        };
        Ok(Translation::Hairpin { source: seen.into(), destination })
    }

    /// Takes a packet from outside. Returns the internal endpoint that it is for.
    ///
    /// # Errors
    /// A dropped packet refreshes no mapping.
    ///
    /// * [`DropReason::FamilyMismatch`] when source and destination are of different families.
    /// * [`DropReason::NoMapping`] when the destination has no mapping.
    /// * [`DropReason::Filtered`] when the filter drops the packet.
    pub fn inbound(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Result<SocketAddr, DropReason> {
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(DropReason::FamilyMismatch);
        }
        let (remote, external) = (Endpoint::from(source), Endpoint::from(destination));
        let scope = self.filter_scope(remote);
        let (id, internal) = self.state.admits(now, external, scope, &self.config)?;
        self.state.received(now, id, self.config.refresh.inbound);
        Ok(internal.into())
    }

    /// Rewrites a payload as the generic ALG does: every occurrence of the IPv4 address `from` becomes `to`.
    ///
    /// Outbound `from` is the internal address and `to` the external one; inbound it is the reverse. Returns the
    /// number of places rewritten; 0 if [`TranslatorConfig::alg`] is off or the addresses are not IPv4. The ALG does
    /// not find XORed addresses; for this reason STUN has them (RFC 8489 §14.2).
    pub fn rewrite(&self, payload: &mut [u8], from: IpAddr, to: IpAddr) -> usize {
        let (true, IpAddr::V4(from), IpAddr::V4(to)) = (self.config.alg, from, to) else {
            return 0;
        };
        rewrite_addresses(payload, from, to)
    }

    /// The part of a destination that a mapping depends on (RFC 4787 §4.1).
    const fn mapping_scope(&self, remote: Endpoint) -> Endpoint {
        if !self.config.translate {
            return ANY_ENDPOINT;
        }
        match self.config.mapping {
            Mapping::EndpointIndependent => ANY_ENDPOINT,
            Mapping::AddressDependent => Endpoint::new(remote.ip, 0),
            Mapping::AddressAndPortDependent => remote,
        }
    }

    /// The part of a sender that the filter compares (RFC 4787 §5); `None` if the filter lets in all senders.
    const fn filter_scope(&self, remote: Endpoint) -> Option<Endpoint> {
        match self.config.filtering {
            Filtering::EndpointIndependent => None,
            Filtering::AddressDependent => Some(Endpoint::new(remote.ip, 0)),
            Filtering::AddressAndPortDependent => Some(remote),
        }
    }

    /// Whether the table of contacts has room for a contact of a mapping. Removes the expired mappings first if not.
    fn has_room_for_contact(&mut self, now: Instant, id: Id, scope: Option<Endpoint>) -> bool {
        let room = |state: &State, config: &TranslatorConfig| {
            state.contacts.len() < (config.table_size as usize).saturating_mul(CONTACTS)
        };
        let Some(scope) = scope.filter(|_| !room(&self.state, &self.config)) else { return true };
        if self.state.contacts.find((id, scope)).is_some() {
            return true;
        }
        self.state.sweep(now, &self.config, &mut self.ports);
        room(&self.state, &self.config)
    }

    /// Makes a mapping. Removes the expired ones first if there is no room.
    #[cold]
    fn create(&mut self, now: Instant, key: MappingKey) -> Result<Id, DropReason> {
        let room = |state: &State, config: &TranslatorConfig| state.mappings.len() < config.table_size as usize;
        if !room(&self.state, &self.config) {
            self.state.sweep(now, &self.config, &mut self.ports);
            if !room(&self.state, &self.config) {
                return Err(DropReason::TableFull);
            }
        }
        let external = if self.config.translate {
            let ip = self.external_address(key)?;
            let port = match self.free_port(now, key.0, ip) {
                Some(port) => Some(port),
                // A block is returned when its last mapping ends: remove expired mappings, and try again.
                None if self.state.sweep(now, &self.config, &mut self.ports) => self.free_port(now, key.0, ip),
                None => None,
            };
            Endpoint::new(ip, port.ok_or(DropReason::NoFreePort)?)
        } else {
            key.0
        };
        Ok(self.state.create(now, key, external))
    }

    /// The external address for a new mapping (RFC 4787 §4.1, RFC 7857 §4).
    fn external_address(&mut self, (internal, scope): MappingKey) -> Result<IpAddr, DropReason> {
        let internal = internal.ip;
        let own = |ip: &&IpAddr| ip.is_ipv4() == internal.is_ipv4();
        let count = self.externals.iter().filter(own).count();
        let nth = match (count, self.config.pooling) {
            (0, _) => return Err(DropReason::NoExternalAddress),
            (1, _) => 0,
            // A hash of the internal address pairs it with an external address without a table.
            (_, Pooling::Paired) => (Endpoint::new(internal, 0).mix() % count as u64) as usize,
            (_, Pooling::Arbitrary) if self.config.address_hash => {
                let pair = (Endpoint::new(internal, 0), Endpoint::new(scope.ip, 0));
                (SplitMix::new(pair.mix() ^ self.hash_key).next() % count as u64) as usize
            }
            (_, Pooling::Arbitrary) => self.rng.below(u32::try_from(count).unwrap_or(u32::MAX)) as usize,
        };
        self.externals.iter().filter(own).nth(nth).copied().ok_or(DropReason::NoExternalAddress)
    }

    fn free_port(&mut self, now: Instant, internal: Endpoint, external: IpAddr) -> Option<u16> {
        let config = self.config;
        if config.overloading && config.allocation == crate::behavior::PortAllocation::Preserving {
            return Some(config.range.at(config.range.offset(internal.port)));
        }
        let state = &mut self.state;
        self.ports.choose(config.allocation, config.range, (internal, external), &mut self.rng, |ports, port| {
            state.is_free(now, Endpoint::new(external, port), &config, ports)
        })
    }
}

/// The contacted endpoints for each place in the table of mappings, on average.
const CONTACTS: usize = 16;

/// The wildcard for the part of an endpoint that does not matter.
const ANY_ENDPOINT: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The internal endpoint, and the part of the destination that the mapping depends on.
type MappingKey = (Endpoint, Endpoint);

/// A mapping.
#[derive(Clone, Copy, Debug)]
struct Life {
    external: Endpoint,
    /// The entry of the mapping in the index by external endpoint.
    index: Id,
    created: Instant,
    refreshed: Instant,
    replied: bool,
    /// The number of mappings made before this one.
    serial: u64,
    /// The newest contact. Each contact links to the older one.
    contact: Id,
    /// The scope that was contacted last. This cache saves most searches.
    last: Endpoint,
}

impl Life {
    fn expires(&self, timers: Timers) -> Instant {
        let idle = self.refreshed + if self.replied { timers.replied } else { timers.unreplied };
        timers.absolute.map_or(idle, |cap| idle.min(self.created + cap))
    }
}

/// The tables. All changes of a mapping are here.
#[derive(Clone, Debug)]
struct State {
    mappings: Table<MappingKey, Life>,
    /// Mappings by external endpoint. Only with overloading an endpoint has more than one.
    external: Table<Endpoint, Id>,
    /// The endpoints that each mapping has contacted, in the scope of the filter. Each entry holds the one before.
    contacts: Table<(Id, Endpoint), Id>,
    /// No mapping expires before this time, so an earlier sweep is skipped.
    next_sweep: Instant,
    /// The number of mappings made so far.
    made: u64,
}

impl State {
    const fn new() -> Self {
        Self {
            mappings: Table::new(),
            external: Table::new(),
            contacts: Table::new(),
            next_sweep: Instant::ORIGIN,
            made: 0,
        }
    }

    fn clear(&mut self) {
        self.mappings.clear();
        self.external.clear();
        self.contacts.clear();
        (self.next_sweep, self.made) = (Instant::ORIGIN, 0);
    }

    /// The mapping with this key, if it has not expired. Removes an expired one.
    fn find_alive(
        &mut self,
        now: Instant,
        key: MappingKey,
        config: &TranslatorConfig,
        ports: &mut Ports,
    ) -> Option<Id> {
        let id = self.mappings.find(key)?;
        let (_, life) = self.mappings.get(id)?;
        if life.expires(config.timers) > now {
            return Some(id);
        }
        self.remove(id, config, ports);
        None
    }

    fn create(&mut self, now: Instant, key: MappingKey, external: Endpoint) -> Id {
        let (index, contact, serial) = (Id::NONE, Id::NONE, self.made);
        self.made += 1;
        let life = Life { external, index, created: now, refreshed: now, replied: false, serial, contact, last: key.0 };
        let id = self.mappings.insert(key, life);
        let index = self.external.insert(external, id);
        if let Some(life) = self.mappings.value_mut(id) {
            life.index = index;
        }
        id
    }

    /// Records that the internal endpoint of `id` has sent to `scope`. Returns the external endpoint.
    fn sent(&mut self, now: Instant, id: Id, scope: Option<Endpoint>, refresh: bool) -> Endpoint {
        let Some(life) = self.mappings.value_mut(id) else { return ANY_ENDPOINT };
        if refresh {
            life.refreshed = now;
        }
        let external = life.external;
        let Some(scope) = scope.filter(|scope| life.contact == Id::NONE || life.last != *scope) else {
            return external;
        };
        life.last = scope;
        if self.contacts.find((id, scope)).is_none() {
            life.contact = self.contacts.insert((id, scope), life.contact);
        }
        external
    }

    /// The mapping that lets a packet in, and its internal endpoint.
    fn admits(
        &self,
        now: Instant,
        external: Endpoint,
        scope: Option<Endpoint>,
        config: &TranslatorConfig,
    ) -> Result<(Id, Endpoint), DropReason> {
        let mut verdict = Err(DropReason::NoMapping);
        let mut freshest = None;
        for index in self.external.all(external) {
            let Some((_, id)) = self.external.get(index) else { continue };
            let Some(((internal, _), life)) = self.mappings.get(*id) else { continue };
            if life.expires(config.timers) <= now {
                continue;
            }
            let contacted = scope.is_none_or(|scope| self.contacts.find((*id, scope)).is_some());
            if !contacted {
                verdict = verdict.or(Err(DropReason::Filtered));
            } else if freshest.is_none_or(|best| best < (life.refreshed, life.serial)) {
                // With overloading, several mappings may match: the one refreshed last gets the packet, then the
                // newest.
                freshest = Some((life.refreshed, life.serial));
                verdict = Ok((*id, *internal));
            }
        }
        verdict
    }

    fn received(&mut self, now: Instant, id: Id, refresh: bool) {
        if let Some(life) = self.mappings.value_mut(id) {
            life.replied = true;
            if refresh {
                life.refreshed = now;
            }
        }
    }

    /// Whether `external` is free. Removes an expired mapping that uses it.
    fn is_free(&mut self, now: Instant, external: Endpoint, config: &TranslatorConfig, ports: &mut Ports) -> bool {
        let Some((_, id)) = self.external.find(external).and_then(|index| self.external.get(index)) else {
            return true;
        };
        let id = *id;
        let dead = self.mappings.get(id).is_none_or(|(_, life)| life.expires(config.timers) <= now);
        if dead {
            self.remove(id, config, ports);
        }
        dead
    }

    fn remove(&mut self, id: Id, config: &TranslatorConfig, ports: &mut Ports) {
        let Some((_, life)) = self.mappings.remove(id) else { return };
        self.external.remove(life.index);
        ports.release(config.allocation, config.range, life.external);
        let mut contact = life.contact;
        while let Some((_, before)) = self.contacts.remove(contact) {
            contact = before;
        }
    }

    /// Removes the expired mappings. Returns whether there was one.
    fn sweep(&mut self, now: Instant, config: &TranslatorConfig, ports: &mut Ports) -> bool {
        if now < self.next_sweep {
            return false;
        }
        let expiry = |life: &Life| life.expires(config.timers);
        let dead: Vec<Id> = self.mappings.iter().filter(|(.., life)| expiry(life) <= now).map(|(id, ..)| id).collect();
        for id in &dead {
            self.remove(*id, config, ports);
        }
        let shortest = config.timers.unreplied.min(config.timers.replied);
        let shortest = config.timers.absolute.map_or(shortest, |cap| cap.min(shortest));
        // A reply may shorten a lifetime, so each mapping counts with its shortest possible lifetime.
        let next = self.mappings.iter().map(|(.., life)| expiry(life).min(life.refreshed + shortest)).min();
        self.next_sweep = next.map_or(now + shortest, |next| next.min(now + shortest));
        !dead.is_empty()
    }
}

fn rewrite_addresses(payload: &mut [u8], from: Ipv4Addr, to: Ipv4Addr) -> usize {
    let mut rewritten = 0;
    let mut rest = payload;
    while let Some(place) = rest.first_chunk_mut::<4>() {
        let found = *place == from.octets();
        if found {
            *place = to.octets();
            rewritten += 1;
        }
        let (_, after) = core::mem::take(&mut rest).split_at_mut(if found { 4 } else { 1 });
        rest = after;
    }
    rewritten
}

#[cfg(test)]
mod tests;
