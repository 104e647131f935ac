//! The part of NDR that a PAC needs: one structure in type serialization version 1, with
//! unique pointers, conformant arrays, and counted strings (MS-RPCE 2.2.6, C706 14.3).
//!
//! The target of a pointer follows the structure that contains it, in the order of the
//! pointers; the caller reads it there.

use crate::base::wire::{Reader, Truncated};
use crate::windows::sid::{self, Sid};

/// Size of the common and private headers (MS-RPCE 2.2.6.1, 2.2.6.2).
const HEADERS: usize = 16;

/// Why a structure cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// It ends within this field.
    Truncated(Truncated),
    /// Not little-endian NDR of version 1.
    Header,
    /// Two counts of the same items differ.
    Count,
    /// More items than allowed.
    TooMany(u32),
    /// A null pointer where a value is required.
    Null,
    /// An invalid SID.
    Sid(sid::Error),
}

impl From<Truncated> for Error {
    fn from(truncated: Truncated) -> Self {
        Self::Truncated(truncated)
    }
}

/// `RPC_UNICODE_STRING` without its text (MS-DTYP 2.3.10).
#[derive(Clone, Copy, Debug)]
pub(super) struct StringHeader {
    /// Length of the text in bytes.
    length: u16,
    is_there: bool,
}

/// Parses one serialized structure.
#[derive(Debug)]
pub(super) struct Ndr<'a> {
    reader: Reader<'a>,
}

impl<'a> Ndr<'a> {
    /// Parses the headers and the pointer to the structure.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let [version, endianness, length, 0] = reader.array()? else {
            return Err(Error::Header);
        };
        let filler = reader.u32()?;
        let object = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        reader.u32()?;
        if (version, endianness, length) != (1, 0x10, 8) || filler != 0xcccc_cccc {
            return Err(Error::Header);
        }
        // Alignment counts from here, which is a multiple of eight into the buffer.
        debug_assert_eq!(reader.offset(), HEADERS);
        let mut ndr = Self {
            reader: Reader::new(reader.bytes(object)?),
        };
        if ndr.pointer()? {
            Ok(ndr)
        } else {
            Err(Error::Null)
        }
    }

    /// Skips padding up to a multiple of `to`.
    fn align(&mut self, to: usize) -> Result<(), Error> {
        let over = self.reader.offset().checked_rem(to).unwrap_or(0);
        if over > 0 {
            self.reader.bytes(to.saturating_sub(over))?;
        }
        Ok(())
    }

    /// Skips bytes that are not needed.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), Error> {
        self.reader.bytes(count)?;
        Ok(())
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.align(2)?;
        Ok(self.reader.u16()?)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.align(4)?;
        Ok(self.reader.u32()?)
    }

    /// Whether a unique pointer is not null.
    pub(super) fn pointer(&mut self) -> Result<bool, Error> {
        Ok(self.u32()? != 0)
    }

    /// The lengths and the pointer of a string.
    pub(super) fn string_header(&mut self) -> Result<StringHeader, Error> {
        let length = self.u16()?;
        self.u16()?;
        let is_there = self.pointer()?;
        Ok(StringHeader { length, is_there })
    }

    /// The text of a string, which is a conformant and varying array.
    pub(super) fn string(&mut self, header: StringHeader) -> Result<String, Error> {
        if !header.is_there {
            return Ok(String::new());
        }
        let (max, offset, actual) = (self.u32()?, self.u32()?, self.u32()?);
        if offset != 0 || actual > max || actual != u32::from(header.length / 2) {
            return Err(Error::Count);
        }
        let bytes = self.reader.bytes(usize::from(header.length / 2) * 2)?;
        Ok(utf16(bytes))
    }

    /// The size of a conformant array, which must repeat the count in the structure.
    pub(super) fn array(&mut self, count: u32) -> Result<(), Error> {
        if self.u32()? == count {
            Ok(())
        } else {
            Err(Error::Count)
        }
    }

    /// The SID that a pointer leads to; its sub-authorities are a conformant array.
    pub(super) fn sid(&mut self) -> Result<Sid, Error> {
        let count = self.u32()?;
        let start = self.reader.clone();
        let sid = Sid::read(&mut self.reader).map_err(|error| match error {
            sid::Error::Truncated => Error::Truncated(Truncated {
                offset: start.offset(),
            }),
            other => Error::Sid(other),
        })?;
        if usize::try_from(count) == Ok(sid.sub_authorities().len()) {
            Ok(sid)
        } else {
            Err(Error::Count)
        }
    }
}

/// Decodes UTF-16LE; invalid units become U+FFFD.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
