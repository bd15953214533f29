//! Requests with a credential: the effects of a checked response.
//!
//! Rules of this file: [`crate::credential`] decides, and this file produces transactions, events and notes. A retry
//! is a new transaction that replaces the previous one, with a new id and a restarted schedule (RFC 8489 §9.2.5,
//! §10). A retry is made only if the queue has space for an output that a peer causes.

use super::request::RequestTemplate;
use super::{AnswerFrom, Request, Transactions};
use crate::alternate::RedirectError;
use crate::credential::{Attempt, AuthOutcome, ChallengeError, Credential};
use crate::note::{Dropped, TransactionEnd, TransactionNote};
use crate::{RequestError, TransactionEvent, Unusable};
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Cx, Datagram, Output};
use portolan_stun::{AttributeType, Integrity, IntegrityError, TransactionId};

/// The state of a request with a credential that is needed to encode it again.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    pub(super) attempt: Attempt,
    pub(super) template: RequestTemplate,
}

impl Retry {
    pub(super) fn encode(&self, id: TransactionId) -> Result<Bytes, RequestError> {
        self.template.encode(id, Some(&self.attempt))
    }
}

impl<T: Clone> Transactions<T> {
    /// Sends a request with a credential; it accepts only authenticated responses (RFC 8489 §9).
    ///
    /// The first request of a long-term credential to a server has no integrity (§9.2.3.1). If the server does not
    /// challenge it, the response is accepted without verification, and its [`integrity`](crate::Answer::integrity)
    /// is `None`. An owner that needs an authenticated server checks that field.
    ///
    /// The request is retried after challenges (401, 438) and redirections (300), as long as each step makes
    /// progress. Each retry is a new transaction with a new id and a restarted schedule. The tag stays the same. The
    /// returned id remains valid for [`cancel`](Self::cancel) and [`set_tail`](Self::set_tail). A request becomes at
    /// most [`TRANSACTIONS`](Self::TRANSACTIONS) transactions. The realm, nonce and algorithm of a server are kept
    /// for later requests with an equal credential. At most 32 pairs of server and credential are kept.
    ///
    /// Redirections are not followed over streams, and not for a request that accepts one exact address only. In
    /// these cases the verified 300 is reported as a response, and [`alternate`](crate::alternate) returns the next
    /// server.
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
        let template = request.template();
        if let Some(kind) = template.kinds().find(|kind| RESERVED.contains(kind)) {
            return Err(RequestError::Reserved(kind));
        }
        let attempt = Attempt::new(credential, request.remote, cx.now(), &self.sessions);
        self.enqueue(cx, request, Some(Retry { attempt, template }))
    }

    /// The largest number of transactions of one request with a credential.
    pub const TRANSACTIONS: u32 = Attempt::TRANSACTIONS;

    /// Removes a credential and its authentication state of all servers. Pending requests keep the credential.
    pub fn forget(&mut self, credential: &Credential) {
        self.sessions.forget_all(credential);
    }

    /// Applies the outcome of an authentication check to a request.
    pub(super) fn apply_outcome(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        outcome: AuthOutcome,
        datagram: Datagram<'_>,
        reliable: bool,
    ) {
        let from = datagram.remote;
        match outcome {
            AuthOutcome::Accept(integrity) => self.accept(cx, index, integrity, datagram),
            AuthOutcome::Drop(why) => cx.note(|| TransactionNote::Dropped { from, why }),
            AuthOutcome::Unverified(why) => self.reject_unverified(cx, index, why, from, reliable),
            AuthOutcome::Decline(why) => self.decline(cx, index, why, from),
            AuthOutcome::Redirect(_, Err(why)) => {
                let Some(id) = self.table.get(index).map(|pending| pending.id) else { return };
                cx.note(|| TransactionNote::Stayed { id, from, why });
                self.end(index, from, Unusable::Alternate(why));
            }
            AuthOutcome::Redirect(integrity, Ok(to)) => self.redirect(cx, index, (integrity, to), datagram, reliable),
            AuthOutcome::Retry { code, session } => {
                if !self.has_space() {
                    cx.note(|| TransactionNote::Dropped { from, why: Dropped::QueueFull });
                    return;
                }
                let Some(retry) = self.retry(index) else { return };
                let signed = retry.attempt.use_session(code, session);
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

    /// Handles a response that is not verified (RFC 8489 §9.1.4, §9.2.5): over UDP the response is dropped, over a
    /// stream it ends the request.
    fn reject_unverified(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        why: IntegrityError,
        from: SocketAddr,
        reliable: bool,
    ) {
        let Some(retry) = self.retry(index) else { return };
        retry.attempt.integrity_failure = Some((from, why));
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
            retry.attempt.forget_session(&mut self.sessions);
        }
        cx.note(|| TransactionNote::Declined { id, from, why });
        self.end(index, from, Unusable::Challenge(why));
    }

    /// Follows a verified 300 to its server (RFC 8489 §10).
    fn redirect(
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
        if !self.has_space() {
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

    /// Replaces the current transaction of a request by a new one, and returns the old and the new id. The next call
    /// of `advance_due` sends it. `None`: the message cannot be encoded.
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

    /// Ends a request whose response cannot be used.
    pub(super) fn end(&mut self, index: usize, from: SocketAddr, why: Unusable) {
        let Some(pending) = self.table.get(index) else { return };
        let event = TransactionEvent::Unusable { tag: pending.tag.clone(), id: pending.id, from, why };
        self.remove(index, TransactionEnd::Unusable);
        // Each request has one end event, for which the queue has reserved space.
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
