//! The table of accepted TCP streams (RFC 8489 §6.2.2).
//!
//! Rules of this file: the number of streams is bounded, in all and for each source, and so is the buffer of each. The
//! client closes a stream, not the server. Only a newcomer without a place displaces a stream: the longest silent one of
//! the source that holds most. A stream is silent from its last whole message on; single bytes do not renew it. Nothing
//! scans the table: each operation costs O(log n).

use crate::framing::Framer;
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
    /// The streams of each source, longest silent first. A source without streams has no entry.
    sources: BTreeMap<Source, BTreeSet<Silence>>,
    /// All sources, the next to give up a stream last.
    ranks: BTreeSet<Rank>,
    limits: Limits,
    /// Streams to be closed as soon as the output queue has room; no more than the driver has sockets.
    closing: BTreeSet<SocketId>,
}

/// How many streams are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// In all.
    pub(super) total: usize,
    /// Of one source.
    pub(super) source: usize,
}

/// One accepted stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// The socket pair whose listener accepted it.
    pub(super) endpoint: usize,
    /// The client.
    pub(super) remote: SocketAddr,
    pub(super) framer: Framer,
    /// Whether the driver said that too many bytes wait to be sent on it.
    pub(super) full: bool,
    /// While its source has no replies left.
    pub(super) pause: Option<Pause>,
    /// The time of its last whole message, at first the time of its acceptance.
    heard: Instant,
}

/// The pause of a stream.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    /// Its end.
    pub(super) timer: TimerId,
    /// The request that found no reply left; at most [`Streams::MESSAGE`] bytes.
    pub(super) request: Box<[u8]>,
    /// The address that it came to.
    pub(super) local: SocketAddr,
}

/// The place of a stream in the order of silence.
type Silence = (Instant, SocketId);

/// The place of a source in the order of displacement: by the number of its streams, then by its longest silence.
type Rank = (usize, Reverse<Silence>, Source);

/// What becomes of a newcomer.
#[derive(Debug)]
pub(super) enum Admission {
    /// There was room.
    Admitted,
    /// There was no room, and this stream was displaced.
    Displaced(SocketId, Stream),
    /// There is no room.
    Refused,
}

impl Streams {
    /// The longest message taken from a stream, in bytes; held half-read messages are never longer.
    pub(super) const MESSAGE: usize = 4096;
    /// A stream silent for this long may be displaced by any newcomer: Ti of RFC 8489 §6.2.2, after which no client waits.
    const SILENT: Duration = Duration::from_millis(39_500);

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

    /// Finds a place for a newcomer.
    pub(super) fn admit(&mut self, now: Instant, id: SocketId, endpoint: usize, remote: SocketAddr) -> Admission {
        let source = Source::from(remote.ip());
        let held = self.sources.get(&source).map_or(0, BTreeSet::len);
        let mut admission = Admission::Admitted;
        if self.streams.len() >= self.limits.total || held >= self.limits.source {
            let Some(id) = self.displaced_by(now, source, held) else { return Admission::Refused };
            let Some(stream) = self.forget(id) else { return Admission::Refused };
            admission = Admission::Displaced(id, stream);
        }
        let framer = Framer::new(Self::MESSAGE);
        self.streams.insert(id, Stream { endpoint, remote, framer, full: false, pause: None, heard: now });
        self.change_source(source, |silences| {
            silences.insert((now, id));
        });
        admission
    }

    /// The stream that a newcomer from `source` displaces, which holds `held` streams already.
    ///
    /// A source that is at its limit displaces only its own streams. Otherwise the source with the most streams loses one: at
    /// once if it still holds as many afterwards as the source of the new stream, otherwise only if no answer is pending on
    /// the stream.
    fn displaced_by(&self, now: Instant, source: Source, held: usize) -> Option<SocketId> {
        let (most, (heard, id)) = if held >= self.limits.source {
            (held, *self.sources.get(&source)?.first()?)
        } else {
            let &(most, Reverse(silence), _) = self.ranks.last()?;
            (most, silence)
        };
        (most > held + 1 || now.since(heard) >= Self::SILENT).then_some(id)
    }

    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut Stream> {
        self.streams.get_mut(&id)
    }

    /// A whole message came on the stream.
    pub(super) fn renew(&mut self, now: Instant, id: SocketId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let (source, before) = (Source::from(stream.remote.ip()), core::mem::replace(&mut stream.heard, now));
        if before != now {
            self.change_source(source, |silences| {
                silences.remove(&(before, id));
                silences.insert((now, id));
            });
        }
    }

