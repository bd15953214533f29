//! An audit of a TURN server: a machine that attacks the server of its owner, and reports which attacks it holds.
//!
//! Rules of this file: the steps of the plan run one after the other. A step sends one message, and waits for the response
//! or for the time in which data can arrive. The audit sends to the given server only. It names denied peers in
//! requests, and never sends to them.
//!
//! Connect requests (RFC 6062) need a TCP allocation. Its stream is opened when the steps of the UDP allocations are done.
//!
//! A missing response is no evidence. Dropped data counts only together with a control: the same data, with a permission,
//! arrives. Each outcome is [`Held`](TurnOutcome::Held), [`NotHeld`](TurnOutcome::NotHeld) with the evidence, or
//! [`NotTestable`](TurnOutcome::NotTestable) with the reason.
//!
//! RFC 8656, RFC 8489 §9.2, RFC 6062.
//!
//! ```
//! use portolan_audit::turn::{TurnAudit, TurnAuditConfig};
//! use portolan_machine::{Cx, Entropy, Input, Instant, Machine, Output, SocketEvent, SocketIds, SocketOrder};
//! use portolan_stun::{Message, Method};
//! # struct Counting(u8);
//! # impl Entropy for Counting { fn fill(&mut self, out: &mut [u8]) { self.0 += 1; out.fill(self.0) } }
//!
//! let (mut rng, mut ids) = (Counting(0), SocketIds::new());
//! let mut audit = TurnAudit::new(TurnAuditConfig::new("192.0.2.1:3478".parse()?, "alice", "secret"));
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! audit.start(&mut cx)?;
//! for port in 40_000..40_004 {
//!     let Output::Socket(SocketOrder::Open(open)) = audit.poll() else { panic!("four sockets") };
//!     let local = ([198, 51, 100, 7], port).into();
//!     audit.handle(&mut cx, Input::Socket(open.id, SocketEvent::Opened { local }));
//! }
//! let Output::Transmit(first) = audit.poll() else { panic!("an Allocate request without credentials") };
//! assert_eq!(Message::decode(&first.payload)?.method(), Method::ALLOCATE);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod attack;
mod judge;
mod plan;
mod prepare;
mod report;
mod request;
mod stream;

pub use attack::{Basis, Breach, Obstacle, TurnAttack, TurnOutcome};
pub use report::{TurnFinding, TurnReport, TurnSummary};

use crate::{AuditCommand, AuditError, AuditNote};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use plan::{Seat, Step};
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Outbox, Output, Refusal, SocketEvent, SocketId, SocketOrder,
    Transmit, Verdict,
};
use portolan_stun::{Message, TransactionId};
use portolan_stun_agent::framing::Framer;
use prepare::{Aim, Prepared};
use report::Tally;
use request::{Account, Challenge};

/// The server of an audit, its user, and perhaps a second user.
#[derive(Clone, Debug)]
pub struct TurnAuditConfig {
    server: SocketAddr,
    user: Account,
    other: Option<Account>,
}

impl TurnAuditConfig {
    /// An audit of `server` over UDP, with a user of the server.
    #[must_use]
    pub fn new(server: SocketAddr, name: &str, password: &str) -> Self {
        Self { server, user: Account { name: name.into(), password: password.into() }, other: None }
    }

    /// Returns the same configuration with a second user, for attacks of one user on the allocation of another.
    #[must_use]
    pub fn other_user(mut self, name: &str, password: &str) -> Self {
        self.other = Some(Account { name: name.into(), password: password.into() });
        self
    }
}

/// An event of a [`TurnAudit`]. Each event is the last one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TurnAuditEvent {
    /// The result of the audit.
    Report(Box<TurnReport>),
    /// There is no result.
    Failed(TurnAuditFailure),
}

/// The reason why an audit has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TurnAuditFailure {
    /// A socket could not be opened.
    #[error("a socket could not be opened: {0}")]
    Refused(Refusal),
    /// The server did not respond.
    #[error("the server did not respond")]
    Silent,
    /// The server gave no allocation: the error code.
    #[error("the server gave no allocation: error {0}")]
    NoAllocation(u16),
}

/// An audit of one TURN server.
#[derive(Clone, Debug)]
pub struct TurnAudit {
    config: TurnAuditConfig,
    phase: Phase,
    seats: [Client; 6],
    steps: Vec<Step>,
    /// The index of the next step.
    next: usize,
    pending: Option<Pending>,
    tally: Tally,
    facts: Facts,
    out: Outbox<TurnAuditEvent>,
}

/// The phase of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Opening,
    Running,
    Done,
}

