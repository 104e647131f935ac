//! Searches bytes sixteen at a time: finds special ones, and copies those that are not.
//!
//! Most of the time for an event goes into looking for a few bytes in short texts. Whether
//! the compiler vectorizes a plain loop depends on its surroundings, so the vector
//! operations are explicit here.

use std::ops::BitOr;

use wide::{bytemuck, i16x8, u8x16};

/// Number of bytes compared at once: a 128-bit register, which x86-64 and AArch64 always
/// have.
pub(super) const BLOCK: usize = 16;

/// Up to this many blocks, bytes are copied block by block rather than by `memcpy`.
const FEW: usize = 4;

/// A set of byte values.
///
/// ```
/// use wecrelay::base::lanes::{ByteClass, Lanes, find};
/// #[derive(Clone, Copy)]
/// struct Quote;
/// impl ByteClass for Quote {
///     fn of<L: Lanes>(self, bytes: L) -> L::Mask {
///         bytes.is(b'"') | bytes.is(b'\'')
///     }
/// }
/// assert_eq!(find(b"it's", Quote), Some(2));
/// assert!(Quote.has(b'"'));
/// ```
pub trait ByteClass: Copy {
    /// Which of these bytes belong to the set. One definition serves single bytes and
    /// blocks, so that both always agree.
    fn of<L: Lanes>(self, bytes: L) -> L::Mask;

    /// Whether this byte belongs to the set.
    #[inline(always)]
    fn has(self, byte: u8) -> bool {
        self.of(byte)
    }
}

/// One byte, or a block of sixteen.
pub trait Lanes: Copy {
    /// One flag for each byte.
    type Mask: Mask;

    /// Which bytes equal `byte`.
    fn is(self, byte: u8) -> Self::Mask;
    /// Which bytes are `byte` or smaller (unsigned).
    fn at_most(self, byte: u8) -> Self::Mask;
    /// Which bytes are `byte` or larger (unsigned).
    fn at_least(self, byte: u8) -> Self::Mask;
}

/// One flag for each of some bytes.
pub trait Mask: Copy + BitOr<Output = Self> {
    /// The same flags if `condition` holds, else none.
    #[must_use]
    fn only_if(self, condition: bool) -> Self;
}

impl Lanes for u8 {
    type Mask = bool;

    #[inline(always)]
    fn is(self, byte: u8) -> bool {
        self == byte
    }

    #[inline(always)]
    fn at_most(self, byte: u8) -> bool {
        self <= byte
    }

    #[inline(always)]
    fn at_least(self, byte: u8) -> bool {
        self >= byte
    }
}

impl Mask for bool {
    #[inline(always)]
    fn only_if(self, condition: bool) -> Self {
        self & condition
    }
}

#[derive(Clone, Copy)]
struct Block(u8x16);

#[derive(Clone, Copy)]
pub(super) struct Marks(u8x16);

impl Lanes for Block {
    type Mask = Marks;

    #[inline(always)]
    fn is(self, byte: u8) -> Marks {
        Marks(self.0.simd_eq(u8x16::splat(byte)))
    }

    #[inline(always)]
    fn at_most(self, byte: u8) -> Marks {
        Marks(self.0.min(u8x16::splat(byte)).simd_eq(self.0))
    }

    #[inline(always)]
    fn at_least(self, byte: u8) -> Marks {
        Marks(self.0.max(u8x16::splat(byte)).simd_eq(self.0))
    }
}

impl BitOr for Marks {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Mask for Marks {
    #[inline(always)]
    fn only_if(self, condition: bool) -> Self {
        let all = if condition { u8::MAX } else { 0 };
        Self(self.0 & u8x16::splat(all))
    }
}

impl Marks {
    const NONE: Self = Self(u8x16::splat(0));

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0.to_bitmask()
    }
}

#[inline(always)]
pub(super) fn marks(block: &[u8; BLOCK], class: impl ByteClass) -> Marks {
    class.of(Block(u8x16::new(*block)))
}

/// Position of the first byte in the class. Linear; reads no byte twice.
#[inline(always)]
pub fn find(bytes: &[u8], class: impl ByteClass) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks();
    let mut start = 0;
    for block in blocks {
        let bits = marks(block, class).bits();
        if bits != 0 {
            return Some(start + first(bits));
        }
        start += BLOCK;
    }
    let at = rest.iter().position(|byte| class.has(*byte))?;
    Some(start + at)
}

#[inline(always)]
fn first(bits: u32) -> usize {
    usize::try_from(bits.trailing_zeros()).unwrap_or(0)
}

