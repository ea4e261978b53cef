//! Changes to an input: a few bytes here, a piece that means something there, a stretch of another input.

use crate::random::Random;

/// The longest input that a change makes. Longer ones are tried on purpose, in [`crate::hostile`].
const LENGTH_MAX: usize = 1 << 16;
/// Pieces that mean something to most readers of text.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"\"",
    b"'",
    b"`",
    b"\\",
    b"/",
    b"//",
    b"..",
    b":",
    b",",
    b"-",
    b"0",
    b"-1",
    b"9223372036854775808",
    b"18446744073709551616",
    b"1e999",
    b"0x10",
    b"{{",
    b"}}",
    b"%00",
    b"%",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b"\x1b[31m",
    b"\xc3\xa9",
    b"\xf0\x9d\x84\x9e",
];

/// Changes an input in one to four places. `other` is another input to borrow from.
pub fn mutate(input: &[u8], other: &[u8], dictionary: &[&str], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let to = (at + random.below(16)).min(bytes.len());
        match random.below(8) {
            0 => drop(bytes.drain(at..to)),
            1 => drop(bytes.splice(at..at, random.pick(PIECES).iter().copied())),
            2 => drop(bytes.splice(at..to, random.pick(PIECES).iter().copied())),
            3 if !dictionary.is_empty() => drop(bytes.splice(at..at, random.pick(dictionary).bytes())),
            4 if !dictionary.is_empty() => drop(bytes.splice(at..to, random.pick(dictionary).bytes())),
            5 => {
                let copy = bytes[at..to].repeat(1 + random.below(40));
                let place = random.below(bytes.len() + 1);
                drop(bytes.splice(place..place, copy));
            }
            6 => {
                let from = random.below(other.len() + 1);
                let end = (from + random.below(80)).min(other.len());
                drop(bytes.splice(at..to, other[from..end].iter().copied()));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    bytes.truncate(LENGTH_MAX);
    bytes
}
