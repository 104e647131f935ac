//! How NTLM messages are laid out: signature, type, fields that point into a payload.

use std::fmt;

use crate::base::wire::{self, Reader, Truncated};
use crate::protocol::ntlm::flags::Flags;

/// Most pairs in one list; Windows knows eleven kinds, each at most once.
pub const MAX_AV_PAIRS: usize = 64;

/// Longest message in bytes: all offsets of a response stay below 64 KiB.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Longest user, domain or workstation in bytes of UTF-16: DNS names end at 255 characters.
pub const MAX_NAME: usize = 512;

pub(super) const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// Why bytes are no NTLM message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Over [`MAX_MESSAGE`].
    TooLong {
        /// Size in bytes.
        length: usize,
    },
    /// A fixed field or an attribute is cut.
    Truncated(Truncated),
    /// The first eight bytes are not `NTLMSSP\0`.
    Signature,
    /// Another message than the one that should come now.
    Type {
        /// Message type that should come.
        expected: u32,
        /// Message type that came.
        found: u32,
    },
    /// A field points into the header or past the end.
    Field {
        /// Name as in MS-NLMP.
        name: &'static str,
        /// Where it points to, in bytes from the start of the message.
        offset: u32,
        /// Its size in bytes.
        length: u16,
    },
    /// A field's size is not one that its kind can have.
    Length {
        /// Name as in MS-NLMP.
        name: &'static str,
        /// Its size in bytes.
        length: usize,
    },
    /// A name holds a control character.
    Control {
        /// Name of the field as in MS-NLMP.
        name: &'static str,
    },
    /// An attribute has a value of the wrong size.
    Pair {
        /// Its id.
        id: u16,
        /// Where it starts in its list, in bytes.
        offset: usize,
    },
    /// More than [`MAX_AV_PAIRS`] attributes.
    TooManyPairs {
        /// Where the first one too many starts in its list, in bytes.
        offset: usize,
    },
    /// An NTLMv2 response of an unknown version.
    ResponseVersion {
        /// RespType and HiRespType.
        found: [u8; 2],
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => {
                write!(f, "message of {length} bytes, {MAX_MESSAGE} are allowed")
            }
            Self::Truncated(truncated) => truncated.fmt(f),
            Self::Signature => f.write_str("not an NTLM message"),
            Self::Type { expected, found } => {
                write!(f, "message type {found} instead of {expected}")
            }
            Self::Field {
                name,
                offset,
                length,
            } => write!(f, "{name} of {length} bytes at {offset} is out of place"),
            Self::Length { name, length } => write!(f, "{name} cannot have {length} bytes"),
            Self::Control { name } => write!(f, "{name} has a control character"),
            Self::Pair { id, offset } => {
                write!(f, "attribute {id} at {offset} has a wrong size")
            }
            Self::TooManyPairs { offset } => {
                write!(f, "more than {MAX_AV_PAIRS} attributes, at {offset}")
            }
            Self::ResponseVersion { found } => {
                write!(f, "response version {:?} instead of [1, 1]", found)
            }
        }
    }
}

impl std::error::Error for ParseError {}

impl From<Truncated> for ParseError {
    fn from(truncated: Truncated) -> Self {
        Self::Truncated(truncated)
    }
}

pub(super) fn open(message: &[u8], expected: u32) -> Result<Reader<'_>, ParseError> {
    if message.len() > MAX_MESSAGE {
        let length = message.len();
        return Err(ParseError::TooLong { length });
    }
    let mut reader = Reader::new(message);
    if reader.bytes(8)? != SIGNATURE {
        return Err(ParseError::Signature);
    }
    match reader.u32()? {
        found if found == expected => Ok(reader),
        found => Err(ParseError::Type { expected, found }),
    }
}

pub(super) fn start(kind: u32) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    out.extend(kind.to_le_bytes());
    out
}

/// A descriptor: where in the message a value of variable length lies.
#[derive(Clone, Copy, Default)]
pub(super) struct Field {
    name: &'static str,
    length: u16,
    offset: u32,
}

impl Field {
    pub(super) fn parse(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, Truncated> {
        let (length, _, offset) = (reader.u16()?, reader.u16()?, reader.u32()?);
        Ok(Self {
            name,
            length,
            offset,
        })
    }

    /// The value; an empty one may point anywhere, others only behind the header.
    pub(super) fn bytes<'a>(&self, message: &'a [u8], header: u32) -> Result<&'a [u8], ParseError> {
        if self.length == 0 {
            return Ok(&[]);
        }
        let end = u64::from(self.offset) + u64::from(self.length);
        let range = usize::try_from(self.offset).ok().zip(end.try_into().ok());
        range
            .filter(|_| self.offset >= header)
            .and_then(|(start, end)| message.get(start..end))
            .ok_or(ParseError::Field {
                name: self.name,
                offset: self.offset,
                length: self.length,
            })
    }

    /// The value as a name fit for logs: bounded, no control characters.
    pub(super) fn text(
        &self,
        message: &[u8],
        header: u32,
        flags: Flags,
    ) -> Result<String, ParseError> {
        let bytes = self.bytes(message, header)?;
        let odd = flags.contains(Flags::UNICODE) && !bytes.len().is_multiple_of(2);
        if odd || bytes.len() > MAX_NAME {
            return Err(ParseError::Length {
                name: self.name,
                length: bytes.len(),
            });
        }
        let text = if flags.contains(Flags::UNICODE) {
            wire::from_utf16(bytes)
        } else {
            String::from_utf8_lossy(bytes).into_owned()
        };
        if text.chars().any(char::is_control) {
            Err(ParseError::Control { name: self.name })
        } else {
            Ok(text)
        }
    }
}

/// Where the payload starts; the whole size if there is none.
pub(super) fn lowest_offset(message: &[u8], fields: &[Field]) -> usize {
    let used = fields.iter().filter(|field| field.length != 0);
    let lowest = used.map(|field| field.offset).min();
    lowest
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or(message.len())
}

/// Collects values of variable length behind a header of known size.
pub(super) struct Payload {
    header: usize,
    bytes: Vec<u8>,
}

impl Payload {
    pub(super) fn new(header: usize) -> Self {
        let bytes = Vec::new();
        Self { header, bytes }
    }

    /// Adds a value (cut at 65,535 bytes) and gives its descriptor.
    pub(super) fn push(&mut self, value: &[u8]) -> [u8; 8] {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let offset = u32::try_from(self.header + self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend(value.iter().take(usize::from(length)));
        let ([a, b], [c, d, e, f]) = (length.to_le_bytes(), offset.to_le_bytes());
        [a, b, a, b, c, d, e, f]
    }

    pub(super) fn append_to(self, mut header: Vec<u8>) -> Vec<u8> {
        header.extend(self.bytes);
        header
    }
}
