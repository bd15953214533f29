//! The pending requests, and the ids of the finished ones.
//!
//! Rules of this file: every lookup for an input or a deadline uses an index and never scans all requests. The
//! indexes are a table of transaction ids, the deadlines ([`Timers`]), and an ordered map of sockets and
//! destinations. The requests are stored in no order; the last request moves to the index of a removed one. A request
//! number gives the order of age. Memory is released when few requests are left. Only the ids of finished requests
//! are kept, at most `limit` of them, so that late duplicates are detected.

use super::authentication::Retry;
use super::ids::IdTable;
use super::routes::{Route, Routes};
use super::timeline::Timeline;
use super::{AnswerFrom, AnswerOn, Seal};
use crate::note::TransactionEnd;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Deadline, Instant, SocketId, TimerId, Timers};
use portolan_stun::{Method, TransactionId};

/// A pending request.
#[derive(Clone, Debug)]
pub(super) struct Pending<T> {
    pub(super) id: TransactionId,
    /// The id that the owner received. It differs from `id` after a challenge or a redirection.
    pub(super) first: TransactionId,
    pub(super) tag: T,
    pub(super) transmission: Transmission,
    pub(super) accept: Accept,
    pub(super) timeline: Timeline,
    pub(super) responses: u32,
    /// Boxed, because most requests have no credential.
    pub(super) retry: Option<Box<Retry>>,
    /// The number and the timer, which only the table changes.
    entry: TableEntry,
}

/// The state of the table for one request.
#[derive(Clone, Copy, Debug, Default)]
struct TableEntry {
    /// The position in the order of age.
    number: u64,
    timer: Option<(Instant, TimerId)>,
}

/// The message of a request and its destination.
#[derive(Clone, Debug)]
pub(super) struct Transmission {
    pub(super) socket: SocketId,
    pub(super) remote: SocketAddr,
    pub(super) hop_limit: Option<u8>,
    pub(super) message: Bytes,
}

/// The accepted responses of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accept {
    pub(super) method: Method,
    pub(super) from: AnswerFrom,
    pub(super) on: AnswerOn,
    pub(super) seal: Seal,
}

impl<T> Pending<T> {
    /// A request that is not in the table yet.
    pub(super) fn new(
        id: TransactionId,
        tag: T,
        transmission: Transmission,
        accept: Accept,
        timeline: Timeline,
    ) -> Self {
        Self {
            id,
            first: id,
            tag,
            transmission,
            accept,
            timeline,
            responses: 0,
            retry: None,
            entry: TableEntry::default(),
        }
    }

    const fn route(&self) -> Route {
        Route { socket: self.transmission.socket, remote: self.transmission.remote, number: self.entry.number }
    }
}

/// The key of a timer: the request, and the reason of its next step.
#[derive(Clone, Copy, Debug)]
struct Due {
    id: TransactionId,
    reason: &'static str,
}

/// The state of an id in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdState {
    /// The current id of the request at this index.
    Pending(u32),
    /// The id of a finished transaction.
    Finished(TransactionEnd),
}

/// All pending requests.
#[derive(Clone, Debug)]
pub(super) struct PendingTable<T> {
    requests: Vec<Pending<T>>,
    ids: IdTable<IdState>,
    /// From the first to the current id of a request, if the ids differ.
    renewed: BTreeMap<TransactionId, TransactionId>,
    routes: Routes,
    timers: Timers<Due>,
    /// The ids of finished transactions, oldest first.
    finished: VecDeque<TransactionId>,
    limit: usize,
    inserted: u64,
}

