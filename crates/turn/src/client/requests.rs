//! The requests of a client, and the distribution of their results.

use super::Client;
use super::allocation::{Allocation, Phase, Role};
use super::peers::{self, PeerKey, Settled};
use super::{Timer, insert};
use crate::LossReason;
use crate::event::{ClientEvent, Outcome, Reason, Step};
use crate::note::ClientNote;
use core::net::SocketAddr;
use portolan_machine::{Cx, Output};
use portolan_stun::attribute::{Attribute, ErrorCode};
use portolan_stun::header::{Class, Method};
use portolan_stun::message::Message;
use portolan_stun_agent::{Answer, Request, RequestError, Schedule, TransactionEvent};

/// The tag of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// The number of the allocation.
    pub(super) allocation: u32,
    pub(super) job: Job,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Allocate,
    Refresh,
    /// Refresh with lifetime 0.
    Release,
    Peer(PeerKey),
    /// A Binding request.
    Keepalive,
}

/// The requests of peers that are pending at once. The remaining requests are for allocations.
const WINDOW: usize = 32;

impl Job {
    pub(super) const fn method(self) -> Method {
        match self {
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh | Self::Release => Method::REFRESH,
            Self::Peer(key) => key.method(),
            Self::Keepalive => Method::BINDING,
        }
    }
}

