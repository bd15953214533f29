//! One socket: what it is for, what it is doing, what it has shown.
//!
//! Rules of this file: takes times, keeps times, sees no queue. When a mapping was last refreshed is only known to lie
//! between two moments, and both are kept: an answer that still came in counts from the later one, silence from the
//! earlier one, so that bounds are never tighter than what was seen.

use super::series::Outcome;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, SocketId};
use portolan_stun_agent::TransactionId;

/// One socket and the mapping that it is for.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) role: Role,
    pub(super) place: Place,
    state: State,
    /// When it acts next, while it rests or is held.
    pub(super) due: Instant,
    pub(super) life: Life,
    /// Its own request on the way.
    pub(super) flight: Option<TransactionId>,
    pub(super) doubt: Doubt,
    pub(super) outcome: Outcome,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Port Y of RFC 5780 §4.6: asks the server to answer to others.
    Asker,
    /// Its mapping is fresh whenever silence must be told from loss: an answer to it must come.
    Control,
    /// Port X of RFC 5780 §4.6: answered once, then silent this long.
    Replied { idle: Duration },
    /// The same, never answered.
    Unreplied { idle: Duration },
    /// Refreshed all the time; its first check comes this much late, so that two of them have no moment unseen.
    Watcher { lag: Duration },
    /// Refreshed once from one side, to see whether that made it live longer; one early, one a step later.
    Touched { side: Side, late: bool },
}

/// From where a refresh comes (RFC 4787 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Outbound,
    Inbound,
}

/// Where the socket is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) socket: SocketId,
    pub(super) port: u16,
    /// How often it was ordered; ports may be taken.
    pub(super) orders: u8,
    pub(super) local: Option<SocketAddr>,
    pub(super) external: Option<SocketAddr>,
    /// It was refused or has ended by itself: there is nothing to close.
    pub(super) gone: bool,
}

/// Two moments, between which something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Between {
    pub(super) earliest: Instant,
    pub(super) latest: Instant,
}

/// When the mapping was made, when it was touched, and how old it was last seen alive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Life {
    pub(super) made: Between,
    pub(super) touched: Option<Between>,
    /// When a watcher was last refreshed, at the earliest.
    pub(super) refreshed: Instant,
    pub(super) lived: Duration,
}

/// How far silence has come as evidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    pub(super) since: Instant,
    pub(super) rounds: u8,
    pub(super) sends: u32,
    /// The probability that chance explains it.
    pub(super) p: f64,
}

impl Doubt {
    const NONE: Self = Self { since: Instant::ORIGIN, rounds: 0, sends: 0, p: 1.0 };
}

/// What a socket is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Ordered, not there yet.
    Opening,
    /// There, without a mapping.
    Unmapped,
    /// Its first request is on the way.
    Mapping,
    /// Silent until it is due.
    Resting,
    /// The server is asked to answer to it.
    Checking,
    /// No answer came; waits to be asked again beside the control.
    Doubted,
    /// To be refreshed as soon as the pace allows.
    Stale,
    /// A refresh is on the way.
    Touching,
    /// Touched, waits to hear how long a mapping lives without.
    Held,
    /// Done, and closed.
    Over,
}

/// What may follow what.
const TRANSITIONS: &[(State, State)] = &[
    (State::Opening, State::Unmapped),
    (State::Opening, State::Over),
    (State::Unmapped, State::Mapping),
    (State::Unmapped, State::Over),
    (State::Mapping, State::Resting),
    // The next server is asked.
    (State::Mapping, State::Unmapped),
    (State::Mapping, State::Over),
    (State::Resting, State::Unmapped),
    // The control is refreshed, or replaced.
    (State::Resting, State::Mapping),
    (State::Resting, State::Opening),
    (State::Resting, State::Checking),
    (State::Resting, State::Touching),
    (State::Resting, State::Over),
    (State::Checking, State::Doubted),
    (State::Checking, State::Stale),
    (State::Checking, State::Held),
    (State::Checking, State::Over),
    (State::Doubted, State::Checking),
    // No proof could be had, and its mapping must be kept alive.
    (State::Doubted, State::Stale),
    (State::Doubted, State::Over),
    (State::Stale, State::Touching),
    (State::Stale, State::Over),
    (State::Touching, State::Resting),
    (State::Touching, State::Held),
    (State::Touching, State::Over),
    (State::Held, State::Checking),
    (State::Held, State::Over),
];

impl Probe {
    pub(super) const fn new(role: Role, socket: SocketId, port: u16) -> Self {
        Self {
            role,
            place: Place { socket, port, orders: 1, local: None, external: None, gone: false },
            state: State::Opening,
            due: NEVER,
            life: Life {
                made: Between { earliest: Instant::ORIGIN, latest: Instant::ORIGIN },
                touched: None,
                refreshed: Instant::ORIGIN,
                lived: Duration::ZERO,
            },
            flight: None,
            doubt: Doubt::NONE,
            outcome: Outcome::Pending,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    pub(super) fn become_state(&mut self, next: State) {
        debug_assert!(TRANSITIONS.contains(&(self.state, next)), "{:?} to {next:?}", self.state);
        self.state = next;
    }

    /// Whether something can be sent from it.
    pub(super) const fn is_open(&self) -> bool {
        !matches!(self.state, State::Opening | State::Over)
    }

    /// A round of questions begins.
    pub(super) fn ask(&mut self, now: Instant) {
        self.doubt = Doubt { since: now, rounds: self.doubt.rounds.saturating_add(1), ..self.doubt };
    }

    /// What was asked so far counts no more.
    pub(super) const fn forget_doubt(&mut self) {
        self.doubt = Doubt::NONE;
    }

    /// How long the mapping had been idle, or for a watcher how old it was, at least, at `at`.
    pub(super) fn at_least(&self, at: Instant) -> Duration {
        at.since(self.life.made.latest)
    }

    /// The same, at most.
    pub(super) fn at_most(&self, at: Instant) -> Duration {
        at.since(self.life.made.earliest)
    }

    /// An answer came in, asked for at `since` at the earliest: forgets all doubt.
    pub(super) fn lives(&mut self, since: Instant) -> Duration {
        let after = self.at_least(since);
        self.life.lived = self.life.lived.max(after);
        self.forget_doubt();
        after
    }
}

/// No moment that comes.
pub(super) const NEVER: Instant = Instant::from_origin(Duration::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_stays_ended() {
        assert!(TRANSITIONS.iter().all(|(from, _)| *from != State::Over));
        let all = TRANSITIONS.iter().map(|(from, _)| *from);
        for state in all {
            assert!(TRANSITIONS.contains(&(state, State::Over)), "{state:?} can end at any time");
        }
    }

    #[test]
    fn bounds_lie_on_the_safe_side() {
        let mut probe = Probe::new(Role::Watcher { lag: Duration::ZERO }, SocketId(1), 50_000);
        let (earliest, latest) = (Instant::from_millis(1000), Instant::from_millis(1400));
        probe.life.made = Between { earliest, latest };
        let at = Instant::from_millis(6000);
        assert_eq!((probe.at_least(at).as_millis(), probe.at_most(at).as_millis()), (4600, 5000));
        probe.ask(at);
        assert_eq!(probe.lives(at).as_millis(), 4600);
        assert_eq!(probe.doubt.rounds, 0);
    }
}
