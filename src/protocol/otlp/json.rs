//! A request as one line of JSON (OTLP 1.x, JSON Protobuf Encoding), in the format of the
//! OpenTelemetry Protocol File Exporter. For records that a receiver rejects, so that they
//! can be inspected or replayed.

use super::wire::{Fields, Value};

/// The type of a field, which decides how it is written in JSON.
enum Kind {
    /// A string.
    Text,
    /// An integer of at most 32 bits.
    Number,
    /// A 64-bit integer, which JSON represents as a string of decimal digits.
    Long,
    Message(&'static [Field]),
    /// A repeated message, written as an array.
    Messages(&'static [Field]),
}

struct Field {
    number: u32,
    name: &'static str,
    kind: Kind,
}

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind }
}

static REQUEST: [Field; 1] = [field(1, "resourceLogs", Kind::Messages(&RESOURCE_LOGS))];
static RESOURCE_LOGS: [Field; 2] = [
    field(1, "resource", Kind::Message(&RESOURCE)),
    field(2, "scopeLogs", Kind::Messages(&SCOPE_LOGS)),
];
static RESOURCE: [Field; 1] = [field(1, "attributes", Kind::Messages(&KEY_VALUE))];
static SCOPE_LOGS: [Field; 2] = [
    field(1, "scope", Kind::Message(&SCOPE)),
    field(2, "logRecords", Kind::Messages(&LOG_RECORD)),
];
static SCOPE: [Field; 2] = [
    field(1, "name", Kind::Text),
    field(2, "version", Kind::Text),
];
static LOG_RECORD: [Field; 6] = [
    field(1, "timeUnixNano", Kind::Long),
    field(11, "observedTimeUnixNano", Kind::Long),
    field(2, "severityNumber", Kind::Number),
    field(3, "severityText", Kind::Text),
    field(5, "body", Kind::Message(&ANY_VALUE)),
    field(6, "attributes", Kind::Messages(&KEY_VALUE)),
];
static KEY_VALUE: [Field; 2] = [
    field(1, "key", Kind::Text),
    field(2, "value", Kind::Message(&ANY_VALUE)),
];
static ANY_VALUE: [Field; 3] = [
    field(1, "stringValue", Kind::Text),
    field(3, "intValue", Kind::Long),
    field(5, "arrayValue", Kind::Message(&ARRAY)),
];
static ARRAY: [Field; 1] = [field(1, "values", Kind::Messages(&ANY_VALUE))];

/// Appends an `ExportLogsServiceRequest` as a line. Handles only the fields that this relay
/// writes.
pub fn push_line(out: &mut Vec<u8>, request: &[u8]) {
    push_message(out, &REQUEST, request);
    out.push(b'\n');
}

fn push_message(out: &mut Vec<u8>, fields: &[Field], message: &[u8]) {
    out.push(b'{');
    for Field { number, name, kind } in fields {
        let all = Fields::new(message).flatten();
        let mut values = all.filter(|(found, _)| found == number).peekable();
        if values.peek().is_none() {
            continue;
        }
        push_comma(out, b'{');
        push_text(out, name.as_bytes());
        out.push(b':');
        let is_list = matches!(kind, Kind::Messages(_));
        out.extend(is_list.then_some(b'['));
        for (_, value) in values {
            push_comma(out, b'[');
            push_value(out, kind, value);
        }
        out.extend(is_list.then_some(b']'));
    }
    out.push(b'}');
}

/// Appends a comma, unless this is the first item after `opening` or a colon.
fn push_comma(out: &mut Vec<u8>, opening: u8) {
    if !out.ends_with(&[opening]) && !out.ends_with(b":") {
        out.push(b',');
    }
}

fn push_value(out: &mut Vec<u8>, kind: &Kind, value: Value<'_>) {
    match (kind, value) {
        (Kind::Message(fields) | Kind::Messages(fields), Value::Bytes(message)) => {
            push_message(out, fields, message);
        }
        (Kind::Text, Value::Bytes(text)) => push_text(out, text),
        (Kind::Number, Value::Integer(number)) => out.extend(number.to_string().bytes()),
        (Kind::Long, Value::Fixed64(number)) => out.extend(format!("\"{number}\"").bytes()),
        (Kind::Long, Value::Integer(number)) => {
            let number = i64::from_ne_bytes(number.to_ne_bytes());
            out.extend(format!("\"{number}\"").bytes());
        }
        // This relay writes none of these.
        _ => out.extend_from_slice(b"null"),
    }
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    // Neither text nor a vector can fail to be written.
    let _ = serde_json::to_writer(out, &*text);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::export::Export;
    use super::super::{BODY, RECORD_ATTRIBUTES, TIME, push_array, push_number, push_text, wire};
    use super::push_line;

    #[test]
    fn a_request_is_one_line_of_json() {
        let mut record = Vec::new();
        wire::push_fixed64(&mut record, TIME, 1_767_323_045_123_456_789);
        push_text(&mut record, BODY, "a \"b\"\nc");
        push_number(&mut record, RECORD_ATTRIBUTES, "n", -5);
        let values = ["x", "", "é"];
        push_array(
            &mut record,
            RECORD_ATTRIBUTES,
            ("p.", "q"),
            values.into_iter(),
        );
        push_array(&mut record, RECORD_ATTRIBUTES, ("none", ""), [].into_iter());
        let mut export = Export::default();
        export.push("h", false, &record);
        let mut line = Vec::new();
        push_line(&mut line, &export.finish("1"));
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let text = |text: &str| json!({"stringValue": text});
        let expected = json!({"resourceLogs": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": text("wecrelay")},
                {"key": "service.version", "value": text("1")},
                {"key": "host.name", "value": text("h")},
            ]},
            "scopeLogs": [{
                "scope": {"name": "wecrelay", "version": "1"},
                "logRecords": [{
                    "timeUnixNano": "1767323045123456789",
                    "body": text("a \"b\"\nc"),
                    "attributes": [
                        {"key": "n", "value": {"intValue": "-5"}},
                        {"key": "p.q", "value": {"arrayValue": {"values":
                            [text("x"), text(""), text("é")]}}},
                        {"key": "none", "value": {"arrayValue": {}}},
                    ],
                }],
            }],
        }]});
        assert_eq!(serde_json::from_slice::<Value>(&line).unwrap(), expected);
    }
}
