//! Checks the values in comparisons: which can never match, and which match something other
//! than what was probably meant.

use std::collections::HashSet;
use std::hash::Hash;

use super::clauses::Clause;
use super::xpath::{Expression, Step, Value};

/// Elements and attributes of `System` whose value is a number.
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

/// Elements of `System` without text, and the attribute that is usually meant.
const EMPTY: [(&str, &str); 5] = [
    ("Provider", "@Name"),
    ("TimeCreated", "@SystemTime"),
    ("Correlation", "@ActivityID"),
    ("Execution", "@ProcessID"),
    ("Security", "@UserID"),
];

/// Numeric levels by the names that Event Viewer displays.
const LEVELS: [(&str, u8); 7] = [
    ("critical", 1),
    ("error", 2),
    ("warning", 3),
    ("information", 4),
    ("informational", 4),
    ("info", 4),
    ("verbose", 5),
];

/// Calls `find` with a description of each questionable value in `expression`.
pub(super) fn lint(clause: &Clause<'_>, expression: &Expression, find: &mut dyn FnMut(String)) {
    expression.visit(&mut |part| {
        if let Expression::Compare(left, operator, right) = part {
            match (left, right) {
                (Value::Path(steps), value) => lint_value(clause, steps, operator, value, find),
                // Every operator is treated alike, so the order of the operands does not
                // matter.
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
                "selects Channel={channel:?}, which never occurs in this channel"
            ));
        }
        Value::Text(text) if NUMBERS.contains(&name) && !is_number(text) => {
            find(format!(
                "{name}{operator}{text:?} never matches: {name} is a number{}",
                level(name, operator, text)
            ));
        }
        // Only at the start or the end: within a value, an asterisk can be genuine, as in
        // the share name \\*\IPC$.
        Value::Text(text) if text.starts_with('*') || text.ends_with('*') => find(format!(
            "{name}{operator}{text:?} is compared literally: hosts do not support wildcards; use \
             the whole value, or select more and filter at the receiver"
        )),
        _ => {}
    }
    if let Some((_, attribute)) = EMPTY.iter().find(|(empty, _)| *empty == name) {
        find(format!(
            "{name}{operator}... never matches: {name} has attributes only; write {name}[{attribute}{operator}...]"
        ));
    }
}

/// Whether a text is a decimal or hexadecimal number, the two forms that the event log
/// writes.
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
    let mut told = HashSet::new();
    expression.visit(&mut |part| {
        let Expression::Or(terms) = part else { return };
        for term in repeated(terms) {
            if told.insert(term) {
                find(format!("{term} occurs twice"));
            }
        }
    });
}

/// The items that equal an earlier one. Uses a hash set instead of comparing all pairs,
/// because the number of terms is limited only by the size of a file.
fn repeated<T: Eq + Hash>(items: &[T]) -> impl Iterator<Item = &T> {
    let mut seen = HashSet::with_capacity(items.len());
    items.iter().filter(move |item| !seen.insert(*item))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::{Hash, Hasher};

    use super::repeated;

    thread_local! {
        static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    }

    #[derive(Debug, Eq)]
    struct Counted(usize);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            COMPARISONS.set(COMPARISONS.get() + 1);
            self.0 == other.0
        }
    }

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    #[test]
    fn terms_are_not_compared_with_all_others() {
        for count in [1000, 100_000] {
            let mut items: Vec<_> = (0..count).map(Counted).collect();
            items.extend([Counted(7), Counted(7), Counted(count - 1)]);
            COMPARISONS.set(0);
            assert_eq!(
                repeated(&items).map(|item| item.0).sum::<usize>(),
                count + 13
            );
            // Three repetitions are found; a few other comparisons are due to hash collisions.
            let made = COMPARISONS.get();
            assert!(made < 3 + count, "{made} comparisons of {count} terms");
        }
    }
}
