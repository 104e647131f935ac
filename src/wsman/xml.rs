//! XML from strangers: limits checked before a tree is built.
//!
//! The parser below us counts every `<` and `=` of its input to reserve memory
//! and has no limit for depth, attributes or namespaces, so [`Skeleton`] walks
//! the markup first. On its way it takes the text of large CDATA sections out:
//! in a batch that is nearly everything, and none of the envelope's business.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3, memmem};
use roxmltree::{Document, Node, ParsingOptions};

use super::Error;
use super::text::{CDATA_END, CDATA_START, Escaped};

/// Deepest nesting of elements. Genuine envelopes with inline events stay below
/// 20; the tree's users recurse nowhere, but later readers may.
pub const MAX_DEPTH: usize = 64;

/// Most attributes of one element: the parser compares each with all others.
pub const MAX_ATTRIBUTES: usize = 64;

/// Most namespaces declared at one place of the document. The parser copies the
/// list of an element to each child that declares one more.
pub const MAX_NAMESPACES: usize = 64;

/// Most `<` plus `=` outside of events in CDATA: each reserves about 100 bytes.
/// An inline batch that fills 512,000 bytes has about 30,000.
pub const MAX_MARKUP: u32 = 1_000_000;

/// Open elements around an event's text: Envelope, Body, Events, Event.
const EVENT_DEPTH: usize = 4;

/// Shorter sections are not worth a cut, and header texts stay whole.
const MIN_CUT: usize = 256;

/// A document whose limits are checked, without the text of large events.
#[derive(Debug)]
pub struct Skeleton<'a> {
    source: &'a str,
    text: Cow<'a, str>,
    cuts: Vec<Cut>,
}

/// From `at` in the skeleton on, the source is `removed` bytes further.
#[derive(Debug)]
struct Cut {
    at: usize,
    removed: usize,
}

impl<'a> Skeleton<'a> {
    /// Checks the limits of `source` in one pass over its markup.
    ///
    /// # Errors
    /// A document type declaration, or a limit of this module exceeded. What is
    /// not well-formed is left for [`Skeleton::document`] to report.
    pub fn scan(source: &'a str) -> Result<Self, Error> {
        let mut scanner = Scanner::new(source);
        while let Some(at) = scanner.next_markup() {
            scanner.step(at)?;
        }
        scanner.finish()
    }

    /// The tree of the skeleton.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the parser's reason.
    pub fn document(&self) -> Result<Document<'_>, Error> {
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: MAX_MARKUP,
            entity_resolver: None,
        };
        Document::parse_with_options(&self.text, options).map_err(Error::Malformed)
    }

    /// The source text of a node, cut text included.
    #[must_use]
    pub fn source_of(&self, node: Node<'_, '_>) -> &'a str {
        let Range { start, end } = node.range();
        let range = self.source_offset(start)..self.source_offset(end);
        self.source.get(range).unwrap_or_default()
    }

    /// Like [`Skeleton::source_of`], with the namespace declarations that the
    /// element inherits and uses, so that it can stand alone.
    #[must_use]
    pub fn standalone(&self, node: Node<'_, '_>) -> Cow<'a, str> {
        let source = self.source_of(node);
        let inherited = inherited_namespaces(node, source);
        if inherited.is_empty() {
            return Cow::Borrowed(source);
        }
        let name = source
            .find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/')
            .unwrap_or(source.len());
        let (name, rest) = source.split_at_checked(name).unwrap_or((source, ""));
        Cow::Owned([name, &inherited, rest].concat())
    }

    fn source_offset(&self, offset: usize) -> usize {
        let before = self.cuts.partition_point(|cut| cut.at <= offset);
        let last = before.checked_sub(1).and_then(|i| self.cuts.get(i));
        last.map_or(offset, |cut| offset.saturating_add(cut.removed))
    }
}

/// The declarations of the parent that `source` uses but does not repeat.
fn inherited_namespaces(node: Node<'_, '_>, source: &str) -> String {
    let mut declarations = String::new();
    let tag = start_tag(source.as_bytes()).map_or(source.len(), |tag| tag.length);
    let tag = source.get(..tag).unwrap_or(source);
    for namespace in node.parent().iter().flat_map(Node::namespaces) {
        let (attribute, used) = match namespace.name() {
            Some("xml") => continue,
            Some(prefix) => (format!("xmlns:{prefix}="), uses_prefix(source, prefix)),
            None => ("xmlns=".to_owned(), true),
        };
        if used && !tag.contains(&attribute) {
            let uri = Escaped(namespace.uri());
            declarations.push_str(&format!(" {attribute}\"{uri}\""));
        }
    }
    declarations
}

/// Whether `prefix:` occurs as the start of a name, be it only in a value.
fn uses_prefix(source: &str, prefix: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte) || byte > 127;
    let before = |at: usize| source.as_bytes().get(at.checked_sub(1)?).copied();
    source
        .match_indices(&format!("{prefix}:"))
        .any(|(at, _)| !before(at).is_some_and(is_name))
}

struct Scanner<'a> {
    source: &'a str,
    at: usize,
    /// Namespaces declared by each open element; its length is the depth.
    open: Vec<usize>,
    namespaces: usize,
    skeleton: String,
    copied: usize,
    cuts: Vec<Cut>,
    cdata_end: memmem::Finder<'static>,
    xmlns: memmem::Finder<'static>,
}

