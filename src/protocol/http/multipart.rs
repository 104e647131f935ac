//! Sealed bodies, `multipart/encrypted` (MS-WSMV 2.2.9.1), as Windows writes them.
//!
//! Not quite MIME: no blank line ends the headers of a part, and no line end precedes the
//! closing delimiter. The data may contain any bytes, even a delimiter, so the parts are
//! parsed from the front, and the closing delimiter must be at the end.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write;
use std::ops::Range;

use super::content_type::{find, parse_parameters};
use super::{ContentType, is};
use crate::base::wire::Charset;

/// Media type of a body that is sealed as a whole.
const ONE: &str = "multipart/encrypted";
/// Media type of a body that is sealed in pieces.
const SEVERAL: &str = "multipart/x-multi-encrypted";

/// Maximum size of a security token in bytes. NTLM tokens have 16, Kerberos tokens about
/// 60. The limit also prevents a line end in place of the size from being read as a size.
pub const MAX_TOKEN: usize = 1024;

/// Maximum size of the headers of one part in bytes; those of Windows have about 140.
const MAX_PART_HEADERS: usize = 4096;

/// Maximum number of pairs of parts in one body. Clients put up to 16 KiB into a pair,
/// so no envelope needs as many.
const MAX_PAIRS: usize = 2048;

/// Media type of the part that contains the data.
const OCTETS: &str = "application/octet-stream";

/// The boundary that Windows uses and some clients require.
const BOUNDARY: &str = "Encrypted Boundary";

/// The mechanism that sealed a body: the scheme of the `Authorization` header that began
/// the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Scheme `Negotiate`, with NTLM or Kerberos inside.
    Spnego,
    /// Scheme `Kerberos`.
    Kerberos,
}

impl Mechanism {
    /// The value of the `protocol` parameter, which is also the type of the first part.
    #[must_use]
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Spnego => "application/HTTP-SPNEGO-session-encrypted",
            Self::Kerberos => "application/HTTP-Kerberos-session-encrypted",
        }
    }

    /// Parses a `protocol` parameter, ignoring case. `None` for CredSSP, among others.
    #[must_use]
    pub fn from_protocol(protocol: &str) -> Option<Self> {
        let all = [Self::Spnego, Self::Kerberos];
        all.into_iter().find(|m| is(m.protocol(), protocol))
    }
}

/// How a sealed body is formatted. The answer copies the style of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The mechanism that the body names.
    pub mechanism: Mechanism,
    /// The charset of the text inside, from `OriginalContent`.
    pub charset: Charset,
    /// Whether a tab precedes the headers of the parts. MS-WSMV 2.2.9.1.1 shows it, and
    /// pywinrm and pypsrp expect it; the forwarder of Windows does not send it.
    pub tab: bool,
}

impl Style {
    /// The style of the Windows forwarder.
    #[must_use]
    pub fn windows(mechanism: Mechanism, charset: Charset) -> Self {
        Self {
            mechanism,
            charset,
            tab: false,
        }
    }
}

/// The positions of the parts of a sealed body, so that it can be unsealed in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The format of the body.
    pub style: Style,
    /// Declared length of the text before sealing, after any compression. The caller
    /// compares it with the result of unsealing.
    pub length: usize,
    /// The security token (signature), as a range of the body.
    pub token: Range<usize>,
    /// The sealed data, as a range of the body.
    pub data: Range<usize>,
}

