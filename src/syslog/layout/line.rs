//! A writer of lines, whose values can be cut.

use crate::base::lanes::{ByteClass, Lanes};
use crate::syslog::cut::fair_length;
use crate::syslog::escape::{Form, Piece, may_be_control, measure, piece, push_escaped};

/// A line under way.
pub(super) struct Line<'o> {
    out: &'o mut Vec<u8>,
    /// Longest value, in bytes as written.
    cut: usize,
    /// What values have as they are written, each up to `limit`.
    lengths: Vec<usize>,
    limit: usize,
}

impl<'o> Line<'o> {
    /// Values are whole.
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            cut: usize::MAX,
            lengths: Vec::new(),
            limit: 0,
        }
    }

    /// Whether values may be cut.
    pub(super) fn is_cut(&self) -> bool {
        self.cut != usize::MAX
    }

    /// Text of ours, as it is.
    pub(super) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// What `write` appends.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.out);
    }

    /// A short text of the event.
    pub(super) fn fact(&mut self, text: &str, form: impl Form) {
        push_escaped(self.out, text, form);
    }

    /// A value of the event, which may be cut.
    pub(super) fn value(&mut self, text: &str, form: impl Form) {
        if !self.is_cut() {
            return push_escaped(self.out, text, form);
        }
        if self.cut == 0 {
            // One more says that it is too long.
            let (_, length) = measure(text, self.limit.saturating_add(1), form);
            self.lengths.push(length);
        }
        let (end, _) = measure(text, self.cut, form);
        push_escaped(self.out, text.get(..end).unwrap_or_default(), form);
    }
}

/// Appends a line with its longest values cut so that it has at most `room` bytes; nothing,
/// and false, if that cannot be.
pub(super) fn push_within(out: &mut Vec<u8>, room: usize, write: impl Fn(&mut Line<'_>)) -> bool {
    let start = out.len();
    // Without values first, to know how much they may have.
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
    // `MAX` would say that none may be cut.
    let cut = fair_length(lengths, left).min(usize::MAX - 1);
    write(&mut Line { cut, ..line });
    true
}

/// Text of one field: every control character is a blank.
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
