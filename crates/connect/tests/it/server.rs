//! A TURN server that refuses some peers, and the messages of a scripted server.

use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Cx, Datagram, Input, Machine, Never, Outbox, Output, Transmit, Verdict};
use portolan_stun::attribute::{ErrorCode, Icmp, Text};
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, Method, TransactionId, Writer};
use portolan_turn::{Server, ServerCommand, ServerConfig, ServerError, ServerEvent};

/// The reaction to requests for the permission of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An authenticated error response with this code.
    Code(u16),
    /// No response.
    Silence,
}

/// The reaction to authenticated Allocate requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allocates {
    Serves,
    /// An authenticated error response with this code.
    Code(u16),
    /// Bytes that are no STUN message, to every datagram.
    Garbage,
}

/// A server behind a filter of requests.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) server: Server,
    pub(crate) refused: Vec<(IpAddr, Refusal)>,
    pub(crate) allocates: Allocates,
    /// The times of the requests for permissions and channels, with their peers.
    pub(crate) requests: Vec<(u64, Method, SocketAddr)>,
    out: Outbox<Never>,
}

impl Gate {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let (server, allocates) = (Server::new(config).unwrap(), Allocates::Serves);
        Self { server, refused: vec![], allocates, requests: vec![], out: Outbox::new() }
    }

    /// Handles a request of a refused peer; returns whether it was one.
    fn refuses(&mut self, cx: &Cx<'_>, datagram: &Datagram<'_>) -> bool {
        if self.allocates == Allocates::Garbage {
            let transmit = Transmit::new(datagram.socket, datagram.remote, vec![0xff; 40].into());
            self.out.push(Output::Transmit(transmit));
            return true;
        }
        let Ok(message) = Message::decode(datagram.payload) else { return false };
        if let Allocates::Code(code) = self.allocates
            && message.method() == Method::ALLOCATE
            && message.has(AttributeType::NONCE)
        {
            self.refuse(datagram, &message, code);
            return true;
        }
        let Some(peer) = message.xor_peer_address().filter(|_| message.class() == Class::Request) else { return false };
        let at = u64::try_from(cx.now().since_origin().as_millis()).unwrap();
        self.requests.push((at, message.method(), peer));
        let Some(&(_, refusal)) = self.refused.iter().find(|(ip, _)| *ip == peer.ip()) else { return false };
        if let Refusal::Code(code) = refusal {
            self.refuse(datagram, &message, code);
        }
        true
    }

    /// Sends an authenticated error response.
    fn refuse(&mut self, datagram: &Datagram<'_>, message: &Message<'_>, code: u16) {
        let key = IntegrityKey::long_term_sha256("ann", "example.org", "secret of ann");
        let mut buffer = [0; 500];
        let (method, id) = (message.method(), message.transaction_id());
        let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, method, id).unwrap();
        writer.add(&Attribute::ErrorCode(ErrorCode::recommended(code).unwrap())).unwrap();
        let response = writer.message_integrity_sha256(&key).unwrap().finish().to_vec();
        let transmit = Transmit::new(datagram.socket, datagram.remote, response.into());
        self.out.push(Output::Transmit(transmit));
    }
}

impl Machine for Gate {
    type Command = ServerCommand;
    type Error = ServerError;
    type Event = ServerEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: ServerCommand) -> Result<(), ServerError> {
        self.server.command(cx, command)
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(datagram) if self.refuses(cx, &datagram) => Verdict::Mine,
            input => self.server.handle(cx, input),
        }
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        self.server.stream(cx, chunk)
    }

    fn poll(&mut self) -> Output<ServerEvent> {
        match self.out.pop() {
            Some(Output::Transmit(transmit)) => Output::Transmit(transmit),
            _ => self.server.poll(),
        }
    }
}

/// What a scripted server does with an authenticated request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Success,
    Error(u16),
    Silence,
}

/// Encodes a message, with integrity if there is a key.
fn encode(
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

/// A Data indication with an ICMP error.
pub(crate) fn icmp_indication(peer: SocketAddr, icmp: Icmp) -> Vec<u8> {
    let attributes = [Attribute::XorPeerAddress(peer), Attribute::Icmp(icmp)];
    encode(Class::Indication, Method::DATA, [9; 12].into(), &attributes, None)
}

/// The response of a scripted server with these relayed addresses to a datagram. `decide` is asked for each Binding
/// request and each authenticated request.
pub(crate) fn answer(
    payload: &[u8],
    (password, nonce): (&str, &str),
    (mapped, relayed): (SocketAddr, &[SocketAddr]),
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
            let relayed = relayed.iter().copied().map(Attribute::XorRelayedAddress);
            let attributes: Vec<_> = match method {
                Method::ALLOCATE => relayed.chain([mapped, lifetime]).collect(),
                Method::REFRESH => vec![lifetime],
                Method::BINDING => vec![mapped],
                _ => vec![],
            };
            Some(encode(Class::SuccessResponse, method, id, &attributes, key))
        }
        Reply::Error(code) => {
            let error = [Attribute::ErrorCode(ErrorCode::recommended(code).unwrap())];
            Some(encode(Class::ErrorResponse, method, id, &error, key))
        }
        Reply::Silence => None,
    }
}
