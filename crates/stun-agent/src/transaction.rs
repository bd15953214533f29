//! Requests on their way: sent, sent again, matched with their answers, given up.
//!
//! Rules of this file: a response belongs to a request by its transaction id alone (RFC 8489 §6.3); whether it counts is
//! decided by its sender, its socket and its method, and what does not count is never accepted in silence. Ids of
//! finished requests are kept for a while, so that a late duplicate is recognised. A datagram that comes with a deadline
//! is handled before the deadline; bytes of a stream are handled after it, so that the outputs do not depend on how the
//! stream is cut into chunks. A request with a credential accepts verified responses only; with a
//! [`Credential`](crate::Credential) it can become several transactions under one tag (RFC 8489 §9, §10).
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
//! let Output::Transmit(sent) = transactions.poll() else { panic!("the request goes out at once") };
//! assert_eq!((sent.remote, sent.payload.len()), (server, 20));
//! let Output::Wait(Some(wait)) = transactions.poll() else { panic!("and waits") };
//! assert_eq!(wait.to_string(), "0.500s (retransmission)");
//!
//! let mut buffer = [0; 64];
//! let mut answer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id)?;
//! answer.add(&Attribute::XorMappedAddress(local))?;
//! let mut cx = Cx::new(Instant::from_millis(40), &mut rng, &mut ids);
//! let input = Input::Datagram(Datagram::new(socket, local, server, answer.finish()));
//! assert_eq!(transactions.handle(&mut cx, input), Verdict::Mine);
//! let Output::Event(TransactionEvent::Answered(answer)) = transactions.poll() else { panic!("answered") };
//! assert_eq!((answer.tag, answer.sends, answer.since_last.as_millis()), (7, 1, 40));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod authentication;
mod ids;
mod pending;
mod request;
mod routes;
mod text;
mod timeline;

pub use request::{AnswerFrom, AnswerOn, Request, Seal};
pub use text::TransactionCommand;

use crate::credential::{Ruling, Sessions};
use crate::framing::Framers;
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
use pending::{Accept, Aim, Pending, PendingTable};
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Outbox, Output, SocketEvent, SocketId, Transmit, Unreachability, Verdict,
};
use portolan_stun::{Class, Integrity, Message, TransactionId, is_stun};
use timeline::{Step, Timeline};

/// The requests of one agent on their way; `T` is the owner's tag of a request.
///
/// This machine opens no sockets: the owner names open ones in each [`Request`], and shares them with other machines.
/// A datagram that is no response to one of its requests is [`Verdict::NotMine`]. On a stream of a pending request it
/// takes all bytes, because no other machine can know where a message begins. It stops before a message whose outputs
/// find no room, and takes that message after a drain.
///
/// # Cost and memory
///
/// No input, command or deadline searches all pending requests: the cost grows with the logarithm of their number. The
/// memory of finished requests is released, but for their ids: at most `limit` of them, at most 200 bytes each.
///
/// # Bound
///
/// Between two drains peers cause at most [`Outbox::LIMIT`] outputs, or `limit` + 1 if that is more. One output for the
/// end of each pending request is always free, so that no request ends without its event.
#[derive(Clone, Debug)]
pub struct Transactions<T> {
    table: PendingTable<T>,
    /// What servers asked of credentials.
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
    /// The number of requests that may be pending unless the owner says otherwise. Beside the end of each, an empty
    /// output queue has room for one output more.
    pub const LIMIT: usize = Outbox::<()>::LIMIT - 1;

    /// A machine without requests, for at most [`LIMIT`](Self::LIMIT) at a time; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limit(Self::LIMIT)
    }

    /// A machine without requests, for at most `limit` at a time. It remembers the ids of as many finished ones.
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

    /// The pending requests, oldest first: the id of the present transaction, the tag, and the number of its sends.
    pub fn pending(&self) -> impl Iterator<Item = (TransactionId, &T, u32)> {
        self.table.by_age().map(|pending| (pending.id, &pending.tag, pending.timeline.sends()))
    }
}

