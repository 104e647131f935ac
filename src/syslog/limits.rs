//! Structured data within the limits of rsyslog and syslog-ng.
//!
//! rsyslog 8.2302 crashes on a value of 32,784 bytes (`mmpstrucdata`) and stores the length
//! of all structured data in 16 bits; syslog-ng keeps 255 parameters. What does not fit is
//! cut or left out, named in `Truncated`, and whole in `MSG`.

use std::ops::Range;

use super::cut::{TRUNCATED, cut, fair_length};
use super::escape::push_value;
use super::message::{Marks, Message};
use super::names::Numbered;
use super::{MessageKind, Style, push_number, text};

/// Maximum length of a value in bytes as written.
pub(super) const MAX_VALUE: usize = 31_999;
/// Maximum length of structured data in bytes.
pub(super) const MAX_DATA: usize = 64_999;
/// Maximum number of parameters of all elements together.
pub(super) const MAX_PARAMS: usize = 240;

/// Number of parameters of `origin`.
const ORIGIN_PARAMS: usize = 3;
/// More parameters of `event@` than we have names for it.
const MOST_FACTS: usize = 48;
/// Parameters of `data@` that have their place however many `event@` has.
const DATA_SHARE: usize = 100;
/// Bytes for `event@`, where it holds long values.
const MAX_FACTS: usize = 28_000;
/// Number of bytes for the names in `Truncated`.
const MAX_NAMES: usize = 2000;
/// ` Truncated=""`, the count of names left out of it, and a count of bytes.
const TRUNCATED_ROOM: usize = MAX_NAMES + 64;
/// A shorter value found in a rendered text may stand there for something else.
const SURELY_THE_SAME: usize = 1000;
/// How often a rendered text may be gone through to find values; those that are not looked
/// for are appended.
const MOST_SEARCHES: usize = 4;

/// Whether so many parameters (without the facts that have names of ours) may be too many
/// for a receiver. Up to the longest value, structured data of any shape is fine.
pub(super) fn may_be_too_many(params: usize) -> bool {
    params > MAX_PARAMS - ORIGIN_PARAMS - MOST_FACTS
}

/// One parameter with its whole value.
struct Param {
    name: String,
    value: String,
    /// The value as it is written, or more of that than there is room for.
    escaped: Vec<u8>,
    /// Number of bytes of it that are sent; `None` for a parameter that is left out.
    kept: Option<usize>,
}

impl Param {
    fn is_whole(&self) -> bool {
        self.kept.is_some_and(|kept| kept >= self.escaped.len())
    }
}

/// Writes `event@` and `data@` within the limits, and `MSG` with what they lack. The message
/// up to `event@` stands at the end of `out`, from `start`.
pub(super) fn push(
    message: &Message<'_, '_>,
    start: usize,
    origin: usize,
    out: &mut Vec<u8>,
) -> Marks {
    let event = out.len();
    let mut params = (facts_of(message), values_of(message));
    let marks = push_within(message, &mut params, (start, origin), MAX_DATA, out);
    let max = message.style.max.unwrap_or(usize::MAX);
    let over = out.len().saturating_sub(start).saturating_sub(max);
    let data = marks.message.saturating_sub(marks.data);
    // MSG has everything: it stays whole, if values of structured data can make room for it.
    if marks.truncated.is_none() || over == 0 || over > data / 2 {
        return marks;
    }
    out.truncate(event);
    let structured = marks.message.saturating_sub(origin);
    let room = structured.saturating_sub(over);
    push_within(message, &mut params, (start, origin), room, out)
}

/// Writes them for a message that stands in `out` from `start`, its element `origin` from
/// `origin`.
fn push_within(
    message: &Message<'_, '_>,
    (facts, values): &mut (Vec<Param>, Vec<Param>),
    (start, origin): (usize, usize),
    room: usize,
    out: &mut Vec<u8>,
) -> Marks {
    let event = out.len();
    let params = MAX_PARAMS - ORIGIN_PARAMS - 1;
    let kept_facts = facts.len().min(params - values.len().min(DATA_SHARE));
    let used = event.saturating_sub(origin).saturating_add(TRUNCATED_ROOM);
    let room = room.saturating_sub(used);
    let facts_length = fit(facts, kept_facts, room.min(MAX_FACTS));
    fit(
        values,
        params - kept_facts,
        room.saturating_sub(facts_length),
    );

    message.push_element(out, b"[event@");
    push_params(facts, out);
    let truncated = push_truncated(facts, values, out);
    out.push(b']');
    let data = out.len();
    if values.iter().any(|param| param.kept.is_some()) {
        message.push_element(out, b"[data@");
        push_params(values, out);
        out.push(b']');
    }
    let end = out.len();
    message.push_msg(out);
    push_missing(message, facts, values, end, out);
    Marks {
        start,
        event,
        truncated,
        data,
        message: end,
    }
}

fn facts_of(message: &Message<'_, '_>) -> Vec<Param> {
    let mut facts = Vec::new();
    message.each_fact(|name, value| facts.push(param(message, name.to_owned(), value)));
    facts
}

fn values_of(message: &Message<'_, '_>) -> Vec<Param> {
    let data = message.data();
    let names = Numbered::default().all(data);
    let values = data.iter().map(|(_, value)| value);
    names
        .into_iter()
        .zip(values)
        .map(|(name, value)| param(message, name, value))
        .collect()
}

fn param(message: &Message<'_, '_>, name: String, value: &str) -> Param {
    let mut escaped = Vec::new();
    push_value(&mut escaped, front(value), message.style);
    let (value, kept) = (value.to_owned(), None);
    Param {
        name,
        value,
        escaped,
        kept,
    }
}

