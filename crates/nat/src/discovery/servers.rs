//! The servers of one family, with their states.
//!
//! Rules of this file: it stores state, and sends nothing. Two servers are used at first. [`Servers::join`] adds the
//! next one in the given order; further addresses of a server come last.

use crate::profile::{Family, Flaw, ServerReport};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, Unreachability};

use super::action::Action;
use super::address::is_valid_other;
use super::config::StunServer;
use super::filtering::{Other, Outcome, Proof};
use super::plan::{ALTERNATE_TIMEOUT, PATH_CHECK, SERVER_TIMEOUT};
use super::series::Series;
use super::tag::Target;

/// The number of servers that are used at first.
const AT_FIRST: usize = 2;

/// The state of a server.
#[derive(Clone, Debug)]
pub(super) struct ServerState {
    /// The place in the given list. Several addresses of one server share it.
    pub(super) index: usize,
    pub(super) address: SocketAddr,
    /// The time of the first request.
    pub(super) sent_at: Option<Instant>,
    /// The endpoints that it reported for the mapping socket at its primary address.
    pub(super) seen: Series,
    /// The shortest time from a first send to its response.
    pub(super) rtt: Option<Duration>,
    pub(super) other: Other,
    /// The outcomes of the plain requests from the mapping socket, for each address of the server.
    pub(super) targets: [RequestState; 3],
    /// The outcome of CHANGE-REQUEST on the mapping socket, where no filter drops the response.
    pub(super) proof: ProofState,
    pub(super) unreachable: Option<Unreachability>,
    pub(super) flaws: Vec<Flaw>,
}

/// The CHANGE-REQUEST on the mapping socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProofState {
    pub(super) request: RequestState,
    /// Whether it requested the other address and port.
    pub(super) is_whole: bool,
}

/// A request to one address of a server, and its outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestState {
    pub(super) planned: bool,
    /// Whether it is the second request, after an interruption of the path.
    pub(super) is_second: bool,
    /// Whether no further response comes.
    pub(super) is_over: bool,
    /// Whether a datagram came from its destination, on any socket.
    pub(super) is_heard: bool,
    pub(super) sent_at: Option<Instant>,
    pub(super) outcome: Outcome,
}

impl RequestState {
    pub(super) fn is_waiting(&self) -> bool {
        self.planned && self.outcome == Outcome::Waiting
    }

    pub(super) fn is_answered(&self) -> bool {
        matches!(self.outcome, Outcome::Answered(_))
    }

    /// Records the end of the request, without a further response. `again`: it is sent again.
    pub(super) fn end(&mut self, again: bool, sends: u32) {
        if again {
            (self.planned, self.is_second) = (false, true);
        } else {
            self.is_over = true;
            if self.outcome == Outcome::Waiting {
                self.outcome = Outcome::Silence(sends);
            }
        }
    }

    /// The time at which another server is used, if this request is not answered.
    pub(super) fn timeout_at(&self) -> Option<Instant> {
        self.sent_at.map(|at| at + ALTERNATE_TIMEOUT).filter(|_| self.outcome == Outcome::Waiting)
    }
}

impl ServerState {
    fn new(index: usize, address: SocketAddr) -> Self {
        Self {
            index,
            address,
            sent_at: None,
            seen: Series::default(),
            rtt: None,
            other: Other::Unknown,
            targets: [RequestState::default(); 3],
            proof: ProofState::default(),
            unreachable: None,
            flaws: Vec::new(),
        }
    }

    pub(super) fn target(&mut self, target: Target) -> &mut RequestState {
        let [primary, other_address, other_both] = &mut self.targets;
        match target {
            Target::Primary => primary,
            Target::OtherAddress => other_address,
            Target::OtherBoth => other_both,
        }
    }

    pub(super) const fn proof(&self) -> Proof {
        Proof { outcome: self.proof.request.outcome, is_whole: self.proof.is_whole }
    }

    pub(super) const fn alternate(&self) -> &RequestState {
        let [_, _, other_both] = &self.targets;
        other_both
    }

    /// The address of a target, if it is known.
    pub(super) fn address_of(&self, target: Target) -> Option<SocketAddr> {
        match (target, self.other) {
            (Target::Primary, _) => Some(self.address),
            (Target::OtherAddress, Other::Valid(other)) => Some(SocketAddr::new(other.ip(), self.address.port())),
            (Target::OtherBoth, Other::Valid(other)) => Some(other),
            (_, Other::Unknown | Other::None | Other::Invalid) => None,
        }
    }

    /// Whether the mapped addresses of the server are trusted.
    pub(super) fn is_trusted(&self) -> bool {
        !self.flaws.iter().any(|flaw| {
            matches!(flaw, Flaw::Unstable | Flaw::SameForAll | Flaw::Contradicted | Flaw::MappedAddressInvalid)
        })
    }

    pub(super) const fn primary_is_over(&self) -> bool {
        let [primary, ..] = &self.targets;
        primary.is_over
    }

