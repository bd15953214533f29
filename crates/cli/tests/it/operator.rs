//! `portolan serve` as an operator meets it: the log, the counters, the signals, and outputs that cannot be written.

use crate::binary::portolan;
use crate::process::Process;
use crate::receive::uninterrupted;
use crate::serve::start_server;
use crate::{TIMEOUT, run};
use portolan_stun::{Class, Method, Writer};
use rustix::process::Signal;
use std::fs::File;
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};

/// The requests that a server drops, each with the text of its log line and of its counter.
fn dropped_requests() -> [(Vec<u8>, &'static str, &'static str); 5] {
    let request = |method| {
        let mut buffer = [0; 64];
        let writer = Writer::new(&mut buffer, Class::Request, method, [7; 12].into()).expect("room");
        writer.fingerprint().expect("room").finish().to_vec()
    };
    let mut old = request(Method::BINDING);
    old[4..8].copy_from_slice(&[1, 2, 3, 4]);
    let mut forged = request(Method::BINDING);
    forged[27] ^= 1;
    let short = request(Method::BINDING)[..24].to_vec();
    [
        (old, "client of RFC 5389", " 1 without the magic cookie (RFC 3489),"),
        (forged, "FINGERPRINT", " 1 with a wrong fingerprint,"),
        (short, "the header announces", " 1 undecodable,"),
        (request(Method::ALLOCATE), "not a Binding request", " 1 not Binding requests,"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "it is not STUN", " 1 not STUN;"),
    ]
}

fn client(server: &str) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(server).expect("loopback");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a socket");
    socket
}

/// Sends a Binding request and waits for the response.
fn exchange(socket: &UdpSocket) {
    let mut buffer = [0; 20];
    let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).expect("room").finish();
    socket.send(request).expect("loopback");
    assert_eq!(uninterrupted(|| socket.recv(&mut [0; 100])).expect("a response"), 32);
}

/// Whether a line begins with the time as in RFC 3339, in UTC.
fn has_time(line: &str) -> bool {
    let time = line.split(' ').next().unwrap_or_default();
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000000Z"
}

#[test]
fn each_dropped_request_has_a_log_line_with_the_time_and_a_counter_and_a_response_has_a_line_with_vv_only() {
    for (verbosity, shows_responses) in [("-v", false), ("-vv", true)] {
        let (mut server, local) = start_server(&[verbosity]);
        let socket = client(&local);
        for (bytes, line, _) in dropped_requests() {
            socket.send(&bytes).expect("loopback");
            server.wait_for(line, TIMEOUT).expect("a log line with the reason");
        }
        exchange(&socket);
        server.terminate().expect("the process runs");
        let finished = server.finish(TIMEOUT).expect("the process ends");
        assert_eq!(finished.code, Some(0), "{finished:?}");
        for (_, _, counter) in dropped_requests() {
            assert!(finished.stderr.contains(counter), "{counter:?}: {finished:?}");
        }
        let log: Vec<&str> = finished.stderr.lines().filter(|line| !line.starts_with("portolan: ")).collect();
        assert!(log.iter().all(|line| has_time(line)), "{log:?}");
        let has = |text: &str| log.iter().any(|line| line.contains(text));
        assert!(has("listening on 127.0.0.1:") && has("stop signal"), "{log:?}");
        assert_eq!(has(" answered"), shows_responses, "{verbosity}: {log:?}");
    }
}

/// Whether the machine is busy or not: each dropped datagram has a log line, or is in the number of the others.
#[test]
fn a_flood_of_invalid_datagrams_has_few_log_lines_and_an_exact_counter() {
    const BURSTS: usize = 10;
    const BURST: usize = 50;
    let (server, local) = start_server(&["-v"]);
    let socket = client(&local);
    for _ in 0..BURSTS {
        for _ in 0..BURST {
            socket.send(b"GET / HTTP/1.1\r\n\r\n").expect("loopback");
        }
        // The server has processed the burst before this request, so the receive buffer is never full.
        exchange(&socket);
    }
    server.terminate().expect("the process runs");
    let finished = server.finish(TIMEOUT).expect("the process ends");
    let number =
        |text: &str, after: &str| -> Option<usize> { text.split_once(after)?.0.rsplit(' ').next()?.parse().ok() };
    let counted = number(&finished.stderr, " not STUN;").expect("a counter");
    let logged = finished.stderr.matches("it is not STUN").count();
    let others: usize =
        finished.stderr.lines().filter_map(|line| number(line, " more of dropped-not-a-stun-datagram")).sum();
    assert_eq!((counted, logged + others), (BURSTS * BURST, counted), "{finished:?}");
    assert!(logged < counted, "{finished:?}");
}

#[test]
fn the_rate_limit_and_the_limit_of_streams_have_log_lines_and_counters() {
    let (mut server, local) = start_server(&["-v", "--rate", "1", "--streams", "1"]);
    let socket = client(&local);
    for _ in 0..3 {
        let mut buffer = [0; 20];
        let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).expect("room").finish();
        socket.send(request).expect("loopback");
    }
    server.wait_for("above its rate", TIMEOUT).expect("a log line");
    let streams: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(&local).expect("loopback")).collect();
    server.wait_for("too many streams", TIMEOUT).expect("a log line");
    server.terminate().expect("the process runs");
    let finished = server.finish(TIMEOUT).expect("the process ends");
    drop(streams);
    assert!(finished.stderr.contains(" 1 over the rate,"), "{finished:?}");
    assert!(finished.stderr.contains(" 1 stream, 1 refused,"), "{finished:?}");
}

