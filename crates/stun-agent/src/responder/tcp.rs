//! Binding over TCP (RFC 8489 §6.2.2): accepts, reads, pauses and closes streams.
//!
//! Rules of this file: no response on a stream is dropped, because over TCP a client does not retransmit. A request
//! that cannot be served now causes backpressure. A stream is read up to the end of a message. It is not read while
//! the output queue is full, while the driver reports a full send buffer, and while its source is above its rate. In
//! the last case the stream is paused and stores the request, and a timer resumes it.

use super::{Phase, Responder, is_binding_request};
use crate::framing::{ChannelDataPolicy, Framer};
use crate::note::{ResponderDropped, ResponderNote};
use crate::source::Source;
use crate::stream_table::{Admission, StreamTable};
use alloc::boxed::Box;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Instant, Output, Protocol, SocketId, SocketOrder, TimerId, Timers, Verdict,
};

/// The time between two attempts to queue an output.
const RETRY: Duration = Duration::from_millis(10);

/// The queue space that reading a stream requires: for a response, and for a `Close` or a `Pause` after it.
const STREAM_SPACE: usize = 2;

/// The longest message of a stream in bytes, and the limit of the buffer of each stream.
const MESSAGE: usize = 4096;

/// One accepted stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// The index of the endpoint whose listener accepted the stream.
    endpoint: usize,
    /// The client.
    remote: SocketAddr,
    framer: Framer,
    /// Whether the driver reported that the send buffer is full.
    full: bool,
    /// The pause, while the source is above its rate.
    pause: Option<Pause>,
}

/// A pause of a stream.
#[derive(Clone, Debug)]
struct Pause {
    /// The timer of its end.
    timer: TimerId,
    /// The request above the rate; at most [`MESSAGE`] bytes.
    request: Box<[u8]>,
    /// The local address that received the request.
    local: SocketAddr,
}

impl Responder {
    pub(super) fn accepted(
        &mut self,
        cx: &mut Cx<'_>,
        listener: SocketId,
        id: SocketId,
        remote: SocketAddr,
    ) -> Verdict {
        let Some(endpoint) = self.endpoints.open(Protocol::TcpListen, listener) else {
            return Verdict::NotMine;
        };
        if self.streams.contains(id) {
            return Verdict::NotMine;
        }
        let framer = Framer::new(MESSAGE, ChannelDataPolicy::Refuse);
        let stream = Stream { endpoint, remote, framer, full: false, pause: None };
        let admission = self.streams.admit(cx.now(), id, remote.ip().into(), stream);
        self.stats.count_stream(&admission);
        let closed = match admission {
            Admission::Admitted => return Verdict::Mine,
            Admission::Displaced(other, stream) => {
                self.cancel_pause(&stream);
                other
            }
            Admission::Refused(_) => id,
        };
        self.streams.close(closed);
        cx.note(|| ResponderNote::StreamsFull { closed, newcomer: remote });
        self.close_streams(cx.now());
        Verdict::Mine
    }

    /// Reads a stream up to the end of the last message that gets its response now or after a pause.
    pub(super) fn take_chunk(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let id = chunk.socket;
        let stream = self.streams.get_mut(id)?;
        if stream.full || stream.pause.is_some() || self.out.room() < STREAM_SPACE {
            return Some(0);
        }
        let (endpoint, remote) = (stream.endpoint, stream.remote);
        let mut framer = core::mem::replace(&mut stream.framer, Framer::new(0, ChannelDataPolicy::Refuse));
        let mut messages = 0_u32;
        let fed = framer.feed_while(chunk.payload, |payload| {
            let taken = self.stream_message(cx, endpoint, Datagram::new(id, chunk.local, remote, payload));
            messages += u32::from(taken);
            taken
        });
        if messages > 0 {
            self.streams.renew(cx.now(), id);
        }
        let Ok(taken) = fed else {
            self.drop_request(cx, remote, ResponderDropped::Framing);
            self.forget_stream(id);
            self.streams.close(id);
            self.close_streams(cx.now());
            return Some(chunk.payload.len());
        };
        self.streams.get_mut(id)?.framer = framer;
        Some(taken)
    }

    /// Handles a whole message. Returns `false` if the caller must pass it again later.
    fn stream_message(&mut self, cx: &mut Cx<'_>, endpoint: usize, message: Datagram<'_>) -> bool {
        let is_paused = self.streams.get_mut(message.socket).is_none_or(|stream| stream.pause.is_some());
        if is_paused || self.out.room() < STREAM_SPACE {
            return false;
        }
        if !is_binding_request(message.payload) {
            self.drop_request(cx, message.remote, ResponderDropped::NotARequest);
        } else if let Some(until) = self.exhausted_until(cx.now(), message.remote.ip().into()) {
            self.pause(cx, until, message);
        } else {
            self.respond(cx, endpoint, Protocol::TcpListen, message);
        }
        true
    }

