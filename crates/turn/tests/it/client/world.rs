//! A world for one client: virtual time, a scripted server, and everything that was sent and reported.

use alloc::rc::Rc;
use core::cell::Cell;
use core::net::SocketAddr;
use portolan_machine::{
    Cx, Datagram, Entropy, Explain, Input, Instant, Machine, Open, Output, Scope, SocketEvent, SocketId, SocketIds,
    SocketOrder, Trace,
};
use portolan_stun::attribute::{AttributeType, ErrorCode, Text};
use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, TransactionId, Writer};
use portolan_stun_agent::Credential;
use portolan_turn::{Client, ClientConfig, ClientEvent};

pub(crate) const SERVER: &str = "192.0.2.1:3478";
pub(crate) const RELAYED: &str = "192.0.2.1:50000";
pub(crate) const PEER: &str = "203.0.113.9:5000";
/// The time between a request and its response, in milliseconds.
pub(crate) const RTT: u64 = 20;

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn config() -> ClientConfig {
    ClientConfig::new(addr(SERVER), Credential::long_term("ann", "secret"))
}

/// An RNG that counts in 16 bits, so that no transaction id is used twice in a test.
#[derive(Clone, Debug, Default)]
struct Counting(u16);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        for pair in out.chunks_mut(2) {
            pair.copy_from_slice(&self.0.to_be_bytes()[..pair.len()]);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Notes(pub(crate) Vec<String>);

impl Trace for Notes {
    fn note(&mut self, _: Instant, _: &Scope<'_>, note: &dyn Explain) {
        self.0.push(format!("{}: {note}", note.code()));
    }
}

/// What the scripted server does with an authenticated request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Success with the usual attributes.
    Success,
    /// Success with these attributes.
    With(Vec<Attribute<'static>>),
    /// An authenticated error response.
    Error(u16),
    /// An authenticated error response with this reason phrase.
    Because(u16, &'static str),
    /// An authenticated 300 with these servers.
    Redirect(Vec<SocketAddr>),
    /// No response.
    Silence,
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: u64,
    pub(crate) socket: SocketId,
    pub(crate) remote: SocketAddr,
    pub(crate) payload: Vec<u8>,
}

impl Seen {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::decode(&self.payload).unwrap()
    }

    pub(crate) fn method(&self) -> Option<Method> {
        Message::decode(&self.payload).ok().map(|message| message.method())
    }
}

pub(crate) type Script = Box<dyn FnMut(&Message<'_>, &Seen) -> Reply>;

/// One client, its scripted server, and the list of everything.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) now: u64,
    pub(crate) script: Script,
    pub(crate) sent: Vec<Seen>,
    pub(crate) events: Vec<(u64, ClientEvent)>,
    pub(crate) orders: Vec<(u64, SocketOrder)>,
    pub(crate) notes: Notes,
    pub(crate) mapped: SocketAddr,
    pub(crate) password: &'static str,
    pub(crate) nonce: &'static str,
    /// Whether all packets are lost.
    pub(crate) is_dead: bool,
    /// Whether the sockets are streams.
    pub(crate) is_stream: bool,
    /// Whether sockets are opened at once.
    pub(crate) opens: bool,
    pub(crate) wait: Option<Instant>,
    /// A copy of the mapped address for the script.
    pub(crate) tuple: Option<Rc<Cell<SocketAddr>>>,
    inbound: Vec<(u64, SocketId, SocketAddr, Vec<u8>)>,
    rng: Counting,
    ids: SocketIds,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            client: Client::new(),
            now: 0,
            script: Box::new(|_, _| Reply::Success),
            sent: vec![],
            events: vec![],
            orders: vec![],
            notes: Notes::default(),
            mapped: addr("198.51.100.7:40000"),
            password: "secret",
            nonce: "nonce-1",
            is_dead: false,
            is_stream: false,
            opens: true,
            wait: None,
            tuple: None,
            inbound: vec![],
            rng: Counting::default(),
            ids: SocketIds::new(),
        }
    }

    /// A world whose client has an allocation, made in the first milliseconds.
    pub(crate) fn allocated(config: ClientConfig) -> Self {
        let mut world = Self::new();
        world.is_stream = config.to_string().starts_with('t');
        world.with(|client, cx| client.start(cx, config)).unwrap();
        world.run(100);
        assert_eq!(world.client.relayed(), [addr(RELAYED)]);
        world
    }

    pub(crate) fn script(mut self, script: impl FnMut(&Message<'_>, &Seen) -> Reply + 'static) -> Self {
        self.script = Box::new(script);
        self
    }

    pub(crate) fn with<R>(&mut self, call: impl FnOnce(&mut Client, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx::new(Instant::from_millis(self.now), &mut self.rng, &mut self.ids).with_trace(&mut self.notes);
        let result = call(&mut self.client, &mut cx);
        self.drain();
        result
    }

    fn drain(&mut self) {
        loop {
            match self.client.poll() {
                Output::Wait(wait) => {
                    self.wait = wait.map(|wait| wait.at);
                    return;
                }
                Output::Event(event) => self.events.push((self.now, event)),
                Output::Socket(order) => {
                    let open = match &order {
                        SocketOrder::Open(Open { id, .. }) => Some(*id),
                        _ => None,
                    };
                    self.orders.push((self.now, order));
                    if let Some(id) = open.filter(|_| self.opens) {
                        let local = addr("10.0.0.7:40000");
                        self.socket_event(id.0, SocketEvent::Opened { local });
                    }
                }
                Output::Transmit(transmit) => {
                    let seen = Seen {
                        at: self.now,
                        socket: transmit.socket,
                        remote: transmit.remote,
                        payload: transmit.payload.to_vec(),
                    };
                    self.sent.push(seen.clone());
                    if !self.is_dead
                        && let Some(response) = self.respond(&seen)
                    {
                        self.inbound.push((self.now + RTT, seen.socket, seen.remote, response));
                    }
                }
            }
        }
    }

    /// The response of the scripted server.
    fn respond(&mut self, seen: &Seen) -> Option<Vec<u8>> {
        let Self { script, mapped, password, nonce, .. } = self;
        answer(&seen.payload, (password, nonce), *mapped, |message| script(message, seen))
    }

    pub(crate) fn socket_event(&mut self, socket: u64, event: SocketEvent) {
        let _verdict = self.with(|client, cx| client.handle(cx, Input::Socket(SocketId(socket), event)));
    }

    /// Hands in a datagram of the server on the current socket.
    pub(crate) fn datagram(&mut self, payload: &[u8]) {
        let socket = self.client.socket().unwrap();
        self.datagram_on(socket, addr(SERVER), payload);
    }

    pub(crate) fn datagram_on(&mut self, socket: SocketId, from: SocketAddr, payload: &[u8]) {
        let datagram = Datagram::new(socket, addr("10.0.0.7:40000"), from, payload);
        if !self.is_stream {
            let _verdict = self.with(|client, cx| client.handle(cx, Input::Datagram(datagram)));
            return;
        }
        let mut rest = payload;
        while !rest.is_empty() {
            let chunk = datagram.with_payload(rest);
            let Some(taken) = self.with(|client, cx| client.stream(cx, chunk)) else { return };
            assert!(taken > 0, "a drained machine takes bytes");
            rest = &rest[taken..];
        }
    }

    /// Hands in a datagram of the server on the last socket.
    pub(crate) fn inject(&mut self, payload: &[u8]) {
        let socket = self.sent.last().unwrap().socket;
        self.datagram_on(socket, addr(SERVER), payload);
    }

    /// Runs until this time in milliseconds: responses and deadlines in order.
    pub(crate) fn run(&mut self, until: u64) {
        loop {
            let inbound = self.inbound.iter().map(|(at, ..)| *at).min();
            let wait = self.wait.map(|at| u64::try_from(at.since_origin().as_micros().div_ceil(1000)).unwrap());
            let Some(at) = inbound.into_iter().chain(wait).min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            if inbound == Some(at) {
                let index = self.inbound.iter().position(|(due, ..)| *due == at).unwrap();
                let (_, socket, from, payload) = self.inbound.remove(index);
                self.datagram_on(socket, from, &payload);
            } else {
                let _verdict = self.with(|client, cx| client.handle(cx, Input::Timeout));
                assert!(self.wait.is_none_or(|wait| wait > Instant::from_millis(at)), "a deadline moves on");
            }
        }
        self.now = self.now.max(until);
    }

    /// Loses all packets from now on, those on the way included.
    pub(crate) fn kill(&mut self) {
        self.is_dead = true;
        self.inbound.clear();
    }

    pub(crate) fn set_mapped(&mut self, mapped: SocketAddr) {
        self.mapped = mapped;
        if let Some(tuple) = &self.tuple {
            tuple.set(mapped);
        }
    }

    /// The number of sockets that were ordered and not closed.
    pub(crate) fn open_sockets(&self) -> usize {
        let count = |close: bool| {
            let is_it = |(_, order): &&(u64, SocketOrder)| match order {
                SocketOrder::Open(_) => !close,
                SocketOrder::Close(_) => close,
                _ => false,
            };
            self.orders.iter().filter(is_it).count()
        };
        count(false) - count(true)
    }

    /// The events since the last call, without their times.
    pub(crate) fn take_events(&mut self) -> Vec<ClientEvent> {
        self.events.drain(..).map(|(_, event)| event).collect()
    }

    /// The requests of a method that carry integrity.
    pub(crate) fn signed(&self, method: Method) -> Vec<&Seen> {
        let is_signed = |seen: &&Seen| {
            seen.method() == Some(method)
                && seen.message().class() == Class::Request
                && seen.message().has(AttributeType::MESSAGE_INTEGRITY)
        };
        self.sent.iter().filter(is_signed).collect()
    }

    pub(crate) fn has_note(&self, code: &str) -> bool {
        self.notes.0.iter().any(|note| note.split(':').next() == Some(code))
    }
}

/// Encodes a message, with integrity if there is a key.
pub(crate) fn encode(
    class: Class,
    method: Method,
    id: TransactionId,
    attributes: &[Attribute<'_>],
    key: Option<&IntegrityKey>,
) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let mut writer = Writer::new(&mut buffer, class, method, id).unwrap();
    attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
    match key {
        Some(key) => writer.message_integrity(key).unwrap().finish().to_vec(),
        None => writer.finish().to_vec(),
    }
}

/// A Data indication.
pub(crate) fn data_indication(peer: SocketAddr, data: &[u8]) -> Vec<u8> {
    let attributes = [Attribute::XorPeerAddress(peer), Attribute::Data(data)];
    encode(Class::Indication, Method::DATA, [9; 12].into(), &attributes, None)
}

/// The response of a server with this password and nonce to a datagram. `decide` is asked for each Binding request and
/// each authenticated request.
pub(crate) fn answer(
    payload: &[u8],
    (password, nonce): (&str, &str),
    mapped: SocketAddr,
    decide: impl FnOnce(&Message<'_>) -> Reply,
) -> Option<Vec<u8>> {
    let message = Message::decode(payload).ok()?;
    let (method, id) = (message.method(), message.transaction_id());
    if message.class() != Class::Request {
        return None;
    }
    let key = IntegrityKey::long_term_md5("ann", "example.org", password);
    let is_stale = message.nonce().is_some_and(|sent| sent != nonce);
    let is_signed = message.has(AttributeType::MESSAGE_INTEGRITY);
    if method != Method::BINDING && (!is_signed || is_stale || message.verify(&key).is_err()) {
        let code = if is_signed && is_stale { 438 } else { 401 };
        let attributes = [
            Attribute::ErrorCode(ErrorCode::recommended(code).unwrap()),
            Attribute::Realm(Text::new("example.org")),
            Attribute::Nonce(Text::new(nonce)),
        ];
        return Some(encode(Class::ErrorResponse, method, id, &attributes, None));
    }
    let key = (method != Method::BINDING).then_some(&key);
    match decide(&message) {
        Reply::Success => {
            let lifetime = Attribute::Lifetime(message.lifetime().unwrap_or(600));
            let mapped = Attribute::XorMappedAddress(mapped);
            let attributes = match method {
                Method::ALLOCATE => vec![Attribute::XorRelayedAddress(addr(RELAYED)), mapped, lifetime],
                Method::REFRESH => vec![lifetime],
                Method::BINDING => vec![mapped],
                _ => vec![],
            };
            Some(encode(Class::SuccessResponse, method, id, &attributes, key))
        }
        Reply::With(attributes) => Some(encode(Class::SuccessResponse, method, id, &attributes, key)),
        Reply::Error(code) => {
            let error = [Attribute::ErrorCode(ErrorCode::recommended(code).unwrap())];
            Some(encode(Class::ErrorResponse, method, id, &error, key))
        }
        Reply::Because(code, reason) => {
            let error = [Attribute::ErrorCode(ErrorCode::new(code, Text::new(reason)).unwrap())];
            Some(encode(Class::ErrorResponse, method, id, &error, key))
        }
        Reply::Redirect(servers) => {
            let error = [Attribute::ErrorCode(ErrorCode::recommended(300).unwrap())];
            let servers = servers.into_iter().map(Attribute::AlternateServer);
            let attributes: Vec<_> = error.into_iter().chain(servers).collect();
            Some(encode(Class::ErrorResponse, method, id, &attributes, key))
        }
        Reply::Silence => None,
    }
}
