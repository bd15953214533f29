//! One socket of a gatherer, with its candidates.
//!
//! Rules of this file: a base has one reflexive candidate for each mapped address, and each of them is kept alive by
//! the server that reported it first. Candidates of one base have different preferences (RFC 8445 §5.1.2.1).

use super::config::is_host;
use super::{AddressMode, Interface, ServerFailure};
use crate::preference::STEP;
use crate::{ComponentId, LocalCandidate};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use portolan_machine::{SocketId, TimerId};
use portolan_stun::Message;

/// A socket on one address for one component.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) interface: Interface,
    pub(super) component: ComponentId,
    /// The local preference of the address.
    pub(super) preference: u16,
    pub(super) state: BaseState,
    pub(super) reflexive: Vec<Reflexive>,
}

/// The state of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BaseState {
    /// The socket was ordered; the order has this port, and this number of other ports can be tried.
    Opening { port: u16, tries_left: u16 },
    /// The socket is open.
    Open { local: SocketAddr },
}

/// A reflexive candidate and its keepalive.
#[derive(Clone, Debug)]
pub(super) struct Reflexive {
    pub(super) candidate: LocalCandidate,
    /// The server that reported the address, and that gets the keepalives.
    pub(super) server: SocketAddr,
    pub(super) timer: Option<TimerId>,
    /// The number of keepalives in a row that failed.
    pub(super) failures: u32,
}

/// The result of a mapped address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapping {
    /// A new candidate.
    New(LocalCandidate),
    /// The address of the host candidate.
    Redundant,
    /// The address of another reflexive candidate of this base.
    AlreadyKnown,
}

impl Base {
    pub(super) const fn local(&self) -> Option<SocketAddr> {
        match self.state {
            BaseState::Open { local } => Some(local),
            BaseState::Opening { .. } => None,
        }
    }

    /// The host candidate, unless the mode hides it.
    pub(super) fn host(&self, socket: SocketId, mode: AddressMode) -> Option<LocalCandidate> {
        let local = self.local().filter(|_| mode != AddressMode::DefaultRoute)?;
        Some(LocalCandidate::host(self.component, socket, local).with_preference(self.preference))
    }

    /// The candidates that were reported.
    pub(super) fn candidates(&self, socket: SocketId, mode: AddressMode) -> impl Iterator<Item = LocalCandidate> + '_ {
        self.host(socket, mode).into_iter().chain(self.reflexive.iter().map(|reflexive| reflexive.candidate))
    }

    /// Decides what a mapped address means. The candidate is not added.
    pub(super) fn map(&self, socket: SocketId, mode: AddressMode, mapped: SocketAddr, server: IpAddr) -> Mapping {
        let Some(local) = self.local() else { return Mapping::Redundant };
        let is_hidden = mode == AddressMode::DefaultRoute;
        if mapped == local && !is_hidden {
            return Mapping::Redundant;
        }
        if self.reflexive.iter().any(|known| known.candidate.address == mapped) {
            return Mapping::AlreadyKnown;
        }
        let used = |preference: &u16| self.reflexive.iter().any(|known| known.candidate.preference == *preference);
        let mut free = (0..STEP).map(|below| self.preference.saturating_sub(below));
        let preference = free.find(|preference| !used(preference)).unwrap_or(self.preference);
        let host = LocalCandidate::host(self.component, socket, local);
        let mut candidate = host.server_reflexive(mapped, server).with_preference(preference);
        if is_hidden {
            candidate.related = Some(hidden(mapped));
        }
        Mapping::New(candidate)
    }

    pub(super) fn of_server(&mut self, server: SocketAddr) -> Option<&mut Reflexive> {
        self.reflexive.iter_mut().find(|reflexive| reflexive.server == server)
    }
}

/// The related address that hides the base (RFC 8839 §5.1): the unspecified address and port 9.
fn hidden(mapped: SocketAddr) -> SocketAddr {
    let any: IpAddr = if mapped.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(any, 9)
}

/// Returns the mapped address in a response.
///
/// # Errors
/// [`ServerFailure`], when the response has no mapped address that a peer could use.
pub(super) fn mapped_address(response: &[u8], base: SocketAddr) -> Result<SocketAddr, ServerFailure> {
    let message = Message::decode(response).map_err(|_| ServerFailure::Undecodable { sends: 1 })?;
    if let Some(error) = message.error_code() {
        return Err(ServerFailure::Code(error.code()));
    }
    // RFC 8489 §11, RFC 8445 §5.1.1.2: servers of RFC 3489 send MAPPED-ADDRESS only.
    let mapped = message.xor_mapped_address().or_else(|| message.mapped_address());
    let mapped = mapped.ok_or(ServerFailure::NoMappedAddress)?;
    let mapped = SocketAddr::new(mapped.ip().to_canonical(), mapped.port());
    if mapped.is_ipv4() != base.is_ipv4() {
        return Err(ServerFailure::MappedFamily(mapped));
    }
    let ip = mapped.ip();
    let is_foreign = ip.is_loopback() && !base.ip().is_loopback();
    if mapped.port() == 0 || !is_host(ip) || is_foreign {
        return Err(ServerFailure::MappedInvalid(mapped));
    }
    // The scope of a link-local base belongs to this host.
    Ok(if ip == base.ip() && mapped.port() == base.port() { base } else { mapped })
}
