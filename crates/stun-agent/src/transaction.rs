//! Client transactions: requests are sent, retransmitted, matched with their responses, and timed out.
//!
//! Rules of this file: the transaction id alone matches a response with its request (RFC 8489 §6.3). The sender, the
//! socket and the method decide whether the response is accepted. A refused response is reported by a note or an
//! event. The ids of finished requests are kept for a limited time, so that late duplicates are detected. A datagram
//! is handled before a deadline of the same time. Bytes of a stream are handled after it, so that the outputs do not
//! depend on the chunks. A request with a [`Credential`](crate::Credential) accepts only verified responses, and can
//! become several transactions with one tag (RFC 8489 §9, §10).
//!
//! ```
//! use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketId, SocketIds, Verdict};
//! use portolan_stun::{Attribute, Class, Method, Writer};
//! use portolan_stun_agent::{TransactionEvent, Request, Transactions};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut transactions = Transactions::<u8>::new();
//! let (socket, server, local) = (SocketId(1), "192.0.2.1:3478".parse()?, "198.51.100.7:40000".parse()?);
//!
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let id = transactions.request(&mut cx, Request::binding(socket, server, 7))?;
//! let Output::Transmit(sent) = transactions.poll() else { panic!("the request is sent at once") };
//! assert_eq!((sent.remote, sent.payload.len()), (server, 20));
//! let Output::Wait(Some(wait)) = transactions.poll() else { panic!("the machine waits") };
//! assert_eq!(wait.to_string(), "0.500s (retransmission)");
//!
//! let mut buffer = [0; 64];
//! let mut response = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id)?;
//! response.add(&Attribute::XorMappedAddress(local))?;
//! let mut cx = Cx::new(Instant::from_millis(40), &mut rng, &mut ids);
//! let input = Input::Datagram(Datagram::new(socket, local, server, response.finish()));
//! assert_eq!(transactions.handle(&mut cx, input), Verdict::Mine);
//! let Output::Event(TransactionEvent::Answered(response)) = transactions.poll() else { panic!("expected an event") };
//! assert_eq!((response.tag, response.sends, response.since_last.as_millis()), (7, 1, 40));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod authentication;
mod framers;
mod ids;
mod pending;
mod request;
mod response;
mod routes;
mod text;
mod timeline;

pub use request::{AnswerFrom, AnswerOn, Request, Seal};
pub use text::TransactionCommand;

use crate::credential::Sessions;
use crate::note::{Dropped, TransactionEnd, TransactionNote};
use crate::{Answer, RequestError, SocketLoss, TransactionEvent, Unusable};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use authentication::Retry;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use framers::Framers;
use pending::{Accept, Pending, PendingTable, Transmission};
use portolan_machine::{
    Cx, Datagram, Input, Machine, Outbox, Output, SocketEvent, SocketId, Transmit, Unreachability, Verdict,
};
use portolan_stun::{Integrity, Message, TransactionId};
use response::{ResponseCheck, check_response, response_id};
use timeline::{Step, Timeline};

/// The client transactions of one agent. `T` is the tag that the owner gives to a request.
///
/// This machine opens no sockets. Each [`Request`] contains the id of an open socket, which other machines can use
/// too. A datagram that is not a response to one of its requests is [`Verdict::NotMine`]. The machine takes all bytes
/// of a stream with a pending request, because only one machine can do the framing of a stream. It stops before a
/// message whose outputs do not fit into the output queue, and takes that message after the queue is drained.
///
/// # Cost and memory
///
/// No input, command or deadline searches all pending requests: the cost grows with the logarithm of their number.
/// The memory of finished requests is released. The machine keeps at most `limit` ids of finished requests, with at
/// most 200 bytes each.
///
/// # Bound
///
/// Between two drains peers cause at most [`Outbox::LIMIT`] outputs, or `limit` + 1 if that is more. The queue
/// reserves one output for the end of each pending request, so that no request ends without its event.
#[derive(Clone, Debug)]
pub struct Transactions<T> {
    table: PendingTable<T>,
    /// The authentication state of recent servers.
    sessions: Sessions,
    framers: Framers,
    out: Outbox<TransactionEvent<T>>,
}

impl<T> Default for Transactions<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Transactions<T> {
    /// The default limit of pending requests. With this limit an empty output queue has space for one more output
    /// than the ends of all requests.
    pub const LIMIT: usize = Outbox::<()>::LIMIT - 1;

