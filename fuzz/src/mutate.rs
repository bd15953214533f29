//! Mutations that know what a message, a URI and a description are made of, so that most of what the fuzzer tries gets past the front door.
//!
//! Rules of this file: the fuzzer's own mutation comes first or is replaced by a step on whole attributes; then the result
//! is mended, or mended and sealed anew, or left as it is: what is broken must be tried too. The same dice give the same
//! result.

mod session;

pub use session::{line, session, session_after};

use portolan_stun::uri::Uri;
use portolan_stun::{AttributeType, HEADER_LEN, IntegrityKey, MAGIC_COOKIE, Message, Writer};

/// The fuzzer's own mutation: the bytes, how many of them count, how many may.
pub type Plain = fn(&mut [u8], usize, usize) -> usize;

/// The key of every message that is signed here and in the seeds.
pub const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// Mutates a message; returns how many bytes count.
pub fn message(bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    let mut dice = Dice::new(seed);
    let mut size = size;
    if dice.below(2) == 0 {
        size = plain(bytes, size, most);
    }
    let mut whole = bytes[..size.min(most)].to_vec();
    if dice.below(8) == 0 {
        return put(&whole, bytes);
    }
    mend(&mut whole);
    for _ in 0..dice.below(3) {
        rearrange(&mut whole, most, &mut dice);
    }
    mend(&mut whole);
    if dice.below(3) != 0 {
        whole = sealed(&whole, most, &mut dice).unwrap_or(whole);
    }
    put(&whole, bytes)
}

/// Mutates a message that stands after `head` bytes of something else.
pub fn message_after(head: usize, bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    match (bytes.get_mut(head..), size.checked_sub(head), most.checked_sub(head)) {
        (Some(after), Some(size), Some(most)) if !seed.is_multiple_of(4) && size >= HEADER_LEN => {
            head + message(after, size, most, seed / 4, plain)
        }
        _ => plain(bytes, size, most),
    }
}

