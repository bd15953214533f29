//! Mutations on whole lines of a description, so that what is behind a line's first bytes is reached too.

use super::{Dice, Plain, put};
use crate::seeds::LINES;
use std::borrow::Cow;

/// Mutates a description; returns how many bytes count.
pub fn session(bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    let mut dice = Dice::new(seed);
    if dice.below(4) == 0 {
        return plain(bytes, size, most);
    }
    let before = bytes[..size].to_vec();
    let mut lines: Vec<Cow<'_, [u8]>> = before.split_inclusive(|byte| *byte == b'\n').map(Cow::Borrowed).collect();
    for _ in 0..=dice.below(3) {
        step(&mut lines, &mut dice, plain);
    }
    let mut whole = lines.concat();
    whole.truncate(most);
    put(&whole, bytes)
}

/// Mutates a description that stands after `head` bytes of something else.
pub fn session_after(head: usize, bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    match (bytes.get_mut(head..), size.checked_sub(head), most.checked_sub(head)) {
        (Some(after), Some(size), Some(most)) if !seed.is_multiple_of(4) => {
            head + session(after, size, most, seed / 4, plain)
        }
        _ => plain(bytes, size, most),
    }
}

/// Mutates a text that is one line, such as a candidate; returns how many bytes count.
pub fn line(bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    let mut dice = Dice::new(seed);
    if dice.below(4) == 0 {
        return plain(bytes, size, most);
    }
    let mut whole = bytes[..size].to_vec();
    for _ in 0..=dice.below(3) {
        match dice.below(3) {
            0 => whole = words(&whole, &mut dice),
            _ => change(&mut whole, &mut dice, plain),
        }
    }
    whole.truncate(most);
    put(&whole, bytes)
}

/// The line with a word more, a word less, or two exchanged.
fn words(line: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let (nth, other) = (dice.below(words.len()), dice.below(words.len()));
    match dice.below(4) {
        0 => drop(words.remove(nth)),
        1 => words.swap(nth, other),
        2 => words.insert(nth, words[other]),
        _ => words.push(words[other]),
    }
    words.join(&b' ')
}

/// One step: a line more, a line less, two exchanged, one changed in its value, or one that ends otherwise.
fn step(lines: &mut Vec<Cow<'_, [u8]>>, dice: &mut Dice, plain: Plain) {
    let nth = dice.below(lines.len().max(1));
    match dice.below(8) {
        0 if !lines.is_empty() => drop(lines.remove(nth)),
        1 if !lines.is_empty() => {
            let other = dice.below(lines.len());
            lines.swap(nth, other);
        }
        2 if !lines.is_empty() => {
            let line = lines[nth].to_mut();
            while line.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                line.pop();
            }
            line.extend([&b"\r\n"[..], b"\r\n", b"\n", b"\r", b"", b"\r\r\n"][dice.below(6)]);
        }
        3..=5 if !lines.is_empty() => change(lines[nth].to_mut(), dice, plain),
        _ => {
            let known = LINES[dice.word() % LINES.len()];
            lines.insert(nth, Cow::Owned([known.as_bytes(), b"\r\n"].concat()));
        }
    }
}

/// Changes a line behind its head: a word of another line, a number at an edge, or the fuzzer's own.
fn change(line: &mut Vec<u8>, dice: &mut Dice, plain: Plain) {
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
    let edges = line.iter().filter(|byte| is_edge(**byte)).count();
    if edges > 0 && dice.below(3) < 2 {
        let mut edge = (0..line.len()).filter(|at| is_edge(line[*at])).skip(dice.below(edges));
        let start = edge.next().map_or(0, |at| at + 1);
        let end = edge.next().unwrap_or(line.len());
        let donor = LINES[dice.word() % LINES.len()].as_bytes();
        let word = match dice.below(3) {
            0 => NUMBERS[dice.below(NUMBERS.len())].as_bytes(),
            _ => {
                let words = 1 + donor.iter().filter(|byte| is_edge(**byte)).count();
                donor.split(|byte| is_edge(*byte)).nth(dice.below(words)).unwrap_or_default()
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

/// Whether a byte ends a word.
const fn is_edge(byte: u8) -> bool {
    matches!(byte, b' ' | b':' | b';' | b'/' | b'=' | b',')
}
