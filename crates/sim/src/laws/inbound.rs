//! The bytes of streams between the driver and the machine.
//!
//! Rules of this file: bytes are handed in until the machine has taken them. The machine gets no bytes while it has
//! paused the stream, and after it has closed the stream. It gets no bytes of an accepted stream while that stream is
//! full: from [`SocketEvent::Full`] to [`SocketEvent::Writable`], more than 64 KiB wait to be sent. It gets the bytes of
//! all other full streams. The end of a stream is reported after its last bytes.

use super::script::OwnedDatagram;
use alloc::collections::BTreeMap;
use portolan_machine::{Output, SocketEvent, SocketId, SocketOrder};

/// The streams of one machine.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    streams: BTreeMap<SocketId, Stream>,
}

#[derive(Debug, Default)]
struct Stream {
    /// Bytes that have arrived and that the machine has not taken, with their addresses.
    waiting: Option<OwnedDatagram>,
    paused: bool,
    /// Whether a listener accepted the stream.
    accepted: bool,
    full: bool,
    closed: bool,
    /// The end of the stream, reported after its last bytes.
    end: Option<SocketEvent>,
    /// The number of consecutive calls in which the machine took nothing.
    untaken: u8,
}

impl Stream {
    const fn is_blocked(&self) -> bool {
        self.paused || self.accepted && self.full || self.closed
    }

    const fn has_bytes(&self) -> bool {
        self.waiting.is_some()
    }
}

impl Inbound {
    /// Adds bytes that have arrived. Bytes of a closed stream are dropped.
    pub(super) fn arrive(&mut self, chunk: &OwnedDatagram) {
        let stream = self.stream(chunk.socket);
        if stream.closed {
            return;
        }
        match &mut stream.waiting {
            Some(waiting) => waiting.payload.extend_from_slice(&chunk.payload),
            None => stream.waiting = Some(chunk.clone()),
        }
    }

    /// Applies an event of a socket. Returns `false` for the end of a stream with unread bytes: the driver reports that end
    /// later.
    pub(super) fn apply(&mut self, id: SocketId, event: SocketEvent) -> bool {
        match event {
            SocketEvent::Full => self.stream(id).full = true,
            SocketEvent::Writable => self.stream(id).full = false,
            SocketEvent::Accepted { socket, .. } => {
                self.streams.insert(socket, Stream { accepted: true, ..Stream::default() });
            }
            SocketEvent::Closed(_) => {
                let stream = self.stream(id);
                if stream.has_bytes() {
                    stream.end = Some(event);
                    return false;
                }
                stream.closed = true;
            }
            SocketEvent::Opened { .. } | SocketEvent::Refused(_) | SocketEvent::Unreachable { .. } => {}
        }
        true
    }

    /// Applies the orders of a drain.
    pub(super) fn learn<E>(&mut self, outputs: &[Output<E>]) {
        for output in outputs {
            match output {
                Output::Socket(SocketOrder::Pause(id)) => self.stream(*id).paused = true,
                Output::Socket(SocketOrder::Resume(id)) => self.stream(*id).paused = false,
                Output::Socket(SocketOrder::Close(id)) => {
                    let stream = self.stream(*id);
                    (stream.closed, stream.waiting, stream.end) = (true, None, None);
                }
                Output::Socket(SocketOrder::Open(_)) | Output::Transmit(_) | Output::Event(_) | Output::Wait(_) => {}
            }
        }
    }

    /// The next bytes to hand in, at most `most`. `None`: no bytes have arrived, or none may be handed in now.
    pub(super) fn next(&self, id: SocketId, most: usize) -> Option<OwnedDatagram> {
        let stream = self.get(id).filter(|stream| !stream.is_blocked())?;
        let waiting = stream.waiting.as_ref()?;
        let payload = waiting.payload.get(..most).unwrap_or(&waiting.payload).to_vec();
        Some(OwnedDatagram { payload, ..*waiting })
    }

