//! Interfaces that lose or change their addresses, broken paths, and their effect on streams and datagrams.

use crate::datagrams::{at, ip};
use crate::probe::{Probe, ProbeEvent};
use crate::streamer::{A, B, KIB, MS, Streamer, connected, event_lines, pattern};
use core::time::Duration;
use portolan_machine::{Instant, Protocol, Refusal, SocketEvent, SocketId, SocketOrder, Unreachability, WhenFull};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Barrier, Gateway, HostId, Link, Net};

const QUARTER: Duration = Duration::from_secs(15 * 60);

fn send(net: &mut Net<Streamer>, host: HostId, socket: SocketId, bytes: &[u8]) {
    net.with(host, |machine, _| machine.send(socket, bytes.to_vec(), WhenFull::Close));
}

#[test]
fn a_stream_ends_with_its_address_after_the_bytes_that_had_arrived() {
    let (mut net, hosts @ [a, b], [near, far]) = connected(&Link::PERFECT);
    let start = net.now();
    net.with(a, |a, _| a.order(SocketOrder::Pause(near)));
    send(&mut net, b, far, b"unread");
    let _end = net.run_for(MS * 30);
    net.set_addresses(a, 0, &[ip("85.0.0.77")]);
    let _end = net.run_for(MS * 30);
    assert_eq!(event_lines(&mut net, hosts, start), [""; 0], "it is paused");
    net.with(a, |a, _| a.order(SocketOrder::Resume(near)));
    let lines = event_lines(&mut net, hosts, start);
    assert_eq!(lines, ["60 a s1 takes 6 of 6", "60 a s1 closed: reset by the peer"]);

    // The peer gets no packet, and times out after fifteen failed retransmissions.
    let _end = net.run_for(QUARTER * 4);
    assert_eq!(event_lines(&mut net, hosts, start), [""; 0]);
    let start = net.now();
    send(&mut net, b, far, b"lost");
    assert_eq!(net.run_for(QUARTER * 4), portolan_sim::Stop::Idle);
    assert_eq!(event_lines(&mut net, hosts, start), ["924600 b s2 closed: timed out"]);
    assert_eq!(net.stream_count(), 0);
}

#[test]
fn a_broken_stream_is_reset_when_its_address_comes_back() {
    let (mut net, hosts @ [a, b], [_, far]) = connected(&Link::PERFECT);
    let start = net.now();
    net.set_addresses(a, 0, &[]);
    net.set_addresses(a, 0, &[ip(A)]);
    assert_eq!(event_lines(&mut net, hosts, start), ["0 a s1 closed: reset by the peer"]);
    send(&mut net, b, far, b"is it open?");
    let _end = net.run_for(MS * 100);
    assert_eq!(event_lines(&mut net, hosts, start), ["25 b s2 closed: reset by the peer"]);
    assert_eq!(net.stream_count(), 0);
}

#[test]
fn only_the_streams_of_the_lost_address_end() {
    let mut net = Net::new(1);
    let a = net.add_host(net.internet(), "a", &[ip("85.0.0.1"), ip("85.0.0.11")], &Link::PERFECT, Streamer::default());
    let b = net.add_host(net.internet(), "b", &[ip(B)], &Link::PERFECT, Streamer::default());
    net.with(b, |b, cx| b.open(cx, Protocol::TcpListen, "0.0.0.0:9", None));
    for local in ["85.0.0.1:0", "85.0.0.11:0"] {
        net.with(a, |a, cx| a.open(cx, Protocol::Tcp, local, Some("85.0.0.2:9")));
    }
    let _end = net.run_for(MS);
    net.take_events();
    net.set_addresses(a, 0, &[ip("85.0.0.11"), ip("85.0.0.12")]);
    assert_eq!(event_lines(&mut net, [a, b], Instant::ORIGIN), ["1 a s1 closed: reset by the peer"]);
    send(&mut net, a, SocketId(2), b"still here");
    let _end = net.run_for(MS);
    assert_eq!(net.machine(b).unwrap().taken, b"still here");
}

