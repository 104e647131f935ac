//! `MSG` as the event's XML.
//!
//! If the framing allows it, line ends are raw, even those that the source wrote as references,
//! since some log readers do not decode references. Otherwise the XML is one line, and line ends
//! become what an XML reader considers equivalent: references in text (XML 1.0 2.11 normalizes raw
//! line ends to line feeds), and spaces within tags (3.3.3 normalizes them to spaces in attribute
//! values), in comments, and outside the root.

use memchr::{memchr2, memrchr};

use super::escape::{Form, Piece, may_be_control, piece, push_each, push_escaped, push_text};
use super::{ControlCharacters, Escape, Style};
use crate::base::lanes::{ByteClass, Lanes, Mask, find, push_short};
use crate::base::wire::trim;
use crate::base::xml::scan::{Segment, segments};

/// Appends `xml`, which must be well-formed for the result to have the same meaning.
pub(super) fn push(out: &mut Vec<u8>, xml: &str, style: &Style) {
    let xml = trim(xml);
    match (style.control, style.escape) {
        (ControlCharacters::Keep, Escape::Reversible) => push_lines(out, xml),
        (control, _) => push_line(out, xml, control),
    }
}

/// Appends the text of an event that is not well-formed; escaped control characters become
/// references.
pub(super) fn push_broken(out: &mut Vec<u8>, text: &str, style: &Style) {
    match (style.control, style.escape) {
        (_, Escape::Version01) => push_text(out, text, style),
        (ControlCharacters::Keep, _) => out.extend_from_slice(text.as_bytes()),
        (ControlCharacters::Escape, _) => push_escaped(out, text, Broken),
    }
}

/// Appends `xml` unchanged, except that references to line feeds become raw outside tags: within a
/// tag, a reader would read a raw line feed as a space (XML 1.0 3.3.3).
fn push_lines(out: &mut Vec<u8>, xml: &str) {
    let bytes = xml.as_bytes();
    let references = memchr::memchr_iter(b'&', bytes);
    let feeds = references.filter_map(|at| Some((at, line_feed_at(bytes, at)?)));
    let mut feeds = feeds.peekable();
    let (mut kept, mut start) = (0, 0);
    let mut within = false;
    // In CDATA sections and comments, text that looks like a tag is not one.
    if feeds.peek().is_some() && has_sections(bytes) {
        return out.extend_from_slice(bytes);
    }
    for (at, length) in feeds {
        let piece = bytes.get(start..at).unwrap_or_default();
        if let Some(markup) = memchr::memrchr2(b'<', b'>', piece) {
            within = ends_a_tag(bytes, start + markup);
        }
        start = at + length;
        if within {
            out.extend_from_slice(bytes.get(kept..at).unwrap_or_default());
            out.push(b'\n');
            kept = start;
        }
    }
    out.extend_from_slice(bytes.get(kept..).unwrap_or_default());
}

/// Whether there may be CDATA sections, comments, or declarations.
fn has_sections(xml: &[u8]) -> bool {
    let mut marks = memchr::memchr_iter(b'!', xml);
    marks.any(|at| at.checked_sub(1).and_then(|before| xml.get(before)) == Some(&b'<'))
}

/// Whether a tag certainly ends here. Otherwise `>` may be in an attribute, a CDATA section, or a
/// comment, or this byte may begin a tag.
fn ends_a_tag(xml: &[u8], at: usize) -> bool {
    /// In bytes. Longer tags count as not ended, to bound the time: each reference may look back
    /// this far.
    const LONGEST: usize = 512;
    let before = xml.get(at.saturating_sub(LONGEST)..at).unwrap_or_default();
    let tag = memrchr(b'<', before).and_then(|open| before.get(open + 1..));
    let even = |tag, quote| memchr::memchr_iter(quote, tag).count().is_multiple_of(2);
    xml.get(at) == Some(&b'>')
        && tag.is_some_and(|tag| {
            !tag.starts_with(b"!") && !tag.starts_with(b"?") && even(tag, b'\'') && even(tag, b'"')
        })
}

/// The length of the reference to a line feed here, if this is one.
fn line_feed_at(xml: &[u8], at: usize) -> Option<usize> {
    match xml.get(at..)? {
        [_, b'#', b'1', b'0', b';', ..] | [_, b'#', b'x', b'A' | b'a', b';', ..] => Some(5),
        _ => None,
    }
}

