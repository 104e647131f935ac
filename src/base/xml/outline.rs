//! A document without the text of its large sections.
//!
//! In a batch that is nearly everything, and none of the envelope's business.

use std::borrow::Cow;
use std::ops::Range;

use super::gate::{self, CDATA_START, Scanner, walk_tag};
use super::{Document, Error, Limits, Node, read};

/// Shorter sections are not worth a cut, and header texts stay whole.
pub(super) const MIN_CUT: usize = 256;

/// A document that passed the gate, without the text of large CDATA sections.
#[derive(Debug)]
pub struct Outline<'a> {
    source: &'a str,
    pub(super) text: Cow<'a, str>,
    cuts: Vec<Cut>,
}

/// From `at` in the outline on, the source is `removed` bytes further.
#[derive(Debug)]
struct Cut {
    at: usize,
    removed: usize,
}

impl<'a> Outline<'a> {
    /// Checks the limits of `source` in one pass over its markup. Large sections within
    /// `depth` open elements are left out; none where it is 0.
    ///
    /// # Errors
    /// A document type declaration, or a limit exceeded. What is not well-formed is left
    /// for [`Outline::document`] to report.
    pub fn scan(source: &'a str, limits: &Limits, depth: usize) -> Result<Self, Error> {
        let mut outline = String::new();
        let mut cuts = Vec::new();
        let mut copied = 0;
        Scanner::new(source, limits).scan(&mut |section, open| {
            if open == depth && section.len() >= MIN_CUT {
                outline.push_str(source.get(copied..section.start).unwrap_or_default());
                copied = section.end;
                let at = outline.len();
                let removed = copied.saturating_sub(at);
                cuts.push(Cut { at, removed });
            }
        })?;
        let text = if cuts.is_empty() {
            Cow::Borrowed(source)
        } else {
            outline.push_str(source.get(copied..).unwrap_or_default());
            Cow::Owned(outline)
        };
        gate::check_reserved(&text, limits)?;
        Ok(Self { source, text, cuts })
    }

    /// The tree of the outline.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the reader's reason.
    pub fn document(&self) -> Result<Document<'_>, Error> {
        read(&self.text)
    }

    /// The source text of a node, cut text included.
    #[must_use]
    pub fn source_of(&self, node: Node<'_, '_>) -> &'a str {
        self.between(self.range_of(node))
    }

    /// Where that lies.
    #[must_use]
    pub fn range_of(&self, node: Node<'_, '_>) -> Range<usize> {
        let Range { start, end } = node.range();
        self.source_offset(start)..self.source_offset(end)
    }

    /// The source text of a range.
    #[must_use]
    pub fn between(&self, range: Range<usize>) -> &'a str {
        self.source.get(range).unwrap_or_default()
    }

    /// The text of an element that holds nothing but one section, where that was left out.
    #[must_use]
    pub fn section(&self, node: Node<'_, '_>) -> Option<&'a str> {
        let Range { start, end } = node.range();
        let number = self.cuts.partition_point(|cut| cut.at < start);
        let cut = self.cuts.get(number)?;
        let front = self.text.get(start..cut.at)?;
        let back = self.text.get(cut.at..end)?;
        let tag = front.strip_suffix(CDATA_START)?;
        let is_alone = walk_tag(tag.as_bytes(), |_| {}) == Some(tag.len())
            && back.strip_prefix("]]></")?.find('<').is_none();
        let before = number.checked_sub(1).and_then(|last| self.cuts.get(last));
        let start = before.map_or(0, |cut| cut.removed).checked_add(cut.at)?;
        let end = cut.removed.checked_add(cut.at)?;
        is_alone.then(|| self.between(start..end))
    }

    fn source_offset(&self, offset: usize) -> usize {
        let before = self.cuts.partition_point(|cut| cut.at <= offset);
        let last = before.checked_sub(1).and_then(|i| self.cuts.get(i));
        last.map_or(offset, |cut| offset.saturating_add(cut.removed))
    }
}
