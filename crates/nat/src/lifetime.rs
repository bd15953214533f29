//! The lifetime of mappings: one run with parallel sockets.
//!
//! # Scope
//!
//! * The machine measures in parallel. A binary search, one lifetime after another, takes a quarter of an hour.
//! * The machine sends nothing from a socket whose idle time is being measured, and shares no socket with live
//!   traffic.
//! * The machine starts at most ten transactions in a second (RFC 5780 §5).
//! * Silence is evidence only if a living mapping got its response at the same time. A result without evidence is
//!   `unknown`, with its reason.
//!
//! # Overview
//!
//! RFC 5780 §4.6: a socket X gets a mapping and is silent for a time *T*. Then another socket Y, the request socket,
//! sends a request with RESPONSE-PORT, so that the response goes to X. A response that arrives proves that the
//! mapping lives. Here each *T* of a grid (5 s to 185 s in steps of 5 s) has a socket of its own. Each socket is used
//! once, because the response itself may refresh the mapping. So one run of about 195 s measures all times, with at
//! most 88 sockets ([`LifetimeConfig::sockets`]):
//!
//! * **replied**: X got one response.
//! * **unreplied**: X requested a response to Y, so no packet ever came in through the mapping of X.
//! * **absolute**: two sockets are refreshed in both directions every three seconds, to measure whether their
//!   mappings end in spite of that. Each mapping is checked by a response just before it is refreshed. Otherwise a
//!   NAT that preserves ports would replace an expired mapping by one with the same port, and the end would not be
//!   detected.
//! * **refresh**: sockets that were refreshed once from inside, or once from outside, are checked at a time when a
//!   mapping without that refresh would have expired.
//!
//! Silence counts after two rounds of seven sends without a response. During the second round a control socket with a
//! fresh mapping must get a response of the same kind. The loss on controls gives the probability that a conclusion
//! is wrong. Behind a firewall without translation the run measures the lifetime of the firewall's state.
//!
//! The run needs a server that honours RESPONSE-PORT (optional in RFC 5780 §7.5). The given servers are tested in
//! order until one honours it. Each failure has its own [`Unknown`]: a server that refuses the attribute (420),
//! ignores it or is silent, external addresses that differ between sockets, and a device with contradictory results.
//!
//! ```
//! use portolan_machine::{Cx, Entropy, Instant, Machine, Output, SocketIds};
//! use portolan_nat::lifetime::{MeasurementCommand, LifetimeConfig, LifetimeEvent, Lifetime};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let mut lifetime = Lifetime::new(LifetimeConfig::new(vec!["192.0.2.1:3478".parse()?]))?;
//! lifetime.command(&mut cx, MeasurementCommand::Start)?;
//! let Output::Socket(order) = lifetime.poll() else { panic!("the request socket is opened first") };
//! assert_eq!(order.to_string(), "open s1 udp 0.0.0.0:49216 towards 192.0.2.1:3478");
//!
//! lifetime.stop(&mut cx)?; // reports the results so far
//! let report = loop {
//!     match lifetime.poll() {
//!         Output::Event(LifetimeEvent::Report(report)) => break report,
//!         Output::Wait(_) => panic!("the report comes before the wait"),
//!         _ => {}
//!     }
//! };
//! assert_eq!(report.replied.reason().unwrap().as_str(), "timed-out");
//! assert_eq!(lifetime.poll(), Output::Wait(None));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod act;
mod answer;
mod conclude;
mod config;
mod event;
mod note;
mod pace;
mod path;
mod probe;
mod range;
mod report;
mod series;
mod tag;

pub use crate::command::{CommandError, MeasurementCommand, UnknownCommand};
pub use config::{LifetimeConfig, LifetimeConfigError};
pub use event::{LifetimeEvent, Series};
pub use note::LifetimeNote;
pub use range::LifetimeRange;
pub use report::{LifetimeReport, RefreshReport};

use crate::profile::Unknown;
use alloc::vec::Vec;
use conclude::Verdicts;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use pace::Pace;
use path::PathEstimate;
use portolan_machine::{
    Cx, Deadline, Input, Instant, Machine, Open, Outbox, Output, Protocol, Refusal, Slot, SocketEvent, SocketId,
    SocketOrder, Verdict,
};
use portolan_stun_agent::{TransactionId, Transactions};
use probe::{Probe, Role, State};
use tag::Tag;

