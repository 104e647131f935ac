//! The encoder, for `wecrelay send` and tests; the collector never compresses. Greedy, with
//! one match candidate for each of two key lengths.

use super::{CONTROL_WIDTH, HISTORY, MAX_MATCH, usize_from};

/// Size of each table of last positions; a power of two that fits a small cache.
const SLOTS: usize = 4096;

/// Encodes `text` into one record of scheme 1, with the padding and the appended length of
/// Windows.
#[must_use]
pub fn encode(text: &[u8]) -> Vec<u8> {
    let mut bits = BitWriter::new(text.len() / 2 + 16);
    let mut finder = Finder::new(text);
    bits.control(0b0101);
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let (position, length) = finder.best(at);
        let step = if length >= 2 {
            bits.copy(position, length);
            length
        } else {
            bits.put(u64::from(*byte), 9);
            1
        };
        (at..at + step).for_each(|done| finder.insert(done));
        at += step;
    }
    bits.control(0b0100);
    bits.finish(text.len())
}

/// Finds earlier occurrences of the bytes at a position in the text.
struct Finder<'a> {
    text: &'a [u8],
    /// The latest position, plus one, at which a key of two or six bytes hashed to the
    /// slot; 0 if there is none.
    pairs: Vec<usize>,
    sixes: Vec<usize>,
}

impl<'a> Finder<'a> {
    fn new(text: &'a [u8]) -> Self {
        let (pairs, sixes) = (vec![0; SLOTS], vec![0; SLOTS]);
        Self { text, pairs, sixes }
    }

    /// Start and length in bytes of the longest candidate; length 0 if there is none.
    fn best(&self, at: usize) -> (usize, usize) {
        let six = self.candidate(&self.sixes, at, self.slot::<6>(at));
        let pair = self.candidate(&self.pairs, at, self.slot::<2>(at));
        if pair.1 > six.1 { pair } else { six }
    }

    fn candidate(&self, table: &[usize], at: usize, slot: Option<usize>) -> (usize, usize) {
        let found = slot.and_then(|slot| table.get(slot)).copied();
        match found.and_then(|place| place.checked_sub(1)) {
            Some(place) if at - place < HISTORY => (place, self.common(place, at)),
            _ => (0, 0),
        }
    }

    /// Number of equal bytes at both positions, at most [`MAX_MATCH`]; the ranges may
    /// overlap.
    fn common(&self, place: usize, at: usize) -> usize {
        let earlier = self.text.get(place..).unwrap_or_default();
        let here = self.text.get(at..).unwrap_or_default();
        let pairs = earlier.iter().zip(here).take(MAX_MATCH);
        pairs.take_while(|(a, b)| a == b).count()
    }

    fn insert(&mut self, at: usize) {
        let (six, pair) = (self.slot::<6>(at), self.slot::<2>(at));
        if let Some(entry) = six.and_then(|slot| self.sixes.get_mut(slot)) {
            *entry = at + 1;
        }
        if let Some(entry) = pair.and_then(|slot| self.pairs.get_mut(slot)) {
            *entry = at + 1;
        }
    }

    /// Hash of the `N` bytes at a position; `None` near the end of the text.
    fn slot<const N: usize>(&self, at: usize) -> Option<usize> {
        let key: &[u8; N] = self.text.get(at..)?.first_chunk()?;
        let number = key.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        Some(usize_from(mixed) % SLOTS)
    }
}

struct BitWriter {
    out: Vec<u8>,
    /// The low `filled` bits are not yet in `out`; fewer than eight between calls.
    buffer: u64,
    filled: u32,
}

impl BitWriter {
    fn new(capacity: usize) -> Self {
        Self {
            out: Vec::with_capacity(capacity),
            buffer: 0,
            filled: 0,
        }
    }

    fn put(&mut self, value: u64, width: u32) {
        self.buffer = self.buffer << width | value;
        self.filled += width;
        while self.filled >= 8 {
            self.filled -= 8;
            self.out.push((self.buffer >> self.filled).to_le_bytes()[0]);
        }
    }

    fn control(&mut self, code: u64) {
        self.put(0x1ff << 4 | code, CONTROL_WIDTH);
    }

    /// Appends a copy pointer (ECMA-321); `length` is 2 to 271.
    fn copy(&mut self, place: usize, length: usize) {
        let (prefix, width, base) = match length {
            ..4 => (0b100, 3, 2),
            4..8 => (0b11000, 5, 4),
            8..16 => (0b111_0000, 7, 8),
            16..32 => (0b1_1110_0000, 9, 16),
            _ => (0b1_1111_0000_0000, 13, 32),
        };
        let extra = u64::try_from(length - base).unwrap_or(0);
        let position = u64::try_from(place % HISTORY).unwrap_or(0);
        self.put(prefix | extra, width);
        self.put(position, 10);
    }

    /// Pads to a full byte, and appends a zero byte and the length, as Windows does.
    fn finish(mut self, length: usize) -> Vec<u8> {
        if self.filled > 0 {
            self.put(0, 8 - self.filled);
        }
        self.out.push(0);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.out.extend(length.to_le_bytes());
        self.out
    }
}
