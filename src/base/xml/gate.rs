//! The walk over the markup that enforces the limits.
//!
//! It sees at least as much as the XML reader would before giving up: where the markup is
//! broken, the reader stops, while this continues or has already counted everything.

use std::collections::HashSet;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3, memmem};

use super::{Error, Limits};

pub(super) const CDATA_START: &str = "<![CDATA[";

/// Maximum number of different namespace declarations: the reader keeps them in a sorted
/// list, so each new one moves the others.
const DIFFERENT_NAMESPACES: usize = 1024;

/// Comparisons that any text may cost: the reader compares the attributes of an element
/// with each other, and the namespaces at a place with those of its parent.
const FREE_COMPARISONS: usize = 100_000;

/// Comparisons allowed for each byte of a text on top of that. Genuine texts need less than
/// one; beyond this, the time would no longer be linear in the size.
const COMPARISONS_PER_BYTE: usize = 2;

/// Walks over one text; see [`Scanner::scan`].
pub(super) struct Scanner<'a, 'l> {
    source: &'a str,
    limits: &'l Limits,
    // Offset of the first byte that has not been examined.
    at: usize,
    /// Number of namespaces declared by each open element; the length is the depth.
    open: Vec<usize>,
    /// The sum of `open`: the namespaces in scope.
    namespaces: usize,
    nodes: usize,
    most_nodes: usize,
    comparisons: usize,
    most_comparisons: usize,
    declarations: HashSet<&'a [u8]>,
    last_declaration: &'a [u8],
    cdata_end: memmem::Finder<'static>,
    /// Where the last CDATA section ended.
    section_end: Option<usize>,
    frame: Frame<'a>,
}

/// The markup between two consecutive CDATA sections. It repeats for each event of a batch,
/// so it is examined only once.
#[derive(Clone, Copy, Default)]
struct Frame<'a> {
    text: &'a [u8],
    /// Whether it ends one element and begins another of the same name.
    is_one_element: bool,
    /// What it added to these counts; known once it has occurred twice.
    nodes: usize,
    comparisons: usize,
}

/// A CDATA section.
pub(super) struct Section {
    /// Range of its text in the source, without the delimiters.
    pub(super) text: Range<usize>,
    /// Number of elements open around it.
    pub(super) depth: usize,
    /// Whether its element is like the previous one, which contained nothing but a section.
    pub(super) repeats: bool,
}

/// What a start tag adds to the counts.
#[derive(Clone, Copy, Default)]
struct Tag {
    attributes: usize,
    namespaces: usize,
    /// Whether it has the attribute [`Limits::naming`].
    is_named: bool,
}

impl<'a, 'l> Scanner<'a, 'l> {
    pub(super) fn new(source: &'a str, limits: &'l Limits) -> Self {
        let per_byte = source.len().saturating_mul(COMPARISONS_PER_BYTE);
        Self {
            source,
            limits,
            at: 0,
            open: Vec::with_capacity(8),
            namespaces: 0,
            nodes: 0,
            most_nodes: limits.most_nodes(source.len()),
            comparisons: 0,
            most_comparisons: FREE_COMPARISONS.saturating_add(per_byte),
            declarations: HashSet::new(),
            last_declaration: b"",
            cdata_end: memmem::Finder::new("]]>"),
            section_end: None,
            frame: Frame::default(),
        }
    }

    /// Checks all limits except [`Limits::reserved`] in one pass, and calls `section` for
    /// each CDATA section.
    pub(super) fn scan(mut self, section: &mut dyn FnMut(Section)) -> Result<(), Error> {
        while let Some(found) = memchr(b'<', self.rest(self.at)) {
            let at = self.at.saturating_add(found);
            self.step(at, section)?;
            self.check_nodes()?;
        }
        Ok(())
    }

    fn check_nodes(&self) -> Result<(), Error> {
        let most = self.most_nodes;
        (self.nodes <= most)
            .then_some(())
            .ok_or(Error::Nodes { most })
    }

