//! TCP: accepted, refused and unanswered connections, the order of bytes, and closing.

use crate::datagrams::{P, at, host_behind, ip};
use crate::probe::{Probe, ProbeEvent, request};
use core::time::Duration;
use portolan_machine::{Closure, Instant, Protocol, Refusal, SocketEvent};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::server::Tcp;
use portolan_sim::{Barrier, Gateway, HostId, Link, Net, Server};
use portolan_stun::Message;

const RTT: Duration = Duration::from_millis(50);
const ANY: &str = "0.0.0.0:0";

/// The result of a connection from the first host of `net`, and its time.
fn connect(net: &mut Net<Probe>, host: HostId, to: &str) -> (SocketEvent, Duration) {
    net.take_events();
    let before = net.now();
    let id = net.with(host, |probe, cx| probe.open(cx, Protocol::Tcp, ANY, Some(to)));
    let _end = net.run_for(Duration::from_secs(60));
    let event = net.events().iter().find_map(|record| match record.event {
        ProbeEvent::Socket(socket, event) if Some(socket) == id => Some((event, record.at - before)),
        ProbeEvent::Datagram { .. } | ProbeEvent::Stream { .. } | ProbeEvent::Socket(..) => None,
    });
    event.expect("each order is answered once")
}

#[test]
fn a_server_accepts_refuses_or_does_not_answer() {
    let mut net = Net::new(1);
    let home = Gateway::new("home", [ip("203.0.113.7")], TranslatorConfig::home());
    let inside = net.add_gateway(net.internet(), home, &Link::delay(RTT / 2).loss(0.5));
    let host = net.add_host(inside, "client", &[ip("10.0.0.2")], &Link::PERFECT, Probe::default());
    for (n, tcp) in [Tcp::Accepts, Tcp::Refuses, Tcp::Silent].into_iter().enumerate() {
        let server = Server::new("stun", at(&format!("192.0.2.{n}:3478"))).tcp(tcp);
        net.add_server(net.internet(), server, &Link::PERFECT);
    }
    let (event, after) = connect(&mut net, host, "192.0.2.0:443");
    assert!(matches!(event, SocketEvent::Opened { local } if local.ip() == ip("10.0.0.2") && local.port() != 0));
    assert_eq!(after, RTT);
    let refused = SocketEvent::Refused(Refusal::ConnectionRefused);
    assert_eq!(connect(&mut net, host, "192.0.2.1:443"), (refused, RTT));
    assert_eq!(connect(&mut net, host, "192.0.2.2:443").0, SocketEvent::Refused(Refusal::TimedOut));
    assert_eq!(connect(&mut net, host, "192.0.2.9:443"), (SocketEvent::Refused(Refusal::NoRoute), RTT));
}

#[test]
fn gateways_that_block_udp_pass_tcp_by_default() {
    for (barrier, event) in [
        (Barrier::UDP_BLOCKED, None),
        (Barrier::SILENT, Some(Refusal::TimedOut)),
        (Barrier::Blocked { udp: true, tcp: true, sends_icmp: true }, Some(Refusal::NoRoute)),
    ] {
        let mut net = Net::new(1);
        let inside = net.add_gateway(net.internet(), Gateway::new("hotel", [], barrier), &Link::PERFECT);
        let host = net.add_host(inside, "client", &[ip("85.0.0.2")], &Link::PERFECT, Probe::default());
        net.add_server(net.internet(), Server::new("stun", at(P)), &Link::PERFECT);
        let (received, _) = connect(&mut net, host, P);
        match event {
            None => assert!(matches!(received, SocketEvent::Opened { .. })),
            Some(why) => assert_eq!(received, SocketEvent::Refused(why)),
        }
    }
}

#[test]
fn a_binding_over_tcp_returns_the_mapped_address() {
    let (mut net, host, _) = host_behind(TranslatorConfig::home(), &Link::delay(RTT / 2), 1);
    let id = net.with(host, |probe, cx| probe.open(cx, Protocol::Tcp, ANY, Some(P))).unwrap();
    let _end = net.run_for(RTT);
    net.with(host, |probe, _| probe.send(id, P, request([1; 12], &[])));
    let _end = net.run_for(RTT);
    let Some(ProbeEvent::Stream { bytes, .. }) = net.events().last().map(|record| &record.event) else {
        panic!("{:?}", net.events());
    };
    let seen = Message::decode(bytes).unwrap().xor_mapped_address().unwrap();
    assert_eq!(seen.ip(), ip("203.0.113.7"));
}

