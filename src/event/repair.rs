//! Damage that Windows causes in event XML, and its repair.

use std::borrow::Cow;

use super::{Error, Event, Repaired, general};
use crate::base::xml::replace_forbidden;

/// The reason if forbidden characters were replaced by U+FFFD.
pub const FORBIDDEN: &str = "characters that XML forbids";
const CUT_OFF: &str = "cut off within RenderingInfo";
const BOTH: &str = "characters that XML forbids, cut off within RenderingInfo";

/// Parses an event, and repairs known kinds of damage if necessary.
///
/// Forbidden characters are looked for first: the XML reader itself accepts some references
/// to them, and then the repair would go unnoticed.
pub(super) fn read(xml: &str) -> Result<Event<'_>, Error> {
    let clean = match replace_forbidden(xml) {
        Cow::Borrowed(xml) => {
            return general::read(xml).or_else(|error| read_cut(xml, CUT_OFF, error));
        }
        Cow::Owned(clean) => clean,
    };
    match general::read(&clean).map(Event::into_owned) {
        Ok(event) => Ok(repaired(event, FORBIDDEN, clean)),
        Err(error) => read_cut(&clean, BOTH, error),
    }
}

/// The reason for both repairs, where `reason` is that of one and `FORBIDDEN` of the other.
#[must_use]
pub fn and_forbidden(reason: &str) -> &'static str {
    match reason {
        CUT_OFF | BOTH => BOTH,
        _ => FORBIDDEN,
    }
}

/// Parses an event that cannot be parsed as a whole, without the part that may be
/// truncated.
fn read_cut(xml: &str, reason: &'static str, error: Error) -> Result<Event<'static>, Error> {
    let Some(xml) = without_rendering(xml) else {
        return Err(error);
    };
    let event = general::read(&xml).map(Event::into_owned);
    event
        .map(|event| repaired(event, reason, xml))
        .map_err(|_| error)
}

fn repaired(event: Event<'static>, reason: &'static str, xml: String) -> Event<'static> {
    Event {
        repaired: Some(Repaired { reason, xml }),
        ..event
    }
}

/// The event up to its last `RenderingInfo`, closed there.
fn without_rendering(xml: &str) -> Option<String> {
    let kept = xml.get(..xml.rfind("<RenderingInfo")?)?;
    Some([kept, "</Event>"].concat())
}