/// A client of the audit.
#[derive(Clone, Debug)]
struct Client {
    socket: Option<SocketId>,
    is_open: bool,
    /// The incomplete message of a stream.
    framer: Framer,
    challenge: Option<Challenge>,
    relayed: Option<SocketAddr>,
    /// The error code of the last Allocate request.
    refused: Option<u16>,
}

impl Default for Client {
    fn default() -> Self {
        let framer = stream::framer();
        Self { socket: None, is_open: false, framer, challenge: None, relayed: None, refused: None }
    }
}

/// What is known about the server and the path to it.
#[derive(Clone, Debug, Default)]
struct Facts {
    started: Instant,
    software: Option<Box<str>>,
    other: Option<Challenge>,
    rtt: Option<Duration>,
    sent: u32,
    received: u32,
    /// The number of requests in a row without a response.
    silent: u32,
    /// The last attack that could have ended the allocation.
    attacked: Option<TurnAttack>,
}

/// The step that waits.
#[derive(Clone, Debug)]
struct Pending {
    step: Step,
    seat: Seat,
    bytes: Bytes,
    aim: Aim,
    sent_at: Instant,
    sends: u32,
    due: Instant,
    /// Whether the request was repeated with a new nonce.
    is_repeated: bool,
}

/// The waits after the first, the second and the third send of a request, in milliseconds.
const WAITS: [u64; 3] = [300, 600, 1100];
/// The wait for the response to a request on a stream, which is sent once, in milliseconds.
const STREAM_WAIT: u64 = 2000;
/// After this number of requests in a row without a response the other steps are not tested.
const SILENT: u32 = 3;
/// The time in which relayed data must arrive is three round trips, within these bounds.
const WATCH: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(1000)];

impl TurnAudit {
    /// The maximum number of datagrams and requests on streams of one audit. A server that responds gets about 135.
    pub const MAX_DATAGRAMS: u32 = 800;
    /// The maximum duration of an audit: 320 seconds, if the server answers every third request. A server that responds
    /// is audited in about three seconds and 115 round trips.
    pub const MAX_DURATION: Duration = Duration::from_secs(320);

    /// Creates an audit that waits for [`start`](Self::start).
    #[must_use]
    pub fn new(config: TurnAuditConfig) -> Self {
        Self {
            config,
            phase: Phase::Idle,
            seats: Default::default(),
            steps: Vec::new(),
            next: 0,
            pending: None,
            tally: Tally::default(),
            facts: Facts::default(),
            out: Outbox::new(),
        }
    }

