//! `MSG` as the event's XML on one line.
//!
//! Line ends become what an XML reader takes for the same: references in text
//! (XML 1.0 2.11 makes any raw line end a line feed), spaces within tags (3.3.3
//! makes them spaces in attribute values), in comments and outside the root.

use memchr::memchr2;

use crate::event::scan::{Segment, segments};
use crate::wire::trim;

use super::ControlCharacters;
use super::escape::{find, is_control, may_be_control, push_character};
use super::push_number;

/// Appends `xml`, which must be well-formed to keep its meaning.
pub(super) fn push(out: &mut Vec<u8>, xml: &str, control: ControlCharacters) {
    let xml = trim(xml);
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
    out.extend_from_slice(b"&#");
    push_number(out, u64::from(u32::from(c)));
    out.push(b';');
}
