//! UDP on loopback.

use crate::recorder::{Mode, Recorded, RecorderExt as _, in_time, recorder};
use alloc::collections::BTreeSet;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Output, Protocol, Refusal, SocketEvent, SocketOrder, Transmit, Unreachability};
use tokio::net::UdpSocket;

#[tokio::test]
async fn datagrams_are_sent_and_received_over_both_families() {
    for local in ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"] {
        let mut echo = recorder(Mode::Echo);
        let (_, server) = echo.opened(Protocol::Udp, local).await;
        let mut client = recorder(Mode::Record);
        let (socket, from) = client.opened_towards(Protocol::Udp, server).await;
        client.transmit(socket, server, b"ahoy");
        let (events, _) = echo.run_while(client.next()).await;
        assert_eq!(events, Recorded::Datagram { socket, local: from, remote: server, payload: b"ahoy".to_vec() });
    }
}

#[tokio::test]
async fn an_empty_datagram_is_sent_and_received() {
    let mut echo = recorder(Mode::Echo);
    let (_, server) = echo.opened(Protocol::Udp, "127.0.0.1:0").await;
    let mut client = recorder(Mode::Record);
    let (socket, local) = client.opened_towards(Protocol::Udp, server).await;
    client.transmit(socket, server, b"");
    let (events, _) = echo.run_while(client.next()).await;
    assert_eq!(events, Recorded::Datagram { socket, local, remote: server, payload: Vec::new() });
}

#[tokio::test]
async fn a_thousand_datagrams_in_one_batch_arrive_whole_and_in_order() {
    let mut sender = recorder(Mode::Record);
    let mut receiver = recorder(Mode::Record);
    let (_, to) = receiver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let (socket, from) = sender.opened(Protocol::Udp, "127.0.0.1:0").await;
    // Runs of one length, each ended by a shorter datagram. Each run can be sent in one call, two runs cannot.
    let length = |n: u32| if n % 50 == 49 { 30 } else { 100 + (n / 200) as usize };
    // As many datagrams at a time as the default buffer of any system holds.
    for hundred in 0..10_u32 {
        let numbers = hundred * 100..hundred * 100 + 100;
        sender.with(|machine, _| {
            for number in numbers.clone() {
                let mut payload = number.to_be_bytes().to_vec();
                payload.resize(length(number), 7);
                machine.out.push(Output::Transmit(Transmit::new(socket, to, Bytes::from(payload))));
            }
        });
        for number in numbers {
            match in_time(receiver.next()).await {
                Recorded::Datagram { remote, local, payload, .. } => {
                    assert_eq!((remote, local), (from, to));
                    assert_eq!(payload[..4], number.to_be_bytes(), "in order");
                    assert_eq!(payload.len(), length(number), "number {number}");
                }
                other => panic!("got {other:?}"),
            }
        }
    }
    assert_eq!(sender.counters().full, 0);
}

#[tokio::test]
async fn a_datagram_of_any_length_arrives_whole() {
    let mut sender = recorder(Mode::Record);
    let mut receiver = recorder(Mode::Record);
    let (_, to) = receiver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let (socket, _) = sender.opened(Protocol::Udp, "127.0.0.1:0").await;
    for length in [1, 1_232, 1_233, 1_472, 1_473, 9_000, 65_507] {
        sender.transmit(socket, to, &vec![3; length]);
        match in_time(receiver.next()).await {
            Recorded::Datagram { payload, .. } => assert_eq!(payload, vec![3; length]),
            other => panic!("got {other:?}"),
        }
    }
    sender.transmit(socket, to, &vec![3; 65_508]);
    let why = Unreachability::TooLarge;
    assert_eq!(sender.socket_event().await, SocketEvent::Unreachable { remote: to, why });
}

