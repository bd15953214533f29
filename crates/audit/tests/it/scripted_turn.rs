//! A small TURN server that is written by hand, with one weakness of choice.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use portolan_audit::turn::TurnAttack;
use portolan_stun::{
    Attribute, AttributeType, Class, ErrorCode, IntegrityKey, Message, Method, PasswordAlgorithm, TransactionId, Writer,
};

pub(crate) const SERVER: &str = "203.0.113.10:3478";
const REALM: &str = "example.org";

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The datagrams that a server sends: the client and the bytes.
pub(crate) type Sent = Vec<(SocketAddr, Vec<u8>)>;

/// The TCP allocations of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TcpAllocations {
    #[default]
    Given,
    /// An Allocate request for TCP gets this code.
    Refused(u16),
    /// A Connect request for a denied peer gets this code.
    Connects(u16),
    /// A Connect request has no response.
    Ignores,
    /// A Connect request ends the stream.
    Closes,
    /// The server does not listen on TCP.
    NoListener,
    /// A connection to the server neither opens nor is refused.
    NoConnection,
}

#[derive(Debug, Default)]
struct Allocation {
    user: String,
    is_tcp: bool,
    relayed: Option<SocketAddr>,
    permissions: BTreeSet<IpAddr>,
    channels: BTreeMap<u16, SocketAddr>,
}

/// The server. It holds every attack but its weakness.
#[derive(Debug, Default)]
pub(crate) struct ScriptedServer {
    pub(crate) weakness: Option<TurnAttack>,
    /// Whether it has an IPv6 relay address.
    pub(crate) has_ipv6: bool,
    /// The largest number of allocations; 0 for no limit.
    pub(crate) quota: usize,
    /// The requests of this method are not answered.
    pub(crate) ignores: Option<Method>,
    /// Whether relayed data is lost.
    pub(crate) loses_data: bool,
    pub(crate) tcp: TcpAllocations,
    /// Whether two of three requests have no response, and the third one has a late response.
    pub(crate) is_slow: bool,
    /// The transaction ids of all requests, with the number of their sends.
    asked: Vec<(TransactionId, u8)>,
    /// The peers of Connect requests.
    pub(crate) connects: BTreeSet<SocketAddr>,
    allocations: BTreeMap<SocketAddr, Allocation>,
    pub(crate) peers: BTreeSet<SocketAddr>,
}

impl ScriptedServer {
    pub(crate) fn new(weakness: Option<TurnAttack>) -> Self {
        Self { weakness, has_ipv6: true, ..Self::default() }
    }

