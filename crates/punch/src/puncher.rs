//! The puncher: a machine that opens a UDP path to a peer behind a NAT.
//!
//! # A run
//!
//! The owner opens a socket, asks the introducer on it, and gives the socket to the puncher, so the peer knows the
//! mapping that the probes leave from. After [`PunchCommand::Start`] the puncher reports its [`Plan`]: the forecast, the
//! strategies, and the largest number of mappings and sessions. It never exceeds them.
//!
//! * Both sides send probes at a constant interval of 100 ms, and answer each probe. A probe of the peer that comes from
//!   an unknown address is answered and probed at once. So one side can answer the source of the other's packet.
//! * A side whose NAT has a destination-dependent mapping and no filter lets the peer send first.
//! * Some routers track a packet that came too early, and the tracked packet takes the mapping that the peer needs. So a
//!   side that filters by port sends one packet to another port of the peer's address, before the common start. If ICMP
//!   reports the port as unreachable, the peer's router may be one of these, and the peer sends first. If both routers are
//!   of this kind, both sides wait equally long, and their first packets must cross on their way. A side without the time
//!   for the test waits too.
//! * A side is connected when it has packets of the peer, and a probe of its own was answered. The first side chooses
//!   the path; its probes say so. The other side uses the same path, so that no two paths alternate.
//! * A response proves its path in one direction, whatever its source is. Two directions may have different endpoints.
//! * For a guess with many sockets, the sockets are opened at the start command, before the run. They are closed when a
//!   path is found, or when the guess has failed. Only one puncher of a process should guess at a time
//!   ([`PunchConfig::may_guess`]).
//! * A strategy that fails is followed by another strategy, never by the same one.
//!
//! # After the connection
//!
//! Until [`PunchCommand::Release`] the puncher answers probes, reports data of the application as
//! [`PunchEvent::Data`], and sends a keepalive every 25 s, or more often if a card has a short lifetime. If five
//! seconds pass without an answer, the path is lost. The puncher then punches again without guessing, for 40 s.
//!
//! # Deadlines
//!
//! With a dead network, the terminal event comes after the start delay and [`Plan::lasts`]; after a connection it comes
//! within [`Puncher::LOST_AFTER`].
//!
//! ```
//! use portolan_machine::{Cx, Machine, Output, SocketId, SocketIds};
//! use portolan_punch::puncher::{Peer, PunchCommand, PunchConfig, PunchEvent, Puncher, SessionKey, Sockets};
//! # struct Zero;
//! # impl portolan_machine::Entropy for Zero { fn fill(&mut self, out: &mut [u8]) { out.fill(0) } }
//!
//! let peer = Peer::new("203.0.113.9:40000".parse()?).card("nat1,4=nat,m=eim,f=apdf".parse()?);
//! let key = SessionKey::new(b"the secret of the room", &[7; 16]);
//! let config = PunchConfig::new(Sockets::ipv4(SocketId(1)), "198.51.100.7:5000".parse()?, peer, key, true);
//! let mut puncher = Puncher::new(config.own_card("nat1,4=nat,m=eim,f=adf".parse()?));
//!
//! let (mut rng, mut ids) = (Zero, SocketIds::new());
//! let mut cx = Cx::new(portolan_machine::Instant::ORIGIN, &mut rng, &mut ids);
//! puncher.command(&mut cx, PunchCommand::Start)?;
//! let Output::Event(PunchEvent::Planned(plan)) = puncher.poll() else { panic!() };
//! assert_eq!(plan.forecast.verdict.as_str(), "works");
//! assert_eq!((plan.limit.mappings, plan.limit.sessions), (2, 17));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod command;
mod config;
mod error;
mod event;
mod hear;
pub(crate) mod note;
mod pace;
mod probe;
mod run;
mod schedule;
mod table;

pub use command::PunchCommand;
pub use config::{Peer, PunchConfig, SessionKey, Sockets};
pub use error::PunchError;
pub use event::{Failure, Plan, PunchEvent, Usage};
pub use note::{DropReason, PunchNote, WithholdReason};
pub use table::Path;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use pace::Pace;
use portolan_machine::{
    Cx, Deadline, Input, Instant, Machine, Outbox, Output, SocketId, SocketOrder, TimerId, Timers, Verdict,
};
use schedule::Schedule;
use table::Table;

