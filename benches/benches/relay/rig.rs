//! A server without sockets, and clients that allocate by real requests.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Entropy, Forward, Input, Instant, Machine as _, Output, SocketEvent, SocketId, SocketIds, SocketOrder,
};
use portolan_stun::{AddressFamily, Attribute, Class, IntegrityKey, Message, Method, Writer};
use portolan_stun_agent::{Authenticator, Users};
use portolan_turn::{PeerPolicy, Server, ServerConfig, ServerEvent, ServerLimits};
use rustix::time::{ClockId, clock_gettime};

const CREDENTIALS: (&str, &str, &str) = ("ada", "example.org", "lovelace");
const LISTENER: &str = "192.0.2.1:3478";

/// Returns the processor time of this thread.
pub(crate) fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), spent.tv_nsec.unsigned_abs() as u32)
}

/// A small RNG: xorshift. Its numbers are good enough for an order and for a nonce of a benchmark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.next() as usize % (last + 1));
        }
    }
}

impl Entropy for Rng {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.next() as u8);
    }
}

/// The families of the relayed addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mix {
    /// IPv4 only.
    Ipv4,
    /// Every second one is of IPv6, so that the ports of one address are enough for more allocations.
    Both,
}

impl Mix {
    const fn family(self, number: usize) -> AddressFamily {
        match self {
            Self::Both if number % 2 == 1 => AddressFamily::Ipv6,
            Self::Ipv4 | Self::Both => AddressFamily::Ipv4,
        }
    }
}

impl core::fmt::Display for Mix {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Both => "half of IPv6",
        })
    }
}

/// One client, and the socket and the address of its relay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    family: AddressFamily,
    pub(crate) relay: SocketId,
    pub(crate) relayed: SocketAddr,
}

impl Client {
    /// The peer of channel `number`, of the family of the relayed address.
    pub(crate) fn peer(&self, number: u16) -> SocketAddr {
        let [high, low] = number.to_be_bytes();
        let ip: IpAddr = match self.family {
            AddressFamily::Ipv4 => [203, 0, high, low].into(),
            AddressFamily::Ipv6 => [0x2a00, 0, 0, 0, 0, 0, 0, number].into(),
        };
        (ip, 5_000).into()
    }
}

pub(crate) struct Rig {
    mix: Mix,
    pub(crate) server: Server,
    rng: Rng,
    ids: SocketIds,
    now: Instant,
    pub(crate) listener: SocketId,
    pub(crate) local: SocketAddr,
    key: IntegrityKey,
    nonces: Vec<String>,
    pub(crate) clients: Vec<Client>,
}

impl Rig {
    /// A started server without allocations.
    pub(crate) fn new(mix: Mix) -> Self {
        let (user, realm, password) = CREDENTIALS;
        let mut users = Users::long_term(realm);
        users.add(user, password).expect("a valid user");
        let mut limits = ServerLimits::default();
        limits.allocations = u32::MAX;
        limits.allocations_per_user = u32::MAX;
        limits.allocations_per_source = u32::MAX;
        let local = LISTENER.parse().expect("an address");
        let config = ServerConfig::new(Authenticator::long_term(realm, &[7; 32], users).expect("a valid realm"))
            .listen_udp(local)
            .relay([192, 0, 2, 1].into())
            .relay([0x2a00, 0, 0, 0, 0, 0, 1, 1].into())
            .ports(1_024, 65_535)
            .policy(PeerPolicy::default())
            .rate(None)
            .limits(limits);
        let mut rig = Self {
            mix,
            server: Server::new(&config).expect("a valid configuration"),
            rng: Rng(0x9e37_79b9_7f4a_7c15),
            ids: SocketIds::new(),
            now: Instant::from_millis(1_000),
            listener: SocketId(0),
            local,
            key: IntegrityKey::long_term_md5(user, realm, password),
            nonces: Vec::new(),
            clients: Vec::new(),
        };
        rig.with(|server, cx| server.start(cx)).expect("it has not started");
        let mut listeners = Vec::new();
        while let Some(output) = rig.output() {
            if let Output::Socket(SocketOrder::Open(open)) = output {
                listeners.push(open.id);
            }
        }
        let [listener] = listeners[..] else { unreachable!("one listener") };
        rig.listener = listener;
        rig.handle(Input::Socket(listener, SocketEvent::Opened { local }));
        while rig.output().is_some() {}
        rig
    }

    /// A server with this number of allocations, and channels of each.
    pub(crate) fn with_clients(count: u32, channels: u16, mix: Mix) -> Self {
        let mut rig = Self::new(mix);
        rig.allocate(count);
        for channel in 0..channels {
            rig.bind(0x4000 + channel);
        }
        rig
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut Server, &mut Cx<'_>) -> R) -> R {
        call(&mut self.server, &mut Cx::new(self.now, &mut self.rng, &mut self.ids))
    }

    fn handle(&mut self, input: Input<'_>) {
        let _verdict = self.with(|server, cx| server.handle(cx, input));
    }

    fn output(&mut self) -> Option<Output<ServerEvent>> {
        match self.server.poll() {
            Output::Wait(_) => None,
            output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => Some(output),
        }
    }