/// Whether any byte is in the class. Faster than [`find`] where nearly always none is,
/// because it looks at four blocks before it branches.
#[inline]
#[must_use]
pub fn any(bytes: &[u8], class: impl ByteClass) -> bool {
    let (fours, rest) = bytes.as_chunks::<{ 4 * BLOCK }>();
    for four in fours {
        let (blocks, _) = four.as_chunks();
        let all = blocks.iter().map(|block| marks(block, class));
        if all.fold(Marks::NONE, BitOr::bitor).bits() != 0 {
            return true;
        }
    }
    find(rest, class).is_some()
}

/// Appends `bytes` and returns whether none of them is in the class, which must not contain
/// `0` (blocks are padded with it).
///
/// Most values are shorter than two blocks. For those, a call of `memcpy` and a second pass
/// over the copy would cost more than the copy itself.
#[inline(always)]
pub fn push_plain(out: &mut Vec<u8>, bytes: &[u8], class: impl ByteClass) -> bool {
    let (blocks, rest) = bytes.as_chunks();
    if blocks.len() > FEW {
        out.extend_from_slice(bytes);
        return !any(bytes, class);
    }
    let mut found = Marks::NONE;
    for block in blocks {
        out.extend_from_slice(block);
        found = found | marks(block, class);
    }
    let last = padded(rest);
    push_front(out, &last, rest.len());
    (found | marks(&last, class)).bits() == 0
}

/// Appends bytes that are usually few; see [`push_plain`].
#[inline(always)]
pub fn push_short(out: &mut Vec<u8>, bytes: &[u8]) {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    if blocks.len() > FEW {
        return out.extend_from_slice(bytes);
    }
    for block in blocks {
        out.extend_from_slice(block);
    }
    push_front(out, &padded(rest), rest.len());
}

/// Appends the first `length` bytes of a block: copies the whole block, whose size is a
/// constant, and then truncates. Avoids a copy of variable length.
#[inline(always)]
fn push_front(out: &mut Vec<u8>, block: &[u8; BLOCK], length: usize) {
    out.extend_from_slice(block);
    let unused = BLOCK.saturating_sub(length);
    out.truncate(out.len().saturating_sub(unused));
}

/// UTF-16 units that are converted together; four blocks of results.
const WIDE: usize = 64;

/// Appends UTF-16 units (little-endian) up to the first group of `WIDE` that is not all
/// ASCII. Returns how many it appended, and whether any of them is a control character other
/// than tab, line feed, and carriage return.
pub fn push_narrow(out: &mut String, units: &[[u8; 2]]) -> (usize, bool) {
    let (blocks, _) = units.as_chunks::<WIDE>();
    let mut scratch = [[0; WIDE]; 16];
    let (mut count, mut has_control) = (0, false);
    for some in blocks.chunks(scratch.len()) {
        let mut done = 0;
        for (place, block) in scratch.iter_mut().zip(some) {
            let Some(lowest) = narrow(block, place) else {
                break;
            };
            if Block(lowest).at_most(b' ' - 1).bits() != 0 {
                has_control |= any_control(place);
            }
            done += 1;
        }
        let bytes = scratch.get(..done).unwrap_or_default().as_flattened();
        // All of it is ASCII.
        out.push_str(simdutf8::basic::from_utf8(bytes).unwrap_or_default());
        count += bytes.len();
        if done < some.len() {
            break;
        }
    }
    (count, has_control)
}

/// Whether any byte is a control character other than tab, line feed, and carriage return.
/// Looks at all of them, so that the compiler vectorizes it.
pub(super) fn any_control(bytes: &[u8]) -> bool {
    let is_control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    let each = bytes.iter().map(is_control);
    each.fold(false, BitOr::bitor)
}

/// The lowest bytes of the units, or `None` if a unit is not ASCII.
#[inline(always)]
fn narrow(units: &[[u8; 2]; WIDE], place: &mut [u8; WIDE]) -> Option<u8x16> {
    let (pairs, _) = units.as_flattened().as_chunks::<{ 2 * BLOCK }>();
    let (parts, _) = place.as_chunks_mut::<BLOCK>();
    let (mut all, mut lowest) = (i16x8::splat(0), u8x16::splat(u8::MAX));
    for (part, pair) in parts.iter_mut().zip(pairs) {
        let [first, second]: [[u8; BLOCK]; 2] = bytemuck::cast(*pair);
        let (first, second) = (load(first), load(second));
        all = all | first | second;
        let bytes = u8x16::narrow_i16x8(first, second);
        lowest = lowest.min(bytes);
        *part = bytes.to_array();
    }
    let above = all & i16x8::splat(!0x7F);
    (above == i16x8::splat(0)).then_some(lowest)
}

#[inline(always)]
fn load(units: [u8; BLOCK]) -> i16x8 {
    let units: [i16; BLOCK / 2] = bytemuck::cast(units);
    i16x8::new(units.map(i16::from_le))
}

