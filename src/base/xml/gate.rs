//! The walk over the markup.
//!
//! It sees no less than the reader would before it gives up: where the markup is broken
//! the reader stops, and this goes on or has counted all there is.

use std::collections::HashSet;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3, memmem};

use super::{Error, Limits};

pub(super) const CDATA_START: &str = "<![CDATA[";

/// Most different declarations of namespaces in all: the reader keeps them sorted, each
/// new one moves the others.
const DIFFERENT_NAMESPACES: usize = 1024;

/// Comparisons that any text may cost: the reader compares the attributes of an element
/// with each other, and the namespaces of a place with those of its parent.
const FREE_COMPARISONS: usize = 100_000;

/// Comparisons that each byte of a text may cost on top. Genuine ones need less than
/// one; above, the time would no longer be linear in the size.
const COMPARISONS_PER_BYTE: usize = 2;

/// Walks one text; see [`Scanner::scan`].
pub(super) struct Scanner<'a, 'l> {
    source: &'a str,
    limits: &'l Limits,
    at: usize,
    /// Namespaces declared by each open element; its length is the depth.
    open: Vec<usize>,
    /// The sum of `open`.
    namespaces: usize,
    nodes: usize,
    comparisons: usize,
    most_comparisons: usize,
    declarations: HashSet<&'a [u8]>,
    last_declaration: &'a [u8],
    cdata_end: memmem::Finder<'static>,
}

/// What a start tag brings.
#[derive(Clone, Copy, Default)]
struct Tag {
    attributes: usize,
    namespaces: usize,
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
            comparisons: 0,
            most_comparisons: FREE_COMPARISONS.saturating_add(per_byte),
            declarations: HashSet::new(),
            last_declaration: b"",
            cdata_end: memmem::Finder::new("]]>"),
        }
    }

    /// Checks all limits but [`Limits::reserved`] in one pass. `section` gets where the
    /// text of each CDATA section lies, and how many elements are open there.
    pub(super) fn scan(
        mut self,
        section: &mut dyn FnMut(Range<usize>, usize),
    ) -> Result<(), Error> {
        while let Some(found) = memchr(b'<', self.rest(self.at)) {
            let at = self.at.saturating_add(found);
            self.step(at, section)?;
            if self.nodes > self.limits.nodes {
                let most = self.limits.nodes;
                return Err(Error::Nodes { most });
            }
        }
        Ok(())
    }

    fn rest(&self, at: usize) -> &'a [u8] {
        self.source.as_bytes().get(at..).unwrap_or_default()
    }

    fn step(
        &mut self,
        at: usize,
        section: &mut dyn FnMut(Range<usize>, usize),
    ) -> Result<(), Error> {
        let rest = self.rest(at);
        if let [_, b'/', ..] = rest {
            self.close(at);
            return Ok(());
        }
        self.nodes = self.nodes.saturating_add(1);
        match rest {
            [_, b'?', ..] => self.at = end_of(rest, 2, "?>", at),
            _ if rest.starts_with(b"<!--") => self.at = end_of(rest, 4, "-->", at),
            _ if rest.starts_with(CDATA_START.as_bytes()) => self.pass_section(at, section),
            _ if rest.starts_with(b"<!DOCTYPE") => return Err(Error::Dtd { offset: at }),
            [_, b'!', ..] => self.at = at.saturating_add(2),
            _ => return self.open(at),
        }
        Ok(())
    }

    fn open(&mut self, at: usize) -> Result<(), Error> {
        let rest = self.rest(at);
        let mut tag = Tag::default();
        let length = walk_tag(rest, |attribute| {
            tag.attributes = tag.attributes.saturating_add(1);
            if is_declaration(attribute, tag.attributes == 1) {
                tag.namespaces = tag.namespaces.saturating_add(1);
                self.note_declaration(attribute.trim_ascii_start());
            }
        });
        // The reader looks at the attributes of a tag that never ends, too.
        self.at = length.map_or(self.source.len(), |length| at.saturating_add(length));
        self.nodes = self.nodes.saturating_add(tag.attributes);
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
        // Events that stand in an envelope all declare the same.
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

    fn pass_section(&mut self, at: usize, section: &mut dyn FnMut(Range<usize>, usize)) {
        let start = at.saturating_add(CDATA_START.len());
        let Some(length) = self.cdata_end.find(self.rest(start)) else {
            self.at = self.source.len();
            return;
        };
        self.at = start.saturating_add(length);
        section(start..self.at, self.open.len());
    }
}

/// Refuses text for which the reader would reserve too much: one place for each `<` and `=`.
pub(super) fn check_reserved(text: &str, limits: &Limits) -> Result<(), Error> {
    let bytes = text.as_bytes();
    let reserved = memchr_iter(b'<', bytes).count() + memchr_iter(b'=', bytes).count();
    let most = limits.reserved;
    (reserved <= most)
        .then_some(())
        .ok_or(Error::Nodes { most })
}

/// Where the markup at `at` ends; the end of the document if it never does.
fn end_of(rest: &[u8], skip: usize, end: &str, at: usize) -> usize {
    let inner = rest.get(skip..).unwrap_or_default();
    let length = memmem::find(inner, end.as_bytes()).map_or(inner.len(), |l| l + end.len());
    at.saturating_add(skip).saturating_add(length)
}

/// Gives `attribute` what stands between two values of the tag that `bytes` starts with,
/// the second value included; before the first comes the name of the element. Returns the
/// length of the tag, if it ends; `>` within quotes is passed over.
pub(crate) fn walk_tag<'a>(bytes: &'a [u8], mut attribute: impl FnMut(&'a [u8])) -> Option<usize> {
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
        attribute(rest.get(..end).unwrap_or(rest));
        at = at.saturating_add(end);
    }
}

/// Whether an attribute, the first one with the name of its element, declares a namespace.
fn is_declaration(attribute: &[u8], is_first: bool) -> bool {
    let name = match is_first {
        true => attribute
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(0),
        false => 0,
    };
    let attribute = attribute.get(name..).unwrap_or_default();
    attribute.trim_ascii_start().starts_with(b"xmlns")
}
