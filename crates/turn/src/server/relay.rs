//! The data path: ChannelData and Send indications of clients, datagrams of peers, ICMP errors (RFC 8656 §11, §12).
//!
//! Rules of this file: the functions decide and change nothing. `handle` and `forward` of the server share them, so
//! both give the same result. Only [`Server::count_to_peer`] and [`Server::count_to_client`] change the server, when the
//! datagram is certain to be relayed. Data never refreshes a permission or a channel. ChannelData of a client needs a
//! bound channel and no permission (§12.6); all else needs a permission.
//!
//! The functions for each datagram are parts of their callers (`inline(always)`). Otherwise a [`Forward`] is copied from
//! function to function. Such a copy is slow: it reads words whose parts were written just before, so the processor cannot
//! forward the stores to the loads.

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
use portolan_machine::{Cx, Datagram, Forward, Instant, Output, Unreachability, WhenFull};
use portolan_stun::demux::ChannelData;
use portolan_stun::{AddressFamily, Attribute, Class, Icmp, Method, TransactionId, Writer};

/// A datagram that is relayed to a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToPeer<'a> {
    pub(super) slot: Slot,
    pub(super) forward: Forward<'a>,
    /// The bandwidth of the allocation that is left, if there is a limit.
    pub(super) bucket: Option<Bucket>,
}

/// A datagram of a peer that is relayed to a client. [`Server::count_to_client`] makes the [`Forward`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ToClient {
    slot: Slot,
    envelope: Envelope,
    bucket: Option<Bucket>,
}

/// The message that contains the data of a peer.
#[derive(Clone, Copy, Debug)]
enum Envelope {
    /// ChannelData with this header.
    Channel([u8; 4]),
    /// A Data indication.
    Data,
}

impl Allocation {
    /// The bandwidth that is left after this datagram, if there is a limit.
    #[inline(always)]
    fn bandwidth(&self, now: Instant, limit: Option<Bandwidth>, bytes: usize) -> Result<Option<Bucket>, ServerDropped> {
        let Some(limit) = limit else { return Ok(None) };
        self.bucket.take(now, limit, bytes).map(Some).ok_or(ServerDropped::Bandwidth)
    }

    /// Uses the bandwidth of a datagram.
    #[inline]
    const fn spend(&mut self, left: Option<Bucket>) {
        if let Some(left) = left {
            self.bucket = left;
        }
    }
}

impl Server {
    /// Counts a datagram to a peer, and returns it.
    #[inline(always)]
    pub(super) fn count_to_peer<'a>(&mut self, decided: ToPeer<'a>) -> Forward<'a> {
        let bytes = decided.forward.body.len();
        self.stats.relayed.to_peers.add(bytes);
        if let Some(allocation) = self.table.get_mut(decided.slot) {
            allocation.totals.to_peers.add(bytes);
            allocation.spend(decided.bucket);
        }
        decided.forward
    }

    /// Counts a datagram of a peer, and returns it in its envelope. The transaction id of a Data indication is drawn now.
    #[inline(always)]
    pub(super) fn count_to_client<'a>(
        &mut self,
        cx: &mut Cx<'_>,
        decided: ToClient,
        datagram: &Datagram<'a>,
    ) -> Option<Forward<'a>> {
        let (peer, data) = (datagram.remote, datagram.payload);
        self.stats.relayed.to_client.add(data.len());
        let allocation = self.table.get_mut(decided.slot)?;
        allocation.totals.to_client.add(data.len());
        allocation.spend(decided.bucket);
        let client = &allocation.client;
        let forward = Forward::new(client.socket, client.remote, data);
        match (decided.envelope, client.path) {
            (Envelope::Channel(head), ClientPath::Udp(None)) => forward.with_head(&head),
            (Envelope::Channel(head), ClientPath::Udp(Some(local))) => forward.with_local(local).with_head(&head),
            // Only a stream needs the padding (§12.5).
            (Envelope::Channel(head), ClientPath::Stream) => {
                forward.with_when_full(WhenFull::Drop).padded().with_head(&head)
            }
            (Envelope::Data, path) => {
                let head = IndicationKind::Data.head(self.ids.next(cx), peer, data.len())?;
                let forward = match path {
                    ClientPath::Udp(Some(local)) => forward.with_local(local),
                    ClientPath::Udp(None) => forward,
                    ClientPath::Stream => forward.with_when_full(WhenFull::Drop),
                };
                forward.padded().with_head(head.as_slice())
            }
        }
    }

    /// Queues a datagram. The caller has checked that the queue has room.
    pub(super) fn transmit(&mut self, forward: &Forward<'_>) {
        let had_room = self.out.offer(Output::Transmit(forward.to_transmit()));
        debug_assert!(had_room, "the room was checked");
    }
}

