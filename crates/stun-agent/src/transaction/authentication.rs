//! Requests with a credential: the effect of a checked response.
//!
//! Rules of this file: decisions come from [`crate::credential`]; here they become transactions, events and notes. A retry
//! is a transaction of its own, with a new id and its schedule from the start, in the place of the one before (RFC 8489
//! §9.2.5, §10); it is only made while the queue has room for what peers cause.

use super::request::Blank;
use super::{AnswerFrom, Request, Transactions};
use crate::alternate::RedirectError;
use crate::credential::{Attempt, ChallengeError, Credential, Ruling};
use crate::note::{Dropped, TransactionEnd, TransactionNote};
use crate::{RequestError, TransactionEvent, Unusable};
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Cx, Datagram, Output};
use portolan_stun::{AttributeType, Integrity, IntegrityError, TransactionId};

/// What is kept of a request with a credential, to encode it again.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    pub(super) attempt: Attempt,
    pub(super) blank: Blank,
}

impl Retry {
    pub(super) fn encode(&self, id: TransactionId) -> Result<Bytes, RequestError> {
        self.blank.encode(id, Some(&self.attempt))
    }
}

impl<T: Clone> Transactions<T> {
    /// Sends a request with a credential; it accepts only authenticated responses (RFC 8489 §9).
    ///
    /// The first request of a long-term credential to a server has no integrity (§9.2.3.1). The response of a server that does
    /// not challenge it is accepted as without a credential, and [`integrity`](crate::Answer::integrity) of its answer is `None`.
    /// An owner that needs an authenticated server checks that field.
    ///
    /// Challenges (401, 438) are answered and redirections (300) followed here, as long as each step makes progress. Each time
    /// the request becomes a new transaction with a new id, whose schedule starts again. Its tag stays the same, and the id
    /// returned here still names it to [`cancel`](Self::cancel) and [`set_tail`](Self::set_tail). It becomes at most
    /// [`TRANSACTIONS`](Self::TRANSACTIONS). What a server asked for is remembered for the next request to it with an
    /// equal credential, of up to 32 servers and credentials.
    ///
    /// Redirections are not followed over streams, which lead to one server, nor where one address alone may answer: there
    /// the verified 300 is an answer, and [`alternate`](crate::alternate) returns the next server.
    ///
    /// # Errors
    /// The same as for [`request`](Self::request), and:
    ///
    /// * [`RequestError::Encode`] when the user name of the credential is too long.
    /// * [`RequestError::Reserved`] when the request has an attribute that the credential writes.
    pub fn request_with(
        &mut self,
        cx: &mut Cx<'_>,
        request: Request<T>,
        credential: Credential,
    ) -> Result<TransactionId, RequestError> {
        credential.check()?;
        let blank = request.blank();
        if let Some(kind) = blank.kinds().find(|kind| RESERVED.contains(kind)) {
            return Err(RequestError::Reserved(kind));
        }
        let attempt = Attempt::new(credential, request.remote, cx.now(), &self.sessions);
        self.enqueue(cx, request, Some(Retry { attempt, blank }))
    }

    /// How many transactions a request with a credential may become in all.
    pub const TRANSACTIONS: u32 = Attempt::TRANSACTIONS;

    /// Forgets what servers said to a credential, and the credential with it; pending requests keep theirs.
    pub fn forget(&mut self, credential: &Credential) {
        self.sessions.forget_all(credential);
    }

    /// Does what a credential asks for when a response came.
    pub(super) fn rule(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        ruling: Ruling,
        datagram: Datagram<'_>,
        reliable: bool,
    ) {
        let from = datagram.remote;
        match ruling {
            Ruling::Believe(integrity) => self.accept(cx, index, integrity, datagram),
            Ruling::Ignore(why) => cx.note(|| TransactionNote::Dropped { from, why }),
            Ruling::Doubt(why) => self.doubt(cx, index, why, from, reliable),
            Ruling::Decline(why) => self.decline(cx, index, why, from),
            Ruling::Alternate(_, Err(why)) => {
                let Some(id) = self.table.get(index).map(|pending| pending.id) else { return };
                cx.note(|| TransactionNote::Stayed { id, from, why });
                self.end(index, from, Unusable::Alternate(why));
            }
            Ruling::Alternate(integrity, Ok(to)) => self.alternate(cx, index, (integrity, to), datagram, reliable),
            Ruling::Answer { code, session } => {
                if !self.has_room() {
                    cx.note(|| TransactionNote::Dropped { from, why: Dropped::QueueFull });
                    return;
                }
                let Some(retry) = self.retry(index) else { return };
                let signed = retry.attempt.answer(code, session);
                match self.renew(cx, index, TransactionEnd::Challenged) {
                    Some((was, id)) => {
                        cx.note(|| TransactionNote::Challenged { was, id, from, code });
                        cx.note(|| TransactionNote::Chosen {
                            id,
                            algorithm: signed.algorithm,
                            anonymous: signed.anonymous,
                            integrity: signed.integrity,
                        });
                    }
                    None => self.decline(cx, index, ChallengeError::Unwritable, from),
                }
            }
        }
    }

