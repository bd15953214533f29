//! One machine of an ICE agent, its gatherer and its TURN clients (RFC 8445, RFC 8656).
//!
//! Rules of this file: the children decide, and the connection passes their outputs on. The gatherer owns the sockets of
//! host candidates, and the agent shares them. Each relayed address is a virtual socket of the agent. A datagram is offered
//! to the relays, the gatherer and the agent, in this order; what remains is data of the peer if its source is a remote
//! candidate.
//!
//! ```
//! use portolan_connect::{ConnectConfig, ConnectEvent, Connection};
//! use portolan_ice::gather::Interface;
//! use portolan_machine::{Cx, Entropy, Input, Instant, Machine, Output, SocketEvent, SocketIds, SocketOrder};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let mut connection = Connection::new(ConnectConfig::new())?;
//! connection.start(&mut cx, true)?;
//! connection.set_interfaces(&mut cx, vec![Interface::new("eth0", "198.51.100.7".parse()?)])?;
//!
//! // The driver opens the socket, and the host candidate is to be signalled.
//! let Output::Socket(SocketOrder::Open(open)) = connection.poll() else { panic!("expected a socket") };
//! let opened = SocketEvent::Opened { local: "198.51.100.7:40000".parse()? };
//! connection.handle(&mut cx, Input::Socket(open.id, opened));
//! let Output::Event(ConnectEvent::LocalCandidate { candidate, .. }) = connection.poll() else { panic!("expected it") };
//! assert_eq!(candidate.to_string(), "1 1 UDP 2130706431 198.51.100.7 40000 typ host");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod command;
mod config;
mod event;
mod outputs;
mod streams;

pub use command::ConnectCommand;
pub use config::ConnectConfig;
pub use event::{ConnectError, ConnectEvent, ConnectNote, RelayFailure};

use crate::relay::Relay;
use crate::tcp::Tcp;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_ice::gather::{GatherReport, Interface};
use portolan_ice::{Agent, AgentCommand, AgentState, ComponentId, Gatherer, Path, RemoteDescription};
use portolan_machine::{
    Closure, Cx, Datagram, Deadline, Input, Machine, Outbox, Output, Slot, SocketEvent, SocketId, SocketOrder,
    Transmit, Verdict,
};
use portolan_sdp::candidate::{CandidateAttribute, ConnectionAddress};
use portolan_stun_agent::Credential;
use portolan_turn::ClientConfig;

/// An ICE agent with its gatherer and TURN clients.
///
/// # Time limits
///
/// With a dead network the last candidate is found or given up within the times of [`Gatherer`] and
/// [`Relay`]; the session fails within the times of [`Agent`]. [`close`](Self::close) ends within the close timeout of the
/// TURN clients, 2 s.
///
/// # Idle traffic
///
/// The sum of that of [`Agent`], and of each TURN client ([`Client`](portolan_turn::Client)). The keepalives of the
/// gatherer stop when the agent has selected its pairs.
///
/// # Bounds
///
/// Those of the children, and [`ConnectConfig::RELAYS`] TURN clients.
#[derive(Clone, Debug)]
pub struct Connection {
    agent: Slot<Agent>,
    gatherer: Slot<Gatherer>,
    relays: Vec<RelaySlot>,
    /// The TCP candidates, if the configuration has them.
    tcp: Option<Tcp>,
    progress: Progress,
    out: Outbox<ConnectEvent>,
}

/// A TURN client of one component.
#[derive(Clone, Debug)]
struct RelaySlot {
    relay: Slot<Relay>,
    /// The number of the server in the configuration.
    server: usize,
    component: ComponentId,
    config: Box<ClientConfig>,
    /// The sockets to the server, with their local addresses.
    carriers: Vec<(SocketId, IpAddr)>,
    /// The number of allocations so far.
    allocations: u8,
    /// Whether the first allocation exists, or was refused.
    is_settled: bool,
    has_ended: bool,
}

