//! `cef`: ArcSight's Common Event Format, version 0.
//!
//! Sources: "ArcSight Common Event Format (CEF) Implementation Standard" (Micro Focus), and the
//! key names of "SmartConnector for Microsoft Windows Event Log, device event mapping".
//!
//! `CEF:0|Microsoft|Microsoft Windows|RELAY VERSION|PROVIDER:EVENTID|NAME|SEVERITY|KEY=VALUE KEY=VALUE ...`
//!
//! NAME is the first line of the rendered text, else provider and event id. SEVERITY is 10 for
//! critical, 7 for error, 5 for warning and audit failure, 3 for information and audit success, 1
//! for verbose.
//!
//! A backslash escapes `|` and `\` in the header, `=` and `\` in values. Line ends in values become
//! `\n` and `\r`; all other control characters become blanks.
//!
//! The table of fields is in `docs/layouts.md`.

use std::sync::LazyLock;

use super::keys::{self, Keys, Known, ValueForm};
use super::line::Line;
use super::standard::{self, Kind};
use crate::base::lanes::{ByteClass, Lanes};
use crate::event::Event;
use crate::syslog::civil::Moment;
use crate::syslog::escape::{Form, Piece, may_be_control, piece};
use crate::syslog::facts::facts;
use crate::syslog::message::Message;
use crate::syslog::text;

const KNOWN: [Known; 11] = [
    known("SubjectUserName", "suser", ValueForm::Text),
    known("SubjectDomainName", "sntdom", ValueForm::Text),
    known("SubjectUserSid", "suid", ValueForm::Text),
    known("TargetUserName", "duser", ValueForm::Text),
    known("TargetDomainName", "dntdom", ValueForm::Text),
    known("TargetUserSid", "duid", ValueForm::Text),
    known("IpAddress", "src", ValueForm::Ipv4),
    known("IpAddress", SOURCE_IPV6, ValueForm::Ipv6),
    known("IpPort", "spt", ValueForm::Port),
    known("WorkstationName", "shost", ValueForm::Text),
    known("ProcessName", "sproc", ValueForm::Text),
];

/// CEF allows only IPv4 in `src`. An IPv6 address is written as a custom field with a label.
const SOURCE_IPV6: &str = "c6a2";

/// Keys that this layout writes itself.
const OWN: &str = "rt externalId cat dvchost dvcpid deviceProcessName c6a2Label";

/// Keys of the standard's extension dictionary, and custom ones. A receiver would misread a value
/// of the event under one of these names.
const STANDARD: &str = "\
    act app cat cnt destinationDnsDomain destinationServiceName destinationTranslatedAddress \
    destinationTranslatedPort deviceDirection deviceDnsDomain deviceExternalId deviceFacility \
    deviceInboundInterface deviceMacAddress deviceNtDomain deviceOutboundInterface \
    devicePayloadId deviceProcessName deviceTranslatedAddress dhost dlat dlong dmac dntdom dpid dpriv \
    dproc dpt dst dtz duid duser dvc dvchost dvcmac dvcpid end eventId externalId fileCreateTime \
    fileHash fileId fileModificationTime filePath filePermission fileType fname fsize in \
    oldFileCreateTime oldFileHash oldFileId oldFileModificationTime oldFileName oldFilePath \
    oldFilePermission oldFileSize oldFileType out proto rawEvent reason request \
    requestClientApplication requestContext requestCookies requestMethod rt shost slat slong smac \
    sntdom sourceDnsDomain sourceServiceName sourceTranslatedAddress sourceTranslatedPort spid \
    spriv sproc spt src start suid suser type \
    c6a1 c6a2 c6a3 c6a4 cfp1 cfp2 cfp3 cfp4 cn1 cn2 cn3 cs1 cs2 cs3 cs4 cs5 cs6 \
    deviceCustomDate1 deviceCustomDate2 flexDate1 flexNumber1 flexNumber2 flexString1 flexString2 \
    c6a1Label c6a2Label c6a3Label c6a4Label cfp1Label cfp2Label cfp3Label cfp4Label cn1Label \
    cn2Label cn3Label cs1Label cs2Label cs3Label cs4Label cs5Label cs6Label \
    deviceCustomDate1Label deviceCustomDate2Label flexDate1Label flexNumber1Label \
    flexNumber2Label flexString1Label flexString2Label";

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(&KNOWN, OWN, STANDARD));

