//! `MSG` as the event's XML.
//!
//! Where the framing allows it, line ends are raw, also those that the source wrote as
//! references: some readers of logs take a reference literally. Otherwise it is one line:
//! line ends become what an XML reader takes for the same: references in text
//! (XML 1.0 2.11 makes any raw line end a line feed), spaces within tags (3.3.3
//! makes them spaces in attribute values), in comments and outside the root.

use memchr::memchr2;

use crate::base::wire::{find, trim};
use crate::event::scan::{Segment, segments};

use super::escape::{is_control, may_be_control, push_character, push_text};
use super::{ControlCharacters, Escape, Style, push_number};

/// Appends `xml`, which must be well-formed to keep its meaning.
pub(super) fn push(out: &mut Vec<u8>, xml: &str, style: &Style) {
    let xml = trim(xml);
    match (style.control, style.escape) {
        (ControlCharacters::Keep, Escape::Reversible) => push_lines(out, xml),
        (control, _) => push_line(out, xml, control),
    }
}

/// Appends the text of an event that is no XML; references stand for what a line may not hold.
pub(super) fn push_broken(out: &mut Vec<u8>, text: &str, style: &Style) {
    match (style.control, style.escape) {
        (_, Escape::Version01) => push_text(out, text, style),
        (ControlCharacters::Keep, _) => out.extend_from_slice(text.as_bytes()),
        (ControlCharacters::Escape, _) => {
            let mut rest = text;
            while let Some((plain, tail)) =
                next_special(rest, style.control).and_then(|at| rest.split_at_checked(at))
            {
                out.extend_from_slice(plain.as_bytes());
                let mut characters = tail.chars();
                let Some(c) = characters.next() else { return };
                rest = characters.as_str();
                match is_control(c) {
                    true => push_reference(out, c),
                    false => push_character(out, c),
                }
            }
            out.extend_from_slice(rest.as_bytes());
        }
    }
}

/// Appends `xml` as it is, but for references to line feeds between tags: in an attribute
/// a raw line feed would be read as a space (XML 1.0 3.3.3).
fn push_lines(out: &mut Vec<u8>, xml: &str) {
    let (mut kept, mut start) = (0, 0);
    let mut within = false;
    // What looks like a tag in CDATA or in a comment is none.
    if next_line_feed(xml, 0).is_some() && memchr::memmem::find(xml.as_bytes(), b"<!").is_some() {
        return out.extend_from_slice(xml.as_bytes());
    }
    while let Some((at, length)) = next_line_feed(xml, start) {
        let piece = xml.as_bytes().get(start..at).unwrap_or_default();
        if let Some(markup) = memchr::memrchr2(b'<', b'>', piece) {
            within = ends_a_tag(xml.as_bytes(), start + markup);
        }
        start = at + length;
        if within {
            out.extend_from_slice(xml.get(kept..at).unwrap_or_default().as_bytes());
            out.push(b'\n');
            kept = start;
        }
    }
    out.extend_from_slice(xml.get(kept..).unwrap_or_default().as_bytes());
}

/// Whether a tag ends here for sure: it may also be that `>` stands in an attribute, in CDATA
/// or in a comment, or that this is the beginning of one.
fn ends_a_tag(xml: &[u8], at: usize) -> bool {
    /// Longer tags count as none: looking at each again and again would take too long.
    const LONGEST: usize = 512;
    let before = xml.get(at.saturating_sub(LONGEST)..at).unwrap_or_default();
    let tag = memchr::memrchr(b'<', before).and_then(|open| before.get(open + 1..));
    let even = |tag, quote| memchr::memchr_iter(quote, tag).count().is_multiple_of(2);
    xml.get(at) == Some(&b'>')
        && tag.is_some_and(|tag| {
            !tag.starts_with(b"!") && !tag.starts_with(b"?") && even(tag, b'\'') && even(tag, b'"')
        })
}

/// Where the next reference to a line feed stands, and its length.
fn next_line_feed(text: &str, start: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'&', bytes.get(start..)?).find_map(|at| {
        let reference = bytes.get(start + at..)?;
        match reference {
            [_, b'#', b'1', b'0', b';', ..] => Some((start + at, 5)),
            [_, b'#', b'x', b'A' | b'a', b';', ..] => Some((start + at, 5)),
            _ => None,
        }
    })
}

/// Appends `xml` on one line.
fn push_line(out: &mut Vec<u8>, xml: &str, control: ControlCharacters) {
    if next_special(xml, control).is_none() {
        out.extend_from_slice(xml.as_bytes());
        return;
    }
    let mut depth = 0_usize;
    for segment in segments(xml) {
        depth = depth_after(segment, depth);
        match segment {
            Segment::Text(text) if depth > 0 => push_piece(out, text, control, push_reference),
            Segment::CData(text) => push_piece(out, text, control, |out, c| {
                // No references there: leave the section, and come back.
                out.extend_from_slice(b"]]>");
                push_reference(out, c);
                out.extend_from_slice(b"<![CDATA[");
            }),
            Segment::Tag(tag) => push_piece(out, tag, control, |out, c| match c {
                '\t' | '\n' => out.push(b' '),
                c => push_reference(out, c),
            }),
            Segment::Text(text) | Segment::Other(text) => {
                push_piece(out, text, control, |out, _| out.push(b' '));
            }
        }
    }
}

/// Open elements after this piece.
fn depth_after(segment: Segment<'_>, depth: usize) -> usize {
    match segment {
        Segment::Tag(tag) if tag.starts_with("</") => depth.saturating_sub(1),
        Segment::Tag(tag) if !tag.ends_with("/>") => depth + 1,
        _ => depth,
    }
}

/// Appends `text`, its line ends made line feeds and then, like other control
/// characters if they are to be escaped, given to `push`.
fn push_piece(
    out: &mut Vec<u8>,
    text: &str,
    control: ControlCharacters,
    push: impl Fn(&mut Vec<u8>, char),
) {
    let mut rest = text;
    while let Some((plain, tail)) =
        next_special(rest, control).and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(plain.as_bytes());
        let mut characters = tail.chars();
        let Some(c) = characters.next() else { return };
        rest = characters.as_str();
        match c {
            '\r' if rest.starts_with('\n') => {}
            '\r' => push(out, '\n'),
            c if is_control(c) => push(out, c),
            c => push_character(out, c),
        }
    }
    out.extend_from_slice(rest.as_bytes());
}

fn next_special(text: &str, control: ControlCharacters) -> Option<usize> {
    match control {
        ControlCharacters::Keep => memchr2(b'\n', b'\r', text.as_bytes()),
        ControlCharacters::Escape => find(text.as_bytes(), may_be_control),
    }
}

fn push_reference(out: &mut Vec<u8>, c: char) {
    if c == '\n' {
        return out.extend_from_slice(b"&#10;");
    }
    out.extend_from_slice(b"&#");
    push_number(out, u64::from(u32::from(c)));
    out.push(b';');
}