/// Why a body is not a valid sealed body. Offsets are in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The content type is not `multipart/encrypted`.
    NotEncrypted,
    /// The protocol is missing or unknown, such as CredSSP.
    UnknownProtocol,
    /// The content type has no boundary.
    NoBoundary,
    /// A delimiter is missing.
    MissingDelimiter {
        /// Where it should be.
        offset: usize,
    },
    /// The first part does not have the protocol of the content type.
    OtherProtocol {
        /// Where the part begins.
        offset: usize,
    },
    /// The second part is not declared as `application/octet-stream`.
    NoOctetStream {
        /// Where the part begins.
        offset: usize,
    },
    /// The headers of a part exceed the limit.
    PartHeadersTooLong {
        /// Where the part begins.
        offset: usize,
    },
    /// `OriginalContent` or its length is missing or malformed.
    MalformedLength,
    /// The declared length exceeds the size of the sealed data.
    WrongLength {
        /// The declared length, in bytes.
        declared: usize,
        /// Size of the data, in bytes.
        present: usize,
    },
    /// The size of the token is missing, exceeds the limit, or exceeds the body.
    MalformedToken {
        /// Offset of the size.
        offset: usize,
    },
    /// The body does not end with the closing delimiter.
    MissingEnd,
    /// More pairs of parts than any client sends.
    TooManyPairs,
    /// The parts do not all declare the same charset.
    MixedPairs,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEncrypted => f.write_str("content type is not multipart/encrypted"),
            Self::UnknownProtocol => f.write_str("unknown protocol of multipart/encrypted"),
            Self::NoBoundary => f.write_str("multipart/encrypted without boundary"),
            Self::MissingDelimiter { offset } => {
                write!(f, "no multipart delimiter at byte {offset}")
            }
            Self::OtherProtocol { offset } => write!(
                f,
                "the part at byte {offset} is not of the protocol of its multipart/encrypted"
            ),
            Self::NoOctetStream { offset } => write!(
                f,
                "the part at byte {offset} is not Content-Type: application/octet-stream"
            ),
            Self::PartHeadersTooLong { offset } => {
                write!(f, "headers of the part at byte {offset} are too long")
            }
            Self::MalformedLength => f.write_str("no valid length of the original content"),
            Self::WrongLength { declared, present } => write!(
                f,
                "original content of {declared} bytes in {present} bytes of sealed data"
            ),
            Self::MalformedToken { offset } => {
                write!(f, "no valid security token at byte {offset}")
            }
            Self::MissingEnd => f.write_str("no closing multipart delimiter"),
            Self::TooManyPairs => write!(f, "more than {MAX_PAIRS} sealed parts in one body"),
            Self::MixedPairs => f.write_str("sealed parts of different charsets in one body"),
        }
    }
}

impl std::error::Error for Error {}

/// Locates token and data in a sealed body, so that they can be unsealed in place.
///
/// Tolerates the variants of other clients: white space before part headers, blank lines
/// after them, bare LF, a space after the dashes of a delimiter, and a missing or
/// additional line end at the end.
///
/// # Errors
/// The body is not sealed in one part, or is malformed.
pub fn parse(content_type: &ContentType, body: &[u8]) -> Result<Sealed, Error> {
    if !content_type.is(ONE) {
        return Err(Error::NotEncrypted);
    }
    let (mechanism, boundary) = parameters(content_type)?;
    let mut cursor = Cursor { body, at: 0 };
    let (length, style) = original_content(&mut cursor, boundary, mechanism)?;
    cursor.delimiter(boundary)?;
    cursor.data_headers()?;
    let token = cursor.token()?;
    let data = token.end..end_of_data(body, token.end, boundary)?;
    if length > data.len() {
        let (declared, present) = (length, data.len());
        return Err(Error::WrongLength { declared, present });
    }
    Ok(Sealed {
        style,
        length,
        token,
        data,
    })
}

/// Whether a body of this type is sealed, in one or in several parts.
#[must_use]
pub fn is_sealed(content_type: &ContentType) -> bool {
    content_type.is(ONE) || content_type.is(SEVERAL)
}

/// Like [`parse`], but also accepts a body in several parts (`multipart/x-multi-encrypted`,
/// MS-WSMV 2.2.9.1.3), each of which has its own token. Unsealed in order and concatenated,
/// they give the text.
///
/// The data of such a part is as long as declared, because it may contain a delimiter.
///
/// # Errors
/// The body is not sealed, is malformed, or has too many parts.
pub fn parse_all(content_type: &ContentType, body: &[u8]) -> Result<Vec<Sealed>, Error> {
    if !content_type.is(SEVERAL) {
        return parse(content_type, body).map(|sealed| vec![sealed]);
    }
    let (mechanism, boundary) = parameters(content_type)?;
    let mut cursor = Cursor { body, at: 0 };
    let mut pairs: Vec<Sealed> = Vec::new();
    while !cursor.is_end(boundary) {
        if pairs.len() == MAX_PAIRS {
            return Err(Error::TooManyPairs);
        }
        let (length, style) = original_content(&mut cursor, boundary, mechanism)?;
        let charset = |pair: &Sealed| pair.style.charset;
        if pairs
            .first()
            .is_some_and(|first| charset(first) != style.charset)
        {
            return Err(Error::MixedPairs);
        }
        cursor.delimiter(boundary)?;
        cursor.data_headers()?;
        let token = cursor.token()?;
        let data = cursor.data(token.end, length)?;
        pairs.push(Sealed {
            style,
            length,
            token,
            data,
        });
    }
    if pairs.is_empty() {
        Err(Error::MissingDelimiter { offset: 0 })
    } else {
        Ok(pairs)
    }
}