/// The longest data in a Data indication that fits into a UDP datagram, with the head of the indication.
const LONGEST: usize = 65_507 - 48 - 3;

impl Allocation {
    /// The reason of a refusal: the allocation itself, if it is over.
    #[cold]
    fn refused(&self, now: Instant, why: ServerDropped) -> ServerDropped {
        let is_over = self.pending.is_some() || self.has_expired(now);
        if is_over { ServerDropped::NoAllocation } else { why }
    }
}

/// ChannelData of a client (§12.6).
#[inline(always)]
pub(super) fn channel_data<'a>(
    table: &Table,
    (now, limit): (Instant, Option<Bandwidth>),
    client: ClientKey<'_>,
    payload: &'a [u8],
) -> Result<ToPeer<'a>, ServerDropped> {
    let (slot, allocation) = table.by_client(client).ok_or(ServerDropped::NoAllocation)?;
    let hash = table.hash().ok_or(ServerDropped::NoAllocation)?;
    let refused = |why| allocation.refused(now, why);
    let ChannelData { number, data } =
        ChannelData::decode(payload).map_err(|_| refused(ServerDropped::ChannelDataInvalid))?;
    let further;
    let peer = match allocation.peers.first_by_number(now, number) {
        Some(peer) => peer,
        None => {
            let found = allocation.peers.by_number(hash, now, number);
            further = found.ok_or_else(|| refused(ServerDropped::NoChannel))?;
            &further
        }
    };
    to_peer(slot, allocation, (now, limit), peer, data)
}

/// A Send indication of a client (§11.2).
pub(super) fn send<'a>(
    table: &Table,
    (now, limit): (Instant, Option<Bandwidth>),
    client: ClientKey<'_>,
    payload: &'a [u8],
    (policy, listeners): (&PeerPolicy, &Listeners),
) -> Result<ToPeer<'a>, ServerDropped> {
    let (slot, allocation) = table.by_client(client).ok_or(ServerDropped::NoAllocation)?;
    let hash = table.hash().ok_or(ServerDropped::NoAllocation)?;
    let refused = |why| Err(allocation.refused(now, why));
    let indication = Indication::decode(payload).filter(|indication| indication.kind == IndicationKind::Send);
    let Some(Indication { peer, data, .. }) = indication else { return refused(ServerDropped::SendInvalid) };
    if allocation.is_tcp {
        return refused(ServerDropped::TcpAllocation);
    }
    if !allocation.peers.permits(hash, now, peer.ip()) {
        return refused(ServerDropped::NoPermission);
    }
    // The policy permitted the address when the permission was made. Only the port is new.
    if peer.port() == 0 || listeners.has_port(peer.port()) && policy.judge_port(listeners.own(), peer).is_err() {
        return refused(ServerDropped::Forbidden);
    }
    to_peer(slot, allocation, (now, limit), &peer, data)
}

#[inline(always)]
fn to_peer<'a>(
    slot: Slot,
    allocation: &Allocation,
    (now, limit): (Instant, Option<Bandwidth>),
    peer: &SocketAddr,
    data: &'a [u8],
) -> Result<ToPeer<'a>, ServerDropped> {
    let relay = allocation
        .live_relay(now, family_of(peer.ip()))
        .ok_or_else(|| allocation.refused(now, ServerDropped::OtherFamily))?;
    let bucket = allocation.bandwidth(now, limit, data.len())?;
    Ok(ToPeer { slot, forward: Forward::new(relay.socket, *peer, data), bucket })
}

/// A datagram of a peer to a relay socket (§11.3, §12.7).
#[inline]
pub(super) fn from_peer(
    table: &Table,
    (now, limit): (Instant, Option<Bandwidth>),
    (slot, family): (Slot, AddressFamily),
    datagram: &Datagram<'_>,
) -> Result<ToClient, ServerDropped> {
    let allocation = table.get(slot).ok_or(ServerDropped::NoAllocation)?;
    allocation.live_relay(now, family).ok_or(ServerDropped::NoAllocation)?;
    let hash = table.hash().ok_or(ServerDropped::NoAllocation)?;
    let permitted = allocation.peers.by_peer(hash, now, &datagram.remote).ok_or(ServerDropped::NoPermission)?;
    let length = datagram.payload.len();
    let bucket = allocation.bandwidth(now, limit, length)?;
    let envelope = match permitted.channel {
        Some(number) => Envelope::Channel(ChannelData::head(number, length).ok_or(ServerDropped::TooLong)?),
        None if length > LONGEST => return Err(ServerDropped::TooLong),
        None => Envelope::Data,
    };
    Ok(ToClient { slot, envelope, bucket })
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
