//! Allocations from the Allocate request to their end (RFC 8656 §7.2).
//!
//! Rules of this file: the response to Allocate is sent when the system has opened the relay sockets. If the system
//! refuses a port, another port takes a new socket id, a bounded number of times. Every way in which an allocation
//! ends is [`Server::free`] or [`Server::abandon`]: both release its ports, its quotas and its sockets.

use super::Server;
use super::allocation::{Allocation, Client, ClientPath, Owner, Pending, PortRequest, Relay};
use super::reply::{Asked, Reply};
use super::request::{self, AllocateRequest, Families, TcpSupport};
use super::table::Slot;
use crate::event::{FreedReason, RelayedAddresses, ServerEvent};
use crate::note::{RequestRefusal, ServerDropped, ServerNote};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, Instant, Open, Output, Protocol, Refusal, SocketId, SocketOrder};
use portolan_stun::{AddressErrorCode, AddressFamily, Attribute, ErrorCode};
use portolan_stun_agent::authenticator::Admitted;

/// The number of ports that are tried for a relay socket.
const TRIES: u8 = 8;

impl Server {
    /// An Allocate request. `slot`: the allocation of the client.
    pub(super) fn allocate(&mut self, cx: &mut Cx<'_>, client: Client, admitted: Admitted<'_>, slot: Option<Slot>) {
        let request = &admitted.message;
        if let Some(slot) = slot {
            return self.allocate_again(cx, client, &admitted, slot);
        }
        let owner = Owner { account: admitted.account.clone(), source: client.remote.ip().into() };
        let begun = self.decide_allocate(cx, &client, &admitted, &owner);
        let asked = Asked::new(request, admitted.signature);
        match begun {
            Err(why) => self.refuse(cx, &client, &asked, why),
            Ok((AllocateRequest { ports, lifetime, families: wanted, is_tcp }, families)) => {
                let pending = Pending { asked, lifetime, ports, refusals: 0 };
                let mut allocation = Allocation::new(client, (admitted.username, owner), pending);
                allocation.is_tcp = is_tcp;
                self.begin(cx, allocation, wanted == Families::Dual, families);
            }
        }
    }

    /// An Allocate request of a client with an allocation: a retransmission, or 437.
    fn allocate_again(&mut self, cx: &mut Cx<'_>, client: Client, admitted: &Admitted<'_>, slot: Slot) {
        let request = &admitted.message;
        let asked = Asked::new(request, admitted.signature.clone());
        let Some(allocation) = self.table.get(slot) else { return };
        if allocation.transaction != request.transaction_id() || *allocation.user != *admitted.username {
            self.refuse(cx, &client, &asked, RequestRefusal::AllocationExists);
        } else if allocation.pending.is_some() {
            self.drop_message(cx, client.remote, ServerDropped::Pending);
        } else {
            self.answer_allocate(cx, slot, &asked);
        }
    }

    /// Decides about a new allocation, and takes its quotas. Returns the families to open, the missing one of a dual
    /// allocation left out.
    fn decide_allocate(
        &mut self,
        cx: &mut Cx<'_>,
        client: &Client,
        admitted: &Admitted<'_>,
        owner: &Owner,
    ) -> Result<(AllocateRequest, [Option<AddressFamily>; 2]), RequestRefusal> {
        let lifetimes = self.config.lifetimes.until(cx.now(), admitted.expires);
        let tcp = match client.path {
            _ if self.config.limits.connections == 0 => TcpSupport::Disabled,
            ClientPath::Stream => TcpSupport::OverStream,
            ClientPath::Udp(_) => TcpSupport::OverUdp,
        };
        let wanted = request::allocate(&admitted.message, lifetimes, tcp, |family| self.pool.supports(family))?;
        if self.is_draining() {
            return Err(RequestRefusal::Draining);
        }
        let families = match (wanted.families, wanted.ports) {
            (Families::One(family), _) => [Some(family), None],
            (Families::Dual, _) => {
                let family = |family| Some(family).filter(|family| self.pool.supports(*family));
                [family(AddressFamily::Ipv4), family(AddressFamily::Ipv6)]
            }
            (Families::Reserved, PortRequest::Reserved(token)) => {
                if !self.pool.has_reservation(cx.now(), token, &owner.account) {
                    return Err(RequestRefusal::TokenInvalid);
                }
                return Ok((wanted, [None, None]));
            }
            (Families::Reserved, PortRequest::Any | PortRequest::Even | PortRequest::Pair) => [None, None],
        };
        self.quotas.take(owner, &self.config.limits)?;
        if wanted.ports == PortRequest::Pair
            && let Err(why) = self.quotas.take(owner, &self.config.limits)
        {
            self.quotas.release(owner);
            return Err(why);
        }
        Ok((wanted, families))
    }

