//! Finds mistakes in a query.

use std::collections::HashSet;

use super::clauses::{self, Clause};
use super::xpath::Expression;
use super::{Finding, MAX_CHANNELS, MAX_COMPARISONS, names, values};
use crate::base::xml::{self, Limits};

/// Checks a `QueryList`. Returns findings in the order of their lines; none if no mistake
/// was found.
///
/// ```
/// let findings = wecrelay::windows::query::lint(
///     "<QueryList><Query Id='0' Path='Security'>\
///      <Select>*[System[EventId=4624]]</Select></Query></QueryList>",
/// );
/// assert_eq!(
///     findings[0].what,
///     "Security: System has no EventId (did you mean EventID?)"
/// );
/// ```
#[must_use]
pub fn lint(query: &str) -> Vec<Finding> {
    let document = match xml::parse(query, &Limits::FILE) {
        Ok(document) => document,
        Err(error) => return vec![malformed(&error, query)],
    };
    let queries = clauses::queries(&document);
    let mut findings = Vec::new();
    for clauses in &queries {
        for clause in clauses {
            lint_clause(clause, &mut findings);
        }
        lint_suppressed(clauses, &mut findings);
    }
    lint_channels(query, &mut findings);
    findings.sort_by_key(|finding| finding.line);
    findings
}

fn finding(line: u32, what: String) -> Finding {
    Finding {
        line,
        what,
        instead: None,
    }
}

fn malformed(error: &xml::Error, query: &str) -> Finding {
    let what = format!("{error} (in CDATA, < of an expression is written &lt;)");
    finding(error.line(query), what)
}

fn lint_clause(clause: &Clause<'_>, findings: &mut Vec<Finding>) {
    let mut find = |what: String| {
        findings.push(finding(clause.line, format!("{}: {what}", clause.channel)));
    };
    if let Some(path) = clause.blank_path {
        find(format!(
            "Path={path:?} has leading or trailing blanks: hosts look for a channel of exactly \
             that name; use Path={:?}",
            path.trim()
        ));
    }
    if let Some(what) = no_channel(clause.channel) {
        find(what.to_owned());
    }
    if is_direct(clause.channel) {
        find(
            "its name is that of an analytic or debug channel: hosts cannot forward these (error \
             15009); use the Admin or Operational channel of the same provider"
                .to_owned(),
        );
    }
    let expression = match Expression::parse(&clause.expression) {
        Ok(expression) => expression,
        Err(error) => {
            find(format!("column {}: {}", error.column, error.what));
            return;
        }
    };
    names::unknown(&expression).into_iter().for_each(&mut find);
    values::lint(clause, &expression, &mut find);
    let comparisons = expression.comparisons();
    if comparisons > MAX_COMPARISONS {
        let instead = split(clause, &expression);
        let what = format!(
            "{}: {comparisons} comparisons in one expression; beyond about {MAX_COMPARISONS}, \
             hosts match nothing",
            clause.channel
        );
        findings.push(Finding {
            line: clause.line,
            what,
            instead,
        });
    }
}

/// Why a `Path` cannot be the name of a channel on any host; `None` if it can.
fn no_channel(path: &str) -> Option<&'static str> {
    let is_file = path
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("file:"));
    if is_file {
        return Some("Path names a file: hosts forward channels only");
    }
    if path.contains(['*', '?']) {
        return Some(
            "Path is compared literally: hosts do not support wildcards; name each channel",
        );
    }
    let is_odd = path.contains(char::is_control);
    is_odd.then_some("Path has a control character, which no name of a channel has")
}

/// Whether a channel is analytic or debug by the last word of its name, as Windows names
/// its own channels. The actual type is in the provider's manifest on the host, which the
/// relay cannot read. Hosts forward neither type.
fn is_direct(channel: &str) -> bool {
    const KINDS: [&str; 6] = [
        "analytic",
        "analytical",
        "debug",
        "diagnostic",
        "trace",
        "tracing",
    ];
    let Some((_, name)) = channel.rsplit_once('/') else {
        return false;
    };
    let last_word = name.rsplit(|c: char| !c.is_alphanumeric()).next();
    last_word.is_some_and(|word| KINDS.iter().any(|kind| word.eq_ignore_ascii_case(kind)))
}

/// Maximum length of a proposed query in characters. Hosts reject larger subscriptions:
/// their limit is 512,000 bytes, in UTF-16.
const LONGEST: usize = 256_000;

/// Splits a clause into several, each within [`MAX_COMPARISONS`]. `None` if no `or` in it
/// can be split that far, or if the result would exceed [`LONGEST`].
fn split(clause: &Clause<'_>, expression: &Expression) -> Option<String> {
    let mut longest: Option<(&Expression, &[Expression])> = None;
    expression.visit(&mut |part| {
        if let Expression::Or(terms) = part
            && longest.is_none_or(|(_, found)| terms.len() > found.len())
        {
            longest = Some((part, terms));
        }
    });
    let (target, terms) = longest?;
    let rest = expression.comparisons() - target.comparisons();
    let room = MAX_COMPARISONS.checked_sub(rest)?;
    let element = if clause.suppresses {
        "Suppress"
    } else {
        "Select"
    };
    let mut clauses = String::new();
    for part in parts(terms, room)? {
        let expression = expression.with_terms(target, part).to_string();
        let (channel, expression) = (escape(clause.channel), escape(&expression));
        let line_end = if clauses.is_empty() { "" } else { "\n" };
        clauses.push_str(line_end);
        clauses.push_str(&format!(
            "<{element} Path=\"{channel}\">{expression}</{element}>"
        ));
        if clauses.len() > LONGEST {
            return None;
        }
    }
    Some(clauses)
}

/// Divides `terms` into runs of at most `room` comparisons and about equal size. `None` if
/// a single term exceeds `room`.
fn parts(terms: &[Expression], room: usize) -> Option<Vec<&[Expression]>> {
    let total: usize = terms.iter().map(Expression::comparisons).sum();
    let count = total.div_ceil(room.max(1));
    let fair = total.div_ceil(count.max(1));
    let mut parts = Vec::new();
    let mut rest = terms;
    while !rest.is_empty() {
        let mut sum = 0;
        let fits = |term: &&Expression| {
            let before = sum;
            sum += term.comparisons();
            before < fair && sum <= room
        };
        let taken = rest.iter().take_while(fits).count();
        let (part, after) = rest.split_at_checked(taken).filter(|_| taken > 0)?;
        parts.push(part);
        rest = after;
    }
    Some(parts)
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

/// Reports each `Suppress` without a `Select` of the same channel in its `Query`: it has no
/// effect on other `Query` elements.
fn lint_suppressed(clauses: &[Clause<'_>], findings: &mut Vec<Finding>) {
    let selects = clauses.iter().filter(|clause| !clause.suppresses);
    let selected: HashSet<_> = selects.map(Clause::folded).collect();
    for clause in clauses.iter().filter(|clause| clause.suppresses) {
        if !selected.contains(&clause.folded()) {
            let what = format!(
                "{}: Suppress acts within its own Query, which selects nothing of this channel",
                clause.channel
            );
            findings.push(finding(clause.line, what));
        }
    }
}

fn lint_channels(query: &str, findings: &mut Vec<Finding>) {
    let channels = clauses::channels(query).len();
    if channels > MAX_CHANNELS {
        let what = format!(
            "{channels} channels, but a host accepts {MAX_CHANNELS} at most: split it into several \
             subscriptions"
        );
        findings.push(finding(1, what));
    }
}
