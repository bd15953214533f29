//! The machine of an audit: it sends all probes, keeps the responses as evidence, and ends with a report.
//!
//! Rules of this file: regular requests are sent by [`Transactions`]. Messages that no correct client sends are sent
//! by this file. Each received datagram is added to the evidence first, and then passed to the transactions. The
//! report is made at the end, in `judge`.

use crate::evidence::{Evidence, LocalSocket, Stream};
use crate::plan::{Irregular, Plan};
use crate::{AuditError, AuditEvent, AuditNote, Probe, judge, probe};
use alloc::boxed::Box;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Machine, Open, Outbox, Output, Protocol, Script, ScriptError, Slot, SocketEvent,
    SocketId, SocketOrder, Transmit, Verdict,
};
use portolan_stun::{ChangeRequest, TransactionId};
use portolan_stun_agent::{AnswerFrom, Request, Schedule, TransactionEvent, Transactions};

/// The server of an audit, and the protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    server: SocketAddr,
    tcp: bool,
}

impl AuditConfig {
    /// An audit of `server`, over UDP and TCP.
    #[must_use]
    pub const fn new(server: SocketAddr) -> Self {
        Self { server, tcp: true }
    }

    /// Sets whether the audit also uses TCP.
    #[must_use]
    pub const fn tcp(mut self, tcp: bool) -> Self {
        self.tcp = tcp;
        self
    }
}

/// An audit of one server: a machine that sends probes and reports which clauses the server honours.
#[derive(Clone, Debug)]
pub struct Audit {
    config: AuditConfig,
    phase: Phase,
    /// The first UDP socket, the second one (the port of RESPONSE-PORT), and the stream.
    sockets: [Option<SocketId>; 3],
    plan: Plan,
    transactions: Slot<Transactions<Probe>>,
    irregular: Irregular,
    evidence: Evidence,
    out: Outbox<AuditEvent>,
}

/// The phase of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not started.
    Idle,
    /// The sockets are ordered.
    Opening,
    /// The probes are sent.
    Probing,
    /// Ended.
    Done,
}

/// The permitted changes of phase.
const TRANSITIONS: &[(Phase, Phase)] = &[
    (Phase::Idle, Phase::Opening),
    (Phase::Opening, Phase::Probing),
    (Phase::Opening, Phase::Done),
    (Phase::Probing, Phase::Done),
];

/// The timeout of the response over TCP, from the time of the connection.
const STREAM_TAIL: Duration = Duration::from_secs(1);

impl Audit {
    /// The maximum number of datagrams of one audit. A server that responds gets about seventy.
    pub const MAX_DATAGRAMS: u32 = 160;

    /// Creates an audit that waits for [`start`](Self::start).
    #[must_use]
    pub fn new(config: AuditConfig) -> Self {
        Self {
            config,
            phase: Phase::Idle,
            sockets: [None; 3],
            plan: Plan::new(),
            transactions: Slot::new("transactions", 0, Transactions::new()),
            irregular: Irregular::default(),
            evidence: Evidence::new(config.server),
            out: Outbox::new(),
        }
    }

