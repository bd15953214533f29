//! Wires with a bandwidth, and the resolution of neighbors.

use crate::datagrams::{P, at, host_behind, ip};
use crate::probe::{Probe, ProbeEvent};
use crate::streamer::{A, MS, Streamer, event_lines};
use core::time::Duration;
use portolan_machine::{Instant, Protocol, SocketId};
use portolan_nat::behavior::Filtering;
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Gateway, HostId, Ledger, Link, Net, SegmentId, Server};

/// The datagrams that arrived at a host: the time in milliseconds, and the bytes.
fn arrivals(net: &mut Net<Probe>, host: HostId) -> Vec<(u128, String)> {
    let events = net.take_events().into_iter().filter(|event| event.host == host);
    events
        .filter_map(|event| match event.event {
            ProbeEvent::Datagram { bytes, .. } => {
                let ms = event.at.since_origin().as_millis();
                Some((ms, String::from_utf8_lossy(&bytes).into_owned()))
            }
            ProbeEvent::Stream { .. } | ProbeEvent::Socket(..) => None,
        })
        .collect()
}

fn lines(arrivals: &[(u128, &str)]) -> Vec<(u128, String)> {
    arrivals.iter().map(|(ms, bytes)| (*ms, (*bytes).to_owned())).collect()
}

#[test]
fn datagrams_queue_at_a_slow_wire_and_the_last_are_dropped() {
    let mut net = Net::new(1);
    // 1,000 bytes a second: 72 bytes and 28 bytes of headers take 100 ms. Three such packets fit into the queue.
    let link = Link::delay(MS).bandwidth(1_000, 300);
    let a = net.add_host(net.internet(), "a", &[ip(A)], &link, Probe::default());
    let b = net.add_host(net.internet(), "b", &[ip("85.0.0.2")], &Link::PERFECT, Probe::default());
    net.record_story();
    for host in [a, b] {
        net.with(host, |host, cx| host.open(cx, Protocol::Udp, "0.0.0.0:7", None));
    }
    for n in 1..=5 {
        net.with(a, |a, _| a.send(SocketId(1), "85.0.0.2:7", format!("{n:072}")));
    }
    let _end = net.run_until(Instant::from_millis(250));
    net.with(a, |a, _| a.send(SocketId(1), "85.0.0.2:7", "brief"));
    let _end = net.run_for(Duration::from_secs(1));
    let times = arrivals(&mut net, b).into_iter().map(|(ms, text)| (ms, text.trim_start_matches('0').to_owned()));
    // The last packet has 33 bytes with its headers.
    assert_eq!(times.collect::<Vec<_>>(), lines(&[(101, "1"), (201, "2"), (301, "3"), (334, "brief")]));
    let (up, _) = net.host_stats(a);
    assert_eq!((up.sent, up.lost, up.tail_dropped, up.loss()), (6, 0, 2, 0.0));
    assert_eq!(net.ledger(), Ledger { sent: 6, delivered: 4, lost: 2, ..Ledger::default() });
    let drops = "0.000s a            has a full queue: drops 85.0.0.1:7 → 85.0.0.2:7\n";
    assert_eq!(net.story().matches(drops).count(), 2, "{}", net.story());
}

#[test]
fn twice_the_bandwidth_loses_half() {
    // `tick` every 10 ms is 3,200 bytes a second with headers.
    let (mut net, host, inside) = host_behind(TranslatorConfig::home(), &Link::delay(MS * 25).bandwidth(1_600, 64), 1);
    net.with(host, |probe, cx| {
        let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:0", Some(P));
        probe.repeat(cx, socket, P, 10_000);
    });
    let _end = net.run_for(Duration::from_secs(101));
    let (up, _) = net.uplink_stats(inside);
    assert_eq!((up.sent, up.lost), (10_000, 0));
    assert!((4_998..=5_000).contains(&up.tail_dropped), "{up:?}");
}

#[test]
fn a_net_that_was_reset_has_empty_queues() {
    let (mut net, host, inside) = host_behind(TranslatorConfig::home(), &Link::PERFECT.bandwidth(100, 0), 1);
    for seed in 1..4 {
        net.reset(seed);
        net.replace(host, Probe::default());
        net.with(host, |probe, cx| {
            let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:0", Some(P));
            probe.send(socket, P, "one");
            probe.send(socket, P, "two");
        });
        let (up, _) = net.uplink_stats(inside);
        assert_eq!((up.sent, up.tail_dropped), (2, 1));
    }
}

