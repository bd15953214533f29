//! `portolan turn` against the server of coturn.
//!
//! Each trial starts its own `turnserver` on a loopback address of its own. The server reads no configuration file, and
//! its user database and PID file are in a folder of the trial. The server ends with the trial.

use crate::binary::portolan;
use crate::client::Client;
use crate::coturn::start_peer;
use crate::process::{Finished, Process};
use crate::server::{REALM, RELAY_PORTS, TIMEOUT, own_address};
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use libtest_mimic::{Failed, Trial};
use portolan_stun::{Class, Method, Writer};
use serde_json::Value;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The server of coturn.
pub(crate) const SERVER: &str = "turnserver";

/// The trials; all ignored if coturn is absent.
pub(crate) fn trials(is_missing: bool) -> Vec<Trial> {
    let all: Vec<(&str, fn())> = vec![
        ("udp_to_the_own_peer_and_to_an_echo_server", || relays(&Coturn::start(&[]), "udp")),
        ("tcp_to_the_own_peer_and_to_an_echo_server", || relays(&Coturn::start(&[]), "tcp")),
        ("a_server_that_adds_fingerprints", || relays(&Coturn::start(&["--fingerprint"]), "udp")),
        ("the_allocation_is_refreshed_and_deleted", deletes),
        ("a_wrong_password_is_error_401", wrong_password),
        ("a_denied_peer_is_error_403", denied_peer),
        ("a_full_quota_is_error_486", quota),
        #[cfg(feature = "tls")]
        ("tls_to_the_own_peer_and_to_an_echo_server", tls),
    ];
    let trial = |(name, run): (&str, fn())| {
        Trial::test(format!("turnserver::{name}"), move || {
            run();
            Ok::<(), Failed>(())
        })
    };
    all.into_iter().map(|named| trial(named).with_ignored_flag(is_missing)).collect()
}

/// A running server of coturn.
struct Coturn {
    process: Process,
    /// The address for UDP and TCP.
    plain: SocketAddr,
    _folder: Folder,
}

impl Coturn {
    /// Starts a server with the user `alice` and these options, and waits until it answers.
    fn start(options: &[&str]) -> Self {
        Self::start_at(&own_address(), options)
    }

    fn start_at(ip: &str, options: &[&str]) -> Self {
        // Another process can take a free port before the server does, so the start is repeated.
        for _ in 0..5 {
            let (plain, secure) = free_ports(ip);
            let folder = Folder::new();
            let mut command = Command::new(SERVER);
            command.args(["-n", "--no-cli", "--no-dtls", "--log-file=stdout", "--verbose", "--lt-cred-mech"]);
            command.args(["--allow-loopback-peers", "--user=alice:secret"]);
            let ports = [
                ("listening-port", plain.port()),
                ("tls-listening-port", secure.port()),
                ("min-port", RELAY_PORTS.0),
                ("max-port", RELAY_PORTS.1),
            ];
            command.args(ports.map(|(name, port)| format!("--{name}={port}")));
            command.args(
                [("listening-ip", ip), ("relay-ip", ip), ("realm", REALM)]
                    .map(|(name, value)| format!("--{name}={value}")),
            );
            command.arg(format!("--userdb={}", folder.file("users")));
            command.arg(format!("--pidfile={}", folder.file("pid")));
            // Does not find a certificate with the default name in the folder of the tests.
            command.current_dir(&folder.0).args(options);
            let process = Process::start(command).expect("the server starts");
            if serves(plain) {
                return Self { process, plain, _folder: folder };
            }
        }
        panic!("the server does not answer");
    }
}

/// Returns two addresses that UDP and TCP can use.
fn free_ports(ip: &str) -> (SocketAddr, SocketAddr) {
    let free = || {
        let listener = TcpListener::bind((ip, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        (UdpSocket::bind(address), listener, address)
    };
    // Both are open at once, so that the ports differ.
    let pair = (0..10).map(|_| (free(), free())).find(|(first, second)| first.0.is_ok() && second.0.is_ok());
    let ((_, _, first), (_, _, second)) = pair.expect("two ports");
    (first, second)
}

/// Waits until the server answers a Binding request over UDP and accepts a TCP connection.
fn serves(at: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(at).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
    let mut buffer = [0; 20];
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).expect("room");
    let request = writer.finish();
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        // Before the server has its socket, both calls report that the port is unreachable.
        let _ = socket.send(request);
        if socket.recv(&mut [0; 1024]).is_ok() && TcpStream::connect(at).is_ok() {
            return true;
        }
    }
    false
}

/// A folder of a trial; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("portolan-turnserver-{}-{number}", std::process::id()));
        // Does not exist from an earlier process with the same id.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        Path::new(&self.0).join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `portolan turn`. Returns its result and its report.