    /// Orders the sockets. The audit sends probes when its UDP sockets are open.
    ///
    /// # Errors
    /// * [`AuditError::NotIdle`] when the audit was started before.
    /// * [`AuditError::Destination`] when the address of the server is unspecified, or its port is 0.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), AuditError> {
        if self.phase != Phase::Idle {
            return Err(AuditError::NotIdle);
        }
        if self.config.server.ip().is_unspecified() || self.config.server.port() == 0 {
            return Err(AuditError::Destination);
        }
        self.set_phase(Phase::Opening);
        let any: IpAddr = match self.config.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let protocols = [Some(Protocol::Udp), Some(Protocol::Udp), self.config.tcp.then_some(Protocol::Tcp)];
        for (slot, protocol) in self.sockets.iter_mut().zip(protocols) {
            let Some(protocol) = protocol else { continue };
            let id = cx.next_socket();
            *slot = Some(id);
            let open = Open::new(id, protocol, SocketAddr::new(any, 0)).towards(self.config.server);
            self.out.push(Output::Socket(SocketOrder::Open(open)));
        }
        if self.config.tcp {
            self.evidence.stream = Stream::Pending;
        }
        Ok(())
    }

    fn set_phase(&mut self, next: Phase) {
        let allowed = TRANSITIONS.contains(&(self.phase, next));
        debug_assert!(allowed, "{:?} to {next:?}", self.phase);
        if allowed {
            self.phase = next;
        }
    }

    fn local_socket(&self, socket: SocketId) -> Option<LocalSocket> {
        let [first, second, _] = self.sockets;
        match socket {
            socket if Some(socket) == first => Some(LocalSocket::First),
            socket if Some(socket) == second => Some(LocalSocket::Second),
            _ => None,
        }
    }

    fn is_stream(&self, socket: SocketId) -> bool {
        matches!(self.sockets, [_, _, Some(stream)] if stream == socket)
    }

    fn socket_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        if self.is_stream(socket) {
            return self.stream_event(cx, socket, event);
        }
        let Some(local_socket) = self.local_socket(socket) else { return Verdict::NotMine };
        match event {
            SocketEvent::Opened { local } => {
                let [first, second] = &mut self.evidence.locals;
                *(if local_socket == LocalSocket::First { first } else { second }) = Some(local);
                if self.phase == Phase::Opening && self.evidence.locals.iter().all(Option::is_some) {
                    self.set_phase(Phase::Probing);
                    self.plan.begin(cx.now());
                }
            }
            SocketEvent::Refused(why) => self.end(AuditEvent::Failed(why)),
            // A UDP socket that is closed receives nothing more. The control counts that as loss.
            SocketEvent::Unreachable { .. }
            | SocketEvent::Accepted { .. }
            | SocketEvent::Full
            | SocketEvent::Writable
            | SocketEvent::Closed(_) => {}
        }
        Verdict::Mine
    }

    fn stream_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        match event {
            SocketEvent::Opened { .. } if self.evidence.stream == Stream::Pending => {
                let request = Request::binding(socket, self.config.server, Probe::Tcp);
                let request = request.schedule(Schedule::reliable(STREAM_TAIL));
                let sent = self.transactions.with(cx, |transactions, cx| transactions.request(cx, request));
                self.evidence.stream = if sent.is_ok() { Stream::Open } else { Stream::Broken };
            }
            SocketEvent::Refused(_) => self.stream_ended(Stream::Refused),
            SocketEvent::Closed(_) => self.stream_ended(Stream::Broken),
            SocketEvent::Opened { .. }
            | SocketEvent::Unreachable { .. }
            | SocketEvent::Full
            | SocketEvent::Writable
            | SocketEvent::Accepted { .. } => {}
        }
        let _verdict = self.transactions.handle(cx, Input::Socket(socket, event));
        Verdict::Mine
    }

    /// Records the end of the stream. A response that was received before is kept.
    fn stream_ended(&mut self, state: Stream) {
        if !matches!(self.evidence.stream, Stream::Answered(_)) {
            self.evidence.stream = state;
        }
        let [_, _, stream] = &mut self.sockets;
        *stream = None;
    }

    /// Sends what is due and passes on the outputs of the transactions. Ends the audit when nothing is left to wait
    /// for.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        if self.phase != Phase::Probing {
            return;
        }
        let no_response = self.evidence.traffic.received == 0;
        while let Some((request, malformed)) =
            self.plan.step(cx.now(), no_response, |probe| destination(&self.evidence, probe).is_some())
        {
            for probe in [request, malformed].into_iter().flatten() {
                self.send_probe(cx, probe);
            }
        }
        let now = cx.now();
        if let [Some(socket), ..] = self.sockets {
            while let Some((remote, payload)) = self.irregular.step(now) {
                self.transmit(cx, Transmit::new(socket, remote, payload));
            }
        }
        while let Some(output) = self.transactions.take() {
            match output {
                Output::Transmit(transmit) => self.transmit(cx, transmit),
                Output::Event(event) => self.outcome(event),
                Output::Socket(order) => self.out.push(Output::Socket(order)),
                Output::Wait(_) => {}
            }
        }
        if self.wait().is_none() {
            let report = judge::report(&self.evidence, cx.now().since(self.plan.started()));
            self.end(AuditEvent::Report(Box::new(report)));
        }
    }

    /// Returns the earliest deadline.
    fn wait(&mut self) -> Option<Deadline> {
        if self.phase != Phase::Probing {
            return None;
        }
        let own = Deadline::earliest(self.plan.wait(), self.irregular.wait());
        Deadline::earliest(own, self.transactions.wait())
    }

    fn transmit(&mut self, cx: &Cx<'_>, transmit: Transmit) {
        if self.local_socket(transmit.socket).is_some() {
            self.evidence.add_sent(cx.now(), &transmit.payload);
        }
        self.out.push(Output::Transmit(transmit));
    }

    /// Records the result of the request over TCP. All datagrams are in the evidence before their event.
    fn outcome(&mut self, event: TransactionEvent<Probe>) {
        if *event.tag() != Probe::Tcp {
            return;
        }
        match event {
            TransactionEvent::Answered(answer) => self.evidence.stream = Stream::Answered(answer.message),
            TransactionEvent::Unusable { .. } | TransactionEvent::SocketLost { .. } => {
                self.stream_ended(Stream::Broken)
            }
            TransactionEvent::Elsewhere(_)
            | TransactionEvent::Exhausted { .. }
            | TransactionEvent::Unreachable { .. }
            | _ => {}
        }
    }

    /// Sends a probe for the first time.
    fn send_probe(&mut self, cx: &mut Cx<'_>, probe: Probe) {
        let Some(to) = destination(&self.evidence, probe) else { return };
        // The timeout is three round trips, at least 250 ms and at most 1 s. It is 500 ms while no round trip is
        // known.
        let tail = self.evidence.rtt.map_or(Duration::from_millis(500), |rtt| {
            rtt.saturating_mul(3).clamp(Duration::from_millis(250), Duration::from_secs(1))
        });
        let schedule = probe.schedule().tail(tail);
        cx.note(|| AuditNote::Asking { probe, to });
        if probe.is_irregular() {
            let id = TransactionId::from(cx.random::<12>());
            let Some(bytes) = probe::irregular(probe, id) else { return };
            self.evidence.begin(probe, id, to);
            return self.irregular.begin(cx.now(), probe, to, bytes, schedule);
        }
        let Some(request) = self.request(probe, to) else { return };
        // The transaction accepts a response from any address, because a check compares the source address.
        let request = request.schedule(schedule).from(AnswerFrom::AnyReported);
        if let Ok(id) = self.transactions.with(cx, |transactions, cx| transactions.request(cx, request)) {
            self.evidence.begin(probe, id, to);
        }
    }

    /// Returns the request of a regular probe.
    fn request(&self, probe: Probe, to: SocketAddr) -> Option<Request<Probe>> {
        let [first, second, _] = self.sockets;
        let socket = if probe == Probe::Second { second? } else { first? };
        let request = Request::binding(socket, to, probe);
        // The mapped port of the second socket. If the mapping is unknown, the local port: without a NAT both are
        // equal.
        let port = self.evidence.mapped(Probe::Second).or(self.evidence.locals[1]).map_or(0, |mapped| mapped.port());
        Some(match probe {
            Probe::ChangePort => request.change(ChangeRequest::PORT),
            Probe::ChangeAddress => request.change(ChangeRequest::IP),
            Probe::ChangeBoth => request.change(ChangeRequest::IP_AND_PORT),
            Probe::Padding => request.padding(probe::PADDING),
            Probe::ResponsePort => request.response_port(port),
            Probe::PaddingAndResponsePort => request.padding(probe::PADDING).response_port(port),
            _ => match probe::unknown(probe) {
                Some(attribute) => request.attribute(&attribute).ok()?,
                None => request,
            },
        })
    }

    fn receive(&mut self, cx: &mut Cx<'_>, socket: LocalSocket, from: SocketAddr, bytes: &[u8]) {
        let probe = self.evidence.add_received(cx.now(), socket, from, bytes);
        if let Some(probe) = probe {
            self.irregular.answered(probe);
        }
        cx.note(|| AuditNote::Heard { probe, from, length: bytes.len() });
    }

    fn end(&mut self, event: AuditEvent) {
        self.set_phase(Phase::Done);
        for socket in self.sockets.iter_mut().filter_map(Option::take) {
            self.out.push(Output::Socket(SocketOrder::Close(socket)));
        }
        self.out.push(Output::Event(event));
    }
}