const fn known(name: &'static str, key: &'static str, form: ValueForm) -> Known {
    Known { name, key, form }
}

/// Appends the line. Keys with empty values are omitted.
pub(super) fn push(line: &mut Line<'_>, message: &Message<'_, '_>) {
    let event = message.facts();
    push_prefix(line, message, event);
    line.raw("rt=");
    line.write(|out| Moment::of(message).push_milliseconds(out));
    fact(line, "externalId", &event.event_id);
    fact(line, "cat", &event.channel);
    fact(line, "dvchost", message.computer());
    fact(line, "dvcpid", &event.process_id);
    fact(line, "deviceProcessName", &event.provider);
    fact(
        line,
        "outcome",
        standard::outcome(event).unwrap_or_default(),
    );
    fact(line, "RecordID", &event.record_id);
    facts(event)
        .into_iter()
        .for_each(|(name, value)| fact(line, name.text, value));
    KEYS.each(event, |key, text| {
        value(line, key, text);
        if key == SOURCE_IPV6 {
            fact(line, "c6a2Label", "Source IPv6 Address");
        }
    });
    keys::each_of_source(message, |key, text| fact(line, key, text));
    if line.is_cut() {
        fact(line, "Truncated", "yes");
    }
    // Last, since it is the longest.
    match message.event {
        Ok(event) => value(line, "msg", text::rendered(event).unwrap_or_default()),
        Err(malformed) => {
            fact(line, "Malformed", &malformed.to_string());
            value(line, "msg", message.xml);
        }
    }
}

/// `CEF:0` and the fields between the bars.
fn push_prefix(line: &mut Line<'_>, message: &Message<'_, '_>, event: &Event<'_>) {
    // Some parsers reject an empty field, and events do not have the version of Windows.
    line.raw("CEF:0|Microsoft|Microsoft Windows|");
    line.fact(message.mapping.version, Prefix);
    line.raw("|");
    line.fact(&event.provider, Prefix);
    line.raw(":");
    line.fact(&event.event_id, Prefix);
    line.raw("|");
    line.value(&standard::title(event), Prefix);
    line.raw(match Kind::of(event) {
        Kind::Critical => "|10|",
        Kind::Error => "|7|",
        Kind::Warning | Kind::AuditFailure => "|5|",
        Kind::AuditSuccess | Kind::Information => "|3|",
        Kind::Verbose => "|1|",
    });
}

/// A short fact, which is never truncated; nothing if it is empty.
fn fact(line: &mut Line<'_>, key: &str, text: &str) {
    if !text.is_empty() {
        line.raw(" ");
        line.raw(key);
        line.raw("=");
        line.fact(text, Value);
    }
}

/// A value of the event, which may be truncated; nothing if it is empty.
fn value(line: &mut Line<'_>, key: &str, text: &str) {
    if !text.is_empty() {
        line.raw(" ");
        line.raw(key);
        line.raw("=");
        line.value(text, Value);
    }
}

/// A field of the header.
#[derive(Clone, Copy)]
struct Prefix;

impl ByteClass for Prefix {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        may_be_control(bytes) | bytes.is(b'|') | bytes.is(b'\\')
    }
}

impl Form for Prefix {
    fn piece(self, c: char, _: Option<u8>) -> Piece {
        match c {
            '|' => piece(br"\|"),
            '\\' => piece(br"\\"),
            _ => piece(b" "),
        }
    }
}

/// A value of a key.
#[derive(Clone, Copy)]
struct Value;

impl ByteClass for Value {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        may_be_control(bytes) | bytes.is(b'=') | bytes.is(b'\\')
    }
}

impl Form for Value {
    fn piece(self, c: char, _: Option<u8>) -> Piece {
        match c {
            '=' => piece(br"\="),
            '\\' => piece(br"\\"),
            '\n' => piece(br"\n"),
            '\r' => piece(br"\r"),
            _ => piece(b" "),
        }
    }
}
