//! `portolan serve`.

use crate::binary::portolan;
use crate::process::Process;
use crate::{PATIENCE, assert_refused, run};
use std::net::{TcpListener, UdpSocket};

/// A server on two loopback addresses, with its first address.
pub(crate) fn two_addresses() -> (Process, String) {
    // The system chooses free ports; another program may take one before the server does, so it is tried again.
    for _ in 0..10 {
        let (one, two) = (free("127.0.0.1"), free("127.0.0.2"));
        let arguments = ["serve", "--listen", &one, "--alternate", &two];
        let mut server = Process::start(portolan(&arguments).expect("loopback")).expect("the binary starts");
        let listening = (0..4).try_for_each(|_| server.wait_for("listening on", PATIENCE));
        if listening.is_ok() {
            return (server, one);
        }
    }
    panic!("no free ports");
}

fn free(ip: &str) -> String {
    let socket = UdpSocket::bind((ip, 0)).expect("a free port");
    socket.local_addr().expect("its address").to_string()
}

#[test]
fn it_says_where_it_listens_and_ends_when_asked_to() {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"];
    let mut server = Process::start(portolan(&arguments).expect("loopback")).expect("the binary starts");
    server.wait_for("listening on 127.0.0.1:", PATIENCE).expect("one line an address");
    server.wait_for("listening on 127.0.0.2:", PATIENCE).expect("one line an address");
    server.terminate().expect("it runs");
    let finished = server.finish(PATIENCE).expect("it ends");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.lines().all(|line| line.ends_with(" (udp, tcp)")), "{finished:?}");
    assert!(finished.stderr.contains("0 requests"), "{finished:?}");
}

#[test]
fn a_port_in_use_is_one_line() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let local = taken.local_addr().expect("its address").to_string();
    assert_refused(&run(&["serve", "--listen", &local]), &[&local, "(udp)", "address in use", "--listen"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let local = taken.local_addr().expect("its address").to_string();
    assert_refused(&run(&["serve", "--listen", &local]), &[&local, "(tcp)", "address in use"]);
}

#[test]
fn addresses_that_cannot_be_are_one_line() {
    for (arguments, words) in [
        (&["--listen", "192.0.2.1:3478"][..], &["192.0.2.1:3478", "not of this host"][..]),
        (&["--listen", "127.0.0.1:3478", "--alternate", "127.0.0.2:3478"], &["two different ports"]),
        (&["--listen", "127.0.0.1:3478", "--alternate", "127.0.0.1:3479"], &["two different addresses"]),
        (&["--listen", "0.0.0.0:3478", "--alternate", "127.0.0.2:3479"], &["wildcard"]),
        (&["--listen", "127.0.0.1:3478", "--alternate", "[::1]:3479"], &["[::1]:3479", "family"]),
        (&["--listen", "127.0.0.1"], &["127.0.0.1", "--listen"]),
        (&["--listen", "127.0.0.1:0", "--advertise", "10.0.0.1=203.0.113.1"], &["10.0.0.1"]),
        (&["--rate", "never"], &["--rate", "or off"]),
    ] {
        assert_refused(&run(&[&["serve"], arguments].concat()), words);
    }
}
