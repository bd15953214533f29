//! Tests that need a network namespace: captured packets, a small MTU, routers, missing routes.
//!
//! Each test starts its own binary again in a new network namespace, in which the user is root. If the system does not
//! allow namespaces, the test prints a message and checks nothing. With `PORTOLAN_LAB=require` it fails instead.
#![cfg(target_os = "linux")]

use crate::driving::Lines;
use crate::forward::{datagram, expect_datagrams, relay, send};
use crate::recorder::{Mode, Recorded, Recorder, RecorderExt as _, in_time, recorder, recorder_with};
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Closure, Output, Protocol, Refusal, SocketEvent, SocketId, Transmit, Unreachability};
use portolan_tokio::{Driver, DriverConfig, SendError};
use std::io::Read as _;
use std::process::Command;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

const INSIDE: &str = "PORTOLAN_TOKIO_NAMESPACE";

/// Returns whether this process runs in the namespace. If not, runs the commands of `network` and the test of this name
/// in a new namespace, and checks that the test passes there.
fn inside(test: &str, network: &str) -> bool {
    if std::env::var(INSIDE).is_ok_and(|name| name == test) {
        return true;
    }
    let possible = Command::new("unshare")
        .args(["-rmn", "sh", "-c", "ip link set lo up && mount -t tmpfs none /run"])
        .output()
        .is_ok_and(|tried| tried.status.success());
    if !possible {
        assert!(std::env::var("PORTOLAN_LAB").as_deref() != Ok("require"), "no namespaces on this host");
        eprintln!("ignored: no network namespaces on this host (unshare, ip)");
        return false;
    }
    let script =
        format!("set -e; mount -t tmpfs none /run; {network}; exec \"$0\" --exact \"namespace::$1\" --nocapture");
    let output = Command::new("unshare")
        .args(["-rmn", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(INSIDE, test)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "in the namespace:\n{text}");
    false
}

/// A packet socket that receives every packet of the namespace, as sent on the interface.
struct PacketCapture(socket2::Socket);

impl PacketCapture {
    fn start() -> Self {
        const ETH_P_ALL: u16 = 3;
        let all = socket2::Protocol::from(i32::from(ETH_P_ALL.to_be()));
        let socket = socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::DGRAM, Some(all)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(socket)
    }

    /// Returns the hop limit and the source port of the next UDP packet with this payload.
    fn find(&mut self, payload: &[u8]) -> (u8, u16) {
        let mut buffer = [0; 65_536];
        loop {
            let count = match self.0.read(&mut buffer) {
                Ok(count) => count,
                // A process that was stopped and continued sees this in a call with a timeout (`signal(7)`).
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => panic!("the packet is not captured: {error}"),
            };
            let packet = &buffer[..count];
            let (hop_limit, header) = match packet[0] >> 4 {
                4 => (packet[8], 20),
                6 => (packet[7], 40),
                _ => continue,
            };
            if packet.ends_with(payload) && packet.len() == header + 8 + payload.len() {
                return (hop_limit, u16::from_be_bytes([packet[header], packet[header + 1]]));
            }
        }
    }
}

#[tokio::test]
async fn a_hop_limit_applies_to_one_datagram_only() {
    if !inside("a_hop_limit_applies_to_one_datagram_only", "ip link set lo up") {
        return;
    }
    let mut driver = recorder(Mode::Record);
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let peer = UdpSocket::bind(local).await.unwrap();
        let remote = peer.local_addr().unwrap();
        let (socket, from) = driver.opened(Protocol::Udp, local).await;
        let mut capture = PacketCapture::start();
        driver.transmit(socket, remote, b"before");
        driver.send_limited(socket, remote, b"short", 3);
        driver.transmit(socket, remote, b"between");
        driver.send_limited(socket, remote, b"shorter", 1);
        driver.transmit(socket, remote, b"after");
        let expected: [(&[u8], u8); 5] =
            [(b"before", 64), (b"short", 3), (b"between", 64), (b"shorter", 1), (b"after", 64)];
        for (payload, hop_limit) in expected {
            assert_eq!(capture.find(payload), (hop_limit, from.port()), "{}", String::from_utf8_lossy(payload));
        }
    }
}

