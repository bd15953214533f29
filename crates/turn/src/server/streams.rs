//! The streams of clients over TCP and TLS (RFC 8656 §3.1): accepts, reads, pauses and closes them.
//!
//! Rules of this file: a stream is read up to the end of a frame, and only while the queue has room for what the frame
//! causes. Otherwise the rest stays with the driver, so no byte is dropped and the client waits. Over a stream a client
//! does not retransmit, so a request above the rate of its source pauses the stream and is read again later. Without
//! an allocation a stream counts for the limits, its frames are short, and it is closed when it is idle. Data for a
//! client that reads slowly is dropped by the driver, a response closes the stream.

use super::allocation::{Client, ClientPath};
use super::config::ServerLimits;
use super::{Kind, REQUEST_SPACE, Server, is_request};
use crate::event::FreedReason;
use crate::note::{ServerDropped, ServerNote};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, Datagram, Deadline, Instant, Output, SocketId, SocketOrder, TimerId, Timers, Verdict};
use portolan_stun::is_stun;
use portolan_stun_agent::framing::{ChannelDataPolicy, Framer};
use portolan_stun_agent::stream_table::{Admission, StreamLimits, StreamTable};

/// The time without a whole message after which a stream without an allocation is closed.
const IDLE: Duration = Duration::from_secs(60);

/// The time between two attempts to queue an output.
const RETRY: Duration = Duration::from_millis(10);

/// The longest frame of a stream without an allocation in bytes, and the limit of its buffer.
const MESSAGE: usize = 4096;

/// The queue space that reading a frame requires: for a request, and for a `Close` or a `Pause` after it.
const STREAM_SPACE: usize = REQUEST_SPACE + 2;

/// The accepted streams of clients.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    table: StreamTable<Stream>,
    timers: Timers<(SocketId, Due)>,
    /// The time of the next attempt to close streams whose `Close` did not fit into the queue.
    close_retry: Option<Deadline>,
    /// The end of the wait of the last request of a stream, if it was above the rate of its source.
    held_until: Option<Instant>,
    /// The length of the ConnectionBind request that made its stream a data stream.
    bound: Option<usize>,
}

/// The reason of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The stream may be idle.
    Idle,
    /// The pause of the stream ends.
    Resume,
}

/// An accepted stream.
#[derive(Clone, Debug)]
struct Stream {
    client: Client,
    framer: Framer,
    /// Whether the driver reported that the send buffer is full.
    full: bool,
    idle: TimerId,
    /// The timer of the end of a pause.
    pause: Option<TimerId>,
}

impl Streams {
    pub(super) const fn new(limits: &ServerLimits) -> Self {
        let limits = StreamLimits { total: limits.streams as usize, source: limits.streams_per_source as usize };
        Self {
            table: StreamTable::new(limits),
            timers: Timers::new(),
            close_retry: None,
            held_until: None,
            bound: None,
        }
    }

    /// The number of open streams.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The stream of a client has an allocation: it is not displaced, and not closed when it is idle.
    pub(super) fn keep(&mut self, id: SocketId) {
        self.table.keep(id);
    }

    /// The allocation of a stream has ended.
    pub(super) fn release(&mut self, id: SocketId) {
        self.table.release(id);
    }

    /// A request of a stream is above the rate of its source. It is read again at `until`.
    pub(super) const fn hold(&mut self, until: Instant) {
        self.held_until = Some(until);
    }

    /// Removes a stream with its timers.
    fn forget(&mut self, id: SocketId) -> Option<Stream> {
        let stream = self.table.forget(id)?;
        self.cancel(&stream);
        Some(stream)
    }

    fn cancel(&mut self, stream: &Stream) {
        self.timers.cancel(stream.idle);
        if let Some(pause) = stream.pause {
            self.timers.cancel(pause);
        }
    }

    /// The deadline of the next call of [`Server::wake_streams`].
    pub(super) fn wait(&self) -> Option<Deadline> {
        Deadline::earliest(self.close_retry, self.timers.next().map(|at| Deadline::new(at, "idle or paused stream")))
    }
}

