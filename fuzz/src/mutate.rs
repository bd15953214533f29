//! Mutations of whole attributes, URI parts and lines, so that the targets accept most mutated inputs.
//!
//! For a message, the mutation of libFuzzer comes first or is left out; steps on whole attributes follow. Then the
//! lengths are repaired and mostly the integrity and the FINGERPRINT are computed again. One message in eight is not
//! repaired. The same seed gives the same result.

mod session;

pub use session::{line, session, session_after};

use portolan_stun::uri::Uri;
use portolan_stun::{AttributeType, HEADER_LEN, IntegrityKey, MAGIC_COOKIE, Message, Writer};

/// The mutation of libFuzzer: the buffer, the size of the input and the maximum size. Returns the new size.
pub type Plain = fn(&mut [u8], usize, usize) -> usize;

/// The password of the integrity of every message here and in the seeds.
pub const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// Mutates a message and returns its size.
pub fn message(bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    let mut rng = Rng::new(seed);
    let mut size = size;
    if rng.below(2) == 0 {
        size = plain(bytes, size, most);
    }
    let mut whole = bytes[..size.min(most)].to_vec();
    if rng.below(8) == 0 {
        return put(&whole, bytes);
    }
    repair(&mut whole);
    for _ in 0..rng.below(3) {
        rearrange(&mut whole, most, &mut rng);
    }
    repair(&mut whole);
    if rng.below(3) != 0 {
        whole = with_closing_attributes(&whole, most, &mut rng).unwrap_or(whole);
    }
    put(&whole, bytes)
}

/// Mutates a message behind `head` other bytes and returns the size of both.
pub fn message_after(head: usize, bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    match (bytes.get_mut(head..), size.checked_sub(head), most.checked_sub(head)) {
        (Some(after), Some(size), Some(most)) if !seed.is_multiple_of(4) && size >= HEADER_LEN => {
            head + message(after, size, most, seed / 4, plain)
        }
        _ => plain(bytes, size, most),
    }
}

/// Mutates a URI and returns its size.
pub fn uri(bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    const SCHEMES: [&str; 5] = ["stun:", "stuns:", "turn:", "turns:", "TuRnS:"];
    const HOSTS: [&str; 8] = [
        "example.org",
        "192.0.2.1",
        "[2001:db8::1]",
        "[::ffff:192.0.2.1]",
        "a%41",
        "x!$&'()*+,;=",
        "1.2.3.256",
        "~_-.",
    ];
    const PORTS: [&str; 7] = ["", ":1", ":3478", ":5349", ":65535", ":00080", ":443"];
    const QUERIES: [&str; 6] =
        ["", "?transport=udp", "?transport=tcp", "?transport=sctp", "?TRANSPORT=Udp", "?transport=a-b.c_d~"];
    let mut rng = Rng::new(seed);
    if rng.below(5) == 0 {
        return plain(bytes, size, most);
    }
    let text = String::from_utf8_lossy(&bytes[..size]).into_owned();
    let (scheme, rest) = text.find(':').map_or(("", &text[..]), |at| text.split_at(at + 1));
    let (rest, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
    let end = rest.rfind(']').unwrap_or(0);
    let (host, port) = rest[end..].find(':').map_or((rest, ""), |at| rest.split_at(end + at));
    let mut parts = [scheme.to_owned(), host.to_owned(), port.to_owned(), query.to_owned()];
    let nth = rng.below(parts.len());
    let known: &[&str] = [&SCHEMES[..], &HOSTS, &PORTS, &QUERIES][nth];
    if rng.below(3) != 0 {
        parts[nth] = known[rng.below(known.len())].to_owned();
    } else {
        let mut part = parts[nth].clone().into_bytes();
        let size = part.len();
        part.resize(size + 16, 0);
        let size = plain(&mut part, size, size + 16);
        // A letter replaces a byte that no part of a URI may contain.
        let graphic =
            |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { char::from(b'a' + byte % 26) };
        parts[nth] = part[..size].iter().map(graphic).collect();
    }
    if Uri::parse(&parts.concat()).is_err() && rng.below(4) != 0 {
        // The other parts become valid, so that the changed part decides whether the URI is valid.
        for (other, known) in [&SCHEMES[2..], &HOSTS, &PORTS, &QUERIES].into_iter().enumerate() {
            if other != nth {
                parts[other] = known[rng.below(known.len())].to_owned();
            }
        }
    }
    let whole = parts.concat();
    put(&whole.as_bytes()[..whole.len().min(most)], bytes)
}

fn put(from: &[u8], to: &mut [u8]) -> usize {
    to[..from.len()].copy_from_slice(from);
    from.len()
}

/// Turns any bytes into a message: sets the header and the lengths, and shortens the last attribute to the remaining
/// bytes.
fn repair(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().max(HEADER_LEN) & !3, 0);
    let length = u16::try_from(bytes.len() - HEADER_LEN).expect("a fuzzer's input is short");
    bytes[0] &= 0x3f;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    let mut at = HEADER_LEN;
    while at < bytes.len() {
        let left = bytes.len() - at - 4;
        let announced = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        let length = announced.min(left);
        bytes[at + 2..at + 4].copy_from_slice(&u16::try_from(length).expect("less than announced").to_be_bytes());
        at += 4 + length.next_multiple_of(4);
    }
}

