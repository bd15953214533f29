//! Runs `stun-agent`, `nat`, `audit`, `turn`, `ice`, `connect`, `punch` and `sim`: a request and its response, a NAT, a
//! challenge of a TURN server, a relay, a forecast and the start of a session of hole punching, and a discovery, an audit
//! and a gatherer in a simulated network.

use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_audit::{Audit, AuditCommand, AuditConfig, AuditEvent};
use portolan_ice::gather::Interface;
use portolan_ice::{GatherConfig, GatherEvent, Gatherer};
use portolan_machine::{
    Cx, Datagram, Entropy, Input, Instant, Machine, Output, Protocol, SocketEvent, SocketId, SocketIds, SocketOrder,
};
use portolan_nat::behavior::Mapping;
use portolan_nat::discovery::{Discovery, MeasurementCommand, DiscoveryConfig, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::translator::{Translation, Translator, TranslatorConfig};
use portolan_punch::card::Card;
use portolan_punch::forecast::{Conditions, Verdict, forecast};
use portolan_punch::session::{Session, SessionCommand, SessionConfig};
use portolan_sim::{Gateway, Link, Net, Server};
use portolan_stun::Message;
use portolan_stun_agent::{
    Authenticator, Credential, Request, Responder, ResponderConfig, TransactionEvent, Transactions, Users,
};
use portolan_turn::{Client, ClientConfig, ServerConfig, ServerSocket};

struct CountingRng(u8);

impl Entropy for CountingRng {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 += 1;
        out.fill(self.0);
    }
}

/// `stun-agent`: the responder answers a request, and the client accepts the response.
pub fn prove_exchange() -> bool {
    exchange().is_some()
}

