//! The client: registers at a server, keeps the registration alive, and reports introductions.
//!
//! Rules of this file: [`Transactions`] sends, authenticates and verifies. This machine decides when to register, and
//! when to end. It shares its socket with other machines of its owner, so every datagram that is not of the rendezvous
//! is [`Verdict::NotMine`]. Every state has a deadline with a reason:
//!
//! | State | Deadline | End |
//! |---|---|---|
//! | no answer yet | [`ClientConfig::answer`](super::ClientConfig::answer) | [`EndReason::NoAnswer`] |
//! | registered, not introduced | [`ClientConfig::wait`](super::ClientConfig::wait) | [`EndReason::NoPeer`] |
//! | no answer yet | [`ClientConfig::wait`](super::ClientConfig::wait), if it is shorter | [`EndReason::NoAnswer`] |
//! | registered | the lifetime of the registration without an answer | [`EndReason::NoAnswer`] |
//! | leaving | 1 s | [`EndReason::Left`] |

mod wake;

use super::config::{ClientConfig, Times};
use super::error::{ClientConfigError, ClientError};
use super::event::{ClientEvent, EndReason, Introduction};
use super::keys::{room_key, session};
use super::message::{METHOD, OtherPeer, PeerId, Registered, Registration, is_response, is_wake};
use super::note::{ClientDropped, ClientNote};
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Outbox, Output, Script, ScriptError, Slot, SocketEvent, SocketId,
    Unreachability, Verdict,
};
use portolan_stun::{Class, IntegrityKey, Message, TransactionId};
use portolan_stun_agent::{
    Answer, ChallengeError, Credential, Request, RequestError, Schedule, TransactionEvent, Transactions, Unusable,
};

/// The interval of retransmissions before the first response.
const INTERVAL: Duration = Duration::from_millis(500);
/// The largest interval of retransmissions. The round trip of a request that is not retransmitted is exact.
const LONGEST: Duration = Duration::from_secs(1);
/// The least interval of retransmissions, and the least time between two registrations.
const LEAST: Duration = Duration::from_millis(100);
/// The time in which a request is retransmitted. The next request follows at once.
const UNTIL: Duration = Duration::from_secs(4);
/// The pause after an answer that cannot be used.
const PAUSE: Duration = Duration::from_secs(1);
/// The largest time in which the server confirms the end of the registration.
const LEAVING: Duration = Duration::from_secs(1);
/// The queue space that a datagram requires: a request, and three events.
const DATAGRAM_SPACE: usize = 8;

/// A command to a [`Client`]. Its text is `start` or `leave`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCommand {
    /// Begins to register.
    Start,
    /// Ends the registration, and then the client.
    Leave,
}

/// A client of a rendezvous on a socket of its owner.
#[derive(Clone, Debug)]
pub struct Client {
    profile: Profile,
    state: State,
    transactions: Slot<Transactions<()>>,
    rtt: Option<RoundTrip>,
    out: Outbox<ClientEvent>,
}

/// What does not change during a run.
#[derive(Clone)]
struct Profile {
    socket: SocketId,
    server: SocketAddr,
    credential: Credential,
    /// The key of wakes.
    key: IntegrityKey,
    /// The key of the session key.
    secret: IntegrityKey,
    /// The content of each request. Its id is drawn at the start.
    registration: Registration,
    times: Times,
}

/// A measured round trip time.
#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    time: Duration,
    /// Whether the request was sent once. If not, the response can be that to an earlier send.
    is_exact: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// Not started yet.
    Idle,
    Live(Live),
    /// The end of the registration is requested.
    Leaving(Instant),
    /// Ended.
    Done,
}

/// A client that registers.
#[derive(Clone, Debug)]
struct Live {
    /// Without an answer until this time, the client ends.
    silent_at: Instant,
    /// Without an introduction until this time, the client ends; `None` after the first introduction.
    wait_until: Option<Instant>,
    next: Next,
    /// Whether a wake is the reason of the next request.
    is_woken: bool,
    /// Until this time the owner may move the client to another socket.
    moving_until: Option<Instant>,
    /// The reflexive address; `None` before the first answer.
    reflexive: Option<SocketAddr>,
    /// The time of the first answer with this reflexive address.
    since: Option<Instant>,
    /// The last peer that was introduced.
    introduced: Option<PeerId>,
    unusable: Option<Unusable>,
    unreachable: Option<Unreachability>,
}

