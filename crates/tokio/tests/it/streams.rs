//! TCP streams on loopback.

use crate::recorder::{Mode, Recorded, RecorderExt as _, in_time, opened, recorder, recorder_with};
use bytes::Bytes;
use core::time::Duration;
use portolan_machine::{Closure, Open, Output, Protocol, Refusal, SocketEvent, Transmit};
use portolan_tokio::DriverConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

#[tokio::test]
async fn a_stream_works_over_both_families() {
    for local in ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"] {
        let mut echo = recorder(Mode::Echo);
        let (listener, server) = echo.opened(Protocol::TcpListen, local).await;
        let mut client = recorder(Mode::Record);
        let ((socket, from), events) = echo.run_while(client.opened_towards(Protocol::Tcp, server)).await;
        assert!(!from.ip().is_unspecified());
        client.transmit(socket, server, b"ahoy");
        let (answer, more) = echo.run_while(client.read(socket, 4)).await;
        assert_eq!(answer, b"ahoy");
        let accepted: Vec<Recorded> = events.into_iter().chain(more).collect();
        match accepted.as_slice() {
            [Recorded::Socket(id, SocketEvent::Accepted { socket, local, remote })] => {
                assert_eq!((*id, *local, *remote), (listener, server, from));
                assert!(*socket > listener, "a new id");
            }
            other => panic!("got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_megabyte_is_echoed_whole() {
    let mut echo = recorder(Mode::Echo);
    let (_, server) = echo.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let mut client = TcpStream::connect(server).await.unwrap();
    let (mut read, mut write) = client.split();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut back = vec![0; sent.len()];
    let (results, _) = echo.run_while(async { tokio::join!(write.write_all(&sent), read.read_exact(&mut back)) }).await;
    results.0.unwrap();
    results.1.unwrap();
    assert!(back == sent);
}

#[tokio::test]
async fn a_stream_is_bound_to_the_ordered_local_address() {
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    let mut client = recorder(Mode::Record);
    client.order(Protocol::Tcp, "127.0.0.3:0", |open| open.towards(remote));
    let local = opened(client.socket_event().await);
    assert_eq!(local.ip().to_string(), "127.0.0.3");
    assert_eq!(peer.accept().await.unwrap().1, local);
}

#[tokio::test]
async fn an_order_that_cannot_be_connected_is_refused_with_the_reason() {
    let mut driver = recorder(Mode::Record);
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    driver.order(Protocol::Tcp, "0.0.0.0:0", |open| open.towards(gone));
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::ConnectionRefused));
    driver.order(Protocol::Tcp, "192.0.2.1:0", |open| open.towards(gone));
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::AddressNotAvailable));
    driver.order(Protocol::Tcp, "[::]:0", |open| open.towards(gone));
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::FamilyNotSupported));
    driver.order(Protocol::Tcp, "0.0.0.0:0", |open| open);
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::NoRoute), "no remote address");
}

/// A TURN server connects to peers from the relayed address on which it listens (RFC 6062 §5.2).
#[tokio::test]
async fn a_stream_can_have_the_port_of_a_listener_only_if_both_share_it() {
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    for (listener, stream) in [(true, true), (true, false), (false, true)] {
        let mut driver = recorder(Mode::Record);
        let sharing = |open: Open, shares: bool| if shares { open.sharing_port() } else { open };
        driver.order(Protocol::TcpListen, "127.0.0.1:0", |open| sharing(open, listener));
        let local = opened(driver.socket_event().await);
        driver.order(Protocol::Tcp, &local.to_string(), |open| sharing(open.towards(remote), stream));
        let event = driver.socket_event().await;
        if listener && stream {
            assert_eq!(opened(event), local);
            assert_eq!(peer.accept().await.unwrap().1, local);
        } else {
            assert_eq!(event, SocketEvent::Refused(Refusal::AddressInUse));
        }
    }
}

#[tokio::test]
async fn a_port_in_use_is_refused() {
    let mut driver = recorder(Mode::Record);
    let (_, held) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    driver.order(Protocol::TcpListen, &held.to_string(), |open| open);
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::AddressInUse));
    let (_, six) = driver.opened(Protocol::TcpListen, "[::]:0").await;
    let (_, four) = driver.opened(Protocol::TcpListen, &format!("0.0.0.0:{}", six.port())).await;
    assert_eq!(four.port(), six.port(), "an IPv6 listener is IPv6 only");
}

