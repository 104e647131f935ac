//! The content of `event@`: facts of the event and its source, with their names.

use super::Origin;
use super::message::{MAX_HOSTNAME, MAX_MSGID, Message, is_word};
use super::names::Numbered;
use crate::event::{self, Event};

/// Reserved names in `event@`, which an event cannot use itself.
const NAMES: [&str; 39] = [
    "Oversize",
    "Uid",
    "Malformed",
    "Channel",
    "EventRecordID",
    "Provider",
    "ProcessID",
    "Subscription",
    "Identity",
    "AccountSid",
    "Auth",
    "ComputerMismatch",
    "Computer",
    "EventID",
    "SystemTime",
    "TimestampFrom",
    "Level",
    "Version",
    "Task",
    "Opcode",
    "Keywords",
    "Qualifiers",
    "ThreadID",
    "UserID",
    "ActivityID",
    "RelatedActivityID",
    "ProviderGuid",
    "EventSourceName",
    "DataName",
    "UserDataName",
    "LevelName",
    "TaskName",
    "OpcodeName",
    "KeywordNames",
    "ProviderName",
    "ChannelName",
    "Culture",
    "Repaired",
    "Truncated",
];

/// The value of `TimestampFrom` if the event has no time.
pub(super) const RECEPTION: &str = "reception";

impl Message<'_, '_> {
    /// Calls `take` with the name and value of each fact, the most important first: truncation
    /// omits the last ones first. Empty facts are skipped, except further elements of `System`.
    pub(super) fn each_fact(&self, mut take: impl FnMut(&str, &str)) {
        let origin = self.origin;
        let mut fact = |name, value: &str| {
            if !value.is_empty() {
                take(name, value);
            }
        };
        fact("Uid", self.uid.as_str());
        if let Err(reason) = self.event {
            fact("Malformed", &reason.to_string());
        }
        let event = self.facts();
        fact("Channel", &event.channel);
        fact("EventRecordID", &event.record_id);
        fact("Provider", &event.provider);
        fact("ProcessID", &event.process_id);
        fact("Subscription", origin.subscription);
        fact("Identity", origin.identity);
        fact("AccountSid", origin.account_sid);
        fact("Auth", origin.auth);
        fact("ComputerMismatch", origin.computer_mismatch);
        fact("Repaired", self.repaired());
        unlike_header(event, self.time, &mut fact);
        facts(event)
            .into_iter()
            .for_each(|(name, value)| fact(name, value));
        rendered_names(event, &mut fact);
        if event.extra.is_empty() {
            return;
        }
        let mut names = Numbered::default();
        names.reserve(NAMES);
        for (name, value) in &event.extra {
            take(&names.next(name), value);
        }
    }

    /// How the event's text was repaired; empty if it was not.
    pub(super) fn repaired(&self) -> &'static str {
        repaired(self.facts(), self.origin)
    }
}

/// How the event's text was repaired, in words; empty if it was not.
#[must_use]
pub fn repaired(event: &Event<'_>, origin: &Origin<'_>) -> &'static str {
    let repaired = event.repaired.as_ref();
    let reason = repaired.map_or("", |repaired| repaired.reason);
    if origin.repaired {
        event::and_forbidden(reason)
    } else {
        reason
    }
}

/// Facts that the header could not hold unchanged.
fn unlike_header(event: &Event<'_>, time: Option<&str>, fact: &mut impl FnMut(&'static str, &str)) {
    if !is_word(&event.computer, MAX_HOSTNAME) {
        fact("Computer", &event.computer);
    }
    if !is_word(&event.event_id, MAX_MSGID) {
        fact("EventID", &event.event_id);
    }
    if time.is_none() {
        fact("SystemTime", &event.time_created);
        fact("TimestampFrom", RECEPTION);
    }
}

fn rendered_names(event: &Event<'_>, fact: &mut impl FnMut(&'static str, &str)) {
    let Some(rendering) = &event.rendering else {
        return;
    };
    fact("LevelName", &rendering.level);
    fact("TaskName", &rendering.task);
    fact("OpcodeName", &rendering.opcode);
    match &*rendering.keywords {
        [] => {}
        [one] => fact("KeywordNames", one),
        several => fact("KeywordNames", &several.join(", ")),
    }
    fact("ProviderName", &rendering.provider);
    fact("ChannelName", &rendering.channel);
    fact("Culture", &rendering.culture);
}

/// Facts of `System` that are not in the header, with their names in event XML.
pub(super) fn facts<'e>(event: &'e Event<'_>) -> [(&'static str, &'e str); 14] {
    [
        ("Level", &event.level),
        ("Version", &event.version),
        ("Task", &event.task),
        ("Opcode", &event.opcode),
        ("Keywords", &event.keywords),
        ("Qualifiers", &event.qualifiers),
        ("ThreadID", &event.thread_id),
        ("UserID", &event.user_id),
        ("ActivityID", &event.activity_id),
        ("RelatedActivityID", &event.related_activity_id),
        ("ProviderGuid", &event.provider_guid),
        ("EventSourceName", &event.event_source_name),
        ("DataName", &event.data_name),
        ("UserDataName", &event.user_data_name),
    ]
}
