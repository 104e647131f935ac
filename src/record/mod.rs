//! Records, which outputs send instead of syslog messages if their protocol has its own
//! format: an event or a line of the relay's own log, with identifying fields in front.
//!
//! A record waits in an output's queue like a syslog message. [`parse`] returns its parts
//! to the state machine that sends it.

mod kafka;
mod otlp;
#[cfg(test)]
mod tests;

use crate::event::{Event, Malformed};
use crate::protocol::otlp::export::Export;
use crate::protocol::otlp::json;
use crate::syslog::{self, EventName, Line, Mapping, Origin, Sender, Style, Written, framing};

/// Maximum size of a text in the head, in bytes; far more than real ones have.
const TEXT_MAX: usize = 1024;

/// The protocol that a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `LogRecord` of OTLP.
    Otlp,
    /// A record of Kafka.
    Kafka,
}

impl Kind {
    /// The first byte of a record, with which no syslog message begins.
    fn mark(self) -> u8 {
        match self {
            Self::Otlp => 0,
            Self::Kafka => 1,
        }
    }

    fn of(mark: u8) -> Option<Self> {
        [Self::Otlp, Self::Kafka]
            .into_iter()
            .find(|kind| kind.mark() == mark)
    }
}

/// The fields that identify a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// The host: the event's `Computer`, or else the name of its source.
    pub host: &'a str,
    /// The event log (channel).
    pub channel: &'a str,
    /// `EventRecordID` in that log.
    pub record_id: &'a str,
    /// Name of the subscription.
    pub subscription: &'a str,
    /// Equal if and only if an event is delivered twice.
    pub uid: &'a str,
}

/// A record as it waits in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The protocol that it is for.
    pub kind: Kind,
    /// The identifying fields.
    pub head: Head<'a>,
    /// The content to send.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// Adds an OTLP record to a request.
    pub fn push_to(&self, export: &mut Export) {
        let is_event = !self.head.uid.is_empty();
        export.push(self.head.host, is_event, self.payload);
    }
}

/// Appends an event as a record.
pub fn write_event(
    kind: Kind,
    mapping: &Mapping,
    xml: &str,
    event: &Result<Event<'_>, Malformed>,
    origin: &Origin<'_>,
    style: &Style,
    out: &mut Vec<u8>,
) -> Written {
    let facts = match event {
        Ok(event) => event,
        Err(malformed) => &malformed.system,
    };
    let uid = syslog::uid(xml, event, origin, out);
    let head = Head {
        host: match &*facts.computer {
            "" => origin.machine_id,
            computer => computer,
        },
        channel: &facts.channel,
        record_id: &facts.record_id,
        subscription: origin.subscription,
        uid: uid.as_str(),
    };
    push_head(kind, out, &head);
    match kind {
        Kind::Otlp => {
            otlp::push_event(out, mapping, xml, event, origin, style, uid);
            Written::default()
        }
        Kind::Kafka => kafka::push_event(out, &head, facts, |out| {
            syslog::write_message(mapping, xml, event, origin, style, out)
        }),
    }
}

/// The record of an example event, as a line of a file. `rendered`: whether hosts render
/// its text.
#[must_use]
pub fn sample(kind: Kind, mapping: &Mapping, style: &Style, rendered: bool) -> String {
    let record = syslog::sample_of(rendered, |xml, event, origin, out| {
        write_event(kind, mapping, xml, event, origin, style, out);
    });
    let mut line = Vec::new();
    push_line(&record, &mut line);
    String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
}

/// Appends a line of the relay's own log as a record.
pub fn write_own(
    kind: Kind,
    mapping: &Mapping,
    sender: &Sender,
    line: &Line,
    style: &Style,
    out: &mut Vec<u8>,
) {
    let head = Head {
        host: &sender.hostname,
        ..Head::default()
    };
    push_head(kind, out, &head);
    match kind {
        Kind::Otlp => otlp::push_own(out, mapping, sender, line),
        Kind::Kafka => kafka::push_own(out, mapping, sender, line, style),
    }
}

fn push_head(kind: Kind, out: &mut Vec<u8>, head: &Head<'_>) {
    out.push(kind.mark());
    let texts = [
        head.host,
        head.channel,
        head.record_id,
        head.subscription,
        head.uid,
    ];
    for text in texts {
        let text = front(text);
        let length = u16::try_from(text.len()).unwrap_or(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

/// As much of a text as fits into a head, in whole characters.
fn front(text: &str) -> &str {
    let longest = text.len().min(TEXT_MAX);
    let front = (0..=longest).rev().find_map(|end| text.get(..end));
    front.unwrap_or_default()
}

/// Splits a record into its parts; `None` for a syslog message.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Record<'_>> {
    let (&mark, mut rest) = bytes.split_first()?;
    let mut text = || {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (text, after) = after.split_at_checked(length)?;
        rest = after;
        std::str::from_utf8(text).ok()
    };
    let kind = Kind::of(mark)?;
    let mut head = || {
        Some(Head {
            host: text()?,
            channel: text()?,
            record_id: text()?,
            subscription: text()?,
            uid: text()?,
        })
    };
    let head = head()?;
    Some(Record {
        kind,
        head,
        payload: rest,
    })
}

/// The event that a record or a syslog message is about.
#[must_use]
pub fn name(bytes: &[u8]) -> EventName {
    match parse(bytes) {
        None => EventName::read(bytes),
        Some(Record { head, .. }) => EventName::new(
            head.host,
            head.subscription,
            head.channel,
            head.record_id,
            head.uid,
        ),
    }
}

/// Appends a record or a syslog message as one line of a file; an OTLP record as a request
/// in JSON.
pub fn push_line(bytes: &[u8], out: &mut Vec<u8>) {
    match parse(bytes) {
        None => framing::push_line(bytes, out),
        Some(record) => match record.kind {
            Kind::Kafka => framing::push_line(kafka::value(record.payload), out),
            Kind::Otlp => {
                let mut export = Export::default();
                record.push_to(&mut export);
                json::push_line(out, &export.finish(env!("CARGO_PKG_VERSION")));
            }
        },
    }
}