/// A listener with a full accept queue drops the next SYN without a response.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_silent_peer_is_refused_as_timed_out() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<core::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let remote = listener.local_addr().unwrap().as_socket().unwrap();
    let _queued = TcpStream::connect(remote).await.unwrap();
    let limit = Duration::from_millis(300);
    let mut driver = recorder_with(Mode::Record, DriverConfig::default().with_connect_timeout(limit));
    let start = driver.now();
    driver.order(Protocol::Tcp, "0.0.0.0:0", |open| open.towards(remote));
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::TimedOut));
    assert!(driver.now() - start >= limit);
}

#[tokio::test]
async fn a_fin_is_reported_after_the_last_bytes() {
    let mut driver = recorder(Mode::Record);
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let mut peer = TcpStream::connect(server).await.unwrap();
    peer.write_all(b"last words").await.unwrap();
    peer.shutdown().await.unwrap();
    let SocketEvent::Accepted { socket, .. } = driver.socket_event().await else { panic!("no stream") };
    assert_eq!(driver.read(socket, 10).await, b"last words");
    assert_eq!(in_time(driver.next()).await, Recorded::Socket(socket, SocketEvent::Closed(Closure::ByPeer)));
}

#[tokio::test]
async fn a_rst_is_reported_as_reset() {
    let mut driver = recorder(Mode::Record);
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let peer = TcpStream::connect(server).await.unwrap();
    let SocketEvent::Accepted { socket, .. } = driver.socket_event().await else { panic!("no stream") };
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    assert_eq!(in_time(driver.next()).await, Recorded::Socket(socket, SocketEvent::Closed(Closure::Reset)));
}

#[tokio::test]
async fn a_stream_to_a_peer_that_does_not_read_ends_with_overflow() {
    let mut driver = recorder(Mode::Record);
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let peer = TcpStream::connect(server).await.unwrap();
    let remote = peer.local_addr().unwrap();
    let SocketEvent::Accepted { socket, .. } = driver.socket_event().await else { panic!("no stream") };
    let chunk = Bytes::from(vec![0; 64 * 1_024]);
    let mut sent = 0;
    // The kernel takes some megabytes, and the driver another 256 KiB.
    while sent < 64 << 20 && driver.counters().not_open == 0 {
        driver.with(|machine, _| machine.out.push(Output::Transmit(Transmit::new(socket, remote, chunk.clone()))));
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "the number of bytes is bounded");
    assert!(sent > 256 * 1_024, "the stream does not end below its bound");
    assert_eq!(in_time(driver.next()).await, Recorded::Socket(socket, SocketEvent::Full));
    assert_eq!(in_time(driver.next()).await, Recorded::Socket(socket, SocketEvent::Closed(Closure::Overflow)));
    drop(peer);
}

#[tokio::test]
async fn bytes_that_were_queued_before_a_close_arrive_whole() {
    let mut driver = recorder(Mode::Record);
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    // The peer has a small receive buffer, so that the kernel does not accept all bytes at once.
    let peer = TcpSocket::new_v4().unwrap();
    peer.set_recv_buffer_size(32 * 1_024).unwrap();
    let mut peer = peer.connect(server).await.unwrap();
    let remote = peer.local_addr().unwrap();
    let SocketEvent::Accepted { socket, .. } = driver.socket_event().await else { panic!("no stream") };
    // Unread bytes must not cause the loss of sent bytes.
    peer.write_all(b"unread").await.unwrap();
    let mut sent = 0;
    for _ in 0..12 {
        driver.transmit(socket, remote, &[5; 20 * 1_024]);
        sent += 20 * 1_024;
    }
    driver.close(socket);
    driver.transmit(socket, remote, b"too late");
    assert_eq!(driver.counters().not_open, 1);
    let mut read = Vec::new();
    let (result, events) = driver.run_while(peer.read_to_end(&mut read)).await;
    result.unwrap();
    assert_eq!(read.len(), sent);
    assert_eq!(events, [], "no event for the stream after the close");
}

