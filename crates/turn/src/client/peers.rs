//! The permissions and channels of one allocation: which are wanted, requested, granted or refused.
//!
//! Rules of this file: each peer has a state of its own, so a refused peer has no effect on another. A permission is
//! used only after its success. A peer keeps its channel number over retries, and a number is given to another peer only
//! after its binding and the wait of RFC 8656 §12 have ended. The functions send nothing: they return the next request.
//!
//! RFC 8656 §9, §10 (permissions), §12 (channels).

use super::view::PermissionState;
use crate::ClientError;
use crate::event::{Outcome, Step};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;
use portolan_machine::{Instant, TimerId};
use portolan_stun::Method;

/// The peers of one allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    entries: BTreeMap<PeerKey, Entry>,
    numbers: BTreeMap<u16, SocketAddr>,
    /// The entries whose request is to be sent.
    waiting: VecDeque<PeerKey>,
    /// The number after the last number that was given.
    next_number: u16,
}

/// A permission or a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeerKey {
    Permission(IpAddr),
    Channel(SocketAddr),
}

/// The state of a permission or a channel.
#[derive(Clone, Debug)]
struct Entry {
    state: State,
    /// The channel number; 0 for a permission.
    number: u16,
    /// Whether its success was reported.
    is_reported: bool,
    /// The failed requests since the last success.
    steps: Vec<Step>,
    timer: Option<TimerId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The request is to be sent.
    Wanted,
    /// The request is pending.
    Requested,
    /// Granted until this time; a refresh is pending if `renewing`.
    Granted { until: Instant, renewing: bool },
    /// Refused.
    Failed,
    /// A removed channel. Its number stays reserved until its timer is due.
    Removed,
}

/// What follows from the end of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// Nothing: the entry was removed, or its success was reported before.
    Nothing,
    /// The first success, with the channel number.
    Added(u16),
    /// The request is to be sent again.
    Again,
    /// The peer failed after these steps.
    Failed(Vec<Step>),
}

/// The first channel number, and the count of channel numbers (RFC 8656 §12).
const FIRST_NUMBER: u16 = 0x4000;
const NUMBERS: u16 = 0x1000;
/// The lifetime of a permission, which is also the time of the shorter part of a channel binding (RFC 8656 §9).
pub(super) const PERMISSION: Duration = Duration::from_secs(300);
/// The time from a success to the next request.
pub(super) const REFRESH: Duration = Duration::from_secs(240);
/// The time for which the number of a removed channel is not used for another peer. It is the sum of the lifetime of a
/// binding, the wait of RFC 8656 §12, and the longest schedule of a pending request.
pub(super) const QUARANTINE: Duration = Duration::from_secs(600 + 300 + 40);
/// The number of requests without a response before a new peer fails.
const TRIES: usize = 2;
/// The largest number of failed requests in a row of one peer.
const STEPS: usize = 8;

impl PeerKey {
    pub(super) fn channel(peer: SocketAddr) -> Self {
        Self::Channel(SocketAddr::new(peer.ip(), peer.port()))
    }

    pub(super) const fn ip(self) -> IpAddr {
        match self {
            Self::Permission(ip) => ip,
            Self::Channel(peer) => peer.ip(),
        }
    }

    pub(super) const fn method(self) -> Method {
        match self {
            Self::Permission(_) => Method::CREATE_PERMISSION,
            Self::Channel(_) => Method::CHANNEL_BIND,
        }
    }
}

impl Peers {
    /// The largest number of permissions and channels, removed channels included.
    pub(super) const LIMIT: usize = 1024;

    /// Adds a permission or a channel, or requests it again after a failure. Returns whether a request follows.
    pub(super) fn add(&mut self, key: PeerKey) -> Result<bool, ClientError> {
        if let Some(entry) = self.entries.get_mut(&key) {
            if !matches!(entry.state, State::Failed | State::Removed) {
                return Ok(false);
            }
            (entry.state, entry.is_reported) = (State::Wanted, false);
            entry.steps.clear();
            self.waiting.push_back(key);
            return Ok(true);
        }
        if self.entries.len() >= Self::LIMIT {
            return Err(ClientError::Full { limit: Self::LIMIT });
        }
        let number = match key {
            PeerKey::Permission(_) => 0,
            PeerKey::Channel(peer) => self.take_number(peer),
        };
        let entry = Entry { state: State::Wanted, number, is_reported: false, steps: Vec::new(), timer: None };
        self.entries.insert(key, entry);
        self.waiting.push_back(key);
        Ok(true)
    }