/// A machine that opens a UDP path to a peer. See the [module](self).
#[derive(Clone, Debug)]
pub struct Puncher {
    config: Box<PunchConfig>,
    schedule: Box<Schedule>,
    state: State,
    table: Table,
    timers: Timers<Timer>,
    pace: Pace,
    /// The sockets for guessing, and the socket of a path that is one of them.
    extra: Vec<Extra>,
    round: u16,
    router: Router,
    /// The largest cost of the tables so far: mappings and sessions.
    used: (u16, u16),
    out: Outbox<PunchEvent>,
}

/// How the peer's router treats an unsolicited packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Router {
    Unknown,
    /// A packet was sent to this address, where no mapping is expected.
    Tested(SocketAddr),
    /// The router takes the packet as its own: ICMP says that the port is unreachable. An early packet would take the
    /// mapping that the peer needs, so the peer must send first.
    Tracks,
}

/// A socket that the puncher ordered.
#[derive(Clone, Copy, Debug)]
struct Extra {
    socket: SocketId,
    /// Its address, once it is open.
    local: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
enum State {
    Idle,
    /// The sockets are opened, and the start delay passes.
    Waiting,
    Punching(Punching),
    Connected(Connected),
    Ended,
}

/// An attempt.
#[derive(Clone, Debug)]
struct Punching {
    stage: usize,
    began: Instant,
    /// The number of packets of a guess that were sent.
    sprayed: u16,
    /// The time of the first packet of the guess.
    spray_from: Instant,
    /// The offset and the step of the ports of a random guess.
    order: (u32, u32),
    /// Whether an authentic packet of the peer came.
    is_heard: bool,
    /// The path that the first side chose.
    nominated: Option<Path>,
    /// Ends the wait for a path whose two directions have the same endpoints.
    settle: Option<TimerId>,
    /// Whether that wait is over.
    is_settled: bool,
}

/// A path in use.
#[derive(Clone, Debug)]
struct Connected {
    path: Path,
    /// Probes without an answer since the last answer.
    unanswered: u16,
    /// Whether the peer knows that the path is chosen.
    is_known: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    Start,
    Stage,
    Probe(Path),
    Spray,
    Settle,
    CloseSockets,
    Keepalive,
}

impl Timer {
    const fn why(self) -> &'static str {
        match self {
            Self::Start => "the common start",
            Self::Stage => "the end of a strategy",
            Self::Probe(_) => "a probe",
            Self::Spray => "the next packet of a guess",
            Self::Settle => "the choice of a path",
            Self::CloseSockets => "sockets to close",
            Self::Keepalive => "a keepalive",
        }
    }
}

/// The interval of probes in the first attempt.
const INTERVAL: Duration = Duration::from_millis(100);
/// The interval of probes after a loss.
const SLOW_INTERVAL: Duration = Duration::from_millis(500);
/// The time of an attempt after a loss: the peer notices the loss up to one keepalive later.
const AGAIN: Duration = Duration::from_secs(40);
/// The longest interval of keepalives.
const KEEPALIVE: Duration = Duration::from_secs(25);
/// The most probes without an answer on a path in use, and their interval.
const UNANSWERED: (u16, Duration) = (10, Duration::from_millis(500));
/// The time to the next moment: a deadline lies ahead.
const SOON: Duration = Duration::from_millis(1);

impl Puncher {
    /// The longest time from a connection to the terminal event after the network has died: a keepalive, its
    /// retransmissions, and the attempt after the loss.
    pub const LOST_AFTER: Duration = Duration::from_secs(75);

    /// A puncher that waits for [`PunchCommand::Start`].
    #[must_use]
    pub fn new(config: PunchConfig) -> Self {
        let schedule = Schedule::new(&config);
        Self {
            state: State::Idle,
            table: Table::new(schedule.limit),
            timers: Timers::new(),
            pace: Pace::new(config.conditions.budget.rate),
            extra: Vec::new(),
            round: 0,
            router: Router::Unknown,
            used: (0, 0),
            out: Outbox::new(),
            config: Box::new(config),
            schedule: Box::new(schedule),
        }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.schedule.plan
    }

