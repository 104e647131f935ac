//! The one writer of messages: header, structured data, `MSG` (RFC 5424 6).

use std::io::Write as _;
use std::net::IpAddr;

use sha1::{Digest, Sha1};
use uuid::Uuid;

use crate::event::{Event, Malformed};

use super::escape::{push_text, push_value};
use super::{
    ControlCharacters, Mapping, MessageKind, Origin, Severity, Written, json, push_number, text,
    timestamp, truncate, xml,
};

/// Longest HOSTNAME, APP-NAME, PROCID, MSGID (RFC 5424 6).
pub(super) const MAX_HOSTNAME: usize = 255;
const MAX_APP_NAME: usize = 48;
const MAX_PROCID: usize = 128;
const MAX_MSGID: usize = 32;
/// Longest SD-NAME (RFC 5424 6).
const MAX_SD_NAME: usize = 32;

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
///   that could not be read, over MachineID and its text. It is equal when an
///   event is delivered twice.
/// - `Provider`, `Computer`, `SystemTime` only where the header could not hold
///   them as they are; `Repaired` where the XML was.
///
/// `data@`: the event's values under their names. Names are cut to 32
/// characters, others than PRINTUSASCII and `=`, `]`, `"` become `_`.
///
/// A message longer than `max` bytes (at least [`MIN_LENGTH`](super::MIN_LENGTH))
/// is cut: first `MSG`, then values, then whole values, on character
/// boundaries; `Truncated` in `event@` counts the bytes.
pub fn write_message(
    mapping: &Mapping,
    xml: &str,
    event: &Result<Event<'_>, Malformed>,
    origin: &Origin<'_>,
    max: Option<usize>,
    control: ControlCharacters,
    out: &mut Vec<u8>,
) -> Written {
    let start = out.len();
    let uid = Uid::new(xml, event, origin, out);
    let message = Message {
        mapping,
        xml,
        event,
        origin,
        control,
        uid,
    };
    let marks = message.push(out);
    match max.map(|max| max.max(truncate::MIN_LENGTH)) {
        Some(max) if out.len().saturating_sub(start) > max => {
            truncate::shorten(&message, &marks, max, out)
        }
        _ => Written::default(),
    }
}

/// All that goes into one message.
pub(super) struct Message<'m, 'a> {
    pub(super) mapping: &'m Mapping,
    pub(super) xml: &'m str,
    pub(super) event: &'m Result<Event<'a>, Malformed>,
    pub(super) origin: &'m Origin<'m>,
    pub(super) control: ControlCharacters,
    pub(super) uid: Uid,
}

/// Where the parts of a written message begin in the output.
pub(super) struct Marks {
    pub(super) start: usize,
    /// The element `event@`.
    pub(super) event: usize,
    /// After the element `event@`: `data@` or the end of structured data.
    pub(super) data: usize,
    /// After structured data: a space and `MSG`, if there is one.
    pub(super) message: usize,
}

impl Message<'_, '_> {
    fn push(&self, out: &mut Vec<u8>) -> Marks {
        let start = out.len();
        self.push_header(out);
        self.push_origin(out);
        let event = out.len();
        self.push_event(out);
        let data = out.len();
        self.push_data(out);
        let message = out.len();
        self.push_msg(out);
        Marks {
            start,
            event,
            data,
            message,
        }
    }

    fn push_header(&self, out: &mut Vec<u8>) {
        let event = self.facts();
        let facility = self.mapping.facility.facility(Some(event));
        let severity = Severity::of(event);
        out.push(b'<');
        push_number(
            out,
            u64::from(facility.code()) * 8 + u64::from(severity.code()),
        );
        out.extend_from_slice(b">1 ");
        let computer = match (self.event, &*event.computer) {
            (Err(_), "") => self.origin.machine_id,
            (_, computer) => computer,
        };
        push_event_header(out, event, computer);
    }