    /// Removes a stream from the table and returns it; `None` if it is not open.
    pub(super) fn forget(&mut self, id: SocketId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        self.change_source(Source::from(stream.remote.ip()), |silences| {
            silences.remove(&(stream.heard, id));
        });
        Some(stream)
    }

    /// Changes the streams of a source, and its rank with them.
    fn change_source(&mut self, source: Source, change: impl FnOnce(&mut BTreeSet<Silence>)) {
        let rank =
            |silences: &BTreeSet<Silence>| silences.first().map(|first| (silences.len(), Reverse(*first), source));
        let silences = self.sources.entry(source).or_default();
        if let Some(rank) = rank(silences) {
            self.ranks.remove(&rank);
        }
        change(silences);
        match rank(silences) {
            Some(rank) => {
                self.ranks.insert(rank);
            }
            None => {
                self.sources.remove(&source);
            }
        }
    }

    /// Whether the stream is open, or is to be closed.
    pub(super) fn knows(&self, id: SocketId) -> bool {
        self.streams.contains_key(&id) || self.closing.contains(&id)
    }

    /// Queues a stream to be closed.
    pub(super) fn close(&mut self, id: SocketId) {
        self.closing.insert(id);
    }

    /// The next stream to be closed, until it is [`closed`](Self::closed).
    pub(super) fn closing(&self) -> Option<SocketId> {
        self.closing.first().copied()
    }

    /// The stream is closed, or needs no close any more. Returns whether it was to be closed.
    pub(super) fn closed(&mut self, id: SocketId) -> bool {
        self.closing.remove(&id)
    }

    /// All streams that are open, those to be closed too.
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

    /// Stream `id` of client `source` comes after `millis`; returns the stream that it displaces.
    fn admit(streams: &mut Streams, millis: u64, id: u64, source: u8) -> Result<Option<u64>, ()> {
        let admission = streams.admit(at(millis), SocketId(id), 0, ([192, 0, 2, source], 5000).into());
        check(streams);
        match admission {
            Admission::Admitted => Ok(None),
            Admission::Displaced(SocketId(other), _) => Ok(Some(other)),
            Admission::Refused => Err(()),
        }
    }

    /// The indexes agree with the table of streams.
    fn check(streams: &Streams) {
        let mut sources = BTreeMap::<_, BTreeSet<_>>::new();
        for (&id, stream) in &streams.streams {
            sources.entry(Source::from(stream.remote.ip())).or_default().insert((stream.heard, id));
        }
        assert_eq!(sources, streams.sources);
        let ranks = sources.iter().map(|(source, of)| (of.len(), Reverse(*of.first().unwrap()), *source));
        assert_eq!(ranks.collect::<BTreeSet<_>>(), streams.ranks);
        assert!(streams.len() <= streams.limits.total);
        assert!(sources.values().all(|of| of.len() <= streams.limits.source));
    }

    #[test]
    fn a_source_at_its_limit_displaces_only_its_own_silent_streams() {
        let mut streams = Streams::new(LIMITS);
        for id in 0..4 {
            assert_eq!(admit(&mut streams, id, id, 1), Ok(None));
        }
        assert_eq!(admit(&mut streams, 0, 100, 2), Ok(None));
        assert_eq!(admit(&mut streams, 39_499, 5, 1), Err(()));
        streams.renew(at(39_499), SocketId(0));
        assert_eq!(admit(&mut streams, 39_501, 6, 1), Ok(Some(1)), "not the older one of another");
        assert_eq!(streams.len(), 5);
    }

    #[test]
    fn a_full_table_takes_from_the_source_that_holds_most_its_longest_silent_stream() {
        let mut streams = Streams::new(LIMITS);
        for (id, source) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 2), (7, 3)] {
            assert_eq!(admit(&mut streams, 10 + id, id, source), Ok(None));
        }
        assert_eq!(admit(&mut streams, 20, 20, 4), Ok(Some(3)), "the second holds four");
        // Three of the first, three of the second, one of the third, one of the fourth.
        assert_eq!(admit(&mut streams, 21, 21, 4), Ok(Some(0)), "the longest silent of both");
        assert_eq!(admit(&mut streams, 22, 22, 4), Err(()), "no source holds more than this source would");
        assert_eq!(admit(&mut streams, 23, 23, 3), Ok(Some(4)));
        assert_eq!(admit(&mut streams, 24, 24, 5), Ok(Some(1)), "two each, and it has none");
        assert_eq!(admit(&mut streams, 25, 25, 5), Err(()));
        assert_eq!(admit(&mut streams, 39_600, 26, 5), Ok(Some(5)), "its peer has stopped waiting");
    }

    #[test]
    fn what_is_forgotten_leaves_nothing_behind() {
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
