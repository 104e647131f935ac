//! `MSG` as one JSON object.
//!
//! Members, each only where the event has it: `Uid`, the facts of the event by
//! their names in event XML (numbers as numbers), `System` (facts without a
//! name of their own here), `EventData` (a name that repeats has an array),
//! `Message`, `LevelName`, `TaskName`, `OpcodeName`, `KeywordNames`, `Culture`,
//! `Repaired`, and `Collector` (what we know of the source). An event that
//! could not be read has `Malformed` and `Raw` instead.

use std::collections::HashMap;

use crate::event::{Event, Pair};

use super::ControlCharacters;
use super::escape::{find, is_control, push_character, push_code};
use super::rfc5424::{Message, facts, push_address};

/// Values up to which names are compared with each other; hashed beyond.
const FEW: usize = 48;

/// Facts that are numbers in event XML.
const NUMBERS: [&str; 9] = [
    "EventID",
    "EventRecordID",
    "ProcessID",
    "ThreadID",
    "Level",
    "Version",
    "Task",
    "Opcode",
    "Qualifiers",
];

/// Appends the object.
pub(super) fn push(out: &mut Vec<u8>, message: &Message<'_, '_>) {
    push_cut(out, message, usize::MAX, usize::MAX);
}

/// Appends the object with its longest values cut so that it has at most
/// `room` bytes; nothing, and false, if that cannot be.
pub(super) fn push_within(out: &mut Vec<u8>, message: &Message<'_, '_>, room: usize) -> bool {
    let start = out.len();
    let mut fits = |cut: usize| {
        out.truncate(start);
        push_cut(out, message, cut, start.saturating_add(room));
        out.len().saturating_sub(start) <= room
    };
    if !fits(0) {
        out.truncate(start);
        return false;
    }
    // The longest cut that fits, to a sixteenth.
    let (mut good, mut bad) = (0, room);
    while bad.saturating_sub(good) > 1 + good / 16 {
        let middle = good.midpoint(bad);
        if fits(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    fits(good)
}

/// Appends the object, values cut to `cut` bytes; stops when past `limit`.
fn push_cut(out: &mut Vec<u8>, message: &Message<'_, '_>, cut: usize, limit: usize) {
    let mut object = Object {
        out,
        control: message.control,
        cut,
        limit,
    };
    object.open();
    object.fact("Uid", message.uid.as_str());
    match message.event {
        Ok(event) => object.event(event),
        Err(reason) => {
            object.fact("Malformed", &reason.to_string());
            object.value("Raw", message.xml);
        }
    }
    object.collector(message);
    object.close();
}

/// A writer of members.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    control: ControlCharacters,
    cut: usize,
    limit: usize,
}

impl Object<'_> {
    fn open(&mut self) {
        self.out.push(b'{');
    }

    /// Each member has left a comma.
    fn close(&mut self) {
        self.drop_comma();
        self.out.push(b'}');
    }

    fn drop_comma(&mut self) {
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
    }

    fn event(&mut self, event: &Event<'_>) {
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
            .for_each(|(name, value)| self.fact(name, value));
        self.pairs("System", &event.extra);
        self.pairs("EventData", &event.data);
        self.rendering(event);
        let repaired = event.repaired.as_ref();
        self.fact("Repaired", repaired.map_or("", |repaired| repaired.reason));
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
            self.name("KeywordNames");
            self.array(rendering.keywords.iter().map(|keyword| &**keyword));
        }
        self.fact("Culture", &rendering.culture);
    }

    fn collector(&mut self, message: &Message<'_, '_>) {
        let origin = message.origin;
        self.name("Collector");
        self.open();
        self.name("Address");
        self.out.push(b'"');
        push_address(self.out, origin.address);
        self.out.extend_from_slice(b"\",");
        self.fact("MachineID", origin.machine_id);
        self.fact("Subscription", origin.subscription);
        self.fact("Identity", origin.identity);
        self.fact("AccountSid", origin.account_sid);
        self.fact("Auth", origin.auth);
        self.close();
    }

    /// A member that is an object of these pairs, unless there are none.
    fn pairs(&mut self, name: &str, pairs: &[Pair<'_>]) {
        if pairs.is_empty() {
            return;
        }
        self.name(name);
        self.open();
        if pairs.len() <= FEW {
            self.few_pairs(pairs);
        } else {
            self.many_pairs(pairs);
        }
        self.close();
        self.out.push(b',');
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
                self.name(name);
                self.array(std::iter::once(&**value).chain(later));
            }
        }
    }

    fn many_pairs(&mut self, pairs: &[Pair<'_>]) {
        let mut values: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, value) in pairs {
            values.entry(name).or_default().push(value);
        }
        for (name, _) in pairs {
            // Gone when the name has been seen.
            match values.remove(&**name).as_deref() {
                None => {}
                Some([value]) => self.value(name, value),
                Some(several) => {
                    self.name(name);
                    self.array(several.iter().copied());
                }
            }
            if self.out.len() > self.limit {
                return;
            }
        }
    }

    fn name(&mut self, name: &str) {
        self.string(name);
        self.out.push(b':');
    }

    /// A short member of ours, unless it is empty.
    fn fact(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        self.name(name);
        if NUMBERS.contains(&name) && is_number(value) {
            self.out.extend_from_slice(value.as_bytes());
        } else {
            self.string(value);
        }
        self.out.push(b',');
    }

    /// A member with a value of the event, which may be cut.
    fn value(&mut self, name: &str, value: &str) {
        self.name(name);
        self.string(cut(value, self.cut));
        self.out.push(b',');
    }

    fn array<'v>(&mut self, values: impl Iterator<Item = &'v str>) {
        self.out.push(b'[');
        for value in values {
            self.string(cut(value, self.cut));
            self.out.push(b',');
            if self.out.len() > self.limit {
                break;
            }
        }
        self.drop_comma();
        self.out.extend_from_slice(b"],");
    }

    fn string(&mut self, text: &str) {
        let start = self.out.len();
        // Writing to a vector cannot fail.
        drop(serde_json::to_writer(&mut *self.out, text));
        let beyond_ascii = |byte: u8| (byte == 0x7F) | (byte == 0xC2);
        if self.control == ControlCharacters::Escape
            && find(text.as_bytes(), beyond_ascii).is_some()
        {
            let written = String::from_utf8(self.out.split_off(start)).unwrap_or_default();
            written.chars().for_each(|c| self.character(c));
        }
    }

    /// A character of a string that JSON lets stand; controls are escaped.
    fn character(&mut self, c: char) {
        if is_control(c) {
            self.out.push(b'\\');
            push_code(self.out, c);
        } else {
            push_character(self.out, c);
        }
    }
}

/// Whether this is a number as JSON writes it, of 64 bits.
fn is_number(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    digits && plain && text.parse::<u64>().is_ok()
}

/// At most `length` bytes of the text, on a character boundary.
fn cut(text: &str, length: usize) -> &str {
    if text.len() <= length {
        return text;
    }
    let ends = (0..=length).rev();
    ends.take(4)
        .find_map(|end| text.get(..end))
        .unwrap_or_default()
}