#[test]
fn bytes_wait_for_an_interface_that_comes_back_without_an_event() {
    let (mut net, hosts @ [a, b], [near, far]) = connected(&Link::PERFECT);
    net.with(b, |b, _| b.is_quiet = true);
    let (start, bytes) = (net.now(), pattern(100 * KIB));
    send(&mut net, a, near, &bytes[..40 * KIB]);
    let _end = net.run_for(MS * 10);
    // The bytes in transit are lost with the interface, and so are the bytes behind them.
    net.set_interface(b, 0, false);
    let _end = net.run_for(MS * 10);
    send(&mut net, a, near, &bytes[40 * KIB..60 * KIB]);
    let _end = net.run_for(Duration::from_secs(5));
    assert_eq!(net.machine(b).unwrap().taken.len(), 0);
    net.set_interface(b, 0, true);
    send(&mut net, a, near, &bytes[60 * KIB..]);
    let _end = net.run_for(Duration::from_secs(5));
    assert!(net.machine(b).unwrap().taken == bytes, "in order");
    // Retransmissions at 0.2, 0.6, 1.4, 3.0 and 6.2 seconds after the first loss at 25 ms. The last one succeeds.
    assert_eq!(event_lines(&mut net, hosts, start), [""; 0]);
    let backlog = net.stream_backlog(a, near).unwrap();
    assert_eq!((backlog.unsent, backlog.in_window), (0, 0));
    send(&mut net, b, far, b"back");
    let _end = net.run_for(MS * 25);
    assert_eq!(event_lines(&mut net, hosts, start).len(), 1);
}

/// The first segment was lost. It is retransmitted behind the second segment, which is still on the slow wire.
#[test]
fn segments_stay_in_order_when_an_interface_is_down_for_a_moment() {
    let (mut net, [a, b], [near, _]) = connected(&Link::PERFECT.bandwidth(2_841, 0));
    let bytes = pattern(1_989);
    send(&mut net, a, near, &bytes);
    let _end = net.run_for(MS * 225);
    net.set_interface(b, 0, false);
    let _end = net.run_for(MS * 328);
    net.set_interface(b, 0, true);
    let _end = net.run_for(Duration::from_secs(10));
    assert!(net.machine(b).unwrap().taken == bytes);
}

#[test]
fn retransmissions_are_spaced_as_on_linux() {
    let (mut net, [a, b], [near, _]) = connected(&Link::PERFECT);
    let start = net.now();
    net.set_interface(b, 0, false);
    send(&mut net, a, near, b"hello");
    let _end = net.run_until(start + MS * 3_100);
    net.set_interface(b, 0, true);
    let _end = net.run_until(start + MS * 6_224);
    assert_eq!(net.machine(b).unwrap().taken, b"", "the retransmission after that of 3.0 s comes at 6.2 s");
    let _end = net.run_until(start + MS * 6_225);
    assert_eq!(net.machine(b).unwrap().taken, b"hello");
}

#[test]
fn a_stream_whose_interface_stays_down_times_out_and_an_idle_one_does_not() {
    for (cut, seconds) in [("interface", 924), ("address", 924)] {
        let (mut net, hosts @ [a, b], [near, far]) = connected(&Link::PERFECT);
        let start = net.now();
        net.set_aborts_streams(a, false);
        match cut {
            "interface" => net.set_interface(a, 0, false),
            _ => net.set_addresses(a, 0, &[]),
        }
        let _end = net.run_for(QUARTER * 2);
        assert_eq!(event_lines(&mut net, hosts, start), [""; 0], "{cut}: nothing is sent, so nothing is reported");
        let start = net.now();
        send(&mut net, a, near, b"hello");
        send(&mut net, b, far, b"hello");
        let _end = net.run_for(QUARTER * 2);
        let lines = event_lines(&mut net, hosts, start);
        let expected = [format!("{seconds}600 a s1 closed: timed out"), format!("{seconds}600 b s2 closed: timed out")];
        assert_eq!(lines, expected, "{cut}");
        assert_eq!((net.stream_count(), net.machine(b).unwrap().taken.len()), (0, 0));
    }
}

