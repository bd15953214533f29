//! TLS on loopback. Each test creates its certificates.

use crate::driving::Lines;
use crate::recorder::{Mode, Recorded, Recorder, RecorderExt as _, in_time, opened, recorder, recorder_with};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Protocol, Refusal, SocketEvent, TlsFailure};
use portolan_tokio::rustls::crypto::{CryptoProvider, ring};
use portolan_tokio::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use portolan_tokio::rustls::{self, RootCertStore};
use portolan_tokio::{Driver, DriverConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Creates a certificate for these names, and its key.
fn certificate(names: &[&str]) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.der().clone(), made.signing_key.serialize_der().into())
}

/// Creates a certificate for these names that is valid from one year to another, and its key.
fn certificate_for_years(names: &[&str], from: i32, to: i32) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    (made.der().clone(), key.serialize_der().into())
}

/// The configuration of a server that has this certificate.
fn server_config(shown: &CertificateDer<'static>, key: &PrivatePkcs8KeyDer<'static>) -> DriverConfig {
    let config = DriverConfig::default().with_connect_timeout(Duration::from_secs(5));
    config.with_tls_certificate(vec![shown.clone()], key.clone_key().into()).unwrap()
}

/// The configuration of a client that trusts only this certificate.
fn client_config(trusts: &CertificateDer<'static>) -> DriverConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusts.clone()).unwrap();
    DriverConfig::default().with_tls_roots(roots).unwrap()
}

fn server(mode: Mode, names: &[&str]) -> (Driver<Recorder>, CertificateDer<'static>) {
    let (certificate, key) = certificate(names);
    (recorder_with(mode, server_config(&certificate, &key)), certificate)
}

fn client(trusts: &CertificateDer<'static>) -> Driver<Recorder> {
    recorder_with(Mode::Record, client_config(trusts))
}

/// Orders a stream to `remote` for `name`. Returns its id and its first socket event.
async fn ordered(
    server: &mut Driver<Recorder>,
    client: &mut Driver<Recorder>,
    remote: SocketAddr,
    name: Option<&str>,
) -> (portolan_machine::SocketId, SocketEvent) {
    let socket = client.order(Protocol::Tls, "0.0.0.0:0", |open| match name {
        Some(name) => open.towards(remote).named(name.into()),
        None => open.towards(remote),
    });
    (socket, server.run_while(client.socket_event()).await.0)
}

#[tokio::test]
async fn a_stream_is_verified_by_name_or_by_address() {
    let (mut echo, certificate) = server(Mode::Echo, &["turn.example", "127.0.0.1"]);
    let (_, remote) = echo.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    for name in [Some("turn.example"), None] {
        let mut client = client(&certificate);
        let (socket, event) = ordered(&mut echo, &mut client, remote, name).await;
        assert!(!opened(event).ip().is_unspecified());
        client.transmit(socket, remote, b"ahoy");
        let (answer, _) = echo.run_while(client.read(socket, 4)).await;
        assert_eq!(answer, b"ahoy");
    }
}

#[tokio::test]
async fn half_a_megabyte_is_echoed_whole() {
    let (mut echo, certificate) = server(Mode::Echo, &["127.0.0.1"]);
    let (_, remote) = echo.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let mut client = client(&certificate);
    let (socket, _) = ordered(&mut echo, &mut client, remote, None).await;
    for part in 0..8_u8 {
        client.transmit(socket, remote, &[part; 64 * 1_024]);
        let (back, _) = echo.run_while(client.read(socket, 64 * 1_024)).await;
        assert!(back == vec![part; 64 * 1_024], "part {part}");
    }
}

