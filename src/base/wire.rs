//! Bytes on the wire: little-endian integers and text.
//!
//! Everything that parses foreign binary structures (NTLM messages, PACs, sealed parts)
//! uses [`Reader`], which cannot read out of bounds.

pub mod der;

use std::borrow::Cow;
use std::fmt;

use super::lanes::{ByteClass, Lanes, any, any_control, push_narrow};

/// A structure that ends before its last field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// Offset from the start of the structure, in bytes.
    pub offset: usize,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ends early, at byte {}", self.offset)
    }
}

impl std::error::Error for Truncated {}

/// Reads little-endian values from the front of a byte slice.
///
/// ```
/// let mut reader = wecrelay::base::wire::Reader::new(&[1, 0, 2]);
/// assert_eq!(reader.u16(), Ok(1));
/// assert_eq!(reader.u8(), Ok(2));
/// assert!(reader.u8().is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the front of `data`.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// Offset of the next byte from the start of the data.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The unread bytes.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    /// Returns the next `count` bytes. After an error the position is unchanged.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Truncated> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.data.get(self.at..end));
        let taken = taken.ok_or(Truncated { offset: self.at })?;
        self.at = self.at.saturating_add(count);
        Ok(taken)
    }

    /// Returns the next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let at = self.at;
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| Truncated { offset: at })
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_le_bytes)
    }

    /// Reads a little-endian 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_le_bytes)
    }

    /// Reads a little-endian 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a little-endian 64-bit integer.
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_le_bytes)
    }
}

/// The encoding of a text body. Sources of events use UTF-16 unless the subscription's
/// ContentEncoding asks for UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Charset {
    /// UTF-16; little-endian unless a byte order mark indicates otherwise.
    #[default]
    Utf16,
    /// UTF-8, with or without a byte order mark.
    Utf8,
}

impl Charset {
    /// The charset of this name, ignoring case; `None` for any other.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let known = |candidates: &[&str]| candidates.iter().any(|c| name.eq_ignore_ascii_case(c));
        if known(&["utf-16", "utf-16le", "utf-16be"]) {
            Some(Self::Utf16)
        } else if known(&["utf-8", "utf8", "us-ascii"]) {
            Some(Self::Utf8)
        } else {
            None
        }
    }

    /// The name for a `charset` parameter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf16 => "UTF-16",
            Self::Utf8 => "UTF-8",
        }
    }
}

/// Replaces bytes that are not a character: a noncharacter that XML forbids, so that the
/// repair of events finds and marks it. U+FFFD may already be in the host's own text.
pub const NO_CHARACTER: char = '\u{fffe}';

/// A decoded text body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text, without a byte order mark; borrowed if the body was valid UTF-8.
    pub text: Cow<'a, str>,
    /// The encoding that was found, in which the answer is written, too.
    pub charset: Charset,
    /// Whether the text is known to contain nothing that XML forbids. Decoding finds out on
    /// the way, which saves later passes over most texts.
    pub is_plain: bool,
}

/// Decodes a text body. A byte order mark decides about the encoding, else `declared`.
///
/// Never fails: unpaired surrogates, an odd last byte, and invalid UTF-8 become
/// [`NO_CHARACTER`], because one bad event must not cost a batch. A body that is declared
/// as UTF-16 but begins with `<` in UTF-8 is read as UTF-8.
#[must_use]
pub fn decode(body: &[u8], declared: Charset) -> Decoded<'_> {
    decode_into(String::new(), body, declared)
}

/// Like [`decode`], with the memory of an earlier text, which it replaces.
#[must_use]
pub fn decode_into(mut text: String, body: &[u8], declared: Charset) -> Decoded<'_> {
    let utf16 = |bytes, order| {
        text.clear();
        let is_plain = push_decoded(&mut text, bytes, order, NO_CHARACTER);
        Decoded {
            text: text.into(),
            charset: Charset::Utf16,
            is_plain,
        }
    };
    let utf8 = |bytes| Decoded {
        text: decode_utf8(bytes),
        charset: Charset::Utf8,
        is_plain: false,
    };
    match (body, declared) {
        ([0xff, 0xfe, rest @ ..], _) => utf16(rest, Order::Little),
        ([0xfe, 0xff, rest @ ..], _) => utf16(rest, Order::Big),
        ([0xef, 0xbb, 0xbf, rest @ ..], _) => utf8(rest),
        ([b'<', 0, ..], _) => utf16(body, Order::Little),
        ([0, b'<', ..], _) => utf16(body, Order::Big),
        ([b'<', ..], _) | (_, Charset::Utf8) => utf8(body),
        (_, Charset::Utf16) => utf16(body, Order::Little),
    }
}

