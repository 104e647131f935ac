//! `snare`: the tab-separated record of the Snare agent for Windows.
//!
//! Source: "Snare Windows Agent, Appendix A: Windows Event Output Format" (Prophecy), with the
//! order of fields of its syslog form. Control characters in values become blanks, as the agent
//! writes them, so a tab always ends a field.
//!
//! The table of fields is in `docs/layouts.md`.

use super::line::{Blanked, Line};
use super::standard::{self, Kind};
use crate::base::lanes::{ByteClass, Lanes};
use crate::event::Event;
use crate::syslog::civil::Moment;
use crate::syslog::escape::{Form, Piece, may_be_control, piece};
use crate::syslog::message::Message;
use crate::syslog::text;

/// Appends the record.
pub(super) fn push(line: &mut Line<'_>, message: &Message<'_, '_>) {
    let event = message.facts();
    let (criticality, kind) = match Kind::of(event) {
        Kind::Critical => ("4", "Critical"),
        Kind::Error => ("3", "Error"),
        Kind::AuditFailure => ("3", "Failure Audit"),
        Kind::Warning => ("2", "Warning"),
        Kind::AuditSuccess => ("1", "Success Audit"),
        Kind::Information => ("1", "Information"),
        Kind::Verbose => ("0", "Verbose"),
    };
    line.raw("MSWinEventLog");
    field(line, criticality);
    field(line, &event.channel);
    field(line, &event.record_id);
    line.raw("\t");
    line.write(|out| Moment::of(message).push_asctime(out));
    field(line, &event.event_id);
    field(line, &event.provider);
    push_user(line, event);
    field(line, kind);
    field(line, message.computer());
    let task = match standard::task(event) {
        "" => "None",
        task => task,
    };
    field(line, task);
    line.raw("\t\t");
    match (message.event, text::rendered(event)) {
        (Err(_), _) => line.value(message.xml, Blanked),
        (Ok(_), Some(text)) => line.value(text, Sections),
        (Ok(_), None) => push_values(line, event),
    }
    field(line, &event.record_id);
}

fn push_user(line: &mut Line<'_>, event: &Event<'_>) {
    match (&*event.user_id, standard::account(&event.user_id)) {
        ("", _) => line.raw("\tN/A\tN/A"),
        (_, Some((domain, name))) => {
            field(line, domain);
            line.raw("\\");
            line.raw(name);
            line.raw("\tUser");
        }
        (sid, None) => {
            field(line, sid);
            line.raw("\tUser");
        }
    }
}

fn push_values(line: &mut Line<'_>, event: &Event<'_>) {
    line.fact(&event.provider, Blanked);
    line.raw(" ");
    line.fact(&event.event_id, Blanked);
    for (name, value) in &event.data {
        line.raw("   ");
        line.fact(name, Blanked);
        line.raw(":  ");
        line.value(value, Blanked);
    }
}

fn field(line: &mut Line<'_>, text: &str) {
    line.raw("\t");
    line.fact(text, Blanked);
}

/// A rendered text with two blanks for each line end, by whose number parsers of Snare records
/// recognize sections. The host wrote CR LF; XML parsers normalize it to LF (XML 1.0 2.11).
#[derive(Clone, Copy)]
struct Sections;

impl ByteClass for Sections {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        may_be_control(bytes)
    }
}

impl Form for Sections {
    fn piece(self, c: char, next: Option<u8>) -> Piece {
        match c {
            '\n' => piece(b"  "),
            '\r' if next == Some(b'\n') => piece(b""),
            _ => piece(b" "),
        }
    }
}