/// The progress of a connection.
#[derive(Clone, Debug, Default)]
struct Progress {
    is_started: bool,
    /// The report of the gatherer, until the end of the candidates was reported.
    report: Option<Box<GatherReport>>,
    /// The last addresses of the host; `None` before the first ones.
    addresses: Option<Vec<IpAddr>>,
    is_closing: bool,
    has_ended: bool,
}

impl Connection {
    /// A connection that is not started.
    ///
    /// # Errors
    /// * [`ConnectError::Gather`] when the configuration of the gatherer is invalid.
    /// * [`ConnectError::Relays`] when there are too many TURN servers and components.
    pub fn new(config: ConnectConfig) -> Result<Self, ConnectError> {
        let ConnectConfig { agent, gather, turn, has_tcp } = config;
        let agent = if has_tcp { agent.tcp() } else { agent };
        let components: Vec<ComponentId> = agent.components().collect();
        let count = turn.len() * components.len();
        if count > ConnectConfig::RELAYS {
            return Err(ConnectError::Relays { count, limit: ConnectConfig::RELAYS });
        }
        let mut relays = Vec::with_capacity(count);
        for (server, config) in turn.into_iter().enumerate() {
            for component in components.iter().copied() {
                let relay = Slot::new("relay", relays.len() as u32, Relay::new());
                let config = Box::new(config.clone());
                let carriers = Vec::new();
                let (allocations, is_settled, has_ended) = (0, false, false);
                let slot = RelaySlot { relay, server, component, config, carriers, allocations, is_settled, has_ended };
                relays.push(slot);
            }
        }
        let gatherer = Gatherer::new(gather.components(components))?;
        Ok(Self {
            agent: Slot::new("agent", 0, Agent::new(agent)),
            gatherer: Slot::new("gatherer", 0, gatherer),
            relays,
            tcp: has_tcp.then(Tcp::default),
            progress: Progress::default(),
            out: Outbox::new(),
        })
    }

    /// Starts the agent and the TURN clients. The owner sets the interfaces next.
    ///
    /// # Errors
    /// * [`ConnectError::Agent`] with the errors of [`Agent::start`].
    /// * [`ConnectError::Turn`] when the configuration of a TURN client is invalid. The connection is then useless.
    pub fn start(&mut self, cx: &mut Cx<'_>, controlling: bool) -> Result<(), ConnectError> {
        self.agent.with(cx, |agent, cx| agent.start(cx, controlling))?;
        self.progress.is_started = true;
        for slot in &mut self.relays {
            let config = (*slot.config).clone();
            let started = slot.relay.with(cx, |relay, cx| relay.start(cx, config));
            if let Err(crate::RelayError::Client(why)) = started {
                return Err(ConnectError::Turn(why));
            }
        }
        self.settle(cx);
        Ok(())
    }

    /// Sets the addresses of the host, at the start and after each change of the network ([`Gatherer::set_interfaces`]).
    ///
    /// A TURN client whose local address is gone makes a new allocation at once, at the first of its servers that an
    /// address of the host reaches. A TURN client that has ended is started again.
    ///
    /// # Errors
    /// [`ConnectError::Gather`] with the errors of [`Gatherer::set_interfaces`].
    pub fn set_interfaces(&mut self, cx: &mut Cx<'_>, interfaces: Vec<Interface>) -> Result<(), ConnectError> {
        let addresses: Vec<IpAddr> = interfaces.iter().map(|interface| interface.address.to_canonical()).collect();
        self.gatherer.with(cx, |gatherer, cx| gatherer.set_interfaces(cx, interfaces))?;
        self.readdress(cx, addresses);
        self.settle(cx);
        Ok(())
    }

