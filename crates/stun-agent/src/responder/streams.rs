//! The table of accepted TCP streams (RFC 8489 §6.2.2).
//!
//! Rules of this file: the number of streams is bounded, in total and for each source. The buffer of each stream is
//! bounded. The client closes a stream, not the server, except that a new stream at the limit displaces another. The
//! displaced stream is the longest idle stream of the source with the most streams. The idle time of a stream counts
//! from its last whole message; single bytes do not reset it. Each operation costs O(log n).

use crate::framing::{ChannelDataPolicy, Framer};
use crate::source::Source;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, SocketId, TimerId};

/// The accepted streams.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    streams: BTreeMap<SocketId, Stream>,
    /// The streams of each source, longest idle first. A source without streams has no entry.
    sources: BTreeMap<Source, BTreeSet<IdleSince>>,
    /// All sources in the order of displacement. The last source loses the next stream.
    ranks: BTreeSet<Rank>,
    limits: Limits,
    /// The streams to close when the output queue has space. They are at most as many as the driver has sockets.
    closing: BTreeSet<SocketId>,
}

/// The limits of the number of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// The limit of all streams.
    pub(super) total: usize,
    /// The limit of the streams of one source.
    pub(super) source: usize,
}

/// One accepted stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// The index of the endpoint whose listener accepted the stream.
    pub(super) endpoint: usize,
    /// The client.
    pub(super) remote: SocketAddr,
    pub(super) framer: Framer,
    /// Whether the driver reported that the send buffer is full.
    pub(super) full: bool,
    /// The pause, while the source is above its rate.
    pub(super) pause: Option<Pause>,
    /// The time of the last whole message, initially the time of acceptance.
    last_message: Instant,
}

/// A pause of a stream.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    /// The timer of its end.
    pub(super) timer: TimerId,
    /// The request above the rate; at most [`Streams::MESSAGE`] bytes.
    pub(super) request: Box<[u8]>,
    /// The local address that received the request.
    pub(super) local: SocketAddr,
}

/// The position of a stream in the order of idle time.
type IdleSince = (Instant, SocketId);

/// The position of a source in the order of displacement: by the number of its streams, then by its longest idle
/// time.
type Rank = (usize, Reverse<IdleSince>, Source);

/// The result of the admission of a new stream.
#[derive(Debug)]
pub(super) enum Admission {
    /// The stream is accepted.
    Admitted,
    /// The stream is accepted, and this stream is displaced.
    Displaced(SocketId, Stream),
    /// The stream is refused.
    Refused,
}

impl Streams {
    /// The longest message of a stream in bytes, and the limit of the buffer of each stream.
    pub(super) const MESSAGE: usize = 4096;
    /// The idle time after which any new stream can displace a stream: Ti of RFC 8489 §6.2.2, the time that a client
    /// waits for a response.
    const IDLE_TIMEOUT: Duration = Duration::from_millis(39_500);

    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            streams: BTreeMap::new(),
            sources: BTreeMap::new(),
            ranks: BTreeSet::new(),
            limits,
            closing: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Adds a new stream, if the limits allow it or another stream can be displaced.
    pub(super) fn admit(&mut self, now: Instant, id: SocketId, endpoint: usize, remote: SocketAddr) -> Admission {
        let source = Source::from(remote.ip());
        let held = self.sources.get(&source).map_or(0, BTreeSet::len);
        let mut admission = Admission::Admitted;
        if self.streams.len() >= self.limits.total || held >= self.limits.source {
            let Some(id) = self.displaced_by(now, source, held) else { return Admission::Refused };
            let Some(stream) = self.forget(id) else { return Admission::Refused };
            admission = Admission::Displaced(id, stream);
        }
        let framer = Framer::new(Self::MESSAGE, ChannelDataPolicy::Refuse);
        self.streams.insert(id, Stream { endpoint, remote, framer, full: false, pause: None, last_message: now });
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

    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut Stream> {
        self.streams.get_mut(&id)
    }

    /// Resets the idle time of a stream after a whole message.
    pub(super) fn renew(&mut self, now: Instant, id: SocketId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let (source, before) = (Source::from(stream.remote.ip()), core::mem::replace(&mut stream.last_message, now));
        if before != now {
            self.change_source(source, |streams_of_source| {
                streams_of_source.remove(&(before, id));
                streams_of_source.insert((now, id));
            });
        }
    }

    /// Removes a stream from the table and returns it; `None` if it is not open.
    pub(super) fn forget(&mut self, id: SocketId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        self.change_source(Source::from(stream.remote.ip()), |streams_of_source| {
            streams_of_source.remove(&(stream.last_message, id));
        });
        Some(stream)
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
    pub(super) fn contains(&self, id: SocketId) -> bool {
        self.streams.contains_key(&id) || self.closing.contains(&id)
    }

    /// Adds a stream to the streams to close.
    pub(super) fn close(&mut self, id: SocketId) {
        self.closing.insert(id);
    }

    /// The next stream to close.
    pub(super) fn closing(&self) -> Option<SocketId> {
        self.closing.first().copied()
    }

    /// Removes a stream from the streams to close. Returns whether it was among them.
    pub(super) fn closed(&mut self, id: SocketId) -> bool {
        self.closing.remove(&id)
    }

    /// All open streams, including the streams to close.
    pub(super) fn ids(&self) -> impl Iterator<Item = SocketId> {
        self.closing.iter().chain(self.streams.keys()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { total: 8, source: 4 };

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// Admits stream `id` of client `source` at `millis`. Returns the displaced stream, or `Err` if the stream is
    /// refused.
    fn admit(streams: &mut Streams, millis: u64, id: u64, source: u8) -> Result<Option<u64>, ()> {
        let admission = streams.admit(at(millis), SocketId(id), 0, ([192, 0, 2, source], 5000).into());
        check(streams);
        match admission {
            Admission::Admitted => Ok(None),
            Admission::Displaced(SocketId(other), _) => Ok(Some(other)),
            Admission::Refused => Err(()),
        }
    }

    /// Checks that the indexes agree with the table of streams.
    fn check(streams: &Streams) {
        let mut sources = BTreeMap::<_, BTreeSet<_>>::new();
        for (&id, stream) in &streams.streams {
            sources.entry(Source::from(stream.remote.ip())).or_default().insert((stream.last_message, id));
        }
        assert_eq!(sources, streams.sources);
        let ranks = sources.iter().map(|(source, of)| (of.len(), Reverse(*of.first().unwrap()), *source));
        assert_eq!(ranks.collect::<BTreeSet<_>>(), streams.ranks);
        assert!(streams.len() <= streams.limits.total);
        assert!(sources.values().all(|of| of.len() <= streams.limits.source));
    }

    #[test]
    fn a_source_at_its_limit_displaces_only_its_own_idle_streams() {
        let mut streams = Streams::new(LIMITS);
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
        let mut streams = Streams::new(LIMITS);
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
        let mut streams = Streams::new(Limits { total: 100_000, source: 100_000 });
        for id in 0..1000 {
            let source = u8::try_from(id % 251).unwrap();
            streams.admit(at(id), SocketId(id), 0, ([192, 0, 2, source], 5000).into());
            streams.renew(at(id + 7), SocketId(id / 2));
        }
        check(&streams);
        for id in 0..1000 {
            assert!(streams.forget(SocketId(id)).is_some());
            assert!(streams.forget(SocketId(id)).is_none());
        }
        assert!(streams.streams.is_empty() && streams.sources.is_empty() && streams.ranks.is_empty());
    }
}