    /// A machine without requests, for at most [`LIMIT`](Self::LIMIT) pending requests; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limit(Self::LIMIT)
    }

    /// A machine without requests, for at most `limit` pending requests. It keeps the ids of at most `limit` finished
    /// requests.
    #[must_use]
    pub const fn with_limit(limit: usize) -> Self {
        Self { table: PendingTable::new(limit), sessions: Sessions::new(), framers: Framers::new(), out: Outbox::new() }
    }

    /// The number of pending requests.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no request is pending.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// The pending requests, oldest first: the id of the current transaction, the tag, and the number of its sends.
    pub fn pending(&self) -> impl Iterator<Item = (TransactionId, &T, u32)> {
        self.table.by_age().map(|pending| (pending.id, &pending.tag, pending.timeline.sends()))
    }
}

impl<T: Clone> Transactions<T> {
    /// Adds a request, sends it if its schedule begins now, and returns its id.
    ///
    /// # Errors
    /// After an error nothing was sent.
    ///
    /// * [`RequestError::Full`] when as many requests are pending as are allowed.
    /// * [`RequestError::Destination`] when the remote address is unspecified, or its port is 0.
    /// * [`RequestError::Attributes`] when an attribute is not whole.
    /// * [`RequestError::Encode`] when the message would be too long, or when an attribute is an integrity attribute
    ///   or FINGERPRINT.
    pub fn request(&mut self, cx: &mut Cx<'_>, request: Request<T>) -> Result<TransactionId, RequestError> {
        self.enqueue(cx, request, None)
    }

    fn enqueue(
        &mut self,
        cx: &mut Cx<'_>,
        request: Request<T>,
        retry: Option<Retry>,
    ) -> Result<TransactionId, RequestError> {
        let limit = self.table.limit();
        if self.table.len() >= limit {
            return Err(RequestError::Full { limit });
        }
        if request.remote.ip().is_unspecified() || request.remote.port() == 0 {
            return Err(RequestError::Destination);
        }
        let id = self.fresh_id(cx);
        let message = match &retry {
            Some(retry) => retry.encode(id)?,
            None => request.template().encode(id, None)?,
        };
        let Request { socket, remote, tag, method, schedule, from, on, hop_limit, seal, attributes: _ } = request;
        let transmission = Transmission { socket, remote, hop_limit, message };
        let accept = Accept { method, from, on, seal };
        let mut pending = Pending::new(id, tag, transmission, accept, Timeline::new(schedule, cx.now()));
        pending.retry = retry.map(Box::new);
        self.framers.activate(socket);
        // Outputs of older requests that are due already are queued first.
        self.advance_due(cx);
        let index = self.table.insert(pending);
        self.advance(cx, index);
        Ok(id)
    }

    /// Cancels a request. A late response to it is detected and dropped.
    ///
    /// # Errors
    /// [`RequestError::NotPending`] when no pending request has this id.
    pub fn cancel(&mut self, cx: &mut Cx<'_>, id: TransactionId) -> Result<(), RequestError> {
        let found = self.table.find_request(id).and_then(|index| Some((index, self.table.get(index)?.id)));
        let (index, id) = found.ok_or(RequestError::NotPending(id))?;
        self.remove(index, TransactionEnd::Cancelled);
        cx.note(|| TransactionNote::Cancelled { id });
        self.advance_due(cx);
        Ok(())
    }

    /// Sets the time between the last send of a request and its timeout, for an owner that has measured the round
    /// trip time.
    ///
    /// If this time has passed already, the request times out at once.
    ///
    /// # Errors
    /// [`RequestError::NotPending`] when no pending request has this id.
    pub fn set_tail(&mut self, cx: &mut Cx<'_>, id: TransactionId, tail: Duration) -> Result<(), RequestError> {
        let index = self.table.find_request(id).ok_or(RequestError::NotPending(id))?;
        if let Some(pending) = self.table.get_mut(index) {
            pending.timeline.set_tail(tail);
        }
        self.table.schedule(index);
        self.advance_due(cx);
        Ok(())
    }

    /// Times a request out now, as at the end of its schedule. For an owner that has its own deadline.
    ///
    /// # Errors
    /// [`RequestError::NotPending`] when no pending request has this id.
    pub fn give_up(&mut self, cx: &mut Cx<'_>, id: TransactionId) -> Result<(), RequestError> {
        let index = self.table.find_request(id).ok_or(RequestError::NotPending(id))?;
        self.end_exhausted(cx, index);
        self.advance_due(cx);
        Ok(())
    }