/// Measures how long mappings live; see the [module's page](self).
///
/// Its commands are [`start`](Self::start) and [`stop`](Self::stop). Its last event is [`LifetimeEvent::Report`].
#[derive(Clone, Debug)]
pub struct Lifetime {
    config: LifetimeConfig,
    stage: Stage,
    run: RunState,
    /// The request socket, the control, and, once a server is found, all other sockets.
    probes: Vec<Probe>,
    transactions: Slot<Transactions<Tag>>,
    proof: Proof,
    pace: Pace,
    estimate: PathEstimate,
    verdicts: Verdicts,
    out: Outbox<LifetimeEvent>,
}

/// The state of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not started.
    Idle,
    /// The request socket and the control get their mappings.
    Preparing,
    /// A response to the control is requested.
    Proving,
    /// All sockets are measured.
    Measuring,
    /// The report has been made.
    Ended,
}

/// The legal transitions.
const TRANSITIONS: &[(Stage, Stage)] = &[
    (Stage::Idle, Stage::Preparing),
    (Stage::Preparing, Stage::Proving),
    // The next server is tested, or the control is replaced.
    (Stage::Proving, Stage::Preparing),
    (Stage::Proving, Stage::Measuring),
    (Stage::Preparing, Stage::Ended),
    (Stage::Proving, Stage::Ended),
    (Stage::Measuring, Stage::Ended),
];

/// The start, the end and the server of the run.
#[derive(Clone, Debug)]
struct RunState {
    started: Instant,
    ends: Instant,
    /// The server, by its place in the list.
    server: usize,
    /// The number of controls that were replaced because of another external address.
    controls: u8,
    /// Whether a datagram to this server was returned as unreachable.
    unreachable: bool,
    /// The ports ordered so far. No port is used twice, because the NAT may still have state for it (RFC 5780 §4.1).
    ports: Vec<u16>,
    /// The machine's own next deadline.
    wait: Option<Deadline>,
}

/// The proof that a response reaches a living mapping.
#[derive(Clone, Copy, Debug, Default)]
struct Proof {
    transaction: Option<TransactionId>,
    /// The time of the last request.
    requested_at: Instant,
    /// The time of the last response.
    answered: Option<Instant>,
    /// Whether the control's mapping is fresh and has not been used yet.
    ready: bool,
    /// The number of requests in a row without a response.
    failures: u8,
}

const REQUESTER: usize = 0;
const CONTROL: usize = 1;

impl Lifetime {
    /// A measurement that waits for [`MeasurementCommand::Start`].
    ///
    /// # Errors
    /// The same as for [`LifetimeConfig::check`].
    pub fn new(config: LifetimeConfig) -> Result<Self, LifetimeConfigError> {
        config.check()?;
        Ok(Self {
            config,
            stage: Stage::Idle,
            run: RunState {
                started: Instant::ORIGIN,
                ends: probe::NEVER,
                server: 0,
                controls: 0,
                unreachable: false,
                ports: Vec::new(),
                wait: None,
            },
            probes: Vec::new(),
            transactions: Slot::new("transactions", 0, Transactions::new()),
            proof: Proof::default(),
            pace: Pace::new(),
            estimate: PathEstimate::default(),
            verdicts: Verdicts::default(),
            out: Outbox::new(),
        })
    }

