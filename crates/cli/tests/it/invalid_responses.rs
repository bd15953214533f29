//! Servers with invalid responses: the command does not panic, prints the error, and ends with code 2.

use crate::{Finished, assert_refused, run};
use core::time::Duration;
use std::net::UdpSocket;
use std::thread;

/// Runs a command against a server that responds to each datagram with `answer`. The server ends with the command.
pub(crate) fn run_against(
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

fn run_nat(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Finished {
    run_against(answer, |address| run(&["nat", "--server", address]))
}

#[test]
fn invalid_responses_are_distinguished_from_no_response() {
    let finished = run_nat(|_| vec![0xff; 40]);
    assert_refused(&finished, &["no server sent a usable response", "hold no mapped address", "--server"]);
    assert!(finished.took < Duration::from_secs(6), "{finished:?}");
    assert_refused(&run_nat(|request| [&[1, 1, 0, 0x30], &request[4..20]].concat()), &["no mapped address"]);
    assert_refused(&run_nat(|request| [&[1, 1, 0, 0], &request[4..20]].concat()), &["no mapped address"]);
}

#[test]
fn an_error_response_is_reported_with_its_code() {
    let error = |request: &[u8]| [&[1, 0x11, 0, 8], &request[4..20], &[0, 9, 0, 4, 0, 0, 5, 0]].concat();
    assert_refused(&run_nat(error), &["error 500"]);
}

#[test]
fn an_echoed_request_is_no_response() {
    assert_refused(&run_nat(<[u8]>::to_vec), &["usable response"]);
}
