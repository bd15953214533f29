//! Sending on a UDP socket: source address, hop limit, segmentation offload (GSO), fragments.
//!
//! * A send that finds no room in the send buffer is dropped, as UDP may lose any datagram.
//! * `quinn-udp` stops segmentation offload on a socket for good at the first EINVAL. So what is known to be invalid is
//!   found before: a source address that the host does not have ([`SourceAddresses`](super::source::SourceAddresses)),
//!   port 0. If a single datagram fails with EINVAL all the same (the host has just lost the address), segmentation was
//!   not the cause, and the state of `quinn-udp` is made anew.
//! * `quinn-udp` forbids fragmentation. For a datagram that is larger than the path MTU it is allowed, and afterwards
//!   forbidden again. Nothing else sends on the socket in between.
//! * A hop limit is set for one datagram in the same way.

use super::{Udp, UnsentReason};
use crate::errors;
use crate::sockets::batch::Batch;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::Unreachability;
use socket2::SockRef;
use std::io::{Error, ErrorKind, Result};

/// The fields of an IP header that a machine chooses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addressing {
    pub(crate) remote: SocketAddr,
    /// The source address; `None` leaves the choice to the system.
    pub(crate) local: Option<IpAddr>,
    pub(crate) hop_limit: Option<u8>,
}

impl Addressing {
    /// Whether the datagram leaves as an IPv4 packet, on an IPv6 socket to a mapped address too.
    fn is_ipv4(&self) -> bool {
        self.remote.ip().to_canonical().is_ipv4()
    }

    /// The longest UDP payload in bytes, in fragments: 65,535 less the headers that the length counts.
    fn longest_payload(&self) -> usize {
        if self.is_ipv4() { 65_507 } else { 65_527 }
    }
}

impl Udp {
    /// The number of segments that can leave in one call.
    pub(crate) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends segments of `size` bytes, of which the last may be shorter, in one call. Returns `false` when that failed:
    /// the caller then sends the segments one by one, and learns why each of them fails.
    pub(crate) fn send_segments(&mut self, to: Addressing, bytes: &[u8], size: usize) -> bool {
        let Ok(source) = self.source(to) else {
            return false;
        };
        let sent = self.try_send(to, source, bytes, Some(size));
        if let Err(error) = &sent {
            self.read_error_queue(Some(error));
        }
        sent.is_ok()
    }

    /// Sends one datagram.
    pub(crate) fn send(&mut self, to: Addressing, payload: &[u8]) -> core::result::Result<(), UnsentReason> {
        match to.hop_limit {
            // The first router would drop it, and so does this host.
            Some(0) => return Err(UnsentReason::Unreachable(Unreachability::HopLimit)),
            Some(_) => self.hop_limited.add(to.remote),
            None => {}
        }
        if payload.len() > to.longest_payload() {
            return Err(UnsentReason::Unreachable(Unreachability::TooLarge));
        }
        let source = self.source(to)?;
        let large = payload.len() > Batch::SEGMENT;
        let mut fragment = large && self.fragments;
        let mut tried_again = false;
        loop {
            let sent = if fragment {
                self.send_in_fragments(to, source, payload)
            } else {
                self.try_send(to, source, payload, None)
            };
            match sent {
                Ok(()) => {
                    // If the segments of a batch failed before, and this datagram did not, offload was the cause.
                    self.usable_segments = self.max_segments();
                    return Ok(());
                }
                Err(error) if errors::is_full(&error) => return Err(UnsentReason::Full),
                Err(error) if stops_offload(&error) => {
                    self.resume_offload();
                    return Err(self.failure(to, source, &error));
                }
                Err(error) if large && !fragment && quinn_udp::is_msg_size_err(&error) => {
                    self.read_error_queue(None);
                    fragment = true;
                }
                // The error may belong to an earlier datagram, whose ICMP error was pending.
                Err(error) if !tried_again => {
                    self.read_error_queue(Some(&error));
                    tried_again = true;
                }
                Err(error) => return Err(self.failure(to, source, &error)),
            }
        }
    }

