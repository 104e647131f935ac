//! `leef`: QRadar's Log Event Extended Format, version 1.0.
//!
//! Source: IBM, "QRadar DSM guide: LEEF event components, predefined LEEF event attributes".
//!
//! `LEEF:1.0|Microsoft|Windows|RELAY VERSION|EVENTID|KEY=VALUE<tab>KEY=VALUE...`
//!
//! Version 2.0 adds a field for the separator, which several parsers read as part of the first key,
//! and has no advantage here: in version 1.0 the separator is always the tab.
//!
//! LEEF has no escapes. Control characters in values become blanks, so that a tab always ends a
//! value; the first `=` ends a key. A bar in the header becomes a blank.
//!
//! The table of fields is in `docs/layouts.md`.

use std::sync::LazyLock;

use super::keys::{self, Keys, Known, ValueForm};
use super::line::{Blanked, Line};
use super::standard::{self, Kind};
use crate::base::lanes::{ByteClass, Lanes};
use crate::event::Event;
use crate::syslog::civil::Moment;
use crate::syslog::escape::{Form, Piece, may_be_control, piece};
use crate::syslog::facts::facts;
use crate::syslog::message::Message;
use crate::syslog::text;

const KNOWN: [Known; 4] = [
    known("TargetUserName", "usrName", ValueForm::Text),
    known("TargetDomainName", "domain", ValueForm::Text),
    known("IpAddress", "src", ValueForm::Address),
    known("IpPort", "srcPort", ValueForm::Port),
];

/// Keys that this layout writes itself.
const OWN: &str = "devTime cat sev identHostName";

/// The predefined attributes. A receiver would misread a value of the event under one of these
/// names.
const STANDARD: &str = "\
    accountName calCountryOrRegion calLanguage cat devTime devTimeFormat domain dst dstBytes dstMAC \
    dstPackets dstPort dstPostNAT dstPostNATPort dstPreNAT dstPreNATPort groupID identGrpName \
    identHostName identMAC identNetBios identSrc identSecondIp isLoginEvent isLogoutEvent policy \
    proto realm resource role sev src srcBytes srcMAC srcPackets srcPort srcPostNAT \
    srcPostNATPort srcPreNAT srcPreNATPort totalPackets url usrName vSrc vSrcName";

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(&KNOWN, OWN, STANDARD));

const fn known(name: &'static str, key: &'static str, form: ValueForm) -> Known {
    Known { name, key, form }
}

/// Appends the line. Keys with empty values are omitted.
pub(super) fn push(line: &mut Line<'_>, message: &Message<'_, '_>) {
    let event = message.facts();
    line.raw("LEEF:1.0|Microsoft|Windows|");
    line.fact(message.mapping.version, Prefix);
    line.raw("|");
    line.fact(&event.event_id, Prefix);
    line.raw("|devTime=");
    line.write(|out| Moment::of(message).push_milliseconds(out));
    push_facts(line, message, event);
    KEYS.each(event, |key, text| value(line, key, text));
    keys::each_of_source(message, |key, text| fact(line, key, text));
    if line.is_cut() {
        fact(line, "Truncated", "yes");
    }
    match message.event {
        Ok(event) => value(line, "msg", text::rendered(event).unwrap_or_default()),
        Err(malformed) => {
            fact(line, "Malformed", &malformed.to_string());
            value(line, "msg", message.xml);
        }
    }
}

fn push_facts(line: &mut Line<'_>, message: &Message<'_, '_>, event: &Event<'_>) {
    let severity = match Kind::of(event) {
        Kind::Critical => "10",
        Kind::Error => "8",
        Kind::AuditFailure => "6",
        Kind::Warning => "5",
        Kind::AuditSuccess => "3",
        Kind::Information => "2",
        Kind::Verbose => "1",
    };
    fact(line, "cat", &event.channel);
    fact(line, "sev", severity);
    fact(line, "identHostName", message.computer());
    fact(line, "Provider", &event.provider);
    fact(line, "RecordID", &event.record_id);
    fact(line, "ExecutionProcessID", &event.process_id);
    fact(
        line,
        "outcome",
        standard::outcome(event).unwrap_or_default(),
    );
    facts(event)
        .into_iter()
        .for_each(|(name, value)| fact(line, name.text, value));
}

/// A short fact, which is never truncated; nothing if it is empty.
fn fact(line: &mut Line<'_>, key: &str, text: &str) {
    if !text.is_empty() {
        line.raw("\t");
        line.raw(key);
        line.raw("=");
        line.fact(text, Blanked);
    }
}

/// A value of the event, which may be truncated; nothing if it is empty.
fn value(line: &mut Line<'_>, key: &str, text: &str) {
    if !text.is_empty() {
        line.raw("\t");
        line.raw(key);
        line.raw("=");
        line.value(text, Blanked);
    }
}

/// A field of the header.
#[derive(Clone, Copy)]
struct Prefix;

impl ByteClass for Prefix {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        may_be_control(bytes) | bytes.is(b'|')
    }
}

impl Form for Prefix {
    fn piece(self, _: char, _: Option<u8>) -> Piece {
        piece(b" ")
    }
}
