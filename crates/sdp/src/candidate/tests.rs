use super::*;
use crate::value::refusal;
use alloc::string::ToString;
use alloc::vec::Vec;

const HOST: &str = "1 1 UDP 2130706431 192.0.2.1 5000 typ host";

/// Parses a valid candidate.
fn read(text: &str) -> Candidate<&str> {
    Candidate::trickled(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}")).1
}

#[test]
fn prefixes_are_reported_and_offsets_count_from_the_start() {
    for (prefix, text) in [(Prefix::Bare, ""), (Prefix::Name, "candidate:"), (Prefix::Line, "a=candidate:")] {
        let good = alloc::format!("{text}{HOST}");
        assert_eq!(Candidate::trickled(good.as_bytes()), Ok((prefix, read(HOST))));
        let bad = alloc::format!("{text}1 x");
        let error = Candidate::trickled(bad.as_bytes()).unwrap_err();
        assert_eq!((error.at, error.expected, error.found), (text.len() + 2, "a component, 1 to 256", Some(b'x')));
    }
    // Another prefix after the first becomes part of the foundation and is invalid there. A space after the prefix
    // makes the foundation empty.
    for (other, at) in [("Candidate:", 9), ("x=candidate:", 1), ("a=", 1), ("a= candidate:", 1), ("candidate: ", 15)] {
        let text = alloc::format!("{other}{HOST}");
        assert_eq!(Candidate::trickled(text.as_bytes()).map_err(|error| error.at), Err(at), "{text}");
    }
}

#[test]
fn one_line_ending_is_accepted_and_no_other_control_character() {
    for ending in ["", "\r\n", "\n", "\r"] {
        assert_eq!(read(&alloc::format!("{HOST}{ending}")), read(HOST), "{ending:?}");
    }
    for ending in ["\n\r", "\r\r\n", "\r\n\r\n", "\0", "\t", "\u{7f}", "\r\ncandidate:2 1 UDP 1 192.0.2.1 1 typ host"] {
        let text = alloc::format!("{HOST}{ending}");
        let error = Candidate::trickled(text.as_bytes()).unwrap_err();
        assert_eq!((error.at, error.found), (HOST.len(), ending.bytes().next()), "{ending:?}");
    }
    assert_eq!(refusal::<Candidate<&str>>(&alloc::format!("{HOST}\r\n")), (HOST.len(), "a space"));
}

#[test]
fn every_invalid_field_is_refused_at_its_offset() {
    const ADDRESS: &str = "an IP address or a domain name";
    for (text, at, expected) in [
        ("", 0, "a space"),
        ("$ 1 UDP 1 192.0.2.1 1 typ host", 0, "a foundation of letters, digits, + and /, then a space"),
        ("123456789012345678901234567890123 1 UDP 1 192.0.2.1 1 typ host", 32, "a foundation of 32 characters at most"),
        ("1 257 UDP 1 192.0.2.1 1 typ host", 2, "a component, 1 to 256"),
        ("1 0001 UDP 1 192.0.2.1 1 typ host", 2, "a component, 1 to 256"),
        ("1 1 U/P 1 192.0.2.1 1 typ host", 5, "a space"),
        ("1 1 UDP 4294967296 192.0.2.1 1 typ host", 8, "a priority, 1 to 2147483647"),
        ("1 1 UDP 00000000001 192.0.2.1 1 typ host", 8, "a priority, 1 to 2147483647"),
        ("1 1 UDP 1 192.0.2.256 1 typ host", 10, ADDRESS),
        ("1 1 UDP 1 192.0#.2.1 1 typ host", 15, ADDRESS),
        ("1 1 UDP 1  1 typ host", 10, ADDRESS),
        ("1 1 UDP 1 2001:db8:::1 1 typ host", 10, "an IPv6 address"),
        ("1 1 UDP 1 fe80::1% 1 typ host", 10, "an IPv6 address"),
        ("1 1 UDP 1 192.0.2.1 65536 typ host", 20, "a port, 0 to 65535"),
        ("1 1 UDP 1 192.0.2.1 1 type host", 22, "typ"),
        ("1 1 UDP 1 192.0.2.1 1", 21, "a space"),
        ("1 1 UDP 1 192.0.2.1 1 typ ", 26, "a candidate type such as host"),
        ("1 1 UDP 1 192.0.2.1 1 typ host ", 31, "the name of an extension"),
        ("1 1 UDP 1 192.0.2.1 1 typ host x=y", 32, "a space"),
        ("1 1 UDP 1 192.0.2.1 1 typ host x y\u{e9}", 34, "a space"),
        ("1 1 TCP 1 192.0.2.1 1 typ host tcptype no", 39, "active, passive or so"),
        ("1 1 TCP 1 192.0.2.1 1 typ host tcptype", 38, "active, passive or so"),
        ("1 1 TCP 1 192.0.2.1 1 typ host tcptype so tcptype so", 42, "one tcptype only"),
    ] {
        assert_eq!(refusal::<Candidate<&str>>(text), (at, expected), "{text}");
    }
}