    /// Closes the sockets to TURN servers whose local address is gone, and starts the TURN clients again that have ended.
    fn readdress(&mut self, cx: &mut Cx<'_>, addresses: Vec<IpAddr>) {
        let before = self.progress.addresses.replace(addresses);
        let (Some(before), Some(now)) = (before, &self.progress.addresses) else { return };
        let has_new = now.iter().any(|address| !before.contains(address));
        let is_gone = |address: &IpAddr| before.contains(address) && !now.contains(address);
        for slot in &mut self.relays {
            let gone: Vec<_> = slot.carriers.extract_if(.., |(_, local)| is_gone(local)).collect();
            for (socket, _) in gone {
                let closed = SocketEvent::Closed(Closure::Unspecified);
                let _mine = slot.relay.handle(cx, Input::Socket(socket, closed));
                self.out.push(Output::Socket(SocketOrder::Close(socket)));
            }
            if slot.has_ended && has_new {
                *slot.relay.get_mut() = Relay::new();
                let config = (*slot.config).clone();
                // The configuration was accepted at the start.
                slot.has_ended = slot.relay.with(cx, |relay, cx| relay.start(cx, config)).is_err();
                slot.is_settled = slot.has_ended;
            }
        }
    }

    /// Sets the description of the peer for a stream ([`Agent::set_remote`]).
    ///
    /// # Errors
    /// [`ConnectError::Agent`] with the errors of [`Agent::set_remote`].
    pub fn set_remote(
        &mut self,
        cx: &mut Cx<'_>,
        stream: u16,
        description: RemoteDescription,
    ) -> Result<(), ConnectError> {
        let peers: Vec<SocketAddr> = description.candidates.iter().filter_map(address_of).collect();
        self.agent.with(cx, |agent, cx| agent.set_remote(cx, stream, description))?;
        peers.into_iter().for_each(|peer| self.permit(cx, peer));
        self.settle(cx);
        Ok(())
    }

    /// Adds a candidate of the peer ([`Agent::add_remote`]). The relays request a permission for its address.
    ///
    /// # Errors
    /// [`ConnectError::Agent`] with the errors of [`Agent::add_remote`].
    pub fn add_remote(
        &mut self,
        cx: &mut Cx<'_>,
        stream: u16,
        candidate: &CandidateAttribute,
    ) -> Result<(), ConnectError> {
        self.agent.with(cx, |agent, cx| agent.add_remote(cx, stream, candidate))?;
        if let Some(peer) = address_of(candidate) {
            self.permit(cx, peer);
        }
        self.settle(cx);
        Ok(())
    }

    /// Sets the address of a name ([`Agent::resolve`]).
    ///
    /// # Errors
    /// [`ConnectError::Agent`] with the errors of [`Agent::resolve`].
    pub fn resolve(&mut self, cx: &mut Cx<'_>, name: &str, address: Option<IpAddr>) -> Result<(), ConnectError> {
        self.agent.with(cx, |agent, cx| agent.resolve(cx, name, address))?;
        if let Some(address) = address {
            // A permission is for an address; the port has no meaning.
            self.permit(cx, SocketAddr::new(address, 1));
        }
        self.settle(cx);
        Ok(())
    }

    /// Tells the agent that the peer has no more candidates ([`Agent::end_remote`]).
    ///
    /// # Errors
    /// [`ConnectError::Agent`] with the errors of [`Agent::end_remote`].
    pub fn end_remote(&mut self, cx: &mut Cx<'_>, stream: u16) -> Result<(), ConnectError> {
        self.agent.with(cx, |agent, cx| agent.end_remote(cx, stream))?;
        self.settle(cx);
        Ok(())
    }

    /// Restarts ICE, for example after a change of the network. The selected paths carry data until new ones are selected.
    /// The servers are asked again; the allocations stay.
    ///
    /// # Errors
    /// [`ConnectError::Agent`] with the errors of [`Agent::restart`].
    pub fn restart(&mut self, cx: &mut Cx<'_>) -> Result<(), ConnectError> {
        self.agent.with(cx, |agent, cx| agent.restart(cx))?;
        self.gather_again(cx);
        self.settle(cx);
        Ok(())
    }

