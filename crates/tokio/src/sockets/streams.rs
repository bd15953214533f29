//! Stream operations of [`Sockets`]: sending, backpressure, unread bytes, end of stream.

use super::stream::{Read, Sent, Stream, Taking};
use super::{Endpoint, Entry, SocketInput, Sockets};
use crate::data::SendError;
use crate::driver::Environment;
use crate::note::DriverNote;
use crate::sockets::udp::Inbox;
use bytes::BytesMut;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use portolan_machine::{Closure, SocketEvent, SocketId, Transmit, WhenFull};

/// The number of bytes that the driver holds for one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Bytes that wait to be sent, at most 256 KiB. The system's own buffer is not counted.
    pub unsent: usize,
    /// Bytes that were read and that the machine has not taken, at most 64 KiB.
    pub unread: usize,
}

impl Sockets {
    /// Sends a machine's payload on a stream.
    pub(super) fn transmit_stream(&mut self, transmit: &Transmit, env: &mut Environment) {
        let (socket, remote) = (transmit.socket, transmit.remote);
        match self.send_stream(socket, &transmit.payload, transmit.when_full) {
            Some(Sent::Accepted | Sent::Corked) => {}
            Some(Sent::Dropped) => {
                self.counters.stream_full += 1;
                env.note(|| DriverNote::Full { socket, remote });
            }
            Some(Sent::Overflow) => self.end(socket, Closure::Overflow),
            Some(Sent::Broken) | None => {
                self.counters.not_open += 1;
                env.note(|| DriverNote::NotOpen { socket });
            }
        }
    }

    /// Sends an owner's payload on a stream whole. After an error no byte of the payload was sent.
    pub(super) fn offer_stream(&mut self, transmit: &Transmit) -> Result<(), SendError> {
        match self.send_stream(transmit.socket, &transmit.payload, WhenFull::Drop) {
            Some(Sent::Accepted | Sent::Corked) => Ok(()),
            Some(Sent::Dropped | Sent::Overflow) => Err(SendError::Full),
            Some(Sent::Broken) | None => Err(SendError::NotOpen),
        }
    }

    fn send_stream(&mut self, id: SocketId, payload: &[u8], when_full: WhenFull) -> Option<Sent> {
        let Entry { endpoint: Endpoint::Stream(stream), socket_waker, waker } = self.table.get_mut(&id)? else {
            return None;
        };
        let sent = stream.send(&mut Context::from_waker(waker), payload, when_full);
        if sent == Sent::Corked && self.corked.last() != Some(&id) {
            self.corked.push(id);
        }
        if stream.becomes_full() {
            self.socket_events.extend(stream.take_socket_event().map(|event| (id, event)));
        }
        if sent == Sent::Broken || stream.becomes_writable() {
            socket_waker.queue();
        }
        Some(sent)
    }

    /// Sends the small payloads that wait for the end of a drain.
    pub(crate) fn flush_streams(&mut self) {
        for id in self.corked.drain(..) {
            let Some(Entry { endpoint: Endpoint::Stream(stream), socket_waker, waker }) = self.table.get_mut(&id)
            else {
                continue;
            };
            stream.write_unsent(&mut Context::from_waker(waker));
            if stream.is_broken() || stream.becomes_writable() {
                socket_waker.queue();
            }
        }
    }

    /// Writes the unsent bytes, and returns the stream's input for the machine.
    pub(super) fn poll_stream(&mut self, id: SocketId, inbox: &mut Inbox) -> SocketInput {
        let Some(Entry { endpoint: Endpoint::Stream(stream), socket_waker, waker }) = self.table.get_mut(&id) else {
            return SocketInput::Nothing;
        };
        let mut cx = Context::from_waker(waker);
        stream.write_unsent(&mut cx);
        self.socket_events.extend(stream.take_socket_event().map(|event| (id, event)));
        let (local, remote) = (stream.local(), stream.remote());
        let found = match stream.poll_read(&mut cx, inbox.plain()) {
            Poll::Pending => return SocketInput::Nothing,
            Poll::Ready(Read::Chunk(length)) => SocketInput::Chunk { length, local, remote },
            Poll::Ready(Read::Unread(bytes)) => SocketInput::Unread { bytes, local, remote },
            Poll::Ready(Read::Ended(why)) => {
                self.end(id, why);
                return SocketInput::Nothing;
            }
        };
        // There may be more bytes. The stream is queued again, behind the other sockets.
        socket_waker.queue();
        found
    }

