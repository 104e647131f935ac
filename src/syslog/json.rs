//! `MSG` as one JSON object.
//!
//! Members, each only where the event has it: `Uid`, the facts of the event by
//! their names in event XML (numbers as numbers), `UserDataName`, `TimestampFrom`,
//! `System` (facts without a name of their own here), `EventData` (a name that
//! repeats has an array), `Message`, `LevelName`, `TaskName`, `OpcodeName`,
//! `KeywordNames`, `ProviderName`, `ChannelName`, `Culture`, `Repaired`, and
//! `Collector` (what we know of the source). An event that could not be read has
//! `Malformed` and `Raw`, and of the others what its `System` tells.

use std::collections::HashMap;

use crate::base::wire::find;
use crate::event::{Event, Pair};

use super::ControlCharacters;
use super::escape::{is_control, may_be_control, push_character, push_code};
use super::facts::{RECEPTION, facts};
use super::rfc5424::{Message, push_address};
use super::timestamp;

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
        control: message.style.control,
        cut,
        limit,
    };
    object.open();
    object.fact("Uid", message.uid.as_str());
    match message.event {
        Ok(event) => object.event(event),
        Err(malformed) => {
            object.fact("Malformed", &malformed.to_string());
            object.event(&malformed.system);
            object.value("Raw", message.xml);
        }
    }
    object.fact("Repaired", message.repaired());
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
        if timestamp::without_zone(&event.time_created).is_none() {
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
            self.name("KeywordNames");
            self.array(rendering.keywords.iter().map(|keyword| &**keyword));
        }
        self.fact("ProviderName", &rendering.provider);
        self.fact("ChannelName", &rendering.channel);
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
        self.fact("ComputerMismatch", origin.computer_mismatch);
        self.close();
    }

    /// A member that is an object of these pairs, unless there are none.
    fn pairs(&mut self, name: &str, pairs: &[Pair<'_>]) {
        if pairs.is_empty() {
            return;
        }
        self.name(name);
        self.open();
        if !may_repeat(pairs) {
            self.distinct_pairs(pairs);
        } else if pairs.len() <= FEW {
            self.few_pairs(pairs);
        } else {
            self.many_pairs(pairs);
        }
        self.close();
        self.out.push(b',');
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
        if is_number(value) && NUMBERS.contains(&name) {
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
        let all = self.control == ControlCharacters::Escape;
        // JSON itself lets DEL and C1 stand (RFC 8259 7).
        let special = |byte: u8| {
            (byte < b' ') | (byte == b'"') | (byte == b'\\') | (all & may_be_control(byte))
        };
        self.out.push(b'"');
        let mut rest = text;
        while let Some((plain, tail)) =
            find(rest.as_bytes(), special).and_then(|at| rest.split_at_checked(at))
        {
            self.out.extend_from_slice(plain.as_bytes());
            let mut characters = tail.chars();
            let Some(c) = characters.next() else { break };
            rest = characters.as_str();
            push_escaped(self.out, c);
        }
        self.out.extend_from_slice(rest.as_bytes());
        self.out.push(b'"');
    }
}

/// Appends a character that may not stand in a string as it is, or should not.
fn push_escaped(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(br#"\""#),
        '\\' => out.extend_from_slice(br"\\"),
        '\n' => out.extend_from_slice(br"\n"),
        '\r' => out.extend_from_slice(br"\r"),
        '\t' => out.extend_from_slice(br"\t"),
        '\u{8}' => out.extend_from_slice(br"\b"),
        '\u{c}' => out.extend_from_slice(br"\f"),
        c if is_control(c) => {
            out.push(b'\\');
            push_code(out, c);
        }
        c => push_character(out, c),
    }
}

/// Whether this is a number as JSON writes it, of 64 bits.
fn is_number(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    digits && plain && text.parse::<u64>().is_ok()
}

/// Whether a name may come twice; names seldom do, and this finds it out faster than
/// comparing each with all others.
fn may_repeat(pairs: &[Pair<'_>]) -> bool {
    const WORDS: usize = 64;
    let mut seen = [0_u64; WORDS];
    pairs.iter().any(|(name, _)| {
        let name = name.as_bytes();
        let ends = [name.first(), name.get(name.len() / 2), name.last()];
        let hash = ends.iter().fold(name.len(), |hash, byte| {
            hash * 31 + byte.map_or(0, |byte| usize::from(*byte))
        });
        let bit = 1 << (hash % 64);
        seen.get_mut(hash / 64 % WORDS).is_none_or(|word| {
            let known = *word & bit != 0;
            *word |= bit;
            known
        })
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str, control: ControlCharacters) -> String {
        let mut out = Vec::new();
        let (cut, limit) = (usize::MAX, usize::MAX);
        Object {
            out: &mut out,
            control,
            cut,
            limit,
        }
        .string(text);
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
                assert!(!visible.contains(is_control), "{visible:?}");
                assert_eq!(serde_json::from_str::<String>(&visible).unwrap(), text);
            }
        }
    }

    #[test]
    fn a_name_that_repeats_is_noticed() {
        let pair = |number: usize| (format!("Name{number}").into(), "".into());
        for count in [2, 20, 200, 5000] {
            let mut pairs: Vec<Pair<'_>> = (0..count).map(pair).collect();
            pairs.push(pair(count / 2));
            assert!(may_repeat(&pairs));
        }
        assert!(!may_repeat(&[pair(1), pair(2), pair(3)]));
        assert!(!may_repeat(&[]));
    }
}