/// A peer that has only shut down its sending direction still gets its answer.
#[tokio::test]
async fn a_half_closed_peer_gets_the_queued_bytes() {
    let mut echo = recorder(Mode::Echo);
    let (_, server) = echo.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let mut peer = TcpStream::connect(server).await.unwrap();
    peer.write_all(&[8; 100_000]).await.unwrap();
    peer.shutdown().await.unwrap();
    let mut read = Vec::new();
    let (result, _) = echo.run_while(peer.read_to_end(&mut read)).await;
    result.unwrap();
    assert_eq!(read.len(), 100_000);
}

#[tokio::test]
async fn an_accepted_stream_that_the_machine_does_not_take_is_closed() {
    let mut driver = recorder(Mode::Decline);
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let mut peer = TcpStream::connect(server).await.unwrap();
    let mut read = Vec::new();
    let (result, _) = driver.run_while(peer.read_to_end(&mut read)).await;
    assert_eq!(result.unwrap(), 0);
}

#[tokio::test]
async fn a_closed_listener_accepts_no_streams() {
    let mut driver = recorder(Mode::Record);
    let (listener, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    driver.close(listener);
    assert!(TcpStream::connect(server).await.is_err());
    assert!(std::net::TcpListener::bind(server).is_ok(), "the port is free again");
}

#[tokio::test]
async fn an_order_that_is_closed_at_once_causes_no_socket_event() {
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    let mut driver = recorder(Mode::Record);
    let socket = driver.order(Protocol::Tcp, "0.0.0.0:0", |open| open.towards(remote));
    driver.close(socket);
    for protocol in [Protocol::Udp, Protocol::TcpListen] {
        let socket = driver.order(protocol, "127.0.0.1:0", |open| open);
        driver.close(socket);
    }
    let after = driver.order(Protocol::Udp, "127.0.0.1:0", |open| open);
    let next = in_time(driver.next()).await;
    assert!(matches!(next, Recorded::Socket(id, SocketEvent::Opened { .. }) if id == after), "got {next:?}");
}

#[tokio::test]
async fn at_the_stream_limit_peers_wait_until_a_stream_ends() {
    let mut driver = recorder_with(Mode::Record, DriverConfig::default().with_stream_limit(2));
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(TcpStream::connect(server).await.unwrap());
    }
    let mut accepted = Vec::new();
    for _ in 0..2 {
        let SocketEvent::Accepted { socket, .. } = driver.socket_event().await else { panic!("no stream") };
        accepted.push(socket);
    }
    // The bytes of the third peer are not read while the limit is reached.
    peers[2].write_all(b"waiting").await.unwrap();
    let turns = async {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(driver.run_while(turns).await.1, []);
    drop(peers.remove(0));
    assert_eq!(in_time(driver.next()).await, Recorded::Socket(accepted[0], SocketEvent::Closed(Closure::ByPeer)));
    assert!(matches!(driver.socket_event().await, SocketEvent::Accepted { .. }));
}

/// A stream does not count after its end, for each reason of the end.
#[tokio::test]
async fn streams_that_have_ended_do_not_count_for_the_limit() {
    let mut driver = recorder_with(Mode::Record, DriverConfig::default().with_stream_limit(1));
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    for round in 0..12 {
        let peer = TcpStream::connect(server).await.unwrap();
        let remote = peer.local_addr().unwrap();
        let SocketEvent::Accepted { socket, .. } = driver.socket_event().await else { panic!("no stream") };
        match round % 3 {
            0 => driver.close(socket),
            1 => {
                socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
                drop(peer);
                assert_eq!(driver.socket_event().await, SocketEvent::Closed(Closure::Reset));
                continue;
            }
            _ => {
                driver.transmit(socket, remote, &vec![0; 16 << 20]);
                assert_eq!(driver.socket_event().await, SocketEvent::Closed(Closure::Overflow));
            }
        }
        drop(peer);
    }
    // Streams that the machine orders count, but are not refused.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for _ in 0..3 {
        driver.order(Protocol::Tcp, "0.0.0.0:0", |open| open.towards(gone));
        assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::ConnectionRefused));
    }
    let _peer = TcpStream::connect(server).await.unwrap();
    assert!(matches!(driver.socket_event().await, SocketEvent::Accepted { .. }));
}
