//! The client: makes an allocation, keeps it, and relays data to peers (RFC 8656).
//!
//! Rules of this file: [`Transactions`] retransmits and authenticates requests, and handles 401, 438 and 300. The parts
//! decide, and this machine applies: `attempt` reacts to failed Allocate requests, `peers` holds permissions and
//! channels, `allocation` is one 5-tuple. The client owns all timers. Every failure is reported with its steps. No
//! state waits for ever: each attempt has a deadline, and keepalives detect a silent server.
//!
//! ```
//! use portolan_machine::{Cx, Entropy, Input, Instant, Machine, Output, SocketEvent, SocketIds, SocketOrder};
//! use portolan_stun::{Message, Method};
//! use portolan_stun_agent::Credential;
//! use portolan_turn::{Client, ClientConfig, ClientState};
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let mut client = Client::new();
//! client.start(&mut cx, ClientConfig::new("192.0.2.1:3478".parse()?, Credential::long_term("ann", "secret")))?;
//!
//! // The driver opens the socket, and the client sends the Allocate request.
//! let Output::Socket(SocketOrder::Open(open)) = client.poll() else { panic!("expected the socket first") };
//! let opened = SocketEvent::Opened { local: "10.0.0.7:40000".parse()? };
//! client.handle(&mut cx, Input::Socket(open.id, opened));
//! let Output::Transmit(sent) = client.poll() else { panic!("expected the request") };
//! assert_eq!(Message::decode(&sent.payload)?.method(), Method::ALLOCATE);
//! assert_eq!(client.state(), ClientState::Allocating);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod allocation;
mod attempt;
mod command;
mod config;
mod establish;
mod maintain;
mod peers;
mod relay;
mod release;
mod requests;
mod view;

pub use command::ClientCommand;
pub use config::ClientConfig;
pub use view::{ClientAllocation, PermissionState};

use crate::event::{ClientEvent, ClientFailure, Step};
use crate::note::{ClientDropped, ClientNote};
use crate::{ClientError, LossReason};
use alloc::boxed::Box;
use alloc::vec::Vec;
use allocation::{Allocation, Role};
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use peers::PeerKey;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Outbox, Output, Slot, SocketEvent, SocketId, SocketOrder, TimerId,
    Timers, Verdict,
};
use portolan_stun_agent::{Credential, Transactions};
use requests::Tag;

/// A TURN client.
///
/// # Idle traffic
///
/// The bound holds without loss, without commands, and with the default configuration. A client sends 4 Binding requests
/// a minute, one request for each peer every 4 minutes, and one Refresh request for each lifetime. That is below 5
/// packets a minute without peers, and 0.25 packets a minute more for each peer. Stale nonces are not counted.
///
/// # Time limits
///
/// When no packet arrives any more, the last event comes within [`ClientConfig::silence_limit`]: 118.5 s for one server.
/// [`close`](Self::close) ends within the close timeout, 2 s.
///
/// # Data path
///
/// [`seal`](Self::seal) and [`open`](Self::open) work on the owner's buffers and copy nothing. `forward` always returns
/// `None`, because a client passes data to its owner and not to another socket.
///
/// # Bounds
///
/// At most [`PEERS`](Self::PEERS) permissions and channels, three allocations at once, and [`STEPS`](Self::STEPS) steps
/// in one event.
#[derive(Clone, Debug)]
pub struct Client {
    stage: Stage,
    config: Option<Box<ClientConfig>>,
    plan: Plan,
    allocations: Vec<Allocation>,
    transactions: Slot<Transactions<Tag>>,
    timers: Timers<Timer>,
    out: Outbox<ClientEvent>,
}

/// The state of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientState {
    /// Not started.
    Idle,
    /// There is no allocation at the moment, and the client makes one.
    Allocating,
    /// There is an allocation.
    Allocated,
    /// The allocations are released.
    Closing,
    /// The client has ended.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Running,
    Closing,
    Ended,
}

/// The state of a client that does not belong to one allocation.
#[derive(Clone, Debug, Default)]
struct Plan {
    /// The number of the next allocation.
    numbers: u32,
    /// The servers without Allocate requests until a time (RFC 8656 §7.4).
    blocked: Vec<(SocketAddr, Instant)>,
    /// The failed steps since the last allocation.
    steps: Vec<Step>,
    /// The number of allocations in a row that were lost early.
    early_losses: u32,
    /// The relayed addresses of the last allocation, if it was lost.
    previous: Option<Vec<SocketAddr>>,
    former: Option<Former>,
    credential_timer: Option<TimerId>,
    /// Whether the owner waits for the result of a Refresh request.
    reports_refresh: bool,
}

