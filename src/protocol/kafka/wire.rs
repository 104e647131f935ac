//! The primitive types of the protocol: big-endian integers, length-prefixed strings and
//! arrays, and the variable-length integers of record batches.

use super::Error;
use crate::base::wire::Reader;

/// Maximum number of items in one answer. Each has a few bytes on the wire and tens of
/// bytes in memory.
pub(super) const LISTED_MAX: usize = 100_000;

/// Parses an answer. Allocates nothing for a length before its bytes are there.
#[derive(Clone, Debug)]
pub(super) struct Answer<'a> {
    reader: Reader<'a>,
    // Name of the request, for errors.
    what: &'static str,
    /// Number of items listed so far, in all arrays together.
    listed: usize,
}

impl<'a> Answer<'a> {
    pub(super) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            what,
            listed: 0,
        }
    }

    fn cut(&self) -> Error {
        Error::Cut(self.what, self.reader.offset())
    }

    pub(super) fn i8(&mut self) -> Result<i8, Error> {
        self.array().map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, Error> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Error> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Error> {
        self.array().map(i64::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.reader.array().map_err(|_| self.cut())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let cut = self.cut();
        self.reader.bytes(count).map_err(|_| cut)
    }

    /// `NULLABLE_STRING`: a length of -1 means null.
    pub(super) fn nullable_string(&mut self) -> Result<Option<String>, Error> {
        let Ok(length) = usize::try_from(self.i16()?) else {
            return Ok(None);
        };
        let text = self.take(length)?;
        Ok(Some(String::from_utf8_lossy(text).into_owned()))
    }

    /// `STRING`; null counts as empty.
    pub(super) fn string(&mut self) -> Result<String, Error> {
        self.nullable_string().map(Option::unwrap_or_default)
    }

    /// `BYTES`; null counts as empty.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        match usize::try_from(self.i32()?) {
            Ok(length) => self.take(length),
            Err(_) => Ok(&[]),
        }
    }

    /// `ARRAY`: calls `item` for each element. All arrays of an answer together may have at
    /// most [`LISTED_MAX`] elements, because what is kept of one may be larger than its
    /// bytes.
    pub(super) fn each(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let count = self.i32()?.max(0);
        for _ in 0..count {
            self.listed += 1;
            if self.listed > LISTED_MAX {
                return Err(Error::Listed(self.what));
            }
            item(self)?;
        }
        Ok(())
    }

    /// Skips an `ARRAY` of 32-bit numbers.
    pub(super) fn skip_numbers(&mut self) -> Result<(), Error> {
        let count = usize::try_from(self.i32()?).unwrap_or(0);
        self.take(count.saturating_mul(4)).map(drop)
    }

    /// Skips tagged fields (KIP-482), none of which is used.
    pub(super) fn skip_tags(&mut self) -> Result<(), Error> {
        for _ in 0..self.unsigned()? {
            self.unsigned()?;
            let length = self.unsigned()?;
            self.take(length)?;
        }
        Ok(())
    }

    /// `UNSIGNED_VARINT`: seven bits a byte, lowest first, at most 32 bits.
    fn unsigned(&mut self) -> Result<usize, Error> {
        let cut = self.cut();
        let mut value = 0_usize;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(cut)
    }
}

pub(super) fn put_i16(out: &mut Vec<u8>, number: i16) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub(super) fn put_i32(out: &mut Vec<u8>, number: i32) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub(super) fn put_i64(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// A length or count. Ours are bounded far below `i32::MAX`.
pub(super) fn put_length(out: &mut Vec<u8>, length: usize) {
    put_i32(out, i32::try_from(length).unwrap_or(i32::MAX));
}

/// `STRING`, truncated at a character boundary to what its length can express.
pub(super) fn put_string(out: &mut Vec<u8>, text: &str) {
    let longest = text.len().min(usize::from(u16::MAX >> 1));
    let front = (0..=longest).rev().find_map(|end| text.get(..end));
    let text = front.unwrap_or_default();
    put_i16(out, i16::try_from(text.len()).unwrap_or(i16::MAX));
    out.extend_from_slice(text.as_bytes());
}

/// `VARLONG`: zigzag encoding, then seven bits a byte, lowest first.
pub(super) fn put_varlong(out: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// `VARINT` of a length or count; encoded like a `VARLONG`.
pub(super) fn put_varint(out: &mut Vec<u8>, length: usize) {
    put_varlong(out, i64::try_from(length).unwrap_or(i64::MAX));
}

/// Number of bytes that [`put_varint`] writes.
pub(super) fn varint_length(number: usize) -> usize {
    let bits = (usize::BITS - number.leading_zeros()) + 1;
    usize::try_from(bits.max(1).div_ceil(7)).unwrap_or(1)
}

/// Reads a length that [`put_varint`] wrote; returns it and the rest.
pub(super) fn take_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let rest = bytes.get(index + 1..)?;
            return Some((usize::try_from(value >> 1).ok()?, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_lengths_are_zigzag_in_groups_of_seven_bits() {
        let written = |number| {
            let mut out = Vec::new();
            put_varlong(&mut out, number);
            out
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(-1), [1]);
        assert_eq!(written(63), [0x7e]);
        assert_eq!(written(64), [0x80, 0x01]);
        assert_eq!(written(300), [0xd8, 0x04]);
        assert_eq!(written(i64::MIN).len(), 10);
    }

    #[test]
    fn lengths_are_read_as_they_are_written() {
        for length in [0, 1, 63, 64, 8191, 8192, 1_048_576, 1 << 40] {
            let mut out = Vec::new();
            put_varint(&mut out, length);
            assert_eq!(out.len(), varint_length(length), "{length}");
            out.push(9);
            assert_eq!(take_varint(&out), Some((length, [9].as_slice())));
        }
        assert_eq!(take_varint(&[0x80]), None);
        assert_eq!(take_varint(&[0xff; 12]), None);
    }

    #[test]
    fn tagged_fields_are_passed_over_and_cuts_are_found() {
        // Two fields: number 1 of three bytes, number 300 of none; then what follows.
        let bytes = [2, 1, 3, 9, 9, 9, 0xac, 2, 0, 7];
        let mut answer = Answer::new("answer", &bytes);
        answer.skip_tags().unwrap();
        assert_eq!(answer.i8(), Ok(7));
        for end in 0..bytes.len() - 1 {
            assert!(Answer::new("answer", &bytes[..end]).skip_tags().is_err());
        }
        for bad in [[0xff; 12].as_slice(), &[1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
            assert!(Answer::new("answer", bad).skip_tags().is_err());
        }
    }

    #[test]
    fn a_length_without_its_bytes_is_an_error_and_allocates_nothing() {
        let mut answer = Answer::new("answer", &[0x7f, 0xff, 0xff, 0xff]);
        assert!(answer.each(|a| a.i32().map(drop)).is_err());
        let mut answer = Answer::new("answer", &[0x7f, 0xff, 0xff, 0xff, 1]);
        assert!(answer.skip_numbers().is_err());
        let mut answer = Answer::new("answer", &[0x7f, 0xff, b'a']);
        assert!(answer.nullable_string().is_err());
        let mut answer = Answer::new("answer", &[0x7f, 0xff, 0xff, 0xff, 1]);
        assert!(answer.bytes().is_err());
    }
}
