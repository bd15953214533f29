//! Servers with invalid responses: the command never panics, names the error, and ends with code 2.

use crate::{Finished, assert_refused, run};
use core::time::Duration;
use std::net::UdpSocket;
use std::thread;

/// Runs a command against a server that responds to each datagram with `answer`. The server ends with the command.
pub(crate) fn ask_rude(
    answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static,
    command: impl Fn(&str) -> Finished,
) -> Finished {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("its address");
    let server = thread::spawn(move || {
        let mut buffer = [0; 2048];
        // A datagram of one byte ends the server.
        while let Ok((length @ 2.., from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&answer(&buffer[..length]), from);
        }
    });
    let finished = command(&address.to_string());
    UdpSocket::bind("127.0.0.1:0").and_then(|end| end.send_to(&[0], address)).expect("loopback");
    server.join().expect("the server ends");
    finished
}

fn ask(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Finished {
    ask_rude(answer, |address| run(&["nat", "--server", address]))
}

#[test]
fn noise_a_torn_answer_and_an_answer_without_address_are_told_apart_from_silence() {
    let finished = ask(|_| vec![0xff; 40]);
    assert_refused(&finished, &["no server sent a usable response", "hold no mapped address", "--server"]);
    assert!(finished.took < Duration::from_secs(6), "{finished:?}");
    assert_refused(&ask(|request| [&[1, 1, 0, 0x30], &request[4..20]].concat()), &["no mapped address"]);
    assert_refused(&ask(|request| [&[1, 1, 0, 0], &request[4..20]].concat()), &["no mapped address"]);
}

#[test]
fn an_error_answer_is_named_with_its_code() {
    let error = |request: &[u8]| [&[1, 0x11, 0, 8], &request[4..20], &[0, 9, 0, 4, 0, 0, 5, 0]].concat();
    assert_refused(&ask(error), &["error 500"]);
}

#[test]
fn an_echo_is_no_answer() {
    assert_refused(&ask(<[u8]>::to_vec), &["usable response"]);
}
