//! The session: one machine for the whole way from the name of a room to an open path.
//!
//! The session opens the sockets, registers at the [rendezvous](crate::rendezvous), waits for the peer, and gives the same
//! sockets to a [puncher](crate::puncher). So the peer learns the mapping from which the probes leave.
//!
//! * One socket has the address family of the rendezvous. If a host address has the other family, the session opens a second
//!   socket, so that IPv6 can be tried first.
//! * A card with sequential ports needs a fresh public endpoint: the NAT has assigned many ports while the session waited. So
//!   the session moves to a new socket when the peer comes.
//! * The hosts tell each other their budgets, and whether they allow to guess ports. Both use the smaller number of each limit,
//!   and guess only if both allow it. So both have the same plan.
//! * If the rendezvous introduces another peer before a path is open, the session punches to the new peer.
//! * When a path is open, the session leaves the room. Until [`SessionCommand::Release`] the puncher keeps the path alive.
//! * Every state ends: the client of the rendezvous and the puncher have deadlines with reasons.
//!
//! ```
//! use portolan_machine::{Cx, Instant, Machine, Output, SocketIds, SocketOrder};
//! use portolan_punch::rendezvous::room_password;
//! use portolan_punch::session::{Session, SessionCommand, SessionConfig};
//! # struct Zero;
//! # impl portolan_machine::Entropy for Zero { fn fill(&mut self, out: &mut [u8]) { out.fill(0) } }
//!
//! let password = room_password(b"a secret of the operator", "attic");
//! let config = SessionConfig::new("192.0.2.1:3478".parse()?, "attic", &password);
//! let mut session = Session::new(config.card("nat1,4=nat,m=eim,f=apdf".parse()?));
//! let (mut rng, mut ids) = (Zero, SocketIds::new());
//! session.command(&mut Cx::new(Instant::ORIGIN, &mut rng, &mut ids), SessionCommand::Start)?;
//! assert!(matches!(session.poll(), Output::Socket(SocketOrder::Open(_))));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod config;
mod event;
mod fresh;
pub(crate) mod note;
mod terms;

pub use config::SessionConfig;
pub use event::{SessionCommand, SessionEnd, SessionError, SessionEvent};
pub use note::SessionNote;

use crate::card::Card;
use crate::puncher::{Path, Peer, PunchCommand, PunchConfig, PunchEvent, Puncher, SessionKey, Sockets, Usage};
use crate::rendezvous::{Client, ClientCommand, ClientEvent, Introduction};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Machine, Open, Outbox, Output, Protocol, Refusal, Slot, SocketEvent, SocketId,
    SocketOrder, Verdict,
};
use terms::Terms;

/// A machine that connects two hosts of a room. See the [module](self).
#[derive(Clone, Debug)]
pub struct Session {
    config: Box<SessionConfig>,
    state: State,
    sockets: Vec<Socket>,
    client: Option<Box<Slot<Client>>>,
    puncher: Option<Box<Slot<Puncher>>>,
    /// The key of the last introduction, and whether this host was the first of the room.
    introduction: Option<(SessionKey, bool)>,
    /// What the punchers of earlier introductions, and one that has ended, have used.
    used: Usage,
    out: Outbox<SessionEvent>,
}

/// A socket that the session ordered.
#[derive(Clone, Copy, Debug)]
struct Socket {
    id: SocketId,
    is_ipv4: bool,
    state: SocketState,
}

#[derive(Clone, Copy, Debug)]
enum SocketState {
    Ordered,
    Open { local: SocketAddr },
    Refused(Refusal),
}

#[derive(Clone, Debug)]
enum State {
    Idle,
    /// The sockets are being opened.
    Opening,
    /// The client waits for the peer, or the puncher works.
    Running,
    /// The client leaves the room. Then the session ends.
    Leaving(SessionEnd),
    Ended,
}

/// The room in the queue that a datagram requires.
const RESERVE: usize = 32;