/// The MTU of the namespace's loopback interface is 1,500 bytes.
#[tokio::test]
async fn a_datagram_larger_than_the_path_mtu_arrives_in_fragments() {
    if !inside("a_datagram_larger_than_the_path_mtu_arrives_in_fragments", "ip link set lo mtu 1500 up") {
        return;
    }
    for (local, to) in [("127.0.0.1:0", "127.0.0.1:0"), ("0.0.0.0:0", "127.0.0.4:0"), ("[::1]:0", "[::1]:0")] {
        let mut driver = recorder(Mode::Record);
        let mut peer = recorder(Mode::Record);
        let (_, remote) = peer.opened(Protocol::Udp, to).await;
        let (socket, bound) = driver.opened(Protocol::Udp, local).await;
        for (length, hop_limit) in
            [(1_472, None), (1_473, None), (9_000, None), (4_000, Some(2)), (20, None), (60_000, None)]
        {
            match hop_limit {
                Some(limit) => driver.send_limited(socket, remote, &vec![6; length], limit),
                None => driver.transmit(socket, remote, &vec![6; length]),
            }
            match in_time(peer.next()).await {
                Recorded::Datagram { remote, payload, .. } => {
                    assert_eq!(payload, vec![6; length]);
                    assert_eq!(remote.port(), bound.port(), "from the same port");
                }
                other => panic!("got {other:?}"),
            }
        }
        // Datagrams in the other direction still arrive.
        let from = SocketAddr::new(remote.ip(), bound.port());
        let from = if bound.ip().is_unspecified() { from } else { bound };
        let other_peer = UdpSocket::bind(to).await.unwrap();
        for number in 0..20_u8 {
            other_peer.send_to(&[number], from).await.unwrap();
            let event = in_time(driver.next()).await;
            assert!(matches!(&event, Recorded::Datagram { payload, .. } if *payload == [number]), "got {event:?}");
        }
        // The port was never shared.
        driver.order(Protocol::Udp, &bound.to_string(), |open| open);
        assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::AddressInUse));
        let sharing = socket2::Socket::new(socket2::Domain::for_address(bound), socket2::Type::DGRAM, None).unwrap();
        sharing.set_reuse_address(true).unwrap();
        let other = if bound.ip().is_unspecified() { ([127, 0, 0, 9], bound.port()).into() } else { bound };
        assert!(sharing.bind(&other.into()).is_err(), "no other socket may share the port");
    }
}

#[tokio::test]
async fn an_order_without_a_route_is_refused() {
    if !inside("an_order_without_a_route_is_refused", "ip link set lo up") {
        return;
    }
    let mut driver = recorder(Mode::Record);
    for (local, remote) in [("0.0.0.0:0", "192.0.2.1:3478"), ("[::]:0", "[2001:db8::1]:3478")] {
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            driver.order(protocol, local, |open| open.towards(remote.parse().unwrap()));
            assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::NoRoute), "{protocol} {remote}");
        }
        let (socket, _) = driver.opened(Protocol::Udp, local).await;
        let remote = remote.parse().unwrap();
        driver.transmit(socket, remote, b"nowhere");
        let why = Unreachability::Network;
        assert_eq!(driver.socket_event().await, SocketEvent::Unreachable { remote, why });
    }
}

#[tokio::test]
async fn a_route_that_forbids_sending_is_reported() {
    let network = "ip link set lo up; ip route add prohibit 192.0.2.7; ip route add unreachable 192.0.2.8";
    if !inside("a_route_that_forbids_sending_is_reported", network) {
        return;
    }
    let mut driver = recorder(Mode::Record);
    let (socket, _) = driver.opened(Protocol::Udp, "0.0.0.0:0").await;
    for (remote, why) in [("192.0.2.7:7", Unreachability::Prohibited), ("192.0.2.8:7", Unreachability::Host)] {
        let remote = remote.parse().unwrap();
        driver.transmit(socket, remote, b"forbidden");
        assert_eq!(driver.socket_event().await, SocketEvent::Unreachable { remote, why });
    }
}

