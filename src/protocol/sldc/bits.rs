//! Reads symbols from the front of the bit stream.

use super::{CONTROL_WIDTH, Error, low_byte, usize_from};

/// Nine ones begin a control symbol in both schemes.
const CONTROL_PREFIX: u64 = 0x1ff << 55;

/// How the bits of a copy pointer are divided, by the four bits after its first one.
#[derive(Clone, Copy)]
struct CountClass {
    /// Number of bits up to the end of the match count.
    width: u32,
    /// Mask of the variable bits of the count, which are the last ones of `width`.
    mask: u64,
    /// Length of the match in bytes if the variable bits are zero.
    base: usize,
}

const fn class(width: u32, mask: u64, base: usize) -> CountClass {
    CountClass { width, mask, base }
}

/// The match counts of ECMA-321, by the leading bits `0`, `10`, `110`, `1110`, `1111`.
const COUNTS: [CountClass; 16] = {
    let (c2, c4, c8) = (class(3, 1, 2), class(5, 3, 4), class(7, 7, 8));
    let (c16, c32) = (class(9, 15, 16), class(13, 255, 32));
    [
        c2, c2, c2, c2, c2, c2, c2, c2, c4, c4, c4, c4, c8, c8, c16, c32,
    ]
};

/// The unread bits: the top `valid` bits of `buffer` come next, then `data`.
///
/// Bits of `buffer` below `valid` are either zero or equal to the following bits of `data`,
/// so that a refill may set them again.
#[derive(Clone)]
pub(super) struct Bits<'a> {
    pub(super) buffer: u64,
    pub(super) valid: u32,
    data: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            buffer: 0,
            valid: 0,
            data,
            whole: data,
        }
    }

    /// Makes at least 56 bits valid, as long as there is input.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if !self.refill_by_word() {
            self.refill_by_bytes();
        }
    }

    /// Makes at least 56 bits valid, unless the input is nearly used up.
    #[inline(always)]
    pub(super) fn refill_by_word(&mut self) -> bool {
        let Some(word) = self.data.first_chunk::<8>() else {
            return false;
        };
        self.buffer |= u64::from_be_bytes(*word) >> self.valid;
        // Equal to (63 - valid) / 8; in this form the compiler can prove that it is less
        // than eight.
        let taken = usize_from(!self.valid / 8 % 8);
        self.data = self.data.get(taken..).unwrap_or_default();
        self.valid |= 56;
        true
    }

    #[cold]
    pub(super) fn refill_by_bytes(&mut self) {
        while self.valid < 56
            && let Some((byte, rest)) = self.data.split_first()
        {
            self.buffer |= u64::from(*byte) << (56 - self.valid);
            self.valid += 8;
            self.data = rest;
        }
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, width: u32) {
        self.buffer <<= width;
        self.valid -= width;
    }

    #[inline(always)]
    pub(super) fn take(&mut self, width: u32) -> Result<(), Error> {
        if width > self.valid {
            return Err(self.truncated());
        }
        self.skip(width);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn is_control(&self) -> bool {
        self.buffer >= CONTROL_PREFIX
    }

    pub(super) fn control(&mut self) -> Result<u8, Error> {
        let code = low_byte((self.buffer >> 51) & 0xf);
        self.take(CONTROL_WIDTH)?;
        Ok(code)
    }

    /// The next six symbols read as literals, and how many of them (1 to 6) actually are
    /// literals. The caller ensures that the first one is, and that enough bits are valid.
    #[inline(always)]
    pub(super) fn six_literals(&self) -> ([u8; 6], u32) {
        // The first bit of each of six nine-bit literals, and a sentinel after them.
        const FLAGS: u64 = 0x8040_2010_0804_0200;
        const STOP: u64 = 1 << 9;
        let count = ((self.buffer & FLAGS) | STOP).leading_zeros() / 9;
        let six = [55, 46, 37, 28, 19, 10].map(|shift| low_byte(self.buffer >> shift));
        (six, count)
    }

    /// Like [`Self::six_literals`], but counts only as many as there are valid bits for.
    #[inline(always)]
    pub(super) fn literals(&self) -> Result<([u8; 6], u32), Error> {
        let (six, count) = self.six_literals();
        match self.valid / 9 {
            0 => Err(self.truncated()),
            valid => Ok((six, count.min(valid))),
        }
    }

    /// Reads a copy pointer: history position, and length in bytes.
    #[inline(always)]
    pub(super) fn copy(&mut self) -> Result<(usize, usize), Error> {
        let leading = usize_from((self.buffer >> 59) & 0xf);
        let class = COUNTS.get(leading).copied().unwrap_or(COUNTS[15]);
        let extra = (self.buffer >> (64 - class.width)) & class.mask;
        let position = (self.buffer << class.width) >> 54;
        self.take(class.width + 10)?;
        Ok((usize_from(position), class.base + usize_from(extra)))
    }

    /// Offset of the next bit from the start of the body.
    pub(super) fn offset(&self) -> usize {
        (self.whole.len() - self.data.len()) * 8 - usize_from(self.valid)
    }

    /// The bytes after the one that contains the last bit of the record.
    pub(super) fn after_record(&self) -> &'a [u8] {
        let left = self.data.len() + usize_from(self.valid / 8);
        self.whole
            .get(self.whole.len() - left..)
            .unwrap_or_default()
    }

    /// The length that Windows appends to a record: zero bits up to the end of the byte, at
    /// most one zero byte, and four bytes that cannot be padding or a control symbol
    /// (flush, end marker) of another encoder. `None` if anything else follows.
    pub(super) fn trailer(&self) -> Option<u32> {
        let (gap, length) = self.after_record().split_last_chunk::<4>()?;
        let is_gap = self.is_padded() && matches!(gap, [] | [0]);
        let is_other = matches!(length, [0, 0, 0, 0] | [0xff, 0x80..=0xff, ..]);
        (is_gap && !is_other).then(|| u32::from_le_bytes(*length))
    }

    /// Whether the byte in which the record ended is filled with zero bits.
    fn is_padded(&self) -> bool {
        let pad = self.valid % 8;
        pad == 0 || self.buffer >> (64 - pad) == 0
    }

    /// Moves to the record that follows this one, and returns whether there is one. After
    /// padding, flushes, and file marks, a record begins with a symbol that selects a
    /// scheme. The five bytes that Windows appends are never taken for a record.
    pub(super) fn next_record(&mut self) -> bool {
        const TRAILER: usize = 5;
        let after = self.after_record();
        if after.len() <= TRAILER {
            return false;
        }
        let mut next = self.clone();
        if self.is_padded() {
            let pads = after.iter().take_while(|&&byte| byte == 0).count();
            (next.buffer, next.valid) = (0, 0);
            next.data = after.get(pads..).unwrap_or_default();
        }
        let start = next.clone();
        loop {
            next.refill();
            match next.is_control().then(|| next.control()) {
                Some(Ok(0b0000 | 0b0011)) => {}
                Some(Ok(0b0001 | 0b0010 | 0b0101 | 0b0110)) => break,
                _ => return false,
            }
        }
        *self = start;
        true
    }

    #[cold]
    pub(super) fn truncated(&self) -> Error {
        Error::Truncated { bit: self.offset() }
    }

    #[cold]
    pub(super) fn reserved(&self, code: u8) -> Error {
        let bit = self.offset() - usize_from(CONTROL_WIDTH);
        Error::Reserved { code, bit }
    }

    #[cold]
    pub(super) fn no_scheme(&self, back: u32) -> Error {
        let bit = self.offset() - usize_from(back);
        Error::NoScheme { bit }
    }
}
