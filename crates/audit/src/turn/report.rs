//! The report of an audit of a TURN server.
//!
//! ```
//! use portolan_audit::turn::{TurnAttack, TurnFinding, TurnOutcome};
//!
//! let finding = TurnFinding::new(TurnAttack::Padding, TurnOutcome::Held);
//! assert_eq!(finding.to_string(), "the padding of each response is zero: held (disclosure of memory)");
//! ```

use super::attack::{Breach, Obstacle, TurnAttack, TurnOutcome};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

/// The outcome of one attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnFinding {
    /// The attack.
    pub attack: TurnAttack,
    /// The outcome.
    pub outcome: TurnOutcome,
    /// The number of variants that the server held or did not hold, such as peers and methods.
    pub tested: u32,
    /// The number of variants that were not tested.
    pub untested: u32,
}

impl TurnFinding {
    /// The outcome of an attack with one variant.
    #[must_use]
    pub const fn new(attack: TurnAttack, outcome: TurnOutcome) -> Self {
        let is_tested = !matches!(outcome, TurnOutcome::NotTestable(_));
        Self { attack, outcome, tested: is_tested as u32, untested: !is_tested as u32 }
    }
}

impl fmt::Display for TurnFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.attack.meaning(), self.outcome, self.attack.basis())
    }
}

/// The numbers of findings, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TurnSummary {
    /// Attacks that the server holds.
    pub held: usize,
    /// Attacks that are successful.
    pub not_held: usize,
    /// Attacks that were not tested.
    pub not_testable: usize,
}

/// The result of an audit of a TURN server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TurnReport {
    /// The server.
    pub server: SocketAddr,
    /// The relayed address of the first allocation.
    pub relayed: Option<SocketAddr>,
    /// The relayed address of the IPv6 allocation.
    pub relayed_ipv6: Option<SocketAddr>,
    /// SOFTWARE of the server.
    pub software: Option<Box<str>>,
    /// One finding for each attack, in the order of [`TurnAttack::all`].
    pub findings: Vec<TurnFinding>,
    /// Messages sent: datagrams, and requests on streams.
    pub sent: u32,
    /// Messages received.
    pub received: u32,
    /// The duration of the audit.
    pub elapsed: Duration,
}

impl TurnReport {
    /// The outcome of an attack.
    #[must_use]
    pub fn outcome(&self, attack: TurnAttack) -> Option<TurnOutcome> {
        self.findings.iter().find(|finding| finding.attack == attack).map(|finding| finding.outcome)
    }

    /// The numbers of findings, by outcome.
    #[must_use]
    pub fn summary(&self) -> TurnSummary {
        let mut summary = TurnSummary::default();
        for finding in &self.findings {
            *match finding.outcome {
                TurnOutcome::Held => &mut summary.held,
                TurnOutcome::NotHeld(_) => &mut summary.not_held,
                TurnOutcome::NotTestable(_) => &mut summary.not_testable,
            } += 1;
        }
        summary
    }
}

/// The results of the variants of all attacks.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    variants: Vec<(TurnAttack, TurnOutcome)>,
}

impl Tally {
    pub(super) fn held(&mut self, attack: TurnAttack) {
        self.variants.push((attack, TurnOutcome::Held));
    }

    pub(super) fn not_held(&mut self, attack: TurnAttack, breach: Breach) {
        self.variants.push((attack, TurnOutcome::NotHeld(breach)));
    }

    pub(super) fn not_testable(&mut self, attack: TurnAttack, why: Obstacle) {
        self.variants.push((attack, TurnOutcome::NotTestable(why)));
    }

    /// Replaces `Held` by the obstacle: a missing datagram is no evidence if its control is missing too.
    pub(super) fn revoke(&mut self, attack: TurnAttack, why: Obstacle) {
        let held =
            self.variants.iter_mut().filter(|(other, outcome)| *other == attack && *outcome == TurnOutcome::Held);
        held.for_each(|(_, outcome)| *outcome = TurnOutcome::NotTestable(why));
    }

    /// Returns the findings. One successful variant decides, then one that was held.
    pub(super) fn findings(&self) -> Vec<TurnFinding> {
        let finding = |attack| {
            let own = || self.variants.iter().filter(move |(other, _)| *other == attack).map(|(_, outcome)| *outcome);
            let breach = own().find(|outcome| matches!(outcome, TurnOutcome::NotHeld(_)));
            let held = own().find(|outcome| *outcome == TurnOutcome::Held);
            let outcome = breach.or(held).or(own().next()).unwrap_or(TurnOutcome::NotTestable(Obstacle::Silent));
            let untested = own().filter(|outcome| matches!(outcome, TurnOutcome::NotTestable(_))).count();
            let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
            TurnFinding { attack, outcome, tested: count(own().count() - untested), untested: count(untested) }
        };
        TurnAttack::all().map(finding).collect()
    }
}
