//! As much DER as SPNEGO needs.

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
        let Some(body) = self.data.strip_prefix(&[tag]) else {
            return Ok(None);
        };
        let cut = Error::Truncated { offset: self.at };
        let (length, body) = definite_length(body).ok_or(cut.clone())?;
        let (contents, rest) = body.split_at_checked(length).ok_or(cut)?;
        let header = self.data.len() - body.len();
        let contents = Self {
            data: contents,
            at: self.at + header,
        };
        self.at += header + length;
        self.data = rest;
        Ok(Some(contents))
    }

    /// An OCTET STRING within this tag; anything else there is skipped.
    pub(super) fn optional_octets(&mut self, tag: u8) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut value) = self.optional(tag)? else {
            return Ok(None);
        };
        let octets = value.optional(OCTETS)?;
        Ok(octets.map(|octets| octets.data.to_vec()))
    }
}

/// A length of up to three octets, which is more than [`MAX_TOKEN`] needs.
fn definite_length(data: &[u8]) -> Option<(usize, &[u8])> {
    let big_endian = |octets: &[u8]| {
        let next = |sum: usize, octet: &u8| sum << 8 | usize::from(*octet);
        octets.iter().fold(0, next)
    };
    match data {
        [short @ 0..=0x7f, rest @ ..] => Some((usize::from(*short), rest)),
        [0x81, a, rest @ ..] => Some((big_endian(&[*a]), rest)),
        [0x82, a, b, rest @ ..] => Some((big_endian(&[*a, *b]), rest)),
        [0x83, a, b, c, rest @ ..] => Some((big_endian(&[*a, *b, *c]), rest)),
        _ => None,
    }
}
