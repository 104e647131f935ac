//! `nxlog`: the flat fields of NXLog's `im_msvistalog`, as its `to_json()` writes them.
//!
//! Source: "NXLog reference manual, Event Log for Windows 2008/Vista/later (im_msvistalog),
//! Fields", with the names of the community edition. A field is present only if the event has it.
//!
//! The table of fields is in `docs/layouts.md`.

use std::borrow::Cow;

use super::standard::{self, Kind};
use crate::event::{Event, Pair};
use crate::syslog::json::Object;
use crate::syslog::message::{Message, push_reception_time};

/// Names of the fields that this layout writes; a value of the event with such a name is renamed.
const FIELDS: [&str; 35] = [
    "EventTime",
    "EventReceivedTime",
    "Hostname",
    "Keywords",
    "EventType",
    "SeverityValue",
    "Severity",
    "EventID",
    "Version",
    "Task",
    "OpcodeValue",
    "RecordNumber",
    "ProcessID",
    "ThreadID",
    "SourceName",
    "ProviderGuid",
    "Channel",
    "ActivityID",
    "RelatedActivityID",
    "UserID",
    "AccountName",
    "Domain",
    "Message",
    "Category",
    "Opcode",
    "SourceModuleName",
    "SourceModuleType",
    "Uid",
    "Collector",
    "Malformed",
    "Raw",
    "Repaired",
    "Truncated",
    "Qualifiers",
    "UserDataName",
];

/// Appends the object.
pub(super) fn push(object: &mut Object<'_>, message: &Message<'_, '_>) {
    let event = message.facts();
    object.open();
    object.time("EventTime", message);
    object.fact("Hostname", message.computer());
    push_system(object, event);
    if let Err(malformed) = message.event {
        object.fact("Malformed", &malformed.to_string());
        object.value("Raw", message.xml);
    }
    if let Some(texts) = &event.rendering {
        if !texts.message.is_empty() {
            object.value("Message", &texts.message);
        }
        object.fact("Category", &texts.task);
        object.fact("Opcode", &texts.opcode);
    }
    let values: Vec<Pair<'_>> = event.extra.iter().chain(&event.data).map(renamed).collect();
    object.members(&values);
    object.fact("UserDataName", &event.user_data_name);
    object.written("EventReceivedTime", |out| {
        push_reception_time(out, message.origin);
    });
    object.fact("SourceModuleName", "wecrelay");
    object.fact("SourceModuleType", "im_msvistalog");
    object.fact("Uid", message.uid.as_str());
    object.collector(message);
    object.fact("Repaired", message.repaired());
    object.truncated();
    object.close();
}

fn push_system(object: &mut Object<'_>, event: &Event<'_>) {
    if let Some(bits) = event.keyword_bits() {
        object.fact("Keywords", &bits.to_string());
    }
    let (kind, value, severity) = match Kind::of(event) {
        Kind::Critical => ("CRITICAL", 5, "CRITICAL"),
        Kind::Error => ("ERROR", 4, "ERROR"),
        Kind::AuditFailure => ("AUDIT_FAILURE", 4, "ERROR"),
        Kind::Warning => ("WARNING", 3, "WARNING"),
        Kind::AuditSuccess => ("AUDIT_SUCCESS", 2, "INFO"),
        Kind::Information => ("INFO", 2, "INFO"),
        Kind::Verbose => ("VERBOSE", 1, "DEBUG"),
    };
    object.fact("EventType", kind);
    object.count("SeverityValue", value);
    object.fact("Severity", severity);
    object.number("EventID", &event.event_id);
    object.fact("SourceName", &event.provider);
    object.fact("ProviderGuid", &event.provider_guid);
    object.number("Qualifiers", &event.qualifiers);
    object.number("Version", &event.version);
    object.number("Task", &event.task);
    object.number("OpcodeValue", &event.opcode);
    object.number("RecordNumber", &event.record_id);
    object.fact("ActivityID", &event.activity_id);
    object.fact("RelatedActivityID", &event.related_activity_id);
    object.number("ProcessID", &event.process_id);
    object.number("ThreadID", &event.thread_id);
    object.fact("Channel", &event.channel);
    if let Some((domain, name)) = standard::account(&event.user_id) {
        object.fact("Domain", domain);
        object.fact("AccountName", name);
    }
    object.fact("UserID", &event.user_id);
}

/// A pair whose name does not collide with [`FIELDS`].
fn renamed<'e>((name, value): &'e Pair<'_>) -> Pair<'e> {
    let name = if FIELDS.contains(&&**name) {
        Cow::Owned(format!("{name}_2"))
    } else {
        Cow::Borrowed(&**name)
    };
    (name, Cow::Borrowed(&**value))
}
