//! The TCP streams that were accepted (RFC 8489 §6.2.2).
//!
//! Rules of this file: their number is bounded, and each one's buffer. The client closes a stream, not the server; only
//! where a newcomer finds no place, the stream that has been silent longest gives way, if that is long enough that no
//! answer can be awaited on it.

use crate::framing::Framer;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, SocketId};

/// The accepted streams.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    limit: usize,
    /// Streams to be closed as soon as there is room to say so; no more than the driver has sockets.
    closing: VecDeque<SocketId>,
}

/// One accepted stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) id: SocketId,
    /// The arm whose listener accepted it.
    pub(super) arm: usize,
    /// The client.
    pub(super) remote: SocketAddr,
    pub(super) framer: Framer,
    heard: Instant,
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// There was room.
    Welcome,
    /// This one gave way.
    Instead(SocketId),
    /// There is no room.
    Full,
}

impl Streams {
    /// The longest message taken from a stream, in bytes; held half-read messages are never longer.
    pub(super) const MESSAGE: usize = 4096;
    /// A stream silent for this long may give way: Ti of RFC 8489 §6.2.2, after which no client waits.
    const SILENT: Duration = Duration::from_millis(39_500);

    pub(super) const fn new(limit: usize) -> Self {
        Self { streams: Vec::new(), limit, closing: VecDeque::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn admit(&mut self, now: Instant, id: SocketId, arm: usize, remote: SocketAddr) -> Admission {
        let mut admission = Admission::Welcome;
        if self.streams.len() >= self.limit {
            let silent = self.streams.iter().enumerate().min_by_key(|(_, stream)| stream.heard);
            match silent.filter(|(_, stream)| now.since(stream.heard) >= Self::SILENT).map(|(index, _)| index) {
                Some(index) => admission = Admission::Instead(self.streams.remove(index).id),
                None => return Admission::Full,
            }
        }
        self.streams.push(Stream { id, arm, remote, framer: Framer::new(Self::MESSAGE), heard: now });
        admission
    }

    /// Takes a stream out to be read; [`put`](Self::put) it back.
    pub(super) fn take(&mut self, now: Instant, id: SocketId) -> Option<Stream> {
        let index = self.streams.iter().position(|stream| stream.id == id)?;
        let mut stream = self.streams.swap_remove(index);
        stream.heard = now;
        Some(stream)
    }

    pub(super) fn put(&mut self, stream: Stream) {
        self.streams.push(stream);
    }

    pub(super) fn forget(&mut self, id: SocketId) -> bool {
        let before = self.streams.len() + self.closing.len();
        self.streams.retain(|stream| stream.id != id);
        self.closing.retain(|closing| *closing != id);
        self.streams.len() + self.closing.len() < before
    }

    pub(super) fn knows(&self, id: SocketId) -> bool {
        self.ids().any(|known| known == id)
    }

    /// Wants a stream closed.
    pub(super) fn close(&mut self, id: SocketId) {
        self.closing.push_back(id);
    }

    /// The next stream to be closed, until it is [`closed`](Self::closed).
    pub(super) fn closing(&self) -> Option<SocketId> {
        self.closing.front().copied()
    }

    pub(super) fn closed(&mut self) {
        self.closing.pop_front();
    }

    /// All that are open, those to be closed too.
    pub(super) fn ids(&self) -> impl Iterator<Item = SocketId> {
        self.closing.iter().copied().chain(self.streams.iter().map(|stream| stream.id))
    }
}