    /// Starts the run.
    ///
    /// # Errors
    /// * [`CommandError::AlreadyStarted`] when the run has started.
    /// * [`CommandError::Ended`] when the run has ended.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), CommandError> {
        match self.stage {
            Stage::Idle => {}
            Stage::Preparing | Stage::Proving | Stage::Measuring => return Err(CommandError::AlreadyStarted),
            Stage::Ended => return Err(CommandError::Ended),
        }
        self.become_stage(Stage::Preparing);
        self.run.started = cx.now();
        self.run.ends = cx.now() + self.config.bound();
        self.open(cx, Role::Requester);
        self.open(cx, Role::Control);
        self.note_tested(cx);
        self.settle(cx);
        Ok(())
    }

    /// Ends the run and reports the results so far. A missing conclusion is `timed-out`. A partial one keeps its
    /// wider bounds.
    ///
    /// # Errors
    /// * [`CommandError::NotStarted`] when the run has not started.
    /// * [`CommandError::Ended`] when the run has ended.
    pub fn stop(&mut self, cx: &mut Cx<'_>) -> Result<(), CommandError> {
        match self.stage {
            Stage::Idle => return Err(CommandError::NotStarted),
            Stage::Preparing | Stage::Proving | Stage::Measuring => {}
            Stage::Ended => return Err(CommandError::Ended),
        }
        self.finish(cx.now(), Unknown::TimedOut);
        Ok(())
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &LifetimeConfig {
        &self.config
    }

    fn become_stage(&mut self, next: Stage) {
        debug_assert!(TRANSITIONS.contains(&(self.stage, next)), "{:?} to {next:?}", self.stage);
        self.stage = next;
    }

    fn server(&self) -> SocketAddr {
        let last = self.config.servers.last().copied();
        let server = self.config.servers.get(self.run.server).copied().or(last);
        server.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
    }

    /// Orders a socket on a random dynamic port that no other socket of the run had (RFC 5780 §4.1).
    fn open(&mut self, cx: &mut Cx<'_>, role: Role) {
        let (socket, port) = (cx.next_socket(), self.free_port(cx));
        self.probes.push(Probe::new(role, socket, port));
        self.order(socket, port);
    }

    fn order(&mut self, socket: SocketId, port: u16) {
        let server = self.server();
        let any = match server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let local = SocketAddr::new(self.config.local.unwrap_or(any), port);
        self.out.push(Output::Socket(SocketOrder::Open(Open::new(socket, Protocol::Udp, local).towards(server))));
    }

    fn free_port(&mut self, cx: &mut Cx<'_>) -> u16 {
        const FIRST: u16 = 49_152;
        let offset = u16::try_from(cx.random_below(u32::from(u16::MAX - FIRST) + 1)).unwrap_or(0);
        // The search goes upwards and wraps around, so ports differ even with a broken RNG.
        let ports = (FIRST + offset..=u16::MAX).chain(FIRST..FIRST + offset);
        let port = ports.into_iter().find(|port| !self.run.ports.contains(port)).unwrap_or(FIRST);
        self.run.ports.push(port);
        port
    }

    /// Orders the socket of a probe again, with a new id and a new port.
    fn reopen(&mut self, cx: &mut Cx<'_>, index: usize) {
        let (socket, port) = (cx.next_socket(), self.free_port(cx));
        let Some(probe) = self.probes.get_mut(index) else { return };
        probe.place.socket = socket;
        probe.place.port = port;
        probe.place.orders = probe.place.orders.saturating_add(1);
        self.order(socket, port);
    }

    fn socket_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        let ours = |probe: &Probe| probe.place.socket == socket && probe.state() != State::Over;
        let Some(index) = self.probes.iter().position(ours) else { return Verdict::NotMine };
        match event {
            SocketEvent::Opened { local } => {
                if let Some(probe) = self.probes.get_mut(index).filter(|probe| probe.state() == State::Opening) {
                    probe.place.local = Some(local);
                    probe.become_state(State::Unmapped);
                }
            }
            SocketEvent::Refused(why) => self.refused(cx, index, why),
            SocketEvent::Closed(_) => {
                let _others = self.transactions.handle(cx, Input::Socket(socket, event));
                self.lost(cx, index);
            }
            SocketEvent::Unreachable { .. } => {
                let _others = self.transactions.handle(cx, Input::Socket(socket, event));
            }
            SocketEvent::Accepted { .. } | SocketEvent::Full | SocketEvent::Writable => return Verdict::NotMine,
        }
        Verdict::Mine
    }

    fn refused(&mut self, cx: &mut Cx<'_>, index: usize, why: Refusal) {
        let Some(place) = self.probes.get(index).map(|probe| probe.place) else { return };
        if self.probes.get(index).is_none_or(|probe| probe.state() != State::Opening) {
            return;
        }
        cx.note(|| LifetimeNote::PortRefused { port: place.port, why });
        // A port may be taken or reserved by the system. Any other reason holds for all ports.
        let another_port = matches!(why, Refusal::AddressInUse | Refusal::PermissionDenied);
        if another_port && place.orders < ORDERS_MAX {
            self.reopen(cx, index);
        } else {
            self.lost(cx, index);
        }
    }

    /// Takes the loss of the socket of a probe.
    fn lost(&mut self, cx: &mut Cx<'_>, index: usize) {
        if let Some(probe) = self.probes.get_mut(index) {
            probe.place.gone = true;
        }
        if index > CONTROL {
            self.set_unusable(cx, index, Unknown::TooFewSamples);
        } else {
            self.finish(cx.now(), Unknown::Offline);
        }
    }

    /// Closes the socket of a probe.
    fn close(&mut self, cx: &mut Cx<'_>, index: usize) {
        let Some(probe) = self.probes.get_mut(index).filter(|probe| probe.state() != State::Over) else { return };
        probe.become_state(State::Over);
        let (place, transaction) = (probe.place, probe.transaction.take());
        if let Some(id) = transaction {
            // A request that has been answered meanwhile is not cancelled.
            let _gone = self.transactions.with(cx, |transactions, cx| transactions.cancel(cx, id));
        }
        if !place.gone {
            self.out.push(Output::Socket(SocketOrder::Close(place.socket)));
        }
    }

    /// Drains the transactions, concludes, and starts the due requests. Repeats this while there is progress.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..SETTLE_MAX {
            if self.stage == Stage::Ended {
                return;
            }
            let drained = self.drain(cx);
            if cx.now() >= self.run.ends {
                self.finish(cx.now(), Unknown::TimedOut);
                return;
            }
            self.conclude(cx);
            let acted = self.act(cx);
            // One more drain, for cancelled requests.
            if !drained && !acted && !self.drain(cx) {
                break;
            }
        }
        let bound = Some(Deadline::new(self.run.ends, "end of the time allowed"));
        self.run.wait = Deadline::earliest(self.next_act(cx.now()), bound);
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut drained = false;
        while let Some(output) = self.transactions.take() {
            drained = true;
            match output {
                // A transmit for a socket that is closed now is dropped.
                Output::Transmit(transmit) if self.is_open(transmit.socket) => {
                    self.out.push(Output::Transmit(transmit))
                }
                Output::Event(event) => self.react(cx, event),
                Output::Transmit(_) | Output::Socket(_) | Output::Wait(_) => {}
            }
        }
        drained
    }

    fn is_open(&self, socket: SocketId) -> bool {
        self.probes.iter().any(|probe| probe.place.socket == socket && probe.is_open())
    }
}

