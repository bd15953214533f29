//! The data path: ChannelData and Send indications of clients, datagrams of peers, ICMP errors (RFC 8656 §11, §12).
//!
//! Rules of this file: the functions decide and change nothing. `handle` and `forward` of the server share them, so
//! both give the same result. The only exception is the transaction id of a Data indication: it is drawn last, when
//! the datagram is certain to be relayed. Data never refreshes a permission or a channel. ChannelData of a client needs
//! a bound channel and no permission (§12.6); all else needs a permission.

use super::Server;
use super::allocation::{Allocation, Client, ClientKey, ClientPath, family_of};
use super::listeners::Listeners;
use super::policy::PeerPolicy;
use super::quota::{Bandwidth, Bucket};
use super::table::{Slot, Table};
use crate::indication::{Indication, IndicationKind};
use crate::note::ServerDropped;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Datagram, Forward, Instant, Output, Unreachability, WhenFull};
use portolan_stun::demux::ChannelData;
use portolan_stun::{AddressFamily, Attribute, Class, Icmp, Method, TransactionId, Writer};

/// A datagram that is relayed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relayed<'a> {
    pub(super) slot: Slot,
    pub(super) forward: Forward<'a>,
    /// The length of the application data.
    pub(super) bytes: usize,
    /// The bandwidth of the allocation that is left.
    pub(super) bucket: Bucket,
}

impl Allocation {
    /// The bandwidth that is left after this datagram.
    #[inline]
    fn bandwidth(&self, now: Instant, limit: Option<Bandwidth>, bytes: usize) -> Result<Bucket, ServerDropped> {
        match limit {
            None => Ok(self.bucket),
            Some(limit) => self.bucket.take(now, limit, bytes).ok_or(ServerDropped::Bandwidth),
        }
    }
}

impl Server {
    /// Queues a relayed datagram. The caller has checked that the queue has room.
    pub(super) fn transmit(&mut self, relayed: Relayed<'_>) {
        let had_room = self.out.offer(Output::Transmit(relayed.forward.to_transmit()));
        debug_assert!(had_room, "the room was checked");
    }

    pub(super) fn count_to_peer(&mut self, relayed: &Relayed<'_>) {
        self.stats.relayed.to_peers.add(relayed.bytes);
        if let Some(allocation) = self.table.get_mut(relayed.slot) {
            allocation.totals.to_peers.add(relayed.bytes);
            allocation.bucket = relayed.bucket;
        }
    }

    pub(super) fn count_to_client(&mut self, relayed: &Relayed<'_>) {
        self.stats.relayed.to_client.add(relayed.bytes);
        if let Some(allocation) = self.table.get_mut(relayed.slot) {
            allocation.totals.to_client.add(relayed.bytes);
            allocation.bucket = relayed.bucket;
        }
    }
}

/// The longest data in a Data indication that fits into a UDP datagram, with the head of the indication.
const LONGEST: usize = 65_507 - 48 - 3;

/// The allocation of a client, if it is open and has not expired.
#[inline]
fn allocation_of<'t>(
    table: &'t Table,
    now: Instant,
    client: ClientKey<'_>,
) -> Result<(Slot, &'t Allocation), ServerDropped> {
    let (slot, allocation) = table.by_client(client).ok_or(ServerDropped::NoAllocation)?;
    if allocation.pending.is_some() || allocation.has_expired(now) {
        return Err(ServerDropped::NoAllocation);
    }
    Ok((slot, allocation))
}

/// ChannelData of a client (§12.6).
#[inline]
pub(super) fn channel_data<'a>(
    table: &Table,
    (now, limit): (Instant, Option<Bandwidth>),
    client: ClientKey<'_>,
    payload: &'a [u8],
) -> Result<Relayed<'a>, ServerDropped> {
    let (slot, allocation) = allocation_of(table, now, client)?;
    let ChannelData { number, data } = ChannelData::decode(payload).map_err(|_| ServerDropped::ChannelDataInvalid)?;
    let hash = table.hash().ok_or(ServerDropped::NoAllocation)?;
    let peer = allocation.peers.by_number(hash, now, number).ok_or(ServerDropped::NoChannel)?;
    to_peer(slot, allocation, (now, limit), peer, data)
}

/// A Send indication of a client (§11.2).
pub(super) fn send<'a>(
    table: &Table,
    (now, limit): (Instant, Option<Bandwidth>),
    client: ClientKey<'_>,
    payload: &'a [u8],
    (policy, listeners): (&PeerPolicy, &Listeners),
) -> Result<Relayed<'a>, ServerDropped> {
    let (slot, allocation) = allocation_of(table, now, client)?;
    let indication = Indication::decode(payload).filter(|indication| indication.kind == IndicationKind::Send);
    let Indication { peer, data, .. } = indication.ok_or(ServerDropped::SendInvalid)?;
    if allocation.is_tcp {
        return Err(ServerDropped::TcpAllocation);
    }
    let hash = table.hash().ok_or(ServerDropped::NoAllocation)?;
    if !allocation.peers.permits(hash, now, peer.ip()) {
        return Err(ServerDropped::NoPermission);
    }
    // The policy permitted the address when the permission was made. Only the port is new.
    if peer.port() == 0 || listeners.has_port(peer.port()) && policy.judge_port(listeners.own(), peer).is_err() {
        return Err(ServerDropped::Forbidden);
    }
    to_peer(slot, allocation, (now, limit), peer, data)
}

