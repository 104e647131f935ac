//! Truncates messages to a maximum length so that they stay valid.

use std::ops::Range;

use memchr::memchr2;

use super::cut::{TRUNCATED, cut, cut_characters, fair_length};
use super::message::{Marks, Message};
use super::{MessageKind, Written, json, layout, push_number};

/// Maximum length of a value in bytes if the names alone exceed the room, and of a word in a header
/// that is too long.
const SHORT_VALUE: usize = 64;

/// Words of the header: PRI with VERSION, TIMESTAMP, HOSTNAME, APP-NAME, PROCID, MSGID.
const HEADER_WORDS: usize = 6;

/// Truncates the message that begins at `marks.start` in `out` to `max` bytes, and adds the number
/// of missing bytes to `Truncated`.
pub(super) fn shorten(
    message: &Message<'_, '_>,
    marks: &Marks,
    max: usize,
    out: &mut Vec<u8>,
) -> Written {
    let msg = out.split_off(marks.message);
    let data = out.split_off(marks.data);
    let names = names(marks, out);
    let head = out.split_off(marks.start);
    let length = head.len() + data.len() + msg.len();
    // `length` has at least as many digits as the final count.
    let room = max.saturating_sub(param(length, &names).len());
    // Facts have priority over the names in `Truncated`.
    let (names, room) = if room < head.len() {
        (Vec::new(), max.saturating_sub(param(length, b"").len()))
    } else {
        (names, room)
    };

    let event = marks.event.saturating_sub(marks.start);
    let head = shorten_head(&head, event, room);
    let mut rest = Vec::new();
    let room = room.saturating_sub(head.len());
    if data.len() <= room {
        rest.extend_from_slice(&data);
        push_msg(message, &msg, room - data.len(), &mut rest);
    } else {
        push_data(&data, room, &mut rest);
    }

    let kept = head.len().saturating_add(rest.len());
    let truncated = length.saturating_sub(kept);
    let (open, close) = head
        .split_at_checked(head.len().saturating_sub(1))
        .unwrap_or_default();
    for part in [open, &param(truncated, &names), close, &rest] {
        out.extend_from_slice(part);
    }
    Written { truncated }
}

/// Removes the parameter `Truncated` from `out`; returns the names in it.
fn names(marks: &Marks, out: &mut Vec<u8>) -> Vec<u8> {
    let Some(range) = marks.truncated.clone() else {
        return Vec::new();
    };
    let param: Vec<u8> = out.drain(range).collect();
    let names = param
        .strip_prefix(TRUNCATED)
        .and_then(|rest| rest.strip_suffix(b"\""));
    names.unwrap_or_default().to_vec()
}

/// The parameter `Truncated`: the number of missing bytes, and the names of incomplete values.
fn param(truncated: usize, names: &[u8]) -> Vec<u8> {
    let mut param = TRUNCATED.to_vec();
    push_number(&mut param, u64::try_from(truncated).unwrap_or(u64::MAX));
    if !names.is_empty() {
        param.push(b' ');
        param.extend_from_slice(names);
    }
    param.push(b'"');
    param
}

/// Header, `origin`, and `event@`, which begins at `event`, within `room` bytes. Omits facts from
/// the last to the first; if that is not enough, `origin` and long words of the header.
fn shorten_head(head: &[u8], event: usize, room: usize) -> Vec<u8> {
    if head.len() <= room {
        return head.to_vec();
    }
    let element = head.get(event..).unwrap_or_default();
    let ends = params(element).map(|param| event + param.whole.end);
    match ends.take_while(|&end| end < room).last() {
        Some(end) => closed(head.get(..end).unwrap_or_default()),
        None => {
            let id = element.iter().position(|&byte| byte == b' ').unwrap_or(0);
            let id = element.get(..id).unwrap_or_default();
            closed(&[&without_long_words(head), id].concat())
        }
    }
}

fn closed(head: &[u8]) -> Vec<u8> {
    [head, b"]"].concat()
}

