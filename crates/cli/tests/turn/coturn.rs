//! The clients of coturn against the server.
//!
//! `turnutils_uclient` sends a few messages through relays and counts the lost ones. Without `-c` it allocates a pair of
//! ports with EVEN-PORT and RESERVATION-TOKEN.

use crate::process::{Finished, Process};
use crate::server::{TIMEOUT, TurnServer, own_address};
use crate::turnserver;
use core::net::SocketAddr;
use core::time::Duration;
use libtest_mimic::{Failed, Trial};
use std::env;
use std::net::UdpSocket;
use std::process::Command;
use std::thread;
use std::time::Instant;

const CLIENT: &str = "turnutils_uclient";
const PEER: &str = "turnutils_peer";

/// Returns a program of coturn that is not installed.
pub(crate) fn missing() -> Option<&'static str> {
    let is_installed = |program: &str| {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    [CLIENT, PEER, turnserver::SERVER].into_iter().find(|program| !is_installed(program))
}

/// A run of the client.
struct Run {
    name: &'static str,
    /// The options of the client.
    options: &'static [&'static str],
    /// Whether the client sends to `turnutils_peer`. Otherwise two clients send to each other.
    with_peer: bool,
    /// The options of the server.
    server: &'static [&'static str],
}

const RUNS: &[Run] = &[
    Run { name: "channels", options: &["-c"], with_peer: true, server: &[] },
    Run { name: "send_indications", options: &["-s", "-c"], with_peer: true, server: &[] },
    Run { name: "client_to_client", options: &["-y", "-c"], with_peer: false, server: &[] },
    Run { name: "client_to_client_by_send_indications", options: &["-y", "-s", "-c"], with_peer: false, server: &[] },
    Run {
        name: "client_to_client_on_several_workers",
        options: &["-y", "-c", "-m", "2"],
        with_peer: false,
        server: &["--workers", "3"],
    },
    Run { name: "even_port_pair", options: &[], with_peer: true, server: &[] },
    Run { name: "even_port_pair_client_to_client", options: &["-y"], with_peer: false, server: &[] },
    Run { name: "tcp", options: &["-t", "-c"], with_peer: true, server: &[] },
    Run { name: "tcp_client_to_client", options: &["-t", "-y", "-c"], with_peer: false, server: &[] },
    Run { name: "rfc_6062", options: &["-T"], with_peer: false, server: &[] },
    Run { name: "dont_fragment", options: &["-g", "-c"], with_peer: true, server: &[] },
];

/// The trials; all ignored if coturn is absent.
pub(crate) fn trials(is_missing: bool) -> Vec<Trial> {
    let run = |run: &'static Run| {
        Trial::test(format!("coturn::{}", run.name), move || {
            succeeds(run);
            Ok::<(), Failed>(())
        })
    };
    let mut trials: Vec<Trial> = RUNS.iter().map(run).collect();
    trials.push(Trial::test("coturn::wrong_password", || {
        wrong_password();
        Ok(())
    }));
    #[cfg(feature = "tls")]
    trials.push(Trial::test("coturn::tls", || {
        tls();
        Ok(())
    }));
    trials.into_iter().map(|trial| trial.with_ignored_flag(is_missing)).collect()
}

/// The options of each server.
const SERVER: [&str; 5] = ["-v", "--user", "alice:secret", "--drain", "0"];

fn succeeds(run: &Run) {
    let workers = if run.server.is_empty() { &["--workers", "1"][..] } else { run.server };
    let peer = run.with_peer.then(start_peer);
    let at = peer.as_ref().map(|(_, at)| *at);
    let (finished, _) = until_channels_are_valid(|| {
        let server = TurnServer::start(&[&SERVER[..], workers].concat());
        let finished = client(server.address, "secret", run.options, at);
        (finished, end(server))
    });
    assert_no_loss(&finished);
}

/// Ends a server, and checks that it refused nothing but channel numbers of RFC 5766. Returns its standard error.
fn end(server: TurnServer) -> String {
    server.terminate().expect("the process runs");
    let finished = server.finish();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let refused = finished.stderr.lines().filter(|line| line.contains("refused with error"));
    for line in refused {
        assert!(line.contains("is not the number of a channel"), "{line}");
    }
    finished.stderr
}