impl<'a> Scanner<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            at: 0,
            open: Vec::with_capacity(8),
            namespaces: 0,
            skeleton: String::new(),
            copied: 0,
            cuts: Vec::new(),
            cdata_end: memmem::Finder::new(CDATA_END),
            xmlns: memmem::Finder::new("xmlns"),
        }
    }

    fn rest(&self, at: usize) -> &'a [u8] {
        self.source.as_bytes().get(at..).unwrap_or_default()
    }

    fn next_markup(&self) -> Option<usize> {
        memchr(b'<', self.rest(self.at)).map(|found| self.at.saturating_add(found))
    }

    fn step(&mut self, at: usize) -> Result<(), Error> {
        let rest = self.rest(at);
        match rest {
            [_, b'/', ..] => self.handle_close(at),
            [_, b'?', ..] => self.at = end_of(rest, 2, "?>", at),
            _ if rest.starts_with(b"<!--") => self.at = end_of(rest, 4, "-->", at),
            _ if rest.starts_with(CDATA_START.as_bytes()) => self.handle_cdata(at),
            _ if rest.starts_with(b"<!DOCTYPE") => return Err(Error::Dtd { offset: at }),
            [_, b'!', ..] => self.at = at.saturating_add(2),
            _ => return self.handle_open(at),
        }
        Ok(())
    }

    fn handle_open(&mut self, at: usize) -> Result<(), Error> {
        let rest = self.rest(at);
        let Some(tag) = start_tag(rest) else {
            self.at = self.source.len();
            return Ok(());
        };
        self.at = at.saturating_add(tag.length);
        if tag.attributes > MAX_ATTRIBUTES {
            return Err(Error::Attributes { offset: at });
        }
        let text = rest.get(..tag.length).unwrap_or_default();
        let declared = match tag.attributes {
            0 => 0,
            _ => self.xmlns.find_iter(text).count(),
        };
        if self.namespaces.saturating_add(declared) > MAX_NAMESPACES {
            return Err(Error::Namespaces { offset: at });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Error::Depth { offset: at });
        }
        if !text.ends_with(b"/>") {
            self.open.push(declared);
            self.namespaces = self.namespaces.saturating_add(declared);
        }
        Ok(())
    }

    fn handle_close(&mut self, at: usize) {
        self.at = at.saturating_add(2);
        let declared = self.open.pop().unwrap_or(0);
        self.namespaces = self.namespaces.saturating_sub(declared);
    }

    fn handle_cdata(&mut self, at: usize) {
        let start = at.saturating_add(CDATA_START.len());
        let Some(length) = self.cdata_end.find(self.rest(start)) else {
            self.at = self.source.len();
            return;
        };
        self.at = start.saturating_add(length);
        if self.open.len() == EVENT_DEPTH && length >= MIN_CUT {
            self.cut(start);
        }
    }

    /// Leaves the text from `start` to the current place out of the skeleton.
    fn cut(&mut self, start: usize) {
        let kept = self.source.get(self.copied..start).unwrap_or_default();
        self.skeleton.push_str(kept);
        self.copied = self.at;
        let at = self.skeleton.len();
        let removed = self.at.saturating_sub(at);
        self.cuts.push(Cut { at, removed });
    }

    fn finish(mut self) -> Result<Skeleton<'a>, Error> {
        let text = if self.cuts.is_empty() {
            Cow::Borrowed(self.source)
        } else {
            let tail = self.source.get(self.copied..).unwrap_or_default();
            self.skeleton.push_str(tail);
            Cow::Owned(self.skeleton)
        };
        let bytes = text.as_bytes();
        let markup = memchr_iter(b'<', bytes).count() + memchr_iter(b'=', bytes).count();
        if u32::try_from(markup).is_ok_and(|markup| markup <= MAX_MARKUP) {
            Ok(Skeleton {
                source: self.source,
                text,
                cuts: self.cuts,
            })
        } else {
            Err(Error::Markup)
        }
    }
}

/// Where the markup at `at` ends; the end of the document if it never does.
fn end_of(rest: &[u8], skip: usize, end: &str, at: usize) -> usize {
    let inner = rest.get(skip..).unwrap_or_default();
    let length = memmem::find(inner, end.as_bytes()).map_or(inner.len(), |l| l + end.len());
    at.saturating_add(skip).saturating_add(length)
}

struct StartTag {
    length: usize,
    attributes: usize,
}

/// Measures the tag that `bytes` starts with, `>` within quotes passed over.
fn start_tag(bytes: &[u8]) -> Option<StartTag> {
    let mut at = 1_usize;
    let mut attributes = 0_usize;
    loop {
        let rest = bytes.get(at..)?;
        let found = memchr3(b'>', b'"', b'\'', rest)?;
        let (quote, value) = rest.get(found..)?.split_first()?;
        at = at.saturating_add(found).saturating_add(1);
        if *quote == b'>' {
            let length = at;
            return Some(StartTag { length, attributes });
        }
        at = at.saturating_add(memchr(*quote, value)?).saturating_add(1);
        attributes = attributes.saturating_add(1);
    }
}

/// What stands between the start tag and the end tag of an element.
#[must_use]
pub fn content(element: &str) -> &str {
    let start = start_tag(element.as_bytes()).map_or(element.len(), |tag| tag.length);
    let end = element.rfind("</").unwrap_or(element.len());
    element.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
