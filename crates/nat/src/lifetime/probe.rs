//! One socket: its purpose, its state, its results.
//!
//! Rules of this file: it stores times, and has no access to the output queue. The time of the last refresh lies
//! between two moments, and both are stored. A response counts from the later moment, silence from the earlier one.
//! So bounds are never tighter than the evidence.

use super::series::Outcome;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, SocketId};
use portolan_stun_agent::TransactionId;

/// One socket and its mapping.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) role: Role,
    pub(super) place: Place,
    state: State,
    /// The time of its next request.
    pub(super) due: Instant,
    pub(super) life: Life,
    /// Its pending request.
    pub(super) transaction: Option<TransactionId>,
    pub(super) doubt: Doubt,
    pub(super) outcome: Outcome,
}

/// The purpose of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The request socket, port Y of RFC 5780 §4.6. Its requests have the responses sent to other sockets.
    Requester,
    /// The control. Its mapping is fresh, so a response to it must arrive unless it is lost.
    Control,
    /// Port X of RFC 5780 §4.6: it gets one response, and is then silent for this time.
    Replied { idle: Duration },
    /// Port X without a response.
    Unreplied { idle: Duration },
    /// A socket that is refreshed regularly. The first check is later by `lag`, so that the checks of two watchers
    /// alternate.
    Watcher { lag: Duration },
    /// A socket that is refreshed once from one side, to measure whether that extends the lifetime. The refresh of a
    /// `late` one is a step later.
    Touched { side: Side, late: bool },
}

/// The direction of a refresh (RFC 4787 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Outbound,
    Inbound,
}

/// The socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) socket: SocketId,
    pub(super) port: u16,
    /// The number of orders. A port may be taken.
    pub(super) orders: u8,
    pub(super) local: Option<SocketAddr>,
    pub(super) external: Option<SocketAddr>,
    /// Whether the socket was refused or has ended, so that it is not closed.
    pub(super) gone: bool,
}

/// Two moments between which an event happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Between {
    pub(super) earliest: Instant,
    pub(super) latest: Instant,
}

/// The times of the mapping: when it was made and touched, and its age at the last response.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Life {
    pub(super) made: Between,
    pub(super) touched: Option<Between>,
    /// The earliest possible time of the last refresh of a watcher.
    pub(super) refreshed: Instant,
    pub(super) lived: Duration,
}

/// The silence so far, as evidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    pub(super) since: Instant,
    pub(super) rounds: u8,
    pub(super) sends: u32,
    /// The probability that loss explains the silence.
    pub(super) p: f64,
}

impl Doubt {
    const NONE: Self = Self { since: Instant::ORIGIN, rounds: 0, sends: 0, p: 1.0 };
}

/// The state of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Ordered, not open yet.
    Opening,
    /// Open, without a mapping.
    Unmapped,
    /// Its first request is pending.
    Mapping,
    /// Silent until it is due.
    Resting,
    /// A response to it is requested.
    Checking,
    /// No response came; it waits for the next round of requests beside the control.
    Doubted,
    /// It is refreshed as soon as the pace allows.
    Stale,
    /// A refresh is pending.
    Touching,
    /// Touched; it waits until the lifetime without a refresh is known.
    Held,
    /// Closed.
    Over,
}

/// The legal transitions.
const TRANSITIONS: &[(State, State)] = &[
    (State::Opening, State::Unmapped),
    (State::Opening, State::Over),
    (State::Unmapped, State::Mapping),
    (State::Unmapped, State::Over),
    (State::Mapping, State::Resting),
    // The next server is tested.
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
    // No proof was possible, and its mapping must be kept alive.
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
            transaction: None,
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

    /// Whether the socket can send.
    pub(super) const fn is_open(&self) -> bool {
        !matches!(self.state, State::Opening | State::Over)
    }

    /// Counts a round of requests that starts now.
    pub(super) fn start_round(&mut self, now: Instant) {
        self.doubt = Doubt { since: now, rounds: self.doubt.rounds.saturating_add(1), ..self.doubt };
    }

    /// Resets the silence so far.
    pub(super) const fn forget_doubt(&mut self) {
        self.doubt = Doubt::NONE;
    }

    /// The shortest possible idle time of the mapping at `at`; for a watcher, the shortest possible age.
    pub(super) fn at_least(&self, at: Instant) -> Duration {
        at.since(self.life.made.latest)
    }

    /// The longest possible idle time of the mapping at `at`; for a watcher, the longest possible age.
    pub(super) fn at_most(&self, at: Instant) -> Duration {
        at.since(self.life.made.earliest)
    }

    /// Records a response to a request of `since` or later, and resets the silence. Returns the shortest possible
    /// idle time.
    pub(super) fn lives(&mut self, since: Instant) -> Duration {
        let after = self.at_least(since);
        self.life.lived = self.life.lived.max(after);
        self.forget_doubt();
        after
    }
}

/// A time that never comes.
pub(super) const NEVER: Instant = Instant::from_origin(Duration::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_transition_leaves_the_state_over() {
        assert!(TRANSITIONS.iter().all(|(from, _)| *from != State::Over));
        let all = TRANSITIONS.iter().map(|(from, _)| *from);
        for state in all {
            assert!(TRANSITIONS.contains(&(state, State::Over)), "{state:?} can end at any time");
        }
    }

    #[test]
    fn the_bounds_of_the_age_include_the_uncertainty_of_the_start() {
        let mut probe = Probe::new(Role::Watcher { lag: Duration::ZERO }, SocketId(1), 50_000);
        let (earliest, latest) = (Instant::from_millis(1000), Instant::from_millis(1400));
        probe.life.made = Between { earliest, latest };
        let at = Instant::from_millis(6000);
        assert_eq!((probe.at_least(at).as_millis(), probe.at_most(at).as_millis()), (4600, 5000));
        probe.start_round(at);
        assert_eq!(probe.lives(at).as_millis(), 4600);
        assert_eq!(probe.doubt.rounds, 0);
    }
}
