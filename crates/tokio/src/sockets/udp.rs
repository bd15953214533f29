//! A UDP socket: it receives in batches, sends in batches ([`send`]) and is never connected.
//!
//! * On Linux an unconnected socket gets ICMP errors. They are reported with the destination of the datagram
//!   ([`error_queue`]).
//! * The receive call that empties the socket also clears the readiness of the socket. A separate second call could
//!   clear the readiness of a datagram that arrived in between.
//! * The receive offload (GRO) merges datagrams of one flow in the receive buffer of the socket. The next owner of a
//!   released socket could not separate them. So the offload is on only for a socket that has filled a whole receive
//!   batch.
//! * Waiting for datagrams allocates nothing. Waiting for errors allocates once per error.

mod error_queue;
mod options;
mod send;
mod source;

pub(crate) use send::Addressing;

use super::route;
use crate::errors;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll};
use error_queue::HopLimited;
use options::SocketOptions;
use portolan_machine::{Refusal, Unreachability};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use source::SourceAddresses;
use std::io::{ErrorKind, IoSliceMut, Result};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A datagram that was sent and did not arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undelivered {
    pub(crate) remote: SocketAddr,
    pub(crate) why: Unreachability,
}

/// The reason for which a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsentReason {
    /// The send buffer has no room.
    Full,
    /// The datagram cannot reach its destination, for this reason.
    Unreachable(Unreachability),
}

/// Buffers for one batch of received datagrams, shared by all sockets of a driver.
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
}

