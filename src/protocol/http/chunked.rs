//! The chunked transfer coding (RFC 9112 7.1). Windows never uses it; other clients and
//! receivers do.

use super::{Error, Limits, trim};

/// Maximum length of a chunk-size line or trailer in bytes, with its CRLF. Without
/// extensions such a line has about ten bytes; trailers are header lines, all of which are
/// ignored.
pub(super) const MAX_LINE: usize = 1024;

/// Maximum number of hexadecimal digits of a chunk size: enough for 64 bits.
const MAX_DIGITS: usize = 16;

/// Decoder state: what the next byte of a chunked body belongs to.
#[derive(Debug)]
pub(super) struct Chunked {
    part: Part,
    /// Number of bytes of extensions and trailers so far. They are ignored, and count
    /// against the limit of the head.
    overhead: usize,
}

#[derive(Debug)]
enum Part {
    Size,
    Data { left: usize },
    DataEnd,
    Trailers,
}

/// Progress of one call to the decoder.
pub(super) struct Step {
    /// Number of bytes consumed.
    pub(super) consumed: usize,
    /// Whether the body is complete. What follows belongs to the next message.
    pub(super) done: bool,
}

impl Chunked {
    pub(super) fn new() -> Self {
        let part = Part::Size;
        Self { part, overhead: 0 }
    }

    /// Decodes as much as possible from the front of `bytes` and appends the data to
    /// `body`. Limits apply across calls.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        body: &mut Vec<u8>,
        limits: &Limits,
    ) -> Result<Step, Error> {
        let mut rest = bytes;
        loop {
            let before = rest.len();
            rest = match self.part {
                Part::Size => self.take_size(rest, body.len(), limits)?,
                Part::Data { left } => self.take_data(rest, left, body),
                Part::DataEnd => self.take_data_end(rest, body.len())?,
                Part::Trailers => match take_line(rest, body.len())? {
                    Some((b"", rest)) => return Ok(step(bytes, rest, true)),
                    Some((line, rest)) => self.pay(line.len(), limits).map(|()| rest)?,
                    None => rest,
                },
            };
            if rest.len() == before {
                return Ok(step(bytes, rest, false));
            }
        }
    }

    fn take_size<'a>(
        &mut self,
        bytes: &'a [u8],
        offset: usize,
        limits: &Limits,
    ) -> Result<&'a [u8], Error> {
        let Some((line, rest)) = take_line(bytes, offset)? else {
            return Ok(bytes);
        };
        let (size, extra) = parse_size(line).ok_or(Error::MalformedChunk { offset })?;
        self.pay(extra, limits)?;
        if size > limits.body.saturating_sub(offset) {
            let limit = limits.body;
            return Err(Error::BodyTooLong { limit });
        }
        self.part = match size {
            0 => Part::Trailers,
            left => Part::Data { left },
        };
        Ok(rest)
    }

    fn take_data<'a>(&mut self, bytes: &'a [u8], left: usize, body: &mut Vec<u8>) -> &'a [u8] {
        let (data, rest) = bytes.split_at(left.min(bytes.len()));
        body.extend_from_slice(data);
        self.part = match left - data.len() {
            0 => Part::DataEnd,
            left => Part::Data { left },
        };
        rest
    }

    fn take_data_end<'a>(&mut self, bytes: &'a [u8], offset: usize) -> Result<&'a [u8], Error> {
        match bytes {
            [b'\r', b'\n', rest @ ..] => {
                self.part = Part::Size;
                Ok(rest)
            }
            [] | [b'\r'] => Ok(bytes),
            _ => Err(Error::MalformedChunk { offset }),
        }
    }

    /// Counts bytes that are not data against the limit of the head, so that endless
    /// extensions end the connection.
    fn pay(&mut self, bytes: usize, limits: &Limits) -> Result<(), Error> {
        self.overhead = self.overhead.saturating_add(bytes);
        if self.overhead > limits.head {
            let limit = limits.head;
            return Err(Error::ChunkTooLong { limit });
        }
        Ok(())
    }
}

fn step(bytes: &[u8], rest: &[u8], done: bool) -> Step {
    let consumed = bytes.len() - rest.len();
    Step { consumed, done }
}

/// Splits a line without its CRLF from what follows. A lone CR or LF is an error, because
/// another parser on the way could see a different line end there (request smuggling, RFC
/// 9112 11.2).
#[expect(clippy::type_complexity, reason = "a line and the rest, or not yet")]
fn take_line(bytes: &[u8], offset: usize) -> Result<Option<(&[u8], &[u8])>, Error> {
    let searched = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', searched) else {
        let limit = MAX_LINE;
        let full = searched.len() == MAX_LINE;
        return if full {
            Err(Error::ChunkTooLong { limit })
        } else {
            Ok(None)
        };
    };
    let (line, rest) = bytes.split_at(end);
    match line.split_last() {
        Some((b'\r', line)) if !line.contains(&b'\r') => {
            Ok(Some((line, rest.get(1..).unwrap_or_default())))
        }
        _ => Err(Error::MalformedChunk { offset }),
    }
}

/// Parses a chunk-size line; returns the size and the length of the extension in bytes.
fn parse_size(line: &[u8]) -> Option<(usize, usize)> {
    let line = std::str::from_utf8(line).ok()?;
    let (digits, extension) = line.split_once(';').unwrap_or((line, ""));
    let digits = trim(digits);
    if digits.len() > MAX_DIGITS || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let size = u64::from_str_radix(digits, 16).ok()?;
    Some((usize::try_from(size).unwrap_or(usize::MAX), extension.len()))
}