    /// Whether the driver may pass bytes of this stream to the machine.
    pub(crate) fn is_readable(&self, id: SocketId) -> bool {
        self.stream(id).is_some_and(Stream::is_readable)
    }

    /// Keeps bytes of a stream that were read and that the machine did not take.
    pub(crate) fn keep_unread(&mut self, id: SocketId, bytes: BytesMut) {
        if let Some(Entry { endpoint: Endpoint::Stream(stream), .. }) = self.table.get_mut(&id) {
            stream.keep_unread(bytes);
        }
    }

    /// Records how many bytes a drained machine took of a readable stream. A stream ends when the machine takes nothing
    /// twice in a row.
    pub(crate) fn record_taken(&mut self, id: SocketId, count: usize, env: &mut Environment) {
        let Some(Entry { endpoint: Endpoint::Stream(stream), .. }) = self.table.get_mut(&id) else {
            return;
        };
        if stream.record_taken(count) == Taking::Refuses {
            let remote = stream.remote();
            env.note(|| DriverNote::NotRead { socket: id, remote });
            self.end(id, Closure::NotRead);
        }
    }

    /// Stops reading a stream until [`resume`](Self::resume).
    pub(crate) fn pause(&mut self, id: SocketId, env: &mut Environment) {
        match self.table.get_mut(&id) {
            Some(Entry { endpoint: Endpoint::Stream(stream), .. }) => stream.set_paused(true),
            Some(_) | None => env.note(|| DriverNote::NotAStream { socket: id }),
        }
    }

    /// Reads a stream again after [`pause`](Self::pause).
    pub(crate) fn resume(&mut self, id: SocketId, env: &mut Environment) {
        match self.table.get_mut(&id) {
            Some(Entry { endpoint: Endpoint::Stream(stream), socket_waker, .. }) => {
                stream.set_paused(false);
                socket_waker.queue();
            }
            Some(_) | None => env.note(|| DriverNote::NotAStream { socket: id }),
        }
    }

    /// Stops reading a stream until the owner has taken the queued bytes of the stream.
    pub(crate) fn wait_for_owner(&mut self, id: SocketId) {
        if let Some(Entry { endpoint: Endpoint::Stream(stream), .. }) = self.table.get_mut(&id) {
            stream.set_owner_has_bytes(true);
        }
    }

    /// Whether bytes of this stream wait for the owner.
    pub(crate) fn owner_has_bytes(&self, id: SocketId) -> bool {
        self.stream(id).is_some_and(Stream::owner_has_bytes)
    }

    /// Reads a stream again after the owner has taken the queued bytes of the stream.
    pub(crate) fn resume_for_owner(&mut self, id: SocketId) {
        if let Some(Entry { endpoint: Endpoint::Stream(stream), socket_waker, .. }) = self.table.get_mut(&id) {
            stream.set_owner_has_bytes(false);
            socket_waker.queue();
        }
    }

    /// The number of bytes that the driver holds for an open stream.
    pub(crate) fn backlog(&self, id: SocketId) -> Option<Backlog> {
        let stream = self.stream(id)?;
        Some(Backlog { unsent: stream.unsent(), unread: stream.unread() })
    }

    /// Ends a stream that the machine did not close. The queued bytes are still sent if the peer may still read them.
    fn end(&mut self, id: SocketId, why: Closure) {
        if let Some(Entry { endpoint: Endpoint::Stream(stream), .. }) = self.remove(id) {
            self.ends.insert(id, (stream.local(), stream.remote()));
            if matches!(why, Closure::ByPeer | Closure::NotRead) {
                self.linger(id, stream);
            }
        }
        self.socket_events.push_back((id, SocketEvent::Closed(why)));
    }

    /// Returns the local and remote address of a stream whose end is being reported.
    pub(crate) fn take_end(&mut self, id: SocketId) -> Option<(SocketAddr, SocketAddr)> {
        self.ends.remove(&id)
    }

    fn stream(&self, id: SocketId) -> Option<&Stream> {
        match &self.table.get(&id)?.endpoint {
            Endpoint::Stream(stream) => Some(stream),
            Endpoint::Udp(_) | Endpoint::Opening(_) | Endpoint::Listener(_) | Endpoint::Closing(_) => None,
        }
    }
}