/// Adds, removes, swaps or repeats an attribute of a repaired message, or changes the type of one.
fn rearrange(bytes: &mut Vec<u8>, most: usize, rng: &mut Rng) {
    let mut list: Vec<Vec<u8>> = Vec::new();
    let mut rest = &bytes[HEADER_LEN..];
    while let [_, _, l0, l1, ..] = *rest {
        let (attribute, after) = rest.split_at(4 + usize::from(u16::from_be_bytes([l0, l1])).next_multiple_of(4));
        list.push(attribute.to_vec());
        rest = after;
    }
    let nth = rng.below(list.len().max(1));
    match rng.below(5) {
        0 if !list.is_empty() => drop(list.remove(nth)),
        1 if !list.is_empty() => {
            let other = rng.below(list.len());
            list.swap(nth, other);
        }
        2 if !list.is_empty() => list[nth][..2].copy_from_slice(&kind(rng).to_be_bytes()),
        3 if !list.is_empty() => {
            let again = list[rng.below(list.len())].clone();
            list.insert(nth, again);
        }
        _ => {
            let lengths = [0, 1, 2, 3, 4, 5, 8, 8, 8, 11, 13, 20, 20, 32, 4, rng.below(64)];
            let length = lengths[rng.below(lengths.len())];
            let mut value: Vec<u8> = (0..length).map(|_| rng.byte()).collect();
            if let ([_, family, ..], true) = (&mut value[..], length == 8 || length == 20) {
                *family = if length == 8 { 1 } else { 2 };
            }
            let length = u16::try_from(length).expect("at most 64");
            value.resize(value.len().next_multiple_of(4), 0);
            list.insert(nth, [&kind(rng).to_be_bytes()[..], &length.to_be_bytes(), &value].concat());
        }
    }
    let body = list.concat();
    if HEADER_LEN + body.len() <= most {
        bytes.truncate(HEADER_LEN);
        bytes.extend(body);
    }
}

fn kind(rng: &mut Rng) -> u16 {
    AttributeType::KNOWN[rng.below(AttributeType::KNOWN.len())].number()
}

/// Returns the message with new integrity and FINGERPRINT attributes; `None` if it would be longer than `most`.
fn with_closing_attributes(bytes: &[u8], most: usize, rng: &mut Rng) -> Option<Vec<u8>> {
    let message = Message::decode(bytes).ok()?;
    let mut buffer = vec![0; most];
    let mut writer = Writer::new(&mut buffer, message.class(), message.method(), message.transaction_id()).ok()?;
    for attribute in message.attributes().flatten() {
        // The writer refuses the closing attributes, and attributes that must not be sent.
        let _refused = writer.add(&attribute);
    }
    let key = IntegrityKey::short_term(PASSWORD);
    Some(match rng.below(5) {
        0 => writer.finish().to_vec(),
        1 => writer.fingerprint().ok()?.finish().to_vec(),
        2 => writer.message_integrity(&key).ok()?.finish().to_vec(),
        3 => writer.message_integrity(&key).ok()?.fingerprint().ok()?.finish().to_vec(),
        _ => writer.message_integrity_sha256(&key).ok()?.fingerprint().ok()?.finish().to_vec(),
    })
}

/// A deterministic RNG (xorshift64*).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Returns an RNG with a seed.
    pub const fn new(seed: u32) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Returns a random byte.
    pub fn byte(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let [first, ..] = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes();
        first
    }

    /// Returns a random 16-bit number.
    pub fn word(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    /// Returns a number below `bound`, and below 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{seeds, targets};

    /// Replaces the mutation of libFuzzer: changes one byte and adds two.
    fn plain(bytes: &mut [u8], size: usize, most: usize) -> usize {
        let size = (size + 2).min(most);
        bytes[size / 2] = bytes[size / 2].wrapping_mul(31).wrapping_add(7);
        size
    }

    /// Returns how many of 1000 mutated seeds the target accepts.
    fn accepted(target: &str, mutate: impl Fn(&mut [u8], usize, u32) -> usize) -> usize {
        let (_, run) = targets::ALL.into_iter().find(|(name, _)| *name == target).expect("a target");
        let seeds = seeds::of(target);
        let mutated = |seed: u32| {
            let bytes = &seeds[seed as usize % seeds.len()];
            let mut buffer = [0; 512];
            buffer[..bytes.len()].copy_from_slice(bytes);
            let size = mutate(&mut buffer, bytes.len(), seed);
            run(&buffer[..size])
        };
        (0..1000).filter(|seed| mutated(*seed)).count()
    }

    #[test]
    fn most_but_not_all_mutated_messages_are_valid() {
        let mutated = accepted("stun_decode", |bytes, size, seed| message(bytes, size, 512, seed, plain));
        assert!((800..1000).contains(&mutated), "{mutated} of 1000");
        let valid = accepted("explain", |bytes, size, seed| message(bytes, size, 512, seed, plain));
        assert!((500..900).contains(&valid), "{valid} of 1000");
    }

    #[test]
    fn most_but_not_all_mutated_uris_are_valid() {
        let mutated = accepted("stun_uri", |bytes, size, seed| uri(bytes, size, 512, seed, plain));
        assert!((500..900).contains(&mutated), "{mutated} of 1000");
    }

    #[test]
    fn the_size_is_bounded_and_the_same_seed_gives_the_same_result() {
        for (seed, bytes) in seeds::of("stun_write").iter().cycle().take(500).enumerate() {
            let seed = u32::try_from(seed).expect("few");
            let most = bytes.len() + 5;
            let once = || {
                let mut buffer = bytes.clone();
                buffer.resize(most, 0);
                let size = message_after(6, &mut buffer, bytes.len(), most, seed, plain);
                assert!(size <= most);
                buffer[..size].to_vec()
            };
            assert_eq!(once(), once());
        }
    }
}