    fn try_send(&self, to: Addressing, source: Option<IpAddr>, contents: &[u8], segment: Option<usize>) -> Result<()> {
        let transmit =
            quinn_udp::Transmit { destination: to.remote, ecn: None, contents, segment_size: segment, src_ip: source };
        with_hop_limit(SockRef::from(&*self.socket), to, || self.state.try_send((&*self.socket).into(), &transmit))
    }

    fn send_in_fragments(&self, to: Addressing, source: Option<IpAddr>, payload: &[u8]) -> Result<()> {
        // Where it cannot be allowed, the datagram is too large, and the send without fragments says so.
        let _allowed = super::options::set_fragmentation(&*self.socket, to.is_ipv4(), true);
        let sent = self.try_send(to, source, payload, None);
        let _forbidden = super::options::set_fragmentation(&*self.socket, to.is_ipv4(), false);
        sent
    }

    /// Returns what `quinn-udp` is given as source address. `None` leaves the choice to the system, or the socket is
    /// bound to the address.
    fn source(&mut self, to: Addressing) -> core::result::Result<Option<IpAddr>, UnsentReason> {
        /// The system answers EINVAL, which would stop segmentation offload.
        const NO_PORT: UnsentReason = UnsentReason::Unreachable(Unreachability::Unspecified);
        const FOREIGN: UnsentReason = UnsentReason::Unreachable(Unreachability::SourceAddress);
        if to.remote.port() == 0 {
            return Err(NO_PORT);
        }
        let Some(local) = to.local else {
            return Ok(None);
        };
        let bound = self.bound.ip();
        let same_family = local.is_ipv4() == bound.is_ipv4() && local.to_canonical().is_ipv4() == to.is_ipv4();
        if !same_family {
            return Err(FOREIGN);
        }
        if !bound.is_unspecified() {
            return if local == bound { Ok(None) } else { Err(FOREIGN) };
        }
        if is_source(local) && self.sources.check(local, to.remote) { Ok(Some(local)) } else { Err(FOREIGN) }
    }

    /// Makes the state of `quinn-udp` anew if it stopped segmentation offload because of a single datagram.
    fn resume_offload(&mut self) {
        if self.max_segments() < self.usable_segments
            && let Ok(state) = super::new_state(SockRef::from(&*self.socket), self.receive_offload)
        {
            self.state = state;
        }
    }

    /// Returns why a datagram could not be sent: the host may have lost the source address since the last check, or the
    /// system gives another reason.
    fn failure(&mut self, to: Addressing, source: Option<IpAddr>, error: &Error) -> UnsentReason {
        let lost = source.is_some_and(|source| {
            self.sources.forget(source);
            !self.sources.check(source, to.remote)
        });
        UnsentReason::Unreachable(if lost { Unreachability::SourceAddress } else { errors::unreachability(error) })
    }
}

/// Whether `quinn-udp` stops segmentation offload at this error of a send: EINVAL and EIO.
fn stops_offload(error: &Error) -> bool {
    const EIO: i32 = 5;
    error.kind() == ErrorKind::InvalidInput || error.raw_os_error() == Some(EIO)
}

/// Whether an address can be the source of a datagram at all.
fn is_source(local: IpAddr) -> bool {
    let local = local.to_canonical();
    let broadcast = match local {
        IpAddr::V4(local) => local.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    !local.is_unspecified() && !local.is_multicast() && !broadcast
}

/// Runs `send` while the socket has this hop limit. Afterwards the socket has the hop limit from before.
fn with_hop_limit<T>(socket: SockRef<'_>, to: Addressing, send: impl FnOnce() -> Result<T>) -> Result<T> {
    /// −1 for the kernel: the hop limit of the route, or the default of the system.
    const SYSTEM: u32 = u32::MAX;
    let Some(limit) = to.hop_limit else {
        return send();
    };
    let get = || if to.is_ipv4() { socket.ttl_v4() } else { socket.unicast_hops_v6() };
    let set = |limit: u32| if to.is_ipv4() { socket.set_ttl_v4(limit) } else { socket.set_unicast_hops_v6(limit) };
    let before = get()?;
    set(limit.into())?;
    let sent = send();
    // A socket that was adopted may have a hop limit of its own. It reads like the system's when it has none.
    if set(SYSTEM).is_err() || get()? != before {
        set(before)?;
    }
    sent
}
