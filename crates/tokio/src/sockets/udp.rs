//! A UDP socket: received in batches, sent in batches, never connected.
//!
//! * A send that fails for want of room is lost, as UDP may lose any datagram.
//! * ICMP errors, where the system tells them to an unconnected socket (Linux), are heard with the address that the
//!   datagram was meant for.
//! * A hop limit is set for one datagram and taken back before the next one: nobody else sends on the socket.
//! * A datagram that is too large for one packet goes through the plain socket [`Beside`].

use super::beside::Beside;
use super::route;
use crate::errors;
use alloc::sync::Arc;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use portolan_machine::{Refusal, Unreachability};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{IoSliceMut, Result};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What could not be sent, or did not arrive.
pub(crate) type Unreached = (SocketAddr, Unreachability);

/// Why a datagram did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// No room in the send buffer.
    Full,
    /// The system says why.
    Unreachable(Unreachability),
}

/// Room for one batch of received datagrams, shared by all sockets of a driver.
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
}

impl Inbox {
    /// The longest UDP payload, or as much as the kernel coalesces into one buffer.
    pub(crate) const BUFFER: usize = 65_536;

    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH_SIZE * Self::BUFFER], metas: [RecvMeta::default(); BATCH_SIZE] }
    }

    /// Buffer `index` and what the system says of it.
    pub(crate) fn buffer(&self, index: usize) -> Option<(&RecvMeta, &[u8])> {
        let meta = self.metas.get(index)?;
        let buffer = self.bytes.chunks(Self::BUFFER).nth(index)?;
        Some((meta, buffer.get(..meta.len)?))
    }

    /// The bytes as one plain buffer, for streams.
    pub(crate) fn plain(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first `length` bytes of the plain buffer.
    pub(crate) fn chunk(&self, length: usize) -> &[u8] {
        self.bytes.get(..length).unwrap_or_default()
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

type Readiness = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// One open UDP socket.
pub(crate) struct Udp {
    socket: Arc<UdpSocket>,
    state: UdpSocketState,
    bound: SocketAddr,
    readiness: Option<Readiness>,
    beside: Option<Beside>,
    /// Whether ICMP said that some path takes less than the interface.
    narrow: bool,
    limited: Limited,
    unreached: Vec<Unreached>,
}

impl Udp {
    /// Binds `local`.
    pub(crate) fn bind(local: SocketAddr, buffers: Option<usize>) -> core::result::Result<Self, Refusal> {
        let bind = || -> Result<Self> {
            let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
            if local.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            if let Some(bytes) = buffers {
                socket.set_recv_buffer_size(bytes)?;
                socket.set_send_buffer_size(bytes)?;
            }
            socket.bind(&local.into())?;
            Self::adopt(socket.into())
        };
        bind().map_err(|error| errors::refusal(&error))
    }

    /// Takes a bound socket over.
    pub(crate) fn adopt(socket: std::net::UdpSocket) -> Result<Self> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        let state = UdpSocketState::new((&socket).into())?;
        state.enable_transport_errors((&socket).into())?;
        Ok(Self {
            socket: Arc::new(UdpSocket::from_std(socket)?),
            state,
            bound,
            readiness: None,
            beside: None,
            narrow: false,
            limited: Limited::default(),
            unreached: Vec::new(),
        })
    }

    /// The address it is bound to, perhaps unspecified.
    pub(crate) const fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// What could not be reached since the last time it was asked.
    pub(crate) fn take_unreached(&mut self) -> impl Iterator<Item = Unreached> + '_ {
        self.unreached.drain(..)
    }

    /// Receives one batch; the number says how many buffers of the inbox are filled. 0: only ICMP errors came.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<usize> {
        loop {
            if let Some(count) = self.receive(inbox) {
                return Poll::Ready(count);
            }
            let readiness = self.readiness.get_or_insert_with(|| {
                let socket = Arc::clone(&self.socket);
                Box::pin(async move { socket.ready(Interest::READABLE | Interest::ERROR).await.map(|_| ()) })
            });
            // An error here means that the runtime shuts down: nothing will ever come.
            let ready = ready!(readiness.as_mut().poll(cx));
            self.readiness = None;
            if ready.is_err() {
                return Poll::Pending;
            }
        }
    }

    /// What is there already, without waiting.
    fn receive(&mut self, inbox: &mut Inbox) -> Option<usize> {
        let mut buffers = inbox.bytes.chunks_mut(Inbox::BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            core::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        let mut stands_in_the_way = false;
        // A pending ICMP error comes before the data, once. An error that stays uses the readiness up.
        for last in [false, true] {
            let received = self.socket.try_io(Interest::READABLE, || {
                let received = self.state.recv((&*self.socket).into(), &mut slices, &mut inbox.metas);
                if last { received.map_err(|_| std::io::ErrorKind::WouldBlock.into()) } else { received }
            });
            match received {
                Ok(count) => return Some(count),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    stands_in_the_way = true;
                    self.hear_errors(Some(&error));
                }
            }
        }
        if !stands_in_the_way && self.errors_are_waiting() {
            self.hear_errors(None);
        }
        (!self.unreached.is_empty()).then_some(0)
    }

    /// Whether the system has rung for errors; says so once.
    fn errors_are_waiting(&self) -> bool {
        let mut rung = false;
        let used_up = self.socket.try_io(Interest::ERROR, || {
            rung = true;
            Err::<(), _>(std::io::ErrorKind::WouldBlock.into())
        });
        debug_assert!(used_up.is_err(), "readiness for errors is always used up");
        rung
    }

    /// The address that a received buffer came to.
    pub(crate) fn local_of(&self, meta: &RecvMeta) -> Option<SocketAddr> {
        if !self.bound.ip().is_unspecified() {
            return Some(self.bound);
        }
        let Some(ip) = meta.dst_ip.filter(|ip| !ip.is_unspecified()) else {
            return route::local_towards(self.bound, meta.addr).ok();
        };
        let mut local = SocketAddr::new(ip, self.bound.port());
        if let (SocketAddr::V6(local), IpAddr::V6(ip)) = (&mut local, ip)
            && ip.is_unicast_link_local()
        {
            local.set_scope_id(meta.interface_index.unwrap_or(0));
        }
        Some(local)
    }

    /// How many pieces may leave in one call.
    pub(crate) fn max_pieces(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends pieces of `size` bytes, the last perhaps shorter, in one call. `false`: nothing is known of what left,
    /// send them one by one.
    pub(crate) fn send_pieces(&mut self, remote: SocketAddr, bytes: &[u8], size: usize) -> bool {
        let transmit = quinn_udp::Transmit {
            destination: remote,
            ecn: None,
            contents: bytes,
            segment_size: Some(size),
            src_ip: None,
        };
        match self.state.try_send((&*self.socket).into(), &transmit) {
            Ok(()) => true,
            Err(error) => {
                self.hear_errors(Some(&error));
                false
            }
        }
    }

    /// Sends one datagram.
    pub(crate) fn send(
        &mut self,
        remote: SocketAddr,
        payload: &[u8],
        hop_limit: Option<u8>,
    ) -> core::result::Result<(), Unsent> {
        match hop_limit {
            // The first router would have to throw it away, and so does this host.
            Some(0) => return Err(Unsent::Unreachable(Unreachability::HopLimit)),
            Some(_) => self.limited.add(remote),
            None => {}
        }
        if self.narrow && payload.len() > super::batch::Batch::PIECE {
            return self.send_beside(remote, payload, hop_limit);
        }
        let transmit =
            quinn_udp::Transmit { destination: remote, ecn: None, contents: payload, segment_size: None, src_ip: None };
        let attempt = |own: &Self| {
            with_hop_limit(SockRef::from(&*own.socket), remote, hop_limit, || {
                own.state.try_send((&*own.socket).into(), &transmit)
            })
        };
        let large = payload.len() > super::batch::Batch::PIECE;
        let mut attempt_again = true;
        loop {
            match attempt(self) {
                Ok(()) => return Ok(()),
                Err(error) if errors::is_full(&error) => return Err(Unsent::Full),
                Err(error) if large && quinn_udp::is_msg_size_err(&error) => {
                    self.hear_errors(None);
                    return self.send_beside(remote, payload, hop_limit);
                }
                // It may belong to an earlier datagram whose ICMP error was still pending.
                Err(error) if attempt_again => self.hear_errors(Some(&error)),
                Err(error) => return Err(unsent(&error)),
            }
            attempt_again = false;
        }
    }

    fn send_beside(
        &mut self,
        remote: SocketAddr,
        payload: &[u8],
        hop_limit: Option<u8>,
    ) -> core::result::Result<(), Unsent> {
        let too_large = Unsent::Unreachable(Unreachability::TooLarge);
        let local =
            route::local_towards(self.bound, remote).map_err(|_| Unsent::Unreachable(Unreachability::Network))?;
        if self.beside.as_ref().is_none_or(|beside| !beside.is_at(local)) {
            self.beside = None; // first, for two of one address would be in each other's way
            self.beside = Some(Beside::new(SockRef::from(&*self.socket), local).map_err(|_| too_large)?);
        }
        let beside = self.beside.as_ref().ok_or(too_large)?;
        with_hop_limit(beside.socket(), remote, hop_limit, || beside.send(remote, payload))
            .map_err(|error| unsent(&error))
    }

    /// Takes what the system's error queue holds. A call that failed has used up the pending error, and hands it in.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn hear_errors(&mut self, mut used_up: Option<&std::io::Error>) {
        /// How many are heard at a time; what is more is forgotten.
        const ERRORS: usize = 64;
        /// `MSG_ERRQUEUE`, the same on every architecture of Linux.
        const FROM_ERROR_QUEUE: i32 = 0x2000;
        let socket = SockRef::from(&*self.socket);
        let mut heard = Vec::new();
        // The kernel counts them against the receive buffer: that bounds this loop.
        loop {
            // The pending error is that of the last entry before the first is taken, and after that the next one's.
            let pending = socket.take_error().ok().flatten();
            let why = pending.as_ref().or(used_up.take()).map(errors::unreachability);
            let mut quoted = [core::mem::MaybeUninit::<u8>::uninit(); 1];
            let Ok((_, meant_for)) = socket.recv_from_with_flags(&mut quoted, FROM_ERROR_QUEUE) else {
                break;
            };
            if heard.len() < ERRORS {
                heard.push((meant_for.as_socket(), why));
            }
        }
        let first_is_known = match heard.as_slice() {
            [] | [_] => true,
            [first, rest @ ..] => rest.iter().all(|(_, why)| *why == first.1),
        };
        for (index, (meant_for, why)) in heard.into_iter().enumerate() {
            // Without a port or an error: the kernel's own word on a datagram whose send has failed already.
            let (Some(remote), Some(why)) = (meant_for.filter(|remote| remote.port() != 0), why) else {
                continue;
            };
            let why = if index > 0 || first_is_known { why } else { Unreachability::Unspecified };
            self.narrow |= why == Unreachability::TooLarge;
            let expired = why == Unreachability::Host && self.limited.contains(remote);
            self.unreached.push((remote, if expired { Unreachability::HopLimit } else { why }));
        }
    }

    /// Elsewhere an unconnected socket hears no ICMP errors.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn hear_errors(&mut self, _: Option<&std::io::Error>) {}
}