    /// Handles a whole message of a stream that the owner splits into messages, for example with a
    /// [`Framer`](crate::framing::Framer). A client of TURN does so, because its streams have ChannelData too.
    ///
    /// The message is handled like a message of [`Machine::stream`]: its sender, socket and content are checked, and a
    /// response that is not verified ends its request (RFC 8489 §9.2.5). [`Verdict::NotMine`]: the message is not a
    /// response to a request of this machine, and nothing was changed. The bytes of one stream are passed either to
    /// this method or to [`Machine::stream`].
    ///
    /// `None`: the output queue has no space for the outputs of this message. The owner drains the machine and passes
    /// the message again. This second call returns a verdict if it is at the same time.
    #[must_use]
    pub fn message(&mut self, cx: &mut Cx<'_>, message: Datagram<'_>) -> Option<Verdict> {
        let id = response_id(message.payload);
        if id.is_none_or(|id| self.table.position(id).is_none() && self.table.ending(id).is_none()) {
            return Some(Verdict::NotMine);
        }
        self.advance_due(cx);
        self.stream_message(cx, message).then_some(Verdict::Mine)
    }

    /// Returns a random id that is not in the table. With a broken RNG the ids still differ.
    fn fresh_id(&mut self, cx: &mut Cx<'_>) -> TransactionId {
        let mut bytes: [u8; 12] = cx.random();
        while self.table.is_known(bytes.into()) {
            for byte in bytes.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
        bytes.into()
    }

    fn remove(&mut self, index: usize, ending: TransactionEnd) {
        let Some(socket) = self.table.get(index).map(|pending| pending.transmission.socket) else { return };
        self.table.remove(index, ending);
        if self.framers.has_partial_message(socket) && !self.table.has_socket(socket) {
            self.framers.deactivate(socket);
        }
    }

    /// Advances all requests that are due, in order of age.
    fn advance_due(&mut self, cx: &mut Cx<'_>) {
        let Some((number, id)) = self.table.pop_due(cx.now()) else { return };
        if !self.table.is_due(cx.now()) {
            return self.advance_id(cx, id);
        }
        let mut due = vec![(number, id)];
        while let Some(next) = self.table.pop_due(cx.now()) {
            due.push(next);
        }
        due.sort_unstable();
        due.into_iter().for_each(|(_, id)| self.advance_id(cx, id));
    }

    fn advance_id(&mut self, cx: &mut Cx<'_>, id: TransactionId) {
        if let Some(index) = self.table.position(id) {
            self.advance(cx, index);
        }
    }

    /// Performs the due steps of one request, and sets its timer to the next step.
    fn advance(&mut self, cx: &mut Cx<'_>, index: usize) {
        while let Some(pending) = self.table.get_mut(index) {
            let id = pending.id;
            match pending.timeline.advance(cx) {
                Step::Nothing => return self.table.schedule(index),
                Step::Send => {
                    let Transmission { socket, remote, hop_limit, ref message } = pending.transmission;
                    let (send, payload) = (pending.timeline.sends(), message.clone());
                    let mut transmit = Transmit::new(socket, remote, payload);
                    transmit.hop_limit = hop_limit;
                    self.out.push(Output::Transmit(transmit));
                    cx.note(|| TransactionNote::Sent { id, remote, send });
                }
                Step::GiveUp => return self.end_exhausted(cx, index),
            }
        }
    }

    /// Ends a request without a response.
    fn end_exhausted(&mut self, cx: &mut Cx<'_>, index: usize) {
        let Some(pending) = self.table.get_mut(index) else { return };
        let (id, sends, event) = (pending.id, pending.timeline.sends(), pending.timeout_event());
        self.remove(index, TransactionEnd::Exhausted);
        self.out.push(Output::Event(event));
        cx.note(|| TransactionNote::GivenUp { id, sends });
    }

    /// Handles a datagram. It belongs to this machine if it is a response with the id of a request.
    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        let Some(id) = response_id(datagram.payload) else {
            return Verdict::NotMine;
        };
        let Some(index) = self.table.position(id) else {
            return self.drop_late(cx, id, datagram.remote);
        };
        if let Some(check) = self.table.get(index).map(|pending| check_response(cx.now(), pending, datagram)) {
            self.apply(cx, index, check, datagram, false);
        }
        Verdict::Mine
    }

    /// Handles a whole message of a stream. Returns `false`, and changes nothing, if the queue has no space for its
    /// outputs.
    fn stream_message(&mut self, cx: &mut Cx<'_>, message: Datagram<'_>) -> bool {
        let id = response_id(message.payload);
        let index = id.and_then(|id| self.table.position(id));
        let pending = index.and_then(|index| Some((index, self.table.get(index)?)));
        let Some((index, pending)) = pending else {
            if id.is_none_or(|id| self.drop_late(cx, id, message.remote) == Verdict::NotMine) {
                cx.note(|| TransactionNote::Dropped { from: message.remote, why: Dropped::NotAsked });
            }
            return true;
        };
        let check = check_response(cx.now(), pending, message);
        if check.needs_space(pending.timeline.repeats()) && !self.has_space() {
            return false;
        }
        self.apply(cx, index, check, message, true);
        // A retry is sent before the next message is handled, so that the outputs do not depend on the chunks.
        self.advance_due(cx);
        true
    }