impl Session {
    /// A session that waits for [`SessionCommand::Start`].
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        let (sockets, out) = (Vec::new(), Outbox::new());
        let config = Box::new(config);
        Self {
            config,
            state: State::Idle,
            sockets,
            client: None,
            puncher: None,
            introduction: None,
            used: Usage::default(),
            out,
        }
    }

    /// The path in use.
    #[must_use]
    pub fn path(&self) -> Option<Path> {
        self.puncher.as_ref()?.get().path()
    }

    /// The key of the last introduction, which both peers have.
    #[must_use]
    pub fn key(&self) -> Option<&SessionKey> {
        self.introduction.as_ref().map(|(key, _)| key)
    }

    /// Whether this host was the first of the room. Exactly one of the two hosts is the first. It chooses the path, so it
    /// should send first after the release: its data tells the other host the choice.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.introduction.as_ref().is_some_and(|(_, is_first)| *is_first)
    }

    /// The puncher of the last introduction.
    #[must_use]
    pub fn puncher(&self) -> Option<&Puncher> {
        self.puncher.as_ref().map(|slot| slot.get())
    }

    /// What all punchers of this session have used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let now = self.puncher().map(Puncher::usage).unwrap_or_default();
        Usage {
            packets: self.used.packets.saturating_add(now.packets),
            mappings: self.used.mappings.saturating_add(now.mappings),
            sessions: self.used.sessions.saturating_add(now.sessions),
        }
    }

    /// The local address of an open socket of the session.
    #[must_use]
    pub fn local(&self, socket: SocketId) -> Option<SocketAddr> {
        match self.sockets.iter().find(|own| own.id == socket).map(|own| own.state) {
            Some(SocketState::Open { local }) => Some(local),
            Some(SocketState::Ordered | SocketState::Refused(_)) => None,
            None => self.puncher()?.local(socket),
        }
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.state = State::Opening;
        let is_ipv4 = self.config.rendezvous.is_ipv4();
        self.open(cx, is_ipv4, Some(self.config.rendezvous));
        if self.config.hosts.iter().any(|host| host.is_ipv4() != is_ipv4) {
            self.open(cx, !is_ipv4, None);
        }
    }

    fn open(&mut self, cx: &mut Cx<'_>, is_ipv4: bool, towards: Option<SocketAddr>) {
        let id = cx.next_socket();
        let any = if is_ipv4 { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
        let order = Open::new(id, Protocol::Udp, SocketAddr::new(any, 0));
        let order = match towards {
            Some(remote) => order.towards(remote),
            None => order,
        };
        self.sockets.push(Socket { id, is_ipv4, state: SocketState::Ordered });
        self.out.push(Output::Socket(SocketOrder::Open(order)));
    }

    /// Registers when all sockets are open or refused.
    fn register(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.state, State::Opening) {
            return;
        }
        let Some(main) = self.sockets.first().copied() else { return };
        if let SocketState::Refused(why) = main.state {
            return self.end(SessionEnd::NoSocket(why));
        }
        if self.sockets.iter().any(|socket| matches!(socket.state, SocketState::Ordered)) {
            return;
        }
        match Client::new(self.config.client(main.id, self.candidates())) {
            Ok(client) => {
                self.state = State::Running;
                let mut slot = Slot::new("rendezvous", 0, client);
                // A new client accepts the command.
                let _started = slot.command(cx, ClientCommand::Start);
                self.client = Some(Box::new(slot));
            }
            Err(why) => self.end(SessionEnd::Config(why)),
        }
    }

    /// The addresses of the host, with the ports of the open sockets.
    fn candidates(&self) -> Vec<SocketAddr> {
        let port = |host: &IpAddr| {
            self.sockets.iter().find_map(|socket| match socket.state {
                SocketState::Open { local } if socket.is_ipv4 == host.is_ipv4() => Some(local.port()),
                SocketState::Open { .. } | SocketState::Ordered | SocketState::Refused(_) => None,
            })
        };
        self.config.hosts.iter().filter_map(|host| Some(SocketAddr::new(*host, port(host)?))).collect()
    }

    /// Drains the children.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        loop {
            if let Some(output) = self.client.as_mut().and_then(|slot| slot.take()) {
                match output {
                    Output::Event(event) => self.introduced(cx, event),
                    Output::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                    Output::Socket(order) => self.out.push(Output::Socket(order)),
                    Output::Wait(_) => {}
                }
            } else if let Some(output) = self.puncher.as_mut().and_then(|slot| slot.take()) {
                match output {
                    Output::Event(event) => self.punched(cx, event),
                    Output::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                    Output::Socket(order) => self.out.push(Output::Socket(order)),
                    Output::Wait(_) => {}
                }
            } else {
                return;
            }
        }
    }

    fn introduced(&mut self, cx: &mut Cx<'_>, event: ClientEvent) {
        match event {
            ClientEvent::Registered { reflexive } => {
                self.out.push(Output::Event(SessionEvent::Registered { reflexive }));
            }
            ClientEvent::Woken => self.open_fresh(cx),
            ClientEvent::Introduced(introduction) if self.path().is_none() => self.punch(cx, introduction),
            ClientEvent::Introduced(_) => {}
            ClientEvent::Ended(why) => {
                self.client = None;
                match core::mem::replace(&mut self.state, State::Running) {
                    State::Leaving(end) => self.end(end),
                    // The path, or the attempt to open one, does not need the rendezvous any more.
                    state if self.puncher.is_some() => self.state = state,
                    State::Idle | State::Opening | State::Running | State::Ended => {
                        self.end(SessionEnd::Rendezvous(why));
                    }
                }
            }
        }
    }

    /// Starts a puncher for an introduction. It replaces the puncher of an earlier one.
    fn punch(&mut self, cx: &mut Cx<'_>, introduction: Introduction) {
        self.drop_puncher(cx);
        self.close_fresh();
        let Introduction { card, candidates, reflexive, peer_reflexive, session, start, first } = introduction;
        // A card is text of the peer. An unreadable one is no card.
        let (card, terms) = card.and_then(|text| Terms::read(&text)).unwrap_or_default();
        let known = (card != Card::default()).then(|| Box::new(card.clone()));
        self.out.push(Output::Event(SessionEvent::Introduced { peer: peer_reflexive, card: known, start }));
        let peer = Peer::new(peer_reflexive).card(card).candidates(candidates);
        let of_family = |is_ipv4| {
            let is_it =
                |socket: &&Socket| socket.is_ipv4 == is_ipv4 && matches!(socket.state, SocketState::Open { .. });
            self.sockets.iter().find(is_it).map(|socket| socket.id)
        };
        let sockets = Sockets { ipv4: of_family(true), ipv6: of_family(false) };
        // The session of an introduction is a secret of both peers, and differs in each introduction.
        let key = SessionKey::new(&session, &session);
        self.introduction = Some((key.clone(), first));
        let config = PunchConfig::new(sockets, reflexive, peer, key, first).start(start);
        let config = self.config.puncher(config, terms);
        let mut slot = Slot::new("puncher", 0, Puncher::new(config));
        // A new puncher accepts the command.
        let _started = slot.command(cx, PunchCommand::Start);
        self.puncher = Some(Box::new(slot));
    }

    /// Removes the puncher, and remembers what it has used.
    fn take_puncher(&mut self) -> Option<Box<Slot<Puncher>>> {
        self.used = self.usage();
        self.puncher.take()
    }

    /// Closes the puncher, and hands its orders on. Its events are of no use any more.
    fn drop_puncher(&mut self, cx: &mut Cx<'_>) {
        let Some(mut slot) = self.take_puncher() else { return };
        // A puncher that has ended refuses the command, and has closed its sockets.
        let _closed = slot.command(cx, PunchCommand::Close);
        while let Some(output) = slot.take() {
            if let Output::Socket(order) = output {
                self.out.push(Output::Socket(order));
            }
        }
    }

    fn punched(&mut self, cx: &mut Cx<'_>, event: PunchEvent) {
        match event {
            PunchEvent::Failed { why, forecast } => {
                let _ended = self.take_puncher();
                self.leave(cx, SessionEnd::NotConnected { why, forecast });
            }
            PunchEvent::Released => {
                let _ended = self.take_puncher();
                self.end(SessionEnd::Released);
            }
            PunchEvent::Closed => {}
            PunchEvent::Connected { .. } => {
                self.out.push(Output::Event(SessionEvent::Punch(event)));
                if let Some(client) = &mut self.client {
                    // A client that leaves already refuses the command.
                    let _left = client.command(cx, ClientCommand::Leave);
                }
            }
            PunchEvent::Planned(_) | PunchEvent::Trying(_) | PunchEvent::Data { .. } | PunchEvent::Lost => {
                self.out.push(Output::Event(SessionEvent::Punch(event)))
            }
        }
    }

    /// Leaves the room, and then ends.
    fn leave(&mut self, cx: &mut Cx<'_>, end: SessionEnd) {
        let Some(client) = &mut self.client else { return self.end(end) };
        self.state = State::Leaving(end);
        // A client that leaves already refuses the command.
        let _left = client.command(cx, ClientCommand::Leave);
    }

    /// Ends: closes the sockets that are not released.
    fn end(&mut self, why: SessionEnd) {
        for socket in core::mem::take(&mut self.sockets) {
            if !matches!(socket.state, SocketState::Refused(_)) {
                self.out.push(Output::Socket(SocketOrder::Close(socket.id)));
            }
        }
        let (_ended, _left) = (self.take_puncher(), self.client.take());
        self.state = State::Ended;
        self.out.push(Output::Event(SessionEvent::Ended(why)));
    }

    fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        if self.out.room() < RESERVE {
            let from = datagram.remote;
            cx.note(|| SessionNote::QueueFull { from });
            let is_own = self.sockets.iter().any(|socket| socket.id == datagram.socket);
            return if is_own { Verdict::Mine } else { Verdict::NotMine };
        }
        self.pass(cx, &Input::Datagram(datagram))
    }

    /// Hands an input to the client, and then to the puncher.
    fn pass(&mut self, cx: &mut Cx<'_>, input: &Input<'_>) -> Verdict {
        let client = self.client.as_mut().map(|slot| slot.handle(cx, *input));
        if client == Some(Verdict::Mine) && matches!(input, Input::Datagram(_)) {
            return Verdict::Mine;
        }
        let puncher = self.puncher.as_mut().map(|slot| slot.handle(cx, *input));
        if [client, puncher].contains(&Some(Verdict::Mine)) { Verdict::Mine } else { Verdict::NotMine }
    }

    fn socket_event(&mut self, cx: &mut Cx<'_>, id: SocketId, event: SocketEvent) -> Verdict {
        let ordered = self.sockets.iter_mut().find(|socket| socket.id == id);
        let Some(socket) = ordered.filter(|socket| matches!(socket.state, SocketState::Ordered)) else {
            return self.pass(cx, &Input::Socket(id, event));
        };
        socket.state = match event {
            SocketEvent::Opened { local } => SocketState::Open { local },
            SocketEvent::Refused(why) => SocketState::Refused(why),
            SocketEvent::Accepted { .. }
            | SocketEvent::Unreachable { .. }
            | SocketEvent::Full
            | SocketEvent::Writable
            | SocketEvent::Closed(_) => return Verdict::NotMine,
        };
        if matches!(self.state, State::Running) {
            self.use_fresh(cx, id);
        } else {
            self.register(cx);
        }
        Verdict::Mine
    }
}

