//! Splits XML into tags and the text between them, without validating it. For repairing
//! events that the reader rejects.

use memchr::{memchr, memmem};

use super::walk_tag;

/// A piece of XML including its delimiters. The last piece may be unterminated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// Text and references between tags.
    Text(&'a str),
    /// A start, end, or empty-element tag.
    Tag(&'a str),
    /// `<![CDATA[...]]>`.
    CData(&'a str),
    /// A comment, processing instruction or declaration.
    Other(&'a str),
}

/// All pieces of `xml` in order; concatenated, they equal `xml`.
pub(crate) fn segments(xml: &str) -> Segments<'_> {
    Segments { rest: xml }
}

/// Iterator of [`segments`].
#[derive(Clone, Debug)]
pub(crate) struct Segments<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        let rest = self.rest;
        if rest.is_empty() {
            return None;
        }
        Some(if !rest.starts_with('<') {
            Segment::Text(self.take(memchr(b'<', rest.as_bytes())))
        } else if rest.starts_with("<![CDATA[") {
            Segment::CData(self.take(after(rest, "]]>")))
        } else if rest.starts_with("<!--") {
            Segment::Other(self.take(after(rest, "-->")))
        } else if rest.starts_with("<?") {
            Segment::Other(self.take(after(rest, "?>")))
        } else if rest.starts_with("<!") {
            Segment::Other(self.take(after(rest, ">")))
        } else {
            Segment::Tag(self.take(walk_tag(rest.as_bytes(), |_| true)))
        })
    }
}

impl<'a> Segments<'a> {
    /// Removes and returns `length` bytes from the front, or everything if that is `None`
    /// or too many.
    fn take(&mut self, length: Option<usize>) -> &'a str {
        let split = length.and_then(|length| self.rest.split_at_checked(length));
        let (taken, rest) = split.unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

fn after(text: &str, end: &str) -> Option<usize> {
    let at = memmem::find(text.as_bytes(), end.as_bytes())?;
    at.checked_add(end.len())
}
