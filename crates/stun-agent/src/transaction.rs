//! Requests on their way: sent, sent again, matched with their answers, given up.
//!
//! Rules of this file: a response belongs to a request by its transaction id alone (RFC 8489 §6.3); whether it counts is
//! decided by its sender, its socket and its method, and what does not count is never accepted in silence. Ids of
//! finished requests are kept for a while, so that a late duplicate is recognised. An answer that comes with a deadline
//! is dealt with before the deadline. A request that proves who asks takes verified answers only; with a
//! [`Credential`](crate::Credential) it may become several transactions under one tag (RFC 8489 §9, §10).
//!
//! ```
//! use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketId, SocketIds, Verdict};
//! use portolan_stun::{Attribute, Class, Method, Writer};
//! use portolan_stun_agent::{TransactionEvent, Request, Transactions};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut dice, mut ids) = (Ones, SocketIds::new());
//! let mut transactions = Transactions::<u8>::new();
//! let (socket, server, local) = (SocketId(1), "192.0.2.1:3478".parse()?, "198.51.100.7:40000".parse()?);
//!
//! let mut cx = Cx::new(Instant::ORIGIN, &mut dice, &mut ids);
//! let id = transactions.request(&mut cx, Request::binding(socket, server, 7))?;
//! let Output::Transmit(sent) = transactions.poll() else { panic!("the request goes out at once") };
//! assert_eq!((sent.remote, sent.payload.len()), (server, 20));
//! let Output::Wait(Some(wait)) = transactions.poll() else { panic!("and waits") };
//! assert_eq!(wait.to_string(), "0.500s (retransmission)");
//!
//! let mut buffer = [0; 64];
//! let mut answer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id)?;
//! answer.add(&Attribute::XorMappedAddress(local))?;
//! let mut cx = Cx::new(Instant::from_millis(40), &mut dice, &mut ids);
//! let input = Input::Datagram(Datagram::new(socket, local, server, answer.finish()));
//! assert_eq!(transactions.handle(&mut cx, input), Verdict::Mine);
//! let Output::Event(TransactionEvent::Answered(answer)) = transactions.poll() else { panic!("answered") };
//! assert_eq!((answer.tag, answer.sends, answer.since_last.as_millis()), (7, 1, 40));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod authentication;
mod recent;
mod request;
mod text;
mod timeline;

pub use request::{AnswerFrom, AnswerOn, Request, Seal};
pub use text::{TextError, TransactionCommand};

use crate::credential::{Ruling, Sessions};
use crate::framing::Framers;
use crate::note::{Dropped, TransactionEnd, TransactionNote};
use crate::{Answer, RequestError, SocketLoss, TransactionEvent, Unusable};
use alloc::boxed::Box;
use alloc::vec::Vec;
use authentication::Retry;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Outbox, Output, SocketId, SocketNews, Transmit, Unreachability,
    Verdict,
};
use portolan_stun::{Class, Integrity, Message, Method, TransactionId, is_stun};
use recent::Recent;
use timeline::{Step, Timeline};

/// Requests on their way; `T` is what the owner calls each of them.
///
/// It opens no sockets: the owner names open ones in each [`Request`]. It shares them with others: whatever is no
/// response to one of its requests is [`Verdict::NotMine`]. On a stream that a pending request names it takes all bytes,
/// since nobody else can know where a message begins.
#[derive(Clone, Debug)]
pub struct Transactions<T> {
    pending: Vec<Pending<T>>,
    limit: usize,
    recent: Recent,
    /// What servers asked of credentials.
    sessions: Sessions,
    framers: Framers,
    out: Outbox<TransactionEvent<T>>,
    /// The earliest of all deadlines; kept because `poll` is asked far more often than they change.
    wait: Option<Deadline>,
}

#[derive(Clone, Debug)]
struct Pending<T> {
    id: TransactionId,
    /// The id that its owner knows; another one once it was challenged or redirected.
    first: TransactionId,
    tag: T,
    aim: Aim,
    accept: Accept,
    timeline: Timeline,
    answers: u32,
    /// Boxed, as most requests have no credential.
    retry: Option<Box<Retry>>,
}

/// The send, as often as it is made.
#[derive(Clone, Debug)]
struct Aim {
    socket: SocketId,
    remote: SocketAddr,
    hop_limit: Option<u8>,
    message: Bytes,
}

/// Which answer counts.
#[derive(Clone, Copy, Debug)]
struct Accept {
    method: Method,
    from: AnswerFrom,
    on: AnswerOn,
    seal: Seal,
}

