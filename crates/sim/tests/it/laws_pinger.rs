//! A small correct machine with one switch for each way to break a law.
//!
//! The machine opens a socket, pings a peer up to three times, and answers the peer's pings. It ends if no answer
//! arrives or when its owner stops it.

use bytes::Bytes;
use core::convert::Infallible;
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use portolan_machine::{
    Clause, Cx, Datagram, Deadline, Explain, Input, Instant, Machine, Open, Outbox, Output, Protocol, Script,
    ScriptError, SocketEvent, SocketId, SocketOrder, Transmit, Verdict,
};

/// One way to break a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Produces outputs without end after an answer.
    EndlessDrain,
    /// Does not advance a due deadline.
    DeadlineStays,
    /// Retransmits at every timeout, even an early one.
    HandlesEarlyTimeout,
    /// Subtracts times and assumes that time only increases.
    TimeSubtracted,
    /// Reads the first byte of every datagram.
    FirstByte,
    /// Keeps a queue for the outputs of one input only.
    KeepsOneInput,
    /// Queues an answer for every ping, without a limit.
    Unbounded,
    /// Sends before the socket is open.
    SendsBeforeOpened,
    /// Sends after it has closed its socket.
    AfterClose,
    /// Draws a random number while it formats a note.
    NoteChangesAnswer,
    /// Depends on state outside the machine.
    Global,
    /// Omits the port in the text of a command.
    LossyCommand,
    /// Counts foreign datagrams and reports the count.
    CountsForeign,
    /// Reports a foreign datagram as an event.
    ReportsForeign,
    /// Answers pings after the end.
    AnswersAfterEnd,
    /// Keeps a deadline after the end.
    WaitsAfterEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Ping { peer: SocketAddr, lossy: bool },
    Stop,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping { peer, lossy: true } => write!(f, "lossy {}:{}", peer.ip(), peer.port() / 2),
            Self::Ping { peer, lossy: false } => write!(f, "ping {peer}"),
            Self::Stop => f.write_str("stop"),
        }
    }
}

impl FromStr for Command {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once(' ') {
            Some(("ping", peer)) => Ok(Self::Ping { peer: peer.parse().map_err(|_| "peer")?, lossy: false }),
            Some(("lossy", peer)) => Ok(Self::Ping { peer: peer.parse().map_err(|_| "peer")?, lossy: true }),
            None if text == "stop" => Ok(Self::Stop),
            _ => Err("expected `ping ADDRESS` or `stop`"),
        }
    }
}

impl Script for Command {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{self}")
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        text.parse().map_err(ScriptError::new)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("busy, or ended")
    }
}

impl core::error::Error for Busy {}

impl From<Infallible> for Busy {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Answered { foreign: u8 },
    Extra,
    Foreign,
    Silence,
    Stopped,
}

pub(crate) const fn terminal(event: &Event) -> bool {
    matches!(event, Event::Silence | Event::Stopped)
}

#[derive(Debug)]
struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is full, an answer is dropped")
    }
}

impl Explain for Full {
    fn code(&self) -> &'static str {
        "queue-full"
    }

    fn rfc(&self) -> Option<Clause> {
        None
    }
}

const SENDS: u8 = 3;
const INTERVAL: Duration = Duration::from_millis(500);
static SHARED: AtomicU8 = AtomicU8::new(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Opening,
    Pinging { sends: u8, next: Instant },
    Serving,
    Ended,
}

pub(crate) struct Pinger {
    fault: Option<Fault>,
    out: Outbox<Event>,
    state: State,
    socket: SocketId,
    peer: SocketAddr,
    nonce: [u8; 4],
    foreign: u8,
    last: Instant,
}

impl Pinger {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            out: Outbox::new(),
            state: State::Idle,
            socket: SocketId(0),
            peer: ([192, 0, 2, 1], 1).into(),
            nonce: [0; 4],
            foreign: 0,
            last: Instant::ORIGIN,
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn send_ping(&mut self) {
        let mut payload = vec![b'?'];
        payload.extend_from_slice(&self.nonce);
        self.out.push(Output::Transmit(Transmit::new(self.socket, self.peer, payload.into())));
    }

    fn end(&mut self, event: Event) {
        self.out.clear();
        self.state = State::Ended;
        self.out.push(Output::Socket(SocketOrder::Close(self.socket)));
        if self.has(Fault::AfterClose) {
            self.send_ping();
        }
        self.out.push(Output::Event(event));
    }