    /// Gives the next free number to a peer. One exists, because the entries are limited to fewer than the numbers.
    fn take_number(&mut self, peer: SocketAddr) -> u16 {
        let mut offset = self.next_number;
        while self.numbers.contains_key(&(FIRST_NUMBER + offset)) {
            offset = (offset + 1) % NUMBERS;
        }
        let number = FIRST_NUMBER + offset;
        self.next_number = (offset + 1) % NUMBERS;
        self.numbers.insert(number, peer);
        number
    }

    /// The keys of a peer.
    pub(super) fn of_peer(&self, ip: IpAddr) -> Vec<PeerKey> {
        let channels = self.channels_of(ip).map(|(key, _)| *key);
        let permission = PeerKey::Permission(ip);
        self.entries.contains_key(&permission).then_some(permission).into_iter().chain(channels).collect()
    }

    /// Removes a permission or a channel, and returns its timer. The number of a channel stays reserved.
    pub(super) fn remove(&mut self, key: PeerKey) -> Option<TimerId> {
        self.waiting.retain(|waiting| *waiting != key);
        match key {
            PeerKey::Permission(_) => self.entries.remove(&key)?.timer,
            PeerKey::Channel(_) => {
                let entry = self.entries.get_mut(&key)?;
                entry.state = State::Removed;
                entry.timer.take()
            }
        }
    }

    /// The next entry whose request is to be sent, with its channel number. It counts as requested.
    pub(super) fn next_request(&mut self) -> Option<(PeerKey, u16)> {
        while let Some(key) = self.waiting.pop_front() {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            match &mut entry.state {
                State::Wanted => entry.state = State::Requested,
                State::Granted { renewing, .. } => *renewing = true,
                State::Requested | State::Failed | State::Removed => continue,
            }
            return Some((key, entry.number));
        }
        None
    }

    /// Records a success at `now`.
    pub(super) fn succeed(&mut self, now: Instant, key: PeerKey) -> Settled {
        let Some(entry) = self.entries.get_mut(&key) else { return Settled::Nothing };
        if entry.state == State::Removed {
            return Settled::Nothing;
        }
        entry.state = State::Granted { until: now + PERMISSION, renewing: false };
        entry.steps.clear();
        if core::mem::replace(&mut entry.is_reported, true) { Settled::Nothing } else { Settled::Added(entry.number) }
    }

    /// Records a failed request. After a timeout the request is sent again: up to [`TRIES`] times for a new peer, and
    /// until the end of the lifetime for a granted one. At most [`STEPS`] requests in a row fail.
    pub(super) fn fail(&mut self, key: PeerKey, step: Step) -> Settled {
        let Some(entry) = self.entries.get_mut(&key) else { return Settled::Nothing };
        let (now, is_timeout) = (step.at, step.outcome == Outcome::TimedOut);
        let is_transient = step.outcome.is_transient() && entry.steps.len() + 1 < STEPS;
        entry.steps.push(step);
        let timeouts = entry.steps.iter().filter(|step| step.outcome == Outcome::TimedOut).count();
        let again = match entry.state {
            State::Requested => (is_transient && timeouts < TRIES).then_some(State::Wanted),
            State::Granted { until, .. } => {
                let is_over = is_timeout && now >= until;
                (is_transient && !is_over).then_some(State::Granted { until, renewing: false })
            }
            State::Wanted | State::Failed | State::Removed => return Settled::Nothing,
        };
        match again {
            Some(state) => {
                entry.state = state;
                self.waiting.push_back(key);
                Settled::Again
            }
            None => {
                entry.state = State::Failed;
                Settled::Failed(core::mem::take(&mut entry.steps))
            }
        }
    }

