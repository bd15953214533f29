//! A listener: accepts streams, and does their TLS handshake where there is one.
//!
//! A listener accepts nothing while the driver has as many streams or handshakes as its totals allow. New peers then wait
//! in the system's queue. A stream whose source holds its share is accepted and closed at once, so that it does not stand
//! in the queue before the streams of other sources. After an error of the system (no descriptors left) the listener
//! pauses before it tries again.

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

/// A TLS handshake with a waker of its own: what one peer sends costs one poll, not one for every handshake.
struct Handshake {
    result: Pin<Box<dyn Future<Output = Brought> + Send>>,
    socket_waker: Arc<SocketWaker>,
    waker: Waker,
}

/// The result of a poll.
#[derive(Debug)]
pub(crate) enum Brought {
    /// An open stream.
    Stream(Stream),
    /// No stream, for this reason.
    NoStream(NoStream),
}

/// Why a peer's stream did not become one, or why none was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStream {
    /// The peer's handshake failed.
    Failed(SocketAddr, TlsFailure),
    /// The peer did not complete its handshake in time.
    TimedOut(SocketAddr),
    /// The peer's source holds its share of this resource. The stream is closed.
    TurnedAway(SocketAddr, Resource),
    /// The system refused to accept. The listener tries again later.
    Refused(Refusal),
}

impl NoStream {
    /// Returns the note for the listener of this id.
    pub(crate) const fn note(self, socket: SocketId) -> DriverNote {
        match self {
            Self::Failed(remote, why) => DriverNote::HandshakeFailed { socket, remote, why },
            Self::TimedOut(remote) => DriverNote::HandshakeTimedOut { socket, remote },
            Self::TurnedAway(remote, Resource::Stream) => DriverNote::TooManyStreams { socket, remote },
            Self::TurnedAway(remote, Resource::Handshake) => DriverNote::TooManyHandshakes { socket, remote },
            Self::Refused(why) => DriverNote::AcceptFailed { socket, why },
        }
    }

    /// Counts a stream that was turned away.
    pub(crate) const fn count(self, counters: &mut Counters) {
        match self {
            Self::TurnedAway(_, Resource::Stream) => counters.too_many_streams += 1,
            Self::TurnedAway(_, Resource::Handshake) => counters.too_many_handshakes += 1,
            Self::Failed(..) | Self::TimedOut(_) | Self::Refused(_) => {}
        }
    }
}

/// One listening socket.
pub(crate) struct Listener {
    listener: TcpListener,
    local: SocketAddr,
    tls: Option<TlsServer>,
    /// The handshakes under way. Their ids are known to this listener alone.
    handshakes: HashMap<SocketId, Handshake>,
    ids: SocketIds,
    /// The handshakes to poll.
    ready: Arc<ReadyQueue>,
    /// The time that each handshake has.
    timeout: Duration,
    limits: Arc<Limits>,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    /// How long it rests after an error.
    const REST: Duration = Duration::from_millis(200);
    /// How many streams may wait in the kernel.
    const BACKLOG: i32 = 1_024;

    /// Listens on `local`; each TLS handshake has the time `timeout`.
    pub(crate) fn bind(
        local: SocketAddr,
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
            // On Unix a server that restarts can bind although old streams are in TIME_WAIT. Elsewhere the option lets
            // two sockets share the port.
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
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
            rest: None,
        })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Returns the next result. Without `room` for another stream nothing is accepted, but handshakes go on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, room: bool) -> Poll<Brought> {
        if let Some(brought) = self.poll_handshakes(cx) {
            return Poll::Ready(brought);
        }
        if let Some(rest) = &mut self.rest {
            if rest.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.rest = None;
        }
        if !room || (self.tls.is_some() && !self.limits.has_handshake_room()) {
            self.limits.wait(cx.waker());
            return Poll::Pending;
        }
        match self.listener.poll_accept(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok((tcp, remote))) => match self.admit(tcp, remote) {
                Some(brought) => Poll::Ready(brought),
                None => {
                    // The handshake must be polled once to begin, and the next peer may wait behind it.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            },
            // A peer that went away while it waited is no error of the listener.
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::ConnectionAborted => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Err(error)) => {
                self.rest = Some(Box::pin(tokio::time::sleep(Self::REST)));
                cx.waker().wake_by_ref();
                Poll::Ready(Brought::NoStream(NoStream::Refused(errors::refusal(&error))))
            }
        }
    }

    /// Takes a new stream, or closes it where its source holds its share. `None`: its handshake has begun.
    fn admit(&mut self, tcp: TcpStream, remote: SocketAddr) -> Option<Brought> {
        let Some(permit) = self.limits.admit(Resource::Stream, remote) else {
            return Some(turn_away(&tcp, remote, Resource::Stream));
        };
        let local = match stream::set_options(&tcp).and_then(|()| tcp.local_addr()) {
            Ok(local) => local,
            Err(error) => return Some(Brought::NoStream(NoStream::Refused(errors::refusal(&error)))),
        };
        let Some(tls) = self.tls.clone() else {
            return Some(Brought::Stream(Stream::new(Box::new(tcp), local, remote).with_permit(permit)));
        };
        let Some(under_way) = self.limits.admit(Resource::Handshake, remote) else {
            return Some(turn_away(&tcp, remote, Resource::Handshake));
        };
        let timeout = self.timeout;
        self.begin(async move {
            let _until_it_ends = under_way;
            match tokio::time::timeout(timeout, tls.accept(tcp)).await {
                Ok(Ok(transport)) => Brought::Stream(Stream::new(transport, local, remote).with_permit(permit)),
                Ok(Err(why)) => Brought::NoStream(NoStream::Failed(remote, why)),
                Err(_) => Brought::NoStream(NoStream::TimedOut(remote)),
            }
        });
        None
    }

    fn begin(&mut self, handshake: impl Future<Output = Brought> + Send + 'static) {
        let id = self.ids.next_socket();
        let socket_waker = SocketWaker::new(id, &self.ready);
        let waker = Waker::from(Arc::clone(&socket_waker));
        socket_waker.queue();
        self.handshakes.insert(id, Handshake { result: Box::pin(handshake), socket_waker, waker });
    }

    /// Returns the result of the next handshake that ends.
    fn poll_handshakes(&mut self, cx: &Context<'_>) -> Option<Brought> {
        self.ready.set_driver(cx.waker());
        // Bounded: a handshake that has used up its share of the runtime's time wakes itself.
        for _ in 0..=self.handshakes.len() {
            let id = self.ready.pop()?;
            let Some(handshake) = self.handshakes.get_mut(&id) else {
                continue;
            };
            handshake.socket_waker.rearm();
            let mut own = Context::from_waker(&handshake.waker);
            if let Poll::Ready(brought) = handshake.result.as_mut().poll(&mut own) {
                self.handshakes.remove(&id);
                return Some(brought);
            }
        }
        cx.waker().wake_by_ref();
        None
    }
}

/// Resets a stream that is closed when the caller drops it: the system then keeps no state for it (no FIN_WAIT, no
/// TIME_WAIT), whatever the peer does.
fn turn_away(tcp: &TcpStream, remote: SocketAddr, resource: Resource) -> Brought {
    // Without the option the stream is closed by FIN, which is acceptable.
    let _reset = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    Brought::NoStream(NoStream::TurnedAway(remote, resource))
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

    #[tokio::test]
    async fn what_one_peer_sends_costs_the_poll_of_one_handshake() {
        let limits = Limits::new(&DriverConfig::default());
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), None, Duration::from_secs(1), &limits).unwrap();
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
