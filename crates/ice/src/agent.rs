//! The agent: connectivity checks, nomination and consent for one session (RFC 8445, RFC 7675, RFC 8838, RFC 8863).
//!
//! Rules of this file: the parts decide, and the agent applies. `judge` decides about requests, `checklist` chooses the
//! next check and keeps the states of pairs, `checks` retransmits, `nominate` chooses the pair to nominate, `consent` keeps
//! the right to send. The agent opens no socket: the owner adds candidates with the sockets of their bases.
//!
//! ```
//! use portolan_ice::{Agent, AgentConfig, AgentEvent, ComponentId, LocalCandidate};
//! use portolan_machine::{Cx, Entropy, Instant, Machine, Output, SocketId, SocketIds};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let mut agent = Agent::new(AgentConfig::new());
//! agent.start(&mut cx, true)?;
//! let host = LocalCandidate::host(ComponentId::new(0, 1), SocketId(1), "10.0.0.7:40000".parse()?);
//! agent.add_local(&mut cx, host)?;
//!
//! // The credentials and the candidate are signalled to the peer.
//! assert_eq!(agent.credentials().unwrap().ufrag().len(), 8);
//! let Output::Event(AgentEvent::LocalCandidate { candidate, .. }) = agent.poll() else { panic!("expected it") };
//! assert_eq!(candidate.to_string(), "1 1 UDP 2130706431 10.0.0.7 40000 typ host");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod conclude;
mod incoming;
mod inspect;
mod outgoing;
mod pairing;
mod repeat;
mod responses;
mod restart;
mod session;
mod track;

pub use inspect::PairInfo;

use crate::candidate::{ComponentId, LocalCandidate};
use crate::checklist::ChecklistSet;
use crate::checks::Checks;
use crate::command::AgentCommand;
use crate::config::AgentConfig;
use crate::credentials::Credentials;
use crate::error::AgentError;
use crate::event::{AgentEvent, AgentState, Path};
use crate::local::LocalTable;
use crate::note::{AgentDropped, AgentNote};
use crate::remote::RemoteTable;
use crate::role::Role;
use alloc::boxed::Box;
use alloc::vec::Vec;
use incoming::Early;
use pairing::Names;
use portolan_machine::{Cx, Datagram, Deadline, Input, Machine, Outbox, Output, SocketEvent, SocketId, Verdict};
use portolan_sdp::candidate::CandidateAttribute;
use portolan_stun::{Class, Message, Method, is_stun};
use session::{Session, Stage};
use track::Track;

/// An ICE agent.
///
/// # Time limits
///
/// With default times, from any state and with a dead network:
///
/// * without a remote description the session fails 15 minutes after the start or restart;
/// * after the remote description it fails when the PAC timer (39.5 s) is over and no check is pending. A check is pending
///   for 79 × RTO: 39.5 s with up to 10 open pairs, 395 s with 100 open pairs (RFC 8445 §14.3);
/// * if all responses are lost but requests arrive, a pair counts as pending for two of these times from its first check;
/// * a controlled agent that gets no nomination fails 79 s after the remote description, or after its last check;
/// * after the selection it fails 30 s after the last consent response (RFC 7675 §5.1). A lite agent sends no consent
///   requests, so it does not fail then.
///
/// # Agreement
///
/// With regular nomination both agents select the same pair. The agreement begins when the controlling agent gets the
/// response to its last nomination, and has three exceptions:
///
/// * The own check of the controlled agent on the nominated pair is pending. It has no selected pair, or the previous one.
/// * This check has failed. The next request of the controlling agent on the pair gets error 403, which revokes its consent.
/// * The mapping of a NAT has changed. The path of the old mapping ends 30 s after its last consent response.
///
/// With [`Policy::Browserlike`](crate::Policy::Browserlike) an agent can nominate again. Each further nomination has the next
/// number in the attribute NOMINATION, and an earlier one that arrives late is refused. With
/// [`Nomination::Aggressive`](crate::Nomination::Aggressive) the agents can select different pairs, if a candidate is
/// reflexive or a checklist is full: see `docs/rfc/departures.md`.
///
/// # Idle traffic
///
/// After the selection an agent sends 10 to 15 consent requests a minute for each component, and as many responses.
///
/// # Bounds
///
/// At most [`AgentConfig::PAIRS`] pairs, [`AgentConfig::REMOTE_CANDIDATES`] signalled remote candidates, 256 local
/// candidates, 32 early checks, and 256 pending checks or two for each pair.
#[derive(Clone, Debug)]
pub struct Agent {
    config: AgentConfig,
    session: Session,
    locals: LocalTable,
    remotes: RemoteTable,
    set: ChecklistSet,
    checks: Checks,
    tracks: Vec<Track>,
    early: Vec<Early>,
    names: Names,
    out: Outbox<AgentEvent>,
}