/// The neighbour does not answer ARP requests, so packets wait in the host and the send buffer fills.
#[tokio::test]
async fn a_full_send_buffer_drops_and_counts() {
    let network = "ip link set lo up; ip link add name host0 type veth peer name dead0; ip link set dead0 up; \
        ip addr add 10.0.1.1/24 dev host0; ip link set host0 up; \
        echo 100 > /proc/sys/net/ipv4/neigh/host0/retrans_time_ms";
    if !inside("a_full_send_buffer_drops_and_counts", network) {
        return;
    }
    let lines = Lines::default();
    let config = DriverConfig::default().with_socket_buffers(8_192).with_trace(lines.clone());
    let mut driver = recorder_with(Mode::Record, config);
    let remote: SocketAddr = "10.0.1.77:7".parse().unwrap();
    let (socket, _) = driver.opened_towards(Protocol::Udp, remote).await;
    for _ in 0..100 {
        driver.transmit(socket, remote, &[0; 1_000]);
    }
    let full = driver.counters().full;
    assert!((50..100).contains(&full), "{full} of 100 dropped");
    let line = "driver 0: the send buffer of s1 is full, a datagram to 10.0.1.77:7 is dropped";
    assert_eq!(lines.0.lock().unwrap().iter().filter(|note| *note == line).count() as u64, full);
    let own = Transmit::new(socket, remote, vec![0; 1_000].into());
    assert_eq!(driver.send(own), Err(SendError::Full));
    assert_eq!(driver.counters().full, full, "the owner got `Full`, so no drop is counted");
    // The kernel stops sending ARP requests, and reports the datagrams that waited as unreachable.
    assert_eq!(driver.socket_event().await, SocketEvent::Unreachable { remote, why: Unreachability::Host });
}

/// Datagrams of one length to one address are one packet in this host's network stack (GSO).
#[tokio::test]
async fn datagrams_of_one_flow_are_sent_in_one_call() {
    if !inside("datagrams_of_one_flow_are_sent_in_one_call", "ip link set lo up") {
        return;
    }
    let mut driver = recorder(Mode::Record);
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    let (socket, _) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let mut capture = PacketCapture::start();
    driver.with(|machine, _| {
        for _ in 0..10 {
            machine.out.push(Output::Transmit(Transmit::new(socket, remote, Bytes::from_static(&[9; 100]))));
        }
    });
    capture.find(&[9; 1_000]);
    let mut buffer = [0; 2_048];
    for _ in 0..10 {
        assert_eq!(in_time(peer.recv(&mut buffer)).await.unwrap(), 100, "the peer receives ten datagrams");
    }
}

/// A host with two addresses of each family. The MTU of its loopback interface is 1,500 bytes.
const TWO_ADDRESSES: &str = "ip link set lo mtu 1500 up; \
    for n in 1 2; do ip addr add 10.9.0.$n/32 dev lo; ip addr add fd00:9::$n/128 dev lo nodad; done; \
    ip link add name out0 type veth peer name in0; ip addr add 10.8.0.1/24 dev out0; ip link set out0 up; \
    ip link set in0 up";

/// For both families: a wildcard address, the address of a peer, the host's two addresses, and a foreign address.
const FAMILIES: [(&str, &str, [&str; 2], &str); 2] = [
    ("0.0.0.0:0", "10.9.0.1:0", ["10.9.0.1", "10.9.0.2"], "192.0.2.1"),
    ("[::]:0", "[fd00:9::1]:0", ["fd00:9::1", "fd00:9::2"], "2001:db8::1"),
];

/// Sends `count` datagrams of 100 bytes from each of these sources in one batch.
fn send_from(driver: &mut Driver<Recorder>, socket: SocketId, remote: SocketAddr, sources: &[&str], count: usize) {
    driver.with(|machine, _| {
        for (number, source) in (0_u8..).zip(sources) {
            let payload = Bytes::from(vec![number; 100]);
            let transmit = Transmit::new(socket, remote, payload).with_local(source.parse().unwrap());
            (0..count).for_each(|_| machine.out.push(Output::Transmit(transmit.clone())));
        }
    });
}

/// Receives `count` datagrams of 100 bytes, and returns their source addresses.
async fn sources_of(peer: &UdpSocket, count: usize) -> Vec<SocketAddr> {
    let mut sources = Vec::new();
    for _ in 0..count {
        let mut buffer = [0; 2_048];
        let (length, from) = in_time(peer.recv_from(&mut buffer)).await.unwrap();
        assert_eq!(length, 100);
        sources.push(from);
    }
    sources
}

