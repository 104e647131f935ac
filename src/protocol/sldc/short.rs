//! Fast path for the usual symbols: literals, and copies of at most 31 bytes.
//!
//! Nearly all symbols of a record are of these two kinds. They need no individual checks
//! while the input and the output have room for the longest one and the history is full.

use super::bits::Bits;
use super::output::{Output, PIECE, WINDOW};
use super::{HISTORY, usize_from};

/// What the first nine bits of a symbol determine, if it is a copy of at most 31 bytes.
#[derive(Clone, Copy)]
struct Short {
    /// Number of bits through the end of the match count; 0 for any other symbol.
    width: u8,
    /// Length of the match in bytes; 0 for any other symbol.
    length: u8,
    /// Minimum distance at which the match can be copied in pieces. `u16::MAX`, which no
    /// distance reaches, for any other symbol.
    least_distance: u16,
}

/// Length in bits of the longest copy symbol in [`SHORT`].
const LONGEST: u32 = 19;

/// Indexed by the first nine bits of a symbol.
const SHORT: [Short; 512] = {
    let mut table = [short(0); 512];
    let (mut rest, mut symbol) = (table.as_mut_slice(), 0);
    while let Some((entry, others)) = rest.split_first_mut() {
        *entry = short(symbol);
        symbol += 1;
        rest = others;
    }
    table
};

/// Decodes the match counts of ECMA-321 by the number of leading ones in a nine-bit symbol.
const fn short(symbol: u16) -> Short {
    let [low, _] = symbol.to_le_bytes();
    let (width, length) = match (symbol << 7).leading_ones() {
        1 => (3, 2 + (low >> 6 & 1)),
        2 => (5, 4 + (low >> 4 & 3)),
        3 => (7, 8 + (low >> 2 & 7)),
        4 => (9, 16 + (low & 15)),
        _ => (0, 0),
    };
    let least_distance = match length {
        0 => u16::MAX,
        1..16 => u16::from_le_bytes([length, 0]),
        _ => 16,
    };
    Short {
        width,
        length,
        least_distance,
    }
}

/// Expands the usual symbols at the front. Stops at any other symbol, near the end of the
/// input or of the output's room, and at a run.
#[inline(always)]
pub(super) fn expand(bits: &mut Bits<'_>, output: &mut Output) {
    let mut unread = bits.clone();
    let (mut at, base) = (output.at, output.base);
    while at - base >= HISTORY
        && unread.refill_by_word()
        && let Some(window) = output.window(at)
    {
        if unread.buffer >> 63 == 0 {
            let (six, count) = unread.six_literals();
            if let Some(place) = window.get_mut(HISTORY..).and_then(<[u8]>::first_chunk_mut) {
                *place = six;
            }
            unread.skip(9 * count);
            at += usize_from(count);
            continue;
        }
        let Some(first) = copy(window, 0, &mut unread, at - base) else {
            break;
        };
        at += first;
        // The refill has enough bits left for a second copy, and usually for a third.
        if let Some(second) = copy(window, first, &mut unread, at - base) {
            at += second;
            if unread.valid >= LONGEST
                && let Some(third) = copy(window, first + second, &mut unread, at - base)
            {
                at += third;
            }
        }
    }
    *bits = unread;
    output.at = at;
}

/// Expands a short copy to `after` bytes past the history, and returns its length in bytes.
/// `None` for any other symbol, and for a run, whose source is not completely written when
/// the copy begins.
#[inline(always)]
fn copy(
    window: &mut [u8; WINDOW],
    after: usize,
    bits: &mut Bits<'_>,
    written: usize,
) -> Option<usize> {
    let short = SHORT.get(usize_from(bits.buffer >> 55))?;
    let (width, length) = (u32::from(short.width), usize::from(short.length));
    let position = usize_from((bits.buffer << width) >> 54);
    let before = written.wrapping_sub(position + 1) % HISTORY;
    if before + 1 < usize::from(short.least_distance) {
        return None;
    }
    let to = HISTORY + after;
    let from = to - 1 - before;
    copy_piece(window, from, to);
    if length > PIECE {
        copy_piece(window, from + PIECE, to + PIECE);
    }
    bits.skip(width + 10);
    Some(length)
}

#[inline(always)]
fn copy_piece(window: &mut [u8; WINDOW], from: usize, to: usize) {
    let piece: Option<&[u8; PIECE]> = window.get(from..).and_then(<[u8]>::first_chunk);
    if let Some(piece) = piece.copied()
        && let Some(place) = window.get_mut(to..).and_then(<[u8]>::first_chunk_mut)
    {
        *place = piece;
    }
}