    /// Removes `count` bytes that the machine took. If the machine takes nothing twice in a row, the driver closes the
    /// stream and drops its bytes.
    pub(super) fn take(&mut self, id: SocketId, count: usize) {
        let stream = self.stream(id);
        stream.untaken = if count == 0 { stream.untaken.saturating_add(1) } else { 0 };
        if let Some(waiting) = &mut stream.waiting {
            waiting.payload.drain(..count.min(waiting.payload.len()));
            if waiting.payload.is_empty() || stream.untaken == 2 {
                stream.waiting = None;
                stream.untaken = 0;
            }
        }
    }

    /// The stream belongs to another owner, which gets the waiting bytes.
    pub(super) fn give_away(&mut self, id: SocketId) {
        let stream = self.stream(id);
        (stream.waiting, stream.untaken) = (None, 0);
    }

    /// The end of the stream, once no bytes wait before it.
    pub(super) fn take_end(&mut self, id: SocketId) -> Option<SocketEvent> {
        let stream = self.stream(id);
        if stream.has_bytes() {
            return None;
        }
        let end = stream.end.take();
        stream.closed |= end.is_some();
        end
    }

    /// A stream with bytes that can be handed in now.
    pub(super) fn ready(&self) -> Option<SocketId> {
        self.streams.iter().find(|(_, stream)| stream.has_bytes() && !stream.is_blocked()).map(|(id, _)| *id)
    }

    pub(super) fn has_bytes(&self, id: SocketId) -> bool {
        self.get(id).is_some_and(Stream::has_bytes)
    }

    /// Whether bytes of any stream wait.
    pub(super) fn is_waiting(&self) -> bool {
        self.streams.values().any(Stream::has_bytes)
    }

    /// Whether the machine has paused or closed the stream, or it is accepted and full.
    pub(super) fn is_blocked(&self, id: SocketId) -> bool {
        self.get(id).is_some_and(Stream::is_blocked)
    }

    fn get(&self, id: SocketId) -> Option<&Stream> {
        self.streams.get(&id)
    }

    fn stream(&mut self, id: SocketId) -> &mut Stream {
        self.streams.entry(id).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_accepted_stream_waits_while_it_is_full() {
        let mut inbound = Inbound::default();
        let (local, remote) = (([192, 0, 2, 1], 1).into(), ([192, 0, 2, 2], 2).into());
        let (listener, accepted, opened) = (SocketId(1), SocketId(2), SocketId(3));
        inbound.apply(listener, SocketEvent::Accepted { socket: accepted, local, remote });
        for socket in [accepted, opened] {
            inbound.apply(socket, SocketEvent::Full);
            inbound.arrive(&OwnedDatagram { socket, local, remote, payload: b"bytes".to_vec() });
        }
        assert_eq!((inbound.next(accepted, 9), inbound.ready()), (None, Some(opened)));
        inbound.take(opened, 5);
        assert_eq!(inbound.ready(), None);
        inbound.apply(accepted, SocketEvent::Writable);
        assert_eq!(inbound.next(accepted, 9).map(|chunk| chunk.payload), Some(b"bytes".to_vec()));
    }

    #[test]
    fn every_stream_waits_while_it_is_paused() {
        let mut inbound = Inbound::default();
        let (local, remote) = (([192, 0, 2, 1], 1).into(), ([192, 0, 2, 2], 2).into());
        inbound.arrive(&OwnedDatagram { socket: SocketId(3), local, remote, payload: b"bytes".to_vec() });
        inbound.learn(&[Output::<()>::Socket(SocketOrder::Pause(SocketId(3)))]);
        assert!(inbound.is_blocked(SocketId(3)) && inbound.ready().is_none());
        inbound.learn(&[Output::<()>::Socket(SocketOrder::Resume(SocketId(3)))]);
        assert_eq!(inbound.ready(), Some(SocketId(3)));
    }
}
