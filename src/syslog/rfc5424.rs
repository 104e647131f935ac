//! Writes messages: header, structured data, `MSG` (RFC 5424 6).

use super::cut::MIN_LENGTH;
use super::escape::{Form, Kept, Value, is_longer, push_value, push_value_part};
use super::message::{Marks, Message, Uid, facts, push_address};
use super::names::{Numbered, Seen, are_one, push_new_name};
use super::{
    ControlCharacters, Escape, Header, Mapping, Origin, StructuredData, Style, Written, limits,
    plain, timestamp, truncate,
};
use crate::base::pieces::Pieces;
use crate::event::{Event, Malformed, Pair};

/// Appends one SYSLOG-MSG, without framing.
///
/// `xml` is the text from which `event` was parsed. An event that could not be parsed is written
/// too: `MSG` is its text, `Malformed` in `event@` the reason, and what its `System` yields is
/// where other messages have it.
///
/// Structured data has up to three elements. `origin` has the address of the source, and this
/// program and its version. `event@` has facts of the event, among them
///
/// - `Uid`, a UUID of version 5 over MachineID, Channel, EventRecordID, and SystemTime as the
///   source sent them, separated by zero bytes; for an event that could not be parsed or has
///   no EventRecordID, over MachineID and its text. It is the same each time an event is
///   delivered.
/// - `Computer`, `EventID`, `SystemTime` only if the header cannot hold them unchanged;
///   `Repaired` if the XML was repaired.
/// - `Oversize="yes"`, as the first parameter, if structured data is not bounded and exceeds
///   the limits of size of [`StructuredData::Bounded`].
/// - `TimestampFrom="reception"` if the event has no valid time, so that TIMESTAMP is the time
///   of reception.
///
/// `data@` has the event's values under their names. Names are truncated to 32 characters;
/// characters other than PRINTUSASCII, and `=`, `]`, `[`, `"`, `.`, become `_`; repeated names are
/// numbered.
///
/// With [`StructuredData::Bounded`], structured data stays within the limits of receivers;
/// `Truncated` names the values that were truncated or omitted, and `MSG` has them complete.
///
/// A message longer than `style.max` bytes (at least [`MIN_LENGTH`]) is truncated at character
/// boundaries: first `MSG`, then values, then whole parameters; `Truncated` in `event@` begins with
/// the number of missing bytes. If `MSG` has values that structured data lacks anyway, values in
/// structured data are shortened first. A message without structured data, or with another header,
/// has only its `MSG` truncated.
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

