//! Escapes of long texts, which may consist of special characters only.

use std::array;

use super::{Form, Piece, first_piece, length_of, piece};

/// How many bytes are looked up after a special one, before plain text is searched for again.
const SPAN: usize = 16;
/// The longest piece, with its length.
const WIDTH: usize = size_of::<Piece>();

/// What each byte becomes in a [`Form`]; an empty piece if that depends on the next byte.
pub(super) struct Table([Piece; 256]);

impl Table {
    /// From this length on, a text is worth the time to make a table, about a microsecond.
    pub(super) const LEAST: usize = 2048;

    pub(super) fn new(form: impl Form) -> Self {
        let omits = form.piece('\r', Some(b'\n')) != form.piece('\r', None);
        Self(array::from_fn(|byte| {
            let byte = u8::try_from(byte).unwrap_or(0);
            match byte {
                _ if !form.has(byte) => piece(&[byte]),
                0xC2 => piece(b""),
                b'\r' if omits => piece(b""),
                _ => form.piece(char::from(byte), None),
            }
        }))
    }

    /// Appends what some bytes at the front become, at least one; returns the rest.
    pub(super) fn push_front<'t>(
        &self,
        out: &mut Vec<u8>,
        bytes: &'t [u8],
        form: impl Form,
    ) -> &'t [u8] {
        let mut held = [0; SPAN * WIDTH];
        let (mut at, mut written) = (0, 0);
        while at < SPAN
            && let Some(rest) = bytes.get(at..)
            && let Some(byte) = rest.first()
            && let Some(place) = held.get_mut(written..)
            && let Some(place) = place.first_chunk_mut()
        {
            let known = self.0.get(usize::from(*byte)).copied();
            let (piece, length) = match known {
                Some(piece) if length_of(piece) > 0 => (piece, 1),
                _ => first_piece(rest, form),
            };
            *place = piece;
            written += length_of(piece);
            at += length;
        }
        out.extend_from_slice(held.get(..written).unwrap_or_default());
        bytes.get(at..).unwrap_or_default()
    }
}

#[cfg(test)]
pub(in crate::syslog) mod tests {
    use super::super::{Kept, Text, Value, push_special};
    use super::*;
    use crate::base::lanes::find;

    /// Long texts are escaped in this form as short ones are.
    pub(in crate::syslog) fn check(form: impl Form) {
        // All that may be special, in different neighborhoods.
        let characters: Vec<char> = ('\0'..='\u{ff}').chain("€\u{1f600}".chars()).collect();
        let mut text = String::new();
        for step in 0..4000_usize {
            text.push(characters[step * step % characters.len()]);
            text.push_str(&"plain text"[..step % 11]);
            text.push_str(["", "\r", "\r\n", "\u{c2}", "\n"][step % 5]);
        }
        for text in [&*text, &"\r\n".repeat(3000), &"\u{85}".repeat(3000)] {
            for start in (0..40).filter(|start| text.is_char_boundary(*start)) {
                let text = &text.as_bytes()[start..];
                let (mut expected, mut rest) = (Vec::new(), text);
                while let Some(at) = find(rest, form) {
                    expected.extend_from_slice(&rest[..at]);
                    let (piece, length) = first_piece(&rest[at..], form);
                    expected.extend_from_slice(&piece[..length_of(piece)]);
                    rest = &rest[at + length..];
                }
                expected.extend_from_slice(rest);
                let mut out = Vec::new();
                push_special(&mut out, text, form);
                assert!(text.len() >= Table::LEAST);
                assert!(out == expected, "from {start}");
            }
        }
    }

    #[test]
    fn long_texts_are_escaped_as_short_ones() {
        check(Kept);
        for undone in [false, true] {
            check(Value { undone });
            check(Text { undone });
        }
    }
}
