//! Session descriptions: valid descriptions, and damaged descriptions.
//!
//! [`session`] generates descriptions that a strict reader accepts. They contain all lines of RFC 8866 and the
//! attributes that phones, browsers and cameras write. [`nearly_valid`] applies one to three damages: duplicated, moved
//! or missing lines, other line endings, changed bytes. A damaged description may still be valid.
//!
//! ```
//! use portolan_sdp::{Reader, Session};
//! use portolan_strategies::sessions;
//! use proptest::prelude::*;
//!
//! proptest!(|(text in sessions::session())| {
//!     prop_assert!(Reader::strict().read(&text).is_ok());
//! });
//! proptest!(|(text in sessions::nearly_valid(sessions::session()))| {
//!     let _read = Session::read(&text); // valid or not, but never a panic
//! });
//! ```

use crate::candidates;
use portolan_sdp::line::Kind;
use portolan_sdp::value::{MediaLine, Origin};
use portolan_sdp::{Attribute, MediaBuilder, SessionBuilder, Value as _};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A line of a section: its kind, and its value after the `=`.
pub type Written = (Kind, Vec<u8>);

/// Descriptions that a strict reader accepts without a deviation, with up to four media sections.
pub fn session() -> BoxedStrategy<Vec<u8>> {
    let top = prop::collection::vec(session_line(), 0..6);
    let media = prop::collection::vec((media_line(), prop::collection::vec(section_line(), 0..12)), 0..=4);
    (origin(), name(), top, attributes(4), media)
        .prop_map(|(origin, name, top, attributes, media)| write(&origin, &name, &top, &attributes, &media))
        .boxed()
}

/// Writes a description. Returns no bytes if a strict reader would refuse the description.
fn write(
    origin: &str,
    name: &[u8],
    top: &[Written],
    attributes: &[(String, Option<Vec<u8>>)],
    media: &[(String, Vec<Written>)],
) -> Vec<u8> {
    let Ok(origin) = Origin::parse(origin.as_bytes()) else { return Vec::new() };
    let mut session = SessionBuilder::new(&origin).name(name);
    for (kind, value) in once_each(top) {
        session = session.line(*kind, value);
    }
    for (name, value) in attributes {
        session = session.attribute(Attribute::Other { name: name.as_bytes(), value: value.as_deref() });
    }
    for (head, lines) in media {
        let Ok(head) = MediaLine::parse(head.as_bytes()) else { return Vec::new() };
        let mut section = MediaBuilder::new(&head);
        for (kind, value) in once_each(lines) {
            section = section.line(*kind, value);
        }
        session = session.media(section);
    }
    session.build().map_or_else(|_| Vec::new(), |session| session.to_bytes())
}

/// Returns the lines without repetitions of the kinds that a section may contain only once.
fn once_each(lines: &[Written]) -> impl Iterator<Item = &Written> {
    let is_first = |nth: usize, kind: Kind| lines.iter().position(|(other, _)| *other == kind) == Some(nth);
    let single = |kind: Kind| matches!(kind, Kind::Information | Kind::Uri | Kind::Connection | Kind::Key);
    lines.iter().enumerate().filter(move |(nth, line)| !single(line.0) || is_first(*nth, line.0)).map(|(_, line)| line)
}

/// The value of an `o=` line.
pub fn origin() -> impl Strategy<Value = String> {
    ("[!-~]{1,12}", "[0-9]{1,19}", any::<u64>(), address())
        .prop_map(|(user, id, version, address)| format!("{user} {id} {version} {address}"))
}

/// The value of an `s=` line.
pub fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(b"-".to_vec()), Just(b" ".to_vec()), text()]
}

/// A text of at least one byte, without NUL, CR and LF.
pub fn text() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_map(|byte| if matches!(byte, 0 | b'\r' | b'\n') { b'.' } else { byte });
    prop_oneof![3 => "[ -~]{1,24}".prop_map(String::into_bytes), 1 => prop::collection::vec(byte, 1..24)]
}

