//! Two agents in one simulated network, with signalling between them.

use crate::shim::Shim;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_ice::{Agent, AgentConfig, AgentEvent, ComponentId, LocalCandidate, Path, RemoteDescription};
use portolan_machine::{Instant, SocketId};
use portolan_sdp::candidate::CandidateAttribute;
use portolan_sim::{HostId, Link, Net};

pub(crate) const ONE: ComponentId = ComponentId::new(0, 1);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The left agent is controlling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

pub(crate) struct Lab {
    pub(crate) net: Net<Shim>,
    hosts: [HostId; 2],
    /// All events so far.
    pub(crate) events: Vec<(Instant, Side, AgentEvent)>,
    /// The candidates of each side that were not signalled yet.
    pub(crate) pending: [Vec<(u16, CandidateAttribute)>; 2],
}

impl Lab {
    /// Two hosts in the Internet with one address each, 20 ms away from it: the round trip takes 80 ms.
    pub(crate) fn direct(seed: u64, left: AgentConfig, right: AgentConfig) -> Self {
        Self::linked(seed, &Link::delay(ms(20)), left, right)
    }

    /// Two hosts in the Internet over links of this kind.
    pub(crate) fn linked(seed: u64, link: &Link, left: AgentConfig, right: AgentConfig) -> Self {
        let mut net = Net::new(seed);
        let internet = net.internet();
        let left = net.add_host(internet, "left", &[ip("50.0.0.1")], link, Shim::new(left));
        let right = net.add_host(internet, "right", &[ip("50.0.0.2")], link, Shim::new(right));
        Self::over(net, left, right)
    }

    /// Adds an interface to a host, whose packets have these addresses.
    pub(crate) fn add_interface(&mut self, side: Side, addresses: &[&str], link: &Link) {
        let internet = self.net.internet();
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| ip(address)).collect();
        self.net.add_interface(self.host(side), internet, &addresses, link);
    }

    /// Opens a socket and adds a relayed candidate: the address of the relay is one of the host's addresses.
    pub(crate) fn add_relayed(&mut self, side: Side, component: ComponentId, address: &str) -> SocketId {
        let host = self.host(side);
        let (socket, local) = self.net.open(host, SocketAddr::new(ip(address), 0)).unwrap();
        let candidate = LocalCandidate::relayed(component, socket, local, local, ip("60.0.0.100"));
        self.net.with(host, |agent, cx| agent.add_local(cx, candidate)).unwrap().unwrap();
        self.collect();
        socket
    }

    pub(crate) fn over(net: Net<Shim>, left: HostId, right: HostId) -> Self {
        Self { net, hosts: [left, right], events: Vec::new(), pending: [Vec::new(), Vec::new()] }
    }

    pub(crate) const fn host(&self, side: Side) -> HostId {
        match side {
            Side::Left => self.hosts[0],
            Side::Right => self.hosts[1],
        }
    }

    pub(crate) fn agent(&self, side: Side) -> &Agent {
        self.net.machine(self.host(side)).unwrap()
    }

    pub(crate) fn shim(&self, side: Side) -> &Shim {
        self.net.machine(self.host(side)).unwrap()
    }

    /// Calls a shim or its agent.
    pub(crate) fn with<R>(
        &mut self,
        side: Side,
        call: impl FnOnce(&mut Shim, &mut portolan_machine::Cx<'_>) -> R,
    ) -> R {
        let result = self.net.with(self.host(side), call).unwrap();
        self.collect();
        result
    }

    /// Starts both agents, the left one as controlling.
    pub(crate) fn start(&mut self) {
        for side in Side::BOTH {
            self.net.with(self.host(side), |agent, cx| agent.start(cx, side == Side::Left)).unwrap().unwrap();
        }
    }

    /// Opens a socket and adds its host candidate.
    pub(crate) fn add_host(&mut self, side: Side, component: ComponentId, address: &str) -> (SocketId, SocketAddr) {
        let host = self.host(side);
        let (socket, local) = self.net.open(host, SocketAddr::new(ip(address), 0)).unwrap();
        let candidate = LocalCandidate::host(component, socket, local);
        self.net.with(host, |agent, cx| agent.add_local(cx, candidate)).unwrap().unwrap();
        self.collect();
        (socket, local)
    }

    /// Ends the local candidates of both sides.
    pub(crate) fn end_local(&mut self) {
        for side in Side::BOTH {
            self.net.with(self.host(side), |agent, cx| agent.end_local(cx)).unwrap().unwrap();
        }
        self.collect();
    }

    /// The description of a side for one stream, with the candidates so far.
    pub(crate) fn description(&mut self, side: Side, stream: u16) -> RemoteDescription {
        self.collect();
        let credentials = self.agent(side).credentials().unwrap().clone();
        let pending = &mut self.pending[side as usize];
        let taken: Vec<_> =
            pending.extract_if(.., |(known, _)| *known == stream).map(|(_, candidate)| candidate).collect();
        RemoteDescription::new(credentials).with_candidates(taken)
    }

    /// Hands the description of `from` to the other side after a delay.
    pub(crate) fn signal(&mut self, from: Side, delay: Duration, ended: bool) {
        let streams = self.agent(from).config().components().map(|id| id.stream).max().unwrap_or(0);
        for stream in 0..=streams {
            let mut description = self.description(from, stream);
            description.has_ended = ended;
            self.net.after(self.host(from.other()), delay, move |agent, cx| {
                agent.set_remote(cx, stream, description).unwrap();
            });
        }
    }

    /// Exchanges the complete descriptions at once.
    pub(crate) fn exchange(&mut self) {
        self.end_local();
        self.signal(Side::Left, ms(0), true);
        self.signal(Side::Right, ms(0), true);
    }

    /// Advances by one wake-up. Returns whether one was left before `end`.
    pub(crate) fn step(&mut self, end: Instant) -> bool {
        let is_left = self.net.now() < end && self.net.step().is_some_and(|now| now <= end);
        self.collect();
        is_left
    }

    /// Runs until `end`, and calls `check` after every wake-up.
    pub(crate) fn watch(&mut self, time: Duration, mut check: impl FnMut(&Self)) {
        let end = self.net.now() + time;
        // A call at the end stops the run there.
        self.net.after(self.host(Side::Left), time, |_, _| {});
        while self.step(end) {
            check(self);
        }
    }

    /// Takes the new events, and keeps the candidates to signal.
    pub(crate) fn collect(&mut self) {
        for record in self.net.take_events() {
            let side = if record.host == self.hosts[0] { Side::Left } else { Side::Right };
            if let AgentEvent::LocalCandidate { stream, candidate } = &record.event {
                self.pending[side as usize].push((*stream, (**candidate).clone()));
            }
            self.events.push((record.at, side, record.event));
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let _stop = self.net.run_for(time);
        self.collect();
    }

    pub(crate) fn selected(&self, side: Side) -> Option<Path> {
        self.agent(side).selected(ONE)
    }

    /// The time of the first event that fits.
    pub(crate) fn time_of(&self, side: Side, is_it: impl Fn(&AgentEvent) -> bool) -> Option<Instant> {
        self.events.iter().find(|(_, known, event)| *known == side && is_it(event)).map(|(at, ..)| *at)
    }

    /// Whether the selected paths of both sides are the same pair.
    pub(crate) fn agrees(&self) -> bool {
        let (Some(left), Some(right)) = (self.selected(Side::Left), self.selected(Side::Right)) else { return false };
        left.local == right.remote && right.local == left.remote
    }
}
