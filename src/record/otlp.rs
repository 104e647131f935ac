//! An event as a `LogRecord` of OTLP (OpenTelemetry Logs Data Model).
//!
//! | field | from |
//! |---|---|
//! | `time_unix_nano` | `SystemTime`; when it was received where the event has none |
//! | `observed_time_unix_nano` | when it was received |
//! | `severity_number` | the syslog severity, as the data model's appendix B maps it |
//! | `severity_text` | the level as the host rendered it, else its English name |
//! | `body` | what `MSG` holds in a syslog message |
//! | `attributes` | facts and values of the event under `winlog.`, ours under `wecrelay.` |
//!
//! Names under `winlog.` are those of Elastic's Winlogbeat where it has the field.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::event::{Event, Malformed, Pair};
use crate::protocol::otlp::{
    BODY, OBSERVED_TIME, RECORD_ATTRIBUTES, SEVERITY_NUMBER, SEVERITY_TEXT, TIME, push_array,
    push_attribute, push_number, wire, wrap_text,
};
use crate::syslog::{self, Line, Mapping, Origin, Sender, Severity, Style, Uid};

/// Number of values up to which names are compared with each other; with more they are
/// hashed.
const FEW: usize = 48;

/// Appends the record of an event.
pub(super) fn push_event(
    out: &mut Vec<u8>,
    mapping: &Mapping,
    xml: &str,
    event: &Result<Event<'_>, Malformed>,
    origin: &Origin<'_>,
    style: &Style,
    uid: Uid,
) {
    let facts = match event {
        Ok(event) => event,
        Err(malformed) => &malformed.system,
    };
    let received = nanoseconds(origin.received);
    let time = humantime::parse_rfc3339(&facts.time_created).ok();
    let time = time.map_or(received, nanoseconds);
    push_start(out, time, received, Severity::of(facts), level_of(facts));
    let start = out.len();
    syslog::write_body(uid, mapping, xml, event, origin, style, out);
    wrap_text(out, BODY, start);
    let mut attributes = Attributes { out };
    attributes.text("log.record.uid", uid.as_str());
    attributes.event(facts);
    attributes.origin(origin);
    if let Err(malformed) = event {
        attributes.text("wecrelay.malformed", &malformed.to_string());
    }
    attributes.text("wecrelay.repaired", syslog::repaired(facts, origin));
}

/// Appends the record of a line of the relay's own log.
pub(super) fn push_own(out: &mut Vec<u8>, mapping: &Mapping, sender: &Sender, line: &Line) {
    let time = nanoseconds(line.time);
    push_start(out, time, time, line.severity, level_name(line.severity));
    let start = out.len();
    out.extend_from_slice(line.text.as_bytes());
    wrap_text(out, BODY, start);
    let mut attributes = Attributes { out };
    attributes.number("process.pid", i64::from(sender.process));
    attributes.text("wecrelay.version", mapping.version);
}

fn push_start(out: &mut Vec<u8>, time: u64, observed: u64, severity: Severity, level: &str) {
    wire::push_fixed64(out, TIME, time);
    wire::push_fixed64(out, OBSERVED_TIME, observed);
    wire::push_integer(out, SEVERITY_NUMBER, severity_number(severity));
    wire::push_bytes(out, SEVERITY_TEXT, level.as_bytes());
}

/// Nanoseconds since 1970; 0, which means unknown, before.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
}

/// `SeverityNumber` (logs data model, appendix B, the columns of syslog).
fn severity_number(severity: Severity) -> u64 {
    match severity {
        Severity::Critical => 18,
        Severity::Error => 17,
        Severity::Warning => 13,
        Severity::Notice => 10,
        Severity::Informational => 9,
        Severity::Debug => 5,
    }
}

fn level_of<'e>(event: &'e Event<'_>) -> &'e str {
    let rendered = event.rendering.as_ref().map(|r| &*r.level);
    match rendered.filter(|level| !level.is_empty()) {
        Some(level) => level,
        None => level_name(Severity::of(event)),
    }
}

fn level_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "Critical",
        Severity::Error => "Error",
        Severity::Warning => "Warning",
        Severity::Notice | Severity::Informational => "Information",
        Severity::Debug => "Verbose",
    }
}

/// Writes attributes.
struct Attributes<'o> {
    out: &'o mut Vec<u8>,
}

