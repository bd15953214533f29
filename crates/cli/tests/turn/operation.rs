//! The operation of a server: allocations, signals, reloads, the log and the metrics.

use crate::client::{Client, peer, receive_number};
use crate::receive::uninterrupted;
use crate::server::{PrivateFile, TIMEOUT, TurnServer, own_address};
use core::time::Duration;
use libtest_mimic::{Failed, Trial};
use portolan_stun_agent::authenticator::TimedKeys;
use rustix::process::Signal;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Instant, SystemTime};

const USER: &str = "alice:correct horse battery staple";
const PASSWORD: &str = "correct horse battery staple";
const CHANNEL: u16 = 0x4000;

/// The trials without coturn.
pub(crate) fn trials() -> Vec<Trial> {
    let all: [(&str, fn()); 9] = [
        ("a_datagram_is_relayed_with_one_and_with_several_workers", relays),
        ("a_stop_signal_drains_and_no_datagram_is_lost", drains),
        ("a_second_stop_signal_and_the_end_of_the_time_end_the_server", ends_at_once),
        ("a_killed_server_starts_again_and_its_clients_allocate_again", restarts),
        ("a_reload_replaces_users_and_lists_and_a_faulty_one_changes_nothing", reloads),
        ("time_limited_credentials_are_accepted_until_their_end", time_limited),
        ("the_log_has_each_allocation_and_no_credential", logs),
        ("metrics_count_and_their_clients_are_bounded", metrics),
        ("the_quotas_of_all_workers_are_the_quota", quotas),
    ];
    let trial = |(name, run): (&str, fn())| {
        Trial::test(format!("operation::{name}"), move || {
            run();
            Ok::<(), Failed>(())
        })
    };
    all.into_iter().map(trial).collect()
}

fn relays() {
    for workers in ["1", "3"] {
        let server = TurnServer::start(&["--user", USER, "--workers", workers, "--drain", "0"]);
        assert!(server.before.contains(&format!("with {workers} worker")), "{}", server.before);
        // Several clients, so that several workers serve.
        for number in 0..8_u32 {
            let mut client = Client::new(server.address, "alice", PASSWORD);
            let relayed = client.allocate().expect("an allocation");
            assert_eq!(relayed.ip(), server.address.ip());
            let (peer, address) = peer();
            client.bind(CHANNEL, address).expect("a channel");
            client.send(CHANNEL, &number.to_be_bytes());
            assert_eq!(receive_number(&peer), number);
            // The listener of the server is no peer, even though its address is the relay address.
            assert_eq!(client.bind(CHANNEL + 1, server.address), Err(403));
        }
        let mut stranger = Client::new(server.address, "alice", "guess");
        assert_eq!(stranger.allocate(), Err(401));
        server.terminate().expect("the process runs");
        let finished = server.finish();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(finished.stderr.contains("8 allocations"), "{finished:?}");
    }
}

fn drains() {
    const DATAGRAMS: u32 = 10_000;
    const WINDOW: u32 = 50;
    let mut server = TurnServer::start(&["--user", USER, "--drain", "600", "--workers", "2"]);
    let mut client = Client::new(server.address, "alice", PASSWORD);
    let (peer, address) = peer();
    client.allocate().expect("an allocation");
    client.bind(CHANNEL, address).expect("a channel");
    let mut numbers = 0..DATAGRAMS;
    while let Some(first) = numbers.next() {
        if first == DATAGRAMS / 10 {
            server.terminate().expect("the process runs");
            server.wait_for("draining: new allocations get 508, and 1 allocation may go on", TIMEOUT).expect("a line");
            assert_eq!(Client::new(server.address, "alice", PASSWORD).allocate(), Err(508));
        }
        // A window, so that no buffer of the kernel overflows.
        let window: Vec<u32> = [first].into_iter().chain(numbers.by_ref().take(WINDOW as usize - 1)).collect();
        window.iter().for_each(|number| client.send(CHANNEL, &number.to_be_bytes()));
        window.iter().for_each(|number| assert_eq!(receive_number(&peer), *number));
    }
    assert_eq!(client.refresh(0), Ok(0));
    let finished = server.finish();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stderr.contains(&format!("relayed: {DATAGRAMS} datagrams")), "{finished:?}");
}

fn ends_at_once() {
    for (drain, signals) in [("0", 1), ("600", 2), ("1", 1)] {
        let mut server = TurnServer::start(&["--user", USER, "--drain", drain]);
        let mut client = Client::new(server.address, "alice", PASSWORD);
        client.allocate().expect("an allocation");
        for nth in 0..signals {
            server.terminate().expect("the process runs");
            if nth + 1 < signals {
                server.wait_for("draining", TIMEOUT).expect("a line");
            }
        }
        let finished = server.finish();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(finished.stderr.contains("1 allocations, 0 open"), "{finished:?}");
    }
    let server = TurnServer::start(&["--user", USER, "--drain", "600"]);
    server.terminate().expect("the process runs");
    assert_eq!(server.finish().code, Some(0), "without allocations there is nothing to wait for");
}