/// Like [`decode`]; returns the text and its encoding.
#[must_use]
pub fn decode_text(body: &[u8], declared: Charset) -> (Cow<'_, str>, Charset) {
    let Decoded { text, charset, .. } = decode(body, declared);
    (text, charset)
}

fn decode_utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(NO_CHARACTER);
        }
    }
    Cow::Owned(text)
}

/// Byte order of UTF-16 units.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    #[inline]
    fn unit(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }
}

/// Appends decoded UTF-16; `bad` replaces unpaired surrogates and an odd last byte. Returns
/// whether what it appended is known to be plain; see [`Decoded`].
pub(super) fn push_decoded(text: &mut String, bytes: &[u8], order: Order, bad: char) -> bool {
    text.reserve(bytes.len() / 2 + bytes.len() / 16);
    let (units, odd) = bytes.as_chunks::<2>();
    let mut rest = units;
    let mut is_plain = true;
    while !rest.is_empty() {
        if order == Order::Little {
            // Most input is ASCII.
            let (count, has_control) = push_narrow(text, rest);
            rest = rest.get(count..).unwrap_or_default();
            is_plain &= !has_control;
        }
        let start = text.len();
        rest = push_wide(text, rest, order, bad);
        is_plain &= !has_forbidden(text.get(start..).unwrap_or_default());
    }
    if !odd.is_empty() {
        text.push(bad);
        is_plain = false;
    }
    is_plain
}

/// Decodes one block that may contain any characters. A high surrogate at its end is left to the
/// next one, since it may be half of a pair.
fn push_wide<'a>(
    text: &mut String,
    units: &'a [[u8; 2]],
    order: Order,
    bad: char,
) -> &'a [[u8; 2]] {
    const BLOCK: usize = 16;
    let mut end = BLOCK.min(units.len());
    let last = end.checked_sub(1).and_then(|last| units.get(last));
    if end < units.len() && last.is_some_and(|unit| is_high_surrogate(order.unit(*unit))) {
        end -= 1;
    }
    let (block, rest) = units.split_at(end);
    let units = block.iter().map(|unit| order.unit(*unit));
    text.extend(char::decode_utf16(units).map(|char| char.unwrap_or(bad)));
    rest
}

/// Whether a unit of UTF-16 is the first of two.
pub(super) fn is_high_surrogate(unit: u16) -> bool {
    (0xd800..0xdc00).contains(&unit)
}

/// Removes white space, as XML defines it, from both ends. There is nearly always none.
#[inline]
#[must_use]
pub fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) if *first > b' ' && *last > b' ' => text,
        _ => trim_white_space(text),
    }
}

#[cold]
fn trim_white_space(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Whether `text` contains `needle`; fast where its first byte is rare.
#[must_use]
pub fn contains(text: &str, needle: &str) -> bool {
    let Some(first) = needle.as_bytes().first() else {
        return true;
    };
    let mut places = memchr::memchr_iter(*first, text.as_bytes());
    places.any(|at| {
        text.as_bytes()
            .get(at..)
            .is_some_and(|rest| rest.starts_with(needle.as_bytes()))
    })
}

/// Whether XML 1.0 forbids this character, both raw and as a reference (XML 1.0, 2.2).
#[must_use]
pub fn is_forbidden(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Control characters, and the first byte of U+F000 to U+FFFF.
#[derive(Clone, Copy)]
struct MaybeForbidden;

impl ByteClass for MaybeForbidden {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        bytes.at_most(b' ' - 1) | bytes.is(0xef)
    }
}

/// Whether `text` contains a forbidden character; references are not examined. Runs over
/// every event, so texts without any candidate take a single vectorized pass.
#[must_use]
pub fn has_forbidden(text: &str) -> bool {
    if !any(text.as_bytes(), MaybeForbidden) {
        return false;
    }
    any_control(text.as_bytes())
        || (memchr::memchr(0xef, text.as_bytes()).is_some()
            && text.contains(['\u{fffe}', '\u{ffff}']))
}

/// Appends `text` as UTF-16LE, without a byte order mark.
pub fn push_utf16(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len().saturating_mul(2));
    let mut rest = text;
    while !rest.is_empty() {
        // Text is ASCII for long stretches, which need no decoding.
        let stretch = if rest.is_ascii() {
            None
        } else {
            rest.bytes().position(|byte| !byte.is_ascii())
        };
        let (ascii, after) = rest.split_at(stretch.unwrap_or(rest.len()));
        let start = out.len();
        out.resize(start + 2 * ascii.len(), 0);
        let units = out.get_mut(start..).unwrap_or_default().chunks_exact_mut(2);
        for (unit, byte) in units.zip(ascii.bytes()) {
            unit.copy_from_slice(&[byte, 0]);
        }
        let next = after.bytes().position(|byte| byte.is_ascii());
        let (other, after) = after.split_at(next.unwrap_or(after.len()));
        out.extend(other.encode_utf16().flat_map(u16::to_le_bytes));
        rest = after;
    }
}

