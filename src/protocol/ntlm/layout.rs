//! The layout of NTLM messages: signature, type, and fields that point into a payload.

use std::fmt;

use crate::base::wire::{self, Reader, Truncated};
use crate::protocol::ntlm::flags::Flags;

/// Maximum number of pairs in one list; eleven kinds are defined, each of which occurs at
/// most once.
pub const MAX_AV_PAIRS: usize = 64;

/// Maximum size of a message in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Maximum size of a user, domain, or workstation name in bytes of UTF-16; DNS names have
/// at most 255 characters.
pub const MAX_NAME: usize = 512;

pub(super) const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// Why bytes are not a valid NTLM message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Longer than [`MAX_MESSAGE`].
    TooLong {
        /// Size in bytes.
        length: usize,
    },
    /// A fixed field or an attribute is truncated.
    Truncated(Truncated),
    /// The first eight bytes are not `NTLMSSP\0`.
    Signature,
    /// Another message than the expected one.
    Type {
        /// The expected message type.
        expected: u32,
        /// The message type found.
        found: u32,
    },
    /// A field points into the header or beyond the end.
    Field {
        /// Name of the field in MS-NLMP.
        name: &'static str,
        /// Offset that it points to, from the start of the message.
        offset: u32,
        /// Its size in bytes.
        length: u16,
    },
    /// A field has a size that its type cannot have.
    Length {
        /// Name of the field in MS-NLMP.
        name: &'static str,
        /// Its size in bytes.
        length: usize,
    },
    /// A name contains a control character.
    Control {
        /// Name of the field in MS-NLMP.
        name: &'static str,
    },
    /// An attribute whose value has the wrong size.
    Pair {
        /// Id of the attribute.
        id: u16,
        /// Its offset in the list, in bytes.
        offset: usize,
    },
    /// More than [`MAX_AV_PAIRS`] attributes.
    TooManyPairs {
        /// Offset of the first excess attribute in the list, in bytes.
        offset: usize,
    },
    /// An NTLMv2 response of an unknown version.
    ResponseVersion {
        /// RespType and HiRespType, which must both be 1.
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

/// A field descriptor: where in the message a value of variable length is.
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

    /// The value. An empty one may point anywhere, others only to bytes after the header.
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

    /// The value as a name that is safe to log: bounded, without control characters.
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

/// Offset of the payload; the size of the message if there is none.
pub(super) fn lowest_offset(message: &[u8], fields: &[Field]) -> usize {
    let used = fields.iter().filter(|field| field.length != 0);
    let lowest = used.map(|field| field.offset).min();
    lowest
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or(message.len())
}

/// Collects values of variable length that follow a header of known size.
pub(super) struct Payload {
    header: usize,
    bytes: Vec<u8>,
}

impl Payload {
    pub(super) fn new(header: usize) -> Self {
        let bytes = Vec::new();
        Self { header, bytes }
    }

    /// Adds a value (truncated at 65,535 bytes) and returns its descriptor.
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