/// Runs a handshake that must fail. Returns the reasons in the client's refusal, the client's note and the server's
/// note.
async fn failed_handshake(client: DriverConfig, server: DriverConfig, name: Option<&str>) -> [TlsFailure; 3] {
    let [client_lines, server_lines] = [Lines::default(), Lines::default()];
    let mut server = recorder_with(Mode::Record, server.with_trace(server_lines.clone()));
    let mut client = recorder_with(Mode::Record, client.with_trace(client_lines.clone()));
    let (_, remote) = server.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let (_, event) = ordered(&mut server, &mut client, remote, name).await;
    let SocketEvent::Refused(Refusal::TlsHandshake(why)) = event else { panic!("got: {event}") };
    let (_, events) = server.run_while(client_and_server_noted(&client_lines, &server_lines)).await;
    assert_eq!(events, [], "a stream whose handshake failed was never accepted");
    [why, noted_failure(&client_lines), noted_failure(&server_lines)]
}

async fn client_and_server_noted(client: &Lines, server: &Lines) {
    while client.0.lock().unwrap().is_empty() || server.0.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

/// The reason in the only note of a driver.
fn noted_failure(lines: &Lines) -> TlsFailure {
    let lines = lines.0.lock().unwrap();
    let [line] = lines.as_slice() else { panic!("one note: {lines:?}") };
    let all = [
        TlsFailure::Certificate,
        TlsFailure::Name,
        TlsFailure::Protocol,
        TlsFailure::Alert,
        TlsFailure::Closed,
        TlsFailure::Unspecified,
    ];
    let is_noted = |why: &TlsFailure| line.starts_with("driver 0: ") && line.ends_with(&format!(" failed: {why}"));
    all.into_iter().find(is_noted).unwrap_or_else(|| panic!("no reason in {line:?}"))
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_not_valid_now_is_refused() {
    let names = ["turn.example"];
    let (shown, key) = certificate(&names);
    let (stranger, _) = certificate(&names);
    let refused = [TlsFailure::Certificate, TlsFailure::Certificate, TlsFailure::Alert];
    for trusts in [client_config(&stranger), DriverConfig::default()] {
        assert_eq!(
            failed_handshake(trusts, server_config(&shown, &key), Some("turn.example")).await,
            refused,
            "unknown issuer"
        );
    }
    for (from, to) in [(2001, 2002), (3000, 3001)] {
        let (shown, key) = certificate_for_years(&names, from, to);
        let failure = failed_handshake(client_config(&shown), server_config(&shown, &key), Some("turn.example")).await;
        assert_eq!(failure, refused, "valid from {from} to {to}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_or_address_is_refused() {
    let (shown, key) = certificate(&["turn.example"]);
    for name in [Some("other.example"), None] {
        let failure = failed_handshake(client_config(&shown), server_config(&shown, &key), name).await;
        assert_eq!(failure, [TlsFailure::Name, TlsFailure::Name, TlsFailure::Alert], "for {name:?}");
    }
    // An invalid name is found after the stream is connected, before the handshake.
    let (mut echo, _) = server(Mode::Echo, &["turn.example"]);
    let (_, remote) = echo.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let (_, event) = ordered(&mut echo, &mut client(&shown), remote, Some("not a name")).await;
    assert_eq!(event, SocketEvent::Refused(Refusal::TlsHandshake(TlsFailure::Name)));
}

/// A crypto provider with only these cipher suites.
fn suites(suites: &[rustls::SupportedCipherSuite]) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: suites.to_vec(), ..ring::default_provider() })
}

/// The configuration of a client that trusts this certificate, with these versions and ciphers.
fn client_of(
    trusts: &CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> DriverConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusts.clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    DriverConfig::default().with_tls_client(Arc::new(client.with_root_certificates(roots).with_no_client_auth()))
}

/// The configuration of a server that has this certificate, with these versions and ciphers.
fn server_of(
    (shown, key): (&CertificateDer<'static>, &PrivatePkcs8KeyDer<'static>),
    provider: Arc<CryptoProvider>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> DriverConfig {
    let server = rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![shown.clone()], key.clone_key().into()).unwrap();
    DriverConfig::default().with_tls_server(Arc::new(server))
}

#[tokio::test]
async fn a_missing_common_version_or_cipher_is_reported_on_both_sides() {
    use rustls::version::{TLS12, TLS13};
    let (shown, key) = certificate(&["127.0.0.1"]);
    let all = || Arc::new(ring::default_provider());
    let (aes, chacha) = (
        suites(&[ring::cipher_suite::TLS13_AES_128_GCM_SHA256]),
        suites(&[ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256]),
    );
    let refused = [TlsFailure::Protocol; 3];
    for (client, server) in [(&TLS12, &TLS13), (&TLS13, &TLS12)] {
        let (client, server) = (client_of(&shown, all(), &[client]), server_of((&shown, &key), all(), &[server]));
        assert_eq!(failed_handshake(client, server, None).await, refused, "other versions");
    }
    let (client, server) = (client_of(&shown, aes.clone(), &[&TLS13]), server_of((&shown, &key), chacha, &[&TLS13]));
    assert_eq!(failed_handshake(client, server, None).await, refused, "other ciphers");

    // With the same settings on both sides the handshake succeeds.
    let mut echo = recorder_with(Mode::Echo, server_of((&shown, &key), aes.clone(), &[&TLS13]));
    let (_, remote) = echo.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let mut client = recorder_with(Mode::Record, client_of(&shown, aes, &[&TLS13]));
    let (_, event) = ordered(&mut echo, &mut client, remote, None).await;
    assert!(matches!(event, SocketEvent::Opened { .. }), "got: {event}");
}

/// Connects a client to a server that reads the ClientHello, sends `bytes` and closes. Returns the reasons in the
/// client's refusal and note.
async fn failed_client(bytes: &[u8], is_reset: bool) -> [TlsFailure; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = listener.local_addr().unwrap();
    let lines = Lines::default();
    let mut client = recorder_with(Mode::Record, DriverConfig::default().with_trace(lines.clone()));
    client.order(Protocol::Tls, "0.0.0.0:0", |open| open.towards(remote));
    let (event, _peer) = tokio::join!(client.socket_event(), async {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut hello = [0; 4_096];
        assert!(peer.read(&mut hello).await.unwrap() > 0);
        peer.write_all(bytes).await.unwrap();
        if is_reset {
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
            return None;
        }
        peer.shutdown().await.unwrap();
        Some(peer)
    });
    let SocketEvent::Refused(Refusal::TlsHandshake(why)) = event else { panic!("got: {event}") };
    [why, noted_failure(&lines)]
}

#[tokio::test]
async fn a_client_distinguishes_a_peer_without_tls_an_alert_and_a_closed_connection() {
    assert_eq!(failed_client(b"220 smtp.example ready\r\n", false).await, [TlsFailure::Protocol; 2]);
    assert_eq!(failed_client(&alert(80), false).await, [TlsFailure::Alert; 2], "internal_error");
    assert_eq!(failed_client(&alert(112), false).await, [TlsFailure::Alert; 2], "unrecognized_name");
    assert_eq!(failed_client(&alert(70), false).await, [TlsFailure::Protocol; 2], "protocol_version");
    assert_eq!(failed_client(b"", false).await, [TlsFailure::Closed; 2], "FIN");
    assert_eq!(failed_client(b"", true).await, [TlsFailure::Closed; 2], "RST");
    // The first bytes of a record do not change the reason.
    assert_eq!(failed_client(&[22, 3, 3], false).await, [TlsFailure::Closed; 2], "cut off");
}

/// A record with a fatal alert (RFC 8446 §6).
fn alert(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}

/// Connects a client that sends `bytes` and closes. Returns the reason in the server's note.
async fn failed_server(bytes: &[u8], is_reset: bool) -> TlsFailure {
    let lines = Lines::default();
    let (shown, key) = certificate(&["127.0.0.1"]);
    let mut server = recorder_with(Mode::Record, server_config(&shown, &key).with_trace(lines.clone()));
    let (_, remote) = server.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let client = async {
        let mut client = TcpStream::connect(remote).await.unwrap();
        client.write_all(bytes).await.unwrap();
        if is_reset {
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(client);
        while lines.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(server.run_while(client).await.1, [], "never accepted");
    noted_failure(&lines)
}

#[tokio::test]
async fn a_server_distinguishes_a_peer_without_tls_an_alert_and_a_closed_connection() {
    assert_eq!(failed_server(b"GET / HTTP/1.0\r\n\r\n", false).await, TlsFailure::Protocol);
    assert_eq!(failed_server(&alert(80), false).await, TlsFailure::Alert, "internal_error");
    assert_eq!(failed_server(b"", false).await, TlsFailure::Closed, "FIN");
    assert_eq!(failed_server(b"", true).await, TlsFailure::Closed, "RST");
    assert_eq!(failed_server(&[22, 3, 1], false).await, TlsFailure::Closed, "cut off");
}

/// The test runs with paused time: the clock advances only when no task can run.
#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_handshake_is_noted_as_timed_out() {
    let lines = Lines::default();
    let (shown, key) = certificate(&["127.0.0.1"]);
    let mut server = recorder_with(Mode::Record, server_config(&shown, &key).with_trace(lines.clone()));
    let (_, remote) = server.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let start = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(remote).await.unwrap();
    let local = silent.local_addr().unwrap();
    let (read, events) = server.run_while(silent.read(&mut [0])).await;
    assert_eq!((read.unwrap(), events), (0, vec![]), "closed, and never accepted");
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(*lines.0.lock().unwrap(), [format!("driver 0: the TLS handshake with {local} on s1 timed out")]);
}

#[tokio::test]
async fn a_listener_without_a_certificate_is_refused() {
    let mut driver = recorder(Mode::Record);
    driver.order(Protocol::TlsListen, "127.0.0.1:0", |open| open);
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::Unsupported));
}

