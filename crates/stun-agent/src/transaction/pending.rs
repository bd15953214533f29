//! The pending requests, and the ids of the finished ones.
//!
//! Rules of this file: every question that an input or a deadline asks is answered by an index, never by a search through
//! all requests: a transaction id (a table of ids), the next deadline ([`Timers`]), a socket and a destination (an ordered
//! map). The requests are stored in no order; the last request takes the place of a removed one. Their order is that of
//! their numbers. What many requests occupied is released when few are left. Only the ids of finished requests are kept,
//! as many as requests are allowed, so that a late duplicate is recognized.

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

/// A request on its way.
#[derive(Clone, Debug)]
pub(super) struct Pending<T> {
    pub(super) id: TransactionId,
    /// The id that the owner knows. It differs from `id` after a challenge or a redirection.
    pub(super) first: TransactionId,
    pub(super) tag: T,
    pub(super) aim: Aim,
    pub(super) accept: Accept,
    pub(super) timeline: Timeline,
    pub(super) answers: u32,
    /// Boxed, because most requests have no credential.
    pub(super) retry: Option<Box<Retry>>,
    /// The request's place in the order of age, and its timer. Both belong to the table.
    place: Place,
}

/// What the table keeps of a request for itself.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    number: u64,
    timer: Option<(Instant, TimerId)>,
}

/// What is sent, and where to.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    pub(super) socket: SocketId,
    pub(super) remote: SocketAddr,
    pub(super) hop_limit: Option<u8>,
    pub(super) message: Bytes,
}

/// Which response counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accept {
    pub(super) method: Method,
    pub(super) from: AnswerFrom,
    pub(super) on: AnswerOn,
    pub(super) seal: Seal,
}

impl<T> Pending<T> {
    /// A request that the table does not know yet.
    pub(super) fn new(id: TransactionId, tag: T, aim: Aim, accept: Accept, timeline: Timeline) -> Self {
        Self { id, first: id, tag, aim, accept, timeline, answers: 0, retry: None, place: Place::default() }
    }

    const fn route(&self) -> Route {
        Route { socket: self.aim.socket, remote: self.aim.remote, number: self.place.number }
    }
}

/// The next step of a request, as its timer knows it.
#[derive(Clone, Copy, Debug)]
struct Due {
    id: TransactionId,
    why: &'static str,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdState {
    /// The present id of the request at this index.
    Pending(u32),
    /// The id of a transaction that is over.
    Finished(TransactionEnd),
}

/// All pending requests.
#[derive(Clone, Debug)]
pub(super) struct PendingTable<T> {
    requests: Vec<Pending<T>>,
    ids: IdTable<IdState>,
    /// From the first to the present id, of requests where these differ.
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

