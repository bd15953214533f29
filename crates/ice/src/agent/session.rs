//! The session of an agent: stage, role, credentials of both sides, and its deadlines.

use super::Generation;
use crate::config::AgentConfig;
use crate::credentials::Credentials;
use crate::event::AgentState;
use crate::judge::LocalKey;
use crate::pacing::Pacer;
use crate::role::Role;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;
use portolan_machine::{Cx, Instant};
use portolan_stun::IntegrityKey;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    Running,
    Failed,
    Closed,
}

/// Credentials with their key.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) credentials: Credentials,
    pub(super) key: IntegrityKey,
}

impl Keys {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { key: IntegrityKey::short_term(credentials.password()), credentials }
    }

    pub(super) fn as_local(&self) -> LocalKey<'_> {
        LocalKey { ufrag: self.credentials.ufrag(), key: &self.key }
    }
}

/// The peer's side of one data stream.
#[derive(Clone, Debug)]
pub(super) struct RemoteSide {
    pub(super) keys: Keys,
    /// The username of checks to the peer (RFC 8445 §7.2.2).
    pub(super) username: Box<str>,
    /// Whether the peer has no more candidates (RFC 8838 §14).
    pub(super) has_ended: bool,
    /// Whether the peer is a lite agent.
    pub(super) is_lite: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) stage: Stage,
    pub(super) role: Role,
    pub(super) local: Option<Keys>,
    /// The local credentials before the last restarts. The peer uses them on previous paths.
    pub(super) earlier: Vec<Keys>,
    pub(super) remotes: Vec<Option<RemoteSide>>,
    /// The username fragments of the peer before its restarts.
    past_ufrags: Vec<Box<str>>,
    /// Whether the owner has no more local candidates.
    pub(super) has_ended: bool,
    pub(super) state: AgentState,
    pub(super) clock: Clock,
    pub(super) generation: Generation,
}

/// The deadlines of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The time of the next check (§14.2).
    pub(super) pacer: Pacer,
    /// The end of the wait for the remote description.
    pub(super) description: Option<Instant>,
    /// The end of the PAC timer (RFC 8863).
    pub(super) pac: Option<Instant>,
    /// The end of the wait for a nomination.
    pub(super) nomination: Option<Instant>,
}

impl Session {
    pub(super) fn new(config: &AgentConfig) -> Self {
        Self {
            stage: Stage::Idle,
            role: Role::Controlled { tie_breaker: 0 },
            local: None,
            earlier: Vec::new(),
            remotes: config.streams.iter().map(|_| None).collect(),
            past_ufrags: Vec::new(),
            has_ended: false,
            state: AgentState::New,
            clock: Clock { pacer: Pacer::new(config.times.ta), description: None, pac: None, nomination: None },
            generation: Generation::default(),
        }
    }

    pub(super) fn remote(&self, stream: u16) -> Option<&RemoteSide> {
        self.remotes.get(usize::from(stream))?.as_ref()
    }

    pub(super) fn has_all_remotes(&self) -> bool {
        self.remotes.iter().all(Option::is_some)
    }

    /// Sets the peer's side of a stream, and starts the PAC timer (RFC 8863 §4).
    pub(super) fn set_remote(
        &mut self,
        now: Instant,
        stream: u16,
        side: RemoteSide,
        pac: Duration,
        nomination: Duration,
    ) {
        if let Some(place) = self.remotes.get_mut(usize::from(stream)) {
            *place = Some(side);
        }
        self.clock.pac = Some(now + pac);
        self.clock.nomination = Some(now + pac + nomination);
        if self.has_all_remotes() {
            self.clock.description = None;
        }
    }

    /// Forgets the peer's side of a stream. Its username fragment is past.
    pub(super) fn forget_remote(&mut self, stream: u16) {
        let side = self.remotes.get_mut(usize::from(stream)).and_then(Option::take);
        self.remember(side.into_iter());
    }

    fn remember(&mut self, sides: impl Iterator<Item = RemoteSide>) {
        for side in sides {
            let ufrag = side.keys.credentials.ufrag();
            if !self.is_past(ufrag) {
                self.past_ufrags.push(ufrag.into());
            }
        }
        let excess = self.past_ufrags.len().saturating_sub(PAST);
        self.past_ufrags.drain(..excess);
    }

    pub(super) fn username(&self, remote: &Credentials) -> Box<str> {
        let local = self.local.as_ref().map_or("", |keys| keys.credentials.ufrag());
        format!("{}:{local}", remote.ufrag()).into()
    }

    /// Whether the peer used this username fragment before its last restart.
    pub(super) fn is_past(&self, ufrag: &str) -> bool {
        self.past_ufrags.iter().any(|past| **past == *ufrag)
    }

    /// New local credentials for a new session. The peer's side must be set again.
    pub(super) fn renew(&mut self, cx: &mut Cx<'_>, description: Duration) {
        let sides: Vec<RemoteSide> = self.remotes.iter_mut().filter_map(Option::take).collect();
        self.remember(sides.into_iter());
        self.earlier.extend(self.local.replace(Keys::new(Credentials::random(cx))));
        let excess = self.earlier.len().saturating_sub(EARLIER);
        self.earlier.drain(..excess);
        self.clock.pac = None;
        self.clock.nomination = None;
        self.clock.description = Some(cx.now() + description);
        self.generation.number += 1;
        self.stage = Stage::Running;
    }
}

/// The number of username fragments of the peer that are remembered.
const PAST: usize = 16;
/// The number of local credentials that are kept while previous paths carry data.
const EARLIER: usize = 4;
