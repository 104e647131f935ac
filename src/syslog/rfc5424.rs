//! The one writer of messages: header, structured data, `MSG` (RFC 5424 6).

use super::cut::MIN_LENGTH;
use super::escape::{is_longer, push_value};
use super::message::{Marks, Message, Uid, facts, push_address};
use super::names::{Numbered, Seen, are_one, push_name};
use super::{
    Header, Mapping, Origin, StructuredData, Style, Written, limits, plain, timestamp, truncate,
};
use crate::base::lanes::push_short;
use crate::event::{Event, Malformed, Pair};

/// Appends one SYSLOG-MSG, without framing.
///
/// `xml` is the text that `event` was read from. An event that could not be
/// read is written too: `MSG` is its text, `event@` says why in `Malformed`, and what
/// its `System` tells stands where it does in other messages.
///
/// Structured data has up to three elements. `origin`: the address of the
/// source and who we are. `event@`: facts of the event, among them
///
/// - `Uid`, a UUID of version 5 over MachineID, Channel, EventRecordID and
///   SystemTime as the source wrote them, a zero byte between; for an event
///   that could not be read, or has no EventRecordID, over MachineID and its
///   text. It is equal when an event is delivered twice.
/// - `Computer`, `EventID`, `SystemTime` only where the header could not hold
///   them as they are; `Repaired` where the XML was.
/// - `Oversize="yes"`, as the first of all, where structured data is not bounded and has
///   more than receivers bear;
/// - `TimestampFrom="reception"` where the event has no time, so that TIMESTAMP
///   is when it was received.
///
/// `data@`: the event's values under their names. Names are cut to 32
/// characters, others than PRINTUSASCII and `=`, `]`, `"`, `.` become `_`, and
/// one that repeats is numbered.
///
/// Structured data stays within what receivers bear, if `style` says so; names of
/// what was cut or left out are in `Truncated`, and `MSG` has it whole.
///
/// A message longer than `style.max` bytes (at least [`MIN_LENGTH`])
/// is cut: first `MSG`, then values, then whole values, on character
/// boundaries; `Truncated` in `event@` begins with the count of bytes.
pub fn write_message(
    mapping: &Mapping,
    xml: &str,
    event: &Result<Event<'_>, Malformed>,
    origin: &Origin<'_>,
    style: &Style,
    out: &mut Vec<u8>,
) -> Written {
    let start = out.len();
    let uid = Uid::new(xml, event, origin, out);
    let message = Message {
        mapping,
        xml,
        event,
        origin,
        style,
        uid,
        time: timestamp::without_zone(&facts(event).time_created),
    };
    if style.header != Header::Rfc5424 || style.data == StructuredData::None {
        return plain::push(&message, out);
    }
    let marks = message.push(out);
    match style.max.map(|max| max.max(MIN_LENGTH)) {
        Some(max) if out.len().saturating_sub(start) > max => {
            truncate::shorten(&message, &marks, max, out)
        }
        _ => Written::default(),
    }
}

/// Appends what [`write_message`] puts into `MSG`, whole and without a byte order mark, for
/// records that have a field for it. `uid` is that of [`uid`].
pub fn write_body(
    uid: Uid,
    mapping: &Mapping,
    xml: &str,
    event: &Result<Event<'_>, Malformed>,
    origin: &Origin<'_>,
    style: &Style,
    out: &mut Vec<u8>,
) {
    let message = Message {
        mapping,
        xml,
        event,
        origin,
        style,
        uid,
        time: timestamp::without_zone(&facts(event).time_created),
    };
    message.push_content(out);
}

/// The `Uid` of an event, as [`write_message`] has it. `scratch` is used and left as it was.
pub fn uid(
    xml: &str,
    event: &Result<Event<'_>, Malformed>,
    origin: &Origin<'_>,
    scratch: &mut Vec<u8>,
) -> Uid {
    Uid::new(xml, event, origin, scratch)
}

impl Message<'_, '_> {
    fn push(&self, out: &mut Vec<u8>) -> Marks {
        let start = out.len();
        self.push_header(out);
        let origin = out.len();
        self.push_origin(out);
        let event = out.len();
        if self.may_have_too_many() {
            return limits::push(self, start, origin, out);
        }
        let end = self.end_of_data(origin);
        let is_within = self.push_event(end, out);
        let data = out.len();
        if !(is_within && self.push_data(end, out)) {
            out.truncate(event);
            return limits::push(self, start, origin, out);
        }
        let marker = self.mark_oversized(origin, event, out);
        let message = out.len();
        self.push_msg(out);
        Marks {
            start,
            event,
            truncated: None,
            data: data.saturating_add(marker),
            message,
        }
    }

