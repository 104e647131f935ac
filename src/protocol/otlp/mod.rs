//! OpenTelemetry Protocol (OTLP 1.x), logs: the protobuf messages that are sent.
//!
//! They are encoded by hand: five messages are written and two fields of an answer are
//! read. A writer that knows all lengths in advance copies an event's texts once, from its
//! XML into an output's queue; generated types would hold a copy of each value and of each
//! attribute's name.
//!
//! Field numbers are those of `opentelemetry/proto/{common,logs,resource}/v1`.

pub mod endpoint;
pub mod export;
pub mod headers;
pub mod json;
pub mod wire;

use wire::{field_len, push_bytes, push_integer, push_length};

/// `LogRecord.time_unix_nano`.
pub const TIME: u32 = 1;
/// `LogRecord.severity_number`.
pub const SEVERITY_NUMBER: u32 = 2;
/// `LogRecord.severity_text`.
pub const SEVERITY_TEXT: u32 = 3;
/// `LogRecord.body`.
pub const BODY: u32 = 5;
/// `LogRecord.attributes`.
pub const RECORD_ATTRIBUTES: u32 = 6;
/// `LogRecord.observed_time_unix_nano`.
pub const OBSERVED_TIME: u32 = 11;

/// `KeyValue.key`.
const KEY: u32 = 1;
/// `KeyValue.value`.
const VALUE: u32 = 2;
/// `AnyValue.string_value`.
const STRING: u32 = 1;
/// `AnyValue.int_value`.
const INTEGER: u32 = 3;
/// `AnyValue.array_value`.
const ARRAY: u32 = 5;
/// `ArrayValue.values`.
const VALUES: u32 = 1;

/// Appends an `AnyValue` with this text as field number `field`.
pub fn push_text(out: &mut Vec<u8>, field: u32, text: &str) {
    push_length(out, field, field_len(text.len()));
    push_bytes(out, STRING, text.as_bytes());
}

/// Turns the text from `start` to the end of `out` into an `AnyValue`, by moving it behind
/// its header.
pub fn wrap_text(out: &mut Vec<u8>, field: u32, start: usize) {
    let end = out.len();
    let length = end.saturating_sub(start);
    push_length(out, field, field_len(length));
    push_length(out, STRING, length);
    let head = out.len().saturating_sub(end);
    if let Some(whole) = out.get_mut(start..) {
        whole.rotate_right(head);
    }
}

/// Appends an attribute whose name is the concatenation of two parts, which saves building
/// it.
pub fn push_attribute(out: &mut Vec<u8>, field: u32, name: (&str, &str), text: &str) {
    let value = field_len(text.len());
    push_key(out, field, name, value);
    push_bytes(out, STRING, text.as_bytes());
}

/// Appends an attribute with an integer.
pub fn push_number(out: &mut Vec<u8>, field: u32, name: &str, number: i64) {
    // Two's complement, as protobuf encodes negative numbers of type `int64`.
    let bits = u64::from_ne_bytes(number.to_ne_bytes());
    let mut value = Vec::with_capacity(11);
    push_integer(&mut value, INTEGER, bits);
    push_key(out, field, (name, ""), value.len());
    out.extend_from_slice(&value);
}

/// Appends an attribute with an array of texts.
pub fn push_array<'t>(
    out: &mut Vec<u8>,
    field: u32,
    name: (&str, &str),
    texts: impl Iterator<Item = &'t str> + Clone,
) {
    let each = texts.clone();
    let array = each.map(|text| field_len(field_len(text.len()))).sum();
    push_key(out, field, name, field_len(array));
    push_length(out, ARRAY, array);
    texts.for_each(|text| push_text(out, VALUES, text));
}

/// Appends a `KeyValue` up to the content of its value, which has `value` bytes.
fn push_key(out: &mut Vec<u8>, field: u32, (front, back): (&str, &str), value: usize) {
    let name = front.len().saturating_add(back.len());
    push_length(out, field, field_len(name) + field_len(value));
    push_length(out, KEY, name);
    out.extend_from_slice(front.as_bytes());
    out.extend_from_slice(back.as_bytes());
    push_length(out, VALUE, value);
}
