//! UDP sockets that the driver releases.

use crate::recorder::{Mode, Recorded, Recorder, RecorderExt as _, in_time, recorder};
use alloc::sync::Arc;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Output, Protocol, SocketId, Transmit};
use portolan_tokio::{Driver, rustls};
use std::io::ErrorKind;
use std::net::UdpSocket;

/// Sends a datagram to the socket at `local`, and receives it in the driver.
async fn receive_one(driver: &mut Driver<Recorder>, local: SocketAddr) {
    let peer = tokio::net::UdpSocket::bind((local.ip(), 0)).await.unwrap();
    peer.send_to(b"ahoy", local).await.unwrap();
    assert!(matches!(in_time(driver.next()).await, Recorded::Datagram { .. }));
}

/// Sends `count` datagrams of 1,000 bytes in one call (GSO). The system may merge them on reception (GRO).
async fn send_together(to: SocketAddr, count: u8) {
    let mut sender = recorder(Mode::Record);
    let (socket, _) = sender.opened_towards(Protocol::Udp, to).await;
    sender.with(|machine, _| {
        for number in 0..count {
            machine.out.push(Output::Transmit(Transmit::new(socket, to, Bytes::from(vec![number; 1_000]))));
        }
    });
}

/// Reads all datagrams of a nonblocking socket.
fn read_all(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; 65_536];
    let read = || match socket.recv(&mut buffer) {
        Ok(count) => Some(buffer[..count].to_vec()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "the socket is nonblocking, and no error is pending");
            None
        }
    };
    core::iter::from_fn(read).collect()
}

fn numbered(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|number| vec![number; 1_000]).collect()
}

#[tokio::test]
async fn unread_datagrams_stay_in_a_released_socket_and_arrive_one_by_one() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let mut driver = recorder(Mode::Record);
        let own = UdpSocket::bind(local).unwrap();
        let (adopted, adopted_at) = driver.adopt_udp(own).unwrap();
        let (opened, opened_at) = driver.opened(Protocol::Udp, local).await;
        for (id, at) in [(adopted, adopted_at), (opened, opened_at)] {
            receive_one(&mut driver, at).await;
            send_together(at, 8).await;
            let released = driver.release_udp(id).unwrap();
            assert_eq!(read_all(&released), numbered(8), "sent before the release");
            send_together(at, 8).await;
            assert_eq!(read_all(&released), numbered(8), "sent after it");
            assert_eq!(released.local_addr().unwrap(), at);
        }
    }
}