#[test]
fn the_queue_for_a_broken_path_is_bounded() {
    let (mut net, hosts @ [a, b], [near, _]) = connected(&Link::PERFECT);
    net.set_interface(b, 0, false);
    let start = net.now();
    for _ in 0..256 {
        send(&mut net, a, near, &[7; KIB]);
    }
    assert_eq!(net.stream_backlog(a, near).unwrap().unsent, 256 * KIB);
    send(&mut net, a, near, b"!");
    let lines = event_lines(&mut net, hosts, start);
    assert_eq!(lines, ["0 a s1 full: the peer reads slowly", "0 a s1 closed: too many unsent bytes"]);
}

#[test]
fn a_stream_does_not_open_over_a_broken_path() {
    let (mut net, hosts @ [a, b], _) = connected(&Link::PERFECT);
    let open = |net: &mut Net<Streamer>| {
        let start = net.now();
        net.with(a, |a, cx| a.open(cx, Protocol::Tcp, "0.0.0.0:0", Some("85.0.0.2:9")));
        start
    };
    net.set_interface(b, 0, false);
    let start = open(&mut net);
    let _end = net.run_for(Duration::from_secs(60));
    assert_eq!(event_lines(&mut net, hosts, start), ["30000 a s2 refused: timed out"]);
    net.set_interface(b, 0, true);
    let start = open(&mut net);
    let _end = net.run_for(MS * 30);
    net.set_interface(a, 0, false);
    let _end = net.run_for(Duration::from_secs(60));
    let lines = event_lines(&mut net, hosts, start);
    assert!(lines[0].starts_with("25 b s1 accepted s3") && lines[1] == "30050 a s3 refused: timed out", "{lines:?}");
    net.set_interface(a, 0, true);
    let _end = net.run_for(Duration::from_secs(60));
    assert_eq!(net.stream_count(), 1, "the accepted end is reset, not left open");
}

#[test]
fn a_close_while_connecting_leaves_no_stream() {
    let (mut net, hosts @ [a, _], _) = connected(&Link::PERFECT);
    for (ms, lines) in [(10, &[][..]), (30, &["25 b s1 accepted", "75 b s3 closed: reset by the peer"])] {
        let start = net.now();
        let id = net.with(a, |a, cx| a.open(cx, Protocol::Tcp, "0.0.0.0:0", Some("85.0.0.2:9"))).unwrap();
        let _end = net.run_for(MS * ms);
        net.with(a, |a, _| a.order(SocketOrder::Close(id)));
        let _end = net.run_for(MS * 100);
        let received = event_lines(&mut net, hosts, start);
        assert!(
            received.len() == lines.len()
                && received.iter().zip(lines).all(|(received, line)| received.starts_with(line)),
            "{received:?}"
        );
        assert_eq!(net.stream_count(), 1);
    }
}

/// A host with these addresses, and a peer at 85.0.0.2:7 that echoes datagrams that begin with `?`.
fn probes(addresses: &[&str]) -> (Net<Probe>, HostId, HostId) {
    let mut net = Net::new(1);
    let addresses: Vec<_> = addresses.iter().map(|address| ip(address)).collect();
    let a = net.add_host(net.internet(), "a", &addresses, &Link::PERFECT, Probe::default());
    let b = net.add_host(net.internet(), "b", &[ip(B), ip("2a00::2")], &Link::delay(MS * 10), Probe::default());
    net.with(b, |b, cx| ["0.0.0.0:7", "[::]:7"].map(|local| b.open(cx, Protocol::Udp, local, None)));
    net.take_events();
    (net, a, b)
}

fn received(net: &mut Net<Probe>, host: HostId) -> Vec<ProbeEvent> {
    net.take_events().into_iter().filter(|event| event.host == host).map(|event| event.event).collect()
}

