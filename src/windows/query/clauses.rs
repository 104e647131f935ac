//! The clauses of a `QueryList` (event query schema): `Select` and `Suppress` elements with
//! their channels.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::base::xml::{self, Document, Limits, Node, trimmed_text};

/// One `Select` or `Suppress` element.
pub(super) struct Clause<'a> {
    /// Line of the query text, counted from 1.
    pub(super) line: u32,
    /// Whether this is a `Suppress`, which excludes events.
    pub(super) suppresses: bool,
    /// Its own channel, or else the channel of its `Query`, without surrounding white
    /// space.
    pub(super) channel: &'a str,
    /// The channel as written, if it has surrounding white space, which hosts do not
    /// ignore.
    pub(super) blank_path: Option<&'a str>,
    /// The XPath expression without surrounding white space.
    pub(super) expression: Cow<'a, str>,
}

/// The clauses of each `Query` element, in order. Clauses without a channel are omitted.
/// Empty if the root element has no `Query` children.
pub(super) fn queries<'a>(document: &'a Document<'_>) -> Vec<Vec<Clause<'a>>> {
    let mut lines = Lines::new(document.input_text());
    let queries = document.root_element().children();
    queries
        .filter(|node| node.has_tag_name("Query"))
        .map(|query| {
            let children = query.children().filter(Node::is_element);
            let clauses = children.filter_map(|node| clause(query, node, &mut lines));
            clauses.collect()
        })
        .collect()
}

fn clause<'a>(
    query: Node<'a, '_>,
    node: Node<'a, '_>,
    lines: &mut Lines<'_>,
) -> Option<Clause<'a>> {
    let path = node.attribute("Path").or(query.attribute("Path"))?;
    let channel = path.trim();
    Some(Clause {
        line: lines.line_at(node.range().start),
        suppresses: node.has_tag_name("Suppress"),
        channel,
        blank_path: Some(path).filter(|path| *path != channel),
        expression: trimmed_text(node),
    })
}

/// The channels from which a query selects, sorted and without duplicates (names are
/// compared ignoring case). Empty if the query is not well-formed XML.
#[must_use]
pub fn channels(query: &str) -> Vec<String> {
    let Ok(document) = xml::parse(query, &Limits::FILE) else {
        return Vec::new();
    };
    let queries = queries(&document);
    let selects = queries.iter().flatten().filter(|c| !c.suppresses);
    let mut channels = each_once(selects.map(|clause| clause.channel));
    channels.sort_unstable();
    channels
}

/// The channels from which a query selects all events: with `*` or `Event`, and without any
/// `Suppress` for the channel. A host forwards every record of such a channel, so the
/// record IDs have no gaps. Empty if the query is not well-formed XML.
#[must_use]
pub fn whole_channels(query: &str) -> Vec<String> {
    let Ok(document) = xml::parse(query, &Limits::FILE) else {
        return Vec::new();
    };
    let queries = queries(&document);
    let all = || queries.iter().flatten();
    let suppressed: HashSet<_> = all().filter(|c| c.suppresses).map(Clause::folded).collect();
    let is_whole = |clause: &&Clause<'_>| {
        let is_cut = suppressed.contains(&clause.folded());
        !clause.suppresses && !is_cut && matches!(&*clause.expression, "*" | "Event")
    };
    each_once(all().filter(is_whole).map(|clause| clause.channel))
}

/// Removes duplicates, ignoring case; keeps the order and the first spelling of each name.
fn each_once<'a>(channels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = HashSet::new();
    let new = channels.filter(|channel| seen.insert(channel.to_ascii_lowercase()));
    new.map(str::to_owned).collect()
}

impl Clause<'_> {
    /// The channel in lower case, for comparisons.
    pub(super) fn folded(&self) -> String {
        self.channel.to_ascii_lowercase()
    }
}

/// Converts byte offsets to line numbers. Offsets must be passed in ascending order, so
/// that each byte is inspected only once however many there are.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    /// Number of bytes inspected.
    #[cfg(test)]
    work: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            #[cfg(test)]
            work: 0,
        }
    }

    /// The line that contains a byte offset, counted from 1.
    fn line_at(&mut self, place: usize) -> u32 {
        let between = self.text.as_bytes().get(self.at..place).unwrap_or_default();
        let ends = between.iter().filter(|byte| **byte == b'\n').count();
        self.line = self
            .line
            .saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
        self.at = self.at.max(place);
        #[cfg(test)]
        {
            self.work += between.len();
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn each_byte_is_looked_at_once_for_all_lines() {
        let text = "<a/>\n".repeat(10_000);
        let mut lines = Lines::new(&text);
        for line in 0..10_000 {
            assert_eq!(usize::try_from(lines.line_at(5 * line)).unwrap(), line + 1);
        }
        assert!(lines.work <= text.len(), "{} of {}", lines.work, text.len());
    }
}
