//! One Binding request to one server, over UDP, TCP or TLS, with or without credentials.
//!
//! A [`Query`] opens a socket, sends the request, retransmits it (RFC 8489 §6.2.1), and retries it after challenges
//! (§9). It ends with one event, which is the decoded response or the reason why there is none, and closes its
//! socket. A query makes one request; the next request is a new query.
//!
//! Rules of this file: [`Transactions`] decides which response is accepted. This machine opens and closes the socket,
//! has one deadline for the whole query, and translates events. The request has no FINGERPRINT, so a response needs
//! none (§7).
//!
//! ```
//! use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketIds, SocketEvent, SocketOrder};
//! use portolan_stun::{Attribute, Class, Message, Method, Writer};
//! use portolan_stun_agent::{Query, QueryConfig, QueryEvent};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (server, local, mapped) = ("192.0.2.1:3478".parse()?, "10.0.0.7:40000".parse()?, "203.0.113.5:50000".parse()?);
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let mut query = Query::new();
//! query.start(&mut cx, QueryConfig::new(server))?;
//!
//! // The driver opens the socket, and the request is sent.
//! let Output::Socket(SocketOrder::Open(open)) = query.poll() else { panic!("expected the socket first") };
//! query.handle(&mut cx, Input::Socket(open.id, SocketEvent::Opened { local }));
//! assert_eq!(query.poll(), Output::Event(QueryEvent::Opened { socket: open.id, local }));
//! let Output::Transmit(sent) = query.poll() else { panic!("expected the request") };
//! let id = Message::decode(&sent.payload)?.transaction_id();
//!
//! // The server responds after 40 ms.
//! let mut buffer = [0; 64];
//! let mut response = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id)?;
//! response.add(&Attribute::XorMappedAddress(mapped))?;
//! let mut cx = Cx::new(Instant::from_millis(40), &mut rng, &mut ids);
//! query.handle(&mut cx, Input::Datagram(Datagram::new(open.id, local, server, response.finish())));
//!
//! assert!(matches!(query.poll(), Output::Event(QueryEvent::Sent { send: 1, .. })));
//! assert_eq!(query.poll(), Output::Socket(SocketOrder::Close(open.id)));
//! let Output::Event(QueryEvent::Response(response)) = query.poll() else { panic!("expected the last event") };
//! assert_eq!(response.facts.mapped, Some(mapped));
//! assert_eq!(response.round_trip.unwrap().as_millis(), 40);
//! assert_eq!(query.poll(), Output::Wait(None));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod config;
mod event;

pub use config::{QueryCommand, QueryConfig};
pub use event::{ErrorResponse, QueryEvent, QueryFailure, QueryResponse, ResponseFacts};

use crate::note::{Dropped, TransactionNote};
use crate::{QueryError, Request, Schedule, SocketLoss, TransactionEvent, Transactions};
use alloc::boxed::Box;
use core::net::SocketAddr;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Machine, Open, Outbox, Output, Slot, SocketEvent, SocketId, SocketOrder,
    Unreachability, Verdict,
};
use portolan_stun::TransactionId;

/// One Binding request to one server.
#[derive(Clone, Debug)]
pub struct Query {
    state: State,
    transactions: Slot<Transactions<()>>,
    out: Outbox<QueryEvent>,
}

/// The state of a query.
#[derive(Clone, Debug)]
enum State {
    /// Not started yet.
    Idle,
    /// The socket is ordered.
    Opening(Run),
    /// The request is pending.
    Requesting(Run, TransactionId),
    /// Ended.
    Done,
}

/// A query that was started.
#[derive(Clone, Debug)]
struct Run {
    config: QueryConfig,
    socket: SocketId,
    deadline: Deadline,
    /// The number of sends in all transactions of the request.
    sends: u32,
    /// The last report that a datagram did not arrive.
    unreachable: Option<Unreachability>,
}

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