#[test]
fn a_machine_chooses_the_source_address_of_each_datagram() {
    let (mut net, a, b) = probes(&["85.0.0.1", "85.0.0.11", "2a00::1", "2a00::11"]);
    for (local, peer, sources) in [
        ("0.0.0.0:5000", "85.0.0.2:7", ["85.0.0.1", "85.0.0.11"]),
        ("[::]:5000", "[2a00::2]:7", ["2a00::1", "2a00::11"]),
    ] {
        let socket = net.with(a, |a, cx| a.open(cx, Protocol::Udp, local, None)).unwrap();
        for source in sources {
            received(&mut net, a);
            net.with(a, |a, _| a.send_from(socket, peer, source, "?hi"));
            let _end = net.run_for(MS * 20);
            let events = net.take_events();
            let on = |host| events.iter().find(|event| event.host == host).map(|event| &event.event);
            let source = core::net::SocketAddr::new(ip(source), 5000);
            assert!(matches!(on(b), Some(ProbeEvent::Datagram { remote, .. }) if *remote == source), "{events:?}");
            assert!(matches!(on(a), Some(ProbeEvent::Datagram { local, .. }) if *local == source), "{events:?}");
        }
    }
}

#[test]
fn a_source_address_that_the_socket_cannot_have_is_unreachable() {
    let (mut net, a, b) = probes(&["85.0.0.1", "85.0.0.11", "2a00::1"]);
    for (bound, peer, source) in [
        ("0.0.0.0:0", "85.0.0.2:7", "85.0.0.99"),
        ("0.0.0.0:0", "85.0.0.2:7", "85.0.0.2"),
        ("0.0.0.0:0", "85.0.0.2:7", "0.0.0.0"),
        ("0.0.0.0:0", "85.0.0.2:7", "2a00::1"),
        ("[::]:0", "[2a00::2]:7", "85.0.0.1"),
        ("85.0.0.1:0", "85.0.0.2:7", "85.0.0.11"),
    ] {
        let socket = net.with(a, |a, cx| a.open(cx, Protocol::Udp, bound, None)).unwrap();
        net.take_events();
        net.with(a, |a, _| a.send_from(socket, peer, source, "?hi"));
        let event = SocketEvent::Unreachable { remote: at(peer), why: Unreachability::SourceAddress };
        assert_eq!(received(&mut net, a), [ProbeEvent::Socket(socket, event)], "{bound} {source}");
        let _end = net.run_for(MS * 20);
        assert_eq!(received(&mut net, b), []);
    }
    assert_eq!(net.ledger().sent, 0);
    // The transmit may name the address that the socket is bound to.
    let socket = net.with(a, |a, cx| a.open(cx, Protocol::Udp, "85.0.0.11:0", None)).unwrap();
    net.with(a, |a, _| a.send_from(socket, "85.0.0.2:7", "85.0.0.11", "?hi"));
    assert_eq!(net.ledger().sent, 1);
}

#[test]
fn datagrams_follow_a_host_to_its_new_address() {
    let (mut net, a, b) = probes(&["85.0.0.1"]);
    net.record_story();
    let [any, bound] = ["0.0.0.0:5000", "85.0.0.1:6000"]
        .map(|local| net.with(a, |a, cx| a.open(cx, Protocol::Udp, local, None)).unwrap());
    let from_b = |net: &mut Net<Probe>, to: &str| {
        net.with(b, |b, _| b.send(SocketId(1), to, "hi"));
    };
    from_b(&mut net, "85.0.0.1:5000");
    net.take_events();
    net.set_addresses(a, 0, &[ip("85.0.0.77")]);
    let _end = net.run_for(MS * 20);
    assert_eq!(received(&mut net, a), [], "packets in transit are dropped");

    from_b(&mut net, "85.0.0.77:5000");
    net.with(a, |a, _| [any, bound].map(|socket| a.send(socket, "85.0.0.2:7", "hi")));
    let _end = net.run_for(MS * 20);
    let events: Vec<_> = net.take_events();
    let unreachable = SocketEvent::Unreachable { remote: at("85.0.0.2:7"), why: Unreachability::Network };
    assert!(events.iter().any(|event| event.event == ProbeEvent::Socket(bound, unreachable)), "{events:?}");
    let arrived = |host, remote: &str| {
        events.iter().any(|event| {
            event.host == host
                && matches!(&event.event, ProbeEvent::Datagram { remote: from, .. } if *from == at(remote))
        })
    };
    assert!(arrived(a, "85.0.0.2:7") && arrived(b, "85.0.0.77:5000"), "{events:?}");

    net.with(a, |a, cx| a.open(cx, Protocol::Udp, "85.0.0.1:0", None));
    let refused =
        |event: &ProbeEvent| matches!(event, ProbeEvent::Socket(_, SocketEvent::Refused(Refusal::AddressNotAvailable)));
    assert!(received(&mut net, a).iter().any(refused));
    assert_eq!(net.ledger().in_flight(), 0);
}

