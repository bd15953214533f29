//! A TURN client that presents its relayed addresses as virtual sockets (RFC 8656, RFC 8445 §5.1.1.2).
//!
//! The owner is a parent machine. It passes the inputs of the driver to the relay, and the events of the relay to a
//! second child that uses the virtual sockets, such as an ICE agent. It passes the transmits of that child on a virtual
//! socket to [`Relay::send`]. So the second child has no code for TURN.
//!
//! Rules of this file: the client owns the allocations, the permissions and all timers. The parts hold the virtual
//! sockets (`sockets`) and the datagrams that wait for a permission (`held`). After each call the relay drains the
//! client, and then closes the virtual sockets whose allocation does not exist any more.
//!
//! ```
//! use portolan_connect::{Relay, RelayEvent};
//! use portolan_machine::{Cx, Entropy, Input, Instant, Machine, Output, SocketEvent, SocketIds, SocketOrder};
//! use portolan_stun::{Message, Method};
//! use portolan_stun_agent::Credential;
//! use portolan_turn::ClientConfig;
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let mut relay = Relay::new();
//! relay.start(&mut cx, ClientConfig::new("192.0.2.1:3478".parse()?, Credential::long_term("ann", "secret")))?;
//!
//! // The driver opens the socket to the server.
//! let Output::Socket(SocketOrder::Open(open)) = relay.poll() else { panic!("expected the socket first") };
//! let opened = SocketEvent::Opened { local: "10.0.0.7:40000".parse()? };
//! relay.handle(&mut cx, Input::Socket(open.id, opened));
//! let Output::Transmit(sent) = relay.poll() else { panic!("expected the request") };
//! assert_eq!(Message::decode(&sent.payload)?.method(), Method::ALLOCATE);
//!
//! // After the response, `RelayEvent::Opened` has the first virtual socket. An owner can close before.
//! relay.close(&mut cx)?;
//! assert_eq!(relay.sockets().count(), 0);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod command;
mod held;
mod sockets;

pub use command::RelayCommand;

use crate::error::RelayError;
use crate::event::{RelayClosure, RelayEvent};
use crate::note::{RelayDropped, RelayNote};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use held::{Held, HeldDatagram};
use portolan_machine::{
    Cx, Datagram, Input, Machine, Outbox, Output, Slot, SocketId, Transmit, Unreachability, Verdict,
};
use portolan_stun::attribute::Icmp;
use portolan_stun_agent::Credential;
use portolan_turn::{Client, ClientAllocation, ClientConfig, ClientError, ClientEvent, PermissionState, Step};
use sockets::{Sockets, VirtualSocket};

/// A TURN client whose relayed addresses are virtual sockets.
///
/// # Virtual sockets
///
/// Each allocation has one virtual socket for each relayed address. A virtual socket sends from the relayed address, and
/// only to peers of its address family. `Transmit::local` and `Transmit::hop_limit` have no effect, because TURN cannot
/// carry them.
///
/// When an allocation is lost, its virtual sockets are closed, and the client makes a new allocation. After
/// [`set_credential`](Self::set_credential) the new virtual socket is opened before the old one is closed: both work
/// until the end of the overlap ([`ClientConfig::overlap`]).
///
/// # Permissions
///
/// The first datagram to a peer requests its permission. Up to [`HELD_OF_PEER`](Self::HELD_OF_PEER) datagrams of a peer
/// wait for the permission, and are sent in their order when it is granted. A denied permission is an
/// [`Unreachable`](RelayEvent::Unreachable) of this peer alone. The relay does not request it again from the same
/// allocation, unless the owner removes the peer ([`remove_peer`](Self::remove_peer)).
///
/// # Time limits
///
/// The first [`Opened`](RelayEvent::Opened) or [`Refused`](RelayEvent::Refused) comes within the configured timeout of
/// each server. The last event comes within [`ClientConfig::silence_limit`] after the last packet.
///
/// # Bounds
///
/// Six virtual sockets, [`HELD`](Self::HELD) waiting datagrams, and the bounds of [`Client`]. The relay takes bytes of a
/// stream only while the queue has space for the outputs of one more message.
#[derive(Clone, Debug)]
pub struct Relay {
    client: Slot<Client>,
    sockets: Sockets,
    held: Held,
    out: Outbox<RelayEvent>,
}

