//! What an output sends where its protocol has records of its own and no syslog messages:
//! an event or a line of our own log, with what names it before it.
//!
//! A record waits in the queue of an output as a syslog message does. [`parse`] gives
//! back its parts to the machine that sends it.

mod kafka;
mod otlp;
#[cfg(test)]
mod tests;

use crate::event::{Event, Malformed};
use crate::protocol::otlp::export::Export;
use crate::protocol::otlp::json;
use crate::syslog::{self, EventName, Line, Mapping, Origin, Sender, Style, Written, framing};

/// Longest text of a head, in bytes: much more than any real one has.
const TEXT_MAX: usize = 1024;

/// Which protocol a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `LogRecord` of OTLP.
    Otlp,
    /// A record of Kafka.
    Kafka,
}

impl Kind {
    /// The first byte of a record; no syslog message begins with one of them.
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

/// What names a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// The host: `Computer` of the event, else what its source is called.
    pub host: &'a str,
    /// The event log of the host.
    pub channel: &'a str,
    /// Its number there.
    pub record_id: &'a str,
    /// The subscription that it came by.
    pub subscription: &'a str,
    /// Equal when an event is delivered twice, and only then.
    pub uid: &'a str,
}

/// A record as it waits in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Which protocol it is for.
    pub kind: Kind,
    /// What names it.
    pub head: Head<'a>,
    /// What is sent.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// Adds one of OTLP to a request.
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

/// The record of a made-up event, as a line of a file; hosts render its text if `rendered`.
#[must_use]
pub fn sample(kind: Kind, mapping: &Mapping, style: &Style, rendered: bool) -> String {
    let record = syslog::sample_of(rendered, |xml, event, origin, out| {
        write_event(kind, mapping, xml, event, origin, style, out);
    });
    let mut line = Vec::new();
    push_line(&record, &mut line);
    String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
}

/// Appends a line of our own log as a record.
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

/// As much of a text as a head has room for, in whole characters.
fn front(text: &str) -> &str {
    let longest = text.len().min(TEXT_MAX);
    let front = (0..=longest).rev().find_map(|end| text.get(..end));
    front.unwrap_or_default()
}

/// The parts of a record; `None` for a syslog message.
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

/// Which event a record or a syslog message is of.
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

/// Appends a record or a syslog message as one line of a file: a record of OTLP as a request
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
