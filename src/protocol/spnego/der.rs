//! Reads the elements of a token one after the other, with offsets for errors.

use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader};

use super::Error;

/// Tag of an OCTET STRING.
pub(super) const OCTETS: u8 = 0x04;

/// Reads elements from the front of a DER value.
pub(super) struct Der<'a> {
    pub(super) data: &'a [u8],
    /// Offset of `data` in the token, for errors.
    pub(super) at: usize,
}

impl<'a> Der<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// The contents of the next element, which must have this tag.
    pub(super) fn element(&mut self, expected: u8) -> Result<Self, Error> {
        let offset = self.at;
        self.optional(expected)?
            .ok_or(Error::Tag { expected, offset })
    }

    /// The contents of the next element if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Self>, Error> {
        if self.data.first() != Some(&tag) {
            return Ok(None);
        }
        let (data, end) = first(self.data).ok_or(Error::Truncated { offset: self.at })?;
        let contents = Self {
            data,
            at: self.at + end - data.len(),
        };
        self.at += end;
        self.data = self.data.get(end..).unwrap_or_default();
        Ok(Some(contents))
    }

    /// An OCTET STRING inside this tag; anything else there is skipped.
    pub(super) fn optional_octets(&mut self, tag: u8) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut value) = self.optional(tag)? else {
            return Ok(None);
        };
        let octets = value.optional(OCTETS)?;
        Ok(octets.map(|octets| octets.data.to_vec()))
    }
}

/// The content of the element at the front, and where it ends.
fn first(data: &[u8]) -> Option<(&[u8], usize)> {
    let mut reader = SliceReader::new(data).ok()?;
    let element = AnyRef::decode(&mut reader).ok()?;
    Some((element.value(), usize::try_from(reader.position()).ok()?))
}