/// The description of the peer for one data stream: what an offer, an answer or another signalling message contains.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteDescription {
    /// The credentials.
    pub credentials: Credentials,
    /// Whether the peer is a lite agent (`ice-lite`).
    pub is_lite: bool,
    /// Whether the peer sends no further candidates.
    pub has_ended: bool,
    /// The candidates that are known so far.
    pub candidates: Vec<CandidateAttribute>,
    /// The username fragment of the receiver that the peer had when it chose these credentials. An answer of SDP has it.
    /// So a description that answers the current session does not restart it, and one that answers an earlier session is
    /// not taken for the answer to the current one.
    pub answers: Option<Box<str>>,
    /// The order of the descriptions of the peer, if the signalling has one. With it the session does not depend on the order
    /// in which descriptions arrive.
    pub generation: Option<Generation>,
}

/// The number of a session of an agent, and what the agent knew of the other one when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Generation {
    /// The number of the agent's session: 1 at the start, and one more after each restart.
    pub number: u64,
    /// The largest number in a description of the other agent so far, 0 without one.
    pub seen: u64,
}

impl RemoteDescription {
    /// The description of a full agent that has no candidates yet.
    #[must_use]
    pub const fn new(credentials: Credentials) -> Self {
        Self { credentials, is_lite: false, has_ended: false, candidates: Vec::new(), answers: None, generation: None }
    }

    /// Returns the same description with these candidates.
    #[must_use]
    pub fn with_candidates(mut self, candidates: Vec<CandidateAttribute>) -> Self {
        self.candidates = candidates;
        self
    }

    /// Returns the same description, which the peer made when it had the receiver's credentials with this username fragment.
    #[must_use]
    pub fn answering(mut self, ufrag: &str) -> Self {
        self.answers = Some(ufrag.into());
        self
    }

    /// Returns the same description with its place in the order of descriptions.
    #[must_use]
    pub const fn generation(mut self, generation: Generation) -> Self {
        self.generation = Some(generation);
        self
    }

    /// Returns the same description of a lite agent.
    #[must_use]
    pub const fn lite(mut self) -> Self {
        self.is_lite = true;
        self
    }

    /// Returns the same description, which has all candidates of the peer.
    #[must_use]
    pub const fn ended(mut self) -> Self {
        self.has_ended = true;
        self
    }
}

impl Agent {
    /// The largest number of components.
    pub const COMPONENTS: usize = 64;

    /// An agent that is not started.
    #[must_use]
    pub fn new(config: AgentConfig) -> Self {
        Self {
            session: Session::new(&config),
            locals: LocalTable::default(),
            remotes: RemoteTable::default(),
            set: ChecklistSet::new(config.streams.len(), config.pairs),
            checks: Checks::new(config.pairs),
            tracks: config.components().take(Self::COMPONENTS + 1).map(Track::new).collect(),
            early: Vec::new(),
            names: Names::default(),
            out: Outbox::new(),
            config,
        }
    }

