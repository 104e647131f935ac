//! Envelopes as XML: checks limits, and leaves large events out of the tree.

use std::borrow::Cow;

use super::Error;
use super::text::Escaped;
use crate::base::xml::{Document, Limits, Node, Outline, walk_tag};

/// How much markup an envelope may contain, in either direction.
pub const LIMITS: Limits = Limits {
    // Genuine envelopes with inline events stay below 20. Nothing here recurses over the
    // tree, but later readers may.
    depth: 64,
    attributes: 64,
    // Genuine ones have 8 in scope; those of other clients up to 20.
    namespaces: 32,
    // An inline batch that fills 512,000 bytes has about 30,000.
    nodes: 4096,
    bytes_per_node: 16,
    naming: "Name",
    reserved: 1_000_000,
};

/// Number of bytes that any envelope may have repeated, in addition to its own size.
const FREE_ROOM: usize = 64 * 1024;

/// Number of elements around an event's text: Envelope, Body, Events, Event.
const EVENT_DEPTH: usize = 4;

/// A document within the limits, without the text of large events.
#[derive(Debug)]
pub struct Skeleton<'a> {
    outline: Outline<'a>,
}

impl<'a> Skeleton<'a> {
    /// Checks the limits of `source` in one pass over its markup.
    ///
    /// # Errors
    /// A document type declaration, or a limit exceeded. Whether the text is well-formed is
    /// left to [`Skeleton::document`].
    pub fn scan(source: &'a str) -> Result<Self, Error> {
        let outline = Outline::scan(source, &LIMITS, EVENT_DEPTH)?;
        Ok(Self { outline })
    }

    /// The same for a file, all of whose texts are kept.
    ///
    /// # Errors
    /// As for [`Skeleton::scan`].
    pub fn whole(source: &'a str) -> Result<Self, Error> {
        let outline = Outline::scan(source, &Limits::FILE, 0)?;
        Ok(Self { outline })
    }

    /// Builds the tree of the skeleton.
    ///
    /// # Errors
    /// Not well-formed; the reader's reason.
    pub fn document(&self) -> Result<Document<'_>, Error> {
        Ok(self.outline.document()?)
    }

    /// The source text of a node, including omitted text.
    #[must_use]
    pub fn source_of(&self, node: Node<'_, '_>) -> &'a str {
        self.outline.source_of(node)
    }

    /// The text of an element that contains nothing but one large section, and the texts of
    /// those that it represents.
    pub(super) fn sections(&self, node: Node<'_, '_>) -> Option<impl Iterator<Item = &'a str>> {
        self.outline.sections(node)
    }

    /// The text in an element outside of its child elements, piece by piece.
    pub(super) fn beside_elements(&self, node: Node<'_, '_>) -> Vec<&'a str> {
        let whole = self.outline.range_of(node);
        let source = self.source_of(node);
        let front = walk_tag(source.as_bytes(), |_| true).unwrap_or(source.len());
        let start = whole.start.saturating_add(front);
        let mut at = start;
        let mut pieces = Vec::new();
        for child in node.children().filter(Node::is_element) {
            let range = self.outline.range_of(child);
            pieces.push(self.outline.between(at..range.start));
            at = range.end;
        }
        let end = start.saturating_add(content(source).len());
        pieces.push(self.outline.between(at..end));
        pieces
    }

    /// Like [`Skeleton::source_of`], but with the namespace declarations that the element
    /// inherits and uses, so that it can stand alone.
    #[must_use]
    pub fn standalone(&self, node: Node<'_, '_>) -> Cow<'a, str> {
        standalone(self.source_of(node), &inherited_namespaces(node))
    }

    /// The same for a node and those that it represents. `room` limits the size of
    /// inherited declarations.
    ///
    /// # Errors
    /// There is not enough room.
    pub(super) fn each_standalone(
        &self,
        node: Node<'_, '_>,
        room: &mut Room,
    ) -> Result<Vec<Cow<'a, str>>, Error> {
        let inherited = inherited_namespaces(node);
        let sources = self.outline.sources_of(node);
        let alone = sources.map(|source| {
            room.take(inherited.len())?;
            Ok(standalone(source, &inherited))
        });
        alone.collect()
    }

    /// The room for declarations that the events of this envelope inherit.
    pub(super) fn room(&self) -> Room {
        let most = self.outline.source_length().saturating_add(FREE_ROOM);
        Room { left: most, most }
    }
}

