//! `MSG` as one JSON object.
//!
//! Members, each present only if the event has it: `Uid`; the facts of the event under their names
//! in event XML (numbers as numbers), `UserDataName`, `TimestampFrom`; `System` (elements of
//! `System` without a member of their own here); `EventData` (repeated names have an array);
//! `Message`, `LevelName`, `TaskName`, `OpcodeName`, `KeywordNames`, `ProviderName`, `ChannelName`,
//! `Culture`; `Repaired`; `Collector` (facts about the source); and `Truncated` (the names of
//! truncated members). An event that could not be parsed has `Malformed`, `Raw`, and those of the
//! others that its `System` yields.
//!
//! Written by hand rather than with `serde_json`: this code runs for every event, must know lengths
//! before it writes so that it can truncate values, and escapes invisible characters.

use super::ControlCharacters;
use super::cut::fair_length;
use super::escape::{
    Form, Piece, code, may_be_control, measure, piece, push_escaped, push_value_part,
};
use super::facts::{RECEPTION, facts, is_number};
use super::message::{Message, push_address};
use super::repeats::{Occurrence, may_repeat, occurrences};
use crate::base::lanes::{ByteClass, Lanes, Mask};
use crate::base::pieces::Pieces;
use crate::event::{Event, Pair};

/// Limit of the names in `Truncated`, in bytes: this, or a fraction (1/8) of the room for values.
const MAX_NAMES: usize = 2000;
const SHARE_OF_NAMES: usize = 8;
/// The bytes around the names, with the longest count of unlisted ones.
const AROUND_NAMES: usize = "\"Truncated\":[],\"+4294967295\"".len();

/// Up to this number of values, names are compared with each other; beyond it, hashed.
const FEW: usize = 48;

/// Appends the object.
pub(super) fn push(out: &mut Vec<u8>, message: &Message<'_, '_>) {
    push_as(out, message, |object| object.push(message));
}