/// Mechanism and boundary, required for both kinds of sealed bodies.
fn parameters(content_type: &ContentType) -> Result<(Mechanism, &str), Error> {
    let protocol = content_type.protocol();
    let mechanism = protocol.and_then(Mechanism::from_protocol);
    let boundary = content_type.boundary().filter(|b| !b.is_empty());
    let mechanism = mechanism.ok_or(Error::UnknownProtocol)?;
    Ok((mechanism, boundary.ok_or(Error::NoBoundary)?))
}

/// The `Content-Type` of a body that [`emit`] writes. Constants, byte for byte as Windows
/// sends them.
#[must_use]
pub fn content_type(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Spnego => {
            "multipart/encrypted;protocol=\"application/HTTP-SPNEGO-session-encrypted\";boundary=\"Encrypted Boundary\""
        }
        Mechanism::Kerberos => {
            "multipart/encrypted;protocol=\"application/HTTP-Kerberos-session-encrypted\";boundary=\"Encrypted Boundary\""
        }
    }
}

/// Appends a sealed body to `out`, in the given style and otherwise byte for byte as
/// Windows writes it.
///
/// `length` is the size of the text before sealing, in bytes. A token is far smaller than 4
/// GiB, so its size always fits.
pub fn emit(style: Style, length: usize, token: &[u8], data: &[u8], out: &mut Vec<u8>) {
    out.reserve(256 + token.len() + data.len());
    let (protocol, charset) = (style.mechanism.protocol(), style.charset.name());
    let tab = if style.tab { "\t" } else { "" };
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "--{BOUNDARY}\r\n{tab}Content-Type: {protocol}\r\n\
         {tab}OriginalContent: type=application/soap+xml;charset={charset};Length={length}\r\n\
         --{BOUNDARY}\r\n{tab}Content-Type: {OCTETS}\r\n"
    );
    out.extend(u32::try_from(token.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(token);
    out.extend_from_slice(data);
    let _ = write!(out, "--{BOUNDARY}--\r\n");
}

/// Parses the first part; returns length and style from `OriginalContent`.
fn original_content(
    cursor: &mut Cursor<'_>,
    boundary: &str,
    mechanism: Mechanism,
) -> Result<(usize, Style), Error> {
    cursor.delimiter(boundary)?;
    let start = cursor.at;
    let tab = cursor.rest().starts_with(b"\t");
    let (mut original, mut protocol) = (None, None);
    while !cursor.rest().starts_with(b"--") {
        let line = cursor.line();
        let line = line.filter(|_| cursor.at - start <= MAX_PART_HEADERS);
        let line = line.ok_or(Error::PartHeadersTooLong { offset: start })?;
        match header(line) {
            Some((name, value)) if is(name, "OriginalContent") => {
                original = original.or_else(|| Some(parse_parameters(value)));
            }
            Some((name, value)) if is(name, "Content-Type") => {
                protocol = protocol.or_else(|| Mechanism::from_protocol(value));
            }
            _ => {}
        }
    }
    if protocol != Some(mechanism) {
        return Err(Error::OtherProtocol { offset: start });
    }
    let parameters = original.ok_or(Error::MalformedLength)?;
    let length = find(&parameters, "length").and_then(decimal);
    let charset = find(&parameters, "charset").and_then(Charset::from_name);
    let length = length.ok_or(Error::MalformedLength)?;
    let style = Style {
        mechanism,
        charset: charset.unwrap_or_default(),
        tab,
    };
    Ok((length, style))
}

/// Splits a header line of a part at its colon.
fn header(line: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    Some((name.trim(), value.trim()))
}

/// Parses digits; unlike `parse` it rejects a plus sign.
fn decimal(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Offset of the closing delimiter, which must be the last thing in the body.
fn end_of_data(body: &[u8], start: usize, boundary: &str) -> Result<usize, Error> {
    let after = body.get(start..).unwrap_or_default();
    let rest = strip_line_end(after).strip_suffix(b"--");
    let rest = rest.and_then(|r| r.strip_suffix(boundary.as_bytes()));
    let dashes: [&[u8]; 2] = [b"--", b"-- "];
    let mut ends = dashes.iter().filter_map(|d| rest?.strip_suffix(*d));
    let data = ends.next().ok_or(Error::MissingEnd)?;
    Ok(start + data.len())
}

/// Removes one line end, LF or CRLF.
fn strip_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Reads the lines of a body from the front.
struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// The next line without its end and without leading white space.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let searched = rest.get(..MAX_PART_HEADERS).unwrap_or(rest);
        let end = memchr::memchr(b'\n', searched)? + 1;
        self.at += end;
        Some(strip_line_end(rest.get(..end)?).trim_ascii_start())
    }

    fn delimiter(&mut self, boundary: &str) -> Result<(), Error> {
        let offset = self.at;
        let name = self.line().and_then(|line| line.strip_prefix(b"--"));
        match name {
            Some(name) if name.trim_ascii() == boundary.as_bytes() => Ok(()),
            _ => Err(Error::MissingDelimiter { offset }),
        }
    }

    /// Skips the headers of the second part: lines that begin with a known header, since
    /// nothing else separates them from the size of the token.
    fn data_headers(&mut self) -> Result<(), Error> {
        const START: &[u8] = b"Content-";
        let offset = self.at;
        let mut is_data = false;
        loop {
            let start = self.rest().trim_ascii_start().get(..START.len());
            let is_header = start.is_some_and(|start| start.eq_ignore_ascii_case(START));
            let Some(line) = is_header.then(|| self.line()).flatten() else {
                break;
            };
            is_data |= header(line)
                .is_some_and(|(name, value)| is(name, "Content-Type") && is(value, OCTETS));
        }
        is_data.then_some(()).ok_or(Error::NoOctetStream { offset })
    }

    /// The range of the token, which follows its size; a blank line may come first.
    fn token(&mut self) -> Result<Range<usize>, Error> {
        let offset = self.at;
        let token = self.sized_token().or_else(|| {
            let blank = self.line()?.is_empty();
            blank.then(|| self.sized_token()).flatten()
        });
        token.ok_or(Error::MalformedToken { offset })
    }

    /// The range of the data of one of several parts; as long as declared.
    fn data(&mut self, start: usize, length: usize) -> Result<Range<usize>, Error> {
        let present = self.body.len().saturating_sub(start);
        if length > present {
            let declared = length;
            return Err(Error::WrongLength { declared, present });
        }
        self.at = start + length;
        // A delimiter may be preceded by a line end, or by nothing.
        let rest = self.rest();
        let line_end = [b"\r\n".as_slice(), b"\n"];
        let next = line_end.iter().find_map(|end| rest.strip_prefix(*end));
        if let Some(next) = next {
            self.at = self.body.len() - next.len();
        }
        Ok(start..start + length)
    }

    /// Whether the closing delimiter is next, with nothing after it.
    fn is_end(&self, boundary: &str) -> bool {
        let rest = strip_line_end(self.rest()).strip_suffix(b"--");
        let name = rest.and_then(|rest| rest.strip_prefix(b"--"));
        name.is_some_and(|name| name.trim_ascii() == boundary.as_bytes())
    }

    /// The range of the token, if the next four bytes can be its size.
    fn sized_token(&self) -> Option<Range<usize>> {
        let (size, rest) = self.rest().split_first_chunk()?;
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        let start = self.at + 4;
        (size <= MAX_TOKEN.min(rest.len())).then_some(start..start + size)
    }
}
