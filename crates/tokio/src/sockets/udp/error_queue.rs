//! The error queue of a UDP socket: ICMP errors with the destination of the datagram that caused them.
//!
//! `quinn-udp` can read the queue, but it returns the router or host that sent the ICMP error. The contract of
//! `portolan_machine` needs the destination of the datagram. So this module reads the queue: the address of an entry is
//! the destination, and the reason is the pending error of the socket.

use super::Udp;
use core::net::SocketAddr;

impl Udp {
    /// Reads the error queue of the system. `taken` is the error that a failed call returned. It is the pending error
    /// of the first entry: the failed call has removed it from the socket.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn read_error_queue(&mut self, mut taken: Option<&std::io::Error>) {
        use super::Undelivered;
        use crate::errors;
        use portolan_machine::Unreachability;
        use socket2::SockRef;

        /// The maximum number of errors that one call keeps. Further errors are dropped.
        const ERRORS: usize = 64;
        /// `MSG_ERRQUEUE`, the same on every architecture of Linux.
        const FROM_ERROR_QUEUE: i32 = 0x2000;
        let socket = SockRef::from(&*self.socket);
        let mut entries = Vec::new();
        // The loop is bounded because the kernel counts the entries against the receive buffer.
        loop {
            // Before the first entry is read, the pending error is that of the last entry. After each read it is that
            // of the next entry.
            let pending = socket.take_error().ok().flatten();
            let why = pending.as_ref().or(taken.take()).map(errors::unreachability);
            let mut quoted = [core::mem::MaybeUninit::<u8>::uninit(); 1];
            let Ok((_, destination)) = socket.recv_from_with_flags(&mut quoted, FROM_ERROR_QUEUE) else {
                break;
            };
            if entries.len() < ERRORS {
                entries.push((destination.as_socket(), why));
            }
        }
        let first_is_known = match entries.as_slice() {
            [] | [_] => true,
            [first, rest @ ..] => rest.iter().all(|(_, why)| *why == first.1),
        };
        for (index, (destination, why)) in entries.into_iter().enumerate() {
            // An entry without a port or an error belongs to a datagram whose send has already failed.
            let (Some(remote), Some(why)) = (destination.filter(|remote| remote.port() != 0), why) else {
                continue;
            };
            let why = if index > 0 || first_is_known { why } else { Unreachability::Unspecified };
            self.fragments |= why == Unreachability::TooLarge;
            let expired = why == Unreachability::Host && self.hop_limited.contains(remote);
            let why = if expired { Unreachability::HopLimit } else { why };
            self.undelivered.push_back(Undelivered { remote, why });
        }
    }

    /// On other systems an unconnected socket gets no ICMP errors.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn read_error_queue(&mut self, _: Option<&std::io::Error>) {}
}

/// The last 16 destinations of datagrams with a hop limit.
///
/// The system reports the same error for an unreachable host and for an expired hop limit. For these destinations the
/// error means an expired hop limit.
#[derive(Debug, Default)]
pub(super) struct HopLimited {
    remotes: [Option<SocketAddr>; 16],
    /// The index at which the next destination is stored.
    next: usize,
}

impl HopLimited {
    pub(super) fn add(&mut self, remote: SocketAddr) {
        if self.contains(remote) {
            return;
        }
        if let Some(oldest) = self.remotes.get_mut(self.next) {
            *oldest = Some(remote);
        }
        self.next = (self.next + 1) % self.remotes.len();
    }

    pub(super) fn contains(&self, remote: SocketAddr) -> bool {
        self.remotes.contains(&Some(remote))
    }
}