/// Appends an object with the members that `write` adds.
pub(super) fn push_as(
    out: &mut Vec<u8>,
    message: &Message<'_, '_>,
    write: impl Fn(&mut Object<'_>),
) {
    let mut object = Object::new(out, message, usize::MAX);
    write(&mut object);
    object.out.flush();
}

/// Appends the object with its longest values truncated so that it has at most `room` bytes.
/// Appends nothing and returns false if even empty values do not fit.
pub(super) fn push_within(out: &mut Vec<u8>, message: &Message<'_, '_>, room: usize) -> bool {
    push_as_within(out, message, room, |object| object.push(message))
}

/// The same for an object with the members that `write` adds; `write` is called twice.
pub(super) fn push_as_within(
    out: &mut Vec<u8>,
    message: &Message<'_, '_>,
    room: usize,
    write: impl Fn(&mut Object<'_>),
) -> bool {
    let start = out.len();
    let limit = start.saturating_add(room);
    // First with empty values, to learn their lengths and the room that is left for them.
    let mut object = Object::new(out, message, limit);
    object.cut = 0;
    write(&mut object);
    object.out.flush();
    let lengths = object.lengths;
    let length = out.len().saturating_sub(start);
    out.truncate(start);
    let Some(left) = room.checked_sub(length) else {
        return false;
    };
    // Too small a fraction holds no name; then only `Truncated` in `event@` reports the truncation.
    let for_names = (left / SHARE_OF_NAMES).min(MAX_NAMES);
    let mut object = Object::new(out, message, limit);
    object.cut = fair_length(lengths, left.saturating_sub(for_names));
    object.for_names = for_names;
    write(&mut object);
    object.out.flush();
    true
}

/// A writer of members.
pub(super) struct Object<'o> {
    out: Pieces<'o>,
    /// The event's text, of which most values are a part.
    xml: &'o str,
    form: Quoted,
    /// Maximum length of a value in bytes when escaped; `usize::MAX` does not truncate.
    cut: usize,
    /// The position in `out` where the object must end; members beyond it need not be written.
    limit: usize,
    /// The escaped lengths of values, in the first pass; each counted up to the room that is left.
    lengths: Vec<usize>,
    /// The names of truncated members, the limit in bytes for them, and the number of unlisted
    /// ones.
    names: Vec<u8>,
    for_names: usize,
    unnamed: usize,
}

impl<'o> Object<'o> {
    /// Values are not truncated unless the caller sets `cut`.
    fn new(out: &'o mut Vec<u8>, message: &'o Message<'_, '_>, limit: usize) -> Self {
        let all = message.style.control == ControlCharacters::Escape;
        Self {
            out: Pieces::new(out),
            xml: message.xml,
            form: Quoted { all },
            cut: usize::MAX,
            limit,
            lengths: Vec::new(),
            names: Vec::new(),
            for_names: 0,
            unnamed: 0,
        }
    }

    fn push(&mut self, message: &Message<'_, '_>) {
        self.open();
        self.fact("Uid", message.uid.as_str());
        match message.event {
            Ok(event) => self.event(event, message.time),
            Err(malformed) => {
                self.fact("Malformed", &malformed.to_string());
                self.event(&malformed.system, message.time);
                self.value("Raw", message.xml);
            }
        }
        self.fact("Repaired", message.repaired());
        self.collector(message);
        self.truncated();
        self.close();
    }

    pub(super) fn open(&mut self) {
        self.out.fixed(b"{");
    }

    /// Removes the comma that the last member left.
    pub(super) fn close(&mut self) {
        self.drop_comma();
        self.out.fixed(b"}");
    }

    fn drop_comma(&mut self) {
        self.out.drop_last(b',');
    }

    fn event(&mut self, event: &Event<'_>, time: Option<&str>) {
        let head = [
            ("EventID", &event.event_id),
            ("Provider", &event.provider),
            ("Channel", &event.channel),
            ("EventRecordID", &event.record_id),
            ("TimeCreated", &event.time_created),
            ("Computer", &event.computer),
            ("ProcessID", &event.process_id),
        ];
        head.into_iter()
            .for_each(|(name, value)| self.fact(name, value));
        facts(event)
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .for_each(|(name, value)| {
                name.push_member(&mut self.out);
                self.fact_value(is_number(name.text), value);
            });
        if time.is_none() {
            self.fact("TimestampFrom", RECEPTION);
        }
        self.pairs("System", &event.extra);
        self.pairs("EventData", &event.data);
        self.rendering(event);
    }

    fn rendering(&mut self, event: &Event<'_>) {
        let Some(rendering) = &event.rendering else {
            return;
        };
        if !rendering.message.is_empty() {
            self.value("Message", &rendering.message);
        }
        self.fact("LevelName", &rendering.level);
        self.fact("TaskName", &rendering.task);
        self.fact("OpcodeName", &rendering.opcode);
        if !rendering.keywords.is_empty() {
            let keywords = rendering.keywords.iter().map(|keyword| &**keyword);
            self.array("KeywordNames", keywords);
        }
        self.fact("ProviderName", &rendering.provider);
        self.fact("ChannelName", &rendering.channel);
        self.fact("Culture", &rendering.culture);
    }

    pub(super) fn collector(&mut self, message: &Message<'_, '_>) {
        let origin = message.origin;
        self.name("Collector");
        self.open();
        self.name("Address");
        self.out.fixed(b"\"");
        push_address(&mut self.out, origin.address);
        self.out.fixed(b"\",");
        self.fact("MachineID", origin.machine_id);
        self.fact("Subscription", origin.subscription);
        self.fact("Identity", origin.identity);
        self.fact("AccountSid", origin.account_sid);
        self.fact("Auth", origin.auth);
        self.fact("ComputerMismatch", origin.computer_mismatch);
        self.close();
        self.out.fixed(b",");
    }

    /// A member that is an object of these pairs; nothing if there are none.
    pub(super) fn pairs(&mut self, name: &'static str, pairs: &[Pair<'_>]) {
        if pairs.is_empty() {
            return;
        }
        self.object(name, |object| object.members(pairs));
    }

    /// A member that is an object with the members that `write` adds.
    pub(super) fn object(&mut self, name: &'static str, write: impl FnOnce(&mut Self)) {
        self.name(name);
        self.open();
        write(self);
        self.close();
        self.out.fixed(b",");
    }

    /// A member for each pair; pairs with the same name become one array.
    pub(super) fn members(&mut self, pairs: &[Pair<'_>]) {
        if !may_repeat(pairs) {
            self.distinct_pairs(pairs);
        } else if pairs.len() <= FEW {
            self.few_pairs(pairs);
        } else {
            self.many_pairs(pairs);
        }
    }

    /// A member that is a number if the value is one, else a string; nothing if it is empty.
    pub(super) fn number(&mut self, name: &'static str, value: &str) {
        if is_integer(value) {
            self.name(name);
            self.out.bytes(value.as_bytes());
            self.out.fixed(b",");
        } else {
            self.fact(name, value);
        }
    }

    /// A string that `write` appends; it must not need escapes.
    pub(super) fn written(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        self.out.fixed(b"\"");
        write(self.out.flush());
        self.out.fixed(b"\",");
    }

    /// When the event happened, or was received if its time is missing or invalid.
    pub(super) fn time(&mut self, name: &'static str, message: &Message<'_, '_>) {
        self.written(name, |out| message.push_time(out));
    }

    /// A member that is this number.
    pub(super) fn count(&mut self, name: &'static str, value: u64) {
        self.name(name);
        self.out.number(value);
        self.out.fixed(b",");
    }

    fn distinct_pairs(&mut self, pairs: &[Pair<'_>]) {
        for (name, value) in pairs {
            self.value(name, value);
            if self.out.len() > self.limit {
                return;
            }
        }
    }

    fn few_pairs(&mut self, pairs: &[Pair<'_>]) {
        for (place, (name, value)) in pairs.iter().enumerate() {
            let (before, from) = pairs.split_at_checked(place).unwrap_or_default();
            let mut later = from
                .iter()
                .skip(1)
                .filter(|(other, _)| other == name)
                .peekable();
            if before.iter().any(|(other, _)| other == name) {
                continue;
            } else if later.peek().is_none() {
                self.value(name, value);
            } else {
                let later = later.map(|(_, value)| &**value);
                self.array(name, std::iter::once(&**value).chain(later));
            }
        }
    }

    fn many_pairs(&mut self, pairs: &[Pair<'_>]) {
        let occurrences = occurrences(pairs);
        let next = |place: &usize| occurrences.get(*place)?.next;
        for (place, (name, value)) in pairs.iter().enumerate() {
            match occurrences.get(place).copied().unwrap_or_default() {
                // Written where the name first occurred.
                Occurrence { repeats: true, .. } => {}
                Occurrence { next: None, .. } => self.value(name, value),
                Occurrence { next: Some(_), .. } => {
                    let all = std::iter::successors(Some(place), next);
                    let values = all.filter_map(|place| pairs.get(place));
                    self.array(name, values.map(|(_, value)| &**value));
                }
            }
            if self.out.len() > self.limit {
                return;
            }
        }
    }

    /// A name from this program, which needs no escapes.
    #[inline(always)]
    pub(super) fn name(&mut self, name: &'static str) {
        self.out.fixed(b"\"");
        self.out.bytes(name.as_bytes());
        self.out.fixed(b"\":");
    }

    /// A name from the event.
    fn foreign_name(&mut self, name: &str) {
        self.string(name);
        self.out.fixed(b":");
    }

    /// A short value that is never truncated; nothing if it is empty.
    #[inline(always)]
    pub(super) fn fact(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.name(name);
            self.fact_value(is_number(name), value);
        }
    }

    fn fact_value(&mut self, is_number: bool, value: &str) {
        if is_number && is_integer(value) {
            self.out.bytes(value.as_bytes());
        } else {
            self.string(value);
        }
        self.out.fixed(b",");
    }

    /// A value of the event, which may be truncated.
    pub(super) fn value(&mut self, name: &str, value: &str) {
        self.foreign_name(name);
        if !self.cut_string(value) {
            self.note(name);
        }
        self.out.fixed(b",");
    }

    pub(super) fn array<'v>(&mut self, name: &str, values: impl Iterator<Item = &'v str>) {
        self.foreign_name(name);
        self.out.fixed(b"[");
        let mut whole = true;
        for value in values {
            whole &= self.cut_string(value);
            self.out.fixed(b",");
            if self.out.len() > self.limit {
                break;
            }
        }
        if !whole {
            self.note(name);
        }
        self.drop_comma();
        self.out.fixed(b"],");
    }

    /// The names of truncated members, as the last member; `"+12"` counts those without room.
    pub(super) fn truncated(&mut self) {
        let unsaid = self.unnamed == 0 || self.for_names < AROUND_NAMES;
        if self.names.is_empty() && unsaid {
            return;
        }
        self.name("Truncated");
        self.out.fixed(b"[");
        self.out.bytes(&self.names);
        if self.unnamed > 0 {
            let more = format!("\"+{}\"", self.unnamed);
            self.out.bytes(more.as_bytes());
        }
        self.drop_comma();
        self.out.fixed(b"],");
    }

    /// Records that this member is truncated.
    fn note(&mut self, name: &str) {
        let start = self.names.len();
        self.names.push(b'"');
        push_escaped(&mut self.names, name, self.form);
        self.names.extend_from_slice(b"\",");
        if self.names.len().saturating_add(AROUND_NAMES) > self.for_names {
            self.names.truncate(start);
            self.unnamed += 1;
        }
    }

    /// A string with as much of the text as is allowed; returns whether that is all of it.
    fn cut_string(&mut self, text: &str) -> bool {
        if self.cut == usize::MAX {
            self.string(text);
            return true;
        }
        if self.cut == 0 {
            let room = self.limit.saturating_sub(self.out.len());
            // One byte more shows that it does not fit.
            let (_, length) = measure(text, room.saturating_add(1), self.form);
            self.lengths.push(length);
        }
        let (end, _) = measure(text, self.cut, self.form);
        self.string(text.get(..end).unwrap_or_default());
        end == text.len()
    }

    pub(super) fn string(&mut self, text: &str) {
        self.out.fixed(b"\"");
        push_value_part(&mut self.out, self.xml, text, self.form);
        self.out.fixed(b"\"");
    }
}

/// The content of a JSON string.
#[derive(Clone, Copy)]
struct Quoted {
    /// Whether DEL and C1 are escaped too, which JSON allows unescaped (RFC 8259 7).
    all: bool,
}

impl ByteClass for Quoted {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        let plain = bytes.at_most(b' ' - 1) | bytes.is(b'"') | bytes.is(b'\\');
        plain | may_be_control(bytes).only_if(self.all)
    }
}

impl Form for Quoted {
    fn piece(self, c: char, _: Option<u8>) -> Piece {
        match c {
            '"' => piece(br#"\""#),
            '\\' => piece(br"\\"),
            '\n' => piece(br"\n"),
            '\r' => piece(br"\r"),
            '\t' => piece(br"\t"),
            '\u{8}' => piece(br"\b"),
            '\u{c}' => piece(br"\f"),
            c => code(c),
        }
    }
}

/// Whether this is a JSON number without sign or fraction that fits into 64 bits.
fn is_integer(text: &str) -> bool {
    // Every number with this many digits fits.
    const SHORT: usize = 19;
    match text.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
            text.len() <= SHORT || text.parse::<u64>().is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str, control: ControlCharacters) -> String {
        let all = control == ControlCharacters::Escape;
        let mut out = b"\"".to_vec();
        push_escaped(&mut out, text, Quoted { all });
        out.push(b'"');
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_those_of_another_writer() {
        for c in '\0'..'\u{500}' {
            for lead in [0, 1, 15, 16, 17] {
                let text = "x".repeat(lead) + &c.to_string() + "é end";
                let expected = serde_json::to_string(&text).unwrap();
                assert_eq!(string(&text, ControlCharacters::Keep), expected);
                let visible = string(&text, ControlCharacters::Escape);
                assert!(!visible.contains(char::is_control), "{visible:?}");
                assert_eq!(serde_json::from_str::<String>(&visible).unwrap(), text);
            }
        }
    }
}
