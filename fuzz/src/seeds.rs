//! The first corpus: messages with known values, messages of the writer, and random runs.

mod sessions;

pub use sessions::LINES;

use crate::mutate::{PASSWORD, Rng};
use crate::targets::{self, sdp_people};
use portolan_stun::{Attribute, AttributeType, ChangeRequest, Class, ErrorCode, IntegrityKey, Message, Method, Writer};

/// The number of accepted runs in the first corpus of each machine.
const RUNS: usize = 48;

/// Returns the seeds of the target with this name; no seeds if there is no such target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "stun_decode" | "stun_differential" => with_changed([messages(), of_each_attribute()].concat()),
        "explain" => with_changed([messages(), of_each_attribute(), channel_data()].concat()),
        "stun_write" => messages().into_iter().map(|message| [&[4, 0, 0, 7, 0, 1][..], &message].concat()).collect(),
        "stun_framing" => with_changed(streams()),
        "stun_uri" => URIS.iter().map(|uri| uri.as_bytes().to_vec()).collect(),
        "sdp_read" | "sdp_typed" | "sdp_answer" | "sdp_differential" => with_changed(sessions::all()),
        "sdp_people" => with_heads(with_changed(sessions::all())),
        "sdp_candidate" => with_changed(sessions::candidates()),
        "transactions" | "responder" | "audit" | "discovery" | "lifetime" | "translator" | "turn_server"
        | "turn_client" | "turn_audit" | "rendezvous" | "punch" | "ice_agent" | "ice_pair" => runs(target),
        _ => Vec::new(),
    }
}

/// Returns the parts of a collected description that are seeds of a target.
pub fn collected(target: &str, description: &[u8]) -> Vec<Vec<u8>> {
    match target {
        "sdp_candidate" => sessions::candidates_of(description),
        "sdp_people" => with_heads(sessions::parts(description)),
        _ => sessions::parts(description),
    }
}

/// Puts random bytes before each seed, which select the edits.
fn with_heads(mut all: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(11);
    for whole in &mut all {
        whole.splice(..0, (0..sdp_people::HEAD).map(|_| rng.byte()));
    }
    all
}

const URIS: [&str; 15] = [
    "stun:example.org",
    "stuns:[::1]:443",
    "turn:192.0.2.1",
    "turns:example.org?transport=a-b.c",
    "turn:[2001:db8:1:2:3:4:5:6]:1",
    "stuns:example.org:5348",
    "stun:192.0.2.1:3479",
    "turn:example.org:3478?transport=udp",
    "turns:[2001:db8::1]:5350?transport=tcp",
    "turn:%41.example?transport=sctp",
    "TURN:Example.ORG?Transport=TCP",
    "stun:a-b_c~d.e!f$g&h",
    "stun:",
    "http://example.org",
    "turn:example.org:0",
];