impl<T> PendingTable<T> {
    /// An empty table for at most `limit` requests; allocates nothing.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            requests: Vec::new(),
            ids: IdTable::new(),
            renewed: BTreeMap::new(),
            routes: Routes::new(),
            timers: Timers::new(),
            finished: VecDeque::new(),
            limit,
            inserted: 0,
        }
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn len(&self) -> usize {
        self.requests.len()
    }

    /// All requests, oldest first. This function sorts, so no input or deadline uses it.
    pub(super) fn by_age(&self) -> impl Iterator<Item = &Pending<T>> {
        let mut requests: Vec<_> = self.requests.iter().collect();
        requests.sort_unstable_by_key(|pending| pending.entry.number);
        requests.into_iter()
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&Pending<T>> {
        self.requests.get(index)
    }

    /// A mutable request. Only [`renew`](Self::renew) and [`redirect`](Self::redirect) may change its id, socket and
    /// destination. A change of its timeline requires a call of [`schedule`](Self::schedule).
    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Pending<T>> {
        self.requests.get_mut(index)
    }

    /// The index of the request with this current id.
    #[inline]
    pub(super) fn position(&self, id: TransactionId) -> Option<usize> {
        match self.ids.get(id)? {
            IdState::Pending(index) => Some(index as usize),
            IdState::Finished(_) => None,
        }
    }

    /// The index of the request with this first or current id.
    pub(super) fn find_request(&self, id: TransactionId) -> Option<usize> {
        self.position(id).or_else(|| self.position(*self.renewed.get(&id)?))
    }

    /// The end of a finished transaction.
    pub(super) fn ending(&self, id: TransactionId) -> Option<TransactionEnd> {
        match self.ids.get(id)? {
            IdState::Pending(_) => None,
            IdState::Finished(ending) => Some(ending),
        }
    }

    /// Whether the id belongs to a pending or recently finished transaction.
    pub(super) fn is_known(&self, id: TransactionId) -> bool {
        self.ids.get(id).is_some() || self.renewed.contains_key(&id)
    }

    /// Adds a request as the youngest, and returns its index. [`schedule`](Self::schedule) sets its timer.
    #[inline]
    pub(super) fn insert(&mut self, mut pending: Pending<T>) -> usize {
        pending.entry = TableEntry { number: self.inserted, timer: None };
        self.inserted += 1;
        let index = self.requests.len();
        self.ids.set(pending.id, pending_at(index));
        self.routes.add(pending.route(), pending.id);
        self.requests.push(pending);
        index
    }

    /// Removes a request whose transaction has ended. The last request moves to its index.
    pub(super) fn remove(&mut self, index: usize, ending: TransactionEnd) {
        let Some(last) = self.requests.len().checked_sub(1).filter(|last| index <= *last) else { return };
        if index < last {
            self.requests.swap(index, last);
            if let Some(moved) = self.requests.get(index) {
                self.ids.set(moved.id, pending_at(index));
            }
        }
        // The request is large, so it is dropped in place.
        let Some(pending) = self.requests.get(last) else { return };
        let (id, first) = (pending.id, pending.first);
        if let Some((_, timer)) = pending.entry.timer {
            self.timers.cancel(timer);
        }
        self.routes.remove(pending.route());
        self.requests.truncate(last);
        if first != id {
            self.renewed.remove(&first);
        }
        self.finish(id, ending);
        self.release();
    }

    /// Sets the next id and message of a request whose transaction has ended. Returns the previous id.
    pub(super) fn renew(
        &mut self,
        index: usize,
        id: TransactionId,
        message: Bytes,
        ending: TransactionEnd,
    ) -> Option<TransactionId> {
        let pending = self.requests.get_mut(index)?;
        pending.transmission.message = message;
        let was = core::mem::replace(&mut pending.id, id);
        let (first, route) = (pending.first, pending.route());
        if let Some((_, timer)) = pending.entry.timer.take() {
            self.timers.cancel(timer);
        }
        self.ids.set(id, pending_at(index));
        self.renewed.insert(first, id);
        self.routes.replace(route, route, id);
        self.finish(was, ending);
        Some(was)
    }

    /// Sets the destination of a request.
    pub(super) fn redirect(&mut self, index: usize, remote: SocketAddr) {
        let Some(pending) = self.requests.get_mut(index) else { return };
        let was = pending.route();
        pending.transmission.remote = remote;
        self.routes.replace(was, pending.route(), pending.id);
    }

    /// Sets the timer of a request to the next step of its timeline.
    pub(super) fn schedule(&mut self, index: usize) {
        let Some(pending) = self.requests.get_mut(index) else { return };
        let due = pending.timeline.due();
        if let Some((at, timer)) = pending.entry.timer {
            if at == due {
                return;
            }
            self.timers.cancel(timer);
        }
        let next = Due { id: pending.id, reason: pending.timeline.reason() };
        pending.entry.timer = Some((due, self.timers.insert(due, next)));
    }

    /// Whether a timer is due.
    #[inline]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.timers.next().is_some_and(|at| at <= now)
    }

    /// Removes the first due timer, and returns the number and the id of its request.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(u64, TransactionId)> {
        let Due { id, .. } = self.timers.pop_due(now)?;
        let index = self.position(id)?;
        let entry = &mut self.requests.get_mut(index)?.entry;
        entry.timer = None;
        Some((entry.number, id))
    }

    /// The next deadline and its reason.
    pub(super) fn wait(&self) -> Option<Deadline> {
        Some(Deadline::new(self.timers.next()?, self.timers.next_key()?.reason))
    }

    /// Whether a request is pending on this socket.
    pub(super) fn has_socket(&self, socket: SocketId) -> bool {
        self.routes.has_socket(socket)
    }

    /// The requests on this socket, oldest first.
    pub(super) fn on_socket(&self, socket: SocketId) -> Vec<TransactionId> {
        self.routes.on_socket(socket)
    }

    /// The requests on this socket to this destination, oldest first.
    pub(super) fn on_route(&self, socket: SocketId, remote: SocketAddr) -> impl Iterator<Item = &Pending<T>> {
        self.routes.to(socket, remote).filter_map(|id| self.requests.get(self.position(id)?))
    }

    /// Stores the id of a finished transaction, and removes the oldest such id at the limit.
    fn finish(&mut self, id: TransactionId, ending: TransactionEnd) {
        if self.finished.len() >= self.limit
            && let Some(oldest) = self.finished.pop_front()
        {
            self.ids.remove(oldest);
        }
        self.ids.set(id, IdState::Finished(ending));
        self.finished.push_back(id);
    }

    /// Releases memory when the requests fill less than a quarter of it.
    fn release(&mut self) {
        const MIN_CAPACITY: usize = 64;
        let capacity = self.requests.capacity();
        if capacity > MIN_CAPACITY && self.requests.len() < capacity / 4 {
            self.requests.shrink_to((capacity / 2).max(MIN_CAPACITY));
        }
    }
}