/// The address of an `o=` line, such as `IN IP4 192.0.2.1`.
fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => any::<[u8; 4]>().prop_map(|octets| format!("IN IP4 {}", core::net::Ipv4Addr::from(octets))),
        1 => any::<u128>().prop_map(|bits| format!("IN IP6 {}", core::net::Ipv6Addr::from_bits(bits))),
        1 => "[a-z]{1,8}\\.example".prop_map(|name| format!("IN IP4 {name}")),
    ]
}

/// The value of a `c=` line: one address, or a range of multicast addresses.
pub fn connection() -> impl Strategy<Value = String> {
    let unicast = (1..224_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| format!("IN IP4 {a}.{b}.{c}.{d}"));
    let multicast = (224..240_u8, any::<u8>(), 1..9_u32)
        .prop_map(|(first, ttl, count)| format!("IN IP4 {first}.2.1.1/{ttl}/{count}"));
    let six = (1..999_u32).prop_map(|count| format!("IN IP6 ff15::101/{count}"));
    prop_oneof![4 => unicast, 1 => multicast, 1 => six, 1 => Just("IN IP6 2001:db8::1".to_owned())]
}

/// A line before the first media section, other than `v=`, `o=`, `s=`, `t=` and attributes.
fn session_line() -> impl Strategy<Value = Written> {
    let time = prop_oneof![Just("0 0".to_owned()), (1_u64 << 31..1 << 40).prop_map(|at| format!("{at} {}", at + 60))];
    prop_oneof![
        text().prop_map(|text| (Kind::Information, text)),
        "https://[a-z]{1,8}\\.example/[a-z0-9]{0,8}".prop_map(|uri| (Kind::Uri, uri.into_bytes())),
        "[a-z]{1,8}@[a-z]{1,8}\\.example".prop_map(|email| (Kind::Email, email.into_bytes())),
        "\\+[1-9][0-9]{1,3} [0-9]{3}-[0-9]{4}".prop_map(|phone| (Kind::Phone, phone.into_bytes())),
        connection().prop_map(|connection| (Kind::Connection, connection.into_bytes())),
        bandwidth().prop_map(|bandwidth| (Kind::Bandwidth, bandwidth.into_bytes())),
        time.prop_map(|time| (Kind::Time, time.into_bytes())),
    ]
}

fn bandwidth() -> impl Strategy<Value = String> {
    (select(vec!["CT", "AS", "TIAS", "RS", "RR", "X-Y"]), 0..10_000_000_u64)
        .prop_map(|(kind, amount)| format!("{kind}:{amount}"))
}

/// The value of an `m=` line.
pub fn media_line() -> impl Strategy<Value = String> {
    let kinds = vec![
        "audio 9 UDP/TLS/RTP/SAVPF 111 0 8",
        "video 9 UDP/TLS/RTP/SAVPF 96 97",
        "application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "audio 49170 RTP/AVP 0",
        "video 49170/2 RTP/AVP 31 32",
        "text 0 RTP/AVP 98",
        "message 2855 TCP/MSRP *",
    ];
    let any = ("[a-z]{1,6}", any::<u16>(), "[A-Z]{1,4}(/[A-Z]{1,4}){0,2}", "[0-9]{1,3}( [0-9]{1,3}){0,4}")
        .prop_map(|(media, port, protocol, formats)| format!("{media} {port} {protocol} {formats}"));
    prop_oneof![3 => select(kinds).prop_map(str::to_owned), 1 => any]
}

/// A line of a media section, other than its `m=`.
fn section_line() -> impl Strategy<Value = Written> {
    prop_oneof![
        1 => text().prop_map(|text| (Kind::Information, text)),
        1 => connection().prop_map(|connection| (Kind::Connection, connection.into_bytes())),
        1 => bandwidth().prop_map(|bandwidth| (Kind::Bandwidth, bandwidth.into_bytes())),
        12 => attribute().prop_map(|(name, value)| {
            let value = value.map(|value| [b":", &*value].concat()).unwrap_or_default();
            (Kind::Attribute, [name.as_bytes(), &*value].concat())
        }),
    ]
}