#[cfg(feature = "tls")]
fn tls() {
    use crate::server::KeyPair;
    let pair = KeyPair::new("coturn", "localhost");
    let listen = format!("{}:0", own_address());
    let tls = ["--tls-listen", &listen, "--tls-cert", pair.cert.path(), "--tls-key", pair.key.path()];
    let (_peer, at) = start_peer();
    let run = |options: &[&str], peer| {
        let (finished, counters) = until_channels_are_valid(|| {
            let mut server = TurnServer::start(&[&SERVER[..], &["--workers", "1"], &tls].concat());
            let address = server.tls_address();
            let finished = client(address, "secret", options, peer);
            (finished, end(server))
        });
        assert_eq!(finished.code, Some(0), "{finished:?}");
        (finished, counters)
    };
    assert_no_loss(&run(&["-t", "-S", "-c"], Some(at)).0);
    // With two TLS clients, the client of coturn 4.6.1 does not read the last datagrams of some streams. It does the same
    // with the server of coturn. So the counters of our server are the proof.
    let (_, counters) = run(&["-t", "-S", "-y", "-c"], None);
    assert!(
        counters.contains("relayed: 10 datagrams (1000 bytes) to peers, 10 (1000) to clients; 0 dropped"),
        "{counters}"
    );
}

fn wrong_password() {
    let server = TurnServer::start(&["--user", "alice:secret", "--workers", "1"]);
    let finished = client(server.address, "guess", &["-y", "-c"], None);
    assert!(finished.code.is_some_and(|code| code != 0), "{finished:?}");
    assert!(!finished.stdout.contains("Total lost packets"), "{finished:?}");
}

fn assert_no_loss(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let last = finished.stdout.lines().rev().find(|line| line.contains("lost packets")).unwrap_or_default();
    assert!(last.contains("Total lost packets 0 "), "{last:?}: {finished:?}");
}

/// Starts servers and clients until the channel numbers of a client are in the range of RFC 8656. Each client has a server
/// of its own, because a client that ends early leaves its allocations.
///
/// The client takes random numbers from 0x4000 to 0x7fff (RFC 5766). The server refuses those above 0x4fff with 400 (RFC
/// 8656 §12.2), and then the client ends at once. One of 4 clients with one channel has a valid number, and one of 256
/// with four channels. So several clients are started at the same time.
fn until_channels_are_valid<T: Send>(start: impl Fn() -> (Finished, T) + Sync) -> (Finished, T) {
    let deadline = Instant::now() + TIMEOUT * 10;
    loop {
        let mut results = thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(&start)).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect::<Vec<_>>()
        });
        let valid = results.iter().position(|(finished, _)| !finished.stdout.contains("channel bind: error 400"));
        if valid.is_some() || Instant::now() > deadline {
            return results.swap_remove(valid.unwrap_or_default());
        }
    }
}

/// The number of clients that are started at the same time.
const AT_ONCE: usize = 4;

fn client(server: SocketAddr, password: &str, options: &[&str], peer: Option<SocketAddr>) -> Finished {
    let mut command = Command::new(CLIENT);
    command.args(["-u", "alice", "-w", password, "-p", &server.port().to_string()]).args(options);
    if let Some(peer) = peer {
        command.args(["-e", &peer.ip().to_string(), "-r", &peer.port().to_string()]);
    }
    command.arg(server.ip().to_string());
    Process::start(command).and_then(|process| process.finish(TIMEOUT * 2)).expect("the client ends")
}

/// Starts an echo server on two ports in a row, which `turnutils_peer` and a pair of ports need.
pub(crate) fn start_peer() -> (Process, SocketAddr) {
    for _ in 0..10 {
        // No other trial has a peer on this address.
        let (ip, port) = (own_address(), free_pair());
        let mut command = Command::new(PEER);
        command.args(["-L", &ip, "-p", &port.to_string()]);
        let process = Process::start(command).expect("the peer starts");
        let at = SocketAddr::new(ip.parse().expect("an address"), port);
        if answers(at) {
            return (process, at);
        }
    }
    panic!("the peer does not answer");
}

fn free_pair() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("its address").port() & !1
}

/// Whether a datagram comes back. It is sent again until the peer has opened its socket.
fn answers(at: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(at).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
    let deadline = Instant::now() + TIMEOUT / 6;
    while Instant::now() < deadline {
        // Before the peer has its socket, both calls report that the port is unreachable.
        let _ = socket.send(b"echo");
        if socket.recv(&mut [0; 16]).is_ok() {
            return true;
        }
    }
    false
}
