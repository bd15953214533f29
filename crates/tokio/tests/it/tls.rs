//! TLS on loopback, with certificates made for each test.

use crate::puppet::{Habit, Heard, Puppet, Strings as _, in_time, opened, puppet, puppet_with};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Protocol, Refusal, SocketNews, TlsFailure};
use portolan_tokio::rustls::RootCertStore;
use portolan_tokio::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use portolan_tokio::{Driver, DriverConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A certificate for these names, and its key.
fn certificate(names: &[&str]) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.der().clone(), made.signing_key.serialize_der().into())
}

fn server(habit: Habit, names: &[&str]) -> (Driver<Puppet>, CertificateDer<'static>) {
    let (certificate, key) = certificate(names);
    let config = DriverConfig::default().with_connect_timeout(Duration::from_secs(5));
    let config = config.with_tls_certificate(vec![certificate.clone()], key.into()).unwrap();
    (puppet_with(habit, config), certificate)
}

fn client(trusts: &CertificateDer<'static>) -> Driver<Puppet> {
    let mut roots = RootCertStore::empty();
    roots.add(trusts.clone()).unwrap();
    puppet_with(Habit::Tells, DriverConfig::default().with_tls_roots(roots).unwrap())
}

/// What a client hears that comes to `remote` for `name`.
async fn ordered(
    server: &mut Driver<Puppet>,
    client: &mut Driver<Puppet>,
    remote: SocketAddr,
    name: Option<&str>,
) -> (portolan_machine::SocketId, SocketNews) {
    let socket = client.order(Protocol::Tls, "0.0.0.0:0", |open| match name {
        Some(name) => open.towards(remote).named(name.into()),
        None => open.towards(remote),
    });
    (socket, server.beside(client.news()).await.0)
}

#[tokio::test]
async fn a_stream_is_verified_by_name_or_by_address() {
    let (mut echo, certificate) = server(Habit::Echoes, &["turn.example", "127.0.0.1"]);
    let (_, remote) = echo.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    for name in [Some("turn.example"), None] {
        let mut client = client(&certificate);
        let (socket, news) = ordered(&mut echo, &mut client, remote, name).await;
        assert!(!opened(news).ip().is_unspecified());
        client.transmit(socket, remote, b"ahoy");
        let (answer, _) = echo.beside(client.read(socket, 4)).await;
        assert_eq!(answer, b"ahoy");
    }
}

#[tokio::test]
async fn half_a_megabyte_comes_back_whole() {
    let (mut echo, certificate) = server(Habit::Echoes, &["127.0.0.1"]);
    let (_, remote) = echo.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let mut client = client(&certificate);
    let (socket, _) = ordered(&mut echo, &mut client, remote, None).await;
    for part in 0..8_u8 {
        client.transmit(socket, remote, &[part; 64 * 1_024]);
        let (back, _) = echo.beside(client.read(socket, 64 * 1_024)).await;
        assert!(back == vec![part; 64 * 1_024], "part {part}");
    }
}

#[tokio::test]
async fn a_wrong_name_or_an_unknown_authority_is_refused() {
    let (mut echo, certificate) = server(Habit::Echoes, &["turn.example"]);
    let (_, remote) = echo.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let (stranger, _) = self::certificate(&["turn.example"]);
    let refused = SocketNews::Refused(Refusal::TlsHandshake(TlsFailure::Unspecified));
    for (trusts, name) in [
        (&certificate, Some("other.example")),
        (&certificate, Some("not a name")),
        (&certificate, None),
        (&stranger, Some("turn.example")),
    ] {
        let mut client = client(trusts);
        assert_eq!(ordered(&mut echo, &mut client, remote, name).await.1, refused, "for {name:?}");
    }
    // The web's authorities, which the default trusts, do not know it either.
    let mut client = puppet(Habit::Tells);
    assert_eq!(ordered(&mut echo, &mut client, remote, Some("turn.example")).await.1, refused);
}

#[tokio::test]
async fn a_listener_without_a_certificate_is_refused() {
    let mut driver = puppet(Habit::Tells);
    driver.order(Protocol::TlsListen, "127.0.0.1:0", |open| open);
    assert_eq!(driver.news().await, SocketNews::Refused(Refusal::Unsupported));
}

#[tokio::test]
async fn a_listener_survives_rubbish_and_silence() {
    let (mut echo, certificate) = server(Habit::Echoes, &["127.0.0.1"]);
    let (_, remote) = echo.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    let _silent = TcpStream::connect(remote).await.unwrap();
    let mut rude = TcpStream::connect(remote).await.unwrap();
    rude.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let (_, heard) = echo.beside(rude.read_to_end(&mut answer)).await;
    assert_eq!(heard, [], "a stream whose handshake failed was never accepted");
    let mut client = client(&certificate);
    let (socket, _) = ordered(&mut echo, &mut client, remote, None).await;
    client.transmit(socket, remote, b"ahoy");
    assert_eq!(echo.beside(client.read(socket, 4)).await.0, b"ahoy");
}

#[tokio::test]
async fn a_farewell_is_the_end_and_a_cut_is_not() {
    let (mut driver, certificate) = server(Habit::Tells, &["127.0.0.1"]);
    let (_, remote) = driver.opened(Protocol::TlsListen, "127.0.0.1:0").await;
    for (polite, why) in [(true, Closure::ByPeer), (false, Closure::Tls)] {
        let mut client = client(&certificate);
        let socket = client.order(Protocol::Tls, "0.0.0.0:0", |open| open.towards(remote));
        let (_, heard) = driver.beside(client.news()).await;
        let accepted = match heard.as_slice() {
            [] => in_time(driver.next()).await,
            [one] => one.clone(),
            more => panic!("heard {more:?}"),
        };
        let Heard::News(_, SocketNews::Accepted { socket: stream, .. }) = accepted else { panic!("{accepted:?}") };
        let told = if polite {
            client.close(socket);
            client.beside(driver.next()).await.0
        } else {
            // What the client has read does not turn the cut into a reset.
            driver.transmit(stream, remote, b"!");
            driver.beside(client.read(socket, 1)).await;
            drop(client);
            in_time(driver.next()).await
        };
        assert_eq!(told, Heard::News(stream, SocketNews::Closed(why)));
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_refused() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = deaf.local_addr().unwrap();
    let mut driver = puppet(Habit::Tells);
    driver.order(Protocol::Tls, "0.0.0.0:0", |open| open.towards(remote));
    let (news, ()) = tokio::join!(driver.news(), async {
        let (mut peer, _) = deaf.accept().await.unwrap();
        peer.write_all(b"220 smtp.example ready\r\n").await.unwrap();
        let mut hello = Vec::new();
        let _broken_off = peer.read_to_end(&mut hello).await;
    });
    assert_eq!(news, SocketNews::Refused(Refusal::TlsHandshake(TlsFailure::Unspecified)));
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_is_refused_as_timed_out() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = deaf.local_addr().unwrap();
    let config = DriverConfig::default().with_connect_timeout(Duration::from_millis(200));
    let mut driver = puppet_with(Habit::Tells, config);
    driver.order(Protocol::Tls, "0.0.0.0:0", |open| open.towards(remote));
    assert_eq!(driver.news().await, SocketNews::Refused(Refusal::TimedOut));
}