/// Mutates a URI; returns how many bytes count.
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
    let mut dice = Dice::new(seed);
    if dice.below(5) == 0 {
        return plain(bytes, size, most);
    }
    let text = String::from_utf8_lossy(&bytes[..size]).into_owned();
    let (scheme, rest) = text.find(':').map_or(("", &text[..]), |at| text.split_at(at + 1));
    let (rest, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
    let end = rest.rfind(']').unwrap_or(0);
    let (host, port) = rest[end..].find(':').map_or((rest, ""), |at| rest.split_at(end + at));
    let mut parts = [scheme.to_owned(), host.to_owned(), port.to_owned(), query.to_owned()];
    let nth = dice.below(parts.len());
    let known: &[&str] = [&SCHEMES[..], &HOSTS, &PORTS, &QUERIES][nth];
    if dice.below(3) != 0 {
        parts[nth] = known[dice.below(known.len())].to_owned();
    } else {
        let mut part = parts[nth].clone().into_bytes();
        let size = part.len();
        part.resize(size + 16, 0);
        let size = plain(&mut part, size, size + 16);
        // Letters for what no part of a URI may hold.
        let tame = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { char::from(b'a' + byte % 26) };
        parts[nth] = part[..size].iter().map(tame).collect();
    }
    if Uri::parse(&parts.concat()).is_err() && dice.below(4) != 0 {
        // The part that was changed among others that are as they should be.
        for (other, known) in [&SCHEMES[2..], &HOSTS, &PORTS, &QUERIES].into_iter().enumerate() {
            if other != nth {
                parts[other] = known[dice.below(known.len())].to_owned();
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

/// Makes a message of any bytes: header, lengths, and the last attribute cut to what is there.
fn mend(bytes: &mut Vec<u8>) {
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

/// One step on whole attributes of a mended message: one more, one less, two exchanged, one of another type.
fn rearrange(bytes: &mut Vec<u8>, most: usize, dice: &mut Dice) {
    let mut list: Vec<Vec<u8>> = Vec::new();
    let mut rest = &bytes[HEADER_LEN..];
    while let [_, _, l0, l1, ..] = *rest {
        let (attribute, after) = rest.split_at(4 + usize::from(u16::from_be_bytes([l0, l1])).next_multiple_of(4));
        list.push(attribute.to_vec());
        rest = after;
    }
    let nth = dice.below(list.len().max(1));
    match dice.below(5) {
        0 if !list.is_empty() => drop(list.remove(nth)),
        1 if !list.is_empty() => {
            let other = dice.below(list.len());
            list.swap(nth, other);
        }
        2 if !list.is_empty() => list[nth][..2].copy_from_slice(&kind(dice).to_be_bytes()),
        3 if !list.is_empty() => {
            let again = list[dice.below(list.len())].clone();
            list.insert(nth, again);
        }
        _ => {
            let lengths = [0, 1, 2, 3, 4, 5, 8, 8, 8, 11, 13, 20, 20, 32, 4, dice.below(64)];
            let length = lengths[dice.below(lengths.len())];
            let mut value: Vec<u8> = (0..length).map(|_| dice.byte()).collect();
            if let ([_, family, ..], true) = (&mut value[..], length == 8 || length == 20) {
                *family = if length == 8 { 1 } else { 2 };
            }
            let length = u16::try_from(length).expect("at most 64");
            value.resize(value.len().next_multiple_of(4), 0);
            list.insert(nth, [&kind(dice).to_be_bytes()[..], &length.to_be_bytes(), &value].concat());
        }
    }
    let body = list.concat();
    if HEADER_LEN + body.len() <= most {
        bytes.truncate(HEADER_LEN);
        bytes.extend(body);
    }
}

fn kind(dice: &mut Dice) -> u16 {
    AttributeType::KNOWN[dice.below(AttributeType::KNOWN.len())].number()
}

/// The same header and well-formed values with new closing attributes; `None` where that is longer than it may be.
fn sealed(bytes: &[u8], most: usize, dice: &mut Dice) -> Option<Vec<u8>> {
    let message = Message::decode(bytes).ok()?;
    let mut buffer = vec![0; most];
    let mut writer = Writer::new(&mut buffer, message.class(), message.method(), message.transaction_id()).ok()?;
    for attribute in message.attributes().flatten() {
        // The closing ones are refused, as is what was received but may not be sent.
        let _refused = writer.add(&attribute);
    }
    let key = IntegrityKey::short_term(PASSWORD);
    Some(match dice.below(5) {
        0 => writer.finish().to_vec(),
        1 => writer.fingerprint().ok()?.finish().to_vec(),
        2 => writer.message_integrity(&key).ok()?.finish().to_vec(),
        3 => writer.message_integrity(&key).ok()?.fingerprint().ok()?.finish().to_vec(),
        _ => writer.message_integrity_sha256(&key).ok()?.fingerprint().ok()?.finish().to_vec(),
    })
}

/// Xorshift64*: the same numbers every time.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice with a seed.
    pub const fn new(seed: u32) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let [first, ..] = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes();
        first
    }

    /// Two bytes as a number.
    pub fn word(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    /// A number below `bound`, at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{seeds, targets};

    /// In place of the fuzzer's own mutation: a byte is another, and there are two more.
    fn plain(bytes: &mut [u8], size: usize, most: usize) -> usize {
        let size = (size + 2).min(most);
        bytes[size / 2] = bytes[size / 2].wrapping_mul(31).wrapping_add(7);
        size
    }

    fn share(target: &str, mutate: impl Fn(&mut [u8], usize, u32) -> usize) -> usize {
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
    fn most_of_what_is_made_of_messages_are_messages_and_not_all() {
        let mutated = share("stun_decode", |bytes, size, seed| message(bytes, size, 512, seed, plain));
        assert!((800..1000).contains(&mutated), "{mutated} of 1000");
        let sound = share("explain", |bytes, size, seed| message(bytes, size, 512, seed, plain));
        assert!((500..900).contains(&sound), "{sound} of 1000");
    }

    #[test]
    fn most_of_what_is_made_of_uris_are_uris_and_not_all() {
        let mutated = share("stun_uri", |bytes, size, seed| uri(bytes, size, 512, seed, plain));
        assert!((500..900).contains(&mutated), "{mutated} of 1000");
    }

    #[test]
    fn nothing_is_longer_than_it_may_be_and_the_same_dice_make_the_same() {
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
