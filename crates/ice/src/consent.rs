//! Consent to send on one path (RFC 7675) and its keepalive (RFC 8445 §11).
//!
//! Rules of this file: the clock of consent is its own: no data and no other check moves it. Each request is sent once,
//! 4 to 6 s after the previous one, with a new transaction id. Only an authenticated success response from the address of
//! the path renews consent. Consent that has expired is not renewed.

use core::time::Duration;
use portolan_machine::{Cx, Instant};
use portolan_stun::TransactionId;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Consent {
    /// Consent ends at this time.
    expires: Instant,
    /// The next request.
    next: Instant,
    /// The last requests and their times.
    pending: [Option<(TransactionId, Instant)>; 8],
    turn: u8,
    /// The time of the last request that was answered.
    answered: Option<Instant>,
}

impl Consent {
    /// The time from the last response to the expiry (RFC 7675 §5.1).
    pub(crate) const LIFETIME: Duration = Duration::from_secs(30);

    /// Consent that a check or the peer's nomination gave now.
    pub(crate) fn new(cx: &mut Cx<'_>) -> Self {
        let now = cx.now();
        let mut consent =
            Self { expires: now + Self::LIFETIME, next: now, pending: [None; 8], turn: 0, answered: None };
        consent.schedule(cx);
        consent
    }

    /// The interval is 5 s times 0.8 to 1.2.
    fn schedule(&mut self, cx: &mut Cx<'_>) {
        let millis = 4_000 + u64::from(cx.random_below(2_001));
        self.next = cx.now() + Duration::from_millis(millis);
    }

    /// Whether the next request is due. The caller sends it with this id.
    pub(crate) fn request(&mut self, cx: &mut Cx<'_>) -> Option<TransactionId> {
        if self.next > cx.now() || self.is_expired(cx.now()) {
            return None;
        }
        let id = TransactionId::from(cx.random::<12>());
        let turn = usize::from(self.turn) % self.pending.len();
        if let Some(place) = self.pending.get_mut(turn) {
            *place = Some((id, cx.now()));
        }
        self.turn = (self.turn + 1) % 8;
        self.schedule(cx);
        Some(id)
    }

    /// Whether this request is pending.
    pub(crate) fn is_pending(&self, id: TransactionId) -> bool {
        self.pending.iter().flatten().any(|(pending, _)| *pending == id)
    }

    /// Renews consent, and returns the round trip time of the request.
    pub(crate) fn renew(&mut self, now: Instant, id: TransactionId) -> Option<Duration> {
        if self.is_expired(now) {
            return None;
        }
        let place = self.pending.iter_mut().find(|place| place.is_some_and(|(pending, _)| pending == id))?;
        let (_, sent) = place.take()?;
        // Requests before an answered one are not unanswered any more, but a late response to them may come.
        self.answered = Some(sent);
        self.expires = now + Self::LIFETIME;
        Some(now.since(sent))
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires <= now
    }

    pub(crate) fn next(&self) -> Instant {
        self.next.min(self.expires)
    }

    /// The number of requests since the last response.
    pub(crate) fn unanswered(&self) -> usize {
        self.pending.iter().flatten().filter(|(_, sent)| Some(*sent) > self.answered).count()
    }
}