impl Query {
    /// A query that is not started yet; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Idle, transactions: transactions(), out: Outbox::new() }
    }

    /// Orders the socket. The request follows when the socket is open.
    ///
    /// # Errors
    /// * [`QueryError::NotIdle`] when the query was started before.
    /// * [`QueryError::Destination`] when the server's address is unspecified, or its port is 0.
    /// * [`QueryError::Protocol`] when the protocol is a listener's.
    /// * [`QueryError::LocalFamily`] when the local address is of another family than the server's.
    pub fn start(&mut self, cx: &mut Cx<'_>, config: QueryConfig) -> Result<(), QueryError> {
        if !matches!(self.state, State::Idle) {
            return Err(QueryError::NotIdle);
        }
        config.check()?;
        let socket = cx.next_socket();
        let mut open = Open::new(socket, config.protocol, config.local()).towards(config.server);
        open.server_name.clone_from(&config.server_name);
        self.out.push(Output::Socket(SocketOrder::Open(open)));
        let deadline = Deadline::new(cx.now() + config.timeout, "end of the query");
        self.state = State::Opening(Run { config, socket, deadline, sends: 0, unreachable: None });
        Ok(())
    }

    /// Ends the query with [`QueryFailure::Cancelled`], and closes its socket.
    ///
    /// # Errors
    /// [`QueryError::NotRunning`] when the query was not started, or has ended.
    pub fn cancel(&mut self) -> Result<(), QueryError> {
        self.run().ok_or(QueryError::NotRunning)?;
        self.fail(QueryFailure::Cancelled);
        Ok(())
    }

    const fn run(&self) -> Option<&Run> {
        match &self.state {
            State::Opening(run) | State::Requesting(run, _) => Some(run),
            State::Idle | State::Done => None,
        }
    }

    const fn run_mut(&mut self) -> Option<&mut Run> {
        match &mut self.state {
            State::Opening(run) | State::Requesting(run, _) => Some(run),
            State::Idle | State::Done => None,
        }
    }

    fn owns(&self, socket: SocketId) -> bool {
        self.run().is_some_and(|run| run.socket == socket)
    }

    fn socket_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) {
        match event {
            SocketEvent::Opened { local } => self.opened(cx, socket, local),
            SocketEvent::Refused(why) => self.end(QueryEvent::Failed(QueryFailure::Refused(why)), None),
            SocketEvent::Closed(why) => self.end(QueryEvent::Failed(QueryFailure::Closed(why)), None),
            SocketEvent::Unreachable { .. } => {
                let _verdict = self.transactions.handle(cx, Input::Socket(socket, event));
            }
            // One request cannot fill the send buffer of a stream.
            SocketEvent::Accepted { .. } | SocketEvent::Full | SocketEvent::Writable => {}
        }
    }

    fn opened(&mut self, cx: &mut Cx<'_>, socket: SocketId, local: SocketAddr) {
        let State::Opening(run) = &mut self.state else { return };
        let QueryConfig { server, protocol, timeout, ref mut credential, .. } = run.config;
        let schedule = if protocol.is_stream() { Schedule::reliable(timeout) } else { Schedule::rfc8489() };
        let (request, credential) = (Request::binding(socket, server, ()).schedule(schedule), credential.take());
        let run = run.clone();
        self.out.push(Output::Event(QueryEvent::Opened { socket, local }));
        let result = self.transactions.with(cx, |transactions, cx| match credential {
            Some(credential) => transactions.request_with(cx, request, credential),
            None => transactions.request(cx, request),
        });
        match result {
            Ok(id) => self.state = State::Requesting(run, id),
            Err(why) => self.fail(QueryFailure::Request(why)),
        }
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) -> Verdict {
        let due = self.run().is_some_and(|run| run.deadline.is_due(cx.now()));
        match self.state {
            State::Opening(_) if due => self.fail(QueryFailure::TimedOut { sends: 0, unreachable: None }),
            // The transactions report a response that could not be verified.
            State::Requesting(_, id) if due => {
                let timed_out = self.transactions.with(cx, |transactions, cx| transactions.give_up(cx, id));
                debug_assert_eq!(timed_out, Ok(()), "a request ends with its query");
            }
            State::Idle | State::Opening(_) | State::Requesting(..) | State::Done => {
                if !self.transactions.wake(cx) {
                    return Verdict::NotMine;
                }
            }
        }
        Verdict::Mine
    }

    /// Translates the outputs of the transactions.
    fn take_outputs(&mut self, cx: &mut Cx<'_>) {
        while let Some(output) = self.transactions.take() {
            match output {
                Output::Transmit(transmit) => {
                    let Some(run) = self.run_mut() else { return };
                    run.sends = run.sends.saturating_add(1);
                    let sent = QueryEvent::Sent { message: transmit.payload.clone(), send: run.sends };
                    self.out.push(Output::Transmit(transmit));
                    self.out.push(Output::Event(sent));
                }
                Output::Event(event) => self.transaction_event(cx, event),
                Output::Socket(order) => self.out.push(Output::Socket(order)),
                Output::Wait(_) => {}
            }
        }
    }

    fn transaction_event(&mut self, cx: &mut Cx<'_>, event: TransactionEvent<()>) {
        let Some(run) = self.run_mut() else { return };
        let (sends, unreachable, socket) = (run.sends, run.unreachable, run.socket);
        match event {
            TransactionEvent::Answered(response) => {
                self.end(QueryEvent::Response(Box::new(QueryResponse::from(response))), Some(socket));
            }
            TransactionEvent::Elsewhere(response) => {
                self.offer(cx, response.from, QueryEvent::Elsewhere { from: response.from });
            }
            TransactionEvent::Unreachable { remote, why, .. } => {
                run.unreachable = Some(why);
                self.offer(cx, remote, QueryEvent::Unreachable { remote, why });
            }
            TransactionEvent::Unusable { from, why, .. } => self.fail(QueryFailure::Unusable { from, why }),
            TransactionEvent::Exhausted { .. } => self.fail(QueryFailure::TimedOut { sends, unreachable }),
            TransactionEvent::SocketLost { why: SocketLoss::NotStun, .. } => self.fail(QueryFailure::NotStun),
            TransactionEvent::SocketLost { why: SocketLoss::Refused(why), .. } => {
                self.end(QueryEvent::Failed(QueryFailure::Refused(why)), None);
            }
            TransactionEvent::SocketLost { why: SocketLoss::Closed(why), .. } => {
                self.end(QueryEvent::Failed(QueryFailure::Closed(why)), None);
            }
        }
    }

    /// Queues an event that a peer caused, if the queue has space.
    fn offer(&mut self, cx: &mut Cx<'_>, from: SocketAddr, event: QueryEvent) {
        if !self.out.offer(Output::Event(event)) {
            cx.note(|| TransactionNote::Dropped { from, why: Dropped::QueueFull });
        }
    }

    fn fail(&mut self, why: QueryFailure) {
        self.end(QueryEvent::Failed(why), self.run().map(|run| run.socket));
    }

    /// Ends the query, and drops its request and its credential.
    fn end(&mut self, event: QueryEvent, close: Option<SocketId>) {
        if let Some(socket) = close {
            self.out.push(Output::Socket(SocketOrder::Close(socket)));
        }
        self.out.push(Output::Event(event));
        self.state = State::Done;
        self.transactions = transactions();
    }
}

