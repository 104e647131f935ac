//! Names that Windows gives all providers (`winmeta.xml`), and other facts that several
//! layouts have.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::event::Event;
use crate::syslog::text;
use crate::syslog::{AUDIT_FAILURE, AUDIT_SUCCESS};

const KEYWORDS: [(u64, &str); 7] = [
    (0x0001_0000_0000_0000, "Response Time"),
    (0x0004_0000_0000_0000, "WDI Diag"),
    (0x0008_0000_0000_0000, "SQM"),
    (AUDIT_FAILURE, "Audit Failure"),
    (AUDIT_SUCCESS, "Audit Success"),
    (0x0040_0000_0000_0000, "Correlation Hint"),
    (0x0080_0000_0000_0000, "Classic"),
];

const OPCODES: [&str; 10] = [
    "Info",
    "Start",
    "Stop",
    "DCStart",
    "DCStop",
    "Extension",
    "Reply",
    "Resume",
    "Suspend",
    "Send",
];

/// What kind of event it is, by its level and, for audit events, its keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Critical,
    Error,
    Warning,
    AuditFailure,
    AuditSuccess,
    Information,
    Verbose,
}

impl Kind {
    pub(super) fn of(event: &Event<'_>) -> Self {
        match (&*event.level, outcome(event)) {
            ("1", _) => Self::Critical,
            ("2", _) => Self::Error,
            ("3", _) => Self::Warning,
            ("5", _) => Self::Verbose,
            (_, Some("failure")) => Self::AuditFailure,
            (_, Some(_)) => Self::AuditSuccess,
            _ => Self::Information,
        }
    }
}

/// Whether an audited action went well: `success` or `failure`.
pub(super) fn outcome(event: &Event<'_>) -> Option<&'static str> {
    match event.keyword_bits().unwrap_or(0) {
        bits if bits & AUDIT_FAILURE != 0 => Some("failure"),
        bits if bits & AUDIT_SUCCESS != 0 => Some("success"),
        _ => None,
    }
}

/// The name of the level as the host rendered it, else the standard one, else its number.
pub(super) fn level<'e>(event: &'e Event<'_>) -> &'e str {
    let rendered = event.rendering.as_ref().map_or("", |texts| &*texts.level);
    match (rendered, &*event.level) {
        ("", "0" | "4") => "Information",
        ("", "1") => "Critical",
        ("", "2") => "Error",
        ("", "3") => "Warning",
        ("", "5") => "Verbose",
        ("", other) => other,
        (rendered, _) => rendered,
    }
}

/// The name of the opcode, likewise.
pub(super) fn opcode<'e>(event: &'e Event<'_>) -> &'e str {
    let rendered = event.rendering.as_ref().map_or("", |texts| &*texts.opcode);
    if !rendered.is_empty() {
        return rendered;
    }
    let number = event.opcode.parse::<usize>().ok();
    let known = number.and_then(|number| OPCODES.get(number));
    known.map_or(&*event.opcode, |name| name)
}

/// The name of the task, likewise.
pub(super) fn task<'e>(event: &'e Event<'_>) -> &'e str {
    let rendered = event.rendering.as_ref().map_or("", |texts| &*texts.task);
    match (rendered, &*event.task) {
        ("", "0") => "None",
        ("", number) => number,
        (rendered, _) => rendered,
    }
}

/// The names of the keywords as the host rendered them, else those of the standard ones.
pub(super) fn keywords<'e>(event: &'e Event<'_>) -> Vec<&'e str> {
    match &event.rendering {
        Some(texts) if !texts.keywords.is_empty() => {
            texts.keywords.iter().map(|keyword| &**keyword).collect()
        }
        _ => {
            let bits = event.keyword_bits().unwrap_or(0);
            let known = KEYWORDS.iter().filter(|(bit, _)| bits & bit != 0);
            known.map(|(_, name)| *name).collect()
        }
    }
}

/// Domain and name of the accounts that have the same SID everywhere and log most events.
pub(super) fn account(sid: &str) -> Option<(&'static str, &'static str)> {
    match sid {
        "S-1-5-18" => Some(("NT AUTHORITY", "SYSTEM")),
        "S-1-5-19" => Some(("NT AUTHORITY", "LOCAL SERVICE")),
        "S-1-5-20" => Some(("NT AUTHORITY", "NETWORK SERVICE")),
        _ => None,
    }
}

/// The rendered text, else that of an event without one: `Provider EventID`.
pub(super) fn title<'e>(event: &'e Event<'_>) -> Cow<'e, str> {
    match text::rendered(event) {
        Some(message) => {
            let line = message.trim_start().lines().next().unwrap_or_default();
            line.trim_end().into()
        }
        None => format!("{} {}", event.provider, event.event_id).into(),
    }
}

/// A value that is an address of another machine.
pub(super) fn address(value: &str) -> Option<IpAddr> {
    value.parse::<IpAddr>().ok()
}
