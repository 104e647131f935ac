//! `ecs`: the fields of Winlogbeat, in the names of the Elastic Common Schema.
//!
//! Sources: Elastic, "Winlogbeat, exported fields: ECS fields, Winlogbeat fields", and Elastic
//! Common Schema 8. Objects are nested; a field is present only if the event has it.
//!
//! The table of fields is in `docs/layouts.md`.

use std::borrow::Cow;

use super::standard;
use crate::event::{Event, Pair};
use crate::syslog::json::Object;
use crate::syslog::message::{Message, push_reception_time};

/// Attributes of `Execution` that trace events have, and their fields in `winlog`.
const EXECUTION: [(&str, &str); 5] = [
    ("SessionID", "session_id"),
    ("ProcessorID", "processor_id"),
    ("KernelTime", "kernel_time"),
    ("UserTime", "user_time"),
    ("ProcessorTime", "processor_time"),
];

/// Appends the object.
pub(super) fn push(object: &mut Object<'_>, message: &Message<'_, '_>) {
    let event = message.facts();
    object.open();
    object.time("@timestamp", message);
    object.object("event", |object| push_event(object, message));
    if !message.computer().is_empty() {
        object.object("host", |object| object.fact("name", message.computer()));
    }
    let level = standard::level(event).to_ascii_lowercase();
    if !level.is_empty() {
        object.object("log", |object| object.fact("level", &level));
    }
    match message.event {
        Ok(event) => {
            let text = event.rendering.as_ref().map_or("", |texts| &*texts.message);
            if !text.trim().is_empty() {
                object.value("message", &with_line_feeds(text));
            }
        }
        Err(malformed) => {
            object.value("message", message.xml);
            object.object("error", |object| {
                object.fact("message", &malformed.to_string());
            });
        }
    }
    object.object("winlog", |object| push_winlog(object, event));
    let others: Vec<Pair<'_>> = event
        .extra
        .iter()
        .filter(|pair| !is_execution(pair))
        .map(same)
        .collect();
    object.pairs("System", &others);
    object.collector(message);
    object.fact("Repaired", message.repaired());
    object.truncated();
    object.close();
}

fn push_event(object: &mut Object<'_>, message: &Message<'_, '_>) {
    let event = message.facts();
    object.fact("kind", "event");
    object.fact("code", &event.event_id);
    object.fact("provider", &event.provider);
    object.fact("action", standard::task(event));
    object.fact("outcome", standard::outcome(event).unwrap_or_default());
    object.written("created", |out| push_reception_time(out, message.origin));
    object.fact("id", message.uid.as_str());
}

fn push_winlog(object: &mut Object<'_>, event: &Event<'_>) {
    object.fact("api", "wineventlog");
    object.fact("channel", &event.channel);
    object.fact("computer_name", &event.computer);
    object.fact("event_id", &event.event_id);
    object.number("record_id", &event.record_id);
    object.fact("provider_name", &event.provider);
    object.fact("provider_guid", &event.provider_guid);
    object.number("version", &event.version);
    object.fact("task", standard::task(event));
    object.fact("opcode", standard::opcode(event));
    let keywords = standard::keywords(event);
    if !keywords.is_empty() {
        object.array("keywords", keywords.into_iter());
    }
    object.fact("activity_id", &event.activity_id);
    object.fact("related_activity_id", &event.related_activity_id);
    if !(event.process_id.is_empty() && event.thread_id.is_empty()) {
        object.object("process", |object| {
            object.number("pid", &event.process_id);
            if !event.thread_id.is_empty() {
                object.object("thread", |object| object.number("id", &event.thread_id));
            }
        });
    }
    for (name, value) in &event.extra {
        if let Some((_, field)) = EXECUTION.iter().find(|(known, _)| known == name) {
            object.number(field, value);
        }
    }
    if !event.user_id.is_empty() {
        object.object("user", |object| {
            object.fact("identifier", &event.user_id);
            let (domain, name) = standard::account(&event.user_id).unwrap_or_default();
            object.fact("name", name);
            object.fact("domain", domain);
        });
    }
    push_values(object, event);
}

fn push_values(object: &mut Object<'_>, event: &Event<'_>) {
    let named = |(place, pair): (usize, &'_ Pair<'_>)| -> Option<(usize, String)> {
        let (name, _) = pair;
        let is_unnamed = name.trim().is_empty() || is_place(name, place);
        is_unnamed.then(|| (place, format!("param{}", place + 1)))
    };
    let mut pairs: Vec<Pair<'_>> = event.data.iter().map(same).collect();
    for (place, name) in event.data.iter().enumerate().filter_map(named) {
        if let Some(pair) = pairs.get_mut(place) {
            pair.0 = Cow::Owned(name);
        }
    }
    pairs.retain(|(_, value)| !value.is_empty());
    if event.user_data_name.is_empty() {
        return object.pairs("event_data", &pairs);
    }
    pairs.push(("xml_name".into(), (&*event.user_data_name).into()));
    object.pairs("user_data", &pairs);
}

/// Whether this is the name that the event reader assigns to the value at `place` if it has none:
/// `Data` and its number, counted from 1.
fn is_place(name: &str, place: usize) -> bool {
    let digits = name.strip_prefix("Data");
    digits.is_some_and(|digits| digits.parse() == Ok(place + 1))
}

fn is_execution((name, _): &Pair<'_>) -> bool {
    EXECUTION.iter().any(|(known, _)| known == name)
}

/// The same pair, borrowed.
fn same<'e>((name, value): &'e Pair<'_>) -> Pair<'e> {
    (Cow::Borrowed(&**name), Cow::Borrowed(&**value))
}

/// The text with each CR LF replaced by LF.
fn with_line_feeds(text: &str) -> Cow<'_, str> {
    match memchr::memchr(b'\r', text.as_bytes()) {
        Some(_) => text.replace("\r\n", "\n").into(),
        None => text.into(),
    }
}
