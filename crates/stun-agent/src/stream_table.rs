//! The table of accepted streams of a server (RFC 8489 §6.2.2).
//!
//! Rules of this file: the number of streams is bounded, in total and for each source. The client closes a stream, not
//! the server, except that a new stream at the limit displaces another. The displaced stream is the longest idle
//! stream of the source with the most streams. The idle time of a stream counts from its last whole message; single
//! bytes do not reset it. A kept stream is not counted and never displaced: its server has another bound for it, such
//! as a quota of its user. Each operation costs O(log n).
//!
//! ```
//! use core::net::IpAddr;
//! use portolan_machine::{Instant, SocketId};
//! use portolan_stun_agent::stream_table::{Admission, StreamLimits, StreamTable};
//!
//! let mut streams = StreamTable::new(StreamLimits { total: 2, source: 2 });
//! let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
//! let at = Instant::from_millis;
//! assert!(matches!(streams.admit(at(0), SocketId(1), one.into(), "first"), Admission::Admitted));
//! assert!(matches!(streams.admit(at(1), SocketId(2), one.into(), "second"), Admission::Admitted));
//! // The first source has two streams, the second source has none.
//! let admission = streams.admit(at(2), SocketId(3), two.into(), "third");
//! assert!(matches!(admission, Admission::Displaced(SocketId(1), "first")));
//! assert!(matches!(streams.admit(at(3), SocketId(4), two.into(), "fourth"), Admission::Refused("fourth")));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::source::Source;
use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;
use core::time::Duration;
use portolan_machine::{Instant, SocketId};

/// The accepted streams of a server, with a value for each.
#[derive(Clone, Debug)]
pub struct StreamTable<T> {
    streams: BTreeMap<SocketId, Entry<T>>,
    /// The streams of each source that are not kept, longest idle first. A source without such streams has no entry.
    sources: BTreeMap<Source, BTreeSet<IdleSince>>,
    /// All sources in the order of displacement. The last source loses the next stream.
    ranks: BTreeSet<Rank>,
    limits: StreamLimits,
    /// The number of kept streams.
    kept: usize,
    /// The streams to close when the output queue has space. They are at most as many as the driver has sockets.
    closing: BTreeSet<SocketId>,
}

/// The limits of the number of streams that are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// The limit of all streams.
    pub total: usize,
    /// The limit of the streams of one source.
    pub source: usize,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    source: Source,
    /// The time of the last whole message, initially the time of acceptance.
    last_message: Instant,
    is_kept: bool,
    value: T,
}

/// The position of a stream in the order of idle time.
type IdleSince = (Instant, SocketId);

/// The position of a source in the order of displacement: by the number of its streams, then by its longest idle
/// time.
type Rank = (usize, Reverse<IdleSince>, Source);

/// The result of the admission of a new stream.
#[derive(Debug)]
pub enum Admission<T> {
    /// The stream is accepted.
    Admitted,
    /// The stream is accepted, and this stream is displaced.
    Displaced(SocketId, T),
    /// The stream is refused.
    Refused(T),
}

impl<T> StreamTable<T> {
    /// The idle time after which any new stream can displace a stream: Ti of RFC 8489 §6.2.2, the time that a client
    /// waits for a response.
    pub const IDLE_TIMEOUT: Duration = Duration::from_millis(39_500);

    /// An empty table. Allocates nothing.
    #[must_use]
    pub const fn new(limits: StreamLimits) -> Self {
        Self {
            streams: BTreeMap::new(),
            sources: BTreeMap::new(),
            ranks: BTreeSet::new(),
            limits,
            kept: 0,
            closing: BTreeSet::new(),
        }
    }

    /// The number of streams, kept streams included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there is no stream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Adds a new stream, if the limits allow it or another stream can be displaced.
    pub fn admit(&mut self, now: Instant, id: SocketId, source: Source, value: T) -> Admission<T> {
        let held = self.sources.get(&source).map_or(0, BTreeSet::len);
        let mut admission = Admission::Admitted;
        if self.streams.len() - self.kept >= self.limits.total || held >= self.limits.source {
            let displaced = self.displaced_by(now, source, held);
            let Some((id, other)) = displaced.and_then(|id| Some((id, self.forget(id)?))) else {
                return Admission::Refused(value);
            };
            admission = Admission::Displaced(id, other);
        }
        self.streams.insert(id, Entry { source, last_message: now, is_kept: false, value });
        self.change_source(source, |streams_of_source| {
            streams_of_source.insert((now, id));
        });
        admission
    }

    /// The stream that a new stream of `source` displaces. `held` is the current number of streams of `source`.
    ///
    /// A source at its limit displaces only its own streams. Otherwise the source with the most streams loses one
    /// stream. This happens at once if that source then still has at least as many streams as the source of the new
    /// stream. Otherwise the idle time must be at least [`IDLE_TIMEOUT`](Self::IDLE_TIMEOUT).
    fn displaced_by(&self, now: Instant, source: Source, held: usize) -> Option<SocketId> {
        let (most, (last_message, id)) = if held >= self.limits.source {
            (held, *self.sources.get(&source)?.first()?)
        } else {
            let &(most, Reverse(idle_since), _) = self.ranks.last()?;
            (most, idle_since)
        };
        (most > held + 1 || now.since(last_message) >= Self::IDLE_TIMEOUT).then_some(id)
    }

