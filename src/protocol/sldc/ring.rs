//! A literal implementation of the standard as an oracle for tests and fuzzing: a ring of
//! 1024 bytes, one bit and one byte at a time.

use super::{Error, HISTORY};

pub(crate) fn decode(data: &[u8], cap: usize) -> Result<Vec<u8>, Error> {
    let bits = data
        .iter()
        .flat_map(|b| (0..8).rev().map(move |i| b >> i & 1));
    let bits: Vec<u8> = bits.collect();
    let (mut at, mut out) = (0, Vec::new());
    let (mut ring, mut place, mut scheme) = ([0; HISTORY], 0, 0);
    let number = |at: usize, width: usize| {
        let bits = bits.get(at..at + width);
        bits.map(|b| b.iter().fold(0, |n, bit| n << 1 | usize::from(*bit)))
    };
    loop {
        let truncated = Error::Truncated { bit: at };
        let mut bytes = Vec::new();
        if number(at, 9) == Some(0x1ff) {
            let code = number(at + 9, 4).ok_or(truncated)?;
            match code {
                1 | 2 => scheme = code,
                5 | 6 => (ring, place, scheme) = ([0; HISTORY], 0, code - 4),
                4 => match next_record(data, &bits, at + 13) {
                    Some(next) => {
                        (at, scheme) = (next, 0);
                        continue;
                    }
                    None => {
                        at += 13;
                        break;
                    }
                },
                0 | 3 | 15 => {}
                _ => {
                    let code = u8::try_from(code).unwrap();
                    return Err(Error::Reserved { code, bit: at });
                }
            }
            at += 13;
        } else if scheme == 2 {
            let byte = number(at, 8).ok_or(truncated)?;
            at += 8;
            if byte == 0xff {
                number(at, 1).ok_or(truncated)?;
                at += 1;
            }
            bytes.push(byte);
        } else if number(at, 1) == Some(0) {
            bytes.push(number(at, 9).ok_or(truncated)?);
            at += 9;
        } else {
            let ones = |n: usize| number(at + 1, n) == Some((1 << n) - 1);
            let (width, free) = match (1..=4).take_while(|n| ones(*n)).count() {
                4 => (13, 8),
                ones => (2 * ones + 3, ones + 1),
            };
            let base = if free == 8 { 32 } else { 1 << free };
            let count = number(at + width - free, free).ok_or(truncated)? + base;
            let from = number(at + width, 10).ok_or(truncated)?;
            at += width + 10;
            bytes.extend((0..count).map(|i| from + i + HISTORY));
        }
        for byte in bytes {
            let byte = if byte >= HISTORY {
                ring[byte % HISTORY]
            } else {
                u8::try_from(byte).unwrap()
            };
            ring[place % HISTORY] = byte;
            place += 1;
            out.push(byte);
        }
        if out.len() > cap {
            return Err(Error::TooLong { cap });
        }
    }
    let after = data.get(at.div_ceil(8)..).unwrap_or_default();
    let is_padded = (at..at.next_multiple_of(8)).all(|at| number(at, 1) == Some(0));
    let trailer = match *after {
        [0xff, 0x80..=0xff, _, _] | [0, 0xff, 0x80..=0xff, _, _] => None,
        [0, 0, 0, 0] | [0, 0, 0, 0, 0] => None,
        [a, b, c, d] | [0, a, b, c, d] if is_padded => Some(u32::from_le_bytes([a, b, c, d])),
        _ => None,
    };
    match trailer {
        Some(declared) if usize::try_from(declared) != Ok(out.len()) => Err(Error::WrongLength {
            declared,
            actual: out.len(),
        }),
        _ => Ok(out),
    }
}

/// Bit offset of the record that follows the one ending at `end`, if there is one.
fn next_record(data: &[u8], bits: &[u8], end: usize) -> Option<usize> {
    let aligned = end.next_multiple_of(8);
    let after = data.get(aligned / 8..)?;
    if after.len() <= 5 {
        return None;
    }
    let start = if bits.get(end..aligned)?.iter().all(|bit| *bit == 0) {
        aligned + 8 * after.iter().take_while(|byte| **byte == 0).count()
    } else {
        end
    };
    let mut symbols = bits.get(start..)?.chunks_exact(13);
    let scheme = symbols.find(|symbol| {
        !matches!(symbol, [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
            && !matches!(symbol, [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1])
    })?;
    let (prefix, code) = scheme.split_at(9);
    let begins = [[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 1], [0, 1, 1, 0]];
    let is_control = prefix.iter().all(|bit| *bit == 1);
    (is_control && begins.iter().any(|begin| begin == code)).then_some(start)
}