impl Attributes<'_> {
    /// Adds a text, unless it is empty.
    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            push_attribute(self.out, RECORD_ATTRIBUTES, (name, ""), value);
        }
    }

    fn number(&mut self, name: &str, value: i64) {
        push_number(self.out, RECORD_ATTRIBUTES, name, value);
    }

    /// Adds a number, or text if it is not a canonical number of 63 bits.
    fn numeric(&mut self, name: &str, value: &str) {
        let number = value.parse::<i64>().ok();
        let is_usual = value == "0" || value.starts_with(|c: char| ('1'..='9').contains(&c));
        match number.filter(|_| is_usual) {
            Some(number) => self.number(name, number),
            None => self.text(name, value),
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        self.numeric("winlog.event_id", &event.event_id);
        self.text("winlog.channel", &event.channel);
        self.text("winlog.provider_name", &event.provider);
        self.numeric("winlog.record_id", &event.record_id);
        self.text("winlog.computer_name", &event.computer);
        self.text("winlog.time_created", &event.time_created);
        self.text("winlog.provider_guid", &event.provider_guid);
        self.text("winlog.event_source_name", &event.event_source_name);
        self.numeric("winlog.event_id_qualifiers", &event.qualifiers);
        self.numeric("winlog.version", &event.version);
        self.numeric("winlog.level_value", &event.level);
        self.numeric("winlog.task_value", &event.task);
        self.numeric("winlog.opcode_value", &event.opcode);
        self.text("winlog.keywords_value", &event.keywords);
        self.numeric("winlog.process.pid", &event.process_id);
        self.numeric("winlog.process.thread.id", &event.thread_id);
        self.text("winlog.user.identifier", &event.user_id);
        self.text("winlog.activity_id", &event.activity_id);
        self.text("winlog.related_activity_id", &event.related_activity_id);
        self.text("winlog.event_data_name", &event.data_name);
        self.rendering(event);
        self.pairs("winlog.system.", &event.extra);
        if event.user_data_name.is_empty() {
            self.pairs("winlog.event_data.", &event.data);
        } else {
            self.text("winlog.user_data_name", &event.user_data_name);
            self.pairs("winlog.user_data.", &event.data);
        }
    }

    fn rendering(&mut self, event: &Event<'_>) {
        let Some(rendering) = &event.rendering else {
            return;
        };
        self.text("winlog.level", &rendering.level);
        self.text("winlog.task", &rendering.task);
        self.text("winlog.opcode", &rendering.opcode);
        if !rendering.keywords.is_empty() {
            let keywords = rendering.keywords.iter().map(|keyword| &**keyword);
            push_array(
                self.out,
                RECORD_ATTRIBUTES,
                ("winlog.keywords", ""),
                keywords,
            );
        }
        self.text("winlog.provider_title", &rendering.provider);
        self.text("winlog.channel_title", &rendering.channel);
        self.text("winlog.culture", &rendering.culture);
    }

    fn origin(&mut self, origin: &Origin<'_>) {
        self.text("source.address", &origin.address.to_canonical().to_string());
        self.text("wecrelay.machine_id", origin.machine_id);
        self.text("wecrelay.identity", origin.identity);
        self.text("wecrelay.account_sid", origin.account_sid);
        self.text("wecrelay.auth", origin.auth);
        self.text("wecrelay.subscription", origin.subscription);
        self.text("wecrelay.computer_mismatch", origin.computer_mismatch);
    }

    /// Adds values under their names. A name may occur only once, so one that repeats gets
    /// an array of its values.
    fn pairs(&mut self, prefix: &str, pairs: &[Pair<'_>]) {
        if pairs.len() > FEW {
            self.many_pairs(prefix, pairs);
            return;
        }
        for (place, (name, value)) in pairs.iter().enumerate() {
            let (before, from) = pairs.split_at_checked(place).unwrap_or_default();
            if before.iter().any(|(other, _)| other == name) {
                continue;
            }
            let mut same = from.iter().filter(|(other, _)| other == name);
            if same.clone().nth(1).is_none() {
                push_attribute(self.out, RECORD_ATTRIBUTES, (prefix, name), value);
            } else {
                let values = same.by_ref().map(|(_, value)| &**value);
                let values: Vec<_> = values.collect();
                self.array(prefix, name, &values);
            }
        }
    }

    fn many_pairs(&mut self, prefix: &str, pairs: &[Pair<'_>]) {
        let mut values: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, value) in pairs {
            values.entry(name).or_default().push(value);
        }
        for (name, _) in pairs {
            match values.remove(&**name).as_deref() {
                None => {}
                Some([value]) => {
                    push_attribute(self.out, RECORD_ATTRIBUTES, (prefix, name), value);
                }
                Some(values) => self.array(prefix, name, values),
            }
        }
    }

    fn array(&mut self, prefix: &str, name: &str, values: &[&str]) {
        push_array(
            self.out,
            RECORD_ATTRIBUTES,
            (prefix, name),
            values.iter().copied(),
        );
    }
}