    /// The event, or what is left of one that could not be read.
    pub(super) fn facts(&self) -> &Event<'_> {
        match self.event {
            Ok(event) => event,
            Err(malformed) => &malformed.system,
        }
    }

    fn push_origin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"[origin ip=\"");
        push_address(out, self.origin.address);
        out.extend_from_slice(b"\" software=\"wecrelay\" swVersion=\"");
        push_value(out, self.mapping.version, ControlCharacters::Keep);
        out.extend_from_slice(b"\"]");
    }

    /// Facts; should some have to go, the last ones go first.
    fn push_event(&self, out: &mut Vec<u8>) {
        self.push_element(out, b"[event@");
        let origin = self.origin;
        self.push_fact(out, "Uid", self.uid.as_str());
        if let Err(reason) = self.event {
            self.push_fact(out, "Malformed", &reason.to_string());
        }
        let event = self.facts();
        self.push_fact(out, "Channel", &event.channel);
        self.push_fact(out, "EventRecordID", &event.record_id);
        self.push_fact(out, "Subscription", origin.subscription);
        self.push_fact(out, "Identity", origin.identity);
        self.push_fact(out, "AccountSid", origin.account_sid);
        self.push_fact(out, "Auth", origin.auth);
        self.push_fact(out, "ComputerMismatch", origin.computer_mismatch);
        self.push_unlike_header(out, event);
        for (name, value) in facts(event) {
            self.push_fact(out, name, value);
        }
        self.push_rendered_names(out, event);
        for (name, value) in &event.extra {
            self.push_param(out, name, value);
        }
        let repaired = event.repaired.as_ref();
        let repaired = repaired.map_or("", |repaired| repaired.reason);
        self.push_fact(out, "Repaired", repaired);
        out.push(b']');
    }

    /// What the header had to change or leave out.
    fn push_unlike_header(&self, out: &mut Vec<u8>, event: &Event<'_>) {
        if !is_word(&event.provider, MAX_APP_NAME) {
            self.push_fact(out, "Provider", &event.provider);
        }
        if !is_word(&event.computer, MAX_HOSTNAME) {
            self.push_fact(out, "Computer", &event.computer);
        }
        if timestamp::without_zone(&event.time_created).is_none() {
            self.push_fact(out, "SystemTime", &event.time_created);
        }
    }

    fn push_rendered_names(&self, out: &mut Vec<u8>, event: &Event<'_>) {
        let Some(rendering) = &event.rendering else {
            return;
        };
        self.push_fact(out, "LevelName", &rendering.level);
        self.push_fact(out, "TaskName", &rendering.task);
        self.push_fact(out, "OpcodeName", &rendering.opcode);
        match &*rendering.keywords {
            [] => {}
            [one] => self.push_fact(out, "KeywordNames", one),
            several => self.push_fact(out, "KeywordNames", &several.join(", ")),
        }
    }

    fn push_data(&self, out: &mut Vec<u8>) {
        let Ok(event) = self.event else { return };
        if event.data.is_empty() {
            return;
        }
        self.push_element(out, b"[data@");
        for (name, value) in &event.data {
            self.push_param(out, name, value);
        }
        out.push(b']');
    }

    /// The start of an element of ours.
    fn push_element(&self, out: &mut Vec<u8>, name: &[u8]) {
        out.extend_from_slice(name);
        push_number(out, u64::from(self.mapping.enterprise));
    }

    /// A parameter with a name of ours, unless the value is empty.
    fn push_fact(&self, out: &mut Vec<u8>, name: &str, value: &str) {
        if !value.is_empty() {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            self.push_param_value(out, value);
        }
    }

    /// A parameter with a name from the event.
    fn push_param(&self, out: &mut Vec<u8>, name: &str, value: &str) {
        out.push(b' ');
        push_name(out, name);
        self.push_param_value(out, value);
    }

    fn push_param_value(&self, out: &mut Vec<u8>, value: &str) {
        out.extend_from_slice(b"=\"");
        push_value(out, value, self.control);
        out.push(b'"');
    }

    /// A space and MSG, or nothing for an empty MSG.
    fn push_msg(&self, out: &mut Vec<u8>) {
        let start = self.start_msg(out);
        let text_start = out.len();
        match (self.event, self.mapping.message) {
            (_, MessageKind::Json) => json::push(out, self),
            (Err(_), _) => push_text(out, self.xml, self.control),
            (Ok(event), MessageKind::Text) => text::push(out, event, self.control),
            (Ok(event), MessageKind::Xml) => {
                let repaired = event.repaired.as_ref();
                let xml = repaired.map_or(self.xml, |repaired| &repaired.xml);
                xml::push(out, xml, self.control);
            }
        }
        if out.len() == text_start {
            out.truncate(start);
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

/// Facts of `System` that the header does not have, by the names of event XML.
pub(super) fn facts<'e>(event: &'e Event<'_>) -> [(&'static str, &'e str); 13] {
    [
        ("Level", &event.level),
        ("Version", &event.version),
        ("Task", &event.task),
        ("Opcode", &event.opcode),
        ("Keywords", &event.keywords),
        ("Qualifiers", &event.qualifiers),
        ("ThreadID", &event.thread_id),
        ("UserID", &event.user_id),
        ("ActivityID", &event.activity_id),
        ("RelatedActivityID", &event.related_activity_id),
        ("ProviderGuid", &event.provider_guid),
        ("EventSourceName", &event.event_source_name),
        ("DataName", &event.data_name),
    ]
}

/// TIMESTAMP to MSGID, each with a space after it.
fn push_event_header(out: &mut Vec<u8>, event: &Event<'_>, computer: &str) {
    match timestamp::without_zone(&event.time_created) {
        Some(time) => {
            out.extend_from_slice(time.as_bytes());
            out.extend_from_slice(b"Z ");
        }
        None => out.extend_from_slice(b"- "),
    }
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

/// A word of the header: PRINTUSASCII, others become `_`; `-` if empty.
pub(super) fn push_word(out: &mut Vec<u8>, word: &str, limit: usize) {
    if word.is_empty() {
        out.push(b'-');
    } else if is_word(word, limit) {
        out.extend_from_slice(word.as_bytes());
    } else {
        push_mapped(out, word, limit, |c| c.is_ascii_graphic());
    }
}

/// Whether a word can stand in the header as it is.
fn is_word(word: &str, limit: usize) -> bool {
    word.len() <= limit && all(word, |byte| byte.is_ascii_graphic())
}

/// A name as SD-NAME.
fn push_name(out: &mut Vec<u8>, name: &str) {
    if name.is_empty() {
        out.push(b'_');
    } else if name.len() <= MAX_SD_NAME && all(name, is_name_byte) {
        out.extend_from_slice(name.as_bytes());
    } else {
        push_mapped(out, name, MAX_SD_NAME, |c| {
            u8::try_from(c).is_ok_and(is_name_byte)
        });
    }
}

/// Whether `fit` says yes to all bytes; no early exit, so that many are taken at a time.
fn all(text: &str, fit: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & fit(byte))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() & (byte != b'=') & (byte != b']') & (byte != b'"')
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

/// The text of a UUID.
pub(super) struct Uid([u8; uuid::fmt::Hyphenated::LENGTH]);

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
            Ok(event) => [&*event.channel, &*event.record_id, &*event.time_created],
            Err(_) => [xml, "", ""],
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

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