    /// Starts the session: chooses credentials and the tie-breaker. A lite agent is controlled.
    ///
    /// # Errors
    /// * [`AgentError::Started`] when the agent was started before.
    /// * [`AgentError::Components`] when the configuration does not have 1 to 64 components.
    pub fn start(&mut self, cx: &mut Cx<'_>, controlling: bool) -> Result<(), AgentError> {
        if self.session.stage != Stage::Idle {
            return Err(AgentError::Started);
        }
        let components = self.tracks.len();
        if components == 0 || components > Self::COMPONENTS {
            return Err(AgentError::Components(components));
        }
        let tie_breaker = u64::from_be_bytes(cx.random());
        self.session.role = if controlling && !self.config.is_lite {
            Role::Controlling { tie_breaker }
        } else {
            Role::Controlled { tie_breaker }
        };
        self.session.renew(cx, self.config.times.description);
        Ok(())
    }

    /// Adds a local candidate. Its socket is open. An event asks the owner to signal the candidate, unless it is
    /// redundant.
    ///
    /// # Errors
    /// * [`AgentError::NotRunning`] when the agent was not started, or is closed.
    /// * [`AgentError::Component`] when the session has no such component.
    /// * [`AgentError::Address`] when the address is unspecified or multicast, or its port is 0.
    /// * [`AgentError::Full`] when there are too many local candidates.
    pub fn add_local(&mut self, cx: &mut Cx<'_>, candidate: LocalCandidate) -> Result<(), AgentError> {
        self.check_running()?;
        self.accept_local(cx, candidate)?;
        self.settle(cx);
        Ok(())
    }

