//! UDP on loopback.

use crate::puppet::{Habit, Heard, Strings as _, in_time, puppet};
use alloc::collections::BTreeSet;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Output, Protocol, Refusal, SocketNews, SocketOrder, Transmit, Unreachability};
use tokio::net::UdpSocket;

#[tokio::test]
async fn datagrams_go_and_come_over_both_families() {
    for local in ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"] {
        let mut echo = puppet(Habit::Echoes);
        let (_, server) = echo.opened(Protocol::Udp, local).await;
        let mut client = puppet(Habit::Tells);
        let (socket, from) = client.opened_towards(Protocol::Udp, server).await;
        client.transmit(socket, server, b"ahoy");
        let (heard, _) = echo.beside(client.next()).await;
        assert_eq!(heard, Heard::Datagram { socket, local: from, remote: server, payload: b"ahoy".to_vec() });
    }
}

#[tokio::test]
async fn an_empty_datagram_is_a_datagram() {
    let mut echo = puppet(Habit::Echoes);
    let (_, server) = echo.opened(Protocol::Udp, "127.0.0.1:0").await;
    let mut client = puppet(Habit::Tells);
    let (socket, local) = client.opened_towards(Protocol::Udp, server).await;
    client.transmit(socket, server, b"");
    let (heard, _) = echo.beside(client.next()).await;
    assert_eq!(heard, Heard::Datagram { socket, local, remote: server, payload: Vec::new() });
}

#[tokio::test]
async fn a_thousand_datagrams_in_one_go_arrive_whole_and_in_order() {
    let mut sender = puppet(Habit::Tells);
    let mut receiver = puppet(Habit::Tells);
    let (_, to) = receiver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let (socket, from) = sender.opened(Protocol::Udp, "127.0.0.1:0").await;
    // Runs of one length, each ended by a shorter datagram: what can leave together and what cannot.
    let length = |n: u32| if n % 50 == 49 { 30 } else { 100 + (n / 200) as usize };
    // As many at a time as any system's default buffer holds.
    for hundred in 0..10_u32 {
        let numbers = hundred * 100..hundred * 100 + 100;
        sender.with(|puppet, _| {
            for number in numbers.clone() {
                let mut payload = number.to_be_bytes().to_vec();
                payload.resize(length(number), 7);
                puppet.out.push(Output::Transmit(Transmit::new(socket, to, Bytes::from(payload))));
            }
        });
        for number in numbers {
            match in_time(receiver.next()).await {
                Heard::Datagram { remote, local, payload, .. } => {
                    assert_eq!((remote, local), (from, to));
                    assert_eq!(payload[..4], number.to_be_bytes(), "in order");
                    assert_eq!(payload.len(), length(number), "number {number}");
                }
                other => panic!("heard {other:?}"),
            }
        }
    }
    assert_eq!(sender.counters().full, 0);
}

#[tokio::test]
async fn a_datagram_of_any_length_arrives_whole() {
    let mut sender = puppet(Habit::Tells);
    let mut receiver = puppet(Habit::Tells);
    let (_, to) = receiver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let (socket, _) = sender.opened(Protocol::Udp, "127.0.0.1:0").await;
    for length in [1, 1_232, 1_233, 1_472, 1_473, 9_000, 65_507] {
        sender.transmit(socket, to, &vec![3; length]);
        match in_time(receiver.next()).await {
            Heard::Datagram { payload, .. } => assert_eq!(payload, vec![3; length]),
            other => panic!("heard {other:?}"),
        }
    }
    sender.transmit(socket, to, &vec![3; 65_508]);
    let why = Unreachability::TooLarge;
    assert_eq!(sender.news().await, SocketNews::Unreachable { remote: to, why });
}