/// On a busy socket the system merges datagrams. The machine gets the merged datagrams, and the released socket keeps
/// the others.
#[tokio::test]
async fn no_datagram_of_a_busy_socket_is_lost_or_merged() {
    let mut driver = recorder(Mode::Record);
    let (id, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let payloads = |driver: &mut Driver<Recorder>| {
        let mut payloads = Vec::new();
        driver.with(|machine, _| assert!(machine.out.is_empty()));
        let mut cx = core::task::Context::from_waker(core::task::Waker::noop());
        while let core::task::Poll::Ready(event) = driver.poll_next(&mut cx) {
            match event {
                Recorded::Datagram { payload, .. } => payloads.push(payload),
                other => panic!("got {other:?}"),
            }
        }
        payloads
    };
    send_together(local, 60).await;
    let mut all = Vec::new();
    while all.len() < 60 {
        let Recorded::Datagram { payload, .. } = in_time(driver.next()).await else { panic!("no datagram") };
        all.push(payload);
    }
    assert_eq!(all, numbered(60));
    send_together(local, 50).await;
    let released = driver.release_udp(id).unwrap();
    assert_eq!(payloads(&mut driver), numbered(50), "passed to the machine before the release");
    send_together(local, 8).await;
    assert_eq!(read_all(&released), numbered(8));
}

#[tokio::test]
async fn a_released_socket_is_closed_for_the_machine() {
    let mut driver = recorder(Mode::Record);
    let (id, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let (listener, _) = driver.opened(Protocol::TcpListen, "127.0.0.1:0").await;
    let peer = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let remote = peer.local_addr().unwrap();
    driver.transmit(id, remote, b"before");
    let released = driver.release_udp(id).unwrap();
    driver.transmit(id, remote, b"after");
    assert_eq!(driver.counters().not_open, 1, "the id is closed");
    let mut buffer = [0; 16];
    let (count, from) = in_time(peer.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(
        (&buffer[..count], from),
        (&b"before"[..], local),
        "a datagram that was queued before the release is sent"
    );
    assert!(driver.release_udp(id).is_none());
    assert!(driver.release_udp(listener).is_none(), "not a UDP socket");
    assert!(driver.release_udp(SocketId(99)).is_none());
    peer.send_to(b"for the new owner", local).await.unwrap();
    let (_, events) = driver.run_while(tokio::task::yield_now()).await;
    assert_eq!(events, []);
    assert_eq!(read_all(&released), [b"for the new owner"]);
}

/// The release turns the error queue off, so an ICMP error does not disturb the new owner.
#[tokio::test]
async fn a_pending_error_stays_with_the_driver() {
    let mut driver = recorder(Mode::Record);
    let (id, local) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    driver.transmit(id, closed, b"to a closed port");
    let released = driver.release_udp(id).unwrap();
    released.send_to(b"again", closed).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.send_to(b"ahoy", local).unwrap();
    assert_eq!(read_all(&released), [b"ahoy"]);
}

/// QUIC sets its own socket options, and needs each datagram whole.
#[tokio::test]
async fn a_released_socket_serves_quic() {
    let key = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let certificate = key.cert.der().clone();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], private)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = quinn::crypto::rustls::QuicServerConfig::try_from(server).unwrap();
    let client = quinn::crypto::rustls::QuicClientConfig::try_from(client).unwrap();

    let mut driver = recorder(Mode::Record);
    let (here, here_at) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    let (there, there_at) = driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    receive_one(&mut driver, here_at).await;
    receive_one(&mut driver, there_at).await;
    let endpoint = |id: SocketId, server, driver: &mut Driver<Recorder>| {
        let socket = driver.release_udp(id).unwrap();
        let runtime = Arc::new(quinn::TokioRuntime);
        quinn::Endpoint::new(quinn::EndpointConfig::default(), server, socket, runtime).unwrap()
    };
    let server = endpoint(here, Some(quinn::ServerConfig::with_crypto(Arc::new(server))), &mut driver);
    let caller = endpoint(there, None, &mut driver);
    let client = quinn::ClientConfig::new(Arc::new(client));
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let serving = tokio::spawn(async move {
        let connection = server.accept().await.unwrap().await.unwrap();
        let (mut answer, mut request) = connection.accept_bi().await.unwrap();
        let read = request.read_to_end(2_000_000).await.unwrap();
        answer.write_all(&read).await.unwrap();
        answer.finish().unwrap();
        connection.closed().await;
        connection.remote_address()
    });
    in_time(async {
        let connection = caller.connect_with(client, here_at, "localhost").unwrap().await.unwrap();
        let (mut request, mut answer) = connection.open_bi().await.unwrap();
        let (written, read) = tokio::join!(
            async {
                request.write_all(&sent).await.unwrap();
                request.finish()
            },
            answer.read_to_end(2_000_000)
        );
        written.unwrap();
        assert!(read.unwrap() == sent, "a megabyte comes back");
        connection.close(0_u8.into(), b"done");
    })
    .await;
    assert_eq!(in_time(serving).await.unwrap(), there_at);
}

/// After the release every socket option has the value that it had before the adoption.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[tokio::test]
async fn the_socket_options_are_those_from_before_the_adoption() {
    use nix::sys::socket::sockopt::{
        IpRecvTos, Ipv4PacketInfo, Ipv4RecvErr, Ipv4Ttl, Ipv6DontFrag, Ipv6RecvErr, Ipv6RecvPacketInfo, Ipv6RecvTClass,
        Ipv6Ttl, ReceiveTimestampns, UdpGroSegment, UdpGsoSegment,
    };
    use nix::sys::socket::{getsockopt, setsockopt};
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, ip_mtu_discover, ipv6_mtu_discover, set_ip_mtu_discover,
        set_ipv6_mtu_discover,
    };

    let read = |socket: &UdpSocket| {
        let is_ipv6 = socket.local_addr().unwrap().is_ipv6();
        let mut options = vec![
            ("IP_RECVTOS", i32::from(getsockopt(socket, IpRecvTos).unwrap())),
            ("IP_PKTINFO", i32::from(getsockopt(socket, Ipv4PacketInfo).unwrap())),
            ("IP_RECVERR", i32::from(getsockopt(socket, Ipv4RecvErr).unwrap())),
            ("IP_TTL", getsockopt(socket, Ipv4Ttl).unwrap()),
            ("IP_MTU_DISCOVER", ip_mtu_discover(socket).unwrap().as_raw()),
            ("UDP_GRO", i32::from(getsockopt(socket, UdpGroSegment).unwrap())),
            ("UDP_SEGMENT", getsockopt(socket, UdpGsoSegment).unwrap()),
            ("SO_TIMESTAMPNS", i32::from(getsockopt(socket, ReceiveTimestampns).unwrap())),
        ];
        if is_ipv6 {
            options.extend([
                ("IPV6_RECVTCLASS", i32::from(getsockopt(socket, Ipv6RecvTClass).unwrap())),
                ("IPV6_RECVPKTINFO", i32::from(getsockopt(socket, Ipv6RecvPacketInfo).unwrap())),
                ("IPV6_RECVERR", i32::from(getsockopt(socket, Ipv6RecvErr).unwrap())),
                ("IPV6_UNICAST_HOPS", getsockopt(socket, Ipv6Ttl).unwrap()),
                ("IPV6_DONTFRAG", i32::from(getsockopt(socket, Ipv6DontFrag).unwrap())),
                ("IPV6_MTU_DISCOVER", ipv6_mtu_discover(socket).unwrap().as_raw()),
            ]);
        }
        options
    };
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let mut driver = recorder(Mode::Record);
        let defaults = read(&UdpSocket::bind(local).unwrap());
        // One socket has the system's defaults. The other has the values that the driver must change.
        let plain = UdpSocket::bind(local).unwrap();
        let special = UdpSocket::bind(local).unwrap();
        setsockopt(&special, IpRecvTos, &true).unwrap();
        setsockopt(&special, ReceiveTimestampns, &true).unwrap();
        setsockopt(&special, UdpGroSegment, &true).unwrap();
        setsockopt(&special, UdpGsoSegment, &700).unwrap();
        setsockopt(&special, Ipv4Ttl, &9).unwrap();
        set_ip_mtu_discover(&special, Ipv4PathMtuDiscovery::DO).unwrap();
        if special.local_addr().unwrap().is_ipv6() {
            setsockopt(&special, Ipv6Ttl, &9).unwrap();
            setsockopt(&special, Ipv6RecvPacketInfo, &true).unwrap();
            set_ipv6_mtu_discover(&special, Ipv6PathMtuDiscovery::DONT).unwrap();
        }
        let expected = [defaults.clone(), read(&special), defaults];
        assert_ne!(expected[0], expected[1]);
        let watched = plain.try_clone().unwrap();
        let (plain, _) = driver.adopt_udp(plain).unwrap();
        let (special, _) = driver.adopt_udp(special).unwrap();
        let (opened, at) = driver.opened(Protocol::Udp, local).await;
        assert_ne!(read(&watched), expected[0], "the driver changes some options");
        for (id, expected) in [plain, special, opened].into_iter().zip(expected) {
            // A hop limit and fragmentation change options during one send.
            driver.send_limited(id, at, b"short", 3);
            driver.transmit(id, at, &[0; 60_000]);
            assert_eq!(read(&driver.release_udp(id).unwrap()), expected, "{local}");
        }
    }
}