    /// The endpoint that it reports since the NAT made another mapping for the socket.
    pub(super) fn rebound(&self) -> Option<SocketAddr> {
        self.seen.later().filter(|_| self.seen.is_rebound(self.primary_is_over()))
    }

    /// Whether the server has named a valid second address.
    pub(super) const fn is_capable(&self) -> bool {
        matches!(self.other, Other::Valid(_))
    }

    /// Whether the timeout of a server without a response has not expired.
    pub(super) fn is_pending(&self, now: Instant) -> bool {
        self.rtt.is_none()
            && self.unreachable.is_none()
            && self.flaws.is_empty()
            && self.sent_at.is_none_or(|at| now < at + SERVER_TIMEOUT)
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.rtt.is_none() && self.sent_at.is_some_and(|at| at + SERVER_TIMEOUT <= now)
    }
}

/// All servers of one family, in the order in which they are used.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    all: Vec<ServerState>,
    joined: usize,
    /// The number of silent servers that have been replaced.
    replaced: usize,
    /// The servers that are only further destinations for the mapping test.
    samples: Vec<u8>,
    /// The time of the last datagram from a server.
    heard_at: Option<Instant>,
    /// The time of the first one.
    first_heard_at: Option<Instant>,
}

impl Servers {
    /// The servers with an address in `family`; first addresses first.
    pub(super) fn new(given: &[StunServer], family: Family) -> Self {
        let of_family = |server: &StunServer, nth: usize| {
            server.addresses.iter().copied().filter(|address| Family::of(address) == family).nth(nth)
        };
        let mut all = Vec::with_capacity(given.len());
        for nth in 0..given.iter().map(|server| server.addresses.len()).max().unwrap_or(0) {
            let addresses = given.iter().enumerate().filter_map(|(i, server)| Some((i, of_family(server, nth)?)));
            all.extend(addresses.map(|(index, address)| ServerState::new(index, address)));
        }
        // A tag counts servers in one byte.
        all.truncate(usize::from(u8::MAX));
        Self { all, joined: 0, replaced: 0, samples: Vec::new(), heard_at: None, first_heard_at: None }
    }

    pub(super) fn first(&self) -> Option<SocketAddr> {
        self.all.first().map(|server| server.address)
    }

    pub(super) fn get(&self, server: u8) -> Option<&ServerState> {
        self.all.get(usize::from(server))
    }

    pub(super) fn get_mut(&mut self, server: u8) -> Option<&mut ServerState> {
        self.all.get_mut(usize::from(server))
    }

    /// The servers that are in use, with their numbers.
    pub(super) fn in_use(&self) -> impl Iterator<Item = (u8, &ServerState)> {
        (0..=u8::MAX).zip(self.all.iter().take(self.joined))
    }

    /// Records a datagram from `remote`. Returns the number of the server that has this address.
    pub(super) fn hear(&mut self, now: Instant, remote: SocketAddr) -> Option<u8> {
        let is_its = |server: &ServerState| match server.other {
            Other::Valid(other) => server.address.ip() == remote.ip() || other.ip() == remote.ip(),
            Other::Unknown | Other::None | Other::Invalid => server.address.ip() == remote.ip(),
        };
        let (number, _) = self.in_use().find(|(_, server)| is_its(server))?;
        self.set_heard(now);
        let server = self.get_mut(number)?;
        for target in Target::ALL {
            let is_its = server.address_of(target) == Some(remote);
            server.target(target).is_heard |= is_its;
        }
        if server.alternate().is_heard {
            server.flaws.retain(|flaw| *flaw != Flaw::OtherAddressSilent);
        }
        Some(number)
    }

    /// Records a response from an address that no server has.
    pub(super) const fn set_heard(&mut self, now: Instant) {
        self.heard_at = Some(now);
        if self.first_heard_at.is_none() {
            self.first_heard_at = Some(now);
        }
    }

