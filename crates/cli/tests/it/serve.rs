//! `portolan serve`.

use crate::binary::portolan;
use crate::process::Process;
use crate::receive::uninterrupted;
use crate::{TIMEOUT, assert_refused, run};
use core::net::SocketAddr;
use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, Writer};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};

/// Starts a server on two loopback addresses, and returns its first address.
pub(crate) fn start_server_with_alternate() -> (Process, String) {
    // The system chooses free ports. Another program may take one before the server does, so the start is repeated.
    for _ in 0..10 {
        let (one, two) = (free_address("127.0.0.1"), free_address("127.0.0.2"));
        let arguments = ["serve", "--listen", &one, "--alternate", &two];
        let mut server = Process::start(portolan(&arguments).expect("loopback")).expect("the binary starts");
        let listening = (0..4).try_for_each(|_| server.wait_for("listening on", TIMEOUT).map(drop));
        if listening.is_ok() {
            return (server, one);
        }
    }
    panic!("no free ports");
}

/// Starts a server on a port of the system's choice, with these arguments; on another port if the first one is taken.
pub(crate) fn start_server(arguments: &[&str]) -> (Process, String) {
    for _ in 0..10 {
        let local = free_address("127.0.0.1");
        let all = [&["serve", "--listen", &local][..], arguments].concat();
        let mut server = Process::start(portolan(&all).expect("loopback")).expect("the binary starts");
        // The line that is printed when both sockets are open. The log has an earlier line for each of them.
        if server.wait_for("(udp, tcp)", TIMEOUT).is_ok() {
            return (server, local);
        }
    }
    panic!("no free port");
}

fn free_address(ip: &str) -> String {
    let socket = UdpSocket::bind((ip, 0)).expect("a free port");
    socket.local_addr().expect("its address").to_string()
}

#[test]
fn serve_prints_its_addresses_and_ends_on_sigterm() {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"];
    let mut server = Process::start(portolan(&arguments).expect("loopback")).expect("the binary starts");
    server.wait_for("listening on 127.0.0.1:", TIMEOUT).expect("one line for each address");
    server.wait_for("listening on 127.0.0.2:", TIMEOUT).expect("one line for each address");
    server.terminate().expect("the process runs");
    let finished = server.finish(TIMEOUT).expect("the process ends");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.lines().all(|line| line.ends_with(" (udp, tcp)")), "{finished:?}");
    assert!(finished.stderr.contains("0 requests"), "{finished:?}");
}

