//! The requests of a gatherer: those that wait for the pacer, and those in flight.
//!
//! Rules of this file: this part decides which request is next, and why a request failed. It sends nothing. Requests
//! of a round come before keepalives.

use super::ServerFailure;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{SocketId, Unreachability};
use portolan_stun_agent::{Schedule, TransactionId};

/// The request of one base to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) socket: SocketId,
    pub(super) server: SocketAddr,
    pub(super) purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find a candidate.
    Gather,
    /// To keep the mapping of a candidate.
    Keepalive,
}

/// The evidence about a request in flight.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    tag: Tag,
    unreachable: Option<Unreachability>,
    /// The number of sends that were reported unreachable, and the number of the last such send.
    unreachable_sends: (u32, u32),
    is_undecodable: bool,
    elsewhere: Option<SocketAddr>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    /// The requests of the round that wait.
    asks: VecDeque<Tag>,
    /// The keepalives that wait.
    keepalives: VecDeque<Tag>,
    in_flight: BTreeMap<TransactionId, InFlight>,
    /// The number of keepalives in flight.
    keepalives_in_flight: usize,
}

impl Requests {
    /// The largest number of requests of a round, waiting or in flight.
    pub(super) const ASKS: usize = 160;
    /// The largest number of keepalives in flight.
    pub(super) const KEEPALIVES: usize = 48;
    /// A request is given up after this number of sends that were reported unreachable.
    const UNREACHABLE_SENDS: u32 = 3;

    /// The number of requests of the round that have not ended.
    pub(super) fn gathering(&self) -> usize {
        self.asks.len() + self.in_flight.len() - self.keepalives_in_flight
    }

    /// Adds a request. Returns `false` if too many have not ended.
    pub(super) fn add(&mut self, tag: Tag) -> bool {
        match tag.purpose {
            Purpose::Gather if self.gathering() >= Self::ASKS => return false,
            Purpose::Gather => self.asks.push_back(tag),
            Purpose::Keepalive => self.keepalives.push_back(tag),
        }
        true
    }

    /// Whether a request waits only for the pacer.
    pub(super) fn has_next(&self) -> bool {
        !self.asks.is_empty() || self.has_next_keepalive()
    }

    fn has_next_keepalive(&self) -> bool {
        !self.keepalives.is_empty() && self.keepalives_in_flight < Self::KEEPALIVES
    }

    /// Removes and returns the next request to start.
    pub(super) fn take_next(&mut self) -> Option<Tag> {
        if let Some(tag) = self.asks.pop_front() {
            return Some(tag);
        }
        if self.has_next_keepalive() { self.keepalives.pop_front() } else { None }
    }

    pub(super) fn start(&mut self, id: TransactionId, tag: Tag) {
        self.keepalives_in_flight += usize::from(tag.purpose == Purpose::Keepalive);
        let request =
            InFlight { tag, unreachable: None, unreachable_sends: (0, 0), is_undecodable: false, elsewhere: None };
        self.in_flight.insert(id, request);
    }

    /// Removes a request that has ended. `failure` is the reason if it was a timeout.
    pub(super) fn end(&mut self, id: TransactionId, sends: u32) -> Option<ServerFailure> {
        let request = self.in_flight.remove(&id)?;
        self.keepalives_in_flight -= usize::from(request.tag.purpose == Purpose::Keepalive);
        Some(match (request.is_undecodable, request.elsewhere, request.unreachable) {
            (true, ..) => ServerFailure::Undecodable { sends },
            (false, Some(from), _) => ServerFailure::Elsewhere { from },
            (false, None, Some(why)) => ServerFailure::Unreachable(why),
            (false, None, None) => ServerFailure::Timeout { sends },
        })
    }

    pub(super) fn is_in_flight(&self, id: TransactionId) -> bool {
        self.in_flight.contains_key(&id)
    }

    pub(super) fn set_undecodable(&mut self, id: TransactionId) {
        if let Some(request) = self.in_flight.get_mut(&id) {
            request.is_undecodable = true;
        }
    }

    pub(super) fn set_elsewhere(&mut self, id: TransactionId, from: SocketAddr) {
        if let Some(request) = self.in_flight.get_mut(&id) {
            request.elsewhere = Some(from);
        }
    }

    /// Records that send number `send` is reported unreachable. Returns whether the request is to be given up. One
    /// report is no proof: ICMP messages are not authenticated.
    pub(super) fn set_unreachable(&mut self, id: TransactionId, why: Unreachability, send: u32) -> bool {
        let Some(request) = self.in_flight.get_mut(&id) else { return false };
        request.unreachable = Some(why);
        let (count, last) = &mut request.unreachable_sends;
        if *last < send {
            (*count, *last) = (*count + 1, send);
        }
        *count >= Self::UNREACHABLE_SENDS
    }

    /// Removes the waiting requests that `applies` selects, and returns the ids of those in flight.
    pub(super) fn withdraw(&mut self, applies: impl Fn(&Tag) -> bool) -> Vec<TransactionId> {
        self.asks.retain(|tag| !applies(tag));
        self.keepalives.retain(|tag| !applies(tag));
        self.in_flight.iter().filter(|(_, request)| applies(&request.tag)).map(|(id, _)| *id).collect()
    }
}

/// Returns the RTO of a request among `count` requests (RFC 8445 §14.3).
pub(super) fn retransmission_timeout(pacing: Duration, count: usize) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    pacing.saturating_mul(count).max(Duration::from_millis(500))
}

/// Returns the schedule of RFC 8489 §6.2.1 with this RTO, ended after `timeout`.
pub(super) fn schedule(rto: Duration, timeout: Duration) -> Schedule {
    const RC: u8 = 7;
    const RM: u8 = 16;
    let offset = |send: u8| rto.saturating_mul((1 << send) - 1);
    let last = (1..RC).take_while(|send| offset(*send) < timeout).last().unwrap_or(0);
    let tail = timeout.saturating_sub(offset(last)).min(rto.saturating_mul(u32::from(RM)));
    Schedule::doubling(rto, last + 1, RM).tail(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sends(rto: u64, timeout: u64) -> (Vec<u128>, u128) {
        let schedule = schedule(Duration::from_millis(rto), Duration::from_millis(timeout));
        let sends: Vec<_> = (0..20).map_while(|n| schedule.offset(n)).map(|at| at.as_millis()).collect();
        let end = sends.last().copied().unwrap_or_default() + schedule.tail_after().as_millis();
        (sends, end)
    }

    #[test]
    fn rfc8445_14_3_the_rto_grows_with_the_number_of_candidates() {
        let rto = |count| retransmission_timeout(Duration::from_millis(50), count).as_millis();
        assert_eq!([rto(0), rto(10), rto(11), rto(64)], [500, 500, 550, 3200]);
    }

    #[test]
    fn a_request_ends_after_its_timeout_or_earlier() {
        assert_eq!(sends(500, 39_500), ([0, 500, 1500, 3500, 7500, 15_500, 31_500].into(), 39_500));
        assert_eq!(sends(500, 100_000).1, 39_500, "Rm x RTO after the last send");
        assert_eq!(sends(3200, 39_500), ([0, 3200, 9600, 22_400].into(), 39_500));
        assert_eq!(sends(500, 1500), ([0, 500].into(), 1500));
        assert_eq!(sends(500, 300), ([0].into(), 300));
    }
}