    /// Sends data to the peer on the path of a component.
    ///
    /// # Errors
    /// * [`ConnectError::Component`] when the session has no such component.
    /// * [`ConnectError::NoPath`] when the component has no path: no pair is valid yet, or the session failed.
    pub fn send(&mut self, cx: &mut Cx<'_>, component: ComponentId, data: Bytes) -> Result<(), ConnectError> {
        if self.agent.get().config().components().all(|known| known != component) {
            return Err(ConnectError::Component(component));
        }
        let path = self.path(component).ok_or(ConnectError::NoPath(component))?;
        let transmit = Transmit::new(path.socket, path.remote, data).with_local(path.base.ip());
        self.transmit(cx, transmit);
        self.settle(cx);
        Ok(())
    }

    /// Sets a new credential of a TURN server. New allocations replace the current ones without a gap (RFC 8656 §7).
    ///
    /// # Errors
    /// * [`ConnectError::Server`] when the configuration has no such server.
    /// * [`ConnectError::Turn`] with the errors of [`portolan_turn::Client::set_credential`].
    pub fn set_credential(
        &mut self,
        cx: &mut Cx<'_>,
        server: usize,
        credential: &Credential,
        expires: Option<Duration>,
    ) -> Result<(), ConnectError> {
        let mut of_server = self.relays.iter_mut().filter(|slot| slot.server == server).peekable();
        if of_server.peek().is_none() {
            return Err(ConnectError::Server(server));
        }
        let mut result = Ok(());
        for slot in of_server {
            *slot.config = (*slot.config).clone().with_credential(credential.clone());
            let set = slot.relay.with(cx, |relay, cx| relay.set_credential(cx, credential.clone(), expires));
            if let Err(crate::RelayError::Client(why)) = set {
                result = Err(ConnectError::Turn(why));
            }
        }
        self.settle(cx);
        result
    }

    /// Closes the agent and its sockets, and releases the allocations. [`ConnectEvent::Closed`] is the last event.
    ///
    /// # Errors
    /// [`ConnectError::Agent`] when the connection was not started, or is closed.
    pub fn close(&mut self, cx: &mut Cx<'_>) -> Result<(), ConnectError> {
        self.agent.with(cx, |agent, cx| agent.close(cx))?;
        let _closed = self.gatherer.with(cx, |gatherer, _| gatherer.close());
        for slot in &mut self.relays {
            slot.has_ended |= slot.relay.with(cx, |relay, cx| relay.close(cx)).is_err();
        }
        self.close_streams(cx);
        self.progress.is_closing = true;
        self.settle(cx);
        Ok(())
    }

    /// The path for data of a component ([`Agent::path`]).
    #[must_use]
    pub fn path(&self, component: ComponentId) -> Option<Path> {
        self.agent.get().path(component)
    }

    /// The agent.
    #[must_use]
    pub const fn agent(&self) -> &Agent {
        self.agent.get()
    }

    /// The gatherer.
    #[must_use]
    pub const fn gatherer(&self) -> &Gatherer {
        self.gatherer.get()
    }

    /// Whether a path is a stream of TCP (RFC 6544).
    #[must_use]
    pub fn is_tcp(&self, path: &Path) -> bool {
        self.tcp.as_ref().is_some_and(|tcp| tcp.has_socket(path.socket))
    }

    /// The relays, with the number of their server and their component.
    pub fn relays(&self) -> impl Iterator<Item = (usize, ComponentId, &Relay)> {
        self.relays.iter().map(|slot| (slot.server, slot.component, slot.relay.get()))
    }

    fn peer(&mut self, cx: &mut Cx<'_>, command: AgentCommand) -> Result<(), ConnectError> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "no other command is about the peer")]
        match command {
            AgentCommand::SetRemote { stream, description } => self.set_remote(cx, stream, *description),
            AgentCommand::AddRemote { stream, candidate } => self.add_remote(cx, stream, &candidate),
            AgentCommand::EndRemote { stream } => self.end_remote(cx, stream),
            AgentCommand::Resolve { name, address } => self.resolve(cx, &name, address),
            _ => Err(ConnectError::NotAboutPeer),
        }
    }