    /// Drops a response whose transaction has ended.
    fn drop_late(&self, cx: &mut Cx<'_>, id: TransactionId, from: SocketAddr) -> Verdict {
        let Some(ending) = self.table.ending(id) else { return Verdict::NotMine };
        cx.note(|| TransactionNote::Dropped { from, why: Dropped::Late { id, ending } });
        Verdict::Mine
    }

    fn apply(&mut self, cx: &mut Cx<'_>, index: usize, check: ResponseCheck, datagram: Datagram<'_>, reliable: bool) {
        let from = datagram.remote;
        match check {
            ResponseCheck::Drop(why) => cx.note(|| TransactionNote::Dropped { from, why }),
            ResponseCheck::Elsewhere(why) => {
                cx.note(|| TransactionNote::Dropped { from, why });
                if let Some(response) = self.table.get(index).map(|pending| pending.event_data(cx, datagram, None)) {
                    self.offer(cx, from, TransactionEvent::Elsewhere(response));
                }
            }
            ResponseCheck::Unusable(why) => {
                cx.note(|| TransactionNote::Dropped { from, why: Dropped::Unusable(why) });
                self.end(index, from, why);
            }
            ResponseCheck::Authenticated(outcome) => self.apply_outcome(cx, index, outcome, datagram, reliable),
        }
    }

    /// Accepts a response. `integrity` is the verified attribute, if verification was required.
    fn accept(&mut self, cx: &mut Cx<'_>, index: usize, integrity: Option<Integrity>, datagram: Datagram<'_>) {
        let from = datagram.remote;
        let Some(pending) = self.table.get_mut(index) else { return };
        let id = pending.id;
        pending.responses = pending.responses.saturating_add(1);
        if let (Some(retry), Some(integrity)) = (pending.retry.as_deref_mut(), integrity)
            && let Ok(message) = Message::decode(datagram.payload)
        {
            retry.attempt.store_session(integrity, &message, &mut self.sessions);
        }
        let event = TransactionEvent::Answered(pending.event_data(cx, datagram, integrity));
        cx.note(|| TransactionNote::Accepted { id, from });
        if pending.timeline.repeats() {
            self.offer(cx, from, event);
        } else {
            self.remove(index, TransactionEnd::Answered);
            self.out.push(Output::Event(event));
        }
    }

    /// Queues an event that a peer can cause repeatedly, if the queue has space.
    fn offer(&mut self, cx: &mut Cx<'_>, from: SocketAddr, event: TransactionEvent<T>) {
        if self.has_space() {
            self.out.push(Output::Event(event));
        } else {
            cx.note(|| TransactionNote::Dropped { from, why: Dropped::QueueFull });
        }
    }

    /// The number of outputs that peers can still cause, without the reserved end of each pending request. It is at
    /// least 1 if the queue is empty.
    fn space(&self) -> usize {
        let most = Outbox::<()>::LIMIT.max(self.table.limit().saturating_add(1));
        most.saturating_sub(self.out.len()).saturating_sub(self.table.len())
    }

    fn has_space(&self) -> bool {
        self.space() > 0
    }

    fn take_chunk(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let socket = chunk.socket;
        if !self.table.has_socket(socket) && !self.framers.has_partial_message(socket) {
            return None;
        }
        // Due timers run before the first byte, so that the outputs do not depend on the chunks.
        self.advance_due(cx);
        let mut framer = self.framers.take(socket);
        match framer.feed_while(chunk.payload, |message| self.stream_message(cx, chunk.with_payload(message))) {
            Ok(taken) => {
                self.framers.put(socket, framer, self.table.has_socket(socket));
                Some(taken)
            }
            Err(_) => {
                cx.note(|| TransactionNote::Dropped { from: chunk.remote, why: Dropped::NotStun });
                let _verdict = self.socket_lost(socket, SocketLoss::NotStun);
                Some(chunk.payload.len())
            }
        }
    }