    /// A server without weakness, changed by `change`.
    pub(crate) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut server = Self::new(None);
        change(&mut server);
        server
    }

    fn has(&self, weakness: TurnAttack) -> bool {
        self.weakness == Some(weakness)
    }

    pub(crate) fn allocations(&self) -> usize {
        self.allocations.len()
    }

    pub(crate) fn answer(&mut self, from: SocketAddr, bytes: &[u8]) -> Sent {
        if bytes[0] >> 6 == 1 {
            return self.channel_data(from, bytes);
        }
        let Ok(message) = Message::decode(bytes) else { return vec![] };
        match (message.class(), message.method()) {
            (Class::Request, method) if self.ignores == Some(method) => vec![],
            (Class::Request, _) if self.is_slow && self.is_skipped(&message) => vec![],
            (Class::Request, Method::BINDING) => vec![(from, self.binding(from, &message))],
            (Class::Request, _) => {
                let reply = self.request(from, &message);
                vec![(from, reply)].into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect()
            }
            (Class::Indication, Method::SEND) => self.send(from, &message),
            _ if self.has(TurnAttack::ResponseReflection) => vec![(from, bytes.to_vec())],
            _ => vec![],
        }
    }

    /// Whether a slow server does not answer this send of a request.
    fn is_skipped(&mut self, request: &Message<'_>) -> bool {
        let id = request.transaction_id();
        let nth = self.asked.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
            self.asked.push((id, 0));
            self.asked.len() - 1
        });
        self.asked[nth].1 += 1;
        let is_on_stream = self.allocations.values().any(|allocation| allocation.is_tcp);
        nth % 3 != 0 || self.asked[nth].1 < if is_on_stream { 1 } else { 3 }
    }

    fn reply(&self, request: &Message<'_>, class: Class, attributes: &[Attribute<'_>]) -> Vec<u8> {
        let mut attributes = attributes.to_vec();
        attributes.push(Attribute::Software("weak!".into()));
        let mut bytes = encode(class, request.method(), request.transaction_id(), &attributes);
        if self.has(TurnAttack::Padding) {
            *bytes.last_mut().unwrap() = 0xaa;
        }
        bytes
    }

    fn error(&self, request: &Message<'_>, code: u16) -> Vec<u8> {
        self.reply(request, Class::ErrorResponse, &[Attribute::ErrorCode(ErrorCode::new(code, "".into()).unwrap())])
    }

    fn binding(&self, from: SocketAddr, request: &Message<'_>) -> Vec<u8> {
        let long = "x".repeat(127);
        let mut attributes = vec![Attribute::XorMappedAddress(from)];
        if self.has(TurnAttack::BindingAmplification) {
            attributes.push(Attribute::Software(long.as_str().into()));
        }
        self.reply(request, Class::SuccessResponse, &attributes)
    }

    fn nonce(from: SocketAddr) -> String {
        format!("obMatJos2gAAA{:05}", from.port())
    }

    fn challenge(&self, from: SocketAddr, request: &Message<'_>, code: u16) -> Vec<u8> {
        let (nonce, long) = (Self::nonce(from), "x".repeat(127));
        let reason = if self.has(TurnAttack::ChallengeAmplification) { long.as_str() } else { "" };
        let mut buffer = vec![0; 1024];
        let (method, id) = (request.method(), request.transaction_id());
        let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, method, id).unwrap();
        writer.add(&Attribute::ErrorCode(ErrorCode::new(code, reason.into()).unwrap())).unwrap();
        writer.add(&Attribute::Realm(REALM.into())).unwrap();
        writer.add(&Attribute::Nonce(nonce.as_str().into())).unwrap();
        writer.add_password_algorithms(&[PasswordAlgorithm::SHA256, PasswordAlgorithm::MD5]).unwrap();
        if self.has(TurnAttack::ChallengeAmplification) {
            writer.add(&Attribute::Software(long.as_str().into())).unwrap();
        }
        writer.finish().to_vec()
    }

    fn request(&mut self, from: SocketAddr, message: &Message<'_>) -> Vec<u8> {
        if !message.has(AttributeType::MESSAGE_INTEGRITY) {
            if self.has(TurnAttack::NoCredentials) {
                let user = message.username().map(|user| user.to_string()).unwrap_or_default();
                return self.admitted(from, message, &user);
            }
            if self.has(TurnAttack::UnauthenticatedState)
                && message.method() == Method::ALLOCATE
                && from.port() == 40_002
            {
                self.allocations.insert(from, Allocation { user: "alice".into(), ..Allocation::default() });
            }
            return self.challenge(from, message, 401);
        }
        let user = message.username().unwrap().to_string();
        let key = IntegrityKey::long_term_md5(&user, REALM, &format!("secret of {user}"));
        if message.verify(&key).is_err() && !self.has(TurnAttack::WrongPassword) {
            return self.challenge(from, message, 401);
        }
        let nonce = message.nonce().unwrap().to_string();
        let is_foreign = nonce.starts_with("obMatJos2gAAA") && self.has(TurnAttack::ForeignNonce);
        let is_changed = nonce.starts_with("obMatJos2AAAA") && self.has(TurnAttack::BidDown);
        if nonce != Self::nonce(from) && !is_foreign && !is_changed {
            return self.challenge(from, message, 438);
        }
        if message.has(AttributeType::PASSWORD_ALGORITHMS) && !self.has(TurnAttack::BidDown) {
            return self.error(message, 400);
        }
        self.admitted(from, message, &user)
    }

    fn admitted(&mut self, from: SocketAddr, message: &Message<'_>, user: &str) -> Vec<u8> {
        if message.method() == Method::ALLOCATE {
            return self.allocate(from, message, user);
        }
        if message.method() == Method::CONNECT {
            return self.connect(from, message);
        }
        let Some(allocation) = self.allocations.get(&from) else { return self.error(message, 437) };
        if allocation.user != user && !self.has(TurnAttack::OtherUser) {
            return self.error(message, 441);
        }
        let code = match message.method() {
            Method::REFRESH => return self.refresh(from, message),
            Method::CREATE_PERMISSION => self.permit(from, message),
            Method::CHANNEL_BIND => self.bind(from, message),
            _ => 400,
        };
        if code == 0 { self.reply(message, Class::SuccessResponse, &[]) } else { self.error(message, code) }
    }

    fn allocate(&mut self, from: SocketAddr, message: &Message<'_>, user: &str) -> Vec<u8> {
        if self.allocations.contains_key(&from) {
            return self.error(message, 437);
        }
        if self.quota > 0 && self.allocations.len() >= self.quota {
            return self.error(message, 486);
        }
        let is_tcp = message
            .fields()
            .any(|field| field.kind == AttributeType::REQUESTED_TRANSPORT && field.value.first() == Some(&6));
        if let (true, TcpAllocations::Refused(code)) = (is_tcp, self.tcp) {
            return self.error(message, code);
        }
        let is_v6 = message.has(AttributeType::REQUESTED_ADDRESS_FAMILY);
        if is_v6 && !self.has_ipv6 {
            return self.error(message, 440);
        }
        let ip: IpAddr = if is_v6 { "2001:db8::10".parse().unwrap() } else { at(SERVER).ip() };
        let relayed = SocketAddr::new(ip, from.port() + 10_000);
        let allocation = Allocation { user: user.into(), is_tcp, relayed: Some(relayed), ..Allocation::default() };
        self.allocations.insert(from, allocation);
        let attributes =
            [Attribute::XorRelayedAddress(relayed), Attribute::Lifetime(600), Attribute::XorMappedAddress(from)];
        self.reply(message, Class::SuccessResponse, &attributes)
    }

    /// A Connect request. No peer is connected.
    fn connect(&mut self, from: SocketAddr, message: &Message<'_>) -> Vec<u8> {
        let peer = message.xor_peer_address().unwrap();
        let code = match self.allocations.get(&from) {
            None => 437,
            Some(_) if self.has(TurnAttack::ConnectPeer) => 447,
            Some(allocation) if !allocation.is_tcp => 400,
            Some(_) => {
                self.connects.insert(peer);
                match self.tcp {
                    TcpAllocations::Ignores => return vec![],
                    TcpAllocations::Connects(0) => return self.reply(message, Class::SuccessResponse, &[]),
                    TcpAllocations::Connects(code) => code,
                    _ => 403,
                }
            }
        };
        self.error(message, code)
    }

    fn refresh(&mut self, from: SocketAddr, message: &Message<'_>) -> Vec<u8> {
        let lifetimes = message.fields().filter(|field| field.kind == AttributeType::LIFETIME);
        let mut seconds = lifetimes.map(|field| u32::from_be_bytes(field.value.try_into().unwrap()));
        let is_ended_after = message.as_bytes().ends_with(&[0, 0x0d, 0, 4, 0, 0, 0, 0]);
        let chosen = match self.weakness {
            Some(TurnAttack::AfterIntegrity) if is_ended_after => Some(0),
            Some(TurnAttack::DuplicateAttribute) => seconds.last(),
            _ => seconds.next(),
        };
        let seconds = chosen.unwrap_or(600);
        if seconds == 0 {
            self.allocations.remove(&from);
        }
        self.reply(message, Class::SuccessResponse, &[Attribute::Lifetime(seconds)])
    }

    /// The error code for a peer; 0 if it is permitted.
    fn judge_peer(&mut self, from: SocketAddr, peer: SocketAddr) -> u16 {
        let is_v4 = self.allocations[&from].relayed.is_some_and(|relayed| relayed.is_ipv4());
        if peer.is_ipv4() != is_v4 {
            return 443;
        }
        self.peers.insert(peer);
        if class_of(peer.ip()).is_some_and(|class| !self.has(class)) { 403 } else { 0 }
    }

    fn permit(&mut self, from: SocketAddr, message: &Message<'_>) -> u16 {
        let peer = message.xor_peer_address().unwrap();
        let code = self.judge_peer(from, peer);
        if code == 0 {
            self.allocations.get_mut(&from).unwrap().permissions.insert(peer.ip());
        }
        code
    }

    fn bind(&mut self, from: SocketAddr, message: &Message<'_>) -> u16 {
        let (number, peer) = (message.channel_number().unwrap(), message.xor_peer_address().unwrap());
        if !(0x4000..0x5000).contains(&number) && !self.has(TurnAttack::ChannelRange) {
            return 400;
        }
        let code = self.judge_peer(from, peer);
        if code != 0 {
            return code;
        }
        if peer == at(SERVER) && !self.has(TurnAttack::OwnListener) {
            return 403;
        }
        let has_conflict = !self.has(TurnAttack::ChannelRebinding);
        let channels = &mut self.allocations.get_mut(&from).unwrap().channels;
        let conflicts = channels.iter().any(|(other, bound)| (*other == number) != (*bound == peer));
        if conflicts && has_conflict && (0x4000..0x5000).contains(&number) {
            return 400;
        }
        channels.insert(number, peer);
        self.allocations.get_mut(&from).unwrap().permissions.insert(peer.ip());
        0
    }

    fn send(&mut self, from: SocketAddr, message: &Message<'_>) -> Sent {
        let (peer, data) = (message.xor_peer_address().unwrap(), message.data().unwrap());
        let Some(allocation) = self.allocations.get(&from) else { return vec![] };
        let is_loopback = peer == SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 3478);
        if is_loopback && self.has(TurnAttack::LoopbackSend) || peer == at(SERVER) && self.has(TurnAttack::OwnListener)
        {
            let inner = Message::decode(data).unwrap();
            let answer = encode(Class::SuccessResponse, Method::BINDING, inner.transaction_id(), &[]);
            return vec![(from, data_indication(peer, &answer))];
        }
        if !allocation.permissions.contains(&peer.ip()) && !self.has(TurnAttack::SendWithoutPermission) {
            return vec![];
        }
        let relayed = allocation.relayed;
        self.deliver(relayed, peer, data)
    }

    fn channel_data(&mut self, from: SocketAddr, bytes: &[u8]) -> Sent {
        let number = u16::from_be_bytes([bytes[0], bytes[1]]);
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if length > bytes.len() - 4 && !self.has(TurnAttack::ChannelDataLength) {
            return vec![];
        }
        let Some(allocation) = self.allocations.get(&from) else { return vec![] };
        let Some(&peer) = allocation.channels.get(&number) else { return vec![] };
        let relayed = allocation.relayed;
        self.deliver(relayed, peer, &bytes[4..])
    }

    /// Delivers data to another client of this server.
    fn deliver(&self, relayed: Option<SocketAddr>, peer: SocketAddr, data: &[u8]) -> Sent {
        let Some(source) = relayed.filter(|_| !self.loses_data) else { return vec![] };
        let target = self.allocations.iter().find(|(_, other)| other.relayed == Some(peer));
        let permits = |other: &Allocation| {
            other.permissions.contains(&source.ip()) || self.has(TurnAttack::DataWithoutPermission)
        };
        let target = target.filter(|(_, other)| permits(other));
        target.map(|(client, _)| (*client, data_indication(source, data))).into_iter().collect()
    }
}

