//! The endpoints that one server reported for one socket, in the order of its responses.
//!
//! Rules of this file: a NAT that rebinds changes the endpoint once and keeps the new one. A faulty server reports
//! another endpoint in most of its responses.

use core::net::SocketAddr;

/// The endpoints of one socket, as one server reported them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Series {
    first: Option<SocketAddr>,
    last: Option<SocketAddr>,
    answers: u8,
    changes: u8,
    /// The number of responses with the last endpoint since the last change.
    since_change: u8,
}

impl Series {
    pub(super) const fn new() -> Self {
        Self { first: None, last: None, answers: 0, changes: 0, since_change: 0 }
    }

    pub(super) fn add(&mut self, mapped: SocketAddr) {
        self.first.get_or_insert(mapped);
        self.answers = self.answers.saturating_add(1);
        let changed = self.last.replace(mapped).is_some_and(|last| last != mapped);
        self.changes = self.changes.saturating_add(u8::from(changed));
        self.since_change = if changed { 1 } else { self.since_change.saturating_add(1) };
    }

    pub(super) const fn first(&self) -> Option<SocketAddr> {
        self.first
    }

    /// The last endpoint, if it is not the first one.
    pub(super) fn later(&self) -> Option<SocketAddr> {
        self.last.filter(|last| self.first != Some(*last))
    }

    /// Whether the server reports another endpoint in at least half of its responses.
    pub(super) const fn is_unstable(&self) -> bool {
        self.changes >= 2 && self.changes as u16 * 2 >= self.answers as u16
    }

    /// Whether the NAT has made another mapping for the socket. `is_over`: no further response comes.
    pub(super) const fn is_rebound(&self, is_over: bool) -> bool {
        self.changes > 0 && !self.is_unstable() && (is_over || !self.is_doubtful())
    }

    /// Whether a few responses differ, and further ones decide between a rebinding and a faulty server.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.changes > 0 && !self.is_unstable() && self.since_change < 2 && self.answers < 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(ports: &[u16]) -> Series {
        let mut series = Series::default();
        ports.iter().for_each(|port| series.add(([203, 0, 113, 1], *port).into()));
        series
    }

    #[test]
    fn one_change_is_a_rebinding_and_many_changes_are_a_faulty_server() {
        assert!(!series(&[5, 5, 5]).is_rebound(true));
        assert!(
            series(&[5, 6]).is_doubtful() && !series(&[5, 6]).is_rebound(false) && series(&[5, 6]).is_rebound(true)
        );
        assert!(series(&[5, 6, 6]).is_rebound(false) && series(&[5, 5, 5, 6]).is_rebound(false));
        assert!(!series(&[5, 5, 6]).is_rebound(false), "the third response may be the first of many changes");
        assert!(series(&[5, 5, 5, 6, 6, 7, 7]).is_rebound(false), "two rebindings");
        assert!(series(&[5, 6, 7]).is_unstable() && !series(&[5, 6, 7]).is_rebound(true));
        assert_eq!(series(&[5, 5, 6]).later().map(|later| later.port()), Some(6));
    }
}