/// A limit on repeated declarations: one long namespace name, inherited by many events,
/// could otherwise fill the memory.
#[derive(Debug)]
pub(super) struct Room {
    left: usize,
    most: usize,
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(Error::Repeated { most: self.most })?;
        Ok(())
    }
}

fn standalone<'a>(source: &'a str, inherited: &str) -> Cow<'a, str> {
    if inherited.is_empty() {
        return Cow::Borrowed(source);
    }
    let name = source
        .find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/')
        .unwrap_or(source.len());
    let (name, rest) = source.split_at_checked(name).unwrap_or((source, ""));
    Cow::Owned([name, inherited, rest].concat())
}

/// The parent's namespace declarations that `node` uses and does not repeat.
fn inherited_namespaces(node: Node<'_, '_>) -> String {
    let mut declarations = String::new();
    let Some(parent) = node.parent() else {
        return declarations;
    };
    let used = used_prefixes(node);
    for namespace in parent.namespaces() {
        let prefix = namespace.name();
        let is_used = used.contains(&prefix.unwrap_or_default());
        if is_used && prefix != Some("xml") && !namespace.uri().is_empty() {
            let name = prefix.map_or_else(String::new, |prefix| format!(":{prefix}"));
            let uri = Escaped(namespace.uri());
            declarations.push_str(&format!(" xmlns{name}=\"{uri}\""));
        }
    }
    declarations
}

/// The prefixes of elements and attributes in `node` that are declared outside of it; the
/// empty one is that of elements without a prefix.
fn used_prefixes<'d>(node: Node<'_, 'd>) -> Vec<&'d str> {
    let text = node.document().input_text();
    // At most `LIMITS.namespaces`, so a list is faster than a set.
    let mut used = Vec::new();
    // The declarations of the open elements.
    let mut around: Vec<(usize, Vec<&str>)> = Vec::new();
    for element in node.descendants().filter(Node::is_element) {
        let range = element.range();
        around.retain(|(end, _)| *end >= range.end);
        let tag = text.get(range.clone()).unwrap_or_default();
        around.push((range.end, declared(tag)));
        let name = tag.get(1..).unwrap_or_default();
        let end = name.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/');
        let own = prefix(name.get(..end.unwrap_or(name.len())).unwrap_or_default());
        let attributes = element.attributes();
        let attributes = attributes.map(|a| text.get(a.range_qname()).unwrap_or_default());
        // An attribute without a prefix is in no namespace.
        let attributes = attributes.filter(|name| name.contains(':')).map(prefix);
        for prefix in attributes.chain([own]) {
            let is_declared = |(_, declared): &(usize, Vec<&str>)| declared.contains(&prefix);
            if !used.contains(&prefix) && !around.iter().any(is_declared) {
                used.push(prefix);
            }
        }
    }
    used
}

fn prefix(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

/// The prefixes that a start tag declares.
fn declared(tag: &str) -> Vec<&str> {
    let mut declared = Vec::new();
    walk_tag(tag.as_bytes(), |attribute| {
        let text = std::str::from_utf8(attribute).unwrap_or_default();
        let name = text.split('=').next().unwrap_or_default().trim_ascii_end();
        // The first piece begins with the name of the element.
        let name = name.rsplit(|c: char| c.is_ascii_whitespace()).next();
        match name.unwrap_or_default().split_once(':') {
            Some(("xmlns", prefix)) => declared.push(prefix),
            None if name == Some("xmlns") => declared.push(""),
            _ => {}
        }
        true
    });
    declared
}

/// The text between the start tag and the end tag of an element.
#[must_use]
pub fn content(element: &str) -> &str {
    let start = walk_tag(element.as_bytes(), |_| true).unwrap_or(element.len());
    let end = element.rfind("</").unwrap_or(element.len());
    element.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
