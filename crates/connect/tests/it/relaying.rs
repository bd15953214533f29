//! Data over virtual sockets: both ways, before a permission exists, and to peers that the server refuses.

use crate::lab::{Lab, RTT, SERVER, TLS_SERVER, addr, client_config, credential, ip};
use crate::server::Refusal;
use core::net::{IpAddr, SocketAddr};
use portolan_connect::{RelayClosure, RelayCommand, RelayEvent};
use portolan_machine::{Protocol, SocketId, Unreachability};
use portolan_sim::Link;
use portolan_stun::{AddressFamily, Method};
use portolan_turn::{ClientConfig, ClientFailure, Outcome};

/// The Unreachable events: the time, the peer, the port and the reason.
fn unreachable(lab: &Lab) -> Vec<(u64, IpAddr, Option<u16>, Unreachability)> {
    let events = lab.events().into_iter();
    let unreachable = events.filter_map(|(at, event)| match event {
        RelayEvent::Unreachable { peer, port, why, .. } => Some((at, peer, port, why)),
        _ => None,
    });
    unreachable.collect()
}

/// The times of the requests for permissions of a peer at the server.
fn requests(lab: &Lab, peer: IpAddr) -> Vec<u64> {
    let of_peer =
        lab.gate().requests.iter().filter(|(_, method, of)| *method == Method::CREATE_PERMISSION && of.ip() == peer);
    of_peer.map(|(at, ..)| *at).collect()
}

#[test]
fn a_virtual_socket_carries_datagrams_both_ways() {
    for borrows in [true, false] {
        let mut lab = Lab::with(1, borrows);
        let (host, peer) = lab.add_peer();
        lab.command(RelayCommand::Start(client_config()));
        lab.run(1_000);
        let events = lab.events();
        let [(at, RelayEvent::Opened { socket, local, mapped, server })] = &events[..] else { panic!("{events:?}") };
        assert_eq!((*at, *server, mapped.ip()), (2 * RTT, addr(SERVER), ip("85.0.0.1")), "a challenge costs one RTT");
        assert_eq!((lab.net_socket(), lab.relayed()), (Some(*socket), *local));

        lab.send(peer, b"to the peer");
        lab.run(1_000);
        let at_peer = &lab.echo(host).received[0];
        assert_eq!((at_peer.remote, &at_peer.payload[..]), (*local, &b"to the peer"[..]));
        let returned = &lab.received()[0];
        assert_eq!((returned.socket, returned.local, returned.remote), (*socket, *local, peer));

        // Another port of the same address has the permission too.
        lab.command(RelayCommand::AddChannel { peer });
        lab.run(1_000);
        assert_eq!(lab.party().relay().client().channel(peer), Some(0x4000));
        assert!(lab.echoes(peer, b"by channel"), "borrows: {borrows}");
        lab.command(RelayCommand::Close);
        lab.run(RTT);
        let ends = [
            (lab.now() - RTT, RelayEvent::Closed { socket: *socket, why: RelayClosure::ByOwner }),
            (lab.now(), RelayEvent::Ended),
        ];
        assert_eq!(lab.events()[1..], ends);
        assert_eq!((lab.allocations(), lab.net_socket()), (0, None));
    }
}