/// Three hosts in a segment that loses the first exchange of each pair, with a socket on port 7 each.
fn neighbors() -> (Net<Probe>, [HostId; 3]) {
    let mut net = Net::new(1);
    net.set_first_exchange_lost(net.internet(), true);
    let hosts = [A, "85.0.0.2", "85.0.0.3"]
        .map(|address| net.add_host(net.internet(), address, &[ip(address)], &Link::delay(MS), Probe::default()));
    for host in hosts {
        net.with(host, |host, cx| host.open(cx, Protocol::Udp, "0.0.0.0:7", None));
    }
    net.take_events();
    (net, hosts)
}

fn send(net: &mut Net<Probe>, from: HostId, to: &str, bytes: &str) {
    net.with(from, |from, _| from.send(SocketId(1), to, bytes));
}

#[test]
fn the_first_packets_to_a_new_neighbor_wait_a_second() {
    let (mut net, [a, b, c]) = neighbors();
    net.record_story();
    send(&mut net, a, "85.0.0.2:7", "?1");
    let _end = net.run_until(Instant::from_millis(400));
    send(&mut net, a, "85.0.0.2:7", "?2");
    let _end = net.run_until(Instant::from_millis(1_500));
    // The answers do not wait: the request for the address of `b` contained the address of `a`.
    let events: Vec<_> = net.events().iter().map(|event| (event.at.since_origin().as_millis(), event.host)).collect();
    assert_eq!(events, [(1_002, b), (1_002, b), (1_004, a), (1_004, a)]);
    send(&mut net, a, "85.0.0.2:7", "3");
    send(&mut net, b, "85.0.0.1:7", "4");
    net.take_events();
    let _end = net.run_until(Instant::from_millis(2_000));
    assert_eq!(arrivals(&mut net, b), lines(&[(1_502, "3")]));
    send(&mut net, a, "85.0.0.3:7", "5");
    let _end = net.run_until(Instant::from_millis(4_000));
    assert_eq!(arrivals(&mut net, c), lines(&[(3_002, "5")]), "another neighbor is resolved separately");
    let line = "85.0.0.1     loses its first request for a new neighbor: packets wait 1 s\n";
    assert_eq!(net.story().matches(line).count(), 2, "{}", net.story());
}

#[test]
fn a_neighbor_that_sends_first_opens_both_directions() {
    let (mut net, [a, b, _]) = neighbors();
    send(&mut net, a, "85.0.0.2:7", "waits");
    let _end = net.run_until(Instant::from_millis(300));
    send(&mut net, b, "85.0.0.1:7", "does not");
    let _end = net.run_until(Instant::from_millis(3_000));
    let events: Vec<_> = net.events().iter().map(|event| (event.at.since_origin().as_millis(), event.host)).collect();
    assert_eq!(events.len(), 2);
    assert!(events.contains(&(302, a)) && events.contains(&(302, b)), "{events:?}");
}

#[test]
fn the_last_256_packets_that_wait_for_a_neighbor_are_sent() {
    let (mut net, [a, b, _]) = neighbors();
    for n in 0..300 {
        send(&mut net, a, "85.0.0.2:7", &n.to_string());
    }
    let _end = net.run_until(Instant::from_millis(2_000));
    let arrived = arrivals(&mut net, b);
    assert!(arrived.iter().map(|(_, bytes)| bytes.clone()).eq((44..300).map(|n| n.to_string())));
    assert_eq!(net.ledger(), Ledger { sent: 300, delivered: 256, lost: 44, ..Ledger::default() });
}

#[test]
fn neighbors_are_removed_when_an_interface_goes_down_or_the_net_is_reset() {
    let (mut net, [a, b, _]) = neighbors();
    let waits = |net: &mut Net<Probe>| {
        let start = net.now();
        send(net, a, "85.0.0.2:7", "hi");
        let _end = net.run_for(Duration::from_secs(5));
        arrivals(net, b).first().map(|(ms, _)| ms - start.since_origin().as_millis())
    };
    assert_eq!((waits(&mut net), waits(&mut net)), (Some(1_002), Some(2)));
    net.set_interface(b, 0, false);
    net.set_interface(b, 0, true);
    assert_eq!((waits(&mut net), waits(&mut net)), (Some(1_002), Some(2)));
    // Packets that wait when the interface goes down are lost and counted.
    net.set_interface(a, 0, false);
    net.set_interface(a, 0, true);
    send(&mut net, a, "85.0.0.2:7", "lost");
    net.set_interface(a, 0, false);
    net.set_interface(a, 0, true);
    assert_eq!((net.ledger().lost, net.ledger().in_flight()), (1, 0));
    send(&mut net, a, "85.0.0.2:7", "gone");
    net.reset(2);
    for host in [a, b] {
        net.replace(host, Probe::default());
        net.with(host, |host, cx| host.open(cx, Protocol::Udp, "0.0.0.0:7", None));
    }
    assert_eq!(net.ledger(), Ledger::default());
    assert_eq!((waits(&mut net), waits(&mut net)), (Some(1_002), Some(2)));
    net.set_first_exchange_lost(net.internet(), false);
    net.reset(3);
    for host in [a, b] {
        net.replace(host, Probe::default());
        net.with(host, |host, cx| host.open(cx, Protocol::Udp, "0.0.0.0:7", None));
    }
    assert_eq!(waits(&mut net), Some(2), "in an ordinary segment all neighbors are resolved");
}

