//! The query: checked for what sources would reject, and then kept verbatim.

use std::collections::HashSet;

use super::{Error, File, line_of};
use crate::base::xml::{Node, piece, text, trimmed_text as text_of};
use crate::protocol::wsman::text::{is_forbidden, trim};
use crate::protocol::wsman::xml::Skeleton;

const ALLOWED: &str = "must contain a QueryList element, as child or as CDATA text";

impl File<'_> {
    /// The source text of the `QueryList`, validated.
    pub(super) fn query(
        &self,
        root: Node<'_, '_>,
        skeleton: &Skeleton<'_>,
    ) -> Result<String, Error> {
        let query = self.need(root, "Query", ALLOWED)?;
        let mut elements = query.children().filter(Node::is_element);
        if let Some(element) = elements.next() {
            if let Some(other) = elements.next() {
                let (name, allowed) = (other.tag_name().name(), "one QueryList is allowed there");
                return Err(self.value(other, "Query", name, allowed));
            }
            let text = skeleton.source_of(element).to_owned();
            self.check(&text, line_of(element))?;
            return Ok(text);
        }
        let is_said = |node: &Node<'_, '_>| piece(*node).is_some_and(|text| !trim(text).is_empty());
        let start = query.children().find(is_said).unwrap_or(query);
        self.check(&text(query), line_of(start))
    }

    /// Validates `text`, which is sent to sources; its first line is `line` of the file.
    fn check(&self, text: &str, line: u32) -> Result<String, Error> {
        let blank = text.len().saturating_sub(text.trim_start().len());
        let blank = text.get(..blank).unwrap_or_default().matches('\n').count();
        let line = line.saturating_add(u32::try_from(blank).unwrap_or(u32::MAX));
        let text = text.trim();
        let file_line = |row: u32| line.saturating_add(row).saturating_sub(1);
        if text.is_empty() || text.contains(is_forbidden) {
            return Err(self.value_at(line, "Query", text, ALLOWED));
        }
        let malformed = |reason| Error::Xml {
            file: format!("{}:{line}: Query", self.name),
            reason,
        };
        let skeleton = Skeleton::whole(text).map_err(malformed)?;
        let document = skeleton.document().map_err(malformed)?;
        let list = document.root_element();
        if !list.has_tag_name("QueryList") || list.tag_name().namespace().is_some() {
            let allowed = "must contain a QueryList element without namespace";
            return Err(self.value_at(line, "Query", text, allowed));
        }
        let row = |node: Node<'_, '_>| file_line(line_of(node));
        self.check_list(list, &row)?;
        Ok(skeleton.source_of(list).to_owned())
    }

    fn check_list(
        &self,
        list: Node<'_, '_>,
        row: &dyn Fn(Node<'_, '_>) -> u32,
    ) -> Result<(), Error> {
        let mut selects = 0_usize;
        let mut ids = HashSet::new();
        for query in list.children().filter(Node::is_element) {
            if !query.has_tag_name("Query") {
                let (name, allowed) = (query.tag_name().name(), "only Query is allowed there");
                return Err(self.value_at(row(query), "QueryList", name, allowed));
            }
            let id = query.attribute("Id").map(trim);
            if let Some(id) = id.filter(|id| !ids.insert(id.to_owned())) {
                let allowed = "an earlier Query has the same Id; number them 0, 1, 2";
                return Err(self.value_at(row(query), "Query@Id", id, allowed));
            }
            selects = selects.saturating_add(self.check_clauses(query, row)?);
        }
        if selects == 0 {
            let allowed = "needs a Query with at least one Select";
            return Err(self.value_at(row(list), "QueryList", "", allowed));
        }
        Ok(())
    }

    /// Checks the clauses of one Query and counts its Selects.
    fn check_clauses(
        &self,
        query: Node<'_, '_>,
        row: &dyn Fn(Node<'_, '_>) -> u32,
    ) -> Result<usize, Error> {
        let mut selects = 0_usize;
        for clause in query.children().filter(Node::is_element) {
            let element = match clause.tag_name().name() {
                "Select" => "Select",
                "Suppress" => "Suppress",
                other => {
                    let allowed = "only Select and Suppress are allowed there";
                    return Err(self.value_at(row(clause), "Query", other, allowed));
                }
            };
            let path = clause.attribute("Path").or(query.attribute("Path"));
            if path.is_none_or(|path| path.trim().is_empty()) {
                let allowed = "needs a Path, the name of a channel, here or at its Query";
                return Err(self.value_at(row(clause), element, &text_of(clause), allowed));
            }
            if text_of(clause).is_empty() {
                let allowed = "needs an XPath expression, * for everything";
                return Err(self.value_at(row(clause), element, "", allowed));
            }
            selects = selects.saturating_add(usize::from(element == "Select"));
        }
        Ok(selects)
    }
}