#[tokio::test]
async fn one_socket_sends_to_many() {
    let mut sender = puppet(Habit::Tells);
    let (socket, _) = sender.opened(Protocol::Udp, "127.0.0.1:0").await;
    let mut peers = Vec::new();
    for _ in 0..8 {
        peers.push(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    }
    let remotes: Vec<SocketAddr> = peers.iter().map(|peer| peer.local_addr().unwrap()).collect();
    sender.with(|puppet, _| {
        for round in 0..4_u8 {
            for remote in &remotes {
                puppet.out.push(Output::Transmit(Transmit::new(socket, *remote, Bytes::from(vec![round; 20]))));
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
async fn a_wildcard_bind_learns_its_local_address_from_the_route() {
    let mut driver = puppet(Habit::Tells);
    for (remote, expected) in [("127.0.0.5:9", "127.0.0.1"), ("[::1]:9", "::1")] {
        let (_, local) = driver.opened_towards(Protocol::Udp, remote.parse().unwrap()).await;
        assert_eq!(local.ip(), expected.parse::<core::net::IpAddr>().unwrap());
        assert_ne!(local.port(), 0);
    }
}

#[tokio::test]
async fn a_datagram_to_a_wildcard_socket_brings_the_address_it_came_to() {
    for (any, to) in [("0.0.0.0:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.77"), ("[::]:0", "::1")] {
        let mut driver = puppet(Habit::Tells);
        let (_, bound) = driver.opened(Protocol::Udp, any).await;
        let to = SocketAddr::new(to.parse().unwrap(), bound.port());
        let client = UdpSocket::bind(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).await.unwrap();
        client.send_to(b"ahoy", to).await.unwrap();
        match in_time(driver.next()).await {
            Heard::Datagram { local, remote, .. } => {
                assert_eq!((local, remote), (to, client.local_addr().unwrap()));
            }
            other => panic!("heard {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_ipv6_socket_is_ipv6_only() {
    let mut driver = puppet(Habit::Tells);
    let (_, six) = driver.opened(Protocol::Udp, "[::]:0").await;
    // The same port of the other family is free, which it would not be for a socket of both.
    let (_, four) = driver.opened(Protocol::Udp, &format!("0.0.0.0:{}", six.port())).await;
    assert_eq!(four.port(), six.port());
}

#[tokio::test]
async fn what_cannot_be_bound_is_refused_with_the_reason() {
    let mut driver = puppet(Habit::Tells);
    let (_, held) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    driver.order(Protocol::Udp, &held.to_string(), |open| open);
    assert_eq!(driver.news().await, SocketNews::Refused(Refusal::AddressInUse));
    // TEST-NET-1 (RFC 5737) is nobody's.
    driver.order(Protocol::Udp, "192.0.2.1:0", |open| open);
    assert_eq!(driver.news().await, SocketNews::Refused(Refusal::AddressNotAvailable));
    driver.order(Protocol::Udp, "0.0.0.0:0", |open| open.towards("[::1]:9".parse().unwrap()));
    assert_eq!(driver.news().await, SocketNews::Refused(Refusal::FamilyNotSupported));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_port_is_heard_of_by_the_unconnected_socket() {
    let mut driver = puppet(Habit::Tells);
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let gone = {
            let peer = UdpSocket::bind(local).await.unwrap();
            peer.local_addr().unwrap()
        };
        let (socket, _) = driver.opened(Protocol::Udp, local).await;
        driver.transmit(socket, gone, b"anybody?");
        let why = Unreachability::Port;
        assert_eq!(in_time(driver.next()).await, Heard::News(socket, SocketNews::Unreachable { remote: gone, why }));
    }
}

/// An ICMP error of one peer must not swallow what is sent to another one, or what it sends.
#[tokio::test]
async fn a_closed_port_does_not_disturb_other_peers() {
    let mut driver = puppet(Habit::Tells);
    let (socket, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    let (mut arrived, mut answered) = (0, 0);
    for round in 0..50_u8 {
        driver.transmit(socket, gone, b"anybody?");
        driver.transmit(socket, remote, &[round]);
        let mut buffer = [0; 8];
        let (got, heard) = driver
            .beside(async {
                let (count, _) = peer.recv_from(&mut buffer).await.unwrap();
                peer.send_to(b"yes", local).await.unwrap();
                count
            })
            .await;
        arrived += got;
        answered += heard.iter().filter(|heard| matches!(heard, Heard::Datagram { .. })).count();
    }
    while answered < 50 {
        answered += usize::from(matches!(in_time(driver.next()).await, Heard::Datagram { .. }));
    }
    assert_eq!((arrived, answered), (50, 50));
}

#[tokio::test]
async fn several_closed_ports_are_each_named() {
    let mut driver = puppet(Habit::Tells);
    let (socket, _) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let mut gone = BTreeSet::new();
    for _ in 0..5 {
        gone.insert(UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
    }
    driver.with(|puppet, _| {
        for remote in &gone {
            puppet.out.push(Output::Transmit(Transmit::new(socket, *remote, Bytes::from_static(b"anybody?"))));
        }
    });
    while !gone.is_empty() && cfg!(target_os = "linux") {
        match driver.news().await {
            SocketNews::Unreachable { remote, why } => {
                assert_eq!(why, Unreachability::Port);
                assert!(gone.remove(&remote), "named once");
            }
            other => panic!("heard {other}"),
        }
    }
}

#[tokio::test]
async fn a_hop_limit_of_zero_does_not_leave() {
    let mut driver = puppet(Habit::Tells);
    let (socket, _) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let remote = "127.0.0.1:9".parse().unwrap();
    driver.send_limited(socket, remote, b"nowhere", 0);
    let why = Unreachability::HopLimit;
    assert_eq!(driver.news().await, SocketNews::Unreachable { remote, why });
}

#[tokio::test]
async fn nothing_leaves_and_nothing_is_heard_after_a_close() {
    let mut driver = puppet(Habit::Tells);
    let (socket, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    peer.send_to(b"too late", local).await.unwrap();
    driver.with(|puppet, _| {
        puppet.out.push(Output::Transmit(Transmit::new(socket, remote, Bytes::from_static(b"before"))));
        puppet.out.push(Output::Socket(SocketOrder::Close(socket)));
        puppet.out.push(Output::Transmit(Transmit::new(socket, remote, Bytes::from_static(b"after"))));
    });
    assert_eq!(driver.counters().not_open, 1);
    let mut buffer = [0; 16];
    let (got, heard) = driver.beside(peer.recv_from(&mut buffer)).await;
    assert_eq!(got.unwrap().0, b"before".len(), "what was sent before the close left");
    assert_eq!(heard, []);
    assert!(std::net::UdpSocket::bind(local).is_ok(), "the port is free again");
}

#[tokio::test]
async fn a_close_over_one_datagram_silences_those_received_with_it() {
    let mut driver = puppet(Habit::ClosesAfterOne);
    let (_, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    // Sent together and, on Linux, received together.
    let mut sender = puppet(Habit::Tells);
    let (socket, _) = sender.opened(Protocol::Udp, "127.0.0.1:0").await;
    sender.with(|puppet, _| {
        for number in 0..10_u8 {
            puppet.out.push(Output::Transmit(Transmit::new(socket, local, Bytes::from(vec![number; 20]))));
        }
    });
    let turns = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };
    let (_, heard) = driver.beside(turns).await;
    assert!(matches!(heard.as_slice(), [Heard::Datagram { payload, .. }] if *payload == [0; 20]), "{heard:?}");
}

#[tokio::test]
async fn a_socket_of_the_callers_is_used_by_its_name() {
    let mut driver = puppet(Habit::Echoes);
    let own = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (_, local) = driver.adopt_udp(own).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"ahoy", local).await.unwrap();
    let mut buffer = [0; 16];
    let (got, heard) = driver.beside(client.recv_from(&mut buffer)).await;
    assert_eq!(got.unwrap(), (4, local));
    assert_eq!(heard, [], "no `Opened` for what was open before");
}

#[tokio::test]
async fn what_nobody_owns_is_counted() {
    let mut driver = puppet(Habit::Disowns);
    let (_, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"ahoy", local).await.unwrap();
    while driver.counters().not_mine == 0 {
        let (_, heard) = driver.beside(tokio::task::yield_now()).await;
        assert_eq!(heard, []);
    }
    assert_eq!(driver.counters().not_mine, 1);
}

/// A datagram that arrives while the driver finds its socket empty still wakes the driver. Each round sends two
/// datagrams with a gap that varies, and waits for both answers: nothing else wakes the driver for the second one. The
/// runtime reports events on one thread while the driver receives on another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost_in_many_rounds() {
    const ROUNDS: u32 = 20_000;
    let mut echo = puppet(Habit::Echoes);
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
                let count = client.recv(&mut answer).unwrap_or_else(|error| panic!("round {round}: {error}"));
                assert_eq!(&answer[..count], expected.as_bytes(), "round {round}");
            }
        }
    });
    rounds.await.unwrap();
    echo.abort();
}