#[test]
fn an_accept_without_a_free_descriptor_has_a_log_line_and_a_counter() {
    let mut command = Command::new("sh");
    let binary = portolan(&["-v", "serve", "--listen", "127.0.0.1:0"]).expect("loopback");
    command.args(["-c", "ulimit -n 24 && exec \"$0\" \"$@\""]).arg(binary.get_program()).args(binary.get_args());
    let mut server = Process::start(command.stdin(Stdio::null())).expect("the binary starts");
    let line = server.wait_for("(tcp)", TIMEOUT).expect("a log line");
    let local = line.split(' ').find(|word| word.starts_with("127.0.0.1:")).expect("an address").to_owned();
    let streams: Vec<TcpStream> = (0..30).map(|_| TcpStream::connect(&local).expect("loopback")).collect();
    server.wait_for("could not accept a stream", TIMEOUT).expect("a log line");
    server.terminate().expect("the process runs");
    let finished = server.finish(TIMEOUT).expect("the process ends");
    drop(streams);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(!finished.stderr.contains(" 0 times without a free file descriptor"), "{finished:?}");
    assert!(finished.stderr.contains(" times without a free file descriptor"), "{finished:?}");
}

#[test]
fn sighup_and_sigusr1_print_the_counters_and_do_not_end_the_server() {
    let (mut server, local) = start_server(&[]);
    let socket = client(&local);
    for (requests, signal) in [("1 request:", Signal::HUP), ("2 requests:", Signal::USR1), ("3 requests:", Signal::HUP)]
    {
        exchange(&socket);
        server.signal(signal).expect("the process runs");
        server.wait_for(requests, TIMEOUT).expect("the counters");
    }
    exchange(&socket);
    server.terminate().expect("the process runs");
    let finished = server.finish(TIMEOUT).expect("the process ends");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stderr.contains("4 requests: 4 answered,"), "{finished:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_gives_one_line_and_exit_code_2() {
    let file = std::env::temp_dir().join(format!("portolan-full-{}.sdp", std::process::id()));
    std::fs::write(&file, "v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n").expect("a new file");
    let path = file.display().to_string();
    let (_server, local) = start_server(&[]);
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["serve", "--help"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["stun", &local],
        &["stun", &local, "--format", "jsonl"],
        &["audit", &local, "--no-tcp"],
        &["nat", "--server", &local, "--timeout", "1"],
        &["lab", "nat"],
        &["sdp", "check", &path],
        &["sdp", "json", &path],
        &["sdp", "scrub", &path],
        &["completions", "bash"],
        &["man"],
    ] {
        let mut command = portolan(arguments).expect("loopback");
        // Every write to this device fails: the device is full.
        let full = File::options().write(true).open("/dev/full").expect("Linux");
        let output = command.stdout(full).output().expect("the binary starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        let line = "portolan: cannot write to standard output: No space left on device";
        assert_eq!(stderr.matches(line).count(), 1, "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
    std::fs::remove_file(&file).expect("the file exists");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_error_does_not_end_the_server() {
    let mut command = Command::new("sh");
    let binary = portolan(&["-vvv", "serve", "--listen", "127.0.0.1:0"]).expect("loopback");
    command.args(["-c", "exec \"$0\" \"$@\" 2>/dev/full"]).arg(binary.get_program()).args(binary.get_args());
    let mut server = Process::start(command.stdin(Stdio::null())).expect("the binary starts");
    let line = server.wait_for("listening on ", TIMEOUT).expect("the address");
    let local = line.split(' ').find(|word| word.starts_with("127.0.0.1:")).expect("an address").to_owned();
    exchange(&client(&local));
    server.signal(Signal::HUP).expect("the process runs");
    exchange(&client(&local));
    server.terminate().expect("the process runs");
    assert_eq!(server.finish(TIMEOUT).expect("the process ends").code, Some(0));
}

#[test]
fn each_shell_has_completions_for_each_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let finished = run(&["completions", shell]);
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        for word in ["portolan", "serve", "validate", "advertise", "completions"] {
            assert!(finished.stdout.contains(word), "{shell}: {word} is missing");
        }
    }
}

#[test]
fn all_manual_pages_are_written_into_a_directory() {
    let dir = std::env::temp_dir().join(format!("portolan-man-{}", std::process::id()));
    std::fs::create_dir(&dir).expect("a new directory");
    let finished = run(&["man", "--dir", &dir.display().to_string()]);
    assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(0), "", ""), "{finished:?}");
    for (page, words) in
        [("portolan.1", "portolan\\-serve"), ("portolan-serve.1", "SIGUSR1"), ("portolan-sdp-validate.1", "Exit codes")]
    {
        let text = std::fs::read_to_string(dir.join(page)).expect(page);
        assert!(text.contains(words), "{page}: {text}");
    }
    std::fs::remove_dir_all(&dir).expect("the directory exists");
    crate::assert_refused(&run(&["man", "--dir", "/nonexistent"]), &["/nonexistent", "directory"]);
    crate::assert_refused(&run(&["man", "sdp", "chek"]), &["sdp chek", "--help"]);
}