fn restarts() {
    let server = TurnServer::start(&["--user", USER]);
    // No other process of the trials has this address.
    let listen = server.address.to_string();
    let mut clients: Vec<_> = (0..4).map(|_| Client::new(server.address, "alice", PASSWORD)).collect();
    let (peer, address) = peer();
    for client in &mut clients {
        client.allocate().expect("an allocation");
        client.bind(CHANNEL, address).expect("a channel");
        // Datagrams are on their way when the process is killed.
        (0..20_u32).for_each(|number| client.send(CHANNEL, &number.to_be_bytes()));
    }
    assert_eq!(receive_number(&peer), 0);
    server.signal(Signal::KILL).expect("the process runs");
    assert_eq!(server.finish().code, None);
    let server = TurnServer::start_on(&listen, &["--user", USER]).expect("the port is free");
    for (number, client) in (1_000..).zip(&mut clients) {
        assert_eq!(client.refresh(600), Err(437), "the new process does not know the allocation");
        client.allocate().expect("an allocation");
        client.bind(CHANNEL, address).expect("a channel");
        client.send(CHANNEL, &u32::to_be_bytes(number));
        while receive_number(&peer) != number {}
    }
    drop(server);
}

fn reloads() {
    let users = PrivateFile::new("reload-users", "alice:first\n");
    let config = |deny: &str| format!("users = {:?}\ndeny-peer = [{deny}]\n", users.path());
    let file = PrivateFile::new("reload.toml", &config(""));
    let mut server = TurnServer::start(&["--config", file.path(), "--workers", "2"]);
    let address = server.address;
    let allocate = |password: &str| Client::new(address, "alice", password).allocate().map(drop);
    assert_eq!((allocate("first"), allocate("second")), (Ok(()), Err(401)));
    let mut client = Client::new(address, "alice", "first");
    client.allocate().expect("an allocation");
    let (peer, peer_address) = peer();
    client.permit(peer_address.ip()).expect("a permission");
    for (text, deny, word) in [
        ("alice\n", "", "line 1"),
        ("alice:second\n", "\"127.0.0.1/8\"", "bits after the prefix"),
        ("alice:second\n", "5", "column"),
        ("", "", "has no user"),
    ] {
        users.write(text);
        file.write(&config(deny));
        server.signal(Signal::HUP).expect("the process runs");
        let line = server.wait_for("not reloaded, the old settings stay", TIMEOUT).expect("a line");
        assert!(line.contains(word), "{line}");
        assert_eq!((allocate("first"), allocate("second")), (Ok(()), Err(401)));
    }
    users.write("alice:second\nbob:third\n");
    file.write(&config("\"127.0.0.0/8\""));
    server.signal(Signal::HUP).expect("the process runs");
    server.wait_for("reloaded: 2 users", TIMEOUT).expect("a line");
    assert_eq!((allocate("first"), allocate("second")), (Err(401), Ok(())));
    let mut client = Client::new(address, "bob", "third");
    client.allocate().expect("an allocation");
    assert_eq!(
        client.permit(peer_address.ip()),
        Err(403),
        "the longest prefix decides, and at equal lengths it denies"
    );
    drop(peer);
}

fn time_limited() {
    const SECRETS: [&str; 2] = ["new-secret-of-the-application", "old-secret-of-the-application"];
    let file = PrivateFile::new("secrets", &format!("# secrets\n{}\n{}\n", SECRETS[0], SECRETS[1]));
    let server = TurnServer::start(&["--auth-secret-file", file.path(), "--user", USER]);
    assert!(server.before.contains("1 user and 2 secrets"), "{}", server.before);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_secs();
    let allocate = |secret: &str, name: &str| {
        let keys = TimedKeys::new(Duration::ZERO, secret.as_bytes()).expect("a secret");
        Client::new(server.address, name, keys.password(name).as_str()).allocate().map(drop)
    };
    for secret in SECRETS {
        assert_eq!(allocate(secret, &format!("{}:bob", now + 3_600)), Ok(()));
        assert_eq!(allocate(secret, &format!("{}:bob", now - 3_600)), Err(401), "the credential has ended");
    }
    assert_eq!(allocate("another secret", &format!("{}:bob", now + 3_600)), Err(401));
    assert_eq!(Client::new(server.address, "alice", PASSWORD).allocate().map(drop), Ok(()));
}