/// As much of a value as may go out, and a little more: escapes make none shorter.
fn front(value: &str) -> &str {
    let mut ends = MAX_VALUE + 1..=value.len();
    let end = ends.find(|&end| value.is_char_boundary(end));
    end.and_then(|end| value.get(..end)).unwrap_or(value)
}

/// Keeps the first `count` parameters, their longest values cut to one length so that the
/// element has at most `room` bytes; gives the bytes that it has.
fn fit(params: &mut [Param], count: usize, room: usize) -> usize {
    // `[event@4294967295` and `]`.
    const AROUND: usize = 18;
    let kept = params.len().min(count);
    let kept = params.get_mut(..kept).unwrap_or_default();
    let names = kept.iter().map(|param| param.name.len() + " =\"\"".len());
    let names = names.fold(AROUND, usize::saturating_add);
    let lengths = kept.iter().map(|param| param.escaped.len().min(MAX_VALUE));
    let length = fair_length(lengths.collect(), room.saturating_sub(names)).min(MAX_VALUE);
    let mut all = names;
    for param in kept {
        let value = cut(&param.escaped, length).len();
        param.kept = Some(value);
        all = all.saturating_add(value);
    }
    all
}

fn push_params(params: &[Param], out: &mut Vec<u8>) {
    for param in params {
        let Some(value) = param.kept.and_then(|kept| param.escaped.get(..kept)) else {
            continue;
        };
        out.push(b' ');
        out.extend_from_slice(param.name.as_bytes());
        out.extend_from_slice(b"=\"");
        out.extend_from_slice(value);
        out.push(b'"');
    }
}

/// Names what is not whole, if anything is not; gives where the parameter lies.
fn push_truncated(facts: &[Param], values: &[Param], out: &mut Vec<u8>) -> Option<Range<usize>> {
    let missing = facts.iter().chain(values).filter(|param| !param.is_whole());
    let mut missing = missing.peekable();
    missing.peek()?;
    let start = out.len();
    out.extend_from_slice(TRUNCATED);
    let names = out.len();
    let mut unnamed = 0_u64;
    for param in missing {
        let length = out.len().saturating_sub(names);
        if length.saturating_add(param.name.len()) >= MAX_NAMES {
            unnamed += 1;
            continue;
        }
        if length > 0 {
            out.push(b' ');
        }
        // Of the characters that a value escapes, a name may have the backslash.
        push_value(out, &param.name, &Style::default());
    }
    if unnamed > 0 {
        out.extend_from_slice(b" +");
        push_number(out, unnamed);
    }
    out.push(b'"');
    Some(start..out.len())
}

/// Appends to a text what it lacks of the values that are not whole; XML and JSON, and the
/// text of an event that could not be read, have everything.
fn push_missing(
    message: &Message<'_, '_>,
    facts: &[Param],
    values: &[Param],
    start: usize,
    out: &mut Vec<u8>,
) {
    let (Ok(event), MessageKind::Text) = (message.event, message.style.message) else {
        return;
    };
    let rendered = text::rendered(event);
    // Without a rendered text, all values are in MSG already.
    let values = rendered.map_or([].as_slice(), |_| values);
    let mut searched = Searched::new(rendered.unwrap_or_default());
    let missing = facts.iter().chain(values).filter(|param| !param.is_whole());
    for param in missing {
        if searched.has(&param.value) {
            continue;
        }
        if out.len() == start {
            message.start_msg(out);
        } else {
            out.push(b' ');
        }
        text::push_pair(out, &param.name, &param.value, message.style);
    }
}

/// A rendered text in which values are searched for, within bounds.
struct Searched<'t> {
    text: &'t [u8],
    /// Where the last one ends, since most come in the order of the text.
    from: usize,
    /// Number of bytes that may still be searched.
    left: usize,
}

impl<'t> Searched<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text: text.as_bytes(),
            from: 0,
            left: text.len().saturating_mul(MOST_SEARCHES),
        }
    }

    /// Whether the value surely stands in it.
    fn has(&mut self, value: &str) -> bool {
        if value.len() < SURELY_THE_SAME || value.len() > self.text.len() {
            return false;
        }
        let before = self.from.saturating_add(value.len()).min(self.text.len());
        self.find(value, self.from..self.text.len()) || self.find(value, 0..before)
    }

    fn find(&mut self, value: &str, range: Range<usize>) -> bool {
        let start = range.start;
        let text = self.text.get(range).unwrap_or_default();
        if text.len() > self.left {
            return false;
        }
        let found = memchr::memmem::find(text, value.as_bytes());
        let walked = found.map_or(text.len(), |at| at.saturating_add(value.len()));
        self.left = self.left.saturating_sub(walked);
        if found.is_some() {
            self.from = start.saturating_add(walked);
        }
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_gone_through_a_few_times_however_many_values_are_looked_for() {
        let values: Vec<_> = (0..100).map(|n| format!("{n:04}").repeat(250)).collect();
        let text = values.join(" and ");
        let mut searched = Searched::new(&text);
        assert!(values.iter().all(|value| searched.has(value)));
        // One pass, as they come in order; and once from the start again.
        assert!(searched.left >= text.len() * (MOST_SEARCHES - 2));
        assert!(searched.has(&values[0]));
        let other = "v".repeat(1000);
        assert!((0..100).all(|_| !searched.has(&other)));
        // Nothing is left: it counts as not there.
        assert!(!searched.has(&values[99]) || searched.left > 0);
        assert!(!Searched::new("short").has(&other));
        assert!(!Searched::new(&text).has("0000"));
    }
}