#[test]
fn a_virtual_socket_over_a_stream_carries_datagrams_of_every_size() {
    for (protocol, server) in [(Protocol::Tcp, SERVER), (Protocol::Tls, TLS_SERVER)] {
        let mut lab = Lab::new(2);
        let (host, peer) = lab.add_peer();
        lab.command(RelayCommand::Start(ClientConfig::new(addr(server), credential("ann")).protocol(protocol)));
        lab.run(2_000);
        let payload = |length: usize| (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>();
        let sizes: Vec<usize> = (0..=64).chain([159, 160, 161, 1_000, 1_399, 1_400]).collect();
        for (count, size) in sizes.iter().enumerate() {
            if count == 32 {
                lab.command(RelayCommand::AddChannel { peer });
            }
            lab.send(peer, &payload(*size));
            lab.run(2 * RTT);
        }
        let expected: Vec<_> = sizes.iter().map(|size| payload(*size)).collect();
        let at_peer: Vec<_> = lab.echo(host).received.iter().map(|received| received.payload.clone()).collect();
        assert_eq!((at_peer, lab.payloads()), (expected.clone(), expected), "{protocol}");
        // The socket has a local port of the system; the peer saw the relayed address.
        assert!(lab.received().iter().all(|received| received.local == lab.relayed() && received.remote == peer));
    }
}

#[test]
fn the_first_datagrams_wait_for_the_permission_and_arrive_in_order() {
    let mut lab = Lab::allocated(3, client_config());
    let (host, peer) = lab.add_peer();
    let start = lab.now();
    for number in 0..10_u8 {
        lab.send(peer, &[number]);
    }
    lab.run(1_000);
    assert_eq!(requests(&lab, peer.ip()), [start + RTT / 2], "one request");
    let received: Vec<_> = lab.echo(host).received.iter().map(|one| (one.at, one.payload[0])).collect();
    // The permission takes one round trip, then the datagrams leave. Only eight of them wait.
    let expected: Vec<_> = (2..10).map(|number| (start + RTT + RTT / 2, number)).collect();
    assert_eq!(received, expected);
    assert_eq!(lab.payloads().len(), 8);

    let start = lab.now();
    lab.send(peer, b"next");
    lab.run(1_000);
    assert_eq!(lab.echo(host).received.last().unwrap().at, start + RTT / 2, "the permission exists");
}

#[test]
fn a_known_peer_costs_its_first_datagram_no_round_trip() {
    let mut lab = Lab::allocated(4, client_config());
    let (host, peer) = lab.add_peer();
    lab.command(RelayCommand::AddPeer { peer: peer.ip() });
    lab.run(RTT);
    let start = lab.now();
    lab.send(peer, b"check");
    lab.run(RTT);
    assert_eq!(lab.echo(host).received[0].at, start + RTT / 2);
}

/// A datagram of a peer is dropped at the server or at the client while the peer has no permission.
#[test]
fn a_peer_without_a_permission_reaches_no_socket() {
    let mut lab = Lab::allocated(5, client_config());
    let (host, peer) = lab.add_peer();
    let relayed = lab.relayed();
    lab.with_echo(host, |echo, _| echo.send(relayed, b"early"));
    lab.run(1_000);
    assert_eq!(lab.received(), []);
    lab.command(RelayCommand::AddPeer { peer: peer.ip() });
    lab.run(1_000);
    lab.with_echo(host, |echo, _| echo.send(relayed, b"later"));
    lab.run(1_000);
    assert_eq!(lab.payloads(), [b"later"]);
}

#[test]
fn refused_peers_have_no_effect_on_a_good_one() {
    let mut lab = Lab::allocated(13, client_config());
    let (_, good) = lab.add_peer();
    // The server denies the first two by its policy. The others are refused by the test.
    let refused = ["10.0.0.9", "169.254.1.1", "60.0.0.103", "60.0.0.104", "60.0.0.105"].map(ip);
    lab.with_gate(|gate| {
        gate.refused =
            vec![(refused[2], Refusal::Code(403)), (refused[3], Refusal::Code(400)), (refused[4], Refusal::Silence)];
    });
    let start = lab.now();
    for peer in refused {
        lab.send(SocketAddr::new(peer, 7), b"check");
    }
    lab.send(good, b"good");
    lab.run(2 * RTT);
    assert_eq!(lab.payloads(), [b"good"], "the refusals delay nothing");
    let denied = |at: u64, peer| (at, peer, None, Unreachability::Prohibited);
    let at_once = [0, 1, 2, 3].map(|n| denied(start + RTT, refused[n]));
    assert_eq!(unreachable(&lab), at_once);

    // The fifth request has two schedules of 39.5 s, because the server answers other requests.
    lab.run(100_000);
    assert_eq!(unreachable(&lab)[4..], [denied(start + 79_000, refused[4])]);
    let codes: Vec<_> = lab
        .events()
        .iter()
        .filter_map(|(_, event)| match event {
            RelayEvent::Unreachable { steps, .. } => Some(steps.last().unwrap().outcome.code()),
            _ => None,
        })
        .collect();
    assert_eq!(codes, [Some(403), Some(403), Some(403), Some(400), None]);

    // A refused peer is not requested again.
    let count = lab.gate().requests.len();
    for peer in refused {
        lab.send(SocketAddr::new(peer, 9), b"check");
        lab.command(RelayCommand::AddPeer { peer });
    }
    lab.run(1_000);
    assert_eq!(lab.gate().requests.len(), count);
    let again: Vec<_> = refused
        .into_iter()
        .flat_map(|peer| [Some(9), None].map(|port| (lab.now() - 1_000, peer, port, Unreachability::Prohibited)))
        .collect();
    assert_eq!(unreachable(&lab)[5..], again);
    assert!(lab.echoes(good, b"still good"));

    // The owner can ask again.
    lab.with_gate(|gate| gate.refused.clear());
    let retry = lab.add_echo(lab.net.internet(), SocketAddr::new(refused[3], 7), &Link::PERFECT);
    lab.command(RelayCommand::RemovePeer { peer: refused[3] });
    assert!(lab.echoes(SocketAddr::new(refused[3], 7), b"asked again"), "{:?}", lab.echo(retry));
    assert_eq!(lab.allocations(), 1);
}

#[test]
fn a_dead_server_refuses_the_relay_with_its_reason() {
    let mut lab = Lab::new(6);
    let config = ClientConfig::new(addr("50.0.0.99:3478"), credential("ann")).or_server(addr("50.0.0.98:3478"));
    lab.command(RelayCommand::Start(config));
    lab.run(300_000);
    let events = lab.events();
    let [(at, RelayEvent::Refused { why: ClientFailure::NoServer, steps, .. })] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*at, 2 * u64::try_from(ClientConfig::TIMEOUT.as_millis()).unwrap());
    let servers: Vec<_> = steps.iter().map(|step| (step.server, &step.outcome)).collect();
    assert_eq!(servers, [(addr("50.0.0.99:3478"), &Outcome::TimedOut), (addr("50.0.0.98:3478"), &Outcome::TimedOut)]);
    assert_eq!(lab.net_socket(), None);
}

