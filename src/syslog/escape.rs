//! Escapes for values of structured data and for `MSG`.

use memchr::memchr3;

use crate::base::wire::find;

use super::{ControlCharacters, Escape, Style};

/// Appends a PARAM-VALUE (RFC 5424 6.3.3) without its quotes.
pub(super) fn push_value(out: &mut Vec<u8>, value: &str, control: ControlCharacters) {
    match control {
        ControlCharacters::Keep => push_kept(out, value),
        ControlCharacters::Escape => push_visible(out, value, Form::Value),
    }
}

/// Appends text of `MSG`.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str, style: &Style) {
    match (style.control, style.escape) {
        (ControlCharacters::Keep, _) => out.extend_from_slice(text.as_bytes()),
        (ControlCharacters::Escape, Escape::Reversible) => push_visible(out, text, Form::Text),
        (ControlCharacters::Escape, Escape::Version01) => push_visible(out, text, Form::Text01),
    }
}

/// Appends text of `MSG` that was one line in version 0.1, whatever the framing.
pub(super) fn push_line(out: &mut Vec<u8>, text: &str, style: &Style) {
    match style.escape {
        Escape::Reversible => push_text(out, text, style),
        Escape::Version01 => push_visible(out, text, Form::Text01),
    }
}

/// Where visible control characters stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In a PARAM-VALUE, which has escapes of its own.
    Value,
    /// In text, so that they can be undone.
    Text,
    /// In text of version 0.1.
    Text01,
}

/// Whether a control character may begin with this byte of UTF-8. C1 controls
/// begin with 0xC2, as do U+00A0 to U+00BF.
pub(super) fn may_be_control(byte: u8) -> bool {
    (byte < b' ') | (byte == 0x7F) | (byte == 0xC2)
}

/// Whether the character is C0, DEL or C1 (Unicode category Cc).
pub(super) fn is_control(c: char) -> bool {
    c.is_control()
}

fn push_kept(out: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    while let Some(at) = memchr3(b'"', b'\\', b']', rest) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else {
            return;
        };
        out.extend_from_slice(&[b'\\', *byte]);
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Control characters become visible; in a value its three specials are escaped
/// too, and each backslash that we add is doubled.
fn push_visible(out: &mut Vec<u8>, text: &str, form: Form) {
    let (value, undone) = (form == Form::Value, form == Form::Text);
    let special = |byte: u8| {
        may_be_control(byte)
            | ((form != Form::Text01) & (byte == b'\\'))
            | (value & ((byte == b'"') | (byte == b']')))
    };
    let mut rest = text;
    while let Some((plain, tail)) =
        find(rest.as_bytes(), special).and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(plain.as_bytes());
        let mut characters = tail.chars();
        let Some(c) = characters.next() else { return };
        rest = characters.as_str();
        if is_control(c) {
            if c == '\r' && rest.starts_with('\n') && !undone {
                continue;
            }
            push_control(out, c, if value { "\\\\" } else { "\\" });
            continue;
        }
        if c.is_ascii() {
            out.push(b'\\');
        }
        push_character(out, c);
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Appends the visible form of a control character, after `backslash`.
fn push_control(out: &mut Vec<u8>, c: char, backslash: &str) {
    out.extend_from_slice(backslash.as_bytes());
    match c {
        '\n' => out.push(b'n'),
        '\r' => out.push(b'r'),
        '\t' => out.push(b't'),
        c => push_code(out, c),
    }
}

/// Appends `u0085` and the like; controls have codes below 256.
pub(super) fn push_code(out: &mut Vec<u8>, c: char) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let code = u8::try_from(c).unwrap_or(0);
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[b'u', b'0', b'0', digit(code >> 4), digit(code & 15)]);
}

/// Appends one character as UTF-8.
pub(super) fn push_character(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
