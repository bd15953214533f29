//! Steps as text.

use portolan_machine::{Closure, Instant, Refusal, SocketEvent, SocketId, TlsFailure, Unreachability};
use portolan_sim::laws::{Action, Step};

fn round_trip(step: &Step) {
    let text = step.to_string();
    assert_eq!(text.parse::<Step>().as_ref(), Ok(step), "{text}");
    assert!(!text.contains('?') && !text.contains('\n'), "{text}");
}

#[test]
fn every_socket_event_survives_its_text() {
    let remote = "[2001:db8::1%3]:99".parse().unwrap();
    let local = "192.0.2.1:1".parse().unwrap();
    let refusals = [
        Refusal::AddressInUse,
        Refusal::AddressNotAvailable,
        Refusal::PermissionDenied,
        Refusal::NoRoute,
        Refusal::ConnectionRefused,
        Refusal::TimedOut,
        Refusal::FamilyNotSupported,
        Refusal::TooManySockets,
        Refusal::TlsHandshake(TlsFailure::Certificate),
        Refusal::TlsHandshake(TlsFailure::Name),
        Refusal::TlsHandshake(TlsFailure::Protocol),
        Refusal::TlsHandshake(TlsFailure::Alert),
        Refusal::TlsHandshake(TlsFailure::Closed),
        Refusal::TlsHandshake(TlsFailure::Unspecified),
        Refusal::Unsupported,
        Refusal::Unspecified,
    ];
    let unreachable = [
        Unreachability::Network,
        Unreachability::Host,
        Unreachability::Port,
        Unreachability::TooLarge,
        Unreachability::Prohibited,
        Unreachability::HopLimit,
        Unreachability::SourceAddress,
        Unreachability::Unspecified,
    ];
    let closures = [
        Closure::ByPeer,
        Closure::Reset,
        Closure::Overflow,
        Closure::NotRead,
        Closure::TimedOut,
        Closure::Tls,
        Closure::DriverEnded,
        Closure::Unspecified,
    ];
    let accepted = SocketEvent::Accepted { socket: SocketId(u64::MAX), local, remote };
    let events = [SocketEvent::Opened { local }, accepted, SocketEvent::Full, SocketEvent::Writable]
        .into_iter()
        .chain(refusals.map(SocketEvent::Refused))
        .chain(unreachable.map(|why| SocketEvent::Unreachable { remote, why }))
        .chain(closures.map(SocketEvent::Closed));
    let mut count = 0;
    for event in events {
        round_trip(&Step::socket_event(Instant::from_millis(1), SocketId(3), event).undrained());
        count += 1;
    }
    assert_eq!(count, 4 + 16 + 8 + 8);
}

#[test]
fn times_bytes_and_commands_survive_their_text() {
    round_trip(&Step::timeout(Instant::from_origin(core::time::Duration::MAX)));
    round_trip(&Step::timeout(Instant::from_origin(core::time::Duration::from_nanos(1))));
    let address = "192.0.2.1:1".parse().unwrap();
    for payload in [&b""[..], b"\x00", &[0xff; 300]] {
        round_trip(&Step::datagram(Instant::ORIGIN, SocketId(0), address, address, payload));
    }
    for command in ["", "plain", "two\nlines\r\n", "back\\slash \\n", "ünïcode", " undrained spaces  "] {
        round_trip(&Step::new(Instant::ORIGIN, Action::Command(command.into())));
    }
}

#[test]
fn a_parse_error_of_a_step_names_the_expected_text() {
    let error = |text: &str| text.parse::<Step>().unwrap_err().expected;
    assert_eq!(error(""), "a time in seconds with nine decimals");
    assert_eq!(error("1.5 timeout"), "nine decimals");
    assert_eq!(error("+1.000000000 timeout"), "whole seconds");
    assert_eq!(error("1.00000000é timeout"), "nine decimals");
    assert_eq!(error("99999999999999999999.000000000 timeout"), "whole seconds");
    assert_eq!(error("1.000000000 sleep"), "`command`, `datagram`, `stream`, `socket` or `timeout`");
    assert_eq!(error("1.000000000 timeout now"), "the end of the line");
    assert_eq!(error("1.000000000 socket 1 opened 192.0.2.1:1"), "a socket such as s1");
    assert_eq!(error("1.000000000 socket s1 refused nicely"), "why it was refused");
    assert_eq!(error("1.000000000 datagram s1 192.0.2.1:1 192.0.2.1:1 abc"), "bytes in hex, `-` for none");
    assert_eq!(error("1.000000000 datagram s1 192.0.2.1 192.0.2.1:1 ab"), "an address and port");
    assert_eq!(error("1.000000000 command broken\\x"), "`\\\\`, `\\n` or `\\r` after a backslash");
}
