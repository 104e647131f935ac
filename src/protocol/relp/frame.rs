//! RELP frames: `TXNR SP COMMAND SP DATALEN [SP DATA] LF`.

use memchr::memchr;

use super::Error;
use crate::base::wire::push_number;

/// Maximum size in bytes of the data to accept in a frame: the default of librelp. Answers
/// need about a hundred.
pub const REPLY_MAX: usize = 128 * 1024;
/// Maximum size in bytes of the data that can be sent: a length has at most nine digits.
pub const DATA_MAX: usize = 999_999_999;
/// Maximum number of digits of a number.
const DIGITS: usize = 9;
/// Maximum number of letters of a command.
const COMMAND_MAX: usize = 32;

/// A frame from the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The transaction that it answers; 0 for a hint.
    pub transaction: u32,
    /// The command, such as `rsp` or `serverclose`.
    pub command: &'a [u8],
    /// Its data, often empty.
    pub data: &'a [u8],
}

/// Parses the frame at the front of `bytes`. Returns it and its length in bytes; `None` if
/// more bytes are needed.
///
/// ```
/// use wecrelay::protocol::relp::parse;
/// let (frame, length) = parse(b"2 rsp 6 200 OK\n3 r")?.expect("a whole frame");
/// assert_eq!((frame.transaction, frame.data, length), (2, &b"200 OK"[..], 15));
/// assert_eq!(parse(b"3 r")?, None);
/// # Ok::<(), wecrelay::protocol::relp::Error>(())
/// ```
///
/// # Errors
/// [`Error::Syntax`] with its offset, or [`Error::TooLong`]; more bytes cannot help.
pub fn parse(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Error> {
    let mut reader = Reader { bytes, at: 0 };
    let frame = reader.frame()?;
    Ok(frame.map(|frame| (frame, reader.at)))
}

/// Appends a frame. `data` must not exceed [`DATA_MAX`].
pub(super) fn emit(transaction: u32, command: &str, data: &[u8], out: &mut Vec<u8>) {
    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
    push_number(out, u64::from(transaction));
    out.push(b' ');
    out.extend_from_slice(command.as_bytes());
    out.push(b' ');
    push_number(out, length);
    if !data.is_empty() {
        out.push(b' ');
        out.extend_from_slice(data);
    }
    out.push(b'\n');
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn frame(&mut self) -> Result<Option<Frame<'a>>, Error> {
        let Some(transaction) = self.word(DIGITS, u8::is_ascii_digit)? else {
            return Ok(None);
        };
        let Some(command) = self.word(COMMAND_MAX, u8::is_ascii_alphabetic)? else {
            return Ok(None);
        };
        let Some(data) = self.data()? else {
            return Ok(None);
        };
        let transaction = number(transaction);
        Ok(Some(Frame {
            transaction,
            command,
            data,
        }))
    }

    /// Splits off one to `most` bytes that `fits` accepts, and the space after them.
    fn word(&mut self, most: usize, fits: fn(&u8) -> bool) -> Result<Option<&'a [u8]>, Error> {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| fits(byte)).count();
        match rest.get(length) {
            _ if length > most => Err(Error::Syntax(self.at + most)),
            None => Ok(None),
            Some(b' ') if length > 0 => {
                self.at += length + 1;
                Ok(rest.get(..length))
            }
            Some(_) => Err(Error::Syntax(self.at + length)),
        }
    }

    fn data(&mut self) -> Result<Option<&'a [u8]>, Error> {
        let rest = self.rest();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > DIGITS {
            return Err(Error::Syntax(self.at + DIGITS));
        }
        let Some(after) = rest.get(digits) else {
            return Ok(None);
        };
        let length = number(rest.get(..digits).unwrap_or_default());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let start = match after {
            b' ' if digits > 0 => digits + 1,
            b'\n' if digits > 0 && length == 0 => digits,
            _ => return Err(Error::Syntax(self.at + digits)),
        };
        if length > REPLY_MAX {
            return Err(Error::TooLong(length));
        }
        self.end(start, start + length)
    }

    /// The data between two offsets, if the line feed after it has arrived, too.
    fn end(&mut self, start: usize, end: usize) -> Result<Option<&'a [u8]>, Error> {
        let rest = self.rest();
        match rest.get(end) {
            None => Ok(None),
            Some(b'\n') => {
                self.at += end + 1;
                Ok(rest.get(start..end))
            }
            Some(_) => Err(Error::Syntax(self.at + end)),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

/// Converts at most nine digits, so it cannot overflow.
fn number(digits: &[u8]) -> u32 {
    let add = |number: u32, digit: &u8| number * 10 + u32::from(digit.wrapping_sub(b'0'));
    digits.iter().fold(0, add)
}

/// An answer: `CODE [SP TEXT] [LF DATA]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    /// Whether the code is 200.
    pub(super) good: bool,
    /// The first line, with the code.
    pub(super) status: &'a [u8],
    /// Everything after the first line.
    pub(super) data: &'a [u8],
}

impl<'a> Reply<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let (status, data) = match memchr(b'\n', data) {
            Some(at) => (
                data.get(..at).unwrap_or_default(),
                data.get(at + 1..).unwrap_or_default(),
            ),
            None => (data, &[][..]),
        };
        let code = status.first_chunk::<3>();
        let ends = matches!(status.get(3), None | Some(b' '));
        match code {
            Some(code) if ends && code.iter().all(u8::is_ascii_digit) => Ok(Self {
                good: code == b"200",
                status,
                data,
            }),
            _ => Err(Error::Status(super::printable(status))),
        }
    }
}