/// The header with `-` for each word of more than [`SHORT_VALUE`] bytes.
fn without_long_words(head: &[u8]) -> Vec<u8> {
    let mut short = Vec::new();
    for word in head.split(|&byte| byte == b' ').take(HEADER_WORDS) {
        short.extend_from_slice(if word.len() > SHORT_VALUE { b"-" } else { word });
        short.push(b' ');
    }
    short
}

/// Appends `data@` within `room` bytes, its longest values truncated to one length. If the names
/// alone exceed the room: as many parameters as fit, with values of up to [`SHORT_VALUE`] bytes.
fn push_data(data: &[u8], room: usize, rest: &mut Vec<u8>) {
    let id = data
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or(data.len());
    let all: Vec<_> = params(data).collect();
    let lengths: Vec<usize> = all.iter().map(|param| param.value.len()).collect();
    let names = data.len().saturating_sub(lengths.iter().sum());
    let length = match room.checked_sub(names) {
        Some(room) => fair_length(lengths, room),
        None => SHORT_VALUE,
    };
    rest.extend_from_slice(data.get(..id).unwrap_or_default());
    for param in all {
        let before = data
            .get(param.whole.start..param.value.start)
            .unwrap_or_default();
        let value = cut(data.get(param.value).unwrap_or_default(), length);
        if rest.len() + before.len() + value.len() + 2 > room {
            break;
        }
        [before, value, b"\""]
            .iter()
            .for_each(|part| rest.extend_from_slice(part));
    }
    if rest.len() > id {
        rest.push(b']');
    } else {
        rest.clear();
    }
}

/// Appends a space and as much of MSG as fits into `room` bytes, if any; JSON and other layouts
/// stay valid.
fn push_msg(message: &Message<'_, '_>, msg: &[u8], room: usize, rest: &mut Vec<u8>) {
    if msg.len() <= room {
        return rest.extend_from_slice(msg);
    }
    let start = message.start_msg(rest);
    let intro = rest.len().saturating_sub(start);
    let text = msg.get(intro..).unwrap_or_default();
    let room = room.saturating_sub(intro);
    let text_start = rest.len();
    push_content_within(message, text, room, rest);
    if rest.len() == text_start {
        rest.truncate(start);
    }
}

/// Appends `content`, the whole MSG, truncated to `room` bytes; nothing if a JSON object or another
/// layout does not fit even with empty values.
pub(super) fn push_content_within(
    message: &Message<'_, '_>,
    content: &[u8],
    room: usize,
    out: &mut Vec<u8>,
) {
    match message.style.message {
        MessageKind::Text | MessageKind::Xml => {
            out.extend_from_slice(cut_characters(content, room));
        }
        MessageKind::Json => {
            json::push_within(out, message, room);
        }
        kind => {
            layout::push_within(out, message, kind, room);
        }
    }
}

/// Where a parameter is in its element.
struct Param {
    /// From its leading space to its closing quote.
    whole: Range<usize>,
    /// Between the quotes, which are excluded.
    value: Range<usize>,
}

/// The parameters of an element; it must have the form in which this module's callers write it.
fn params(element: &[u8]) -> impl Iterator<Item = Param> {
    let mut at = element
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or(element.len());
    std::iter::from_fn(move || {
        let start = at;
        let quote = memchr::memchr(b'"', element.get(start..)?)?;
        let value = start + quote + 1;
        let end = end_of_value(element, value)?;
        at = end + 1;
        Some(Param {
            whole: start..at,
            value: value..end,
        })
    })
}

/// The position of the quote that ends the value which begins at `start`.
fn end_of_value(element: &[u8], start: usize) -> Option<usize> {
    /// How many bytes after an escape are likely to contain another one, for which a search would
    /// take longer.
    const NEAR: usize = 16;
    let mut at = start;
    loop {
        at += memchr2(b'"', b'\\', element.get(at..)?)?;
        let near = at.saturating_add(NEAR);
        while at < near {
            match element.get(at)? {
                b'"' => return Some(at),
                // An escape has two bytes.
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }
}
