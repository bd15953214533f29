//! A machine that detects the NAT in front of a host: it sends requests to STUN servers and evaluates the responses.
//!
//! # Scope
//!
//! * A conclusion is a value with the probability that it is wrong, or `unknown` with a reason.
//! * A response counts only if its source is the destination of a request, or an address that this server has named.
//! * Silence is evidence only if a dead server, a server without this function and lost packets do not explain it.
//! * The machine sends no request to a gateway and opens no port on it.
//! * The machine sends hairpin packets only when the configuration requests them.
//! * The machine starts at most ten transactions in any second (RFC 5780 §5).
//!
//! # Overview
//!
//! For each family the machine opens two sockets at once. The *mapping socket* sends Binding requests to two servers.
//! It also sends them to the other addresses of one server that has a second address (RFC 5780 §4.3). The *filtering
//! socket* sends three requests to one server (RFC 5780 §4.4): a plain request, a CHANGE-REQUEST for the other
//! address and port, and a CHANGE-REQUEST for the other port. If the second response does not arrive, the mapping
//! socket sends the same CHANGE-REQUEST. The mapping socket has sent to the other address before. So a filter lets
//! the response in. If that response arrives, the server honours CHANGE-REQUEST, and a filter explains the silence.
//!
//! The path may be interrupted, and the NAT may lose its mappings, at any time. So the requests to primary addresses are
//! repeated until the end. If fewer than four of the seven plain requests of the filtering socket are answered, its three
//! requests are sent again. UDP counts as blocked only after TCP has passed and later UDP requests are not answered.
//!
//! ```
//! use portolan_machine::{Cx, Entropy, Machine, Output, SocketIds, SocketOrder, Instant};
//! use portolan_nat::discovery::{DiscoveryConfig, Discovery, StunServer};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let addresses = |address: &str| vec![address.parse().unwrap()];
//! let server = |name: &str, address: &str| StunServer { name: name.into(), addresses: addresses(address) };
//! let servers = vec![server("one.example", "192.0.2.1:3478"), server("two.example", "198.51.100.1:3478")];
//! let mut discovery = Discovery::new(DiscoveryConfig::new(servers))?;
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! discovery.command(&mut cx, "start".parse()?)?;
//! let Output::Socket(SocketOrder::Open(mapping_socket)) = discovery.poll() else { panic!() };
//! assert_eq!(mapping_socket.remote, Some("192.0.2.1:3478".parse()?));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod action;
mod address;
mod allocation;
mod config;
mod doubt;
mod family;
mod filtering;
mod filtering_run;
mod hairpin;
mod mapping;
mod mapping_run;
mod plan;
mod ports;
mod reach;
mod response;
mod series;
mod servers;
mod source_port;
pub(crate) mod tag;

pub use crate::command::{CommandError, MeasurementCommand, UnknownCommand};
pub use config::{DiscoveryConfig, StunServer};
pub use tag::{Tag, TagParseError, Target, Test};

use crate::error::DiscoveryConfigError;
use crate::event::DiscoveryEvent;
use crate::note::DiscoveryNote;
use crate::profile::{Family, Report};
use action::{Action, Actions};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use family::FamilyRun;
use plan::{Plan, PlannedRequest};
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Open, Outbox, Output, Protocol, Slot, SocketEvent, SocketId,
    SocketOrder, Verdict,
};
use portolan_stun::TransactionId;
use portolan_stun_agent::{TransactionEvent, Transactions};

/// The machine that detects the NAT in front of a host.
#[derive(Debug)]
pub struct Discovery {
    config: DiscoveryConfig,
    transactions: Slot<Transactions<Tag>>,
    plan: Plan,
    families: Vec<FamilyRun>,
    stage: Stage,
    /// The time of `start`.
    since: Instant,
    wait: Option<Deadline>,
    out: Outbox<DiscoveryEvent>,
}