/// An allocation that may still exist at the server, for another mapped address of the current socket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Former {
    mapped: SocketAddr,
    relayed: Vec<SocketAddr>,
    expires: Instant,
}

/// The keys of the timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// The end of the phase of an allocation.
    End(u32),
    Refresh(u32),
    Keepalive(u32),
    Peer(u32, PeerKey),
    /// The credential expires soon, at this time.
    Credential(Instant),
    /// The end of the close timeout.
    Close,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// The largest number of permissions and channels. A removed channel counts for 940 s after its removal.
    pub const PEERS: usize = peers::Peers::LIMIT;
    /// The largest number of steps in one event.
    pub const STEPS: usize = 32;
    /// The largest number of requests that are pending at once.
    const REQUESTS: usize = 64;

    /// A client that is not started yet; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            stage: Stage::Idle,
            config: None,
            plan: Plan {
                numbers: 0,
                blocked: Vec::new(),
                steps: Vec::new(),
                early_losses: 0,
                previous: None,
                former: None,
                credential_timer: None,
                reports_refresh: false,
            },
            allocations: Vec::new(),
            transactions: Slot::new("transactions", 0, Transactions::with_limit(Self::REQUESTS)),
            timers: Timers::new(),
            out: Outbox::new(),
        }
    }

    /// Orders the socket of the first allocation.
    ///
    /// # Errors
    /// * [`ClientError::NotIdle`] when the client was started before.
    /// * [`ClientError::Servers`] when there are more than [`ClientConfig::SERVERS`] servers.
    /// * [`ClientError::Destination`] when a server has an unspecified address or port 0.
    /// * [`ClientError::Protocol`] when the protocol is a listener's.
    /// * [`ClientError::LocalFamily`] when the local address is of another family than a server.
    /// * [`ClientError::Mechanism`] when the credential is a short-term credential.
    /// * [`ClientError::Options`] when the options of the allocation exclude each other.
    pub fn start(&mut self, cx: &mut Cx<'_>, config: ClientConfig) -> Result<(), ClientError> {
        if self.stage != Stage::Idle {
            return Err(ClientError::NotIdle);
        }
        config.check()?;
        self.stage = Stage::Running;
        self.set_expiry(cx.now(), config.expires);
        self.config = Some(config.into());
        self.begin_round(cx, 0, peers::Peers::default());
        self.settle(cx);
        Ok(())
    }

    /// Requests a permission for the address of a peer. The result is an event. Without an allocation the request
    /// follows later. For a permission that exists already this command does nothing.
    ///
    /// # Errors
    /// * [`ClientError::NotRunning`] when the client was not started, is closing, or has ended.
    /// * [`ClientError::Peer`] when the address is not that of a single host.
    /// * [`ClientError::Full`] when [`PEERS`](Self::PEERS) permissions and channels exist.
    pub fn add_permission(&mut self, cx: &mut Cx<'_>, peer: IpAddr) -> Result<(), ClientError> {
        check_peer(peer)?;
        self.add_peer(cx, PeerKey::Permission(peer))
    }

    /// Requests a channel for a peer, which includes the permission. The result is an event.
    ///
    /// # Errors
    /// The same as for [`add_permission`](Self::add_permission); a peer with port 0 is [`ClientError::Peer`] too.
    pub fn add_channel(&mut self, cx: &mut Cx<'_>, peer: SocketAddr) -> Result<(), ClientError> {
        check_peer(peer.ip())?;
        if peer.port() == 0 {
            return Err(ClientError::Peer(peer.ip()));
        }
        self.add_peer(cx, PeerKey::channel(peer))
    }

    /// Forgets the permission and the channels of a peer. Data of the peer is dropped from now on.
    ///
    /// TURN has no request for this: the server drops them when their lifetime ends.
    ///
    /// # Errors
    /// * [`ClientError::NotRunning`] when the client was not started, is closing, or has ended.
    /// * [`ClientError::UnknownPeer`] when the peer was not added.
    pub fn remove_permission(&mut self, cx: &mut Cx<'_>, peer: IpAddr) -> Result<(), ClientError> {
        self.check_running()?;
        let mut is_known = false;
        for allocation in self.allocations.iter_mut().filter(|allocation| allocation.role != Role::Old) {
            for key in allocation.peers.of_peer(peer) {
                is_known = true;
                if let Some(timer) = allocation.peers.remove(key) {
                    self.timers.cancel(timer);
                }
                if matches!(key, PeerKey::Channel(_)) {
                    let due =
                        insert(&mut self.timers, cx.now() + peers::QUARANTINE, Timer::Peer(allocation.number, key));
                    due.and_then(|timer| allocation.peers.set_timer(key, timer));
                }
            }
        }
        self.settle(cx);
        if is_known { Ok(()) } else { Err(ClientError::UnknownPeer(peer)) }
    }

    /// Sends data to a peer: by its channel, or by a Send indication if it has only a permission.
    ///
    /// # Errors
    /// The same as for [`seal`](Self::seal).
    pub fn send(&mut self, cx: &mut Cx<'_>, peer: SocketAddr, data: &Bytes) -> Result<(), ClientError> {
        let transmit = self.seal(cx, peer, data)?.to_transmit();
        self.out.push(Output::Transmit(transmit));
        Ok(())
    }

    /// Makes a new allocation with a new credential. It replaces the current allocation when its peers are permitted.
    /// `expires` is the time after which the credential is no longer valid.
    ///
    /// # Errors
    /// * [`ClientError::NotRunning`] when the client was not started, is closing, or has ended.
    /// * [`ClientError::Mechanism`] when it is a short-term credential.
    pub fn set_credential(
        &mut self,
        cx: &mut Cx<'_>,
        credential: Credential,
        expires: Option<Duration>,
    ) -> Result<(), ClientError> {
        self.check_running()?;
        config::check_credential(&credential)?;
        self.set_expiry(cx.now(), expires);
        if let Some(config) = &mut self.config {
            config.credential = credential;
        }
        let peers = self.drop_next(cx);
        self.plan.steps.clear();
        self.begin_round(cx, 0, peers);
        self.settle(cx);
        Ok(())
    }

    /// Refreshes the current allocation now. The result is [`Refreshed`](ClientEvent::Refreshed) or
    /// [`RefreshFailed`](ClientEvent::RefreshFailed), or the event of a loss. No owner needs this command to keep an
    /// allocation; it shows that the server still refreshes it.
    ///
    /// # Errors
    /// * [`ClientError::NotRunning`] when the client was not started, is closing, or has ended.
    /// * [`ClientError::NotAllocated`] when there is no allocation at the moment.
    pub fn refresh_allocation(&mut self, cx: &mut Cx<'_>) -> Result<(), ClientError> {
        self.check_running()?;
        let number = self.current().ok_or(ClientError::NotAllocated)?.number;
        self.plan.reports_refresh = true;
        self.refresh(cx, number);
        self.settle(cx);
        Ok(())
    }

    /// Releases all allocations and ends the client: a Refresh request with lifetime 0 is the last transmit on each
    /// socket before it is closed. The last event comes within the close timeout.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when the client was not started, is closing, or has ended.
    pub fn close(&mut self, cx: &mut Cx<'_>) -> Result<(), ClientError> {
        self.check_running()?;
        self.begin_close(cx);
        self.settle(cx);
        Ok(())
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> ClientState {
        match self.stage {
            Stage::Idle => ClientState::Idle,
            Stage::Running if self.current().is_some() => ClientState::Allocated,
            Stage::Running => ClientState::Allocating,
            Stage::Closing => ClientState::Closing,
            Stage::Ended => ClientState::Ended,
        }
    }

    /// The relayed addresses of the current allocation.
    #[must_use]
    pub fn relayed(&self) -> &[SocketAddr] {
        self.current().map_or(&[], |current| &current.grant.relayed)
    }

    /// The client's address as the server of the current allocation sees it.
    #[must_use]
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.current().map(|current| current.grant.mapped)
    }

    /// The server of the current allocation.
    #[must_use]
    pub fn server(&self) -> Option<SocketAddr> {
        self.current().map(|current| current.server)
    }

    /// The socket of the current allocation.
    #[must_use]
    pub fn socket(&self) -> Option<SocketId> {
        self.current()?.socket
    }

    /// Whether the server has confirmed a permission or a channel for this address.
    #[must_use]
    pub fn is_permitted(&self, peer: IpAddr) -> bool {
        self.current().is_some_and(|current| current.peers.is_permitted(peer))
    }

    /// The channel of a peer, if the server has confirmed it.
    #[must_use]
    pub fn channel(&self, peer: SocketAddr) -> Option<u16> {
        self.current()?.peers.number_of(peer)
    }

    fn current(&self) -> Option<&Allocation> {
        self.allocations.iter().find(|allocation| allocation.role == Role::Current)
    }

    fn next(&self) -> Option<&Allocation> {
        self.allocations.iter().find(|allocation| allocation.role == Role::Next)
    }

    fn allocation(&self, number: u32) -> Option<&Allocation> {
        self.allocations.iter().find(|allocation| allocation.number == number)
    }

    fn allocation_mut(&mut self, number: u32) -> Option<&mut Allocation> {
        self.allocations.iter_mut().find(|allocation| allocation.number == number)
    }

    fn on_socket(&self, socket: SocketId) -> Option<&Allocation> {
        self.allocations.iter().find(|allocation| allocation.socket == Some(socket))
    }

    fn is_stream(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.protocol.is_stream())
    }

    fn check_running(&self) -> Result<(), ClientError> {
        if self.stage == Stage::Running { Ok(()) } else { Err(ClientError::NotRunning) }
    }

    fn add_peer(&mut self, cx: &mut Cx<'_>, key: PeerKey) -> Result<(), ClientError> {
        self.check_running()?;
        // A peer that is refused for one allocation is refused for the other too, because their limits are equal and
        // the next allocation has no more peers than the current one.
        for role in [Role::Current, Role::Next] {
            if let Some(allocation) = self.allocations.iter_mut().find(|allocation| allocation.role == role) {
                allocation.peers.add(key)?;
            }
        }
        self.settle(cx);
        Ok(())
    }

    /// Sets the timer for the expiry of the credential: one minute before, or after half of a short time.
    fn set_expiry(&mut self, now: Instant, expires: Option<Duration>) {
        const NOTICE: Duration = Duration::from_secs(60);
        if let Some(timer) = self.plan.credential_timer.take() {
            self.timers.cancel(timer);
        }
        if let Some(expires) = expires {
            let due = now + expires.saturating_sub(NOTICE).max(expires / 2);
            self.plan.credential_timer = insert(&mut self.timers, due, Timer::Credential(now + expires));
        }
    }

    fn socket_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) {
        let Some(&Allocation { number, server, .. }) = self.on_socket(socket) else { return };
        match event {
            SocketEvent::Opened { .. } => self.opened(cx, number),
            SocketEvent::Refused(why) => self.socket_refused(cx, number, why),
            SocketEvent::Closed(why) => self.socket_closed(cx, number, LossReason::Closed(why)),
            // ICMP is not authenticated, so the schedule of a request decides. The step of the request reports it.
            SocketEvent::Unreachable { remote, why } => {
                if let Some(allocation) = self.allocation_mut(number).filter(|_| remote == server) {
                    allocation.icmp = Some(why);
                }
            }
            // A slow stream drops data only.
            SocketEvent::Accepted { .. } | SocketEvent::Full | SocketEvent::Writable => {}
        }
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        let Some(allocation) = self.on_socket(datagram.socket) else { return Verdict::NotMine };
        let (number, is_server) = (allocation.number, allocation.server == datagram.remote);
        if self.transactions.handle(cx, Input::Datagram(datagram)) == Verdict::NotMine {
            if is_server {
                self.message(cx, number, datagram);
            } else {
                cx.note(|| ClientNote::Dropped { from: datagram.remote, why: ClientDropped::NotServer });
            }
        }
        Verdict::Mine
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) -> Verdict {
        let due: Vec<_> = core::iter::from_fn(|| self.timers.pop_due(cx.now())).collect();
        for timer in &due {
            self.timer_due(cx, *timer);
        }
        let is_woken = self.transactions.wake(cx);
        if is_woken || !due.is_empty() { Verdict::Mine } else { Verdict::NotMine }
    }

    fn timer_due(&mut self, cx: &mut Cx<'_>, timer: Timer) {
        // An earlier timer of the same time may have ended the client.
        if !matches!(self.stage, Stage::Running | Stage::Closing) {
            return;
        }
        match timer {
            Timer::End(number) => self.phase_ended(cx, number),
            Timer::Refresh(number) => self.refresh(cx, number),
            Timer::Keepalive(number) => self.send_keepalive(cx, number),
            Timer::Peer(number, key) => {
                if let Some(allocation) = self.allocation_mut(number) {
                    allocation.peers.timer_due(key);
                }
            }
            Timer::Credential(at) => {
                self.plan.credential_timer = None;
                self.out.push(Output::Event(ClientEvent::CredentialExpires { at }));
            }
            Timer::Close => self.end_close(cx),
        }
    }

    /// Handles the outputs of the transactions, and sends the requests of peers that wait, until nothing is left.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        loop {
            while let Some(output) = self.transactions.take() {
                match output {
                    // A cancelled request of a closed socket may have been due before.
                    Output::Transmit(transmit) if self.on_socket(transmit.socket).is_none() => {}
                    Output::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                    Output::Event(event) => self.transaction_event(cx, event),
                    Output::Socket(_) | Output::Wait(_) => {}
                }
            }
            if !self.send_peer_requests(cx) {
                break;
            }
        }
        self.replace_when_settled(cx);
    }

    /// Ends the client with its last event, and drops all state.
    fn finish(&mut self, event: ClientEvent) {
        for socket in self.allocations.iter().filter_map(|allocation| allocation.socket) {
            self.out.push(Output::Socket(SocketOrder::Close(socket)));
        }
        self.out.push(Output::Event(event));
        let out = core::mem::take(&mut self.out);
        *self = Self { stage: Stage::Ended, out, ..Self::new() };
    }

    fn fail(&mut self, why: ClientFailure) {
        let (steps, blocked) = (core::mem::take(&mut self.plan.steps), core::mem::take(&mut self.plan.blocked));
        self.finish(ClientEvent::Failed { why, steps, blocked });
    }
}

