//! `MSG` as text for people.

use super::Style;
use super::escape::{push_line, push_text};
use crate::event::Event;

/// The message that the source rendered, unless it is blank.
pub(super) fn rendered<'e>(event: &'e Event<'_>) -> Option<&'e str> {
    let message = event.rendering.as_ref()?.message.as_ref();
    (!message.trim().is_empty()).then_some(message)
}

/// Appends the rendered message, unchanged except for control characters; for an event
/// without one, `Provider EventID name=value ...`.
pub(super) fn push(out: &mut Vec<u8>, event: &Event<'_>, style: &Style) {
    match rendered(event) {
        Some(message) => push_text(out, message, style),
        None => push_values(out, event, style),
    }
}

/// Appends `name=value`.
pub(super) fn push_pair(out: &mut Vec<u8>, name: &str, value: &str, style: &Style) {
    push_line(out, name, style);
    out.push(b'=');
    push_line(out, value, style);
}

fn push_values(out: &mut Vec<u8>, event: &Event<'_>, style: &Style) {
    let head = [event.provider.as_ref(), event.event_id.as_ref()];
    for word in head.into_iter().filter(|word| !word.is_empty()) {
        push_line(out, word, style);
        out.push(b' ');
    }
    for (name, value) in &event.data {
        push_pair(out, name, value, style);
        out.push(b' ');
    }
    // Each word is followed by a space.
    if out.last() == Some(&b' ') {
        out.pop();
    }
}
