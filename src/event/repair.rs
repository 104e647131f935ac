//! Damage that Windows does to event XML, and what can be saved.

use std::borrow::Cow;

use super::{Error, Event, Repaired, general};
use crate::base::xml::replace_forbidden;

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