#[tokio::test]
async fn datagrams_have_the_chosen_source_address() {
    if !inside("datagrams_have_the_chosen_source_address", TWO_ADDRESSES) {
        return;
    }
    for (any, to, sources, _) in FAMILIES {
        let mut driver = recorder(Mode::Record);
        let (socket, bound) = driver.opened(Protocol::Udp, any).await;
        let peer = UdpSocket::bind(to).await.unwrap();
        let remote = peer.local_addr().unwrap();
        for count in [1, 8, 64] {
            let mut capture = PacketCapture::start();
            send_from(&mut driver, socket, remote, &[sources[1], sources[0], sources[1]], count);
            let got = sources_of(&peer, 3 * count).await;
            let from = |n: usize| SocketAddr::new(sources[n].parse().unwrap(), bound.port());
            let expected = [1, 0, 1].into_iter().flat_map(|n| core::iter::repeat_n(from(n), count));
            assert_eq!(got, expected.collect::<Vec<_>>(), "{count}");
            // The datagrams of each source are one batch, and the batch is one packet.
            (0..3_u8).for_each(|number| _ = capture.find(&vec![number; 100 * count]));
        }
        // A datagram that is larger than the path MTU, without and with a hop limit.
        let large = Transmit::new(socket, remote, Bytes::from(vec![1; 9_000])).with_local(sources[1].parse().unwrap());
        for transmit in [large.clone(), large.with_hop_limit(9)] {
            driver.with(|machine, _| machine.out.push(Output::Transmit(transmit)));
            let mut buffer = vec![0; 10_000];
            let (length, from) = in_time(peer.recv_from(&mut buffer)).await.unwrap();
            assert_eq!((length, from.ip()), (9_000, sources[1].parse().unwrap()));
        }
    }
}

/// A source address that the system would refuse with EINVAL must not stop segmentation offload.
#[tokio::test]
async fn a_foreign_source_address_is_reported_and_does_not_stop_segmentation_offload() {
    if !inside("a_foreign_source_address_is_reported_and_does_not_stop_segmentation_offload", TWO_ADDRESSES) {
        return;
    }
    for (any, to, sources, foreign) in FAMILIES {
        let mut driver = recorder(Mode::Record);
        let (socket, _) = driver.opened(Protocol::Udp, any).await;
        let peer = UdpSocket::bind(to).await.unwrap();
        let remote = peer.local_addr().unwrap();
        let refused = SocketEvent::Unreachable { remote, why: Unreachability::SourceAddress };
        let mut capture = PacketCapture::start();
        send_from(&mut driver, socket, remote, &[sources[0], foreign, sources[1], foreign, sources[0]], 8);
        for _ in 0..16 {
            assert_eq!(driver.socket_event().await, refused);
        }
        sources_of(&peer, 24).await;
        (0..5_u8).step_by(2).for_each(|number| _ = capture.find(&[number; 800]));

        // The host loses an address that was just used, and gets it back.
        let (prefix, family) = if remote.is_ipv4() { ("32", "-4") } else { ("128", "-6") };
        let address = |what: &str| {
            let mut ip = Command::new("ip");
            ip.args([family, "addr", what, &format!("{}/{prefix}", sources[1]), "dev", "lo"]);
            assert!(ip.status().unwrap().success());
        };
        address("del");
        send_from(&mut driver, socket, remote, &[sources[1], sources[0]], 8);
        for _ in 0..8 {
            assert_eq!(driver.socket_event().await, refused);
        }
        sources_of(&peer, 8).await;
        capture.find(&[1; 800]);
        address("add");
        // The kernel can need a moment before the address can be used again.
        let usable = || std::net::UdpSocket::bind((sources[1], 0)).and_then(|socket| socket.connect(remote)).is_ok();
        let started = std::time::Instant::now();
        while !usable() {
            assert!(started.elapsed() < Duration::from_secs(10), "{} can be used again", sources[1]);
            std::thread::yield_now();
        }
        send_from(&mut driver, socket, remote, &[sources[1]], 8);
        let arrived = sources_of(&peer, 8).await;
        assert!(arrived.iter().all(|from| from.ip() == sources[1].parse::<IpAddr>().unwrap()), "{arrived:?}");
        capture.find(&[0; 800]);
    }
}

