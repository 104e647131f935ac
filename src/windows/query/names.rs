//! Checks the names of elements and attributes in expressions against the event schema
//! (`SystemPropertiesType`).

use super::xpath::Expression;
use super::xpath::{Step, Value};

/// Names of the child elements of `Event` that an expression can use.
const SECTIONS: [&str; 6] = [
    "System",
    "EventData",
    "UserData",
    "BinaryEventData",
    "DebugData",
    "ProcessingErrorData",
];

/// Elements of `System` with their attributes.
const SYSTEM: [(&str, &[&str]); 14] = [
    ("Provider", &["Name", "Guid", "EventSourceName"]),
    ("EventID", &["Qualifiers"]),
    ("Version", &[]),
    ("Level", &[]),
    ("Task", &[]),
    ("Opcode", &[]),
    ("Keywords", &[]),
    ("TimeCreated", &["SystemTime"]),
    ("EventRecordID", &[]),
    ("Correlation", &["ActivityID", "RelatedActivityID"]),
    (
        "Execution",
        &[
            "ProcessID",
            "ThreadID",
            "ProcessorID",
            "SessionID",
            "KernelTime",
            "UserTime",
            "ProcessorTime",
        ],
    ),
    ("Channel", &[]),
    ("Computer", &[]),
    ("Security", &["UserID"]),
];

/// Elements of `EventData` with their attributes.
const EVENT_DATA: [(&str, &[&str]); 3] = [
    ("Data", &["Name", "Type"]),
    ("ComplexData", &["Name"]),
    ("Binary", &[]),
];

/// Describes each name in the expression that no event has.
pub(super) fn unknown(expression: &Expression) -> Vec<String> {
    let mut found = Vec::new();
    each_path(expression, &mut |steps| check_event(steps, &mut found));
    found
}

fn each_path(expression: &Expression, act: &mut dyn FnMut(&[Step])) {
    let mut value = |value: &Value| {
        if let Value::Path(steps) = value {
            act(steps);
        }
    };
    match expression {
        Expression::Or(terms) | Expression::And(terms) => {
            terms.iter().for_each(|term| each_path(term, act));
        }
        Expression::Compare(left, _, right) => {
            value(left);
            value(right);
        }
        Expression::Is(only) => value(only),
    }
}

/// Checks a path from the event down: the first step is `*` or `Event`, the second a
/// section.
fn check_event(steps: &[Step], found: &mut Vec<String>) {
    let Some((event, sections)) = steps.split_first() else {
        return;
    };
    if event.name != "*" && event.name != "Event" {
        let name = &event.name;
        found.push(format!(
            "an expression must begin with * or Event, not with {name}"
        ));
        return;
    }
    check_section(sections, found);
    for condition in &event.conditions {
        each_path(condition, &mut |steps| check_section(steps, found));
    }
}

fn check_section(steps: &[Step], found: &mut Vec<String>) {
    let Some((section, fields)) = steps.split_first() else {
        return;
    };
    if section.name == "*" {
        return;
    }
    if !SECTIONS.contains(&section.name.as_str()) {
        let all = SECTIONS.join(", ");
        let like = meant(&section.name, SECTIONS.into_iter());
        found.push(format!(
            "an event has no {}{like}; it has {all}",
            section.name
        ));
    }
    let known: Fields = match section.name.as_str() {
        "System" => &SYSTEM,
        "EventData" => &EVENT_DATA,
        _ => return,
    };
    let section_name = section.name.as_str();
    check_field(section_name, known, fields, found);
    for condition in &section.conditions {
        let check = &mut |steps: &[Step]| check_field(section_name, known, steps, found);
        each_path(condition, check);
    }
}

/// Elements of a section with their attributes.
type Fields = &'static [(&'static str, &'static [&'static str])];

fn check_field(section: &str, fields: Fields, steps: &[Step], found: &mut Vec<String>) {
    let Some((field, attributes)) = steps.split_first() else {
        return;
    };
    // `EventData` itself can have a `Name` attribute.
    if field.name == "*" || (section == "EventData" && field.name == "@Name") {
        return;
    }
    let known = fields.iter().find(|(name, _)| *name == field.name);
    let Some((_, known)) = known else {
        let like = meant(&field.name, fields.iter().map(|(name, _)| *name));
        found.push(format!("{section} has no {}{like}", field.name));
        return;
    };
    check_attribute(&field.name, known, attributes, found);
    for condition in &field.conditions {
        let check = &mut |steps: &[Step]| check_attribute(&field.name, known, steps, found);
        each_path(condition, check);
    }
}

fn check_attribute(field: &str, known: &[&'static str], steps: &[Step], found: &mut Vec<String>) {
    for step in steps {
        let name = step.name.trim_start_matches('@');
        if !known.contains(&name) || !step.name.starts_with('@') {
            let like = meant(name, known.iter().copied());
            found.push(format!("{field} has no {}{like}", step.name));
        }
    }
}

/// The hint ` (did you mean X?)`, or an empty string if no known name is similar.
fn meant(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    /// Minimum Jaro-Winkler similarity, from 0 to 1. A word of eight letters with two wrong
    /// ones still exceeds it.
    const LIKE: f64 = 0.7;
    let name = name.to_lowercase();
    let scored = known.map(|known| (strsim::jaro_winkler(&name, &known.to_lowercase()), known));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    match best {
        Some((score, known)) if score > LIKE => format!(" (did you mean {known}?)"),
        _ => String::new(),
    }
}
