//! The reaction to a failed Allocate request.
//!
//! Rules of this file: the function sends nothing. It takes the outcome and the attributes of the request, and returns the
//! next step of the client. No reaction waits: a client tries another socket or another server, or ends.
//!
//! RFC 8656 §7.4.
//!
//! | Code | Reaction |
//! |---|---|
//! | 437 | a new socket, at most three; then the server is blocked for 2 minutes |
//! | 420, with DONT-FRAGMENT | one retry without the attribute |
//! | 508, with EVEN-PORT or RESERVATION-TOKEN | one retry without the attribute |
//! | 486, 508 | the server is blocked for 1 minute |
//! | 403, 440, 442, others | the next server |
//! | a nonce that is stale twice | the same request, at most four times |

use super::config::AllocateOptions;
use crate::event::Outcome;
use alloc::sync::Arc;
use core::time::Duration;
use portolan_stun::attribute::ErrorCode;
use portolan_stun_agent::alternate::Alternates;

/// The state of a round of attempts over all servers.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The index of the first server of the round in the configuration.
    pub(super) first: usize,
    /// The number of servers that were tried before.
    pub(super) tried: usize,
    /// The servers of redirections over streams.
    pub(super) alternates: Option<Alternates>,
    /// The domain of the last redirection, for the certificate of the server.
    pub(super) domain: Option<Arc<str>>,
    /// The number of sockets that were used.
    pub(super) sockets: u32,
    /// The number of requests that were repeated without a change.
    pub(super) repeats: u32,
    /// The attributes of the next request.
    pub(super) options: AllocateOptions,
}

/// The reaction to a failed Allocate request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// The same request from a new socket.
    NewSocket,
    /// The request with these attributes from the same socket.
    Again(AllocateOptions),
    /// No further request to this server for this time, and the next server.
    Block(Duration),
    /// The next server.
    NextServer,
}

/// The largest number of sockets for one server (RFC 8656 §7.4: "no more than a total of three times").
pub(super) const SOCKETS: u32 = 3;
/// The largest number of requests to one server that are repeated without a change.
const REPEATS: u32 = 4;
/// The time without Allocate requests after 437 (RFC 8656 §7.4).
pub(super) const AFTER_MISMATCH: Duration = Duration::from_secs(120);
/// The time without Allocate requests after 486 or 508 (RFC 8656 §7.4).
pub(super) const AFTER_CAPACITY: Duration = Duration::from_secs(60);

impl Attempt {
    /// The first attempt of a round.
    pub(super) const fn new(first: usize, options: AllocateOptions) -> Self {
        Self { first, tried: 0, alternates: None, domain: None, sockets: 1, repeats: 0, options }
    }

    /// The index of the server, modulo the number of servers.
    pub(super) const fn server_index(&self) -> usize {
        self.first.saturating_add(self.tried)
    }

    /// The reaction to this outcome.
    pub(super) fn react(&mut self, outcome: &Outcome) -> Reaction {
        let options = self.options;
        if outcome.is_transient() && *outcome != Outcome::TimedOut && self.repeats < REPEATS {
            self.repeats += 1;
            return Reaction::Again(options);
        }
        match outcome.code() {
            Some(ErrorCode::ALLOCATION_MISMATCH) if self.sockets < SOCKETS => Reaction::NewSocket,
            Some(ErrorCode::ALLOCATION_MISMATCH) => Reaction::Block(AFTER_MISMATCH),
            Some(ErrorCode::UNKNOWN_ATTRIBUTE) if options.dont_fragment => {
                Reaction::Again(AllocateOptions { dont_fragment: false, ..options })
            }
            Some(ErrorCode::INSUFFICIENT_CAPACITY) if options.even_port.is_some() || options.token.is_some() => {
                Reaction::Again(AllocateOptions { even_port: None, token: None, ..options })
            }
            Some(ErrorCode::ALLOCATION_QUOTA_REACHED | ErrorCode::INSUFFICIENT_CAPACITY) => {
                Reaction::Block(AFTER_CAPACITY)
            }
            Some(_) | None => Reaction::NextServer,
        }
    }
}

impl Reaction {
    /// The reaction as words of a note.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NewSocket => "the client tries a new socket",
            Self::Again(_) => "the client tries again from the same socket",
            Self::Block(_) => "the client sends no Allocate to this server for some time",
            Self::NextServer => "the client tries the next server",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Reason;
    use alloc::vec::Vec;
    use portolan_stun_agent::{ChallengeError, Unusable};

    fn error(code: u16) -> Outcome {
        Outcome::Error { code, reason: Reason::default() }
    }

    #[test]
    fn the_reactions_are_those_of_the_table() {
        let mut plain = Attempt::new(0, AllocateOptions::default());
        for code in [300, 400, 401, 403, 420, 438, 440, 441, 442, 443, 500, 699] {
            assert_eq!(plain.react(&error(code)), Reaction::NextServer, "{code}");
        }
        for code in [486, 508] {
            assert_eq!(plain.react(&error(code)), Reaction::Block(Duration::from_secs(60)));
        }
        assert_eq!(plain.react(&error(437)), Reaction::NewSocket);
        assert_eq!(Attempt { sockets: 2, ..plain.clone() }.react(&error(437)), Reaction::NewSocket);
        let mut third = Attempt { sockets: 3, ..plain.clone() };
        assert_eq!(third.react(&error(437)), Reaction::Block(Duration::from_secs(120)));
        assert_eq!(plain.react(&Outcome::TimedOut), Reaction::NextServer);
    }

    #[test]
    fn an_option_is_dropped_once() {
        let options = AllocateOptions { dont_fragment: true, even_port: Some(true), ..AllocateOptions::default() };
        let mut attempt = Attempt::new(0, options);
        let without_df = AllocateOptions { dont_fragment: false, ..options };
        assert_eq!(attempt.react(&error(420)), Reaction::Again(without_df));
        assert_eq!(Attempt::new(0, without_df).react(&error(420)), Reaction::NextServer);
        let without_even = AllocateOptions { even_port: None, ..options };
        assert_eq!(attempt.react(&error(508)), Reaction::Again(without_even));
        assert_eq!(Attempt::new(0, without_even).react(&error(508)), Reaction::Block(AFTER_CAPACITY));
        let stale = Outcome::Unusable(Unusable::Challenge(ChallengeError::TooMany));
        let again: Vec<_> = (0..5).map(|_| attempt.react(&stale)).collect();
        assert_eq!(again, [[Reaction::Again(options); 4].as_slice(), &[Reaction::NextServer]].concat(), "bounded");
        let token = AllocateOptions { token: Some([1; 8]), ..AllocateOptions::default() };
        assert_eq!(Attempt::new(0, token).react(&error(508)), Reaction::Again(AllocateOptions::default()));
    }
}
