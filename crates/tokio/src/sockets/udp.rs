//! A UDP socket: it receives in batches, sends in batches ([`send`]) and is never connected.
//!
//! * ICMP errors, where the system gives them to an unconnected socket (Linux), are reported with the destination of the
//!   datagram ([`error_queue`]).
//! * One receive call clears the readiness of the socket when it has emptied the socket. A second call that did so could
//!   clear the readiness of a datagram that arrived in between.
//! * The receive offload (GRO) merges datagrams of one flow in the queue of the socket, and nothing can take them apart
//!   there once the socket is released. So it is on only for a socket that has filled a whole receive batch.
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

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsentReason {
    /// The send buffer has no room.
    Full,
    /// The system gives this reason.
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

    /// Returns buffer `index` with its addresses and the size of its datagrams.
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
    /// The options from before the driver had the socket.
    options: SocketOptions,
    /// Whether the system may merge datagrams of one flow on this socket.
    receive_offload: bool,
    /// The wait for an entry in the error queue.
    error_ready: Option<Readiness>,
    /// Whether ICMP said that the MTU of some path is smaller than that of the interface. Large datagrams then leave in
    /// fragments at once.
    fragments: bool,
    /// The number of segments in one send that did not fail for reasons of segmentation.
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

    /// Takes a bound socket over.
    pub(crate) fn adopt(socket: std::net::UdpSocket) -> Result<Self> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        let options = SocketOptions::read(&socket, bound.is_ipv4());
        let state = new_state(SockRef::from(&socket), false)?;
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

    /// Gives the socket away with the options from before. It stays nonblocking, and holds what arrived and was not read.
    pub(crate) fn release(self) -> Option<std::net::UdpSocket> {
        let Self { socket, options, error_ready, .. } = self;
        // The wait holds the socket, too.
        drop(error_ready);
        let socket = Arc::into_inner(socket)?.into_std().ok()?;
        options.restore(&socket);
        Some(socket)
    }

    /// The address it is bound to, perhaps unspecified.
    pub(crate) const fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// Removes one datagram from the list of those that did not arrive.
    pub(crate) fn take_undelivered(&mut self) -> Option<Undelivered> {
        self.undelivered.pop_front()
    }

    /// Receives one batch. Returns the number of buffers of the inbox that are filled. 0: only ICMP errors came.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<usize> {
        /// A socket that stays readable without anything to read (someone shut it down) must not hold the driver here.
        const TRIES: usize = 3;
        for _ in 0..TRIES {
            if let Some(count) = self.receive(inbox) {
                return Poll::Ready(count);
            }
            let readable = self.socket.poll_recv_ready(cx);
            let error = self.poll_error_ready(cx);
            match (readable, error) {
                (Poll::Pending, Poll::Pending) => return Poll::Pending,
                // The runtime shuts down. Nothing will ever come.
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

    /// Receives what is there already, without waiting.
    fn receive(&mut self, inbox: &mut Inbox) -> Option<usize> {
        let mut buffers = inbox.bytes.chunks_mut(Inbox::BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            core::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        let mut failed = false;
        // A pending ICMP error comes before the data, once. An error that stays clears the readiness.
        for last in [false, true] {
            let mut count = None;
            let emptied = self.socket.try_io(Interest::READABLE, || {
                match self.state.recv((&*self.socket).into(), &mut slices, &mut inbox.metas) {
                    Ok(received) => {
                        count = Some(received);
                        // A batch that is not full has emptied the socket: its readiness is cleared here, and only if
                        // no event came since this call began.
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

    /// Receives one batch of a socket that is about to be released and whose queue may hold merged datagrams.
    pub(crate) fn receive_merged(&mut self, inbox: &mut Inbox) -> Option<usize> {
        if !self.receive_offload {
            return None;
        }
        let mut slices = inbox.bytes.chunks_mut(Inbox::BUFFER).map(IoSliceMut::new).collect::<Vec<_>>();
        match self.state.recv((&*self.socket).into(), &mut slices, &mut inbox.metas) {
            Ok(BATCH_SIZE) => Some(BATCH_SIZE),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Some(0), // a pending ICMP error comes before the data
            emptied => {
                self.receive_offload = false;
                options::set_receive_offload(&*self.socket, false);
                emptied.ok()
            }
        }
    }

    /// Whether the system has reported errors. Clears that readiness; the caller then empties the error queue.
    fn take_error_ready(&self) -> bool {
        let mut reported = false;
        let cleared = self.socket.try_io(Interest::ERROR, || {
            reported = true;
            Err::<(), _>(ErrorKind::WouldBlock.into())
        });
        debug_assert!(cleared.is_err(), "the readiness for errors is always cleared");
        reported
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
}

/// Makes the state of `quinn-udp`, which sets its options on the socket.
fn new_state(socket: SockRef<'_>, receive_offload: bool) -> Result<UdpSocketState> {
    let state = UdpSocketState::new((&*socket).into())?;
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

    /// `quinn-udp` never sees a source address that the host does not have: at the first EINVAL it would stop
    /// segmentation offload.
    #[tokio::test]
    async fn a_foreign_source_is_found_before_the_send() {
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

    /// Such a socket is always readable and never has anything to read.
    #[tokio::test]
    async fn a_socket_that_is_shut_down_does_not_hold_the_driver() {
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
