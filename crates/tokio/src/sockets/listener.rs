//! A listener: brings streams, after their TLS handshake where there is one.
//!
//! It accepts no more while as many handshakes are under way as it allows, or as many streams are open as the driver
//! allows: who comes then waits in the kernel's queue. An error of the system (no descriptors left) is not tried again
//! at once.

use super::stream::{self, Stream, Transport};
use crate::errors;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use portolan_machine::Refusal;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::ErrorKind;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

type Handshake = Pin<Box<dyn Future<Output = Option<Stream>> + Send>>;

/// What a listener brings.
#[derive(Debug)]
pub(crate) enum Brought {
    /// A stream, open.
    Stream(Stream),
    /// Somebody whose handshake failed.
    Failed(SocketAddr),
    /// The system's refusal; it tries again later.
    Refused(Refusal),
}

/// One listening socket.
pub(crate) struct Listener {
    listener: TcpListener,
    local: SocketAddr,
    tls: Option<TlsAcceptor>,
    handshakes: Vec<(SocketAddr, Handshake)>,
    limit: Duration,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    /// How many TLS handshakes may be under way.
    const HANDSHAKES: usize = 128;
    /// How long it rests after an error.
    const REST: Duration = Duration::from_millis(200);
    /// How many streams may wait in the kernel.
    const BACKLOG: i32 = 1_024;

    /// Listens on `local`; each handshake has the time `limit`.
    pub(crate) fn bind(local: SocketAddr, tls: Option<Arc<ServerConfig>>, limit: Duration) -> Result<Self, Refusal> {
        let bind = || -> std::io::Result<Self> {
            let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            if local.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            // On Unix: a server that starts again need not wait for its old streams. Elsewhere it would share the port.
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            socket.bind(&local.into())?;
            socket.listen(Self::BACKLOG)?;
            Self::adopt(socket.into(), tls, limit)
        };
        bind().map_err(|error| errors::refusal(&error))
    }

    /// Takes over a listening socket.
    pub(crate) fn adopt(
        socket: std::net::TcpListener,
        tls: Option<Arc<ServerConfig>>,
        limit: Duration,
    ) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let listener = TcpListener::from_std(socket)?;
        let tls = tls.map(TlsAcceptor::from);
        Ok(Self { listener, local, tls, handshakes: Vec::new(), limit, rest: None })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// How many streams are on their way through a handshake.
    pub(crate) const fn under_way(&self) -> usize {
        self.handshakes.len()
    }

    /// The next that it brings; with `room` false nobody new is accepted.
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
        if !room || self.handshakes.len() >= Self::HANDSHAKES {
            return Poll::Pending;
        }
        match self.listener.poll_accept(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok((tcp, remote))) => match self.greet(tcp, remote) {
                Some(brought) => Poll::Ready(brought),
                None => {
                    // The handshake must be polled once to begin, and the next one may wait behind it.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            },
            // Who went away while waiting is not the listener's trouble.
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::ConnectionAborted => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Err(error)) => {
                self.rest = Some(Box::pin(tokio::time::sleep(Self::REST)));
                cx.waker().wake_by_ref();
                Poll::Ready(Brought::Refused(errors::refusal(&error)))
            }
        }
    }

    fn greet(&mut self, tcp: TcpStream, remote: SocketAddr) -> Option<Brought> {
        let local = match stream::set_options(&tcp).and_then(|()| tcp.local_addr()) {
            Ok(local) => local,
            Err(error) => return Some(Brought::Refused(errors::refusal(&error))),
        };
        let Some(tls) = self.tls.clone() else {
            return Some(Brought::Stream(Stream::new(Box::new(tcp), local, remote)));
        };
        let limit = self.limit;
        let handshake = async move {
            let accepted = tokio::time::timeout(limit, tls.accept(tcp)).await.ok()?.ok()?;
            let transport: Box<dyn Transport> = Box::new(accepted);
            Some(Stream::new(transport, local, remote))
        };
        self.handshakes.push((remote, Box::pin(handshake)));
        None
    }

    fn poll_handshakes(&mut self, cx: &mut Context<'_>) -> Option<Brought> {
        for index in 0..self.handshakes.len() {
            let (remote, handshake) = self.handshakes.get_mut(index)?;
            if let Poll::Ready(stream) = handshake.as_mut().poll(cx) {
                let brought = stream.map_or(Brought::Failed(*remote), Brought::Stream);
                drop(self.handshakes.swap_remove(index));
                return Some(brought);
            }
        }
        None
    }
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