impl Server {
    /// A listener accepted a stream.
    pub(super) fn accepted(
        &mut self,
        cx: &mut Cx<'_>,
        listener: SocketId,
        id: SocketId,
        remote: SocketAddr,
    ) -> Verdict {
        if self.streams.table.contains(id) || self.is_data_stream(id) {
            return Verdict::NotMine;
        }
        if let Some(relay) = self.table.by_relay(listener) {
            return self.peer_accepted(cx, relay, id, remote);
        }
        if !self.listeners.accepts(listener) {
            return Verdict::NotMine;
        }
        let client = Client { socket: id, remote, path: ClientPath::Stream };
        let framer = Framer::new(MESSAGE, ChannelDataPolicy::Accept);
        let idle = self.streams.timers.insert(cx.now() + IDLE, (id, Due::Idle));
        let stream = Stream { client, framer, full: false, idle, pause: None };
        let admission = self.streams.table.admit(cx.now(), id, remote.ip().into(), stream);
        self.stats.count_stream(&admission);
        let (closed, stream) = match admission {
            Admission::Admitted => return Verdict::Mine,
            Admission::Displaced(other, stream) => (other, stream),
            Admission::Refused(stream) => (id, stream),
        };
        self.streams.cancel(&stream);
        self.streams.table.close(closed);
        cx.note(|| ServerNote::StreamsFull { closed: stream.client.remote, newcomer: remote });
        self.close_streams(cx.now());
        Verdict::Mine
    }

    /// Reads a stream up to the end of the last frame that is handled now. Returns the number of bytes taken; `None` if
    /// the stream is not one of the server.
    pub(super) fn take_chunk(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let id = chunk.socket;
        let is_kept = self.streams.table.is_kept(id);
        let Some(stream) = self.streams.table.get_mut(id) else { return self.connection_chunk(cx, &chunk) };
        if stream.full || stream.pause.is_some() || self.out.room() < STREAM_SPACE {
            return Some(0);
        }
        let client = stream.client;
        let mut framer = core::mem::replace(&mut stream.framer, Framer::new(0, ChannelDataPolicy::Refuse));
        framer.set_limit(if is_kept { Framer::LONGEST } else { MESSAGE });
        let mut frames = 0_u32;
        let fed = framer.feed_while(chunk.payload, |frame| {
            let taken = self.stream_frame(cx, client, frame);
            frames += u32::from(taken);
            taken
        });
        if frames > 0 {
            self.streams.table.renew(cx.now(), id);
        }
        match fed {
            Ok(taken) => {
                if let Some(length) = self.streams.bound.take() {
                    // The request is the last frame of the stream. Its first bytes can be in the buffer.
                    self.streams.forget(id);
                    return Some(taken + length - framer.len());
                }
                if let Some(stream) = self.streams.table.get_mut(id) {
                    stream.framer = framer;
                }
                Some(taken)
            }
            Err(why) => {
                self.stats.streams.broken += 1;
                cx.note(|| ServerNote::StreamBroken { client: client.remote, why });
                self.close_stream(cx.now(), id);
                Some(chunk.payload.len())
            }
        }
    }

    /// Handles a whole frame. Returns `false` if it must be passed again later.
    fn stream_frame(&mut self, cx: &mut Cx<'_>, client: Client, frame: &[u8]) -> bool {
        let is_paused = self.streams.table.get(client.socket).is_none_or(|stream| stream.pause.is_some());
        if is_paused || self.out.room() < STREAM_SPACE {
            return false;
        }
        self.streams.held_until = None;
        match Kind::of(frame) {
            Kind::ChannelData | Kind::Send => self.client_data(cx, client, frame),
            Kind::Binding | Kind::Request => self.request(cx, client, frame),
            Kind::Foreign if is_stun(frame) && is_request(frame) => self.request(cx, client, frame),
            Kind::Foreign => self.drop_message(cx, client.remote, ServerDropped::NotARequest),
        }
        if self.is_data_stream(client.socket) {
            self.streams.bound = Some(frame.len());
            return false;
        }
        match self.streams.held_until.take() {
            Some(until) => {
                self.pause_stream(cx, &client, until);
                false
            }
            None => true,
        }
    }

