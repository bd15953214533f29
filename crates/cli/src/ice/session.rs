//! The session: messages in, messages out, and one connection with its driver.
//!
//! Rules of this file: a message that cannot be used gives one `error` message, and the session continues. Datagrams of the
//! peer that are not data of this command are dropped: a browser sends DTLS, which this command does not have.

use super::description::{self, Dtls, Layout, Own};
use super::message::{Incoming, Outgoing, Role, Start, TransportPolicy};
use super::offers::{Matched, Offers};
use super::servers::{self, ServerError, Servers};
use bytes::Bytes;
use core::net::IpAddr;
use core::time::Duration;
use portolan_connect::{ConnectConfig, ConnectError, ConnectEvent, Connection};
use portolan_ice::gather::Interface;
use portolan_ice::{AgentConfig, AgentState, ComponentId, Credentials, GatherConfig, Policy};
use portolan_sdp::candidate::CandidateAttribute;
use portolan_tokio::{Driver, DriverConfig};
use std::io;

/// The only component: that of the data channel section.
const COMPONENT: ComponentId = ComponentId::new(0, 1);
/// The first bytes of own data. No protocol that shares a port with STUN begins with them (RFC 7983).
const TAG: &[u8] = b"\xf0PT1";
/// The longest text of one message.
const TEXT_LIMIT: usize = 1_100;

/// What the command line gives.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) policy: Policy,
    pub(super) interfaces: Vec<Interface>,
    pub(super) has_loopback: bool,
    /// The servers that are used in addition to those of the start message.
    pub(super) servers: Vec<super::message::IceServer>,
    pub(super) relay_only: bool,
    pub(super) has_tcp: bool,
    /// The longest time for the lookup of a name.
    pub(super) lookup: Duration,
}

