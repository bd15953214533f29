//! The evidence of an audit: the datagrams that were sent and received.
//!
//! Rules of this file: it stores and counts, and draws no conclusions. The number of stored responses of a probe is
//! bounded. Further responses are only counted.

use crate::probe::Probe;
use crate::report::Traffic;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Class, Message, TransactionId, is_stun};

/// A UDP socket of the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocalSocket {
    /// The socket that sends all probes except [`Probe::Second`].
    First,
    /// The socket of [`Probe::Second`]. RESPONSE-PORT has its port.
    Second,
}

/// A response as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) from: SocketAddr,
    pub(crate) socket: LocalSocket,
    pub(crate) bytes: Bytes,
}

/// The sends and responses of one probe.
#[derive(Clone, Debug)]
pub(crate) struct ProbeRecord {
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

/// The maximum number of stored responses of one probe.
const KEPT: usize = 12;

/// The numbers of datagrams of the server that match no probe.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unmatched {
    /// STUN responses with an id that was never sent.
    pub(crate) responses: u32,
    /// Other datagrams.
    pub(crate) unreadable: u32,
}

/// The state of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stream {
    /// TCP is not used.
    #[default]
    NotAsked,
    /// The stream is ordered.
    Pending,
    /// The stream is open, and the request is sent.
    Open,
    /// The stream could not be opened.
    Refused,
    /// Before the response the stream ended, or had bytes that are not STUN.
    Broken,
    /// The response was received.
    Answered(Bytes),
}

/// All sends and responses of an audit.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) server: SocketAddr,
    pub(crate) locals: [Option<SocketAddr>; 2],
    pub(crate) records: Vec<ProbeRecord>,
    pub(crate) unmatched: Unmatched,
    pub(crate) stream: Stream,
    pub(crate) traffic: Traffic,
    pub(crate) rtt: Option<Duration>,
}

impl Evidence {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self {
            server,
            locals: [None; 2],
            records: Vec::new(),
            unmatched: Unmatched::default(),
            stream: Stream::NotAsked,
            traffic: Traffic::default(),
            rtt: None,
        }
    }

    pub(crate) fn record(&self, probe: Probe) -> Option<&ProbeRecord> {
        self.records.iter().find(|record| record.probe == probe)
    }

    pub(crate) fn begin(&mut self, probe: Probe, id: TransactionId, to: SocketAddr) {
        self.records.push(ProbeRecord {
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

    /// Records a datagram that is sent.
    pub(crate) fn add_sent(&mut self, now: Instant, bytes: &[u8]) {
        let Some(record) = id_in(bytes).and_then(|id| self.records.iter_mut().find(|record| record.id == id)) else {
            return;
        };
        if record.sends == 0 {
            (record.first_send, record.request_len) = (now, bytes.len());
        }
        record.sends = record.sends.saturating_add(1);
        self.traffic.sent = self.traffic.sent.saturating_add(1);
        self.traffic.sent_bytes = self.traffic.sent_bytes.saturating_add(bytes.len() as u64);
    }

    /// Records a received datagram. Returns the probe that it answers.
    pub(crate) fn add_received(
        &mut self,
        now: Instant,
        socket: LocalSocket,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Option<Probe> {
        let id = id_in(bytes);
        let record = id.and_then(|id| self.records.iter_mut().find(|record| record.id == id));
        if record.is_none() && !self.is_of_server(from) {
            return None;
        }
        self.traffic.received = self.traffic.received.saturating_add(1);
        self.traffic.received_bytes = self.traffic.received_bytes.saturating_add(bytes.len() as u64);
        let Some(record) = id.and_then(|id| self.records.iter_mut().find(|record| record.id == id)) else {
            let is_response =
                is_stun(bytes) && Message::decode(bytes).is_ok_and(|message| message.class().is_response());
            let count = if is_response { &mut self.unmatched.responses } else { &mut self.unmatched.unreadable };
            *count = count.saturating_add(1);
            return None;
        };
        record.replies = record.replies.saturating_add(1);
        record.reply_bytes = record.reply_bytes.saturating_add(bytes.len() as u64);
        if record.kept.len() < KEPT {
            record.kept.push(Reply { from, socket, bytes: Bytes::copy_from_slice(bytes) });
        }
        // RFC 8489 §6.2.1: after a retransmission the round trip time is ambiguous.
        if record.sends == 1 && record.replies == 1 {
            let rtt = now.since(record.first_send);
            self.rtt = Some(self.rtt.map_or(rtt, |shortest| shortest.min(rtt)));
        }
        Some(record.probe)
    }

    /// Whether an address is one of the server, or of a destination of a probe.
    fn is_of_server(&self, from: SocketAddr) -> bool {
        from.ip() == self.server.ip() || self.records.iter().any(|record| record.to.ip() == from.ip())
    }

    /// The first success response to a probe.
    pub(crate) fn success(&self, probe: Probe) -> Option<(&Reply, Message<'_>)> {
        self.record(probe)?.successes().next()
    }

    /// The mapped address in the first success response to a probe.
    pub(crate) fn mapped(&self, probe: Probe) -> Option<SocketAddr> {
        let (_, message) = self.success(probe)?;
        message.xor_mapped_address().or_else(|| message.mapped_address())
    }

    /// OTHER-ADDRESS in the first success response to the control.
    pub(crate) fn other_address(&self) -> Option<SocketAddr> {
        self.success(Probe::Control).and_then(|(_, message)| message.other_address())
    }
}

impl ProbeRecord {
    /// The responses that can be decoded.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (&Reply, Message<'_>)> + Clone {
        self.kept.iter().filter_map(|reply| Some((reply, Message::decode(&reply.bytes).ok()?)))
    }

    /// The success responses.
    pub(crate) fn successes(&self) -> impl Iterator<Item = (&Reply, Message<'_>)> + Clone {
        self.messages().filter(|(_, message)| message.class() == Class::SuccessResponse)
    }

    /// The code of the first error response; 0 if it has no ERROR-CODE.
    pub(crate) fn error(&self) -> Option<u16> {
        let mut errors = self.messages().filter(|(_, message)| message.class() == Class::ErrorResponse);
        errors.next().map(|(_, message)| message.error_code().map_or(0, |error| error.code()))
    }
}

/// Returns the twelve bytes at the offset of a transaction id. They need not be part of a STUN message.
fn id_in(bytes: &[u8]) -> Option<TransactionId> {
    bytes.get(8..)?.first_chunk::<12>().map(|id| TransactionId::from(*id))
}
