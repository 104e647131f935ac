//! Names that Windows defines for all providers (`winmeta.xml`), and other facts that several
//! layouts need.

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

/// The kind of an event: by its level, and for audit events, which have level 0, by its keywords.
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

/// The result of an audited action: `success` or `failure`; `None` if the event is not an audit
/// event.
pub(super) fn outcome(event: &Event<'_>) -> Option<&'static str> {
    match event.keyword_bits().unwrap_or(0) {
        bits if bits & AUDIT_FAILURE != 0 => Some("failure"),
        bits if bits & AUDIT_SUCCESS != 0 => Some("success"),
        _ => None,
    }
}

/// The name of the level: as the host rendered it, else the standard name, else the number.
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

/// The name of the opcode: as the host rendered it, else the standard name, else the number.
pub(super) fn opcode<'e>(event: &'e Event<'_>) -> &'e str {
    let rendered = event.rendering.as_ref().map_or("", |texts| &*texts.opcode);
    if !rendered.is_empty() {
        return rendered;
    }
    let number = event.opcode.parse::<usize>().ok();
    let known = number.and_then(|number| OPCODES.get(number));
    known.map_or(&*event.opcode, |name| name)
}

/// The name of the task: as the host rendered it, else `None` for 0, else the number.
pub(super) fn task<'e>(event: &'e Event<'_>) -> &'e str {
    let rendered = event.rendering.as_ref().map_or("", |texts| &*texts.task);
    match (rendered, &*event.task) {
        ("", "0") => "None",
        ("", number) => number,
        (rendered, _) => rendered,
    }
}

/// The names of the keywords: as the host rendered them, else those of the standard keywords.
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

/// Domain and name of three system accounts, which log most events and have the same SID on every
/// host; `None` for others.
pub(super) fn account(sid: &str) -> Option<(&'static str, &'static str)> {
    match sid {
        "S-1-5-18" => Some(("NT AUTHORITY", "SYSTEM")),
        "S-1-5-19" => Some(("NT AUTHORITY", "LOCAL SERVICE")),
        "S-1-5-20" => Some(("NT AUTHORITY", "NETWORK SERVICE")),
        _ => None,
    }
}

/// The first line of the rendered text; for an event without one, `Provider EventID`.
pub(super) fn title<'e>(event: &'e Event<'_>) -> Cow<'e, str> {
    match text::rendered(event) {
        Some(message) => {
            let line = message.trim_start().lines().next().unwrap_or_default();
            line.trim_end().into()
        }
        None => format!("{} {}", event.provider, event.event_id).into(),
    }
}

/// The value as an IP address; `None` if it is not one.
pub(super) fn address(value: &str) -> Option<IpAddr> {
    value.parse::<IpAddr>().ok()
}