/// Appends `xml` on one line.
fn push_line(out: &mut Vec<u8>, xml: &str, control: ControlCharacters) {
    let all = control == ControlCharacters::Escape;
    let form = |place| Line { place, all };
    if form(Place::Text).find(xml.as_bytes()).is_none() {
        out.extend_from_slice(xml.as_bytes());
        return;
    }
    let mut depth = 0_usize;
    for segment in segments(xml) {
        depth = depth_after(segment, depth);
        match segment {
            Segment::Text(text) if depth > 0 => push_escaped(out, text, form(Place::Text)),
            Segment::CData(text) => push_section(out, text, form(Place::Text)),
            Segment::Tag(tag) => push_escaped(out, tag, form(Place::Tag)),
            Segment::Text(text) | Segment::Other(text) => {
                push_escaped(out, text, form(Place::Outside));
            }
        }
    }
}

/// Appends a CDATA section. CDATA sections cannot contain references, so characters that need one
/// are written between two sections.
fn push_section(out: &mut Vec<u8>, section: &str, form: Line) {
    let mut rest = section;
    while let Some((plain, tail)) = form
        .find(rest.as_bytes())
        .and_then(|at| rest.split_at_checked(at))
    {
        push_short(out, plain.as_bytes());
        let is_plain = |c: char| !c.is_control() || (!form.all && !matches!(c, '\n' | '\r'));
        let end = tail.find(is_plain).unwrap_or(tail.len());
        // 0xC2 may also begin a character that is not a control character.
        let end = end.max(tail.chars().next().map_or(1, char::len_utf8));
        let (special, after) = tail.split_at_checked(end).unwrap_or((tail, ""));
        if special.starts_with(is_plain) {
            out.extend_from_slice(special.as_bytes());
        } else {
            out.extend_from_slice(b"]]>");
            push_each(out, special.as_bytes(), form);
            out.extend_from_slice(b"<![CDATA[");
        }
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
}

/// The number of open elements after this segment.
fn depth_after(segment: Segment<'_>, depth: usize) -> usize {
    match segment {
        Segment::Tag(tag) if tag.starts_with("</") => depth.saturating_sub(1),
        Segment::Tag(tag) if !tag.ends_with("/>") => depth + 1,
        _ => depth,
    }
}

/// Where in a document a piece of XML is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between tags.
    Text,
    /// Within a tag, where readers read a raw line end or tab as a space.
    Tag,
    /// In comments, processing instructions, and outside the root.
    Outside,
}

/// XML on one line: line ends become references or spaces; with `all`, so do other control
/// characters.
#[derive(Clone, Copy)]
struct Line {
    place: Place,
    all: bool,
}

impl ByteClass for Line {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        bytes.is(b'\n') | bytes.is(b'\r') | may_be_control(bytes).only_if(self.all)
    }
}

impl Form for Line {
    fn piece(self, c: char, next: Option<u8>) -> Piece {
        match (self.place, c) {
            (_, '\r') if next == Some(b'\n') => piece(b""),
            (Place::Text, '\r') => reference('\n'),
            (Place::Tag, '\t' | '\n' | '\r') | (Place::Outside, _) => piece(b" "),
            (_, c) => reference(c),
        }
    }

    fn find(self, bytes: &[u8]) -> Option<usize> {
        if self.all {
            find(bytes, self)
        } else {
            memchr2(b'\n', b'\r', bytes)
        }
    }
}

/// Text that is not well-formed: each control character becomes a reference.
#[derive(Clone, Copy)]
struct Broken;

impl ByteClass for Broken {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        may_be_control(bytes)
    }
}

impl Form for Broken {
    fn piece(self, c: char, _: Option<u8>) -> Piece {
        reference(c)
    }
}

/// `&#10;`, for example; control characters have codes below 160.
fn reference(c: char) -> Piece {
    let code = u8::try_from(c).unwrap_or(0);
    let digit = |value: u8| b'0' + value % 10;
    let (tens, units) = (digit(code / 10), digit(code));
    match code {
        0..10 => [b'&', b'#', units, b';', 0, 0, 0, 4],
        10..100 => [b'&', b'#', tens, units, b';', 0, 0, 5],
        _ => [b'&', b'#', digit(code / 100), tens, units, b';', 0, 6],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::escape::table::tests::check;

    #[test]
    fn long_texts_are_escaped_as_short_ones() {
        check(Broken);
        for place in [Place::Text, Place::Tag, Place::Outside] {
            check(Line { place, all: false });
            check(Line { place, all: true });
        }
    }
}