#[tokio::test]
async fn an_invalid_source_is_reported() {
    if !inside("an_invalid_source_is_reported", TWO_ADDRESSES) {
        return;
    }
    use Unreachability::{SourceAddress, Unspecified};
    let cases = [
        ("0.0.0.0:0", "10.9.0.1:7", "0.0.0.0", SourceAddress),
        ("0.0.0.0:0", "10.9.0.1:7", "fd00:9::1", SourceAddress),
        ("0.0.0.0:0", "10.9.0.1:7", "::ffff:10.9.0.1", SourceAddress),
        ("0.0.0.0:0", "10.9.0.1:7", "224.0.0.1", SourceAddress),
        ("0.0.0.0:0", "10.9.0.1:7", "255.255.255.255", SourceAddress),
        ("0.0.0.0:0", "10.9.0.1:7", "10.8.0.255", SourceAddress),
        ("[::]:0", "[fd00:9::1]:7", "::", SourceAddress),
        ("[::]:0", "[fd00:9::1]:7", "10.9.0.1", SourceAddress),
        ("[::]:0", "[fd00:9::1]:7", "ff02::1", SourceAddress),
        ("[::]:0", "[fd00:9::1]:7", "fe80::1", SourceAddress),
        ("10.9.0.1:0", "10.9.0.1:7", "10.9.0.2", SourceAddress),
        ("[fd00:9::1]:0", "[fd00:9::1]:7", "fd00:9::2", SourceAddress),
        // The loopback address is an address of this host, but not a valid source towards another host.
        ("0.0.0.0:0", "10.8.0.2:7", "127.0.0.1", Unspecified),
        ("0.0.0.0:0", "10.9.0.1:0", "10.9.0.1", Unspecified),
    ];
    for (local, remote, source, why) in cases {
        let mut driver = recorder(Mode::Record);
        let (socket, _) = driver.opened(Protocol::Udp, local).await;
        let remote = remote.parse().unwrap();
        send_from(&mut driver, socket, remote, &[source], 2);
        let events = [driver.socket_event().await, driver.socket_event().await];
        assert_eq!(events, [SocketEvent::Unreachable { remote, why }; 2], "from {source}");
        // Segmentation offload still works.
        let own = if remote.is_ipv4() { "10.9.0.1" } else { "fd00:9::1" };
        let peer = UdpSocket::bind((own, 0)).await.unwrap();
        let mut capture = PacketCapture::start();
        send_from(&mut driver, socket, peer.local_addr().unwrap(), &[own], 8);
        sources_of(&peer, 8).await;
        capture.find(&[0; 800]);
    }
}

/// Forwarded datagrams of one flow are sent in one call, like queued datagrams.
#[tokio::test]
async fn forwarded_datagrams_are_sent_in_one_call() {
    if !inside("forwarded_datagrams_are_sent_in_one_call", "ip link set lo up") {
        return;
    }
    let (mut driver, local, sink) = relay().await;
    let datagrams: Vec<_> = (0..10).map(|_| datagram(b'f', 100, b'f')).collect();
    send(local, &datagrams).await;
    let mut capture = PacketCapture::start();
    expect_datagrams(&mut driver, &sink, &datagrams).await;
    capture.find(&[b'f'; 1_000]);
}

/// Without free descriptors a listener pauses between its tries. It accepts when descriptors are free again.
#[tokio::test(start_paused = true)]
async fn a_listener_that_cannot_accept_causes_no_busy_loop() {
    if !inside("a_listener_that_cannot_accept_causes_no_busy_loop", "ip link set lo up; ulimit -n 64") {
        return;
    }
    let lines = Lines::default();
    let mut driver = recorder_with(Mode::Record, DriverConfig::default().with_trace(lines.clone()));
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let peer = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let mut all = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        all.push(file);
    }
    peer.connect(&server.into()).unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(2), driver.next()).await.is_err());
    let tries = lines.0.lock().unwrap().len();
    assert!((2..=11).contains(&tries), "{tries} tries in two seconds");
    drop(all);
    assert!(matches!(driver.socket_event().await, SocketEvent::Accepted { .. }));
}

/// The kernel's TCP buffers hold only a few KiB, so that the driver holds the rest.
const SMALL_TCP_BUFFERS: &str = "ip link set lo up; echo 4096 8192 8192 > /proc/sys/net/ipv4/tcp_wmem; \
    echo 4096 8192 8192 > /proc/sys/net/ipv4/tcp_rmem";

