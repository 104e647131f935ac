//! SLDC (ECMA-321), the `Content-Encoding: SLDC` of event sources.
//!
//! A bit stream, most significant bit first, over a history of 1024 bytes. The
//! standard addresses the history by absolute position; here the output itself
//! is the history, and a position is turned into a distance back from its end.

use std::fmt;

mod encode;
#[cfg(test)]
mod tests;

pub use encode::encode;

/// Size of the history in bytes (ECMA-321 6.2); positions wrap at it.
const HISTORY: usize = 1024;

/// The longest copy, in bytes (ECMA-321 table 1).
const MAX_MATCH: usize = 271;

/// Nine ones begin a control symbol, in either scheme.
const CONTROL_PREFIX: u64 = 0x1ff << 55;

/// Bits of a control symbol: the prefix and a code of four bits.
const CONTROL_WIDTH: u32 = 13;

/// Bits of the longest symbol, a copy of 32 bytes or more.
const LONGEST_SYMBOL: u32 = 23;

/// Why a body is not a valid SLDC record. Offsets are in bits from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Data or an end of record came before a scheme was chosen.
    NoScheme {
        /// Offset of the symbol.
        bit: usize,
    },
    /// A control symbol that ECMA-321 reserves.
    Reserved {
        /// The four bits of the symbol.
        code: u8,
        /// Offset of the symbol.
        bit: usize,
    },
    /// The body ended before an end of record.
    Truncated {
        /// Offset of the symbol that is incomplete.
        bit: usize,
    },
    /// The record expands beyond the cap.
    TooLong {
        /// The cap in bytes.
        cap: usize,
    },
    /// The length after the record is not the length of what came out.
    WrongLength {
        /// What the trailer says, in bytes.
        declared: u32,
        /// What the record held, in bytes.
        actual: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme { bit } => write!(f, "sldc data before any scheme, at bit {bit}"),
            Self::Reserved { code, bit } => {
                write!(f, "reserved sldc control symbol {code:04b} at bit {bit}")
            }
            Self::Truncated { bit } => write!(f, "sldc record ends early, at bit {bit}"),
            Self::TooLong { cap } => write!(f, "sldc record expands to more than {cap} bytes"),
            Self::WrongLength { declared, actual } => write!(
                f,
                "sldc record holds {actual} bytes where its trailer says {declared}"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Whether a body labelled SLDC is plain text all the same, as the `End` message is.
///
/// A byte order mark or `<` never begins a record, which starts with nine ones
/// and a code that selects a scheme.
#[must_use]
pub fn is_plain(data: &[u8]) -> bool {
    let starts: [&[u8]; 5] = [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"<", b"\0<"];
    starts.iter().any(|start| data.starts_with(start))
}

/// Expands one record to at most `cap` bytes.
///
/// Windows appends the length of the text after the end of record, in four
/// bytes, little-endian; it is checked when there is room for it.
///
/// ```
/// let packed = wecrelay::sldc::encode(b"to be or not to be");
/// assert_eq!(wecrelay::sldc::decode(&packed, 100).unwrap(), b"to be or not to be");
/// assert!(wecrelay::sldc::decode(&packed, 10).is_err());
/// ```
pub fn decode(data: &[u8], cap: usize) -> Result<Vec<u8>, Error> {
    let mut bits = Bits::new(data);
    let mut output = Output::new(data, cap);
    let mut scheme = None;
    loop {
        let code = match scheme {
            None => first_control(&mut bits)?,
            Some(Scheme::Lempel) => expand_copies(&mut bits, &mut output)?,
            Some(Scheme::PassThrough) => expand_bytes(&mut bits, &mut output)?,
        };
        match code {
            0b0001 => scheme = Some(Scheme::Lempel),
            0b0010 => scheme = Some(Scheme::PassThrough),
            0b0101 => scheme = Some(output.reset(Scheme::Lempel)),
            0b0110 => scheme = Some(output.reset(Scheme::PassThrough)),
            0b0100 if scheme.is_some() => break,
            0b0100 => return Err(bits.no_scheme(CONTROL_WIDTH)),
            // Flush, file mark, end marker: nothing for a decoder.
            0b0000 | 0b0011 | 0b1111 => {}
            _ => return Err(bits.reserved(code)),
        }
    }
    output.finish(bits.after_record())
}

#[derive(Clone, Copy)]
enum Scheme {
    /// Scheme 1: literals and copies from the history.
    Lempel,
    /// Scheme 2: bytes as they are, FF followed by a zero bit.
    PassThrough,
}

fn first_control(bits: &mut Bits<'_>) -> Result<u8, Error> {
    bits.refill();
    if bits.is_control() {
        bits.control()
    } else if bits.valid < 9 {
        Err(bits.truncated())
    } else {
        Err(bits.no_scheme(0))
    }
}

/// Scheme 1 up to the next control symbol, whose code it returns.
///
/// A refill is good for two copies, and each refill waits for a load.
fn expand_copies(bits: &mut Bits<'_>, output: &mut Output) -> Result<u8, Error> {
    loop {
        bits.refill();
        output.make_room()?;
        if let Some(code) = expand_symbol(bits, output)? {
            return Ok(code);
        }
        if bits.valid >= LONGEST_SYMBOL
            && let Some(code) = expand_symbol(bits, output)?
        {
            return Ok(code);
        }
    }
}

#[inline(always)]
fn expand_symbol(bits: &mut Bits<'_>, output: &mut Output) -> Result<Option<u8>, Error> {
    if bits.buffer >> 63 == 0 {
        let count = bits.literals()?;
        output.push_literals(bits.buffer, count);
        bits.skip(9 * count);
    } else if bits.is_control() {
        return bits.control().map(Some);
    } else {
        let (position, length) = bits.copy()?;
        output.copy(position, length);
    }
    Ok(None)
}

/// Scheme 2 up to the next control symbol, whose code it returns.
fn expand_bytes(bits: &mut Bits<'_>, output: &mut Output) -> Result<u8, Error> {
    loop {
        bits.refill();
        output.make_room()?;
        if bits.is_control() {
            return bits.control();
        }
        let byte = low_byte(bits.buffer >> 56);
        bits.take(if byte == 0xff { 9 } else { 8 })?;
        output.push(byte);
    }
}

/// How the bits of a copy pointer divide, by the four bits after its first.
#[derive(Clone, Copy)]
struct CountClass {
    /// Bits up to and with the match count.
    width: u32,
    /// Mask of the count's variable bits, which are the last of `width`.
    mask: u64,
    /// Match length, in bytes, when the variable bits are zero.
    base: usize,
}

const fn class(width: u32, mask: u64, base: usize) -> CountClass {
    CountClass { width, mask, base }
}

/// ECMA-321 table 1, by the leading bits `0`, `10`, `110`, `1110`, `1111`.
const COUNTS: [CountClass; 16] = {
    let (c2, c4, c8) = (class(3, 1, 2), class(5, 3, 4), class(7, 7, 8));
    let (c16, c32) = (class(9, 15, 16), class(13, 255, 32));
    [
        c2, c2, c2, c2, c2, c2, c2, c2, c4, c4, c4, c4, c8, c8, c16, c32,
    ]
};

/// The unread bits: `buffer` holds the next `valid` at its top.
///
/// Bits of `buffer` below `valid` are zero or already those of `data` that
/// follow, so that a refill may set them again.
struct Bits<'a> {
    buffer: u64,
    valid: u32,
    data: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self {
            buffer: 0,
            valid: 0,
            data,
            whole: data,
        }
    }

    /// Makes at least 56 bits valid while the input lasts.
    #[inline(always)]
    fn refill(&mut self) {
        let Some(word) = self.data.first_chunk::<8>() else {
            return self.refill_by_bytes();
        };
        self.buffer |= u64::from_be_bytes(*word) >> self.valid;
        let taken = usize_from((63 - self.valid) / 8);
        self.data = self.data.get(taken..).unwrap_or_default();
        self.valid |= 56;
    }

    #[cold]
    fn refill_by_bytes(&mut self) {
        while self.valid < 56
            && let Some((byte, rest)) = self.data.split_first()
        {
            self.buffer |= u64::from(*byte) << (56 - self.valid);
            self.valid += 8;
            self.data = rest;
        }
    }

    #[inline(always)]
    fn skip(&mut self, width: u32) {
        self.buffer <<= width;
        self.valid -= width;
    }

    #[inline(always)]
    fn take(&mut self, width: u32) -> Result<(), Error> {
        if width > self.valid {
            return Err(self.truncated());
        }
        self.skip(width);
        Ok(())
    }

    #[inline(always)]
    fn is_control(&self) -> bool {
        self.buffer >= CONTROL_PREFIX
    }

    fn control(&mut self) -> Result<u8, Error> {
        let code = low_byte((self.buffer >> 51) & 0xf);
        self.take(CONTROL_WIDTH)?;
        Ok(code)
    }

    /// How many literals (1 to 6) stand at the front; the first is known to be one.
    #[inline(always)]
    fn literals(&self) -> Result<u32, Error> {
        // The first bit of each of six nine-bit literals, and a stop after them.
        const FLAGS: u64 = 0x8040_2010_0804_0200;
        const STOP: u64 = 1 << 9;
        let count = ((self.buffer & FLAGS) | STOP).leading_zeros() / 9;
        if count * 9 <= self.valid {
            return Ok(count);
        }
        match self.valid / 9 {
            0 => Err(self.truncated()),
            left => Ok(left),
        }
    }

    /// A copy pointer: history position, and length in bytes.
    #[inline(always)]
    fn copy(&mut self) -> Result<(usize, usize), Error> {
        let leading = usize_from((self.buffer >> 59) & 0xf);
        let class = COUNTS.get(leading).copied().unwrap_or(COUNTS[15]);
        let extra = (self.buffer >> (64 - class.width)) & class.mask;
        let position = (self.buffer << class.width) >> 54;
        self.take(class.width + 10)?;
        Ok((usize_from(position), class.base + usize_from(extra)))
    }

    /// Offset of the next bit.
    fn offset(&self) -> usize {
        (self.whole.len() - self.data.len()) * 8 - usize_from(self.valid)
    }

    /// What follows the byte in which the record ended.
    fn after_record(&self) -> &'a [u8] {
        let left = self.data.len() + usize_from(self.valid / 8);
        self.whole
            .get(self.whole.len() - left..)
            .unwrap_or_default()
    }

    #[cold]
    fn truncated(&self) -> Error {
        Error::Truncated { bit: self.offset() }
    }

    #[cold]
    fn reserved(&self, code: u8) -> Error {
        let bit = self.offset() - usize_from(CONTROL_WIDTH);
        Error::Reserved { code, bit }
    }

    #[cold]
    fn no_scheme(&self, back: u32) -> Error {
        let bit = self.offset() - usize_from(back);
        Error::NoScheme { bit }
    }
}

