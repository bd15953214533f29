//! The table of probes: one entry for each path, with its transaction ID, its timer and what is known about it.
//!
//! Rules of this file: the table keeps no message. Every packet to a new destination is admitted first, so that the two
//! counts of the budget hold: mappings and sessions.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::SocketAddr;
use portolan_machine::{Instant, SocketId, TimerId};
use portolan_stun::TransactionId;

/// A way to the peer: a socket of this side, and a remote address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// The socket.
    pub socket: SocketId,
    /// The remote address.
    pub remote: SocketAddr,
}

/// The state of a path.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// The transaction ID of its probes; `None` before the first one.
    pub(super) id: Option<TransactionId>,
    pub(super) sends: u16,
    pub(super) sent_at: Option<Instant>,
    pub(super) timer: Option<TimerId>,
    /// Whether a response to a probe on this path came, from any source.
    pub(super) is_confirmed: bool,
    /// Whether an authentic message came from this remote address.
    pub(super) is_heard: bool,
    /// Whether ICMP reported that the address cannot be reached.
    pub(super) is_given_up: bool,
}

/// The probes, and the entries that they cost.
#[derive(Clone, Debug)]
pub(super) struct Table {
    entries: BTreeMap<Path, Entry>,
    ids: BTreeMap<TransactionId, Path>,
    /// The sockets and the number of paths that were admitted, also those that are removed: a NAT keeps its entries.
    sockets: BTreeSet<SocketId>,
    sessions: usize,
    limit: Limit,
}

/// The two counts of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) mappings: u16,
    pub(super) sessions: u16,
    /// Whether each destination has its own mapping.
    pub(super) is_destination_dependent: bool,
}

impl Table {
    pub(super) const fn new(limit: Limit) -> Self {
        Self { entries: BTreeMap::new(), ids: BTreeMap::new(), sockets: BTreeSet::new(), sessions: 0, limit }
    }

    pub(super) fn get(&self, path: Path) -> Option<&Entry> {
        self.entries.get(&path)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Path, &Entry)> {
        self.entries.iter().map(|(path, entry)| (*path, entry))
    }

    /// The entry of a path, a new one if the budget has room for it.
    pub(super) fn admit(&mut self, path: Path) -> Option<&mut Entry> {
        if !self.entries.contains_key(&path) {
            let is_new_socket = !self.sockets.contains(&path.socket);
            let sessions = self.sessions;
            let mappings = if self.limit.is_destination_dependent {
                sessions + 1
            } else {
                self.sockets.len() + usize::from(is_new_socket)
            };
            if sessions >= usize::from(self.limit.sessions) || mappings > usize::from(self.limit.mappings) {
                return None;
            }
            self.sockets.insert(path.socket);
            self.sessions += 1;
        }
        Some(self.entries.entry(path).or_default())
    }

    /// The mappings and the sessions that the paths cost.
    pub(super) fn cost(&self) -> (u16, u16) {
        let sessions = self.entries.len();
        let mappings = if self.limit.is_destination_dependent { sessions } else { self.sockets.len() };
        // The limits of the table are numbers of 16 bits.
        (u16::try_from(mappings).unwrap_or(u16::MAX), u16::try_from(sessions).unwrap_or(u16::MAX))
    }

    /// Sets the transaction ID of a path that is in the table.
    pub(super) fn set_id(&mut self, path: Path, id: TransactionId) {
        if let Some(entry) = self.entries.get_mut(&path) {
            if let Some(old) = entry.id.replace(id) {
                self.ids.remove(&old);
            }
            self.ids.insert(id, path);
        }
    }

    /// The path of the probe with this transaction ID.
    pub(super) fn path_of(&self, id: TransactionId) -> Option<Path> {
        self.ids.get(&id).copied()
    }

    pub(super) fn get_mut(&mut self, path: Path) -> Option<&mut Entry> {
        self.entries.get_mut(&path)
    }

    /// Forgets the timers, which the owner has removed.
    pub(super) fn clear_timers(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.timer = None);
    }

    /// Removes all paths on which nothing was heard, except one. They still count.
    pub(super) fn keep_heard(&mut self, kept: Path) {
        self.entries.retain(|path, entry| entry.is_heard || *path == kept);
        let entries = &self.entries;
        self.ids.retain(|_, path| entries.contains_key(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(socket: u64, port: u16) -> Path {
        Path { socket: SocketId(socket), remote: SocketAddr::from(([192, 0, 2, 1], port)) }
    }

    #[test]
    fn an_independent_mapping_counts_sockets_and_a_dependent_one_counts_paths() {
        for (is_destination_dependent, admitted) in [(false, 5), (true, 2)] {
            let mut table = Table::new(Limit { mappings: 2, sessions: 5, is_destination_dependent });
            let paths = (0..3).flat_map(|socket| (1..=3).map(move |port| path(socket, port)));
            let count = paths.filter(|path| table.admit(*path).is_some()).count();
            assert_eq!(count, admitted);
            assert_eq!(table.cost(), (2, count as u16));
            assert!(table.admit(path(0, 1)).is_some(), "a known path costs nothing");
        }
    }

    #[test]
    fn paths_without_an_answer_are_released_and_still_count() {
        let mut table = Table::new(Limit { mappings: 9, sessions: 9, is_destination_dependent: false });
        for port in 1..=3 {
            table.admit(path(1, port)).unwrap().is_heard = port == 2;
            table.set_id(path(1, port), [port as u8; 12].into());
        }
        table.keep_heard(path(1, 1));
        assert_eq!((table.entries.len(), table.ids.len()), (2, 2));
        assert_eq!(table.path_of([3; 12].into()), None);
        let more = (10..30).filter(|port| table.admit(path(1, *port)).is_some()).count();
        assert_eq!(more, 6, "three of nine sessions were used");
    }
}