#[tokio::test]
async fn one_socket_sends_to_many_peers() {
    let mut sender = recorder(Mode::Record);
    let (socket, _) = sender.opened(Protocol::Udp, "127.0.0.1:0").await;
    let mut peers = Vec::new();
    for _ in 0..8 {
        peers.push(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    }
    let remotes: Vec<SocketAddr> = peers.iter().map(|peer| peer.local_addr().unwrap()).collect();
    sender.with(|machine, _| {
        for round in 0..4_u8 {
            for remote in &remotes {
                machine.out.push(Output::Transmit(Transmit::new(socket, *remote, Bytes::from(vec![round; 20]))));
            }
        }
    });
    for peer in peers {
        for round in 0..4_u8 {
            let mut buffer = [0; 64];
            let (count, _) = in_time(peer.recv_from(&mut buffer)).await.unwrap();
            assert_eq!(buffer[..count], [round; 20]);
        }
    }
}

#[tokio::test]
async fn a_wildcard_bind_gets_its_local_address_from_the_route() {
    let mut driver = recorder(Mode::Record);
    for (remote, expected) in [("127.0.0.5:9", "127.0.0.1"), ("[::1]:9", "::1")] {
        let (_, local) = driver.opened_towards(Protocol::Udp, remote.parse().unwrap()).await;
        assert_eq!(local.ip(), expected.parse::<core::net::IpAddr>().unwrap());
        assert_ne!(local.port(), 0);
    }
}

#[tokio::test]
async fn a_datagram_to_a_wildcard_socket_has_its_destination_as_local_address() {
    for (any, to) in [("0.0.0.0:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.77"), ("[::]:0", "::1")] {
        let mut driver = recorder(Mode::Record);
        let (_, bound) = driver.opened(Protocol::Udp, any).await;
        let to = SocketAddr::new(to.parse().unwrap(), bound.port());
        let client = UdpSocket::bind(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).await.unwrap();
        client.send_to(b"ahoy", to).await.unwrap();
        match in_time(driver.next()).await {
            Recorded::Datagram { local, remote, .. } => {
                assert_eq!((local, remote), (to, client.local_addr().unwrap()));
            }
            other => panic!("got {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_ipv6_socket_is_ipv6_only() {
    let mut driver = recorder(Mode::Record);
    let (_, six) = driver.opened(Protocol::Udp, "[::]:0").await;
    // The same port is free for IPv4. A socket of both families would hold it.
    let (_, four) = driver.opened(Protocol::Udp, &format!("0.0.0.0:{}", six.port())).await;
    assert_eq!(four.port(), six.port());
}

#[tokio::test]
async fn an_order_that_cannot_be_bound_is_refused_with_the_reason() {
    let mut driver = recorder(Mode::Record);
    let (_, held) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    driver.order(Protocol::Udp, &held.to_string(), |open| open);
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::AddressInUse));
    // No host has an address in TEST-NET-1 (RFC 5737).
    driver.order(Protocol::Udp, "192.0.2.1:0", |open| open);
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::AddressNotAvailable));
    driver.order(Protocol::Udp, "0.0.0.0:0", |open| open.towards("[::1]:9".parse().unwrap()));
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::FamilyNotSupported));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_port_is_reported_to_an_unconnected_socket() {
    let mut driver = recorder(Mode::Record);
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let gone = {
            let peer = UdpSocket::bind(local).await.unwrap();
            peer.local_addr().unwrap()
        };
        let (socket, _) = driver.opened(Protocol::Udp, local).await;
        driver.transmit(socket, gone, b"closed");
        let why = Unreachability::Port;
        assert_eq!(
            in_time(driver.next()).await,
            Recorded::Socket(socket, SocketEvent::Unreachable { remote: gone, why })
        );
    }
}