    fn handle_timeout(&mut self, now: Instant) {
        let State::Pinging { sends, next } = self.state else { return };
        if next > now && !self.has(Fault::HandlesEarlyTimeout) {
            return;
        }
        if sends == SENDS {
            return self.end(Event::Silence);
        }
        let next = if self.has(Fault::DeadlineStays) { next } else { now + INTERVAL };
        self.state = State::Pinging { sends: sends + 1, next };
        self.send_ping();
    }

    fn handle_ping(&mut self, cx: &mut Cx<'_>, ping: Datagram<'_>) {
        let mut head = b'!';
        if self.has(Fault::NoteChangesAnswer) {
            cx.note(|| {
                head = b'?';
                Full
            });
        }
        if self.has(Fault::Global) {
            head = SHARED.fetch_add(1, Ordering::Relaxed);
        }
        let payload: Vec<u8> = [head].into_iter().chain(ping.payload.iter().copied().skip(1)).collect();
        let answer = Output::Transmit(Transmit::new(ping.socket, ping.remote, Bytes::from(payload)));
        if self.has(Fault::Unbounded) {
            self.out.push(answer);
        } else if !self.out.offer(answer) {
            cx.note(|| Full);
        }
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        if self.has(Fault::FirstByte) {
            assert!(!datagram.payload.is_empty(), "looks at the first byte");
        }
        let is_mine = datagram.socket == self.socket;
        match (datagram.payload.split_first(), self.state) {
            (Some((b'?', _)), State::Pinging { .. } | State::Serving) if is_mine => {
                self.handle_ping(cx, datagram);
                Verdict::Mine
            }
            (Some((b'?', _)), State::Ended) if is_mine => {
                if self.has(Fault::AnswersAfterEnd) {
                    let _room = self.out.offer(Output::Event(Event::Extra));
                }
                Verdict::Mine
            }
            (Some((b'!', nonce)), State::Pinging { .. }) if is_mine && nonce == self.nonce => {
                self.state = State::Serving;
                self.out.push(Output::Event(Event::Answered { foreign: self.foreign }));
                Verdict::Mine
            }
            _ => {
                if self.has(Fault::CountsForeign) {
                    self.foreign = self.foreign.wrapping_add(1);
                }
                if self.has(Fault::ReportsForeign) && self.state == State::Serving {
                    let _room = self.out.offer(Output::Event(Event::Foreign));
                }
                Verdict::NotMine
            }
        }
    }
}

impl Machine for Pinger {
    type Command = Command;
    type Error = Busy;
    type Event = Event;

    fn command(&mut self, cx: &mut Cx<'_>, command: Command) -> Result<(), Busy> {
        match (command, self.state) {
            (Command::Ping { peer, .. }, State::Idle) => {
                self.peer = peer;
                self.nonce = cx.random();
                self.socket = cx.next_socket();
                self.state = State::Opening;
                let open = Open::new(self.socket, Protocol::Udp, ([0, 0, 0, 0], 0).into()).towards(peer);
                self.out.push(Output::Socket(SocketOrder::Open(open)));
                if self.has(Fault::SendsBeforeOpened) {
                    self.send_ping();
                }
                Ok(())
            }
            (Command::Stop, State::Opening | State::Pinging { .. } | State::Serving) => {
                self.end(Event::Stopped);
                Ok(())
            }
            _ => Err(Busy),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if self.has(Fault::TimeSubtracted) {
            let _gap = cx.now().since_origin() - self.last.since_origin();
            self.last = cx.now();
        }
        if self.has(Fault::KeepsOneInput) {
            self.out.clear();
        }
        match input {
            Input::Datagram(datagram) => return self.datagram(cx, datagram),
            Input::Socket(id, event) if id == self.socket => match (event, self.state) {
                (SocketEvent::Opened { .. }, State::Opening) => {
                    self.state = State::Pinging { sends: 1, next: cx.now() + INTERVAL };
                    self.send_ping();
                }
                (SocketEvent::Refused(_) | SocketEvent::Closed(_), State::Opening | State::Pinging { .. }) => {
                    self.end(Event::Silence);
                }
                _ => {}
            },
            Input::Timeout => self.handle_timeout(cx.now()),
            Input::Socket(..) => return Verdict::NotMine,
        }
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<Event> {
        if self.has(Fault::EndlessDrain) && self.state == State::Serving {
            return Output::Event(Event::Extra);
        }
        let wait = match self.state {
            State::Pinging { next, .. } => Some(Deadline::new(next, "retransmission")),
            State::Ended if self.has(Fault::WaitsAfterEnd) => {
                Some(Deadline::new(Instant::from_origin(Duration::MAX), "after the end"))
            }
            State::Idle | State::Opening | State::Serving | State::Ended => None,
        };
        self.out.pop().unwrap_or(Output::Wait(wait))
    }
}
