//! A document without the text of its large CDATA sections.
//!
//! In a batch these sections are nearly everything, and the envelope's code does not read
//! them. The elements around them are all alike, so the tree holds one element for many.

use std::borrow::Cow;
use std::ops::Range;

use super::gate::{self, CDATA_START, Scanner, Section, walk_tag};
use super::{Document, Error, Limits, Node, read};

/// Minimum length in bytes of a section to leave out. Shorter ones are not worth it, and
/// texts in headers stay whole.
pub(super) const MIN_CUT: usize = 256;

/// A document that has passed the gate, without the text of large CDATA sections.
///
/// Where several elements are alike and contain one such section each, the tree has only
/// some of them; [`Outline::sections`] and [`Outline::sources_of`] return what each of
/// these represents.
#[derive(Debug)]
pub struct Outline<'a> {
    source: &'a str,
    pub(super) text: Cow<'a, str>,
    cuts: Vec<Cut>,
    /// The ranges of the omitted sections in the source.
    sections: Vec<Range<usize>>,
}

/// From offset `at` in the outline on, offsets in the source are larger by `removed`.
#[derive(Debug)]
struct Cut {
    at: usize,
    removed: usize,
    /// How many sections have been omitted up to here.
    sections: usize,
}

/// An outline under construction.
struct Outliner<'a> {
    outline: Outline<'a>,
    depth: usize,
    /// Everything before this offset of the source is in the outline or omitted.
    copied: usize,
    /// Omitted sections up to the last one whose element follows another one like it;
    /// perhaps without the first.
    alike: usize,
}

impl<'a> Outliner<'a> {
    fn section(&mut self, section: Section) {
        let Section {
            text,
            depth,
            repeats,
        } = section;
        if depth != self.depth || text.len() < MIN_CUT {
            self.alike = 0;
            return;
        }
        self.alike = if repeats { self.alike + 1 } else { 1 };
        let Outline {
            source,
            text: outline,
            cuts,
            sections,
        } = &mut self.outline;
        // It is not known yet how the last element ends, so the one before it is the one
        // that can represent others.
        if self.alike > 2
            && let [.., before, last] = cuts.as_mut_slice()
        {
            before.sections = last.sections;
            before.removed = self.copied.saturating_sub(before.at);
            last.removed = text.end.saturating_sub(last.at);
            last.sections = last.sections.saturating_add(1);
        } else {
            let piece = source.get(self.copied..text.start).unwrap_or_default();
            outline.to_mut().push_str(piece);
            let at = outline.len();
            cuts.push(Cut {
                at,
                removed: text.end.saturating_sub(at),
                sections: sections.len().saturating_add(1),
            });
        }
        self.copied = text.end;
        sections.push(text);
    }
}

impl<'a> Outline<'a> {
    /// Checks the limits of `source` in one pass over its markup. Large sections inside
    /// exactly `depth` open elements are left out; none if it is 0.
    ///
    /// # Errors
    /// A document type declaration, or a limit exceeded. Whether the text is well-formed is
    /// left to [`Outline::document`].
    pub fn scan(source: &'a str, limits: &Limits, depth: usize) -> Result<Self, Error> {
        let mut outliner = Outliner {
            outline: Outline {
                source,
                text: Cow::Borrowed(""),
                cuts: Vec::new(),
                sections: Vec::new(),
            },
            depth,
            copied: 0,
            alike: 0,
        };
        Scanner::new(source, limits).scan(&mut |section| outliner.section(section))?;
        let copied = outliner.copied;
        let mut outline = outliner.outline;
        if outline.cuts.is_empty() {
            outline.text = Cow::Borrowed(source);
        } else {
            let rest = source.get(copied..).unwrap_or_default();
            outline.text.to_mut().push_str(rest);
        }
        gate::check_reserved(&outline.text, limits)?;
        Ok(outline)
    }

    /// Builds the tree of the outline.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the reader's reason.
    pub fn document(&self) -> Result<Document<'_>, Error> {
        read(&self.text)
    }

    /// Length of the whole source in bytes.
    #[must_use]
    pub fn source_length(&self) -> usize {
        self.source.len()
    }

    /// The source text of a node, including omitted text.
    #[must_use]
    pub fn source_of(&self, node: Node<'_, '_>) -> &'a str {
        self.between(self.range_of(node))
    }

    /// The range of a node in the source, including omitted text.
    #[must_use]
    pub fn range_of(&self, node: Node<'_, '_>) -> Range<usize> {
        let Range { start, end } = node.range();
        self.source_offset(start)..self.source_offset(end)
    }

    /// The source text in this range; empty if it is out of bounds.
    #[must_use]
    pub fn between(&self, range: Range<usize>) -> &'a str {
        self.source.get(range).unwrap_or_default()
    }

    /// The section texts of an element that contains nothing but one omitted section: its
    /// own and those of the elements that it represents. `None` for any other element.
    #[must_use]
    pub fn sections(&self, node: Node<'_, '_>) -> Option<impl Iterator<Item = &'a str>> {
        let (sections, ..) = self.only_section(node)?;
        Some(sections.iter().map(|text| self.between(text.clone())))
    }

    /// The source text of a node, and of those that it represents.
    pub fn sources_of(&self, node: Node<'_, '_>) -> impl Iterator<Item = &'a str> {
        let (sections, front, back) = self.only_section(node).unwrap_or_default();
        let each = sections.iter().map(move |text| {
            let end = text.end.saturating_add(back);
            self.between(text.start.saturating_sub(front)..end)
        });
        each.chain(sections.is_empty().then(|| self.source_of(node)))
    }

    /// The sections of an element that contains nothing but one omitted section, and the
    /// lengths of the markup before and after it.
    fn only_section(&self, node: Node<'_, '_>) -> Option<(&[Range<usize>], usize, usize)> {
        let Range { start, end } = node.range();
        let number = self.cuts.partition_point(|cut| cut.at < start);
        let cut = self.cuts.get(number)?;
        let front = self.text.get(start..cut.at)?;
        let back = self.text.get(cut.at..end)?;
        let tag = front.strip_suffix(CDATA_START)?;
        let is_alone = walk_tag(tag.as_bytes(), |_| true) == Some(tag.len())
            && back.strip_prefix("]]></")?.find('<').is_none();
        let before = number.checked_sub(1).and_then(|last| self.cuts.get(last));
        let first = before.map_or(0, |cut| cut.sections);
        let sections = self.sections.get(first..cut.sections)?;
        is_alone.then_some((sections, front.len(), back.len()))
    }

    /// Converts an offset in the outline to one in the source.
    fn source_offset(&self, offset: usize) -> usize {
        let before = self.cuts.partition_point(|cut| cut.at <= offset);
        let last = before.checked_sub(1).and_then(|i| self.cuts.get(i));
        last.map_or(offset, |cut| offset.saturating_add(cut.removed))
    }
}
