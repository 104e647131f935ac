//! SLDC (ECMA-321), the compression that event sources use (`Content-Encoding: SLDC`).
//!
//! A bit stream, most significant bit first, over a history of 1024 bytes. The standard
//! addresses the history by absolute position. Here the output itself is the history, and a
//! position is converted to a distance from its end, which avoids a second copy of every
//! byte.

mod bits;
mod encode;
mod output;
#[cfg(test)]
mod ring;
mod short;
#[cfg(test)]
mod tests;

use std::fmt;

use bits::Bits;
use output::Output;

pub use encode::encode;

/// Size of the history in bytes (ECMA-321); positions wrap around at it.
const HISTORY: usize = 1024;

/// Maximum length of a copy in bytes (ECMA-321).
const MAX_MATCH: usize = 271;

/// Length of a control symbol in bits: nine ones and a four-bit code.
const CONTROL_WIDTH: u32 = 13;

/// Why a body is not a valid SLDC record. Offsets are in bits from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Data or an end of record before a scheme was selected.
    NoScheme {
        /// Offset of the symbol.
        bit: usize,
    },
    /// A control symbol that ECMA-321 reserves.
    Reserved {
        /// The code of the symbol.
        code: u8,
        /// Offset of the symbol.
        bit: usize,
    },
    /// The body ends before an end of record.
    Truncated {
        /// Offset of the incomplete symbol.
        bit: usize,
    },
    /// The record expands beyond the limit.
    TooLong {
        /// The limit in bytes.
        cap: usize,
    },
    /// The length after the record differs from the actual length.
    WrongLength {
        /// The length that the trailer states, in bytes.
        declared: u32,
        /// The length of the decoded text, in bytes.
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
                "sldc record has {actual} bytes, but its trailer declares {declared}"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Whether a body labeled SLDC is in fact plain text, as Windows sends the `End` message.
///
/// A byte order mark or `<` never begins a record, which starts with nine ones and a code
/// that selects a scheme.
#[must_use]
pub fn is_plain(data: &[u8]) -> bool {
    let starts: [&[u8]; 5] = [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"<", b"\0<"];
    starts.iter().any(|start| data.starts_with(start))
}

/// Decodes a record, and further ones that follow it, to at most `cap` bytes. The limit is
/// essential: 23 bits can expand to 271 bytes.
///
/// Anything else after the end of record is ignored, except for the four bytes in which
/// Windows appends the length of the text (little-endian). If exactly those follow, they
/// are checked.
///
/// ```
/// let packed = wecrelay::protocol::sldc::encode(b"to be or not to be");
/// assert_eq!(wecrelay::protocol::sldc::decode(&packed, 100).unwrap(), b"to be or not to be");
/// assert!(wecrelay::protocol::sldc::decode(&packed, 10).is_err());
/// ```
///
/// # Errors
/// `data` is not a valid record, expands to more than `cap` bytes, or has a different length
/// than the one that follows it.
pub fn decode(data: &[u8], cap: usize) -> Result<Vec<u8>, Error> {
    decode_into(Vec::new(), data, cap)
}

/// Like [`decode`], with the memory of an earlier text, which it replaces.
///
/// # Errors
/// As for [`decode`].
pub fn decode_into(text: Vec<u8>, data: &[u8], cap: usize) -> Result<Vec<u8>, Error> {
    let mut bits = Bits::new(data);
    let mut output = Output::new(text, data, cap);
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
            0b0100 if scheme.is_some() && !bits.next_record() => break,
            0b0100 if scheme.is_some() => scheme = None,
            0b0100 => return Err(bits.no_scheme(CONTROL_WIDTH)),
            // Flush, file mark, and end marker have no meaning for a decoder.
            0b0000 | 0b0011 | 0b1111 => {}
            _ => return Err(bits.reserved(code)),
        }
    }
    output.finish(bits.trailer())
}

#[derive(Clone, Copy)]
enum Scheme {
    /// Scheme 1: literals and copies from the history.
    Lempel,
    /// Scheme 2: literal bytes; each FF is followed by a zero bit.
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

/// Decodes scheme 1 up to the next control symbol; returns its code.
fn expand_copies(bits: &mut Bits<'_>, output: &mut Output) -> Result<u8, Error> {
    loop {
        short::expand(bits, output);
        bits.refill();
        output.make_room()?;
        if let Some(code) = expand_symbol(bits, output)? {
            return Ok(code);
        }
    }
}

#[inline(always)]
fn expand_symbol(bits: &mut Bits<'_>, output: &mut Output) -> Result<Option<u8>, Error> {
    if bits.buffer >> 63 == 0 {
        let (six, count) = bits.literals()?;
        output.push_literals(six, count);
        bits.skip(9 * count);
    } else if bits.is_control() {
        return bits.control().map(Some);
    } else {
        let (position, length) = bits.copy()?;
        output.copy(position, length);
    }
    Ok(None)
}

/// Decodes scheme 2 up to the next control symbol; returns its code.
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

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// Converts to `usize`; saturates only where that has fewer than 64 bits.
fn usize_from(value: impl TryInto<usize>) -> usize {
    value.try_into().unwrap_or(usize::MAX)
}
