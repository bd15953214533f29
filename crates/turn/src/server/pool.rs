//! The relay addresses of a server: their free ports, and the reservations of RESERVATION-TOKEN (RFC 8656 §7.2).
//!
//! Rules of this file: a port is free, or used by one relay socket, or reserved. A reservation lasts 30 seconds, and
//! only the user that made it can use it. It counts as an allocation in the quotas of its user and its source, so it
//! cannot be used to take more ports than a quota allows.

use super::allocation::{Owner, PortRequest, family_of};
use super::config::{RelayAddress, ServerConfig};
use super::ports::Ports;
use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, Instant, TimerId, Timers};
use portolan_stun::AddressFamily;

/// The lifetime of a reservation (RFC 8656 §7.2).
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// A RESERVATION-TOKEN.
pub(super) type Token = [u8; 8];

/// The relay addresses with their ports.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    v4: Option<FamilyPool>,
    v6: Option<FamilyPool>,
    reservations: BTreeMap<Token, Reservation>,
    timers: Timers<Token>,
}

#[derive(Clone, Debug)]
struct FamilyPool {
    address: RelayAddress,
    ports: Ports,
}

/// A reserved port.
#[derive(Clone, Debug)]
pub(super) struct Reservation {
    pub(super) owner: Owner,
    pub(super) family: AddressFamily,
    pub(super) port: u16,
    expires: Instant,
    timer: TimerId,
}

impl Pool {
    pub(super) fn new(config: &ServerConfig) -> Self {
        let (first, last) = config.ports;
        let pool = |family| {
            let address = config.relays.iter().find(|relay| family_of(relay.public) == family)?;
            Some(FamilyPool { address: *address, ports: Ports::new(first, last) })
        };
        Self {
            v4: pool(AddressFamily::Ipv4),
            v6: pool(AddressFamily::Ipv6),
            reservations: BTreeMap::new(),
            timers: Timers::new(),
        }
    }

    const fn family(&self, family: AddressFamily) -> Option<&FamilyPool> {
        match family {
            AddressFamily::Ipv4 => self.v4.as_ref(),
            AddressFamily::Ipv6 => self.v6.as_ref(),
        }
    }

    const fn family_mut(&mut self, family: AddressFamily) -> Option<&mut FamilyPool> {
        match family {
            AddressFamily::Ipv4 => self.v4.as_mut(),
            AddressFamily::Ipv6 => self.v6.as_mut(),
        }
    }

    /// Whether there is a relay address of this family.
    pub(super) const fn supports(&self, family: AddressFamily) -> bool {
        self.family(family).is_some()
    }

    /// The address of a relay socket on this host.
    pub(super) fn local(&self, family: AddressFamily, port: u16) -> Option<SocketAddr> {
        self.family(family).map(|pool| SocketAddr::new(pool.address.local, port))
    }

    /// The address of a relay socket, as reported to clients.
    pub(super) fn public(&self, family: AddressFamily, port: u16) -> Option<SocketAddr> {
        self.family(family).map(|pool| SocketAddr::new(pool.address.public, port))
    }

    /// Takes a free port. For [`PortRequest::Pair`] the next port is taken too. A reserved port is not taken here.
    pub(super) fn take(&mut self, cx: &mut Cx<'_>, family: AddressFamily, request: PortRequest) -> Option<u16> {
        let ports = &mut self.family_mut(family)?.ports;
        match request {
            PortRequest::Any => ports.take(cx),
            PortRequest::Even => ports.take_even(cx),
            PortRequest::Pair => ports.take_pair(cx),
            PortRequest::Reserved(_) => None,
        }
    }

    /// Releases a port.
    pub(super) fn release(&mut self, family: AddressFamily, port: u16) {
        if let Some(pool) = self.family_mut(family) {
            pool.ports.release(port);
        }
    }

    /// Reserves a taken port for a user. The caller has counted the reservation in the quotas.
    pub(super) fn reserve(&mut self, cx: &mut Cx<'_>, family: AddressFamily, port: u16, owner: Owner) -> Token {
        let token = cx.random();
        let expires = cx.now() + RESERVATION_LIFETIME;
        let timer = self.timers.insert(expires, token);
        self.reservations.insert(token, Reservation { owner, family, port, expires, timer });
        token
    }

    /// Whether the token is valid for this account.
    pub(super) fn has_reservation(&self, now: Instant, token: Token, account: &str) -> bool {
        self.reservations.get(&token).is_some_and(|found| *found.owner.account == *account && found.expires > now)
    }

    /// Ends a reservation, and returns it. Its port is still taken.
    pub(super) fn claim(&mut self, token: Token) -> Option<Reservation> {
        let reservation = self.reservations.remove(&token)?;
        self.timers.cancel(reservation.timer);
        Some(reservation)
    }

    /// Removes a reservation whose time is over, releases its port, and returns it.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Reservation> {
        let token = self.timers.pop_due(now)?;
        let reservation = self.reservations.remove(&token)?;
        self.release(reservation.family, reservation.port);
        Some(reservation)
    }

    /// The end of the next reservation.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }
}
