//! `MSG` in the layouts of other products, each with its source and a table of its fields.
//!
//! | layout | form | strings |
//! |---|---|---|
//! | [`ecs`] | JSON | every value as it is |
//! | [`nxlog`] | JSON | every value as it is |
//! | [`snare`] | fields between tabs | control characters are blanks |
//! | [`cef`] | header and `key=value` | escapes of CEF, other control characters are blanks |
//! | [`leef`] | header and `key=value` between tabs | control characters are blanks |
//!
//! No value can end its field or its line in any of them.

mod cef;
mod ecs;
mod keys;
mod leef;
mod line;
mod nxlog;
mod snare;
mod standard;

use super::MessageKind;
use super::json;
use super::message::Message;
use line::Line;

/// Appends a message of this kind; the kinds that have a writer of their own give nothing.
pub(super) fn push(out: &mut Vec<u8>, message: &Message<'_, '_>, kind: MessageKind) {
    match kind {
        MessageKind::Ecs => json::push_as(out, message, |object| ecs::push(object, message)),
        MessageKind::Nxlog => json::push_as(out, message, |object| nxlog::push(object, message)),
        MessageKind::Snare => snare::push(&mut Line::new(out), message),
        MessageKind::Cef => cef::push(&mut Line::new(out), message),
        MessageKind::Leef => leef::push(&mut Line::new(out), message),
        MessageKind::Text | MessageKind::Xml | MessageKind::Json => {}
    }
}

/// The same with the longest values cut so that it has at most `room` bytes; nothing, and
/// false, if that cannot be.
pub(super) fn push_within(
    out: &mut Vec<u8>,
    message: &Message<'_, '_>,
    kind: MessageKind,
    room: usize,
) -> bool {
    match kind {
        MessageKind::Ecs => {
            json::push_as_within(out, message, room, |object| ecs::push(object, message))
        }
        MessageKind::Nxlog => {
            json::push_as_within(out, message, room, |object| nxlog::push(object, message))
        }
        MessageKind::Snare => line::push_within(out, room, |line| snare::push(line, message)),
        MessageKind::Cef => line::push_within(out, room, |line| cef::push(line, message)),
        MessageKind::Leef => line::push_within(out, room, |line| leef::push(line, message)),
        MessageKind::Text | MessageKind::Xml | MessageKind::Json => false,
    }
}

#[cfg(test)]
mod tests;