impl Inbox {
    /// The size of one buffer in bytes: room for the longest UDP payload, and for as much as the kernel merges (GRO).
    pub(crate) const BUFFER: usize = 65_536;

    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH_SIZE * Self::BUFFER], metas: [RecvMeta::default(); BATCH_SIZE] }
    }

    /// Returns buffer `index` with its addresses and the size of its datagrams.
    pub(crate) fn buffer(&self, index: usize) -> Option<(&RecvMeta, &[u8])> {
        let meta = self.metas.get(index)?;
        let buffer = self.bytes.chunks(Self::BUFFER).nth(index)?;
        Some((meta, buffer.get(..meta.len)?))
    }

    /// All buffers as one, for streams.
    pub(crate) fn plain(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first `length` bytes of [`plain`](Self::plain).
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
    /// The socket options as they were before the driver had the socket.
    options: SocketOptions,
    /// Whether the system may merge datagrams of one flow on this socket.
    receive_offload: bool,
    /// The wait for an entry in the error queue.
    error_ready: Option<Readiness>,
    /// Whether an ICMP error has reported a path MTU that is smaller than the MTU of the interface. If so, large
    /// datagrams are sent in fragments at once.
    fragments: bool,
    /// The last number of segments per send that is known to work. It is larger than that of `state` after `quinn-udp`
    /// stopped segmentation offload without need.
    usable_segments: usize,
    sources: SourceAddresses,
    hop_limited: HopLimited,
    undelivered: VecDeque<Undelivered>,
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

    /// Takes over a bound socket.
    pub(crate) fn adopt(socket: std::net::UdpSocket) -> Result<Self> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        let options = SocketOptions::read(&socket, bound.is_ipv4());
        let state = new_state(SockRef::from(&socket), bound, false)?;
        state.enable_transport_errors((&socket).into())?;
        Ok(Self {
            socket: Arc::new(UdpSocket::from_std(socket)?),
            usable_segments: state.max_gso_segments(),
            state,
            bound,
            options,
            receive_offload: false,
            error_ready: None,
            fragments: false,
            sources: SourceAddresses::default(),
            hop_limited: HopLimited::default(),
            undelivered: VecDeque::new(),
        })
    }

    /// Returns the socket with the options that it had before. The socket stays nonblocking, and keeps the datagrams
    /// that arrived and were not read.
    pub(crate) fn release(self) -> Option<std::net::UdpSocket> {
        let Self { socket, options, error_ready, .. } = self;
        // The wait holds a reference to the socket.
        drop(error_ready);
        let socket = Arc::into_inner(socket)?.into_std().ok()?;
        options.restore(&socket);
        Some(socket)
    }

    /// The address that the socket is bound to. Its IP address may be unspecified.
    pub(crate) const fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// Removes and returns the oldest report of a datagram that did not arrive.
    pub(crate) fn take_undelivered(&mut self) -> Option<Undelivered> {
        self.undelivered.pop_front()
    }

    /// Receives one batch. Returns the number of filled buffers of the inbox; 0 when only ICMP errors came.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<usize> {
        /// The bound on the loop. A socket that was shut down stays readable without datagrams, and would block the
        /// driver.
        const TRIES: usize = 3;
        for _ in 0..TRIES {
            if let Some(count) = self.receive(inbox) {
                return Poll::Ready(count);
            }
            let readable = self.socket.poll_recv_ready(cx);
            let error = self.poll_error_ready(cx);
            match (readable, error) {
                (Poll::Pending, Poll::Pending) => return Poll::Pending,
                // The runtime shuts down. No readiness will ever come.
                (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => return Poll::Pending,
                (Poll::Ready(Ok(())), _) | (_, Poll::Ready(Ok(()))) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_error_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let ready = self.error_ready.get_or_insert_with(|| {
            let socket = Arc::clone(&self.socket);
            Box::pin(async move { socket.ready(Interest::ERROR).await.map(|_| ()) })
        });
        let result = ready.as_mut().poll(cx);
        if result.is_ready() {
            self.error_ready = None;
        }
        result
    }

    /// Receives the datagrams that have already arrived, without waiting.
    fn receive(&mut self, inbox: &mut Inbox) -> Option<usize> {
        let mut buffers = inbox.bytes.chunks_mut(Inbox::BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            core::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        let mut failed = false;
        // The system returns a pending ICMP error once, before the data. So the first error is followed by a second
        // try. An error of the second try clears the readiness.
        for last in [false, true] {
            let mut count = None;
            let emptied = self.socket.try_io(Interest::READABLE, || {
                match self.state.recv((&*self.socket).into(), &mut slices, &mut inbox.metas) {
                    Ok(received) => {
                        count = Some(received);
                        // A batch that is not full has emptied the socket. `WouldBlock` makes tokio clear the
                        // readiness, but only if no event came since this call began.
                        if received < BATCH_SIZE { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
                    }
                    Err(_) if last => Err(ErrorKind::WouldBlock.into()),
                    Err(error) => Err(error),
                }
            });
            if count == Some(BATCH_SIZE) && !self.receive_offload {
                self.receive_offload = true;
                options::set_receive_offload(&*self.socket, true);
            }
            match emptied {
                _ if count.is_some() => return count,
                Ok(()) => return count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    failed = true;
                    self.read_error_queue(Some(&error));
                }
            }
        }
        if !failed && self.take_error_ready() {
            self.read_error_queue(None);
        }
        (!self.undelivered.is_empty()).then_some(0)
    }

    /// Receives one batch of a socket that is about to be released. `None` if its receive buffer cannot hold merged
    /// datagrams.
    pub(crate) fn receive_merged(&mut self, inbox: &mut Inbox) -> Option<usize> {
        if !self.receive_offload {
            return None;
        }
        let mut slices = inbox.bytes.chunks_mut(Inbox::BUFFER).map(IoSliceMut::new).collect::<Vec<_>>();
        match self.state.recv((&*self.socket).into(), &mut slices, &mut inbox.metas) {
            Ok(BATCH_SIZE) => Some(BATCH_SIZE),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Some(0), // a pending ICMP error, before the data
            emptied => {
                self.receive_offload = false;
                options::set_receive_offload(&*self.socket, false);
                emptied.ok()
            }
        }
    }

    /// Whether the system has reported errors. Clears the readiness for errors. The caller must then empty the error
    /// queue.
    fn take_error_ready(&self) -> bool {
        let mut reported = false;
        let cleared = self.socket.try_io(Interest::ERROR, || {
            reported = true;
            Err::<(), _>(ErrorKind::WouldBlock.into())
        });
        debug_assert!(cleared.is_err(), "the readiness for errors is always cleared");
        reported
    }

    /// The local address that a received buffer was sent to.
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
}

/// Makes the state of `quinn-udp`, which sets its options on the socket. `bound` is the local address of the socket.
fn new_state(socket: SockRef<'_>, bound: SocketAddr, receive_offload: bool) -> Result<UdpSocketState> {
    let state = UdpSocketState::new((&*socket).into())?;
    // The destination address of a datagram is known, unless the socket receives on several addresses.
    options::omit_ancillary_data(&*socket, bound.is_ipv4(), bound.ip().is_unspecified());
    options::set_receive_offload(&*socket, receive_offload);
    Ok(state)
}

impl fmt::Debug for Udp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Udp").field("bound", &self.bound).field("fragments", &self.fragments).finish_non_exhaustive()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// `quinn-udp` stops segmentation offload at the first EINVAL. So it must never get a source address that the host
    /// does not have.
    #[tokio::test]
    async fn a_foreign_source_address_is_rejected_before_the_send() {
        for (any, remote, foreign) in [("0.0.0.0:0", "127.0.0.1:9", "192.0.2.1"), ("[::]:0", "[::1]:9", "2001:db8::1")]
        {
            let mut udp = Udp::bind(any.parse().unwrap(), None).unwrap();
            let before = udp.max_segments();
            assert!(before > 1, "this kernel can segment");
            let to =
                Addressing { remote: remote.parse().unwrap(), local: Some(foreign.parse().unwrap()), hop_limit: None };
            assert!(!udp.send_segments(to, &[0; 100], 50));
            assert_eq!(udp.max_segments(), before);
            assert_eq!(udp.send(to, &[0; 50]), Err(UnsentReason::Unreachable(Unreachability::SourceAddress)));
        }
    }

    /// A socket that is shut down is always readable and never has datagrams.
    #[tokio::test]
    async fn a_socket_after_shutdown_does_not_block_the_driver() {
        let mut udp = Udp::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
        // Shutting down needs a peer address.
        let socket = SockRef::from(&*udp.socket);
        socket.connect(&udp.bound.into()).unwrap();
        socket.shutdown(std::net::Shutdown::Read).unwrap();
        let mut inbox = Inbox::new();
        for _ in 0..100 {
            let polled = core::future::poll_fn(|cx| Poll::Ready(udp.poll_receive(cx, &mut inbox)));
            // Without the budget of tokio, which would end an endless loop, too.
            assert!(tokio::task::unconstrained(polled).await.is_pending());
            tokio::task::yield_now().await;
        }
    }
}
