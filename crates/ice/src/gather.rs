//! The gatherer: turns network interfaces and STUN servers into local candidates (RFC 8445 §5.1.1, RFC 8421, RFC 8828).
//!
//! Rules of this file: `filter` chooses addresses, `requests` orders and judges requests, `base` holds one socket and
//! its candidates. This machine applies their decisions. Every skipped address, refused socket and failed server is
//! reported with a reason. No server and no socket delays another one, except by pacing.
//!
//! ```
//! use portolan_ice::gather::Interface;
//! use portolan_ice::{GatherConfig, GatherEvent, Gatherer};
//! use portolan_machine::{Cx, Entropy, Input, Instant, Machine, Output, SocketEvent, SocketIds, SocketOrder};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let mut gatherer = Gatherer::new(GatherConfig::new().server("192.0.2.1:3478".parse()?))?;
//! gatherer.set_interfaces(&mut cx, vec![Interface::new("eth0", "198.51.100.7".parse()?)])?;
//!
//! // The driver opens the socket. The host candidate is reported, and the server is asked.
//! let Output::Socket(SocketOrder::Open(open)) = gatherer.poll() else { panic!("expected a socket") };
//! let opened = SocketEvent::Opened { local: "198.51.100.7:40000".parse()? };
//! gatherer.handle(&mut cx, Input::Socket(open.id, opened));
//! let Output::Event(GatherEvent::Candidate(host)) = gatherer.poll() else { panic!("expected a candidate") };
//! assert_eq!((host.kind.name(), host.priority()), ("host", 2130706431));
//! let Output::Transmit(request) = gatherer.poll() else { panic!("expected a request") };
//! assert_eq!(request.remote, "192.0.2.1:3478".parse()?);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod base;
mod command;
mod config;
pub(crate) mod error;
mod event;
mod filter;
mod interface;
mod note;
mod requests;
mod servers;

pub use command::GatherCommand;
pub use config::{AddressFilter, AddressMode, GatherConfig};
pub use error::GatherError;
pub use event::{
    ExclusionReason, FailedServer, GatherEvent, GatherReport, NoCandidates, RefusedSocket, ServerFailure, Skipped,
};
pub use interface::{Interface, InterfaceKind};
pub use note::GatherNote;

use crate::preference;
use crate::{ComponentId, LocalCandidate, Pacer};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use base::{Base, BaseState};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Deadline, Input, Instant, Machine, Open, Outbox, Output, Protocol, Refusal, Slot, SocketEvent, SocketId,
    SocketOrder, Timers, Verdict,
};
use portolan_stun_agent::Transactions;
use requests::{Requests, Tag};

/// The machine that gathers host and server-reflexive candidates over UDP.
///
/// # Sockets
///
/// The gatherer opens one socket for each address and component. Other machines share these sockets: a
/// [`LocalCandidate`] contains the id. The gatherer takes only responses to its own requests from a socket. It closes a
/// socket when its address is removed, and at [`close`](Self::close).
///
/// # Time limits
///
/// A round begins with [`set_interfaces`](Self::set_interfaces) or [`restart`](Self::restart), and ends with one
/// [`GatherEvent::Complete`]. A command during a round extends the round. Host candidates are reported when their
/// sockets open. With `n` pairs of a socket and a server, the last event comes at most n × Ta + [`GatherConfig::timeout`]
/// after the last socket opened, also if no packet arrives: by default 40 s for ten pairs, and 47.5 s for
/// [`PAIRS`](Self::PAIRS).
///
/// # Traffic
///
/// At most one new transaction starts each Ta. A reflexive candidate costs 4 keepalives a minute by default. While a
/// server does not answer, the interval of its keepalives doubles each time.
///
/// # Bounds
///
/// At most [`PAIRS`](Self::PAIRS) requests of a round are pending; further pairs fail with [`ServerFailure::TooMany`].
/// At most [`INTERFACES`](Self::INTERFACES) addresses are in a list.
#[derive(Clone, Debug)]
pub struct Gatherer {
    config: GatherConfig,
    is_closed: bool,
    bases: BTreeMap<SocketId, Base>,
    round: Round,
    requests: Requests,
    transactions: Slot<Transactions<Tag>>,
    /// The times of the keepalives.
    timers: Timers<(SocketId, SocketAddr)>,
    pacer: Pacer,
    keeps_alive: bool,
    out: Outbox<GatherEvent>,
}

/// The state of a round.
#[derive(Clone, Debug, Default)]
struct Round {
    is_running: bool,
    /// The last list of interfaces; `None` before the first one.
    interfaces: Option<Vec<Interface>>,
    /// The number of pairs of a socket and a server so far, those of sockets that are not open yet included.
    pairs: usize,
    report: GatherReport,
}