impl Machine for Session {
    type Command = SessionCommand;
    type Error = SessionError;
    type Event = SessionEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: SessionCommand) -> Result<(), SessionError> {
        match (command, &self.state) {
            (_, State::Ended) => return Err(SessionError::Ended),
            (SessionCommand::Start, State::Idle) => self.start(cx),
            (SessionCommand::Start, State::Opening | State::Running | State::Leaving(_)) => {
                return Err(SessionError::AlreadyStarted);
            }
            (SessionCommand::Release, _) => {
                let path = self.path().ok_or(SessionError::NotConnected)?;
                // The owner takes this socket, so the session does not close it.
                self.sockets.retain(|socket| socket.id != path.socket);
                if let Some(puncher) = &mut self.puncher {
                    // A puncher with a path accepts the command.
                    let _released = puncher.command(cx, PunchCommand::Release);
                }
            }
            (SessionCommand::Close, State::Running) => {
                self.drop_puncher(cx);
                self.leave(cx, SessionEnd::Closed);
            }
            (SessionCommand::Close, State::Leaving(_)) => {}
            (SessionCommand::Close, State::Idle | State::Opening) => self.end(SessionEnd::Closed),
        }
        self.settle(cx);
        Ok(())
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if matches!(self.state, State::Idle | State::Ended) {
            return Verdict::NotMine;
        }
        let verdict = match input {
            Input::Datagram(datagram) => self.datagram(cx, datagram),
            Input::Socket(socket, event) => self.socket_event(cx, socket, event),
            Input::Timeout => {
                let client = self.client.as_mut().is_some_and(|slot| slot.wake(cx));
                let puncher = self.puncher.as_mut().is_some_and(|slot| slot.wake(cx));
                if client || puncher { Verdict::Mine } else { Verdict::NotMine }
            }
        };
        self.settle(cx);
        verdict
    }

    fn poll(&mut self) -> Output<SessionEvent> {
        self.out.pop().unwrap_or_else(|| {
            let client = self.client.as_mut().and_then(|slot| slot.wait());
            let puncher = self.puncher.as_mut().and_then(|slot| slot.wait());
            let waits = client.into_iter().chain(puncher);
            Output::Wait(waits.min_by_key(|wait: &Deadline| wait.at))
        })
    }
}