    fn rest(&self, at: usize) -> &'a [u8] {
        self.source.as_bytes().get(at..).unwrap_or_default()
    }

    fn step(&mut self, at: usize, section: &mut dyn FnMut(Section)) -> Result<(), Error> {
        let rest = self.rest(at);
        if let [_, b'/', ..] = rest {
            self.close(at);
            return Ok(());
        }
        self.nodes = self.nodes.saturating_add(1);
        match rest {
            [_, b'?', ..] => self.at = end_of(rest, 2, "?>", at),
            _ if rest.starts_with(b"<!--") => self.at = end_of(rest, 4, "-->", at),
            _ if rest.starts_with(CDATA_START.as_bytes()) => {
                return self.pass_sections(at, section);
            }
            _ if rest.starts_with(b"<!DOCTYPE") => return Err(Error::Dtd { offset: at }),
            [_, b'!', ..] => self.at = at.saturating_add(2),
            _ => return self.open(at),
        }
        Ok(())
    }

    fn open(&mut self, at: usize) -> Result<(), Error> {
        let rest = self.rest(at);
        let mut tag = Tag::default();
        let most = self.limits.attributes;
        let length = walk_tag(rest, |attribute| {
            tag.attributes = tag.attributes.saturating_add(1);
            tag.is_named |= is_named(attribute, self.limits.naming);
            if is_declaration(attribute, tag.attributes == 1) {
                tag.namespaces = tag.namespaces.saturating_add(1);
                self.note_declaration(attribute.trim_ascii_start());
            }
            // A tag may consist of nothing else, and is refused below.
            tag.attributes <= most
        });
        // The reader examines the attributes even of a tag that never ends.
        self.at = length.map_or(self.source.len(), |length| at.saturating_add(length));
        let uncounted = usize::from(tag.is_named);
        self.nodes = self
            .nodes
            .saturating_add(tag.attributes.saturating_sub(uncounted));
        if tag.attributes > 0 {
            self.check_tag(at, tag)?;
        }
        if self.open.len() >= self.limits.depth {
            let most = self.limits.depth;
            return Err(Error::Depth { offset: at, most });
        }
        let text = self.source.as_bytes().get(at..self.at).unwrap_or_default();
        if !text.ends_with(b"/>") {
            self.open.push(tag.namespaces);
            self.namespaces = self.namespaces.saturating_add(tag.namespaces);
        }
        Ok(())
    }

    fn check_tag(&mut self, at: usize, tag: Tag) -> Result<(), Error> {
        let Limits {
            attributes,
            namespaces,
            ..
        } = *self.limits;
        if tag.attributes > attributes {
            let most = attributes;
            return Err(Error::Attributes { offset: at, most });
        }
        let in_scope = self.namespaces.saturating_add(tag.namespaces);
        let mut comparisons = tag.attributes.saturating_mul(tag.attributes) / 2;
        if tag.namespaces > 0 {
            if in_scope > namespaces || self.declarations.len() > DIFFERENT_NAMESPACES {
                let most = namespaces;
                return Err(Error::Namespaces { offset: at, most });
            }
            comparisons = comparisons.saturating_add(in_scope.saturating_mul(in_scope));
        }
        self.comparisons = self.comparisons.saturating_add(comparisons);
        if self.comparisons > self.most_comparisons {
            return Err(Error::Dense { offset: at });
        }
        Ok(())
    }

    fn note_declaration(&mut self, declaration: &'a [u8]) {
        // The events in an envelope all declare the same namespace.
        if declaration != self.last_declaration && self.declarations.len() <= DIFFERENT_NAMESPACES {
            self.declarations.insert(declaration);
            self.last_declaration = declaration;
        }
    }

    fn close(&mut self, at: usize) {
        self.at = at.saturating_add(2);
        let declared = self.open.pop().unwrap_or(0);
        self.namespaces = self.namespaces.saturating_sub(declared);
    }

    /// Skips a section, and those that follow it in the same frame: they make up most of a
    /// batch.
    fn pass_sections(&mut self, at: usize, section: &mut dyn FnMut(Section)) -> Result<(), Error> {
        let start = at.saturating_add(CDATA_START.len());
        let repeats = self.note_frame(start);
        self.at = start;
        loop {
            let Some(length) = self.cdata_end.find(self.rest(self.at)) else {
                self.at = self.source.len();
                return Ok(());
            };
            let text = self.at..self.at.saturating_add(length);
            self.at = text.end;
            self.section_end = Some(text.end);
            let depth = self.open.len();
            section(Section {
                text,
                depth,
                repeats,
            });
            if !repeats || !self.rest(self.at).starts_with(self.frame.text) {
                return Ok(());
            }
            self.count_frame()?;
        }
    }

    /// Examines the markup before the section that starts here; returns whether it is the
    /// same as before the previous one.
    fn note_frame(&mut self, start: usize) -> bool {
        let end = self.section_end.unwrap_or(start);
        let text = self.source.as_bytes().get(end..start).unwrap_or_default();
        let repeats = self.frame.is_one_element && text == self.frame.text;
        if repeats {
            // Its first occurrence may have ended an element with other namespaces.
            self.frame.nodes = self.nodes.saturating_sub(self.frame.nodes);
            self.frame.comparisons = self.comparisons.saturating_sub(self.frame.comparisons);
        } else {
            self.frame = Frame {
                text,
                is_one_element: is_one_element(text),
                nodes: self.nodes,
                comparisons: self.comparisons,
            };
        }
        repeats
    }

    /// Counts a repeated frame without examining it again.
    fn count_frame(&mut self) -> Result<(), Error> {
        let offset = self.at;
        self.nodes = self.nodes.saturating_add(self.frame.nodes);
        self.comparisons = self.comparisons.saturating_add(self.frame.comparisons);
        self.at = self.at.saturating_add(self.frame.text.len());
        self.check_nodes()?;
        if self.comparisons > self.most_comparisons {
            return Err(Error::Dense { offset });
        }
        Ok(())
    }
}