impl<T> Default for Transactions<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Transactions<T> {
    /// How many requests may be pending unless the owner says otherwise.
    pub const LIMIT: usize = 256;

    /// No requests yet, at most [`LIMIT`](Self::LIMIT) at a time; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limit(Self::LIMIT)
    }

    /// No requests yet, at most `limit` at a time; as many finished ones are remembered.
    #[must_use]
    pub const fn with_limit(limit: usize) -> Self {
        Self {
            pending: Vec::new(),
            limit,
            recent: Recent::new(limit),
            sessions: Sessions::new(),
            framers: Framers::new(),
            out: Outbox::new(),
            wait: None,
        }
    }

    /// How many requests are pending.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether no request is pending.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The pending requests, oldest first: the id of the present transaction, tag, and how often that was sent.
    pub fn pending(&self) -> impl Iterator<Item = (TransactionId, &T, u32)> {
        self.pending.iter().map(|pending| (pending.id, &pending.tag, pending.timeline.sends()))
    }

    fn position(&self, id: TransactionId) -> Option<usize> {
        self.pending.iter().position(|pending| pending.id == id)
    }

    /// The request that its owner knows by this id, the first it had or its present one.
    fn named(&self, id: TransactionId) -> Option<usize> {
        self.pending.iter().position(|pending| pending.id == id || pending.first == id)
    }
}

impl<T: Clone> Transactions<T> {
    /// Makes a request: sends it now, if its schedule says so, and tells its id.
    ///
    /// # Errors
    /// `Full`, `Destination`, `Attributes`, `Encode`; nothing is then sent.
    pub fn request(&mut self, cx: &mut Cx<'_>, request: Request<T>) -> Result<TransactionId, RequestError> {
        self.enqueue(cx, request, None)
    }

