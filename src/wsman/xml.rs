//! Envelopes as XML: limits checked, large events left where they are.

use std::borrow::Cow;

use super::Error;
use super::text::Escaped;
use crate::xml::{Document, Limits, Node, Outline, walk_tag};

/// Most markup of a source's envelope, and of our answers.
pub const LIMITS: Limits = Limits {
    // Genuine envelopes with inline events stay below 20; the tree's users recurse
    // nowhere, but later readers may.
    depth: 64,
    attributes: 64,
    // Genuine ones have 8 at a place, those of other clients up to 20.
    namespaces: 32,
    // An inline batch that fills 512,000 bytes has about 30,000.
    nodes: 1_000_000,
    reserved: 1_000_000,
};

/// Open elements around an event's text: Envelope, Body, Events, Event.
const EVENT_DEPTH: usize = 4;

/// A document whose limits are checked, without the text of large events.
#[derive(Debug)]
pub struct Skeleton<'a> {
    outline: Outline<'a>,
}

impl<'a> Skeleton<'a> {
    /// Checks the limits of `source` in one pass over its markup.
    ///
    /// # Errors
    /// A document type declaration, or a limit exceeded. What is not well-formed is left
    /// for [`Skeleton::document`] to report.
    pub fn scan(source: &'a str) -> Result<Self, Error> {
        let outline = Outline::scan(source, &LIMITS, EVENT_DEPTH)?;
        Ok(Self { outline })
    }

    /// The same of a file, whose texts all stay.
    ///
    /// # Errors
    /// As [`Skeleton::scan`].
    pub fn whole(source: &'a str) -> Result<Self, Error> {
        let outline = Outline::scan(source, &Limits::FILE, 0)?;
        Ok(Self { outline })
    }

    /// The tree of the skeleton.
    ///
    /// # Errors
    /// Not well-formed, with the reader's reason.
    pub fn document(&self) -> Result<Document<'_>, Error> {
        Ok(self.outline.document()?)
    }

    /// The source text of a node, cut text included.
    #[must_use]
    pub fn source_of(&self, node: Node<'_, '_>) -> &'a str {
        self.outline.source_of(node)
    }

    /// What stands in an element beside the elements in it, piece by piece.
    pub(super) fn beside_elements(&self, node: Node<'_, '_>) -> Vec<&'a str> {
        let whole = self.outline.range_of(node);
        let source = self.source_of(node);
        let front = walk_tag(source.as_bytes(), |_| {}).unwrap_or(source.len());
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
}

/// The declarations of the parent that `source` uses but does not repeat.
fn inherited_namespaces(node: Node<'_, '_>, source: &str) -> String {
    let mut declarations = String::new();
    let tag = walk_tag(source.as_bytes(), |_| {}).unwrap_or(source.len());
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

/// What stands between the start tag and the end tag of an element.
#[must_use]
pub fn content(element: &str) -> &str {
    let start = walk_tag(element.as_bytes(), |_| {}).unwrap_or(element.len());
    let end = element.rfind("</").unwrap_or(element.len());
    element.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