#[test]
fn a_port_in_use_gives_one_line() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let local = taken.local_addr().expect("its address").to_string();
    assert_refused(&run(&["serve", "--listen", &local]), &[&local, "(udp)", "address in use", "--listen"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let local = taken.local_addr().expect("its address").to_string();
    assert_refused(&run(&["serve", "--listen", &local]), &[&local, "(tcp)", "address in use"]);
}

#[test]
fn invalid_addresses_give_one_line() {
    for (arguments, words) in [
        (&["--listen", "192.0.2.1:3478"][..], &["192.0.2.1:3478", "not of this host"][..]),
        (&["--listen", "127.0.0.1:3478", "--alternate", "127.0.0.2:3478"], &["two different ports"]),
        (&["--listen", "127.0.0.1:3478", "--alternate", "127.0.0.1:3479"], &["two different addresses"]),
        (&["--listen", "0.0.0.0:3478", "--alternate", "127.0.0.2:3479"], &["wildcard"]),
        (&["--listen", "127.0.0.1:3478", "--alternate", "[::1]:3479"], &["[::1]:3479", "family"]),
        (&["--listen", "127.0.0.1", "--alternate", "127.0.0.2"], &["127.0.0.1:3478", "127.0.0.2:3478", "3479"]),
        (&["--alternate", "127.0.0.2:3479"], &["--alternate needs --listen", "two known addresses"]),
        (&["--listen", "[::]:3478", "--alternate", "[::1]:3479"], &["wildcard", "two known addresses"]),
        (&["--listen", "127.0.0.1:3478", "--alternate", "0.0.0.0:3479"], &["wildcard", "two known addresses"]),
        (&["--listen", "localhost"], &["localhost", "--listen", "IP address"]),
        (&["--listen", "127.0.0.1:x"], &["127.0.0.1:x", "port"]),
        (&["--listen", "224.0.0.1:3478"], &["224.0.0.1", "multicast"]),
        (&["--listen", "[ff02::1]"], &["ff02::1", "multicast"]),
        (&["--listen", "255.255.255.255"], &["255.255.255.255", "broadcast"]),
        (&["--listen", "127.0.0.1", "--alternate", "239.0.0.1:3479"], &["--alternate", "multicast"]),
        (&["--listen", "[fe80::1]:3478"], &["fe80::1", "zone"]),
        (&["--listen", "[fe80::1%no-such]:3478"], &["no-such", "interface"]),
        (&["--advertise", "203.0.113.1"], &["--advertise", "LOCAL=PUBLIC"]),
        (&["--advertise", "10.0.0.1="], &["--advertise", "LOCAL=PUBLIC"]),
        (
            &["--listen", "127.0.0.1", "--alternate", "127.0.0.2:3479", "--advertise", "127.0.0.1=203.0.113.1"],
            &["127.0.0.1", "127.0.0.2", "advertise both"],
        ),
        (&["--rate", "-1"], &["-1", "--rate", "or off"]),
        (&["--streams", "-1"], &["-1", "--streams"]),
        (&["--listen", "127.0.0.1:0", "--advertise", "10.0.0.1=203.0.113.1"], &["10.0.0.1"]),
        (&["--rate", "never"], &["--rate", "or off"]),
        (&["--streams", "0"], &["--streams", "1..=1000000"]),
        (&["--streams-per-source", "many"], &["--streams-per-source", "many"]),
    ] {
        assert_refused(&run(&[&["serve"], arguments].concat()), words);
    }
}

/// Whether the server responds to a Binding request on this stream; `false` if the server closed it.
fn is_answered(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(TIMEOUT)).expect("a socket");
    let mut request = [0; 20];
    let request = Writer::new(&mut request, Class::Request, Method::BINDING, [7; 12].into()).expect("room").finish();
    let mut answer = [0; 20];
    let read = stream.write_all(request).and_then(|()| stream.read_exact(&mut answer));
    match read {
        Ok(()) => true,
        Err(error) => {
            let is_closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(is_closed.contains(&error.kind()), "{error}");
            false
        }
    }
}

/// Connects from this address of the loopback network.
fn connect(from: [u8; 4], server: &str) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::from((from, 0)))?;
    let server: SocketAddr = server.parse().expect("an address");
    rustix::net::connect(&socket, &server)?;
    Ok(TcpStream::from(socket))
}

#[test]
fn streams_of_one_source_are_limited_and_another_source_is_served() {
    let (_server, local) = start_server(&["--streams-per-source", "2"]);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect([127, 0, 0, 2], &local).expect("loopback");
        assert!(is_answered(&mut stream));
        held.push(stream);
    }
    // The limit of the driver is higher, so that the responder can choose the stream to close.
    let more: Vec<bool> = (0..5)
        .map(|_| {
            connect([127, 0, 0, 2], &local).is_ok_and(|mut stream| {
                let is_answered = is_answered(&mut stream);
                held.push(stream);
                is_answered
            })
        })
        .collect();
    assert_eq!(more.last(), Some(&false), "{more:?}");
    assert!(is_answered(&mut connect([127, 0, 0, 3], &local).expect("loopback")));
    assert!(is_answered(&mut held[0]), "an old stream stays open");
}

#[test]
fn a_stream_beyond_the_limit_is_closed() {
    let (_server, local) = start_server(&["--streams", "2"]);
    let mut held: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(&local).expect("loopback")).collect();
    assert!(held.iter_mut().all(is_answered));
    assert!(!TcpStream::connect(&local).is_ok_and(|mut stream| is_answered(&mut stream)));
    assert!(held.iter_mut().all(is_answered));
}

/// A request of the user alice to a server that sent this nonce.
fn signed(nonce: &str, key: &IntegrityKey) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).expect("room");
    for attribute in
        [Attribute::Username("alice".into()), Attribute::Realm("example.org".into()), Attribute::Nonce(nonce.into())]
    {
        writer.add(&attribute).expect("room");
    }
    writer.message_integrity(key).expect("room").finish().to_vec()
}