    fn enqueue(
        &mut self,
        cx: &mut Cx<'_>,
        request: Request<T>,
        retry: Option<Retry>,
    ) -> Result<TransactionId, RequestError> {
        if self.pending.len() >= self.limit {
            return Err(RequestError::Full { limit: self.limit });
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
        self.pending.push(Pending {
            id,
            first: id,
            tag,
            aim: Aim { socket, remote, hop_limit, message },
            accept: Accept { method, from, on, seal },
            timeline: Timeline::new(schedule, cx.now()),
            answers: 0,
            retry: retry.map(Box::new),
        });
        self.settle(cx);
        Ok(id)
    }

    /// Forgets a request. A late answer to it is recognised and dropped.
    ///
    /// # Errors
    /// `NotPending`.
    pub fn cancel(&mut self, cx: &mut Cx<'_>, id: TransactionId) -> Result<(), RequestError> {
        let index = self.named(id).ok_or(RequestError::NotPending(id))?;
        let id = self.remove(index, TransactionEnd::Cancelled).id;
        cx.note(|| TransactionNote::Cancelled { id });
        self.settle(cx);
        Ok(())
    }

    /// Says how long after its last send a request is given up, once the round trip is known better.
    ///
    /// Where that moment has passed already it is given up at once.
    ///
    /// # Errors
    /// `NotPending`.
    pub fn set_tail(&mut self, cx: &mut Cx<'_>, id: TransactionId, tail: Duration) -> Result<(), RequestError> {
        let pending = self.named(id).and_then(|index| self.pending.get_mut(index));
        pending.ok_or(RequestError::NotPending(id))?.timeline.set_tail(tail);
        self.settle(cx);
        Ok(())
    }

    /// A random id that no request of ours has or lately had: with broken dice ids still differ.
    fn fresh_id(&mut self, cx: &mut Cx<'_>) -> TransactionId {
        let mut bytes: [u8; 12] = cx.random();
        while self.named(bytes.into()).is_some() || self.recent.find(bytes.into()).is_some() {
            for byte in bytes.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
        bytes.into()
    }

    fn remove(&mut self, index: usize, ending: TransactionEnd) -> Pending<T> {
        let pending = self.pending.remove(index);
        self.recent.remember(pending.id, ending);
        if !self.pending.iter().any(|other| other.aim.socket == pending.aim.socket) {
            self.framers.rest(pending.aim.socket);
        }
        pending
    }

    /// Does what is due, and reckons the next wait.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        let (mut index, mut first) = (0, None);
        while let Some(pending) = self.pending.get_mut(index) {
            match pending.timeline.advance(cx) {
                Step::Nothing => {
                    let due = pending.timeline.due();
                    if first.is_none_or(|(earliest, _)| due < earliest) {
                        first = Some((due, index));
                    }
                    index += 1;
                }
                Step::Send => {
                    let Aim { socket, remote, hop_limit, ref message } = pending.aim;
                    let (id, send, payload) = (pending.id, pending.timeline.sends(), message.clone());
                    let mut transmit = Transmit::new(socket, remote, payload);
                    transmit.hop_limit = hop_limit;
                    self.out.push(Output::Transmit(transmit));
                    cx.note(|| TransactionNote::Sent { id, remote, send });
                }
                Step::GiveUp => {
                    let pending = self.remove(index, TransactionEnd::Exhausted);
                    let (id, sends) = (pending.id, pending.timeline.sends());
                    self.out.push(Output::Event(pending.given_up()));
                    cx.note(|| TransactionNote::GivenUp { id, sends });
                }
            }
        }
        let first = first.and_then(|(_, index)| self.pending.get(index));
        self.wait = first.map(|pending| Deadline::new(pending.timeline.due(), pending.timeline.why()));
    }

    /// A whole message: ours if it is a response with an id of ours.
    fn message(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>, reliable: bool) -> Verdict {
        let Some(id) = response_id(datagram.payload) else {
            return Verdict::NotMine;
        };
        let Some(index) = self.position(id) else {
            let Some(ending) = self.recent.find(id) else {
                return Verdict::NotMine;
            };
            cx.note(|| TransactionNote::Dropped { from: datagram.remote, why: Dropped::Late { id, ending } });
            return Verdict::Mine;
        };
        let judgement = self.pending.get(index).map(|pending| judge(cx.now(), pending, datagram));
        if let Some(judgement) = judgement {
            self.apply(cx, index, judgement, datagram, reliable);
        }
        Verdict::Mine
    }

    fn apply(&mut self, cx: &mut Cx<'_>, index: usize, judgement: Judgement, datagram: Datagram<'_>, reliable: bool) {
        let from = datagram.remote;
        match judgement {
            Judgement::Drop(why) => cx.note(|| TransactionNote::Dropped { from, why }),
            Judgement::Elsewhere(why) => {
                cx.note(|| TransactionNote::Dropped { from, why });
                if let Some(answer) = self.pending.get(index).map(|pending| pending.answer(cx, datagram, None)) {
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

    /// Takes an answer; with the attribute by which it was verified, if it had to be.
    fn accept(&mut self, cx: &mut Cx<'_>, index: usize, integrity: Option<Integrity>, datagram: Datagram<'_>) {
        let from = datagram.remote;
        let Some(pending) = self.pending.get_mut(index) else { return };
        let id = pending.id;
        pending.answers = pending.answers.saturating_add(1);
        if let (Some(retry), Some(integrity)) = (pending.retry.as_deref_mut(), integrity)
            && let Ok(message) = Message::decode(datagram.payload)
        {
            retry.attempt.learn(integrity, &message, &mut self.sessions);
        }
        let answer = pending.answer(cx, datagram, integrity);
        cx.note(|| TransactionNote::Accepted { id, from });
        if pending.timeline.repeats() {
            self.offer(cx, from, TransactionEvent::Answered(answer));
        } else {
            self.remove(index, TransactionEnd::Answered);
            self.out.push(Output::Event(TransactionEvent::Answered(answer)));
        }
    }

    /// Queues what a peer may cause more than once, and leaves room for the end of each pending request, so that what
    /// peers cause in all is bounded and no request ends unheard.
    fn offer(&mut self, cx: &mut Cx<'_>, from: SocketAddr, event: TransactionEvent<T>) {
        if !(self.has_room() && self.out.offer(Output::Event(event))) {
            cx.note(|| TransactionNote::Dropped { from, why: Dropped::QueueFull });
        }
    }

    /// Whether peers may cause one more output.
    fn has_room(&self) -> bool {
        self.out.len() + self.pending.len() < Outbox::<TransactionEvent<T>>::LIMIT
    }

    fn take_chunk(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let socket = chunk.socket;
        if !self.framers.knows(socket) && !self.pending.iter().any(|pending| pending.aim.socket == socket) {
            return None;
        }
        let mut framer = self.framers.take(socket);
        let fed = framer.feed(chunk.payload, |payload| {
            if self.message(cx, chunk.with_payload(payload), true) == Verdict::NotMine {
                cx.note(|| TransactionNote::Dropped { from: chunk.remote, why: Dropped::NotAsked });
            }
        });
        match fed {
            Ok(()) if framer.is_between() && !self.pending.iter().any(|pending| pending.aim.socket == socket) => {}
            Ok(()) => self.framers.put(socket, framer, self.limit),
            Err(_) => {
                cx.note(|| TransactionNote::Dropped { from: chunk.remote, why: Dropped::NotStun });
                let _lost = self.lose(socket, SocketLoss::NotStun);
            }
        }
        Some(chunk.payload.len())
    }

    /// Ends the requests of a socket that is gone (RFC 8489 §6.2.2).
    fn lose(&mut self, socket: SocketId, why: SocketLoss) -> Verdict {
        let mut verdict = Verdict::NotMine;
        while let Some(index) = self.pending.iter().position(|pending| pending.aim.socket == socket) {
            let Pending { id, tag, .. } = self.remove(index, TransactionEnd::SocketLost);
            self.out.push(Output::Event(TransactionEvent::SocketLost { tag, id, socket, why }));
            verdict = Verdict::Mine;
        }
        self.framers.forget(socket);
        verdict
    }

    fn unreachable(&mut self, cx: &mut Cx<'_>, socket: SocketId, remote: SocketAddr, why: Unreachability) -> Verdict {
        let mut verdict = Verdict::NotMine;
        for index in 0..self.pending.len() {
            let asked = self.pending.get(index).filter(|p| p.aim.socket == socket && p.aim.remote == remote);
            let Some(event) =
                asked.map(|p| TransactionEvent::Unreachable { tag: p.tag.clone(), id: p.id, remote, why })
            else {
                continue;
            };
            self.offer(cx, remote, event);
            verdict = Verdict::Mine;
        }
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

    /// The end of its schedule.
    fn given_up(self) -> TransactionEvent<T> {
        let Self { id, tag, answers, retry, .. } = self;
        let violated = retry.and_then(|retry| retry.attempt.violated).filter(|_| answers == 0);
        match violated {
            // RFC 8489 §9.1.4, §9.2.5: what was not verified is told instead of a time-out.
            Some((from, why)) => TransactionEvent::Unusable { tag, id, from, why: Unusable::Integrity(why) },
            None => TransactionEvent::Exhausted { tag, id, sends: self.timeline.sends(), answers },
        }
    }
}

/// What an answer with the right id is worth.
#[derive(Clone, Debug)]
enum Judgement {
    /// Judged by its credential, if it has one.
    Judged(Ruling),
    Elsewhere(Dropped),
    Unusable(Unusable),
    Drop(Dropped),
}

/// RFC 8489 §6.3, §9, §6.3.3, §6.3.4, in that order; who answered comes before what is in it, so that nobody else can
/// end the request, and so does whether it is verified.
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

/// The transaction id, if the header is that of a STUN response: enough to know whose it is.
#[inline]
fn response_id(bytes: &[u8]) -> Option<TransactionId> {
    /// Class bit 1 stands in the lowest bit of the first byte: responses have it (RFC 8489 §5, figure 3).
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
            TransactionCommand::Cancel(id) => self.cancel(cx, id),
            TransactionCommand::SetTail(id, tail) => self.set_tail(cx, id, tail),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let verdict = match input {
            Input::Datagram(datagram) => self.message(cx, datagram, false),
            Input::Socket(socket, SocketNews::Unreachable { remote, why }) => self.unreachable(cx, socket, remote, why),
            Input::Socket(socket, SocketNews::Refused(why)) => self.lose(socket, SocketLoss::Refused(why)),
            Input::Socket(socket, SocketNews::Closed(why)) => self.lose(socket, SocketLoss::Closed(why)),
            Input::Socket(
                _,
                SocketNews::Opened { .. } | SocketNews::Accepted { .. } | SocketNews::Full | SocketNews::Writable,
            ) => Verdict::NotMine,
            Input::Timeout if self.wait.is_some_and(|wait| wait.is_due(cx.now())) => Verdict::Mine,
            Input::Timeout => Verdict::NotMine,
        };
        // `NotMine` changes nothing, not even by what happens to be due.
        if verdict == Verdict::Mine {
            self.settle(cx);
        }
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let taken = self.take_chunk(cx, chunk)?;
        self.settle(cx);
        Some(taken)
    }

    fn poll(&mut self) -> Output<TransactionEvent<T>> {
        self.out.pop().unwrap_or(Output::Wait(self.wait))
    }
}
