//! A listener: accepts streams, and does the TLS handshake of a TLS stream.
//!
//! * While the driver has reached its limit of streams or handshakes, a listener accepts nothing. New peers wait in the
//!   system's accept queue.
//! * When a source has reached its limit, the listener accepts a further stream of the source and closes it at once. So
//!   the stream does not block the streams of other sources in the accept queue.
//! * After an error of the system (for example: no descriptors left) the listener pauses before it tries again.

use super::Counters;
use super::limits::{Limits, Resource};
use super::ready::{ReadyQueue, SocketWaker};
use super::stream::{self, Stream};
use crate::errors;
use crate::note::DriverNote;
use crate::tls::TlsServer;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use portolan_machine::{Refusal, SocketId, SocketIds, TlsFailure};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::collections::HashMap;
use std::io::ErrorKind;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

/// A TLS handshake with its own waker: bytes of one peer cause the poll of one handshake, not of all handshakes.
struct Handshake {
    result: Pin<Box<dyn Future<Output = ListenerOutput> + Send>>,
    socket_waker: Arc<SocketWaker>,
    waker: Waker,
}

/// The result of polling a listener.
#[derive(Debug)]
pub(crate) enum ListenerOutput {
    /// An open stream.
    Stream(Stream),
    /// No stream, for this reason.
    NoStream(NoStream),
}

/// The reason for which a listener returned no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStream {
    /// The peer's handshake failed.
    Failed(SocketAddr, TlsFailure),
    /// The peer did not complete its handshake in time.
    TimedOut(SocketAddr),
    /// The peer's source has reached its limit of this resource. The stream is closed.
    Rejected(SocketAddr, Resource),
    /// The system refused to accept. The listener tries again later.
    Refused(Refusal),
}

impl NoStream {
    /// Returns the note for the listener of this id.
    pub(crate) const fn note(self, socket: SocketId) -> DriverNote {
        match self {
            Self::Failed(remote, why) => DriverNote::HandshakeFailed { socket, remote, why },
            Self::TimedOut(remote) => DriverNote::HandshakeTimedOut { socket, remote },
            Self::Rejected(remote, Resource::Stream) => DriverNote::TooManyStreams { socket, remote },
            Self::Rejected(remote, Resource::Handshake) => DriverNote::TooManyHandshakes { socket, remote },
            Self::Refused(why) => DriverNote::AcceptFailed { socket, why },
        }
    }

    /// Increments the counter of a stream that was rejected or not accepted.
    pub(crate) const fn add_to(self, counters: &mut Counters) {
        match self {
            Self::Rejected(_, Resource::Stream) => counters.too_many_streams += 1,
            Self::Rejected(_, Resource::Handshake) => counters.too_many_handshakes += 1,
            Self::Refused(Refusal::TooManySockets) => counters.no_descriptors += 1,
            Self::Refused(_) => counters.accept_failed += 1,
            Self::Failed(..) | Self::TimedOut(_) => {}
        }
    }
}

/// One listening socket.
pub(crate) struct Listener {
    listener: TcpListener,
    local: SocketAddr,
    tls: Option<TlsServer>,
    /// The handshakes under way. Their ids are valid in this listener only.
    handshakes: HashMap<SocketId, Handshake>,
    ids: SocketIds,
    /// The handshakes to poll.
    ready: Arc<ReadyQueue>,
    /// The timeout of each handshake.
    timeout: Duration,
    limits: Arc<Limits>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    /// The time for which the listener accepts nothing after an error of the system.
    const PAUSE: Duration = Duration::from_millis(200);
    /// The length of the kernel's accept queue.
    const BACKLOG: i32 = 1_024;

    /// Listens on `local`. If `shares_port` is set, streams can connect from the same port. `timeout` bounds each TLS handshake.
    pub(crate) fn bind(
        (local, shares_port): (SocketAddr, bool),
        tls: Option<TlsServer>,
        timeout: Duration,
        limits: &Arc<Limits>,
    ) -> Result<Self, Refusal> {
        let bind = || -> std::io::Result<Self> {
            let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            if local.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            // On Unix the option lets a restarted server bind while old streams are in TIME_WAIT. On other systems the
            // option would let two sockets share the port.
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            #[cfg(unix)]
            socket.set_reuse_port(shares_port)?;
            socket.bind(&local.into())?;
            socket.listen(Self::BACKLOG)?;
            Self::adopt(socket.into(), tls, timeout, limits)
        };
        bind().map_err(|error| errors::refusal(&error))
    }

