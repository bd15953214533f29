//! What was sent and what came back, before anybody judges it.
//!
//! Rules of this file: keeps and counts, concludes nothing. What a server can cause to be kept is bounded; what goes
//! beyond is counted.

use crate::probe::Probe;
use crate::report::Traffic;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Class, Message, TransactionId, is_stun};

/// Where an answer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The socket that asks.
    First,
    /// The socket that RESPONSE-PORT names.
    Second,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) from: SocketAddr,
    pub(crate) place: Place,
    pub(crate) bytes: Bytes,
}

/// One probe's sends and answers.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    pub(crate) probe: Probe,
    pub(crate) id: TransactionId,
    pub(crate) to: SocketAddr,
    pub(crate) first_send: Instant,
    pub(crate) sends: u32,
    pub(crate) request_len: usize,
    pub(crate) replies: u32,
    pub(crate) reply_bytes: u64,
    pub(crate) kept: Vec<Reply>,
}

/// How many answers to one probe are kept.
const KEPT: usize = 12;

/// Answers that belong to no probe.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strays {
    /// STUN responses with an id that was never sent.
    pub(crate) responses: u32,
    /// Bytes that are no STUN.
    pub(crate) unreadable: u32,
}

/// What became of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Not wanted.
    #[default]
    NotAsked,
    /// Ordered, or open and not answered.
    Pending,
    /// Open, the request sent.
    Open,
    /// It could not be made.
    Refused,
    /// It ended, or its bytes were no STUN, before the answer.
    Broken,
    /// The answer.
    Answered(Bytes),
}

/// Everything that was sent and that came back.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) server: SocketAddr,
    pub(crate) locals: [Option<SocketAddr>; 2],
    pub(crate) trails: Vec<Trail>,
    pub(crate) strays: Strays,
    pub(crate) stream: Stream,
    pub(crate) traffic: Traffic,
    pub(crate) rtt: Option<Duration>,
}

impl Evidence {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self {
            server,
            locals: [None; 2],
            trails: Vec::new(),
            strays: Strays::default(),
            stream: Stream::NotAsked,
            traffic: Traffic::default(),
            rtt: None,
        }
    }

    pub(crate) fn trail(&self, probe: Probe) -> Option<&Trail> {
        self.trails.iter().find(|trail| trail.probe == probe)
    }

    pub(crate) fn begin(&mut self, probe: Probe, id: TransactionId, to: SocketAddr) {
        self.trails.push(Trail {
            probe,
            id,
            to,
            first_send: Instant::ORIGIN,
            sends: 0,
            request_len: 0,
            replies: 0,
            reply_bytes: 0,
            kept: Vec::new(),
        });
    }

    /// A datagram went out.
    pub(crate) fn sent(&mut self, now: Instant, bytes: &[u8]) {
        let Some(trail) = id_in(bytes).and_then(|id| self.trails.iter_mut().find(|trail| trail.id == id)) else {
            return;
        };
        if trail.sends == 0 {
            (trail.first_send, trail.request_len) = (now, bytes.len());
        }
        trail.sends = trail.sends.saturating_add(1);
        self.traffic.sent = self.traffic.sent.saturating_add(1);
        self.traffic.sent_bytes = self.traffic.sent_bytes.saturating_add(bytes.len() as u64);
    }

    /// A datagram came in; tells whose answer it is.
    pub(crate) fn received(&mut self, now: Instant, place: Place, from: SocketAddr, bytes: &[u8]) -> Option<Probe> {
        let id = id_in(bytes);
        let trail = id.and_then(|id| self.trails.iter_mut().find(|trail| trail.id == id));
        if trail.is_none() && !self.is_of_server(from) {
            return None;
        }
        self.traffic.received = self.traffic.received.saturating_add(1);
        self.traffic.received_bytes = self.traffic.received_bytes.saturating_add(bytes.len() as u64);
        let Some(trail) = id.and_then(|id| self.trails.iter_mut().find(|trail| trail.id == id)) else {
            let is_response =
                is_stun(bytes) && Message::decode(bytes).is_ok_and(|message| message.class().is_response());
            let count = if is_response { &mut self.strays.responses } else { &mut self.strays.unreadable };
            *count = count.saturating_add(1);
            return None;
        };
        trail.replies = trail.replies.saturating_add(1);
        trail.reply_bytes = trail.reply_bytes.saturating_add(bytes.len() as u64);
        if trail.kept.len() < KEPT {
            trail.kept.push(Reply { from, place, bytes: Bytes::copy_from_slice(bytes) });
        }
        // Of a request sent twice nobody knows which one was answered (RFC 8489 §6.2.1).
        if trail.sends == 1 && trail.replies == 1 {
            let rtt = now.since(trail.first_send);
            self.rtt = Some(self.rtt.map_or(rtt, |known| known.min(rtt)));
        }
        Some(trail.probe)
    }

    /// Whether somebody whom this audit asks may have sent it.
    fn is_of_server(&self, from: SocketAddr) -> bool {
        from.ip() == self.server.ip() || self.trails.iter().any(|trail| trail.to.ip() == from.ip())
    }

    /// The first success response to a probe.
    pub(crate) fn success(&self, probe: Probe) -> Option<(&Reply, Message<'_>)> {
        self.trail(probe)?.successes().next()
    }

    /// The address that a success response to a probe tells.
    pub(crate) fn mapped(&self, probe: Probe) -> Option<SocketAddr> {
        let (_, message) = self.success(probe)?;
        message.xor_mapped_address().or_else(|| message.mapped_address())
    }

    /// OTHER-ADDRESS, as the first success response tells it.
    pub(crate) fn other_address(&self) -> Option<SocketAddr> {
        self.success(Probe::Control).and_then(|(_, message)| message.other_address())
    }
}

impl Trail {
    /// The answers that can be read.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (&Reply, Message<'_>)> + Clone {
        self.kept.iter().filter_map(|reply| Some((reply, Message::decode(&reply.bytes).ok()?)))
    }

    /// Those of them that are success responses.
    pub(crate) fn successes(&self) -> impl Iterator<Item = (&Reply, Message<'_>)> + Clone {
        self.messages().filter(|(_, message)| message.class() == Class::SuccessResponse)
    }

    /// The code of the first error response.
    pub(crate) fn error(&self) -> Option<u16> {
        let mut errors = self.messages().filter(|(_, message)| message.class() == Class::ErrorResponse);
        // An error without a code is an error all the same.
        errors.next().map(|(_, message)| message.error_code().map_or(0, |error| error.code()))
    }
}

/// The twelve bytes where a transaction id stands, whatever the message is.
fn id_in(bytes: &[u8]) -> Option<TransactionId> {
    bytes.get(8..)?.first_chunk::<12>().map(|id| TransactionId::from(*id))
}