fn data_indication(peer: SocketAddr, data: &[u8]) -> Vec<u8> {
    encode(Class::Indication, Method::DATA, [9; 12].into(), &[Attribute::XorPeerAddress(peer), Attribute::Data(data)])
}

fn encode(class: Class, method: Method, id: TransactionId, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let mut writer = Writer::new(&mut buffer, class, method, id).unwrap();
    attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
    writer.finish().to_vec()
}

/// The attack that names an address; `None` for a permitted address.
fn class_of(ip: IpAddr) -> Option<TurnAttack> {
    use TurnAttack as A;
    match ip {
        IpAddr::V4(ip) => match ip.octets() {
            [127, ..] => Some(A::LoopbackPeer),
            [0, ..] => Some(A::UnspecifiedPeer),
            [10, ..] | [172, 16, ..] | [192, 168, ..] => Some(A::PrivatePeer),
            [100, 64, ..] => Some(A::SharedPeer),
            [169, 254, 169, 254] => Some(A::MetadataPeer),
            [169, 254, ..] => Some(A::LinkLocalPeer),
            [224..=239, ..] => Some(A::MulticastPeer),
            [255, ..] => Some(A::BroadcastPeer),
            _ => None,
        },
        IpAddr::V6(ip) => match ip.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Some(A::LoopbackPeer),
            [0, 0, 0, 0, 0, 0, 0, 0] => Some(A::UnspecifiedPeer),
            [0, 0, 0, 0, 0, 0xffff, ..] => Some(A::MappedPeer),
            [0, 0, 0, 0, 0, 0, ..] => Some(A::CompatiblePeer),
            [0xfd00, 0xec2, ..] => Some(A::MetadataPeer),
            [0xfd00, ..] => Some(A::PrivatePeer),
            [0xfe80, ..] => Some(A::LinkLocalPeer),
            [0xff02, ..] => Some(A::MulticastPeer),
            [0x2002, ..] => Some(A::SixToFourPeer),
            [0x64, 0xff9b, ..] => Some(A::Nat64Peer),
            [0x2001, 0, ..] => Some(A::TeredoPeer),
            [.., 0x5efe, _, _] => Some(A::IsatapPeer),
            _ => None,
        },
    }
}
