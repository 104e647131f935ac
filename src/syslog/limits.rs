//! Structured data within the limits of rsyslog and syslog-ng.
//!
//! rsyslog 8.2302 crashes on a value of 32,784 bytes (`mmpstrucdata`) and stores the length of all
//! structured data in 16 bits; syslog-ng keeps 255 parameters. What exceeds the limits is truncated
//! or omitted, named in `Truncated`, and complete in `MSG`.

use std::borrow::Cow;
use std::ops::Range;

use super::cut::{TRUNCATED, cut, fair_length};
use super::escape::push_value;
use super::message::{Marks, Message};
use super::names::{Numbered, ParamName};
use super::{MessageKind, Style, push_number, text};

/// Maximum length of a value in bytes, with its escapes.
pub(super) const MAX_VALUE: usize = 31_999;
/// Maximum length of structured data in bytes, with `origin`.
pub(super) const MAX_DATA: usize = 64_999;
/// Maximum number of parameters of all elements together, `Truncated` included.
pub(super) const MAX_PARAMS: usize = 240;

/// Number of parameters of `origin`.
const ORIGIN_PARAMS: usize = 3;
/// An upper bound of the facts in `event@` that have reserved names.
const MOST_FACTS: usize = 48;
/// Number of parameters guaranteed to `data@`, however many `event@` has.
const DATA_SHARE: usize = 100;
/// Maximum length of `event@` in bytes without `Truncated`; the rest is left for `data@`.
const MAX_FACTS: usize = 28_000;
/// Maximum length of the names in `Truncated`, in bytes.
const MAX_NAMES: usize = 2000;
/// Reserved for ` Truncated=""`, the count of unlisted names, and a count of missing bytes.
const TRUNCATED_ROOM: usize = MAX_NAMES + 64;
/// Minimum length in bytes of a value that is searched for in rendered text: a match of a shorter
/// one may be a coincidence.
const SURELY_THE_SAME: usize = 1000;
/// How many times the length of a rendered text may be searched for values, in total; after that,
/// values are appended without a search.
const MOST_SEARCHES: usize = 4;

/// Whether an event with this number of parameters (without the facts under reserved names) may
/// exceed [`MAX_PARAMS`]: a quick check that may be wrong if true, never if false.
pub(super) fn may_be_too_many(params: usize) -> bool {
    params > MAX_PARAMS - ORIGIN_PARAMS - MOST_FACTS
}

/// One parameter with its whole value.
struct Param<'v> {
    name: ParamName,
    value: Cow<'v, str>,
    /// The escaped value: all of it, or at least the [`MAX_VALUE`] bytes that may be sent. Empty
    /// beyond the first [`MAX_PARAMS`], which are never sent.
    escaped: Vec<u8>,
    /// Number of bytes of `escaped` that are sent; `None` if the parameter is omitted.
    kept: Option<usize>,
}

impl Param<'_> {
    fn escape(&mut self, style: &Style) {
        push_value(&mut self.escaped, front(&self.value), style);
    }

    fn is_whole(&self) -> bool {
        self.kept.is_some_and(|kept| kept >= self.escaped.len())
    }
}

/// Appends `event@` and `data@` within the limits, and `MSG` with the values that they lack.
/// `start` is where the message begins in `out`, `origin` where its element `origin` does.
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
    // MSG has everything: it stays whole if values in structured data can be shortened instead, at
    // the cost of at most half of them.
    if marks.truncated.is_none() || over == 0 || over > data / 2 {
        return marks;
    }
    out.truncate(event);
    let structured = marks.message.saturating_sub(origin);
    let room = structured.saturating_sub(over);
    push_within(message, &mut params, (start, origin), room, out)
}

/// The same, with structured data of at most `room` bytes.
fn push_within(
    message: &Message<'_, '_>,
    (facts, values): &mut (Vec<Param<'_>>, Vec<Param<'_>>),
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

fn facts_of(message: &Message<'_, '_>) -> Vec<Param<'static>> {
    let mut facts = Vec::new();
    message.each_fact(|name, value| {
        let mut fact = param(ParamName::of(name), Cow::Owned(value.to_owned()));
        if facts.len() < MAX_PARAMS {
            fact.escape(message.style);
        }
        facts.push(fact);
    });
    facts
}

fn values_of<'v>(message: &'v Message<'_, '_>) -> Vec<Param<'v>> {
    let data = message.data();
    let names = Numbered::default().all(data);
    let values = data.iter().map(|(_, value)| Cow::Borrowed(&**value));
    let mut values: Vec<_> = std::iter::zip(names, values)
        .map(|(name, value)| param(name, value))
        .collect();
    let front = values.iter_mut().take(MAX_PARAMS);
    front.for_each(|value| value.escape(message.style));
    values
}

