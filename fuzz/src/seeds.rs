//! The first corpus: made of the RFCs' own messages, of what the writer writes, and of runs by the dice.

mod sessions;

pub use sessions::LINES;

use crate::mutate::{Dice, PASSWORD};
use crate::targets::{self, sdp_people};
use portolan_stun::{Attribute, AttributeType, ChangeRequest, Class, ErrorCode, IntegrityKey, Message, Method, Writer};

/// How many runs of each machine are seeded.
const RUNS: usize = 48;

/// The seeds of a target, by its name; none for a name that nobody has.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "stun_decode" | "stun_differential" => with_broken([messages(), of_each_attribute()].concat()),
        "explain" => with_broken([messages(), of_each_attribute(), channel_data()].concat()),
        "stun_write" => messages().into_iter().map(|message| [&[4, 0, 0, 7, 0, 1][..], &message].concat()).collect(),
        "stun_framing" => with_broken(streams()),
        "stun_uri" => URIS.iter().map(|uri| uri.as_bytes().to_vec()).collect(),
        "sdp_read" | "sdp_typed" | "sdp_answer" | "sdp_differential" => with_broken(sessions::all()),
        "sdp_people" => with_heads(with_broken(sessions::all())),
        "sdp_candidate" => with_broken(sessions::candidates()),
        "transactions" | "responder" | "audit" | "discovery" | "lifetime" | "translator" => runs(target),
        _ => Vec::new(),
    }
}

/// What a target takes of a description that somebody collected.
pub fn collected(target: &str, description: &[u8]) -> Vec<Vec<u8>> {
    match target {
        "sdp_candidate" => sessions::candidates_of(description),
        "sdp_people" => with_heads(sessions::parts(description)),
        _ => sessions::parts(description),
    }
}

/// Each behind bytes that say how it is edited.
fn with_heads(mut all: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut dice = Dice::new(11);
    for whole in &mut all {
        whole.splice(..0, (0..sdp_people::HEAD).map(|_| dice.byte()));
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

/// One message of each kind that peers send.
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

/// Streams of STUN and ChannelData, broken in two at some place.
fn streams() -> Vec<Vec<u8>> {
    let channel = [0x40, 0x01, 0x00, 0x03, b'a', b'b', b'c', 0];
    let broken = |(nth, message): (usize, Vec<u8>)| {
        let at = u8::try_from(nth * 7 % 200).unwrap_or_default();
        [&[at][..], &channel, &message, &channel].concat()
    };
    messages().into_iter().enumerate().map(broken).collect()
}

/// Each message through a channel: as it is, padded, and with a byte behind.
fn channel_data() -> Vec<Vec<u8>> {
    let through = |(nth, mut message): (usize, Vec<u8>)| {
        // Data of every length modulo four, as applications have it.
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
    messages().into_iter().enumerate().map(through).collect()
}

/// One message for each known attribute and length that is well-formed; the closing ones are written elsewhere.
fn of_each_attribute() -> Vec<Vec<u8>> {
    let mut made = Vec::new();
    for kind in AttributeType::KNOWN {
        for length in [0_u8, 1, 2, 4, 5, 8, 16, 20, 32] {
            // Family or, in a list, length stand in the second byte; a class of errors in the third.
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
            let fine = Message::decode(&message).is_ok_and(|message| message.attributes().all(|read| read.is_ok()));
            if fine && *kind != AttributeType::FINGERPRINT {
                made.push(message);
            }
        }
    }
    made
}

/// The same, and a fifth as many with a byte changed.
fn with_broken(mut whole: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut dice = Dice::new(7);
    let broken = whole.iter().step_by(5).cloned().map(|mut bytes| {
        let at = dice.below(bytes.len());
        bytes[at] ^= 1 << (dice.byte() & 7);
        bytes
    });
    let broken: Vec<_> = broken.collect();
    whole.extend(broken);
    whole
}

/// Runs by the dice in which something happens, and a quarter as many whatever they are.
fn runs(target: &str) -> Vec<Vec<u8>> {
    let Some((_, run)) = targets::ALL.into_iter().find(|(name, _)| *name == target) else { return Vec::new() };
    let mut dice = Dice::new(0x5eed);
    let (mut lively, mut others) = (Vec::new(), Vec::new());
    while lively.len() < RUNS {
        let length = 24 + usize::from(dice.byte());
        let bytes: Vec<u8> = (0..length).map(|_| dice.byte()).collect();
        if run(&bytes) {
            lively.push(bytes);
        } else if others.len() < RUNS / 4 {
            others.push(bytes);
        }
    }
    lively.append(&mut others);
    lively
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_half_of_the_seeds_of_each_target_get_past_the_front_door() {
        for (target, run) in targets::ALL {
            let seeds = of(target);
            let inside = seeds.iter().filter(|seed| run(seed)).count();
            assert!(inside >= 12 && inside * 2 >= seeds.len(), "{target}: {inside} of {}", seeds.len());
        }
    }
}
