//! Finding out which NAT is in front of a host: a machine that asks STUN servers and judges their answers.
//!
//! # What it refuses to do
//!
//! It guesses nothing: each axis gets a value with the probability that it is wrong, or `unknown` with a reason. It
//! believes no answer whose source it did not ask for, and no silence that a dead server, a mute server or lost packets
//! explain as well. It asks no gateway, opens no port, and sends no hairpin packet unless it is told to. It starts at most
//! ten transactions in any second (RFC 5780 §5).
//!
//! # What it does
//!
//! For each family it opens two sockets at once. The *mapping socket* asks two servers where they see it, and one server
//! that has a second address from there too (RFC 5780 §4.3). The *filtering socket* asks one server three things at once:
//! a plain request, "answer from your other address and port", "answer from your other port" (RFC 5780 §4.4). Where the
//! filtering socket stays without the second answer, the mapping socket, which has contacted the other address by then,
//! asks for the same: if that is answered, the server is not mute, and the silence was a filter.
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
//! let (mut dice, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut dice, &mut ids);
//! discovery.command(&mut cx, "start".parse()?)?;
//! let Output::Socket(SocketOrder::Open(mapping_socket)) = discovery.poll() else { panic!() };
//! assert_eq!(mapping_socket.remote, Some("192.0.2.1:3478".parse()?));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod address;
mod allocation;
mod desk;
mod doubt;
mod family;
mod filtering;
mod filtering_test;
mod hairpin;
mod mapping;
mod mapping_test;
mod plan;
mod ports;
mod reach;
mod servers;
mod tag;

pub use crate::command::{CommandError, MeasurementCommand, UnknownCommand};
pub use tag::{Tag, TagParseError, Target, Test};

use crate::error::DiscoveryConfigError;
use crate::event::DiscoveryEvent;
use crate::profile::{Family, Report};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use desk::Desk;
use family::FamilyRun;
use plan::Plan;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Outbox, Output, Slot, SocketId, SocketNews, Verdict,
};
use portolan_stun_agent::{TransactionEvent, Transactions};

/// A server to ask; the addresses of one name count as one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunServer {
    /// What people call it.
    pub name: Arc<str>,
    /// Where it answers; at most one address a family is asked at first.
    pub addresses: Vec<SocketAddr>,
}

/// What to find out, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryConfig {
    /// The servers, best first; two a family are asked at first.
    pub servers: Vec<StunServer>,
    /// The families to measure; those without a server address are left out.
    pub families: Vec<Family>,
    /// Local addresses to bind, at most one a family; without one the system chooses.
    pub local: Vec<IpAddr>,
    /// When to stop and report what is known, counted from the start. 5 s.
    pub timeout: Duration,
    /// Whether to send packets to the own public endpoint (RFC 4787 §6). Some firewalls take them for an attack.
    pub hairpin: bool,
    /// Whether to open 16 more sockets back to back to learn how ports are chosen: an exception to ten transactions a
    /// second.
    pub ports: bool,
}

impl DiscoveryConfig {
    /// Everything that is measured unless asked otherwise, with `servers`.
    #[must_use]
    pub fn new(servers: Vec<StunServer>) -> Self {
        Self {
            servers,
            families: alloc::vec![Family::V4, Family::V6],
            local: Vec::new(),
            timeout: Duration::from_secs(5),
            hairpin: false,
            ports: false,
        }
    }

    /// Checks what can be checked before anything is sent.
    ///
    /// # Errors
    /// No server in the families asked for, or one address twice.
    pub fn check(&self) -> Result<(), DiscoveryConfigError> {
        let mut seen: Vec<(usize, SocketAddr)> = Vec::new();
        let measured = |address: &&SocketAddr| self.families.contains(&Family::of(address));
        for (second, server) in self.servers.iter().enumerate() {
            for address in server.addresses.iter().filter(measured) {
                if let Some((first, _)) = seen.iter().find(|(first, other)| *first != second && other == address) {
                    return Err(DiscoveryConfigError::SameAddress { first: *first, second, address: *address });
                }
                seen.push((second, *address));
            }
        }
        if seen.is_empty() { Err(DiscoveryConfigError::NoServers) } else { Ok(()) }
    }
}