    /// The value of a stream.
    #[must_use]
    pub fn get(&self, id: SocketId) -> Option<&T> {
        self.streams.get(&id).map(|entry| &entry.value)
    }

    /// The value of a stream.
    pub fn get_mut(&mut self, id: SocketId) -> Option<&mut T> {
        self.streams.get_mut(&id).map(|entry| &mut entry.value)
    }

    /// The time of the last whole message of a stream, initially the time of acceptance.
    #[must_use]
    pub fn last_message(&self, id: SocketId) -> Option<Instant> {
        self.streams.get(&id).map(|entry| entry.last_message)
    }

    /// Resets the idle time of a stream after a whole message.
    pub fn renew(&mut self, now: Instant, id: SocketId) {
        let Some(entry) = self.streams.get_mut(&id) else { return };
        let (source, before) = (entry.source, core::mem::replace(&mut entry.last_message, now));
        if before != now && !entry.is_kept {
            self.change_source(source, |streams_of_source| {
                streams_of_source.remove(&(before, id));
                streams_of_source.insert((now, id));
            });
        }
    }

    /// Whether a stream is kept.
    #[must_use]
    pub fn is_kept(&self, id: SocketId) -> bool {
        self.streams.get(&id).is_some_and(|entry| entry.is_kept)
    }

    /// Keeps a stream: from now on it is not counted and not displaced.
    pub fn keep(&mut self, id: SocketId) {
        let Some(entry) = self.streams.get_mut(&id).filter(|entry| !entry.is_kept) else { return };
        entry.is_kept = true;
        self.kept += 1;
        let (source, last_message) = (entry.source, entry.last_message);
        self.change_source(source, |streams_of_source| {
            streams_of_source.remove(&(last_message, id));
        });
    }

    /// Counts a kept stream again. The streams can then be more than the limit; a new stream displaces one.
    pub fn release(&mut self, id: SocketId) {
        let Some(entry) = self.streams.get_mut(&id).filter(|entry| entry.is_kept) else { return };
        entry.is_kept = false;
        self.kept -= 1;
        let (source, last_message) = (entry.source, entry.last_message);
        self.change_source(source, |streams_of_source| {
            streams_of_source.insert((last_message, id));
        });
    }

    /// Removes a stream from the table and returns its value; `None` if it is not open.
    pub fn forget(&mut self, id: SocketId) -> Option<T> {
        let entry = self.streams.remove(&id)?;
        if entry.is_kept {
            self.kept -= 1;
        } else {
            self.change_source(entry.source, |streams_of_source| {
                streams_of_source.remove(&(entry.last_message, id));
            });
        }
        Some(entry.value)
    }

    /// Changes the streams of a source, and updates its rank.
    fn change_source(&mut self, source: Source, change: impl FnOnce(&mut BTreeSet<IdleSince>)) {
        let rank = |streams_of_source: &BTreeSet<IdleSince>| {
            streams_of_source.first().map(|first| (streams_of_source.len(), Reverse(*first), source))
        };
        let streams_of_source = self.sources.entry(source).or_default();
        if let Some(rank) = rank(streams_of_source) {
            self.ranks.remove(&rank);
        }
        change(streams_of_source);
        match rank(streams_of_source) {
            Some(rank) => {
                self.ranks.insert(rank);
            }
            None => {
                self.sources.remove(&source);
            }
        }
    }

    /// Whether the stream is open or waits for its close.
    #[must_use]
    pub fn contains(&self, id: SocketId) -> bool {
        self.streams.contains_key(&id) || self.closing.contains(&id)
    }

    /// Adds a stream to the streams to close.
    pub fn close(&mut self, id: SocketId) {
        self.closing.insert(id);
    }

    /// The next stream to close.
    #[must_use]
    pub fn closing(&self) -> Option<SocketId> {
        self.closing.first().copied()
    }

    /// Removes a stream from the streams to close. Returns whether it was among them.
    pub fn closed(&mut self, id: SocketId) -> bool {
        self.closing.remove(&id)
    }