    /// Whether there may be more parameters than receivers bear.
    fn may_have_too_many(&self) -> bool {
        let params = self.data().len() + self.facts().extra.len();
        self.style.data == StructuredData::Bounded && limits::may_be_too_many(params)
    }

    /// Where structured data that begins at `origin` must have ended, to be within limits
    /// without a closer look.
    fn end_of_data(&self, origin: usize) -> usize {
        match self.style.data {
            StructuredData::Bounded => origin.saturating_add(limits::MAX_VALUE),
            StructuredData::Whole | StructuredData::None => usize::MAX,
        }
    }

    fn push_origin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"[origin ip=\"");
        push_address(out, self.origin.address);
        out.extend_from_slice(b"\" software=\"wecrelay\" swVersion=\"");
        push_value(out, self.mapping.version, &Style::default());
        out.extend_from_slice(b"\"]");
    }

    /// Appends `event@`; false, and perhaps not all of it, if it goes beyond `end`.
    fn push_event(&self, end: usize, out: &mut Vec<u8>) -> bool {
        self.push_element(out, b"[event@");
        let mut is_within = true;
        self.each_fact(|name, value| {
            is_within &= out.len().saturating_add(value.len()) < end;
            if is_within {
                out.push(b' ');
                push_short(out, name.as_bytes());
                self.push_param_value(out, value);
            }
        });
        out.push(b']');
        is_within && out.len() <= end
    }

    /// Marks structured data that not all receivers bear, where it may be so; gives the bytes
    /// that this takes.
    fn mark_oversized(&self, origin: usize, event: usize, out: &mut Vec<u8>) -> usize {
        // The first parameter, where no value of an event can put it.
        const MARKER: &[u8] = b" Oversize=\"yes\"";
        let length = out.len().saturating_sub(origin);
        let is_bounded = self.style.data != StructuredData::Whole || length < limits::MAX_VALUE;
        if is_bounded || !(length > limits::MAX_DATA || self.has_long_value()) {
            return 0;
        }
        let element = out.get(event..).unwrap_or_default();
        let name = element.iter().position(|byte| *byte == b' ').unwrap_or(0);
        let place = event.saturating_add(name);
        out.splice(place..place, MARKER.iter().copied());
        MARKER.len()
    }

    /// Whether a value is longer than those that all receivers bear.
    fn has_long_value(&self) -> bool {
        let is_long = |value: &str| is_longer(value, limits::MAX_VALUE, self.style);
        let mut found = self.data().iter().any(|(_, value)| is_long(value));
        self.each_fact(|_, value| found |= is_long(value));
        found
    }

    /// Appends `data@`, likewise.
    fn push_data(&self, end: usize, out: &mut Vec<u8>) -> bool {
        let data = self.data();
        if data.is_empty() {
            return true;
        }
        let start = out.len();
        self.push_element(out, b"[data@");
        let mut seen = Seen::new();
        for (place, (name, value)) in data.iter().enumerate() {
            // No value is shorter as it is written.
            if out.len().saturating_add(value.len()) >= end {
                return false;
            }
            out.push(b' ');
            let written = out.len();
            push_name(out, name);
            let may_repeat = seen.note(out.get(written..).unwrap_or_default());
            if may_repeat && repeats(data, place) {
                out.truncate(start);
                self.push_numbered(out, data);
                return out.len() <= end;
            }
            self.push_param_value(out, value);
        }
        out.push(b']');
        out.len() <= end
    }

    /// The values for `data@`.
    pub(super) fn data(&self) -> &[Pair<'_>] {
        match self.event {
            Ok(event) if !self.style.without_values => &event.data,
            _ => &[],
        }
    }

    /// `data@` where names repeat.
    fn push_numbered(&self, out: &mut Vec<u8>, data: &[Pair<'_>]) {
        self.push_element(out, b"[data@");
        for (name, (_, value)) in Numbered::default().all(data).iter().zip(data) {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            self.push_param_value(out, value);
        }
        out.push(b']');
    }

    fn push_param_value(&self, out: &mut Vec<u8>, value: &str) {
        out.extend_from_slice(b"=\"");
        push_value(out, value, self.style);
        out.push(b'"');
    }
}

/// Whether the name at `place` is one that came before it.
fn repeats(data: &[Pair<'_>], place: usize) -> bool {
    let (before, from) = data.split_at_checked(place).unwrap_or_default();
    let name = from.first().map_or("", |(name, _)| name);
    // So many names are compared by their hashes.
    before.len() > limits::MAX_PARAMS || before.iter().any(|(other, _)| are_one(other, name))
}
