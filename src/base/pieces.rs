//! Appends many short pieces of text to a vector.
//!
//! A message consists of a hundred pieces of about ten bytes. Appending each to a vector costs
//! more than copying it, so they are collected in a block of fixed size, in which whole lanes
//! can be written, and then appended together.

use std::ops::BitOr;

use super::lanes::{BLOCK, ByteClass, any, marks, padded};
use super::wire::{digits, few_digits};

/// Most messages have less structured data than this.
const HELD: usize = 2048;

/// Text to append to a vector, which has all of it only after [`Pieces::flush`].
pub struct Pieces<'o> {
    out: &'o mut Vec<u8>,
    held: [u8; HELD],
    length: usize,
}

impl<'o> Pieces<'o> {
    /// Appends to `out`.
    #[must_use]
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        let held = [0; HELD];
        let length = 0;
        Self { out, held, length }
    }

    /// Length of the vector with all pieces.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len().saturating_add(self.length)
    }

    /// Whether the vector is empty and there are no pieces.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends all pieces, and returns the vector.
    pub fn flush(&mut self) -> &mut Vec<u8> {
        let held = self.held.get(..self.length).unwrap_or_default();
        self.out.extend_from_slice(held);
        self.length = 0;
        self.out
    }

    /// Shortens the vector with all pieces to this length.
    #[inline]
    pub fn truncate(&mut self, length: usize) {
        match length.checked_sub(self.out.len()) {
            Some(held) => self.length = self.length.min(held),
            None => {
                self.out.truncate(length);
                self.length = 0;
            }
        }
    }

    /// Removes the last byte if it is this one.
    #[inline]
    pub fn drop_last(&mut self, byte: u8) {
        let last = self.length.checked_sub(1);
        match last.map(|last| self.held.get(last) == Some(&byte)) {
            Some(true) => self.length -= 1,
            Some(false) => {}
            None if self.out.last() == Some(&byte) => drop(self.out.pop()),
            None => {}
        }
    }

    /// Appends bytes whose number is a constant.
    #[inline(always)]
    pub fn fixed<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.front(bytes, N);
    }

    /// Appends the first `length` of some bytes.
    #[inline(always)]
    pub fn front<const N: usize>(&mut self, bytes: &[u8; N], length: usize) {
        let rest = self.held.get_mut(self.length..);
        match rest.and_then(|rest| rest.first_chunk_mut()) {
            Some(place) => {
                *place = *bytes;
                self.length += length.min(N);
            }
            None => self.beyond(bytes.get(..length).unwrap_or(bytes)),
        }
    }

    /// Appends bytes of any number.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let rest = self.held.get_mut(self.length..);
        match rest.and_then(|rest| rest.get_mut(..bytes.len())) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.beyond(bytes),
        }
    }

    /// Appends a number in decimal.
    pub fn number(&mut self, number: u64) {
        if let Some((digits, length)) = few_digits(number) {
            self.front(&digits, length);
        } else {
            let (digits, start) = digits(number);
            self.bytes(digits.get(start..).unwrap_or_default());
        }
    }

    /// Appends a number of at most three digits.
    #[inline(always)]
    pub fn octet(&mut self, number: u8) {
        let digit = |number: u8| b'0' + number % 10;
        let (tens, ones) = (digit(number / 10), digit(number));
        match number {
            0..10 => self.fixed(&[ones]),
            10..100 => self.fixed(&[tens, ones]),
            100.. => self.fixed(&[b'0' + number / 100, tens, ones]),
        }
    }

    /// Appends bytes for which there is no room in the block.
    #[cold]
    fn beyond(&mut self, bytes: &[u8]) {
        self.flush().extend_from_slice(bytes);
    }

    /// Appends a text if none of its bytes is in the class, which must not contain `0`; returns
    /// whether it did. It is fastest for a short part of `whole` that does not end it: then whole
    /// blocks can be read.
    #[inline(always)]
    pub fn part(&mut self, whole: &str, text: &str, class: impl ByteClass) -> bool {
        let from = from(whole, text);
        if text.len() <= BLOCK
            && let Some(bytes) = from.first_chunk::<BLOCK>()
        {
            let bits = marks(bytes, class).bits() & below(text.len());
            return self.front_if(bits == 0, bytes, text.len());
        }
        if text.len() <= 2 * BLOCK
            && let Some(bytes) = from.first_chunk::<{ 2 * BLOCK }>()
        {
            let [first, second] = halves(bytes);
            let bits = marks(second, class).bits() & below(text.len() - BLOCK);
            let bits = marks(first, class).bits() | bits;
            return self.front_if(bits == 0, bytes, text.len());
        }
        self.long(from, text.as_bytes(), class)
    }

    #[inline(always)]
    fn front_if<const N: usize>(
        &mut self,
        condition: bool,
        bytes: &[u8; N],
        length: usize,
    ) -> bool {
        if condition {
            self.front(bytes, length);
        }
        condition
    }

    /// Appends the first `length` bytes of a block, up to the first one in the class; returns how
    /// many.
    #[inline(always)]
    pub fn until(&mut self, block: &[u8; BLOCK], length: usize, class: impl ByteClass) -> usize {
        // Always below 17.
        let end = 1_u32.wrapping_shl(u32::try_from(length).unwrap_or(0));
        let bits = marks(block, class).bits() | end;
        let plain = usize::try_from(bits.trailing_zeros()).unwrap_or(0);
        self.front(block, plain);
        plain
    }

    /// The same for a longer text, which begins `from` if it is a part of the whole text.
    fn long(&mut self, from: &[u8], text: &[u8], class: impl ByteClass) -> bool {
        let Some(bytes) = from.first_chunk::<{ 4 * BLOCK }>() else {
            return self.elsewhere(text, class);
        };
        if text.len() > 4 * BLOCK {
            let is_plain = !any(text, class);
            if is_plain {
                self.bytes(text);
            }
            return is_plain;
        }
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        let mut bits = 0;
        let mut left = text.len();
        for block in blocks {
            bits |= marks(block, class).bits() & below(left.min(BLOCK));
            left = left.saturating_sub(BLOCK);
        }
        self.front_if(bits == 0, bytes, text.len())
    }

    /// The same for a text of which no more may be read.
    fn elsewhere(&mut self, text: &[u8], class: impl ByteClass) -> bool {
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        let last = padded(rest);
        let found = blocks.iter().map(|block| marks(block, class));
        let found = found.fold(marks(&last, class), BitOr::bitor);
        if found.bits() != 0 {
            return false;
        }
        blocks.iter().for_each(|block| self.fixed(block));
        self.front(&last, rest.len());
        true
    }
}

