//! Limits on accepted streams: in total, and for one source.

use crate::driving::Lines;
use crate::recorder::{Mode, Recorded, Recorder, RecorderExt as _, in_time, recorder_with};
use core::net::SocketAddr;
use portolan_machine::{Protocol, SocketEvent};
use portolan_tokio::{Driver, DriverConfig};
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Connects from this address of the loopback network.
async fn try_connect(from: &str, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(format!("{from}:0").parse().unwrap())?;
    in_time(socket.connect(to)).await
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    try_connect(from, to).await.unwrap()
}

/// Asserts that the peer reset this stream. The system may report the reset when the stream connects, or later.
async fn assert_reset(stream: std::io::Result<TcpStream>) {
    let read = match stream {
        Ok(mut stream) => in_time(stream.read(&mut [0; 16])).await,
        Err(error) => Err(error),
    };
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// Connects `count` streams from 127.0.0.2. The first `limit` streams must be accepted, and the others reset. Every
/// second accepted stream sends a byte and receives it back. Returns the accepted streams.
async fn flood(driver: &mut Driver<Recorder>, server: SocketAddr, count: usize, limit: usize) -> Vec<TcpStream> {
    let mut accepted = Vec::new();
    for number in 0..count {
        let connected = async {
            if number >= limit {
                assert_reset(try_connect("127.0.0.2", server).await).await;
                return None;
            }
            let mut stream = connect("127.0.0.2", server).await;
            if number % 2 == 0 {
                stream.write_all(&[0]).await.unwrap();
                stream.read_exact(&mut [0]).await.unwrap();
            }
            Some(stream)
        };
        accepted.extend(driver.run_while(connected).await.0);
    }
    accepted
}

/// Asserts that a new peer at this address is served at once.
async fn assert_served(driver: &mut Driver<Recorder>, from: &str, server: SocketAddr) {
    let (answer, _) = driver
        .run_while(async {
            let mut peer = connect(from, server).await;
            peer.write_all(b"ahoy").await.unwrap();
            let mut answer = [0; 4];
            peer.read_exact(&mut answer).await.unwrap();
            answer
        })
        .await;
    assert_eq!(&answer, b"ahoy");
}

/// Yields to the runtime 200 times, without waiting.
async fn turns() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Runs the driver until the machine has got `Closed` for `count` streams.
async fn wait_for_ends(driver: &mut Driver<Recorder>, mut count: usize) {
    while count > 0 {
        if let Recorded::Socket(_, SocketEvent::Closed(_)) = in_time(driver.next()).await {
            count -= 1;
        }
    }
}

#[tokio::test]
async fn a_source_at_its_limit_does_not_delay_a_peer_of_another_source() {
    let lines = Lines::default();
    let mut echo = recorder_with(Mode::Echo, DriverConfig::default().with_trace(lines.clone()));
    let (listener, server) = echo.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    for round in 1..=2 {
        let held = flood(&mut echo, server, 256, 128).await;
        assert_eq!(echo.counters().too_many_streams, round * 128);
        assert_eq!(lines.0.lock().unwrap().len() as u64, round * 128);
        assert_served(&mut echo, "127.0.0.3", server).await;
        // When all these streams have ended, the source may open as many streams again.
        drop(held);
        wait_for_ends(&mut echo, 128 + 1).await;
    }
    let lines = lines.0.lock().unwrap();
    let expected = format!("has reached its limit of streams, its new stream to {listener} is closed");
    assert!(
        lines.iter().all(|line| line.starts_with("driver 0: the source of 127.0.0.2:") && line.ends_with(&expected))
    );
}

#[tokio::test]
async fn idle_streams_of_one_source_do_not_delay_a_peer_of_another_source() {
    let mut echo = recorder_with(Mode::Echo, DriverConfig::default().with_streams_per_source(256));
    let (_, server) = echo.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let held = flood(&mut echo, server, 257, 256).await;
    assert_eq!((held.len(), echo.counters().too_many_streams), (256, 1));
    assert_served(&mut echo, "127.0.0.3", server).await;
}

/// A stream that the machine closed counts until it has lingered, because its descriptor is still open.
#[tokio::test]
async fn a_stream_that_lingers_counts_until_its_peer_has_closed() {
    let mut driver = recorder_with(Mode::Record, DriverConfig::default().with_streams_per_source(1));
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let mut first = connect("127.0.0.2", server).await;
    let SocketEvent::Accepted { socket, .. } = driver.socket_event().await else { panic!("no stream") };
    driver.close(socket);
    driver.run_while(async { assert_reset(try_connect("127.0.0.2", server).await).await }).await;
    // The first stream was closed by FIN, and its peer closes it too. The driver sees that before the next stream.
    let (read, _) = driver.run_while(first.read(&mut [0])).await;
    assert_eq!(read.unwrap(), 0);
    drop(first);
    driver.run_while(turns()).await;
    let _third = connect("127.0.0.2", server).await;
    assert!(matches!(driver.socket_event().await, SocketEvent::Accepted { .. }));
    assert_eq!(driver.counters().too_many_streams, 1);
}

#[tokio::test]
async fn streams_that_the_machine_orders_count_in_total_and_for_no_source() {
    let config = DriverConfig::default().with_stream_limit(2).with_streams_per_source(1);
    let mut driver = recorder_with(Mode::Record, config);
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let peer = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    let (ordered, _) = driver.opened_towards(Protocol::Tcp, remote).await;
    let _first = connect("127.0.0.1", server).await;
    assert!(matches!(driver.socket_event().await, SocketEvent::Accepted { .. }));
    // The total limit of two is reached, so the next peer waits, also a peer of another source.
    let _second = connect("127.0.0.3", server).await;
    assert_eq!(driver.run_while(turns()).await.1, []);
    driver.close(ordered);
    drop(peer.accept().await.unwrap());
    assert!(matches!(driver.socket_event().await, SocketEvent::Accepted { .. }));
    assert_eq!(driver.counters().too_many_streams, 0);
}
