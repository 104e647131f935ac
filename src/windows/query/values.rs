//! Comparisons that can never hold, or not as meant.

use super::clauses::Clause;
use super::xpath::{Expression, Step, Value};

/// Elements of System that hold a number.
const NUMBERS: [&str; 10] = [
    "EventID",
    "Version",
    "Level",
    "Task",
    "Opcode",
    "Keywords",
    "EventRecordID",
    "@ProcessID",
    "@ThreadID",
    "@Qualifiers",
];

/// Elements of System that hold nothing themselves, and the attribute that is usually meant.
const EMPTY: [(&str, &str); 5] = [
    ("Provider", "@Name"),
    ("TimeCreated", "@SystemTime"),
    ("Correlation", "@ActivityID"),
    ("Execution", "@ProcessID"),
    ("Security", "@UserID"),
];

/// Level as a number by the name that Event Viewer shows.
const LEVELS: [(&str, u8); 7] = [
    ("critical", 1),
    ("error", 2),
    ("warning", 3),
    ("information", 4),
    ("informational", 4),
    ("info", 4),
    ("verbose", 5),
];

/// Says what is wrong with the values of `expression`.
pub(super) fn lint(clause: &Clause<'_>, expression: &Expression, find: &mut dyn FnMut(String)) {
    expression.visit(&mut |part| {
        if let Expression::Compare(left, operator, right) = part {
            match (left, right) {
                (Value::Path(steps), value) => lint_value(clause, steps, operator, value, find),
                // The other way round compares the same.
                (value, Value::Path(steps)) => lint_value(clause, steps, operator, value, find),
                _ => {}
            }
        }
    });
    lint_twice(expression, find);
}

fn lint_value(
    clause: &Clause<'_>,
    steps: &[Step],
    operator: &str,
    value: &Value,
    find: &mut dyn FnMut(String),
) {
    let Some(field) = steps.last() else { return };
    let name = field.name.as_str();
    match value {
        Value::Number(number) if name == "EventID" && number.parse::<u16>().is_err() => {
            find(format!(
                "EventID{operator}{number}: event ids are 0 to 65535"
            ));
        }
        Value::Text(channel)
            if name == "Channel"
                && operator == "="
                && !channel.eq_ignore_ascii_case(clause.channel) =>
        {
            find(format!(
                "asks for Channel={channel:?}, which never is in this channel"
            ));
        }
        Value::Text(text) if NUMBERS.contains(&name) && !is_number(text) => {
            find(format!(
                "{name}{operator}{text:?} never matches: {name} is a number{}",
                level(name, operator, text)
            ));
        }
        // Within a text it may be genuine: Windows writes the share \\*\IPC$ so.
        Value::Text(text) if text.starts_with('*') || text.ends_with('*') => find(format!(
            "{name}{operator}{text:?} is compared letter by letter: hosts know no wildcards; \
             name the whole value, or select more and filter at the receiver"
        )),
        _ => {}
    }
    if let Some((_, attribute)) = EMPTY.iter().find(|(empty, _)| *empty == name) {
        find(format!(
            "{name}{operator}... never matches: {name} has attributes only; write {name}[{attribute}{operator}...]"
        ));
    }
}

/// Decimal or hexadecimal, as the event log writes numbers.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    match digits {
        Some(digits) => u64::from_str_radix(digits, 16).is_ok(),
        None => text.parse::<u64>().is_ok(),
    }
}

fn level(name: &str, operator: &str, text: &str) -> String {
    let is_it = |(level, _): &&(&str, u8)| level.eq_ignore_ascii_case(text.trim());
    let found = LEVELS.iter().find(is_it).filter(|_| name == "Level");
    found.map_or_else(String::new, |(_, number)| {
        format!(" (did you mean Level{operator}{number}?)")
    })
}

fn lint_twice(expression: &Expression, find: &mut dyn FnMut(String)) {
    let mut seen = Vec::new();
    expression.visit(&mut |part| {
        let Expression::Or(terms) = part else { return };
        for (index, term) in terms.iter().enumerate() {
            let is_twice = terms.iter().take(index).any(|earlier| earlier == term);
            if is_twice && !seen.contains(&term) {
                seen.push(term);
                find(format!("{term} occurs twice"));
            }
        }
    });
}
