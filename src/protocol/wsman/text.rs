//! Text in XML: joins its pieces, and escapes.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use memchr::memchr2;

use crate::base::lanes::{ByteClass, Lanes, any};
use crate::base::wire::{self, contains};

pub use crate::base::wire::{has_forbidden, is_forbidden};

pub(super) const CDATA_START: &str = "<![CDATA[";
pub(super) const CDATA_END: &str = "]]>";

/// The characters of `content`: text unescaped, CDATA verbatim, comments removed, white
/// space at both ends trimmed. Borrowed if it is in one piece.
///
/// `content` is part of a well-formed document and contains no elements.
#[must_use]
pub fn join(content: &str) -> Cow<'_, str> {
    let content = trim(content);
    let section = content
        .strip_prefix(CDATA_START)
        .and_then(|rest| rest.strip_suffix(CDATA_END));
    match section {
        Some(text) if !contains(text, CDATA_END) => Cow::Borrowed(trim(text)),
        None if memchr2(b'<', b'&', content.as_bytes()).is_none() => Cow::Borrowed(content),
        _ => Cow::Owned(trim(&join_pieces(content)).to_owned()),
    }
}

fn join_pieces(mut rest: &str) -> String {
    let mut joined = String::with_capacity(rest.len());
    while let Some((text, markup)) = rest.find('<').and_then(|at| rest.split_at_checked(at)) {
        push_unescaped(&mut joined, text);
        rest = if let Some(section) = markup.strip_prefix(CDATA_START) {
            let (text, after) = section.split_once(CDATA_END).unwrap_or((section, ""));
            joined.push_str(text);
            after
        } else if let Some(comment) = markup.strip_prefix("<!--") {
            comment.split_once("-->").map_or("", |(_, after)| after)
        } else if let Some(instruction) = markup.strip_prefix("<?") {
            instruction.split_once("?>").map_or("", |(_, after)| after)
        } else {
            markup.split_once('>').map_or("", |(_, after)| after)
        };
    }
    push_unescaped(&mut joined, rest);
    joined
}

fn push_unescaped(out: &mut String, mut rest: &str) {
    while let Some((text, reference)) = rest.split_once('&') {
        out.push_str(text);
        let (name, after) = reference.split_once(';').unwrap_or((reference, ""));
        match referred(name) {
            Some(character) => out.push(character),
            None => out.push(char::REPLACEMENT_CHARACTER),
        }
        rest = after;
    }
    out.push_str(rest);
}

fn referred(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => referred_code(name.strip_prefix('#')?).filter(|c| !is_forbidden(*c)),
    }
}

fn referred_code(digits: &str) -> Option<char> {
    let code = match digits.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    code.ok().and_then(char::from_u32)
}

/// Trims XML white space at both ends; other spaces are data.
#[must_use]
pub fn trim(text: &str) -> &str {
    wire::trim(text)
}

/// Displays text escaped for element content and attribute values; characters that XML
/// forbids become U+FFFD.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl Escaped<'_> {
    /// Writes the text without a [`fmt::Formatter`], which costs more than the text.
    pub(super) fn write_to(self, out: &mut impl fmt::Write) -> fmt::Result {
        // Nearly all texts contain nothing special.
        if !any(self.0.as_bytes(), MaybeEscaped) {
            return out.write_str(self.0);
        }
        let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\r') || is_forbidden(c);
        let mut rest = self.0;
        while let Some((text, from)) = rest.find(special).and_then(|at| rest.split_at_checked(at)) {
            let mut characters = from.chars();
            out.write_str(text)?;
            out.write_str(characters.next().map_or("", escape))?;
            rest = characters.as_str();
        }
        out.write_str(rest)
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// Bytes that may have to be escaped.
#[derive(Clone, Copy)]
struct MaybeEscaped;

impl ByteClass for MaybeEscaped {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        let brackets = bytes.is(b'<') | bytes.is(b'>');
        let others = bytes.is(b'&') | bytes.is(b'"') | bytes.is(0xef);
        bytes.at_most(b' ' - 1) | brackets | others
    }
}

fn escape(character: char) -> &'static str {
    match character {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\r' => "&#13;",
        _ => "\u{fffd}",
    }
}

/// Appends formatted text; a `String` accepts everything.
pub(super) fn push(out: &mut String, text: fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "a String takes all");
}

#[cfg(test)]
mod tests;
