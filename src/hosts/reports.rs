//! What hosts themselves report about forwarding, in a log that is forwarded as well.

use super::record::{Host, Reported, shorten};
use crate::base::clock::FileTime;
use crate::bookmark;
use crate::event;
use crate::protocol::wsman::RawEvent;

/// The log in which a host records how its forwarding is going.
pub const CHANNEL: &str = "Microsoft-Windows-Forwarding/Operational";

/// Maximum number of reports to keep for one host.
const MOST: usize = 8;

/// An event of that log.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// TimeCreated, by which repeats are recognized.
    pub created: FileTime,
    /// The event id; see [`Reported::event`](super::record::Reported).
    pub event: u16,
    /// Its data by name.
    pub data: &'a [(&'a str, &'a str)],
    /// Its rendered message; empty if the host did not render it.
    pub message: &'a str,
}

/// Passes the reports among events to `take`. `machine` is the host: what an intermediate
/// collector has gathered is about other hosts.
pub(super) fn each(
    events: &[RawEvent<'_>],
    machine: Option<&str>,
    mut take: impl FnMut(&Report<'_>),
) {
    for event in events.iter().filter_map(|raw| event::parse(&raw.xml).ok()) {
        let is_own = machine.is_none_or(|name| is_same_host(name, &event.computer));
        let created = bookmark::event_time(&event.time_created);
        let (Some(created), Ok(id)) = (created, event.event_id.parse()) else {
            continue;
        };
        if !is_own || !event.channel.eq_ignore_ascii_case(CHANNEL) {
            continue;
        }
        let data = event.data.iter().map(|(name, value)| (&**name, &**value));
        let rendering = event.rendering.as_ref();
        take(&Report {
            created,
            event: id,
            data: &data.collect::<Vec<_>>(),
            message: rendering.map_or("", |rendering| &rendering.message),
        });
    }
}

/// Whether two names are of the same host; one of them may lack the domain.
fn is_same_host(a: &str, b: &str) -> bool {
    let label = |name: &'_ str| name.split('.').next().unwrap_or_default().to_lowercase();
    label(a.trim()) == label(b)
}

impl Report<'_> {
    fn subject(&self) -> String {
        let first = self.data.iter().find(|(name, _)| !is_code(name));
        shorten(first.map_or("", |(_, value)| value))
    }

    /// The error code: from its data, or else from the message ("Error code is 5").
    fn code(&self) -> Option<u32> {
        let named = self.data.iter().find(|(name, _)| is_code(name));
        let named = named.and_then(|(_, value)| number(value));
        named.or_else(|| {
            let lower = self.message.to_lowercase();
            let (_, rest) = lower.split_once("code")?;
            rest.split_whitespace().take(3).find_map(number)
        })
    }

    fn text(&self) -> String {
        let last = self.data.iter().rfind(|(name, _)| !is_code(name));
        match self.message.trim() {
            "" => shorten(last.map_or("", |(_, value)| value)),
            message => shorten(message),
        }
    }
}

impl Host {
    /// Handles one of the host's own reports; one older than the last changes nothing.
    pub(super) fn take_report(&mut self, report: &Report<'_>) {
        if report.created <= self.reported_until {
            return;
        }
        self.reported_until = report.created;
        let subject = report.subject();
        match report.event {
            // Subscribed, or unsubscribed: problems with this subscription are resolved.
            100 | 103 => self.drop_reports(&[101, 102], &subject),
            // Connected.
            104 => self.drop_reports(&[105, 107], &subject),
            // The policy has changed.
            106 => self.reports.retain(|known| known.event != 107),
            101 | 102 | 105 | 107 => self.add_report(report, subject),
            _ => {}
        }
    }

    fn drop_reports(&mut self, events: &[u16], subject: &str) {
        self.reports.retain(|known| {
            let is_same = known.subject.is_empty()
                || subject.is_empty()
                || known.subject.eq_ignore_ascii_case(subject);
            !(events.contains(&known.event) && is_same)
        });
    }

    fn add_report(&mut self, report: &Report<'_>, subject: String) {
        let code = report.code();
        let mut count = 1;
        self.reports.retain(|known| {
            let is_same = (known.event, known.code) == (report.event, code);
            let is_same = is_same && known.subject == subject;
            count += if is_same { known.count } else { 0 };
            !is_same
        });
        if self.reports.len() >= MOST {
            self.reports.remove(0);
        }
        self.reports.push(Reported {
            at: report.created.into(),
            event: report.event,
            subject,
            code,
            text: report.text(),
            count,
        });
    }
}

fn is_code(name: &str) -> bool {
    let name = name.to_lowercase();
    name.contains("code") || name == "status"
}

/// A number, decimal or hexadecimal with `0x`; punctuation around it is ignored.
fn number(text: &str) -> Option<u32> {
    let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    hex.map_or_else(
        || text.parse().ok(),
        |digits| u32::from_str_radix(digits, 16).ok(),
    )
}