/// The machine that finds out which NAT is in front of a host.
#[derive(Debug)]
pub struct Discovery {
    config: DiscoveryConfig,
    works: Works,
    families: Vec<FamilyRun>,
    stage: Stage,
    /// When it was started.
    since: Instant,
    wait: Option<Deadline>,
}

/// What all parts share.
#[derive(Debug)]
struct Works {
    agent: Slot<Transactions<Tag>>,
    plan: Plan,
    out: Outbox<DiscoveryEvent>,
}

impl Works {
    fn desk<'d, 'c>(&'d mut self, config: &'d DiscoveryConfig, cx: &'d mut Cx<'c>) -> Desk<'d, 'c> {
        Desk { cx, out: &mut self.out, agent: &mut self.agent, plan: &mut self.plan, config }
    }
}

/// Where the whole run stands; it only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// `start` has not come.
    Waiting,
    /// Questions are asked.
    Running,
    /// The report is made.
    Ended,
}

/// What may follow what.
const TRANSITIONS: &[(Stage, Stage)] = &[(Stage::Waiting, Stage::Running), (Stage::Running, Stage::Ended)];

/// How often the parts may make each other go on within one call; each round ends a question or starts one.
const ROUNDS: usize = 64;

impl Discovery {
    /// A discovery that waits for [`MeasurementCommand::Start`].
    ///
    /// # Errors
    /// What [`DiscoveryConfig::check`] finds.
    pub fn new(config: DiscoveryConfig) -> Result<Self, DiscoveryConfigError> {
        config.check()?;
        let works =
            Works { agent: Slot::new("transactions", 0, Transactions::new()), plan: Plan::new(), out: Outbox::new() };
        Ok(Self { config, works, families: Vec::new(), stage: Stage::Waiting, since: Instant::ORIGIN, wait: None })
    }

