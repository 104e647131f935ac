//! The decoded text, which is also the history.

use super::{Error, HISTORY, MAX_MATCH, Scheme, usize_from};

/// Copies are made in pieces of this many bytes, which compile to one vector move each.
pub(super) const PIECE: usize = 16;

/// Bytes of scratch space kept free after the end, so that a symbol, or three short ones,
/// can be written without checks: enough for the longest copy rounded up to pieces, or for
/// the two pieces of a short run.
pub(super) const ROOM: usize = 2 * MAX_MATCH + 3 * PIECE;

/// The history and the room after it.
pub(super) const WINDOW: usize = HISTORY + ROOM;

/// The text so far is `bytes[..at]`; everything after it is scratch space.
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
    /// Where the history begins: the value of `at` at the last reset.
    pub(super) base: usize,
    cap: usize,
}

impl Output {
    /// `bytes` is memory to use, whatever it contains.
    pub(super) fn new(mut bytes: Vec<u8>, data: &[u8], cap: usize) -> Self {
        let size = expected_size(data).min(cap).saturating_add(ROOM);
        if bytes.len() < size {
            bytes.resize(size, 0);
        }
        bytes.truncate(cap.saturating_add(ROOM));
        Self {
            bytes,
            at: 0,
            base: 0,
            cap,
        }
    }

    pub(super) fn reset(&mut self, scheme: Scheme) -> Scheme {
        self.base = self.at;
        scheme
    }

    /// Ensures [`ROOM`] after `at`, or fails because `at` is beyond the limit.
    #[inline(always)]
    pub(super) fn make_room(&mut self) -> Result<(), Error> {
        if self.bytes.len() - self.at < ROOM {
            return self.grow();
        }
        Ok(())
    }

    /// Doubles the buffer. It never exceeds `cap + ROOM`, so the limit has to be checked
    /// only here.
    #[cold]
    pub(super) fn grow(&mut self) -> Result<(), Error> {
        if self.at > self.cap {
            return Err(Error::TooLong { cap: self.cap });
        }
        let size = self.at.saturating_mul(2).min(self.cap);
        self.bytes.resize(size.saturating_add(ROOM), 0);
        Ok(())
    }

    /// The history before `at` and the room after it; `None` if either is incomplete.
    #[inline(always)]
    pub(super) fn window(&mut self, at: usize) -> Option<&mut [u8; WINDOW]> {
        let start = at.checked_sub(HISTORY)?;
        self.bytes.get_mut(start..)?.first_chunk_mut()
    }

    #[inline(always)]
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.at) {
            *place = byte;
        }
        self.at += 1;
    }

    /// Writes six bytes, of which the first `count` are literals. The others are
    /// overwritten later.
    #[inline(always)]
    pub(super) fn push_literals(&mut self, six: [u8; 6], count: u32) {
        let place = self.bytes.get_mut(self.at..);
        if let Some(place) = place.and_then(<[u8]>::first_chunk_mut) {
            *place = six;
        }
        self.at += usize_from(count);
    }

    /// Copies `length` bytes from a position of the history.
    #[inline(always)]
    pub(super) fn copy(&mut self, position: usize, length: usize) {
        let written = self.at - self.base;
        let distance = written.wrapping_sub(position + 1) % HISTORY + 1;
        let end = self.at + length;
        if distance > written {
            self.zero_unwritten(distance - written, length);
        }
        if self.at < end {
            self.copy_back(distance, end);
        }
    }

    /// Handles a copy that begins before the last reset, where the history contains zeros.
    #[cold]
    pub(super) fn zero_unwritten(&mut self, unwritten: usize, length: usize) {
        let end = self.at + unwritten.min(length);
        if let Some(gap) = self.bytes.get_mut(self.at..end) {
            gap.fill(0);
        }
        self.at = end;
    }

    /// Copies from `distance` bytes back, up to `end` or at most a piece beyond it.
    ///
    /// Most copies are short, so the first piece is copied unconditionally. A run, whose
    /// source is not yet completely written, is handled separately.
    #[inline(always)]
    pub(super) fn copy_back(&mut self, distance: usize, end: usize) {
        if distance < PIECE && distance < end - self.at {
            return self.run(distance, end);
        }
        self.copy_pieces(self.at, distance, end);
    }

    #[inline(always)]
    pub(super) fn copy_pieces(&mut self, mut to: usize, distance: usize, end: usize) {
        loop {
            let from = to - distance;
            self.bytes.copy_within(from..from + PIECE, to);
            to += PIECE;
            if to >= end {
                break;
            }
        }
        self.at = end;
    }

    /// Repeats a short period: byte by byte at first, until pieces can be copied from a
    /// multiple of it.
    pub(super) fn run(&mut self, distance: usize, end: usize) {
        let period = distance * PIECE.div_ceil(distance);
        let to = self.at + period - distance;
        for place in self.at..to {
            let from = place - distance;
            self.bytes.copy_within(from..=from, place);
        }
        self.copy_pieces(to, period, end);
    }

    pub(super) fn finish(mut self, trailer: Option<u32>) -> Result<Vec<u8>, Error> {
        if self.at > self.cap {
            return Err(Error::TooLong { cap: self.cap });
        }
        if let Some(declared) = trailer
            && usize_from(declared) != self.at
        {
            let actual = self.at;
            return Err(Error::WrongLength { declared, actual });
        }
        self.bytes.truncate(self.at);
        Ok(self.bytes)
    }
}

/// Initial size of the buffer: what the trailer states, but at most eight times the input
/// (text compresses about 4 to 1), so that a forged trailer cannot cause a large
/// allocation.
fn expected_size(data: &[u8]) -> usize {
    let trailer = data.last_chunk().map(|b| u32::from_le_bytes(*b));
    usize_from(trailer.unwrap_or(0)).min(data.len().saturating_mul(8))
}
