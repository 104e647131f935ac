//! `MSG` in the layouts of other products. Each module names its sources; `docs/layouts.md` has
//! tables of the fields.
//!
//! | layout | form | strings |
//! |---|---|---|
//! | [`ecs`] | JSON | every value unchanged |
//! | [`nxlog`] | JSON | every value unchanged |
//! | [`snare`] | fields between tabs | control characters become blanks |
//! | [`cef`] | header and `key=value` | escapes of CEF; other control characters become blanks |
//! | [`leef`] | header and `key=value` between tabs | control characters become blanks |
//!
//! In all of them, no value can end its field or line early.

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

/// Appends a message of this kind; nothing for text, XML, and JSON, which other modules write.
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

/// The same, with the longest values truncated so that it has at most `room` bytes. Appends nothing
/// and returns false if even empty values do not fit.
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