/// Appends the content of `MSG` as [`write_message`] does, but never truncated and without a byte
/// order mark, for records that have a field for it. `uid` must be the result of [`uid()`] for the
/// same event.
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
        let undone = self.style.escape == Escape::Reversible;
        match self.style.control {
            ControlCharacters::Keep => self.push_with(Kept, out),
            ControlCharacters::Escape => self.push_with(Value { undone }, out),
        }
    }

    /// `form` is the one for values in this style.
    fn push_with(&self, form: impl Form, out: &mut Vec<u8>) -> Marks {
        let start = out.len();
        let mut pieces = Pieces::new(out);
        self.push_header(&mut pieces);
        let origin = pieces.len();
        self.push_origin(&mut pieces);
        let event = pieces.len();
        if self.may_have_too_many() {
            return limits::push(self, start, origin, pieces.flush());
        }
        let end = self.end_of_data(origin);
        let is_within = self.push_event(form, end, &mut pieces);
        let data = pieces.len();
        let is_within = is_within && self.push_data(form, end, &mut pieces);
        let out = pieces.flush();
        if !is_within {
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

    /// Whether there may be more than [`limits::MAX_PARAMS`] parameters, in bounded structured
    /// data.
    fn may_have_too_many(&self) -> bool {
        let params = self.data().len() + self.facts().extra.len();
        self.style.data == StructuredData::Bounded && limits::may_be_too_many(params)
    }

    /// The position up to which structured data that begins at `origin` is certainly within the
    /// limits: if all of it is no longer than one value may be, no value is too long.
    fn end_of_data(&self, origin: usize) -> usize {
        match self.style.data {
            StructuredData::Bounded => origin.saturating_add(limits::MAX_VALUE),
            StructuredData::Whole | StructuredData::None => usize::MAX,
        }
    }

    fn push_origin(&self, out: &mut Pieces<'_>) {
        out.fixed(b"[origin ip=\"");
        push_address(out, self.origin.address);
        out.fixed(b"\" software=\"wecrelay\" swVersion=\"");
        push_value_part(out, self.xml, self.mapping.version, Kept);
        out.fixed(b"\"]");
    }

    /// Appends `event@`; returns false if it would end beyond `end`, and may then have appended
    /// only a part of it.
    fn push_event(&self, form: impl Form, end: usize, out: &mut Pieces<'_>) -> bool {
        out.fixed(b"[event@");
        out.number(u64::from(self.mapping.enterprise));
        out.fixed(b" Uid=\"");
        out.fixed(self.uid.as_bytes());
        out.fixed(b"\"");
        let mut is_within = true;
        self.each_named_fact(|(name, value)| {
            is_within &= out.len().saturating_add(value.len()) < end;
            if is_within {
                name.push_start(out);
                push_value_part(out, self.xml, value, form);
                out.fixed(b"\"");
            }
        });
        self.each_extra(|name, value| {
            is_within &= out.len().saturating_add(value.len()) < end;
            if is_within {
                out.fixed(b" ");
                out.bytes(name.as_bytes());
                out.fixed(b"=\"");
                push_value_part(out, self.xml, value, form);
                out.fixed(b"\"");
            }
        });
        out.fixed(b"]");
        is_within && out.len() <= end
    }

    /// Marks structured data that exceeds the limits of size of some receivers; returns the length
    /// of the marker in bytes, 0 if there is none.
    fn mark_oversized(&self, origin: usize, event: usize, out: &mut Vec<u8>) -> usize {
        // It is the first parameter, so that values of the event cannot move it.
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

    /// Whether a value is longer than [`limits::MAX_VALUE`].
    fn has_long_value(&self) -> bool {
        let is_long = |value: &str| is_longer(value, limits::MAX_VALUE, self.style);
        let mut found = self.data().iter().any(|(_, value)| is_long(value));
        self.each_fact(|_, value| found |= is_long(value));
        found
    }

    /// Appends `data@` if there are values; returns false if it would end beyond `end`, as
    /// [`push_event`](Self::push_event) does.
    fn push_data(&self, form: impl Form, end: usize, out: &mut Pieces<'_>) -> bool {
        let data = self.data();
        if data.is_empty() {
            return true;
        }
        let start = out.len();
        out.fixed(b"[data@");
        out.number(u64::from(self.mapping.enterprise));
        let mut seen = Seen::new();
        for (place, (name, value)) in data.iter().enumerate() {
            // Escapes make no value shorter.
            if out.len().saturating_add(value.len()) >= end {
                return false;
            }
            out.fixed(b" ");
            let may_repeat = push_new_name(out, self.xml, name, &mut seen);
            if may_repeat && repeats(data, place) {
                out.truncate(start);
                self.push_numbered(out.flush(), data);
                return out.len() <= end;
            }
            out.fixed(b"=\"");
            push_value_part(out, self.xml, value, form);
            out.fixed(b"\"");
        }
        out.fixed(b"]");
        out.len() <= end
    }

    /// The values for `data@`; none if the event could not be parsed or the style omits them.
    pub(super) fn data(&self) -> &[Pair<'_>] {
        match self.event {
            Ok(event) if !self.style.without_values => &event.data,
            _ => &[],
        }
    }

    /// Appends `data@` with repeated names numbered.
    fn push_numbered(&self, out: &mut Vec<u8>, data: &[Pair<'_>]) {
        self.push_element(out, b"[data@");
        for (name, (_, value)) in Numbered::default().all(data).iter().zip(data) {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            push_value(out, value, self.style);
            out.push(b'"');
        }
        out.push(b']');
    }
}

/// Whether the name at `place` repeats an earlier one; always true after many names.
fn repeats(data: &[Pair<'_>], place: usize) -> bool {
    let (before, from) = data.split_at_checked(place).unwrap_or_default();
    let name = from.first().map_or("", |(name, _)| name);
    // Too many to compare with each other; numbering compares their hashes.
    before.len() > limits::MAX_PARAMS || before.iter().any(|(other, _)| are_one(other, name))
}
