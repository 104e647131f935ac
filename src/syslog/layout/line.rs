//! A writer of lines whose values can be truncated.

use crate::base::lanes::{ByteClass, Lanes};
use crate::syslog::cut::fair_length;
use crate::syslog::escape::{Form, Piece, may_be_control, measure, piece, push_escaped};

/// A line that is being written.
pub(super) struct Line<'o> {
    out: &'o mut Vec<u8>,
    /// Maximum length of a value in bytes when escaped; `usize::MAX` does not truncate, and 0 is
    /// the first pass, which measures.
    cut: usize,
    /// The escaped lengths of values, in the first pass; each counted up to `limit` + 1.
    lengths: Vec<usize>,
    limit: usize,
}

impl<'o> Line<'o> {
    /// A line whose values are not truncated.
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            cut: usize::MAX,
            lengths: Vec::new(),
            limit: 0,
        }
    }

    /// Whether values may be truncated.
    pub(super) fn is_cut(&self) -> bool {
        self.cut != usize::MAX
    }

    /// Appends text from this program unchanged; it must not need escapes.
    pub(super) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Appends what `write` appends, which must not need escapes.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.out);
    }

    /// Appends a short text of the event, which is never truncated.
    pub(super) fn fact(&mut self, text: &str, form: impl Form) {
        push_escaped(self.out, text, form);
    }

    /// Appends a value of the event, which may be truncated.
    pub(super) fn value(&mut self, text: &str, form: impl Form) {
        if !self.is_cut() {
            return push_escaped(self.out, text, form);
        }
        if self.cut == 0 {
            // One byte more shows that it does not fit.
            let (_, length) = measure(text, self.limit.saturating_add(1), form);
            self.lengths.push(length);
        }
        let (end, _) = measure(text, self.cut, form);
        push_escaped(self.out, text.get(..end).unwrap_or_default(), form);
    }
}

/// Appends a line with its longest values truncated so that it has at most `room` bytes. Appends
/// nothing and returns false if even empty values do not fit. `write` is called twice.
pub(super) fn push_within(out: &mut Vec<u8>, room: usize, write: impl Fn(&mut Line<'_>)) -> bool {
    let start = out.len();
    // First with empty values, to learn their lengths and the room that is left for them.
    let mut line = Line {
        cut: 0,
        limit: room,
        ..Line::new(out)
    };
    write(&mut line);
    let lengths = line.lengths;
    let length = out.len().saturating_sub(start);
    out.truncate(start);
    let Some(left) = room.checked_sub(length) else {
        return false;
    };
    let line = Line::new(out);
    // `usize::MAX` would mean that values are not truncated.
    let cut = fair_length(lengths, left).min(usize::MAX - 1);
    write(&mut Line { cut, ..line });
    true
}

/// Text of a field in which every control character becomes a blank.
#[derive(Clone, Copy)]
pub(super) struct Blanked;

impl ByteClass for Blanked {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        may_be_control(bytes)
    }
}

impl Form for Blanked {
    fn piece(self, _: char, _: Option<u8>) -> Piece {
        piece(b" ")
    }
}