#[tokio::test]
async fn a_listener_still_accepts_after_invalid_bytes_and_a_silent_peer() {
    let (mut echo, certificate) = server(Mode::Echo, &["127.0.0.1"]);
    let (_, remote) = echo.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let _silent = TcpStream::connect(remote).await.unwrap();
    let mut invalid = TcpStream::connect(remote).await.unwrap();
    invalid.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let (_, events) = echo.run_while(invalid.read_to_end(&mut answer)).await;
    assert_eq!(events, [], "a stream whose handshake failed was never accepted");
    let mut client = client(&certificate);
    let (socket, _) = ordered(&mut echo, &mut client, remote, None).await;
    client.transmit(socket, remote, b"ahoy");
    assert_eq!(echo.run_while(client.read(socket, 4)).await.0, b"ahoy");
}

#[tokio::test]
async fn close_notify_ends_a_stream_and_its_absence_is_a_tls_failure() {
    let (mut driver, certificate) = server(Mode::Record, &["127.0.0.1"]);
    let (_, remote) = driver.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    for (sends_close_notify, why) in [(true, Closure::ByPeer), (false, Closure::Tls)] {
        let mut client = client(&certificate);
        let socket = client.order(Protocol::Tls, "0.0.0.0:0", |open| open.towards(remote));
        let (_, events) = driver.run_while(client.socket_event()).await;
        let accepted = match events.as_slice() {
            [] => in_time(driver.next()).await,
            [one] => one.clone(),
            more => panic!("got {more:?}"),
        };
        let Recorded::Socket(_, SocketEvent::Accepted { socket: stream, .. }) = accepted else {
            panic!("{accepted:?}")
        };
        let event = if sends_close_notify {
            client.close(socket);
            client.run_while(driver.next()).await.0
        } else {
            // The client reads all bytes first. Otherwise its system would send a RST instead of a FIN.
            driver.transmit(stream, remote, b"!");
            driver.run_while(client.read(socket, 1)).await;
            drop(client);
            in_time(driver.next()).await
        };
        assert_eq!(event, Recorded::Socket(stream, SocketEvent::Closed(why)));
    }
}

