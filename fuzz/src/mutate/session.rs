//! Mutations of whole lines of a description. They keep the start of each line, so that the parsers of the values
//! run.

use super::{Plain, Rng, put};
use crate::seeds::LINES;
use std::borrow::Cow;

/// Mutates a description and returns its size.
pub fn session(bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    let mut rng = Rng::new(seed);
    if rng.below(4) == 0 {
        return plain(bytes, size, most);
    }
    let before = bytes[..size].to_vec();
    let mut lines: Vec<Cow<'_, [u8]>> = before.split_inclusive(|byte| *byte == b'\n').map(Cow::Borrowed).collect();
    for _ in 0..=rng.below(3) {
        step(&mut lines, &mut rng, plain);
    }
    let mut whole = lines.concat();
    whole.truncate(most);
    put(&whole, bytes)
}

/// Mutates a description behind `head` other bytes and returns the size of both.
pub fn session_after(head: usize, bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    match (bytes.get_mut(head..), size.checked_sub(head), most.checked_sub(head)) {
        (Some(after), Some(size), Some(most)) if !seed.is_multiple_of(4) => {
            head + session(after, size, most, seed / 4, plain)
        }
        _ => plain(bytes, size, most),
    }
}

/// Mutates a text of one line, such as a candidate, and returns its size.
pub fn line(bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    let mut rng = Rng::new(seed);
    if rng.below(4) == 0 {
        return plain(bytes, size, most);
    }
    let mut whole = bytes[..size].to_vec();
    for _ in 0..=rng.below(3) {
        match rng.below(3) {
            0 => whole = words(&whole, &mut rng),
            _ => change(&mut whole, &mut rng, plain),
        }
    }
    whole.truncate(most);
    put(&whole, bytes)
}

/// Removes, swaps or repeats words of a line.
fn words(line: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let (nth, other) = (rng.below(words.len()), rng.below(words.len()));
    match rng.below(4) {
        0 => drop(words.remove(nth)),
        1 => words.swap(nth, other),
        2 => words.insert(nth, words[other]),
        _ => words.push(words[other]),
    }
    words.join(&b' ')
}

/// Adds, removes or swaps lines, or changes the value or the ending of a line.
fn step(lines: &mut Vec<Cow<'_, [u8]>>, rng: &mut Rng, plain: Plain) {
    let nth = rng.below(lines.len().max(1));
    match rng.below(8) {
        0 if !lines.is_empty() => drop(lines.remove(nth)),
        1 if !lines.is_empty() => {
            let other = rng.below(lines.len());
            lines.swap(nth, other);
        }
        2 if !lines.is_empty() => {
            let line = lines[nth].to_mut();
            while line.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                line.pop();
            }
            line.extend([&b"\r\n"[..], b"\r\n", b"\n", b"\r", b"", b"\r\r\n"][rng.below(6)]);
        }
        3..=5 if !lines.is_empty() => change(lines[nth].to_mut(), rng, plain),
        _ => {
            let known = LINES[rng.word() % LINES.len()];
            lines.insert(nth, Cow::Owned([known.as_bytes(), b"\r\n"].concat()));
        }
    }
}

/// Replaces a word of a line by a boundary number or by a word of another line, or applies the mutation of libFuzzer.
fn change(line: &mut Vec<u8>, rng: &mut Rng, plain: Plain) {
    const NUMBERS: [&str; 12] = [
        "0",
        "1",
        "255",
        "256",
        "65535",
        "65536",
        "4294967295",
        "4294967296",
        "2147483647",
        "18446744073709551615",
        "18446744073709551616",
        "007",
    ];
    let ending = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
    let ending = line.split_off(ending);
    let separators = line.iter().filter(|byte| is_separator(**byte)).count();
    if separators > 0 && rng.below(3) < 2 {
        let mut positions = (0..line.len()).filter(|at| is_separator(line[*at])).skip(rng.below(separators));
        let start = positions.next().map_or(0, |at| at + 1);
        let end = positions.next().unwrap_or(line.len());
        let donor = LINES[rng.word() % LINES.len()].as_bytes();
        let word = match rng.below(3) {
            0 => NUMBERS[rng.below(NUMBERS.len())].as_bytes(),
            _ => {
                let words = 1 + donor.iter().filter(|byte| is_separator(**byte)).count();
                donor.split(|byte| is_separator(*byte)).nth(rng.below(words)).unwrap_or_default()
            }
        };
        line.splice(start..end, word.iter().copied());
    } else {
        let size = line.len();
        line.resize(size + 16, 0);
        let changed = plain(line, size, size + 16);
        line.truncate(changed);
    }
    line.extend(ending);
}

/// Whether a byte separates words.
const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b':' | b';' | b'/' | b'=' | b',')
}