    /// Orders the sockets. The audit begins when all of them are open.
    ///
    /// # Errors
    /// * [`AuditError::NotIdle`] when the audit was started before.
    /// * [`AuditError::Destination`] when the address of the server is unspecified, or its port is 0.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), AuditError> {
        if self.phase != Phase::Idle {
            return Err(AuditError::NotIdle);
        }
        let server = self.config.server;
        if server.ip().is_unspecified() || server.port() == 0 {
            return Err(AuditError::Destination);
        }
        self.phase = Phase::Opening;
        self.steps = plan::steps();
        for seat in Seat::ALL.into_iter().filter(|seat| !seat.is_stream()) {
            self.order_socket(cx, seat);
        }
        Ok(())
    }

    fn client(&self, seat: Seat) -> &Client {
        let [main, second, third, six, tcp, tcp_six] = &self.seats;
        match seat {
            Seat::Main => main,
            Seat::Second => second,
            Seat::Third => third,
            Seat::Six => six,
            Seat::Tcp => tcp,
            Seat::TcpSix => tcp_six,
        }
    }

    fn client_mut(&mut self, seat: Seat) -> &mut Client {
        let [main, second, third, six, tcp, tcp_six] = &mut self.seats;
        match seat {
            Seat::Main => main,
            Seat::Second => second,
            Seat::Third => third,
            Seat::Six => six,
            Seat::Tcp => tcp,
            Seat::TcpSix => tcp_six,
        }
    }

    fn seat_of(&self, socket: SocketId) -> Option<Seat> {
        Seat::ALL.into_iter().find(|seat| self.client(*seat).socket == Some(socket))
    }

    fn socket_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        let Some(seat) = self.seat_of(socket) else { return Verdict::NotMine };
        match event {
            SocketEvent::Opened { .. } => {
                self.client_mut(seat).is_open = true;
                let is_ready = |seat: Seat| seat.is_stream() || self.client(seat).is_open;
                if self.phase == Phase::Opening && Seat::ALL.into_iter().all(is_ready) {
                    self.phase = Phase::Running;
                    self.facts.started = cx.now();
                    self.proceed(cx);
                } else if seat.is_stream() {
                    self.stream_opened(cx, seat);
                }
            }
            SocketEvent::Refused(_) | SocketEvent::Closed(_) if seat.is_stream() => self.stream_ended(cx, seat),
            SocketEvent::Refused(why) => self.end(TurnAuditEvent::Failed(TurnAuditFailure::Refused(why))),
            // The requests of a closed UDP socket time out.
            SocketEvent::Unreachable { .. }
            | SocketEvent::Accepted { .. }
            | SocketEvent::Full
            | SocketEvent::Writable
            | SocketEvent::Closed(_) => {}
        }
        Verdict::Mine
    }

    /// Begins the next step that has something to send; ends the audit after the last one.
    fn proceed(&mut self, cx: &mut Cx<'_>) {
        while self.pending.is_none() && self.phase == Phase::Running {
            let Some(&step) = self.steps.get(self.next) else { return self.finish(cx.now()) };
            self.next += 1;
            if self.facts.silent >= SILENT && !matches!(step, Step::Release(_)) {
                self.untested(step, Obstacle::Silent);
                continue;
            }
            match self.prepare(cx, step) {
                Prepared::Skip(why) => self.untested(step, why),
                Prepared::Open(seat) => self.open_stream(cx, step, seat),
                Prepared::Send { seat, bytes, aim } => self.begin(cx, step, (seat, bytes.into(), aim), false),
            }
        }
    }

    /// Sends the message of a step for the first time.
    fn begin(&mut self, cx: &mut Cx<'_>, step: Step, (seat, bytes, aim): (Seat, Bytes, Aim), is_repeated: bool) {
        let now = cx.now();
        // A stream retransmits by itself, so its request has no further send.
        let (wait, sends) = match aim {
            Aim::Response(_) if seat.is_stream() => (Duration::from_millis(STREAM_WAIT), WAITS.len() as u32),
            Aim::Response(_) => (Duration::from_millis(WAITS[0]), 1),
            Aim::Arrival { .. } | Aim::Silence | Aim::Opened => (self.watch(), 1),
        };
        let (to, pending) =
            (self.config.server, Pending { step, seat, bytes, aim, sent_at: now, sends, due: now + wait, is_repeated });
        if let Some(attack) = step.attack() {
            cx.note(|| AuditNote::Attacking { attack, to });
        }
        self.transmit(seat, pending.bytes.clone());
        self.pending = Some(pending);
    }

    fn transmit(&mut self, seat: Seat, bytes: Bytes) {
        if let Some(socket) = self.client(seat).socket {
            self.facts.sent = self.facts.sent.saturating_add(1);
            self.out.push(Output::Transmit(Transmit::new(socket, self.config.server, bytes)));
        }
    }

    fn watch(&self) -> Duration {
        let [least, most] = WATCH;
        self.facts.rtt.map_or(most, |rtt| rtt.saturating_mul(3).clamp(least, most))
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let Some(mut pending) = self.pending.take_if(|pending| pending.due <= now) else { return };
        match pending.aim {
            Aim::Response(_) => match WAITS.get(pending.sends as usize) {
                Some(wait) => {
                    pending.sends += 1;
                    pending.due = now + Duration::from_millis(*wait);
                    self.transmit(pending.seat, pending.bytes.clone());
                    self.pending = Some(pending);
                    return;
                }
                None => {
                    self.facts.silent += 1;
                    match pending.step {
                        Step::Challenge(Seat::Main) | Step::Allocate(Seat::Main) if self.facts.attacked.is_none() => {
                            return self.end(TurnAuditEvent::Failed(TurnAuditFailure::Silent));
                        }
                        step => self.untested(step, Obstacle::Silent),
                    }
                }
            },
            Aim::Arrival { .. } | Aim::Silence => self.quiet(pending.step),
            Aim::Opened => self.close_stream(pending.seat),
        }
        self.proceed(cx);
    }

    /// Handles a datagram or a message of the server.
    fn receive(&mut self, cx: &mut Cx<'_>, seat: Seat, bytes: &[u8]) {
        self.facts.received = self.facts.received.saturating_add(1);
        let Some(pending) = self.pending.clone() else { return };
        match &pending.aim {
            Aim::Response(id) => {
                let Ok(message) = Message::decode(bytes) else { return };
                if seat == pending.seat && message.transaction_id() == *id && message.class().is_response() {
                    self.pending = None;
                    self.response(cx, pending, &message);
                    self.proceed(cx);
                }
            }
            Aim::Arrival { seat: at, marker } => {
                if seat == *at && bytes.windows(marker.len()).any(|window| window == marker) {
                    self.pending = None;
                    self.arrived(pending.step);
                    self.proceed(cx);
                }
            }
            Aim::Opened => {}
            Aim::Silence => {
                if seat == pending.seat {
                    self.pending = None;
                    self.answered(pending.step, bytes.len());
                    self.proceed(cx);
                }
            }
        }
    }

    /// Handles the response to the request of a step.
    fn response(&mut self, cx: &mut Cx<'_>, pending: Pending, message: &Message<'_>) {
        self.facts.silent = 0;
        if pending.sends == 1 {
            let rtt = cx.now().since(pending.sent_at);
            self.facts.rtt = Some(self.facts.rtt.map_or(rtt, |known| known.min(rtt)));
        }
        if let Some(software) = message.software().filter(|_| self.facts.software.is_none()) {
            self.facts.software = Some(software.to_string().into());
        }
        match request::padding_of(message.as_bytes()) {
            Some(byte) => self.tally.not_held(TurnAttack::Padding, Breach::Padding(byte)),
            None => self.tally.held(TurnAttack::Padding),
        }
        let code = message.error_code().map(|error| error.code());
        // A nonce that became stale is no result. The request is repeated once with the new nonce.
        if code == Some(438) && pending.step.accepts_new_nonce() && !pending.is_repeated {
            let client = self.client_mut(pending.seat);
            client.challenge = Challenge::of(message, client.challenge.as_ref()).or(client.challenge.take());
            if let Prepared::Send { seat, bytes, aim } = self.prepare(cx, pending.step) {
                return self.begin(cx, pending.step, (seat, bytes.into(), aim), true);
            }
        }
        self.judge(pending.step, &pending.bytes, message, code);
    }

    fn finish(&mut self, now: Instant) {
        for (attack, why) in [
            (TurnAttack::PermissionExpiry, Obstacle::Seconds(300)),
            (TurnAttack::ChannelExpiry, Obstacle::Seconds(600)),
            (TurnAttack::UnlimitedReplies, Obstacle::Flood),
            (TurnAttack::PermissionFlood, Obstacle::Flood),
        ] {
            self.tally.not_testable(attack, why);
        }
        let report = TurnReport {
            server: self.config.server,
            relayed: self.client(Seat::Main).relayed,
            relayed_ipv6: self.client(Seat::Six).relayed,
            software: self.facts.software.take(),
            findings: self.tally.findings(),
            sent: self.facts.sent,
            received: self.facts.received,
            elapsed: now.since(self.facts.started),
        };
        self.end(TurnAuditEvent::Report(report.into()));
    }

    fn end(&mut self, event: TurnAuditEvent) {
        self.phase = Phase::Done;
        self.pending = None;
        self.steps = Vec::new();
        for client in &mut self.seats {
            if let Some(socket) = client.socket.take() {
                self.out.push(Output::Socket(SocketOrder::Close(socket)));
            }
        }
        self.out.push(Output::Event(event));
    }

    fn deadline(&self) -> Option<Deadline> {
        let pending = self.pending.as_ref()?;
        let why = match pending.aim {
            Aim::Response(_) => "response",
            Aim::Arrival { .. } | Aim::Silence => "relayed data",
            Aim::Opened => "connection",
        };
        Some(Deadline::new(pending.due, why))
    }

    /// A fresh transaction id.
    fn id(cx: &mut Cx<'_>) -> TransactionId {
        TransactionId::from(cx.random::<12>())
    }
}