    /// Removes the candidates of a socket: its interface is down, or its allocation has ended. Pairs of the socket fail.
    ///
    /// # Errors
    /// [`AgentError::NotRunning`] when the agent was not started, or is closed.
    pub fn remove_local(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Result<(), AgentError> {
        self.check_running()?;
        self.drop_local(cx, socket);
        self.settle(cx);
        Ok(())
    }

    /// Tells the agent that all local candidates were added.
    ///
    /// # Errors
    /// [`AgentError::NotRunning`] when the agent was not started, or is closed.
    pub fn end_local(&mut self, cx: &mut Cx<'_>) -> Result<(), AgentError> {
        self.check_running()?;
        self.session.has_ended = true;
        self.settle(cx);
        Ok(())
    }

    /// Sets the description of the peer for a stream. Other credentials than before are a restart of the peer: then this
    /// agent restarts too, unless it waits for the description already (RFC 8445 §9).
    ///
    /// # Errors
    /// * [`AgentError::NotRunning`] when the agent was not started, or is closed.
    /// * [`AgentError::Stream`] when the session has no such stream.
    pub fn set_remote(
        &mut self,
        cx: &mut Cx<'_>,
        stream: u16,
        description: RemoteDescription,
    ) -> Result<(), AgentError> {
        self.check_running()?;
        self.check_stream(stream)?;
        self.accept_description(cx, stream, description);
        self.settle(cx);
        Ok(())
    }

    /// Adds a candidate of the peer (RFC 8838 §11).
    ///
    /// # Errors
    /// * [`AgentError::NotRunning`] when the agent was not started, or is closed.
    /// * [`AgentError::Stream`] when the session has no such stream.
    /// * [`AgentError::NoRemoteDescription`] when the description of the stream is not set.
    pub fn add_remote(
        &mut self,
        cx: &mut Cx<'_>,
        stream: u16,
        candidate: &CandidateAttribute,
    ) -> Result<(), AgentError> {
        self.check_running()?;
        self.check_stream(stream)?;
        if self.session.remote(stream).is_none() {
            return Err(AgentError::NoRemoteDescription(stream));
        }
        self.accept_remote(cx, stream, candidate);
        self.settle(cx);
        Ok(())
    }

    /// Sets the address of a name that [`AgentEvent::Resolve`] asked for. `None`: the name has no address.
    ///
    /// # Errors
    /// * [`AgentError::NotRunning`] when the agent was not started, or is closed.
    /// * [`AgentError::Name`] when no candidate waits for this name.
    pub fn resolve(
        &mut self,
        cx: &mut Cx<'_>,
        name: &str,
        address: Option<core::net::IpAddr>,
    ) -> Result<(), AgentError> {
        self.check_running()?;
        self.accept_address(cx, name, address)?;
        self.settle(cx);
        Ok(())
    }

    /// Tells the agent that the peer has no more candidates for a stream (RFC 8838 §14).
    ///
    /// # Errors
    /// * [`AgentError::NotRunning`] when the agent was not started, or is closed.
    /// * [`AgentError::Stream`] when the session has no such stream.
    /// * [`AgentError::NoRemoteDescription`] when the description of the stream is not set.
    pub fn end_remote(&mut self, cx: &mut Cx<'_>, stream: u16) -> Result<(), AgentError> {
        self.check_running()?;
        self.check_stream(stream)?;
        let Some(side) = self.session.remotes.get_mut(usize::from(stream)).and_then(Option::as_mut) else {
            return Err(AgentError::NoRemoteDescription(stream));
        };
        side.has_ended = true;
        self.settle(cx);
        Ok(())
    }

    /// Restarts ICE: new credentials and new checks. The selected paths carry data until new ones are selected. The
    /// candidates stay; an event for each of them asks the owner to signal it again (RFC 8445 §9).
    ///
    /// # Errors
    /// [`AgentError::NotRunning`] when the agent was not started, or is closed.
    pub fn restart(&mut self, cx: &mut Cx<'_>) -> Result<(), AgentError> {
        self.check_running()?;
        self.begin_restart(cx, false);
        self.settle(cx);
        Ok(())
    }

    /// Closes the agent. The event is the last output.
    ///
    /// # Errors
    /// [`AgentError::NotRunning`] when the agent was not started, or is closed.
    pub fn close(&mut self, _: &mut Cx<'_>) -> Result<(), AgentError> {
        self.check_running()?;
        let config = core::mem::take(&mut self.config);
        let mut out = core::mem::take(&mut self.out);
        *self = Self::new(config);
        self.session.stage = Stage::Closed;
        self.session.state = AgentState::Closed;
        out.clear();
        out.push(Output::Event(AgentEvent::State(AgentState::Closed)));
        out.push(Output::Event(AgentEvent::Closed));
        self.out = out;
        Ok(())
    }

    fn check_running(&self) -> Result<(), AgentError> {
        match self.session.stage {
            Stage::Running | Stage::Failed => Ok(()),
            Stage::Idle | Stage::Closed => Err(AgentError::NotRunning),
        }
    }

    fn check_stream(&self, stream: u16) -> Result<(), AgentError> {
        if usize::from(stream) < self.config.streams.len() { Ok(()) } else { Err(AgentError::Stream(stream)) }
    }

    fn track(&self, component: ComponentId) -> Option<&Track> {
        self.tracks.iter().find(|track| track.id == component)
    }

    fn track_mut(&mut self, component: ComponentId) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.id == component)
    }

    /// Applies everything that follows from a change: nominations, the next check, failures, and the state.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        if self.session.stage == Stage::Running {
            self.give_up(cx);
            self.pair_lite(cx);
            self.nominate(cx);
            self.complete(cx);
            self.send_next_check(cx);
            self.check_failures(cx);
        }
        self.report_state();
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) {
        if self.session.stage != Stage::Running {
            return;
        }
        self.advance_checks(cx);
        self.advance_consent(cx);
        self.settle(cx);
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        if self.session.stage != Stage::Running || !is_stun(datagram.payload) {
            return Verdict::NotMine;
        }
        let Some((local, _)) = self.locals.base_of(datagram.socket) else { return Verdict::NotMine };
        let Ok(message) = Message::decode(datagram.payload) else { return Verdict::NotMine };
        if message.method() != Method::BINDING {
            return Verdict::NotMine;
        }
        if matches!(message.class(), Class::SuccessResponse | Class::ErrorResponse)
            && !self.is_own_transaction(message.transaction_id())
        {
            return Verdict::NotMine;
        }
        if self.out.room() < self.tracks.len() + RESERVE {
            cx.note(|| AgentNote::Dropped { from: datagram.remote, why: AgentDropped::QueueFull });
            return Verdict::Mine;
        }
        match message.class() {
            Class::Request => self.request(cx, local, datagram, &message),
            Class::SuccessResponse | Class::ErrorResponse => self.response(cx, datagram, &message),
            // A keepalive (§11).
            Class::Indication => {}
        }
        self.settle(cx);
        Verdict::Mine
    }

    fn socket(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        let has_started = matches!(self.session.stage, Stage::Running | Stage::Failed);
        if !has_started || self.locals.base_of(socket).is_none() {
            return Verdict::NotMine;
        }
        match event {
            SocketEvent::Refused(_) | SocketEvent::Closed(_) => self.drop_local(cx, socket),
            SocketEvent::Unreachable { remote, why } => self.unreachable(cx, socket, remote, why),
            SocketEvent::Opened { .. } | SocketEvent::Accepted { .. } | SocketEvent::Full | SocketEvent::Writable => {
                return Verdict::NotMine;
            }
        }
        self.settle(cx);
        Verdict::Mine
    }
}