/// Why a message was not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the session is not started; send a start message first")]
    NotStarted,
    #[error("the session was started before")]
    Started,
    #[error("an answer came, but no offer of this side is open")]
    NoOffer,
    #[error("the answer belongs to an offer from before the restart, and is not used")]
    LateAnswer,
    #[error("the candidate cannot be read: {0}")]
    Candidate(Box<str>),
    #[error("the data has {0} bytes, expected at most {TEXT_LIMIT}")]
    TooLong(usize),
    #[error(transparent)]
    Description(#[from] description::DescriptionError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the sockets cannot be opened: {0}")]
    Io(#[from] io::Error),
}

/// A session that was started.
pub(super) struct Session {
    pub(super) driver: Driver<Connection>,
    role: Role,
    trickle: bool,
    layout: Layout,
    candidates: Vec<CandidateAttribute>,
    has_ended: bool,
    /// The description that is due: it waits for the candidates if they are not trickled.
    due: Option<Role>,
    offers: Offers,
    /// Whether the current credentials were written in a description. Candidates before it are in the description.
    is_described: bool,
    session: u64,
    version: u64,
    fingerprint: [u8; 32],
    /// Whether this side has restarted ICE, and the description of the peer has not arrived.
    awaits_description: bool,
    /// The DTLS role of this side: the client, unless the peer decides it first.
    dtls: Option<Dtls>,
    state: AgentState,
    out: Vec<Outgoing>,
}

impl Session {
    /// Starts a session: gathers candidates, and makes the offer if that is this side's role.
    pub(super) async fn start(start: &Start, options: &Options) -> Result<Self, SessionError> {
        let all: Vec<_> = start.servers.iter().chain(&options.servers).cloned().collect();
        let Servers { stun, turn, needs_tls } = servers::resolve_servers(&all, options.lookup).await?;
        let mut gather = GatherConfig::new();
        if options.has_loopback {
            gather = gather.with_loopback();
        }
        let gather = stun.into_iter().fold(gather, GatherConfig::server);
        let config = ConnectConfig::new().agent(AgentConfig::new().policy(options.policy)).gather(gather);
        let mut config = turn.into_iter().fold(config, ConnectConfig::turn);
        if options.relay_only || start.policy == TransportPolicy::Relay {
            config = config.relay_only();
        }
        if options.has_tcp {
            config = config.tcp();
        }
        let driver =
            if needs_tls { crate::trust::config(None).map_err(ServerError::from)? } else { DriverConfig::default() };
        let mut driver = Driver::with_config(Connection::new(config)?, driver)?;
        let controlling = start.role == Role::Offer;
        driver.with(|connection, cx| connection.start(cx, controlling))?;
        let random = driver.with(|_, cx| cx.random::<40>());
        let (number, fingerprint) = random
            .split_first_chunk::<8>()
            .map_or(([0; 8], [0; 32]), |(number, rest)| (*number, rest.try_into().unwrap_or([0; 32])));
        let mut session = Self {
            driver,
            role: start.role,
            trickle: start.trickle,
            layout: Layout::default(),
            candidates: Vec::new(),
            has_ended: false,
            due: None,
            offers: Offers::default(),
            is_described: false,
            // A number of 62 bits (RFC 9429 §5.2.1).
            session: u64::from_be_bytes(number) >> 2,
            version: 1,
            fingerprint,
            awaits_description: false,
            dtls: None,
            state: AgentState::New,
            out: Vec::new(),
        };
        if start.role == Role::Offer {
            session.describe(Role::Offer);
        }
        let interfaces = options.interfaces.clone();
        session.driver.with(|connection, cx| connection.set_interfaces(cx, interfaces))?;
        Ok(session)
    }

    /// Returns the messages that were not returned yet.
    pub(super) fn take(&mut self) -> Vec<Outgoing> {
        core::mem::take(&mut self.out)
    }

    pub(super) const fn state(&self) -> AgentState {
        self.state
    }

    pub(super) const fn role(&self) -> Role {
        self.role
    }

    /// Handles a message.
    pub(super) fn message(&mut self, message: Incoming) -> Result<(), SessionError> {
        if self.awaits_description && matches!(message, Incoming::Candidate { .. } | Incoming::EndOfCandidates) {
            self.out.push(Outgoing::log("a candidate of the peer from before the restart is not used"));
            return Ok(());
        }
        match message {
            Incoming::Start(_) => return Err(SessionError::Started),
            Incoming::Offer { sdp } => {
                let read = description::read(&sdp)?;
                self.offers.receive(&read.mark.ufrag);
                self.apply(read)?;
                self.describe(Role::Answer);
            }
            Incoming::Answer { sdp, answers } => {
                if !self.offers.has_open() {
                    return Err(SessionError::NoOffer);
                }
                let mut read = description::read(&sdp)?;
                match self.offers.answer(answers.as_deref(), &read.mark) {
                    Matched::Newest(ufrag) => read.description = read.description.answering(&ufrag),
                    Matched::Late => return Err(SessionError::LateAnswer),
                    Matched::NoOffer => return Err(SessionError::NoOffer),
                }
                self.apply(read)?;
            }
            Incoming::Candidate { candidate, mid, index } => {
                // An empty candidate is the end of the candidates of a page (RFC 8838 §13).
                if candidate.is_empty() {
                    return Ok(self.driver.with(|connection, cx| connection.end_remote(cx, 0))?);
                }
                let is_ours = mid
                    .as_deref()
                    .map_or(index.unwrap_or(self.layout.index) == self.layout.index, |mid| mid == self.layout.mid());
                let read: Result<CandidateAttribute, _> = candidate.parse();
                let candidate = read.map_err(|why| SessionError::Candidate(why.to_string().into()))?;
                if is_ours {
                    self.driver.with(|connection, cx| connection.add_remote(cx, 0, &candidate))?;
                }
            }
            Incoming::EndOfCandidates => self.driver.with(|connection, cx| connection.end_remote(cx, 0))?,
            Incoming::Restart => {
                self.renew();
                self.offers.restart();
                self.driver.with(Connection::restart)?;
                self.awaits_description = true;
                self.describe(Role::Offer);
            }
            Incoming::Send { data } => self.send(&data)?,
            Incoming::Stop | Incoming::Unknown => {}
        }
        Ok(())
    }

    /// Uses a description of the peer. New credentials are a restart of the peer.
    fn apply(&mut self, read: description::Read) -> Result<(), SessionError> {
        let description::Read { description, unreadable, layout, mark, dtls } = read;
        self.layout = layout;
        self.dtls = dtls.or(self.dtls);
        for why in unreadable {
            self.out.push(Outgoing::error(format_args!("a candidate of the description cannot be read: {why}")));
        }
        let before = self.credentials();
        self.driver.with(|connection, cx| connection.set_remote(cx, 0, description))?;
        self.awaits_description = false;
        self.offers.use_description(mark);
        if self.credentials() != before {
            // The peer has restarted ICE. The candidates of this side follow again.
            self.renew();
        }
        Ok(())
    }

    fn credentials(&mut self) -> Option<Credentials> {
        self.driver.with(|connection, _| connection.agent().credentials().cloned())
    }

    fn send(&mut self, text: &str) -> Result<(), SessionError> {
        if text.len() > TEXT_LIMIT {
            return Err(SessionError::TooLong(text.len()));
        }
        let data: Bytes = [TAG, text.as_bytes()].concat().into();
        Ok(self.driver.with(|connection, cx| connection.send(cx, COMPONENT, data))?)
    }

    /// Forgets the candidates before a restart.
    fn renew(&mut self) {
        self.candidates.clear();
        self.has_ended = false;
        self.is_described = false;
        self.version += 1;
    }

    /// Makes a description: at once if candidates are trickled, otherwise with all candidates.
    fn describe(&mut self, role: Role) {
        self.due = Some(role);
        self.write_due();
    }

    fn write_due(&mut self) {
        let Some(role) = self.due.filter(|_| self.trickle || self.has_ended) else { return };
        let Some(credentials) = self.credentials() else { return };
        self.due = None;
        self.is_described = true;
        let dtls = (role == Role::Answer).then(|| *self.dtls.get_or_insert(Dtls::Client));
        let sdp = description::write(&Own {
            credentials: &credentials,
            candidates: &self.candidates,
            has_ended: self.has_ended,
            dtls,
            layout: &self.layout,
            session: self.session,
            version: self.version,
            fingerprint: self.fingerprint,
        });
        self.out.push(match role {
            Role::Offer => Outgoing::Offer { sdp },
            Role::Answer => Outgoing::Answer { sdp, answers: self.offers.received().map(str::to_string) },
        });
        if role == Role::Offer {
            self.offers.add(credentials.ufrag());
        }
    }

    /// Handles an event of the connection. Returns a name to resolve, if there is one.
    pub(super) fn event(&mut self, event: ConnectEvent) -> Option<String> {
        match event {
            ConnectEvent::LocalCandidate { candidate, .. } => {
                if self.trickle && self.is_described {
                    self.out.push(Outgoing::Candidate {
                        candidate: format!("candidate:{candidate}"),
                        mid: self.layout.mid().to_string(),
                        index: self.layout.index,
                    });
                }
                self.candidates.push(*candidate);
            }
            ConnectEvent::EndOfCandidates(report) => {
                self.out.push(Outgoing::log(&report));
                if self.trickle && !self.has_ended && self.is_described {
                    self.out.push(Outgoing::EndOfCandidates);
                }
                self.has_ended = true;
                self.write_due();
            }
            ConnectEvent::Resolve { name } => return Some(name),
            ConnectEvent::State(state) => {
                self.state = state;
                self.report_state();
            }
            ConnectEvent::Selected(selection) => {
                let (path, why) = (selection.path, selection.why);
                self.out.push(Outgoing::log(format_args!("selected {path}: {why}")));
                if self.state == AgentState::Completed {
                    self.report_state();
                }
            }
            ConnectEvent::Data { payload, .. } => {
                if let Some(text) = payload.strip_prefix(TAG).and_then(|text| core::str::from_utf8(text).ok()) {
                    self.out.push(Outgoing::Message { data: text.to_string() });
                }
            }
            ConnectEvent::Failed(why) => self.out.push(Outgoing::error(format_args!("the session failed: {why}"))),
            ConnectEvent::ServerFailed(failed) => self.out.push(Outgoing::log(failed)),
            ConnectEvent::RelayFailed(failure) => {
                let last = failure.steps.last().map(ToString::to_string).unwrap_or_default();
                self.out.push(Outgoing::log(format_args!(
                    "TURN server {}: {} {last}",
                    failure.server + 1,
                    failure.why
                )));
            }
            ConnectEvent::Role(role) => self.out.push(Outgoing::log(format_args!("the agent is {role} now"))),
            ConnectEvent::CredentialExpires { server, .. } => {
                self.out.push(Outgoing::log(format_args!("the credential of TURN server {} expires soon", server + 1)));
            }
            // The restart of the peer is handled with its description.
            ConnectEvent::Restarted(_) | ConnectEvent::Closed | _ => {}
        }
        None
    }

    /// Sets the address of a name.
    pub(super) fn resolved(&mut self, name: &str, address: Option<IpAddr>) {
        if address.is_none() {
            self.out.push(Outgoing::log(format_args!("the name {name} has no address; its candidate is not used")));
        }
        // After a restart no candidate waits for the name any more.
        let _resolved = self.driver.with(|connection, cx| connection.resolve(cx, name, address));
    }

    fn report_state(&mut self) {
        let path =
            self.driver.with(|connection, _| connection.path(COMPONENT).map(|path| (path, connection.is_tcp(&path))));
        let path = path.filter(|_| matches!(self.state, AgentState::Connected | AgentState::Completed));
        self.out.push(Outgoing::state(self.state, path));
    }
}