impl Machine for TurnAudit {
    type Command = AuditCommand;
    type Error = AuditError;
    type Event = TurnAuditEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: AuditCommand) -> Result<(), AuditError> {
        match command {
            AuditCommand::Start => self.start(cx),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if matches!(self.phase, Phase::Idle | Phase::Done) {
            return Verdict::NotMine;
        }
        match input {
            Input::Datagram(datagram) => {
                let seat = self.seat_of(datagram.socket).filter(|seat| !seat.is_stream());
                let Some(seat) = seat else { return Verdict::NotMine };
                if datagram.remote == self.config.server {
                    self.receive(cx, seat, datagram.payload);
                }
                Verdict::Mine
            }
            Input::Socket(socket, event) => self.socket_event(cx, socket, event),
            Input::Timeout if self.deadline().is_some_and(|deadline| deadline.is_due(cx.now())) => {
                self.timeout(cx);
                Verdict::Mine
            }
            Input::Timeout => Verdict::NotMine,
        }
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        if self.phase != Phase::Running {
            return None;
        }
        let seat = self.seat_of(chunk.socket).filter(|seat| seat.is_stream())?;
        self.read(cx, seat, chunk.payload);
        Some(chunk.payload.len())
    }

    fn poll(&mut self) -> Output<TurnAuditEvent> {
        self.out.pop().unwrap_or_else(|| Output::Wait(self.deadline()))
    }
}