    /// The time until which the source gets no replies; `None` if it can have one now.
    fn exhausted_until(&self, now: Instant, source: Source) -> Option<Instant> {
        self.limiter.as_ref()?.exhausted_until(now, source)
    }

    /// Pauses a stream until `until`, and stores its request.
    fn pause(&mut self, cx: &mut Cx<'_>, until: Instant, request: Datagram<'_>) {
        let (id, remote) = (request.socket, request.remote);
        let Some(stream) = self.streams.get_mut(id) else { return };
        let timer = self.pauses.insert(until, id);
        stream.pause = Some(Pause { timer, local: request.local, request: request.payload.into() });
        self.stats.streams.paused += 1;
        cx.note(|| ResponderNote::Paused { socket: id, remote, until });
        let had_room = self.out.offer(Output::Socket(SocketOrder::Pause(id)));
        debug_assert!(had_room, "a stream is read only while the queue has room");
    }

    /// Responds to the stored request of a paused stream, and resumes the stream. The pause continues while the queue
    /// is full, and while other streams or datagrams of the source have used its replies.
    fn resume(&mut self, cx: &mut Cx<'_>, id: SocketId) {
        let now = cx.now();
        let Some(stream) = self.streams.get_mut(id) else { return };
        let (endpoint, remote) = (stream.endpoint, stream.remote);
        let Some(mut pause) = stream.pause.take() else { return };
        let full = (self.out.room() < STREAM_SPACE).then(|| now + RETRY);
        if let Some(until) = self.exhausted_until(now, remote.ip().into()).or(full) {
            pause.timer = self.pauses.insert(until, id);
            if let Some(stream) = self.streams.get_mut(id) {
                stream.pause = Some(pause);
            }
            return;
        }
        self.respond(cx, endpoint, Protocol::TcpListen, Datagram::new(id, pause.local, remote, &pause.request));
        self.out.push(Output::Socket(SocketOrder::Resume(id)));
    }

    fn cancel_pause(&mut self, stream: &Stream) {
        if let Some(pause) = &stream.pause {
            self.pauses.cancel(pause.timer);
        }
    }

    fn forget_stream(&mut self, id: SocketId) -> bool {
        let Some(stream) = self.streams.forget(id) else { return false };
        self.cancel_pause(&stream);
        true
    }

    /// Closes the streams that have ended. A `Close` that does not fit into the queue is retried, otherwise the
    /// stream would stay open without end.
    fn close_streams(&mut self, now: Instant) {
        self.close_retry = None;
        while let Some(id) = self.streams.closing() {
            if !self.out.offer(Output::Socket(SocketOrder::Close(id))) {
                self.close_retry = Some(Deadline::new(now + RETRY, "streams to close"));
                return;
            }
            self.streams.closed(id);
        }
    }

    /// Performs the due steps: closes and resumes streams.
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>) -> Verdict {
        let now = cx.now();
        let mut verdict = Verdict::NotMine;
        if self.close_retry.is_some_and(|retry| retry.is_due(now)) {
            self.close_streams(now);
            verdict = Verdict::Mine;
        }
        // The loop is bounded, because a pause that continues is inserted again, and at the largest time it is due at
        // once.
        for _ in 0..self.pauses.len() {
            let Some(id) = self.pauses.pop_due(now) else { break };
            self.resume(cx, id);
            verdict = Verdict::Mine;
        }
        verdict
    }

    /// The deadline of the next call of [`wake`](Self::wake).
    pub(super) fn wait(&self) -> Option<Deadline> {
        let resume = self.pauses.next().map(|at| Deadline::new(at, "replies for a paused stream"));
        Deadline::earliest(self.close_retry, resume)
    }

    /// Stores whether the driver reports a full send buffer of a stream.
    pub(super) fn set_full(&mut self, id: SocketId, full: bool) -> Verdict {
        let Some(stream) = self.streams.get_mut(id) else { return Verdict::NotMine };
        stream.full = full;
        Verdict::Mine
    }

    /// Removes a stream that was closed without an order of the machine.
    pub(super) fn lost_stream(&mut self, id: SocketId) -> bool {
        let was_closing = self.streams.closed(id);
        self.forget_stream(id) || was_closing
    }

    /// Closes and removes all streams.
    pub(super) fn stop_streams(&mut self) {
        debug_assert_eq!(self.phase, Phase::Stopped);
        if !self.handed_in {
            for id in self.streams.ids() {
                self.out.push(Output::Socket(SocketOrder::Close(id)));
            }
        }
        self.streams = StreamTable::new(self.config.streams);
        self.pauses = Timers::new();
        self.close_retry = None;
    }
}
