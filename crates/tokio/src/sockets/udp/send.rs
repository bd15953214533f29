//! Sending on a UDP socket: source address, hop limit, segmentation offload (GSO), fragments.
//!
//! * When the send buffer is full, the datagram is dropped. UDP may lose any datagram.
//! * At the first EINVAL `quinn-udp` stops segmentation offload on the socket permanently. So known causes of EINVAL
//!   are checked before the send: port 0, and a source address that the host does not have
//!   ([`SourceAddresses`](super::source::SourceAddresses)).
//! * If a single datagram still fails with EINVAL (the host has just lost the address), segmentation was not the cause.
//!   Then the state of `quinn-udp` is created again, which turns the offload on again.
//! * `quinn-udp` forbids fragmentation. For a datagram larger than the path MTU, fragmentation is allowed during one
//!   send and then forbidden again. Nothing else sends on the socket in between.
//! * A hop limit is set during one send in the same way.

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
    /// Whether the datagram is sent as an IPv4 packet. This includes an IPv4-mapped destination on an IPv6 socket.
    fn is_ipv4(&self) -> bool {
        self.remote.ip().to_canonical().is_ipv4()
    }

    /// The longest UDP payload in bytes, with fragmentation: 65,535 less the headers that the length field counts.
    fn longest_payload(&self) -> usize {
        if self.is_ipv4() { 65_507 } else { 65_527 }
    }
}

impl Udp {
    /// The maximum number of segments that one call can send.
    pub(crate) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends segments of `size` bytes in one call; the last segment may be shorter. Returns `false` when the call
    /// failed. The caller then sends the segments one by one, which gives the reason for each segment.
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
            // The first router would drop such a datagram.
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
                    // If the batch failed and its datagrams succeed one by one, the offload was the cause. Then the
                    // lower number of segments is right.
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
        // If fragmentation cannot be allowed, the send without fragments returns the error "too large".
        let _allowed = super::options::set_fragmentation(&*self.socket, to.is_ipv4(), true);
        let sent = self.try_send(to, source, payload, None);
        let _forbidden = super::options::set_fragmentation(&*self.socket, to.is_ipv4(), false);
        sent
    }

    /// Returns the source address to pass to `quinn-udp`. `None`: the system chooses, or the socket is bound to the
    /// address.
    fn source(&mut self, to: Addressing) -> core::result::Result<Option<IpAddr>, UnsentReason> {
        /// For port 0 the system would return EINVAL, which would stop segmentation offload.
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

    /// Creates the state of `quinn-udp` again if it stopped segmentation offload because of a single datagram.
    fn resume_offload(&mut self) {
        if self.max_segments() < self.usable_segments
            && let Ok(state) = super::new_state(SockRef::from(&*self.socket), self.bound, self.receive_offload)
        {
            self.state = state;
        }
    }

    /// Returns the reason for which a datagram could not be sent. It is
    /// [`SourceAddress`](Unreachability::SourceAddress) if the host has lost the source address since the last check.
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

/// Whether an address can be a source address: not unspecified, multicast or broadcast.
fn is_source(local: IpAddr) -> bool {
    let local = local.to_canonical();
    let broadcast = match local {
        IpAddr::V4(local) => local.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    !local.is_unspecified() && !local.is_multicast() && !broadcast
}

/// Calls `send` while the socket has this hop limit, and then restores the previous hop limit.
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
    // `get` returns the system's default for a socket without its own hop limit. So the default is restored first. If
    // `get` then returns another value, the (adopted) socket had its own hop limit.
    if set(SYSTEM).is_err() || get()? != before {
        set(before)?;
    }
    sent
}