/// The state of the whole run. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Waiting for `start`.
    Waiting,
    /// Requests are under way.
    Running,
    /// The report has been made.
    Ended,
}

/// The legal transitions.
const TRANSITIONS: &[(Stage, Stage)] = &[(Stage::Waiting, Stage::Running), (Stage::Running, Stage::Ended)];

/// The largest number of rounds in one call. Each round ends a request or starts one.
const ROUNDS: usize = 64;

impl Discovery {
    /// A discovery that waits for [`MeasurementCommand::Start`].
    ///
    /// # Errors
    /// The same as for [`DiscoveryConfig::check`].
    pub fn new(config: DiscoveryConfig) -> Result<Self, DiscoveryConfigError> {
        config.check()?;
        Ok(Self {
            config,
            transactions: Slot::new("transactions", 0, Transactions::new()),
            plan: Plan::new(),
            families: Vec::new(),
            stage: Stage::Waiting,
            since: Instant::ORIGIN,
            wait: None,
            out: Outbox::new(),
        })
    }

    /// Starts the run, as [`MeasurementCommand::Start`] does.
    ///
    /// # Errors
    /// * [`CommandError::AlreadyStarted`] when the run has started.
    /// * [`CommandError::Ended`] when the run has ended.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), CommandError> {
        match self.stage {
            Stage::Waiting => {}
            Stage::Running => return Err(CommandError::AlreadyStarted),
            Stage::Ended => return Err(CommandError::Ended),
        }
        self.become_stage(Stage::Running);
        self.since = cx.now();
        for family in [Family::V4, Family::V6] {
            let second = !self.families.is_empty();
            if self.config.families.contains(&family)
                && let Some((run, actions)) = FamilyRun::start(cx, &self.config, family, second)
            {
                self.families.push(run);
                self.apply(cx, actions);
            }
        }
        self.settle(cx);
        Ok(())
    }

    /// Ends the run and reports the results so far, as [`MeasurementCommand::Stop`] does.
    ///
    /// # Errors
    /// * [`CommandError::NotStarted`] when the run has not started.
    /// * [`CommandError::Ended`] when the run has ended.
    pub fn stop(&mut self, cx: &mut Cx<'_>) -> Result<(), CommandError> {
        match self.stage {
            Stage::Waiting => return Err(CommandError::NotStarted),
            Stage::Running => {}
            Stage::Ended => return Err(CommandError::Ended),
        }
        self.families.iter_mut().for_each(FamilyRun::time_out);
        self.settle(cx);
        Ok(())
    }

    fn become_stage(&mut self, next: Stage) {
        debug_assert!(TRANSITIONS.contains(&(self.stage, next)), "{:?} to {next:?}", self.stage);
        self.stage = next;
    }

    /// Drains the transactions, advances the families and starts the requests that the budget allows. Repeats this
    /// while there is progress.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        if self.stage != Stage::Running {
            return;
        }
        for _ in 0..ROUNDS {
            let drained = self.drain_transactions(cx);
            let mut advanced = false;
            for number in 0..self.families.len() {
                advanced |= self.advance(cx, number);
            }
            self.stop_waiting_for_unavailable(cx.now());
            let started = self.start_planned(cx);
            if !(drained || advanced || started) {
                break;
            }
        }
        if self.families.iter().all(FamilyRun::is_over) {
            self.end(cx);
        } else {
            self.set_wait(cx.now());
        }
    }

    /// Applies the actions of a part.
    fn apply(&mut self, cx: &mut Cx<'_>, actions: Actions) {
        for action in actions {
            match action {
                Action::OpenUdp { socket, towards, ports, replaces } => {
                    let port = ports.choose(cx);
                    if replaces {
                        cx.note(|| DiscoveryNote::PortTaken { port });
                    }
                    self.open(socket, Protocol::Udp, port, towards);
                }
                Action::OpenTcp { socket, towards } => self.open(socket, Protocol::Tcp, 0, towards),
                Action::Close(socket) => self.out.push(Output::Socket(SocketOrder::Close(socket))),
                Action::Request(request) => self.plan.add(request),
                Action::RequestNow(request) => {
                    self.request(cx, &request);
                }
                Action::Cancel(id) => {
                    let _ended = self.transactions.with(cx, |transactions, cx| transactions.cancel(cx, id));
                }
                Action::SetTail(id, tail) => {
                    let _ended = self.transactions.with(cx, |transactions, cx| transactions.set_tail(cx, id, tail));
                }
                Action::Withdraw { family, attempt } => self.plan.withdraw(family, attempt),
                Action::Flaw { family, server, flaw } => {
                    cx.note(|| DiscoveryNote::Caught { server, flaw });
                    self.out.push(Output::Event(DiscoveryEvent::Flaw { family, server, flaw }));
                }
                Action::Event(event) => self.out.push(Output::Event(event)),
                Action::Note(note) => cx.note(|| note),
            }
        }
    }

    fn open(&mut self, id: SocketId, protocol: Protocol, port: u16, towards: SocketAddr) {
        let any: IpAddr = if towards.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let chosen = self.config.local.iter().copied().find(|local| local.is_ipv4() == towards.is_ipv4());
        let open = Open::new(id, protocol, SocketAddr::new(chosen.unwrap_or(any), port)).towards(towards);
        self.out.push(Output::Socket(SocketOrder::Open(open)));
    }

    /// Starts a request. `None`: too many are pending, which the budget prevents.
    fn request(&mut self, cx: &mut Cx<'_>, request: &PlannedRequest) -> Option<TransactionId> {
        cx.note(|| DiscoveryNote::Asked { tag: request.tag, to: request.to });
        self.transactions.with(cx, |transactions, cx| transactions.request(cx, request.request())).ok()
    }

    fn drain_transactions(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut any = false;
        while let Some(output) = self.transactions.take() {
            match output {
                Output::Event(event) => {
                    any = true;
                    self.react_to_transaction(cx, &event);
                }
                Output::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                Output::Socket(order) => self.out.push(Output::Socket(order)),
                Output::Wait(_) => {}
            }
        }
        any
    }

    fn react_to_transaction(&mut self, cx: &mut Cx<'_>, event: &TransactionEvent<Tag>) {
        if let Some(run) = self.families.iter_mut().find(|run| run.family == event.tag().family) {
            let actions = run.react_to_transaction(cx.now(), event);
            self.apply(cx, actions);
        }
    }

    fn advance(&mut self, cx: &mut Cx<'_>, number: usize) -> bool {
        let transactions = self.transactions.get();
        let sends_of = |id| transactions.pending().find(|(other, ..)| *other == id).map(|(_, _, sends)| sends);
        let run = self.families.get_mut(number);
        let Some(actions) = run.and_then(|run| run.advance(cx, &self.config, sends_of)) else { return false };
        self.apply(cx, actions);
        true
    }

    /// If one family is unavailable, the other does not wait for it: the whole budget of RFC 5780 §5 is then free.
    fn stop_waiting_for_unavailable(&mut self, now: Instant) {
        if !self.families.iter().any(FamilyRun::is_unavailable) {
            return;
        }
        for run in self.families.iter_mut().filter(|run| !run.is_over()) {
            run.start_now(now);
            self.plan.start_now(now, run.family);
        }
    }

    fn start_planned(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut any = false;
        while let Some(request) = self.plan.take(cx.now()) {
            any = true;
            let is_its = |run: &FamilyRun| run.family == request.tag.family && !run.is_over();
            let Some(number) = self.families.iter().position(is_its) else { continue };
            let Some(id) = self.request(cx, &request) else { continue };
            let run = self.families.get_mut(number);
            let action = run.and_then(|run| run.react_to_start(cx.now(), request.tag, id));
            self.apply(cx, action.into_iter().collect());
        }
        any
    }

    fn set_wait(&mut self, now: Instant) {
        let plan = self.plan.wake(now).map(|at| Deadline::new(at, "ten new transactions a second"));
        let whole = Some(Deadline::new(self.since + self.config.timeout, "the time allowed"));
        let families = self.families.iter().map(FamilyRun::wake).fold(None, Deadline::earliest);
        let parts = Deadline::earliest(self.transactions.wait(), families);
        self.wait = Deadline::earliest(parts, Deadline::earliest(plan, whole));
    }

    /// Closes all sockets and reports.
    fn end(&mut self, cx: &mut Cx<'_>) {
        let elapsed = cx.now() - self.since;
        let families = self.families.iter().map(|run| run.report(cx.now(), self.config.hairpin)).collect();
        let closed: Actions = self.families.iter().flat_map(FamilyRun::close).collect();
        self.apply(cx, closed);
        self.out.push(Output::Event(DiscoveryEvent::Report(Box::new(Report { families, elapsed }))));
        self.plan.clear();
        self.families = Vec::new();
        self.transactions = Slot::new("transactions", 0, Transactions::new());
        self.become_stage(Stage::Ended);
        self.wait = None;
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: &Datagram<'_>) -> Verdict {
        let Some(number) = self.families.iter().position(|run| run.owns(datagram.socket)) else {
            return Verdict::NotMine;
        };
        let heard = self.families.get_mut(number).and_then(|run| run.hear(cx.now(), datagram));
        self.apply(cx, heard.into_iter().collect());
        if self.transactions.handle(cx, Input::Datagram(*datagram)) == Verdict::NotMine
            && let Some(run) = self.families.get_mut(number)
        {
            let actions = run.react_to_stray(datagram);
            self.apply(cx, actions);
        }
        Verdict::Mine
    }

    fn socket_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        let known = self.transactions.handle(cx, Input::Socket(socket, event));
        let Some(actions) = self.families.iter_mut().find_map(|run| run.react_to_socket_event(cx, socket, event))
        else {
            return known;
        };
        self.apply(cx, actions);
        Verdict::Mine
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) -> Verdict {
        if self.since + self.config.timeout <= cx.now() {
            self.families.iter_mut().for_each(FamilyRun::time_out);
        }
        if self.transactions.wake(cx) { Verdict::Mine } else { Verdict::NotMine }
    }
}

