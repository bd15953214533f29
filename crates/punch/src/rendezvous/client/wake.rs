//! Wakes of the server, and the move to another socket.
//!
//! A client that has waited long behind a NAT with sequential ports has an old reflexive address: the NAT has assigned
//! many ports since. Its owner lets it move to a new socket before it is introduced
//! ([`ClientConfig::moves`](super::super::ClientConfig::moves)).

use super::super::error::ClientError;
use super::super::event::ClientEvent;
use super::super::message::{CANDIDATES, read_wake};
use super::super::note::{ClientDropped, ClientNote};
use super::{Client, LEAST, Next, State};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, SocketId};

/// The age of a reflexive address at which the client moves.
const OLD: Duration = Duration::from_secs(1);
/// The time in which the owner opens the socket.
const MOVING: Duration = Duration::from_millis(250);

impl Client {
    /// A wake of the server: the next request is made now, or follows the pending one.
    pub(super) fn woken(&mut self, cx: &mut Cx<'_>, payload: &[u8]) {
        let (now, from) = (cx.now(), self.profile.server);
        let State::Live(live) = &mut self.state else { return };
        let Some(peer) = read_wake(payload, &self.profile.key) else {
            return cx.note(|| ClientNote::Dropped { from, why: ClientDropped::Unverified });
        };
        if live.introduced == Some(peer) {
            return cx.note(|| ClientNote::Dropped { from, why: ClientDropped::OldWake });
        }
        cx.note(|| ClientNote::Woken);
        live.is_woken = true;
        if live.moving_until.is_some_and(|until| now < until) {
            return;
        }
        match &mut live.next {
            Next::Pending { again, .. } => *again = true,
            Next::At(at, asked_at)
                if self.profile.times.moves && live.since.is_some_and(|since| now.since(since) >= OLD) =>
            {
                live.moving_until = Some(now + MOVING);
                *at = now.max(*asked_at + LEAST) + MOVING;
                return self.report(cx, ClientEvent::Woken);
            }
            Next::At(at, asked_at) => *at = (*at).min(now.max(*asked_at + LEAST)),
        }
        let _is_due = self.advance(cx);
    }

    /// Continues on another open UDP socket of the owner, with the first 16 of these host candidates, and registers there
    /// at once. The server then has the address of the new socket. The owner closes the old socket.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when the client was not started, is leaving, or has ended.
    pub fn move_to(
        &mut self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        mut candidates: Vec<SocketAddr>,
    ) -> Result<(), ClientError> {
        let State::Live(live) = &mut self.state else { return Err(ClientError::NotRunning) };
        let now = cx.now();
        let pending = match live.next {
            Next::Pending { id, .. } => Some(id),
            Next::At(..) => None,
        };
        (live.next, live.since, live.moving_until) = (Next::At(now, now), None, None);
        if let Some(id) = pending {
            // The request is pending, so it can be cancelled.
            let _cancelled = self.transactions.with(cx, |transactions, cx| transactions.cancel(cx, id));
        }
        candidates.truncate(CANDIDATES);
        (self.profile.socket, self.profile.registration.candidates) = (socket, candidates.into());
        let _is_due = self.advance(cx);
        Ok(())
    }
}
