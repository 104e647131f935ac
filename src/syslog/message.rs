//! The data for one message, its header, and the words of headers.

use std::io::Write as _;
use std::net::IpAddr;
use std::ops::Range;
use std::time::SystemTime;

use sha1::{Digest, Sha1};
use uuid::Uuid;

use super::{Mapping, Origin, Severity, Style, push_number};
use crate::base::lanes::{ByteClass, Lanes, any, push_plain};
use crate::base::pieces::Pieces;
use crate::event::{Event, Malformed};

/// Maximum lengths of HOSTNAME, APP-NAME, PROCID, MSGID (RFC 5424 6).
pub(super) const MAX_HOSTNAME: usize = 255;
const MAX_APP_NAME: usize = 48;
const MAX_PROCID: usize = 128;
pub(super) const MAX_MSGID: usize = 32;

/// Namespace of `Uid`s, which are UUIDs of version 5.
const UID_NAMESPACE: Uuid = Uuid::from_u128(0x0d0f_5b3a_6f0c_4e0b_9a57_7765_6372_6c79);

/// Everything that goes into one message.
pub(super) struct Message<'m, 'a> {
    pub(super) mapping: &'m Mapping,
    pub(super) xml: &'m str,
    pub(super) event: &'m Result<Event<'a>, Malformed>,
    pub(super) origin: &'m Origin<'m>,
    pub(super) style: &'m Style,
    pub(super) uid: Uid,
    /// TIMESTAMP without its `Z`; `None` if the event has no time that TIMESTAMP can represent.
    pub(super) time: Option<&'m str>,
}

/// Where the parts of a written message begin in the output.
pub(super) struct Marks {
    pub(super) start: usize,
    /// The element `event@`.
    pub(super) event: usize,
    /// The range of the parameter `Truncated` at the end of `event@`, if there is one.
    pub(super) truncated: Option<Range<usize>>,
    /// After the element `event@`: `data@` or the end of structured data.
    pub(super) data: usize,
    /// After structured data: a space and `MSG`, if there is one.
    pub(super) message: usize,
}

impl Message<'_, '_> {
    pub(super) fn push_header(&self, out: &mut Pieces<'_>) {
        let event = self.facts();
        out.fixed(b"<");
        out.number(self.priority());
        out.fixed(b">1 ");
        match self
            .time
            .and_then(|time| time.as_bytes().first_chunk::<26>())
        {
            Some(time) => {
                out.fixed(time);
                out.fixed(b"Z");
            }
            None => self.push_time(out.flush()),
        }
        out.fixed(b" ");
        let words = [
            (self.computer(), MAX_HOSTNAME),
            (&*event.provider, MAX_APP_NAME),
            (&*event.process_id, MAX_PROCID),
            (&*event.event_id, MAX_MSGID),
        ];
        for (word, limit) in words {
            let is_usual = !word.is_empty() && word.len() <= limit;
            if !(is_usual && out.part(self.xml, word, NotGraphic)) {
                push_word(out.flush(), word, limit);
            }
            out.fixed(b" ");
        }
    }

    /// PRI with its angle brackets.
    pub(super) fn push_priority(&self, out: &mut Vec<u8>) {
        out.push(b'<');
        push_number(out, self.priority());
        out.push(b'>');
    }

    fn priority(&self) -> u64 {
        let event = self.facts();
        let facility = self.mapping.facility.facility(Some(event));
        let severity = Severity::of(event);
        u64::from(facility.code()) * 8 + u64::from(severity.code())
    }

    /// The event's Computer; if an event that could not be parsed has none, the MachineID that its
    /// source claims, which may be a host that forwarded it.
    pub(super) fn computer(&self) -> &str {
        match (self.event, &*self.facts().computer) {
            (Err(_), "") => self.origin.machine_id,
            (_, computer) => computer,
        }
    }