    /// All requests, oldest first. Sorts them: for the owner, not for an input.
    pub(super) fn by_age(&self) -> impl Iterator<Item = &Pending<T>> {
        let mut requests: Vec<_> = self.requests.iter().collect();
        requests.sort_unstable_by_key(|pending| pending.place.number);
        requests.into_iter()
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&Pending<T>> {
        self.requests.get(index)
    }

    /// A request, to change it. Its id, socket, destination and deadlines are changed by [`renew`](Self::renew),
    /// [`redirect`](Self::redirect) and, after its timeline, [`schedule`](Self::schedule).
    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Pending<T>> {
        self.requests.get_mut(index)
    }

    /// The request with this current id.
    #[inline]
    pub(super) fn position(&self, id: TransactionId) -> Option<usize> {
        match self.ids.get(id)? {
            IdState::Pending(index) => Some(index as usize),
            IdState::Finished(_) => None,
        }
    }

    /// The request that its owner knows by this id: its first or its current one.
    pub(super) fn named(&self, id: TransactionId) -> Option<usize> {
        self.position(id).or_else(|| self.position(*self.renewed.get(&id)?))
    }

    /// How a finished transaction ended.
    pub(super) fn ending(&self, id: TransactionId) -> Option<TransactionEnd> {
        match self.ids.get(id)? {
            IdState::Pending(_) => None,
            IdState::Finished(ending) => Some(ending),
        }
    }

    /// Whether a request has this id or had it lately.
    pub(super) fn is_known(&self, id: TransactionId) -> bool {
        self.ids.get(id).is_some() || self.renewed.contains_key(&id)
    }

    /// Adds a request as the youngest, and returns its index. Its timer is set by [`schedule`](Self::schedule).
    #[inline]
    pub(super) fn insert(&mut self, mut pending: Pending<T>) -> usize {
        pending.place = Place { number: self.inserted, timer: None };
        self.inserted += 1;
        let index = self.requests.len();
        self.ids.set(pending.id, pending_at(index));
        self.routes.add(pending.route(), pending.id);
        self.requests.push(pending);
        index
    }

    /// Removes a request whose transaction ended so. The last request takes its index.
    pub(super) fn remove(&mut self, index: usize, ending: TransactionEnd) {
        let Some(last) = self.requests.len().checked_sub(1).filter(|last| index <= *last) else { return };
        if index < last {
            self.requests.swap(index, last);
            if let Some(moved) = self.requests.get(index) {
                self.ids.set(moved.id, pending_at(index));
            }
        }
        // The request is dropped in place: it is large.
        let Some(pending) = self.requests.get(last) else { return };
        let (id, first) = (pending.id, pending.first);
        if let Some((_, timer)) = pending.place.timer {
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

    /// Gives a request its next id and message, because its transaction ended so. Returns the id that it had.
    pub(super) fn renew(
        &mut self,
        index: usize,
        id: TransactionId,
        message: Bytes,
        ending: TransactionEnd,
    ) -> Option<TransactionId> {
        let pending = self.requests.get_mut(index)?;
        pending.aim.message = message;
        let was = core::mem::replace(&mut pending.id, id);
        let (first, route) = (pending.first, pending.route());
        if let Some((_, timer)) = pending.place.timer.take() {
            self.timers.cancel(timer);
        }
        self.ids.set(id, pending_at(index));
        self.renewed.insert(first, id);
        self.routes.replace(route, route, id);
        self.finish(was, ending);
        Some(was)
    }

    /// Gives a request another destination.
    pub(super) fn redirect(&mut self, index: usize, remote: SocketAddr) {
        let Some(pending) = self.requests.get_mut(index) else { return };
        let was = pending.route();
        pending.aim.remote = remote;
        self.routes.replace(was, pending.route(), pending.id);
    }

    /// Sets a request's timer to the next step of its timeline.
    pub(super) fn schedule(&mut self, index: usize) {
        let Some(pending) = self.requests.get_mut(index) else { return };
        let due = pending.timeline.due();
        if let Some((at, timer)) = pending.place.timer {
            if at == due {
                return;
            }
            self.timers.cancel(timer);
        }
        let next = Due { id: pending.id, why: pending.timeline.why() };
        pending.place.timer = Some((due, self.timers.insert(due, next)));
    }

    /// Whether a timer is due.
    #[inline]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.timers.next().is_some_and(|at| at <= now)
    }

    /// Takes the timer that is due first; returns its request's number in the order of age, and its id.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(u64, TransactionId)> {
        let Due { id, .. } = self.timers.pop_due(now)?;
        let index = self.position(id)?;
        let place = &mut self.requests.get_mut(index)?.place;
        place.timer = None;
        Some((place.number, id))
    }

    /// The next deadline and its reason.
    pub(super) fn wait(&self) -> Option<Deadline> {
        Some(Deadline::new(self.timers.next()?, self.timers.next_key()?.why))
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

    /// Keeps the id of a transaction that is over; the oldest such id gives way.
    fn finish(&mut self, id: TransactionId, ending: TransactionEnd) {
        if self.finished.len() >= self.limit
            && let Some(oldest) = self.finished.pop_front()
        {
            self.ids.remove(oldest);
        }
        self.ids.set(id, IdState::Finished(ending));
        self.finished.push_back(id);
    }

    /// Gives memory back when the requests fill less than a quarter of it.
    fn release(&mut self) {
        const KEPT: usize = 64;
        let capacity = self.requests.capacity();
        if capacity > KEPT && self.requests.len() < capacity / 4 {
            self.requests.shrink_to((capacity / 2).max(KEPT));
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
        let aim = Aim { socket: SocketId(u64::from(number % 7)), remote, hop_limit: None, message: Bytes::new() };
        let (from, on, seal) = (AnswerFrom::default(), AnswerOn::default(), Seal::default());
        let accept = Accept { method: Method::BINDING, from, on, seal };
        Pending::new(id.into(), number, aim, accept, Timeline::new(Schedule::rfc8489(), Instant::ORIGIN))
    }

    /// Each index agrees with the requests.
    fn check(table: &PendingTable<u16>) {
        for (index, pending) in table.requests.iter().enumerate() {
            assert_eq!(table.position(pending.id), Some(index));
            assert_eq!(table.named(pending.first), Some(index));
            let Aim { socket, remote, .. } = pending.aim;
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
        // The stated table of finished ids: 20 bytes a place, at most 8 places for each id, and 12 bytes in their order.
        assert_eq!(table.finished.len(), LIMIT - 1);
        assert!(table.ids.places() <= 8 * LIMIT, "{}", table.ids.places());
    }
}