/// `text` as UTF-16LE, without a byte order mark.
#[must_use]
pub fn utf16(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    push_utf16(&mut out, text);
    out
}

/// Decodes UTF-16LE without a byte order mark, as in NTLM fields; invalid units become
/// U+FFFD.
#[must_use]
pub fn from_utf16(bytes: &[u8]) -> String {
    let mut text = String::new();
    push_decoded(&mut text, bytes, Order::Little, char::REPLACEMENT_CHARACTER);
    text
}

/// Encodes an answer: UTF-16LE with a byte order mark, which Windows requires, or UTF-8.
#[must_use]
pub fn encode_text(text: &str, charset: Charset) -> Vec<u8> {
    match charset {
        Charset::Utf8 => text.as_bytes().to_vec(),
        Charset::Utf16 => {
            let mut out = Vec::with_capacity(2 + 2 * text.len());
            out.extend_from_slice(&[0xff, 0xfe]);
            push_utf16(&mut out, text);
            out
        }
    }
}

/// Appends a number in decimal. Faster than formatting; used for every message.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    if let Some((digits, length)) = few_digits(number) {
        out.extend_from_slice(digits.get(..length).unwrap_or_default());
    } else {
        let (digits, start) = digits(number);
        out.extend_from_slice(digits.get(start..).unwrap_or_default());
    }
}

/// The decimal digits of a number of up to eight, and how many they are; `None` for a larger
/// number.
///
/// They are computed in a register: digits that are stored one by one cannot be copied before
/// everything that was written earlier has reached the cache.
#[inline]
pub(crate) fn few_digits(number: u64) -> Option<([u8; 8], usize)> {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    if number >= 100_000_000 {
        return None;
    }
    // Lanes of 32, then 16, then 8 bits, of which the first digits are in the lowest.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    let digits = tens | ((twos - tens * 10) << 8);
    let leading = (digits | (1 << 56)).trailing_zeros() / 8;
    let digits = (digits | ZEROS) >> (8 * leading);
    let length = 8 - usize::try_from(leading).unwrap_or(0);
    Some((digits.to_le_bytes(), length))
}