    /// Creates an allocation and orders its relay sockets. `ports` is that of its request.
    fn begin(
        &mut self,
        cx: &mut Cx<'_>,
        mut allocation: Allocation,
        is_dual: bool,
        families: [Option<AddressFamily>; 2],
    ) {
        for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
            if is_dual && !self.pool.supports(family) {
                allocation.missing = Some((family, ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED));
            }
        }
        let (ports, owner) = (allocation.pending.as_ref().map(|pending| pending.ports), allocation.owner.clone());
        self.streams.keep(allocation.client.socket);
        let slot = self.table.insert(cx, allocation);
        if let Some(PortRequest::Reserved(token)) = ports
            && let Some(reservation) = self.pool.claim(token)
        {
            // The quotas of the reservation become those of the allocation.
            self.quotas.release(&reservation.owner);
            if let Err(why) = self.quotas.take(&owner, &self.config.limits) {
                self.pool.release(reservation.family, reservation.port);
                return self.abandon_without_quota(cx, slot, why);
            }
            self.order_relay(cx, slot, reservation.family, reservation.port);
        }
        for family in families.into_iter().flatten() {
            self.open_relay(cx, slot, family);
        }
        self.settle(cx, slot, RequestRefusal::NoPort);
    }

    /// Takes a port and orders its relay socket. Without a free port the family is missing.
    fn open_relay(&mut self, cx: &mut Cx<'_>, slot: Slot, family: AddressFamily) {
        let Some(pending) = self.table.get(slot).and_then(|allocation| allocation.pending.as_ref()) else { return };
        match self.pool.take(cx, family, pending.ports) {
            Some(port) => self.order_relay(cx, slot, family, port),
            None => self.miss(slot, family),
        }
    }

    fn order_relay(&mut self, cx: &mut Cx<'_>, slot: Slot, family: AddressFamily, port: u16) {
        let Some(local) = self.pool.local(family, port) else { return };
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let lifetime = allocation.pending.as_ref().map_or(Duration::ZERO, |pending| pending.lifetime);
        let protocol = if allocation.is_tcp { Protocol::TcpListen } else { Protocol::Udp };
        let (socket, expires) = (cx.next_socket(), cx.now() + lifetime);
        allocation.set_relay(family, Some(Relay { socket, port, is_open: false, expires: expires.into() }));
        self.table.add_relay(socket, slot, family);
        // Without a report of the driver the allocation ends with its lifetime.
        self.table.wake_at(slot, expires);
        let open = Open::new(socket, protocol, local);
        // The server connects to peers from the address on which it listens (RFC 6062 §5.2).
        let open = if protocol.is_listener() { open.sharing_port() } else { open };
        self.out.push(Output::Socket(SocketOrder::Open(open)));
    }

    /// Notes that a family has no relay socket.
    fn miss(&mut self, slot: Slot, family: AddressFamily) {
        if let Some(allocation) = self.table.get_mut(slot) {
            allocation.missing = Some((family, ErrorCode::INSUFFICIENT_CAPACITY));
        }
    }

    /// A relay socket is open.
    pub(super) fn relay_opened(&mut self, cx: &mut Cx<'_>, slot: Slot, family: AddressFamily) {
        if let Some(relay) = self.table.get_mut(slot).and_then(|allocation| allocation.relay_mut(family)) {
            relay.is_open = true;
        }
        self.settle(cx, slot, RequestRefusal::NoPort);
    }

    /// The system refused a relay socket: the next port is tried, unless the refusal does not depend on the port.
    pub(super) fn relay_refused(&mut self, cx: &mut Cx<'_>, slot: Slot, family: AddressFamily, why: Refusal) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let Some(relay) = allocation.relay(family).copied().filter(|relay| !relay.is_open) else { return };
        let Some(pending) = allocation.pending.as_mut() else { return };
        pending.refusals = pending.refusals.saturating_add(1);
        let ports = pending.ports;
        let is_retried = pending.refusals < TRIES
            && matches!(why, Refusal::AddressInUse | Refusal::PermissionDenied)
            && !matches!(ports, PortRequest::Reserved(_));
        allocation.set_relay(family, None);
        self.table.remove_relay(relay.socket, slot, family);
        let Some(local) = self.pool.local(family, relay.port) else { return };
        cx.note(|| ServerNote::RelayRefused { local, why });
        if is_retried {
            self.open_relay(cx, slot, family);
        } else {
            self.miss(slot, family);
        }
        // The refused port is released after the next one was taken, so that it is not tried again at once.
        self.release_ports(ports, family, relay.port);
        self.settle(cx, slot, RequestRefusal::RelayRefused(why));
    }

    /// Releases the ports of a relay socket of a pending allocation.
    fn release_ports(&mut self, ports: PortRequest, family: AddressFamily, port: u16) {
        self.pool.release(family, port);
        if ports == PortRequest::Pair {
            self.pool.release(family, port + 1);
        }
    }

    /// Sends the response if no relay socket of the allocation is awaited any more: success if one is open.
    fn settle(&mut self, cx: &mut Cx<'_>, slot: Slot, why: RequestRefusal) {
        let Some(allocation) = self.table.get(slot) else { return };
        if allocation.relays().any(|(_, relay)| !relay.is_open) {
            return;
        }
        if allocation.relays().next().is_none() {
            return self.abandon(cx, slot, why);
        }
        self.complete(cx, slot);
    }

    /// The relay sockets are open: the allocation begins.
    fn complete(&mut self, cx: &mut Cx<'_>, slot: Slot) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let Some(pending) = allocation.pending.take() else { return };
        let expires = cx.now() + pending.lifetime;
        for (family, relay) in allocation.relays() {
            allocation.set_relay(family, Some(Relay { expires: expires.into(), ..relay }));
        }
        let (owner, first) = (allocation.owner.clone(), allocation.relays().next());
        if let (PortRequest::Pair, Some((family, relay))) = (pending.ports, first) {
            let token = self.pool.reserve(cx, family, relay.port + 1, owner);
            if let Some(allocation) = self.table.get_mut(slot) {
                allocation.token = Some(token);
            }
        }
        self.table.wake_at(slot, expires);
        self.stats.allocations += 1;
        self.answer_allocate(cx, slot, &pending.asked);
        let Some(allocation) = self.table.get(slot) else { return };
        let (client, relayed) = (allocation.client_id(), self.relayed(allocation));
        self.out.push(Output::Event(ServerEvent::Allocated { client, relayed, lifetime: pending.lifetime }));
    }

    /// The relayed addresses of an allocation, as reported to the client.
    pub(super) fn relayed(&self, allocation: &Allocation) -> RelayedAddresses {
        let public = |family| {
            let relay = allocation.relay(family).filter(|relay| relay.is_open)?;
            self.pool.public(family, relay.port)
        };
        RelayedAddresses { v4: public(AddressFamily::Ipv4), v6: public(AddressFamily::Ipv6) }
    }

    /// Sends the success response to Allocate. For a retransmission the lifetime is the time that is left.
    fn answer_allocate(&mut self, cx: &mut Cx<'_>, slot: Slot, asked: &Asked) {
        let Some(allocation) = self.table.get(slot) else { return };
        let client = allocation.client;
        let left = allocation.expires().map_or(Duration::ZERO, |expires| expires - cx.now());
        let lifetime = Attribute::Lifetime(u32::try_from(left.as_secs()).unwrap_or(u32::MAX));
        let RelayedAddresses { v4, v6 } = self.relayed(allocation);
        let relayed = |address: SocketAddr| Attribute::XorRelayedAddress(address);
        let token = allocation.token.map(Attribute::ReservationToken);
        let missing = allocation.missing.and_then(|(family, code)| {
            let error = ErrorCode::recommended(code)?;
            Some(Attribute::AddressErrorCode(AddressErrorCode { family, error }))
        });
        let mapped = Some(Attribute::XorMappedAddress(client.remote));
        let mut attributes = [Attribute::DontFragment; 6];
        let mut count = 0;
        for attribute in
            [v4.map(relayed), v6.map(relayed), Some(lifetime), token, mapped, missing].into_iter().flatten()
        {
            if let Some(place) = attributes.get_mut(count) {
                *place = attribute;
                count += 1;
            }
        }
        self.answer(cx, &client, asked, Reply::Success(attributes.get(..count).unwrap_or_default()));
    }

    /// Removes an allocation whose relay sockets could not be opened, and sends the error response.
    fn abandon(&mut self, cx: &mut Cx<'_>, slot: Slot, why: RequestRefusal) {
        if let Some(allocation) = self.table.get(slot) {
            self.quotas.release(&allocation.owner);
            if allocation.pending.as_ref().is_some_and(|pending| pending.ports == PortRequest::Pair) {
                self.quotas.release(&allocation.owner);
            }
        }
        self.abandon_without_quota(cx, slot, why);
    }

    fn abandon_without_quota(&mut self, cx: &mut Cx<'_>, slot: Slot, why: RequestRefusal) {
        let Some(allocation) = self.table.remove(slot) else { return };
        self.streams.release(allocation.client.socket);
        if let Some(pending) = &allocation.pending {
            self.refuse(cx, &allocation.client, &pending.asked, why);
        }
        self.report_drained();
    }

    /// Ends one relayed address of an allocation, or the allocation if it is its last one.
    pub(super) fn free_relay(&mut self, slot: Slot, family: AddressFamily, why: FreedReason) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        if allocation.relays().count() <= 1 {
            return self.free(slot, why);
        }
        let Some(relay) = allocation.relay(family).copied() else { return };
        allocation.set_relay(family, None);
        self.table.remove_relay(relay.socket, slot, family);
        self.pool.release(family, relay.port);
        self.out.push(Output::Socket(SocketOrder::Close(relay.socket)));
        self.end_connections(slot, Some(family));
        let hash = self.table.hash();
        if let (Some(allocation), Some(hash)) = (self.table.get_mut(slot), hash) {
            let is_ipv4 = family == AddressFamily::Ipv4;
            allocation.peers.release(hash, Instant::ORIGIN, |ip| ip.is_ipv4() == is_ipv4);
        }
    }

    /// Ends an allocation: closes its relay sockets and releases all that it holds.
    pub(super) fn free(&mut self, slot: Slot, why: FreedReason) {
        let Some(allocation) = self.table.get(slot) else { return };
        let relayed = self.relayed(allocation);
        self.end_connections(slot, None);
        let Some(allocation) = self.table.remove(slot) else { return };
        self.streams.release(allocation.client.socket);
        self.quotas.release(&allocation.owner);
        for (family, relay) in allocation.relays() {
            self.out.push(Output::Socket(SocketOrder::Close(relay.socket)));
            self.pool.release(family, relay.port);
        }
        match &allocation.pending {
            None => {
                self.stats.freed += 1;
                let (client, totals) = (allocation.client_id(), allocation.totals);
                self.out.push(Output::Event(ServerEvent::Freed { client, relayed, why, totals }));
            }
            Some(pending) if pending.ports == PortRequest::Pair => {
                self.quotas.release(&allocation.owner);
                for (family, relay) in allocation.relays() {
                    self.pool.release(family, relay.port + 1);
                }
            }
            Some(_) => {}
        }
        self.report_drained();
    }

    /// Performs what is due for an allocation, and sets its timer again.
    pub(super) fn expire(&mut self, now: Instant, slot: Slot) {
        let Some(allocation) = self.table.get(slot) else { return };
        if allocation.has_expired(now) {
            return self.free(slot, FreedReason::Expired);
        }
        for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
            let relay = self.table.get(slot).and_then(|allocation| allocation.relay(family));
            if relay.is_some_and(|relay| relay.expires <= now.into()) {
                self.free_relay(slot, family, FreedReason::Expired);
            }
        }
        let hash = self.table.hash();
        let Some((allocation, hash)) = self.table.get_mut(slot).zip(hash) else { return };
        allocation.peers.release(hash, now, |_| false);
        if let Some(next) = allocation.next_release() {
            self.table.wake_at(slot, next);
        }
    }

    /// The socket of an opened or refused relay.
    pub(super) fn relay_of(&self, socket: SocketId) -> Option<(Slot, AddressFamily)> {
        self.table.by_relay(socket)
    }
}