/// Returns the destination of a probe; `None` if the probe cannot be sent to this server.
fn destination(evidence: &Evidence, probe: Probe) -> Option<SocketAddr> {
    let server = evidence.server;
    match probe {
        Probe::AlternateAddress => judge::alternates(evidence).map(|other| SocketAddr::new(other.ip(), server.port())),
        Probe::AlternatePort => judge::alternates(evidence).map(|other| SocketAddr::new(server.ip(), other.port())),
        Probe::AlternateBoth => judge::alternates(evidence),
        Probe::ChangePort | Probe::ChangeAddress => judge::alternates(evidence).map(|_| server),
        _ => Some(server),
    }
}

impl Machine for Audit {
    type Command = AuditCommand;
    type Error = AuditError;
    type Event = AuditEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: AuditCommand) -> Result<(), AuditError> {
        match command {
            AuditCommand::Start => self.start(cx),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if matches!(self.phase, Phase::Idle | Phase::Done) {
            return Verdict::NotMine;
        }
        let verdict = match input {
            Input::Datagram(datagram) => match self.local_socket(datagram.socket) {
                Some(socket) if self.phase == Phase::Probing => {
                    self.receive(cx, socket, datagram.remote, datagram.payload);
                    let _verdict = self.transactions.handle(cx, input);
                    Verdict::Mine
                }
                Some(_) => Verdict::Mine,
                None => Verdict::NotMine,
            },
            Input::Socket(socket, event) => self.socket_event(cx, socket, event),
            Input::Timeout if self.wait().is_some_and(|wait| wait.is_due(cx.now())) => {
                self.transactions.wake(cx);
                Verdict::Mine
            }
            Input::Timeout => Verdict::NotMine,
        };
        if verdict == Verdict::Mine {
            self.settle(cx);
        }
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        if matches!(self.phase, Phase::Idle | Phase::Done) || !self.is_stream(chunk.socket) {
            return None;
        }
        if !self.out.is_empty() {
            return Some(0);
        }
        // After the end of the request the bytes of the stream are ignored.
        let taken = self.transactions.stream(cx, chunk).unwrap_or(chunk.payload.len());
        self.settle(cx);
        Some(taken)
    }

    fn poll(&mut self) -> Output<AuditEvent> {
        self.out.pop().unwrap_or_else(|| Output::Wait(self.wait()))
    }
}

/// A command to an [`Audit`]; as text `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditCommand {
    /// Orders the sockets, and sends the probes.
    Start,
}

impl fmt::Display for AuditCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("start")
    }
}

impl FromStr for AuditCommand {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        if text == "start" { Ok(Self::Start) } else { Err(AuditError::UnknownCommand) }
    }
}

impl Script for AuditCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{self}")
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        text.parse().map_err(|_| ScriptError::new("`start`"))
    }
}
