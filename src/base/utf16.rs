//! UTF-16 that is decoded while it arrives.
//!
//! Most bodies are a hundred kilobytes of UTF-16. Decoding each piece while it is in the
//! cache saves a copy of all of them, and holds half as much.

use super::wire::{NO_CHARACTER, Order, is_high_surrogate, push_decoded};

/// A text of which more may follow, in little-endian order.
///
/// ```
/// use wecrelay::base::utf16::Incremental;
/// let mut text = Incremental::begin(b"\xff\xfe<\0a").unwrap();
/// text.push(b"\0");
/// assert_eq!(text.finish(), ("<a".to_owned(), true));
/// assert_eq!(Incremental::begin(b"<a>"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incremental {
    text: String,
    is_plain: bool,
    /// The last bytes, if they may be only a part of a character: a high surrogate, an odd
    /// byte, or both.
    held: Vec<u8>,
}

impl Incremental {
    /// Begins with the first bytes of a text, if they show its encoding: a byte order mark,
    /// which is left out, or `<`.
    #[must_use]
    pub fn begin(bytes: &[u8]) -> Option<Self> {
        let bytes = match bytes {
            [0xff, 0xfe, rest @ ..] => rest,
            [b'<', 0, ..] => bytes,
            _ => return None,
        };
        let mut this = Self {
            text: String::new(),
            is_plain: true,
            held: Vec::new(),
        };
        this.push(bytes);
        Some(this)
    }

    /// Adds the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !self.held.is_empty()
            && let Some((first, rest)) = bytes.split_first()
        {
            self.held.push(*first);
            bytes = rest;
            let whole = complete(&self.held);
            if whole > 0 {
                let whole: Vec<u8> = self.held.drain(..whole).collect();
                self.decode(&whole);
            }
        }
        let (whole, rest) = bytes.split_at(complete(bytes));
        self.decode(whole);
        self.held.extend_from_slice(rest);
    }

    /// Length of what it holds, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len().saturating_add(self.held.len())
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text, and whether it is known to contain nothing that XML forbids, as
    /// [`decode`](super::wire::decode) yields them for all the bytes.
    #[must_use]
    pub fn finish(mut self) -> (String, bool) {
        let held = std::mem::take(&mut self.held);
        self.decode(&held);
        (self.text, self.is_plain)
    }

    fn decode(&mut self, bytes: &[u8]) {
        self.is_plain &= push_decoded(&mut self.text, bytes, Order::Little, NO_CHARACTER);
    }
}

/// How many of these bytes are whole characters: units, without a last high surrogate.
fn complete(bytes: &[u8]) -> usize {
    let even = bytes.len() - bytes.len() % 2;
    let last = bytes.get(..even).and_then(<[u8]>::last_chunk);
    match last.map(|unit| u16::from_le_bytes(*unit)) {
        Some(last) if is_high_surrogate(last) => even - 2,
        _ => even,
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Charset, decode, utf16};
    use super::*;

    /// The text, and whether it is plain. The state before its end does not depend on the pieces.
    fn in_pieces(bytes: &[u8], sizes: impl Iterator<Item = usize>) -> (String, bool) {
        let mut sizes = sizes;
        let first = sizes.next().unwrap().max(2).min(bytes.len());
        let (first, mut rest) = bytes.split_at(first);
        let mut text = Incremental::begin(first).unwrap();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(sizes.next().unwrap().min(rest.len()));
            text.push(piece);
            rest = after;
        }
        assert_eq!(Some(&text), Incremental::begin(bytes).as_ref());
        assert!(text.held.len() <= 3);
        text.finish()
    }

    #[test]
    fn a_text_in_pieces_is_the_text_as_a_whole() {
        let plain = utf16(&("<".to_owned() + &"x\u{1f980}é\n\u{20ac}".repeat(40)));
        let lone = [
            0x41, 0xd800, 0xd83e, 0xdd80, 0xd800, 0xd801, 0x42, 0xdc00, 0xdbff,
        ];
        let lone = lone.map(u16::to_le_bytes).concat();
        let lone = [b"\xff\xfe".as_slice(), &lone, &lone, b"\0"].concat();
        let odd = [
            &utf16(&("<\u{b}".to_owned() + &"y".repeat(300))),
            b"z".as_slice(),
        ]
        .concat();
        for bytes in [
            plain,
            lone,
            odd,
            b"\xff\xfe".to_vec(),
            b"\xff\xfe\xff\xfe".to_vec(),
            b"\xff\xfe\0\xd8\x41\xda\x41".to_vec(),
        ] {
            let whole = decode(&bytes, Charset::Utf16);
            let whole = (whole.text.into_owned(), whole.is_plain);
            for size in 1..20 {
                assert_eq!(in_pieces(&bytes, std::iter::repeat(size)), whole, "{size}");
                assert_eq!(in_pieces(&bytes, [size, 1000].into_iter().cycle()), whole);
            }
        }
    }

    #[test]
    fn another_encoding_is_left_to_the_caller() {
        for bytes in ["", "<", "<a>", "\u{feff}<a>", "\0<", "a\0"] {
            assert_eq!(Incremental::begin(bytes.as_bytes()), None, "{bytes:?}");
        }
        assert_eq!(Incremental::begin(b"\xfe\xff\0<"), None);
    }
}