    /// Requests a permission for a peer at the relays (RFC 8445 §7.2.1).
    fn permit(&mut self, cx: &mut Cx<'_>, peer: SocketAddr) {
        for slot in self.relays.iter_mut().filter(|slot| !slot.has_ended) {
            if let Err(crate::RelayError::Client(why)) = slot.relay.with(cx, |relay, cx| relay.add_peer(cx, peer.ip()))
            {
                cx.note(|| ConnectNote::NoPermission { peer, why });
            }
        }
    }

    fn gather_again(&mut self, cx: &mut Cx<'_>) {
        // A gatherer without interfaces has nothing to do.
        let _restarted = self.gatherer.with(cx, |gatherer, cx| gatherer.restart(cx));
    }

    /// Sends a transmit of the agent or of the owner: on a virtual socket through its relay.
    fn transmit(&mut self, cx: &mut Cx<'_>, transmit: Transmit) {
        for slot in &mut self.relays {
            if slot.relay.get().sockets().any(|(socket, _)| socket == transmit.socket) {
                let _mine = slot.relay.with(cx, |relay, cx| relay.send(cx, &transmit));
                return;
            }
        }
        if self.send_on_stream(cx, &transmit) {
            return;
        }
        // A queued check of the agent can outlive its virtual socket, which the driver does not know.
        if self.gatherer.get().candidates().any(|candidate| candidate.socket == transmit.socket) {
            self.out.push(Output::Transmit(transmit));
        }
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        if self.out.room() < RESERVE {
            let from = datagram.remote;
            cx.note(|| ConnectNote::QueueFull { from });
            return if self.knows(datagram.socket) { Verdict::Mine } else { Verdict::NotMine };
        }
        let inner = self.relays.iter().find_map(|slot| slot.relay.get().receive(&datagram));
        if let Some(inner) = inner {
            let _mine = self.deliver(cx, inner);
            return Verdict::Mine;
        }
        let is_taken =
            self.relays.iter_mut().any(|slot| slot.relay.handle(cx, Input::Datagram(datagram)) == Verdict::Mine)
                || self.gatherer.handle(cx, Input::Datagram(datagram)) == Verdict::Mine;
        if is_taken { Verdict::Mine } else { self.deliver(cx, datagram) }
    }

    /// Hands a datagram to the agent. Other datagrams of the peer are data.
    fn deliver(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        if self.agent.handle(cx, Input::Datagram(datagram)) == Verdict::Mine {
            return Verdict::Mine;
        }
        let Some(component) = self.agent.get().component_of(datagram.socket, datagram.remote) else {
            return Verdict::NotMine;
        };
        let payload = Bytes::copy_from_slice(datagram.payload);
        if !self.out.offer(Output::Event(ConnectEvent::Data { component, payload })) {
            cx.note(|| ConnectNote::QueueFull { from: datagram.remote });
        }
        Verdict::Mine
    }

    /// Whether a socket belongs to a child.
    fn knows(&self, socket: SocketId) -> bool {
        self.relays.iter().any(|slot| slot.relay.get().client().has_socket(socket))
            || self.gatherer.get().candidates().any(|candidate| candidate.socket == socket)
    }