#[test]
fn a_dual_allocation_has_a_socket_for_each_family() {
    let mut lab = Lab::allocated(7, client_config().dual());
    let opened: Vec<(SocketId, SocketAddr)> = lab.party().relay().sockets().collect();
    assert_eq!(opened.iter().map(|(_, local)| local.is_ipv4()).collect::<Vec<_>>(), [true, false]);
    let (v4, v6) = (opened[0].0, opened[1].0);
    let (_, peer4) = lab.add_peer();
    let peer6 = addr("[2a00:60::1]:5000");
    lab.add_echo(lab.net.internet(), peer6, &Link::PERFECT);
    lab.send_from(v4, peer4, b"four");
    lab.send_from(v6, peer6, b"six");
    lab.run(1_000);
    let received: Vec<_> = lab.received().iter().map(|one| (one.socket, one.remote, &one.payload[..])).collect();
    assert_eq!(received, [(v4, peer4, &b"four"[..]), (v6, peer6, b"six")]);
    lab.send_from(v4, peer6, b"wrong");
    assert_eq!(unreachable(&lab), [(lab.now(), peer6.ip(), Some(5000), Unreachability::Network)]);
    lab.send_from(v4, addr("60.0.0.1:0"), b"no port");
    assert_eq!(unreachable(&lab)[1..], [(lab.now(), ip("60.0.0.1"), Some(0), Unreachability::Unspecified)]);
    lab.send_from(v4, peer4, &[0; 65_600]);
    assert_eq!(unreachable(&lab)[2..], [(lab.now(), peer4.ip(), Some(5000), Unreachability::TooLarge)]);
}

#[test]
fn a_family_without_a_relayed_address_is_reported() {
    let mut lab = Lab::new(8);
    let config = portolan_turn::ServerConfig::new(crate::lab::authenticator(&["ann"]))
        .listen_udp(addr(SERVER))
        .relay(ip("50.0.0.1"));
    lab.replace_server(&config);
    lab.command(RelayCommand::Start(client_config().dual()));
    lab.run(1_000);
    let events: Vec<_> = lab.events().into_iter().map(|(_, event)| event).collect();
    assert!(matches!(events[0], RelayEvent::Opened { .. }), "{events:?}");
    assert_eq!(events[1..], [RelayEvent::FamilyRefused { family: AddressFamily::Ipv6, code: 440 }]);
}
