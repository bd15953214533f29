//! Datagrams through links, gateways and servers.

use crate::probe::{Probe, ProbeEvent};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, Protocol, SocketEvent, Unreachability};
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Gateway, HostId, Link, Net, SegmentId, Server, Stop};
use portolan_stun::ChangeRequest;

pub(crate) const P: &str = "192.0.2.1:3478";
const RTT: Duration = Duration::from_millis(50);

pub(crate) fn ip(text: &str) -> core::net::IpAddr {
    text.parse().unwrap()
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn host_behind(nat: TranslatorConfig, link: &Link, seed: u64) -> (Net<Probe>, HostId, SegmentId) {
    let mut net = Net::new(seed);
    let inside = net.add_gateway(net.internet(), Gateway::new("home", [ip("203.0.113.7")], nat), link);
    let host = net.add_host(inside, "client", &[ip("10.0.0.2")], &Link::PERFECT, Probe::default());
    net.set_counting_rng(host);
    let server = Server::new("stun", at(P)).alternate(at("192.0.2.2:3479"));
    net.add_server(net.internet(), server, &Link::PERFECT);
    (net, host, inside)
}

/// The source of the response and the mapped address in it, for a request from a fresh socket.
fn request_mapping(
    net: &mut Net<Probe>,
    host: HostId,
    change: Option<ChangeRequest>,
) -> Option<(SocketAddr, SocketAddr)> {
    net.take_events();
    net.with(host, |probe, cx| {
        let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:0", Some(P));
        probe.send_request(cx, socket, P, change);
    });
    let _end = net.run_for(Duration::from_secs(1));
    net.events().iter().find_map(|record| record.event.mapped())
}

#[test]
fn filtering_shows_as_rfc_5780_expects() {
    let (both, port) = (ChangeRequest::IP_AND_PORT, ChangeRequest::PORT);
    for (filtering, both_pass, port_passes) in [
        (Filtering::EndpointIndependent, true, true),
        (Filtering::AddressDependent, false, true),
        (Filtering::AddressAndPortDependent, false, false),
    ] {
        let nat = TranslatorConfig::new(Mapping::EndpointIndependent, filtering);
        let (mut net, host, _) = host_behind(nat, &Link::delay(RTT / 2), 1);
        let (from, seen) = request_mapping(&mut net, host, None).unwrap();
        assert_eq!((from, seen.ip()), (at(P), ip("203.0.113.7")));
        let answer = request_mapping(&mut net, host, Some(both));
        assert_eq!(answer.map(|(from, _)| from), both_pass.then_some(at("192.0.2.2:3479")));
        let answer = request_mapping(&mut net, host, Some(port));
        assert_eq!(answer.map(|(from, _)| from), port_passes.then_some(at("192.0.2.1:3479")));
    }
}

#[test]
fn mapping_shows_as_rfc_5780_expects() {
    for (mapping, same) in [
        (Mapping::EndpointIndependent, [true, true]),
        (Mapping::AddressDependent, [false, true]),
        (Mapping::AddressAndPortDependent, [false, false]),
    ] {
        let nat = TranslatorConfig::home().mapping(mapping).ports(PortAllocation::Random);
        let (mut net, host, _) = host_behind(nat, &Link::delay(RTT / 2), 1);
        net.with(host, |probe, cx| {
            let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:0", Some(P));
            for to in [P, "192.0.2.2:3478", "192.0.2.2:3479"] {
                probe.send_request(cx, socket, to, None);
            }
        });
        assert_eq!(net.run_for(RTT), Stop::Idle);
        let seen: Vec<SocketAddr> =
            net.events().iter().filter_map(|h| h.event.mapped()).map(|(_, seen)| seen).collect();
        let [first, second, third] = seen[..] else { panic!("{seen:?}") };
        assert_eq!([first == second, second == third], same, "{mapping}");
        assert_eq!(net.events().last().unwrap().at, Instant::ORIGIN + RTT);
    }
}

#[test]
fn the_configured_loss_is_the_measured_loss() {
    for (loss, slack) in [(0.0, 0.0), (0.02, 0.005), (0.05, 0.007), (0.1, 0.01)] {
        let (mut net, host, inside) = host_behind(TranslatorConfig::home(), &Link::delay(RTT / 2).loss(loss), 3);
        net.with(host, |probe, cx| {
            let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:0", Some(P));
            probe.repeat(cx, socket, P, 10_000);
        });
        let _end = net.run_for(Duration::from_secs(101));
        let (up, _) = net.uplink_stats(inside);
        assert_eq!(up.sent, 10_000);
        assert!((up.loss() - loss).abs() <= slack, "{loss}: {up:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let run = |seed| {
        let link = Link::delay(RTT / 2).loss(0.1).jitter(RTT).duplication(0.1).reordering(0.1, RTT);
        let (mut net, host, _) = host_behind(TranslatorConfig::symmetric(), &link, seed);
        net.record_story();
        for _ in 0..2 {
            for _ in 0..20 {
                request_mapping(&mut net, host, None);
                request_mapping(&mut net, host, Some(ChangeRequest::PORT));
            }
            let first = net.story().to_owned();
            if net.seed() != seed {
                return first;
            }
            // A second run on the same map starts like the first.
            net.reset(seed + 1);
            net.replace(host, Probe::default());
        }
        unreachable!("the second round returns")
    };
    assert_eq!(run(1), run(1));
    let (mut fresh, host, _) = host_behind(
        TranslatorConfig::symmetric(),
        &Link::delay(RTT / 2).loss(0.1).jitter(RTT).duplication(0.1).reordering(0.1, RTT),
        2,
    );
    fresh.record_story();
    for _ in 0..20 {
        request_mapping(&mut fresh, host, None);
        request_mapping(&mut fresh, host, Some(ChangeRequest::PORT));
    }
    assert_eq!(fresh.story(), run(1), "a net after a reset equals a new one");
    assert_ne!(run(1), run(2));
}

#[test]
fn icmp_errors_reach_the_sending_socket() {
    let (mut net, host, _) = host_behind(TranslatorConfig::home(), &Link::delay(RTT / 2), 1);
    for (to, hops, why, after) in [
        ("192.0.2.1:9", 64, Unreachability::Port, RTT),
        ("192.0.2.99:9", 64, Unreachability::Network, RTT),
        (P, 1, Unreachability::HopLimit, Duration::ZERO),
        (P, 2, Unreachability::HopLimit, RTT),
    ] {
        net.take_events();
        let before = net.now();
        let id = net.with(host, |probe, cx| {
            let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:0", Some(P));
            probe.send_hops(socket, to, hops);
            socket
        });
        let _end = net.run_for(Duration::from_secs(1));
        let last = net.events().last().unwrap();
        let event = SocketEvent::Unreachable { remote: at(to), why };
        assert_eq!((&last.event, last.at), (&ProbeEvent::Socket(id.unwrap(), event), before + after));
    }
}

#[test]
fn a_second_order_with_a_known_id_is_ignored() {
    let (mut net, host, _) = host_behind(TranslatorConfig::home(), &Link::PERFECT, 1);
    net.record_story();
    let id = net.with(host, |probe, cx| probe.open(cx, Protocol::Udp, "0.0.0.0:7", None)).unwrap();
    net.with(host, |probe, _| probe.open_as(id, Protocol::Tcp, "0.0.0.0:8", Some(P)));
    assert_eq!(net.run_for(Duration::from_secs(60)), Stop::Idle);
    assert_eq!(net.events().len(), 1, "{:?}", net.events());
    assert!(net.story().ends_with("client       knows s1 already: nothing happens\n"), "{}", net.story());
}