fn exchange() -> Option<()> {
    let (server, client): (SocketAddr, SocketAddr) = ("192.0.2.1:3478".parse().ok()?, "192.0.2.7:40000".parse().ok()?);
    let mut responder = Responder::over(&ResponderConfig::new().listen(server), |_| SocketId(2)).ok()?;
    let mut transactions = Transactions::<u8>::new();
    let (mut rng, mut ids) = (CountingRng(0), SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    transactions.request(&mut cx, Request::binding(SocketId(1), server, 7)).ok()?;
    let Output::Transmit(request) = transactions.poll() else { return None };
    let datagram = Datagram::new(SocketId(2), server, client, &request.payload);
    let _verdict = responder.handle(&mut cx, Input::Datagram(datagram));
    let mut outputs = core::iter::from_fn(|| match responder.poll() {
        Output::Wait(_) => None,
        output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => Some(output),
    });
    let response = outputs.find_map(|output| if let Output::Transmit(sent) = output { Some(sent) } else { None })?;
    let datagram = Datagram::new(SocketId(1), client, server, &response.payload);
    let _verdict = transactions.handle(&mut cx, Input::Datagram(datagram));
    let Output::Event(TransactionEvent::Answered(answered)) = transactions.poll() else { return None };
    let mapped = Message::decode(&answered.message).ok()?.xor_mapped_address();
    (answered.tag == 7 && mapped == Some(client)).then_some(())
}

/// `turn`: the client asks for an allocation, and the server answers with a challenge.
pub fn prove_turn() -> bool {
    challenge().is_some()
}

fn challenge() -> Option<()> {
    let (address, local): (SocketAddr, SocketAddr) = ("192.0.2.1:3478".parse().ok()?, "192.0.2.7:40000".parse().ok()?);
    let mut users = Users::long_term("example.org");
    users.add("ann", "secret").ok()?;
    let authenticator = Authenticator::long_term("example.org", &[7; 32], users).ok()?;
    let config = ServerConfig::new(authenticator).listen_udp(address).relay(address.ip());
    let mut server = portolan_turn::Server::over(&config, &[ServerSocket::new(SocketId(90), Protocol::Udp, address)]).ok()?;
    let mut client = Client::new();
    let (mut rng, mut ids) = (CountingRng(0), SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    client.start(&mut cx, ClientConfig::new(address, Credential::long_term("ann", "secret"))).ok()?;
    let Output::Socket(SocketOrder::Open(open)) = client.poll() else { return None };
    let _verdict = client.handle(&mut cx, Input::Socket(open.id, SocketEvent::Opened { local }));
    let Output::Transmit(request) = client.poll() else { return None };
    let datagram = Datagram::new(SocketId(90), address, local, &request.payload);
    let _verdict = server.handle(&mut cx, Input::Datagram(datagram));
    let Output::Transmit(response) = server.poll() else { return None };
    let code = Message::decode(&response.payload).ok()?.error_code()?.code();
    (code == 401).then_some(())
}

/// `connect`: a relay orders its socket, and sends the request for an allocation.
pub fn prove_relay() -> bool {
    relay().is_some()
}

fn relay() -> Option<()> {
    let (address, local): (SocketAddr, SocketAddr) = ("192.0.2.1:3478".parse().ok()?, "192.0.2.7:40000".parse().ok()?);
    let mut relay = portolan_connect::Relay::new();
    let (mut rng, mut ids) = (CountingRng(0), SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    relay.start(&mut cx, ClientConfig::new(address, Credential::long_term("ann", "secret"))).ok()?;
    let Output::Socket(SocketOrder::Open(open)) = relay.poll() else { return None };
    let _verdict = relay.handle(&mut cx, Input::Socket(open.id, SocketEvent::Opened { local }));
    let Output::Transmit(request) = relay.poll() else { return None };
    (Message::decode(&request.payload).ok()?.method() == portolan_stun::Method::ALLOCATE).then_some(())
}

/// `punch`: a forecast of two cards, and a session that orders its socket and registers.
pub fn prove_punch() -> bool {
    punch().is_some()
}

fn punch() -> Option<()> {
    let (address, local): (SocketAddr, SocketAddr) = ("192.0.2.1:3478".parse().ok()?, "192.0.2.7:40000".parse().ok()?);
    let (own, peer): (Card, Card) = ("nat1,4=nat,m=eim,f=apdf".parse().ok()?, "nat1,4=nat,m=apdm,f=adf,a=seq+1".parse().ok()?);
    let found = forecast(&own, &peer, &Conditions::default());
    let mut session = Session::new(SessionConfig::new(address, "attic", "password").card(own));
    let (mut rng, mut ids) = (CountingRng(0), SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    session.command(&mut cx, SessionCommand::Start).ok()?;
    let Output::Socket(SocketOrder::Open(open)) = session.poll() else { return None };
    let _verdict = session.handle(&mut cx, Input::Socket(open.id, SocketEvent::Opened { local }));
    let Output::Transmit(request) = session.poll() else { return None };
    let is_registration = Message::decode(&request.payload).ok()?.method() == portolan_punch::rendezvous::METHOD;
    (found.verdict == Verdict::WorksWithGuessing && is_registration).then_some(())
}

/// `nat`: an outbound packet creates a mapping, and an inbound packet passes it.
pub fn prove_translator() -> bool {
    translate().is_some()
}

fn translate() -> Option<()> {
    let (host, server) = ("10.0.0.2:4000".parse().ok()?, "192.0.2.1:3478".parse().ok()?);
    let mut nat = Translator::new(TranslatorConfig::home(), &["203.0.113.7".parse().ok()?], 1);
    let Ok(Translation::Out { source, .. }) = nat.outbound(Instant::ORIGIN, host, server) else { return None };
    (nat.inbound(Instant::ORIGIN, server, source) == Ok(host)).then_some(())
}

/// `sim` and `nat`: a discovery finds a symmetric NAT.
pub fn prove_discovery() -> bool {
    discover().is_some()
}

fn discover() -> Option<()> {
    let primaries: Vec<SocketAddr> = vec!["192.0.2.1:3478".parse().ok()?, "198.51.100.1:3478".parse().ok()?];
    let alternates: Vec<SocketAddr> = vec!["192.0.2.2:3479".parse().ok()?, "198.51.100.2:3479".parse().ok()?];
    let asked =
        primaries.iter().map(|address| StunServer { name: "server".into(), addresses: vec![*address] }).collect();
    let mut net = Net::new(1);
    let link = Link::delay(Duration::from_millis(25));
    let home = Gateway::new("home", ["203.0.113.7".parse().ok()?], TranslatorConfig::symmetric());
    let inside = net.add_gateway(net.internet(), home, &link);
    for (primary, alternate) in primaries.iter().zip(alternates) {
        net.add_server(net.internet(), Server::new("server", *primary).alternate(alternate), &Link::PERFECT);
    }
    let discovery = Discovery::new(DiscoveryConfig::new(asked)).ok()?;
    let host = net.add_host(inside, "host", &["10.0.0.2".parse().ok()?], &Link::PERFECT, discovery);
    net.command(host, MeasurementCommand::Start).ok()?;
    let _stop = net.run_for(Duration::from_secs(6));
    let mapping = net.events().iter().find_map(|record| match &record.event {
        DiscoveryEvent::Mapping { conclusion, .. } => conclusion.value().copied(),
        _ => None,
    })?;
    (mapping == Mapping::AddressAndPortDependent).then_some(())
}

/// `sim` and `audit`: an audit of a correct server finds no violation.
pub fn prove_audit() -> bool {
    audit().is_some()
}

fn audit() -> Option<()> {
    let server: SocketAddr = "192.0.2.1:3478".parse().ok()?;
    let mut net = Net::new(1);
    net.add_server(net.internet(), Server::new("server", server), &Link::PERFECT);
    let link = Link::delay(Duration::from_millis(25));
    let audit = Audit::new(AuditConfig::new(server));
    let host = net.add_host(net.internet(), "host", &["198.51.100.7".parse().ok()?], &link, audit);
    net.command(host, AuditCommand::Start).ok()?;
    let _stop = net.run_for(Duration::from_secs(6));
    let report = net.events().iter().find_map(|record| match &record.event {
        AuditEvent::Report(report) => Some(report),
        _ => None,
    })?;
    (report.is_answered() && report.violations().next().is_none()).then_some(())
}

/// `sim` and `ice`: a gatherer behind a NAT finds a host candidate and a reflexive candidate.
pub fn prove_ice() -> bool {
    gather().is_some()
}

fn gather() -> Option<()> {
    let (server, public): (SocketAddr, _) = ("192.0.2.1:3478".parse().ok()?, "203.0.113.7".parse().ok()?);
    let private = "10.0.0.2".parse().ok()?;
    let mut net = Net::new(1);
    let home = Gateway::new("home", [public], TranslatorConfig::home());
    let inside = net.add_gateway(net.internet(), home, &Link::delay(Duration::from_millis(25)));
    net.add_server(net.internet(), Server::new("server", server), &Link::PERFECT);
    let gatherer = Gatherer::new(GatherConfig::new().server(server)).ok()?;
    let host = net.add_host(inside, "host", &[private], &Link::PERFECT, gatherer);
    net.with(host, |gatherer, cx| gatherer.set_interfaces(cx, vec![Interface::new("eth0", private)]))?.ok()?;
    let _stop = net.run_for(Duration::from_secs(1));
    let is_complete = net.events().iter().any(|record| matches!(&record.event, GatherEvent::Complete(report) if report.found == 2));
    let found: Vec<_> = net.machine(host)?.candidates().map(|candidate| candidate.address.ip()).collect();
    (is_complete && found == [private, public]).then_some(())
}
