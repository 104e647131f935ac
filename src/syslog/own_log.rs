//! Formats the relay's own messages.

use std::time::SystemTime;

use super::civil::Moment;
use super::cut::{MIN_LENGTH, cut_characters};
use super::escape::push_value;
use super::message::{MAX_HOSTNAME, push_word};
use super::{Facility, FacilityRule, Header, Mapping, Severity, Style, push_number};

/// The relay's identity in its own messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// HOSTNAME: `--hostname`, or the machine's name.
    pub hostname: String,
    /// PROCID: the relay's process id.
    pub process: u32,
}

/// One message of the relay's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its severity.
    pub severity: Severity,
    /// When it was logged.
    pub time: SystemTime,
    /// Its text, without control characters.
    pub text: String,
}

/// Appends one message of the relay's own log, without framing. With [`Header::Rfc5424`], APP-NAME
/// is `wecrelay` and PROCID the relay's process id; with [`Header::Rfc3164`], TAG is
/// `wecrelay[PROCESS]: `; without a header, the message is the text alone. The facility is `daemon`
/// unless the mapping has a fixed one. The text is truncated if the message would exceed
/// `style.max` bytes.
pub fn write_own(
    mapping: &Mapping,
    sender: &Sender,
    line: &Line,
    style: &Style,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    match style.header {
        Header::Rfc5424 => push_rfc5424(mapping, sender, line, out),
        Header::Rfc3164 => push_rfc3164(mapping, sender, line, out),
        Header::None => {}
    }
    let written = out.len().saturating_sub(start);
    let room = style.max.map_or(usize::MAX, |max| {
        max.max(MIN_LENGTH).saturating_sub(written)
    });
    out.extend_from_slice(cut_characters(line.text.as_bytes(), room));
}

fn push_priority(mapping: &Mapping, line: &Line, out: &mut Vec<u8>) {
    let facility = match mapping.facility {
        FacilityRule::Auto => Facility::DAEMON,
        FacilityRule::Fixed(facility) => facility,
    };
    let priority = facility.code() * 8 + line.severity.code();
    out.push(b'<');
    push_number(out, u64::from(priority));
    out.push(b'>');
}

fn push_rfc5424(mapping: &Mapping, sender: &Sender, line: &Line, out: &mut Vec<u8>) {
    push_priority(mapping, line, out);
    out.extend_from_slice(b"1 ");
    let time = humantime::format_rfc3339_micros(line.time);
    out.extend_from_slice(time.to_string().as_bytes());
    out.push(b' ');
    push_word(out, &sender.hostname, MAX_HOSTNAME);
    out.extend_from_slice(b" wecrelay ");
    push_number(out, u64::from(sender.process));
    out.extend_from_slice(b" - [origin software=\"wecrelay\" swVersion=\"");
    push_value(out, mapping.version, &Style::default());
    out.extend_from_slice(b"\"] ");
    if mapping.bom {
        out.extend_from_slice("\u{feff}".as_bytes());
    }
}

fn push_rfc3164(mapping: &Mapping, sender: &Sender, line: &Line, out: &mut Vec<u8>) {
    push_priority(mapping, line, out);
    Moment::at(line.time).push_rfc3164(out);
    out.push(b' ');
    push_word(out, &sender.hostname, MAX_HOSTNAME);
    out.extend_from_slice(b" wecrelay[");
    push_number(out, u64::from(sender.process));
    out.extend_from_slice(b"]: ");
}
