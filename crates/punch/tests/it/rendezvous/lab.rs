//! Clients behind NATs and a server in front of a STUN responder, in virtual time.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Either, Instant, Pair, SocketId};
use portolan_nat::translator::TranslatorConfig;
use portolan_punch::rendezvous::{
    Client, ClientCommand, ClientConfig, ClientEvent, EndReason, Introduction, Server, ServerConfig, room_password,
};
use portolan_sim::{Gateway, HostId, Link, Net, SegmentId};
use portolan_stun_agent::{Responder, ResponderConfig};

pub(crate) const SERVER: &str = "50.0.0.1:3478";
pub(crate) const SECRET: &[u8] = b"a secret of the operator";
pub(crate) const ROOM: &str = "attic";
/// The socket of each host: the first one that is opened.
pub(crate) const SOCKET: SocketId = SocketId(1);

pub(crate) type Node = Either<Client, Pair<Server, Responder>>;

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn server_config() -> ServerConfig {
    ServerConfig::new(&[7; 32]).secret(SECRET)
}

/// A client with the right password.
pub(crate) fn client_config() -> ClientConfig {
    ClientConfig::new(SOCKET, addr(SERVER), ROOM, &room_password(SECRET, ROOM))
}

fn machine(config: &ServerConfig) -> Node {
    let responder = Responder::over(&ResponderConfig::new().listen(addr(SERVER)), |_| SOCKET).unwrap();
    Either::Second(Pair::new(Server::over(config, &[SOCKET]).unwrap(), responder))
}

/// A net with a server and clients.
pub(crate) struct Lab {
    pub(crate) net: Net<Node>,
    pub(crate) server: HostId,
    pub(crate) hosts: Vec<HostId>,
    pub(crate) segments: Vec<SegmentId>,
    pub(crate) events: Vec<(Instant, usize, ClientEvent)>,
}

impl Lab {
    pub(crate) fn new(seed: u64, config: &ServerConfig) -> Self {
        let mut net = Net::new(seed);
        let internet = net.internet();
        let server = net.add_host(internet, "server", &[ip("50.0.0.1")], &Link::PERFECT, machine(config));
        assert_eq!(net.open(server, addr(SERVER)), Ok((SOCKET, addr(SERVER))));
        Self { net, server, hosts: Vec::new(), segments: Vec::new(), events: Vec::new() }
    }

    /// Adds a client behind a home NAT with its own public address, and returns its number.
    pub(crate) fn add(&mut self, link: &Link, config: ClientConfig) -> usize {
        let number = u8::try_from(self.hosts.len() + 1).unwrap();
        let nat = Gateway::new(&format!("nat {number}"), [IpAddr::from([85, 0, 0, number])], TranslatorConfig::home());
        let inside = self.net.add_gateway(self.net.internet(), nat, link);
        self.segments.push(inside);
        self.add_to(inside, config)
    }

    /// Adds a client to a segment.
    pub(crate) fn add_to(&mut self, segment: SegmentId, config: ClientConfig) -> usize {
        let number = u8::try_from(self.hosts.len() + 1).unwrap();
        let address = IpAddr::from([10, 0, 0, number]);
        let machine = Either::First(Client::new(config).unwrap());
        let host = self.net.add_host(segment, &format!("host {number}"), &[address], &Link::PERFECT, machine);
        assert_eq!(self.net.open(host, SocketAddr::new(address, 4000)).unwrap().0, SOCKET);
        self.hosts.push(host);
        self.hosts.len() - 1
    }

    pub(crate) fn start(&mut self, client: usize) {
        assert!(self.net.command(self.hosts[client], Either::First(ClientCommand::Start)).is_ok());
    }

    pub(crate) fn leave(&mut self, client: usize) {
        assert!(self.net.command(self.hosts[client], Either::First(ClientCommand::Leave)).is_ok());
    }

    /// Runs for a time, and collects the events.
    pub(crate) fn run(&mut self, time: Duration) {
        let _stop = self.net.run_for(time);
        for record in self.net.take_events() {
            let client = self.hosts.iter().position(|host| *host == record.host);
            if let (Some(client), Either::First(event)) = (client, record.event) {
                self.events.push((record.at, client, event));
            }
        }
    }

    /// The introductions of a client, with their times.
    pub(crate) fn introductions(&self, client: usize) -> Vec<(Instant, &Introduction)> {
        let of_client = self.events.iter().filter(|(_, known, _)| *known == client);
        of_client
            .filter_map(|(at, _, event)| {
                let ClientEvent::Introduced(introduction) = event else { return None };
                Some((*at, introduction))
            })
            .collect()
    }

    /// The end of a client.
    pub(crate) fn end(&self, client: usize) -> Option<(u128, EndReason)> {
        self.events.iter().filter(|(_, known, _)| *known == client).find_map(|(at, _, event)| {
            let ClientEvent::Ended(why) = event else { return None };
            Some((at.since_origin().as_millis(), *why))
        })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.net.machine(self.server).unwrap().as_second().unwrap().first
    }

    /// Replaces the server by one without state and with another secret of nonces.
    pub(crate) fn restart_server(&mut self) {
        let config = ServerConfig::new(&[8; 32]).secret(SECRET);
        self.net.replace(self.server, machine(&config)).unwrap();
    }
}