/// The next request.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A request follows at this time. The last one was made at the second time.
    At(Instant, Instant),
    /// A request is pending, since this time. `again`: a wake came meanwhile.
    Pending { id: TransactionId, since: Instant, again: bool },
}

impl Client {
    /// A client that is not started yet.
    ///
    /// # Errors
    /// * [`ClientConfigError::Room`] when the name of the room does not have 1 to 64 bytes.
    /// * [`ClientConfigError::Empty`] when the password, or the secret of the peers, is empty.
    /// * [`ClientConfigError::Card`] when the card has more than 512 bytes, or a control character.
    /// * [`ClientConfigError::Candidates`] when there are more than 16 candidates.
    /// * [`ClientConfigError::Address`] when nothing can be sent to the address of the server or of a candidate.
    /// * [`ClientConfigError::Time`] when a time limit is zero.
    pub fn new(config: ClientConfig) -> Result<Self, ClientConfigError> {
        config.check()?;
        let ClientConfig { socket, server, room, password, peer_secret, card, candidates, times } = config;
        let secret = peer_secret.as_deref().unwrap_or(password.as_bytes());
        let profile = Profile {
            socket,
            server,
            credential: Credential::long_term(&room, &password),
            key: room_key(&room, &password),
            secret: IntegrityKey::from_bytes(secret),
            registration: Registration { id: PeerId([0; 16]), card, candidates: candidates.into(), leaves: false },
            times,
        };
        Ok(Self { profile, state: State::Idle, transactions: transactions(), rtt: None, out: Outbox::new() })
    }

