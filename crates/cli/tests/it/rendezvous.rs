//! `portolan serve --rendezvous`.

use crate::serve::start_server;
use crate::{TIMEOUT, assert_refused, run};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, Datagram, Input, Instant, Machine as _, Output, SocketId, SocketIds};
use portolan_punch::rendezvous::{
    Client, ClientCommand, ClientConfig, ClientEvent, EndReason, Introduction, room_password,
};
use portolan_tokio::OsEntropy;
use std::net::UdpSocket;
use std::thread::{self, JoinHandle};

/// Runs a client on loopback until it is introduced or has ended. Returns the local address and the time of the start.
fn client(server: &str, room: &str, secret: &str) -> JoinHandle<(SocketAddr, Result<Introduction, EndReason>)> {
    let (server, password): (SocketAddr, _) =
        (server.parse().expect("an address"), room_password(secret.as_bytes(), room));
    let config = ClientConfig::new(SocketId(1), server, room, &password).card("a card");
    thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket");
        let (local, begin) = (socket.local_addr().expect("its address"), std::time::Instant::now());
        let (mut rng, mut ids) = (OsEntropy::default(), SocketIds::new());
        let mut client = Client::new(config).expect("a configuration");
        let mut buffer = [0; 2048];
        let mut is_started = false;
        while begin.elapsed() < TIMEOUT {
            let mut cx = Cx::new(Instant::from_origin(begin.elapsed()), &mut rng, &mut ids);
            if !is_started {
                client.command(&mut cx, ClientCommand::Start).expect("a new client");
                is_started = true;
            }
            let _mine = client.handle(&mut cx, Input::Timeout);
            if let Ok((length, remote)) = socket.recv_from(&mut buffer) {
                let _mine = client
                    .handle(&mut cx, Input::Datagram(Datagram::new(SocketId(1), local, remote, &buffer[..length])));
            }
            loop {
                match client.poll() {
                    Output::Transmit(sent) => drop(socket.send_to(&sent.payload, sent.remote).expect("loopback")),
                    Output::Event(ClientEvent::Introduced(introduction)) => return (local, Ok(introduction)),
                    Output::Event(ClientEvent::Ended(why)) => return (local, Err(why)),
                    Output::Event(_) | Output::Socket(_) => {}
                    Output::Wait(_) => break,
                }
            }
        }
        panic!("no introduction in time");
    })
}

#[test]
fn a_rendezvous_introduces_two_peers_and_answers_binding_requests_on_the_same_port() {
    let arguments = ["-v", "--rendezvous", "--rendezvous-secret", "hunter2", "--rendezvous-secret", "hunter3"];
    let (server, local) = start_server(&arguments);
    let peers = [client(&local, "attic", "hunter2"), client(&local, "attic", "hunter2")];
    let [one, two] = peers.map(|peer| peer.join().expect("no panic"));
    let (at_one, one) = (one.0, one.1.expect("an introduction"));
    let (at_two, two) = (two.0, two.1.expect("an introduction"));
    assert_eq!((one.reflexive, one.peer_reflexive), (at_one, at_two));
    assert_eq!((two.reflexive, two.peer_reflexive), (at_two, at_one));
    assert_eq!((one.session, one.card.as_deref()), (two.session, Some("a card")));
    assert_ne!(one.first, two.first);
    // The other secret is valid, and a third one is not.
    let refused = client(&local, "cellar", "hunter4").join().expect("no panic").1;
    assert_eq!(refused, Err(EndReason::WrongSecret));
    let third = client(&local, "attic", "hunter3").join().expect("no panic").1;
    assert_eq!(third, Err(EndReason::RoomFull));

    let stun = run(&["stun", &local]);
    assert_eq!(stun.code, Some(0), "{stun:?}");
    server.terminate().expect("the process runs");
    let finished = server.finish(TIMEOUT).expect("the process ends");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for text in ["peers registered: 2, open: 2; pairs introduced: 1;", "are introduced"] {
        assert!(finished.stderr.contains(text), "{text:?} is not in {finished:?}");
    }
    for secret in ["hunter", "attic", "a card"] {
        assert!(!format!("{finished:?}").contains(secret), "{finished:?}");
    }
}

#[test]
fn invalid_settings_of_the_rendezvous_give_one_line_without_a_secret() {
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    for (arguments, words) in [
        (&["--rendezvous"][..], &["--rendezvous", "--rendezvous-secret-file FILE"][..]),
        (&["--rendezvous", "--rendezvous-secret", ""], &["--rendezvous-secret number 1", "20 random"]),
        (&["--rendezvous-secret", "hunter2"], &["--rendezvous-secret has no effect", "add --rendezvous"]),
        (&["--rendezvous", "--rendezvous-secret-file", "/nonexistent/secret"], &["/nonexistent/secret"]),
        (
            &["--rendezvous", "--rendezvous-secret", "hunter2", "--turn"],
            &["--rendezvous and --turn", "second portolan"],
        ),
        (&["--rendezvous", "--rendezvous-secret", "hunter2", "--drain", "5"], &["--drain", "--turn"]),
    ] {
        let finished = run(&[&serve[..], arguments].concat());
        assert_refused(&finished, words);
        assert!(!finished.stderr.contains("hunter2"), "{finished:?}");
    }
}

#[cfg(feature = "metrics")]
#[test]
fn a_rendezvous_has_metrics() {
    use std::io::{Read as _, Write as _};
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let metrics = taken.local_addr().expect("its address").to_string();
    drop(taken);
    let (_server, local) = start_server(&["--rendezvous", "--rendezvous-secret", "hunter2", "--metrics", &metrics]);
    assert_eq!(client(&local, "attic", "x").join().expect("no panic").1, Err(EndReason::WrongSecret));
    let mut stream = std::net::TcpStream::connect(&metrics).expect("loopback");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("loopback");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("loopback");
    assert!(text.contains("portolan_rendezvous_rejected_total{code=\"401\"} 2"), "{text}");
    assert!(!text.contains("portolan_turn_"), "{text}");
}