impl Default for Relay {
    fn default() -> Self {
        Self::new()
    }
}

impl Relay {
    /// The largest number of datagrams that wait for the permission of one peer.
    pub const HELD_OF_PEER: usize = held::OF_PEER;
    /// The largest number of datagrams that wait for permissions.
    pub const HELD: usize = held::LIMIT;

    /// A relay that is not started yet; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            client: Slot::new("turn", 0, Client::new()),
            sockets: Sockets::default(),
            held: Held::default(),
            out: Outbox::new(),
        }
    }

    /// Makes the first allocation.
    ///
    /// # Errors
    /// [`RelayError::Client`] with the errors of [`Client::start`].
    pub fn start(&mut self, cx: &mut Cx<'_>, config: ClientConfig) -> Result<(), RelayError> {
        self.client.with(cx, |client, cx| client.start(cx, config))?;
        self.settle(cx, None);
        Ok(())
    }

    /// Requests a permission for a peer, for example when its candidate arrives. So its first datagram needs not wait.
    /// If the permission was denied before, the event [`Unreachable`](RelayEvent::Unreachable) is reported again.
    ///
    /// # Errors
    /// [`RelayError::Client`] with the errors of [`Client::add_permission`].
    pub fn add_peer(&mut self, cx: &mut Cx<'_>, peer: IpAddr) -> Result<(), RelayError> {
        if self.report_denied(peer) {
            return Ok(());
        }
        self.client.with(cx, |client, cx| client.add_permission(cx, peer))?;
        self.settle(cx, None);
        Ok(())
    }

    /// Forgets the permission and the channels of a peer, and drops its waiting datagrams.
    ///
    /// # Errors
    /// [`RelayError::Client`] with the errors of [`Client::remove_permission`].
    pub fn remove_peer(&mut self, cx: &mut Cx<'_>, peer: IpAddr) -> Result<(), RelayError> {
        self.client.with(cx, |client, cx| client.remove_permission(cx, peer))?;
        self.drop_held(cx, RelayDropped::Removed, |held| held.peer.ip() == peer);
        self.settle(cx, None);
        Ok(())
    }

    /// Requests a channel for a peer, for example after its nomination. A channel has four bytes of overhead for each
    /// datagram, an indication 36 bytes and more. Without a channel the data is sent by indications.
    ///
    /// # Errors
    /// [`RelayError::Client`] with the errors of [`Client::add_channel`].
    pub fn add_channel(&mut self, cx: &mut Cx<'_>, peer: SocketAddr) -> Result<(), RelayError> {
        if self.report_denied(peer.ip()) {
            return Ok(());
        }
        self.client.with(cx, |client, cx| client.add_channel(cx, peer))?;
        self.settle(cx, None);
        Ok(())
    }

    /// Sends a datagram from a virtual socket, or holds it until the peer has a permission. Returns
    /// [`Verdict::NotMine`] if the socket is not an open virtual socket of this relay.
    pub fn send(&mut self, cx: &mut Cx<'_>, transmit: &Transmit) -> Verdict {
        let Some(socket) = self.sockets.get(transmit.socket) else { return Verdict::NotMine };
        self.send_from(cx, socket, transmit.remote, &transmit.payload);
        self.settle(cx, None);
        Verdict::Mine
    }

    /// Returns the datagram of a peer that a datagram of the server carries: with the virtual socket, the relayed
    /// address as `local`, and the address of the peer as `remote`. `None` for all other datagrams.
    ///
    /// This function is pure and copies nothing. An owner calls it first, and hands other datagrams to
    /// [`handle`](Machine::handle). Data of a peer without a permission is not returned (RFC 8656 §11.4).
    #[must_use]
    pub fn receive<'a>(&self, datagram: &Datagram<'a>) -> Option<Datagram<'a>> {
        let (peer, data) = self.client.get().open(datagram)?;
        let socket = self.sockets.on(datagram.socket, peer)?;
        Some(Datagram::new(socket.id, socket.local, peer, data))
    }

    /// Makes a new allocation with a new credential. Its virtual socket is opened when the known peers are permitted.
    ///
    /// # Errors
    /// [`RelayError::Client`] with the errors of [`Client::set_credential`].
    pub fn set_credential(
        &mut self,
        cx: &mut Cx<'_>,
        credential: Credential,
        expires: Option<Duration>,
    ) -> Result<(), RelayError> {
        self.client.with(cx, |client, cx| client.set_credential(cx, credential, expires))?;
        self.settle(cx, None);
        Ok(())
    }

    /// Refreshes the allocation now, for example when its peers do not respond any more. If the server has lost the
    /// allocation, its virtual sockets are closed, and the client makes a new one.
    ///
    /// # Errors
    /// [`RelayError::Client`] with the errors of [`Client::refresh_allocation`].
    pub fn refresh(&mut self, cx: &mut Cx<'_>) -> Result<(), RelayError> {
        self.client.with(cx, |client, cx| client.refresh_allocation(cx))?;
        self.settle(cx, None);
        Ok(())
    }

    /// Closes the virtual sockets at once, and releases the allocations. [`Ended`](RelayEvent::Ended) comes within the
    /// close timeout of the client.
    ///
    /// # Errors
    /// [`RelayError::Client`] when the relay was not started, is closing, or has ended.
    pub fn close(&mut self, cx: &mut Cx<'_>) -> Result<(), RelayError> {
        self.client.with(cx, Client::close)?;
        self.close_sockets(cx, RelayClosure::ByOwner, |_| true);
        self.settle(cx, None);
        Ok(())
    }

    /// The open virtual sockets with their relayed addresses.
    pub fn sockets(&self) -> impl Iterator<Item = (SocketId, SocketAddr)> {
        self.sockets.iter().map(|socket| (socket.id, socket.local))
    }

    /// The TURN client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        self.client.get()
    }

    /// The allocation of a virtual socket.
    fn allocation(&self, socket: VirtualSocket) -> Option<ClientAllocation<'_>> {
        self.client.get().allocations().find(|allocation| allocation.socket() == socket.carrier)
    }

    fn permission(&self, socket: VirtualSocket, peer: IpAddr) -> PermissionState {
        self.allocation(socket).map_or(PermissionState::Absent, |allocation| allocation.permission(peer))
    }

    /// The virtual sockets of the current allocation with the address family of this peer. There is one at most.
    fn current(&self, peer: IpAddr) -> Option<VirtualSocket> {
        self.sockets.iter().find(|socket| !socket.is_replaced && socket.local.is_ipv4() == peer.is_ipv4())
    }

    fn send_from(&mut self, cx: &mut Cx<'_>, socket: VirtualSocket, peer: SocketAddr, payload: &Bytes) {
        if socket.local.is_ipv4() != peer.is_ipv4() {
            return self.cannot_send(cx, socket, peer, (RelayDropped::Family, Unreachability::Network));
        }
        if peer.port() == 0 {
            let why = RelayDropped::NotSent(ClientError::Peer(peer.ip()));
            return self.cannot_send(cx, socket, peer, (why, Unreachability::Unspecified));
        }
        match self.client.get().seal_on(cx, socket.carrier, peer, payload) {
            Ok(sealed) => self.out.push(Output::Transmit(sealed.to_transmit())),
            Err(ClientError::NoPermission(_)) => self.hold(cx, socket, peer, payload),
            Err(why @ ClientError::TooLong { .. }) => {
                self.cannot_send(cx, socket, peer, (RelayDropped::NotSent(why), Unreachability::TooLarge));
            }
            Err(why) => cx.note(|| RelayNote::Dropped { peer, why: RelayDropped::NotSent(why) }),
        }
    }

    /// Holds a datagram until the peer has a permission, and requests the permission.
    fn hold(&mut self, cx: &mut Cx<'_>, socket: VirtualSocket, peer: SocketAddr, payload: &Bytes) {
        let permission = self.permission(socket, peer.ip());
        if socket.is_replaced && permission != PermissionState::Denied {
            // The requests of a replaced allocation are cancelled.
            return cx.note(|| RelayNote::Dropped { peer, why: RelayDropped::Replaced });
        }
        match permission {
            PermissionState::Denied => {
                return self.cannot_send(cx, socket, peer, (RelayDropped::Denied, Unreachability::Prohibited));
            }
            PermissionState::Pending | PermissionState::Granted => {}
            PermissionState::Absent => {
                if let Err(why) = self.client.with(cx, |client, cx| client.add_permission(cx, peer.ip())) {
                    let why = (RelayDropped::NotSent(why), Unreachability::Unspecified);
                    return self.cannot_send(cx, socket, peer, why);
                }
            }
        }
        cx.note(|| RelayNote::Held { peer });
        let held = HeldDatagram { socket: socket.id, peer, payload: payload.clone() };
        if let Some((HeldDatagram { peer, .. }, why)) = self.held.push(held) {
            cx.note(|| RelayNote::Dropped { peer, why });
        }
    }

    /// Reports that a datagram of the owner cannot be sent.
    fn cannot_send(
        &mut self,
        cx: &mut Cx<'_>,
        socket: VirtualSocket,
        peer: SocketAddr,
        (dropped, why): (RelayDropped, Unreachability),
    ) {
        cx.note(|| RelayNote::Dropped { peer, why: dropped });
        let (socket, ip, port) = (socket.id, peer.ip(), Some(peer.port()));
        self.out.push(Output::Event(RelayEvent::Unreachable { socket, peer: ip, port, why, steps: Vec::new() }));
    }

    /// Reports again that a permission was denied. Returns whether it was.
    fn report_denied(&mut self, peer: IpAddr) -> bool {
        let socket = self.current(peer).filter(|socket| self.permission(*socket, peer) == PermissionState::Denied);
        if let Some(socket) = socket {
            self.push_denied(socket.id, peer, Vec::new());
        }
        socket.is_some()
    }

    fn push_denied(&mut self, socket: SocketId, peer: IpAddr, steps: Vec<Step>) {
        let (port, why) = (None, Unreachability::Prohibited);
        self.out.push(Output::Event(RelayEvent::Unreachable { socket, peer, port, why, steps }));
    }

    /// Handles the outputs of the client. `carrier` is the socket of the input, if there was one.
    fn settle(&mut self, cx: &mut Cx<'_>, carrier: Option<SocketId>) {
        while let Some(output) = self.client.take() {
            match output {
                Output::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                Output::Socket(order) => self.out.push(Output::Socket(order)),
                Output::Event(event) => self.client_event(cx, carrier, event),
                Output::Wait(_) => {}
            }
        }
        if self.sockets.iter().all(|socket| !socket.is_replaced) {
            return;
        }
        // The client reports no event at the end of an overlap.
        let relayed =
            self.client.get().allocations().flat_map(|of| of.relayed().iter().map(move |at| (of.socket(), *at)));
        let relayed: Vec<_> = relayed.collect();
        self.close_sockets(cx, RelayClosure::Replaced, |socket| {
            socket.is_replaced && !relayed.contains(&(socket.carrier, socket.local))
        });
    }

    fn client_event(&mut self, cx: &mut Cx<'_>, carrier: Option<SocketId>, event: ClientEvent) {
        match event {
            ClientEvent::Data { peer, payload } => self.data(cx, carrier, peer, payload),
            ClientEvent::PeerUnreachable { peer, icmp } => self.icmp(cx, carrier, peer, icmp),
            ClientEvent::PermissionAdded { peer } => self.send_held(cx, peer),
            ClientEvent::ChannelAdded { peer, .. } => self.send_held(cx, peer.ip()),
            ClientEvent::PermissionFailed { peer, steps } => self.denied(cx, peer, steps),
            ClientEvent::ChannelFailed { peer, .. } => self.channel_failed(cx, peer.ip()),
            ClientEvent::Allocated { relayed, missing, .. } => {
                self.open_sockets(cx, &relayed);
                if let Some((family, code)) = missing {
                    self.out.push(Output::Event(RelayEvent::FamilyRefused { family, code }));
                }
            }
            ClientEvent::Replaced { new, .. } => {
                for VirtualSocket { id: socket, .. } in self.sockets.replace_all() {
                    cx.note(|| RelayNote::Replaced { socket });
                    self.drop_held(cx, RelayDropped::Replaced, |held| held.socket == socket);
                }
                self.open_sockets(cx, &new);
            }
            ClientEvent::Lost { relayed, why } => self.close_sockets(cx, RelayClosure::Lost(why), |socket| {
                !socket.is_replaced && relayed.contains(&socket.local)
            }),
            ClientEvent::CredentialExpires { at } => {
                self.out.push(Output::Event(RelayEvent::CredentialExpires { at }));
            }
            ClientEvent::ReplacementFailed { steps } => {
                self.out.push(Output::Event(RelayEvent::ReplacementFailed { steps }));
            }
            ClientEvent::Failed { why, steps, blocked } => {
                self.close_sockets(cx, RelayClosure::Replaced, |_| true);
                self.out.push(Output::Event(RelayEvent::Refused { why, steps, blocked }));
            }
            ClientEvent::Closed => self.out.push(Output::Event(RelayEvent::Ended)),
            // The client makes notes of these, and the owner has nothing to do.
            ClientEvent::MappedChanged { .. }
            | ClientEvent::Refreshed { .. }
            | ClientEvent::RefreshFailed { .. }
            | _ => {}
        }
    }

    /// Opens a virtual socket for each relayed address of the current allocation.
    fn open_sockets(&mut self, cx: &mut Cx<'_>, relayed: &[SocketAddr]) {
        // A later event of the client reports an allocation that is already lost.
        let is_it = |allocation: &ClientAllocation<'_>| allocation.is_current() && allocation.relayed() == relayed;
        let Some(allocation) = self.client.get().allocations().find(is_it) else { return };
        let (carrier, server, mapped) = (allocation.socket(), allocation.server(), allocation.mapped());
        let denied: Vec<IpAddr> = allocation.denied().collect();
        for local in relayed.iter().copied() {
            let socket = cx.next_socket();
            self.sockets.open(socket, carrier, local);
            cx.note(|| RelayNote::Opened { socket, local, server });
            self.out.push(Output::Event(RelayEvent::Opened { socket, local, mapped, server }));
        }
        // The permissions that were denied before the allocation was used.
        for peer in denied {
            self.denied(cx, peer, Vec::new());
        }
    }

    /// Closes the virtual sockets for which `is_it` returns true, and drops their waiting datagrams.
    fn close_sockets(&mut self, cx: &mut Cx<'_>, why: RelayClosure, is_it: impl Fn(&VirtualSocket) -> bool) {
        for VirtualSocket { id: socket, .. } in self.sockets.take(is_it) {
            cx.note(|| RelayNote::Closed { socket, why });
            self.drop_held(cx, RelayDropped::Closed, |held| held.socket == socket);
            self.out.push(Output::Event(RelayEvent::Closed { socket, why }));
        }
    }

    fn drop_held(&mut self, cx: &mut Cx<'_>, why: RelayDropped, is_it: impl Fn(&HeldDatagram) -> bool) {
        for HeldDatagram { peer, .. } in self.held.take(is_it) {
            cx.note(|| RelayNote::Dropped { peer, why });
        }
    }

    /// Sends the waiting datagrams of a peer that has a permission now.
    fn send_held(&mut self, cx: &mut Cx<'_>, peer: IpAddr) {
        for HeldDatagram { socket, peer, payload } in self.held.take(|held| held.peer.ip() == peer) {
            if let Some(socket) = self.sockets.get(socket) {
                // The permission may be that of the next allocation. The datagram then waits on.
                self.send_from(cx, socket, peer, &payload);
            }
        }
    }

    /// Reports that the permission of a peer is denied. A denial by the next allocation is reported when that is used.
    fn denied(&mut self, cx: &mut Cx<'_>, peer: IpAddr, steps: Vec<Step>) {
        let Some(socket) = self.current(peer) else { return };
        if self.permission(socket, peer) == PermissionState::Denied {
            let socket = socket.id;
            cx.note(|| RelayNote::Denied { socket, peer });
            self.drop_held(cx, RelayDropped::Denied, |held| held.is_for(socket, peer));
            self.push_denied(socket, peer, steps);
        }
    }

    /// Requests a permission for a peer without a channel, if datagrams wait for it.
    fn channel_failed(&mut self, cx: &mut Cx<'_>, peer: IpAddr) {
        let is_absent = |socket| self.permission(socket, peer) == PermissionState::Absent;
        if self.held.has(peer) && self.current(peer).is_some_and(is_absent) {
            let requested = self.client.with(cx, |client, cx| client.add_permission(cx, peer));
            if let Err(why) = requested {
                self.drop_held(cx, RelayDropped::NotSent(why), |held| held.peer.ip() == peer);
            }
        }
    }

    /// Passes on data of a peer that the owner has not taken by [`receive`](Self::receive).
    fn data(&mut self, cx: &mut Cx<'_>, carrier: Option<SocketId>, peer: SocketAddr, payload: Bytes) {
        let Some(socket) = carrier.and_then(|carrier| self.sockets.on(carrier, peer)) else {
            return cx.note(|| RelayNote::Dropped { peer, why: RelayDropped::NoSocket });
        };
        let event = RelayEvent::Data { socket: socket.id, local: socket.local, peer, payload };
        if !self.out.offer(Output::Event(event)) {
            cx.note(|| RelayNote::Dropped { peer, why: RelayDropped::QueueFull });
        }
    }

    fn icmp(&mut self, cx: &mut Cx<'_>, carrier: Option<SocketId>, peer: SocketAddr, icmp: Icmp) {
        let Some(socket) = carrier.and_then(|carrier| self.sockets.on(carrier, peer)) else { return };
        let (ip, port, why) = (peer.ip(), Some(peer.port()), unreachability(peer.is_ipv4(), icmp));
        let event = RelayEvent::Unreachable { socket: socket.id, peer: ip, port, why, steps: Vec::new() };
        if !self.out.offer(Output::Event(event)) {
            cx.note(|| RelayNote::Dropped { peer, why: RelayDropped::QueueFull });
        }
    }
}

