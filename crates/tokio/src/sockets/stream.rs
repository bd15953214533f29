//! A byte stream, TCP or TLS: how it is connected, read, written and closed.
//!
//! * Open: a TCP stream is open when it is connected, a TLS stream when the peer is verified. One timeout bounds both
//!   steps.
//! * Small payloads wait for the end of the drain that queued them, so that they are sent in one system call.
//! * Bytes that the system does not accept at once are kept. A stream is full above 64 KiB and writable again below
//!   32 KiB. The stream ends when more than 256 KiB would wait.
//! * Bytes that were read and not taken come before the next read. Nothing is read while the stream is paused, or while
//!   the owner has not taken earlier bytes. An accepted stream is also not read while it is full. Other streams are read
//!   while they are full, so that two full ends of one stream do not wait for each other.
//! * When the machine closes a stream, the driver sends the queued bytes first. Then it shuts down the sending
//!   direction and waits for the peer's FIN, within the linger time. It reads and drops the bytes that arrive meanwhile:
//!   a peer that also sends its last bytes can then finish. Closing a socket that has unread bytes would send a TCP RST,
//!   and the peer could lose bytes that were sent before.

use super::limits::Permit;
use crate::errors;
use crate::tls::TlsClient;
use alloc::boxed::Box;
use bytes::{Buf, BytesMut};
use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use portolan_machine::{Closure, Open, Refusal, SocketEvent, WhenFull};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// The transport under a stream: TCP itself, or TLS over TCP.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// The result of reading a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The number of bytes that were read into the buffer.
    Chunk(usize),
    /// Bytes that were read earlier and that the machine did not take.
    Unread(BytesMut),
    /// The stream ended, and all its bytes were taken.
    Ended(Closure),
}

/// The result of sending a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The payload was sent, or waits until the system accepts more bytes.
    Accepted,
    /// The payload waits for [`Stream::write_unsent`] at the end of the drain.
    Corked,
    /// The payload was dropped whole ([`WhenFull::Drop`]).
    Dropped,
    /// The payload was dropped because the stream has failed. The end of the stream is reported after its last bytes.
    Broken,
    /// More than 256 KiB would wait ([`WhenFull::Close`]). The stream must end.
    Overflow,
}

/// Whether the machine still takes bytes of a readable stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taking {
    /// The machine took bytes, or took nothing for the first time.
    Continues,
    /// The machine took nothing twice in a row.
    Refuses,
}

/// One open stream.
pub(crate) struct Stream {
    transport: Box<dyn Transport>,
    local: SocketAddr,
    remote: SocketAddr,
    /// Bytes that wait to be sent.
    unsent: BytesMut,
    /// Bytes that were read and that the machine has not taken.
    unread: BytesMut,
    paused: bool,
    /// Whether the machine got `Full` and not yet `Writable`.
    full: bool,
    /// Whether bytes of this stream wait for the owner. If so, the stream is not read.
    owner_has_bytes: bool,
    /// Whether the machine took nothing in the last call.
    refused_once: bool,
    /// The reason for which sending failed, if it did.
    broken: Option<Closure>,
    /// The permit of an accepted stream. It counts the stream for its source until the descriptor is closed.
    permit: Option<Permit>,
}

impl Stream {
    /// The number of unsent bytes above which the stream ends.
    pub(crate) const UNSENT: usize = 256 * 1_024;
    /// The number of unsent bytes above which the stream is full.
    pub(crate) const FULL: usize = 64 * 1_024;
    /// The number of unsent bytes below which a full stream is writable again.
    pub(crate) const WRITABLE: usize = 32 * 1_024;
    /// The number of bytes of small payloads that wait for the end of a drain.
    const CORK: usize = 16 * 1_024;
    /// The maximum number of bytes that one read takes.
    const CHUNK: usize = 64 * 1_024;
    /// The number of unsent bytes that the system keeps (TCP_NOTSENT_LOWAT). A larger number would only hide from the
    /// driver that the peer reads slowly.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const UNSENT_IN_SYSTEM: u32 = 128 * 1_024;

