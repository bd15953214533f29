//! The progress of one component: valid, nominated and selected pairs.

use super::session::RemoteSide;
use crate::candidate::ComponentId;
use crate::consent::Consent;
use crate::event::Path;
use crate::pair::PairId;
use crate::reason::NominationReason;
use alloc::boxed::Box;
use portolan_machine::Instant;
use portolan_stun::{IntegrityKey, TransactionId};

#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) id: ComponentId,
    /// The time of the first valid pair.
    pub(super) first_valid: Option<Instant>,
    /// The pair whose nominating check is pending.
    pub(super) nominating: Option<(PairId, NominationReason)>,
    /// The end of the wait for a direct pair.
    pub(super) wait_until: Option<Instant>,
    /// The nominated pair, and the reason.
    pub(super) nominated: Option<(PairId, NominationReason)>,
    pub(super) selected: Option<Selected>,
    /// The selected path of the session before a restart. It carries data until a pair is selected (RFC 8445 §12.1).
    pub(super) previous: Option<Previous>,
    /// The last nominations of the peer: a duplicate is not a new nomination.
    pub(super) seen: [Option<TransactionId>; 4],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Selected {
    pub(super) pair: PairId,
    pub(super) path: Path,
    pub(super) consent: Consent,
    /// The next keepalive of a lite agent, which sends no consent requests.
    pub(super) keepalive: Option<Instant>,
}

#[derive(Clone, Debug)]
pub(super) struct Previous {
    pub(super) path: Path,
    pub(super) consent: Consent,
    pub(super) username: Box<str>,
    pub(super) key: IntegrityKey,
    pub(super) priority: u32,
}

impl Track {
    pub(super) const fn new(id: ComponentId) -> Self {
        Self {
            id,
            first_valid: None,
            nominating: None,
            wait_until: None,
            nominated: None,
            selected: None,
            previous: None,
            seen: [None; 4],
        }
    }

    /// Begins a new session. The selected path stays in use as the previous one.
    pub(super) fn restart(&mut self, remote: Option<&RemoteSide>, priority: u32) {
        let selected = self.selected.take();
        let kept = selected.zip(remote).map(|(selected, remote)| Previous {
            path: selected.path,
            consent: selected.consent,
            username: remote.username.clone(),
            key: remote.keys.key.clone(),
            priority,
        });
        // A second restart before a selection keeps the path of the first one.
        let previous = kept.or_else(|| self.previous.take());
        *self = Self { previous, ..Self::new(self.id) };
    }

    /// Whether this nomination of the peer is a duplicate. Remembers it.
    pub(super) fn is_duplicate(&mut self, id: TransactionId) -> bool {
        if self.seen.contains(&Some(id)) {
            return true;
        }
        self.seen.rotate_right(1);
        if let Some(first) = self.seen.first_mut() {
            *first = Some(id);
        }
        false
    }
}