impl Gatherer {
    /// The largest number of pairs of a socket and a server that are pending at once.
    pub const PAIRS: usize = Requests::ASKS;
    /// The largest number of addresses in the list of interfaces.
    pub const INTERFACES: usize = 1024;
    /// The number of ports that are tried for one socket.
    const PORTS: u16 = 16;
    /// The shortest time between two keepalives.
    const LEAST_KEEPALIVE: Duration = Duration::from_secs(1);

    /// A gatherer that waits for [`set_interfaces`](Self::set_interfaces).
    ///
    /// # Errors
    /// The same as for [`GatherConfig::check`].
    pub fn new(mut config: GatherConfig) -> Result<Self, GatherError> {
        config.check()?;
        config.keepalive = config.keepalive.max(Self::LEAST_KEEPALIVE);
        Ok(Self {
            is_closed: false,
            bases: BTreeMap::new(),
            round: Round::default(),
            requests: Requests::default(),
            transactions: Slot::new("transactions", 0, new_transactions()),
            timers: Timers::new(),
            pacer: Pacer::new(config.pacing),
            keeps_alive: true,
            out: Outbox::new(),
            config,
        })
    }

    /// Sets the addresses of the host, at the start and after each change of the network.
    ///
    /// New addresses are gathered. The sockets of addresses that are gone are closed. Addresses that stay are not
    /// touched: their candidates are not reported again, and no server is asked again.
    ///
    /// # Errors
    /// * [`GatherError::Closed`] when the gatherer is closed.
    /// * [`GatherError::Interfaces`] when there are more than [`INTERFACES`](Self::INTERFACES) addresses.
    pub fn set_interfaces(&mut self, cx: &mut Cx<'_>, interfaces: Vec<Interface>) -> Result<(), GatherError> {
        self.check_open()?;
        if interfaces.len() > Self::INTERFACES {
            return Err(GatherError::Interfaces { count: interfaces.len(), limit: Self::INTERFACES });
        }
        self.begin_round();
        self.update(cx, &interfaces);
        self.round.interfaces = Some(interfaces);
        self.settle(cx);
        Ok(())
    }

    /// Gathers again on the same sockets, for an ICE restart (RFC 8445 §9): reports all host candidates again, opens
    /// refused sockets again, and asks all servers again.
    ///
    /// # Errors
    /// * [`GatherError::Closed`] when the gatherer is closed.
    /// * [`GatherError::NotStarted`] when no interfaces were set.
    pub fn restart(&mut self, cx: &mut Cx<'_>) -> Result<(), GatherError> {
        self.check_open()?;
        let interfaces = self.round.interfaces.clone().ok_or(GatherError::NotStarted)?;
        self.cancel(cx, |_| true);
        self.drain(cx);
        self.round.is_running = false;
        self.begin_round();
        for base in self.bases.values_mut() {
            base.reflexive.clear();
        }
        self.timers = Timers::new();
        self.keeps_alive = true;
        let open = self.bases.iter().filter_map(|(id, base)| Some((*id, base.local()?)));
        let open: Vec<_> = open.collect();
        open.iter().for_each(|(_, local)| self.count_pairs(local.ip()));
        self.update(cx, &interfaces);
        open.into_iter().for_each(|(socket, _)| self.gather(cx, socket));
        self.settle(cx);
        Ok(())
    }

    /// Stops the keepalives of reflexive candidates: the agent has selected its pairs, or keeps the mappings itself.
    /// [`restart`](Self::restart) starts them again.
    ///
    /// # Errors
    /// [`GatherError::Closed`] when the gatherer is closed.
    pub fn stop_keepalives(&mut self, cx: &mut Cx<'_>) -> Result<(), GatherError> {
        self.check_open()?;
        self.keeps_alive = false;
        self.timers = Timers::new();
        for reflexive in self.bases.values_mut().flat_map(|base| &mut base.reflexive) {
            reflexive.timer = None;
        }
        self.cancel(cx, |tag| tag.purpose == requests::Purpose::Keepalive);
        self.settle(cx);
        Ok(())
    }

    /// Closes all sockets and ends the gatherer. The last event is [`GatherEvent::Closed`].
    ///
    /// # Errors
    /// [`GatherError::Closed`] when the gatherer is closed already.
    pub fn close(&mut self) -> Result<(), GatherError> {
        self.check_open()?;
        self.is_closed = true;
        for socket in core::mem::take(&mut self.bases).into_keys() {
            self.out.push(Output::Socket(SocketOrder::Close(socket)));
        }
        self.out.push(Output::Event(GatherEvent::Closed));
        self.round = Round::default();
        self.requests = Requests::default();
        self.timers = Timers::new();
        self.transactions = Slot::new("transactions", 0, new_transactions());
        Ok(())
    }