impl<T: Clone> Transactions<T> {
    /// Makes a request, sends it now if its schedule says so, and returns its id.
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
            None => request.blank().encode(id, None)?,
        };
        let Request { socket, remote, tag, method, schedule, from, on, hop_limit, seal, attributes: _ } = request;
        let aim = Aim { socket, remote, hop_limit, message };
        let accept = Accept { method, from, on, seal };
        let mut pending = Pending::new(id, tag, aim, accept, Timeline::new(schedule, cx.now()));
        pending.retry = retry.map(Box::new);
        self.framers.wake(socket);
        // What is due already belongs to older requests and comes first.
        self.settle(cx);
        let index = self.table.insert(pending);
        self.advance(cx, index);
        Ok(id)
    }

    /// Forgets a request. A late response to it is recognized and dropped.
    ///
    /// # Errors
    /// [`RequestError::NotPending`] when no pending request has this id.
    pub fn cancel(&mut self, cx: &mut Cx<'_>, id: TransactionId) -> Result<(), RequestError> {
        let named = self.table.named(id).and_then(|index| Some((index, self.table.get(index)?.id)));
        let (index, id) = named.ok_or(RequestError::NotPending(id))?;
        self.remove(index, TransactionEnd::Cancelled);
        cx.note(|| TransactionNote::Cancelled { id });
        self.settle(cx);
        Ok(())
    }

    /// Sets how long after its last send a request is given up, once the round trip time is known better.
    ///
    /// If that time is over already, the request is given up at once.
    ///
    /// # Errors
    /// [`RequestError::NotPending`] when no pending request has this id.
    pub fn set_tail(&mut self, cx: &mut Cx<'_>, id: TransactionId, tail: Duration) -> Result<(), RequestError> {
        let index = self.table.named(id).ok_or(RequestError::NotPending(id))?;
        if let Some(pending) = self.table.get_mut(index) {
            pending.timeline.set_tail(tail);
        }
        self.table.schedule(index);
        self.settle(cx);
        Ok(())
    }

    /// Gives a request up now, as if its schedule had run out: for an owner with a deadline of its own.
    ///
    /// # Errors
    /// [`RequestError::NotPending`] when no pending request has this id.
    pub fn give_up(&mut self, cx: &mut Cx<'_>, id: TransactionId) -> Result<(), RequestError> {
        let index = self.table.named(id).ok_or(RequestError::NotPending(id))?;
        self.end_exhausted(cx, index);
        self.settle(cx);
        Ok(())
    }

    /// Returns a random id that no request of this machine has or had lately. With a broken RNG the ids still differ.
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
        let Some(socket) = self.table.get(index).map(|pending| pending.aim.socket) else { return };
        self.table.remove(index, ending);
        if self.framers.is_reading(socket) && !self.table.has_socket(socket) {
            self.framers.rest(socket);
        }
    }

    /// Does everything that is due: the oldest request first, whatever its deadline.
    fn settle(&mut self, cx: &mut Cx<'_>) {
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

    /// Does the steps of one request that are due, and sets its timer to the next step.
    fn advance(&mut self, cx: &mut Cx<'_>, index: usize) {
        while let Some(pending) = self.table.get_mut(index) {
            let id = pending.id;
            match pending.timeline.advance(cx) {
                Step::Nothing => return self.table.schedule(index),
                Step::Send => {
                    let Aim { socket, remote, hop_limit, ref message } = pending.aim;
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
        let (id, sends, event) = (pending.id, pending.timeline.sends(), pending.given_up());
        self.remove(index, TransactionEnd::Exhausted);
        self.out.push(Output::Event(event));
        cx.note(|| TransactionNote::GivenUp { id, sends });
    }

    /// Takes a datagram: it is this machine's if it is a response with the id of a request.
    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        let Some(id) = response_id(datagram.payload) else {
            return Verdict::NotMine;
        };
        let Some(index) = self.table.position(id) else {
            return self.late(cx, id, datagram.remote);
        };
        if let Some(judgement) = self.table.get(index).map(|pending| judge(cx.now(), pending, datagram)) {
            self.apply(cx, index, judgement, datagram, false);
        }
        Verdict::Mine
    }

    /// Takes a whole message of a stream. Returns `false`, and changes nothing, if its outputs find no room.
    fn message(&mut self, cx: &mut Cx<'_>, message: Datagram<'_>) -> bool {
        let id = response_id(message.payload);
        let index = id.and_then(|id| self.table.position(id));
        let pending = index.and_then(|index| Some((index, self.table.get(index)?)));
        let Some((index, pending)) = pending else {
            if id.is_none_or(|id| self.late(cx, id, message.remote) == Verdict::NotMine) {
                cx.note(|| TransactionNote::Dropped { from: message.remote, why: Dropped::NotAsked });
            }
            return true;
        };
        let judgement = judge(cx.now(), pending, message);
        if judgement.needs_room(pending.timeline.repeats()) && !self.has_room() {
            return false;
        }
        self.apply(cx, index, judgement, message, true);
        // A renewed transaction is sent before the next message is read, so that the outputs do not depend on the chunks.
        self.settle(cx);
        true
    }

    /// Drops a response whose transaction is over.
    fn late(&self, cx: &mut Cx<'_>, id: TransactionId, from: SocketAddr) -> Verdict {
        let Some(ending) = self.table.ending(id) else { return Verdict::NotMine };
        cx.note(|| TransactionNote::Dropped { from, why: Dropped::Late { id, ending } });
        Verdict::Mine
    }

    fn apply(&mut self, cx: &mut Cx<'_>, index: usize, judgement: Judgement, datagram: Datagram<'_>, reliable: bool) {
        let from = datagram.remote;
        match judgement {
            Judgement::Drop(why) => cx.note(|| TransactionNote::Dropped { from, why }),
            Judgement::Elsewhere(why) => {
                cx.note(|| TransactionNote::Dropped { from, why });
                if let Some(answer) = self.table.get(index).map(|pending| pending.answer(cx, datagram, None)) {
                    self.offer(cx, from, TransactionEvent::Elsewhere(answer));
                }
            }
            Judgement::Unusable(why) => {
                cx.note(|| TransactionNote::Dropped { from, why: Dropped::Unusable(why) });
                self.end(index, from, why);
            }
            Judgement::Judged(ruling) => self.rule(cx, index, ruling, datagram, reliable),
        }
    }

    /// Accepts a response. `integrity` is the attribute by which it was verified, if verification was required.
    fn accept(&mut self, cx: &mut Cx<'_>, index: usize, integrity: Option<Integrity>, datagram: Datagram<'_>) {
        let from = datagram.remote;
        let Some(pending) = self.table.get_mut(index) else { return };
        let id = pending.id;
        pending.answers = pending.answers.saturating_add(1);
        if let (Some(retry), Some(integrity)) = (pending.retry.as_deref_mut(), integrity)
            && let Ok(message) = Message::decode(datagram.payload)
        {
            retry.attempt.learn(integrity, &message, &mut self.sessions);
        }
        let event = TransactionEvent::Answered(pending.answer(cx, datagram, integrity));
        cx.note(|| TransactionNote::Accepted { id, from });
        if pending.timeline.repeats() {
            self.offer(cx, from, event);
        } else {
            self.remove(index, TransactionEnd::Answered);
            self.out.push(Output::Event(event));
        }
    }

    /// Queues an output that a peer may cause more than once, if there is room.
    fn offer(&mut self, cx: &mut Cx<'_>, from: SocketAddr, event: TransactionEvent<T>) {
        if self.has_room() {
            self.out.push(Output::Event(event));
        } else {
            cx.note(|| TransactionNote::Dropped { from, why: Dropped::QueueFull });
        }
    }

    /// The number of outputs that peers may still cause, beside the end of each pending request. A drained machine has
    /// room for at least one.
    fn room(&self) -> usize {
        let most = Outbox::<()>::LIMIT.max(self.table.limit().saturating_add(1));
        most.saturating_sub(self.out.len()).saturating_sub(self.table.len())
    }

    fn has_room(&self) -> bool {
        self.room() > 0
    }

    fn take_chunk(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let socket = chunk.socket;
        if !self.table.has_socket(socket) && !self.framers.is_reading(socket) {
            return None;
        }
        // Timers that are due run before the first byte: otherwise the outputs would depend on the chunks.
        self.settle(cx);
        let mut framer = self.framers.take(socket);
        match framer.feed_while(chunk.payload, |message| self.message(cx, chunk.with_payload(message))) {
            Ok(taken) => {
                self.framers.put(socket, framer, self.table.has_socket(socket));
                Some(taken)
            }
            Err(_) => {
                cx.note(|| TransactionNote::Dropped { from: chunk.remote, why: Dropped::NotStun });
                let _lost = self.lose(socket, SocketLoss::NotStun);
                Some(chunk.payload.len())
            }
        }
    }

    /// Ends the requests of a closed socket (RFC 8489 §6.2.2).
    fn lose(&mut self, socket: SocketId, why: SocketLoss) -> Verdict {
        let begun = self.framers.forget(socket);
        let lost = self.table.on_socket(socket);
        let verdict = if lost.is_empty() && !begun { Verdict::NotMine } else { Verdict::Mine };
        for id in lost {
            let Some(index) = self.table.position(id) else { continue };
            if let Some(tag) = self.table.get(index).map(|pending| pending.tag.clone()) {
                self.out.push(Output::Event(TransactionEvent::SocketLost { tag, id, socket, why }));
            }
            self.remove(index, TransactionEnd::SocketLost);
        }
        verdict
    }

    /// Reports to each request of a destination that a datagram did not arrive, as far as there is room.
    fn unreachable(&mut self, cx: &mut Cx<'_>, socket: SocketId, remote: SocketAddr, why: Unreachability) -> Verdict {
        let mut asked = self.table.on_route(socket, remote);
        let events: Vec<_> = asked
            .by_ref()
            .take(self.room())
            .map(|pending| TransactionEvent::Unreachable { tag: pending.tag.clone(), id: pending.id, remote, why })
            .collect();
        let is_cut = asked.next().is_some();
        drop(asked);
        if is_cut {
            cx.note(|| TransactionNote::Dropped { from: remote, why: Dropped::QueueFull });
        }
        let verdict = if is_cut || !events.is_empty() { Verdict::Mine } else { Verdict::NotMine };
        events.into_iter().for_each(|event| self.out.push(Output::Event(event)));
        verdict
    }
}

impl<T: Clone> Pending<T> {
    fn answer(&self, cx: &Cx<'_>, datagram: Datagram<'_>, integrity: Option<Integrity>) -> Answer<T> {
        Answer {
            tag: self.tag.clone(),
            id: self.id,
            socket: datagram.socket,
            local: datagram.local,
            from: datagram.remote,
            message: Bytes::copy_from_slice(datagram.payload),
            nth: self.answers,
            sends: self.timeline.sends(),
            since_first: self.timeline.since_first(cx.now()),
            since_last: self.timeline.since_last(cx.now()),
            integrity,
        }
    }

    /// The event at the end of its schedule.
    fn given_up(&self) -> TransactionEvent<T> {
        let (tag, id, sends, answers) = (self.tag.clone(), self.id, self.timeline.sends(), self.answers);
        let violated = self.retry.as_ref().and_then(|retry| retry.attempt.violated).filter(|_| answers == 0);
        match violated {
            // RFC 8489 §9.1.4, §9.2.5: the reason why a response was not verified replaces the time-out.
            Some((from, why)) => TransactionEvent::Unusable { tag, id, from, why: Unusable::Integrity(why) },
            None => TransactionEvent::Exhausted { tag, id, sends, answers },
        }
    }
}

/// What a response with a known id does to its request.
#[derive(Clone, Debug)]
enum Judgement {
    /// Checked by its credential, if it has one.
    Judged(Ruling),
    Elsewhere(Dropped),
    Unusable(Unusable),
    Drop(Dropped),
}

impl Judgement {
    /// Whether it may cause an output beside the end of its request, on a stream. `repeats`: the request goes on after
    /// its answers.
    const fn needs_room(&self, repeats: bool) -> bool {
        match self {
            Self::Elsewhere(_) | Self::Judged(Ruling::Answer { .. }) => true,
            // On a stream a redirection is a response.
            Self::Judged(Ruling::Believe(_) | Ruling::Alternate(_, Ok(_))) => repeats,
            Self::Judged(Ruling::Decline(_) | Ruling::Alternate(_, Err(_)) | Ruling::Doubt(_) | Ruling::Ignore(_))
            | Self::Unusable(_)
            | Self::Drop(_) => false,
        }
    }
}

/// RFC 8489 §6.3, §9, §6.3.3, §6.3.4, in that order. The sender and the integrity are checked before the content, so that
/// no third party can end the request.
fn judge<T>(now: Instant, pending: &Pending<T>, datagram: Datagram<'_>) -> Judgement {
    let Pending { aim, accept, .. } = pending;
    let message = match Message::decode(datagram.payload) {
        Ok(message) => message,
        Err(error) => return Judgement::Drop(Dropped::Undecodable(error)),
    };
    if message.method() != accept.method {
        return Judgement::Drop(Dropped::Method(message.method()));
    }
    if (accept.seal == Seal::Fingerprint || message.has_fingerprint())
        && let Err(error) = message.check_fingerprint()
    {
        return Judgement::Drop(Dropped::Undecodable(error));
    }
    let expected = match accept.from {
        AnswerFrom::SameAsDestination => aim.remote,
        AnswerFrom::Exactly(from) => from,
        AnswerFrom::AnyReported => datagram.remote,
    };
    if datagram.remote != expected {
        return Judgement::Elsewhere(Dropped::Elsewhere { asked: aim.remote });
    }
    if accept.on == AnswerOn::SameSocket && datagram.socket != aim.socket {
        return Judgement::Elsewhere(Dropped::OtherSocket { asked: aim.socket });
    }
    let ruling = match &pending.retry {
        Some(retry) => retry.attempt.judge(now, &message),
        None => Ruling::Believe(None),
    };
    if matches!(ruling, Ruling::Doubt(_) | Ruling::Ignore(_)) {
        return Judgement::Judged(ruling);
    }
    if let Some(kind) = message.unknown_comprehension_required().next() {
        return Judgement::Unusable(Unusable::UnknownAttribute(kind));
    }
    if message.class() == Class::ErrorResponse && message.error_code().is_none() {
        return Judgement::Unusable(Unusable::NoErrorCode);
    }
    Judgement::Judged(ruling)
}

/// The transaction id, if the header is that of a STUN response.
#[inline]
fn response_id(bytes: &[u8]) -> Option<TransactionId> {
    /// Class bit 1 is the lowest bit of the first byte: responses have it (RFC 8489 §5, figure 3).
    const RESPONSE: u8 = 0x01;
    let (&[first, ..], rest) = bytes.split_first_chunk::<8>()?;
    if first & RESPONSE == 0 || !is_stun(bytes) {
        return None;
    }
    rest.first_chunk::<12>().map(|id| TransactionId::from(*id))
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
            Input::Socket(socket, SocketEvent::Refused(why)) => self.lose(socket, SocketLoss::Refused(why)),
            Input::Socket(socket, SocketEvent::Closed(why)) => self.lose(socket, SocketLoss::Closed(why)),
            Input::Socket(
                _,
                SocketEvent::Opened { .. } | SocketEvent::Accepted { .. } | SocketEvent::Full | SocketEvent::Writable,
            ) => Verdict::NotMine,
            Input::Timeout if self.table.is_due(cx.now()) => Verdict::Mine,
            Input::Timeout => Verdict::NotMine,
        };
        // `NotMine` changes nothing, not even by what happens to be due.
        if verdict == Verdict::Mine {
            self.settle(cx);
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
