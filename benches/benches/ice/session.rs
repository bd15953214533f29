//! A session of two agents in memory, in virtual time.

use crate::agent::{Agent, addresses};
use core::time::Duration;

/// The conditions of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The number of addresses of each agent. All of them reach each other.
    pub(crate) addresses: u8,
    /// The largest number of pairs.
    pub(crate) limit: usize,
    /// The network drops every datagram before this time.
    pub(crate) silence: Duration,
}

/// Two agents and what has happened.
pub(crate) struct Session<A> {
    pub(crate) left: A,
    pub(crate) right: A,
    /// The virtual time since the descriptions were exchanged.
    pub(crate) now: Duration,
    /// The datagrams that were sent.
    pub(crate) sent: u64,
    silence: Duration,
}

impl<A: Agent> Session<A> {
    /// Makes two agents and exchanges their descriptions.
    pub(crate) fn new(case: Case) -> Self {
        let mut left = A::new(&addresses(1, case.addresses), case.limit, true);
        let mut right = A::new(&addresses(2, case.addresses), case.limit, false);
        let (offer, answer) = (left.description(), right.description());
        right.accept(Duration::ZERO, offer);
        left.accept(Duration::ZERO, answer);
        Self { left, right, now: Duration::ZERO, sent: 0, silence: case.silence }
    }

    pub(crate) fn is_selected(&self) -> bool {
        self.left.selected().is_some() && self.right.selected().is_some()
    }

    /// Whether both agents have selected the same pair.
    pub(crate) fn agrees(&self) -> bool {
        self.left.selected().is_some_and(|(local, remote)| self.right.selected() == Some((remote, local)))
    }

    /// Runs until both agents have selected a pair. Returns whether this occurs within two minutes.
    pub(crate) fn connect(&mut self) -> bool {
        self.exchange();
        while !self.is_selected() {
            if self.now > Duration::from_secs(120) || !self.advance() {
                return false;
            }
        }
        true
    }

    /// Runs until this time.
    pub(crate) fn run_until(&mut self, end: Duration) {
        while self.now < end && self.advance() {}
    }

    /// Delivers what both agents send, without delay.
    fn exchange(&mut self) {
        let mut last = None;
        while last != Some(self.sent) {
            last = Some(self.sent);
            while let Some(packet) = self.left.poll(self.now) {
                self.sent += 1;
                if self.now >= self.silence {
                    self.right.receive(self.now, packet);
                }
            }
            while let Some(packet) = self.right.poll(self.now) {
                self.sent += 1;
                if self.now >= self.silence {
                    self.left.receive(self.now, packet);
                }
            }
        }
    }

    /// Lets time pass until the next deadline. Returns whether there is one.
    fn advance(&mut self) -> bool {
        let deadlines = [self.left.deadline(self.now), self.right.deadline(self.now)];
        let Some(next) = deadlines.into_iter().flatten().min() else { return false };
        // An agent whose deadline is in the past gets a later time, so that the session goes on.
        self.now = if next > self.now { next } else { self.now + Duration::from_millis(1) };
        let [left, right] = deadlines.map(|deadline| deadline.is_some_and(|at| at <= self.now));
        if left {
            self.left.wake(self.now);
        }
        if right {
            self.right.wake(self.now);
        }
        self.exchange();
        true
    }
}