#[tokio::test]
async fn a_server_that_sends_no_handshake_is_refused_as_timed_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = listener.local_addr().unwrap();
    let config = DriverConfig::default().with_connect_timeout(Duration::from_millis(200));
    let mut driver = recorder_with(Mode::Record, config);
    driver.order(Protocol::Tls, "0.0.0.0:0", |open| open.towards(remote));
    assert_eq!(driver.socket_event().await, SocketEvent::Refused(Refusal::TimedOut));
}

/// Connects to a TLS listener and sends nothing. The driver has begun the handshake when this function returns.
async fn connect_without_handshake(driver: &mut Driver<Recorder>, remote: SocketAddr) -> TcpStream {
    let connect = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let stream = socket.connect(remote).await.unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        stream
    };
    driver.run_while(connect).await.0
}

fn limited_to_two(shown: &CertificateDer<'static>, key: &PrivatePkcs8KeyDer<'static>) -> DriverConfig {
    server_config(shown, key).with_handshakes_per_source(2)
}

/// Orders a stream from 127.0.0.3.
fn order_from_other_source(client: &mut Driver<Recorder>, remote: SocketAddr) {
    client.order(Protocol::Tls, "127.0.0.3:0", |open| open.towards(remote));
}

#[tokio::test]
async fn the_handshakes_of_one_source_are_limited_and_another_source_is_served() {
    let (shown, key) = certificate(&["127.0.0.1"]);
    let lines = Lines::default();
    let mut server = recorder_with(Mode::Echo, limited_to_two(&shown, &key).with_trace(lines.clone()));
    let (_, remote) = server.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    for round in 1..=2 {
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(connect_without_handshake(&mut server, remote).await);
        }
        for _ in 0..3 {
            // The system may report the reset when the stream connects, or later.
            let rejected = async {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
                socket.connect(remote).await?.read(&mut [0]).await
            };
            let error = server.run_while(rejected).await.0.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        assert_eq!(server.counters().too_many_handshakes, 3 * round);
        let mut client = client(&shown);
        order_from_other_source(&mut client, remote);
        assert!(matches!(server.run_while(client.socket_event()).await.0, SocketEvent::Opened { .. }));
        // When its handshakes have ended, the source may begin new ones.
        lines.0.lock().unwrap().clear();
        drop(held);
        let both_noted = async {
            while lines.0.lock().unwrap().len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        server.run_while(both_noted).await;
    }
    assert_eq!(server.counters().too_many_streams, 0);
}

#[tokio::test]
async fn at_the_handshake_limit_peers_wait_until_a_handshake_ends() {
    let (shown, key) = certificate(&["127.0.0.1"]);
    assert_third_waits(limited_to_two(&shown, &key).with_handshake_limit(2), &shown).await;
}

#[tokio::test]
async fn handshakes_count_as_streams() {
    let (shown, key) = certificate(&["127.0.0.1"]);
    assert_third_waits(limited_to_two(&shown, &key).with_stream_limit(2), &shown).await;
}

/// Asserts that a third handshake does not begin until one of the first two has ended.
async fn assert_third_waits(server: DriverConfig, shown: &CertificateDer<'static>) {
    let mut server = recorder_with(Mode::Echo, server);
    let (_, remote) = server.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    // The limit holds for the whole driver. A second listener waits too, and the end of a handshake of the first
    // listener wakes it.
    let (_, second) = server.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let (one, _other) =
        (connect_without_handshake(&mut server, remote).await, connect_without_handshake(&mut server, remote).await);
    let mut client = client(shown);
    order_from_other_source(&mut client, second);
    let turns = async {
        for _ in 0..200 {
            tokio::select! {
                biased;
                event = client.next() => panic!("got {event:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    };
    server.run_while(turns).await;
    drop(one);
    assert!(matches!(server.run_while(client.socket_event()).await.0, SocketEvent::Opened { .. }));
    assert_eq!(server.counters().too_many_handshakes, 0);
}