    /// Ends the requests of a closed socket (RFC 8489 §6.2.2).
    fn socket_lost(&mut self, socket: SocketId, why: SocketLoss) -> Verdict {
        let is_partial = self.framers.forget(socket);
        let lost = self.table.on_socket(socket);
        let verdict = if lost.is_empty() && !is_partial { Verdict::NotMine } else { Verdict::Mine };
        for id in lost {
            let Some(index) = self.table.position(id) else { continue };
            if let Some(tag) = self.table.get(index).map(|pending| pending.tag.clone()) {
                self.out.push(Output::Event(TransactionEvent::SocketLost { tag, id, socket, why }));
            }
            self.remove(index, TransactionEnd::SocketLost);
        }
        verdict
    }

    /// Reports an unreachable destination to each of its requests, as far as the queue has space.
    fn unreachable(&mut self, cx: &mut Cx<'_>, socket: SocketId, remote: SocketAddr, why: Unreachability) -> Verdict {
        let mut pending = self.table.on_route(socket, remote);
        let events: Vec<_> = pending
            .by_ref()
            .take(self.space())
            .map(|pending| TransactionEvent::Unreachable { tag: pending.tag.clone(), id: pending.id, remote, why })
            .collect();
        let is_cut = pending.next().is_some();
        drop(pending);
        if is_cut {
            cx.note(|| TransactionNote::Dropped { from: remote, why: Dropped::QueueFull });
        }
        let verdict = if is_cut || !events.is_empty() { Verdict::Mine } else { Verdict::NotMine };
        events.into_iter().for_each(|event| self.out.push(Output::Event(event)));
        verdict
    }
}

impl<T: Clone> Pending<T> {
    fn event_data(&self, cx: &Cx<'_>, datagram: Datagram<'_>, integrity: Option<Integrity>) -> Answer<T> {
        Answer {
            tag: self.tag.clone(),
            id: self.id,
            socket: datagram.socket,
            local: datagram.local,
            from: datagram.remote,
            message: Bytes::copy_from_slice(datagram.payload),
            nth: self.responses,
            sends: self.timeline.sends(),
            since_first: self.timeline.since_first(cx.now()),
            since_last: self.timeline.since_last(cx.now()),
            integrity,
        }
    }

    /// The event at the end of the schedule.
    fn timeout_event(&self) -> TransactionEvent<T> {
        let (tag, id, sends, responses) = (self.tag.clone(), self.id, self.timeline.sends(), self.responses);
        let failure = self.retry.as_ref().and_then(|retry| retry.attempt.integrity_failure).filter(|_| responses == 0);
        match failure {
            // RFC 8489 §9.1.4, §9.2.5: if a response was not verified, the request fails with that reason instead of
            // a timeout.
            Some((from, why)) => TransactionEvent::Unusable { tag, id, from, why: Unusable::Integrity(why) },
            None => TransactionEvent::Exhausted { tag, id, sends, answers: responses },
        }
    }
}

impl<T> Machine for Transactions<T>
where
    T: Clone + fmt::Debug + PartialEq,
{
    type Command = TransactionCommand<T>;
    type Error = RequestError;
    type Event = TransactionEvent<T>;

    fn command(&mut self, cx: &mut Cx<'_>, command: TransactionCommand<T>) -> Result<(), RequestError> {
        match command {
            TransactionCommand::Request(request) => self.request(cx, request).map(drop),
            TransactionCommand::RequestWith(request, credential) => {
                self.request_with(cx, request, credential).map(drop)
            }
            TransactionCommand::Cancel(id) => self.cancel(cx, id),
            TransactionCommand::GiveUp(id) => self.give_up(cx, id),
            TransactionCommand::SetTail(id, tail) => self.set_tail(cx, id, tail),
            TransactionCommand::Forget(credential) => {
                self.forget(&credential);
                Ok(())
            }
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let verdict = match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, SocketEvent::Unreachable { remote, why }) => {
                self.unreachable(cx, socket, remote, why)
            }
            Input::Socket(socket, SocketEvent::Refused(why)) => self.socket_lost(socket, SocketLoss::Refused(why)),
            Input::Socket(socket, SocketEvent::Closed(why)) => self.socket_lost(socket, SocketLoss::Closed(why)),
            Input::Socket(
                _,
                SocketEvent::Opened { .. } | SocketEvent::Accepted { .. } | SocketEvent::Full | SocketEvent::Writable,
            ) => Verdict::NotMine,
            Input::Timeout if self.table.is_due(cx.now()) => Verdict::Mine,
            Input::Timeout => Verdict::NotMine,
        };
        // An input with `NotMine` changes nothing, so it does not advance due requests.
        if verdict == Verdict::Mine {
            self.advance_due(cx);
        }
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        self.take_chunk(cx, chunk)
    }

    fn poll(&mut self) -> Output<TransactionEvent<T>> {
        self.out.pop().unwrap_or_else(|| Output::Wait(self.table.wait()))
    }
}
