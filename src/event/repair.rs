//! Damage that Windows does to event XML, and what can be saved.

use std::borrow::Cow;

use super::{Error, Event, Repaired, general};

/// Tries the known repairs on text that could not be read because of `error`,
/// which is given back if they do not help.
pub(super) fn read(xml: &str, error: Error) -> Result<Event<'static>, Error> {
    let clean = replace_forbidden(xml);
    if let Cow::Owned(clean) = &clean
        && let Some(event) = attempt(clean.clone(), "characters that XML forbids")
    {
        return Ok(event);
    }
    let reason = match clean {
        Cow::Borrowed(_) => "cut off within RenderingInfo",
        Cow::Owned(_) => "characters that XML forbids, cut off within RenderingInfo",
    };
    without_rendering(&clean)
        .and_then(|cut| attempt(cut, reason))
        .ok_or(error)
}

fn attempt(xml: String, reason: &'static str) -> Option<Event<'static>> {
    let mut event = general::read(&xml).ok()?.into_owned();
    event.repaired = Some(Repaired { reason, xml });
    Some(event)
}

/// The event up to its last `RenderingInfo`, closed there.
fn without_rendering(xml: &str) -> Option<String> {
    let kept = xml.get(..xml.rfind("<RenderingInfo")?)?;
    Some([kept, "</Event>"].concat())
}

/// Whether XML 1.0 (2.2) allows this character.
pub(super) fn is_xml_character(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        c => c >= ' ',
    }
}

/// Puts U+FFFD for characters, raw or as references, that XML does not allow.
pub(super) fn replace_forbidden(xml: &str) -> Cow<'_, str> {
    let mut result = String::new();
    let mut kept = 0;
    for (at, c) in xml.char_indices() {
        let length = match c {
            '&' => bad_reference(xml.get(at..).unwrap_or_default()),
            c if is_xml_character(c) => 0,
            c => c.len_utf8(),
        };
        if length > 0 {
            result.push_str(xml.get(kept..at).unwrap_or_default());
            result.push(char::REPLACEMENT_CHARACTER);
            kept = at.saturating_add(length);
        }
    }
    if kept == 0 {
        return Cow::Borrowed(xml);
    }
    result.push_str(xml.get(kept..).unwrap_or_default());
    Cow::Owned(result)
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
    let digits = body.strip_suffix(rest).unwrap_or_default();
    if digits.is_empty() || !rest.starts_with(';') {
        return 0;
    }
    let code = u32::from_str_radix(digits, radix).ok();
    match code.and_then(char::from_u32) {
        Some(c) if is_xml_character(c) => 0,
        _ => "&#;".len() + digits.len() + usize::from(radix == 16),
    }
}