    pub(crate) fn new(transport: Box<dyn Transport>, local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            transport,
            local,
            remote,
            unsent: BytesMut::new(),
            unread: BytesMut::new(),
            paused: false,
            full: false,
            owner_has_bytes: false,
            refused_once: false,
            broken: None,
            permit: None,
        }
    }

    /// Takes over a connected socket. The stream is read as an opened one.
    pub(crate) fn adopt(socket: std::net::TcpStream) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
        let tcp = TcpStream::from_std(socket)?;
        set_options(&tcp)?;
        Ok(Self::new(Box::new(tcp), local, remote))
    }

    /// Adds the permit of an accepted stream.
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

    /// The number of bytes that wait to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// The number of bytes that were read and not taken.
    pub(crate) fn unread(&self) -> usize {
        self.unread.len()
    }

    /// Sets whether the machine has paused the stream.
    pub(crate) const fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Sets whether bytes of this stream wait for the owner.
    pub(crate) const fn set_owner_has_bytes(&mut self, has_bytes: bool) {
        self.owner_has_bytes = has_bytes;
    }

    /// Whether bytes of this stream wait for the owner.
    pub(crate) const fn owner_has_bytes(&self) -> bool {
        self.owner_has_bytes
    }

    /// Whether sending has failed.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether a listener accepted the stream. If not, it was opened or adopted.
    const fn is_accepted(&self) -> bool {
        self.permit.is_some()
    }

    /// Whether the stream may be read.
    pub(crate) const fn is_readable(&self) -> bool {
        let waits_for_peer = self.full && self.is_accepted();
        !self.paused && !self.owner_has_bytes && !waits_for_peer
    }

    /// Keeps bytes that were read and not taken, for the next [`poll_read`](Self::poll_read).
    pub(crate) fn keep_unread(&mut self, bytes: BytesMut) {
        debug_assert!(self.unread.is_empty(), "nothing is read before the unread bytes are taken");
        self.unread = bytes;
    }

    /// Records how many bytes a drained machine took of a readable stream.
    pub(crate) const fn record_taken(&mut self, count: usize) -> Taking {
        let refused_before = self.refused_once;
        self.refused_once = count == 0;
        if refused_before && self.refused_once { Taking::Refuses } else { Taking::Continues }
    }

    /// Returns the unread bytes, or reads the next chunk into `buffer`.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Read> {
        if !self.is_readable() {
            return Poll::Pending;
        }
        if !self.unread.is_empty() {
            return Poll::Ready(Read::Unread(core::mem::take(&mut self.unread)));
        }
        let room = buffer.len().min(Self::CHUNK);
        let mut room = ReadBuf::new(buffer.get_mut(..room).unwrap_or_default());
        let transport = &mut self.transport;
        match without_budget(cx, |cx| Pin::new(&mut *transport).poll_read(cx, &mut room)) {
            Poll::Ready(Ok(())) if room.filled().is_empty() => Poll::Ready(Read::Ended(Closure::ByPeer)),
            Poll::Ready(Ok(())) => Poll::Ready(Read::Chunk(room.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Read::Ended(errors::closure(&error))),
            // A send failure is reported only here, after all bytes that arrived before were read.
            Poll::Pending => self.broken.map_or(Poll::Pending, |why| Poll::Ready(Read::Ended(why))),
        }
    }

    /// Sends a payload after all earlier payloads, and keeps the bytes that the system does not accept.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>, mut payload: &[u8], when_full: WhenFull) -> Sent {
        if self.broken.is_some() {
            return Sent::Broken;
        }
        if self.unsent.len() + payload.len() <= Self::CORK {
            let corked = if self.unsent.is_empty() { Sent::Corked } else { Sent::Accepted };
            self.unsent.extend_from_slice(payload);
            return corked;
        }
        self.write_unsent(cx);
        let too_many = self.unsent.len() > Self::FULL || self.unsent.len() + payload.len() > Self::UNSENT;
        if when_full == WhenFull::Drop && too_many && self.broken.is_none() {
            return Sent::Dropped;
        }
        if self.unsent.is_empty() && self.broken.is_none() {
            let written = self.write(cx, payload);
            payload = payload.get(written..).unwrap_or_default();
            self.flush(cx);
        }
        if self.broken.is_some() {
            return Sent::Broken;
        }
        if self.unsent.len() + payload.len() > Self::UNSENT {
            return Sent::Overflow;
        }
        self.unsent.extend_from_slice(payload);
        Sent::Accepted
    }

    /// Returns `Full` or `Writable` when the number of unsent bytes has crossed a threshold since the last call.
    pub(crate) fn take_socket_event(&mut self) -> Option<SocketEvent> {
        if self.full == self.is_full() {
            return None;
        }
        self.full = !self.full;
        Some(if self.full { SocketEvent::Full } else { SocketEvent::Writable })
    }

    /// Whether [`take_socket_event`](Self::take_socket_event) would return `Full`.
    pub(crate) fn becomes_full(&self) -> bool {
        !self.full && self.is_full()
    }

    /// Whether [`take_socket_event`](Self::take_socket_event) would return `Writable`.
    pub(crate) fn becomes_writable(&self) -> bool {
        self.full && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.unsent.len() > Self::FULL || self.full && self.unsent.len() >= Self::WRITABLE
    }

    /// Sends the unsent bytes, shuts down the sending direction, and waits for the peer's FIN. Meanwhile reads and drops
    /// the peer's bytes. The caller bounds the time.
    pub(crate) async fn finish(mut self) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut reader, mut writer) = tokio::io::split(self.transport);
        let unsent = &mut self.unsent;
        let mut sending = pin!(async { writer.write_all_buf(unsent).await.is_ok() && writer.shutdown().await.is_ok() });
        let mut reading = pin!(async {
            let mut unread = [0; 4_096];
            while reader.read(&mut unread).await.is_ok_and(|count| count > 0) {}
        });
        let (mut is_sent, mut is_read) = (false, false);
        poll_fn(|cx| {
            is_read = is_read || reading.as_mut().poll(cx).is_ready();
            if !is_sent {
                match sending.as_mut().poll(cx) {
                    Poll::Ready(true) => is_sent = true,
                    Poll::Ready(false) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            if is_read { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Sends the unsent bytes until the system accepts no more.
    pub(crate) fn write_unsent(&mut self, cx: &mut Context<'_>) {
        if self.broken.is_some() {
            return;
        }
        if !self.unsent.is_empty() {
            let mut unsent = core::mem::take(&mut self.unsent);
            let written = self.write(cx, &unsent);
            if self.broken.is_none() && written < unsent.len() {
                unsent.advance(written);
                self.unsent = unsent;
            } else if unsent.capacity() <= Self::CORK {
                // A small buffer is reused. The memory of a large buffer is released.
                unsent.clear();
                self.unsent = unsent;
            }
        }
        self.flush(cx);
    }

    /// Writes `bytes` until the system accepts no more. Returns the number of accepted bytes. Stores a failure in
    /// `broken`.
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> usize {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let transport = &mut self.transport;
            match without_budget(cx, |cx| Pin::new(&mut *transport).poll_write(cx, rest)) {
                Poll::Ready(Ok(0)) => self.broken = Some(Closure::Unspecified),
                Poll::Ready(Ok(count)) => {
                    written += count;
                    continue;
                }
                Poll::Ready(Err(error)) => self.broken = Some(errors::closure(&error)),
                Poll::Pending => {}
            }
            break;
        }
        written
    }

    /// Flushes the transport, because TLS buffers records that the system did not accept.
    fn flush(&mut self, cx: &mut Context<'_>) {
        let transport = &mut self.transport;
        if self.broken.is_none()
            && let Poll::Ready(Err(error)) = without_budget(cx, |cx| Pin::new(&mut *transport).poll_flush(cx))
        {
            self.broken = Some(errors::closure(&error));
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("unsent", &self.unsent.len())
            .field("unread", &self.unread.len())
            .finish_non_exhaustive()
    }
}

/// Polls without tokio's cooperative budget.
///
/// A transport that is out of budget returns `Pending`, as if the system accepted nothing. The driver would then drop
/// droppable payloads without need. The driver does not need the budget because it bounds its turns itself.
fn without_budget<T>(cx: &mut Context<'_>, poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    pin!(tokio::task::unconstrained(poll_fn(poll))).poll(cx)
}

/// Sets the options of every stream: no delay of small segments, and a bound on the unsent bytes in the system.
pub(crate) fn set_options(tcp: &TcpStream) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    // Without the option the system keeps more unsent bytes. The stream still works.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _unsupported = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(Stream::UNSENT_IN_SYSTEM);
    Ok(())
}

/// Connects the ordered stream within the timeout `limit`.
pub(crate) async fn connect(open: Open, tls: Option<TlsClient>, limit: Duration) -> Result<Stream, Refusal> {
    let connected = tokio::time::timeout(limit, connect_unbounded(open, tls)).await;
    connected.unwrap_or(Err(Refusal::TimedOut))
}

async fn connect_unbounded(open: Open, tls: Option<TlsClient>) -> Result<Stream, Refusal> {
    let remote = open.remote.ok_or(Refusal::NoRoute)?;
    if remote.is_ipv4() != open.local.is_ipv4() {
        return Err(Refusal::FamilyNotSupported);
    }
    let tcp = tcp((open.local, open.shares_port), remote).await.map_err(|error| errors::refusal(&error))?;
    let local = tcp.local_addr().map_err(|error| errors::refusal(&error))?;
    let transport: Box<dyn Transport> = match tls {
        Some(tls) => tls.connect(tcp, open.server_name, remote).await?,
        None => Box::new(tcp),
    };
    Ok(Stream::new(transport, local, remote))
}

async fn tcp((local, shares_port): (SocketAddr, bool), remote: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A fixed local port may still be in TIME_WAIT after an earlier stream.
    #[cfg(unix)]
    socket.set_reuse_address(local.port() != 0)?;
    #[cfg(unix)]
    socket.set_reuse_port(shares_port)?;
    if local.port() != 0 || !local.ip().is_unspecified() {
        socket.bind(&local.into())?;
    }
    let stream = TcpSocket::from_std_stream(socket.into()).connect(remote).await?;
    set_options(&stream)?;
    Ok(stream)
}

#[cfg(test)]
mod tests;