fn turn(server: SocketAddr, user: &str, options: &[&str]) -> (Finished, Value) {
    let server = server.to_string();
    let fixed = ["turn", &server, "--user", user, "--format", "json", "--timeout", "60"];
    let command = portolan(&[&fixed[..], options].concat()).expect("loopback");
    let finished = Process::start(command).and_then(|process| process.finish(TIMEOUT * 10)).expect("the command ends");
    let report = serde_json::from_str(&finished.stdout).unwrap_or_else(|why| panic!("{why}: {finished:?}"));
    (finished, report)
}

const ALICE: &str = "alice:secret";

/// Relays to the socket of the command, and to `turnutils_peer`.
fn relays(server: &Coturn, transport: &str) {
    let options: &[&str] = if transport == "tcp" { &["--tcp"] } else { &[] };
    relays_over(server, server.plain, transport, options);
}

fn relays_over(server: &Coturn, address: SocketAddr, transport: &str, options: &[&str]) {
    let (_peer, echo) = start_peer();
    let echo = echo.to_string();
    for to in [&[][..], &["--peer", &echo]] {
        let fixed = ["--count", "50", "--size", "1000"];
        let (finished, report) = turn(address, ALICE, &[&fixed[..], options, to].concat());
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        assert_eq!((&report["outcome"], &report["transport"]), (&"works".into(), &transport.into()), "{report}");
        let relayed = report["relayed"][0].as_str().and_then(|text| text.parse::<SocketAddr>().ok());
        assert_eq!(relayed.map(|relayed| relayed.ip()), Some(server.plain.ip()), "{report}");
        assert!(report["channel"].is_u64() && report["refreshed_s"].as_u64() > Some(0), "{report}");
        let datagrams = &report["datagrams"];
        assert_eq!((&datagrams["sent"], &datagrams["returned"]), (&50.into(), &50.into()), "{report}");
        assert_eq!(report["failed"], Value::Null, "{report}");
    }
}

#[cfg(feature = "tls")]
fn tls() {
    use crate::server::KeyPair;
    let ip = own_address();
    let pair = KeyPair::new("turnserver", &ip);
    let files = [format!("--cert={}", pair.cert.path()), format!("--pkey={}", pair.key.path())];
    let server = Coturn::start_at(&ip, &[&files[0], &files[1]]);
    // Each port of this server takes plain streams and TLS.
    relays_over(&server, server.plain, "tls", &["--tls", "--ca-file", pair.cert.path()]);
    let other = KeyPair::new("turnserver-other", &ip);
    let server = server.plain.to_string();
    let command = portolan(&["turn", &server, "--user", ALICE, "--tls", "--ca-file", other.cert.path()]);
    let finished = Process::start(command.expect("loopback")).and_then(|process| process.finish(TIMEOUT));
    let finished = finished.expect("the command ends");
    assert!(finished.code == Some(2) && finished.stderr.contains("the certificate is invalid"), "{finished:?}");
}

fn deletes() {
    let mut server = Coturn::start(&[]);
    let (finished, report) = turn(server.plain, ALICE, &["--count", "1"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let refreshed = server.process.wait_for("refreshed, realm=", TIMEOUT).expect("a line");
    let seconds = format!("lifetime={}", report["refreshed_s"]);
    assert!(refreshed.contains("username=<alice>") && refreshed.contains(&seconds), "{refreshed}");
    let deleted = server.process.wait_for("refreshed, realm=", TIMEOUT).expect("a line");
    assert!(deleted.trim_end().ends_with("lifetime=0"), "{deleted}");
}

/// Checks that the server refused this step with this code.
fn assert_refused((finished, report): &(Finished, Value), stage: &str, code: u16) {
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(1), ""), "{finished:?}");
    assert_eq!(report["outcome"], "refused", "{report}");
    assert_eq!((&report["failed"]["stage"], &report["failed"]["code"]), (&stage.into(), &code.into()), "{report}");
}

fn wrong_password() {
    let server = Coturn::start(&[]);
    for user in ["alice:guess", "unknown:secret"] {
        for options in [&[][..], &["--tcp"]] {
            assert_refused(&turn(server.plain, user, options), "allocate", 401);
        }
    }
}

fn denied_peer() {
    let server = Coturn::start(&["--denied-peer-ip=10.0.0.0-10.255.255.255"]);
    assert_refused(&turn(server.plain, ALICE, &["--peer", "10.1.2.3:9"]), "permission", 403);
}

fn quota() {
    let server = Coturn::start(&["--user-quota=1"]);
    let mut first = Client::new(server.plain, "alice", "secret");
    first.allocate().expect("an allocation");
    assert_refused(&turn(server.plain, ALICE, &[]), "allocate", 486);
    assert_eq!(first.refresh(0), Ok(0));
    // The server forgets a deleted allocation after its response.
    let deadline = Instant::now() + TIMEOUT;
    while turn(server.plain, ALICE, &["--count", "1"]).0.code != Some(0) {
        assert!(Instant::now() < deadline, "the place is not released");
    }
}
