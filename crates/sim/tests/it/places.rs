//! Chains of gateways, hosts with several interfaces, hairpinning, and the preset topologies.

use crate::datagrams::{at, ip};
use crate::probe::{Probe, ProbeEvent};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Protocol, Refusal, SocketEvent, Unreachability};
use portolan_nat::behavior::Hairpin;
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Gateway, HostId, Lab, Link, Net, Preset, Server, Topology};

/// The mapped address of the client of a topology, for each family.
fn seen(preset: Preset) -> [Option<SocketAddr>; 2] {
    let mut lab: Lab<Probe> = Topology::preset(preset).build(1, Probe::default());
    [true, false].map(|ipv4| {
        let [(_, server), _] = lab.servers(ipv4);
        let (any, server) = (if ipv4 { "0.0.0.0:0" } else { "[::]:0" }, server.to_string());
        lab.net.take_events();
        lab.net.with(lab.client, |probe, cx| {
            let socket = probe.open(cx, Protocol::Udp, any, Some(&server));
            probe.send_request(cx, socket, &server, None);
        });
        let _end = lab.net.run_for(Duration::from_secs(1));
        lab.net.events().iter().find_map(|record| record.event.mapped()).map(|(_, seen)| seen)
    })
}

#[test]
fn each_preset_has_the_expected_mapped_address() {
    let [router, client] = [["85.0.0.1", "2a00:85::1"], ["85.0.0.2", "2a00:85::2"]].map(|both| both.map(ip));
    for (preset, expected) in [
        (Preset::Open, [Some(client[0]), Some(client[1])]),
        (Preset::Home, [Some(router[0]), Some(client[1])]),
        (Preset::Cgnat, [Some(router[0]), None]),
        (Preset::Symmetric, [Some(router[0]), None]),
        (Preset::Firewall, [Some(client[0]), Some(client[1])]),
        (Preset::Blocked, [None, None]),
        (Preset::Offline, [None, None]),
    ] {
        assert_eq!(seen(preset).map(|seen| seen.map(|seen| seen.ip())), expected, "{preset}");
    }
}

#[test]
fn a_host_without_a_cable_gets_unreachable_in_a_second_run_too() {
    let mut lab = Topology::preset(Preset::Offline).build(1, Probe::default());
    lab.net.reset(2);
    lab.net.with(lab.client, |probe, cx| {
        probe.open(cx, Protocol::Udp, "0.0.0.0:0", Some("50.0.0.1:3478"));
        let bound = probe.open(cx, Protocol::Udp, "0.0.0.0:7", None);
        probe.send(bound, "50.0.0.1:3478", "hello");
    });
    let received: Vec<_> = lab.net.events().iter().map(|record| &record.event).collect();
    let unreachable = SocketEvent::Unreachable { remote: at("50.0.0.1:3478"), why: Unreachability::Network };
    assert!(
        matches!(received[..], [
            ProbeEvent::Socket(_, SocketEvent::Refused(Refusal::NoRoute)),
            ProbeEvent::Socket(_, SocketEvent::Opened { .. }),
            ProbeEvent::Socket(_, event)
        ] if *event == unreachable),
        "{received:?}"
    );
}

/// Two hosts behind one full-cone NAT, each with a mapping for port 5000.
fn two_behind_one_nat(hairpin: Hairpin) -> (Net<Probe>, HostId, HostId) {
    let mut net = Net::new(1);
    let nat = TranslatorConfig::full_cone().hairpin(hairpin);
    let home = Gateway::new("home", [ip("203.0.113.7")], nat);
    let inside = net.add_gateway(net.internet(), home, &Link::PERFECT);
    let [a, b] = ["10.0.0.2", "10.0.0.3"]
        .map(|address| net.add_host(inside, address, &[ip(address)], &Link::PERFECT, Probe::default()));
    net.add_server(net.internet(), Server::new("stun", at("192.0.2.1:3478")), &Link::PERFECT);
    for host in [a, b] {
        net.with(host, |probe, cx| {
            let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:5000", Some("192.0.2.1:3478"));
            probe.send_request(cx, socket, "192.0.2.1:3478", None);
        });
    }
    let _end = net.run_for(Duration::ZERO);
    (net, a, b)
}

#[test]
fn hosts_reach_external_addresses_of_each_other_only_with_hairpinning() {
    for (hairpin, source) in [
        (Hairpin::None, None),
        (Hairpin::ExternalSource, Some("203.0.113.7:5000")),
        (Hairpin::InternalSource, Some("10.0.0.2:5000")),
    ] {
        let (mut net, a, b) = two_behind_one_nat(hairpin);
        net.take_events();
        net.with(a, |probe, _| probe.send(portolan_machine::SocketId(1), "203.0.113.7:5001", "hello"));
        let _end = net.run_for(Duration::from_secs(1));
        let received = net.events().iter().find(|record| record.host == b).map(|record| &record.event);
        match source {
            None => assert_eq!(received, None),
            Some(source) => {
                assert!(
                    matches!(received, Some(ProbeEvent::Datagram { remote, .. }) if *remote == at(source)),
                    "{received:?}"
                );
            }
        }
        // Inside the gateway, the hosts always reach each other.
        net.take_events();
        net.with(a, |probe, _| probe.send(portolan_machine::SocketId(1), "10.0.0.3:5000", "hello"));
        let _end = net.run_for(Duration::from_secs(1));
        assert!(
            matches!(&net.events()[0].event, ProbeEvent::Datagram { remote, .. } if *remote == at("10.0.0.2:5000"))
        );
    }
}

#[test]
fn a_host_with_two_interfaces_uses_the_one_with_a_route() {
    let mut net = Net::new(1);
    let two = ["203.0.113.7", "198.51.100.7"].map(|address| {
        net.add_gateway(net.internet(), Gateway::new(address, [ip(address)], TranslatorConfig::home()), &Link::PERFECT)
    });
    let servers = ["192.0.2.1:3478", "192.0.2.9:3478"];
    for server in servers {
        net.add_server(net.internet(), Server::new(server, at(server)), &Link::PERFECT);
    }
    let host = net.add_host(two[0], "client", &[ip("10.0.0.2")], &Link::PERFECT, Probe::default());
    net.add_interface(host, two[1], &[ip("10.0.1.2")], &Link::PERFECT);
    net.add_route(host, ip("192.0.2.9"), 1);
    let measure = |net: &mut Net<Probe>| {
        net.take_events();
        net.with(host, |probe, cx| {
            let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:0", Some(servers[0]));
            servers.iter().for_each(|server| probe.send_request(cx, socket, server, None));
        });
        let _end = net.run_for(Duration::from_secs(1));
        let seen = net.events().iter().filter_map(|record| record.event.mapped());
        seen.map(|(_, seen)| seen.ip()).collect::<Vec<_>>()
    };
    assert_eq!(measure(&mut net), [ip("203.0.113.7"), ip("198.51.100.7")]);
    net.set_interface(host, 1, false);
    assert_eq!(measure(&mut net), [ip("203.0.113.7"), ip("203.0.113.7")]);
}