#[test]
fn an_invalid_related_address_is_not_parsed_as_an_extension() {
    const START: &str = "1 1 UDP 1 192.0.2.1 1 typ srflx";
    const RPORT: &str = "rport: a related address has a port";
    for (rest, at, expected) in [
        (" raddr", 6, "a space"),
        (" raddr ", 7, "an IP address or a domain name"),
        (" raddr 192.0.2.9", 16, "a space"),
        (" raddr 192.0.2.9 extension 322", 17, RPORT),
        (" raddr 192.0.2.9 rport", 17, RPORT),
        (" raddr 192.0.2.9 rport x", 23, "a port, 0 to 65535"),
        (" raddr 1%92.0.2 rport 1", 8, "an IP address or a domain name"),
    ] {
        let text = alloc::format!("{START}{rest}");
        assert_eq!(refusal::<Candidate<&str>>(&text), (START.len() + at, expected), "{text}");
    }
    assert_eq!(read(&alloc::format!("{START} raddress x")).extensions.get("raddress"), Some("x"));
}

#[test]
fn names_of_the_grammar_are_case_insensitive() {
    let candidate = read("1 1 uDp 1 192.0.2.1 1 TYP SrFlX RADDR 192.0.2.2 RPort 2 TCPtype Active");
    assert_eq!(candidate.to_string(), "1 1 UDP 1 192.0.2.1 1 typ srflx raddr 192.0.2.2 rport 2 tcptype active");
}

#[test]
fn unknown_words_keep_their_names() {
    let candidate = read("1 1 ssltcp 1 192.0.2.1 443 typ cloud x 1 y  z 2 x 3");
    assert_eq!(candidate.transport, Transport::Other("ssltcp"));
    assert_eq!(candidate.candidate_type, CandidateType::Other("cloud"));
    assert_eq!(candidate.extensions.iter().collect::<Vec<_>>(), [("x", "1"), ("y", ""), ("z", "2"), ("x", "3")]);
    assert_eq!(candidate.to_string(), "1 1 ssltcp 1 192.0.2.1 443 typ cloud x 1 y  z 2 x 3");
}

#[test]
fn each_form_of_an_address_is_parsed() {
    let address =
        |text: &str| read(&alloc::format!("1 1 UDP 1 {text} 1 typ host")).address.map(alloc::string::String::from);
    for (text, ip, is_mdns) in [
        ("192.0.2.1", Some("192.0.2.1"), false),
        ("2001:db8::1", Some("2001:db8::1"), false),
        ("fe80::1%eth0", Some("fe80::1"), false),
        ("e2494022-4d9a-4c1e-a750-cc48d4f8d6ee.local", None, true),
        ("a.LOCAL", None, true),
        ("x.x.x.x", None, false),
        ("localhost", None, false),
    ] {
        let found = address(text);
        assert_eq!(found.ip(), ip.map(|ip| ip.parse().unwrap()), "{text}");
        assert_eq!((found.is_mdns(), found.to_string().as_str()), (is_mdns, text));
    }
}