/// A host behind a gateway, in a segment that loses first exchanges, and a server on the Internet, 10 ms away.
fn host_behind_gateway() -> (Net<Probe>, HostId, SegmentId) {
    let mut net = Net::new(1);
    let nat = TranslatorConfig::home();
    let inside = net.add_gateway(net.internet(), Gateway::new("home", [ip("203.0.113.7")], nat), &Link::delay(MS * 10));
    net.set_first_exchange_lost(inside, true);
    let host = net.add_host(inside, "client", &[ip("10.0.0.2")], &Link::PERFECT, Probe::default());
    net.add_server(net.internet(), Server::new("stun", at(P)), &Link::PERFECT);
    (net, host, inside)
}

#[test]
fn a_gateway_is_resolved_as_a_neighbor_in_both_directions() {
    let (mut net, host, _) = host_behind_gateway();
    let round_trip = |net: &mut Net<Probe>| {
        let start = net.now();
        net.with(host, |probe, cx| {
            let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:0", Some(P));
            probe.send_request(cx, socket, P, None);
        });
        let _end = net.run_for(Duration::from_secs(5));
        let answer = net.events().iter().rfind(|event| event.event.mapped().is_some()).unwrap();
        (answer.at - start).as_millis()
    };
    assert_eq!((round_trip(&mut net), round_trip(&mut net)), (1_020, 20));
}

#[test]
fn a_gateway_resolves_the_host_inside_for_a_packet_from_outside() {
    let mut net = Net::new(1);
    let firewall = TranslatorConfig::firewall(Filtering::EndpointIndependent);
    let inside = net.add_gateway(net.internet(), Gateway::new("firewall", [], firewall), &Link::PERFECT);
    let a = net.add_host(inside, "a", &[ip(A)], &Link::PERFECT, Probe::default());
    let b = net.add_host(net.internet(), "b", &[ip("85.0.0.2")], &Link::PERFECT, Probe::default());
    for host in [a, b] {
        net.with(host, |host, cx| host.open(cx, Protocol::Udp, "0.0.0.0:7", None));
    }
    // A packet opens the firewall while neighbors are known. Then the neighbors inside are removed.
    send(&mut net, a, "85.0.0.2:7", "open");
    let _end = net.run_for(MS * 10);
    net.take_events();
    net.set_first_exchange_lost(inside, true);
    send(&mut net, b, "85.0.0.1:7", "in");
    let _end = net.run_for(Duration::from_secs(5));
    assert_eq!(arrivals(&mut net, a), lines(&[(1_010, "in")]));
    send(&mut net, a, "85.0.0.2:7", "out");
    let _end = net.run_for(MS);
    assert_eq!(arrivals(&mut net, b), lines(&[(5_010, "out")]), "the gateway is resolved already");
}

#[test]
fn the_first_segment_of_a_stream_waits_for_a_neighbor_too() {
    let mut net = Net::new(1);
    net.set_first_exchange_lost(net.internet(), true);
    let [a, b] = [A, "85.0.0.2"]
        .map(|address| net.add_host(net.internet(), "x", &[ip(address)], &Link::delay(MS * 5), Streamer::default()));
    net.with(b, |b, cx| b.open(cx, Protocol::TcpListen, "0.0.0.0:9", None));
    for (start, after) in [(0, 1_020), (5_000, 20)] {
        net.take_events();
        net.with(a, |a, cx| a.open(cx, Protocol::Tcp, "0.0.0.0:0", Some("85.0.0.2:9")));
        let _end = net.run_for(Duration::from_secs(5));
        let lines = event_lines(&mut net, [a, b], Instant::from_millis(start));
        assert!(lines[1].starts_with(&format!("{after} a s")) && lines[1].contains("opened"), "{lines:?}");
    }
}