    /// RFC 8489 §9.1.4, §9.2.5: over UDP as if it had not come, over a stream the end.
    fn doubt(&mut self, cx: &mut Cx<'_>, index: usize, why: IntegrityError, from: SocketAddr, reliable: bool) {
        let Some(retry) = self.retry(index) else { return };
        retry.attempt.violated = Some((from, why));
        let mechanism = retry.attempt.mechanism();
        cx.note(|| TransactionNote::Dropped { from, why: Dropped::Unverified { mechanism, why } });
        if reliable {
            self.end(index, from, Unusable::Integrity(why));
        }
    }

    fn decline(&mut self, cx: &mut Cx<'_>, index: usize, why: ChallengeError, from: SocketAddr) {
        let Some(pending) = self.table.get(index) else { return };
        let id = pending.id;
        if let Some(retry) = pending.retry.as_deref().filter(|_| why == ChallengeError::WrongCredentials) {
            retry.attempt.unlearn(&mut self.sessions);
        }
        cx.note(|| TransactionNote::Declined { id, from, why });
        self.end(index, from, Unusable::Challenge(why));
    }

    /// RFC 8489 §10: a verified 300 that leads somewhere.
    fn alternate(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        (integrity, to): (Integrity, SocketAddr),
        datagram: Datagram<'_>,
        reliable: bool,
    ) {
        let from = datagram.remote;
        let Some((id, accept)) = self.table.get(index).map(|pending| (pending.id, pending.accept)) else { return };
        let pinned = matches!(accept.from, AnswerFrom::Exactly(_)).then_some(RedirectError::Pinned);
        if let Some(why) = reliable.then_some(RedirectError::Stream).or(pinned) {
            cx.note(|| TransactionNote::Stayed { id, from, why });
            self.accept(cx, index, Some(integrity), datagram);
            return;
        }
        if !self.has_room() {
            cx.note(|| TransactionNote::Dropped { from, why: Dropped::QueueFull });
            return;
        }
        self.table.redirect(index, to);
        if let Some(retry) = self.table.get_mut(index).and_then(|pending| pending.retry.as_deref_mut()) {
            retry.attempt.follow(cx.now(), to, &self.sessions);
        }
        match self.renew(cx, index, TransactionEnd::Redirected) {
            Some((was, id)) => cx.note(|| TransactionNote::Redirected { was, id, from, to }),
            None => self.decline(cx, index, ChallengeError::Unwritable, from),
        }
    }

    /// Puts a new transaction in the place of the one that has ended so. The next call of `settle` sends it. `None`: it
    /// cannot be written.
    fn renew(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        ending: TransactionEnd,
    ) -> Option<(TransactionId, TransactionId)> {
        let id = self.fresh_id(cx);
        let pending = self.table.get_mut(index)?;
        let message = pending.retry.as_deref()?.encode(id).ok()?;
        pending.timeline.restart(cx.now());
        let was = self.table.renew(index, id, message, ending)?;
        self.table.schedule(index);
        Some((was, id))
    }

    /// Ends a request whose responses cannot be used.
    pub(super) fn end(&mut self, index: usize, from: SocketAddr, why: Unusable) {
        let Some(pending) = self.table.get(index) else { return };
        let event = TransactionEvent::Unusable { tag: pending.tag.clone(), id: pending.id, from, why };
        self.remove(index, TransactionEnd::Unusable);
        // Its owner waits for the end of each request: it is one event a request, so it needs no bound.
        self.out.push(Output::Event(event));
    }

    fn retry(&mut self, index: usize) -> Option<&mut Retry> {
        self.table.get_mut(index)?.retry.as_deref_mut()
    }
}

/// The attributes that credentials write (RFC 8489 §9.2.3.1).
const RESERVED: [AttributeType; 6] = [
    AttributeType::USERNAME,
    AttributeType::USERHASH,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHMS,
    AttributeType::PASSWORD_ALGORITHM,
];