    /// Handles the timer of an entry: a granted entry is to be refreshed, and a removed channel is forgotten.
    pub(super) fn timer_due(&mut self, key: PeerKey) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.timer = None;
        match entry.state {
            State::Granted { renewing: false, .. } => self.waiting.push_back(key),
            State::Removed => {
                let number = entry.number;
                self.entries.remove(&key);
                self.numbers.remove(&number);
            }
            State::Granted { renewing: true, .. } | State::Wanted | State::Requested | State::Failed => {}
        }
    }

    /// Stores the timer of an entry, and returns the previous one.
    pub(super) fn set_timer(&mut self, key: PeerKey, timer: TimerId) -> Option<TimerId> {
        self.entries.get_mut(&key)?.timer.replace(timer)
    }

    /// The timers of all entries, which are forgotten.
    pub(super) fn take_timers(&mut self) -> Vec<TimerId> {
        self.entries.values_mut().filter_map(|entry| entry.timer.take()).collect()
    }

    /// Whether no request is pending or to be sent.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty() && !self.entries.values().any(|e| matches!(e.state, State::Wanted | State::Requested))
    }

    /// The same peers for another allocation, all of them wanted. Refused and removed peers are left out.
    pub(super) fn renewed(&self, keeps_reports: bool) -> Self {
        let is_wanted = |entry: &Entry| !matches!(entry.state, State::Failed | State::Removed);
        let mut renewed = Self { next_number: self.next_number, ..Self::default() };
        for (key, entry) in self.entries.iter().filter(|(_, entry)| is_wanted(entry)) {
            let is_reported = keeps_reports && entry.is_reported;
            let fresh = Entry { state: State::Wanted, is_reported, steps: Vec::new(), timer: None, ..entry.clone() };
            renewed.entries.insert(*key, fresh);
            renewed.waiting.push_back(*key);
            if let PeerKey::Channel(peer) = key {
                renewed.numbers.insert(entry.number, *peer);
            }
        }
        renewed
    }

    /// The peer of a channel number, if the client has requested or has the channel.
    ///
    /// The server relays from the moment of its success response, which can be lost or reordered.
    pub(super) fn peer_of(&self, number: u16) -> Option<SocketAddr> {
        let peer = *self.numbers.get(&number)?;
        let entry = self.entries.get(&PeerKey::Channel(peer))?;
        matches!(entry.state, State::Granted { .. } | State::Requested).then_some(peer)
    }

    /// The confirmed channel number of a peer.
    pub(super) fn number_of(&self, peer: SocketAddr) -> Option<u16> {
        let entry = self.entries.get(&PeerKey::channel(peer))?;
        matches!(entry.state, State::Granted { .. }).then_some(entry.number)
    }

    /// Whether a permission, or a channel, of this address is confirmed.
    pub(super) fn is_permitted(&self, ip: IpAddr) -> bool {
        let is_granted = |entry: &Entry| matches!(entry.state, State::Granted { .. });
        self.entries.get(&PeerKey::Permission(ip)).is_some_and(is_granted)
            || self.channels_of(ip).any(|(_, entry)| is_granted(entry))
    }

    /// Whether data of this address is accepted: a permission or a channel is confirmed, or its response is pending.
    pub(super) fn may_receive(&self, ip: IpAddr) -> bool {
        let may = |entry: &Entry| matches!(entry.state, State::Granted { .. } | State::Requested);
        self.entries.get(&PeerKey::Permission(ip)).is_some_and(may) || self.channels_of(ip).any(|(_, entry)| may(entry))
    }

    /// The state of the permission of this address. A channel that was refused says nothing about the permission.
    pub(super) fn permission(&self, ip: IpAddr) -> PermissionState {
        let permission = self.entries.get(&PeerKey::Permission(ip));
        let states = || permission.into_iter().chain(self.channels_of(ip).map(|(_, entry)| entry)).map(|e| e.state);
        if states().any(|state| matches!(state, State::Granted { .. })) {
            PermissionState::Granted
        } else if states().any(|state| matches!(state, State::Wanted | State::Requested)) {
            PermissionState::Pending
        } else if permission.is_some() {
            PermissionState::Denied
        } else {
            PermissionState::Absent
        }
    }

    /// The addresses whose permission was requested.
    pub(super) fn permissions(&self) -> impl Iterator<Item = IpAddr> {
        // Permissions are before channels in the order of the keys.
        self.entries.keys().map_while(|key| match key {
            PeerKey::Permission(ip) => Some(*ip),
            PeerKey::Channel(_) => None,
        })
    }

    /// Whether this permission or channel is confirmed.
    pub(super) fn is_granted(&self, key: PeerKey) -> bool {
        self.entries.get(&key).is_some_and(|entry| matches!(entry.state, State::Granted { .. }))
    }

    /// Whether a request is to be sent.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn channels_of(&self, ip: IpAddr) -> impl Iterator<Item = (&PeerKey, &Entry)> {
        let (first, last) = match ip {
            IpAddr::V4(_) => (SocketAddr::new(ip, 0), SocketAddr::new(ip, u16::MAX)),
            IpAddr::V6(v6) => (v6_at(v6, 0), v6_at(v6, u16::MAX)),
        };
        self.entries.range(PeerKey::Channel(first)..=PeerKey::Channel(last))
    }

    /// The number of entries, removed channels included.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn v6_at(ip: Ipv6Addr, port: u16) -> SocketAddr {
    SocketAddrV6::new(ip, port, 0, 0).into()
}

#[cfg(test)]
mod tests;
