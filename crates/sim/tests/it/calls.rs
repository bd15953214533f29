//! Delayed calls, and hosts with different machines in one net.

use crate::datagrams::{at, ip};
use crate::probe::{Probe, ProbeEvent};
use crate::streamer::{MS, Streamer};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Either, Instant, Protocol, SocketEvent, SocketId, WhenFull};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Gateway, HostId, Link, Net, Server, Stop};

#[test]
fn delayed_calls_run_at_their_time_and_in_order() {
    let mut net = Net::new(1);
    let host = net.add_host(net.internet(), "a", &[ip("85.0.0.1")], &Link::PERFECT, Streamer::default());
    net.record_story();
    let append = |net: &mut Net<Streamer>, ms: u64, what: &'static str| {
        net.after(host, MS * u32::try_from(ms).unwrap(), move |host, cx| {
            assert_eq!(cx.now(), Instant::from_millis(ms));
            host.taken.extend_from_slice(what.as_bytes());
        });
    };
    append(&mut net, 20, "c");
    append(&mut net, 10, "a");
    append(&mut net, 10, "b");
    let _end = net.run_until(Instant::from_millis(9));
    assert_eq!(net.machine(host).unwrap().taken, b"");
    let _end = net.run_until(Instant::from_millis(10));
    assert_eq!(net.machine(host).unwrap().taken, b"ab");
    assert_eq!(net.run_for(Duration::from_secs(1)), Stop::Idle);
    assert_eq!(net.machine(host).unwrap().taken, b"abc");
    assert!(net.story().contains("0.020s a            is called by its owner\n"), "{}", net.story());
}

#[test]
fn the_outputs_of_a_call_are_handled_at_once() {
    let mut net = Net::new(1);
    let host = net.add_host(net.internet(), "a", &[ip("85.0.0.1")], &Link::PERFECT, Probe::default());
    net.after(host, MS * 7, |probe, cx| {
        probe.open(cx, Protocol::Udp, "0.0.0.0:7", None);
    });
    let _end = net.run_for(MS * 7);
    let opened = ProbeEvent::Socket(SocketId(1), SocketEvent::Opened { local: at("0.0.0.0:7") });
    assert_eq!(net.events().iter().map(|event| &event.event).collect::<Vec<_>>(), [&opened]);
}

#[test]
fn a_reset_drops_pending_calls() {
    let mut net = Net::new(1);
    let host = net.add_host(net.internet(), "a", &[ip("85.0.0.1")], &Link::PERFECT, Streamer::default());
    net.after(host, MS, |host, _| host.taken.push(1));
    net.reset(2);
    assert_eq!(net.run_for(Duration::from_secs(1)), Stop::Idle);
    assert_eq!(net.machine(host).unwrap().taken, b"");
}

/// Two clients behind NATs exchange their addresses over a signaling path of 80 ms, and connect.
#[test]
fn clients_connect_through_a_signaling_path() {
    let mut net = Net::new(1);
    net.add_server(net.internet(), Server::new("stun", at("192.0.2.1:3478")), &Link::PERFECT);
    let hosts = ["203.0.113.7", "198.51.100.7"].map(|outside| {
        let gateway = Gateway::new(outside, [ip(outside)], TranslatorConfig::home());
        let inside = net.add_gateway(net.internet(), gateway, &Link::delay(MS * 20));
        net.add_host(inside, "client", &[ip("10.0.0.2")], &Link::PERFECT, Probe::default())
    });
    for host in hosts {
        net.with(host, |probe, cx| {
            let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:5000", Some("192.0.2.1:3478"));
            probe.send_request(cx, socket, "192.0.2.1:3478", None);
        });
    }
    let _end = net.run_for(MS * 40);
    let seen: Vec<(HostId, SocketAddr)> = net
        .take_events()
        .into_iter()
        .filter_map(|event| event.event.mapped().map(|(_, mapped)| (event.host, mapped)))
        .collect();
    for (host, mapped) in seen {
        let peer = if host == hosts[0] { hosts[1] } else { hosts[0] };
        net.after(peer, MS * 80, move |probe, _| probe.send(SocketId(1), &mapped.to_string(), "hello"));
    }
    let _end = net.run_for(Duration::from_secs(1));
    let received: Vec<_> = net.events().iter().map(|event| (event.host, event.at.since_origin().as_millis())).collect();
    assert_eq!(received, [(hosts[0], 160), (hosts[1], 160)], "{:?}", net.events());
}

/// A net in which one host measures the NAT and another one serves streams.
#[test]
fn hosts_with_two_types_of_machines_share_a_net() {
    let mut net: Net<Either<Probe, Streamer>> = Net::new(1);
    let a = net.add_host(net.internet(), "a", &[ip("85.0.0.1")], &Link::PERFECT, Either::First(Probe::default()));
    let b = net.add_host(net.internet(), "b", &[ip("85.0.0.2")], &Link::PERFECT, Either::Second(Streamer::default()));
    net.record_story();
    net.with(b, |host, cx| host.as_second_mut().unwrap().open(cx, Protocol::TcpListen, "0.0.0.0:9", None));
    let id =
        net.with(a, |host, cx| host.as_first_mut().unwrap().open(cx, Protocol::Tcp, "0.0.0.0:0", Some("85.0.0.2:9")));
    let _end = net.run_for(MS);
    net.with(a, |host, _| host.as_first_mut().unwrap().send(id.unwrap(), "85.0.0.2:9", "ping"));
    let _end = net.run_for(MS);
    net.with(b, |host, _| host.as_second_mut().unwrap().send(SocketId(2), "pong", WhenFull::Close));
    let _end = net.run_for(MS);
    assert_eq!(net.machine(b).unwrap().as_second().unwrap().taken, b"ping");
    let last = net.events().last().unwrap();
    assert!(matches!(&last.event, Either::First(ProbeEvent::Stream { bytes, .. }) if bytes == b"pong"), "{last:?}");
    assert!(net.story().contains("b            s2 brings 4 bytes from 85.0.0.1:"), "{}", net.story());
}
