//! Damage that Windows does to event XML, and what can be saved.

use std::borrow::Cow;

use memchr::memchr_iter;

use super::scan::{Segment, segments};
use super::{Error, Event, Repaired, general};
use crate::base::wire::{has_forbidden, is_forbidden};

/// Forbidden characters became U+FFFD.
pub const FORBIDDEN: &str = "characters that XML forbids";
const CUT_OFF: &str = "cut off within RenderingInfo";
const BOTH: &str = "characters that XML forbids, cut off within RenderingInfo";

/// Reads an event, with the known repairs where it is damaged.
///
/// What XML forbids is looked for first: the XML reader itself lets some such
/// references pass, and then nothing would tell of them.
pub(super) fn read(xml: &str) -> Result<Event<'_>, Error> {
    let (read, clean) = match replace_forbidden(xml) {
        Cow::Borrowed(xml) => (general::read(xml), Cow::Borrowed(xml)),
        Cow::Owned(clean) => (attempt(clean.clone(), FORBIDDEN), Cow::Owned(clean)),
    };
    let reason = match clean {
        Cow::Borrowed(_) => CUT_OFF,
        Cow::Owned(_) => BOTH,
    };
    read.or_else(|error| match without_rendering(&clean) {
        Some(cut) => attempt(cut, reason).map_err(|_| error),
        None => Err(error),
    })
}

/// The reason for both repairs, where `reason` is that of one and `FORBIDDEN` of the other.
#[must_use]
pub fn and_forbidden(reason: &str) -> &'static str {
    match reason {
        CUT_OFF | BOTH => BOTH,
        _ => FORBIDDEN,
    }
}

fn attempt(xml: String, reason: &'static str) -> Result<Event<'static>, Error> {
    let mut event = general::read(&xml)?.into_owned();
    event.repaired = Some(Repaired { reason, xml });
    Ok(event)
}

/// The event up to its last `RenderingInfo`, closed there.
fn without_rendering(xml: &str) -> Option<String> {
    let kept = xml.get(..xml.rfind("<RenderingInfo")?)?;
    Some([kept, "</Event>"].concat())
}

/// Puts U+FFFD for characters, raw or as references, that XML does not allow.
/// What looks like a reference in CDATA, a comment or an instruction is none.
#[must_use]
pub fn replace_forbidden(xml: &str) -> Cow<'_, str> {
    if is_plain(xml) {
        return Cow::Borrowed(xml);
    }
    let mut result = String::new();
    let (mut kept, mut start) = (0, 0);
    for segment in segments(xml) {
        let (text, references) = match segment {
            Segment::Text(text) | Segment::Tag(text) => (text, true),
            Segment::CData(text) | Segment::Other(text) => (text, false),
        };
        for (at, c) in text.char_indices() {
            let length = match c {
                '&' if references => bad_reference(text.get(at..).unwrap_or_default()),
                c if is_forbidden(c) => c.len_utf8(),
                _ => 0,
            };
            if length > 0 {
                let at = start + at;
                result.push_str(xml.get(kept..at).unwrap_or_default());
                result.push(char::REPLACEMENT_CHARACTER);
                kept = at.saturating_add(length);
            }
        }
        start += text.len();
    }
    if kept == 0 {
        return Cow::Borrowed(xml);
    }
    result.push_str(xml.get(kept..).unwrap_or_default());
    Cow::Owned(result)
}

/// Whether the text has neither forbidden characters nor what looks like a reference to one.
fn is_plain(xml: &str) -> bool {
    let mut references = memchr_iter(b'&', xml.as_bytes());
    !has_forbidden(xml) && references.all(|at| xml.get(at..).is_none_or(|r| bad_reference(r) == 0))
}

/// Length of the character reference at the front if it is a forbidden one, else 0.
fn bad_reference(text: &str) -> usize {
    let Some(body) = text.strip_prefix("&#") else {
        return 0;
    };
    let (body, radix) = match body.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (body, 10),
    };
    let rest = body.trim_start_matches(|c: char| c.is_digit(radix));
    // Not by comparing the ends, which would take as long as all that follows.
    let length = body.len().saturating_sub(rest.len());
    let digits = body.get(..length).unwrap_or_default();
    if digits.is_empty() || !rest.starts_with(';') {
        return 0;
    }
    let code = u32::from_str_radix(digits, radix).ok();
    match code.and_then(char::from_u32) {
        Some(c) if !is_forbidden(c) => 0,
        _ => "&#;".len() + digits.len() + usize::from(radix == 16),
    }
}
