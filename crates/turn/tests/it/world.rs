//! A server without a network, and clients that are written by hand.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Entropy, Input, Instant, Machine, Output, Protocol, Refusal, SocketEvent, SocketId,
    SocketIds, SocketOrder, Transmit, Verdict,
};
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, Method, TransactionId, Writer};
use portolan_stun_agent::{Authenticator, Users};
use portolan_turn::{PeerPolicy, Server, ServerConfig, ServerEvent, ServerSocket};

pub(crate) const SERVER: &str = "192.0.2.1:3478";
pub(crate) const RELAY: &str = "198.51.100.1";
pub(crate) const RELAY6: &str = "2001:db8:1::1";
pub(crate) const PEER: &str = "203.0.113.9:5000";
pub(crate) const OTHER_PEER: &str = "203.0.113.10:6000";
pub(crate) const LISTENER: SocketId = SocketId(1);

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn seconds(seconds: u64) -> Instant {
    Instant::from_origin(Duration::from_secs(seconds))
}

/// An RNG with a seed: the steps of SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed >> 56) as u8;
        }
    }
}

pub(crate) fn authenticator() -> Authenticator {
    let mut users = Users::long_term("example.org");
    users.add("alice", "secret of alice").unwrap();
    users.add("bob", "secret of bob").unwrap();
    Authenticator::long_term("example.org", &[7; 32], users).unwrap().nonce_lifetime(Duration::from_secs(1_000_000_000))
}

/// The default configuration, with relay addresses of both families, and documentation addresses as peers.
pub(crate) fn config() -> ServerConfig {
    let policy = ["203.0.113.0/24", "198.51.100.0/24", "2001:db8:2::/48"]
        .iter()
        .fold(PeerPolicy::new(), |policy, prefix| policy.allow(prefix.parse().unwrap()));
    ServerConfig::new(authenticator())
        .relay(RELAY.parse().unwrap())
        .relay(RELAY6.parse().unwrap())
        .policy(policy)
        .software(None)
}

/// How the host answers the order of a relay socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Opens it at once.
    Opens,
    /// Does not answer yet.
    Waits,
    /// Refuses it.
    Refuses(Refusal),
}

/// A server with its driver.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) rng: Seeded,
    pub(crate) ids: SocketIds,
    pub(crate) now: Instant,
    pub(crate) host: Host,
    pub(crate) events: Vec<ServerEvent>,
    pub(crate) orders: Vec<SocketOrder>,
    pub(crate) sent: Vec<Transmit>,
    pub(crate) wait: Option<Deadline>,
    /// The relay sockets that are ordered or open, by id.
    pub(crate) relays: BTreeMap<SocketId, SocketAddr>,
}

