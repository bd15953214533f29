//! Tests that scrubbing removes every address and every secret of a description, and that the lines are still parsed in
//! the same way.
//!
//! The tests find secrets by simple rules that are independent of the implementation.

use crate::field;
use alloc::collections::{BTreeMap, BTreeSet};
use core::mem::discriminant;
use core::net::IpAddr;
use portolan_sdp::diagnostic::Rule;
use portolan_sdp::explain::explain;
use portolan_sdp::line::Line;
use portolan_sdp::lint::lint;
use portolan_sdp::scrub::{Scrubber, scrub};
use portolan_sdp::{Limits, Reader, Session};
use portolan_strategies::sessions::{nearly_valid, session};
use proptest::prelude::*;

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\r', '\n']).filter(|line| !line.is_empty())
}

/// Returns all addresses in a text that identify a host.
fn addresses(text: &str) -> BTreeSet<IpAddr> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || ".:-_".contains(c)))
        .filter_map(|word| word.parse().ok())
        .filter(|ip: &IpAddr| !ip.is_unspecified() && !ip.is_loopback() && !is_documentation(*ip))
        .collect()
}

/// Returns whether an address is for documentation (RFC 5737, 3849, 5771, 6676) and therefore identifies no host.
fn is_documentation(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            matches!(v4.octets(), [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [233, 252, 0, _])
        }
        IpAddr::V6(v6) => v6.segments()[..2] == [0x2001, 0xdb8] || v6.segments()[5] == 0xdb8 && v6.is_multicast(),
    }
}

const COMMON: [&str; 6] = ["mixed", "session", "prompt", "00000000", "NONE", "user"];

/// Returns the texts that identify a person or a host, or that grant access.
fn secrets(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for line in lines(text) {
        let Some((kind, value)) = line.split_once('=') else { continue };
        let (name, value) = if kind == "a" { value.split_once(':').unwrap_or((value, "")) } else { (kind, value) };
        let after_space = || value.split_once(' ').map_or("", |(_, rest)| rest);
        match name {
            "o" => found.extend(value.split(' ').next()),
            "s" | "i" | "u" | "e" | "p" | "k" | "ice-ufrag" | "ice-pwd" | "tls-id" | "tool" | "identity" | "cname" => {
                found.insert(value);
            }
            "fingerprint" => {
                found.insert(after_space());
            }
            "crypto" => {
                found.extend(value.split("inline:").skip(1).filter_map(|key| key.split(['|', ' ', ';']).next()))
            }
            "msid" => found.extend(value.split(' ')),
            "ssrc" => {
                let (name, value) = after_space().split_once(':').unwrap_or_default();
                if ["cname", "msid", "mslabel", "label"].contains(&name) {
                    found.extend(value.split(' '));
                }
            }
            "candidate" => {
                let words: Vec<&str> = value.split(' ').collect();
                found.extend(words.iter().filter(|word| word.ends_with(".local")));
                found.extend(words.windows(2).filter(|pair| pair[0] == "ufrag").map(|pair| pair[1]));
            }
            _ => {}
        }
    }
    // Short words identify no person. Common words also occur elsewhere in a description, or in a replacement.
    found.retain(|secret| secret.len() > 3 && !COMMON.contains(secret));
    found
}

#[test]
fn no_address_and_no_secret_of_the_corpus_remains() {
    let (mut all_addresses, mut all_secrets, mut leaked) = (0, 0, Vec::new());
    for (path, bytes) in field::descriptions() {
        let (Ok(session), Ok(text)) = (Session::read(&bytes), core::str::from_utf8(&bytes)) else { continue };
        let scrubbed = scrub(&session).to_string();
        let path = path.display();
        let (before, after) = (addresses(text), addresses(&scrubbed));
        assert_eq!(before.intersection(&after).collect::<Vec<_>>(), Vec::<&IpAddr>::new(), "{path}\n{scrubbed}");
        for secret in secrets(text) {
            if scrubbed.contains(secret) {
                leaked.push(format!("{path}: {secret}"));
            }
            all_secrets += 1;
        }
        all_addresses += before.len();
    }
    assert_eq!(leaked, Vec::<String>::new());
    if field::folder().is_some() {
        assert!(all_addresses > 500 && all_secrets > 2000, "{all_addresses} {all_secrets}");
    }
}