    /// Takes over a listening socket.
    pub(crate) fn adopt(
        socket: std::net::TcpListener,
        tls: Option<TlsServer>,
        timeout: Duration,
        limits: &Arc<Limits>,
    ) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        Ok(Self {
            listener: TcpListener::from_std(socket)?,
            local,
            tls,
            handshakes: HashMap::new(),
            ids: SocketIds::new(),
            ready: Arc::default(),
            timeout,
            limits: Arc::clone(limits),
            pause: None,
        })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Returns the next result. Without `room` for another stream the listener accepts nothing, but handshakes
    /// continue.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, room: bool) -> Poll<ListenerOutput> {
        if let Some(output) = self.poll_handshakes(cx) {
            return Poll::Ready(output);
        }
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        if !room || (self.tls.is_some() && !self.limits.has_handshake_room()) {
            self.limits.wait(cx.waker());
            return Poll::Pending;
        }
        match self.listener.poll_accept(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok((tcp, remote))) => match self.admit(tcp, remote) {
                Some(output) => Poll::Ready(output),
                None => {
                    // The new handshake must be polled once to begin, and more peers may wait in the accept queue.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            },
            // The peer closed its stream while the stream was in the accept queue. That is no error of the listener.
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::ConnectionAborted => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Err(error)) => {
                self.pause = Some(Box::pin(tokio::time::sleep(Self::PAUSE)));
                cx.waker().wake_by_ref();
                Poll::Ready(ListenerOutput::NoStream(NoStream::Refused(errors::refusal(&error))))
            }
        }
    }

    /// Takes a new stream, or closes it if its source has reached its limit. Returns `None` when the handshake has
    /// begun.
    fn admit(&mut self, tcp: TcpStream, remote: SocketAddr) -> Option<ListenerOutput> {
        let Some(permit) = self.limits.admit(Resource::Stream, remote) else {
            return Some(reject_stream(&tcp, remote, Resource::Stream));
        };
        let local = match stream::set_options(&tcp).and_then(|()| tcp.local_addr()) {
            Ok(local) => local,
            Err(error) => return Some(ListenerOutput::NoStream(NoStream::Refused(errors::refusal(&error)))),
        };
        let Some(tls) = self.tls.clone() else {
            return Some(ListenerOutput::Stream(Stream::new(Box::new(tcp), local, remote).with_permit(permit)));
        };
        let Some(under_way) = self.limits.admit(Resource::Handshake, remote) else {
            return Some(reject_stream(&tcp, remote, Resource::Handshake));
        };
        let timeout = self.timeout;
        self.begin(async move {
            let _until_it_ends = under_way;
            match tokio::time::timeout(timeout, tls.accept(tcp)).await {
                Ok(Ok(transport)) => ListenerOutput::Stream(Stream::new(transport, local, remote).with_permit(permit)),
                Ok(Err(why)) => ListenerOutput::NoStream(NoStream::Failed(remote, why)),
                Err(_) => ListenerOutput::NoStream(NoStream::TimedOut(remote)),
            }
        });
        None
    }

    fn begin(&mut self, handshake: impl Future<Output = ListenerOutput> + Send + 'static) {
        let id = self.ids.next_socket();
        let socket_waker = SocketWaker::new(id, &self.ready);
        let waker = Waker::from(Arc::clone(&socket_waker));
        socket_waker.queue();
        self.handshakes.insert(id, Handshake { result: Box::pin(handshake), socket_waker, waker });
    }

    /// Returns the result of the next handshake that ends.
    fn poll_handshakes(&mut self, cx: &Context<'_>) -> Option<ListenerOutput> {
        self.ready.set_driver(cx.waker());
        // The loop is bounded because a handshake that has used up its cooperative budget wakes itself at once.
        for _ in 0..=self.handshakes.len() {
            let id = self.ready.pop()?;
            let Some(handshake) = self.handshakes.get_mut(&id) else {
                continue;
            };
            handshake.socket_waker.rearm();
            let mut own = Context::from_waker(&handshake.waker);
            if let Poll::Ready(output) = handshake.result.as_mut().poll(&mut own) {
                self.handshakes.remove(&id);
                return Some(output);
            }
        }
        cx.waker().wake_by_ref();
        None
    }
}

/// Rejects a stream. When the caller drops the stream, the system sends a RST and keeps no state for the stream (no
/// FIN_WAIT, no TIME_WAIT).
fn reject_stream(tcp: &TcpStream, remote: SocketAddr, resource: Resource) -> ListenerOutput {
    // Without the option the stream is closed by FIN, which is acceptable.
    let _reset = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    ListenerOutput::NoStream(NoStream::Rejected(remote, resource))
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("local", &self.local)
            .field("tls", &self.tls.is_some())
            .field("handshakes", &self.handshakes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DriverConfig;
    use core::future::poll_fn;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Mutex;

    #[test]
    fn each_stream_that_is_not_accepted_has_one_counter() {
        let remote = ([127, 0, 0, 1], 9).into();
        let counted = |why: NoStream| {
            let mut counters = Counters::default();
            why.add_to(&mut counters);
            counters
        };
        for (why, expected) in [
            (NoStream::Rejected(remote, Resource::Stream), Counters { too_many_streams: 1, ..Counters::default() }),
            (
                NoStream::Rejected(remote, Resource::Handshake),
                Counters { too_many_handshakes: 1, ..Counters::default() },
            ),
            (NoStream::Refused(Refusal::TooManySockets), Counters { no_descriptors: 1, ..Counters::default() }),
            (NoStream::Refused(Refusal::Unspecified), Counters { accept_failed: 1, ..Counters::default() }),
        ] {
            assert_eq!(counted(why), expected, "{why:?}");
        }
    }

    #[tokio::test]
    async fn bytes_of_one_peer_cause_the_poll_of_one_handshake() {
        let limits = Limits::new(&DriverConfig::default());
        let mut listener =
            Listener::bind((([127, 0, 0, 1], 0).into(), false), None, Duration::from_secs(1), &limits).unwrap();
        let (polls, wakers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        for _ in 0..100 {
            let (polls, wakers) = (Arc::clone(&polls), Arc::clone(&wakers));
            listener.begin(poll_fn(move |cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::Pending
            }));
        }
        let cx = Context::from_waker(Waker::noop());
        assert!(listener.poll_handshakes(&cx).is_none());
        assert_eq!(polls.load(Ordering::Relaxed), 100);
        wakers.lock().unwrap()[7].wake_by_ref();
        assert!(listener.poll_handshakes(&cx).is_none() && listener.poll_handshakes(&cx).is_none());
        assert_eq!(polls.load(Ordering::Relaxed), 101);
    }
}