impl Machine for Discovery {
    type Command = MeasurementCommand;
    type Error = CommandError;
    type Event = DiscoveryEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: MeasurementCommand) -> Result<(), CommandError> {
        match command {
            MeasurementCommand::Start => self.start(cx),
            MeasurementCommand::Stop => self.stop(cx),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if self.stage != Stage::Running {
            return Verdict::NotMine;
        }
        let verdict = match input {
            Input::Datagram(datagram) => self.datagram(cx, &datagram),
            Input::Socket(socket, event) => self.socket_event(cx, socket, event),
            Input::Timeout => self.timeout(cx),
        };
        // An input that is not this machine's changes nothing, even if a request is due. The next timeout starts it.
        let has_one_owner = match input {
            Input::Datagram(_) | Input::Socket(_, SocketEvent::Accepted { .. }) => true,
            Input::Socket(..) | Input::Timeout => false,
        };
        if verdict == Verdict::Mine || !has_one_owner {
            self.settle(cx);
        }
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        if self.stage != Stage::Running || !self.families.iter().any(|run| run.has_stream(chunk.socket)) {
            return None;
        }
        // Bytes after the response are of no use: all of them are taken.
        let taken = self.transactions.with(cx, |transactions, cx| transactions.stream(cx, chunk));
        self.settle(cx);
        Some(taken.unwrap_or(chunk.payload.len()))
    }

    fn poll(&mut self) -> Output<DiscoveryEvent> {
        self.out.pop().unwrap_or(Output::Wait(self.wait))
    }
}