fn param(name: ParamName, value: Cow<'_, str>) -> Param<'_> {
    Param {
        name,
        value,
        escaped: Vec::new(),
        kept: None,
    }
}

/// The part of a value that may be sent, and a little more. That is enough, since escapes make no
/// value shorter.
fn front(value: &str) -> &str {
    let mut ends = MAX_VALUE + 1..=value.len();
    let end = ends.find(|&end| value.is_char_boundary(end));
    end.and_then(|end| value.get(..end)).unwrap_or(value)
}

/// Keeps the first `count` parameters, and truncates their longest values to one length so that the
/// element has at most `room` bytes (more if its names alone need more). Returns the length of the
/// element in bytes.
fn fit(params: &mut [Param<'_>], count: usize, room: usize) -> usize {
    // The length of `[event@4294967295` and `]`.
    const AROUND: usize = 18;
    let kept = params.len().min(count);
    let kept = params.get_mut(..kept).unwrap_or_default();
    let names = kept
        .iter()
        .map(|param| param.name.as_bytes().len() + " =\"\"".len());
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

fn push_params(params: &[Param<'_>], out: &mut Vec<u8>) {
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

/// Appends `Truncated` if a parameter is truncated or omitted; returns its range in `out`, from its
/// leading space to its closing quote.
fn push_truncated(
    facts: &[Param<'_>],
    values: &[Param<'_>],
    out: &mut Vec<u8>,
) -> Option<Range<usize>> {
    let missing = facts.iter().chain(values).filter(|param| !param.is_whole());
    let mut missing = missing.peekable();
    missing.peek()?;
    let start = out.len();
    out.extend_from_slice(TRUNCATED);
    let names = out.len();
    let mut unnamed = 0_u64;
    for param in missing {
        let length = out.len().saturating_sub(names);
        if length.saturating_add(param.name.as_bytes().len()) >= MAX_NAMES {
            unnamed += 1;
            continue;
        }
        if length > 0 {
            out.push(b' ');
        }
        // A name may contain a backslash, which must be escaped in a value.
        push_value(out, param.name.as_str(), &Style::default());
    }
    if unnamed > 0 {
        out.extend_from_slice(b" +");
        push_number(out, unnamed);
    }
    out.push(b'"');
    Some(start..out.len())
}

/// Appends truncated and omitted values to a text as `name=value`, unless it contains them. XML,
/// JSON, and the text of an event that could not be parsed contain everything; other layouts have
/// their own fields.
fn push_missing(
    message: &Message<'_, '_>,
    facts: &[Param<'_>],
    values: &[Param<'_>],
    start: usize,
    out: &mut Vec<u8>,
) {
    let (Ok(event), MessageKind::Text) = (message.event, message.style.message) else {
        return;
    };
    let rendered = text::rendered(event);
    // Without rendered text, MSG already has all values.
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
        text::push_pair(out, param.name.as_str(), &param.value, message.style);
    }
}

/// A rendered text to search for values, with bounded work.
struct Searched<'t> {
    text: &'t [u8],
    /// Where the last match ends: most values occur in the order of the text.
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

    /// Whether the text contains the value. False also if the value is shorter than
    /// [`SURELY_THE_SAME`] or the permitted work is used up.
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
    use crate::event::{NAMESPACE, parse};
    use crate::syslog::{Mapping, sample_of, uid};

    /// Escaping all of several thousand took most of the time of an event.
    #[test]
    fn only_parameters_that_may_be_sent_are_escaped() {
        let values = "<Data Name='a'>\"</Data>".repeat(500);
        let facts = "<x>\"</x>".repeat(300);
        let xml = format!(
            "<Event xmlns='{NAMESPACE}'><System>{facts}</System><EventData>{values}</EventData>\
             </Event>"
        );
        let event = parse(&xml);
        sample_of(false, |_, _, origin, out| {
            let message = Message {
                mapping: &Mapping::default(),
                xml: &xml,
                event: &event,
                origin,
                style: &Style::default(),
                uid: uid(&xml, &event, origin, out),
                time: None,
            };
            for (params, least) in [(values_of(&message), 500), (facts_of(&message), 300)] {
                assert!(params.len() >= least);
                let escaped = params.iter().filter(|param| !param.escaped.is_empty());
                assert_eq!(escaped.count(), MAX_PARAMS);
            }
        });
    }

    #[test]
    fn a_text_is_gone_through_a_few_times_however_many_values_are_looked_for() {
        let values: Vec<_> = (0..100).map(|n| format!("{n:04}").repeat(250)).collect();
        let text = values.join(" and ");
        let mut searched = Searched::new(&text);
        assert!(values.iter().all(|value| searched.has(value)));
        // One pass, since they occur in order, and one search from the start.
        assert!(searched.left >= text.len() * (MOST_SEARCHES - 2));
        assert!(searched.has(&values[0]));
        let other = "v".repeat(1000);
        assert!((0..100).all(|_| !searched.has(&other)));
        // The permitted work is used up, so it counts as missing.
        assert!(!searched.has(&values[99]) || searched.left > 0);
        assert!(!Searched::new("short").has(&other));
        assert!(!Searched::new(&text).has("0000"));
    }
}
