//! Describes a query in words.

use super::clauses;
use crate::base::xml::{self, Limits};

/// Describes what a query selects and suppresses, one line for each clause. Empty if the
/// query is not well-formed XML.
///
/// ```
/// let query = "<QueryList><Query Id='0' Path='Security'><Select>*</Select>\
///              <Suppress>*[System[EventID=5156]]</Suppress></Query></QueryList>";
/// assert_eq!(
///     wecrelay::windows::query::describe(query),
///     ["selects from Security: *", "suppresses from Security: *[System[EventID=5156]]"]
/// );
/// ```
#[must_use]
pub fn describe(query: &str) -> Vec<String> {
    let Ok(document) = xml::parse(query, &Limits::FILE) else {
        return Vec::new();
    };
    let queries = clauses::queries(&document);
    let line = |clause: &clauses::Clause<'_>| {
        let what = if clause.suppresses {
            "suppresses from"
        } else {
            "selects from"
        };
        let expression: Vec<_> = clause.expression.split_whitespace().collect();
        format!("{what} {}: {}", clause.channel, expression.join(" "))
    };
    queries.iter().flatten().map(line).collect()
}