/// Less than a block, padded with `0`: two overlapping loads cover all of it without a
/// loop.
#[inline(always)]
pub(super) fn padded(bytes: &[u8]) -> [u8; BLOCK] {
    let length = bytes.len();
    let (low, high) = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            let last = u64::from_le_bytes(*last);
            let rest = last.checked_shr(bits(BLOCK - length)).unwrap_or(0);
            (u64::from_le_bytes(*first), rest)
        }
        _ => (short(bytes), 0),
    };
    let words = u128::from(low) | u128::from(high) << u64::BITS;
    let pad = PADS.get(length).copied().unwrap_or(0);
    (words | pad).to_le_bytes()
}

/// The padding for each length.
const PADS: [u128; BLOCK] = {
    let mut pads = [u128::from_le_bytes([b'0'; BLOCK]); BLOCK];
    let (mut rest, mut gone) = (pads.as_mut_slice(), 0_u32);
    while let Some((pad, others)) = rest.split_first_mut() {
        *pad = *pad >> gone << gone;
        gone += 8;
        rest = others;
    }
    pads
};

/// Fewer than eight bytes as a word.
#[inline(always)]
fn short(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let last = u64::from(u32::from_le_bytes(*last));
        return u64::from(u32::from_le_bytes(*first)) | last << bits(bytes.len() - 4);
    }
    let byte = |byte: &u8| u64::from(*byte);
    match bytes {
        [a, b, c] => byte(a) | byte(b) << 8 | byte(c) << 16,
        [a, b] => byte(a) | byte(b) << 8,
        [a] => byte(a),
        _ => 0,
    }
}

/// Number of bits in that many bytes.
#[inline(always)]
fn bits(bytes: usize) -> u32 {
    u32::try_from(8 * bytes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Class(bool);

    impl ByteClass for Class {
        fn of<L: Lanes>(self, bytes: L) -> L::Mask {
            bytes.is(b'"') | bytes.at_most(b'\n').only_if(self.0) | bytes.at_least(0xfe)
        }
    }

    #[test]
    fn one_byte_and_sixteen_belong_to_the_same_classes() {
        for class in [Class(false), Class(true)] {
            for byte in 0..=u8::MAX {
                let is_special = byte == b'"' || byte >= 0xfe || (class.0 && byte <= b'\n');
                assert_eq!(class.has(byte), is_special, "{byte}");
                let block = [byte; 40];
                assert_eq!(find(&block, class), is_special.then_some(0), "{byte}");
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found_wherever_it_is() {
        for length in 0..150 {
            let mut bytes = vec![b'.'; length];
            assert_eq!(find(&bytes, Class(true)), None);
            assert!(!any(&bytes, Class(true)));
            for at in (0..length).rev() {
                bytes[at] = b'"';
                assert_eq!(find(&bytes, Class(true)), Some(at));
                bytes[at + 1..].fill(b'.');
                assert!(any(&bytes, Class(true)));
            }
        }
    }

    #[test]
    fn units_are_narrowed_up_to_the_block_that_is_not_ascii() {
        let text: Vec<u16> = (b' '..=b'~').cycle().take(300).map(u16::from).collect();
        for at in 0..text.len() {
            for unit in [
                0, 8, 9, 10, 11, 13, 14, 31, 32, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF,
            ] {
                let mut units = text.clone();
                units[at] = unit;
                let bytes: Vec<_> = units.iter().map(|unit| unit.to_le_bytes()).collect();
                let mut out = "before".to_owned();
                let (count, has_control) = push_narrow(&mut out, &bytes);
                let end = if unit < 128 { 300 } else { at };
                assert_eq!(count, end / WIDE * WIDE, "{unit} at {at}");
                let is_control = unit < 32 && ![9, 10, 13].contains(&unit);
                assert_eq!(has_control, is_control && at < count);
                let expected = String::from_utf16(&units[..count]).unwrap();
                assert_eq!(out.strip_prefix("before"), Some(&*expected));
            }
        }
    }

    #[test]
    fn bytes_of_any_length_are_appended_and_looked_at() {
        let text: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').cycle().take(150).collect();
        for length in 0..text.len() {
            let text = &text[..length];
            let mut out = b"before".to_vec();
            assert!(push_plain(&mut out, text, Class(true)));
            push_short(&mut out, text);
            assert_eq!(out, [b"before", text, text].concat());
            for at in 0..length {
                let mut bytes = text.to_vec();
                bytes[at] = b'"';
                assert!(!push_plain(&mut out, &bytes, Class(true)));
                assert!(out.ends_with(&bytes));
            }
        }
    }
}