/// Two hosts on the Internet, one listening on port 9.
fn two() -> (Net<Probe>, HostId, HostId) {
    let mut net = Net::new(1);
    let link = Link::delay(RTT / 4);
    let [a, b] = ["85.0.0.1", "85.0.0.2"]
        .map(|address| net.add_host(net.internet(), address, &[ip(address)], &link, Probe::default()));
    net.with(b, |probe, cx| probe.open(cx, Protocol::TcpListen, "0.0.0.0:9", None));
    (net, a, b)
}

#[test]
fn a_listener_accepts_and_bytes_go_both_ways_in_order() {
    let (mut net, a, b) = two();
    let id = net.with(a, |probe, cx| probe.open(cx, Protocol::Tcp, ANY, Some("85.0.0.2:9"))).unwrap();
    let _end = net.run_for(RTT);
    let accepted = net.events().iter().find_map(|h| match h.event {
        ProbeEvent::Socket(_, SocketEvent::Accepted { socket, remote, local }) => Some((h.host, socket, remote, local)),
        ProbeEvent::Datagram { .. } | ProbeEvent::Stream { .. } | ProbeEvent::Socket(..) => None,
    });
    let (host, accepted, remote, local) = accepted.unwrap();
    assert_eq!((host, remote.ip(), local), (b, ip("85.0.0.1"), at("85.0.0.2:9")));
    net.take_events();
    net.with(a, |probe, _| ["?one", "?two", "?three"].map(|text| probe.send(id, "85.0.0.2:9", text)));
    let _end = net.run_for(RTT);
    let chunks = |host| {
        let on_host = net.events().iter().filter(move |record| record.host == host);
        on_host.filter_map(|h| match &h.event {
            ProbeEvent::Stream { bytes, socket, .. } => Some((*socket, String::from_utf8_lossy(bytes).into_owned())),
            ProbeEvent::Datagram { .. } | ProbeEvent::Socket(..) => None,
        })
    };
    assert!(chunks(b).eq(["?one", "?two", "?three"].map(|text| (accepted, text.to_owned()))));
    assert!(chunks(a).eq(["one", "two", "three"].map(|text| (id, text.to_owned()))));
}

#[test]
fn a_close_is_reported_only_to_the_peer() {
    let (mut net, a, b) = two();
    let id = net.with(a, |probe, cx| probe.open(cx, Protocol::Tcp, ANY, Some("85.0.0.2:9"))).unwrap();
    let _end = net.run_for(RTT);
    net.take_events();
    net.with(a, |probe, _| {
        probe.send(id, "85.0.0.2:9", "?last");
        probe.close(id);
    });
    assert_eq!(net.run_for(RTT), portolan_sim::Stop::Idle);
    let received: Vec<_> = net.events().iter().map(|record| (record.host, &record.event)).collect();
    let [
        (first, ProbeEvent::Stream { bytes, .. }),
        (second, ProbeEvent::Socket(_, SocketEvent::Closed(Closure::ByPeer))),
    ] = received[..]
    else {
        panic!("{received:?}");
    };
    assert_eq!((first, second, &bytes[..]), (b, b, &b"?last"[..]), "queued bytes are sent before the end");
    assert_eq!(net.now(), Instant::ORIGIN + RTT * 2);
}

#[test]
fn a_host_refuses_connections_to_closed_ports_unless_it_is_silent() {
    let (mut net, a, b) = two();
    assert_eq!(connect(&mut net, a, "85.0.0.2:10").0, SocketEvent::Refused(Refusal::ConnectionRefused));
    net.set_rejects(b, false);
    assert_eq!(connect(&mut net, a, "85.0.0.2:10").0, SocketEvent::Refused(Refusal::TimedOut));
}