fn pending_at(index: usize) -> IdState {
    IdState::Pending(u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schedule;
    use core::net::Ipv4Addr;

    fn pending(number: u16) -> Pending<u16> {
        let mut id = [0; 12];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let remote = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), number % 100 + 1);
        let transmission =
            Transmission { socket: SocketId(u64::from(number % 7)), remote, hop_limit: None, message: Bytes::new() };
        let (from, on, seal) = (AnswerFrom::default(), AnswerOn::default(), Seal::default());
        let accept = Accept { method: Method::BINDING, from, on, seal };
        Pending::new(id.into(), number, transmission, accept, Timeline::new(Schedule::rfc8489(), Instant::ORIGIN))
    }

    /// Checks that each index agrees with the requests.
    fn check(table: &PendingTable<u16>) {
        for (index, pending) in table.requests.iter().enumerate() {
            assert_eq!(table.position(pending.id), Some(index));
            assert_eq!(table.find_request(pending.first), Some(index));
            let Transmission { socket, remote, .. } = pending.transmission;
            assert!(table.on_route(socket, remote).any(|other| other.id == pending.id));
            assert!(table.on_socket(socket).contains(&pending.id));
        }
        let renewed = table.requests.iter().filter(|pending| pending.id != pending.first).count();
        assert_eq!((table.routes.len(), table.renewed.len()), (table.requests.len(), renewed));
        assert!(table.finished.iter().all(|id| table.ending(*id).is_some()));
        assert!(table.finished.len() <= table.limit);
    }

    #[test]
    fn the_indexes_agree_with_the_requests_under_random_transitions() {
        let mut table = PendingTable::new(40);
        let mut random = 1_u64;
        for number in 0..4000_u16 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let choice = (random >> 33) as usize;
            let index = choice / 8 % table.len().max(1);
            match choice % 8 {
                0..4 if table.len() < 40 => {
                    let index = table.insert(pending(number));
                    table.schedule(index);
                }
                4 if table.len() > 0 => {
                    let mut id = [1; 12];
                    id[..2].copy_from_slice(&number.to_be_bytes());
                    table.renew(index, id.into(), Bytes::new(), TransactionEnd::Challenged);
                    table.schedule(index);
                }
                5 if table.len() > 0 => {
                    table.redirect(index, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), number % 3 + 1));
                }
                _ => table.remove(index, TransactionEnd::Cancelled),
            }
            check(&table);
            assert_eq!(table.timers.len(), table.len());
            let numbers: Vec<_> = table.by_age().map(|pending| pending.tag).collect();
            assert!(numbers.is_sorted(), "oldest first");
        }
        assert_eq!(table.finished.len(), 40);
    }

    #[test]
    fn the_memory_of_a_flood_is_released_although_one_request_stays() {
        const LIMIT: usize = 10_000;
        let mut table = PendingTable::new(LIMIT);
        for number in 0..LIMIT as u16 {
            let index = table.insert(pending(number));
            table.schedule(index);
        }
        assert!(table.requests.capacity() >= LIMIT);
        let oldest = table.by_age().next().unwrap().id;
        while table.len() > 1 {
            let index = (0..2).find(|index| table.get(*index).unwrap().id != oldest).unwrap();
            table.remove(index, TransactionEnd::Cancelled);
        }
        check(&table);
        assert!(table.requests.capacity() <= 64, "{}", table.requests.capacity());
        assert_eq!((table.timers.len(), table.routes.len(), table.renewed.len()), (1, 1, 0));
        // The bound of 200 bytes for each finished id: at most 8 slots of 20 bytes, and 12 bytes in the queue.
        assert_eq!(table.finished.len(), LIMIT - 1);
        assert!(table.ids.slots() <= 8 * LIMIT, "{}", table.ids.slots());
    }
}
