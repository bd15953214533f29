//! The progress of one component: valid, nominated and selected pairs.
//!
//! Rules of this file: nominations of a component have numbers. The first nomination is number 1, and its checks have no
//! attribute NOMINATION. Each further nomination has the next number in this attribute. So the peer knows which one is the
//! newest, although the network reorders the checks.

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
    pub(super) nominated: Option<Nominated>,
    pub(super) selected: Option<Selected>,
    /// The selected path of the session before a restart. It carries data until a pair is selected (RFC 8445 §12.1).
    pub(super) previous: Option<Previous>,
    pub(super) nominations: Nominations,
}

/// A nominated pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nominated {
    pub(super) pair: PairId,
    pub(super) why: NominationReason,
    /// The number of the nomination.
    pub(super) number: u32,
}

/// The nominations of both agents so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nominations {
    /// The number of the last nomination of this agent. 0: it has nominated no pair.
    pub(super) own: u32,
    /// The largest number in a nomination of the peer that this agent follows. 0: there was none.
    pub(super) of_peer: u32,
    /// Whether the first check of the first nominated pair was a nomination, so the peer nominates aggressively.
    pub(super) is_aggressive: bool,
    /// The last nominations of the peer: a duplicate is not a new nomination.
    seen: [Option<TransactionId>; 4],
}

impl Nominations {
    /// The number of a nomination without the attribute.
    pub(super) const FIRST: u32 = 1;

    const NONE: Self = Self { own: 0, of_peer: 0, is_aggressive: false, seen: [None; 4] };

    /// The value of the attribute NOMINATION in a nominating check. `None`: the check is of the first nomination.
    pub(super) fn attribute(&self) -> Option<u32> {
        Some(self.own).filter(|number| *number > Self::FIRST)
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
            nominations: Nominations::NONE,
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
}
