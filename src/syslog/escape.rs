//! Escapes for values of structured data and for `MSG`.

pub(super) mod table;

use self::table::Table;
use super::{ControlCharacters, Escape, Style};
use crate::base::lanes::{ByteClass, Lanes, Mask, find, push_plain, push_short};
use crate::base::pieces::{self, Pieces};

/// Appends a PARAM-VALUE (RFC 5424 6.3.3) without its quotes. `"`, `\`, and `]` are always escaped,
/// control characters only if `style.control` requires it.
pub(super) fn push_value(out: &mut Vec<u8>, value: &str, style: &Style) {
    let undone = style.escape == Escape::Reversible;
    match style.control {
        ControlCharacters::Keep => push_escaped(out, value, Kept),
        ControlCharacters::Escape => push_escaped(out, value, Value { undone }),
    }
}

/// Appends a PARAM-VALUE that usually is a part of `xml`; the same as [`push_value`] for the style
/// of `form`.
#[inline(always)]
pub(super) fn push_value_part(out: &mut Pieces<'_>, xml: &str, value: &str, form: impl Form) {
    #[cfg(test)]
    walked::add(value.len());
    if !out.part(xml, value, form) {
        push_special_part(out, pieces::from(xml, value), value, form);
    }
}

/// Appends a text that has something to escape. If it is a part of a longer text, `from` begins
/// with it, so that whole blocks can be read.
#[inline(never)]
fn push_special_part(out: &mut Pieces<'_>, from: &[u8], text: &str, form: impl Form) {
    if text.len() >= Table::LEAST {
        return push_special(out.flush(), text.as_bytes(), form);
    }
    let from = if from.is_empty() {
        text.as_bytes()
    } else {
        from
    };
    let mut rest = text.as_bytes();
    while let Some(block) = from
        .get(text.len().saturating_sub(rest.len())..)
        .and_then(|from| from.first_chunk())
        && !rest.is_empty()
    {
        let length = rest.len().min(block.len());
        let plain = out.until(block, length, form);
        rest = rest.get(plain..).unwrap_or_default();
        if plain < length {
            let (piece, length) = first_piece(rest, form);
            out.front(&piece, length_of(piece));
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    if !rest.is_empty() {
        push_special(out.flush(), rest, form);
    }
}

/// Whether a PARAM-VALUE has more than `most` bytes when escaped. Escapes nothing; measures only
/// values for which their length does not decide.
pub(super) fn is_longer(value: &str, most: usize, style: &Style) -> bool {
    let undone = style.escape == Escape::Reversible;
    // A byte becomes at most seven bytes (`\\u0000`), and no value becomes shorter.
    if value.len() > most || value.len().saturating_mul(7) <= most {
        return value.len() > most;
    }
    let (whole, _) = match style.control {
        ControlCharacters::Keep => measure(value, most, Kept),
        ControlCharacters::Escape => measure(value, most, Value { undone }),
    };
    whole < value.len()
}

/// Appends text of `MSG`, with control characters escaped if `style.control` requires it.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str, style: &Style) {
    let undone = style.escape == Escape::Reversible;
    match style.control {
        ControlCharacters::Keep => out.extend_from_slice(text.as_bytes()),
        ControlCharacters::Escape => push_escaped(out, text, Text { undone }),
    }
}

/// Appends text of `MSG` that version 0.1 wrote on one line with every framing: with
/// [`Escape::Version01`] control characters are always escaped.
pub(super) fn push_line(out: &mut Vec<u8>, text: &str, style: &Style) {
    match style.escape {
        Escape::Reversible => push_text(out, text, style),
        Escape::Version01 => push_escaped(out, text, Text { undone: false }),
    }
}

/// The escape of a character: up to seven bytes, and their number in the last byte.
pub(super) type Piece = [u8; 8];

/// The piece with this text, of at most seven bytes; a longer text gives an empty piece.
pub(super) const fn piece(text: &[u8]) -> Piece {
    match *text {
        [a] => [a, 0, 0, 0, 0, 0, 0, 1],
        [a, b] => [a, b, 0, 0, 0, 0, 0, 2],
        [a, b, c] => [a, b, c, 0, 0, 0, 0, 3],
        [a, b, c, d] => [a, b, c, d, 0, 0, 0, 4],
        [a, b, c, d, e] => [a, b, c, d, e, 0, 0, 5],
        [a, b, c, d, e, f] => [a, b, c, d, e, f, 0, 6],
        [a, b, c, d, e, f, g] => [a, b, c, d, e, f, g, 7],
        _ => [0; 8],
    }
}

/// Escapes for the characters that a format does not allow unchanged.
///
/// As a [`ByteClass`], it is the set of bytes with which such a character may begin in UTF-8: ASCII
/// characters, and 0xC2, with which C1 control characters begin.
pub(super) trait Form: ByteClass {
    /// The escape of `c`; `next` is the byte after it, since CR may depend on a following LF.
    fn piece(self, c: char, next: Option<u8>) -> Piece;

    /// The position of the first byte of the class.
    fn find(self, bytes: &[u8]) -> Option<usize> {
        find(bytes, self)
    }
}

/// Appends `text`, escaped.
#[inline(always)]
pub(super) fn push_escaped(out: &mut Vec<u8>, text: &str, form: impl Form) {
    #[cfg(test)]
    walked::add(text.len());
    // Most texts have nothing to escape.
    let start = out.len();
    if !push_plain(out, text.as_bytes(), form) {
        out.truncate(start);
        push_special(out, text.as_bytes(), form);
    }
}

/// Appends a text that has something to escape. A separate function that is never inlined, so that
/// its registers are not saved for texts that have nothing to escape.
#[inline(never)]
fn push_special(out: &mut Vec<u8>, text: &[u8], form: impl Form) {
    let table = (text.len() >= Table::LEAST).then(|| Table::new(form));
    let mut rest = text;
    while let Some((plain, special)) = form.find(rest).and_then(|at| rest.split_at_checked(at)) {
        push_short(out, plain);
        // Some texts consist of escaped characters only.
        rest = match &table {
            Some(table) => table.push_front(out, special, form),
            None => push_each(out, special, form),
        };
    }
    push_short(out, rest);
}

/// Appends the escapes of the special bytes at the front, and returns the rest.
#[inline(always)]
pub(super) fn push_each<'t>(out: &mut Vec<u8>, text: &'t [u8], form: impl Form) -> &'t [u8] {
    let mut rest = text;
    while rest.first().is_some_and(|byte| form.has(*byte)) {
        let (piece, length) = first_piece(rest, form);
        push_piece(out, piece);
        rest = rest.get(length..).unwrap_or_default();
    }
    rest
}