#[test]
fn a_packet_on_the_last_wire_does_not_reach_a_removed_address() {
    let (mut net, a, b) = probes(&["85.0.0.1"]);
    net.record_story();
    net.with(a, |a, cx| a.open(cx, Protocol::Udp, "0.0.0.0:5000", None));
    let _socket = net.with(a, |a, _| a.send(SocketId(1), "85.0.0.2:7", "?hi"));
    let _end = net.run_for(MS * 5);
    net.set_addresses(b, 0, &[ip("85.0.0.3")]);
    let _end = net.run_for(MS * 20);
    assert!(
        net.story().contains("b            has lost the address of 85.0.0.1:5000 → 85.0.0.2:7\n"),
        "{}",
        net.story()
    );
    assert_eq!((net.ledger().delivered, net.ledger().stranded, net.ledger().in_flight()), (0, 1, 0));
}

#[test]
fn an_address_behind_a_router_is_withdrawn_outside_too() {
    let mut net = Net::new(1);
    let gateway = Gateway::new("router", [ip("203.0.113.7")], TranslatorConfig::home()).ipv6(Barrier::Open);
    let inside = net.add_gateway(net.internet(), gateway, &Link::PERFECT);
    let [a, c] = [("a", "2a00::1"), ("c", "2a00::9")]
        .map(|(name, address)| net.add_host(inside, name, &[ip(address)], &Link::PERFECT, Probe::default()));
    let b = net.add_host(net.internet(), "b", &[ip("2a00:b::2")], &Link::PERFECT, Probe::default());
    for host in [a, b, c] {
        net.with(host, |host, cx| host.open(cx, Protocol::Udp, "[::]:7", None));
    }
    let reaches = |net: &mut Net<Probe>| {
        net.take_events();
        net.with(b, |b, _| b.send(SocketId(1), "[2a00::1]:7", "hi"));
        let _end = net.run_for(MS);
        let events = net.take_events();
        let datagram = events.iter().find(|event| matches!(event.event, ProbeEvent::Datagram { .. }));
        let unreachable = SocketEvent::Unreachable { remote: at("[2a00::1]:7"), why: Unreachability::Network };
        let is_unreachable = events.iter().any(|event| event.event == ProbeEvent::Socket(SocketId(1), unreachable));
        assert_eq!(is_unreachable, datagram.is_none(), "the Internet has no route to an unassigned address");
        datagram.map(|event| event.host)
    };
    assert_eq!(reaches(&mut net), Some(a));
    net.set_addresses(a, 0, &[]);
    assert_eq!(reaches(&mut net), None);
    net.set_addresses(a, 0, &[ip("2a00::1")]);
    assert_eq!(reaches(&mut net), Some(a));
    net.set_addresses(c, 0, &[ip("2a00::9"), ip("2a00::1")]);
    assert_eq!(reaches(&mut net), Some(c));
    net.set_addresses(a, 0, &[ip("2a00::5")]);
    assert_eq!(reaches(&mut net), Some(c), "the other host keeps what it has taken over");
}
