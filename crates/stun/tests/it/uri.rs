//! Tests of URIs: the examples of the RFCs, errors with their offsets, and the round trip through text.

use core::net::{Ipv4Addr, Ipv6Addr};

use portolan_stun::uri::{Host, Scheme, Transport, Uri, UriError, UriErrorKind as Kind};
use proptest::prelude::*;

#[test]
fn the_examples_of_the_rfcs_round_trip() {
    // RFC 7064 appendix A, RFC 7065 appendix A: URI, secure, port, transport.
    for (text, scheme, port, transport) in [
        ("stun:example.org", Scheme::Stun, None, None),
        ("stuns:example.org", Scheme::Stuns, None, None),
        ("stun:example.org:8000", Scheme::Stun, Some(8000), None),
        ("turn:example.org", Scheme::Turn, None, None),
        ("turns:example.org", Scheme::Turns, None, None),
        ("turn:example.org:8000", Scheme::Turn, Some(8000), None),
        ("turn:example.org?transport=udp", Scheme::Turn, None, Some(Transport::Udp)),
        ("turn:example.org?transport=tcp", Scheme::Turn, None, Some(Transport::Tcp)),
        ("turns:example.org?transport=tcp", Scheme::Turns, None, Some(Transport::Tcp)),
        ("turn:example.org:1?transport=sctp", Scheme::Turn, Some(1), Some(Transport::Extension("sctp"))),
    ] {
        let uri = Uri::parse(text).unwrap();
        assert_eq!(uri, Uri { scheme, host: Host::Name("example.org"), port, transport });
        assert_eq!(uri.to_string(), text);
        assert_eq!(Uri::try_from(text), Ok(uri));
    }
}

#[test]
fn each_scheme_has_its_default_port() {
    for (text, port) in
        [("stun:h", 3478), ("turn:h", 3478), ("stuns:h", 5349), ("turns:h", 5349), ("stuns:h:7", 7), ("stun:h:", 3478)]
    {
        assert_eq!(Uri::parse(text).unwrap().port_or_default(), port);
    }
}

#[test]
fn the_case_of_scheme_and_parameter_is_ignored() {
    let uri = Uri::parse("TURN:Example.ORG?Transport=TCP").unwrap();
    assert_eq!(uri.to_string(), "turn:Example.ORG?transport=tcp");
}

#[test]
fn invalid_uris_are_refused_with_an_offset() {
    for (text, at, kind) in [
        ("", 0, Kind::Scheme),
        ("example.org", 0, Kind::Scheme),
        ("http://example.org", 0, Kind::Scheme),
        ("stunt:example.org", 0, Kind::Scheme),
        ("stun:", 5, Kind::Host),
        ("stun://example.org", 5, Kind::Host),
        ("stun:user@example.org", 5, Kind::Host),
        ("stun:example org", 5, Kind::Host),
        ("stun:bad%4", 5, Kind::Host),
        ("stun:bad%zz", 5, Kind::Host),
        ("stun:[::1", 5, Kind::Host),
        ("stun:[192.0.2.1]", 5, Kind::Host),
        ("stun:[::1]x", 10, Kind::Host),
        ("stun:[fe80::1%25eth0]", 5, Kind::Host),
        ("stun:::1", 5, Kind::Host),
        ("stun:h:0", 7, Kind::Port),
        ("stun:h:65536", 7, Kind::Port),
        ("stun:h:+80", 7, Kind::Port),
        ("turn:h:x?transport=udp", 7, Kind::Port),
        ("stun:h?transport=udp", 7, Kind::Query),
        ("turn:h?", 7, Kind::Query),
        ("turn:h?transport=", 7, Kind::Query),
        ("turn:h?ttl=5", 7, Kind::Query),
        ("turn:h?transport=u/p", 7, Kind::Query),
        ("turn:h?transport=udp&x=y", 7, Kind::Query),
    ] {
        assert_eq!(Uri::parse(text), Err(UriError { at, kind }), "{text}");
    }
}

fn scheme() -> impl Strategy<Value = Scheme> {
    proptest::sample::select(vec![Scheme::Stun, Scheme::Stuns, Scheme::Turn, Scheme::Turns])
}

/// Generates a host in URI syntax.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,9}(\\.[a-z]{2,5}){0,2}",
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string()),
        any::<u128>().prop_map(|bits| format!("[{}]", Ipv6Addr::from_bits(bits))),
    ]
}

proptest! {
    #[test]
    fn valid_uris_round_trip_through_text(
        scheme in scheme(),
        host in host(),
        port in proptest::option::of(1..=u16::MAX),
        transport in proptest::option::of("[a-z]{1,5}"),
    ) {
        let mut text = format!("{scheme}:{host}");
        if let Some(port) = port {
            text += &format!(":{port}");
        }
        if let Some(transport) = transport.filter(|_| scheme.is_turn()) {
            text += &format!("?transport={transport}");
        }
        let uri = Uri::parse(&text).unwrap();
        prop_assert_eq!((uri.scheme, uri.port, uri.host.to_string()), (scheme, port, host));
        prop_assert_eq!(uri.to_string(), text);
    }

    #[test]
    fn no_text_panics(text in prop_oneof!["(stun|turn)s?:\\PC{0,30}", "\\PC{0,30}", "turn:[\\[\\]:?=%a0.]{0,12}"]) {
        match Uri::parse(&text) {
            Ok(uri) => {
                let printed = uri.to_string();
                prop_assert_eq!(Uri::parse(&printed), Ok(uri));
            }
            Err(error) => prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at)),
        }
    }
}