/// The escape of the special byte at the front, and the number of bytes it replaces (2 for a C1
/// control character). 0xC2 at the start of any other character is written unchanged.
fn first_piece(bytes: &[u8], form: impl Form) -> (Piece, usize) {
    match *bytes {
        [0xC2, second @ 0x80..=0x9F, ..] => (form.piece(char::from(second), None), 2),
        [0xC2, ..] => (piece(&[0xC2]), 1),
        [byte, ref rest @ ..] => (form.piece(char::from(byte), rest.first().copied()), 1),
        [] => (piece(b""), 0),
    }
}

fn push_piece(out: &mut Vec<u8>, piece: Piece) {
    // Appending all eight bytes, whose number is constant, and truncating is faster.
    out.extend_from_slice(&piece);
    let unused = piece.len().saturating_sub(length_of(piece));
    out.truncate(out.len().saturating_sub(unused));
}

fn length_of([.., length]: Piece) -> usize {
    usize::from(length)
}

/// How much of `text` fits into `room` bytes when escaped: the number of its bytes, which end at a
/// character boundary, and an upper bound, at most `room`, of the bytes that they become.
/// A text cut between CR and LF may become a byte longer in a form that omits a CR before LF.
pub(super) fn measure(text: &str, room: usize, form: impl Form) -> (usize, usize) {
    let bytes = text.as_bytes();
    let (mut at, mut written) = (0_usize, 0_usize);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        // Escaped characters may come in long runs, for which no search is needed.
        let is_special = rest.first().is_some_and(|&byte| form.has(byte));
        let plain = if is_special {
            0
        } else {
            form.find(rest).unwrap_or(rest.len())
        };
        if written.saturating_add(plain) > room {
            let end = at.saturating_add(room.saturating_sub(written));
            let end = (0..=end).rev().find(|&end| text.is_char_boundary(end));
            #[cfg(test)]
            walked::add(end.unwrap_or(0));
            return (end.unwrap_or(0), room);
        }
        (at, written) = (at.saturating_add(plain), written.saturating_add(plain));
        let special = rest.get(plain..).unwrap_or_default();
        let (piece, length) = first_piece(special, form);
        if written.saturating_add(length_of(piece)) > room {
            break;
        }
        (at, written) = (
            at.saturating_add(length),
            written.saturating_add(length_of(piece)),
        );
    }
    #[cfg(test)]
    walked::add(at);
    // The loop may have stopped after 0xC2, the first byte of a character of two bytes.
    if text.is_char_boundary(at) {
        (at, written)
    } else {
        (at.saturating_sub(1), written.saturating_sub(1))
    }
}