impl Machine for Lifetime {
    type Command = MeasurementCommand;
    type Error = CommandError;
    type Event = LifetimeEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: MeasurementCommand) -> Result<(), CommandError> {
        match command {
            MeasurementCommand::Start => self.start(cx),
            MeasurementCommand::Stop => self.stop(cx),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if matches!(self.stage, Stage::Idle | Stage::Ended) {
            return Verdict::NotMine;
        }
        let verdict = match input {
            Input::Datagram(_) => self.transactions.handle(cx, input),
            Input::Socket(socket, event) => self.socket_event(cx, socket, event),
            // An early timeout changes nothing, even if the clock went backwards and another wait would now be
            // computed.
            Input::Timeout if self.wait().is_none_or(|wait| !wait.is_due(cx.now())) => Verdict::NotMine,
            Input::Timeout => {
                self.transactions.wake(cx);
                Verdict::Mine
            }
        };
        if verdict == Verdict::Mine {
            self.settle(cx);
        }
        verdict
    }

    fn poll(&mut self) -> Output<LifetimeEvent> {
        self.out.pop().unwrap_or_else(|| Output::Wait(self.wait()))
    }
}

impl Lifetime {
    fn wait(&mut self) -> Option<Deadline> {
        match self.stage {
            Stage::Idle | Stage::Ended => None,
            Stage::Preparing | Stage::Proving | Stage::Measuring => {
                Deadline::earliest(self.transactions.wait(), self.run.wait)
            }
        }
    }
}

/// The largest number of orders for one probe.
const ORDERS_MAX: u8 = 8;
/// The largest number of rounds in one call. No input causes as many.
const SETTLE_MAX: usize = 1000;
/// The time between the end of a watcher's refresh and its next check, or three fifths of the step if that is less.
const GAP: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_transition_leaves_the_state_ended() {
        assert!(TRANSITIONS.iter().all(|(from, _)| *from != Stage::Ended));
    }
}