/// The decimal digits of a number, and where they start.
#[inline]
pub(crate) fn digits(number: u64) -> ([u8; 20], usize) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        start -= 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    (digits, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_the_same_whatever_stands_beside_ascii() {
        for text in [
            "",
            "a",
            "\u{e4}",
            "ab\u{e4}",
            "\u{e4}ab",
            "a\u{1f600}\u{e4}b\u{0}c\u{20ac}",
        ] {
            for times in [1, 3, 50] {
                let text = text.repeat(times);
                let units = text.encode_utf16().flat_map(u16::to_le_bytes);
                let mut out = b"x".to_vec();
                push_utf16(&mut out, &text);
                assert_eq!(out.get(1..), Some(&*units.collect::<Vec<_>>()), "{text}");
            }
        }
    }

    #[test]
    fn numbers_are_written_as_the_library_formats_them() {
        let around = (0..20).map(|power| 10_u64.pow(power));
        let around = around.flat_map(|power| [power - 1, power, power + 1]);
        let many = (0..1_000_000_u64).map(|step| step * 101);
        for number in around.chain(many).chain([u64::MAX]) {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
            let (digits, start) = digits(number);
            assert_eq!(out, digits[start..]);
        }
    }

    #[test]
    fn a_reader_never_goes_past_the_end() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(reader.u64(), Ok(0x0807_0605_0403_0201));
        assert_eq!(reader.u16(), Err(Truncated { offset: 8 }));
        assert_eq!(reader.bytes(usize::MAX), Err(Truncated { offset: 8 }));
        assert_eq!(reader.rest(), [9]);
    }

    #[test]
    fn text_survives_both_ways_at_every_block_boundary() {
        for lead in 0..80 {
            let text = "x".repeat(lead) + "é\u{1f980}" + &"y".repeat(70) + "ß";
            for charset in [Charset::Utf16, Charset::Utf8] {
                let encoded = encode_text(&text, charset);
                assert_eq!(
                    decode_text(&encoded, charset),
                    (text.as_str().into(), charset)
                );
            }
            assert_eq!(from_utf16(&utf16(&text)), text);
        }
    }

    #[test]
    fn pairs_stay_together_whatever_stands_before_them() {
        let lone = [0xd800, 0xdc00, 0x41, 0xe9];
        for lead in 0..80 {
            for before in lone {
                for number in 0..4 {
                    let units = std::iter::repeat_n(0xe9, lead)
                        .chain(std::iter::repeat_n(before, number))
                        .chain([0xd83e, 0xdd80, 0x42]);
                    let expected: String = char::decode_utf16(units.clone())
                        .map(|c| c.unwrap_or(NO_CHARACTER))
                        .collect();
                    let little: Vec<u8> = units.clone().flat_map(u16::to_le_bytes).collect();
                    let big: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
                    let little = [b"\xff\xfe".as_slice(), &little].concat();
                    let big = [b"\xfe\xff".as_slice(), &big].concat();
                    for bytes in [little, big] {
                        assert_eq!(decode_text(&bytes, Charset::Utf16).0, expected);
                    }
                }
            }
        }
    }

    #[test]
    fn a_text_is_plain_if_nothing_in_it_may_be_forbidden() {
        // Not the first character, which may be a byte order mark.
        for lead in 1..150 {
            let plain = "x".repeat(lead) + "é\u{20ac}\u{1f980}" + &"y".repeat(150 - lead);
            let is_plain = |text: &str| decode(&utf16(text), Charset::Utf16).is_plain;
            assert!(is_plain(&plain));
            for other in ["\0", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
                assert!(!is_plain(&plain.replacen('y', other, 1)), "{other:?}");
                assert!(!is_plain(&plain.replacen('é', other, 1)), "{other:?}");
            }
            for other in ["\t", "\r\n", "\u{7f}", "\u{85}", "\u{fffd}"] {
                assert!(is_plain(&plain.replacen('y', other, 1)), "{other:?}");
                assert!(is_plain(&plain.replacen('é', other, 1)), "{other:?}");
            }
        }
        // It may be right, but nobody has looked.
        assert!(!decode(b"<a>", Charset::Utf8).is_plain);
        assert!(!decode(b"<\0a\0>", Charset::Utf16).is_plain);
    }

    #[test]
    fn byte_order_marks_win_over_the_declared_charset() {
        let be: Vec<u8> = [0xfe, 0xff, 0, b'a'].to_vec();
        assert_eq!(decode_text(&be, Charset::Utf8).0, "a");
        assert_eq!(decode_text(b"\xef\xbb\xbfa", Charset::Utf16).0, "a");
        assert_eq!(decode_text(b"<\0a\0", Charset::Utf8).0, "<a");
        assert_eq!(decode_text(b"<a>", Charset::Utf16).0, "<a>");
    }

    #[test]
    fn text_is_searched_and_trimmed_as_the_library_does() {
        for text in [
            "",
            " ",
            "a",
            " a",
            "a\t",
            "a ]> ]]> b",
            "]]",
            "\u{a0}x\u{a0}",
            "\r\n x y \n",
        ] {
            assert_eq!(trim(text), text.trim_matches([' ', '\t', '\r', '\n']));
            for needle in ["", "]]>", "]", "b"] {
                assert_eq!(
                    contains(text, needle),
                    text.contains(needle),
                    "{needle:?} in {text:?}"
                );
            }
        }
    }

    #[test]
    fn lone_surrogates_and_odd_bytes_are_replaced() {
        let (text, _) = decode_text(
            &[0xff, 0xfe, 0x00, 0xd8, b'a', 0, 0x00, 0xdc, 7],
            Charset::Utf16,
        );
        assert_eq!(text, "\u{fffe}a\u{fffe}\u{fffe}");
        assert_eq!(decode_text(b"\xffa", Charset::Utf8).0, "\u{fffe}a");
    }
}