impl World {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let socket = ServerSocket::new(LISTENER, Protocol::Udp, addr(SERVER));
        Self::with(Server::over(config, &[socket]).unwrap())
    }

    pub(crate) fn with(server: Server) -> Self {
        let mut ids = SocketIds::new();
        ids.next_socket();
        Self {
            server,
            rng: Seeded(1),
            ids,
            now: Instant::ORIGIN,
            host: Host::Opens,
            events: Vec::new(),
            orders: Vec::new(),
            sent: Vec::new(),
            wait: None,
            relays: BTreeMap::new(),
        }
    }

    /// Passes an input to the server and drains it. Returns what it sent.
    pub(crate) fn input(&mut self, input: Input<'_>) -> (Verdict, Vec<Transmit>) {
        let mut cx = Cx::new(self.now, &mut self.rng, &mut self.ids);
        let verdict = self.server.handle(&mut cx, input);
        let start = self.sent.len();
        self.drain();
        (verdict, self.sent[start..].to_vec())
    }

    pub(crate) fn drain(&mut self) {
        loop {
            match self.server.poll() {
                Output::Transmit(transmit) => self.sent.push(transmit),
                Output::Event(event) => self.events.push(event),
                Output::Socket(order) => self.order(order),
                Output::Wait(wait) => {
                    self.wait = wait;
                    return;
                }
            }
        }
    }

    fn order(&mut self, order: SocketOrder) {
        match &order {
            SocketOrder::Open(open) => {
                self.relays.insert(open.id, open.local);
                let event = match self.host {
                    Host::Opens => Some(SocketEvent::Opened { local: open.local }),
                    Host::Refuses(why) => {
                        self.relays.remove(&open.id);
                        Some(SocketEvent::Refused(why))
                    }
                    Host::Waits => None,
                };
                if let Some(event) = event {
                    let mut cx = Cx::new(self.now, &mut self.rng, &mut self.ids);
                    assert_eq!(self.server.handle(&mut cx, Input::Socket(open.id, event)), Verdict::Mine);
                }
            }
            SocketOrder::Close(id) => {
                self.relays.remove(id);
            }
            SocketOrder::Pause(_) | SocketOrder::Resume(_) => {}
        }
        self.orders.push(order);
    }

    /// Answers an order that waits.
    pub(crate) fn answer_order(&mut self, id: SocketId, event: SocketEvent) -> Vec<Transmit> {
        if matches!(event, SocketEvent::Refused(_)) {
            self.relays.remove(&id);
        }
        self.input(Input::Socket(id, event)).1
    }

    /// A datagram from a client to the server.
    pub(crate) fn client(&mut self, from: SocketAddr, payload: &[u8]) -> Vec<Transmit> {
        self.input(Input::Datagram(Datagram::new(LISTENER, addr(SERVER), from, payload))).1
    }

    /// A datagram from a peer to a relayed address.
    pub(crate) fn peer(&mut self, from: SocketAddr, relayed: SocketAddr, payload: &[u8]) -> Vec<Transmit> {
        let socket = self.relays.iter().find(|(_, local)| **local == relayed).map(|(id, _)| *id);
        let Some(socket) = socket else { return Vec::new() };
        self.input(Input::Datagram(Datagram::new(socket, relayed, from, payload))).1
    }

    /// Moves the time to `at`, with a timeout at each deadline on the way.
    pub(crate) fn advance(&mut self, at: Instant) {
        while let Some(wait) = self.wait.filter(|wait| wait.at <= at) {
            self.now = wait.at.max(self.now);
            let _due = self.input(Input::Timeout);
            assert!(self.wait.is_none_or(|wait| wait.at > self.now), "{:?} at {}", self.wait, self.now);
        }
        self.now = at;
    }

    /// The socket of a relayed address.
    pub(crate) fn relay_socket(&self, relayed: SocketAddr) -> SocketId {
        *self.relays.iter().find(|(_, local)| **local == relayed).unwrap().0
    }
}

/// A client that is written by hand.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) nonce: String,
    pub(crate) next_id: u32,
    pub(crate) relayed: SocketAddr,
}

impl Client {
    /// A client with the nonce of its first 401.
    pub(crate) fn new(world: &mut World, address: &str, user: &str) -> Self {
        let mut client = Self {
            address: addr(address),
            user: user.into(),
            password: format!("secret of {user}"),
            nonce: String::new(),
            next_id: 0,
            relayed: addr("0.0.0.0:0"),
        };
        let id = client.id();
        let bytes = unsigned(Method::ALLOCATE, id, &[Attribute::RequestedTransport(17)]);
        let reply = Reply::only(world.client(client.address, &bytes));
        assert_eq!(reply.code(), Some(401));
        client.nonce = reply.message().nonce().unwrap().to_string();
        client
    }

