//! `MSG` as text for people.

use crate::event::Event;

use super::ControlCharacters;
use super::escape::push_text;

/// Appends the rendered message, as it came but for `control`; for an event
/// without one, `Provider EventID name=value ...` on one line.
pub(super) fn push(out: &mut Vec<u8>, event: &Event<'_>, control: ControlCharacters) {
    let rendered = event
        .rendering
        .as_ref()
        .map(|rendering| rendering.message.as_ref());
    match rendered.filter(|message| !message.trim().is_empty()) {
        Some(message) => push_text(out, message, control),
        None => push_values(out, event),
    }
}

fn push_values(out: &mut Vec<u8>, event: &Event<'_>) {
    let escape = ControlCharacters::Escape;
    let head = [event.provider.as_ref(), event.event_id.as_ref()];
    for word in head.into_iter().filter(|word| !word.is_empty()) {
        push_text(out, word, escape);
        out.push(b' ');
    }
    for (name, value) in &event.data {
        push_text(out, name, escape);
        out.push(b'=');
        push_text(out, value, escape);
        out.push(b' ');
    }
    // Each word brought a space after it.
    if out.last() == Some(&b' ') {
        out.pop();
    }
}