impl Machine for Agent {
    type Command = AgentCommand;
    type Error = AgentError;
    type Event = AgentEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: AgentCommand) -> Result<(), AgentError> {
        match command {
            AgentCommand::Start { controlling } => self.start(cx, controlling),
            AgentCommand::AddLocal(candidate) => self.add_local(cx, candidate),
            AgentCommand::RemoveLocal(socket) => self.remove_local(cx, socket),
            AgentCommand::EndLocal => self.end_local(cx),
            AgentCommand::SetRemote { stream, description } => self.set_remote(cx, stream, *description),
            AgentCommand::AddRemote { stream, candidate } => self.add_remote(cx, stream, &candidate),
            AgentCommand::Resolve { name, address } => self.resolve(cx, &name, address),
            AgentCommand::EndRemote { stream } => self.end_remote(cx, stream),
            AgentCommand::Restart => self.restart(cx),
            AgentCommand::Close => self.close(cx),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, event) => self.socket(cx, socket, event),
            Input::Timeout => {
                self.timeout(cx);
                Verdict::Mine
            }
        }
    }

    fn poll(&mut self) -> Output<AgentEvent> {
        self.out.pop().unwrap_or_else(|| Output::Wait(self.deadline()))
    }
}

impl Agent {
    /// The next time at which the agent has something to do.
    fn deadline(&self) -> Option<Deadline> {
        if self.session.stage != Stage::Running {
            return None;
        }
        let clock = &self.session.clock;
        let at = |at: Option<portolan_machine::Instant>, why| at.map(|at| Deadline::new(at, why));
        let deadlines = [
            at(clock.description, "the remote description"),
            at(self.checks.next(), "retransmission of a check"),
            at(self.next_give_up(), "a place for a discarded pair"),
            at(self.next_pacing(), "pacing of checks"),
            at(self.next_consent(), "consent"),
            at(self.tracks.iter().filter_map(|track| track.wait_until).min(), "nomination"),
            at(self.next_failure(), "the PAC timer"),
        ];
        deadlines.into_iter().fold(None, Deadline::earliest)
    }
}

/// The most outputs that one datagram causes, without the selection of each component. A datagram is dropped when fewer
/// fit into the queue.
const RESERVE: usize = 16;

/// Whether a path leads to this socket and address.
fn is_path(path: &Path, socket: SocketId, remote: core::net::SocketAddr) -> bool {
    path.socket == socket && path.remote == remote
}