    fn socket(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        let input = || Input::Socket(socket, event);
        let mut relays = self.relays.iter_mut();
        let taken = relays.find_map(|slot| (slot.relay.handle(cx, input()) == Verdict::Mine).then_some(slot));
        let mut is_mine = taken.is_some();
        if let Some(slot) = taken {
            slot.carriers.retain(|(known, _)| *known != socket);
            if let SocketEvent::Opened { local } = event {
                slot.carriers.push((socket, local.ip().to_canonical()));
            }
        }
        if !is_mine {
            is_mine |= self.stream_socket(cx, socket, event) == Verdict::Mine;
            is_mine |= self.gatherer.handle(cx, input()) == Verdict::Mine;
            // The agent shares the sockets of the gatherer.
            is_mine |= self.agent.handle(cx, input()) == Verdict::Mine;
        }
        if is_mine { Verdict::Mine } else { Verdict::NotMine }
    }

    fn wake(&mut self, cx: &mut Cx<'_>) {
        for slot in &mut self.relays {
            slot.relay.wake(cx);
        }
        self.wake_streams(cx);
        self.gatherer.wake(cx);
        self.share_pacer();
        self.agent.wake(cx);
    }

    /// Gathering and checks share Ta (RFC 8445 §14.1).
    fn share_pacer(&mut self) {
        let (agent, gatherer) = (self.agent.get().pacer(), self.gatherer.get().pacer());
        if agent.next() > gatherer.next() {
            self.gatherer.get_mut().merge_pacer(agent);
        } else if gatherer.next() > agent.next() {
            self.agent.get_mut().merge_pacer(gatherer);
        }
    }

    /// Whether the agent has selected all pairs.
    fn is_completed(&self) -> bool {
        self.agent.get().state() == AgentState::Completed
    }
}

impl Machine for Connection {
    type Command = ConnectCommand;
    type Error = ConnectError;
    type Event = ConnectEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: ConnectCommand) -> Result<(), ConnectError> {
        match command {
            ConnectCommand::Start { controlling } => self.start(cx, controlling),
            ConnectCommand::SetInterfaces(interfaces) => self.set_interfaces(cx, interfaces),
            ConnectCommand::Peer(command) => self.peer(cx, *command),
            ConnectCommand::Restart => self.restart(cx),
            ConnectCommand::Send { component, data } => self.send(cx, component, data),
            ConnectCommand::SetCredential { server, credential, expires } => {
                self.set_credential(cx, server, &credential, expires)
            }
            ConnectCommand::Close => self.close(cx),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if self.progress.has_ended {
            return Verdict::NotMine;
        }
        let verdict = match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, event) => self.socket(cx, socket, event),
            Input::Timeout => {
                self.wake(cx);
                Verdict::Mine
            }
        };
        self.settle(cx);
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        if self.has_stream(chunk.socket) {
            return Some(self.read_stream(cx, chunk));
        }
        let slot = self.relays.iter_mut().find(|slot| slot.relay.get().client().has_socket(chunk.socket))?;
        // Bytes go to a child only while the queue of the parent is empty.
        let taken = if self.out.is_empty() { slot.relay.stream(cx, chunk) } else { Some(0) };
        self.settle(cx);
        taken
    }

    fn poll(&mut self) -> Output<ConnectEvent> {
        if let Some(output) = self.out.pop() {
            return output;
        }
        if self.progress.has_ended {
            return Output::Wait(None);
        }
        let relays = self.relays.iter_mut().map(|slot| slot.relay.wait()).fold(None, Deadline::earliest);
        let others = Deadline::earliest(self.gatherer.wait(), self.agent.wait());
        let streams = self.tcp.as_ref().and_then(Tcp::deadline);
        Output::Wait(Deadline::earliest(streams, Deadline::earliest(relays, others)))
    }
}

/// The address of a candidate without a name.
fn address_of(candidate: &CandidateAttribute) -> Option<SocketAddr> {
    let ip = match &candidate.address {
        ConnectionAddress::Ip4(ip) => IpAddr::V4(*ip),
        ConnectionAddress::Ip6(ip) => IpAddr::V6(*ip),
        ConnectionAddress::Name(_) | ConnectionAddress::Zoned(_) => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), candidate.port))
}

/// The most outputs that one datagram causes. A datagram is dropped when fewer fit into the queue.
const RESERVE: usize = 128;