/// An ICMP error for one peer must not cause the loss of datagrams of another peer.
#[tokio::test]
async fn a_closed_port_does_not_disturb_other_peers() {
    let mut driver = recorder(Mode::Record);
    let (socket, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    let (mut arrived, mut answered) = (0, 0);
    for round in 0..50_u8 {
        driver.transmit(socket, gone, b"closed");
        driver.transmit(socket, remote, &[round]);
        let mut buffer = [0; 8];
        let (got, events) = driver
            .run_while(async {
                let (count, _) = peer.recv_from(&mut buffer).await.unwrap();
                peer.send_to(b"yes", local).await.unwrap();
                count
            })
            .await;
        arrived += got;
        answered += events.iter().filter(|event| matches!(event, Recorded::Datagram { .. })).count();
    }
    while answered < 50 {
        answered += usize::from(matches!(in_time(driver.next()).await, Recorded::Datagram { .. }));
    }
    assert_eq!((arrived, answered), (50, 50));
}

#[tokio::test]
async fn each_of_several_closed_ports_is_reported() {
    let mut driver = recorder(Mode::Record);
    let (socket, _) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let mut gone = BTreeSet::new();
    for _ in 0..5 {
        gone.insert(UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
    }
    driver.with(|machine, _| {
        for remote in &gone {
            machine.out.push(Output::Transmit(Transmit::new(socket, *remote, Bytes::from_static(b"closed"))));
        }
    });
    while !gone.is_empty() && cfg!(target_os = "linux") {
        match driver.socket_event().await {
            SocketEvent::Unreachable { remote, why } => {
                assert_eq!(why, Unreachability::Port);
                assert!(gone.remove(&remote), "reported once");
            }
            other => panic!("got {other}"),
        }
    }
}

#[tokio::test]
async fn a_datagram_with_a_hop_limit_of_zero_is_not_sent() {
    let mut driver = recorder(Mode::Record);
    let (socket, _) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let remote = "127.0.0.1:9".parse().unwrap();
    driver.send_limited(socket, remote, b"nowhere", 0);
    let why = Unreachability::HopLimit;
    assert_eq!(driver.socket_event().await, SocketEvent::Unreachable { remote, why });
}

#[tokio::test]
async fn nothing_is_sent_or_received_after_a_close() {
    let mut driver = recorder(Mode::Record);
    let (socket, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    peer.send_to(b"too late", local).await.unwrap();
    driver.with(|machine, _| {
        machine.out.push(Output::Transmit(Transmit::new(socket, remote, Bytes::from_static(b"before"))));
        machine.out.push(Output::Socket(SocketOrder::Close(socket)));
        machine.out.push(Output::Transmit(Transmit::new(socket, remote, Bytes::from_static(b"after"))));
    });
    assert_eq!(driver.counters().not_open, 1);
    let mut buffer = [0; 16];
    let (got, events) = driver.run_while(peer.recv_from(&mut buffer)).await;
    assert_eq!(got.unwrap().0, b"before".len(), "a datagram that was queued before the close is sent");
    assert_eq!(events, []);
    assert!(std::net::UdpSocket::bind(local).is_ok(), "the port is free again");
}

#[tokio::test]
async fn after_a_close_the_other_datagrams_of_the_same_batch_are_dropped() {
    let mut driver = recorder(Mode::CloseAfterOne);
    let (_, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    // Datagrams that are sent in one call and, on Linux, received in one call.
    let mut sender = recorder(Mode::Record);
    let (socket, _) = sender.opened(Protocol::Udp, "127.0.0.1:0").await;
    sender.with(|machine, _| {
        for number in 0..10_u8 {
            machine.out.push(Output::Transmit(Transmit::new(socket, local, Bytes::from(vec![number; 20]))));
        }
    });
    let turns = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };
    let (_, events) = driver.run_while(turns).await;
    assert!(matches!(events.as_slice(), [Recorded::Datagram { payload, .. }] if *payload == [0; 20]), "{events:?}");
}

#[tokio::test]
async fn an_adopted_socket_is_used_by_its_id() {
    let mut driver = recorder(Mode::Echo);
    let own = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (_, local) = driver.adopt_udp(own).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"ahoy", local).await.unwrap();
    let mut buffer = [0; 16];
    let (got, events) = driver.run_while(client.recv_from(&mut buffer)).await;
    assert_eq!(got.unwrap(), (4, local));
    assert_eq!(events, [], "no `Opened` for an adopted socket");
}

#[tokio::test]
async fn a_datagram_that_the_machine_does_not_take_is_counted() {
    let mut driver = recorder(Mode::Decline);
    let (_, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"ahoy", local).await.unwrap();
    while driver.counters().not_mine == 0 {
        let (_, events) = driver.run_while(tokio::task::yield_now()).await;
        assert_eq!(events, []);
    }
    assert_eq!(driver.counters().not_mine, 1);
}

/// A datagram that arrives while the driver finds its socket empty must still wake the driver. Each round sends two
/// datagrams with a varying gap, and waits for both answers. Nothing else wakes the driver for the second datagram. The
/// runtime reports readiness on one thread while the driver receives on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost_in_many_rounds() {
    const ROUNDS: u32 = 20_000;
    let mut echo = recorder(Mode::Echo);
    let (_, server) = echo.opened(Protocol::Udp, "127.0.0.1:0").await;
    let echo = tokio::spawn(async move { echo.next().await });
    let rounds = tokio::task::spawn_blocking(move || {
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server).unwrap();
        client.set_read_timeout(Some(core::time::Duration::from_secs(5))).unwrap();
        let mut answer = [0; 8];
        for round in 0..ROUNDS {
            client.send(b"one").unwrap();
            for _ in 0..round % 1_000 {
                core::hint::spin_loop();
            }
            client.send(b"two").unwrap();
            for expected in ["one", "two"] {
                let count = loop {
                    match client.recv(&mut answer) {
                        Ok(count) => break count,
                        // A process that was stopped and continued sees this in a call with a timeout (`signal(7)`).
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(error) => panic!("round {round}: {error}"),
                    }
                };
                assert_eq!(&answer[..count], expected.as_bytes(), "round {round}");
            }
        }
    });
    rounds.await.unwrap();
    echo.abort();
}