/// Whether a control character may begin with this byte of UTF-8. C1 controls
/// begin with 0xC2, as do U+00A0 to U+00BF.
#[inline(always)]
pub(super) fn may_be_control<L: Lanes>(bytes: L) -> L::Mask {
    bytes.at_most(b' ' - 1) | bytes.is(0x7F) | bytes.is(0xC2)
}

/// A value of structured data in which control characters are not escaped.
#[derive(Clone, Copy)]
pub(super) struct Kept;

impl ByteClass for Kept {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        bytes.is(b'"') | bytes.is(b'\\') | bytes.is(b']')
    }
}

impl Form for Kept {
    fn piece(self, c: char, _: Option<u8>) -> Piece {
        [b'\\', low_byte(c), 0, 0, 0, 0, 0, 2]
    }
}

/// A value of structured data with escaped control characters. The backslash of each escape is
/// doubled, as RFC 5424 6.3.3 requires of a backslash in a value.
#[derive(Clone, Copy)]
pub(super) struct Value {
    /// Whether receivers can reverse the escapes: then backslashes of the value itself are escaped
    /// as in text first, and doubled again by the rules of structured data.
    pub(super) undone: bool,
}

impl ByteClass for Value {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        may_be_control(bytes) | Kept.of(bytes)
    }
}

impl Form for Value {
    fn piece(self, c: char, next: Option<u8>) -> Piece {
        match c {
            '\\' if self.undone => piece(br"\\\\"),
            '\\' | '"' | ']' => Kept.piece(c, next),
            '\r' if next == Some(b'\n') && !self.undone => piece(b""),
            '\n' => piece(br"\\n"),
            '\r' => piece(br"\\r"),
            '\t' => piece(br"\\t"),
            c => {
                let [high, low] = hex(c);
                [b'\\', b'\\', b'u', b'0', b'0', high, low, 7]
            }
        }
    }
}

/// Text with escaped control characters.
#[derive(Clone, Copy)]
struct Text {
    /// Whether receivers can reverse the escapes: then backslashes are escaped, and CR LF stays two
    /// characters.
    undone: bool,
}

impl ByteClass for Text {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        may_be_control(bytes) | bytes.is(b'\\').only_if(self.undone)
    }
}

impl Form for Text {
    fn piece(self, c: char, next: Option<u8>) -> Piece {
        match c {
            '\\' => piece(br"\\"),
            '\r' if next == Some(b'\n') && !self.undone => piece(b""),
            '\n' => piece(br"\n"),
            '\r' => piece(br"\r"),
            '\t' => piece(br"\t"),
            c => code(c),
        }
    }
}

/// `\u0085`, for example; all control characters have codes below 256.
pub(super) fn code(c: char) -> Piece {
    let [high, low] = hex(c);
    [b'\\', b'u', b'0', b'0', high, low, 0, 6]
}

fn hex(c: char) -> [u8; 2] {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let code = low_byte(c);
    [digit(code >> 4), digit(code & 15)]
}

fn low_byte(c: char) -> u8 {
    u8::try_from(c).unwrap_or(0)
}

/// Counts the bytes processed, so that tests can bound the work.
#[cfg(test)]
pub(super) mod walked {
    use std::cell::Cell;

    thread_local!(static WALKED: Cell<usize> = const { Cell::new(0) });

    pub(in crate::syslog) fn add(bytes: usize) {
        WALKED.set(WALKED.get() + bytes);
    }

    /// The number since the last call.
    pub(in crate::syslog) fn take() -> usize {
        WALKED.replace(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_text_has_the_length_that_was_measured() {
        let text = "C:\\a \"b\"]\r\n\t\u{85}é\u{a0}😀\u{7f}end\n";
        let written = |text: &str| {
            let mut out = Vec::new();
            push_escaped(&mut out, text, Value { undone: true });
            out.len()
        };
        for room in 0..=written(text) + 3 {
            let (end, length) = measure(text, room, Value { undone: true });
            let part = text.get(..end).expect("whole characters");
            assert!(written(part) <= length && length <= room, "{room}");
            // One more character would not fit.
            let next = text[end..].chars().next().map_or(0, char::len_utf8);
            assert!(next == 0 || written(&text[..end + next]) > room, "{room}");
        }
    }
}