/// The bytes of `whole` from `text` on; none if it is not a part of it.
#[inline(always)]
#[must_use]
pub fn from<'w>(whole: &'w str, text: &str) -> &'w [u8] {
    let start = text.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    whole.as_bytes().get(start..).unwrap_or_default()
}

/// One for each of the first `length` bytes of a block.
#[inline(always)]
fn below(length: usize) -> u32 {
    let above = u32::MAX.wrapping_shl(u32::try_from(length).unwrap_or(0));
    !above
}

#[inline(always)]
fn halves(bytes: &[u8; 2 * BLOCK]) -> [&[u8; BLOCK]; 2] {
    match bytes.as_chunks() {
        ([first, second], _) => [first, second],
        _ => [&[0; BLOCK]; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{Lanes, Mask};
    use super::*;

    #[derive(Clone, Copy)]
    struct Quote;

    impl ByteClass for Quote {
        fn of<L: Lanes>(self, bytes: L) -> L::Mask {
            bytes.is(b'"') | bytes.at_least(0xfe).only_if(false)
        }
    }

    /// Quotes around the text must not count.
    #[test]
    fn parts_are_appended_and_looked_at_wherever_they_are() {
        let text: String = ('a'..='z').cycle().take(100).collect();
        for length in 0..text.len() {
            let text = text.get(..length).unwrap();
            for after in [0, 1, 15, 16, 17, 64, 200] {
                let whole = format!("\"{text}{}", "\"".repeat(after));
                for part in [whole.get(1..=length).unwrap(), text] {
                    let mut out = b"before".to_vec();
                    let mut pieces = Pieces::new(&mut out);
                    assert!(pieces.part(&whole, part, Quote));
                    pieces.fixed(b".");
                    assert_eq!(pieces.len(), length + 7);
                    assert_eq!(*pieces.flush(), format!("before{text}.").as_bytes());
                }
                for at in 0..length {
                    let quoted = [&text[..at], "\"", &text[at + 1..]].concat();
                    let whole = [&*quoted, &"-".repeat(after)].concat();
                    for part in [whole.get(..length).unwrap(), &quoted] {
                        let mut out = Vec::new();
                        let mut pieces = Pieces::new(&mut out);
                        assert!(!pieces.part(&whole, part, Quote) && pieces.is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn a_block_is_appended_up_to_the_first_special_byte() {
        let block = b"0123\"567\"9abcdef";
        for (length, expected) in [(0, 0), (3, 3), (4, 4), (5, 4), (16, 4)] {
            let mut out = Vec::new();
            let mut pieces = Pieces::new(&mut out);
            assert_eq!(pieces.until(block, length, Quote), expected);
            assert_eq!(*pieces.flush(), block.get(..expected).unwrap());
        }
        let mut out = Vec::new();
        assert_eq!(Pieces::new(&mut out).until(&[b'a'; 16], 16, Quote), 16);
    }

    #[test]
    fn more_than_is_held_is_appended_in_order() {
        let mut out = Vec::new();
        let mut expected = Vec::new();
        let mut pieces = Pieces::new(&mut out);
        for number in 0..2000 {
            match u8::try_from(number) {
                Ok(number) => pieces.octet(number),
                Err(_) => pieces.number(number),
            }
            pieces.fixed(b"0123456789abcdef0123456789abcdef");
            pieces.front(b"front", 3);
            let text = "x".repeat(usize::try_from(number).unwrap());
            pieces.part(&text, &text, Quote);
            expected.extend(format!("{number}0123456789abcdef0123456789abcdeffro{text}").bytes());
            assert_eq!(pieces.len(), expected.len());
        }
        assert_eq!(*pieces.flush(), expected);
    }

    #[test]
    fn what_is_held_and_what_is_not_can_be_cut_off() {
        for cut in 0..10 {
            let mut out = b"01234".to_vec();
            let mut pieces = Pieces::new(&mut out);
            pieces.fixed(b"56789");
            pieces.truncate(cut);
            pieces.fixed(b"-");
            assert_eq!(*pieces.flush(), [&b"0123456789"[..cut], b"-"].concat());
        }
    }
}