fn attributes(most: usize) -> impl Strategy<Value = Vec<(String, Option<Vec<u8>>)>> {
    prop::collection::vec(attribute(), 0..=most)
}

/// The name and value of an attribute: a known attribute with a valid value, or an unknown attribute.
pub fn attribute() -> BoxedStrategy<(String, Option<Vec<u8>>)> {
    let flag = select(FLAGS.to_vec()).prop_map(|name| (name.to_owned(), None));
    let fixed = select(FIXED.to_vec())
        .prop_map(|line| line.split_once(':').map_or((line.to_owned(), None), |(name, value)| named(name, value)));
    let unknown = ("x-[a-z]{1,8}", prop::option::of(text()));
    prop_oneof![
        2 => flag,
        4 => fixed,
        3 => candidates::candidate().prop_map(|candidate| named("candidate", &candidate.to_string())),
        1 => "[a-zA-Z0-9+/]{4,32}".prop_map(|text| named("ice-ufrag", &text)),
        1 => "[a-zA-Z0-9+/]{22,64}".prop_map(|text| named("ice-pwd", &text)),
        1 => any::<[u8; 32]>().prop_map(|bytes| named("fingerprint", &format!("sha-256 {}", hex(&bytes)))),
        1 => "[a-zA-Z0-9]{1,8}".prop_map(|text| named("mid", &text)),
        1 => "BUNDLE( [a-z0-9]{1,4}){0,5}".prop_map(|text| named("group", &text)),
        1 => "[a-z0-9-]{1,36}( [a-z0-9-]{1,36})?".prop_map(|text| named("msid", &text)),
        2 => (0..128_u8, "[A-Za-z][A-Za-z0-9-]{0,8}", 1..=96_000_u32, prop::option::of(1..9_u8)).prop_map(
            |(payload, encoding, rate, channels)| {
                let channels = channels.map(|channels| format!("/{channels}")).unwrap_or_default();
                named("rtpmap", &format!("{payload} {encoding}/{rate}{channels}"))
            }
        ),
        2 => (0..128_u8, "[a-z-]{1,8}=[a-z0-9]{1,6}(;[a-z-]{1,8}=[a-z0-9]{1,6}){0,4}")
            .prop_map(|(payload, text)| named("fmtp", &format!("{payload} {text}"))),
        1 => (1..15_u8, "urn:[a-z]{1,8}:[a-z]{1,8}").prop_map(|(id, uri)| named("extmap", &format!("{id} {uri}"))),
        1 => (any::<u32>(), "[a-zA-Z0-9]{1,16}").prop_map(|(id, name)| named("ssrc", &format!("{id} cname:{name}"))),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(one, other)| named("ssrc-group", &format!("FID {one} {other}"))),
        2 => unknown,
    ]
    .boxed()
}