#[test]
fn lines_keep_their_kinds_and_valid_values_stay_valid() {
    for (path, bytes) in field::descriptions() {
        let Ok(session) = Session::read(&bytes) else { continue };
        let scrubbed = scrub(&session);
        assert_eq!(session.line_count(), scrubbed.line_count(), "{}", path.display());
        for (was, is) in session.lines().zip(scrubbed.lines()) {
            let context = || format!("{}: {was} became {is}", path.display());
            assert_eq!((was.kind(), was.ending()), (is.kind(), is.ending()), "{}", context());
            if let Some(Ok(typed)) = was.typed() {
                let now = is.typed().and_then(Result::ok).unwrap_or_else(|| panic!("{}", context()));
                assert_eq!(discriminant(&typed), discriminant(&now), "{}", context());
            }
        }
    }
}

/// Returns the findings of a description as `portolan sdp check` has them: line, rule, section, and what was expected.
/// A further kind of finding is added here.
fn findings(text: &[u8]) -> Vec<(usize, String)> {
    let limits = Limits { diagnostics: 10_000, ..Limits::default() };
    let Ok(reading) = Reader::lenient().with_limits(limits).read(text) else { return Vec::new() };
    let of_reader = reading.diagnostics.iter().map(|diagnostic| {
        let expected = if let Rule::Value { error, .. } = diagnostic.rule { error.expected } else { "" };
        (diagnostic.line, format!("{} {expected} {}", diagnostic.rule.name(), diagnostic.rule.clause()))
    });
    let of_values = reading.session.lines().flat_map(|line| {
        let error = line.typed().and_then(Result::err).map(|error| error.error);
        error
            .into_iter()
            .chain(line.deviations().map(|(_, error)| error.error).collect::<Vec<_>>())
            .map(move |error| (line.index() + 1, format!("value {} {}", error.expected, error.clause)))
    });
    of_reader.chain(of_values.collect::<Vec<_>>()).collect()
}