    /// Passes a datagram to `forward`.
    #[inline]
    pub(crate) fn forward<'a>(&mut self, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        self.server.forward(&mut Cx::new(self.now, &mut self.rng, &mut self.ids), datagram)
    }

    /// Passes a request to the server and opens the sockets that the server orders. Returns the response and the id
    /// of the socket.
    fn request(&mut self, from: SocketAddr, request: &[u8]) -> (Vec<u8>, Option<SocketId>) {
        let (mut response, mut opened) = (Vec::new(), None);
        self.handle(Input::Datagram(Datagram::new(self.listener, self.local, from, request)));
        while let Some(output) = self.output() {
            match output {
                Output::Transmit(transmit) => response = transmit.payload.to_vec(),
                Output::Socket(SocketOrder::Open(open)) => {
                    opened = Some(open.id);
                    self.handle(Input::Socket(open.id, SocketEvent::Opened { local: open.local }));
                }
                Output::Socket(_) | Output::Event(_) | Output::Wait(_) => {}
            }
        }
        (response, opened)
    }

    /// Makes allocations. Returns the processor time of the server: for the challenges, for the sockets, and for the
    /// success responses.
    pub(crate) fn allocate(&mut self, count: u32) -> Duration {
        let first = self.clients.len() as u32;
        let addresses: Vec<SocketAddr> = (first..first + count)
            .map(|number| {
                let [_, a, b, c] = number.to_be_bytes();
                ([198, 51 + a, b, c], 40_000).into()
            })
            .collect();
        let mix = self.mix;
        let family = |number| mix.family(number);
        let mut spent = Duration::ZERO;
        let requests: Vec<_> =
            addresses.iter().enumerate().map(|(n, _)| self.allocate_request(n, family(n), "")).collect();
        let begin = processor_time();
        let challenges: Vec<_> =
            addresses.iter().zip(&requests).map(|(from, bytes)| self.request(*from, bytes)).collect();
        spent += processor_time() - begin;
        let nonces: Vec<String> = challenges
            .iter()
            .map(|(bytes, _)| {
                let message = Message::decode(bytes).expect("a response").exempt();
                message.nonce().and_then(|nonce| nonce.as_str()).expect("a nonce").to_owned()
            })
            .collect();
        let requests: Vec<_> =
            nonces.iter().enumerate().map(|(n, nonce)| self.allocate_request(n, family(n), nonce)).collect();
        let begin = processor_time();
        let responses: Vec<_> =
            addresses.iter().zip(&requests).map(|(from, bytes)| self.request(*from, bytes)).collect();
        spent += processor_time() - begin;
        for (n, ((bytes, socket), address)) in responses.iter().zip(addresses).enumerate() {
            let message = Message::decode(bytes).expect("a response").exempt();
            let relayed = message.xor_relayed_address().unwrap_or_else(|| unreachable!("refused: {message:?}"));
            let relay = socket.expect("a relay socket");
            self.clients.push(Client { address, family: family(n), relay, relayed });
        }
        self.nonces.extend(nonces);
        spent
    }

    fn allocate_request(&self, number: usize, family: AddressFamily, nonce: &str) -> Vec<u8> {
        let attributes = [Attribute::RequestedTransport(17), Attribute::RequestedAddressFamily(family)];
        self.encode(Method::ALLOCATE, number, &attributes, nonce)
    }

    fn encode(&self, method: Method, number: usize, attributes: &[Attribute<'_>], nonce: &str) -> Vec<u8> {
        let (user, realm, _) = CREDENTIALS;
        let mut id = [0; 12];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        id[8..10].copy_from_slice(&method.number().to_be_bytes());
        id[10] = u8::from(nonce.is_empty());
        let mut buffer = [0; 2_048];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, id.into()).expect("a buffer");
        attributes.iter().for_each(|attribute| writer.add(attribute).expect("room"));
        if nonce.is_empty() {
            return writer.finish().to_vec();
        }
        for attribute in
            [Attribute::Username(user.into()), Attribute::Realm(realm.into()), Attribute::Nonce(nonce.into())]
        {
            writer.add(&attribute).expect("room");
        }
        writer.message_integrity(&self.key).expect("room").finish().to_vec()
    }

    /// Binds a channel of every allocation.
    pub(crate) fn bind(&mut self, number: u16) {
        self.request_of_all(Method::CHANNEL_BIND, |client| {
            vec![Attribute::ChannelNumber(number), Attribute::XorPeerAddress(client.peer(number))]
        });
    }

    /// Makes `count` permissions of every allocation.
    pub(crate) fn permit(&mut self, count: u16) {
        self.request_of_all(Method::CREATE_PERMISSION, |client| {
            (0..count).map(|number| Attribute::XorPeerAddress(client.peer(0x8000 + number))).collect()
        });
    }

    fn request_of_all(&mut self, method: Method, attributes: impl Fn(&Client) -> Vec<Attribute<'static>>) {
        for number in 0..self.clients.len() {
            let client = self.clients[number];
            let request = self.encode(method, number, &attributes(&client), &self.nonces[number]);
            let (response, _) = self.request(client.address, &request);
            let message = Message::decode(&response).expect("a response").exempt();
            assert_eq!(message.class(), Class::SuccessResponse, "{message:?}");
        }
    }
}