    /// Draws the id of this peer, and registers.
    ///
    /// # Errors
    /// [`ClientError::NotIdle`] when the client was started before.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), ClientError> {
        if !matches!(self.state, State::Idle) {
            return Err(ClientError::NotIdle);
        }
        let now = cx.now();
        self.profile.registration.id = PeerId(cx.random());
        self.state = State::Live(Live {
            silent_at: now + self.profile.times.answer,
            wait_until: Some(now + self.profile.times.wait),
            next: Next::At(now, now),
            is_woken: false,
            moving_until: None,
            reflexive: None,
            since: None,
            introduced: None,
            unusable: None,
            unreachable: None,
        });
        let _is_due = self.advance(cx);
        Ok(())
    }

    /// Ends the registration at the server, and then the client with [`EndReason::Left`], at the latest after 1 s.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when the client was not started, is leaving, or has ended.
    pub fn leave(&mut self, cx: &mut Cx<'_>) -> Result<(), ClientError> {
        let State::Live(live) = &self.state else { return Err(ClientError::NotRunning) };
        // A server that has not answered yet can have a registration too, because its answer can be lost.
        if let Next::Pending { id, .. } = live.next {
            // The request is pending, so it can be cancelled.
            let _cancelled = self.transactions.with(cx, |transactions, cx| transactions.cancel(cx, id));
        }
        self.state = State::Leaving(cx.now() + LEAVING);
        if let Err(why) = self.request(cx, true) {
            self.end(EndReason::Request(why));
        }
        self.take_outputs(cx);
        Ok(())
    }

    /// The smallest round trip time to the server that was measured; `None` before the first answer.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.rtt.map(|rtt| rtt.time)
    }

    /// The interval of retransmissions. A keepalive is not urgent, so it can measure an exact round trip.
    fn interval(&self) -> Duration {
        let is_woken = matches!(&self.state, State::Live(live) if live.is_woken);
        match self.rtt {
            None => INTERVAL,
            Some(RoundTrip { is_exact: false, .. }) if !is_woken => LONGEST,
            Some(rtt) => rtt.time.saturating_mul(2).clamp(LEAST, LONGEST),
        }
    }

    /// Sends the request, and returns its transaction.
    fn request(&mut self, cx: &mut Cx<'_>, leaves: bool) -> Result<TransactionId, RequestError> {
        let interval = if leaves { LEAST } else { self.interval() };
        let until = if leaves { LEAVING } else { UNTIL };
        let schedule = Schedule::at_millis([0]).every(interval).until(until).tail(interval.saturating_mul(2));
        let Profile { socket, server, credential, registration, .. } = &self.profile;
        let registration = Registration { leaves, ..registration.clone() };
        let request = registration.add_to(Request::new(METHOD, *socket, *server, ()).schedule(schedule))?;
        let credential = credential.clone();
        self.transactions.with(cx, |transactions, cx| transactions.request_with(cx, request, credential))
    }

    /// Performs the steps that are due. Returns whether there was one.
    fn advance(&mut self, cx: &mut Cx<'_>) -> bool {
        let now = cx.now();
        let mut is_due = true;
        match &self.state {
            State::Live(live) if live.silent_at <= now => self.end(live.no_answer()),
            State::Live(live) if live.wait_until.is_some_and(|until| until <= now) => {
                // Nobody knows whether a peer is there if the server never answered.
                self.end(if live.reflexive.is_some() { EndReason::NoPeer } else { live.no_answer() });
            }
            State::Live(live) if matches!(live.next, Next::At(at, _) if at <= now) => match self.request(cx, false) {
                Ok(id) => {
                    if let State::Live(live) = &mut self.state {
                        live.next = Next::Pending { id, since: now, again: false };
                    }
                }
                Err(why) => self.end(EndReason::Request(why)),
            },
            State::Leaving(until) if *until <= now => self.end(EndReason::Left),
            State::Idle | State::Live(_) | State::Leaving(_) | State::Done => is_due = false,
        }
        self.take_outputs(cx);
        is_due
    }

    /// Translates the outputs of the transactions.
    fn take_outputs(&mut self, cx: &mut Cx<'_>) {
        while let Some(output) = self.transactions.take() {
            match output {
                Output::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                Output::Event(event) => self.transaction_event(cx, event),
                // Transactions order no socket.
                Output::Socket(_) | Output::Wait(_) => {}
            }
        }
    }

    fn transaction_event(&mut self, cx: &mut Cx<'_>, event: TransactionEvent<()>) {
        let now = cx.now();
        if matches!(self.state, State::Leaving(_)) {
            let is_over = matches!(
                event,
                TransactionEvent::Answered(_) | TransactionEvent::Unusable { .. } | TransactionEvent::Exhausted { .. }
            );
            return if is_over {
                self.end(EndReason::Left)
            };
        }
        let State::Live(live) = &mut self.state else { return };
        let asked_at = live.asked_at();
        match event {
            TransactionEvent::Answered(answer) => self.answered(cx, &answer),
            TransactionEvent::Unusable { why: Unusable::Challenge(ChallengeError::WrongCredentials), .. } => {
                self.end(EndReason::WrongSecret);
            }
            TransactionEvent::Unusable { why, .. } => {
                live.unusable = Some(why);
                live.next = Next::At(now + PAUSE, asked_at);
            }
            TransactionEvent::Exhausted { .. } => live.next = Next::At(now, asked_at),
            TransactionEvent::Unreachable { why, .. } => live.unreachable = Some(why),
            TransactionEvent::SocketLost { .. } => self.end(EndReason::SocketLost),
            // The transactions have noted it. The enum may grow; no other event ends a request.
            TransactionEvent::Elsewhere(_) | _ => {}
        }
    }

    /// A response of the server.
    fn answered(&mut self, cx: &mut Cx<'_>, answer: &Answer<()>) {
        if answer.integrity.is_none() {
            return self.end(EndReason::Unauthenticated);
        }
        // The transactions accept only valid STUN.
        let Ok(message) = Message::decode(&answer.message) else { return };
        if message.class() == Class::ErrorResponse {
            let code = message.error_code().map_or(0, |error| error.code());
            return self.end(refusal(code));
        }
        self.measure(cx, answer);
        let (now, is_exact) = (cx.now(), self.rtt.is_some_and(|rtt| rtt.is_exact));
        let rtt = self.round_trip().unwrap_or_default();
        // The next request measures what this one did not.
        let keepalive = if is_exact { self.profile.times.keepalive } else { PAUSE };
        let State::Live(live) = &mut self.state else { return };
        let asked_at = live.asked_at();
        let Some(registered) = Registered::read(&message) else {
            cx.note(|| ClientNote::Dropped { from: answer.from, why: ClientDropped::Invalid });
            live.next = Next::At(now + PAUSE, asked_at);
            return;
        };
        let lifetime = registered.lifetime.max(PAUSE);
        live.silent_at = now + lifetime;
        let keepalive = keepalive.min(lifetime / 3);
        let is_again = matches!(live.next, Next::Pending { again: true, .. });
        live.next = Next::At(if is_again { now.max(asked_at + LEAST) } else { now + keepalive }, asked_at);
        (live.unusable, live.unreachable, live.is_woken) = (None, None, is_again);
        let reflexive = registered.reflexive;
        if live.since.is_none() || live.reflexive != Some(reflexive) {
            live.since = Some(now);
        }
        if live.reflexive.replace(reflexive) != Some(reflexive) {
            self.report(cx, ClientEvent::Registered { reflexive });
        }
        if let Some(peer) = registered.peer {
            self.introduce(cx, reflexive, peer, rtt);
        }
    }

    /// Measures the round trip, and keeps the smallest exact one. After a retransmission it is not exact (Karn's
    /// algorithm, RFC 8489 §6.2.1).
    fn measure(&mut self, cx: &mut Cx<'_>, answer: &Answer<()>) {
        let new = RoundTrip { time: answer.since_last, is_exact: answer.sends == 1 };
        let is_better = |old: RoundTrip| match (new.is_exact, old.is_exact) {
            (true, false) => true,
            (false, true) => false,
            (true, true) | (false, false) => new.time < old.time,
        };
        if self.rtt.is_none_or(is_better) {
            self.rtt = Some(new);
            cx.note(|| ClientNote::Measured { rtt: new.time });
        }
    }

    /// Reports the other peer, unless it was reported before.
    fn introduce(&mut self, cx: &mut Cx<'_>, reflexive: SocketAddr, peer: OtherPeer, rtt: Duration) {
        let own = self.profile.registration.id;
        let State::Live(live) = &mut self.state else { return };
        if live.introduced == Some(peer.id) {
            return cx.note(|| ClientNote::Repeated { peer: peer.reflexive });
        }
        if peer.id == own {
            let from = self.profile.server;
            return cx.note(|| ClientNote::Dropped { from, why: ClientDropped::Invalid });
        }
        live.introduced = Some(peer.id);
        live.wait_until = None;
        let introduction = Introduction {
            card: peer.card.map(Into::into),
            candidates: peer.candidates,
            reflexive,
            peer_reflexive: peer.reflexive,
            session: session(&self.profile.secret, own, peer.id),
            start: peer.left.saturating_sub(rtt / 2),
            first: peer.first,
        };
        self.report(cx, ClientEvent::Introduced(introduction));
    }

    /// Queues an event that the server caused. The queue has space, see [`DATAGRAM_SPACE`].
    fn report(&mut self, cx: &mut Cx<'_>, event: ClientEvent) {
        if !self.out.offer(Output::Event(event)) {
            let from = self.profile.server;
            cx.note(|| ClientNote::Dropped { from, why: ClientDropped::QueueFull });
        }
    }

    /// Ends the client, and drops its request.
    fn end(&mut self, why: EndReason) {
        self.state = State::Done;
        self.transactions = transactions();
        self.out.push(Output::Event(ClientEvent::Ended(why)));
    }

    const fn is_running(&self) -> bool {
        matches!(self.state, State::Live(_) | State::Leaving(_))
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        let Profile { socket, server, .. } = self.profile;
        // While the queue is full, nothing is taken. The server and the client repeat what is lost.
        if datagram.socket != socket || self.out.room() < DATAGRAM_SPACE {
            return Verdict::NotMine;
        }
        if datagram.remote == server && is_wake(datagram.payload) {
            self.woken(cx, datagram.payload);
            return Verdict::Mine;
        }
        let verdict = self.transactions.handle(cx, Input::Datagram(datagram));
        self.take_outputs(cx);
        if verdict == Verdict::NotMine && datagram.remote == server && is_response(datagram.payload) {
            cx.note(|| ClientNote::Dropped { from: server, why: ClientDropped::Late });
            return Verdict::Mine;
        }
        if verdict == Verdict::Mine {
            // A wake can have come before the response.
            let _is_due = self.advance(cx);
        }
        verdict
    }

    fn socket_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        match event {
            SocketEvent::Closed(_) | SocketEvent::Refused(_) => {
                self.end(EndReason::SocketLost);
                Verdict::Mine
            }
            SocketEvent::Unreachable { .. } => {
                let verdict = self.transactions.handle(cx, Input::Socket(socket, event));
                self.take_outputs(cx);
                verdict
            }
            SocketEvent::Opened { .. } | SocketEvent::Accepted { .. } | SocketEvent::Full | SocketEvent::Writable => {
                Verdict::NotMine
            }
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        match &self.state {
            State::Live(live) => {
                let silent = Some(Deadline::new(live.silent_at, "no answer of the rendezvous"));
                let wait = live.wait_until.map(|at| Deadline::new(at, "no other peer in the room"));
                let next = match live.next {
                    Next::At(at, _) => Some(Deadline::new(at, "registration at the rendezvous")),
                    Next::Pending { .. } => None,
                };
                Deadline::earliest(Deadline::earliest(silent, wait), next)
            }
            State::Leaving(until) => Some(Deadline::new(*until, "end of the registration")),
            State::Idle | State::Done => None,
        }
    }
}