impl fmt::Debug for Udp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Udp").field("bound", &self.bound).field("narrow", &self.narrow).finish_non_exhaustive()
    }
}

/// Where datagrams with a hop limit went lately. The system has one error for a host that does not answer and for a
/// hop limit that ran out: towards these it is taken for the latter.
#[derive(Debug, Default)]
struct Limited {
    remotes: [Option<SocketAddr>; 16],
    next: usize,
}

impl Limited {
    fn add(&mut self, remote: SocketAddr) {
        if self.contains(remote) {
            return;
        }
        if let Some(oldest) = self.remotes.get_mut(self.next) {
            *oldest = Some(remote);
        }
        self.next = (self.next + 1) % self.remotes.len();
    }

    fn contains(&self, remote: SocketAddr) -> bool {
        self.remotes.contains(&Some(remote))
    }
}

fn unsent(error: &std::io::Error) -> Unsent {
    if errors::is_full(error) { Unsent::Full } else { Unsent::Unreachable(errors::unreachability(error)) }
}

/// Runs `send` while the socket has this hop limit, and then gives it back the system's.
fn with_hop_limit<T>(
    socket: SockRef<'_>,
    remote: SocketAddr,
    hop_limit: Option<u8>,
    send: impl FnOnce() -> Result<T>,
) -> Result<T> {
    /// −1 for the kernel: whatever the route or the system says.
    const SYSTEM: u32 = u32::MAX;
    let Some(limit) = hop_limit else {
        return send();
    };
    let set = |limit: u32| {
        if remote.is_ipv4() { socket.set_ttl_v4(limit) } else { socket.set_unicast_hops_v6(limit) }
    };
    let before = if remote.is_ipv4() { socket.ttl_v4() } else { socket.unicast_hops_v6() }?;
    set(limit.into())?;
    let sent = send();
    set(SYSTEM).or_else(|_| set(before))?;
    sent
}