fn logs() {
    const SECRET: &str = "secret-of-the-application";
    let file = PrivateFile::new("log-secrets", SECRET);
    let arguments = ["-vv", "--auth-secret-file", file.path(), "--user", USER, "--drain", "0"];
    let server = TurnServer::start(&arguments);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_secs();
    // The issuer of credentials signed this name without a look at it.
    let name = format!("{}:eve\nallocated user=root\u{1b}[2J100%", now + 3_600);
    let keys = TimedKeys::new(Duration::ZERO, SECRET.as_bytes()).expect("a secret");
    let password = keys.password(&name).as_str().to_owned();
    let mut eve = Client::new(server.address, &name, &password);
    eve.allocate().expect("an allocation");
    let (peer, address) = peer();
    eve.bind(CHANNEL, address).expect("a channel");
    eve.send(CHANNEL, &7_u32.to_be_bytes());
    assert_eq!(receive_number(&peer), 7);
    let mut alice = Client::new(server.address, "alice", PASSWORD);
    alice.allocate().expect("an allocation");
    assert_eq!(alice.refresh(0), Ok(0));
    assert_eq!(Client::new(server.address, "alice", "hunter2").allocate(), Err(401));
    server.terminate().expect("the process runs");
    let finished = server.finish();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let log = format!("{}{}", finished.stdout, finished.stderr);
    for text in
        ["eve%0Aallocated%20user%3Droot%1B%5B2J100%25", "why=its client deleted it", "why=the server was stopped"]
    {
        assert!(log.contains(text), "{text:?} is missing in {log}");
    }
    assert!(log.lines().any(|line| line.contains("freed") && line.contains("to_peers_datagrams=1")), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("allocated")), "{log}");
    for secret in [PASSWORD, "battery", SECRET, &password, "hunter2"] {
        assert!(!log.contains(secret), "{secret:?} is in {log}");
    }
}

/// Returns the response to a request for a path.
fn get(server: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(server).expect("loopback");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a socket");
    // A server at its limit closes the stream, then writing and reading fail.
    let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text
}

fn metrics() {
    let fixed = ["serve", "--turn", "--realm", "example.org", "--metrics", "0", "--workers", "2", "--user", USER];
    let listen = format!("{}:0", own_address());
    let all = [&fixed[..], &["--listen", &listen]].concat();
    let command = crate::binary::portolan(&all).expect("loopback");
    let mut server = crate::process::Process::start(command).expect("the binary starts");
    let line = server.wait_for("metrics at http://127.0.0.1:", TIMEOUT).expect("a line");
    let at = line.trim_end().split("http://").nth(1).and_then(|url| url.strip_suffix("/metrics")).expect("a URL");
    let line = server.wait_for("listening on", TIMEOUT).expect("a line");
    let address = line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).expect("an address");
    let mut client = Client::new(address, "alice", PASSWORD);
    client.allocate().expect("an allocation");
    let text = get(at, "/metrics");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    for line in [
        "portolan_turn_workers 2",
        "portolan_turn_allocations 1",
        "portolan_turn_allocations_created_total 1",
        "portolan_turn_rejected_total{code=\"401\"} 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|other| other == line), "{line:?} is missing in {text}");
    }
    assert!(!text.contains("alice"), "{text}");
    assert!(get(at, "/").starts_with("HTTP/1.1 404 "));
    assert!(get(at, &format!("/{}", "a".repeat(100_000))).lines().next().is_none_or(|line| !line.contains(" 200 ")));

    // Idle connections take all places, and a further one is closed at once.
    let idle: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(at).expect("loopback")).collect();
    let mut further = TcpStream::connect(at).expect("loopback");
    further.set_read_timeout(Some(TIMEOUT)).expect("a socket");
    match uninterrupted(|| further.read(&mut [0])) {
        Ok(length) => assert_eq!(length, 0),
        Err(why) => assert_eq!(why.kind(), ErrorKind::ConnectionReset),
    }
    // The server relays meanwhile, and the places are released with the connections.
    assert!(client.refresh(600).is_ok());
    drop(idle);
    let deadline = Instant::now() + TIMEOUT;
    while !get(at, "/metrics").starts_with("HTTP/1.1 200 ") {
        assert!(Instant::now() < deadline, "the places are not released");
    }
}

fn quotas() {
    let server = TurnServer::start(&["--user", USER, "--workers", "2", "--max-allocations-per-user", "4"]);
    let mut clients: Vec<_> = (0..64).map(|_| Client::new(server.address, "alice", PASSWORD)).collect();
    let results: Vec<_> = clients.iter_mut().map(|client| client.allocate().map(drop)).collect();
    let allocated = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(allocated, 4, "two of each worker: {results:?}");
    assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(486))), "{results:?}");
}