    pub(crate) fn id(&mut self) -> TransactionId {
        self.next_id += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.next_id.to_be_bytes());
        id[4..6].copy_from_slice(&self.address.port().to_be_bytes());
        id.into()
    }

    pub(crate) fn key(&self) -> IntegrityKey {
        IntegrityKey::long_term_md5(&self.user, "example.org", &self.password)
    }

    /// A signed request.
    pub(crate) fn signed(&self, method: Method, id: TransactionId, attributes: &[Attribute<'_>]) -> Vec<u8> {
        self.signed_and(method, id, attributes, &[])
    }

    /// A signed request with attributes after the integrity.
    pub(crate) fn signed_and(
        &self,
        method: Method,
        id: TransactionId,
        attributes: &[Attribute<'_>],
        after: &[u8],
    ) -> Vec<u8> {
        let mut buffer = vec![0; 65_000];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, id).unwrap();
        attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
        writer.add(&Attribute::Username(self.user.as_str().into())).unwrap();
        writer.add(&Attribute::Realm("example.org".into())).unwrap();
        writer.add(&Attribute::Nonce(self.nonce.as_str().into())).unwrap();
        let mut bytes = writer.message_integrity(&self.key()).unwrap().finish().to_vec();
        bytes.extend_from_slice(after);
        let length = u16::try_from(bytes.len() - 20).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// Sends a signed request, and returns the only reply.
    pub(crate) fn ask(&mut self, world: &mut World, method: Method, attributes: &[Attribute<'_>]) -> Reply {
        let id = self.id();
        let bytes = self.signed(method, id, attributes);
        Reply::only(world.client(self.address, &bytes))
    }

    /// Allocates a UDP relay and returns the success response.
    pub(crate) fn allocate(&mut self, world: &mut World, attributes: &[Attribute<'_>]) -> Reply {
        let attributes = [&[Attribute::RequestedTransport(17)], attributes].concat();
        let reply = self.ask(world, Method::ALLOCATE, &attributes);
        if let Some(relayed) = reply.message().xor_relayed_address() {
            self.relayed = relayed;
        }
        reply
    }

    /// A client with an allocation.
    pub(crate) fn allocated(world: &mut World, address: &str, user: &str) -> Self {
        let mut client = Self::new(world, address, user);
        assert_eq!(client.allocate(world, &[]).code(), None);
        client
    }

    pub(crate) fn refresh(&mut self, world: &mut World, lifetime: u32) -> Reply {
        self.ask(world, Method::REFRESH, &[Attribute::Lifetime(lifetime)])
    }

    pub(crate) fn permit(&mut self, world: &mut World, peer: &str) -> Reply {
        self.ask(world, Method::CREATE_PERMISSION, &[Attribute::XorPeerAddress(addr(peer))])
    }

    pub(crate) fn bind(&mut self, world: &mut World, number: u16, peer: &str) -> Reply {
        let attributes = [Attribute::ChannelNumber(number), Attribute::XorPeerAddress(addr(peer))];
        self.ask(world, Method::CHANNEL_BIND, &attributes)
    }

    /// Sends data by a Send indication. Returns what the server sent.
    pub(crate) fn send(&mut self, world: &mut World, peer: &str, data: &[u8]) -> Vec<Transmit> {
        let id = self.id();
        let bytes = indication(id, &[Attribute::XorPeerAddress(addr(peer)), Attribute::Data(data)]);
        world.client(self.address, &bytes)
    }

    /// Sends data on a channel. Returns what the server sent.
    pub(crate) fn channel(&mut self, world: &mut World, number: u16, data: &[u8]) -> Vec<Transmit> {
        world.client(self.address, &channel_data(number, data))
    }
}

/// A request without credentials.
pub(crate) fn unsigned(method: Method, id: TransactionId, attributes: &[Attribute<'_>]) -> Vec<u8> {
    message(Class::Request, method, id, attributes)
}

/// A Send indication.
pub(crate) fn indication(id: TransactionId, attributes: &[Attribute<'_>]) -> Vec<u8> {
    message(Class::Indication, Method::SEND, id, attributes)
}

pub(crate) fn message(class: Class, method: Method, id: TransactionId, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut buffer = vec![0; 65_000];
    let mut writer = Writer::new(&mut buffer, class, method, id).unwrap();
    attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
    writer.finish().to_vec()
}

pub(crate) fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [&number.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Reply(pub(crate) Transmit);

impl Reply {
    /// The only response of the server.
    pub(crate) fn only(sent: Vec<Transmit>) -> Self {
        assert_eq!(sent.len(), 1, "{sent:?}");
        let reply = Self(sent.into_iter().next().unwrap());
        assert!(reply.message().class().is_response());
        reply
    }

    pub(crate) fn message(&self) -> Message<'_> {
        Message::decode(&self.0.payload).unwrap()
    }

    /// The error code; `None` for a success response.
    pub(crate) fn code(&self) -> Option<u16> {
        match self.message().class() {
            Class::SuccessResponse => None,
            Class::ErrorResponse | Class::Request | Class::Indication => {
                Some(self.message().error_code().unwrap().code())
            }
        }
    }

    /// RESERVATION-TOKEN.
    pub(crate) fn token(&self) -> Option<Attribute<'static>> {
        match self.message().attribute(AttributeType::RESERVATION_TOKEN) {
            Some(Ok(Attribute::ReservationToken(token))) => Some(Attribute::ReservationToken(token)),
            _ => None,
        }
    }

    pub(crate) fn lifetime(&self) -> u32 {
        self.message().lifetime().unwrap()
    }
}

/// The data of the only datagram, with its destination.
pub(crate) fn relayed(sent: &[Transmit]) -> (SocketAddr, Vec<u8>) {
    assert_eq!(sent.len(), 1, "{sent:?}");
    (sent[0].remote, sent[0].payload.to_vec())
}