fn named(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.as_bytes().to_vec()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

const FLAGS: [&str; 12] = [
    "sendrecv",
    "sendonly",
    "recvonly",
    "inactive",
    "rtcp-mux",
    "rtcp-mux-only",
    "rtcp-rsize",
    "extmap-allow-mixed",
    "bundle-only",
    "ice-lite",
    "end-of-candidates",
    "x-flag",
];

/// Attributes with fixed values, because their grammar has few choices or many rare ones.
const FIXED: [&str; 24] = [
    "setup:actpass",
    "setup:passive",
    "ice-options:trickle",
    "ice-options:trickle ice2",
    "ice-pacing:50",
    "remote-candidates:1 192.0.2.3 45664 2 192.0.2.3 45665",
    "tls-id:89J2LRATQ3ULA24G9AHWVR31VJWSLB68",
    "rtcp:9 IN IP4 0.0.0.0",
    "rtcp:53020",
    "rtcp-fb:96 nack pli",
    "rtcp-fb:* ccm fir",
    "extmap:4096/sendonly urn:example:ext one",
    "rid:hi send pt=96,97;max-width=1280",
    "simulcast:send hi;mid,~lo recv 1",
    "sctp-port:5000",
    "max-message-size:262144",
    "sctpmap:5000 webrtc-datachannel 1024",
    "ptime:20",
    "maxptime:60",
    "framerate:29.97",
    "label:12",
    "lang:de",
    "charset:ISO-8859-1",
    "tool:a tool",
];

/// One change to the bytes of a description.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Damage {
    /// Replaces a byte.
    Byte(Index, u8),
    /// Inserts bytes.
    Insert(Index, Vec<u8>),
    /// Removes the end.
    Truncate(Index),
    /// Removes a line.
    Remove(Index),
    /// Appends a copy of a line at the end.
    Duplicate(Index),
    /// Swaps two lines.
    Swap(Index, Index),
    /// Replaces the ending of a line.
    Ending(Index, &'static [u8]),
    /// Replaces the first byte of a line: the letter of its kind.
    Letter(Index, u8),
}

impl Damage {
    /// Applies the damage. An empty text is not changed.
    pub fn apply(&self, text: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        match self {
            Self::Byte(at, byte) => drop(text.splice(nth(at, text.len()), [*byte])),
            Self::Insert(at, bytes) => {
                let at = at.index(text.len() + 1);
                drop(text.splice(at..at, bytes.iter().copied()));
            }
            Self::Truncate(at) => text.truncate(at.index(text.len() + 1)),
            Self::Remove(at) => by_line(text, |lines| drop(lines.remove(at.index(lines.len())))),
            Self::Duplicate(at) => by_line(text, |lines| {
                let again = lines.get(at.index(lines.len())).cloned();
                lines.extend(again);
            }),
            Self::Swap(one, other) => by_line(text, |lines| {
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
            }),
            Self::Ending(at, ending) => by_line(text, |lines| {
                let at = at.index(lines.len());
                if let Some(line) = lines.get_mut(at) {
                    let length = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
                    line.truncate(length);
                    line.extend_from_slice(ending);
                }
            }),
            Self::Letter(at, letter) => by_line(text, |lines| {
                let at = at.index(lines.len());
                if let Some(first) = lines.get_mut(at).and_then(|line| line.first_mut()) {
                    *first = *letter;
                }
            }),
        }
    }
}

fn nth(at: &Index, length: usize) -> core::ops::RangeInclusive<usize> {
    let at = at.index(length);
    at..=at
}

/// Applies `change` to the list of lines. Each line includes its ending.
fn by_line(text: &mut Vec<u8>, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if !lines.is_empty() {
        change(&mut lines);
    }
    *text = lines.concat();
}

/// Descriptions with one to three damages.
pub fn nearly_valid(sessions: impl Strategy<Value = Vec<u8>> + 'static) -> BoxedStrategy<Vec<u8>> {
    (sessions, prop::collection::vec(damage(), 1..=3))
        .prop_map(|(mut text, damages)| {
            damages.iter().for_each(|damage| damage.apply(&mut text));
            text
        })
        .boxed()
}

/// Any single damage.
pub fn damage() -> BoxedStrategy<Damage> {
    let at = any::<Index>;
    let byte = || prop_oneof![select(b"\r\n\0= :/;,.-0".to_vec()), any::<u8>()];
    prop_oneof![
        4 => (at(), byte()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        2 => (at(), prop::collection::vec(byte(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => at().prop_map(Damage::Truncate),
        2 => at().prop_map(Damage::Remove),
        2 => at().prop_map(Damage::Duplicate),
        2 => (at(), at()).prop_map(|(one, other)| Damage::Swap(one, other)),
        2 => (at(), select(vec![&b""[..], b"\r", b"\n", b"\r\n\r\n", b"\r\r\n"]))
            .prop_map(|(at, ending)| Damage::Ending(at, ending)),
        1 => (at(), select(b"vosiuepcbtrzkamxV\0".to_vec())).prop_map(|(at, letter)| Damage::Letter(at, letter)),
    ]
    .boxed()
}
