//! What hosts log of their forwarding, read from events of their own log.

use super::record::{Report, shorten, unix};
use crate::bookmark::event_time;
use crate::event::Event;

/// Where hosts log how their forwarding goes.
pub const CHANNEL: &str = "Microsoft-Windows-Forwarding/Operational";

impl Report {
    /// The trouble that an event tells of; `None` for good news and other events.
    #[must_use]
    pub fn read(event: &Event<'_>) -> Option<Self> {
        let number = number(event)?;
        let value = |names: &[&str]| {
            let named = |(name, _): &&(_, _)| {
                let name: &std::borrow::Cow<'_, str> = name;
                names.contains(&name.rsplit('.').next().unwrap_or_default())
            };
            let found = event.data.iter().find(named);
            found.map_or("", |(_, value)| value.as_ref())
        };
        if !matches!(number, 101 | 102 | 105 | 107) {
            return None;
        }
        let subject = value(&["Id", "SubscriptionManagerAddress", "SubscriptionId"]);
        let code = value(&["ErrorCode", "Status"]);
        Some(Self {
            at: event_time(&event.time_created).map(unix).unwrap_or_default(),
            event: number,
            code: parse_code(code),
            subject: shorten(subject),
            text: shorten(value(&["ErrorMessage"])),
        })
    }
}

/// Whether an event says that what went wrong before works now.
#[must_use]
pub fn is_good_news(event: &Event<'_>) -> bool {
    matches!(number(event), Some(100 | 104))
}

fn number(event: &Event<'_>) -> Option<u16> {
    let is_forwarding = event.channel.eq_ignore_ascii_case(CHANNEL);
    is_forwarding.then(|| event.event_id.parse().ok()).flatten()
}

fn parse_code(text: &str) -> Option<u32> {
    let text = text.trim();
    let code = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    code.filter(|code| *code != 0)
}