impl Live {
    /// The time of the last request.
    const fn asked_at(&self) -> Instant {
        match self.next {
            Next::At(_, asked_at) => asked_at,
            Next::Pending { since, .. } => since,
        }
    }

    const fn no_answer(&self) -> EndReason {
        EndReason::NoAnswer { unusable: self.unusable, unreachable: self.unreachable }
    }
}

/// The end after an error response.
const fn refusal(code: u16) -> EndReason {
    match code {
        480 => EndReason::RoomFull,
        486 => EndReason::SourceQuota,
        508 => EndReason::ServerFull,
        code => EndReason::Refused { code },
    }
}

const fn transactions() -> Slot<Transactions<()>> {
    Slot::new("transactions", 0, Transactions::with_limit(1))
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("socket", &self.socket)
            .field("server", &self.server)
            .field("registration", &self.registration)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

impl Machine for Client {
    type Command = ClientCommand;
    type Error = ClientError;
    type Event = ClientEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: ClientCommand) -> Result<(), ClientError> {
        match command {
            ClientCommand::Start => self.start(cx),
            ClientCommand::Leave => self.leave(cx),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if !self.is_running() {
            return Verdict::NotMine;
        }
        match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, event) if socket == self.profile.socket => self.socket_event(cx, socket, event),
            Input::Socket(..) => Verdict::NotMine,
            Input::Timeout => {
                let is_woken = self.transactions.wake(cx);
                self.take_outputs(cx);
                if self.advance(cx) || is_woken { Verdict::Mine } else { Verdict::NotMine }
            }
        }
    }

    fn poll(&mut self) -> Output<ClientEvent> {
        if let Some(output) = self.out.pop() {
            return output;
        }
        Output::Wait(Deadline::earliest(self.deadline(), self.transactions.wait()))
    }
}

impl fmt::Display for ClientCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Leave => "leave",
        })
    }
}

impl FromStr for ClientCommand {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        match text {
            "start" => Ok(Self::Start),
            "leave" => Ok(Self::Leave),
            _ => Err(ClientError::UnknownCommand),
        }
    }
}

impl Script for ClientCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{self}")
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        text.parse().map_err(|_| ScriptError::new("`start` or `leave`"))
    }
}