    /// The event, or the `System` of one that could not be parsed.
    pub(super) fn facts(&self) -> &Event<'_> {
        facts(self.event)
    }

    /// TIMESTAMP: the event's time, else the time of reception. RFC 5424 (6.2.3) requires a time
    /// from a sender with a clock, and some receivers drop messages without one.
    pub(super) fn push_time(&self, out: &mut Vec<u8>) {
        match self.time {
            Some(time) => {
                out.extend_from_slice(time.as_bytes());
                out.push(b'Z');
            }
            None => push_reception_time(out, self.origin),
        }
    }

    /// Appends the start of an element, such as `[event@`, and the enterprise number.
    pub(super) fn push_element(&self, out: &mut Vec<u8>, name: &[u8]) {
        out.extend_from_slice(name);
        push_number(out, u64::from(self.mapping.enterprise));
    }

    /// Appends the space before MSG, and the byte order mark if configured; returns where it
    /// started.
    pub(super) fn start_msg(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.push(b' ');
        if self.mapping.bom {
            out.extend_from_slice("\u{FEFF}".as_bytes());
        }
        start
    }
}

/// The event, or the `System` of one that could not be parsed.
pub(super) fn facts<'e, 'a>(event: &'e Result<Event<'a>, Malformed>) -> &'e Event<'a> {
    match event {
        Ok(event) => event,
        Err(malformed) => &malformed.system,
    }
}

/// Appends the time of reception, with six digits of the fraction; `-` after year 9999.
pub(super) fn push_reception_time(out: &mut Vec<u8>, origin: &Origin<'_>) {
    let start = out.len();
    let received = origin.received.max(SystemTime::UNIX_EPOCH);
    // Formatting fails only for years after 9999.
    if write!(out, "{}", humantime::format_rfc3339_micros(received)).is_err() {
        out.truncate(start);
        out.push(b'-');
    }
}

/// Appends a word of the header, of at most `limit` characters: all but PRINTUSASCII become `_`; an
/// empty word becomes `-`.
pub(super) fn push_word(out: &mut Vec<u8>, word: &str, limit: usize) {
    let start = out.len();
    if word.is_empty() {
        out.push(b'-');
    } else if !push_plain(out, word.as_bytes(), NotGraphic) || word.len() > limit {
        out.truncate(start);
        push_mapped(out, word, limit, |c| c.is_ascii_graphic());
    }
}

/// Whether a word can be in the header unchanged.
pub(super) fn is_word(word: &str, limit: usize) -> bool {
    word.len() <= limit && !any(word.as_bytes(), NotGraphic)
}

/// All bytes but PRINTUSASCII (RFC 5424 6: 33 to 126).
#[derive(Clone, Copy)]
struct NotGraphic;

impl ByteClass for NotGraphic {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        bytes.at_most(b' ') | bytes.at_least(0x7F)
    }
}

/// Appends up to `limit` characters; those that are not ASCII or not `fit` become `_`.
fn push_mapped(out: &mut Vec<u8>, text: &str, limit: usize, fit: impl Fn(char) -> bool) {
    let byte = |c: char| u8::try_from(c).ok().filter(|_| fit(c)).unwrap_or(b'_');
    out.extend(text.chars().take(limit).map(byte));
}

/// Appends an address; an IPv4-mapped IPv6 address as IPv4.
pub(super) fn push_address(out: &mut Pieces<'_>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.fixed(b".");
                }
                out.octet(octet);
            }
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(address) => drop(write!(out.flush(), "{address}")),
    }
}

/// The identifier of an event, a UUID as text: the same each time the event is delivered. See
/// [`write_message`](super::write_message) for what it is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Uid([u8; uuid::fmt::Hyphenated::LENGTH]);

impl Uid {
    /// `scratch` is used, and restored before this returns.
    pub(super) fn new(
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
            // Nothing else distinguishes it from other events.
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

    /// The same as [`Self::as_str`]; neither quotes nor anything else that needs an escape.
    pub(super) fn as_bytes(&self) -> &[u8; uuid::fmt::Hyphenated::LENGTH] {
        &self.0
    }

    /// The UUID in lower case, with hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
