//! A byte stream, TCP or TLS: how it is made, read, written and let go.
//!
//! * Opened means connected and, for TLS, verified. Both together have the driver's time.
//! * What the system does not take at once is kept, up to 256 KiB; past that the stream ends.
//! * A stream that its machine closes still sends what was queued before, says farewell, and waits for the peer's,
//!   within the linger time: a socket that is closed with unread bytes would take sent ones back (TCP RST).

use super::limits::Permit;
use crate::errors;
use crate::tls::TlsClient;
use alloc::boxed::Box;
use bytes::{Buf, BytesMut};
use core::fmt;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use portolan_machine::{Closure, Open, Refusal};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// The transport under a stream: TCP itself, or TLS over it.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// What happened when a stream was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes came.
    Chunk(usize),
    /// It ended.
    Ended(Closure),
}

/// One open stream.
pub(crate) struct Stream {
    transport: Box<dyn Transport>,
    local: SocketAddr,
    remote: SocketAddr,
    unsent: BytesMut,
    /// Counts an accepted stream towards its source until the descriptor is closed.
    permit: Option<Permit>,
}

impl Stream {
    /// How many unsent bytes are kept.
    pub(crate) const UNSENT: usize = 256 * 1_024;
    /// How much is read at a time.
    const CHUNK: usize = 64 * 1_024;

    pub(crate) fn new(transport: Box<dyn Transport>, local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport, local, remote, unsent: BytesMut::new(), permit: None }
    }

    /// Returns the same stream as one that was accepted under this permit.
    pub(crate) fn with_permit(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Sends what it can, then reads the next chunk into `buffer`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Read> {
        // What the peer sent before it broke the stream off is still read.
        let sent = self.write_unsent(cx);
        let room = buffer.len().min(Self::CHUNK);
        let mut room = ReadBuf::new(buffer.get_mut(..room).unwrap_or_default());
        match Pin::new(&mut self.transport).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) if room.filled().is_empty() => Poll::Ready(Read::Ended(Closure::ByPeer)),
            Poll::Ready(Ok(())) => Poll::Ready(Read::Chunk(room.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Read::Ended(errors::closure(&error))),
            Poll::Pending => match sent {
                Ok(()) => Poll::Pending,
                Err(why) => Poll::Ready(Read::Ended(why)),
            },
        }
    }

    /// Sends bytes after all those before; keeps what the system does not take.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>, mut payload: &[u8]) -> Result<(), Closure> {
        self.write_unsent(cx)?;
        while self.unsent.is_empty() && !payload.is_empty() {
            match Pin::new(&mut self.transport).poll_write(cx, payload) {
                Poll::Ready(Ok(count)) => payload = payload.get(count..).unwrap_or_default(),
                Poll::Ready(Err(error)) => return Err(errors::closure(&error)),
                Poll::Pending => break,
            }
        }
        if self.unsent.len() + payload.len() > Self::UNSENT {
            return Err(Closure::Overflow);
        }
        self.unsent.extend_from_slice(payload);
        self.flush(cx)
    }

    /// Sends what is left, says farewell, and waits for the peer's; the caller bounds the time.
    pub(crate) async fn finish(mut self) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        if self.transport.write_all_buf(&mut self.unsent).await.is_err() || self.transport.shutdown().await.is_err() {
            return;
        }
        let mut unread = [0; 4_096];
        while self.transport.read(&mut unread).await.is_ok_and(|count| count > 0) {}
    }

    fn write_unsent(&mut self, cx: &mut Context<'_>) -> Result<(), Closure> {
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.transport).poll_write(cx, &self.unsent) {
                Poll::Ready(Ok(count)) => self.unsent.advance(count),
                Poll::Ready(Err(error)) => return Err(errors::closure(&error)),
                Poll::Pending => return Ok(()),
            }
        }
        self.flush(cx)
    }

    /// TLS may hold records that the system had no room for.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), Closure> {
        match Pin::new(&mut self.transport).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(errors::closure(&error)),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("unsent", &self.unsent.len())
            .finish_non_exhaustive()
    }
}

/// Connects the stream that was ordered, within `limit`.
pub(crate) async fn connect(open: Open, tls: Option<TlsClient>, limit: Duration) -> Result<Stream, Refusal> {
    let connected = tokio::time::timeout(limit, connect_unbounded(open, tls)).await;
    connected.unwrap_or(Err(Refusal::TimedOut))
}

async fn connect_unbounded(open: Open, tls: Option<TlsClient>) -> Result<Stream, Refusal> {
    let remote = open.remote.ok_or(Refusal::NoRoute)?;
    if remote.is_ipv4() != open.local.is_ipv4() {
        return Err(Refusal::FamilyNotSupported);
    }
    let tcp = tcp(open.local, remote).await.map_err(|error| errors::refusal(&error))?;
    let local = tcp.local_addr().map_err(|error| errors::refusal(&error))?;
    let transport: Box<dyn Transport> = match tls {
        Some(tls) => tls.connect(tcp, open.server_name, remote).await?,
        None => Box::new(tcp),
    };
    Ok(Stream::new(transport, local, remote))
}

async fn tcp(local: SocketAddr, remote: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A port that was asked for may still be resting from its last stream.
    #[cfg(unix)]
    socket.set_reuse_address(local.port() != 0)?;
    if local.port() != 0 || !local.ip().is_unspecified() {
        socket.bind(&local.into())?;
    }
    let stream = TcpSocket::from_std_stream(socket.into()).connect(remote).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::task::Waker;
    use tokio::io::{AsyncReadExt as _, duplex};

    /// A stream over a transport that takes so many bytes.
    fn narrow(takes: usize) -> (Stream, tokio::io::DuplexStream) {
        let (own, peer) = duplex(takes);
        (Stream::new(Box::new(own), ([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()), peer)
    }

    #[test]
    fn a_quarter_of_a_mebibyte_is_held_and_not_a_byte_more() {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut stream, _peer) = narrow(1_000);
        assert_eq!(stream.send(&mut cx, &vec![0; 1_000 + Stream::UNSENT]), Ok(()));
        assert_eq!(stream.send(&mut cx, &[]), Ok(()));
        assert_eq!(stream.send(&mut cx, &[0]), Err(Closure::Overflow));
    }

    #[tokio::test]
    async fn what_is_held_leaves_in_order() {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut stream, mut peer) = narrow(7);
        for part in 0..100_u8 {
            assert_eq!(stream.send(&mut cx, &[part; 10]), Ok(()));
        }
        let mut read = Vec::new();
        let (result, ()) = tokio::join!(
            async {
                let result = peer.read_to_end(&mut read).await;
                drop(peer);
                result
            },
            stream.finish()
        );
        assert_eq!(result.unwrap(), 1_000);
        assert!(read.chunks(10).enumerate().all(|(part, bytes)| bytes == [part as u8; 10]));
    }
}