    /// The path in use.
    #[must_use]
    pub const fn path(&self) -> Option<Path> {
        match &self.state {
            State::Connected(connected) => Some(connected.path),
            State::Idle | State::Waiting | State::Punching(_) | State::Ended => None,
        }
    }

    /// Whether an authentic packet of the peer came in the current attempt.
    #[must_use]
    pub const fn is_heard(&self) -> bool {
        match &self.state {
            State::Punching(punching) => punching.is_heard,
            State::Connected(_) => true,
            State::Idle | State::Waiting | State::Ended => false,
        }
    }

    /// What the puncher has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let ((mappings, sessions), used) = (self.table.cost(), self.used);
        Usage { packets: self.pace.total(), mappings: mappings.max(used.0), sessions: sessions.max(used.1) }
    }

    /// The local address of a socket that the puncher opened for a guess; `None` for every other socket.
    #[must_use]
    pub fn local(&self, socket: SocketId) -> Option<SocketAddr> {
        self.extra.iter().find(|extra| extra.socket == socket)?.local
    }

    /// Remembers the cost of the table, before paths are removed.
    pub(super) fn note_cost(&mut self) {
        let (mappings, sessions) = self.table.cost();
        self.used = (self.used.0.max(mappings), self.used.1.max(sessions));
    }

    fn owns(&self, socket: SocketId) -> bool {
        self.config.sockets.contains(socket) || self.extra.iter().any(|extra| extra.socket == socket)
    }

    /// Ends with a last event. Sockets that the puncher opened are closed, except one that the owner takes.
    fn end(&mut self, last: PunchEvent, taken: Option<SocketId>) {
        for Extra { socket, .. } in core::mem::take(&mut self.extra) {
            if taken != Some(socket) {
                self.out.push(Output::Socket(SocketOrder::Close(socket)));
            }
        }
        self.state = State::Ended;
        self.timers = Timers::new();
        self.note_cost();
        self.table = Table::new(self.schedule.limit);
        self.pace.clear();
        self.out.push(Output::Event(last));
    }

    fn timer(&mut self, cx: &mut Cx<'_>, timer: Timer) {
        match timer {
            Timer::Start => self.start_is_due(cx),
            Timer::Stage => self.next_stage(cx),
            Timer::Probe(path) => self.probe_is_due(cx, path),
            Timer::Spray => self.spray(cx),
            Timer::Settle => {
                if let State::Punching(punching) = &mut self.state {
                    (punching.settle, punching.is_settled) = (None, true);
                    self.choose(cx);
                }
            }
            Timer::CloseSockets => self.close_sockets(),
            Timer::Keepalive => self.keepalive(cx),
        }
    }
}

impl Machine for Puncher {
    type Command = PunchCommand;
    type Error = PunchError;
    type Event = PunchEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: PunchCommand) -> Result<(), PunchError> {
        match (command, &self.state) {
            (_, State::Ended) => Err(PunchError::Ended),
            (PunchCommand::Start, State::Idle) => {
                self.start(cx);
                Ok(())
            }
            (PunchCommand::Start, State::Waiting | State::Punching(_) | State::Connected(_)) => {
                Err(PunchError::AlreadyStarted)
            }
            (PunchCommand::Release, State::Connected(connected)) => {
                let socket = connected.path.socket;
                self.end(PunchEvent::Released, Some(socket));
                Ok(())
            }
            (PunchCommand::Release, State::Idle | State::Waiting | State::Punching(_)) => Err(PunchError::NotConnected),
            (PunchCommand::Close, State::Idle | State::Waiting | State::Punching(_) | State::Connected(_)) => {
                self.end(PunchEvent::Closed, None);
                Ok(())
            }
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, event) => self.socket_event(cx, socket, event),
            Input::Timeout => {
                let mut verdict = Verdict::NotMine;
                while let Some(timer) = self.timers.pop_due(cx.now()) {
                    verdict = Verdict::Mine;
                    self.timer(cx, timer);
                }
                verdict
            }
        }
    }

    fn poll(&mut self) -> Output<PunchEvent> {
        self.out.pop().unwrap_or_else(|| {
            let next = self.timers.next().zip(self.timers.next_key());
            Output::Wait(next.map(|(at, timer)| Deadline::new(at, timer.why())))
        })
    }
}