/// Inserts a timer; `None` if the time is the end of all times, so that no deadline is due again and again.
fn insert(timers: &mut Timers<Timer>, at: Instant, timer: Timer) -> Option<TimerId> {
    (at.since_origin() < Duration::MAX).then(|| timers.insert(at, timer))
}

fn check_peer(peer: IpAddr) -> Result<(), ClientError> {
    let is_broadcast = matches!(peer, IpAddr::V4(ip) if ip.is_broadcast());
    if peer.is_unspecified() || peer.is_multicast() || is_broadcast { Err(ClientError::Peer(peer)) } else { Ok(()) }
}

impl Timer {
    const fn why(self) -> &'static str {
        match self {
            Self::End(_) => "end of a phase of the allocation",
            Self::Refresh(_) => "allocation refresh",
            Self::Keepalive(_) => "keepalive",
            Self::Peer(_, PeerKey::Permission(_)) => "permission refresh",
            Self::Peer(_, PeerKey::Channel(_)) => "channel refresh",
            Self::Credential(_) => "credential expiry",
            Self::Close => "close timeout",
        }
    }
}

impl Machine for Client {
    type Command = ClientCommand;
    type Error = ClientError;
    type Event = ClientEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: ClientCommand) -> Result<(), ClientError> {
        match command {
            ClientCommand::Start(config) => self.start(cx, config),
            ClientCommand::AddPermission { peer } => self.add_permission(cx, peer),
            ClientCommand::RemovePermission { peer } => self.remove_permission(cx, peer),
            ClientCommand::AddChannel { peer } => self.add_channel(cx, peer),
            ClientCommand::Send { peer, data } => self.send(cx, peer, &data),
            ClientCommand::SetCredential { credential, expires } => self.set_credential(cx, credential, expires),
            ClientCommand::Refresh => self.refresh_allocation(cx),
            ClientCommand::Close => self.close(cx),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let verdict = match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, event) if self.on_socket(socket).is_some() => {
                self.socket_event(cx, socket, event);
                Verdict::Mine
            }
            Input::Socket(..) => Verdict::NotMine,
            Input::Timeout => self.timeout(cx),
        };
        self.settle(cx);
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        self.stream_frames(cx, chunk, usize::MAX)
    }

    fn poll(&mut self) -> Output<ClientEvent> {
        if let Some(output) = self.out.pop() {
            return output;
        }
        let own = self.timers.next().zip(self.timers.next_key()).map(|(at, timer)| Deadline::new(at, timer.why()));
        Output::Wait(Deadline::earliest(own, self.transactions.wait()))
    }
}