    /// All open streams, including the streams to close.
    pub fn ids(&self) -> impl Iterator<Item = SocketId> {
        self.closing.iter().chain(self.streams.keys()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StreamLimits = StreamLimits { total: 8, source: 4 };

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn ip(last: u8) -> Source {
        core::net::IpAddr::from([192, 0, 2, last]).into()
    }

    /// Admits stream `id` of client `source` at `millis`. Returns the displaced stream, or `Err` if the stream is
    /// refused.
    fn admit(streams: &mut StreamTable<()>, millis: u64, id: u64, source: u8) -> Result<Option<u64>, ()> {
        let admission = streams.admit(at(millis), SocketId(id), ip(source), ());
        check(streams);
        match admission {
            Admission::Admitted => Ok(None),
            Admission::Displaced(SocketId(other), _) => Ok(Some(other)),
            Admission::Refused(()) => Err(()),
        }
    }

    /// Checks that the indexes agree with the table of streams.
    fn check_indexes(streams: &StreamTable<()>) {
        let mut sources = BTreeMap::<_, BTreeSet<_>>::new();
        for (&id, entry) in streams.streams.iter().filter(|(_, entry)| !entry.is_kept) {
            sources.entry(entry.source).or_default().insert((entry.last_message, id));
        }
        assert_eq!(streams.kept, streams.streams.values().filter(|entry| entry.is_kept).count());
        assert_eq!(sources, streams.sources);
        let ranks = sources.iter().map(|(source, of)| (of.len(), Reverse(*of.first().unwrap()), *source));
        assert_eq!(ranks.collect::<BTreeSet<_>>(), streams.ranks);
    }

    /// Checks the indexes and the limits.
    fn check(streams: &StreamTable<()>) {
        check_indexes(streams);
        assert!(streams.len() - streams.kept <= streams.limits.total);
        assert!(streams.sources.values().all(|of| of.len() <= streams.limits.source));
    }

    #[test]
    fn a_source_at_its_limit_displaces_only_its_own_idle_streams() {
        let mut streams = StreamTable::new(LIMITS);
        for id in 0..4 {
            assert_eq!(admit(&mut streams, id, id, 1), Ok(None));
        }
        assert_eq!(admit(&mut streams, 0, 100, 2), Ok(None));
        assert_eq!(admit(&mut streams, 39_499, 5, 1), Err(()));
        streams.renew(at(39_499), SocketId(0));
        assert_eq!(admit(&mut streams, 39_501, 6, 1), Ok(Some(1)), "not the older stream of another source");
        assert_eq!(streams.len(), 5);
    }

    #[test]
    fn at_the_limit_the_source_with_the_most_streams_loses_its_longest_idle_stream() {
        let mut streams = StreamTable::new(LIMITS);
        for (id, source) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 2), (7, 3)] {
            assert_eq!(admit(&mut streams, 10 + id, id, source), Ok(None));
        }
        assert_eq!(admit(&mut streams, 20, 20, 4), Ok(Some(3)), "the second source has four streams");
        // The first and second sources have three streams each, the third and fourth one each.
        assert_eq!(admit(&mut streams, 21, 21, 4), Ok(Some(0)), "the longest idle stream of both sources");
        assert_eq!(admit(&mut streams, 22, 22, 4), Err(()), "no source has more streams than the fourth would have");
        assert_eq!(admit(&mut streams, 23, 23, 3), Ok(Some(4)));
        assert_eq!(admit(&mut streams, 24, 24, 5), Ok(Some(1)), "the other sources have two streams, the fifth none");
        assert_eq!(admit(&mut streams, 25, 25, 5), Err(()));
        assert_eq!(admit(&mut streams, 39_600, 26, 5), Ok(Some(5)), "the idle timeout has passed");
    }

    #[test]
    fn removed_streams_leave_no_entries() {
        let mut streams = StreamTable::new(StreamLimits { total: 100_000, source: 100_000 });
        for id in 0..1000 {
            let source = u8::try_from(id % 251).unwrap();
            streams.admit(at(id), SocketId(id), ip(source), ());
            streams.renew(at(id + 7), SocketId(id / 2));
        }
        check(&streams);
        for id in 0..1000 {
            assert!(streams.forget(SocketId(id)).is_some());
            assert!(streams.forget(SocketId(id)).is_none());
        }
        assert!(streams.streams.is_empty() && streams.sources.is_empty() && streams.ranks.is_empty());
    }

    #[test]
    fn a_kept_stream_is_not_counted_and_not_displaced() {
        let mut streams = StreamTable::new(LIMITS);
        for id in 0..4 {
            assert_eq!(admit(&mut streams, id, id, 1), Ok(None));
            streams.keep(SocketId(id));
            streams.keep(SocketId(id));
            check(&streams);
        }
        for id in 10..14 {
            assert_eq!(admit(&mut streams, id, id, 1), Ok(None));
        }
        assert_eq!((streams.len(), streams.is_kept(SocketId(0)), streams.is_kept(SocketId(10))), (8, true, false));
        assert_eq!(admit(&mut streams, 50_000, 20, 1), Ok(Some(10)), "the longest idle stream that is not kept");
        streams.renew(at(50_000), SocketId(0));
        streams.release(SocketId(1));
        streams.release(SocketId(1));
        check_indexes(&streams);
        assert!(matches!(streams.admit(at(50_001), SocketId(21), ip(1), ()), Admission::Displaced(SocketId(1), ())));
        for id in [0, 2, 3, 11, 12, 13, 20, 21] {
            assert_eq!(streams.forget(SocketId(id)), Some(()), "{id}");
            check_indexes(&streams);
        }
        assert!(streams.is_empty() && streams.sources.is_empty() && streams.ranks.is_empty() && streams.kept == 0);
    }
}