/// Messages of typical peers, each with four kinds of closing attributes.
fn messages() -> Vec<Vec<u8>> {
    let key = IntegrityKey::short_term(PASSWORD);
    let four = "192.0.2.1:32853".parse().expect("an address");
    let six = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().expect("an address");
    let lists: [(Class, &[Attribute<'_>]); 8] = [
        (Class::Request, &[]),
        (Class::Request, &[Attribute::ChangeRequest(ChangeRequest::IP_AND_PORT), Attribute::ResponsePort(4000)]),
        (
            Class::Request,
            &[
                Attribute::Username("evtj:h6vY".into()),
                Attribute::Priority(0x6e00_01ff),
                Attribute::IceControlling(0x932f_f9b1_5126_3b36),
                Attribute::UseCandidate,
            ],
        ),
        (Class::SuccessResponse, &[Attribute::XorMappedAddress(four), Attribute::Software("test vector".into())]),
        (
            Class::SuccessResponse,
            &[
                Attribute::XorMappedAddress(six),
                Attribute::ResponseOrigin(four),
                Attribute::OtherAddress(six),
                Attribute::XorRelayedAddress(four),
                Attribute::Lifetime(600),
            ],
        ),
        (
            Class::ErrorResponse,
            &[
                Attribute::ErrorCode(ErrorCode::recommended(401).expect("401 has a phrase")),
                Attribute::Realm("example.org".into()),
                Attribute::Nonce("f//499k954d6OL34oL9FSTvy64sA".into()),
            ],
        ),
        (Class::Indication, &[Attribute::XorPeerAddress(four), Attribute::Data(b"seven..")]),
        (Class::Request, &[Attribute::Software("one".into()), Attribute::Software("two".into())]),
    ];
    let mut made = Vec::new();
    for (nth, (class, list)) in lists.into_iter().enumerate() {
        for ending in 0..4 {
            let mut buffer = [0; 512];
            let id = [u8::try_from(nth).unwrap_or_default(); 12].into();
            let mut writer = Writer::new(&mut buffer, class, Method::BINDING, id).expect("room");
            list.iter().for_each(|attribute| writer.add(attribute).expect("room"));
            made.push(match ending {
                0 => writer.finish().to_vec(),
                1 => writer.fingerprint().expect("room").finish().to_vec(),
                2 => {
                    let signed = writer.message_integrity(&key).expect("room");
                    signed.fingerprint().expect("room").finish().to_vec()
                }
                _ => {
                    let signed = writer.message_integrity_sha256(&key).expect("room");
                    signed.fingerprint().expect("room").finish().to_vec()
                }
            });
        }
    }
    debug_assert!(made.iter().all(|bytes| Message::decode(bytes).is_ok()));
    made
}

/// Streams of STUN and ChannelData. The first byte of a seed is the offset at which the target splits the stream.
fn streams() -> Vec<Vec<u8>> {
    let channel = [0x40, 0x01, 0x00, 0x03, b'a', b'b', b'c', 0];
    let split = |(nth, message): (usize, Vec<u8>)| {
        let at = u8::try_from(nth * 7 % 200).unwrap_or_default();
        [&[at][..], &channel, &message, &channel].concat()
    };
    messages().into_iter().enumerate().map(split).collect()
}

/// Each message in ChannelData: without padding, with padding, or with an extra byte after the padding.
fn channel_data() -> Vec<Vec<u8>> {
    let wrap = |(nth, mut message): (usize, Vec<u8>)| {
        // The data has every length modulo four.
        message.truncate(message.len() - nth % 4);
        let [high, low] = u16::try_from(message.len()).unwrap_or_default().to_be_bytes();
        let mut bytes = [&[0x40, 0x01, high, low][..], &message].concat();
        match nth % 3 {
            0 => {}
            1 => bytes.resize(bytes.len().next_multiple_of(4), 0),
            _ => bytes.resize(bytes.len().next_multiple_of(4) + 1, 0xee),
        }
        bytes
    };
    messages().into_iter().enumerate().map(wrap).collect()
}

/// One message for each known attribute and each of its well-formed lengths, without FINGERPRINT.
fn of_each_attribute() -> Vec<Vec<u8>> {
    let mut made = Vec::new();
    for kind in AttributeType::KNOWN {
        for length in [0_u8, 1, 2, 4, 5, 8, 16, 20, 32] {
            // The second byte is the family of an address, or a length in a list. The third byte is the class of an
            // error code.
            let family = if length == 20 { 2 } else { 1 };
            let value = (0..length).map(|at| match at {
                0 | 3 => 0,
                1 => family,
                2 => 4,
                at => at,
            });
            let value: Vec<u8> = value.collect();
            let padded = length.next_multiple_of(4);
            let mut message = vec![0x01, 0x01, 0, padded + 4, 0x21, 0x12, 0xa4, 0x42];
            message.extend([length; 12]);
            message.extend(kind.number().to_be_bytes());
            message.extend([0, length]);
            message.extend(&value);
            message.resize(24 + usize::from(padded), 0);
            let is_valid = Message::decode(&message).is_ok_and(|message| message.attributes().all(|read| read.is_ok()));
            if is_valid && *kind != AttributeType::FINGERPRINT {
                made.push(message);
            }
        }
    }
    made
}

/// Adds a copy of every fifth seed with one bit changed.
fn with_changed(mut whole: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(7);
    let changed = whole.iter().step_by(5).cloned().map(|mut bytes| {
        let at = rng.below(bytes.len());
        bytes[at] ^= 1 << (rng.byte() & 7);
        bytes
    });
    let changed: Vec<_> = changed.collect();
    whole.extend(changed);
    whole
}

/// Random inputs that the target accepts, and at most a quarter as many that it does not accept.
fn runs(target: &str) -> Vec<Vec<u8>> {
    let Some((_, run)) = targets::ALL.into_iter().find(|(name, _)| *name == target) else { return Vec::new() };
    let mut rng = Rng::new(0x5eed);
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    while accepted.len() < RUNS {
        let length = 24 + usize::from(rng.byte());
        let bytes: Vec<u8> = (0..length).map(|_| rng.byte()).collect();
        if run(&bytes) {
            accepted.push(bytes);
        } else if refused.len() < RUNS / 4 {
            refused.push(bytes);
        }
    }
    accepted.append(&mut refused);
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_accepts_at_least_half_of_its_seeds() {
        for (target, run) in targets::ALL {
            let seeds = of(target);
            let accepted = seeds.iter().filter(|seed| run(seed)).count();
            assert!(accepted >= 12 && accepted * 2 >= seeds.len(), "{target}: {accepted} of {}", seeds.len());
        }
    }
}