/// Returns the response to one message, on a socket that is connected to the server.
fn exchange(socket: &UdpSocket, bytes: &[u8]) -> Vec<u8> {
    socket.send(bytes).expect("loopback");
    let mut buffer = vec![0; 2048];
    let length = uninterrupted(|| socket.recv(&mut buffer)).expect("an answer in time");
    buffer.truncate(length);
    buffer
}

#[cfg(unix)]
#[test]
fn users_of_a_file_are_authenticated_and_no_password_is_printed() {
    use std::os::unix::fs::PermissionsExt as _;
    const PASSWORD: &str = "correct horse:battery";
    let file = std::env::temp_dir().join(format!("portolan-users-{}", std::process::id()));
    std::fs::write(&file, format!("# users\n\nalice:{PASSWORD}\r\nbob:x\n")).expect("a file");
    let path = file.to_str().expect("a path of text");
    let arguments = ["-vv", "--realm", "example.org", "--users", path, "--user", "carol:seven"];

    let set = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("the file exists");
    for mode in [0o644, 0o660, 0o604] {
        set(mode);
        let refused = run(&[&["serve", "--listen", "127.0.0.1:0"][..], &arguments].concat());
        assert_refused(&refused, &[path, "other users", &format!("mode {mode:o}"), "chmod 600"]);
    }
    set(0o600);
    let (server, local) = start_server(&arguments);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a socket");
    socket.connect(&local).expect("loopback");

    let mut bare = [0; 20];
    let bare = Writer::new(&mut bare, Class::Request, Method::BINDING, [7; 12].into()).expect("room").finish();
    let challenge = exchange(&socket, bare);
    let challenge = Message::decode(&challenge).expect("STUN");
    assert_eq!((challenge.error_code().expect("an error").code(), challenge.as_bytes().len()), (401, 116));
    let nonce = challenge.nonce().expect("a nonce").to_string();
    let key = |password| IntegrityKey::long_term_md5("alice", "example.org", password);
    let refused = exchange(&socket, &signed(&nonce, &key("guess")));
    assert_eq!(Message::decode(&refused).expect("STUN").error_code().expect("an error").code(), 401);
    let answer = exchange(&socket, &signed(&nonce, &key(PASSWORD)));
    let answer = Message::decode(&answer).expect("STUN").verify(&key(PASSWORD)).expect("signed");
    assert_eq!(answer.xor_mapped_address(), socket.local_addr().ok());

    server.terminate().expect("the process runs");
    let finished = server.finish(TIMEOUT).expect("the process ends");
    std::fs::remove_file(&file).expect("the file exists");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for text in
        ["responding to 3 users of the realm example.org", "rejected: 1 unsigned, 0 of unknown users, 1 with a wrong"]
    {
        assert!(finished.stderr.contains(text), "{finished:?}");
    }
    for secret in [PASSWORD, "battery", "seven"] {
        assert!(!format!("{finished:?}").contains(secret), "{finished:?}");
    }
}

#[test]
fn invalid_users_give_one_line_without_the_password() {
    for (arguments, words) in [
        (&["--realm", "example.org"][..], &["--realm", "--users"][..]),
        (&["--user", "hunter2"], &["--user number 1", "NAME:PASSWORD"]),
        (&["--user", "alice:x", "--user", "alice:hunter2"], &["--user number 2", "occurs twice"]),
        (&["--users", "/nonexistent/users"], &["/nonexistent/users", "cannot be read"]),
        (&["--user", "a:hunter2", "--realm", ""], &["--realm", "1 to 127 bytes"]),
    ] {
        let arguments: Vec<&str> = ["serve", "--listen", "127.0.0.1:0"].iter().chain(arguments).copied().collect();
        let finished = run(&arguments);
        assert_refused(&finished, words);
        assert!(!finished.stderr.contains("hunter2"), "{finished:?}");
    }
}

