//! The event that a written message is about: parsed again for the few that a receiver
//! rejects, so that nothing must be stored for all the others.

use std::fmt;

/// Maximum length of a part of a name, in characters.
const PART_MAX: usize = 256;

/// The name of an event; parts are empty if the message does not have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventName {
    /// HOSTNAME of the message.
    pub computer: String,
    /// Name of the subscription.
    pub subscription: String,
    /// The event log (channel).
    pub channel: String,
    /// `EventRecordID` in that log.
    pub record_id: String,
    /// The `Uid` by which receivers recognize repeats.
    pub uid: String,
}

impl EventName {
    /// From these parts.
    #[must_use]
    pub fn new(
        computer: &str,
        subscription: &str,
        channel: &str,
        record_id: &str,
        uid: &str,
    ) -> Self {
        Self {
            computer: printable(computer),
            subscription: printable(subscription),
            channel: printable(channel),
            record_id: printable(record_id),
            uid: printable(uid),
        }
    }

    /// Reads a message without its framing: of RFC 5424; of RFC 3164 the host alone; without
    /// a header nothing.
    ///
    /// ```
    /// use wecrelay::syslog::EventName;
    /// let message = b"<14>1 - ws1.example p - 1 [event@32473 Uid=\"7\" Channel=\"App\"] text";
    /// let name = EventName::read(message);
    /// assert_eq!(name.to_string(), "ws1.example (channel App, Uid 7)");
    /// ```
    #[must_use]
    pub fn read(message: &[u8]) -> Self {
        let text = String::from_utf8_lossy(message);
        let computer = computer(&text);
        // Within the element, since a value cannot contain the quote and bracket that end
        // it.
        let element = text.split_once("[event@").map_or("", |(_, rest)| rest);
        let element = element
            .split_once("\"]")
            .map_or(element, |(front, _)| front);
        let value = |name: &str| {
            let (_, rest) = element.split_once(&format!(" {name}=\""))?;
            Some(unescaped(rest))
        };
        let value = |name: &str| value(name).unwrap_or_default();
        Self {
            computer: printable(computer),
            subscription: value("Subscription"),
            channel: value("Channel"),
            record_id: value("EventRecordID"),
            uid: value("Uid"),
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let computer = match self.computer.as_str() {
            "" | "-" => "an unnamed host",
            computer => computer,
        };
        f.write_str(computer)?;
        let parts = [
            ("subscription", &self.subscription),
            ("channel", &self.channel),
            ("EventRecordID", &self.record_id),
            ("Uid", &self.uid),
        ];
        let mut before = " (";
        for (name, value) in parts.iter().filter(|(_, value)| !value.is_empty()) {
            write!(f, "{before}{name} {value}")?;
            before = ", ";
        }
        f.write_str(if before == ", " { ")" } else { "" })
    }
}

/// HOSTNAME of a header that starts with PRI.
fn computer(text: &str) -> &str {
    /// Length of `Mmm dd hh:mm:ss `.
    const TIMESTAMP: usize = 16;
    let header = text.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let host = header.and_then(|(_, rest)| match rest.strip_prefix("1 ") {
        Some(words) => words.split(' ').nth(1),
        None => rest.get(TIMESTAMP..)?.split(' ').next(),
    });
    host.unwrap_or_default()
}

/// Unescapes a PARAM-VALUE up to its quote (RFC 5424 6.3.3).
fn unescaped(text: &str) -> String {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next().filter(|c| *c != '"') {
        let c = if c == '\\' {
            characters.next()
        } else {
            Some(c)
        };
        value.extend(c);
    }
    printable(&value)
}

fn printable(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(PART_MAX).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_by_its_own_element_only() {
        let message = "<14>1 2026-01-01T00:00:00Z ws-7.bench prov 4 4624 [origin ip=\"::1\"]\
                       [event@32473 Uid=\"ab12\" Channel=\"A\\\"B\" EventRecordID=\"9\" \
                       Subscription=\"all\"][data@32473 Channel=\"X\"] \
                       [event@1 Uid=\"no\"]";
        let name = EventName::read(message.as_bytes());
        assert_eq!(
            name.to_string(),
            "ws-7.bench (subscription all, channel A\"B, EventRecordID 9, Uid ab12)"
        );
    }

    #[test]
    fn another_header_names_the_host_at_least() {
        let names = [
            (
                "<14>Mar  4 13:54:16 ws-7.bench CEF:0|a [event@1 b]",
                "ws-7.bench",
            ),
            (
                "<14>1 2026-01-01T00:00:00Z ws-7.bench p 4 4624 - x",
                "ws-7.bench",
            ),
            ("{\"host\":{\"name\":\"x\"}}", "an unnamed host"),
            ("MSWinEventLog\t1\tSecurity", "an unnamed host"),
        ];
        for (message, name) in names {
            assert_eq!(EventName::read(message.as_bytes()).to_string(), name);
        }
    }

    #[test]
    fn what_is_no_event_still_has_a_name() {
        for message in ["", "<14>1", "<14>1 - - app"] {
            assert_eq!(
                EventName::read(message.as_bytes()).to_string(),
                "an unnamed host"
            );
        }
        let cut = EventName::read(b"<14>1 - h\x07\xff a b c [event@1 Uid=\"12");
        assert_eq!(cut.to_string(), "h?\u{fffd} (Uid 12)");
        let long = format!("<14>1 - {} a", "x".repeat(1000));
        assert_eq!(EventName::read(long.as_bytes()).computer.len(), PART_MAX);
    }
}