    /// Begins; the sugar of [`MeasurementCommand::Start`].
    ///
    /// # Errors
    /// Where it has begun already.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), CommandError> {
        match self.stage {
            Stage::Waiting => {}
            Stage::Running => return Err(CommandError::AlreadyStarted),
            Stage::Ended => return Err(CommandError::Ended),
        }
        self.become_stage(Stage::Running);
        self.since = cx.now();
        let mut desk = self.works.desk(&self.config, cx);
        for family in [Family::V4, Family::V6] {
            if self.config.families.contains(&family) {
                let second = !self.families.is_empty();
                self.families.extend(FamilyRun::start(&mut desk, family, second));
            }
        }
        self.settle(cx);
        Ok(())
    }

    /// Ends with what is known; the sugar of [`MeasurementCommand::Stop`].
    ///
    /// # Errors
    /// Where it has not begun, or has ended.
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

    /// Drains the agent, lets the families go on and starts what the budget allows, until nothing is new.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        if self.stage != Stage::Running {
            return;
        }
        for _ in 0..ROUNDS {
            let heard = self.drain_agent(cx);
            let mut advanced = false;
            for number in 0..self.families.len() {
                advanced |= self.advance(cx, number);
            }
            self.hasten(cx);
            let started = self.start_wishes(cx);
            if !(heard || advanced || started) {
                break;
            }
        }
        if self.families.iter().all(FamilyRun::is_over) {
            self.end(cx);
        } else {
            self.keep_wait(cx.now());
        }
    }

    fn drain_agent(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut any = false;
        while let Some(output) = self.works.agent.take() {
            match output {
                Output::Event(event) => {
                    any = true;
                    self.react_to_agent(cx, &event);
                }
                Output::Transmit(transmit) => self.works.out.push(Output::Transmit(transmit)),
                Output::Socket(order) => self.works.out.push(Output::Socket(order)),
                Output::Wait(_) => {}
            }
        }
        any
    }

    fn react_to_agent(&mut self, cx: &mut Cx<'_>, event: &TransactionEvent<Tag>) {
        let mut desk = self.works.desk(&self.config, cx);
        if let Some(family) = self.families.iter_mut().find(|run| run.family == event.tag().family) {
            family.react_to_agent(&mut desk, event);
        }
    }

    fn advance(&mut self, cx: &mut Cx<'_>, number: usize) -> bool {
        let mut desk = self.works.desk(&self.config, cx);
        self.families.get_mut(number).is_some_and(|run| run.advance(&mut desk))
    }

    /// Where one family has no way out, the other one need not wait: the budget of RFC 5780 §5 is its own.
    fn hasten(&mut self, cx: &mut Cx<'_>) {
        if !self.families.iter().any(FamilyRun::is_unavailable) {
            return;
        }
        let mut desk = self.works.desk(&self.config, cx);
        for run in self.families.iter_mut().filter(|run| !run.is_over()) {
            run.hasten(&mut desk);
        }
    }

    fn start_wishes(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut any = false;
        while let Some(wish) = self.works.plan.take(cx.now()) {
            any = true;
            let mut desk = self.works.desk(&self.config, cx);
            let run = self.families.iter_mut().find(|run| run.family == wish.tag.family && !run.is_over());
            if let Some(run) = run
                && let Some(id) = desk.start(&wish)
            {
                run.react_to_start(&mut desk, wish.tag, id);
            }
        }
        any
    }

    fn keep_wait(&mut self, now: Instant) {
        let plan = self.works.plan.wake(now).map(|at| Deadline::new(at, "ten new transactions a second"));
        let whole = Some(Deadline::new(self.since + self.config.timeout, "the time allowed"));
        let families = self.families.iter().map(FamilyRun::wake).fold(None, Deadline::earliest);
        let parts = Deadline::earliest(self.works.agent.wait(), families);
        self.wait = Deadline::earliest(parts, Deadline::earliest(plan, whole));
    }

    /// Lets everything go and tells the report.
    fn end(&mut self, cx: &mut Cx<'_>) {
        let elapsed = cx.now() - self.since;
        let mut desk = self.works.desk(&self.config, cx);
        let families = self.families.iter().map(|run| run.report(&desk)).collect();
        for run in &mut self.families {
            run.close(&mut desk);
        }
        desk.tell(DiscoveryEvent::Report(Box::new(Report { families, elapsed })));
        self.works.plan.clear();
        self.works.agent = Slot::new("transactions", 0, Transactions::new());
        self.become_stage(Stage::Ended);
        self.wait = None;
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: &Datagram<'_>) -> Verdict {
        let Some(number) = self.families.iter().position(|run| run.owns(datagram.socket)) else {
            return Verdict::NotMine;
        };
        let answers = self.works.agent.handle(cx, Input::Datagram(*datagram));
        if answers == Verdict::NotMine {
            let mut desk = self.works.desk(&self.config, cx);
            if let Some(run) = self.families.get_mut(number) {
                run.react_to_stray(&mut desk, datagram);
            }
        }
        Verdict::Mine
    }

    fn news(&mut self, cx: &mut Cx<'_>, socket: SocketId, news: SocketNews) -> Verdict {
        let known = self.works.agent.handle(cx, Input::Socket(socket, news));
        let mut desk = self.works.desk(&self.config, cx);
        let mine = self.families.iter_mut().any(|run| run.react_to_news(&mut desk, socket, news));
        if mine { Verdict::Mine } else { known }
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) -> Verdict {
        if self.since + self.config.timeout <= cx.now() {
            self.families.iter_mut().for_each(FamilyRun::time_out);
        }
        if self.works.agent.wake(cx) { Verdict::Mine } else { Verdict::NotMine }
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
            Input::Socket(socket, news) => self.news(cx, socket, news),
            Input::Timeout => self.timeout(cx),
        };
        // What is another's changes nothing, not even what is due already: that is the next timeout's.
        let has_one_owner = match input {
            Input::Datagram(_) | Input::Socket(_, SocketNews::Accepted { .. }) => true,
            Input::Socket(..) | Input::Timeout => false,
        };
        if verdict == Verdict::Mine || !has_one_owner {
            self.settle(cx);
        }
        verdict
    }

    fn poll(&mut self) -> Output<DiscoveryEvent> {
        self.works.out.pop().unwrap_or(Output::Wait(self.wait))
    }
}