#[test]
fn deviations_are_reported_and_strict_parsing_refuses_each_at_its_offset() {
    for (text, at, deviations) in [
        (" 1 UDP 1 192.0.2.1 1 typ host", 0, &[Deviation::NoFoundation][..]),
        ("1 0 UDP 1 192.0.2.1 1 typ host", 2, &[Deviation::ComponentZero]),
        ("1 1 UDP 0 192.0.2.1 1 typ host", 8, &[Deviation::PriorityRange]),
        ("1 1 UDP 2147483648 192.0.2.1 1 typ host", 8, &[Deviation::PriorityRange]),
        ("1 1 UDP 1 fe80::1%2 1 typ host", 10, &[Deviation::Zone]),
        ("1 1 UDP 1 192.0.2.1 1 typ cloud", 26, &[Deviation::UnknownType]),
        ("1 1 UDP 1 192.0.2.1 1 typ relay", 31, &[Deviation::NoRelated]),
        ("1 1 UDP 1 192.0.2.1 1 typ prflx x 1", 32, &[Deviation::NoRelated]),
        ("1 1 UDP 1 192.0.2.1 1 typ host raddr 192.0.2.2 rport 2", 31, &[Deviation::RelatedOfHost]),
        ("1 1 UDP 1 192.0.2.1 1 typ relay raddr 192.0.2.274 rport 2", 38, &[Deviation::RelatedAddress]),
        ("1 1 TCP 1 192.0.2.1 9 typ host", 30, &[Deviation::NoTcpType]),
        ("1 1 UDP 1 192.0.2.1 9 typ host x 1 y", 35, &[Deviation::LoneExtension]),
        (
            "1 0 TCP 0 192.0.2.1 9 typ host",
            2,
            &[Deviation::ComponentZero, Deviation::PriorityRange, Deviation::NoTcpType],
        ),
    ] {
        assert_eq!(read(text).deviations().collect::<Vec<_>>(), deviations, "{text}");
        let error = Candidate::strict(text.as_bytes()).unwrap_err();
        assert_eq!((error.at, error.expected), (at, deviations[0].expected()), "{text}");
        assert_eq!(read(&read(text).to_string()), read(text), "{text}");
    }
    assert_eq!(Candidate::strict(HOST.as_bytes()), Ok(read(HOST)));
    let texts: Vec<_> = Deviation::ALL.iter().map(ToString::to_string).collect();
    assert!(texts.iter().all(|text| texts.iter().filter(|other| *other == text).count() == 1), "{texts:?}");
}

#[test]
fn the_position_of_tcptype_does_not_matter() {
    let last = read("1 1 tcp 1 192.0.2.1 9 typ host generation 0 tcptype active ufrag a");
    let first = read("1 1 tcp 1 192.0.2.1 9 typ host tcptype active generation 0 ufrag a");
    assert_eq!((last, last.tcp_type), (first, Some(TcpType::Active)));
    assert_eq!(last.extensions.iter().collect::<Vec<_>>(), [("generation", "0"), ("ufrag", "a")]);
    assert_eq!(last.extensions.get("tcptype"), None);
    assert!(read("1 1 tcp 1 192.0.2.1 9 typ host tcptype so").extensions.is_empty());
}

#[test]
fn extensions_are_added_or_refused_with_an_offset() {
    let mut extensions = read("1 1 UDP 1 192.0.2.1 1 typ host lone").extensions.to_owned();
    extensions.push("generation", "0").unwrap();
    extensions.push("empty", "").unwrap();
    assert_eq!(extensions.iter().collect::<Vec<_>>(), [("lone", ""), ("generation", "0"), ("empty", "")]);
    for (name, value, at) in
        [("", "x", 0), ("a b", "x", 1), ("a", "x y", 1), ("a", "\r\n", 0), ("RPORT", "1", 0), ("a", "é", 0)]
    {
        assert_eq!(extensions.push(name, value).map_err(|error| error.at), Err(at), "{name} {value}");
    }
    assert_eq!(extensions.iter().count(), 3);
}

#[test]
fn candidates_that_would_be_parsed_differently_are_not_written() {
    let good = read(HOST).to_owned();
    assert_eq!(good.clone().checked(), Ok(good.clone()));
    let broken = CandidateAttribute { foundation: "1\r\na=x".into(), ..good.clone() };
    assert_eq!(broken.checked().map_err(|error| error.at), Err(1));
    let address_as_name = CandidateAttribute { address: ConnectionAddress::Name("192.0.2.1".into()), ..good.clone() };
    assert_eq!(
        address_as_name.checked().map_err(|error| error.expected),
        Err("fields that are read as they were written")
    );
    let injected = CandidateAttribute { transport: Transport::Other("UDP 1 192.0.2.9 1 typ host x".into()), ..good };
    assert!(injected.checked().is_err());
}
