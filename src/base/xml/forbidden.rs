//! Characters that XML forbids and Windows writes nevertheless, raw and as references.

use std::borrow::Cow;

use memchr::memchr_iter;

use super::scan::{Segment, segments};
use crate::base::lanes::{ByteClass, Lanes, Mask, find};
use crate::base::wire::{has_forbidden, is_forbidden};

/// Replaces forbidden characters and references to them by U+FFFD; borrows the text if
/// there are none. What looks like a reference inside CDATA, a comment, or an instruction
/// is left alone.
#[must_use]
pub fn replace_forbidden(xml: &str) -> Cow<'_, str> {
    if is_plain(xml) {
        return Cow::Borrowed(xml);
    }
    let mut cleaner = Cleaner {
        xml,
        kept: 0,
        result: String::new(),
    };
    let mut start = 0;
    for segment in segments(xml) {
        let (text, references) = match segment {
            Segment::Text(text) | Segment::Tag(text) => (text, true),
            Segment::CData(text) | Segment::Other(text) => (text, false),
        };
        cleaner.clean(start, text.as_bytes(), Suspect { references });
        start += text.len();
    }
    cleaner.finish()
}

/// Copies a text except for its forbidden characters.
struct Cleaner<'a> {
    xml: &'a str,
    /// Everything before this offset has been copied.
    kept: usize,
    result: String,
}

impl<'a> Cleaner<'a> {
    /// Examines the segment that begins at `start`.
    fn clean(&mut self, start: usize, segment: &[u8], suspect: Suspect) {
        let mut at = 0_usize;
        while let Some(found) = segment.get(at..).and_then(|rest| find(rest, suspect)) {
            at += found;
            // Some texts consist of nothing else.
            while let Some(rest) = segment.get(at..)
                && rest.first().is_some_and(|byte| suspect.has(*byte))
            {
                let length = forbidden_length(rest);
                if length > 0 {
                    self.replace(start + at, length);
                }
                at += length.max(1);
            }
        }
    }

    fn replace(&mut self, at: usize, length: usize) {
        if self.result.capacity() == 0 {
            // A text with one forbidden character often has many.
            self.result.reserve(self.xml.len().saturating_mul(2));
        }
        if at > self.kept {
            let plain = self.xml.get(self.kept..at).unwrap_or_default();
            self.result.push_str(plain);
        }
        self.result.push(char::REPLACEMENT_CHARACTER);
        self.kept = at.saturating_add(length);
    }

    fn finish(mut self) -> Cow<'a, str> {
        if self.kept == 0 {
            return Cow::Borrowed(self.xml);
        }
        let rest = self.xml.get(self.kept..).unwrap_or_default();
        self.result.push_str(rest);
        Cow::Owned(self.result)
    }
}

/// Bytes with which something forbidden may begin.
#[derive(Clone, Copy)]
struct Suspect {
    /// Whether references count: not in CDATA, comments, and instructions.
    references: bool,
}

impl ByteClass for Suspect {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        let raw = bytes.at_most(b' ' - 1) | bytes.is(0xef);
        raw | bytes.is(b'&').only_if(self.references)
    }
}

/// Whether the text contains neither forbidden characters nor anything that looks like a
/// reference to one.
fn is_plain(xml: &str) -> bool {
    let bytes = xml.as_bytes();
    let mut references = memchr_iter(b'&', bytes);
    !has_forbidden(xml)
        && references.all(|at| bytes.get(at..).is_none_or(|r| bad_reference(r) == 0))
}

/// Length in bytes of the forbidden character or reference at the front, else 0.
fn forbidden_length(bytes: &[u8]) -> usize {
    match bytes {
        [b'&', ..] => bad_reference(bytes),
        [b'\t' | b'\n' | b'\r', ..] => 0,
        [0..b' ', ..] => 1,
        // U+FFFE and U+FFFF.
        [0xef, 0xbf, 0xbe | 0xbf, ..] => 3,
        _ => 0,
    }
}

/// Length in bytes of the character reference at the front if it refers to a forbidden
/// character, else 0.
fn bad_reference(bytes: &[u8]) -> usize {
    let [b'&', b'#', body @ ..] = bytes else {
        return 0;
    };
    let (digits, radix) = match body {
        [b'x', digits @ ..] => (digits, 16),
        _ => (body, 10),
    };
    let (mut code, mut length) = (0_u32, 0_usize);
    for digit in digits
        .iter()
        .map_while(|byte| char::from(*byte).to_digit(radix))
    {
        // No character has a number this large.
        code = code.saturating_mul(radix).saturating_add(digit);
        length += 1;
    }
    if length == 0 || digits.get(length) != Some(&b';') {
        return 0;
    }
    match char::from_u32(code) {
        Some(c) if !is_forbidden(c) => 0,
        _ => "&#;".len() + length + usize::from(radix == 16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_forbids_is_replaced() {
        for bad in ["\0", "\u{4}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
            let text = format!("a{bad}é");
            assert!(has_forbidden(&text), "{bad:?}");
            assert_eq!(replace_forbidden(&text), "a\u{fffd}é");
        }
        for bad in [
            "&#0;",
            "&#x5;",
            "&#5;",
            "&#xFFFE;",
            "&#xd800;",
            "&#x110000;",
            "&#99999999999;",
            "&#00000000000000000000;",
            "&#4294967361;",
        ] {
            assert_eq!(replace_forbidden(&format!("{bad}b")), "\u{fffd}b", "{bad}");
            let section = format!("<![CDATA[{bad}]]>");
            assert_eq!(replace_forbidden(&section), section);
        }
        let fine = "\t\r\n &amp; &#13;&#x10FFFF; &# &#; &#x; &#y; é\u{fffd}\u{feff}\u{7f}";
        assert!(!has_forbidden(fine));
        assert!(matches!(replace_forbidden(fine), Cow::Borrowed(_)));
    }
}