/// Returns all findings of a description as `portolan sdp check` counts them: line and code, sorted. Those of lint are
/// included.
fn codes(text: &[u8]) -> Vec<(usize, &'static str)> {
    let limits = Limits { diagnostics: 10_000, ..Limits::default() };
    let Ok(reading) = Reader::lenient().with_limits(limits).read(text) else { return Vec::new() };
    let of_reader = reading.diagnostics.iter().map(|diagnostic| (diagnostic.line, diagnostic.rule.name()));
    let of_values = reading.session.lines().flat_map(|line| {
        let errors = line.typed().into_iter().filter_map(Result::err).count() + line.deviations().count();
        (0..errors).map(move |_| (line.index() + 1, "value"))
    });
    let of_lint = lint(&reading.session);
    let of_lint = of_lint.iter().map(|finding| (finding.line, finding.rule.code()));
    let mut all: Vec<_> = of_reader.chain(of_values).chain(of_lint).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_scrubbed_description_of_the_corpus_has_the_same_findings() {
    let (mut count, mut lost) = (0, Vec::new());
    for (path, bytes) in field::descriptions() {
        let Ok(session) = Session::read(&bytes) else { continue };
        let scrubbed = scrub(&session);
        let (was, is) = (findings(&bytes), findings(&scrubbed.to_bytes()));
        count += was.len();
        for (was, is) in was.iter().zip(&is).filter(|(was, is)| was != is).take(1) {
            let line = |session: &Session<'_>, number: usize| session.line(number - 1).map(|line| format!("{line:?}"));
            lost.push(format!(
                "{}: {was:?} is {is:?}: {:?} became {:?}",
                path.display(),
                line(&session, was.0),
                line(&scrubbed, was.0)
            ));
        }
        if was.len() != is.len() {
            lost.push(format!("{}: {} findings, then {}", path.display(), was.len(), is.len()));
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
    println!("{count} findings are the same after scrubbing");
    assert!(field::folder().is_none() || count > 300, "{count}");
}

/// A line, its scrubbed form, and whether it is reported as replaced.
const WRONG_LINES: [(&str, &str, bool); 20] = [
    ("m=video -1353744643 RTP/AVP 96", "m=video -1353744643 RTP/AVP 96", false),
    ("m=video 70000 RTP/AVP 96", "m=video 70000 RTP/AVP 96", false),
    ("c=IN IP4 '&!", "c=IN IP4 '&!", false),
    ("c=IN IP4 217-14.227.53", "c=IN IP4 -host-1.example", false),
    ("a=candidate:1 1 udp 1 a..local 9 typ host", "a=candidate:1 1 udp 1 -host-1.local 9 typ host", false),
    ("a=ssrc:100 cn\u{e4},\0me:926VP1", "a=ssrc:999 ax\u{e9},\0xa:999XX9", true),
    ("c=IN IP4 10.1.2.999", "c=IN IP4 999.999.999.1", false),
    ("a=rtpmap:96 H264 90000", "a=rtpmap:96 H264 90000", false),
    ("a=rtpmap:secret99 H264/90000", "a=rtpmap:xaaxax99 X999/90000", true),
    ("a=simulcast:send f;h send f;h", "a=simulcast:send f;h send a;x", false),
    ("a=setup:jane", "a=setup:xaxa", true),
    ("a=ice-ufrag:ja%ne", "a=ice-ufrag:u%001", true),
    ("a=ice-pwd:short", "a=ice-pwd:pwd01", true),
    ("a=sctp-port:70000", "a=sctp-port:70000", false),
    ("a=my name:jane", "a=xx xaxa:xaxa", true),
    ("a=fmtp:111", "a=fmtp:111", false),
    ("a=candidate: 1 udp 1 192.0.2.1 9 typ host", "a=candidate: 1 udp 1 198.51.100.1 9 typ host", false),
    ("a=candidate:9 1 udp 1 fe80::1%en7 9 typ host", "a=candidate:1 1 udp 1 2001:db8:fe80::1%1 9 typ host", false),
    ("e=NONE", "e=NONE", false),
    ("b=jane", "b=jane", false),
];

#[test]
fn an_error_stays_an_error_and_no_host_name_is_invented() {
    for (line, expected, is_replaced) in WRONG_LINES {
        let is_media = line.starts_with("m=");
        let head = if is_media || line.starts_with("e=") { "" } else { "m=video 9 RTP/AVP 96\r\n" };
        let (before, number) =
            if line.starts_with("e=") { ("t=0 0\r\n", 4) } else { ("", if is_media { 5 } else { 6 }) };
        let text = match before {
            "" => format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{head}{line}\r\n"),
            after => format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n{line}\r\n{after}"),
        };
        let session = Session::read(text.as_bytes()).unwrap();
        let mut scrubber = Scrubber::new();
        let scrubbed = scrubber.scrub(&session);
        assert_eq!(scrubbed.line(number - 1).unwrap().to_string(), expected, "{line}");
        assert_eq!(findings(&scrubbed.to_bytes()), findings(text.as_bytes()), "{line}");
        assert_eq!(codes(&scrubbed.to_bytes()), codes(text.as_bytes()), "{line}");
        assert_eq!(scrubber.replaced_lines() == [number], is_replaced, "{line}: {:?}", scrubber.replaced_lines());
    }
}

#[test]
fn equal_values_have_equal_replacements() {
    for (path, bytes) in field::descriptions() {
        let Ok(session) = Session::read(&bytes) else { continue };
        let scrubbed = scrub(&session);
        let (mut forward, mut reverse) = (BTreeMap::new(), BTreeMap::new());
        for (was, is) in session.lines().zip(scrubbed.lines()) {
            let Some((b"candidate", Some(value))) = was.attribute() else { continue };
            let now = is.attribute().and_then(|(_, value)| value).unwrap_or_default();
            // The foundation is numbered separately.
            let words = value.split(|byte| *byte == b' ').zip(now.split(|byte| *byte == b' ')).skip(1);
            for (word, replaced) in words {
                let (word, replaced) = (word.to_ascii_lowercase(), replaced.to_ascii_lowercase());
                assert_eq!(*forward.entry(word.clone()).or_insert(replaced.clone()), replaced, "{}", path.display());
                assert_eq!(*reverse.entry(replaced).or_insert(word.clone()), word, "{}: {was} {is}", path.display());
            }
        }
    }
}

/// The private data of one person. The values are long enough not to occur elsewhere by chance.
#[derive(Clone, Debug)]
struct Person {
    user: String,
    host: String,
    ip: core::net::Ipv4Addr,
    ip6: core::net::Ipv6Addr,
    ufrag: String,
    pwd: String,
    digest: String,
}

fn person() -> impl Strategy<Value = Person> {
    let digest = proptest::collection::vec(any::<u8>(), 20).prop_map(|bytes| {
        let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    });
    let names = ("[a-z]{6,9}q[0-9]{2}", "[a-z]{6,9}q\\.[a-z]{5,8}\\.(com|de|local)");
    let places = (any::<[u8; 3]>(), any::<u64>());
    (names, places, "[A-Za-z0-9+/]{8,12}", "[A-Za-z0-9+/]{22,40}", digest).prop_map(
        |((user, host), ([b, c, d], low), ufrag, pwd, digest)| Person {
            user,
            host,
            ip: [11 + b % 60, b, c, d].into(),
            ip6: (0x2a02_4780_0000_0000_0000_0000_0000_0000 | u128::from(low)).into(),
            ufrag,
            pwd,
            digest,
        },
    )
}

/// Returns a description with all data of a person in every position for a text. The data occur before and after the
/// lines that define the data, and before the media section of another description.
fn private_description(person: &Person, other: &Session<'_>) -> String {
    let Person { user, host, ip, ip6, ufrag, pwd, digest } = person;
    let media: String =
        other.all_media().flat_map(|section| section.lines()).map(|line| format!("{line}\r\n")).collect();
    let lines = [
        format!("v=0\r\no={user} 3724394400 2 IN IP4 {ip}\r\ns=call of {user}\r\ni={user} at {host} ({ip}, {ip6})"),
        format!(
            "u=https://{host}/{user}?{pwd}\r\ne={user}@{host} ({user})\r\np=+44 20 7946 0018\r\nc=IN IP6 {ip6}\r\nt=0 0"
        ),
        format!(
            "a=tool:{user}'s {host}\r\na=x-account:{user} {ufrag} {digest}\r\na=keywds:{user}\r\n{media}m=audio 9 RTP/AVP 96 97"
        ),
        format!(
            "a=fmtp:96 server={host};token={pwd};x={ip}:5060;y=[{ip6}]:99;who=sip:{user}@{host};v={ip}_1;udp:{ip}:53"
        ),
        format!("a=fmtp:97 {ufrag}/{user}, {pwd} from {ip}-{ip}. {ip6}."),
        format!(
            "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=fingerprint:sha-1 {digest}\r\na=fingerprint:sha-1 {}",
            digest.to_lowercase()
        ),
        format!("a=candidate:{ufrag} 1 udp 7 {ip} 5000 typ srflx raddr {ip6} rport 9 ufrag {ufrag} x-who {user}"),
        format!(
            "a=candidate:1 1 tcp 7 {host} 9 typ host tcptype active\r\na=rtcp:9 IN IP6 {ip6}\r\na=ssrc:7 cname:{user}@{host}"
        ),
        format!("a=remote-candidates:1 {ip} 7\r\na=source-filter: incl IN IP4 * {ip}\r\na=ts-refclk:ntp={host}:123"),
        format!(
            "a=control:rtsp://{user}:{pwd}@{host}/1\r\na=ssrc:7 fmtp:96 x={user}\r\na=label:{ip}\r\na=x-{ip}:1\r\na=mid:{ip}\r\n"
        ),
    ];
    lines.join("\r\n")
}

/// Returns whether the value of a line can be parsed.
fn is_parsed(line: &Line<'_>) -> bool {
    let whole = [b"v=0\r\n", line.text(), b"\r\n"].concat();
    Session::read(&whole).is_ok_and(|session| explain(&session).nth(1).is_some_and(|item| item.value.is_ok()))
}

proptest! {
    #[test]
    fn no_private_data_remains(person in person(), other in session()) {
        let other = Session::read(&other).unwrap();
        let text = private_description(&person, &other);
        let was = Session::read(text.as_bytes()).unwrap();
        let is = scrub(&was);
        let found = is.to_string();
        let plain = found.to_lowercase();
        let Person { user, host, ip, ip6, ufrag, pwd, digest } = &person;
        for secret in [user, host, &ip.to_string(), &ip6.to_string(), ufrag, pwd, digest, "7946 0018"] {
            prop_assert!(!plain.contains(&secret.to_lowercase()), "{secret} in\n{found}");
        }
        // An address has the same replacement in `o=`, in a candidate, in a parameter list and in a name.
        let replacement = found.lines().nth(1).unwrap().rsplit(' ').next().unwrap();
        for text in [format!("udp 7 {replacement} 5000"), format!("x={replacement}:5060"), format!("a=mid:{replacement}")] {
            prop_assert!(found.contains(&text), "{text} is not in\n{found}");
        }
    }

    #[test]
    fn a_scrubbed_description_is_parsed_as_before(
        text in nearly_valid(session()), is_whole in any::<bool>(), whole in session(),
    ) {
        let text = if is_whole { whole } else { text };
        let Ok(was) = Session::read(&text) else { return Ok(()) };
        let is = scrub(&was);
        let again = scrub(&is);
        prop_assert_eq!(is.line_count(), was.line_count());
        for ((before, after), twice) in was.lines().zip(is.lines()).zip(again.lines()) {
            prop_assert_eq!((before.kind(), before.ending()), (after.kind(), after.ending()), "{} is {}", before, after);
            prop_assert!(!is_parsed(&before) || is_parsed(&after), "{before} is parsed, {after} is not");
            prop_assert_eq!((after.kind(), is_parsed(&after)), (twice.kind(), is_parsed(&twice)), "{} is {}", after, twice);
        }
        if Reader::strict().read(&text).is_ok() {
            prop_assert!(Reader::strict().read(&is.to_bytes()).is_ok(), "{}", is);
        }
        prop_assert_eq!(codes(&text), codes(&is.to_bytes()), "{}", is);
        prop_assert_eq!(scrub(&again).to_string(), again.to_string());
    }
}
