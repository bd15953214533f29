//! The framers of the streams of [`Transactions`](super::Transactions).
//!
//! Rules of this file: only streams with an incomplete message are stored, and their number is bounded.

use crate::framing::{ChannelDataPolicy, Framer};
use alloc::collections::{BTreeMap, VecDeque};
use portolan_machine::SocketId;

/// The framers of all streams with an incomplete message.
///
/// Streams with a pending request are at most as many as pending requests. At most [`IDLE_LIMIT`](Self::IDLE_LIMIT)
/// streams without a pending request are kept.
#[derive(Clone, Debug)]
pub(super) struct Framers {
    active: BTreeMap<SocketId, Framer>,
    /// Streams without a pending request; the most recent one is last.
    idle: VecDeque<(SocketId, Framer)>,
}

impl Framers {
    /// The largest number of streams without a pending request.
    pub(super) const IDLE_LIMIT: usize = 32;

    pub(super) const fn new() -> Self {
        Self { active: BTreeMap::new(), idle: VecDeque::new() }
    }

    /// Whether this stream has an incomplete message.
    pub(super) fn has_partial_message(&self, socket: SocketId) -> bool {
        self.active.contains_key(&socket) || self.idle.iter().any(|(id, _)| *id == socket)
    }

    /// Removes and returns the framer of a stream; a new one if the stream has no incomplete message.
    pub(super) fn take(&mut self, socket: SocketId) -> Framer {
        let framer = self.active.remove(&socket).or_else(|| self.take_idle(socket));
        framer.unwrap_or(const { Framer::new(Framer::LONGEST, ChannelDataPolicy::Refuse) })
    }

    /// Stores the framer of a stream if it has an incomplete message. `has_request`: a request is pending on the
    /// stream.
    pub(super) fn put(&mut self, socket: SocketId, framer: Framer, has_request: bool) {
        if framer.is_empty() {
            return;
        }
        if has_request {
            self.active.insert(socket, framer);
            return;
        }
        if self.idle.len() >= Self::IDLE_LIMIT {
            self.idle.pop_front();
        }
        self.idle.push_back((socket, framer));
    }

    /// Marks a stream as active when a request is made on it.
    pub(super) fn activate(&mut self, socket: SocketId) {
        if let Some(framer) = self.take_idle(socket) {
            self.active.insert(socket, framer);
        }
    }

    /// Marks a stream as idle when its last request has ended.
    pub(super) fn deactivate(&mut self, socket: SocketId) {
        if let Some(framer) = self.active.remove(&socket) {
            self.put(socket, framer, false);
        }
    }

    /// Removes a closed stream. Returns whether it had an incomplete message.
    pub(super) fn forget(&mut self, socket: SocketId) -> bool {
        self.active.remove(&socket).is_some() || self.take_idle(socket).is_some()
    }

    fn take_idle(&mut self, socket: SocketId) -> Option<Framer> {
        let index = self.idle.iter().position(|(id, _)| *id == socket)?;
        self.idle.remove(index).map(|(_, framer)| framer)
    }
}