#[inline]
fn to_peer<'a>(
    slot: Slot,
    allocation: &Allocation,
    (now, limit): (Instant, Option<Bandwidth>),
    peer: SocketAddr,
    data: &'a [u8],
) -> Result<Relayed<'a>, ServerDropped> {
    let relay = allocation.live_relay(now, family_of(peer.ip())).ok_or(ServerDropped::OtherFamily)?;
    let bucket = allocation.bandwidth(now, limit, data.len())?;
    Ok(Relayed { slot, forward: Forward::new(relay.socket, peer, data), bytes: data.len(), bucket })
}

/// A datagram of a peer to a relay socket (§11.3, §12.7). `id` draws the transaction id of a Data indication.
#[inline]
pub(super) fn from_peer<'a>(
    table: &Table,
    (now, limit): (Instant, Option<Bandwidth>),
    (slot, family): (Slot, AddressFamily),
    datagram: &Datagram<'a>,
    id: impl FnOnce() -> TransactionId,
) -> Result<Relayed<'a>, ServerDropped> {
    let allocation = table.get(slot).ok_or(ServerDropped::NoAllocation)?;
    allocation.live_relay(now, family).ok_or(ServerDropped::NoAllocation)?;
    let hash = table.hash().ok_or(ServerDropped::NoAllocation)?;
    let (peer, data) = (datagram.remote, datagram.payload);
    let permitted = allocation.peers.by_peer(hash, now, peer).ok_or(ServerDropped::NoPermission)?;
    let bucket = allocation.bandwidth(now, limit, data.len())?;
    let client = &allocation.client;
    let forward = Forward::new(client.socket, client.remote, data);
    let forward = match permitted.channel {
        Some(number) => {
            let head = ChannelData::head(number, data.len()).ok_or(ServerDropped::TooLong)?;
            let forward = forward.with_head(&head).ok_or(ServerDropped::TooLong)?;
            // Over UDP the padding is not needed (§12.5).
            if client.path == ClientPath::Stream { forward.padded() } else { forward }
        }
        None => {
            // Checked before an id is drawn.
            if data.len() > LONGEST {
                return Err(ServerDropped::TooLong);
            }
            let head = IndicationKind::Data.head(id(), peer, data.len()).ok_or(ServerDropped::TooLong)?;
            forward.with_head(head.as_slice()).ok_or(ServerDropped::TooLong)?.padded()
        }
    };
    let forward = match client.path {
        ClientPath::Udp(Some(local)) => forward.with_local(local),
        ClientPath::Udp(None) => forward,
        ClientPath::Stream => forward.with_when_full(WhenFull::Drop),
    };
    Ok(Relayed { slot, forward, bytes: data.len(), bucket })
}

/// The Data indication with ICMP for a datagram that did not reach its peer (§11.5).
pub(super) fn unreachable(
    table: &Table,
    now: Instant,
    (slot, family): (Slot, AddressFamily),
    (peer, why): (SocketAddr, Unreachability),
    id: impl FnOnce() -> TransactionId,
) -> Result<(Client, Bytes), ServerDropped> {
    let allocation = table.get(slot).ok_or(ServerDropped::NoAllocation)?;
    allocation.live_relay(now, family).ok_or(ServerDropped::NoAllocation)?;
    let hash = table.hash().ok_or(ServerDropped::NoAllocation)?;
    if !allocation.peers.permits(hash, now, peer.ip()) {
        return Err(ServerDropped::NoPermission);
    }
    let icmp = icmp(peer.ip(), why).ok_or(ServerDropped::Icmp)?;
    let mut buffer = [0; 20 + 24 + 12];
    let write = || {
        let mut writer = Writer::new(&mut buffer, Class::Indication, Method::DATA, id())?;
        writer.add(&Attribute::XorPeerAddress(peer))?;
        writer.add(&Attribute::Icmp(icmp))?;
        Ok::<_, portolan_stun::EncodeError>(Bytes::copy_from_slice(writer.finish()))
    };
    Ok((allocation.client, write().map_err(|_| ServerDropped::Unwritable)?))
}

/// The type and code of ICMPv4 (RFC 792) or ICMPv6 (RFC 4443). The driver does not report the MTU of the next hop, so
/// the data is 0.
const fn icmp(peer: IpAddr, why: Unreachability) -> Option<Icmp> {
    let (kind, code) = match (why, peer.is_ipv4()) {
        (Unreachability::Network, true) => (3, 0),
        (Unreachability::Host, true) => (3, 1),
        (Unreachability::Port, true) => (3, 3),
        (Unreachability::TooLarge, true) => (3, 4),
        (Unreachability::Prohibited, true) => (3, 13),
        (Unreachability::HopLimit, true) => (11, 0),
        (Unreachability::Network, false) => (1, 0),
        (Unreachability::Prohibited, false) => (1, 1),
        (Unreachability::Host, false) => (1, 3),
        (Unreachability::Port, false) => (1, 4),
        (Unreachability::TooLarge, false) => (2, 0),
        (Unreachability::HopLimit, false) => (3, 0),
        _ => return None,
    };
    Some(Icmp { kind, code, data: 0 })
}