/// Whether a frame is the end of one element and the start of another of the same name:
/// `]]></a><a b="c"><![CDATA[`. Repetitions of it give well-formed elements that are all
/// alike.
fn is_one_element(frame: &[u8]) -> bool {
    let elements = frame
        .strip_prefix(b"]]></")
        .and_then(|rest| rest.strip_suffix(CDATA_START.as_bytes()));
    let Some((end, start)) = elements.and_then(|tags| {
        let at = memchr(b'>', tags)?;
        tags.split_at_checked(at.saturating_add(1))
    }) else {
        return false;
    };
    let name = end.strip_suffix(b">").unwrap_or_default();
    let rest = start
        .strip_prefix(b"<")
        .and_then(|start| start.strip_prefix(name));
    let is_same_name = rest.is_some_and(|rest| matches!(rest, [b'>' | b' ', ..]));
    is_same_name
        && !name.is_empty()
        && walk_tag(start, |_| true) == Some(start.len())
        && !start.ends_with(b"/>")
}

/// Rejects text for which the reader would reserve too much memory: it allocates one slot
/// for each `<` and `=`.
pub(super) fn check_reserved(text: &str, limits: &Limits) -> Result<(), Error> {
    let bytes = text.as_bytes();
    let reserved = memchr_iter(b'<', bytes).count() + memchr_iter(b'=', bytes).count();
    let most = limits.reserved;
    (reserved <= most)
        .then_some(())
        .ok_or(Error::Nodes { most })
}

/// Where the markup at `at` ends; the end of the document if it is never closed.
fn end_of(rest: &[u8], skip: usize, end: &str, at: usize) -> usize {
    let inner = rest.get(skip..).unwrap_or_default();
    let length = memmem::find(inner, end.as_bytes()).map_or(inner.len(), |l| l + end.len());
    at.saturating_add(skip).saturating_add(length)
}

/// Walks over the tag at the front of `bytes` and passes each attribute to `attribute`:
/// what lies between the end of the previous value and the end of its own. The first one
/// includes the element's name. Returns the length of the tag, or `None` if it does not
/// end, or if `attribute` returns false; a `>` within quotes does not end it.
pub(crate) fn walk_tag<'a>(
    bytes: &'a [u8],
    mut attribute: impl FnMut(&'a [u8]) -> bool,
) -> Option<usize> {
    let mut at = 1_usize;
    loop {
        let rest = bytes.get(at..)?;
        let found = memchr3(b'>', b'"', b'\'', rest)?;
        let (quote, value) = rest.get(found..)?.split_first()?;
        if *quote == b'>' {
            return Some(at.saturating_add(found).saturating_add(1));
        }
        let length = memchr(*quote, value).unwrap_or(value.len());
        let end = found.saturating_add(length).saturating_add(2);
        attribute(rest.get(..end).unwrap_or(rest)).then_some(())?;
        at = at.saturating_add(end);
    }
}

/// Whether an attribute, with what precedes it, has this name.
fn is_named(attribute: &[u8], name: &str) -> bool {
    let end = memchr(b'=', attribute).filter(|_| !name.is_empty());
    let before = end.and_then(|end| attribute.get(..end)).unwrap_or_default();
    let rest = before.trim_ascii_end().strip_suffix(name.as_bytes());
    rest.is_some_and(|rest| rest.last().is_some_and(u8::is_ascii_whitespace))
}

/// Whether an attribute declares a namespace. `is_first` means that it still includes the
/// element's name.
fn is_declaration(attribute: &[u8], is_first: bool) -> bool {
    let name = if is_first {
        attribute
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(0)
    } else {
        0
    };
    let attribute = attribute.get(name..).unwrap_or_default();
    attribute.trim_ascii_start().starts_with(b"xmlns")
}
