//! The one writer of messages: header, structured data, `MSG` (RFC 5424 6).

use std::io::Write as _;
use std::net::IpAddr;
use std::ops::Range;
use std::time::SystemTime;

use sha1::{Digest, Sha1};
use uuid::Uuid;

use crate::base::lanes::{ByteClass, Lanes, any, push_plain, push_short};
use crate::event::{Event, Malformed, Pair};

use super::escape::{push_text, push_value};
use super::names::{Numbered, Seen, are_one, push_name};
use super::{
    Header, Mapping, MessageKind, Origin, Severity, StructuredData, Style, Written, json, layout,
    limits, plain, push_number, text, timestamp, truncate, xml,
};

/// Longest HOSTNAME, APP-NAME, PROCID, MSGID (RFC 5424 6).
pub(super) const MAX_HOSTNAME: usize = 255;
const MAX_APP_NAME: usize = 48;
const MAX_PROCID: usize = 128;
pub(super) const MAX_MSGID: usize = 32;

/// Namespace of our `Uid`s, which are UUIDs of version 5.
const UID_NAMESPACE: Uuid = Uuid::from_u128(0x0d0f_5b3a_6f0c_4e0b_9a57_7765_6372_6c79);

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
/// A message longer than `style.max` bytes (at least [`MIN_LENGTH`](super::MIN_LENGTH))
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
    match style.max.map(|max| max.max(truncate::MIN_LENGTH)) {
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

/// All that goes into one message.
pub(super) struct Message<'m, 'a> {
    pub(super) mapping: &'m Mapping,
    pub(super) xml: &'m str,
    pub(super) event: &'m Result<Event<'a>, Malformed>,
    pub(super) origin: &'m Origin<'m>,
    pub(super) style: &'m Style,
    pub(super) uid: Uid,
    /// TIMESTAMP, if the event has a time that it can hold.
    pub(super) time: Option<&'m str>,
}

/// Where the parts of a written message begin in the output.
pub(super) struct Marks {
    pub(super) start: usize,
    /// The element `event@`.
    pub(super) event: usize,
    /// The parameter `Truncated` at its end, if structured data is not whole.
    pub(super) truncated: Option<Range<usize>>,
    /// After the element `event@`: `data@` or the end of structured data.
    pub(super) data: usize,
    /// After structured data: a space and `MSG`, if there is one.
    pub(super) message: usize,
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
        let message = out.len();
        self.push_msg(out);
        Marks {
            start,
            event,
            truncated: None,
            data,
            message,
        }
    }

    /// Whether there may be more parameters than receivers bear.
    fn may_have_too_many(&self) -> bool {
        let event = self.facts();
        let params = event.data.len().saturating_add(event.extra.len());
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

    pub(super) fn push_header(&self, out: &mut Vec<u8>) {
        let event = self.facts();
        self.push_priority(out);
        out.extend_from_slice(b"1 ");
        self.push_words(out, event, self.computer());
    }

    /// PRI with its brackets.
    pub(super) fn push_priority(&self, out: &mut Vec<u8>) {
        let event = self.facts();
        let facility = self.mapping.facility.facility(Some(event));
        let severity = Severity::of(event);
        out.push(b'<');
        push_number(
            out,
            u64::from(facility.code()) * 8 + u64::from(severity.code()),
        );
        out.push(b'>');
    }

    /// The host that the event is of; for one that could not be read, perhaps the one that
    /// sent it.
    pub(super) fn computer(&self) -> &str {
        match (self.event, &*self.facts().computer) {
            (Err(_), "") => self.origin.machine_id,
            (_, computer) => computer,
        }
    }

    /// The event, or what is left of one that could not be read.
    pub(super) fn facts(&self) -> &Event<'_> {
        facts(self.event)
    }

    /// TIMESTAMP to MSGID, each with a space after it.
    fn push_words(&self, out: &mut Vec<u8>, event: &Event<'_>, computer: &str) {
        self.push_time(out);
        out.push(b' ');
        let words = [
            (computer, MAX_HOSTNAME),
            (&*event.provider, MAX_APP_NAME),
            (&*event.process_id, MAX_PROCID),
            (&*event.event_id, MAX_MSGID),
        ];
        for (word, limit) in words {
            push_word(out, word, limit);
            out.push(b' ');
        }
    }

    /// TIMESTAMP. Where the event has no time it is when it was received: RFC 5424 (6.2.3)
    /// wants one wherever there is a clock, and some receivers drop a message without one.
    pub(super) fn push_time(&self, out: &mut Vec<u8>) {
        match self.time {
            Some(time) => {
                out.extend_from_slice(time.as_bytes());
                out.push(b'Z');
            }
            None => push_reception_time(out, self.origin),
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

    /// Appends `data@`, likewise.
    fn push_data(&self, end: usize, out: &mut Vec<u8>) -> bool {
        let Ok(event) = self.event else { return true };
        if event.data.is_empty() {
            return true;
        }
        let start = out.len();
        self.push_element(out, b"[data@");
        let mut seen = Seen::new();
        for (place, (name, value)) in event.data.iter().enumerate() {
            // No value is shorter as it is written.
            if out.len().saturating_add(value.len()) >= end {
                return false;
            }
            out.push(b' ');
            let written = out.len();
            push_name(out, name);
            let may_repeat = seen.note(out.get(written..).unwrap_or_default());
            if may_repeat && repeats(&event.data, place) {
                out.truncate(start);
                self.push_numbered(out, &event.data);
                return out.len() <= end;
            }
            self.push_param_value(out, value);
        }
        out.push(b']');
        out.len() <= end
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

    /// The start of an element of ours.
    pub(super) fn push_element(&self, out: &mut Vec<u8>, name: &[u8]) {
        out.extend_from_slice(name);
        push_number(out, u64::from(self.mapping.enterprise));
    }

    fn push_param_value(&self, out: &mut Vec<u8>, value: &str) {
        out.extend_from_slice(b"=\"");
        push_value(out, value, self.style);
        out.push(b'"');
    }

    /// A space and MSG, or nothing for an empty MSG.
    pub(super) fn push_msg(&self, out: &mut Vec<u8>) {
        let start = self.start_msg(out);
        let text_start = out.len();
        self.push_content(out);
        if out.len() == text_start {
            out.truncate(start);
        }
    }

    /// What MSG holds.
    pub(super) fn push_content(&self, out: &mut Vec<u8>) {
        match (self.event, self.style.message) {
            (_, MessageKind::Json) => json::push(out, self),
            (Err(_), MessageKind::Text) => push_text(out, self.xml, self.style),
            (Err(_), MessageKind::Xml) => xml::push_broken(out, self.xml, self.style),
            (Ok(event), MessageKind::Text) => text::push(out, event, self.style),
            (Ok(event), MessageKind::Xml) => {
                let repaired = event.repaired.as_ref();
                let xml = repaired.map_or(self.xml, |repaired| &repaired.xml);
                xml::push(out, xml, self.style);
            }
            (_, kind) => layout::push(out, self, kind),
        }
    }

    /// What comes between structured data and the text of MSG; gives its start.
    pub(super) fn start_msg(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.push(b' ');
        if self.mapping.bom {
            out.extend_from_slice("\u{FEFF}".as_bytes());
        }
        start
    }
}

/// Whether the name at `place` is one that came before it.
fn repeats(data: &[Pair<'_>], place: usize) -> bool {
    let (before, from) = data.split_at_checked(place).unwrap_or_default();
    let name = from.first().map_or("", |(name, _)| name);
    // So many names are compared by their hashes.
    before.len() > limits::MAX_PARAMS || before.iter().any(|(other, _)| are_one(other, name))
}

/// The event, or what is left of one that could not be read.
fn facts<'e, 'a>(event: &'e Result<Event<'a>, Malformed>) -> &'e Event<'a> {
    match event {
        Ok(event) => event,
        Err(malformed) => &malformed.system,
    }
}

/// When the event was received.
pub(super) fn push_reception_time(out: &mut Vec<u8>, origin: &Origin<'_>) {
    let start = out.len();
    let received = origin.received.max(SystemTime::UNIX_EPOCH);
    // Writing fails for years of five digits only.
    if write!(out, "{}", humantime::format_rfc3339_micros(received)).is_err() {
        out.truncate(start);
        out.push(b'-');
    }
}

/// A word of the header: PRINTUSASCII, others become `_`; `-` if empty.
pub(super) fn push_word(out: &mut Vec<u8>, word: &str, limit: usize) {
    let start = out.len();
    if word.is_empty() {
        out.push(b'-');
    } else if !push_plain(out, word.as_bytes(), NotGraphic) || word.len() > limit {
        out.truncate(start);
        push_mapped(out, word, limit, |c| c.is_ascii_graphic());
    }
}

/// Whether a word can stand in the header as it is.
pub(super) fn is_word(word: &str, limit: usize) -> bool {
    word.len() <= limit && !any(word.as_bytes(), NotGraphic)
}

/// All but PRINTUSASCII.
#[derive(Clone, Copy)]
struct NotGraphic;

impl ByteClass for NotGraphic {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        bytes.at_most(b' ') | bytes.at_least(0x7F)
    }
}

/// Up to `limit` characters, `_` for those that are not fit; these must be ASCII.
fn push_mapped(out: &mut Vec<u8>, text: &str, limit: usize, fit: impl Fn(char) -> bool) {
    let byte = |c: char| u8::try_from(c).ok().filter(|_| fit(c)).unwrap_or(b'_');
    out.extend(text.chars().take(limit).map(byte));
}

/// An address; IPv4 within IPv6 as IPv4.
pub(super) fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                push_number(out, u64::from(octet));
            }
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// The number of an event: the text of a UUID.
#[derive(Clone, Copy, Debug)]
pub struct Uid([u8; uuid::fmt::Hyphenated::LENGTH]);

impl Uid {
    /// `scratch` is used and left as it was.
    fn new(
        xml: &str,
        event: &Result<Event<'_>, Malformed>,
        origin: &Origin<'_>,
        scratch: &mut Vec<u8>,
    ) -> Self {
        let start = scratch.len();
        scratch.extend_from_slice(origin.machine_id.as_bytes());
        let parts = match event {
            Ok(event) if !event.record_id.is_empty() => {
                [&*event.channel, &*event.record_id, &*event.time_created]
            }
            // Nothing else tells it from others of its time.
            _ => [xml, "", ""],
        };
        for part in parts {
            scratch.push(0);
            scratch.extend_from_slice(part.as_bytes());
        }
        let hash = Sha1::new_with_prefix(UID_NAMESPACE.as_bytes())
            .chain_update(scratch.get(start..).unwrap_or_default())
            .finalize();
        scratch.truncate(start);
        let hash = hash.first_chunk().copied().unwrap_or_default();
        let uuid = uuid::Builder::from_sha1_bytes(hash).into_uuid();
        let mut text = [b'-'; uuid::fmt::Hyphenated::LENGTH];
        uuid.hyphenated().encode_lower(&mut text);
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
