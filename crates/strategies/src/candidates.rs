//! ICE candidates: every kind of valid candidate, and the text of damaged candidates.
//!
//! * [`candidate`] generates values whose text a strict reader of `a=candidate` accepts.
//! * [`line()`] generates the text of candidates with the prefixes and line endings of trickled candidates.
//! * [`nearly_valid`] generates damaged text.
//!
//! ```
//! use portolan_sdp::candidate::Candidate;
//! use portolan_strategies::candidates;
//! use proptest::prelude::*;
//!
//! proptest!(|(candidate in candidates::candidate())| {
//!     let text = candidate.to_string();
//!     prop_assert_eq!(Candidate::strict(text.as_bytes()), Ok(candidate.borrowed()));
//! });
//! ```

use portolan_sdp::candidate::{Candidate, CandidateAttribute, CandidateType, ConnectionAddress, Extensions, TcpType};
use portolan_sdp::candidate::{Prefix, Transport};
use proptest::prelude::*;
use proptest::sample::select;

/// Candidates of all four types over UDP and TCP, at IPv4, IPv6 and mDNS addresses, with up to three extensions.
pub fn candidate() -> BoxedStrategy<CandidateAttribute> {
    let place = ("[a-zA-Z0-9+/]{1,32}", 1..=256_u16, 1..=0x7fff_ffff_u32, address(), any::<u16>());
    let kind = (select(KINDS.to_vec()), select(TCP_TYPES.to_vec()), related(), any::<u16>());
    let extensions = prop::collection::vec(("[a-z][a-z-]{0,7}", "[!-~]{1,8}"), 0..=3);
    (place, kind, extensions)
        .prop_map(
            |((foundation, component, priority, address, port), (kind, tcp_type, related, related_port), pairs)| {
                let mut extensions = Extensions::new();
                for (name, value) in pairs {
                    // `push` refuses a name that is a field of the candidate.
                    let _refused = extensions.push(&name, &value);
                }
                let is_host = kind == CandidateType::Host;
                Candidate {
                    foundation,
                    component,
                    transport: if tcp_type.is_some() { Transport::Tcp } else { Transport::Udp },
                    priority,
                    address,
                    port: if tcp_type == Some(TcpType::Active) { 9 } else { port },
                    candidate_type: kind.clone(),
                    related: if is_host { None } else { Some((related, related_port)) },
                    tcp_type,
                    extensions,
                }
            },
        )
        .boxed()
}

/// The text of a candidate: bare, with `candidate:` or as an `a=` line, with or without a line ending.
pub fn line() -> BoxedStrategy<String> {
    let prefix = select(vec![Prefix::Bare, Prefix::Name, Prefix::Line]);
    let ending = select(vec!["", "\r\n", "\n"]);
    (prefix, candidate(), ending)
        .prop_map(|(prefix, candidate, ending)| format!("{}{candidate}{ending}", prefix.as_str()))
        .boxed()
}

/// The text of a candidate in which a word is removed, inserted or replaced, or whose end is cut off. The text may
/// still be valid.
pub fn nearly_valid() -> BoxedStrategy<Vec<u8>> {
    let word = prop_oneof![select(WORDS.to_vec()).prop_map(str::to_owned), "[ -~]{0,6}"];
    let at = any::<prop::sample::Index>;
    (line(), at(), 0..4_u8, word, at())
        .prop_map(|(line, at, what, new, end)| {
            let mut words: Vec<&str> = line.split(' ').collect();
            let nth = at.index(words.len());
            match what {
                0 => drop(words.remove(nth)),
                1 => words.insert(nth, &new),
                2 => words.splice(nth..=nth, [new.as_str()]).for_each(drop),
                _ => words.truncate(end.index(words.len() + 1)),
            }
            words.join(" ").into_bytes()
        })
        .boxed()
}

const KINDS: [CandidateType<String>; 4] =
    [CandidateType::Host, CandidateType::ServerReflexive, CandidateType::PeerReflexive, CandidateType::Relayed];

const TCP_TYPES: [Option<TcpType>; 6] =
    [None, None, None, Some(TcpType::Active), Some(TcpType::Passive), Some(TcpType::SimultaneousOpen)];

/// Words at the boundaries of the grammar.
const WORDS: [&str; 16] = [
    "typ",
    "raddr",
    "rport",
    "tcptype",
    "host",
    "0",
    "1",
    "256",
    "257",
    "2147483648",
    "65536",
    "-1",
    "192.0.2.256",
    "2001:db8::1%eth0",
    "",
    "+",
];

/// The connection address of a candidate.
fn address() -> impl Strategy<Value = ConnectionAddress<String>> {
    prop_oneof![
        3 => any::<[u8; 4]>().prop_map(|octets| ConnectionAddress::Ip4(octets.into())),
        2 => any::<u128>().prop_map(|bits| ConnectionAddress::Ip6(bits.into())),
        1 => "[a-f0-9]{8}-[a-f0-9]{4}".prop_map(|name| ConnectionAddress::Name(format!("{name}.local"))),
    ]
}

/// The related address of a candidate: an address, or 0.0.0.0 for a hidden address.
fn related() -> impl Strategy<Value = ConnectionAddress<String>> {
    prop_oneof![2 => address(), 1 => Just(ConnectionAddress::Ip4([0; 4].into()))]
}