    /// Returns the candidates that exist now.
    pub fn candidates(&self) -> impl Iterator<Item = LocalCandidate> + '_ {
        self.bases.iter().flat_map(|(socket, base)| base.candidates(*socket, self.config.mode))
    }

    /// Returns the pacer, for other machines on the same path.
    #[must_use]
    pub const fn pacer(&self) -> Pacer {
        self.pacer
    }

    /// Takes over the pacer of another machine, so that both together start at most one transaction each Ta.
    pub fn merge_pacer(&mut self, other: Pacer) {
        self.pacer.merge(other);
    }

    /// Returns the time of the next new transaction; `None` if no request waits.
    #[must_use]
    pub fn next_send(&self) -> Option<Instant> {
        self.requests.has_next().then(|| self.pacer.next())
    }

    const fn check_open(&self) -> Result<(), GatherError> {
        if self.is_closed { Err(GatherError::Closed) } else { Ok(()) }
    }

    /// Begins a round, or extends the running one.
    fn begin_round(&mut self) {
        if !self.round.is_running {
            self.round.is_running = true;
            self.round.pairs = 0;
            self.round.report = GatherReport::default();
        }
    }

    /// Closes the sockets of addresses that are gone, and opens those of new addresses.
    fn update(&mut self, cx: &mut Cx<'_>, interfaces: &[Interface]) {
        let (chosen, skipped) = filter::choose(interfaces, &self.config);
        skipped.iter().for_each(|skipped| cx.note(|| GatherNote::Skipped(skipped.clone())));
        self.round.report.skipped = skipped;
        let is_gone = |base: &Base| !chosen.iter().any(|interface| filter::is_same(interface, &base.interface));
        let gone: Vec<_> = self.bases.iter().filter(|(_, base)| is_gone(base)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|socket| self.remove(cx, socket, true));
        let addresses: Vec<_> = chosen.iter().map(filter::address).collect();
        let mut used: Vec<u16> = self.bases.values().map(|base| base.preference).collect();
        for (interface, ideal) in chosen.iter().zip(preference::local_preferences(&addresses)) {
            let of_address = |base: &&Base| filter::is_same(&base.interface, interface);
            let preference = self.bases.values().find(of_address).map(|base| base.preference);
            let preference = preference.unwrap_or_else(|| preference::free_preference(ideal, &used));
            used.push(preference);
            for number in 0..self.config.components.len() {
                let Some(component) = self.config.components.get(number).copied() else { continue };
                if !self.bases.values().filter(of_address).any(|base| base.component == component) {
                    self.open(cx, interface.clone(), component, preference);
                }
            }
        }
    }

    /// Orders a new socket.
    fn open(&mut self, cx: &mut Cx<'_>, interface: Interface, component: ComponentId, preference: u16) {
        let (port, tries_left) = match &self.config.ports {
            None => (0, 0),
            Some(ports) => {
                let others = ports.end().saturating_sub(*ports.start());
                let offset = cx.random_below(u32::from(others) + 1);
                let port = ports.start().saturating_add(u16::try_from(offset).unwrap_or(0));
                (port, others.min(Self::PORTS - 1))
            }
        };
        let state = BaseState::Opening { port, tries_left };
        // The socket counts before it is open, so that the first requests have the right RTO (RFC 8445 §14.3).
        self.count_pairs(interface.address);
        self.order(cx, Base { interface, component, preference, state, reflexive: Vec::new() }, port);
    }

    fn order(&mut self, cx: &mut Cx<'_>, base: Base, port: u16) {
        let id = cx.next_socket();
        self.out.push(Output::Socket(SocketOrder::Open(Open::new(id, Protocol::Udp, base.interface.with_port(port)))));
        self.bases.insert(id, base);
    }

    /// Reports the host candidate of an open socket, and plans its requests.
    fn gather(&mut self, cx: &mut Cx<'_>, socket: SocketId) {
        let Some(base) = self.bases.get(&socket) else { return };
        let Some(local) = base.local() else { return };
        if let Some(host) = base.host(socket, self.config.mode) {
            self.out.push(Output::Event(GatherEvent::Candidate(host)));
        }
        self.plan(cx, socket, local);
    }

    /// Forgets a socket and its candidates. `closes`: the socket still exists.
    fn remove(&mut self, cx: &mut Cx<'_>, socket: SocketId, closes: bool) {
        self.cancel(cx, |tag| tag.socket == socket);
        // The last transmits come before the close.
        self.drain(cx);
        let Some(base) = self.bases.remove(&socket) else { return };
        for timer in base.reflexive.iter().filter_map(|reflexive| reflexive.timer) {
            self.timers.cancel(timer);
        }
        if closes {
            self.out.push(Output::Socket(SocketOrder::Close(socket)));
        }
        let candidates: Vec<_> = base.candidates(socket, self.config.mode).collect();
        if base.local().is_some() {
            self.out.push(Output::Event(GatherEvent::Removed { socket, candidates }));
        }
    }

    fn opened(&mut self, cx: &mut Cx<'_>, socket: SocketId, local: SocketAddr) -> Verdict {
        let Some(base) = self.bases.get_mut(&socket) else { return Verdict::NotMine };
        if base.local().is_some() {
            return Verdict::NotMine;
        }
        base.state = BaseState::Open { local };
        self.gather(cx, socket);
        Verdict::Mine
    }

    fn refused(&mut self, cx: &mut Cx<'_>, socket: SocketId, why: Refusal) -> Verdict {
        let opening = match self.bases.get(&socket).map(|base| base.state) {
            Some(BaseState::Opening { port, tries_left }) => Some((port, tries_left)),
            Some(BaseState::Open { .. }) | None => None,
        };
        let Some((port, tries_left)) = opening else { return Verdict::NotMine };
        let Some(base) = self.bases.remove(&socket) else { return Verdict::NotMine };
        let local = base.interface.with_port(port);
        let is_port = matches!(why, Refusal::AddressInUse | Refusal::PermissionDenied);
        match self.config.ports.clone().filter(|_| is_port && tries_left > 0) {
            Some(ports) => {
                let next = if port == *ports.end() { *ports.start() } else { port.saturating_add(1) };
                cx.note(|| GatherNote::Refused { local, why, next: Some(next) });
                let state = BaseState::Opening { port: next, tries_left: tries_left - 1 };
                self.order(cx, Base { state, ..base }, next);
            }
            None => {
                cx.note(|| GatherNote::Refused { local, why, next: None });
                let (component, address) = (base.component, base.interface.address);
                self.round.report.refused.push(RefusedSocket { component, address, why });
            }
        }
        Verdict::Mine
    }

    fn socket_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        match event {
            SocketEvent::Opened { local } => self.opened(cx, socket, local),
            SocketEvent::Refused(why) => self.refused(cx, socket, why),
            SocketEvent::Closed(_) if self.bases.contains_key(&socket) => {
                self.remove(cx, socket, false);
                Verdict::Mine
            }
            SocketEvent::Unreachable { .. } => self.transactions.handle(cx, Input::Socket(socket, event)),
            SocketEvent::Closed(_) | SocketEvent::Accepted { .. } | SocketEvent::Full | SocketEvent::Writable => {
                Verdict::NotMine
            }
        }
    }

    /// Does all that is due: ends requests, starts the next one, and ends the round.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        loop {
            let _due = self.transactions.wake(cx);
            self.drain(cx);
            self.plan_keepalives(cx.now());
            if !self.start_next(cx) {
                break;
            }
        }
        let is_opening = self.bases.values().any(|base| base.local().is_none());
        if self.round.is_running && !is_opening && self.requests.gathering() == 0 {
            self.complete(cx);
        }
    }

    fn complete(&mut self, cx: &mut Cx<'_>) {
        self.round.is_running = false;
        self.report_unused_servers(cx);
        let mut report = core::mem::take(&mut self.round.report);
        report.found = self.candidates().count();
        self.out.push(Output::Event(GatherEvent::Complete(report)));
    }

    fn wait(&mut self) -> Option<Deadline> {
        let paced = self.next_send().map(|at| Deadline::new(at, "pacing"));
        let keepalive = self.timers.next().map(|at| Deadline::new(at, "keepalive"));
        Deadline::earliest(self.transactions.wait(), Deadline::earliest(paced, keepalive))
    }
}

const fn new_transactions() -> Transactions<Tag> {
    Transactions::with_limit(Requests::ASKS + Requests::KEEPALIVES)
}

impl Machine for Gatherer {
    type Command = GatherCommand;
    type Error = GatherError;
    type Event = GatherEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: GatherCommand) -> Result<(), GatherError> {
        match command {
            GatherCommand::SetInterfaces(interfaces) => self.set_interfaces(cx, interfaces),
            GatherCommand::Restart => self.restart(cx),
            GatherCommand::StopKeepalives => self.stop_keepalives(cx),
            GatherCommand::Close => self.close(),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if self.is_closed {
            return Verdict::NotMine;
        }
        let verdict = match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, event) => self.socket_event(cx, socket, event),
            Input::Timeout if self.wait().is_some_and(|wait| wait.is_due(cx.now())) => Verdict::Mine,
            Input::Timeout => Verdict::NotMine,
        };
        if verdict == Verdict::Mine {
            self.settle(cx);
        }
        verdict
    }

    fn poll(&mut self) -> Output<GatherEvent> {
        match self.out.pop() {
            Some(output) => output,
            None => Output::Wait(self.wait()),
        }
    }
}