#[test]
fn invalid_settings_of_turn_give_one_line_without_a_secret() {
    let turn = ["serve", "--turn", "--listen", "127.0.0.1:0"];
    let users = ["--realm", "example.org", "--user", "alice:hunter2"];
    for (arguments, words) in [
        (&[][..], &["--realm"][..]),
        (&["--realm", "example.org"], &["open relay", "--users FILE"]),
        (&["--user", "a:hunter2"], &["--realm"]),
        (&["--realm", "example.org", "--auth-secret-file", "/nonexistent/secret"], &["/nonexistent/secret"]),
        (&["--realm", "example.org", "--user", "hunter2"], &["--user number 1", "NAME:PASSWORD"]),
    ] {
        let finished = run(&[&turn[..], arguments].concat());
        assert_refused(&finished, words);
        assert!(!finished.stderr.contains("hunter2"), "{finished:?}");
    }
    for (arguments, words) in [
        (&["--relay-ports", "50000-49999"][..], &["--relay-ports", "empty"][..]),
        (&["--relay-ports", "0-10"], &["--relay-ports", "MIN-MAX"]),
        (&["--allow-peer", "10.0.0.1/8"], &["--allow-peer", "10.0.0.0/8"]),
        (&["--deny-peer", "10.0.0.0/33"], &["--deny-peer", "prefix length"]),
        (&["--alternate", "127.0.0.2:3479"], &["--alternate", "second portolan serve"]),
        (&["--tls-listen", "127.0.0.1:0"], &["--tls-cert FILE"]),
        (&["--workers", "0"], &["--workers"]),
        (&["--workers", "2", "--max-allocations", "1"], &["--max-allocations 1", "2 workers"]),
        (&["--metrics", "localhost:9100"], &["--metrics", "127.0.0.1:9100"]),
        (&["--config", "/nonexistent/settings"], &["/nonexistent/settings", "--config"]),
        (&["--max-bandwidth", "-1"], &["--max-bandwidth", "-1"]),
    ] {
        let finished = run(&[&turn[..], &users, arguments].concat());
        assert_refused(&finished, words);
        assert!(!finished.stderr.contains("hunter2"), "{finished:?}");
    }
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--max-allocations", "5"]);
    assert_refused(&refused, &["--max-allocations", "--turn"]);
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let local = taken.local_addr().expect("its address").to_string();
    let refused = run(&[&["serve", "--turn", "--listen", &local, "--workers", "2"][..], &users].concat());
    assert_refused(&refused, &[&local, "(udp)", "address in use", "--listen"]);
    #[cfg(feature = "metrics")]
    {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let local = taken.local_addr().expect("its address").to_string();
        assert_refused(&run(&[&turn[..], &users, &["--metrics", &local]].concat()), &[&local, "in use", "--metrics"]);
    }
}

#[cfg(feature = "tls")]
#[test]
fn an_invalid_certificate_gives_one_line() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("portolan-certificates-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str, mode| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("the file exists");
        path.to_str().expect("a path of text").to_owned()
    };
    let [one, other] =
        [(); 2].map(|()| rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a key"));
    let cert = write("cert.pem", &one.cert.pem(), 0o644);
    let key = write("key.pem", &one.signing_key.serialize_pem(), 0o600);
    let foreign = write("foreign.pem", &other.signing_key.serialize_pem(), 0o600);
    let exposed = write("exposed.pem", &one.signing_key.serialize_pem(), 0o644);
    let empty = write("empty.pem", "", 0o600);
    let listen = ["serve", "--turn", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"];
    let users = ["--realm", "example.org", "--user", "alice:hunter2"];
    for (cert, key, words) in [
        ("/nonexistent/cert.pem", &*key, &["--tls-cert /nonexistent/cert.pem", "cannot be read"][..]),
        (&*cert, "/nonexistent/key.pem", &["--tls-key /nonexistent/key.pem", "cannot be read"]),
        (&*empty, &*key, &["no certificate", "PEM"]),
        (&*cert, &*empty, &["--tls-key", "PEM"]),
        (&*cert, &*exposed, &["chmod 600", "private key"]),
        (&*cert, &*foreign, &["--tls-cert", "--tls-key", "the first certificate"]),
    ] {
        let arguments = [&listen[..], &users, &["--tls-cert", cert, "--tls-key", key]].concat();
        assert_refused(&run(&arguments), words);
    }
    std::fs::remove_dir_all(&folder).expect("the folder exists");
}