impl Client {
    /// Sends a request of an allocation. Keepalives are not authenticated.
    pub(super) fn request(
        &mut self,
        cx: &mut Cx<'_>,
        number: u32,
        job: Job,
        attributes: &[Attribute<'_>],
    ) -> Result<(), RequestError> {
        let timeout = self.config.as_ref().map(|config| config.times.timeout);
        let reliable = timeout.filter(|_| self.is_stream()).map(Schedule::reliable);
        let Some(allocation) = self.allocation(number) else { return Ok(()) };
        let Some(socket) = allocation.socket else { return Ok(()) };
        let (server, credential) = (allocation.server, allocation.credential.clone());
        let mut request = Request::new(job.method(), socket, server, Tag { allocation: number, job })
            .schedule(reliable.unwrap_or(Schedule::rfc8489()));
        for attribute in attributes {
            request = request.attribute(attribute)?;
        }
        self.transactions.with(cx, |transactions, cx| match job {
            Job::Keepalive => transactions.request(cx, request).map(drop),
            Job::Allocate | Job::Refresh | Job::Release | Job::Peer(_) => {
                transactions.request_with(cx, request, credential).map(drop)
            }
        })
    }

    /// Cancels all requests of an allocation.
    pub(super) fn cancel_requests(&mut self, cx: &mut Cx<'_>, number: u32) {
        let pending = self.transactions.get().pending();
        let ids: alloc::vec::Vec<_> =
            pending.filter(|(_, tag, _)| tag.allocation == number).map(|(id, ..)| id).collect();
        for id in ids {
            // After a leap of the clock, the cancellation of one request times out others that are due.
            let _timed_out = self.transactions.with(cx, |transactions, cx| transactions.cancel(cx, id));
        }
    }

    /// Times out the Allocate request of an allocation, and returns whether one was pending.
    pub(super) fn give_up(&mut self, cx: &mut Cx<'_>, number: u32) -> bool {
        let tag = Tag { allocation: number, job: Job::Allocate };
        let id = self.transactions.get().pending().find(|(_, other, _)| **other == tag).map(|(id, ..)| id);
        id.is_some_and(|id| self.transactions.with(cx, |transactions, cx| transactions.give_up(cx, id)).is_ok())
    }

    /// Sends the requests of peers that wait, as far as the window allows. Returns whether one was sent.
    pub(super) fn send_peer_requests(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut is_sent = false;
        while self.transactions.get().len() < WINDOW {
            let is_ready = |allocation: &&mut Allocation| {
                let is_used = allocation.phase == Phase::Active && allocation.role != Role::Old;
                is_used && allocation.peers.has_waiting()
            };
            let Some(allocation) = self.allocations.iter_mut().find(is_ready) else { break };
            let number = allocation.number;
            let Some((key, channel)) = allocation.peers.next_request() else { continue };
            let peer = match key {
                // The port is ignored (RFC 8656 §10.1).
                PeerKey::Permission(ip) => SocketAddr::new(ip, 0),
                PeerKey::Channel(peer) => peer,
            };
            let attributes = [Attribute::XorPeerAddress(peer), Attribute::ChannelNumber(channel)];
            let count = if channel == 0 { 1 } else { 2 };
            let attributes = attributes.get(..count).unwrap_or_default();
            is_sent = true;
            if let Err(why) = self.request(cx, number, Job::Peer(key), attributes)
                && let Some(allocation) = self.allocation(number)
            {
                let step = allocation.step(cx.now(), key.method(), 0, Outcome::NotSent(why));
                self.peer_failed(cx, number, key, step);
            }
        }
        is_sent
    }

    /// Distributes the end of a request.
    pub(super) fn transaction_event(&mut self, cx: &mut Cx<'_>, event: TransactionEvent<Tag>) {
        let Tag { allocation: number, job } = *event.tag();
        let Some(allocation) = self.allocation_mut(number) else { return };
        let (sends, outcome) = match event {
            TransactionEvent::Answered(answer) => {
                allocation.hear(cx.now());
                return self.answered(cx, number, job, &answer);
            }
            TransactionEvent::Exhausted { sends, .. } => (sends, Outcome::TimedOut),
            TransactionEvent::Unusable { why, .. } => {
                allocation.hear(cx.now());
                (1, Outcome::Unusable(why))
            }
            // A stream that ends is an event of its socket, and the other two events end no request.
            TransactionEvent::SocketLost { .. }
            | TransactionEvent::Elsewhere(_)
            | TransactionEvent::Unreachable { .. }
            | _ => return,
        };
        let step = allocation.step(cx.now(), job.method(), sends, outcome);
        self.request_failed(cx, number, job, step);
    }

    fn answered(&mut self, cx: &mut Cx<'_>, number: u32, job: Job, answer: &Answer<Tag>) {
        let Ok(message) = Message::decode(&answer.message) else { return };
        let outcome = match message.error_code().filter(|_| message.class() == Class::ErrorResponse) {
            Some(error) => Outcome::Error { code: error.code(), reason: Reason::new(error.reason()) },
            None if message.class() == Class::ErrorResponse => return,
            // RFC 8656 §5: all requests but Binding are authenticated, so their responses are too.
            None if answer.integrity.is_none() && job != Job::Keepalive => Outcome::Unauthenticated,
            None => return self.succeeded(cx, number, job, &message, answer.from),
        };
        if job == Job::Allocate && outcome.code() == Some(ErrorCode::TRY_ALTERNATE) && answer.integrity.is_some() {
            return self.redirected(cx, number, &message, answer.sends);
        }
        let Some(allocation) = self.allocation(number) else { return };
        let step = Step { server: answer.from, ..allocation.step(cx.now(), job.method(), answer.sends, outcome) };
        self.request_failed(cx, number, job, step);
    }

    fn succeeded(&mut self, cx: &mut Cx<'_>, number: u32, job: Job, message: &Message<'_>, from: SocketAddr) {
        match job {
            Job::Allocate => self.allocate_answered(cx, number, message, from),
            Job::Refresh => self.refreshed(cx, number, message),
            Job::Release => self.released(number),
            Job::Peer(key) => self.peer_succeeded(cx, number, key),
            Job::Keepalive => self.keepalive_answered(cx, number, message.xor_mapped_address()),
        }
    }

    fn request_failed(&mut self, cx: &mut Cx<'_>, number: u32, job: Job, step: Step) {
        let is_mismatch = step.outcome.code() == Some(ErrorCode::ALLOCATION_MISMATCH);
        match job {
            Job::Allocate => self.attempt_failed(cx, number, step),
            Job::Refresh | Job::Peer(_) if is_mismatch => self.lost(cx, number, LossReason::Mismatch),
            Job::Refresh => self.refresh_failed(cx, number, step),
            Job::Release => {
                // RFC 8656 §8.3: 437 means that the allocation does not exist any more.
                if !is_mismatch {
                    cx.note(|| ClientNote::NotReleased { server: step.server });
                }
                self.released(number);
            }
            Job::Peer(key) => self.peer_failed(cx, number, key, step),
            Job::Keepalive => self.keepalive_failed(cx, number, &step.outcome),
        }
    }

    fn peer_succeeded(&mut self, cx: &mut Cx<'_>, number: u32, key: PeerKey) {
        let timer = insert(&mut self.timers, cx.now() + peers::REFRESH, Timer::Peer(number, key));
        let Some(allocation) = self.allocations.iter_mut().find(|allocation| allocation.number == number) else {
            return;
        };
        let settled = allocation.peers.succeed(cx.now(), key);
        let obsolete = match timer {
            Some(timer) if allocation.peers.is_granted(key) => allocation.peers.set_timer(key, timer),
            timer => timer,
        };
        if let Some(obsolete) = obsolete {
            self.timers.cancel(obsolete);
        }
        if let Settled::Added(number) = settled {
            self.out.push(Output::Event(match key {
                PeerKey::Permission(peer) => ClientEvent::PermissionAdded { peer },
                PeerKey::Channel(peer) => ClientEvent::ChannelAdded { peer, number },
            }));
        }
    }

    fn peer_failed(&mut self, cx: &mut Cx<'_>, number: u32, key: PeerKey, step: Step) {
        let Some(allocation) = self.allocation_mut(number) else { return };
        let (server, outcome) = (step.server, step.outcome.clone());
        match allocation.peers.fail(key, step) {
            Settled::Again => cx.note(|| ClientNote::Repeated { method: key.method(), server }),
            Settled::Failed(steps) => {
                cx.note(|| ClientNote::PeerFailed { peer: key.ip(), method: key.method(), outcome });
                self.out.push(Output::Event(match key {
                    PeerKey::Permission(peer) => ClientEvent::PermissionFailed { peer, steps },
                    PeerKey::Channel(peer) => ClientEvent::ChannelFailed { peer, steps },
                }));
            }
            Settled::Nothing | Settled::Added(_) => {}
        }
    }
}