#[tokio::test]
async fn queued_bytes_are_sent_after_the_end_of_a_stream() {
    if !inside("queued_bytes_are_sent_after_the_end_of_a_stream", SMALL_TCP_BUFFERS) {
        return;
    }
    const HELD: usize = 200_000;
    let turns = || async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    // Closed by the machine.
    let mut driver = recorder(Mode::Record);
    let (_, server) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let mut peer = TcpStream::connect(server).await.unwrap();
    let SocketEvent::Accepted { socket, remote, .. } = driver.socket_event().await else { panic!("no stream") };
    driver.transmit(socket, remote, &vec![1; HELD]);
    driver.close(socket);
    driver.run_while(turns()).await;
    let mut read = Vec::new();
    driver.run_while(peer.read_to_end(&mut read)).await.0.unwrap();
    assert_eq!(read.len(), HELD);
    // Ended by a peer that has only shut down its sending direction.
    let mut peer = TcpStream::connect(server).await.unwrap();
    let SocketEvent::Accepted { socket, remote, .. } = driver.socket_event().await else { panic!("no stream") };
    driver.transmit(socket, remote, &vec![2; HELD]);
    peer.shutdown().await.unwrap();
    let mut read = Vec::new();
    let (result, events) = driver.run_while(peer.read_to_end(&mut read)).await;
    result.unwrap();
    assert_eq!(read.len(), HELD);
    let expected = [SocketEvent::Full, SocketEvent::Writable, SocketEvent::Closed(Closure::ByPeer)];
    assert_eq!(
        events,
        expected.map(|event| Recorded::Socket(socket, event)),
        "a full stream is not read, so its end is reported later"
    );
    // Closed by the driver's shutdown.
    let mut peer = TcpStream::connect(server).await.unwrap();
    let SocketEvent::Accepted { socket, remote, .. } = driver.socket_event().await else { panic!("no stream") };
    driver.transmit(socket, remote, &vec![3; HELD]);
    let mut read = Vec::new();
    let (_, result) = tokio::join!(in_time(driver.shutdown()), async {
        let result = peer.read_to_end(&mut read).await;
        drop(peer);
        result
    });
    assert_eq!(result.unwrap(), HELD);
}

/// This host (10.0.1.1), a router (10.0.1.2 and 10.0.2.2), and a far host (10.0.2.1). The MTU of the far link is 1,280
/// bytes.
const ROUTER: &str = "ip link set lo up; ip netns add router; ip netns add far; \
    ip link add name host0 type veth peer name near0 netns router; \
    ip addr add 10.0.1.1/24 dev host0; ip link set host0 up; ip route add default via 10.0.1.2; \
    ip -n router link add name away0 type veth peer name far0 netns far; \
    ip -n router addr add 10.0.1.2/24 dev near0; ip -n router link set near0 up; \
    ip -n router addr add 10.0.2.2/24 dev away0; ip -n router link set away0 mtu 1280 up; \
    ip netns exec router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'; \
    ip -n far addr add 10.0.2.1/24 dev far0; ip -n far link set far0 up; ip -n far route add default via 10.0.2.2";

#[tokio::test]
async fn icmp_errors_of_routers_are_reported() {
    if !inside("icmp_errors_of_routers_are_reported", ROUTER) {
        return;
    }
    let mut driver = recorder(Mode::Record);
    let remote: SocketAddr = "10.0.2.1:7".parse().unwrap();
    let (socket, local) = driver.opened_towards(Protocol::Udp, remote).await;
    assert_eq!(local.ip().to_string(), "10.0.1.1");
    let unreachable = |why| SocketEvent::Unreachable { remote, why };
    driver.transmit(socket, remote, b"to a closed port");
    assert_eq!(driver.socket_event().await, unreachable(Unreachability::Port));
    driver.send_limited(socket, remote, b"one hop", 1);
    assert_eq!(driver.socket_event().await, unreachable(Unreachability::HopLimit));
    driver.transmit(socket, remote, &[0; 1_400]);
    assert_eq!(driver.socket_event().await, unreachable(Unreachability::TooLarge), "fragmentation is forbidden");
    // An ICMP error that arrives between two datagrams of one batch is reported too.
    let other: SocketAddr = "10.0.2.1:8".parse().unwrap();
    let (wide, _) = driver.opened_towards(Protocol::Udp, other).await;
    driver.with(|machine, _| {
        machine.out.push(Output::Transmit(Transmit::new(wide, other, Bytes::from_static(&[0; 1_401]))));
        machine.out.push(Output::Transmit(Transmit::new(wide, other, Bytes::from_static(b"short"))));
    });
    let events = [driver.socket_event().await, driver.socket_event().await];
    let of = |why| SocketEvent::Unreachable { remote: other, why };
    assert_eq!(events, [of(Unreachability::TooLarge), of(Unreachability::Port)]);
    // The host now knows the path MTU. So the next datagram is fragmented, and arrives at the closed port.
    driver.transmit(socket, remote, &[0; 1_400]);
    assert_eq!(driver.socket_event().await, unreachable(Unreachability::Port));
}