/// Copies go in pieces of this many bytes, which the compiler moves in one go.
const PIECE: usize = 16;

/// Room kept free past the end, so that two symbols are written without asking:
/// the longest copies, rounded up to pieces, or two pieces where a run is short.
const ROOM: usize = 2 * MAX_MATCH + 3 * PIECE;

/// The text so far: `bytes[..at]`. What lies beyond is scratch space.
struct Output {
    bytes: Vec<u8>,
    at: usize,
    /// Where the history began: `at` of the last reset.
    base: usize,
    cap: usize,
}

impl Output {
    fn new(data: &[u8], cap: usize) -> Self {
        let size = expected_size(data).min(cap).saturating_add(ROOM);
        Self {
            bytes: vec![0; size],
            at: 0,
            base: 0,
            cap,
        }
    }

    fn reset(&mut self, scheme: Scheme) -> Scheme {
        self.base = self.at;
        scheme
    }

    /// Ensures `ROOM` after `at`, or fails because `at` is beyond the cap.
    #[inline(always)]
    fn make_room(&mut self) -> Result<(), Error> {
        if self.bytes.len() - self.at < ROOM {
            return self.grow();
        }
        Ok(())
    }

    /// Since `bytes` never outgrows `cap + ROOM`, the cap need be checked here only.
    #[cold]
    fn grow(&mut self) -> Result<(), Error> {
        if self.at > self.cap {
            return Err(Error::TooLong { cap: self.cap });
        }
        let size = self.at.saturating_mul(2).min(self.cap);
        self.bytes.resize(size.saturating_add(ROOM), 0);
        Ok(())
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.at) {
            *place = byte;
        }
        self.at += 1;
    }

    /// Writes six literals from the top of `bits`, of which `count` are real.
    #[inline(always)]
    fn push_literals(&mut self, bits: u64, count: u32) {
        let six = [55, 46, 37, 28, 19, 10].map(|shift| low_byte(bits >> shift));
        let place = self.bytes.get_mut(self.at..);
        if let Some(place) = place.and_then(<[u8]>::first_chunk_mut) {
            *place = six;
        }
        self.at += usize_from(count);
    }

    /// Repeats `length` bytes from a position of the history.
    #[inline(always)]
    fn copy(&mut self, position: usize, length: usize) {
        let written = self.at - self.base;
        let distance = written.wrapping_sub(position + 1) % HISTORY + 1;
        let end = self.at + length;
        if distance > written {
            self.zero_unwritten(distance - written, length);
        }
        if self.at < end {
            self.copy_back(distance, end);
        }
    }

    /// A copy from before the reset: that part of the history holds zeros.
    #[cold]
    fn zero_unwritten(&mut self, unwritten: usize, length: usize) {
        let end = self.at + unwritten.min(length);
        if let Some(gap) = self.bytes.get_mut(self.at..end) {
            gap.fill(0);
        }
        self.at = end;
    }

    /// Repeats what lies `distance` back up to `end`, or a piece beyond it.
    ///
    /// Most copies are short, so the first piece goes without a question: only
    /// a run, whose source is not yet written when it begins, needs another way.
    #[inline(always)]
    fn copy_back(&mut self, distance: usize, end: usize) {
        if distance < PIECE && distance < end - self.at {
            return self.run(distance, end);
        }
        self.copy_pieces(self.at, distance, end);
    }

    #[inline(always)]
    fn copy_pieces(&mut self, mut to: usize, distance: usize, end: usize) {
        loop {
            let from = to - distance;
            self.bytes.copy_within(from..from + PIECE, to);
            to += PIECE;
            if to >= end {
                break;
            }
        }
        self.at = end;
    }

    /// Repeats a short period: byte by byte at first, until pieces can be
    /// copied from a multiple of it.
    fn run(&mut self, distance: usize, end: usize) {
        let period = distance * PIECE.div_ceil(distance);
        let to = self.at + period - distance;
        for place in self.at..to {
            let from = place - distance;
            self.bytes.copy_within(from..=from, place);
        }
        self.copy_pieces(to, period, end);
    }

    fn finish(mut self, after_record: &[u8]) -> Result<Vec<u8>, Error> {
        if self.at > self.cap {
            return Err(Error::TooLong { cap: self.cap });
        }
        if let Some(declared) = after_record.last_chunk().map(|b| u32::from_le_bytes(*b))
            && usize_from(declared) != self.at
        {
            let actual = self.at;
            return Err(Error::WrongLength { declared, actual });
        }
        self.bytes.truncate(self.at);
        Ok(self.bytes)
    }
}

/// What to allocate at first: the trailer's word for it, as far as the input may
/// be trusted (text packs about 4 to 1), so that no claim allocates by itself.
fn expected_size(data: &[u8]) -> usize {
    let trailer = data.last_chunk().map(|b| u32::from_le_bytes(*b));
    usize_from(trailer.unwrap_or(0)).min(data.len().saturating_mul(8))
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// Widens; saturates only where `usize` is smaller than 64 bits.
fn usize_from(value: impl TryInto<usize>) -> usize {
    value.try_into().unwrap_or(usize::MAX)
}