const fn transactions() -> Slot<Transactions<()>> {
    Slot::new("transactions", 0, Transactions::with_limit(1))
}

impl Machine for Query {
    type Command = QueryCommand;
    type Error = QueryError;
    type Event = QueryEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: QueryCommand) -> Result<(), QueryError> {
        match command {
            QueryCommand::Start(config) => self.start(cx, config),
            QueryCommand::Cancel => self.cancel(),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let verdict = match input {
            Input::Datagram(datagram) if self.owns(datagram.socket) => self.transactions.handle(cx, input),
            Input::Socket(socket, event) if self.owns(socket) => {
                self.socket_event(cx, socket, event);
                Verdict::Mine
            }
            Input::Timeout => self.timeout(cx),
            Input::Datagram(_) | Input::Socket(..) => Verdict::NotMine,
        };
        self.take_outputs(cx);
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        if !self.owns(chunk.socket) {
            return None;
        }
        if !self.out.is_empty() {
            return Some(0);
        }
        let taken = self.transactions.stream(cx, chunk);
        self.take_outputs(cx);
        taken
    }

    fn poll(&mut self) -> Output<QueryEvent> {
        if let Some(output) = self.out.pop() {
            return output;
        }
        let deadline = self.run().map(|run| run.deadline);
        Output::Wait(Deadline::earliest(deadline, self.transactions.wait()))
    }
}