    /// Whether the path works for so short a time that the other servers may not have answered yet.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.first_heard_at.is_some_and(|at| now < at + SERVER_TIMEOUT)
    }

    /// Whether a datagram from a server has come.
    pub(super) const fn is_heard(&self) -> bool {
        self.heard_at.is_some()
    }

    /// Whether the path worked after a request was sent, so that the silence of its server is evidence.
    pub(super) fn path_worked(&self, request: &RequestState) -> bool {
        request.sent_at.zip(self.heard_at).is_some_and(|(sent, heard)| heard >= sent + PATH_CHECK)
    }

    /// Whether the silence of a request is no evidence, because the path was interrupted, and the request is sent again.
    pub(super) fn is_interrupted(&self, request: &RequestState) -> bool {
        request.outcome == Outcome::Waiting && !request.is_second && !self.path_worked(request)
    }

    /// The servers in use whose mapped addresses are trusted.
    pub(super) fn trusted(&self) -> impl Iterator<Item = &ServerState> {
        self.in_use().map(|(_, server)| server).filter(|server| server.is_trusted())
    }

    /// Whether a further response decides between a rebinding and a faulty server.
    pub(super) fn is_doubtful(&self) -> bool {
        self.trusted().any(|server| server.seen.is_doubtful() && !server.primary_is_over())
    }

    /// Whether no further response from a primary address comes.
    pub(super) fn primaries_are_over(&self) -> bool {
        self.in_use().all(|(_, server)| server.primary_is_over())
    }

    /// Adds the next server, if there is one.
    pub(super) fn join(&mut self) -> Option<u8> {
        let next = self.joined;
        let number = u8::try_from(next).ok().filter(|_| next < self.all.len())?;
        self.joined += 1;
        Some(number)
    }

    /// Adds the next server as a further destination of the mapping test. No other server replaces it if it is silent.
    pub(super) fn join_sample(&mut self) -> Option<u8> {
        let number = self.join()?;
        self.samples.push(number);
        Some(number)
    }

    /// The servers in use that are not only further destinations.
    pub(super) fn required(&self) -> impl Iterator<Item = (u8, &ServerState)> {
        self.in_use().filter(|(number, _)| !self.samples.contains(number))
    }

    /// The number of servers in use beyond those that are used at first.
    pub(super) const fn extra(&self) -> usize {
        self.joined.saturating_sub(AT_FIRST)
    }

    /// Whether a further destination may still answer for the first time.
    pub(super) fn any_sample_pending(&self, now: Instant) -> bool {
        self.samples.iter().filter_map(|number| self.get(*number)).any(|server| server.is_pending(now))
    }

    pub(super) fn join_first(&mut self) {
        self.joined = self.all.len().min(AT_FIRST);
    }

    pub(super) const fn has_more(&self) -> bool {
        self.joined < self.all.len()
    }

    pub(super) fn is_trusted(&self, server: u8) -> bool {
        self.get(server).is_some_and(ServerState::is_trusted)
    }

    /// Whether another server is to be added for a silent one. Each silent server adds one.
    pub(super) fn take_replacement(&mut self, now: Instant) -> bool {
        let silent = self.required().filter(|(_, server)| server.is_silent(now)).count();
        let due = silent > self.replaced && self.has_more();
        if due {
            self.replaced += 1;
        }
        due
    }

    /// Whether a server is pending.
    pub(super) fn any_pending(&self, now: Instant) -> bool {
        self.in_use().any(|(_, server)| server.is_pending(now))
    }

    /// The next capable, trusted server for which `used` returns false.
    pub(super) fn next_capable(&self, used: impl Fn(u8) -> bool) -> Option<u8> {
        self.in_use()
            .find(|(number, server)| server.is_capable() && server.is_trusted() && !used(*number))
            .map(|(number, _)| number)
    }

    /// The next timeout of a server.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let timeout = |server: &ServerState| {
            server.rtt.is_none().then_some(server.sent_at).flatten().map(|at| at + SERVER_TIMEOUT)
        };
        let fresh = self.first_heard_at.map(|at| at + SERVER_TIMEOUT);
        self.in_use().filter_map(|(_, server)| timeout(server)).chain(fresh).filter(|at| *at > now).min()
    }

    /// Records the other address of a server. Only the first call for a server has an effect.
    pub(super) fn set_other(&mut self, server: u8, other: Option<SocketAddr>) {
        if let Some(state) = self.get_mut(server)
            && state.other == Other::Unknown
        {
            state.other = match other {
                None => Other::None,
                Some(other) if is_valid_other(state.address, other) => Other::Valid(other),
                Some(_) => Other::Invalid,
            };
        }
    }

    /// Records a flaw of a server. Returns an action the first time.
    pub(super) fn hold(&mut self, server: u8, flaw: Flaw) -> Option<Action> {
        let state = self.get_mut(server).filter(|state| !state.flaws.contains(&flaw))?;
        state.flaws.push(flaw);
        Some(Action::Flaw { family: Family::of(&state.address), server: state.address, flaw })
    }

    pub(super) fn report(&self) -> Vec<ServerReport> {
        let report = |(_, state): (u8, &ServerState)| {
            let mut flaws = state.flaws.clone();
            let known = match state.other {
                Other::None => Some(Flaw::NoOtherAddress),
                Other::Invalid => Some(Flaw::OtherAddressInvalid),
                Other::Unknown if state.rtt.is_none() && flaws.is_empty() => Some(Flaw::Silent),
                Other::Unknown | Other::Valid(_) => None,
            };
            flaws.extend(known.filter(|flaw| !state.flaws.contains(flaw)));
            let other_address = match state.other {
                Other::Valid(other) => Some(other),
                Other::Unknown | Other::None | Other::Invalid => None,
            };
            ServerReport { server: state.index, address: state.address, rtt: state.rtt, other_address, flaws }
        };
        self.in_use().map(report).collect()
    }
}
