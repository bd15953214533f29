//! `portolan turn --tls` against `portolan serve --turn`, and the reload of the certificate.

use crate::binary::portolan;
use crate::process::{Finished, Process};
use crate::server::{KeyPair, TIMEOUT, TurnServer, own_address};
use alloc::sync::Arc;
use core::net::SocketAddr;
use libtest_mimic::{Failed, Trial};
use portolan_stun::{Class, Message, Method, Writer};
use portolan_tokio::rustls::crypto::ring;
use portolan_tokio::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use portolan_tokio::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const USER: &str = "alice:secret";

/// The trials.
pub(crate) fn trials() -> Vec<Trial> {
    let all: [(&str, fn()); 2] = [
        ("the_client_relays_over_tls_if_it_trusts_the_certificate", relays),
        ("a_reload_replaces_the_certificate_and_a_faulty_one_changes_nothing", reloads),
    ];
    let trial = |(name, run): (&str, fn())| {
        Trial::test(format!("tls::{name}"), move || {
            run();
            Ok::<(), Failed>(())
        })
    };
    all.into_iter().map(trial).collect()
}

/// Starts a server with a TLS listener on this address. Returns it with the address and port of the listener.
fn start(ip: &str, pair: &KeyPair, options: &[&str]) -> (TurnServer, SocketAddr) {
    let listen = format!("{ip}:0");
    let tls = ["--tls-listen", &listen, "--tls-cert", pair.cert.path(), "--tls-key", pair.key.path()];
    let mut server = TurnServer::start(&[&["--user", USER], &tls[..], options].concat());
    let address = server.tls_address();
    (server, address)
}

/// Runs `portolan turn --tls` with this certificate as the only trusted one.
fn turn(server: SocketAddr, trusted: &KeyPair, options: &[&str]) -> Finished {
    let server = server.to_string();
    let fixed = ["turn", &server, "--user", USER, "--tls", "--ca-file", trusted.cert.path(), "--timeout", "60"];
    let command = portolan(&[&fixed[..], options].concat()).expect("loopback");
    Process::start(command).and_then(|process| process.finish(TIMEOUT * 10)).expect("the command ends")
}

#[track_caller]
fn assert_untrusted(finished: &Finished) {
    assert!(finished.code == Some(2) && finished.stderr.contains("the certificate is invalid"), "{finished:?}");
}

fn relays() {
    let ip = own_address();
    let pair = KeyPair::new("relays", &ip);
    let (server, address) = start(&ip, &pair, &["--drain", "0", "--workers", "2"]);
    let finished = turn(address, &pair, &["--count", "50", "--size", "1000", "--format", "json"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((&report["transport"], &report["outcome"]), (&"tls".into(), &"works".into()), "{report}");
    assert_eq!((&report["datagrams"]["returned"], &report["refreshed_s"]), (&50.into(), &600.into()), "{report}");
    assert_untrusted(&turn(address, &KeyPair::new("relays-other", &ip), &[]));
    // A certificate of a trusted authority for another address.
    let elsewhere = KeyPair::new("relays-elsewhere", "192.0.2.1");
    let (_other, address) = start(&ip, &elsewhere, &[]);
    let finished = turn(address, &elsewhere, &[]);
    assert!(finished.code == Some(2) && finished.stderr.contains("name"), "{finished:?}");
    server.terminate().expect("the process runs");
    let finished = server.finish();
    assert!(finished.stderr.contains("1 allocations, 0 open; relayed: 50 datagrams"), "{finished:?}");
}

/// An open TLS stream to a server.
struct TlsStream(StreamOwned<ClientConnection, TcpStream>);

impl TlsStream {
    fn connect(server: SocketAddr, trusted: &KeyPair) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(trusted.cert.path()).expect("PEM")).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = ClientConnection::new(Arc::new(config), ServerName::from(server.ip())).expect("a connection");
        let tcp = TcpStream::connect(server).expect("loopback");
        tcp.set_read_timeout(Some(TIMEOUT)).expect("a socket");
        let mut stream = Self(StreamOwned::new(tls, tcp));
        stream.exchange();
        stream
    }

    /// Sends a Binding request and reads the response.
    fn exchange(&mut self) {
        let mut buffer = [0; 20];
        let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).expect("room");
        self.0.write_all(writer.finish()).expect("the server reads");
        self.0.flush().expect("the server reads");
        let mut response = [0; 32];
        self.0.read_exact(&mut response).expect("a response in time");
        let response = Message::decode(&response).expect("a response");
        assert_eq!(response.class(), Class::SuccessResponse);
    }
}

fn reloads() {
    let ip = own_address();
    let (served, old, new) =
        (KeyPair::new("served", &ip), KeyPair::new("reload-old", &ip), KeyPair::new("reload-new", &ip));
    let serve = |cert: &str, key: &str| {
        served.cert.write(cert);
        served.key.write(key);
    };
    serve(&old.cert.text(), &old.key.text());
    // A client finds each of the workers by chance, and all of them have the same certificate.
    let (mut server, address) = start(&ip, &served, &["--workers", "2"]);
    let mut open = TlsStream::connect(address, &old);
    let accepts = |trusted: &KeyPair| {
        for _ in 0..8 {
            TlsStream::connect(address, trusted);
        }
    };
    for (cert, key, word) in [
        ("no certificate\n".to_owned(), new.key.text(), "--tls-cert"),
        (new.cert.text(), "no key\n".to_owned(), "--tls-key"),
        (new.cert.text(), old.key.text(), "give the key of the first certificate"),
    ] {
        serve(&cert, &key);
        server.signal(Signal::HUP).expect("the process runs");
        let line = server.wait_for("not reloaded, the old settings stay", TIMEOUT).expect("a line");
        assert!(line.contains(word) && !line.contains("PRIVATE"), "{line}");
        accepts(&old);
    }
    serve(&new.cert.text(), &new.key.text());
    accepts(&old);
    server.signal(Signal::HUP).expect("the process runs");
    server.wait_for("reloaded: 1 user, and the certificate", TIMEOUT).expect("a line");
    accepts(&new);
    let finished = turn(address, &new, &["--count", "5"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_untrusted(&turn(address, &old, &[]));
    open.exchange();
}
