//! Mutations on whole lines of a description, so that what is behind a line's first bytes is reached too.

use super::{Dice, Plain, put};
use crate::seeds::LINES;

/// Mutates a description; returns how many bytes count.
pub fn session(bytes: &mut [u8], size: usize, most: usize, seed: u32, plain: Plain) -> usize {
    let mut dice = Dice::new(seed);
    if dice.below(4) == 0 {
        return plain(bytes, size, most);
    }
    let mut lines: Vec<Vec<u8>> = bytes[..size].split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..=dice.below(3) {
        step(&mut lines, &mut dice, plain);
    }
    let mut whole = lines.concat();
    whole.truncate(most);
    put(&whole, bytes)
}

/// One step: a line more, a line less, two exchanged, one changed in its value, or one that ends otherwise.
fn step(lines: &mut Vec<Vec<u8>>, dice: &mut Dice, plain: Plain) {
    let nth = dice.below(lines.len().max(1));
    match dice.below(8) {
        0 if !lines.is_empty() => drop(lines.remove(nth)),
        1 if !lines.is_empty() => {
            let other = dice.below(lines.len());
            lines.swap(nth, other);
        }
        2 if !lines.is_empty() => {
            let line = &mut lines[nth];
            while line.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                line.pop();
            }
            line.extend([&b"\r\n"[..], b"\r\n", b"\n", b"\r", b"", b"\r\r\n"][dice.below(6)]);
        }
        3..=5 if !lines.is_empty() => change(&mut lines[nth], dice, plain),
        _ => {
            let known = LINES[dice.word() % LINES.len()];
            lines.insert(nth, [known.as_bytes(), b"\r\n"].concat());
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
    let is_edge = |byte: &u8| matches!(byte, b' ' | b':' | b';' | b'/' | b'=' | b',');
    let edges: Vec<usize> = (0..line.len()).filter(|at| is_edge(&line[*at])).collect();
    match (dice.below(3), edges.is_empty()) {
        (0 | 1, false) => {
            let nth = dice.below(edges.len());
            let (start, end) = (edges[nth] + 1, edges.get(nth + 1).copied().unwrap_or(line.len()));
            let donor = LINES[dice.word() % LINES.len()];
            let words: Vec<&str> = donor.split([' ', ':', ';', '/', '=', ',']).collect();
            let word = match dice.below(3) {
                0 => NUMBERS[dice.below(NUMBERS.len())],
                _ => words[dice.below(words.len())],
            };
            line.splice(start..end.max(start), word.bytes());
        }
        _ => {
            let size = line.len();
            line.resize(size + 16, 0);
            let changed = plain(line, size, size + 16);
            line.truncate(changed);
        }
    }
    line.extend(ending);
}