    /// Pauses a stream until `until`.
    fn pause_stream(&mut self, cx: &mut Cx<'_>, client: &Client, until: Instant) {
        let id = client.socket;
        let Some(stream) = self.streams.table.get_mut(id) else { return };
        stream.pause = Some(self.streams.timers.insert(until, (id, Due::Resume)));
        self.stats.streams.paused += 1;
        cx.note(|| ServerNote::StreamPaused { client: client.remote, until });
        let had_room = self.out.offer(Output::Socket(SocketOrder::Pause(id)));
        debug_assert!(had_room, "a stream is read only while the queue has room");
    }

    /// Closes a stream, and ends its allocation.
    pub(super) fn close_stream(&mut self, now: Instant, id: SocketId) {
        let Some(stream) = self.streams.forget(id) else { return };
        self.close_later(now, id);
        self.free_client(&stream.client);
    }

    /// Closes a socket, now or when the queue has space.
    pub(super) fn close_later(&mut self, now: Instant, id: SocketId) {
        self.streams.table.close(id);
        self.close_streams(now);
    }

    fn free_client(&mut self, client: &Client) {
        if let Some((slot, _)) = self.table.by_client(client.key()) {
            self.free(slot, FreedReason::ClientLost);
        }
    }

    /// Queues the `Close` of streams that have ended. A `Close` that does not fit into the queue is retried, otherwise
    /// the stream would stay open without end.
    fn close_streams(&mut self, now: Instant) {
        self.streams.close_retry = None;
        while let Some(id) = self.streams.table.closing() {
            if !self.out.offer(Output::Socket(SocketOrder::Close(id))) {
                self.streams.close_retry = Some(Deadline::new(now + RETRY, "streams to close"));
                return;
            }
            self.streams.table.closed(id);
        }
    }

    /// Stores whether the driver reports a full send buffer of a stream.
    pub(super) fn set_full(&mut self, id: SocketId, full: bool) -> Verdict {
        let Some(stream) = self.streams.table.get_mut(id) else { return self.set_connection_full(id, full) };
        stream.full = full;
        Verdict::Mine
    }

    /// Removes a stream that was closed without an order of the machine, and ends its allocation.
    pub(super) fn lost_stream(&mut self, id: SocketId) -> bool {
        let was_closing = self.streams.table.closed(id);
        let Some(stream) = self.streams.forget(id) else { return was_closing };
        self.free_client(&stream.client);
        true
    }

    /// Performs the due steps: closes idle streams, resumes paused streams. Returns whether there was one.
    pub(super) fn wake_streams(&mut self, cx: &mut Cx<'_>) -> bool {
        let now = cx.now();
        let mut was_due = false;
        if self.streams.close_retry.is_some_and(|retry| retry.is_due(now)) {
            self.close_streams(now);
            was_due = true;
        }
        // The loop is bounded, because at the largest time a timer that is inserted again is due at once.
        for _ in 0..self.streams.timers.len() {
            let Some((id, due)) = self.streams.timers.pop_due(now) else { break };
            match due {
                Due::Idle => self.check_idle(cx, id),
                Due::Resume => {
                    if let Some(stream) = self.streams.table.get_mut(id) {
                        stream.pause = None;
                        self.out.push(Output::Socket(SocketOrder::Resume(id)));
                    }
                }
            }
            was_due = true;
        }
        was_due
    }

    /// Closes a stream that is idle for too long, or sets its timer again.
    fn check_idle(&mut self, cx: &mut Cx<'_>, id: SocketId) {
        let now = cx.now();
        let is_kept = self.streams.table.is_kept(id);
        let end = self.streams.table.last_message(id).map_or(now, |last| last + IDLE);
        let Some(stream) = self.streams.table.get_mut(id) else { return };
        if end > now || is_kept || stream.pause.is_some() {
            let at = if end > now { end } else { now + IDLE };
            stream.idle = self.streams.timers.insert(at, (id, Due::Idle));
            return;
        }
        let client = stream.client.remote;
        self.stats.streams.idle += 1;
        cx.note(|| ServerNote::StreamIdle { client });
        self.close_stream(now, id);
    }

    /// Closes all streams, at the end of the server.
    pub(super) fn stop_streams(&mut self) {
        for id in self.streams.table.ids() {
            self.out.push(Output::Socket(SocketOrder::Close(id)));
        }
        self.streams = Streams::new(&self.config.limits);
    }
}
