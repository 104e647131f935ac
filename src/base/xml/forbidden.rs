//! What XML forbids and Windows writes all the same: raw, and as references.

use std::borrow::Cow;

use memchr::memchr_iter;

use super::scan::{Segment, segments};
use crate::base::wire::{has_forbidden, is_forbidden};

/// Puts U+FFFD for characters, raw or as references, that XML does not allow.
/// What looks like a reference in CDATA, a comment or an instruction is none.
#[must_use]
pub fn replace_forbidden(xml: &str) -> Cow<'_, str> {
    if is_plain(xml) {
        return Cow::Borrowed(xml);
    }
    let mut result = String::new();
    let (mut kept, mut start) = (0, 0);
    for segment in segments(xml) {
        let (text, references) = match segment {
            Segment::Text(text) | Segment::Tag(text) => (text, true),
            Segment::CData(text) | Segment::Other(text) => (text, false),
        };
        for (at, c) in text.char_indices() {
            let length = match c {
                '&' if references => bad_reference(text.get(at..).unwrap_or_default()),
                c if is_forbidden(c) => c.len_utf8(),
                _ => 0,
            };
            if length > 0 {
                let at = start + at;
                result.push_str(xml.get(kept..at).unwrap_or_default());
                result.push(char::REPLACEMENT_CHARACTER);
                kept = at.saturating_add(length);
            }
        }
        start += text.len();
    }
    if kept == 0 {
        return Cow::Borrowed(xml);
    }
    result.push_str(xml.get(kept..).unwrap_or_default());
    Cow::Owned(result)
}

/// Whether the text has neither forbidden characters nor what looks like a reference to one.
fn is_plain(xml: &str) -> bool {
    let mut references = memchr_iter(b'&', xml.as_bytes());
    !has_forbidden(xml) && references.all(|at| xml.get(at..).is_none_or(|r| bad_reference(r) == 0))
}

/// Length of the character reference at the front if it is a forbidden one, else 0.
fn bad_reference(text: &str) -> usize {
    let Some(body) = text.strip_prefix("&#") else {
        return 0;
    };
    let (body, radix) = match body.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (body, 10),
    };
    let rest = body.trim_start_matches(|c: char| c.is_digit(radix));
    // Not by comparing the ends, which would take as long as all that follows.
    let length = body.len().saturating_sub(rest.len());
    let digits = body.get(..length).unwrap_or_default();
    if digits.is_empty() || !rest.starts_with(';') {
        return 0;
    }
    let code = u32::from_str_radix(digits, radix).ok();
    match code.and_then(char::from_u32) {
        Some(c) if !is_forbidden(c) => 0,
        _ => "&#;".len() + digits.len() + usize::from(radix == 16),
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