/// The reason of an ICMP error (RFC 792, RFC 1812 §5.2.7.1, RFC 4443 §3).
const fn unreachability(is_v4: bool, icmp: Icmp) -> Unreachability {
    match (is_v4, icmp.kind, icmp.code) {
        (true, 3, 0 | 6 | 11) | (false, 1, 0) => Unreachability::Network,
        (true, 3, 1 | 7 | 12) | (false, 1, 3) => Unreachability::Host,
        (true, 3, 2 | 3) | (false, 1, 4) => Unreachability::Port,
        (true, 3, 4) | (false, 2, _) => Unreachability::TooLarge,
        (true, 3, 9 | 10 | 13) | (false, 1, 1) => Unreachability::Prohibited,
        (true, 11, _) | (false, 3, _) => Unreachability::HopLimit,
        _ => Unreachability::Unspecified,
    }
}

impl Machine for Relay {
    type Command = RelayCommand;
    type Error = RelayError;
    type Event = RelayEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: RelayCommand) -> Result<(), RelayError> {
        match command {
            RelayCommand::Start(config) => self.start(cx, config),
            RelayCommand::AddPeer { peer } => self.add_peer(cx, peer),
            RelayCommand::RemovePeer { peer } => self.remove_peer(cx, peer),
            RelayCommand::AddChannel { peer } => self.add_channel(cx, peer),
            RelayCommand::Send { socket, peer, data } => match self.send(cx, &Transmit::new(socket, peer, data)) {
                Verdict::Mine => Ok(()),
                Verdict::NotMine => Err(RelayError::Socket(socket)),
            },
            RelayCommand::SetCredential { credential, expires } => self.set_credential(cx, credential, expires),
            RelayCommand::Close => self.close(cx),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let (verdict, carrier) = match input {
            Input::Timeout => (if self.client.wake(cx) { Verdict::Mine } else { Verdict::NotMine }, None),
            Input::Datagram(Datagram { socket, .. }) => (self.client.handle(cx, input), Some(socket)),
            Input::Socket(..) => (self.client.handle(cx, input), None),
        };
        self.settle(cx, carrier);
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        /// The space for the outputs of one frame: those of the client, and the waiting datagrams.
        const SPACE: usize = 64 + Relay::HELD;
        if !self.client.get().has_socket(chunk.socket) {
            return None;
        }
        // Due timers run before the first byte, so that the outputs do not depend on the chunks.
        let _is_due = self.client.wake(cx);
        self.settle(cx, None);
        let mut rest = chunk.payload;
        while !rest.is_empty() && self.out.room() >= SPACE {
            let taken = self.client.with(cx, |client, cx| client.stream_frame(cx, chunk.with_payload(rest)));
            self.settle(cx, Some(chunk.socket));
            // The bytes of a stream that was closed by the bytes before are dropped.
            let Some(taken) = taken else { return Some(chunk.payload.len()) };
            if taken == 0 {
                break;
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        Some(chunk.payload.len() - rest.len())
    }

    fn poll(&mut self) -> Output<RelayEvent> {
        self.out.pop().unwrap_or_else(|| Output::Wait(self.client.wait()))
    }
}
