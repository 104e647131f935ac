//! The clauses of a `QueryList` (event query schema): Select and Suppress by channel.

use std::borrow::Cow;

use crate::base::xml::{self, Document, Limits, Node, trimmed_text};

/// One `Select` or `Suppress`.
pub(super) struct Clause<'a> {
    /// Line in the query, from 1.
    pub(super) line: u32,
    /// Whether it takes events away.
    pub(super) suppresses: bool,
    /// Its own channel, or else that of its Query.
    pub(super) channel: &'a str,
    /// The Path that names it as written, where blanks surround the name.
    pub(super) blank_path: Option<&'a str>,
    /// The XPath expression.
    pub(super) expression: Cow<'a, str>,
}

/// The clauses of each Query; none where the document is no `QueryList`.
pub(super) fn queries<'a>(document: &'a Document<'_>) -> Vec<Vec<Clause<'a>>> {
    let queries = document.root_element().children();
    queries
        .filter(|node| node.has_tag_name("Query"))
        .map(|query| {
            let children = query.children().filter(Node::is_element);
            children.filter_map(|node| clause(query, node)).collect()
        })
        .collect()
}

fn clause<'a>(query: Node<'a, '_>, node: Node<'a, '_>) -> Option<Clause<'a>> {
    let path = node.attribute("Path").or(query.attribute("Path"))?;
    let channel = path.trim();
    Some(Clause {
        line: node.document().text_pos_at(node.range().start).row,
        suppresses: node.has_tag_name("Suppress"),
        channel,
        blank_path: Some(path).filter(|path| *path != channel),
        expression: trimmed_text(node),
    })
}

/// The channels that a query selects from, sorted, each once, without regard to case.
#[must_use]
pub fn channels(query: &str) -> Vec<String> {
    let Ok(document) = xml::parse(query, &Limits::FILE) else {
        return Vec::new();
    };
    let mut channels: Vec<String> = Vec::new();
    for clause in queries(&document).iter().flatten() {
        let known = |channel: &String| channel.eq_ignore_ascii_case(clause.channel);
        if !clause.suppresses && !channels.iter().any(known) {
            channels.push(clause.channel.to_owned());
        }
    }
    channels.sort_unstable();
    channels
}

/// The channels that a query selects whole: with `*`, and without a Suppress in the same
/// Query. Of these no record id is left out.
#[must_use]
pub fn whole_channels(query: &str) -> Vec<String> {
    let Ok(document) = xml::parse(query, &Limits::FILE) else {
        return Vec::new();
    };
    let queries = queries(&document);
    let suppressed: Vec<_> = queries
        .iter()
        .flatten()
        .filter(|clause| clause.suppresses)
        .map(|clause| clause.channel)
        .collect();
    let is_whole = |clause: &&Clause<'_>| {
        let cut = suppressed
            .iter()
            .any(|channel| channel.eq_ignore_ascii_case(clause.channel));
        !clause.suppresses && !cut && matches!(&*clause.expression, "*" | "Event")
    };
    let mut channels: Vec<String> = Vec::new();
    for clause in queries.iter().flatten().filter(is_whole) {
        if !channels
            .iter()
            .any(|c| c.eq_ignore_ascii_case(clause.channel))
        {
            channels.push(clause.channel.to_owned());
        }
    }
    channels
}
